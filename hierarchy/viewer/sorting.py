"""A trace whose events are sorted by kind once: a picture asks for many kinds, and long traces hold thousands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hierarchy.budget import Usage
from hierarchy.events import KINDS, Allocated, Answered, Event, Finished, Reserved
from hierarchy.trace import Trace

__all__ = ["REFUSED", "SortedTrace", "is_gathered", "is_refused"]

E = TypeVar("E", bound=Event)

REFUSED = "The question was refused before anything was read, as where the budget is too small."
"""What is said of such a trace."""


def is_gathered(trace: Trace) -> bool:
    """Whether it tells of context that was gathered for somebody else's model: it ends without an answer or a call.

    A question that was refused, as where the budget is too small, ends so as well, but before anything was granted.
    """
    asked = any((trace.of(Answered), trace.of(Reserved)))
    return bool(trace.of(Finished) and trace.of(Allocated)) and not asked


def is_refused(trace: Trace) -> bool:
    """Whether the question was refused before anything was granted, as where the budget is too small."""
    return bool(trace.of(Finished)) and not any((trace.of(Answered), trace.of(Reserved), trace.of(Allocated)))


@dataclass(frozen=True, slots=True)
class SortedTrace(Trace):
    """The same trace; `of` looks its events up where `Trace` goes through all."""

    _bills: list[tuple[tuple[str, Usage], ...]] = field(default_factory=list, repr=False, compare=False)
    _by_kind: Mapping[type, list[Any]] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of_trace(cls, trace: Trace) -> SortedTrace:
        """A trace, sorted; itself if it is already."""
        if isinstance(trace, SortedTrace):
            return trace
        by_kind: dict[type, list[Any]] = {kind: [] for kind in KINDS}
        for event in trace.events:
            by_kind.setdefault(type(event), []).append(event)
        return cls(trace.events, [], by_kind)

    def of(self, kind: type[E]) -> tuple[E, ...]:
        """As `Trace.of`."""
        return tuple(self._by_kind[kind]) if kind in self._by_kind else Trace.of(self, kind)

    def usage_by_stage(self) -> tuple[tuple[str, Usage], ...]:
        """As `Trace.usage_by_stage`, added up once."""
        if not self._bills:
            self._bills.append(Trace.usage_by_stage(self))
        return self._bills[0]
