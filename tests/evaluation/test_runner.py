"""Runs: what they write, and going on after a kill."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from hierarchy.errors import InputError
from hierarchy.evaluation import runner
from hierarchy.evaluation.figures import score
from hierarchy.evaluation.predictions import (
    PageSpan,
    Prediction,
    TextSpan,
    read_predictions,
    scan_predictions,
    span_from_json,
    to_line,
)
from hierarchy.evaluation.runner import run
from hierarchy.evaluation.sets import load_set


@dataclass(frozen=True)
class Fixed:
    """Always reads the first characters; dies on a question that tells it to."""

    length: int = 3

    def prepare(self, document):
        def read(question, budget_tokens):
            if question == "die":
                raise InputError("Told to die.")
            return (TextSpan(start=0, end=self.length),)

        return read


def write_set(folder, questions=("a", "b", "c", "d")):
    (folder / "docs").mkdir(parents=True)
    cases = []
    for number, question in enumerate(questions):
        doc_id = "xy"[number % 2]
        (folder / f"docs/{doc_id}.txt").write_text(f"The {doc_id} document says one two six ten. " * 40)
        evidence = [{"start": 0, "end": 5}]
        split = "dev" if number < 3 else "test"
        cases.append({"id": f"c{number}", "doc_id": doc_id, "question": question, "evidence": evidence, "split": split})
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    return load_set(folder)


@pytest.fixture
def dataset(tmp_path):
    """Four questions about two documents, by turns."""
    return write_set(tmp_path / "set")


def keys(path):
    return [(p["id"], p["system"], p["budget"]) for p in map(json.loads, path.read_text().splitlines())]


def test_lines_are_in_order_of_documents_systems_cases_and_budgets(dataset, tmp_path):
    """The file's order follows the set, whatever the order of budgets given; lines are in the scorer's format."""
    out = tmp_path / "made/p.jsonl"
    result = run(dataset, ["head", "random"], [20, 5], out=out, split="dev")
    assert (result.written, result.kept, result.notes) == (10 + 2, 0, ())
    assert keys(out) == [
        (case, system, budget)
        for cases in (("c0", "c2"), ("c1",))
        for system in ("head", "random")
        for case in cases
        for budget in (5, 20)
    ]
    first = json.loads(out.read_text().splitlines()[0])
    assert first == {"id": "c0", "system": "head", "budget": 5, "spans": [{"start": 0, "end": 23}]}


def test_a_killed_run_goes_on_and_ends_with_the_same_file(dataset, tmp_path):
    """Wherever the file was torn, the second run drops the torn line, says so, and the whole comes out equal."""
    whole = tmp_path / "whole.jsonl"
    run(dataset, ["random"], [5, 20], out=whole)
    data = whole.read_bytes()
    third = data.find(b"\n", data.find(b"\n") + 1)
    for end in (0, 10, third, third + 1, third + 30, len(data) - 1, len(data)):
        out = tmp_path / "torn.jsonl"
        out.write_bytes(data[:end])
        result = run(dataset, ["random"], [5, 20], out=out)
        assert out.read_bytes() == data
        assert (result.written + result.kept, len(result.notes)) == (8, end in (10, third + 30))


def test_what_is_there_is_neither_done_again_nor_loaded(dataset, tmp_path, monkeypatch):
    """A finished run is a no-op; a new budget adds only its own lines."""
    out = tmp_path / "p.jsonl"
    run(dataset, ["head"], [5], out=out)
    run(dataset, ["head"], [5, 20], out=out)
    assert keys(out)[4:] == [(case, "head", 20) for case in ("c0", "c2", "c1", "c3")]
    monkeypatch.setattr(runner, "load_document", lambda *_: pytest.fail("nothing is left to do"))
    assert run(dataset, ["head"], [5, 20], out=out).kept == 8


def test_a_damaged_file_is_refused(dataset, tmp_path):
    """A bad line in the middle is no torn one: it may be another file, and nothing is written to it."""
    out = tmp_path / "p.jsonl"
    out.write_text('{"id": "c0"}\n{"id": "c1", "budget": 5, "spans": []}\n')
    before = out.read_bytes()
    with pytest.raises(InputError, match="line 1: not a prediction"):
        run(dataset, ["head"], [5], out=out)
    assert out.read_bytes() == before


def test_processes_write_the_same_file(dataset, tmp_path):
    """Two documents at a time give the lines of one at a time, in the same order, and the clock adds up."""
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    run(dataset, ["bm25", "head"], [5, 20], out=one)
    result = run(dataset, ["bm25", "head"], [5, 20], out=two, jobs=2)
    assert two.read_bytes() == one.read_bytes()
    assert set(result.timings.systems) == {"bm25", "head"}
    assert result.timings.systems["bm25"].prepare_s > 0


def test_each_document_is_loaded_once_and_systems_may_be_ones_own(dataset, tmp_path, monkeypatch):
    """A document serves all its questions, systems and budgets."""
    loaded = []
    real = runner.load_document
    monkeypatch.setattr(runner, "load_document", lambda folder, doc: loaded.append(doc) or real(folder, doc))
    out = tmp_path / "p.jsonl"
    run(dataset, {"mine": Fixed(), "longer": Fixed(5)}, [5, 20], out=out)
    assert loaded == ["x", "y"]
    mine, longer = score(dataset, read_predictions(out))
    assert (mine.system, mine.figures(5).coverage, longer.figures(5).coverage) == ("mine", 0.6, 1.0)


def test_progress_counts_predictions_and_starts_with_what_is_kept(dataset, tmp_path):
    """It begins with what is done already, ends with all, and never goes back."""
    out, seen = tmp_path / "p.jsonl", []
    run(dataset, ["head"], [5], out=out)
    run(dataset, ["head"], [5, 20], out=out, progress=lambda *step: seen.append(step))
    assert seen[0] == (4, 8, "set")
    assert seen[-1] == (8, 8, "y")
    assert [done for done, _, _ in seen] == [4, 5, 6, 7, 8]


def test_what_was_predicted_before_an_error_is_kept(tmp_path):
    """A system that fails on the third question leaves the first two in the file."""
    dataset, out = write_set(tmp_path / "set", ("a", "b", "die")), tmp_path / "p.jsonl"
    with pytest.raises(InputError, match="Told to die"):
        run(dataset, {"mine": Fixed()}, [5], out=out)
    assert keys(out) == [("c0", "mine", 5)]


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_document_that_cannot_be_read_is_named(dataset, tmp_path, jobs):
    """The error says which document it was about and how to mend it, from another process too; the rest is kept."""
    (dataset.folder / "docs/y.txt").write_bytes(b"\xff")
    with pytest.raises(InputError) as caught:
        run(dataset, ["head"], [5], out=tmp_path / "p.jsonl", jobs=jobs)
    assert "'y'" in caught.value.__notes__[0]
    assert caught.value.hint
    assert keys(tmp_path / "p.jsonl") == [("c0", "head", 5), ("c2", "head", 5)]


@pytest.mark.parametrize("budgets", [[], [0], [5, -1]])
def test_budgets_that_cannot_be_are_refused_before_anything_is_written(dataset, tmp_path, budgets):
    """No empty file is left behind."""
    with pytest.raises(InputError, match="can't be kept"):
        run(dataset, ["head"], budgets, out=tmp_path / "p.jsonl")
    assert not (tmp_path / "p.jsonl").exists()


def test_predictions_survive_their_file(tmp_path):
    """Every kind of span and every optional field reads back equal, odd characters included."""
    predictions = (
        Prediction(id="a", budget_tokens=5, spans=(TextSpan(start=1, end=2), TextSpan(start=0, end=9, file="b/c.txt"))),
        Prediction(
            id="é", budget_tokens=9, spans=(PageSpan(page=0, text="𓀀\u2028\ud800\r\n"),), system="s", abstain=True
        ),
        Prediction(id="c", budget_tokens=9, spans=(), answer="42", abstain=False),
    )
    path = tmp_path / "p.jsonl"
    path.write_text("".join(map(to_line, predictions)))
    assert read_predictions(path) == predictions
    assert [span_from_json(span.to_json()) for p in predictions for span in p.spans] == [
        span for p in predictions for span in p.spans
    ]


def test_a_torn_file_is_not_scored_in_silence(tmp_path):
    """Reading for scores refuses what reading for a resumed run repairs."""
    path = tmp_path / "p.jsonl"
    path.write_text('{"id": "a", "budget": 5, "spans": []}\n{"id": "b", "bud')
    assert scan_predictions(path)[1] == len('{"id": "b", "bud')
    with pytest.raises(InputError, match="torn"):
        read_predictions(path)
    with pytest.raises(InputError, match="can't be read"):
        read_predictions(tmp_path / "none.jsonl")
