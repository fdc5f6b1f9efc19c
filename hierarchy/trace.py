"""What happened, in order: one log of typed events that feeds file, terminal, replay and the answer's receipt alike.

An event holds plain values only, so that a trace can be read without the document, the tree or a model. As a file it
is JSON lines under a header that names the version::

    {"event": "trace", "version": 1}
    {"event": "started", "question": "…", "document": "10-K.pdf", …}
    {"event": "reserved", "call": 1, "stage": "compose", "tokens": 1860, …}

**Reading back what was written gives equal events**, and from the events alone a `Trace` tells usage, grants, reads,
answer and receipt. Nodes are named as they are shown, `0.2.10`. Doesn't know the clock, the terminal, or who emits.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hierarchy.budget import NOTHING, Budget, Ledger, Reservation, Usage
from hierarchy.errors import HierarchyError, StoreError

__all__ = [
    "HEADER",
    "VERSION",
    "Allocated",
    "Answered",
    "Branch",
    "Estimated",
    "Event",
    "Finished",
    "GrantLine",
    "HandedBack",
    "Kept",
    "Noted",
    "Outlined",
    "Read",
    "Released",
    "Reserved",
    "Settled",
    "Started",
    "Trace",
    "dotted",
    "event_line",
]

E = TypeVar("E", bound="Event")

VERSION = 1
HEADER = json.dumps({"event": "trace", "version": VERSION})
"""The first line of every trace file; write it, then an `event_line` for each event as it comes."""


def dotted(node: tuple[int, ...]) -> str:
    """A node's id as events write it.

    Example:
        >>> dotted((0, 2, 10))
        '0.2.10'
    """
    return ".".join(map(str, node))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Record:
    def __post_init__(self) -> None:
        """Make every value one that JSON gives back as it was: lists become tuples, numpy's numbers plain ones."""
        for each in fields(self):
            object.__setattr__(self, each.name, _plain(getattr(self, each.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(_Record):
    """Something that happened. Fields take lists and numpy's numbers too, and hold tuples and plain numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(_Record):
    """A node among others, in an event about several.

    Attributes:
        node: Its id, dotted.
        title: What a reader would call it.
        relevance: Estimated probability that it holds needed evidence.
    """

    node: str
    title: str
    relevance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLine(_Record):
    """Tokens granted to one node.

    Attributes:
        node: Its id, dotted.
        title: What a reader would call it.
        tokens: How many it may be read for.
        gain: Expected evidence that the grant adds.
        pages: First and last page; None without pages.
    """

    node: str
    title: str
    tokens: int
    gain: float = 0.0
    pages: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A question was asked.

    Attributes:
        question: As asked.
        document: Name of the document or folder.
        source_names: Its files, in order.
        document_key: Content hash of the document.
        document_tokens: Its length.
        budget: All caps.
        model: Who composes, as litellm spells it, or `extractive`.
        strategy: Names and values of what was chosen: policy, thresholds, rounds.
    """

    question: str
    document: str
    source_names: tuple[str, ...]
    document_key: str
    document_tokens: int
    budget: Budget
    model: str
    strategy: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined(Event):
    """The tree is there.

    Attributes:
        nodes: How many, leaves included.
        leaves: How many.
        depth: Edges from the root to the deepest leaf.
        notes: What had to be guessed when reading the document.
    """

    nodes: int
    leaves: int
    depth: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated(Event):
    """Relevance was estimated for every node.

    Attributes:
        document_kind: What kind of document it was taken for.
        question_kind: What kind of question.
        top: The nodes thought most relevant, best first.
        answerable: Estimated probability that the document holds an answer; None if not estimated.
    """

    document_kind: str = ""
    question_kind: str = ""
    top: tuple[Branch, ...] = ()
    answerable: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated(Event):
    """Tokens were divided over the tree. A later allocation replaces an earlier one.

    Attributes:
        policy: Its name.
        budget_tokens: What there was to divide.
        grants: Who got how much, in the order granted.
    """

    policy: str
    budget_tokens: int
    grants: tuple[GrantLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Event):
    """The composer's share was set aside.

    Attributes:
        tokens: How many.
    """

    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Event):
    """A call was admitted: its worst case is held.

    Attributes:
        call: Its number, by which it is settled or released.
        stage: The line of the bill.
        node: What it is about, dotted; empty for the whole tree.
        input_tokens: What the prompt counts.
        max_output_tokens: The cap on the reply.
        tokens: What is held.
    """

    call: int
    stage: str
    node: str = ""
    input_tokens: int
    max_output_tokens: int
    tokens: int

    @classmethod
    def of(cls, reservation: Reservation, *, node: tuple[int, ...] | None = None) -> Reserved:
        """The event of a reservation just made."""
        return cls(
            call=reservation.number,
            stage=reservation.stage,
            node=dotted(node or ()),
            input_tokens=reservation.input_tokens,
            max_output_tokens=reservation.max_output_tokens,
            tokens=reservation.tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Event):
    """A call that was sent came back, or failed.

    Attributes:
        call: Its number.
        usage: What the ledger settled it at.
        overdraft_tokens: By how much that exceeds what was held.
        cached: Whether the reply was taken from a journal and cost nothing.
        error: Why there is no reply; empty if there is one.
    """

    call: int
    usage: Usage
    overdraft_tokens: int = 0
    cached: bool = False
    error: str = ""

    @classmethod
    def of(cls, reservation: Reservation, usage: Usage | None, *, error: str = "") -> Settled:
        """The event of a reservation settled at what the provider reports."""
        return cls(
            call=reservation.number,
            usage=reservation.billed(usage),
            overdraft_tokens=reservation.overdraft_tokens(usage),
            error=error,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """A call was given up at no tokens.

    Attributes:
        call: Its number.
        attempted: Whether it was sent, and refused without being billed; it then counts as a call.
    """

    call: int
    attempted: bool = False

    @property
    def usage(self) -> Usage:
        """What it counts on the bill."""
        return Usage(calls=int(self.attempted), cost_usd=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Event):
    """A stretch of the document was read verbatim.

    Attributes:
        node: Id of the smallest node that holds all of it, dotted.
        source: Name of the file.
        start: First character in the file's text.
        end: One past the last.
        page: Page of its first character; None without pages.
        tokens: What it counts.
        relevance: Estimated probability that it holds needed evidence.
    """

    node: str
    source: str
    start: int
    end: int
    page: int | None = None
    tokens: int
    relevance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedBack(Event):
    """A grant wasn't used up.

    Attributes:
        node: Whose, dotted; empty for the whole tree.
        tokens: How many went back.
        why: In a few words.
    """

    node: str
    tokens: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something was worse than it might have been: a failed call, a repaired reply, a guess.

    Attributes:
        what: One sentence for the user.
    """

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """There is an answer.

    Attributes:
        text: The answer; empty if abstained.
        abstained: Whether the evidence didn't support one.
        confidence: In [0, 1].
        partial: Whether reading was cut short.
        citations: As `answer.citations`, each a mapping: quote, source, page, start, end, verified.
        receipt: What was read, seen coarsely, and not seen, as the answer's receipt writes it.
    """

    text: str
    abstained: bool = False
    confidence: float = 0.0
    partial: bool = False
    citations: tuple[Mapping[str, Any], ...] = ()
    receipt: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """The last event: the ledger as it was left.

    Attributes:
        usage: Everything billed.
        by_stage: What each stage was billed.
        remaining_tokens: What the question didn't need, a kept share included.
        overdraft_tokens: What providers billed beyond reservations.
    """

    usage: Usage
    by_stage: tuple[tuple[str, Usage], ...] = ()
    remaining_tokens: int = 0
    overdraft_tokens: int = 0

    @classmethod
    def of(cls, ledger: Ledger) -> Finished:
        """The event of a ledger whose calls are all closed."""
        return cls(
            usage=ledger.spent,
            by_stage=ledger.by_stage,
            remaining_tokens=ledger.remaining_tokens + ledger.kept_tokens,
            overdraft_tokens=ledger.overdraft_tokens,
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """All events of one question, in order; tells from them alone what was spent, granted, read and answered.

    What it tells of a trace that was cut short holds up to the cut.

    Example:
        >>> trace = Trace((Noted(what="The file has no bookmarks."),)).with_event(Answered(text="1,577"))
        >>> Trace.from_jsonl(trace.to_jsonl()) == trace, trace.answer()["text"]
        (True, '1,577')
    """

    events: tuple[Event, ...] = ()

    def __iter__(self) -> Iterator[Event]:
        """The events, in order."""
        return iter(self.events)

    def __len__(self) -> int:
        """How many events there are."""
        return len(self.events)

    def with_event(self, event: Event) -> Trace:
        """This trace and one more event."""
        return Trace((*self.events, event))

    def of(self, kind: type[E]) -> tuple[E, ...]:
        """The events of one type, in order."""
        return tuple(event for event in self.events if isinstance(event, kind))

    def usage(self) -> Usage:
        """What all calls were billed, summed from the calls themselves rather than taken from the last event."""
        return sum((usage for _, usage in self.usage_by_stage()), NOTHING)

    def usage_by_stage(self) -> tuple[tuple[str, Usage], ...]:
        """What each stage was billed, in the order in which they first reserved."""
        stage_of = {event.call: event.stage for event in self.of(Reserved)}
        bills = dict.fromkeys(stage_of.values(), NOTHING)
        for event in self.events:
            if isinstance(event, Settled | Released):
                stage = stage_of.get(event.call, "")
                bills[stage] = bills.get(stage, NOTHING) + event.usage
        return tuple((stage, bill) for stage, bill in bills.items() if bill != NOTHING)

    def held_tokens(self) -> int:
        """What calls without an end hold; zero in a trace that is whole."""
        closed = {event.call for event in self.events if isinstance(event, Settled | Released)}
        return sum(event.tokens for event in self.of(Reserved) if event.call not in closed)

    def grants(self) -> tuple[GrantLine, ...]:
        """The grants of the last allocation."""
        allocated = self.of(Allocated)
        return allocated[-1].grants if allocated else ()

    def reads(self) -> tuple[Read, ...]:
        """Everything read verbatim, in the order read."""
        return self.of(Read)

    def answer(self) -> dict[str, Any]:
        """The last answer as a mapping; empty if there is none."""
        answered = self.of(Answered)
        return {each.name: getattr(answered[-1], each.name) for each in fields(Answered)} if answered else {}

    def receipt(self) -> dict[str, Any]:
        """The answer's receipt; of a trace without an answer, what had been read by then."""
        answered = self.of(Answered)
        return dict(answered[-1].receipt) if answered else {"read_tokens": sum(read.tokens for read in self.reads())}

    def to_jsonl(self) -> str:
        """The trace as a file's text: the header, then a line for each event.

        Raises:
            StoreError: An event holds what JSON has no place for, such as infinity.
        """
        return "\n".join([HEADER, *map(event_line, self.events), ""])

    @classmethod
    def from_jsonl(cls, text: str, *, partial: bool = False) -> Trace:
        """Read a trace.

        Args:
            text: What `to_jsonl` wrote.
            partial: Leave out a damaged last line, as a process that was killed leaves it behind.

        Raises:
            StoreError: It is no trace, one of a newer version, or a line is damaged; says which.
        """
        header, *lines = text.removesuffix("\n").split("\n")
        _check_header(header)
        events = []
        for number, line in enumerate(lines, 2):
            try:
                events.append(_event(line))
            except (ValueError, TypeError, RecursionError, HierarchyError) as error:
                last = number == len(lines) + 1
                if partial and last:
                    break
                hint = "Read what stands before it with partial=True." if last else "Ask the question again."
                raise StoreError(
                    f"Line {number} of the trace is {'cut off or ' if last else ''}damaged: {error}", hint
                ) from error
        return cls(tuple(events))


def event_line(event: Event) -> str:
    """One event as a line of a trace file, without the line's end; any text fits, in ASCII.

    Raises:
        StoreError: It holds what JSON has no place for, such as infinity.
    """
    record = {"event": _NAMES[type(event)], **_record(event)}
    try:
        return json.dumps(record, allow_nan=False)
    except (ValueError, TypeError) as error:
        raise StoreError(f"A {record['event']} event can't be written: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(each) for each in value)
    # numpy's numbers hold Python's; asking for the method spares importing numpy to ask for the type.
    return value.item() if hasattr(value, "item") else value


def _record(value: Any) -> Any:
    if is_dataclass(value):
        return {each.name: _record(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Mapping):
        return {key: _record(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [_record(each) for each in value]
    return value


def _check_header(line: str) -> None:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("event") != "trace":
        raise StoreError("This is no trace: line 1 isn't a trace's header.", "Traces are what `ask --trace` writes.")
    version = header.get("version")
    if version != VERSION:
        newer = isinstance(version, int) and version > VERSION
        hint = "Update hierarchy to read it." if newer else "The header is damaged."
        raise StoreError(f"The trace is of version {version!r}; this is for version {VERSION}.", hint)


def _event(line: str) -> Event:
    record = json.loads(line, parse_constant=_refuse)
    name = record.pop("event", None) if isinstance(record, dict) else None
    kind = _EVENTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"no event is called {name!r}")
    event: Event = _value(kind, record)
    return event


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _value(kind: Any, value: Any) -> Any:
    """Give a value read from JSON the type that a field declares, or raise."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return _plain(value)
    if origin in (Union, types.UnionType):
        return None if value is None else _value(next(each for each in inner if each is not type(None)), value)
    if is_dataclass(kind) and isinstance(value, dict):
        return _dataclass_value(kind, value)
    if origin is tuple and isinstance(value, list):
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(_value(one, each) for one, each in zip(kinds, value, strict=True))
    if origin is Mapping and isinstance(value, dict):
        return _plain(value)
    accepted = (int, float) if kind is float else kind
    if origin is None and isinstance(value, accepted) and isinstance(value, bool) == (kind is bool):
        return value
    raise ValueError(f"{value!r:.60} where {getattr(kind, '__name__', kind)} belongs")


def _dataclass_value(kind: Any, record: dict[str, Any]) -> Any:
    hints = _hints(kind)
    declared = {each.name: each for each in fields(kind)}
    if unknown := record.keys() - declared.keys():
        raise ValueError(f"{kind.__name__} has no {min(unknown)}")
    for name, each in declared.items():
        if name not in record and each.default is MISSING and each.default_factory is MISSING:
            raise ValueError(f"{kind.__name__} lacks {name}")
    return kind(**{name: _value(hints[name], value) for name, value in record.items()})


@lru_cache(maxsize=64)
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


_KINDS: tuple[type[Event], ...] = (
    Started,
    Outlined,
    Estimated,
    Allocated,
    Kept,
    Reserved,
    Settled,
    Released,
    Read,
    HandedBack,
    Noted,
    Answered,
    Finished,
)
_EVENTS = {re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in _KINDS}
_NAMES = {kind: name for name, kind in _EVENTS.items()}
