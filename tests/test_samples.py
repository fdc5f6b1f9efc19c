"""The bundled reports, end to end: every gold question at four budgets, without a model of anybody's.

Two kinds of claims. What must hold for every answer: within budget, verbatim, accounted for. And what was measured over
all questions, asserted as a floor a little below: how often the evidence was read, quoted, or rightly missed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import cache

import pytest

import hierarchy
from hierarchy.evaluation.metrics import content_words, read_source, score_case
from hierarchy.evaluation.predictions import PageSpan, TextSpan
from hierarchy.evaluation.sets import Case, load_set

BUDGETS = (1_000, 2_000, 4_000, 8_000)
FOLDERS = {"annual_report.pdf": "pdfs", "patient_chart.md": "docs"}
SAMPLES = tuple(FOLDERS)
# Shares in percent of the questions with gold evidence, at each budget: those whose evidence was read (80 % of the
# characters of a group in a text, half of the words on each page in a PDF), and those of whose evidence something is
# quoted. Measured, less a question or two.
READ = {"annual_report.pdf": (23, 58, 82, 94), "patient_chart.md": (30, 58, 66, 80)}
QUOTED = {"annual_report.pdf": (47, 58, 58, 58), "patient_chart.md": (52, 58, 55, 55)}
# Those not answered although the report answers them, at most, at any budget.
WRONGLY_ABSTAINED = {"annual_report.pdf": 6, "patient_chart.md": 23}
# Questions about the other report, rightly not answered. The five that the reports come near and don't answer are all
# answered with what stands nearest: words alone can't tell.
RIGHTLY_ABSTAINED = {"annual_report.pdf": 69, "patient_chart.md": 78}


@dataclass(frozen=True)
class Asked:
    """A gold question, asked at every budget."""

    case: Case
    answers: tuple[hierarchy.Answer, ...]


@pytest.fixture(scope="module")
def gold(tmp_path_factory):
    """The samples laid out as an evaluation set."""
    folder = tmp_path_factory.mktemp("samples")
    lines = []
    for sample, place in FOLDERS.items():
        path = hierarchy.sample(sample)
        (folder / place).mkdir()
        shutil.copy(path, folder / place)
        lines.append(path.with_suffix(".questions.jsonl").read_text("utf-8"))
    (folder / "cases.jsonl").write_text("".join(lines), "utf-8")
    return load_set(folder)


@pytest.fixture(scope="module")
def tree():
    return cache(lambda sample: hierarchy.outline(hierarchy.sample(sample)))


@pytest.fixture(scope="module")
def asked(gold, tree):
    """All questions of a sample with their answers, asked once."""
    reasoner = hierarchy.Reasoner()

    @cache
    def ask(sample):
        cases = [case for case in gold.cases if sample.startswith(case.doc_id)]
        return tuple(
            Asked(case, tuple(reasoner.ask(tree(sample), case.question, budget) for budget in BUDGETS))
            for case in cases
        )

    return ask


def span(place, text):
    """A passage or citation as the evaluation judges it."""
    if place.page is None:
        return TextSpan(start=place.start, end=place.end)
    return PageSpan(page=place.page - 1, text=text)


def touches(citation, evidence):
    """Whether a quote overlaps gold evidence; on a page, whether it holds half of its words and numbers."""
    if isinstance(evidence, TextSpan):
        return citation.start < evidence.end and evidence.start < citation.end
    wanted, held = set(content_words(evidence.text)), set(content_words(citation.quote))
    return citation.page == evidence.page + 1 and len(wanted & held) >= len(wanted) / 2


def percent(values):
    values = list(values)
    return 100 * sum(values) / len(values)


def test_the_set_is_sound(gold):
    """Evidence stands where the questions say; both reports have questions with and without an answer."""
    assert gold.notes == ()
    for sample in SAMPLES:
        cases = [case for case in gold.cases if sample.startswith(case.doc_id)]
        assert sum(bool(case.evidence) for case in cases) >= 12
        assert sum(case.answer is None for case in cases) >= 2


@pytest.mark.parametrize("sample", SAMPLES)
class TestEveryAnswer:
    def test_within_budget(self, sample, asked):
        """Something is said, and the whole bill is within the budget, in the answer and in the trace."""
        for each in asked(sample):
            for budget, answer in zip(BUDGETS, each.answers, strict=True):
                assert answer.text.strip()
                assert 0 < answer.usage.total_tokens <= budget
                assert answer.trace.usage() == answer.usage
                assert sum(bill.total_tokens for _, bill in answer.by_stage) == answer.usage.total_tokens

    def test_quotes_stand_where_they_say(self, sample, asked, tree):
        """A citation's characters are the document's own, on the page that it names."""
        file = tree(sample).document
        for each in asked(sample):
            for answer in each.answers:
                assert bool(answer.citations) is not answer.abstained
                for citation in answer.citations:
                    assert citation.verified
                    assert citation.source == file.name == sample
                    assert file.text[citation.start : citation.end] == citation.quote
                    assert citation.page == file.page_of(citation.start)
                    assert any(
                        passage.start <= citation.start and citation.end <= passage.end
                        for passage in answer.evidence.passages
                    ), "quoted without having been read"

    def test_the_receipt_adds_up(self, sample, asked, tree):
        """Read, coarse and unread are the document; what isn't read is listed, all but page furniture."""
        total = tree(sample).tokens
        for each in asked(sample):
            for answer in each.answers:
                receipt = answer.receipt
                assert receipt.document_tokens == total
                assert receipt.read_tokens + receipt.coarse_tokens + receipt.unread_tokens == total
                assert receipt.read_tokens == sum(passage.tokens for passage in answer.evidence.passages)
                listed = sum(place.tokens for place in receipt.unread)
                assert listed <= receipt.coarse_tokens + receipt.unread_tokens <= listed + total * 0.05

    def test_more_budget_reads_more(self, sample, asked):
        """On the average over all questions, and each time from the smallest budget to the largest."""
        read = [[answer.receipt.read_tokens for answer in each.answers] for each in asked(sample)]
        means = [sum(column) / len(read) for column in zip(*read, strict=True)]
        assert means == sorted(means)
        assert all(row[0] < row[-1] for row in read)


@pytest.mark.parametrize("sample", SAMPLES)
class TestMeasured:
    def test_evidence_read(self, sample, asked, gold):
        answerable = [each for each in asked(sample) if each.case.evidence]
        source = read_source(gold.folder, answerable[0].case.doc_id, [each.case for each in answerable])

        def read(each, at):
            passages = each.answers[at].evidence.passages
            spans = [span(passage, passage.text) for passage in passages]
            return score_case(each.case, spans, BUDGETS[at], source).answerable

        for at, floor in enumerate(READ[sample]):
            assert percent(read(each, at) for each in answerable) >= floor, f"at {BUDGETS[at]} tokens"

    def test_evidence_quoted(self, sample, asked):
        answerable = [each for each in asked(sample) if each.case.evidence]

        def quoted(each, at):
            citations = each.answers[at].citations
            return any(touches(citation, one.span) for citation in citations for one in each.case.evidence)

        for at, floor in enumerate(QUOTED[sample]):
            assert percent(quoted(each, at) for each in answerable) >= floor, f"at {BUDGETS[at]} tokens"

    def test_what_is_answered_is_seldom_declined(self, sample, asked):
        answerable = [each for each in asked(sample) if each.case.evidence]
        for at, budget in enumerate(BUDGETS):
            abstained = percent(each.answers[at].abstained for each in answerable)
            assert abstained <= WRONGLY_ABSTAINED[sample], f"at {budget} tokens"

    def test_questions_about_another_report(self, sample, gold, tree):
        """What a report is not about is mostly not answered from it."""
        reasoner = hierarchy.Reasoner()
        foreign = [case.question for case in gold.cases if not sample.startswith(case.doc_id)]
        abstained = percent(reasoner.ask(tree(sample), question, 2_000).abstained for question in foreign)
        assert abstained >= RIGHTLY_ABSTAINED[sample]


def test_a_question_in_the_reports_words_is_answered(tree):
    """The first quote holds the figure, at the smallest of the budgets."""
    for sample, question, figure in (
        ("annual_report.pdf", "What were total net sales in fiscal 2025?", "2,160.4"),
        ("annual_report.pdf", "What was the effective tax rate in fiscal 2025?", "20.6%"),
        ("patient_chart.md", "What was the cardiac output by thermodilution?", "4.4 L/min"),
        ("patient_chart.md", "What was the total radiofrequency time?", "31 min"),
    ):
        answer = hierarchy.ask(tree(sample), question, 1_000)
        assert figure in answer.citations[0].quote, question


def test_the_questions_read_as_json():
    """One object a line, with what the set layout asks for."""
    for sample in SAMPLES:
        lines = hierarchy.sample(sample).with_suffix(".questions.jsonl").read_text("utf-8").splitlines()
        assert all({"id", "doc_id", "question", "answer", "evidence"} <= json.loads(line).keys() for line in lines)
