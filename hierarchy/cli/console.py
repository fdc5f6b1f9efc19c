"""Where and how the commands print: results to standard output, everything else to standard error.

Colours, width and strokes follow the terminal (`NO_COLOR`, `COLUMNS`, `TERM=dumb`, a pipe, an encoding without lines).
Rich is imported when something is drawn.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TextIO

import click

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

__all__ = [
    "Report",
    "abandon_stdout",
    "prepare_streams",
    "progress",
    "show",
    "show_error",
    "show_json",
    "show_note",
    "show_text",
]

# Work that is over by then needs no bar; one that flashes by only unsettles.
_PATIENCE_S = 0.6


class Report(Protocol):
    """Called with how much of a piece of work is done, of how much, and what it is."""

    def __call__(self, done: int, total: int, what: str, /) -> None:
        """Take note."""


def prepare_streams() -> None:
    """See to it that a character the output's encoding lacks is replaced, where it would end the program."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="replace")


def abandon_stdout() -> None:
    """Send what is still to be written nowhere, so that the interpreter's own last flush finds no closed pipe."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def show(renderable: RenderableType, *, least_width: int = 0) -> None:
    """Print a result; without the blanks at the ends of lines where it goes to a file or a pipe.

    What has a least width is drawn in it even if the terminal is narrower: lines that break lose nothing, columns do.
    """
    console = _console(sys.stdout)
    console.width = max(console.width, least_width)
    if console.is_terminal:
        console.print(renderable)
        return
    with console.capture() as drawn:
        console.print(renderable)
    click.echo("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def show_text(text: str) -> None:
    """Print a result as it is, unwrapped, without what could steer the terminal."""
    from hierarchy.viewer.text import plain

    click.echo(plain(text))


def show_json(value: Any) -> None:
    """Print a result as JSON; in ASCII, which no encoding lacks and no terminal obeys."""
    click.echo(json.dumps(value, indent=2))


def show_note(text: str) -> None:
    """Tell the user something beside the result."""
    from hierarchy.viewer.text import plain

    # By way of the stream itself: while a picture is drawn, it puts what is written above the picture; click writes
    # past it.
    print(plain(text), file=sys.stderr, flush=True)


def show_error(kind: str, message: str, hint: str, *, as_json: bool) -> None:
    """Show an error: as a block of text, or as JSON in place of the result."""
    if as_json:
        show_json({"error": {"kind": kind, "message": message, "hint": hint}})
        return
    from rich.text import Text

    from hierarchy.viewer.text import plain

    console = _console(sys.stderr)
    lead = ("", "") if kind == "Interrupted" else ("Error: ", "bold red")
    # Unwrapped: a path or a command in it stays whole, to be copied.
    console.print(Text.assemble(lead, plain(message)), soft_wrap=True)
    if hint:
        console.print(Text(f"  {plain(hint)}"), soft_wrap=True)


@contextmanager
def progress(*, quiet: bool = False) -> Iterator[Report]:
    """A report that draws a bar on standard error: only on a terminal, and only of work that takes its time."""
    console = _console(sys.stderr)
    # Asked of the stream itself: FORCE_COLOR makes rich take a file for a terminal.
    if quiet or not sys.stderr.isatty() or console.is_dumb_terminal:
        yield lambda *_: None
        return
    bar = _Bar(console)
    try:
        yield bar
    finally:
        bar.stop()


class _Bar:
    """A bar that appears once work has taken a while, though nothing was reported yet, and leaves nothing behind."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._lock = threading.Lock()
        self._state = (0, 0, "")
        self._drawn: Progress | None = None
        self._stopped = False
        self._timer = threading.Timer(_PATIENCE_S, self._begin)
        self._timer.daemon = True
        self._timer.start()

    def __call__(self, done: int, total: int, what: str, /) -> None:
        """Note how it stands."""
        with self._lock:
            self._state = (done, total, what)
            self._update()

    def stop(self) -> None:
        """Wipe it away."""
        self._timer.cancel()
        with self._lock:
            self._stopped = True
            if self._drawn:
                self._drawn.stop()

    def _begin(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        columns = (TextColumn("{task.fields[what]}", markup=False), BarColumn(), TimeElapsedColumn())
        with self._lock:
            if self._stopped:
                return
            self._drawn = Progress(*columns, console=self._console, transient=True)
            self._drawn.add_task("", total=None, what="")
            self._update()
            self._drawn.start()

    def _update(self) -> None:
        from hierarchy.viewer.text import one_line

        if self._drawn:
            done, total, what = self._state
            # One of one says nothing about how far it is.
            known = {"completed": done, "total": total} if total > 1 else {"total": None}
            self._drawn.update(self._drawn.task_ids[0], what=one_line(what)[:40], **known)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    class _Piped(Console):
        def on_broken_pipe(self) -> None:
            # Rich would exit with 1 here, which says that there is no answer.
            raise BrokenPipeError

    return _Piped(file=stream, highlight=False, markup=False, emoji=False)
