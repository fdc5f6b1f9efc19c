"""Recorded replies: read as they stand, asked in the form that suits the document, and charged in full."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from documents import chart, long_text
from test_runner import write_set

import hierarchy
from hierarchy import router
from hierarchy.cli import main
from hierarchy.document import Document
from hierarchy.errors import InputError
from hierarchy.evaluation.oracle import case_reader
from hierarchy.evaluation.ours import HierarchySystem, RoutedSystem
from hierarchy.evaluation.predictions import TextSpan, read_predictions
from hierarchy.evaluation.replies import Asked, ask_unrouted, ask_with_reply, is_lean, mismatched, read_replies
from hierarchy.evaluation.runner import run
from hierarchy.evaluation.sets import Case
from hierarchy.evaluation.systems import systems_named, with_replies
from hierarchy.planner import outline
from hierarchy.relevance import Routing, tree_index
from hierarchy.tokens import count_tokens

REPLY = Routing(terms=("anticoagulant", "bleeding risk"), needs=("Discharge letter",), kind="lookup")


def test_replies_are_read_by_case(tmp_path):
    """Of two to one case the last counts; what a reply lacks is empty."""
    path = tmp_path / "replies.jsonl"
    lines = [{"id": "a", "terms": ["x"]}, {"id": "a", "terms": ["y", "z"], "needs": ["n"], "kind": "k"}, {"id": "b"}]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", "utf-8")
    assert read_replies(path) == {"a": Routing(terms=("y", "z"), needs=("n",), kind="k"), "b": Routing()}


@pytest.mark.parametrize("line", ["{", "[]", "{}", '{"id": "a", "terms": "x"}', '{"id": "a", "needs": [1]}'])
def test_a_line_that_is_no_reply_is_named(tmp_path, line):
    """With its number; a file that isn't there is an error, too."""
    path = tmp_path / "replies.jsonl"
    path.write_text('{"id": "b"}\n' + line, "utf-8")
    with pytest.raises(InputError, match="line 2: not a reply"):
        read_replies(path)
    with pytest.raises(InputError, match="can't be read"):
        read_replies(tmp_path / "none.jsonl")


class TestAsking:
    def test_the_lean_form_is_the_one_unless_another_is_asked_for(self):
        """It costs less and finds as much; the full one knows needs and kind, too."""
        letter, report = outline(chart()), hierarchy.outline(hierarchy.sample("annual_report.pdf"))
        assert is_lean(tree_index(letter))
        assert not is_lean(tree_index(report))
        assert ask_with_reply(letter, tree_index(letter), "Why was warfarin stopped?", REPLY).form == "lean"
        assert ask_with_reply(report, tree_index(report), "Why was warfarin stopped?", REPLY).form == "lean"
        asked = ask_with_reply(report, tree_index(report), "Why was warfarin stopped?", REPLY, lean=False)
        assert (asked.form, asked.question.needs, asked.question.kind) == ("full", (("discharg", "letter"),), "lookup")

    def test_the_lean_form_knows_terms_alone(self):
        tree = outline(chart())
        asked = ask_with_reply(tree, tree_index(tree), "Why was warfarin stopped?", REPLY, lean=True)
        assert dict(asked.question.routed) == {"anticoagul": 0.75, "bleed": 0.75, "risk": 0.75}
        assert (asked.question.needs, asked.question.kind) == ((), "")

    @pytest.mark.parametrize(
        ("lean", "text"),
        [
            (True, "anticoagulant\nbleeding risk"),
            (
                False,
                (
                    '{"terms":["anticoagulant","bleeding risk"],"needs":["Discharge letter"],'
                    '"kind":"lookup","questions":[]}'
                ),
            ),
        ],
    )
    def test_the_call_is_charged_as_the_library_makes_it(self, lean, text):
        """The prompt that the router renders, and the reply in the form that it asks for; no more and no less."""
        tree, question = outline(chart()), "Why was warfarin stopped?"
        asked = ask_with_reply(tree, tree_index(tree), question, REPLY, lean=lean)
        prompt = router.request(question, router.described(tree, 0), lean=lean).prompt
        assert asked.tokens == count_tokens(prompt) + count_tokens(text)

    def test_an_unrouted_question_costs_nothing(self):
        asked = ask_unrouted("Why was warfarin stopped?")
        assert asked == Asked(question=asked.question, form="", tokens=0)
        assert not asked.question.is_routed


class TestReading:
    def test_the_charge_comes_off_the_budget(self):
        """What is read is within the budget less the call; if the call takes all of it, nothing is read."""
        document = chart()
        tree = outline(document)
        case = Case(id="c", doc_id="d", question="Why was warfarin stopped?")
        charge = ask_with_reply(tree, tree_index(tree), case.question, REPLY).tokens
        read = case_reader(RoutedSystem(replies={"c": REPLY}), document)
        for left in (20, 60):
            spans = read(case, charge + left)
            assert spans
            assert sum(count_tokens(document.text[span.start : span.end]) for span in spans) <= left + len(spans)
        assert read(case, charge) == read(case, 1) == ()

    def test_a_case_without_a_reply_is_read_as_ever(self):
        """The same spans as without any replies."""
        document, case = chart(), Case(id="other", doc_id="d", question="Why was warfarin stopped?")
        routed = case_reader(RoutedSystem(replies={"c": REPLY}), document)
        plain = case_reader(HierarchySystem(), document)
        assert routed(case, 60) == plain(case, 60) != ()

    def test_the_reply_decides_what_is_read(self):
        """ "Blood thinner" stands nowhere in the letter; a reply that names the drug finds it."""
        document = chart()
        case = Case(id="c", doc_id="d", question="Is a blood thinner given?")
        reply = Routing(terms=("warfarin", "warfarin was stopped", "warfarin dose"))
        start = document.text.index("Warfarin was stopped")
        tree = outline(document)
        budget = ask_with_reply(tree, tree_index(tree), case.question, reply).tokens + 30
        spans = case_reader(RoutedSystem(replies={"c": reply}), document)(case, budget)
        assert any(isinstance(span, TextSpan) and span.start <= start < span.end for span in spans)


def test_only_systems_that_route_are_given_replies():
    """Under a name of their own, so that one file can hold both; without any there is nothing to give them to."""
    made = with_replies(systems_named(["hierarchy", "top-k", "head"]), {"c": REPLY})
    assert list(made) == ["hierarchy-routed", "top-k-routed", "head"]
    assert made["top-k-routed"] == RoutedSystem(replies={"c": REPLY}, system=HierarchySystem(policy="top_k"))
    (full,) = with_replies(systems_named(["hierarchy"]), {"c": REPLY}, lean=False).values()
    assert full == RoutedSystem(replies={"c": REPLY}, lean=False)
    with pytest.raises(InputError, match="None of head, bm25 routes"):
        with_replies(systems_named(["head", "bm25"]), {})


def test_a_routed_system_reads_in_its_own_way():
    """By the formula, or as far as it is sure, what is routed is read otherwise than by default."""
    document = Document(name="agreement.txt", text=long_text(200))
    case = Case(id="c", doc_id="d", question="Which amount of clause 57 is owed?")

    def spans(**chosen):
        return case_reader(RoutedSystem(replies={"c": REPLY}, system=HierarchySystem(**chosen)), document)(case, 900)

    usual = spans()
    assert usual != spans(formula=True)
    assert usual != spans(policy="uniform")
    sure, all_of_it = (sum(span.end - span.start for span in read) for read in (spans(confidence=0.01), usual))
    assert sure < all_of_it


def test_a_system_that_judges_by_meaning_does_so_routed_or_not(meaning_by_concept):
    """The question's meaning is asked for, whatever a reply adds in words."""
    case = Case(id="c", doc_id="d", question="Who ended the medicine?")
    for system in (
        HierarchySystem(semantic=True),
        RoutedSystem(replies={"c": REPLY}, system=HierarchySystem(semantic=True)),
    ):
        meaning_by_concept.clear()
        assert case_reader(system, chart())(case, 600)
        assert meaning_by_concept[-1] == case.question


def test_processes_read_the_same(tmp_path):
    """Replies go to other processes as they are."""
    dataset = write_set(tmp_path / "set")
    systems = {"ours": RoutedSystem(replies={"c0": REPLY})}
    run(dataset, systems, [200], out=tmp_path / "one.jsonl")
    run(dataset, systems, [200], out=tmp_path / "two.jsonl", jobs=2)
    assert (tmp_path / "one.jsonl").read_bytes() == (tmp_path / "two.jsonl").read_bytes()


def test_the_command(tmp_path):
    """It says how many cases have a reply, and puts the file's name on record."""
    write_set(tmp_path / "set")
    (tmp_path / "replies.jsonl").write_text('{"id": "c0", "terms": ["two", "six"]}\n', "utf-8")
    out = tmp_path / "p.jsonl"
    given = ("--budgets", "100,300", "--system", "hierarchy", "--replies", tmp_path / "replies.jsonl")
    done = CliRunner().invoke(
        main, ["eval", "run", str(tmp_path / "set"), *map(str, given), "--form", "full", "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    assert "1 of 4 cases have a reply to route by; the other 3 are asked as they are" in " ".join(done.stderr.split())
    assert {one.system for one in read_predictions(out)} == {"hierarchy-routed"}
    assert "--replies replies.jsonl --form full" in " ".join(
        json.loads(out.with_suffix(".run.json").read_text())["command"]
    )


def test_replies_to_other_questions():
    """For a third of the cases, by place, one that shares no term with the case's own; none where all say the same."""
    replies = {f"c{n}": Routing(terms=(f"t{n % 4}",)) for n in range(9)}
    wrong = mismatched(replies)
    assert set(wrong) == {"c0", "c3", "c6"}
    assert all(set(wrong[one].terms).isdisjoint(replies[one].terms) for one in wrong)
    assert mismatched({"a": REPLY, "b": REPLY}) == mismatched({}) == {}
