"""The trace: what is written is read back equal, damage is named, and the whole story follows from the events alone."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy import events
from hierarchy import trace as tracing
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.errors import StoreError, Unavailable
from hierarchy.events import (
    KINDS,
    Allocated,
    Answered,
    Branch,
    Estimated,
    Event,
    Finished,
    GrantLine,
    HandedBack,
    Kept,
    ModelFacts,
    Noted,
    Outlined,
    Read,
    Released,
    Reserved,
    Settled,
    Started,
    dotted,
)
from hierarchy.ledger import Ledger
from hierarchy.trace import HEADER, Chain, Trace, broken_line, event_line

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
# Any text: a broken PDF yields lone surrogates, and line separators must not split a line.
TEXTS = st.text(st.characters(codec=None, exclude_categories=()), max_size=20) | st.sampled_from(
    ["\u2028\x85\r\n", "\ud800", '"']
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
MAPPINGS = st.dictionaries(TEXTS, JSON, max_size=3)
USAGES = st.builds(
    Usage,
    input_tokens=st.integers(),
    output_tokens=st.integers(),
    calls=st.integers(),
    cost_usd=st.none() | st.floats(0, 1_000),
)
BUDGETS = st.builds(
    Budget,
    st.integers(1),
    max_cost_usd=st.none() | st.floats(1e-6, 1e6),
    max_seconds=st.none() | st.floats(1e-6, 1e6),
    max_calls=st.none() | st.integers(1, 99),
)
BRANCHES = st.builds(Branch, node=TEXTS, title=TEXTS, relevance=NUMBERS)
PAGES = st.none() | st.tuples(st.integers(), st.integers())
GRANTS = st.builds(GrantLine, node=TEXTS, title=TEXTS, tokens=st.integers(), gain=NUMBERS, pages=PAGES)

FACTS = st.builds(
    ModelFacts,
    role=TEXTS,
    name=TEXTS,
    learned=st.lists(NUMBERS, max_size=3).map(tuple),
    input_usd=st.none() | NUMBERS,
    context_tokens=st.none() | st.integers(),
    stages=st.none() | st.lists(TEXTS, max_size=3).map(tuple),
)

# What each declared type may hold; a field of a type that isn't listed fails the test that looks it up.
VALUES = {
    "str": TEXTS,
    "int": st.integers(),
    "float": NUMBERS,
    "bool": st.booleans(),
    "int | None": st.none() | st.integers(),
    "float | None": st.none() | NUMBERS,
    "tuple[str, ...]": st.lists(TEXTS, max_size=3).map(tuple),
    "tuple[int, ...]": st.lists(st.integers(), max_size=3).map(tuple),
    "tuple[ModelFacts, ...]": st.lists(FACTS, max_size=2),
    "tuple[Branch, ...]": st.lists(BRANCHES, max_size=3),
    "tuple[GrantLine, ...]": st.lists(GRANTS, max_size=3),
    "tuple[tuple[str, Usage], ...]": st.lists(st.tuples(TEXTS, USAGES), max_size=3),
    "tuple[Mapping[str, Any], ...]": st.lists(MAPPINGS, max_size=3),
    "Mapping[str, Any]": MAPPINGS,
    "Usage": USAGES,
    "Budget": BUDGETS,
}
EVENTS = st.one_of(
    [st.builds(kind, **{name: VALUES[each.type] for name, each in kind.__dataclass_fields__.items()}) for kind in KINDS]
)


def story():
    """A question with five calls: settled, failed, cached, refused and cancelled before it was sent."""
    ledger = Ledger.open(Budget(4_000)).keep(1_000)
    events = [
        Started(
            question="What was capital expenditure?",
            document="10-K.pdf",
            source_names=["10-K.pdf"],
            document_key="ab12",
            document_tokens=104_000,
            budget=ledger.budget,
            model="extractive",
            strategy={"policy": "expected_gain", "rounds": 1},
        ),
        Outlined(nodes=12, leaves=9, depth=3, notes=["No bookmarks: sections come from headings."]),
        Estimated(document_kind="filing", top=[Branch(node="0.2", title="Cash flow", relevance=0.8)], answerable=0.9),
        Kept(tokens=1_000),
        Allocated(policy="uniform", budget_tokens=3_000, grants=[GrantLine(node="0.1", title="Risks", tokens=9)]),
        Allocated(
            policy="expected_gain",
            budget_tokens=3_000,
            grants=[GrantLine(node="0.2", title="Cash flow", tokens=700, gain=0.7, pages=(58, 59))],
        ),
        Read(node=dotted((0, 2, 1)), source="10-K.pdf", start=10, end=90, page=58, tokens=20, relevance=0.8),
    ]
    held = []
    for stage in ("refine", "refine", "refine", "refine"):
        ledger, call = ledger.reserve(stage, 100, 50)
        events.append(Reserved.of(call, node=(0, 2)))
        held.append(call)
    ledger = ledger.settle(held[1], None)
    events.append(Settled.of(held[1], None, error=Unavailable("The provider can't be reached.")))
    report = Usage(input_tokens=400, output_tokens=20, calls=1, cost_usd=0.5)
    ledger = ledger.settle(held[0], report)
    events.append(Settled.of(held[0], report))
    ledger = ledger.release(held[2], attempted=True).release(held[3])
    events += [Released(call=held[2].number, attempted=True), Released(call=held[3].number)]
    events += [HandedBack(node="0.2", tokens=300, why="nothing more to find"), Noted(what="One branch stays coarse.")]
    ledger, call = ledger.reserve("compose", 600, 100, kept=True)
    report = Usage(input_tokens=600, output_tokens=30, calls=1, cost_usd=0.25)
    events += [Reserved.of(call), Settled.of(call, report)]
    ledger = ledger.settle(call, report)
    events.append(
        Answered(
            text="$1,577 million",
            confidence=0.8,
            citations=[{"quote": "1,577", "source": "10-K.pdf", "page": 58, "start": 12, "end": 17, "verified": True}],
            receipt={"read_tokens": 20, "unread": [["0.1", 900]]},
        )
    )
    events.append(Finished.of(ledger))
    return Trace(tuple(events)), ledger


class TestRoundTrip:
    @given(st.lists(EVENTS, max_size=5))
    @settings(max_examples=150, deadline=None)
    def test_any_events(self, events):
        """Whatever an event holds, reading what was written gives an equal trace and the same bytes again."""
        trace = Trace(tuple(events))
        text = trace.to_jsonl()
        again = Trace.from_jsonl(text)
        assert again == trace
        assert again.to_jsonl() == text
        assert text.isascii()
        assert text.count("\n") == len(events) + 1

    @pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
    def test_every_event_type_is_tried(self, kind):
        """Each field of each event has a type that the round trip knows, and a name that is said in lower case."""
        assert issubclass(kind, Event)
        assert all(each.type in VALUES for each in kind.__dataclass_fields__.values())
        assert tracing._NAMES[kind].replace("_", "") == kind.__name__.lower()

    def test_no_event_type_is_forgotten(self):
        """Every public event class can be written."""
        public = {getattr(events, name) for name in events.__all__}
        assert {each for each in public if isinstance(each, type) and issubclass(each, Event)} == {Event, *KINDS}

    def test_lines_written_one_by_one_are_a_trace(self):
        """A live writer that appends the header and lines makes the same file."""
        trace, _ = story()
        assert "\n".join([HEADER, *map(Chain().line, trace)]) + "\n" == trace.to_jsonl()

    def test_lists_and_numpy_numbers_are_taken(self):
        """The engine can pass what it has; the event holds plain values that compare equal after reading."""
        read = Read(node="0", source="a", start=np.int64(3), end=4, tokens=1, relevance=np.float32(0.5))
        assert type(read.start) is int
        assert type(read.relevance) is float
        event = Answered(text="", receipt={"unread": [[np.int64(1), {"x": [2]}]], 3: "three"})
        assert event.receipt == {"unread": ((1, {"x": (2,)}),), "3": "three"}
        assert Trace.from_jsonl(Trace((read, event)).to_jsonl()).events == (read, event)

    def test_numbers_must_be_finite(self):
        """What JSON has no place for is refused when it is written, and named."""
        with pytest.raises(StoreError, match="answered event can't be written"):
            event_line(Answered(text="", confidence=math.nan))
        with pytest.raises(StoreError, match="started event"):
            event_line(_started(strategy={"x": object()}))


def _started(**changes):
    values = {
        "question": "?",
        "document": "d",
        "source_names": (),
        "document_key": "",
        "document_tokens": 1,
        "budget": Budget(1),
        "model": "extractive",
    }
    return Started(**{**values, **changes})


class TestDamage:
    @given(st.data())
    @settings(max_examples=60, deadline=None)
    def test_cut_anywhere(self, data):
        """Cut within the last line: named as such, and with `partial` everything before it is read."""
        trace, _ = story()
        text = trace.to_jsonl()
        start = text.rindex("\n", 0, -1) + 1
        cut = data.draw(st.integers(start + 1, len(text) - 2))
        number = len(trace) + 1
        with pytest.raises(StoreError, match=f"Line {number} of the trace is cut off or damaged") as caught:
            Trace.from_jsonl(text[:cut])
        assert "partial" in caught.value.hint
        assert Trace.from_jsonl(text[:cut], partial=True).events == trace.events[:-1]

    def test_a_last_line_without_its_end_is_whole(self):
        """A file stripped of its last line break lost nothing; neither did one with Windows line ends."""
        trace, _ = story()
        assert Trace.from_jsonl(trace.to_jsonl().rstrip("\n")) == trace
        assert Trace.from_jsonl(trace.to_jsonl().replace("\n", "\r\n")) == trace

    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ("", "damaged"),
            ("{", "damaged"),
            ("[" * 100_000, "damaged"),
            ("7", "no event"),
            ('{"event": ["noted"]}', "damaged"),
            ('{"event": "telepathy"}', "'telepathy'"),
            ('{"event": "trace", "version": 1}', "'trace'"),
            ('{"event": "kept"}', "Kept lacks tokens"),
            ('{"event": "kept", "tokens": "9"}', "'9' where int belongs"),
            ('{"event": "kept", "tokens": true}', "True where int belongs"),
            ('{"event": "kept", "tokens": 1.5}', "where int belongs"),
            ('{"event": "kept", "tokens": null}', "where int belongs"),
            ('{"event": "kept", "tokens": 1, "mood": 2}', "no mood"),
            ('{"event": "answered", "text": "", "confidence": NaN}', "NaN is no number"),
            ('{"event": "answered", "text": "", "confidence": true}', "where float belongs"),
            ('{"event": "answered", "text": "", "citations": [1]}', "where"),
            ('{"event": "estimated", "top": [{"node": "0"}]}', "Branch lacks"),
            ('{"event": "estimated", "top": {}}', "where"),
            ('{"event": "finished", "usage": {"input_tokens": 1}, "by_stage": [["a"]]}', "damaged"),
            ('{"event": "finished", "usage": 3}', "where Usage belongs"),
        ],
    )
    def test_a_damaged_line_is_named(self, line, says):
        """A damaged or unknown event in the middle is an error that names its line, with `partial` too."""
        text = "\n".join([HEADER, event_line(Kept(tokens=1)), line, event_line(Kept(tokens=2)), ""])
        for partial in (False, True):
            with pytest.raises(StoreError, match="Line 3 of the trace is damaged") as caught:
                Trace.from_jsonl(text, partial=partial)
            assert says in caught.value.message

    def test_a_budget_that_is_none_is_damage(self):
        """A value that its own type refuses is a damaged line too."""
        line = event_line(_started()).replace('"total_tokens": 1', '"total_tokens": 0')
        with pytest.raises(StoreError, match="Line 2"):
            Trace.from_jsonl(f"{HEADER}\n{line}\n")


STORY = Trace((Kept(tokens=5), Settled(call=1, usage=Usage(input_tokens=3, calls=1)), HandedBack(node="0", tokens=2)))


class TestVersions:
    @pytest.mark.parametrize("text", ["", "\n", "hello", "{}", "[]", '{"event": "noted", "what": ""}', HEADER[:-3]])
    def test_no_header_no_trace(self, text):
        """A file that doesn't begin as a trace is none, not an empty one."""
        for partial in (False, True):
            with pytest.raises(StoreError, match="no trace"):
                Trace.from_jsonl(text, partial=partial)

    def test_a_newer_version_asks_for_an_update(self):
        """A trace of a later version is refused before any of its events is looked at."""
        with pytest.raises(StoreError, match=r"version 3; this is for versions up to 2") as caught:
            Trace.from_jsonl('{"event": "trace", "version": 3}\n{"event": "telepathy"}\n')
        assert "Update" in caught.value.hint

    @pytest.mark.parametrize("version", ["0", "null", '"1"', "-3"])
    def test_an_impossible_version_is_damage(self, version):
        """No version below 1 and none that is no number was ever written."""
        with pytest.raises(StoreError, match="version") as caught:
            Trace.from_jsonl(f'{{"event": "trace", "version": {version}}}\n')
        assert "damaged" in caught.value.hint

    def test_the_written_form_is_pinned(self):
        """The files of version 2 look like this; a change that breaks it needs another version."""
        assert STORY.to_jsonl() == (
            '{"event": "trace", "version": 2}\n'
            '{"event": "kept", "tokens": 5, "cost_usd": null, "chain": "f7ea4dc7769892fc42b75925c78a37da"}\n'
            '{"event": "settled", "call": 1, "usage": {"input_tokens": 3, "output_tokens": 0, "calls": 1, "c'
            'ost_usd": null}, "overdraft_tokens": 0, "cached": false, "error": "", "error_kind": "", "error_'
            'hint": "", "reply": "", "seconds": null, "retry_after_s": null, "reported_input_tokens": null, '
            '"chain": "6d60e98efb4fd95609f1134b5bcd99aa"}\n'
            '{"event": "handed_back", "node": "0", "tokens": 2, "why": "", '
            '"chain": "6b29282e2770fea5840bcae7353cf4f6"}\n'
        )

    def test_an_older_version_opens(self):
        """Traces of version 1 are read, what they didn't know being empty."""
        text = (
            '{"event": "trace", "version": 1}\n'
            '{"event": "kept", "tokens": 5, "cost_usd": null}\n'
            '{"event": "settled", "call": 1, "usage": {"input_tokens": 3, "output_tokens": 0, "calls": 1, '
            '"cost_usd": null}, "overdraft_tokens": 0, "cached": false, "error": ""}\n'
            '{"event": "handed_back", "node": "0", "tokens": 2, "why": ""}\n'
        )
        assert Trace.from_jsonl(text) == STORY
        assert broken_line(text) == 1


class TestChain:
    def test_what_was_written_is_whole(self):
        """Every line of a trace is as it was written, one of no events too; so is one that was cut between lines."""
        text = story()[0].to_jsonl()
        assert broken_line(text) is None
        assert broken_line(HEADER + "\n") is None
        assert broken_line("".join(text.splitlines(keepends=True)[:5])) is None

    @settings(max_examples=300)
    @given(st.data())
    def test_any_changed_byte_is_found(self, data):
        """A character put in place of another is found, in its own line or the one behind."""
        text = story()[0].to_jsonl()
        at = data.draw(st.integers(0, len(text) - 2))
        other = data.draw(st.characters(codec="ascii").filter(lambda character: character != text[at]))
        line = text.count("\n", 0, at) + 1
        broken = broken_line(text[:at] + other + text[at + 1 :])
        assert broken in (line, line + 1)

    def test_lines_that_are_moved_or_left_out_are_found(self):
        """Order and number of lines are part of it."""
        lines = story()[0].to_jsonl().splitlines(keepends=True)
        assert broken_line("".join([*lines[:3], *lines[4:]])) == 4
        assert broken_line("".join([*lines[:3], lines[4], lines[3], *lines[5:]])) == 4
        assert broken_line("".join([*lines[:3], lines[2], *lines[3:]])) == 4


class TestReconstruction:
    def test_the_bill_is_that_of_the_ledger(self):
        """From the calls alone the trace tells the same bill as the ledger, in total and by stage, from a file too."""
        trace, ledger = story()
        for each in (trace, Trace.from_jsonl(trace.to_jsonl())):
            assert each.usage() == ledger.spent
            assert each.usage_by_stage() == ledger.by_stage
            assert each.held_tokens() == 0
            assert each.of(Finished)[0].usage == ledger.spent
            assert each.of(Finished)[0].remaining_tokens == 4_000 - ledger.spent.total_tokens

    def test_overdraft_and_worst_case_are_told(self):
        """A call of unknown usage stands at its reservation, one beyond it with its overdraft."""
        failed, lied, _ = story()[0].of(Settled)
        assert (failed.usage.total_tokens, failed.overdraft_tokens) == (150, 0)
        assert failed.error
        assert (lied.usage.total_tokens, lied.overdraft_tokens) == (420, 270)

    def test_cached_replies_cost_nothing(self):
        """A reply from a journal is in the trace and not on the bill."""
        cached = Settled(call=1, usage=NOTHING, cached=True)
        reserved = Reserved(call=1, stage="refine", input_tokens=1, max_output_tokens=1, tokens=2)
        trace = Trace((reserved, cached))
        assert trace.usage() == NOTHING
        assert trace.usage_by_stage() == ()

    def test_a_trace_cut_short_tells_what_it_has(self):
        """What holds when the process died is told: bill so far, what was under way, what was read."""
        trace, _ = story()
        cut = next(place for place, event in enumerate(trace) if isinstance(event, Settled))
        early = Trace(trace.events[:cut])
        assert early.usage() == NOTHING
        assert early.held_tokens() == 600
        assert early.answer() == {}
        assert early.receipt() == {"read_tokens": 20}

    def test_grants_reads_answer_and_receipt(self):
        """The last allocation counts; answer and receipt come back as they were given."""
        trace = Trace.from_jsonl(story()[0].to_jsonl())
        assert [(grant.node, grant.pages) for grant in trace.grants()] == [("0.2", (58, 59))]
        assert [read.node for read in trace.reads()] == ["0.2.1"]
        assert trace.answer()["text"] == "$1,577 million"
        assert trace.answer()["citations"][0]["page"] == 58
        assert trace.receipt() == {"read_tokens": 20, "unread": (("0.1", 900),)}
        assert Trace().grants() == ()
        assert len(trace.with_event(Noted(what="more"))) == len(trace) + 1


class TestLargeNumbers:
    @pytest.mark.parametrize("number", ["9" * 101, "-" + "9" * 200, "1e999", "-1E+400"])
    def test_what_nothing_counts_is_damage(self, number):
        """Figures that can't be divided or drawn are refused where they are read, rather than anywhere later."""
        for field in ("tokens", "cost_usd"):
            line = f'{{"event": "kept", "tokens": 1, "{field}": {number}}}'.replace('"tokens": 1, "tokens"', '"tokens"')
            with pytest.raises(StoreError, match="damaged"):
                Trace.from_jsonl(f"{HEADER}\n{line}\n")

    def test_as_words_they_are_no_trouble(self):
        """A text may hold any digits, and a large figure that can be reckoned with is one."""
        trace = Trace((Noted(what="9" * 200 + " 1e999"), Kept(tokens=10**90, cost_usd=1e300)))
        assert Trace.from_jsonl(trace.to_jsonl()) == trace
