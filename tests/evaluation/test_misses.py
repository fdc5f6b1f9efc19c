"""Misses: each question that wasn't answerable is put down to one cause, found ones to none."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from hierarchy.cli import main
from hierarchy.evaluation.misses import causes, rows
from hierarchy.evaluation.predictions import Prediction, TextSpan, to_line
from hierarchy.evaluation.sets import load_set

FILLER = "The weather was dull and tea was served at four. " * 120
GOLD = "Warfarin was stopped on 3 May because of a bleed, and apixaban begun a week later at a lower dose. "


@pytest.fixture
def dataset(tmp_path):
    """One text with one question, the evidence in its middle."""
    folder = tmp_path / "own"
    (folder / "docs").mkdir(parents=True)
    text = FILLER + GOLD + FILLER
    (folder / "docs" / "chart.txt").write_text(text, encoding="utf-8")
    start = len(FILLER)
    gold = {"start": start, "end": start + len(GOLD) - 1, "text": GOLD[:-1], "group": 0}
    case = {"id": "a", "doc_id": "chart", "question": "When?", "answer": "3 May", "evidence": [gold], "split": "dev"}
    (folder / "cases.jsonl").write_text(json.dumps(case) + "\n", encoding="utf-8")
    return load_set(folder)


def read(start, end, budget=200, system="s"):
    at = len(FILLER)
    return Prediction(id="a", budget_tokens=budget, spans=(TextSpan(start=at + start, end=at + end),), system=system)


@pytest.mark.parametrize(
    ("prediction", "cause"),
    [
        (read(0, len(GOLD)), ""),
        (read(0, len(GOLD) // 2), "in part"),
        (read(200, 400), "nearby"),
        (read(-400, -100), "nearby"),
        (read(4_000, 4_200), "elsewhere"),
        (read(0, len(GOLD), budget=5), "too long"),
    ],
)
def test_each_miss_has_a_cause(dataset, prediction, cause):
    """By how much of the evidence was read, what stands near it, and whether it could have been read at all."""
    ((key, counts),) = causes(dataset, [prediction]).items()
    assert key == ("s", prediction.budget_tokens)
    assert dict(counts) == {cause: 1}


def test_rows_add_up(dataset):
    """Systems and budgets apart; found and missed make all."""
    found = causes(dataset, [read(0, len(GOLD)), read(200, 400, system="t"), read(200, 400, budget=300)])
    header, *body = rows(found)
    assert header[3:] == ("found", "too long", "in part", "nearby", "elsewhere")
    assert [row[:4] for row in body] == [("s", "200", "1", "1"), ("s", "300", "1", "0"), ("t", "200", "1", "0")]
    assert all(int(row[2]) == sum(map(int, row[3:])) for row in body)


def test_the_command(dataset, tmp_path):
    """It prints the table; predictions of another set are refused."""
    file = tmp_path / "p.jsonl"
    file.write_text(to_line(read(200, 400)))
    done = CliRunner().invoke(main, ["eval", "misses", str(dataset.folder), str(file), "--markdown"])
    assert done.exit_code == 0, done.output
    assert "| s | 200 | 1 | 0 | 0 | 0 | 1 | 0 |" in done.stdout
    file.write_text(to_line(Prediction(id="other", budget_tokens=9, spans=(), system="s")))
    assert CliRunner().invoke(main, ["eval", "misses", str(dataset.folder), str(file)]).exit_code == 3
