"""Allocation: a budget becomes a cut of the tree with grants of tokens.

A policy is any function of a tree, the relevance of its nodes and a number of tokens. The default, `expected_gain`, is
the greedy for a monotone submodular gain under a knapsack: take the passage with the highest expected gain per token,
where a passage earns only what was not taken inside it already and pays only for leaves not taken yet; evidence goes
on, so that what stands beside a taken passage earns a little more than by itself (`Relevance.continuity`). It makes one
sequence of passages that doesn't depend on the budget and takes its longest prefix that fits, to the leaf, so that
**the leaves granted for a budget are among those granted for any larger one**.

Source: Khuller, Moss, Naor, "The budgeted maximum coverage problem", 1999; lazy evaluation after Minoux, 1978.
Doesn't know models, ledgers or prompts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import InputError
from hierarchy.greedy import LABEL_TOKENS, FreeLeaves, GainSequence, greedy
from hierarchy.relevance import Relevance
from hierarchy.tree import Ints, SummaryTree

__all__ = [
    "LABEL_TOKENS",
    "POLICIES",
    "Allocation",
    "Cover",
    "Grant",
    "Policy",
    "expected_gain",
    "proportional",
    "reading_order",
    "top_k",
    "uniform",
]

# `proportional`, `uniform` and `top_k` share among this many subtrees, or as many as there are.
BRANCHES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Tokens for one node.

    Attributes:
        node: Number of the node.
        leaves: What of it is to be read, as half-open runs of leaf indices, ascending; leaves granted to an earlier
            grant or not worth a token (page furniture) are left out.
        tokens: What those leaves count.
        gain: Expected evidence that this grant adds, in [0, 1].
    """

    node: int
    leaves: tuple[tuple[int, int], ...]
    tokens: int
    gain: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Cover:
    """One node of a cut and how it is covered: read verbatim, or seen only as its coarse summary."""

    node: int
    resolution: Literal["verbatim", "coarse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """A division of tokens over a tree.

    **No leaf is granted twice, and the grants count at most `budget_tokens` together.**

    Attributes:
        policy: Name of the policy that made it.
        budget_tokens: What there was to give.
        grants: In order of preference.
    """

    policy: str
    budget_tokens: int
    grants: tuple[Grant, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens granted in all."""
        return sum(grant.tokens for grant in self.grants)

    @property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """Runs of leaves in order of preference."""
        return tuple(run for grant in self.grants for run in grant.leaves)

    def cut(self, tree: SummaryTree) -> tuple[Cover, ...]:
        """The cut of the tree that the grants amount to: **every leaf is under exactly one of its nodes**.

        A node all of whose leaves are granted is `verbatim`, one without any granted leaf `coarse`; both as large as
        can be. Furniture counts as granted where all around it is.
        """
        return cover(tree, self.runs)


Policy = Callable[[SummaryTree, Relevance, int], Allocation]
"""Relevance and tokens in, allocation out. A policy is a pure function and deterministic."""


def expected_gain(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Grant by expected gain per token, at whatever granularity that is highest.

    Monotone: a larger budget's grants hold every leaf of a smaller one's.

    Args:
        tree: The tree.
        relevance: Its estimate for the question at hand.
        tokens: What may be granted.

    Returns:
        Grants in the order in which they were taken.
    """
    sequence = relevance.derived.get("sequence")
    if sequence is None or sequence.tree is not tree:
        sequence = relevance.derived["sequence"] = GainSequence(tree, relevance)
    return Allocation(policy="expected_gain", budget_tokens=tokens, grants=_prefix(tree, relevance, sequence, tokens))


def proportional(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Divide the tokens over the main subtrees in proportion to their relevance; inside one, by gain per token."""
    branches = _branches(tree)
    return _shared("proportional", tree, relevance, tokens, branches, relevance.node[branches])


def uniform(tree: SummaryTree, relevance: Relevance, tokens: int) -> Allocation:
    """Divide the tokens evenly over the main subtrees; inside one, by gain per token."""
    branches = _branches(tree)
    return _shared("uniform", tree, relevance, tokens, branches, np.ones(len(branches)))


def top_k(tree: SummaryTree, relevance: Relevance, tokens: int, k: int = 5) -> Allocation:
    """Read the `k` most relevant passages that don't overlap, best first, as flat retrieval does.

    What is left over stays unspent.
    """
    chosen: list[tuple[int, float]] = []
    taken = relevance.skip.copy()
    for at in np.argsort(-relevance.gain, kind="stable"):
        node = int(relevance.candidates[at])
        inside = slice(int(tree.nodes.low[node]), int(tree.nodes.high[node]))
        if len(chosen) < k and not (taken[inside] & ~relevance.skip[inside]).any() and not taken[inside].all():
            chosen.append((node, float(relevance.gain[at])))
            taken[inside] = True
    return Allocation(policy="top_k", budget_tokens=tokens, grants=_prefix(tree, relevance, chosen, tokens))


POLICIES: dict[str, Policy] = {
    "expected_gain": expected_gain,
    "proportional": proportional,
    "uniform": uniform,
    "top_k": partial(top_k),
}
"""Policies by name, for the command line."""


def reading_order(tree: SummaryTree, relevance: Relevance, budget_tokens: int) -> tuple[tuple[int, int], ...]:
    """The runs of leaves that the default policy reads, in order of preference."""
    return expected_gain(tree, relevance, budget_tokens).runs


def cover(tree: SummaryTree, runs: Sequence[tuple[int, int]]) -> tuple[Cover, ...]:
    """The coarsest cut in which every node is either read completely or not at all.

    Args:
        tree: The tree.
        runs: Leaves that are read, as half-open runs.

    Returns:
        Nodes in document order. **Every leaf is under exactly one of them.**
    """
    read = np.zeros(len(tree.leaves), dtype=np.int64)
    for low, high in runs:
        read[low:high] = 1
    edges = np.concatenate(([0], np.cumsum(read)))
    held = edges[tree.nodes.high] - edges[tree.nodes.low]
    pure = (held == 0) | (held == tree.nodes.high - tree.nodes.low)
    parents = tree.nodes.parent
    top = pure & np.concatenate(([True], ~pure[parents[1:]]))
    return tuple(
        Cover(node=int(node), resolution="verbatim" if held[node] else "coarse") for node in np.flatnonzero(top)
    )


def _prefix(
    tree: SummaryTree, relevance: Relevance, sequence: Iterable[tuple[int, float]], tokens: int
) -> tuple[Grant, ...]:
    """Grant along the sequence until a leaf doesn't fit. The last grant takes its node's best leaves that do."""
    grants: list[Grant] = []
    taken = relevance.skip.copy()
    left = tokens
    for node, gain in sequence:
        low, high = int(tree.nodes.low[node]), int(tree.nodes.high[node])
        leaves = low + np.flatnonzero(~taken[low:high])
        wanted = int(tree.leaves.tokens[leaves].sum())
        if not len(leaves):
            continue
        fits = leaves if wanted <= left else _best_leaves(tree, relevance, leaves, left)
        granted = int(tree.leaves.tokens[fits].sum())
        if len(fits):
            share = gain * granted / max(1, wanted)
            grants.append(Grant(node=node, leaves=_runs(fits), tokens=granted, gain=share))
            taken[fits] = True
            left -= granted
        if len(fits) < len(leaves):
            break
    return tuple(grants)


def _best_leaves(tree: SummaryTree, relevance: Relevance, leaves: Ints, tokens: int) -> Ints:
    """The longest prefix of the leaves, most relevant first, that fits."""
    order = leaves[np.argsort(-relevance.leaf[leaves], kind="stable")]
    return np.sort(order[np.cumsum(tree.leaves.tokens[order]) <= tokens])


def _runs(leaves: Ints) -> tuple[tuple[int, int], ...]:
    edges = np.flatnonzero(np.diff(leaves) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(leaves, edges))


def _branches(tree: SummaryTree) -> Ints:
    """The main subtrees: the root's children, opened largest first until there are about a dozen."""
    branches = [0]
    while len(branches) < BRANCHES:
        largest = max(branches, key=lambda node: (tree.node_tokens[node], -node))
        children = tree.children(largest)
        if not children or len(branches) - 1 + len(children) > 2 * BRANCHES:
            break
        branches.remove(largest)
        branches += children
    return np.array(sorted(branches), dtype=np.int64)


def _shared(
    policy: str, tree: SummaryTree, relevance: Relevance, tokens: int, branches: Ints, weights: NDArray[np.float64]
) -> Allocation:
    """Fill each branch to its share; what one can't use goes to the others."""
    sizes = FreeLeaves(tree, relevance).all_tokens(branches)
    shares = _water_filled(tokens, sizes, weights)
    grants: list[Grant] = []
    for branch, share in zip(branches, shares, strict=True):
        inside = (tree.nodes.low[relevance.candidates] >= tree.nodes.low[branch]) & (
            tree.nodes.high[relevance.candidates] <= tree.nodes.high[branch]
        )
        sequence = greedy(tree, relevance, np.flatnonzero(inside))
        grants += _prefix(tree, relevance, sequence, share)
    grants.sort(key=lambda grant: (-grant.gain / (grant.tokens + LABEL_TOKENS), grant.node))
    return Allocation(policy=policy, budget_tokens=tokens, grants=tuple(grants))


def _water_filled(tokens: int, sizes: Ints, weights: NDArray[np.float64]) -> list[int]:
    """Whole tokens in proportion to the weights, none above its size, at most `tokens` together."""
    if tokens < 0:
        raise InputError(f"{tokens} tokens can't be shared out.", "Give 0 or more.")
    shares = np.zeros(len(sizes), dtype=np.int64)
    open_branches = (weights > 0) & (sizes > 0)
    left = tokens
    while left > 0 and open_branches.any():
        ideal = left * weights * open_branches / float((weights * open_branches).sum())
        step = np.minimum(np.floor(ideal).astype(np.int64), sizes - shares)
        if not step.sum():
            break
        shares += step
        left -= int(step.sum())
        open_branches &= shares < sizes
    return [int(share) for share in shares]
