"""How stretches match a question: by the lexicons' and the routing's words, pairs of them and whole phrases."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy.loaders.markdown import read_markdown
from hierarchy.planner import outline
from hierarchy.relevance import Index, Routing, parse, routed
from hierarchy.relevance.index import GRAINS
from hierarchy.relevance.lexicon import Expansion
from hierarchy.relevance.matches import Matches, ranks, relative

TEXT = """# Audit rights

The licensor may inspect the books and records of the licensee. Books are sold in records shops.

# Fees

The licensee pays a fee each month. Nothing else is due.
"""


def matched(question="May anybody look into the accounts?", phrases=(), places=(), routing=None):
    """Matches of the text above, and how to read them at a leaf."""
    index = Index(outline(read_markdown("contract.md", TEXT)))
    words = tuple(dict.fromkeys(term for phrase in phrases for term in phrase))
    asked = parse(question) if routing is None else routed(parse(question), routing)
    found = Matches(index, asked, Expansion(words=words, phrases=phrases, places=places))

    def at(values, text):
        return float(values[next(n for n, words in enumerate(index.tree.leaf_texts()) if text in words)])

    return found, at


class TestLexicons:
    """What lexicons add counts by word, by neighbours and by phrase."""

    PHRASES = (("book", "record"), ("inspect",))

    def test_neighbours_count_where_they_stand_together(self):
        """Small words between them aside; the same words apart are no pair."""
        found, at = matched(phrases=self.PHRASES)
        own = found.own(0)
        assert at(own["lexicon_pairs"], "may inspect") == 1.0
        assert at(own["lexicon_pairs"], "Books are sold") == 0.0
        assert at(own["lexicon"], "Books are sold") > 0.0

    def test_the_share_of_phrases_that_a_stretch_holds(self):
        """Those words stand apart in one sentence and together in another: both hold the phrase's words."""
        found, at = matched(phrases=self.PHRASES)
        own = found.own(0)
        assert at(own["lexicon_phrases"], "may inspect") == 1.0
        assert at(own["lexicon_phrases"], "Books are sold") == 0.5
        assert at(own["lexicon_phrases"], "pays a fee") == 0.0

    def test_a_title_counts_by_the_place_that_it_names_best(self):
        found, at = matched(places=(("inspect", "audit"), ("fee",)))
        assert at(found.pages["place_title"], "pays a fee") == pytest.approx(1.0)
        assert 0.0 < at(found.pages["place_title"], "may inspect") < 1.0

    def test_without_them_nothing_matches(self):
        found, _ = matched()
        assert not found.has_lexicon
        for name, values in (found.own(0) | found.pages | found.leaves).items():
            if name.startswith(("lexicon", "place")):
                assert not values.any(), name


class TestRoutings:
    """What a routing names counts beside the question's own words."""

    def test_titles_that_hold_one_of_its_phrases(self):
        found, at = matched(routing=Routing(terms=("audit rights", "zzz")))
        assert at(found.pages["phrase_title"], "may inspect") == pytest.approx(1.0)
        assert at(found.pages["phrase_title"], "pays a fee") == 0.0
        assert found.routed_share == pytest.approx(2 / 3)

    def test_the_questions_own_words_stand_by_themselves(self):
        found, at = matched("Is a fee due?", routing=Routing(terms=("books and records",)))
        own = found.own(0)
        assert at(own["own"], "may inspect") > 0.0
        assert at(own["asked"], "may inspect") == 0.0
        assert at(own["routed"], "may inspect") > 0.0


def test_the_longest_run_of_the_questions_words():
    """Words in a row count together, and rare ones more; the same words apart are no run."""
    found, at = matched("Who looks into the books and records of the licensee?")
    runs = found.leaves["run"]
    assert at(runs, "may inspect") == 1.0  # books, records, licensee
    assert at(runs, "pays a fee") == 0.0
    assert at(runs, "Books are sold") == 0.0
    assert 0.5 < at(found.leaves["run_share"], "may inspect") <= 1.0
    shorter, at = matched("Books and records?")
    assert at(shorter.leaves["run"], "may inspect") == 1.0


def test_neighbours_of_a_passage():
    """A passage's neighbours at its own grain; beyond the edges there is nothing."""
    found, _ = matched("What fee is due?")
    own = found.own(GRAINS.index(0))
    assert own["before"].tolist() == [0.0, *own["own"][:-1]]
    assert own["behind"].tolist() == [*own["own"][1:], 0.0]


def test_ranks_and_shares_of_the_best():
    """Ties go to the earlier one; where nothing matches all stays 0."""
    assert np.expm1(ranks(np.array([1.0, 3.0, 1.0]))).round().tolist() == [1.0, 0.0, 2.0]
    assert relative(np.zeros(2)).tolist() == [0.0, 0.0]
    assert relative(np.zeros(0)).tolist() == []
