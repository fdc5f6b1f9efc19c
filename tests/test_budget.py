"""The bill and its cap: figures add up, unknown prices stay unknown, and budgets mean what people write."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.errors import InputError


def used(read=0, written=0, cost=None, calls=1):
    return Usage(input_tokens=read, output_tokens=written, calls=calls, cost_usd=cost)


class TestUsage:
    def test_adds_every_count(self):
        """Two bills together are the sum of each figure."""
        both = used(10, 2, 0.5) + used(5, 1, 0.25)
        assert both == used(15, 3, 0.75, calls=2)
        assert both.total_tokens == 18

    def test_unknown_cost_stays_unknown(self):
        """A sum with one unknown price has no price, on either side."""
        assert (used(cost=None) + used(cost=1.0)).cost_usd is None
        assert (used(cost=1.0) + used(cost=None)).cost_usd is None

    def test_nothing_is_neutral(self):
        """Summing from NOTHING keeps a known cost known and an unknown one unknown."""
        assert used(3, 4, 0.1) + NOTHING == used(3, 4, 0.1)
        assert (NOTHING + used(3, 4)).cost_usd is None

    @given(st.lists(st.floats(0, 1), max_size=6))
    def test_cost_does_not_depend_on_order(self, costs):
        """Costs add up to the same number in any order, unlike plain floats."""
        forward = sum((used(cost=cost) for cost in costs), NOTHING)
        assert forward == sum((used(cost=cost) for cost in reversed(costs)), NOTHING)


class TestBudget:
    @pytest.mark.parametrize(
        ("written", "tokens"),
        [
            (8_000, 8_000),
            ("8000", 8_000),
            ("8,000", 8_000),
            ("8_000", 8_000),
            (" 8k ", 8_000),
            ("8 K", 8_000),
            ("1.5k", 1_500),
            ("1.2345k", 1_234),
            ("0.5k", 500),
            ("2M", 2_000_000),
            ("5%", 5_000),
            ("0.01%", 10),
            ("150 %", 150_000),
        ],
    )
    def test_reads_what_people_write(self, written, tokens):
        """Each documented spelling means what it says; fractions of a token are rounded down."""
        assert Budget.parse(written, document_tokens=100_000) == Budget(tokens)

    @pytest.mark.parametrize(
        "written",
        [
            "",
            "k",
            "8kb",
            "-5",
            "1,5k",
            "8 000",
            "1.5",
            "5%%",
            "nan",
            "0",
            "0k",
            "0.0001k",
            0,
            -1,
            True,
            8.0,
            None,
            "٨k",
        ],
    )
    def test_refuses_everything_else(self, written):
        """What isn't a budget is refused with the remedy, never guessed."""
        with pytest.raises(InputError) as caught:
            Budget.parse(written, document_tokens=100_000)
        assert caught.value.hint

    def test_a_share_needs_a_document(self):
        """A percentage of nothing known, or one that comes to no token, is refused."""
        with pytest.raises(InputError, match="a document"):
            Budget.parse("5%")
        with pytest.raises(InputError, match="of 10 tokens comes to less than one token"):
            Budget.parse("5%", document_tokens=10)

    def test_a_budget_is_passed_through(self):
        """A Budget with its other caps survives parsing."""
        budget = Budget(100, max_calls=3)
        assert Budget.parse(budget) is budget

    @pytest.mark.parametrize(
        "caps",
        [
            {"max_calls": 0},
            {"max_calls": 1.5},
            {"max_cost_usd": 0},
            {"max_cost_usd": math.nan},
            {"max_cost_usd": math.inf},
            {"max_seconds": -1},
            {"max_seconds": "5"},
            {"max_seconds": True},
        ],
    )
    def test_refuses_caps_that_are_no_caps(self, caps):
        """Each cap is a positive number or absent."""
        with pytest.raises(InputError, match=next(iter(caps))):
            Budget(100, **caps)
