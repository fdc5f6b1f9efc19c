"""What an answering prompt shows: passages under their labels, what holds for all of them, and what else is said.

A prompt is written from a `Turn`, which says what else it tells, and from as much evidence as fits. **It never exceeds
its limit**: passages are cut from their edges, the least relevant first, until it doesn't. Doesn't know replies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierarchy.evidence import Evidence, Passage, numbered, passage_of, runs_of
from hierarchy.relevance import Relevance
from hierarchy.segments import LeafKind
from hierarchy.tables import document_defaults
from hierarchy.templates import Rendered, render
from hierarchy.tokens import Counter
from hierarchy.tree import SummaryTree

__all__ = ["Note", "Paper", "Turn", "shown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a model wrote about a part of the document that isn't shown itself: to be used, but no proof."""

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a prompt says beside the question and the passages.

    Attributes:
        left_tokens: What is left for another round; 0 if there will be none, and the model is told so.
        notes: Summaries of parts that aren't shown.
        missing: What the model missed in the round before; a prompt with it follows up.
        kept: How many of the passages, the first ones, it had quoted then.
    """

    left_tokens: int = 0
    notes: tuple[Note, ...] = ()
    missing: str = ""
    kept: int = 0

    @property
    def stage(self) -> str:
        """The template, and the line of the bill."""
        return "follow_up" if self.missing else "compose"


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """What a prompt is written from, passages apart."""

    tree: SummaryTree
    question: str
    relevance: Relevance
    count: Counter
    folder: Path | str | None
    turn: Turn

    def prompt(self, passages: Sequence[Passage], *, labelled: bool = True) -> tuple[Rendered, dict[str, Any]]:
        """The prompt with these passages, and what it was rendered from."""
        shown = numbered(self.tree, self.relevance, passages)
        if not labelled:
            shown = [{**passage, "heading": "", "page": None, "context": ""} for passage in shown]
        variables = {
            "question": self.question,
            "passages": shown,
            "defaults": _defaults(self.tree, passages) if labelled else "",
            "left": self.turn.left_tokens,
            "notes": [{"title": note.title, "text": note.text} for note in self.turn.notes],
            "missing": self.turn.missing,
            "kept": self.turn.kept,
        }
        return render(self.turn.stage, variables, folder=self.folder), variables


def shown(paper: Paper, evidence: Evidence, most: int) -> tuple[Evidence, Rendered | None, dict[str, Any]]:
    """The evidence that fits, the prompt that shows it, and what that was rendered from; no prompt if none does."""
    for labelled in (True, False):  # where not even one labelled sentence fits, one without labels may
        passages, kept = evidence.passages, paper.turn.kept
        while passages:
            prompt, variables = replace(paper, turn=replace(paper.turn, kept=kept)).prompt(passages, labelled=labelled)
            size = paper.count(prompt.text)
            if size <= most:
                return _trimmed(evidence, passages), prompt, variables
            # Labels go with the passages that go: text is cut in proportion, so as not to cut more than is needed.
            excess = (size - most) * sum(passage.tokens for passage in passages) // size
            passages, kept = _without_least(paper, passages, max(1, excess), kept)
    return _trimmed(evidence, ()), None, {}


def _defaults(tree: SummaryTree, passages: Sequence[Passage]) -> str:
    """What holds for the whole file, where all passages are of one file and some of their figures need it."""
    files = {int(tree.leaves.file[passage.leaves[0]]) for passage in passages}
    rows = any((tree.leaves.kind[slice(*passage.leaves)] == LeafKind.ROW).any() for passage in passages)
    return document_defaults(tree, files.pop()) if rows and len(files) == 1 else ""


def _without_least(
    paper: Paper, passages: Sequence[Passage], tokens: int, first: int
) -> tuple[tuple[Passage, ...], int]:
    """The passages without at least so many tokens of the least relevant; of equals the last go first.

    A passage is cut leaf by leaf at its end, or at its beginning where the leaf there is the less relevant. Those that
    were quoted before, the `first`, go last of all; how many of them are left is returned, too.
    """
    tree, relevance = paper.tree, paper.relevance
    kept = dict(enumerate(passages))
    for index in sorted(kept, key=lambda index: (index < first, passages[index].relevance, -index)):
        if tokens <= 0:
            break
        whole = kept.pop(index)
        low, high = whole.leaves
        while low < high and whole.tokens - int(tree.leaf_edges[high] - tree.leaf_edges[low]) < tokens:
            if relevance.leaf[low] < relevance.leaf[high - 1]:
                low += 1
            else:
                high -= 1
        if low < high:
            kept[index] = passage_of(tree, relevance, low, high)
        tokens -= whole.tokens - int(tree.leaf_edges[high] - tree.leaf_edges[low])
    return tuple(kept[index] for index in sorted(kept)), sum(index < first for index in kept)


def _trimmed(evidence: Evidence, passages: Sequence[Passage]) -> Evidence:
    """The evidence with these passages only; what was left out is no longer evidence, nor read."""
    lost = evidence.tokens - sum(passage.tokens for passage in passages)
    if not lost:
        return evidence
    kept = {leaf for passage in passages for leaf in range(*passage.leaves)}
    order = (
        part for low, high in evidence.order for part in runs_of(leaf for leaf in range(low, high) if leaf in kept)
    )
    note = f"Left out {lost:,} tokens of evidence, the least relevant, to keep the prompt within its limit."
    return replace(evidence, passages=tuple(passages), order=tuple(order), whole=False, notes=(*evidence.notes, note))
