"""The trace as of one of its events: what was estimated, granted, read, spent and answered by then.

A moment is made from the events up to it and nothing else, so that going back and forth is the same as having waited.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hierarchy.events import Answered, Estimated, Finished, Kept, Read, Searched, Settled, Started
from hierarchy.relevance import Question, Routing, parse, routed
from hierarchy.trace import Trace
from hierarchy.tui.atlas import Atlas, Stretch
from hierarchy.viewer.spending import Call, calls_of
from hierarchy.viewer.treemap import State, TreeMap

__all__ = ["Moment", "Timeline"]

_KEPT_MOMENTS = 16


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What was so once some events had happened; not slotted, for what is worked out once is kept.

    Attributes:
        count: How many had.
        trace: They.
        atlas: The tree.
        map: What had happened to each node.
    """

    count: int
    trace: Trace
    atlas: Atlas
    map: TreeMap

    @cached_property
    def _told(self) -> Mapping[str, float]:
        """Relevance by dotted id, from events that tell it of single nodes."""
        estimated = self.trace.of(Estimated)
        told = {read.node: read.relevance for read in self.trace.of(Read)}
        return told | {one.node: one.relevance for event in estimated for one in event.top}

    def relevance(self, number: int) -> float | None:
        """The estimate for a node by then; None if there is none."""
        if self.map.relevance is not None:
            return int(self.map.relevance[number]) / 1_000
        return self._told.get(self.atlas.dotted(number))

    def state(self, number: int) -> State:
        """How closely a node had been looked at."""
        return self.map.state(number)

    @cached_property
    def question(self) -> Question | None:
        """What was searched for: the question, with what a routing had added by then."""
        started, searched = self.trace.of(Started), self.trace.of(Searched)
        if not started:
            return None
        asked = parse(started[0].question)
        if not searched:
            return asked
        last = searched[-1]
        routing = Routing(terms=last.terms, needs=last.needs, kind=last.kind, questions=last.questions)
        return routed(asked, routing)

    @property
    def is_semantic(self) -> bool:
        """Whether passages were also judged by their meaning."""
        return any("semantic" in started.strategy for started in self.trace.of(Started))

    @cached_property
    def calls(self) -> tuple[Call, ...]:
        """The calls made by then."""
        return calls_of(self.trace)

    @cached_property
    def reads(self) -> tuple[Stretch, ...]:
        """What had been read verbatim, in the order of the document."""
        found = (Stretch(self.atlas.file(one.source), one.start, one.end) for one in self.trace.reads())
        return tuple(sorted(found))

    @cached_property
    def answer(self) -> Mapping[str, Any]:
        """The last answer given by then; empty if there was none."""
        return self.trace.answer()

    @cached_property
    def quotes(self) -> tuple[Stretch, ...]:
        """Where the answer's quotes stand."""
        found = []
        for one in self.answer.get("citations", ()):
            start, end = (one.get("start"), one.get("end")) if isinstance(one, Mapping) else (None, None)
            if isinstance(start, int) and isinstance(end, int) and start < end:
                found.append(Stretch(self.atlas.file(str(one.get("source"))), start, end))
        return tuple(sorted(found))

    # -- money -------------------------------------------------------------------------------------------------

    @cached_property
    def cap(self) -> int | None:
        """The budget in tokens; None where the trace's beginning is missing."""
        started = self.trace.of(Started)
        return started[0].budget.total_tokens if started else None

    @cached_property
    def spent(self) -> tuple[tuple[str, int], ...]:
        """Tokens billed by then, by stage."""
        return tuple((stage, usage.total_tokens) for stage, usage in self.trace.usage_by_stage() if usage.total_tokens)

    @cached_property
    def held(self) -> int:
        """Tokens held for calls under way."""
        return 0 if self.trace.of(Finished) else self.trace.held_tokens()

    @cached_property
    def kept(self) -> int:
        """Tokens set aside for the answer, until there is one."""
        kept = self.trace.of(Kept)
        return kept[-1].tokens if kept and not self.trace.of(Answered) and not self.held else 0

    @cached_property
    def overdraft(self) -> int:
        """Tokens billed beyond what had been reserved."""
        return sum(one.overdraft_tokens for one in self.trace.of(Settled))


class Timeline:
    """All moments of a trace; the latest asked for are kept."""

    def __init__(self, trace: Trace, atlas: Atlas) -> None:
        self.trace, self.atlas = trace, atlas
        self._moments: dict[int, Moment] = {}

    def __len__(self) -> int:
        """How many events there are."""
        return len(self.trace)

    @property
    def complete(self) -> bool:
        """Whether the trace goes on to its end."""
        return bool(self.trace.of(Finished))

    def at(self, count: int) -> Moment:
        """The moment once so many events had happened."""
        count = max(0, min(count, len(self.trace)))
        if count not in self._moments:
            part = Trace(self.trace.events[:count])
            found = TreeMap.of(part, self.atlas.shape)
            assert found is not None  # as there is a shape
            if len(self._moments) >= _KEPT_MOMENTS:
                self._moments.pop(next(iter(self._moments)))
            self._moments[count] = Moment(count=count, trace=part, atlas=self.atlas, map=found)
        return self._moments[count]

    def turns(self) -> tuple[int, ...]:
        """The moments at which something new begins: after each event that isn't one more of its kind."""
        kinds = [type(event) for event in self.trace.events]
        return tuple(at for at in range(1, len(kinds) + 1) if at == len(kinds) or kinds[at - 1] is not kinds[at])
