"""The written report and its figures."""

from __future__ import annotations

import json
import re
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from hierarchy.errors import InputError
from hierarchy.evaluation import curves, ours
from hierarchy.evaluation.findings import find, paper
from hierarchy.evaluation.predictions import Prediction, TextSpan, to_line
from hierarchy.evaluation.sets import load_set
from hierarchy.evaluation.timings import Timing, Timings, add_record

needs_matplotlib = pytest.mark.skipif(not find_spec("matplotlib"), reason="matplotlib isn't installed")


@pytest.fixture
def dataset(tmp_path):
    """A folder of two files, both of which hold an answer, and a question without one."""
    folder = tmp_path / "both"
    (folder / "corpora/f").mkdir(parents=True)
    for name in ("a.txt", "b.txt"):
        (folder / f"corpora/f/{name}").write_text("one two six ten red big cat dog sun sky")
    evidence = [
        {"file": "a.txt", "start": 0, "end": 7, "group": 0},
        {"file": "b.txt", "start": 0, "end": 7, "group": 1},
    ]
    cases = [{"answer": "A", "evidence": evidence}, {"answer": None, "evidence": []}]
    lines = [json.dumps({"id": f"c{n}", "doc_id": "f", "question": "?", **case}) for n, case in enumerate(cases)]
    (folder / "cases.jsonl").write_text("\n".join(lines))
    return load_set(folder)


def write(path, *, system, files=("a.txt",), **fields):
    spans = tuple(TextSpan(start=0, end=7, file=file) for file in files)
    lines = [
        Prediction(id=f"c{n}", budget_tokens=budget, spans=spans, system=system, **fields)
        for budget in (100, 1000)
        for n in range(2)
    ]
    path.write_text("".join(map(to_line, lines)))
    return path


def test_all_that_is_known_is_written_down(dataset, tmp_path):
    """Curves' data, duels, tokens to evidence, files, answers, costs, overruns; the same the second time."""
    mine = write(tmp_path / "ours.jsonl", system="ours", files=("a.txt", "b.txt"), answer="A", abstain=False)
    theirs = write(tmp_path / "theirs.jsonl", system="theirs")
    timing = Timing(documents=1, prepare_s=1.0, questions=2, first_s=0.1, predictions=4, question_s=0.2)
    add_record(mine, dataset.folder, Timings(documents=1, load_s=0.25, systems={"ours": timing}), ["hierarchy", "eval"])
    found = find([dataset], [mine, theirs])
    text = paper(found, {("both", "files"): "images/both-files.svg"})
    assert text == paper(find([dataset], [mine, theirs]), {("both", "files"): "images/both-files.svg"})
    assert re.findall(r"^#+ .*$", text, re.MULTILINE) == [
        "# What was found",
        "## both",
        "### Evidence found",
        "### Share of the files found",
        "### Who is ahead, in points",
        "### Tokens to evidence",
        "### Answers",
        "### Cost",
    ]
    assert "| answerable % | 100 | 1,000 |" in text
    assert "| ours | 100.0 | 100.0 |\n| theirs | 50.0 | 50.0 |" in text
    assert "| theirs | too few documents [+0.0, +0.0] |" in text
    assert "| ours | 2 | 2 |" in text
    assert "| ours | 100 | 100.0 | – | – | 100.0 | 0.0 | 0.0 | – |" in text
    assert "| ours | 0 | 1,000.0 | 1,050.0 | 150.0 | 60.0 |" in text
    assert "Reading the file takes 250.0 ms" in text
    assert "![files by budget, both](images/both-files.svg)" in text
    assert "```bash\nhierarchy eval\n```" in text
    assert "No system ever read more than its budget." in text


def test_what_is_not_known_is_said_or_left_out(dataset, tmp_path):
    """No record, no answers, one system alone, a prediction twice, one over its budget."""
    path = write(tmp_path / "p.jsonl", system="head")
    path.write_text(path.read_text() + path.read_text().replace('"budget": 100,', '"budget": 1,'))
    text = paper(find([dataset], [path]), {})
    assert "no timings" in text
    assert "### Answers" not in text
    assert "### Who is ahead" not in text
    assert "2 predictions were made twice" in text
    assert "Over its budget and cut there: head 1 times." in text


def test_figures_of_weights_on_what_they_were_fitted_on_say_so(dataset, tmp_path, monkeypatch):
    """Above the tables, for our systems alone, on sets of a name that the weights have on record."""
    monkeypatch.setattr(ours, "shipped_forest", lambda: SimpleNamespace(origin={"questions": {"both": 2}}))
    assert not ours.fitting_notes("other", ["hierarchy"])
    assert not ours.fitting_notes("both", ["bm25", "random"])
    (note,) = ours.fitting_notes("both", ["hierarchy", "bm25", "top-k"])
    assert note.startswith("The weights of hierarchy, top-k were fitted on a set named both")
    text = paper(find([dataset], [write(tmp_path / "p.jsonl", system="hierarchy")]), {})
    assert text.index("**Note.** The weights of hierarchy were fitted") < text.index("### Evidence found")


def test_a_file_about_no_set_is_refused(dataset, tmp_path):
    """Rather than left out in silence."""
    other = tmp_path / "other.jsonl"
    other.write_text('{"id": "zz", "budget": 9, "spans": []}\n')
    with pytest.raises(InputError, match=r"other\.jsonl"):
        find([dataset], [write(tmp_path / "p.jsonl", system="head"), other])


@needs_matplotlib
def test_equal_figures_give_equal_files(dataset, tmp_path):
    """An SVG without a date, with a line for each system."""
    path = write(tmp_path / "p.jsonl", system="head")
    ((found),) = find([dataset], [path])
    first, second = (curves.curves(found.boards, "files", "title") for _ in range(2))
    assert first == second
    assert first.startswith(b"<?xml")
    assert b"dc:date" not in first


@needs_matplotlib
def test_reliability_is_drawn_as_it_was_counted():
    """Equal groups give equal files; other ones another."""
    groups = ((0.02, 0.03, 90_000), (0.4, 0.38, 700), (0.9, 0.93, 60))
    first, second = (curves.reliability(groups, "title") for _ in range(2))
    assert first == second
    assert first.startswith(b"<?xml")
    assert b"dc:date" not in first
    assert curves.reliability(((0.02, 0.9, 90_000), *groups[1:]), "title") != first


def test_missing_matplotlib_is_said_with_the_remedy(monkeypatch):
    """Before anything is counted."""
    monkeypatch.setattr(curves, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install .*\[eval\]"):
        curves.check_drawing()
