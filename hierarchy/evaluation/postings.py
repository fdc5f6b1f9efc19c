"""BM25 over flat texts: what every lexical baseline ranks by.

Plain on purpose: lower-cased words, no stemming, no stop words; the library's own matching is in `relevance`, and what
it adds must show as a difference to this. Source: Robertson and Zaragoza, 2009.

Knows texts by number only, no documents and no budgets.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Postings", "words"]

_TERM = re.compile(r"[^\W_]+")


class Postings:
    """Weights of words in texts, as one run of postings per word.

    Args:
        texts: What is ranked.
        k1: How soon a word's repetitions stop counting.
        b: How much a long text is discounted.
    """

    def __init__(self, texts: Sequence[str], k1: float = 1.5, b: float = 0.75) -> None:
        self.size = len(texts)
        self.numbers: dict[str, int] = {}
        split = [words(text) for text in texts]
        lengths = np.array([len(some) for some in split], dtype=np.float64)
        encoded = np.array([self.numbers.setdefault(w, len(self.numbers)) for some in split for w in some], np.int64)
        # 1. One key per word and text, sorted by word, with how often it occurs there.
        owner = np.repeat(np.arange(self.size), lengths.astype(np.int64))
        keys, counts = np.unique(encoded * max(1, self.size) + owner, return_counts=True)
        word, self.owners = np.divmod(keys, max(1, self.size))
        self.edges = np.searchsorted(word, np.arange(len(self.numbers) + 1))
        # 2. The weight that a match earns: rarity of the word × saturated, length-discounted frequency.
        holding = np.diff(self.edges)
        rarity = np.log1p((self.size - holding + 0.5) / (holding + 0.5))
        discount = k1 * (1 - b + b * lengths / max(1.0, lengths.mean() if self.size else 1.0))
        self.weights = rarity[word] * counts * (k1 + 1) / (counts + discount[self.owners])

    def scores(self, question: str) -> NDArray[np.float64]:
        """The score of each text."""
        scores = np.zeros(self.size)
        for word in dict.fromkeys(words(question)):
            number = self.numbers.get(word)
            if number is not None:
                run = slice(self.edges[number], self.edges[number + 1])
                scores[self.owners[run]] += self.weights[run]
        return scores

    def order(self, question: str) -> NDArray[np.int64]:
        """All texts, best first; ties, and with them all that match nothing, in the order given."""
        return np.argsort(-self.scores(question), kind="stable")


def words(text: str) -> list[str]:
    """The words of a text as they are matched.

    Example:
        >>> words("Net income, FY2022 (restated)")
        ['net', 'income', 'fy2022', 'restated']
    """
    return _TERM.findall(text.lower())
