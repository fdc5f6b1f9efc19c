"""What reading costs on this machine: CPU and memory of load, tree and question beside the least that any reader needs.

The least is what nobody can do without: pdfium reading the pages (for other files: reading the bytes) and tiktoken
counting the text. Figures are multiples of it, since machines differ and are noisy. Each figure is the best of several
runs; memory is the peak that Python allocated, from a run of its own, because watching it costs time.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from hierarchy.loaders import load
from hierarchy.planner import outline
from hierarchy.relevance import estimate
from hierarchy.tokens import count_tokens

__all__ = ["HEADER", "Cost", "measure", "row"]

HEADER = ("file", "tokens", "least, s", "load ×", "tree ×", "first ×", "question ×", "question, ms", "peak, MB")
"""What the cells of `row` are; × are multiples of the least, `first` is the first question, which builds the index."""

T = TypeVar("T")

_QUESTION = "How much did the total change against the year before, and why?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU seconds and memory of one document.

    Attributes:
        name: The file's name.
        tokens: Its length.
        least_s: Reading the pages and counting the text with the bare libraries.
        load_s: `hierarchy.load`.
        tree_s: `planner.outline` on what was loaded.
        first_question_s: The first question, which builds the index.
        question_s: A further question.
        peak_mb: Most memory that Python objects held at once over all of it, in 10⁶ bytes.
    """

    name: str
    tokens: int
    least_s: float
    load_s: float
    tree_s: float
    first_question_s: float
    question_s: float
    peak_mb: float

    def multiple(self, seconds: float) -> float:
        """Some of these seconds as a multiple of the least."""
        return seconds / max(self.least_s, 1e-9)


def measure(path: Path, question: str = _QUESTION, rounds: int = 3) -> Cost:
    """Measure one document.

    Args:
        path: A file.
        question: What to ask.
        rounds: The best of how many runs.
    """
    count_tokens("warm up")
    least_s, _ = _best(lambda: _least(path), rounds)
    load_s, document = _best(lambda: load(path), rounds)
    tree_s, tree = _best(lambda: outline(document), rounds)
    fresh = [outline(document) for _ in range(rounds)]
    first_question_s, _ = _best(lambda: estimate(fresh.pop(), question), rounds)
    estimate(tree, "warm up")
    question_s, _ = _best(lambda: estimate(tree, question), 3 * rounds)
    return Cost(
        name=path.name,
        tokens=tree.tokens,
        least_s=least_s,
        load_s=load_s,
        tree_s=tree_s,
        first_question_s=first_question_s,
        question_s=question_s,
        peak_mb=_peak_mb(lambda: estimate(outline(load(path)), question)),
    )


def row(cost: Cost) -> tuple[str, ...]:
    """The figures as `HEADER` names them."""
    parts = (cost.load_s, cost.tree_s, cost.first_question_s, cost.question_s)
    return (
        cost.name,
        f"{cost.tokens:,}",
        f"{cost.least_s:.3f}",
        *(f"{cost.multiple(seconds):.2f}" for seconds in parts),
        f"{1000 * cost.question_s:.1f}",
        f"{cost.peak_mb:,.0f}",
    )


def _least(path: Path) -> int:
    """Read and count with the bare libraries."""
    if path.suffix.lower() != ".pdf":
        return count_tokens(path.read_bytes().decode("utf-8", "replace"))
    import pypdfium2

    pdf = pypdfium2.PdfDocument(path)
    try:
        return count_tokens("\n".join(page.get_textpage().get_text_range() for page in pdf))
    finally:
        pdf.close()


def _best(work: Callable[[], T], rounds: int) -> tuple[float, T]:
    best, result = float("inf"), None
    for _ in range(max(1, rounds)):
        start = time.process_time()
        result = work()
        best = min(best, time.process_time() - start)
    assert result is not None
    return best, result


def _peak_mb(work: Callable[[], object]) -> float:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
