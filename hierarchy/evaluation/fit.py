"""Fitting relevance: boosted trees over the features of passages, grown on questions with known evidence.

Trees are grown by LightGBM (extra `[fit]`) and kept as plain arrays; using them needs numpy alone. Questions are split
into folds so that what belongs together (a document, a company's filings, an article wherever it stands) is never on
both sides; out-of-fold estimates calibrate the probabilities, and say honestly how good they are.

Same data, seed and versions give the same weights.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.errors import InputError, Unavailable
from hierarchy.evaluation.labels import Example, examples
from hierarchy.evaluation.sets import EvaluationSet
from hierarchy.planner import outline
from hierarchy.relevance import Lexicon, Routing
from hierarchy.relevance.features import FEATURES, SEMANTIC, columns_of
from hierarchy.relevance.forest import MAX_LEAVES, Forest
from hierarchy.tree import SummaryTree

__all__ = ["Fitted", "Replies", "described", "fit", "fit_examples", "fold_of", "grown", "joined"]

Floats = NDArray[np.float64]
Progress = Callable[[int, int, str], None]
Replies = Mapping[str, Mapping[str, Routing]]

ROUNDS, LEARNING_RATE, TREE_LEAVES = 660, 0.02, 24
_SETTINGS: Mapping[str, Any] = {
    "objective": "cross_entropy",
    "learning_rate": LEARNING_RATE,
    "num_leaves": TREE_LEAVES,
    "min_data_in_leaf": 100,
    "min_sum_hessian_in_leaf": 1.0,
    "feature_fraction": 0.35,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 127,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
# Passages without evidence outnumber the others a hundred to one: so many per question are enough, weighted up.
_NEGATIVES = 90
# A set counts by this power of its questions: a large one more, but not by as much as it is larger.
_POWER = 0.25
_BINS = 400
assert TREE_LEAVES <= MAX_LEAVES


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What came of fitting.

    Attributes:
        forest: Grown on everything, calibrated out of fold.
        folds: For each fold the forest grown without it, calibrated alike.
        fold: The fold of each case, by the set's name and the case's id.
        reliability: Of ten groups of passages by estimated probability: mean estimate, mean label, how many; out of
            fold.
    """

    forest: Forest
    folds: tuple[Forest, ...]
    fold: Mapping[tuple[str, str], int]
    reliability: tuple[tuple[float, float, int], ...]


def fit(
    datasets: Sequence[EvaluationSet],
    *,
    folds: int = 5,
    seed: int = 1,
    rounds: int = ROUNDS,
    command: str = "",
    progress: Progress | None = None,
    replies: Replies | None = None,
    semantic: bool = False,
) -> Fitted:
    """Fit relevance to sets of questions with evidence.

    Args:
        datasets: The sets, together; sets with fewer questions count more per question.
        folds: Into how many the questions are split for calibration.
        seed: Of sampling and growing.
        rounds: How many trees to grow.
        command: What was typed, to stand in the weights.
        progress: Called with what is done, how much there is, and what it is about.
        replies: Recorded replies to the routing call, by the set's name and the case's id. Questions with one are
            learned from as they are and routed.
        semantic: Whether passages are judged by their meaning, too.

    Raises:
        InputError: No question has evidence, or all questions belong together.
        Unavailable: LightGBM isn't installed, or the model that tells meanings.
    """
    given = tuple(described(datasets, progress, replies, semantic=semantic))
    settings: dict[str, Any] = {"folds": folds, "seed": seed, "rounds": rounds}
    return fit_examples(given, **settings, command=command, progress=progress, semantic=semantic)


def fit_examples(
    given: Sequence[Example],
    *,
    folds: int = 5,
    seed: int = 1,
    rounds: int = ROUNDS,
    command: str = "",
    progress: Progress | None = None,
    without: Collection[str] = (),
    semantic: bool = False,
) -> Fitted:
    """Fit relevance to questions that are described already, without some features; otherwise as `fit`.

    By their meaning they are judged only if `semantic`; they must be described by it then.
    """
    without = {*without, *(() if semantic else SEMANTIC)}
    if not given:
        raise InputError("No question of these sets has evidence to learn from.", "Give sets with evidence.")
    groups = joined(given)
    fold = np.array([fold_of(groups[example.group], folds) for example in given])
    if len(set(fold.tolist())) < 2:
        raise InputError(
            f"All {len(given):,} questions fall into one fold: none is left to learn from while they are judged.",
            "Give sets of more documents, or more folds.",
        )
    kinds = [kind for kind in (_as_they_are(given), _routed(given)) if len(set(fold[kind].tolist())) > 1]
    progress = progress or (lambda _done, _total, _what: None)
    found = []
    for number, kind in enumerate(kinds):
        step = partial(_step, progress, number * (folds + 1), len(kinds) * (folds + 1))
        some = [given[at] for at in kind]
        grow = partial(grown, seed=seed, rounds=rounds, without=without)
        found.append(_in_folds(some, fold[kind], folds, grow, step))
    origin = _origin(given, command, seed, rounds, semantic=semantic)
    together = [_together(forests, origin) for forests in zip(*(one.forests for one in found), strict=True)]
    return Fitted(
        forest=together[-1],
        folds=tuple(together[:-1]),
        fold={(e.source, e.case.id): int(f) for e, f in zip(given, fold, strict=True)},
        reliability=_reliability(
            np.concatenate([one.probability for one in found]), np.concatenate([one.label for one in found])
        ),
    )


def _as_they_are(given: Sequence[Example]) -> list[int]:
    """The questions that weren't routed."""
    return [at for at, example in enumerate(given) if not example.form]


def _routed(given: Sequence[Example]) -> list[int]:
    """The routed questions, and as they are those without a reply, so that no kind of document is unknown."""
    replied = {(example.source, example.case.id) for example in given if example.form}
    return [
        at
        for at, example in enumerate(given)
        if example.form or (replied and (example.source, example.case.id) not in replied)
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Forests of one kind of questions.

    Attributes:
        forests: Those of the folds, and behind them that of all questions; all with one calibration.
        probability: Of each passage by the forest that didn't see it.
        label: What each was worth.
    """

    forests: tuple[Forest, ...]
    probability: Floats
    label: Floats


def _in_folds(
    given: Sequence[Example],
    fold: NDArray[np.int64],
    folds: int,
    grow: Callable[[Sequence[Example]], Forest],
    step: Callable[[int], None],
) -> _Found:
    """Grow a forest without each fold and one of everything."""
    parts = []
    sums: list[Floats] = [np.zeros(0)] * len(given)
    for number in range(folds):
        step(number)
        parts.append(grow([e for e, f in zip(given, fold, strict=True) if f != number]))
        for at in np.flatnonzero(fold == number).tolist():
            sums[at] = parts[-1].sums(given[at].rows[:, columns_of(parts[-1].features)])
    calibration = _calibration(given, sums)
    step(folds)
    return _Found(
        forests=tuple(replace(forest, calibration=calibration) for forest in (*parts, grow(given))),
        probability=np.interp(np.concatenate(sums), *calibration),
        label=np.concatenate([example.labels for example in given]),
    )


def _together(forests: Sequence[Forest], origin: Mapping[str, Any]) -> Forest:
    """The forest for questions as they are, with the one for routed questions if there is one."""
    first, *others = (replace(forest, origin=origin) for forest in forests)
    return replace(first, routed=others[0] if others else None)


def _step(progress: Progress, done: int, total: int, more: int) -> None:
    progress(done + more, total, "growing trees")


def _origin(given: Sequence[Example], command: str, seed: int, rounds: int, *, semantic: bool) -> Mapping[str, Any]:
    """What made the weights."""
    return {
        "command": command,
        "data": _digest(given, columns_of([name for name in FEATURES if semantic or name not in SEMANTIC])),
        "questions": dict(sorted(Counter(example.source for example in given if not example.form).items())),
        "routed": dict(sorted(Counter(example.source for example in given if example.form).items())),
        "seed": seed,
        "rounds": rounds,
        "lightgbm": version("lightgbm"),
        "numpy": np.__version__,
    }


def fold_of(group: str, folds: int) -> int:
    """The fold of a group: by its name, so that it doesn't change when others come or go.

    Example:
        >>> fold_of("ACME", 5) == fold_of("ACME", 5) < 5
        True
    """
    return int.from_bytes(hashlib.blake2b(group.encode(), digest_size=8).digest(), "big") % folds


def joined(given: Sequence[Example]) -> Mapping[str, str]:
    """For each group the name of what it belongs to: groups that one question touches are one, by the first name.

    Example:
        >>> from types import SimpleNamespace as Stub
        >>> joined([Stub(group="b", others=("a",)), Stub(group="c", others=()), Stub(group="d", others=("b",))])
        {'b': 'a', 'a': 'a', 'c': 'c', 'd': 'a'}
    """
    name: dict[str, str] = {}
    for example in given:
        touched = {name.setdefault(group, group) for group in (example.group, *example.others)}
        if len(touched) > 1:
            name = {group: min(touched) if owner in touched else owner for group, owner in name.items()}
    return name


def described(
    datasets: Sequence[EvaluationSet],
    progress: Progress | None = None,
    replies: Replies | None = None,
    *,
    lexicons: Sequence[Lexicon] | None = None,
    semantic: bool = False,
    outlined: Callable[[Document], SummaryTree] = outline,
) -> Iterator[Example]:
    """The described questions of several sets, in order; see `examples`."""
    total = sum(len(dataset.cases) for dataset in datasets)
    done = 0
    for dataset in datasets:
        recorded = (replies or {}).get(dataset.name)
        for example in examples(dataset, recorded, lexicons=lexicons, semantic=semantic, outlined=outlined):
            if progress:
                progress(done, total, f"describing {dataset.name}")
            done += not example.form
            yield example


# -- growing -----------------------------------------------------------------------------------------------------------


def grown(given: Sequence[Example], *, seed: int, rounds: int = ROUNDS, without: Collection[str] = SEMANTIC) -> Forest:
    """Grow a forest on examples, without some features. Its calibration is the logistic function, as the objective is.

    Raises:
        Unavailable: LightGBM isn't installed.
    """
    try:
        import lightgbm
    except ImportError as error:
        raise Unavailable("Fitting needs LightGBM.", 'From the clone: pip install ".[fit]".') from error
    rows, labels, weights = _sampled(given, seed)
    names = [name for name in FEATURES if name not in without]
    data = lightgbm.Dataset(rows[:, columns_of(names)], labels, weight=weights, feature_name=names)
    booster = lightgbm.train({**_SETTINGS, "seed": seed, "num_threads": 1}, data, rounds)
    return replace(_as_arrays(booster.dump_model()), known=_known(given))


def _sampled(given: Sequence[Example], seed: int) -> tuple[NDArray[np.float32], Floats, Floats]:
    """All passages with evidence and some without, each once.

    A short text is the same passage at several grains; learned from at each of them it would count as often.
    """
    chance = np.random.default_rng(seed)
    weight_of = _weights(given)
    rows, labels, weights = [], [], []
    for example in given:
        once = np.sort(np.unique(example.nodes, return_index=True)[1])
        good, bad = once[example.labels[once] > 0], once[example.labels[once] <= 0]
        some = np.sort(chance.choice(bad, min(_NEGATIVES, len(bad)), replace=False))
        weight = weight_of[example.source]
        rows += [example.rows[good], example.rows[some]]
        labels += [example.labels[good], example.labels[some]]
        weights += [np.full(len(good), weight), np.full(len(some), weight * len(bad) / max(1, len(some)))]
    weighed = np.concatenate(weights)
    return np.concatenate(rows), np.concatenate(labels), weighed / weighed.mean()


def _weights(given: Sequence[Example]) -> Mapping[str, float]:
    """What a question of a set counts each time it is given: together they count by a power of how many they are."""
    times = Counter(example.source for example in given)
    questions = Counter(source for source, _ in {(example.source, example.case.id) for example in given})
    return {source: questions[source] ** _POWER / number for source, number in times.items()}


def _as_arrays(model: Mapping[str, Any]) -> Forest:
    splits: list[tuple[int, float, int, int]] = []
    values = np.zeros((len(model["tree_info"]), MAX_LEAVES))
    for number, tree in enumerate(model["tree_info"]):
        _walk(tree["tree_structure"], number, 0, values, splits)
    columns = list(zip(*splits, strict=True)) if splits else [(), (), (), ()]
    sums = np.linspace(-14.0, 6.0, 401)
    return Forest(
        features=tuple(model["feature_names"]),
        split_feature=np.array(columns[0], dtype=np.int64),
        split_threshold=np.array(columns[1], dtype=np.float64),
        split_tree=np.array(columns[2], dtype=np.int64),
        split_keeps=np.array(columns[3], dtype=np.uint32),
        leaf_values=values,
        known=np.zeros((0, 0)),
        calibration=np.stack([sums, 1 / (1 + np.exp(-sums))]),
        origin={},
    )


def _walk(
    node: Mapping[str, Any], tree: int, first: int, values: Floats, splits: list[tuple[int, float, int, int]]
) -> int:
    """Number the leaves below a node from `first`, left to right; returns the first number behind them."""
    if "leaf_value" in node:
        values[tree, first] = node["leaf_value"]
        return first + 1
    middle = _walk(node["left_child"], tree, first, values, splits)
    left = ((1 << middle) - 1) ^ ((1 << first) - 1)
    splits.append((node["split_feature"], node["threshold"], tree, 0xFFFFFFFF ^ left))
    return _walk(node["right_child"], tree, middle, values, splits)


# -- calibration -------------------------------------------------------------------------------------------------------


def _calibration(given: Sequence[Example], sums: Sequence[Floats]) -> Floats:
    """Isotonic calibration of out-of-fold sums.

    Source: Zadrozny and Elkan, "Transforming classifier scores into accurate multiclass probability estimates", 2002.
    """
    weight_of = _weights(given)
    score = np.concatenate(sums)
    label = np.concatenate([example.labels for example in given])
    weight = np.concatenate([np.full(len(example.labels), weight_of[example.source]) for example in given])
    order = np.argsort(score, kind="stable")
    # Few passages are good: bins hold equal parts of passages and of labels together, so that the top is fine.
    progress = np.cumsum(weight[order]) / weight.sum() + np.cumsum((weight * label)[order]) / (weight * label).sum()
    bins = np.minimum((progress / 2 * _BINS).astype(int), _BINS - 1)
    held = [order[bins == number] for number in range(_BINS) if (bins == number).any()]
    middles = np.array([np.average(score[at], weights=weight[at]) for at in held])
    means = np.array([np.average(label[at], weights=weight[at]) for at in held])
    masses = np.array([weight[at].sum() for at in held])
    middles = np.maximum.accumulate(middles)  # means of equal scores may differ in their last digit
    return np.stack([middles, np.clip(_isotonic(means, masses), 1e-6, 1 - 1e-6)])


def _isotonic(values: Floats, weights: Floats) -> Floats:
    """The closest ascending values: neighbours that descend are pooled."""
    pools: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        pools.append([value, weight, 1])
        while len(pools) > 1 and pools[-2][0] >= pools[-1][0]:
            right, left = pools.pop(), pools.pop()
            mass = left[1] + right[1]
            pools.append([(left[0] * left[1] + right[0] * right[1]) / mass, mass, left[2] + right[2]])
    return np.concatenate([np.full(int(count), value) for value, _, count in pools])


def _reliability(probability: Floats, label: Floats) -> tuple[tuple[float, float, int], ...]:
    edges = np.linspace(0, 1, 11)
    group = np.clip(np.digitize(probability, edges) - 1, 0, 9)
    return tuple(
        (float(probability[group == g].mean()), float(label[group == g].mean()), int((group == g).sum()))
        for g in range(10)
        if (group == g).any()
    )


def _digest(given: Sequence[Example], columns: Sequence[int]) -> str:
    """Content hash of what was learned from: questions, labels and some columns of the rows."""
    digest = hashlib.blake2b(digest_size=8)
    for example in given:
        digest.update(f"{example.source}/{example.case.id}{example.form and '/'}{example.form}".encode())
        digest.update(np.ascontiguousarray(example.rows[:, columns]).tobytes())
        digest.update(np.ascontiguousarray(example.labels).tobytes())
    return digest.hexdigest()


def _known(given: Sequence[Example]) -> Floats:
    """What each document is like, once each."""
    columns = [at for at, name in enumerate(FEATURES) if name.startswith("d_")]
    documents = {(example.source, example.case.doc_id): example.rows[0, columns] for example in given}
    return np.stack(list(documents.values())).astype(np.float64)
