"""What models without a provider share: a reply made on this machine, cut to its cap and billed like any other."""

from __future__ import annotations

from hierarchy.budget import Usage
from hierarchy.calls import Outcome, Request
from hierarchy.tokens import Counter

__all__ = ["cut_to", "local_outcome"]


def local_outcome(request: Request, text: str, count: Counter) -> Outcome:
    """The outcome of a reply: input is what the prompt counts, output what the reply does, the price is zero."""
    usage = Usage(input_tokens=count(request.prompt), output_tokens=count(text), calls=1, cost_usd=0.0)
    return Outcome(text=text, usage=usage)


def cut_to(text: str, tokens: int, count: Counter) -> str:
    """A prefix of `text` that counts at most `tokens`, as a provider cuts a reply at its cap."""
    if count(text) <= tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if count(text[:middle]) <= tokens else (low, middle - 1)
    # Counts rise with length but for a token or two where a word is cut, which the search may have stepped over.
    while low and count(text[:low]) > tokens:
        low -= 1
    return text[:low]
