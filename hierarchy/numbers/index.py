"""The numerals of all passages, sorted by their leading digits, and what stands beside each of them.

No scale, unit or share changes a number's leading digits, since all of them are powers of ten; so only those numerals
are read in full that begin like the number sought. All passages are one text, so that a word is looked for once.

Owns places and figures; what makes a figure the number sought is `compare`'s.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

from hierarchy.numbers.dates import Day, days, periods
from hierarchy.numbers.reading import MAX_DIGITS, NUMERAL, numerals, sign_before
from hierarchy.numbers.units import Beside, Statement, Unit, before, behind, small_letters, statements

__all__ = ["Figure", "Index"]

_KEY_DIGITS = 12
_ZEROS = "0" * _KEY_DIGITS
TOP_KEY, FIRST_KEY = 10**_KEY_DIGITS - 1, 10 ** (_KEY_DIGITS - 1)
_MAX_PLACES = 30_000  # Numerals behind these aren't looked at: no prompt has as many.
_MAX_DAYS = 4_000
_SHIFT = 1 << 20
# Searches through all of the text for one answer, and hits of one search; a hostile answer is cut off here.
_MAX_SEARCHES, _MAX_HITS = 600, 64
# No word: it parts passages, so that nothing is read across their ends.
_PART = "\n\0\n"

_EUROPEAN = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:\.[0-9]{3})+,[0-9]{1,2}(?![0-9])")
_MONTH_AHEAD = re.compile(
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?\s$"
)
_MONTH_BEHIND = re.compile(r"(?:st|nd|rd|th)?\s(?:of )?(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)")
_LABEL_AHEAD = re.compile(r"\b(?:notes?|items?|sections?|clauses?|articles?|pages?|tables?|figures?|schedules?|no\.) $")
_ROW_BEHIND = re.compile(r"[^A-Za-z\n]{0,200}(?:\n|\Z)")
_CLOSES = re.compile(r"[\s|]{0,3}%?[\s|]{0,3}\)")

Place = tuple[int, int, str, int]
"""Where a numeral begins and ends, its digits, and how many of them are decimals."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A numeral with what stands beside it.

    Attributes:
        start: Its first digit in the index's text.
        digits: Its digits as an integer.
        exponent: Power of ten of the last of them.
        beside: Scale, unit and currency.
        sign: -1 if a minus or parentheses are written.
        year: Written as a year is.
        powers: Powers of ten it may be meant in: of what stands beside it, or what governs it.
        governed: The statement of scale above it, where none stands beside it.
        label: It numbers a note, an item or a section, and measures nothing.
    """

    start: int
    digits: int
    exponent: int
    beside: Beside
    sign: int
    year: bool
    powers: frozenset[int]
    governed: Statement | None
    label: bool = False

    @property
    def unit(self) -> Unit | None:
        """The unit beside it."""
        return self.beside.unit


class Index:
    """The numbers and words of passages."""

    def __init__(self, passages: Sequence[str]) -> None:
        self.text = _PART.join(passages)
        self.small = small_letters(self.text)
        self.bounds = [0]
        for passage in passages:
            self.bounds.append(self.bounds[-1] + len(passage) + len(_PART))
        self._figures: dict[int, Figure | None] = {}
        self._searched: dict[tuple[str, bool], tuple[int, ...]] = {}

    def where(self, at: int) -> int:
        """The passage that a character stands in."""
        return bisect_right(self.bounds, at) - 1

    # -- figures -------------------------------------------------------------------------------------------------------

    @cached_property
    def _places(self) -> list[Place]:
        places: list[Place] = []
        for match in NUMERAL.finditer(self.text):
            run, at = match[0], match.start()
            if run.isdigit():
                if len(run) <= MAX_DIGITS:
                    places.append((at, at + len(run), run, 0))
            elif len(run) < 8 and run[-4:-3] == "," and (plain := run.replace(",", "", 1)).isdigit():
                places.append((at, at + len(run), plain, 0))  # The usual form, read without a pattern.
            else:
                places += [(at + low, at + high, digits, decimals) for low, high, digits, decimals in numerals(run)]
            if len(places) >= _MAX_PLACES:
                break
        return places

    @cached_property
    def _keys(self) -> list[int]:
        return sorted(key(place[2]) * _SHIFT + number for number, place in enumerate(self._places))

    def like(self, low: int, high: int) -> Iterator[Figure]:
        """The figures whose leading digits are between two keys, in document order."""
        first, last = bisect_left(self._keys, low * _SHIFT), bisect_left(self._keys, (high + 1) * _SHIFT)
        for number in sorted(one % _SHIFT for one in self._keys[first:last]):
            if number not in self._figures:
                self._figures[number] = self._read(self._places[number])
            if figure := self._figures[number]:
                yield figure

    def _read(self, place: Place) -> Figure | None:
        """A numeral with its sign, currency, scale and unit; None if it is part of a code or a date."""
        text = self.text
        start, end, digits, decimals = place
        if not decimals and text[start - 1 : start] == "." and not text[max(0, start - 2) : start - 1].isalnum():
            start, decimals = start - 1, len(digits)
        if digits[0] == "0" and not decimals and len(digits) > 1:
            return None  # The 03 of 2024-03-09 is no three.
        currency, length = before(text[max(0, start - 12) : start])
        edge = start - length
        plain = len(digits) == end - start == 4 and digits[:2] in ("19", "20")
        if not length and start and (text[start - 1].isalpha() or _hyphened(text, start)):
            return self.figure(start, end, digits, 0, Beside(end), year=True) if plain else None
        signed = sign_before(text, edge, columns=True)
        if signed < edge and not currency:
            currency = before(text[max(0, signed - 12) : signed])[0]
        beside = behind(text, end, currency=currency)
        if beside.glued or (not decimals and not length and self._in_date(place)):
            return None
        year = plain and beside.scale is None and beside.unit is None and not currency
        minus = not year and (signed < edge or _in_parentheses(text, edge, end))
        return self.figure(start, end, digits, decimals, beside, sign=-1 if minus else 0, year=year)

    def figure(
        self, start: int, end: int, digits: str, decimals: int, beside: Beside, *, sign: int = 0, year: bool = False
    ) -> Figure:
        """A figure with the powers of ten that it may be meant in."""
        governed = None if year or beside.scale is not None or beside.unit else self._governing(start)
        powers = {(beside.scale or 0) + (beside.unit.exponent if beside.unit else 0)}
        if governed:
            # In a row the scale holds; in a sentence below the table it may not.
            powers = set(governed.exponents) if _ROW_BEHIND.match(self.text, end) else powers | governed.exponents
        if decimals == 3 and end - start <= 7 and self.where(start) in self._european:
            powers |= {power + 3 for power in powers}
        label = _LABEL_AHEAD.search(self.small[max(0, start - 12) : start]) is not None
        return Figure(start, int(digits), -decimals, beside, sign, year, frozenset(powers), governed, label)

    def _in_date(self, place: Place) -> bool:
        start, end, digits, _ = place
        return len(digits) <= 2 and (
            _MONTH_AHEAD.search(self.small[max(0, start - 11) : start]) is not None
            or _MONTH_BEHIND.match(self.small, end, end + 16) is not None
        )

    def _governing(self, at: int) -> Statement | None:
        """The nearest statement of scale above a figure in its passage."""
        before_it = bisect_left(self._stated_at, at)
        stated = self._stated[before_it - 1] if before_it else None
        return stated if stated and stated.start >= self.bounds[self.where(at)] else None

    @cached_property
    def _stated(self) -> tuple[Statement, ...]:
        """All statements of scale; one that names no currency has that of the one above it in its passage."""
        stated: list[Statement] = []
        for one in statements(self.text):
            above = stated[-1] if stated and stated[-1].start >= self.bounds[self.where(one.start)] else None
            stated.append(replace(one, currencies=above.currencies) if above and not one.currencies else one)
        return tuple(stated)

    @cached_property
    def _stated_at(self) -> list[int]:
        return [one.start for one in self._stated]

    @cached_property
    def _european(self) -> frozenset[int]:
        """The passages that certainly write a decimal comma."""
        return frozenset(self.where(match.start()) for match in _EUROPEAN.finditer(self.text))

    # -- words, dates and periods --------------------------------------------------------------------------------------

    def whole(self, sought: str, *, cased: bool = False) -> tuple[int, ...]:
        """Where a word or number stands by itself; the first places of many, none once all searches are used up."""
        asked = (sought, cased)
        if asked not in self._searched:
            allowed = len(self._searched) < _MAX_SEARCHES and bool(sought)
            self._searched[asked] = tuple(_whole(self.text if cased else self.small, sought)) if allowed else ()
        return self._searched[asked]

    def holds(self, where: int, sought: str, *, cased: bool = False) -> bool:
        """Whether a passage holds a word or number by itself."""
        low, high = self.bounds[where], self.bounds[where + 1]
        return next(_whole((self.text if cased else self.small)[low:high], sought), None) is not None

    @cached_property
    def days(self) -> tuple[tuple[int, Day], ...]:
        """Every date, with where it stands."""
        found = ((self.where(start), day) for start, _, read in days(self.small) for day in read)
        return tuple(islice(found, _MAX_DAYS))

    @cached_property
    def periods(self) -> tuple[tuple[int, int, tuple[int, ...]], ...]:
        """Every fiscal period: where it stands, its quarter and its years."""
        found = ((self.where(start), quarter, years) for start, _, quarter, years in periods(self.small))
        return tuple(islice(found, _MAX_DAYS))

    @cached_property
    def years(self) -> dict[int, int]:
        """The years of dates and periods, each with the first passage that has it."""
        found: dict[int, int] = {}
        for where, _, years in self.periods:
            for year in years:
                found.setdefault(year, where)
        for where, day in self.days:
            found.setdefault(day.year, where)
        return found


def key(digits: str) -> int:
    """The leading digits as a number of a fixed length; 0 for a zero."""
    return int((digits.lstrip("0") + _ZEROS)[:_KEY_DIGITS])


def _whole(text: str, sought: str) -> Iterator[int]:
    at = text.find(sought)
    for _ in range(_MAX_HITS):
        if at < 0:
            return
        end = at + len(sought)
        if not (_runs_on(text[max(0, at - 2) : at][::-1], sought[0]) or _runs_on(text[end : end + 2], sought[-1])):
            yield at
        at = text.find(sought, at + 1)


def _runs_on(beyond: str, edge: str) -> bool:
    """Whether a word or number goes on beyond its edge: "2.1" doesn't stand by itself in "4.2.1"."""
    if not beyond or not edge.isalnum():
        return False
    return beyond[0].isalnum() or (edge.isdigit() and beyond[0] in ".," and beyond[1:].isdigit())


def _hyphened(text: str, at: int) -> bool:
    """Whether a hyphen ties a number to a code in front, as in COVID-19 but not in mid-2024."""
    if at < 2 or text[at - 1] not in "-‐‑" or not text[at - 2].isalpha():
        return False
    start = at - 2
    while start > 0 and at - start < 12 and text[start - 1].isalpha():
        start -= 1
    word = text[start : at - 1]
    return len(word) < 3 or word.isupper()


def _in_parentheses(text: str, start: int, end: int) -> bool:
    """Whether a figure stands alone between parentheses, as a negative one does in accounts."""
    if text[max(0, start - 1) : start] != "(" and "(" not in text[max(0, start - 1) : start + 5]:
        return False
    return _CLOSES.match(text, end) is not None
