"""What was read, as verbatim stretches of the document: the refiner's result and the composer's material.

A passage is a run of leaves of one page; `passages_of` cuts what was read into passages, `passage_variables` says how a
template is given one. Owns the types and these two, so that the stages that share them needn't know each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance import Relevance
from hierarchy.segments import LeafKind
from hierarchy.tables import passage_context
from hierarchy.tree import Ints, SummaryTree

__all__ = ["Evidence", "Passage", "passage_of", "passage_variables", "passages_of", "runs_of"]

# A passage that is this long ends at the next heading; at that length at the next paragraph outside a table; at the
# last in any case. Longer passages would make their number say little about where a quote stands.
_LONG_TOKENS, _LONGER_TOKENS, _LONGEST_TOKENS = 160, 768, 1_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A verbatim, contiguous stretch of one file that was read; **it doesn't cross a page**.

    Attributes:
        node: Id of the smallest tree node that holds all of it.
        source: Name of the file.
        start: First character in the file's text.
        end: One past the last character; `text == file.text[start:end]`.
        text: The stretch itself.
        page: Physical page of its first character, counted from 1; None without pages.
        heading: Titles of the sections it stands in, outermost first, joined by " › ".
        context: For table rows the column heads and the unit that stand elsewhere; may be empty.
        tokens: What its leaves count.
        relevance: Estimated probability that it holds needed evidence, in [0, 1].
        leaves: Indices of its leaves in the tree, as half-open bounds.
    """

    node: tuple[int, ...]
    source: str
    start: int
    end: int
    text: str
    page: int | None = None
    heading: str = ""
    context: str = ""
    tokens: int = 0
    relevance: float = 0.0
    leaves: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """All passages read for a question.

    Attributes:
        passages: In document order, not overlapping.
        order: The leaves of the passages as half-open runs, in order of preference.
        read: Further leaves that a model read on the way and kept nothing of, as half-open runs, ascending.
        whole: Whether the passages are the entire document, page furniture apart.
        handed_back_tokens: Granted tokens that the refiner didn't use.
        notes: What went wrong or was left out on the way, for the answer's reader.
    """

    passages: tuple[Passage, ...] = ()
    order: tuple[tuple[int, int], ...] = ()
    read: tuple[tuple[int, int], ...] = ()
    whole: bool = False
    handed_back_tokens: int = 0
    notes: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Tokens of all passages."""
        return sum(passage.tokens for passage in self.passages)


def passages_of(tree: SummaryTree, relevance: Relevance, taken: NDArray[np.bool_]) -> tuple[Passage, ...]:
    """The leaves that were read as passages, in document order: neighbours joined, no page or file crossed.

    **Each leaf taken is in exactly one passage, and no other leaf in any.** A passage goes on into another section only
    over its heading, which then says so in the text.
    """
    return tuple(passage_of(tree, relevance, low, high) for low, high in _stretches(tree, np.flatnonzero(taken)))


def passage_of(tree: SummaryTree, relevance: Relevance, low: int, high: int) -> Passage:
    """Leaves `low` to `high`, which stand in one file, as a passage without the white space around it."""
    file = tree.files[tree.leaves.file[low]]
    start, end = int(tree.leaves.start[low]), int(tree.leaves.end[high - 1])
    raw = file.text[start:end]
    start += len(raw) - len(raw.lstrip())
    end -= len(raw) - len(raw.rstrip())
    end = max(start, end)
    return Passage(
        node=tree.id_of(tree.smallest_node(low, high)),
        source=file.name,
        start=start,
        end=end,
        text=file.text[start:end],
        page=tree.page(low),
        heading=tree.heading(low),
        context=passage_context(tree, low, high),
        tokens=int(tree.leaf_edges[high] - tree.leaf_edges[low]),
        relevance=float(relevance.leaf[low:high].max()),
        leaves=(low, high),
    )


def passage_variables(tree: SummaryTree, relevance: Relevance, passage: Passage, n: int = 1) -> dict[str, Any]:
    """A passage as templates are given it, under the number `n` by which a reply may name it.

    `sentences` are bounds within its text and the relevance of each; page furniture is none of them.
    """
    sentences = []
    for leaf in range(*passage.leaves):
        start = max(int(tree.leaves.start[leaf]), passage.start)
        end = min(int(tree.leaves.end[leaf]), passage.end)
        text = passage.text[start - passage.start : end - passage.start]
        end -= len(text) - len(text.rstrip())
        start += len(text) - len(text.lstrip())
        if tree.leaves.kind[leaf] != LeafKind.FURNITURE and end > start:
            sentences.append((start - passage.start, end - passage.start, float(relevance.leaf[leaf])))
    return {
        "n": n,
        "text": passage.text,
        "heading": passage.heading,
        "page": passage.page,
        "context": passage.context,
        "relevance": passage.relevance,
        "sentences": sentences,
    }


def runs_of(leaves: Ints | Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Ascending leaf indices as half-open runs.

    Example:
        >>> runs_of([2, 3, 7])
        ((2, 4), (7, 8))
    """
    indices = np.asarray(list(leaves), dtype=np.int64)
    if not len(indices):
        return ()
    edges = np.flatnonzero(np.diff(indices) != 1) + 1
    return tuple((int(run[0]), int(run[-1]) + 1) for run in np.split(indices, edges))


def _stretches(tree: SummaryTree, leaves: Ints) -> Iterator[tuple[int, int]]:
    """Runs of neighbouring leaves, cut where a passage ends."""
    for low, high in runs_of(leaves):
        start = low
        for leaf in range(low + 1, high):
            if _ends_before(tree, start, leaf):
                yield start, leaf
                start = leaf
        yield start, high


def _ends_before(tree: SummaryTree, start: int, leaf: int) -> bool:
    """Whether a passage that began at leaf `start` ends before `leaf`."""
    leaves, before = tree.leaves, leaf - 1
    if leaves.page[leaf] != leaves.page[before] or leaves.file[leaf] != leaves.file[before]:
        return True
    filled = int(tree.leaf_edges[leaf] - tree.leaf_edges[start])
    if leaves.section[leaf] != leaves.section[before] and leaves.kind[leaf] != LeafKind.HEADING:
        return True
    if filled >= _LONGEST_TOKENS or (filled >= _LONG_TOKENS and leaves.kind[leaf] == LeafKind.HEADING):
        return True
    within_table = leaves.kind[leaf] == LeafKind.ROW and leaves.kind[before] == LeafKind.ROW
    return filled >= _LONGER_TOKENS and not within_table and bool(leaves.paragraph[leaf] != leaves.paragraph[before])
