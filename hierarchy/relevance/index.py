"""A tree's lexical index: where each term stands, and how well stretches of any size match a question.

One list of term positions serves every granularity: a stretch's term counts are sums over its leaves, so BM25 over
sentences, passages of any size, pages, sections and files needs no index of its own. Titles are small fields beside.

Source of the score: Okapi BM25 (Robertson and Zaragoza, "The Probabilistic Relevance Framework", 2009).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.looks import Looks, looks_of
from hierarchy.segments import LeafKind
from hierarchy.terms import Vocabulary
from hierarchy.tree import Ints, SummaryTree

__all__ = ["GRAINS", "Field", "Index", "Layer"]

GRAINS = (0, 64, 128, 256, 512, 1024)
"""Sizes of the passages at which text is matched, in tokens; 0 is the leaf."""

_SLACK = 1.1  # passages are packed to their size plus a tenth
_K1, _B = 1.5, 0.75
_TITLE_LEAVES, _TITLE_TERMS = 8, 40
_LEAD_LINES = 4
_KEPT = 1024  # terms of which a layer remembers where they are held

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """A partition of the leaves into contiguous stretches.

    Attributes:
        of_leaf: The stretch that each leaf lies in, ascending from 0.
        low: First leaf of each stretch.
        nodes: The tree node of each stretch; empty where stretches are no nodes (pages, sections, files).
        lengths: Terms in each stretch.
        held: Of terms that were asked for of late which stretches hold them, and how often: see `Index.held`.
    """

    of_leaf: Ints
    low: Ints
    nodes: Ints
    lengths: Floats
    held: dict[int, tuple[Ints, Floats]] = field(init=False, default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        """How many stretches there are."""
        return len(self.low)


class Field:
    """Short texts (titles, first lines) matched like stretches."""

    def __init__(self, texts: Iterable[str], vocabulary: Vocabulary) -> None:
        self.numbers, self.owners = vocabulary.encode(texts_ := list(texts))
        self.size = len(texts_)
        self.lengths = np.bincount(self.owners, minlength=self.size).astype(np.float64)

    def scores(self, numbers: Mapping[int, float]) -> Floats:
        """BM25 of each text for weighted terms."""
        matches = ((self.owners[self.numbers == number], weight) for number, weight in numbers.items())
        return bm25(matches, self.lengths)

    def pair_scores(self, pairs: Iterable[tuple[int, int]]) -> Floats:
        """BM25 of each text for pairs of neighbouring terms."""
        together = self.owners[1:] == self.owners[:-1]
        matches = (
            (self.owners[:-1][together & (self.numbers[:-1] == first) & (self.numbers[1:] == second)], 1.0)
            for first, second in pairs
        )
        return bm25(matches, self.lengths)

    def share(self, numbers: Mapping[int, float]) -> Floats:
        """How much of the terms' rarity each text matches, 0 to 1."""
        matches = [(self.owners[self.numbers == number], weight) for number, weight in numbers.items()]
        return matched_share(matches, self.size)


def bm25(matches: Iterable[tuple[Ints, float]], lengths: Floats) -> Floats:
    """BM25 of each stretch, from the stretches in which each term occurs (once per occurrence) and its weight."""
    return _bm25(((*_counted(owners, len(lengths)), weight) for owners, weight in matches), lengths)


def _bm25(held: Iterable[tuple[Ints, Floats, float]], lengths: Floats) -> Floats:
    """BM25 from the stretches that hold each term, how often they do, and its weight."""
    total = np.zeros(len(lengths))
    norm = _K1 * (1 - _B + _B * lengths / max(1.0, float(lengths.mean()) if len(lengths) else 1.0))
    for stretches, counts, weight in held:
        if len(stretches):
            rarity = np.log1p((len(lengths) - len(stretches) + 0.5) / (len(stretches) + 0.5))
            total[stretches] += weight * rarity * counts * (_K1 + 1) / (counts + norm[stretches])
    return total


def matched_share(matches: Iterable[tuple[Ints, float]], size: int) -> Floats:
    """Share of all terms' rarity that each stretch matches; a term that occurs nowhere counts as the rarest."""
    return _matched_share(((_counted(owners, size)[0], weight) for owners, weight in matches), size)


def _matched_share(held: Iterable[tuple[Ints, float]], size: int) -> Floats:
    """The same from the stretches that hold each term."""
    total, possible = np.zeros(size), 1e-9
    for stretches, weight in held:
        count = len(stretches)
        rarity = weight * (np.log1p((size - count + 0.5) / (count + 0.5)) if count else np.log1p(size))
        total[stretches] += rarity
        possible += rarity
    return total / possible


def _counted(owners: Ints, size: int) -> tuple[Ints, Floats]:
    """Distinct owners and how often each occurs. **Owners are ascending**, as leaves are."""
    if len(owners) * 2 > size:
        counts = np.bincount(owners, minlength=size)
        held = np.flatnonzero(counts)
        return held, counts[held].astype(np.float64)
    if not len(owners):
        return owners, np.zeros(0)
    begins = np.empty(len(owners), dtype=np.bool_)
    begins[0] = True
    np.not_equal(owners[1:], owners[:-1], out=begins[1:])
    first = begins.nonzero()[0]
    times = np.empty(len(first))
    times[:-1] = first[1:] - first[:-1]
    times[-1] = len(owners) - first[-1]
    return owners[first], times


class Index:
    """All that a question is matched against. Built once per tree; holds arrays only, no text."""

    def __init__(self, tree: SummaryTree) -> None:
        self.tree = tree
        self.vocabulary, numbers, bounds = tree.leaf_terms
        self.numbers = numbers
        leaves = len(tree.leaves)
        self.owners = np.repeat(np.arange(leaves), np.diff(bounds))
        self._windows: dict[int, tuple[Ints, Ints]] = {}
        self.leaf_lengths = np.diff(bounds).astype(np.float64)
        self._order = np.argsort(numbers, kind="stable")
        self._bounds = np.searchsorted(numbers[self._order], np.arange(len(self.vocabulary.names) + 1))

    # -- layers ------------------------------------------------------------------------------------------------

    @cached_property
    def grains(self) -> tuple[Layer, ...]:
        """The cuts of the tree at each of `GRAINS`, finest first."""
        cuts = [self.tree.cut(int(grain * _SLACK)) for grain in GRAINS]
        lows = [self.tree.nodes.low[cut] for cut in cuts]
        return tuple(self._layer(low, cut) for low, cut in zip(lows, cuts, strict=True))

    @cached_property
    def pages(self) -> Layer:
        """Physical pages; runs of the same section where a file has no pages."""
        leaves = self.tree.leaves
        paged = np.array([bool(file.pages) for file in self.tree.files])
        sections = np.where(paged[leaves.file], -1, leaves.section)
        changes = (np.diff(leaves.page) != 0) | (np.diff(sections) != 0)
        return self._runs(np.concatenate(([0], np.cumsum(changes))))

    @cached_property
    def sections(self) -> Layer:
        """Runs of leaves that stand in the same innermost section."""
        return self._runs(self.tree.leaves.section * len(self.tree.files) + self.tree.leaves.file)

    @cached_property
    def files(self) -> Layer:
        """Files."""
        return self._runs(self.tree.leaves.file)

    def _runs(self, labels: Ints) -> Layer:
        low = np.concatenate(([0], np.flatnonzero(np.diff(labels)) + 1))
        return self._layer(low, np.zeros(0, dtype=np.int64))

    def _layer(self, low: Ints, nodes: Ints) -> Layer:
        sizes = np.diff(np.append(low, len(self.tree.leaves)))
        return Layer(
            of_leaf=np.repeat(np.arange(len(low)), sizes),
            low=low,
            nodes=nodes,
            lengths=np.add.reduceat(self.leaf_lengths, low),
        )

    # -- fields ------------------------------------------------------------------------------------------------

    @cached_property
    def section_titles(self) -> Field:
        """For each run of `sections`, the titles it stands under."""
        tree = self.tree
        of_run = tree.leaves.section[self.sections.low]
        return self._field(" ".join(tree.section_paths[s]) if s >= 0 else "" for s in of_run)

    @cached_property
    def page_titles(self) -> Field:
        """For each page, the titles of sections that start there or reach it."""
        tree = self.tree
        edges = np.append(self.pages.low, len(tree.leaves))
        texts = []
        for low, high in itertools.pairwise(edges):
            sections = dict.fromkeys(tree.leaves.section[low:high].tolist())
            texts.append("\n".join(" ".join(tree.section_paths[s]) for s in sections if s >= 0))
        return self._field(texts)

    @cached_property
    def page_leads(self) -> Field:
        """For each page, its first lines that are not furniture."""
        tree = self.tree
        edges = np.append(self.pages.low, len(tree.leaves))
        return self._field(self._lead(low, high) for low, high in itertools.pairwise(edges))

    def _lead(self, low: int, high: int) -> str:
        kinds = self.tree.leaves.kind[low : min(high, low + 4 * _LEAD_LINES)]
        telling = low + np.flatnonzero(kinds != LeafKind.FURNITURE)[:_LEAD_LINES]
        return "\n".join(self.tree.leaf_text(int(leaf))[:120] for leaf in telling)

    @cached_property
    def file_titles(self) -> Field:
        """For each file, its name and first lines."""
        tree, texts = self.tree, []
        for low in self.files.low:
            leaves = range(int(low), min(int(low) + _TITLE_LEAVES, len(tree.leaves)))
            words = " ".join(tree.leaf_text(leaf) for leaf in leaves).split()[:_TITLE_TERMS]
            texts.append(" ".join(words))
        return self._field(texts)

    def _field(self, texts: Iterable[str]) -> Field:
        return Field(texts, self.vocabulary)

    # -- what leaves look like ---------------------------------------------------------------------------------

    @cached_property
    def looks(self) -> Looks:
        """What the leaves look like."""
        return looks_of(self.tree)

    @property
    def speech(self) -> float:
        """Share of the leaves that open with a speaker's name."""
        return float(self.looks.speakers[-1] / len(self.leaf_lengths))

    @property
    def tabular(self) -> float:
        """Share of the tokens that stand in table rows."""
        return self.looks.share(self.looks.row_tokens, self.looks.tokens)

    # -- matching ----------------------------------------------------------------------------------------------

    def numbered(self, weighted: Mapping[str, float]) -> dict[int, float]:
        """Terms by number; a term that no text holds gets a number of its own below 0."""
        numbers = ((self.vocabulary.number(term), weight) for term, weight in weighted.items())
        return {number if number >= 0 else -1 - i: weight for i, (number, weight) in enumerate(numbers)}

    def leaves_with(self, number: int) -> Ints:
        """The leaf of each occurrence of a term, ascending."""
        if not 0 <= number < len(self._bounds) - 1:
            return np.zeros(0, dtype=np.int64)
        return self.owners[self._order[self._bounds[number] : self._bounds[number + 1]]]

    def leaves_with_pair(self, first: int, second: int) -> Ints:
        """The leaf of each place where one term follows the other within it."""
        return np.asarray(self.owners[self._together(first, second)])

    def _together(self, first: int, second: int) -> Ints:
        """Each place where one term follows the other within a leaf, as the place of the first."""
        if not (0 <= first < len(self._bounds) - 1 and second >= 0):
            return np.zeros(0, dtype=np.int64)
        places = self._order[self._bounds[first] : self._bounds[first + 1]]
        places = places[places + 1 < len(self.numbers)]
        follows = (self.numbers[places + 1] == second) & (self.owners[places + 1] == self.owners[places])
        return np.asarray(places[follows])

    def runs(self, pairs: Iterable[tuple[int, int]]) -> Floats:
        """The rarity of the rarest run of terms in each leaf in which all neighbours are among the pairs."""
        best = np.zeros(len(self.leaf_lengths))
        places = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *(self._together(*pair) for pair in pairs)]))
        if len(places):
            ends = np.append(np.flatnonzero(np.diff(places) > 1), len(places) - 1)
            begins = np.append(0, ends[:-1] + 1)
            rarity = self._rarity_before[places[ends] + 2] - self._rarity_before[places[begins]]
            np.maximum.at(best, self.owners[places[begins]], rarity)
        return best

    @cached_property
    def _rarity_before(self) -> Floats:
        """The rarity of all terms before each place."""
        return np.concatenate(([0.0], np.cumsum(self.tree.term_rarity[self.numbers])))

    def held(self, layer: Layer, number: int) -> tuple[Ints, Floats]:
        """The stretches of a layer that hold a term, ascending, and how often each does.

        What is asked of one question is asked many times; it is kept until there is much of it.
        """
        found = layer.held.get(number)
        if found is None:
            found = _counted(layer.of_leaf[self.leaves_with(number)], len(layer))
            if len(layer.held) >= _KEPT:
                layer.held.clear()
            layer.held[number] = found
        return found

    def scores(self, layer: Layer, numbers: Mapping[int, float]) -> Floats:
        """BM25 of each stretch of a layer for weighted terms."""
        return _bm25(((*self.held(layer, number), weight) for number, weight in numbers.items()), layer.lengths)

    def share(self, layer: Layer, numbers: Mapping[int, float]) -> Floats:
        """How much of the terms' rarity each stretch matches, 0 to 1."""
        return _matched_share(((self.held(layer, number)[0], w) for number, w in numbers.items()), len(layer))

    def near(self, numbers: Mapping[int, float], width: int) -> Floats:
        """BM25 of the tokens around the middle of each leaf, so many of them and in its file, wherever passages end."""
        if width not in self._windows:
            self._windows[width] = self._window(width)
        first, last = self._windows[width]
        layer = self.grains[GRAINS.index(512)]
        total = np.zeros(len(self.leaf_lengths))
        for number, weight in numbers.items():
            leaves = self.leaves_with(number)
            if not len(leaves):
                continue
            held = len(self.held(layer, number)[0])
            rarity = np.log1p((len(layer) - held + 0.5) / (held + 0.5))
            counts = np.searchsorted(leaves, last, "left") - np.searchsorted(leaves, first, "left")
            total += weight * rarity * counts * (_K1 + 1) / (counts + _K1)
        return total

    def _window(self, width: int) -> tuple[Ints, Ints]:
        """The first leaf of the window around each leaf, and one past the last."""
        edges = self.tree.leaf_edges
        middles = (edges[:-1] + edges[1:]) / 2
        first = np.searchsorted(edges[1:], middles - width / 2, "right")
        last = np.searchsorted(edges[:-1], middles + width / 2, "left")
        of_file, ends = self.files.of_leaf, np.append(self.files.low[1:], len(middles))
        return np.maximum(first, self.files.low[of_file]), np.minimum(last, ends[of_file])

    def most_possible(self, layer: Layer, numbers: Mapping[int, float]) -> float:
        """What a stretch would score that is nothing but the terms, many times each."""
        total = 0.0
        for number, weight in numbers.items():
            held = len(self.held(layer, number)[0])
            total += weight * (_K1 + 1) * float(np.log1p((len(layer) - held + 0.5) / (held + 0.5)))
        return total

    def pair_numbers(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[int, int]]:
        """Pairs of terms by number, without those that can't stand together: a term of theirs is nowhere."""
        number = self.vocabulary.number
        return [pair for pair in ((number(first), number(second)) for first, second in pairs) if min(pair) >= 0]

    def pair_scores(self, layer: Layer, pairs: Iterable[tuple[int, int]]) -> Floats:
        """BM25 of each stretch for pairs of neighbouring terms."""
        return self.scores_at(layer, (self.leaves_with_pair(*pair) for pair in pairs))

    def scores_at(self, layer: Layer, found: Iterable[Ints]) -> Floats:
        """BM25 of each stretch for anything that stands in leaves, once per occurrence, ascending."""
        return bm25(((layer.of_leaf[leaves], 1.0) for leaves in found), layer.lengths)
