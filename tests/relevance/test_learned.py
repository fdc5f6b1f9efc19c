"""Learned relevance: the weights that come with the library, and what they make of a document."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from documents import chart, documents
from hypothesis import given
from hypothesis import strategies as st
from test_planner import built

import hierarchy
from hierarchy.errors import InputError
from hierarchy.evaluation.fit import _as_arrays
from hierarchy.planner import outline
from hierarchy.relevance import Index, describe_question, estimate, parse
from hierarchy.relevance.features import FEATURES, SEMANTIC, statistics_of
from hierarchy.relevance.formula import passage_relevance
from hierarchy.relevance.learned import SEMANTIC_WEIGHTS, WEIGHTS, judge, learned_relevance, shipped_forest
from hierarchy.relevance.lexicon import built_in, expand

QUESTIONS = ["What was the capital expenditure in 2018?", "Why was warfarin stopped?", "", "zzz qqq"]
BY_WORDS = [name for name in FEATURES if name not in SEMANTIC]


def scored(tree, question, forest=None):
    index, asked = Index(tree), parse(question)
    return learned_relevance(index, asked, expand(question, built_in()), passage_relevance(index, asked), forest)


@pytest.mark.parametrize("semantic", [False, True])
class TestWeights:
    """Those that judge by words, and those that also judge by meaning."""

    def test_every_column_is_a_feature_that_is_known(self, semantic):
        """Each once; what a split looks at is a column. All are there but those of meaning where that isn't judged."""
        forest = shipped_forest(semantic=semantic)
        assert set(forest.features) == set(FEATURES) - (set() if semantic else set(SEMANTIC))
        assert set(forest.asked(routed=True).features) == set(forest.features)
        assert len(set(forest.features)) == len(forest.features)
        assert forest.split_feature.max() < len(forest.features)

    def test_they_say_what_made_them(self, semantic):
        """Command, content hash of the data, seed, versions, and how many questions of which sets; nobody's paths."""
        origin = shipped_forest(semantic=semantic).origin
        assert origin["command"].startswith("hierarchy eval fit ")
        assert ("--semantic" in origin["command"]) == semantic
        assert len(origin["data"]) == 16
        assert int(origin["data"], 16) >= 0
        assert isinstance(origin["seed"], int)
        assert origin["questions"]
        assert all(number > 0 for number in origin["questions"].values())
        assert {"lightgbm", "numpy", "rounds"} <= origin.keys()
        assert "/" not in str(origin)

    def test_calibration_ascends_within_0_and_1(self, semantic):
        sums, probabilities = shipped_forest(semantic=semantic).calibration
        assert (np.diff(sums) >= 0).all()
        assert (np.diff(probabilities) >= 0).all()
        assert probabilities[0] > 0
        assert probabilities[-1] < 1

    def test_they_are_small(self, semantic):
        """A few hundred kilobytes."""
        assert (SEMANTIC_WEIGHTS if semantic else WEIGHTS).stat().st_size < 500_000


def test_weights_of_another_version_are_refused():
    """Those that look at what isn't described any more: the reader learns which feature, and what to do."""
    forest = shipped_forest()
    older = replace(forest, features=("number_of_vowels", *forest.features[1:]))
    with pytest.raises(InputError, match="number_of_vowels") as caught:
        estimate(outline(chart()), "Why was warfarin stopped?", forest=older)
    assert "hierarchy eval fit" in caught.value.hint


@given(documents(), st.sampled_from(QUESTIONS))
def test_passages_cover_every_leaf_and_each_stands_once(document, question):
    """And no leaf is more relevant than the best passage that holds it."""
    tree = built(document)
    if tree:
        found = scored(tree, question)
        assert (np.diff(found.nodes) > 0).all()
        assert ((found.probability >= 0) & (found.probability <= 1)).all()
        best = np.full(len(tree.leaves), -1.0)
        for node, probability in zip(found.nodes, found.probability, strict=True):
            inside = slice(int(tree.nodes.low[node]), int(tree.nodes.high[node]))
            best[inside] = np.maximum(best[inside], probability)
        assert (best >= 0).all()
        assert (found.leaf >= 0).all()
        assert (found.leaf <= best + 1e-12).all()


def test_what_is_not_described_comes_after_all_that_is():
    """A long document has more passages than are described; the others keep the formula's order, at the end."""
    tree = hierarchy.outline(hierarchy.sample("annual_report.pdf"))
    question = "What was the effective tax rate in fiscal 2025?"
    index, asked = Index(tree), parse(question)
    fallback = passage_relevance(index, asked)
    found = scored(tree, question)
    described = set(describe_question(index, question).nodes.tolist())
    alone = np.array([node not in described for node in found.nodes])
    assert alone.any()
    assert found.probability[alone].max() <= found.probability[~alone].max()
    formula = dict(zip(fallback.layer.nodes.tolist(), fallback.probability, strict=True))
    expected = np.array([formula[node] for node in found.nodes[alone].tolist()])
    assert (np.argsort(expected, kind="stable") == np.argsort(found.probability[alone], kind="stable")).all()


def test_other_weights_may_be_given():
    """Weights that say the same of everything find everything alike: a small document's leaves are all described."""
    tree = outline(chart())
    flat = _as_arrays({"feature_names": BY_WORDS, "tree_info": [{"tree_structure": {"leaf_value": 0.0}}]})
    question = "Why was warfarin stopped?"
    found = scored(tree, question, flat)
    assert found.probability == pytest.approx(0.5, abs=0.02)
    assert found.leaf == pytest.approx(0.5, abs=0.02)
    assert estimate(tree, question, forest=flat).gain.tolist() == found.probability.tolist()
    assert np.ptp(scored(tree, question).probability) > 0


def test_columns_are_found_by_name():
    """Weights that were grown on the features in another order say the same."""
    tree = outline(chart())
    forest = shipped_forest()
    order = np.arange(len(forest.features))[::-1]
    turned = replace(
        forest,
        features=tuple(forest.features[at] for at in order),
        split_feature=len(order) - 1 - forest.split_feature,
    )
    question = "When was apixaban begun?"
    assert (scored(tree, question, turned).probability == scored(tree, question).probability).all()


def test_an_alien_document_is_left_to_the_formula():
    """Passages are those of the formula, with its probabilities; one of a known kind isn't leant at all."""
    tree = outline(chart())
    question = "When was apixaban begun?"
    index, asked = Index(tree), parse(question)
    like = statistics_of(describe_question(index, question))
    forest = shipped_forest()
    familiar = replace(forest, known=np.stack([like + at / 100 for at in range(20)]))
    alien = replace(forest, known=familiar.known + 1_000)
    formula = passage_relevance(index, asked)
    by_node = dict(zip(formula.layer.nodes.tolist(), formula.probability.tolist(), strict=True))
    left = scored(tree, question, alien)
    assert left.probability == pytest.approx([by_node.get(node, 0.0) for node in left.nodes.tolist()])
    ours = scored(tree, question, replace(forest, known=forest.known[:0]))
    assert scored(tree, question, familiar).probability.tolist() == ours.probability.tolist()
    assert ours.probability.tolist() != left.probability.tolist()


def test_a_document_outside_of_the_kind_that_it_is_most_like_leans_on_the_formula():
    """By nine tenths where it stands far out, by part of it in between; though elsewhere documents differ as widely."""
    tree = outline(chart())
    index, question = Index(tree), parse("When was apixaban begun?")
    like = statistics_of(describe_question(index, question))
    expansion, formula = expand(question.text, built_in()), passage_relevance(index, question)

    def strangeness(steps):
        """Of a document so many steps outside of a row of twenty, beside twenty that differ ten times as much."""
        along = np.zeros(len(like))
        along[0] = 1.0
        narrow = [like + (steps + at) * along for at in range(20)]
        wide = [like + (1_000 + 10 * at) * along for at in range(20)]
        forest = replace(shipped_forest(), known=np.stack(narrow + wide))
        return judge(index, question, expansion, formula, forest).strangeness

    assert strangeness(1) == strangeness(5) == 0.0  # five steps are 1.7 times the mean of the next five
    assert 0.0 < strangeness(6) < 0.9
    assert strangeness(8) == strangeness(12) == pytest.approx(0.9)
