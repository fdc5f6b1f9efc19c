"""Means, intervals and differences over cases."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from hierarchy.errors import InputError
from hierarchy.evaluation.figures import Interval, bootstrap, compare, paired, score
from hierarchy.evaluation.predictions import Prediction, TextSpan
from hierarchy.evaluation.report import HEADER, comparison_rows, markdown, matrix, rows
from hierarchy.evaluation.sets import load_set


@pytest.fixture
def dataset(tmp_path):
    """Two documents, three cases with evidence and one without."""
    (tmp_path / "docs").mkdir()
    for name in ("x", "y"):
        (tmp_path / f"docs/{name}.txt").write_text("one two six ten red big cat dog sun sky", encoding="utf-8")
    cases = [
        ("a", "x", "A", [{"start": 0, "end": 7}]),
        ("b", "x", "B", [{"start": 19, "end": 27}]),
        ("c", "y", "C", [{"start": 0, "end": 7, "group": 0}, {"start": 11, "end": 15, "group": 1}]),
        ("d", "y", None, []),
    ]
    lines = [
        json.dumps({"id": i, "doc_id": d, "question": "?", "answer": a, "evidence": e, "split": "dev"})
        for i, d, a, e in cases
    ]
    (tmp_path / "cases.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return load_set(tmp_path)


def predict(case_id, start, end, *, system="s", budget=5, abstain=None):
    spans = (TextSpan(start=start, end=end),)
    return Prediction(id=case_id, budget_tokens=budget, spans=spans, system=system, abstain=abstain)


def test_figures_are_means_over_all_cases_with_a_missing_one_as_zero(dataset):
    """Case b was not predicted: it counts as not answerable, and as missing, but not in the tokens used."""
    (board,) = score(dataset, [predict("a", 0, 7), predict("c", 0, 39)])
    figures = board.figures(5)
    assert (figures.cases, figures.missing, figures.over_budget) == (3, 1, 1)
    assert (figures.answerable, figures.coverage, figures.groups) == (2 / 3, 2 / 3, 2 / 3)
    assert figures.used_tokens == 3.5


def test_tokens_to_evidence_are_read_at_the_largest_budget(dataset):
    """Smaller budgets say nothing about evidence found later; an unpredicted case is as far away as can be."""
    (board,) = score(dataset, [predict("a", 0, 3), predict("a", 0, 7, budget=9), predict("b", 0, 7, budget=9)])
    assert board.budgets == (5, 9)
    assert board.tokens_to_evidence(50) == 10  # 2 for a, never within 10 for b, unpredicted c
    assert board.tokens_to_evidence(0) == 2
    assert board.tokens_to_evidence(100) == 1_000_000


def test_systems_in_one_file_are_scored_apart(dataset):
    """Each system gets a scoreboard of its own, in order of appearance; a repeated line replaces the one before."""
    lines = [predict("a", 11, 15), predict("a", 0, 7, system="t"), predict("a", 0, 7)]
    first, second = score(dataset, lines)
    assert (first.system, second.system) == ("s", "t")
    assert first.values(5).tolist() == second.values(5).tolist() == [1.0, 0.0, 0.0]


def test_predictions_for_other_cases_are_left_out_and_nothing_at_all_is_an_error(dataset):
    """A file for another set is told, not scored as zero."""
    (board,) = score(dataset, [predict("a", 0, 7), predict("z", 0, 7), predict("d", 0, 7)])
    assert board.figures(5).missing == 2
    with pytest.raises(InputError, match="None of 1 predictions"):
        score(dataset, [predict("z", 0, 7)])


def test_abstentions_are_counted_apart_for_cases_with_and_without_an_answer(dataset):
    """To abstain is right where the document holds no answer and wrong elsewhere."""
    lines = [predict(i, 0, 7, abstain=i in "ad") for i in "abcd"]
    (board,) = score(dataset, lines)
    assert board.abstained_unanswerable == 1.0
    assert board.abstained_answerable == 1 / 3
    (silent,) = score(dataset, [predict("a", 0, 7)])
    assert silent.abstained_unanswerable is silent.abstained_answerable is None


def test_the_interval_is_drawn_over_documents():
    """Two documents, one all right and one all wrong: a draw is 0, 1 or between, so the interval is 0 to 1."""
    interval = bootstrap(["x", "x", "x", "y"], np.array([1.0, 1.0, 1.0, 0.0]))
    assert interval == Interval(low=0.0, high=1.0)
    # As single documents the same values leave less doubt.
    single = bootstrap([f"d{i}" for i in range(40)], np.array([1.0, 1.0, 1.0, 0.0] * 10))
    assert 0.5 < single.low < 0.75 < single.high < 1.0


def test_the_interval_is_that_of_the_stated_draws():
    """It equals a plain loop over the same seeded draws, to the last digit."""
    documents, values = ["p", "q", "p", "r", "q"], np.array([1.0, 0.0, 1.0, 1.0, 0.0])
    cases = {name: [v for d, v in zip(documents, values, strict=True) if d == name] for name in "pqr"}
    draws = np.random.default_rng(0).integers(0, 3, (2000, 3))
    means = []
    for draw in draws:
        drawn = [value for index in draw for value in cases["pqr"[index]]]
        means.append(sum(drawn) / len(drawn))
    low, high = np.percentile(means, [2.5, 97.5])
    assert bootstrap(documents, values) == Interval(low=low, high=high)


def test_a_system_against_itself_has_no_winner(dataset):
    """An A/A comparison is 0 with an interval that holds 0."""
    (board,) = score(dataset, [predict("a", 0, 7)])
    difference = compare(board, board)[5]
    assert difference.mean == 0.0
    assert not difference.decided


def test_a_clear_lead_is_found_and_a_chance_one_is_not():
    """A system that is ahead in 30 of 40 documents wins; one ahead in some and behind in others doesn't."""
    documents = [f"d{i}" for i in range(40)]
    base = np.zeros(40)
    lead = paired(documents, np.array([1.0] * 30 + [0.0] * 10), base)
    assert lead.decided
    assert lead.mean == 0.75
    assert not paired(documents, np.array([1.0, -1.0] * 20), base).decided


def test_systems_scored_on_different_cases_are_not_compared(dataset):
    """A paired difference needs pairs."""
    (board,) = score(dataset, [predict("a", 0, 7)])
    fewer = dataclasses.replace(board, cases=board.cases[:1])
    with pytest.raises(InputError, match="different cases"):
        compare(board, fewer)


def test_tables_hold_the_figures_as_text(dataset):
    """Rows fit their header, the matrix has a column per budget and a dash where nothing was predicted."""
    boards = score(dataset, [predict("a", 0, 7), predict("a", 0, 7, budget=1000), predict("a", 11, 15, system="t")])
    table = rows(boards)
    assert all(len(row) == len(HEADER) for row in table)
    assert table[0][:4] == ("s", "5", "3", "33.3")
    assert table[0][5:] == ("33.3", "33.3", "–", "2", "0", "2")
    assert matrix(boards) == (("answerable %", "5", "1,000"), ("s", "33.3", "33.3"), ("t", "0.0", "–"))
    assert markdown(HEADER, table).count("\n") == 5
    assert comparison_rows([(boards[0], boards[1])])[1][:4] == ("s", "t", "5", "+33.3")
