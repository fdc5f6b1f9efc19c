"""What callback handlers are shown: the engine's events, and each call to a model as a run of its own."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager, CallbackManager
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, LLMResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config

from hierarchy.answer import Answer
from hierarchy.budget import Usage
from hierarchy.calls import Outcome, Request
from hierarchy.engine import Reasoner
from hierarchy.events import Event, Mapped
from hierarchy.models import ChatModel, Model
from hierarchy.trace import event_line

__all__ = ["is_told", "overheard", "teller", "telling_handlers", "told"]

# A tag that keeps replies in the form that a prompt asks for, as JSON, out of the messages that LangGraph streams.
_UNSTREAMED = "nostream"


# Shown already, as LLM runs, or as long as the tree has nodes.
_LEFT_OUT = frozenset({"prompt", "reply", "relevance_permille"})


def told(event: Event) -> tuple[str, dict[str, Any]]:
    """An event's name and plain values, as a trace file has them, without texts of calls and columns over all nodes."""
    record: dict[str, Any] = json.loads(event_line(event))
    name = f"hierarchy.{record.pop('event')}"
    return name, {each: value for each, value in record.items() if each not in _LEFT_OUT}


def is_told(event: Event) -> bool:
    """Whether handlers are told of an event: of all but the tree's shape, which is the tree over again."""
    return not isinstance(event, Mapped)


def teller(manager: CallbackManager) -> Callable[[Event], None] | None:
    """What tells handlers of events; None where nobody listens."""
    if not manager.handlers:
        return None

    def tell(event: Event) -> None:
        if is_told(event):
            manager.on_custom_event(*told(event), run_id=manager.parent_run_id)

    return tell


async def telling_handlers(
    manager: AsyncCallbackManager, answer: Callable[[Callable[[Event], None]], Awaitable[Answer]]
) -> Answer:
    """Have a question answered while handlers, which may be awaited, are told of its events in order."""
    heard: asyncio.Queue[Event | None] = asyncio.Queue()

    async def tell() -> None:
        while (event := await heard.get()) is not None:
            await manager.on_custom_event(*told(event), run_id=manager.parent_run_id)

    def hear(event: Event) -> None:
        if telling.done():
            telling.result()  # raises what a handler raised, which ends the question with its books closed
        if is_told(event):
            heard.put_nowait(event)

    telling = asyncio.ensure_future(tell())
    try:
        return await answer(hear)
    finally:
        heard.put_nowait(None)
        await telling


def overheard(reasoner: Reasoner, manager: CallbackManager | AsyncCallbackManager) -> Reasoner:
    """The same reasoner, trees, places, margins and store included, with its models' calls shown to handlers."""
    if not manager.handlers:
        return reasoner
    overheard = copy.copy(reasoner)
    overheard.model = _Overheard(reasoner.model, manager)
    overheard.helper = overheard.model if reasoner.helper is reasoner.model else _Overheard(reasoner.helper, manager)
    return overheard


class _Overheard:
    """A model whose calls show up as runs of their own. A chat model of LangChain is put where its own show up."""

    def __init__(self, model: Model, manager: CallbackManager | AsyncCallbackManager) -> None:
        self._model = model
        self._manager: Any = manager

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def complete(self, request: Request, **listening: Any) -> Outcome:
        """As the model's; it may be in a thread that knows nothing of the run it is part of."""
        context, manager = copy_context(), self._of(request)
        context.run(var_child_runnable_config.set, _within(manager))
        if isinstance(self._model, ChatModel):
            return context.run(self._model.complete, request, **listening)
        (run,) = manager.on_llm_start(*self._start(request), **self._asked(request))
        try:
            outcome = context.run(self._model.complete, request, **listening)
        except BaseException as error:
            run.on_llm_error(error)
            raise
        if outcome.error:
            run.on_llm_error(outcome.error)
        else:
            run.on_llm_end(self._result(outcome))
        return outcome

    async def acomplete(self, request: Request, **listening: Any) -> Outcome:
        """As the model's. Each call is in a task of its own, so that what is set here is set for it alone."""
        manager = self._of(request)
        var_child_runnable_config.set(_within(manager))
        if isinstance(self._model, ChatModel):
            return await self._model.acomplete(request, **listening)
        (run,) = await manager.on_llm_start(*self._start(request), **self._asked(request))
        try:
            outcome = await self._model.acomplete(request, **listening)
        except BaseException as error:
            await run.on_llm_error(error)
            raise
        if outcome.error:
            await run.on_llm_error(outcome.error)
        else:
            await run.on_llm_end(self._result(outcome))
        return outcome

    def _of(self, request: Request) -> Any:
        """A manager for one call, tagged with its stage."""
        manager = self._manager.copy()
        manager.add_tags([f"hierarchy:{request.stage}", _UNSTREAMED], inherit=False)
        manager.add_metadata({"ls_model_name": self._model.name, "hierarchy_stage": request.stage}, inherit=False)
        return manager

    def _start(self, request: Request) -> tuple[dict[str, Any], list[str]]:
        kind = type(self._model)
        return {"name": self._model.name, "id": [*kind.__module__.split("."), kind.__name__]}, [request.prompt]

    def _asked(self, request: Request) -> dict[str, Any]:
        return {
            "name": request.stage,
            "invocation_params": {"model": self._model.name, "max_tokens": request.max_output_tokens},
        }

    def _result(self, outcome: Outcome) -> LLMResult:
        """A reply as handlers read it, those that add up usage by model included."""
        usage = _usage(outcome.usage)
        message = AIMessage(
            content=outcome.text, usage_metadata=usage, response_metadata={"model_name": self._model.name}
        )
        bill = {"token_usage": dict(usage)} if usage else {}
        return LLMResult(
            generations=[[ChatGeneration(message=message)]], llm_output={"model_name": self._model.name, **bill}
        )


def _within(manager: Any) -> RunnableConfig:
    """The config of what runs within a call; tags and metadata are on the manager."""
    return {"callbacks": manager}


def _usage(usage: Usage | None) -> UsageMetadata | None:
    """What a provider reported, if it is anything like a bill."""
    if usage is None or not all(
        isinstance(count, int) and count >= 0 for count in (usage.input_tokens, usage.output_tokens)
    ):
        return None
    return UsageMetadata(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens, total_tokens=usage.total_tokens
    )
