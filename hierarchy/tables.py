"""What a table's row needs to be understood: its column heads, its unit, and where its table begins and ends.

A row says little by itself: "Goodwill 473.7 398.7" lacks two dates and the millions, which stand lines above, on the
same page if there are pages. Pipes (Markdown), tabs and lines out of PDF are all read as leaves of the tree.

Pure functions of a tree; what several questions ask for is looked for once, and kept with the tree. Doesn't know
questions, relevance or prompts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Concatenate, ParamSpec, TypeVar

import numpy as np

from hierarchy.segments import LeafKind
from hierarchy.tree import SummaryTree

__all__ = [
    "RowContext",
    "document_defaults",
    "passage_context",
    "row_context",
    "row_contexts",
    "says_nothing",
    "table_of",
]

# As plain numbers: they are compared for every leaf near a table, and an enum's lookup is slow.
_ROW, _HEADING, _FURNITURE = (int(kind) for kind in (LeafKind.ROW, LeafKind.HEADING, LeafKind.FURNITURE))

# A table longer than this is followed no further; lines within a table that are no rows are this short, and this many
# follow each other at most.
_MAX_ROWS, _GAP_TOKENS, _GAP_LEAVES = 400, 36, 3
_HEADS_ABOVE, _MAX_HEADS = 4, 6
_UNIT_ABOVE = 12
_STACKED_LINE, _STACKED_LONGEST = 32, 90
_LINE_CHARACTERS = 160

_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|sept|oct|nov|dec)(?:\.|[a-z]{1,7})?"
_DATE = re.compile(
    rf"\b{_MONTH}\s+\d{{1,2}}(?:,?\s+(?:19|20)\d\d)?\b|\b\d{{1,2}}\s+{_MONTH}(?:\s+(?:19|20)\d\d)?\b"
    r"|\b\d{1,2}[/.]\d{1,2}[/.](?:\d\d){1,2}\b|\b(?:19|20)\d\d(?:[/–-]\d\d)?\b|\bfy\s?'?\d\d\b|\bq[1-4]\b|\b[1-4]q\d*\b",
    re.IGNORECASE,
)
# What a column head may say besides, figures included, without being data.
_NO_DATA = re.compile(
    r"\(\w\)|\bnotes?\s+\d+|\b(?:\d+|two|three|four|six|nine|twelve)[ -](?:weeks?|months?|years?)",
    re.IGNORECASE,
)
_HEAD_WORD = re.compile(
    r"\b(?:years?|quarters?|months?|weeks?|periods?|fiscal|ended|ending|as of|millions?|thousands?|billions?|except|"
    r"change|total)\b",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"\d")
_SCALE = r"(?:thousands?|millions?|billions?|percent(?:ages?)?|(?:U\.?S\.? )?dollars|euros)"
_UNIT = re.compile(
    rf"\((?:[^()\n]{{0,60}}\s)?(?:{_SCALE}\b|%)[^()\n]{{0,80}}\)"
    r"|(?:(?:[$€£¥](?: and shares)?|\b(?-i:[A-Z]{3})|\bdollars|\beuros?|\bamounts|\bshares)\s{0,2})?"
    rf"\b(?:are |stated )?in {_SCALE}\b"
    r"(?: of (?-i:[A-Z$€£])[\w.]{0,12}(?: dollars)?)?(?:,? except [^.;|\n]{0,60})?"
    r"|(?:[$€£¥]|\b(?-i:[A-Z]{3}))\s?(?:(?-i:mn?|bn|k)|'000|000s|thousand|million|billion)\b",
    re.IGNORECASE,
)
_RULE = re.compile(r"[\s|:+=-]*-[\s|:+=-]*")
_LEADER = re.compile(r"\s*(?:\.\s?){4,}\s*|\s*…{2,}\s*")
_UNIT_COLUMN = re.compile(r"units?\b", re.IGNORECASE)
_YEAR_END = re.compile(
    rf"\b(?:fiscal\s+)?year\s+ended:?\s+({_MONTH}\s+\d{{1,2}},?\s+(?:19|20)\d\d)"
    rf"|\bfiscal\s+year\s+ends\s+(?:on\s+)?([^.;\n]{{0,60}}\b{_MONTH}(?:\s+\d{{1,2}})?)",
    re.IGNORECASE,
)
_COVER_CHARACTERS = 20_000

P = ParamSpec("P")
T = TypeVar("T")


def _kept(function: Callable[Concatenate[SummaryTree, P], T]) -> Callable[Concatenate[SummaryTree, P], T]:
    """Keep what a function of a tree and places in it returned: every question asks for the same tables again.

    Threads may find the same at the same time; they then find the same.
    """

    @wraps(function)
    def kept(tree: SummaryTree, /, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (function.__name__, *args, *kwargs.values())
        found: T
        if key in tree.tables:
            found = tree.tables[key]
        else:
            found = tree.tables[key] = function(tree, *args, **kwargs)
        return found

    return kept


@dataclass(frozen=True, slots=True, kw_only=True)
class RowContext:
    """What stands elsewhere and a row means nothing without.

    Attributes:
        heads: Lines of its column heads, topmost first.
        unit: Unit or scale of its figures, as the document writes it; empty if none is stated.
        section: Titles of the sections it stands in, outermost first.
    """

    heads: tuple[str, ...] = ()
    unit: str = ""
    section: str = ""

    @property
    def line(self) -> str:
        """Heads and unit as one line; empty if neither is known. The section is a passage's heading already."""
        heads = " / ".join(self.heads)
        return heads if not self.unit or self.unit in heads else f"{heads} · {self.unit}" if heads else self.unit


def row_context(tree: SummaryTree, leaf: int) -> RowContext:
    """The column heads, unit and section of a row.

    The heads are the nearest above it within its table; stacked lines are all taken. The unit is the row's own where
    the table has a column for it, else the nearest stated above the row on its page.

    Args:
        tree: The tree.
        leaf: Index of a leaf; one that is no row has a section only.
    """
    return next(row_contexts(tree, (leaf,)))


def row_contexts(tree: SummaryTree, leaves: Iterable[int]) -> Iterator[RowContext]:
    """The context of each of several leaves, ascending; what neighbouring rows share is looked for once."""
    heads: tuple[int, ...] = ()
    lines: tuple[str, ...] = ()
    unit, before = "", -1
    for leaf in leaves:
        section = tree.heading(leaf)
        if not _is_row(tree, leaf):
            yield RowContext(section=section)
            continue
        if before != leaf - 1 or not _same_place(tree, before, leaf) or _is_head(tree, before) or _is_head(tree, leaf):
            heads = _head_leaves(tree, leaf)
            lines = tuple(_clean(tree, head) for head in heads)
            unit = _unit_above(tree, leaf, table_of(tree, leaf)[0])
        before = leaf
        yield RowContext(heads=lines, unit=_unit_cell(tree, heads, leaf) or unit, section=section)


def passage_context(tree: SummaryTree, low: int, high: int) -> str:
    """The line that leaves `low` to `high` need in front: heads and unit of their first row, where these stand outside.

    Empty if there is no row among the leaves, or its heads are.
    """
    row = next((leaf for leaf in range(low, high) if _is_row(tree, leaf) and not _is_head(tree, leaf)), None)
    if row is None:
        return ""
    heads = tuple(_clean(tree, head) for head in _head_leaves(tree, row) if head < low)
    inside = any(_UNIT.search(_line(tree, leaf)) for leaf in range(low, row))
    unit = "" if inside else _unit_above(tree, row, table_of(tree, row)[0])
    return RowContext(heads=heads, unit=unit).line


@_kept
def table_of(tree: SummaryTree, leaf: int) -> tuple[int, int]:
    """The leaves of the whole table around a row, as half-open bounds, column heads and lines within it included.

    A table ends at a page's end, at running text, and where other column heads begin.

    Returns:
        The bounds; those of the leaf itself if it is no row.
    """
    if not _is_row(tree, leaf):
        return leaf, leaf + 1
    high = leaf + 1
    # A head belongs to the rows below it, whatever stands above.
    for below in _rows(tree, leaf, 1):
        if _is_full_head(tree, below) and not _all_heads(tree, leaf, below):
            break
        high = below + 1
    low = leaf
    for above in _rows(tree, leaf, -1):
        if _is_full_head(tree, low) and not _is_head(tree, above):
            break
        low = above
    low = min([low, *_heads_on_top(tree, low)])
    return low, _without_new_heads(tree, high, leaf)


@_kept
def document_defaults(tree: SummaryTree, file: int = 0) -> str:
    """One line on what holds for a whole file: the scale of its tables and the end of its fiscal year.

    Only what the document states, the scale only if most of its tables agree on it.

    Args:
        tree: The tree.
        file: Index of the file in `tree.files`.

    Returns:
        About 20 tokens; empty if the file states neither.
    """
    parts = [part for part in (_usual_scale(tree, file), _year_end(tree.files[file].text)) if part]
    return f"Unless stated otherwise: {'; '.join(parts)}." if parts else ""


@_kept
def says_nothing(tree: SummaryTree, leaf: int) -> bool:
    """Whether a row is dates, units and rules only: it tells what other rows mean, and nothing by itself."""
    if not _is_row(tree, leaf):
        return False
    rest = _HEAD_WORD.sub(" ", _NO_DATA.sub(" ", _DATE.sub(" ", _UNIT.sub(" ", _line(tree, leaf)))))
    return not any(mark.isalnum() for mark in rest)


# -- lines of a table --------------------------------------------------------------------------------------------------


def _line(tree: SummaryTree, leaf: int) -> str:
    return " ".join(tree.leaf_text(leaf).split())


def _clean(tree: SummaryTree, leaf: int) -> str:
    """A row as a reader would write it: no dot leaders, one bar between cells."""
    line = _LEADER.sub(" ", _line(tree, leaf))
    return " | ".join(_cells(line)) if "|" in line else line


def _cells(line: str) -> list[str]:
    """Cells between bars, empty ones kept unless they are at the edge, which a leading bar makes."""
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def _is_row(tree: SummaryTree, leaf: int) -> bool:
    return bool(tree.leaves.kind[leaf] == _ROW) or _is_rule(tree, leaf)


@_kept
def _is_rule(tree: SummaryTree, leaf: int) -> bool:
    """Whether it is the line of dashes below a Markdown table's heads."""
    text = tree.leaf_text(leaf)
    return "|" in text and _RULE.fullmatch(text[:_LINE_CHARACTERS]) is not None


@_kept
def _is_head(tree: SummaryTree, leaf: int) -> bool:
    """Whether a line names columns: dates, units or such words, and no figures besides."""
    if _is_rule(tree, leaf) or _above_rule(tree, leaf):
        return True
    return _names_head(_line(tree, leaf))


@lru_cache(maxsize=16_384)
def _names_head(line: str) -> bool:
    # Where cells have bars, heads are told by the rule below them; a date in a cell is data.
    if "|" in line or len(line) > _LINE_CHARACTERS or (line.endswith((".", ";")) and not _DATE.search(line)):
        return False
    rest = _NO_DATA.sub(" ", _DATE.sub(" ", _UNIT.sub(" ", line)))
    return not _FIGURE.search(rest) and bool(_DATE.search(line) or _UNIT.search(line) or _HEAD_WORD.search(line))


@_kept
def _is_full_head(tree: SummaryTree, leaf: int) -> bool:
    """Whether a line by itself names several columns."""
    if not _is_head(tree, leaf):
        return False
    if _is_rule(tree, leaf) or _above_rule(tree, leaf):
        return True
    line = _line(tree, leaf)
    unit = _UNIT.search(line)
    named = bool(unit and unit.start() < 3 and len(line[unit.end() :].split()) > 1)
    return named or len(_DATE.findall(line)) > 1


def _above_rule(tree: SummaryTree, leaf: int) -> bool:
    below = leaf + 1
    return below < len(tree.leaves) and _same_place(tree, leaf, below) and _is_rule(tree, below)


def _all_heads(tree: SummaryTree, low: int, high: int) -> bool:
    return all(_is_head(tree, leaf) for leaf in range(low, high) if _is_row(tree, leaf))


def _same_place(tree: SummaryTree, leaf: int, other: int) -> bool:
    """Whether two leaves stand in one file and on one page."""
    leaves = tree.leaves
    return bool(leaves.file[leaf] == leaves.file[other] and leaves.page[leaf] == leaves.page[other])


def _rows(tree: SummaryTree, leaf: int, step: int) -> Iterator[int]:
    """The rows above or below a row that may belong to its table, nearest first."""
    at, gap, last = leaf + step, 0, leaf
    while 0 <= at < len(tree.leaves) and abs(at - leaf) < _MAX_ROWS and _same_place(tree, leaf, at):
        if _blank_between(tree, min(at, at - step), max(at, at - step)):
            return
        if _is_row(tree, at):
            yield at
            gap, last = 0, at
        elif tree.leaves.kind[at] != _FURNITURE:
            gap += 1
            if gap > _GAP_LEAVES or not _may_interrupt(tree, at) or "|" in tree.leaf_text(last):
                return
        at += step


def _blank_between(tree: SummaryTree, above: int, below: int) -> bool:
    """Whether a blank line parts two rows with bars, which ends a Markdown table. Lines out of a PDF may have any."""
    text = tree.leaf_text(above)
    behind = text[len(text.rstrip()) :]
    return "|" in text and "|" in tree.leaf_text(below) and behind.count("\n") > 1


def _may_interrupt(tree: SummaryTree, leaf: int) -> bool:
    """A short line such as "Current assets" within a table."""
    return bool(tree.leaves.tokens[leaf] <= _GAP_TOKENS) and not _line(tree, leaf).endswith((".", ";"))


def _without_new_heads(tree: SummaryTree, high: int, leaf: int) -> int:
    """The end of a table without the heads behind it, which are those of the next one."""
    while high - 1 > leaf and (not _is_row(tree, high - 1) or _is_head(tree, high - 1)):
        high -= 1
    return high


# -- heads and units ---------------------------------------------------------------------------------------------------


@_kept
def _head_leaves(tree: SummaryTree, leaf: int) -> tuple[int, ...]:
    """The heads above a row, topmost first.

    These are the nearest line that names several columns, what is stacked on it, and the heading line of the row's own
    part of the table ("Balance sheet, September 28, 2024"), if it has one.
    """
    found: list[int] = []
    low, before = leaf, leaf
    for above in _rows(tree, leaf, -1):
        if _is_full_head(tree, low) and not _is_head(tree, above):
            break
        if _is_head(tree, above) and (not found or found[-1] == before or _is_full_head(tree, above)):
            found.append(above)
        before = low = above
    stacked = _heads_on_top(tree, low)
    heads = [head for head in (*stacked, *found[:_MAX_HEADS]) if not _is_rule(tree, head)]
    if not heads and low < leaf and _names_columns(tree, low, leaf):
        heads = [low]
    return tuple(sorted(heads))


def _heads_on_top(tree: SummaryTree, low: int) -> list[int]:
    """Lines such as "Year ended December 31," that stand right on the table without being rows of it."""
    stacked: list[int] = []
    for above in range(low - 1, max(-1, low - 1 - _HEADS_ABOVE), -1):
        kind = tree.leaves.kind[above]
        if kind in (_FURNITURE, _HEADING) or not _same_place(tree, low, above):
            break
        if _is_stack(tree, above):
            return [*stacked, above]
        if not _may_interrupt(tree, above) or not _is_head(tree, above):
            break
        stacked.append(above)
    return stacked


def _is_stack(tree: SummaryTree, leaf: int) -> bool:
    """Whether it is heads of several short lines, as narrow columns make them: "November 27,", "2015", "Revenue:"."""
    lines = [line for line in tree.leaf_text(leaf).split("\n") if line.strip()]
    sizes = sorted(map(len, lines))
    if _is_row(tree, leaf) or len(lines) < 2 or lines[-1].rstrip().endswith((".", ";", ",")):
        return False
    return sizes[len(sizes) // 2] <= _STACKED_LINE and sizes[-1] <= _STACKED_LONGEST


def _names_columns(tree: SummaryTree, first: int, leaf: int) -> bool:
    """Whether a table's first row names its columns by words: in tables with cells, as many as the row has."""
    head, row = tree.leaf_text(first), tree.leaf_text(leaf)
    bar = next((mark for mark in ("|", "\t", ",") if mark in head and mark in row), "")
    return bool(bar) and head.count(bar) == row.count(bar) and not _FIGURE.search(_DATE.sub(" ", head))


def _unit_cell(tree: SummaryTree, heads: tuple[int, ...], leaf: int) -> str:
    """The row's own unit, from a column that is headed "Unit"."""
    row = _cells(_line(tree, leaf))
    for head in heads:
        for column, name in enumerate(_cells(_line(tree, head))):
            if _UNIT_COLUMN.match(name) and 0 < column < len(row) and row[column]:
                return row[column]
    return ""


@_kept
def _unit_above(tree: SummaryTree, leaf: int, low: int) -> str:
    """The unit stated nearest above a row: within its table, else in a short line of the page over the table."""
    for above in range(leaf, low - 1, -1):
        if (_is_head(tree, above) or not _is_row(tree, above)) and (unit := _unit_in(tree.leaf_text(above))):
            return unit
    for above in range(low - 1, max(-1, low - 1 - _UNIT_ABOVE), -1):
        if not _same_place(tree, leaf, above) or (_is_row(tree, above) and not _is_head(tree, above)):
            break
        line = _line(tree, above)
        if len(line) <= _LINE_CHARACTERS and not line.endswith(".") and (unit := _unit_in(tree.leaf_text(above))):
            return unit
    return ""


def _unit_in(text: str) -> str:
    """The first unit that a line of the text states; stacked heads are several lines, and a unit ends with its own."""
    found = next((match for line in text.split("\n") if (match := _UNIT.search(line))), None)
    return found.group().strip() if found else ""


def _usual_scale(tree: SummaryTree, file: int) -> str:
    """The scale that most tables of a file state, with their currency."""
    leaves = tree.leaves
    rows = np.flatnonzero((leaves.file == file) & (leaves.kind == _ROW)).tolist()
    scales: Counter[str] = Counter()
    signs: Counter[str] = Counter()
    for leaf in rows:
        text = tree.leaf_text(leaf)
        signs.update(sign for sign in "$€£¥" if sign in text)
        unit = _unit_in(text).lower() if "illion" in text or "housand" in text else ""
        scales.update(word for word in ("thousand", "million", "billion") if word in unit and "shares in" not in unit)
    if not scales:
        return ""
    scale, count = max(scales.items(), key=lambda item: item[1])
    if count * 2 <= scales.total() or count < 2:
        return ""
    sign = f" {max(signs.items(), key=lambda item: item[1])[0]}" if signs else ""
    return f"tables in{sign} {scale}s"


def _year_end(text: str) -> str:
    found = _YEAR_END.search(text, 0, _COVER_CHARACTERS)
    if not found:
        return ""
    date = " ".join((found.group(1) or found.group(2)).split())
    return f"fiscal year ended {date}" if found.group(1) else f"fiscal year ends {date}"
