import pytest
from documents import documents, files
from hypothesis import given

from hierarchy.document import Document, Section, Span
from hierarchy.errors import InputError


def test_a_span_runs_forwards():
    """A span that runs backwards or starts before the text is refused when it is made."""
    assert len(Span(3, 7)) == 4
    for start, end in [(5, 3), (-1, 2)]:
        with pytest.raises(ValueError, match="runs forwards"):
            Span(start, end)


def test_pages_must_partition_the_text():
    """Pages with a gap, an overlap or a missing end are refused."""
    for pages in [(Span(0, 2),), (Span(0, 2), Span(3, 4)), (Span(0, 3), Span(2, 4))]:
        with pytest.raises(ValueError, match="partition"):
            Document(name="n", text="abcd", pages=pages)


def test_sections_must_nest():
    """A section that overlaps its neighbour, or lies in one that isn't above it, is refused."""
    outer = Section(title="A", span=Span(0, 5), depth=1)
    for inner in [Section(title="B", span=Span(3, 8), depth=2), Section(title="B", span=Span(1, 3), depth=1)]:
        with pytest.raises(ValueError, match="overlaps"):
            Document(name="n", text="abcdefgh", sections=(outer, inner))


def test_rows_must_not_overlap():
    """Rows are lines of their own."""
    with pytest.raises(ValueError, match="overlap"):
        Document(name="n", text="abcd", rows=(Span(0, 3), Span(2, 4)))


def test_a_folder_has_no_text_of_its_own():
    """Text belongs to files, so that every character has one name and one offset."""
    with pytest.raises(ValueError, match="folder"):
        Document(name="f", text="x", parts=(Document(name="a"),))


def test_the_page_of_a_character_is_the_last_that_starts_at_or_before_it():
    """Empty pages are passed over: a character lies on the page that holds it."""
    document = Document(name="n", text="abcd", pages=(Span(0, 2), Span(2, 2), Span(2, 4)))
    assert [document.page_of(i) for i in range(4)] == [1, 1, 3, 3]
    assert Document(name="n", text="abcd").page_of(1) is None


@given(files())
def test_every_character_lies_on_the_page_that_holds_it(document):
    """`page_of` agrees with the spans of the pages at every position."""
    for position in range(len(document.text)):
        page = document.page_of(position)
        if page is not None:
            assert document.pages[page - 1].start <= position < document.pages[page - 1].end


def test_span_of_finds_a_quote_or_says_that_it_is_not_there():
    """A quote is found character by character, from a place on."""
    document = Document(name="n", text="one two one")
    assert document.span_of("one", 1) == Span(8, 11)
    with pytest.raises(InputError, match="three"):
        document.span_of("three")


@given(documents(), documents())
def test_the_key_tells_documents_apart_by_content(first, second):
    """Equal documents have equal keys, different ones different keys."""
    assert (first.key == second.key) == (first.files == second.files)
