"""Who may spend what of a budget: what is promised to calls under way, what is kept for the answer, what was spent.

A `Ledger` is a value: every step returns a new one, and nothing is ever granted that isn't there. A call first
*reserves* its worst case, is then sent, and afterwards *settles* at what the provider billed, which frees the rest for
any other call::

    ledger = Ledger.open(Budget(8_000)).keep(1_500)                   # the composer's share comes first
    ledger, reservation = ledger.reserve("refine", 900, 200)          # admission, not alarm: raises if it doesn't fit
    ledger = ledger.settle(reservation, usage)                        # or .release(reservation) if it never was sent

Owns the rule that **spent + held never exceeds the budget by more than providers billed beyond reservations**, in
tokens, calls and USD alike. Doesn't know models, prices or clocks; `Budget.max_seconds` is the engine's to keep. For
calls made at the same time there is a lock around a ledger, `account.Account`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple, TypeVar

from hierarchy.budget import COST_DIGITS, NOTHING, Budget, Usage, is_number
from hierarchy.errors import BudgetError, BudgetTooSmall, LedgerError

__all__ = ["Ledger", "Reservation"]

_STEPS: int = 10**COST_DIGITS
# What stands for "no cap"; larger than any bill, and an integer, so that the arithmetic is one and the same.
_UNCAPPED = 10**30
# A provider that claims to have read less than this share of the counted prompt hasn't counted it. The densest honest
# disagreement between tokenizers (scripts that one splits by byte) is about a factor of four.
_CREDIBLE_SHARE = 0.25

T = TypeVar("T")


class _Amount(NamedTuple):
    """What is counted, side by side, so that one rule holds for all of it."""

    tokens: int = 0
    calls: int = 0
    cost: int = 0  # in 10⁻¹² USD

    def plus(self, other: _Amount) -> _Amount:
        return _Amount(*(a + b for a, b in zip(self, other, strict=True)))

    def minus(self, other: _Amount) -> _Amount:
        """What is left, nothing where the other is more."""
        return _Amount(*(max(0, a - b) for a, b in zip(self, other, strict=True)))

    def least(self, other: _Amount) -> _Amount:
        return _Amount(*(min(a, b) for a, b in zip(self, other, strict=True)))


_ZERO = _Amount()


def _steps(cost_usd: float | None) -> int:
    return round((cost_usd or 0.0) * _STEPS)


def _usd(steps: int) -> float:
    return round(steps / _STEPS, COST_DIGITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """The worst case of one call, held until the call is settled or released.

    Attributes:
        number: Its place among all reservations of the ledger, from 1; names the call in the trace.
        stage: The line of the bill that it goes on.
        input_tokens: What the prompt was counted as.
        max_output_tokens: The cap on the reply that is sent to the provider.
        tokens: What is held: the count times the model's margin, plus the reply's cap.
        cost_usd: The worst case's price; None where it isn't known.
        share: The kept share that it may draw on; empty for the common pool alone.
    """

    number: int
    stage: str
    input_tokens: int
    max_output_tokens: int
    tokens: int
    cost_usd: float | None = None
    share: str = ""
    _drawn: _Amount = field(default=_ZERO, repr=False)
    _book: object = field(default=None, repr=False, compare=False)

    def billed(self, usage: Usage | None) -> Usage:
        """What a provider's report is settled at; what isn't credible counts as the worst case that was reserved.

        Each figure is judged by itself. **A missing, negative or non-integer count settles at the reservation**, and so
        does an input below a quarter of the counted prompt (servers that don't count report zeros). Counts above the
        reservation are believed: they can only make the rest of the run more careful. A missing, negative or infinite
        cost settles at the reserved one. A settled call was at least one call.
        """
        report = usage or Usage(input_tokens=-1, output_tokens=-1)
        read, written = report.input_tokens, report.output_tokens
        read_least = max(1, _CREDIBLE_SHARE * self.input_tokens) if self.input_tokens else 0
        known_cost = is_number(report.cost_usd) and (report.cost_usd or 0.0) >= 0
        return Usage(
            input_tokens=read if _is_count(read, read_least) else self.tokens - self.max_output_tokens,
            output_tokens=written if _is_count(written, 0) else self.max_output_tokens,
            calls=report.calls if _is_count(report.calls, 1) else 1,
            cost_usd=report.cost_usd if known_cost else self.cost_usd,
        )

    def overdraft_tokens(self, usage: Usage | None) -> int:
        """By how much the bill exceeds what was reserved."""
        return max(0, self.billed(usage).total_tokens - self.tokens)

    @property
    def _amount(self) -> _Amount:
        return _Amount(self.tokens, 1, _steps(self.cost_usd))


def _is_count(value: object, least: float) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Who may spend what of one budget: an immutable account of everything reserved and settled so far.

    What is left is always derived from what was spent, what open reservations hold and what is kept, never carried
    along, so that **the order in which calls settle makes no difference**. A kept share has the first claim on what is
    left: if a provider bills beyond a reservation, the common pool pays first, then the kept shares (the last one kept
    first), and what other calls hand back fills them again.

    Build one with `open`; the fields are the ledger's own.

    Attributes:
        budget: What it was opened with.
        reservations: Those neither settled nor released, oldest first.

    Example:
        >>> ledger, call = Ledger.open(Budget(1_000)).keep(300).reserve("refine", 400, 100)
        >>> ledger.held_tokens, ledger.kept_tokens, ledger.remaining_tokens
        (500, 300, 200)
        >>> ledger = ledger.settle(call, Usage(input_tokens=410, output_tokens=20, calls=1))
        >>> ledger.spent.total_tokens, ledger.remaining_tokens
        (430, 270)
    """

    budget: Budget
    reservations: tuple[Reservation, ...] = ()
    _stages: tuple[tuple[str, Usage], ...] = ()  # in order of their first reservation
    _shares: tuple[tuple[str, _Amount], ...] = ()  # what is kept and not drawn, in the order kept
    _overdraft: _Amount = _ZERO
    _next: int = 1
    _book: object = field(default=None, repr=False, compare=False)  # tells its reservations from another ledger's

    @classmethod
    def open(cls, budget: Budget) -> Ledger:
        """A fresh ledger: nothing spent, nothing held."""
        return cls(budget=budget, _book=object())

    def keep(self, tokens: int, *, calls: int = 1, cost_usd: float | None = None, share: str = "answer") -> Ledger:
        """Set a share aside that only reservations with `kept=True` (and this `share`) can draw on.

        Args:
            tokens: What the stage that must not go without needs at worst.
            calls: Calls set aside with it, where calls are capped.
            cost_usd: Price set aside with it, where the price is capped.
            share: Its name; several questions on one ledger each keep their own.

        Raises:
            BudgetTooSmall: So many tokens aren't left; says which budget would do.
            BudgetError: So many calls or USD aren't left, or a cap in USD meets an unknown price.
            LedgerError: The share is kept already (`unkeep` it first), or an amount is negative.
        """
        if any(name == share for name, _ in self._shares):
            raise LedgerError(f"The share {share!r} is kept already.", "Unkeep it before keeping it anew.")
        if not (_is_count(tokens, 0) and _is_count(calls, 0)):
            raise LedgerError(f"A share of {tokens!r} tokens and {calls!r} calls can't be kept.")
        what = share.split(maxsplit=1)[0]  # what tells the shares of one account apart is no news to who reads of them
        self._check_price(what, cost_usd)
        amount = _Amount(tokens, calls, _steps(cost_usd))
        short = amount.minus(self._common)
        if short.tokens:
            given = self.budget.total_tokens
            left = None if self._common.tokens == given else self._common.tokens
            raise BudgetTooSmall(needed_tokens=given + short.tokens, given_tokens=given, left_tokens=left)
        self._check_rest(what, amount, self._common)
        return replace(self, _shares=(*self._shares, (share, amount)))

    def unkeep(self, share: str = "answer") -> Ledger:
        """Return what is left of a share to the common pool, once nobody needs it any more.

        Raises:
            LedgerError: No such share is kept.
        """
        if all(name != share for name, _ in self._shares):
            raise LedgerError(f"No share {share!r} is kept.")
        return replace(self, _shares=tuple((name, left) for name, left in self._shares if name != share))

    def rekeep(self, tokens: int, *, cost_usd: float | None = None, share: str = "answer") -> Ledger:
        """Make a share larger or smaller, in its place; where there isn't so much, as large as there is room for.

        Once calls were paid for, a share that can't grow is no reason to give up. Calls kept with it stay as they are.

        Args:
            tokens: What the stage needs now, at worst.
            cost_usd: Price set aside with it, where the price is capped.
            share: Its name.

        Raises:
            LedgerError: No such share is kept.
        """
        rest = self.unkeep(share)
        wanted = _Amount(max(0, tokens), dict(self._shares)[share].calls, max(0, _steps(cost_usd))).least(rest._common)
        return replace(self, _shares=_change(self._shares, share, lambda _: wanted))

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
    ) -> tuple[Ledger, Reservation]:
        """Hold the worst case of a call, before it is sent.

        Args:
            stage: The line of the bill.
            input_tokens: What the prompt counts.
            max_output_tokens: The cap on the reply, reasoning included, as sent to the provider.
            margin: By how much the provider may count the prompt higher.
            cost_usd: Price of the worst case; None if unknown, which a cap in USD refuses.
            kept: Draw on the kept share first, then on the common pool.
            share: Which kept share.

        Raises:
            BudgetError: It doesn't fit what is left. Nothing was held.
            LedgerError: An amount is negative or no number.
        """
        if not (_is_count(input_tokens, 0) and _is_count(max_output_tokens, 0) and is_number(margin) and margin > 0):
            raise LedgerError(
                f"{stage}: {input_tokens!r} × {margin!r} + {max_output_tokens!r} tokens can't be reserved."
            )
        self._check_price(stage, cost_usd)
        reservation = Reservation(
            number=self._next,
            stage=stage,
            input_tokens=input_tokens,
            max_output_tokens=max_output_tokens,
            tokens=math.ceil(input_tokens * margin - 1e-9) + max_output_tokens,
            cost_usd=cost_usd,
            share=share if kept else "",
            _book=self._book,
        )
        own = self._left(share) if kept else _ZERO
        self._check_rest(stage, reservation._amount, self._common.plus(own))
        reservation = replace(reservation, _drawn=reservation._amount.least(own))
        ledger = replace(
            self,
            reservations=(*self.reservations, reservation),
            _shares=_change(self._shares, share, lambda left: left.minus(reservation._drawn)),
            _stages=self._stages if stage in dict(self._stages) else (*self._stages, (stage, NOTHING)),
            _next=self._next + 1,
        )
        return ledger, reservation

    def settle(self, reservation: Reservation, usage: Usage | None) -> Ledger:
        """Close a reservation of a call that was sent, at what it was billed; the rest is free for other calls.

        What a call leaves of a kept share goes back to that share. A bill above the reservation is recorded as
        overdraft and taken from what is left.

        Args:
            reservation: As `reserve` returned it.
            usage: What the provider reports; None if nobody knows. `Reservation.billed` says what is believed.

        Raises:
            LedgerError: It was closed before, or isn't this ledger's.
        """
        billed = reservation.billed(usage)
        known_cost = reservation.cost_usd is not None
        amount = _Amount(billed.total_tokens, billed.calls, _steps(billed.cost_usd) if known_cost else 0)
        ledger = self._close(reservation, reservation._drawn.minus(amount))
        return replace(
            ledger,
            _stages=_change(self._stages, reservation.stage, lambda usage: usage + billed),
            _overdraft=self._overdraft.plus(amount.minus(reservation._amount)),
        )

    def release(self, reservation: Reservation, *, attempted: bool = False) -> Ledger:
        """Close a reservation at no tokens: the call was never sent, or its reply was already paid for.

        Args:
            reservation: As `reserve` returned it.
            attempted: It was sent, but certainly not billed (connection refused, too many requests): counts as a call.

        Raises:
            LedgerError: It was closed before, or isn't this ledger's.
        """
        if not attempted:
            return self._close(reservation, reservation._drawn)
        ledger = self._close(reservation, reservation._drawn.minus(_Amount(calls=1)))
        attempt = Usage(calls=1, cost_usd=0.0)
        return replace(ledger, _stages=_change(self._stages, reservation.stage, lambda usage: usage + attempt))

    @property
    def spent(self) -> Usage:
        """Everything settled so far."""
        return sum((usage for _, usage in self._stages), NOTHING)

    @property
    def by_stage(self) -> tuple[tuple[str, Usage], ...]:
        """What each stage spent, in the order in which they first reserved; adds up to `spent`."""
        return tuple((stage, usage) for stage, usage in self._stages if usage.calls)

    @property
    def held_tokens(self) -> int:
        """What open reservations hold."""
        return sum(reservation.tokens for reservation in self.reservations)

    @property
    def kept_tokens(self) -> int:
        """What is there for kept reservations to draw on, over all shares."""
        return sum(self._left(share).tokens for share, _ in self._shares)

    @property
    def shares(self) -> tuple[str, ...]:
        """Names of the shares that are kept, in the order kept."""
        return tuple(share for share, _ in self._shares)

    @property
    def remaining_tokens(self) -> int:
        """What any call can reserve now: neither spent, held nor kept. Never below zero."""
        return self._common.tokens

    @property
    def overdraft_tokens(self) -> int:
        """What providers billed beyond reservations, over all calls."""
        return self._overdraft.tokens

    @property
    def overdraft_cost_usd(self) -> float:
        """What providers charged beyond reserved prices, over all calls whose price was known beforehand."""
        return _usd(self._overdraft.cost)

    @property
    def remaining_calls(self) -> int | None:
        """Calls that can still be reserved from the common pool; None without a cap."""
        return None if self.budget.max_calls is None else self._common.calls

    @property
    def remaining_cost_usd(self) -> float | None:
        """USD that can still be reserved from the common pool; None without a cap."""
        return None if self.budget.max_cost_usd is None else _usd(self._common.cost)

    def available_tokens(self, *, kept: bool = False, share: str = "answer") -> int:
        """The largest reservation that would fit now; with `kept`, the share and the common pool together."""
        return self._common.tokens + (self._left(share).tokens if kept else 0)

    @property
    def _free(self) -> _Amount:
        """What is neither spent nor held: the kept shares and the common pool."""
        limit, spent = self.budget, self.spent
        caps = _Amount(
            limit.total_tokens,
            _UNCAPPED if limit.max_calls is None else limit.max_calls,
            _UNCAPPED if limit.max_cost_usd is None else _steps(limit.max_cost_usd),
        )
        free = caps.minus(_Amount(spent.total_tokens, spent.calls, _steps(spent.cost_usd)))
        return _less(free, self.reservations)

    @property
    def _common(self) -> _Amount:
        free = self._free
        for _, kept in self._shares:
            free = free.minus(kept)
        return free

    def _left(self, share: str) -> _Amount:
        """What a share can count on: all of it, unless an overdraft ate more than the common pool."""
        free = self._free
        for name, kept in self._shares:
            if name == share:
                return kept.least(free)
            free = free.minus(kept)
        return _ZERO

    def _close(self, reservation: Reservation, back: _Amount) -> Ledger:
        if reservation._book is not self._book or reservation.number >= self._next:
            raise LedgerError(f"Reservation {reservation.number} ({reservation.stage}) was made by another ledger.")
        if reservation not in self.reservations:
            raise LedgerError(f"Reservation {reservation.number} ({reservation.stage}) was settled or released before.")
        return replace(
            self,
            reservations=tuple(other for other in self.reservations if other != reservation),
            _shares=_change(self._shares, reservation.share, lambda left: left.plus(back)),
        )

    def _check_price(self, what: str, cost_usd: float | None) -> None:
        if cost_usd is not None and not (is_number(cost_usd) and cost_usd >= 0):
            raise LedgerError(f"{what}: {cost_usd!r} is no price.")
        if cost_usd is None and self.budget.max_cost_usd is not None:
            raise BudgetError(
                f"{what}: the model's price isn't known, so a cap of ${self.budget.max_cost_usd:,.4f} can't be kept.",
                "Cap tokens or calls instead of USD, or use a model with a known price.",
            )

    def _check_rest(self, what: str, needed: _Amount, left: _Amount) -> None:
        short = needed.minus(left)
        if short.tokens:
            raise BudgetError(
                f"{what} needs {needed.tokens:,} tokens; {left.tokens:,} of {self.budget.total_tokens:,} are left.",
                "Give a larger budget.",
            )
        if short.calls:
            raise BudgetError(
                f"{what} needs {needed.calls} more; {left.calls} of {self.budget.max_calls} calls are left.",
                "Allow more calls.",
            )
        if short.cost:
            raise BudgetError(
                f"{what} may cost ${_usd(needed.cost):,.4f}; ${_usd(left.cost):,.4f} of "
                f"${self.budget.max_cost_usd or 0:,.4f} are left.",
                "Allow a higher cost.",
            )


def _less(amount: _Amount, reservations: tuple[Reservation, ...]) -> _Amount:
    for reservation in reservations:
        amount = amount.minus(reservation._amount)
    return amount


def _change(entries: tuple[tuple[str, T], ...], name: str, change: Callable[[T], T]) -> tuple[tuple[str, T], ...]:
    """The entries with the one of that name changed, if it is there."""
    return tuple((other, change(value) if other == name else value) for other, value in entries)
