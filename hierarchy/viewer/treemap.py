"""The budgeted map: what was granted, read and left of every node, from a trace's events; and which rows tell it best.

`Shape` is the tree as `events.Mapped` has it, `TreeMap` what happened on it: one array over all nodes each, made once,
so that **choosing rows costs as much as there are rows**, however large the tree. Rows are nodes that have a name; what
stands between them (groups, passages) counts for them. Knows neither colours nor widths (`maps` draws).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hierarchy.events import (
    Answered,
    Estimated,
    Finished,
    GrantLine,
    Mapped,
    Read,
    Released,
    Reserved,
    Settled,
    Started,
)
from hierarchy.trace import Trace

__all__ = ["Row", "Shape", "State", "TreeMap"]

Ints = NDArray[np.int64]

State = Literal["verbatim", "part", "refined", "granted", "coarse", "unread"]
"""How closely a branch was looked at. `part`: some of it verbatim; `refined`: a call read it and told what it holds;
`granted`: it may be read, and wasn't so far."""

_STRUCTURE = frozenset({"folder", "document", "section", "page"})
_HOLDERS = frozenset({"folder", "document"})
# Headings and page furniture aren't read for their own sake, so that a branch read whole falls short of all its tokens.
_WHOLE = 0.9
_MOST_ROWS_OF_ONE = 10
# A branch that got less of all that was granted and read has no row of its own, unless it is quoted.
_LITTLE = 0.02
_FAR = 1 << 40  # More characters than any file has: a place is a file's number times this, and a character.


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A tree's shape, by node number; not slotted, for what is worked out once is kept.

    Attributes:
        parents: Number of the parent, -1 for the root; a node's own number is greater.
        tokens: What each node's text counts.
        pages: Page of its first character; 0 without pages.
        begins: Where it begins, as one number over all files.
        ends: Where it ends.
        kinds: What it is, as index into `kind_names`.
        kind_names: What kinds there are.
        titles: Titles by number.
    """

    parents: Ints
    tokens: Ints
    pages: Ints
    begins: Ints
    ends: Ints
    kinds: Ints
    kind_names: tuple[str, ...]
    titles: Mapping[int, str]

    @classmethod
    def of(cls, mapped: Mapped | None) -> Shape | None:
        """The shape that an event tells; None if there is none, or it tells of no tree."""
        if mapped is None:
            return None
        try:
            columns = [mapped.parents, mapped.kinds, mapped.tokens, mapped.files, mapped.starts, mapped.ends]
            parents, kinds, tokens, files, starts, ends, pages = (
                np.asarray(column, dtype=np.int64) for column in (*columns, mapped.pages)
            )
        except (OverflowError, TypeError, ValueError):
            return None
        count = len(parents)
        if not count or any(len(column) != count for column in (kinds, tokens, files, starts, ends, pages)):
            return None
        if parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, count)).any():
            return None
        return cls(
            parents=parents,
            tokens=tokens,
            pages=pages,
            begins=files * _FAR + starts,
            ends=files * _FAR + ends,
            kinds=kinds,
            kind_names=mapped.kind_names,
            titles={int(number): str(title) for number, title in mapped.titles.items() if number.isdecimal()},
        )

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.parents)

    @cached_property
    def last(self) -> Ints:
        """For each node, one past the number of the last node below it."""
        sizes = [1] * len(self)
        parents = self.parents.tolist()
        for number in range(len(sizes) - 1, 0, -1):
            sizes[parents[number]] += sizes[number]
        return np.arange(len(self), dtype=np.int64) + np.array(sizes, dtype=np.int64)

    @cached_property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Which nodes have nothing below them."""
        leaf = np.ones(len(self), dtype=bool)
        leaf[self.parents[1:]] = False
        return leaf

    @cached_property
    def leaves(self) -> Ints:
        """Numbers of the leaves, in document order."""
        return np.flatnonzero(self.is_leaf)

    @cached_property
    def named(self) -> NDArray[np.bool_]:
        """Which nodes a reader has a name for."""
        names = [name in _STRUCTURE for name in self.kind_names]
        known = np.array([*names, False])[np.clip(self.kinds, 0, len(names))]
        known[[number for number in self.titles if number < len(self)]] = True
        known[0] = True
        return known

    @cached_property
    def _below(self) -> tuple[list[int], list[int]]:
        order = np.argsort(self.parents, kind="stable")
        return order.tolist(), np.searchsorted(self.parents[order], np.arange(len(self) + 1)).tolist()

    @cached_property
    def _named_below(self) -> tuple[Ints, Ints]:
        """Named nodes by the nearest named node above them, and where each one's begin."""
        above = np.full(len(self), -1)
        parents, named = self.parents.tolist(), self.named.tolist()
        nearest = [0] * len(parents)
        for number in range(1, len(parents)):
            parent = parents[number]
            nearest[number] = parent if named[parent] else nearest[parent]
        above[self.named] = np.array(nearest)[self.named]
        above[0] = -1
        numbers = np.flatnonzero(self.named)
        order = numbers[np.argsort(above[numbers], kind="stable")]
        return order, np.searchsorted(above[order], np.arange(len(self) + 1))

    def children(self, number: int) -> list[int]:
        """Numbers of a node's children."""
        order, edges = self._below
        return order[edges[number] : edges[number + 1]]

    def parts(self, number: int) -> Ints:
        """What a reader would call a node's parts: the nearest named nodes below it; of a text without names, children.

        A section without sections has none: its passages aren't told apart.
        """
        order, edges = self._named_below
        found = order[edges[number] : edges[number + 1]]
        if not len(found) and (number == 0 or self.kind(number) in _HOLDERS):
            return np.array(self.children(number), dtype=np.int64)
        return found

    def number(self, dotted: str) -> int | None:
        """Number of the node with a dotted id; None if there is none."""
        root, *steps = dotted.split(".")
        if root != "0":
            return None
        number = 0
        for step in steps:
            below = self.children(number)
            if not step.isdecimal() or int(step) >= len(below):
                return None
            number = below[int(step)]
        return number

    def kind(self, number: int) -> str:
        """What a node is."""
        kind = int(self.kinds[number])
        return self.kind_names[kind] if 0 <= kind < len(self.kind_names) else "part"

    def title(self, number: int) -> str:
        """What a reader would call a node, as far as the shape tells it."""
        declared = self.titles.get(number)
        if declared:
            return declared
        inside = (
            np.flatnonzero(self.named[number + 1 : self.last[number]])[[0, -1]] if self._holds_names(number) else ()
        )
        titled = [self.titles[number + 1 + int(at)] for at in inside if number + 1 + int(at) in self.titles]
        if titled:
            return titled[0] if titled[0] == titled[-1] else f"{titled[0]} – {titled[-1]}"
        first, last = self.page_range(number)
        place = f"page {first}" if first else f"characters {self.begins[number] % _FAR:,}–{self.ends[number] % _FAR:,}"
        return f"{self.kind(number)}, {f'pages {first}–{last}' if first and first != last else place}"

    def _holds_names(self, number: int) -> bool:
        return bool(self.named[number + 1 : self.last[number]].any())

    def page_range(self, number: int) -> tuple[int, int]:
        """First and last page that something begins on; zeros without pages."""
        return int(self.pages[number]), int(self.pages[self.last[number] - 1])

    def runs(self, places: Sequence[tuple[int, int]]) -> Ints:
        """How many of so many stretches of text touch each leaf, as counts over `leaves`."""
        counts = np.zeros(len(self.leaves) + 1, dtype=np.int64)
        if places:
            begins, ends = np.array(places, dtype=np.int64).T
            np.add.at(counts, np.searchsorted(self.ends[self.leaves], begins, "right"), 1)
            np.add.at(counts, np.searchsorted(self.begins[self.leaves], ends, "left"), -1)
        return np.cumsum(counts)[:-1]

    def summed(self, own: Ints) -> Ints:
        """For each node, the sum of what it and all below it have of their own."""
        total = np.concatenate(([0], np.cumsum(own)))
        return np.asarray(total[self.last] - total[:-1])


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
        marks: Numbers of the quotes from it that no row below it shows.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeMap:
    """What happened on a tree: one figure per node, sums over all below it.

    Attributes:
        shape: The tree.
        name: What the root is called.
        relevance: In thousandths; None where it isn't known.
        granted: Tokens granted.
        read: Tokens read verbatim.
        refined: Tokens that calls read in branches.
        coarse: Tokens seen as summaries.
        spent: Tokens billed for calls about nodes.
        marks: Quotes' numbers, and the leaves they begin in.
        working: Nodes that calls under way are about.
    """

    shape: Shape
    name: str
    relevance: Ints | None
    granted: Ints
    read: Ints
    refined: Ints
    coarse: Ints
    spent: Ints
    marks: tuple[tuple[int, int], ...] = ()
    working: tuple[int, ...] = ()

    @classmethod
    def of(cls, trace: Trace, shape: Shape | None = None) -> TreeMap | None:
        """What a trace tells of its tree; None if it has no map of it, as traces of version 1.

        Args:
            trace: The trace.
            shape: As `Shape.of` gave it for an earlier part of the same trace.
        """
        shape = shape or Shape.of(next(iter(trace.of(Mapped)), None))
        if shape is None:
            return None
        return _Happened(trace, shape).map()

    def state(self, number: int) -> State:
        """How closely a node was looked at."""
        amounts = (self.shape.tokens, self.read, self.refined, self.coarse, self.granted)
        return _state(*(int(each[number]) for each in amounts))

    def rows(self, most: int) -> tuple[Row, ...]:
        """The rows that tell most: open where it read, folded where nothing happened, never more than `most`."""
        return _Picked(self, max(2, most)).rows()


def _state(tokens: int, read: int, refined: int, coarse: int, granted: int = 0) -> State:
    if read and read >= _WHOLE * tokens:
        return "verbatim"
    if read and read >= refined:
        return "part"
    if refined:
        return "refined"
    if granted:
        return "granted"
    return "coarse" if coarse else "unread"


@dataclass(frozen=True, kw_only=False)
class _Happened:
    """Reads off a trace what belongs to which node."""

    trace: Trace
    shape: Shape
    _numbers: dict[str, int | None] = field(default_factory=dict)

    def map(self) -> TreeMap:
        shape, trace = self.shape, self.trace
        started = next(iter(trace.of(Started)), None)
        files = {name: number for number, name in reversed(list(enumerate(started.source_names)))} if started else {}
        read = shape.runs(
            [(files.get(each.source, 0) * _FAR + each.start, files.get(each.source, 0) * _FAR + each.end)
             for each in trace.of(Read) if 0 <= each.start < each.end < _FAR]
        ) > 0  # fmt: skip
        grants = trace.grants()
        refined, coarse = self._seen(grants, read)
        granted = self._at((grant.node, grant.tokens) for grant in grants)
        # Gathered context is what was granted: nobody was called, and nothing told of reading.
        gathered = trace.of(Finished) and not trace.of(Answered) and not trace.of(Reserved)
        return TreeMap(
            shape=shape,
            name=started.document if started else shape.title(0),
            relevance=self._relevance(),
            granted=granted,
            read=granted if gathered else self._over(read),
            refined=self._over(refined),
            coarse=self._over(coarse),
            spent=self._spent(),
            marks=self._marks(files),
            working=self._working(),
        )

    def _number(self, dotted: str) -> int | None:
        if dotted not in self._numbers:
            self._numbers[dotted] = self.shape.number(dotted)
        return self._numbers[dotted]

    def _over(self, leaves: NDArray[np.bool_]) -> Ints:
        """Tokens of some leaves, for every node above them."""
        own = np.zeros(len(self.shape), dtype=np.int64)
        chosen = self.shape.leaves[leaves]
        own[chosen] = self.shape.tokens[chosen]
        return self.shape.summed(own)

    def _at(self, amounts: Iterable[tuple[str, int]]) -> Ints:
        """Amounts given by node, for every node above them."""
        own = np.zeros(len(self.shape), dtype=np.int64)
        for dotted, amount in amounts:
            number = self._number(dotted)
            if number is not None:
                own[number] += amount
        return self.shape.summed(own)

    def _under(self, nodes: Iterable[str]) -> NDArray[np.bool_]:
        """Which leaves stand below some nodes."""
        counts = np.zeros(len(self.shape) + 1, dtype=np.int64)
        for dotted in nodes:
            number = self._number(dotted)
            if number is not None:
                counts[number] += 1
                counts[self.shape.last[number]] -= 1
        return np.asarray(np.cumsum(counts)[:-1][self.shape.leaves] > 0)

    def _seen(
        self, grants: Sequence[GrantLine], read: NDArray[np.bool_]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Leaves that a call read and told of, and those seen as summaries: by the receipt, as far as there is one."""
        unread = self._left()
        coarse = self._under(one for one, seen in unread if seen == "coarse") & ~read
        branched = {event.call for event in self.trace.of(Reserved) if event.stage in ("refine", "summarise")}
        told = any(event.call in branched and not event.error for event in self.trace.of(Settled))
        if not told:
            return np.zeros(len(read), dtype=bool), coarse
        if not self.trace.of(Answered):
            return self._under(grant.node for grant in grants) & ~read, coarse
        # The receipt lists all that wasn't read, but for page furniture.
        return ~self._under(one for one, _ in unread) & ~self._is_furniture() & ~read, coarse

    def _is_furniture(self) -> NDArray[np.bool_]:
        names = self.shape.kind_names
        kind = names.index("furniture") if "furniture" in names else -1
        return np.asarray(self.shape.kinds[self.shape.leaves] == kind)

    def _left(self) -> list[tuple[str, str]]:
        """Nodes of which nothing was read, and how they were seen."""
        listed = self.trace.receipt().get("unread") or ()
        return [(str(one.get("node", "")), str(one.get("seen", "no"))) for one in listed if isinstance(one, Mapping)]

    def _relevance(self) -> Ints | None:
        for estimated in reversed(self.trace.of(Estimated)):
            if len(estimated.relevance_permille) == len(self.shape):
                return np.asarray(estimated.relevance_permille, dtype=np.int64)
        return None

    def _spent(self) -> Ints:
        about = {event.call: event.node for event in self.trace.of(Reserved) if event.node}
        ends = [event for event in self.trace if isinstance(event, Settled | Released) and event.call in about]
        return self._at((about[event.call], event.usage.total_tokens) for event in ends)

    def _marks(self, files: Mapping[str, int]) -> tuple[tuple[int, int], ...]:
        answered = self.trace.of(Answered)
        found = []
        for mark, citation in enumerate(answered[-1].citations if answered else (), 1):
            leaf = self._leaf(files, citation) if citation.get("verified") else None
            if leaf is not None:
                found.append((mark, leaf))
        return tuple(found)

    def _leaf(self, files: Mapping[str, int], citation: Mapping[str, Any]) -> int | None:
        """The leaf that a quote begins in."""
        file, start = files.get(str(citation.get("source"))), citation.get("start")
        if file is None or not isinstance(start, int) or not 0 <= start < _FAR:
            return None
        leaves = self.shape.leaves
        at = int(np.searchsorted(self.shape.ends[leaves], file * _FAR + start, "right"))
        return int(leaves[at]) if at < len(leaves) else None

    def _working(self) -> tuple[int, ...]:
        closed = {event.call for event in self.trace if isinstance(event, Settled | Released)}
        open_nodes = {event.node for event in self.trace.of(Reserved) if event.call not in closed and event.node}
        numbers = {self._number(dotted) for dotted in open_nodes}
        return tuple(sorted(number for number in numbers if number is not None))


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
        if len(parts) - count == 1 and count < most:
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
            return None
        return Row(
            node=number,
            depth=0,
            title="text of its own",
            tokens=left[0],
            state=_state(*left),
            granted=max(0, left[4]),
            read=left[1],
            seen=left[2],
        )

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
        inside = [(one, int(shape.last[one])) for one in shown]
        marks = [
            mark
            for mark, leaf in tree_map.marks
            if number <= leaf < end and not any(low <= leaf < high for low, high in inside)
        ]
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
            marks=tuple(marks),
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
            state=_state(tokens, read, refined, coarse, granted),
            granted=granted,
            read=read,
            seen=refined,
            folded=len(rest),
        )


def _placed(row: Row, depth: int, *, last: bool) -> Row:
    return replace(row, depth=depth, last=last)
