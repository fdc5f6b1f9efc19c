"""Stopping by value: how much reading is enough, by what the estimate expects of what was read and of the rest.

Reading on is worth less and less. It is stopped where two things are likely enough at once: that what was read holds
what is needed, and that little is expected of what wasn't. **The first alone stops too early wherever two places are
needed, the second alone too late wherever one is enough.** Both are only as good as the estimate is calibrated;
`hierarchy eval gym --stopping` and the evaluation say what that costs.

Doesn't know prompts or models.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hierarchy.allocator import Policy
from hierarchy.relevance import Relevance
from hierarchy.tree import SummaryTree

__all__ = ["chance_of", "enough_tokens", "sure_and_most"]

Floats = NDArray[np.float64]

# All that could still be read is a long way to look: so much of it, and so many times the budget, hold nearly all of
# what is expected.
_HORIZON_TOKENS, _HORIZON_BUDGETS = 16_000, 4


def enough_tokens(
    tree: SummaryTree, relevance: Relevance, policy: Policy, tokens: int, *, confidence: float, needed: int = 1
) -> int:
    """How many of the tokens given are worth reading.

    Args:
        tree: The document.
        relevance: Its estimate for the question.
        policy: Divides the tokens.
        tokens: What could be read.
        confidence: How sure to be, in (0, 1).
        needed: How many places are needed at once.

    Returns:
        At most `tokens`; at least what the first grant counts.
    """
    horizon = min(tree.tokens, max(_HORIZON_TOKENS, _HORIZON_BUDGETS * tokens))
    grants = policy(tree, relevance, horizon).grants
    gains = np.array([grant.gain for grant in grants])
    enough = np.flatnonzero(sure_and_most(gains, needed) >= confidence)
    if not len(enough):
        return tokens
    return min(tokens, sum(grant.tokens for grant in grants[: int(enough[0]) + 1]))


def sure_and_most(gains: Floats | Sequence[float], needed: int = 1) -> Floats:
    """After each grant, the lesser of two confidences: that what is needed was read, and that little is left.

    The first is the chance that at least `needed` of the grants hold something, the second the share of all expected
    gain that was read.

    Example:
        >>> sure_and_most([0.9, 0.1, 0.0]).round(2).tolist()
        [0.9, 0.91, 0.91]
    """
    gains = np.clip(np.asarray(gains, dtype=np.float64), 0.0, 1.0)
    total = float(gains.sum())
    share = np.cumsum(gains) / total if total else np.ones(len(gains))
    return np.asarray(np.minimum(chance_of(gains, max(1, needed)), share))


def chance_of(gains: Floats, needed: int) -> Floats:
    """After each of several independent chances, the probability that at least so many came true.

    Example:
        >>> chance_of(np.array([0.5, 0.5]), 2).tolist()
        [0.0, 0.25]
    """
    exactly = np.zeros(needed + 1)  # the last: at least so many
    exactly[0] = 1.0
    chances = np.zeros(len(gains))
    for at, gain in enumerate(gains):
        moved = exactly[:-1] * gain
        exactly[:-1] -= moved
        exactly[1:] += moved
        chances[at] = exactly[-1]
    return chances
