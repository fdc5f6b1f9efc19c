import pytest
from documents import chart, files, long_text
from hypothesis import given

from hierarchy.document import Document, Section, Span
from hierarchy.segments import MAX_LEAF_CHARACTERS, LeafKind, segment


def texts(document):
    """The leaves of a file as strings."""
    starts = segment(document).starts.tolist()
    if not starts:
        return []
    return [document.text[a:b] for a, b in zip(starts, [*starts[1:], len(document.text)], strict=True)]


@given(files())
def test_leaves_partition_the_text(document):
    """Joining the leaves gives back the text, character for character, and no leaf is empty."""
    leaves = texts(document)
    if document.text.strip():
        assert "".join(leaves) == document.text
        assert all(leaves)


@given(files())
def test_no_leaf_crosses_a_page_or_a_section(document):
    """Wherever a page or section starts at a line that isn't blank, a leaf starts too."""
    starts = set(segment(document).starts.tolist())
    edges = [section.span.start for section in document.sections] + [page.start for page in document.pages]
    for edge in edges:
        rest = document.text[edge:]
        first_line = rest.splitlines(keepends=True)[0] if rest else ""
        if first_line.strip() and starts:
            assert edge in starts


@given(files())
def test_paragraphs_ascend(document):
    """Paragraph numbers never go back, so that they can be compared for equality along the text."""
    paragraphs = segment(document).paragraphs.tolist()
    assert paragraphs == sorted(paragraphs)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No fever. Pulse 72.", ["No fever. ", "Pulse 72."]),
        ("Dr. Smith saw her. She slept.", ["Dr. Smith saw her. ", "She slept."]),
        ("See Fig. 3 and Smith et al. 2004. It fell by 1.5 mmol.", None),
        ("It fell (p < 0.05). Then rose.", ["It fell (p < 0.05). ", "Then rose."]),
        ("Wrapped\nline of text.\nNext sentence.", ["Wrapped\nline of text.\n", "Next sentence."]),
        ("One.\n\nTwo", ["One.\n\n", "Two"]),
        ("今日は晴れ。明日は雨。", ["今日は晴れ。", "明日は雨。"]),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text, expected):
    """Abbreviations, decimals and wrapped lines don't end a sentence; closed paragraphs do."""
    expected = expected or ["See Fig. 3 and Smith et al. 2004. ", "It fell by 1.5 mmol."]
    assert texts(Document(name="n", text=text)) == expected


def test_each_speaker_opens_a_leaf():
    """In a transcript no leaf mixes two speakers."""
    text = "PhD C: um so the\nProfessor B: right and\nPhD C: okay"
    assert [leaf.split(":")[0] for leaf in texts(Document(name="n", text=text))] == ["PhD C", "Professor B", "PhD C"]


def test_rows_headings_and_furniture_are_leaves_of_their_kind():
    """What the loader marked comes out as marked, one leaf a line."""
    document = chart()
    leaves = segment(document)
    kinds = dict(zip(texts(document), leaves.kinds.tolist(), strict=True))
    assert kinds["| INR | 4.8 | 1.2 |\n"] == LeafKind.ROW
    assert kinds["# Laboratory\n\n"] == LeafKind.HEADING
    assert kinds["Confidential\n"] == LeafKind.FURNITURE


def test_a_clause_that_opens_a_section_is_no_heading():
    """A numbered clause whose first line is its text stays a sentence."""
    text = "5.1 Assignment. Neither party may assign this Agreement without the prior written consent of the other.\n"
    document = Document(name="n", text=text, sections=(Section(title="Assignment", span=Span(0, len(text))),))
    assert LeafKind.HEADING not in segment(document).kinds


def test_long_sentences_are_cut_at_a_break():
    """No leaf of ordinary text is longer than the limit, and none is cut within a word where there are spaces."""
    text = "whereas the parties agree " * 200
    leaves = texts(Document(name="n", text=text))
    assert max(map(len, leaves)) <= MAX_LEAF_CHARACTERS
    assert all(leaf.endswith(" ") for leaf in leaves)


def test_text_without_any_break_is_cut_all_the_same():
    """Five thousand letters in a row are still leaves of bounded length."""
    assert max(map(len, texts(Document(name="n", text="x" * 5_000)))) <= MAX_LEAF_CHARACTERS


def test_blank_text_has_no_leaves():
    """White space alone is no leaf."""
    assert len(segment(Document(name="n", text=" \n\n ")).starts) == 0


def test_paragraph_a_line_text_keeps_paragraphs_apart():
    """Where every line is a paragraph, lines aren't joined even when nothing closes them."""
    text = "\n".join("word " * 40 + str(n) for n in range(5))
    assert len(set(segment(Document(name="n", text=text)).paragraphs.tolist())) == 5
    assert len(segment(Document(name="n", text=long_text(50))).starts) == 100


@pytest.mark.parametrize("label", ["1.", "12.3.", "(a)", "IV.", "b)"])
def test_a_number_belongs_to_what_it_numbers(label):
    """The label of a clause or an item is no sentence of its own."""
    text = f"{label} The supplier delivers. The buyer pays."
    assert texts(Document(name="n", text=text)) == [f"{label} The supplier delivers. ", "The buyer pays."]
