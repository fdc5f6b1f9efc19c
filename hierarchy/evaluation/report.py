"""Figures as tables: rows of text, for whoever draws them, and Markdown.

Lays out only; the arithmetic is in `figures`, and nothing here prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hierarchy.evaluation.figures import BudgetFigures, Difference, Scoreboard, compare

__all__ = ["HEADER", "Row", "comparison_rows", "markdown", "matrix", "rows"]

Row = tuple[str, ...]
"""The cells of a line, as text."""

HEADER: Row = (
    "system", "budget", "cases", "answerable %", "95 %", "coverage %", "groups %", "used", "over budget", "missing"
)  # fmt: skip
"""What the cells of `rows` are."""


def rows(boards: Sequence[Scoreboard]) -> tuple[Row, ...]:
    """One row per system and budget, as `HEADER` names them."""
    return tuple(_row(board.system, board.figures(budget)) for board in boards for budget in board.budgets)


def matrix(boards: Sequence[Scoreboard]) -> tuple[Row, ...]:
    """Share answerable in per cent: a header of budgets, then one row per system."""
    budgets = sorted({budget for board in boards for budget in board.budgets})
    header = ("answerable %", *(f"{budget:,}" for budget in budgets))
    return (header, *((_name(board), *(_answerable(board, budget) for budget in budgets)) for board in boards))


def comparison_rows(board: Scoreboard, base: Scoreboard) -> tuple[Row, ...]:
    """A header, then per budget how many points a system is ahead of another, and who wins if anyone does."""
    differences: Mapping[int, Difference] = compare(board, base)
    header = ("budget", f"{_name(board)} − {_name(base)}", "95 %", "winner")
    return (header, *((f"{budget:,}", *_difference(d, board, base)) for budget, d in differences.items()))


def markdown(header: Row, body: Sequence[Row]) -> str:
    """A table in Markdown, line feed at the end.

    Example:
        >>> print(markdown(("system", "1,000"), [("head", "8.0")]), end="")
        | system | 1,000 |
        |---|---|
        | head | 8.0 |
    """
    lines = [header, *body]
    drawn = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    drawn.insert(1, "|" + "---|" * len(header))
    return "\n".join(drawn) + "\n"


def _row(system: str, figures: BudgetFigures) -> Row:
    return (
        system or "–",
        f"{figures.budget_tokens:,}",
        f"{figures.cases:,}",
        _percent(figures.answerable),
        f"[{_percent(figures.interval.low)}, {_percent(figures.interval.high)}]",
        _percent(figures.coverage),
        "–" if figures.groups is None else _percent(figures.groups),
        f"{round(figures.used_tokens):,}",
        f"{figures.over_budget:,}",
        f"{figures.missing:,}",
    )


def _difference(difference: Difference, board: Scoreboard, base: Scoreboard) -> Row:
    ahead = board if difference.mean > 0 else base
    low, high = difference.interval.low, difference.interval.high
    winner = _name(ahead) if difference.decided else "no winner"
    return f"{100 * difference.mean:+.1f}", f"[{_percent(low)}, {_percent(high)}]", winner


def _answerable(board: Scoreboard, budget_tokens: int) -> str:
    # Without the interval, which `figures` would draw anew for a number that doesn't need it.
    if budget_tokens not in board.by_budget:
        return "–"
    return _percent(float(board.values(budget_tokens).mean()))


def _name(board: Scoreboard) -> str:
    return board.system or "–"


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"
