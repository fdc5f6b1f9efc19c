"""Coarse extractive summaries: what a stretch of leaves is about, for no model tokens.

A summary is the stretch's leading sentence, the sentences richest in the terms that set the stretch apart from the
rest of the document, its keywords, and the labels of its table rows ("what its numbers are").

Source of the sentence score: keyword density after Luhn, "The automatic creation of literature abstracts", 1958, with
keywords by tf·idf (Spärck Jones, 1972).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hierarchy.segments import LeafKind

if TYPE_CHECKING:
    from hierarchy.tree import SummaryTree

__all__ = ["MAX_SHARE", "MAX_SUMMARY_TOKENS", "Coarse", "coarse_summary"]

MAX_SHARE = 0.25
"""A summary with its keywords counts at most this share of its source: anything longer invites padding."""
MAX_SUMMARY_TOKENS = 160
"""And at most this much, however long the source."""

_KEYWORDS = 8
_ROW_LABELS = 6
# Only so many leaves of a long stretch compete for the summary: the first of each of this many equal parts.
_CANDIDATES = 400
_LABEL = re.compile(r"^[^\d$€£%(]{4,80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Coarse:
    """A coarse summary.

    Attributes:
        text: Verbatim sentences, in document order; `…` marks where one was cut.
        keywords: Words that set the stretch apart, strongest first.
        numbers: Labels of its table rows, in document order.
        tokens: What all of these count together when joined as `line` joins them.
    """

    text: str = ""
    keywords: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    tokens: int = 0

    @property
    def line(self) -> str:
        """All of it as one line, as a model or a reader sees it."""
        parts = [self.text, ", ".join(self.keywords), "; ".join(self.numbers)]
        return " | ".join(part for part in parts if part)


def coarse_summary(tree: SummaryTree, low: int, high: int) -> Coarse:
    """Summarise leaves `low` to `high` of a tree.

    Returns:
        A summary of at most `MAX_SHARE` of their tokens and at most `MAX_SUMMARY_TOKENS`; empty if nothing fits.
    """
    limit = min(MAX_SUMMARY_TOKENS, int(MAX_SHARE * int(tree.leaf_edges[high] - tree.leaf_edges[low])))
    leaves = _candidates(tree, low, high)
    if limit < 1 or not len(leaves):
        return Coarse()
    weights, order = _weights(tree, low, high)
    vocabulary = tree.leaf_terms[0]
    coarse = Coarse()
    extras = (_words(tree, leaves, [vocabulary.names[n] for n in order[:_KEYWORDS]]), _labels(tree, leaves))
    for words, labels in ((_KEYWORDS, _ROW_LABELS), (4, 2), (3, 0), (1, 0)):
        trial = _sized(tree, "", extras[0][:words], extras[1][:labels])
        if trial.tokens <= limit // 2:
            coarse = trial
            break
    return _with_sentences(tree, coarse, _ranked(tree, leaves, weights), limit)


def _candidates(tree: SummaryTree, low: int, high: int) -> np.ndarray:
    step = max(1, (high - low) // _CANDIDATES)
    leaves = np.arange(low, high)[::step]
    return np.asarray(leaves[tree.leaves.kind[leaves] != LeafKind.FURNITURE])


def _weights(tree: SummaryTree, low: int, high: int) -> tuple[np.ndarray, list[int]]:
    """tf·idf of each term within the leaves, and the terms by it; ties go to the term that stands first."""
    vocabulary, numbers, bounds = tree.leaf_terms
    inside = numbers[bounds[low] : bounds[high]]
    weights = np.bincount(inside, minlength=len(vocabulary.names)) * tree.term_rarity
    order = np.argsort(-weights, kind="stable")[: 4 * _KEYWORDS]
    telling = [int(n) for n in order if weights[n] > 0 and vocabulary.names[n].isalpha()]
    return weights, telling


def _words(tree: SummaryTree, leaves: np.ndarray, stems: list[str]) -> tuple[str, ...]:
    """The stems as they are written in the text: stems themselves are no words."""
    vocabulary, wanted = tree.leaf_terms[0], dict.fromkeys(stems)
    for leaf in leaves:
        if all(wanted.values()):
            break
        for word in re.findall(r"[^\W\d_]+", tree.leaf_text(int(leaf)).lower()):
            number = vocabulary[word]
            if number >= 0 and wanted.get(vocabulary.names[number], "") is None:
                wanted[vocabulary.names[number]] = word
    return tuple(word for word in wanted.values() if word)


def _labels(tree: SummaryTree, leaves: np.ndarray) -> tuple[str, ...]:
    rows = leaves[tree.leaves.kind[leaves] == LeafKind.ROW]
    labels = (_LABEL.match(tree.leaf_text(int(row)).strip()) for row in rows)
    named = dict.fromkeys(match.group().strip(" .:—-|") for match in labels if match)
    totals = [label for label in named if re.match(r"(?i)total|net\b", label)]
    chosen = set([*totals, *named][:_ROW_LABELS])
    return tuple(label for label in named if label in chosen and label)[:_ROW_LABELS]


def _ranked(tree: SummaryTree, leaves: np.ndarray, weights: np.ndarray) -> list[int]:
    """Leaves by how much they say: density of telling terms, the leading prose sentence first."""
    _, numbers, bounds = tree.leaf_terms
    scores = np.zeros(len(leaves))
    for index, leaf in enumerate(leaves):
        held = np.unique(numbers[bounds[leaf] : bounds[leaf + 1]])
        length = max(1, int(tree.leaves.tokens[leaf]))
        scores[index] = weights[held].sum() / (length + 12)
    prose = tree.leaves.kind[leaves] == LeafKind.SENTENCE
    scores[~prose] *= 0.2
    scores[tree.leaves.kind[leaves] == LeafKind.HEADING] = 0.0  # the node's title says it already
    long_enough = np.flatnonzero(prose & (tree.leaves.tokens[leaves] >= 8))
    if len(long_enough):
        scores[long_enough[0]] = max(scores[long_enough[0]], float(scores.max()) * 1.01)
    return [int(leaf) for leaf in leaves[np.argsort(-scores, kind="stable")]]


def _with_sentences(tree: SummaryTree, coarse: Coarse, ranked: list[int], limit: int) -> Coarse:
    chosen: list[int] = []
    for leaf in ranked[:12]:
        trial = _sized(tree, _joined(tree, [*chosen, leaf]), coarse.keywords, coarse.numbers)
        if trial.tokens <= limit:
            coarse = trial
            chosen.append(leaf)
    if chosen or not ranked:
        return coarse
    words = _line(tree, ranked[0]).split(" ")
    for size in range(len(words) - 1, 0, -1):
        trial = _sized(tree, " ".join(words[:size]) + " …", coarse.keywords, coarse.numbers)
        if trial.tokens <= limit:
            return trial
    return coarse


def _line(tree: SummaryTree, leaf: int) -> str:
    return " ".join(tree.leaf_text(leaf).split())


def _joined(tree: SummaryTree, leaves: list[int]) -> str:
    ordered = sorted(leaves)
    text = _line(tree, ordered[0])
    for before, leaf in itertools.pairwise(ordered):
        text += (" " if leaf == before + 1 else " … ") + _line(tree, leaf)
    return text


def _sized(tree: SummaryTree, text: str, keywords: tuple[str, ...], numbers: tuple[str, ...]) -> Coarse:
    draft = Coarse(text=text, keywords=keywords, numbers=numbers)
    return Coarse(text=text, keywords=keywords, numbers=numbers, tokens=tree.count(draft.line))
