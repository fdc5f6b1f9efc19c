"""What is known of a passage and a question, as numbers: the features that learned relevance combines.

Candidates are nodes of the tree at every grain, from the single sentence to about 1,024 tokens; the best of each grain
by a cheap sum are described. All of it is numpy over arrays of the index; nothing here is fitted.

`FEATURES` is the list, in the order of the columns, each with what it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import InputError
from hierarchy.relevance.index import GRAINS, Index, Layer
from hierarchy.relevance.lexicon import Expansion
from hierarchy.relevance.matches import Matches, relative
from hierarchy.relevance.question import Question
from hierarchy.relevance.semantic import PASSAGE_TOKENS

__all__ = ["FEATURES", "GROUPS", "SEMANTIC", "Candidates", "columns_of", "describe", "statistics_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GROUPS: Mapping[str, Mapping[str, str]] = {
    # How the passage itself matches
    "own match": {
        "own": "BM25 of the passage among those of its grain, relative to the best",
        "own_part": "BM25 as a share of the most that the question's terms could score",
        "own_rank": "log of its rank at its grain",
        "own_share": "share of the question's rarity that it holds",
        "names": "share of the question's names that it holds",
        "years": "share of the question's years that it holds",
        "speaker": "share of it that is spoken by somebody whom the question names",
        "feedback": "BM25 for the terms that the best passages share",
    },
    # How larger and smaller passages match
    "other sizes": {
        **{
            f"bm25_{grain}": f"BM25 of the passage of {grain} tokens around it, or of its best within"
            for grain in GRAINS
        },
        "share_512": "share of the question that the 512-token passage around it holds",
        "names_512": "share of the question's names there",
        "pairs": "neighbouring terms of the question, in 128-token passages",
        "run": "rarity of the longest run of the question's terms in one of its leaves, relative to the best",
        "run_share": "the same as a share of the question's rarity",
        "near_400": "BM25 of the 400 tokens around each of its leaves, on average",
        "near_1600": "the same of 1,600 tokens",
        "speaker_512": "share of the 512-token passage around it that is spoken by somebody whom the question names",
    },
    "neighbours": {
        "before": "match of the passage before",
        "behind": "match of the passage behind",
    },
    # What it stands in
    "page and section": {
        "page": "BM25 of its page",
        "page_share": "share of the question that its page holds",
        "page_years": "whether its page holds a year of the question",
        "section": "BM25 of its section's text",
        "titles": "BM25 of the titles that it stands under",
        "titles_share": "share of the question in these titles",
        "page_titles": "BM25 of all titles on its page",
        "page_lead": "BM25 of the page's first lines (of the section's without pages)",
        "page_pairs": "neighbouring terms of the question in titles and first lines of the page",
    },
    "file": {
        "file": "BM25 of its file",
        "file_rank": "log of its file's rank",
        "file_share": "share of the question that its file holds",
        "file_title": "BM25 of its file's first words",
        "file_title_share": "share of the question in them",
    },
    # What professional vocabulary adds
    "lexicons": {
        "lexicon": "BM25 of the passage for words that the lexicons add",
        "lexicon_page": "the same of its page",
        "lexicon_512": "the same of the 512-token passage around it",
        "lexicon_pairs": "neighbouring words of the lexicons' phrases, in the passage",
        "lexicon_pairs_128": "the same in 128-token passages",
        "lexicon_pairs_512": "the same in 512-token passages",
        "lexicon_phrases": "share of the lexicons' phrases of which the passage holds most words",
        "lexicon_phrases_512": "the same of the 512-token passage around it",
        "lexicon_phrases_page": "the same of its page",
        "places": "BM25 of the titles on its page for the places that the lexicons name",
        "place": "how fully a title of its page names such a place, for the best place",
        "place_lead": "the same for the page's first lines",
        "place_title": "the same for the titles that it stands under",
    },
    # What a routing adds: words of the document and what is needed, by a model that saw only the question
    "routing": {
        "asked": "BM25 of the passage for the question's own words alone",
        "asked_512": "the same of the 512-token passage around it",
        "routed": "BM25 of the passage for the words that the routing names alone",
        "routed_share": "share of their rarity that it holds",
        "routed_512": "BM25 for them of the 512-token passage around it",
        "routed_page": "the same of its page",
        "routed_titles": "the same of the titles that it stands under",
        "phrase_title": "how fully these titles hold one of the routing's phrases, the best",
        "phrase_lead": "the same of the page's first lines",
        "routed_pairs": "neighbouring words of the routing's phrases, in the passage",
        "routed_pairs_128": "the same in 128-token passages",
        "routed_pairs_512": "the same in 512-token passages",
        "phrases": "share of the routing's phrases of which the passage holds most words",
        "phrases_512": "the same of the 512-token passage around it",
        "need": "how fully a title of its page names what is needed, for the best need",
        "need_lead": "the same for the page's first lines",
        "need_page": "BM25 of its page for the words of the need that suits it best",
        "needs": "how fully titles and first lines of its page name what is needed, for all needs",
    },
    # What it looks like
    "numbers": {
        "digits": "share of its characters that write numbers",
        "digits_asked": "that share if a number is asked",
        "numbers": "numbers per token",
        "money": "currency and percent signs per token",
    },
    "results": {
        "result": "share of its leaves that report a result",
        "result_asked": "whether it reports one, if an effect is asked",
    },
    "form": {
        "headings": "share of its leaves that are headings",
        "rows": "share of its leaves that are table rows",
        "place_in_file": "how far into its file it stands",
        "place_in_section": "how far into its section",
        "tokens": "log of its length",
        "leaves": "log of its number of leaves",
    },
    # What a small language model takes it to mean, where that is asked for (`semantic`)
    "semantic": {
        "semantic": "cosine of the question with the 128-token passage around it, or with the best within",
        "semantic_apart": "the same in standard deviations above the document's mean",
        "semantic_rank": "1 over that passage's rank",
        "semantic_near": "the mean of five such passages around it, in standard deviations above the document's mean",
    },
    "formula": {
        "formula": "the fixed formula's score",
    },
    # What is asked
    "question": {
        "q_number": "a number is asked",
        "q_effect": "an effect is asked",
        "q_terms": "log of the number of terms",
        "q_whole": "a summary or opinions are asked",
        "q_yes_no": "it can be answered by yes or no",
        "q_lexicon": "a lexicon knows something of it",
        "q_routed": "how much of what a routing says to look for stands in the document at all",
        "q_needs": "how many things are needed",
    },
    # What kind of document it is
    "document": {
        "d_digits": "share of its characters that write numbers",
        "d_leaf_tokens": "mean length of its leaves",
        "d_tokens": "log of its length",
        "d_speech": "share of its leaves that open with a speaker",
        "d_rows": "share of its tokens in table rows",
        "d_files": "whether it has several files",
        "d_pages": "whether it has pages",
        "d_headings": "share of its leaves that are headings",
        "grain": "the passage's grain",
    },
}
"""The features by what they look at: what ablations leave out together."""

FEATURES: Mapping[str, str] = {name: says for group in GROUPS.values() for name, says in group.items()}
"""Each column's name and what it says, in order."""

SEMANTIC = tuple(GROUPS["semantic"])
"""Those that need a small language model; 0 where it isn't asked for."""

# Candidates per grain, of a document; and at least of each file where it is asked which of them.
_MOST, _MOST_OF_A_FILE = (240, 200, 160, 120, 80, 50), (24, 20, 16, 12, 8, 5)
# And those most alike in meaning, where that is judged: they may share no word.
_MOST_ALIKE = 8
_WHOLE = re.compile(r"summar|discuss|opinion|think|talk|say about|said about|mention|decid|conclude", re.IGNORECASE)
_YES_NO = re.compile(r"^\s*(?:is|are|was|were|do|does|did|has|have|can|may|must|will|should)\b", re.IGNORECASE)
_WITHIN = dict.fromkeys(("pairs", "lexicon_pairs_128", "routed_pairs_128"), GRAINS.index(128))
_WITHIN |= dict.fromkeys(("run", "run_share"), -1)
_WITHIN |= dict.fromkeys(("semantic", "semantic_apart", "semantic_rank"), GRAINS.index(PASSAGE_TOKENS))
"""Of passages beyond these grains the best place within counts, not the middle."""
_STRETCHING = frozenset(("titles", "titles_share", "routed_titles", "place_title", "phrase_title"))
"""Titles of sections: a passage may reach into several, and counts by the best."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """Described passages.

    Attributes:
        nodes: Their node numbers, grain by grain, ascending within each.
        grain: Index into `GRAINS` of each.
        features: One row each, columns as `FEATURES`.
    """

    nodes: Ints
    grain: Ints
    features: NDArray[np.float32]


def describe(index: Index, question: Question, expansion: Expansion, *, semantic: bool = False) -> Candidates:
    """Choose candidates for a question at every grain and describe them, by their meaning too if `semantic`.

    Raises:
        Unavailable: They are to be described by their meaning, and the model isn't installed.
    """
    match = Matches(index, question, expansion, semantic=semantic)
    parts = [_at_grain(match, grain) for grain in range(len(GRAINS))]
    return Candidates(
        nodes=np.concatenate([index.grains[grain].nodes[chosen] for grain, (chosen, _) in enumerate(parts)]),
        grain=np.repeat(np.arange(len(GRAINS)), [len(chosen) for chosen, _ in parts]),
        features=np.concatenate([rows for _, rows in parts]).astype(np.float32),
    )


def columns_of(features: Sequence[str]) -> list[int]:
    """The columns of some features.

    Raises:
        InputError: There is no such feature, as where weights were grown by another version.

    Example:
        >>> columns_of(["own", "own_rank"])
        [0, 2]
    """
    column = {name: at for at, name in enumerate(FEATURES)}
    if unknown := [feature for feature in features if feature not in column]:
        raise InputError(
            f"There is no feature called {unknown[0]!r}: these weights were grown by another version.",
            "Grow them again: hierarchy eval fit … --out weights.npz",
        )
    return [column[feature] for feature in features]


def statistics_of(candidates: Candidates) -> Floats:
    """What the document itself is like, as its candidates' features have it."""
    columns = [at for at, name in enumerate(FEATURES) if name.startswith("d_")]
    return candidates.features[0, columns].astype(np.float64)


def _at_grain(match: Matches, grain: int) -> tuple[Ints, NDArray[np.float32]]:
    """The candidates of one grain, as indices into its layer, and their rows."""
    index = match.index
    layer = index.grains[grain]
    high = np.append(layer.low[1:], len(index.leaf_lengths))
    middle = (layer.low + high - 1) // 2
    chosen = _chosen(match, grain, layer, middle)
    spread = _Spread(layer.low[chosen], high[chosen], middle[chosen], layer.low, chosen)
    columns = {name: values[chosen] for name, values in match.own(grain).items()}
    columns |= _around(match, grain, spread) | _looks(match, spread) | _constants(match, grain, len(chosen))
    return chosen, np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def _chosen(match: Matches, grain: int, layer: Layer, middle: Ints) -> Ints:
    """The candidates of a grain, in document order: the best by a cheap sum.

    Where it is asked which of several files, each file's best as well, however poor it is beside another's; and where
    meaning is judged, what is most alike in meaning.
    """
    scores = _cheap_scores(match, grain, layer, middle)
    best = np.argsort(-scores, kind="stable")[: _MOST[grain]]
    if match.question.wants_files and len(match.index.files) > 1:
        best = np.union1d(best, _best_of_each(match.index.files.of_leaf[middle], scores, _MOST_OF_A_FILE[grain]))
    if match.likeness:
        alike = match.likeness["semantic"][middle]
        best = np.union1d(best, np.argsort(-alike, kind="stable")[:_MOST_ALIKE])
    return np.sort(best)


def _cheap_scores(match: Matches, grain: int, layer: Layer, middle: Ints) -> Floats:
    """A sum of the strongest signals for each passage of a grain."""
    fields, leaves = match.pages, match.leaves
    score = match.relative[grain] + 0.5 * (match.at_leaf[GRAINS.index(512)] + match.at_leaf[GRAINS.index(128)])[middle]
    score = score + 0.5 * fields["titles_share"][middle] + 0.3 * fields["page"][middle]
    score = score + 0.3 * (fields["page_titles"] + fields["page_lead"])[middle] + 0.4 * fields["lexicon_page"][middle]
    if len(match.index.files) > 1:
        score = score + fields["file"][middle]
    formula = np.maximum.reduceat(match.formula, layer.low)
    if match.is_routed:
        score = score + 0.4 * (fields["need"] + fields["need_lead"] + fields["routed_page"])[middle]
        score = score + 0.4 * (leaves["routed_512"] + leaves["routed_pairs_128"])[middle]
    return np.asarray(score + 0.6 * relative(formula) + 0.2 * leaves["feedback"][middle])


def _best_of_each(group: Ints, scores: Floats, most: int) -> Ints:
    """The so many best of each group, which are ascending; ties in order."""
    order = np.lexsort((-scores, group))
    begins = np.searchsorted(group, group[order])
    return order[np.arange(len(order)) - begins < most]


@dataclass(frozen=True, slots=True)
class _Spread:
    """Gathers leaf arrays for the chosen stretches of one layer."""

    low: Ints
    high: Ints
    middle: Ints
    every_low: Ints
    chosen: Ints

    def best(self, leaf_values: Floats) -> Floats:
        return np.asarray(np.maximum.reduceat(leaf_values, self.every_low)[self.chosen])

    def mean(self, edges: Floats) -> Floats:
        return np.asarray((edges[self.high] - edges[self.low]) / (self.high - self.low))

    def total(self, edges: Floats) -> Floats:
        return np.asarray(edges[self.high] - edges[self.low])


def _around(match: Matches, grain: int, spread: _Spread) -> dict[str, Floats]:
    """What lies around each passage, or within it: passages of other sizes, its page, section and file."""
    columns = {name: spread.mean(values) for name, values in match.near.items()}
    for other, size in enumerate(GRAINS):
        values = match.at_leaf[other]
        columns[f"bm25_{size}"] = values[spread.middle] if other >= grain else spread.best(values)
    for name, values in (match.leaves | match.likeness).items():
        within = grain > _WITHIN.get(name, len(GRAINS))
        columns[name] = spread.best(values) if within else values[spread.middle]
    for name, values in match.pages.items():
        columns[name] = spread.best(values) if name in _STRETCHING else values[spread.middle]
    if not match.likeness:
        columns |= dict.fromkeys(SEMANTIC, np.zeros(len(spread.chosen)))
    return columns | {"speaker": spread.mean(match.spoken), "formula": spread.best(match.formula)}


def _looks(match: Matches, spread: _Spread) -> dict[str, Floats]:
    index, question = match.index, match.question
    looks = index.looks
    characters, tokens = spread.total(looks.characters), np.maximum(1.0, spread.total(looks.tokens))
    digits = spread.total(looks.digits) / np.maximum(1.0, characters)
    result = spread.mean(looks.results)
    return {
        "digits": digits,
        "digits_asked": digits * question.wants_number,
        "numbers": 20 * spread.total(looks.numbers) / tokens,
        "money": 20 * spread.total(looks.money) / tokens,
        "result": result,
        "result_asked": (result > 0) * float(question.wants_effect),
        "headings": spread.mean(looks.headings),
        "rows": spread.mean(looks.rows),
        "place_in_file": _place(index.files, spread.middle, len(index.leaf_lengths)),
        "place_in_section": _place(index.sections, spread.middle, len(index.leaf_lengths)),
        "tokens": np.log(tokens),
        "leaves": np.log(spread.high - spread.low),
    }


def _constants(match: Matches, grain: int, size: int) -> dict[str, Floats]:
    index, question, looks = match.index, match.question, match.index.looks
    values = {
        "q_number": float(question.wants_number),
        "q_effect": float(question.wants_effect),
        "q_terms": math.log1p(len(question.terms)),
        "q_whole": float(bool(_WHOLE.search(question.text))),
        "q_yes_no": float(bool(_YES_NO.search(question.text))),
        "q_lexicon": float(match.has_lexicon),
        "q_routed": match.routed_share,
        "q_needs": float(len(question.needs)),
        "d_digits": float(looks.digits[-1] / max(1.0, looks.characters[-1])),
        "d_leaf_tokens": float(looks.tokens[-1] / len(index.leaf_lengths)),
        "d_tokens": math.log(max(1.0, looks.tokens[-1])),
        "d_speech": index.speech,
        "d_rows": index.tabular,
        "d_files": float(len(index.files) > 1),
        "d_pages": float(any(file.pages for file in index.tree.files)),
        "d_headings": float(looks.headings[-1] / len(index.leaf_lengths)),
        "grain": float(grain),
    }
    return {name: np.full(size, value) for name, value in values.items()}


def _place(layer: Layer, leaves: Ints, total: int) -> Floats:
    """How far into its stretch each leaf stands, from 0 to 1."""
    ends = np.append(layer.low[1:], total)
    stretch = layer.of_leaf[leaves]
    return np.asarray((leaves - layer.low[stretch]) / np.maximum(1, ends[stretch] - layer.low[stretch]))
