"""What staged reading costs where a model routes and answers well: ten questions on the two bundled reports.

No model is called. A scripted one says what a strong one would: it names the document's own words to search for,
answers with verbatim quotes if the evidence was shown to it, and else quotes what there is and names what is missing.
What is real is the reading: which passages were chosen, in how many rounds, for how many tokens.

    python examples/staged_reading.py                # tokens / calls / rounds at 2k, 8k and 32k
    python examples/staged_reading.py 4000           # at another budget
"""

from __future__ import annotations

import json
import re
import statistics
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import hierarchy
from hierarchy.calls import Request
from hierarchy.models import FunctionModel

SAMPLES = Path(hierarchy.__file__).parent / "samples"
REPORTS = {"annual_report": "annual_report.pdf", "patient_chart": "patient_chart.md"}


@dataclass(frozen=True)
class Script:
    """What a good model says of one question: what to search for, and how it names what it misses."""

    terms: tuple[str, ...]
    needs: tuple[str, ...]
    missing: str


SCRIPTS = {
    "ar-01": Script(
        ("total net sales", "consolidated statements of income", "net sales", "fiscal 2025", "cost of sales"),
        ("consolidated statements of income",),
        "consolidated statements of income, total net sales, fiscal 2025",
    ),
    "ar-03": Script(
        (
            "capital expenditure incurred",
            "capital expenditures",
            "accrual basis",
            "segment information",
            "segment note",
        ),
        ("segment information note",),
        "segment information note, capital expenditure incurred, fiscal 2025",
    ),
    "ar-04": Script(
        ("cash and cash equivalents", "accounts receivable, net", "total current liabilities", "current assets"),
        ("consolidated balance sheets",),
        "consolidated balance sheets, cash, accounts receivable and total current liabilities, end of fiscal 2025",
    ),
    "ar-07": Script(
        ("maturities of long-term debt", "subsequent events", "amendment", "fiscal 2029", "principal payments"),
        ("debt note", "subsequent events note"),
        "subsequent events note, amended maturity schedule, fiscal 2029; debt note, maturities, fiscal 2029",
    ),
    "ar-12": Script(
        ("segment operating income", "segment margin", "earned % of sales", "Transport Cooling", "decline"),
        ("segment results in management's discussion",),
        "management's discussion, segment earned % of sales, fiscal 2025 and 2024",
    ),
    "pc-01": Script(
        ("discharge weight", "weight kg", "dry weight", "discharge summary", "discharged home"),
        ("discharge summary of the first admission",),
        "discharge summary, first admission, discharge weight",
    ),
    "pc-05": Script(
        ("eGFR", "creatinine", "urea", "acute kidney injury", "gastrointestinal bleed", "June 2021"),
        ("laboratory results table of the admission",),
        "laboratory results, eGFR, June 2021 admission",
    ),
    "pc-15": Script(
        ("penicillin", "allergy", "skin prick and intradermal tests", "oral challenge", "de-labelling", "anaphylaxis"),
        ("allergy clinic letter",),
        "allergy clinic, penicillin skin tests and oral challenge",
    ),
    "pc-24": Script(
        ("cardiopulmonary resuscitation", "DNACPR", "escalation", "resuscitation status", "form signed"),
        ("advance care planning", "escalation status"),
        "advance care planning, cardiopulmonary resuscitation decision",
    ),
    "pc-33": Script(
        ("screening failure", "eligibility", "potassium", "exclusion criteria", "trial", "spironolactone"),
        ("trial screening visit", "repeat prescription"),
        "trial screening, potassium limit; repeat template, spironolactone added",
    ),
}


@dataclass(frozen=True)
class Case:
    """A question with its gold answer; each group of evidence alone suffices."""

    id: str
    report: str
    question: str
    answer: str
    groups: tuple[tuple[str, ...], ...]


def cases() -> list[Case]:
    """The scripted questions."""
    found = []
    for report in REPORTS:
        lines = (SAMPLES / f"{report}.questions.jsonl").read_text(encoding="utf-8").splitlines()
        for each in map(json.loads, lines):
            if each["id"] in SCRIPTS:
                groups: dict[object, list[str]] = {}
                for gold in each["evidence"]:
                    groups.setdefault(gold.get("group", 0), []).append(gold["text"])
                texts = tuple(tuple(group) for group in groups.values())
                found.append(Case(each["id"], report, each["question"], each["answer"], texts))
    return found


def good_model(case: Case) -> FunctionModel:
    """A model that knows one question."""

    def reply(request: Request) -> str:
        script = SCRIPTS[case.id]
        if request.stage == "route":
            if "JSON" not in request.prompt:
                return "\n".join(script.terms)
            return json.dumps({"terms": script.terms, "needs": script.needs, "kind": "lookup", "questions": []})
        shown = _Shown(request.prompt)
        whole = next((group for group in case.groups if all(shown.find(text) for text in group)), None)
        quotes = [shown.find(text) for text in whole or [text for group in case.groups for text in group]]
        said = [{"source": number, "text": text} for number, text in filter(None, quotes)]
        if request.stage == "refine":
            return json.dumps({"quotes": said})
        return json.dumps(
            {"answer": case.answer if whole else "", "quotes": said, "missing": "" if whole else script.missing},
            ensure_ascii=False,
        )

    return FunctionModel(reply, name=f"good/{case.id}", margin=1.0)


class _Shown:
    """The passages of a prompt, to find evidence in whatever the line breaks and leaders of dots."""

    def __init__(self, prompt: str) -> None:
        marks = list(re.finditer(r"^<(\d+)>.*$", prompt, re.MULTILINE))
        ends = [*(mark.start() for mark in marks[1:]), prompt.find("</passages>")]
        self.passages = [(int(mark[1]), prompt[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]

    def find(self, evidence: str) -> tuple[int, str] | None:
        """The passage that holds a piece of evidence, and its words there."""
        words = [re.escape(word) for word in re.sub(r"\.{3,}", " ", evidence).split()]
        sought = re.compile(r"[\s.]*?".join(words))
        for number, text in self.passages:
            if match := sought.search(text):
                return number, match[0]
        return None


@lru_cache
def tree_of(report: str) -> hierarchy.SummaryTree:
    """The tree of a bundled report, built once for all questions."""
    return hierarchy.outline(SAMPLES / REPORTS[report])


def run(budget: int) -> list[dict[str, object]]:
    """Ask every scripted question within a budget."""
    rows = []
    for case in cases():
        answer = hierarchy.Reasoner(good_model(case)).ask(tree_of(case.report), case.question, budget)
        rounds = sum(stage in ("compose", "follow_up") for stage, usage in answer.by_stage for _ in range(usage.calls))
        rows.append(
            {
                "id": case.id,
                "tokens": answer.usage.total_tokens,
                "calls": answer.usage.calls,
                "rounds": rounds,
                "answered": not answer.abstained,
                "missing": answer.missing,
            }
        )
    return rows


def main() -> None:
    """Print tokens / calls / rounds of each question at several budgets, and the medians."""
    budgets = [int(word) for word in sys.argv[1:]] or [2_000, 8_000, 32_000]
    results = {budget: run(budget) for budget in budgets}
    print("question " + "".join(f"{budget:>18,}" for budget in budgets))
    for rows in zip(*results.values(), strict=True):
        cells = (f"{r['tokens']:,} / {r['calls']} / {r['rounds']}{'' if r['answered'] else ' –'}" for r in rows)
        print(f"{rows[0]['id']:9}" + "".join(f"{cell:>18}" for cell in cells))
    medians = (statistics.median(row["tokens"] for row in rows) for rows in results.values())
    print("median   " + "".join(f"{median:>18,.0f}" for median in medians))
    answered = (sum(bool(row["answered"]) for row in rows) for rows in results.values())
    print("answered " + "".join(f"{f'{number} of {len(SCRIPTS)}':>18}" for number in answered))
    print("tokens / calls / rounds; – where what was read held no answer")


if __name__ == "__main__":
    main()
