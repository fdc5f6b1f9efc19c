"""The ceiling: a system that reads the gold evidence itself.

It says what a budget could hold at best, and how much of a miss is the budget's and not the finding's. The only system
that sees more of a case than its question; hence a protocol of its own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hierarchy.document import Document
from hierarchy.evaluation.baselines import System
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.predictions import EvidenceSpan, PageSpan, TextSpan
from hierarchy.evaluation.sets import Case
from hierarchy.tokens import count_tokens

__all__ = ["AnySystem", "CaseReader", "CaseSystem", "Oracle", "case_reader"]

CaseReader = Callable[[Case, int], tuple[EvidenceSpan, ...]]
"""As `Reader`, with the whole case in place of its question."""


@runtime_checkable
class CaseSystem(Protocol):
    """A system that may see the case: no rival, a yardstick. Must be picklable."""

    def prepare_for_cases(self, document: Document) -> CaseReader:
        """Do once what all cases about a document share."""
        ...


AnySystem = System | CaseSystem
"""What can be run."""


def case_reader(system: AnySystem, document: Document) -> CaseReader:
    """Prepare a system of either kind; one that may not see the case is given its question alone."""
    if isinstance(system, CaseSystem):
        return system.prepare_for_cases(document)
    read = system.prepare(document)
    return lambda case, budget_tokens: read(case.question, budget_tokens)


@dataclass(frozen=True, slots=True, kw_only=True)
class Oracle:
    """Of a text the cheapest group of evidence first, of a PDF the shortest; what the budget leaves stays unspent."""

    def prepare_for_cases(self, document: Document) -> CaseReader:
        """Count the document's tokens."""
        material = Material.of(document)
        files = {file.name: number for number, file in enumerate(document.files)}

        def read(case: Case, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
            pages = [gold.span for gold in case.evidence if isinstance(gold.span, PageSpan)]
            if pages:
                return _within(pages, budget_tokens)
            groups: dict[str, list[Stretch]] = defaultdict(list)
            for gold in case.evidence:
                if isinstance(gold.span, TextSpan):
                    file = files[gold.span.file] if document.parts and gold.span.file else 0
                    groups[gold.group].append(Stretch(file, gold.span.start, gold.span.end))
            cheapest = sorted(groups.values(), key=lambda group: sum(part.end - part.start for part in group))
            return material.fit((part for group in cheapest for part in group), budget_tokens)

        return read


def _within(pages: list[PageSpan], left: int) -> tuple[EvidenceSpan, ...]:
    kept: list[EvidenceSpan] = []
    for span in sorted(pages, key=lambda span: len(span.text)):
        text = count_tokens.cut(span.text, left)
        if text:
            kept.append(PageSpan(page=span.page, text=text))
            left -= count_tokens(text)
    return tuple(kept)
