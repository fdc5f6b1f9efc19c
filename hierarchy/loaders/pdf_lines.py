"""The text of one PDF page, its lines put back together.

pdfium gives characters in the order of the file, broken where the pen moves. Mostly that is the order of reading; two
things go wrong: a bold title comes one word a line, and cells of a row come apart from their label. Both show in the
geometry: pieces on one base line, one right of the other, are one line.

Owns that repair and the cleaning of characters. **No word or number of a page is added, lost or altered**: lines are
joined and moved, dot leaders, control characters and superfluous spaces go. Doesn't know files or structure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hierarchy.loaders.tables import numeric_cells

__all__ = ["HYPHEN", "Box", "clean_lines", "unhyphenated"]

HYPHEN = "\ufffe"
"""What pdfium writes for a hyphen at the end of a line, the line break taken out."""

_LEADERS = re.compile(r"(?:[.…·]\s?){4,}|…{2,}|_{6,}")
_GONE = re.compile(r"[\x00-\x08\x0e-\x1f\x7f\xad\u200b-\u200d\u2060\ufeff\uffff]")
_SYMBOLS = str.maketrans({"\uf0b7": "•", "\uf0a7": "▪", "\uf0a8": "□", "\uf0fe": "☒"})
_LONE = re.compile(r"[$€£(]?\s?-?\(?[$€£]?\d[\d,.]*\)?\s?[%)]{0,2}|[—–-]|\$|%|\)")
_HYPHENATED = re.compile(rf"(\w*){HYPHEN}(\w*)")
_MONTH_OR_YEAR = re.compile(
    r"(?:19|20)\d\d|\b(?:january|february|march|april|may|june|july|august|september|october|november|december)\b",
    re.IGNORECASE,
)
_FEW_WORDS = 3
_HEAD_CHARACTERS = 24
_LONE_RUN = 3
_LONE_CHARACTERS = 20


@dataclass(frozen=True, slots=True)
class Box:
    """Where a line stands on its page: the left edge of its first character, the right edge of its last, in points."""

    left: float
    right: float
    bottom: float
    top: float

    def level_with(self, other: Box) -> bool:
        """Whether the two share a base line: most of the lower one's height lies beside the other."""
        overlap = min(self.top, other.top) - max(self.bottom, other.bottom)
        return overlap >= 0.6 * min(self.top - self.bottom, other.top - other.bottom) > 0

    def __or__(self, other: Box) -> Box:
        """The box of both."""
        return Box(
            min(self.left, other.left),
            max(self.right, other.right),
            min(self.bottom, other.bottom),
            max(self.top, other.top),
        )


@dataclass(slots=True)
class _Piece:
    text: str
    box: Box | None = None


def clean_lines(raw: str, box_of: Callable[[int, int], Box | None] | None) -> list[str]:
    """The lines of a page as a reader sees them.

    Args:
        raw: The page's text as pdfium gives it, lines apart by CR LF.
        box_of: The box from one character to another of `raw`; None if characters and boxes don't correspond.
    """
    pieces = _pieces(raw, box_of)
    if box_of:
        pieces = _cells_on_rows(_level_pieces(pieces))
    lines = [cleaned for piece in pieces if (cleaned := _clean(piece.text))]
    return _stacked_heads(lines)


def unhyphenated(text: str, known: str) -> str:
    """`text` with pdfium's hyphen marks resolved: dropped where `known` holds the joined word, else a hyphen."""

    def resolve(match: re.Match[str]) -> str:
        joined = (match[1] + match[2]).lower()
        one_word = len(match[1]) > 1 and len(match[2]) > 1 and match[2].islower() and _is_word_of(joined, known)
        return match[1] + ("" if one_word else "-") + match[2]

    return _HYPHENATED.sub(resolve, text)


def _is_word_of(word: str, text: str) -> bool:
    """Whether a text holds a word by itself; much faster than a regular expression with its borders."""
    at = text.find(word)
    while at >= 0:
        end = at + len(word)
        if not text[at - 1 : at].isalnum() and not text[end : end + 1].isalnum():
            return True
        at = text.find(word, end)
    return False


def _clean(line: str) -> str:
    if ".." in line or ". ." in line or "…" in line or "__" in line or "··" in line:
        line = _LEADERS.sub(" ", line)
    line = " ".join(line.split())
    if line.isprintable():
        return line
    # The hyphen mark is no printable character either; it is resolved when all pages are known.
    return " ".join(_GONE.sub("", line).translate(_SYMBOLS).split())


def _pieces(raw: str, box_of: Callable[[int, int], Box | None] | None) -> list[_Piece]:
    """Lines that hold something; a short one and its neighbours know where they stand, since only these may join."""
    pieces: list[_Piece] = []
    bounds: list[tuple[int, int]] = []
    at = 0
    for line in raw.split("\n"):
        text = line.strip()
        if text:
            start = at + line.index(text[0])
            pieces.append(_Piece(text))
            bounds.append((start, start + len(text) - 1))
        at += len(line) + 1
    if box_of:
        short = [len(piece.text) < 60 and piece.text.count(" ") < _FEW_WORDS for piece in pieces]
        whole_page = _lone_run(pieces)
        for index, piece in enumerate(pieces):
            if whole_page or any(short[max(0, index - 1) : index + 2]):
                piece.box = box_of(*bounds[index])
    return pieces


def _is_lone(text: str) -> bool:
    return len(text) <= _LONE_CHARACTERS and _LONE.fullmatch(text) is not None


def _lone_run(pieces: Sequence[_Piece]) -> bool:
    run = 0
    for piece in pieces:
        run = run + 1 if _is_lone(piece.text) else 0
        if run >= _LONE_RUN:
            return True
    return False


def _level_pieces(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Join a piece to the one before it where both stand on one base line, the later further right."""
    joined: list[_Piece] = []
    for piece in pieces:
        last = joined[-1] if joined else None
        if last and last.box and piece.box and _continues(last.box, piece.box):
            joined[-1] = _Piece(f"{last.text} {piece.text}", last.box | piece.box)
        else:
            joined.append(piece)
    return joined


def _continues(box: Box, following: Box) -> bool:
    return box.level_with(following) and following.left >= box.right - 2


def _cells_on_rows(pieces: list[_Piece]) -> list[_Piece]:
    """Put runs of lone numbers back behind the labels they are level with; all of a run or, if most don't fit, none."""
    at = 0
    gone: set[int] = set()
    while at < len(pieces):
        end = at
        while end < len(pieces) and _is_lone(pieces[end].text):
            end += 1
        if end - at >= _LONE_RUN:
            homes = {index: _home(pieces, index, range(at, end), gone) for index in range(at, end)}
            found = {index: home for index, home in homes.items() if home is not None}
            if len(found) >= 0.6 * (end - at):
                for index, home in found.items():
                    _append(pieces, home, index)
                gone.update(found)
        at = max(end, at + 1)
    return [piece for index, piece in enumerate(pieces) if index not in gone]


def _home(pieces: Sequence[_Piece], index: int, run: range, gone: set[int]) -> int | None:
    """The piece that the lone number belongs behind: level with it, and ending left of it."""
    box = pieces[index].box
    if box is None:
        return None
    best = None
    for other, piece in enumerate(pieces):
        if other in run or other in gone or piece.box is None or not _continues(piece.box, box):
            continue
        if best is None or piece.box.right > (pieces[best].box or box).right:
            best = other
    return best


def _append(pieces: list[_Piece], home: int, index: int) -> None:
    label, cell = pieces[home], pieces[index]
    assert label.box
    assert cell.box
    pieces[home] = _Piece(f"{label.text} {cell.text}", label.box | cell.box)


def _stacked_heads(lines: Sequence[str]) -> list[str]:
    """Join column heads that are stacked one word a line above a row ("December 1,", "2017", "December 2,", …)."""
    joined: list[str] = []
    run: list[str] = []
    for line in lines:
        if len(line) <= _HEAD_CHARACTERS and line.count(" ") < _FEW_WORDS and line[-1] not in ".;:":
            run.append(line)
            continue
        if (
            len(run) >= _LONE_RUN
            and numeric_cells(line) >= 2
            and sum(bool(_MONTH_OR_YEAR.search(head)) for head in run) >= 2
        ):
            heads = next(index for index, head in enumerate(run) if _MONTH_OR_YEAR.search(head))
            run = [*run[:heads], " ".join(run[heads:])]
        joined += [*run, line]
        run = []
    return joined + run
