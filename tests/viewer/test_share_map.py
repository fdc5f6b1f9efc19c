"""The map on shared pages: it says of every part what the receipt and the terminal's map say, and folds the rest."""

from __future__ import annotations

import pytest
from share_traces import extractive, hostile, report, staged
from traced import RUNS, trace_of

from hierarchy.events import Mapped
from hierarchy.redaction import redacted
from hierarchy.trace import Trace
from hierarchy.viewer.share_html import trace_html
from hierarchy.viewer.share_map import Branch, read_map
from hierarchy.viewer.share_story import Story
from hierarchy.viewer.share_text import trace_markdown
from hierarchy.viewer.treemap import TreeMap


def rows(branch: Branch):
    yield branch
    for below in branch.below:
        yield from rows(below)


@pytest.mark.parametrize("name", [name for name in RUNS if name != "version-1"])
def test_it_agrees_with_the_terminal_on_every_node(name):
    """Two ways to reckon the same: how closely each node was looked at."""
    trace = trace_of(name)
    mine, theirs = read_map(Story(trace)), TreeMap.of(trace)
    assert [mine.resolution(number) for number in range(len(mine.shape))] == [
        theirs.state(number) for number in range(len(mine.shape))
    ]


@pytest.mark.parametrize("name", ["demo", "staged", "branches", "abstaining"])
def test_what_was_read_and_refined_is_what_the_receipt_says(name):
    trace = trace_of(name)
    found = read_map(Story(trace))
    assert found.read[0] + found.refined[0] == trace.receipt()["read_tokens"]
    assert sum(section.tokens for section in found.sections()) == sum(read.tokens for read in trace.reads())


@pytest.mark.parametrize("name", ["demo", "staged", "branches"])
def test_rows_cover_what_was_touched_and_nothing_twice(name):
    """Every part that was read, granted or refined has a row, and parts of an opened row don't exceed it."""
    found = read_map(Story(trace_of(name)))
    shown = list(rows(found.root()))
    assert len({row.node for row in shown if row.together == 1}) == sum(row.together == 1 for row in shown)
    for row in shown:
        assert sum(below.tokens for below in row.below) <= row.tokens
        assert sum(below.read for below in row.below) <= row.read
        if row.below and row.touched and row.read and row.kind not in ("passage", "sentence"):
            assert sum(below.read for below in row.below) == row.read
    assert len(shown) < 600


def test_parts_of_which_nothing_was_read_are_one_row_together():
    together = [row for row in rows(read_map(Story(extractive())).root()) if row.together > 1]
    assert together
    assert all(row.read == row.granted == 0 and row.resolution == "unread" for row in together)
    named = [row for row in together if row.below]
    assert named
    assert all(row.title.startswith(f"{row.together:,} ") and " – " in row.title for row in named)


def test_names_come_from_the_document_where_it_is_at_hand():
    """Passages have no titles: with the tree they are called by the words they begin with."""
    bare = {row.title for row in rows(read_map(Story(extractive())).root())}
    named = {row.title for row in rows(read_map(Story(extractive()), report()).root())}
    assert "Passage" in bare
    assert "Passage" not in named


def test_a_redacted_trace_keeps_its_map():
    mine, theirs = read_map(Story(redacted(staged()))), read_map(Story(staged()))
    assert (mine.read, mine.granted, mine.refined, mine.coarse) == (
        theirs.read, theirs.granted, theirs.refined, theirs.coarse,
    )  # fmt: skip
    assert all(row.title.startswith("node ") for row in rows(mine.root()) if mine.shape.declared(
        mine.shape.numbers[row.node]) and row.together == 1)  # fmt: skip


def test_a_tree_too_deep_to_be_one_of_ours_is_none():
    """A chain of ten thousand nodes, made up to exhaust whoever draws it."""
    many = 10_000
    chain = Mapped(
        parents=range(-1, many - 1), kinds=[0] * many, tokens=[1] * many, files=[0] * many, starts=[0] * many,
        ends=[1] * many, pages=[0] * many, kind_names=("group",),
    )  # fmt: skip
    trace = Trace(tuple(chain if isinstance(event, Mapped) else event for event in hostile("words")))
    assert read_map(Story(trace)) is None
    assert len(trace_html(redacted(trace))) > 1_000


def test_gathered_context_is_told_as_such():
    """No answer was asked for; what was granted is what was gathered."""
    trace = trace_of("gathered")
    story = Story(trace)
    assert story.complete
    gathered = sum(grant.tokens for grant in trace.grants())
    for text in (trace_html(trace), trace_markdown(trace)):
        assert "No answer was asked for" in text.replace("*", "")
        assert f"{gathered:,} tokens of context were gathered" in text
