"""Meaning beside words: vectors that are made once, likeness that is what it says, and nothing of it unless asked."""

from __future__ import annotations

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import HealthCheck, given, settings
from test_planner import built

from hierarchy.document import Document
from hierarchy.planner import outline
from hierarchy.relevance import Index, describe_question, estimate, shipped_forest
from hierarchy.relevance.embedding import MODEL, can_embed
from hierarchy.relevance.features import FEATURES, SEMANTIC
from hierarchy.relevance.index import GRAINS
from hierarchy.relevance.semantic import PASSAGE_TOKENS, embedded, has_vectors, likeness
from hierarchy.tree import Vectors

TALK = Document(
    name="talk.txt",
    text=f"{long_text(120)}\n\nThe physician discontinued the drug on Monday.\n\n{long_text(120)}",
)
LAYER = GRAINS.index(PASSAGE_TOKENS)


def column(found, feature):
    return found.features[:, list(FEATURES).index(feature)]


class TestVectors:
    def test_they_are_made_once(self, meaning_by_concept):
        """One per passage, of its text; what is asked next takes only the question's own."""
        tree = outline(TALK)
        index, told = Index(tree), []
        vectors = embedded(tree, index, lambda *done: told.append(done))
        passages = index.grains[LAYER]
        assert has_vectors(tree)
        assert len(vectors.rows) == len(passages)
        assert {text for text in meaning_by_concept if text} == {
            tree.text(int(tree.nodes.low[node]), int(tree.nodes.high[node])) for node in passages.nodes
        }
        assert told[0] == (0, len(passages), "embedding")
        meaning_by_concept.clear()
        assert embedded(tree, index) is vectors
        likeness(index, "Who?")
        assert meaning_by_concept == ["Who?"]

    def test_those_of_another_model_are_no_good(self, meaning_by_concept):
        """They mean something else."""
        tree = outline(chart())
        tree.vectors = Vectors(made_by="another", rows=np.ones((1, 3), dtype=np.float16))
        assert not has_vectors(tree)
        assert embedded(tree, Index(tree)).made_by == MODEL


class TestLikeness:
    def test_it_is_the_cosine_of_the_passage_around(self, meaning_by_concept):
        """And its place among the others in three ways."""
        tree = outline(TALK)
        index = Index(tree)
        layer = index.grains[LAYER]
        found = likeness(index, "Who ended the medicine?")
        best = next(n for n, text in enumerate(tree.leaf_texts()) if "physician" in text)
        assert set(found) == set(SEMANTIC)
        assert found["semantic"].argmax() == layer.low[layer.of_leaf[best]]
        assert found["semantic_rank"][best] == 1.0
        assert found["semantic_near"].argmax() <= best
        question = np.array([0.0, 1.0, 1.0, 0.0, 0.1]) / np.sqrt(2.01)
        passage = np.array([1.0, 1.0, 1.0, 0.0, 0.1]) / np.sqrt(3.01)
        assert found["semantic"][best] == pytest.approx(question @ passage, abs=1e-3)
        of_passages = found["semantic"][layer.low]
        assert found["semantic_apart"][layer.low] == pytest.approx(
            (of_passages - of_passages.mean()) / of_passages.std(), abs=1e-4
        )
        at = int(layer.of_leaf[best])
        near = (of_passages[at - 2 : at + 3].mean() - of_passages.mean()) / of_passages.std()
        assert found["semantic_near"][best] == pytest.approx(near, abs=1e-4)
        assert sorted(1 / found["semantic_rank"][layer.low]) == pytest.approx(np.arange(len(layer)) + 1)

    @settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
    @given(document=documents())
    def test_it_is_finite_whatever_the_document(self, meaning_by_concept, document):
        """Blank passages and single ones too."""
        tree = built(document)
        if tree:
            for name, values in likeness(Index(tree), "").items():
                assert np.isfinite(values).all(), name
                assert len(values) == len(tree.leaves)


class TestFeatures:
    QUESTION = "Who ended the medicine?"

    def test_a_passage_is_found_that_shares_no_word(self, meaning_by_concept):
        """At every grain, among so many others that by words it would not have been described at all."""
        tree = outline(Document(name="t", text=TALK.text.replace("clause", "medicine")))
        leaf = tree.leaf_nodes[next(n for n, text in enumerate(tree.leaf_texts()) if "physician" in text)]
        index = Index(tree)
        assert leaf in describe_question(index, "Who ended it?", semantic=True).nodes
        found = describe_question(index, self.QUESTION, semantic=True)
        around = (tree.nodes.low[found.nodes] <= tree.nodes.low[leaf]) & (
            tree.nodes.high[found.nodes] > tree.nodes.low[leaf]
        )
        assert set(found.grain[around]) == set(range(len(GRAINS)))
        assert (column(found, "semantic_rank")[around] == 1.0).all()
        assert column(found, "semantic")[around] == pytest.approx(column(found, "semantic").max())

    def test_without_it_nothing_of_it_is_told_and_no_model_is_asked(self, meaning_by_concept):
        """The columns are there and empty; the rest is what it was."""
        tree = outline(chart())
        found = describe_question(Index(tree), self.QUESTION)
        assert not any(column(found, name).any() for name in SEMANTIC)
        estimate(tree, self.QUESTION)
        assert meaning_by_concept == []
        assert tree.vectors is None


@pytest.mark.skipif(not can_embed(), reason="the model's package isn't installed")
def test_the_model_itself_finds_what_words_do_not():
    """The passage that says it comes first by meaning, though it shares no word with the question."""
    said = (
        "\n\nThe heart surgeon suspended the blood thinner because of haemorrhage. It had begun overnight at the "
        "wound, and the clotting values were far too high. The nurse on the ward noted the hour.\n\n"
    )
    tree = outline(Document(name="t", text=long_text(75) + said + long_text(75)))
    question = "Why did the physician stop anticoagulant drugs?"
    found = describe_question(Index(tree), question, semantic=True)
    first = found.nodes[(column(found, "semantic_rank") == 1.0) & (found.grain == LAYER)]
    assert ["blood thinner" in tree.text(int(tree.nodes.low[n]), int(tree.nodes.high[n])) for n in first] == [True]
    ours, words = (estimate(tree, question, forest=shipped_forest(semantic=semantic)) for semantic in (True, False))
    leaf = next(n for n, text in enumerate(tree.leaf_texts()) if "blood thinner" in text)
    place = [(estimated.leaf > estimated.leaf[leaf]).sum() for estimated in (ours, words)]
    assert place[0] < place[1]
