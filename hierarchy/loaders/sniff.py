"""What kind of file some bytes are: by content first, by name second.

A wrong extension is common and harmless, a wrong reader isn't: `kind_of` looks at magic bytes and markup before it
believes the name, and says so when the two differ.

Owns the table of formats that are read and of those that are named when they are refused.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath

from hierarchy.errors import DocumentUnreadable
from hierarchy.loaders.decode import looks_binary

__all__ = ["SUFFIXES", "Kind", "declared_media", "kind_of"]

SUFFIXES = {
    "pdf": (".pdf",),
    "html": (".html", ".htm", ".xhtml"),
    "docx": (".docx", ".docm"),
    "markdown": (".md", ".markdown", ".mdown", ".mkd"),
    "text": (
        *(".txt", ".text", ".csv", ".tsv", ".log", ".json", ".jsonl", ".ndjson", ".xml", ".yaml", ".yml", ".toml"),
        *(".ini", ".cfg", ".rst", ".adoc", ".org", ".tex", ".srt", ".vtt", ".eml", ".py", ".sql", ""),
    ),
}
"""The suffixes that a folder is searched for, by kind of reader."""

_KINDS = {suffix: kind for kind, suffixes in SUFFIXES.items() for suffix in suffixes}
_MAGIC = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"\x7fELF", "a program (ELF)"),
    (b"MZ\x90", "a Windows program"),
    (b"\xd0\xcf\x11\xe0", "an old Office file (doc, xls or ppt)"),
    (b"{\\rtf", "an RTF document"),
    (b"%!PS", "a PostScript document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BZh", "a bzip2 archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"SQLite format 3\0", "an SQLite database"),
    (b"RIFF", "a media file (RIFF)"),
    (b"ID3", "an MP3 recording"),
    (b"OggS", "an Ogg recording"),
)
_ZIPS = (
    ("word/document.xml", "docx", ""),
    ("xl/workbook.xml", "", "an Excel workbook (xlsx)"),
    ("ppt/presentation.xml", "", "a PowerPoint presentation (pptx)"),
    ("META-INF/container.xml", "", "an EPUB book"),
    ("content.xml", "", "an OpenDocument file (odt, ods or odp)"),
)
_REMEDIES = (
    ("image", "It holds no text as such: run text recognition (OCR) over it and save a PDF with text."),
    ("Excel", "Save each sheet as CSV, or print the workbook to PDF."),
    ("PowerPoint", "Export it as PDF."),
    ("EPUB", "Convert it to HTML or PDF, for instance with calibre."),
    ("Office", "Save it as DOCX or PDF; a sheet as CSV."),
    ("RTF", "Save it as DOCX or PDF."),
    ("OpenDocument", "Save it as DOCX or PDF; a sheet as CSV."),
    ("PostScript", "Convert it to PDF, for instance with ps2pdf."),
    ("archive", "Unpack it and load the folder."),
    ("recording", "Transcribe it and load the text."),
)
_REFUSED_SUFFIXES = {
    ".xlsx": "an Excel workbook (xlsx)",
    ".pptx": "a PowerPoint presentation (pptx)",
    ".epub": "an EPUB book",
    ".doc": "an old Office file (doc)",
    ".xls": "an old Office file (xls)",
    ".ppt": "an old Office file (ppt)",
    ".rtf": "an RTF document",
    ".odt": "an OpenDocument file (odt)",
}
_HTML = re.compile(
    rb"\s*(?:<\?xml[^>]{0,200}>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL
)
_HEAD = 4_096


@dataclass(frozen=True, slots=True)
class Kind:
    """Which reader to use (`pdf`, `html`, `docx`, `markdown` or `text`), and what was odd about the name."""

    media: str
    notes: tuple[str, ...] = ()


def declared_media(name: str) -> str:
    """What a name's suffix says text in memory is: `markdown` or `text`."""
    return "markdown" if _KINDS.get(PurePosixPath(name).suffix.lower()) == "markdown" else "text"


def kind_of(name: str, head: bytes, whole: Callable[[], bytes]) -> Kind:
    """The kind of file that starts with `head`.

    Args:
        name: Its name, for the suffix and for messages.
        head: At least its first few thousand bytes, or all of it.
        whole: Reads all of it; only called for zip archives, whose table of contents stands at the end.

    Raises:
        DocumentUnreadable: It is of a kind that isn't read; the message names the kind, the hint what to convert to.
    """
    suffix = PurePosixPath(name).suffix.lower()
    declared = _KINDS.get(suffix)
    found = _by_content(name, head, whole)
    if found is None:
        if suffix in _REFUSED_SUFFIXES and looks_binary(head):
            raise _refused(name, _REFUSED_SUFFIXES[suffix])
        # Content that could be any text: the name decides between text and Markdown, never for PDF or DOCX.
        media = declared if declared in ("markdown", "html") else "text"
        if declared in ("pdf", "docx") and (looks_binary(head) or not head.strip()):
            return Kind(declared)
        notes = (f"Named {suffix} but holds plain text; read as that.",) if declared in ("pdf", "docx") else ()
        return Kind(media, notes)
    if found == declared or suffix == "" or (found == "html" and suffix == ".xml"):
        return Kind(found)
    return Kind(found, (f"Named {suffix} but holds {_called(found)}; read as that.",))


def _called(media: str) -> str:
    return {"html": "HTML"}.get(media, f"a {media.upper()} document")


def _by_content(name: str, head: bytes, whole: Callable[[], bytes]) -> str | None:
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _inside_zip(name, whole())
    for magic, called in _MAGIC:
        # Magic made of plain letters may begin a sentence: then the rest has to look binary, too.
        if head.startswith(magic) and (not magic.isalnum() or looks_binary(head)):
            raise _refused(name, called)
    return "html" if _HTML.match(_marked_ascii(head[:_HEAD])) else None


def _marked_ascii(head: bytes) -> bytes:
    """The ASCII characters of the beginning, whatever its encoding: enough to see a tag."""
    return head.replace(b"\0", b"").removeprefix(b"\xef\xbb\xbf").removeprefix(b"\xff\xfe").removeprefix(b"\xfe\xff")


def _inside_zip(name: str, data: bytes) -> str:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        if name.lower().endswith(SUFFIXES["docx"]):
            return "docx"  # damaged: its own reader says so
        raise DocumentUnreadable(
            f"{name} is a damaged zip archive of {len(data):,} bytes: {error}.", "Copy or download it again."
        ) from error
    for member, media, called in _ZIPS:
        if member in members:
            if media:
                return media
            raise _refused(name, called)
    raise _refused(name, f"a zip archive of {len(members):,} files")


def _refused(name: str, called: str) -> DocumentUnreadable:
    default = "Convert it to PDF, HTML, DOCX, Markdown or plain text."
    remedy = next((remedy for word, remedy in _REMEDIES if word in called), default)
    return DocumentUnreadable(f"{name} is {called}, which isn't read.", remedy)
