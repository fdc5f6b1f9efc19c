"""The systems to beat: head of the document, chunks at random, BM25 over flat chunks.

A system is a small value with `prepare(document)`, which does once what all questions about a document share and
returns a function of question and budget. Every system fills the budget the same way (`fitting`), so that they differ
in the order of reading alone.

Owns the baselines and the protocol. The library's own system is in `ours`; all are listed in `systems`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.predictions import EvidenceSpan

__all__ = ["BM25", "Chunk", "Head", "Random", "Reader", "System", "chunks"]

Reader = Callable[[str, int], tuple[EvidenceSpan, ...]]
"""A system at one document: question and budget in tokens → spans in order of preference, within the budget."""

Chunk = int | str
"""How to cut flat: a number of tokens, `"page"` or `"sentence"`."""

_TERM = re.compile(r"[^\W_]+")
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

    Plain on purpose: lower-cased words, no stemming, no stop words, no headings. Source: Robertson and Zaragoza, 2009.

    Attributes:
        chunk: How to cut.
        k1: How soon a word's repetitions stop counting.
        b: How much a long chunk is discounted.
    """

    chunk: Chunk = 256
    k1: float = 1.5
    b: float = 0.75

    def prepare(self, document: Document) -> Reader:
        """Cut the document and index its words."""
        material = Material.of(document)
        pieces = chunks(material, self.chunk)
        files = document.files
        index = _Index([files[piece.file].text[piece.start : piece.end] for piece in pieces], self.k1, self.b)

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            order = np.argsort(-index.scores(question), kind="stable")
            return material.fit((pieces[position] for position in order), budget_tokens)

        return read


class _Index:
    """Weights of words in chunks, as one run of postings per word."""

    def __init__(self, texts: Sequence[str], k1: float, b: float) -> None:
        self.size = len(texts)
        self.numbers: dict[str, int] = {}
        words = [_words(text) for text in texts]
        lengths = np.array([len(some) for some in words], dtype=np.float64)
        encoded = np.array([self.numbers.setdefault(w, len(self.numbers)) for some in words for w in some], np.int64)
        # 1. One key per word and chunk, sorted by word, with how often it occurs there.
        chunk = np.repeat(np.arange(self.size), lengths.astype(np.int64))
        keys, counts = np.unique(encoded * max(1, self.size) + chunk, return_counts=True)
        word, self.chunks = np.divmod(keys, max(1, self.size))
        self.edges = np.searchsorted(word, np.arange(len(self.numbers) + 1))
        # 2. The weight that a match earns: rarity of the word × saturated, length-discounted frequency.
        holding = np.diff(self.edges)
        rarity = np.log1p((self.size - holding + 0.5) / (holding + 0.5))
        discount = k1 * (1 - b + b * lengths / max(1.0, lengths.mean() if self.size else 1.0))
        self.weights = rarity[word] * counts * (k1 + 1) / (counts + discount[self.chunks])

    def scores(self, question: str) -> NDArray[np.float64]:
        scores = np.zeros(self.size)
        for word in dict.fromkeys(_words(question)):
            number = self.numbers.get(word)
            if number is not None:
                postings = slice(self.edges[number], self.edges[number + 1])
                scores[self.chunks[postings]] += self.weights[postings]
        return scores


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


def _words(text: str) -> list[str]:
    return _TERM.findall(text.lower())
