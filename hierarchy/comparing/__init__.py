"""What two runs read differently, and what that did to the answer: two traces set against each other.

Runs of one document are compared throughout: settings, plan, stretches read, grants, calls, answers, and for each quote
that only one of them has, what kept the other from reading it. Of runs of different documents, figures alone are.

**Stretches are sets of characters**: what only one run read and what both read are disjoint, and together are what
either read. Tokens of a part of a read are its share of that read's, so that they add up as well.

Knows traces alone: no document, no tree, no terminal (`viewer.diffs` draws it).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from hierarchy.comparing.calls import CallPair, CallSide, calls
from hierarchy.comparing.grants import BranchPair, branches
from hierarchy.comparing.quotes import Cited, Unread, citations
from hierarchy.comparing.runs import Difference, Facts, Run, course, differences, run_of, settings
from hierarchy.comparing.stretches import Stretch, reading
from hierarchy.comparing.words import Piece, words
from hierarchy.trace import Trace

__all__ = [
    "BranchPair",
    "CallPair",
    "CallSide",
    "Cited",
    "Comparison",
    "Difference",
    "Piece",
    "Run",
    "Stretch",
    "Unread",
    "compared",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two runs set against each other.

    Attributes:
        same_document: Whether both read the same; if not, all but `first`, `second` and `settings` is left empty.
        same_question: Whether both were asked the same, word for word.
        first: The first in figures.
        second: The second.
        settings: What they were asked with: question, document, budget, models, strategy, version.
        course: How they went about it: plan, terms searched for, what was missed, notes.
        estimated_differently: Of how many nodes they estimated relevance differently.
        both: What both read, in the document's order.
        only_first: What only the first did.
        only_second: What only the second did.
        branches: Grants by branch, in the document's order.
        calls: Requests of both, in the order made.
        text: The answers' text, word for word.
        citations: The quotes of both, in the document's order.
    """

    same_document: bool
    same_question: bool
    first: Run
    second: Run
    settings: tuple[Difference, ...] = ()
    course: tuple[Difference, ...] = ()
    estimated_differently: int = 0
    both: tuple[Stretch, ...] = ()
    only_first: tuple[Stretch, ...] = ()
    only_second: tuple[Stretch, ...] = ()
    branches: tuple[BranchPair, ...] = ()
    calls: tuple[CallPair, ...] = ()
    text: tuple[Piece, ...] = ()
    citations: tuple[Cited, ...] = ()

    @property
    def identical(self) -> bool:
        """Whether nothing differs, but for how long calls took."""
        return (
            self.same_document
            and _timeless(self.first) == _timeless(self.second)
            and not (self.settings or self.course or self.estimated_differently)
            and not (self.only_first or self.only_second)
            and all(each.first_tokens == each.second_tokens for each in self.branches)
            and all(call.same_reply and _timeless(call.first) == _timeless(call.second) for call in self.calls)
            and self.same_answer
        )

    @property
    def same_answer(self) -> bool:
        """Whether the answers are the same to the letter, quotes included."""
        same_text = all(piece.which == "both" for piece in self.text)
        same_kind = (self.first.answered, self.first.abstained) == (self.second.answered, self.second.abstained)
        same_quotes = all(one.first and one.second for one in self.citations)
        return self.same_document and same_kind and same_text and same_quotes

    def to_dict(self) -> dict[str, Any]:
        """As plain values, for JSON."""
        return {**_record(self), "identical": self.identical, "same_answer": self.same_answer}


def compared(first: Trace, second: Trace) -> Comparison:
    """Set two traces against each other.

    Args:
        first: Of any version, cut off or whole.
        second: The same.

    Returns:
        What is the same and what isn't. **Swapping the two swaps `first` and `second` in it, and nothing else.**
    """
    one, other = Facts(first), Facts(second)
    figures = Comparison(
        same_document=one.document == other.document,
        same_question=one.question == other.question,
        first=run_of(one),
        second=run_of(other),
        settings=differences(settings(one.started), settings(other.started)),
    )
    if not figures.same_document:
        return figures
    both, only_first, only_second = reading(one, other)
    return replace(
        figures,
        course=differences(course(first), course(second)),
        estimated_differently=sum(a != b for a, b in zip(one.permille, other.permille, strict=False)),
        both=both,
        only_first=only_first,
        only_second=only_second,
        branches=branches(first.grants(), second.grants()),
        calls=calls(first, second, keyed=not (one.redacted or other.redacted)),
        text=words(one.text, other.text),
        citations=citations(one, other),
    )


def _timeless(value: Run | CallSide | None) -> dict[str, Any]:
    return {name: each for name, each in _record(value).items() if name != "seconds"} if value else {}


def _record(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _record(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _record(each) for key, each in value.items()}
    return [_record(each) for each in value] if isinstance(value, tuple) else value
