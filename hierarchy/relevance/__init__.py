"""Relevance: how likely each node of a tree holds evidence that a question needs.

`estimate` is the one way in. It is a pure function of the tree and the question, in numpy; ties and sums are in
document order, so that it is deterministic. Relevance is soft in both directions: a leaf inherits from its passage,
section, page, file and their titles, and a subtree is as relevant as the raw text of its leaves makes it, whatever its
summary says.

Doesn't know budgets, models or prompts. The matching is in `index`, what is known of a passage in `features`, how that
becomes a probability in `learned`, and the fixed formula behind it in `formula`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.features import Candidates, describe
from hierarchy.relevance.forest import Forest
from hierarchy.relevance.formula import passage_relevance
from hierarchy.relevance.index import Index
from hierarchy.relevance.learned import Scored, learned_relevance, shipped_forest
from hierarchy.relevance.lexicon import Lexicon, built_in, expand, load_lexicon
from hierarchy.relevance.question import Question, Routing, parse, routed
from hierarchy.segments import LeafKind
from hierarchy.tree import Ints, SummaryTree

__all__ = [
    "Candidates",
    "Forest",
    "Index",
    "Lexicon",
    "Question",
    "Relevance",
    "Routing",
    "built_in",
    "describe_question",
    "estimate",
    "load_lexicon",
    "parse",
    "routed",
    "shipped_forest",
    "tree_index",
]

Floats = NDArray[np.float64]

# By the size of passage that suits a document, cross-validated: a discussion goes on for pages and has no headings, a
# clause or a result for a sentence or two, a statement stands whole on its page.
_CONTINUITY, _CONTINUITY_OF = 0.3, {512: 2.0, 256: 0.15}


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
        continuity: How much more a passage is worth, as a share, once what stands beside it is read: evidence goes on.
        lexicon_uses: Which lexicons knew which words of the question.
        derived: What allocation derives from it for all budgets, kept beside it; a changed copy begins anew.
    """

    question: Question
    node: Floats
    leaf: Floats
    candidates: Ints
    gain: Floats
    skip: NDArray[np.bool_]
    grain_tokens: int
    continuity: float = 0.0
    lexicon_uses: tuple[tuple[str, str], ...] = ()
    derived: dict[str, Any] = field(init=False, default_factory=dict, repr=False, compare=False)

    def without(self, leaves: Ints) -> Relevance:
        """The same estimate with some leaves read or ruled out, so that nothing more is granted to them."""
        skip = self.skip.copy()
        skip[leaves] = True
        return replace(self, skip=skip)


def estimate(
    tree: SummaryTree,
    question: str | Question,
    index: Index | None = None,
    *,
    forest: Forest | None = None,
    lexicons: Sequence[Lexicon] | None = None,
) -> Relevance:
    """Estimate the relevance of every node.

    Args:
        tree: The tree.
        question: The question, parsed or not.
        index: The tree's index, if it is at hand; else the tree's own, built on first use.
        forest: Other weights than those that come with the library, such as `shipped_forest(semantic=True)`.
        lexicons: All that are to be used; those that come with the library if None.

    Raises:
        Unavailable: The weights judge by meaning, and the small model for that isn't installed.

    Returns:
        Probabilities per node and leaf, and the passages worth reading. **A node is at least as relevant as each of
        its children.**
    """
    index = index or tree_index(tree)
    asked = parse(question) if isinstance(question, str) else question
    expansion = expand(asked.text, built_in() if lexicons is None else lexicons)
    by_formula = passage_relevance(index, asked)
    scored = learned_relevance(index, asked, expansion, by_formula, forest)
    furniture = tree.leaves.kind == LeafKind.FURNITURE
    leaf = np.where(furniture, 0.0, scored.leaf)
    return Relevance(
        question=asked,
        node=node_relevance(index, leaf, scored),
        leaf=leaf,
        candidates=scored.nodes,
        gain=scored.probability,
        skip=furniture,
        grain_tokens=by_formula.grain_tokens,
        continuity=_CONTINUITY_OF.get(by_formula.grain_tokens, _CONTINUITY),
        lexicon_uses=expansion.uses,
    )


def describe_question(
    index: Index, question: str | Question, lexicons: Sequence[Lexicon] | None = None, *, semantic: bool = False
) -> Candidates:
    """The features of a question's candidate passages: what `estimate` judges by, for fitting and for study.

    Args:
        index: The document's index.
        question: The question, parsed or not.
        lexicons: All that are to be used; those that come with the library if None.
        semantic: Whether to tell what passages mean, by a small language model.

    Raises:
        Unavailable: That model isn't installed.
    """
    asked = parse(question) if isinstance(question, str) else question
    expansion = expand(asked.text, built_in() if lexicons is None else lexicons)
    return describe(index, asked, expansion, semantic=semantic)


def tree_index(tree: SummaryTree) -> Index:
    """The index of a tree, built on first use and kept with it."""
    if not isinstance(tree.index, Index):
        tree.index = Index(tree)
    return tree.index


def node_relevance(index: Index, leaf: Floats, scored: Scored) -> Floats:
    """Inside passages the best of what they hold; above the largest the chance that at least one holds something."""
    tree = index.tree
    node = np.zeros(len(tree))
    node[scored.nodes] = scored.probability
    node[tree.leaf_nodes] = np.maximum(node[tree.leaf_nodes], leaf)
    for depth in range(tree.depth, 0, -1):
        at = np.flatnonzero(tree.nodes.depth == depth)
        np.maximum.at(node, tree.nodes.parent[at], node[at])
    largest = index.grains[-1]
    misses = np.zeros(len(leaf) + 1)
    misses[largest.low + 1] = np.log1p(-np.minimum(node[largest.nodes], 1 - 1e-9))
    edges = np.cumsum(misses)
    union = 1 - np.exp(edges[tree.nodes.high] - edges[tree.nodes.low])
    holds_largest = np.zeros(len(tree), dtype=np.bool_)
    holds_largest[tree.nodes.parent[largest.nodes]] = True  # the root's own parent, -1, is no node
    for depth in range(tree.depth, 0, -1):
        at = np.flatnonzero((tree.nodes.depth == depth) & holds_largest)
        holds_largest[tree.nodes.parent[at]] = True
    if 0 in largest.nodes:
        holds_largest[:] = False
    return np.clip(np.where(holds_largest, np.maximum(node, union), node), 0.0, 1.0)
