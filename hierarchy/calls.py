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
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeVar

from hierarchy.budget import Usage
from hierarchy.errors import HierarchyError

__all__ = ["Outcome", "Request", "Steps"]

T = TypeVar("T")


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
        retry_after_s: After how many seconds the call may be tried again: 0 where the provider named no time; None where
            trying again makes no sense.
        unbilled: Whether it is certain that nothing was billed: the provider wasn't reached, or turned the call away.
    """

    text: str = ""
    usage: Usage | None = None
    error: HierarchyError | None = None
    cached: bool = False
    retry_after_s: float | None = None
    unbilled: bool = False


Steps = Generator[tuple[Request, ...], tuple[Outcome, ...], T]
"""A stage: yields batches, is sent outcomes, returns its result."""
