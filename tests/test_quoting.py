"""Quotes: a run that isn't interrupted stays inside the bounds that were told before anything was spent."""

import math
import statistics
from dataclasses import replace

import pytest
from documents import chart
from hostile import DOCUMENTS, QUESTIONS, WAYS, Case, Provider, Treatment, quickly, tree_of
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hierarchy.budget import Budget
from hierarchy.engine import Reasoner, quote
from hierarchy.errors import BudgetError, BudgetTooSmall, InputError
from hierarchy.events import Planned, Retried
from hierarchy.models import FunctionModel, ProviderModel
from hierarchy.session import Retries

LONG = 1
# What a provider may do that is no interruption: a reply of any kind, its bill told honestly, and a call tried again.
TEXTS = ("as asked", "missing", "invented", "wrong source", "malformed", "truncated", "prose", "forever", "types")


@pytest.fixture(scope="module", autouse=True)
def remembered():
    with quickly():
        yield


def reasoner_of(case, model):
    reasoner = Reasoner(
        model, way=case.way, rounds=case.rounds, max_attempts=case.attempts, max_concurrency=case.concurrency
    )
    reasoner.retries = Retries(most=case.attempts, first_s=0.0)
    return reasoner


def run_of(case):
    """What was quoted, and what it came to."""
    model = Provider(case.script, margin=case.margin, reasoning_tokens=case.reasoning_tokens)
    reasoner = reasoner_of(case, model)
    budget = Budget(case.total, max_calls=case.max_calls, max_cost_usd=case.max_cost_usd)
    quoted = reasoner.quote(tree_of(case.document), case.question, budget)
    assert not model.bills
    return quoted, reasoner.ask(tree_of(case.document), case.question, budget), model


def inside(quoted, answer, model):
    usage = answer.usage
    assert quoted.calls[0] <= usage.calls == len(model.bills) <= quoted.calls[1]
    assert quoted.tokens[0] <= usage.total_tokens <= quoted.tokens[1]
    assert sum(bill.tokens for bill in model.bills) <= quoted.tokens[1]
    assert quoted.cost_usd[0] - 1e-12 <= usage.cost_usd <= quoted.cost_usd[1] + 1e-12


@st.composite
def runs(draw, **fixed):
    choose = lambda choices: draw(st.sampled_from(choices))  # noqa: E731
    case = Case(
        document=choose(range(len(DOCUMENTS) - 1)),  # Of the last one, the least there is to read may not fit.
        question=choose(QUESTIONS),
        total=choose((500, 700, 1_000, 1_500, 2_500, 4_000, 8_000, 40_000)),
        way=choose(WAYS),
        rounds=choose((1, 2, 3)),
        attempts=choose((1, 2, 4)),
        max_calls=choose((None, None, 2, 4)),
        max_cost_usd=choose((None, None, 0.02)),
        script=tuple(Treatment(says=choose(TEXTS)) for _ in range(choose((1, 2, 4)))),
    )
    return replace(case, **fixed)


class TestBounds:
    @given(runs())
    @settings(max_examples=120)
    def test_an_honest_provider(self, case):
        """Calls, tokens and USD of every run are between the bounds, whatever the replies say."""
        try:
            found = run_of(case)
        except BudgetError:
            assume(False)
        inside(*found)

    @given(runs(), st.sampled_from([1.0, 1.3]))
    @settings(max_examples=60)
    def test_who_counts_higher(self, case, margin):
        """A provider that counts prompts 30 % higher, as the margin allows for."""
        case = replace(case, margin=1.3, script=tuple(replace(one, counts=margin) for one in case.script))
        try:
            found = run_of(case)
        except BudgetError:
            assume(False)
        inside(*found)

    @given(runs(attempts=4), st.sampled_from(["429", "500", "unreachable", "cut"]))
    @settings(max_examples=60)
    def test_who_is_asked_again(self, case, failure):
        """Calls that fail now and then, billed or not, and are made again."""
        case = replace(case, script=(Treatment(says=case.script[0].says, fails=failure), *case.script, *case.script))
        try:
            quoted, answer, model = run_of(case)
        except BudgetError:
            assume(False)
        assume(answer.trace.of(Retried))
        if answer.partial:  # An outage: what was tried is bounded, what was to be had isn't.
            assert len(model.bills) <= quoted.calls[1]
            assert answer.usage.total_tokens <= quoted.tokens[1]
        else:
            inside(quoted, answer, model)

    @given(runs(reasoning_tokens=400))
    @settings(max_examples=30)
    def test_who_thinks(self, case):
        """Replies that were all thinking are asked for again at a higher cap, within the bounds, too."""
        case = replace(case, script=(Treatment(says="all thinking"), *case.script))
        try:
            found = run_of(case)
        except BudgetError:
            assume(False)
        inside(*found)

    @pytest.mark.parametrize("number", [3_000, 6_000, 12_000, 24_000, 40_000])
    def test_as_many_branches_as_are_quoted(self, number):
        """Branches are never more than the quote allows for, at one attempt each, whatever the folder looks like."""
        for question in QUESTIONS:
            for document in (LONG, 4):
                case = Case(document=document, question=question, total=number, way="branches", attempts=1)
                inside(*run_of(case))

    def test_a_document_whose_least_part_is_large(self):
        """Lines that hang together in leaves of hundreds of tokens: a small budget reads something all the same."""
        inside(*run_of(Case(document=6, total=500)))

    def test_time(self):
        """Bounded where a call's time is: by the number of calls, or by the deadline; else not at all."""
        tree = tree_of(LONG)
        timed = Reasoner(Provider((Treatment(),)), max_attempts=1)
        assert (
            timed.quote(tree, QUESTIONS[0], 4_000).seconds[1] >= 1.0 * timed.quote(tree, QUESTIONS[0], 4_000).calls[1]
        )
        assert timed.quote(tree, QUESTIONS[0], Budget(4_000, max_seconds=0.5)).seconds == (0.0, 0.5)
        assert Reasoner(FunctionModel(lambda _: "")).quote(tree, QUESTIONS[0], 4_000).seconds == (0.0, None)

    def test_time_is_kept(self):
        """A run with slow calls ends inside the bound."""
        model = Provider((Treatment(says="missing", slow_s=0.05),))
        reasoner = Reasoner(model, way="staged", max_attempts=1)
        quoted = reasoner.quote(tree_of(LONG), QUESTIONS[0], 4_000)
        answer = reasoner.ask(tree_of(LONG), QUESTIONS[0], 4_000)
        assert 0.05 * answer.usage.calls <= quoted.seconds[1]


class TestUsual:
    def test_it_lies_near_the_median(self):
        """Over questions that the first round answers, what is usual is within a third of the median run."""
        shares = []
        for total in (1_500, 4_000, 8_000):
            for question in (*QUESTIONS[:1], *(f"What does clause {n} concern?" for n in range(3, 100, 12))):
                case = Case(document=LONG, question=question, total=total, way="staged")
                quoted, answer, _ = run_of(case)
                shares.append(answer.usage.total_tokens / quoted.usual_tokens)
        assert 0.66 < statistics.median(shares) < 1.33

    def test_of_a_whole_document(self):
        """A document that is read whole costs what it counts."""
        quoted, answer, _ = run_of(Case(document=0, total=8_000))
        assert quoted.plan.way == "whole"
        assert math.isclose(answer.usage.total_tokens, quoted.usual_tokens, rel_tol=0.5)
        assert quoted.read_all_tokens >= tree_of(0).tokens


class TestWithoutSpending:
    def test_the_plan_is_the_one_that_is_followed(self):
        """What is quoted is what is done first."""
        for way in WAYS:
            quoted, answer, _ = run_of(Case(document=LONG, total=4_000, way=way))
            planned = answer.trace.of(Planned)[0]
            assert (planned.way, planned.routing, planned.why) == (
                quoted.plan.way,
                quoted.plan.routing,
                quoted.plan.why,
            )

    def test_what_can_not_be_asked_can_not_be_quoted(self):
        """The same refusals as of the question, for nothing."""
        with pytest.raises(BudgetTooSmall):
            quote(chart(), "When?", 10)
        with pytest.raises(InputError):
            quote(chart(), "  ", 800)
        unpriced = Reasoner(Provider((), priced=False))
        with pytest.raises(BudgetError):
            unpriced.quote(chart(), "When?", Budget(800, max_cost_usd=1.0))

    def test_a_store_may_hold_all_of_it(self, tmp_path):
        """With a store the lower bounds are nothing: the same may have been asked before."""
        reasoner = Reasoner(Provider((Treatment(),)), store=tmp_path / "store.sqlite", way="staged")
        quoted = reasoner.quote(tree_of(LONG), QUESTIONS[0], 4_000)
        assert (quoted.calls[0], quoted.tokens[0], quoted.cost_usd[0]) == (0, 0, 0)
        first = reasoner.ask(tree_of(LONG), QUESTIONS[0], 4_000)
        again = reasoner.ask(tree_of(LONG), QUESTIONS[0], 4_000)
        assert first.usage.total_tokens > again.usage.total_tokens == 0

    def test_as_json(self):
        """Pairs are lists; a price that isn't known is null."""
        record = quote(chart(), "When was warfarin stopped?", 800).to_dict()
        assert record["tokens"][1] == 800
        assert record["calls"] == [1, record["calls"][1]]
        model = ProviderModel("openai/some-model", api_base="http://127.0.0.1:9/v1")
        unknown = Reasoner(model, store=None).quote(chart(), "When was warfarin stopped?", 2_000).to_dict()
        assert unknown["cost_usd"] is None
        assert unknown["seconds"][1] > 0
