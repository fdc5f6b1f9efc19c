"""The library's own reading, as a system among others: tree, relevance, allocation, without a model.

What it reads at a budget is what `allocator` grants there. Doesn't answer: that is judged apart from finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from hierarchy import allocator, planner, relevance
from hierarchy.document import Document
from hierarchy.evaluation.baselines import Reader
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.predictions import EvidenceSpan
from hierarchy.relevance import Relevance
from hierarchy.relevance.learned import shipped_forest
from hierarchy.tokens import count_tokens
from hierarchy.tree import LeafTable

__all__ = ["HierarchySystem", "fitting_notes"]


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


def fitting_notes(set_name: str, systems: Iterable[str]) -> tuple[str, ...]:
    """A sentence to stand beside figures of the library on a set that its weights were fitted on; else nothing.

    By the set's name, as the weights have it on record: a copy under another name isn't recognised.

    Args:
        set_name: Name of the set's folder.
        systems: Names of the systems that were scored.
    """
    ours = [system for system in systems if system == "hierarchy" or system.replace("-", "_") in allocator.POLICIES]
    if not ours or set_name not in shipped_forest().origin.get("questions", {}):
        return ()
    note = (
        f"The weights of {', '.join(ours)} were fitted on a set named {set_name}: on questions they saw, these figures "
        "and what is ahead by them are flattering, and no measure of new documents."
    )
    return (note,)


def _stretches(leaves: LeafTable, runs: Sequence[tuple[int, int]]) -> Iterator[Stretch]:
    """The characters of each run of leaves, file by file: a run may go on from one file into the next."""
    for low, high in runs:
        first = low
        for leaf in range(low, high):
            if leaf + 1 == high or leaves.file[leaf + 1] != leaves.file[first]:
                yield Stretch(int(leaves.file[first]), int(leaves.start[first]), int(leaves.end[leaf]))
                first = leaf + 1
