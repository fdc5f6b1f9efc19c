"""What a question may cost and what it did: the caps, and the bill.

`Budget` is the most that a question may cost, as its user writes it; `Usage` is what calls were billed. Plain values
that add up, nothing more: who may spend what of a budget is the ledger's to say (`ledger`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from decimal import Decimal

from hierarchy.errors import InputError

__all__ = ["NOTHING", "Budget", "Usage"]

COST_DIGITS = 12
"""Costs are kept in steps of 10⁻¹² USD, far below the price of a token, so that sums don't depend on their order."""

_SIZE = re.compile(r"([0-9]{1,3}(?:[,_][0-9]{3}){1,5}|[0-9]{1,15})(\.[0-9]{1,15})?\s*([km%]?)", re.IGNORECASE)
_SUFFIX = {"": Decimal(1), "k": Decimal(1_000), "m": Decimal(1_000_000)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one call, or several together, were billed.

    Holds what a provider reports, unchecked: the ledger decides what of it to believe (`Reservation.billed`).

    Attributes:
        input_tokens: All tokens sent: instructions, question, evidence; input served from a provider's cache in full.
        output_tokens: All tokens returned, reasoning that nobody gets to see included.
        calls: Requests sent, failed ones and retries included.
        cost_usd: Price of all of it; None where it isn't known. **Unknown plus anything is unknown**, never zero.

    Example:
        >>> both = Usage(input_tokens=90, output_tokens=10, calls=1, cost_usd=0.1) + Usage(calls=1, cost_usd=0.2)
        >>> both.total_tokens, both.calls, both.cost_usd, (both + Usage()).cost_usd
        (100, 2, 0.3, None)
    """

    input_tokens: int = 0
    output_tokens: int = 0
    calls: int = 0
    cost_usd: float | None = None

    def __post_init__(self) -> None:
        """Round the cost to the steps that sums are made in."""
        if self.cost_usd is not None:
            object.__setattr__(self, "cost_usd", round(float(self.cost_usd), COST_DIGITS))

    @property
    def total_tokens(self) -> int:
        """Input and output together: what counts against the budget."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        """Both together."""
        known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            calls=self.calls + other.calls,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
        )


NOTHING = Usage(cost_usd=0.0)
"""No call and no cost: the start of a sum, `sum(usages, NOTHING)`. From `Usage()` the cost would become unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a question may cost, in up to four currencies; the first to run out decides.

    Attributes:
        total_tokens: Input and output tokens over all calls, retries and failures included.
        max_cost_usd: Price of all calls. Models whose price isn't known are then refused.
        max_seconds: Time until the best answer so far is returned.
        max_calls: Requests sent.
        stop_when_confident: Stop reading once it is so likely, from 0 to 1, that what is needed was read and little is
            left; None to read as much as there is room for. 0.8 is sensible: it saves tokens and loses little.

    Raises:
        InputError: A cap that isn't a positive number.

    Example:
        >>> Budget(8_000, max_calls=20).total_tokens, Budget.parse("1.5k").total_tokens
        (8000, 1500)
        >>> Budget.parse("5%", document_tokens=104_000).total_tokens
        5200
    """

    total_tokens: int = field(kw_only=False)
    max_cost_usd: float | None = None
    max_seconds: float | None = None
    max_calls: int | None = None
    stop_when_confident: float | None = None

    def __post_init__(self) -> None:
        """Refuse caps under which nothing could be asked."""
        _check_whole("total_tokens", self.total_tokens)
        if self.max_calls is not None:
            _check_whole("max_calls", self.max_calls)
        confident = self.stop_when_confident
        if confident is not None and not (is_number(confident) and 0 < confident < 1):
            raise InputError(
                f"stop_when_confident is {confident!r}.", "Give a probability between 0 and 1, such as 0.8."
            )
        for name in ("max_cost_usd", "max_seconds"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and 0 < value < math.inf):
                raise InputError(f"{name} is {value!r}.", "Give a positive number, or None for no such cap.")

    @classmethod
    def parse(cls, value: Budget | int | str, *, document_tokens: int | None = None) -> Budget:
        """Read a budget as people write it: `8000`, `"8,000"`, `"8k"`, `"1.5k"`, `"2M"`, or `"5%"` of the document.

        Fractions of a token are rounded down, so that a budget is never more than was asked for.

        Args:
            value: The budget; a `Budget` is returned as it is.
            document_tokens: Length of the document, for a percentage.

        Raises:
            InputError: It isn't one of these, comes to less than one token, or is a percentage of nothing known.
        """
        if isinstance(value, Budget):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            return cls(value)
        return cls(_parse_tokens(value, document_tokens))


def _parse_tokens(value: object, document_tokens: int | None) -> int:
    found = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    if not found or (found[2] and not found[3]):
        raise InputError(f"{value!r} isn't a budget.", 'Write it as 8000, "8k", "1.5k", "2M" or "5%" of the document.')
    number = Decimal(re.sub("[,_]", "", found[1]) + (found[2] or ""))
    suffix = found[3].lower()
    if suffix != "%":
        tokens = int(number * _SUFFIX[suffix])
    elif document_tokens is None:
        raise InputError(f"A budget of {value} needs a document to be a share of.", "Give a number of tokens.")
    else:
        tokens = int(number * document_tokens / 100)
    if tokens < 1:
        of = f" of {document_tokens:,} tokens" if suffix == "%" else ""
        raise InputError(f"A budget of {value}{of} comes to less than one token.", "Give a larger one.")
    return tokens


def _check_whole(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} is {value!r}.", "Give a whole number of at least 1.")


def is_number(value: object) -> bool:
    """Whether it can be counted with: finite, and no truth value."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
