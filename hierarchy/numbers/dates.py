"""Dates and fiscal periods in a text, in any of the usual spellings.

"3 May 2024", "May 3, 2024" and "2024-05-03" are one day; "FY18" and "fiscal 2018" one year. What can be read in two
ways has two readings. Texts are given in small letters, so that patterns needn't fold case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Day", "days", "periods"]

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
_MONTH = (
    r"(?:january|jan\.?|february|feb\.?|march|mar\.?|april|apr\.?|may|june|jun\.?|july|jul\.?|august|aug\.?"
    r"|september|sept?\.?|october|oct\.?|november|nov\.?|december|dec\.?)"
)
_YEAR = r"(?:19|20)[0-9]{2}"
_DATE = re.compile(
    rf"(?<![a-z0-9])(?=[0-9adfjmnos])(?:(?P<y1>{_YEAR})[-/.](?P<m1>0?[1-9]|1[0-2])[-/.](?P<d1>[0-3]?[0-9])(?![0-9])"
    rf"|(?P<a>[0-3]?[0-9])[/.-](?P<b>[0-3]?[0-9])[/.-](?P<y2>{_YEAR}|[0-9]{{2}})(?![0-9/]|[.,][0-9])"
    rf"|(?P<d3>[0-3]?[0-9])(?:st|nd|rd|th)?[ \u00a0-](?:of )?(?P<m3>{_MONTH})"
    rf"(?:,?[ \u00a0-](?P<y3>{_YEAR}|'[0-9]{{2}}))?\b"
    rf"|(?P<m4>{_MONTH})\s(?P<d4>[0-3]?[0-9])(?:st|nd|rd|th)?(?![0-9])(?:,?[\s|/]{{0,4}}(?P<y4>{_YEAR}))?(?![.,]?[0-9])"
    rf"|(?P<m5>{_MONTH}),?\s(?P<y5>{_YEAR})\b)"
)
_MORE_YEARS = re.compile(rf"(?:[\s,|/·]{{1,6}}(?:and )?(?:{_YEAR}))+")
_PERIOD = re.compile(
    rf"(?<![a-z0-9])(?=[0-9qhfc])(?:(?P<q>q[1-4]|[1-4]q|h[12]|[12]h)"
    rf"(?:[ \u00a0'-]{{0,2}}(?:of )?(?:fy ?)?(?P<qy>{_YEAR}|[0-9]{{2}}(?![0-9.,%])))?"
    rf"|(?:fy|fye|cy)[ \u00a0'’]{{0,2}}(?P<fy>{_YEAR}|[0-9]{{2}})(?:[/–-](?P<to>{_YEAR}|[0-9]{{2}}))?"
    rf"|(?P<y>{_YEAR})(?P<q2>q[1-4]|h[12])"
    rf"|(?P<r>{_YEAR})[/–-](?P<r2>[0-9]{{2}}))(?P<tail>e|a)?(?![0-9A-Za-z])(?![.,%][0-9]|%)"
)


@dataclass(frozen=True, slots=True)
class Day:
    """A date, or the parts of it that are written; 0 for the others."""

    year: int = 0
    month: int = 0
    day: int = 0

    def held_by(self, other: Day) -> bool:
        """Whether another says all that this one does."""
        return all(
            not mine or mine == theirs
            for mine, theirs in ((self.year, other.year), (self.month, other.month), (self.day, other.day))
        )


def days(small: str) -> Iterator[tuple[int, int, tuple[Day, ...]]]:
    """The dates in a text in small letters: where each stands and what it may mean.

    "03/05/2024" may be in March or in May. Years in a row behind a date ("December 31, 2024 2023") are dates as well.

    Example:
        >>> [day for _, _, day in days("on 3 may 2024")]
        [(Day(year=2024, month=5, day=3),)]
    """
    for match in _DATE.finditer(small):
        read = _day(match)
        if read:
            yield match.start(), match.end(), read
            if read[0].month and read[0].day and (more := _MORE_YEARS.match(small, match.end())):
                years = [int(year) for year in re.findall(_YEAR, more[0][:80])]
                yield match.end(), match.end(), tuple(Day(year, read[0].month, read[0].day) for year in years)


def _day(match: re.Match[str]) -> tuple[Day, ...]:
    kind = match.lastgroup or ""
    if match["y1"]:
        read = [Day(int(match["y1"]), int(match["m1"]), int(match["d1"]))]
    elif match["a"]:
        one, two, year = int(match["a"]), int(match["b"]), _full_year(match["y2"])
        read = [Day(year, two, one), Day(year, one, two)]
    elif match["m3"]:
        read = [Day(_full_year(match["y3"]), _month(match["m3"]), int(match["d3"]))]
    elif match["m4"]:
        read = [Day(_full_year(match["y4"]), _month(match["m4"]), int(match["d4"]))]
    else:
        read = [Day(int(match["y5"]), _month(match["m5"]))]
    return tuple(one for one in read if one.month <= 12 and one.day <= 31 and (one.day or kind == "y5"))


def _month(name: str) -> int:
    return _MONTHS.index(name[:3]) + 1


def _full_year(written: str | None) -> int:
    if not written:
        return 0
    year = int(written.strip("'"))
    return year if year > 100 else year + (2000 if year < 70 else 1900)


def periods(small: str) -> Iterator[tuple[int, int, int, tuple[int, ...]]]:
    """The fiscal periods in a text in small letters: where each stands, its quarter, and its years.

    Example:
        >>> [(quarter, years) for _, _, quarter, years in periods("q4 2024, fy18, 2017/18, h1")]
        [(4, (2024,)), (0, (2018,)), (0, (2017, 2018)), (5, ())]
    """
    for match in _PERIOD.finditer(small):
        quarter = match["q"] or match["q2"] or ""
        number = next((int(mark) for mark in quarter if mark.isdigit()), 0)
        number += 4 if "h" in quarter else 0
        years = [_full_year(match[name]) for name in ("qy", "fy", "to", "y", "r", "r2") if match[name]]
        if match["r"] and (years[1] - years[0]) not in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10):
            continue
        yield match.start(), match.end(), number, tuple(years)
