"""What was read, as verbatim stretches of the document: the refiner's result and the composer's material.

A passage is a run of leaves of one page; `passages_of` cuts what was read into passages, `passage_variables` says how a
template is given one. Owns the types and these two, so that the stages that share them needn't know each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Span
from hierarchy.relevance import Relevance
from hierarchy.segments import LeafKind
from hierarchy.tables import passage_context, row_contexts, says_nothing
from hierarchy.tree import Ints, SummaryTree

__all__ = [
    "Evidence",
    "Passage",
    "numbered",
    "passage_of",
    "passage_variables",
    "passages_of",
    "runs_of",
    "sentences_of",
]

_ARROW = " › "
# As plain numbers: they are compared for every leaf that is read, and an enum's comparison is slow.
_ROW, _HEADING, _FURNITURE = (int(kind) for kind in (LeafKind.ROW, LeafKind.HEADING, LeafKind.FURNITURE))

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
        read: All leaves that a model read to find the passages, as half-open runs, ascending; empty where none did.
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


def sentences_of(tree: SummaryTree, passage: Passage) -> tuple[tuple[int, Span], ...]:
    """The leaves of a passage that say something, each with its characters in the file, without white space around.

    Page furniture and rows of nothing but dates and units are left out.
    """
    found = []
    for leaf in range(*passage.leaves):
        start = max(int(tree.leaves.start[leaf]), passage.start)
        end = min(int(tree.leaves.end[leaf]), passage.end)
        text = passage.text[start - passage.start : end - passage.start]
        start += len(text) - len(text.lstrip())
        if tree.leaves.kind[leaf] != _FURNITURE and text.strip() and not says_nothing(tree, leaf):
            found.append((leaf, Span(start, start + len(text.strip()))))
    return tuple(found)


def passage_variables(tree: SummaryTree, relevance: Relevance, passage: Passage, n: int = 1) -> dict[str, Any]:
    """A passage as templates and the built-in model are given it, under the number by which a reply may name it.

    Returns:
        `n`, `text`, `heading`, `page`, `context` and `relevance` of the passage; `section`, the heading in full even
        where `numbered` shortens it; `sentences`, the bounds of each within the text and its relevance; `contexts`, for
        each of these the column heads and unit if it is a row, else "".
    """
    sentences = sentences_of(tree, passage)
    return {
        "n": n,
        "text": passage.text,
        "heading": passage.heading,
        "section": passage.heading,
        "page": passage.page,
        "context": passage.context,
        "relevance": passage.relevance,
        "sentences": [
            (span.start - passage.start, span.end - passage.start, float(relevance.leaf[leaf]))
            for leaf, span in sentences
        ],
        "contexts": [context.line for context in row_contexts(tree, [leaf for leaf, _ in sentences])],
    }


def numbered(tree: SummaryTree, relevance: Relevance, passages: Sequence[Passage]) -> list[dict[str, Any]]:
    """Passages as `passage_variables`, numbered from 1, without saying twice in a row what they stand under.

    Of a heading only what differs from the passage before is written out, since headings of many short passages would
    otherwise cost as much as their text: "… › Note 8. Goodwill". In a folder it begins with the name of the file.
    """
    shown = []
    before: list[str] = []
    for n, passage in enumerate(passages, 1):
        variables = passage_variables(tree, relevance, passage, n)
        path = [part for part in (*_file_name(tree, passage), *passage.heading.split(_ARROW)) if part]
        shared = next(
            (i for i, (a, b) in enumerate(zip(before, path, strict=False)) if a != b), min(len(before), len(path))
        )
        if path and shared:
            variables["heading"] = "" if path == before else _ARROW.join(("…", *path[min(shared, len(path) - 1) :]))
        else:
            variables["heading"] = _ARROW.join(path)
        shown.append(variables)
        before = path
    return shown


def _file_name(tree: SummaryTree, passage: Passage) -> tuple[str, ...]:
    return (passage.source,) if len(tree.files) > 1 else ()


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
    if leaves.section[leaf] != leaves.section[before] and leaves.kind[leaf] != _HEADING:
        return True
    if filled >= _LONGEST_TOKENS or (filled >= _LONG_TOKENS and leaves.kind[leaf] == _HEADING):
        return True
    within_table = leaves.kind[leaf] == _ROW and leaves.kind[before] == _ROW
    return filled >= _LONGER_TOKENS and not within_table and bool(leaves.paragraph[leaf] != leaves.paragraph[before])
