import re
import time
from collections import Counter

import pypdfium2
import pytest
from pages import PROSE, TITLES, filing, pdf

from hierarchy.errors import DocumentEmpty, DocumentUnreadable
from hierarchy.loaders.pdf import read_pdf


def places(document):
    """Title, page and contents flag of each section."""
    return [(section.title, document.page_of(section.span.start), section.contents) for section in document.sections]


@pytest.mark.parametrize("source", ["marks", "links", "printed"])
def test_contents_become_sections(source):
    """Bookmarks, links and a printed list all lead to the lines of the titles on their pages."""
    document = read_pdf("x.pdf", filing(**{source: True}))
    found = places(document)
    assert found[: len(TITLES)] == [(title, page, True) for page, title in enumerate(TITLES, 3)]
    for section in document.sections[: len(TITLES)]:
        assert document.text[section.span.start :].upper().startswith(section.title.upper())


def test_headings_without_any_contents():
    """Where nothing lists the contents, the running text's own headings are found."""
    pages = [
        ["Item 1. Business", PROSE],
        ["Item 2. Properties", PROSE],
        [PROSE, "as described in", "Item 7. Results", PROSE],
    ]
    found = places(read_pdf("x.pdf", pdf(pages)))
    assert [(title, page) for title, page, _ in found[:2]] == [("Item 1. Business", 1), ("Item 2. Properties", 2)]
    assert not any(contents for *_, contents in found)


def test_typography_is_the_last_resort():
    """Titles that follow no pattern are known by their size and weight, larger ones above smaller ones."""
    pages = [
        [("Widgets of the World", {"size": 18}), PROSE, ("Small Widgets", {"bold": True}), PROSE, PROSE],
        [PROSE, PROSE, ("Large Widgets", {"bold": True}), PROSE],
    ]
    document = read_pdf("x.pdf", pdf(pages))
    assert [(section.depth, section.title) for section in document.sections] == [
        (1, "Widgets of the World"),
        (2, "Small Widgets"),
        (2, "Large Widgets"),
    ]


def test_statements_and_notes_nest_below_their_item():
    """Statements over their tables and notes in sequence are found below the contents; an index of them isn't."""
    rows = [f"Line number {n} of it {n * 10} {n * 11}" for n in range(1, 9)]
    pages = [
        ["Item 8. Financial Statements", "Consolidated Balance Sheets", "Consolidated Statements of Income", PROSE],
        ["CONSOLIDATED BALANCE SHEETS", "(in millions) 2018 2017", *rows],
        ["CONSOLIDATED STATEMENTS OF INCOME", "2018 2017", *rows],
        ["NOTES TO CONSOLIDATED FINANCIAL STATEMENTS", "Note 1. Basis of Presentation", PROSE, "Note 2. Leases", PROSE],
        ["Note 2. Leases (continued)", PROSE, "as we say in our", "Note 1. Basis", PROSE, "Note 3. Debt", PROSE],
    ]
    document = read_pdf("x.pdf", pdf(pages))
    assert [(section.depth, section.title) for section in document.sections] == [
        (1, "Item 8. Financial Statements"),
        (2, "CONSOLIDATED BALANCE SHEETS"),
        (2, "CONSOLIDATED STATEMENTS OF INCOME"),
        (2, "NOTES TO CONSOLIDATED FINANCIAL STATEMENTS"),
        (3, "Note 1. Basis of Presentation"),
        (3, "Note 2. Leases"),
        (3, "Note 3. Debt"),
    ]
    assert document.text.count("(in millions)") == 1
    assert len(document.rows) == 18


def test_pages_partition_and_words_survive():
    """Pages partition the text, each ends its line, and each holds exactly the words that pdfium finds on it."""
    data = filing(links=True, printed=True)
    document, original = read_pdf("x.pdf", data), pypdfium2.PdfDocument(data)
    assert len(document.pages) == len(original)
    for span, page in zip(document.pages, original, strict=True):
        text = document.text[span.start : span.end]
        assert text.endswith("\n")
        words = re.findall(r"\w+", page.get_textpage().get_text_range())
        assert Counter(re.findall(r"\w+", text)) == Counter(words)


def test_page_numbers_are_furniture():
    """The number at the foot of each page is furniture, wherever the page is."""
    document = read_pdf("x.pdf", filing())
    assert [document.text[span.start : span.end] for span in document.furniture] == [str(n) for n in range(1, 9)]


def test_rows_stay_together():
    """Cells drawn apart on one base line are one row, their heads with them."""
    table = [("(in millions)", {}), ("2018", {"x": 300}), ("2017", {"x": 400})]
    for label, first, second in (("Revenue", "1,234", "1,100"), ("Net income", "12", "(9)")):
        table += [label, (first, {"x": 300}), (second, {"x": 400})]
    document = read_pdf("x.pdf", pdf([[PROSE, *table]]))
    assert [document.text[row.start : row.end] for row in document.rows] == [
        *("(in millions) 2018 2017", "Revenue 1,234 1,100", "Net income 12 (9)"),
    ]


def test_encrypted():
    """A password is asked for by an error, not by a prompt; an owner's password alone doesn't stop the reading."""
    with pytest.raises(DocumentUnreadable, match="encrypted"):
        read_pdf("x.pdf", pdf([[PROSE]], password="secret"))


def test_scanned():
    """A PDF without text says how many pages were looked at, and what to do."""
    with pytest.raises(DocumentEmpty, match="none of its 3 pages") as caught:
        read_pdf("x.pdf", pdf([[], [], []]))
    assert "ocrmypdf" in caught.value.hint
    with pytest.raises(DocumentEmpty, match="its only page"):
        read_pdf("x.pdf", pdf([[]]))


def test_partly_scanned():
    """Pages without text are listed in a note."""
    document = read_pdf("x.pdf", pdf([[PROSE], [], [PROSE], []]))
    assert document.notes == ("2 of 4 pages hold no text and may be scanned or blank: pages 2, 4.",)
    many = read_pdf("x.pdf", pdf([[PROSE], *[[]] * 20]))
    assert many.notes[0].endswith("12, 13 and 8 more.")


def test_truncated(tmp_path):
    """A PDF that is cut off is an error with its size, or is read as far as it goes with a note."""
    data = pdf([[PROSE]] * 4)
    with pytest.raises(DocumentUnreadable, match="no whole PDF: 60 bytes"):
        read_pdf("x.pdf", data[:60])
    path = tmp_path / "cut.pdf"
    path.write_bytes(data[:80])
    with pytest.raises(DocumentUnreadable, match="80 bytes"):
        read_pdf("cut.pdf", path)
    assert "ends early" in read_pdf("x.pdf", data.replace(b"%%EOF", b"")).notes[0]


def test_a_page_that_fails_is_noted(monkeypatch):
    """One page that pdfium can't load is left empty and named; the others are read."""
    load = pypdfium2.PdfDocument.get_page

    def failing(pdf, index):
        if index == 1:
            raise pypdfium2.PdfiumError("Failed to load page.")
        return load(pdf, index)

    monkeypatch.setattr(pypdfium2.PdfDocument, "get_page", failing)
    monkeypatch.setattr(pypdfium2.PdfDocument, "__getitem__", failing)
    document = read_pdf("x.pdf", pdf([[PROSE]] * 3))
    assert document.notes[0] == "page 2 couldn't be read and is empty."
    assert document.text == f"{PROSE}\n\n{PROSE}\n"


def test_one_page():
    """A single page is a document like any other."""
    document = read_pdf("x.pdf", pdf([[PROSE]]))
    assert (len(document.pages), document.text) == (1, f"{PROSE}\n")


def test_three_thousand_pages():
    """3,000 pages are read, reported one by one, and take time in proportion."""

    def seconds(count):
        data, seen = pdf([[f"Page about subject {n}", PROSE] for n in range(count)]), []
        started = time.process_time()
        document = read_pdf("x.pdf", data, progress=lambda done, total, what: seen.append((done, total, what)))
        spent = time.process_time() - started
        assert len(document.pages) == len(seen) == count
        assert seen[-1] == (count, count, "x.pdf")
        return spent

    assert 4 * seconds(3_000) <= 4 * (8 * seconds(750) + 0.2)


def test_useless_bookmarks_are_ignored():
    """Bookmarks such as "Page 3" are no contents; the printed list is used instead."""

    def finish(canvas, index):
        canvas.addOutlineEntry(f"Page {index + 1}", f"page{index}", 0)

    document = read_pdf("x.pdf", pdf([["Item 1. Business", PROSE], ["Item 2. Properties", PROSE]], finish=finish))
    assert [title for title, *_ in places(document)] == ["Item 1. Business", "Item 2. Properties"]
