"""What is known of a passage: every figure finite, the same each time, and what its description says."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from documents import chart, documents
from hypothesis import given
from hypothesis import strategies as st
from test_planner import built

import hierarchy
from hierarchy.document import Document, Span
from hierarchy.planner import outline
from hierarchy.relevance import Index, Routing, describe_question, parse, routed
from hierarchy.relevance.features import FEATURES, GROUPS
from hierarchy.relevance.index import GRAINS

ROUTINGS = [
    Routing(),
    Routing(terms=("net sales", "capital expenditure", "zzz"), needs=("Balance sheet", "qqq"), kind="lookup"),
    Routing(terms=("the of", "e"), needs=("Discharge letter",)),
]
QUESTIONS = ["What was the capital expenditure in 2018?", "Why was warfarin stopped?", "", "zzz qqq", "the of and"]
BOUNDED = (
    "own own_share names years speaker feedback share_512 names_512 pairs page page_share page_years section titles "
    "titles_share page_titles page_lead page_pairs file file_share file_title file_title_share lexicon lexicon_page "
    "lexicon_512 lexicon_pairs lexicon_pairs_128 lexicon_pairs_512 lexicon_phrases lexicon_phrases_512 "
    "lexicon_phrases_page places place place_lead place_title phrase_title phrase_lead asked asked_512 "
    "routed routed_share routed_512 routed_page routed_titles routed_pairs "
    "routed_pairs_128 routed_pairs_512 phrases phrases_512 need need_lead need_page needs near_400 near_1600 "
    "run run_share speaker_512 q_routed digits digits_asked result result_asked headings rows place_in_file "
    "place_in_section q_number q_effect q_whole q_yes_no q_lexicon d_digits d_speech d_rows d_files d_pages d_headings"
).split() + [f"bm25_{grain}" for grain in GRAINS]


class Described:
    """The passages of one question, each feature by name."""

    def __init__(self, document, question):
        self.tree = outline(document) if isinstance(document, Document) else document
        self.found = describe_question(Index(self.tree), question)

    def column(self, feature):
        return self.found.features[:, list(FEATURES).index(feature)]

    def leaf(self, text, feature):
        """A feature of the leaf that holds a text, as a passage by itself."""
        leaf = next(n for n, words in enumerate(self.tree.leaf_texts()) if text in words)
        node = self.tree.leaf_nodes[leaf]
        at = np.flatnonzero((self.found.nodes == node) & (self.found.grain == 0))
        return pytest.approx(float(self.column(feature)[at[0]]), abs=1e-5)


@given(documents(), st.sampled_from(QUESTIONS), st.sampled_from(ROUTINGS))
def test_every_figure_is_finite_and_the_same_each_time(document, question, routing):
    """Whatever the document, the question and its routing; shares and relative scores are in [0, 1]."""
    tree = built(document)
    if tree:
        found, again = (describe_question(Index(tree), routed(parse(question), routing)) for _ in range(2))
        assert found.features.shape == (len(found.nodes), len(FEATURES))
        assert found.features.dtype == np.float32
        assert np.isfinite(found.features).all()
        columns = [list(FEATURES).index(feature) for feature in BOUNDED]
        assert ((found.features[:, columns] >= 0) & (found.features[:, columns] <= 1 + 1e-6)).all()
        assert (found.features == again.features).all()
        assert (found.nodes == again.nodes).all()


@given(documents(), st.sampled_from(QUESTIONS))
def test_candidates_stand_once_at_each_grain_in_document_order(document, question):
    """They are passages of their grain; of a small document all are described."""
    tree = built(document)
    if tree:
        index = Index(tree)
        found = describe_question(index, question)
        assert found.grain.tolist() == sorted(found.grain.tolist())
        for grain, layer in enumerate(index.grains):
            nodes = found.nodes[found.grain == grain]
            assert (np.diff(nodes) > 0).all()
            assert set(nodes.tolist()) <= set(layer.nodes.tolist())
            assert len(nodes) == len(layer) or len(nodes) >= 50


def test_each_feature_is_in_one_group():
    """And the groups in their order are the list."""
    assert [name for group in GROUPS.values() for name in group] == list(FEATURES)


def test_each_feature_has_a_description():
    """In words: it is what the list of features is for."""
    assert all(len(description.split()) >= 2 for description in FEATURES.values())


class TestAChart:
    """A letter of four leaves under a heading, a table of five rows, a history with a footer."""

    def test_a_sentence_that_holds_all_that_is_asked(self):
        described = Described(chart(), "Was warfarin stopped in May 2024?")
        assert described.leaf("Warfarin was stopped", "own_share") == 1.0
        assert described.leaf("Warfarin was stopped", "own") == 1.0
        assert described.leaf("Warfarin was stopped", "own_rank") == 0.0
        assert described.leaf("He lives with", "own_share") == 0.0
        assert described.column("q_yes_no").tolist() == [1.0] * len(described.found.nodes)

    def test_years_and_names(self):
        """The share of the question's own that a passage holds; two years are halves."""
        described = Described(chart(), "What did Mr Okoro stop in 2024 and in 2009?")
        assert described.leaf("Mr Okoro was admitted", "names") == 1.0
        assert described.leaf("Warfarin was stopped", "names") == 0.0
        assert described.leaf("Warfarin was stopped", "years") == 0.5
        assert described.leaf("smoking in 2009", "years") == 0.5
        assert described.leaf("He lives with", "years") == 0.0
        assert set(described.column("years")[described.found.grain == len(GRAINS) - 1]) == {1.0}

    def test_what_a_passage_looks_like(self):
        described = Described(chart(), "How much was the creatinine?")
        assert described.leaf("| INR", "rows") == 1.0
        assert described.leaf("| INR", "headings") == 0.0
        assert described.leaf("# Laboratory", "headings") == 1.0
        assert described.leaf("| INR", "digits") == 6 / len("| INR | 4.8 | 1.2 |\n")
        assert described.leaf("| INR", "digits_asked") == described.leaf("| INR", "digits").expected
        assert described.leaf("| INR", "leaves") == 0.0
        whole = described.found.grain == len(GRAINS) - 1
        assert described.column("rows")[whole].tolist() == pytest.approx([5 / 14])
        assert described.column("leaves")[whole].tolist() == pytest.approx([math.log(14)])
        assert described.column("d_headings")[0] == pytest.approx(3 / 14)

    def test_where_a_passage_stands(self):
        """From 0 at the first leaf, below 1 at the last; sections count anew."""
        described = Described(chart(), "creatinine")
        assert described.leaf("# Discharge letter", "place_in_file") == 0.0
        assert described.leaf("Confidential", "place_in_file") == 13 / 14
        assert described.leaf("# Social history", "place_in_section") == 0.0
        assert described.leaf("He lives with", "place_in_section") == 1 / 4
        assert (described.column("place_in_file") < 1).all()

    def test_the_titles_it_stands_under(self):
        described = Described(chart(), "social history")
        assert described.leaf("He lives with", "titles_share") == 1.0
        assert described.leaf("He lives with", "own_share") == 0.0
        assert described.leaf("| INR", "titles_share") == 0.0

    def test_a_number_is_asked_or_not(self):
        """Digits count for more where a number is asked: else that feature is 0."""
        described = Described(chart(), "Why was warfarin stopped?")
        assert described.leaf("| INR", "digits_asked") == 0.0
        assert not described.column("q_number").any()


def test_who_speaks():
    """What a speaker says goes on until another does; all of the name must be asked for."""
    text = (
        "Huw Irranca: We met the schools.\nThey were content.\nKirsty Williams: I set out the reform.\nIt is large.\n"
    )
    described = Described(Document(name="m", text=text), "What did Kirsty Williams say?")
    assert described.leaf("I set out", "speaker") == 1.0
    assert described.leaf("It is large", "speaker") == 1.0
    assert described.leaf("They were content", "speaker") == 0.0
    assert not Described(Document(name="m", text=text), "What did Williams say?").column("speaker").any()


def test_files_are_told_apart():
    """The file that matches best leads its rank; a lone file has no rank to tell."""
    texts = ("The tenant pays rent each month.", "The licensor grants a patent licence.")
    parts = tuple(Document(name=f"{n}.txt", text=text) for n, text in enumerate(texts))
    described = Described(Document(name="folder", media="folder", parts=parts), "Which patent licence?")
    assert described.leaf("patent", "file") == 1.0
    assert described.leaf("patent", "file_rank") == 0.0
    assert described.leaf("tenant", "file_rank") == math.log(2)
    assert described.column("d_files").all()
    assert not Described(chart(), "Which patent licence?").column("d_files").any()


def test_each_file_has_its_candidates_where_it_is_asked_which():
    """Else those of a file that says it once would be crowded out by files that say it over and over."""
    many = " ".join(f"Audit right {n}: the audit may be held each year." for n in range(300))
    parts = (
        Document(name="a.txt", text=many),
        Document(name="b.txt", text=f"An audit is due. {'Rent is due. ' * 300}"),
    )
    folder = Document(name="folder", media="folder", parts=parts)
    which, when = (
        Described(folder, text) for text in ("Which of these documents grant an audit?", "When is the audit?")
    )
    lone = which.tree.leaf_nodes[next(n for n, text in enumerate(which.tree.leaf_texts()) if "An audit" in text)]
    of_second = [
        (found.tree.leaves.file[found.tree.nodes.low[found.found.nodes]] == 1)[found.found.grain == 0].sum()
        for found in (which, when)
    ]
    assert lone in which.found.nodes
    assert of_second[0] >= 24 > of_second[1]


def test_the_quick_ratio_leads_to_the_balance_sheet():
    """No page says "quick ratio": the lexicon knows the words and the title of what holds it."""
    tree = hierarchy.outline(hierarchy.sample("annual_report.pdf"))
    described = Described(tree, "What was the quick ratio?")
    assert not any("quick ratio" in text.lower() for text in tree.leaf_texts())
    assert described.column("q_lexicon").all()
    sheet = next(n for n, text in enumerate(tree.leaf_texts()) if "Total current liabilities" in text)
    low = tree.nodes.low[described.found.nodes]
    for feature in ("lexicon", "lexicon_page", "places", "place", "place_title"):
        best = low[described.column(feature).argmax()]
        assert tree.leaves.page[best] == tree.leaves.page[sheet], feature
    unknown = Described(tree, "What was the weather?")
    assert not unknown.column("q_lexicon").any()
    for name in FEATURES:
        if name.startswith(("lexicon", "places")) or name in ("place", "place_lead", "place_title"):
            assert not unknown.column(name).any(), name


class TestRouted:
    """A model that saw only the question says in the document's words what to look for."""

    REPLY = Routing(terms=("anticoagulant dose", "warfarin was stopped", "INR"), needs=("Social history",))

    def test_its_words_and_phrases(self):
        described = Described(chart(), routed(parse("Is a blood thinner given?"), self.REPLY))
        assert described.leaf("Warfarin was stopped", "routed") == 1.0
        assert described.leaf("Warfarin was stopped", "routed_pairs") == 1.0
        assert described.leaf("Warfarin was stopped", "phrases") == 1 / 3
        assert described.leaf("| INR", "phrases") == 1 / 3
        assert described.leaf("He lives with", "routed") == 0.0
        assert described.leaf("Warfarin was stopped", "asked") == 0.0
        assert described.column("q_routed")[0] == pytest.approx(3 / 5)  # "anticoagulant" and "dose" stand nowhere

    def test_what_is_needed_is_found_by_its_title(self):
        described = Described(chart(), routed(parse("Is a blood thinner given?"), self.REPLY))
        assert described.leaf("He lives with", "need") == 1.0
        assert described.leaf("He lives with", "needs") == 1.0
        assert described.leaf("He lives with", "phrase_title") == 0.0  # a need is no phrase
        assert described.leaf("Warfarin was stopped", "need") == 0.0
        assert (described.column("q_needs") == 1).all()

    def test_unrouted_questions_have_none_of_it(self):
        """What the routing alone would say is 0, and the question's own words are all that is asked."""
        described = Described(chart(), "When was warfarin stopped?")
        for name in FEATURES:
            if name.startswith(("routed", "phrase", "need", "q_routed", "q_needs")):
                assert not described.column(name).any(), name
        assert (described.column("asked") == described.column("own")).all()
        assert (described.column("asked_512") == described.column("bm25_512")).sum() > 0


def test_what_a_page_begins_with_is_told_from_its_titles():
    """A scanned or plain page has no headings: its first lines name the place, the phrase and what is needed."""
    pages = (
        "Consolidated balance sheet\nas of December 31\n" + "Cash and equivalents of the year follow.\n" * 40,
        "Notes on staff\n" + "The office moved.\n" * 9 + "The balance was kept on a sheet by hand.\n" * 40,
    )
    edges = [0, len(pages[0]), len(pages[0]) + len(pages[1])]
    document = Document(name="r", text="".join(pages), pages=tuple(Span(a, b) for a, b in pairwise(edges)))
    asked = routed(parse("What was the quick ratio?"), Routing(terms=("notes on staff",), needs=("Balance sheet",)))
    described = Described(document, asked)
    leaves = described.found.grain == 0  # larger passages may reach over both
    on_page = described.tree.leaves.page[described.tree.nodes.low[described.found.nodes[leaves]]]
    for feature, page in (("place_lead", 0), ("need_lead", 0), ("phrase_lead", 1)):
        values = described.column(feature)[leaves]
        assert values[on_page == page].min() == 1.0, feature
        assert values[on_page != page].max() < 1.0, feature
    for feature in ("place", "place_title", "need", "phrase_title"):
        assert not described.column(feature).any(), feature


def test_what_stands_near_counts_wherever_passages_end():
    """A leaf between two that match is as near to both as they are; what is far away is not, nor is another file."""
    filler = " ".join(f"Clause {n} says nothing at all of what is asked." for n in range(200))
    text = f"The quorum is nine. Nothing follows. The quorum may change.\n\n{filler}"
    parts = (Document(name="a.txt", text=text), Document(name="b.txt", text="Another paper altogether."))
    described = Described(Document(name="f", media="folder", parts=parts), "What is the quorum?")
    near = described.column("near_400")[described.found.grain == 0]
    assert described.leaf("Nothing follows", "near_400") == 1.0
    assert described.leaf("Nothing follows", "own") == 0.0
    assert described.leaf("Another paper", "near_1600") == 0.0
    assert (near[-20:] == 0).all()
