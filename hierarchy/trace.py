"""What happened, in order: one log of events that feeds file, terminal, replay and the answer's receipt alike.

As a file it is JSON lines under a header that names the version::

    {"event": "trace", "version": 1}
    {"event": "started", "question": "…", "document": "10-K.pdf", …}
    {"event": "reserved", "call": 1, "stage": "compose", "tokens": 1860, …}

**Reading back what was written gives equal events**, and from the events alone a `Trace` tells usage, grants, reads,
answer and receipt. What the events are is `events`' to say. Doesn't know the clock, the terminal, or who emits.
"""

from __future__ import annotations

import json
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from hierarchy.budget import NOTHING, Usage
from hierarchy.errors import HierarchyError, StoreError
from hierarchy.events import KINDS, Allocated, Answered, Event, GrantLine, Read, Released, Reserved, Settled

__all__ = ["HEADER", "VERSION", "Trace", "event_line"]

E = TypeVar("E", bound=Event)

VERSION = 1
HEADER = json.dumps({"event": "trace", "version": VERSION})
"""The first line of every trace file; write it, then an `event_line` for each event as it comes."""


@dataclass(frozen=True, slots=True)
class Trace:
    """All events of one question, in order; tells from them alone what was spent, granted, read and answered.

    What it tells of a trace that was cut short holds up to the cut.

    Example:
        >>> from hierarchy.events import Noted
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
        return value
    if origin in (Union, types.UnionType):
        return None if value is None else _value(next(each for each in inner if each is not type(None)), value)
    if is_dataclass(kind) and isinstance(value, dict):
        return _dataclass_value(kind, value)
    if origin is tuple and isinstance(value, list):
        kinds = [inner[0]] * len(value) if inner[-1] is ... else inner
        return tuple(_value(one, each) for one, each in zip(kinds, value, strict=True))
    if origin is Mapping and isinstance(value, dict):
        return value
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


_EVENTS = {re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower(): kind for kind in KINDS}
_NAMES = {kind: name for name, kind in _EVENTS.items()}
