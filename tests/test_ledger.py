"""The ledger: whatever calls and providers do, nothing is spent that wasn't there."""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from itertools import permutations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule

from hierarchy.account import Account
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.errors import BudgetError, BudgetTooSmall, LedgerError
from hierarchy.ledger import Ledger

COUNTS = st.integers(0, 400)
LIES = st.one_of(
    st.none(),
    st.builds(
        Usage,
        input_tokens=st.integers(-500, 5_000),
        output_tokens=st.integers(-500, 5_000),
        calls=st.integers(-2, 3),
        cost_usd=st.one_of(st.none(), st.floats(-1, 1), st.just(math.nan), st.just(math.inf)),
    ),
)


def used(read=0, written=0, cost=None, calls=1):
    return Usage(input_tokens=read, output_tokens=written, calls=calls, cost_usd=cost)


class TestAdmission:
    def test_holds_the_worst_case(self):
        """A reservation holds counted input times margin, rounded up, plus the whole reply."""
        ledger, call = Ledger.open(Budget(1_000)).reserve("refine", 101, 50, margin=1.1)
        assert call.tokens == 162
        assert (ledger.held_tokens, ledger.remaining_tokens) == (162, 838)

    def test_an_exact_margin_is_not_rounded_up(self):
        """100 × 1.1 is 110, although floats say a little more."""
        _, call = Ledger.open(Budget(1_000)).reserve("refine", 100, 0, margin=1.1)
        assert call.tokens == 110

    def test_what_does_not_fit_is_refused(self):
        """One token too many is refused with the numbers, and the ledger is as before."""
        ledger = Ledger.open(Budget(100))
        with pytest.raises(BudgetError, match=r"refine needs 101 tokens; 100 of 100 are left"):
            ledger.reserve("refine", 51, 50)
        assert ledger == Ledger.open(Budget(100))
        ledger.reserve("refine", 50, 50)

    def test_settling_frees_the_rest_for_others(self):
        """What a call didn't use can be reserved by the next one."""
        ledger, call = Ledger.open(Budget(100)).reserve("refine", 50, 50)
        ledger = ledger.settle(call, used(50, 10))
        assert ledger.remaining_tokens == 40
        ledger.reserve("compose", 30, 10)

    def test_calls_are_capped(self):
        """The last allowed call is admitted and the next refused; an attempt counts, a call never sent doesn't."""
        ledger = Ledger.open(Budget(1_000, max_calls=2))
        ledger, first = ledger.reserve("refine", 1, 1)
        ledger, second = ledger.reserve("refine", 1, 1)
        with pytest.raises(BudgetError, match="0 of 2 calls are left"):
            ledger.reserve("refine", 1, 1)
        ledger = ledger.release(first)
        assert ledger.remaining_calls == 1
        ledger = ledger.release(second, attempted=True)
        assert (ledger.spent.calls, ledger.remaining_calls, ledger.spent.total_tokens) == (1, 1, 0)

    def test_cost_is_capped_exactly(self):
        """Three times ten cents fit thirty, although floats say they don't; nothing more fits."""
        ledger = Ledger.open(Budget(1_000, max_cost_usd=0.3))
        for _ in range(3):
            ledger, call = ledger.reserve("refine", 1, 1, cost_usd=0.1)
            ledger = ledger.settle(call, used(1, 1, 0.1))
        assert ledger.remaining_cost_usd == 0
        with pytest.raises(BudgetError, match=r"\$0\.0100; \$0\.0000 of \$0\.3000"):
            ledger.reserve("refine", 1, 1, cost_usd=0.01)

    def test_an_unknown_price_meets_a_cap(self):
        """A cap in USD can't be kept for a model whose price nobody knows, so the call is refused."""
        ledger = Ledger.open(Budget(1_000, max_cost_usd=1))
        with pytest.raises(BudgetError, match="price isn't known"):
            ledger.reserve("refine", 1, 1)
        with pytest.raises(BudgetError, match="price isn't known"):
            ledger.keep(10)

    def test_a_price_can_be_unknown_without_a_cap(self):
        """Without a cap in USD the cost is simply not known."""
        ledger, call = Ledger.open(Budget(1_000)).reserve("refine", 1, 1)
        ledger = ledger.settle(call, used(1, 1))
        assert ledger.spent.cost_usd is None
        assert ledger.remaining_cost_usd is None
        assert ledger.remaining_calls is None

    @pytest.mark.parametrize(
        ("read", "written", "margin"), [(-1, 1, 1), (1, -1, 1), (1, 1, 0), (1, 1, math.nan), (1.5, 1, 1)]
    )
    def test_nonsense_can_not_be_reserved(self, read, written, margin):
        """A negative reservation would mint tokens."""
        with pytest.raises(LedgerError):
            Ledger.open(Budget(100)).reserve("refine", read, written, margin=margin)

    def test_a_negative_price_can_not_be_reserved(self):
        """A negative price would mint dollars."""
        with pytest.raises(LedgerError, match="no price"):
            Ledger.open(Budget(100)).reserve("refine", 1, 1, cost_usd=-0.1)


class TestKeptShare:
    def test_others_can_not_touch_it(self):
        """Refining sees only what the composer's share leaves; the composer sees both."""
        ledger = Ledger.open(Budget(100)).keep(60)
        with pytest.raises(BudgetError):
            ledger.reserve("refine", 41, 0)
        ledger, refine = ledger.reserve("refine", 30, 0)
        assert ledger.available_tokens() == 10
        assert ledger.available_tokens(kept=True) == 70
        ledger, _ = ledger.reserve("compose", 65, 0, kept=True)
        assert (ledger.kept_tokens, ledger.remaining_tokens) == (0, 5)
        assert ledger.settle(refine, used(20)).remaining_tokens == 15

    def test_too_small_for_any_answer(self):
        """A share that doesn't fit names the budget that would do."""
        with pytest.raises(BudgetTooSmall) as caught:
            Ledger.open(Budget(100)).keep(150)
        assert (caught.value.needed_tokens, caught.value.given_tokens) == (150, 100)

    def test_needed_counts_what_is_gone(self):
        """The budget that would do includes what was spent and held before."""
        ledger, _ = Ledger.open(Budget(100)).reserve("plan", 30, 0)
        with pytest.raises(BudgetTooSmall) as caught:
            ledger.keep(80)
        assert caught.value.needed_tokens == 110

    def test_the_same_share_is_kept_once(self):
        """Keeping it twice is an error until it was given up; shares of other names stand side by side."""
        ledger = Ledger.open(Budget(100)).keep(30)
        with pytest.raises(LedgerError, match="kept already"):
            ledger.keep(30)
        assert ledger.keep(30, share="second question").kept_tokens == 60
        assert ledger.unkeep().keep(50).kept_tokens == 50
        with pytest.raises(LedgerError, match="No share"):
            ledger.unkeep("third question")

    def test_a_call_of_the_composer_is_kept_too(self):
        """Refining can't use up the last call or the last dollar that the answer needs."""
        ledger = Ledger.open(Budget(100, max_calls=2, max_cost_usd=1)).keep(10, cost_usd=0.75)
        ledger, _ = ledger.reserve("refine", 1, 1, cost_usd=0.2)
        with pytest.raises(BudgetError, match="0 of 2 calls"):
            ledger.reserve("refine", 1, 1, cost_usd=0)
        ledger, _ = ledger.reserve("compose", 5, 5, cost_usd=0.8, kept=True)
        assert ledger.remaining_cost_usd == 0

    def test_too_few_calls_or_dollars_for_any_answer(self):
        """A share whose calls or price can't be kept is refused as well."""
        ledger, _ = Ledger.open(Budget(100, max_calls=1, max_cost_usd=1)).reserve("plan", 1, 1, cost_usd=0.5)
        with pytest.raises(BudgetError, match="calls"):
            ledger.keep(10, cost_usd=0.1)
        with pytest.raises(BudgetError, match=r"\$"):
            ledger.keep(10, calls=0, cost_usd=0.6)

    def test_a_composer_that_failed_can_try_again(self):
        """What a released or cheaply failed call drew goes back to the share, not to the refiners."""
        ledger = Ledger.open(Budget(100)).keep(60)
        ledger, call = ledger.reserve("compose", 60, 0, kept=True)
        assert ledger.release(call).kept_tokens == 60
        assert ledger.settle(call, used(20)).kept_tokens == 40

    def test_an_overdraft_takes_the_common_pool_first(self):
        """The share shrinks only by what the common pool can't cover, and fills again when others hand back."""
        ledger = Ledger.open(Budget(100)).keep(40)
        ledger, liar = ledger.reserve("refine", 20, 0)
        ledger, honest = ledger.reserve("refine", 30, 0)
        ledger = ledger.settle(liar, used(50))
        assert (ledger.overdraft_tokens, ledger.kept_tokens, ledger.remaining_tokens) == (30, 20, 0)
        ledger = ledger.release(honest)
        assert (ledger.kept_tokens, ledger.remaining_tokens) == (40, 10)

    @given(st.integers(0, 90), st.integers(0, 90), st.integers(-50, 200), st.integers(0, 150))
    def test_a_share_can_grow_as_far_as_there_is_room(self, first, other, wanted, billed):
        """Keeping more or less later never fails, never takes what is held or another's, and keeps its place."""
        ledger = Ledger.open(Budget(200, max_calls=9)).keep(first, share="a").keep(other, share="b")
        if billed <= ledger.remaining_tokens:
            ledger, _ = ledger.reserve("refine", billed, 0)
        after = ledger.rekeep(wanted, share="a")
        room = ledger.remaining_tokens + first
        assert after.shares == ("a", "b")
        assert after.kept_tokens == other + min(max(0, wanted), room)
        assert after.held_tokens + after.kept_tokens + after.remaining_tokens == 200
        with pytest.raises(LedgerError):
            ledger.rekeep(1, share="c")

    def test_a_share_of_nothing_left(self):
        """After a bill beyond everything, a share is kept of what there is: nothing."""
        ledger, call = Ledger.open(Budget(100)).keep(30).reserve("route", 10, 10)
        ledger = ledger.settle(call, used(10**6, 10)).rekeep(60)
        assert (ledger.kept_tokens, ledger.remaining_tokens, ledger.shares) == (0, 0, ("answer",))

    def test_the_share_kept_last_pays_first(self):
        """Of several shares the oldest is the safest."""
        ledger = Ledger.open(Budget(100)).keep(40, share="a").keep(40, share="b")
        ledger, liar = ledger.reserve("refine", 20, 0)
        ledger = ledger.settle(liar, used(50))
        assert ledger.available_tokens(kept=True, share="a") == 40
        assert ledger.available_tokens(kept=True, share="b") == 10


class TestDistrust:
    @pytest.fixture
    def held(self):
        return Ledger.open(Budget(10_000)).reserve("refine", 1_000, 500, margin=1.2, cost_usd=0.02)

    @pytest.mark.parametrize(
        ("report", "read", "written"),
        [
            (None, 1_200, 500),
            (used(990, 20), 990, 20),
            (used(-1, 20), 1_200, 20),
            (used(990, -20), 990, 500),
            (used(0, 0), 1_200, 0),
            (used(200, 10), 1_200, 10),
            (used(250, 10), 250, 10),
            (used(1_300, 900), 1_300, 900),
            (used(12.5, "7"), 1_200, 500),
            (used(True, None), 1_200, 500),
        ],
    )
    def test_what_is_not_credible_counts_as_reserved(self, held, report, read, written):
        """Missing, negative, non-integer and implausibly low counts settle at the reservation, each by itself."""
        ledger, call = held
        assert ledger.settle(call, report).spent.total_tokens == read + written
        assert (call.billed(report).input_tokens, call.billed(report).output_tokens) == (read, written)

    @pytest.mark.parametrize("cost", [None, -1.0, math.nan, math.inf])
    def test_an_incredible_cost_is_the_reserved_one(self, held, cost):
        """A cost that is missing, negative or no number settles at the worst case."""
        ledger, call = held
        assert ledger.settle(call, used(1_000, 10, cost)).spent.cost_usd == 0.02

    @pytest.mark.parametrize("calls", [-1, 0, 1])
    def test_a_call_is_at_least_one_call(self, held, calls):
        """A provider that denies its call is billed for it all the same."""
        ledger, call = held
        assert ledger.settle(call, used(1_000, 10, calls=calls)).spent.calls == 1

    def test_overdraft_is_recorded(self):
        """A bill beyond the reservation is spent and recorded; later admissions see nothing below zero."""
        ledger, call = Ledger.open(Budget(100)).reserve("refine", 50, 10)
        assert call.overdraft_tokens(used(150, 10)) == 100
        ledger = ledger.settle(call, used(150, 10))
        assert (ledger.spent.total_tokens, ledger.overdraft_tokens, ledger.remaining_tokens) == (160, 100, 0)
        with pytest.raises(BudgetError):
            ledger.reserve("refine", 1, 0)

    def test_overdraft_in_dollars_is_recorded(self):
        """A charge beyond the reserved price is recorded and leaves nothing below zero."""
        ledger, call = Ledger.open(Budget(100, max_cost_usd=0.1)).reserve("refine", 50, 10, cost_usd=0.05)
        ledger = ledger.settle(call, used(50, 10, 0.25))
        assert (ledger.overdraft_cost_usd, ledger.remaining_cost_usd) == (0.2, 0)


class TestClosing:
    def test_settled_or_released_once(self):
        """A reservation can be closed once, whichever way."""
        ledger, call = Ledger.open(Budget(100)).reserve("refine", 10, 10)
        for closed in (ledger.settle(call, None), ledger.release(call)):
            for again in (lambda closed=closed: closed.settle(call, None), lambda closed=closed: closed.release(call)):
                with pytest.raises(LedgerError, match="settled or released before"):
                    again()

    def test_foreign_reservations_are_refused(self):
        """A reservation of another ledger is refused even if it looks the same."""
        mine, _ = Ledger.open(Budget(100)).reserve("refine", 10, 10)
        _, foreign = Ledger.open(Budget(100)).reserve("refine", 10, 10)
        with pytest.raises(LedgerError, match="another ledger"):
            mine.settle(foreign, None)
        with pytest.raises(LedgerError, match="another ledger"):
            mine.release(foreign)

    def test_a_reservation_from_the_future_is_foreign(self):
        """An older state of the ledger doesn't know what was reserved later."""
        before = Ledger.open(Budget(100))
        _, call = before.reserve("refine", 10, 10)
        with pytest.raises(LedgerError, match="another ledger"):
            before.settle(call, None)

    def test_the_bill_by_stage(self):
        """Stages stand in the order of their first reservation, add up to the total, and never sent ones are absent."""
        ledger = Ledger.open(Budget(1_000))
        ledger, first = ledger.reserve("refine", 10, 0)
        ledger, second = ledger.reserve("compose", 20, 0)
        ledger, third = ledger.reserve("refine", 30, 0)
        ledger, never = ledger.reserve("repair", 40, 0)
        ledger = ledger.settle(second, used(20)).settle(third, used(30)).settle(first, used(10)).release(never)
        assert [(stage, bill.input_tokens) for stage, bill in ledger.by_stage] == [("refine", 40), ("compose", 20)]
        assert ledger.spent == sum((bill for _, bill in ledger.by_stage), NOTHING)

    @given(st.lists(st.tuples(COUNTS, COUNTS, st.booleans(), LIES), min_size=2, max_size=4), st.integers(0, 500))
    @settings(max_examples=60)
    def test_the_order_of_settling_makes_no_difference(self, calls, share):
        """Whoever answers first, the same reports leave the same ledger."""
        ledger, held = Ledger.open(Budget(4_000)).keep(share), []
        for read, written, kept, report in calls:
            ledger, call = ledger.reserve("compose" if kept else "refine", read, written, kept=kept, cost_usd=0.001)
            held.append((call, report))
        endings = [reduce(lambda ledger, one: ledger.settle(*one), order, ledger) for order in permutations(held)]
        assert all(ending == endings[0] for ending in endings)


class LedgerMachine(RuleBasedStateMachine):
    """Every interleaving of keeping, reserving, settling with lies, releasing and cancelling."""

    calls = Bundle("calls")

    @initialize(total=st.integers(1, 3_000), capped=st.booleans())
    def open(self, total, capped):
        self.total = total
        caps = {"max_calls": 12, "max_cost_usd": 0.5} if capped else {}
        self.ledger = Ledger.open(Budget(total, **caps))
        self.kept = {}
        self.served = False
        self.closed = []

    @rule(tokens=COUNTS, share=st.sampled_from(["answer", "other"]))
    def keep(self, tokens, share):
        before = self.ledger
        try:
            self.ledger = self.ledger.keep(tokens, cost_usd=0.05, share=share)
        except LedgerError:
            assert share in self.kept
        except BudgetTooSmall:
            assert tokens > before.remaining_tokens
        except BudgetError:
            assert before.budget.max_calls is not None
        else:
            self.kept[share] = tokens

    @rule(share=st.sampled_from(["answer", "other"]))
    def unkeep(self, share):
        if share in self.kept:
            self.ledger = self.ledger.unkeep(share)
            del self.kept[share]

    @rule(
        target=calls,
        read=COUNTS,
        written=COUNTS,
        margin=st.sampled_from([1.0, 1.1, 1.37]),
        kept=st.booleans(),
        share=st.sampled_from(["answer", "other"]),
    )
    def reserve(self, read, written, margin, kept, share):
        tokens = math.ceil(round(read * margin, 6)) + written
        fits = tokens <= self.ledger.available_tokens(kept=kept, share=share)
        try:
            self.ledger, call = self.ledger.reserve(
                "compose" if kept else "refine", read, written, margin=margin, cost_usd=0.03, kept=kept, share=share
            )
        except BudgetError:
            capped = self.ledger.budget.max_calls is not None
            assert not fits or capped
            return multiple()
        assert fits
        assert call.tokens == tokens
        if kept and share in self.kept:
            # Drawing on it is what it is for; from here on it may be smaller.
            self.kept[share] = max(0, self.kept[share] - tokens)
        return call

    @rule(call=consumes(calls), report=LIES)
    def settle(self, call, report):
        spent, over = self.ledger.spent.total_tokens, self.ledger.overdraft_tokens
        self.ledger = self.ledger.settle(call, report)
        billed = self.ledger.spent.total_tokens - spent
        assert billed >= 0
        assert self.ledger.overdraft_tokens - over == max(0, billed - call.tokens) == call.overdraft_tokens(report)
        self.closed.append(call)

    @rule(call=consumes(calls), attempted=st.booleans())
    def release(self, call, attempted):
        spent = self.ledger.spent
        self.ledger = self.ledger.release(call, attempted=attempted)
        assert self.ledger.spent.total_tokens == spent.total_tokens
        assert self.ledger.spent.calls == spent.calls + attempted
        self.closed.append(call)

    @rule()
    def close_again(self):
        for call in self.closed[-3:]:
            with pytest.raises(LedgerError):
                self.ledger.settle(call, None)
            with pytest.raises(LedgerError):
                self.ledger.release(call)

    @rule()
    def cancel_everything(self):
        """An interrupt: nobody knows what the calls under way were billed. Then nothing is held, and nothing leaked."""
        ledger = self.ledger
        for call in ledger.reservations:
            ledger = ledger.settle(call, None)
        assert ledger.held_tokens == 0
        left = ledger.remaining_tokens + ledger.kept_tokens
        assert left == max(0, self.total - ledger.spent.total_tokens)
        assert ledger.overdraft_tokens == self.ledger.overdraft_tokens

    @invariant()
    def never_over(self):
        ledger = self.ledger
        out = ledger.spent.total_tokens + ledger.held_tokens
        assert out <= self.total + ledger.overdraft_tokens
        assert out + ledger.kept_tokens + ledger.remaining_tokens == max(self.total, out)
        assert min(ledger.remaining_tokens, ledger.kept_tokens, ledger.held_tokens) >= 0
        assert ledger.spent == sum((bill for _, bill in ledger.by_stage), NOTHING)

    @invariant()
    def the_kept_share_is_there(self):
        ledger = self.ledger
        assert ledger.kept_tokens >= sum(self.kept.values()) - ledger.overdraft_tokens

    @invariant()
    def never_over_in_the_other_currencies(self):
        ledger, cap = self.ledger, self.ledger.budget.max_cost_usd
        if cap is not None:
            assert ledger.spent.cost_usd <= cap + ledger.overdraft_cost_usd + 1e-9
            assert ledger.remaining_calls >= 0
            assert ledger.remaining_cost_usd >= 0


LedgerMachine.TestCase.settings = settings(
    max_examples=120, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestLedgerMachine = LedgerMachine.TestCase


class TestAccount:
    def test_threads_never_reserve_the_same_token(self):
        """Threads hammering one account admit exactly what fits, and the sum comes out to the token."""
        account = Account(Budget(10_000))
        account.keep(500)

        def hammer(seed):
            admitted = 0
            for turn in range(60):
                try:
                    call = account.reserve("refine", 40, 10)
                except BudgetError:
                    continue
                admitted += 1
                if (seed + turn) % 3:
                    assert account.settle(call, used(40, turn % 11)).total_tokens == 40 + turn % 11
                else:
                    account.release(call)
                assert account.ledger.spent.total_tokens + account.ledger.held_tokens <= 9_500
            return admitted

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(hammer, range(8))) > 0
        ledger = account.ledger
        assert ledger.held_tokens == 0
        assert ledger.kept_tokens == 500
        assert ledger.spent.total_tokens + ledger.remaining_tokens + 500 == 10_000

    def test_simultaneous_reservations_stop_at_the_budget(self):
        """Of a hundred calls at once, exactly those that fit are admitted."""
        account = Account(Budget(1_000))

        def attempt(_):
            try:
                return account.reserve("refine", 90, 10)
            except BudgetError:
                return None

        with ThreadPoolExecutor(16) as pool:
            admitted = [call for call in pool.map(attempt, range(100)) if call]
        assert len(admitted) == 10
        assert len({call.number for call in admitted}) == 10
        assert account.ledger.remaining_tokens == 0

    def test_the_snapshot_is_a_value(self):
        """What was read from the account before doesn't change with it."""
        account = Account(Budget(100))
        before = account.ledger
        account.keep(10)
        account.unkeep()
        account.release(account.reserve("refine", 1, 1), attempted=True)
        assert before == Ledger.open(Budget(100))
        assert account.ledger.spent.calls == 1
