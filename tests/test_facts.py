"""What is told of a model, and that a model made of it counts and costs the same."""

from __future__ import annotations

import pytest

from hierarchy.budget import NOTHING
from hierarchy.facts import facts_of, tariff_of
from hierarchy.margins import Margin, Margins
from hierarchy.models import ExtractiveModel, FunctionModel, ProviderModel
from hierarchy.replaying import RecordedModel


@pytest.mark.parametrize("name", ["openai/gpt-4o", "perplexity/sonar", "anthropic/claude-sonnet-4-5", "ollama/llama3"])
def test_a_model_on_record_is_like_the_model(name):
    """It counts, costs and takes as much, a price by the call included."""
    model = ProviderModel(name)
    recorded = RecordedModel(facts_of(model, "answer"))
    assert recorded.name == model.name
    assert recorded.identity == model.identity
    assert recorded.count("How much was it?") == model.count("How much was it?")
    assert (recorded.margin, recorded.context_tokens) == (model.margin, model.context_tokens)
    for read, written in ((1, 1), (900, 80), (50_000, 1_000)):
        assert recorded.price(read, written) == pytest.approx(model.price(read, written))


def test_a_price_that_is_not_known():
    """Stays unknown, never zero."""
    facts = facts_of(FunctionModel(lambda _: "", price=lambda *_: None), "help")
    assert (facts.input_usd, facts.output_usd) == (None, None)
    assert facts.role == "help"


def test_what_bills_told():
    """Is in the facts as it was, and in the tariff's margin."""
    model, margin = (
        ProviderModel("openai/some-model", api_base="http://localhost:1/v1"),
        Margin(1.1, 4, overhead_tokens=9),
    )
    facts = facts_of(model, "answer", margin)
    assert facts.learned == (1.1, 4, 9)
    tariff = tariff_of(model, Margins({model.name: margin}))
    assert tariff.margin(1_000) == margin.factor(model.margin, 1_000)
    assert tariff.worst(1_000) >= 1_100


def test_the_built_in_model():
    """Answers what it can, for nothing."""
    facts = facts_of(ExtractiveModel(), "answer")
    assert facts.name == "extractive"
    assert facts.margin == 1.0
    assert (facts.call_usd, facts.input_usd, facts.output_usd) == (0.0, 0.0, 0.0) == (NOTHING.cost_usd,) * 3
    assert facts.stages is not None
    assert "compose" in facts.stages
