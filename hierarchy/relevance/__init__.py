"""Relevance: how likely each node of a tree holds evidence that a question needs.

`estimate` is the one way in. It is a pure function of the tree and the question, in numpy; ties and sums are in
document order, so that it is deterministic. Relevance is soft in both directions: a leaf inherits from its passage,
section, page, file and their titles, and a subtree is as relevant as the raw text of its leaves makes it, whatever its
summary says.

Doesn't know budgets, models or prompts. The formula is in `formula`, the matching in `index`, the question's own
parsing in `question`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.formula import passage_relevance
from hierarchy.relevance.index import Index
from hierarchy.relevance.question import Question, parse
from hierarchy.segments import LeafKind
from hierarchy.tree import Ints, SummaryTree

__all__ = ["Index", "Question", "Relevance", "estimate", "parse"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Relevance:
    """An estimate for one question over one tree.

    Attributes:
        question: The question as parsed.
        node: For each node the probability that it holds needed evidence, in [0, 1].
        leaf: The same for each leaf.
        candidates: Numbers of the nodes that may be read as passages, ascending. They may be nested.
        gain: What reading each candidate is expected to add, in [0, 1].
        skip: Leaves that aren't worth a token: page furniture, and what was read already.
        grain_tokens: The size of passage that suits this document, 0 for single sentences.
    """

    question: Question
    node: Floats
    leaf: Floats
    candidates: Ints
    gain: Floats
    skip: NDArray[np.bool_]
    grain_tokens: int

    def without(self, leaves: Ints) -> Relevance:
        """The same estimate with some leaves read or ruled out, so that nothing more is granted to them."""
        skip = self.skip.copy()
        skip[leaves] = True
        return replace(self, skip=skip)


def estimate(tree: SummaryTree, question: str | Question, index: Index | None = None) -> Relevance:
    """Estimate the relevance of every node.

    Args:
        tree: The tree.
        question: The question, parsed or not.
        index: The tree's index, if it is at hand; else the tree's own, built on first use.

    Returns:
        Probabilities per node and leaf, and the passages worth reading. **A node is at least as relevant as each of
        its children.**
    """
    index = index or tree_index(tree)
    asked = parse(question) if isinstance(question, str) else question
    scored = passage_relevance(index, asked)
    leaf = _leaf_relevance(scored.layer.of_leaf, scored.probability, scored.leaf_match)
    leaf[tree.leaves.kind == LeafKind.FURNITURE] = 0.0
    return Relevance(
        question=asked,
        node=_node_relevance(tree, leaf, scored.layer.low, scored.probability),
        leaf=leaf,
        candidates=scored.layer.nodes,
        gain=scored.probability,
        skip=tree.leaves.kind == LeafKind.FURNITURE,
        grain_tokens=scored.grain_tokens,
    )


def tree_index(tree: SummaryTree) -> Index:
    """The index of a tree, built on first use and kept with it."""
    if not isinstance(tree.index, Index):
        tree.index = Index(tree)
    return tree.index


def _leaf_relevance(of_leaf: Ints, probability: Floats, match: Floats) -> Floats:
    """A leaf's share of its passage's probability: by its own match, against the best leaf of the passage."""
    best = np.zeros(len(probability))
    np.maximum.at(best, of_leaf, match)
    share = np.where(best[of_leaf] > 0, match / np.maximum(best[of_leaf], 1e-12), 1.0)
    return np.asarray(probability[of_leaf] * (0.1 + 0.9 * share))


def _node_relevance(tree: SummaryTree, leaf: Floats, low: Ints, probability: Floats) -> Floats:
    """Inside passages the best leaf's; above them the chance that at least one passage holds something."""
    node = np.zeros(len(tree))
    node[tree.leaf_nodes] = leaf
    for depth in range(tree.depth, 0, -1):
        at = np.flatnonzero(tree.nodes.depth == depth)
        np.maximum.at(node, tree.nodes.parent[at], node[at])
    misses = np.zeros(len(leaf))
    misses[low] = np.log1p(-np.minimum(probability, 1 - 1e-9))
    edges = np.concatenate(([0.0], np.cumsum(misses)))
    union = 1 - np.exp(edges[tree.nodes.high] - edges[tree.nodes.low])
    first = np.minimum(np.searchsorted(low, tree.nodes.low), len(low) - 1)
    ends = np.append(low[1:], len(leaf))[first]
    holds_passages = (low[first] == tree.nodes.low) & (tree.nodes.high >= ends)
    return np.clip(np.where(holds_passages, np.maximum(node, union), node), 0.0, 1.0)
