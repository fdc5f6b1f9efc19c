"""A saved trace on a terminal, from its events alone: as a story, or event by event."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import takewhile
from typing import Any, TypeVar

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
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
    Missed,
    Noted,
    Outlined,
    Planned,
    Recalled,
    Searched,
    Started,
)
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree
from hierarchy.viewer.answers import add_row, block, notes_view, quotes, said, unread_view
from hierarchy.viewer.bars import Bar
from hierarchy.viewer.maps import map_view
from hierarchy.viewer.palette import CARE, QUIET, Flow, Legible
from hierarchy.viewer.sorting import REFUSED, SortedTrace, is_gathered, is_refused
from hierarchy.viewer.spending import calls_view, compared_view, ledger_view
from hierarchy.viewer.text import one_line, pages, percent, title, tokens
from hierarchy.viewer.treemap import TreeMap, granted_by_node

__all__ = ["branches", "events_view", "grants_view", "trace_view"]

T = TypeVar("T")

_WORDS = frozenset({"stage", "node", "title", "source", "branch", "about"})

_MOST_BRANCHES, _MOST_ROWS, _MOST_QUOTES, _LONGEST_QUOTE, _MOST_UNREAD = 10, 18, 4, 240, 4
_MOST_WORDS, _MOST_NOTES = 12, 6


def trace_view(
    trace: Trace, *, tree: SummaryTree | None = None, tree_map: TreeMap | None = None, ascii_only: bool | None = None
) -> RenderableType:
    """The story of a question: the answer, the map of what was read, where the tokens went, and what wasn't read.

    Args:
        trace: The trace, whole or cut off, of any version.
        tree: The document's tree, if it is at hand; it names what has no title.
        tree_map: The trace's map, if it was made before.
        ascii_only: Whether to draw in ASCII; None leaves it to the console that draws.
    """
    trace = SortedTrace.of_trace(trace)
    return Legible(_Look(trace=trace, tree=tree, map=tree_map or TreeMap.of(trace)), ascii_only=ascii_only)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """A trace at one look. What it shows of calls depends on the width."""

    trace: Trace
    tree: SummaryTree | None
    map: TreeMap | None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw it."""
        trace, answer = self.trace, self.trace.answer()
        blocks = [
            _header(trace),
            said(answer, style="default") if answer else _unanswered(trace),
            quotes(answer.get("citations", ()), most=_MOST_QUOTES, longest=_LONGEST_QUOTE),
            self._read(),
            ledger_view(trace),
            calls_view(trace, width=options.max_width),
            unread_view(trace.receipt().get("unread", ()), _MOST_UNREAD, token_usd=_token_usd(trace)),
            compared_view(trace),
            notes_view(_notes(trace)),
        ]
        yield Group(*(each for each in blocks if each is not None))

    def _read(self) -> RenderableType | None:
        """The map; of a trace that has none, the branches that were granted tokens."""
        if self.map is None:
            return grants_view(self.trace)
        lines = Flow([Text(line, style=QUIET) for line in _read_lines(self.trace)], gap=" · ")
        return block("Where it read", map_view(self.map, most=_MOST_ROWS, tree=self.tree), lines)


def _read_lines(trace: Trace) -> Iterable[str]:
    """What was granted, read and handed back, in all."""
    allocated, receipt = _last(trace.of(Allocated)), _whole(trace, trace.receipt())
    whole = int(receipt.get("document_tokens") or 0)
    if whole and trace.of(Answered):
        yield f"{percent(int(receipt.get('read_tokens', 0)) / whole)} of the document read"
        if coarse := int(receipt.get("coarse_tokens", 0)):
            yield f"{percent(coarse / whole)} seen as summaries"
    if allocated:
        granted, rounds = sum(granted_by_node(trace).values()), len(trace.of(Allocated))
        of = f"tokens granted in {rounds} rounds" if rounds > 1 else f"of {tokens(allocated.budget_tokens)} granted"
        yield f"{granted:,} {of}, by {one_line(allocated.policy)}"
    if handed := trace.of(HandedBack):
        yield f"{_tokens_of(handed)} handed back"


def _token_usd(trace: Trace) -> float | None:
    """What sending a token to the model that answers costs."""
    started = _last(trace.of(Started))
    return next((one.input_usd for one in started.models if one.role == "answer"), None) if started else None


def events_view(trace: Trace) -> RenderableType:
    """Every event on a line of its own, numbered as in the file."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(justify="right", no_wrap=True, style="dim")
    table.add_column(no_wrap=True, style="cyan")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for line, event in enumerate(trace, 2):
        add_row(table, str(line), type(event).__name__, Text(_details(event), no_wrap=True, overflow="ellipsis"))
    return Legible(table, width=None)


# -- what was asked ----------------------------------------------------------------------------------------------------


def _header(trace: Trace) -> RenderableType:
    started = _last(trace.of(Started))
    if started is None:
        return block("Trace", Text(f"{len(trace):,} events; its beginning is missing.", style=CARE))
    lines = [Flow([Text(one_line(fact), style=QUIET) for fact in _facts(trace, started)], gap=" · ")]
    table = Table.grid(padding=(0, 2))
    table.add_column(style=QUIET, no_wrap=True)
    table.add_column()
    for name, value in _course_lines(trace):
        add_row(table, name, one_line(value))
    return block(one_line(started.question) or "Trace", *lines, *([table] if table.row_count else []))


def _facts(trace: Trace, started: Started) -> Iterable[str]:
    yield started.document
    if len(started.source_names) > 1:
        yield f"{len(started.source_names):,} files"
    yield tokens(started.document_tokens)
    if outlined := _last(trace.of(Outlined)):
        yield f"{outlined.nodes:,} nodes, {outlined.depth} deep"
    yield f"budget {_caps(started.budget)}"
    yield from dict.fromkeys(one for one in (started.model, *(each.name for each in started.models)) if one)
    if policy := started.strategy.get("policy"):
        yield str(policy)


def _course_lines(trace: Trace) -> Iterable[tuple[str, str]]:
    """How it was decided to read, what was searched for besides, what was missed, and what was paid for before."""
    estimated = _last(trace.of(Estimated))
    kinds = [kind for kind in (estimated.question_kind, estimated.document_kind) if kind] if estimated else []
    if estimated and estimated.answerable is not None:
        kinds.append(f"answerable {estimated.answerable:.2f}")
    if kinds:
        yield "taken for", " · ".join(kinds)
    if estimated and estimated.vocabulary:
        yield "lexicons", " · ".join(estimated.vocabulary[:_MOST_WORDS])
    if plan := _last(trace.of(Planned)):
        yield "plan", f"{plan.way}: {plan.why}"
    if searched := _last(trace.of(Searched)):
        yield "searched", " · ".join(dict.fromkeys([*searched.terms, *searched.needs][:_MOST_WORDS]))
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


# -- what was granted --------------------------------------------------------------------------------------------------


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


# -- how it ended ------------------------------------------------------------------------------------------------------


def _unanswered(trace: Trace) -> RenderableType:
    """Why there is no answer: nobody was asked for one, or it ends too soon."""
    if is_gathered(trace):
        granted = sum(grant.tokens for grant in trace.grants())
        return block("Context gathered", Text(f"{tokens(granted)} of the document, for a model of your own."))
    if is_refused(trace):
        return block("No answer", Text(REFUSED), style=f"bold {CARE}")
    lines = [Text("The trace ends before an answer.")]
    if held := trace.held_tokens():
        lines.append(Text(f"{tokens(held)} were held for calls that have no end.", style=QUIET))
    return block("Incomplete", *lines, style=f"bold {CARE}")


def _whole(trace: Trace, receipt: Mapping[str, Any]) -> Mapping[str, Any]:
    """The receipt, with the document's length from the beginning where the answer isn't there to tell it."""
    started = _last(trace.of(Started))
    if receipt.get("document_tokens") or started is None:
        return receipt
    whole = started.document_tokens
    return {**receipt, "document_tokens": whole, "unread_tokens": whole - int(receipt.get("read_tokens", 0))}


def _notes(trace: Trace) -> Sequence[str]:
    """What went worse than it might have; the answer's last words are among them where it was cut short."""
    outlined = _last(trace.of(Outlined))
    found = [*(outlined.notes if outlined else ()), *(noted.what for noted in trace.of(Noted))]
    notes = list(dict.fromkeys(note for note in found if note))
    rest = len(notes) - _MOST_NOTES
    return [*notes[:_MOST_NOTES], f"and {rest:,} more"] if rest > 0 else notes


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


def _tokens_of(events: Sequence[HandedBack]) -> str:
    return tokens(sum(event.tokens for event in events))


def _last(events: Sequence[T]) -> T | None:
    return events[-1] if events else None
