"""HTML and DOCX to `Document`: the text a reader sees, one block a line, one table row a line.

A browser's layout isn't simulated; what counts is that text comes in order, that a row stays together with its cells
apart, and that what isn't shown (scripts, styles, navigation) doesn't come at all. DOCX is turned into HTML by mammoth
and read by the same reader.

Owns the walk over the tree of elements. Doesn't know files.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hierarchy.document import Document, Span
from hierarchy.errors import DocumentEmpty, DocumentUnreadable
from hierarchy.loaders.decode import decode
from hierarchy.loaders.headings import Heading, heading_of, nest, one_line
from hierarchy.loaders.plain import read_plain

if TYPE_CHECKING:
    from selectolax.lexbor import LexborNode

__all__ = ["read_docx", "read_html"]

_CELLS_APART = " | "
_DROPPED = frozenset(
    "script style noscript template svg head nav iframe object canvas button select input textarea map audio video"
    " dialog".split()
)
_BLOCKS = frozenset(
    "address article aside blockquote body caption center dd details div dl dt fieldset figcaption figure footer form"
    " h1 h2 h3 h4 h5 h6 header hr html legend li main ol optgroup option p pre section summary table tbody tfoot thead"
    " title tr ul".split()
)
_HEADINGS = {"h1": 1, "h2": 2, "h3": 3, "h4": 4, "h5": 5, "h6": 6}
_FEW_HEADINGS = 2


def read_html(name: str, data: bytes | str, notes: tuple[str, ...] = (), media: str = "html") -> Document:
    """The visible text of a page, with its headings as sections and its table rows on one line each.

    Raises:
        DocumentEmpty: Nothing in it is text that a reader would see.
    """
    from selectolax.lexbor import LexborHTMLParser

    if isinstance(data, bytes):
        decoded = _decoded(name, data)
        source, notes = decoded[0], (*notes, *decoded[1])
    else:
        source = data
    tree = LexborHTMLParser(source)
    writer = _Writer()
    if tree.body is not None:
        _walk(tree.body, writer)
    writer.end_line()
    text = "".join(writer.parts)
    if not text.strip():
        raise DocumentEmpty(
            f"{name} holds no visible text in its {len(source):,} characters of markup.",
            "If the page is filled in by a script, save it from a browser after it has loaded.",
        )
    headings = writer.headings if len(writer.headings) >= _FEW_HEADINGS else _found_in(name, text, writer)
    return Document(
        name=name, text=text, media=media, sections=nest(headings, len(text)), rows=tuple(writer.rows), notes=notes
    )


def read_docx(name: str, data: bytes, notes: tuple[str, ...] = ()) -> Document:
    """The text of a Word document, by way of HTML.

    Raises:
        DocumentUnreadable: It is damaged or encrypted.
        DocumentEmpty: It holds no text.
    """
    import mammoth

    try:
        converted = mammoth.convert_to_html(io.BytesIO(data), convert_image=mammoth.images.img_element(lambda _: {}))
    except Exception as error:  # Mammoth lets out whatever a damaged archive or its XML raises.
        raise DocumentUnreadable(
            f"{name} is a damaged DOCX of {len(data):,} bytes: {type(error).__name__}: {str(error)[:120]}.",
            "Open it in a word processor, save it again or export it as PDF.",
        ) from error
    if not converted.value.strip():
        raise DocumentEmpty(f"{name} is a DOCX without text.", "If its pages are pictures, run text recognition.")
    return read_html(name, converted.value, notes, media="docx")


def _decoded(name: str, data: bytes) -> tuple[str, tuple[str, ...]]:
    """Decode as the page declares, where it isn't UTF-8; without a note then, since nothing was guessed."""
    decoded = decode(data, name)
    declared = _declared(data)
    if declared and any("Windows-1252" in note or "Latin-1" in note for note in decoded.notes):
        try:
            return data.decode(declared), ()
        except (LookupError, UnicodeDecodeError):
            pass
    return decoded.text, decoded.notes


def _declared(data: bytes) -> str | None:
    head = data[:2_048].lower()
    at = head.find(b"charset=")
    if at < 0:
        return None
    name = head[at + 8 :].lstrip(b"\"'")[:40]
    return (
        name.replace(b"'", b'"').partition(b'"')[0].partition(b" ")[0].strip(b">/;").decode("ascii", "ignore") or None
    )


@dataclass(slots=True)
class _Writer:
    """Collects text line by line; white space within a line is collapsed as a browser does."""

    parts: list[str] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    rows: list[Span] = field(default_factory=list)
    length: int = 0
    line: list[str] = field(default_factory=list)
    rank: int = 0

    def end_line(self, *, row: bool = False) -> None:
        """End the current line, if anything stands on it."""
        text = " ".join("".join(self.line).split())
        self.line.clear()
        if not text:
            return
        if row:
            self.rows.append(Span(self.length, self.length + len(text)))
        elif self.rank and (title := one_line(text)):
            self.headings.append(Heading(title=title, start=self.length, rank=self.rank))
            self.rank = 0
        self._write(text)

    def verbatim(self, text: str) -> None:
        """Write preformatted lines as they are."""
        self.end_line()
        for line in text.split("\n"):
            if line.strip():
                self._write(line.rstrip())

    def _write(self, text: str) -> None:
        self.parts += [text, "\n"]
        self.length += len(text) + 1


def _walk(root: LexborNode, writer: _Writer) -> None:
    """Write all that is below `root`, without recursion: pages nest thousands deep when tags aren't closed."""
    stack: list[tuple[LexborNode, bool]] = [(root, False)]
    while stack:
        node, closing = stack.pop()
        tag = node.tag or ""
        if tag == "-text":
            writer.line.append(node.text_content or "")
            continue
        if closing:
            writer.end_line()
            writer.rank = 0
            continue
        if tag in _DROPPED or tag.startswith(("-", "_")) or _hidden(node):
            continue
        if tag == "br":
            writer.end_line()
        elif tag == "pre":
            writer.verbatim(node.text())
        elif tag == "tr" and not _holds_blocks(node):
            _write_row(node, writer)
        else:
            _open(node, tag, writer, stack)


def _open(node: LexborNode, tag: str, writer: _Writer, stack: list[tuple[LexborNode, bool]]) -> None:
    if tag in _BLOCKS:
        writer.end_line()
        writer.rank = _HEADINGS.get(tag, writer.rank)
        stack.append((node, True))
    elif tag in ("td", "th"):
        writer.line.append(" ")
        stack.append((node, True))
    children = list(node.iter(include_text=True))
    stack += [(child, False) for child in reversed(children)]


def _hidden(node: LexborNode) -> bool:
    attributes = node.attributes
    if not attributes:
        return False
    style = (attributes.get("style") or "").replace(" ", "").lower()
    return "hidden" in attributes or "display:none" in style or attributes.get("role") == "navigation"


def _holds_blocks(row: LexborNode) -> bool:
    """Whether a row is there for layout: it holds a table of its own, or headings, or long prose."""
    return row.css_first("table, h1, h2, h3, h4, h5, h6, ul, ol") is not None or len(row.text()) > 4_000


def _write_row(row: LexborNode, writer: _Writer) -> None:
    writer.end_line()
    cells = [cell for cell in row.iter() if cell.tag in ("td", "th") and not _hidden(cell)]
    texts = [" ".join(_visible(cell).split()) for cell in cells]
    shown = _joined([text for text in texts if text])
    writer.line.append(_CELLS_APART.join(shown))
    # A single cell is layout or a title, not a row of data.
    writer.end_line(row=len(shown) > 1)


def _joined(texts: list[str]) -> list[str]:
    """Cells put back together that hold only a sign: "$", "1,234" and ")" "%" often have cells of their own."""
    cells: list[str] = []
    for text in texts:
        if cells and (text in (")", "%", ")%") or cells[-1] in ("$", "€", "£", "¥", "(")):
            cells[-1] += text
        else:
            cells.append(text)
    return cells


def _visible(cell: LexborNode) -> str:
    if cell.css_first("script, style, noscript, template, br, p, div") is None:
        return cell.text()
    writer = _Writer()
    for child in cell.iter(include_text=True):
        _walk(child, writer)
    writer.end_line()
    return " ".join("".join(writer.parts).split("\n"))


def _found_in(name: str, text: str, writer: _Writer) -> list[Heading]:
    """Headings by pattern, for pages that mark theirs by bold type only; never within a row."""
    rows = {row.start for row in writer.rows}
    found = list(writer.headings)
    for section in read_plain(name, text).sections:
        line = text[section.span.start : text.find("\n", section.span.start)]
        if section.span.start not in rows and (heading_of(line) or line.isupper()):
            found.append(Heading(title=section.title, start=section.span.start, rank=10 + section.depth))
    return found
