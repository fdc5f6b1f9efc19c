"""Systems: what they read first, and that none ever exceeds its budget."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy.document import Document, Span
from hierarchy.errors import InputError
from hierarchy.evaluation.baselines import BM25, Head, Random, chunks
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.metrics import PdfSource, TextSource, score_case
from hierarchy.evaluation.ours import HierarchySystem
from hierarchy.evaluation.postings import Postings
from hierarchy.evaluation.predictions import PageSpan, TextSpan
from hierarchy.evaluation.sets import Case, Gold
from hierarchy.evaluation.systems import SYSTEMS, systems_named
from hierarchy.tokens import count_tokens

SENTENCES = [f"Sentence {n} speaks of topic{n} and nothing else at all.\n" for n in range(200)]
TEXT = "".join(SENTENCES)
QUESTION = "What does it say of topic117?"


def text_document(text=TEXT, name="d.txt"):
    return Document(name=name, text=text, media="text")


def folder(*texts):
    return Document(
        name="f", media="folder", parts=tuple(text_document(text, f"{n}.txt") for n, text in enumerate(texts))
    )


def pdf(*pages):
    edges = [0]
    for page in pages:
        edges.append(edges[-1] + len(page))
    spans = tuple(Span(a, b) for a, b in pairwise(edges))
    return Document(name="d.pdf", text="".join(pages), media="pdf", pages=spans)


def cost(document, spans, budget):
    """Tokens used and whether anything was over, as the metric finds it."""
    if document.media == "pdf":
        pages = [document.text[page.start : page.end] for page in document.pages]
        gold, source = PageSpan(page=0, text="x"), PdfSource.of(dict(enumerate(pages)))
    else:
        texts = {file.name if document.parts else None: file.text for file in document.files}
        source = TextSource.of(texts)
        gold = TextSpan(start=0, end=1, file=next(iter(texts)))
    case = Case(id="c", doc_id="d", question="?", evidence=(Gold(span=gold),))
    score = score_case(case, spans, budget, source)
    return score.used_tokens, score.over_budget


def text_of(document, span):
    if isinstance(span, PageSpan):
        return span.text
    files = {file.name: file.text for file in document.files}
    return (files[span.file] if span.file else document.text)[span.start : span.end]


def test_head_reads_from_the_start():
    """Its one span is the longest prefix that the budget pays."""
    (span,) = Head().prepare(text_document())(QUESTION, 50)
    assert span == TextSpan(start=0, end=int(count_tokens.starts(TEXT)[50]))


def test_head_of_a_folder_goes_on_in_the_next_file():
    """Files are read in order, each named."""
    document = folder("one two", "six ten red", "big cat")
    assert Head().prepare(document)(QUESTION, 4) == (
        TextSpan(start=0, end=7, file="0.txt"),
        TextSpan(start=0, end=7, file="1.txt"),
    )


def test_head_of_a_pdf_reads_page_by_page():
    """Pages count from 0 and bring their text; an empty page costs nothing and isn't named."""
    document = pdf("one two\n", "", "six ten\n")
    assert Head().prepare(document)(QUESTION, 99) == (
        PageSpan(page=0, text="one two\n"),
        PageSpan(page=2, text="six ten\n"),
    )


@pytest.mark.parametrize("chunk", ["sentence", 32, 256])
@pytest.mark.parametrize("document", [text_document(), folder(TEXT[:3000], TEXT[3000:]), pdf(TEXT[:3000], TEXT[3000:])])
def test_bm25_reads_what_the_question_names_first(document, chunk):
    """The one chunk that holds the rare word of the question comes first, in every kind of document."""
    first = BM25(chunk=chunk).prepare(document)(QUESTION, 300)[0]
    assert "topic117" in text_of(document, first)


def test_bm25_scores_are_those_of_the_formula():
    """Three chunks, worked out by hand: rarity × saturated frequency, longer chunks discounted."""
    from math import log

    index = Postings(["cat cat dog", "cat", "sun sky"], 1.5, 0.75)
    rare_in_two, average = log(1 + 1.5 / 2.5), 2.0
    expected = [
        rare_in_two * 2 * 2.5 / (2 + 1.5 * (0.25 + 0.75 * 3 / average)),
        rare_in_two * 1 * 2.5 / (1 + 1.5 * (0.25 + 0.75 * 1 / average)),
        0.0,
    ]
    assert index.scores("Cat, CAT or bird?").tolist() == pytest.approx(expected, rel=1e-12)


def test_bm25_fills_up_in_document_order():
    """What matches nothing still uses the budget, from the start of the document on."""
    spans = BM25(chunk=32).prepare(text_document())("xylophone", 96)
    assert [span.start for span in spans] == sorted(span.start for span in spans)
    assert spans[0].start == 0


def test_random_is_the_same_every_time_and_differs_by_question():
    """A run can be repeated; two questions, or two seeds, don't share their luck."""
    document = text_document()
    read = Random(chunk=32).prepare(document)
    assert read("a", 200) == Random(chunk=32).prepare(document)("a", 200)
    assert read("a", 200) != read("b", 200)
    assert read("a", 200) != Random(chunk=32, seed=1).prepare(document)("a", 200)


@pytest.mark.parametrize("chunk", ["page", "sentence", 1, 7, 256])
@pytest.mark.parametrize(
    "document", [text_document("Aé 𓀀𓀁. B\n\nC? " * 9), folder("", "a b. c"), pdf("a b", "", "c. d\ne")]
)
def test_chunks_partition_a_document_within_pages(document, chunk):
    """Every character is in one chunk, in order, and none is empty or crosses a page."""
    pieces = chunks(Material.of(document), chunk)
    for number, file in enumerate(document.files):
        own = [piece for piece in pieces if piece.file == number]
        assert "".join(file.text[piece.start : piece.end] for piece in own) == file.text
        for piece in own:
            assert piece.start < piece.end
            assert not any(piece.start < page.end < piece.end for page in file.pages)


def test_a_chunk_of_no_tokens_is_refused():
    """A wrong size would otherwise be an endless or empty cut."""
    with pytest.raises(ValueError, match="not 0"):
        chunks(Material.of(text_document()), 0)


def test_stretches_behind_the_first_misfit_are_left_out():
    """The stretch that doesn't fit is cut and nothing follows: a larger budget always reads on from a smaller one."""
    material = Material.of(text_document("one two six ten red big"))
    spans = material.fit([Stretch(0, 0, 7), Stretch(0, 7, 19), Stretch(0, 19, 23)], 4)
    assert spans == (TextSpan(start=0, end=7), TextSpan(start=7, end=15))


def test_what_was_paid_before_is_free_in_a_text():
    """Overlapping stretches use the budget once."""
    material = Material.of(text_document("one two six ten red big"))
    assert material.fit([Stretch(0, 0, 11), Stretch(0, 3, 15)], 4)[-1] == TextSpan(start=3, end=15)


def test_form_feeds_in_a_text_make_no_page_spans():
    """Only a PDF's evidence is on pages; a text that happens to have some is still counted in characters."""
    document = Document(name="d.txt", text="a b\fc d", pages=(Span(0, 4), Span(4, 7)))
    assert all(isinstance(span, TextSpan) for span in Head().prepare(document)(QUESTION, 9))


def test_systems_are_known_by_name():
    """The registry makes each system; a name that isn't there is answered with those that are."""
    assert {"hierarchy", "bm25", "head", "random"} <= set(SYSTEMS)
    assert list(systems_named(["random", "bm25"])) == ["random", "bm25"]
    assert systems_named(["bm25"])["bm25"] == BM25(chunk=256, k1=1.5, b=0.75)
    for names in (["bm26"], []):
        with pytest.raises(InputError, match="Choose from hierarchy"):
            systems_named(names)


def test_the_library_reads_what_the_question_names():
    """Tree, relevance and allocation find the one sentence in text, folder and PDF, and use half of the budget."""
    for document in (text_document(), folder(TEXT[:3000], TEXT[3000:]), pdf(TEXT[:3000], TEXT[3000:])):
        spans = HierarchySystem().prepare(document)(QUESTION, 400)
        assert "topic117" in "".join(text_of(document, span) for span in spans)
        used, over = cost(document, spans, 400)
        assert used > 200
        assert not over


def test_runs_of_leaves_are_split_where_files_meet(monkeypatch):
    """A run may go on into the next file; its spans name each file."""
    from hierarchy import allocator

    document = folder("One two.\nSix ten.\n", "Red big.\nCat dog.\n")
    monkeypatch.setattr(allocator, "reading_order", lambda tree, relevance, budget: ((0, len(tree.leaves)),))
    assert HierarchySystem().prepare(document)(QUESTION, 99) == (
        TextSpan(start=0, end=18, file="0.txt"),
        TextSpan(start=0, end=18, file="1.txt"),
    )


# Letters and spaces make tokens of several characters; the rest makes characters of several tokens.
rough_text = st.text(
    st.sampled_from("ab Z9.,\n\t") | st.characters(codec="utf-8") | st.sampled_from("é—𓀀👩‍🚀漢"),
    min_size=1,
    max_size=120,
)
documents = st.one_of(
    rough_text.map(text_document),
    st.lists(rough_text, min_size=1, max_size=4).map(lambda texts: folder(*texts)),
    st.lists(rough_text, min_size=1, max_size=4).map(lambda texts: pdf(*texts)),
)
baselines = st.sampled_from([Head(), Random(chunk=8), BM25(chunk=8), BM25(chunk="sentence"), BM25(chunk="page")])


@settings(max_examples=150, deadline=None)
@given(document=documents, system=baselines, question=rough_text, budget=st.integers(1, 80))
def test_no_baseline_ever_exceeds_its_budget(document, system, question, budget):
    """As the metric counts, nothing is over; what is left is less than a character's tokens, or nothing is unread."""
    spans = system.prepare(document)(question, budget)
    used, over = cost(document, spans, budget)
    assert not over
    assert used <= budget
    if document.media != "pdf":  # a PDF's spans are each encoded anew, which may cost less than in their page
        whole = sum(count_tokens(file.text) for file in document.files)
        assert used > min(budget, whole) - 8


@settings(max_examples=60, deadline=None)
@given(document=documents, data=st.data(), budget=st.integers(1, 60))
def test_no_order_of_stretches_exceeds_a_budget(document, data, budget):
    """Stretches of any place, size and overlap are cut to the budget."""
    files = document.files
    stretches = []
    for _ in range(data.draw(st.integers(1, 6))):
        file = data.draw(st.integers(0, len(files) - 1))
        start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(files[file].text))] * 2)))
        stretches.append(Stretch(file, start, end))
    spans = Material.of(document).fit(stretches, budget)
    assert not cost(document, spans, budget)[1]


@settings(max_examples=30, deadline=None)
@given(document=documents, question=rough_text, budget=st.integers(1, 80))
def test_the_library_never_exceeds_its_budget(document, question, budget):
    """Whatever the tree makes of a text, what is read of it costs at most the budget."""
    if any(file.text.strip() for file in document.files):
        assert not cost(document, HierarchySystem().prepare(document)(question, budget), budget)[1]
