"""What was read: by both runs, and by one alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, takewhile

from hierarchy.comparing.runs import Facts
from hierarchy.comparing.shape import Held

__all__ = ["Stretch", "reading"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Characters that were read.

    Attributes:
        source: Name of the file.
        start: First character in the file's text.
        end: One past the last.
        pages: First and last page; None without pages.
        node: The smallest node that is known to hold them, dotted.
        title: The headings that they stand under, outermost first; empty where the trace declares none.
        first_tokens: What they count by the reads of the first; 0 if it didn't read them.
        second_tokens: By those of the second.
        first_relevance: The most that the first estimated for any of them; None if the trace doesn't say.
        second_relevance: The second.
    """

    source: str
    start: int
    end: int
    pages: tuple[int, int] | None = None
    node: str = ""
    title: str = ""
    first_tokens: int = 0
    second_tokens: int = 0
    first_relevance: float | None = None
    second_relevance: float | None = None


def reading(first: Facts, second: Facts) -> tuple[tuple[Stretch, ...], tuple[Stretch, ...], tuple[Stretch, ...]]:
    """What both read, what only the first did, and what only the second did, in the document's order."""
    found: dict[str, list[Stretch]] = {"both": [], "first": [], "second": []}
    for source in sorted({*first.held, *second.held}, key=first.place):
        for which, run in _runs(first.held.get(source, ()), second.held.get(source, ())):
            found[which].append(_stretch(source, run, first, second))
    return tuple(found["both"]), tuple(found["first"]), tuple(found["second"])


_Part = tuple[int, int, Held | None, Held | None]
"""Characters that lie in one read of either run."""


def _runs(first: Sequence[Held], second: Sequence[Held]) -> Iterator[tuple[str, list[_Part]]]:
    """Parts that follow each other without a gap and were read by the same runs, together."""
    run: list[_Part] = []
    last = ""
    for part in _parts(first, second):
        which = "both" if part[2] and part[3] else "first" if part[2] else "second" if part[3] else ""
        if which != last and last:
            yield last, run
        if which != last:
            run = []
        last = which
        run.append(part)
    if last:
        yield last, run


def _parts(first: Sequence[Held], second: Sequence[Held]) -> Iterator[_Part]:
    """A file from the first character read to the last, cut wherever a read begins or ends."""
    places = [0, 0]
    for low, high in pairwise(sorted({edge for one in (*first, *second) for edge in (one.start, one.end)})):
        reads: list[Held | None] = []
        for side, parts in enumerate((first, second)):
            while places[side] < len(parts) and parts[places[side]].end <= low:
                places[side] += 1
            at = parts[places[side]] if places[side] < len(parts) else None
            reads.append(at if at and at.start <= low else None)
        yield low, high, reads[0], reads[1]


def _stretch(source: str, run: Sequence[_Part], first: Facts, second: Facts) -> Stretch:
    start, end, shape = run[0][0], run[-1][1], first.shape or second.shape
    leaves = shape.leaves(source, start, end) if shape else []
    reads = [one.read for _, _, *sides in run for one in sides if one]
    paged = [read.page for read in reads if read.page is not None]
    return Stretch(
        source=source,
        start=start,
        end=end,
        pages=(shape.pages(leaves) if shape else None) or ((min(paged), max(paged)) if paged else None),
        node=_holding([read.node for read in reads]),
        title=shape.heading(leaves[0]) if shape and leaves else "",
        first_tokens=sum(one.between(low, high) for low, high, one, _ in run if one),
        second_tokens=sum(one.between(low, high) for low, high, _, one in run if one),
        first_relevance=first.relevance(leaves, source, start, end),
        second_relevance=second.relevance(leaves, source, start, end),
    )


def _holding(nodes: Sequence[str]) -> str:
    """The smallest node that holds all of these."""
    levels = zip(*(node.split(".") for node in nodes), strict=False)
    return ".".join(level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels))
