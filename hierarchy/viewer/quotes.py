"""A quote on a terminal: what a question will cost at least, usually and at most, against reading everything."""

from __future__ import annotations

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hierarchy.quoting import Quote
from hierarchy.tree import SummaryTree
from hierarchy.viewer.answers import add_row, block
from hierarchy.viewer.palette import Legible
from hierarchy.viewer.text import one_line, tokens

__all__ = ["quote_view"]


def quote_view(quoted: Quote, tree: SummaryTree) -> RenderableType:
    """Bounds as a table, the plan, and what one call with the whole document would cost."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    add_row(table, "", Text("at least", style="dim"), Text("usually", style="dim"), Text("at most", style="dim"))
    add_row(table, "tokens", *(f"{number:,}" for number in (quoted.tokens[0], quoted.usual_tokens, quoted.tokens[1])))
    add_row(table, "calls", f"{quoted.calls[0]:,}", "", f"{quoted.calls[1]:,}")
    if quoted.cost_usd:
        add_row(table, "USD", f"{quoted.cost_usd[0]:,.4f}", "", f"{quoted.cost_usd[1]:,.4f}")
    else:
        add_row(table, "USD", "unknown", "", "unknown")
    longest = quoted.seconds[1]
    add_row(table, "seconds", "0", "", "no bound" if longest is None else f"{longest:,.0f}")
    whole = Text(f"Reading all of {one_line(tree.document.name)} in one call: {tokens(quoted.read_all_tokens)}.")
    way = Text(f"{quoted.plan.way}: {quoted.plan.why}", style="dim")
    return Legible(block("Quote", table, Text(), way, whole))
