"""The budgeted map: what was granted, read and left of every node, from a trace's events.

`TreeMap` holds one array over all nodes each, made once, so that **a picture of it costs as much as it has rows**,
however large the tree. Which rows those are is `rows`' to choose; what the tree is like, `shapes` knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Mapped,
    Read,
    Released,
    Reserved,
    Settled,
    Started,
)
from hierarchy.trace import Trace
from hierarchy.viewer.shapes import FAR, Ints, Shape
from hierarchy.viewer.sorting import SortedTrace, is_gathered

__all__ = ["WHOLE", "Shape", "State", "TreeMap", "granted_by_node", "state_of"]

State = Literal["verbatim", "part", "refined", "granted", "coarse", "unread"]
"""How closely a branch was looked at. `part`: some of it verbatim; `refined`: a call read it and told what it holds;
`granted`: it may be read, and wasn't so far."""


WHOLE = 0.9
"""Share from which a branch counts as read whole: headings and page furniture aren't read for their own sake."""


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
        return _Happened(SortedTrace.of_trace(trace), shape).map()

    def state(self, number: int) -> State:
        """How closely a node was looked at."""
        amounts = (self.shape.tokens, self.read, self.refined, self.coarse, self.granted)
        return state_of(*(int(each[number]) for each in amounts))


def state_of(tokens: int, read: int, refined: int, coarse: int, granted: int = 0) -> State:
    """How closely something of so many tokens was looked at of which so many were read, refined, seen, granted.

    Example:
        >>> state_of(100, 95, 0, 0), state_of(100, 10, 0, 0), state_of(100, 0, 0, 0)
        ('verbatim', 'part', 'unread')
    """
    if read and read >= WHOLE * tokens:
        return "verbatim"
    if read and read >= refined:
        return "part"
    if refined:
        return "refined"
    if granted:
        return "granted"
    return "coarse" if coarse else "unread"


def granted_by_node(trace: Trace) -> dict[str, int]:
    """Tokens granted to each node, dotted, in all rounds together: a later one grants again what it keeps."""
    granted: dict[str, int] = {}
    for allocated in trace.of(Allocated):
        now: dict[str, int] = {}
        for grant in allocated.grants:
            now[grant.node] = now.get(grant.node, 0) + grant.tokens
        granted.update({node: max(tokens, granted.get(node, 0)) for node, tokens in now.items()})
    return granted


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
            [(files.get(each.source, 0) * FAR + each.start, files.get(each.source, 0) * FAR + each.end)
             for each in trace.of(Read) if 0 <= each.start < each.end < FAR]
        ) > 0  # fmt: skip
        grants = granted_by_node(trace)
        refined, coarse = self._seen(grants, read)
        granted = self._at(grants.items())
        return TreeMap(
            shape=shape,
            name=started.document if started else shape.title(0),
            relevance=self._relevance(),
            granted=granted,
            # Gathered context is what was granted: nothing tells of reading.
            read=granted if is_gathered(trace) else self._over(read),
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
                own[number] += min(max(amount, -FAR), FAR)
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

    def _seen(self, grants: Iterable[str], read: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Leaves that a call read and told of, and those seen as summaries: by the receipt, as far as there is one."""
        unread = self._left()
        coarse = self._under(one for one, seen in unread if seen == "coarse") & ~read
        branched = {event.call for event in self.trace.of(Reserved) if event.stage in ("refine", "summarise")}
        told = any(event.call in branched and not event.error for event in self.trace.of(Settled))
        if not told:
            return np.zeros(len(read), dtype=bool), coarse
        if not self.trace.of(Answered):
            return self._under(grants) & ~read, coarse
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
                with suppress(OverflowError):
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
        if file is None or not isinstance(start, int) or not 0 <= start < FAR:
            return None
        leaves = self.shape.leaves
        at = int(np.searchsorted(self.shape.ends[leaves], file * FAR + start, "right"))
        return int(leaves[at]) if at < len(leaves) else None

    def _working(self) -> tuple[int, ...]:
        closed = {event.call for event in self.trace if isinstance(event, Settled | Released)}
        open_nodes = {event.node for event in self.trace.of(Reserved) if event.call not in closed and event.node}
        numbers = {self._number(dotted) for dotted in open_nodes}
        return tuple(sorted(number for number in numbers if number is not None))
