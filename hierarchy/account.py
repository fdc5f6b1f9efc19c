"""An account: a ledger that several threads, tasks or questions draw on at the same time.

The one mutable thing about budgets. Every rule is the ledger's (`ledger`).
"""

from __future__ import annotations

from dataclasses import replace
from threading import Lock

from hierarchy.budget import COST_DIGITS, Budget, Usage
from hierarchy.ledger import Ledger, Reservation

__all__ = ["Account"]

_LEAST_COST_USD = 10.0**-COST_DIGITS


class Account:
    """A ledger that several threads or tasks draw on: each step is atomic, so no token is ever reserved twice.

    Raises what the ledger's own steps raise; a step that raises leaves the account as it was.

    Example:
        >>> account = Account(Budget(1_000))
        >>> call = account.reserve("refine", 400, 100)
        >>> account.settle(call, Usage(input_tokens=400, output_tokens=7, calls=1)).total_tokens
        407
        >>> account.ledger.remaining_tokens
        593
    """

    def __init__(self, budget: Budget) -> None:
        self._ledger = Ledger.open(budget)
        self._lock = Lock()

    @property
    def ledger(self) -> Ledger:
        """The ledger as it is now; a value, which later steps don't change."""
        return self._ledger

    def within(self, budget: Budget) -> Budget:
        """A budget, cut to what is left here now; others may be quicker to spend it."""
        ledger = self._ledger
        calls, cost = ledger.remaining_calls, ledger.remaining_cost_usd
        caps = [budget.max_calls, None if calls is None else max(1, calls)]
        costs = [budget.max_cost_usd, None if cost is None else max(_LEAST_COST_USD, cost)]
        return replace(
            budget,
            total_tokens=max(1, min(budget.total_tokens, ledger.remaining_tokens)),
            max_calls=min((cap for cap in caps if cap is not None), default=None),
            max_cost_usd=min((cap for cap in costs if cap is not None), default=None),
        )

    def keep(self, tokens: int, *, calls: int = 1, cost_usd: float | None = None, share: str = "answer") -> None:
        """As `Ledger.keep`."""
        with self._lock:
            self._ledger = self._ledger.keep(tokens, calls=calls, cost_usd=cost_usd, share=share)

    def unkeep(self, share: str = "answer") -> None:
        """As `Ledger.unkeep`."""
        with self._lock:
            self._ledger = self._ledger.unkeep(share)

    def rekeep(self, tokens: int, *, cost_usd: float | None = None, share: str = "answer") -> None:
        """As `Ledger.rekeep`."""
        with self._lock:
            self._ledger = self._ledger.rekeep(tokens, cost_usd=cost_usd, share=share)

    def reserve(
        self,
        stage: str,
        input_tokens: int,
        max_output_tokens: int,
        *,
        margin: float = 1.0,
        cost_usd: float | None = None,
        kept: bool = False,
        share: str = "answer",
    ) -> Reservation:
        """As `Ledger.reserve`."""
        with self._lock:
            self._ledger, reservation = self._ledger.reserve(
                stage, input_tokens, max_output_tokens, margin=margin, cost_usd=cost_usd, kept=kept, share=share
            )
        return reservation

    def settle(self, reservation: Reservation, usage: Usage | None) -> Usage:
        """As `Ledger.settle`; returns what the call was settled at."""
        with self._lock:
            self._ledger = self._ledger.settle(reservation, usage)
        return reservation.billed(usage)

    def release(self, reservation: Reservation, *, attempted: bool = False) -> None:
        """As `Ledger.release`."""
        with self._lock:
            self._ledger = self._ledger.release(reservation, attempted=attempted)
