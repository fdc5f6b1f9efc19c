"""The greedy's sequence: candidates in the order in which each adds most for its tokens to those before it.

A passage earns only what was not taken inside it already and pays only for leaves not taken yet; what stands beside a
taken passage earns a little more (`Relevance.continuity`); where it is asked which of several files, a further passage
of a file earns less. The sequence doesn't depend on a budget: `allocator` takes a prefix of it.

Source: lazy evaluation of a submodular greedy after Minoux, 1978.
Knows trees and relevance, no budgets and no policies.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator

import numpy as np

from hierarchy.relevance import Relevance
from hierarchy.tree import Ints, SummaryTree

__all__ = ["LABEL_TOKENS", "FreeLeaves", "GainSequence", "greedy"]

# A stretch that is read costs its heading line in the prompt besides its text, so that of two passages of
# equal density the longer one wins.
LABEL_TOKENS = 24

# Where it is asked which of several files, what the next passage of a file is worth against the one before.
_SAME_FILE = 0.6


def greedy(tree: SummaryTree, relevance: Relevance, chosen: Ints) -> Iterator[tuple[int, float]]:
    """Candidates with what they add, by gain per token, best first; ties go to document order.

    Lazy: most densities only fall as passages are taken, so that the first in line is the best once its own figure is
    up to date. Those that may rise are put in line again: what lies around a taken passage, and what stands beside it.
    `chosen` are indices into `relevance.candidates`.
    """
    line = _Line(tree, relevance, chosen)
    while (entry := line.pop()) is not None:
        current = line.entry(entry[1])
        if current is None:
            continue
        if current[0] > entry[0] + 1e-12 and line.is_behind(current):
            line.push(current)
            continue
        node = entry[1]
        yield node, line.gain(node)
        for other in line.take(node):
            if raised := line.entry(other):
                line.push(raised)


class GainSequence:
    """The greedy's sequence over all candidates, made as far as it is wanted and kept: it is one for all budgets."""

    def __init__(self, tree: SummaryTree, relevance: Relevance) -> None:
        self.tree = tree
        self._made: list[tuple[int, float]] = []
        self._rest = greedy(tree, relevance, np.arange(len(relevance.candidates)))

    def __iter__(self) -> Iterator[tuple[int, float]]:
        """Nodes with what each adds, from the first on, however far it was made before."""
        at = 0
        while True:
            if at == len(self._made):
                following = next(self._rest, None)
                if following is None:
                    return
                self._made.append(following)
            yield self._made[at]
            at += 1


_Entry = tuple[float, int]
"""A place in line: minus the gain per token, and the node. What its file is still worth isn't in it."""


class _Queue:
    """A line that is sorted at first; what has to go back goes into a heap beside it."""

    def __init__(self, first: Iterable[_Entry]) -> None:
        self._first, self._again = iter(first), list[_Entry]()
        self._head = next(self._first, None)

    def head(self) -> _Entry | None:
        """Whoever is first."""
        if self._head and (not self._again or self._head <= self._again[0]):
            return self._head
        return self._again[0] if self._again else None

    def pop(self) -> _Entry:
        """Takes whoever is first; there must be somebody."""
        if self._head and (not self._again or self._head <= self._again[0]):
            entry, self._head = self._head, next(self._first, None)
            return entry
        return heapq.heappop(self._again)

    def push(self, entry: _Entry) -> None:
        """Puts somebody in line."""
        heapq.heappush(self._again, entry)


class _Line:
    """What each candidate adds for its tokens, as far as things have been taken.

    There is one queue for each stretch of the document that loses worth by itself (`_Spread`): what all in a queue
    lose alike changes nobody's place in it, and only the places of the queues among each other.
    """

    def __init__(self, tree: SummaryTree, relevance: Relevance, chosen: Ints) -> None:
        self.tree = tree
        self.nodes, self.gains = relevance.candidates[chosen], relevance.gain[chosen]
        self.whole = dict(zip(self.nodes.tolist(), self.gains.tolist(), strict=True))
        self.inside: dict[int, float] = {}
        self.beside: set[int] = set()
        self.bonus = 1.0 + relevance.continuity
        self.free, self.spread = FreeLeaves(tree, relevance), _Spread(tree, relevance)
        self.skip, self.file_of = relevance.skip, tree.leaves.file
        low, high = tree.nodes.low[self.nodes], tree.nodes.high[self.nodes]
        self.by_low, self.by_high = np.argsort(low, kind="stable"), np.argsort(high, kind="stable")
        self.lows, self.highs = low[self.by_low], high[self.by_high]
        self.queues = self._queues()
        self.fronts = [self._front(number) for number in range(len(self.queues))]

    def _queues(self) -> list[_Queue]:
        """All candidates in line while nothing is taken."""
        densities = self.gains / (self.free.all_tokens(self.nodes) + LABEL_TOKENS)
        order = np.lexsort((self.nodes, -densities))
        entries = list(zip((-densities[order]).tolist(), self.nodes[order].tolist(), strict=True))
        if self.spread.parts == 1:
            return [_Queue(entries)]
        lines: list[list[_Entry]] = [[] for _ in range(self.spread.parts)]
        for entry in entries:
            lines[self._queue_of(entry[1])].append(entry)
        return [_Queue(line) for line in lines]

    def _queue_of(self, node: int) -> int:
        return self.spread.part(int(self.tree.nodes.low[node]))

    def _front(self, queue: int) -> float:
        """Minus what the first of a queue is worth per token, its file considered; above 0 if nobody is in it."""
        head = self.queues[queue].head()
        return head[0] * self.spread.left[queue] if head else 1.0

    def pop(self) -> _Entry | None:
        """Takes whoever is first of all; None if nobody is left."""
        queue = min(range(len(self.fronts)), key=self.fronts.__getitem__)
        if self.fronts[queue] > 0.0:
            return None
        entry = self.queues[queue].pop()
        self.fronts[queue] = self._front(queue)
        return entry

    def is_behind(self, entry: _Entry) -> bool:
        """Whether somebody in line is before an entry that isn't."""
        own = self._queue_of(entry[1])
        head = self.queues[own].head()
        if head is not None and head < entry:
            return True
        return min(self.fronts) < entry[0] * self.spread.left[own]

    def push(self, entry: _Entry) -> None:
        """Puts an entry in line."""
        queue = self._queue_of(entry[1])
        self.queues[queue].push(entry)
        self.fronts[queue] = self._front(queue)

    def entry(self, node: int) -> _Entry | None:
        """A candidate's place in line; None if nothing of it is left."""
        low = int(self.tree.nodes.low[node])
        tokens = self.free.tokens(low, int(self.tree.nodes.high[node]))
        if not tokens:
            return None
        worth = self.gain(node) * (self.bonus if node in self.beside else 1.0)
        return -worth / self.spread.share(low) / (tokens + LABEL_TOKENS), node

    def gain(self, node: int) -> float:
        """What it adds to what was taken."""
        share = self.spread.share(int(self.tree.nodes.low[node]))
        return max(0.0, float(self.whole[node]) * share - self.inside.get(node, 0.0))

    def take(self, node: int) -> tuple[int, ...]:
        """Take a candidate; returns those whose density may have risen."""
        low, high, gain = int(self.tree.nodes.low[node]), int(self.tree.nodes.high[node]), self.gain(node)
        self.free.take(low, high)
        self.spread.take(low)
        part = self.spread.part(low)
        self.fronts[part] = self._front(part)
        around = tuple(one for one in self._ancestors(node) if one in self.whole)
        for one in around:
            self.inside[one] = self.inside.get(one, 0.0) + gain
        beside = self._neighbours(low, high) if self.bonus > 1.0 else ()
        self.beside.update(beside)
        return (*around, *beside)

    def _ancestors(self, node: int) -> Iterator[int]:
        while (node := int(self.tree.nodes.parent[node])) >= 0:
            yield node

    def _neighbours(self, low: int, high: int) -> tuple[int, ...]:
        """Candidates of the same file that end where leaves begin or begin where they end, furniture between aside.

        The furniture may be nobody's or a candidate's own.
        """
        beyond, before = high, low
        while beyond < len(self.skip) and self.skip[beyond]:
            beyond += 1
        while before > 0 and self.skip[before - 1]:
            before -= 1
        first, last = np.searchsorted(self.lows, [high, beyond + 1])
        found = self.nodes[self.by_low[first:last]].tolist()
        first, last = np.searchsorted(self.highs, [before, low + 1])
        found += self.nodes[self.by_high[first:last]].tolist()
        return tuple(node for node in found if self.file_of[self.tree.nodes.low[node]] == self.file_of[low])


class _Spread:
    """What a further passage of a file is worth where it is asked which files: one says already that it is one.

    Attributes:
        left: What each part of the document is still worth: its files, or all of it where nothing is lost.
    """

    def __init__(self, tree: SummaryTree, relevance: Relevance) -> None:
        several = relevance.question.wants_files and len(tree.files) > 1
        self.file_of = tree.leaves.file
        self.left = [1.0] * (len(tree.files) if several else 1)

    @property
    def parts(self) -> int:
        """How many parts lose worth by themselves."""
        return len(self.left)

    def part(self, leaf: int) -> int:
        """The part that a leaf lies in."""
        return int(self.file_of[leaf]) if len(self.left) > 1 else 0

    def share(self, leaf: int) -> float:
        """What a passage of the leaf's part is still worth."""
        return self.left[self.part(leaf)]

    def take(self, leaf: int) -> None:
        """A passage of the leaf's part was taken."""
        if len(self.left) > 1:
            self.left[self.part(leaf)] *= _SAME_FILE


class FreeLeaves:
    """Which leaves are still to be had, and what they count."""

    def __init__(self, tree: SummaryTree, relevance: Relevance) -> None:
        self.tree = tree
        self.cost = np.where(relevance.skip, 0, tree.leaves.tokens)
        self.edges = np.concatenate(([0], np.cumsum(self.cost)))
        self.taken = np.zeros(len(self.cost), dtype=np.bool_)

    def all_tokens(self, nodes: Ints) -> Ints:
        """What each node counts while nothing is taken."""
        return np.asarray(self.edges[self.tree.nodes.high[nodes]] - self.edges[self.tree.nodes.low[nodes]])

    def tokens(self, low: int, high: int) -> int:
        """What the leaves still count."""
        return int(self.cost[low:high].sum())

    def take(self, low: int, high: int) -> None:
        """The leaves were taken."""
        self.cost[low:high] = 0
        self.taken[low:high] = True
