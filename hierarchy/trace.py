"""What happened, in order: one log of events that feeds file, terminal, replay and the answer's receipt alike.

As a file it is JSON lines under a header that names the version::

    {"event": "trace", "version": 2}
    {"event": "started", "question": "…", "document": "10-K.pdf", …, "chain": "5f2c…"}
    {"event": "reserved", "call": 1, "stage": "compose", "tokens": 1860, …, "chain": "09ab…"}

Each line's `chain` is a hash of the line and of the one before it, so that **a byte changed afterwards is found**
(`broken_line`). It isn't a signature: who rewrites all of a trace can chain it anew.

**Reading back what was written gives equal events**, and from the events alone a `Trace` tells usage, grants, reads,
answer and receipt. What the events are is `events`' to say. Doesn't know the clock, the terminal, or who emits.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from hierarchy.budget import NOTHING, Usage
from hierarchy.errors import HierarchyError, StoreError
from hierarchy.events import KINDS, Allocated, Answered, Event, GrantLine, Read, Released, Reserved, Settled

__all__ = ["HEADER", "VERSION", "Chain", "Trace", "broken_line", "event_line"]

E = TypeVar("E", bound=Event)

VERSION = 2
HEADER = json.dumps({"event": "trace", "version": VERSION})
"""The first line of every trace file; write it, then a `Chain.line` for each event as it comes."""

_PLAIN = frozenset({int, float, str, bool, type(None)})
_OLDEST = 1  # Had no chain, no map of the tree, no prompts and replies.
_MOST_DIGITS = 100  # Larger ones can't be divided or drawn.
_LARGE = re.compile(r"[0-9]{100}|[0-9][eE]\+?[0-9]{3}")
_CHAINED = re.compile(r', "chain": "([0-9a-f]{32})"\}\Z')


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
        return "\n".join([HEADER, *map(Chain().line, self.events), ""])

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
                why = "it is no whole JSON" if isinstance(error, json.JSONDecodeError) else error
                raise StoreError(
                    f"Line {number} of the trace is {'cut off or ' if last else ''}damaged: {why}.", hint
                ) from error
        return cls(tuple(events))


class Chain:
    r"""Writes the lines of one trace, each with a hash of itself and all before it.

    Example:
        >>> from hierarchy.events import Kept
        >>> chain = Chain()
        >>> lines = [HEADER, chain.line(Kept(tokens=1)), chain.line(Kept(tokens=2)), ""]
        >>> broken_line("\n".join(lines)), broken_line("\n".join(lines[:2] + [lines[2].replace("2", "3", 1)]))
        (None, 3)
    """

    def __init__(self, header: str = HEADER) -> None:
        self._last = _digest("", header)

    def line(self, event: Event) -> str:
        """An event as the next line, without the line's end.

        Raises:
            StoreError: As `event_line`.
        """
        body = event_line(event)
        self._last = _digest(self._last, body)
        return f'{body[:-1]}, "chain": "{self._last}"}}'


def broken_line(text: str) -> int | None:
    """Number of the first line of a trace that isn't as it was written; None if all are.

    Traces of version 1 have no chain, and nothing can be said of them: line 1.
    """
    header, *lines = text.removesuffix("\n").split("\n")
    if header != HEADER:
        return 1
    last = _digest("", header)
    for number, line in enumerate(lines, 2):
        found = _CHAINED.search(line)
        if found is None or found[1] != (last := _digest(last, line[: found.start()] + "}")):
            return number
    return None


def _digest(before: str, line: str) -> str:
    return hashlib.blake2b(f"{before}{line}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def event_line(event: Event) -> str:
    """One event as a line of JSON, without the line's end; any text fits, in ASCII.

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
        plain = _PLAIN.issuperset(map(type, value))  # as columns over all nodes are, which are long
        return value if plain else [_record(each) for each in value]
    return value


def _check_header(line: str) -> None:
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or header.get("event") != "trace":
        raise StoreError("This is no trace: line 1 isn't a trace's header.", "Traces are what `ask --trace` writes.")
    version = header.get("version")
    if not isinstance(version, int) or isinstance(version, bool) or not _OLDEST <= version <= VERSION:
        newer = isinstance(version, int) and version > VERSION
        hint = "Update hierarchy to read it." if newer else "The header is damaged."
        raise StoreError(f"The trace is of version {version!r}; this is for versions up to {VERSION}.", hint)


def _event(line: str) -> Event:
    # Asked for each number, which takes time; so only where one may be too large to be reckoned with.
    whole, real = (_whole, _finite) if _LARGE.search(line) else (None, None)
    record = json.loads(line, parse_constant=_refuse, parse_int=whole, parse_float=real)
    name = record.pop("event", None) if isinstance(record, dict) else None
    if name is not None:
        record.pop("chain", None)
    kind = _EVENTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"no event is called {name!r}")
    event: Event = _value(kind, record)
    return event


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number")


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"{digits[:20]}… is no number of anything")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits[:20])


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
        if inner[-1] is ... and inner[0] in (int, str) and set(map(type, value)) <= {inner[0]}:
            return tuple(value)  # Columns over all nodes are long.
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
