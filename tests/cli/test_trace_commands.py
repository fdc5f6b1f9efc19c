"""The commands under `trace`, as a user runs them: what they show, write and refuse, and how they end."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from hierarchy.cli import main
from hierarchy.cli.exits import Exit
from hierarchy.events import Started
from hierarchy.trace import Trace, broken_line

CHART = (
    "# Chart\n\n## Admission\n\nWarfarin was stopped on 3 May because of a bleed. He lives alone with two cats.\n\n"
    "## Ward\n\n" + " ".join(f"On day {n} the weather was dull and tea was served at four." for n in range(150))
)
QUESTION = "When was warfarin stopped?"


@pytest.fixture(autouse=True)
def wide_and_plain(monkeypatch):
    """The same terminal for all: 100 columns, no colours."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("HIERARCHY_DEBUG", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", raising=False)


@pytest.fixture
def saved(tmp_path):
    """A chart and the trace of a question over it, side by side."""
    (tmp_path / "chart.md").write_text(CHART, encoding="utf-8")
    path = tmp_path / "run.jsonl"
    assert run("ask", tmp_path / "chart.md", QUESTION, "--budget", "600", "--trace", path).exit_code == Exit.DONE
    return path


def run(*args, **options):
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


def all_days(page):
    """Whether a page holds all of the chart, far more than was read."""
    words = " ".join(re.sub(r"<[^>]+>", "", page).split())
    return all(f"On day {n} " in words for n in range(150))


class TestTraceFile:
    def test_only_a_trace_is_written_over(self, saved, tmp_path):
        """The document named by mistake stays; so does any other file; an earlier trace is replaced."""
        chart = tmp_path / "chart.md"
        for place in (chart, tmp_path / "other.md"):
            place.write_text(CHART)
            told = run("ask", chart, QUESTION, "--trace", place)
            assert told.exit_code == Exit.INPUT
            assert "no trace" in told.stderr
            assert place.read_text() == CHART
        assert run("ask", chart, QUESTION, "--budget", "900", "--trace", saved).exit_code == Exit.DONE
        assert Trace.from_jsonl(saved.read_text()).of(Started)[0].budget.total_tokens == 900
        assert run("ask", chart, QUESTION, "--trace", "-").exit_code == Exit.USAGE

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="Only there are writes refused.")
    def test_a_full_disk(self, saved, tmp_path):
        """It is told as what it is, and no defect."""
        told = run("ask", tmp_path / "chart.md", QUESTION, "--trace", "/dev/full")
        assert told.exit_code == Exit.STORE
        assert "No space left" in told.stderr


class TestShow:
    def test_show_need_not_be_said(self, saved):
        """`trace RUN` and `trace show RUN` are the same, options before the file too."""
        told = run("trace", saved)
        assert told.exit_code == Exit.DONE
        assert QUESTION in told.stdout
        assert run("trace", "show", saved).stdout == told.stdout
        assert run("trace", "--events", saved).stdout == run("trace", saved, "--events").stdout != told.stdout

    def test_a_changed_trace_is_shown_with_a_warning(self, saved):
        """A changed byte doesn't keep one from looking, but is said."""
        saved.write_text(saved.read_text().replace("3 May", "4 May"))
        told = run("trace", saved)
        assert told.exit_code == Exit.DONE
        assert "isn't as it was written" in told.stderr
        assert "verify" in told.stderr

    def test_a_trace_that_was_cut_off(self, saved):
        """What there is is shown; the end of the process says that it isn't all."""
        saved.write_text(saved.read_text()[:-40])
        told = run("trace", saved)
        assert told.exit_code == Exit.STORE
        assert QUESTION in told.stdout
        assert "cut off" in told.stderr

    def test_a_newer_version_is_refused(self, saved):
        """A trace of a version that isn't known yet isn't guessed at."""
        saved.write_text(saved.read_text().replace('"version": 2', '"version": 9'))
        for command in ((), ("verify",), ("replay",)):
            told = run("trace", *command, saved)
            assert told.exit_code == Exit.STORE
            assert "Update hierarchy" in told.stderr

    @pytest.mark.parametrize(
        ("option", "begins"),
        [("--html", "<!doctype html>"), ("--svg", "<svg"), ("--markdown", "#"), ("--redact", '{"event": "trace"')],
    )
    def test_what_can_be_written(self, saved, tmp_path, option, begins):
        """Each form goes to a file or to standard output, the same both ways; never over the trace itself."""
        to = tmp_path / "shared"
        told = run("trace", saved, option, to)
        assert told.exit_code == Exit.DONE, told.stderr
        assert "written" in told.stderr
        assert to.read_text(encoding="utf-8").lower().startswith(begins)
        assert run("trace", saved, option, "-").stdout.strip() == to.read_text(encoding="utf-8").strip()
        refused = run("trace", saved, option, saved)
        assert refused.exit_code == Exit.INPUT
        assert "the trace itself" in refused.stderr
        nowhere = run("trace", saved, option, tmp_path / "no" / "where")
        assert nowhere.exit_code == Exit.INPUT

    def test_html_holds_the_document_if_it_is_at_hand(self, saved, tmp_path):
        """Found beside the trace, or where it is said to be; what wasn't read stands in the document alone."""
        assert all_days(run("trace", saved, "--html", "-").stdout)
        away = tmp_path / "away"
        away.mkdir()
        (tmp_path / "chart.md").rename(away / "chart.md")
        without = run("trace", saved, "--html", "-").stdout
        assert not all_days(without)
        given = run("trace", saved, "--html", "-", "--document", away / "chart.md").stdout
        assert all_days(given)

    def test_another_document_is_refused(self, saved, tmp_path):
        """A document of another content isn't shown as the trace's."""
        other = tmp_path / "other.md"
        other.write_text("Another text.")
        told = run("trace", saved, "--html", "-", "--document", other)
        assert told.exit_code == Exit.INPUT
        assert "isn't the document of the trace" in told.stderr

    def test_a_redacted_trace_tells_nothing(self, saved):
        """Neither the document's words nor the question's stand in it, and it opens."""
        text = run("trace", saved, "--redact", "-").stdout
        assert "arfarin" not in text
        assert "cats" not in text
        assert broken_line(text) is None
        assert Trace.from_jsonl(text).usage() == Trace.from_jsonl(saved.read_text()).usage()

    def test_a_redacted_trace_can_be_proven_but_not_replayed(self, saved, tmp_path):
        """It is said that words are missing, rather than that the document is another."""
        safe = tmp_path / "safe.jsonl"
        run("trace", saved, "--redact", safe)
        assert run("trace", "verify", safe).exit_code == Exit.DONE
        for told in (run("trace", "replay", safe), run("trace", "verify", safe, "--document", tmp_path / "chart.md")):
            assert told.exit_code == Exit.INPUT
            assert "is redacted" in told.stderr

    def test_json(self, saved):
        """One object."""
        told = json.loads(run("trace", saved, "--json").stdout)
        assert told["question"] == QUESTION

    def test_nobody_to_send_it_to(self, saved):
        """Without an address nothing is sent, and it is said how to give one."""
        told = run("trace", saved, "--otel")
        assert told.exit_code == Exit.INPUT
        assert "OTEL_EXPORTER_OTLP_ENDPOINT" in told.stderr

    def test_a_refused_question_is_no_gathered_context(self, saved, tmp_path):
        """A budget too small leaves a trace that says so; context that was gathered is still told as such."""
        refused, gathered = tmp_path / "refused.jsonl", tmp_path / "gathered.jsonl"
        asked = run("ask", tmp_path / "chart.md", QUESTION, "--budget", "9", "--trace", refused)
        assert asked.exit_code == Exit.BUDGET
        for told in (
            run("trace", refused),
            run("trace", refused, "--markdown", "-"),
            run("trace", refused, "--html", "-"),
        ):
            assert "refused before anything was read" in " ".join(told.stdout.split())
            assert "gathered" not in told.stdout
        run("context", tmp_path / "chart.md", QUESTION, "--budget", "600", "--trace", gathered)
        assert "Context gathered" in run("trace", gathered).stdout

    def test_one_thing_at_a_time(self, saved, tmp_path):
        """Of two wishes that exclude each other none is silently dropped."""
        for options in (("--tui", "--json"), ("--events", "--json"), ("--json", "--markdown", "-"), ("--content",)):
            told = run("trace", saved, *options)
            assert told.exit_code == Exit.USAGE, options
            assert QUESTION not in told.stdout
        page = tmp_path / "page"
        told = run("trace", saved, "--html", page, "--svg", page)
        assert told.exit_code == Exit.INPUT
        assert "page is named for two things" in told.stderr
        assert not page.exists()

    def test_the_explorer_needs_a_terminal(self, saved):
        """In a pipe it is refused, rather than waiting for keys that nobody presses."""
        told = run("trace", saved, "--tui")
        assert told.exit_code == Exit.INPUT
        assert "needs a terminal" in told.stderr

    def test_an_empty_or_damaged_file_is_named(self, saved, tmp_path):
        """Of two files given, which one is wrong; and in words, not in the parser's."""
        empty, damaged = tmp_path / "empty.jsonl", tmp_path / "damaged.jsonl"
        empty.touch()
        assert "empty.jsonl is empty" in run("trace", empty).stderr
        assert "empty.jsonl is empty" in run("trace", "diff", saved, empty).stderr
        lines = saved.read_text().splitlines()
        damaged.write_text("\n".join([*lines[:4], "{", *lines[5:]]))
        told = run("trace", "diff", saved, damaged)
        assert told.exit_code == Exit.STORE
        assert "damaged.jsonl: Line 5 of the trace is damaged: it is no whole JSON." in told.stderr.replace("\n", " ")


class TestDiff:
    def test_two_budgets(self, saved, tmp_path):
        """What the larger run read besides is told; a run beside itself reads the same."""
        larger = tmp_path / "larger.jsonl"
        run("ask", tmp_path / "chart.md", QUESTION, "--budget", "900", "--trace", larger)
        told = run("trace", "diff", saved, larger)
        assert told.exit_code == Exit.DONE
        assert "600" in told.stdout
        assert "900" in told.stdout
        assert json.loads(run("trace", "diff", saved, larger, "--json").stdout)
        assert len(run("trace", "diff", saved, saved).stdout.splitlines()) < len(told.stdout.splitlines())


class TestReplay:
    def test_at_another_budget(self, saved, tmp_path):
        """The replay is what asking at that budget writes."""
        again, fresh = tmp_path / "again.jsonl", tmp_path / "fresh.jsonl"
        told = run("trace", "replay", saved, "--budget", "900", "--save", again)
        assert told.exit_code == Exit.DONE, told.stderr
        assert "this is the run at that budget" in told.stdout
        run("ask", tmp_path / "chart.md", QUESTION, "--budget", "900", "--trace", fresh)
        assert again.read_text() == fresh.read_text()
        assert json.loads(run("trace", "replay", saved, "--budget", "900", "--json").stdout)["whole"] is True

    def test_without_the_document(self, saved, tmp_path):
        """It is needed, and said so."""
        (tmp_path / "chart.md").unlink()
        told = run("trace", "replay", saved)
        assert told.exit_code == Exit.INPUT
        assert "--document" in told.stderr

    def test_a_budget_too_small(self, saved):
        """As asking would."""
        assert run("trace", "replay", saved, "--budget", "9").exit_code == Exit.BUDGET
        assert run("trace", "replay", saved, "--budget", "much").exit_code == Exit.USAGE
        assert not run("trace", "replay", saved, "--budget", "9").stdout  # nothing of a run that there isn't
        assert "error" in json.loads(run("trace", "replay", saved, "--budget", "9", "--json").stdout)

    def test_the_built_in_model_answers_anew(self, saved):
        """It isn't said to be on record what was answered now."""
        assert "answered anew by the built-in model" in run("trace", "replay", saved, "--budget", "900").stdout


class TestVerify:
    def test_a_sound_trace(self, saved):
        """Everything holds, and what was spent is said."""
        told = run("trace", "verify", saved)
        assert told.exit_code == Exit.DONE
        assert "of 600 tokens spent" in told.stdout
        assert "not checked" not in told.stdout
        assert json.loads(run("trace", "verify", saved, "--json").stdout)["holds"] is True

    def test_a_changed_byte(self, saved):
        """It ends with the code of damaged traces, and names the line."""
        saved.write_text(saved.read_text().replace("3 May", "4 May"))
        told = run("trace", "verify", saved)
        assert told.exit_code == Exit.STORE
        assert "WRONG" in told.stdout
        assert "isn't as it was written" in told.stdout
        # Of the two long lines what differs is shown.
        words = " ".join(told.stdout.split())
        otherwise = words[words.index("comes out otherwise") :]
        assert "4 May" in otherwise.split(" then, ")[0]
        assert "3 May" in otherwise.split(" then, ")[1]

    def test_without_the_document(self, saved, tmp_path):
        """What needs it isn't checked, and isn't said to hold."""
        (tmp_path / "chart.md").unlink()
        told = run("trace", "verify", saved)
        assert told.exit_code == Exit.DONE
        assert told.stdout.count("not checked") == 2
        assert "--document" in told.stderr

    def test_no_trace(self, tmp_path):
        """Other files are named as what they are."""
        (tmp_path / "x.jsonl").write_text("{}")
        (tmp_path / "y.jsonl").write_bytes(b"\xff\xfe\x00")
        for name in ("x.jsonl", "y.jsonl"):
            told = run("trace", "verify", tmp_path / name)
            assert told.exit_code == Exit.STORE
            assert "no trace" in told.stderr
        assert run("trace", "verify", tmp_path / "none.jsonl").exit_code == Exit.USAGE
