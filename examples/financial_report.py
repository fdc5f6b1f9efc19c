"""Questions of an analyst to a financial report, each within a budget that can't be exceeded. No key, no network.

    python examples/financial_report.py
    python examples/financial_report.py 10-K.pdf "What was capital expenditure in FY2018?" --budget 8k

Shows where the statements stand, each answer with its pages and its price, what a larger budget would change, and
where the tokens of one question went. Without a path it asks the fictional report that comes with the library.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import hierarchy

QUESTIONS = (
    "What were total net sales in fiscal 2025?",
    "What were purchases of property, plant and equipment in fiscal 2024?",
    "What was the effective tax rate in fiscal 2025?",
    "What was the current ratio?",  # the report never says so; a lexicon knows the rows that make one
    "For how much was the Orchard Lane litigation settled?",
)
BUDGETS = ("1k", "2k", "4k", "8k")
STATEMENTS = ("balance sheet", "statements of", "statement of", "financial position", "profit and loss")


def main() -> int:
    """Parse the command line and show; an error becomes a message, its remedy and an exit code."""
    parser = argparse.ArgumentParser(description="Ask a financial report within a token budget.")
    parser.add_argument("path", nargs="?", help="PDF, HTML, DOCX, Markdown, text or a folder (default: the sample)")
    parser.add_argument("questions", nargs="*", metavar="question", help="one or more (default: an analyst's)")
    parser.add_argument("--budget", default="4k", help="tokens for each question: 8000, 8k, 5%% (default: 4k)")
    parser.add_argument("--trace", type=Path, help="where to save the trace of the first question")
    options = parser.parse_intermixed_args()
    try:
        show(options.path, options.questions or QUESTIONS, options.budget, options.trace)
    except hierarchy.HierarchyError as error:
        print(f"{error.message}\n{error.hint}", file=sys.stderr)
        return 2
    return 0


def show(path: str | None, questions: Sequence[str], budget: str, trace: Path | None) -> None:
    """Outline, answers, budgets, trace."""
    reasoner = hierarchy.Reasoner()
    report = reasoner.outline(path or hierarchy.sample("annual_report.pdf"))  # read once, for all questions
    print(f"{report.document.name}: {report.tokens:,} tokens\n")
    show_statements(report)
    answers = [reasoner.ask(report, question, budget) for question in questions]
    for question, answer in zip(questions, answers, strict=True):
        show_answer(question, answer)
    show_budgets(reasoner, report, questions[0])
    saved = trace or Path(tempfile.gettempdir()) / "financial_report.trace.jsonl"
    saved.write_text(answers[0].trace.to_jsonl(), encoding="utf-8")
    print(f"\nWhere the tokens of the first question went: hierarchy trace {saved}")


def show_statements(report: hierarchy.SummaryTree) -> None:
    """The sections that are statements, with their pages. Costs no tokens."""
    for file in report.files:
        for section in file.sections:
            if any(words in section.title.lower() for words in STATEMENTS):
                page = file.page_of(section.span.start)
                print(f"  {f'p. {page}' if page else '':>6}  {section.title}")
    print()


def show_answer(question: str, answer: hierarchy.Answer) -> None:
    """The answer, the pages to check it on, its price, and where else the answer could stand."""
    print(f"{question}\n")
    print("\n".join(f"    {line}" for line in answer.text.splitlines()))
    pages = dict.fromkeys(str(citation.page) for citation in answer.citations if citation.page)
    if pages:
        print(f"\n  pages       {', '.join(pages)}; every quote checked character by character")
    print(f"  cost        {answer.usage.total_tokens:,} tokens, ${answer.usage.cost_usd or 0:.2f}")
    print(f"  read        {answer.receipt.read_share:.1%} of the report")
    for place in answer.unread[:2]:
        where = f", p. {place.pages[0]}" if place.pages else ""
        print(f"  not read    {place.title}{where}: {place.tokens:,} tokens, relevance {place.relevance:.2f}")
    print()


def show_budgets(reasoner: hierarchy.Reasoner, report: hierarchy.SummaryTree, question: str) -> None:
    """One question at several budgets: what it cost, what was read, and the first quote."""
    print(f"{question} At other budgets:\n\n  budget  spent   read  first quote")
    for budget in BUDGETS:
        answer = reasoner.ask(report, question, budget)
        quote = " ".join(answer.citations[0].quote.split()) if answer.citations else "(none)"
        print(f"  {budget:>6}  {answer.usage.total_tokens:5,}  {answer.receipt.read_share:5.1%}  {quote[:60]}")


if __name__ == "__main__":
    sys.exit(main())
