"""What a call may cost and how much a prompt can show: never more than there is, and hardly less."""

import math
from functools import lru_cache

import pytest
from documents import documents, long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import built

from hierarchy.allocator import POLICIES, expected_gain
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.calls import Tariff
from hierarchy.composer import SHORT_REPLY_TOKENS, prompt_tokens
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetTooSmall
from hierarchy.fitting import best, fitted, output_tokens, reading_tokens, room_tokens
from hierarchy.models import ExtractiveModel, FunctionModel
from hierarchy.planner import outline
from hierarchy.relevance import estimate

QUESTION = "What does clause 17 concern?"


def priced(read, written):
    return read * 3e-6 + written * 15e-6


TARIFFS = st.builds(
    lambda margin, context, thinking: Tariff(
        name="a/b",
        margin=lambda counted: margin + 20 / max(64, counted),
        price=priced,
        context_tokens=context,
        reasoning_tokens=thinking,
    ),
    st.sampled_from([1.0, 1.13, 1.3, 2.0]),
    st.none() | st.integers(100, 9_000),
    st.sampled_from([0, 0, 100, 2_000]),
)
BUDGETS = st.builds(
    Budget, st.integers(100, 50_000), max_cost_usd=st.none() | st.floats(1e-4, 0.5, allow_subnormal=False)
)


class TestRoom:
    @given(TARIFFS, BUDGETS, st.integers(0, 60_000), st.floats(0, 0.5), st.integers(50, 3_000))
    def test_a_prompt_that_fits_it_fits_all_caps(self, tariff, budget, spent, cost, most):
        """Prompt and reply at worst: within the tokens, the USD and the model's context that are left."""
        usage = Usage(input_tokens=spent, calls=1, cost_usd=cost)
        output = output_tokens(budget, tariff, most=most, share=0.25)
        room = room_tokens(budget, usage, output, tariff)
        assert room >= 0
        if room:
            assert tariff.worst(room) + output <= budget.total_tokens - spent
            assert tariff.context_tokens is None or tariff.worst(room) + output <= tariff.context_tokens
            if budget.max_cost_usd is not None:
                assert priced(tariff.worst(room), output) <= budget.max_cost_usd - usage.cost_usd + 1e-12

    @given(TARIFFS, BUDGETS)
    def test_it_is_hardly_less_than_there_is(self, tariff, budget):
        """One token more doesn't fit in at least one of them."""
        output = output_tokens(budget, tariff, most=500, share=0.25)
        more = room_tokens(budget, NOTHING, output, tariff) + 1
        left = min(budget.total_tokens, tariff.context_tokens or math.inf)
        dear = budget.max_cost_usd is not None and priced(tariff.worst(more), output) > budget.max_cost_usd
        assert dear or tariff.worst(more) + output > left

    @given(TARIFFS, BUDGETS, st.integers(50, 3_000))
    def test_an_answer_has_room_for_a_quotation(self, tariff, budget, most):
        """At least a short reply; beyond that a share of the budget, and as much again for thinking."""
        output = output_tokens(budget, tariff, most=most, share=0.25)
        assert output >= SHORT_REPLY_TOKENS
        thinking = min(tariff.reasoning_tokens, budget.total_tokens // 4)
        assert output <= max(SHORT_REPLY_TOKENS, min(most, budget.total_tokens // 4)) + thinking

    @given(st.integers(-500, 9_000), st.integers(-500, 9_000))
    def test_reading_takes_what_can_still_be_shown(self, spare, text):
        """Never more than the smallest answer leaves, nor below nothing."""
        assert 0 <= reading_tokens(spare, text) <= max(0, spare)

    @pytest.mark.parametrize("thinking", [0, 300, 2_000])
    def test_the_smallest_budget_gives_an_answer(self, thinking):
        """The budget that a refusal names is enough for a call with some evidence, also of a model that thinks."""
        tree = long_tree()
        for extra in (0, 1, 50, 200):
            model = FunctionModel(ExtractiveModel().complete)
            model.reasoning_tokens = thinking
            with pytest.raises(BudgetTooSmall) as caught:
                Reasoner(model, way="single").ask(tree, QUESTION, 20)
            answer = Reasoner(model, way="single").ask(tree, QUESTION, caught.value.needed_tokens + extra)
            assert [request.stage for request in model.requests] == ["compose"]
            assert answer.evidence.passages
            assert not answer.partial


@lru_cache
def long_tree():
    return outline(Document(name="a.txt", text=long_text(200)))


class TestFitted:
    @given(documents(), st.integers(0, 900), st.sampled_from(sorted(POLICIES)))
    @settings(max_examples=50)
    def test_it_fits_or_is_the_least(self, document, room, policy):
        """Rendered, it costs at most the room; where nothing does, it is the little that may be trimmed."""
        tree = built(document)
        if tree is None:
            return
        relevance = estimate(tree, QUESTION)

        def cost(evidence):
            return prompt_tokens(tree, QUESTION, evidence, relevance)

        evidence = fitted(tree, relevance, POLICIES[policy], cost, room)
        assert evidence.passages
        if cost(evidence) > room:
            smallest = cost(best(tree, relevance))
            assert smallest > room or evidence.tokens <= max(0, room)

    @pytest.mark.parametrize("room", [600, 1_000, 2_500, 4_000])
    def test_it_fills_the_room(self, room):
        """What labels add is found out: little room is left where there is enough to read."""
        tree = long_tree()
        relevance = estimate(tree, "item matter units week clause")

        def cost(evidence):
            return prompt_tokens(tree, QUESTION, evidence, relevance)

        spent = cost(fitted(tree, relevance, expected_gain, cost, room))
        assert 0.85 * room <= spent <= room

    def test_the_best_leaf_is_the_most_relevant_that_may_be_read(self):
        """Alone, and never one that was ruled out while another is left."""
        tree = long_tree()
        relevance = estimate(tree, QUESTION)
        first = best(tree, relevance)
        assert "17" in first.passages[0].text
        low, high = first.order[0]
        second = best(tree, relevance.without([low]))
        assert second.order[0] != (low, high)
