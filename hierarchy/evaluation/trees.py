"""Baselines that read through a tree as other systems do: collapsed, merging upwards, strictly downwards.

They rank by the same plain BM25 as the flat baselines. The collapsed tree and the descent stand on our own tree and its
extractive summaries, so that what is compared is the way of reading and not the making of summaries, which a model
might do better for tokens that would have to be charged.

Knows how others read a tree; how the library does is in `ours`.
"""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.evaluation.baselines import Reader, chunk_texts, chunks
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.postings import Postings
from hierarchy.evaluation.predictions import EvidenceSpan
from hierarchy.planner import outline
from hierarchy.tokens import count_tokens
from hierarchy.tree import SummaryTree

__all__ = ["AutoMerging", "CollapsedTree", "Descent", "merged", "shown_leaves", "stretches_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollapsedTree:
    """Summaries of every level and the leaves in one flat pool, best first.

    A summary that is taken is read as the sentences it shows, since evidence is counted where it stands; its keywords
    and labels are matched and not charged. Source: Sarthi et al., "RAPTOR", 2024, its collapsed-tree retrieval.

    Attributes:
        leaf_tokens: Nodes of at most so many tokens are leaves, indexed and read whole. RAPTOR's count 100.
    """

    leaf_tokens: int = 128

    def prepare(self, document: Document) -> Reader:
        """Build the tree, summarise the nodes above its leaves, index summaries and leaves together."""
        material = Material.of(document)
        tree = outline(document, count_tokens)
        pool = _down_to(tree, self.leaf_tokens)
        whole = set(tree.cut(self.leaf_tokens).tolist())
        index = Postings([_text(tree, node) if node in whole else tree.coarse(node).line for node in pool])

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            nodes = (pool[position] for position in index.order(question))
            leaves = (_all_leaves(tree, node) if node in whole else shown_leaves(tree, node) for node in nodes)
            return material.fit((stretch for some in leaves for stretch in stretches_of(tree, some)), budget_tokens)

        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoMerging:
    """Small chunks by BM25; where most of a parent's are among those that fit the budget, the parent in their place.

    A parent is a few neighbours of one page or file, level above level. It scores what its retrieved children do on
    average. Source: the auto-merging retriever of LlamaIndex.

    Attributes:
        chunk_tokens: Size of a small chunk.
        fan_out: Children of a parent.
        levels: Levels of parents.
        threshold: Share of a parent's children above which it takes their place.
    """

    chunk_tokens: int = 128
    fan_out: int = 4
    levels: int = 2
    threshold: float = 0.5

    def prepare(self, document: Document) -> Reader:
        """Cut the document, index its words, find each chunk's parents."""
        material = Material.of(document)
        pieces = chunks(material, self.chunk_tokens)
        index = Postings(chunk_texts(document, pieces))
        levels = _parents(document, pieces, self.fan_out, self.levels)

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            scores, order = index.scores(question), index.order(question)
            fitting = max(1, budget_tokens // self.chunk_tokens)
            runs = merged(order[:fitting].tolist(), scores, levels, self.threshold)
            # What merging leaves of the budget goes to the chunks that come next.
            runs += [(int(i), int(i) + 1) for i in order[fitting:]]
            return material.fit(
                (Stretch(pieces[low].file, pieces[low].start, pieces[high - 1].end) for low, high in runs),
                budget_tokens,
            )

        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class Descent:
    """Strictly from the root: at each level to the child whose summary matches best, down to a passage, which is read.

    The children not gone to wait; the best of them by summary is where the next descent begins. The text of a passage
    never counts before it is read: that is what the comparison is about.

    Attributes:
        passage_tokens: Descent ends at nodes of at most so many tokens.
    """

    passage_tokens: int = 512

    def prepare(self, document: Document) -> Reader:
        """Build the tree, summarise and index the nodes down to passages."""
        material = Material.of(document)
        tree = outline(document, count_tokens)
        summarised = _down_to(tree, self.passage_tokens)
        number = {node: position for position, node in enumerate(summarised)}
        index = Postings([f"{tree.title(node)}\n{tree.coarse(node).line}" for node in summarised])

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            scores = index.scores(question)
            passages = _descended(tree, {node: float(scores[at]) for node, at in number.items()})
            leaves = (_all_leaves(tree, node) for node in passages)
            return material.fit((stretch for some in leaves for stretch in stretches_of(tree, some)), budget_tokens)

        return read


def shown_leaves(tree: SummaryTree, node: int) -> NDArray[np.int64]:
    """The leaves that a node's summary shows, in order; of a leaf itself."""
    low, high = int(tree.nodes.low[node]), int(tree.nodes.high[node])
    if high - low == 1:
        return np.array([low], dtype=np.int64)
    # A summary joins whole sentences, their white space evened out, by a blank or an ellipsis; only a lone one is cut.
    text = tree.coarse(node).text
    lines = [" ".join(tree.leaf_text(leaf).split()) for leaf in range(low, high)]
    cut = text.removesuffix(" …")
    shown, position = [], 0
    for leaf, line in enumerate(lines, start=low):
        if line and text.startswith(line, position):
            shown.append(leaf)
            position += len(line)
            position += 3 if text.startswith(" … ", position) else 1
        elif cut != text and not position and line.startswith(cut):
            return np.array([leaf], dtype=np.int64)
    return np.array(shown, dtype=np.int64)


def stretches_of(tree: SummaryTree, leaves: NDArray[np.int64]) -> Iterator[Stretch]:
    """The characters of ascending leaves, neighbours of one file together."""
    if not len(leaves):
        return
    table = tree.leaves
    breaks = (np.diff(leaves) != 1) | (np.diff(table.file[leaves]) != 0)
    for run in np.split(leaves, np.flatnonzero(breaks) + 1):
        yield Stretch(int(table.file[run[0]]), int(table.start[run[0]]), int(table.end[run[-1]]))


def merged(
    retrieved: Sequence[int],
    scores: NDArray[np.float64],
    levels: Sequence[Sequence[tuple[int, int]]],
    threshold: float = 0.5,
) -> list[tuple[int, int]]:
    """Replace retrieved chunks by their parents where most of a parent's children are there, level by level.

    Args:
        retrieved: Numbers of chunks.
        scores: Of all chunks.
        levels: Per level the parents as half-open runs of chunks, small ones first; each partitions the one below.
        threshold: Share of its children above which a parent takes their place.

    Returns:
        Half-open runs of chunks, best mean score of what was retrieved first; ties in document order.
    """
    held = {(chunk, chunk + 1): float(scores[chunk]) for chunk in retrieved}
    below: Sequence[tuple[int, int]] = [(chunk, chunk + 1) for chunk in range(len(scores))]
    for parents in levels:
        for low, high in parents:
            children = below[bisect_left(below, (low,)) : bisect_left(below, (high,))]
            there = [run for run in children if run in held]
            if len(children) > 1 and len(there) / len(children) > threshold:
                held[low, high] = float(np.mean([held.pop(run) for run in there]))
        below = parents
    return sorted(held, key=lambda run: (-held[run], run))


def _parents(document: Document, pieces: Sequence[Stretch], fan_out: int, levels: int) -> list[list[tuple[int, int]]]:
    """Runs of neighbouring chunks that never leave a page, or a file without pages."""

    def place(number: int) -> tuple[int, int | None]:
        piece = pieces[number]
        return piece.file, document.files[piece.file].page_of(piece.start)

    runs = [list(group) for _, group in groupby(range(len(pieces)), key=place)]
    return [
        [(run[i], run[min(i + size, len(run)) - 1] + 1) for run in runs for i in range(0, len(run), size)]
        for size in (fan_out**level for level in range(1, levels + 1))
    ]


def _text(tree: SummaryTree, node: int) -> str:
    return tree.text(int(tree.nodes.low[node]), int(tree.nodes.high[node]))


def _all_leaves(tree: SummaryTree, node: int) -> NDArray[np.int64]:
    return np.arange(tree.nodes.low[node], tree.nodes.high[node], dtype=np.int64)


def _down_to(tree: SummaryTree, tokens: int) -> list[int]:
    """The nodes from the root to the first on each path that is small enough, or has no children."""
    kept: list[int] = []
    node = 0
    while node < len(tree):
        kept.append(node)
        small = tree.node_tokens[node] <= tokens
        node = int(tree.nodes.following[node]) if small else node + 1
    return kept


def _descended(tree: SummaryTree, scores: dict[int, float]) -> Iterator[int]:
    """Passages in the order in which descents reach them; nodes without a score are below passages."""
    waiting = [(-scores[0], 0)]
    while waiting:
        _, node = heapq.heappop(waiting)
        while children := [child for child in tree.children(node) if child in scores]:
            best, *others = sorted(children, key=lambda child: (-scores[child], child))
            for child in others:
                heapq.heappush(waiting, (-scores[child], child))
            node = best
        yield node
