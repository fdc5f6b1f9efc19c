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


def words(first: str, second: str) -> tuple[Piece, ...]:
    """Two texts word by word. Which is which doesn't matter for what is lined up with what."""
    if first > second:
        other = {"first": "second", "second": "first", "both": "both"}
        turned = [Piece(which=other[piece.which], text=piece.text) for piece in words(second, first)]
        for place in range(len(turned) - 1):
            if (turned[place].which, turned[place + 1].which) == ("second", "first"):
                turned[place : place + 2] = turned[place + 1], turned[place]
        return tuple(turned)
    split = _WORDS.findall(first), _WORDS.findall(second)
    matcher = difflib.SequenceMatcher(None, *split, autojunk=len(split[0]) * len(split[1]) > _LONG)
    pieces: list[list[str]] = [["", "", ""]]  # What the first has, the second, and then both.
    for what, low, high, start, end in matcher.get_opcodes():
        taken, given = "".join(split[0][low:high]), "".join(split[1][start:end])
        if what != "equal":
            pieces[-1][0] += taken
            pieces[-1][1] += given
        elif taken.isspace() and (pieces[-1][0] or pieces[-1][1]) and high < len(split[0]) and end < len(split[1]):
            pieces[-1][0] += taken  # A blank between two changes tells nothing: they are one.
            pieces[-1][1] += given
        else:
            pieces[-1][2] += taken
            pieces.append(["", "", ""])
    parts = (Piece(which=which, text=text) for one in pieces for which, text in zip(_SIDES, one, strict=True))
    return tuple(part for part in parts if part.text)
