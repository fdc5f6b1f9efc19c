"""Passages ranked by meaning, and fused with their ranks by words."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy.document import Document
from hierarchy.evaluation import dense
from hierarchy.evaluation.dense import Dense, Fusion, fused_order

DOCUMENT = Document(name="d.txt", text="".join(f"Sentence {n} speaks of topic{n}.\n" for n in range(60)))


@pytest.fixture
def by_name(monkeypatch):
    """In the model's place: a vector that says whether a text names topic 41, which is what the question asks."""

    def embed(texts):
        return np.array([[float("topic41" in text), 0.1] for text in texts], dtype=np.float32)

    monkeypatch.setattr(dense, "embed", embed)
    monkeypatch.setattr(dense, "embed_one", lambda text: embed((text,))[0])


@pytest.mark.parametrize("system", [Dense(chunk=16), Fusion(chunk=16)])
def test_the_nearest_chunk_comes_first(by_name, system):
    """By meaning alone, and fused with words that say the same."""
    span = system.prepare(DOCUMENT)("What of topic41?", 16)[0]
    assert "topic41" in DOCUMENT.text[span.start : span.end]


def test_fusion_sums_reciprocal_ranks():
    """A large k lets what is second in both beat what is first in one and last in the other; ties in document order."""
    orders = (np.array([0, 1, 2, 3]), np.array([3, 1, 2, 0]))
    assert fused_order(orders, k=0).tolist() == [0, 3, 1, 2]
    assert fused_order((np.array([0, 1, 2, 3, 4]), np.array([4, 1, 2, 3, 0])), k=60).tolist() == [1, 0, 4, 2, 3]


def test_shared_work_is_done_once_and_charged_twice(monkeypatch):
    """Two systems over the same passages embed them once; the clock that runs are timed by goes on for both."""
    calls = []
    monkeypatch.setattr(dense, "check_embedding", lambda: None)
    monkeypatch.setattr(dense, "embed_one", lambda text: calls.append(text) or np.ones(2, dtype=np.float32))
    monkeypatch.setattr(dense.time, "process_time", iter([1.0, 4.0]).__next__)
    charged = []
    monkeypatch.setattr(dense, "reuse", charged.append)
    dense._embedded.cache_clear()
    for _ in range(2):
        assert dense.embed(("a", "b")).shape == (2, 2)
    dense._embedded.cache_clear()
    assert (calls, charged) == (["a", "b"], [3.0])
