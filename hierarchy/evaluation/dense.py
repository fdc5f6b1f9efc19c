"""Baselines that rank passages by meaning: embeddings alone, and fused with BM25.

The model is in `relevance.embedding` and needs the extra `semantic`. Passages are embedded once per document and kept
while its questions are asked; systems that embed the same ones share the work, and each is charged for it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.evaluation.baselines import Chunk, Reader, chunk_texts, chunks
from hierarchy.evaluation.fitting import Material
from hierarchy.evaluation.postings import Postings
from hierarchy.evaluation.predictions import EvidenceSpan
from hierarchy.evaluation.timings import reuse
from hierarchy.relevance.embedding import check_embedding, embed_one

__all__ = ["Dense", "Fusion", "embed", "fused_order"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """Chunks by the cosine of their embedding with the question's.

    Attributes:
        chunk: How to cut.
    """

    chunk: Chunk = 256

    def prepare(self, document: Document) -> Reader:
        """Cut the document and embed every chunk."""
        material = Material.of(document)
        pieces = chunks(material, self.chunk)
        vectors = embed(tuple(chunk_texts(document, pieces)))
        order = _ranking(vectors)
        return lambda question, budget_tokens: material.fit((pieces[i] for i in order(question)), budget_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """Chunks by their reciprocal ranks under BM25 and under embeddings. Source: Cormack, Clarke and Büttcher, 2009.

    Attributes:
        chunk: How to cut.
        k: How little the very first ranks stand out.
    """

    chunk: Chunk = 256
    k: int = 60

    def prepare(self, document: Document) -> Reader:
        """Cut the document, index its words and embed every chunk."""
        material = Material.of(document)
        pieces = chunks(material, self.chunk)
        texts = chunk_texts(document, pieces)
        index, by_meaning = Postings(texts), _ranking(embed(tuple(texts)))

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            order = fused_order((index.order(question), by_meaning(question)), self.k)
            return material.fit((pieces[i] for i in order), budget_tokens)

        return read


def embed(texts: tuple[str, ...]) -> NDArray[np.float32]:
    """Unit vectors, one row per text.

    The last texts are kept: systems that embed the same passages of a document, one after the other, share the work.
    Each is charged for it.

    Raises:
        Unavailable: The model's package isn't installed.
    """
    hits = _embedded.cache_info().hits
    vectors, seconds = _embedded(texts)
    if _embedded.cache_info().hits > hits:
        reuse(seconds)
    return vectors


@lru_cache(maxsize=1)
def _embedded(texts: tuple[str, ...]) -> tuple[NDArray[np.float32], float]:
    check_embedding()  # once per process and not a document's cost
    began = time.process_time()
    vectors = [embed_one(text) for text in texts]
    return np.stack(vectors) if vectors else np.zeros((0, 384), dtype=np.float32), time.process_time() - began


def _ranking(vectors: NDArray[np.float32]) -> Callable[[str], NDArray[np.int64]]:
    """Question → order of the rows; the last one is remembered, since it is asked at every budget in turn."""

    @lru_cache(maxsize=1)
    def order(question: str) -> NDArray[np.int64]:
        return np.argsort(-(vectors @ embed_one(question)), kind="stable")

    return order


def fused_order(orders: tuple[NDArray[np.int64], ...], k: int = 60) -> NDArray[np.int64]:
    """One order out of several over the same things, by the sum of reciprocal ranks; ties stay in document order.

    Example:
        >>> fused_order((np.array([2, 0, 1]), np.array([2, 1, 0]))).tolist()
        [2, 0, 1]
    """
    score = np.zeros(len(orders[0]))
    for order in orders:
        score[order] += 1 / (k + 1 + np.arange(len(order)))
    return np.argsort(-score, kind="stable")
