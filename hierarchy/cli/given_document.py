"""Finding the document that a trace is of: where it is said to be, or where it likely is."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hierarchy.errors import InputError

if TYPE_CHECKING:
    from hierarchy.trace import Trace
    from hierarchy.tree import SummaryTree

__all__ = ["found_document"]


def found_document(trace: Trace, given: str | None, beside: Path) -> SummaryTree | None:
    """The tree of a trace's document; None if it isn't at hand.

    A document is taken only if its content is the trace's. Looked for beside the trace, in the current folder and
    among the reports that come with the library.

    Args:
        trace: Of what.
        given: Where the user says that it is; None to look for it.
        beside: The trace's file.

    Raises:
        InputError: What was given can't be read or is another document.
    """
    from hierarchy.engine import Reasoner
    from hierarchy.events import Started
    from hierarchy.loaders import load

    started = trace.of(Started)
    if not started:
        return None
    for place in [given] if given else _likely(started[0].document, beside):
        try:
            document = load(place)
        except InputError:
            if given:
                raise
            continue
        if document.key == started[0].document_key:
            return Reasoner().outline(document)
    if given:
        raise InputError(
            f"{given} isn't the document of the trace: its content differs.",
            f"Give {started[0].document} as it was when the question was asked.",
        )
    return None


def _likely(name: str, beside: Path) -> list[Path]:
    """Where a document of that name is looked for: a name only, since a trace may come from anybody."""
    if not name or name in ("-", "..") or Path(name).name != name:
        return []
    folders = (beside.parent, Path(), Path(__file__).parents[1] / "samples")
    try:
        return [folder / name for folder in folders if (folder / name).exists()]
    except (OSError, ValueError):  # too long, or with what no name can hold
        return []
