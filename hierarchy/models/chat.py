"""Chat models of LangChain, as they are: any `BaseChatModel` instance becomes a model here.

LangChain has no one word for the cap on output, so it is looked up among the fields of the model's class. Where none is
known the cap isn't sent: **the ledger still reserves it, and a reply beyond it is an overdraft**, recorded as such. A
chat model's own retries are its own as well; set its `max_retries` to 0, or calls may be billed that nobody here sees.

langchain_core is never imported here: whoever has a chat model has imported it.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Any

from hierarchy.calls import Outcome, Request
from hierarchy.errors import InputError, OutputInvalid, Unavailable
from hierarchy.models import catalogue
from hierarchy.models.failures import Caller, failed, said
from hierarchy.models.fuse import check_fuse
from hierarchy.models.replies import Reply
from hierarchy.models.vocabulary import OTHER_MARGIN, REASONING_TOKENS, counter_of
from hierarchy.tokens import Counter

__all__ = ["ChatModel", "is_chat_model"]

# What the integrations call the cap on output, the commonest first: OpenAI and most others, Google, Ollama, local ones.
_CAPS = (
    "max_tokens",
    "max_output_tokens",
    "max_completion_tokens",
    "num_predict",
    "max_new_tokens",
    "max_tokens_to_sample",
)
# Fields that decide how a call is made, not what is replied, and such as hold what nobody else is to see.
_ASIDE = frozenset(
    "cache callbacks verbose tags metadata name rate_limiter disable_streaming streaming stream_usage timeout"
    " request_timeout default_request_timeout max_retries client async_client root_client root_async_client http_client"
    " http_async_client custom_get_token_ids".split()
)
_SECRET = re.compile(
    r"(?:^|_)(?:key|secret|password|passwd|credentials?|headers?|token)$|api_?key|secret", re.IGNORECASE
)
_USER_IN_ADDRESS = re.compile(r"(?<=//)[^/@\s]+@")
_DEEPEST = 6
_ENDINGS = ("finish_reason", "stop_reason", "done_reason")


class ChatModel:
    """A LangChain chat model.

    Args:
        chat: Any instance of a `BaseChatModel`.
        name: Its name in traces and keys; by default what it says of itself, spelled as litellm would.
        margin: By how much it may count prompts higher than tiktoken, before any bill was seen.
        cap: The argument of its calls that caps output; by default found among its fields, if it has one of the usual.
        reasoning_tokens: What to allow beside a reply for hidden thinking; by default as for a `ProviderModel`.

    Raises:
        InputError: It is no chat model.

    Attributes:
        name, margin, reasoning_tokens: As above.
        identity: What decides its replies: name, class and settings, as they were when it was given, keys left out.
            Chat models that differ in any share no replies.
        cap: What the cap is sent as; empty if it isn't.
        count: tiktoken's vocabulary for its family.
        context_tokens: The longest input that it takes; None if not known.
        streams: It does; a chat model that can't hands over its reply in one piece.
    """

    streams = True

    def __init__(
        self,
        chat: Any,
        *,
        name: str | None = None,
        margin: float = OTHER_MARGIN,
        cap: str | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        if not is_chat_model(chat):
            raise InputError(f"{chat!r} is no chat model of LangChain.", "Give an instance of a BaseChatModel.")
        self._chat = chat
        self.name = name or _name_of(chat)
        self.margin = margin
        self.count: Counter = counter_of(self.name)
        self._field = cap is None
        fields: Mapping[str, Any] = type(chat).model_fields
        self.cap = next((word for word in _CAPS if word in fields), "") if cap is None else cap
        self.identity = f"{self.name}@{_digest(chat, self.cap if self._field else '')}"
        self._entry = catalogue.entry_of(self.name)
        self.context_tokens: int | None = self._entry.get("max_input_tokens")
        unasked = REASONING_TOKENS if catalogue.reasons(self.name, self._entry) else 0
        self.reasoning_tokens = unasked if reasoning_tokens is None else reasoning_tokens

    def __repr__(self) -> str:
        """Without what the chat model holds."""
        return f"ChatModel({self.name!r})"

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """As `Model.price`."""
        return self._cost(input_tokens, output_tokens, 0)

    def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Outcome:
        """As `Model.complete`; `on_text` is handed the reply's text piece by piece, as it comes."""
        check_fuse(self.name)
        reply = Reply(on_text)
        try:
            chat, arguments = self._capped(request)
            if on_text is None:
                _end(reply, chat.invoke(request.prompt, **arguments), whole=True)
            else:
                gathered = None
                for chunk in chat.stream(request.prompt, **arguments):
                    gathered = _joined(gathered, chunk, reply)
                _end(reply, gathered)
        except Exception as error:  # noqa: BLE001 - whatever an integration raises is an outcome
            return reply.timed(self._failed(error))
        return reply.outcome(self.name, self._cost)

    async def acomplete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Outcome:
        """As `complete`, without blocking other tasks as far as the chat model can."""
        check_fuse(self.name)
        reply = Reply(on_text)
        try:
            chat, arguments = self._capped(request)
            if on_text is None:
                _end(reply, await chat.ainvoke(request.prompt, **arguments), whole=True)
            else:
                gathered = None
                async for chunk in chat.astream(request.prompt, **arguments):
                    gathered = _joined(gathered, chunk, reply)
                _end(reply, gathered)
        except Exception as error:  # noqa: BLE001 - whatever an integration raises is an outcome
            return reply.timed(self._failed(error))
        return reply.outcome(self.name, self._cost)

    def _capped(self, request: Request) -> tuple[Any, dict[str, Any]]:
        """The chat model and the arguments that cap its output.

        A field is set on a copy: all integrations read their fields, and some ignore or refuse the same as an argument.
        """
        if not self.cap:
            return self._chat, {}
        if self._field:
            return self._chat.model_copy(update={self.cap: request.max_output_tokens}), {}
        return self._chat, {self.cap: request.max_output_tokens}

    def _cost(self, input_tokens: int, output_tokens: int, cached_tokens: int) -> float | None:
        return catalogue.price(self.name, self._entry, input_tokens, output_tokens, cached_tokens)

    def _failed(self, error: Exception) -> Outcome:
        caller = Caller(model=self.name, headers=tuple(_secrets(vars(self._chat))))
        outcome = failed(caller, error)
        if isinstance(outcome.error, OutputInvalid):  # Nothing known: an integration's own words are all there is.
            told = said(error, caller.hidden)
            return Outcome(error=Unavailable(f"{self.name} failed: {told}", "See how it is set up."))
        return outcome


def is_chat_model(value: object) -> bool:
    """Whether a value is a chat model of LangChain. Nothing is imported: without its module there is no instance."""
    module = sys.modules.get("langchain_core.language_models.chat_models")
    kind = getattr(module, "BaseChatModel", None)
    return kind is not None and isinstance(value, kind)


def _name_of(chat: Any) -> str:
    """What it says of itself: provider and model, as litellm spells them."""
    described = chat._get_ls_params()
    provider = str(described.get("ls_provider") or "").lower()
    named = (getattr(chat, word, None) for word in ("model_name", "model", "model_id", "deployment_name"))
    model = described.get("ls_model_name") or next((name for name in named if isinstance(name, str)), "")
    model = str(model).removeprefix("models/")
    return f"{provider}/{model}" if provider and model else model or provider or type(chat).__name__


def _digest(chat: Any, cap: str) -> str:
    """A hash of a chat model's class and of all its fields that may decide replies; the cap is each call's own."""
    told = json.dumps(_fields(chat, frozenset({cap})), sort_keys=True)
    return hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=6).hexdigest()


def _fields(model: Any, without: frozenset[str] = frozenset(), depth: int = 0) -> dict[str, Any]:
    """The fields of a pydantic model that aren't as the class has them, so that a new one changes nothing."""
    kind = type(model)
    told = {"": f"{kind.__module__}.{kind.__qualname__}"}
    for name, field in kind.model_fields.items():
        if name not in _ASIDE and name not in without and not _SECRET.search(name):
            value = _plain(getattr(model, name, None), depth + 1)
            if value != _plain(field.default, depth + 1):
                told[name] = value
    return told


def _secrets(value: Any, *, secret: bool = False) -> Iterator[str]:
    """What settings hold that providers may repeat and nobody else is to see: keys, and what headers hold."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets(inner, secret=secret or bool(_SECRET.search(str(name))))
    elif hasattr(value, "get_secret_value"):
        yield str(value.get_secret_value())
    elif secret and isinstance(value, str):
        yield value


def _plain(value: Any, depth: int) -> Any:
    """A setting as JSON has it: the same in every process, and without secrets. What it can't hold is its class."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return _USER_IN_ADDRESS.sub("", value)
    if depth < _DEEPEST and isinstance(value, Mapping):
        named = ((str(name), inner) for name, inner in value.items())
        return {name: _plain(inner, depth + 1) for name, inner in named if not _SECRET.search(name)}
    if depth < _DEEPEST and isinstance(value, list | tuple):
        return [_plain(inner, depth + 1) for inner in value]
    if depth < _DEEPEST and isinstance(value, set | frozenset):
        return sorted((_plain(inner, depth + 1) for inner in value), key=repr)
    if isinstance(value, Enum):
        return _plain(value.value, depth + 1)
    if depth < _DEEPEST and hasattr(type(value), "model_fields"):
        return _fields(value, depth=depth)
    return getattr(value, "__qualname__", None) or f"{type(value).__module__}.{type(value).__qualname__}"


def _joined(gathered: Any, chunk: Any, reply: Reply) -> Any:
    _take(reply, chunk)
    return chunk if gathered is None else gathered + chunk


def _end(reply: Reply, message: Any, *, whole: bool = False) -> None:
    """Read how a message ended and what it cost; also its text, if it came whole."""
    if message is None:
        return
    if whole:
        _take(reply, message)
    told: Mapping[str, Any] = getattr(message, "response_metadata", None) or {}
    reply.finish_reason = str(next((told[word] for word in _ENDINGS if told.get(word)), "")).lower()
    reply.refusal = str((getattr(message, "additional_kwargs", None) or {}).get("refusal") or "")
    reply.report = _report(getattr(message, "usage_metadata", None)) or told.get("token_usage")


def _take(reply: Reply, message: Any) -> None:
    """Read the text of a message: a string, or a list of blocks of which some are text and some are thoughts."""
    content = message.content
    reply.add("", (getattr(message, "additional_kwargs", None) or {}).get("reasoning_content"))
    for block in [content] if isinstance(content, str) else content:
        if isinstance(block, str):
            reply.add(block)
        elif block.get("type") in {"text", None}:
            reply.add(block.get("text"))
        else:
            reply.add("", next((block[word] for word in ("reasoning", "thinking") if block.get(word)), ""))


def _report(usage: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
    """LangChain's figures in OpenAI's form."""
    if not usage:
        return None
    read, written = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return {
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "total_tokens": usage.get("total_tokens"),
        "prompt_tokens_details": {"cached_tokens": read.get("cache_read")},
        "completion_tokens_details": {"reasoning_tokens": written.get("reasoning")},
    }
