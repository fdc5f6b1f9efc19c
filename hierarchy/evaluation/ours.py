"""The library's own reading, as a system among others: tree, relevance, allocation, without a model.

What it reads at a budget is what `allocator` grants there. Doesn't answer: that is judged apart from finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from hierarchy import allocator, planner, relevance
from hierarchy.document import Document
from hierarchy.evaluation.baselines import Reader
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.oracle import CaseReader
from hierarchy.evaluation.predictions import EvidenceSpan
from hierarchy.evaluation.replies import Asked, ask_unrouted, ask_with_reply
from hierarchy.evaluation.sets import Case
from hierarchy.relevance import Question, Relevance, Routing, parse, tree_index
from hierarchy.relevance.formula import passage_relevance
from hierarchy.relevance.learned import shipped_forest
from hierarchy.stopping import enough_tokens
from hierarchy.tokens import count_tokens
from hierarchy.tree import LeafTable, SummaryTree

__all__ = ["ROUTED", "HierarchySystem", "RoutedSystem", "by_formula", "fitting_notes"]

ROUTED = "-routed"
"""What the name of a system ends in that was given a model's replies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HierarchySystem:
    """Reads what an allocation policy grants, most relevant first.

    Attributes:
        policy: Name of one of `allocator.POLICIES`; None for what the library does by default.
        lexicons: Whether lexicons are used.
        formula: Whether the fixed formula estimates relevance in place of the learned weights.
        confidence: Read no more than is likely to be enough, as `Budget.stop_when_confident`.
        semantic: Whether passages are also judged by their meaning.
    """

    policy: str | None = None
    lexicons: bool = True
    formula: bool = False
    confidence: float | None = None
    semantic: bool = False

    def prepare(self, document: Document) -> Reader:
        """Build the tree and its index."""
        reading = _Reading(document, self)
        estimate = lru_cache(maxsize=1)(reading.estimate)  # one question is asked at every budget in turn

        def read(question: str, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            return reading.read(estimate(question), budget_tokens)

        return read


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutedSystem:
    """The same with the replies of a model to the routing call, which is charged.

    A case without a reply is asked as it is, and charged nothing. Sees of a case its id, to find the reply, and its
    question.

    Attributes:
        replies: By case.
        system: How what is asked then is read.
        lean: Which form of the call; None for the one that the library takes for the document.
    """

    replies: Mapping[str, Routing]
    system: HierarchySystem = HierarchySystem()
    lean: bool | None = None

    def prepare_for_cases(self, document: Document) -> CaseReader:
        """Build the tree and its index."""
        reading = _Reading(document, self.system)
        tree = reading.tree

        @lru_cache(maxsize=1)
        def estimate(case_id: str, question: str) -> tuple[Asked, Relevance]:
            reply = self.replies.get(case_id)
            index = tree_index(tree)
            asked = ask_with_reply(tree, index, question, reply, lean=self.lean) if reply else ask_unrouted(question)
            return asked, reading.estimate(asked.question)

        def read(case: Case, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            asked, estimated = estimate(case.id, case.question)
            return reading.read(estimated, budget_tokens - asked.tokens)

        return read


class _Reading:
    """A document made ready to be read by a system."""

    def __init__(self, document: Document, system: HierarchySystem) -> None:
        self.material = Material.of(document)
        self.tree = planner.outline(document, count_tokens)
        self.system = system
        # The index is built when first asked; what all questions share is to be charged to none of them.
        self.estimate("warm up")

    def estimate(self, question: str | Question) -> Relevance:
        """As the system estimates it."""
        forest = shipped_forest(semantic=self.system.semantic)
        lexicons = None if self.system.lexicons else ()
        learned = relevance.estimate(self.tree, question, forest=forest, lexicons=lexicons)
        return by_formula(self.tree, question, learned) if self.system.formula else learned

    def read(self, estimate: Relevance, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
        """What the system's policy grants at a budget; nothing if none is left."""
        if budget_tokens < 1:
            return ()
        tokens, policy = budget_tokens, allocator.POLICIES[self.system.policy or "expected_gain"]
        if self.system.confidence is not None:
            tokens = enough_tokens(self.tree, estimate, policy, budget_tokens, confidence=self.system.confidence)
        if self.system.policy is None:
            runs = allocator.reading_order(self.tree, estimate, tokens)
        else:
            runs = policy(self.tree, estimate, tokens).runs
        return self.material.fit(_stretches(self.tree.leaves, runs), tokens)


def by_formula(tree: SummaryTree, question: str | Question, learned: Relevance) -> Relevance:
    """The fixed formula's passages in place of the learned ones."""
    asked = parse(question) if isinstance(question, str) else question
    found = passage_relevance(tree_index(tree), asked)
    layer = found.layer
    best = np.maximum.reduceat(found.leaf_match, layer.low)[layer.of_leaf]
    share = np.where(best > 0, found.leaf_match / np.maximum(best, 1e-12), 1.0)
    leaf = np.where(learned.skip, 0.0, found.probability[layer.of_leaf] * (0.1 + 0.9 * share))
    return replace(learned, candidates=layer.nodes, gain=found.probability, leaf=leaf)


def fitting_notes(set_name: str, systems: Iterable[str]) -> tuple[str, ...]:
    """A sentence to stand beside figures of the library on a set that its weights were fitted on; else nothing.

    By the set's name, as the weights have it on record: a copy under another name isn't recognised.

    Args:
        set_name: Name of the set's folder.
        systems: Names of the systems that were scored.
    """
    names = (
        "hierarchy",
        "semantic",
        "no_lexicons",
        "confident_0.7",
        "confident_0.8",
        "confident_0.9",
        *allocator.POLICIES,
    )
    ours = [system for system in systems if system.removesuffix(ROUTED).replace("-", "_") in names]
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
