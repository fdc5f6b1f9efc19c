"""The relevance formula: one weighted sum of lexical and structural signals per passage, turned into a probability.

Each signal is the passage's BM25 (or that of what it stands in) relative to the best in the document, so that the
weights mean the same in a letter and in a filing. The grain at which passages are compared follows what the text is:
speech is read in stretches, tables in page-sized pieces, prose by the sentence.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.index import GRAINS, Index, Layer
from hierarchy.relevance.question import Question

__all__ = ["Passages", "formula_parts", "formula_scores", "grain_of", "passage_relevance"]

Floats = NDArray[np.float64]
Parts = dict[str, Floats]

# Beyond these shares a document is a transcript, or a report made of tables.
_SPEECH_SHARE, _TABLE_SHARE = 0.3, 0.1
# A passage with this share of digits is as dense with numbers as a statement.
_DENSE_DIGITS = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Passages:
    """Scored passages of one document.

    Attributes:
        layer: The passages.
        grain_tokens: Their nominal size.
        probability: That each holds needed evidence, in [0, 1].
        leaf_match: How well each leaf matches by itself, 0 or more.
    """

    layer: Layer
    grain_tokens: int
    probability: Floats
    leaf_match: Floats


def grain_of(index: Index) -> int:
    """Which of `GRAINS` suits a document, as an index: 512 tokens for speech, 256 for paged tables, else sentences."""
    if index.speech > _SPEECH_SHARE:
        return GRAINS.index(512)
    paged = any(file.pages for file in index.tree.files)
    return GRAINS.index(256) if paged and index.tabular > _TABLE_SHARE else GRAINS.index(0)


def passage_relevance(index: Index, question: Question) -> Passages:
    """Score every passage of a document for a question."""
    grain = grain_of(index)
    layer = index.grains[grain]
    asked = index.numbered(question.weights)
    score = _scores(index, layer, question, asked)
    matches_leaf = score if grain == 0 else index.scores(index.grains[0], asked)
    return Passages(layer=layer, grain_tokens=GRAINS[grain], probability=_probability(score), leaf_match=matches_leaf)


def formula_scores(index: Index, question: Question, asked: dict[int, float]) -> Floats:
    """The formula's score of the passage that each leaf lies in, at the grain that suits the document."""
    layer = index.grains[grain_of(index)]
    return _scores(index, layer, question, asked)[layer.of_leaf]


def formula_parts(index: Index, question: Question) -> Parts:
    """What the formula's score of each passage is the sum of, in words, at the grain that suits the document."""
    return _parts(index, index.grains[grain_of(index)], question, index.numbered(question.weights))


def _scores(index: Index, layer: Layer, question: Question, asked: dict[int, float]) -> Floats:
    return reduce(np.add, _parts(index, layer, question, asked).values())


def _parts(index: Index, layer: Layer, question: Question, asked: dict[int, float]) -> Parts:
    scored = _paged if any(file.pages for file in index.tree.files) else _prose
    return scored(index, layer, question, asked)


def _paged(index: Index, layer: Layer, question: Question, asked: dict[int, float]) -> Parts:
    """For reports with pages: what the page is titled counts as much as what the passage says."""
    middle = _middles(index, layer)
    page = index.pages.of_leaf[middle]
    pairs = _pairs(index, (*question.pairs, *question.routed_pairs))
    around = 0.6 * _relative(index.page_titles.scores(asked)) + 0.5 * _relative(index.page_leads.scores(asked))
    around += 0.3 * _relative(index.scores(index.pages, asked))
    parts = {
        "its words": _relative(index.scores(layer, asked)),
        "neighbouring words of the question": 0.3 * _relative(index.pair_scores(layer, pairs)),
        "how much of the question it holds": 0.75 * index.share(layer, asked),
        "its page, and what that is titled": around[page],
    }
    if question.wants_number:
        parts["its digits, as a number is asked"] = 0.85 * np.minimum(_digit_share(index, layer) / _DENSE_DIGITS, 1.0)
    return parts


def _prose(index: Index, layer: Layer, question: Question, asked: dict[int, float]) -> Parts:
    """For running text: the sentence, what surrounds it, the titles it stands under, and its file."""
    middle = _middles(index, layer)
    parts = {"its words": _relative(index.scores(layer, asked))}
    for size, weight in ((256, 0.3), (512, 0.6)):
        wider = index.grains[GRAINS.index(size)]
        matches = _relative(index.scores(wider, asked))[wider.of_leaf[middle]]
        parts[f"the {size} tokens around it"] = weight * matches
    parts["the titles it stands under"] = index.section_titles.share(asked)[index.sections.of_leaf[middle]]
    if len(index.files) > 1:
        parts["its file"] = _relative(index.scores(index.files, asked))[index.files.of_leaf[middle]]
    if index.speech <= _SPEECH_SHARE:  # nobody speaks in the phrases that a model expects
        routed_pairs = _pairs(index, question.routed_pairs)
        parts["neighbouring words of the routing"] = 0.3 * _relative(index.pair_scores(layer, routed_pairs))
    if question.wants_effect:
        results = _sums(index.looks.results, layer) / _sums(np.arange(len(index.looks.results)), layer)
        parts["the results it reports, as an effect is asked"] = 0.6 * results
    return parts


def _middles(index: Index, layer: Layer) -> NDArray[np.int64]:
    """The leaf in the middle of each passage: a passage may straddle larger ones, and most of it lies there."""
    return np.asarray((layer.low + np.append(layer.low[1:], len(index.tree.leaves)) - 1) // 2)


def _sums(running: NDArray[Any], layer: Layer) -> NDArray[Any]:
    """Each stretch's part of a running total."""
    return np.diff(running[np.append(layer.low, len(running) - 1)])


def _digit_share(index: Index, layer: Layer) -> Floats:
    return np.asarray(_sums(index.looks.digits, layer) / np.maximum(1.0, _sums(index.looks.characters, layer)))


def _pairs(index: Index, pairs: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
    return [(index.vocabulary.number(first), index.vocabulary.number(second)) for first, second in pairs]


def _relative(scores: Floats) -> Floats:
    best = float(scores.max()) if len(scores) else 0.0
    return scores / best if best > 0 else scores


def _probability(score: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-(3.0 * score - 9.0))))
