from dataclasses import replace

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given
from hypothesis import strategies as st
from test_planner import built

from hierarchy import allocator
from hierarchy.allocator import POLICIES, Allocation, Grant, cover, expected_gain, reading_order, top_k
from hierarchy.document import Document
from hierarchy.errors import InputError
from hierarchy.planner import outline
from hierarchy.relevance import Question, Relevance, estimate

QUESTION = "What was the capital expenditure in 2018?"


def leaves_of(allocation):
    """All granted leaves, as often as they are granted."""
    return [leaf for low, high in allocation.runs for leaf in range(low, high)]


@st.composite
def estimates(draw):
    """A tree with made-up gains over nested candidates of any size, as a learned estimator would give."""
    tree = built(draw(documents()))
    if tree is None:
        return None, None
    chosen = sorted(draw(st.sets(st.integers(0, len(tree) - 1), min_size=1, max_size=12)))
    gains = draw(st.lists(st.floats(0, 1), min_size=len(chosen), max_size=len(chosen)))
    leaf = draw(st.lists(st.floats(0, 1), min_size=len(tree.leaves), max_size=len(tree.leaves)))
    skip = draw(st.lists(st.booleans(), min_size=len(tree.leaves), max_size=len(tree.leaves)))
    return tree, Relevance(
        question=Question(text="?", terms=()),
        node=np.linspace(0, 1, len(tree)),
        leaf=np.array(leaf),
        candidates=np.array(chosen),
        gain=np.array(gains),
        skip=np.array(skip),
        grain_tokens=0,
        continuity=draw(st.sampled_from([0.0, 0.3, 2.0])),
    )


@given(estimates(), st.integers(0, 400), st.sampled_from(sorted(POLICIES)))
def test_no_policy_grants_more_than_there_is_or_a_leaf_twice(drawn, tokens, name):
    """Whatever the gains, grants fit the tokens, count what they say, don't overlap and leave out what is skipped."""
    tree, relevance = drawn
    if tree is None:
        return
    allocation = POLICIES[name](tree, relevance, tokens)
    leaves = leaves_of(allocation)
    assert allocation.tokens <= tokens
    assert len(leaves) == len(set(leaves))
    assert not relevance.skip[leaves].any()
    for grant in allocation.grants:
        inside = [leaf for low, high in grant.leaves for leaf in range(low, high)]
        assert grant.tokens == tree.leaves.tokens[inside].sum()
        assert all(tree.nodes.low[grant.node] <= leaf < tree.nodes.high[grant.node] for leaf in inside)
        assert 0 <= grant.gain <= 1


@given(estimates(), st.integers(0, 300), st.integers(0, 300), st.booleans())
def test_more_budget_never_loses_a_leaf(drawn, tokens, more, wants_files):
    """The default policy is monotone: every leaf granted for a budget is granted for any larger one."""
    tree, relevance = drawn
    if tree is not None:
        relevance = replace(relevance, question=Question(text="?", terms=(), wants_files=wants_files))
        few = leaves_of(expected_gain(tree, relevance, tokens))
        many = leaves_of(expected_gain(tree, relevance, tokens + more))
        assert set(few) <= set(many)


@given(estimates(), st.integers(0, 400))
def test_the_cut_of_an_allocation_covers_every_leaf_once(drawn, tokens):
    """Grants amount to a cut: each leaf is under exactly one node, read or coarse, as granted."""
    tree, relevance = drawn
    if tree is None:
        return
    allocation = expected_gain(tree, relevance, tokens)
    granted = set(leaves_of(allocation))
    seen = []
    for one in allocation.cut(tree):
        inside = range(int(tree.nodes.low[one.node]), int(tree.nodes.high[one.node]))
        seen += inside
        assert all((leaf in granted) == (one.resolution == "verbatim") for leaf in inside)
    assert seen == list(range(len(tree.leaves)))


def test_an_unlimited_budget_reads_everything_but_furniture():
    """With tokens to spare the fixed formula's passages cover the whole document."""
    tree = outline(chart())
    relevance = estimate(tree, "Why was warfarin stopped?")
    left_out = set(range(len(tree.leaves))) - set(leaves_of(expected_gain(tree, relevance, 10**6)))
    assert left_out == set(np.flatnonzero(relevance.skip).tolist())


def test_the_best_passage_comes_first():
    """The order of preference begins with what answers the question."""
    tree = outline(chart())
    runs = reading_order(tree, estimate(tree, "When was warfarin stopped?"), 60)
    assert "Warfarin was stopped on 3 May 2024" in tree.text(*runs[0])


def test_uniform_and_proportional_share_among_branches():
    """`uniform` gives every branch about the same; `proportional` gives relevant branches more."""
    tree = outline(Document(name="n", text=long_text(600)))
    relevance = estimate(tree, "What does clause 17 say of item 18?")
    branches = allocator._branches(tree)

    def tokens_by_branch(name):
        grants = POLICIES[name](tree, relevance, 3_000).grants
        at = np.searchsorted(tree.nodes.low[branches], [tree.nodes.low[g.node] for g in grants], "right") - 1
        return np.bincount(at, weights=[g.tokens for g in grants], minlength=len(branches))

    even, weighted = tokens_by_branch("uniform"), tokens_by_branch("proportional")
    assert even.max() - even.min() < 100
    assert weighted.argmax() == relevance.node[branches].argmax()
    assert weighted.std() > even.std()


def test_top_k_reads_k_passages():
    """`top_k` stops at its number however much budget is left."""
    tree = outline(Document(name="n", text=long_text(100)))
    relevance = estimate(tree, "What does clause 17 say?")
    assert len(top_k(tree, relevance, 10**6, k=3).grants) == 3


def test_what_was_read_is_not_granted_again():
    """An estimate without some leaves leads to grants without them."""
    tree = outline(chart())
    relevance = estimate(tree, "When was warfarin stopped?")
    first = leaves_of(expected_gain(tree, relevance, 40))
    second = leaves_of(expected_gain(tree, relevance.without(np.array(first)), 40))
    assert first
    assert second
    assert not set(first) & set(second)


def test_negative_tokens_are_an_error_in_shares():
    """A share of less than nothing is refused rather than rounded."""
    tree = outline(chart())
    with pytest.raises(InputError, match="-1"):
        POLICIES["uniform"](tree, estimate(tree, QUESTION), -1)


def test_an_allocation_counts_its_grants():
    """Tokens and runs are those of the grants, in order of preference."""
    grants = (
        Grant(node=3, leaves=((4, 6),), tokens=7, gain=0.5),
        Grant(node=1, leaves=((0, 1), (2, 3)), tokens=5, gain=0.1),
    )
    allocation = Allocation(policy="p", budget_tokens=20, grants=grants)
    assert allocation.tokens == 12
    assert allocation.runs == ((4, 6), (0, 1), (2, 3))


def test_cover_of_nothing_is_the_root():
    """Where nothing is read the coarsest cut is the root alone."""
    tree = outline(chart())
    (only,) = cover(tree, ())
    assert (only.node, only.resolution) == (0, "coarse")


def test_what_is_granted_does_not_depend_on_what_was_asked_before():
    """Larger budgets, smaller ones and a changed estimate: each allocation is as if it were the first."""
    tree = outline(chart())
    asked = estimate(tree, "When was warfarin stopped?")
    budgets = (40, 400, 10, 10**6, 100)
    together = [expected_gain(tree, asked, tokens) for tokens in budgets]
    assert together == [expected_gain(tree, replace(asked), tokens) for tokens in budgets]
    first = together[1].grants[0].leaves[0][0]
    fewer = expected_gain(tree, asked.without(np.array([first])), 400)
    assert all(not low <= first < high for grant in fewer.grants for low, high in grant.leaves)
