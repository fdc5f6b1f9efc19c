"""`ask --live`: on a terminal, on none, on a dumb one, and interrupted; in processes, as a user runs it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest
from loopback import Loopback, answers, answers_as_asked

import hierarchy
from hierarchy.events import Answered, Finished
from hierarchy.trace import Trace, broken_line

COMMAND = [sys.executable, "-c", "from hierarchy.cli import main; main()"]
REPORT = str(hierarchy.sample("annual_report.pdf"))
QUESTION = "For how much was the Orchard Lane litigation settled?"
ASKED = ["ask", REPORT, QUESTION, "--budget", "4k", "--no-store"]
ERASED = re.compile(rb"\x1b\[2K")
STYLES = re.compile(rb"\x1b\[[\d;]*m")

pty = pytest.importorskip("pty", reason="There are no pseudo-terminals.")


class Terminal:
    """A process on a pseudo-terminal, and all that it wrote, with the times at which it came."""

    def __init__(self, *args, env=None, rows=40, columns=100):
        import fcntl
        import struct
        import termios

        self.written, self.times = b"", []
        mother, child = pty.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        environment = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "LINES", "NO_COLOR")}
        environment |= {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **(env or {})}
        self.process = subprocess.Popen(
            [*COMMAND, *map(str, args)], stdin=child, stdout=child, stderr=child, env=environment
        )
        os.close(child)
        self.terminal = mother

    def read(self, until=None, seconds=60.0):
        """Read until it says something, or to its end."""
        over = time.monotonic() + seconds
        while time.monotonic() < over and not (until and until in self.written):
            if not select.select([self.terminal], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self.terminal, 1 << 16)
            except OSError:  # How Linux says that the other end was closed.
                piece = b""
            if not piece:
                break
            self.written += piece
            self.times.append((time.monotonic(), len(piece)))
        assert until is None or until in self.written, self.written[-2_000:]
        return self.written

    def close(self):
        with contextlib.suppress(OSError):
            os.close(self.terminal)
        self.process.kill()
        self.process.wait()


@pytest.fixture
def terminal():
    opened = []

    def run(*args, **options):
        opened.append(Terminal(*args, **options))
        return opened[-1]

    yield run
    for each in opened:
        each.close()


def test_the_picture_grows_and_gives_way_to_the_answer(terminal, tmp_path):
    """Frames are drawn over one another, wiped at the end, and the usual answer follows; the cursor is shown again."""
    run = terminal(*ASKED, "--live", "--trace", tmp_path / "run.jsonl")
    written = STYLES.sub(b"", run.read())
    assert run.process.wait(30) == 0
    last_frame = written.rfind("✓ answer".encode())
    assert "▸ outline".encode() in written
    assert "◐ in part".encode() in written
    assert 0 < last_frame < written.rfind(b"Not read, most relevant first")
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h") == 1
    # After the last frame all its lines are wiped, and none below the answer is.
    answer = written.find(b"confidence 0.")
    assert ERASED.search(written[last_frame:answer])
    assert not ERASED.search(written[answer:])
    trace = Trace.from_jsonl((tmp_path / "run.jsonl").read_text())
    assert trace.of(Finished)


def test_without_a_terminal_steps_are_lines():
    """On standard error, without a single control character; the answer stands alone on standard output."""
    done = subprocess.run([*COMMAND, *ASKED, "--live"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0
    lines = done.stderr.splitlines()
    assert lines[0].startswith("outline: 3,279 nodes")
    assert lines[-1].startswith("answered, confidence")
    assert any(line.startswith("call 1, compose: ") for line in lines)
    assert "\x1b" not in done.stderr + done.stdout
    assert done.stdout.startswith("Answer\n")


def test_a_dumb_terminal_gets_lines(terminal):
    """It can't go back up."""
    run = terminal(*ASKED, "--live", env={"TERM": "dumb"})
    written = run.read()
    assert b"outline: 3,279 nodes" in written
    assert b"\x1b" not in written


def test_quiet_is_quiet():
    """The answer's text and nothing else; `--json` prints JSON and nothing else on standard output."""
    done = subprocess.run([*COMMAND, *ASKED, "--live", "-q"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    done = subprocess.run(
        [*COMMAND, *ASKED, "--live", "--json"], capture_output=True, text=True, timeout=60, check=True
    )
    assert json.loads(done.stdout)["text"]


def asked_of(server, *others):
    model = ["--model", "openai/some-model", "--api-base", server.url, "--way", "single"]
    return [*ASKED, *model, "--live", *others]


@pytest.fixture
def slow_server():
    """A provider that takes its time, and streams."""
    with Loopback(answers(answers_as_asked, delay_s=2.5)) as server:
        yield server


def test_a_picture_that_stands_still_is_left_alone(terminal, slow_server):
    """While a call is waited for a frame a second is drawn, for its seconds, and no more than eight at any time."""
    run = terminal(*asked_of(slow_server), env={"OPENAI_API_KEY": "sk-test"})
    run.read(until=b"under way")
    began = time.monotonic()
    run.read(until=b"3 s", seconds=30)
    waited = time.monotonic() - began
    frames = sum(at > began for at, _ in run.times)
    assert frames <= 3 + 4 * waited  # a frame may come in pieces
    run.read()
    assert run.process.wait(30) in (0, 1)


def test_an_interrupt_leaves_an_answer_and_a_trace(terminal, slow_server, tmp_path):
    """The first Ctrl-C asks for the best from what was read; the terminal is as it was, and the trace whole."""
    path = tmp_path / "run.jsonl"
    run = terminal(*asked_of(slow_server, "--trace", path), env={"OPENAI_API_KEY": "sk-test"})
    run.read(until=b"under way")
    run.process.send_signal(signal.SIGINT)
    written = run.read()
    assert run.process.wait(30) == 130
    # The note takes the place of the picture, which is drawn anew below it.
    assert re.search(rb"\x1b\[2K(?:\x1b\[[\d;]*m)*Stopping: the best answer", written)
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h")
    text = path.read_text()
    assert broken_line(text) is None
    assert Trace.from_jsonl(text).of(Answered)
    assert b"Budget" in written[written.rfind(b"\x1b[?25h") :]


def test_a_second_interrupt_ends_it(terminal, slow_server, tmp_path):
    """At once, with the cursor shown and the trace readable up to there."""
    path = tmp_path / "run.jsonl"
    run = terminal(*asked_of(slow_server, "--trace", path), env={"OPENAI_API_KEY": "sk-test"})
    run.read(until=b"under way")
    run.process.send_signal(signal.SIGINT)
    run.read(until=b"Stopping")
    run.process.send_signal(signal.SIGINT)
    written = run.read()
    assert run.process.wait(30) == 130
    assert written.count(b"\x1b[?25l") == written.count(b"\x1b[?25h")
    assert len(Trace.from_jsonl(path.read_text(), partial=True)) > 3
