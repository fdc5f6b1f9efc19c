"""What went wrong at a provider, told so that it can be mended: any exception becomes an `Outcome`.

litellm, openai and httpx raise dozens of kinds, and litellm reports a refused connection as an "internal server error
500". So **the whole chain of causes is looked at**: the status counts if the provider really sent one, and nothing
counts as unbilled unless the provider certainly did no work.

Imports none of the three: an exception is known by its class's name and its attributes. Doesn't know models.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from hierarchy.calls import Outcome
from hierarchy.errors import ContextExceeded, HierarchyError, ModelError, OutputInvalid, Refused, Unavailable

__all__ = ["Caller", "failed", "redacted", "said"]

_LONGEST = 300
# How environment variables that hold keys end.
_HELD = ("_API_KEY", "_TOKEN", "_SECRET", "_ACCESS_KEY", "_ACCESS_KEY_ID", "_PASSWORD")
_UNREACHED = {"ConnectionRefusedError", "gaierror", "ConnectTimeout", "ConnectionTimeoutError"}
_TLS = {"SSLCertVerificationError", "SSLError", "ClientConnectorCertificateError", "CertificateError"}
_TIMEOUTS = {
    "Timeout",
    "APITimeoutError",
    "ReadTimeout",
    "WriteTimeout",
    "PoolTimeout",
    "TimeoutError",
    "TimeoutException",
}
_BROKEN = {
    "APIConnectionError",
    "ReadError",
    "WriteError",
    "CloseError",
    "RemoteProtocolError",
    "LocalProtocolError",
    "ServerDisconnectedError",
    "ClientPayloadError",
    "ClientOSError",
    "ConnectionResetError",
    "ConnectionAbortedError",
    "BrokenPipeError",
    "BrokenResourceError",
    "ConnectError",
}  # litellm's own APIConnectionError is no sign: it stands for whatever it doesn't know.
_RETRIED = {408, 409, 425, 429}
_TRY_LATER = {
    429: "Wait a little, or lower max_concurrency.",
    408: "The provider gave up on it: ask for less, or try again later.",
    504: "The provider gave up on it: ask for less, or try again later.",
}
_UNBILLED = {400, 401, 403, 404, 422, 429}  # Turned away at the door.
_OLLAMA = "http://localhost:11434"  # unless OLLAMA_API_BASE says otherwise

_CONTEXT = re.compile(
    r"context[_ ](?:length|window)|maximum context|prompt is too long|input is too long|too many (?:input )?tokens"
    r"|exceeds? the (?:maximum|available|model'?s) (?:number of tokens|context|input)|request too large",
    re.IGNORECASE,
)
_QUOTA = re.compile(
    r"insufficient[_ ](?:quota|balance|funds|credits?)|credit balance|billing|payment required|out of credits",
    re.IGNORECASE,
)
_POLICY = re.compile(r"content[_ ](?:policy|filter|management)|safety system|usage policy|ResponsibleAI", re.IGNORECASE)
_NO_KEY = re.compile(
    r"(?<=//)[^/@\s]+:[^/@\s]*(?=@)|(?i:(?<=[?&]key=)|(?<=[?&]api[-_]key=)|(?<=[?&]token=))[^&\s'\"]+|"
    r"api_key client option must be set|missing (?:\w+ )?api[ _]?key"
    r"|api[ _]key (?:not found|is missing|must be|required)|no api[ _]key|Missing credentials"
    r"|please set (?:the )?[A-Z_]*API_KEY",
    re.IGNORECASE,
)
_KEY = re.compile(
    r"(?<=//)[^/@\s]+:[^/@\s]*(?=@)|(?i:(?<=[?&]key=)|(?<=[?&]api[-_]key=)|(?<=[?&]token=))[^&\s'\"]+|"
    r"(?i:bearer|basic)\s+[\w.~+/=-]{6,}"
    r"|\b(?:sk|gsk|xai|nvapi|pplx|ghp|csk|r8)[-_][\w*.…-]{4,}|\b(?:hf|fw|pk|rk|ak|tgp|key)[-_][\w*.…-]{16,}"
    r"|\bAIza[\w-]{10,}|\b(?=\w*\d)(?=\w*[A-Za-z])\w{32,}\b"
)
_PREFIX = re.compile(
    r"^(?:\s*(?:litellm\.)?\w*(?:Error|Exception|Timeout)\b\s*[:-]*\s*|Error code: \d+ - |error - "
    r"|(?:Timeout|Unknown) Error: )+"
)
_TAIL = re.compile(
    r"\s*(?:Traceback \(most recent|Handle with `litellm|Original exception|Learn more:|, Received response - ).*",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who called, for messages and hints.

    Attributes:
        model: The model's name.
        key_variable: The environment variable that holds the provider's key.
        api_base: As given by the user; None for the provider's own.
        timeout_s: After which a call is given up.
        secret: A key that must never show.
        headers: Values of headers, which mustn't either: they may hold another key.
    """

    model: str
    key_variable: str = ""
    api_base: str | None = None
    timeout_s: float | None = None
    secret: str | None = None
    headers: tuple[str, ...] = ()

    @property
    def hidden(self) -> tuple[str, ...]:
        """All that must never show."""
        return (self.secret or "", *self.headers)


def failed(caller: Caller, error: BaseException) -> Outcome:
    """The outcome of a call that raised.

    May be tried again: too many requests, trouble on the provider's side, a connection that wasn't made or broke, no
    reply in time. Not: a missing or wrong key, an unknown model, a prompt that is too long or refused, no money.
    """
    if isinstance(error, HierarchyError):
        return Outcome(error=error, unbilled=isinstance(error, Unavailable))
    chain = tuple(_chain(error))
    status = _status(chain)
    if status is not None:
        return _by_status(caller, chain, status)
    return _by_kind(caller, chain)


def said(error: BaseException, hidden: Sequence[str] = ()) -> str:
    """What the provider said, on one line, cut to a readable length, without keys."""
    chain = tuple(_chain(error))
    text = next((text for each in reversed(chain) if (text := _body_message(each))), "")
    text = text or next((str(each) for each in chain if str(each).strip()), type(error).__name__)
    text = _TAIL.sub("", _PREFIX.sub("", text.strip())) or type(error).__name__
    text = redacted(" ".join(text.split()), hidden)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def redacted(text: str, hidden: Sequence[str] = ()) -> str:
    """The text without what is, or looks like, a key: of the environment, in an address, or one of those to hide.

    Example:
        >>> redacted("Incorrect API key provided: sk-proj-1a2b3c4d5e6f.")
        'Incorrect API key provided: [key].'
    """
    held = [value for name, value in os.environ.items() if name.endswith(_HELD)]
    for key in sorted({*hidden, *held}, key=len, reverse=True):
        if len(key) >= 6:
            text = text.replace(key, "[key]")
    return _KEY.sub(lambda match: "[key]" + ("." if match[0].endswith(".") else ""), text)


def _by_status(caller: Caller, chain: tuple[BaseException, ...], status: int) -> Outcome:
    """A failure that the provider reported."""
    text = said(chain[0], caller.hidden)
    kind, hint = _meaning(caller, " ".join(str(error) for error in chain), status)
    again = kind is Unavailable and (status in _RETRIED or status >= 500)
    return Outcome(
        error=kind(f"{caller.model} answered with status {status}: {_stopped(text)}", hint),
        retry_after_s=_retry_after(chain) if again else None,
        unbilled=status in _UNBILLED,
    )


def _meaning(caller: Caller, everything: str, status: int) -> tuple[type[ModelError], str]:
    """What a status and the words that came with it stand for, and the remedy."""
    if status in {400, 413, 422} and _CONTEXT.search(everything):
        return ContextExceeded, "Give a smaller budget, or use a model with a longer context."
    if status == 402 or (status in {400, 403, 429} and _QUOTA.search(everything)):
        return Refused, "The account has no credit left: check its plan and billing."
    if status in {401, 403}:
        return Refused, f"Check the key: {_key_advice(caller)}."
    if status in _RETRIED or status >= 500:
        return Unavailable, _TRY_LATER.get(status, "The trouble is on the provider's side: try again later.")
    if status == 404:
        base = f", and that {caller.api_base} is right (it mostly ends with /v1)" if caller.api_base else ""
        return Unavailable, f"Check the model's name{base}."
    if _POLICY.search(everything):
        return Refused, "The provider's content policy forbids it: use another model, or leave those passages out."
    return Refused, "The provider doesn't take the request as it is: check the model's name and options."


def _by_kind(caller: Caller, chain: tuple[BaseException, ...]) -> Outcome:
    """A failure without a status from the provider: it wasn't reached, didn't reply in time, or replied nonsense."""
    names = {type(error).__name__ for error in chain if not _is_litellm(error)}
    text = said(chain[0], caller.hidden)
    everything = " ".join(str(error) for error in chain)
    where = caller.api_base or "its provider"
    if _NO_KEY.search(everything):
        message = f"{caller.model} needs a key, and none is set."
        return Outcome(error=Refused(message, f"Set it: {_key_advice(caller)}."), unbilled=True)
    if names & _TLS:
        message = f"{caller.model}: no secure connection to {where}: {_stopped(_innermost(chain, caller))}"
        hint = "Check the certificate and its chain; SSL_CERT_FILE names a file of further ones."
        return Outcome(error=Unavailable(message, hint), unbilled=True)
    if names & _UNREACHED or any(_never_connected(error) for error in chain):
        return _unreached(caller, names, where)
    if names & _TIMEOUTS or any(type(error).__name__ == "Timeout" for error in chain):
        given = f" within {caller.timeout_s:g} s" if caller.timeout_s else " in time"
        message = f"{caller.model} didn't answer{given}."
        hint = "Allow more: timeout_s, or --timeout on the command line. A model on one's own machine may take minutes."
        return Outcome(error=Unavailable(message, hint), retry_after_s=0.0)
    if names & _BROKEN:
        message = f"{caller.model}: the connection to {where} broke off: {_stopped(_innermost(chain, caller))}"
        return Outcome(error=Unavailable(message, "Try again; what it had done may be billed."), retry_after_s=0.0)
    cut = bool(names & {"JSONDecodeError", "EOFError"}) and "<html" not in everything and "<!" not in everything
    return _unreadable(caller, text, again=cut)


def _unreached(caller: Caller, names: set[str], where: str) -> Outcome:
    if "gaierror" in names or any("DNS" in name for name in names):
        message = f"{caller.model}: no address is known for {where}."
        hint = "Check the network" + (f" and the API base {caller.api_base}." if caller.api_base else ".")
    elif caller.api_base:
        message = f"{caller.model}: no connection to {caller.api_base}."
        hint = f"Is the server running at {caller.api_base}?"
    elif caller.model.startswith(("ollama/", "ollama_chat/")):
        address = redacted(os.environ.get("OLLAMA_API_BASE") or _OLLAMA)
        message = f"{caller.model}: no connection to {address}."
        hint = "Is Ollama running there? Start it (ollama serve), or give its address: api_base, --api-base."
    else:
        message, hint = f"{caller.model}: its provider can't be reached.", "Check the network and the proxy settings."
    return Outcome(error=Unavailable(message, hint), retry_after_s=0.0, unbilled=True)


def _unreadable(caller: Caller, text: str, *, again: bool) -> Outcome:
    """It came, but is no reply. What was cut short may come whole the next time; the rest stays as it is."""
    message = f"{caller.model} sent something that is no reply: {_stopped(text)}"
    hint = "Check the server"
    if caller.api_base:
        hint += f", and whether {caller.api_base} is right (it mostly ends with /v1)"
    return Outcome(error=OutputInvalid(message, hint + "."), retry_after_s=0.0 if again else None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came from, outermost first."""
    seen: set[int] = set()
    pending = [error]
    while pending and len(seen) < 24:
        each = pending.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        inner = (each.__cause__, each.__context__, getattr(each, "original_exception", None))
        pending += [other for other in inner if isinstance(other, BaseException)]


def _status(chain: tuple[BaseException, ...]) -> int | None:
    """The status that a provider really sent, from 400 on; litellm makes up others."""
    for error in chain:
        name = type(error).__name__
        if _is_litellm(error) and name != "MaskedHTTPStatusError":
            continue
        status = getattr(getattr(error, "response", None), "status_code", getattr(error, "status_code", None))
        if status is None and type(error).__module__.startswith("google."):
            status = getattr(error, "code", None)
        if isinstance(status, int) and 400 <= status < 600:
            return int(status)
    return None


def _is_litellm(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] == "litellm"


def _never_connected(error: BaseException) -> bool:
    """Whether no connection was made. aiohttp's ConnectError proper may also be one that broke while in use."""
    name, package = type(error).__name__, type(error).__module__.split(".")[0]
    return (name == "ConnectError" and package == "httpcore") or name.startswith("ClientConnector")


def _retry_after(chain: tuple[BaseException, ...]) -> float:
    """How long the provider wants to be left alone; 0 if it doesn't say."""
    for error in chain:
        for source in (error, getattr(error, "response", None)):
            for attribute in ("headers", "litellm_response_headers"):
                seconds = _seconds(getattr(source, attribute, None))
                if seconds is not None:
                    return seconds
    return 0.0


def _seconds(headers: object) -> float | None:
    if not isinstance(headers, Mapping):
        return None
    given = {str(name).lower(): str(value) for name, value in headers.items()}
    for name, scale in (("retry-after-ms", 1_000.0), ("retry-after", 1.0)):
        if name in given:
            try:
                seconds = float(given[name]) / scale
            except ValueError:
                seconds = _until(given[name])
            return max(0.0, seconds) if math.isfinite(seconds) else 0.0
    return None


def _until(date: str) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except (TypeError, ValueError):
        return 0.0
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)).total_seconds()


def _body_message(error: BaseException) -> str:
    """The message within a body of JSON, parsed by a client already or still in the text."""
    body: Any = getattr(error, "body", None)
    if not isinstance(body, dict):
        text = str(getattr(error, "message", "") or "")
        start = text.find("{")
        try:
            body = json.JSONDecoder().raw_decode(text[start:])[0] if start >= 0 else None
        except ValueError:
            body = None
    if not isinstance(body, dict):
        return ""
    inner = body.get("error", body)
    message = inner.get("message", inner.get("detail", "")) if isinstance(inner, dict) else inner
    return message if isinstance(message, str) else json.dumps(message)


def _innermost(chain: tuple[BaseException, ...], caller: Caller) -> str:
    """What the network itself said, beneath the words that clients put around it."""
    text = next((str(error) for error in reversed(chain) if str(error).strip()), type(chain[-1]).__name__)
    return redacted(" ".join(text.split()), caller.hidden)[:_LONGEST]


def _key_advice(caller: Caller) -> str:
    if caller.secret:
        return "the one given as api_key"
    return f"environment variable {caller.key_variable}" if caller.key_variable else "the provider's key"


def _stopped(text: str) -> str:
    return text if text.endswith((".", "!", "?", "…")) else f"{text}."
