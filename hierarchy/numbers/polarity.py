"""Signs in words: whether a sentence or a row speaks of a loss or of a gain.

A sign is wrong only if both sides say theirs: an outflow is "(214)" in a table and "214" in a sentence about spending,
and both are right. Knows nothing of numbers.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = ["polarity_of_row", "polarity_of_sentence", "slips"]

# What a level is called, and what a change is called; a change "to" is a level.
_LEVEL = {
    **dict.fromkeys(("loss", "losses", "deficit", "negative", "outflow", "outflows", "minus"), -1),
    **dict.fromkeys(("income", "profit", "profits", "earnings", "gain", "gains", "surplus", "inflow", "inflows"), 1),
}
_CHANGE = {
    **dict.fromkeys("decrease decreased decreases decline declined declines fell fall fallen falls".split(), -2),
    **dict.fromkeys("drop dropped drops down reduction reduced shrank shrunk contracted contraction".split(), -2),
    **dict.fromkeys("increase increased increases rise rose risen rises grew grow growth grown up climbed".split(), 2),
}
_ALL = _LEVEL | _CHANGE
_WORDS = re.compile(rf"\b(?:{'|'.join(_ALL)})\b", re.IGNORECASE)
# These make a level of a change, or a cost of an income.
_TO = re.compile(r"\b(?:to|from|than|versus|vs|compared|at|was down|and)\b|[0-9;:]", re.IGNORECASE)
_COST = re.compile(
    r"\b(?:expenses?|costs?|tax(?:es)?|paid|payments?|purchases?|expenditures?|repurchases?|dividends?|spent|used|"
    r"provision|allowance|per share|margin|impairment)\b",
    re.IGNORECASE,
)
_REACH = 56


@lru_cache(maxsize=1_024)
def polarity_of_sentence(ahead: str) -> int:
    """What the words before a number say of its sign: ±1 of a level, ±2 of a change, 0 nothing.

    Example:
        >>> [polarity_of_sentence(ahead) for ahead in ("a net loss of ", "it rose by ", "it rose to ")]
        [-1, 2, 0]
    """
    window = re.split(r"[.;:\n(]\s", ahead[-_REACH:])[-1]
    if _COST.search(window):
        return 0
    last = next(reversed([*_WORDS.finditer(window)]), None)
    if last is None or _TO.search(window, last.end()):
        return 0
    found = _ALL[last[0].lower()]
    if abs(found) == 2 and not re.match(
        r"(?:\s+\w+){0,2}\s+(?:by|of)\b|\s*[$€£(~]*$|\s+(?:about|some|nearly)\s", window[last.end() :]
    ):
        return 0
    both = {(_ALL[word.lower()] > 0) for word in _WORDS.findall(window) if abs(_ALL[word.lower()]) == abs(found)}
    return found if len(both) == 1 or abs(found) == 2 else 0


def polarity_of_row(ahead: str) -> tuple[int, int]:
    """What the label of a row, or the words before a figure, say: of levels and of changes; 0 where nothing or both."""
    return _polarity_of_label(ahead.rsplit("\n", 1)[-1])


@lru_cache(maxsize=4_096)
def _polarity_of_label(line: str) -> tuple[int, int]:
    if _COST.search(line):
        return 0, 0
    named = {_ALL[word.lower()] for word in _WORDS.findall(line)}
    levels, changes = named & {-1, 1}, named & {-2, 2}
    return (levels.pop() if len(levels) == 1 else 0), (changes.pop() if len(changes) == 1 else 0)


def slips(sign: int, told: int, its_sign: int, row: tuple[int, int], *, enclosed: bool) -> bool:
    """Whether the signs that an answer and a figure state contradict each other.

    Args:
        sign: Of the number in the answer, -1 if a minus is written.
        told: What the words before it say.
        its_sign: Of the figure, -1 if a minus or parentheses are written.
        row: What the words before the figure say, of levels and of changes.
        enclosed: Whether the number in the answer stands in parentheses, which may be a minus or not.
    """
    level, change = row
    if sign < 0:
        return its_sign >= 0 and level >= 0 and change >= 0
    if enclosed or told == 0:
        return False
    if its_sign < 0:
        # "Increase in inventories (214)" is an outflow: its minus says nothing of the increase.
        return told == 1 or (told == 2 and change <= 0)
    its = level if abs(told) == 1 else change
    return its * told < 0
