"""Tables that evidence stands in are kept whole, and each need has something of its own."""

from functools import partial

import numpy as np
from documents import documents
from hypothesis import given, settings
from hypothesis import strategies as st

import hierarchy
from hierarchy.allocator import expected_gain
from hierarchy.completing import LONGEST_TABLE_TOKENS, with_needs, with_whole_tables
from hierarchy.errors import DocumentEmpty
from hierarchy.evidence import Evidence, passage_of
from hierarchy.reading import read
from hierarchy.relevance import Routing, estimate, parse, routed
from hierarchy.tables import table_of

REPORT = hierarchy.outline(hierarchy.sample("annual_report.pdf"))


def leaf_with(text):
    return next(leaf for leaf in range(len(REPORT.leaves)) if text in REPORT.leaf_text(leaf))


def alone(leaf, relevance):
    """Evidence of one leaf."""
    return Evidence(passages=(passage_of(REPORT, relevance, leaf, leaf + 1),), order=((leaf, leaf + 1),))


def leaves_of(evidence):
    return {leaf for passage in evidence.passages for leaf in range(*passage.leaves)}


def test_a_statement_is_kept_whole_around_a_row_of_it():
    """All of its rows come along, and nothing from elsewhere; with too few tokens it stays as it is."""
    relevance = estimate(REPORT, "What were inventories?")
    row = leaf_with("Inventories 355.6")
    table = set(range(*table_of(REPORT, row)))
    assert len(table) > 3
    whole = with_whole_tables(REPORT, relevance, alone(row, relevance), LONGEST_TABLE_TOKENS)
    assert leaves_of(whole) == table
    assert leaves_of(with_whole_tables(REPORT, relevance, alone(row, relevance), 20)) == {row}


def test_a_need_of_which_nothing_was_chosen_gets_a_share():
    """The cash flow statement comes in beside a row of the balance sheet; one that is there already adds nothing."""
    asked = routed(
        parse("Is it healthy?"), Routing(terms=("inventories",), needs=("consolidated statements of cash flows",))
    )
    relevance = estimate(REPORT, asked)
    row = leaf_with("Inventories 355.6")
    found = with_needs(
        REPORT, relevance, alone(row, relevance), 300, policy=expected_gain, estimated=partial(estimate, REPORT)
    )
    added = leaves_of(found) - {row}
    assert any("ash flow" in REPORT.heading(leaf) or "ash flow" in REPORT.leaf_text(leaf) for leaf in added)
    assert int(REPORT.leaves.tokens[sorted(added)].sum()) <= 300
    again = with_needs(REPORT, relevance, found, 300, policy=expected_gain, estimated=partial(estimate, REPORT))
    assert leaves_of(again) == leaves_of(found)


@given(documents(), st.sampled_from(["Warfarin?", "margin in 2018"]), st.integers(1, 300), st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_it_adds_at_most_what_it_is_given(document, question, tokens, spare):
    """Nothing chosen is lost, passages stay apart, and the order covers them."""
    try:
        tree = hierarchy.outline(document)
    except DocumentEmpty:
        return
    asked = routed(parse(question), Routing(terms=("dose",), needs=("table of doses", "notes")))
    relevance = estimate(tree, asked)
    evidence = read(tree, relevance, tokens, expected_gain, 0.0).evidence(tokens)
    for completed in (
        with_whole_tables(tree, relevance, evidence, spare),
        with_needs(tree, relevance, evidence, spare, policy=expected_gain, estimated=partial(estimate, tree)),
    ):
        before, after = leaves_of(evidence), leaves_of(completed)
        assert before <= after
        assert int(tree.leaves.tokens[np.array(sorted(after - before), dtype=np.int64)].sum()) <= spare
        assert {leaf for low, high in completed.order for leaf in range(low, high)} >= after - before
