"""What was read: text, and the structure that its file declares or shows, as spans over that text.

A `Document` is a file or a folder. A file has text; its sections, pages, table rows and repeated page furniture are
spans of characters in that text, so that everything said about it later maps back to exact characters. A folder has
parts and no text of its own.

Owns the invariants of those spans. Doesn't know where text comes from (`loaders`) or how it is split (`planner`).
"""

from __future__ import annotations

import hashlib
import itertools
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass

from hierarchy.errors import InputError

__all__ = ["Document", "Section", "Span"]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Characters `start` to `end` (half-open) of one file's text."""

    start: int
    end: int

    def __post_init__(self) -> None:
        """Refuse a span that runs backwards."""
        if not 0 <= self.start <= self.end:
            raise ValueError(f"A span runs forwards from 0: {self.start}–{self.end} doesn't.")

    def __len__(self) -> int:
        """Its length in characters."""
        return self.end - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A titled stretch of text. Sections of one file nest: a deeper one lies within its parent, siblings don't overlap.

    Attributes:
        title: The heading as a reader would say it, on one line.
        span: From the start of its heading to the start of the next section of the same or a lesser depth.
        depth: 1 for a top-level section, 2 for one within it, and so on.
        contents: Whether the title comes from bookmarks or a table of contents rather than from the running text.
    """

    title: str
    span: Span
    depth: int = 1
    contents: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    r"""One file with its text and structure, or a folder of such files.

    **Pages, if there are any, partition the text; sections nest; rows and furniture don't overlap among themselves.**

    Attributes:
        name: The file's path relative to what was loaded, with `/`; unique within a folder. For a single file its name.
        text: The whole text; empty for a folder.
        media: `pdf`, `html`, `docx`, `markdown`, `text` or `folder`.
        sections: In document order, a parent before its children.
        pages: One span per page, `pages[0]` being the first physical page; empty where the format has no pages.
        rows: Lines that are rows of tables, column heads included.
        furniture: Running headers, footers and page numbers: part of the text, never evidence.
        notes: What had to be guessed or left out when reading, one sentence each, to be shown to the user.
        parts: The files of a folder, in order of name; empty for a file.

    Example:
        >>> document = Document(name="note.txt", text="Aspirin 75 mg daily.\nNo known allergies.\n", media="text")
        >>> document.text[document.span_of("75 mg").start :][:5]
        '75 mg'
    """

    name: str
    text: str = ""
    media: str = "text"
    sections: tuple[Section, ...] = ()
    pages: tuple[Span, ...] = ()
    rows: tuple[Span, ...] = ()
    furniture: tuple[Span, ...] = ()
    notes: tuple[str, ...] = ()
    parts: tuple[Document, ...] = ()

    def __post_init__(self) -> None:
        """Check the invariants that everything later builds on; they cost little and fail early."""
        if self.parts and (self.text or self.pages or self.sections):
            raise ValueError(f"{self.name}: a folder has parts and no text of its own.")
        if self.pages:
            edges = [0, *(page.end for page in self.pages)]
            if [page.start for page in self.pages] != edges[:-1] or edges[-1] != len(self.text):
                raise ValueError(f"{self.name}: pages don't partition the text.")
        _check_nesting(self.name, self.sections, len(self.text))
        for spans in (self.rows, self.furniture):
            if any(a.end > b.start for a, b in itertools.pairwise(spans)):
                raise ValueError(f"{self.name}: rows or furniture overlap.")

    @property
    def files(self) -> tuple[Document, ...]:
        """The document itself, or every file below the folder, in order."""
        return tuple(self._files())

    def _files(self) -> Iterator[Document]:
        if self.parts:
            for part in self.parts:
                yield from part._files()
        else:
            yield self

    def page_of(self, position: int) -> int | None:
        """The page, counted from 1, that holds the character at `position`; None where there are no pages."""
        if not self.pages:
            return None
        page = bisect_right(self.pages, position, key=lambda span: span.start)
        # Empty pages share their start with the page behind them; the character lies on the last of these.
        return max(1, page)

    def span_of(self, quote: str, start: int = 0) -> Span:
        """Where `quote` first stands verbatim from `start` on.

        Raises:
            InputError: It doesn't stand there.
        """
        at = self.text.find(quote, start)
        if at < 0:
            raise InputError(f"{self.name} doesn't hold {quote[:60]!r}.", "Quotes are matched character by character.")
        return Span(at, at + len(quote))

    @property
    def key(self) -> str:
        """Content hash over names, text and structure: equal keys mean equal trees."""
        digest = hashlib.blake2b(digest_size=16)
        for file in self.files:
            structure = (file.name, file.media, file.sections, file.pages, file.rows, file.furniture)
            digest.update(repr(structure).encode("utf-8", "surrogatepass"))
            digest.update(file.text.encode("utf-8", "surrogatepass"))
        return digest.hexdigest()


def _check_nesting(name: str, sections: tuple[Section, ...], length: int) -> None:
    open_sections: list[Section] = []
    for section in sections:
        while open_sections and open_sections[-1].span.end <= section.span.start:
            open_sections.pop()
        parent = open_sections[-1] if open_sections else None
        inside = section.span.end <= (parent.span.end if parent else length)
        if not inside or (parent and parent.depth >= section.depth):
            raise ValueError(f"{name}: section {section.title!r} overlaps its neighbour.")
        open_sections.append(section)
