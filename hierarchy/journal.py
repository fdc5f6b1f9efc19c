"""The journal: replies kept by content, what is to be known of them besides, and calls that keep theirs as they come.

A question that is asked again asks for the same, so that it finds what was paid for: it is planned with the margins of
its first run, and counts what failed attempts had cost. Doesn't know how replies are stored (`store`) or admitted
(`session`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from hierarchy.budget import NOTHING, Usage
from hierarchy.calls import Outcome, Request
from hierarchy.errors import StoreError
from hierarchy.ledger import Reservation
from hierarchy.margins import LEAST_SHARE, Margin, Margins
from hierarchy.models import Model

__all__ = ["Call", "Journal", "circumstances", "identity_of", "margins_of_run", "recalled"]


class Journal(Protocol):
    """Where replies are kept by content, so that none is paid for twice."""

    def recall(self, key: str) -> Outcome | None:
        """The reply to a request, with what it had cost; None if there is none."""
        ...

    def keep(self, key: str, model: str, stage: str, outcome: Outcome) -> None:
        """Keep a reply: it is safe when this returns."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """A call that was admitted, to be made by a driver.

    Attributes:
        request: What is asked.
        model: Who is asked.
        key: Content hash of all that decides the reply.
        wait_s: To be waited before.
        reservations: What is held for it, in its own account and in one shared with others.
        journal: Where its reply is kept.
        on_text: Called with pieces of the reply.
        before: What earlier attempts at the same request cost.
        sent: Whether the model was asked; set by the driver.
    """

    request: Request
    model: Model
    key: str
    wait_s: float
    reservations: tuple[Reservation, ...]
    journal: Journal | None = None
    on_text: Callable[[str], None] | None = None
    before: Usage = NOTHING
    sent: bool = field(default=False, init=False)

    def keep(self, outcome: Outcome) -> Outcome:
        """Keep the reply as soon as it is there, before anything else can happen to it."""
        if self.journal is None or outcome.error or not outcome.text or outcome.cached:
            return outcome
        billed = self.reservations[0].billed(self.reported(outcome))
        reported = outcome.usage is not None and outcome.usage.input_tokens == billed.input_tokens
        try:
            if self.before.calls or not reported:
                key, aside = circumstances(self.key, self.before, reported=reported)
                self.journal.keep(key, self.model.name, "circumstances", aside)
            self.journal.keep(self.key, self.model.name, self.request.stage, replace(outcome, usage=billed))
        except StoreError as error:
            error.add_note("The reply itself was received, and is used.")
            self.trouble = error
        return outcome

    def reported(self, outcome: Outcome) -> Usage | None:
        """What the provider reports, without an output that its own reply belies: servers that don't count say 0 or 1.

        Tokenizers differ, but not by more than a factor of `1 / LEAST_SHARE`.
        """
        usage = outcome.usage
        if usage is None or not outcome.text or not isinstance(usage.output_tokens, int):
            return usage
        belied = usage.output_tokens < LEAST_SHARE * self.model.count(outcome.text)
        return replace(usage, output_tokens=-1) if belied else usage

    trouble: StoreError | None = field(default=None, init=False)


def margins_of_run(journal: Journal | None, run: str, known: Margins, models: Sequence[Model]) -> Margins:
    """The margins that a question is planned with: those of its first run, so that asked again it asks for the same.

    Args:
        journal: Where replies are kept; without one there is nothing to come back to.
        run: What a run is known by: its document, question, budget, strategy and models.
        known: What is known by now.
        models: Who will be called.
    """
    names = {model.name for model in models}
    now = {name: margin for name, margin in known.snapshot() if name in names}
    if journal is None:
        return Margins(now)
    key = hashlib.blake2b(f"margins of {run}".encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    found = journal.recall(key)
    if found is not None:
        kept = json.loads(found.text)
        return Margins({name: Margin(*values[:2], overhead_tokens=values[2]) for name, values in kept.items()})
    text = json.dumps({name: (one.ratio, one.observations, one.overhead_tokens) for name, one in now.items()})
    journal.keep(key, models[0].name, "margins", Outcome(text=text, usage=NOTHING))
    return Margins(now)


def recalled(journal: Journal, key: str) -> tuple[Outcome, Usage, bool] | None:
    """A kept reply, what failed attempts before it had cost, and whether its provider said what it had read.

    Raises:
        StoreError: What was kept can't be read.
    """
    found = journal.recall(key)
    if found is None or found.usage is None:
        return None
    return (found, *_told_aside(journal.recall(f"{key}+")))


def circumstances(key: str, failed: Usage, *, reported: bool) -> tuple[str, Outcome]:
    """What is to be known besides of a kept reply, and by which key it is kept.

    Args:
        key: The reply's.
        failed: What failed attempts before it had cost.
        reported: Whether its provider said what it had read.
    """
    bill = (failed.input_tokens, failed.output_tokens, failed.calls, failed.cost_usd)
    return f"{key}+", Outcome(text=json.dumps({"before": bill, "reported": reported}), usage=NOTHING)


def _told_aside(found: Outcome | None) -> tuple[Usage, bool]:
    """What failed attempts before a kept reply cost, and whether its provider said what it had read."""
    if found is None:
        return NOTHING, True
    told = json.loads(found.text)
    names = ("input_tokens", "output_tokens", "calls", "cost_usd")
    return Usage(**dict(zip(names, told["before"], strict=True))), bool(told["reported"])


def identity_of(model: Model) -> str:
    """What of a model decides its replies: its name, and where it is served with which options, if it says so."""
    return str(getattr(model, "identity", model.name))
