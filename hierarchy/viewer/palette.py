"""How the terminal views look: one palette, one set of signs, one width; and what stands in where a terminal has less.

Colours are those of the terminal's own palette that can be read on light and on dark, and the default for all text:
no white, no black, no yellow. **No colour says what a word or a sign doesn't say, too.** Where the output's encoding
has no such signs, `Legible` puts ASCII in their place, one character for one, so that columns stay where they are.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.text import Text

__all__ = ["CARE", "COLOURS", "FAIL", "GOOD", "QUIET", "WIDEST", "Flow", "Legible", "in_ascii"]

COLOURS = ("cyan", "magenta", "green", "blue")
"""The parts of a bar, in turn."""
GOOD, CARE, FAIL, QUIET = "green", "magenta", "red", "dim"
"""What was found, what to heed, what went wrong, what may be passed over."""
WIDEST = 120
"""Columns beyond which lines get hard to read; wider terminals keep a margin."""

_ASCII = MappingProxyType(
    {
        **dict.fromkeys("│├", "|"),
        **dict.fromkeys("─━–—−‐‑‒", "-"),
        **dict.fromkeys("›▸", ">"),
        **dict.fromkeys("“”„«»", '"'),
        **dict.fromkeys("‘’‚′", "'"),
        **dict.fromkeys("·•", "-"),
        **dict.fromkeys("\u00a0\u2007\u202f\u2009", " "),
        "└": "`",
        "…": "~",
        "×": "x",
        "≈": "~",
        "✓": "+",
        "✗": "!",
        "█": "#",
        "▓": "=",
        "▒": "+",
        "░": ":",
        "●": "#",
        "◐": "=",
        "◎": "@",
        "◌": "?",
        "○": "o",
        "▁": ".",
        "▂": ":",
        "▃": ":",
        "▄": "-",
        "▅": "=",
        "▆": "+",
        "▇": "*",
    }
)


@lru_cache(maxsize=4_096)
def in_ascii(text: str) -> str:
    """The text in ASCII, in as many columns.

    Example:
        >>> in_ascii("“Crème” – 3 × 4 … ●")
        '"Creme" - 3 x 4 ~ #'
    """
    return text if text.isascii() else "".join(map(_ascii_of, text))


def _ascii_of(character: str) -> str:
    if character.isascii():
        return character
    found = _ASCII.get(character) or unicodedata.normalize("NFKD", character)[0]
    return (found if found.isascii() else "?").ljust(cell_len(character), "?") if cell_len(character) else ""


@dataclass(frozen=True, slots=True)
class Legible:
    """What is shown, as the terminal can show it: no wider than is easy to read, in ASCII where there is nothing else.

    Attributes:
        shown: What.
        width: Columns at most; all there are if None.
        ascii_only: Whether ASCII is to do, whatever the encoding; None asks the console.
    """

    shown: RenderableType
    width: int | None = WIDEST
    ascii_only: bool | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        narrowed = options.update(width=min(self.width or options.max_width, options.max_width))
        segments = console.render(self.shown, narrowed)
        if not (options.ascii_only if self.ascii_only is None else self.ascii_only):
            yield from segments
            return
        for segment in segments:
            yield segment if segment.control else Segment(in_ascii(segment.text), segment.style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """As what is shown."""
        measured = Measurement.get(console, options, self.shown)
        return measured.with_maximum(self.width) if self.width else measured


@dataclass(frozen=True, slots=True)
class Flow:
    """Short entries one after the other, as many to a line as fit; none is broken in two unless it is too long for one.

    Attributes:
        entries: In order.
        gap: What stands between two on a line.
    """

    entries: Sequence[Text]
    gap: str = "   "

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        yield from self._lines(options.max_width)

    def _lines(self, width: int) -> Iterable[Text]:
        line = Text()
        for entry in self.entries:
            if line.cell_len and line.cell_len + len(self.gap) + entry.cell_len > width:
                yield line
                line = Text()
            if line.cell_len:
                line.append(self.gap, style=QUIET)
            line.append_text(entry)
        if line.cell_len:
            yield line
