"""The commands, each as a user runs it: what stands on which stream, what `--json` holds, what help says."""

from __future__ import annotations

import json
import re

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from loopback import Loopback, answers

from hierarchy.cli import main
from hierarchy.cli.evaluate import SYSTEM_NAMES
from hierarchy.cli.options import POLICY_NAMES, checked_model_options

CHART = """# Chart

## Admission

Warfarin was stopped on 3 May because of a bleed. He lives alone with two cats.

## Ward notes

{filler}

## Discharge

Apixaban was started on 9 May, once the haemoglobin was steady. He weighed 81.4 kg at discharge, in his socks. His
sister drove him home and took charge of the tablets, the cats and the letters to the clinic. A nurse rings weekly.
"""
HOSTILE = "[bold red]Warfarin[/] was stopped \x1b[31m\x1b]0;owned\x07on 3 May\x9b2J by \u202esrotcod\u202c."
USAGE = {"input_tokens", "output_tokens", "total_tokens", "calls", "cost_usd"}


@pytest.fixture
def chart(tmp_path):
    filler = " ".join(
        f"On day {n} the weather was dull and the tea was served at {n % 12} o'clock." for n in range(200)
    )
    path = tmp_path / "chart.md"
    path.write_text(CHART.format(filler=filler), encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def wide_and_plain(monkeypatch):
    """The same terminal for all: 100 columns, no colours."""
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.delenv("HIERARCHY_DEBUG", raising=False)


def run(*args, **options):
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


def walk(command, path=()):
    yield path, command
    for name, child in getattr(command, "commands", {}).items():
        yield from walk(child, (*path, name))


class TestAsk:
    def test_it_answers_with_quotes_bill_and_receipt(self, chart):
        """On standard output, and nothing on the other."""
        done = run("ask", chart, "When was warfarin stopped?", "--budget", "1k")
        assert done.exit_code == 0
        assert "Warfarin was stopped on 3 May" in done.stdout
        assert "chart.md · characters" in done.stdout
        assert "of 1,000 tokens spent" in done.stdout
        assert "Not read, most relevant first" in done.stdout
        assert done.stderr == ""
        assert not any(line.endswith(" ") for line in done.stdout.splitlines())

    def test_json_has_the_agreed_keys_and_nothing_else_is_printed(self, chart):
        """Programs rely on them."""
        done = run("ask", chart, "When was warfarin stopped?", "--budget", "1k", "--json")
        record = json.loads(done.stdout)
        assert done.stderr == ""
        assert {"text", "abstained", "confidence", "citations", "usage", "budget", "unread"} <= record.keys()
        assert set(record["citations"][0]) == {"quote", "source", "page", "start", "end", "verified"}
        assert set(record["usage"]) == {*USAGE, "by_stage"}
        assert all(set(bill) == USAGE for bill in record["usage"]["by_stage"].values())
        assert set(record["budget"]) == {"total_tokens", "spent_tokens"}
        assert {"title", "source", "pages", "tokens", "relevance", "seen"} <= set(record["unread"][0])
        citation = record["citations"][0]
        assert chart.read_text("utf-8")[citation["start"] : citation["end"]] == citation["quote"]
        assert record["budget"]["spent_tokens"] <= 1_000

    def test_json_is_ascii(self, tmp_path):
        """So that no encoding breaks it and no terminal obeys it."""
        path = tmp_path / "note.txt"
        path.write_text(f"Grüße aus Köln. {HOSTILE}", encoding="utf-8")
        done = run("ask", path, "When was warfarin stopped?", "--json")
        assert done.stdout.isascii()
        assert "\x1b" not in done.stdout
        json.loads(done.stdout)

    @pytest.mark.parametrize("budget", ["1000", "1,000", "1k", "30%"])
    def test_budgets_as_people_write_them(self, chart, budget):
        """Tokens or a share of the document."""
        record = json.loads(run("ask", chart, "When was warfarin stopped?", "-b", budget, "--json").stdout)
        assert 0 < record["budget"]["spent_tokens"] <= record["budget"]["total_tokens"]

    def test_no_answer_has_a_code_of_its_own(self, chart):
        """And is said in words."""
        done = run("ask", chart, "Which satellites orbit Neptune retrogradely?", "--budget", "1k")
        assert done.exit_code == 1
        assert done.stdout.startswith("No answer")

    def test_quiet_prints_the_answer_alone(self, chart):
        """For a shell script's variable."""
        done = run("ask", chart, "When was warfarin stopped?", "-q")
        assert "3 May" in done.stdout
        assert "tokens" not in done.stdout

    def test_standard_input_a_folder_and_a_pattern_are_documents(self, chart):
        """As the help says."""
        question = "When was warfarin stopped?"
        assert "3 May" in run("ask", "-", question, "-q", input=chart.read_text("utf-8")).stdout
        assert "3 May" in run("ask", chart.parent, question, "-q").stdout
        assert "3 May" in run("ask", chart.parent / "*.md", question, "-q").stdout

    @pytest.mark.parametrize("policy", POLICY_NAMES)
    def test_every_policy_answers(self, chart, policy):
        """By the names that help lists, which are all there are."""
        from hierarchy.allocator import POLICIES

        assert tuple(POLICIES) == POLICY_NAMES
        done = run("ask", chart, "When was warfarin stopped?", "--policy", policy, "--budget", "1k")
        assert done.exit_code in (0, 1)

    def test_options_for_the_provider(self, chart, monkeypatch):
        """They reach it as JSON says, or as text; each command that names a model takes them."""
        monkeypatch.delenv("HIERARCHY_API_KEY", raising=False)
        with Loopback() as server:
            server.script = answers('{"answer": "On 3 May.", "quotes": [], "missing": ""}')
            where = ["--model", "mine", "--api-base", server.url, "--no-store"]
            given = ["top_p=0.5", "stop=me = you", "presence_penalty=1", 'logit_bias={"5": 1}']
            options = [word for option in given for word in ("--model-option", option)]
            done = run("ask", chart, "When was warfarin stopped?", *where, *options)
            assert done.exit_code == 0, done.output
            told = server.received[-1].body
        assert (told["top_p"], told["stop"]) == (0.5, "me = you")
        assert (told["presence_penalty"], told["logit_bias"]) == (1, {"5": 1})
        assert run("quote", chart, "Why?", *where, *options).exit_code == 0

    @pytest.mark.parametrize(
        ("option", "told"),
        [
            ("top_p", "NAME=VALUE"),
            ("=5", "NAME=VALUE"),
            ("top p=5", "NAME=VALUE"),
            ("api_key=sk-1", "environment"),
            ("top_p=1 --model-option top_p=2", "twice"),
        ],
    )
    def test_options_that_are_none(self, chart, option, told):
        """Said before anything is read."""
        done = run(
            "ask", chart, "Why?", "--model", "openai/x", "--model-option", *option.rsplit(" ", 2 * ("--" in option))
        )
        assert done.exit_code == 2
        assert told in done.output
        assert "sk-1" not in done.output

    def test_the_built_in_model_takes_none(self, chart):
        """Rather than leaving them out silently."""
        done = run("ask", chart, "Why?", "--model-option", "top_p=1")
        assert done.exit_code == 2
        assert "--model" in done.output

    @given(st.text(max_size=12) | st.recursive(st.none() | st.floats() | st.text(max_size=3), st.lists).map(json.dumps))
    def test_any_value(self, value):
        """Is JSON, or the text itself."""
        (read,) = checked_model_options(None, None, (f"name={value}",)).values()
        assert read == value or json.dumps(read) == json.dumps(json.loads(value))

    def test_the_trace_is_written_and_shown(self, chart, tmp_path):
        """From the file alone."""
        path = tmp_path / "trace.jsonl"
        run("ask", chart, "When was warfarin stopped?", "--budget", "1k", "--trace", path)
        chart.unlink()
        done = run("trace", path)
        assert done.exit_code == 0
        for part in ("When was warfarin stopped?", "Answer", "Where it read", "Budget", "Against reading everything"):
            assert part in done.stdout
        events = run("trace", path, "--events").stdout.splitlines()
        assert len(events) == len(path.read_text("utf-8").splitlines()) - 1

    def test_a_hostile_document_is_shown_as_it_stands(self, tmp_path):
        """Its markup neither styles nor breaks the output; its control characters never reach the terminal."""
        path = tmp_path / "[red]note.txt"
        path.write_text(f"{HOSTILE} [/] [/nothing]\n" * 3, encoding="utf-8")
        trace = tmp_path / "trace.jsonl"
        for done in (
            run("ask", path, "When was warfarin stopped?", "--trace", trace),
            run("ask", path, "When was warfarin stopped?", "-q"),
            run("context", path, "When was warfarin stopped?"),
            run("tree", path, "--depth", "3"),
            run("trace", trace),
            run("trace", trace, "--events"),
        ):
            assert done.exit_code == 0, done.output
            assert "[bold red]Warfarin" in done.stdout
            assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]", done.output)


class TestContext:
    def test_it_prints_the_text_alone(self, chart):
        """What it cost goes to standard error, so that the text can be piped."""
        done = run("context", chart, "When was warfarin stopped?", "--budget", "300")
        assert done.exit_code == 0
        assert "Warfarin was stopped on 3 May because of a bleed." in done.stdout
        assert "tokens of context" in done.stderr
        assert run("context", chart, "When was warfarin stopped?", "--quiet").stderr == ""

    def test_json_holds_passages_with_their_places(self, chart):
        """Each verbatim in the file."""
        record = json.loads(run("context", chart, "When was warfarin stopped?", "-b", "300", "--json").stdout)
        assert record["tokens"] <= 300
        text = chart.read_text("utf-8")
        for passage in record["passages"]:
            assert passage["text"] == text[passage["start"] : passage["end"]]


class TestTree:
    def test_it_shows_titles_and_tokens(self, chart):
        """And a line of what each part says, unless it isn't wanted."""
        done = run("tree", chart)
        assert done.exit_code == 0
        assert "Ward notes" in done.stdout
        assert "tokens" in done.stdout
        assert "apixaban" in done.stdout
        assert "apixaban" not in run("tree", chart, "--no-summaries").stdout

    def test_json_is_the_tree(self, chart):
        """It reads back."""
        from hierarchy.tree import SummaryTree

        tree = SummaryTree.from_json(run("tree", chart, "--json").stdout)
        assert tree.files[0].text == chart.read_text("utf-8")

    def test_depth_and_node(self, chart):
        """Deeper shows sentences; a node shows only what is below it."""
        assert "sentence" in run("tree", chart, "--depth", "6").stdout
        assert len(run("tree", chart, "--depth", "0", "--no-summaries").stdout.splitlines()) == 1
        assert run("tree", chart, "--node", "0.0").stdout.startswith("0.0")

    @pytest.mark.parametrize("node", ["1", "x", "0..1", "0.99", "0.0.0.0.0.0.0.0.0.7"])
    def test_a_node_that_is_not_there_is_wrong_usage(self, chart, node):
        """Said in a sentence."""
        done = run("tree", chart, "--node", node)
        assert done.exit_code == 2
        assert node in done.stderr


class TestDemo:
    @pytest.mark.parametrize("report", ["financial", "medical"])
    def test_it_shows_all_and_fits(self, report):
        """In a hundred columns: outline, question, answer, budget, where it went, what was left."""
        done = run("demo", "--report", report)
        assert done.exit_code == 0
        for part in ("├──", "Question", "Answer", "Quote", "Budget", "Granted, by branch", "Document", "Not read"):
            assert part in done.stdout
        assert max(map(len, done.stdout.splitlines())) <= 100

    def test_its_picture_is_the_same_each_time(self, tmp_path):
        """And shows what was printed."""
        pictures = [tmp_path / "one.svg", tmp_path / "two.svg"]
        for picture in pictures:
            done = run("demo", "--question", "What were total net sales in fiscal 2025?", "--svg", picture)
            assert done.exit_code == 0
        assert pictures[0].read_bytes() == pictures[1].read_bytes()
        assert "2,160.4" in pictures[0].read_text("utf-8")

    @pytest.mark.parametrize(("report", "answer"), [("financial", "$11.7 million"), ("medical", "not allergic")])
    def test_its_own_questions_are_answered_rightly(self, report, answer):
        """It is the first thing that anybody sees."""
        assert answer in " ".join(run("demo", "--report", report).stdout.split("Quote")[0].split())


class TestEval:
    @pytest.fixture
    def folder(self, tmp_path, chart):
        folder = tmp_path / "set"
        (folder / "docs").mkdir(parents=True)
        text = chart.read_text("utf-8")
        (folder / "docs" / "chart.txt").write_text(text, encoding="utf-8")
        quote = "Warfarin was stopped on 3 May because of a bleed."
        start = text.index(quote)
        case = {
            "id": "c1",
            "doc_id": "chart",
            "question": "When was warfarin stopped?",
            "answer": "3 May",
            "evidence": [{"start": start, "end": start + len(quote), "text": quote}],
            "split": "dev",
        }
        (folder / "cases.jsonl").write_text(json.dumps(case) + "\n", encoding="utf-8")
        return folder

    def test_predictions_are_written_and_scored(self, folder, tmp_path):
        """Several systems in one file; the table on standard output, what was done on the other stream."""
        out = tmp_path / "predictions.jsonl"
        systems = ("--system", "hierarchy", "--system", "head")
        done = run("eval", "run", folder, "--budgets", "200,1k", "--split", "dev", *systems, "--out", out)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "4 predictions written" in done.stderr
        again = run("eval", "run", folder, "--budgets", "200,1k", *systems, "--out", out)
        assert "4 were there already" in again.stderr
        scored = run("eval", "score", folder, out, "--split", "dev", env={"COLUMNS": "40"})
        assert "used" in scored.stdout
        assert scored.exit_code == 0
        assert re.search(r"hierarchy\s+200\s+1\s+100\.0", scored.stdout)
        table = run("eval", "score", folder, out, "--markdown").stdout
        assert table.startswith("| system | budget |")
        assert len(table.splitlines()) == 6

    def test_two_runs_of_one_system_have_no_winner(self, folder, tmp_path):
        """The set is the one on record beside the file; a verdict needs more documents than this set has."""
        files = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
        for out in files:
            run("eval", "run", folder, "--budgets", "200,1k", "--system", "bm25", "--out", out)
        done = run("eval", "compare", *files)
        assert done.exit_code == 0
        assert re.search(
            r"bm25 \(a\)\s+bm25 \(b\)\s+1,000\s+\+0\.0\s+\[\+0\.0, \+0\.0\]\s+too few documents", done.stdout
        )
        table = run("eval", "compare", *files, "--set", folder, "--split", "dev", "--markdown")
        assert table.stdout.startswith("| system | base | budget |")
        assert run("eval", "compare", *files, "--figure", "files").exit_code == 3
        (tmp_path / "a.run.json").unlink()
        (tmp_path / "b.run.json").unlink()
        assert "--set" in run("eval", "compare", *files).stderr

    def test_different_systems_are_compared_by_name(self, folder, tmp_path):
        """Where files share no system, each is held against each; without a common budget there is nothing to say."""
        for system, budgets in (("bm25", "200"), ("head", "200"), ("random", "300")):
            run("eval", "run", folder, "--budgets", budgets, "--system", system, "--out", tmp_path / f"{system}.jsonl")
        done = run("eval", "compare", tmp_path / "bm25.jsonl", tmp_path / "head.jsonl")
        assert re.search(r"^bm25\s+head\s+200", done.stdout, re.MULTILINE)
        assert run("eval", "compare", tmp_path / "bm25.jsonl", tmp_path / "random.jsonl").exit_code == 3

    def test_a_report_is_written_with_its_figures(self, folder, tmp_path):
        """Links lead from the document to the figures; what was run is told as a command."""
        pytest.importorskip("matplotlib")
        out, written = tmp_path / "p.jsonl", tmp_path / "docs" / "report.md"
        run("eval", "run", folder, "--budgets", "200,1k", "--system", "bm25", "--system", "oracle", "--out", out)
        images = ("--figures", tmp_path / "images")
        done = run("eval", "report", folder, "--predictions", out, "--out", written, *images)
        assert (done.exit_code, done.stdout) == (0, "")
        text = written.read_text("utf-8")
        (link,) = re.findall(r"!\[[^]]*\]\(([^)]+)\)", text)
        assert (written.parent / link).read_bytes().startswith(b"<?xml")
        assert "hierarchy eval run set --budgets 200,1000 --system bm25 --system oracle" in text
        assert "| oracle | 100.0 | 100.0 |" in text
        assert str(tmp_path) not in text

    def test_costs_are_multiples_of_the_least(self, chart):
        """One row a file, for a terminal or as Markdown."""
        done = run("eval", "cost", chart, "--rounds", "1", "--markdown")
        assert done.exit_code == 0
        header, _, row = done.stdout.splitlines()
        assert header.startswith("| file | tokens | least, s | load × | tree × |")
        assert re.match(r"\| chart\.md \| [\d,]+ \| [\d.]+ \| [\d.]+ \|", row)
        assert "chart.md" in run("eval", "cost", chart, "--rounds", "1").stdout

    def test_systems_are_those_there_are(self):
        """Help lists them without importing them."""
        from hierarchy.evaluation.systems import SYSTEMS

        assert tuple(SYSTEMS) == SYSTEM_NAMES

    def test_what_cannot_be_scored_is_said(self, folder, tmp_path):
        """A set without cases, predictions about other questions, a budget that is none."""
        other = tmp_path / "other.jsonl"
        other.write_text('{"id": "zz", "budget": 100, "spans": []}\n', encoding="utf-8")
        assert run("eval", "score", folder, other).exit_code == 3
        assert run("eval", "score", folder, tmp_path / "none.jsonl").exit_code == 3
        assert run("eval", "score", tmp_path, other).exit_code == 3
        assert run("eval", "run", folder, "--budgets", "much", "--out", other).exit_code == 2
        assert run("eval", "run", folder, "--budgets", "1k", "--system", "best", "--out", other).exit_code == 2


class TestHelp:
    @pytest.mark.parametrize(
        ("path", "command"), list(walk(main)), ids=lambda value: "-".join(value) if isinstance(value, tuple) else "help"
    )
    def test_every_command_explains_itself_with_examples(self, path, command):
        """By `-h` and `--help` alike; each example is a command with options that exist."""
        done = run(*path, "-h")
        assert done.exit_code == 0
        assert done.stdout == run(*path, "--help").stdout
        examples = re.findall(r"^ +((?:.*\| )?hierarchy .*)$", done.stdout.split("Examples:")[1], re.MULTILINE)
        assert examples
        assert isinstance(command, click.Command)

    def test_the_group_tells_exit_codes_and_completion(self):
        """Once, where one looks first."""
        text = run("--help").stdout
        assert "Exit codes:" in text
        assert all(re.search(rf"^ +{code} ", text, re.MULTILINE) for code in (0, 1, 2, 3, 4, 5, 6, 70, 130))
        assert "_HIERARCHY_COMPLETE=bash_source" in text

    def test_the_version(self):
        """As the package says."""
        import hierarchy

        assert run("--version").stdout == f"hierarchy {hierarchy.__version__}\n"

    def test_commands_options_and_files_complete(self):
        """As a shell asks for them."""
        ask = {"COMP_WORDS": "hierarchy a", "COMP_CWORD": "1", "_HIERARCHY_COMPLETE": "bash_complete"}
        assert "plain,ask" in run(env=ask).stdout
        document = {"COMP_WORDS": "hierarchy ask ", "COMP_CWORD": "2", "_HIERARCHY_COMPLETE": "bash_complete"}
        assert "file," in run(env=document).stdout
        policy = {
            "COMP_WORDS": "hierarchy ask x y --policy ",
            "COMP_CWORD": "5",
            "_HIERARCHY_COMPLETE": "bash_complete",
        }
        assert "top_k" in run(env=policy).stdout
