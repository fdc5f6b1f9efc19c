"""Gold questions about the sample report, answered from the company's figures and proved by text of its pages.

Evidence is found in the finished PDF: `Line` names the start of a line on the page that holds an anchor, `Passage`
the words of a sentence. Each must match one page only, so that an edit which moves or removes it fails the build.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import pypdfium2
from company import Figures
from template import Template

DOC_ID = "annual_report"


@dataclass(frozen=True)
class Line:
    """The whole line that starts so, on the page that contains the anchor."""

    anchor: str
    start: str


@dataclass(frozen=True)
class Passage:
    """These words, however the page breaks them into lines; `{...}` fields are filled in first."""

    words: str


@dataclass(frozen=True)
class Question:
    """A question with its answer and evidence, fields not yet filled in; no answer means the report has none."""

    id: str
    kind: str
    question: str
    answer: str | None
    evidence: tuple[Line | Passage, ...] = ()


INCOME = "Consolidated Statements of Income\n"
BALANCE = "Consolidated Balance Sheets\n"
CASH = "Consolidated Statements of Cash Flows\n"

QUESTIONS = (
    Question(
        "ar-01", "lookup", "What were Marrowick's total net sales in fiscal 2025?", "{usd net_sales}",
        (Line(INCOME, "Total net sales"),),
    ),
    Question(
        "ar-02", "lookup", "How much cash did the company spend on capex in fiscal 2024?", "{usd capex 24}",
        (Line(CASH, "Purchases of property, plant and equipment"),),
    ),
    Question(
        "ar-03", "lookup",
        "On the accrual basis of the segment note, what was fiscal 2025 capital expenditure?",
        "{usd capex_incurred} (purchases paid of {usd capex} plus {usd accrued_capex_change} more owed to suppliers)",
        (Line("Net book value, beginning of year", "Capital expenditure incurred"),),
    ),
    Question(
        "ar-04", "multi-statement",
        "What was the quick ratio at the end of fiscal 2025, counting cash and receivables as quick assets?",
        "{times quick_assets current_liabilities}",
        (
            Line(BALANCE, "Cash and cash equivalents"),
            Line(BALANCE, "Accounts receivable, net"),
            Line(BALANCE, "Total current liabilities"),
        ),
    ),
    Question(
        "ar-05", "multi-statement",
        "What were days sales outstanding for fiscal 2025, on year-end receivables and a 364-day year?",
        "{days receivables net_sales}",
        (Line(BALANCE, "Accounts receivable, net"), Line(INCOME, "Total net sales")),
    ),
    Question(
        "ar-06", "reasoning", "What did the company first report as net income for fiscal 2024, and what is it now?",
        "First reported as {usd prior_net_income 24}; revised to {usd net_income 24}, {usd error_net 24} lower, since "
        "warranty cost had been understated.",
        (Line("Fiscal 2024 statement of income", "Net income"), Passage("As a result the accrual at the end of fiscal "
        "2024 was too low by {usd error_warranty 24}.")),
    ),
    Question(
        "ar-07", "reasoning",
        "Taking events after year end into account, how much debt principal comes due in fiscal 2029?",
        "{usd amended_29}; the {usd due_29} in the maturity table was superseded by the October 2025 amendment.",
        (
            Line("Revolver Term loan Notes", "Fiscal 2029"),
            Passage("Under the amended schedule the fiscal 2029 maturity of {usd due_29} in Note 10 falls to "
            "{usd amended_29}"),
        ),
    ),
    Question(
        "ar-08", "reasoning", "What dividend per share will stockholders be paid in December 2025?",
        "$0.24 (raised in November 2025 from the $0.21 paid in each quarter of fiscal 2025)",
        (Passage("the board raised the quarterly dividend from $0.21 to $0.24 per share, payable December 18, 2025"),),
    ),
    Question(
        "ar-09", "calculation", "How many times adjusted EBITDA was net debt at the end of fiscal 2025?",
        "{times net_debt adjusted_ebitda} times ({usd net_debt} / {usd adjusted_ebitda})",
        (
            Line("Less cash and cash equivalents", "Net debt ."),
            Line("Loss on extinguishment of debt", "Adjusted EBITDA ."),
        ),
    ),
    Question(
        "ar-10", "multi-statement", "What share of fiscal 2025 net income was turned into free cash flow?",
        "{of free_cash_flow net_income} ({usd free_cash_flow} / {usd net_income})",
        (
            Line(CASH, "Net cash provided by operating activities"),
            Line(CASH, "Purchases of property, plant and equipment"),
            Line(INCOME, "Net income ."),
        ),
    ),
    Question(
        "ar-11", "multi-statement", "What was inventory turnover in fiscal 2025 on average inventories?",
        "{times cost_of_sales average_inventories} times",
        (Line(INCOME, "Total cost of sales"), Line(BALANCE, "Inventories")),
    ),
    Question(
        "ar-12", "reasoning", "Which segment became less profitable in fiscal 2025, and by how much?",
        "Transport Cooling: segment margin fell from {of tc_income tc_sales 24} to {of tc_income tc_sales}, or "
        "{bps tc_income tc_sales}.",
        (Passage("The segment earned {of tc_income tc_sales} of sales, after {of tc_income tc_sales 24} and "
        "{of tc_income tc_sales 23}"),),
    ),
    Question(
        "ar-13", "lookup",
        "At what value, in millions of dollars, did the parent company carry its stake in subsidiaries at the end of "
        "fiscal 2025?",
        "$1,308.3 million ({thousand k_parent_subs_assets})",
        (Line("Condensed Financial Information of the Parent", "Investment in and advances to subsidiaries"),),
    ),
    Question(
        "ar-14", "reasoning", "What further charge will the Orchard Lane suit bring after fiscal 2025, and why?",
        "{usd settlement_addition} in the first quarter of fiscal 2026: the {usd litigation_settled} settlement "
        "exceeds the {usd litigation_accrual} accrued at year end.",
        (Passage("On November 4, 2025 we settled with Orchard Lane Markets for {usd litigation_settled}"),
         Passage("the other {usd settlement_addition} settles claims over leaks at nine stores in October 2025, after "
                 "year end, and will be recorded in the first quarter of fiscal 2026."),
         Passage("we had accrued {usd litigation_accrual}, the low end of the range")),
    ),
    Question(
        "ar-15", "calculation", "How many times did operating income cover interest expense in fiscal 2025?",
        "{times operating_income interest_expense} times",
        (Line(INCOME, "Operating income"), Line(INCOME, "Interest expense")),
    ),
    Question(
        "ar-16", "reasoning",
        "Fiscal 2024 services sales were {usd sales_services 24} under the old segments, but Lifecycle Services now "
        "shows {usd ls_sales 24} for the same year. What explains the gap?",
        "Parts sales of {usd parts 24} moved from Equipment & Parts to Lifecycle Services.",
        (Line("Former segments, as first reported", "Parts, moved to Lifecycle Services"),
         Passage("Parts moved from the first of the old segments to Lifecycle Services.")),
    ),
    Question(
        "ar-17", "multi-statement", "What was return on average stockholders' equity in fiscal 2025?",
        "{of net_income average_equity} ({usd net_income} / average equity of {usd average_equity})",
        (Line(INCOME, "Net income ."), Line(BALANCE, "Total stockholders")),
    ),
    Question("ar-18", "unanswerable", "What credit rating do the 6.125% senior notes carry?", None),
    Question("ar-19", "unanswerable", "What were Lifecycle Services' net sales in fiscal 2021?", None),
)  # fmt: skip


def page_texts(pdf: bytes) -> list[str]:
    """The text of each page, line ends as plain newlines."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [page.get_textpage().get_text_range().replace("\r\n", "\n") for page in document]
    finally:
        document.close()


def locate(pages: list[str], where: Line | Passage, template: Template) -> dict[str, object]:
    """The page and exact text of a piece of evidence; ValueError unless exactly one page has it."""
    if isinstance(where, Line):
        pattern = r"^ *" + re.escape(where.start) + r".*$"
        numbers = [number for number, text in enumerate(pages) if where.anchor in text]
    else:
        words = template.fill(where.words).split()
        pattern = r"\s+".join(re.escape(word) for word in words)
        numbers = list(range(len(pages)))
    hits = [(number, match) for number in numbers if (match := re.search(pattern, pages[number], re.MULTILINE))]
    if len(hits) != 1:
        raise ValueError(f"{where} is on pages {[number for number, _ in hits]}")
    number, match = hits[0]
    return {"page": number, "text": match[0].strip()}


def gold_questions(pdf: bytes, figures: Figures) -> list[dict[str, object]]:
    """The questions as records, in the order given above."""
    pages, template = page_texts(pdf), Template(figures)
    return [
        {
            "id": item.id,
            "doc_id": DOC_ID,
            "question": template.fill(item.question),
            "answer": None if item.answer is None else template.fill(item.answer),
            "evidence": [locate(pages, where, template) for where in item.evidence],
            "split": "dev",
            "kind": item.kind,
        }
        for item in QUESTIONS
    ]
