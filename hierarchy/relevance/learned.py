"""Learned relevance: the shipped forest over the features of passages at every grain.

The weights were fitted by `hierarchy eval fit` on questions with known evidence; each file of them says on what. There
are two: one judges by words, numbers and layout, one by meaning as well, which takes a small language model. Documents
unlike any it has seen are the risk of anything learned: the farther a document's statistics lie from all of those, the
more its estimate leans back on the fixed formula.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.features import SEMANTIC, Candidates, columns_of, describe, statistics_of
from hierarchy.relevance.forest import Forest
from hierarchy.relevance.formula import Passages
from hierarchy.relevance.index import GRAINS, Index, Layer
from hierarchy.relevance.lexicon import Expansion
from hierarchy.relevance.question import Question

__all__ = [
    "SEMANTIC_WEIGHTS",
    "WEIGHTS",
    "Judgement",
    "Scored",
    "combined",
    "judge",
    "leaf_share",
    "learned_relevance",
    "shipped_forest",
]

WEIGHTS = Path(__file__).parent / "weights.npz"
SEMANTIC_WEIGHTS = WEIGHTS.with_name("weights_semantic.npz")

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

# A document so many times as far from all that was learned from as these are from each other is left to the formula.
# Weights grown without filings or transcripts lose to it there; a patient's chart, at twice the distance, doesn't.
_ALIEN = 16.0
# From so many times the distances that are usual within the kind that it is most like, a document leans on the formula;
# from so many on by so much. With all of it filings that differ from the others lose, with less trials left out.
_WITHIN, _MOST_APART = (1.7, 2.4), 0.9
# What wasn't described is worth at most this much of the least that was.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the forest and the formula say, each by itself.

    Attributes:
        candidates: The passages that the forest was shown.
        rows: Their features, columns as the forest's.
        probability: What it says of each.
        learned: What of that counts: the stranger the document, the less.
        strangeness: How far the formula decides, in [0, 1].
        rest: What the formula adds to each of its own passages.
    """

    candidates: Candidates
    rows: NDArray[np.float32]
    probability: Floats
    learned: Floats
    strangeness: float
    rest: Floats


def shipped_forest(*, semantic: bool = False) -> Forest:
    """The weights that come with the library.

    Args:
        semantic: Those that also judge by meaning, for which a small model must be installed.

    Raises:
        StoreError: They are missing or damaged.
    """
    return _loaded(SEMANTIC_WEIGHTS if semantic else WEIGHTS)


@lru_cache(maxsize=2)
def _loaded(path: Path) -> Forest:
    return Forest.load(path)


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
    return combined(index, judge(index, question, expansion, fallback, forest or shipped_forest()), fallback)


def judge(index: Index, question: Question, expansion: Expansion, fallback: Passages, forest: Forest) -> Judgement:
    """What a forest says of the candidates of a question, and what is left to the formula."""
    forest = forest.asked(routed=question.is_routed)
    candidates = describe(index, question, expansion, semantic=forest.reads(SEMANTIC))
    rows = candidates.features[:, columns_of(forest.features)]
    probability = forest.probabilities(rows)
    least = float(probability.min()) if len(probability) else 0.0
    statistics = statistics_of(candidates)
    strange = max(_strangeness(forest.novelty(statistics)), _apartness(forest.remoteness(statistics)))
    leaning = fallback.probability * strange
    # What the forest and the formula both speak of gets both; what wasn't described comes last, in the formula's order.
    undescribed = ~np.isin(fallback.layer.nodes, candidates.nodes)
    rest = leaning + undescribed * (1 - strange) * _UNDESCRIBED * max(least, 1e-6) * fallback.probability
    return Judgement(
        candidates=candidates,
        rows=rows,
        probability=probability,
        learned=probability * (1 - strange),
        strangeness=strange,
        rest=rest,
    )


def combined(index: Index, judgement: Judgement, fallback: Passages) -> Scored:
    """Both together, for every passage and leaf."""
    candidates, learned, rest = judgement.candidates, judgement.learned, judgement.rest
    nodes, place = np.unique(np.concatenate([candidates.nodes, fallback.layer.nodes]), return_inverse=True)
    from_formula = np.bincount(place[len(learned) :], weights=rest, minlength=len(nodes))
    best = np.zeros(len(nodes))
    np.maximum.at(best, place[: len(learned)], learned)  # a short text is the same passage at several grains
    return Scored(
        nodes=nodes,
        probability=np.minimum(1.0, best + from_formula),
        leaf=_of_leaves(index, candidates, learned, rest[fallback.layer.of_leaf], fallback.leaf_match),
    )


def _strangeness(novelty: float) -> float:
    """How far to lean on the formula: not at all for known kinds, altogether for alien ones, by the log in between."""
    return min(1.0, max(0.0, math.log(max(novelty, 1e-9)) / math.log(_ALIEN)))


def _apartness(remoteness: float) -> float:
    """How far to lean on the formula by what stands around: not at all within a kind, almost wholly outside of it."""
    low, high = _WITHIN
    return _MOST_APART * min(1.0, max(0.0, (remoteness - low) / (high - low)))


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
        here = value[layer.of_leaf]
        leaf = np.where(here > 0, here * leaf_share(layer, match), leaf)
    return leaf


def leaf_share(layer: Layer, match: Floats) -> Floats:
    """Which share of its passage's probability each leaf has: by its own match against the passage's best."""
    best = np.maximum.reduceat(match, layer.low)[layer.of_leaf]
    return 0.1 + 0.9 * np.where(best > 0, match / np.maximum(best, 1e-12), 1.0)
