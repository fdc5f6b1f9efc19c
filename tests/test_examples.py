"""The example scripts: they run as they stand, with a document and questions of one's own, and err readably."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import hierarchy

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = ["financial_report.py", "medical_report.py"]


def run(script, *arguments, folder):
    """Run an example elsewhere than in the source tree, with nothing to call a provider with."""
    keyless = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_TOKEN"))}
    return subprocess.run(
        [sys.executable, EXAMPLES / script, *map(str, arguments)],
        cwd=folder,
        env={**keyless, "PYTHONIOENCODING": "utf-8", "TMPDIR": str(folder)},
        capture_output=True,
        encoding="utf-8",
        timeout=300,
        check=False,
    )


@pytest.fixture
def letter(tmp_path):
    path = tmp_path / "letter.md"
    path.write_text("# Letter, 3 May\n\nWarfarin was stopped on 3 May, after a bleed. He lives alone.\n", "utf-8")
    return path


def test_a_financial_report(tmp_path):
    """As it stands: the statements, figures with page and price, several budgets, and a trace that can be read."""
    ran = run("financial_report.py", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    for shown in (
        "p. 30  Consolidated Balance Sheets",
        "Total net sales $ 2,160.4",
        "pages",
        "not read",
        "$11.7 million",
    ):
        assert shown in ran.stdout
    saved = Path(ran.stdout.rsplit("hierarchy trace ", 1)[1].strip())
    assert hierarchy.Trace.from_jsonl(saved.read_text("utf-8")).answer()["text"].startswith("Consolidated Statements")


def test_a_patients_chart(tmp_path):
    """As it stands: both sides of a contradiction with their dates, a row with its heads and unit, what wasn't read."""
    ran = run("medical_report.py", folder=tmp_path)
    assert (ran.returncode, ran.stderr) == (0, "")
    for shown in ("not allergic to penicillin", "29 March 2022. Drug allergy clinic", "5 mg twice daily", "2.5 mg"):
        assert shown in ran.stdout
    assert "anaphylaxis" in ran.stdout.partition("?")[2].lower()
    lines = [line.split() for line in ran.stdout.splitlines()]
    assert ["Apr", "2024", "26", "L"] in lines
    assert ["Unit", "mL/min/1.73", "m²"] in lines
    assert "Not read, for example" in ran.stdout
    assert "no finding" in ran.stdout or "not the same as not in the chart" in ran.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_document_and_questions_of_ones_own(script, letter, tmp_path):
    """Any path, several questions, the budget before or after them."""
    questions = ("When was warfarin stopped?", "Who lives alone?")
    for arguments in ((letter, *questions, "--budget", "1k"), ("--budget", "1000", letter, *questions)):
        ran = run(script, *arguments, folder=tmp_path)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert all(question in ran.stdout for question in questions)
        assert "Warfarin was stopped on 3 May, after a bleed." in ran.stdout


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("missing.pdf",), "missing.pdf"),
        (("empty.md",), "empty.md"),
        (("letter.md", "Why?", "--budget", "3"), "budget of 3 tokens"),
        (("letter.md", "Why?", "--budget", "plenty"), "plenty"),
        (("letter.md", " "), "question is empty"),
    ],
)
def test_errors_are_read_by_people(script, arguments, said, letter, tmp_path):
    """What happened and its remedy on standard error, no traceback, and an exit code."""
    (tmp_path / "empty.md").touch()
    ran = run(script, *arguments, folder=tmp_path)
    assert ran.returncode == 2
    assert said in ran.stderr
    assert len(ran.stderr.splitlines()) == 2, "a message and its remedy"
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script, tmp_path):
    ran = run(script, "--help", folder=tmp_path)
    assert ran.returncode == 0
    assert "--budget" in ran.stdout
