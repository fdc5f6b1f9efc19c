"""The engine: reads documents, opens a session for each question, and has it driven.

`Reasoner` is the reusable front; `ask`, `aask`, `stream`, `context`, `outline` and `quote` are it for one use. What is
read and asked is decided by flows (`flow`), what is paid by the ledger; sessions keep the books (`session`), drivers
make the calls (`drivers`). **What doesn't fit the budget isn't sent, and what was paid for once is kept.**
"""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from hierarchy.account import Account
from hierarchy.allocator import POLICIES, Policy
from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.document import Document
from hierarchy.drivers import Places, drive, drive_async
from hierarchy.errors import InputError
from hierarchy.events import Event, Said
from hierarchy.facts import tariff_of
from hierarchy.flow import Context, Flow, Strategy, answer_question, gather_context
from hierarchy.journal import identity_of, margins_of_run
from hierarchy.margins import Margins
from hierarchy.models import ExtractiveModel, Model, as_model
from hierarchy.quoting import Quote, quote_question
from hierarchy.relevance import built_in, load_lexicon
from hierarchy.relevance.embedding import check_embedding
from hierarchy.session import OnEvent, Retries, Session
from hierarchy.shelf import Shelf, source_key, with_vectors
from hierarchy.strategy import WAYS
from hierarchy.tree import SummaryTree

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from hierarchy.store import Store

__all__ = ["Reasoner", "aask", "ask", "astream", "context", "outline", "quote", "stream"]

Progress = Callable[[int, int, str], None]
Source = str | Path | Document | SummaryTree

DEFAULT_BUDGET = 8_000
# Trees kept for further questions; the tree of a filing takes some ten megabytes.
_KEPT_TREES = 8


class Reasoner:
    """Answers questions over long documents within a hard budget. Reusable; safe to share between threads and tasks.

    Trees of the documents asked about last are kept, so that a second question over the same one starts at once.

    Args:
        model: `extractive`, the built-in model that needs no key and no network; a language model as litellm spells it,
            such as `anthropic/claude-sonnet-4-5`; a LangChain chat model; or any `Model`.
        summary_model: A cheaper one that routes, summarises and reads branches; `model` does if None.
        policy: How tokens are divided over the tree: a name from `allocator.POLICIES`, or a function.
        way: How documents are read: `auto` chooses by budget, document and question; `single`, `staged` or `branches`.
        rounds: How often evidence is read and answered from, at most.
        prompts: A folder of templates that go before the built-in ones.
        lexicons: TOML files of what documents call the things that people ask for, beside the built-in ones.
        semantic: Also judge passages by their meaning, with a small language model on this machine (extra `semantic`).
            Takes some 45 s of CPU once per 100,000 tokens of a document; kept with the tree.
        store: Where replies and trees are kept, so that none is paid for twice: a file, a `Store`, None for nowhere.
            `auto` is the user's own store if a language model is named, and nowhere otherwise.
        api_base: Where the models are served, for servers of one's own.
        timeout_s: How long one call may take; a local server may need minutes.
        max_concurrency: How many calls may be under way at once, over all questions.
        max_attempts: How often a call is made at most, if its provider is busy or unreachable.
        model_options: What is passed on to the provider besides, such as `{"reasoning_effort": "low"}`.

    Raises:
        InputError: There is no such model, policy, way or folder.
        Unavailable: What `semantic` needs isn't installed.

    Example:
        >>> reasoner = Reasoner()
        >>> chart = Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> answer = reasoner.ask(chart, "When was warfarin stopped?", budget=500)
        >>> answer.text, answer.usage.total_tokens <= 500
        ('Warfarin was stopped on 3 May.', True)
    """

    def __init__(
        self,
        model: str | Model | BaseChatModel = "extractive",
        *,
        summary_model: str | Model | BaseChatModel | None = None,
        policy: str | Policy = "expected_gain",
        way: str = "auto",
        rounds: int = 2,
        prompts: str | Path | None = None,
        lexicons: Sequence[str | Path] = (),
        semantic: bool = False,
        store: str | Path | Store | None = "auto",
        api_base: str | None = None,
        timeout_s: float = 600.0,
        max_concurrency: int = 8,
        max_attempts: int = 4,
        model_options: dict[str, Any] | None = None,
    ) -> None:
        named_model = partial(as_model, api_base=api_base, timeout_s=timeout_s, options=model_options)
        self.model: Model = named_model(model)
        self.helper: Model = self.model if summary_model is None else named_model(summary_model)
        _check_positive(max_concurrency=max_concurrency, max_attempts=max_attempts, rounds=rounds)
        if way not in WAYS:
            raise InputError(f"There is no way {way!r} to read.", f"Use one of {', '.join(WAYS)}.")
        known = (*built_in(), *map(load_lexicon, lexicons)) if lexicons else ()
        if known and isinstance(self.model, ExtractiveModel):
            self.model = self.helper = ExtractiveModel(lexicons=known)
        policy_name, function = _policy(policy)
        self.strategy = Strategy(
            policy=function,
            policy_name=policy_name,
            way=way,
            rounds=rounds,
            prompts=Path(prompts) if prompts is not None else None,
            lexicons=known or None,
            semantic=semantic,
        )
        if semantic:
            check_embedding()
        self.retries = Retries(most=max_attempts)
        self.margins = Margins()
        self._places = Places(max_concurrency)
        named = any(isinstance(each, str) and each != "extractive" for each in (model, summary_model))
        self._shelf = Shelf(store, auto=named)
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
            if self.strategy.semantic:
                with_vectors(document, progress)
            return document
        key = source_key(document)
        with self._lock:
            if key is not None and key in self._trees:
                self._trees.move_to_end(key)
                return self._trees[key]
        tree = self._shelf.outlined(document, self.model.count, progress, semantic=self.strategy.semantic)
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
        account: Account | None = None,
        on_event: OnEvent | None = None,
        on_text: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> Answer:
        """Answer a question over a document, within a budget.

        **Anytime:** an interrupt (Ctrl-C), a deadline, an outage or a `stop` gives the best answer from what was read
        by then, marked partial. A second interrupt is raised.

        Args:
            document: As for `outline`.
            question: In plain words.
            budget: Tokens over all calls: `8000`, `"8k"`, `"5%"` of the document, or a `Budget` with further caps.
            account: An account that several questions draw on together; each keeps its own budget besides, or what the
                account has left, if that is less.
            on_event: Called with each event of the trace as it happens, in order, in the thread that asks. **If it
                raises, it isn't called again, nothing more is sent, and its exception ends the question with the books
                closed**: what was sent is settled, what wasn't is released.
            on_text: Called with pieces of the answer's text as they come, in the thread that makes the call. A further
                round of reading begins the text anew.
            progress: Called while the document is read.
            stop: Set it from anywhere to have the question answered from what was read by then.

        Returns:
            The answer with its verified citations, its bill, its receipt and its trace.

        Raises:
            InputError: The document can't be read or the question is blank.
            BudgetTooSmall: No answer is possible within it; nothing was spent.
            BudgetError: The model's price isn't known or already too high for a cap in USD; nothing was spent.
            StoreError: The store can't be used; nothing was spent.
        """
        began = time.monotonic()
        tree = self.outline(document, progress=progress)
        session, flow = self.opened(tree, question, budget, began, account)
        session.on_event, session.on_text = on_event, on_text
        answer = drive(session, session.work(flow), self._places, stop)
        self._shelf.learn(self.margins)
        return session.finished(answer)

    async def aask(
        self,
        document: Source,
        question: str,
        budget: Budget | int | str = DEFAULT_BUDGET,
        *,
        account: Account | None = None,
        on_event: OnEvent | None = None,
        on_text: Callable[[str], None] | None = None,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
    ) -> Answer:
        """As `ask`, without blocking the event loop: files are read in a thread, calls are awaited.

        The task's first cancellation while calls are under way is an interrupt: the best answer comes back from what
        was read. The second one is raised.
        """
        began = time.monotonic()
        tree = await asyncio.to_thread(self.outline, document, progress=progress)
        session, flow = self.opened(tree, question, budget, began, account)
        session.on_event, session.on_text = on_event, on_text
        answer = await drive_async(session, session.work(flow), self._places, stop)
        self._shelf.learn(self.margins)
        return session.finished(answer)

    def stream(
        self,
        document: Source,
        question: str,
        budget: Budget | int | str = DEFAULT_BUDGET,
        *,
        account: Account | None = None,
    ) -> Iterator[Event | Answer]:
        """Answer a question and yield what happens as it happens: events, pieces of text (`Said`), last the answer.

        Giving up the iterator stops the question: nothing more is sent.

        Raises:
            HierarchyError: As `ask`.
        """
        heard: SimpleQueue[Event | Answer | BaseException] = SimpleQueue()
        stop = threading.Event()

        def run() -> None:
            try:
                heard.put(
                    self.ask(
                        document,
                        question,
                        budget,
                        account=account,
                        on_event=heard.put,
                        on_text=lambda text: heard.put(Said(text=text)),
                        stop=stop,
                    )
                )
            except BaseException as error:  # noqa: BLE001  Raised again where the stream is read.
                heard.put(error)

        threading.Thread(target=run, name="hierarchy-stream", daemon=True).start()
        try:
            while True:
                item = heard.get()
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Answer):
                    return
        finally:
            stop.set()

    async def astream(
        self,
        document: Source,
        question: str,
        budget: Budget | int | str = DEFAULT_BUDGET,
        *,
        account: Account | None = None,
    ) -> AsyncIterator[Event | Answer]:
        """As `stream`, to be awaited."""
        heard: asyncio.Queue[Event | Answer | None] = asyncio.Queue()
        stop = threading.Event()

        async def run() -> Answer:
            try:
                return await self.aask(
                    document,
                    question,
                    budget,
                    account=account,
                    on_event=heard.put_nowait,
                    on_text=lambda text: heard.put_nowait(Said(text=text)),
                    stop=stop,
                )
            finally:
                heard.put_nowait(None)

        task = asyncio.ensure_future(run())
        try:
            while (item := await heard.get()) is not None:
                yield item
            yield await task
        finally:
            stop.set()
            task.cancel()

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
        session = Session(model=self.model, helper=self.helper, budget=caps, margins=self.margins, on_event=on_event)
        flow = gather_context(tree, question, budget=caps, strategy=self.strategy, count=self.model.count)
        found = drive(session, session.work(flow), self._places)
        return replace(found, trace=session.trace())

    def quote(self, document: Source, question: str, budget: Budget | int | str = DEFAULT_BUDGET) -> Quote:
        """What a question will cost, before anything is spent: bounds that a run which isn't interrupted stays inside.

        No model is called.

        Raises:
            InputError: The document can't be read or the question is blank.
            BudgetTooSmall: No answer is possible within the budget; says which would do.
            BudgetError: A cap in USD meets a model whose price isn't known.
        """
        if not question.strip():
            raise InputError("The question is empty.", "Ask something.")
        tree = self.outline(document)
        journal = self._shelf.journal(self.margins, (self.model.name, self.helper.name))
        timeouts = [getattr(model, "timeout_s", None) for model in (self.model, self.helper)]
        known = [float(timeout) for timeout in timeouts if timeout is not None]
        return quote_question(
            tree,
            question,
            budget=Budget.parse(budget, document_tokens=tree.tokens),
            strategy=self.strategy,
            tariff=tariff_of(self.model, self.margins),
            helper=tariff_of(self.helper, self.margins),
            attempts=self.retries.most,
            seconds_per_call=max(known) + self.retries.longest_wait_s if len(known) == len(timeouts) else None,
            kept=journal is not None,
        )

    def opened(
        self,
        tree: SummaryTree,
        question: str,
        budget: Budget | int | str,
        began: float,
        account: Account | None = None,
    ) -> tuple[Session, Flow[Answer]]:
        """The books and the course of one question, for who drives it; `began` is when its time began, monotonic."""
        caps = Budget.parse(budget, document_tokens=tree.tokens)
        if account is not None:
            caps = account.within(caps)
        journal = self._shelf.journal(self.margins, (self.model.name, self.helper.name))
        models, strategy = (self.model, self.helper), self.strategy
        what = (
            tree.document.key,
            question,
            caps,
            strategy.way,
            strategy.rounds,
            strategy.policy_name,
            strategy.semantic,
        )
        run = repr((*what, *map(identity_of, models)))
        planned = margins_of_run(journal, run, self.margins, models)
        flow = answer_question(
            tree,
            question,
            budget=caps,
            strategy=self.strategy,
            tariff=tariff_of(self.model, planned),
            helper=tariff_of(self.helper, planned),
        )
        session = Session(
            model=self.model,
            helper=self.helper,
            budget=caps,
            margins=self.margins,
            planned=planned,
            shared=account,
            journal=journal,
            retries=self.retries,
            deadline=math.inf if caps.max_seconds is None else began + caps.max_seconds,
        )
        return session, flow


# -- one-off use -----------------------------------------------------------------------------------------------------


def ask(
    document: Source,
    question: str,
    budget: Budget | int | str = DEFAULT_BUDGET,
    *,
    model: str | Model | BaseChatModel = "extractive",
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
    model: str | Model | BaseChatModel = "extractive",
    **options: Any,
) -> Answer:
    """As `ask`, to be awaited."""
    return await Reasoner(model, **options).aask(document, question, budget)


def stream(
    document: Source,
    question: str,
    budget: Budget | int | str = DEFAULT_BUDGET,
    *,
    model: str | Model | BaseChatModel = "extractive",
    **options: Any,
) -> Iterator[Event | Answer]:
    """Answer one question and yield what happens as it happens; see `Reasoner.stream`."""
    return Reasoner(model, **options).stream(document, question, budget)


def astream(
    document: Source,
    question: str,
    budget: Budget | int | str = DEFAULT_BUDGET,
    *,
    model: str | Model | BaseChatModel = "extractive",
    **options: Any,
) -> AsyncIterator[Event | Answer]:
    """As `stream`, to be awaited."""
    return Reasoner(model, **options).astream(document, question, budget)


def context(document: Source, question: str, budget: Budget | int | str = DEFAULT_BUDGET, **options: Any) -> Context:
    """The parts of a document worth reading for a question, within a budget; see `Reasoner.context`."""
    return Reasoner(**options).context(document, question, budget)


def quote(document: Source, question: str, budget: Budget | int | str = DEFAULT_BUDGET, **options: Any) -> Quote:
    """What a question will cost, before anything is spent; see `Reasoner` for the options and `Reasoner.quote`.

    Example:
        >>> chart = Document(name="chart", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> quoted = quote(chart, "When was warfarin stopped?", budget=500)
        >>> quoted.plan.way, quoted.tokens[1], quoted.cost_usd
        ('whole', 500, (0.0, 0.0))
    """
    return Reasoner(**options).quote(document, question, budget)


def outline(document: Source, *, progress: Progress | None = None) -> SummaryTree:
    """The tree of coarse summaries over a document; see `Reasoner.outline`."""
    return Reasoner().outline(document, progress=progress)


def _check_positive(**values: int) -> None:
    for name, value in values.items():
        if value < 1:
            raise InputError(f"{name} is {value}.", "Give 1 or more.")


def _policy(policy: str | Policy) -> tuple[str, Policy]:
    if not isinstance(policy, str):
        return getattr(policy, "__name__", "custom"), policy
    if policy in POLICIES:
        return policy, POLICIES[policy]
    raise InputError(f"There is no policy {policy!r}.", f"Use one of {', '.join(sorted(POLICIES))}, or a function.")
