"""The budget contract over real HTTP: what a hostile server really billed fits the budget, and an answer comes back."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hostile import QUESTIONS, Case, lies, quickly, tree_of, violations
from hostile_http import LONG, MODES, Line, ask_over_http
from loopback import BEHAVIOURS, Loopback, answers, answers_as_asked

from hierarchy.account import Account
from hierarchy.budget import Budget
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetTooSmall, Unavailable
from hierarchy.events import Recalled, Reserved, Settled
from hierarchy.models import ProviderModel
from hierarchy.session import Retries

STAGED = Case(document=LONG, question=QUESTIONS[0], total=4_000, way="staged", rounds=2, attempts=2)
BRANCHES = Case(document=LONG, question=QUESTIONS[0], total=4_000, way="branches", attempts=2)
# Where a behaviour is met, and what has to come before it.
POSITIONS = {
    "route": (STAGED, {}),
    "compose": (STAGED, {}),
    "follow_up": (STAGED, {"compose": ("missing",)}),
    "refine": (BRANCHES, {}),
}
# Goes on beyond any cap and says nothing of it: what it bills until it is left, nobody can know beforehand.
UNBOUNDED = {"forever-disobeying"}


@pytest.fixture(scope="module")
def server():
    with Loopback() as server:
        yield server


@pytest.fixture(autouse=True)
def settled(server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server.clear()
    with quickly():
        yield
    server.wait_idle()


@pytest.mark.parametrize("position", sorted(POSITIONS))
@pytest.mark.parametrize("name", sorted(BEHAVIOURS))
def test_each_behaviour_at_each_position(server, name, position):
    """Every kind of trouble, at every call of a run, streamed or not, awaited or not."""
    case, before = POSITIONS[position]
    mode = MODES[(sorted(BEHAVIOURS).index(name) + sorted(POSITIONS).index(position)) % 4]
    line = Line(by_stage={**before, position: (name,)})
    ran = ask_over_http(server, case, line, mode=mode, timeout_s=0.6 if name in UNBOUNDED else 5)
    assert not violations(ran)
    met = [bill for bill in ran.bills if bill.request.stage == position]
    assert met
    if ran.answer is None:
        assert ran.billed == 0
    if name not in UNBOUNDED:
        overdraft = sum(event.overdraft_tokens for event in ran.trace.of(Settled))
        assert ran.billed <= case.total + overdraft
    if name not in {*UNBOUNDED, "usage-low"}:
        assert lies(ran) == 0


@pytest.mark.parametrize("mode", MODES)
def test_an_honest_server_bills_what_the_answer_says(server, mode):
    """To the token, in each way to call it."""
    ran = ask_over_http(server, STAGED, Line(by_stage={"compose": ("missing",)}), mode=mode)
    assert not violations(ran)
    assert [bill.request.stage for bill in ran.bills] == ["route", "compose", "follow_up"]
    assert ran.answer.usage.total_tokens == server.billed_tokens == ran.billed
    assert ran.answer.usage.calls == len(server.received) == 3


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("way", ["staged", "branches"])
@pytest.mark.parametrize("after_s", [0.005, 0.06, 0.15, 0.4])
def test_stopped_at_any_moment(server, way, mode, after_s):
    """A stop or a cancelled task, while calls are under way or not: books closed, within the budget, an answer."""
    case = replace(STAGED, way=way)
    line = Line(by_stage={"route": ("slow",), "compose": ("slow",), "refine": ("slow-stream", "slow")})
    began = time.monotonic()
    ran = ask_over_http(server, case, line, mode=mode, stop_after_s=after_s)
    assert time.monotonic() - began < 5
    assert not violations(ran)
    assert ran.billed <= 4_000
    if ran.bills:
        assert ran.answer.text


def test_a_server_that_goes_away(server):
    """An outage after routing: tried again, then answered from what can be had without it."""
    case = replace(STAGED, attempts=3)
    ran = ask_over_http(server, case, Line(by_stage={"compose": ("drop-before",)}))
    assert not violations(ran)
    assert ran.answer.partial
    assert ran.answer.citations
    assert len(ran.bills) >= 2


def test_no_server_at_all():
    """Nothing was billed and nothing came: an error that says where nobody answers, with what stands in."""
    with Loopback() as gone:
        url = gone.url
    reasoner = Reasoner(ProviderModel("openai/x", api_base=url, api_key="x"), max_attempts=2)
    reasoner.retries = Retries(most=2, first_s=0)
    with pytest.raises(Unavailable) as caught:
        reasoner.ask(tree_of(LONG), QUESTIONS[0], 4_000)
    assert url in str(caught.value)
    assert caught.value.partial.citations


class TestManyAtOnce:
    """Sixty-four questions on one account."""

    TOTAL = 40_000

    def reasoner(self, server):
        model = ProviderModel("openai/x", api_base=server.url, api_key="x", timeout_s=20)
        reasoner = Reasoner(model, way="staged", max_concurrency=16)
        reasoner.retries = Retries(most=3, first_s=0, longest_s=0.1)
        return reasoner

    def judged(self, server, account, results):
        """There is too little for all: some are answered, and who comes late is refused before it costs anything."""
        server.wait_idle()
        answers = [result for result in results if not isinstance(result, BaseException)]
        spent = sum(answer.usage.total_tokens for answer in answers)
        for refusal in (result for result in results if isinstance(result, BaseException)):
            assert isinstance(refusal, BudgetTooSmall)
            assert refusal.trace.usage().calls == 0
        assert len(results) == 64
        assert len(answers) >= 16
        assert all(answer.text for answer in answers)
        assert account.ledger.held_tokens == 0
        assert account.ledger.shares == ()
        assert account.ledger.spent.total_tokens == spent
        assert sum(answer.usage.calls for answer in answers) == len(server.received)
        assert server.billed_tokens <= spent <= self.TOTAL
        return spent

    def script(self, honest):
        kinds = ["honest", "503", "no-usage", "drop-body", "invented-quotes", "counts-30%-higher", "cut-json", "empty"]

        def behave(received):
            return BEHAVIOURS["honest" if honest else kinds[received.number % len(kinds)]]

        return behave

    @pytest.mark.parametrize("honest", [True, False])
    def test_in_threads(self, server, honest):
        """None is spent twice, and no question goes without an answer."""
        server.script = self.script(honest)
        account, reasoner = Account(Budget(self.TOTAL)), self.reasoner(server)
        with ThreadPoolExecutor(64) as pool:
            asked = [
                pool.submit(reasoner.ask, tree_of(LONG), f"What does clause {n} concern?", 2_500, account=account)
                for n in range(64)
            ]
            results = [each.exception() or each.result() for each in asked]
        spent = self.judged(server, account, results)
        if honest:
            assert spent == server.billed_tokens

    @pytest.mark.parametrize("honest", [True, False])
    def test_in_tasks(self, server, honest):
        """The same in one event loop."""
        server.script = self.script(honest)
        account, reasoner = Account(Budget(self.TOTAL)), self.reasoner(server)

        async def run():
            return await asyncio.gather(
                *(
                    reasoner.aask(tree_of(LONG), f"What does clause {n} concern?", 2_500, account=account)
                    for n in range(64)
                ),
                return_exceptions=True,
            )

        spent = self.judged(server, account, asyncio.run(run()))
        if honest:
            assert spent == server.billed_tokens

    def test_tasks_that_are_cancelled(self, server):
        """Half of them are, at different times: their calls count at their worst case, and nothing stays held."""
        server.script = BEHAVIOURS["slow"]
        account, reasoner = Account(Budget(self.TOTAL)), self.reasoner(server)

        async def run():
            tasks = [
                asyncio.ensure_future(
                    reasoner.aask(tree_of(LONG), f"What does clause {n} concern?", 2_500, account=account)
                )
                for n in range(24)
            ]
            for number, task in enumerate(tasks[::2]):
                asyncio.get_running_loop().call_later(0.05 * number, task.cancel)
            return await asyncio.gather(*tasks, return_exceptions=True)

        results = asyncio.run(run())
        server.wait_idle()
        answers = [result for result in results if not isinstance(result, BaseException)]
        assert len(answers) >= 12
        assert account.ledger.held_tokens == 0
        assert account.ledger.shares == ()
        assert server.billed_tokens <= account.ledger.spent.total_tokens <= self.TOTAL


class TestWithAStore:
    def test_asked_again(self, server, tmp_path):
        """The same question costs nothing the second time, streamed or not, and the answer is the same."""
        server.script = answers(answers_as_asked)
        model = ProviderModel("openai/x", api_base=server.url, api_key="x")
        path = tmp_path / "store.sqlite"
        first = Reasoner(model, store=path, way="staged").ask(tree_of(LONG), QUESTIONS[0], 4_000)
        asked = len(server.received)
        second = Reasoner(model, store=path, way="staged").ask(
            tree_of(LONG), QUESTIONS[0], 4_000, on_text=lambda _: None
        )
        assert len(server.received) == asked == first.usage.calls
        assert (second.text, second.citations) == (first.text, first.citations)
        assert second.usage.total_tokens == 0
        assert len(second.trace.of(Recalled)) == asked
        assert not second.trace.of(Reserved)

    def test_two_at_once(self, server, tmp_path):
        """Threads that share a store share replies, too, and never spoil each other's."""
        server.script = answers(answers_as_asked)
        model = ProviderModel("openai/x", api_base=server.url, api_key="x")
        reasoner = Reasoner(model, store=tmp_path / "store.sqlite", way="staged")
        barrier = threading.Barrier(4)

        def ask(number):
            barrier.wait()
            return reasoner.ask(tree_of(LONG), f"What does clause {number % 2} concern?", 4_000)

        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(ask, range(4)))
        assert found[0].text == found[2].text
        assert found[1].text == found[3].text
        assert sum(answer.usage.total_tokens for answer in found) == server.billed_tokens
