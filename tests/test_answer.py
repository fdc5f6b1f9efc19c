"""Quotes are found verbatim or not at all; the receipt accounts for every token."""

import json
import time

import numpy as np
import pytest
from documents import chart, documents
from hypothesis import given
from hypothesis import strategies as st
from test_planner import built

from hierarchy.allocator import cover
from hierarchy.answer import Answer, Citation, receipt, verify
from hierarchy.budget import Budget, Usage
from hierarchy.planner import outline
from hierarchy.relevance import estimate
from hierarchy.segments import LeafKind

# -- verify ------------------------------------------------------------------------------------------------------------


def found(text, quote, within=None):
    """The characters that a quote is found at."""
    span = verify(text, quote, within)
    return None if span is None else text[span.start : span.end]


@pytest.mark.parametrize(
    ("text", "quote", "expected"),
    [
        ("Net revenue was flat.", "revenue was", "revenue was"),
        ("Net  revenue\n\twas flat.", "Net revenue was", "Net  revenue\n\twas"),
        ("Net revenue", "  Net\n revenue ", "Net revenue"),
        ("no-break\u00a0space", "no-break space", "no-break\u00a0space"),
        ("a long hyphen-\nation here", "hyphenation", "hyphen-\nation"),
        ("a long hyphen-\nation here", "hyphen-ation", "hyphen-\nation"),
        ("a long hyphen-\n  ation here", "hyphen- ation here", "hyphen-\n  ation here"),
        ("a long-\nterm loan of a hyphen-\nated kind", "long-term loan of a hyphenated", None),
        ("soft\u00adened", "softened", "soft\u00adened"),
        ("softened", "soft\u00adened", "softened"),
        ("soft\u00ad\nened", "softened", "soft\u00ad\nened"),
        ("“It’s 5 – 6”", '"It\'s 5 - 6"', "“It’s 5 – 6”"),
        ("fell by −5 %", "fell by -5 %", "fell by −5 %"),
        ("- item - one -\n- item two", "item - one - - item", "item - one -\n- item"),
        ("from 2018-\n2019", "2018-2019", "2018-\n2019"),
    ],
)
def test_what_typesetting_does_is_forgiven(text, quote, expected):
    """White space, hyphens at line ends, soft hyphens, typographic marks; what is returned is the file's own."""
    if expected is None:
        expected = text.split(" of a ", maxsplit=1)[0][2:] + " of a hyphen-\nated"
    assert found(text, quote) == expected


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        ("Net revenue was flat.", "net revenue"),
        ("Net revenue was flat.", "Net revenue, was"),
        ("Net revenue was flat.", "Net revenues"),
        ("Net revenue was flat.", ""),
        ("Net revenue was flat.", " \n"),
        ("Net revenue was flat.", "\u00ad"),
        ("", "Net"),
        ("long-term", "longterm"),
        ("longterm", "long-term"),
        ("long-term", "long- term"),
        ("10-\n20 mg", "1020 mg"),
        ("two words", "twowords"),
        ("Aspirin 75 mg", "5 mg"),
        ("1,577 million", "577 million"),
        ("1,577 million", "1,5"),
        ("ratio 12.5", "ratio 12"),
        ("in 2018", "in 20"),
        ("p < 0.05", "p < 0.050"),
        ("a … b", "a b"),
    ],
)
def test_nothing_else_is_forgiven(text, quote):
    """Other letters, figures, case, punctuation; in-line hyphens; numbers cut in two."""
    assert verify(text, quote) is None


def test_a_cut_number_does_not_hide_a_whole_one():
    """The first place that holds the quote counts, not the first place that looks like it."""
    text = "75 mg at first, then 5 mg."
    assert verify(text, "5 mg").start == text.index("5 mg.")


def letters(text):
    """What of a text is neither white space nor hyphen, typed plainly."""
    return "".join(mark for mark in text.replace("“", '"') if mark not in "- \n\u00ad")


@given(st.text(alphabet='ab -\n\u00ad“"5.,', max_size=60), st.data())
def test_every_stretch_of_a_text_is_found_where_it_reads_the_same(text, data):
    """Any stretch that doesn't cut a number is found, within the bounds asked, and reads like the quote."""
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    quote = text[start:end]
    span = verify(text, quote, (start, end))
    if span is not None:
        assert start <= span.start <= span.end <= end
        assert letters(text[span.start : span.end]) == letters(quote)
    else:
        in_a_number = [set(text[max(0, edge - 1) : edge + 1]) <= set("5.,") for edge in (start, end)]
        assert not quote.strip() or any(in_a_number)


def test_verifying_takes_linear_time():
    """Repetitive text and a quote that nearly matches everywhere cost no more than their lengths."""
    began = time.process_time()
    assert verify("a-b " * 50_000, "ab " * 2_000 + "c") is None
    assert verify("aa-\n" * 50_000, "a" * 5_000 + "b") is None
    assert verify(" " * 200_000, "a b") is None
    assert verify("-" * 200_000, "- -" * 100) is None
    assert time.process_time() - began < 5


# -- receipt -----------------------------------------------------------------------------------------------------------


@given(documents(), st.data())
def test_read_coarse_and_unread_partition_the_document(document, data):
    """Over random trees, runs and coarse nodes: sums add up, and what is listed is exactly what wasn't read."""
    tree = built(document)
    if tree is None:
        return
    leaves = len(tree.leaves)
    bounds = data.draw(st.lists(st.tuples(st.integers(0, leaves), st.integers(0, leaves)), max_size=5))
    runs = [(min(pair), max(pair)) for pair in bounds]
    coarse = data.draw(st.lists(st.integers(0, len(tree) - 1), max_size=4))
    told = receipt(tree, estimate(tree, "What was the dose of warfarin?"), runs, coarse)
    assert told.read_tokens + told.coarse_tokens + told.unread_tokens == told.document_tokens == tree.tokens
    read = np.zeros(leaves, dtype=bool)
    for low, high in runs:
        read[low:high] = True
    assert told.read_tokens == tree.leaves.tokens[read].sum()
    listed = np.zeros(leaves, dtype=int)
    for one in told.unread:
        node = tree.find(one.node)
        listed[node.low : node.high] += 1
        assert not read[node.low : node.high].any()
        assert one.tokens == node.tokens
    assert listed.max(initial=0) <= 1
    furniture = tree.leaves.kind == LeafKind.FURNITURE
    assert (read | (listed == 1) | furniture).all()
    assert [one.relevance for one in told.unread] == sorted((one.relevance for one in told.unread), reverse=True)


def test_the_unread_are_the_largest_nodes_that_were_not_touched():
    """Without coarse nodes they are the coarse part of the coarsest cut; coarse nodes are told apart."""
    tree = outline(chart())
    relevance = estimate(tree, "What was the INR on 3 May?")
    told = receipt(tree, relevance, [(0, 2)])
    expected = {part.node for part in cover(tree, [(0, 2)]) if part.resolution == "coarse"}
    listed = {tree.find(one.node).number for one in told.unread}
    assert listed <= expected
    assert all(tree.leaves.kind[tree.nodes.low[node]] == LeafKind.FURNITURE for node in expected - listed)
    section = next(number for number in range(len(tree)) if tree.title(number) == "Laboratory")
    seen = {one.title: one.seen for one in receipt(tree, relevance, [(0, 2)], [section]).unread}
    assert seen["Laboratory"] == "coarse"
    assert seen["Social history"] == "no"


def test_nothing_read_is_one_entry_and_all_read_none():
    """The extremes: the root alone, or nothing."""
    tree = outline(chart())
    relevance = estimate(tree, "What was the INR?")
    assert [one.node for one in receipt(tree, relevance, []).unread] == [(0,)]
    assert receipt(tree, relevance, [(0, len(tree.leaves))]).unread == ()


# -- what is printed ---------------------------------------------------------------------------------------------------


def test_the_dictionary_is_plain_and_has_the_promised_shape():
    """`to_dict` survives JSON and holds what the command line promises."""
    tree = outline(chart())
    answer = Answer(
        text="1.2",
        confidence=0.5,
        confidence_basis=(("verified", 1.0),),
        citations=(Citation(quote="1.2", source="chart.md", start=3, end=6, verified=True),),
        receipt=receipt(tree, estimate(tree, "INR?"), [(0, 3)]),
        usage=Usage(input_tokens=90, output_tokens=10, calls=1, cost_usd=0.0),
        by_stage=(("compose", Usage(input_tokens=90, output_tokens=10, calls=1, cost_usd=0.0)),),
        budget=Budget(1_000),
    )
    record = json.loads(json.dumps(answer.to_dict()))
    assert {"text", "abstained", "confidence", "citations", "usage", "budget", "unread"} <= record.keys()
    assert record["citations"] == [
        {"quote": "1.2", "source": "chart.md", "page": None, "start": 3, "end": 6, "verified": True}
    ]
    assert record["usage"]["total_tokens"] == 100
    assert record["usage"]["by_stage"]["compose"]["calls"] == 1
    assert record["usage"].keys() == {
        "input_tokens", "output_tokens", "total_tokens", "calls", "cost_usd", "by_stage",
    }  # fmt: skip
    assert record["budget"] == {"total_tokens": 1_000, "spent_tokens": 100}
    assert record["unread"][0].keys() == {"node", "title", "source", "pages", "tokens", "relevance", "seen"}
    assert answer.unread == answer.receipt.unread


def test_a_citation_as_a_line():
    """White space is one blank, and a row stands behind its column heads."""
    assert Citation(quote="INR  4.8\n 1.2", source="a").line == "INR 4.8 1.2"
    assert Citation(quote="4.8", source="a", context="INR, 3 May").line == "INR, 3 May: 4.8"
