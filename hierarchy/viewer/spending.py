"""Where the tokens went, on a terminal: the budget as one bar, the calls in order, and all of it against reading all.

From events alone. What isn't known (a price, a model's energy, a call's seconds) has no column rather than a guess.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.energy import bill_wh, energy_wh, estimator
from hierarchy.events import (
    Answered,
    Finished,
    Kept,
    ModelFacts,
    Planned,
    Recalled,
    Released,
    Reserved,
    Retried,
    Settled,
    Started,
)
from hierarchy.trace import Trace
from hierarchy.viewer.answers import add_row, block
from hierarchy.viewer.bars import Bar
from hierarchy.viewer.palette import CARE, FAIL, GOOD, QUIET, Flow
from hierarchy.viewer.sorting import is_gathered
from hierarchy.viewer.text import one_line, percent, tokens, usd

__all__ = ["Call", "calls_of", "calls_view", "compared_view", "ledger_lines", "ledger_view"]

_MOST_CALLS = 10
_MOST_REASONS = 4
_NARROW = 66


def ledger_view(trace: Trace) -> RenderableType:
    """The ledger as one bar against the cap: each stage, what is held, what was kept for the answer, the rest."""
    return block("Budget", *ledger_lines(trace))


def ledger_lines(trace: Trace) -> tuple[RenderableType, ...]:
    """The bar, its legend, and the sums: tokens, calls, money."""
    started = next(iter(trace.of(Started)), None)
    stages = [(stage, usage.total_tokens) for stage, usage in trace.usage_by_stage() if usage.total_tokens]
    if is_gathered(trace):
        stages = [("context", sum(grant.tokens for grant in trace.grants()))]
    spent = sum(billed for _, billed in stages)
    cap = started.budget.total_tokens if started else spent
    ended = bool(trace.of(Finished))
    held = 0 if ended else trace.held_tokens()
    bar = Bar([amount for _, amount in stages], cap, held=held)
    entries = [_entry(bar, index, one_line(name), amount, cap) for index, (name, amount) in enumerate(stages)]
    if held:
        entries.append(_entry(bar, None, "held", held, cap))
    entries.append(_rest(cap - spent - held, cap, "unspent" if ended else "free"))
    sums = [*_sums(trace, spent, started.budget if started else None)]
    return bar, Flow(entries), Flow(sums, gap=" · ")


def _entry(bar: Bar, index: int | None, name: str, amount: int, cap: int) -> Text:
    entry = Text.assemble(bar.sign(index), f" {name} {amount:,}")
    entry.append(f" {percent(amount / max(1, cap))}", style=QUIET)
    return entry


def _rest(amount: int, cap: int, name: str) -> Text:
    share = percent(max(0, amount) / max(1, cap))
    return Text.assemble(("─", QUIET), f" {name} {max(0, amount):,}", (f" {share}", QUIET))


def _sums(trace: Trace, spent: int, budget: Budget | None) -> Iterable[Text]:
    usage, finished = trace.usage(), trace.of(Finished)
    verb = "gathered" if is_gathered(trace) else "spent"
    yield Text(f"{spent:,} of {tokens(budget.total_tokens)} {verb}" if budget else f"{tokens(spent)} {verb}")
    calls = f"{usage.calls:,} call{'' if usage.calls == 1 else 's'}"
    yield Text(f"{calls} of {budget.max_calls:,}" if budget and budget.max_calls else calls)
    cap_usd = budget.max_cost_usd if budget else None
    if usage.cost_usd or cap_usd:
        cost = "unknown cost" if usage.cost_usd is None else usd(usage.cost_usd)
        yield Text(f"{cost} of {usd(cap_usd)}" if cap_usd else cost)
    if budget and budget.max_seconds:
        yield Text(f"{budget.max_seconds:g} seconds at most")
    if not finished and (kept := trace.of(Kept)):
        yield Text(f"{kept[-1].tokens:,} kept for the answer", style=QUIET)
    over = finished[-1].overdraft_tokens if finished else sum(one.overdraft_tokens for one in trace.of(Settled))
    if over:
        yield Text(f"{over:,} billed beyond what was reserved", style=FAIL)


# -- calls -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call, or a reply that was there already, from all events about it.

    Attributes:
        number: Its number; None for a reply that was there.
        stage: The line of the bill.
        node: What it is about, dotted; empty for the whole tree.
        model: Who was called.
        usage: What it was billed, or what the reply had cost once.
        seconds: How long it took; None where nobody says.
        outcome: `answered`, `recalled`, `cached`, `failed`, `refused`, `dropped`, `under way`.
        why: What the provider said of a failure.
        again: How long was waited before it was made again; None if it wasn't.
    """

    number: int | None
    stage: str
    node: str
    model: str
    usage: Usage
    seconds: float | None = None
    outcome: str = "under way"
    why: str = ""
    again: float | None = None

    @property
    def troubled(self) -> bool:
        """Whether it came to nothing."""
        return self.outcome in ("failed", "refused", "dropped")


def calls_of(trace: Trace) -> tuple[Call, ...]:
    """All calls and recalled replies, in the order in which they were asked for."""
    ends = {event.call: event for event in trace if isinstance(event, Settled | Released)}
    waits = _waits(trace)
    found = []
    for event in trace:
        if isinstance(event, Recalled):
            found.append(
                Call(
                    number=None,
                    stage=event.stage,
                    node=event.node,
                    model=event.model,
                    usage=event.usage,
                    outcome="recalled",
                )
            )
        elif isinstance(event, Reserved):
            found.append(_call(event, ends.get(event.call), waits.get(event.call)))
    return tuple(found)


def _waits(trace: Trace) -> dict[int, float]:
    """How long was waited before a call was made again; one that then didn't fit the budget wasn't."""
    asked: dict[int, str] = {}
    waits: dict[int, float] = {}
    for event in reversed(trace.events):
        if isinstance(event, Reserved):
            asked[event.call] = event.key or f"{event.stage} {event.node}"
        elif isinstance(event, Retried):
            waits[event.call] = event.wait_s
    return {
        call: wait
        for call, wait in waits.items()
        if any(later > call and what == asked.get(call) for later, what in asked.items())
    }


def _call(reserved: Reserved, end: Settled | Released | None, again: float | None) -> Call:
    outcome = "under way"
    if isinstance(end, Released):
        outcome = "refused" if end.attempted else "dropped"
    elif end is not None:
        outcome = "failed" if end.error else "cached" if end.cached else "answered"
    return Call(
        number=reserved.call,
        stage=reserved.stage,
        node=reserved.node,
        model=reserved.model,
        usage=end.usage if end else NOTHING,
        seconds=end.seconds if end else None,
        outcome=outcome,
        why=one_line(end.error) if end else "",
        again=again,
    )


def calls_view(trace: Trace, *, most: int = _MOST_CALLS, width: int = 80) -> RenderableType | None:
    """The calls in order: model, tokens in and out, seconds, cost, what came of them.

    Args:
        trace: The trace.
        most: Rows at most. Beyond it, calls of one stage that ended alike share a row.
        width: Columns that there are; narrow ones show less.
    """
    calls = calls_of(trace)
    if not calls:
        return None
    rows: list[tuple[Call, ...]] = [(call,) for call in calls]
    if len(rows) > most:
        rows = [tuple(group) for _, group in groupby(calls, lambda call: (call.stage, call.model, call.outcome))]
    models = list(dict.fromkeys(call.model for call in calls if call.model))
    wide = width >= 84 and len(models) > 1
    known = _known(calls, narrow=width < _NARROW)
    table = _calls_table(known, wide=wide)
    for row in rows[:most]:
        add_row(table, *_cells(row, known, wide=wide))
    rest = [call for row in rows[most:] for call in row]
    more: list[RenderableType] = []
    if rest:
        more.append(Text(f"and {len(rest):,} more, {tokens(_billed(rest))}", style=QUIET))
    more += [Flow(_troubles(calls))] if any(call.why for call in calls) else []
    heading = "Calls" if len(calls) > 1 else "Call"
    if models and not wide:
        heading += f" · {' · '.join(map(one_line, models[:3]))}"
    return block(heading, table, *more)


def _troubles(calls: Sequence[Call]) -> list[Text]:
    """Why calls came to nothing, each reason once, with the numbers of the first calls that it befell."""
    reasons: dict[str, list[Call]] = {}
    for call in calls:
        if call.why:
            reasons.setdefault(call.why, []).append(call)
    lines = []
    for why, befallen in list(reasons.items())[:_MOST_REASONS]:
        numbers = ", ".join(str(call.number) for call in befallen[:3])
        lines.append(Text.assemble((f"{numbers}{', …' if len(befallen) > 3 else ''}: ", QUIET), why))
    return lines


def _calls_table(known: Sequence[str], *, wide: bool) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET, expand=True)
    table.add_column("#", justify="right", no_wrap=True, style=QUIET)
    table.add_column("stage", no_wrap=True)
    if wide:
        table.add_column("model", no_wrap=True, overflow="ellipsis", max_width=28)
    for head in ("in", "out", *known):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _known(calls: Sequence[Call], *, narrow: bool) -> list[str]:
    """Which of the columns that not every run has are worth showing."""
    known = ["seconds"] if any(call.seconds for call in calls) and not narrow else []
    return [*known, "USD"] if any(call.usage.cost_usd for call in calls) else known


def _cells(row: Sequence[Call], known: Sequence[str], *, wide: bool) -> list[str | Text]:
    first = row[0]
    paid = [call for call in row if call.outcome != "recalled"]
    numbers = [call.number for call in row if call.number is not None]
    number = f"{numbers[0]}–{numbers[-1]}" if len(numbers) > 1 else str(numbers[0]) if numbers else "–"
    cells: list[str | Text] = [number, one_line(first.stage)]
    if wide:
        cells.append(one_line(first.model))
    billed_in, billed_out = sum(c.usage.input_tokens for c in paid), sum(c.usage.output_tokens for c in paid)
    cells += [_or_dash(f"{billed_in:,}", billed_in), _or_dash(f"{billed_out:,}", billed_out)]
    if "seconds" in known:
        seconds = sum(call.seconds or 0 for call in row)
        cells.append(_or_dash(f"{seconds:.1f}", seconds))
    if "USD" in known:
        cost = sum(call.usage.cost_usd or 0 for call in paid)
        cells.append(_or_dash(f"{cost:.4f}", cost))
    return [*cells, _outcome(row)]


def _outcome(row: Sequence[Call]) -> Text:
    first, count = row[0], f"{len(row):,} " if len(row) > 1 else ""
    if first.outcome in ("answered", "cached"):
        line = Text.assemble(("✓", GOOD), f" {count}{first.outcome}" if count or first.outcome == "cached" else "")
    elif first.outcome == "recalled":
        saved = sum(call.usage.total_tokens for call in row)
        line = Text.assemble(("✓", GOOD), f" {count}paid for before: {saved:,} not billed")
    elif first.troubled:
        line = Text.assemble(("✗", FAIL), (f" {count}{first.outcome}", FAIL))
        if first.again is not None:
            line.append(f", again after {first.again:.1f} s" if first.again else ", made again")
    else:
        line = Text.assemble(("▸", CARE), (f" {count}under way", CARE))
    return line


def _or_dash(text: str, amount: float) -> str:
    return text if amount else "–"


def _billed(calls: Iterable[Call]) -> int:
    return sum(call.usage.total_tokens for call in calls if call.outcome != "recalled")


# -- against reading everything ----------------------------------------------------------------------------------------


def compared_view(trace: Trace) -> RenderableType | None:
    """What it took against sending all of the document once: tokens; USD and Wh where the models are known.

    The whole document is counted without a reply to it, which is to this run's disadvantage.
    """
    started, usage = next(iter(trace.of(Started)), None), trace.usage()
    if started is None or not started.document_tokens or not usage.calls or not trace.of(Answered):
        return None  # Without an answer there is nothing to compare: it may have been about to cost more.
    if any(planned.way == "whole" for planned in trace.of(Planned)):
        return None  # This run read everything.
    facts = {one.role: one for one in started.models}
    reply = _reply_tokens(trace)
    whole = started.document_tokens
    table = Table.grid(padding=(0, 3, 0, 0))
    table.add_column(style=QUIET, no_wrap=True)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True)
    add_row(table, "", *(Text(head, style=QUIET) for head in ("this run", "everything", "share")))
    share = Text(percent(usage.total_tokens / whole), style="bold" if usage.total_tokens < whole else CARE)
    add_row(table, "tokens", f"{usage.total_tokens:,}", f"{whole:,}", share)
    if cost := _whole_usd(facts.get("answer"), whole):
        spent = usage.cost_usd
        known = ("unknown", "") if spent is None else (usd(spent), percent(spent / cost))
        add_row(table, "USD", known[0], usd(cost), known[1])
    lines: list[RenderableType] = [table]
    if energy := _energy(trace, started, facts, reply):
        add_row(table, "Wh", *energy, "")
        lines.append(Text(f"Wh: estimated by {estimator()} from what was written; reading isn’t counted.", style=QUIET))
    if window := _too_long(facts.get("answer"), whole):
        lines.append(window)
    return block("Against reading everything", *lines)


def _reply_tokens(trace: Trace) -> int:
    """How long the answer's reply was, which reading everything would have to write as well."""
    composing = {event.call for event in trace.of(Reserved) if event.stage not in ("route", "refine", "summarise")}
    written = [event.usage.output_tokens for event in trace.of(Settled) if event.call in composing and not event.error]
    return written[-1] if written else 0


def _whole_usd(facts: ModelFacts | None, document_tokens: int) -> float | None:
    return None if facts is None or facts.input_usd is None else document_tokens * facts.input_usd


def _energy(trace: Trace, started: Started, facts: dict[str, ModelFacts], reply: int) -> tuple[str, str] | None:
    if started.model in ("", "extractive"):  # Looking a name up takes a third of a second.
        return None
    helper = facts["help"].name if "help" in facts else None
    took, whole = bill_wh(trace.usage_by_stage(), started.model, helper), energy_wh(started.model, reply)
    return (_range(took), _range(whole)) if took and whole else None


def _range(bounds: tuple[float, float]) -> str:
    low, high = (f"{bound:.2g}" if bound < 10 else f"{bound:,.0f}" for bound in bounds)
    return low if low == high else f"{low}–{high}"


def _too_long(facts: ModelFacts | None, whole: int) -> Text | None:
    if facts is None or not facts.context_tokens or facts.context_tokens >= whole:
        return None
    return Text(f"Everything is more than {one_line(facts.name)} takes: {tokens(facts.context_tokens)}.", style=QUIET)
