"""Curves of a figure over budgets, drawn with matplotlib (extra `eval`).

Budgets are on a logarithmic axis, bands are 95 % intervals over documents. **Equal figures give equal files**: SVG
without a date and with fixed ids, text as paths, so that a figure in a repository changes when its data does.

Draws only; what it draws is counted in `figures`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from importlib.util import find_spec
from io import BytesIO
from typing import Any

from hierarchy.errors import InputError
from hierarchy.evaluation.figures import Scoreboard
from hierarchy.evaluation.report import all_budgets, name

__all__ = ["check_drawing", "curves", "reliability"]

# Told apart by the colour-blind (Okabe and Ito, 2008), and by marker and stroke in print.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C8C8C")
_MARKERS = "osD^vPX*"
_STROKES = ("-", "--", ":")
_STYLE: Any = {"svg.hashsalt": "hierarchy", "svg.fonttype": "path", "font.family": "DejaVu Sans", "font.size": 9}


def check_drawing() -> None:
    """See to it that figures can be drawn, before anything is counted.

    Raises:
        InputError: matplotlib isn't installed.
    """
    if not find_spec("matplotlib"):
        raise InputError(
            "Figures need matplotlib, which isn't installed.",
            'From the clone, run `pip install ".[eval]"`, or leave --figures out.',
        )


def curves(boards: Sequence[Scoreboard], figure: str, title: str) -> bytes:
    """An SVG of one figure over budgets, a line with its band per system; the first system's stands out.

    Args:
        boards: Systems that have the figure.
        figure: A field of `CaseScore`.
        title: What stands above.
    """
    check_drawing()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        sheet = Figure(figsize=(7.2, 4.2), layout="constrained")
        axes = sheet.subplots()
        for number, board in enumerate(boards):
            _line(axes, board, figure, number)
        budgets = all_budgets(boards)
        axes.set_xscale("log")
        axes.set_xticks(budgets, [_short(budget) for budget in budgets])
        axes.minorticks_off()
        axes.set(title=title, xlabel="budget, tokens", ylabel=f"{figure}, %", ylim=(0, 101))
        axes.grid(visible=True, linewidth=0.4, alpha=0.5)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False, fontsize=8)
        drawn = BytesIO()
        sheet.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def reliability(groups: Sequence[tuple[float, float, int]], title: str) -> bytes:
    """An SVG of what was found against what was estimated, beside the line on which the two are one.

    Args:
        groups: Of passages by their estimate: mean estimate and mean label, in [0, 1], and how many. The more passages,
            the larger the dot.
        title: What stands above.
    """
    check_drawing()
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        sheet = Figure(figsize=(4.4, 4.2), layout="constrained")
        axes = sheet.subplots()
        axes.plot([0, 100], [0, 100], color=_COLOURS[-1], linewidth=0.8, linestyle="--")
        sizes = [12 * math.log10(max(10, number)) for *_, number in groups]
        estimates, found = ([100 * group[at] for group in groups] for at in (0, 1))
        axes.plot(estimates, found, color=_COLOURS[0], linewidth=1.0)
        axes.scatter(estimates, found, s=sizes, color=_COLOURS[0], zorder=3)
        axes.set(title=title, xlabel="estimated, %", ylabel="found, %", xlim=(0, 100), ylim=(0, 100), aspect="equal")
        axes.grid(visible=True, linewidth=0.4, alpha=0.5)
        drawn = BytesIO()
        sheet.savefig(drawn, format="svg", metadata={"Date": None, "Creator": None})
    return drawn.getvalue()


def _line(axes: Any, board: Scoreboard, figure: str, number: int) -> None:
    colour = _COLOURS[number % len(_COLOURS)]
    means = [100 * (board.mean(budget, figure) or 0.0) for budget in board.budgets]
    bands = [board.interval(budget, figure) for budget in board.budgets]
    axes.fill_between(
        board.budgets,
        [100 * band.low for band in bands],
        [100 * band.high for band in bands],
        color=colour,
        alpha=0.18 if number == 0 else 0.07,
        linewidth=0,
    )
    axes.plot(
        board.budgets,
        means,
        color=colour,
        marker=_MARKERS[number % len(_MARKERS)],
        markersize=4,
        linestyle=_STROKES[number // len(_COLOURS) % len(_STROKES)],
        linewidth=2.4 if number == 0 else 1.2,
        label=name(board),
        zorder=3 if number == 0 else 2,
    )


def _short(tokens: int) -> str:
    return f"{tokens / 1000:g}k" if tokens >= 1000 else str(tokens)
