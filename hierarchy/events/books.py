"""Events of the books: what was kept, held, billed and given back, call by call, and the last line."""

from __future__ import annotations

from dataclasses import dataclass

from hierarchy.budget import NOTHING, Usage
from hierarchy.errors import HierarchyError
from hierarchy.events.records import Event, dotted
from hierarchy.ledger import Ledger, Reservation

__all__ = ["Finished", "Kept", "Recalled", "Released", "Reserved", "Retried", "Settled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept(Event):
    """The composer's share was set aside.

    Attributes:
        tokens: How many.
        cost_usd: What they cost at most; None if that isn't known.
    """

    tokens: int
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Event):
    """A call was admitted: its worst case is held.

    Attributes:
        call: Its number, by which it is settled or released.
        stage: The line of the bill.
        node: What it is about, dotted; empty for the whole tree.
        input_tokens: What the prompt counts.
        max_output_tokens: The cap on the reply.
        tokens: What is held: the prompt by its margin, rounded up, and the cap.
        margin: By which factor the provider may count the prompt higher.
        cost_usd: What it costs at most; None where that isn't known.
        model: Who is called.
        key: Content hash of all that decides the reply.
        prompt: What is sent.
    """

    call: int
    stage: str
    node: str = ""
    input_tokens: int
    max_output_tokens: int
    tokens: int
    margin: float = 1.0
    cost_usd: float | None = None
    model: str = ""
    key: str = ""
    prompt: str = ""

    @classmethod
    def of(
        cls,
        reservation: Reservation,
        *,
        node: tuple[int, ...] | None = None,
        margin: float = 1.0,
        model: str = "",
        key: str = "",
        prompt: str = "",
    ) -> Reserved:
        """The event of a reservation just made."""
        return cls(
            call=reservation.number,
            stage=reservation.stage,
            node=dotted(node or ()),
            input_tokens=reservation.input_tokens,
            max_output_tokens=reservation.max_output_tokens,
            tokens=reservation.tokens,
            margin=margin,
            cost_usd=reservation.cost_usd,
            model=model,
            key=key,
            prompt=prompt,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Event):
    """A call that was sent came back, or failed.

    Attributes:
        call: Its number.
        usage: What the ledger settled it at.
        overdraft_tokens: By how much that exceeds what was held.
        cached: Whether the reply was taken from a journal and cost nothing.
        error: Why there is no reply; empty if there is one.
        error_kind: Name of the error's class, which decides what is done about it.
        error_hint: How to mend it, as notes quote it.
        reply: What came back.
        seconds: How long it took, where the model says so; built-in ones don't.
        retry_after_s: After how many seconds a failed call might be made again; None where that makes no sense.
        reported_input_tokens: What the provider said the prompt counts; None if it said none that can be.
    """

    call: int
    usage: Usage
    overdraft_tokens: int = 0
    cached: bool = False
    error: str = ""
    error_kind: str = ""
    error_hint: str = ""
    reply: str = ""
    seconds: float | None = None
    retry_after_s: float | None = None
    reported_input_tokens: int | None = None

    @classmethod
    def of(
        cls,
        reservation: Reservation,
        usage: Usage | None,
        *,
        error: HierarchyError | None = None,
        reply: str = "",
        seconds: float | None = None,
        retry_after_s: float | None = None,
    ) -> Settled:
        """The event of a reservation settled at what the provider reports."""
        read = usage.input_tokens if usage else None
        return cls(
            call=reservation.number,
            usage=reservation.billed(usage),
            overdraft_tokens=reservation.overdraft_tokens(usage),
            error=error.message if error else "",
            error_kind=type(error).__name__ if error else "",
            error_hint=error.hint if error else "",
            reply=reply,
            seconds=seconds,
            retry_after_s=retry_after_s,
            reported_input_tokens=read if type(read) is int and read >= 0 else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """A call was given up at no tokens.

    Attributes:
        call: Its number.
        attempted: Whether it was sent, and refused without being billed; it then counts as a call.
        error: Why it was refused; empty if it wasn't.
        error_kind: Name of the error's class.
        error_hint: How to mend it.
        seconds: How long that took, where the model says so.
        retry_after_s: After how many seconds it might be made again; None where that makes no sense.
    """

    call: int
    attempted: bool = False
    error: str = ""
    error_kind: str = ""
    error_hint: str = ""
    seconds: float | None = None
    retry_after_s: float | None = None

    @property
    def usage(self) -> Usage:
        """What it counts on the bill."""
        return Usage(calls=int(self.attempted), cost_usd=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(Event):
    """A reply was there already, from an earlier run: it cost nothing now.

    Attributes:
        stage: The line of the bill that it would have gone on.
        node: What it is about, dotted; empty for the whole tree.
        usage: What it cost when it was made, failed attempts included.
        failed: What those had cost.
        reported: Whether the provider had said what it read.
        model: Who made it.
        key: Content hash of all that decided it.
        prompt: What had been sent.
        reply: What came back.
    """

    stage: str
    node: str = ""
    usage: Usage
    failed: Usage = NOTHING
    reported: bool = True
    model: str = ""
    key: str = ""
    prompt: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """A call that failed is made again.

    Attributes:
        call: Number of the one that failed.
        attempt: Which attempt comes next, from 2.
        wait_s: How long is waited before it, in seconds.
    """

    call: int
    attempt: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """The last event: the ledger as it was left.

    Attributes:
        usage: Everything billed.
        by_stage: What each stage was billed.
        remaining_tokens: What the question didn't need, a kept share included.
        overdraft_tokens: What providers billed beyond reservations.
    """

    usage: Usage
    by_stage: tuple[tuple[str, Usage], ...] = ()
    remaining_tokens: int = 0
    overdraft_tokens: int = 0

    @classmethod
    def of(cls, ledger: Ledger) -> Finished:
        """The event of a ledger whose calls are all closed."""
        return cls(
            usage=ledger.spent,
            by_stage=ledger.by_stage,
            remaining_tokens=ledger.remaining_tokens + ledger.kept_tokens,
            overdraft_tokens=ledger.overdraft_tokens,
        )
