"""How commands end: an exit code and a message for every kind of failure; streams that close or lack a character."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from click.testing import CliRunner

from hierarchy import errors
from hierarchy.answer import Answer
from hierarchy.cli import main
from hierarchy.cli.exits import Exit, exit_code
from hierarchy.engine import Reasoner

COMMAND = [sys.executable, "-c", "from hierarchy.cli import main; main()"]


@pytest.fixture
def note(tmp_path):
    path = tmp_path / "note.md"
    path.write_text("# Note\n\nWarfarin was stopped on 3 May. “Grüße” – he said.\n", encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("HIERARCHY_DEBUG", raising=False)


def run(*args, **options):
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


def process(*args, env=None, **options):
    """The real thing, in a process of its own."""
    environment = {**os.environ, "COLUMNS": "60", **(env or {})}
    return subprocess.run([*COMMAND, *map(str, args)], check=False, env=environment, timeout=60, **options)


def failing(monkeypatch, error):
    def ask(*args, **kwargs):
        raise error

    monkeypatch.setattr(Reasoner, "ask", ask)


class TestCodes:
    def test_wrong_usage(self, note, tmp_path):
        """Said before anything is read."""
        for args in (
            ("ask",), ("ask", note), ("nonsense",), ("ask", note, "Why?", "--budget", "much"),
            ("ask", note, "Why?", "--budget", "-5"), ("ask", note, "  "), ("ask", note, "Why?", "--policy", "greedy"),
            ("ask", note, "Why?", "--prompts", tmp_path / "none"), ("trace", tmp_path / "none.jsonl"),
            ("ask", note, "Why?", "--trace", tmp_path / "none" / "t.jsonl"), ("tree", note, "--depth", "-1"),
        ):  # fmt: skip
            done = run(*args)
            assert done.exit_code == 2, args
            assert done.stdout == ""
            assert "Error:" in done.stderr

    def test_no_command_shows_what_there_is(self):
        """As wrong usage, on standard error."""
        done = run()
        assert done.exit_code == 2
        assert "Commands:" in done.output

    def test_input_that_cannot_be_read(self, tmp_path):
        """Not there, empty, binary: each with its remedy."""
        empty, binary = tmp_path / "empty.txt", tmp_path / "noise.txt"
        empty.write_text("")
        binary.write_bytes(bytes(range(256)) * 40)
        for path in (tmp_path / "none.pdf", empty, binary):
            done = run("ask", path, "Why?")
            assert done.exit_code == 3, path
            assert path.name in done.stderr.replace("\n", "")
            assert "Traceback" not in done.stderr

    def test_a_budget_too_small(self, note):
        """With the budget that would do, which does."""
        done = run("ask", note, "When was warfarin stopped?", "--budget", "3", "--json")
        assert done.exit_code == 4
        assert json.loads(done.stdout)["error"]["kind"] == "BudgetTooSmall"
        needed = (
            run("ask", note, "When was warfarin stopped?", "--budget", "3").stderr.split("budget of ")[-1].split()[0]
        )
        assert run("ask", note, "When was warfarin stopped?", "--budget", needed).exit_code in (0, 1)

    def test_model_trouble(self, note, monkeypatch):
        """With what could be answered all the same."""
        error = errors.Unavailable("The provider is down.", "Try again later.")
        error.partial = Answer(text="Half an answer.")
        failing(monkeypatch, error)
        done = run("ask", note, "Why?")
        assert done.exit_code == 5
        assert "Half an answer." in done.stdout
        assert done.stderr.split() == "Error: The provider is down. Try again later.".split()
        assert json.loads(run("ask", note, "Why?", "--json").stdout)["error"] == {
            "kind": "Unavailable", "message": "The provider is down.", "hint": "Try again later.",
        }  # fmt: skip

    def test_a_damaged_trace(self, note, tmp_path):
        """No trace, one of a newer version, and one cut off, of which what is there is shown."""
        path = tmp_path / "trace.jsonl"
        run("ask", note, "When was warfarin stopped?", "--trace", path)
        whole = path.read_text("utf-8")
        for text in ("", "not a trace", '{"event": "trace", "version": 99}\n', whole.replace("started", "strated")):
            path.write_text(text, encoding="utf-8")
            assert run("trace", path).exit_code == 6, text[:40]
        path.write_bytes(b"\xff\xfe\x00")
        assert run("trace", path).exit_code == 6
        path.write_text(whole[:-40], encoding="utf-8")
        done = run("trace", path)
        assert done.exit_code == 6
        assert "When was warfarin stopped?" in done.stdout
        assert "cut off" in done.stderr

    def test_a_defect_asks_to_be_reported(self, note, monkeypatch):
        """In a few lines; the traceback only for who wants it."""
        failing(monkeypatch, RuntimeError("[boom]"))
        done = run("ask", note, "Why?")
        assert done.exit_code == 70
        assert "RuntimeError: [boom]" in done.stderr
        assert "HIERARCHY_DEBUG=1" in done.stderr
        assert json.loads(run("ask", note, "Why?", "--json").stdout)["error"]["kind"] == "RuntimeError"
        for debugged in (run("--debug", "ask", note, "Why?"), run("ask", note, "Why?", env={"HIERARCHY_DEBUG": "1"})):
            assert isinstance(debugged.exception, RuntimeError)

    def test_every_error_has_a_code(self):
        """None falls through to that of a defect."""
        pending, found = [errors.HierarchyError], set()
        while pending:
            kind = pending.pop()
            pending += kind.__subclasses__()
            found.add(kind)
        made = {
            kind
            for kind in found - {errors.HierarchyError, errors.BudgetTooSmall}
            if kind.__module__ == errors.__name__
        }
        assert len(made) > 8
        assert Exit.DEFECT not in {exit_code(kind("what")) for kind in made}

    def test_wrong_usage_in_json(self, note):
        """A program that asks for JSON gets JSON, whatever happens."""
        record = json.loads(run("ask", note, "Why?", "--budget", "much", "--json").stdout)
        assert set(record["error"]) == {"kind", "message", "hint"}

    def test_words_after_two_dashes_are_no_options(self, note):
        """A question may look like one."""
        done = run("ask", "--budget", "3", "--", note, "--json")
        assert done.exit_code == 4
        assert done.stdout == ""


class TestProcesses:
    def test_interrupted(self, note):
        """One line and the shells' own code."""
        code = (
            "import time\nfrom hierarchy.engine import Reasoner\n"
            "def slow(*a, **k):\n    print('ready', flush=True)\n    time.sleep(30)\n"
            "Reasoner.outline = slow\nfrom hierarchy.cli import main\nmain()"
        )
        command = [sys.executable, "-c", code, "ask", str(note), "Why?"]
        running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert running.stdout.readline() == "ready\n"
        time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, complaint = running.communicate(timeout=30)
        assert running.returncode == 130
        assert complaint.strip() == "Interrupted."

    @pytest.mark.parametrize("args", [("tree",), ("tree", "--json"), ("ask", "--quiet"), ("ask",)], ids="-".join)
    def test_a_reader_that_goes_away(self, note, args):
        """No complaint: `hierarchy tree … | head -1` got what it wanted. Here it goes before the first line."""
        command, *options = args
        question = ["When was warfarin stopped?"] if command == "ask" else []
        running = subprocess.Popen(
            [*COMMAND, command, str(note), *question, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "FORCE_COLOR": "1"} if not options else None,
        )
        running.stdout.close()
        assert running.stderr.read() == b""
        assert running.wait(60) == 141

    @pytest.mark.parametrize(
        "env",
        [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "cp1252"},
            {"TERM": "dumb"},
            {"COLUMNS": "30"},
            {"FORCE_COLOR": "1", "TERM": "xterm-256color"},
        ],
        ids=["ascii", "windows", "dumb", "narrow", "colours"],
    )
    def test_any_output(self, note, env):
        """Signs that an encoding lacks are replaced; lines stay within the terminal."""
        if "FORCE_COLOR" in env:
            env = {**env, "NO_COLOR": ""}
        done = process("ask", note, "When was warfarin stopped?", env=env, capture_output=True)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Warfarin was stopped" in done.stdout
        assert (b"\x1b[" in done.stdout) == ("FORCE_COLOR" in env)

    def test_help_is_quick(self):
        """It imports nothing heavy: no numpy, no rich, no loader, no model."""
        script = (
            "import sys\nsys.argv = ['hierarchy', '--help']\nfrom hierarchy.cli import main\n"
            "try:\n    main()\nexcept SystemExit:\n    pass\n"
            "heavy = {'litellm', 'langchain_core', 'pypdfium2', 'tiktoken', 'numpy', 'networkx', 'rich', 'jinja2'}\n"
            "print('HEAVY', sorted(heavy & set(sys.modules)))"
        )
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
        assert done.stdout.splitlines()[-1] == "HEAVY []"
