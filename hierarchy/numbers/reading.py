"""Numbers as they stand in an answer: each with its place, its digits, and what is written beside it.

An answer is read once, the telling forms first: dates and periods ("3 May 2024", "FY2018", "Q4 2024"), clauses and
codes ("4.2(b)", "E11.9"), then figures, then words ("twelve", "two-thirds"). What is no claim is left out: passage
marks, list numbering, page references. Digits are kept as integers, never as floats, so that what is compared is exact.

Every pattern is linear, and what is longer than any number a person would write is read as a code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from hierarchy.numbers.dates import Day, days, periods
from hierarchy.numbers.units import Beside, Unit, before, behind, small_letters

__all__ = ["MAX_DIGITS", "NUMERAL", "ONES", "ORDINALS", "TENS", "Mention", "mentions", "numerals", "sign_before"]

Kind = Literal["figure", "date", "period", "clause", "code"]

MAX_DIGITS = 30  # More than any figure has; longer ones are read as codes.

# A run of digits with what may separate them; `numerals` says which number that is. `[0-9]`, not `\d`: int() and we
# must agree on what a digit is.
NUMERAL = re.compile(r"[0-9]+(?:[.,·'’\u00a0\u202f\u2009][0-9]+)*")
_US = re.compile(r"([0-9]{1,3}(?:,[0-9]{3})+)(?:\.([0-9]+))?")
_INDIAN = re.compile(r"([0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3})(?:\.([0-9]+))?")
_EUROPEAN = re.compile(r"([0-9]{1,3}(?:\.[0-9]{3})+),([0-9]+)|([0-9]{1,3}(?:\.[0-9]{3}){2,})")
_SPACED = re.compile(r"([0-9]{1,3}(?:['’\u00a0\u202f\u2009][0-9]{3})+)(?:[.,]([0-9]{1,6}))?")
_DECIMAL = re.compile(r"([0-9]+)[.·]([0-9]+)")  # Some journals print 72·0.
_COMMA = re.compile(r"([0-9]{1,9}),([0-9]{1,2}|[0-9]{4,6})")
_NO_DIGIT = re.compile(r"[^0-9]")

# What is no claim: [1], <2>, list numbering, references to pages and passages, names of filings.
_NO_CLAIM = re.compile(
    r"\[\s?[0-9]{1,3}(?:\s?[,;–-]\s?[0-9]{1,3}){0,20}\s?\]|<[0-9]{1,3}>"
    r"|(?:^|(?<=\n))[ \t>]{0,12}(?:[-*•][ \t])?[*_]{0,2}\(?[0-9]{1,3}[.)][*_]{0,2}[ \t]+(?=\S)"
    r"|(?:(?<=[:,;.]\s)|(?<=and\s)|^|(?<=\n))\((?:[1-9]|1[0-9])\)(?=\s[A-Za-z])"
    r"|\b(?:p|pp|pg)\.\s?[0-9]{1,5}(?:\s?[–-]\s?[0-9]{1,5})?\b"
    r"|\b(?:pages?|passages?|sources?|footnotes?|steps?|quotes?)\s[0-9]{1,5}(?:\s?(?:[–,-]|and|to)\s?[0-9]{1,5}){0,9}\b"
    r"|\b(?:10-?[KQ]|8-?K|20-?F|40-?F|6-?K|S-[1348]|F-[134]|13[DFG]|DEF ?14A)s?(?:/A)?\b",
    re.IGNORECASE,
)
_NAMED = (
    r"(?:sections?|clauses?|articles?|§§?|paragraphs?|notes?|items?|schedules?|exhibits?|annex|appendix|rules?|parts?)"
)
_CLAUSE = re.compile(
    r"(?<![\w.,/])[0-9]{1,3}(?:\.[0-9]{1,3}){0,5}(?:\([a-zA-Z0-9]{1,4}\)){1,5}(?![\w%])"  # 4.2(b), 401(k)
    r"|(?<![\w.,/])[0-9]{1,3}(?:\.[0-9]{1,3}){2,6}(?![\w%]|[.,][0-9])"  # 4.2.1
    rf"|(?<={' '})(?<!x)[0-9]{{1,3}}\.[0-9]{{1,3}}(?![\w,%]|\.[0-9])"  # 4.2, if behind "Section"
)
_NAMED_BEFORE = re.compile(rf"\b{_NAMED}\.?\s?$|(?<=§)\s?$", re.IGNORECASE)
_CODE = re.compile(
    r"(?<![\w$€£¥.])[^\W\d_]+(?:[-–][^\W\d_]+){0,2}[-–]?[0-9][\w-]*(?:\.[0-9A-Z]+)*"  # E11.9, COVID-19
    r"(?:,[0-9]{1,6}(?=\s?[=<>≤≥]))?"  # F2,125 = 3.12: a statistic with its degrees of freedom
    r"|(?<![\w.])[0-9]+[A-Za-z]+[0-9]\w*"
)
_CLOCK = re.compile(r"(?<![\w:.,])[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?![\w:]|[.,][0-9])")
# Words before a hyphen that leave the figure behind it a figure, and currencies that stand right at one.
_PREFIX_WORD = re.compile(
    r"(?:mid|pre|post|late|early|sub|over|under|non|ex|since|from|to|and|or|ca|approx)[-–]", re.IGNORECASE
)
_MONEY_CODE = re.compile(r"(?:US|CA|AU|NZ|HK)?(?:USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|CAD|AUD|SEK|NOK|DKK|Rs|R)(?=[0-9])")

ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
ORDINALS = {
    **{word: n for n, word in enumerate("first second third fourth fifth sixth seventh eighth ninth tenth".split(), 1)},
    **{word: n for n, word in enumerate("eleventh twelfth".split(), 11)},
}
_CARDINALS = {word: n for n, word in enumerate(ONES)} | {word: 10 * n for n, word in enumerate(TENS, 2)}
_WORD_NUMBER = re.compile(
    rf"\b(?:(?P<tens>{'|'.join(TENS)})(?:[ -](?P<ones>{'|'.join(ONES[1:10])}))?|(?P<one>{'|'.join(ONES)})"
    rf"|(?P<ordinal>{'|'.join(ORDINALS)}))\b",
    re.IGNORECASE,
)
_FRACTION = re.compile(
    r"(?<![\w.,/-])(?P<over>[0-9]{1,3})/(?P<under>[0-9]{1,3})(?![\w/]|[.,][0-9])"
    r"|(?P<sign>[½⅓⅔¼¾⅕⅛])"
    r"|\b(?P<n>one|two|three|four|a)[ -](?P<d>half|thirds?|quarters?|fifths?|tenths?)\b"
    r"(?! (?:quarter|of (?:19|20)|year))"
    r"|\b(?P<half>half)(?= (?:of|the)\b(?! (?:19|20)))",
    re.IGNORECASE,
)
_SIGNS = {"½": (1, 2), "⅓": (1, 3), "⅔": (2, 3), "¼": (1, 4), "¾": (3, 4), "⅕": (1, 5), "⅛": (1, 8)}
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fifth": 5, "tenth": 10}
_HEDGE = re.compile(
    r"(?:(?P<about>about|approximately|approx\.?|around|roughly|circa|ca\.|some|~|≈)"
    r"|(?P<over>more than|over|above|at least|exceeding|exceeds?|exceeded)"
    r"|(?P<under>less than|under|below|nearly|almost|up to|just under))\s{0,2}$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mention:
    """A number in a text.

    Attributes:
        start: Where it begins, its sign and currency included.
        end: One past its last character, its scale and unit included.
        text: What stands there.
        kind: How it's looked up.
        digits: All of its digits as an integer, the sign apart.
        exponent: Power of ten of the last of them; no scale in it.
        beside: Scale, unit and currency.
        sign: -1 if a minus is written; 0 otherwise.
        enclosed: Stands alone between parentheses, which may be a minus.
        hedge: `about`, `over` or `under` in front; may be empty.
        year: Written as a year is: four digits, nothing beside.
        word: Written as a word.
        days: Readings of a date or of a period's years.
        quarter: Of a period: 1–4, or 5 and 6 for the halves; 0 without.
        fraction: Numerator and denominator; None if it is no fraction.
    """

    start: int
    end: int
    text: str
    kind: Kind = "figure"
    digits: int = 0
    exponent: int = 0
    beside: Beside = Beside(0)  # noqa: RUF009 (immutable)
    sign: int = 0
    enclosed: bool = False
    hedge: str = ""
    year: bool = False
    word: bool = False
    days: tuple[Day, ...] = ()
    quarter: int = 0
    fraction: tuple[int, int] | None = None

    @property
    def unit(self) -> Unit | None:
        """The unit beside it."""
        return self.beside.unit

    @property
    def power(self) -> int:
        """Power of ten of scale and unit together."""
        return (self.beside.scale or 0) + (self.unit.exponent if self.unit else 0)

    @property
    def face(self) -> float:
        """What the digits say, with sign, without scale or unit."""
        if self.fraction:
            return self.fraction[0] / self.fraction[1]
        return (-1 if self.sign < 0 else 1) * _shifted(self.digits, self.exponent)

    @property
    def value(self) -> float:
        """What it means: 12.5 % is 0.125, 1.6 billion 1,600,000,000."""
        if self.fraction:
            return self.face
        return (-1 if self.sign < 0 else 1) * _shifted(self.digits, self.exponent + self.power)

    def bounds(self) -> tuple[int, int, int]:
        """The lowest and highest number that is written so when rounded, as integers, and their power of ten."""
        digits, exponent = self.digits, self.exponent
        if self.hedge and digits and exponent >= 0:  # About 1,600 may be 1,577; about 2.0 is no 1.6.
            while digits % 10 == 0:
                digits, exponent = digits // 10, exponent + 1
        low, high = {"over": (0, 10), "under": (-10, 0), "about": (-5, 5)}.get(self.hedge, (-5, 5))
        if not digits:
            low = high = 0
        return digits * 10 + low, digits * 10 + high, exponent - 1


def _shifted(digits: int, exponent: int) -> float:
    return float(digits * 10**exponent) if exponent >= 0 else digits / 10**-exponent


# -- digits ------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=16_384)
def numerals(run: str) -> tuple[tuple[int, int, str, int], ...]:
    """The numbers in a run of digits and separators: where each begins and ends, its digits, and how many are decimals.

    A point before three digits is a decimal point; whether it groups thousands can't be told from one number.

    Example:
        >>> numerals("1,577.50"), numerals("12,34,567"), numerals("1.577,5")
        (((0, 8, '157750', 2),), ((0, 9, '1234567', 0),), ((0, 7, '15775', 1),))
        >>> numerals("2023,2024")
        ((0, 4, '2023', 0), (5, 9, '2024', 0))
    """
    if run.isdigit():
        return ((0, len(run), run, 0),)
    if len(run) > 3 * MAX_DIGITS:
        return ()
    for pattern in (_DECIMAL, _US, _INDIAN, _EUROPEAN, _SPACED, _COMMA):
        if match := pattern.fullmatch(run):
            if pattern is _COMMA and len(match[1]) == len(match[2]) == 4:
                break
            decimals = match[2] or ""
            return ((0, len(run), _NO_DIGIT.sub("", run), len(decimals)),)
    mark = next((mark for mark in "\u00a0\u202f\u2009’'," if mark in run), "")
    if not mark:
        return ()  # 4.2.1: a clause or an address.
    found, at = [], 0
    for part in run.split(mark):
        if part.strip(".,'’") == part and part:
            found += [(at + low, at + high, digits, decimals) for low, high, digits, decimals in numerals(part)]
        at += len(part) + 1
    return tuple(found)


def sign_before(text: str, at: int, *, columns: bool) -> int:
    """Where a minus that belongs to the number at `at` stands; `at` itself if there is none.

    Args:
        text: The text.
        at: Where the number, or the currency in front of it, begins.
        columns: Whether numbers stand side by side, so that "214 -300" is two of them and no difference.
    """
    if at == 0 or text[at - 1] not in "-−‒–":
        return at
    ahead = text[max(0, at - 4) : at - 1]
    if not ahead.strip():
        return at - 1 if not ahead or at < 5 or (text[at - 2].isspace() and not _digit_ahead(text, at, columns)) else at
    if ahead[-1].isspace():
        return at if _digit_ahead(text, at, columns) else at - 1
    return at - 1 if ahead[-1] in "(|[:=/*~≈$€£" else at


def _digit_ahead(text: str, at: int, columns: bool) -> bool:
    """Whether a number stands before the sign, so that it is an operator."""
    if columns:
        return False
    ahead = text[max(0, at - 8) : at - 1].rstrip()
    return bool(ahead) and (ahead[-1].isdigit() or ahead[-1] in ")%")


# -- an answer ---------------------------------------------------------------------------------------------------------


class _Reader:
    """Reads one text, the telling forms first; what one form has taken no other may have."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.small = small_letters(text)
        self.taken = bytearray(len(text))
        self.found: list[Mention] = []

    def take(self, start: int, end: int) -> bool:
        if any(self.taken[start:end]):
            return False
        self.taken[start:end] = b"\1" * (end - start)
        return True

    def add(self, start: int, end: int, **fields: object) -> None:
        if self.take(start, end):
            self.found.append(Mention(start=start, end=end, text=self.text[start:end], **fields))  # type: ignore[arg-type]

    def read(self) -> tuple[Mention, ...]:
        for match in _NO_CLAIM.finditer(self.text):
            self.take(match.start(), match.end())
        for start, end, read in days(self.small):
            if start < end:
                self.add(start, end, kind="date", days=read)
        for start, end, quarter, years in periods(self.small):
            self.add(start, end, kind="period", quarter=quarter, days=tuple(Day(year) for year in years))
        for match in _CLAUSE.finditer(self.text):
            plain = "(" not in match[0] and match[0].count(".") < 2
            if not plain or _NAMED_BEFORE.search(self.text[max(0, match.start() - 14) : match.start()]):
                self.add(match.start(), match.end(), kind="clause")
        for match in _CLOCK.finditer(self.text):
            self.add(match.start(), match.end(), kind="code")
        self._codes()
        self._fractions()
        for match in NUMERAL.finditer(self.text):
            self._figures(match)
        self._words()
        self.found.sort(key=lambda one: one.start)
        return tuple(self.found)

    def _codes(self) -> None:
        for match in _CODE.finditer(self.text):
            start, end = match.span()
            prefix = _PREFIX_WORD.match(match[0]) or _MONEY_CODE.match(match[0])
            if prefix and match[0][prefix.end() :][:1].isdigit():
                continue
            self.add(start, end, kind="code")

    def _fractions(self) -> None:
        for match in _FRACTION.finditer(self.text):
            if match["over"]:
                over, under = int(match["over"]), int(match["under"])
            elif match["sign"]:
                over, under = _SIGNS[match["sign"]]
            elif match["half"]:
                over, under = 1, 2
            else:
                over = {"a": 1, **_CARDINALS}[match["n"].lower()]
                under = _PARTS[match["d"].lower().rstrip("s")]
            if under > 0 and (not match["sign"] or not self.text[: match.start()][-1:].isdigit()):
                self.add(match.start(), match.end(), fraction=(over, under), word=not match["over"])

    def _figures(self, match: re.Match[str]) -> None:
        run, at = match[0], match.start()
        if len(run) <= 3 and (spaced := _spaced(self.text, at)):
            run = spaced
        if len(run) > MAX_DIGITS:
            self.add(*match.span(), kind="code")
            return
        if not (read := numerals(run.replace(" ", "\u00a0"))):
            self.add(at, at + len(run), kind="clause")
            return
        for low, high, digits, decimals in read:
            self._figure(at + low, at + high, digits, decimals)

    def _figure(self, start: int, end: int, digits: str, decimals: int) -> None:
        text = self.text
        if any(self.taken[start:end]):
            return
        if start and text[start - 1] == "." and not decimals and not text[max(0, start - 2) : start - 1].isalnum():
            start, decimals = start - 1, len(digits)  # ".05"
        number = start
        currency, length = before(text[max(0, start - 12) : start])
        start -= length
        signed = sign_before(text, start, columns=False)
        sign, start = (-1, signed) if signed < start else (0, start)
        if currency == "" and sign and (more := before(text[max(0, start - 12) : start]))[0]:
            currency, start = more[0], start - more[1]
        beside = behind(text, end, currency=currency)
        bullet = (
            bool(sign) and text[max(0, start - 1) : start] in ("", "\n") and text[beside.end : beside.end + 1] == " "
        )
        if bullet:
            sign, start = 0, start + 1
        if beside.glued:
            self.add(number, beside.end + _letters(text, beside.end), kind="code")
            return
        year = len(digits) == end - number == 4 and digits[:2] in ("19", "20") and beside.end == end and not currency
        hedge = _HEDGE.search(text[max(0, start - 16) : start])
        while start < number and self.taken[start]:
            start += 1
        stop = beside.end
        while stop > end and any(self.taken[end:stop]):
            stop = end
        self.add(
            start,
            stop,
            digits=int(digits),
            exponent=-decimals,
            beside=beside if stop == beside.end else Beside(end, currency=currency),
            sign=sign,
            enclosed=_enclosed(text, start, stop),
            hedge=(hedge.lastgroup or "") if hedge else "",
            year=year and not sign,
        )

    def _words(self) -> None:
        for match in _WORD_NUMBER.finditer(self.text):
            value = _CARDINALS.get((match["tens"] or match["one"] or "").lower(), 0)
            value += _CARDINALS.get((match["ones"] or "").lower(), 0)
            value += ORDINALS.get((match["ordinal"] or "").lower(), 0)
            beside = behind(self.text, match.end())
            if self._is_claim(match, value, beside):
                plain = bool(match["ordinal"])
                end = match.end() if plain else beside.end
                self.add(match.start(), end, digits=value, beside=Beside(end) if plain else beside, word=True)

    def _is_claim(self, match: re.Match[str], value: int, beside: Beside) -> bool:
        """Whether a word is meant as a number: "one" and "second" mostly aren't."""
        after = self.small[match.end() : match.end() + 12]
        if match["ordinal"]:
            return value > 3 or after.startswith((" quarter", " half", "-quarter", " phase", " line"))
        if value == 1:
            return beside.scale is not None or (beside.unit is not None and beside.unit.dimension != "share")
        return True


def mentions(text: str) -> tuple[Mention, ...]:
    """The numbers in an answer, in order; they don't overlap.

    Example:
        >>> [one.text for one in mentions("Capex rose 12.5 % to $1.6 billion in FY2018 [2].")]
        ['12.5 %', '$1.6 billion', 'FY2018']
    """
    return _Reader(text).read()


_SPACED_RUN = re.compile(r"[0-9]{1,3}(?: [0-9]{3})+(?![0-9])(?:[.,][0-9]{1,6}(?![0-9]))?")


def _spaced(text: str, at: int) -> str:
    """The number with spaces between its thousands that begins here; empty if none does."""
    if at and (text[at - 1].isdigit() or (text[at - 1] == " " and text[max(0, at - 2) : at - 1].isdigit())):
        return ""
    match = _SPACED_RUN.match(text, at)
    return match[0] if match else ""


def _letters(text: str, at: int) -> int:
    end = at
    while end < len(text) and end - at < 24 and (text[end].isalnum() or text[end] == "-"):
        end += 1
    return end - at


def _enclosed(text: str, start: int, end: int) -> bool:
    """Whether a number stands alone between parentheses; its currency or per cent may stand outside them."""
    return (text[max(0, start - 1) : start] == "(" and text[end : end + 1] == ")") or (
        "(" in text[start : start + 6] and text[end : end + 1] == ")"
    )
