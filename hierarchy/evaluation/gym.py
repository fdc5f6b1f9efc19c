"""The allocation gym: policies on made-up trees where it is known what every reading is worth.

On small trees every reading there is gets tried, so that a policy's regret against the exact optimum can be told; on
large ones policies are held against each other, paired by tree. All are charged alike: what they grant is read in their
order of preference, at what its leaves count and a label per stretch, until something doesn't fit.

Trees and estimates are in `gym_trees`, policies to compare with in `gym_policies`, stopping in `gym_stopping`.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hierarchy.allocator import LABEL_TOKENS, Allocation, Policy
from hierarchy.evaluation.figures import Difference, paired
from hierarchy.evaluation.gym_policies import DEFAULT, EXACTING, GUARDED, POLICIES
from hierarchy.evaluation.gym_trees import ESTIMATES, FORMS, Floats, Task, draw_task, grow
from hierarchy.evaluation.report import Row
from hierarchy.tree import SummaryTree

__all__ = [
    "LARGE_BUDGETS",
    "SMALL_BUDGETS",
    "Field",
    "Reading",
    "Regrets",
    "Table",
    "all_readings",
    "field_tables",
    "optimum",
    "read_along",
    "regret_tables",
    "run_large",
    "run_small",
]

Progress = Callable[[int, int, str], None]
Bools = NDArray[np.bool_]

SMALL_LEAVES = 14
SMALL_BUDGETS = (0.15, 0.25, 0.4, 0.6, 0.8)
"""Budgets on small trees, as shares of what reading everything costs."""

LARGE_BUDGETS = (250, 500, 1_000, 2_000, 4_000)
"""Budgets on large trees, in tokens."""

# Scores of places that hold something lie this far above the others', in deviations: among a dozen places less tells
# them apart than among thousands.
SMALL_SIGNAL, LARGE_SIGNAL = 1.5, 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Figures to be shown.

    Attributes:
        title: What they are, in a sentence.
        header: What the columns are.
        rows: Cells as text.
    """

    title: str
    header: Row
    rows: tuple[Row, ...]


# -- reading -----------------------------------------------------------------------------------------------------------


def read_along(tree: SummaryTree, allocation: Allocation, tokens: int, label_tokens: int = LABEL_TOKENS) -> Bools:
    """Which leaves are read if grants are followed until something doesn't fit; of the last its best leaves first.

    **What is read costs at most `tokens`: its leaves, and a label for each stretch of them within a file.**
    """
    reading = Reading(tree, label_tokens)
    for grant in allocation.grants:
        price = reading.price(grant.leaves)
        if price > tokens - reading.spent:
            for leaf in (leaf for low, high in grant.leaves for leaf in range(low, high)):
                if reading.price(((leaf, leaf + 1),)) > tokens - reading.spent:
                    break
                reading.take(((leaf, leaf + 1),))
            break
        reading.take(grant.leaves)
    return reading.read


class Reading:
    """What was read so far, and what it cost."""

    def __init__(self, tree: SummaryTree, label_tokens: int) -> None:
        self.edges, self.file, self.label_tokens = tree.leaf_edges, tree.leaves.file, label_tokens
        self.read: Bools = np.zeros(len(tree.leaves), dtype=np.bool_)
        self.spent = 0

    def price(self, runs: Iterable[tuple[int, int]]) -> int:
        """What runs of leaves that weren't read would add, if they lie apart."""
        return sum(self._price(low, high) for low, high in runs)

    def take(self, runs: Iterable[tuple[int, int]]) -> None:
        """Read them."""
        for low, high in runs:
            self.spent += self._price(low, high)
            self.read[low:high] = True

    def _price(self, low: int, high: int) -> int:
        files = self.file
        before = low > 0 and bool(self.read[low - 1]) and files[low - 1] == files[low]
        behind = high < len(files) and bool(self.read[high]) and files[high] == files[high - 1]
        labels = 1 + int(files[high - 1] - files[low]) - int(before) - int(behind)
        return int(self.edges[high] - self.edges[low]) + self.label_tokens * labels


def all_readings(tree: SummaryTree, label_tokens: int = LABEL_TOKENS) -> tuple[Bools, NDArray[np.int64]]:
    """Every set of leaves, and what reading it costs: 2 to the number of leaves."""
    leaves = len(tree.leaves)
    sets = (np.arange(2**leaves)[:, None] >> np.arange(leaves)) & 1 == 1
    starts = sets.copy()
    starts[:, 1:] &= ~sets[:, :-1] | (np.diff(tree.leaves.file) != 0)
    return sets, sets @ tree.leaves.tokens + label_tokens * starts.sum(axis=1)


def optimum(values: Floats, costs: NDArray[np.int64], tokens: int) -> float:
    """The greatest value that can be had for at most `tokens`, of all readings there are."""
    return float(values[costs <= tokens].max())


# -- small trees: regret -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Regrets:
    """Regret of each policy, (optimum − value) / optimum, over trees, forms and budgets.

    Attributes:
        by_known: Policy and estimate → regret under what is known: what reading really brings, on average.
        by_believed: The same under what the estimate believes: how well a policy does what it tries to.
        by_form: Policy and form → regret under what is known, with the noisy estimate.
        over_budget: How many readings cost more than they might. Must be 0.
    """

    by_known: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    by_believed: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    by_form: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    over_budget: int = 0


def run_small(
    trees: int,
    seed: int = 0,
    *,
    label_tokens: int = LABEL_TOKENS,
    policies: Mapping[str, Policy] | None = None,
    progress: Progress | None = None,
) -> Regrets:
    """Hold policies against the exact optimum on small trees.

    A case where nothing can be had for the budget (no table is so short) has no regret and isn't counted.

    Args:
        trees: How many trees per form of evidence.
        seed: For other trees.
        label_tokens: What a stretch costs besides its leaves.
        policies: Which; by default all there are.
        progress: Called with trees done, trees in all and what is done.
    """
    policies = policies or {**POLICIES, **EXACTING, **GUARDED}
    regrets = Regrets()
    for number, (form, tree) in enumerate(itertools.product(FORMS, range(trees))):
        if progress:
            progress(number, trees * len(FORMS), "small trees")
        generator = np.random.default_rng([seed, 1, number])
        grown = grow(generator, SMALL_LEAVES, 2 if form == "files" else 1)
        readings = all_readings(grown, label_tokens)
        for estimate in ESTIMATES:
            task = draw_task(grown, form, estimate, np.random.default_rng([seed, 2, tree]), SMALL_SIGNAL)
            _regret(regrets, task, policies, readings, label_tokens)
    return regrets


def _regret(
    regrets: Regrets,
    task: Task,
    policies: Mapping[str, Policy],
    readings: tuple[Bools, NDArray[np.int64]],
    label_tokens: int,
) -> None:
    sets, costs = readings
    known, believed = task.value(sets), task.value(sets, believed=True)
    place = 1 << np.arange(sets.shape[1])
    for share in SMALL_BUDGETS:
        tokens = int(share * costs[-1])
        best, promised = optimum(known, costs, tokens), optimum(believed, costs, tokens)
        for name, policy in policies.items():
            at = int(read_along(task.tree, policy(task.tree, task.relevance, tokens), tokens, label_tokens) @ place)
            regrets.over_budget += int(costs[at] > tokens)
            if best > 1e-9:
                regret = 1 - float(known[at]) / best
                regrets.by_known[name, task.estimate].append(regret)
                if task.estimate == "noisy":
                    regrets.by_form[name, task.form].append(regret)
            if promised > 1e-9:
                regrets.by_believed[name, task.estimate].append(1 - float(believed[at]) / promised)


def regret_tables(regrets: Regrets) -> tuple[Table, Table]:
    """Mean regret and its 95th percentile, in per cent of the optimum: by estimate, and by form of evidence."""
    return _by_estimate(regrets), _regret_by_form(regrets)


def _by_estimate(regrets: Regrets) -> Table:
    names = list(dict.fromkeys(name for name, _ in regrets.by_known))
    cases = len(regrets.by_known[names[0], "noisy"])
    rows = tuple(
        (
            name,
            *(_regret_cell(regrets.by_known[name, estimate]) for estimate in ESTIMATES),
            _regret_cell(regrets.by_believed[name, "noisy"] + regrets.by_believed[name, "overconfident"]),
        )
        for name in names
    )
    title = (
        f"Regret on small trees, % of the exact optimum: mean (95th percentile) over {cases:,} cases per estimate; "
        f"readings over budget: {regrets.over_budget}"
    )
    return Table(title=title, header=("policy", *ESTIMATES, "by its own lights"), rows=rows)


def _regret_by_form(regrets: Regrets) -> Table:
    names = list(dict.fromkeys(name for name, _ in regrets.by_form))
    rows = tuple((name, *(_regret_cell(regrets.by_form[name, form]) for form in FORMS)) for name in names)
    return Table(
        title="Regret on small trees with the noisy estimate, %, by what is needed: mean (95th percentile)",
        header=("policy", *FORMS),
        rows=rows,
    )


def _regret_cell(values: Sequence[float]) -> str:
    return f"{100 * np.mean(values):.1f} ({100 * np.percentile(values, 95):.0f})" if values else "–"


# -- large trees: policies against each other --------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class Field:
    """What policies reach on large trees.

    Attributes:
        names: Policies.
        forms: The form of evidence of each tree.
        values: Estimate → policies × trees × budgets: the share of what is needed that is covered, on average.
        over_budget: How many readings cost more than they might. Must be 0.
        lost: Leaves that the default policy grants for a budget and not for the next larger one. Must be 0.
        tokens: Mean size of a tree.
    """

    names: tuple[str, ...]
    forms: tuple[str, ...]
    values: Mapping[str, Floats]
    over_budget: int
    lost: int
    tokens: int

    def of(self, name: str, estimate: str) -> Floats:
        """Trees × budgets."""
        return np.asarray(self.values[estimate][self.names.index(name)])

    def ahead(self, name: str, base: str, estimate: str) -> Difference:
        """How much more a policy covers than another, over budgets; paired and drawn by tree."""
        trees = [str(number) for number in range(len(self.forms))]
        # Rounded, so that the order in which equal leaves were added up makes no winner.
        ours, theirs = (self.of(one, estimate).mean(axis=1).round(9) for one in (name, base))
        return paired(trees, ours, theirs)


def run_large(
    trees: int,
    leaves: int,
    seed: int = 0,
    *,
    label_tokens: int = LABEL_TOKENS,
    policies: Mapping[str, Policy] | None = None,
    progress: Progress | None = None,
) -> Field:
    """Hold policies against each other on large trees, a form of evidence after the other.

    Args:
        trees: How many.
        leaves: Of about how many leaves each.
        seed: For other trees.
        label_tokens: What a stretch costs besides its leaves.
        policies: Which; by default all but the slow ones.
        progress: Called with trees done, trees in all and what is done.
    """
    policies = policies or {**POLICIES, **GUARDED}
    forms = tuple(FORMS[number % len(FORMS)] for number in range(trees))
    values = {estimate: np.zeros((len(policies), trees, len(LARGE_BUDGETS))) for estimate in ESTIMATES}
    over_budget = lost = tokens = 0
    for number, form in enumerate(forms):
        if progress:
            progress(number, trees, "large trees")
        generator = np.random.default_rng([seed, 3, number])
        tree = grow(generator, leaves, int(generator.integers(6, 13)) if form == "files" else 1)
        tokens += tree.tokens
        for estimate in ESTIMATES:
            task = draw_task(tree, form, estimate, np.random.default_rng([seed, 4, number]), LARGE_SIGNAL)
            for at, (name, policy) in enumerate(policies.items()):
                run = _climb(task, policy, label_tokens)
                values[estimate][at, number] = run.values
                over_budget += run.over_budget
                lost += run.lost if name == DEFAULT else 0
    return Field(
        names=tuple(policies),
        forms=forms,
        values={str(name): value for name, value in values.items()},
        over_budget=over_budget,
        lost=lost,
        tokens=tokens // max(1, trees),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Climb:
    values: Floats
    over_budget: int
    lost: int


def _climb(task: Task, policy: Policy, label_tokens: int) -> _Climb:
    """One policy at one budget after the other."""
    read = np.zeros((len(LARGE_BUDGETS), len(task.tree.leaves)), dtype=np.bool_)
    given = np.zeros_like(read)
    over_budget = 0
    for at, tokens in enumerate(LARGE_BUDGETS):
        allocation = policy(task.tree, task.relevance, tokens)
        for low, high in allocation.runs:
            given[at, low:high] = True
        over_budget += int(allocation.tokens > tokens)
        read[at] = read_along(task.tree, allocation, tokens, label_tokens)
    lost = int((given[:-1] & ~given[1:]).sum())
    return _Climb(values=task.value(read), over_budget=over_budget, lost=lost)


def field_tables(found: Field) -> tuple[Table, ...]:
    """What was found on large trees: who covers how much, who is ahead of whom, and what guards cost."""
    rivals = [name for name in found.names if name != DEFAULT and name not in GUARDED]
    guards = [name for name in found.names if name in GUARDED]
    tables = [_covered(found), _by_form(found), _by_budget(found)]
    if DEFAULT in found.names and rivals:
        title = f"How far `{DEFAULT}` is ahead on large trees, in points over all budgets, with 95 % intervals"
        tables.append(_duels(found, title, [(DEFAULT, rival, rival) for rival in rivals]))
    if DEFAULT in found.names and guards:
        title = f"What a guard brings against `{DEFAULT}` alone, in points over all budgets, with 95 % intervals"
        tables.append(_duels(found, title, [(guard, DEFAULT, guard) for guard in guards]))
    return tuple(tables)


def _covered(found: Field) -> Table:
    title = (
        f"Covered on {len(found.forms)} large trees of {found.tokens:,} tokens, %, mean over budgets "
        f"{LARGE_BUDGETS[0]:,} to {LARGE_BUDGETS[-1]:,}; over budget: {found.over_budget}; leaves of the default "
        f"that a larger budget loses: {found.lost}"
    )
    rows = tuple(
        (name, *(f"{100 * found.of(name, estimate).mean():.1f}" for estimate in ESTIMATES)) for name in found.names
    )
    return Table(title=title, header=("policy", *ESTIMATES), rows=rows)


def _by_form(found: Field) -> Table:
    at = {form: [number for number, one in enumerate(found.forms) if one == form] for form in FORMS}
    present = [form for form in FORMS if at[form]]
    rows = tuple(
        (name, *(f"{100 * found.of(name, 'noisy')[at[form]].mean():.1f}" for form in present)) for name in found.names
    )
    title = "Covered on large trees with the noisy estimate, %, by what is needed"
    return Table(title=title, header=("policy", *present), rows=rows)


def _by_budget(found: Field) -> Table:
    rows = tuple(
        (name, *(f"{100 * value:.1f}" for value in found.of(name, "noisy").mean(axis=0))) for name in found.names
    )
    title = "Covered on large trees with the noisy estimate, %, by budget in tokens"
    return Table(title=title, header=("policy", *(f"{tokens:,}" for tokens in LARGE_BUDGETS)), rows=rows)


def _duels(found: Field, title: str, pairs: Sequence[tuple[str, str, str]]) -> Table:
    rows = tuple(
        (label, *(_duel(found.ahead(name, base, estimate)) for estimate in ESTIMATES)) for name, base, label in pairs
    )
    return Table(title=title, header=("policy", *ESTIMATES), rows=rows)


def _duel(difference: Difference) -> str:
    low, high = 100 * difference.interval.low, 100 * difference.interval.high
    interval = f"[{low:+.1f}, {high:+.1f}]"
    if difference.decided:
        return f"{100 * difference.mean:+.1f} {interval}"
    return f"{'no winner' if difference.enough else 'too few trees'} {interval}"
