"""A session: one question's books, from the first event to the last.

It runs a flow: records what the flow tells, looks up what it asks for among earlier replies, admits the rest by the
ledger, hands it to a driver (`drivers`) to be called, settles what comes back, and has failed calls made again as long
as budget, time and patience last. However a question ends, its books are closed.

A session is a generator, too, so that threads and tasks share every line of it. Owns retries, the trace, and what an
interrupt does. Doesn't wait, call or hold threads.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from itertools import count

from hierarchy.account import Account
from hierarchy.answer import Answer
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.calls import HELPER_STAGES, Outcome, Request, T
from hierarchy.errors import BudgetError, BudgetTooSmall, HierarchyError, Interrupted, ModelError, StoreError
from hierarchy.events import (
    Event,
    Finished,
    Kept,
    Noted,
    Recalled,
    Released,
    Reserved,
    Retried,
    Settled,
    Started,
    Stopped,
    dotted,
)
from hierarchy.facts import facts_of
from hierarchy.flow import Flow
from hierarchy.journal import Call, Journal, identity_of, recalled
from hierarchy.ledger import Reservation
from hierarchy.margins import Margins
from hierarchy.models import Model
from hierarchy.templates import AnswerText
from hierarchy.trace import Trace

__all__ = ["NOT_KEPT", "NO_JOURNAL", "OnEvent", "Retries", "Session", "Work"]

OnEvent = Callable[[Event], None]
Work = Generator[tuple[Call, ...], tuple[Outcome, ...], T]
"""Yields calls to be made at the same time; is sent what came of them, in the same order."""

ANSWERING = frozenset({"compose", "follow_up"})
"""Stages whose replies hold the answer."""

NO_JOURNAL = "Replies can't be looked up or kept, so all are paid for. "
NOT_KEPT = "A reply couldn't be kept: "
"""How notes of trouble with the journal begin; what it said follows."""

# Shares of one account are told apart by number.
_numbers = count(1)
# A wait that a provider asks for is spread over the calls that it asked it of, so that they don't come back at once.
_SPREAD = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """How often and when a call that failed is made again.

    Attributes:
        most: Attempts in all.
        first_s: The wait before the second attempt, where the provider names none; it doubles with each.
        longest_s: No wait is longer; a provider that asks for more isn't waited for.
    """

    most: int = 4
    first_s: float = 0.5
    longest_s: float = 300.0

    @property
    def longest_wait_s(self) -> float:
        """The longest wait before an attempt, spread included."""
        return self.longest_s * (1 + _SPREAD)

    def wait_s(self, attempt: int, asked_s: float, key: str) -> float:
        """How long to wait before the given attempt, 2 or later: what was asked, or longer and longer."""
        wait = max(asked_s, min(self.longest_s, self.first_s * 2.0 ** (attempt - 2)))
        return float(wait * (1 + _SPREAD * int(key[:4], 16) / 0xFFFF))


@dataclass(slots=True, kw_only=True)
class Session:
    """One question's books.

    Attributes:
        model: Who answers.
        helper: Who routes, summarises and refines.
        budget: The question's own caps.
        margins: By how much providers count higher, as all questions together learn it.
        planned: The same as this question knows it: what it was planned with, and what its own calls tell.
        shared: An account that other questions draw on, too; None without one.
        journal: Where replies are kept.
        retries: How failed calls are made again.
        deadline: When time is up, on the monotonic clock.
        on_event: Who listens.
        on_text: Who listens to the answer's text as it comes; called in the thread or task that makes the call.
    """

    model: Model
    helper: Model
    budget: Budget
    margins: Margins
    planned: Margins = field(default_factory=Margins)
    shared: Account | None = None
    journal: Journal | None = None
    retries: Retries = field(default_factory=Retries)
    deadline: float = math.inf
    on_event: OnEvent | None = None
    on_text: Callable[[str], None] | None = None
    events: list[Event] = field(default_factory=list)
    stopped: bool = False
    account: Account = field(init=False)
    _share: str = field(init=False)
    _open: dict[int, tuple[Reservation, ...]] = field(default_factory=dict)
    _under_way: bool = False  # whether what is reserved was sent
    _deafened: BaseException | None = None  # what the listener raised
    _replies: int = 0  # that came, from a provider or from the journal
    _refused: ModelError | None = None  # why a call cost nothing
    _recalled_usage: Usage = NOTHING  # what replies that were there already had cost

    def __post_init__(self) -> None:
        """Open the question's own account."""
        self.account = Account(self.budget)
        self._share = f"answer {next(_numbers)}"

    # -- running a flow ----------------------------------------------------------------------------------------

    def work(self, flow: Flow[T]) -> Work[T]:
        """Run a flow to its end; the books are closed however it ends."""
        try:
            try:
                result = yield from self._work(flow)
            finally:
                self._close()
            self._heed()
        except HierarchyError as error:
            error = self._of_account(error)
            error.trace = self.trace()
            raise error from error.__cause__
        return result

    def _of_account(self, error: HierarchyError) -> HierarchyError:
        """A budget that is too small because others spent what they share is said to be that."""
        if self.shared is None or not isinstance(error, BudgetTooSmall) or self.account.ledger.spent.calls:
            return error
        whole = self.shared.ledger.budget.total_tokens
        short = error.needed_tokens - error.given_tokens
        return BudgetTooSmall(needed_tokens=whole + short, given_tokens=whole, left_tokens=error.given_tokens)

    def _work(self, flow: Flow[T]) -> Work[T]:
        reply: tuple[Outcome, ...] | None = None
        while True:
            self._heed()
            self._tell_of_stop()
            try:
                step = flow.send(reply)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(step, Event):
                if isinstance(step, Started):
                    step = self._told_of_models(step)
                self._keep_share(step)
                self.record(step)
                reply = None
            else:
                reply = yield from self._batch(step)

    def _told_of_models(self, started: Started) -> Started:
        """What the flow tells at the start, and what only the session knows: enough to run it again."""
        models = {"answer": self.model, "help": self.helper}
        known = dict(self.planned.snapshot())
        facts = tuple(facts_of(model, role, known.get(model.name)) for role, model in models.items())
        usual, waits = Retries(), {}
        for name in ("first_s", "longest_s"):
            if getattr(self.retries, name) != getattr(usual, name):
                waits[f"retry_{name}"] = getattr(self.retries, name)
        strategy = {**started.strategy, "attempts": self.retries.most, **waits}
        return replace(started, models=facts, strategy=strategy, shared=self.shared is not None)

    def _keep_share(self, event: Event) -> None:
        """A flow sets the composer's share aside by saying so; saying it again replaces it."""
        if not isinstance(event, Kept):
            return
        for account in self._accounts:
            if self._share in account.ledger.shares:
                account.rekeep(event.tokens, cost_usd=event.cost_usd, share=self._share)
            else:
                account.keep(event.tokens, cost_usd=event.cost_usd, share=self._share)

    @property
    def _accounts(self) -> tuple[Account, ...]:
        return (self.account,) if self.shared is None else (self.account, self.shared)

    # -- batches -----------------------------------------------------------------------------------------------

    def _batch(self, requests: tuple[Request, ...]) -> Work[tuple[Outcome, ...]]:
        """What comes of a batch: earlier replies, new ones, and errors where neither can be had.

        An outcome's usage adds up all attempts at it.
        """
        outcomes = [self._recalled(request) for request in requests]
        waits = {index: 0.0 for index, outcome in enumerate(outcomes) if outcome is None}
        attempt = 1
        while waits:
            calls = self._admitted(requests, waits, outcomes)
            waits = {}
            if not calls:
                break
            self._heed()
            self._under_way = True
            replies = yield tuple(calls.values())
            self._tell_of_stop()
            for (index, call), reply in zip(calls.items(), replies, strict=True):
                before = outcomes[index]
                outcomes[index] = self._settled(call, reply, before.usage if before and before.usage else NOTHING)
                wait = self._wait_s(call, reply, attempt + 1)
                if wait is not None:
                    waits[index] = wait
                    self.record(Retried(call=call.reservations[0].number, attempt=attempt + 1, wait_s=round(wait, 3)))
            self._under_way = False
            attempt += 1
        return tuple(outcome or Outcome(error=self._halted()) for outcome in outcomes)

    def _recalled(self, request: Request) -> Outcome | None:
        """An earlier reply to the same request, if there is one."""
        if self.journal is None:
            return None
        model = self._model_of(request)
        key = request.key(identity_of(model))
        try:
            kept = recalled(self.journal, key)
        except StoreError as error:
            self._distrust(error)
            return None
        if kept is None:
            return None
        found, before, reported = kept
        if reported:
            self._observe(model, request, found.usage)
        usage = before + (found.usage or NOTHING)
        self._replies += 1
        self._recalled_usage += usage
        self.record(
            Recalled(
                stage=request.stage,
                node=dotted(request.about or ()),
                usage=usage,
                failed=before,
                reported=reported,
                model=model.name,
                key=key,
                prompt=request.prompt,
                reply=found.text,
            )
        )
        return replace(found, usage=usage, cached=True)

    def _distrust(self, error: StoreError) -> None:
        """What was kept can't be read: the question goes on without, and says so once."""
        self.journal = None
        self.record(Noted(what=f"{NO_JOURNAL}{error}"))

    def _admitted(
        self, requests: tuple[Request, ...], waits: dict[int, float], outcomes: list[Outcome | None]
    ) -> dict[int, Call]:
        """The calls that fit what is left; the others' outcomes become errors."""
        calls: dict[int, Call] = {}
        for index, wait in waits.items():
            request = requests[index]
            failed = outcomes[index]
            try:
                calls[index] = self._call(request, wait, failed.usage if failed and failed.usage else NOTHING)
            except (BudgetError, Interrupted) as error:
                self.record(Noted(what=f"A {request.stage} call wasn't sent: {error.message}"))
                # What the provider said before counts more than why it wasn't asked again.
                outcomes[index] = failed or Outcome(error=error)
        return calls

    def _call(self, request: Request, wait_s: float, before: Usage) -> Call:
        if self.stopped:
            raise self._halted()
        if time.monotonic() + wait_s >= self.deadline:
            raise self._time_is_up()
        model = self._model_of(request)
        reservations, margin = self._reserved(request, model)
        key = request.key(identity_of(model))
        self._open[reservations[0].number] = reservations
        held = reservations[0]
        prompt = request.prompt
        self.record(Reserved.of(held, node=request.about, margin=margin, model=model.name, key=key, prompt=prompt))
        return Call(
            request=request,
            model=model,
            key=key,
            wait_s=wait_s,
            reservations=reservations,
            journal=self.journal,
            before=before,
            on_text=self._listener() if request.stage in ANSWERING else None,
        )

    def _listener(self) -> Callable[[str], None] | None:
        """What hears one reply, and passes the answer's text on."""
        on_text, answer = self.on_text, AnswerText()
        if on_text is None:
            return None

        def hear(piece: str) -> None:
            text = answer.feed(piece)
            if text and not self._deafened:
                try:
                    on_text(text)
                except BaseException as error:  # noqa: BLE001  Raised again by `_heed`.
                    self._deafened = error

        return hear

    def _reserved(self, request: Request, model: Model) -> tuple[tuple[Reservation, ...], float]:
        """Hold the worst case in the question's own account, and in the shared one; in both or in none."""
        tokens = model.count(request.prompt)
        margin = max(each.factor(model.name, model.margin, tokens) for each in (self.margins, self.planned))
        cost = model.price(math.ceil(tokens * margin), request.max_output_tokens)
        held: list[Reservation] = []
        try:
            for account in self._accounts:
                reservation = account.reserve(
                    request.stage,
                    tokens,
                    request.max_output_tokens,
                    margin=margin,
                    cost_usd=cost,
                    kept=request.stage not in HELPER_STAGES,
                    share=self._share,
                )
                held.append(reservation)
        except BudgetError:
            for account, reservation in zip(self._accounts, held, strict=False):
                account.release(reservation)
            raise
        return tuple(held), margin

    def _settled(self, call: Call, outcome: Outcome, before: Usage) -> Outcome:
        """Close a call's books at what it was billed. What was certainly not billed counts as a call and no more."""
        reservation = call.reservations[0]
        self._open.pop(reservation.number)
        if outcome.unsent:
            self._each(call.reservations, lambda account, held: account.release(held))
            self.record(Released(call=reservation.number))
            return replace(outcome, usage=before)
        if outcome.cached:
            self._each(call.reservations, lambda account, held: account.release(held))
            self.record(Released(call=reservation.number))
            return outcome
        if outcome.error and outcome.unbilled:
            self._each(call.reservations, lambda account, held: account.release(held, attempted=True))
            self.record(
                Released(
                    call=reservation.number,
                    attempted=True,
                    error=outcome.error.message,
                    error_kind=type(outcome.error).__name__,
                    error_hint=outcome.error.hint,
                    seconds=outcome.seconds,
                    retry_after_s=outcome.retry_after_s,
                )
            )
            billed = Usage(calls=1, cost_usd=0.0)
        else:
            reported = call.reported(outcome)
            self._each(call.reservations, lambda account, held: account.settle(held, reported))
            billed = reservation.billed(reported)
            self._observe(call.model, call.request, reported)
            self.record(
                Settled.of(
                    reservation,
                    reported,
                    error=outcome.error,
                    reply=outcome.text,
                    seconds=outcome.seconds,
                    retry_after_s=outcome.retry_after_s,
                )
            )
        if outcome.error is None:
            self._replies += 1
        elif isinstance(outcome.error, ModelError) and outcome.unbilled:
            self._refused = outcome.error
        if call.trouble:
            self.record(Noted(what=f"{NOT_KEPT}{call.trouble}"))
        return replace(outcome, usage=before + billed)

    def _each(self, held: tuple[Reservation, ...], close: Callable[[Account, Reservation], object]) -> None:
        for account, reservation in zip(self._accounts, held, strict=True):
            close(account, reservation)

    def _wait_s(self, call: Call, outcome: Outcome, attempt: int) -> float | None:
        """How long to wait before a failed call is made again; None if it isn't."""
        if outcome.error is None or outcome.retry_after_s is None or attempt > self.retries.most or self.stopped:
            return None
        wait = self.retries.wait_s(attempt, outcome.retry_after_s, call.key)
        too_long = outcome.retry_after_s > self.retries.longest_s or time.monotonic() + wait >= self.deadline
        return None if too_long else wait

    def _observe(self, model: Model, request: Request, usage: Usage | None) -> None:
        """Learn how the provider counts, where it doesn't count as we do."""
        if usage is not None and model.margin > 1:
            for margins in (self.margins, self.planned):
                margins.observe(model.name, model.count(request.prompt), usage.input_tokens)

    def _model_of(self, request: Request) -> Model:
        return self.helper if request.stage in HELPER_STAGES else self.model

    # -- the end -----------------------------------------------------------------------------------------------

    def _close(self) -> None:
        """End the books. What an interruption left open wasn't sent, or costs its worst case: nobody knows better."""
        for number, held in list(self._open.items()):
            del self._open[number]
            if self._under_way:
                self._each(held, lambda account, reservation: account.settle(reservation, None))
                self.record(Settled.of(held[0], None, error=Interrupted("interrupted")))
            else:
                self._each(held, lambda account, reservation: account.release(reservation))
                self.record(Released(call=number))
        if self.shared is not None and self._share in self.shared.ledger.shares:
            self.shared.unkeep(self._share)
        self.record(Finished.of(self.account.ledger))

    def _tell_of_stop(self) -> None:
        """Say once that the run was stopped, as soon as it makes a difference."""
        if self.stopped and self.events and not any(isinstance(event, Stopped) for event in self.events):
            self.record(Stopped(why="stopped by the user, or by the program that asked"))

    def seconds_left(self) -> float | None:
        """How long calls may take; None without a cap."""
        return None if self.deadline == math.inf else max(0.0, self.deadline - time.monotonic())

    def late(self, *, sent: bool = True) -> Outcome:
        """The outcome of a call that nobody waits for any more.

        If it was sent, it may still be billed, and costs its worst case.
        """
        return Outcome(error=self._halted() if self.stopped else self._time_is_up(), unsent=not sent)

    def _time_is_up(self) -> BudgetError:
        return BudgetError(f"The {self.budget.max_seconds:g} seconds are up.", "Allow more time.")

    def _halted(self) -> Interrupted:
        return Interrupted("The run was stopped.", "Ask again: replies that were kept cost nothing.")

    # -- the trace ---------------------------------------------------------------------------------------------

    def _heed(self) -> None:
        """Raise what the listener raised, where nothing is left half done."""
        if self._deafened:
            raise self._deafened

    def record(self, event: Event) -> None:
        """Put an event on the trace and tell who listens."""
        self.events.append(event)
        if self.on_event and not self._deafened:
            try:
                self.on_event(event)
            except BaseException as error:  # noqa: BLE001  Raised again by `_heed`, an interrupt included.
                self._deafened = error

    def trace(self) -> Trace:
        """What happened so far."""
        return Trace(tuple(self.events))

    def finished(self, answer: Answer) -> Answer:
        """The answer with its bill and its trace.

        Raises:
            ModelError: The provider turned every call away without billing any, for a reason that won't go away by
                itself (a wrong key, an unknown model): what stands in for an answer is its `partial`.
        """
        ledger = self.account.ledger
        if saved := self._recalled_usage.total_tokens:
            note = f"Replies of an earlier run were used again, which saved {saved:,} tokens."
            answer = replace(answer, notes=(*answer.notes, note))
        answer = replace(answer, usage=ledger.spent, by_stage=ledger.by_stage, budget=self.budget, trace=self.trace())
        if self._refused is not None and not (self._replies or ledger.spent.total_tokens or self.stopped):
            self._refused.partial, self._refused.trace = answer, answer.trace
            raise self._refused
        return answer
