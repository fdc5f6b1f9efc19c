"""A quote: what a question will cost, before anything is spent.

The bounds follow from the plan and from what the ledger guarantees: a run that isn't interrupted stays inside them,
whatever its provider does short of billing beyond its own caps (which the receipt shows as overdraft). `usual_tokens`
is what it comes to where the first round of reading answers, as most do.

Doesn't call models and doesn't promise what depends on replies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hierarchy import composer
from hierarchy.budget import Budget
from hierarchy.calls import Tariff
from hierarchy.composer import Turn
from hierarchy.course import Course
from hierarchy.errors import BudgetError, BudgetTooSmall
from hierarchy.evidence import Evidence
from hierarchy.fitting import best
from hierarchy.relevance import estimate
from hierarchy.strategy import FIRST_TOKENS, Plan, Strategy, choose
from hierarchy.tree import SummaryTree

__all__ = ["Quote", "quote_question"]

# The least of a counted prompt that the ledger believes a provider read, and what a usual answer counts.
_CREDIBLE_SHARE, _USUAL_ANSWER, _USUAL_ROUTING = 0.25, 150, 95
# A round's call may be followed by one that repairs its reply or asks again; branches are at most so many.
_CALLS_PER_ROUND, _BRANCHES, _LABELS = 2, 16, 1.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What a question will cost: pairs are lower and upper bounds.

    Attributes:
        plan: How it will be read.
        calls: Requests sent, retries included.
        tokens: Input and output over all calls. The upper bound is never above the budget.
        usual_tokens: What it comes to where the first round answers.
        cost_usd: Price of all calls; None where a model's price isn't known.
        seconds: Time for all calls; the upper bound is None where nothing bounds it.
        read_all_tokens: What one call with the whole document would cost, for comparison.
    """

    plan: Plan
    calls: tuple[int, int]
    tokens: tuple[int, int]
    usual_tokens: int
    cost_usd: tuple[float, float] | None
    seconds: tuple[float, float | None]
    read_all_tokens: int

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "way": self.plan.way,
            "why": self.plan.why,
            "calls": list(self.calls),
            "tokens": list(self.tokens),
            "usual_tokens": self.usual_tokens,
            "cost_usd": list(self.cost_usd) if self.cost_usd else None,
            "seconds": list(self.seconds),
            "read_all_tokens": self.read_all_tokens,
        }


def quote_question(
    tree: SummaryTree,
    question: str,
    *,
    budget: Budget,
    strategy: Strategy,
    tariff: Tariff,
    helper: Tariff,
    attempts: int = 1,
    seconds_per_call: float | None = None,
    kept: bool = False,
) -> Quote:
    """Quote a question.

    Args:
        tree: The document.
        question: What is asked.
        budget: The caps.
        strategy: How tokens are spent.
        tariff: What calls to the model that answers cost.
        helper: The same of the model that routes, summarises and refines.
        attempts: How often a failed call is made.
        seconds_per_call: How long one attempt may take, waits included; None if nothing bounds it.
        kept: Whether replies may be there already and cost nothing.

    Raises:
        BudgetTooSmall: No answer is possible within the budget.
        BudgetError: A cap in USD meets an unknown price.
    """
    course = Course(tree=tree, question=question, budget=budget, strategy=strategy, tariff=tariff, helper=helper)
    least = course.least_tokens
    if budget.total_tokens < least:
        raise BudgetTooSmall(needed_tokens=least, given_tokens=budget.total_tokens)
    relevance = estimate(tree, question, forest=strategy.forest, lexicons=strategy.lexicons)
    given = course.situation(relevance)
    plan = choose(given)
    bare = composer.overhead(question, tariff.count, strategy.prompts)
    routing = given.prompt_tokens[plan.routing] if plan.routing != "no" else 0
    # Where not even the smallest piece of the document can be shown, nothing is asked.
    shown = course.cost(best(tree, relevance), relevance, Turn()) <= course.room()
    fewest = 0 if kept or not shown else 1 + (plan.routing != "no")
    low = (
        0 if kept or not shown else math.ceil(_CREDIBLE_SHARE * (routing + course.cost(Evidence(), relevance, Turn())))
    )
    most_calls = _most_calls(plan, strategy, attempts)
    calls = (fewest, most_calls if budget.max_calls is None else min(most_calls, budget.max_calls))
    tokens = (low, budget.total_tokens)
    return Quote(
        plan=plan,
        calls=calls,
        tokens=tokens,
        usual_tokens=_usual(plan, course, bare, routing),
        cost_usd=_costs(tokens, budget, (tariff, helper)),
        seconds=_seconds(budget, calls[1], seconds_per_call),
        read_all_tokens=tree.tokens + bare + course.output(),
    )


def _most_calls(plan: Plan, strategy: Strategy, attempts: int) -> int:
    """Calls at most, each of them tried as often as is allowed."""
    rounds = plan.rounds * _CALLS_PER_ROUND
    branches = _BRANCHES if plan.way == "branches" or (plan.way == "staged" and strategy.way == "auto") else 0
    return attempts * ((plan.routing != "no") + branches + rounds)


def _usual(plan: Plan, course: Course, bare: int, routing: int) -> int:
    """The tokens of a run whose first round answers."""
    budget = course.budget.total_tokens
    if plan.way == "whole":
        return min(budget, course.tree.tokens + bare + _USUAL_ANSWER)
    if plan.first_tokens is None or plan.way == "branches":
        return budget
    routed = routing + (_USUAL_ROUTING if routing else 0)
    return min(budget, routed + bare + math.ceil(FIRST_TOKENS * _LABELS) + _USUAL_ANSWER)


def _costs(tokens: tuple[int, int], budget: Budget, tariffs: tuple[Tariff, ...]) -> tuple[float, float] | None:
    """Bounds on the price: all tokens at the cheaper and at the dearer of the prices of input and output."""
    lows, highs = [], []
    for tariff in tariffs:
        ends = [tariff.price(tokens[0], 0), tariff.price(tokens[1], 0), tariff.price(0, tokens[1])]
        if any(price is None for price in ends):
            if budget.max_cost_usd is not None:
                raise BudgetError(
                    f"The price of {tariff.name} isn't known, so a cap of ${budget.max_cost_usd:,.4f} can't be kept.",
                    "Cap tokens or calls instead of USD, or use a model with a known price.",
                )
            return None
        lows.append(min(ends[0] or 0.0, tariff.price(0, tokens[0]) or 0.0))
        highs.append(max(ends[1] or 0.0, ends[2] or 0.0))
    high = max(highs) if budget.max_cost_usd is None else min(max(highs), budget.max_cost_usd)
    return (min(lows), high)


def _seconds(budget: Budget, calls: int, seconds_per_call: float | None) -> tuple[float, float | None]:
    bounds = [budget.max_seconds, None if seconds_per_call is None else calls * seconds_per_call]
    known = [bound for bound in bounds if bound is not None]
    return (0.0, min(known) if known else None)
