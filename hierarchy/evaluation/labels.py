"""What fitting learns from: the described passages of a question, each with the share of the evidence it holds.

A passage's label is half the share of the best group of evidence that it holds, up to the share at which the group
counts as found, and half whether it reaches that; a label of the threshold alone says nothing where evidence is long.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document
from hierarchy.evaluation.metrics import PDF_THRESHOLD, TEXT_THRESHOLD, content_words
from hierarchy.evaluation.predictions import PageSpan
from hierarchy.evaluation.replies import ask_unrouted, ask_wrongly, mismatched, routed_forms
from hierarchy.evaluation.sets import Case, EvaluationSet, load_document
from hierarchy.planner import outline
from hierarchy.relevance import Index, Lexicon, Routing, describe_question
from hierarchy.tree import Ints, SummaryTree

__all__ = ["Example", "examples", "labels_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One question with its described passages.

    Attributes:
        case: The question.
        source: Name of its set.
        group: What must not be on both sides of a fold: the document, for filings the company, for a folder the file.
        others: Further such groups, of a case with evidence in several files: they all go to one side.
        rows: Passages × features.
        nodes: Their node numbers.
        labels: What each is worth, in [0, 1].
        form: In which form the question was routed, `wrong` if by the reply to another; empty if it wasn't.
    """

    case: Case
    source: str
    group: str
    rows: NDArray[np.float32]
    nodes: Ints
    labels: Floats
    others: tuple[str, ...] = ()
    form: str = ""


def examples(
    dataset: EvaluationSet,
    replies: Mapping[str, Routing] | None = None,
    *,
    lexicons: Sequence[Lexicon] | None = None,
    semantic: bool = False,
    outlined: Callable[[Document], SummaryTree] = outline,
) -> Iterator[Example]:
    """Describe the passages of every question of a set that has evidence, document by document.

    Args:
        dataset: The set.
        replies: Recorded replies by case. A question with one is described as it is and routed, in the form that suits
            its document; some also by the reply to another question, so that weights don't trust one blindly.
        lexicons: What questions are described with; those that come with the library if None.
        semantic: Whether passages are also described by their meaning.
        outlined: Makes a document's tree.
    """
    replies = replies or {}
    wrong = mismatched(replies)
    for doc_id, cases in dataset.by_document():
        scored = [case for case in cases if case.evidence]
        if not scored:
            continue
        tree = outlined(load_document(dataset.folder, doc_id))
        index = Index(tree)
        for case in scored:
            group, *others = _groups(case)
            ways = [ask_unrouted(case.question)]
            if case.id in replies:
                ways += routed_forms(tree, index, case.question, replies[case.id])
            if case.id in wrong:
                ways.append(ask_wrongly(tree, index, case.question, wrong[case.id]))
            for asked in ways:
                candidates = describe_question(index, asked.question, lexicons, semantic=semantic)
                yield Example(
                    case=case,
                    source=dataset.name,
                    group=group,
                    rows=candidates.features,
                    nodes=candidates.nodes,
                    labels=labels_of(tree, case, candidates.nodes),
                    others=tuple(others),
                    form=asked.form,
                )


def _groups(case: Case) -> tuple[str, ...]:
    """What a case belongs to, each once: an article counts as one wherever it stands, by itself or in a folder."""
    groups: dict[str, None] = {}
    for gold in case.evidence:
        if isinstance(gold.span, PageSpan):
            groups[case.doc_id.split("_")[0]] = None
        else:
            groups[gold.span.file.rsplit(".", 1)[0] if gold.span.file else case.doc_id] = None
    return tuple(groups)


def labels_of(tree: SummaryTree, case: Case, nodes: Ints) -> Floats:
    """What each node is worth for a question, in [0, 1]."""
    paged = isinstance(case.evidence[0].span, PageSpan)
    threshold = PDF_THRESHOLD if paged else TEXT_THRESHOLD
    shares = _page_shares(tree, case, nodes) if paged else _text_shares(tree, case, nodes)
    filled = np.minimum(1.0, shares / threshold)
    return np.asarray(0.5 * filled + 0.5 * (filled >= 1.0 - 1e-9))


def _text_shares(tree: SummaryTree, case: Case, nodes: Ints) -> Floats:
    """Share of the best group's characters within each node."""
    leaves, files = tree.leaves, {file.name: number for number, file in enumerate(tree.files)}
    groups = defaultdict(list)
    for gold in case.evidence:
        groups[gold.group].append(gold.span)
    best = np.zeros(len(nodes))
    for spans in groups.values():
        held = np.zeros(len(leaves) + 1)
        for span in spans:
            assert not isinstance(span, PageSpan)
            here = leaves.file == (files[span.file] if span.file else 0)
            at = np.flatnonzero(here & (leaves.start < span.end) & (leaves.end > span.start))
            held[at + 1] += np.minimum(leaves.end[at], span.end) - np.maximum(leaves.start[at], span.start)
        running = np.cumsum(held)
        total = sum(span.end - span.start for span in spans if not isinstance(span, PageSpan))
        best = np.maximum(best, (running[tree.nodes.high[nodes]] - running[tree.nodes.low[nodes]]) / total)
    return np.minimum(best, 1.0)


def _page_shares(tree: SummaryTree, case: Case, nodes: Ints) -> Floats:
    """Share of the best gold page's content words within each node."""
    best = np.zeros(len(nodes))
    for gold in case.evidence:
        assert isinstance(gold.span, PageSpan)
        wanted = Counter(content_words(gold.span.text))
        on_page = np.flatnonzero(tree.leaves.page == gold.span.page)
        if not len(on_page):
            continue
        first, last = int(on_page[0]), int(on_page[-1]) + 1
        words = {leaf: Counter(content_words(tree.leaf_text(leaf))) for leaf in range(first, last)}
        lows, highs = np.maximum(tree.nodes.low[nodes], first), np.minimum(tree.nodes.high[nodes], last)
        for at in np.flatnonzero(lows < highs):
            inside = sum((words[leaf] for leaf in range(int(lows[at]), int(highs[at]))), Counter[str]())
            best[at] = max(best[at], (wanted & inside).total() / max(1, wanted.total()))
    return best
