"""Language models behind a provider, by way of litellm.

`ProviderModel` makes **exactly one attempt**: litellm's, openai's and its HTTP client's own retries are off, since a
second request may be a second bill. Each call has a connection of its own, closed when the call ends: none is left
behind when an event loop ends, and no call runs into one that the server gave up long ago, of which nobody could say
whether it was billed.

litellm takes seconds to import and is imported by the first call. Names, prices and limits come from its files
(`catalogue`), what goes wrong is told by `failures`, what comes back is read by `replies`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import Any

from hierarchy.calls import Outcome, Request
from hierarchy.models import catalogue
from hierarchy.models.failures import Caller, failed, redacted
from hierarchy.models.fuse import check_fuse
from hierarchy.models.replies import Reply
from hierarchy.models.vocabulary import OTHER_MARGIN, OWN_MARGIN, REASONING_TOKENS, counter_of, is_openai_family
from hierarchy.models.wire import WANTED, Line, Watch, alone, key_for, key_variable, litellm, takes
from hierarchy.tokens import Counter

__all__ = ["ProviderModel"]

_CAPS = ("max_tokens", "max_completion_tokens")
_NOT_TAKEN = re.compile(
    r"unsupported|not supported|n't support|unrecogni[sz]ed|unknown|unexpected|not permitted|forbidden|deprecated"
    r"|only the default|at the same time",
    re.IGNORECASE,
)
# A stream that goes on beyond this many times its cap is left; what it said until then is billed at least.
_RUNAWAY = 2
_LOOK_EVERY = 64


class ProviderModel:
    """Any model that litellm can call, by its litellm name: `openai/gpt-5`, `anthropic/claude-sonnet-4-5`, ….

    Keys come from the environment, as the provider names them. Replies are as steady as the provider allows:
    temperature 0 and a fixed seed where they are taken. The prompt goes as one message of the user.

    Args:
        name: As litellm spells it. With `api_base`, a name without a provider is an OpenAI-compatible server's.
        api_base: Where the provider's interface is, if not at its usual place: `http://localhost:8000/v1`.
        api_key: Instead of the environment's. To an `api_base`, the environment's is `HIERARCHY_API_KEY`; without it,
            `OPENAI_API_KEY` is sent to an OpenAI-compatible server, but not over plain http to a public address.
        timeout_s: A call that takes longer is given up.
        options: Further arguments for litellm, such as `reasoning_effort`; they replace the ones chosen here.
        reasoning_tokens: What to allow beside a reply for hidden thinking; by default 2,000 for models known to think
            unasked, else nothing.

    Raises:
        InputError: No provider can be told from the name.

    Attributes:
        name: With the provider that was assumed, if any.
        count: tiktoken's o200k_base for OpenAI's newer families, else cl100k_base.
        margin: By how much the provider may count higher, before any bill was seen.
        context_tokens: The longest input that it takes; None if not known.
        reasoning_tokens: As above.
        streams: It does.
    """

    streams = True

    def __init__(
        self,
        name: str,
        *,
        api_base: str | None = None,
        api_key: str | None = None,
        timeout_s: float = 600.0,
        options: Mapping[str, Any] | None = None,
        reasoning_tokens: int | None = None,
    ) -> None:
        self.name = catalogue.spelled(name, api_base=api_base)
        self._provider = catalogue.provider_of(self.name)
        self._entry = catalogue.entry_of(self.name)
        self._api_base, self._api_key = api_base, api_key
        self._timeout_s = float(timeout_s)
        self._options = dict(options or {})
        self.count: Counter = counter_of(self.name)
        base = api_base or (_openai_base() if self._provider == "openai" else None)
        self._own = self._provider in {"openai", "azure"} and (not base or catalogue.is_own_host(base))
        self.margin = OWN_MARGIN if self._own and is_openai_family(self.name) else OTHER_MARGIN
        longest = self._entry.get("max_input_tokens")
        self.context_tokens = longest if isinstance(longest, int) and longest > 0 else None
        self.reasoning_tokens = self._thinks() if reasoning_tokens is None else reasoning_tokens
        self._line = Line(
            provider=self._provider,
            # Newer models of OpenAI's go another way.
            by_sdk=self._provider == "openai" and self._entry.get("mode") != "responses",
            api_base=api_base,
            api_key=api_key,
            timeout_s=self._timeout_s,
        )
        # What the provider has refused to take. Learned from its answers, so that the same isn't sent to it again; all
        # else about a model is fixed.
        self._refused: frozenset[str] = frozenset()

    @property
    def identity(self) -> str:
        """What decides its replies: the name, and where it is served with which options; never the key."""
        served = {"api_base": self._api_base, "options": self._options}
        if not (self._api_base or self._options):
            return self.name
        digest = hashlib.blake2b(json.dumps(served, sort_keys=True, default=str).encode(), digest_size=6).hexdigest()
        return f"{self.name}@{digest}"

    @property
    def timeout_s(self) -> float:
        """How long one call may take."""
        return self._timeout_s

    def __repr__(self) -> str:
        """Without the key."""
        return f"ProviderModel({self.name!r}{f', api_base={self._shown_base!r}' if self._api_base else ''})"

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """As `Model.price`."""
        return self._cost(input_tokens, output_tokens, 0)

    def complete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Outcome:
        """As `Model.complete`; `on_text` is handed the reply's text piece by piece, as it comes."""
        check_fuse(self.name)
        reply, watch = Reply(on_text), Watch(self._timeout_s)
        try:
            if not litellm.cache_info().currsize:
                litellm()  # Seconds, once, which are no part of the call and its timeout.
                reply, watch = Reply(on_text), Watch(self._timeout_s)
            arguments = self._arguments(request, streamed=on_text is not None)
            with self._line.client() as client, watch.closes(client.get("client")), alone():
                response = litellm().completion(**arguments, **client)
                if on_text:
                    self._follow_sync(response, request, reply, watch)
                else:
                    _take(response, reply)
        except Exception as error:  # noqa: BLE001 - whatever a provider's library raises is an outcome
            return reply.timed(self._failed(error, reply, watch))
        return self._outcome(reply)

    async def acomplete(self, request: Request, on_text: Callable[[str], None] | None = None) -> Outcome:
        """As `complete`. Cancelling it closes the connection."""
        check_fuse(self.name)
        reply, watch = Reply(on_text), Watch(self._timeout_s)
        try:
            if not litellm.cache_info().currsize:  # Seconds, once: no part of the call, and other tasks needn't wait.
                await asyncio.to_thread(litellm)
                reply, watch = Reply(on_text), Watch(self._timeout_s)
            arguments = self._arguments(request, streamed=on_text is not None)
            async with asyncio.timeout(self._timeout_s), self._line.aclient() as client:
                with alone():
                    response = await litellm().acompletion(**arguments, **client)
                    if on_text:
                        await self._follow_async(response, request, reply, watch)
                    else:
                        _take(response, reply)
        except Exception as error:  # noqa: BLE001 - whatever a provider's library raises is an outcome
            return reply.timed(self._failed(error, reply, watch))
        return self._outcome(reply)

    def _arguments(self, request: Request, *, streamed: bool) -> dict[str, Any]:
        """What litellm is called with."""
        prompt = request.prompt.encode("utf-8", "replace").decode()  # A lone surrogate can't be sent.
        arguments: dict[str, Any] = {
            "model": self.name,
            "messages": [{"role": "user", "content": prompt}],
            "timeout": self._timeout_s,
            "num_retries": 0,
            "max_retries": 0,
            "drop_params": False,  # With it, litellm sends a request that was refused a second time.
        }
        if streamed:
            arguments["stream"] = True
        if self._api_base:
            arguments["api_base"] = self._api_base
        if key := key_for(self._provider, self._api_base, self._api_key):
            arguments["api_key"] = key
        for option, value in WANTED.items():
            sent = option not in self._refused and (streamed or option != "stream_options")
            if sent and takes(self._model, self._provider, option):
                arguments[option] = value
        arguments |= self._options
        return arguments | self._cap(request.max_output_tokens, arguments)

    def _cap(self, tokens: int, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The cap on output, in the words that the provider understands.

        OpenAI itself takes `max_completion_tokens`, which includes reasoning, and refuses both at once. Servers that
        speak like it know one or the other and skip what they don't know: they are sent both, past litellm, which goes
        by the model's name. Whichever is refused isn't sent again.
        """
        if not self._line.by_sdk:
            return {"max_tokens": tokens}
        words = _CAPS[1:] if self._own else tuple(word for word in _CAPS if word not in self._refused)
        extra = dict(arguments.get("extra_body") or {})
        cap: dict[str, Any] = {}
        for word in words or _CAPS[:1]:
            if word == "max_tokens":
                cap["extra_body"] = {**extra, word: tokens}
            else:
                cap[word] = tokens
        return cap

    @property
    def _shown_base(self) -> str | None:
        """The API base for messages."""
        return redacted(self._api_base, (self._api_key or "",)) if self._api_base else None

    @property
    def _model(self) -> str:
        """The name without its provider."""
        return self.name.removeprefix(f"{self._provider}/")

    def _thinks(self) -> int:
        effort = self._options.get("reasoning_effort")
        asked = effort not in {None, "none"} or "thinking" in self._options
        unasked = effort != "none" and catalogue.reasons(self.name, self._entry)
        return REASONING_TOKENS if asked or unasked else 0

    def _cost(self, input_tokens: int, output_tokens: int, cached_tokens: int) -> float | None:
        # litellm's own arguments for a model that its map doesn't know.
        given = {key: value for key, value in self._options.items() if key.endswith("_cost_per_token")}
        entry = {**self._entry, **given} if given else self._entry
        return catalogue.price(self.name, entry, input_tokens, output_tokens, cached_tokens)

    def _follow_sync(self, stream: Any, request: Request, reply: Reply, watch: Watch) -> None:
        try:
            for number, chunk in enumerate(stream):
                if self._goes_on(number, chunk, request, reply, watch):
                    return
        finally:
            _end_stream(stream, reply)

    async def _follow_async(self, stream: Any, request: Request, reply: Reply, watch: Watch) -> None:
        number = 0
        try:
            async for chunk in stream:
                if self._goes_on(number, chunk, request, reply, watch):
                    return
                number += 1
        finally:
            _end_stream(stream, reply)

    def _goes_on(self, number: int, chunk: Any, request: Request, reply: Reply, watch: Watch) -> bool:
        """Take a piece of a stream; whether the rest isn't worth waiting for."""
        for choice in getattr(chunk, "choices", None) or ():
            reply.add(_text_of(choice.delta.content), getattr(choice.delta, "reasoning_content", None))
        watch.check()
        return number % _LOOK_EVERY == 0 and self._runs_away(request, reply)

    def _runs_away(self, request: Request, reply: Reply) -> bool:
        """Whether a stream is far beyond its cap. It is then left, and billed for what it said: its own lie."""
        said = reply.text + reply.reasoning
        if len(said) <= _RUNAWAY * request.max_output_tokens:  # A token is a character at least, nearly always.
            return False
        written = self.count(said)
        if written <= _RUNAWAY * request.max_output_tokens + _LOOK_EVERY:
            return False
        read = math.ceil(self.count(request.prompt) * self.margin)
        reply.report = {"prompt_tokens": read, "completion_tokens": written}
        reply.finish_reason = "length"
        return True

    def _outcome(self, reply: Reply) -> Outcome:
        if reply.on_text and not (reply.finish_reason or reply.text or reply.reasoning):
            return failed(self._caller(), EOFError("the stream ended without a word"))
        return reply.outcome(self.name, self._cost)

    def _failed(self, error: Exception, reply: Reply, watch: Watch) -> Outcome:
        if reply.finish_reason and reply.text and not isinstance(error, TimeoutError):
            return reply.outcome(self.name, self._cost)  # The text is whole; only its bill can't be read.
        if watch.expired and not isinstance(error, TimeoutError):
            timeout = TimeoutError()
            timeout.__cause__ = error
            error = timeout
        outcome = failed(self._caller(), error)
        word = self._unwelcome(error) if outcome.unbilled and outcome.retry_after_s is None else None
        if word is None:
            return outcome
        self._refused |= {word}
        return Outcome(error=outcome.error, retry_after_s=0.0, unbilled=True)

    def _caller(self) -> Caller:
        return Caller(
            model=self.name,
            key_variable=key_variable(self.name, self._provider, self._api_base),
            api_base=self._shown_base,
            timeout_s=self._timeout_s,
            secret=self._api_key,
            headers=_header_values(self._options),
        )

    def _unwelcome(self, error: Exception) -> str | None:
        """The first argument that the provider says it doesn't take, if that is news and can be left out."""
        text = str(error)
        sent = [word for word in (*WANTED, *_CAPS) if word not in self._refused and word not in self._options]
        if self._refused & set(_CAPS):
            sent = [word for word in sent if word not in _CAPS]  # One of the two always stays.
        named = re.search(rf"\b({'|'.join(sent)})\b", text) if sent and _NOT_TAKEN.search(text) else None
        return named[1] if named else None


def _take(response: Any, reply: Reply) -> None:
    """Read a reply that came whole."""
    if isinstance(response, str) or not getattr(response, "choices", None):
        raise ValueError(f"no choices in {str(response)[:200]!r}")
    choice = response.choices[0]
    message = choice.message
    reply.report = getattr(response, "usage", None)
    reply.finish_reason = str(getattr(choice, "finish_reason", "") or "")
    reply.refusal = str((getattr(message, "provider_specific_fields", None) or {}).get("refusal") or "")
    reply.add(_text_of(message.content), getattr(message, "reasoning_content", None))


def _end_stream(stream: Any, reply: Reply) -> None:
    """Read how a stream ended and what it cost, from the pieces as they came: litellm fills the gaps with guesses."""
    if reply.report is None:
        for chunk in getattr(stream, "chunks", ()):
            usage = getattr(chunk, "usage", None)
            reply.report = usage if usage is not None else reply.report
        reply.finish_reason = str(getattr(stream, "received_finish_reason", None) or "")


def _text_of(content: Any) -> str:
    """The text of a message: a string, or a list of blocks."""
    if isinstance(content, list):
        return "".join(str(block.get("text", "")) for block in content if isinstance(block, dict))
    return content if isinstance(content, str) else ""


def _header_values(options: Mapping[str, Any]) -> tuple[str, ...]:
    """What options say of a call that providers may repeat and nobody else is to see: keys, and what headers hold."""
    headers = [options.get(name) for name in ("extra_headers", "headers")]
    values = [value for each in headers if isinstance(each, Mapping) for value in each.values()]
    return tuple(value for value in (options.get("api_key"), *values) if isinstance(value, str))


def _openai_base() -> str | None:
    return os.environ.get("OPENAI_BASE_URL") or os.environ.get("OPENAI_API_BASE")
