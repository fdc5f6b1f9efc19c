"""Requests, outcomes and how a stage is driven by hand."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.budget import Usage
from hierarchy.calls import HELPER_STAGES, Outcome, Request, Steps, Tariff
from hierarchy.errors import BudgetError

REQUEST = Request(stage="compose", prompt="Why?", max_output_tokens=9, template="compose:1f0c")


class TestKey:
    @pytest.mark.parametrize(
        "change",
        [
            {"stage": "refine"},
            {"prompt": "Why not?"},
            {"max_output_tokens": 10},
            {"template": "compose:ffff"},
        ],
    )
    def test_all_that_decides_the_reply_is_in_it(self, change):
        """Any change that may change the reply changes the key, and so does another model."""
        assert replace(REQUEST, **change).key("a/b") != REQUEST.key("a/b")
        assert REQUEST.key("a/c") != REQUEST.key("a/b")

    def test_what_the_prompt_holds_already_is_not(self):
        """Variables and node don't change the key: the prompt says all of them that matters."""
        same = replace(REQUEST, variables={"question": "?"}, about=(0, 2))
        assert same.key("a/b") == REQUEST.key("a/b")

    def test_it_is_the_same_in_every_process(self):
        """Keys are content hashes, so that a store can be read by another process."""
        code = (
            "from hierarchy.calls import Request\n"
            "print(Request(stage='compose', prompt='Why?', max_output_tokens=9, template='compose:1f0c').key('a/b'))"
        )
        seen = {
            subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip()
            for _ in range(2)
        }
        assert seen == {REQUEST.key("a/b")}

    def test_fields_do_not_run_into_each_other(self):
        """Moving text from one field to the next makes another key."""
        one = Request(stage="ab", prompt="c", max_output_tokens=1)
        assert one.key("m") != Request(stage="a", prompt="bc", max_output_tokens=1).key("m")

    def test_any_text_has_a_key(self):
        """A lone surrogate out of a broken PDF doesn't break the key."""
        assert len(replace(REQUEST, prompt="\ud800").key("a/b")) == 32


class TestTariff:
    @given(st.integers(-9, 9_000), st.floats(1.0, 3.0), st.integers(0, 100))
    def test_what_fits_fits(self, tokens, ratio, overhead):
        """The largest prompt whose worst case is at most so much, whichever way the margin falls with its length."""
        tariff = Tariff(name="a/b", margin=lambda counted: ratio + overhead / max(1, counted))
        fits = tariff.fits(tokens)
        assert fits >= 0
        assert fits == 0 or tariff.worst(fits) <= tokens
        assert tariff.worst(fits + 1) > tokens
        assert tariff.worst(fits) >= fits

    def test_stages(self):
        """A model that names none answers all; the built-in one can't be asked to route."""
        assert all(Tariff(name="a").answers(stage) for stage in (*HELPER_STAGES, "compose"))
        assert [Tariff(name="a", stages=frozenset({"compose"})).answers(each) for each in ("compose", "route")] == [
            *(True, False),
        ]

    def test_a_margin_may_change_meanwhile(self):
        """What is learnt during a run counts at once."""
        known = [1.0]
        tariff = Tariff(name="a", margin=lambda _: known[0])
        before = tariff.worst(100)
        known[0] = 1.5
        assert (before, tariff.worst(100), tariff.fits(150)) == (100, 150, 100)


def test_values_do_not_change():
    """Requests and outcomes are frozen, and equal if they say the same, whatever they were rendered from."""
    with pytest.raises(FrozenInstanceError):
        REQUEST.stage = "refine"
    assert replace(REQUEST, variables={"n": 1}) == REQUEST
    assert Outcome(text="a") == Outcome(text="a")
    assert Outcome() != Outcome(error=BudgetError("full"))


def test_a_stage_is_driven_by_hand():
    """A stage yields a batch, is sent its outcomes in order, and returns its result."""

    def stage() -> Steps[str]:
        first, second = yield (REQUEST, replace(REQUEST, prompt="Where?"))
        return f"{first.text} {second.text}"

    steps = stage()
    assert [request.prompt for request in next(steps)] == ["Why?", "Where?"]
    with pytest.raises(StopIteration) as stop:
        steps.send((Outcome(text="because", usage=Usage(calls=1)), Outcome(text="here")))
    assert stop.value.value == "because here"


def test_import_is_light():
    """The money and the wire load no tokenizer, template engine, model library or terminal."""
    code = (
        "import sys, hierarchy.ledger, hierarchy.calls, hierarchy.trace, hierarchy.templates, hierarchy.models\n"
        "heavy = {'tiktoken', 'jinja2', 'litellm', 'langchain_core', 'rich', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
