"""What was asked of models: the same requests, and those that one run alone made."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import Any

from hierarchy.events import Recalled, Released, Reserved, Settled
from hierarchy.trace import Trace

__all__ = ["CallPair", "CallSide", "calls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSide:
    """A call as one of the runs made it.

    Attributes:
        reserved_tokens: What was held; 0 for a reply that was there already.
        input_tokens: Billed as input; for a reply that was there already, when it was made.
        output_tokens: Billed as output.
        cost_usd: What it cost; None where that isn't known.
        seconds: How long it took; None where nobody measured.
        error: Why there is no reply; empty if there is one.
        recalled: Whether the reply was there already and cost nothing now.
        open: Whether the trace has no end of it.
    """

    reserved_tokens: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    seconds: float | None = None
    error: str = ""
    recalled: bool = False
    open: bool = False

    @property
    def total_tokens(self) -> int:
        """Input and output together."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class CallPair:
    """One request: made by both, or by one alone.

    Attributes:
        stage: The line of the bill.
        node: What it is about, dotted; empty for the whole tree.
        model: Who is called.
        key: Content hash of the request; empty in traces of version 1, where requests of equal size count as the same.
        first: As the first made it; None if it didn't.
        second: As the second did.
        same_reply: Whether the same came back; None if only one made it.
    """

    stage: str
    node: str
    model: str
    key: str
    first: CallSide | None
    second: CallSide | None
    same_reply: bool | None


_Made = tuple[Reserved | Recalled, CallSide, str]
"""A call, its bill and its reply."""


def calls(first: Trace, second: Trace, *, keyed: bool = True) -> tuple[CallPair, ...]:
    """The requests of both; a request made more than once is paired in the order made.

    Args:
        first: A trace.
        second: Another.
        keyed: Whether equal keys are equal requests. If not, or where a trace has no keys, size decides.
    """
    sides = _made(first), _made(second)
    if not keyed or not all(event.key for side in sides for event, *_ in side):
        sides = _keyless(sides[0]), _keyless(sides[1])
    waiting: dict[Any, list[int]] = defaultdict(list)
    for place, (event, *_) in enumerate(sides[1]):
        waiting[_request(event)].append(place)
    found: list[tuple[tuple[int, int], CallPair]] = []
    for place, made in enumerate(sides[0]):
        same = waiting[_request(made[0])]
        other = same.pop(0) if same else None
        key = (place, 2 * place + 1) if other is None else (min(place, other), max(place, other))
        found.append((key, _pair(made, None if other is None else sides[1][other])))
    for places in waiting.values():
        found += [((place, 2 * place + 1), _pair(None, sides[1][place])) for place in places]
    return tuple(pair for _, pair in sorted(found, key=lambda one: (one[0], one[1].key)))


def _keyless(made: list[_Made]) -> list[_Made]:
    return [(replace(event, key=""), side, reply) for event, side, reply in made]


def _request(event: Reserved | Recalled) -> tuple[Any, ...]:
    if event.key:
        return (event.key,)
    size = (event.input_tokens, event.max_output_tokens) if isinstance(event, Reserved) else ()
    return (event.stage, event.node, event.model, *size)


def _made(trace: Trace) -> list[_Made]:
    ends = {event.call: event for event in trace if isinstance(event, Settled | Released)}
    found: list[_Made] = []
    for event in trace:
        if isinstance(event, Recalled):
            usage = event.usage
            side = CallSide(input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, recalled=True)
            found.append((event, side, event.reply))
        elif isinstance(event, Reserved):
            end = ends.get(event.call)
            side = CallSide(
                reserved_tokens=event.tokens,
                input_tokens=end.usage.input_tokens if end else 0,
                output_tokens=end.usage.output_tokens if end else 0,
                cost_usd=end.usage.cost_usd if end else None,
                seconds=end.seconds if end else None,
                error=end.error if end else "",
                recalled=isinstance(end, Settled) and end.cached,
                open=end is None,
            )
            found.append((event, side, end.reply if isinstance(end, Settled) else ""))
    return found


def _pair(first: _Made | None, second: _Made | None) -> CallPair:
    made = first or second
    assert made is not None
    event = made[0]
    return CallPair(
        stage=event.stage,
        node=event.node,
        model=event.model,
        key=event.key,
        first=first[1] if first else None,
        second=second[1] if second else None,
        same_reply=first[2] == second[2] if first and second else None,
    )
