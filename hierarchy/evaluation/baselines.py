"""The simplest systems to beat: head of the document, chunks at random, BM25 over flat chunks.

A system is a small value with `prepare(document)`, which does once what all questions about a document share and
returns a function of question and budget. Every system fills the budget the same way (`fitting`), so that they differ
in the order of reading alone.

Owns the flat baselines and the protocol. `dense` ranks by meaning, `trees` reads through trees as other systems do,
`oracle` knows the gold, `ours` is the library's own; all are listed in `systems`.
"""

from __future__ import annotations

import hashlib
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.postings import Postings
from hierarchy.evaluation.predictions import EvidenceSpan

__all__ = ["BM25", "Chunk", "Head", "Random", "Reader", "System", "chunk_texts", "chunks", "section_titles"]

Reader = Callable[[str, int], tuple[EvidenceSpan, ...]]
"""A system at one document: question and budget in tokens → spans in order of preference, within the budget."""

Chunk = int | str
"""How to cut flat: a number of tokens, `"page"` or `"sentence"`."""

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+|\n+")


class System(Protocol):
    """Anything that chooses what to read of a document for a question. Must be picklable, to run in other processes."""

    def prepare(self, document: Document) -> Reader:
        """Do once what all questions about a document share."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The document from its first character on; of a folder the first files."""

    def prepare(self, document: Document) -> Reader:
        """Count the document's tokens."""
        material = Material.of(document)
        whole = [Stretch(index, 0, len(file.text)) for index, file in enumerate(document.files)]
        return lambda _question, budget_tokens: material.fit(whole, budget_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Random:
    """Chunks in a random order, of its own for each question.

    The draw is seeded by the question: a question always gets the same order, and a larger budget reads on in it.

    Attributes:
        chunk: How to cut.
        seed: For another draw.
    """

    chunk: Chunk = 256
    seed: int = 0

    def prepare(self, document: Document) -> Reader:
        """Cut the document."""
        material = Material.of(document)
        pieces = chunks(material, self.chunk)

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            key = f"{self.seed}\n{document.name}\n{question}".encode("utf-8", "surrogatepass")
            seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
            order = np.random.default_rng(seed).permutation(len(pieces))
            return material.fit((pieces[index] for index in order), budget_tokens)

        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class BM25:
    """Chunks by their BM25 score for the question's words; what scores nothing follows in document order.

    Attributes:
        chunk: How to cut.
        headings: Whether a chunk is indexed with the titles of the sections it starts in before its text. They are
            matched, not read: spans stay the same and cost the same.
        k1: How soon a word's repetitions stop counting.
        b: How much a long chunk is discounted.
    """

    chunk: Chunk = 256
    headings: bool = False
    k1: float = 1.5
    b: float = 0.75

    def prepare(self, document: Document) -> Reader:
        """Cut the document and index its words."""
        material = Material.of(document)
        pieces = chunks(material, self.chunk)
        texts = chunk_texts(document, pieces)
        if self.headings:
            titles = section_titles(document, pieces)
            texts = [f"{title}\n{text}" for title, text in zip(titles, texts, strict=True)]
        index = Postings(texts, self.k1, self.b)
        return lambda question, budget_tokens: material.fit(
            (pieces[position] for position in index.order(question)), budget_tokens
        )


def chunks(material: Material, chunk: Chunk) -> tuple[Stretch, ...]:
    """Cut a document into stretches that partition its text, in document order.

    No chunk crosses a file or, in a PDF, a page: evidence is on pages, and what joins two is on neither.

    Args:
        material: The document.
        chunk: Tokens per chunk (the last of a page or file may hold fewer), `"page"` or `"sentence"`.
    """
    return tuple(
        Stretch(index, int(start), int(end))
        for index, file in enumerate(material.document.files)
        for low, high in ([(page.start, page.end) for page in file.pages] or [(0, len(file.text))])
        for start, end in _cut(file.text, material.starts[index], low, high, chunk)
        if start < end
    )


def chunk_texts(document: Document, pieces: Sequence[Stretch]) -> list[str]:
    """What each stretch reads."""
    files = document.files
    return [files[piece.file].text[piece.start : piece.end] for piece in pieces]


def section_titles(document: Document, pieces: Sequence[Stretch]) -> list[str]:
    """The titles of the sections that each stretch starts in, outermost first; empty where it starts in none."""
    titles = []
    for piece in pieces:
        sections = document.files[piece.file].sections
        # Sections are in order of their start, so that none behind the first that starts later can hold it.
        before = sections[: bisect_right(sections, piece.start, key=lambda section: section.span.start)]
        titles.append(" ".join(section.title for section in before if piece.start < section.span.end))
    return titles


def _cut(text: str, starts: NDArray[np.int64], low: int, high: int, chunk: Chunk) -> list[tuple[int, int]]:
    edges: list[int]
    if chunk == "page":
        edges = []
    elif chunk == "sentence":
        edges = [match.end() for match in _SENTENCE_END.finditer(text, low, high)]
    elif isinstance(chunk, int) and chunk > 0:
        first, last = np.searchsorted(starts, [low, high])
        edges = starts[first + chunk : last : chunk].tolist()
    else:
        raise ValueError(f"A chunk is a number of tokens, 'page' or 'sentence', not {chunk!r}.")
    cuts = [low, *edges, high]
    return list(pairwise(cuts))
