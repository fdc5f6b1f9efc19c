"""Accuracy of answers: each way of judging, what it lets pass and what it doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierarchy.evaluation.answers import (
    answer_figures,
    auroc,
    choice_match,
    exact_match,
    numeric_match,
    token_f1,
)
from hierarchy.evaluation.predictions import Prediction
from hierarchy.evaluation.sets import Case, EvaluationSet

CHOICES = ("no significant difference", "significantly increased", "significantly decreased")


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("The Board.", "board", True),
        ("board of directors", "board", False),
        ("4.2%", "4.2 %", False),
        ("1,577", "1577", True),
        ("", "board", False),
        ("", "", False),
        ("b.txt and a.txt", ("a.txt", "b.txt"), True),
        ("a.txt; b.txt\nc.txt", ("a.txt", "b.txt"), False),
        ("a.txt", ("a.txt", "b.txt"), False),
    ],
)
def test_exact(answer, gold, right):
    """Case, articles and punctuation don't matter; a list needs all and no more."""
    assert exact_match(answer, gold) == right


def test_overlap_in_words_is_the_harmonic_mean():
    """Two of three words, and two of four: 2·2 / 7. Nothing said overlaps with nothing."""
    assert token_f1("capital expenditure rose", "capital expenditure of 2018") == pytest.approx(4 / 7)
    assert token_f1("the same", "same") == 1.0
    assert token_f1("x y", ("y", "x")) == 1.0
    assert token_f1("y y", "y") == pytest.approx(2 / 3)
    assert token_f1("", "same") == token_f1("other", "same") == 0.0


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("$1,577 million [2].", "$1577.00", True),
        ("It was $1.577 billion.", "$1577.00", True),
        ("It was 1577.", "$1577.00", True),
        ("It was $1.577.", "$1577.00", False),
        ("In FY2018 capital expenditure was $1,577 million.", "$1577.00", True),
        ("0.659", "0.66", True),
        ("0.65", "0.66", False),
        ("66%", "0.66", True),
        ("0.042", "4.2%", True),
        ("It fell by (4.2)%", "-4.2%", True),
        ("4.2%", "-4.2%", False),
        ("Figures follow. Then 1577", "$1577.00", False),
        ("", "1577", False),
        ("none", "0", False),
        ("0", "0", True),
        ("It rose.", "It rose by 5%", None),
        ("5", ("5", "6"), None),
    ],
)
def test_numeric(answer, gold, right):
    """Scale words, per cents and signs are read; only the first sentence counts; citations are no numbers."""
    assert numeric_match(answer, gold) is right


def test_the_tolerance_is_a_share():
    """Of the gold figure, both ways."""
    assert numeric_match("101", "100")
    assert not numeric_match("102", "100")
    assert numeric_match("104", "100", tolerance=0.05)


@pytest.mark.parametrize(
    ("answer", "right"),
    [
        ("Significantly increased", True),
        ("b", True),
        ("(B)", True),
        ("a)", False),
        ("z", False),
        ("It is significantly increased, not significantly decreased.", False),
        ("", False),
    ],
)
def test_choice(answer, right):
    """By words or letter, and only one."""
    assert choice_match(answer, "significantly increased", CHOICES) is right


@pytest.mark.parametrize(
    ("answer", "gold", "right"),
    [
        ("Yes.", "Yes", True),
        ("yes, by either party", "Yes", True),
        ("No: nothing was found.", "No", True),
        ("Not before May.", "No", False),
        ("No.", "Yes", False),
        ("Either party may.", "Yes", False),
        ("", "No", False),
        ("No.", "No, it fell.", None),
    ],
)
def test_yes_and_no_are_choices(answer, gold, right):
    """Said first and as a word of its own; who only implies it isn't counted."""
    assert choice_match(answer, gold, ()) is right


def test_a_choice_within_another_is_not_named_by_it():
    """The longer choice doesn't name the shorter that it holds."""
    assert choice_match("partly increased", "increased", ("increased", "partly increased")) is False
    assert choice_match("anything", "gold", ()) is None


def test_auroc_counts_pairs():
    """Ties half; nothing to tell without both kinds."""
    assert auroc([3, 2, 1], [True, True, False]) == 1.0
    assert auroc([1, 2], [True, False]) == 0.0
    assert auroc([1, 1, 1], [True, False, False]) == 0.5
    assert auroc([1.0], [True]) is None


def dataset(*cases):
    return EvaluationSet(folder=Path("set"), cases=cases)


def case(number, answer, choices=()):
    return Case(id=f"c{number}", doc_id="d", question="?", answer=answer, choices=choices)


def said(number, answer=None, *, abstain=None, confidence=None, budget=10, system="s"):
    return Prediction(
        id=f"c{number}",
        budget_tokens=budget,
        spans=(),
        system=system,
        answer=answer,
        abstain=abstain,
        confidence=confidence,
    )


def test_silence_is_wrong_where_there_is_an_answer():
    """Missing, empty and abstained count alike; the answerless case is judged by its abstention alone."""
    cases = dataset(case(0, "5"), case(1, "red"), case(2, "blue"), case(3, "green"), case(4, None))
    predictions = [
        said(0, "5.0", abstain=False, confidence=0.9),
        said(1, "red", abstain=True, confidence=0.3),
        said(2, ""),
        said(4, abstain=True, confidence=0.4),
    ]
    figures = answer_figures(cases, predictions)["s"][10]
    assert (figures.cases, figures.exact, figures.f1, figures.numeric, figures.choice) == (4, 0.0, 0.0, 1.0, None)
    assert (figures.abstained_unanswerable, figures.abstained_answerable, figures.auroc) == (1.0, 0.5, 0.5)


def test_systems_and_budgets_are_told_apart():
    """Those that say nothing aren't there; confidence alone makes no accuracy."""
    cases = dataset(case(0, CHOICES[1], CHOICES), case(1, None))
    figures = answer_figures(
        cases,
        [
            said(0, CHOICES[1], system="a", budget=20),
            said(0, CHOICES[0], system="a"),
            said(0, system="silent"),
            said(0, confidence=0.7, system="sure"),
            said(1, confidence=0.2, system="sure"),
            said(9, "other", system="b"),
        ],
    )
    assert list(figures) == ["a", "sure"]
    assert [(budget, row.choice, row.exact) for budget, row in figures["a"].items()] == [(10, 0.0, 0.0), (20, 1.0, 1.0)]
    assert (figures["sure"][10].exact, figures["sure"][10].auroc) == (None, 1.0)
