"""Spans of a trace, and their way to a collector: a real one of OTLP over HTTP on the loopback, honest or not."""

from __future__ import annotations

import gzip
import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

import hierarchy
from hierarchy import telemetry
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome, Request
from hierarchy.errors import InputError, Refused, Unavailable
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Finished,
    GrantLine,
    HandedBack,
    Kept,
    Mapped,
    Missed,
    Noted,
    Outlined,
    Planned,
    Read,
    Recalled,
    Released,
    Reserved,
    Retried,
    Searched,
    Settled,
    Started,
)
from hierarchy.models import FunctionModel
from hierarchy.telemetry import Span, spans_of
from hierarchy.trace import Trace

SECRET = "orchard"  # In every word of the trace below that somebody said or wrote.

MAP = Mapped(
    parents=(-1, 0, 1, 1, 0, 4),
    kinds=(0, 1, 2, 2, 1, 2),
    tokens=(60, 40, 20, 20, 20, 20),
    files=(0,) * 6,
    starts=(0, 0, 0, 20, 40, 40),
    ends=(60, 40, 20, 40, 60, 60),
    pages=(1, 1, 1, 2, 3, 3),
    kind_names=("document", "section", "sentence"),
    titles={"0": "orchard.pdf", "1": "The orchard", "4": "Another orchard"},
)


def story(**changes) -> Trace:
    """A question with all that can happen: a branch refined, calls that failed, were made again, recalled, given up."""
    usage = Usage(input_tokens=90, output_tokens=10, calls=1, cost_usd=0.002)
    failed = "anthropic/claude answered with status 529: overloaded in the orchard"
    model = "anthropic/claude-sonnet-4-5"
    call = {"input_tokens": 88, "max_output_tokens": 50, "tokens": 150, "margin": 1.1, "model": model, "key": "f00d"}
    events = {
        "started": Started(
            question="What grew in the orchard?",
            document="orchard.pdf",
            source_names=("orchard.pdf",),
            document_key="k",
            document_tokens=60,
            budget=Budget(4_000, max_calls=9),
            model=model,
            strategy={"policy": "expected_gain", "rounds": 2},
            made_by="0.1.0",
        ),
        "outlined": Outlined(nodes=6, leaves=3, depth=2, notes=("No bookmarks in orchard.pdf.",)),
        "mapped": MAP,
        "planned": Planned(way="staged", routing="lean", rounds=2, why="The orchard is large."),
        "route": Reserved(call=1, stage="route", prompt="orchard?", **call),
        "routed": Settled(call=1, usage=usage, reply="orchard terms", seconds=1.5),
        "searched": Searched(terms=("orchard", "apples"), needs=("the orchard table",)),
        "estimated": Estimated(question_kind="orchard", relevance_permille=(1, 900, 100, 800, 2, 3)),
        "kept": Kept(tokens=300),
        "allocated": Allocated(
            policy="gain", budget_tokens=99, grants=[GrantLine(node="0.0.1", title="orchard", tokens=20)]
        ),
        "back": HandedBack(node="0.1", tokens=3, why="orchard was enough"),
        "refine": Reserved(call=2, stage="refine", node="0.0.1", prompt="orchard page", **call),
        "refined": Settled(call=2, usage=Usage(input_tokens=150, calls=1), error=failed, seconds=0.25),
        "retried": Retried(call=2, attempt=2, wait_s=2.0),
        "again": Reserved(call=3, stage="refine", node="0.0.1", prompt="orchard page", **call),
        "then": Settled(call=3, usage=usage, overdraft_tokens=7, reply="orchard quote", seconds=0.5),
        "unsent": Reserved(call=4, stage="refine", node="0.1.0", prompt="orchard", **call),
        "given": Released(call=4),
        "recalled": Recalled(stage="refine", node="0.1", usage=usage, model=model, prompt="orchard", reply="orchard"),
        "read": Read(node="0.0.1", source="orchard.pdf", start=20, end=40, page=2, tokens=20, relevance=0.8),
        "missed": Missed(what="the orchard's yield", round=1),
        "noted": Noted(what="The orchard's table was cut."),
        "answered": Answered(
            text="Apples grew in the orchard.",
            confidence=0.7,
            citations=[{"quote": "orchard apples", "source": "orchard.pdf", "start": 20, "end": 30, "page": 2}],
        ),
        "finished": Finished(usage=usage, remaining_tokens=500, overdraft_tokens=7),
        **changes,
    }
    return Trace(tuple(event for event in events.values() if event is not None))


def children(spans, parent: Span) -> list[Span]:
    return [span for span in spans if span.parent == parent.id]


def chats(spans) -> list[Span]:
    return [span for span in spans if span.name.startswith("chat ")]


# -- what spans say ----------------------------------------------------------------------------------------------------


def test_spans_nest_as_the_tree_does_and_calls_hang_where_they_belong():
    root, *rest = spans = spans_of(story())
    assert (root.name, root.parent, root.status) == ("hierarchy.ask", "", "unset")
    route, *branches = sorted(children(spans, root), key=lambda span: not span.name.startswith("chat "))
    assert route.attributes["hierarchy.stage"] == "route"
    assert [(span.name, span.attributes["hierarchy.node"]) for span in branches] == [
        ("hierarchy.section", "0.0"),
        ("hierarchy.section", "0.1"),
    ]
    (leaf,) = children(spans, branches[0])
    assert (leaf.name, leaf.attributes["hierarchy.node"]) == ("hierarchy.sentence", "0.0.1")
    refined = children(spans, leaf)
    assert [span.attributes["hierarchy.stage"] for span in refined] == ["refine", "refine"]
    (recalled,) = children(spans, branches[1])
    assert recalled.attributes["hierarchy.cached"] is True
    assert len(rest) == 7
    assert "0.1.0" not in {span.attributes.get("hierarchy.node") for span in spans}, "That call was never sent."


def test_calls_are_told_by_the_conventions_for_generative_ai():
    route, failed, again, recalled = chats(spans_of(story()))
    assert (route.name, route.kind) == ("chat claude-sonnet-4-5", "client")
    told = route.attributes
    assert {name: value for name, value in told.items() if name.startswith("gen_ai.")} == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.request.max_tokens": 50,
        "gen_ai.usage.input_tokens": 90,
        "gen_ai.usage.output_tokens": 10,
    }
    assert (told["hierarchy.reserved_tokens"], told["hierarchy.cost_usd"], told["hierarchy.cached"]) == (
        150,
        0.002,
        False,
    )
    assert (failed.status, failed.attributes["error.type"], failed.message) == ("error", "529", "529")
    assert (again.status, again.attributes["hierarchy.overdraft_tokens"]) == ("unset", 7)
    assert "error.type" not in again.attributes
    assert recalled.kind == "internal"
    assert "gen_ai.usage.input_tokens" not in recalled.attributes, "What was paid for before isn't paid for again."
    assert recalled.attributes["hierarchy.recalled.input_tokens"] == 90


@pytest.mark.parametrize(
    ("model", "provider", "name"),
    [
        ("gpt-4o-mini", "openai", "gpt-4o-mini"),
        ("o3", "openai", "o3"),
        ("claude-opus-4", "anthropic", "claude-opus-4"),
        ("bedrock/anthropic.claude-3", "aws.bedrock", "anthropic.claude-3"),
        ("gemini/gemini-2.5-pro", "gcp.gemini", "gemini-2.5-pro"),
        ("openrouter/meta/llama-4", "openrouter", "meta/llama-4"),
        ("extractive", "hierarchy", "extractive"),
        ("mine", "unknown", "mine"),
        ("", "unknown", "unknown"),
        ("odd/", "odd", "unknown"),
    ],
)
def test_providers_are_called_what_the_conventions_call_them(model, provider, name):
    (span,) = chats(spans_of(story(route=replace(story().of(Reserved)[0], model=model))))[:1]
    assert (span.attributes["gen_ai.provider.name"], span.attributes["gen_ai.request.model"]) == (provider, name)
    assert span.attributes["hierarchy.model"] == model
    assert span.kind == ("internal" if model == "extractive" else "client")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("a/b answered with status 429: slow down", "429"),
        ("a/b didn't answer within 60 s.", "timeout"),
        ("a/b: its provider can't be reached.", "unreachable"),
        ("a/b: no connection to http://localhost:1.", "unreachable"),
        ("a/b: the connection to its provider broke off: reset", "connection_broken"),
        ("a/b needs a key, and none is set.", "no_key"),
        ("interrupted", "interrupted"),
        ("something else entirely", "_OTHER"),
    ],
)
def test_failures_are_told_by_their_kind_alone(message, kind):
    """The message may quote the prompt, or a key."""
    refined = Settled(call=2, usage=Usage(calls=1), error=message)
    failed = chats(spans_of(story(refined=refined)))[1]
    assert (failed.attributes["error.type"], failed.message, failed.status) == (kind, kind, "error")
    assert chats(spans_of(story(refined=refined), content=True))[1].message == message


def test_the_root_tells_budget_usage_plan_and_how_sure_the_answer_is():
    told = spans_of(story())[0].attributes
    assert told["hierarchy.budget.total_tokens"] == 4_000
    assert told["hierarchy.budget.max_calls"] == 9
    assert "hierarchy.budget.max_cost_usd" not in told
    assert told["hierarchy.usage.total_tokens"] == story().usage().total_tokens == 350
    assert told["hierarchy.stage.refine.total_tokens"] == 250
    assert told["hierarchy.plan.way"] == "staged"
    assert (told["hierarchy.answer.confidence"], told["hierarchy.answer.abstained"]) == (0.7, False)
    assert (told["hierarchy.remaining_tokens"], told["hierarchy.complete"]) == (500, True)
    assert told["hierarchy.strategy.policy"] == "expected_gain"


def test_branches_tell_relevance_grants_and_reads():
    leaf = next(span for span in spans_of(story()) if span.attributes.get("hierarchy.node") == "0.0.1")
    told = {name.removeprefix("hierarchy."): value for name, value in leaf.attributes.items()}
    assert told == {
        "node": "0.0.1",
        "kind": "sentence",
        "tokens": 20,
        "page": 2,
        "relevance": 0.8,
        "granted_tokens": 20,
        "read_tokens": 20,
        "reads": 1,
        "synthetic_times": True,
    }


def test_what_is_no_span_is_an_event_of_the_root():
    names = [moment.name.removeprefix("hierarchy.") for moment in spans_of(story())[0].events]
    assert names == [
        "planned", "searched", "kept", "allocated", "handed_back", "retried", "call.given_up", "missed", "noted",
    ]  # fmt: skip


def test_time_is_laid_out_one_after_another_and_ends_when_told():
    """As long as calls took where somebody measured, and a moment where nobody did; waits count."""
    spans = spans_of(story(), ended_at=1_700_000_000.0)
    root, calls = spans[0], chats(spans)
    assert root.end_ns == 1_700_000_000 * 10**9
    assert [span.end_ns - span.start_ns for span in calls] == [1_500_000_000, 250_000_000, 500_000_000, 1_000]
    assert calls[2].start_ns - calls[1].end_ns == 2_000_000_000
    assert [span.attributes["hierarchy.measured"] for span in calls] == [True, True, True, False]
    assert all(span.attributes["hierarchy.synthetic_times"] is True for span in spans)
    assert spans_of(story())[0].start_ns == 0


def test_a_trace_that_was_cut_off_says_so():
    held = story().events[:5]
    root, call = spans_of(Trace(held))
    assert (root.status, root.attributes["hierarchy.complete"]) == ("error", False)
    assert (call.status, call.attributes["error.type"]) == ("error", "unfinished")
    assert "gen_ai.usage.input_tokens" not in call.attributes
    (empty,) = spans_of(Trace())
    assert empty.end_ns > empty.start_ns


def test_a_trace_of_version_1_has_branches_as_well():
    """It has no map of the tree: a branch is a child of the root."""
    spans = spans_of(story(mapped=None, estimated=None))
    branches = {span.attributes["hierarchy.node"]: span for span in spans if span.name == "hierarchy.branch"}
    assert set(branches) == {"0.0", "0.0.1", "0.1"}
    assert branches["0.0.1"].parent == branches["0.0"].id


def test_no_word_is_told_unless_asked_for():
    assert SECRET not in repr(spans_of(story())).lower()
    assert "f00d" not in repr(spans_of(story())), "A hash of the prompt confirms a guess at it."
    told = repr(spans_of(story(), content=True))
    said = (
        "What grew in the orchard?",
        "Apples grew",
        "orchard quote",
        "orchard page",
        "The orchard",
        "orchard apples",
    )
    assert all(each in told for each in said)


def test_prompts_and_replies_are_messages_where_they_are_asked_for():
    route, failed, *_ = chats(spans_of(story(), content=True))
    asked = json.loads(route.attributes["gen_ai.input.messages"])
    assert asked == [{"role": "user", "parts": [{"type": "text", "content": "orchard?"}]}]
    (reply,) = json.loads(route.attributes["gen_ai.output.messages"])
    assert (reply["role"], reply["parts"][0]["content"]) == ("assistant", "orchard terms")
    assert "gen_ai.output.messages" not in failed.attributes


def test_ids_come_from_the_content():
    one, again, other = spans_of(story()), spans_of(story(), ended_at=5.0), spans_of(story(noted=None))
    assert [(span.trace_id, span.id) for span in one] == [(span.trace_id, span.id) for span in again]
    assert one[0].trace_id != other[0].trace_id
    assert len({span.id for span in one}) == len(one)
    assert all(re.fullmatch("[0-9a-f]{32}", span.trace_id) and re.fullmatch("[0-9a-f]{16}", span.id) for span in one)


nodes = st.sampled_from(["", "0", "0.0", "0.0.1", "0.1", "0.7.7", "x", "0..1", "0.0.1.5"])
happenings = st.lists(
    st.one_of(
        st.builds(Read, node=nodes, source=st.just("a"), start=st.just(0), end=st.just(9), tokens=st.integers(0, 9)),
        st.builds(Retried, call=st.just(1), attempt=st.just(2), wait_s=st.floats(0, 9)),
        st.builds(Recalled, stage=st.just("refine"), node=nodes, usage=st.just(Usage())),
        st.builds(
            Reserved, call=st.integers(0, 4), stage=st.just("x"), node=nodes,
            input_tokens=st.just(1), max_output_tokens=st.just(1), tokens=st.just(2),
        ),
        st.builds(Settled, call=st.integers(0, 4), usage=st.just(Usage(calls=1)), seconds=st.none() | st.floats(0, 9)),
        st.builds(Released, call=st.integers(0, 4), attempted=st.booleans()),
    ),
    max_size=12,
)  # fmt: skip


@given(happenings, st.booleans(), st.booleans())
def test_every_span_lies_within_its_parent_which_stands_before_it(events, mapped, content):
    """Whatever happened, and however odd the nodes' names are."""
    spans = spans_of(Trace((*([MAP] if mapped else []), *events)), ended_at=1e9, content=content)
    seen: dict[str, Span] = {}
    for span in spans:
        assert span.start_ns < span.end_ns
        if span.parent:
            assert seen[span.parent].start_ns <= span.start_ns < span.end_ns <= seen[span.parent].end_ns
        assert span.id not in seen
        seen[span.id] = span
    assert [span.parent for span in spans].count("") == 1


# -- their way to a collector ------------------------------------------------------------------------------------------


@dataclass
class Collector:
    """What a collector was sent, and how it is to behave."""

    url: str = ""
    requests: list[ExportTraceServiceRequest] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    kind: str = "application/x-protobuf"
    body: bytes = b""
    more: dict[str, str] = field(default_factory=dict)
    stall: threading.Event | None = None
    dribble: bool = False

    @property
    def spans(self):
        """By id, as received: a collector that gets a span twice has it once."""
        return {
            span.span_id: span
            for request in self.requests
            for resource in request.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        }


@pytest.fixture
def collector(monkeypatch) -> Iterator[Collector]:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    told = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            told.paths.append(self.path)
            if told.stall:
                told.stall.wait(30)
                return
            told.requests.append(ExportTraceServiceRequest.FromString(body))
            self.send_response(told.statuses.pop(0) if told.statuses else 200)
            self.send_header("content-type", told.kind)
            self.send_header("content-length", str(len(told.body) + 9 * told.dribble))
            for name, value in told.more.items():
                self.send_header(name, value)
            self.end_headers()
            for _ in range(9 * told.dribble):
                self.wfile.write(b".")
                self.wfile.flush()
                time.sleep(0.3)
            self.wfile.write(told.body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # Whoever gave up hung up.
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    told.url = f"http://127.0.0.1:{server.server_port}"
    yield told
    if told.stall:
        told.stall.set()
    server.shutdown()
    server.server_close()
    thread.join()


def attributes(span) -> dict:
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


def test_a_collector_gets_what_the_spans_say(collector):
    sent = telemetry.export(story(), endpoint=collector.url, ended_at=1_700_000_000.0)
    spans = spans_of(story(), ended_at=1_700_000_000.0)
    assert sent == len(spans) == len(collector.spans)
    for span in spans:
        got = collector.spans[bytes.fromhex(span.id)]
        assert got.trace_id.hex() == span.trace_id
        assert got.parent_span_id.hex() == span.parent
        assert (got.name, got.start_time_unix_nano, got.end_time_unix_nano) == (span.name, span.start_ns, span.end_ns)
        assert attributes(got) == pytest.approx(span.attributes)
        assert [(each.name, each.time_unix_nano) for each in got.events] == [(m.name, m.at_ns) for m in span.events]
        assert got.kind == (3 if span.kind == "client" else 1)
        assert (got.status.code, got.status.message) == ((2, span.message) if span.status == "error" else (0, ""))
    (resource,) = (each.resource for request in collector.requests for each in request.resource_spans)
    assert attributes(resource)["service.name"] == "hierarchy"
    assert collector.paths == ["/v1/traces"]


def test_no_word_leaves_unless_asked_for(collector):
    """Searched for in the bytes that arrived."""
    telemetry.export(story(), endpoint=collector.url)
    assert SECRET.encode() not in b"".join(each.SerializeToString() for each in collector.requests).lower()
    telemetry.export(story(), endpoint=collector.url, content=True)
    assert b"Apples grew in the orchard." in collector.requests[-1].SerializeToString()


def test_exporting_again_adds_nothing(collector):
    count = telemetry.export(story(), endpoint=collector.url)
    assert telemetry.export(story(), endpoint=collector.url) == count == len(collector.spans)
    assert len(collector.requests) == 2


def test_compression_headers_and_names_are_set_as_for_any_exporter(collector, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url + "/base/")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=abc")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "reports")
    telemetry.export(story())
    assert collector.headers[0]["content-encoding"] == "gzip"
    assert collector.headers[0]["x-key"] == "abc"
    assert collector.paths == ["/base/v1/traces"]
    assert attributes(collector.requests[0].resource_spans[0].resource)["service.name"] == "reports"
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", collector.url + "/exactly/here")
    telemetry.export(story(), headers={"x-key": "def"}, service_name="mine")
    assert collector.paths[1:] == ["/exactly/here"]
    assert collector.headers[1]["x-key"] == "def"
    assert attributes(collector.requests[1].resource_spans[0].resource)["service.name"] == "mine"


@pytest.mark.parametrize(
    ("given", "path"),
    [("", "/v1/traces"), ("/", "/v1/traces"), ("/otel", "/otel/v1/traces"), ("/v1/traces", "/v1/traces")],
)
def test_the_path_is_added_where_it_is_missing(collector, given, path):
    telemetry.export(story(), endpoint=collector.url + given)
    assert collector.paths == [path]


def test_nothing_is_sent_unless_somebody_said_where(monkeypatch):
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("It went looking for a collector."))
    with pytest.raises(InputError, match="No collector is named") as caught:
        telemetry.export(story())
    assert "OTEL_EXPORTER_OTLP_ENDPOINT" in caught.value.hint


@pytest.mark.parametrize(
    "url", ["localhost:4318", "ftp://a/b", "http://", "http:///x", "https://a b", "http://a/\x1b[2J"]
)
def test_what_is_no_address_is_refused_before_anything_is_sent(url):
    with pytest.raises(InputError, match="is no collector's address"):
        telemetry.export(story(), endpoint=url)


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (400, Refused, "as they are"),
        (401, Refused, "OTEL_EXPORTER_OTLP_HEADERS"),
        (404, Refused, "/v1/traces"),
        (500, Unavailable, "later"),
        (302, Refused, "that it sends to"),
    ],
)
def test_what_a_collector_turns_away_is_an_error_with_its_reason(collector, status, kind, hint, capfd, caplog):
    collector.statuses, collector.body = [status] * 99, b'{"message": "span without \x1b[31mwings"}'
    collector.kind, collector.more = "application/json", {"location": "http://user:pass@elsewhere/v1/traces?key=1"}
    with pytest.raises(kind) as caught:
        telemetry.export(story(), endpoint=collector.url, timeout_s=2.0)
    assert f"status {status}" in caught.value.message
    assert collector.url in caught.value.message
    assert hint in caught.value.hint
    assert "\x1b" not in caught.value.message
    assert ("wings" in caught.value.message) == (status != 302)
    assert "pass" not in caught.value.message
    assert status == 500 or len(collector.requests) == 1, "It isn't sent again."
    assert capfd.readouterr() == ("", ""), "What is raised isn't logged as well."


def test_a_collector_in_trouble_is_tried_again_but_not_for_long(collector):
    collector.statuses = [503]
    assert telemetry.export(story(), endpoint=collector.url) == len(spans_of(story()))
    assert len(collector.requests) == 2
    collector.statuses = [503] * 99
    began = time.monotonic()
    with pytest.raises(Unavailable, match="status 503"):
        telemetry.export(story(), endpoint=collector.url, timeout_s=1.5)
    assert time.monotonic() - began < 4


def test_a_collector_that_hangs_is_given_up(collector):
    collector.stall = threading.Event()
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"didn't answer within 0\.5 s"):
        telemetry.export(story(), endpoint=collector.url, timeout_s=0.5)
    assert time.monotonic() - began < 3
    assert len(collector.paths) == 1


def test_a_collector_that_dribbles_is_given_up(collector):
    """Each byte comes in time, all of them never do."""
    collector.dribble = True
    began = time.monotonic()
    with pytest.raises(Unavailable, match=r"didn't answer within 0\.5 s"):
        telemetry.export(story(), endpoint=collector.url, timeout_s=0.5)
    assert time.monotonic() - began < 2.5


def test_where_nobody_listens_one_hears_at_once(capfd):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://me:hidden@127.0.0.1:{taken.getsockname()[1]}"
        began = time.monotonic()
        with pytest.raises(Unavailable, match=r"No connection to http://127\.0\.0\.1") as caught:
            telemetry.export(story(), endpoint=url)
    assert time.monotonic() - began < 3
    assert "4318" in caught.value.hint
    assert "hidden" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


def test_spans_left_out_of_a_request_that_was_taken_are_an_error(collector):
    response = ExportTraceServiceResponse()
    response.partial_success.rejected_spans = 3
    response.partial_success.error_message = "too old"
    collector.body = response.SerializeToString()
    with pytest.raises(Refused, match=r"left 3 of 8 spans out: too old"):
        telemetry.export(story(), endpoint=collector.url)
    collector.kind, collector.body = "application/json", b'{"partialSuccess": {"rejectedSpans": "2"}}'
    with pytest.raises(Refused, match="left 2 of 8 spans out"):
        telemetry.export(story(), endpoint=collector.url)


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"null", b"\xff\xff\xff", b'{"partialSuccess": 5}'])
@pytest.mark.parametrize("kind", ["application/json", "application/x-protobuf", "text/plain", ""])
def test_whatever_else_a_collector_says_of_success_it_is_one(collector, body, kind):
    collector.kind, collector.body = kind, body
    assert telemetry.export(story(), endpoint=collector.url) == 8


def test_a_web_page_is_no_collector(collector):
    """The address of a collector's own pages answers everything with 200."""
    collector.kind, collector.body = "text/html; charset=utf-8", b"<html>Hello</html>"
    with pytest.raises(Refused, match="web page"):
        telemetry.export(story(), endpoint=collector.url)


def test_a_header_that_cannot_be_sent_is_not_shown(collector):
    with pytest.raises(InputError) as caught:
        telemetry.export(story(), endpoint=collector.url, headers={"authorization": "Bearer sesame\nopen"})
    assert "sesame" not in str(caught.value)
    collector.statuses, collector.body = [401], b"Bearer sesame is no key of ours"
    with pytest.raises(Refused, match="is no key of ours") as refused:
        telemetry.export(story(), endpoint=collector.url, headers={"authorization": "Bearer sesame"})
    assert "sesame" not in str(refused.value)


def test_odd_text_and_figures_arrive(collector):
    """Lone surrogates, numbers that no protobuf holds."""
    odd = story(
        planned=Planned(way="\ud800", rounds=2**70),
        started=replace(story().of(Started)[0], strategy={"odd \udfff": ("a", 1), "none": None}, question="\ud800?"),
    )
    telemetry.export(odd, endpoint=collector.url, content=True)
    root = next(span for span in collector.spans.values() if not span.parent_span_id)
    assert attributes(root)["hierarchy.plan.rounds"] == str(2**70)
    assert attributes(root)["hierarchy.question"] == "??"


def test_a_real_run_with_a_model_arrives_whole(collector, tmp_path):
    """Routing, a call that fails, and an answer."""

    def reply(request: Request):
        if request.stage == "route":
            return "warfarin\nanticoagulation clinic"
        if request.stage == "refine":
            return Outcome(error=Unavailable("function answered with status 500: oh"), usage=Usage(calls=1))
        return json.dumps({"answer": "", "quotes": [], "missing": "the clinic's letter of 2021"})

    text = "".join(f"# Visit {n}\n\nThe dose of warfarin was {n} mg; see letter {n}.\n\n" for n in range(400))
    (tmp_path / "visits.md").write_text(text, encoding="utf-8")
    reasoner = hierarchy.Reasoner(FunctionModel(reply, name="acme/model"))
    trace = reasoner.ask(tmp_path / "visits.md", "Which dose?", budget=4_000).trace
    telemetry.export(trace, endpoint=collector.url)
    spans = collector.spans
    names = [span.name for span in spans.values()]
    assert names.count("hierarchy.ask") == 1
    made = trace.of(Reserved)
    assert names.count("chat model") == len(made) >= 2
    assert all(span.parent_span_id in spans for span in spans.values() if span.name != "hierarchy.ask")
    tokens = sum(
        attributes(span)["gen_ai.usage.input_tokens"] + attributes(span)["gen_ai.usage.output_tokens"]
        for span in spans.values()
        if span.name == "chat model"
    )
    assert tokens == trace.usage().total_tokens


def test_without_the_extra_it_says_what_to_install():
    """And the spans themselves need nothing."""
    code = """
import sys
sys.modules["opentelemetry"] = None
from hierarchy import telemetry
from hierarchy.errors import Unavailable
from hierarchy.trace import Trace
assert len(telemetry.spans_of(Trace())) == 1
try:
    telemetry.export(Trace(), endpoint="http://127.0.0.1:9")
except Unavailable as error:
    print(error)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert 'pip install ".[otel]"' in ran.stdout


def test_nothing_heavy_is_imported_before_it_is_needed():
    code = """
import sys
from hierarchy.telemetry import export, spans_of
print([name for name in ("opentelemetry", "requests", "google.protobuf") if name in sys.modules])
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
