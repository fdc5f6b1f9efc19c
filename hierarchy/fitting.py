"""Fitting: how much evidence a prompt can show, and how much a call may cost.

What labels add to evidence is known only once it is rendered, so evidence is read, rendered, counted, and read again
until it fits closely. Plain functions of a budget, a tariff and what was spent. Doesn't call models or yield events.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable

import numpy as np

from hierarchy import composer, refiner
from hierarchy.allocator import Policy
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Steps, T, Tariff
from hierarchy.evidence import Evidence, passage_of
from hierarchy.relevance import Relevance
from hierarchy.stopping import enough_tokens
from hierarchy.tree import SummaryTree

__all__ = ["best", "fitted", "output_tokens", "reading_tokens", "room_tokens"]

_FITTINGS = 6
_ROOM_LEFT = 48
# Of what could be shown to the composer, so much goes to calls that read branches instead; what they copy from a branch
# is a seventh of it at most, with its labels a quarter.
_READING_SHARE = 0.7


def output_tokens(budget: Budget, tariff: Tariff, *, most: int, share: float) -> int:
    """The most that an answer may count: its share of the budget in tokens, and in USD where that is capped.

    Thinking that nobody gets to see comes on top, as far as the budget has a share for it, too.
    """
    short = composer.SHORT_REPLY_TOKENS
    thinking = min(tariff.reasoning_tokens, int(budget.total_tokens * share))
    tokens = max(short, min(most, int(budget.total_tokens * share))) + thinking
    if budget.max_cost_usd is None:
        return tokens
    return max(short, _most(tokens, budget.max_cost_usd * share, lambda number: tariff.price(0, number)))


def room_tokens(budget: Budget, spent: Usage, output: int, tariff: Tariff) -> int:
    """The most that a prompt may count, so that it and its reply fit what is left, and the model's context."""
    left_tokens = budget.total_tokens - spent.total_tokens
    if tariff.context_tokens is not None:
        left_tokens = min(left_tokens, tariff.context_tokens)
    room = tariff.fits(left_tokens - output)
    if budget.max_cost_usd is None:
        return room
    left = budget.max_cost_usd - (spent.cost_usd or 0.0)
    return max(0, _most(room, left, lambda tokens: tariff.price(tariff.worst(tokens), output)))


def reading_tokens(spare: int, text: int) -> int:
    """What calls that read branches may cost, so that what they copy can still be shown beside the question.

    Args:
        spare: What the smallest answer doesn't need.
        text: What the composer's prompt could show if nothing else were spent.
    """
    return max(0, min(spare, int(text * _READING_SHARE)))


def _most(tokens: int, cost_usd: float, price: Callable[[int], float | None]) -> int:
    """The largest number up to `tokens` whose price is at most `cost_usd`; -1 if none is."""
    return bisect_right(range(tokens + 1), cost_usd, key=lambda number: price(number) or 0.0) - 1


def fitted(
    tree: SummaryTree,
    relevance: Relevance,
    policy: Policy,
    cost: Callable[[Evidence], int],
    room: int,
    *,
    confidence: float | None = None,
) -> Evidence:
    """As much evidence as costs at most `room` once it is rendered; what labels add is known only then.

    Where not even the least fits, that is returned: who is given too much trims it.

    Args:
        tree: The document.
        relevance: Its estimate for the question.
        policy: Divides the tokens.
        cost: What a prompt with some evidence counts.
        room: What it may count.
        confidence: Read no more than is likely to be enough, as `Budget.stop_when_confident`.
    """
    low, high = (0, cost(Evidence())), (0, 0)  # tokens of evidence that fit, that don't, and what they cost
    tokens, evidence, fits = room - low[1], Evidence(), Evidence()
    if confidence is not None and tokens > 0:
        needed = max(1, len(relevance.question.needs))
        tokens = enough_tokens(tree, relevance, policy, tokens, confidence=confidence, needed=needed)
    for _ in range(_FITTINGS):
        if tokens <= low[0]:
            break
        evidence = _without_calls(refiner.refine(tree, relevance, tokens, policy=policy))
        costs = cost(evidence)
        if costs <= room:
            low, fits = (tokens, costs), evidence
        else:
            high = (tokens, costs)
        if not high[0] or room - low[1] < _ROOM_LEFT:
            break
        share = (room - low[1]) / max(1, high[1] - low[1])
        tokens = low[0] + int((high[0] - low[0]) * min(share, 0.95))
    if fits.passages:
        return fits
    return evidence if evidence.passages else best(tree, relevance)


def best(tree: SummaryTree, relevance: Relevance) -> Evidence:
    """The most relevant leaf alone: the smallest evidence that is worth an answer."""
    leaf = int(np.argmax(np.where(relevance.skip, -1.0, relevance.leaf)))
    return Evidence(passages=(passage_of(tree, relevance, leaf, leaf + 1),), order=((leaf, leaf + 1),))


def _without_calls(steps: Steps[T]) -> T:
    """The result of a stage that asks nothing."""
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("A stage that reads without a model asked for a call.")
