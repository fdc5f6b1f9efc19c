"""The books of a question: each attempt is on them once, whatever fails; what was paid for is never paid for again."""

import asyncio
import json
import math
import threading
import time
from collections import Counter as Tally
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle

import pytest
from documents import long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_engine import balanced

from hierarchy.account import Account
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.calls import Outcome, Request
from hierarchy.document import Document
from hierarchy.drivers import Places, drive, drive_async
from hierarchy.errors import BudgetError, BudgetTooSmall, Interrupted, Refused, StoreError, Unavailable
from hierarchy.events import Finished, Noted, Recalled, Released, Reserved, Retried, Settled
from hierarchy.facts import tariff_of
from hierarchy.flow import Strategy, answer_question
from hierarchy.journal import margins_of_run
from hierarchy.margins import Margins
from hierarchy.models import FunctionModel
from hierarchy.planner import outline
from hierarchy.session import Retries, Session
from hierarchy.tokens import count_tokens

FACT = "The helmsman is Aarav Iyer, and nobody else."
OTHER = "Warranty provisions stood at 17 million euros."
PARAGRAPHS = long_text(300).split("\n\n")
TREE = outline(Document(name="a.txt", text="\n\n".join([*PARAGRAPHS[:90], FACT, *PARAGRAPHS[90:200], OTHER])))
QUESTION = "Who steers the ship?"
REPLIES = {
    "route": json.dumps({"terms": ["helmsman"], "needs": [], "kind": "lookup"}),
    "compose": json.dumps({"answer": "", "quotes": [{"source": 1, "text": FACT}], "missing": "warranty provisions"}),
    "follow_up": json.dumps({"answer": "Aarav Iyer", "quotes": [{"source": 1, "text": FACT}], "missing": ""}),
    "refine": json.dumps({"quotes": [{"source": 1, "text": FACT}]}),
    "summarise": "They agreed.",
}
QUICK = Retries(first_s=0.001)
BUSY = Unavailable("Too many requests.")


def usage(read=100, written=10):
    return Usage(input_tokens=read, output_tokens=written, calls=1, cost_usd=0.0)


def request(stage="compose", prompt="How many words does this prompt have, and what do they cost?", most=50):
    return Request(stage=stage, prompt=prompt, max_output_tokens=most)


def opened(budget=5_000, *, model=None, **options):
    """Books for a flow that is driven by hand."""
    model = model or FunctionModel(lambda _: "")
    budget = budget if isinstance(budget, Budget) else Budget(budget)
    return Session(model=model, helper=model, budget=budget, margins=Margins(), **options)


def asking(*batches):
    """A flow that asks for batches one after the other, and returns all that came of them."""
    found = []
    for batch in batches:
        found += yield tuple(batch)
    return tuple(found)


def by_hand(session, batches, outcomes):
    """What a flow that asks for these batches is told, if each call in turn has these outcomes; and all calls."""
    outcomes, calls = iter(outcomes), []
    work = session.work(asking(*batches))
    try:
        batch = next(work)
        while True:
            calls.append(batch)
            batch = work.send(tuple(next(outcomes) for _ in batch))
    except StopIteration as stop:
        return stop.value, calls


def closed(session):
    """What holds of books however a question ended; returns what was spent."""
    trace = session.trace()
    reserved = [event.call for event in trace.of(Reserved)]
    ended = [event.call for event in (*trace.of(Settled), *trace.of(Released))]
    assert sorted(reserved) == sorted(ended)
    assert session.account.ledger.reservations == ()
    assert isinstance(trace.events[-1], Finished)
    assert len(trace.of(Finished)) == 1
    assert trace.usage() == session.account.ledger.spent == trace.events[-1].usage
    return session.account.ledger.spent


def ask(model, *, question=QUESTION, budget=5_000, way="auto", awaited=False, stop=None, margins=None, **options):
    """An answer and its session, without a reasoner."""
    margins = margins or Margins()
    budget = budget if isinstance(budget, Budget) else Budget(budget)
    if options.get("shared"):  # as a reasoner does it
        budget = options["shared"].within(budget)
    planned = margins
    if options.pop("as_before", False):  # as a reasoner does it: with the margins of the first run
        planned = margins_of_run(options.get("journal"), f"{question} {budget} {way}", margins, (model,))
        options["planned"] = planned
    tariff = tariff_of(model, planned)
    options = {"retries": QUICK, **options}
    session = Session(model=model, helper=model, budget=budget, margins=margins, **options)
    flow = answer_question(TREE, question, budget=budget, strategy=Strategy(way=way), tariff=tariff)
    work, places = session.work(flow), Places(8)
    answer = asyncio.run(drive_async(session, work, places, stop)) if awaited else drive(session, work, places, stop)
    return session.finished(answer), session


def scripted(request):
    return REPLIES[request.stage]


class Memory:
    """A journal in memory."""

    def __init__(self):
        self.kept = {}

    def recall(self, key):
        return self.kept.get(key)

    def keep(self, key, model, stage, outcome):
        assert key not in self.kept
        assert outcome.usage is not None
        self.kept[key] = replace(outcome)


# -- retries -----------------------------------------------------------------------------------------------------------


class TestRetries:
    @pytest.mark.parametrize("asked_s", [0.0, 2.0, 7.5])
    def test_a_call_that_was_turned_away_is_made_again(self, asked_s):
        """Not before the provider said; it costs a call and no tokens, and the trace tells of it."""
        session = opened()
        away = Outcome(error=BUSY, retry_after_s=asked_s, unbilled=True)
        (outcome,), calls = by_hand(session, [[request()]], [away, Outcome(text="x", usage=usage())])
        first, second = (batch[0] for batch in calls)
        assert first.wait_s == 0
        assert max(0.5, asked_s) <= second.wait_s <= 1.25 * max(0.5, asked_s)
        assert (first.request, first.key) == (second.request, second.key)
        assert outcome.text == "x"
        assert outcome.usage == closed(session) == Usage(input_tokens=100, output_tokens=10, calls=2, cost_usd=0.0)
        assert [(event.call, event.attempt) for event in session.trace().of(Retried)] == [(1, 2)]
        assert session.trace().of(Released)[0].attempted

    def test_an_attempt_of_unknown_bill_costs_its_worst_case(self):
        """An error in the middle may have been billed: it stands on the bill, and the answer's call adds to it."""
        session = opened()
        broken = Outcome(error=Unavailable("The connection was lost."), retry_after_s=0.0)
        (outcome,), _ = by_hand(session, [[request()]], [broken, Outcome(text="x", usage=usage())])
        worst = count_tokens(request().prompt) + 50
        assert outcome.usage.total_tokens == closed(session).total_tokens == worst + 110
        assert outcome.usage.calls == 2

    def test_what_was_billed_for_a_failure_is_believed(self):
        """A provider that says what a failed call cost is charged that."""
        session = opened()
        failed = Outcome(error=BUSY, usage=usage(20, 0), retry_after_s=0.0)
        by_hand(session, [[request()]], [failed, Outcome(text="x", usage=usage())])
        assert closed(session).total_tokens == 130

    @pytest.mark.parametrize("most", [1, 2, 4])
    def test_no_more_attempts_than_allowed(self, most):
        """Then what the provider said last is what comes of it."""
        session = opened(retries=Retries(most=most))
        away = [Outcome(error=Unavailable(f"Busy {n}."), retry_after_s=0.0, unbilled=True) for n in range(9)]
        (outcome,), calls = by_hand(session, [[request()]], away)
        assert len(calls) == most
        assert outcome.error.message == f"Busy {most - 1}."
        assert closed(session) == replace(NOTHING, calls=most)

    @pytest.mark.parametrize(
        "outcome",
        [
            Outcome(error=Refused("No key."), unbilled=True),
            Outcome(error=BUSY, retry_after_s=301.0, unbilled=True),
            Outcome(error=BUSY, retry_after_s=math.inf, unbilled=True),
            Outcome(text="fine", usage=usage(), retry_after_s=1.0),
        ],
    )
    def test_what_is_not_worth_it_is_not_tried_again(self, outcome):
        """A refusal, a provider that wants to be left alone for longer than anybody waits, and a success."""
        session = opened()
        (found,), calls = by_hand(session, [[request()]], [outcome])
        assert len(calls) == 1
        assert (found.text, found.error) == (outcome.text, outcome.error)
        closed(session)

    def test_a_wait_beyond_the_deadline_is_not_begun(self):
        """Whoever would come back too late isn't asked again; one who is in time is."""
        for asked_s, attempts in ((60.0, 1), (5.0, 2)):
            session = opened(Budget(5_000, max_seconds=30), deadline=time.monotonic() + 30)
            away = Outcome(error=BUSY, retry_after_s=asked_s, unbilled=True)
            _, calls = by_hand(session, [[request()]], [away, Outcome(text="x", usage=usage())])
            assert len(calls) == attempts
            closed(session)

    def test_an_attempt_that_does_not_fit_is_not_made(self):
        """What the provider said is kept; that the second attempt wasn't sent is noted."""
        session = opened(120)
        broken = Outcome(error=Unavailable("The connection was lost."), retry_after_s=0.0)
        (outcome,), calls = by_hand(session, [[request()]], [broken])
        assert len(calls) == 1
        assert outcome.error is broken.error
        assert outcome.usage.total_tokens == closed(session).total_tokens
        assert any("wasn't sent" in event.what for event in session.trace().of(Noted))

    def test_calls_are_capped(self):
        """An attempt is a call."""
        session = opened(Budget(5_000, max_calls=2))
        away = Outcome(error=BUSY, retry_after_s=0.0, unbilled=True)
        _, calls = by_hand(session, [[request()]], [away] * 4)
        assert len(calls) == 2
        assert closed(session).calls == 2

    def test_of_a_batch_only_what_failed_is_made_again(self):
        """The others keep their replies, in their places."""
        session = opened()
        away = Outcome(error=BUSY, retry_after_s=0.0, unbilled=True)
        good = [Outcome(text=name, usage=usage()) for name in "abc"]
        batch = [request(prompt=f"Number {n}") for n in range(3)]
        found, calls = by_hand(session, [batch], [away, good[1], away, away, good[2], good[0]])
        assert [outcome.text for outcome in found] == ["a", "b", "c"]
        assert [[call.request.prompt[-1] for call in each] for each in calls] == [["0", "1", "2"], ["0", "2"], ["0"]]
        assert closed(session).calls == 6

    def test_waits_grow_and_are_spread(self):
        """Twice as long each time, a quarter more at most, the same for the same call, up to a limit."""
        retries = Retries(first_s=1.0, longest_s=10.0)
        for key in ("0000ab", "ffffab", "8000ab"):
            waits = [retries.wait_s(attempt, 0.0, key) for attempt in range(2, 8)]
            assert waits == [retries.wait_s(attempt, 0.0, key) for attempt in range(2, 8)]
            for wait, plain in zip(waits, (1, 2, 4, 8, 10, 10), strict=True):
                assert plain <= wait <= 1.25 * plain
        assert retries.wait_s(2, 0.0, "0000") < retries.wait_s(2, 0.0, "ffff")
        assert retries.wait_s(2, 30.0, "0000") == 30.0

    def test_through_the_engine(self):
        """A provider that is busy twice, with and without saying for how long, is answered from all the same."""
        for awaited in (False, True):
            troubles = [
                Outcome(error=BUSY, retry_after_s=0.01, unbilled=True),
                Outcome(error=Unavailable("500"), retry_after_s=0.0),
            ]

            def busy(request, troubles=troubles):
                return troubles.pop() if request.stage == "compose" and troubles else scripted(request)

            answer, session = ask(FunctionModel(busy), awaited=awaited, budget=6_500)
            assert answer.text == "Aarav Iyer"
            assert not answer.partial
            assert closed(session) == answer.usage
            assert answer.usage.calls == 5
            assert len(answer.trace.of(Retried)) == 2


# -- any course of events ----------------------------------------------------------------------------------------------

BILLS = st.none() | st.builds(usage, st.integers(-5, 300), st.integers(-5, 200))
OUTCOMES = st.one_of(
    st.builds(Outcome, text=st.just("x"), usage=BILLS),
    st.builds(
        Outcome,
        usage=BILLS,
        error=st.just(BUSY),
        retry_after_s=st.sampled_from([None, 0.0, 1.0, 400.0]),
        unbilled=st.booleans(),
    ),
    st.builds(Outcome, text=st.just("x"), usage=st.just(usage()), cached=st.just(True)),
)


class TestAnyCourse:
    @given(
        batches=st.lists(st.lists(st.sampled_from(["route", "refine", "compose"]), min_size=1, max_size=3), max_size=3),
        outcomes=st.lists(OUTCOMES, min_size=1, max_size=7),
        total=st.integers(60, 1_500),
        calls=st.none() | st.integers(1, 6),
        ends=st.none() | st.integers(0, 6),
        shares=st.booleans(),
        stops=st.integers(0, 9),
    )
    @settings(max_examples=60)
    def test_the_books_close(self, *, batches, outcomes, total, calls, ends, shares, stops):
        """Whatever comes of calls, and wherever the run ends or is stopped: each is closed once, in both accounts."""
        shared = Account(Budget(2_000)) if shares else None
        session = opened(Budget(total, max_calls=calls), shared=shared)
        flow = asking(*([request(stage, f"{stage} {n}") for n, stage in enumerate(batch)] for batch in batches))
        work, replies, asked, sent = session.work(flow), cycle(outcomes), 0, None
        try:
            while True:
                batch = work.send(sent)
                if asked == ends:
                    work.throw(KeyboardInterrupt())
                session.stopped = session.stopped or asked == stops
                asked += 1
                sent = tuple(next(replies) for _ in batch)
        except KeyboardInterrupt:
            found = None
        except StopIteration as end:
            found = end.value
        spent = closed(session)
        if found is not None:
            assert len(found) == sum(map(len, batches))
            bills = [outcome.usage for outcome in found if outcome.usage and not outcome.cached]
            told = sum(bills, NOTHING).total_tokens
            assert told == spent.total_tokens or (told < spent.total_tokens and any(one.cached for one in outcomes))
        overdraft = session.account.ledger.overdraft_tokens
        assert spent.total_tokens <= total + overdraft
        assert calls is None or spent.calls <= calls
        if shared is not None:
            assert shared.ledger.spent == spent
            assert shared.ledger.reservations == ()
            assert shared.ledger.shares == ()

    def test_a_flow_that_is_given_up_closes_them(self):
        """A generator that nobody runs on leaves nothing held."""
        shared = Account(Budget(2_000))
        session = opened(shared=shared)
        work = session.work(asking([request(), request(prompt="Another")]))
        assert len(next(work)) == 2
        work.close()
        assert closed(session).calls == 2
        assert shared.ledger.reservations == ()

    def test_an_error_bears_the_trace(self):
        """What a flow raises on purpose says what had happened."""
        session = opened()

        def refusing():
            yield Noted(what="About to fail.")
            raise Refused("No.")

        with pytest.raises(Refused) as caught:
            next(session.work(refusing()))
        assert [type(event) for event in caught.value.trace] == [Noted, Finished]


# -- a journal ---------------------------------------------------------------------------------------------------------

WAYS = [("auto", QUESTION, 5_000), ("branches", "List all who steer.", 6_000), ("branches", "Summarise it.", 6_000)]


class TestJournal:
    @pytest.mark.parametrize("awaited", [False, True])
    @pytest.mark.parametrize(("way", "question", "budget"), [*WAYS, ("single", QUESTION, 1_500)])
    def test_what_was_paid_for_costs_nothing(self, way, question, budget, awaited):
        """Asked again: nobody is called, nothing is billed, the answer is the same and the trace says what it cost."""
        journal, options = Memory(), {"way": way, "question": question, "budget": budget, "awaited": awaited}
        first, _ = ask(FunctionModel(scripted), journal=journal, **options)
        silent = FunctionModel(lambda _: pytest.fail("It was called."))
        again, session = ask(silent, journal=journal, **options)
        assert closed(session) == NOTHING
        assert (again.text, again.citations, again.evidence, again.receipt) == (
            *(first.text, first.citations, first.evidence, first.receipt),
        )
        recalled = again.trace.of(Recalled)
        assert Tally(event.stage for event in recalled) == Tally(event.stage for event in first.trace.of(Reserved))
        assert sum((event.usage for event in recalled), NOTHING) == first.usage

    @pytest.mark.parametrize(("way", "question", "budget"), WAYS)
    def test_a_run_that_was_killed_pays_for_the_rest_only(self, way, question, budget):
        """Killed in each of its calls in turn: the next run asks for the same, and only for what isn't there yet."""
        options = {"way": way, "question": question, "budget": budget}
        whole = FunctionModel(scripted)
        answer, _ = ask(whole, **options)
        for fatal in range(len(whole.requests)):
            journal, begun, lock = Memory(), [], threading.Lock()

            def dying(request, begun=begun, fatal=fatal, lock=lock):
                with lock:
                    begun.append(request)
                    number = len(begun)
                if number == fatal + 1:
                    raise SystemExit
                if number > fatal + 1:
                    time.sleep(0.02)
                return scripted(request)

            with pytest.raises(SystemExit):
                ask(FunctionModel(dying), journal=journal, **options)
            time.sleep(0.05)
            kept = len(journal.kept)
            rest = FunctionModel(scripted)
            again, session = ask(rest, journal=journal, **options)
            assert again.text == answer.text
            assert len(rest.requests) == len(whole.requests) - kept
            assert closed(session).calls == len(rest.requests)
            assert Tally(r.prompt for r in rest.requests) <= Tally(r.prompt for r in whole.requests)

    @pytest.mark.parametrize("budget", [1_500, 5_000])
    def test_nor_after_the_margin_was_learnt(self, budget):
        """What a first run taught of the provider's counting makes no other prompts of a question answered already."""
        journal, margins = Memory(), Margins()
        ask(FunctionModel(scripted, margin=1.3), journal=journal, margins=margins, budget=budget, as_before=True)
        again, _ = ask(
            FunctionModel(scripted, margin=1.3), journal=journal, margins=margins, budget=budget, as_before=True
        )
        assert again.usage.total_tokens == 0

    def test_nor_after_attempts_that_failed(self):
        """A run that paid for an attempt that failed has less left; asked again, it asks for the same all the same."""
        journal, troubles = Memory(), [Outcome(error=BUSY, retry_after_s=0.0)] * 2

        def troubled(request):
            return troubles.pop() if troubles and request.stage == "route" else scripted(request)

        first, _ = ask(FunctionModel(troubled), journal=journal, budget=5_000)
        assert first.text == "Aarav Iyer"
        again, _ = ask(FunctionModel(scripted), journal=journal, budget=5_000)
        assert again.usage.total_tokens == 0

    def test_only_replies_are_kept(self):
        """No error, no empty reply, and nothing that came out of a journal itself."""
        journal = Memory()
        for reply in (BUSY, "", Outcome(text="x", usage=usage(), cached=True)):
            answer, _ = ask(FunctionModel(lambda _, reply=reply: reply), journal=journal, way="single")
            assert answer.text
        assert journal.kept == {}

    def test_what_is_kept_is_what_was_billed(self):
        """A report that isn't credible is kept as what the ledger made of it."""
        for lie in (None, Usage(input_tokens=-1, output_tokens=-1), Usage(input_tokens=0, output_tokens=0)):
            journal = Memory()
            model = FunctionModel(scripted, usage=lambda _, lie=lie: lie)
            answer, _ = ask(model, journal=journal, way="single")
            (kept,) = (each for each in journal.kept.values() if each.usage.calls)
            assert kept.usage == answer.usage

    def test_a_journal_that_can_not_keep_leaves_a_note(self):
        """The reply was paid for and is used; nothing else changes."""

        class Full(Memory):
            def keep(self, *_):
                raise StoreError("The disk is full.", "Make room.")

        for awaited in (False, True):
            answer, session = ask(FunctionModel(scripted), journal=Full(), awaited=awaited)
            assert answer.text == "Aarav Iyer"
            assert not answer.partial
            notes = [event.what for event in answer.trace.of(Noted) if "couldn't be kept" in event.what]
            assert len(notes) == 3
            assert "The disk is full." in notes[0]
            closed(session)

    def test_a_journal_that_can_not_recall_leaves_a_note(self):
        """What was paid for isn't thrown away because a disk went away in the middle."""

        class Gone(Memory):
            def recall(self, key):
                if self.kept:
                    raise StoreError("The disk is gone.")
                return super().recall(key)

        answer, _ = ask(FunctionModel(scripted), journal=Gone())
        assert answer.text

    def test_models_do_not_share_replies(self):
        """Another name, or the same served elsewhere, is asked for itself."""
        journal = Memory()
        ask(FunctionModel(scripted, name="a/b"), journal=journal)
        other = FunctionModel(scripted, name="a/c")
        ask(other, journal=journal)
        elsewhere = FunctionModel(scripted, name="a/b")
        elsewhere.identity = "a/b at home"
        ask(elsewhere, journal=journal)
        assert len(other.requests) == len(elsewhere.requests) == 3


# -- margins -----------------------------------------------------------------------------------------------------------


class TestMargins:
    def test_reservations_rise_at_once(self):
        """A provider that counts 40 % higher is reserved for at that from the next call on."""
        margins = Margins()
        model = FunctionModel(scripted, margin=1.1, usage=lambda u: replace(u, input_tokens=int(u.input_tokens * 1.4)))
        answer, session = ask(model, margins=margins, budget=6_000)
        closed(session)
        first, second, third = answer.trace.of(Reserved)
        for reserved, factor in ((first, 1.1), (second, 1.1), (third, 1.4)):
            assert reserved.tokens - reserved.max_output_tokens >= int(factor * reserved.input_tokens)
        assert answer.trace.of(Settled)[2].overdraft_tokens == 0
        assert margins.factor(model.name, 1.1, 1_000) >= 1.4

    def test_they_fall_with_reports_that_are_lower(self):
        """What turns out to be exact is reserved for more closely."""
        margins = Margins()
        model = FunctionModel(scripted, margin=1.5)
        for _ in range(3):
            ask(model, margins=margins, way="single", budget=3_000)
        assert 1.0 <= margins.factor(model.name, 1.5, 2_000) < 1.2

    @pytest.mark.parametrize("lie", [0, 1, -7, 10**9])
    def test_lies_teach_nothing(self, lie):
        """Reports that can't be true leave the margin as it is."""
        margins = Margins()
        model = FunctionModel(scripted, margin=1.2, usage=lambda u: replace(u, input_tokens=lie))
        _, session = ask(model, margins=margins)
        closed(session)
        assert margins.snapshot() == ()

    def test_exact_models_are_not_watched(self):
        """A count that is exact needs no margin."""
        margins = Margins()
        ask(FunctionModel(scripted), margins=margins)
        assert margins.snapshot() == ()


# -- one account for many ----------------------------------------------------------------------------------------------


class TestSharedAccount:
    SMALL = outline(Document(name="b.txt", text="\n\n".join([*PARAGRAPHS[:40], FACT])))

    @pytest.mark.parametrize(
        ("way", "awaited", "total"),
        [
            *(("auto", awaited, total) for awaited in (False, True) for total in (3_000, 20_000)),
            ("single", True, 9_000),
        ],
    )
    def test_many_questions_at_once(self, way, awaited, total):
        """64 over one account: never more than it holds; each is answered, or refused before its first call."""
        account, model = Account(Budget(total)), FunctionModel(scripted)
        sessions, places = [], Places(8)

        def begun(number):
            margins, budget = Margins(), Budget(1_200)
            session = Session(model=model, helper=model, budget=budget, margins=margins, shared=account, retries=QUICK)
            sessions.append(session)
            question = f"{QUESTION} Number {number}?"
            tariff = tariff_of(model, margins)
            flow = answer_question(self.SMALL, question, budget=budget, strategy=Strategy(way=way), tariff=tariff)
            return session, session.work(flow)

        def one(number):
            try:
                return drive(*begun(number), places)
            except BudgetTooSmall as refusal:
                return refusal

        async def one_awaited(number, places):
            try:
                return await drive_async(*begun(number), places)
            except BudgetTooSmall as refusal:
                return refusal

        async def all_awaited():
            places = Places(8)
            return await asyncio.gather(*(one_awaited(number, places) for number in range(64)))

        if awaited:
            found = asyncio.run(all_awaited())
        else:
            with ThreadPoolExecutor(16) as pool:
                found = list(pool.map(one, range(64)))
        refused = [each for each in found if isinstance(each, BudgetTooSmall)]
        assert all(not refusal.trace.of(Reserved) for refusal in refused)
        assert all(answer.text for answer in found if not isinstance(answer, BudgetTooSmall))
        assert len(refused) < 64
        spent = sum((closed(session) for session in sessions), NOTHING)
        assert account.ledger.spent == spent
        assert spent.total_tokens <= total
        assert account.ledger.reservations == ()
        assert account.ledger.shares == ()

    @pytest.mark.parametrize("way", ["auto", "single", "branches"])
    def test_a_question_plans_with_what_the_account_holds(self, way):
        """A thousand tokens are enough for an answer, also where the question alone might spend more."""
        answer, session = ask(FunctionModel(scripted), way=way, budget=5_000, shared=Account(Budget(1_000)))
        closed(session)
        assert not answer.partial
        assert "compose" in dict(answer.by_stage)

    def test_a_share_that_was_kept_is_never_lost(self):
        """What routing calls a list, after it was paid for, is answered though the account holds no more than that."""
        listing = json.dumps({"terms": ["helmsman"], "kind": "list"})
        model = FunctionModel(lambda request: listing if request.stage == "route" else scripted(request))
        answer, session = ask(model, budget=5_000, shared=Account(Budget(1_500)))
        closed(session)
        assert answer.text

    def test_an_account_that_is_spent_refuses_at_once(self):
        """Before the first call, with what would do."""
        account = Account(Budget(1_000))
        account.settle(account.reserve("compose", 700, 200), usage(700, 200))
        model = FunctionModel(scripted)
        with pytest.raises(BudgetTooSmall) as caught:
            ask(model, shared=account)
        assert not model.requests
        assert caught.value.needed_tokens > 1_000


# -- stopping and listening --------------------------------------------------------------------------------------------


class TestStopping:
    @pytest.mark.parametrize("awaited", [False, True])
    def test_before_the_first_call(self, awaited):
        """Nothing is sent or billed; the best of what the question's own words find comes back."""
        stop, model = threading.Event(), FunctionModel(scripted)
        stop.set()
        answer, session = ask(model, stop=stop, awaited=awaited)
        assert not model.requests
        assert closed(session) == NOTHING
        assert answer.partial
        assert answer.text
        assert any("stopped" in note.what for note in answer.trace.of(Noted))

    @pytest.mark.parametrize("awaited", [False, True])
    def test_while_waiting_for_a_retry(self, awaited):
        """It isn't waited for: the answer comes at once, and the call isn't made."""
        stop, model = threading.Event(), FunctionModel(lambda _: Outcome(error=BUSY, retry_after_s=60.0, unbilled=True))
        threading.Timer(0.1, stop.set).start()
        began = time.monotonic()
        answer, session = ask(model, stop=stop, awaited=awaited)
        assert time.monotonic() - began < 10
        assert len(model.requests) == 1
        assert answer.partial
        closed(session)

    @pytest.mark.parametrize("awaited", [False, True])
    def test_a_call_that_was_never_sent_is_not_billed(self, awaited):
        """Whoever stops while a retry is waited for pays for what was sent."""
        stop, model = threading.Event(), FunctionModel(lambda _: Outcome(error=BUSY, retry_after_s=60.0, unbilled=True))
        threading.Timer(0.1, stop.set).start()
        _, session = ask(model, stop=stop, awaited=awaited)
        assert closed(session).total_tokens == 0

    def test_during_a_call(self):
        """The call counts at its worst case, and what is kept of it later costs nothing the next time."""
        stop, journal, hanging = threading.Event(), Memory(), threading.Event()

        def slow(request):
            if request.stage == "compose":
                stop.set()
                hanging.wait(10)
            return scripted(request)

        answer, session = ask(FunctionModel(slow), stop=stop, journal=journal)
        assert answer.partial
        bill = dict(answer.by_stage)["compose"]
        reserved = [event for event in answer.trace.of(Reserved) if event.stage == "compose"]
        assert bill.total_tokens == reserved[0].tokens
        closed(session)
        hanging.set()
        for _ in range(100):
            if len(journal.kept) == 2:
                break
            time.sleep(0.02)
        rest = FunctionModel(scripted)
        again, _ = ask(rest, journal=journal)
        assert again.text == "Aarav Iyer"
        assert [request.stage for request in rest.requests] == ["follow_up"]


class TestListening:
    @pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, BudgetError("Enough.")])
    def test_a_text_listener_that_raises(self, error):
        """In whichever thread it hears: its exception ends the question, after the call that it heard was settled."""

        class Streaming(FunctionModel):
            streams = True

            def complete(self, request, on_text=None):
                outcome = super().complete(request)
                for piece in outcome.text if on_text else ():
                    on_text(piece)
                return outcome

        heard = []

        def listen(text):
            heard.append(text)
            raise error

        model = Streaming(lambda r: scripted(r) if r.stage == "route" else REPLIES["follow_up"])
        margins = Margins()
        session = Session(
            model=model, helper=model, budget=Budget(5_000), margins=margins, on_text=listen, retries=QUICK
        )
        tariff = tariff_of(model, margins)
        flow = answer_question(TREE, QUESTION, budget=Budget(5_000), strategy=Strategy(), tariff=tariff)
        with pytest.raises(error if isinstance(error, type) else type(error)):
            drive(session, session.work(flow), Places(2))
        assert heard == ["A"]
        assert closed(session).calls == len(model.requests) == 2

    def test_a_refusal_of_every_call_is_raised(self):
        """A wrong key is an error, with what stands in for an answer beside it; nothing was billed."""
        refused = Outcome(error=Refused("The key isn't valid.", "Set a key."), unbilled=True)
        with pytest.raises(Refused) as caught:
            ask(FunctionModel(lambda _: refused))
        assert caught.value.partial.text
        assert balanced(caught.value, 5_000).total_tokens == 0

    def test_who_was_stopped_is_told_so(self):
        """Calls that are asked for after a stop come back as interrupted, none is admitted."""
        session = opened()
        session.stopped = True
        found, calls = by_hand(session, [[request(), request(prompt="b")]], [])
        assert calls == []
        assert all(isinstance(outcome.error, Interrupted) for outcome in found)
        assert closed(session) == NOTHING
