"""Each event in a line, as somebody would tell it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Event,
    Finished,
    HandedBack,
    Kept,
    Mapped,
    Missed,
    Noted,
    Outlined,
    Planned,
    Read,
    Recalled,
    Released,
    Reserved,
    Retried,
    Searched,
    Settled,
    Started,
)
from hierarchy.viewer.text import one_line, probability, tokens

__all__ = ["headline"]

_MOST = 500


def headline(event: Event) -> str:
    """An event in a line, safe to show.

    Example:
        >>> headline(Kept(tokens=369))
        'Kept 369 tokens for the answer'
    """
    tell = _TELL.get(type(event))
    return one_line(tell(event)[:_MOST]) if tell else ""


def _estimated(event: Estimated) -> str:
    best = f", best {probability(event.top[0].relevance)}" if event.top else ""
    return f"Relevance of {len(event.relevance_permille) or len(event.top):,} nodes{best}"


def _granted(event: Allocated) -> str:
    return f"Granted {tokens(sum(one.tokens for one in event.grants))} to {len(event.grants):,} nodes"


def _read(event: Read) -> str:
    return f"Read {tokens(event.tokens)}{f' on page {event.page}' if event.page else ''} of {event.source}"


def _with(lead: str, why: str) -> str:
    return f"{lead}: {why}" if why else lead


_TELL: Mapping[type[Event], Callable[[Any], str]] = {
    Started: lambda event: _with("Asked", event.question),
    Outlined: lambda event: f"A tree of {event.nodes:,} nodes, {event.depth} deep",
    Mapped: lambda event: f"The shape of {len(event.parents):,} nodes",
    Estimated: _estimated,
    Planned: lambda event: _with(f"Planned {event.way}", event.why),
    Searched: lambda event: _with("To search for", ", ".join((*event.terms, *event.needs))),
    Allocated: _granted,
    Kept: lambda event: f"Kept {tokens(event.tokens)} for the answer",
    Reserved: lambda event: f"Call {event.call}, {event.stage}, holds {tokens(event.tokens)}",
    Recalled: lambda event: f"A reply for {event.stage} was there already",
    Settled: lambda event: _with(f"Call {event.call} billed {tokens(event.usage.total_tokens)}", event.error),
    Released: lambda event: _with(f"Call {event.call} given up", event.error),
    Retried: lambda event: f"Call {event.call} again, attempt {event.attempt}, after {event.wait_s:g} s",
    Missed: lambda event: _with(f"Missing after round {event.round}", event.what),
    Read: _read,
    HandedBack: lambda event: _with(f"Handed back {tokens(event.tokens)}", event.why),
    Noted: lambda event: str(event.what),
    Answered: lambda event: _with("Abstained" if event.abstained else "Answered", event.text),
    Finished: lambda event: f"{tokens(event.usage.total_tokens)} spent, {event.remaining_tokens:,} left",
}
