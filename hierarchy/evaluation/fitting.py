"""From stretches of a document in order of preference to spans that cost what a budget allows.

Costs are counted as `metrics` counts them, so that **nothing is ever over the budget and little of it is left**: the
last stretch that doesn't fit whole is cut at a token, on a character's edge. Stretches behind it are left out, even if
they are small enough to fit: then more budget never loses what less budget had.

Knows documents and tokens, no questions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.evaluation.predictions import EvidenceSpan, PageSpan, TextSpan
from hierarchy.tokens import count_tokens

__all__ = ["Material", "Stretch"]


@dataclass(frozen=True, slots=True)
class Stretch:
    """Characters `start` to `end` of the file at `file` in `Document.files`."""

    file: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Material:
    """A document made ready to be cut to budgets: where tokens start, by file, counted once for all questions.

    Attributes:
        document: The document.
        starts: Per file the character at which each token starts.
    """

    document: Document
    starts: tuple[NDArray[np.int64], ...] = field(repr=False)

    @classmethod
    def of(cls, document: Document) -> Material:
        """Count a document's tokens."""
        return cls(document=document, starts=tuple(count_tokens.starts(file.text) for file in document.files))

    def fit(self, stretches: Iterable[Stretch], budget_tokens: int) -> tuple[EvidenceSpan, ...]:
        """As much of the stretches as a budget allows, most preferred first.

        Stretches may overlap. In a text, tokens that were paid for before are free; in a PDF each span is paid for by
        itself, as the metric does, so that overlapping stretches are a waste there.

        Args:
            stretches: In order of preference; taken one by one until the budget is used.
            budget_tokens: Ceiling.

        Returns:
            Spans that `metrics.score_case` finds to cost at most the budget.
        """
        if self.document.media == "pdf":
            return tuple(self._fit_pages(stretches, budget_tokens))
        return tuple(self._fit_text(stretches, budget_tokens))

    def _fit_text(self, stretches: Iterable[Stretch], left: int) -> Iterator[EvidenceSpan]:
        files = self.document.files
        paid = [np.zeros(0, dtype=np.bool_)] * len(files)
        for stretch in stretches:
            if left <= 0:
                return
            file, end, starts = stretch.file, stretch.end, self.starts[stretch.file]
            if not len(paid[file]):
                paid[file] = np.zeros(len(starts), dtype=np.bool_)
            first, last = np.searchsorted(starts, [stretch.start, end])
            new = first + np.flatnonzero(~paid[file][first:last])
            if len(new) > left:
                # The span ends where the first token starts that can't be paid. If it starts within a character, that
                # character is left out, and with it the tokens before that start in it too.
                end, left = int(starts[new[left]]), 0
            else:
                left -= len(new)
            paid[file][new] = True
            if stretch.start < end:
                name = files[file].name if self.document.parts else None
                yield TextSpan(start=stretch.start, end=end, file=name)

    def _fit_pages(self, stretches: Iterable[Stretch], left: int) -> Iterator[EvidenceSpan]:
        for stretch in stretches:
            for page, text in self._on_pages(stretch):
                if left <= 0:
                    return
                kept = count_tokens.cut(text, left)
                left = 0 if len(kept) < len(text) else left - count_tokens(kept)
                if kept:
                    yield PageSpan(page=page, text=kept)

    def _on_pages(self, stretch: Stretch) -> Iterator[tuple[int, str]]:
        """The stretch, page by page, pages counted from 0."""
        file = self.document.files[stretch.file]
        page = max(0, bisect_right(file.pages, stretch.start, key=lambda span: span.start) - 1)
        while page < len(file.pages) and file.pages[page].start < stretch.end:
            span = file.pages[page]
            start, end = max(span.start, stretch.start), min(span.end, stretch.end)
            if start < end:
                yield page, file.text[start:end]
            page += 1
