"""Figures of a whole set: means per budget, intervals, differences between systems.

Intervals are 95 %, from a bootstrap over *documents*, because questions about one document stand or fall together.
Two systems are compared on the same cases; where the interval of their difference holds 0, or where it is drawn over
too few documents, there is no winner. A case without a prediction counts as zero.

Owns the arithmetic over cases. A single case is judged in `metrics`; tables are laid out in `report`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import InputError
from hierarchy.evaluation.metrics import CaseScore, read_source, score_case
from hierarchy.evaluation.predictions import Prediction
from hierarchy.evaluation.sets import Case, EvaluationSet

__all__ = ["BudgetFigures", "Difference", "Interval", "Scoreboard", "bootstrap", "compare", "paired", "score"]

ROUNDS = 2000
"""Bootstrap rounds: the ends of an interval move by less than half a point from seed to seed."""

LEAST_DOCUMENTS = 6
"""With fewer there is no verdict: that one system is ahead in each of five happens by chance in 1 of 16 comparisons."""

_UNPREDICTED_TOKENS = 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A 95 % interval, as shares."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        """Whether `value` lies within it."""
        return self.low <= value <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How much better one system is than another on the same cases, as a share.

    Attributes:
        mean: Over cases.
        interval: Of the mean. Drawn over few documents it is narrower than what is not known: of one it is a point.
        documents: Over how many it was drawn.
    """

    mean: float
    interval: Interval
    documents: int

    @property
    def enough(self) -> bool:
        """Whether there are documents enough for a verdict."""
        return self.documents >= LEAST_DOCUMENTS

    @property
    def decided(self) -> bool:
        """Whether there is a winner: the interval leaves out 0 and has documents enough behind it."""
        return self.enough and 0.0 not in self.interval


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetFigures:
    """A system's figures at one budget; shares, not per cent.

    Attributes:
        budget_tokens: The budget.
        cases: How many cases are scored.
        missing: How many of them have no prediction.
        answerable: Mean over cases.
        interval: Of `answerable`.
        coverage: Mean over cases.
        groups: Mean over cases; None for PDFs.
        files: Mean over cases; None unless evidence is in files.
        used_tokens: Mean over predictions.
        over_budget: How many predictions had to be cut.
    """

    budget_tokens: int
    cases: int
    missing: int
    answerable: float
    interval: Interval
    coverage: float
    groups: float | None
    files: float | None
    used_tokens: float
    over_budget: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoreboard:
    """The scores of one system on one set.

    Attributes:
        system: Its name; empty if the predictions name none.
        cases: The cases with evidence, in the set's order.
        by_budget: Budget → case id → score, budgets ascending.
        abstained_unanswerable: Share of abstentions among cases without an answer; None if there were no such
            predictions, or none that say.
        abstained_answerable: The same among cases with one.
    """

    system: str
    cases: tuple[Case, ...]
    by_budget: Mapping[int, Mapping[str, CaseScore]]
    abstained_unanswerable: float | None = None
    abstained_answerable: float | None = None

    @property
    def budgets(self) -> tuple[int, ...]:
        """The budgets that were predicted at, ascending."""
        return tuple(self.by_budget)

    def values(self, budget_tokens: int, figure: str = "answerable") -> NDArray[np.float64]:
        """One figure of `CaseScore` for all cases in order, 0 where a prediction is missing."""
        rows = self.by_budget.get(budget_tokens, {})
        return np.array([getattr(rows[case.id], figure) if case.id in rows else 0.0 for case in self.cases])

    def figures(self, budget_tokens: int) -> BudgetFigures:
        """The system's figures at one budget that was predicted at."""
        rows = self.by_budget[budget_tokens]
        return BudgetFigures(
            budget_tokens=budget_tokens,
            cases=len(self.cases),
            missing=len(self.cases) - len(rows),
            answerable=float(self.values(budget_tokens).mean()),
            interval=self.interval(budget_tokens),
            coverage=float(self.values(budget_tokens, "coverage").mean()),
            groups=self.mean(budget_tokens, "groups"),
            files=self.mean(budget_tokens, "files"),
            used_tokens=float(np.mean([row.used_tokens for row in rows.values()])),
            over_budget=sum(row.over_budget for row in rows.values()),
        )

    @property
    def over_budget(self) -> int:
        """How many predictions had to be cut, over all budgets."""
        return sum(row.over_budget for rows in self.by_budget.values() for row in rows.values())

    def mean(self, budget_tokens: int, figure: str = "answerable") -> float | None:
        """The mean of one figure of `CaseScore` over all cases; None where the set has no such figure."""
        rows = self.by_budget[budget_tokens]
        if getattr(next(iter(rows.values())), figure) is None:
            return None
        return float(self.values(budget_tokens, figure).mean())

    def interval(self, budget_tokens: int, figure: str = "answerable") -> Interval:
        """The 95 % interval of that mean."""
        return bootstrap(self._documents(), self.values(budget_tokens, figure))

    def tokens_to_evidence(self, percentile: float = 50) -> int | None:
        """Tokens until the first group is covered, at the largest budget; None for PDFs and without predictions.

        A case that wasn't predicted counts as a million tokens, one whose evidence wasn't found as its whole document.
        """
        rows = self.by_budget[max(self.by_budget)] if self.by_budget else {}
        if not rows or next(iter(rows.values())).tokens_to_evidence is None:
            return None
        tokens = [rows[case.id].tokens_to_evidence if case.id in rows else _UNPREDICTED_TOKENS for case in self.cases]
        return int(np.percentile(np.array(tokens), percentile))

    def _documents(self) -> tuple[str, ...]:
        return tuple(case.doc_id for case in self.cases)


def score(dataset: EvaluationSet, predictions: Iterable[Prediction]) -> tuple[Scoreboard, ...]:
    """Score predictions, of one system or several, on a set or the split of it that was loaded.

    Predictions for cases that the set doesn't hold, or that have no evidence, are left out. If a case was predicted
    twice at one budget, the later line counts. Each document is read once.

    Returns:
        One scoreboard per system, in the order in which they first appear.

    Raises:
        InputError: A span lies outside its document, or nothing was predicted for this set.
    """
    latest = {prediction.key: prediction for prediction in predictions}
    known = {case.id for case in dataset.cases}
    kept = [prediction for prediction in latest.values() if prediction.id in known]
    if not kept:
        raise InputError(
            f"None of {len(latest):,} predictions is for a case of {dataset.name}.",
            "Was another set predicted, or another split?",
        )
    systems = tuple(dict.fromkeys(prediction.system for prediction in kept))
    scores = _scores(dataset, kept)
    return tuple(_scoreboard(dataset, system, kept, scores[system]) for system in systems)


def bootstrap(documents: Sequence[str], values: NDArray[np.float64], rounds: int = ROUNDS) -> Interval:
    """A 95 % interval of the mean of `values`, documents drawn with replacement.

    The draws are seeded: equal values give equal intervals, on any machine.

    Args:
        documents: The document that each value is of.
        values: One per case.
        rounds: How often to draw.
    """
    names, of_value = np.unique(np.array(documents), return_inverse=True)
    sums = np.bincount(of_value, weights=values, minlength=len(names))
    sizes = np.bincount(of_value, minlength=len(names))
    drawn = np.random.default_rng(0).integers(0, len(names), (rounds, len(names)))
    low, high = np.percentile(sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1), [2.5, 97.5])
    return Interval(low=float(low), high=float(high))


def paired(
    documents: Sequence[str], values: NDArray[np.float64], base: NDArray[np.float64], rounds: int = ROUNDS
) -> Difference:
    """The mean difference of two systems on the same cases, with its interval."""
    difference = values - base
    return Difference(
        mean=float(difference.mean()),
        interval=bootstrap(documents, difference, rounds),
        documents=len(set(documents)),
    )


def compare(board: Scoreboard, base: Scoreboard, figure: str = "answerable") -> Mapping[int, Difference]:
    """How much better a system is than another, at each budget that both were predicted at.

    Raises:
        InputError: The two were scored on different cases.
    """
    if board.cases != base.cases:
        raise InputError("The two systems were scored on different cases.", "Score both on the same set and split.")
    documents = [case.doc_id for case in board.cases]
    return {
        budget: paired(documents, board.values(budget, figure), base.values(budget, figure))
        for budget in board.budgets
        if budget in base.by_budget
    }


_Scores = dict[str, dict[int, dict[str, CaseScore]]]


def _scores(dataset: EvaluationSet, predictions: Sequence[Prediction]) -> _Scores:
    """System → budget → case id → score, in the order of the predictions."""
    cases = {case.id: case for case in dataset.scored}
    by_document: dict[str, list[Prediction]] = defaultdict(list)
    for prediction in predictions:
        if prediction.id in cases:
            by_document[cases[prediction.id].doc_id].append(prediction)
    scores: _Scores = defaultdict(lambda: defaultdict(dict))
    for doc_id, group in by_document.items():
        source = read_source(dataset.folder, doc_id, [cases[prediction.id] for prediction in group])
        for prediction in group:
            result = score_case(cases[prediction.id], prediction.spans, prediction.budget_tokens, source)
            scores[prediction.system][prediction.budget_tokens][prediction.id] = result
    return scores


def _scoreboard(
    dataset: EvaluationSet,
    system: str,
    predictions: Sequence[Prediction],
    scores: Mapping[int, Mapping[str, CaseScore]],
) -> Scoreboard:
    said = {p.id: p.abstain for p in predictions if p.system == system and p.abstain is not None}
    answerless = {case.id for case in dataset.cases if case.answer is None}
    return Scoreboard(
        system=system,
        cases=dataset.scored,
        by_budget=dict(sorted(scores.items())),
        abstained_unanswerable=_mean([value for id_, value in said.items() if id_ in answerless]),
        abstained_answerable=_mean([value for id_, value in said.items() if id_ not in answerless]),
    )


def _mean(values: Sequence[bool]) -> float | None:
    return float(np.mean(values)) if values else None
