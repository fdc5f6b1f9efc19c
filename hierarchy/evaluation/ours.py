"""The library's own reading, as a system among others: tree, relevance, allocation, without a model.

What it reads at a budget is what `allocator` grants there. Doesn't answer: that is judged apart from finding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hierarchy import allocator, planner, relevance
from hierarchy.document import Document
from hierarchy.evaluation.baselines import Reader
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.predictions import EvidenceSpan
from hierarchy.relevance import Relevance
from hierarchy.tokens import count_tokens
from hierarchy.tree import LeafTable

__all__ = ["HierarchySystem"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchySystem:
    """Reads what an allocation policy grants, most relevant first.

    Attributes:
        policy: Name of one of `allocator.POLICIES`; None for what the library does by default.
    """

    policy: str | None = None

    def prepare(self, document: Document) -> Reader:
        """Build the tree and its index."""
        material = Material.of(document)
        tree = planner.outline(document, count_tokens)
        # The index is built when first asked; what all questions share is to be charged to none of them.
        relevance.estimate(tree, "warm up")

        @lru_cache(maxsize=1)  # one question is asked at every budget in turn
        def estimate(question: str) -> Relevance:
            return relevance.estimate(tree, question)

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            if self.policy is None:
                runs = allocator.reading_order(tree, estimate(question), budget_tokens)
            else:
                runs = allocator.POLICIES[self.policy](tree, estimate(question), budget_tokens).runs
            return material.fit(_stretches(tree.leaves, runs), budget_tokens)

        return read


def _stretches(leaves: LeafTable, runs: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    """The characters of each run of leaves, file by file: a run may go on from one file into the next."""
    for low, high in runs:
        first = low
        for leaf in range(low, high):
            if leaf + 1 == high or leaves.file[leaf + 1] != leaves.file[first]:
                yield Stretch(int(leaves.file[first]), int(leaves.start[first]), int(leaves.end[leaf]))
                first = leaf + 1
