"""Writes the sample annual report and its gold questions: `python examples/reports/annual_report.py`.

The company is invented. The numbers come from `company`, the words from the text files in `annual_report/`, the
questions from `annual_report_questions`; running this again gives the same bytes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # the modules of this folder, also when imported from the tests

from annual_report_questions import gold_questions
from company import Figures, build, check
from layout import Report
from template import Template

FOLDER = Path(__file__).parent / "annual_report"
SAMPLES = Path(__file__).parents[2] / "hierarchy" / "samples"


def source_lines() -> list[str]:
    """The marked-up text of the whole report, file after file."""
    return [line for path in sorted(FOLDER.glob("*.md")) for line in path.read_text("utf-8").splitlines()]


def build_pdf(figures: Figures) -> bytes:
    """The report as PDF bytes."""
    return Report(source_lines(), Template(figures)).build()


def main() -> None:
    """Check the figures, then write the PDF and the questions."""
    figures = build()
    check(figures)
    pdf = build_pdf(figures)
    SAMPLES.mkdir(parents=True, exist_ok=True)
    (SAMPLES / "annual_report.pdf").write_bytes(pdf)
    lines = [json.dumps(question, ensure_ascii=False) for question in gold_questions(pdf, figures)]
    (SAMPLES / "annual_report.questions.jsonl").write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
