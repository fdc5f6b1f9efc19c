"""The explorer: a saved trace in a terminal, to be walked through by hand; and as of any of its events.

    atlas      the tree of a trace, its text where the document is at hand, and what is found in it
    moments    the trace as of one of its events
    pages      what is said of a node, a call, an answer, as text
    lines      a list of any length, of which only what is in sight is made
    outline    the tree as such a list
    strips     the ledger and the events, one line each, always in sight
    app        all of it together

Needs Textual, which comes with the extra `tui` and is imported only here, and only when the explorer is opened. Reads
traces and trees; never asks a model and never writes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hierarchy.errors import Unavailable
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree

if TYPE_CHECKING:
    from hierarchy.tui.app import TraceApp

__all__ = ["TraceApp", "explore"]


def explore(trace: Trace, tree: SummaryTree | None = None) -> None:
    """Walk through a trace in the terminal, until the user quits.

    Args:
        trace: The trace; one that was cut off or is of version 1 is shown as far as it goes.
        tree: The document's tree, for its text, its summaries, and why each part was thought relevant.

    Raises:
        Unavailable: Textual isn't installed.
    """
    _app().TraceApp(trace, tree).run()


def __getattr__(name: str) -> Any:
    """`TraceApp`, imported when first asked for."""
    if name == "TraceApp":
        return _app().TraceApp
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _app() -> Any:
    try:
        from hierarchy.tui import app
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "textual":
            raise
        raise Unavailable("The explorer needs Textual.", 'From the clone: pip install ".[tui]".') from error
    return app
