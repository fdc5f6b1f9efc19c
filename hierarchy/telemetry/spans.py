"""The spans of a trace: what stands where, and when."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hierarchy.events import Answered, Estimated, Event, Mapped, Read, Recalled, Released, Reserved, Retried, Settled
from hierarchy.telemetry.telling import (
    BUILT_IN,
    Value,
    at,
    called,
    clean,
    exchanged,
    last,
    messages,
    moment,
    plain,
    recalled,
    whole,
    words,
)
from hierarchy.trace import Trace

__all__ = ["Moment", "Span", "spans_of"]

_INSTANT_NS = 1_000
"""How long a span is whose duration nobody measured: just so much that the order of spans shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """Something that happened within a span.

    Attributes:
        name: What.
        at_ns: When, in nanoseconds since 1970.
        attributes: Details.
    """

    name: str
    at_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A stretch of a question's work.

    Attributes:
        trace_id: The question's, in 32 hexadecimal digits.
        id: Its own, in 16.
        parent: The id of the span that it is part of; empty for the root.
        name: Of few kinds, so that spans can be counted by it.
        kind: `client` for a call to a provider, else `internal`.
        start_ns: Its beginning, in nanoseconds since 1970.
        end_ns: Its end.
        attributes: Details.
        events: What happened within it, in order.
        status: `error` or `unset`.
        message: What went wrong, as far as that may be told.
    """

    trace_id: str
    id: str
    parent: str
    name: str
    kind: str = "internal"
    start_ns: int
    end_ns: int
    attributes: Mapping[str, Value] = field(default_factory=dict)
    events: tuple[Moment, ...] = ()
    status: str = "unset"
    message: str = ""


def spans_of(trace: Trace, *, ended_at: float | None = None, content: bool = False) -> tuple[Span, ...]:
    """The spans of one question, the root first; parents stand before their children.

    Args:
        trace: Of any version, cut off or whole.
        ended_at: When the question was answered, in seconds since 1970; without, the root begins at 0.
        content: Whether to tell question, prompts, replies, answer, quotes, titles and names of files, too.

    Raises:
        StoreError: The trace holds what no file could.
    """
    spans = _Telling(trace, content).spans()
    if ended_at is None:
        return spans
    shift = max(0, int(ended_at * 1e9) - spans[0].end_ns)
    return tuple(
        replace(
            span,
            start_ns=span.start_ns + shift,
            end_ns=span.end_ns + shift,
            events=tuple(replace(moment, at_ns=moment.at_ns + shift) for moment in span.events),
        )
        for span in spans
    )


# -- from events to spans ----------------------------------------------------------------------------------------------


class _Telling:
    """Lays the spans of a trace out one after another."""

    def __init__(self, trace: Trace, content: bool) -> None:
        self.trace, self.content = trace, content
        self.trace_id = _digest(trace.to_jsonl(), 16)
        self.root = self._id("root")
        self.branches = _Branches(trace)
        self.clock_ns = 0
        self.ends = {event.call: event for event in trace if isinstance(event, Settled | Released)}
        self.calls: list[Span] = []
        self.moments: list[Moment] = []
        self.times: dict[str, tuple[int, int]] = {}

    def spans(self) -> tuple[Span, ...]:
        """All of them, the root first."""
        for number, event in enumerate(self.trace):
            self._take(number, event)
        end_ns = max(self.clock_ns, _INSTANT_NS)
        cut = not self.trace.of(Answered)
        root = self._span(
            "root",
            "",
            "hierarchy.ask",
            (0, end_ns),
            {**whole(self.trace), **(words(self.trace) if self.content else {})},
        )
        root = replace(root, events=tuple(self.moments))
        if cut:
            root = replace(root, status="error", message="The trace ends before an answer.")
        branches = []
        for node in sorted(self.times, key=_order):
            name, told = self.branches.told(node, self.content)
            branches.append(self._span(f"branch {node}", self._above(node), name, self.times[node], told))
        return (root, *branches, *self.calls)

    def _take(self, number: int, event: Event) -> None:
        if isinstance(event, Reserved):
            end = self.ends.get(event.call)
            if isinstance(end, Released) and not end.attempted:
                self._note("hierarchy.call.given_up", {"hierarchy.stage": event.stage})
                return
            times = self._spend(end.seconds if end else None)
            self._call(number, event, times, called(event, end), exchanged(event.prompt, end) if self.content else {})
        elif isinstance(event, Recalled):
            said = messages(event.prompt, event.reply) if self.content else {}
            self._call(number, event, self._spend(None), recalled(event), said)
        elif isinstance(event, Read):
            self._cover(event.node, self._spend(None))
        else:
            if isinstance(event, Retried):
                self.clock_ns += _nanoseconds(event.wait_s)
            if told := moment(event, self.content):
                self._note(*told)

    def _call(
        self,
        number: int,
        event: Reserved | Recalled,
        times: tuple[int, int],
        told: dict[str, Any],
        words: dict[str, Any],
    ) -> None:
        self._cover(event.node, times)
        attributes = {**told, **words, "hierarchy.stage": event.stage, "hierarchy.node": event.node or "0"}
        if self.content and event.key:
            attributes["hierarchy.request.key"] = event.key
        name = f"chat {attributes['gen_ai.request.model']}"
        span = self._span(f"call {number}", self._own(event.node), name, times, attributes)
        away = event.model != BUILT_IN and isinstance(event, Reserved)
        span = replace(span, kind="client" if away else "internal")
        if error := told.get("error.type"):
            end = self.ends.get(event.call) if isinstance(event, Reserved) else None
            message = end.error if end and self.content else str(error)
            span = replace(span, status="error", message=clean(message))
        self.calls.append(span)

    def _span(self, what: str, parent: str, name: str, times: tuple[int, int], attributes: Mapping[str, Any]) -> Span:
        return Span(
            trace_id=self.trace_id,
            id=self._id(what),
            parent=parent,
            name=clean(name),
            start_ns=times[0],
            end_ns=times[1],
            attributes=plain({**attributes, "hierarchy.synthetic_times": True}),
        )

    def _spend(self, seconds: float | None) -> tuple[int, int]:
        """The next stretch of time."""
        start_ns = self.clock_ns
        self.clock_ns += _nanoseconds(seconds)
        return start_ns, self.clock_ns

    def _cover(self, node: str, times: tuple[int, int]) -> None:
        """Make the branches that a node is in last as long as what is done about it."""
        for branch in self.branches.above(node):
            start_ns, end_ns = self.times.get(branch, times)
            self.times[branch] = min(start_ns, times[0]), max(end_ns, times[1])

    def _own(self, node: str) -> str:
        """The span that what is done about a node is part of."""
        branches = self.branches.above(node)
        return self._id(f"branch {branches[-1]}") if branches else self.root

    def _above(self, node: str) -> str:
        branches = self.branches.above(node)
        return self._id(f"branch {branches[-2]}") if len(branches) > 1 else self.root

    def _note(self, name: str, attributes: Mapping[str, Any]) -> None:
        self.moments.append(Moment(name=name, at_ns=self.clock_ns, attributes=plain(attributes)))

    def _id(self, what: str) -> str:
        return _digest(f"{self.trace_id} {what}", 8)


class _Branches:
    """The branches of the tree that are spans: what was read or asked about, and the sections above it."""

    def __init__(self, trace: Trace) -> None:
        mapped = last(trace.of(Mapped))
        self._mapped = mapped
        self._numbers = _numbers(mapped.parents) if mapped else {}
        titles = mapped.titles if mapped else {}
        self._titled = {node for node, number in self._numbers.items() if str(number) in titles and number}
        asked = {event.node for event in trace if isinstance(event, Reserved | Recalled | Read)}
        self._own = {node for node in asked if node not in ("", "0")}
        estimated = [event.relevance_permille for event in trace.of(Estimated) if event.relevance_permille]
        self._permille = estimated[-1] if estimated else ()
        self._granted, self._read = self._sums(trace.grants()), self._sums(trace.reads())
        self._reads: dict[str, list[Read]] = defaultdict(list)
        for read in trace.reads():
            self._reads[read.node].append(read)

    def above(self, node: str) -> list[str]:
        """The branches that a node is in, outermost first, itself included."""
        if node in ("", "0"):
            return []
        return [one for one in _prefixes(node) if one in self._own or self._divides(one)]

    def _divides(self, node: str) -> bool:
        return node in self._titled if self._mapped else node.count(".") == 1

    def _sums(self, lines: Iterable[Any]) -> dict[str, int]:
        """Tokens by node, those of all nodes below included."""
        found: dict[str, int] = {}
        for line in lines:
            for node in _prefixes(line.node):
                found[node] = found.get(node, 0) + line.tokens
        return found

    def told(self, node: str, content: bool) -> tuple[str, dict[str, Any]]:
        """A branch's name and attributes."""
        number, mapped = self._numbers.get(node), self._mapped
        found: dict[str, Any] = {"hierarchy.node": node}
        kind = "branch"
        if mapped is not None and number is not None:
            kind = at(mapped.kind_names, at(mapped.kinds, number, -1), kind)
            found |= {"hierarchy.kind": kind, "hierarchy.tokens": at(mapped.tokens, number, 0)}
            found["hierarchy.page"] = at(mapped.pages, number, 0) or None
            found["hierarchy.title"] = str(mapped.titles.get(str(number), "")) or None
        permille = at(self._permille, number, None) if number is not None else None
        found["hierarchy.relevance"] = None if permille is None else permille / 1000
        found["hierarchy.granted_tokens"] = self._granted.get(node, 0)
        found["hierarchy.read_tokens"] = self._read.get(node, 0)
        if reads := self._reads.get(node):
            found["hierarchy.reads"] = len(reads)
            found["hierarchy.source"] = reads[0].source
        if not content:
            found.pop("hierarchy.title", None)
            found.pop("hierarchy.source", None)
        return f"hierarchy.{kind if re.fullmatch('[a-z]{1,20}', kind) else 'branch'}", found


def _numbers(parents: Sequence[int]) -> dict[str, int]:
    """Nodes' numbers by their dotted ids; none if the columns make no tree."""
    names = ["0"]
    children = [0] * len(parents)
    for number, parent in enumerate(parents[1:], 1):
        if not 0 <= parent < number:
            return {}
        names.append(f"{names[parent]}.{children[parent]}")
        children[parent] += 1
    return {name: number for number, name in enumerate(names[: len(parents)])}


def _prefixes(node: str) -> Iterator[str]:
    """A node and all above it but the root, outermost first."""
    parts = node.split(".")
    return (".".join(parts[:count]) for count in range(2, len(parts) + 1))


def _order(node: str) -> tuple[tuple[int, ...], str]:
    return tuple(int(part) if part.isascii() and part.isdigit() else 0 for part in node.split(".")), node


def _nanoseconds(seconds: float | None) -> int:
    return max(_INSTANT_NS, int(min(seconds, 1e8) * 1e9)) if seconds and seconds > 0 else _INSTANT_NS


def _digest(text: str, size: int) -> str:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=size).hexdigest()
