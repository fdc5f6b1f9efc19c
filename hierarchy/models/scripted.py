"""Models for tests: a function, or a list of replies, in place of a provider.

Both are billed like a provider that counts honestly, unless told to lie: `usage` is given the honest bill and returns
the one that is reported, or None for a provider that reports nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from hierarchy.budget import Usage
from hierarchy.calls import Outcome, Request
from hierarchy.errors import HierarchyError, Unavailable
from hierarchy.models.local import cut_to, local_outcome
from hierarchy.tokens import Counter, count_tokens

__all__ = ["FunctionModel", "Reply", "ScriptedModel"]

Reply = str | Outcome | HierarchyError
"""What a script may say: a text, an error in its place, or an outcome with a usage of its own."""


class FunctionModel:
    """A model that answers with a function of the request.

    Args:
        function: Makes the reply. An `Outcome` is passed through as it is; a `HierarchyError`, returned or raised, is a
            call that failed with unknown usage; any other exception is a mistake in the test and is raised.
        name: The model's name.
        count: Counts prompts and replies.
        margin: As `Model.margin`.
        usage: What is reported in place of the honest bill.
        price: What a call costs in USD, from its input and output tokens; by default nothing.
        obeys: Whether a reply is cut at `max_output_tokens`, as an honest provider does.

    Example:
        >>> model = FunctionModel(lambda request: request.prompt.upper())
        >>> outcome = model.complete(Request(stage="compose", prompt="a dose", max_output_tokens=9))
        >>> outcome.text, outcome.usage.total_tokens
        ('A DOSE', 5)
    """

    def __init__(
        self,
        function: Callable[[Request], Reply],
        *,
        name: str = "function",
        count: Counter = count_tokens,
        margin: float = 1.0,
        usage: Callable[[Usage], Usage | None] | None = None,
        price: Callable[[int, int], float | None] | None = None,
        obeys: bool = True,
    ) -> None:
        self.name = name
        self.count = count
        self.margin = margin
        self._function = function
        self._usage = usage
        self._price = price
        self._obeys = obeys
        self._requests: list[Request] = []

    @property
    def requests(self) -> tuple[Request, ...]:
        """What it was asked so far, in the order in which calls began."""
        return tuple(self._requests)

    def price(self, input_tokens: int, output_tokens: int) -> float | None:
        """As `Model.price`."""
        return self._price(input_tokens, output_tokens) if self._price else 0.0

    def complete(self, request: Request) -> Outcome:
        """As `Model.complete`."""
        self._requests.append(request)
        try:
            reply = self._function(request)
        except HierarchyError as error:
            reply = error
        if isinstance(reply, Outcome):
            return reply
        if isinstance(reply, HierarchyError):
            return Outcome(error=reply)
        return self._billed(request, reply)

    async def acomplete(self, request: Request) -> Outcome:
        """As `complete`."""
        return self.complete(request)

    def _billed(self, request: Request, text: str) -> Outcome:
        text = cut_to(text, request.max_output_tokens, self.count) if self._obeys else text
        honest = local_outcome(request, text, self.count).usage or Usage()
        cost = self.price(honest.input_tokens, honest.output_tokens)
        bill = Usage(input_tokens=honest.input_tokens, output_tokens=honest.output_tokens, calls=1, cost_usd=cost)
        return Outcome(text=text, usage=self._usage(bill) if self._usage else bill)


class ScriptedModel(FunctionModel):
    """A model that says its replies one after the other.

    When they run out, it fails as a provider that can't be reached. Calls made at the same time take replies in the
    order in which they begin; give replies by stage where that order isn't sure.

    Args:
        replies: In order; or for each stage its own, in order.
        name: The model's name.
        count: Counts prompts and replies.
        margin: As `Model.margin`.
        usage: What is reported in place of the honest bill.
        price: What a call costs in USD, from its input and output tokens; by default nothing.
        obeys: Whether a reply is cut at `max_output_tokens`.

    Example:
        >>> model = ScriptedModel(["75 mg"])
        >>> request = Request(stage="compose", prompt="Which dose?", max_output_tokens=9)
        >>> model.complete(request).text, type(model.complete(request).error).__name__
        ('75 mg', 'Unavailable')
    """

    def __init__(
        self,
        replies: Iterable[Reply] | Mapping[str, Iterable[Reply]],
        *,
        name: str = "scripted",
        count: Counter = count_tokens,
        margin: float = 1.0,
        usage: Callable[[Usage], Usage | None] | None = None,
        price: Callable[[int, int], float | None] | None = None,
        obeys: bool = True,
    ) -> None:
        super().__init__(self._next, name=name, count=count, margin=margin, usage=usage, price=price, obeys=obeys)
        self._by_stage = isinstance(replies, Mapping)
        scripts = replies if isinstance(replies, Mapping) else {"": replies}
        self._scripts: dict[str, deque[Reply]] = {stage: deque(script) for stage, script in scripts.items()}
        self._lock = Lock()

    def _next(self, request: Request) -> Reply:
        with self._lock:
            script = self._scripts.get(request.stage if self._by_stage else "")
            if not script:
                return Unavailable(f"The script has no reply left for {request.stage}.", "Give it more replies.")
            return script.popleft()
