"""The runnable that answers: one question or many, at once or in pieces, under LangChain's callbacks."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NotRequired

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.runnables import RunnableConfig, RunnableSerializable
from pydantic import ConfigDict, field_validator
from typing_extensions import TypedDict

from hierarchy.account import Account
from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.document import Document
from hierarchy.engine import DEFAULT_BUDGET, Reasoner
from hierarchy.errors import InputError
from hierarchy.events import Event, Reserved, Said
from hierarchy.langchain.given import Documents, briefly, built_in, checked_budget, cut, readable, shown
from hierarchy.langchain.handlers import overheard, teller, telling_handlers, told
from hierarchy.session import ANSWERING
from hierarchy.tree import SummaryTree

__all__ = ["Asked", "HierarchyAnswerer"]


class Asked(TypedDict):
    """What `HierarchyAnswerer` may be given in place of a question alone; further keys are left for others to read.

    Attributes:
        question: In plain words.
        document: As the answerer's; only where that has none.
        budget: As the answerer's; only where that has none.
    """

    question: str
    document: NotRequired[Any]
    budget: NotRequired[Budget | int | str]


def _readable_if_any(value: object) -> object:
    return None if value is None else readable(value)


class HierarchyAnswerer(RunnableSerializable[str | Asked, Any]):
    """Answers questions over documents within a budget, as a runnable.

    **What is set here is fixed, what isn't comes with each question**, as a mapping or bound: so an input can't read
    another document or spend more than whoever wrote the chain allows.

    Callback handlers see a chain run with each call to a model as an LLM run within it, prompt, reply and usage
    included, tagged with its stage; a LangChain chat model shows its calls itself. What the engine does comes as custom
    events `hierarchy.planned`, `hierarchy.allocated`, `hierarchy.read` and so on, with an event's fields as data.

    Attributes:
        document: As `HierarchyRetriever.document`; None if each question brings its own.
        budget: Tokens over all calls for one question, or a `Budget` with further caps; 8,000 if nobody says.
        reasoner: Which models, policy and store are used; by default the built-in model's.
        account: What all questions draw on together, each keeping its own budget besides.
        output: `answer` gives the `Answer`; `dict` its plain values, as a checkpoint keeps them; `text` its text alone.
            **Only text is streamed in pieces**: they come as the model writes them. If it begins anew (more was read, a
            call broke off) or its words didn't hold, the final text follows after an empty line.

    Raises:
        HierarchyError: On use, as `Reasoner.ask`; `.trace` says how far it came.

    Example:
        >>> note = Document(name="note", text="Warfarin was stopped on 3 May. He lives alone.")
        >>> HierarchyAnswerer(document=note, output="text").invoke("When was warfarin stopped?")
        'Warfarin was stopped on 3 May.'
    """

    model_config = ConfigDict(arbitrary_types_allowed=True, protected_namespaces=())

    document: Documents | None = None
    budget: Budget | int | str | None = None
    reasoner: Reasoner | None = None
    account: Account | None = None
    output: Literal["answer", "text", "dict"] = "answer"

    _document_is_readable = field_validator("document", mode="before")(_readable_if_any)
    _budget_is_one = field_validator("budget", mode="before")(checked_budget)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What tracers show: names rather than texts."""
        return briefly(self)

    @property
    def OutputType(self) -> Any:  # noqa: N802  LangChain's name.
        """What `output` says."""
        return {"answer": Answer, "text": str, "dict": dict[str, Any]}[self.output]

    def invoke(self, input: str | Asked, config: RunnableConfig | None = None, **given: Any) -> Any:  # noqa: A002
        """Answer a question; `given` may hold its document and budget, as `bind` passes them."""

        def answered(_: Any, run_manager: CallbackManagerForChainRun) -> Any:
            asked = self._asked(input, given)
            manager = run_manager.get_child()
            reasoner = overheard(self._reasoner, manager)
            return self._given_out(
                reasoner.ask(
                    asked.document, asked.question, asked.budget, account=self.account, on_event=teller(manager)
                )
            )

        return self._call_with_config(answered, shown(input), config)

    async def ainvoke(self, input: str | Asked, config: RunnableConfig | None = None, **given: Any) -> Any:  # noqa: A002
        """As `invoke`, to be awaited. The first cancellation gives the best answer from what was read by then."""

        async def answered(_: Any, run_manager: AsyncCallbackManagerForChainRun) -> Any:
            asked = self._asked(input, given)
            manager = run_manager.get_child()
            reasoner = overheard(self._reasoner, manager)

            async def answer(on_event: Callable[[Event], None] | None) -> Answer:
                return await reasoner.aask(
                    asked.document, asked.question, asked.budget, account=self.account, on_event=on_event
                )

            return self._given_out(await (telling_handlers(manager, answer) if manager.handlers else answer(None)))

        return await self._acall_with_config(answered, shown(input), config)

    def stream(self, input: str | Asked, config: RunnableConfig | None = None, **given: Any) -> Iterator[Any]:  # noqa: A002
        """The answer's text in pieces as they come; for other outputs the answer in one. Giving it up stops it."""
        if self.output != "text":
            yield self.invoke(input, config, **given)
            return

        def streamed(_: Iterator[Any], run_manager: CallbackManagerForChainRun) -> Iterator[str]:
            asked = self._asked(input, given)
            manager, text = run_manager.get_child(), _Text()
            tell, reasoner = teller(manager), overheard(self._reasoner, manager)
            events = reasoner.stream(asked.document, asked.question, asked.budget, account=self.account)
            with closing(events):  # type: ignore[type-var]  # It is a generator.
                for event in events:
                    if tell and isinstance(event, Event) and not isinstance(event, Said):
                        tell(event)
                    if piece := text.after(event):
                        yield piece

        yield from self._transform_stream_with_config(iter([shown(input)]), streamed, config)

    async def astream(
        self,
        input: str | Asked,  # noqa: A002
        config: RunnableConfig | None = None,
        **given: Any,
    ) -> AsyncIterator[Any]:
        """As `stream`, to be awaited."""
        if self.output != "text":
            yield await self.ainvoke(input, config, **given)
            return

        async def streamed(_: AsyncIterator[Any], run_manager: AsyncCallbackManagerForChainRun) -> AsyncIterator[str]:
            asked = self._asked(input, given)
            manager, text = run_manager.get_child(), _Text()
            reasoner = overheard(self._reasoner, manager)
            events = reasoner.astream(asked.document, asked.question, asked.budget, account=self.account)
            async with aclosing(events):  # type: ignore[type-var]  # It is a generator.
                async for event in events:
                    if manager.handlers and isinstance(event, Event) and not isinstance(event, Said):
                        await manager.on_custom_event(*told(event), run_id=manager.parent_run_id)
                    if piece := text.after(event):
                        yield piece

        async def inputs() -> AsyncIterator[Any]:
            yield shown(input)

        pieces = self._atransform_stream_with_config(inputs(), streamed, config)
        async with aclosing(pieces):  # type: ignore[type-var]  # It is a generator.
            async for piece in pieces:
                yield piece

    @property
    def _reasoner(self) -> Reasoner:
        return self.reasoner or built_in("expected_gain")

    def _given_out(self, answer: Answer) -> Any:
        return {"answer": lambda: answer, "text": lambda: answer.text, "dict": answer.to_dict}[self.output]()

    def _asked(self, given: object, bound: Mapping[str, Any]) -> _Asked:
        """What is asked, of which document, within which budget.

        Raises:
            InputError: No question, no document, or one of another's choosing.
        """
        if unknown := bound.keys() - {"document", "budget"}:
            raise InputError(f"{min(unknown)!r} can't be bound.", "Bind a document or a budget.")
        asked = {**(given if isinstance(given, Mapping) else {"question": given}), **bound}
        question = asked.get("question")
        if not isinstance(question, str):
            raise InputError(
                f"There is no question in {type(given).__name__} {cut(given)}.",
                'Give a string, or a mapping with "question" and, if need be, "document" and "budget".',
            )
        document = self._only("document", self.document, asked.get("document"))
        if document is None:
            raise InputError("No document is named.", "Name one here or beside the question.")
        budget = self._only("budget", self.budget, asked.get("budget"))
        return _Asked(
            question=question, document=readable(document), budget=DEFAULT_BUDGET if budget is None else budget
        )

    def _only(self, name: str, own: Any, given: Any) -> Any:
        if own is not None and given is not None:
            raise InputError(
                f"{self.get_name()} has its own {name}; an input can't change it.",
                f"Leave the {name} out of one of the two.",
            )
        return given if own is None else own


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    question: str
    document: str | Path | Document | SummaryTree
    budget: Budget | int | str


@dataclass(slots=True)
class _Text:
    """The answer's text as it comes, from events: what has been said so far, and whether that still holds."""

    said: str = ""
    broken: bool = False

    def after(self, event: Event | Answer) -> str:
        """What an event adds to what was handed out."""
        if isinstance(event, Reserved) and event.stage in ANSWERING and self.said:
            self.said, self.broken = "", True
        if isinstance(event, Said):
            piece = self._joined(event.text)
            self.said += event.text
            return piece
        return self._rest(event.text) if isinstance(event, Answer) else ""

    def _joined(self, text: str) -> str:
        joint, self.broken = "\n\n" if self.broken and text else "", self.broken and not text
        return joint + text

    def _rest(self, text: str) -> str:
        """What of the final text wasn't said; all of it where something else was."""
        if text.startswith(self.said):
            return self._joined(text[len(self.said) :])
        if self.said.split() == text.split():
            return ""
        self.broken = True
        return self._joined(text)
