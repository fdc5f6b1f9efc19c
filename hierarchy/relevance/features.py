"""What is known of a passage and a question, as numbers: the features that learned relevance combines.

Candidates are nodes of the tree at every grain, from the single sentence to about 1,024 tokens; the best of each grain
by a cheap sum are described. All of it is numpy over arrays of the index; nothing here is fitted.

`FEATURES` is the list, in the order of the columns, each with what it says.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.formula import formula_scores
from hierarchy.relevance.index import GRAINS, Index, Layer
from hierarchy.relevance.lexicon import Expansion
from hierarchy.relevance.question import Question
from hierarchy.terms import terms

__all__ = ["FEATURES", "Candidates", "describe", "statistics_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

FEATURES: Mapping[str, str] = {
    # How the passage itself matches
    "own": "BM25 of the passage among those of its grain, relative to the best",
    "own_part": "BM25 as a share of the most that the question's terms could score",
    "own_rank": "log of its rank at its grain",
    "own_share": "share of the question's rarity that it holds",
    "names": "share of the question's names that it holds",
    "years": "share of the question's years that it holds",
    "speaker": "share of it that is spoken by somebody whom the question names",
    "feedback": "BM25 for the terms that the best passages share",
    # How larger and smaller passages match
    **{f"bm25_{grain}": f"BM25 of the passage of {grain} tokens around it, or of its best within" for grain in GRAINS},
    "share_512": "share of the question that the 512-token passage around it holds",
    "names_512": "share of the question's names there",
    "pairs": "neighbouring terms of the question, in 128-token passages",
    "near_400": "BM25 of the 400 tokens around each of its leaves, on average",
    "near_1600": "the same of 1,600 tokens",
    "speaker_512": "share of the 512-token passage around it that is spoken by somebody whom the question names",
    "before": "match of the passage before",
    "behind": "match of the passage behind",
    # What it stands in
    "page": "BM25 of its page",
    "page_share": "share of the question that its page holds",
    "page_years": "whether its page holds a year of the question",
    "section": "BM25 of its section's text",
    "titles": "BM25 of the titles that it stands under",
    "titles_share": "share of the question in these titles",
    "page_titles": "BM25 of all titles on its page",
    "page_lead": "BM25 of the page's first lines (of the section's without pages)",
    "page_pairs": "neighbouring terms of the question in titles and first lines of the page",
    "file": "BM25 of its file",
    "file_rank": "log of its file's rank",
    "file_share": "share of the question that its file holds",
    "file_title": "BM25 of its file's first words",
    "file_title_share": "share of the question in them",
    # What professional vocabulary adds
    "lexicon": "BM25 of the passage for words that the lexicons add",
    "lexicon_page": "the same of its page",
    "lexicon_512": "the same of the 512-token passage around it",
    "places": "BM25 of the titles on its page for the places that the lexicons name",
    # What a routing adds: words of the document and what is needed, by a model that saw only the question
    "asked": "BM25 of the passage for the question's own words alone",
    "asked_512": "the same of the 512-token passage around it",
    "routed": "BM25 of the passage for the words that the routing names alone",
    "routed_share": "share of their rarity that it holds",
    "routed_512": "BM25 for them of the 512-token passage around it",
    "routed_page": "the same of its page",
    "routed_titles": "the same of the titles that it stands under",
    "routed_pairs": "neighbouring words of the routing's phrases, in the passage",
    "routed_pairs_128": "the same in 128-token passages",
    "routed_pairs_512": "the same in 512-token passages",
    "phrases": "share of the routing's phrases of which the passage holds most words",
    "phrases_512": "the same of the 512-token passage around it",
    "need": "how fully a title of its page names what is needed, for the best need",
    "need_lead": "the same for the page's first lines",
    "need_page": "BM25 of its page for the words of the need that suits it best",
    "needs": "how fully titles and first lines of its page name what is needed, for all needs",
    # What it looks like
    "digits": "share of its characters that write numbers",
    "digits_asked": "that share if a number is asked",
    "numbers": "numbers per token",
    "money": "currency and percent signs per token",
    "result": "share of its leaves that report a result",
    "result_asked": "whether it reports one, if an effect is asked",
    "headings": "share of its leaves that are headings",
    "rows": "share of its leaves that are table rows",
    "place_in_file": "how far into its file it stands",
    "place_in_section": "how far into its section",
    "tokens": "log of its length",
    "leaves": "log of its number of leaves",
    "formula": "the fixed formula's score",
    # What is asked
    "q_number": "a number is asked",
    "q_effect": "an effect is asked",
    "q_terms": "log of the number of terms",
    "q_whole": "a summary or opinions are asked",
    "q_yes_no": "it can be answered by yes or no",
    "q_lexicon": "a lexicon knows something of it",
    "q_routed": "how much of what a routing says to look for stands in the document at all",
    "q_needs": "how many things are needed",
    # What kind of document it is
    "d_digits": "share of its characters that write numbers",
    "d_leaf_tokens": "mean length of its leaves",
    "d_tokens": "log of its length",
    "d_speech": "share of its leaves that open with a speaker",
    "d_rows": "share of its tokens in table rows",
    "d_files": "whether it has several files",
    "d_pages": "whether it has pages",
    "d_headings": "share of its leaves that are headings",
    "grain": "the passage's grain",
}

_MOST = (240, 200, 160, 120, 80, 50)  # candidates per grain
_WHOLE = re.compile(r"summar|discuss|opinion|think|talk|say about|said about|mention|decid|conclude", re.IGNORECASE)
_YES_NO = re.compile(r"^\s*(?:is|are|was|were|do|does|did|has|have|can|may|must|will|should)\b", re.IGNORECASE)
_FEEDBACK_PASSAGES, _FEEDBACK_TERMS = 4, 15
_MOST_OF_A_PHRASE = 0.65  # as a share of its rarity: a word that stands everywhere may be missing
_WINDOWS = (400, 1600)


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


def describe(index: Index, question: Question, expansion: Expansion) -> Candidates:
    """Choose candidates for a question at every grain and describe them."""
    match = _Matches(index, question, expansion)
    parts = [_at_grain(match, grain) for grain in range(len(GRAINS))]
    return Candidates(
        nodes=np.concatenate([index.grains[grain].nodes[chosen] for grain, (chosen, _) in enumerate(parts)]),
        grain=np.repeat(np.arange(len(GRAINS)), [len(chosen) for chosen, _ in parts]),
        features=np.concatenate([rows for _, rows in parts]).astype(np.float32),
    )


def statistics_of(candidates: Candidates) -> Floats:
    """What the document itself is like, as its candidates' features have it."""
    columns = [at for at, name in enumerate(FEATURES) if name.startswith("d_")]
    return candidates.features[0, columns].astype(np.float64)


class _Matches:
    """How stretches of every layer match one question: arrays over stretches, computed once."""

    def __init__(self, index: Index, question: Question, expansion: Expansion) -> None:
        self.index, self.question = index, question
        self.asked = index.numbered(question.weights)
        self.names = index.numbered(dict.fromkeys(question.names, 1.0))
        self.words = index.numbered(dict.fromkeys(expansion.words, 1.0))
        self.own_words = index.numbered(dict.fromkeys(question.terms, 1.0))
        self.routed = index.numbered(dict(question.routed))
        self.routed_pairs = [(index.vocabulary.number(a), index.vocabulary.number(b)) for a, b in question.routed_pairs]
        self.raw = [index.scores(layer, self.asked) for layer in index.grains]
        self.relative = [_relative(scores) for scores in self.raw]
        at_leaf = [scores[layer.of_leaf] for scores, layer in zip(self.relative, index.grains, strict=True)]
        self.at_leaf = at_leaf
        self.pages = self._fields(expansion)
        self.spoken = self._spoken()
        self.leaves = self._leaf_arrays()
        self.near = {f"near_{width}": _running(_relative(index.near(self.asked, width))) for width in _WINDOWS}
        self.formula = formula_scores(index, question, self.asked)

    def by_own_words(self, grain: int) -> Floats:
        """Relative BM25 of the passages of a grain for the question's own words, whatever a routing adds."""
        if not self.routed:
            return self.relative[grain]
        return _relative(self.index.scores(self.index.grains[grain], self.own_words))

    def _fields(self, expansion: Expansion) -> dict[str, Floats]:
        """Scores of pages, sections and files, spread over leaves."""
        index, asked = self.index, self.asked
        pages, sections, files = index.pages.of_leaf, index.sections.of_leaf, index.files.of_leaf
        several = len(index.files) > 1
        file_scores = index.scores(index.files, asked) if several else np.zeros(1)
        places = index.numbered(dict.fromkeys((term for place in expansion.places for term in place), 1.0))
        pairs = [(index.vocabulary.number(a), index.vocabulary.number(b)) for a, b in self.question.pairs]
        return {
            "page": _relative(index.scores(index.pages, asked))[pages],
            "page_share": index.share(index.pages, asked)[pages],
            "section": _relative(index.scores(index.sections, asked))[sections],
            "titles": _relative(index.section_titles.scores(asked))[sections],
            "titles_share": index.section_titles.share(asked)[sections],
            "page_titles": _relative(index.page_titles.scores(asked))[pages],
            "page_lead": _relative(index.page_leads.scores(asked))[pages],
            "page_pairs": _relative(index.page_titles.pair_scores(pairs) + index.page_leads.pair_scores(pairs))[pages],
            "file": _relative(file_scores)[files] if several else np.ones(len(files)),
            "file_rank": _ranks(file_scores)[files],
            "file_share": index.share(index.files, asked)[files],
            "file_title": _relative(index.file_titles.scores(asked))[files],
            "file_title_share": index.file_titles.share(asked)[files],
            "lexicon_page": _relative(index.scores(index.pages, self.words))[pages],
            "places": _relative(index.page_titles.scores(places) + index.page_leads.scores(places))[pages],
            "page_years": self._held_years(index.pages)[pages],
            "routed_page": _relative(index.scores(index.pages, self.routed))[pages],
            "routed_titles": _relative(index.section_titles.scores(self.routed))[sections],
            **{name: values[pages] for name, values in self._needs().items()},
        }

    def _needs(self) -> dict[str, Floats]:
        """How well each page suits what is needed."""
        index = self.index
        nothing = np.zeros(len(index.pages))
        titles, leads, texts = [nothing], [nothing], [nothing]
        for need in self.question.needs:
            numbers = index.numbered(dict.fromkeys(need, 1.0))
            titles.append(index.page_titles.share(numbers))
            leads.append(index.page_leads.share(numbers))
            texts.append(_relative(index.scores(index.pages, numbers)))
        both = np.maximum(titles, leads)
        return {
            "need": np.max(titles, axis=0),
            "need_lead": np.max(leads, axis=0),
            "need_page": np.max(texts, axis=0),
            "needs": both.sum(axis=0) / max(1, len(self.question.needs)),
        }

    def _phrases(self, layer: Layer) -> Floats:
        """Share of the routing's phrases of which each stretch holds most."""
        held = np.zeros(len(layer))
        for phrase in self.question.phrases:
            held += self.index.share(layer, self.index.numbered(dict.fromkeys(phrase, 1.0))) > _MOST_OF_A_PHRASE
        return held / max(1, len(self.question.phrases))

    def _leaf_arrays(self) -> dict[str, Floats]:
        """Scores of fixed passage sizes, spread over leaves."""
        index = self.index
        middle, small = index.grains[GRAINS.index(512)], index.grains[GRAINS.index(128)]
        quarter = index.grains[GRAINS.index(256)]
        pairs = [(index.vocabulary.number(a), index.vocabulary.number(b)) for a, b in self.question.pairs]
        feedback = dict.fromkeys(self._feedback(quarter), 1.0)
        return {
            "share_512": index.share(middle, self.asked)[middle.of_leaf],
            "names_512": self._share(middle, self.names)[middle.of_leaf],
            "pairs": _relative(index.pair_scores(small, pairs))[small.of_leaf],
            "feedback": _relative(index.scores(quarter, feedback))[quarter.of_leaf],
            "lexicon_512": _relative(index.scores(middle, self.words))[middle.of_leaf],
            "asked_512": self.by_own_words(GRAINS.index(512))[middle.of_leaf],
            "routed_512": _relative(index.scores(middle, self.routed))[middle.of_leaf],
            "routed_pairs_128": _relative(index.pair_scores(small, self.routed_pairs))[small.of_leaf],
            "routed_pairs_512": _relative(index.pair_scores(middle, self.routed_pairs))[middle.of_leaf],
            "phrases_512": self._phrases(middle)[middle.of_leaf],
            "speaker_512": _shares(self.spoken, middle)[middle.of_leaf],
        }

    def _spoken(self) -> Floats:
        """Running total of leaves spoken by somebody named in the question: all of the name's terms, or none counts."""
        looks, asked = self.index.looks, set(self.question.terms)
        named = np.array([bool(name) and set(name) <= asked for name in map(terms, looks.names)] + [False])
        return np.concatenate(([0.0], np.cumsum(named[looks.speaker].astype(np.float64))))

    def _share(self, layer: Layer, numbers: Mapping[int, float]) -> Floats:
        return self.index.share(layer, numbers) if numbers else np.zeros(len(layer))

    def _held_years(self, layer: Layer) -> Floats:
        """Share of the question's years that each stretch holds."""
        held = np.zeros(len(layer))
        for year in sorted(self.question.years):
            leaves = self.index.leaves_with(self.index.vocabulary.number(year))
            held[np.unique(layer.of_leaf[leaves])] += 1.0 / len(self.question.years)
        return held

    def _feedback(self, layer: Layer) -> list[int]:
        """The terms by which the best passages differ from the document, those of the question left out."""
        index = self.index
        scores = self.raw[GRAINS.index(256)]
        weights = np.zeros(len(index.vocabulary.names))
        bounds = index.tree.leaf_terms[2]
        ends = np.append(layer.low[1:], len(index.leaf_lengths))
        for stretch in np.argsort(-scores, kind="stable")[:_FEEDBACK_PASSAGES]:
            inside = index.numbers[bounds[layer.low[stretch]] : bounds[ends[stretch]]]
            held, counts = np.unique(inside, return_counts=True)
            weights[held] += counts / (len(inside) + 20) * index.tree.term_rarity[held]
        order = np.argsort(-weights, kind="stable")[: 3 * _FEEDBACK_TERMS]
        telling = [int(n) for n in order if weights[n] > 0 and index.vocabulary.names[n][0].isalpha()]
        return [number for number in telling if number not in self.asked][:_FEEDBACK_TERMS]


def _at_grain(match: _Matches, grain: int) -> tuple[Ints, NDArray[np.float32]]:
    """The candidates of one grain, as indices into its layer, and their rows."""
    index = match.index
    layer = index.grains[grain]
    high = np.append(layer.low[1:], len(index.leaf_lengths))
    middle = (layer.low + high - 1) // 2
    chosen = _cheaply_best(match, grain, layer, middle)
    spread = _Spread(layer.low[chosen], high[chosen], middle[chosen], layer.low, chosen)
    columns = {**_own(match, grain, layer, chosen, spread), **_around(match, grain, spread)}
    columns |= _looks(match, spread) | _constants(match, grain, len(chosen))
    return chosen, np.stack([columns[name] for name in FEATURES], axis=1).astype(np.float32)


def _cheaply_best(match: _Matches, grain: int, layer: Layer, middle: Ints) -> Ints:
    """The candidates of a grain: best by a sum of the strongest signals, in document order."""
    fields, leaves = match.pages, match.leaves
    score = match.relative[grain] + 0.5 * (match.at_leaf[GRAINS.index(512)] + match.at_leaf[GRAINS.index(128)])[middle]
    score = score + 0.5 * fields["titles_share"][middle] + 0.3 * fields["page"][middle]
    score = score + 0.3 * (fields["page_titles"] + fields["page_lead"])[middle] + 0.4 * fields["lexicon_page"][middle]
    if len(match.index.files) > 1:
        score = score + fields["file"][middle]
    formula = np.maximum.reduceat(match.formula, layer.low)
    if match.routed:
        score = score + 0.4 * (fields["need"] + fields["need_lead"] + fields["routed_page"])[middle]
        score = score + 0.4 * (leaves["routed_512"] + leaves["routed_pairs_128"])[middle]
    score = score + 0.6 * _relative(formula) + 0.2 * leaves["feedback"][middle]
    best = np.argsort(-score, kind="stable")[: _MOST[grain]]
    return np.sort(best)


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


def _own(match: _Matches, grain: int, layer: Layer, chosen: Ints, spread: _Spread) -> dict[str, Floats]:
    index, own = match.index, match.relative[grain]
    most = index.most_possible(layer, match.asked)
    around = np.concatenate(([0.0], own, [0.0]))
    return {
        "own": own[chosen],
        "own_part": match.raw[grain][chosen] / max(most, 1e-9),
        "own_rank": _ranks(match.raw[grain])[chosen],
        "own_share": index.share(layer, match.asked)[chosen],
        "names": match._share(layer, match.names)[chosen],
        "years": match._held_years(layer)[chosen],
        "speaker": spread.mean(match.spoken),
        **{name: spread.mean(values) for name, values in match.near.items()},
        "feedback": match.leaves["feedback"][spread.middle],
        "lexicon": _relative(index.scores(layer, match.words))[chosen],
        "asked": match.by_own_words(grain)[chosen],
        "routed": _relative(index.scores(layer, match.routed))[chosen],
        "routed_share": match._share(layer, match.routed)[chosen],
        "routed_pairs": _relative(index.pair_scores(layer, match.routed_pairs))[chosen],
        "phrases": match._phrases(layer)[chosen],
        "before": around[chosen],
        "behind": around[chosen + 2],
    }


def _around(match: _Matches, grain: int, spread: _Spread) -> dict[str, Floats]:
    columns = {}
    for other, size in enumerate(GRAINS):
        values = match.at_leaf[other]
        columns[f"bm25_{size}"] = values[spread.middle] if other >= grain else spread.best(values)
    for name in (
        "share_512",
        "names_512",
        "lexicon_512",
        "asked_512",
        "routed_512",
        "phrases_512",
        "routed_pairs_512",
        "speaker_512",
    ):
        columns[name] = match.leaves[name][spread.middle]
    pairs = match.leaves["routed_pairs_128"]
    columns["routed_pairs_128"] = pairs[spread.middle] if grain <= GRAINS.index(128) else spread.best(pairs)
    pairs = match.leaves["pairs"]
    columns["pairs"] = pairs[spread.middle] if grain <= GRAINS.index(128) else spread.best(pairs)
    for name, values in match.pages.items():
        columns[name] = (
            spread.best(values) if name in ("titles", "titles_share", "routed_titles") else values[spread.middle]
        )
    columns["formula"] = spread.best(match.formula)
    return columns


def _looks(match: _Matches, spread: _Spread) -> dict[str, Floats]:
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


def _constants(match: _Matches, grain: int, size: int) -> dict[str, Floats]:
    index, question, looks = match.index, match.question, match.index.looks
    values = {
        "q_number": float(question.wants_number),
        "q_effect": float(question.wants_effect),
        "q_terms": math.log1p(len(question.terms)),
        "q_whole": float(bool(_WHOLE.search(question.text))),
        "q_yes_no": float(bool(_YES_NO.search(question.text))),
        "q_lexicon": float(bool(match.words)),
        "q_routed": float(np.mean([number >= 0 for number in match.routed])) if match.routed else 0.0,
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


def _ranks(scores: Floats) -> Floats:
    ranks = np.empty(len(scores))
    ranks[np.argsort(-scores, kind="stable")] = np.log1p(np.arange(len(scores)))
    return ranks


def _relative(scores: Floats) -> Floats:
    best = float(scores.max()) if len(scores) else 0.0
    return scores / best if best > 0 else scores


def _running(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))


def _shares(running: Floats, layer: Layer) -> Floats:
    """Each stretch's mean of a running total."""
    edges = np.append(layer.low, len(running) - 1)
    return np.asarray(np.diff(running[edges]) / np.diff(edges))
