"""Words to terms: the vocabulary that relevance, summaries and keywords share.

A term is a lower-cased, lightly stemmed word or a number. Letters and digits part ("FY2022" → fy, 2022), so that a
year matches however it is written. Words that carry no meaning alone are dropped, and from questions also those that
only instruct ("please", "round to two decimals").

Doesn't know documents or trees.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["INSTRUCTION_WORDS", "STOPWORDS", "Vocabulary", "terms"]

_WORD = re.compile(r"[^\W\d_]+|\d+(?:[.,]\d+)*")

STOPWORDS = frozenset(
    "a an and are as at be been but by for from had has have he her his if in into is it its no not of on or our she "
    "so such that the their them then there these they this those to was were will with we us which who whom whose "
    "what when where how do does did than also may can could would should shall i me my am".split()
)

# Words by which a question says how it wants its answer; they stand in every document and point nowhere.
INSTRUCTION_WORDS = frozenset(
    "answer answers question questions following please state states explain give given respond response round rounded "
    "place places decimal decimals based basing base using use used only provided provide information data detail "
    "details shown clearly outlined plainly stated relying rely primarily conclusion conclusions drawing draw judgment "
    "judging calculate calculated calculating calculation compute computed define defined definition approximation "
    "reasonable reasonably exact number possible imagine assume assuming assumption act acting like you your yours "
    "need needs want wants therefore roughly useful relevant meaningful metric metrics analyst analysts ask expect "
    "company firm something someone here any whether according access lost connection internet resource resources why "
    "yes thing look looking tell report reported".split()
)


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    import Stemmer

    return Stemmer.Stemmer("english")


@lru_cache(maxsize=100_000)
def _stem(word: str) -> str:
    return str(_stemmer().stemWord(word))


def _term(word: str) -> str:
    """The term of a lower-case word; empty if it carries none."""
    if word in STOPWORDS or (len(word) == 1 and word.isascii() and not word.isdigit()):
        return ""
    return _stem(word)


def terms(text: str) -> list[str]:
    """The terms of a text, in order, repeated as they repeat.

    Example:
        >>> terms("The company's net revenues in FY2018 were $1,577 million")
        ['compani', 'net', 'revenu', 'fy', '2018', '1,577', 'million']
    """
    return [term for word in _WORD.findall(text.lower()) if (term := _term(word))]


class Vocabulary(dict[str, int]):
    """Words to small integers; a word without a term is -1, words of one term share its number.

    Grows as words are looked up. `names[number]` is the term.
    """

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self._numbers: dict[str, int] = {}

    def __missing__(self, word: str) -> int:
        """Number a word that wasn't seen before."""
        term = _term(word)
        number = -1 if not term else self._numbers.setdefault(term, len(self.names))
        if number == len(self.names):
            self.names.append(term)
        self[word] = number
        return number

    def number(self, term: str) -> int:
        """The number of a term, -1 if no text held it."""
        return self._numbers.get(term, -1)

    def encode(self, texts: Iterable[str]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Terms of many texts at once: the numbers in order, and which text each belongs to."""
        numbers: list[int] = []
        sizes: list[int] = []
        find = _WORD.findall
        for text in texts:
            found = [number for word in find(text.lower()) if (number := self[word]) >= 0]
            numbers += found
            sizes.append(len(found))
        owners = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        return np.array(numbers, dtype=np.int32), owners
