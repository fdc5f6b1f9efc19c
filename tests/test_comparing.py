"""Two traces set against each other: what is the same, what isn't, and that nothing is counted twice or lost."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import hierarchy
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Request
from hierarchy.comparing import Comparison, compared
from hierarchy.comparing.words import words
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Finished,
    GrantLine,
    HandedBack,
    Mapped,
    Planned,
    Read,
    Recalled,
    Released,
    Reserved,
    Searched,
    Settled,
    Started,
)
from hierarchy.models import FunctionModel
from hierarchy.trace import Trace


def started(**changes) -> Started:
    fields = {
        "question": "What were sales?",
        "document": "box",
        "source_names": ("a.txt", "b.txt"),
        "document_key": "k",
        "document_tokens": 400,
        "budget": Budget(4_000),
        "model": "extractive",
        "strategy": {"policy": "expected_gain"},
        "made_by": "0.1.0",
    }
    return Started(**{**fields, **changes})


def read(start, end, *, source="a.txt", tokens=None, node="0.0", relevance=0.5, page=None) -> Read:
    count = end - start if tokens is None else tokens
    return Read(node=node, source=source, start=start, end=end, tokens=count, relevance=relevance, page=page)


# A folder of two files of 100 and 60 characters; the first has two sections of five and five leaves of ten characters.
def shape(**changes) -> Mapped:
    parents, kinds, files, starts, ends, titles = [-1, 0], [0, 1], [0, 0], [0, 0], [60, 100], {"0": "box", "1": "a.txt"}
    for section in range(2):
        parents.append(1)
        kinds.append(2)
        files.append(0)
        starts.append(50 * section)
        ends.append(50 * section + 50)
        number = len(parents) - 1
        titles[str(number)] = f"Part {section + 1}"
        for leaf in range(5):
            parents.append(number)
            kinds.append(3)
            files.append(0)
            starts.append(50 * section + 10 * leaf)
            ends.append(50 * section + 10 * leaf + 10)
    parents.append(0)
    kinds.append(1)
    files.append(1)
    starts.append(0)
    ends.append(60)
    pages = [1 + start // 50 for start in starts]
    columns = {"parents": parents, "kinds": kinds, "files": files, "starts": starts, "ends": ends, "pages": pages}
    columns["tokens"] = [end - start for start, end in zip(starts, ends, strict=True)]
    columns["kind_names"], columns["titles"] = ("folder", "document", "section", "sentence"), titles
    return Mapped(**{**columns, **changes})


PERMILLE = (0, 0, 0, 10, 20, 30, 40, 50, 0, 60, 70, 80, 90, 100, 5)


def quote(start, end, *, source="a.txt", text="words", page=2) -> dict:
    return {"quote": text, "source": source, "page": page, "start": start, "end": end, "verified": True}


def trace_of(*events, begin=None, end=True) -> Trace:
    ends = (Finished(usage=Usage(cost_usd=0.0)),) if end else ()
    return Trace((begin or started(), *events, *ends))


reads = st.lists(
    st.builds(
        lambda source, start, length, tokens, node: read(
            start, start + length, source=source, tokens=tokens, node=f"0.{node}"
        ),
        st.sampled_from(["a.txt", "b.txt", "elsewhere.txt"]),
        st.integers(0, 60),
        st.integers(0, 40),
        st.integers(0, 50),
        st.integers(0, 3),
    ),
    max_size=8,
)
apart = reads.map(
    lambda all_: [one for n, one in enumerate(all_) if not any(_meet(one, other) for other in all_[:n])]
)  # as real runs read: no character twice
SIDE = re.compile("first|second(?!s)")
NO_KEY = st.just("k")
answers = st.text(alphabet="ab \n", max_size=12)
grants = st.lists(
    st.builds(
        GrantLine,
        node=st.sampled_from(["0", "0.0", "0.0.1", "0.0.1.0", "0.10", "0.1", "x", "x.1"]),
        title=st.sampled_from(["A › B", "A › C", "D"]),
        tokens=st.integers(0, 90),
    ),
    max_size=6,
)
calls = st.lists(st.tuples(st.sampled_from(["", "k1", "k2"]), st.integers(0, 9), st.sampled_from(["", "down"])))
quoted = st.lists(st.builds(quote, st.integers(0, 50), st.integers(40, 90)), max_size=4)


def _meet(one, other) -> bool:
    return one.source == other.source and one.start < other.end and other.start < one.end


@st.composite
def traces(draw, reading=apart, key=NO_KEY) -> Trace:
    """Traces of one document, of either version, whole or cut off."""
    events: list = []
    if draw(st.booleans()):
        events += [shape(), Estimated(relevance_permille=PERMILLE[: draw(st.integers(0, len(PERMILLE)))])]
    events.append(Planned(way=draw(st.sampled_from(["single", "staged"]))))
    events.append(Allocated(policy="gain", budget_tokens=900, grants=draw(grants)))
    events += [HandedBack(node=node, tokens=7, why="enough") for node in draw(st.sets(st.sampled_from(["0", "0.0"])))]
    for number, (name, tokens, error) in enumerate(draw(calls)):
        events.append(Reserved(call=number, stage="refine", input_tokens=9, max_output_tokens=9, tokens=20, key=name))
        usage = Usage(input_tokens=tokens, calls=1, cost_usd=0.0)
        events.append(Settled(call=number, usage=usage, error=error, reply="" if error else "yes", seconds=0.5))
    events += draw(reading)
    whole = draw(st.booleans())
    if whole:
        events.append(Answered(text=draw(answers), confidence=0.5, citations=draw(quoted)))
    begin = started(document_key=draw(key), budget=Budget(draw(st.sampled_from([1_000, 2_000]))))
    return trace_of(*events, begin=begin, end=whole)


def swapped(value):
    """A comparison's record with first and second swapped wherever they stand."""
    turned = {"first": "second", "second": "first"}
    if isinstance(value, dict):
        if "which" in value:
            return {**value, "which": turned.get(value["which"], "both")}
        return {SIDE.sub(lambda found: turned[found[0]], name): swapped(each) for name, each in value.items()}
    return [swapped(each) for each in value] if isinstance(value, list) else value


def _first_before_second(pieces) -> list:
    """As pieces are told: of what stands in each other's place, what the first has before what the second has."""
    found: list = []
    for piece in pieces:
        at = len(found) - 1 if found and (found[-1]["which"], piece["which"]) == ("second", "first") else len(found)
        found.insert(at, piece)
    return found


@given(traces(reading=reads))
def test_a_trace_differs_in_nothing_from_itself(trace):
    """Whatever it holds: overlapping reads, nodes that are none, calls that failed, no end."""
    same = compared(trace, trace)
    assert same.identical
    assert same.same_answer
    assert not any((same.settings, same.course, same.only_first, same.only_second, same.estimated_differently))
    assert all(call.first == call.second and call.same_reply for call in same.calls)


@given(traces(reading=reads, key=st.sampled_from("kl")), traces(reading=reads))
def test_swapping_the_runs_swaps_the_sides_and_nothing_else(one, other):
    there, back = compared(one, other).to_dict(), swapped(compared(other, one).to_dict())
    back["text"] = _first_before_second(back["text"])
    assert back == there
    assert json.loads(json.dumps(there)) == there


@given(traces(), traces())
def test_what_one_read_alone_and_what_both_did_is_what_it_read(one, other):
    """To the token and to the character, on either side."""
    found = compared(one, other)
    for trace, alone, side in (
        (one, found.only_first, "first_tokens"),
        (other, found.only_second, "second_tokens"),
    ):
        tokens = sum(each.tokens for each in trace.reads() if each.end > each.start)
        assert sum(getattr(each, side) for each in (*found.both, *alone)) == tokens
        characters = {(each.source, at) for each in trace.reads() for at in range(each.start, each.end)}
        told = [(each.source, at) for each in (*found.both, *alone) for at in range(each.start, each.end)]
        assert len(told) == len(set(told))
        assert set(told) == characters
    assert not any(each.second_tokens for each in found.only_first)
    assert not any(each.first_tokens for each in found.only_second)


@given(traces(reading=reads), traces(reading=reads))
def test_every_character_is_in_one_set_even_where_reads_overlap(one, other):
    found = compared(one, other)
    sets = [
        {(each.source, at) for each in group for at in range(each.start, each.end)}
        for group in (found.both, found.only_first, found.only_second)
    ]
    first, second = (
        {(each.source, at) for each in trace.reads() for at in range(each.start, each.end)} for trace in (one, other)
    )
    assert sets == [first & second, first - second, second - first]


@given(grants, grants)
def test_no_granted_token_is_lost_between_branches(first, second):
    """Nor is one counted twice, however odd the nodes' names are."""
    sides = [trace_of(Allocated(policy="gain", budget_tokens=9, grants=each)) for each in (first, second)]
    found = compared(*sides).branches
    assert sum(each.first_tokens for each in found) == sum(grant.tokens for grant in first)
    assert sum(each.second_tokens for each in found) == sum(grant.tokens for grant in second)
    assert len({each.node for each in found}) == len(found)


@given(answers, answers)
def test_the_words_of_both_answers_can_be_had_back(first, second):
    pieces = words(first, second)
    assert "".join(piece.text for piece in pieces if piece.which != "second") == first
    assert "".join(piece.text for piece in pieces if piece.which != "first") == second


def test_a_word_between_large_changes_does_not_part_them():
    """Else an answer to another question would be shown as a mosaic of "of" and "the"."""
    first, second = "Orchard Lane was settled in the end", "Note four tells of capital in other words altogether"
    assert [piece.which for piece in words(first, second)] == ["first", "second"]
    assert [piece.which for piece in words("a b c 1 d e f", "a b c 2 d e f")] == ["both", "first", "second", "both"]


def test_words_that_change_one_after_the_other_are_one_change():
    pieces = [(piece.which, piece.text) for piece in words("It was 92.0 in all, then", "It was $84 paid, then")]
    assert pieces == [("both", "It was "), ("first", "92.0 in all,"), ("second", "$84 paid,"), ("both", " then")]


def test_stretches_are_cut_where_a_run_stops_reading_and_told_with_place_and_heading():
    one = trace_of(shape(), Estimated(relevance_permille=PERMILLE), read(30, 60, node="0.0.0.3", tokens=60))
    other = trace_of(read(50, 70, node="0.0.1.0", tokens=20, relevance=0.4, page=2))
    found = compared(one, other)
    (both,), (first,), (second,) = found.both, found.only_first, found.only_second
    assert (first.start, first.end, first.first_tokens, first.title, first.pages) == (30, 50, 40, "Part 1", (1, 1))
    assert (both.start, both.end, both.first_tokens, both.second_tokens) == (50, 60, 20, 10)
    assert (second.start, second.end, second.title, second.pages) == (60, 70, "Part 2", (2, 2))
    assert (second.first_relevance, second.second_relevance) == (0.07, 0.4)
    assert both.node == "0.0"


def test_reads_that_follow_each_other_are_one_stretch():
    one = trace_of(read(0, 10), read(10, 30), read(31, 40))
    found = compared(one, trace_of())
    assert [(each.start, each.end, each.first_tokens) for each in found.only_first] == [(0, 30, 30), (31, 40, 9)]


def unread_of(*events, place=(60, 70), answered=True):
    """Why the first run hadn't read what the second one quotes."""
    end = (Answered(text="", abstained=True),) if answered else ()
    one = trace_of(shape(), Estimated(relevance_permille=PERMILLE), *events, *end, end=answered)
    other = trace_of(read(*place, node="0.0.1"), Answered(text="Ten.", confidence=0.9, citations=[quote(*place)]))
    (cited,) = compared(one, other).citations
    assert (cited.first, cited.second, cited.second_read) == (False, True, 1.0)
    return cited.unread


GRANT = GrantLine(node="0.0.1", title="Part 2", tokens=12)


def test_the_trace_tells_why_a_quote_was_not_read():
    spent = Allocated(policy="gain", budget_tokens=900)
    why = unread_of(spent)
    assert (why.reason, why.relevance, why.tokens, why.left_tokens) == ("out of tokens", 0.07, 10, 0)
    why = unread_of(spent, HandedBack(node="0", tokens=40, why="not needed"))
    assert (why.reason, why.left_tokens) == ("passed over", 40)
    why = unread_of(replace(spent, grants=(GRANT,)))
    assert (why.reason, why.granted_tokens, why.node_tokens) == ("granted in part", 12, 50)
    why = unread_of(replace(spent, grants=(GRANT,)), HandedBack(node="0.0.1", tokens=12, why="repeats"))
    assert (why.reason, why.handed_back_tokens, why.note) == ("handed back", 12, "repeats")
    assert unread_of(spent, answered=False).reason == "cut off"
    assert unread_of().reason == "unknown"
    assert unread_of(spent, read(60, 70)) is None, "It was read, and not quoted."
    assert unread_of(spent, read(60, 65)).reason == "out of tokens", "Half of it was read."


def test_what_a_call_was_shown_was_not_passed_over():
    """Refining shows a branch to a model, and keeps of it what the model picks: what is left was known."""
    spent = Allocated(policy="gain", budget_tokens=900)
    asked = {"call": 1, "stage": "refine", "node": "0.0.1", "input_tokens": 9, "max_output_tokens": 9, "tokens": 18}
    why = unread_of(spent, Reserved(**asked, prompt="Some\n  words."))
    assert (why.reason, why.stage) == ("shown", "refine")
    assert unread_of(spent, Reserved(**asked, prompt="Others.")).reason == "out of tokens"
    why = unread_of(spent, Reserved(**asked))
    assert (why.reason, why.stage) == ("asked about", "refine"), "Traces of version 1 don't tell prompts."
    assert unread_of(spent, Reserved(**{**asked, "node": "0.1"})).reason == "out of tokens"


def test_only_the_last_allocation_says_what_was_left():
    early = Allocated(policy="gain", budget_tokens=900)
    why = unread_of(early, HandedBack(node="0", tokens=800), early, HandedBack(node="0", tokens=3))
    assert why.left_tokens == 3


def call(number, key="", stage="compose", **ends) -> tuple:
    held = Reserved(call=number, stage=stage, input_tokens=90, max_output_tokens=10, tokens=100, key=key, model="a/b")
    if ends.get("end") is None and "end" in ends:
        return (held,)
    usage = ends.pop("usage", Usage(input_tokens=90, output_tokens=4, calls=1, cost_usd=0.01))
    return (held, Settled(call=number, usage=usage, **ends))


def test_equal_requests_are_paired_in_the_order_made_and_their_bills_stand_beside_each_other():
    one = trace_of(*call(1, "k", error="down"), *call(2, "k", reply="yes"), *call(3, "only", end=None))
    recalled = Recalled(stage="compose", usage=Usage(input_tokens=90, output_tokens=4, calls=1), key="k", reply="yes")
    other = trace_of(*call(1, "k", error="down", seconds=2.0), recalled, *call(5, "other"))
    failed, answered, alone, theirs = compared(one, other).calls
    assert (failed.first.error, failed.second.error, failed.second.seconds) == ("down", "down", 2.0)
    assert answered.same_reply
    assert (answered.first.recalled, answered.second.recalled, answered.second.total_tokens) == (False, True, 94)
    assert (alone.first.open, alone.second, alone.same_reply) == (True, None, None)
    assert (theirs.first, theirs.second.cost_usd) == (None, 0.01)


def test_traces_without_keys_pair_calls_of_equal_size():
    """One of version 1, or a redacted one, whose keys mean nothing outside it."""
    one, other = trace_of(*call(1)), trace_of(*call(7, "k"))
    (pair,) = compared(one, other).calls
    assert (pair.key, pair.first, pair.second) == ("", pair.second, pair.first)
    redacted = trace_of(*call(1, "request-1", stage="route"), begin=started(strategy={"redacted": True}))
    assert len(compared(redacted, trace_of(*call(1, "request-1"))).calls) == 2
    assert compared(redacted, redacted).identical


def test_documents_without_a_hash_are_told_apart_by_their_measures():
    """As redacted traces leave it out."""
    bare = started(document_key="")
    one, other = trace_of(begin=bare), trace_of(begin=replace(bare, document_tokens=401))
    assert compared(one, one).same_document
    assert not compared(one, other).same_document
    mapped = trace_of(shape(), begin=bare), trace_of(shape(ends=(60, *shape().ends[1:-1], 61)), begin=bare)
    assert not compared(*mapped).same_document


def test_a_call_that_was_given_up_counts_as_what_it_was_billed():
    one = trace_of(
        Reserved(call=1, stage="x", input_tokens=1, max_output_tokens=1, tokens=2, key="k"), Released(call=1)
    )
    (pair,) = compared(one, one).calls
    assert (pair.first.total_tokens, pair.first.open, pair.first.cost_usd) == (0, False, 0.0)


def test_how_long_calls_took_makes_no_difference():
    """Nobody's network is the same twice."""
    one, other = (trace_of(*call(1, "k", reply="yes", seconds=seconds)) for seconds in (0.5, 0.75))
    found = compared(one, other)
    assert found.identical
    assert (found.first.seconds, found.second.seconds) == (0.5, 0.75)
    assert not compared(one, trace_of(*call(1, "k", reply="no"))).identical


def test_settings_and_course_are_told_by_name():
    one = trace_of(Planned(way="single"), Searched(terms=("cash",)), begin=started(made_by="0.1.0"))
    begin = started(budget=Budget(9_000, max_calls=3), strategy={"policy": "x", "prompts": "ab"}, made_by="0.2.0")
    other = trace_of(Planned(way="staged", rounds=2), Searched(terms=("cash", "debt")), begin=begin)
    found = compared(one, other)
    assert {(each.what, each.first, each.second) for each in found.settings} == {
        ("budget.max_calls", None, 3),
        ("budget.total_tokens", 4_000, 9_000),
        ("made_by", "0.1.0", "0.2.0"),
        ("strategy.policy", "expected_gain", "x"),
        ("strategy.prompts", None, "ab"),
    }
    told = {each.what: (each.first, each.second) for each in found.course}
    assert told == {
        "plan.way": ("single", "staged"),
        "plan.rounds": (1, 2),
        "terms": (("cash",), ("cash", "debt")),
    }
    assert found.same_question
    assert not found.identical


def test_of_different_documents_figures_alone_are_compared():
    one = trace_of(read(0, 10), Answered(text="Yes.", confidence=0.5))
    other = trace_of(read(0, 10), Answered(text="No.", confidence=0.7), begin=started(document_key="l", document="2"))
    found = compared(one, other)
    assert not found.same_document
    assert not found.same_answer
    assert (found.first.read_tokens, found.second.confidence) == (10, 0.7)
    assert {each.what for each in found.settings} == {"document", "document_key"}
    assert not any((found.both, found.only_first, found.only_second, found.text, found.calls, found.course))


def test_a_shape_that_is_no_tree_is_left_alone():
    """A trace somebody wrote by hand: columns of unequal length, parents that go round in circles."""
    for broken in ({"parents": (-1, 0)}, {"parents": (-1, *range(1, 15))}, {"kinds": (99,) * 15}, {"parents": ()}):
        one = trace_of(shape(**broken), read(0, 10, page=4), Answered(text="", citations=[quote(0, 5)]))
        found = compared(one, trace_of(Answered(text="", abstained=True)))
        assert found.only_first[0].pages in {(4, 4), (1, 1)}
        assert isinstance(found.to_dict(), dict)


@pytest.mark.parametrize("events", [(), (Answered(text="x"),), (read(0, 9),), (HandedBack(node="0", tokens=1),)])
def test_a_trace_without_its_beginning_can_be_compared(events):
    bare = Trace(events)
    assert compared(bare, bare).identical
    assert not compared(bare, trace_of(*events)).same_document


def test_citations_of_odd_kinds_do_no_harm():
    """Text where numbers belong, quotes that were found nowhere, no quotes at all."""
    odd = ({"quote": "a", "start": "1", "end": None, "source": 5}, {}, {"quote": "b", "verified": False, "start": 3})
    one = trace_of(Answered(text="x", citations=odd))
    assert compared(one, one).identical
    assert [each.first_read for each in compared(one, trace_of()).citations] == [None, None, None]


@pytest.fixture(scope="module")
def runs() -> dict[str, Trace]:
    """Real runs on a bundled report: with 4,000 tokens, with 2,000, and with a model that routes first."""
    report = Path(hierarchy.__file__).parent / "samples" / "patient_chart.md"

    def reply(request: Request) -> str:
        if request.stage == "route":
            return "penicillin\nallergy clinic\noral challenge"
        return json.dumps({"answer": "Not said.", "quotes": [], "missing": "the clinic's letter"})

    question = "Is the patient allergic to penicillin?"
    return {
        "4k": hierarchy.ask(report, question, budget=4_000).trace,
        "2k": hierarchy.ask(report, question, budget=2_000).trace,
        "model": hierarchy.ask(report, question, budget=4_000, model=FunctionModel(reply)).trace,
    }


def test_two_runs_of_a_report_compare_to_the_token(runs):
    found = compared(runs["4k"], runs["2k"])
    assert isinstance(found, Comparison)
    assert [each.what for each in found.settings] == ["budget.total_tokens"]
    for trace, alone, side in ((runs["4k"], found.only_first, "first"), (runs["2k"], found.only_second, "second")):
        tokens = sum(getattr(each, f"{side}_tokens") for each in (*found.both, *alone))
        assert tokens == sum(each.tokens for each in trace.reads())
    assert all(each.title for each in (*found.both, *found.only_first))
    assert found.first.read_tokens > found.second.read_tokens


def test_what_a_stretch_was_estimated_at_is_what_its_read_says(runs):
    """The most of its leaves, in thousandths: the measure that reads are told with."""
    found = compared(runs["4k"], runs["4k"])
    told = {(each.source, each.start): each.relevance for each in runs["4k"].reads()}
    whole = [each for each in found.both if (each.source, each.start) in told]
    assert whole
    for each in whole:
        assert each.first_relevance >= told[each.source, each.start] - 0.0006


def test_a_run_that_searched_for_other_words_estimates_and_reads_otherwise(runs):
    found = compared(runs["4k"], runs["model"])
    assert found.estimated_differently > 0
    assert found.only_second
    assert {"terms", "plan.routing"} <= {each.what for each in found.course}
    assert all(each.unread or each.first_read == each.second_read == 1 for each in found.citations)


def test_a_trace_that_was_cut_off_is_compared_up_to_the_cut(runs):
    events = runs["4k"].events
    cut = Trace(events[: next(n for n, event in enumerate(events) if isinstance(event, Answered))])
    found = compared(cut, runs["4k"])
    assert (found.first.answered, found.first.complete, found.second.complete) == (False, False, True)
    assert not found.only_second
    assert not found.same_answer
    assert all(each.unread is None for each in found.citations), "All that is quoted had been read by then."
