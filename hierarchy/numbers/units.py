"""What may stand beside a number: currencies, scales and units, each a power of ten of some dimension.

Two figures can be compared only if what is written beside both agrees; what is written beside one alone is no conflict.
Scales (million, bn), shares (per cent, basis points) and SI prefixes are all powers of ten, so that comparing never
rounds. Owns the vocabulary and how it is read off a text next to a number; knows nothing of numbers themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["Beside", "Statement", "Unit", "before", "behind", "same_currency", "small_letters", "statements"]


@dataclass(frozen=True, slots=True)
class Unit:
    """A dimension and how many powers of ten of it.

    Attributes:
        dimension: `share`, `mass`, `money`, …; units of the same dimension can be compared.
        exponent: Power of ten.
        times: Factor besides, for time: a year is twelve months.
    """

    dimension: str
    exponent: int = 0
    times: int = 1


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands right behind a number.

    Attributes:
        end: Where it ends.
        scale: Power of ten of a scale word; None if there is none.
        unit: The unit; None if none is written or it isn't known.
        currency: Code of a currency, `$` for dollars of any country; may be empty.
        glued: Letters stand at the number that are none of these: it is part of a code.
        word: The unit as written, for looking it up elsewhere.
    """

    end: int
    scale: int | None = None
    unit: Unit | None = None
    currency: str = ""
    glued: bool = False
    word: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """The scale of the figures that follow, as in "in millions" and "$ thousands".

    Attributes:
        start: Where it stands.
        exponents: The scales it names, several in "in millions, shares in thousands"; 0 besides if it makes exceptions.
        currencies: The currencies it names.
    """

    start: int
    exponents: frozenset[int]
    currencies: frozenset[str]


_SCALES = {
    **dict.fromkeys(("hundred",), 2),
    **dict.fromkeys(("thousand", "thousands", "k", "tsd"), 3),
    **dict.fromkeys(("lakh", "lakhs", "lac"), 5),
    **dict.fromkeys(("million", "millions", "mn", "mln", "mio", "mm", "m"), 6),
    **dict.fromkeys(("crore", "crores", "cr"), 7),
    **dict.fromkeys(("billion", "billions", "bn", "bln", "mrd", "b"), 9),
    **dict.fromkeys(("trillion", "trillions", "tn", "trn"), 12),
}
# These also mean metres, bytes or nothing: they're scales only where a currency or their capital says so.
_DOUBTFUL_SCALES = frozenset("k m b mm cr".split())

_DOLLARS = frozenset("$ USD CAD AUD NZD SGD HKD".split())
_SIGNS = {"$": "$", "€": "EUR", "£": "GBP", "¥": "YEN", "₹": "INR"}
_CODES = frozenset("USD EUR GBP CHF JPY CNY RMB INR CAD AUD NZD SGD HKD SEK NOK DKK PLN BRL MXN KRW ZAR".split())
_CURRENCY_WORDS = {
    **{code: {"JPY": "YEN", "CNY": "YEN", "RMB": "YEN"}.get(code, code) for code in _CODES},
    **dict.fromkeys(("dollar", "dollars"), "$"),
    **dict.fromkeys(("euro", "euros"), "EUR"),
    **dict.fromkeys(("pound", "pounds", "sterling"), "GBP"),
    **dict.fromkeys(("yen", "yuan", "renminbi"), "YEN"),
    **dict.fromkeys(("rupee", "rupees"), "INR"),
    **dict.fromkeys(("franc", "francs"), "CHF"),
}
_PREFIXES = {"k": 3, "": 0, "d": -1, "c": -2, "m": -3, "µ": -6, "μ": -6, "u": -6, "n": -9, "p": -12}
_LONG_PREFIXES = {"kilo": 3, "": 0, "deci": -1, "centi": -2, "milli": -3, "micro": -6, "nano": -9, "pico": -12}


def _units() -> dict[str, Unit]:
    """Every known spelling; symbols as they are, words in small letters."""
    units = {
        **dict.fromkeys(("%", "percent", "pct", "percents", "pp", "ppt", "ppts"), Unit("share", -2)),
        **dict.fromkeys(("percentage points", "percentage point", "per cent", "percent points"), Unit("share", -2)),
        **dict.fromkeys(("bp", "bps", "basis points", "basis point"), Unit("share", -4)),
        **dict.fromkeys(("‰",), Unit("share", -3)),
        **dict.fromkeys(("x", "×", "times", "fold"), Unit("share", 0)),
        **dict.fromkeys(("cent", "cents"), Unit("money", -2)),
        **dict.fromkeys(("year", "years", "yr", "yrs"), Unit("month", 0, 12)),
        **dict.fromkeys(("month", "months", "mo", "mos"), Unit("month")),
        **dict.fromkeys(("week", "weeks", "wk", "wks"), Unit("minute", 0, 7 * 24 * 60)),
        **dict.fromkeys(("day", "days"), Unit("minute", 0, 24 * 60)),
        **dict.fromkeys(("hour", "hours", "h", "hr", "hrs"), Unit("minute", 0, 60)),
        **dict.fromkeys(("minute", "minutes", "min", "mins"), Unit("minute")),
        **dict.fromkeys(("second", "seconds", "sec", "secs"), Unit("second")),
        **dict.fromkeys(("tonne", "tonnes"), Unit("mass", 6)),
        **dict.fromkeys(("lb", "lbs"), Unit("pound")),
        **dict.fromkeys(("iu", "IU"), Unit("international unit")),
        **dict.fromkeys(("mEq",), Unit("equivalent", -3)),
        **dict.fromkeys(("mmHg",), Unit("pressure")),
        **dict.fromkeys(("bpm",), Unit("rate")),
        **dict.fromkeys(("°C", "℃"), Unit("celsius")),
        **dict.fromkeys(("°F", "℉"), Unit("fahrenheit")),
        **dict.fromkeys(("mile", "miles"), Unit("mile")),
        **dict.fromkeys(("feet", "foot", "ft"), Unit("foot")),
        **dict.fromkeys(("acre", "acres"), Unit("acre")),
        **dict.fromkeys(("square feet", "sq ft"), Unit("square foot")),
        **dict.fromkeys(("square meters", "square metres", "sqm"), Unit("square metre")),
    }
    for symbol, dimension in (("g", "mass"), ("L", "volume"), ("l", "volume"), ("mol", "amount"), ("m", "length")):
        units |= {prefix + symbol: Unit(dimension, power) for prefix, power in _PREFIXES.items()}
    units["mcg"] = Unit("mass", -6)
    for word, dimension in (("gram", "mass"), ("liter", "volume"), ("litre", "volume"), ("meter", "length")):
        for prefix, power in _LONG_PREFIXES.items():
            units |= dict.fromkeys((f"{prefix}{word}", f"{prefix}{word}s"), Unit(dimension, power))
    units |= {"metre": Unit("length"), "metres": Unit("length"), "kilometres": Unit("length", 3)}
    for prefix, power in {"k": 3, "M": 6, "G": 9, "T": 12, "": 0}.items():
        units |= {f"{prefix}Wh": Unit("energy", power), f"{prefix}W": Unit("power", power)}
    return units


_UNITS = _units()
# A symbol of one letter is one only right behind its number, or one space further: "5 m" but not "5 a".
_WORD = re.compile(r"[%‰℃℉×]|°[CF]\b|[A-Za-zµμ]+|[$€£¥₹]")
_GAP = re.compile(r"[ \t\u00a0\u202f\u2009|*_]{0,5}(?:[-\u2010\u2011](?=[A-Za-z]))?")
_TWO_WORDS = re.compile(
    r"(basis|percentage|percent|per|square|sq)[ \u00a0-](points?|cent|feet|ft|met(?:er|re)s)\b", re.IGNORECASE
)
_PER = re.compile(r"\s?/\s?(kg|g|mg|[dmµμu]?[Ll]|day|d|h|hr|hour|min|week|month|year|mol|mmol|m2|m²)\b")
_POWER = re.compile(r"\s?[x×·*]\s?10\s?(?:\^|\*\*)?\{?([-−⁻]?[0-9]{1,2}|⁻?[⁰¹²³⁴⁵⁶⁷⁸⁹]{1,2})\}?(?![0-9.,])")
_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻−", "0123456789--")
_ORDINAL = frozenset("st nd rd th".split())


def behind(text: str, at: int, *, currency: str = "") -> Beside:
    """Read scale, unit and currency behind a number that ends at `at`; those in front of it as `currency`.

    Example:
        >>> behind("1.6 billion euros", 3)
        Beside(end=17, scale=9, unit=None, currency='EUR', glued=False, word='')
    """
    window = text[at : at + 48]
    if not window or window[0] in ",;.)\n" or window.isspace():
        return Beside(at, currency=currency)
    found = _behind(window, currency)
    return (
        found if at == 0 else Beside(at + found.end, found.scale, found.unit, found.currency, found.glued, found.word)
    )


@lru_cache(maxsize=8_192)
def _behind(window: str, currency: str) -> Beside:
    power = _POWER.match(window)
    scale, end = None, 0
    if power and (power[1][0] in "⁻⁰¹²³⁴⁵⁶⁷⁸⁹" or "^" in power[0] or "**" in power[0]):
        scale, end = int(power[1].translate(_SUPERSCRIPTS)), power.end()
    word, gap, glued = _word(window, end)
    if word and glued and word.lower() in _ORDINAL:
        return Beside(gap + len(word), scale, None, currency)
    if word and scale is None and (read := _scale(word, money=bool(currency), glued=glued)) is not None:
        scale, end = read, gap + len(word)
        end += window[end : end + 1] == "." and word.lower() in ("mio", "mrd")
        word, gap, glued = _word(window, end)
    if not word:
        return Beside(end, scale, None, currency)
    named = _SIGNS.get(word) or _CURRENCY_WORDS.get(word) or _CURRENCY_WORDS.get(word.lower())
    if named and not currency and not (word == "$" and window[gap + 1 : gap + 2].strip()):
        return Beside(gap + len(word), scale, None, named)
    if two := _TWO_WORDS.match(window, gap):
        unit, length = _UNITS.get(re.sub(r"[\s-]", " ", two[0]).lower()), len(two[0])
    else:
        unit, length = _unit(word, glued=glued), len(word)
    if unit is None or (unit.dimension == "share" and not word[0].isalpha() and word == "×"):
        return Beside(end, scale, None, currency, glued and word[0].isalpha() and scale is None)
    if word.lower() in ("x", "times") and window[gap + length :].lstrip(" (*$€£")[:1].isdigit():
        return Beside(end, scale, None, currency)  # A sign of multiplication.
    end = gap + length
    if unit.dimension != "share" and (per := _PER.match(window, end)):
        unit, end = _per(unit, per[1]), per.end()
    return Beside(end, scale, unit, currency, word=window[gap:end])


def _word(window: str, end: int) -> tuple[str, int, bool]:
    """The next word, where it begins, and whether it stands right at the number, with a hyphen or without."""
    gap = _GAP.match(window, end)
    at = gap.end() if gap else end
    word = _WORD.match(window, at)
    return (word[0], at, end == at and end == 0) if word else ("", at, False)


def _scale(word: str, *, money: bool, glued: bool) -> int | None:
    small = word.lower()
    power = _SCALES.get(small)
    if power is None or small not in _DOUBTFUL_SCALES:
        return power
    capital = word.isupper() or (small == "k" and glued)
    return power if money or (glued and capital) else None


def _unit(word: str, *, glued: bool) -> Unit | None:
    unit = _UNITS.get(word)
    if unit is None and len(word) > 2:
        unit = _UNITS.get(word.lower())
    if unit is None and glued:
        return {"y": _UNITS["year"], "d": _UNITS["day"], "s": _UNITS["second"], "X": _UNITS["x"]}.get(word)
    return unit


def _per(unit: Unit, per: str) -> Unit:
    """A unit per another: 135 g/L is 13.5 g/dL. A time is no part of the dimension: 75 mg/day is 75 mg daily."""
    other = _UNITS.get(per)
    if other is None or other.dimension in ("minute", "month"):
        return unit
    return Unit(f"{unit.dimension}/{other.dimension}", unit.exponent - other.exponent, unit.times)


_CURRENCY_BEFORE = re.compile(
    r"(?:(?P<sign>(?:US|A|C|CA|AU|NZ|HK|S|R)?\$|[€£¥₹]|Rs\.?)|(?<![A-Za-z])(?P<code>[A-Z]{3}))[\s|*_]{0,4}\(?$"
)


@lru_cache(maxsize=8_192)
def before(window: str) -> tuple[str, int]:
    """The currency at the end of what stands before a number, and how many characters it takes; ("", 0) without.

    Example:
        >>> before("It paid US$ ")
        ('$', 4)
    """
    found = _CURRENCY_BEFORE.search(window)
    if not found:
        return "", 0
    if found["code"]:
        return (_CURRENCY_WORDS[found["code"]], len(found[0])) if found["code"] in _CODES else ("", 0)
    sign = found["sign"]
    return ("INR" if sign.startswith("Rs") else _SIGNS[sign[-1]]), len(found[0])


def same_currency(one: str, other: str) -> bool:
    """Whether two currencies may be the same: a plain dollar is any country's, and what isn't written is any."""
    return not one or not other or one == other or ("$" in (one, other) and {one, other} <= _DOLLARS)


def small_letters(text: str) -> str:
    """A text in small letters, each at its place."""
    small = text.lower()
    return (
        small if len(small) == len(text) else "".join(low if len(low := mark.lower()) == 1 else mark for mark in text)
    )


# -- statements of scale -----------------------------------------------------------------------------------------------

# The letters by which a scale is looked for: searching plain letters is fast, and what stands around is checked then.
_ANCHORS = {"housand": 3, "illion": 6, "000s": 3, "'000": 3, "’000": 3, "crore": 7, "lakh": 5}
_SHORT = re.compile(
    r"(?:[$€£¥₹]|\b(?:USD|EUR|GBP|CHF|JPY|INR))\s?(?:(mn?|mm|MM|M|bn|B|k)\b)(?!\s?[0-9])"
    r"|\bin (?:[A-Z]{3}|[$€£])? ?(mn|bn)\b"
)
_STATED = re.compile(
    r"(?:\b(?:in|are|amounts|figures|dollars|euros?|shares|\w+ shares in)\b|[($€£¥₹,]|\b[A-Z]{3}\b|\bin\b.{0,24})\s*$",
    re.IGNORECASE,
)
_CLUSTER = 160


def statements(text: str) -> tuple[Statement, ...]:
    """What a text says of the scale of the figures that follow, in order.

    A scale right behind a figure is that figure's own, and no statement. Neighbouring ones are one statement, since it
    is only said in words to which figures each applies.

    Example:
        >>> [sorted(one.exponents) for one in statements("(in millions, except shares in thousands) 1,577")]
        [[0, 3, 6]]
    """
    found = sorted(_stated(text))
    clusters: list[Statement] = []
    last = -_CLUSTER
    for at, exponent in found:
        named = frozenset(_currencies(text[max(0, at - 16) : at + 24]))
        powers = {exponent, 0} if "except" in text[at : at + _CLUSTER] else {exponent}
        if clusters and at - last < _CLUSTER and "\n" not in text[last:at]:
            one = clusters[-1]
            clusters[-1] = Statement(one.start, one.exponents | powers, one.currencies | named)
        else:
            clusters.append(Statement(at, frozenset(powers), named))
        last = at
    return tuple(clusters)


def _stated(text: str) -> list[tuple[int, int]]:
    found = []
    small = small_letters(text)
    for anchor, exponent in _ANCHORS.items():
        at = small.find(anchor)
        while at >= 0:
            start = at
            while start > 0 and small[start - 1].isalpha():
                start -= 1
            power = {"m": 6, "b": 9, "t": 12}.get(small[start], 6) if anchor == "illion" else exponent
            if anchor.endswith("000") or (at - start < 4 and _STATED.search(text[max(0, start - 28) : start])):
                found.append((start, power))
            at = small.find(anchor, at + len(anchor))
    if any(sign in text for sign in "$€£¥₹") or "USD" in text or "EUR" in text or "in " in text:
        short = ((match.start(), _SCALES[(match[1] or match[2]).lower()]) for match in _SHORT.finditer(text))
        found.extend(short)
    return found


def _currencies(window: str) -> list[str]:
    named = [_SIGNS[mark] for mark in window if mark in _SIGNS]
    words = re.findall(r"[A-Za-z]+", window)
    return named + [_CURRENCY_WORDS[word] for word in words if word in _CURRENCY_WORDS]


def stated_scales(*texts: str) -> frozenset[int]:
    """The scales that texts say their figures are in."""
    return frozenset(power for text in texts for one in statements(text) for power in one.exponents)
