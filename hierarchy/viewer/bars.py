"""Bars of tokens, and the strip that shows where in a document was read.

Both fill the width they get. Strokes tell parts apart, and so do colours where there are any. Where a terminal has no
such strokes, ASCII stands in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style
from rich.text import Text

from hierarchy.tree import SummaryTree
from hierarchy.viewer.palette import COLOURS, QUIET

__all__ = ["Bar", "Strip", "reading_strip"]

_STROKES = "█▓▒"
_ASCII_STROKES = "#=+"
_STEPS = (0, 0.1, 0.5)
"""Shares read above which the strip rises."""
_HELD, _ASCII_HELD = "░", ":"
_REST, _ASCII_REST = "─", "-"


@dataclass(frozen=True, slots=True)
class Bar:
    """Amounts side by side, as shares of a whole; what is left is drawn thin.

    **Every part that isn't nothing shows, and parts never exceed the whole**, so that a full bar is a full budget.

    Attributes:
        parts: Amounts, in order.
        whole: What they are shares of; their own sum if that is more.
        width: Columns; all there are if None.
        first_colour: Which of `COLOURS` the first part has.
        held: An amount beside the parts that may yet become one, drawn behind them, lightly.
    """

    parts: Sequence[float]
    whole: float
    width: int | None = None
    first_colour: int = 0
    held: float = 0

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        width = min(self.width or options.max_width, options.max_width)
        strokes = _ASCII_STROKES if options.ascii_only else _STROKES
        cells = self.cells(width)
        for index, count in enumerate(cells[: len(self.parts)]):
            yield Segment(strokes[index % len(strokes)] * count, Style(color=self._colour(index)))
        if self.held:
            yield Segment((_ASCII_HELD if options.ascii_only else _HELD) * cells[-1], Style(dim=True))
        rest = _ASCII_REST if options.ascii_only else _REST
        yield Segment(rest * (width - sum(cells)), Style(dim=True))

    def sign(self, index: int | None) -> Text:
        """What a part is drawn with, for a legend; None for what is held."""
        if index is None:
            return Text(_HELD, style=QUIET)
        return Text(_STROKES[index % len(_STROKES)], style=self._colour(index))

    def _colour(self, index: int) -> str:
        return COLOURS[(index + self.first_colour) % len(COLOURS)]

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """It takes what it gets."""
        width = min(self.width or options.max_width, options.max_width)
        return Measurement(min(4, width) if self.width is None else width, width)

    def cells(self, width: int) -> tuple[int, ...]:
        """Columns of each part: at least one for what isn't nothing, while there is room, and together not too many.

        Example:
            >>> Bar((500, 1, 0), 1_000).cells(10), Bar((900, 200), 1_000).cells(10)
            ((5, 1, 0), (8, 2))
        """
        parts = [*self.parts, self.held] if self.held else self.parts
        whole = max(self.whole, sum(parts)) or 1
        edges = [round(width * sum(parts[:count]) / whole) for count in range(len(parts) + 1)]
        pairs = zip(parts, pairwise(edges), strict=True)
        cells = [max(1, high - low) if part > 0 else 0 for part, (low, high) in pairs]
        while sum(cells) > width:
            cells[cells.index(max(cells))] -= 1
        return tuple(cells)


@dataclass(frozen=True, slots=True)
class Strip:
    """A document from its first to its last token: dense where it was read.

    Attributes:
        shares: Share read of each of many stretches of equal length, in [0, 1].
    """

    shares: tuple[float, ...]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        strokes = ".-+#" if options.ascii_only else "─▁▄█"
        levels = [sum(share > step for step in _STEPS) for share in self.columns(options.max_width)]
        for level, run in groupby(levels):
            style = Style(color="green") if level else Style(dim=True)
            yield Segment(strokes[level] * len(list(run)), style)

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        """It takes what it gets."""
        return Measurement(min(4, options.max_width), options.max_width)

    def columns(self, width: int) -> tuple[float, ...]:
        """The shares brought to a width; a column shows the densest stretch under it, so that nothing read is lost.

        Example:
            >>> Strip((0.0, 0.2, 0.0, 0.0)).columns(2)
            (0.2, 0.0)
        """
        count = len(self.shares)
        if not count or not width:
            return ()
        edges = [column * count // width for column in range(width + 1)]
        return tuple(max(self.shares[low : max(low + 1, high)]) for low, high in pairwise(edges))


_STRETCHES = 480


def reading_strip(tree: SummaryTree, runs: Iterable[tuple[int, int]]) -> Strip:
    """Where in a document was read.

    Args:
        tree: Its tree.
        runs: Leaves read, as half-open runs.
    """
    edges = np.linspace(0, tree.tokens, _STRETCHES + 1)
    read = np.zeros(_STRETCHES)
    for low, high in runs:
        first, last = tree.leaf_edges[low], tree.leaf_edges[high]
        read += np.clip(np.minimum(edges[1:], last) - np.maximum(edges[:-1], first), 0, None)
    lengths = np.maximum(np.diff(edges), 1e-9)
    return Strip(tuple(np.clip(read / lengths, 0, 1).round(6).tolist()))
