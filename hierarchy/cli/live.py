"""What `--live` shows on standard error while a question is answered: the picture growing, or plain lines of progress.

Frames are drawn by a thread of their own, at most eight a second, **and only if something has changed**: a slow line
isn't kept busy by a picture that stands still. Where there is no terminal to draw on, each step is a line of text.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console

if TYPE_CHECKING:
    from rich.console import Console
    from rich.live import Live

    from hierarchy.events import Event
    from hierarchy.viewer.watching import Watch

__all__ = ["Shown", "live_option", "shown_while"]

live_option = click.option(
    "--live", is_flag=True, help="Draw map, budget and answer on the terminal as they grow; without one, print steps."
)

_FRAME_S = 1 / 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """Who is to be told what, so that it is shown.

    Attributes:
        progress: How far a piece of work is.
        on_event: Every event; None if nobody listens.
        on_text: Pieces of the answer; None if nobody listens.
    """

    progress: console.Report
    on_event: Callable[[Event], None] | None = None
    on_text: Callable[[str], None] | None = None


@contextmanager
def shown_while(
    question: str, *, live: bool, quiet: bool, on_event: Callable[[Event], None] | None = None
) -> Iterator[Shown]:
    """Show what happens while a question is answered.

    Args:
        question: As asked.
        live: Whether to draw it; if not, a bar appears while work takes its time.
        quiet: Whether to show nothing.
        on_event: Who else hears of events, and first: what is drawn never costs the trace an event.
    """
    if not live or quiet:
        with console.progress(quiet=quiet) as progress:
            yield Shown(progress=progress, on_event=on_event)
        return
    terminal = _terminal()
    if terminal is not None:
        with _drawn(question, terminal) as watch:
            heard = _both(on_event, watch.note)
            yield Shown(progress=watch.report, on_event=heard, on_text=watch.say)
        return
    yield Shown(progress=lambda *_: None, on_event=_both(on_event, _told()))


def _both(first: Callable[[Event], None] | None, second: Callable[[Event], None]) -> Callable[[Event], None]:
    def heard(event: Event) -> None:
        if first:
            first(event)
        second(event)

    return heard


def _told() -> Callable[[Event], None]:
    """What writes a line for each step."""
    from hierarchy.viewer.watching import told_line

    before: list[Event] = []

    def tell(event: Event) -> None:
        line = told_line(event, before)
        before.append(event)
        if line:
            console.show_note(line)

    return tell


def _terminal() -> Console | None:
    """Where to draw; None where nothing can be drawn."""
    from rich.console import Console

    terminal = Console(file=sys.stderr, highlight=False, markup=False, emoji=False)
    # Asked of the stream itself: FORCE_COLOR makes rich take a file for a terminal.
    return terminal if sys.stderr.isatty() and not terminal.is_dumb_terminal else None


@contextmanager
def _drawn(question: str, terminal: Console) -> Iterator[Watch]:
    from rich.live import Live

    from hierarchy.viewer.watching import Watch, WatchView

    watch = Watch(question)
    # Wiped when it is over: the answer takes its place. What is written to standard error meanwhile stands above it.
    drawn = Live(
        WatchView(watch),
        console=terminal,
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        vertical_overflow="crop",
    )
    over = threading.Event()
    painter = threading.Thread(target=_paint, args=(watch, drawn, over), name="hierarchy-live", daemon=True)
    with drawn:
        painter.start()
        try:
            yield watch
        finally:
            over.set()
            painter.join()


def _paint(watch: Watch, drawn: Live, over: threading.Event) -> None:
    """Draw a frame whenever something has changed, until it is over; the last one, too."""
    began = time.monotonic()
    shown: object = None
    while True:
        ending = over.wait(_FRAME_S)
        watch.tick(time.monotonic() - began)
        now = watch.version(), drawn.console.size
        if now != shown:
            shown = now
            drawn.refresh()
        if ending:
            return
