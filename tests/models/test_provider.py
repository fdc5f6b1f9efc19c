"""Models behind a provider, over real HTTP: one call is one request, and whatever comes of it is an outcome."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loopback import BEHAVIOURS, Behaviour, Loopback, answers, fails, soon

from hierarchy.calls import Request
from hierarchy.errors import ContextExceeded, InputError, OutputInvalid, Refused, Unavailable
from hierarchy.models import CallsForbidden, Model, ProviderModel, forbid_calls, provider, wire
from hierarchy.models.failures import Caller, failed, redacted
from hierarchy.models.replies import usage_of
from hierarchy.tokens import TiktokenCounter

KEY = "sk-proj-abcdef1234567890abcdef"
REQUEST = Request(stage="compose", prompt='Which dose?\nReply with JSON only: {"answer": ""}', max_output_tokens=40)
WAYS = ("sync", "sync-stream", "async", "async-stream")


@pytest.fixture(scope="module")
def server():
    with Loopback() as server:
        yield server
        assert server.wait_closed(), "a connection was left open"


@pytest.fixture(autouse=True)
def clean(server, monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_BASE", "ANTHROPIC_API_KEY", "HIERARCHY_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    server.clear()
    server.script = BEHAVIOURS["honest"]


@pytest.fixture
def model(server):
    return ProviderModel("some-model", api_base=server.url, api_key=KEY, timeout_s=20)


def ask(model, way="sync", request=REQUEST, on_text=None):
    heard = on_text or (lambda _: None)
    on_text = heard if way.endswith("stream") else None
    if way.startswith("async"):
        return asyncio.run(model.acomplete(request, on_text))
    return model.complete(request, on_text)


def billed_honestly(outcome, server):
    server.wait_idle()
    return outcome.usage is not None and outcome.usage.total_tokens == server.billed_tokens


# What comes of each behaviour: the error, whether and when it may be tried again, whether it certainly cost nothing.
OUTCOMES = {
    "honest": (None, None, False),
    "slow": (None, None, False),
    "slow-stream": (None, None, False),
    "counts-30%-higher": (None, None, False),
    "cut-json": (None, None, False),
    "no-json": (None, None, False),
    "wrong-sources": (None, None, False),
    "invented-quotes": (None, None, False),
    "obeys-the-document": (None, None, False),
    "forever": (None, None, False),
    "429": (Unavailable, 0.0, True),
    "429-retry-after": (Unavailable, 1.0, True),
    "quota": (Refused, None, True),
    "500": (Unavailable, 0.0, False),
    "503": (Unavailable, 0.05, False),
    "401": (Refused, None, True),
    "404": (Unavailable, None, True),
    "context": (ContextExceeded, None, True),
    "drop-before": (Unavailable, 0.0, False),
    "drop-body": (Unavailable, 0.0, False),
    "drop-stream": (Unavailable, 0.0, False),
    "drop-end": (Unavailable, 0.0, False),
    "reset": (Unavailable, 0.0, False),
    "bad-body": (OutputInvalid, 0.0, False),
    "empty-body": (OutputInvalid, 0.0, False),
    "only-reasoning": (OutputInvalid, None, False),
    "empty": (OutputInvalid, None, False),
    "filtered": (Refused, None, False),
}


class TestOutcomes:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("name", OUTCOMES)
    def test_of_each_behaviour(self, server, model, name, way):
        """Sync or not, streamed or not: the same outcome, one request, no connection left, no key in any message."""
        error, retry, unbilled = OUTCOMES[name]
        server.script = BEHAVIOURS[name]
        outcome = ask(model, way)
        assert type(outcome.error) is (error or type(None)), outcome.error
        assert (outcome.retry_after_s, outcome.unbilled) == (retry, unbilled)
        assert bool(outcome.text) == (error is None)
        assert len(server.received) == 1
        assert server.wait_closed()
        if error is None:
            assert billed_honestly(outcome, server)
        else:
            assert "some-model" in outcome.error.message
            assert outcome.error.hint
            assert "\n" not in outcome.error.message
            assert len(outcome.error.message) < 420
            assert KEY not in str(outcome.error)
        if unbilled:
            assert server.billed_tokens == 0

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        ("name", "usage"),
        [("no-usage", None), ("usage-low", (1, 1)), ("usage-high", (10**6, 10**6)), ("usage-negative", (-50, -7))],
    )
    def test_reports_are_passed_on(self, server, model, name, usage, way):
        """A bill comes as it was reported, wrong or not; one that wasn't reported is unknown, not guessed."""
        server.script = BEHAVIOURS[name]
        outcome = ask(model, way)
        assert outcome.text
        assert (outcome.usage and (outcome.usage.input_tokens, outcome.usage.output_tokens)) == usage

    @pytest.mark.parametrize("way", WAYS)
    def test_figures_that_are_none(self, server, model, way):
        """Words for numbers are no bill. A streamed text is there by then; a whole reply can't be read."""
        server.script = BEHAVIOURS["usage-strings"]
        outcome = ask(model, way)
        assert outcome.usage is None
        assert bool(outcome.text) == way.endswith("stream")
        assert outcome.retry_after_s is None

    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_a_web_page(self, server, model, way):
        """HTML says that the address is wrong: no use in asking again, and the hint says where to look."""
        server.script = BEHAVIOURS["html-body"]
        outcome = ask(model, way)
        assert isinstance(outcome.error, OutputInvalid)
        assert outcome.retry_after_s is None
        assert server.url in outcome.error.hint

    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_more_than_the_cap(self, server, model, way):
        """A reply longer than allowed is a reply, with its bill in full: the ledger will call it an overdraft."""
        server.script = BEHAVIOURS["ignores-the-cap"]
        outcome = ask(model, way)
        assert outcome.usage.output_tokens > 400
        assert billed_honestly(outcome, server)

    @pytest.mark.parametrize("way", ["sync-stream", "async-stream"])
    def test_a_stream_without_end_is_left(self, server, model, way):
        """Far beyond its cap a stream is left; what it said is on the bill, so that the overdraft is seen."""
        server.script = BEHAVIOURS["forever-disobeying"]
        outcome = ask(model, way)
        assert outcome.text.startswith("and so on and so on")
        assert outcome.usage.output_tokens > 2 * REQUEST.max_output_tokens
        assert server.wait_closed()
        assert server.left == 1

    @pytest.mark.parametrize("way", ["sync-stream", "async-stream"])
    def test_pieces_come_as_they_are_made(self, server, model, way):
        """Pieces together are the text, and the first is there long before the last."""
        server.script = answers("one two three four " * 6, chunk_delay_s=0.03)
        pieces, moments = [], []

        def heard(piece):
            pieces.append(piece)
            moments.append(time.monotonic())

        outcome = ask(model, way, on_text=heard)
        assert "".join(pieces) == outcome.text
        assert len(pieces) > 3
        assert moments[-1] - moments[0] > 0.06
        assert billed_honestly(outcome, server)

    def test_reasoning_beside_the_completion_counts(self, server, model):
        """Where reasoning is reported apart from the completion, the larger total is the bill."""

        def apart(honest):
            details = {"reasoning_tokens": 900}
            return {**honest, "completion_tokens": 5, "completion_tokens_details": details, "total_tokens": 905}

        server.script = answers("75 mg", usage=apart)
        assert ask(model).usage.output_tokens == 905

    def test_any_text_can_be_asked(self, server, model):
        """A prompt with half a character, as bad files have, is sent all the same."""
        outcome = ask(model, request=Request(stage="compose", prompt="dose \ud800 of ✓", max_output_tokens=9))
        assert outcome.error is None
        assert server.received[0].prompt == "dose ? of ✓"


class TestOnTheWire:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize(
        "name", ["some-model", "openai/gpt-4o", "gpt-5", "openai/o3-mini", "meta-llama/Llama-3-8B"]
    )
    def test_the_cap_is_sent_in_both_words(self, server, name, way):
        """Whatever a model is called, a server behind an API base gets the cap in the word that it understands."""
        ask(ProviderModel(name, api_base=server.url), way)
        body = server.received[0].body
        assert (body["max_tokens"], body["max_completion_tokens"]) == (40, 40)
        assert body["model"] == name.removeprefix("openai/")
        assert "response_format" not in body
        assert body["messages"] == [{"role": "user", "content": REQUEST.prompt}]

    def test_openai_itself_gets_one_word(self):
        """OpenAI refuses two caps at once, and knows the one that includes reasoning for all its chat models."""
        for name in ("openai/gpt-4o", "gpt-5", "openai/o3"):
            arguments = ProviderModel(name)._arguments(REQUEST, streamed=False)
            assert arguments["max_completion_tokens"] == 40
            assert "max_tokens" not in arguments
            assert "extra_body" not in arguments

    @pytest.mark.parametrize(
        ("name", "cap"),
        [
            ("anthropic/claude-sonnet-4-5", ("max_tokens",)),
            ("ollama/llama3", ("options", "num_predict")),
            ("ollama_chat/llama3", ("options", "num_predict")),
            ("gemini/gemini-2.5-pro", ("generationConfig", "max_output_tokens")),
            ("mistral/mistral-large-latest", ("max_tokens",)),
            ("deepseek/deepseek-chat", ("max_tokens",)),
            ("hosted_vllm/some-model", ("max_tokens",)),
            ("openrouter/some/model", ("max_tokens",)),
        ],
    )
    def test_other_providers_get_theirs(self, server, name, cap):
        """Each provider's own word for the cap is on the wire."""
        ask(ProviderModel(name, api_base=server.url, api_key=KEY))
        sent = server.received[0].body
        for word in cap:
            sent = sent[word]
        assert sent == 40

    def test_it_is_steady(self, server, model):
        """Temperature 0 and a seed by default; an option of one's own takes their place."""
        ask(model)
        assert (server.received[0].body["temperature"], server.received[0].body["seed"]) == (0, 0)
        ask(ProviderModel("some-model", api_base=server.url, options={"temperature": 0.7, "top_p": 0.5}))
        assert (server.received[1].body["temperature"], server.received[1].body["top_p"]) == (0.7, 0.5)

    @pytest.mark.parametrize("name", ["gpt-5", "openai/o3"])
    def test_reasoning_models_get_no_temperature(self, server, name):
        """Models that refuse a temperature aren't sent one."""
        ask(ProviderModel(name, api_base=server.url))
        assert "temperature" not in server.received[0].body

    @pytest.mark.parametrize(
        ("word", "status", "message"),
        [
            ("temperature", 400, "Unsupported value: 'temperature' does not support 0. Only the default is supported."),
            ("seed", 422, "body.seed: Extra inputs are not permitted"),
            ("max_tokens", 400, "Unsupported parameter: 'max_tokens' is not supported. Use 'max_completion_tokens'."),
            ("max_tokens", 400, "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported."),
            ("max_completion_tokens", 422, "max_completion_tokens: unknown field"),
        ],
    )
    def test_what_is_refused_is_not_sent_again(self, server, model, word, status, message):
        """A server that refuses an argument may be asked again, once, without it; a cap is always sent."""
        server.script = lambda received: fails(status, message) if word in received.body else answers("75 mg")
        first = ask(model)
        assert isinstance(first.error, Refused)
        assert (first.retry_after_s, first.unbilled, len(server.received)) == (0.0, True, 1)
        assert ask(model).text == "75 mg"
        assert server.received[1].max_tokens == 40
        server.script = fails(status, message)
        assert ask(model).retry_after_s is None

    def test_a_server_that_takes_no_cap_is_not_asked_without(self, server, model):
        """If both words are refused, the last refusal stands."""
        server.script = lambda received: fails(400, f"Unknown parameter: {next(iter(received.body.keys() & CAPS))}")
        outcomes = [ask(model) for _ in range(3)]
        assert [outcome.retry_after_s for outcome in outcomes] == [0.0, None, None]
        assert all(received.max_tokens == 40 for received in server.received)

    @pytest.mark.parametrize("name", ["anthropic/claude-sonnet-4-5", "ollama/llama3", "hosted_vllm/some-model"])
    @pytest.mark.parametrize("script", [{"drop": "before"}, {"drop": "before", "reset": True}, {"drop": "within"}])
    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_a_broken_call_is_not_made_twice(self, server, name, script, way):
        """Also where litellm by itself would send a request again when its connection breaks."""
        server.script = answers("75 mg", **script)
        outcome = ask(ProviderModel(name, api_base=server.url, api_key=KEY), way)
        assert isinstance(outcome.error, Unavailable)
        assert (outcome.retry_after_s, outcome.unbilled) == (0.0, False)
        assert len(server.received) == 1
        assert server.wait_closed()

    def test_another_provider_s_words_are_read(self, server):
        """A reply in Anthropic's form: its text, its bill, and its price from the map."""
        usage = {"input_tokens": 1_000, "output_tokens": 100, "cache_read_input_tokens": 500}
        content = [{"type": "text", "text": "75 "}, {"type": "text", "text": "mg"}]
        message = {"id": "1", "type": "message", "role": "assistant", "content": content, "stop_reason": "end_turn"}
        server.script = Behaviour(raw=json.dumps({**message, "model": "claude", "usage": usage}).encode())
        model = ProviderModel("anthropic/claude-sonnet-4-5", api_base=server.url, api_key=KEY)
        outcome = ask(model)
        assert outcome.text == "75 mg"
        assert (outcome.usage.input_tokens, outcome.usage.output_tokens) == (1_500, 100)
        assert outcome.usage.cost_usd == pytest.approx(1_000 * 3e-6 + 500 * 3e-7 + 100 * 1.5e-5)
        assert "temperature" in server.received[0].body
        assert "seed" not in server.received[0].body


CAPS = {"max_tokens", "max_completion_tokens"}


class TestFailures:
    @pytest.mark.parametrize(
        ("given", "least", "most"),
        [
            ("7", 7, 7),
            ("0.25", 0.25, 0.25),
            (format_datetime(datetime.now(UTC) + timedelta(hours=1), usegmt=True), 3_000, 3_600),
            (format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True), 0, 0),
            ("-3", 0, 0),
            ("soon", 0, 0),
            ("nan", 0, 0),
            ("inf", 0, 0),
        ],
    )
    def test_retry_after(self, server, model, given, least, most):
        """Seconds or a date; nonsense and the past mean at once."""
        server.script = fails(429, retry_after=given)
        assert least <= ask(model).retry_after_s <= most

    def test_other_statuses_may_be_tried_again_or_not(self, server, model):
        """Trouble that passes may be tried again, what is wrong with the request may not."""
        again = {}
        for status in (400, 402, 403, 408, 409, 413, 422, 502, 504, 529):
            server.script = fails(status, "It is as it is.")
            again[status] = ask(model).retry_after_s
        assert {status for status, seconds in again.items() if seconds is not None} == {408, 409, 502, 504, 529}

    @pytest.mark.parametrize("way", WAYS)
    def test_no_server(self, way):
        """Nothing listens there: nothing was billed, and the hint asks whether the server is running."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        outcome = ask(ProviderModel("some-model", api_base=base), way)
        assert isinstance(outcome.error, Unavailable)
        assert outcome.error.hint == f"Is the server running at {base}?"
        assert (outcome.retry_after_s, outcome.unbilled) == (0.0, True)

    @pytest.mark.parametrize("model", ["ollama/llama3", "ollama_chat/llama3.1"])
    def test_ollama_does_not_run(self, model, monkeypatch):
        """Where nobody gave its address, the one that was tried is named, and how to start it."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            base = f"http://127.0.0.1:{free.getsockname()[1]}"
        monkeypatch.setenv("OLLAMA_API_BASE", base)
        error = ask(ProviderModel(model)).error
        assert isinstance(error, Unavailable)
        assert error.message == f"{model}: no connection to {base}."
        assert "ollama serve" in error.hint
        monkeypatch.delenv("OLLAMA_API_BASE")
        refused = failed(Caller(model=model), ConnectionRefusedError(111, "refused"))
        assert "http://localhost:11434" in refused.error.message
        assert "proxy" in failed(Caller(model="mistral/x"), ConnectionRefusedError(111, "refused")).error.hint

    @pytest.mark.parametrize("way", WAYS)
    def test_time_is_over(self, server, way):
        """A reply that doesn't come in time is given up; it may be billed, and the hint names the limit to raise."""
        server.script = answers("75 mg", delay_s=5)
        start = time.monotonic()
        outcome = ask(ProviderModel("some-model", api_base=server.url, timeout_s=0.3), way)
        assert time.monotonic() - start < 2
        assert "0.3 s" in outcome.error.message
        assert "timeout_s" in outcome.error.hint
        assert "--timeout" in outcome.error.hint
        assert (outcome.retry_after_s, outcome.unbilled) == (0.0, False)
        assert server.wait_closed()

    @pytest.mark.parametrize("way", ["sync", "async"])
    def test_importing_litellm_takes_no_time_of_a_call(self, model, way, monkeypatch):
        """The first call is timed as any other: a trace tells how long the provider took."""
        library = wire.litellm()

        @lru_cache(maxsize=1)
        def slow():
            time.sleep(2)
            return library

        monkeypatch.setattr(provider, "litellm", slow)
        outcome = ask(model, way)
        assert outcome.error is None
        assert outcome.seconds < 1.5

    @pytest.mark.parametrize("way", WAYS)
    def test_a_trickle_is_not_in_time(self, server, way):
        """A server that sends a little now and then doesn't keep a call open for good, streamed or not."""
        server.script = Behaviour(text="and so on ", forever=True, obeys=False, chunk_delay_s=0.1)
        start = time.monotonic()
        outcome = ask(ProviderModel("some-model", api_base=server.url, timeout_s=0.4), way)
        assert time.monotonic() - start < 3
        assert isinstance(outcome.error, Unavailable)
        assert "0.4 s" in outcome.error.message
        assert server.wait_closed()

    @pytest.mark.parametrize(
        ("name", "variable"),
        [("openai/gpt-4o", "OPENAI_API_KEY"), ("anthropic/claude-sonnet-4-5", "ANTHROPIC_API_KEY")],
    )
    def test_a_missing_key_names_its_variable(self, name, variable):
        """Without a key nothing is sent, and the remedy is named."""
        outcome = ask(ProviderModel(name))
        assert isinstance(outcome.error, Refused)
        assert variable in outcome.error.hint
        assert (outcome.retry_after_s, outcome.unbilled) == (None, True)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("name", ["some-model", "openai/gpt-4o"])
    def test_a_key_that_is_meant_for_a_server_goes_before_the_users_own(self, server, name, way, monkeypatch):
        """To this machine the OpenAI key may go, as OpenAI's own client would send it."""
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        ask(ProviderModel(name, api_base=server.url), way)
        assert server.received[-1].headers["authorization"] == f"Bearer {KEY}"
        monkeypatch.setenv("HIERARCHY_API_KEY", "for-this-server")
        ask(ProviderModel(name, api_base=server.url), way)
        assert server.received[-1].headers["authorization"] == "Bearer for-this-server"
        ask(ProviderModel(name, api_base=server.url, api_key="given"), way)
        assert server.received[-1].headers["authorization"] == "Bearer given"

    def test_a_server_that_wants_a_key_says_which(self, server, monkeypatch):
        """The remedy names the variable that is read for an address of one's own."""
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        server.script = BEHAVIOURS["401"]
        error = ask(ProviderModel("some-model", api_base=server.url)).error
        assert isinstance(error, Refused)
        assert "HIERARCHY_API_KEY" in error.hint

    @pytest.mark.parametrize(
        ("provider", "base", "sent"),
        [
            ("openai", None, None),
            ("openai", "https://gateway.example/v1", None),
            ("openai", " HTTPS://api.openai.com/v1", None),
            ("openai", "http://gateway.example/v1", "none"),
            ("openai", "http://93.184.216.34/v1", "none"),
            ("openai", "http://10.0.0.7:8000/v1", None),
            ("openai", "http://[::1]:8000/v1", None),
            ("openai", "http://127.0.0.1:8000/v1", None),
            ("openai", "http://localhost:8000/v1", None),
            ("openai", "http://gateway:8000/v1", None),
            ("openai", "localhost:8000/v1", None),
            ("openai", "gateway.example/v1", "none"),
            ("hosted_vllm", "http://localhost:8000/v1", None),
            ("ollama_chat", "http://localhost:11434", None),
        ],
    )
    def test_which_key_is_sent_where(self, provider, base, sent, monkeypatch):
        """None leaves it to the provider's own variable; where it is safe that is what OpenAI's own client does."""
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        assert wire.key_for(provider, base, None) == sent
        assert wire.key_for(provider, base, "given") == "given"
        monkeypatch.setenv("HIERARCHY_API_KEY", "for-this-server")
        assert wire.key_for(provider, base, None) == ("for-this-server" if base else None)
        monkeypatch.delenv("HIERARCHY_API_KEY")
        monkeypatch.delenv("OPENAI_API_KEY")
        assert wire.key_for(provider, base, None) == ("none" if base and provider == "openai" else None)

    def test_keys_never_show(self, server, monkeypatch):
        """A provider that repeats the key it was sent, or another of the environment's, is quoted without it."""
        monkeypatch.setenv("MISTRAL_API_KEY", "not-like-any-other-key")
        server.script = lambda received: fails(401, f"no: {received.headers['authorization']} not-like-any-other-key")
        model = ProviderModel("some-model", api_base=server.url, api_key=KEY)
        error = ask(model).error
        shown = f"{error} {error!r} {model!r} {vars(error)}"
        assert KEY not in shown
        assert "not-like-any-other-key" not in shown
        assert "[key]" in shown

    @pytest.mark.parametrize("way", WAYS)
    def test_headers_never_show(self, server, way):
        """What headers of one's own hold, and a key among the options, isn't quoted either: it would be in traces."""
        server.script = lambda received: fails(
            400, f"no: {received.headers['x-corp']} {received.headers['authorization']}"
        )
        options = {"extra_headers": {"X-Corp": "plain words of ours"}, "api_key": "another-of-ours"}
        shown = str(ask(ProviderModel("some-model", api_base=server.url, options=options), way).error)
        assert "[key]" in shown
        assert "plain words" not in shown
        assert "another-of-ours" not in shown

    def test_keys_in_addresses_never_show(self):
        """An address with a name and password, or a key behind a question mark, is shown without."""
        for base in ("http://me:secret-word@127.0.0.1:9/v1", "http://127.0.0.1:9/v1?api_key=secret-word"):
            model = ProviderModel("some-model", api_base=base)
            shown = f"{ask(model).error} {model!r}"
            assert "127.0.0.1:9" in shown
            assert "secret-word" not in shown

    @pytest.mark.parametrize("way", WAYS)
    def test_litellm_s_own_retries_stay_off(self, server, model, way, monkeypatch):
        """Also if somebody in the same process has set them for all calls."""
        monkeypatch.setattr(wire.litellm(), "num_retries", 3)
        server.script = BEHAVIOURS["500"]
        assert isinstance(ask(model, way).error, Unavailable)
        assert len(server.received) == 1

    def test_chains_are_looked_through(self):
        """litellm's "internal server error 500" is told by what lies beneath: no address, no certificate."""
        for inner, word in (
            (socket.gaierror(-2, "unknown"), "no address"),
            (ssl.SSLCertVerificationError(1, "x"), "secure"),
        ):
            outer = RuntimeError("Connection error.")
            outer.__context__ = inner
            outcome = failed(Caller(model="a/b"), outer)
            assert word in outcome.error.message
            assert outcome.unbilled

    def test_litellm_missing(self, monkeypatch, model):
        """Without litellm the hint says what to install."""
        wire.litellm.cache_clear()
        monkeypatch.setitem(sys.modules, "litellm", None)
        outcome = ask(model)
        wire.litellm.cache_clear()
        assert isinstance(outcome.error, Unavailable)
        assert "pip install litellm" in outcome.error.hint
        assert outcome.unbilled

    def test_nothing_is_printed(self, server, tmp_path):
        """Failures are told by outcomes, not on the terminal, from the first import to the end of the process."""
        server.script = [
            BEHAVIOURS[name] for name in ("honest", "500", "usage-strings", "drop-stream", "bad-body", "401")
        ]
        program = tmp_path / "program.py"
        program.write_text(f"""
import asyncio
from hierarchy.calls import Request
from hierarchy.models import ProviderModel

request = Request(stage="compose", prompt="Which dose?", max_output_tokens=9)
model = ProviderModel("Llama-3-8B", api_base={server.url!r})
for _ in range(6):
    model.complete(request)
    model.complete(request, lambda _: None)
    asyncio.run(model.acomplete(request))
    asyncio.run(model.acomplete(request, lambda _: None))
""")
        result = subprocess.run([sys.executable, program], capture_output=True, text=True, check=True)
        assert (result.stdout, result.stderr) == ("", "")
        assert len(server.received) == 24

    @given(st.text(max_size=60), st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=8, max_size=40))
    def test_redaction(self, text, secret):
        """A key given for a call shows nowhere, whatever stands around it."""
        assert secret not in redacted(f"{text}{secret}{text}", (secret,))

    @given(
        st.dictionaries(
            st.sampled_from(["prompt_tokens", "completion_tokens", "total_tokens"]), st.none() | st.integers()
        )
    )
    def test_any_report(self, report):
        """Whatever is reported is a bill, at least what it says, or none."""
        usage = usage_of(report, lambda *_: None)
        if usage is not None:
            assert usage.input_tokens == report["prompt_tokens"]
            assert usage.output_tokens >= report["completion_tokens"]


class TestMany:
    def test_cancelling_closes_the_connection(self, server, model):
        """A cancelled task leaves no connection open, wherever it was: waiting, or in the middle of a stream."""

        async def cancelled(on_text):
            task = asyncio.create_task(model.acomplete(REQUEST, on_text))
            while not server.received:  # noqa: ASYNC110 - it is another thread's
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        for on_text, script in ((None, {"delay_s": 5}), ((lambda _: None), {"chunk_delay_s": 0.05})):
            server.clear()
            server.script = answers("one two three four five " * 40, **script)
            asyncio.run(cancelled(on_text))
            assert server.wait_closed()
            assert server.wait_idle()
            assert server.left == 1

    def test_at_once(self, server, model):
        """Many tasks and many threads on one model: each gets its own reply, and the bills agree with the server's."""
        server.script = lambda received: received.prompt
        requests = [Request(stage="compose", prompt=f"dose {n}", max_output_tokens=9) for n in range(24)]

        async def together():
            return await asyncio.gather(*(model.acomplete(request) for request in requests))

        outcomes = asyncio.run(together())
        with ThreadPoolExecutor(6) as pool:
            outcomes += pool.map(model.complete, requests)
        assert [outcome.text for outcome in outcomes] == [request.prompt for request in requests] * 2
        server.wait_idle()
        assert sum(outcome.usage.total_tokens for outcome in outcomes) == server.billed_tokens

    def test_nothing_is_left(self, server, model):
        """After calls of all kinds there is no further socket, and no thread but those that litellm logs in."""
        ask(model, "async-stream")
        assert server.wait_closed()
        before, threads = _sockets(), set(threading.enumerate())
        for name in ("honest", "drop-stream", "429"):
            server.script = BEHAVIOURS[name]
            for way in WAYS:
                ask(model, way)
        assert server.wait_closed()
        assert soon(lambda: _sockets() <= before)
        assert soon(lambda: _threads() <= threads)


def _threads():
    return {thread for thread in threading.enumerate() if not thread.name.startswith("litellm-logging")}


def _sockets():
    folder = Path("/proc/self/fd")
    links = list(folder.iterdir()) if folder.exists() else []
    return sum(1 for link in links if link.is_symlink() and "socket" in str(link.readlink()))


class TestNames:
    @pytest.mark.parametrize("name", ["foo", "", "/", "openai/", "meta-llama/Llama-3", "openia/gpt-4o"])
    def test_a_name_needs_a_provider(self, name):
        """A name that nobody could call is refused before anything else, with how names are spelled."""
        with pytest.raises(InputError, match="provider/model"):
            ProviderModel(name)

    def test_close_names_are_listed(self):
        """A slip of the pen is met with what was meant."""
        for slip, meant in (("openia/gpt-4o", "openai/gpt-4o"), ("claude-sonet-4-5", "claude-sonnet-4-5")):
            with pytest.raises(InputError) as caught:
                ProviderModel(slip)
            assert meant in caught.value.hint

    def test_known_names_go_without(self):
        """What litellm knows without a provider is fine; behind an API base OpenAI's form is assumed."""
        assert ProviderModel("gpt-4o").name == "gpt-4o"
        assert ProviderModel("foo", api_base="http://localhost:1/v1").name == "openai/foo"
        assert ProviderModel("ollama/foo", api_base="http://localhost:1").name == "ollama/foo"

    @pytest.mark.parametrize(
        ("name", "encoding", "thinks"),
        [
            ("openai/gpt-4o", "o200k_base", False),
            ("gpt-4.1-mini", "o200k_base", False),
            ("openai/gpt-5", "o200k_base", True),
            ("openai/gpt-5.1", "o200k_base", False),
            ("openai/o3", "o200k_base", True),
            ("gpt-4-turbo", "cl100k_base", False),
            ("anthropic/claude-sonnet-4-5", "cl100k_base", False),
            ("gemini/gemini-2.5-pro", "cl100k_base", True),
            ("deepseek/deepseek-reasoner", "cl100k_base", True),
            ("ollama/qwq", "cl100k_base", True),
            ("ollama/llama3", "cl100k_base", False),
        ],
    )
    def test_families(self, name, encoding, thinks):
        """The vocabulary is the family's, and room is left for thinking where a model thinks unasked."""
        model = ProviderModel(name)
        assert isinstance(model, Model)
        assert isinstance(model.count, TiktokenCounter)
        assert model.count.encoding == encoding
        assert model.reasoning_tokens == (2_000 if thinks else 0)

    def test_thinking_on_request(self):
        """Options can ask for it or forbid it, and an argument says how much."""
        assert (
            ProviderModel("anthropic/claude-sonnet-4-5", options={"reasoning_effort": "low"}).reasoning_tokens == 2_000
        )
        assert ProviderModel("openai/gpt-5", options={"reasoning_effort": "none"}).reasoning_tokens == 0
        assert ProviderModel("openai/gpt-5", reasoning_tokens=500).reasoning_tokens == 500

    def test_margins(self, monkeypatch):
        """Small where tiktoken is the model's own tokenizer and OpenAI counts; else what others may count more."""
        own = ProviderModel("openai/gpt-4o").margin
        assert 1 < own < 1.2
        # The message around the shortest prompt that is sent, of some sixty tokens, costs seven.
        assert 60 * own >= 67
        for name, base in (("openai/gpt-4o", "http://x/v1"), ("anthropic/claude-sonnet-4-5", None), ("ollama/x", None)):
            assert ProviderModel(name, api_base=base).margin == 1.35
        assert ProviderModel("openai/gpt-4o", api_base="https://api.openai.com/v1").margin == own
        monkeypatch.setenv("OPENAI_BASE_URL", "http://localhost:1/v1")
        assert ProviderModel("openai/gpt-4o").margin == 1.35

    def test_prices(self):
        """From litellm's map: with the provider or without, dearer for long prompts, free at home, else unknown."""
        assert ProviderModel("openai/gpt-4o").price(1_000_000, 0) == ProviderModel("gpt-4o").price(1_000_000, 0) > 0
        gemini = ProviderModel("gemini/gemini-2.5-pro")
        assert gemini.price(200_001, 0) > 1.9 * gemini.price(200_000, 0)
        assert ProviderModel("ollama/never-heard-of").price(1_000, 100) == 0
        assert ProviderModel("openai/never-heard-of").price(1_000, 100) is None
        assert ProviderModel("azure/never-heard-of").context_tokens is None
        given = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
        assert ProviderModel("openai/never-heard-of", options=given).price(1_000, 100) == pytest.approx(0.0012)

    def test_the_bill_has_a_price(self, server):
        """A reply's cost is that of its tokens; a report that can't be has none."""
        model = ProviderModel("openai/gpt-4o", api_base=server.url)
        usage = ask(model).usage
        assert usage.cost_usd == pytest.approx(model.price(usage.input_tokens, usage.output_tokens))
        server.script = BEHAVIOURS["usage-negative"]
        assert ask(model).usage.cost_usd is None

    def test_the_fuse(self, server, model):
        """Under the fuse nothing is sent, and the mistake is raised, not told as an outcome."""
        for way in WAYS:
            with forbid_calls(), pytest.raises(CallsForbidden):
                ask(model, way)
        assert server.received == []

    def test_names_and_prices_need_no_litellm(self):
        """Neither importing the package nor making a model, nor its price, imports what takes seconds."""
        code = (
            "import sys, hierarchy.models as m; m.ProviderModel('openai/gpt-4o').price(1, 1);"
            "print([n for n in ('litellm', 'openai', 'httpx', 'langchain_core') if n in sys.modules])"
        )
        assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "[]"
