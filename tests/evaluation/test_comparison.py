"""Verdicts: none where there is nothing, one where five points were planted, and as few false ones as promised."""

from __future__ import annotations

import json

import numpy as np
import pytest

from hierarchy.evaluation.figures import LEAST_DOCUMENTS, compare, paired, score
from hierarchy.evaluation.predictions import Prediction, TextSpan
from hierarchy.evaluation.report import comparison_rows, duel_rows
from hierarchy.evaluation.sets import load_set

BUDGETS = (20, 40)
DOCUMENTS, CASES = 100, 10
GOLD, ELSEWHERE = TextSpan(start=0, end=7), TextSpan(start=30, end=37)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A hundred small documents with ten questions each, all answered by the first two words."""
    folder = tmp_path_factory.mktemp("set")
    (folder / "docs").mkdir()
    lines = []
    for number in range(DOCUMENTS):
        (folder / f"docs/d{number}.txt").write_text("one two six ten red big cat dog sun sky, and so on.")
        for case in range(CASES):
            record = {"id": f"{number}-{case}", "doc_id": f"d{number}", "question": "?", "answer": "A"}
            lines.append(json.dumps({**record, "evidence": [{"start": 0, "end": 7}]}))
    (folder / "cases.jsonl").write_text("\n".join(lines))
    return load_set(folder)


def predictions(dataset, found, system):
    """A line per case and budget; what is found is a row per budget."""
    return [
        Prediction(id=case.id, budget_tokens=budget, spans=(GOLD if hit else ELSEWHERE,), system=system)
        for budget, row in zip(BUDGETS, found, strict=True)
        for case, hit in zip(dataset.cases, row, strict=True)
    ]


@pytest.fixture(scope="module")
def found():
    """Sixty per cent found, some documents being harder than others."""
    draw = np.random.default_rng(7)
    easy = np.repeat(draw.uniform(0.3, 0.9, DOCUMENTS), CASES)
    return draw.random((len(BUDGETS), DOCUMENTS * CASES)) < easy


def test_a_system_against_itself_has_no_winner_anywhere(dataset, found):
    """An A/A run: two runs of one system, at every budget and by every figure."""
    a, b = score(dataset, predictions(dataset, found, "a") + predictions(dataset, found, "b"))
    for figure in ("answerable", "coverage", "groups"):
        rows = comparison_rows([(a, b)], figure)[1:]
        assert [row[2:] for row in rows] == [(str(n), "+0.0", "[+0.0, +0.0]", "no winner") for n in BUDGETS]
    assert duel_rows(a, [b])[1] == ("b", *["no winner [+0.0, +0.0]"] * 2)


def test_five_planted_points_are_found(dataset, found):
    """One in eight misses found and one hit in twelve lost … net of five points in a hundred: ahead at both budgets."""
    draw = np.random.default_rng(11)
    better = found.copy()
    for row in better:
        gained = draw.permutation(np.flatnonzero(~row))[:80]
        lost = draw.permutation(np.flatnonzero(row))[:30]
        row[gained], row[lost] = True, False
    base, planted = score(dataset, predictions(dataset, found, "base") + predictions(dataset, better, "planted"))
    for difference in compare(planted, base).values():
        assert difference.mean == pytest.approx(0.05)
        assert difference.decided
    assert [row[-1] for row in comparison_rows([(planted, base)])[1:]] == ["planted", "planted"]
    assert [row[-1] for row in comparison_rows([(base, planted)])[1:]] == ["planted", "planted"]
    assert duel_rows(planted, [base])[1][1].startswith("**+5.0** [+")


def test_luck_alone_wins_as_rarely_as_promised():
    """Of two hundred comparisons of equals with luck of their own, about one in twenty is decided, as 95 % says."""
    documents = [f"d{number}" for number in range(60) for _ in range(5)]
    decided = 0
    for seed in range(200):
        draw = np.random.default_rng(seed)
        a, b = (draw.random(len(documents)) < 0.6 for _ in range(2))
        decided += paired(documents, a.astype(float), b.astype(float), rounds=400).decided
    assert 2 <= decided <= 20


def test_few_documents_give_no_verdict(dataset, found):
    """However large the lead: of one document the interval is a point, and of five it tells too little."""
    for count in (1, LEAST_DOCUMENTS - 1, LEAST_DOCUMENTS):
        documents = [f"d{number}" for number in range(count)]
        difference = paired(documents, np.ones(count), np.zeros(count))
        assert difference.decided == (count == LEAST_DOCUMENTS)
