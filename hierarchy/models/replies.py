"""What came back from a provider, gathered whole or piece by piece, and what it means.

Owns the reading of a bill (`usage_of`) and the rule for replies without text. **A figure that a provider didn't report
isn't made up**: clients that fill gaps with guesses or zeros would have the ledger believe them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from hierarchy.budget import Usage
from hierarchy.calls import Outcome
from hierarchy.errors import OutputInvalid, Refused

__all__ = ["Reply", "usage_of"]

Price = Callable[[int, int, int], float | None]

_FILTERED = {"content_filter", "refusal", "safety", "recitation", "prohibited_content", "blocklist"}
_CUT = {"length", "max_tokens", "max_output_tokens"}


@dataclass(slots=True)
class Reply:
    """A reply as it comes. The one value here that changes, for as long as its call lasts.

    Attributes:
        on_text: Handed each piece of text; None if nobody waits for it.
        text: So far.
        reasoning: Thoughts that the provider shows, so far; no part of the text, but billed.
        finish_reason: Why it ended, in the provider's words; empty while it hasn't.
        refusal: The provider's words for not answering.
        report: The bill, as the client library holds it; None if the provider sent none.
        began: When the call was made, on the monotonic clock.
    """

    on_text: Callable[[str], None] | None = None
    text: str = ""
    reasoning: str = ""
    finish_reason: str = ""
    refusal: str = ""
    report: Any = None
    began: float = field(default_factory=monotonic)

    def add(self, text: object, reasoning: object = "") -> None:
        """Take a piece of it."""
        if isinstance(text, str) and text:
            self.text += text
            if self.on_text:
                self.on_text(text)
        if isinstance(reasoning, str):
            self.reasoning += reasoning

    def outcome(self, model: str, price: Price) -> Outcome:
        """What the whole reply comes to.

        A text that the cap cut short is a text: replies are parsed leniently. No text at all is an error.
        """
        return self.timed(self._outcome(model, price))

    def timed(self, outcome: Outcome) -> Outcome:
        """An outcome, and how long it took to come."""
        return replace(outcome, seconds=round(monotonic() - self.began, 3))

    def _outcome(self, model: str, price: Price) -> Outcome:
        usage = usage_of(self.report, price)
        ended = self.finish_reason.lower()
        if self.text.strip() and ended not in _FILTERED:
            return Outcome(text=self.text, usage=usage)
        if ended in _FILTERED or self.refusal:
            words = f": {self.refusal}" if self.refusal else ""
            message = f"{model} declined to reply ({self.finish_reason or 'refusal'}){words}."
            hint = "Use another model, or leave out the passages that it objects to."
            return Outcome(usage=usage, error=Refused(message, hint))
        return Outcome(usage=usage, error=self._empty(model, usage))

    def _empty(self, model: str, usage: Usage | None) -> OutputInvalid:
        spent = f"all {usage.output_tokens:,} of its output tokens" if usage else "its output tokens"
        if self.reasoning or self.finish_reason.lower() in _CUT or (usage and usage.output_tokens > 0):
            return OutputInvalid(
                f"{model} spent {spent} on reasoning and replied with nothing.",
                "Allow more with reasoning_tokens, or ask for less reasoning (reasoning_effort).",
            )
        return OutputInvalid(f"{model} replied with nothing.", "Use another model.")


def usage_of(report: Any, price: Price) -> Usage | None:
    """The bill of one call, from a report in OpenAI's form; None where nobody counted.

    Figures are passed on as they are, wrong ones too: what to believe is the ledger's to say. Reasoning belongs to the
    output; where a provider reports it beside the completion, the larger total is the honest one.
    """
    read, written = _field(report, "prompt_tokens"), _field(report, "completion_tokens")
    if not (_is_int(read) and _is_int(written)) or read == written == 0:
        return None
    details = _field(report, "completion_tokens_details")
    thought, total = _field(details, "reasoning_tokens"), _field(report, "total_tokens")
    if _is_int(thought) and thought > written >= 0:
        written += thought
    if _is_int(total) and read >= 0 and written >= 0:
        written = max(written, total - read)
    cached = _field(_field(report, "prompt_tokens_details"), "cached_tokens")
    cost = price(read, written, cached if _is_int(cached) else 0)
    return Usage(input_tokens=read, output_tokens=written, calls=1, cost_usd=cost)


def _field(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else getattr(value, name, None)


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
