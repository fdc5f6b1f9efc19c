"""What checking a trace found, and what a replay of it came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hierarchy.viewer.answers import add_row, block
from hierarchy.viewer.text import one_line, tokens

__all__ = ["new_calls_view", "verdict_view"]

_WORDS = {True: ("holds", "green"), False: ("WRONG", "bold red"), None: ("not checked", "dim")}


def verdict_view(verdict: Mapping[str, Any]) -> RenderableType:
    """The checks of a trace, one a line, and what they come to.

    Args:
        verdict: As `verifying.Verdict.to_dict` writes it.
    """
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column()
    for check in verdict["checks"]:
        word, style = _WORDS[check["holds"]]
        add_row(table, Text(word, style=style), one_line(check["name"]), one_line(check["detail"]))
    return block(_sentence(verdict), table, style="bold" if verdict["holds"] else "bold red")


def _sentence(verdict: Mapping[str, Any]) -> str:
    if not verdict["holds"]:
        return "This trace doesn't hold"
    unchecked = sum(check["holds"] is None for check in verdict["checks"])
    budget = verdict["budget_tokens"]
    within = "" if budget is None else f": {verdict['spent_tokens']:,} of {tokens(budget)} spent"
    if verdict["overdraft_tokens"]:
        within += f", {verdict['overdraft_tokens']:,} billed beyond reservations"
    return f"Nothing is wrong{within}" + (f"; {unchecked} could not be checked" if unchecked else "")


def new_calls_view(calls: Sequence[Mapping[str, Any]], known: int, *, anew: bool = False) -> RenderableType:
    """Which calls of a replay were known, and which would be new.

    Args:
        calls: The new ones, as `replaying.NewCall` holds them.
        known: How many were known.
        anew: Whether the built-in model answered them, rather than what is on record.
    """
    how = "anew by the built-in model" if anew else "from what is on record"
    lead = Text(f"{known:,} call{'' if known == 1 else 's'} answered {how}")
    if not calls:
        return block("Replayed: this is the run at that budget", lead)
    table = Table.grid(padding=(0, 2))
    for _ in range(4):
        table.add_column(no_wrap=True, justify="right")
    for call in calls:
        cost = "" if call["cost_usd"] is None else f"≤ ${call['cost_usd']:,.4f}"
        where = f"about {call['node']}" if call["node"] else ""
        add_row(table, one_line(call["stage"]), where, f"≤ {tokens(call['tokens'])}", cost)
    note = Text("What comes behind them depends on their replies.", style="dim")
    title = f"{len(calls):,} call{' is' if len(calls) == 1 else 's are'} new from here on"
    return block(title, Group(lead, table, note), style="yellow")
