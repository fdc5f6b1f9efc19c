"""Redaction: no word of document, question or reply survives, figures do, and no field is forgotten."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import lru_cache
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from documents import chart
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import hierarchy
from hierarchy import viewer
from hierarchy.budget import Budget, Usage
from hierarchy.document import Document
from hierarchy.errors import Unavailable
from hierarchy.events import KINDS, Answered, Mapped, Noted, Read, Reserved, Settled, Started
from hierarchy.models import FunctionModel
from hierarchy.redaction import MARK, NOTE, RULES, is_redacted, node_ids, redacted
from hierarchy.trace import Trace, broken_line

WORD = re.compile(r"[^\W\d_]{4,}")


def records_within(kind: type) -> set[type]:
    """The dataclasses that a dataclass's fields hold, at any depth."""
    found = {kind}
    for hint in get_type_hints(kind).values():
        for inner in (hint, *get_args(hint)):
            for each in (inner, *get_args(inner)):
                if is_dataclass(each) and each not in found:
                    found |= records_within(each)
    return found


@pytest.mark.parametrize("kind", sorted({each for kind in KINDS for each in records_within(kind)}, key=str))
def test_every_field_of_every_event_is_classified(kind):
    """A field that is new must be given a rule in `redaction.RULES`: what is to become of it when a trace is shared?"""
    assert set(RULES[kind]) == {each.name for each in fields(kind)}


def words_of(value: Any) -> set[str]:
    return {word.lower() for word in WORD.findall(value if isinstance(value, str) else json.dumps(value))}


@lru_cache
def vocabulary() -> frozenset[str]:
    """The words that the schema has itself: of events, fields and keys, and what the library calls things."""
    names = [name for kind in RULES for name in (kind.__name__, *RULES[kind])]
    keys = "quote source page start end verified node context title pages tokens relevance seen coarse"
    sums = "read_tokens coarse_tokens unread_tokens document_tokens unread policy way rounds attempts prompts lexicons"
    said = f"{NOTE} {MARK} file document node note phrase term need question request version redacted true chain"
    kinds = "event prose tables on pages speech a number text lookup computation yes-no list summary false"
    library = "staged branches auto lean full expected_gain compose follow_up route refine summarise repair"
    trees = "folder document section group page passage sentence row heading furniture cl100k_base function"
    more = "trace single whole null answer help"
    plain = " ".join((*names, keys, sums, said, kinds, library, trees, more, "not needed for what is worth reading"))
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", plain).replace("_", " ")
    return frozenset(words_of(f"{plain} {spaced}".replace("_", " ")) | words_of(plain.replace("_", "")))


def written_words(trace: Trace) -> set[str]:
    """All words in a trace's file; chained hashes and escapes aside."""
    text = re.sub(r'"chain": "[0-9a-f]+"', "", trace.to_jsonl())
    spoken = json.dumps([json.loads(line) for line in text.replace(", }", "}").splitlines()], ensure_ascii=False)
    return {word.lower() for word in WORD.findall(spoken.replace("_", " "))}


# -- any trace at all --------------------------------------------------------------------------------------------------

SECRETS = st.lists(
    st.text(st.characters(categories=("Lu", "Ll", "Lo")), min_size=4, max_size=9), min_size=2, max_size=4
)
TEXTS = SECRETS.map(" ".join)
NUMBERS = st.integers(0, 10**6)
IDS = st.lists(st.integers(0, 9), min_size=1, max_size=4).map(lambda path: ".".join(map(str, path)))
LEAVES = NUMBERS | st.booleans() | st.none() | TEXTS
MAPPINGS = st.dictionaries(
    TEXTS | st.sampled_from(["quote", "source", "page", "unread", "title", "node", "policy", "way", "seen", "context"]),
    st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2)),
    max_size=4,
)


def values(hint: Any, name: str = "") -> st.SearchStrategy[Any]:
    """Any value of a type; every text is words that must not survive, whatever the field is for."""
    origin, inner = get_origin(hint), get_args(hint)
    plain = {int: NUMBERS, float: st.floats(0, 1), bool: st.booleans(), Any: LEAVES}
    if hint is str:
        return IDS | TEXTS if name == "node" else TEXTS
    if hint in plain:
        return plain[hint]
    if is_dataclass(hint):
        return records(hint)
    if origin is tuple and inner[-1] is ...:
        return st.lists(values(inner[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, inner))
    if origin is Mapping:
        return MAPPINGS
    assert type(None) in inner, hint
    return st.none() | values(next(each for each in inner if each is not type(None)))


@lru_cache
def records(kind: type) -> st.SearchStrategy[Any]:
    if kind is Budget:
        return st.builds(Budget, st.integers(1, 10**6))
    return st.builds(kind, **{name: values(hint, name) for name, hint in get_type_hints(kind).items()})


TRACES = st.lists(st.one_of(*map(records, KINDS)), max_size=4).map(lambda made: Trace(tuple(made)))


@given(TRACES)
@settings(max_examples=150)
def test_no_words_survive_wherever_they_stand(trace):
    """Not even where names are kept: nothing with a space in it is a name. Keys of mappings are words, too."""
    left = written_words(redacted(trace)) - vocabulary()
    assert not left


@given(TRACES)
@settings(max_examples=50)
def test_what_is_redacted_can_be_written_and_read_and_redacted_again(trace):
    once = redacted(trace)
    text = once.to_jsonl()
    assert Trace.from_jsonl(text) == once
    assert broken_line(text) is None
    assert redacted(once) == once
    assert is_redacted(once)


@given(TRACES)
@settings(max_examples=50)
def test_what_is_redacted_has_every_event_that_was_there(trace):
    kinds = [type(event) for event in redacted(trace)]
    kinds.remove(Noted)
    assert sorted(map(str, kinds)) == sorted(str(type(event)) for event in trace if event != Noted(what=NOTE))


# -- a real one --------------------------------------------------------------------------------------------------------

QUESTION = "Which anticoagulant was prescribed to Margaret Thistlewood at discharge?"


def reply(request):
    if request.stage == "route":
        return json.dumps(
            {"terms": ["anticoagulant", "warfarin"], "needs": ["discharge letter"], "kind": "Thistlewood"}
        )
    if "first" not in seen:
        seen.append("first")
        return Unavailable("The provider said: Thistlewood is no patient of ours.")
    return json.dumps({"answer": "Warfarin Zoledronate, as ever.", "quotes": [], "missing": "Thistlewood's letter"})


seen: list[str] = []


@pytest.fixture(scope="module")
def tree():
    document = chart()
    renamed = Document(
        name="thistlewood_letters.md", text=document.text, media=document.media, sections=document.sections
    )
    return hierarchy.outline(renamed)


@pytest.fixture(scope="module")
def trace(tree):
    seen.clear()
    reasoner = hierarchy.Reasoner(FunctionModel(reply, price=lambda sent, back: 1e-6 * (sent + back)))
    return reasoner.ask(tree, QUESTION, 3_000).trace


def test_a_real_run_keeps_no_word_of_document_question_or_replies(trace, tree):
    secret = words_of(tree.document.text) | words_of(QUESTION) | words_of("thistlewood letters zoledronate warfarin")
    assert words_of(QUESTION) & written_words(trace)
    assert not (secret - vocabulary()) & written_words(redacted(trace))


def test_figures_of_a_real_run_stay(trace):
    """Everything that a view reckons with: usage, reads, grants, relevance, shape, prices, the receipt's sums."""
    bare = redacted(trace)
    assert bare.usage() == trace.usage()
    assert bare.usage_by_stage() == trace.usage_by_stage()
    assert [(r.node, r.start, r.end, r.page, r.tokens, r.relevance) for r in bare.reads()] == [
        (r.node, r.start, r.end, r.page, r.tokens, r.relevance) for r in trace.reads()
    ]
    assert [(g.node, g.tokens, g.gain, g.pages) for g in bare.grants()] == [
        (g.node, g.tokens, g.gain, g.pages) for g in trace.grants()
    ]
    for name in ("parents", "kinds", "tokens", "starts", "ends", "kind_names"):
        assert getattr(bare.of(Mapped)[0], name) == getattr(trace.of(Mapped)[0], name)
    assert bare.of(Mapped)[0].titles.keys() == trace.of(Mapped)[0].titles.keys()
    assert [each["tokens"] for each in bare.receipt()["unread"]] == [
        each["tokens"] for each in trace.receipt()["unread"]
    ]
    assert bare.of(Started)[0].budget == trace.of(Started)[0].budget
    assert bare.of(Started)[0].strategy == {**trace.of(Started)[0].strategy, "redacted": True}


def test_keys_that_real_runs_write_all_have_a_rule(trace):
    """A key without a rule is dropped; that no figure goes unnoticed, this fails when one is new."""
    bare = redacted(trace)
    assert bare.receipt().keys() == trace.receipt().keys()
    for mine, theirs in zip(bare.receipt()["unread"], trace.receipt()["unread"], strict=True):
        assert mine.keys() == theirs.keys()
    cited = {"quote": "x", "source": "y", "page": 1, "start": 0, "end": 1, "verified": True}
    assert redacted(Trace((Answered(text="x", citations=[cited]),))).answer()["citations"][0].keys() == cited.keys()


def test_hashes_go_unless_asked_for(trace):
    """A hash of a public document, or of a prompt, confirms a guess; equal requests can be told all the same."""
    started, bare = trace.of(Started)[0], redacted(trace)
    keys = {event.key for event in trace.of(Reserved)}
    text = bare.to_jsonl()
    assert started.document_key not in text
    assert not [key for key in keys if key in text]
    assert len({event.key for event in bare.of(Reserved)}) == len(keys)
    kept = redacted(trace, keep_key=True)
    assert kept.of(Started)[0].document_key == started.document_key
    assert [event.key for event in kept.of(Reserved)] == [event.key for event in trace.of(Reserved)]


def test_failures_stay_failures(trace):
    errors = [bool(event.error) for event in trace.of(Settled)]
    assert any(errors)
    assert [bool(event.error) for event in redacted(trace).of(Settled)] == errors


def test_what_is_redacted_opens_in_the_viewer_and_says_so(trace):
    for each in (trace, Trace(trace.events[:4]), Trace(())):
        for view in (viewer.trace_view, viewer.events_view):
            console = Console(file=io.StringIO(), width=400, color_system=None, _environ={})
            console.print(view(redacted(each)))
            shown = console.file.getvalue()
            assert NOTE in " ".join(shown.split())
            assert not re.search("thistlewood|warfarin", shown, re.IGNORECASE)


def test_files_are_told_apart():
    made = Trace(
        (
            Started(
                question="q", document="box", source_names=("b.md", "a.md"), document_key="k", document_tokens=9,
                budget=Budget(100), model="extractive",
            ),
            Read(node="0.1", source="a.md", start=0, end=3, tokens=1),
            Read(node="0.0", source="b.md", start=0, end=3, tokens=1),
            Settled(call=1, usage=Usage()),
        )
    )  # fmt: skip
    bare = redacted(made)
    assert bare.of(Started)[0].source_names == ("file 1", "file 2")
    assert [read.source for read in bare.reads()] == ["file 2", "file 1"]


def test_ids_of_nodes_are_those_of_the_tree(tree):
    assert node_ids(tree.nodes.parent.tolist()) == tuple(str(node) for node in tree)


def test_hints_are_of_types_that_the_test_can_make():
    """Else a field of a new type would go untested."""
    for kind in KINDS:
        for hint in get_type_hints(kind).values():
            assert get_origin(hint) in (None, tuple, Mapping, Union, type(int | None)), (kind, hint)
