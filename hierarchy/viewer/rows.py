"""Which rows tell a map best: open where it read, folded where nothing happened, never more than there is room for.

Rows are nodes that a reader has a name for; what stands between them (groups, passages) counts for them. The branch
where most happened is opened first, those that are quoted before all others. Knows neither colours nor widths (`maps`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hierarchy.viewer.shapes import Ints
from hierarchy.viewer.treemap import State, TreeMap, state_of

__all__ = ["OWN_TEXT", "SEVERAL_PARTS", "Row", "rows_of"]

OWN_TEXT, SEVERAL_PARTS = "text of its own", "over several parts"
"""Titles of rows for what stands beside a branch's parts, and for what reaches over several of them."""

_MOST_ROWS_OF_ONE = 10
# A branch that got less of all that was granted and read has no row of its own, unless it is quoted.
_LITTLE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the map.

    Attributes:
        node: Its number; that of the open node for what is folded, or text of its own.
        depth: How far from the root.
        last: Whether nothing beside it follows.
        title: What a reader would call it.
        pages: First and last page; None without pages.
        tokens: What its text counts.
        relevance: Estimated; None where it isn't known.
        state: How closely it was looked at.
        granted: Tokens granted in it.
        read: Tokens of it read verbatim.
        seen: Tokens of it that calls read and told of.
        spent: Tokens billed for calls about it.
        working: Whether a call about it is under way.
        marks: Numbers of the quotes from it; those of an open branch stand on the rows below it.
        folded: How many parts it stands for; 0 for a row of one.
    """

    node: int
    depth: int
    last: bool = False
    title: str = ""
    pages: tuple[int, int] | None = None
    tokens: int = 0
    relevance: float | None = None
    state: State = "unread"
    granted: int = 0
    read: int = 0
    seen: int = 0
    spent: int = 0
    working: bool = False
    marks: tuple[int, ...] = ()
    folded: int = 0


def rows_of(tree_map: TreeMap, most: int) -> tuple[Row, ...]:
    """The rows that tell most of a map; at most so many, and at least two."""
    return _Picked(tree_map, max(2, most)).rows()


class _Picked:
    """Chooses rows: the branch where most happened is opened first, as long as there is room."""

    def __init__(self, tree_map: TreeMap, most: int) -> None:
        self.map, self.most = tree_map, most
        self.activity = tree_map.read + tree_map.refined + tree_map.coarse + tree_map.granted
        for number in tree_map.working:
            self.activity[number] += 1
        self.quoted = np.zeros(len(tree_map.shape), dtype=np.int64)
        for _, leaf in tree_map.marks:
            self.quoted[leaf] += 1
        self.quoted = tree_map.shape.summed(self.quoted)
        self.little = _LITTLE * int(self.activity[0])
        self.opened: dict[int, list[int]] = {}

    def rows(self) -> tuple[Row, ...]:
        self._open(0)
        pending, used = list(self.opened.get(0, ())), 1 + self._lines(0)
        while pending:
            pending.sort(key=lambda number: (self.quoted[number] > 0, self.activity[number], -number))
            number = pending.pop()
            if self.map.state(number) == "verbatim" or not self._active(self.map.shape.parts(number)).any():
                continue  # All of it, or nothing below it: there is nothing to tell apart.
            shown = self._shown(number, self.most - used - 2)
            if not shown:
                continue
            self.opened[number] = shown
            if used + self._lines(number) > self.most:
                del self.opened[number]
                continue
            used += self._lines(number)
            pending += shown
        return tuple(self._drawn(0, 0))

    def _open(self, number: int) -> None:
        shown = self._shown(number, self.most - 3)
        if shown:
            self.opened[number] = shown

    def _active(self, numbers: Ints) -> NDArray[np.bool_]:
        return np.asarray((self.activity[numbers] > self.little) | (self.quoted[numbers] > 0))

    def _shown(self, number: int, room: int) -> list[int]:
        """Which parts of an open node have a row: where something happened, the most of it first; in document order."""
        parts = self.map.shape.parts(number)
        most = min(max(1, room), _MOST_ROWS_OF_ONE)
        relevance = self.map.relevance
        likely = np.zeros(len(parts)) if relevance is None else relevance[parts]
        # What is quoted, then by what happened, then by what seemed relevant; ties in document order.
        order = np.lexsort((np.arange(len(parts)), -likely, -self.activity[parts], self.quoted[parts] == 0))
        active = int(self._active(parts).sum())
        count = min(most, active or min(3, most))
        if len(parts) - count == 1:
            count += 1  # A fold of one takes a line all the same.
        return sorted(parts[order[:count]].tolist())

    def _lines(self, number: int) -> int:
        """How many rows stand below an open node: its shown parts, its own text, the fold."""
        shown = self.opened.get(number, [])
        own = self._own(number)
        return len(shown) + (own is not None) + (len(self.map.shape.parts(number)) > len(shown))

    def _own(self, number: int) -> Row | None:
        """Text that stands beside the parts, if it was looked at."""
        parts, tree_map = self.map.shape.parts(number), self.map
        if not len(parts):
            return None
        left = [
            int(amounts[number] - amounts[parts].sum())
            for amounts in (tree_map.shape.tokens, tree_map.read, tree_map.refined, tree_map.coarse, tree_map.granted)
        ]
        if not any(left[1:4]):
            return None  # Nor can anything in it be quoted: what is quoted was read.
        together = left[1] > left[0]  # Context is granted by stretches, which may reach over several parts.
        return Row(
            node=number,
            depth=0,
            title=SEVERAL_PARTS if together else OWN_TEXT,
            tokens=0 if together else left[0],
            state="part" if together else state_of(*left),
            granted=max(0, left[4]),
            read=left[1],
            seen=left[2],
            marks=tuple(mark for mark in self._marks([number]) if mark not in self._marks(parts)),
        )

    def _marks(self, numbers: Iterable[int]) -> tuple[int, ...]:
        """The quotes that stand in some nodes."""
        ranges = [(int(number), int(self.map.shape.last[number])) for number in numbers] if self.map.marks else []
        return tuple(mark for mark, leaf in self.map.marks if any(low <= leaf < high for low, high in ranges))

    def _drawn(self, number: int, depth: int, *, last: bool = True) -> Iterable[Row]:
        shown = self.opened.get(number, [])
        yield self._row(number, depth, last, shown)
        below: list[int | Row] = list(shown)
        if shown:
            below += [row for row in (self._own(number), self._fold(number, shown)) if row is not None]
        for at, each in enumerate(below, 1):
            ends = at == len(below)
            if isinstance(each, Row):
                yield _placed(each, depth + 1, last=ends)
            else:
                yield from self._drawn(each, depth + 1, last=ends)

    def _row(self, number: int, depth: int, last: bool, shown: Sequence[int]) -> Row:
        tree_map, shape = self.map, self.map.shape
        first, final = shape.page_range(number)
        end = int(shape.last[number])
        return Row(
            node=number,
            depth=depth,
            last=last,
            title=tree_map.name if number == 0 else shape.title(number),
            pages=(first, final) if first and final else None,
            tokens=int(shape.tokens[number]),
            relevance=None if tree_map.relevance is None else int(tree_map.relevance[number]) / 1_000,
            state=tree_map.state(number),
            granted=int(tree_map.granted[number]),
            read=int(tree_map.read[number]),
            seen=int(tree_map.refined[number]),
            spent=int(tree_map.spent[number]),
            working=any(number <= one < end for one in tree_map.working),
            marks=() if shown else self._marks([number]),
        )

    def _fold(self, number: int, shown: Sequence[int]) -> Row | None:
        tree_map, parts = self.map, self.map.shape.parts(number)
        rest = np.setdiff1d(parts, np.array(shown, dtype=np.int64))
        if not len(rest):
            return None
        amounts = (tree_map.shape.tokens, tree_map.read, tree_map.refined, tree_map.coarse, tree_map.granted)
        tokens, read, refined, coarse, granted = (int(each[rest].sum()) for each in amounts)
        return Row(
            node=number,
            depth=0,
            tokens=tokens,
            relevance=None if tree_map.relevance is None else int(tree_map.relevance[rest].max()) / 1_000,
            state=state_of(tokens, read, refined, coarse, granted),
            granted=granted,
            read=read,
            seen=refined,
            marks=self._marks(rest),
            folded=len(rest),
        )


def _placed(row: Row, depth: int, *, last: bool) -> Row:
    return replace(row, depth=depth, last=last)
