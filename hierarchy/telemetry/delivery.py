"""The way of spans to a collector: OTLP over HTTP, within a time, and never silently in vain.

OpenTelemetry's exporter does the sending: headers, certificates, proxies and compression are set as for any program
that uses it (`OTEL_EXPORTER_OTLP_…`). But it logs and swallows what goes wrong, and takes a redirection for success; so
**what the collector answered is looked at here**.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from hierarchy.errors import HierarchyError, InputError, Refused, Unavailable
from hierarchy.telemetry.spans import spans_of
from hierarchy.trace import Trace

if TYPE_CHECKING:
    from hierarchy.telemetry.wire import Answer

__all__ = ["export"]

_BASE, _EXACT = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
_HEADERS = ("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS")
_PATH = "/v1/traces"
_LOGGER = "opentelemetry.exporter.otlp.proto.http.trace_exporter"
_LONGEST = 200
_GRACE_S = 1.0
_HOW = "Give the address of a collector that takes OTLP over HTTP, such as http://localhost:4318."


def export(
    trace: Trace,
    *,
    endpoint: str | None = None,
    headers: Mapping[str, str] | None = None,
    service_name: str | None = None,
    content: bool = False,
    ended_at: float | None = None,
    timeout_s: float = 10.0,
) -> int:
    """Send a question's spans to a collector. Sending them again adds nothing: they have the same ids.

    Args:
        trace: Of any version, cut off or whole.
        endpoint: Address of the collector; `/v1/traces` is added where it doesn't end so. None for what the environment
            says: `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT`, or `OTEL_EXPORTER_OTLP_ENDPOINT`.
        headers: To send along, such as a key; None for `OTEL_EXPORTER_OTLP_HEADERS`.
        service_name: What the spans are told to come from; None for `OTEL_SERVICE_NAME`, or else `hierarchy`.
        content: Whether to send question, prompts, replies, answer, quotes, titles and names of files, too.
        ended_at: When the question was answered, in seconds since 1970; None for now.
        timeout_s: After so long it is given up, attempts made again included.

    Returns:
        How many spans arrived.

    Raises:
        InputError: There is no endpoint, or it is no address.
        Unavailable: OpenTelemetry isn't installed, or the collector can't be reached, is in trouble or doesn't answer.
        Refused: The collector doesn't take the spans, or isn't one.
    """
    url = _address(endpoint)
    spans = spans_of(trace, ended_at=time.time() if ended_at is None else ended_at, content=content)
    try:
        from hierarchy.telemetry import wire
    except ImportError as error:
        hint = 'From the clone: pip install ".[otel]".'
        raise Unavailable("Exporting spans needs OpenTelemetry.", hint) from error
    ready = wire.readable(spans, service_name or os.environ.get("OTEL_SERVICE_NAME") or "hierarchy")
    try:
        sending = wire.Sending(url, headers, timeout_s)
    except (ValueError, OSError) as error:
        message = f"OpenTelemetry can't be used as it is set up: {error}"
        raise InputError(message, "Check the variables OTEL_EXPORTER_OTLP_….") from error
    with _quiet():
        in_time = _within(timeout_s + _GRACE_S, lambda: sending.deliver(ready))
    where = _shown(url)
    if sending.trouble is not None:
        raise _unsent(where, sending.trouble, timeout_s, _secrets(headers))
    if not in_time:
        raise _late(where, timeout_s)
    if sending.answer is None:
        raise Refused(f"OpenTelemetry can't write these {len(spans):,} spans.", "Leave the content out.")
    _check(where, sending.answer, len(spans), _secrets(headers))
    return len(spans)


def _address(endpoint: str | None) -> str:
    """Where traces go to."""
    exact = os.environ.get(_EXACT, "").strip()
    if endpoint is None and exact:
        return _checked(exact)
    base = endpoint if endpoint is not None else os.environ.get(_BASE, "").strip()
    if not base:
        raise InputError("No collector is named to send spans to.", f"{_HOW} Or set {_BASE}.")
    base = _checked(base.strip())
    return base if re.search(r"/v1/traces/?$", base) or "?" in base else base.rstrip("/") + _PATH


def _checked(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/?#]+\S*", url, re.IGNORECASE) or not url.isprintable():
        raise InputError(f"{_shown(url)!r} is no collector's address.", _HOW)
    return url


def _shown(url: str) -> str:
    """An address without a password and what stands behind a question mark, which may be a key."""
    return re.sub(r"//[^/@\s]*@", "//", url).split("?", 1)[0]


def _secrets(headers: Mapping[str, str] | None) -> tuple[str, ...]:
    """What must not be shown: the values of headers."""
    told = [pair.partition("=")[2] for name in _HEADERS for pair in os.environ.get(name, "").split(",")]
    return tuple(value for value in (*(headers or {}).values(), *told) if value)


@contextmanager
def _quiet() -> Iterator[None]:
    """What the exporter would log is raised instead."""
    logger = logging.getLogger(_LOGGER)
    logger.addFilter(_nothing)
    try:
        yield
    finally:
        logger.removeFilter(_nothing)


def _nothing(_record: logging.LogRecord) -> bool:
    return False


def _within(seconds: float, work: Callable[[], None]) -> bool:
    """Whether something is done in time, however slowly a server dribbles; else it is left to end with the program."""
    worker = threading.Thread(target=work, name="hierarchy-otlp", daemon=True)
    worker.start()
    worker.join(seconds)
    return not worker.is_alive()


# -- what can go wrong -------------------------------------------------------------------------------------------------


def _unsent(where: str, trouble: Exception, timeout_s: float, secrets: tuple[str, ...]) -> HierarchyError:
    """Why nothing came back."""
    names = {kind.__name__ for kind in type(trouble).__mro__}
    said = _without(" ".join(str(trouble).split()), secrets)
    if "Timeout" in names:
        return _late(where, timeout_s)
    if "SSLError" in names:
        return Unavailable(
            f"No secure connection to {where}.", "Check its certificate, or OTEL_EXPORTER_OTLP_CERTIFICATE."
        )
    if "ProxyError" in names:
        return Unavailable(f"The proxy makes no connection to {where}.", "Check HTTPS_PROXY and NO_PROXY.")
    if "ConnectionError" in names:
        broken = re.search(r"reset|aborted|closed|Remote end", said)
        what = f"The connection to {where} broke off." if broken else f"No connection to {where}."
        return Unavailable(what, "Does a collector listen there? OTLP over HTTP is mostly port 4318; 4317 is gRPC.")
    if "ValueError" in names or ("OSError" in names and "RequestException" not in names):
        return InputError(f"Nothing can be sent to {where}: {_cut(said)}", "Check the address, the headers and OTEL_….")
    return Unavailable(f"Nothing could be sent to {where}: {_cut(said)}", _HOW)


def _without(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        text = text.replace(secret, "[header]").replace(repr(secret)[1:-1], "[header]")
    return text


def _late(where: str, timeout_s: float) -> Unavailable:
    return Unavailable(
        f"{where} didn't answer within {timeout_s:g} s.", "Is it a collector of OTLP over HTTP? Try again."
    )


def _check(where: str, answer: Answer, count: int, secrets: tuple[str, ...]) -> None:
    """Raise unless the collector took all spans."""
    said = _without(_said(answer), secrets)
    if answer.status in range(300, 400):
        to = f" to {_shown(answer.location)}" if answer.location else ""
        raise Refused(f"{where} sends one on{to} (status {answer.status}).", "Give the address that it sends to.")
    if answer.status in {429, 502, 503, 504} or answer.status >= 500:
        raise Unavailable(f"{where} answered with status {answer.status}{said}.", "Try again later.")
    if answer.status in {401, 403}:
        hint = "Give its key: OTEL_EXPORTER_OTLP_HEADERS, as authorization=Bearer … or what it asks for."
        raise Refused(f"{where} answered with status {answer.status}{said}.", hint)
    if answer.status in {404, 405}:
        raise Refused(
            f"{where} answered with status {answer.status}{said}.", f"{_HOW} Its path mostly ends with {_PATH}."
        )
    if not 200 <= answer.status < 300:
        raise Refused(
            f"{where} answered with status {answer.status}{said}.", "It doesn't take these spans as they are."
        )
    if "text/html" in answer.kind:
        raise Refused(f"{where} answered with a web page: it is no collector.", _HOW)
    rejected, why = _rejected(answer)
    if rejected > 0:
        told = f": {_without(_cut(why), secrets)}" if why else ""
        raise Refused(f"{where} left {rejected:,} of {count:,} spans out{told}.", "See what the collector says of it.")


def _rejected(answer: Answer) -> tuple[int, str]:
    """How many spans weren't taken though the request was."""
    if "json" in answer.kind:
        try:
            told = json.loads(answer.body).get("partialSuccess") or {}
            return int(told.get("rejectedSpans") or 0), str(told.get("errorMessage") or "")
        except (ValueError, TypeError, AttributeError, RecursionError):
            return 0, ""
    from hierarchy.telemetry.wire import refused

    return refused(answer.body) if "protobuf" in answer.kind else (0, "")


def _said(answer: Answer) -> str:
    """What there is to read in the body, whatever its kind."""
    if "html" in answer.kind:
        return ""
    runs = re.findall(r"[^\x00-\x1f\x7f-\x9f\ufffd]{5,}", answer.body[:4_000].decode("utf-8", "replace"))
    return f": {_cut(' '.join(runs)).rstrip('.')}" if runs else ""


def _cut(text: str) -> str:
    line = " ".join("".join(each if each.isprintable() else " " for each in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
