"""What weights find on questions that they did not learn from: fold by fold, and on sets left out altogether.

Cross-validation says how good weights are on more of the same; leaving a whole set out says how good they are on
documents of a kind that they never saw, beside the fixed formula, which learned nothing. Sets that share groups (an
article by itself and in a folder) are left out together.

Doesn't grow trees (`fit`) and doesn't judge spans (`metrics`, `figures`): it brings both together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hierarchy import allocator, planner, relevance
from hierarchy.document import Document
from hierarchy.evaluation.figures import Scoreboard, bootstrap, score
from hierarchy.evaluation.fit import ROUNDS, Fitted, Progress, fit_examples
from hierarchy.evaluation.fitting import Material
from hierarchy.evaluation.labels import Example
from hierarchy.evaluation.ours import by_formula
from hierarchy.evaluation.predictions import Prediction
from hierarchy.evaluation.replies import ask_wrongly, mismatched, routed_forms
from hierarchy.evaluation.report import Row
from hierarchy.evaluation.sets import Case, EvaluationSet, load_document
from hierarchy.evaluation.trees import stretches_of
from hierarchy.relevance import Forest, Lexicon, Relevance, Routing
from hierarchy.stopping import enough_tokens
from hierarchy.tree import SummaryTree

__all__ = [
    "RELIABILITY_HEADER",
    "Trials",
    "ablation_rows",
    "answerable_rows",
    "cross_validated",
    "families",
    "grown_apart",
    "reliability_rows",
    "stopping_rows",
]

RELIABILITY_HEADER: Row = ("estimated %", "found %", "passages")
"""What the cells of `reliability_rows` are."""

_CROSS, _APART, _FORMULA = "cross-validated", "grown without it", "fixed formula"
_SAME = "cross-validated, those with replies"
_UNTIL = "cross-validated, until "
_WITHOUT, _APART_WITHOUT = "cross-validated, without ", "grown without it and without "
_ROUTED = {
    "full": "cross-validated, routed in the full form",
    "lean": "cross-validated, routed in the lean form",
    "wrong": "cross-validated, routed by replies to other questions",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """What is tried out beside what the library does by default.

    Attributes:
        lexicons: All that are to be used; those that come with the library if None.
        confident: Chances at which reading stops, as `Budget.stop_when_confident`, each to be scored beside.
        keep: Called with each prediction, by the set's name.
        without: Weights fitted without some features, to be scored beside, by what they do without.
        outlined: Makes a document's tree.
    """

    lexicons: Sequence[Lexicon] | None = None
    confident: tuple[float, ...] = ()
    keep: Callable[[str, Prediction], None] | None = None
    without: Mapping[str, Fitted] = field(default_factory=dict)
    outlined: Callable[[Document], SummaryTree] = planner.outline


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimate:
    """An estimate by one kind of weights, what it took in tokens, and at which chance reading stops."""

    weights: str
    relevance: Relevance
    tokens: int = 0
    confidence: float | None = None


Estimates = Callable[[SummaryTree, Case], Iterator[_Estimate]]


def cross_validated(
    dataset: EvaluationSet,
    fitted: Fitted,
    budgets: Sequence[int],
    *,
    apart: Mapping[str, Forest] | None = None,
    progress: Progress | None = None,
    replies: Mapping[str, Routing] | None = None,
    trials: Trials | None = None,
) -> tuple[Scoreboard, ...]:
    """Score what is read when each question is estimated by the forest of the fold that didn't see it.

    Args:
        dataset: A set that was fitted on.
        fitted: What came of it.
        budgets: In tokens.
        apart: Weights grown without the set, to be scored beside, by what features they do without; empty for none,
            and the fixed formula beside those.
        progress: Called with what is done, how much there is, and what it is about.
        replies: Recorded replies to the routing call by case. Cases with one are scored routed as well, the call
            charged, and once more as they are if other cases have none; some also routed by the reply to another.
        trials: What is tried out besides.

    Returns:
        A scoreboard per kind of weights; the questions are those with evidence.
    """
    replies, trials, apart = replies or {}, trials or Trials(), apart or {}
    wrong = mismatched(replies)

    def estimates(tree: SummaryTree, case: Case) -> Iterator[_Estimate]:
        unseen = fitted.folds[fitted.fold[dataset.name, case.id]]
        as_it_is = relevance.estimate(tree, case.question, forest=unseen, lexicons=trials.lexicons)
        yield _Estimate(weights=_CROSS, relevance=as_it_is)
        for name, other in trials.without.items():
            poorer = other.folds[other.fold[dataset.name, case.id]]
            estimate = relevance.estimate(tree, case.question, forest=poorer, lexicons=trials.lexicons)
            yield _Estimate(weights=_WITHOUT + name, relevance=estimate)
        for confidence in trials.confident:
            yield _Estimate(weights=_until(confidence), relevance=as_it_is, confidence=confidence)
        if case.id in replies:
            yield _Estimate(weights=_SAME, relevance=as_it_is)
            index = relevance.tree_index(tree)
            ways = [*routed_forms(tree, index, case.question, replies[case.id])]
            if case.id in wrong:
                ways.append(ask_wrongly(tree, index, case.question, wrong[case.id]))
            for asked in ways:
                routed = relevance.estimate(tree, asked.question, forest=unseen, lexicons=trials.lexicons)
                yield _Estimate(weights=_ROUTED[asked.form], relevance=routed, tokens=asked.tokens)
        for name, forest in apart.items():
            learned = relevance.estimate(tree, case.question, forest=forest)
            yield _Estimate(weights=_APART_WITHOUT + name if name else _APART, relevance=learned)
            if not name:
                yield _Estimate(weights=_FORMULA, relevance=by_formula(tree, case.question, learned))

    found = list(_predicted(dataset, estimates, budgets, progress, trials.outlined))
    if trials.keep:
        for one in found:
            trials.keep(dataset.name, one)
    in_part = {_SAME, *_ROUTED.values()}
    return (*score(dataset, [one for one in found if one.system not in in_part]), *_routed_boards(dataset, found))


def _routed_boards(dataset: EvaluationSet, found: Sequence[Prediction]) -> Iterator[Scoreboard]:
    """How routed forms do, each over the questions asked so; and the same as they are, where those aren't all."""
    for name in (_SAME, *_ROUTED.values()):
        mine = [one for one in found if one.system == name]
        asked_so = {one.id for one in mine}
        if mine and not (name == _SAME and len(asked_so) == len(dataset.scored)):
            cases = tuple(case for case in dataset.scored if case.id in asked_so)
            yield from score(replace(dataset, cases=cases), mine)


def stopping_rows(boards: Mapping[str, Sequence[Scoreboard]]) -> tuple[Row, ...]:
    """A header of budgets, then per set and chance what stopping saves of the tokens read, and loses of the evidence.

    A cell holds tokens saved in per cent, and by how many points fewer questions are answerable.
    """
    budgets = sorted({budget for some in boards.values() for board in some for budget in board.budgets})
    rows = []
    for name, some in boards.items():
        base = next((board for board in some if board.system == _CROSS), None)
        for board in some if base else ():
            assert base is not None
            if board.system.startswith(_UNTIL):
                cells = (_saved_and_lost(board, base, budget) for budget in budgets)
                rows.append((name, board.system.removeprefix(_UNTIL), *cells))
    return (("tokens saved, points lost", "until", *(f"{budget:,}" for budget in budgets)), *rows)


def _saved_and_lost(board: Scoreboard, base: Scoreboard, budget: int) -> str:
    saved = 1 - board.figures(budget).used_tokens / max(1.0, base.figures(budget).used_tokens)
    lost = (base.mean(budget) or 0.0) - (board.mean(budget) or 0.0)
    return f"{100 * saved:.0f} %, {100 * lost:.1f}"


def ablation_rows(boards: Mapping[str, Sequence[Scoreboard]]) -> tuple[Row, ...]:
    """A header of sets, then per group of features by how many points fewer questions are answerable without it.

    A cell holds the mean over budgets, and the paired 95 % interval over documents. Weights that were grown without the
    set are compared among themselves, in a row of their own: what steadies them.
    """
    rows = []
    for base, poorer, told in ((_CROSS, _WITHOUT, ""), (_APART, _APART_WITHOUT, ", never learned from")):
        names = dict.fromkeys(board.system for some in boards.values() for board in some if poorer in board.system)
        for name in names:
            found = ({board.system: board for board in some} for some in boards.values())
            cells = (_mean_gain(some[base], some[name]) for some in found)
            rows.append((name.removeprefix(poorer) + told, *cells))
    return (("what it earns, points", *boards), *rows)


def _mean_gain(board: Scoreboard, poorer: Scoreboard) -> str:
    """By how many points a board is ahead of a poorer one over all budgets, with the 95 % interval."""
    gains = np.mean([board.values(budget) - poorer.values(budget) for budget in board.budgets], axis=0)
    interval = bootstrap(tuple(case.doc_id for case in board.cases), gains)
    return f"{100 * gains.mean():+.1f} [{100 * interval.low:+.1f}, {100 * interval.high:+.1f}]"


def _until(confidence: float) -> str:
    return f"{_UNTIL}{confidence:.2g}"


def families(given: Sequence[Example]) -> tuple[frozenset[str], ...]:
    """The names of sets that share groups, directly or by way of others; in order of their first question."""
    found: list[tuple[set[str], set[str]]] = []
    groups: dict[str, set[str]] = {}
    for example in given:
        groups.setdefault(example.source, set()).update((example.group, *example.others))
    for source, own in groups.items():
        names, joined = {source}, set(own)
        for other in [one for one in found if one[1] & own]:
            found.remove(other)
            names |= other[0]
            joined |= other[1]
        found.append((names, joined))
    order = list(groups)
    return tuple(sorted((frozenset(names) for names, _ in found), key=lambda names: min(map(order.index, names))))


def grown_apart(
    given: Sequence[Example],
    *,
    folds: int,
    seed: int,
    rounds: int = ROUNDS,
    progress: Progress | None = None,
    semantic: bool = False,
    without: Collection[str] = (),
) -> Mapping[str, Forest]:
    """For each set weights that saw neither it nor any that shares groups with it, calibrated out of fold as all are.

    They do without some features, if asked.

    Raises:
        InputError: Nothing is left to learn from, or too little to calibrate on.
    """
    forests: dict[str, Forest] = {}
    for family in families(given):
        rest = [example for example in given if example.source not in family]
        settings: dict[str, Any] = {"folds": folds, "seed": seed, "rounds": rounds}
        forest = fit_examples(rest, **settings, progress=progress, semantic=semantic, without=without).forest
        forests |= dict.fromkeys(family, forest)
    return forests


def answerable_rows(boards: Mapping[str, Sequence[Scoreboard]]) -> tuple[Row, ...]:
    """A header of budgets, then the share of answerable questions per set and kind of weights, in per cent."""
    budgets = sorted({budget for some in boards.values() for board in some for budget in board.budgets})
    header = ("answerable %", "questions", "weights", *(f"{budget:,}" for budget in budgets))
    rows = [
        (name, f"{len(board.cases):,}", board.system, *(f"{100 * (board.mean(b) or 0.0):.1f}" for b in budgets))
        for name, some in boards.items()
        for board in some
    ]
    return (header, *rows)


def reliability_rows(fitted: Fitted) -> tuple[Row, ...]:
    """Groups of passages by estimated probability: what was estimated out of fold, and what was found."""
    return tuple(
        (f"{100 * estimate:.1f}", f"{100 * label:.1f}", f"{number:,}") for estimate, label, number in fitted.reliability
    )


def _predicted(
    dataset: EvaluationSet,
    estimates: Estimates,
    budgets: Sequence[int],
    progress: Progress | None,
    outlined: Callable[[Document], SummaryTree],
) -> Iterator[Prediction]:
    done, total = 0, len(dataset.scored)
    for doc_id, cases in dataset.by_document():
        scored = [case for case in cases if case.evidence]
        if not scored:
            continue
        document = load_document(dataset.folder, doc_id)
        tree, material = outlined(document), Material.of(document)
        for case in scored:
            if progress:
                progress(done, total, f"reading {dataset.name}")
            done += 1
            for estimate in estimates(tree, case):
                for budget in budgets:
                    left = max(0, budget - estimate.tokens)
                    if estimate.confidence is not None and left:
                        policy, sure = allocator.expected_gain, estimate.confidence
                        left = enough_tokens(tree, estimate.relevance, policy, left, confidence=sure)
                    runs = allocator.reading_order(tree, estimate.relevance, left)
                    read = (stretch for run in runs for stretch in stretches_of(tree, np.arange(*run)))
                    spans = material.fit(read, left)
                    yield Prediction(id=case.id, budget_tokens=budget, spans=spans, system=estimate.weights)
