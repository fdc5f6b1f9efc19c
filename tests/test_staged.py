"""Staged reading and branches, end to end: little is read first, what is missing is looked for, no call is wasted."""

import asyncio
import json
import threading
from dataclasses import replace

import pytest
from documents import chart, documents, long_text
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_engine import balanced, partitions

from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetTooSmall, DocumentEmpty, Unavailable
from hierarchy.events import Allocated, Estimated, Missed, Noted, Planned, Read, Searched
from hierarchy.models import ExtractiveModel, FunctionModel
from hierarchy.planner import outline
from hierarchy.segments import LeafKind

HELM = "The helmsman is Aarav Iyer, and nobody else."
WARRANTY = "Warranty provisions stood at 17 million euros."
ROYALTY = "The royalty amounts to nine percent of turnover."
QUESTION = "Who steers the ship?"


def report():
    """A long text with three facts far apart, none in the words of the question."""
    paragraphs = long_text(600).split("\n\n")
    for at, fact in ((120, HELM), (300, ROYALTY), (480, WARRANTY)):
        paragraphs.insert(at, fact)
    return outline(Document(name="report.txt", text="\n\n".join(paragraphs)))


REPORT = report()
ROUTED = json.dumps({"terms": ["helmsman", "helm", "wheel"], "needs": [], "kind": "lookup", "questions": []})


def said(answer="", quotes=(), missing=""):
    return json.dumps({"answer": answer, "quotes": [{"source": 1, "text": t} for t in quotes], "missing": missing})


class Model(FunctionModel):
    """Answers each stage with a text, a function of the request, or replies in order."""

    def __init__(self, replies, **options):
        def reply(request):
            found = replies.get(request.stage, "")
            if isinstance(found, list):
                found = found.pop(0) if len(found) > 1 else found[0]
            return found(request) if callable(found) else found

        super().__init__(reply, **options)

    @property
    def stages_asked(self):
        return [request.stage for request in self.requests]


def asked(replies, question=QUESTION, budget=16_000, *, tree=REPORT, **options):
    """The answer, checked, and the model that was asked."""
    model = replies if isinstance(replies, Model) else Model({"route": ROUTED, **replies})
    answer = Reasoner(model, **options).ask(tree, question, budget)
    checked(answer, budget)
    return answer, model


def checked(answer, budget):
    """What holds of every run: the books balance, the receipt adds up, and what is told is what was read."""
    total = budget.total_tokens if isinstance(budget, Budget) else budget
    usage = balanced(answer, total)
    assert answer.usage == usage
    assert sum((usage for _, usage in answer.by_stage), Usage(cost_usd=0.0)) == usage
    partitions(answer)
    passages = answer.evidence.passages
    assert [(read.source, read.start, read.end, read.tokens) for read in answer.trace.of(Read)] == [
        (passage.source, passage.start, passage.end, passage.tokens) for passage in passages
    ]
    leaves = [leaf for passage in passages for leaf in range(*passage.leaves)]
    assert leaves == sorted(set(leaves))
    assert all(citation.verified for citation in answer.citations)
    assert answer.text


def texts(request):
    return [passage["text"] for passage in request.variables["passages"]]


def sentences(request):
    return {
        passage["text"][start:end]
        for passage in request.variables["passages"]
        for start, end, _ in passage["sentences"]
    }


# -- routing and the first round ---------------------------------------------------------------------------------------


class TestFirstRound:
    def test_terms_change_what_is_read(self):
        """The document's words, which only routing knows, bring the passage that the question's words don't."""
        found, model = asked({"compose": said("Aarav Iyer", [HELM])})
        assert HELM in model.requests[1].prompt
        assert [citation.quote for citation in found.citations] == [HELM]
        assert found.trace.of(Searched)[0].terms == ("helmsman", "helm", "wheel")
        assert len(found.trace.of(Estimated)) == 2
        _, model = asked({"route": "", "compose": said("?")})
        assert HELM not in model.requests[1].prompt

    @pytest.mark.parametrize("budget", [4_000, 16_000, 100_000])
    def test_an_answer_ends_it(self, budget):
        """A budget is a cap: whatever it is, two calls and less than two thousand tokens are spent."""
        tree = outline(Document(name="a.txt", text=REPORT.files[0].text * (1 if budget < 50_000 else 6)))
        answer, model = asked({"compose": said("Aarav Iyer", [HELM])}, budget=budget, tree=tree)
        assert model.stages_asked == ["route", "compose"]
        assert answer.usage.total_tokens < 2_000
        assert not answer.trace.of(Missed)
        assert not answer.partial

    @pytest.mark.parametrize("reply", ["", "{}{", Unavailable("No connection.")])
    def test_routing_that_fails_is_noted(self, reply):
        """The question is answered from what its own words find."""
        answer, model = asked({"route": reply, "compose": said("?", [])}, question="What is the royalty?")
        assert ROYALTY in model.requests[-1].prompt
        assert any("own words" in note.what for note in answer.trace.of(Noted))

    def test_parts_of_the_question_are_looked_for(self):
        """What routing takes apart is read part by part."""
        parts = json.dumps({"terms": ["x"], "questions": ["What is the royalty?", "What are warranty provisions?"]})
        _, model = asked({"route": parts, "compose": said("?")})
        assert {ROYALTY, WARRANTY} <= sentences(model.requests[1])

    def test_the_built_in_model_never_routes(self):
        """It answers in one call with all that fits, and has no other stage."""
        for way in ("auto", "single", "staged"):
            answer = Reasoner(way=way).ask(REPORT, "What is the royalty?", 4_000)
            checked(answer, 4_000)
            assert [stage for stage, _ in answer.by_stage] == ["compose"]
            assert answer.trace.of(Planned)[0].routing == "no"
            assert not answer.trace.of(Searched)

    def test_a_list_turns_to_branches(self):
        """Where routing says that all must be read, branches are; the plan is told again, with the reason."""
        listing = json.dumps({"terms": ["helmsman"], "kind": "list"})
        refined = json.dumps({"quotes": [{"source": 1, "text": HELM}]})
        answer, model = asked({"route": listing, "refine": refined, "compose": said("Aarav Iyer", [HELM])})
        assert [plan.way for plan in answer.trace.of(Planned)] == ["staged", "branches"]
        assert model.stages_asked[0] == "route"
        assert set(model.stages_asked[1:-1]) == {"refine"}
        assert model.stages_asked[-1] == "compose"


# -- further rounds ----------------------------------------------------------------------------------------------------


LACKING = said("", [HELM], "warranty provisions, in euros")
FOUND = said("Aarav Iyer; 17 million", [HELM, WARRANTY])


class TestFurtherRounds:
    def test_what_is_missing_is_looked_for_once(self):
        """One follow-up: what was quoted first, then what was never shown; the answer holds both rounds' evidence."""
        answer, model = asked({"compose": LACKING, "follow_up": FOUND})
        assert model.stages_asked == ["route", "compose", "follow_up"]
        _, first, second = model.requests
        assert WARRANTY not in first.prompt
        assert "You missed: warranty provisions, in euros" in second.prompt
        assert texts(second)[0] == HELM
        assert "the first 1 you quoted before" in second.prompt
        assert sentences(first) & sentences(second) == {HELM}
        assert WARRANTY in sentences(second)
        assert {citation.quote for citation in answer.citations} == {HELM, WARRANTY}
        shown = sentences(first) | sentences(second)
        assert all(any(text in passage.text for passage in answer.evidence.passages) for text in shown)
        assert [(event.what, event.round) for event in answer.trace.of(Missed)] == [
            ("warranty provisions, in euros", 1),
        ]
        assert len(answer.trace.of(Allocated)) == 2
        assert answer.usage.total_tokens < 5_000

    def test_the_missing_text_alone_is_searched_for(self):
        """Neither the question nor its routing has a say in the second round."""
        routed = json.dumps({"terms": ["helmsman", "royalty percent turnover"]})
        lacking = said("", [ROYALTY], "warranty provisions, in euros")
        _, model = asked({"route": routed, "compose": lacking, "follow_up": FOUND}, question="Which royalty?")
        assert WARRANTY in sentences(model.requests[2])
        assert HELM in sentences(model.requests[1]) - sentences(model.requests[2])

    def test_a_second_round_that_fails_keeps_the_first(self):
        """Partial, with the reason; what was answered and quoted stays."""
        for failure in (Unavailable("No connection."), "", "no form"):
            first = said("Aarav Iyer", [HELM], "warranty provisions")
            answer, _ = asked({"compose": first, "follow_up": failure, "repair": "no form either"})
            assert answer.text == "Aarav Iyer"
            assert answer.partial
            assert [citation.quote for citation in answer.citations] == [HELM]
            assert any("stand in" in note for note in answer.notes)

    def test_a_second_round_that_fails_after_nothing(self):
        """Where the first round said nothing, the best sentences of the second stand in."""
        answer, _ = asked({"compose": LACKING, "follow_up": Unavailable("No connection.")})
        assert answer.partial
        assert answer.text
        assert answer.citations

    def test_a_second_round_that_finds_nothing_keeps_the_first(self):
        """Half an answer, paid for and proven, is more than none."""
        first = said("Aarav Iyer", [HELM], "warranty provisions")
        answer, _ = asked({"compose": first, "follow_up": said("", [], "warranty provisions")})
        assert "Aarav Iyer" in answer.text
        assert not answer.abstained

    def test_nothing_found_costs_no_second_call(self):
        """What stands nowhere in the document isn't looked for by a call."""
        answer, model = asked({"compose": said("", [HELM], "zyzzyva qwxk"), "follow_up": FOUND})
        assert model.stages_asked == ["route", "compose"]
        assert any("looks like" in note.what for note in answer.trace.of(Noted))

    def test_nothing_unread_costs_no_second_call(self):
        """Where all was shown, asking again would be for nothing."""
        tree = outline(chart())
        lacking = said("", ["| INR | 4.8 | 1.2 |"], "the dose")
        answer, model = asked({"compose": lacking, "follow_up": FOUND}, tree=tree, budget=6_000, way="staged")
        assert model.stages_asked.count("follow_up") == 0
        assert answer.abstained
        assert answer.missing == "the dose"
        assert any("All was read" in note.what for note in answer.trace.of(Noted))

    def test_a_missing_text_without_end_ends_it(self):
        """A model that writes a book about what it lacks is cut off, and gets no second round."""
        model = Model({"route": ROUTED, "compose": said("", [HELM], "word " * 20_000)}, obeys=False)
        answer, model = asked(model)
        assert model.stages_asked == ["route", "compose"]
        assert answer.partial
        assert len(answer.missing) < 10_000

    def test_three_rounds(self):
        """As many as allowed: each shows what was quoted last and what none showed before, and no fourth is begun."""
        replies = [said("", [WARRANTY], "royalty, percent of turnover"), said("", [WARRANTY], "matter 33")]
        answer, model = asked({"compose": LACKING, "follow_up": replies}, rounds=3)
        assert model.stages_asked == ["route", "compose", "follow_up", "follow_up"]
        _, first, second, third = model.requests
        assert ROYALTY in sentences(third)
        assert texts(third)[0] == WARRANTY
        assert (sentences(first) | sentences(second)) & sentences(third) == {WARRANTY}
        assert [event.round for event in answer.trace.of(Missed)] == [1, 2]
        assert "No more can be read" in third.prompt
        assert "No more can be read" not in second.prompt

    @pytest.mark.parametrize("number", [1, 2, 5])
    def test_no_more_rounds_than_asked_for(self, number):
        """A model that is never content is asked as often as allowed, within the budget."""
        wanting = [said("", [HELM], f"matter {n}") for n in range(30, 40)]
        _, model = asked({"compose": wanting[0], "follow_up": wanting[1:]}, rounds=number, budget=18_000, way="staged")
        assert len(model.requests) == 1 + number

    def test_an_answer_that_lacks_nothing_isn_t_followed_up(self):
        """`missing` decides, not how good the answer is."""
        _, model = asked({"compose": said("Aarav Iyer", [])}, rounds=5)
        assert model.stages_asked == ["route", "compose"]


def spends_all(text):
    """A reply that is billed as long as it was allowed to be."""

    def reply(request):
        model = FunctionModel(lambda _: "")
        usage = Usage(input_tokens=model.count(request.prompt), output_tokens=request.max_output_tokens, calls=1)
        return Outcome(text=text, usage=replace(usage, cost_usd=0.0))

    return reply


def balances(budget):
    """For each answering call: what the model was told is left, and what really was once it was answered."""
    lacking = spends_all(said("", [HELM], "clauses of the agreement that concern an item"))
    answer, model = asked({"compose": lacking, "follow_up": lacking}, budget=budget, rounds=3)
    left = budget - dict(answer.by_stage)["route"].total_tokens
    for request in model.requests[1:]:
        left -= model.count(request.prompt) + request.max_output_tokens
        yield request.variables["left"], left


class TestBalance:
    def test_what_is_told_is_left(self):
        """The balance in a prompt is there for another round, whatever this one costs."""
        for budget in range(3_000, 8_000, 400):
            for told, left in balances(budget):
                assert told <= left

    def test_the_last_round_is_told_so(self):
        """Who can't come back is told that nothing more can be read."""
        assert [bool(told) for told, _ in balances(9_000)] == [True, True, False]
        _, model = asked({"compose": said("?")}, rounds=1)
        assert model.requests[1].variables["left"] == 0


class TestCalls:
    @pytest.mark.parametrize(
        ("calls", "stages"),
        [(1, ["compose"]), (2, ["route", "compose"]), (3, ["route", "compose", "follow_up"]), (9, None)],
    )
    def test_calls_are_capped(self, calls, stages):
        """Routing gives way first, the second round next; an answer always comes."""
        answer, model = asked({"compose": LACKING, "follow_up": FOUND}, budget=Budget(16_000, max_calls=calls))
        assert model.stages_asked == (stages or ["route", "compose", "follow_up"])
        assert answer.usage.calls <= calls
        assert not answer.partial

    @pytest.mark.parametrize("calls", [1, 2, 3])
    def test_repairs_are_calls_too(self, calls):
        """A reply out of form is mended only if a call is left; else the best sentences stand in."""
        replies = {"compose": "The helmsman is Aarav Iyer.", "repair": said("Aarav Iyer", [HELM])}
        answer, model = asked(replies, budget=Budget(16_000, max_calls=calls))
        assert len(model.requests) <= calls
        assert answer.partial == (calls < 3)
        assert answer.usage.calls == calls


# -- all of a document -------------------------------------------------------------------------------------------------


class TestAllOfIt:
    def test_branches_are_read_at_the_same_time(self):
        """All calls of the batch are under way together: none returns before the last has begun."""
        gate = threading.Barrier(6, timeout=20)

        def refined(_):
            gate.wait()
            return json.dumps({"quotes": [{"source": 1, "text": HELM}]})

        question = "List all who steer."
        first, _ = asked({"refine": json.dumps({"quotes": []}), "compose": said("?")}, question, 12_000)
        number = dict(first.by_stage)["refine"].calls
        gate = threading.Barrier(number, timeout=20)
        answer, model = asked({"refine": refined, "compose": said("Aarav Iyer", [HELM])}, question, 12_000)
        assert [stage for stage in model.stages_asked if stage != "route"] == ["refine"] * number + ["compose"]
        assert number > 2
        assert not answer.partial

    def test_a_summary_is_written_from_summaries_of_everything(self):
        """Each capped at a share of its source; the composer sees them all and some text to quote."""
        answer, model = asked(
            {"summarise": "They agreed.", "compose": said("They agreed.", [])}, "Summarise the report.", 12_000
        )
        calls = [request for request in model.requests if request.stage == "summarise"]
        assert len(calls) > 2
        for call in calls:
            source = sum(model.count(text) for text in texts(call))
            assert call.max_output_tokens <= max(40, source * 0.25)
            assert call.max_output_tokens < source
        compose = model.requests[-1]
        assert compose.stage == "compose"
        assert compose.prompt.count("They agreed.") == len(calls)
        assert texts(compose)
        assert answer.receipt.read_tokens > answer.evidence.tokens

    def test_summaries_are_the_same_for_another_question(self):
        """They don't know the question: who asks for another overview at the same price finds them in the store."""
        prompts = []
        for question in ("Summarise the report.", "Give me an overview of it all."):
            _, model = asked({"summarise": "They agreed.", "compose": said("x")}, question, 12_000)
            prompts.append([(r.prompt, r.max_output_tokens) for r in model.requests if r.stage == "summarise"])
        shared = set(prompts[0]) & set(prompts[1])
        assert len(shared) >= len(prompts[0]) - 2

    @pytest.mark.parametrize("obeys", [True, False])
    def test_summaries_that_never_shrink_end_all_the_same(self, obeys):
        """A model that copies everything it is shown is asked once for each branch, and answered from."""
        model = Model({"summarise": lambda request: request.prompt, "compose": said("x")}, obeys=obeys)
        answer, _ = asked(model, "Summarise the report.", 12_000)
        calls = [request for request in model.requests if request.stage == "summarise"]
        assert len(calls) == len({call.prompt for call in calls}) <= 12
        assert len(model.requests) <= len(calls) + 1
        assert answer.text

    @pytest.mark.parametrize("failing", ["summarise", "refine"])
    def test_branches_that_fail_leave_an_answer(self, failing):
        """From raw text, with notes, by one composing call."""
        question = {"summarise": "Summarise the report.", "refine": "List all who steer."}[failing]
        said_there = "The clause of the agreement concerns an item."
        answer, model = asked(
            {failing: Unavailable("No connection."), "compose": said(said_there, [])}, question, 12_000
        )
        assert model.stages_asked.count("compose") == 1
        assert answer.text == said_there
        assert any("couldn't be" in note for note in answer.notes)

    @pytest.mark.parametrize("calls", [1, 2, 3])
    def test_calls_are_capped(self, calls):
        """The answer's call is kept."""
        answer, model = asked(
            {"refine": '{"quotes": []}', "compose": said("x")}, "List all matters.", Budget(12_000, max_calls=calls)
        )
        assert model.stages_asked[-1] == "compose"
        assert len(model.requests) <= calls
        assert not answer.partial


class TestTwoModels:
    @pytest.mark.parametrize("question", [QUESTION, "Summarise the report.", "List all who steer."])
    def test_each_gets_its_stages(self, question):
        """The cheaper one routes, summarises and refines; the other composes, follows up and repairs."""
        helper = Model({"route": ROUTED, "summarise": "They agreed.", "refine": '{"quotes": []}'}, name="cheap")
        model = Model({"compose": LACKING, "follow_up": "no form", "repair": FOUND}, name="dear")
        answer = Reasoner(model, summary_model=helper).ask(REPORT, question, 16_000)
        checked(answer, 16_000)
        assert set(helper.stages_asked) <= {"route", "summarise", "refine"}
        assert set(model.stages_asked) <= {"compose", "follow_up", "repair"}
        assert helper.requests
        assert model.requests

    def test_a_model_that_quotes_can_be_helped(self):
        """The built-in one composes what a language model routed, though it can't follow up."""
        helper = Model({"route": ROUTED}, name="cheap")
        answer = Reasoner(ExtractiveModel(), summary_model=helper).ask(REPORT, QUESTION, 6_000)
        checked(answer, 6_000)
        assert set(helper.stages_asked) == {"route"}


# -- any run -----------------------------------------------------------------------------------------------------------


REPLY = st.one_of(
    st.builds(
        said,
        st.sampled_from(["", "It is 5.", "Aarav Iyer"]),
        st.lists(st.sampled_from([HELM, WARRANTY, "revenue", "An invention."]), max_size=2),
        st.sampled_from(["", "warranty provisions", "matter 33", "capital expenditure", "zyzzyva"]),
    ),
    st.sampled_from(["", "no form at all", '{"answer": "cut o', ROUTED, '{"quotes": [{"source": 1, "text": "the"}]}']),
    st.just(Unavailable("No connection.")),
)


def is_staged_soundly(answer, model):
    """What holds of rounds: planned, never twice over the same passages but for those quoted, told as they were."""
    plan = answer.trace.of(Planned)[-1]
    rounds = [request for request in model.requests if request.stage in {"compose", "follow_up"}]
    distinct = {request.prompt for request in rounds}
    assert len(distinct) <= plan.rounds
    assert len(model.requests) == answer.usage.calls
    assert model.stages_asked.count("route") <= 1
    # What is missing may be told of and not asked about, where a repair took the last call.
    assert len(answer.trace.of(Missed)) >= sum("You missed: " in prompt for prompt in distinct)
    for request in rounds:
        assert len(texts(request)) >= 1
        if request.stage == "follow_up":
            assert len(texts(request)) > request.variables["kept"]


class TestAnyRun:
    @given(
        replies=st.fixed_dictionaries(
            {
                "route": REPLY,
                "compose": REPLY,
                "follow_up": st.lists(REPLY, min_size=2, max_size=3),
                "refine": REPLY,
                "summarise": REPLY,
                "repair": REPLY,
            }
        ),
        question=st.sampled_from([QUESTION, "What is revenue?", "Summarise it.", "List all doses."]),
        document=st.none() | documents(),
        total=st.integers(400, 9_000),
        rounds=st.integers(1, 4),
        calls=st.none() | st.integers(1, 5),
        way=st.sampled_from(["auto", "staged"]),
    )
    @settings(max_examples=25)
    def test_it_is_sound_and_the_same_again(self, *, replies, question, document, total, rounds, calls, way):
        """Any replies in any order within any caps: all that is promised holds, and threads and tasks agree."""
        budget, runs = Budget(total, max_calls=calls), []
        try:
            tree = REPORT if document is None else outline(document)
        except DocumentEmpty:
            assume(False)
        for awaited in (False, True):
            model = Model({stage: list(one) if isinstance(one, list) else one for stage, one in replies.items()})
            reasoner = Reasoner(model, rounds=rounds, way=way, max_attempts=1)
            try:
                if awaited:
                    answer = asyncio.run(reasoner.aask(tree, question, budget))
                else:
                    answer = reasoner.ask(tree, question, budget)
            except BudgetTooSmall:
                assert not model.requests
                return
            checked(answer, budget)
            if calls is not None:
                assert answer.usage.calls <= calls
            if answer.trace.of(Planned)[-1].way == "staged":
                is_staged_soundly(answer, model)
            runs.append(answer)
        assert runs[0] == runs[1]
        assert runs[0].trace.to_jsonl() == runs[1].trace.to_jsonl()

    def test_rounds_awaited_or_not(self):
        """A run of three rounds is the same in threads, in tasks and again, byte for byte."""
        traces = set()
        for awaited in (False, True, False):
            wanting = [said("", [HELM], "royalty, percent"), FOUND]
            model = Model({"route": ROUTED, "compose": LACKING, "follow_up": wanting})
            reasoner = Reasoner(model, rounds=3)
            asking = reasoner.aask(REPORT, QUESTION, 16_000) if awaited else None
            answer = asyncio.run(asking) if asking else reasoner.ask(REPORT, QUESTION, 16_000)
            traces.add(answer.trace.to_jsonl())
            assert answer.citations
        assert len(traces) == 1


def test_quoted_passages_survive_a_tight_second_round():
    """Where the second prompt must be short, what was quoted stays and the rest is cut."""
    lacking = said("", [HELM], "warranty provisions")
    found = []
    for budget in range(2_200, 3_600, 200):
        _, model = asked({"compose": lacking, "follow_up": FOUND}, budget=budget)
        for request in model.requests:
            if request.stage == "follow_up":
                found.append(budget)
                assert texts(request)[0] == HELM
                assert WARRANTY in sentences(request)
    assert found


def test_page_furniture_is_never_evidence():
    """Over rounds as well."""
    answer, _ = asked({"compose": LACKING, "follow_up": FOUND})
    leaves = [leaf for passage in answer.evidence.passages for leaf in range(*passage.leaves)]
    assert (REPORT.leaves.kind[leaves] != LeafKind.FURNITURE).all()
