"""What leaves look like, whatever is asked: digits, signs of money, reported results, headings, rows, speakers.

Kept as running totals over leaves, so that any stretch's figures are two look-ups and a difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy.segments import LeafKind
from hierarchy.tree import SummaryTree

__all__ = ["Looks", "looks_of"]

Floats = NDArray[np.float64]

_NUMBER = re.compile(r"\d[\d,.]*")
_MONEY = re.compile(r"[$€£¥%]")
_SPEAKER = re.compile(r"[A-Z][\w.' -]{0,30}: ")
# A reported result: a p-value, an interval, a difference. The cue by which trials state what was found.
_RESULT = re.compile(
    r"[pP]\s*[<>=≤≥]\s*0?\.\d|\bCI\b|\d%|±|signific|no differen|did not differ|higher|lower|increas|decreas|reduc|"
    r"improv|compar"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Looks:
    """Running totals over leaves: the figure of leaves `low` to `high` is `array[high] - array[low]`.

    Attributes:
        characters: Characters.
        tokens: Tokens.
        digits: Characters that write numbers.
        numbers: Numbers.
        money: Currency and percent signs.
        results: Leaves that report a result.
        headings: Leaves that are headings.
        rows: Leaves that are table rows.
        row_tokens: Tokens in table rows.
        speakers: Leaves that open with a speaker's name.
        speaker: For each leaf (no running total) the number of the name that speaks, -1 before the first.
        names: The speakers' names, by number.
    """

    characters: Floats
    tokens: Floats
    digits: Floats
    numbers: Floats
    money: Floats
    results: Floats
    headings: Floats
    rows: Floats
    row_tokens: Floats
    speakers: Floats
    speaker: NDArray[np.int64]
    names: tuple[str, ...]

    def share(self, part: Floats, whole: Floats) -> float:
        """A part of the whole document, in [0, 1]."""
        return float(part[-1] / max(1.0, whole[-1]))


def looks_of(tree: SummaryTree) -> Looks:
    """Look at every leaf of a tree once."""
    texts = list(tree.leaf_texts())
    numbers = [_NUMBER.findall(text) for text in texts]
    opening = [_SPEAKER.match(text) for text in texts]
    numbered = {name: n for n, name in enumerate(dict.fromkeys(match.group() for match in opening if match))}
    kinds, tokens = tree.leaves.kind, tree.leaves.tokens
    return Looks(
        characters=_running(map(len, texts)),
        tokens=_running(tokens),
        digits=_running(sum(map(len, found)) for found in numbers),
        numbers=_running(map(len, numbers)),
        money=_running(len(_MONEY.findall(text)) for text in texts),
        results=_running(_RESULT.search(text) is not None for text in texts),
        headings=_running(kinds == LeafKind.HEADING),
        rows=_running(kinds == LeafKind.ROW),
        row_tokens=_running(np.where(kinds == LeafKind.ROW, tokens, 0)),
        speakers=_running(match is not None for match in opening),
        speaker=_speaking([numbered[match.group()] if match else -1 for match in opening]),
        names=tuple(numbered),
    )


def _speaking(opening: list[int]) -> NDArray[np.int64]:
    """Who speaks in each leaf: whoever was named last."""
    named = np.array(opening, dtype=np.int64)
    last = np.maximum.accumulate(np.where(named >= 0, np.arange(len(named)), -1))
    return np.asarray(np.where(last >= 0, named[np.maximum(last, 0)], -1))


def _running(values: Iterable[float]) -> Floats:
    return np.concatenate(([0.0], np.cumsum(np.fromiter(values, dtype=np.float64))))
