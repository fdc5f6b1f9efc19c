"""A saved trace on a terminal, from its events alone: as a story, or event by event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import takewhile
from typing import Any, TypeVar

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hierarchy.budget import Budget, Usage
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Event,
    Finished,
    GrantLine,
    HandedBack,
    Kept,
    Missed,
    Noted,
    Outlined,
    Planned,
    Read,
    Recalled,
    Released,
    Reserved,
    Searched,
    Settled,
    Started,
)
from hierarchy.trace import Trace
from hierarchy.viewer.answers import add_row, bill, block, notes_view, quotes, receipt_view, said, unread_view
from hierarchy.viewer.bars import Bar
from hierarchy.viewer.text import one_line, pages, percent, probability, title, tokens

__all__ = ["branches", "events_view", "grants_view", "trace_view"]

T = TypeVar("T")

_WORDS = frozenset({"stage", "node", "title", "source", "branch", "about"})

_MOST_BRANCHES, _MOST_READS, _MOST_RELEVANT, _MOST_HAND_BACKS = 10, 10, 5, 6


def trace_view(trace: Trace) -> RenderableType:
    """The story of a question: what was asked, spent, granted, read, handed back and answered, and what wasn't read."""
    answer, receipt = trace.answer(), trace.receipt()
    blocks = [
        _header(trace),
        _bill(trace),
        _calls(trace),
        _relevant(trace),
        grants_view(trace),
        _reads(trace),
        _hand_backs(trace),
        said(answer) if answer else _cut_short(trace),
        quotes(answer.get("citations", ())),
        receipt_view(_whole(trace, receipt)),
        unread_view(receipt.get("unread", ())),
        notes_view([*_outline_notes(trace), *(noted.what for noted in trace.of(Noted))]),
    ]
    return Group(*(each for each in blocks if each is not None))


def events_view(trace: Trace) -> RenderableType:
    """Every event on a line of its own, numbered as in the file."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for line, event in enumerate(trace, 2):
        add_row(table, str(line), type(event).__name__, Text(_details(event), no_wrap=True, overflow="ellipsis"))
    return table


# -- what was asked ----------------------------------------------------------------------------------------------------


def _header(trace: Trace) -> RenderableType:
    started = _last(trace.of(Started))
    if started is None:
        return block("Trace", Text(f"{len(trace):,} events; its beginning is missing.", style="yellow"))
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    for name, value in _header_lines(trace, started):
        add_row(table, name, one_line(value))
    return block(one_line(started.question) or "Trace", table)


def _header_lines(trace: Trace, started: Started) -> Iterable[tuple[str, str]]:
    files = f" · {len(started.source_names):,} files" if len(started.source_names) > 1 else ""
    yield "document", f"{started.document} · {tokens(started.document_tokens)}{files}"
    outlined = _last(trace.of(Outlined))
    if outlined:
        yield "tree", f"{outlined.nodes:,} nodes · {outlined.leaves:,} leaves · {outlined.depth} deep"
    yield "budget", _caps(started.budget)
    yield "model", started.model
    if started.strategy:
        yield "strategy", " · ".join(f"{name} {value}" for name, value in started.strategy.items())
    estimated = _last(trace.of(Estimated))
    if estimated:
        kinds = [kind for kind in (estimated.question_kind, estimated.document_kind) if kind]
        if estimated.answerable is not None:
            kinds.append(f"answerable {estimated.answerable:.2f}")
        if kinds:
            yield "taken for", " · ".join(kinds)
        if estimated.vocabulary:
            yield "lexicons", " · ".join(estimated.vocabulary)
    yield from _course_lines(trace)


def _course_lines(trace: Trace) -> Iterable[tuple[str, str]]:
    """How it was decided to read, what was searched for besides, what was missed, and what was paid for before."""
    if plan := _last(trace.of(Planned)):
        yield "plan", f"{plan.way}: {plan.why}"
    if searched := _last(trace.of(Searched)):
        yield "searched", " · ".join(searched.terms)
        if searched.needs:
            yield "needs", " · ".join(searched.needs)
    for missed in trace.of(Missed):
        yield "missing", f"{missed.what} (after round {missed.round})"
    if recalled := trace.of(Recalled):
        saved = sum(reply.usage.total_tokens for reply in recalled)
        replies = f"{len(recalled):,} repl{'y' if len(recalled) == 1 else 'ies'}"
        yield "recalled", f"{replies} paid for before, {tokens(saved)}"


def _caps(budget: Budget) -> str:
    caps = [tokens(budget.total_tokens)]
    if budget.max_cost_usd is not None:
        caps.append(f"${budget.max_cost_usd:,.4f}")
    if budget.max_seconds is not None:
        caps.append(f"{budget.max_seconds:g} seconds")
    if budget.max_calls is not None:
        caps.append(f"{budget.max_calls:,} calls")
    if budget.stop_when_confident is not None:
        caps.append(f"until {budget.stop_when_confident:.0%} sure")
    return " · ".join(caps)


# -- what it cost ------------------------------------------------------------------------------------------------------


def _bill(trace: Trace) -> RenderableType:
    usage, started, finished = trace.usage(), _last(trace.of(Started)), _last(trace.of(Finished))
    overdraft = finished.overdraft_tokens if finished else sum(call.overdraft_tokens for call in trace.of(Settled))
    return bill(
        [(stage, each.total_tokens) for stage, each in trace.usage_by_stage()],
        {"total_tokens": usage.total_tokens, "calls": usage.calls, "cost_usd": usage.cost_usd},
        started.budget.total_tokens if started else None,
        overdraft_tokens=overdraft,
    )


def _calls(trace: Trace) -> RenderableType | None:
    """What was held for calls, and what they were billed, by stage."""
    stage_of = {event.call: event.stage for event in trace.of(Reserved)}
    if not stage_of:
        return None
    ends = [event for event in trace if isinstance(event, Settled | Released)]
    closed = {event.call: event.usage for event in ends}
    failed = {event.call for event in trace.of(Settled) if event.error}
    table = _table("stage", "calls", "reserved", "billed", "failed")
    for stage in dict.fromkeys(stage_of.values()):
        calls = [event for event in trace.of(Reserved) if event.stage == stage]
        billed = sum(closed[call.call].total_tokens for call in calls if call.call in closed)
        held = sum(call.tokens for call in calls)
        troubled = sum(call.call in failed for call in calls)
        add_row(table, one_line(stage), f"{len(calls):,}", f"{held:,}", f"{billed:,}", f"{troubled or '–'}")
    kept = _last(trace.of(Kept))
    lines = [Text(f"{tokens(kept.tokens)} kept for the answer from the start", style="dim")] if kept else []
    return block("Calls", table, *lines)


# -- what was thought relevant, granted and read -----------------------------------------------------------------------


def _relevant(trace: Trace) -> RenderableType | None:
    estimated = _last(trace.of(Estimated))
    if estimated is None or not estimated.top:
        return None
    table = _table("relevance", "node", "title")
    for branch in estimated.top[:_MOST_RELEVANT]:
        add_row(table, probability(branch.relevance), one_line(branch.node), _title(branch.title))
    return block("Looked most relevant", table)


@dataclass(frozen=True, slots=True, kw_only=True)
class Branched:
    """Grants under one node, together.

    Attributes:
        node: The node's id, dotted.
        title: The headings that the grants share, outermost first; else the title of the largest.
        tokens: Granted in all.
        gain: Expected in all.
        grants: How many.
        pages: First and last page granted.
    """

    node: str
    title: str
    tokens: int
    gain: float
    grants: int
    pages: tuple[int, int] | None


def branches(grants: Sequence[GrantLine]) -> tuple[Branched, ...]:
    """The grants by branch of the tree, the largest first; ties in order of grants.

    Branches are the children of the root, but one that got more than a third of all tokens is taken apart, so that
    what is shown tells branches from each other.

    Example:
        >>> cash = GrantLine(node="0.2.1", title="Notes › Cash", tokens=30)
        >>> debt = GrantLine(node="0.2.4.0", title="Notes › Debt", tokens=50)
        >>> lead = GrantLine(node="0.0", title="Business", tokens=200)
        >>> [(one.node, one.tokens, one.title) for one in branches([cash, debt, lead])]
        [('0.0', 200, 'Business'), ('0.2', 80, 'Notes')]
    """
    order = {id(grant): place for place, grant in enumerate(grants)}
    pending, found = list(_split("0", grants).items()), []
    while pending:
        node, lines = pending.pop()
        finer = _split(node, lines)
        if len(lines) > 1 and 3 * _granted(lines) > _granted(grants) and node not in finer:
            pending += finer.items()
        else:
            found.append((-_granted(lines), min(order[id(line)] for line in lines), node, lines))
    return tuple(_branched(node, lines) for *_, node, lines in sorted(found, key=lambda one: one[:2]))


def _split(node: str, grants: Iterable[GrantLine]) -> dict[str, list[GrantLine]]:
    """The grants by child of a node; those to the node itself stay with it."""
    under: dict[str, list[GrantLine]] = {}
    for grant in grants:
        below = grant.node.removeprefix(node).lstrip(".")
        under.setdefault(f"{node}.{below.split('.')[0]}" if below else node, []).append(grant)
    return under


def _granted(grants: Iterable[GrantLine]) -> int:
    return sum(grant.tokens for grant in grants)


def _branched(node: str, grants: Sequence[GrantLine]) -> Branched:
    paged = [grant.pages for grant in grants if grant.pages]
    levels = zip(*(grant.title.split(" › ") for grant in grants), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    return Branched(
        node=node,
        title=" › ".join(shared) or max(grants, key=lambda grant: grant.tokens).title,
        tokens=sum(grant.tokens for grant in grants),
        gain=sum(grant.gain for grant in grants),
        grants=len(grants),
        pages=(min(first for first, _ in paged), max(last for _, last in paged)) if paged else None,
    )


def grants_view(trace: Trace, most: int = _MOST_BRANCHES) -> RenderableType | None:
    """Which branches got how many tokens."""
    allocated = _last(trace.of(Allocated))
    if allocated is None:
        return None
    found = branches(allocated.grants)
    table = _table("tokens", "", "gain", "grants", "pages", "branch", "about")
    largest = max((one.tokens for one in found), default=1)
    for one in found[:most]:
        where = pages(one.pages).removeprefix("pages ").removeprefix("page ") or "–"
        bar = Bar([one.tokens], largest, width=10, first_colour=1)
        cells = (f"{one.tokens:,}", bar, f"{one.gain:.2f}", f"{one.grants:,}", where, one_line(one.node))
        add_row(table, *cells, _title(one.title.split(" › ")[-1]))
    granted = sum(one.tokens for one in found)
    line = f"{granted:,} of {tokens(allocated.budget_tokens)} granted, by {one_line(allocated.policy)}"
    rest = found[most:]
    if rest:
        line = f"and {len(rest):,} more, {tokens(sum(one.tokens for one in rest))}; {line}"
    return block("Granted, by branch", table, Text(line, style="dim"))


def _reads(trace: Trace) -> RenderableType | None:
    reads = trace.reads()
    if not reads:
        return None
    table = _table("tokens", "relevance", "page", "characters", "node", "source")
    for read in reads[:_MOST_READS]:
        place = f"{read.start:,}–{read.end:,}"
        page = "–" if read.page is None else str(read.page)
        cells = (f"{read.tokens:,}", probability(read.relevance), page, place, one_line(read.node))
        add_row(table, *cells, _title(read.source))
    rest = reads[_MOST_READS:]
    more = [Text(f"and {len(rest):,} more, {_tokens_of(rest)}", style="dim")] if rest else []
    return block(f"Read: {len(reads):,} stretch{'es' if len(reads) > 1 else ''}, {_tokens_of(reads)}", table, *more)


def _hand_backs(trace: Trace) -> RenderableType | None:
    handed = trace.of(HandedBack)
    if not handed:
        return None
    lines = [
        Text(f"{each.tokens:,} from {_whose(each.node)}: {one_line(each.why) or 'not needed'}")
        for each in handed[:_MOST_HAND_BACKS]
    ]
    rest = handed[_MOST_HAND_BACKS:]
    more = [Text(f"and {len(rest):,} more, {_tokens_of(rest)}", style="dim")] if rest else []
    return block(f"Handed back: {_tokens_of(handed)}", *lines, *more)


def _whose(node: str) -> str:
    return "the whole tree" if node in ("", "0") else one_line(node)


# -- how it ended ------------------------------------------------------------------------------------------------------


def _cut_short(trace: Trace) -> RenderableType:
    lines = [Text("The trace ends before an answer.")]
    if held := trace.held_tokens():
        lines.append(Text(f"{tokens(held)} were held for calls that have no end.", style="dim"))
    return block("No answer", *lines, style="bold yellow")


def _whole(trace: Trace, receipt: Mapping[str, Any]) -> Mapping[str, Any]:
    """The receipt, with the document's length from the beginning where the answer isn't there to tell it."""
    started = _last(trace.of(Started))
    if receipt.get("document_tokens") or started is None:
        return receipt
    whole = started.document_tokens
    return {**receipt, "document_tokens": whole, "unread_tokens": whole - int(receipt.get("read_tokens", 0))}


def _outline_notes(trace: Trace) -> Sequence[str]:
    outlined = _last(trace.of(Outlined))
    return outlined.notes if outlined else ()


# -- event by event ----------------------------------------------------------------------------------------------------


def _details(event: Event) -> str:
    if isinstance(event, Allocated):
        return f"{event.policy}: {len(event.grants):,} grants of {tokens(event.budget_tokens)}"
    if isinstance(event, Answered):
        share = event.receipt.get("read_tokens", 0) / max(1, event.receipt.get("document_tokens", 1))
        lead = "abstained" if event.abstained else f"confidence {event.confidence:.2f}"
        return one_line(f"{lead} · {len(event.citations)} quotes · {percent(share)} read · {event.text}")
    if isinstance(event, Finished):
        return f"{tokens(event.usage.total_tokens)} spent, {event.remaining_tokens:,} left"
    pairs = ((each.name, getattr(event, each.name)) for each in fields(event))
    return one_line(
        " · ".join(f"{name} {_shown(value)}" for name, value in pairs if value not in ("", (), None, False))
    )


def _shown(value: Any) -> str:
    if isinstance(value, Usage):
        return f"{value.input_tokens:,} in, {value.output_tokens:,} out"
    if isinstance(value, Budget):
        return _caps(value)
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, tuple):
        return "; ".join(_shown(each) for each in value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_shown(each)}" for name, each in value.items())
    if is_dataclass(value):
        return " ".join(_shown(getattr(value, each.name)) for each in fields(value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _table(*heads: str) -> Table:
    """A plain table, figures to the right, the last column taking what is left."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim", expand=heads[-1] in _WORDS)
    for head in heads:
        table.add_column(
            head,
            justify="left" if head in _WORDS or not head else "right",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if table.expand and head == heads[-1] else None,
        )
    return table


def _title(text: str) -> Text:
    return Text(title(text), overflow="ellipsis", no_wrap=True)


def _tokens_of(events: Sequence[Read] | Sequence[HandedBack]) -> str:
    return tokens(sum(event.tokens for event in events))


def _last(events: Sequence[T]) -> T | None:
    return events[-1] if events else None
