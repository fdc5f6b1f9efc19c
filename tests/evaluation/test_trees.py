"""Baselines that read through trees: what they take, in which order, and that they take it as they say."""

from __future__ import annotations

import numpy as np
import pytest

from hierarchy.document import Document, Section, Span
from hierarchy.evaluation.baselines import BM25, section_titles
from hierarchy.evaluation.fitting import Stretch
from hierarchy.evaluation.trees import AutoMerging, CollapsedTree, Descent, merged, shown_leaves, stretches_of
from hierarchy.planner import outline

SENTENCES = [f"Sentence {n} speaks of topic{n} and nothing else at all, as sentences do.\n" for n in range(300)]
TEXT = "".join(SENTENCES)
QUESTION = "What does it say of topic117?"


def read(system, document, question=QUESTION, budget=400):
    files = {file.name: file.text for file in document.files}
    spans = system.prepare(document)(question, budget)
    return [(files[span.file] if span.file else document.text)[span.start : span.end] for span in spans]


@pytest.fixture
def document():
    return Document(name="d.txt", text=TEXT)


@pytest.mark.parametrize("system", [CollapsedTree(), AutoMerging()], ids=["raptor", "automerge"])
def test_what_the_question_names_comes_first(document, system):
    """Both rank text itself, so that the one passage with the rare word wins."""
    assert "topic117 " in read(system, document)[0]


def test_the_collapsed_tree_reads_a_summary_as_the_sentences_it_shows(document):
    """Every stretch of every summary is whole leaves, verbatim, that stand in the summary in this order."""
    tree = outline(document)
    for node in range(len(tree)):
        leaves = shown_leaves(tree, node)
        assert np.all(np.diff(leaves) > 0)
        if tree.nodes.high[node] - tree.nodes.low[node] == 1:
            assert leaves.tolist() == [tree.nodes.low[node]]
        elif " … " in (text := tree.coarse(node).text) or text:
            shown = [" ".join(tree.leaf_text(leaf).split()) for leaf in leaves]
            assert all(line in text for line in shown) or (len(shown) == 1 and shown[0].startswith(text[:-2]))
            assert len(leaves)


def test_a_summary_cut_short_is_read_as_the_sentence_it_begins():
    """A lone sentence too long for its summary is shown in part; as a span it is the sentence."""
    long = "The committee " + "considered the matter again and " * 4 + "adjourned. "
    tree = outline(Document(name="d.txt", text=long * 2))
    node = tree.smallest_node(0, len(tree.leaves))
    assert tree.coarse(node).text.endswith(" …")
    assert shown_leaves(tree, node).tolist() == [0]


def test_neighbours_make_one_stretch_and_files_part_them():
    """A run of leaves that crosses into the next file is two stretches."""
    parts = tuple(Document(name=name, text="One two. Three four. ") for name in ("a.txt", "b.txt"))
    tree = outline(Document(name="f", media="folder", parts=parts))
    assert list(stretches_of(tree, np.array([0, 1, 2]))) == [Stretch(0, 0, 21), Stretch(1, 0, 9)]
    assert list(stretches_of(tree, np.array([], dtype=np.int64))) == []


def test_chunks_merge_where_most_of_a_parent_is_there():
    """Three of four make the parent; two of four don't; an only child is not a majority of anything."""
    scores = np.array([4.0, 3.0, 2.0, 0.0, 9.0, 8.0, 0.0, 0.0, 5.0])
    levels = [[(0, 4), (4, 8), (8, 9)]]
    assert merged([0, 1, 2, 4, 5, 8], scores, levels) == [(4, 5), (5, 6), (8, 9), (0, 4)]


def test_parents_merge_into_theirs():
    """Two full parents of a grandparent's two become it, scored by the mean of what was retrieved."""
    levels = [[(0, 2), (2, 4)], [(0, 4)]]
    assert merged([0, 1, 2, 3], np.ones(4), levels) == [(0, 4)]
    assert merged([0, 1, 2], np.ones(4), levels) == [(0, 2), (2, 3)]


def test_merging_reads_a_parent_in_one_piece():
    """Where all of a stretch is about the question, its parent is read in place of its chunks."""
    text = TEXT + "The glacier retreats every year, and the glacier is watched. " * 40 + TEXT
    first = read(AutoMerging(chunk_tokens=32), Document(name="d.txt", text=text), "How does the glacier change?", 700)[
        0
    ]
    assert first.count("glacier") > 12


def test_no_parent_holds_two_pages():
    """What was printed on two pages is never one piece."""
    pages = (Span(0, 600), Span(600, len(TEXT)))
    document = Document(name="d.pdf", text=TEXT, media="pdf", pages=pages)
    reader = AutoMerging(chunk_tokens=32).prepare(document)
    assert all(
        TEXT[pages[span.page].start : pages[span.page].end].find(span.text) >= 0 for span in reader("topic3", 900)
    )


def test_descent_sees_summaries_alone():
    """A word that no summary shows can't lead anywhere; one that a title shows leads straight to its section."""
    parts = [("Cats", TEXT[:4000]), ("Glaciers", TEXT[4000:8000]), ("Trains", TEXT[8000:12000])]
    text, sections = "", []
    for title, body in parts:
        start = len(text)
        text += f"{title}\n{body}"
        sections.append(Section(title=title, span=Span(start, len(text))))
    document = Document(name="d.txt", text=text, sections=tuple(sections))
    first = read(Descent(), document, "What about glaciers?")[0]
    assert sections[1].span.start <= text.index(first) < sections[1].span.end
    tree = outline(document)
    hidden = next(
        f"topic{n}" for n in range(150) if not any(f"topic{n} " in tree.coarse(i).line for i in range(len(tree)))
    )
    assert hidden not in read(Descent(), document, f"What of {hidden}?", 100)[0] or text.index(hidden) < 600


def test_descent_goes_on_with_the_best_of_what_it_passed(document):
    """In the end everything is read, once, whatever the order."""
    pieces = read(Descent(passage_tokens=128), document, budget=10**6)
    assert sorted(pieces, key=TEXT.index) == sorted(set(pieces), key=TEXT.index)
    assert sum(map(len, pieces)) == len(TEXT)


def test_titles_are_matched_and_not_read():
    """A chunk under a heading is found by the heading's word, and what is read of it is its own text."""
    body = "".join(SENTENCES[:60])
    text = f"Preface\n{body}Litigation\n{body}"
    middle = text.index("Litigation")
    sections = (
        Section(title="Preface", span=Span(0, middle)),
        Section(title="Litigation", span=Span(middle, len(text))),
    )
    document = Document(name="d.txt", text=text, sections=sections)
    question = "Is there litigation over topic50?"
    spans = BM25(chunk=64, headings=True).prepare(document)(question, 64)
    assert spans[0].start > middle
    assert "topic50" in text[spans[0].start : spans[0].end]
    assert BM25(chunk=64).prepare(document)(question, 64)[0].start <= middle


def test_titles_are_those_of_all_sections_a_chunk_starts_in():
    """Outermost first; none before the first section."""
    sections = (
        Section(title="A", span=Span(5, 30)),
        Section(title="B", span=Span(10, 20), depth=2),
        Section(title="C", span=Span(30, 40)),
    )
    document = Document(name="d.txt", text="x" * 40, sections=sections)
    pieces = [Stretch(0, at, at + 1) for at in (0, 5, 12, 20, 30)]
    assert section_titles(document, pieces) == ["", "A", "A B", "A", "C"]
