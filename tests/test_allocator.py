from dataclasses import replace

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_planner import built

from hierarchy import allocator
from hierarchy.allocator import LABEL_TOKENS, POLICIES, Allocation, Grant, cover, expected_gain, reading_order, top_k
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


@given(estimates())
@settings(max_examples=60)
def test_the_greedy_takes_the_best_density_at_every_step(drawn):
    """Each grant has at least the gain per token that any other candidate would have had in its place.

    What stands beside something taken counts for more, furniture between aside.
    """
    tree, relevance = drawn
    if tree is None:
        return
    gains = dict(zip(relevance.candidates.tolist(), relevance.gain.tolist(), strict=True))
    cost = np.where(relevance.skip, 0, tree.leaves.tokens)
    taken = []

    def density(node):
        low, high = int(tree.nodes.low[node]), int(tree.nodes.high[node])
        inside = sum(part for a, b, part in taken if low <= a and b <= high)
        bonus = 1 + relevance.continuity * any(beside(low, high, a, b) for a, b, _ in taken)
        return bonus * max(0.0, gains[node] - inside) / (cost[low:high].sum() + LABEL_TOKENS)

    def beside(low, high, a, b):
        between = range(b, low) if b <= low else range(high, a)
        apart = b <= low or high <= a
        return apart and tree.leaves.file[low] == tree.leaves.file[a] and all(relevance.skip[leaf] for leaf in between)

    for grant in expected_gain(tree, relevance, 10**9).grants:
        left = [node for node in gains if cost[tree.nodes.low[node] : tree.nodes.high[node]].sum()]
        assert density(grant.node) >= max(map(density, left)) - 1e-9
        low, high = int(tree.nodes.low[grant.node]), int(tree.nodes.high[grant.node])
        taken.append((low, high, grant.gain))
        cost[low:high] = 0


def test_what_goes_on_behind_furniture_of_its_own_stands_beside():
    """A passage that begins with a page's header goes on from the one before it: it goes before an equal."""
    text = "".join(
        f"# Part {n}\n\nThe first of {n} says one thing.\n\nThe second of {n} says another.\n\n" for n in range(9)
    )
    tree = outline(Document(name="report.md", text=text, media="markdown"))
    nodes = tree.nodes
    before, behind = next(
        (a, b)
        for a in range(1, len(tree))
        for b in range(a + 1, len(tree))
        if nodes.high[a] == nodes.low[b] and nodes.high[b] - nodes.low[b] > 1 and not nodes.high[a] - nodes.low[a] > 3
    )
    rival = next(
        node
        for node in range(len(tree) - 1, 0, -1)
        if nodes.high[node] - nodes.low[node] > 1 and nodes.low[node] > nodes.high[behind] + 1
    )
    skip = np.zeros(len(tree.leaves), dtype=np.bool_)
    skip[nodes.low[behind]] = True
    candidates = np.array(sorted([before, behind, rival]))
    sizes = {
        node: int(
            tree.leaves.tokens[nodes.low[node] : nodes.high[node]][~skip[nodes.low[node] : nodes.high[node]]].sum()
        )
        for node in candidates.tolist()
    }
    equal = {behind: 0.4 * (sizes[behind] + LABEL_TOKENS) / 100, rival: 0.44 * (sizes[rival] + LABEL_TOKENS) / 100}
    gain = np.array([{**equal, before: 1.0}[node] for node in candidates.tolist()])
    relevance = replace(estimate(tree, "What is said?"), candidates=candidates, gain=gain, skip=skip, continuity=0.3)
    order = [grant.node for grant in expected_gain(tree, relevance, 10**6).grants]
    assert order == [before, behind, rival]
    apart = replace(relevance, continuity=0.0)
    assert [grant.node for grant in expected_gain(tree, apart, 10**6).grants] == [before, rival, behind]


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


def test_which_files_is_asked_of_all_of_them():
    """Where it is asked which of several files, passages come from more of them before any is read twice over."""
    clauses = {
        "a.txt": "A royalty is due. The royalty is paid monthly. Royalty reports follow. Late royalty bears interest.",
        "b.txt": "The royalty is nine percent of sales.",
        "c.txt": "No royalty is owed on samples.",
    }
    parts = tuple(Document(name=name, text=f"{text}\n\n{long_text(30)}") for name, text in clauses.items())
    tree = outline(Document(name="contracts", media="folder", parts=parts))

    def files_of_the_first(count, question):
        grants = expected_gain(tree, estimate(tree, question), 2_000).grants[:count]
        return {int(tree.leaves.file[tree.nodes.low[grant.node]]) for grant in grants}

    assert files_of_the_first(6, "Which of these contracts mention a royalty?") == {0, 1, 2}
    spread = allocator._Spread(tree, estimate(tree, "When is the royalty paid?"))
    spread.take(0)
    assert spread.share(0) == 1


def test_what_stands_beside_a_taken_passage_is_worth_more():
    """Of two equal passages the one that goes on where reading began is taken; without continuity it is the first."""
    tree = outline(Document(name="n", text=long_text(60)))
    low = tree.leaf_nodes
    gain = np.full(len(low), 0.1)
    gain[30] = 0.5
    relevance = Relevance(
        question=Question(text="?", terms=()),
        node=np.zeros(len(tree)),
        leaf=gain,
        candidates=low,
        gain=gain,
        skip=np.zeros(len(low), dtype=bool),
        grain_tokens=0,
    )
    tokens = int(tree.leaves.tokens[30]) + 2 * int(tree.leaves.tokens.max())
    apart = leaves_of(expected_gain(tree, relevance, tokens))
    together = leaves_of(expected_gain(tree, replace(relevance, continuity=0.5), tokens))
    assert apart[0] == together[0] == 30
    assert sorted(together) == list(range(min(together), max(together) + 1))
    assert len(together) > 1
    assert not set(apart) & {29, 31}


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
