"""A trace put together for who wasn't there: calls with their ends, quotes, bill, what was left unread and its price.

The pages that are shared (`share_html`, `share_text`) say the same because both are made from this. Everything here
follows from the events; a trace of version 1, one that was cut off, and one that is redacted have less to tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, TypeVar

from hierarchy.budget import Usage
from hierarchy.events import (
    Allocated,
    Answered,
    Event,
    Finished,
    Mapped,
    Missed,
    ModelFacts,
    Noted,
    Outlined,
    Planned,
    Recalled,
    Released,
    Reserved,
    Retried,
    Searched,
    Settled,
    Started,
    Stopped,
)
from hierarchy.redaction import is_redacted
from hierarchy.trace import Trace
from hierarchy.viewer.sorting import is_gathered, is_refused
from hierarchy.viewer.text import one_line, pages, percent, title

__all__ = ["Call", "Story", "against", "caps", "is_comparable", "last", "share", "usd", "whole"]

T = TypeVar("T")

State = Literal["answered", "failed", "given up", "recalled", "open"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call, from its admission to its end.

    Attributes:
        number: In the trace; None of a reply that was there from an earlier run.
        stage: The line of the bill.
        node: What it was about; empty for the whole document.
        model: Who was called.
        state: How it ended: `answered`, `failed` (billed or not), `given up` before it was sent, `recalled` from an
            earlier run at no cost, or `open` where the trace ends before it does.
        usage: What it was billed; what it once cost if recalled; None while it is open.
        held_tokens: What was held for it.
        overdraft_tokens: What it was billed beyond that.
        seconds: How long it took; None where the model doesn't say.
        cached: Whether a journal or an earlier run had the reply.
        attempt: Which attempt of the same request it is, from 1.
        waited_s: How long was waited before it.
        error: Why there is no reply.
        prompt: What was sent.
        reply: What came back.
    """

    number: int | None
    stage: str
    node: str
    model: str
    state: State
    usage: Usage | None
    held_tokens: int = 0
    overdraft_tokens: int = 0
    seconds: float | None = None
    cached: bool = False
    attempt: int = 1
    waited_s: float = 0.0
    error: str = ""
    prompt: str = ""
    reply: str = ""


@dataclass(frozen=True)
class Story:
    """What a trace tells.

    Attributes:
        trace: The trace.
    """

    trace: Trace

    @cached_property
    def started(self) -> Started | None:
        """What was asked of what, within which caps."""
        return last(self.trace.of(Started))

    @cached_property
    def answered(self) -> Answered | None:
        """The answer."""
        return last(self.trace.of(Answered))

    @cached_property
    def mapped(self) -> Mapped | None:
        """The tree's shape; None in traces of version 1."""
        return last(self.trace.of(Mapped))

    @cached_property
    def gathered(self) -> bool:
        """Whether it tells of context gathered for somebody else's model: it ends without an answer or a call."""
        return is_gathered(self.trace)

    @cached_property
    def refused(self) -> bool:
        """Whether the question was refused before anything was granted."""
        return is_refused(self.trace)

    @cached_property
    def complete(self) -> bool:
        """Whether the trace goes to its end: an answer, context gathered or a refusal, and the books closed."""
        ended = bool(self.trace.of(Finished)) and (self.answered is not None or self.gathered or self.refused)
        return ended and not self.trace.held_tokens()

    @cached_property
    def redacted(self) -> bool:
        """Whether words were taken out of it."""
        return is_redacted(self.trace)

    @property
    def question(self) -> str:
        """As asked; empty if the beginning is missing."""
        return self.started.question if self.started else ""

    @property
    def document(self) -> str:
        """Its name."""
        return self.started.document if self.started else ""

    @property
    def cap_tokens(self) -> int | None:
        """The hard cap in tokens."""
        return self.started.budget.total_tokens if self.started else None

    @cached_property
    def document_tokens(self) -> int:
        """The document's length; 0 if nothing tells it."""
        return self.started.document_tokens if self.started else whole(self.receipt, "document_tokens")

    @cached_property
    def overdraft_tokens(self) -> int:
        """What providers billed beyond what was held."""
        finished = last(self.trace.of(Finished))
        return finished.overdraft_tokens if finished else sum(one.overdraft_tokens for one in self.trace.of(Settled))

    @cached_property
    def receipt(self) -> Mapping[str, Any]:
        """What was read, glanced at and not seen; without an answer, as far as the reads tell."""
        receipt = self.trace.receipt()
        if self.gathered:
            receipt = {"read_tokens": sum(self.granted.values())}
        if self.started and not receipt.get("document_tokens"):
            length, read = self.started.document_tokens, whole(receipt, "read_tokens")
            receipt = {**receipt, "coarse_tokens": 0, "unread_tokens": length - read, "document_tokens": length}
        return receipt

    @cached_property
    def unread(self) -> tuple[Mapping[str, Any], ...]:
        """The parts of which nothing was read, most relevant first."""
        found = self.receipt.get("unread", ())
        return tuple(each for each in found if isinstance(each, Mapping)) if isinstance(found, tuple) else ()

    @cached_property
    def citations(self) -> tuple[Mapping[str, Any], ...]:
        """The quotes that bear the answer."""
        return self.answered.citations if self.answered else ()

    @cached_property
    def outlined(self) -> Outlined | None:
        """The tree's size."""
        return last(self.trace.of(Outlined))

    @cached_property
    def course(self) -> dict[str, Any]:
        """How it was decided to read: `plan`, `searched` and `missed`, as plain values."""
        plan, searched = last(self.trace.of(Planned)), last(self.trace.of(Searched))
        return {
            "plan": asdict(plan) if plan else None,
            "searched": asdict(searched) if searched else None,
            "missed": [asdict(missed) for missed in self.trace.of(Missed)],
        }

    @cached_property
    def notes(self) -> tuple[str, ...]:
        """What its reader should know, each once."""
        notes = [*(self.outlined.notes if self.outlined else ()), *(noted.what for noted in self.trace.of(Noted))]
        notes += [f"Reading was stopped: {stopped.why or 'from outside'}." for stopped in self.trace.of(Stopped)]
        return tuple(dict.fromkeys(note for note in notes if note))

    @cached_property
    def answering(self) -> ModelFacts | None:
        """What was known of the model that answers."""
        models = self.started.models if self.started else ()
        return next((model for model in models if model.role == "answer"), None)

    def input_usd(self, tokens: int) -> float | None:
        """What sending so many tokens to the answering model costs; None where its price isn't known, or nothing."""
        price = self.answering.input_usd if self.answering else None
        return tokens * price if price else None

    @cached_property
    def granted(self) -> Mapping[str, int]:
        """Tokens granted to each node, dotted, in all rounds together: a later one grants again what it keeps."""
        granted: dict[str, int] = {}
        for allocated in self.trace.of(Allocated):
            now: dict[str, int] = {}
            for grant in allocated.grants:
                now[grant.node] = now.get(grant.node, 0) + grant.tokens
            granted |= {node: max(count, granted.get(node, 0)) for node, count in now.items()}
        return granted

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """Every call in the order admitted, replies from earlier runs among them."""
        ends: dict[int, Settled | Released] = {
            event.call: event for event in self.trace if isinstance(event, Settled | Released)
        }
        found, retries = [], list[Retried]()
        attempts: dict[str, int] = {}
        for event in self.trace:
            if isinstance(event, Retried):
                retries.append(event)
            elif isinstance(event, Recalled):
                found.append(_recalled(event))
            elif isinstance(event, Reserved):
                again = _retry_of(event, retries, attempts)
                if again:
                    retries.remove(again)
                found.append(_call(event, ends.get(event.call), again))
                attempts[_what(event)] = event.call
        return tuple(found)

    def place(self, record: Mapping[str, Any]) -> str:
        """Where a quote or a part stands: the file, if there are several, and the page."""
        several = self.started is None or len(self.started.source_names) > 1
        source = one_line(str(record.get("source") or "")) if several else ""
        paged = record.get("pages") or (record.get("page"),)
        sound = isinstance(paged, tuple) and all(isinstance(each, int) for each in paged)
        return " · ".join(filter(None, (source, pages(paged) if sound else "")))

    def named(self, record: Mapping[str, Any]) -> str:
        """What a part is called, on one line."""
        return title(str(record.get("title") or "")) or one_line(str(record.get("node") or "")) or "untitled"


def whole(record: Mapping[str, Any], name: str) -> int:
    """A whole number out of a record; 0 where there is none."""
    value = record.get(name)
    return value if isinstance(value, int) else 0


def share(record: Mapping[str, Any], name: str) -> float:
    """A share out of a record; 0 where there is none."""
    value = record.get(name)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else 0.0


def last(events: Sequence[T]) -> T | None:
    """The last of several; None if there is none."""
    return events[-1] if events else None


def usd(cost: float | None) -> str:
    """A price as people write it; small ones with as many digits as tell something.

    Example:
        >>> usd(1234.5), usd(0.0312), usd(0.000045), usd(0.0), usd(None)
        ('$1,234.50', '$0.0312', '$0.000045', '$0', 'unknown')
    """
    if cost is None:
        return "unknown"
    if not cost:
        return "$0"
    if cost < 1e-6:
        return "under $0.000001"
    digits = 2 if cost >= 1 else 4 if cost >= 0.001 else 6
    return f"${cost:,.{digits}f}"


def caps(story: Story) -> tuple[str, ...]:
    """The caps that were set, one phrase each."""
    if story.started is None:
        return ()
    budget = story.started.budget
    return tuple(
        filter(
            None,
            (
                f"{budget.total_tokens:,} tokens",
                usd(budget.max_cost_usd) if budget.max_cost_usd is not None else "",
                f"{budget.max_seconds:g} seconds" if budget.max_seconds is not None else "",
                f"{budget.max_calls:,} calls" if budget.max_calls is not None else "",
                f"until {budget.stop_when_confident:.0%} sure" if budget.stop_when_confident is not None else "",
            ),
        )
    )


def is_comparable(story: Story) -> bool:
    """Whether a run can be held against reading everything: it came to an answer, and didn't read everything itself."""
    whole = any(planned.way == "whole" for planned in story.trace.of(Planned))
    return story.answered is not None and not whole


def against(story: Story) -> str:
    """What was spent, against sending the whole document once."""
    length, spent = story.document_tokens, story.trace.usage().total_tokens
    if story.answered is not None and not is_comparable(story):
        return "The whole document was sent."
    price = story.input_usd(length)
    costs = f" ({usd(price)})" if price else ""
    if not spent or not is_comparable(story):
        return f"Sending the whole document once would be {length:,} tokens{costs}."
    part = f"{percent(spent / length)} of that" if spent <= length else f"{spent / length:.1f} times that"
    return f"Sending the whole document once would be {length:,} tokens{costs}: {part} was spent."


def _what(event: Reserved) -> str:
    """What tells requests apart; traces of version 1 have no keys."""
    return event.key or f"{event.stage} {event.node}"


def _retry_of(event: Reserved, retries: Sequence[Retried], attempts: Mapping[str, int]) -> Retried | None:
    """The retry that a call is, if it repeats the request of a call that failed."""
    before = attempts.get(_what(event))
    return next((retry for retry in retries if retry.call == before), None)


def _call(event: Reserved, end: Settled | Released | None, again: Retried | None) -> Call:
    settled = end if isinstance(end, Settled) else None
    return Call(
        number=event.call,
        stage=event.stage,
        node=event.node,
        model=event.model,
        state=_state(end),
        usage=end.usage if end else None,
        held_tokens=event.tokens,
        overdraft_tokens=settled.overdraft_tokens if settled else 0,
        seconds=end.seconds if end else None,
        cached=bool(settled and settled.cached),
        attempt=again.attempt if again else 1,
        waited_s=again.wait_s if again else 0.0,
        error=end.error if end else "",
        prompt=event.prompt,
        reply=settled.reply if settled else "",
    )


def _state(end: Event | None) -> State:
    if isinstance(end, Settled):
        return "failed" if end.error else "answered"
    if isinstance(end, Released):
        return "failed" if end.attempted else "given up"
    return "open"


def _recalled(event: Recalled) -> Call:
    return Call(
        number=None,
        stage=event.stage,
        node=event.node,
        model=event.model,
        state="recalled",
        usage=event.usage,
        cached=True,
        prompt=event.prompt,
        reply=event.reply,
    )
