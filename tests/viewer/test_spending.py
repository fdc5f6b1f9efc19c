"""Where the tokens went: the bar, the calls in order, and the whole run against reading everything."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text
from traced import large_trace, trace_of

from hierarchy.budget import Budget, Usage
from hierarchy.events import (
    Answered,
    Finished,
    ModelFacts,
    Planned,
    Recalled,
    Released,
    Reserved,
    Retried,
    Settled,
    Started,
)
from hierarchy.trace import Trace
from hierarchy.viewer.bars import Bar
from hierarchy.viewer.palette import Flow, in_ascii
from hierarchy.viewer.spending import calls_of, calls_view, compared_view, ledger_view


def drawn(renderable, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None, _environ={})
    console.print(renderable)
    return console.file.getvalue()


def started(**changes):
    facts = ModelFacts(role="answer", name="acme/large", input_usd=1e-5, output_usd=1e-4, context_tokens=9_000)
    fields = {
        "question": "?", "document": "a.md", "source_names": ("a.md",), "document_key": "k", "document_tokens": 20_000,
        "budget": Budget(1_000), "model": "acme/large", "models": (facts,),
    }  # fmt: skip
    return Started(**{**fields, **changes})


def reserved(call, stage="compose", **changes):
    fields = {"input_tokens": 300, "max_output_tokens": 100, "tokens": 400, "model": "acme/large"}
    return Reserved(call=call, stage=stage, **{**fields, **changes})


def settled(call, tokens_in=300, tokens_out=50, **changes):
    usage = Usage(input_tokens=tokens_in, output_tokens=tokens_out, calls=1, cost_usd=0.008)
    return Settled(call=call, usage=usage, **changes)


ANSWERED = Answered(text="Yes.", abstained=False, confidence=0.5, partial=False, citations=(), receipt={})


class TestLedger:
    def test_stages_what_is_held_and_what_is_free(self):
        """Against the cap, which all parts together never exceed; each part has its sign in the legend."""
        text = drawn(ledger_view(Trace((started(), reserved(1, "route"), settled(1, 90, 10), reserved(2)))))
        assert "█ route 100 10%   ░ held 400 40%   ─ free 500 50%" in text
        assert text.splitlines()[1].strip() == "█" * 8 + "░" * 31 + "─" * 39

    def test_more_than_was_reserved_is_said(self):
        """And the bar is full, not longer."""
        events = (started(), reserved(1), settled(1, 1_000, 100, overdraft_tokens=700), Finished(usage=Usage()))
        text = drawn(ledger_view(Trace((*events[:3],))))
        assert "700 billed beyond what was reserved" in text
        assert len(text.splitlines()[1].strip()) == 78

    def test_every_cap_is_told(self):
        """Tokens, calls, money and seconds."""
        budget = Budget(1_000, max_calls=5, max_cost_usd=0.5, max_seconds=30)
        text = drawn(ledger_view(Trace((started(budget=budget), reserved(1), settled(1)))), 120)
        assert "350 of 1,000 tokens spent · 1 call of 5 · $0.0080 of $0.5000 · 30 seconds at most" in text

    @given(st.lists(st.integers(0, 5_000), max_size=5), st.integers(0, 5_000), st.integers(1, 5_000))
    def test_what_is_held_never_overflows(self, parts, held, whole):
        """Beside any parts."""
        cells = Bar(parts, whole, held=held).cells(40)
        assert sum(cells) <= 40
        assert len(cells) == len(parts) + bool(held)


class TestCalls:
    EVENTS = (
        started(),
        Recalled(stage="route", usage=Usage(input_tokens=70, output_tokens=7, calls=1), model="acme/small"),
        reserved(1),
        Released(call=1, attempted=True, error="Overloaded."),
        Retried(call=1, attempt=2, wait_s=0.5),
        reserved(2),
        settled(2, error="Broke off."),
        reserved(3),
        settled(3, seconds=1.25, cached=True),
        reserved(4),
    )

    def test_what_became_of_each(self):
        """In the order in which they were asked for."""
        calls = calls_of(Trace(self.EVENTS))
        assert [call.outcome for call in calls] == ["recalled", "refused", "failed", "cached", "under way"]
        assert [call.again for call in calls] == [None, 0.5, None, None, None]
        text = drawn(calls_view(Trace(self.EVENTS), width=120), 120)
        for part in (
            "paid for before: 77 not billed", "✗ refused, again after 0.5 s", "✗ failed", "✓ cached", "▸ under way",
            "1: Overloaded.   2: Broke off.", "acme/small", "1.2",
        ):  # fmt: skip
            assert part in text

    @pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
    def test_it_fits(self, width):
        """Columns go where there is no room for them; figures stay whole."""
        text = drawn(calls_view(Trace(self.EVENTS), width=width), width)
        assert all(len(line) <= width for line in text.splitlines())
        assert "0.0080" in text

    def test_made_again_only_where_it_was(self):
        """A retry that no longer fit the budget isn't said to have been made."""
        failed = (reserved(1), settled(1, error="Broke off."), Retried(call=1, attempt=2, wait_s=0.5))
        assert "again" not in drawn(calls_view(Trace(failed)))
        assert "again" not in drawn(calls_view(Trace((*failed, reserved(2, "refine")))))
        assert "✗ failed, again after 0.5 s" in drawn(calls_view(Trace((*failed, reserved(2), settled(2)))))

    def test_thousands_of_calls_share_rows(self):
        """Those of a stage that ended alike; nothing is lost from the sums."""
        text = drawn(calls_view(large_trace(nodes=2_000, calls=1_500, reads=5)))
        assert len(text.splitlines()) == 4
        assert "1–1500  refine  750,000  75,000  ✓ 1,500 answered" in text

    def test_nobody_was_called(self):
        """Then there is nothing to show."""
        assert calls_view(trace_of("gathered")) is None


class TestCompared:
    def test_against_reading_everything(self):
        """All of the document sent once, at the model's own price; and whether it would fit."""
        text = " ".join(drawn(compared_view(Trace((started(), reserved(1), settled(1), ANSWERED)))).split())
        assert "tokens 350 20,000 1.8%" in text
        assert "USD $0.0080 $0.2000 4.0%" in text
        assert "Everything is more than acme/large takes: 9,000 tokens." in text

    def test_only_what_can_be_compared(self):
        """Not a run that was cut off, nor one that did read everything."""
        assert compared_view(Trace((started(), reserved(1), settled(1)))) is None
        whole = Planned(way="whole", why="All fits.")
        assert compared_view(Trace((started(), whole, reserved(1), settled(1), ANSWERED))) is None

    def test_what_is_not_known_is_not_guessed(self):
        """Without prices there is no row for them."""
        text = drawn(compared_view(Trace((started(models=()), reserved(1), settled(1), ANSWERED))))
        assert "USD" not in text
        assert "Wh" not in text

    def test_energy_of_a_known_model(self):
        name = "openai/gpt-4o-mini"
        facts = ModelFacts(role="answer", name=name)
        text = drawn(compared_view(Trace((started(model=name, models=(facts,)), reserved(1), settled(1), ANSWERED))))
        assert "Wh: estimated by ecologits" in text


class TestPalette:
    @given(st.text())
    def test_ascii_is_as_wide(self, text):
        """So that columns stay where they are, whatever a document holds."""
        from hierarchy.viewer.text import one_line

        line = one_line(text)
        assert in_ascii(line).isascii()
        assert len(in_ascii(line)) == sum(map(cell_len, line))

    @given(st.lists(st.integers(1, 30), max_size=12), st.integers(30, 80))
    def test_entries_stay_whole(self, lengths, width):
        """As many to a line as fit, in order."""
        entries = [Text("x" * length) for length in lengths]
        lines = [line.split("   ") for line in drawn(Flow(entries), width).splitlines()]
        assert [len(entry) for line in lines for entry in line] == lengths
