"""How alike a question and passages are in meaning: an optional second opinion beside words.

A small language model turns passages and question into vectors (`embedding`). A tree's vectors are made once, kept
beside it, and depend on nothing but its text, so that a store may keep them with it. Passages are those of about
`PASSAGE_TOKENS` tokens: of the sizes that the index has, the one whose meaning the model takes in whole.

Doesn't know how likeness is weighed against words: that is learned.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hierarchy.relevance.embedding import MODEL, check_embedding, embed_one
from hierarchy.relevance.index import GRAINS, Index
from hierarchy.tree import SummaryTree, Vectors

__all__ = ["PASSAGE_TOKENS", "embedded", "has_vectors", "likeness"]

Floats = NDArray[np.float64]
Progress = Callable[[int, int, str], None]

PASSAGE_TOKENS = 128
_LAYER = GRAINS.index(PASSAGE_TOKENS)
_NEIGHBOURHOOD = 5
_TOLD_EVERY = 16  # passages; about a second


def has_vectors(tree: SummaryTree) -> bool:
    """Whether a tree's vectors are there, made by this model."""
    return tree.vectors is not None and tree.vectors.made_by == MODEL


def embedded(tree: SummaryTree, index: Index, progress: Progress | None = None) -> Vectors:
    """The vectors of a tree's passages, made on first use and kept with it.

    Takes a second of CPU for some twenty passages, 2,000 tokens.

    Args:
        tree: The tree.
        index: Its index.
        progress: Called with how many passages are done, how many there are, and what is being done.

    Raises:
        Unavailable: The model's package isn't installed.
    """
    if tree.vectors is not None and tree.vectors.made_by == MODEL:
        return tree.vectors
    check_embedding()
    nodes = index.grains[_LAYER].nodes.tolist()
    rows = np.zeros((len(nodes), len(embed_one(""))), dtype=np.float16)
    for done, node in enumerate(nodes):
        if progress and done % _TOLD_EVERY == 0:
            progress(done, len(nodes), "embedding")
        text = tree.text(int(tree.nodes.low[node]), int(tree.nodes.high[node]))
        if text.strip():
            rows[done] = embed_one(text)
    tree.vectors = Vectors(made_by=MODEL, rows=rows)
    return tree.vectors


def likeness(index: Index, question: str) -> dict[str, Floats]:
    """How alike each leaf's passage and a question are in meaning, by feature.

    Returns:
        Arrays over leaves. `semantic` is the cosine; `semantic_apart` by how many standard deviations it is above the
        document's mean; `semantic_rank` 1 for the best passage, ½ for the second and so on; `semantic_near` how far the
        mean of five passages in a row, the leaf's in their middle, is above the mean, in the same unit.
    """
    layer = index.grains[_LAYER]
    cosine = embedded(index.tree, index).rows.astype(np.float64) @ embed_one(question).astype(np.float64)
    mean, spread = float(cosine.mean()), float(cosine.std()) + 1e-6
    rank = np.empty(len(cosine))
    rank[np.argsort(-cosine, kind="stable")] = 1 + np.arange(len(cosine))
    padded = np.pad(cosine, _NEIGHBOURHOOD // 2, mode="edge")
    near = np.convolve(padded, np.full(_NEIGHBOURHOOD, 1 / _NEIGHBOURHOOD), "valid")
    values = {
        "semantic": cosine,
        "semantic_apart": (cosine - mean) / spread,
        "semantic_rank": 1 / rank,
        "semantic_near": (near - mean) / spread,
    }
    return {name: of_passage[layer.of_leaf] for name, of_passage in values.items()}
