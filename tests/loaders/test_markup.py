import io
import zipfile

import pytest
from docx import Document as Word
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.errors import DocumentEmpty, DocumentUnreadable
from hierarchy.loaders.markup import read_docx, read_html

PAGE = """<!DOCTYPE html><html><head><title>no</title><style>p {}</style></head><body><nav>menu</nav>
<h1>Big  <b>Title</b></h1><p>Hello <b>wor</b>ld<br>next<script>x()</script></p>
<table><tr><th>Line</th><th>2018</th></tr><tr><td>Revenue</td><td>$</td><td>1,234</td><td>(5</td><td>)</td></tr></table>
<h2>Sub</h2><ul><li>one<li>two</ul><pre>a
  b</pre><div style="display: none">hidden</div>tail</body></html>"""


def shown(document):
    """The lines of the text."""
    return document.text.splitlines()


def test_what_a_reader_sees():
    """Blocks stand on lines of their own, rows on one line with cells apart, and what isn't shown is left out."""
    document = read_html("x.html", PAGE)
    assert shown(document) == [
        *("Big Title", "Hello world", "next", "Line | 2018", "Revenue | $1,234 | (5)"),
        *("Sub", "one", "two", "a", "  b", "tail"),
    ]
    assert [document.text[row.start : row.end] for row in document.rows] == ["Line | 2018", "Revenue | $1,234 | (5)"]


def test_headings_are_sections():
    """Heading elements become nested sections that start at their line."""
    document = read_html("x.html", PAGE)
    assert [(s.depth, s.title, document.text[s.span.start :][:3]) for s in document.sections] == [
        (1, "Big Title", "Big"),
        (2, "Sub", "Sub"),
    ]


def test_bold_headings_are_found_by_pattern():
    """Filings saved as HTML mark no headings; their items and notes are found all the same."""
    document = read_html(
        "x.html", "<html><p><b>Item 1. Business</b></p><p>We sell.</p><p>Item 2. Properties</p><p>Two.</p>"
    )
    assert [section.title for section in document.sections] == ["Item 1. Business", "Item 2. Properties"]


def test_layout_tables_are_walked():
    """A table that only lays out a page isn't squeezed into one row."""
    document = read_html("x.html", "<table><tr><td><h1>One</h1><p>text</p></td><td><h1>Two</h1></td></tr></table>")
    assert shown(document) == ["One", "text", "Two"]
    assert document.rows == ()


def test_the_declared_encoding_is_used():
    """A page in an old encoding is read as it says it is, without a warning."""
    data = '<html><meta charset="iso-8859-2"><p>Łódź</p></html>'.encode("iso-8859-2")
    document = read_html("x.html", data)
    assert shown(document) == ["Łódź"]
    assert document.notes == ()


def test_deep_nesting_is_no_recursion():
    """Tens of thousands of unclosed elements are read, not a stack overflow."""
    assert shown(read_html("x.html", "<div>" * 30_000 + "deep")) == ["deep"]


def test_no_text_is_an_error():
    """A page that a script fills in says so instead of loading as nothing."""
    with pytest.raises(DocumentEmpty, match="no visible text in its") as caught:
        read_html("app.html", "<html><body><div id='app'></div><script>start()</script></body></html>")
    assert "browser" in caught.value.hint


@given(st.text(st.sampled_from("<>/=\"' tdrhp1ab&;\n"), max_size=120))
def test_any_markup_is_read(markup):
    """Whatever the markup, there is a document or an error of ours."""
    try:
        document = read_html("x.html", markup)
    except DocumentEmpty:
        return
    assert document.text.endswith("\n")


def word(build):
    """The bytes of a Word document."""
    document, buffer = Word(), io.BytesIO()
    build(document)
    document.save(buffer)
    return buffer.getvalue()


def test_word_documents():
    """Headings, paragraphs and table rows of a DOCX come through."""

    def build(document):
        document.add_heading("Findings", 1)
        document.add_paragraph("All is well.")
        document.add_heading("Doses", 2)
        table = document.add_table(rows=1, cols=2)
        table.rows[0].cells[0].text, table.rows[0].cells[1].text = "Aspirin", "75"

    document = read_docx("x.docx", word(build))
    assert document.media == "docx"
    assert shown(document) == ["Findings", "All is well.", "Doses", "Aspirin | 75"]
    assert [(section.depth, section.title) for section in document.sections] == [(1, "Findings"), (2, "Doses")]
    assert len(document.rows) == 1


def test_an_empty_word_document():
    """A DOCX without text is an error."""
    with pytest.raises(DocumentEmpty, match="DOCX without text"):
        read_docx("x.docx", word(lambda document: None))


@pytest.mark.parametrize("cut", [10, 200, 3_000])
def test_damaged_word_documents(cut):
    """A DOCX that was cut off is an error with its size."""
    data = word(lambda document: document.add_paragraph("text"))[:cut]
    with pytest.raises(DocumentUnreadable, match=f"damaged DOCX of {cut:,} bytes"):
        read_docx("x.docx", data)


def test_word_documents_with_broken_parts():
    """A zip with the right names but wrong XML within is damaged, too."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("word/document.xml", "<w:document")
    with pytest.raises(DocumentUnreadable, match="damaged"):
        read_docx("x.docx", buffer.getvalue())
