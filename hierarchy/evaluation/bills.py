"""What answers took: tokens, USD, seconds, watt-hours, and whether any went over its budget.

For predictions with a bill; whether they are right is judged in `answers`. All that was sent is counted, replies of
earlier runs at what they had cost: **a store makes no system cheaper**. Where a price or a model's energy isn't known,
there is no figure rather than one over the others.

Owns the arithmetic over bills. Watt-hours are `energy`'s estimate; tables are laid out in `report`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy.energy import bill_wh
from hierarchy.evaluation.predictions import Bill, Prediction
from hierarchy.evaluation.sets import EvaluationSet

__all__ = ["BillFigures", "Spread", "bill_figures"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """What a question takes, over all questions.

    Attributes:
        mean: What many questions cost, divided by their number.
        median: What half of them stay within.
    """

    mean: float
    median: float

    @classmethod
    def of(cls, values: Sequence[float | None]) -> Spread | None:
        """The spread of values; None if one isn't known, or there are none."""
        known = [value for value in values if value is not None]
        if not known or len(known) < len(values):
            return None
        return cls(mean=float(np.mean(known)), median=float(np.median(known)))


@dataclass(frozen=True, slots=True, kw_only=True)
class BillFigures:
    """What a system's answers took at one budget.

    Attributes:
        questions: Questions with a bill.
        tokens: Input and output over all calls.
        calls: Requests sent.
        cost_usd: None where a price isn't known.
        seconds: Of questions whose replies were all made for them; None if there is none.
        wh: Watt-hours a question, as an estimated range of the mean; None where a model isn't known.
        overruns: Bills above the budget; must be 0.
        partial: Answers that something went wrong with on the way.
        failed: Questions without an answer, because of an error.
    """

    questions: int
    tokens: Spread | None
    calls: Spread | None
    cost_usd: Spread | None
    seconds: Spread | None
    wh: tuple[float, float] | None
    overruns: int
    partial: int
    failed: int


def bill_figures(dataset: EvaluationSet, predictions: Iterable[Prediction]) -> Mapping[str, Mapping[int, BillFigures]]:
    """System → budget → figures, for systems with bills; budgets ascending.

    If a question was asked twice at one budget, the later line counts.
    """
    known = {case.id for case in dataset.cases}
    billed: dict[str, dict[int, dict[str, Prediction]]] = defaultdict(lambda: defaultdict(dict))
    for one in predictions:
        if one.id in known and (one.bill or one.error):
            billed[one.system][one.budget_tokens][one.id] = one
    return {
        system: {budget: _figures(budget, tuple(rows.values())) for budget, rows in sorted(budgets.items())}
        for system, budgets in billed.items()
    }


def _figures(budget_tokens: int, rows: Sequence[Prediction]) -> BillFigures:
    bills = [row.bill for row in rows if row.bill]
    return BillFigures(
        questions=len(bills),
        tokens=Spread.of([bill.usage.total_tokens for bill in bills]),
        calls=Spread.of([bill.usage.calls for bill in bills]),
        cost_usd=Spread.of([bill.usage.cost_usd for bill in bills]),
        seconds=Spread.of([bill.seconds for bill in bills if not bill.recalled.calls]),
        wh=_wh(bills),
        overruns=sum(bill.usage.total_tokens > budget_tokens for bill in bills),
        partial=sum(row.partial for row in rows),
        failed=sum(bool(row.error) for row in rows),
    )


def _wh(bills: Sequence[Bill]) -> tuple[float, float] | None:
    ranges = [bill_wh(bill.by_stage, bill.model, bill.summary_model or None) for bill in bills]
    known = [each for each in ranges if each is not None]
    if not known or len(known) < len(ranges):
        return None
    return float(np.mean([low for low, _ in known])), float(np.mean([high for _, high in known]))
