"""Questions to a patient's chart, whose entries contradict each other. No key, no network.

    python examples/medical_report.py
    python examples/medical_report.py chart.md "When was apixaban stopped, and why?" --budget 4k

Shows the sides of a contradiction, each with the entry it stands in; a laboratory row as dates and values; and what was
not read: that nothing was found in what was read is no finding. Nothing here is medical advice. Without a path it asks
the chart of an invented patient that comes with the library.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import hierarchy

QUESTIONS = (
    "Is he allergic to penicillin, and which entries say anaphylaxis?",
    "Apixaban 2.5 mg or 5 mg on discharge in June 2021?",
    "What was the trend of eGFR from 2019 to 2024?",
    "What was his LVEF in June 2020?",  # the chart writes it out; a lexicon knows the abbreviation
)
LIMITS = (
    "A quote that is checked stands in the chart; it need not be true, current, or the last word.",
    "Not found in what was read is not the same as not in the chart.",
    "Nothing here is medical advice. Whoever decides reads the entries themselves.",
)


def main() -> int:
    """Parse the command line and show; an error becomes a message, its remedy and an exit code."""
    parser = argparse.ArgumentParser(description="Ask a medical record within a token budget.")
    parser.add_argument("path", nargs="?", help="Markdown, PDF, HTML, DOCX, text or a folder (default: the sample)")
    parser.add_argument("questions", nargs="*", metavar="question", help="one or more (default: three)")
    parser.add_argument("--budget", default="4k", help="tokens for each question: 8000, 8k, 5%% (default: 4k)")
    options = parser.parse_intermixed_args()
    try:
        show(options.path, options.questions or QUESTIONS, options.budget)
    except hierarchy.HierarchyError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 2
    return 0


def show(path: str | None, questions: Sequence[str], budget: str) -> None:
    """Each question with its quotes and the check of what was not read; then the limits."""
    reasoner = hierarchy.Reasoner()
    chart = reasoner.outline(path or hierarchy.sample("patient_chart.md"))  # read once, for all questions
    print(f"{chart.document.name}: {chart.tokens:,} tokens\n")
    for question in questions:
        answer = reasoner.ask(chart, question, budget)
        print(f"{question}\n")
        show_quotes(chart, answer)
        show_unread(answer)
    print("\n".join(f"* {limit}" for limit in LIMITS))


def show_quotes(chart: hierarchy.SummaryTree, answer: hierarchy.Answer) -> None:
    """All quotes under the entries they stand in, in the order of the chart: later ones may overrule earlier ones."""
    if not answer.citations:
        print(f"  {answer.text}\n")
    entry = ""
    for citation in sorted(answer.citations, key=lambda citation: (citation.source, citation.start)):
        if entry != (entry := entry_of(chart, citation)):
            print(f"  {entry}")
        values = values_of(citation)
        for line in values or (" ".join(citation.quote.split()),):
            print(f"    {line}")
    print()


def entry_of(chart: hierarchy.SummaryTree, citation: hierarchy.Citation) -> str:
    """Title of the innermost section that holds a quote: in a chart mostly the date and the kind of the entry."""
    file = next(file for file in chart.files if file.name == citation.source)
    around = [section for section in file.sections if section.span.start <= citation.start < section.span.end]
    place = around[-1].title if around else citation.source
    return f"{place} (p. {citation.page})" if citation.page else place


def values_of(citation: hierarchy.Citation) -> list[str]:
    """The cells of a quoted table row, each with its column's head; nothing for prose and rows without columns."""
    heads = [cell.strip() for cell in citation.context.split(" · ")[0].split("|")]
    cells = [cell.strip() for cell in citation.quote.strip("| ").split("|")]
    if len(heads) != len(cells) or len(cells) < 2:
        return []
    return [f"{head:<24}  {cell}" for head, cell in zip(heads, cells, strict=True)]


def show_unread(answer: hierarchy.Answer) -> None:
    """The safety check: how much was read, what that cost, and where the answer could also stand."""
    receipt, usage = answer.receipt, answer.usage
    print(f"  {usage.total_tokens:,} tokens spent; {receipt.read_share:.1%} of the chart read. Not read, for example:")
    for place in answer.unread[:3]:
        print(f"    {place.title.lstrip('# ')} ({place.tokens:,} tokens, relevance {place.relevance:.2f})")
    print()


if __name__ == "__main__":
    sys.exit(main())
