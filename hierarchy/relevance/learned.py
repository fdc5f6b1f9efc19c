"""Learned relevance: the shipped forest over the features of passages at every grain.

The weights were fitted by `hierarchy eval fit` on questions with known evidence; `weights.npz` says on what. Documents
unlike any it has seen are the risk of anything learned: where a document's own statistics lie outside those, its
estimate leans back on the fixed formula.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.features import FEATURES, Candidates, describe
from hierarchy.relevance.forest import Forest
from hierarchy.relevance.formula import Passages
from hierarchy.relevance.index import GRAINS, Index
from hierarchy.relevance.lexicon import Expansion
from hierarchy.relevance.question import Question

__all__ = ["WEIGHTS", "Scored", "learned_relevance", "shipped_forest"]

WEIGHTS = Path(__file__).parent / "weights.npz"

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# What wasn't described is worth this much of the least that was: it comes last, in the formula's order.
_UNDESCRIBED = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Passages that may be read, nested, with their probabilities.

    Attributes:
        nodes: Node numbers, ascending, each once. **Together they cover every leaf.**
        probability: That each holds needed evidence, in [0, 1].
        leaf: The same of every leaf: its own where it was described, else its share of the smallest passage's.
    """

    nodes: Ints
    probability: Floats
    leaf: Floats


@lru_cache(maxsize=1)
def shipped_forest() -> Forest:
    """The weights that come with the library.

    Raises:
        StoreError: They are missing or damaged.
    """
    return Forest.load(WEIGHTS)


def learned_relevance(
    index: Index, question: Question, expansion: Expansion, fallback: Passages, forest: Forest | None = None
) -> Scored:
    """Score the passages of a document for a question.

    Args:
        index: The document's index.
        question: What is asked.
        expansion: What lexicons add to it.
        fallback: The fixed formula's passages, for all that isn't described.
        forest: Other weights than the shipped ones.
    """
    forest = forest or shipped_forest()
    candidates = describe(index, question, expansion)
    columns = [list(FEATURES).index(name) for name in forest.features]
    probability = forest.probabilities(candidates.features[:, columns])
    least = float(probability.min()) if len(probability) else 0.0
    rest = _UNDESCRIBED * max(least, 1e-6) * fallback.probability
    return Scored(
        **_merged(np.concatenate([candidates.nodes, fallback.layer.nodes]), np.concatenate([probability, rest])),
        leaf=_of_leaves(index, candidates, probability, rest[fallback.layer.of_leaf], fallback.leaf_match),
    )


def _merged(nodes: Ints, probability: Floats) -> dict[str, Any]:
    """Each node once, at its highest probability."""
    order = np.lexsort((-probability, nodes))
    kept = order[np.concatenate(([True], np.diff(nodes[order]) != 0))]
    return {"nodes": nodes[kept], "probability": probability[kept]}


def _of_leaves(index: Index, candidates: Candidates, probability: Floats, rest: Floats, match: Floats) -> Floats:
    """Spread passages over their leaves, finer ones over coarser.

    A leaf's share of a passage is by its own match against the best leaf of the passage.
    """
    leaf = rest
    for grain in range(len(GRAINS) - 1, -1, -1):
        layer = index.grains[grain]
        mine = candidates.grain == grain
        value = np.zeros(len(layer))
        value[np.searchsorted(layer.nodes, candidates.nodes[mine])] = probability[mine]
        best = np.maximum.reduceat(match, layer.low)[layer.of_leaf]
        share = 0.1 + 0.9 * np.where(best > 0, match / np.maximum(best, 1e-12), 1.0)
        here = value[layer.of_leaf]
        leaf = np.where(here > 0, here * share, leaf)
    return leaf
