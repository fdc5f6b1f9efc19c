"""Watt-hours: an estimate where model and package are known, and nothing anywhere else."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from hierarchy import energy
from hierarchy.budget import Usage
from hierarchy.cli import main
from hierarchy.energy import bill_wh, energy_wh, estimator
from hierarchy.engine import Reasoner
from hierarchy.models import FunctionModel

BIG, SMALL = "openai/gpt-4o", "openai/gpt-4o-mini"


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """Whatever opens a socket fails the test."""
    monkeypatch.setattr(socket, "socket", lambda *_, **__: pytest.fail("a socket was opened"))


class TestEstimate:
    def test_it_is_a_range_in_watt_hours(self):
        """More for more tokens and for larger models; of the size that is published: a page takes a few watt-hours."""
        low, high = energy_wh(BIG, 400)
        assert 0.01 < low <= high < 50
        assert energy_wh(BIG, 800)[0] > low
        assert energy_wh(SMALL, 400)[1] < high

    def test_it_agrees_with_ecologits(self):
        """The package's own figure for the same model, in other units."""
        from ecologits.tracers.utils import llm_impacts

        theirs = llm_impacts("anthropic", "claude-sonnet-4-5", 500, 8.0).energy.value
        assert energy_wh("anthropic/claude-sonnet-4-5", 500, 8.0) == (theirs.min * 1000, theirs.max * 1000)

    def test_a_short_call_bounds_it(self):
        """A machine can't have been busy for longer than the call took."""
        assert energy_wh(BIG, 400, 0.1)[1] < energy_wh(BIG, 400)[1] == energy_wh(BIG, 400, 1e6)[1]

    @pytest.mark.parametrize("name", ["gpt-4o", "openai/gpt-4o", "azure/gpt-4o"])
    def test_names_are_litellms(self, name):
        """With and without a provider."""
        assert energy_wh(name, 400) == energy_wh(BIG, 400)

    def test_a_bill_adds_up_each_stage_by_its_own_model(self):
        """Routing is the smaller model's work; what wrote nothing takes nothing."""
        route, compose = Usage(output_tokens=100), Usage(output_tokens=300)
        both = bill_wh([("route", route), ("compose", compose), ("repair", Usage())], BIG, SMALL)
        assert both == tuple(a + b for a, b in zip(energy_wh(SMALL, 100), energy_wh(BIG, 300), strict=True))
        alone = bill_wh([("route", route), ("compose", compose)], BIG)
        assert alone == tuple(a + b for a, b in zip(energy_wh(BIG, 100), energy_wh(BIG, 300), strict=True))

    def test_one_unknown_model_makes_the_sum_unknown(self):
        """A part of it would look like all of it."""
        stages = [("route", Usage(output_tokens=100)), ("compose", Usage(output_tokens=300))]
        assert bill_wh(stages, BIG, "openai/nobody-knows-it") is None
        assert bill_wh(stages[1:], BIG, "openai/nobody-knows-it") == energy_wh(BIG, 300)

    def test_nothing_is_printed(self):
        """The package's own warnings about models that are guessed stay off the screen, in a process of its own."""
        code = "from hierarchy.energy import energy_wh; assert energy_wh('openai/gpt-4o', 9); energy_wh('openai/x', 9)"
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("", "")

    def test_it_says_who_estimates(self):
        assert estimator().startswith("ecologits 0.")


@pytest.mark.parametrize("name", ["extractive", "function", "ollama/llama3", "openai/nobody-knows-it", "", "/"])
def test_what_is_not_known_is_not_guessed(name):
    assert energy_wh(name, 400) is None


def test_nothing_written_is_nothing_to_estimate():
    assert energy_wh(BIG, 0) is None
    assert bill_wh([], BIG) is None
    assert bill_wh([("compose", Usage(input_tokens=9))], BIG) is None


def test_without_the_package_nothing_is_said(monkeypatch):
    """Nor does anything fail."""

    def missing(_name):
        raise energy.PackageNotFoundError

    monkeypatch.setattr(energy, "find_spec", lambda _: None)
    monkeypatch.setattr(energy, "version", missing)
    energy._known.cache_clear()
    assert energy_wh(BIG, 400) is None
    assert estimator() == ""
    energy._known.cache_clear()


class TestAsk:
    def answered(self, tmp_path, *args):
        note = tmp_path / "note.md"
        note.write_text("Warfarin was stopped on 3 May.")
        done = CliRunner().invoke(main, ["ask", str(note), "When was warfarin stopped?", "--json", *args])
        return json.loads(done.stdout)

    def test_json_holds_the_estimate(self, tmp_path, monkeypatch):
        """A range, of all that was written for the answer."""
        reply = '{"answer": "3 May", "quotes": [{"source": 1, "text": "stopped on 3 May"}], "missing": ""}'
        reasoner = Reasoner(FunctionModel(lambda _: reply, name=BIG), store=None)
        monkeypatch.setattr(sys.modules["hierarchy.cli.ask"], "reasoner_of", lambda **_: reasoner)
        record = self.answered(tmp_path)
        assert record["text"] == "3 May"
        expected = energy_wh(BIG, record["usage"]["output_tokens"])
        assert record["energy_wh"] == (list(expected) if expected else None)

    def test_of_the_built_in_model_nothing_is_known_or_looked_up(self, tmp_path, monkeypatch):
        monkeypatch.setattr(energy, "find_spec", lambda _: pytest.fail("looked up"))
        assert self.answered(tmp_path)["energy_wh"] is None
