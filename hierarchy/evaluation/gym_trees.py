"""Made-up documents with known evidence, and estimates of where it is: what the gym allocates over.

A tree is the planner's own, over a generated document of sentences, long paragraphs and tables, in sections or files. A
`Task` says what is needed in it: *needs*, each with the places that may meet it. The estimate is drawn, not made up: a
noisy score per place, and what follows from it by Bayes' rule. So there are always two sets of probabilities: what the
estimate **believes**, which policies see, and what is **known** to somebody who weighs the same scores correctly. They
agree where the estimate is calibrated; values are told under the second, which is what happens on average.

Doesn't know policies.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document, Section, Span
from hierarchy.planner import outline
from hierarchy.relevance import Question, Relevance
from hierarchy.relevance.index import GRAINS
from hierarchy.segments import LeafKind
from hierarchy.tree import Ints, SummaryTree

__all__ = ["ESTIMATES", "FORMS", "Need", "Task", "draw_task", "grow"]

Floats = NDArray[np.float64]
Form = Literal["sentence", "paragraph", "table", "both", "repeated", "files"]
Estimate = Literal["perfect", "noisy", "overconfident", "blind"]

FORMS: tuple[Form, ...] = ("sentence", "paragraph", "table", "both", "repeated", "files")
"""What is needed: one sentence; one paragraph, its first half worth more than its second; one table, of use only whole;
two statements, of use only together; a fact that stands in several places, of which one is enough; a fact of each
file, which may stand in several places of it."""

ESTIMATES: tuple[Estimate, ...] = ("perfect", "noisy", "overconfident", "blind")
"""How good the estimate is: it knows; it weighs noisy scores rightly; it weighs them too highly and takes for signal
what sections have in common; it is as sure as a noisy one, about places that have nothing to do with it."""

# The overconfident estimate: how many times too highly it weighs a score, and how much of the scores' variance the
# places of a section share without its knowing.
_TOO_HIGH, _SHARED = 2.0, 0.5
# In how many places a fact is repeated, about; in a file, and in a document.
_REPEATS_IN_FILE, _REPEATS = 2.0, 4.0
# The grain at which candidates stop may be exceeded by a tenth, as everywhere.
_SLACK = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Need:
    """Something that is needed, and the places where it may be: runs of leaves, apart and in document order.

    Attributes:
        low: First leaf of each place.
        high: One past the last.
        believed: Probability of each place in the estimate that policies see.
        known: The same, weighed correctly.
        alone: Whether exactly one of the places holds it; else each may, at least one does, and one is enough.
        whole: Whether a place is of use only if all of it is read. Else the first half is worth three quarters.
    """

    low: Ints
    high: Ints
    believed: Floats
    known: Floats
    alone: bool = True
    whole: bool = False

    def met(self, shares: Floats, probability: Floats) -> Floats:
        """The chance that it is met, given the share of each place's tokens that is read (last axis)."""
        worth = (shares >= 1 - 1e-9).astype(np.float64) if self.whole else 1 - (1 - shares) ** 2
        if self.alone:
            return np.asarray(worth @ probability)
        sure = np.minimum(probability, 1 - 1e-12)
        missed = np.exp(np.log1p(-worth * sure).sum(axis=-1))
        return np.asarray((1 - missed) / max(1e-12, 1 - np.exp(np.log1p(-sure).sum())))


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A tree, what is needed of it, and the estimate that policies see.

    Attributes:
        tree: The tree.
        form: One of `FORMS`.
        estimate: One of `ESTIMATES`.
        needs: What is needed, one as much as another.
        relevance: The estimate.
    """

    tree: SummaryTree
    form: Form
    estimate: Estimate
    needs: tuple[Need, ...]
    relevance: Relevance

    def value(self, read: NDArray[np.bool_], *, believed: bool = False) -> Floats:
        """The share of what is needed that a reading covers, in expectation.

        Of several needs the mean, or the product where one without the other is of no use.

        Args:
            read: Which leaves are read (last axis); several readings at once if it has another axis.
            believed: Under the estimate; else under what is known.
        """
        edges = _edges((read * self.tree.leaves.tokens).astype(np.float64))
        chances = [
            need.met(self._shares(need, edges), need.believed if believed else need.known) for need in self.needs
        ]
        return np.asarray(np.prod(chances, axis=0) if self.form == "both" else np.mean(chances, axis=0))

    def _shares(self, need: Need, edges: Floats) -> Floats:
        sizes = self.tree.leaf_edges[need.high] - self.tree.leaf_edges[need.low]
        return np.asarray((edges[..., need.high] - edges[..., need.low]) / sizes)


# -- documents ---------------------------------------------------------------------------------------------------------


def grow(generator: np.random.Generator, leaves: int, files: int = 1) -> SummaryTree:
    """The tree of a made-up document, counted in words.

    Args:
        generator: Draws the document.
        leaves: About how many leaves it has; never more.
        files: A folder of so many files, if more than one.
    """
    parts = [_document(generator, f"{number}.txt", leaves // files) for number in range(files)]
    whole = parts[0] if files == 1 else Document(name="made-up", media="folder", parts=tuple(parts))
    return outline(whole, _words)


def _words(text: str) -> int:
    return len(text.split())


def _document(generator: np.random.Generator, name: str, leaves: int) -> Document:
    text, sections, rows = "", list[tuple[int, str]](), list[Span]()
    left = leaves
    until_section = 0
    while left > 0:
        if until_section <= 0 and left > 3:
            sections.append((len(text), f"Part {len(sections) + 1}"))
            text += f"Part {len(sections)}\n\n"
            left -= 1
            until_section = int(generator.integers(5, 10)) if leaves < 50 else int(generator.integers(15, 60))
        table, size = _block(generator, left, leaves)
        for _ in range(size):
            line = _sentence(generator, table=table)
            if table:
                rows.append(Span(len(text), len(text) + len(line)))
            text += line
        text += "\n" if table else "\n\n"
        left -= size
        until_section -= size
    edges = [*(start for start, _ in sections), len(text)]
    spans = (Section(title=title, span=Span(*edges[at : at + 2])) for at, (_, title) in enumerate(sections))
    return Document(name=name, text=text, sections=tuple(spans), rows=tuple(rows))


def _block(generator: np.random.Generator, left: int, leaves: int) -> tuple[bool, int]:
    """Whether the next block is a table, and of how many leaves: now and then a long one where there is room."""
    table = bool(generator.random() < 0.3)
    longest = 4 if leaves < 50 else 20 if generator.random() < 0.1 else 8
    return table, min(left, int(generator.integers(2 if table else 1, longest + 1)))


def _sentence(generator: np.random.Generator, *, table: bool) -> str:
    """A row of a few words, or a sentence: mostly of a dozen or two, some much longer."""
    words = int(generator.integers(4, 13)) if table else int(np.clip(generator.lognormal(2.9, 0.5), 4, 80))
    return f"Row {'9 ' * (words - 2)}9\n" if table else f"Then {'it ' * (words - 2)}was. "


# -- needs and estimates -----------------------------------------------------------------------------------------------


def draw_task(
    tree: SummaryTree, form: Form, estimate: Estimate, generator: np.random.Generator, signal: float = 3.0
) -> Task:
    """Draw what is needed and an estimate of it.

    Args:
        tree: The tree.
        form: What is needed.
        estimate: How good the estimate is.
        generator: Draws both.
        signal: How far the scores of places that hold something lie above those of the others, in deviations of the
            noise.
    """
    needs = tuple(_drawn(tree, places, form, estimate, generator, signal) for places in _places(tree, form, generator))
    return Task(tree=tree, form=form, estimate=estimate, needs=needs, relevance=_relevance(tree, form, needs))


def _places(tree: SummaryTree, form: Form, generator: np.random.Generator) -> Iterator[tuple[Ints, Ints]]:
    """Per need the runs of leaves that may meet it."""
    leaves = tree.leaves
    telling = np.flatnonzero((leaves.kind == LeafKind.SENTENCE) | (leaves.kind == LeafKind.ROW))
    if form == "files":
        for file in range(len(tree.files)):
            inside = telling[leaves.file[telling] == file]
            yield inside, inside + 1
    elif form in ("paragraph", "table"):
        rows = leaves.kind == LeafKind.ROW
        # Rows are paragraphs of their own; a run of them is a table.
        unit = np.where(rows, -1, leaves.paragraph)
        edges = np.flatnonzero(np.diff(unit, prepend=-2, append=-2))
        wanted = LeafKind.ROW if form == "table" else LeafKind.SENTENCE
        runs = np.array([(a, b) for a, b in itertools.pairwise(edges) if leaves.kind[a] == wanted])
        yield (runs[:, 0], runs[:, 1]) if len(runs) else (telling, telling + 1)
    elif form == "both":
        half = generator.permutation(len(telling))[: max(1, len(telling) // 2)]
        for part in (np.sort(telling[half]), np.delete(telling, half)):
            yield part, part + 1
    else:
        yield telling, telling + 1


def _drawn(
    tree: SummaryTree,
    places: tuple[Ints, Ints],
    form: Form,
    estimate: Estimate,
    generator: np.random.Generator,
    signal: float,
) -> Need:
    low, high = places
    alone = form not in ("repeated", "files")
    chance = 1 / len(low) if alone else min(0.5, (_REPEATS_IN_FILE if form == "files" else _REPEATS) / len(low))
    holds = _holding(generator, len(low), chance, alone=alone)
    scores = signal * holds + generator.standard_normal(len(low))
    known = believed = signal * scores - signal**2 / 2
    if estimate == "perfect":
        probability = holds.astype(np.float64)
        return Need(low=low, high=high, believed=probability, known=probability, alone=alone, whole=form == "table")
    if estimate == "overconfident":
        # Facts in several places have no closed form for shared noise; there the estimate is only too sure.
        section = np.unique(tree.leaves.section[low], return_inverse=True)[1]
        if alone:
            known, believed = _shared_noise(generator, holds, section, signal)
        believed = _TOO_HIGH * believed
    elif estimate == "blind":
        # Whatever it says, it says of other places than those that hold something.
        known = np.zeros(len(low))
    probabilities = [_posterior(odds, chance, alone=alone) for odds in (believed, known)]
    return Need(
        low=low, high=high, believed=probabilities[0], known=probabilities[1], alone=alone, whole=form == "table"
    )


def _holding(generator: np.random.Generator, places: int, chance: float, *, alone: bool) -> NDArray[np.bool_]:
    """Which places hold what is needed: one, or each by itself and at least one."""
    holds = generator.random(places) < chance
    while not alone and not holds.any():
        holds = generator.random(places) < chance
    return np.arange(places) == generator.integers(places) if alone else holds


def _shared_noise(
    generator: np.random.Generator, holds: NDArray[np.bool_], section: Ints, signal: float
) -> tuple[Floats, Floats]:
    """Log odds from scores whose noise the places of a section share in part: rightly, and as if they didn't.

    The inverse of a section's covariance (1 − r) I + r 11' is known in closed form.
    """
    places = len(holds)
    shared = generator.standard_normal(int(section.max()) + 1)[section]
    noise = np.sqrt(1 - _SHARED) * generator.standard_normal(places) + np.sqrt(_SHARED) * shared
    scores = signal * holds + noise
    sizes = np.bincount(section)
    pull = _SHARED / (1 - _SHARED + _SHARED * sizes)
    weighed = (scores - (pull * np.bincount(section, weights=scores))[section]) / (1 - _SHARED)
    own = (1 - pull[section]) / (1 - _SHARED)
    return signal * weighed - signal**2 / 2 * own, signal * scores - signal**2 / 2


def _posterior(log_odds: Floats, chance: float, *, alone: bool) -> Floats:
    if alone:
        weights = np.exp(log_odds - log_odds.max())
        return np.asarray(weights / weights.sum())
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds + np.log(chance / (1 - chance)), -500, 500))))


def _relevance(tree: SummaryTree, form: Form, needs: tuple[Need, ...]) -> Relevance:
    """The estimate as policies see it: for every node the chance that it holds something of what is needed."""
    candidates = np.unique(np.concatenate([tree.cut(int(grain * _SLACK)) for grain in GRAINS]))
    low, high = tree.nodes.low, tree.nodes.high
    missed_all, misses = np.ones(len(tree)), np.ones(len(candidates))
    for need in needs:
        missed_all *= 1 - _touched(need, low, high)
        misses *= 1 - _met_by(tree, need, low[candidates], high[candidates])
    node = np.clip(1 - missed_all, 0.0, 1.0)
    return Relevance(
        question=Question(text=form, terms=(), wants_files=form == "files"),
        node=node,
        leaf=node[tree.leaf_nodes],
        candidates=candidates,
        gain=np.clip(1 - misses, 0.0, 1.0),
        skip=np.zeros(len(tree.leaves), dtype=np.bool_),
        grain_tokens=0,
    )


def _touched(need: Need, low: Ints, high: Ints) -> Floats:
    """The chance that runs of leaves hold at least part of what is needed."""
    first, last = np.searchsorted(need.high, low, "right"), np.searchsorted(need.low, high, "left")
    return _among(need, need.believed, first, np.maximum(first, last))


def _met_by(tree: SummaryTree, need: Need, low: Ints, high: Ints) -> Floats:
    """The chance that each of several runs of leaves, read alone, meets the need.

    Places are apart and in order, so that a run holds a row of them whole and cuts at most one at either end.
    """
    first, last = np.searchsorted(need.low, low, "left"), np.searchsorted(need.high, high, "right")
    missed = 1 - _among(need, need.believed, first, np.maximum(first, last))
    if need.whole:
        return np.asarray(1 - missed)
    edges, places = tree.leaf_edges, len(need.low)
    cut_at = [np.searchsorted(need.high, low, "right"), np.searchsorted(need.low, high, "left") - 1]
    met = 1 - missed
    for side, at in enumerate(cut_at):
        inside = np.clip(at, 0, places - 1)
        overlap = edges[np.minimum(high, need.high[inside])] - edges[np.maximum(low, need.low[inside])]
        cut = (at == inside) & ((need.low[inside] < low) | (need.high[inside] > high)) & (overlap > 0)
        cut &= (side == 0) | (cut_at[0] != at)  # a run within one place cuts it at both ends
        share = np.where(cut, overlap / (edges[need.high[inside]] - edges[need.low[inside]]), 0.0)
        part = need.believed[inside] * (1 - (1 - share) ** 2)
        met = met + part if need.alone else 1 - (1 - met) * (1 - part)
    return np.asarray(met)


def _among(need: Need, probability: Floats, first: Ints, last: Ints) -> Floats:
    """The chance that at least one of the places `first` to `last` holds what is needed."""
    if need.alone:
        edges = _edges(probability)
        return np.asarray(edges[last] - edges[first])
    edges = _edges(np.log1p(-np.minimum(probability, 1 - 1e-12)))
    at_all = max(1e-12, float(1 - np.exp(edges[-1])))
    return np.asarray(np.minimum(1.0, (1 - np.exp(edges[last] - edges[first])) / at_all))


def _edges(values: NDArray[np.float64]) -> Floats:
    zero = np.zeros((*values.shape[:-1], 1))
    return np.concatenate((zero, np.cumsum(values, axis=-1)), axis=-1)
