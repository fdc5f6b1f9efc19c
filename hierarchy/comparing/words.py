"""Two texts set against each other word by word."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

__all__ = ["Piece", "words"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A part of the answers' text.

    Attributes:
        which: `both`, `first` or `second`: whose it is.
        text: The part.
    """

    which: str
    text: str


_WORDS = re.compile(r"\s+|\S+")
_LONG = 4_000_000  # Pairs of words above which words that are everywhere aren't lined up: it would take minutes.
_SIDES = ("first", "second", "both")

_Part = tuple[str, str, str]
"""What the first has, what the second has in its place, and what both have behind it."""


def words(first: str, second: str) -> tuple[Piece, ...]:
    """Two texts word by word. Which of them is the first doesn't matter for what is lined up with what.

    Words between two changes that are shorter than either are part of one change: "of" alone lines nothing up.

    Example:
        >>> [(piece.which, piece.text) for piece in words("It was 92 in all", "It was 84 in all")]
        [('both', 'It was '), ('first', '92'), ('second', '84'), ('both', ' in all')]
    """
    if first > second:
        parts = [(mine, theirs, both) for theirs, mine, both in _joined(_parts(second, first))]
    else:
        parts = _joined(_parts(first, second))
    pieces = (Piece(which=which, text=text) for part in parts for which, text in zip(_SIDES, part, strict=True))
    return tuple(piece for piece in pieces if piece.text)


def _parts(first: str, second: str) -> list[_Part]:
    mine, theirs = _WORDS.findall(first), _WORDS.findall(second)
    matcher = difflib.SequenceMatcher(None, mine, theirs, autojunk=len(mine) * len(theirs) > _LONG)
    found: list[_Part] = []
    at = other = 0
    for low, start, size in matcher.get_matching_blocks():
        both = "".join(mine[low : low + size])
        found.append(("".join(mine[at:low]), "".join(theirs[other:start]), both))
        at, other = low + size, start + size
    return found


def _joined(parts: list[_Part]) -> list[_Part]:
    """The parts, changes made one where what parts them is shorter than either, or blank."""
    found: list[_Part] = []
    for part in parts:
        while found and _slight(found[-1], part):
            before = found.pop()
            part = (before[0] + before[2] + part[0], before[1] + before[2] + part[1], part[2])  # noqa: PLW2901
        found.append(part)
    return found


def _slight(before: _Part, after: _Part) -> bool:
    changed = min(max(len(part[0]), len(part[1])) for part in (before, after))
    return changed > 0 and (not before[2].strip() or len(before[2]) <= changed)
