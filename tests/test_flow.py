"""The course of a question, driven by hand: what it asks for fits, and what it tells is what it did."""

import math
from dataclasses import replace

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hierarchy.allocator import POLICIES
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome, Tariff
from hierarchy.composer import SHORT_REPLY_TOKENS, minimum_tokens
from hierarchy.document import Document
from hierarchy.errors import BudgetTooSmall, DocumentEmpty, InputError, Unavailable
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Event,
    HandedBack,
    Kept,
    Mapped,
    Noted,
    Outlined,
    Planned,
    Read,
    Started,
)
from hierarchy.flow import Strategy, answer_question, gather_context
from hierarchy.models import ExtractiveModel
from hierarchy.planner import outline
from hierarchy.segments import LeafKind
from hierarchy.strategy import WAYS
from hierarchy.tokens import count_tokens

CHART = outline(chart())
LONG = outline(Document(name="agreement.txt", text=long_text()))
MODEL = ExtractiveModel()
QUESTIONS = ["When was warfarin stopped?", "What was the margin in 2018?", "the of and", "1,577", "¿Qué dosis? 用量"]
STRATEGIES = st.builds(
    lambda policy, way, answer_tokens: Strategy(
        policy=POLICIES[policy], policy_name=policy, way=way, answer_tokens=answer_tokens
    ),
    st.sampled_from(sorted(POLICIES)),
    st.sampled_from(WAYS),
    st.sampled_from([100, 500]),
)


def asked(tree, question, total, strategy=None, margin=1.0, price=lambda *_: 0.0, **caps):
    """A flow about to begin."""
    return answer_question(
        tree,
        question,
        budget=Budget(total, **caps),
        strategy=strategy or Strategy(),
        tariff=Tariff(name="by hand", margin=lambda _: margin, price=price, stages=frozenset({"compose", "refine"})),
    )


def driven(flow, reply=MODEL.complete):
    """What a flow returns, the events that it yielded, and the requests that it made."""
    events, batches, sent = [], [], None
    while True:
        try:
            step = flow.send(sent)
        except StopIteration as stop:
            return stop.value, events, batches
        if isinstance(step, Event):
            events.append(step)
            sent = None
        else:
            batches.append(step)
            sent = tuple(map(reply, step))


def tree_of(document):
    try:
        return outline(document)
    except DocumentEmpty:
        assume(False)


def worst(request, margin):
    return math.ceil(count_tokens(request.prompt) * margin - 1e-9) + request.max_output_tokens


def kinds(events):
    return [type(event) for event in events]


class TestCourse:
    def test_the_story_is_told_in_order(self):
        """Question, tree, relevance, the composer's share, grants, then one call, what was read, and the answer."""
        answer, events, batches = driven(asked(LONG, "What does clause 17 concern?", 1_000))
        assert [each for each in kinds(events) if each is not Noted] == [
            *(Started, Outlined, Mapped, Estimated, Planned, Kept, Allocated, HandedBack),
            *([Read] * len(answer.evidence.passages)),
            Answered,
        ]
        assert [[request.stage for request in batch] for batch in batches] == [["compose"]]

    @pytest.mark.parametrize("question", ["", " \n\t"])
    def test_a_blank_question_is_refused(self, question):
        """Nothing is estimated or called for a question that says nothing."""
        for flow in (
            asked(CHART, question, 800),
            gather_context(CHART, question, budget=Budget(9), strategy=Strategy()),
        ):
            with pytest.raises(InputError, match="empty"):
                next(flow)

    def test_too_small_a_budget_is_refused_before_any_call(self):
        """The refusal says what would do, and that does."""
        with pytest.raises(BudgetTooSmall) as caught:
            driven(asked(CHART, QUESTIONS[0], 100), reply=pytest.fail)
        needed = caught.value.needed_tokens
        answer, _, _ = driven(asked(CHART, QUESTIONS[0], needed))
        assert "3 May" in answer.text
        with pytest.raises(BudgetTooSmall):
            driven(asked(CHART, QUESTIONS[0], needed - 1), reply=pytest.fail)

    def test_an_outage_leaves_the_best_sentences(self):
        """If the composer can't be reached, the best sentences of what was read stand in for its answer."""
        answer, _, _ = driven(
            asked(CHART, QUESTIONS[0], 800), reply=lambda _: Outcome(error=Unavailable("No connection."))
        )
        assert answer.partial
        assert "Warfarin was stopped on 3 May 2024." in answer.text


class TestWhole:
    @pytest.mark.parametrize("way", ["single", "branches"])
    def test_what_fits_is_simply_read(self, way):
        """A document within the budget is read whole but for page furniture, and by no call but the composer's."""
        answer, events, batches = driven(asked(CHART, QUESTIONS[0], 2_000, Strategy(policy_name="any", way=way)))
        (allocated,) = (event for event in events if isinstance(event, Allocated))
        furniture = int(CHART.leaves.tokens[CHART.leaves.kind == LeafKind.FURNITURE].sum())
        assert allocated.policy == "whole"
        assert answer.evidence.whole
        assert answer.receipt.read_tokens == CHART.tokens - furniture
        assert answer.unread == ()
        assert [request.stage for batch in batches for request in batch] == ["compose"]

    def test_what_does_not_fit_is_not_called_whole(self):
        """A longer document goes by the policy."""
        _, events, _ = driven(asked(LONG, "clause 17", 1_000, Strategy(policy_name="mine")))
        assert [event.policy for event in events if isinstance(event, Allocated)] == ["mine"]


class TestBounds:
    @given(
        documents(),
        st.sampled_from(QUESTIONS),
        st.integers(380, 1_500),
        STRATEGIES,
        st.sampled_from([1.0, 1.13, 1.5]),
    )
    @settings(max_examples=100, deadline=None)
    def test_all_worst_cases_together_fit(self, document, question, total, strategy, margin):
        """Even if every call cost its worst case, no budget would be exceeded; what is told is what was done."""
        tree = tree_of(document)
        needed = math.ceil((minimum_tokens(question) - SHORT_REPLY_TOKENS) * margin - 1e-9) + SHORT_REPLY_TOKENS
        if total < needed:
            with pytest.raises(BudgetTooSmall) as caught:
                driven(asked(tree, question, total, strategy, margin), pytest.fail)
            assert caught.value.needed_tokens == needed
            total = needed
        answer, events, batches = driven(
            asked(tree, question, total, strategy, margin),
            lambda request: Outcome(
                text=MODEL.complete(request).text,
                usage=Usage(
                    input_tokens=worst(request, margin) - request.max_output_tokens,
                    output_tokens=request.max_output_tokens,
                    calls=1,
                ),
            ),
        )
        assert sum(worst(request, margin) for batch in batches for request in batch) <= total
        seen = [event for event in events if isinstance(event, Read)]
        assert [(read.source, read.start, read.end, read.tokens) for read in seen] == [
            (passage.source, passage.start, passage.end, passage.tokens) for passage in answer.evidence.passages
        ]
        found = answer.receipt
        assert found.read_tokens + found.coarse_tokens + found.unread_tokens == found.document_tokens == tree.tokens
        kept = [event.tokens for event in events if isinstance(event, Kept)][-1]
        assert sum(worst(request, margin) for batch in batches[:-1] for request in batch) <= total - kept

    @pytest.mark.parametrize("total", [500, 1_000, 3_000, 6_000])
    def test_reading_through_a_model_leaves_the_answer_its_share(self, total):
        """Branches are read for less than the budget, and what they leave is enough to compose from their quotes."""
        answer, _, batches = driven(asked(LONG, "What does clause 17 concern?", total, Strategy(way="branches")))
        assert [request.stage for request in batches[-1]] == ["compose"]
        assert "Clause 17 of the agreement concerns item 18." in answer.text
        if total >= 1_000:
            assert {request.stage for request in batches[0]} == {"refine"}
            assert answer.receipt.read_tokens >= answer.evidence.tokens

    def test_a_leaf_too_long_for_the_policy_does_not_leave_nothing(self):
        """Where the first thing granted doesn't fit, the best leaf that does is read all the same."""
        tree = outline(Document(name="a.txt", text="Aspirin is good. " + "aspirin dose " * 60 + ".\nBread is cheap."))
        answer, _, batches = driven(asked(tree, "aspirin", 400))
        assert answer.evidence.passages
        assert len(batches) == 1

    def test_a_price_cap_is_shared_out_too(self):
        """Prompt and reply together are priced within a cap in USD; a dear reply is cut to its share of it."""

        def price(read, written):
            return read * 1e-6 + written * 5e-6

        for cap in (0.0016, 0.002, 0.004, 1.0):
            _, events, batches = driven(asked(LONG, "clause 17", 8_000, price=price, max_cost_usd=cap))
            ((request,),) = batches
            assert price(count_tokens(request.prompt), request.max_output_tokens) <= cap
            (kept,) = (event for event in events if isinstance(event, Kept))
            assert kept.cost_usd <= cap
        assert request.max_output_tokens == 500


class TestContext:
    @given(documents(), st.sampled_from(QUESTIONS), st.integers(1, 600), st.sampled_from(sorted(POLICIES)))
    @settings(max_examples=100, deadline=None)
    def test_it_counts_at_most_the_budget(self, document, question, total, policy):
        """The text never counts more than allowed, or the refusal names a budget that does."""
        tree = tree_of(document)
        strategy = Strategy(policy=POLICIES[policy], policy_name=policy)

        def gathered(total):
            return driven(gather_context(tree, question, budget=Budget(total), strategy=strategy), pytest.fail)

        try:
            context, _, _ = gathered(total)
        except BudgetTooSmall as refusal:
            total = max(total + 1, refusal.needed_tokens)
            context, _, _ = gathered(total)
        assert count_tokens(context.text) == context.tokens <= total
        assert context.passages
        assert all(passage.text in context.text for passage in context.passages)
        found = context.receipt
        assert found.read_tokens == context.evidence.tokens
        assert found.read_tokens + found.unread_tokens == tree.tokens

    def test_each_passage_says_where_it_stands(self):
        """Source, section and column heads stand over each passage."""
        context, _, _ = driven(gather_context(CHART, "INR on 3 May", budget=Budget(60), strategy=Strategy()))
        assert "chart.md · Laboratory\nTest | 1 May | 3 May\n" in context.text
        assert "| INR | 4.8 | 1.2 |" in context.text
        assert context.to_dict()["passages"][0]["source"] == "chart.md"


class TestPolicies:
    def test_any_function_will_do(self):
        """A policy of one's own decides what is read."""
        last = len(LONG.leaves) - 1

        def only_the_last(tree, relevance, tokens):
            allocation = POLICIES["top_k"](tree, relevance, tokens)
            grant = replace(allocation.grants[0], leaves=((last, last + 1),))
            return replace(allocation, grants=(grant,))

        answer, _, _ = driven(asked(LONG, "clause 17", 800, Strategy(policy=only_the_last)))
        read = np.array([leaf for passage in answer.evidence.passages for leaf in range(*passage.leaves)])
        assert read.tolist() == [last]
