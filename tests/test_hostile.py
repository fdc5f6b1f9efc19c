"""The budget contract, simulated: whatever a provider does to which call, the books hold and an answer comes back."""

import asyncio
import random
from dataclasses import replace

import pytest
from hostile import (
    FAILURES,
    QUESTIONS,
    REPORTS,
    TEXTS,
    WAYS,
    Case,
    Provider,
    Ran,
    Treatment,
    ask,
    case_of,
    crowd,
    lies,
    quickly,
    tree_of,
    tried,
    violations,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy.account import Account
from hierarchy.budget import Budget
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetTooSmall, Refused
from hierarchy.events import Noted, Reserved, Retried, Settled
from hierarchy.session import Retries
from hierarchy.store import Store

LONG = 1  # a document that fits only the largest budgets


@pytest.fixture(scope="module", autouse=True)
def remembered():
    """Reading is a function of values: the same again is looked up."""
    with quickly():
        yield


@st.composite
def cases(draw, *, kept=False, timed=False, **fixed):
    return replace(case_of(lambda choices: draw(st.sampled_from(choices)), kept=kept, timed=timed), **fixed)


class TestWhateverHappens:
    @given(cases())
    @settings(max_examples=300)
    def test_the_budget_holds(self, case):
        """Any treatment of any call, in threads or tasks, interrupted or not, on an account of one's own or shared."""
        _, found = tried(case, again=True)
        assert not found

    @given(cases(kept=True, stop_at=0))
    @settings(max_examples=25)
    def test_with_a_store(self, case):
        """The same with what is kept, asked a second time: what came whole is never paid for again."""
        _, found = tried(case)
        assert not found

    @given(cases(timed=True))
    @settings(max_examples=25)
    def test_against_a_deadline(self, case):
        """Slow calls are left when time is up, and count at their worst case."""
        _, found = tried(case)
        assert not found

    @given(st.lists(cases(), min_size=2, max_size=6), st.sampled_from([1_500, 4_000, 12_000]))
    @settings(max_examples=25)
    def test_several_at_once_on_one_account(self, several, total):
        """Questions that run at the same time never spend a token of their account twice."""
        _, found = crowd(several, total)
        assert not found

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("report", sorted(REPORTS))
    def test_each_lie(self, report, way):
        """One after the other: all that can be said of a bill, in every way to read."""
        script = (Treatment(says="missing", reports=report, counts=1.3),)
        ran = ask(Case(document=LONG, question=QUESTIONS[3], total=4_000, way=way, rounds=3, script=script))
        assert not violations(ran)
        assert ran.answer is not None
        if report in {"honest", "unpriced", "high"}:
            assert lies(ran) == 0

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("text", sorted(TEXTS))
    def test_each_reply(self, text, way):
        """All that a model can say."""
        script = (Treatment(says=text),)
        ran = ask(Case(document=3, total=900, question=QUESTIONS[2], way=way, rounds=3, script=script))
        assert not violations(ran)
        assert ran.answer is not None
        assert ran.billed <= ran.answer.usage.total_tokens <= 900

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("failure", FAILURES)
    def test_each_failure(self, failure, way):
        """All that can go wrong with every call: an error where nothing was billed, else what can be said."""
        script = (Treatment(fails=failure),)
        ran = ask(Case(document=LONG, total=3_000, way=way, script=script, attempts=3))
        assert not violations(ran)
        assert (ran.answer is None) == (ran.billed == 0)
        if ran.answer is None:
            assert ran.error.partial.text

    @pytest.mark.parametrize("margin", [1.0, 1.3, 1.7])
    def test_prompts_counted_higher(self, margin):
        """By 60 %: within a margin that covers it nothing is overdrawn; else exactly what was beyond is recorded."""
        script = (Treatment(says="missing", counts=1.6),)
        for way in WAYS:
            ran = ask(Case(document=LONG, total=4_000, way=way, rounds=3, margin=margin, script=script))
            assert not violations(ran)
            assert ran.billed == ran.answer.usage.total_tokens
            recorded = sum(event.overdraft_tokens for event in ran.trace.of(Settled))
            assert recorded == 0 or margin < 1.6
            assert ran.billed <= 4_000 + recorded

    def test_what_is_beyond_is_recorded(self):
        """Counted 60 % higher without a margin, a reply at its cap: the overdraft is the difference, to the token."""
        ran = ask(Case(total=2_000, way="single", script=(Treatment(says="forever", counts=1.6),), attempts=1))
        assert not violations(ran)
        settled, reserved = ran.trace.of(Settled)[0], ran.trace.of(Reserved)[0]
        assert settled.overdraft_tokens == ran.bills[0].input_tokens - reserved.input_tokens > 100

    def test_honest_providers_never_cost_more(self):
        """Without a lie there is no allowance: what was really billed is within the budget."""
        for number in range(120):
            choose = random.Random(number).choice
            script = (Treatment(says=choose(sorted(TEXTS)), reports=choose(("honest", "none", "negative", "garbage"))),)
            case = replace(case_of(choose, kept=False, timed=False), script=script, helper=())
            ran = ask(case)
            assert not violations(ran)
            assert ran.billed <= ran.budget.total_tokens


class TestAfterPayment:
    """Once something was billed, there is an answer."""

    def test_a_key_that_was_refused_later(self):
        """Routing was billed and what came of it unusable; then the key is refused: the answer is what stands in."""
        case = Case(
            document=LONG,
            total=4_000,
            way="staged",
            helper=(Treatment(says="nothing"),),
            script=(Treatment(fails="key"),),
        )
        ran = ask(case)
        assert not violations(ran)
        assert ran.billed
        assert ran.answer.partial
        assert any("The key is wrong" in note for note in ran.answer.notes)

    def test_a_key_that_is_refused_at_once(self):
        """Nothing was billed: that's an error, which holds what stands in."""
        ran = ask(Case(document=LONG, script=(Treatment(fails="key"),)))
        assert isinstance(ran.error, Refused)
        assert ran.error.partial.usage.total_tokens == 0

    @pytest.mark.parametrize("report", ["high", "absurd"])
    def test_routing_that_cost_more_than_everything(self, report):
        """Routing says that branches are to be read, and claims more than the budget: what is left is still enough."""
        case = Case(
            document=LONG, total=3_000, way="auto", helper=(Treatment(says="missing", reports=report),), rounds=2
        )
        ran = ask(case)
        assert not violations(ran)
        assert ran.answer.text

    @pytest.mark.parametrize("way", ["staged", "branches"])
    def test_what_was_read_stands_in(self, way):
        """An overdraft left nothing to compose with: the best sentences of what was read stand in, marked partial."""
        case = Case(document=LONG, total=3_000, way=way, helper=(Treatment(reports="absurd"),))
        ran = ask(case)
        assert not violations(ran)
        assert ran.answer.partial
        assert ran.answer.citations

    @pytest.mark.parametrize("shared", [800, 1_500, 2_500])
    def test_branches_on_an_account_with_little_left(self, shared):
        """Routing was billed, and the account holds less than branches would keep: they are read with what there is."""
        case = Case(document=LONG, total=3_000, way="auto", helper=(Treatment(says="missing"),), shared=shared)
        (ran,), found = tried(case)
        assert not found
        assert ran.answer.text

    def test_an_output_that_the_reply_belies(self):
        """Who bills one token for a long reply isn't believed: it counts at its cap."""
        ran = ask(Case(total=2_000, script=(Treatment(says="as asked", reports="one"),)))
        (settled,) = ran.trace.of(Settled)
        (reserved,) = ran.trace.of(Reserved)
        assert settled.usage.output_tokens == reserved.max_output_tokens


class TestBounds:
    def test_the_smallest_budget_is_enough(self):
        """What a refusal says would do does, over all documents and ways; one token less is refused, for nothing."""
        for document in range(7):
            for way in WAYS:
                case = Case(document=document, total=0, way=way)
                ran = ask(case)
                assert not violations(ran)
                assert ran.answer.citations or document == 6  # whose lines hang together: the least there is won't fit
                fewer = ask(replace(case, total=ran.budget.total_tokens - 1))
                assert isinstance(fewer.error, BudgetTooSmall)
                assert not fewer.bills

    def test_who_repeats_forever_is_cut(self):
        """A provider that ignores every cap costs what it costs, once: the overdraft is recorded, then nothing fits."""
        script = (Treatment(says="forever", obeys=False),)
        ran = ask(Case(document=LONG, total=3_000, way="staged", rounds=3, script=script))
        assert not violations(ran)
        overdraft = sum(event.overdraft_tokens for event in ran.trace.of(Settled))
        assert overdraft > 0
        assert ran.billed <= 3_000 + overdraft

    @pytest.mark.parametrize("most", [1, 2, 3, 4, 7])
    def test_calls_are_capped_with_retries(self, most):
        """Failed calls count, and the last call is the answer's."""
        for failure in ("429", "500", ""):
            script = (Treatment(says="missing", fails=failure), Treatment(says="missing"))
            ran = tried(Case(document=LONG, total=8_000, max_calls=most, rounds=3, script=script))[0][0]
            assert not violations(ran)
            assert 1 <= len(ran.bills) <= most


class TestStopping:
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("at", [1, 2, 3, 4])
    def test_in_any_call(self, way, at):
        """A stop in the first, second, … call: it isn't waited for, nothing follows, and the answer is there."""
        ran = ask(
            Case(
                document=LONG, total=5_000, way=way, rounds=3, stop_at=at, concurrency=1,
                script=(Treatment(says="missing", slow_s=0.08),),
            )
        )  # fmt: skip
        assert not violations(ran)
        assert len(ran.bills) <= at + 1
        if len(ran.bills) >= at:
            assert any("stopped" in note for note in ran.answer.notes)

    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("at", [(1,), (2,), (3,), (1, 1), (1, 2)])
    def test_cancelled_in_any_call(self, way, at):
        """The first cancellation of a task is an interrupt; only a second one is raised."""
        script = (Treatment(says="missing", slow_s=0.01),)
        ran = ask(Case(document=LONG, total=5_000, way=way, rounds=3, cancel_at=at, awaited=True, script=script))
        assert not violations(ran)
        assert ran.answer is not None or len(at) > 1

    @given(st.integers(0, 60), st.sampled_from(WAYS), st.integers(0, 3))
    @settings(max_examples=60)
    def test_cancelled_after_any_number_of_steps(self, steps, way, slow):
        """Wherever a task happens to wait: books closed, and the answer unless nothing had begun or all was over."""
        model = Provider((Treatment(says="missing"), Treatment(says="as asked", slow_s=slow / 1_000)))
        reasoner = Reasoner(model, way=way, rounds=3)
        events = []

        async def run():
            task = asyncio.ensure_future(reasoner.aask(tree_of(LONG), QUESTIONS[0], 5_000, on_event=events.append))
            for _ in range(steps):
                await asyncio.sleep(0)
            task.cancel()
            try:
                return await task
            except asyncio.CancelledError:
                return None

        answer = asyncio.run(run())
        case = Case(document=LONG, total=5_000, way=way, rounds=3, cancel_at=(1,))
        if events:
            ran = ran_of(case, answer, events, model)
            assert not violations(ran)
        assert answer is not None or not model.bills


def ran_of(case, answer, events, model):
    return Ran(
        case=case,
        budget=Budget(case.total),
        answer=answer,
        error=None if answer else asyncio.CancelledError(),
        events=tuple(events),
        bills=tuple(model.bills),
        seconds=0.0,
    )


class TestRetries:
    def test_what_was_asked_for_is_waited(self):
        """Each failed attempt is on the trace with its wait; who asks for a week isn't waited for."""
        script = (Treatment(fails="429 after"), Treatment())
        ran = ask(Case(total=2_000, script=script))
        assert ran.answer is not None
        assert not violations(ran)
        week = ask(Case(total=2_000, script=(Treatment(fails="429 in a week"),)))
        assert not week.trace.of(Retried)
        assert len(week.bills) == 1

    def test_attempts_are_paid_for(self):
        """A call that failed after it was billed counts at its worst case: fewer attempts fit a small budget."""
        model = Provider((Treatment(fails="500"),))
        reasoner = Reasoner(model, way="single", max_attempts=9)
        reasoner.retries = Retries(most=9, first_s=0)
        answer = reasoner.ask(tree_of(LONG), QUESTIONS[0], 2_000)
        assert answer.partial
        assert sum(bill.tokens for bill in model.bills) <= answer.usage.total_tokens <= 2_000
        assert len(model.bills) < 9
        assert any("wasn't sent" in event.what for event in answer.trace.of(Noted))


class TestSharing:
    def test_a_share_that_another_question_took(self):
        """Questions in turn on one account: each is answered, or refused before it costs anything."""
        account, spent = Account(Budget(4_000)), 0
        for _ in range(12):
            case = Case(document=LONG, total=1_500, way="staged", script=(Treatment(says="as asked"),))
            ran = ask(case, account=account)
            assert not violations(ran)
            spent += ran.billed
        assert spent == account.ledger.spent.total_tokens <= 4_000

    def test_what_is_kept_is_enough_for_an_answer(self):
        """An account that holds the smallest answer's share, but not what the question may spend: it is composed."""
        ran = ask(Case(document=LONG, total=8_000, way="staged"), account=Account(Budget(1_000)))
        assert not violations(ran)
        assert "compose" in [bill.request.stage for bill in ran.bills]


class TestKeeping:
    def test_a_reply_that_came_as_the_loop_ended(self, tmp_path):
        """A task is cancelled in the turn of the loop in which its reply arrived, and the loop ends: it is kept."""
        path, arrived = tmp_path / "store.sqlite", []

        class Prompt(Provider):
            async def acomplete(self, request, on_text=None):
                outcome = self.complete(request, on_text)
                arrived.append(request.key(self.name))
                asyncio.get_running_loop().call_soon(task[0].cancel)
                return outcome

        model, task = Prompt((Treatment(),)), []
        reasoner = Reasoner(model, way="single", store=path)

        async def run():
            task.append(asyncio.current_task())
            return await reasoner.aask(tree_of(LONG), QUESTIONS[0], 2_000)

        assert asyncio.run(run()).text
        assert len(arrived) == 1
        with Store.open(path) as store:
            assert store.completion(arrived[0]) is not None
