"""Replaying: a question asked again with the replies that a trace holds, at its own budget or at another.

No model is called and nothing is paid. The built-in model answers anew, since it is here; of a language model only
what it said then is known. **As long as its replies are known, a replay is what a fresh run would be**: the same
prompts, the same books, the same answer. With the first call whose reply isn't known it stops, says so, and answers
from what was read by then.

Needs the document that the trace is of. Owns the reading of replies out of a trace. Doesn't judge (`verifying`).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hierarchy import errors
from hierarchy.answer import Answer
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome, Request
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import HierarchyError, InputError, ModelError, StoreError
from hierarchy.events import ModelFacts, Noted, Recalled, Released, Reserved, Settled, Started, Stopped
from hierarchy.journal import Call, circumstances
from hierarchy.margins import Margin, Margins
from hierarchy.models import ExtractiveModel
from hierarchy.session import NO_JOURNAL, NOT_KEPT, Retries, Session, Work
from hierarchy.tokens import AT_HAND, Counter, TiktokenCounter
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree

__all__ = ["NewCall", "RecordedModel", "Replay", "replay", "started_of"]

# No provider counts so much higher; a larger figure in a trace is none that can be reckoned with.
_MOST_MARGIN = 1_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCall:
    """A call that a run at this budget makes and of which the trace holds no reply.

    Attributes:
        stage: The line of the bill.
        node: What it is about, dotted; empty for the whole tree.
        input_tokens: What its prompt counts.
        tokens: What would be held for it.
        cost_usd: What it would cost at most; None where that isn't known.
    """

    stage: str
    node: str
    input_tokens: int
    tokens: int
    cost_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Replay:
    """What came of a replay.

    Attributes:
        trace: Its events.
        answer: Its answer; a partial one if replies were missing, None if the budget allows none.
        known: How many calls were answered from the trace, or by the built-in model.
        new: The first calls that were not, made at the same time. What comes behind them nobody knows.
        error: Why there is no answer.
    """

    trace: Trace
    answer: Answer | None
    known: int
    new: tuple[NewCall, ...] = ()
    error: HierarchyError | None = None

    @property
    def whole(self) -> bool:
        """Whether the run came to its end by known replies alone."""
        return not self.new and self.error is None

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it."""
        names = NewCall.__slots__
        return {
            "whole": self.whole,
            "known_calls": self.known,
            "new_calls": [{name: getattr(call, name) for name in names} for call in self.new],
            "answer": self.answer.to_dict() if self.answer else None,
            "error": self.error.message if self.error else None,
        }


class RecordedModel:
    """A model as a trace knows it: it counts and costs what it did then, and can't be called."""

    def __init__(self, facts: ModelFacts) -> None:
        if facts.counter not in AT_HAND:  # A trace's word is no reason to have a vocabulary fetched.
            raise InputError(
                f"{facts.name} counted tokens in a way that the trace doesn't tell, so the run can't be done again.",
                "Runs with the built-in model and with models that are named as litellm spells them can be.",
            )
        self.name = facts.name
        self.identity = facts.identity
        self.count: Counter = TiktokenCounter(facts.counter)
        self.margin = facts.margin
        self.context_tokens = facts.context_tokens
        self.reasoning_tokens = facts.reasoning_tokens
        self.stages = None if facts.stages is None else frozenset(facts.stages)
        self._prices = facts.call_usd, facts.input_usd, facts.output_usd

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """As `Model.price`, by the prices of then."""
        call, read, written = self._prices
        return None if read is None or written is None else call + input_tokens * read + output_tokens * written

    def complete(self, request: Request) -> Outcome:
        """Never called: replies come from the trace."""
        return Outcome(error=ModelError(f"No reply to this {request.stage} call is on record."), unbilled=True)

    async def acomplete(self, request: Request) -> Outcome:
        """As `complete`."""
        return self.complete(request)


def replay(
    trace: Trace,
    document: str | Path | Document | SummaryTree,
    *,
    budget: Budget | int | str | None = None,
    prompts: str | Path | None = None,
    lexicons: Sequence[str | Path] = (),
) -> Replay:
    """Ask a trace's question again, with the replies that it holds.

    Args:
        trace: Of version 2 or later.
        document: What it is of.
        budget: The caps; those of the trace if None. Seconds aren't capped: nothing is waited for.
        prompts: The folder of templates that the run used, if it did.
        lexicons: The user's own that it used, if it did.

    Raises:
        InputError: It is another document, other templates or lexicons; or the run can't be done again.
        StoreError: The trace is of version 1, or its beginning is damaged or missing.

    Example:
        >>> from hierarchy import ask
        >>> chart = Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> first = ask(chart, "When was warfarin stopped?", budget=500)
        >>> again = replay(first.trace, chart)
        >>> again.whole, again.trace == first.trace
        (True, True)
    """
    started = started_of(trace)
    try:
        reasoner = _reasoner(started, prompts, lexicons)
    except (KeyError, ValueError, TypeError, OverflowError) as damage:
        raise StoreError(f"The trace's beginning is damaged: {damage!r}.", "Ask the question again.") from damage
    tree = reasoner.outline(document)
    caps = _caps(started.budget if budget is None else Budget.parse(budget, document_tokens=tree.tokens))
    session, flow = reasoner.opened(tree, started.question, caps, 0.0)
    known = session.journal = _Known(trace, session, recalled=budget is None)
    if budget is None:
        session.margins = _MarginsOfThen(trace)
    driven = _Driven(session=session, known=known, trace=trace if budget is None else Trace())
    answer, error = driven.ended(session.work(flow))
    again = _as_first(session.trace(), started, same=budget is None)
    _check_same(again, started)
    return Replay(trace=again, answer=answer, known=driven.answered, new=driven.new, error=error)


def started_of(trace: Trace) -> Started:
    """The beginning of a trace, with what a replay needs.

    Raises:
        StoreError: It isn't there.
    """
    found = trace.of(Started)
    if not found:
        raise StoreError("The trace lacks its beginning.", "Ask the question again.")
    if not found[0].models:
        message = "The trace is of version 1, which doesn't hold replies."
        raise StoreError(message, "Ask the question again, with --trace.")
    if not found[0].model:
        raise InputError("The trace is of gathering context, which calls no model.", "Gather it again.")
    return found[0]


@dataclass
class _Known:
    """The replies of a trace: those that were made as calls, and those that were there already."""

    trace: Trace
    session: Session
    recalled: bool  # whether what was there already is so again, or counts as a call
    _made: dict[str, deque[Outcome]] = field(init=False)
    _there: dict[str, Outcome] = field(init=False)
    _not_kept: dict[int, str] = field(init=False)

    def __post_init__(self) -> None:
        ends = {event.call: event for event in self.trace if isinstance(event, Settled | Released)}
        self._made, self._there, self._not_kept = defaultdict(deque), {}, {}
        for place, event in enumerate(self.trace, 1):
            if isinstance(event, Settled) and (trouble := _trouble(self.trace, place, NOT_KEPT)):
                self._not_kept[event.call] = trouble
            elif isinstance(event, Reserved) and event.call in ends:
                self._made[event.key].append(_outcome(ends[event.call]))
            elif isinstance(event, Recalled):
                there = Outcome(text=event.reply, usage=_without(event.usage, event.failed))
                aside, told = circumstances(event.key, event.failed, reported=event.reported)
                self._there |= {event.key: there, aside: told}
                if not self.recalled:
                    self._made[event.key].append(there)

    def recall(self, key: str) -> Outcome | None:
        """As `Journal.recall`."""
        if not self.recalled:
            return None
        if trouble := _trouble(self.trace, len(self.session.events), NO_JOURNAL):
            raise StoreError(trouble)
        return self._there.get(key)

    def keep(self, key: str, model: str, stage: str, outcome: Outcome) -> None:
        """As `Journal.keep`; nothing is kept."""

    def outcome(self, call: Call) -> Outcome | None:
        """What came of a call; None if nobody knows."""
        if isinstance(call.model, ExtractiveModel):
            return call.model.complete(call.request)
        outcomes = self._made.get(call.key)
        if self.recalled and (trouble := self._not_kept.get(call.reservations[0].number)):
            call.trouble = StoreError(trouble)
        return outcomes.popleft() if outcomes else None


def _trouble(trace: Trace, place: int, what: str) -> str:
    """What a journal said that was in trouble there; empty if none was."""
    event = trace.events[place] if place < len(trace) else None
    return event.what.removeprefix(what) if isinstance(event, Noted) and event.what.startswith(what) else ""


@dataclass(kw_only=True)
class _Driven:
    """A session that is driven by a trace's replies, and stopped where the run was."""

    session: Session
    known: _Known
    trace: Trace  # of the run that is done again as it was; an empty one if it is another
    answered: int = 0
    new: tuple[NewCall, ...] = ()

    def ended(self, work: Work[Answer]) -> tuple[Answer | None, HierarchyError | None]:
        """What it comes to."""
        try:
            return self.session.finished(self._ended(work)), None
        except ModelError as error:
            return error.partial, error
        except HierarchyError as error:
            return None, error

    def _ended(self, work: Work[Answer]) -> Answer:
        outcomes: tuple[Outcome, ...] | None = None
        self._stop_as_then()
        while True:
            try:
                calls = next(work) if outcomes is None else work.send(outcomes)
            except StopIteration as ended:
                answer: Answer = ended.value
                return answer
            found = [self.known.outcome(call) for call in calls]
            self._stop_as_then()
            self.answered += sum(outcome is not None for outcome in found)
            missing = [call for call, outcome in zip(calls, found, strict=True) if outcome is None]
            if missing and not self.new:
                self.new = tuple(map(_new, missing))
                self.session.stopped = True
            outcomes = tuple(self._come_back(outcome) for outcome in found)

    def _come_back(self, outcome: Outcome | None) -> Outcome:
        if outcome is None or (outcome.unsent and self.session.stopped):
            return self.session.late(sent=False)
        return outcome

    def _stop_as_then(self) -> None:
        """An interrupt is taken between calls; one before the first is told of after the beginning."""
        here = max(1, len(self.session.events))
        if here < len(self.trace) and isinstance(self.trace.events[here], Stopped):
            self.session.stopped = True


class _MarginsOfThen(Margins):
    """What all questions together knew of margins when each call of a run was made: more than its own told it."""

    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self._then: dict[tuple[str, int], deque[float]] = defaultdict(deque)
        for call in trace.of(Reserved):
            self._then[call.model, call.input_tokens].append(call.margin)

    def factor(self, model: str, first: float, counted: int | None = None) -> float:  # noqa: ARG002
        """As `Margins.factor`; 1 where no such call is on record."""
        then = self._then.get((model, counted or 0))
        return min(then.popleft(), _MOST_MARGIN) if then else 1.0


def _outcome(end: Settled | Released) -> Outcome:
    """What had come back, as the session was told it."""
    error = _error(end) if end.error or end.error_kind else None
    if isinstance(end, Settled):
        read = -1 if end.reported_input_tokens is None else end.reported_input_tokens
        outcome = Outcome(text=end.reply, usage=replace(end.usage, input_tokens=read), error=error)
    elif end.attempted:
        outcome = Outcome(unbilled=True, error=error)
    else:
        return Outcome(error=error or ModelError("It wasn't sent."), unsent=True)
    return replace(outcome, retry_after_s=end.retry_after_s, seconds=end.seconds)


def _without(usage: Usage, failed: Usage) -> Usage:
    """What a reply itself had cost."""
    cost = None if usage.cost_usd is None or failed.cost_usd is None else usage.cost_usd - failed.cost_usd
    return Usage(
        input_tokens=usage.input_tokens - failed.input_tokens,
        output_tokens=usage.output_tokens - failed.output_tokens,
        calls=usage.calls - failed.calls,
        cost_usd=cost,
    )


def _error(end: Settled | Released) -> HierarchyError:
    """An error of the kind that it was: what is done about a failed call depends on it."""
    found = getattr(errors, end.error_kind, None)
    if not isinstance(found, type) or not issubclass(found, HierarchyError) or found is errors.BudgetTooSmall:
        found = ModelError
    made: HierarchyError = found(end.error, end.error_hint)
    return made


def _new(call: Call) -> NewCall:
    held = call.reservations[0]
    return NewCall(
        stage=call.request.stage,
        node=".".join(map(str, call.request.about or ())),
        input_tokens=held.input_tokens,
        tokens=held.tokens,
        cost_usd=held.cost_usd,
    )


def _reasoner(started: Started, prompts: str | Path | None, lexicons: Sequence[str | Path]) -> Reasoner:
    strategy = dict(started.strategy)
    for name, given in (("prompts", prompts), ("lexicons", lexicons)):
        if name in strategy and not given:
            raise InputError(f"The run used {name} of your own.", f"Give them: --{name.removesuffix('s')}….")
    facts = {each.role: each for each in started.models}
    model, helper = (_model(facts[role]) for role in ("answer", "help"))
    reasoner = Reasoner(
        model,
        summary_model=None if facts["help"].identity == facts["answer"].identity else helper,
        policy=str(strategy["policy"]),
        way=str(strategy["way"]),
        rounds=int(strategy["rounds"]),
        prompts=prompts,
        lexicons=lexicons,
        semantic="semantic" in strategy,
        store=None,
    )
    waits = {name: float(strategy[f"retry_{name}"]) for name in ("first_s", "longest_s") if f"retry_{name}" in strategy}
    reasoner.retries = Retries(most=int(strategy.get("attempts", 1)), **waits)
    for each in started.models:
        if each.learned:
            ratio, observations, overhead = each.learned
            reasoner.margins.learn(each.name, Margin(ratio, int(observations), overhead_tokens=int(overhead)))
    return reasoner


def _model(facts: ModelFacts) -> RecordedModel | str:
    return "extractive" if facts.name == "extractive" else RecordedModel(facts)


def _caps(budget: Budget) -> Budget:
    """The same caps without that on time: a replay takes none."""
    return Budget(
        budget.total_tokens,
        max_cost_usd=budget.max_cost_usd,
        max_calls=budget.max_calls,
        stop_when_confident=budget.stop_when_confident,
    )


def _as_first(again: Trace, started: Started, *, same: bool) -> Trace:
    """What a replay can't know is as it was: the version, the cap on time, who shared the account."""

    def kept(event: Any) -> Any:
        if not isinstance(event, Started):
            return event
        budget = started.budget if same else event.budget
        return replace(event, budget=budget, made_by=started.made_by, shared=started.shared)

    return Trace(tuple(map(kept, again)))


def _check_same(again: Trace, started: Started) -> None:
    found = again.of(Started)
    if not found:
        return
    if found[0].document_key != started.document_key:
        raise InputError(
            f"{found[0].document} isn't the document of the trace: its content differs.",
            f"Give {started.document} as it was when the question was asked.",
        )
    for name in ("prompts", "lexicons"):
        if found[0].strategy.get(name) != started.strategy.get(name):
            raise InputError(f"These aren't the {name} that the run used.", "Give them as they were then.")
