"""Models: who answers a request, and what it is billed.

A model is anything with the few members of `Model`; nothing is registered or inherited. `ExtractiveModel` is built in
and needs no key, server or network. `FunctionModel` and `ScriptedModel` are for tests, and `forbid_calls` makes sure
that a test calls no provider. `ProviderModel` calls any provider by way of litellm, `ChatModel` wraps LangChain's.

Doesn't know stages, templates or the ledger.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

from hierarchy.calls import Outcome, Request
from hierarchy.errors import InputError
from hierarchy.models.chat import ChatModel, is_chat_model
from hierarchy.models.extractive import ExtractiveModel
from hierarchy.models.fuse import CallsForbidden, check_fuse, forbid_calls
from hierarchy.models.provider import ProviderModel
from hierarchy.models.scripted import FunctionModel, ScriptedModel
from hierarchy.tokens import Counter

__all__ = [
    "CallsForbidden",
    "ChatModel",
    "ExtractiveModel",
    "FunctionModel",
    "Model",
    "ProviderModel",
    "ScriptedModel",
    "as_model",
    "check_fuse",
    "forbid_calls",
]


def as_model(
    value: object, *, api_base: str | None = None, timeout_s: float = 600.0, options: Mapping[str, Any] | None = None
) -> Model:
    """The model that a name or an object stands for.

    Args:
        value: `extractive`, a name as litellm spells it, a `Model`, or a LangChain chat model.
        api_base: Where a named model is served.
        timeout_s: How long one call to a named model may take.
        options: What is passed on to a named model's provider.

    Raises:
        InputError: It is none of these.
    """
    if value == "extractive":
        return ExtractiveModel()
    if isinstance(value, str):
        return ProviderModel(value, api_base=api_base, timeout_s=timeout_s, options=options or {})
    if is_chat_model(value):
        return ChatModel(value)
    if isinstance(value, Model):
        return value
    raise InputError(f"{value!r} is no model.", "Give a name, a chat model, or an object with the members of `Model`.")


@runtime_checkable
class Model(Protocol):
    """What the engine asks of a model.

    **A model keeps no state between calls and may be called from several threads and tasks at once.** It never raises
    for trouble with a provider: that comes back as `Outcome.error`, with the usage if it is known. It sends
    `Request.max_output_tokens` to the provider as a cap that includes reasoning, and **makes one attempt**: whether to
    try again is the engine's to say, since that costs budget and time.

    A model may have more, which the engine looks for: `streams`, True if `complete` and `acomplete` also take
    `on_text`, a function that is handed pieces of the reply as they come; `context_tokens`, the longest prompt that it
    takes; `reasoning_tokens`, what to allow beside a reply for thinking that nobody gets to see.
    """

    @property
    def name(self) -> str:
        """As litellm spells it, or a built-in's own name; part of every request's key."""
        ...

    @property
    def count(self) -> Counter:
        """Counts the tokens of a prompt, as well as it can be known here."""
        ...

    @property
    def margin(self) -> float:
        """By which factor the provider may count a prompt higher than `count` does; 1 where the count is exact."""
        ...

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """What a call of that size costs in USD at most; None where the price isn't known."""
        ...

    def complete(self, request: Request) -> Outcome:
        """Answer a request."""
        ...

    async def acomplete(self, request: Request) -> Outcome:
        """Answer a request without blocking other tasks."""
        ...
