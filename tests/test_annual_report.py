"""The bundled annual report: it is what its generator writes, its figures agree and its gold evidence is in it."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import sys
from collections import Counter
from pathlib import Path

import pypdfium2
import pytest

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "examples" / "reports"))

import annual_report  # noqa: E402
import annual_report_questions  # noqa: E402
import company  # noqa: E402

PDF = ROOT / "hierarchy" / "samples" / "annual_report.pdf"
QUESTIONS = ROOT / "hierarchy" / "samples" / "annual_report.questions.jsonl"
KINDS = {"lookup", "calculation", "multi-statement", "reasoning", "unanswerable"}


@pytest.fixture(scope="module")
def figures() -> company.Figures:
    return company.build()


@pytest.fixture(scope="module")
def built(figures) -> bytes:
    return annual_report.build_pdf(figures)


@pytest.fixture(scope="module")
def pages() -> list[str]:
    return annual_report_questions.page_texts(PDF.read_bytes())


@pytest.fixture(scope="module")
def questions() -> list[dict]:
    return [json.loads(line) for line in QUESTIONS.read_text("utf-8").splitlines()]


def prose(pages: list[str]) -> str:
    """The pages' text without running heads, feet and table rows, as one line."""
    lines = [line for page in pages[2:] for line in page.split("\n")]
    furniture = re.compile(
        r"Marrowick Corporation Annual Report on Form 10-K|Fiscal 2025 \d+ Table of Contents|.*\.{4}"
    )
    return " ".join(line.strip() for line in lines if not furniture.match(line.strip()))


def test_committed_pdf_is_what_the_generator_writes(built, pages):
    """The bundled file's text is that of a fresh build, so nobody has edited one without the other."""
    assert annual_report_questions.page_texts(built) == pages


def test_the_same_bytes_each_time(built, figures):
    """Two builds agree to the byte: the PDF carries no date and no random identifier."""
    assert annual_report.build_pdf(figures) == built


def test_committed_questions_are_what_the_generator_writes(built, figures, questions):
    """The questions, answers and evidence follow from the figures and the PDF as they now are."""
    assert annual_report_questions.gold_questions(built, figures) == questions


def test_figures_agree(figures):
    """Every statement, note and schedule ties to the others."""
    company.check(figures)


def test_any_changed_figure_is_noticed(figures):
    """A tenth of a million more in any single figure of any year breaks at least one tie."""
    unnoticed = []
    for name, series in figures.items():
        for year in series:
            changed = {**figures, name: {**series, year: series[year] + 1}}
            try:
                company.check(changed)
            except company.Mismatch:
                continue
            unnoticed.append((name, year))
    assert unnoticed == []


@pytest.mark.parametrize(
    ("name", "year", "message"),
    [
        ("cash", 25, "cash of fiscal 2025"),
        ("net_income", 24, "net_income of fiscal 2024"),
        ("ls_sales", 23, "net_sales of fiscal 2023"),
        ("term_29", 25, "term_total of fiscal 2025"),
    ],
)
def test_a_mismatch_names_the_figure(figures, name, year, message):
    """The error says which total disagrees with its parts."""
    changed = {**figures, name: {**figures[name], year: figures[name][year] + 7}}
    with pytest.raises(company.Mismatch, match=message):
        company.check(changed)


def test_a_missing_figure_is_noticed(figures):
    """A balance left out is reported like one that is wrong."""
    changed = {**figures, "goodwill": {year: value for year, value in figures["goodwill"].items() if year != 25}}
    with pytest.raises(company.Mismatch, match="goodwill"):
        company.check(changed)


def test_statements_balance(figures):
    """The three ties a reader checks first hold, computed here and not by the generator's own equations."""
    for year in company.YEARS:
        of = {name: series[year] for name, series in figures.items() if year in series}
        before = {name: series[year - 1] for name, series in figures.items() if year - 1 in series}
        assert of["total_assets"] == of["total_liabilities"] + of["equity"]
        cash_flow = of["operating_cash"] + of["investing_cash"] + of["financing_cash"] + of["fx_cash"]
        assert of["cash"] - before["cash"] == cash_flow
        assert of["retained"] - before["retained"] == of["net_income"] + of["dividends"]


def test_each_gold_evidence_is_on_its_page(questions, pages):
    """Every evidence text is consecutive text of the page it names."""
    for question in questions:
        for evidence in question["evidence"]:
            assert evidence["text"] in pages[evidence["page"]], (question["id"], evidence)


def test_questions_are_well_formed(questions):
    """There are enough questions of every kind, and exactly the unanswerable ones lack answer and evidence."""
    assert len(questions) >= 14
    assert len({question["id"] for question in questions}) == len(questions)
    assert {question["kind"] for question in questions} == KINDS
    assert sum(question["kind"] == "unanswerable" for question in questions) == 2
    for question in questions:
        assert set(question) == {"id", "doc_id", "question", "answer", "evidence", "split", "kind"}
        assert question["doc_id"] == PDF.stem
        assert question["split"] == "dev"
        unanswerable = question["kind"] == "unanswerable"
        assert (question["answer"] is None) == unanswerable
        assert (question["evidence"] == []) == unanswerable


def test_is_long_enough_and_small_enough(pages, monkeypatch):
    """The report is a long document by the count of tokens and pages, yet a small file."""
    litellm = importlib.util.find_spec("litellm")
    assert litellm is not None
    assert litellm.origin is not None
    vocabulary = Path(litellm.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setitem(os.environ, "TIKTOKEN_CACHE_DIR", str(vocabulary))
    import tiktoken

    encoding = tiktoken.get_encoding("cl100k_base")
    assert sum(len(encoding.encode(page)) for page in pages) >= 30_000
    assert len(pages) >= 60
    assert PDF.stat().st_size < 600_000


def test_no_sentence_is_repeated(pages):
    """No sentence of twelve or more words occurs twice: the length is not padding."""
    sentences = re.split(r"(?<=[.!?:;])\s+(?=[“(A-Z])", prose(pages))
    words = (" ".join(re.findall(r"[^\W\d_]+", sentence)).lower() for sentence in sentences)
    counts = Counter(text for text in words if len(text.split()) >= 12)
    assert len(counts) > 400
    assert [text for text, count in counts.items() if count > 1] == []


def test_table_rows_stay_on_one_line(pages):
    """The balance sheet's rows read label first, then both years, on the line the label is on."""
    page = next(text for text in pages if text.count("Consolidated Balance Sheets\n") and "Total assets" in text)
    rows = [line for line in page.split("\n") if "...." in line]
    assert len(rows) >= 25
    assert all(re.search(r"\.{4,} (\$ )?\(?[\d,.]+\)? (\$ )?\(?[\d,.]+\)?$", row.strip()) for row in rows)


def test_contents_lead_to_the_printed_pages(pages):
    """Each line of the contents names the number printed at the foot of the page where the item begins."""
    lines = [line for line in pages[1].split("\n") if line.strip().startswith("Item ")]
    assert len(lines) >= 20
    for line in lines:
        title, number = re.fullmatch(r" *(Item .+?) \.{2,} ?(\d+)", line.strip()).groups()
        page = pages[int(number) + 1]
        assert " ".join(title.split()[:6]) in page, line
        assert f"Fiscal 2025 {number} Table of Contents" in page


def test_has_links_but_no_outline():
    """Like most real filings it has no bookmarks; the contents link to their targets instead."""
    document = pypdfium2.PdfDocument(PDF)
    try:
        assert list(document.get_toc()) == []
    finally:
        document.close()
    assert PDF.read_bytes().count(b"/Subtype /Link") > 50
