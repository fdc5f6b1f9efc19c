"""How stretches of every layer match one question: what the features of a passage are read from.

A question is looked for in its own words, in those that lexicons add, and in those of a routing; each by word, by
neighbouring words and by whole phrases, in passages of every grain, pages, sections, titles and files. All of it is
arrays over stretches or leaves, computed once per question. What a column is called and means is in `features`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.formula import formula_scores
from hierarchy.relevance.index import GRAINS, Field, Index, Layer
from hierarchy.relevance.lexicon import Expansion
from hierarchy.relevance.question import Question
from hierarchy.relevance.semantic import likeness
from hierarchy.terms import terms

__all__ = ["Matches", "ranks", "relative"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Phrases = Sequence[tuple[str, ...]]

_FEEDBACK_PASSAGES, _FEEDBACK_TERMS = 4, 15
_MOST_OF_A_PHRASE = 0.65  # as a share of its rarity: a word that stands everywhere may be missing
_WINDOWS = (400, 1600)


class Matches:
    """How a document matches a question.

    Attributes:
        index: The document's index.
        question: What is asked.
        raw: Per grain the BM25 of each passage.
        relative: The same relative to the best.
        at_leaf: The same spread over leaves.
        pages: Scores of pages, sections and files, spread over leaves, by feature.
        leaves: Scores of passages of one fixed size, spread over leaves, by feature.
        spoken: Running total over leaves of those spoken by somebody whom the question names.
        near: Running totals over leaves of matches in windows around them, by feature.
        formula: The fixed formula's score at each leaf.
        likeness: How alike passages are to the question in meaning, spread over leaves, by feature; empty without.
    """

    def __init__(self, index: Index, question: Question, expansion: Expansion, *, semantic: bool = False) -> None:
        self.index, self.question = index, question
        self._asked = index.numbered(question.weights)
        self._own_words = index.numbered(dict.fromkeys(question.terms, 1.0))
        self._names = index.numbered(dict.fromkeys(question.names, 1.0))
        self._words = index.numbered(dict.fromkeys(expansion.words, 1.0))
        self._routed = index.numbered(dict(question.routed))
        self._expansion = expansion
        self._pairs = self._places_of(question.pairs)
        self._lexicon_pairs = self._places_of(itertools.chain(*map(itertools.pairwise, expansion.phrases)))
        self._routed_pairs = self._places_of(question.routed_pairs)
        self.raw = [index.scores(layer, self._asked) for layer in index.grains]
        self.relative = [relative(scores) for scores in self.raw]
        self.at_leaf = [scores[layer.of_leaf] for scores, layer in zip(self.relative, index.grains, strict=True)]
        self.pages = self._fields()
        self.spoken = self._spoken()
        self.leaves = self._fixed_sizes()
        self.near = {f"near_{width}": _running(relative(index.near(self._asked, width))) for width in _WINDOWS}
        self.formula = formula_scores(index, question, self._asked)
        self.likeness = likeness(index, question.text) if semantic else {}

    @property
    def has_lexicon(self) -> bool:
        """Whether a lexicon adds words that the question lacks."""
        return bool(self._words)

    @property
    def is_routed(self) -> bool:
        """Whether a routing named words."""
        return bool(self._routed)

    @property
    def routed_share(self) -> float:
        """How much of what a routing says to look for stands in the document at all, 0 to 1."""
        return float(np.mean([number >= 0 for number in self._routed])) if self._routed else 0.0

    def own(self, grain: int) -> dict[str, Floats]:
        """What each passage of a grain has of its own, by feature."""
        index, layer, scores = self.index, self.index.grains[grain], self.relative[grain]
        around = np.concatenate(([0.0], scores, [0.0]))
        return {
            "own": scores,
            "own_part": self.raw[grain] / max(index.most_possible(layer, self._asked), 1e-9),
            "own_rank": ranks(self.raw[grain]),
            "own_share": index.share(layer, self._asked),
            "names": self._share(layer, self._names),
            "years": self._held_years(layer),
            "lexicon": relative(index.scores(layer, self._words)),
            "lexicon_pairs": relative(index.scores_at(layer, self._lexicon_pairs)),
            "lexicon_phrases": self._held_phrases(layer, self._expansion.phrases),
            "asked": self._by_own_words(grain),
            "routed": relative(index.scores(layer, self._routed)),
            "routed_share": self._share(layer, self._routed),
            "routed_pairs": relative(index.scores_at(layer, self._routed_pairs)),
            "phrases": self._held_phrases(layer, self.question.phrases),
            "before": around[:-2],
            "behind": around[2:],
        }

    def _fields(self) -> dict[str, Floats]:
        """Scores of pages, sections and files, spread over leaves."""
        index = self.index
        of_leaf = index.pages.of_leaf, index.sections.of_leaf, index.files.of_leaf
        layers = self._by_page(), self._by_section(), self._by_file()
        return {
            name: values[stretch]
            for stretch, layer in zip(of_leaf, layers, strict=True)
            for name, values in layer.items()
        }

    def _by_page(self) -> dict[str, Floats]:
        index, asked, pages = self.index, self._asked, self.index.pages
        titles, leads, sought = index.page_titles, index.page_leads, self._expansion.places
        pairs = index.pair_numbers(self.question.pairs)
        places = index.numbered(dict.fromkeys(itertools.chain(*sought), 1.0))
        return {
            "page": relative(index.scores(pages, asked)),
            "page_share": index.share(pages, asked),
            "page_years": self._held_years(pages),
            "page_titles": relative(titles.scores(asked)),
            "page_lead": relative(leads.scores(asked)),
            "page_pairs": relative(titles.pair_scores(pairs) + leads.pair_scores(pairs)),
            "lexicon_page": relative(index.scores(pages, self._words)),
            "lexicon_phrases_page": self._held_phrases(pages, self._expansion.phrases),
            "places": relative(titles.scores(places) + leads.scores(places)),
            "place": self._best_of(titles, sought),
            "place_lead": self._best_of(leads, sought),
            "routed_page": relative(index.scores(pages, self._routed)),
            "phrase_lead": self._best_of(leads, self.question.phrases),
            **self._needs(),
        }

    def _by_section(self) -> dict[str, Floats]:
        index, asked, titles = self.index, self._asked, self.index.section_titles
        return {
            "section": relative(index.scores(index.sections, asked)),
            "titles": relative(titles.scores(asked)),
            "titles_share": titles.share(asked),
            "place_title": self._best_of(titles, self._expansion.places),
            "routed_titles": relative(titles.scores(self._routed)),
            "phrase_title": self._best_of(titles, self.question.phrases),
        }

    def _by_file(self) -> dict[str, Floats]:
        index, asked, several = self.index, self._asked, len(self.index.files) > 1
        scores = index.scores(index.files, asked) if several else np.zeros(1)
        return {
            "file": relative(scores) if several else np.ones(1),
            "file_rank": ranks(scores),
            "file_share": index.share(index.files, asked),
            "file_title": relative(index.file_titles.scores(asked)),
            "file_title_share": index.file_titles.share(asked),
        }

    def _needs(self) -> dict[str, Floats]:
        """How well each page suits what is needed."""
        index, needs = self.index, self.question.needs
        nothing = np.zeros(len(index.pages))
        titles, leads = ([nothing, *self._shares(field, needs)] for field in (index.page_titles, index.page_leads))
        texts = [relative(index.scores(index.pages, index.numbered(dict.fromkeys(need, 1.0)))) for need in needs]
        return {
            "need": np.max(titles, axis=0),
            "need_lead": np.max(leads, axis=0),
            "need_page": np.max([nothing, *texts], axis=0),
            "needs": np.maximum(titles, leads).sum(axis=0) / max(1, len(needs)),
        }

    def _fixed_sizes(self) -> dict[str, Floats]:
        """Scores of fixed passage sizes, spread over leaves."""
        index = self.index
        small, quarter, middle = (index.grains[GRAINS.index(size)] for size in (128, 256, 512))
        feedback = dict.fromkeys(self._feedback(quarter), 1.0)
        runs = index.runs(index.pair_numbers(self.question.pairs))
        of_quarter = {"feedback": relative(index.scores(quarter, feedback))}
        of_small = {
            "pairs": relative(index.scores_at(small, self._pairs)),
            "lexicon_pairs_128": relative(index.scores_at(small, self._lexicon_pairs)),
            "routed_pairs_128": relative(index.scores_at(small, self._routed_pairs)),
        }
        of_middle = {
            "share_512": index.share(middle, self._asked),
            "names_512": self._share(middle, self._names),
            "speaker_512": self._spoken_share(middle),
            "lexicon_512": relative(index.scores(middle, self._words)),
            "lexicon_pairs_512": relative(index.scores_at(middle, self._lexicon_pairs)),
            "lexicon_phrases_512": self._held_phrases(middle, self._expansion.phrases),
            "asked_512": self._by_own_words(GRAINS.index(512)),
            "routed_512": relative(index.scores(middle, self._routed)),
            "routed_pairs_512": relative(index.scores_at(middle, self._routed_pairs)),
            "phrases_512": self._held_phrases(middle, self.question.phrases),
        }
        layers = ((of_quarter, quarter), (of_small, small), (of_middle, middle))
        spread = {name: values[layer.of_leaf] for scores, layer in layers for name, values in scores.items()}
        return spread | {"run": relative(runs), "run_share": self._share_of_question(runs)}

    # -- by word, phrase, year and speaker -------------------------------------------------------------------------

    def _by_own_words(self, grain: int) -> Floats:
        """Relative BM25 of the passages of a grain for the question's own words, whatever a routing adds."""
        if not self._routed:
            return self.relative[grain]
        return relative(self.index.scores(self.index.grains[grain], self._own_words))

    def _share(self, layer: Layer, numbers: Mapping[int, float]) -> Floats:
        return self.index.share(layer, numbers) if numbers else np.zeros(len(layer))

    def _share_of_question(self, rarity: Floats) -> Floats:
        """Rarity as a share of all that the question's words have."""
        known = [number for number in self._own_words if number >= 0]
        return np.asarray(np.minimum(1.0, rarity / max(float(self.index.tree.term_rarity[known].sum()), 1e-9)))

    def _places_of(self, pairs: Iterable[tuple[str, str]]) -> list[Ints]:
        """Where each pair of neighbouring terms stands, each pair once."""
        return [self.index.leaves_with_pair(*pair) for pair in self.index.pair_numbers(dict.fromkeys(pairs))]

    def _held_phrases(self, layer: Layer, phrases: Phrases) -> Floats:
        """Share of some phrases of which each stretch holds most."""
        held = np.zeros(len(layer))
        for phrase in phrases:
            held += self.index.share(layer, self.index.numbered(dict.fromkeys(phrase, 1.0))) > _MOST_OF_A_PHRASE
        return held / max(1, len(phrases))

    def _shares(self, field: Field, phrases: Phrases) -> list[Floats]:
        """How fully each title names each of some phrases."""
        return [field.share(self.index.numbered(dict.fromkeys(phrase, 1.0))) for phrase in phrases]

    def _best_of(self, field: Field, phrases: Phrases) -> Floats:
        """How fully each title names one of some phrases, the one that it names best."""
        return np.asarray(np.max([np.zeros(field.size), *self._shares(field, phrases)], axis=0))

    def _held_years(self, layer: Layer) -> Floats:
        """Share of the question's years that each stretch holds."""
        held = np.zeros(len(layer))
        for year in sorted(self.question.years):
            leaves = self.index.leaves_with(self.index.vocabulary.number(year))
            held[np.unique(layer.of_leaf[leaves])] += 1.0 / len(self.question.years)
        return held

    def _spoken(self) -> Floats:
        """Running total of leaves spoken by somebody named in the question: all of the name's terms, or none counts."""
        looks, asked = self.index.looks, set(self.question.terms)
        named = np.array([bool(name) and set(name) <= asked for name in map(terms, looks.names)] + [False])
        return _running(named[looks.speaker].astype(np.float64))

    def _spoken_share(self, layer: Layer) -> Floats:
        """Share of each stretch that is spoken by somebody named in the question."""
        edges = np.append(layer.low, len(self.spoken) - 1)
        return np.asarray(np.diff(self.spoken[edges]) / np.diff(edges))

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
        return [number for number in telling if number not in self._asked][:_FEEDBACK_TERMS]


def relative(scores: Floats) -> Floats:
    """Scores as a share of the best of them.

    Example:
        >>> relative(np.array([1.0, 4.0])).tolist()
        [0.25, 1.0]
    """
    best = float(scores.max()) if len(scores) else 0.0
    return scores / best if best > 0 else scores


def ranks(scores: Floats) -> Floats:
    """The log of each score's rank, 0 for the best."""
    found = np.empty(len(scores))
    found[np.argsort(-scores, kind="stable")] = np.log1p(np.arange(len(scores)))
    return found


def _running(values: Floats) -> Floats:
    return np.concatenate(([0.0], np.cumsum(values)))
