"""Completing: what chosen evidence needs to be understood, where tokens are plenty.

A row of a statement says little without the rows around it, so **the tables that evidence stands in are kept whole** as
long as they are no longer than a statement is; and what a model named as needed has a share of its own, so that a good
match for one need doesn't crowd out another. Both cost tokens beyond the policy's order, and are therefore only for
rounds that don't fill their budget. Doesn't know prompts or models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hierarchy.allocator import Policy
from hierarchy.evidence import Evidence, passages_of, runs_of
from hierarchy.reading import MIN_WORTH, read
from hierarchy.relevance import Question, Relevance, parse
from hierarchy.segments import LeafKind
from hierarchy.tables import table_of
from hierarchy.tree import SummaryTree

__all__ = ["LONGEST_TABLE_TOKENS", "with_needs", "with_whole_tables"]

LONGEST_TABLE_TOKENS = 900
"""A statement takes 500–900 tokens; what is longer is no one table."""

# Stretches of evidence whose tables are completed, the most relevant first; and needs that get a share.
_STRETCHES, _NEEDS = 4, 3


def with_whole_tables(tree: SummaryTree, relevance: Relevance, evidence: Evidence, tokens: int) -> Evidence:
    """The evidence with the tables that its first stretches stand in, for at most so many tokens more.

    A table that doesn't fit is left as it is.
    """
    taken = _taken(tree, evidence)
    left = tokens
    for low, high in evidence.order[:_STRETCHES]:
        rows = low + np.flatnonzero(tree.leaves.kind[low:high] == LeafKind.ROW)
        if not len(rows):
            continue
        best = int(rows[np.argmax(relevance.leaf[rows])])
        table = slice(*table_of(tree, best))
        missing = int(tree.leaves.tokens[table][~taken[table]].sum())
        if int(tree.leaves.tokens[table].sum()) <= LONGEST_TABLE_TOKENS and missing <= left:
            taken[table] = True
            left -= missing
    return _completed(tree, relevance, evidence, taken)


def with_needs(
    tree: SummaryTree,
    relevance: Relevance,
    evidence: Evidence,
    tokens: int,
    *,
    policy: Policy,
    estimated: Callable[[Question], Relevance],
) -> Evidence:
    """The evidence with something of each need that it holds nothing of, for at most so many tokens more.

    A need is searched for by its name alone. What is found for it counts as held if any of it was chosen already.

    Args:
        tree: The document.
        relevance: The estimate for the question, with its needs.
        evidence: What was chosen.
        tokens: The most to add.
        policy: Divides tokens over the tree.
        estimated: Estimates relevance for another question, as the evidence was.
    """
    needs = relevance.question.needs[:_NEEDS]
    taken = _taken(tree, evidence)
    for need in needs:
        sought = estimated(parse(" ".join(need)))
        found = read(tree, sought, tokens // len(needs), policy, MIN_WORTH).taken
        if not (found & taken).any():
            taken |= found
    return _completed(tree, relevance, evidence, taken)


def _taken(tree: SummaryTree, evidence: Evidence) -> NDArray[np.bool_]:
    taken = np.zeros(len(tree.leaves), dtype=np.bool_)
    for passage in evidence.passages:
        taken[slice(*passage.leaves)] = True
    return taken


def _completed(tree: SummaryTree, relevance: Relevance, evidence: Evidence, taken: NDArray[np.bool_]) -> Evidence:
    """The evidence with more leaves, which come last in its order."""
    added = taken & ~_taken(tree, evidence)
    if not added.any():
        return evidence
    order = (*evidence.order, *runs_of(np.flatnonzero(added)))
    return replace(evidence, passages=passages_of(tree, relevance, taken), order=order)
