"""The quotes of both answers, and what kept a run from reading what the other one quotes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hierarchy.comparing.runs import Facts
from hierarchy.comparing.shape import Shape
from hierarchy.events import Allocated, HandedBack, Recalled, Reserved

__all__ = ["Cited", "Unread", "citations"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why a run hadn't read what the other one quotes, as far as its trace tells.

    Attributes:
        reason: `shown` (a call was shown it, and nothing came of that), `asked about` (a call was about its branch; the
            trace doesn't tell what it was shown), `cut off` (the trace ends before), `handed back`, `granted in part`
            (its node got tokens, which went to other parts of it), `out of tokens`, `passed over` (others were thought
            more worth it), or `unknown`.
        stage: Of that call; empty if there is none.
        relevance: The most that the run estimated for any of it; None if the trace doesn't say.
        tokens: What reading it would have counted.
        granted_tokens: What was granted to the smallest node granted that holds it.
        node_tokens: What that node counts.
        handed_back_tokens: What went back from a node that holds it.
        left_tokens: What was left of the tokens to divide; None if nothing was divided.
        note: What the trace says of the tokens that went back.
    """

    reason: str
    stage: str = ""
    relevance: float | None = None
    tokens: int = 0
    granted_tokens: int = 0
    node_tokens: int = 0
    handed_back_tokens: int = 0
    left_tokens: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cited:
    """A quote of either answer.

    Attributes:
        quote: The words.
        source: Name of the file.
        start: First character in the file's text; None if it wasn't found there.
        end: One past the last.
        page: Page of its first character.
        title: The headings that it stands under, outermost first.
        first: Whether the first answer has it.
        second: Whether the second does.
        first_read: Which share of its characters the first had read; None if its place isn't known.
        second_read: The second.
        unread: Why the one that doesn't have it hadn't read it; None if it had, or both have it.
    """

    quote: str
    source: str
    start: int | None
    end: int | None
    page: int | None
    title: str
    first: bool
    second: bool
    first_read: float | None = None
    second_read: float | None = None
    unread: Unread | None = None


_Place = tuple[str, int, int, str]
"""File, first character, one past the last; the words where the quote was found nowhere."""

_Quotes = Mapping[_Place, Mapping[str, Any]]


def citations(first: Facts, second: Facts) -> tuple[Cited, ...]:
    """The quotes of both answers, each once, in the document's order."""
    mine, other = _quotes(first), _quotes(second)
    places = sorted(mine.keys() | other.keys(), key=lambda place: (first.place(place[0]), *place[1:]))
    return tuple(_cited(place, (mine.get(place), other.get(place)), (first, second)) for place in places)


def _quotes(facts: Facts) -> _Quotes:
    """An answer's quotes by place."""
    found: dict[_Place, Mapping[str, Any]] = {}
    for quote in facts.answered.citations if facts.answered else ():
        if isinstance(quote, Mapping):
            start, end = quote.get("start"), quote.get("end")
            placed = quote.get("verified", True) and isinstance(start, int) and isinstance(end, int)
            source = str(quote.get("source", ""))
            if placed and 0 <= (start or 0) < (end or 0):
                found[source, start or 0, end or 0, ""] = quote
            else:
                found[source, -1, -1, str(quote.get("quote", ""))] = quote
    return found


def _cited(place: _Place, quotes: tuple[Mapping[str, Any] | None, ...], runs: tuple[Facts, Facts]) -> Cited:
    source, start, end, _ = place
    shape, placed = runs[0].shape or runs[1].shape, start >= 0
    leaves = shape.leaves(source, start, end) if shape and placed else []
    shares = [run.share(source, start, end) if placed else None for run in runs]
    unread = None
    for run, quote, share in zip(runs, quotes, shares, strict=True):
        if quote is None and share is not None and share < 1:
            words = str((quotes[0] or quotes[1] or {}).get("quote", ""))
            unread = _unread(run, shape, leaves, place, words)
    told = [quote for quote in quotes if quote is not None]
    pages = [quote.get("page") for quote in told]
    return Cited(
        quote=min(str(quote.get("quote", "")) for quote in told),
        source=source,
        start=start if placed else None,
        end=end if placed else None,
        page=min((page for page in pages if isinstance(page, int)), default=None),
        title=shape.heading(leaves[0]) if shape and leaves else "",
        first=quotes[0] is not None,
        second=quotes[1] is not None,
        first_read=shares[0],
        second_read=shares[1],
        unread=unread,
    )


def _unread(run: Facts, shape: Shape | None, leaves: Sequence[int], place: _Place, words: str) -> Unread:
    """Why a run didn't read a stretch: what it estimated, asked, granted to the nodes above, and had left."""
    above = {shape.dotted(number): number for number in shape.path(leaves[0])} if shape and leaves else {}
    grants = [grant for grant in run.trace.grants() if grant.node in above]
    smallest = max(grants, key=lambda grant: len(grant.node), default=None)
    back = [event for event in run.trace.of(HandedBack) if event.node in above and event.node != "0"]
    tokens, left = shape.tokens(leaves) if shape else 0, _left(run)
    reason, stage = _asked(run, above, words)
    if reason:
        pass
    elif run.answered is None:
        reason = "cut off"
    elif back:
        reason = "handed back"
    elif smallest is not None:
        reason = "granted in part"
    elif left is None:
        reason = "unknown"
    else:
        reason = "out of tokens" if left < max(1, tokens) else "passed over"
    return Unread(
        reason=reason,
        stage=stage,
        relevance=run.relevance(leaves, *place[:3]),
        tokens=tokens,
        granted_tokens=smallest.tokens if smallest else 0,
        node_tokens=shape.mapped.tokens[above[smallest.node]] if shape and smallest else 0,
        handed_back_tokens=sum(event.tokens for event in back),
        left_tokens=left,
        note="; ".join(dict.fromkeys(event.why for event in back if event.why)),
    )


def _asked(run: Facts, above: Collection[str], words: str) -> tuple[str, str]:
    """Whether a model was shown the words, or asked about a branch that holds them, and at which stage."""
    sought = " ".join(words.split())
    calls = [event for event in run.trace if isinstance(event, Reserved | Recalled)]
    for event in calls:
        if sought and sought in " ".join(event.prompt.split()):
            return "shown", event.stage
    about = (event for event in calls if not event.prompt and event.node in above and event.node != "0")
    first = next(about, None)
    return ("asked about", first.stage) if first else ("", "")


def _left(run: Facts) -> int | None:
    """What was left of the tokens to divide: what the whole tree gave back of the last allocation."""
    left = None
    for event in run.trace:
        if isinstance(event, Allocated):
            left = 0
        elif isinstance(event, HandedBack) and left is not None and event.node in ("", "0"):
            left += event.tokens
    return left
