"""Where a number of an answer stands in what was shown: figures, words, dates, periods, clauses and codes.

Each kind has its own way of being the same. Doesn't know arithmetic, nor what a status is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hierarchy.numbers.compare import agreement, in_other_units, may_round, shifts
from hierarchy.numbers.dates import Day, days
from hierarchy.numbers.index import FIRST_KEY, TOP_KEY, Figure, Index, key
from hierarchy.numbers.polarity import polarity_of_row, polarity_of_sentence, slips
from hierarchy.numbers.reading import ONES, ORDINALS, TENS, Mention
from hierarchy.numbers.units import Beside, Unit, behind

__all__ = ["Found", "Lookup"]

# Comparisons for one answer; a hostile one is cut off here, and what isn't found by then isn't found.
_MAX_COMPARISONS = 8_000
_ROW_REACH = 160

_SHARE_HINT = re.compile(r"%|percent|per cent|\brates?\b|\bmargins?\b|\bratios?\b|\bpct\b")
_QUARTERS = {
    1: ("first quarter", "1st quarter"),
    2: ("second quarter", "2nd quarter"),
    3: ("third quarter", "3rd quarter"),
    4: ("fourth quarter", "4th quarter"),
    5: ("first half", "1st half", "six months"),
    6: ("second half", "2nd half", "six months"),
}
_INITIALS = re.compile(r"([A-Z]{2,6})-?([0-9]{1,3})")  # CET1 stands as "common equity tier 1".
_PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 10: "tenth"}
_ORDINAL_WORDS = {number: word for word, number in ORDINALS.items()}


@dataclass(frozen=True, slots=True)
class Found:
    """Where a number stands.

    Attributes:
        where: Index of the passage.
        value: What stands there, which may be more exact than what was sought; None for dates and codes.
        exact: Whether it is the same, not only when rounded.
        clash: Why it isn't the number sought after all: `sign` or `unit`; empty if it is.
    """

    where: int
    value: float | None = None
    exact: bool = True
    clash: str = ""


class Lookup:
    """Looks numbers up in passages, which are read once."""

    def __init__(self, passages: Sequence[str], *, declared: frozenset[int] = frozenset()) -> None:
        """`declared` are scales that a number without one may be in, since answer or question say so."""
        self.index = Index(passages)
        self.declared = declared
        self._left = _MAX_COMPARISONS
        self._known: dict[object, Found | None] = {}
        self._hinted: dict[tuple[str, int], bool] = {}

    def find(self, mention: Mention, sentence: str = "", soft: frozenset[int] = frozenset()) -> Found | None:
        """Where a number stands.

        Args:
            mention: The number.
            sentence: What stands before it in its sentence, which may say "loss of" or "increased by".
            soft: Scales it may be in besides, as the first number in "1.4 to 1.6 billion".

        Returns:
            The first place where it stands exactly, else the first where it does when rounded; one with a `clash` if it
            stands nowhere but with another sign or unit; None if not even that.
        """
        told = polarity_of_sentence(sentence) if sentence and mention.kind == "figure" else 0
        asked = (mention.text.lower(), mention.hedge, mention.enclosed, told, soft)
        if asked not in self._known:
            self._known[asked] = self._find(mention, told, soft)
        return self._known[asked]

    def _find(self, mention: Mention, told: int, soft: frozenset[int]) -> Found | None:
        if mention.kind == "date":
            return self._day(mention)
        if mention.kind == "period":
            return self._period(mention)
        if mention.kind != "figure":
            return self._verbatim(mention)
        if mention.fraction:
            return self._fraction(mention)
        found = self._figure(mention, told, self.declared | soft)
        return self._otherwise_written(mention) or found if found is None or found.clash else found

    # -- figures -------------------------------------------------------------------------------------------------------

    def _figure(self, mention: Mention, told: int, scales: frozenset[int]) -> Found | None:
        best: Found | None = None
        for figure in self._like(mention):
            self._left -= 1
            if self._left < 0:
                break
            found = self._compared(mention, figure, told, scales)
            if found and (best is None or _rank(found) < _rank(best)):
                best = found
                if found.exact and not found.clash:
                    break
        return best

    def _like(self, mention: Mention) -> Iterator[Figure]:
        """The figures that begin like a number, those of exactly its digits first, each in document order."""
        same = [key(str(digits)) for digits in in_other_units(mention)]
        for one in same:
            yield from self.index.like(one, one)
        yield from self._worded(mention)
        if may_round(mention):
            low, high, _ = mention.bounds()
            low_key, high_key = key(str(low)), key(str(high))
            ranges = [(low_key, high_key)] if low_key <= high_key else [(low_key, TOP_KEY), (FIRST_KEY, high_key)]
            for first, last in ranges:
                yield from self.index.like(first, last)

    def _worded(self, mention: Mention) -> Iterator[Figure]:
        """Where a small number stands as a word."""
        if mention.exponent:
            return
        values = {digits for digits in in_other_units(mention) if digits < 100}
        if mention.beside.scale or mention.digits >= 1_000:
            values |= {value for value in (int(str(mention.digits).rstrip("0") or 0),) if value < 100}
        for value in sorted(values):
            for word in _spelled(value):
                for at in self.index.whole(word):
                    end = at + len(word)
                    yield self.index.figure(at, end, str(value), 0, behind(self.index.text, end))

    def _compared(self, mention: Mention, figure: Figure, told: int, scales: frozenset[int]) -> Found | None:
        """Where a figure is the number sought; with a clash if it is but for sign or unit; None if it isn't."""
        beside = mention.beside
        stated = beside.scale is not None or mention.unit is not None or bool(beside.currency)
        if figure.label and stated:
            return None
        if figure.year and (stated or mention.digits != figure.digits or mention.exponent):
            return None
        where = self.index.where(figure.start)
        allowed = shifts(mention, figure, scales, partial(self._hints, where))
        for shift in sorted(allowed, key=abs):
            exact = agreement(mention, figure, shift)
            if exact is None:
                continue
            sign = -1 if figure.sign and mention.sign < 0 else 1
            value = sign * float(figure.digits) * 10.0 ** (figure.exponent + shift + mention.power)
            says_sign = mention.sign or told
            if says_sign and slips(mention.sign, told, figure.sign, self._row(figure), enclosed=mention.enclosed):
                return Found(where, value, exact, "sign")
            return Found(where, value, exact)
        alike = stated and mention.digits >= 100 and agreement(mention, figure, 0)
        return Found(where, None, exact=True, clash="unit") if alike else None

    def _row(self, figure: Figure) -> tuple[int, int]:
        return polarity_of_row(self.index.small[max(0, figure.start - _ROW_REACH) : figure.start])

    def _hints(self, where: int, unit: str) -> bool:
        """Whether a passage names a unit anywhere, or any share for "%"."""
        asked = (unit, where)
        if asked not in self._hinted:
            low, high = self.index.bounds[where], self.index.bounds[where + 1]
            if unit == "%":
                held = _SHARE_HINT.search(self.index.small, low, high) is not None
            else:
                held = any(self.index.holds(where, form, cased=True) for form in {unit, unit.removesuffix("s")})
            self._hinted[asked] = held
        return self._hinted[asked]

    def _otherwise_written(self, mention: Mention) -> Found | None:
        """A year within a date or period, a zero as a word, or a number with spaces between its thousands."""
        index = self.index
        if mention.year:
            where = index.years.get(mention.digits)
            return None if where is None else Found(where, float(mention.digits))
        if not mention.digits:
            for word in ("nil", "none", "zero", "no"):
                if places := index.whole(word):
                    return Found(index.where(places[0]), 0.0)
        if mention.digits >= 1_000 and mention.exponent == 0:
            spaced = f"{mention.digits:,}".replace(",", " ")
            for at in index.whole(spaced):
                beside = behind(index.text, at + len(spaced))
                figure = index.figure(at, at + len(spaced), str(mention.digits), 0, beside)
                found = self._compared(mention, figure, 0, self.declared)
                if found and not found.clash:
                    return found
        return None

    def _fraction(self, mention: Mention) -> Found | None:
        over, under = mention.fraction or (0, 1)
        forms = [mention.text.lower(), f"{over}/{under}"]
        if (part := _PARTS.get(under)) and over < len(ONES):
            part += "s" if over > 1 else ""
            forms += [f"{ONES[over]} {part}", f"{ONES[over]}-{part}", *([f"a {part}"] if over == 1 else [])]
        for form in forms:
            if places := self.index.whole(form):
                return Found(self.index.where(places[0]), over / under)
        return self._decimal_of(over, under)

    def _decimal_of(self, over: int, under: int) -> Found | None:
        """A fraction that stands as a share or with a point: two thirds are 66.7 % and 0.67."""
        percent = Beside(0, None, Unit("share", -2))
        for factor, decimals, beside in ((100, 0, percent), (100, 1, percent), (1, 1, Beside(0)), (1, 2, Beside(0))):
            digits = (2 * over * factor * 10**decimals + under) // (2 * under)
            written = Mention(start=0, end=0, text="", digits=digits, exponent=-decimals, beside=beside)
            found = self._figure(written, 0, frozenset())
            if found and found.exact and not found.clash:
                return found
        return None

    # -- dates, periods, clauses and codes -----------------------------------------------------------------------------

    def _day(self, mention: Mention) -> Found | None:
        for where, day in self.index.days:
            if any(mine.held_by(day) for mine in mention.days):
                return Found(where)
        for where, day in self.index.days:
            if any(self._in_heads(where, mine, day) for mine in mention.days):
                return Found(where)
        return self._verbatim(mention)

    def _in_heads(self, where: int, mine: Day, its: Day) -> bool:
        """Whether "December 31," stands over columns of years, and the date's is one of them."""
        if not mine.year or not replace(mine, year=0).held_by(its):
            return False
        if its.year:
            low, high = self.index.bounds[where], self.index.bounds[where + 1]
            row = rf"(?:19|20)[0-9]{{2}}[\s|/]{{1,6}}{mine.year}|{mine.year}[\s|/]{{1,6}}(?:19|20)[0-9]{{2}}"
            return re.search(row, self.index.text[low:high]) is not None
        return self.index.holds(where, str(mine.year))

    def _period(self, mention: Mention) -> Found | None:
        years = {day.year for day in mention.days}
        for where, quarter, its in self.index.periods:
            if years <= set(its) and mention.quarter in (0, quarter):
                return Found(where)
        places = [Found(self.index.years[year]) for year in years if year in self.index.years]
        places += [Found(self.index.where(at)) for year in years for at in self.index.whole(str(year))[:1]]
        if not mention.quarter:
            return places[0] if len(years) == 1 and places else self._verbatim(mention)
        for word in _QUARTERS[mention.quarter]:
            for at in self.index.whole(word):
                where = self.index.where(at)
                if all(self.index.holds(where, str(year)) for year in years):
                    return Found(where)
        return self._quarter_ended(mention.quarter, years) or self._verbatim(mention)

    def _quarter_ended(self, quarter: int, years: set[int]) -> Found | None:
        """The second quarter as "three months ended June 30"; of other months it can't be told which quarter ends."""
        for words in ("three months ended", "quarter ended", "quarterly period ended"):
            for at in self.index.whole(words):
                for _, _, read in days(self.index.small[at : at + len(words) + 40]):
                    fits = read[0].month in (3 * quarter, 3 * quarter - 1, 3 * quarter - 2) or read[0].month % 3
                    if quarter <= 4 and fits and years <= {read[0].year or max(years, default=0)}:
                        return Found(self.index.where(at))
        return None

    def _verbatim(self, mention: Mention) -> Found | None:
        """A code or clause as it is written, but for case, spaces and hyphens."""
        sought = mention.text.lower().replace("–", "-")
        for form in dict.fromkeys((sought, sought.replace("-", " "), sought.replace("-", ""))):
            if places := self.index.whole(form):
                return Found(self.index.where(places[0]))
        if initials := _INITIALS.fullmatch(mention.text):
            for at in self.index.whole(initials[2]):
                words = self.index.small[max(0, at - 80) : at].replace("-", " ").split()[-len(initials[1]) :]
                if "".join(word[0] for word in words) == initials[1].lower():
                    return Found(self.index.where(at))
        if mention.kind == "clause" and "(" in sought:
            number, *parts = sought.replace(")", "").split("(")
            for at in self.index.whole(number):
                where = self.index.where(at)
                low, high = self.index.bounds[where], self.index.bounds[where + 1]
                if all(self.index.small.find(f"({part})", low, high) >= 0 for part in parts):
                    return Found(where)
        return None


def _rank(found: Found) -> tuple[bool, bool]:
    return bool(found.clash), not found.exact


def _spelled(value: int) -> tuple[str, ...]:
    """The words for a number below a hundred."""
    if value < len(ONES):
        return (ONES[value], _ORDINAL_WORDS[value]) if value in _ORDINAL_WORDS else (ONES[value],)
    tens, ones = TENS[value // 10 - 2], value % 10
    return (f"{tens}-{ONES[ones]}", f"{tens} {ONES[ones]}") if ones else (tens,)
