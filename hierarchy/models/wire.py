"""How litellm is called: imported late and quiet, tried once, and left without a trace.

**One call is one request on one connection.** litellm's HTTP clients send a request again when its connection breaks,
keep connections for later, and log in threads of their own; here each call gets a client that does none of that, made
with litellm's own settings (proxies, certificates) and closed when the call ends. Where litellm has no such parts, or
goes through a provider's own library, its default is used.

The only module that imports litellm. Doesn't know requests or outcomes.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from threading import Timer
from time import monotonic
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from hierarchy.errors import Unavailable

__all__ = ["WANTED", "Line", "Watch", "alone", "key_for", "key_variable", "litellm", "takes"]

_KEY_VARIABLE = "HIERARCHY_API_KEY"

WANTED: Mapping[str, Any] = MappingProxyType({"temperature": 0.0, "seed": 0, "stream_options": {"include_usage": True}})
"""What makes replies the same each time, as far as a provider can, and has a stream end with its bill."""

# Providers that litellm calls through a plain HTTP client that it can be given.
_PLAIN_HTTP = frozenset(
    "anthropic bedrock cohere_chat deepseek fireworks_ai gemini groq hosted_vllm mistral ollama ollama_chat openrouter"
    " together_ai xai".split()
)


@lru_cache(maxsize=1)
def litellm() -> Any:
    """Import litellm, once: its price map from its own files, nothing sent home, nothing said on the terminal."""
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    try:
        import litellm as library
    except ImportError as error:
        raise Unavailable(f"litellm can't be imported: {error}", "Install it: pip install litellm.") from error
    library.suppress_debug_info = True
    library.telemetry = False
    library.disable_hf_tokenizer_download = (
        True  # Else a streamed reply of a Llama waits for a tokenizer to be fetched.
    )
    if "LITELLM_LOG" not in os.environ:
        logging.getLogger("LiteLLM").setLevel(logging.CRITICAL)
    for noise in ("Pydantic serializer warnings", ".*using the `ReadOnly` qualifier"):
        warnings.filterwarnings("ignore", message=noise, category=UserWarning)
    return library


@lru_cache(maxsize=256)
def takes(model: str, provider: str, option: str) -> bool:
    """Whether litellm says that a provider takes an option at the value in `WANTED`, for that model."""
    litellm()
    from litellm.utils import get_optional_params

    probe: Any = get_optional_params
    try:
        probe(model=model, custom_llm_provider=provider, drop_params=False, **{option: WANTED[option]})
    except Exception:  # noqa: BLE001 - each provider has its own way to say no
        return False
    return True


def key_for(provider: str, api_base: str | None, api_key: str | None) -> str | None:
    """The key to send; None leaves it to litellm, which reads the provider's own variable.

    **An OpenAI key never goes out in the clear**: to an address that was given, `OPENAI_API_KEY` is sent, as OpenAI's
    own client would, over https, to this machine, and within a private network; to any other plain http address none.
    `HIERARCHY_API_KEY`, or an `api_key`, goes wherever `api_base` says.
    """
    if api_key or not api_base:
        return api_key
    if given := os.environ.get(_KEY_VARIABLE):
        return given
    safe = _is_safe(api_base) and os.environ.get("OPENAI_API_KEY")
    return None if safe or provider != "openai" else "none"  # The client library wants one always.


def _is_safe(api_base: str) -> bool:
    """Whether a key may go to an address: over https, or in the clear where the network isn't public."""
    address = urlsplit(api_base.strip() if "://" in api_base else f"http://{api_base.strip()}")
    host = (address.hostname or "").lower()
    if address.scheme == "https" or host == "localhost" or (host and "." not in host and ":" not in host):
        return True  # a name without a dot is one of the network's own, as of containers
    try:
        place = ip_address(host)
    except ValueError:
        return False
    return place.is_loopback or place.is_private


def key_variable(name: str, provider: str, api_base: str | None = None) -> str:
    """The environment variable that the key for a model is read from."""
    if api_base and (provider == "openai" or key_for(provider, api_base, None) is not None):
        return _KEY_VARIABLE
    with suppress(Exception):
        missing = litellm().validate_environment(name)["missing_keys"]
        keys = [key for key in missing if key.endswith(("KEY", "TOKEN"))]
        if keys:
            return str(keys[-1])
    return f"{provider.upper().replace('-', '_')}_API_KEY"


@contextmanager
def alone() -> Iterator[None]:
    """Keep litellm's own retries out of a call, and its logging threads if nobody listens to what they log."""
    library = litellm()
    library.num_retries = None  # It counts for more than the 0 that a call says, and litellm itself resets it at will.
    listeners = ("callbacks", "success_callback", "failure_callback", "_async_success_callback")
    heard = any(getattr(library, name, None) for name in listeners)
    internal = getattr(sys.modules.get("litellm._internal_context"), "is_internal_call", None)
    if heard or internal is None:
        yield
        return
    before = internal.get()
    internal.set(True)
    try:
        yield
    finally:
        internal.set(before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Where a call goes, and how to open a client for it.

    Attributes:
        provider: In litellm's words.
        by_sdk: Whether litellm calls it through OpenAI's own library.
        api_base: None for the usual place.
        api_key: As given; None for the environment's, by `key_for`.
        timeout_s: For each byte to wait for.
    """

    provider: str
    by_sdk: bool
    api_base: str | None
    api_key: str | None
    timeout_s: float

    @contextmanager
    def client(self) -> Iterator[Mapping[str, Any]]:
        """The arguments for litellm that hold a client for one call; none where litellm must use its own."""
        client = self._new(asynchronous=False)
        try:
            yield {} if client is None else {"client": client}
        finally:
            if client is not None:
                client.close()

    @asynccontextmanager
    async def aclient(self) -> AsyncIterator[Mapping[str, Any]]:
        """As `client`."""
        client = self._new(asynchronous=True)
        try:
            yield {} if client is None else {"client": client}
        finally:
            if client is not None:
                await client.close()

    def _new(self, *, asynchronous: bool) -> Any:
        # Parts of litellm's inside; without them, its default.
        with suppress(ImportError, AttributeError, TypeError):
            if self.by_sdk:
                return self._sdk(asynchronous=asynchronous)
            if self.provider in _PLAIN_HTTP:
                return self._http(asynchronous=asynchronous)
        return None

    def _sdk(self, *, asynchronous: bool) -> Any:
        from litellm.llms.openai import common_utils

        parts: Any = common_utils
        known = parts.get_openai_credentials(
            api_base=self.api_base, api_key=key_for(self.provider, self.api_base, self.api_key)
        )
        if not known.api_key:
            return None  # litellm then says what is missing.
        settings = {
            "api_key": known.api_key,
            "base_url": known.api_base,
            "organization": known.organization,
            "timeout": self.timeout_s,
            "max_retries": 0,
        }
        settled = parts.BaseOpenAILLM
        if asynchronous:
            return parts.AsyncOpenAI(**settings, http_client=settled._get_async_http_client())
        return parts.OpenAI(**settings, http_client=settled._get_sync_http_client())

    def _http(self, *, asynchronous: bool) -> Any:
        from litellm.llms.custom_httpx import http_handler

        kind: Any = _one_attempt() if asynchronous else http_handler.HTTPHandler
        return kind(timeout=self.timeout_s)


@lru_cache(maxsize=1)
def _one_attempt() -> Any:
    from litellm.llms.custom_httpx import http_handler

    kind: Any = http_handler.AsyncHTTPHandler

    class OneAttempt(kind):  # type: ignore[misc]
        """litellm's own sends a request again when its connection breaks, though the first may be billed."""

        async def single_connection_post_request(self, *_: Any, **__: Any) -> Any:
            raise sys.exception() or ConnectionError("the connection broke")

    return OneAttempt


class Watch:
    """Gives a call up when its time is over, also if the provider sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self._end = monotonic() + seconds
        self._seconds = seconds

    @property
    def expired(self) -> bool:
        """Whether its time is over."""
        return monotonic() >= self._end

    def check(self) -> None:
        """Raise if the time is over."""
        if self.expired:
            raise TimeoutError

    @contextmanager
    def closes(self, client: Any) -> Iterator[None]:
        """Close a client (if there is one) when the time is over, which ends a call that waits on it."""
        if client is None:
            yield
            return
        # The client's own timeout is the same and begins anew with each byte; it should come first where none comes.
        timer = Timer(self._seconds + 0.5, client.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
