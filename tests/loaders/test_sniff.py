import io
import zipfile

import pytest

from hierarchy.errors import DocumentUnreadable
from hierarchy.loaders.sniff import kind_of


def kind(name, data):
    """The kind of a whole file."""
    return kind_of(name, data, lambda: data)


def archive(*members):
    """A zip archive with some empty members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for member in members:
            file.writestr(member, "")
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "data", "media"),
    [
        ("a.pdf", b"%PDF-1.7\n", "pdf"),
        ("a.html", b"<p>part of a page</p>", "html"),
        ("a.htm", b"<!-- saved -->\n<!DOCTYPE html><html>", "html"),
        ("a.xhtml", b'<?xml version="1.0"?>\n<html xmlns="">', "html"),
        ("a.docx", archive("word/document.xml"), "docx"),
        ("a.md", b"# Title", "markdown"),
        ("a.txt", b"text", "text"),
        ("README", b"text", "text"),
        ("a.json", b"{}", "text"),
        ("a.txt", b"ID3 was a tag, RIFF a format, and BZh a magic.", "text"),
    ],
)
def test_names_and_content_that_agree(name, data, media):
    """A file that is what it is called is read without a note."""
    found = kind(name, data)
    assert (found.media, found.notes) == (media, ())


@pytest.mark.parametrize(
    ("name", "data", "media"),
    [
        ("a.txt", b"%PDF-1.7\n", "pdf"),
        ("a.pdf", b"<html><p>page</p></html>", "html"),
        ("a.pdf", b"just text that someone renamed", "text"),
        ("a.docx", b"just text", "text"),
        ("a.doc", archive("word/document.xml"), "docx"),
        ("a.txt", "<html><p>seite</p></html>".encode("utf-16"), "html"),
    ],
)
def test_content_goes_before_the_name(name, data, media):
    """A wrong extension works, with a note that names both."""
    found = kind(name, data)
    assert found.media == media
    assert name[1:] in found.notes[0]


@pytest.mark.parametrize(
    ("name", "data", "called", "remedy"),
    [
        ("a.txt", b"\x89PNG\r\n\x1a\n", "PNG image", "OCR"),
        ("a", b"\x7fELF\x02", "program", "Convert"),
        ("a.xlsx", archive("xl/workbook.xml"), "Excel", "CSV"),
        ("a.pptx", archive("ppt/presentation.xml"), "PowerPoint", "PDF"),
        ("a.epub", archive("META-INF/container.xml"), "EPUB", "HTML"),
        ("a.odt", archive("content.xml"), "OpenDocument", "DOCX"),
        ("a.zip", archive("one.txt", "two.txt"), "zip archive of 2 files", "Unpack"),
        ("a.zip", b"PK\x03\x04damaged", "damaged zip archive", "again"),
        ("a.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office", "DOCX"),
        ("a.rtf", b"{\\rtf1 text}", "RTF", "DOCX"),
        ("a.mp3", b"ID3\x04\0\0\0\0" + bytes(90), "recording", "Transcribe"),
        ("a.xls", bytes(range(32)) * 9, "old Office", "CSV"),
    ],
)
def test_what_isnt_read_is_named(name, data, called, remedy):
    """An unsupported format is called by its name, and the hint says what to convert it to."""
    with pytest.raises(DocumentUnreadable, match=called) as caught:
        kind(name, data)
    assert remedy in caught.value.hint
