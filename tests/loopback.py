"""A language model's provider on this machine: real HTTP in OpenAI's format, as friendly or as hostile as it is told.

A test opens it, points a model at `url`, and compares what the client believes with `server.billed`, the bill that the
server keeps by itself: prompt tokens as it counts them and completion tokens as it made them, for each request, also
for replies that never arrived::

    with Loopback(answers("75 mg")) as server:
        model = ProviderModel("openai/some-model", api_base=server.url, api_key="sk-test")
        outcome = model.complete(request)
        assert outcome.usage.total_tokens == server.billed_tokens

What it does is a *script*: one `Behaviour` for all requests; a list, one after the other and the last for good; or a
function of the request (`Received`) that returns a `Behaviour` or the reply's text, called in the request's own thread.
`BEHAVIOURS` names one for each kind of trouble, so that a test can be run over all of them.

It also runs as a process of its own, from the root of the repository, for tests that kill their client::

    python -m tests.loopback --port 0 --script slow,drop-stream,honest --log bills.jsonl

It prints `http://127.0.0.1:PORT/v1` and a line feed once it listens. The log has a line of JSON for each request as it
came (`"event": "received"`) and for each bill (`"event": "billed"`), written before the client can know.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import re
import select
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal, Self

from hierarchy.models.local import cut_to
from hierarchy.tokens import count_tokens

__all__ = [
    "BEHAVIOURS",
    "Behaviour",
    "Bill",
    "Loopback",
    "Received",
    "Script",
    "answers",
    "answers_as_asked",
    "fails",
    "invents_quotes",
    "names_wrong_sources",
    "obeys_the_document",
    "soon",
]

HOST = "127.0.0.1"
# What a server told to go on forever stops at all the same, so that a test that goes wrong ends.
_FOREVER_S = 60.0
_LEFT_CHECK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """A request as it came.

    Attributes:
        number: From 1, in the order in which requests came.
        path: `/v1/chat/completions` and the like.
        headers: With names in lower case.
        body: The JSON that was sent; empty if it was none.
    """

    number: int
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]

    @property
    def prompt(self) -> str:
        """The text of all messages."""
        return "\n".join(_content(message) for message in self.body.get("messages", ()))

    @property
    def streamed(self) -> bool:
        """Whether the reply is wanted as a stream."""
        return bool(self.body.get("stream"))

    @property
    def wants_usage(self) -> bool:
        """Whether a stream is to end with its usage."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def max_tokens(self) -> int | None:
        """The cap on the reply, in whichever words; the lower one if there are two, None if there is none."""
        caps = [self.body.get(name) for name in ("max_tokens", "max_completion_tokens")]
        return min((cap for cap in caps if isinstance(cap, int)), default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What the server charges for one request, whatever it tells the client.

    Attributes:
        number: That of the request.
        prompt_tokens: As the server counts them, `count_factor` included.
        completion_tokens: All that were made: reasoning, and what was sent or would have been.
        arrived: Whether the client was sent all of the reply.
        status: Of the response.
    """

    number: int
    prompt_tokens: int
    completion_tokens: int
    arrived: bool = True
    status: int = 200

    @property
    def total_tokens(self) -> int:
        """What the client owes."""
        return self.prompt_tokens + self.completion_tokens


Text = str | Callable[[Received], str]
Usage = Literal["honest"] | None | Mapping[str, Any] | Callable[[Mapping[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """What the server does with one request. By default it answers honestly, at once, within the cap.

    Attributes:
        text: The reply, or a function of the request that makes it.
        reasoning: Sent as `reasoning_content` before the text and billed as output; it counts against the cap first.
        finish_reason: Said at the end; by default `stop`, or `length` if the cap cut the reply.
        obeys: Whether the reply is cut at the cap.
        forever: Repeat the text until the cap, or without one (or if it doesn't obey) until the client leaves.
        delay_s: Time before the first byte.
        chunk_delay_s: Time before each piece of a stream, of some words.
        usage: What is reported: the honest bill; nothing; these values; or a function of the honest report.
        count_factor: By how much the server counts prompts higher than tiktoken's cl100k_base.
        status: Of the response; from 400 on, `error` and `code` are its body, in OpenAI's form.
        error: What went wrong, in words.
        code: OpenAI's code for it.
        headers: Further headers of the response, such as `Retry-After`.
        drop: Where the connection breaks off: before the status line; in the middle of what follows the headers; or
            after the last piece, before the end of a stream.
        reset: Break off with a TCP reset rather than a plain end.
        raw: The response's body instead of a proper one, as it is.
        bills: What a failure or break is charged: all that the reply would have been, the prompt alone, or nothing. By
            default nothing below 500 and all from there on. A broken stream is charged what was made of it.
    """

    text: Text = ""
    reasoning: str = ""
    finish_reason: str | None = None
    obeys: bool = True
    forever: bool = False
    delay_s: float = 0.0
    chunk_delay_s: float = 0.0
    usage: Usage = "honest"
    count_factor: float = 1.0
    status: int = 200
    error: str = ""
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    drop: Literal["", "before", "within", "end"] = ""
    reset: bool = False
    raw: bytes | None = None
    bills: Literal["", "all", "prompt", "nothing"] = ""


Script = Behaviour | Sequence[Behaviour] | Callable[[Received], Behaviour | str]


def soon(happens: Callable[[], bool], timeout_s: float = 5.0) -> bool:
    """Wait until something happens in other threads, and tell whether it did."""
    until = time.monotonic() + timeout_s
    while not happens() and time.monotonic() < until:
        time.sleep(0.01)
    return happens()


def answers(text: Text, **others: Any) -> Behaviour:
    """A behaviour that replies with a text, or with a function of the request."""
    return Behaviour(text=text, **others)


def fails(status: int, error: str = "", *, code: str | None = None, retry_after: str | None = None) -> Behaviour:
    """A behaviour that turns the request away with a status, and a Retry-After if one is given."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Behaviour(status=status, error=error or f"Failed with {status}.", code=code, headers=headers)


# Replies in the form that a prompt asks for.

_PASSAGE = re.compile(r"^<(\d+)>(.*?)(?=^<\d+>|^</passages>|\Z)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'"(\w+)"\s*:')
_QUESTION = re.compile(r"^Question: (.*)$", re.MULTILINE)
_PLANTED = re.compile(r"(?:reply|answer|say|respond)(?: only)?(?: with)? ['\"“]([^'\"”\n]+)['\"”]", re.IGNORECASE)


def answers_as_asked(received: Received) -> str:
    """A well-behaved reply: JSON with the fields that the prompt's last line names, quoting the line that fits best."""
    number, line = _best_line(received.prompt)
    return _as_asked(received.prompt, number=number, quote=line, answer=line)


def names_wrong_sources(received: Received) -> str:
    """As `answers_as_asked`, from a passage that there isn't."""
    _, line = _best_line(received.prompt)
    return _as_asked(received.prompt, number=987, quote=line, answer=line)


def invents_quotes(received: Received) -> str:
    """As `answers_as_asked`, with a quote and a number that stand nowhere."""
    number, _ = _best_line(received.prompt)
    invented = "The board confirmed that the amount was 123,456,789 in all."
    return _as_asked(received.prompt, number=number, quote=invented, answer="It was 123,456,789.")


def obeys_the_document(received: Received) -> str:
    """Says what an instruction in the prompt demands ("reply with 'X'"), the last one if there are several."""
    planted = _PLANTED.findall(received.prompt)
    return planted[-1] if planted else answers_as_asked(received)


def _best_line(prompt: str) -> tuple[int, str]:
    asked = _QUESTION.search(prompt)
    words = set(re.findall(r"\w{3,}", asked[1].lower())) if asked else set()
    lines = [
        (int(passage[1]), line.strip())
        for passage in _PASSAGE.finditer(prompt)
        for line in passage[2].splitlines()[1:]
        if line.strip()
    ]
    return max(lines, key=lambda line: len(words & set(re.findall(r"\w{3,}", line[1].lower()))), default=(1, ""))


def _as_asked(prompt: str, *, number: int, quote: str, answer: str) -> str:
    form = prompt.rsplit("Reply with JSON", 1)[-1]
    quotes = [{"source": number, "text": quote}] if quote else []
    values: dict[str, Any] = {"answer": answer, "quotes": quotes, "missing": "" if quote else "the passage asked for"}
    lists = {"terms": ["total"], "needs": [], "questions": [], "kind": "lookup", "summary": "A summary."}
    fields = [name for name in dict.fromkeys(_FIELD.findall(form)) if name in values or name in lists]
    return json.dumps({name: values.get(name, lists.get(name)) for name in fields or ["answer", "quotes", "missing"]})


_CONTEXT = (
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens. "
    "Please reduce the length of the messages."
)

BEHAVIOURS: Mapping[str, Behaviour] = {
    "honest": answers(answers_as_asked),
    "slow": answers(answers_as_asked, delay_s=0.2),
    "slow-stream": answers(answers_as_asked, chunk_delay_s=0.02),
    "429": fails(429, "Rate limit reached for requests.", code="rate_limit_exceeded"),
    "429-retry-after": fails(429, "Rate limit reached.", code="rate_limit_exceeded", retry_after="1"),
    "quota": fails(429, "You exceeded your current quota, please check your plan.", code="insufficient_quota"),
    "500": fails(500, "The server had an error while processing your request."),
    "503": fails(503, "The server is overloaded.", retry_after="0.05"),
    "401": fails(401, "Incorrect API key provided.", code="invalid_api_key"),
    "404": fails(404, "The model does not exist or you do not have access to it.", code="model_not_found"),
    "context": fails(400, _CONTEXT, code="context_length_exceeded"),
    "drop-before": answers(answers_as_asked, drop="before"),
    "drop-body": answers(answers_as_asked, drop="within"),
    "drop-stream": answers(answers_as_asked, drop="within", chunk_delay_s=0.005),
    "drop-end": answers(answers_as_asked, drop="end"),
    "reset": answers(answers_as_asked, drop="within", reset=True),
    "no-usage": answers(answers_as_asked, usage=None),
    "usage-low": answers(answers_as_asked, usage={"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}),
    "usage-high": answers(
        answers_as_asked, usage={"prompt_tokens": 10**6, "completion_tokens": 10**6, "total_tokens": 2 * 10**6}
    ),
    "usage-negative": answers(
        answers_as_asked, usage={"prompt_tokens": -50, "completion_tokens": -7, "total_tokens": -57}
    ),
    "usage-strings": answers(
        answers_as_asked, usage={"prompt_tokens": "many", "completion_tokens": "12", "total_tokens": None}
    ),
    "counts-30%-higher": answers(answers_as_asked, count_factor=1.3),
    "ignores-the-cap": answers("word " * 400, obeys=False),
    "only-reasoning": Behaviour(reasoning="Let me think about this. " * 400),
    "empty": answers(""),
    "cut-json": answers('{"answer": "It was 1,577", "quotes": [{"source": 1, "te'),
    "no-json": answers("I would say that it was about 1.6 billion."),
    "bad-body": Behaviour(raw=b'{"id": "x", "choices": [{"index": 0, "message": {"role": "assist'),
    "html-body": Behaviour(raw=b"<html><body>502 Bad Gateway</body></html>", headers={"Content-Type": "text/html"}),
    "empty-body": Behaviour(raw=b""),
    "wrong-sources": answers(names_wrong_sources),
    "invented-quotes": answers(invents_quotes),
    "obeys-the-document": answers(obeys_the_document),
    "forever": answers("and so on ", forever=True),
    "forever-disobeying": answers("and so on ", forever=True, obeys=False, chunk_delay_s=0.001),
    "filtered": Behaviour(finish_reason="content_filter"),
}
"""One behaviour for each kind of trouble, by name."""


@dataclass(slots=True, kw_only=True)
class _Reply:
    """What was made for a request: the pieces, and what the server counts for them."""

    text: str
    reasoning: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int


class Loopback:
    """The server; open it in a `with` block, or `start` and `close` it.

    Args:
        script: What it does; can be replaced at any time (`server.script = …`), which begins a list anew.
        port: 0 for any that is free.
        log: A file that each request and bill is appended to, as JSON Lines.
    """

    def __init__(self, script: Script = BEHAVIOURS["honest"], *, port: int = 0, log: Path | None = None) -> None:
        self.received: list[Received] = []
        self.billed: list[Bill] = []
        self.left = 0  # how many clients went before their reply was whole
        self._lock = threading.Condition()
        self._answering = 0
        self._connections: set[socket.socket] = set()
        self._log = log.open("a", encoding="utf-8") if log else None
        self.script = script
        self._http = _Server((HOST, port), _Handler)
        self._http.loopback = self
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True, name="loopback")

    @property
    def url(self) -> str:
        """What a client takes as its API base."""
        return f"http://{HOST}:{self._http.server_address[1]}/v1"

    @property
    def script(self) -> Script:
        """What it does."""
        return self._script

    @script.setter
    def script(self, script: Script) -> None:
        self._script = script
        self._step = 0

    @property
    def billed_tokens(self) -> int:
        """What clients owe in all."""
        return sum(bill.total_tokens for bill in self.billed)

    @property
    def connections(self) -> int:
        """How many clients are connected, idle ones included."""
        return len(self._connections)

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop, and break off what is still open."""
        self._http.shutdown()
        self._http.server_close()
        for connection in tuple(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self.wait_idle(2)
        if self._log:
            self._log.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    def clear(self) -> None:
        """Forget what was received and billed so far."""
        with self._lock:
            self.received, self.billed, self.left = [], [], 0

    def wait_idle(self, timeout_s: float = 5.0) -> bool:
        """Wait until no request is being answered, so that all bills are written."""
        with self._lock:
            return self._lock.wait_for(lambda: self._answering == 0, timeout_s)

    def wait_closed(self, timeout_s: float = 5.0) -> bool:
        """Wait until no client is connected."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._connections, timeout_s)

    # What the handler's threads call.

    def begin(self, path: str, headers: Mapping[str, str], body: Mapping[str, Any]) -> tuple[Received, Behaviour]:
        with self._lock:
            self._answering += 1
            received = Received(number=len(self.received) + 1, path=path, headers=headers, body=body)
            self.received.append(received)
            script = self._script
            if isinstance(script, Sequence):
                script = script[min(self._step, len(script) - 1)]
                self._step += 1
        self._write("received", number=received.number, path=path, max_tokens=received.max_tokens, body=body)
        behaviour = script if isinstance(script, Behaviour) else script(received)
        return received, answers(behaviour) if isinstance(behaviour, str) else behaviour

    def bill(self, bill: Bill) -> None:
        if bill.total_tokens:
            self._write("billed", **asdict(bill))
            self.billed.append(bill)

    def end(self, *, left: bool) -> None:
        with self._lock:
            self._answering -= 1
            self.left += left
            self._lock.notify_all()

    def connected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def disconnected(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)
            self._lock.notify_all()

    def _write(self, event: str, **values: Any) -> None:
        if self._log:
            with self._lock:
                self._log.write(json.dumps({"event": event, **values}) + "\n")
                self._log.flush()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256
    loopback: Loopback

    def shutdown_request(self, request: Any) -> None:
        """Only what is closed here too counts as disconnected."""
        super().shutdown_request(request)
        self.loopback.disconnected(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients leave; that is no news. Anything else is a mistake in the script."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Left(OSError):
    """The client went away."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.loopback.connected(self.connection)

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        self._send(200, json.dumps({"object": "list", "data": []}).encode())

    def do_POST(self) -> None:
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        try:
            body = json.loads(data)
        except ValueError:
            body = {}
        headers = {name.lower(): value for name, value in self.headers.items()}
        received, behaviour = self.server.loopback.begin(self.path, headers, body)
        left = False
        try:
            self._answer(received, behaviour)
        except OSError as error:
            left = not isinstance(error, ConnectionAbortedError)
            self.close_connection = True
        finally:
            self.server.loopback.end(left=left)

    def _answer(self, received: Received, behaviour: Behaviour) -> None:
        if behaviour.status >= 400 or behaviour.raw is not None:
            self._fail(received, behaviour)
        elif behaviour.forever and (received.max_tokens is None or not behaviour.obeys):
            self._go_on(received, behaviour)
        elif received.streamed:
            self._stream(received, behaviour, _made(received, behaviour))
        else:
            self._whole(received, behaviour, _made(received, behaviour))

    def _fail(self, received: Received, behaviour: Behaviour) -> None:
        made = _made(received, behaviour)
        kept = behaviour.bills or ("all" if behaviour.status >= 500 or behaviour.status < 400 else "nothing")
        self._bill(
            received,
            made.prompt_tokens if kept != "nothing" else 0,
            made.completion_tokens if kept == "all" else 0,
            arrived=False,
            status=behaviour.status,
        )
        self._wait(behaviour.delay_s)
        error = {"message": behaviour.error, "type": "error", "param": None, "code": behaviour.code}
        body = json.dumps({"error": error}).encode() if behaviour.raw is None else behaviour.raw
        self._send(behaviour.status, body, behaviour.headers)

    def _whole(self, received: Received, behaviour: Behaviour, made: _Reply) -> None:
        """A reply in one piece: it was made, so it is charged, whether or not it arrives."""
        kept = behaviour.bills or "all"
        self._bill(
            received,
            made.prompt_tokens if kept != "nothing" else 0,
            made.completion_tokens if kept == "all" else 0,
            arrived=not behaviour.drop,
        )
        self._wait(behaviour.delay_s)
        if behaviour.drop == "before":
            self._break(reset=behaviour.reset)
        message: dict[str, Any] = {"role": "assistant", "content": made.text}
        if made.reasoning:
            message["reasoning_content"] = made.reasoning
        choice = {"index": 0, "message": message, "finish_reason": made.finish_reason}
        body: dict[str, Any] = {**_head(received, "chat.completion"), "choices": [choice]}
        if (usage := _reported(made, behaviour)) is not None:
            body["usage"] = usage
        data = json.dumps(body).encode()
        self._send(200, data, behaviour.headers, only=len(data) // 2 if behaviour.drop else None)
        if behaviour.drop:
            self._break(reset=behaviour.reset)

    def _stream(self, received: Received, behaviour: Behaviour, made: _Reply) -> None:
        """A reply piece by piece: charged for what was made until it ended, broke off or the client left."""
        pieces = [*_pieces(made.reasoning, "reasoning_content"), *_pieces(made.text, "content")]
        sent, broke = 0, bool(behaviour.drop)
        try:
            self._wait(behaviour.delay_s)
            if behaviour.drop == "before":
                self._break(reset=behaviour.reset)
            self._begin_stream(behaviour.headers)
            self._chunk(received, {"role": "assistant", "content": ""})
            stop = math.ceil(len(pieces) / 2) if behaviour.drop == "within" else len(pieces)
            for name, piece in pieces[:stop]:
                self._wait(behaviour.chunk_delay_s)
                self._chunk(received, {name: piece})
                sent += 1
            if behaviour.drop:
                self._break(reset=behaviour.reset)
            self._chunk(received, {}, finish_reason=made.finish_reason)
            usage = _reported(made, behaviour)
            if received.wants_usage and usage is not None:
                self._event({**_head(received, "chat.completion.chunk"), "choices": [], "usage": usage})
        except OSError:
            broke = True
            raise
        finally:
            whole = sent == len(pieces)
            spent = made.completion_tokens if whole else count_tokens("".join(piece for _, piece in pieces[:sent]))
            self._bill(received, made.prompt_tokens, spent, arrived=not broke)
            if not broke:
                self._write_chunk(b"data: [DONE]\n\n")
                self.wfile.write(b"0\r\n\r\n")

    def _go_on(self, received: Received, behaviour: Behaviour) -> None:
        """Say the same again and again until the client leaves; charged for all of it."""
        made, times = _made(received, replace(behaviour, forever=False, obeys=False)), 0
        end = time.monotonic() + _FOREVER_S
        try:
            self._wait(behaviour.delay_s)
            self._begin_stream(behaviour.headers, streamed=received.streamed)
            if not received.streamed:
                self._write_chunk(b'{"id": "x", "object": "chat.completion", "choices": [{"message": {"content": "')
            while time.monotonic() < end:
                self._wait(behaviour.chunk_delay_s)
                if received.streamed:
                    self._chunk(received, {"content": made.text})
                else:
                    self._write_chunk(json.dumps(made.text)[1:-1].encode())
                times += 1
        finally:
            self._bill(received, made.prompt_tokens, times * made.completion_tokens, arrived=False)

    def _bill(self, received: Received, prompt: int, completion: int, *, arrived: bool, status: int = 200) -> None:
        self.server.loopback.bill(
            Bill(
                number=received.number,
                prompt_tokens=prompt,
                completion_tokens=completion,
                arrived=arrived,
                status=status,
            )
        )

    def _wait(self, seconds: float) -> None:
        """Sleep, but notice if the client leaves."""
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0:
            readable, _, _ = select.select([self.connection], [], [], min(rest, _LEFT_CHECK_S))
            if readable:
                if not self.connection.recv(1, socket.MSG_PEEK):
                    raise _Left
                time.sleep(min(rest, _LEFT_CHECK_S))

    def _break(self, *, reset: bool) -> None:
        """End the connection without ending the reply."""
        self.wfile.flush()
        if reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            # The reset is sent when the last handle on the socket is closed, the files on it included.
            self.rfile.close()
            self.connection.close()
        else:
            self.connection.shutdown(socket.SHUT_RDWR)
        raise ConnectionAbortedError

    def _send(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None, only: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:only])

    def _begin_stream(self, headers: Mapping[str, str], *, streamed: bool = True) -> None:
        self.send_response(200)
        kind = "text/event-stream" if streamed else "application/json"
        for name, value in {"Content-Type": kind, "Transfer-Encoding": "chunked", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _chunk(self, received: Received, delta: Mapping[str, Any], finish_reason: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        self._event({**_head(received, "chat.completion.chunk"), "choices": [choice]})

    def _event(self, value: Mapping[str, Any]) -> None:
        self._write_chunk(f"data: {json.dumps(value)}\n\n".encode())

    def _write_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))


def _made(received: Received, behaviour: Behaviour) -> _Reply:
    """The reply, cut at the cap if it obeys, and counted."""
    text = behaviour.text if isinstance(behaviour.text, str) else behaviour.text(received)
    reasoning, cap = behaviour.reasoning, received.max_tokens
    if behaviour.forever and cap is not None:
        text *= max(1, math.ceil(cap / max(1, count_tokens(text)))) + 1
    cut = False
    if behaviour.obeys and cap is not None and count_tokens(reasoning) + count_tokens(text) > cap:
        cut = True
        reasoning = cut_to(reasoning, cap, count_tokens)
        text = cut_to(text, cap - count_tokens(reasoning), count_tokens)
    thought = count_tokens(reasoning)
    return _Reply(
        text=text,
        reasoning=reasoning,
        finish_reason=behaviour.finish_reason or ("length" if cut else "stop"),
        prompt_tokens=math.ceil(count_tokens(received.prompt) * behaviour.count_factor),
        completion_tokens=thought + count_tokens(text),
        reasoning_tokens=thought,
    )


def _reported(made: _Reply, behaviour: Behaviour) -> Mapping[str, Any] | None:
    honest: dict[str, Any] = {
        "prompt_tokens": made.prompt_tokens,
        "completion_tokens": made.completion_tokens,
        "total_tokens": made.prompt_tokens + made.completion_tokens,
    }
    if made.reasoning_tokens:
        honest["completion_tokens_details"] = {"reasoning_tokens": made.reasoning_tokens}
    if behaviour.usage == "honest":
        return honest
    return behaviour.usage(honest) if callable(behaviour.usage) else behaviour.usage


def _pieces(text: str, name: str) -> Iterator[tuple[str, str]]:
    """Pieces of a stream: a few words each, which together are the text."""
    for piece in re.findall(r"(?:\s*\S+){1,4}\s*|\s+", text):
        yield name, piece


def _head(received: Received, kind: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{received.number}",
        "object": kind,
        "created": 1_700_000_000,
        "model": received.body.get("model", ""),
    }


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "".join(block.get("text", "") for block in content)


def _script(text: str) -> Script:
    """`name,name,…` of `BEHAVIOURS`, or `module:attribute` for a script in Python."""
    if ":" in text:
        module, attribute = text.split(":", 1)
        script: Script = getattr(importlib.import_module(module), attribute)
        return script
    return [BEHAVIOURS[name] for name in text.split(",")]


def _main() -> None:
    parser = argparse.ArgumentParser(description="A provider on this machine, in OpenAI's format.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--script", type=_script, default="honest", help="names in order, or module:attribute")
    parser.add_argument("--log", type=Path, help="file for requests and bills, as JSON Lines")
    options = parser.parse_args()
    with Loopback(options.script, port=options.port, log=options.log) as server:
        print(server.url, flush=True)
        with suppress(KeyboardInterrupt):
            threading.Event().wait()


if __name__ == "__main__":
    _main()
