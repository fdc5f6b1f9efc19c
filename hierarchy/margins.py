"""By how much a provider counts prompts higher than we do: learnt from its own reports, so that reservations hold.

Another tokenizer, a chat template and a system prompt of the server's own make a prompt dearer than it was counted. The
first reservations for a model use its own, conservative margin; each report then tells more::

    margin = Margin().after(counted=1_000, reported=1_080)
    reserve(counted * margin.factor(first=1.3, counted=counted))

Two things are kept apart, since they grow differently. The *ratio* is the tokenizer's: proportional to the prompt. The
*overhead* is the chat template's: a few tokens per call, which are a tenth of a short prompt and nothing of a long one;
taken for a ratio, one short prompt would make every long one a tenth dearer for ever.

Owns the rule. Doesn't know the ledger, which decides by itself what of a report it believes, or the store.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from threading import Lock
from types import MappingProxyType

__all__ = ["LEAST_SHARE", "MOST_OVERHEAD_TOKENS", "MOST_TIMES", "TELLING_TOKENS", "Margin", "Margins"]

LEAST_SHARE = 0.25
"""A report below this share of the count wasn't counted: servers that don't count say 0 or 1."""
MOST_TIMES = 4.0
"""A report above this multiple of the count is a mistake or a lie; no tokenizer differs by that much."""
TELLING_TOKENS = 512
"""Shorter prompts tell more about the template than about the tokenizer."""
MOST_OVERHEAD_TOKENS = 100
"""Templates add 3 to 80 tokens, default system prompt included; a short prompt's excess beyond is the tokenizer's."""

# What chat templates add at least, for prompts shorter than any that was seen.
_USUAL_OVERHEAD = 8
# Prompts of this library aren't shorter; for who asks for a factor without saying of what.
_SHORTEST_TOKENS = 64
# What is added after one observation. It falls with the root of their number, as the uncertainty of a mean does.
_DOUBT = 0.15
# More than this many observations say nothing new, and a number that is stored has to end somewhere.
_MOST_OBSERVATIONS = 10**9


@dataclass(frozen=True, slots=True, kw_only=True)
class Margin:
    """What is known of how a model's provider counts.

    **A prompt like one that was seen is never reserved below what was reported for it.** The highest ratio is kept, not
    the mean: the cap is to hold for the worst text, and a table or another script differs from prose.

    Attributes:
        ratio: The highest ratio of what was reported to what was counted, over prompts of `TELLING_TOKENS` or more; 1
            where none was higher.
        observations: Over how many such calls.
        overhead_tokens: The most that a shorter prompt was reported above its ratio.

    Raises:
        ValueError: No observations lead to such a margin.

    Example:
        >>> margin = Margin()
        >>> margin.factor(1.3)
        1.3
        >>> for _ in range(100):
        ...     margin = margin.after(4_000, 4_100)
        >>> round(margin.factor(1.3, counted=4_000), 3)
        1.042
    """

    ratio: float = field(default=1.0, kw_only=False)
    observations: int = field(default=0, kw_only=False)
    overhead_tokens: int = 0

    def __post_init__(self) -> None:
        """Refuse what can't have been observed; it would be multiplied with everything that is reserved."""
        known = 0 < self.ratio <= MOST_TIMES and 0 <= self.observations <= _MOST_OBSERVATIONS
        if not (known and 0 <= self.overhead_tokens <= MOST_OVERHEAD_TOKENS):
            raise ValueError(f"{self.ratio!r}, {self.observations!r}, {self.overhead_tokens!r} is no margin.")

    def after(self, counted: int, reported: int | None) -> Margin:
        """The margin with one more report.

        Reports that can't be true are left out: none, below `LEAST_SHARE` or above `MOST_TIMES` of the count, or no
        whole number. A short prompt may raise the margin, but tells too little to lower it.

        Args:
            counted: What the prompt was counted as here.
            reported: What the provider says that it read.
        """
        if not _is_plausible(counted, reported):
            return self
        assert reported is not None
        if counted >= TELLING_TOKENS:
            seen = min(_MOST_OBSERVATIONS, self.observations + 1)
            return Margin(max(self.ratio, reported / counted), seen, overhead_tokens=self.overhead_tokens)
        beyond = math.ceil(reported - max(1.0, self.ratio) * counted)
        overhead = min(MOST_OVERHEAD_TOKENS, max(self.overhead_tokens, beyond))
        left = (reported - overhead) / counted
        return Margin(max(self.ratio, left), self.observations, overhead_tokens=overhead)

    def factor(self, first: float, counted: int | None = None) -> float:
        """What to multiply a count with, to reserve for it.

        Before any telling observation it is `first`, or what was seen if that is more. Then it is what was seen, with
        doubt on top: 15 % of the ratio after one observation, falling with the root of their number. Doubt doesn't
        reach beyond `first` as long as no ratio seen did, so that a model whose counts are exact (`first` of 1) stays
        so. Where counts aren't exact, a few tokens of template are reckoned with even if none was seen yet.
        **Never below 1; rises at once when an observation exceeds it; falls, or stays, with each that doesn't; and a
        longer prompt is never reserved for less than a shorter one.**

        Args:
            first: The model's own margin.
            counted: What the prompt at hand counts, to spread the overhead over; without it, as for a short prompt.
        """
        first, ratio = max(1.0, first), max(1.0, self.ratio)
        overhead = max(self.overhead_tokens, _USUAL_OVERHEAD if first > 1 and self.observations else 0)
        seen = ratio + overhead / max(1, _SHORTEST_TOKENS if counted is None else counted)
        if not self.observations and ratio <= first:
            return max(first, seen)
        doubt = ratio * _DOUBT / math.sqrt(max(1, self.observations))
        most = first if ratio <= first else ratio + doubt
        return max(seen, min(most, seen + doubt))

    def joined(self, other: Margin) -> Margin:
        """What two that observed side by side know together.

        How many observations they share nobody knows, so the larger number counts rather than the sum.
        """
        return Margin(
            max(self.ratio, other.ratio),
            max(self.observations, other.observations),
            overhead_tokens=max(self.overhead_tokens, other.overhead_tokens),
        )


class Margins:
    """The margins of several models, learnt by several threads at once.

    Args:
        known: What was learnt before, by model.

    Example:
        >>> margins = Margins()
        >>> margins.observe("a/b", 4_000, 4_400)
        Margin(ratio=1.1, observations=1, overhead_tokens=0)
        >>> margins.factor("a/b", 1.1, counted=4_000) >= 1.1, margins.factor("a/c", 1.3)
        (True, 1.3)
    """

    def __init__(self, known: Mapping[str, Margin] = MappingProxyType({})) -> None:
        self._known = dict(known)
        self._lock = Lock()

    def factor(self, model: str, first: float, counted: int | None = None) -> float:
        """As `Margin.factor`, of a model; `first` for one that nothing is known of, and never below 1."""
        with self._lock:
            margin = self._known.get(model, Margin())
        return margin.factor(first, counted)

    def observe(self, model: str, counted: int, reported: int | None) -> Margin:
        """Learn from a report, as `Margin.after`; returns what is now known."""
        with self._lock:
            margin = self._known.get(model, Margin()).after(counted, reported)
            if margin != Margin():
                self._known[model] = margin
        return margin

    def learn(self, model: str, margin: Margin) -> Margin:
        """Take in what another process learnt, as `Margin.joined`; returns what is now known."""
        with self._lock:
            margin = self._known[model] = self._known.get(model, Margin()).joined(margin)
        return margin

    def snapshot(self) -> tuple[tuple[str, Margin], ...]:
        """What is known, by model in alphabetical order, to be kept."""
        with self._lock:
            return tuple(sorted(self._known.items()))


def _is_plausible(counted: int, reported: object) -> bool:
    if not isinstance(reported, int) or isinstance(reported, bool) or counted < 1 or reported < 1:
        return False
    return LEAST_SHARE * counted <= reported <= MOST_TIMES * counted
