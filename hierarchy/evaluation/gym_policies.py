"""Allocation policies to compare the library's own with: simpler ones, guarded ones, one that might be better.

Each is a `Policy` like those in `allocator`, so that whatever wins can be moved there. `knapsack` is exact and slow: it
tells how much of what the estimate promises is lost by being greedy.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np

from hierarchy.allocator import LABEL_TOKENS, Allocation, Grant, Policy, expected_gain, proportional, top_k, uniform
from hierarchy.relevance import Relevance
from hierarchy.tree import Ints, SummaryTree

__all__ = [
    "DEFAULT",
    "EXACTING",
    "GUARDED",
    "POLICIES",
    "best_first",
    "filled",
    "floored",
    "gain_alone",
    "hedged",
    "joined_gain",
    "knapsack",
    "knapsack_values",
    "random_passages",
]

# What `expected_gain` takes a further passage of a file for, where it is asked which files.
_SAME_FILE = 0.6

# Below this, descent reads a passage instead of opening it.
_READ_TOKENS = 128


def gain_alone(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Read the passages with the highest gain, whatever they cost; of equal ones the shortest."""
    nodes = relevance.candidates
    order = np.lexsort((nodes, tree.node_tokens[nodes], -relevance.gain))
    sequence = ((int(nodes[at]), float(relevance.gain[at])) for at in order)
    return Allocation(policy="gain_alone", budget_tokens=tokens, grants=granted(tree, relevance, sequence, tokens))


def best_first(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Open the most relevant node seen so far, strictly from the root, and read what counts at most 128 tokens."""

    def sequence() -> Iterator[tuple[int, float]]:
        seen = [(-float(relevance.node[0]), 0)]
        while seen:
            gain, node = heapq.heappop(seen)
            children = tree.children(node)
            if tree.node_tokens[node] <= _READ_TOKENS or not children:
                yield node, -gain
            else:
                for child in children:
                    heapq.heappush(seen, (-float(relevance.node[child]), child))

    return Allocation(policy="best_first", budget_tokens=tokens, grants=granted(tree, relevance, sequence(), tokens))


def random_passages(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Read passages of up to 128 tokens in an order that depends on the tree's size alone."""
    cut = tree.cut(_READ_TOKENS)
    order = np.random.default_rng(tree.tokens).permutation(len(cut))
    sequence = ((int(cut[at]), float(relevance.node[cut[at]])) for at in order)
    return Allocation(policy="random", budget_tokens=tokens, grants=granted(tree, relevance, sequence, tokens))


def floored(tree: SummaryTree, relevance: Relevance, tokens: int, share: float = 0.25) -> Allocation:
    """Spread a share of the tokens evenly over the main subtrees, and grant the rest by expected gain."""
    spread = uniform(tree, relevance, int(share * tokens))
    leaves = [leaf for low, high in spread.runs for leaf in range(low, high)]
    rest = expected_gain(tree, relevance.without(np.array(leaves, dtype=np.int64)), tokens - spread.tokens)
    return Allocation(policy="floored", budget_tokens=tokens, grants=spread.grants + rest.grants)


def hedged(tree: SummaryTree, relevance: Relevance, tokens: int, doubt: float = 0.25) -> Allocation:
    """Expected gain if the estimate is worth nothing with some probability, and then any token as good as another."""
    blind = tree.node_tokens[relevance.candidates] / max(1, tree.tokens)
    mixed = replace(relevance, gain=(1 - doubt) * relevance.gain + doubt * blind)
    return Allocation(policy="hedged", budget_tokens=tokens, grants=expected_gain(tree, mixed, tokens).grants)


def filled(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Expected gain, but what doesn't fit with its label is passed over rather than stopped at.

    It fills the budget better and isn't monotone: a larger budget may read what hides a passage that a smaller one had.
    """
    grants, left = list[Grant](), tokens
    for grant in expected_gain(tree, relevance, tree.tokens).grants:
        price = grant.tokens + LABEL_TOKENS
        if price <= left:
            grants.append(grant)
            left -= price
    return Allocation(policy="filled", budget_tokens=tokens, grants=tuple(grants))


def joined_gain(
    tree: SummaryTree, relevance: Relevance, tokens: int, *, joins: bool = True, odds: bool = True
) -> Allocation:
    """Expected gain per token, where a passage that adjoins what is read pays no label of its own.

    Like `expected_gain` it makes one sequence that doesn't depend on the budget, and is monotone for the same reason.

    Args:
        tree: The tree.
        relevance: Its estimate.
        tokens: What may be granted.
        joins: Whether labels are only paid where a stretch begins.
        odds: Where it is asked which files, whether a further passage of a file counts by the chance that the ones
            before it held nothing; else by `expected_gain`'s fixed share.
    """
    sequence = _Line(tree, relevance, joins=joins, odds=odds).sequence()
    return Allocation(policy="joined_gain", budget_tokens=tokens, grants=granted(tree, relevance, sequence, tokens))


class _Line:
    """Candidates by density, where taking one makes its neighbours cheaper."""

    def __init__(self, tree: SummaryTree, relevance: Relevance, *, joins: bool, odds: bool) -> None:
        self.tree, self.relevance, self.joins, self.odds = tree, relevance, joins, odds
        self.low, self.high = tree.nodes.low.tolist(), tree.nodes.high.tolist()
        self.gains = dict(zip(relevance.candidates.tolist(), relevance.gain.tolist(), strict=True))
        self.cost = np.where(relevance.skip, 0, tree.leaves.tokens)
        self.file = tree.leaves.file
        # What is read, padded by an unread leaf at either end.
        self.read = np.zeros(len(self.cost) + 2, dtype=np.bool_)
        self.inside: dict[int, float] = defaultdict(float)
        self.file_share = np.ones(len(tree.files))
        self.spreads = relevance.question.wants_files and len(tree.files) > 1
        self.starting: dict[int, list[int]] = defaultdict(list)
        self.ending: dict[int, list[int]] = defaultdict(list)
        for node in self.gains:
            self.starting[self.low[node]].append(node)
            self.ending[self.high[node]].append(node)

    def sequence(self) -> Iterator[tuple[int, float]]:
        """Candidates with what they add, best first."""
        line = [self._entry(node) for node in self.gains]
        heapq.heapify(line)
        while line:
            before, node = heapq.heappop(line)
            if not self._tokens(node):
                continue
            now = self._entry(node)
            if now[0] > before + 1e-12:
                heapq.heappush(line, now)
                continue
            gain = self._gain(node)
            yield node, gain
            for other in self._take(node, gain):
                heapq.heappush(line, self._entry(other))

    def _entry(self, node: int) -> tuple[float, int]:
        return -self._gain(node) / max(1, self._tokens(node) + LABEL_TOKENS * self._labels(node)), node

    def _tokens(self, node: int) -> int:
        return int(self.cost[self.low[node] : self.high[node]].sum())

    def _gain(self, node: int) -> float:
        if not self.spreads:
            return self._left(node)
        share = float(self.file_share[self.file[self.low[node]]])
        if self.odds:
            return share * self._chance(node)
        return max(0.0, float(self.gains[node]) * share - float(self.inside[node]))

    def _left(self, node: int) -> float:
        """What it holds beyond what was read inside it."""
        return max(0.0, float(self.gains[node]) - float(self.inside[node]))

    def _chance(self, node: int) -> float:
        """That what wasn't read of it holds something, if what was read inside it doesn't."""
        return self._left(node) / max(1e-9, 1 - self.inside[node])

    def _labels(self, node: int) -> int:
        """How many more stretches there are once it is read; fewer where it joins two."""
        if not self.joins:
            return 1
        low, high = self.low[node], self.high[node]
        around = self.read[low : high + 2].copy()
        around[0] &= low > 0 and self.file[low - 1] == self.file[low]
        around[-1] &= high < len(self.file) and self.file[high - 1] == self.file[min(high, len(self.file) - 1)]
        return 1 - int(around[0]) - int((around[1:] & ~around[:-1]).sum())

    def _take(self, node: int, gain: float) -> list[int]:
        """Mark it as read; the candidates that may be worth more per token now."""
        low, high = self.low[node], self.high[node]
        self.read[low + 1 : high + 1] = True
        self.cost[low:high] = 0
        above = self._above(node)
        chance, added = self._chance(node), self._left(node) if self.spreads and self.odds else gain
        for other in above:
            self.inside[other] += added
        if self.spreads:
            self.file_share[self.file[low]] *= 1 - min(1.0, chance) if self.odds else _SAME_FILE
        if not self.joins:
            return []
        return [*above, *self.ending.get(low, ()), *self.starting.get(high, ())]

    def _above(self, node: int) -> list[int]:
        found, parent = [], int(self.tree.nodes.parent[node])
        while parent >= 0:
            if parent in self.gains:
                found.append(parent)
            parent = int(self.tree.nodes.parent[parent])
        return found


def knapsack(tree: SummaryTree, relevance: Relevance, tokens: int, label_tokens: int = LABEL_TOKENS) -> Allocation:
    """The passages that promise most together: an exact optimum, in time and memory that grow with leaves × tokens.

    Of all sets of candidates that don't overlap and whose leaves and labels, one each, count at most `tokens`, one with
    the greatest sum of gains.
    """
    best, order = knapsack_values(tree, relevance, tokens, label_tokens), []
    at, left = len(tree.leaves), max(0, tokens)
    ending = _ending(tree, relevance)
    while at > 0:
        for low, node, gain in ending.get(at, ()):
            price = int(tree.leaf_edges[at] - tree.leaf_edges[low]) + label_tokens
            if price <= left and gain > 0 and best[at, left] == best[low, left - price] + gain:
                order.append((node, gain))
                at, left = low, left - price
                break
        else:
            at -= 1
    order.sort(key=lambda pair: (-pair[1] / (int(tree.node_tokens[pair[0]]) + label_tokens), pair[0]))
    return Allocation(policy="knapsack", budget_tokens=tokens, grants=granted(tree, relevance, order, tokens))


def knapsack_values(
    tree: SummaryTree, relevance: Relevance, tokens: int, label_tokens: int = LABEL_TOKENS
) -> np.ndarray:
    """For each number of leaves from the first and each number of tokens, the greatest sum of gains.

    By dynamic programming over leaves: up to leaf i the best is either the best up to i − 1, or a candidate that ends
    at i behind the best up to where it starts.
    """
    best = np.zeros((len(tree.leaves) + 1, max(0, tokens) + 1))
    ending = _ending(tree, relevance)
    for at in range(1, len(best)):
        best[at] = best[at - 1]
        for low, _, gain in ending.get(at, ()):
            price = int(tree.leaf_edges[at] - tree.leaf_edges[low]) + label_tokens
            if price <= tokens:
                best[at, price:] = np.maximum(best[at, price:], best[low, : tokens + 1 - price] + gain)
    return best


def _ending(tree: SummaryTree, relevance: Relevance) -> Mapping[int, list[tuple[int, int, float]]]:
    found = defaultdict(list)
    for node, gain in zip(relevance.candidates.tolist(), relevance.gain.tolist(), strict=True):
        found[int(tree.nodes.high[node])].append((int(tree.nodes.low[node]), node, gain))
    return found


def granted(
    tree: SummaryTree, relevance: Relevance, sequence: Iterable[tuple[int, float]], tokens: int
) -> tuple[Grant, ...]:
    """Grants along a sequence of nodes, until a leaf doesn't fit; of the last the most relevant leaves that do."""
    grants, taken, left = list[Grant](), relevance.skip.copy(), tokens
    for node, gain in sequence:
        low, high = int(tree.nodes.low[node]), int(tree.nodes.high[node])
        leaves = low + np.flatnonzero(~taken[low:high])
        if not len(leaves):
            continue
        wanted = int(tree.leaves.tokens[leaves].sum())
        fits = leaves if wanted <= left else _best(tree, relevance, leaves, left)
        if len(fits):
            count = int(tree.leaves.tokens[fits].sum())
            grants.append(Grant(node=node, leaves=_runs(fits), tokens=count, gain=gain * count / max(1, wanted)))
            taken[fits] = True
            left -= count
        if len(fits) < len(leaves):
            break
    return tuple(grants)


def _best(tree: SummaryTree, relevance: Relevance, leaves: Ints, tokens: int) -> Ints:
    order = leaves[np.argsort(-relevance.leaf[leaves], kind="stable")]
    return np.sort(order[np.cumsum(tree.leaves.tokens[order]) <= tokens])


def _runs(leaves: Ints) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(leaves) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(leaves, edges))


DEFAULT = "expected gain"

POLICIES: Mapping[str, Policy] = MappingProxyType(
    {
        DEFAULT: expected_gain,
        "file odds": partial(joined_gain, joins=False),
        "joined labels": partial(joined_gain, odds=False),
        "gain alone": gain_alone,
        "proportional": proportional,
        "uniform": uniform,
        "best first": best_first,
        "top 5": partial(top_k, k=5),
        "random": random_passages,
    }
)
"""What is compared, by the name it has in tables."""

EXACTING: Mapping[str, Policy] = MappingProxyType({"filled": filled, "knapsack": knapsack})
"""What giving up monotonicity would bring. Too slow for large trees."""

GUARDED: Mapping[str, Policy] = MappingProxyType(
    {
        "floor 10 %": partial(floored, share=0.1),
        "floor 25 %": partial(floored, share=0.25),
        "floor 50 %": partial(floored, share=0.5),
        "doubt 25 %": partial(hedged, doubt=0.25),
    }
)
"""Guards against an estimate that is surer than it should be: what they cost where it isn't is the question."""
