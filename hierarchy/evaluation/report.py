"""Figures as tables: rows of text, for whoever draws them, and Markdown.

Lays out only; the arithmetic is in `figures`, and nothing here prints.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hierarchy.evaluation.answers import AnswerFigures
from hierarchy.evaluation.bills import BillFigures, Spread
from hierarchy.evaluation.figures import BudgetFigures, Difference, Scoreboard, compare

__all__ = [
    "HEADER",
    "Row",
    "all_budgets",
    "answer_rows",
    "bill_rows",
    "comparison_rows",
    "duel_rows",
    "markdown",
    "matrix",
    "name",
    "rows",
]

Row = tuple[str, ...]
"""The cells of a line, as text."""

HEADER: Row = (
    "system", "budget", "cases", "answerable %", "95 %", "coverage %", "groups %", "files %", "used", "over budget",
    "missing",
)  # fmt: skip
"""What the cells of `rows` are."""


def rows(boards: Sequence[Scoreboard]) -> tuple[Row, ...]:
    """One row per system and budget, as `HEADER` names them."""
    return tuple(_row(board.system, board.figures(budget)) for board in boards for budget in board.budgets)


def matrix(boards: Sequence[Scoreboard], figure: str = "answerable") -> tuple[Row, ...]:
    """One figure in per cent: a header of budgets, then one row per system."""
    budgets = all_budgets(boards)
    header = (f"{figure} %", *(f"{budget:,}" for budget in budgets))
    return (header, *((name(board), *(_cell(board, budget, figure) for budget in budgets)) for board in boards))


def all_budgets(boards: Sequence[Scoreboard]) -> tuple[int, ...]:
    """The budgets that any of the systems was predicted at, ascending."""
    return tuple(sorted({budget for board in boards for budget in board.budgets}))


def comparison_rows(pairs: Sequence[tuple[Scoreboard, Scoreboard]], figure: str = "answerable") -> tuple[Row, ...]:
    """A header, then per pair and budget how many points the first is ahead of the second, and who wins if anyone."""
    header = ("system", "base", "budget", "points ahead", "95 %", "winner")
    return (
        header,
        *(
            (name(board), name(base), f"{budget:,}", *_difference(difference, board, base))
            for board, base in pairs
            for budget, difference in compare(board, base, figure).items()
        ),
    )


def duel_rows(board: Scoreboard, others: Sequence[Scoreboard], figure: str = "answerable") -> tuple[Row, ...]:
    """A header of budgets, then per other system how many points the first is ahead; undecided ones say so."""
    budgets = all_budgets([board, *others])
    rows_ = [(f"{name(board)} ahead of", *(f"{budget:,}" for budget in budgets))]
    for other in others:
        differences = compare(board, other, figure)
        rows_.append((name(other), *(_ahead(differences.get(budget)) for budget in budgets)))
    return tuple(rows_)


def answer_rows(answers: Mapping[str, Mapping[int, AnswerFigures]]) -> tuple[Row, ...]:
    """A header, then per system and budget how right its answers are, and its silence."""
    header = (
        "system", "budget", "exact %", "numeric %", "choice %", "token F1 %", "abstained, no answer %",
        "abstained, answer %", "abstained rightly %", "AUROC",
    )  # fmt: skip
    return (
        header,
        *(
            (
                system or "–",
                f"{budget:,}",
                *map(_percent, (row.exact, row.numeric, row.choice, row.f1)),
                *map(_percent, (row.abstained_unanswerable, row.abstained_answerable, row.abstained_rightly)),
                "–" if row.auroc is None else f"{row.auroc:.2f}",
            )
            for system, budgets in answers.items()
            for budget, row in budgets.items()
        ),
    )


def bill_rows(bills: Mapping[str, Mapping[int, BillFigures]]) -> tuple[Row, ...]:
    """A header, then per system and budget what a question takes: mean and median, and what went wrong."""
    header = (
        "system", "budget", "questions", "tokens", "median", "calls", "USD", "median", "seconds", "median", "Wh",
        "overruns", "partial", "failed",
    )  # fmt: skip
    return (
        header,
        *(
            (
                system or "–",
                f"{budget:,}",
                f"{row.questions:,}",
                *_spread(row.tokens, 0),
                _spread(row.calls, 1)[0],
                *_spread(row.cost_usd, 4),
                *_spread(row.seconds, 1),
                "–" if row.wh is None else f"{row.wh[0]:.2g}–{row.wh[1]:.2g}",
                *(f"{number:,}" for number in (row.overruns, row.partial, row.failed)),
            )
            for system, budgets in bills.items()
            for budget, row in budgets.items()
        ),
    )


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
        _percent(figures.groups),
        _percent(figures.files),
        f"{round(figures.used_tokens):,}",
        f"{figures.over_budget:,}",
        f"{figures.missing:,}",
    )


def _difference(difference: Difference, board: Scoreboard, base: Scoreboard) -> Row:
    ahead = board if difference.mean > 0 else base
    winner = name(ahead) if difference.decided else _undecided(difference)
    return _points(difference.mean), _interval(difference), winner


def _ahead(difference: Difference | None) -> str:
    if difference is None:
        return "–"
    verdict = f"**{_points(difference.mean)}**" if difference.decided else _undecided(difference)
    return f"{verdict} {_interval(difference)}"


def _spread(spread: Spread | None, digits: int) -> tuple[str, str]:
    return ("–", "–") if spread is None else (f"{spread.mean:,.{digits}f}", f"{spread.median:,.{digits}f}")


def _undecided(difference: Difference) -> str:
    return "no winner" if difference.enough else "too few documents"


def _interval(difference: Difference) -> str:
    return f"[{_points(difference.interval.low)}, {_points(difference.interval.high)}]"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"


def _cell(board: Scoreboard, budget_tokens: int, figure: str) -> str:
    # Without the interval, which `figures` would draw anew for a number that doesn't need it.
    return _percent(board.mean(budget_tokens, figure)) if budget_tokens in board.by_budget else "–"


def name(board: Scoreboard) -> str:
    """What a system is called in tables."""
    return board.system or "–"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"
