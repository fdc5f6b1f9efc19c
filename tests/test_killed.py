"""Killed at any point and asked again: no reply that had arrived is paid for twice, and the answer is the same."""

import json
import multiprocessing
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from documents import long_text
from killed import QUESTION, client

from hierarchy.store import Store

# What is kept of a run besides its replies.
ASIDE = {"margins", "circumstances"}
ROOT = Path(__file__).parent.parent


class Served:
    """`tests/loopback.py` as a process, with its log."""

    def __init__(self, script, folder):
        self.log = folder / "bills.jsonl"
        command = [sys.executable, "tests/loopback.py", "--script", script, "--log", str(self.log)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http")

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def events(self, kind):
        lines = self.log.read_text("utf-8").splitlines() if self.log.exists() else []
        return [event for line in lines if (event := json.loads(line))["event"] == kind]

    @property
    def received(self):
        return self.events("received")

    @property
    def billed(self):
        return self.events("billed")

    def prompts(self):
        """What was asked so far, with how often it was billed."""
        asked = {event["number"]: event["body"]["messages"][0]["content"] for event in self.received}
        return Counter(asked[event["number"]] for event in self.billed)


@pytest.fixture
def serve(tmp_path):
    open_ones = []

    def begin(script):
        open_ones.append(Served(script, tmp_path))
        return open_ones[-1]

    yield begin
    for served in open_ones:
        served.close()


@pytest.fixture
def document(tmp_path):
    path = tmp_path / "agreement.txt"
    path.write_text(long_text(400), "utf-8")
    return path


@pytest.fixture(scope="module")
def processes():
    """Clients are forked from a process that has imported what takes seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["killed"])
    return context


def replies(store):
    """How many replies a store holds, read while others write to it."""
    if not store.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True, timeout=5)) as database:
            stages = [bytes(stage).decode() for (stage,) in database.execute("SELECT stage FROM completions")]
    except sqlite3.OperationalError:  # Its tables aren't there yet.
        return 0
    return sum(stage not in ASIDE for stage in stages)


class Asked:
    """A client at work."""

    def __init__(self, context, served, document, folder, *, way="staged", total=4_000, hang_after=0, streamed=False):
        self.store, self.out = folder / "store.sqlite", folder / f"answer-{random.random()}.json"
        places = (str(document), served.url, str(self.store), str(self.out))
        options = {"way": way, "total": total, "hang_after": hang_after, "streamed": streamed}
        self.process = context.Process(target=client, args=places, kwargs=options, daemon=True)
        self.process.start()

    def wait_for(self, condition, timeout_s=90.0):
        end = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < end, "it never came"
            if not self.process.is_alive() and not condition():
                return False
            time.sleep(0.005)
        return True

    def kill(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()

    def answer(self):
        self.process.join(120)
        assert self.process.exitcode == 0
        return json.loads(self.out.read_text("utf-8"))

    @property
    def kept(self):
        """How many replies are in the store."""
        return replies(self.store)


def undisturbed(processes, served, document, folder, **options):
    folder.mkdir()
    answer = Asked(processes, served, document, folder, **options).answer()
    return answer, served.prompts()


def asked_again(processes, served, document, folder, *, expected, before, kept, **options):
    """Ask again after a kill: what was kept isn't billed again, and the answer is what it would have been."""
    at_kill = served.prompts()
    again = Asked(processes, served, document, folder, **options)
    answer = again.answer()
    since = served.prompts() - at_kill
    assert answer["said"] == expected["said"]
    assert since.total() == sum(before.values()) - kept
    assert answer["tokens"] == expected["tokens"] - sum(
        tokens for prompt, tokens in costs(served, before).items() if prompt not in since
    )
    with Store.open(again.store) as store:
        assert not store.verify().damaged
    return since


def costs(served, prompts):
    """What each prompt was billed, the last time."""
    asked = {event["number"]: event["body"]["messages"][0]["content"] for event in served.received}
    return {
        asked[event["number"]]: event["prompt_tokens"] + event["completion_tokens"]
        for event in served.billed
        if asked[event["number"]] in prompts
    }


class TestKilled:
    @pytest.mark.parametrize("way", ["staged", "branches"])
    def test_after_each_reply(self, serve, processes, document, tmp_path, way):
        """Right after the first, second, … reply was settled, the last one included."""
        served = serve("killed:reads_twice")
        options = {"way": way, "total": 4_000 if way == "staged" else 8_000}
        expected, before = undisturbed(processes, served, document, tmp_path / "whole", **options)
        calls = sum(before.values())
        assert calls >= 3
        for number in (1, calls) if way == "staged" else (calls,):
            folder = tmp_path / f"after-{number}"
            folder.mkdir()
            asked = Asked(processes, served, document, folder, hang_after=number, **options)
            assert asked.wait_for(lambda asked=asked: Path(f"{asked.out}.hangs").exists())
            kept = asked.kept
            assert kept >= number
            asked.kill()
            asked_again(processes, served, document, folder, expected=expected, before=before, kept=kept, **options)

    @pytest.mark.parametrize("number", [2])  # others behave alike, and each takes some ten seconds
    def test_in_the_middle_of_a_reply(self, serve, processes, document, tmp_path, number):
        """While the first reply is waited for, the second, third comes in: that one alone is asked for again."""
        served = serve("killed:reads_twice_slowly")
        expected, before = undisturbed(processes, served, document, tmp_path / "whole", streamed=True)
        folder = tmp_path / "killed"
        folder.mkdir()
        requests = len(served.received)
        asked = Asked(processes, served, document, folder, streamed=True)
        assert asked.wait_for(lambda: len(served.received) >= requests + number)
        time.sleep(0.15 if number == 1 else 0.5)  # Routing comes in one piece.
        assert asked.kept == number - 1
        asked.kill()
        deadline = time.monotonic() + 10
        while len(served.billed) < requests + number and time.monotonic() < deadline:
            time.sleep(0.02)  # The server notices that its client is gone when it next writes.
        asked_again(
            processes, served, document, folder, expected=expected, before=before, kept=number - 1, streamed=True
        )

    def test_at_any_time(self, serve, processes, document, tmp_path):
        """At times that have nothing to do with replies, several times in a row: what was kept stays kept."""
        served = serve("killed:reads_twice")
        expected, before = undisturbed(processes, served, document, tmp_path / "whole")
        folder, draw = tmp_path / "killed", random.Random(3)
        folder.mkdir()
        begun, kept = served.prompts(), 0
        for _ in range(3):
            asked = Asked(processes, served, document, folder)
            asked.wait_for(lambda asked=asked: len(served.received) > begun.total() or asked.kept >= 3)
            time.sleep(draw.uniform(0.0, 0.35))
            asked.kill()
            assert asked.kept >= kept
            kept = asked.kept
        time.sleep(0.3)
        asked_again(processes, served, document, folder, expected=expected, before=before, kept=kept)

    def test_a_server_that_does_not_count(self, serve, processes, document, tmp_path):
        """Calls count at their worst case then; who asks again plans with the same, and asks the same."""
        served = serve("killed:counts_nothing")
        options = {"total": 3_300}
        expected, before = undisturbed(processes, served, document, tmp_path / "whole", **options)
        for number in (sum(before.values()) - 1,):
            folder = tmp_path / f"after-{number}"
            folder.mkdir()
            asked = Asked(processes, served, document, folder, hang_after=number, **options)
            assert asked.wait_for(lambda asked=asked: Path(f"{asked.out}.hangs").exists())
            asked.kill()
            at_kill = served.prompts()
            again = Asked(processes, served, document, folder, **options).answer()
            assert again["said"] == expected["said"]
            assert (served.prompts() - at_kill).total() == sum(before.values()) - number


class TestInterrupted:
    """Ctrl-C on the command line."""

    def command(self, served, document, store, *more):
        return [
            *(sys.executable, "-m", "hierarchy", "ask", str(document), QUESTION, "--budget", "4k"),
            *("--model", "openai/x", "--api-base", served.url, "--store", str(store), "--way", "staged", *more),
        ]

    def begun(self, served, document, store, requests, *more):
        """A command that has sent so many requests."""
        environment = {**os.environ, "OPENAI_API_KEY": "x", "NO_COLOR": "1"}
        running = subprocess.Popen(
            self.command(served, document, store, *more),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )
        end = time.monotonic() + 120
        while len(served.received) < requests:
            assert time.monotonic() < end
            assert running.poll() is None, running.communicate()
            time.sleep(0.02)
        return running

    def test_once_and_then_asked_again(self, serve, document, tmp_path):
        """The best answer from what was read, exit code 130, and a store that the next question finds whole."""
        served, store = serve("killed:hangs_after_routing"), tmp_path / "store.sqlite"
        running = self.begun(served, document, store, 2, "--json")
        began = time.monotonic()
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=60)
        assert running.returncode == 130, err
        assert time.monotonic() - began < 10
        assert "Stopping" in err
        answer = json.loads(out)
        assert answer["partial"]
        assert answer["citations"]
        with Store.open(store) as opened:
            assert not opened.verify().damaged
        assert replies(store) == 1
        time.sleep(0.2)
        before = served.prompts()
        again = subprocess.run(
            self.command(served, document, store, "--json"),
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "OPENAI_API_KEY": "x"},
            timeout=120,
        )
        assert again.returncode in {0, 1}, again.stderr
        assert not json.loads(again.stdout)["partial"]
        route = served.received[0]["body"]["messages"][0]["content"]
        assert (served.prompts() - before)[route] == 0

    def test_twice(self, serve, document, tmp_path):
        """The second one ends it at once, and the store is whole all the same."""
        served, store = serve("killed:hangs_after_routing"), tmp_path / "store.sqlite"
        running = self.begun(served, document, store, 2)
        running.send_signal(signal.SIGINT)
        running.send_signal(signal.SIGINT)
        time.sleep(0.02)
        if running.poll() is None:
            running.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, err = running.communicate(timeout=60)
        assert running.returncode == 130, (out, err)
        assert time.monotonic() - began < 10
        assert "Traceback" not in err
        with Store.open(store) as opened:
            assert not opened.verify().damaged
