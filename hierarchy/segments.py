"""Cutting a file's text into leaves: sentences, table rows, headings and page furniture.

Leaves partition the text, characters and all: white space belongs to the leaf before it, so that joining leaves gives
back the text. A leaf never crosses a page or a section's edge, and is seldom longer than a long sentence.

Pure functions of one file `Document`. Doesn't know tokens, trees or questions.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document

__all__ = ["LeafKind", "Leaves", "segment"]

# A sentence longer than this is cut at a semicolon, comma or space; legal prose runs to thousands of characters.
MAX_LEAF_CHARACTERS = 640

# Text whose lines are this long at the median holds a paragraph a line, so that no line continues the one before.
_LONG_LINES = 110

_SENTENCE_END = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])|[。！？]")
_ABBREVIATION = re.compile(
    r"(?:\b(?:al|vs|[Ff]igs?|e\.g|i\.e|Nos?|Dr|Mr|Mrs|Ms|Inc|Corp|Ltd|Co|St|approx|Sec|Art|cf|[Rr]ef|[A-Z]))\.$"
)
# The number of a clause or a list's item belongs to what it numbers.
_LABEL = re.compile(r"\s*(?:[(\[]?[\dIVXivx]{1,4}[.)\]]*|[A-Za-z][.)]|(?:\d{1,3}\.)+\d{0,3}\.?)\s*")
# A line that opens a numbered clause starts a paragraph even if nothing closed the one before.
_CLAUSE = re.compile(
    r"\s*(?:ARTICLE\s+[\dIVXLC]+|Section\s+\d+(?:\.\d+)*|\(?[a-z]\)|\d{1,2}\.(?:\d{1,2}\.?)*|[-*•])\s+(?=\S)"
)
_SPEAKER = re.compile(r"[A-Z][\w.' -]{0,30}: ")
_CLOSED = (".", ";", ":", "!", "?")


class LeafKind(IntEnum):
    """What a leaf is."""

    SENTENCE = 0
    ROW = 1
    HEADING = 2
    FURNITURE = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaves:
    """The leaves of one file, as arrays of equal length in document order.

    **`starts[0] == 0`, each leaf ends where the next starts, the last at the end of the text.**

    Attributes:
        starts: First character of each leaf.
        kinds: A `LeafKind` each.
        paragraphs: Number of the paragraph (or row) each belongs to, ascending.
    """

    starts: NDArray[np.int64]
    kinds: NDArray[np.int8]
    paragraphs: NDArray[np.int64]


def segment(document: Document) -> Leaves:
    r"""Cut a file into leaves.

    Lines that the loader marked as rows or furniture, and headings of sections, are leaves of their own; other lines
    are joined into paragraphs and these cut into sentences.

    Args:
        document: One file (no `parts`).

    Returns:
        Its leaves; none for an empty text.

    Example:
        >>> leaves = segment(Document(name="n", text="No fever. Pulse 72.\nDischarged home.\n"))
        >>> leaves.starts.tolist()
        [0, 10, 20]
    """
    starts: list[int] = []
    kinds: list[int] = []
    paragraphs: list[int] = []
    for number, (start, end, kind) in enumerate(_blocks(document)):
        cuts = _sentences(document.text, start, end) if kind == LeafKind.SENTENCE else [start]
        starts += cuts
        kinds += [int(kind)] * len(cuts)
        paragraphs += [number] * len(cuts)
    if starts and starts[0]:
        if _crosses(_edges(document), 1, starts[0]):  # blank first pages are not part of the first text's page
            starts, kinds, paragraphs = [0, *starts], [int(LeafKind.FURNITURE), *kinds], [0, *paragraphs]
        starts[0] = 0  # leading white space goes to the first leaf
    return Leaves(
        starts=np.array(starts, dtype=np.int64),
        kinds=np.array(kinds, dtype=np.int8),
        paragraphs=np.array(paragraphs, dtype=np.int64),
    )


def _blocks(document: Document) -> Iterator[tuple[int, int, LeafKind]]:
    """Paragraphs, rows, headings and furniture as (start, end, kind), in order, blank lines left out."""
    lines = [(start, end) for start, end in _lines(document.text) if not document.text[start:end].isspace()]
    known = _known_kinds(document, lines)
    edges = _edges(document)
    apart = _lines_stand_alone(lines)
    block_start = block_end = -1
    for index, (start, end) in enumerate(lines):
        kind = known.get(index, LeafKind.SENTENCE)
        joins = (
            block_start >= 0
            and kind == LeafKind.SENTENCE
            and not apart
            and not _breaks(document.text, block_end, start, end)
            and not _crosses(edges, block_end, start)
        )
        if joins:
            block_end = end
            continue
        if block_start >= 0:
            yield block_start, block_end, LeafKind.SENTENCE
        block_start, block_end = (start, end) if kind == LeafKind.SENTENCE else (-1, -1)
        if kind != LeafKind.SENTENCE:
            yield start, end, kind
    if block_start >= 0:
        yield block_start, block_end, LeafKind.SENTENCE


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for line in text.splitlines(keepends=True):
        yield start, start + len(line)
        start += len(line)


def _lines_stand_alone(lines: list[tuple[int, int]]) -> bool:
    return bool(lines) and float(np.median([end - start for start, end in lines])) > _LONG_LINES


def _known_kinds(document: Document, lines: list[tuple[int, int]]) -> dict[int, LeafKind]:
    """What the loader said about lines: later kinds win, since a running header may look like a row or a heading."""
    starts = [start for start, _ in lines]
    kinds: dict[int, LeafKind] = {}

    def mark(start: int, end: int, kind: LeafKind) -> None:
        first = max(0, bisect_right(starts, start) - 1)
        for index in range(first, max(first + 1, bisect_left(starts, end))):
            if index < len(lines) and lines[index][1] > start:
                kinds[index] = kind

    for span in document.rows:
        mark(span.start, span.end, LeafKind.ROW)
    for section in document.sections:
        first = min(bisect_left(starts, section.span.start), len(starts) - 1) if starts else -1
        if first >= 0 and _is_heading_line(document.text[slice(*lines[first])], section.title):
            kinds[first] = LeafKind.HEADING
    for span in document.furniture:
        mark(span.start, span.end, LeafKind.FURNITURE)
    return kinds


def _is_heading_line(line: str, title: str) -> bool:
    """Whether the line is the title and little else: a clause's number and heading often lead into its text."""
    return len(line.strip()) <= max(len(title) + 12, 40)


def _edges(document: Document) -> set[int]:
    return {section.span.start for section in document.sections} | {page.start for page in document.pages}


def _crosses(edges: set[int], end: int, start: int) -> bool:
    return any(position in edges for position in range(end, start + 1))


def _breaks(text: str, end: int, start: int, stop: int) -> bool:
    """Whether the line `start`–`stop` opens a new paragraph after a block that ended at `end`."""
    if text.count("\n", end, start) > 0:
        return True
    if text[max(0, end - 80) : end].rstrip().endswith(_CLOSED):
        return True
    return any(opening.match(text, start, stop) for opening in (_CLAUSE, _SPEAKER))


def _sentences(text: str, start: int, end: int) -> list[int]:
    """Starts of the sentences of a paragraph; the first is `start`."""
    starts = [start]
    for match in _SENTENCE_END.finditer(text, start, end):
        cut = match.end()
        if cut >= end or _ABBREVIATION.search(text, max(start, match.start() - 8), match.start() + 1):
            continue
        if _LABEL.fullmatch(text, starts[-1], cut):
            continue
        starts += _cut_long(text, starts[-1], cut)
        starts.append(cut)
    return starts + _cut_long(text, starts[-1], end)


def _cut_long(text: str, start: int, end: int) -> list[int]:
    """Further starts within a sentence that is too long, at the last break before the limit."""
    cuts: list[int] = []
    limit = MAX_LEAF_CHARACTERS if text[start : start + 200].isascii() else MAX_LEAF_CHARACTERS // 2
    while end - start > limit:
        low, high = start + limit // 3, start + limit - 20
        found = max(text.rfind(mark, low, high) + len(mark) for mark in ("; ", ", ", "\n"))
        if found < low + 1:
            found = text.rfind(" ", low, high) + 1
        start = found if found > low else high
        cuts.append(start)
    return cuts
