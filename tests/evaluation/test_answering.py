"""A set answered by a model: what is written, going on, errors, caps, and what replies of earlier runs count."""

from __future__ import annotations

import json
import threading

import pytest
from click.testing import CliRunner
from loopback import BEHAVIOURS, Loopback, fails
from reportlab.pdfgen.canvas import Canvas

from hierarchy.budget import NOTHING, Usage
from hierarchy.calls import Outcome
from hierarchy.cli import main
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetError, InputError, OutputInvalid, Refused, StoreError, Unavailable
from hierarchy.evaluation.answering import answer_set, system_name
from hierarchy.evaluation.answers import answer_figures
from hierarchy.evaluation.bills import bill_figures
from hierarchy.evaluation.desk import Limits, question_of
from hierarchy.evaluation.figures import score
from hierarchy.evaluation.predictions import PageSpan, read_predictions
from hierarchy.evaluation.sets import Case, load_set
from hierarchy.models import FunctionModel
from hierarchy.relevance import parse
from hierarchy.store import Store

FACTS = ("The warehouse in Bremen holds 4,200 pallets.", "The licence ends on 3 May 2027.", "Dr. Okafor audits it.")
CASES = (
    ("How many pallets does the warehouse hold?", "4,200", 0),
    ("When does the licence end?", "3 May 2027", 1),
    ("Who audits it?", "Dr. Okafor", 2),
    ("What does the cafeteria charge for soup?", None, None),
)
SYSTEM = "hierarchy+function"


def write_set(folder, documents=("x", "y")):
    """The same four questions about each document; the last has no answer."""
    (folder / "docs").mkdir(parents=True)
    cases = []
    for doc_id in documents:
        filler = " ".join(f"On day {n} of {doc_id} the weather was dull and tea was served." for n in range(40))
        text = f"# {doc_id}\n\n" + "\n\n".join(f"{filler}\n\n{fact}" for fact in FACTS)
        (folder / f"docs/{doc_id}.txt").write_text(text, encoding="utf-8")
        for number, (question, answer, fact) in enumerate(CASES):
            evidence = []
            if fact is not None:
                start = text.index(FACTS[fact])
                evidence = [{"start": start, "end": start + len(FACTS[fact]), "text": FACTS[fact]}]
            cases.append(
                {
                    "id": f"{doc_id}{number}", "doc_id": doc_id, "question": question, "answer": answer,
                    "evidence": evidence, "split": "dev",
                }
            )  # fmt: skip
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    return load_set(folder)


@pytest.fixture
def dataset(tmp_path):
    return write_set(tmp_path / "set")


def says(request):
    """What a good model replies: the fact that was asked for, quoted, or that it isn't there."""
    for number, (question, answer, fact) in enumerate(CASES):
        if question in request.prompt and fact is not None and FACTS[fact] in request.prompt:
            passages = request.prompt.split("<passages>")[1].split("\n<")[1:]
            source = next(n for n, passage in enumerate(passages, 1) if FACTS[fact] in passage)
            return json.dumps({"answer": answer, "quotes": [{"source": source, "text": FACTS[fact]}], "missing": ""})
        if question in request.prompt and number == 3:
            break
    return json.dumps({"answer": "", "quotes": [], "missing": "the menu"})


def asked(model, dataset, out, budgets=(2_000,), **options):
    store = options.pop("store", None)
    return answer_set(dataset, Reasoner(model, store=store), budgets, out=out, **options)


def keys(path):
    return [(one["id"], one["budget"]) for one in map(json.loads, path.read_text().splitlines())]


class TestLines:
    def test_answers_are_judged_like_any_predictions(self, dataset, tmp_path):
        """All is found and answered, silence where nothing is to be found; nothing is over its budget."""
        out = tmp_path / "answers.jsonl"
        done = asked(FunctionModel(says), dataset, out, (1_500, 6_000))
        assert (done.written, done.kept, done.left, done.notes) == (16, 0, 0, ())
        lines = read_predictions(out)
        (board,) = score(dataset, lines)
        assert (board.system, board.budgets, board.over_budget) == (SYSTEM, (1_500, 6_000), 0)
        assert board.figures(6_000).answerable == 1.0
        figures = answer_figures(dataset, lines)[SYSTEM][6_000]
        assert (figures.exact, figures.f1, figures.numeric) == (1.0, 1.0, 1.0)
        assert (figures.abstained_unanswerable, figures.abstained_answerable, figures.abstained_rightly) == (1, 0, 1)
        assert figures.auroc == 1.0
        assert [row.overruns for row in bill_figures(dataset, lines)[SYSTEM].values()] == [0, 0]

    def test_a_line_holds_the_bill_and_reads_back_equal(self, dataset, tmp_path):
        """By stage, adding up, within the budget; and the sum of all is what the run says that it paid."""
        out = tmp_path / "answers.jsonl"
        model = FunctionModel(says, price=lambda read, written: read * 1e-6 + written * 4e-6)
        done = asked(model, dataset, out)
        lines = read_predictions(out)
        for one in lines:
            assert sum((usage for _, usage in one.bill.by_stage), NOTHING) == one.bill.usage
            assert 0 < one.bill.usage.total_tokens <= one.budget_tokens
            assert (one.bill.model, one.bill.summary_model, one.bill.recalled) == ("function", "", NOTHING)
            assert one.bill.seconds > 0
        assert sum((one.bill.usage for one in lines), NOTHING) == done.usage
        assert done.usage.cost_usd > 0
        assert len(model.requests) == done.usage.calls

    def test_what_was_read_is_what_was_sent(self, dataset, tmp_path):
        """Every span stood in a prompt, word for word, and no leaf is named twice."""
        out = tmp_path / "answers.jsonl"
        model = FunctionModel(says)
        asked(model, dataset, out)
        prompts = [" ".join(request.prompt.split()) for request in model.requests]
        for one in read_predictions(out):
            text = (dataset.folder / f"docs/{one.id[0]}.txt").read_text(encoding="utf-8")
            assert one.spans
            for span in one.spans:
                assert any(" ".join(text[span.start : span.end].split()) in prompt for prompt in prompts)
            places = [at for span in one.spans for at in range(span.start, span.end)]
            assert len(places) == len(set(places))

    def test_choices_are_put_with_the_question(self):
        """Who isn't told what there is to choose from can't choose. What is searched for stays the same."""
        plain = Case(id="a", doc_id="d", question="Did it rise?")
        assert question_of(plain) == "Did it rise?"
        choice = Case(id="a", doc_id="d", question="Did it rise?", choices=("rose", "fell"))
        assert question_of(choice) == "Did it rise? If it can be told, answer with one of: rose, fell."
        whole = Case(id="a", doc_id="d", question="Did aspirin change mortality?", choices=("no change", "increased"))
        assert parse(question_of(whole)).terms == parse(whole.question).terms

    def test_two_models_are_both_named(self):
        helper = FunctionModel(says, name="small")
        assert system_name(Reasoner(FunctionModel(says, name="big"), summary_model=helper)) == "hierarchy+big+small"

    def test_pages_of_a_pdf_are_named(self, tmp_path):
        """Spans of a PDF are text on pages, counted from 0; the text stands there."""
        folder = tmp_path / "pdfs-set"
        (folder / "pdfs").mkdir(parents=True)
        page = Canvas(str(folder / "pdfs/r.pdf"))
        for fact in FACTS:
            page.drawString(72, 700, fact)
            page.showPage()
        page.save()
        case = {"id": "r0", "doc_id": "r", "question": CASES[1][0], "answer": CASES[1][1]}
        case["evidence"] = [{"page": 1, "text": FACTS[1]}]
        (folder / "cases.jsonl").write_text(json.dumps(case) + "\n")
        dataset, out = load_set(folder), tmp_path / "answers.jsonl"
        asked(FunctionModel(says), dataset, out)
        (line,) = read_predictions(out)
        assert line.answer == "3 May 2027"
        assert {span.page for span in line.spans if isinstance(span, PageSpan) and FACTS[1] in span.text} == {1}
        assert score(dataset, [line])[0].figures(2_000).answerable == 1.0


class TestGoingOn:
    def test_what_is_there_is_not_asked_again(self, dataset, tmp_path):
        """A finished run asks nothing; a torn last line is asked again; another budget adds its own."""
        out, model = tmp_path / "answers.jsonl", FunctionModel(says)
        asked(model, dataset, out)
        calls, whole = len(model.requests), out.read_bytes()
        done = asked(model, dataset, out)
        assert (done.written, done.kept, len(model.requests), out.read_bytes()) == (0, 8, calls, whole)
        out.write_bytes(whole[:-20])
        torn = asked(model, dataset, out)
        assert (torn.written, torn.kept, len(torn.notes)) == (1, 7, 1)
        assert asked(model, dataset, out, (2_000, 3_000)).written == 8

    def test_questions_at_once_give_the_same_answers(self, dataset, tmp_path):
        """In another order, and really at once: two calls wait for each other."""
        one, many = tmp_path / "one.jsonl", tmp_path / "many.jsonl"
        asked(FunctionModel(says), dataset, one)
        together = threading.Barrier(2, timeout=20)

        def waits(request):
            together.wait()
            return says(request)

        asked(FunctionModel(waits), dataset, many, jobs=2)

        def facts(path):
            return sorted(
                (p.id, p.answer, p.abstain, p.confidence, p.spans, p.bill.usage) for p in read_predictions(path)
            )

        assert facts(one) == facts(many)

    def test_an_interrupt_leaves_what_was_answered(self, dataset, tmp_path):
        """And nothing that it cut short; the next run asks for the rest."""
        out, count = tmp_path / "answers.jsonl", iter(range(100))

        def interrupted(request):
            if next(count) == 3:
                raise KeyboardInterrupt
            return says(request)

        with pytest.raises(KeyboardInterrupt):
            asked(FunctionModel(interrupted), dataset, out)
        before = keys(out)
        assert 0 < len(before) <= 3
        assert asked(FunctionModel(says), dataset, out).kept == len(before)
        assert sorted(keys(out)) == sorted({(case.id, 2_000) for case in dataset.cases})

    def test_replies_of_earlier_runs_cost_nothing_and_count_all_the_same(self, dataset, tmp_path):
        """A store saves money and changes no figure; time says nothing then."""
        price = {"price": lambda read, written: (read + written) * 1e-6}
        with Store.open(tmp_path / "store.db") as store:
            first = asked(FunctionModel(says, **price), dataset, tmp_path / "a.jsonl", store=store)
            second = asked(FunctionModel(says, **price), dataset, tmp_path / "b.jsonl", store=store)
        assert (second.usage.total_tokens, second.usage.cost_usd) == (0, 0.0)
        assert first.usage.total_tokens > 0
        files = [read_predictions(tmp_path / name) for name in ("a.jsonl", "b.jsonl")]
        a, b = (bill_figures(dataset, lines)[SYSTEM][2_000] for lines in files)
        assert (a.tokens, a.calls, a.cost_usd) == (b.tokens, b.calls, b.cost_usd)
        assert a.seconds is not None
        assert b.seconds is None
        first_stages, second_stages = ([dict(one.bill.by_stage) for one in lines] for lines in files)
        assert first_stages == second_stages


class TestErrors:
    def test_an_error_is_noted_and_counts_as_wrong(self, dataset, tmp_path):
        """Here a budget that is too small for any answer; the others are answered, and those can be asked again."""
        out = tmp_path / "answers.jsonl"
        done = asked(FunctionModel(says), dataset, out, (5, 2_000))
        assert (done.written, done.left) == (16, 0)
        assert all("no answer: A budget of 5 tokens is too small" in note for note in done.notes[:3])
        assert done.notes[3].endswith("times for other reasons, which stand in the file.")
        assert sum(int(note.split()[0]) for note in done.notes) == 8
        figures = answer_figures(dataset, read_predictions(out))[SYSTEM]
        assert (figures[5].exact, figures[2_000].exact) == (0.0, 1.0)
        bills = bill_figures(dataset, read_predictions(out))[SYSTEM]
        assert (bills[5].failed, bills[5].questions, bills[2_000].failed) == (8, 0, 0)
        assert asked(FunctionModel(says), dataset, out, (5, 2_000)).written == 0
        assert asked(FunctionModel(says), dataset, out, (5, 2_000), retry_failed=True).written == 8

    @pytest.mark.parametrize("error", [Refused("No.", "Check the key."), Unavailable("Gone.")])
    def test_a_provider_that_turns_away_the_first_question_ends_the_run(self, dataset, tmp_path, error):
        """At once, with nothing written and no other question asked."""
        model, out = FunctionModel(lambda _: Outcome(error=error, unbilled=True)), tmp_path / "answers.jsonl"
        with pytest.raises(type(error)):
            asked(model, dataset, out)
        assert all(CASES[0][0] in request.prompt for request in model.requests)
        assert out.read_text() == ""

    def test_one_that_is_turned_away_among_others_is_its_own_fault(self, dataset, tmp_path):
        """As by a content policy: noted where the next one is answered, or where none is left."""
        for culprit in (CASES[1][0], CASES[3][0]):
            out = tmp_path / f"{len(culprit)}.jsonl"

            def picky(request, culprit=culprit):
                return (
                    Outcome(error=Refused("Not that."), unbilled=True) if culprit in request.prompt else says(request)
                )

            done = asked(FunctionModel(picky), dataset, out)
            assert (done.written, done.notes) == (8, ("2 times no answer: Not that.",))
            assert [one.error for one in read_predictions(out) if one.error] == ["Not that."] * 2

    def test_several_turned_away_in_a_row_end_the_run(self, dataset, tmp_path):
        """They are no answers: the next run asks them again."""
        out = tmp_path / "answers.jsonl"

        def soon_gone(request):
            return Outcome(error=Refused("No."), unbilled=True) if out.read_text() else says(request)

        model = FunctionModel(soon_gone)
        with pytest.raises(Refused):
            asked(model, dataset, out)
        assert keys(out) == [("x0", 2_000)]
        assert {question for question, *_ in CASES if any(question in one.prompt for one in model.requests)} == {
            question for question, *_ in CASES
        }
        assert asked(FunctionModel(says), dataset, out).written == 7

    def test_a_document_that_cannot_be_read_costs_its_own_questions_alone(self, dataset, tmp_path):
        (dataset.folder / "docs/x.txt").write_bytes(b"\xff")
        done = asked(FunctionModel(says), dataset, tmp_path / "answers.jsonl")
        assert (done.written, len(done.notes)) == (8, 1)
        assert [one.id for one in read_predictions(tmp_path / "answers.jsonl") if one.error] == ["x0", "x1", "x2", "x3"]

    def test_a_damaged_reply_is_an_answer_gone_wrong_and_billed(self, dataset, tmp_path):
        """Partial, with its bill: it was paid for."""
        model = FunctionModel(lambda _: OutputInvalid("Not a reply."))
        done = asked(model, dataset, tmp_path / "answers.jsonl")
        row = bill_figures(dataset, read_predictions(tmp_path / "answers.jsonl"))[SYSTEM][2_000]
        assert (row.questions, row.partial, row.failed, row.overruns) == (8, 8, 0, 0)
        assert done.usage.total_tokens > 0

    def test_a_store_that_fails_and_a_mistake_in_the_code_end_the_run(self, dataset, tmp_path, monkeypatch):
        """Neither is an answer."""
        for error in (StoreError("The disk is full."), ZeroDivisionError()):
            monkeypatch.setattr(Reasoner, "ask", lambda *_, error=error, **__: (_ for _ in ()).throw(error))
            with pytest.raises(type(error)):
                asked(FunctionModel(says), dataset, tmp_path / "answers.jsonl")
        assert keys(tmp_path / "answers.jsonl") == []

    def test_budgets_that_cannot_be_are_refused(self, dataset, tmp_path):
        with pytest.raises(InputError, match="can't be kept"):
            asked(FunctionModel(says), dataset, tmp_path / "answers.jsonl", ())
        assert not (tmp_path / "answers.jsonl").exists()


class TestCaps:
    @pytest.mark.parametrize("jobs", [1, 3])
    def test_tokens_of_the_whole_run_are_capped(self, dataset, tmp_path, jobs):
        """No question is begun that might not fit, those that are are answered in full, and raising it goes on."""
        out = tmp_path / "answers.jsonl"
        whole = asked(FunctionModel(says), dataset, tmp_path / "whole.jsonl")
        cap = 2_000 + whole.usage.total_tokens // 2
        done = asked(FunctionModel(says), dataset, out, limits=Limits(run_tokens=cap), jobs=jobs)
        assert done.left > 0
        assert done.usage.total_tokens <= cap
        assert not any(one.partial or one.error for one in read_predictions(out))
        again = asked(FunctionModel(says), dataset, out, limits=Limits(run_tokens=cap), jobs=jobs)
        assert (again.written, again.left) == (0, done.left)  # what the file cost counts
        rest = asked(FunctionModel(says), dataset, out, limits=Limits(run_tokens=10 * cap), jobs=jobs)
        assert (rest.left, rest.written) == (0, done.left)

    def test_dollars_of_the_whole_run_are_capped(self, dataset, tmp_path):
        """The worst case is all tokens at the dearer price."""
        model = FunctionModel(says, price=lambda read, written: read * 1e-6 + written * 5e-6)
        done = asked(model, dataset, tmp_path / "answers.jsonl", limits=Limits(run_cost_usd=0.0125))
        assert 0 < done.written < 8
        assert done.usage.cost_usd <= 0.0125
        small = asked(model, dataset, tmp_path / "none.jsonl", limits=Limits(run_cost_usd=0.0099))
        assert (small.written, small.left, small.usage) == (0, 8, NOTHING)

    def test_a_cap_in_dollars_needs_a_price(self, dataset, tmp_path):
        """Said before anything is asked."""
        model = FunctionModel(says, price=lambda *_: None)
        with pytest.raises(BudgetError, match="price"):
            asked(model, dataset, tmp_path / "answers.jsonl", limits=Limits(run_cost_usd=1))
        assert not model.requests

    def test_a_question_has_caps_of_its_own(self):
        """Beside its tokens."""
        budget = Limits(question_seconds=9, stop_when_confident=0.8).budget(500)
        assert (budget.total_tokens, budget.max_seconds, budget.stop_when_confident) == (500, 9, 0.8)

    def test_a_provider_that_bills_beyond_its_caps_shows_as_overruns(self, dataset, tmp_path):
        """It can't be prevented, and isn't hidden."""
        bill = Usage(input_tokens=9_000, output_tokens=9, calls=1, cost_usd=0.0)
        model = FunctionModel(says, usage=lambda _: bill)
        asked(model, dataset, tmp_path / "answers.jsonl")
        assert bill_figures(dataset, read_predictions(tmp_path / "answers.jsonl"))[SYSTEM][2_000].overruns == 8


def run(*args, **options):
    return CliRunner().invoke(main, [str(arg) for arg in args], **options)


class TestCommand:
    def test_the_built_in_model_answers_scores_and_reports(self, dataset, tmp_path):
        """Without a key or a network; a sample is scored as the sample that was asked."""
        out, report = tmp_path / "answers.jsonl", tmp_path / "report.md"
        done = run("eval", "answer", dataset.folder, "--budgets", "1k,2k", "--limit", "5", "--jobs", "2", "--out", out)
        assert (done.exit_code, done.stdout) == (0, "")
        assert "10 answers written" in done.stderr
        scored = run("eval", "score", dataset.folder, out, "--limit", "5", "--markdown")
        tables = scored.stdout.split("\n\n")
        assert [len(table.splitlines()) for table in tables] == [4, 4, 4]
        assert "| hierarchy+extractive | 1,000 | 5 |" in tables[2]
        assert "choice %" in tables[1]
        done = run("eval", "report", dataset.folder, "--predictions", out, "--limit", "5", "--out", report)
        assert done.exit_code == 0
        text = report.read_text()
        assert "### What an answer takes" in text
        assert "hierarchy eval answer set --budgets 1000,2000 --limit 5 --model extractive" in text
        assert run("eval", "compare", out, out).exit_code == 0

    def test_a_cap_that_is_reached_is_told(self, dataset, tmp_path):
        """By the exit code too."""
        done = run("eval", "answer", dataset.folder, "--budgets", "1k", "--max-tokens", "2000",
                   "--out", tmp_path / "answers.jsonl")  # fmt: skip
        assert done.exit_code == 4
        assert "raise it and run again" in done.stderr

    def test_over_real_http_the_file_holds_what_the_server_billed(self, dataset, tmp_path, monkeypatch):
        """To the token; a refused key ends the run with the first question, and says the remedy."""
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        out = tmp_path / "answers.jsonl"
        with Loopback(BEHAVIOURS["honest"]) as server:
            options = ("--model", "some-model", "--api-base", server.url, "--no-store", "--budgets", "2k", "--out", out)
            assert run("eval", "answer", dataset.folder, "--jobs", "2", *options).exit_code == 0
            lines = read_predictions(out)
            assert len(lines) == 8
            assert sum(one.bill.usage.total_tokens for one in lines) == server.billed_tokens
            assert all(one.bill.usage.total_tokens <= 2_000 for one in lines)
            server.clear()
            server.script = fails(401, "Incorrect API key provided.")
            refused = run("eval", "answer", dataset.folder, *options[:-1], tmp_path / "none.jsonl")
            assert refused.exit_code == 5
            assert "key" in refused.stderr
            assert all(CASES[0][0] in received.prompt for received in server.received)
        assert keys(tmp_path / "none.jsonl") == []
