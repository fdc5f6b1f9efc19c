"""A question being answered, drawn while it is: phases, the map lighting up, the budget filling, the answer coming.

`Watch` gathers what is told, from whichever thread, without a lock: whoever tells never waits for who draws, not even
in the middle of an interrupt. `WatchView` draws it to fit the terminal. Doesn't know clocks, streams or refresh rates
(`cli.live` does), and keeps the tree's shape and map from frame to frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text

from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Event,
    HandedBack,
    Mapped,
    Missed,
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
from hierarchy.trace import Trace
from hierarchy.viewer.maps import MapView
from hierarchy.viewer.palette import CARE, GOOD, QUIET, WIDEST, Flow, Legible
from hierarchy.viewer.rows import rows_of
from hierarchy.viewer.shapes import Shape
from hierarchy.viewer.sorting import SortedTrace
from hierarchy.viewer.spending import Call, calls_of, ledger_lines
from hierarchy.viewer.text import one_line, plain, tokens
from hierarchy.viewer.treemap import TreeMap

__all__ = ["Watch", "WatchView", "told_line"]

_MOST_ROWS, _MOST_CALLS, _MOST_SAID = 24, 3, 5
_LEAST_ROWS = 3
_LEAST_WIDTH = 20
_ECHO = 2  # Columns left free for the ^C that a terminal echoes: a line that breaks couldn't be wiped.
# After these the map looks different.
_MAPPING = (Mapped, Estimated, Allocated, Reserved, Settled, Released, Read, Answered)


@dataclass(slots=True, eq=False)
class Watch:
    """What was told so far of one question. Appending to a list is all that happens when something is told.

    Attributes:
        question: As asked; shown before any event tells it.
    """

    question: str
    _events: list[Event] = field(default_factory=list)
    _said: list[str] = field(default_factory=list)
    _work: tuple[int, int, str] = (0, 0, "")
    _seconds: int = 0
    _shape: Shape | None = None
    _map: tuple[int, TreeMap | None] = (-1, None)

    def note(self, event: Event) -> None:
        """Take note of an event."""
        self._events.append(event)

    def say(self, text: str) -> None:
        """Take note of a piece of the answer."""
        self._said.append(text)

    def report(self, done: int, total: int, what: str, /) -> None:
        """Take note of how far a piece of work is."""
        self._work = (done, total, what)

    def tick(self, seconds: float) -> None:
        """Take note of how long it has been: in whole seconds, and only while a call is waited for."""
        if int(seconds) == self._seconds:
            return
        if any(call.outcome == "under way" for call in calls_of(self.trace())):
            self._seconds = int(seconds)

    def version(self) -> tuple[object, ...]:
        """Differs whenever a frame would look different."""
        return len(self._events), len(self._said), self._work, self._seconds

    def trace(self) -> Trace:
        """The events so far."""
        return SortedTrace.of_trace(Trace(tuple(self._events)))

    def said(self) -> str:
        """The answer so far."""
        return "".join(self._said)

    def tree_map(self, trace: Trace) -> TreeMap | None:
        """The map of the events so far; made anew only if one of them changes it."""
        mapping = sum(len(trace.of(kind)) for kind in _MAPPING)
        if self._map[0] != mapping:
            if self._shape is None:
                self._shape = Shape.of(next(iter(trace.of(Mapped)), None))
            self._map = (mapping, TreeMap.of(trace, self._shape) if self._shape else None)
        return self._map[1]


@dataclass(frozen=True, slots=True)
class WatchView:
    """A frame: never higher than the terminal, so that none scrolls away.

    Attributes:
        watch: What was told.
        height: Lines; the terminal's if None.
    """

    watch: Watch
    height: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        width = min(WIDEST, max(_LEAST_WIDTH, options.max_width - _ECHO))
        options = options.update(width=width, height=None)
        room = max(2, (self.height or console.size.height) - 1)
        trace = self.watch.trace()
        top = _lines(console, options, Group(_question(self.watch, trace), _phases(self.watch, trace)))[:room]
        bottom = _lines(console, options, Group(*self._bottom(trace)))
        said = self._said(console, options)
        left = room - len(top)
        shown_bottom = bottom[:left]
        left -= len(shown_bottom)
        said = said[-min(left, _MOST_SAID) :] if left > 0 else []
        left -= len(said)
        middle = self._middle(console, options, trace, left - 1) if left > _LEAST_ROWS + 2 else []
        blank = [[Segment("")]]
        for line in [
            *top,
            *(blank if middle else []),
            *middle,
            *(blank if left > 1 + len(middle) else []),
            *shown_bottom,
            *said,
        ]:
            yield from line
            yield Segment.line()

    def _middle(self, console: Console, options: ConsoleOptions, trace: Trace, room: int) -> list[list[Segment]]:
        tree_map = self.watch.tree_map(trace)
        if tree_map is None:
            return []
        rows = rows_of(tree_map, min(_MOST_ROWS, room - 2))
        return _lines(console, options, _indented(MapView(rows=rows)))[: room - 1]

    def _bottom(self, trace: Trace) -> Iterator[RenderableType]:
        if trace.of(Started):
            yield from map(_indented, ledger_lines(trace))
        for call in _under_way(trace)[:_MOST_CALLS]:
            yield _indented(call)

    def _said(self, console: Console, options: ConsoleOptions) -> list[list[Segment]]:
        said = plain(self.watch.said()).strip()
        if not said:
            return []
        text = Text("Answer ", style="default").append(said, style=GOOD)
        return _lines(console, options, _indented(text))


def _indented(shown: RenderableType) -> RenderableType:
    return Padding(shown, (0, 0, 0, 2))


def _lines(console: Console, options: ConsoleOptions, shown: RenderableType) -> list[list[Segment]]:
    return console.render_lines(Legible(shown), options, pad=False)


def _question(watch: Watch, trace: Trace) -> Text:
    started = trace.of(Started)
    asked = one_line(started[0].question if started else watch.question)
    return Text(asked, style="bold", no_wrap=True, overflow="ellipsis")


def _phases(watch: Watch, trace: Trace) -> RenderableType:
    """What is done, what is being done, what is to come; words and signs, in that order."""
    entries = []
    begun = False
    for name, done in _course(trace):
        if done:
            entries.append(Text.assemble(("✓", GOOD), f" {name}"))
        elif not begun:
            begun = True
            entries.append(Text.assemble(("▸", f"bold {CARE}"), (f" {name}", "bold"), _progress(watch, trace)))
        else:
            entries.append(Text(f"· {name}", style=QUIET))
    if watch._seconds and begun:
        entries.append(Text(f"{watch._seconds} s", style=QUIET))
    return _indented(Flow(entries))


def _progress(watch: Watch, trace: Trace) -> tuple[str, str]:
    done, total, what = watch._work
    if trace.of(Outlined) or total <= 1:
        return ("", "")
    return (f" {done * 100 // total}% {one_line(what)[:30]}", QUIET)


def _course(trace: Trace) -> Iterator[tuple[str, bool]]:
    """The phases of this question, and whether each is over."""
    asked, ended = trace.of(Reserved), {event.call for event in trace if isinstance(event, Settled | Released)}
    plan = trace.of(Planned)
    answered = bool(trace.of(Answered))
    composing = answered or any(call.stage not in ("route", "refine", "summarise") for call in asked)
    yield "outline", bool(trace.of(Outlined))
    yield "relevance", bool(trace.of(Estimated))
    if (plan and plan[-1].routing != "no") or any(call.stage == "route" for call in asked):
        yield "route", composing or any(call.stage == "route" and call.call in ended for call in asked)
    yield "read", composing
    for missed in trace.of(Missed):
        again = any(isinstance(event, Reserved) for event in trace.events[trace.events.index(missed) :])
        yield f"round {missed.round + 1}", again
    yield "answer", answered


def _under_way(trace: Trace) -> list[Text]:
    """The calls that are waited for, and how many more there are."""
    calls = [call for call in calls_of(trace) if call.outcome == "under way"]
    shown = [_waiting(call) for call in calls[:_MOST_CALLS]]
    if len(calls) > _MOST_CALLS:
        shown[-1] = Text(f"▸ and {len(calls) - _MOST_CALLS + 1:,} more under way", style=QUIET)
    return shown


def _waiting(call: Call) -> Text:
    about = f" of {one_line(call.node)}" if call.node else ""
    model = f" · {one_line(call.model)}" if call.model else ""
    return Text.assemble(("▸", CARE), f" {one_line(call.stage)}{about}", (f"{model} · under way", QUIET))


# -- in plain lines ----------------------------------------------------------------------------------------------------


def told_line(event: Event, before: Sequence[Event] = ()) -> str:  # noqa: PLR0911 - one line for each kind of event
    """An event as a line of progress, for where nothing can be drawn; empty for those that tell a reader nothing.

    Args:
        event: What happened.
        before: What happened before, to tell of which stage a call is.

    Example:
        >>> told_line(Outlined(nodes=3_279, leaves=1_901, depth=11))
        'outline: 3,279 nodes, 11 deep'
    """
    match event:
        case Outlined():
            return f"outline: {event.nodes:,} nodes, {event.depth} deep"
        case Planned():
            return one_line(f"plan: {event.way}. {event.why}")
        case Searched():
            return one_line(f"searched: {' · '.join(event.terms)}")
        case Allocated():
            granted = sum(grant.tokens for grant in event.grants)
            return f"granted: {granted:,} of {tokens(event.budget_tokens)} in {len(event.grants):,} places"
        case HandedBack():
            return one_line(f"handed back: {tokens(event.tokens)}, {event.why}")
        case Missed():
            return one_line(f"missing after round {event.round}: {event.what}")
        case Reserved():
            return one_line(f"call {event.call}, {event.stage}: {tokens(event.tokens)} held")
        case Recalled():
            return one_line(f"recalled, {event.stage}: {tokens(event.usage.total_tokens)} paid for before")
        case Settled() | Released():
            return one_line(f"call {event.call}{_stage(event.call, before)}: {_ending(event)}")
        case Retried():
            return f"call {event.call}{_stage(event.call, before)}: made again in {event.wait_s:.1f} s"
        case Answered():
            return "abstained" if event.abstained else f"answered, confidence {event.confidence:.2f}"
    return ""


def _stage(call: int, before: Sequence[Event]) -> str:
    return next((f", {one.stage}" for one in reversed(before) if isinstance(one, Reserved) and one.call == call), "")


def _ending(event: Settled | Released) -> str:
    if event.error:
        return f"failed: {event.error}"
    if isinstance(event, Released):
        return "given up"
    return f"{tokens(event.usage.total_tokens)} billed"
