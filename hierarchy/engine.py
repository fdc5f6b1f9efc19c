"""The engine: drives flows, and is the only one who calls models, keeps the ledger and reads files.

`Reasoner` is the reusable front; `ask`, `aask`, `context` and `outline` are it for one use. A flow yields events and
batches of requests; the engine admits each request by the ledger before it is sent, calls the model, settles at what
was billed, and records it all in one trace. **What doesn't fit the budget isn't sent.**

Doesn't decide what to read or ask (`flow`) and doesn't print (`cli`).
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from hierarchy.allocator import POLICIES, Policy
from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.calls import Outcome, Request
from hierarchy.document import Document
from hierarchy.errors import BudgetError, HierarchyError, InputError
from hierarchy.events import Event, Finished, Kept, Noted, Released, Reserved, Settled
from hierarchy.flow import Context, Flow, Strategy, answer_question, gather_context
from hierarchy.ledger import Account, Reservation
from hierarchy.loaders import load
from hierarchy.models import ExtractiveModel, Model
from hierarchy.planner import outline as build_tree
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree

__all__ = ["Reasoner", "aask", "ask", "context", "outline"]

T = TypeVar("T")
Progress = Callable[[int, int, str], None]
OnEvent = Callable[[Event], None]
Source = str | Path | Document | SummaryTree

DEFAULT_BUDGET = 8_000
# Trees kept for further questions; the tree of a filing takes some ten megabytes.
_KEPT_TREES = 8


class Reasoner:
    """Answers questions over long documents within a hard budget. Reusable; safe to share between threads and tasks.

    Trees of the documents asked about last are kept, so that a second question over the same one starts at once.

    Args:
        model: `extractive`, the built-in model that needs no key and no network, or any `Model`.
        policy: How tokens are divided over the tree: a name from `allocator.POLICIES`, or a function.
        through_model: Whether the model reads branches one by one, each in a call of its own, and answers from what it
            copied, rather than answer from their text. A document that fits is handed over whole all the same.
        prompts: A folder of templates that go before the built-in ones.
        max_concurrency: How many calls of one question may be under way at once.

    Raises:
        InputError: There is no such model, policy or folder.

    Example:
        >>> reasoner = Reasoner()
        >>> chart = Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> answer = reasoner.ask(chart, "When was warfarin stopped?", budget=500)
        >>> answer.text, answer.usage.total_tokens <= 500
        ('Warfarin was stopped on 3 May.', True)
    """

    def __init__(
        self,
        model: str | Model = "extractive",
        *,
        policy: str | Policy = "expected_gain",
        through_model: bool = False,
        prompts: str | Path | None = None,
        max_concurrency: int = 8,
    ) -> None:
        self.model = _model(model)
        if max_concurrency < 1:
            raise InputError(f"max_concurrency is {max_concurrency}.", "Give 1 or more.")
        self.max_concurrency = max_concurrency
        name, function = _policy(policy)
        self.strategy = Strategy(
            policy=function,
            policy_name=name,
            through_model=through_model,
            prompts=Path(prompts) if prompts is not None else None,
        )
        self._trees: OrderedDict[object, SummaryTree] = OrderedDict()
        self._lock = threading.Lock()

    # -- documents ---------------------------------------------------------------------------------------------

    def outline(self, document: Source, *, progress: Progress | None = None) -> SummaryTree:
        """The tree of coarse summaries over a document. Costs no model tokens.

        Args:
            document: A path (file, folder, glob, `-` for standard input), a loaded `Document`, or a tree.
            progress: Called with what is done, how much there is, and what it is about.

        Raises:
            InputError: It can't be read.
        """
        if isinstance(document, SummaryTree):
            return document
        key = _identity(document)
        with self._lock:
            if key is not None and key in self._trees:
                self._trees.move_to_end(key)
                return self._trees[key]
        loaded = document if isinstance(document, Document) else load(document, progress=progress)
        tree = build_tree(loaded, self.model.count, progress)
        if key is not None:
            with self._lock:
                self._trees[key] = tree
                while len(self._trees) > _KEPT_TREES:
                    self._trees.popitem(last=False)
        return tree

    # -- questions ---------------------------------------------------------------------------------------------

    def ask(
        self,
        document: Source,
        question: str,
        budget: Budget | int | str = DEFAULT_BUDGET,
        *,
        on_event: OnEvent | None = None,
        progress: Progress | None = None,
    ) -> Answer:
        """Answer a question over a document, within a budget.

        Args:
            document: As for `outline`.
            question: In plain words.
            budget: Tokens over all calls: `8000`, `"8k"`, `"5%"` of the document, or a `Budget` with further caps.
            on_event: Called with each event of the trace as it happens, in order, in the thread that asks. **If it
                raises, it isn't called again, nothing more is sent, and its exception ends the question with the books
                closed**: what was sent is settled, what wasn't is released.
            progress: Called while the document is read.

        Returns:
            The answer with its verified citations, its bill, its receipt and its trace.

        Raises:
            InputError: The document can't be read or the question is blank.
            BudgetTooSmall: No answer is possible within it; nothing was spent.
            BudgetError: The model's price isn't known or already too high for a cap in USD; nothing was spent.
        """
        began = time.monotonic()
        session, flow = self._asked(self.outline(document, progress=progress), question, budget, on_event, began)
        return session.finished(self._driven(session, flow))

    async def aask(
        self,
        document: Source,
        question: str,
        budget: Budget | int | str = DEFAULT_BUDGET,
        *,
        on_event: OnEvent | None = None,
        progress: Progress | None = None,
    ) -> Answer:
        """As `ask`, without blocking the event loop: files are read in a thread, calls are awaited."""
        began = time.monotonic()
        tree = await asyncio.to_thread(self.outline, document, progress=progress)
        session, flow = self._asked(tree, question, budget, on_event, began)
        return session.finished(await self._adriven(session, flow))

    def context(
        self,
        document: Source,
        question: str,
        budget: Budget | int | str = DEFAULT_BUDGET,
        *,
        on_event: OnEvent | None = None,
        progress: Progress | None = None,
    ) -> Context:
        """The parts of a document worth reading for a question, cited, for a model that you call yourself.

        No model is called; `budget` is what the text may count.

        Raises:
            InputError: The document can't be read or the question is blank.
            BudgetTooSmall: Not even one passage fits.
        """
        tree = self.outline(document, progress=progress)
        caps = Budget.parse(budget, document_tokens=tree.tokens)
        session = _Session(self.model, caps, on_event)
        flow = gather_context(tree, question, budget=caps, strategy=self.strategy, count=self.model.count)
        found = self._driven(session, flow)
        return replace(found, trace=session.trace())

    # -- driving -----------------------------------------------------------------------------------------------

    def _asked(
        self, tree: SummaryTree, question: str, budget: Budget | int | str, on_event: OnEvent | None, began: float
    ) -> tuple[_Session, Flow[Answer]]:
        caps = Budget.parse(budget, document_tokens=tree.tokens)
        flow = answer_question(
            tree,
            question,
            budget=caps,
            strategy=self.strategy,
            model=self.model.name,
            count=self.model.count,
            margin=self.model.margin,
            price=self.model.price,
        )
        deadline = math.inf if caps.max_seconds is None else began + caps.max_seconds
        return _Session(self.model, caps, on_event, deadline), flow

    def _driven(self, session: _Session, flow: Flow[T]) -> T:
        steps = session.steps(flow)
        pool = ThreadPoolExecutor(self.max_concurrency, thread_name_prefix="hierarchy")
        try:
            outcomes: tuple[Outcome, ...] | None = None
            while True:
                try:
                    requests = next(steps) if outcomes is None else steps.send(outcomes)
                except StopIteration as stop:
                    return stop.value  # type: ignore[no-any-return]
                try:
                    outcomes = self._completed(pool, requests, session)
                except BaseException as interruption:
                    steps.throw(interruption)  # the session closes its books before the interruption goes on
                    raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # calls that nobody waits for any more have their own end

    def _completed(
        self, pool: ThreadPoolExecutor, requests: tuple[Request, ...], session: _Session
    ) -> tuple[Outcome, ...]:
        """Make a batch of calls; one alone in this thread, so that it needs no other, unless it may take too long."""
        seconds = session.seconds_left()
        if len(requests) == 1 and seconds is None:
            return (self.model.complete(requests[0]),)
        calls = [pool.submit(self.model.complete, request) for request in requests]
        try:
            done = wait(calls, seconds, FIRST_EXCEPTION).done
            for failed in [call for call in calls if call in done and call.exception()]:
                failed.result()
            return tuple(call.result() if call in done else session.late() for call in calls)
        finally:
            for call in calls:
                call.cancel()

    async def _adriven(self, session: _Session, flow: Flow[T]) -> T:
        steps = session.steps(flow)
        outcomes: tuple[Outcome, ...] | None = None
        while True:
            try:
                requests = next(steps) if outcomes is None else steps.send(outcomes)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            try:
                outcomes = await self._acompleted(requests, session)
            except BaseException as interruption:
                steps.throw(interruption)
                raise

    async def _acompleted(self, requests: tuple[Request, ...], session: _Session) -> tuple[Outcome, ...]:
        places = asyncio.Semaphore(self.max_concurrency)

        async def complete(request: Request) -> Outcome:
            async with places:
                return await self.model.acomplete(request)

        calls = [asyncio.ensure_future(complete(request)) for request in requests]
        try:
            done, _ = await asyncio.wait(calls, timeout=session.seconds_left(), return_when=asyncio.FIRST_EXCEPTION)
            for failed in [call for call in calls if call in done and (call.cancelled() or call.exception())]:
                failed.result()
            return tuple(call.result() if call in done else session.late() for call in calls)
        finally:
            for call in calls:
                call.cancel()


@dataclass(slots=True)
class _Session:
    """One question's books: the account, the events so far, and who listens."""

    model: Model
    budget: Budget
    on_event: OnEvent | None
    deadline: float = math.inf
    account: Account = field(init=False)
    events: list[Event] = field(default_factory=list)
    under_way: bool = False  # whether what is reserved was sent
    deafened: BaseException | None = None  # what the listener raised

    def __post_init__(self) -> None:
        self.account = Account(self.budget)

    def steps(self, flow: Flow[T]) -> Generator[tuple[Request, ...], tuple[Outcome, ...], T]:
        """Run a flow: record its events, admit its requests, settle their outcomes; close the books however it ends."""
        try:
            try:
                result = yield from self._steps(flow)
            finally:
                self._close()
            self._heed()
        except HierarchyError as error:
            error.trace = self.trace()
            raise
        return result

    def _steps(self, flow: Flow[T]) -> Generator[tuple[Request, ...], tuple[Outcome, ...], T]:
        reply: tuple[Outcome, ...] | None = None
        while True:
            self._heed()
            try:
                step = flow.send(reply)
            except StopIteration as stop:
                return stop.value  # type: ignore[no-any-return]
            if isinstance(step, Event):
                self._keep(step)
                self.record(step)
                reply = None
            else:
                reply = yield from self._batch(step)

    def _keep(self, event: Event) -> None:
        """A flow sets the composer's share aside by saying so."""
        if isinstance(event, Kept):
            self.account.keep(event.tokens, cost_usd=event.cost_usd)

    def _batch(
        self, requests: tuple[Request, ...]
    ) -> Generator[tuple[Request, ...], tuple[Outcome, ...], tuple[Outcome, ...]]:
        """Admit a batch, have what was admitted called, settle. A request that doesn't fit comes back as an error."""
        outcomes = [Outcome()] * len(requests)
        held: dict[int, Reservation] = {}
        for index, request in enumerate(requests):
            try:
                held[index] = self._reserved(request)
            except BudgetError as error:
                outcomes[index] = Outcome(error=error)
                self.record(Noted(what=f"A {request.stage} call wasn't sent: {error.message}"))
        if held:
            self._heed()
            self.under_way = True
            replies = yield tuple(requests[index] for index in held)
            for (index, reservation), reply in zip(held.items(), replies, strict=True):
                outcomes[index] = self._settled(reservation, reply)
            self.under_way = False
        return tuple(outcomes)

    def _reserved(self, request: Request) -> Reservation:
        if time.monotonic() >= self.deadline:
            raise self._time_is_up()
        tokens = self.model.count(request.prompt)
        at_worst = math.ceil(tokens * self.model.margin)
        reservation = self.account.reserve(
            request.stage,
            tokens,
            request.max_output_tokens,
            margin=self.model.margin,
            cost_usd=self.model.price(at_worst, request.max_output_tokens),
            kept=request.stage == "compose",
        )
        self.record(Reserved.of(reservation, node=request.about))
        return reservation

    def _settled(self, reservation: Reservation, outcome: Outcome) -> Outcome:
        if outcome.cached:
            self._released(reservation)
            return outcome
        billed = self.account.settle(reservation, outcome.usage)
        error = outcome.error.message if outcome.error else ""
        self.record(Settled.of(reservation, outcome.usage, error=error))
        return replace(outcome, usage=billed)

    def _released(self, reservation: Reservation) -> None:
        self.account.release(reservation)
        self.record(Released(call=reservation.number))

    def _close(self) -> None:
        """End the books. What an interruption left open wasn't sent, or costs its worst case: nobody knows better."""
        for reservation in self.account.ledger.reservations:
            if self.under_way:
                self._settled(reservation, Outcome())
            else:
                self._released(reservation)
        self.record(Finished.of(self.account.ledger))

    # -- time ------------------------------------------------------------------------------------------------------

    def seconds_left(self) -> float | None:
        """How long calls may take; None without a cap."""
        return None if self.deadline == math.inf else max(0.0, self.deadline - time.monotonic())

    def late(self) -> Outcome:
        """The outcome of a call that took too long. It may still be billed, so it costs its worst case."""
        return Outcome(error=self._time_is_up())

    def _time_is_up(self) -> BudgetError:
        return BudgetError(f"The {self.budget.max_seconds:g} seconds are up.", "Allow more time.")

    # -- the trace -------------------------------------------------------------------------------------------------

    def _heed(self) -> None:
        """Raise what the listener raised, where nothing is left half done."""
        if self.deafened:
            raise self.deafened

    def record(self, event: Event) -> None:
        """Put an event on the trace and tell who listens."""
        self.events.append(event)
        if self.on_event and not self.deafened:
            try:
                self.on_event(event)
            except BaseException as error:  # noqa: BLE001  Raised again by `_heed`, an interrupt included.
                self.deafened = error

    def trace(self) -> Trace:
        """What happened so far."""
        return Trace(tuple(self.events))

    def finished(self, answer: Answer) -> Answer:
        """The answer with its bill and its trace."""
        ledger = self.account.ledger
        return replace(answer, usage=ledger.spent, by_stage=ledger.by_stage, budget=self.budget, trace=self.trace())


# -- one-off use -----------------------------------------------------------------------------------------------------


def ask(
    document: Source,
    question: str,
    budget: Budget | int | str = DEFAULT_BUDGET,
    *,
    model: str | Model = "extractive",
    **options: Any,
) -> Answer:
    """Answer one question over a document within a budget; see `Reasoner` for the options and `Reasoner.ask`.

    Example:
        >>> chart = Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> ask(chart, "When was warfarin stopped?", budget=500).citations[0].quote
        'Warfarin was stopped on 3 May.'
    """
    return Reasoner(model, **options).ask(document, question, budget)


async def aask(
    document: Source,
    question: str,
    budget: Budget | int | str = DEFAULT_BUDGET,
    *,
    model: str | Model = "extractive",
    **options: Any,
) -> Answer:
    """As `ask`, to be awaited."""
    return await Reasoner(model, **options).aask(document, question, budget)


def context(document: Source, question: str, budget: Budget | int | str = DEFAULT_BUDGET, **options: Any) -> Context:
    """The parts of a document worth reading for a question, within a budget; see `Reasoner.context`."""
    return Reasoner(**options).context(document, question, budget)


def outline(document: Source, *, progress: Progress | None = None) -> SummaryTree:
    """The tree of coarse summaries over a document; see `Reasoner.outline`."""
    return Reasoner().outline(document, progress=progress)


def _model(model: str | Model) -> Model:
    if not isinstance(model, str):
        return model
    if model == "extractive":
        return ExtractiveModel()
    raise InputError(f"There is no built-in model {model!r}.", "Use `extractive`, or give a model object.")


def _policy(policy: str | Policy) -> tuple[str, Policy]:
    if not isinstance(policy, str):
        return getattr(policy, "__name__", "custom"), policy
    if policy not in POLICIES:
        raise InputError(f"There is no policy {policy!r}.", f"Use one of {', '.join(sorted(POLICIES))}, or a function.")
    return policy, POLICIES[policy]


def _identity(document: str | Path | Document) -> tuple[object, ...] | None:
    """What a source is known by; None for what may change unnoticed (folders, patterns, standard input)."""
    if isinstance(document, Document):
        return document.name, document.key
    path = Path(document)
    try:
        status = path.stat() if str(document) != "-" and path.is_file() else None
    except OSError:
        return None
    return (str(path.resolve()), status.st_mtime_ns, status.st_size) if status else None
