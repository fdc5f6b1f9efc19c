"""Models for tests: they answer as told, bill honestly unless told to lie, and the fuse forbids everything else."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.budget import Usage
from hierarchy.calls import Outcome, Request
from hierarchy.errors import OutputInvalid, Unavailable
from hierarchy.models import (
    CallsForbidden,
    ExtractiveModel,
    FunctionModel,
    Model,
    ScriptedModel,
    check_fuse,
    forbid_calls,
)
from hierarchy.models.local import cut_to
from hierarchy.tokens import count_tokens

REQUEST = Request(stage="compose", prompt="Which dose of aspirin?", max_output_tokens=20)


@pytest.mark.parametrize("model", [ExtractiveModel(), FunctionModel(lambda _: ""), ScriptedModel([])])
def test_each_is_a_model(model):
    """What ships has every member that the engine asks for."""
    assert isinstance(model, Model)
    assert model.count("one") == 1
    assert model.margin == 1
    assert model.price(1_000, 100) == 0
    assert isinstance(model.name, str)


class TestFunctionModel:
    def test_bills_what_was_said(self):
        """Input is what the prompt counts, output what the reply does."""
        outcome = FunctionModel(lambda request: f"You asked: {request.prompt}").complete(REQUEST)
        assert outcome.text == "You asked: Which dose of aspirin?"
        assert outcome.usage == Usage(
            input_tokens=count_tokens(REQUEST.prompt), output_tokens=count_tokens(outcome.text), calls=1, cost_usd=0.0
        )

    def test_remembers_what_it_was_asked(self):
        """A test can look at the requests that were made."""
        model = FunctionModel(lambda _: "")
        model.complete(REQUEST)
        asyncio.run(model.acomplete(replace(REQUEST, stage="refine")))
        assert [request.stage for request in model.requests] == ["compose", "refine"]

    def test_obeys_the_cap_unless_told_otherwise(self):
        """A reply is cut at its cap as a provider cuts it; a disobedient model says and bills all of it."""
        long = "word " * 100
        assert FunctionModel(lambda _: long).complete(REQUEST).usage.output_tokens == 20
        rude = FunctionModel(lambda _: long, obeys=False).complete(REQUEST)
        assert rude.text == long
        assert rude.usage.output_tokens > 100

    def test_lies_as_told(self):
        """What is reported can be anything, or nothing."""
        liar = FunctionModel(lambda _: "75 mg", usage=lambda honest: replace(honest, output_tokens=-3))
        assert liar.complete(REQUEST).usage.output_tokens == -3
        assert FunctionModel(lambda _: "75 mg", usage=lambda _: None).complete(REQUEST).usage is None

    def test_has_a_price_if_told(self):
        """The bill carries the price that the model states beforehand, known or unknown."""
        model = FunctionModel(lambda _: "75 mg", price=lambda read, written: (read + 5 * written) / 1e6)
        usage = model.complete(REQUEST).usage
        assert usage.cost_usd == model.price(usage.input_tokens, usage.output_tokens) > 0
        assert FunctionModel(lambda _: "", price=lambda *_: None).complete(REQUEST).usage.cost_usd is None

    def test_failures_are_outcomes(self):
        """An error returned or raised on purpose comes back as one; an outcome is passed through."""
        error = OutputInvalid("no JSON")

        def fails(_):
            raise error

        assert FunctionModel(lambda _: error).complete(REQUEST) == Outcome(error=error)
        assert FunctionModel(fails).complete(REQUEST) == Outcome(error=error)
        given_outcome = Outcome(text="a", cached=True)
        assert FunctionModel(lambda _: given_outcome).complete(REQUEST) is given_outcome

    def test_a_mistake_in_the_test_is_raised(self):
        """What isn't an error of the library's own isn't swallowed."""
        with pytest.raises(ZeroDivisionError):
            FunctionModel(lambda _: 1 // 0).complete(REQUEST)


class TestScriptedModel:
    def test_says_its_replies_in_order(self):
        """One reply a call; then it fails as a provider that is gone."""
        model = ScriptedModel(["one", Unavailable("gone"), "three"])
        outcomes = [model.complete(REQUEST) for _ in range(4)]
        assert [outcome.text for outcome in outcomes] == ["one", "", "three", ""]
        assert [type(outcome.error) for outcome in outcomes] == [type(None), Unavailable, type(None), Unavailable]
        assert "compose" in str(outcomes[3].error)

    def test_replies_by_stage(self):
        """With a script for each stage, order between stages doesn't matter."""
        model = ScriptedModel({"compose": ["answer"], "refine": ["a", "b"]})
        asked = [
            model.complete(replace(REQUEST, stage=stage)).text for stage in ("refine", "compose", "refine", "plan")
        ]
        assert asked == ["a", "answer", "b", ""]

    def test_each_reply_is_said_once(self):
        """Threads asking at once share out the replies, none twice and none lost."""
        model = ScriptedModel(map(str, range(200)))
        with ThreadPoolExecutor(8) as pool:
            said = list(pool.map(lambda _: model.complete(REQUEST).text, range(200)))
        assert sorted(said, key=int) == [str(number) for number in range(200)]
        assert len(model.requests) == 200


class TestFuse:
    def test_forbids_calls(self):
        """While it is in, a model that would reach out raises and names itself; before and after it may."""
        check_fuse("a/b")
        with forbid_calls(), pytest.raises(CallsForbidden, match="a/b was called"):
            check_fuse("a/b")
        check_fuse("a/b")

    def test_holds_in_every_thread(self):
        """Threads that the engine starts are under the fuse too."""
        with forbid_calls(), ThreadPoolExecutor(1) as pool, pytest.raises(CallsForbidden):
            pool.submit(check_fuse, "a/b").result()

    def test_nests_and_survives_failure(self):
        """The inner fuse doesn't lift the outer one, and a failing test takes its own out."""
        with forbid_calls():
            with pytest.raises(KeyError), forbid_calls():
                raise KeyError
            with pytest.raises(CallsForbidden):
                check_fuse("a/b")
        check_fuse("a/b")

    def test_local_models_answer_all_the_same(self):
        """Built-in and scripted models reach out to nobody."""
        with forbid_calls():
            assert ScriptedModel(["75 mg"]).complete(REQUEST).text == "75 mg"
            assert ExtractiveModel().complete(REQUEST).error is None


class TestCut:
    @given(st.text(max_size=80), st.integers(0, 30))
    def test_a_cut_reply_fits(self, text, tokens):
        """Whatever the text, the cut is a prefix within the cap, and the whole text if that fits."""
        cut = cut_to(text, tokens, count_tokens)
        assert text.startswith(cut)
        assert count_tokens(cut) <= tokens
        assert cut == text or count_tokens(text) > tokens

    def test_works_with_any_counter(self):
        """Nothing is asked of a counter but to count."""
        assert cut_to("one two three", 2, lambda text: len(text.split())) == "one two "
