"""Events: plain values whatever they are made from, and the books as the ledger has them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.budget import Budget, Usage
from hierarchy.errors import Interrupted, Unavailable
from hierarchy.events import KINDS, Answered, Finished, Mapped, Read, Released, Reserved, Settled, dotted
from hierarchy.ledger import Ledger
from hierarchy.redaction import RULES

counts = st.one_of(st.none(), st.integers(-5, 10**6))


def held(margin=1.5):
    """A ledger of a thousand tokens, and a call of it: a hundred tokens by its margin, and a cap of fifty."""
    return Ledger.open(Budget(1_000)).reserve("compose", 100, 50, margin=margin)


class TestValues:
    def test_what_comes_as_numpy_and_lists_is_plain(self):
        """Equal to what JSON gives back: numbers of Python, tuples, keys that are text."""
        read = Read(
            node="0.1", source="a", start=np.int64(3), end=np.int32(9), tokens=np.int64(2), relevance=np.float64(0.5)
        )
        assert [type(value) for value in (read.start, read.end, read.tokens, read.relevance)] == [int, int, int, float]
        answered = Answered(text="", citations=[{"page": np.int64(4)}], receipt={1: [2, [3]]})
        assert answered.citations == ({"page": 4},)
        assert answered.receipt == {"1": (2, (3,))}
        columns = {name: [0, 1] for name in ("parents", "kinds", "tokens", "files", "starts", "ends", "pages")}
        assert Mapped(**columns, kind_names=["a"]).parents == (0, 1)

    def test_ids(self):
        """As they are shown; the whole tree has none."""
        assert (dotted(()), dotted((0,)), dotted((0, 2, 10))) == ("", "0", "0.2.10")

    def test_no_event_is_left_out_where_words_are(self):
        """Each kind has rules by which it's redacted, for each of its fields."""
        for kind in KINDS:
            assert set(RULES[kind]) == set(kind.__dataclass_fields__)


class TestBooks:
    def test_a_reservation(self):
        """Holds what the ledger holds."""
        ledger, call = held()
        event = Reserved.of(call, node=(0, 3), margin=1.5, model="a/b", key="k", prompt="Why?")
        assert (event.call, event.stage, event.node, event.tokens) == (1, "compose", "0.3", ledger.held_tokens)
        assert Reserved.of(call).node == ""

    @given(counts, counts)
    def test_a_bill_is_the_ledger_s(self, read, written):
        """Whatever is reported: what is billed, what exceeds the reservation, what was said of the prompt."""
        ledger, call = held()
        usage = None if read is None or written is None else Usage(input_tokens=read, output_tokens=written, calls=1)
        event = Settled.of(call, usage, reply="75 mg", seconds=0.5)
        after = ledger.settle(call, usage)
        assert event.usage == after.spent
        assert event.overdraft_tokens == after.overdraft_tokens
        assert event.reported_input_tokens == (read if usage and read >= 0 else None)
        assert Finished.of(after).usage == after.spent

    @pytest.mark.parametrize("error", [Unavailable("No connection.", "Try again."), Interrupted("interrupted")])
    def test_a_failure_with_its_remedy(self, error):
        """All that notes quote of it, so that a replay quotes the same."""
        event = Settled.of(held()[1], None, error=error)
        assert (event.error, event.error_hint, event.error_kind) == (error.message, error.hint, type(error).__name__)

    def test_what_was_given_up(self):
        """Counts as a call if it was made, and as no tokens."""
        assert Released(call=1).usage.calls == 0
        assert Released(call=1, attempted=True).usage == Usage(calls=1, cost_usd=0.0)

    def test_the_end(self):
        """A kept share that nobody needed remains."""
        ledger = Ledger.open(Budget(1_000)).keep(300)
        assert Finished.of(ledger).remaining_tokens == 1_000
