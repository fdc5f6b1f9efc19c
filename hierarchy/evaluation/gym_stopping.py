"""When to stop reading: how many tokens rules save in the gym, and how much evidence they lose.

A rule looks at what the grants read so far were expected to bring, and at what is left. It is judged at a level (a
confidence, or a price per token) against reading the whole budget with the same policy.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

import numpy as np

from hierarchy.allocator import LABEL_TOKENS, Policy, expected_gain
from hierarchy.evaluation.gym import LARGE_SIGNAL, Bools, Progress, Reading, Table
from hierarchy.evaluation.gym_trees import ESTIMATES, FORMS, Floats, Task, draw_task, grow
from hierarchy.stopping import chance_of

__all__ = ["CONFIDENCES", "PRICES", "RULES", "STOPPING_BUDGETS", "Course", "Stops", "run_stopping"]

CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
PRICES = (1e-2, 3e-3, 1e-3, 3e-4, 1e-4, 3e-5, 1e-5)
"""Expected gain per token below which the next grant isn't worth reading."""

STOPPING_BUDGETS = (1_000, 4_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """One reading, grant by grant.

    Attributes:
        gains: What each grant was expected to add.
        tokens: What each grant costs.
        spent: What was spent after it.
        values: What is covered after it, on average.
        unread_gains: What the grants of a larger budget were expected to add.
        needs: How many things are needed.
    """

    gains: Floats
    tokens: Floats
    spent: Floats
    values: Floats
    unread_gains: Floats
    needs: int


Rule = Callable[[Course], Floats]
"""Confidence after each grant: reading stops behind the first at which it reaches the level. It may not look ahead of
what an estimate says."""


def one_hit(course: Course) -> Floats:
    """The chance that at least one grant held something: 1 − Π(1 − gain)."""
    return np.asarray(1 - np.exp(np.cumsum(np.log1p(-_sure(course.gains)))))


def every_need(course: Course) -> Floats:
    """The chance that as many grants held something as things are needed; with one needed the same as `one_hit`."""
    return chance_of(course.gains, course.needs)


def gains_summed(course: Course) -> Floats:
    """What was expected of all grants together, per thing needed."""
    return np.asarray(np.cumsum(course.gains) / course.needs)


def share_read(course: Course) -> Floats:
    """What was expected of the grants that were read, as a share of what is expected of the whole document."""
    total = float(course.gains.sum() + course.unread_gains.sum())
    return np.asarray(np.cumsum(course.gains) / max(1e-12, total))


def nothing_left(course: Course) -> Floats:
    """The chance that nothing that wasn't read holds something: Π(1 − gain) over the rest of the document."""
    behind = np.log1p(-_sure(course.gains))
    rest = float(np.log1p(-_sure(course.unread_gains)).sum())
    return np.asarray(np.exp(rest + behind.sum() - np.cumsum(behind)))


def sure_and_most(course: Course) -> Floats:
    """The lesser of `every_need` and `share_read`: enough was probably found, and little is expected of the rest."""
    return np.asarray(np.minimum(every_need(course), share_read(course)))


def too_dear(course: Course) -> Floats:
    """Minus the next grant's expected gain per token: reaches a level, minus a price, where that is no more than it."""
    density = course.gains / (course.tokens + LABEL_TOKENS)
    return np.asarray(-np.append(density[1:], 0.0))


RULES: Mapping[str, tuple[Rule, tuple[float, ...]]] = MappingProxyType(
    {
        "one hit": (one_hit, CONFIDENCES),
        "every need": (every_need, CONFIDENCES),
        "gains summed": (gains_summed, CONFIDENCES),
        "share read": (share_read, CONFIDENCES),
        "nothing left": (nothing_left, CONFIDENCES),
        "sure and most": (sure_and_most, CONFIDENCES),
        "price": (too_dear, tuple(-price for price in PRICES)),
    }
)
"""Rules with the levels that they are tried at."""


def stopped_at(confidence: Floats, level: float) -> int:
    """Behind which grant reading stops: the first that reaches the level, or the last of all."""
    reached = np.flatnonzero(confidence >= level)
    return int(reached[0]) if len(reached) else len(confidence) - 1


@dataclass(slots=True)
class Stops:
    """What stopping saves and loses.

    Attributes:
        saved: Rule, level, estimate and budget → share of the tokens that reading to the end takes, per case.
        lost: The same → coverage that reading to the end has more, per case.
    """

    saved: dict[tuple[str, float, str, int], list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[tuple[str, float, str, int], list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, course: Course, estimate: str, budget: int) -> None:
        """Try all rules on one reading."""
        for name, (rule, levels) in RULES.items():
            confidence = rule(course)
            for level in levels:
                at, key = stopped_at(confidence, level), (name, level, estimate, budget)
                self.saved[key].append(float(1 - course.spent[at] / course.spent[-1]))
                self.lost[key].append(float(course.values[-1] - course.values[at]))

    def tables(self) -> tuple[Table, ...]:
        """Per budget: tokens saved and coverage lost by rule, level and estimate."""
        return tuple(self._table(budget) for budget in STOPPING_BUDGETS)

    def _table(self, budget: int) -> Table:
        rows = []
        for name, (_, levels) in RULES.items():
            for level in levels:
                cells = []
                for estimate in ESTIMATES:
                    key = name, level, estimate, budget
                    cells.append(f"{100 * np.mean(self.saved[key]):.0f} / {100 * np.mean(self.lost[key]):.1f}")
                rows.append((name, f"{abs(level):g}", *cells))
        cases = len(next(iter(self.saved.values())))
        title = (
            f"Stopping within {budget:,} tokens: tokens saved, % / coverage lost, points; {cases} cases per estimate"
        )
        return Table(title=title, header=("rule", "level", *ESTIMATES), rows=tuple(rows))


def run_stopping(
    trees: int,
    leaves: int,
    seed: int = 0,
    *,
    policy: Policy = expected_gain,
    label_tokens: int = LABEL_TOKENS,
    progress: Progress | None = None,
) -> Stops:
    """Try the rules on large trees.

    Args:
        trees: How many.
        leaves: Of about how many leaves each.
        seed: For other trees; the same as in the gym for equal seeds.
        policy: What grants are read along.
        label_tokens: What a stretch costs besides its leaves.
        progress: Called with trees done, trees in all and what is done.
    """
    stops = Stops()
    for number in range(trees):
        if progress:
            progress(number, trees, "stopping")
        form = FORMS[number % len(FORMS)]
        generator = np.random.default_rng([seed, 3, number])
        tree = grow(generator, leaves, int(generator.integers(6, 13)) if form == "files" else 1)
        for estimate in ESTIMATES:
            task = draw_task(tree, form, estimate, np.random.default_rng([seed, 4, number]), LARGE_SIGNAL)
            promised = [grant.gain for grant in policy(tree, task.relevance, tree.tokens).grants]
            for budget in STOPPING_BUDGETS:
                reading = Reading(tree, label_tokens)
                stops.add(_course(task, policy, budget, reading, promised), estimate, budget)
    return stops


def _course(task: Task, policy: Policy, budget: int, reading: Reading, promised: Sequence[float]) -> Course:
    """Read along the policy's grants as long as they fit, the first in any case."""
    spent, read = list[int](), list[Bools]()
    grants = policy(task.tree, task.relevance, budget).grants
    for grant in grants:
        if read and reading.spent + reading.price(grant.leaves) > budget:
            break
        reading.take(grant.leaves)
        spent.append(reading.spent)
        read.append(reading.read.copy())
    gains = np.array([grant.gain for grant in grants[: len(read)]])
    return Course(
        gains=gains,
        tokens=np.array([grant.tokens for grant in grants[: len(read)]], dtype=np.float64),
        spent=np.array(spent, dtype=np.float64),
        values=task.value(np.array(read)),
        unread_gains=np.array(promised[len(read) :]),
        needs=len(task.needs),
    )


def _sure(gains: Floats) -> Floats:
    return np.minimum(gains, 1 - 1e-12)
