"""The budgeted map on a terminal: a line for each branch that matters, with how closely it was looked at, and for what.

Which lines those are says `rows`. Columns come and go with the width; the title takes what is left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from hierarchy.tree import SummaryTree
from hierarchy.viewer.palette import CARE, GOOD, QUIET
from hierarchy.viewer.rows import OWN_TEXT, SEVERAL_PARTS, Row, rows_of
from hierarchy.viewer.text import probability, title
from hierarchy.viewer.treemap import WHOLE, State, TreeMap

__all__ = ["MapView", "map_view"]

_SIGNS: dict[State, tuple[str, str, str]] = {
    "verbatim": ("●", "verbatim", GOOD),
    "part": ("◐", "in part", GOOD),
    "refined": ("◎", "refined", "cyan"),
    "granted": ("◌", "granted", "cyan"),
    "coarse": ("○", "coarse", ""),
    "unread": ("·", "unread", QUIET),
}
_LEVELS = " ▁▂▃▄▅▆▇█"
# Widths from which columns are shown.
_WORDS, _GRANTED, _PAGES, _BAR = 52, 76, 92, 108
_BAR_CELLS = 6


def map_view(tree_map: TreeMap, *, most: int = 18, tree: SummaryTree | None = None) -> RenderableType:
    """The map, in at most so many rows.

    Args:
        tree_map: The map.
        most: Rows at most, without the heads of columns.
        tree: The document's tree, if it is at hand: what has no title is then called by the words it begins with.
    """
    titles = tree if tree is not None and len(tree.node_tokens) == len(tree_map.shape) else None
    return MapView(rows=rows_of(tree_map, most), tree=titles)


@dataclass(frozen=True, slots=True, kw_only=True)
class MapView:
    """Rows of a map, drawn in the columns that the width has room for.

    Attributes:
        rows: As `rows_of` gives them.
        tree: Names what has no title.
    """

    rows: Sequence[Row]
    tree: SummaryTree | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        columns = self._columns(options.max_width)
        table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET, expand=True)
        table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
        for head, left, _ in columns:
            table.add_column(head, justify="left" if left else "right", no_wrap=True, overflow="ellipsis")
        guides = _guides(self.rows)
        for row, guide in zip(self.rows, guides, strict=True):
            table.add_row(self._named(row, guide), *(cell(row) for *_, cell in columns))
        yield table

    def _columns(self, width: int) -> list[tuple[str, bool, Callable[[Row], Text]]]:
        """Head, whether it is set to the left, and what a row has in it."""
        highest = max((row.relevance or 0.0 for row in self.rows), default=0.0) or 1.0
        columns: list[tuple[str, bool, Callable[[Row], Text]]] = []
        if width >= _PAGES and any(row.pages for row in self.rows):
            columns.append(("pages", False, _pages))
        if any(row.relevance is not None for row in self.rows):
            cells = _BAR_CELLS if width >= _BAR else 1
            head = "relevance" if cells > 1 else "rel." if width >= _WORDS else ""
            shown = None if width >= _WORDS else 1  # Signs without words and figures leave the titles some room.
            columns.append((head, False, lambda row: _relevance(row, highest, cells)[:shown]))
        columns.append(("resolution" if width >= _GRANTED else "", True, _state if width >= _WORDS else _sign))
        if width >= _GRANTED:
            columns.append(("granted", False, lambda row: _figure(row.granted)))
        columns.append(("read", False, lambda row: _figure(row.read, style=GOOD)))
        if any(row.seen for row in self.rows):
            columns.append(("refined", False, lambda row: _figure(row.seen)))
        if width >= _PAGES and any(row.spent for row in self.rows):
            columns.append(("spent", False, lambda row: _figure(row.spent)))
        if width >= _GRANTED or not any(row.seen for row in self.rows):
            columns.append(("of", False, lambda row: _figure(row.tokens, style=QUIET)))
        return columns

    def _named(self, row: Row, guide: str) -> Text:
        line = Text(no_wrap=True, overflow="ellipsis").append(guide, style=QUIET)
        # Before the title, which may be cut off.
        line.append("".join(f"[{mark}] " for mark in row.marks), style=GOOD)
        if row.folded:
            line.append(f"{row.folded:,} more", style=QUIET)
            return line
        line.append(title(self._title(row)), style=QUIET if row.state == "unread" and row.depth else "default")
        return line

    def _title(self, row: Row) -> str:
        tree, fixed = self.tree, not row.depth or row.title in (OWN_TEXT, SEVERAL_PARTS)
        return row.title if tree is None or fixed or row.node in tree.titles else tree.node(row.node).title


def _guides(rows: Sequence[Row]) -> list[str]:
    """What stands before each row to show what it belongs to."""
    open_levels: list[bool] = []
    guides = []
    for row in rows:
        del open_levels[max(0, row.depth - 1) :]
        above = "".join("│ " if going_on else "  " for going_on in open_levels)
        guides.append(f"{above}{'└ ' if row.last else '├ '}" if row.depth else "")
        if row.depth:
            open_levels.append(not row.last)
    return guides


def _pages(row: Row) -> Text:
    if not row.pages:
        return Text()
    first, last = row.pages
    return Text(f"{first}" if first == last else f"{first}–{last}", style=QUIET)


def _relevance(row: Row, highest: float, cells: int) -> Text:
    """A bar beside the estimate: how it stands against the highest one shown."""
    if row.relevance is None:
        return Text()
    share = row.relevance / highest
    if cells == 1:
        bar = Text(_LEVELS[max(int(row.relevance > 0), round(share * 8))], style="cyan")
    else:
        filled = max(int(row.relevance > 0), round(share * cells))
        bar = Text.assemble(("━" * filled, "cyan"), (" " * (cells - filled), ""))
    bar.append(f" {probability(row.relevance):>5}", style=QUIET if row.relevance < 0.05 else "default")
    return bar


def _state(row: Row) -> Text:
    if row.working:
        return Text.assemble(("▸", f"bold {CARE}"), " ", ("reading", CARE))
    sign, word, style = _SIGNS[row.state]
    if row.state == "refined" and row.read + row.seen < WHOLE * row.tokens:
        word = "in part"
    return Text.assemble((sign, style), " ", (word, style if row.state == "unread" else "default"))


def _sign(row: Row) -> Text:
    """The state without its word."""
    return _state(row)[:1]


def _figure(count: int, style: str = "default") -> Text:
    return Text(f"{count:,}", style=style) if count else Text("–", style=QUIET)
