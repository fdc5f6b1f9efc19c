"""The greedy's sequence: the best density at every step, whatever was taken before."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from documents import long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_allocator import estimates, leaves_of

from hierarchy import greedy
from hierarchy.allocator import expected_gain
from hierarchy.document import Document
from hierarchy.greedy import LABEL_TOKENS, GainSequence
from hierarchy.planner import outline
from hierarchy.relevance import Question, Relevance, estimate


@st.composite
def folders(draw):
    """Several files of sentences alike in length, with made-up gains for each: what a file is worth decides."""
    sizes = draw(st.lists(st.integers(2, 8), min_size=2, max_size=4))
    parts = tuple(
        Document(name=f"{n}.txt", text=" ".join(f"Clause {k} of part {n} stands here." for k in range(size)))
        for n, size in enumerate(sizes)
    )
    tree = outline(Document(name="folder", media="folder", parts=parts))
    leaves = len(tree.leaves)
    gains = np.array(draw(st.lists(st.integers(1, 99), min_size=leaves, max_size=leaves))) / 100
    question = Question(text="?", terms=(), wants_files=True)
    continuity = draw(st.sampled_from([0.0, 0.3, 2.0]))
    order = np.argsort(tree.leaf_nodes)
    return tree, Relevance(
        question=question,
        node=np.zeros(len(tree)),
        leaf=gains,
        candidates=tree.leaf_nodes[order],
        gain=gains[order],
        skip=np.zeros(leaves, dtype=np.bool_),
        grain_tokens=0,
        continuity=continuity,
    )


def is_greedy(tree, relevance):
    """Whether each grant has at least the gain per token that any other candidate would have had in its place.

    Reckoned anew at every step, from what was taken before: what stands beside it counts for more, furniture between
    aside; where it is asked which of several files, what stands in a file of it counts for less.
    """
    spreads = relevance.question.wants_files and len(tree.files) > 1
    file_of = tree.leaves.file
    gains = dict(zip(relevance.candidates.tolist(), relevance.gain.tolist(), strict=True))
    cost = np.where(relevance.skip, 0, tree.leaves.tokens)
    taken = []

    def density(node):
        low, high = int(tree.nodes.low[node]), int(tree.nodes.high[node])
        inside = sum(part for a, b, part in taken if low <= a and b <= high)
        share = 0.6 ** sum(file_of[a] == file_of[low] for a, _, _ in taken) if spreads else 1
        bonus = 1 + relevance.continuity * any(beside(low, high, a, b) for a, b, _ in taken)
        return bonus * max(0.0, share * gains[node] - inside) / (cost[low:high].sum() + LABEL_TOKENS)

    def beside(low, high, a, b):
        between = range(b, low) if b <= low else range(high, a)
        apart = b <= low or high <= a
        return apart and file_of[low] == file_of[a] and all(relevance.skip[leaf] for leaf in between)

    for grant in expected_gain(tree, relevance, 10**9).grants:
        left = [node for node in gains if cost[tree.nodes.low[node] : tree.nodes.high[node]].sum()]
        if density(grant.node) < max(map(density, left)) - 1e-9:
            return False
        low, high = int(tree.nodes.low[grant.node]), int(tree.nodes.high[grant.node])
        taken.append((low, high, grant.gain))
        cost[low:high] = 0
    return True


@given(estimates(), st.booleans())
@settings(max_examples=60)
def test_the_greedy_takes_the_best_density_at_every_step(drawn, wants_files):
    """Whatever the tree and its nested candidates."""
    tree, relevance = drawn
    if tree is not None:
        relevance = replace(relevance, question=Question(text="?", terms=(), wants_files=wants_files))
        assert is_greedy(tree, relevance)


@given(folders())
@settings(max_examples=60)
def test_the_greedy_weighs_files_against_each_other(drawn):
    """A file of which something was taken stands back behind the others, by as much as one passage says of it."""
    tree, relevance = drawn
    assert is_greedy(tree, relevance)
    assert sorted(leaves_of(expected_gain(tree, relevance, 10**9))) == list(range(len(tree.leaves)))


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
    spread = greedy._Spread(tree, estimate(tree, "When is the royalty paid?"))
    spread.take(0)
    assert (spread.parts, spread.share(0)) == (1, 1.0)


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


@given(estimates())
@settings(max_examples=30)
def test_the_sequence_is_one_however_often_it_is_read(drawn):
    """Made as far as it is wanted and kept: read in part, then twice in full."""
    tree, relevance = drawn
    if tree is not None:
        sequence = GainSequence(tree, relevance)
        first = [step for step, _ in zip(sequence, range(2), strict=False)]
        again = list(sequence)
        assert again[: len(first)] == first
        assert again == list(sequence)
