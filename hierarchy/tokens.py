"""Counting tokens: what the budget is made of.

A counter is any function `str -> int`. The default counts with tiktoken's `cl100k_base`, loaded on first use from the
vocabulary that litellm's wheel carries, so that nothing is fetched. Counters of other models are estimates; `margin`
says by how much a reservation must exceed them.

Doesn't know budgets (`budget`) or models (`models`).
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import Unavailable

if TYPE_CHECKING:
    from tiktoken import Encoding

__all__ = ["AT_HAND", "Counter", "TiktokenCounter", "count_tokens", "piece_tokens"]

Counter = Callable[[str], int]

AT_HAND = frozenset({"cl100k_base", "o200k_base"})
"""Encodings that models here count with, whose vocabularies come with litellm: none of them is fetched."""

# Longer stretches than this without a break make tiktoken's regular expression superlinear ("aaaa…", base64).
_SLAB = 100_000
_WORD_BORDER = re.compile(r"[a-z](?= [a-z])")


class TiktokenCounter:
    """Counts with a tiktoken encoding. Special tokens in a document are plain text, never control.

    Example:
        >>> TiktokenCounter()("Capital expenditure was $1,577 million.")
        9
    """

    def __init__(self, encoding: str = "cl100k_base") -> None:
        self.encoding = encoding

    def __call__(self, text: str) -> int:
        """The number of tokens of `text`."""
        return sum(len(tokens) for tokens in self._encode(text))

    def starts(self, text: str) -> NDArray[np.int64]:
        """The character at which each token starts, ascending; a token that starts within a character counts there."""
        tokens = np.array([token for slab in self._encode(text) for token in slab], dtype=np.int64)
        if not len(tokens):
            return np.zeros(0, dtype=np.int64)
        ends = np.cumsum(_byte_lengths(self.encoding)[tokens])
        first_bytes = np.concatenate(([0], ends[:-1]))
        if text.isascii():
            return first_bytes
        data = np.frombuffer(text.encode("utf-8", "replace"), dtype=np.uint8)
        character = np.cumsum((data & 0xC0) != 0x80) - 1  # the character that each byte belongs to
        return character[first_bytes].astype(np.int64)

    def cut(self, text: str, tokens: int) -> str:
        """The longest prefix of `text` that ends on a character and counts at most `tokens`."""
        if tokens <= 0:
            return ""
        starts = self.starts(text)
        while len(starts) > tokens:
            text = text[: int(starts[tokens])]
            starts = self.starts(text)
        return text

    def _encode(self, text: str) -> list[list[int]]:
        encoding = _encoding(self.encoding)
        text = text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate can't be encoded
        if len(text) <= _SLAB:
            return [encoding.encode_ordinary(text)]
        return [encoding.encode_ordinary(slab) for slab in _slabs(text)]


count_tokens = TiktokenCounter()
"""The default counter, `cl100k_base`."""


def piece_tokens(count: Counter, text: str, cuts: Sequence[int]) -> NDArray[np.int64]:
    """Tokens of each piece `text[cuts[i]:cuts[i + 1]]`.

    With a `TiktokenCounter` the text is encoded once and each token belongs to the piece in which it starts, so that
    **the pieces of a partition add up to the whole text exactly**. Any other counter is asked piece by piece.
    """
    if isinstance(count, TiktokenCounter):
        return np.diff(np.searchsorted(count.starts(text), np.asarray(cuts))).astype(np.int64)
    return np.array([count(text[a:b]) for a, b in itertools.pairwise(cuts)], dtype=np.int64)


def _slabs(text: str) -> list[str]:
    """Cut a long text between two words, where a token ends anyway, so that slabs count as much as the whole."""
    slabs, start = [], 0
    while len(text) - start > _SLAB:
        limit = start + _SLAB
        # Tables may have no two words in a row for pages: look further back before cutting a token in two.
        borders = _word_borders(text, limit - 4_000, limit) or _word_borders(text, start, limit)
        end = borders[-1] if borders else limit
        slabs.append(text[start:end])
        start = end
    return [*slabs, text[start:]]


def _word_borders(text: str, start: int, end: int) -> list[int]:
    return [match.end() for match in _WORD_BORDER.finditer(text, start, end)]


@lru_cache(maxsize=4)
def _encoding(name: str) -> Encoding:
    """Load an encoding without a network: litellm's wheel holds the vocabularies that tiktoken would download."""
    litellm = find_spec("litellm")
    if litellm and litellm.origin and "TIKTOKEN_CACHE_DIR" not in os.environ:
        os.environ["TIKTOKEN_CACHE_DIR"] = str(Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers")
    import tiktoken

    try:
        return tiktoken.get_encoding(name)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"The vocabulary {name} can't be loaded: {error}",
            "Install litellm, which carries it, or set TIKTOKEN_CACHE_DIR to a folder that holds it.",
        ) from error


@lru_cache(maxsize=4)
def _byte_lengths(name: str) -> NDArray[np.int64]:
    encoding = _encoding(name)
    lengths = np.zeros(encoding.n_vocab, dtype=np.int64)
    for token_bytes in encoding.token_byte_values():
        lengths[encoding.encode_single_token(token_bytes)] = len(token_bytes)
    return lengths
