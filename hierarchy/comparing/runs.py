"""One run by itself: what it was asked with, how it went, and its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

from hierarchy.comparing.shape import Held, Shape, held
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Finished,
    Kept,
    Mapped,
    Missed,
    Noted,
    Planned,
    Recalled,
    Released,
    Searched,
    Settled,
    Started,
)
from hierarchy.trace import Trace

__all__ = ["Difference", "Facts", "Run", "course", "differences", "run_of", "settings"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One of the two, in figures.

    Attributes:
        question: As asked; empty if the trace doesn't say.
        document: Its name.
        document_tokens: Its length; None if the trace doesn't say.
        budget_tokens: The cap; None if the trace doesn't say.
        spent_tokens: What all calls were billed.
        input_tokens: Of these, what was sent.
        output_tokens: Of these, what came back.
        calls: Requests sent.
        failed: Of these, those without a reply.
        recalled: Replies that were there already.
        cost_usd: Price of all calls; None where it isn't known.
        seconds: What calls took together, where that was measured; None if none was.
        overdraft_tokens: Billed beyond what was held.
        granted_tokens: By the last allocation.
        read_tokens: What was read counts.
        stretches: How many stretches were read.
        citations: How many quotes the answer has.
        confidence: In [0, 1]; None without an answer.
        abstained: Whether the evidence didn't support an answer.
        partial: Whether reading was cut short.
        answered: Whether there is an answer, an abstention included.
        complete: Whether the trace goes on to its end.
        redacted: Whether words were taken out of the trace: what they were can't be compared.
    """

    question: str = ""
    document: str = ""
    document_tokens: int | None = None
    budget_tokens: int | None = None
    spent_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    failed: int = 0
    recalled: int = 0
    cost_usd: float | None = None
    seconds: float | None = None
    overdraft_tokens: int = 0
    granted_tokens: int = 0
    read_tokens: int = 0
    stretches: int = 0
    citations: int = 0
    confidence: float | None = None
    abstained: bool = False
    partial: bool = False
    answered: bool = False
    complete: bool = False
    redacted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that isn't the same in both.

    Attributes:
        what: Its name, as the trace has it: `budget.total_tokens`, `strategy.policy`, `terms`.
        first: In the first; None if it has none.
        second: In the second.
    """

    what: str
    first: Any
    second: Any


def _last(events: Sequence[T]) -> T | None:
    return events[-1] if events else None


class Facts:
    """A trace, looked through once.

    Args:
        trace: The trace.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.started = _last(trace.of(Started))
        self.answered = _last(trace.of(Answered))
        estimated = [each.relevance_permille for each in trace.of(Estimated) if each.relevance_permille]
        self.permille: tuple[int, ...] = estimated[-1] if estimated else ()
        self.shape = Shape.of(_last(trace.of(Mapped)), self.started)
        self.redacted = bool(self.started and self.started.strategy.get("redacted"))
        self.document = self._document()
        self.question = self.started.question if self.started else ""
        self.text = self.answered.text if self.answered else ""
        self.held = held(trace.reads())

    def _document(self) -> Any:
        """What tells documents apart: their hash, or else their measures."""
        if self.started is None or self.started.document_key:
            return self.started and self.started.document_key
        columns = (self.shape.mapped.starts, self.shape.mapped.ends) if self.shape else ()
        return (self.started.document_tokens, self.started.source_names, columns)

    def place(self, source: str) -> tuple[int, str]:
        """Where a file stands among the document's; those it doesn't name stand behind."""
        names = self.started.source_names if self.started else ()
        return (names.index(source) if source in names else len(names), source)

    def over(self, source: str, start: int, end: int) -> list[Held]:
        """What was read of a stretch."""
        return [one for one in self.held.get(source, ()) if one.start < end and start < one.end]

    def share(self, source: str, start: int, end: int) -> float:
        """Which share of a stretch was read."""
        read = sum(min(one.end, end) - max(one.start, start) for one in self.over(source, start, end))
        return read / max(1, end - start)

    def relevance(self, leaves: Sequence[int], source: str, start: int, end: int) -> float | None:
        """The most that was estimated for any leaf of a stretch, or else for what was read of it; None if unknown."""
        known = [self.permille[leaf] for leaf in leaves if leaf < len(self.permille)]
        if known:
            return max(known) / 1000
        return max((one.read.relevance for one in self.over(source, start, end)), default=None)


def run_of(facts: Facts) -> Run:
    """A run in figures."""
    trace, started, answered = facts.trace, facts.started, facts.answered
    usage = trace.usage()
    ends: list[Settled | Released] = [event for event in trace if isinstance(event, Settled | Released)]
    timed = [event.seconds for event in ends if event.seconds is not None]
    finished = _last(trace.of(Finished))
    return Run(
        question=facts.question,
        document=started.document if started else "",
        document_tokens=started.document_tokens if started else None,
        budget_tokens=started.budget.total_tokens if started else None,
        spent_tokens=usage.total_tokens,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        calls=usage.calls,
        failed=sum(bool(event.error) for event in ends),
        recalled=len(trace.of(Recalled)),
        cost_usd=usage.cost_usd,
        seconds=round(sum(timed), 6) if timed else None,
        overdraft_tokens=sum(event.overdraft_tokens for event in trace.of(Settled)),
        granted_tokens=sum(grant.tokens for grant in trace.grants()),
        read_tokens=sum(one.tokens for parts in facts.held.values() for one in parts),
        stretches=sum(map(len, facts.held.values())),
        citations=len(answered.citations) if answered else 0,
        confidence=answered.confidence if answered else None,
        abstained=bool(answered and answered.abstained),
        partial=bool(answered and answered.partial),
        answered=answered is not None,
        complete=finished is not None,
        redacted=facts.redacted,
    )


def settings(started: Started | None) -> dict[str, Any]:
    """What a question was asked with, flat."""
    if started is None:
        return {}
    named = ("question", "document", "document_key", "document_tokens", "model", "made_by", "shared")
    found = {name: getattr(started, name) for name in named}
    found |= {f"budget.{each.name}": getattr(started.budget, each.name) for each in fields(started.budget)}
    found |= {f"strategy.{name}": value for name, value in started.strategy.items()}
    for model in started.models:
        known = {each.name: getattr(model, each.name) for each in fields(model) if each.name != "role"}
        found |= {f"models.{model.role}.{name}": value for name, value in known.items()}
    return found


def course(trace: Trace) -> dict[str, Any]:
    """How a run went about it, flat."""
    found: dict[str, Any] = {}
    if estimated := _last(trace.of(Estimated)):
        found |= {name: getattr(estimated, name) for name in ("document_kind", "question_kind", "vocabulary")}
        found["answerable"] = estimated.answerable
    if planned := _last(trace.of(Planned)):
        found |= {f"plan.{each.name}": getattr(planned, each.name) for each in fields(planned)}
    if searched := _last(trace.of(Searched)):
        found |= {each.name: getattr(searched, each.name) for each in fields(searched)}
    if allocated := _last(trace.of(Allocated)):
        found |= {"policy": allocated.policy, "tokens to divide": allocated.budget_tokens}
    if kept := _last(trace.of(Kept)):
        found["kept for the answer"] = kept.tokens
    found["missed"] = tuple(event.what for event in trace.of(Missed))
    found["notes"] = tuple(event.what for event in trace.of(Noted))
    return found


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What differs, by name; what is empty is as good as absent."""
    names = sorted(first.keys() | second.keys())
    found = (Difference(what=name, first=first.get(name), second=second.get(name)) for name in names)
    return tuple(one for one in found if (one.first or None) != (one.second or None))
