"""OpenTelemetry's own types and exporter: the only module that imports opentelemetry, and requests, which sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import requests  # type: ignore[import-untyped,unused-ignore]  # What OpenTelemetry's exporter sends by.
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from hierarchy.telemetry.spans import Span

__all__ = ["Answer", "Sending", "readable", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a collector answered.

    Attributes:
        status: HTTP's.
        kind: Of what kind the body is.
        body: The body.
        location: Where it sends one to instead; empty if nowhere.
    """

    status: int
    kind: str
    body: bytes
    location: str = ""


class Sending(requests.Session):  # type: ignore[misc,unused-ignore]  # untyped without its stubs
    """Spans on their way: how it ends is remembered, and a connection that fails does so at once.

    Args:
        url: Where to.
        headers: To send along; None for what the environment says.
        timeout_s: After so long it is given up.

    Attributes:
        answer: What came back; None if nothing did.
        trouble: Why nothing did.
    """

    def __init__(self, url: str, headers: Mapping[str, str] | None, timeout_s: float) -> None:
        super().__init__()
        self.answer: Answer | None = None
        self.trouble: Exception | None = None
        given = dict(headers) if headers else None
        self._exporter = OTLPSpanExporter(endpoint=url, headers=given, timeout=timeout_s, session=self)

    def deliver(self, spans: Sequence[ReadableSpan]) -> None:
        """Send spans; says nothing, `answer` and `trouble` do."""
        try:
            self._exporter.export(spans)
        except Exception as error:  # noqa: BLE001 - whatever the exporter raises, nothing was delivered
            self.trouble = self.trouble or error
        finally:
            self._exporter.shutdown()  # type: ignore[no-untyped-call,unused-ignore]

    def request(self, *args: Any, **options: Any) -> Any:
        """As a session does, but never on to another address."""
        self.answer = None
        try:
            found = super().request(*args, **{**options, "allow_redirects": False})
        except Exception as error:
            self.trouble = error
            raise _NotSentError from error  # The exporter would try again and again what refuses a connection.
        kind, location = found.headers.get("content-type", ""), found.headers.get("location", "")
        self.answer = Answer(status=found.status_code, kind=kind.lower(), body=found.content, location=location)
        return found


class _NotSentError(Exception):
    """A request that wasn't answered."""


def refused(body: bytes) -> tuple[int, str]:
    """How many spans a collector says that it didn't take though it took the rest, and why."""
    try:
        partial = ExportTraceServiceResponse.FromString(body).partial_success
    except Exception:  # noqa: BLE001 - a collector may answer anything; protobuf's error is of no public kind
        return 0, ""
    return int(partial.rejected_spans), str(partial.error_message)


def readable(spans: Sequence[Span], service_name: str) -> tuple[ReadableSpan, ...]:
    """Spans as OpenTelemetry has them."""
    resource = Resource.create({"service.name": service_name})
    scope = InstrumentationScope("hierarchy")
    return tuple(
        ReadableSpan(
            name=span.name,
            context=_context(span.trace_id, span.id),
            parent=_context(span.trace_id, span.parent) if span.parent else None,
            resource=resource,
            attributes=dict(span.attributes),
            events=[Event(one.name, dict(one.attributes), one.at_ns) for one in span.events],
            kind=SpanKind.CLIENT if span.kind == "client" else SpanKind.INTERNAL,
            status=Status(StatusCode.ERROR, span.message) if span.status == "error" else Status(StatusCode.UNSET),
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=scope,
        )
        for span in spans
    )


def _context(trace_id: str, span_id: str) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))
