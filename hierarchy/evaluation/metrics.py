"""How much of the gold evidence a prediction holds, and what it costs: one case at a time.

Cost is counted in `cl100k_base` tokens. A span of a text costs the tokens that start in it, once however often they are
read; a span of a PDF costs what its text counts by itself. What goes over the budget is cut off and the cut is counted.
Text that doesn't stand on the page it is said to stand on earns nothing.

A text's case is *answerable* if one of its groups of evidence is covered to 80 % of its characters; a PDF's case if the
evidence of every gold page is covered to half, by content words and numbers.

Owns the judgement of a case. Means, intervals and differences are in `figures`.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import InputError
from hierarchy.evaluation.predictions import EvidenceSpan, PageSpan, TextSpan
from hierarchy.evaluation.sets import Case, document_texts, pdf_page_texts
from hierarchy.tokens import count_tokens

__all__ = [
    "PDF_THRESHOLD",
    "TEXT_THRESHOLD",
    "CaseScore",
    "PdfSource",
    "Source",
    "TextSource",
    "content_words",
    "read_source",
    "score_case",
]

TEXT_THRESHOLD = 0.8
"""Share of a group's characters from which it counts as found: a clipped first or last clause still answers."""

PDF_THRESHOLD = 0.5
"""Share of a gold page's content words from which it counts as found: gold pages hold far more than what was asked."""

_WORD = re.compile(r"[a-z]+|\d[\d,]*(?:\.\d+)?")
_STOPWORDS = frozenset(
    """a also an and are as at be been but by can could did do does for from had has have how if in into is it its may
    no not of on or our should such than that the their then there these they this to us was we were what when
    where which who whom will with would""".split()
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseScore:
    """The figures of one case at one budget.

    Attributes:
        coverage: Share of the gold evidence that the spans hold.
        answerable: 1 if enough of it is there to answer, else 0.
        groups: Share of the groups that are there; None for PDFs, whose pages are all needed.
        used_tokens: What the spans cost, never more than the budget.
        over_budget: Whether something had to be cut off to keep it.
        files: Share of the files with gold evidence of which a whole group is there; None unless evidence is in files.
        tokens_to_evidence: What had been read when the first group was covered, the whole document's tokens if it never
            was; None for PDFs.
    """

    coverage: float
    answerable: float
    used_tokens: int
    over_budget: bool
    groups: float | None = None
    files: float | None = None
    tokens_to_evidence: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSource:
    """What texts are judged by: where each token starts, and how long each text is, by file."""

    starts: Mapping[str | None, NDArray[np.int64]]
    lengths: Mapping[str | None, int]

    @property
    def tokens(self) -> int:
        """Tokens of all files."""
        return sum(len(starts) for starts in self.starts.values())

    @classmethod
    def of(cls, texts: Mapping[str | None, str]) -> TextSource:
        """Count the tokens of a document's texts."""
        return cls(
            starts={file: count_tokens.starts(text) for file, text in texts.items()},
            lengths={file: len(text) for file, text in texts.items()},
        )

    def file_of(self, span: TextSpan) -> str | None:
        """The file that a span is of; a single text needs no name, and one that is given all the same says nothing."""
        return None if None in self.lengths else span.file


@dataclass(frozen=True, slots=True, kw_only=True)
class PdfSource:
    """What PDFs are judged by: the content words of pages with gold evidence, and how often each stands there."""

    pages: Mapping[int, Counter[str]]

    @classmethod
    def of(cls, pages: Mapping[int, str]) -> PdfSource:
        """Count the content words of pages, given by their number from 0."""
        return cls(pages={page: Counter(content_words(text)) for page, text in pages.items()})


Source = TextSource | PdfSource
"""What the predictions for one document are judged by."""


def read_source(folder: Path | str, doc_id: str, cases: Iterable[Case]) -> Source:
    """Read what the predictions for some cases of one document are judged by.

    Of a PDF only the pages with their evidence are read: that is what makes scoring fast enough to be done often.
    """
    wanted = {gold.span.page for case in cases for gold in case.evidence if isinstance(gold.span, PageSpan)}
    pages = pdf_page_texts(folder, doc_id, wanted)
    return TextSource.of(document_texts(folder, doc_id)) if pages is None else PdfSource.of(pages)


def content_words(text: str) -> Iterator[str]:
    """Words that carry content, in lower case, and numbers without separators or trailing zeros.

    Example:
        >>> list(content_words("The Company paid $1,577.50 in 2018."))
        ['company', 'paid', '1577.5', '2018']
    """
    for word in _WORD.findall(text.lower()):
        if word[0].isdigit():
            number = word.replace(",", "")
            yield number.rstrip("0").rstrip(".") if "." in number else number
        elif word not in _STOPWORDS:
            yield word


def score_case(case: Case, spans: Sequence[EvidenceSpan], budget_tokens: int, source: Source) -> CaseScore:
    """Judge what was read for one case.

    Args:
        case: A case with evidence.
        spans: What was read, in order of preference.
        budget_tokens: Where reading is cut off.
        source: The case's document.

    Raises:
        InputError: A span is of the wrong kind or lies outside its document.
    """
    if isinstance(source, PdfSource):
        return _score_pages(case, spans, budget_tokens, source)
    return _score_text(case, spans, budget_tokens, source)


class _Reading:
    """What has been read of the files of a document: tokens paid for, characters seen."""

    def __init__(self, source: TextSource, budget_tokens: int) -> None:
        self.source, self.left, self.over = source, budget_tokens, False
        self.paid: dict[str | None, NDArray[np.bool_]] = {}
        self.seen: dict[str | None, NDArray[np.bool_]] = {}

    def add(self, span: TextSpan) -> None:
        file, end = self.source.file_of(span), span.end
        starts = self.source.starts[file]
        paid = self.paid.setdefault(file, np.zeros(len(starts), dtype=np.bool_))
        first, last = np.searchsorted(starts, [span.start, end])
        new = first + np.flatnonzero(~paid[first:last])
        if len(new) > self.left:
            self.over, new = True, new[: self.left]
            end = self._cut(span, new, starts)
        paid[new] = True
        self.left -= len(new)
        self.seen.setdefault(file, np.zeros(self.source.lengths[file], dtype=np.bool_))[span.start : end] = True

    def _cut(self, span: TextSpan, kept: NDArray[np.int64], starts: NDArray[np.int64]) -> int:
        """Where a span ends of which only the tokens `kept` could be paid."""
        if not len(kept):
            return span.start
        behind = int(kept[-1]) + 1
        return min(span.end, int(starts[behind])) if behind < len(starts) else span.end

    def covered(self, span: TextSpan) -> int:
        """How many characters of a gold span have been seen."""
        seen = self.seen.get(self.source.file_of(span))
        return 0 if seen is None else int(np.count_nonzero(seen[span.start : span.end]))


def _score_text(case: Case, spans: Sequence[EvidenceSpan], budget_tokens: int, source: TextSource) -> CaseScore:
    groups = _groups(case)
    sizes = [sum(span.end - span.start for span in group) for group in groups]
    reading, first = _Reading(source, budget_tokens), None

    def covered() -> list[float]:
        return [sum(map(reading.covered, group)) / size for group, size in zip(groups, sizes, strict=True)]

    for span in spans:
        reading.add(_checked(case, span, source))
        if first is None and max(covered()) >= TEXT_THRESHOLD:
            first = budget_tokens - reading.left
        if reading.over:
            break
    shares = covered()
    return CaseScore(
        coverage=float(np.average(shares, weights=sizes)),
        answerable=float(max(shares) >= TEXT_THRESHOLD),
        groups=float(np.mean([share >= TEXT_THRESHOLD for share in shares])),
        files=_files_found(groups, shares) if None not in source.lengths else None,
        used_tokens=budget_tokens - reading.left,
        over_budget=reading.over,
        tokens_to_evidence=source.tokens if first is None else first,
    )


def _groups(case: Case) -> list[list[TextSpan]]:
    groups: dict[str, list[TextSpan]] = defaultdict(list)
    for gold in case.evidence:
        if not isinstance(gold.span, TextSpan):
            raise InputError(f"Case {case.id}: evidence in a text needs start and end.", "They count characters.")
        groups[gold.group].append(gold.span)
    return list(groups.values())


def _files_found(groups: Sequence[Sequence[TextSpan]], shares: Sequence[float]) -> float:
    """A file is found with any of its groups: a question for all contracts with a clause needs one clause of each."""
    wanted = {span.file for group in groups for span in group}
    pairs = zip(groups, shares, strict=True)
    found = {span.file for group, share in pairs if share >= TEXT_THRESHOLD for span in group}
    return len(found) / len(wanted)


def _checked(case: Case, span: EvidenceSpan, source: TextSource) -> TextSpan:
    if not isinstance(span, TextSpan):
        raise InputError(f"Case {case.id}: a span of a page, but {case.doc_id} is text.", "Give start and end.")
    length = source.lengths.get(source.file_of(span))
    if length is None:
        raise InputError(f"Case {case.id}: {case.doc_id} holds no file {span.file!r}.", "Name the file of each span.")
    if not 0 <= span.start < span.end <= length:
        raise InputError(
            f"Case {case.id}: span {span.start:,}–{span.end:,} lies outside a text of {length:,} characters.",
            "Spans are half-open and not empty.",
        )
    return span


def _score_pages(case: Case, spans: Sequence[EvidenceSpan], budget_tokens: int, source: PdfSource) -> CaseScore:
    read: dict[int, Counter[str]] = defaultdict(Counter)
    left, over = budget_tokens, False
    for span in spans:
        if not isinstance(span, PageSpan):
            raise InputError(
                f"Case {case.id}: a span of characters, but {case.doc_id} is a PDF.", "Give page and text."
            )
        starts = count_tokens.starts(span.text)
        over = len(starts) > left
        read[span.page].update(content_words(span.text[: starts[left]] if over else span.text))
        left -= min(left, len(starts))
        if over:
            break
    shares = [_page_share(gold.span, read, source) for gold in case.evidence if isinstance(gold.span, PageSpan)]
    return CaseScore(
        coverage=float(np.mean(shares)),
        answerable=float(min(shares) >= PDF_THRESHOLD),
        used_tokens=budget_tokens - left,
        over_budget=over,
    )


def _page_share(gold: PageSpan, read: Mapping[int, Counter[str]], source: PdfSource) -> float:
    """Share of a gold page's content words that were read and stand on that page."""
    wanted = Counter(content_words(gold.text))
    found = read[gold.page] & source.pages[gold.page]
    return (wanted & found).total() / max(1, wanted.total())
