"""The two lines that are always in sight: the ledger against its cap, and where among the events one stands."""

from __future__ import annotations

from rich.text import Text
from textual.events import Click
from textual.message import Message
from textual.widget import Widget

from hierarchy.tui.headlines import headline
from hierarchy.tui.moments import Moment, Timeline
from hierarchy.viewer.bars import Bar
from hierarchy.viewer.palette import CARE, COLOURS, FAIL, QUIET
from hierarchy.viewer.text import one_line

__all__ = ["LedgerBar", "Slider", "ledger_line", "slider_line"]

_STROKES = "█▓▒"
_LEAST_BAR = 8


def ledger_line(moment: Moment, width: int) -> Text:
    """Spent, held, kept and free against the cap, in so many cells: figures first, the bar takes what is left."""
    spent = sum(amount for _, amount in moment.spent)
    cap = moment.cap if moment.cap is not None else spent + moment.held
    free = max(0, cap - spent - moment.held)
    words = Text(f"cap {cap:,}" if moment.cap is not None else "cap unknown", style="bold")
    words.append(f" · spent {spent:,}")
    for name, amount, style in (("held", moment.held, CARE), ("over", moment.overdraft, FAIL)):
        if amount:
            words.append(f" · {name} {amount:,}", style=style)
    words.append(f" · free {free:,}")
    if moment.kept and width >= 72:
        words.append(f" ({moment.kept:,} kept)", style=QUIET)
    room = width - words.cell_len - 1
    if room < _LEAST_BAR:
        words.truncate(width, overflow="ellipsis")
        return words
    parts = [*moment.spent, *([("held", moment.held)] if moment.held else [])]
    cells = Bar([amount for _, amount in parts], cap).cells(room)
    bar = Text(" ")
    for index, ((name, _), count) in enumerate(zip(parts, cells, strict=True)):
        stroke = "░" if name == "held" else _STROKES[index % len(_STROKES)]
        bar.append(stroke * count, style=COLOURS[index % len(COLOURS)])
    bar.append("─" * (room - sum(cells)), style=QUIET)
    return words.append_text(bar)


def slider_line(moment: Moment, timeline: Timeline, width: int) -> Text:
    """How far along the events one is, and what the last of them was."""
    total = len(timeline)
    count = f"event {moment.count}/{total}"
    track = max(_LEAST_BAR, min(30, width // 4))
    at = round((track - 1) * moment.count / total) if total else 0
    line = Text("◀", style="bold")
    line.append("━" * at, style="cyan")
    line.append("●", style="bold cyan")
    line.append("─" * (track - 1 - at), style=QUIET)
    line.append("▶ ", style="bold")
    line.append(f"{count} ", style="bold")
    if not timeline.complete:
        line.append("incomplete ", style=f"bold {CARE}")
    if moment.count:
        event = moment.trace.events[-1]
        line.append(f"{type(event).__name__}: ", style=QUIET)
        line.append(headline(event))
    else:
        line.append("before the first event", style=QUIET)
    line.truncate(width, overflow="ellipsis")
    return line


class LedgerBar(Widget):
    """The ledger, one line."""

    DEFAULT_CSS = "LedgerBar { height: 1; padding: 0 1; background: $panel; }"

    def __init__(self, moment: Moment, *, id: str | None = None) -> None:  # noqa: A002 - as all widgets have it
        super().__init__(id=id)
        self.moment = moment

    def show(self, moment: Moment) -> None:
        """As of another moment."""
        self.moment = moment
        self.refresh()

    def render(self) -> Text:
        """Draw it."""
        return ledger_line(self.moment, self.size.width)


class Slider(Widget):
    """The events as a track with a knob; a click goes there."""

    DEFAULT_CSS = "Slider { height: 1; padding: 0 1; background: $panel; }"

    class Slid(Message):
        """A moment was chosen."""

        def __init__(self, count: int) -> None:
            super().__init__()
            self.count = count

    def __init__(self, moment: Moment, timeline: Timeline, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.moment, self.timeline = moment, timeline

    def show(self, moment: Moment) -> None:
        """As of another moment."""
        self.moment = moment
        self.refresh()

    def render(self) -> Text:
        """Draw it."""
        return slider_line(self.moment, self.timeline, self.size.width)

    def on_click(self, event: Click) -> None:
        """Go where was clicked: a step at either end, along the track between."""
        track = max(_LEAST_BAR, min(30, self.size.width // 4))
        at = event.get_content_offset_capture(self).x - 1
        if at < 0:
            self.post_message(self.Slid(self.moment.count - 1))
        elif at < track:
            self.post_message(self.Slid(round(len(self.timeline) * at / (track - 1))))
        elif at == track:
            self.post_message(self.Slid(self.moment.count + 1))


def question_line(question: str, document: str) -> Text:
    """What was asked, and of what."""
    return Text.assemble((one_line(question) or "A trace", "bold"), (f"  {one_line(document)}", QUIET))
