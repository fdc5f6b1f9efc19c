"""Misses: of the questions whose evidence wasn't read at a budget, why not.

Each question that isn't answerable is put down to one cause, the first that holds::

    too long       its evidence alone is longer than the budget: nothing could have been read that holds enough
    in part        some of it was read, such as one of two pages, or half of a passage
    nearby         none was read, but something that stands within a page or some 300 words of it
    elsewhere      nothing near it was read: it was thought irrelevant

What could have been read of it is what the gold itself, cut at the budget, scores. Says nothing of how to mend it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hierarchy.evaluation.metrics import read_source, score_case
from hierarchy.evaluation.oracle import Oracle, case_reader
from hierarchy.evaluation.predictions import EvidenceSpan, PageSpan, Prediction
from hierarchy.evaluation.report import Row
from hierarchy.evaluation.sets import Case, EvaluationSet, load_document

__all__ = ["CAUSES", "causes", "rows"]

CAUSES = ("too long", "in part", "nearby", "elsewhere")
"""Why evidence wasn't read, in the order in which they are looked at."""

# What stands beside a passage: a page, or so many characters.
_NEAR_PAGES, _NEAR_CHARACTERS = 1, 2_000
_TOUCHED = 0.05  # of the evidence; less than that is words that stand on many pages


def causes(dataset: EvaluationSet, predictions: Iterable[Prediction]) -> dict[tuple[str, int], Counter[str]]:
    """Count the causes of misses, by system and budget; found questions count under an empty cause.

    Raises:
        InputError: A document can't be read, or a span lies outside of it.
    """
    found: dict[tuple[str, int], Counter[str]] = {}
    by_case: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        by_case.setdefault(prediction.id, []).append(prediction)
    for doc_id, cases in dataset.by_document():
        asked = [case for case in cases if case.evidence and case.id in by_case]
        if not asked:
            continue
        source = read_source(dataset.folder, doc_id, asked)
        gold = case_reader(Oracle(), load_document(dataset.folder, doc_id))
        for case in asked:
            for one in by_case[case.id]:
                budget = one.budget_tokens
                score = score_case(case, one.spans, budget, source)
                cause = ""
                if not score.answerable:
                    possible = score_case(case, gold(case, budget), budget, source).answerable
                    cause = _cause(case, one.spans, score.coverage) if possible else "too long"
                found.setdefault((one.system, budget), Counter())[cause] += 1
    return found


def _cause(case: Case, spans: Sequence[EvidenceSpan], coverage: float) -> str:
    if coverage >= _TOUCHED:
        return "in part"
    return "nearby" if any(_near(span, gold.span) for span in spans for gold in case.evidence) else "elsewhere"


def _near(span: EvidenceSpan, gold: EvidenceSpan) -> bool:
    """Whether something stands beside evidence."""
    if isinstance(span, PageSpan) and isinstance(gold, PageSpan):
        return abs(span.page - gold.page) <= _NEAR_PAGES
    if isinstance(span, PageSpan) or isinstance(gold, PageSpan):
        return False
    same = span.file is None or gold.file is None or span.file == gold.file
    return same and span.start - _NEAR_CHARACTERS < gold.end and gold.start - _NEAR_CHARACTERS < span.end


def rows(found: dict[tuple[str, int], Counter[str]]) -> tuple[Row, ...]:
    """A header, then a row per system and budget: questions, found, and how many of the others by each cause."""
    header = ("system", "budget", "questions", "found", *CAUSES)
    body = [
        (system, f"{budget:,}", f"{counts.total():,}", f"{counts['']:,}", *(f"{counts[cause]:,}" for cause in CAUSES))
        for (system, budget), counts in sorted(found.items())
    ]
    return (header, *body)
