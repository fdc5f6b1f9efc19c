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
    samples = Path(__file__).parents[1] / "samples"
    places = [given] if given else [folder / started[0].document for folder in (beside.parent, Path(), samples)]
    for place in places:
        if not given and not Path(place).exists():
            continue
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
