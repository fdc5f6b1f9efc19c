from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.loaders.tables import line_starts, numeric_cells, row_lines, row_spans


@pytest.mark.parametrize(
    ("line", "cells"),
    [
        ("Net income $ 1,693,954 $ 1,168,782 $ 629,551", 3),
        ("Loss (2,503) (1,618) — (9,226)", 4),
        ("Gross margin 45.2% 44.9%", 2),
        ("Total assets 5,000", 1),
        ("for 2018, and that was all.", 0),
        ("see the notes — –", 2),
        ("", 0),
    ],
)
def test_cells_at_the_end_are_counted(line, cells):
    """Numbers, percentages, negative numbers and dashes at the end of a line are its cells."""
    assert numeric_cells(line) == cells


def test_rows_take_their_heads_and_wrapped_labels():
    """Years and units above a table are rows, as are labels that wrap between rows; prose around isn't."""
    lines = [
        "The following table shows what was sold during the year by each of our three segments.",
        "(in millions)",
        "2018 2017",
        "Sales 10 20",
        "Other income and expense, net of",
        "taxes 1 2",
        "Total 11",
        "We expect more.",
    ]
    assert row_lines(lines) == [False, True, True, True, True, True, True, False]


def test_prose_with_numbers_isnt_a_row():
    """A long sentence that breaks after two numbers stays prose."""
    line = "while the sales of the whole group in all its markets together "
    line += "and of all its lines of products were 5 and 7 in 2018 2019"
    assert row_lines([line]) == [False]


def test_a_heading_between_tables_isnt_a_row():
    """A note's title between two near rows stays free to be a heading."""
    assert row_lines(["Sales 10 20", "Note 4 — Inventories", "Stock 10 20"]) == [True, False, True]


@given(st.lists(st.text(st.characters(exclude_characters="\n")), max_size=20))
def test_spans_stand_on_their_lines(lines):
    """Row spans are ascending, apart, and never reach over a line's end."""
    text = "\n".join(lines)
    spans = row_spans(lines, line_starts(lines))
    assert all("\n" not in text[span.start : span.end] for span in spans)
    assert all(a.end < b.start for a, b in pairwise(spans))
