"""Verifying a trace: that it is as it was written, that its books are right, and that it could have come about so.

What can be checked depends on what is at hand: the file alone shows whether a byte was changed and whether the sums are
right; with the document, what was read and quoted is looked up, and the run is done again with the replies on record,
event by event. **What couldn't be checked is said, never counted as right.**

Doesn't read files or print.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path
from typing import Any, TypeGuard

from hierarchy.budget import Budget, Usage
from hierarchy.calls import HELPER_STAGES
from hierarchy.document import Document
from hierarchy.errors import HierarchyError, InputError, Interrupted, StoreError
from hierarchy.events import (
    Allocated,
    Answered,
    Event,
    Finished,
    Kept,
    Noted,
    Read,
    Released,
    Reserved,
    Settled,
    Started,
)
from hierarchy.ledger import Reservation
from hierarchy.replaying import replay
from hierarchy.tokens import AT_HAND, TiktokenCounter
from hierarchy.trace import HEADER, Trace, broken_line, event_line
from hierarchy.tree import SummaryTree

__all__ = ["Check", "Verdict", "verified"]

# What events say where a clock had a hand in it: from there on no replay can follow.
_CLOCK = "seconds are up."
_USD_DIGITS = 9
_USD_STEP = 10**-_USD_DIGITS
_BEFORE, _SHOWN = 40, 100  # Characters of two lines that differ: shown before where they do, and in all.


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that was looked at.

    Attributes:
        name: What.
        holds: Whether it is right; None if that couldn't be checked.
        detail: What was found, in a sentence.
    """

    name: str
    holds: bool | None
    detail: str

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"name": self.name, "holds": self.holds, "detail": self.detail}


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """All checks of one trace.

    Attributes:
        checks: In the order made.
        spent_tokens: What its calls were billed.
        budget_tokens: What they might have been; None if the trace doesn't say.
        overdraft_tokens: What providers billed beyond what was held for their calls.
    """

    checks: tuple[Check, ...]
    spent_tokens: int
    budget_tokens: int | None
    overdraft_tokens: int

    @property
    def holds(self) -> bool:
        """Whether nothing is wrong; what couldn't be checked isn't."""
        return all(check.holds is not False for check in self.checks)

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "holds": self.holds,
            "spent_tokens": self.spent_tokens,
            "budget_tokens": self.budget_tokens,
            "overdraft_tokens": self.overdraft_tokens,
            "checks": [check.to_dict() for check in self.checks],
        }


def verified(
    text: str,
    document: str | Path | Document | SummaryTree | None = None,
    *,
    prompts: str | Path | None = None,
    lexicons: Sequence[str | Path] = (),
) -> Verdict:
    """Check a trace.

    Args:
        text: The trace file's text.
        document: What it is of; without it only the file itself is checked.
        prompts: The folder of templates that the run used, if it did.
        lexicons: The user's own that it used, if it did.

    Raises:
        StoreError: It is no trace, or a line in it can't be read.

    Example:
        >>> from hierarchy import ask
        >>> chart = Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> text = ask(chart, "When was warfarin stopped?", budget=500).trace.to_jsonl()
        >>> verified(text, chart).holds, verified(text.replace('"stage": "compose"', '"stage": "route"')).holds
        (True, False)
    """
    trace = Trace.from_jsonl(text, partial=True)
    checks = [_chain(text, trace), _complete(trace), *_books(trace)]
    if document is None:
        why = "The document isn't at hand."
        checks += [Check(name=name, holds=None, detail=why) for name in ("reads and quotes", "run again")]
    else:
        checks += _against(trace, document, prompts, lexicons)
    started = trace.of(Started)
    return Verdict(
        checks=tuple(checks),
        spent_tokens=trace.usage().total_tokens,
        budget_tokens=started[0].budget.total_tokens if started else None,
        overdraft_tokens=sum(call.overdraft_tokens for call in trace.of(Settled)),
    )


# -- the file ----------------------------------------------------------------------------------------------------------


def _chain(text: str, trace: Trace) -> Check:
    name = "bytes"
    if not text.startswith(HEADER):
        return Check(name=name, holds=None, detail="Traces of version 1 have no hash chain.")
    lines = text.count("\n")
    broken = broken_line(text)
    if broken is None:
        return Check(name=name, holds=True, detail=f"All {lines:,} lines are as they were written.")
    if broken == len(trace) + 2 and broken >= lines and not text.endswith("\n"):
        return Check(name=name, holds=True, detail=f"All lines are as they were written; line {broken:,} is cut off.")
    return Check(
        name=name, holds=False, detail=f"Line {broken:,} isn't as it was written, or one before it is missing."
    )


def _complete(trace: Trace) -> Check:
    whole = bool(trace.events) and isinstance(trace.events[-1], Finished)
    open_tokens = trace.held_tokens()
    detail = "It has its beginning and its end." if whole else "It is incomplete: it was cut off before its end."
    if open_tokens and not whole:
        detail += f" {open_tokens:,} tokens were held for calls that have no end in it."
    return Check(name="completeness", holds=True if whole else None, detail=detail)


# -- the books ---------------------------------------------------------------------------------------------------------


def _books(trace: Trace) -> Iterator[Check]:
    yield _judged("reservations", trace.of(Reserved), list(_wrong_reservations(trace)), "call")
    yield _judged("settlements", trace.of(Settled), list(_wrong_ends(trace)), "bill")
    yield _budget(trace)
    yield _sums(trace)
    yield _judged("grants", trace.of(Allocated), list(_wrong_grants(trace)), "allocation")


def _judged(name: str, looked_at: Sequence[Event], wrong: Sequence[str], what: str) -> Check:
    if wrong:
        more = f" And {len(wrong) - 1:,} more." if len(wrong) > 1 else ""
        return Check(name=name, holds=False, detail=wrong[0] + more)
    count = len(looked_at)
    return Check(name=name, holds=True, detail=f"{_counted(count, what)} reckoned again.")


def _wrong_reservations(trace: Trace) -> Iterator[str]:
    """What is held for a call is its prompt, by the margin, and the reply's cap."""
    counters = {facts.name: TiktokenCounter(facts.counter) for facts in _facts(trace) if facts.counter in AT_HAND}
    for call in trace.of(Reserved):
        worst = call.input_tokens * call.margin
        held = math.ceil(worst - 1e-9) + call.max_output_tokens if math.isfinite(worst) else 0
        if held != call.tokens:
            yield f"Call {call.call} holds {call.tokens:,} tokens; its prompt and cap make {held:,}."
        counted = counters[call.model](call.prompt) if call.prompt and call.model in counters else call.input_tokens
        if counted != call.input_tokens:
            yield f"The prompt of call {call.call} counts {counted:,} tokens, not {call.input_tokens:,}."


def _facts(trace: Trace) -> tuple[Any, ...]:
    return trace.of(Started)[0].models if trace.of(Started) else ()


def _wrong_ends(trace: Trace) -> Iterator[str]:
    """Each call ends once at most, after it was admitted; its bill is what was credible of the report."""
    held: dict[int, Reserved] = {}
    ended: set[int] = set()
    for event in trace:
        if isinstance(event, Reserved):
            held[event.call] = event
        elif isinstance(event, Settled | Released):
            if event.call not in held or event.call in ended:
                yield f"Call {event.call} ends {'twice' if event.call in ended else 'without having been admitted'}."
                continue
            ended.add(event.call)
            call = held[event.call]
            if isinstance(event, Settled) and event.overdraft_tokens != max(0, event.usage.total_tokens - call.tokens):
                yield f"The overdraft of call {event.call} isn't what its bill exceeds its reservation by."
            # Traces of version 1 don't tell what was reported.
            if isinstance(event, Settled) and call.key and event.usage.input_tokens != _credited(call, event):
                yield f"The bill of call {event.call} isn't for what its provider reported."


def _credited(call: Reserved, end: Settled) -> int:
    """What a call's prompt is billed as: what was reported, or what is held where that can't be."""
    held = Reservation(
        number=call.call,
        stage=call.stage,
        input_tokens=call.input_tokens,
        max_output_tokens=call.max_output_tokens,
        tokens=call.tokens,
    )
    read = -1 if end.reported_input_tokens is None else end.reported_input_tokens
    return held.billed(Usage(input_tokens=read)).input_tokens


def _budget(trace: Trace) -> Check:
    """At each admission, what was billed, what is held and what is kept for the answer fits the cap."""
    name = "budget"
    started = trace.of(Started)
    if not started:
        return Check(name=name, holds=None, detail="The trace lacks its beginning, so the cap isn't known.")
    cap = started[0].budget.total_tokens
    spent = kept = overdraft = holding = drawn = 0
    held: dict[int, Reserved] = {}
    for event in trace:
        if isinstance(event, Kept):
            kept = event.tokens
        elif isinstance(event, Reserved):
            # What is kept is for whoever answers, who draws on it first.
            rest = max(0, kept - drawn) if event.stage in HELPER_STAGES else 0
            short = spent + holding + event.tokens + rest - cap
            # A bill beyond its reservation is taken from the common pool first, then from what is kept.
            if short > min(rest, overdraft):
                detail = f"Call {event.call} was admitted {short:,} tokens above the cap."
                return Check(name=name, holds=False, detail=detail)
            held[event.call] = event
            holding += event.tokens
            drawn += event.tokens if event.stage not in HELPER_STAGES else 0
        elif isinstance(event, Settled | Released):
            spent += event.usage.total_tokens
            overdraft += event.overdraft_tokens if isinstance(event, Settled) else 0
            if (call := held.pop(event.call, None)) is None:
                continue
            holding -= call.tokens
            if call.stage not in HELPER_STAGES:
                drawn -= call.tokens
                kept = max(0, kept - event.usage.total_tokens)
    if beyond := _beyond_other_caps(trace, started[0].budget):
        return Check(name=name, holds=False, detail=beyond)
    within = spent <= cap + overdraft
    told = f"{spent:,} of {cap:,} tokens spent"
    if overdraft:
        told += f", {overdraft:,} of them billed beyond what was held for their calls"
    return Check(name=name, holds=within, detail=told + ".")


def _beyond_other_caps(trace: Trace, budget: Budget) -> str:
    """What exceeds the caps on calls and USD; empty if nothing does. Bills beyond reservations don't count."""
    calls = {event.call: event for event in trace.of(Reserved)}
    billed = [(calls[event.call], event.usage) for event in trace if _is_bill(event) and event.call in calls]
    if budget.max_calls is not None and len(billed) > budget.max_calls:
        return f"{len(billed):,} calls were made, and {budget.max_calls:,} allowed."
    cost = sum(min(usage.cost_usd or 0.0, call.cost_usd or 0.0) for call, usage in billed)
    if budget.max_cost_usd is not None and cost > budget.max_cost_usd + _USD_STEP * (1 + len(billed)):
        return f"Calls cost ${cost:,.4f}, and ${budget.max_cost_usd:,.4f} were allowed."
    return ""


def _is_bill(event: Event) -> TypeGuard[Settled | Released]:
    return isinstance(event, Settled) or (isinstance(event, Released) and event.attempted)


def _sums(trace: Trace) -> Check:
    """The last line of the books is the sum of the calls."""
    name, finished = "sums", trace.of(Finished)
    if not finished:
        return Check(name=name, holds=None, detail="The books have no last line.")
    told = finished[-1]
    stages = tuple((stage, usage) for stage, usage in trace.usage_by_stage() if usage.calls)
    same = _close(told.usage, trace.usage()) and len(stages) == len(told.by_stage)
    same = same and all(
        one == other and _close(bill, usage) for (one, bill), (other, usage) in zip(told.by_stage, stages, strict=False)
    )
    overdraft = sum(call.overdraft_tokens for call in trace.of(Settled))
    same = same and told.overdraft_tokens == overdraft
    return Check(
        name=name,
        holds=same,
        detail="The bill is the sum of the calls, by stage too." if same else "The bill isn't the sum of the calls.",
    )


def _close(one: Usage, other: Usage) -> bool:
    if (one.cost_usd is None) != (other.cost_usd is None):
        return False
    same_cost = abs((one.cost_usd or 0.0) - (other.cost_usd or 0.0)) <= _USD_STEP
    return same_cost and replace(one, cost_usd=None) == replace(other, cost_usd=None)


def _wrong_grants(trace: Trace) -> Iterator[str]:
    for number, allocated in enumerate(trace.of(Allocated), 1):
        granted = sum(grant.tokens for grant in allocated.grants)
        # One passage alone is granted even if it turns out not to fit: then no call is made with it.
        if granted > allocated.budget_tokens and allocated.policy != "whole" and len(allocated.grants) > 1:
            yield f"Allocation {number} grants {granted:,} tokens of {allocated.budget_tokens:,}."


# -- against the document ----------------------------------------------------------------------------------------------


def _against(
    trace: Trace,
    document: str | Path | Document | SummaryTree,
    prompts: str | Path | None,
    lexicons: Sequence[str | Path],
) -> list[Check]:
    from hierarchy.loaders import load

    if isinstance(document, str | Path):
        document = load(document)
    whole = document.document if isinstance(document, SummaryTree) else document
    started = trace.of(Started)
    if started and started[0].document_key != whole.key:
        raise InputError(
            f"{whole.name} isn't the document of the trace: its content differs.",
            f"Give {started[0].document} as it was when the question was asked.",
        )
    return [_quotes(trace, whole), _run_again(trace, document, prompts, lexicons)]


def _quotes(trace: Trace, document: Document) -> Check:
    """What was read stands where it is said to, and verified quotes character for character."""
    texts = {file.name: file.text for file in document.files}
    wrong = [
        f"A stretch of {read.source} is said to be read that isn't there."
        for read in trace.of(Read)
        if not 0 <= read.start < read.end <= len(texts.get(read.source, ""))
    ]
    quotes = [quote for answered in trace.of(Answered)[-1:] for quote in answered.citations if quote.get("verified")]
    for quote in quotes:
        text = texts.get(str(quote["source"]), "")
        if text[int(quote["start"]) : int(quote["end"])] != quote["quote"]:
            wrong.append(f"A quote said to be verified doesn't stand in {quote['source']}: {str(quote['quote'])[:60]}…")
    reads = len(trace.of(Read))
    if wrong:
        return Check(name="reads and quotes", holds=False, detail=wrong[0])
    return Check(
        name="reads and quotes",
        holds=True,
        detail=f"{_counted(reads, 'stretch', 'es')} and {_counted(len(quotes), 'quote')} stand there.",
    )


def _counted(count: int, what: str, plural: str = "s") -> str:
    return f"{count:,} {what}{'' if count == 1 else plural}"


def _run_again(
    trace: Trace,
    document: str | Path | Document | SummaryTree,
    prompts: str | Path | None,
    lexicons: Sequence[str | Path],
) -> Check:
    """The run, done again with the replies on record, tells the same events."""
    name = "run again"
    try:
        again = replay(trace, document, prompts=prompts, lexicons=lexicons).trace
    except (StoreError, InputError) as error:
        return Check(name=name, holds=None, detail=f"{error.message} {error.hint}".strip())
    except HierarchyError as error:
        return Check(name=name, holds=False, detail=f"Done again, it ends with: {error.message}")
    events, broken_off = _before_the_clock(trace), _closing(trace)
    for number, (then, now) in enumerate(zip(events, again, strict=False)):
        if _to_the_cent(then) != _to_the_cent(now):
            return _outside(number) if number >= broken_off else _differs(trace, number + 2, then, now)
    if len(again) < len(events):
        return Check(name=name, holds=False, detail=f"Done again, it ends after {len(again):,} events.")
    if len(events) < len(trace):
        return _outside(len(events))
    if len(events) < len(again) and isinstance(trace.events[-1], Finished):
        return Check(name=name, holds=False, detail=f"Done again, it goes on after {len(events):,} events.")
    return Check(name=name, holds=True, detail=f"All {len(events):,} events come about again, prompts and grants too.")


def _to_the_cent(event: Event) -> Event:
    """An event whose price doesn't depend on the order in which it was reckoned."""
    if isinstance(event, Reserved | Kept) and event.cost_usd is not None:
        return replace(event, cost_usd=round(event.cost_usd, _USD_DIGITS))
    return event


def _outside(events: int) -> Check:
    detail = f"The first {events:,} events come about again; then the run was cut short from outside."
    return Check(name="run again", holds=None, detail=detail)


def _differs(trace: Trace, number: int, then: Event, now: Event) -> Check:
    """What it means that an event comes out otherwise: nothing, where others had a hand in it."""
    from hierarchy import __version__

    started = trace.of(Started)[0]
    before, after = _apart(event_line(then), event_line(now))
    detail = f"Line {number:,} comes out otherwise: {before} then, {after} now."
    why = ""
    if started.shared:
        why = "Other questions drew on the same account."
    elif started.budget.max_seconds is not None:
        why = "Time was capped, which a replay doesn't know."
    elif started.made_by != __version__:
        why = f"It was made by version {started.made_by or 'unknown'}; this is {__version__}."
    elif isinstance(then, Noted) and isinstance(now, Reserved) and then.what.startswith(_unsent(now)):
        why = "Other questions may have taught how the model counts, so that less fit."
    return Check(name="run again", holds=None if why else False, detail=f"{detail} {why}".strip())


def _unsent(call: Reserved) -> str:
    """How a note begins that says of a call that it didn't fit."""
    return f"A {call.stage} call wasn't sent: {call.stage} needs "


def _apart(*lines: str) -> list[str]:
    """Two lines from shortly before where they differ; prompts are long, and mostly the same."""
    same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*lines, strict=False)))
    start = max(0, same - _BEFORE)
    cut = [(line[start : start + _SHOWN], len(line) > start + _SHOWN) for line in lines]
    return [f"{'…' if start else ''}{shown}{'…' if more else ''}" for shown, more in cut]


def _before_the_clock(trace: Trace) -> tuple[Event, ...]:
    """The events up to where time was up."""
    capped = any(started.budget.max_seconds is not None for started in trace.of(Started))
    for number, event in enumerate(trace if capped else ()):
        said = event.error if isinstance(event, Settled | Released) else event.what if isinstance(event, Noted) else ""
        if _CLOCK in said:
            return trace.events[:number]
    return trace.events


def _closing(trace: Trace) -> int:
    """How many events come before a run without an answer has its books closed, as one that was broken off has."""
    if trace.of(Answered) or not trace.of(Finished):
        return len(trace)
    at = len(trace) - 1
    while at and _left_open(trace.events[at - 1]):
        at -= 1
    return at


def _left_open(event: Event) -> bool:
    """Whether a call was open when the books were closed."""
    if isinstance(event, Settled):
        return event.error_kind == Interrupted.__name__
    return isinstance(event, Released) and not event.attempted
