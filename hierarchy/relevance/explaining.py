"""Why a node got its relevance: the passage that was judged, its features, and what each of them added.

A node's relevance is its own where it is a passage that was judged; else it is handed down from the passage around it,
or up from one below, or it is the chance that at least one of many below holds something. `explain` says which, and
explains the passage that it comes from: each feature's credit along the paths of the forest's trees, as against the
document's other passages (`Forest.credits`), and the parts of the fixed formula where that decides.

Doesn't decide anything: it takes `estimate` apart. What features mean to a reader is in `wording`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from hierarchy.errors import InputError
from hierarchy.relevance import Floats, node_relevance, tree_index
from hierarchy.relevance.forest import Credits, Forest
from hierarchy.relevance.formula import formula_parts, passage_relevance
from hierarchy.relevance.learned import combined, judge, leaf_share, shipped_forest
from hierarchy.relevance.lexicon import Lexicon, built_in, expand
from hierarchy.relevance.question import Question, parse
from hierarchy.relevance.wording import meaning, shown
from hierarchy.segments import LeafKind
from hierarchy.tree import Ints, SummaryTree

__all__ = ["Basis", "Contribution", "Explainer", "Explanation", "explain"]

Basis = Literal["passage", "formula", "within", "below", "several", "furniture"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One feature of a passage, and what it added.

    Attributes:
        feature: Its name, as `features.FEATURES` has it.
        meaning: What it is, to a reader.
        value: Its value.
        shown: The value as a reader takes it: a rank, a share, a number of tokens.
        amount: What it adds to the raw score, as against the mean of the document's passages.
    """

    feature: str
    meaning: str
    value: float
    shown: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why a node got its relevance.

    **Bias and contributions add up to the raw score.**

    Attributes:
        node: Its number.
        relevance: The estimate, in [0, 1].
        basis: Where it comes from: `passage`, judged itself by the learned weights; `formula`, judged by the fixed
            formula; `within`, a share of the passage around it; `below`, the most relevant part below it; `several`,
            the chance that at least one of the passages below holds something; `furniture`, page headers and the like.
        judged: Number of the passage that it comes from, the node itself or another; None where nothing was judged.
        path: The node, and those below it that it comes from by way of, down to where it does.
        passages: How many passages below it together make it, where it is `several`.
        share: Which share of the judged passage the last of the path has; below 1 only for a part of that passage.
        learned: The calibrated probability of the judged passage by the learned weights; None if they didn't see it.
        strangeness: How unlike the document is to all that was learned from, and so the share of the formula.
        formula: The same passage's probability by the fixed formula; None if it isn't one of its passages.
        score: Raw score by the learned weights.
        bias: Mean raw score of the document's passages: what they all share.
        contributions: What each feature adds, the largest first.
        parts: What the fixed formula's score consists of, in words; empty where it said nothing of the passage.
    """

    node: int
    relevance: float
    basis: Basis
    judged: int | None = None
    path: tuple[int, ...] = ()
    passages: int = 1
    share: float = 1.0
    learned: float | None = None
    strangeness: float = 0.0
    formula: float | None = None
    score: float = 0.0
    bias: float = 0.0
    contributions: tuple[Contribution, ...] = ()
    parts: tuple[tuple[str, float], ...] = ()

    @property
    def why(self) -> str:
        """The same in a few sentences."""
        return " ".join(filter(None, (self._origin(), self._mixture())))

    def _origin(self) -> str:
        if self.basis == "furniture":
            return "Page furniture: a header, a footer or a page number, which is never worth reading."
        if self.basis == "within":
            return f"It has {self.share:.0%} of the passage around it, by how well its own words match."
        if self.basis == "below":
            return "It is as relevant as the most relevant part below it."
        if self.basis == "several":
            return (
                f"It is the chance that at least one of the {self.passages:,} passages below it holds something; "
                "the best of them is explained."
            )
        return "It was judged by itself." if self.basis == "passage" else "The fixed formula decides."

    def _mixture(self) -> str:
        if self.judged is None:
            return ""
        if self.learned is None:
            return "The learned weights weren't asked: by a quick look it isn't among the document's best passages."
        if self.strangeness >= 1:
            return "The document is unlike all that the weights were learned from: the fixed formula decides alone."
        if self.strangeness > 0:
            return (
                f"The document is unlike what the weights were learned from: they count {1 - self.strangeness:.0%}, "
                f"the fixed formula {self.strangeness:.0%}."
            )
        return ""


def explain(
    tree: SummaryTree,
    question: str | Question,
    node_number: int,
    *,
    forest: Forest | None = None,
    lexicons: Sequence[Lexicon] | None = None,
) -> Explanation:
    """Why a node got its relevance. For many nodes of one question an `Explainer` is quicker.

    Args:
        tree: The tree.
        question: The question, parsed or not; with what a routing added, if one did.
        node_number: Which node, by its place in preorder.
        forest: Other weights than those that come with the library.
        lexicons: All that are to be used; those that come with the library if None.

    Raises:
        InputError: The tree has no such node.
    """
    return Explainer(tree, question, forest=forest, lexicons=lexicons).explain(node_number)


class _Step(NamedTuple):
    """Where a node's relevance comes from: which way, from which node, as which candidate, and which share of its."""

    basis: Basis
    source: int
    row: int | None = None
    share: float = 1.0


class Explainer:
    """The estimate of one question over one tree, taken apart.

    Attributes:
        tree: The tree.
        question: As parsed.
        node: The relevance of each node, as `estimate` has it.
    """

    def __init__(
        self,
        tree: SummaryTree,
        question: str | Question,
        *,
        forest: Forest | None = None,
        lexicons: Sequence[Lexicon] | None = None,
    ) -> None:
        self.tree, self._index = tree, tree_index(tree)
        self.question = parse(question) if isinstance(question, str) else question
        self._forest = (forest or shipped_forest()).asked(routed=self.question.is_routed)
        expansion = expand(self.question.text, built_in() if lexicons is None else lexicons)
        self._by_formula = passage_relevance(self._index, self.question)
        self._judgement = judge(self._index, self.question, expansion, self._by_formula, self._forest)
        self._scored = combined(self._index, self._judgement, self._by_formula)
        self._leaf = np.where(tree.leaves.kind == LeafKind.FURNITURE, 0.0, self._scored.leaf)
        self.node: Floats = node_relevance(self._index, self._leaf, self._scored)

    @cached_property
    def _parts(self) -> dict[str, Floats]:
        return formula_parts(self._index, self.question)

    @cached_property
    def _credits(self) -> Credits:
        return self._forest.credits(self._judgement.rows)

    def explain(self, number: int) -> Explanation:
        """Why a node got its relevance.

        Raises:
            InputError: The tree has no such node.
        """
        if not 0 <= number < len(self.tree):
            raise InputError(f"The tree has no node {number}.", f"Its nodes are 0 to {len(self.tree) - 1}.")
        steps = [self._step(number)]
        path = [number]
        while steps[-1].basis in ("below", "several"):
            path.append(steps[-1].source)
            steps.append(self._step(path[-1]))
        found = Explanation(
            node=number,
            relevance=float(self.node[number]),
            basis=steps[0].basis,
            path=tuple(path),
            share=steps[-1].share,
        )
        if steps[-1].basis == "furniture":
            return found
        if steps[0].basis == "several":
            found = replace(found, passages=len(self._largest(number)))
        return self._judged(found, steps[-1])

    def _step(self, number: int) -> _Step:
        """Where a node's relevance comes from: a passage, or the next node on the way to where it does."""
        value, tree = self.node[number], self.tree
        place = _place(self._scored.nodes, number)
        if place is not None and self._scored.probability[place] >= value:
            row = self._candidate(number)
            return _Step(self._own_basis(number, row), number, row)
        children = tree.children(number)
        if not children:
            return self._leaf_step(number)
        best = children[int(np.argmax(self.node[list(children)]))]
        if self.node[best] >= value:
            return _Step("below", best)
        largest = self._largest(number)
        return _Step("several", int(largest[np.argmax(self.node[largest])]))

    def _own_basis(self, number: int, row: int | None) -> Basis:
        if row is None:
            return "formula"
        place = _place(self._by_formula.layer.nodes, number)
        from_formula = self._judgement.rest[place] if place is not None else 0.0
        return "passage" if self._judgement.learned[row] >= from_formula else "formula"

    def _leaf_step(self, number: int) -> _Step:
        leaf, nodes = int(self.tree.nodes.low[number]), self.tree.nodes
        if leaf == nodes.high[number] or self.tree.leaves.kind[leaf] == LeafKind.FURNITURE:
            return _Step("furniture", number)
        candidates, learned = self._judgement.candidates, self._judgement.learned
        for grain, layer in enumerate(self._index.grains):
            passage = int(layer.nodes[layer.of_leaf[leaf]])
            row = np.flatnonzero((candidates.grain == grain) & (candidates.nodes == passage))
            if learned[row].any():
                share = float(leaf_share(layer, self._by_formula.leaf_match)[leaf])
                return _Step("within", passage, int(row[0]), share)
        layer = self._by_formula.layer
        passage = int(layer.nodes[layer.of_leaf[leaf]])
        return _Step("formula", passage, self._candidate(passage))

    def _largest(self, number: int) -> Ints:
        """The largest passages that lie within a node."""
        layer, nodes = self._index.grains[-1], self.tree.nodes
        first, last = np.searchsorted(layer.low, [nodes.low[number], nodes.high[number]])
        return np.asarray(layer.nodes[first:last])

    # -- the passage -------------------------------------------------------------------------------------------

    def _candidate(self, number: int) -> int | None:
        """The row of a node among the candidates, at the grain where it did best; None if it wasn't described."""
        rows = np.flatnonzero(self._judgement.candidates.nodes == number)
        return int(rows[np.argmax(self._judgement.learned[rows])]) if len(rows) else None

    def _judged(self, found: Explanation, step: _Step) -> Explanation:
        """The explanation with what is known of the passage that it comes from."""
        place = _place(self._by_formula.layer.nodes, step.source)
        found = replace(found, judged=step.source, strangeness=self._judgement.strangeness)
        if place is not None:
            parts = tuple((name, float(part[place])) for name, part in self._parts.items())
            found = replace(found, formula=float(self._by_formula.probability[place]), parts=parts)
        return found if step.row is None else self._credited(found, step.row)

    def _credited(self, found: Explanation, row: int) -> Explanation:
        amounts = self._credits.of(row)
        row_values = self._judgement.rows[row].tolist()
        contributions = [
            Contribution(feature=name, meaning=meaning(name), value=value, shown=shown(name, value), amount=amount)
            for name, value, amount in zip(self._forest.features, row_values, amounts.tolist(), strict=True)
        ]
        return replace(
            found,
            learned=float(self._judgement.probability[row]),
            score=float(self._forest.sums(self._judgement.rows[row : row + 1])[0]),
            bias=self._credits.bias,
            contributions=tuple(sorted(contributions, key=lambda one: -abs(one.amount))),
        )


def _place(nodes: Ints, number: int) -> int | None:
    """Where a number stands among ascending ones; None if it doesn't."""
    place = int(np.searchsorted(nodes, number))
    return place if place < len(nodes) and nodes[place] == number else None
