"""Which lines of a text are rows of a table.

A row ends in numbers: two or more cells at its end make a row by themselves, one cell does beside another row. Lines
of years, dates and units above a row are its column heads and count as rows, since the numbers mean nothing without.

Owns the line arithmetic that the readers share. Doesn't know pages or markup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from hierarchy.document import Span
from hierarchy.loaders.headings import heading_of

__all__ = ["line_starts", "numeric_cells", "row_lines", "row_spans"]

_CELL = re.compile(r"[(\[]?[-+–—−]?[$€£¥]?[(]?[-+–−]?\d[\d,.]*(?:%|x|bps|pts)?[)\]]*(?:%|\(\w\))?")
_FILLERS = frozenset(("$", "%", ")", "(", "€", "£", "¥", ")%", "|", "*", "$—", "—", "–", "-", "−", "—%", "N/A", "n/a"))
_DASHES = frozenset(("—", "–", "-", "−", "$—", "—%", "N/A", "n/a", "NM", "N.M.", "*"))
_LAST = frozenset("0123456789)%—–-−|$*xsMAa]")
_HEAD_WORDS = frozenset(
    "year years quarter quarters month months week weeks period periods fiscal ended ending january february march"
    " april may june july august september october november december million millions thousand thousands billion"
    " billions except change total".split()
)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_PUNCTUATION = str.maketrans("(),:;%$", "       ")
_NAMED = re.compile(r"(?:note|item|section)\s+\d", re.IGNORECASE)
_HEADS_ABOVE = 4
_LINES_BETWEEN = 2
_HEAD_CHARACTERS = 110
_ROW_CHARACTERS = 400


def line_starts(lines: Sequence[str], newline: int = 1) -> list[int]:
    """Where each line starts if each is followed by `newline` characters; one more entry for the end."""
    return list(accumulate((len(line) + newline for line in lines), initial=0))


def numeric_cells(line: str) -> int:
    """How many cells at the end of a line are numbers; dashes and "N/A" count beside at least one number."""
    if line[-1:] not in _LAST or len(line) > _ROW_CHARACTERS:
        return 0
    numbers = dashes = 0
    for word in reversed(line.split()):
        if word in _DASHES:
            dashes += 1
        elif _CELL.fullmatch(word):
            numbers += 1
        elif word not in _FILLERS:
            break
    return numbers + dashes if numbers or dashes > 1 else 0


def row_lines(lines: Sequence[str]) -> list[bool]:
    """For each line, whether it is a row or a column head of a table."""
    cells = [numeric_cells(line.rstrip()) for line in lines]
    rows = [count >= 2 and not _in_prose(line) for count, line in zip(cells, lines, strict=True)]
    sure = [index for index, row in enumerate(rows) if row]
    for index in sure:
        _mark_beside(rows, cells, lines, index)
    for index in sure:
        _mark_heads(rows, lines, index)
    for earlier, later in pairwise(sure):
        _mark_between(rows, lines, earlier, later)
    return rows


def row_spans(lines: Sequence[str], starts: Sequence[int]) -> tuple[Span, ...]:
    """The rows among `lines` as spans without their line ends."""
    flags = row_lines(lines)
    return tuple(
        Span(start, start + len(line.rstrip("\r")))
        for line, start, row in zip(lines, starts, flags, strict=False)
        if row and line.strip()
    )


def _in_prose(line: str) -> bool:
    """A sentence that happens to break after two numbers has many words before them."""
    return len(line) > 110 and sum(word.islower() for word in line.split()) > 14


def _mark_beside(rows: list[bool], cells: Sequence[int], lines: Sequence[str], index: int) -> None:
    """Extend a sure row over its neighbours that end in one number ("Total assets 5,000")."""
    for step in (-1, 1):
        at = index + step
        while 0 <= at < len(rows) and not rows[at] and cells[at] == 1 and not _in_prose(lines[at]):
            rows[at] = True
            at += step


def _mark_between(rows: list[bool], lines: Sequence[str], earlier: int, later: int) -> None:
    """Mark what stands between two near rows: labels that are wrapped, and headings of a group of rows."""
    between = [at for at in range(earlier + 1, later) if not rows[at]]
    if 0 < len(between) <= _LINES_BETWEEN and all(_is_label(lines[at].strip()) for at in between):
        for at in between:
            rows[at] = bool(lines[at].strip())


def _is_label(line: str) -> bool:
    return len(line) <= _HEAD_CHARACTERS and not line.endswith(".") and heading_of(line) is None


def _mark_heads(rows: list[bool], lines: Sequence[str], index: int) -> None:
    at = index - 1
    while at >= max(0, index - _HEADS_ABOVE) and not rows[at]:
        line = lines[at].strip()
        if line and (len(line) > _HEAD_CHARACTERS or line[-1] in ".;" or not _is_head(line)):
            return
        if line:
            rows[at] = True
        at -= 1


def _is_head(line: str) -> bool:
    goes_on = line[0].islower() and len(line) > 60
    if goes_on or _NAMED.match(line):
        return False
    words = line.lower().translate(_PUNCTUATION).split()
    return not _HEAD_WORDS.isdisjoint(words) or _YEAR.search(line) is not None
