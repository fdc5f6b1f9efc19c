import math

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given
from test_planner import built

from hierarchy.document import Document
from hierarchy.planner import outline
from hierarchy.relevance import index as index_module
from hierarchy.relevance.index import GRAINS, Index, bm25, matched_share
from hierarchy.terms import terms


@given(documents())
def test_positions_say_where_each_term_stands(document):
    """The leaves listed for a term are those whose text has it, once per occurrence."""
    tree = built(document)
    if tree:
        index = Index(tree)
        for number, name in enumerate(index.vocabulary.names):
            expected = [leaf for leaf in range(len(tree.leaves)) for t in terms(tree.leaf_text(leaf)) if t == name]
            assert index.leaves_with(number).tolist() == expected


@given(documents())
def test_layers_partition_the_leaves(document):
    """Every leaf lies in one stretch of each layer, and the stretches' lengths are those of their leaves."""
    tree = built(document)
    if tree:
        index = Index(tree)
        for layer in (*index.grains, index.pages, index.sections, index.files):
            assert layer.low[0] == 0
            assert layer.of_leaf.tolist() == sorted(layer.of_leaf.tolist())
            assert layer.of_leaf[layer.low].tolist() == list(range(len(layer)))
            assert layer.lengths.sum() == index.leaf_lengths.sum()


def test_bm25_is_the_textbook_formula():
    """Scores agree with Okapi BM25 written out by hand."""
    lengths = np.array([3.0, 5.0, 4.0])
    scores = bm25([(np.array([0, 0, 2]), 1.0)], lengths)
    rarity = math.log(1 + (3 - 2 + 0.5) / (2 + 0.5))
    norm = [1.5 * (0.25 + 0.75 * length / 4) for length in lengths]
    assert scores == pytest.approx([rarity * 2 * 2.5 / (2 + norm[0]), 0, rarity * 1 * 2.5 / (1 + norm[2])])


def test_a_share_is_one_where_everything_matches():
    """A stretch with all terms has share 1, one with none 0; a term found nowhere lowers all."""
    both = [(np.array([0, 1]), 1.0), (np.array([0]), 1.0)]
    assert matched_share(both, 2)[0] == pytest.approx(1)
    assert matched_share([*both, (np.array([], dtype=int), 1.0)], 2)[0] < 1


def test_pairs_must_be_neighbours_within_a_leaf():
    """A pair matches where its terms follow each other, not across sentences and not the other way round."""
    tree = outline(
        Document(name="n", text="Capital expenditure rose. Expenditure of capital. The capital. Expenditure.")
    )
    index = Index(tree)
    first, second = (index.vocabulary.number(terms(word)[0]) for word in ("capital", "expenditure"))
    assert index.leaves_with_pair(first, second).tolist() == [0]
    assert index.leaves_with_pair(first, -1).tolist() == []


def test_a_run_goes_on_without_a_gap():
    """Neighbours that follow each other add up; those that something stands between don't."""
    text = "Revenue dividend margin. Revenue dividend licence dividend margin. Royalty royalty licence margin."
    index = Index(outline(Document(name="n", text=text)))
    a, b, c = (index.vocabulary.number(terms(word)[0]) for word in ("revenue", "dividend", "margin"))
    rarity = index.tree.term_rarity
    pair = max(rarity[a] + rarity[b], rarity[b] + rarity[c])
    assert index.runs([(a, b), (b, c)]).tolist() == pytest.approx([rarity[[a, b, c]].sum(), pair, 0.0])
    assert index.runs([]).tolist() == [0.0, 0.0, 0.0]


def test_what_is_kept_of_terms_is_bounded(monkeypatch):
    """However many terms are asked for, and what is forgotten is found again."""
    monkeypatch.setattr(index_module, "_KEPT", 3)
    tree = outline(Document(name="n", text=long_text(60)))
    index, fresh = Index(tree), Index(tree)
    layer = index.grains[0]
    numbers = range(len(index.vocabulary.names))
    for number in (*numbers, *numbers):
        found = index.scores(layer, {number: 1.0})
        assert 0 < len(layer.held) <= 3
        fresh.grains[0].held.clear()
        assert (found == fresh.scores(fresh.grains[0], {number: 1.0})).all()


def test_grains_are_finer_first():
    """There is one layer per grain, each no finer than the one before."""
    index = Index(outline(Document(name="n", text=long_text(100))))
    sizes = [len(layer) for layer in index.grains]
    assert len(sizes) == len(GRAINS)
    assert sizes == sorted(sizes, reverse=True)


def test_what_a_document_looks_like():
    """Speech, tables and digits are told from the text."""
    talk = "".join(f"Speaker {'AB'[n % 2]}: well I think {n} of them\n" for n in range(40))
    assert Index(outline(Document(name="n", text=talk))).speech > 0.9
    index = Index(outline(chart()))
    assert index.speech < 0.1
    assert index.tabular > 0.3
    row = next(i for i, text in enumerate(index.tree.leaf_texts()) if "INR" in text)
    looks = index.looks
    assert looks.digits[row + 1] - looks.digits[row] == len("4.8") + len("1.2")
    assert looks.rows[-1] == len(index.tree.document.rows)
    assert looks.tokens[-1] == index.tree.tokens
