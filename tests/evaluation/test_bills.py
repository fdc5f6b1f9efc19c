"""What answers take: means and medians, what is known and what isn't, what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from hierarchy.budget import NOTHING, Usage
from hierarchy.energy import energy_wh
from hierarchy.evaluation.bills import Spread, bill_figures
from hierarchy.evaluation.predictions import Bill, Prediction, read_predictions, to_line
from hierarchy.evaluation.report import bill_rows
from hierarchy.evaluation.sets import Case, EvaluationSet

CASES = tuple(Case(id=f"c{number}", doc_id="d", question="?") for number in range(4))
DATASET = EvaluationSet(folder=Path("set"), cases=CASES)


def usage(tokens, cost=0.0, calls=1):
    return Usage(input_tokens=tokens - 10, output_tokens=10, calls=calls, cost_usd=cost)


def line(number, bill=None, *, budget=1_000, **fields):
    return Prediction(id=f"c{number}", budget_tokens=budget, spans=(), system="s", bill=bill, **fields)


def bill(tokens, cost=0.0, *, seconds=1.0, recalled=NOTHING, model="m"):
    used = usage(tokens, cost)
    return Bill(usage=used, by_stage=(("compose", used),), recalled=recalled, seconds=seconds, model=model)


def figures(*lines, budget=1_000):
    return bill_figures(DATASET, lines)["s"][budget]


def test_means_and_medians_are_over_questions():
    """Both, since a few dear questions make the one and not the other."""
    row = figures(
        line(0, bill(100, 0.01)), line(1, bill(200, 0.02, seconds=3.0)), line(2, bill(900, 0.09, seconds=2.0))
    )
    assert (row.questions, row.tokens, row.seconds) == (3, Spread(mean=400, median=200), Spread(mean=2, median=2))
    assert (row.cost_usd.mean, row.cost_usd.median) == (pytest.approx(0.04), 0.02)
    assert row.calls == Spread(mean=1, median=1)


def test_one_unknown_price_makes_the_price_unknown():
    """The mean of those that are known would be another figure."""
    row = figures(line(0, bill(100, 0.01)), line(1, bill(100, None)))
    assert (row.cost_usd, row.tokens.mean) == (None, 100)


def test_what_goes_over_the_budget_is_counted():
    """A token is enough; the budget itself is allowed."""
    assert figures(line(0, bill(1_000)), line(1, bill(1_001))).overruns == 1


def test_time_counts_only_where_no_reply_was_there_already():
    """A reply from a store is no reply that came fast."""
    row = figures(line(0, bill(100, seconds=4.0)), line(1, bill(100, seconds=0.1, recalled=usage(100))))
    assert (row.seconds, row.tokens.mean) == (Spread(mean=4, median=4), 100)


def test_what_went_wrong_is_counted_and_the_later_line_holds():
    """A failed question that was asked again is none any more."""
    failed = line(0, error="No.")
    assert (figures(failed, line(1, bill(9), partial=True)).failed, figures(failed, line(0, bill(9))).failed) == (1, 0)
    row = figures(failed, line(1, bill(20), partial=True))
    assert (row.questions, row.partial, row.tokens.mean) == (1, 1, 20)
    assert figures(failed).tokens is None


def test_lines_without_bills_and_of_other_sets_are_left_out():
    assert bill_figures(DATASET, [line(0), line(9, bill(9))]) == {}


def test_budgets_ascend():
    both = bill_figures(DATASET, [line(0, bill(9), budget=2_000), line(0, bill(9))])["s"]
    assert list(both) == [1_000, 2_000]


def test_watt_hours_are_a_range_of_the_mean():
    """Or nothing, where one model isn't known."""
    known = line(0, bill(100, model="openai/gpt-4o"))
    low, high = energy_wh("openai/gpt-4o", 10)
    assert figures(known, line(1, bill(300, model="openai/gpt-4o"))).wh == (low, high)
    assert figures(known, line(1, bill(300, model="m"))).wh is None
    assert "–" in bill_rows(bill_figures(DATASET, [known]))[1][10]


def test_a_row_shows_what_is_not_known_as_a_dash():
    _, row = bill_rows(bill_figures(DATASET, [line(0, bill(1_234, None, seconds=None), budget=2_000)]))
    assert row == ("s", "2,000", "1", "1,234", "1,234", "1.0", "–", "–", "–", "–", "–", "0", "0", "0")


def test_a_bill_survives_its_file(tmp_path):
    """Every field, unknown ones included."""
    full = Bill(
        usage=usage(500, 0.25, calls=2),
        by_stage=(("route", usage(100, 0.05)), ("compose", usage(400, 0.2))),
        recalled=usage(100, 0.05),
        seconds=1.25,
        model="openai/a",
        summary_model="openai/b",
    )
    lines = (line(0, full, partial=True), line(1, bill(9, None, seconds=None)), line(2, error="No. “Ü”"))
    path = tmp_path / "p.jsonl"
    path.write_text("".join(map(to_line, lines)))
    assert read_predictions(path) == lines
