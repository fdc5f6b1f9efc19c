"""How stages and the engine talk: a stage yields batches of requests and is sent their outcomes.

A stage is a generator of `Steps`; it never sees a model, a clock, a thread or the ledger. The engine is the only
driver, and a test can drive a stage by hand with `next` and `send`::

    steps = composer.compose(...)
    batch = next(steps)                      # a tuple of Requests, independent of each other
    steps.send((Outcome(text="..."),))       # one Outcome per Request, in the same order

Owns the request key. Doesn't know who answers.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from hierarchy.budget import Usage
from hierarchy.errors import HierarchyError
from hierarchy.tokens import Counter, count_tokens

__all__ = ["HELPER_STAGES", "Outcome", "Price", "Request", "Steps", "Tariff"]

T = TypeVar("T")

Price = Callable[[int, int], float | None]
"""What a call of so many tokens in and out costs in USD at most; None where that isn't known."""

HELPER_STAGES = frozenset({"route", "summarise", "refine"})
"""Stages that the cheaper of two models answers, where two are given."""


def _unpriced(_input_tokens: int, _output_tokens: int) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What stages are told of a model: what calls to it cost, and what it can't do.

    Attributes:
        name: The model's name.
        count: Counts what it is sent.
        margin: By which factor its provider may count a prompt of so many tokens higher, as far as is known by now: it
            may change during a run.
        price: What calls cost.
        context_tokens: The longest prompt that it takes; None if that isn't known.
        reasoning_tokens: What to allow beside a reply for thinking that nobody gets to see.
        stages: The stages that it answers; None for all.
    """

    name: str
    count: Counter = count_tokens
    margin: Callable[[int], float] = lambda _counted: 1.0
    price: Price = _unpriced
    context_tokens: int | None = None
    reasoning_tokens: int = 0
    stages: frozenset[str] | None = None

    def worst(self, counted: int) -> int:
        """What the provider may count for a prompt that counts so much here.

        Example:
            >>> tariff = Tariff(name="a/b", margin=lambda _: 1.3)
            >>> tariff.worst(100), tariff.fits(130)
            (130, 100)
        """
        return math.ceil(counted * self.margin(counted) - 1e-9)

    def fits(self, tokens: int) -> int:
        """The most that a prompt may count here so that the provider counts at most `tokens`."""
        counted = max(0, tokens)
        while counted and self.worst(counted) > tokens:
            counted = max(0, min(counted - 1, int(tokens / self.margin(counted))))
        return counted

    def answers(self, stage: str) -> bool:
        """Whether the model can do what a stage asks for."""
        return self.stages is None or stage in self.stages


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call that a stage wants made.

    Attributes:
        stage: `refine`, `compose`, …: the line of the bill it goes on.
        prompt: The rendered text; all that a language model sees, and what is billed as input.
        max_output_tokens: The most the reply may cost, reasoning included. Sent to the provider and reserved.
        template: Name and content hash of the template that rendered the prompt.
        variables: What the prompt was rendered from. The built-in extractive model works from these rather than parse
            its own prompt; they are no part of the key, because the prompt holds all of them that matter.
        about: The node the call is about, for the trace; None for the whole tree.
    """

    stage: str
    prompt: str
    max_output_tokens: int
    template: str = ""
    variables: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False, compare=False)
    about: tuple[int, ...] | None = None

    def key(self, model: str) -> str:
        """Content hash of all that decides the reply, for caches and replay.

        Example:
            >>> request = Request(stage="compose", prompt="Why?", max_output_tokens=9)
            >>> request.key("a/b") == request.key("a/b"), request.key("a/b") == request.key("a/c")
            (True, False)
        """
        identity = json.dumps([model, self.stage, self.template, self.prompt, self.max_output_tokens])
        return hashlib.blake2b(identity.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one request: a reply or an error, never an exception thrown into the stage.

    Attributes:
        text: The reply; empty if there is an error.
        usage: What was billed; None where nobody knows (the ledger then charges the reservation).
        error: Why there is no reply: a `BudgetError` if the call wasn't admitted, a `ModelError` if it failed.
        cached: Whether the reply was taken from a store and cost nothing now. `usage` is what it cost when it was made.
        retry_after_s: After how many seconds the call may be tried again: 0 where the provider named no time; None
            where trying again makes no sense.
        unbilled: Whether it is certain that nothing was billed: the provider wasn't reached, or turned the call away.
        unsent: Whether the call wasn't even made: it was still waiting when nobody waited for it any more.
        seconds: How long it took, where the model measured it. It is part of what came back.
    """

    text: str = ""
    usage: Usage | None = None
    error: HierarchyError | None = None
    cached: bool = False
    retry_after_s: float | None = None
    unbilled: bool = False
    unsent: bool = False
    seconds: float | None = None


Steps = Generator[tuple[Request, ...], tuple[Outcome, ...], T]
"""A stage: yields batches, is sent outcomes, returns its result."""
