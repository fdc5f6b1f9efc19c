"""PDF to `Document`, with pdfium.

Each page's characters are read once, put back into lines (`pdf_lines`), and joined to one text in which pages are
spans. Structure comes from `pdf_contents` and `pdf_structure`.

Owns opening, what can be wrong with a file, and the order of these steps.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from hierarchy.document import Document, Span
from hierarchy.errors import DocumentEmpty, DocumentUnreadable
from hierarchy.loaders.furniture import furniture_lines
from hierarchy.loaders.headings import numbers_share, one_line, titled, useful
from hierarchy.loaders.pdf_contents import Contents, bookmarks, contents_pages, linked, printed
from hierarchy.loaders.pdf_lines import HYPHEN, Box, clean_lines, unhyphenated
from hierarchy.loaders.pdf_structure import Line, Styled, sections
from hierarchy.loaders.tables import row_lines

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument, PdfTextPage

__all__ = ["Progress", "read_pdf"]

Progress = Callable[[int, int, str], None]
"""Called with what is done, how much there is, and what is being read."""

_FEW_CHARACTERS = 8
_END_SEARCHED = 2_048
_STYLED_PAGES = 400
_LEAST_CONTENTS = 4
_FORCE_BOLD = 1 << 18  # PDF 32000, table 123
_FONT_NAME = 128


def read_pdf(
    name: str, source: Path | bytes, notes: tuple[str, ...] = (), progress: Progress | None = None
) -> Document:
    """The document in a PDF: text in reading order, pages, sections, rows and furniture.

    **Pages partition the text, and each holds exactly the words and numbers that pdfium finds on it.**

    Raises:
        DocumentUnreadable: It is encrypted or damaged.
        DocumentEmpty: No page holds text; usually a scan.
    """
    pdf = _opened(name, source)
    try:
        pages, page_notes = _page_lines(pdf, name, progress)
        _check_text(name, pages)
        notes = (*notes, *_ending(source), *page_notes, *_blank_pages(pages))
        return _assembled(pdf, name, pages, notes)
    finally:
        pdf.close()


def _opened(name: str, source: Path | bytes) -> PdfDocument:
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(source)
        count = len(pdf)
    except pypdfium2.PdfiumError as error:
        if "assword" in str(error) or "ecurity" in str(error):
            raise DocumentUnreadable(
                f"{name} is encrypted: it opens only with a password.", "Save a copy without a password and load that."
            ) from error
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        raise DocumentUnreadable(
            f"{name} is no whole PDF: {size:,} bytes, but pdfium finds no pages in them ({error}).",
            "The file is cut off or damaged: download it again, or open it in a viewer and print it to PDF.",
        ) from error
    if not count:
        raise DocumentEmpty(f"{name} is a PDF of 0 pages.", "Check that the right file was saved.")
    return pdf


def _ending(source: Path | bytes) -> tuple[str, ...]:
    """A note if the mark that ends every PDF is missing: pdfium then guesses what is left of a cut-off file."""
    if isinstance(source, bytes):
        tail = source[-_END_SEARCHED:]
    else:
        with source.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _END_SEARCHED))
            tail = file.read()
    if b"%%EOF" in tail:
        return ()
    return ("The file ends early (it has no %%EOF): pages or text may be missing.",)


def _page_lines(pdf: PdfDocument, name: str, progress: Progress | None) -> tuple[list[list[str]], tuple[str, ...]]:
    import pypdfium2

    pages: list[list[str]] = []
    failed: list[int] = []
    total = len(pdf)
    for index in range(total):
        try:
            page = pdf[index]
            textpage = page.get_textpage()
            pages.append(_lines(textpage))
            textpage.close()
            page.close()
        except pypdfium2.PdfiumError:
            pages.append([])
            failed.append(index)
        if progress:
            progress(index + 1, total, name)
    notes = (
        (f"{_pages_named(failed)} couldn't be read and {'is' if len(failed) == 1 else 'are'} empty.",) if failed else ()
    )
    return _resolved(pages), notes


def _lines(textpage: PdfTextPage) -> list[str]:
    raw = textpage.get_text_range()
    # pdfium counts UTF-16 units: beyond the basic plane a character's place in the text no longer tells its box.
    matched = len(raw) == textpage.count_chars()
    astral = not matched and raw != "" and max(raw) > "\uffff"
    return clean_lines(raw, None if astral else _boxes(textpage.raw, matched))


def _boxes(textpage: object, matched: bool) -> Callable[[int, int], Box | None]:
    """A function from characters of the text to their box; unless `matched`, pdfium is asked which ones they are."""
    import pypdfium2.raw as pdfium

    rect = pdfium.FS_RECTF()
    reference = ctypes.byref(rect)
    read, place = pdfium.FPDFText_GetLooseCharBox, pdfium.FPDFText_GetCharIndexFromTextIndex

    def box_of(first: int, last: int) -> Box | None:
        if not matched:
            first, last = place(textpage, first), place(textpage, last)
        if not read(textpage, first, reference):
            return None
        left, bottom, top = rect.left, rect.bottom, rect.top
        if not read(textpage, last, reference):
            return None
        return Box(left, rect.right, bottom, top)

    return box_of


def _resolved(pages: list[list[str]]) -> list[list[str]]:
    if not any(HYPHEN in line for lines in pages for line in lines):
        return pages
    known = "\n".join(line for lines in pages for line in lines).lower()
    return [[unhyphenated(line, known) if HYPHEN in line else line for line in lines] for lines in pages]


def _check_text(name: str, pages: Sequence[Sequence[str]]) -> None:
    if any(lines for lines in pages):
        return
    count = "its only page" if len(pages) == 1 else f"none of its {len(pages):,} pages"
    raise DocumentEmpty(
        f"{name} has no text: {count} holds {'none' if len(pages) == 1 else 'any'}; it is probably scanned.",
        "Run text recognition over it (for instance ocrmypdf) and load the result.",
    )


def _blank_pages(pages: Sequence[Sequence[str]]) -> tuple[str, ...]:
    blank = [index for index, lines in enumerate(pages) if sum(map(len, lines)) < _FEW_CHARACTERS]
    if not blank:
        return ()
    named = _pages_named(blank)
    return (f"{len(blank):,} of {len(pages):,} pages hold no text and may be scanned or blank: {named}.",)


def _pages_named(indices: Sequence[int]) -> str:
    shown = ", ".join(str(index + 1) for index in indices[:12])
    more = f" and {len(indices) - 12:,} more" if len(indices) > 12 else ""
    return f"page{'s' if len(indices) > 1 else ''} {shown}{more}"


def _assembled(pdf: PdfDocument, name: str, pages: Sequence[Sequence[str]], notes: tuple[str, ...]) -> Document:
    furniture = furniture_lines(pages)
    lined, spans, texts, at = [], [], [], 0
    for lines, found in zip(pages, furniture, strict=True):
        text = "\n".join(lines) + "\n"
        lined.append(list(_marked(lines, set(found), at)))
        texts.append(text)
        spans.append(Span(at, at + len(text)))
        at += len(text)
    contents = _contents(pdf, pages)
    return Document(
        name=name,
        text="".join(texts),
        media="pdf",
        sections=sections(lined, contents, lambda: _styled(pdf, pages), at),
        pages=tuple(spans),
        rows=_spans(line for lines in lined for line in lines if line.row),
        furniture=_spans(line for lines in lined for line in lines if line.furniture),
        notes=notes,
    )


def _marked(lines: Sequence[str], furniture: set[int], start: int) -> Iterator[Line]:
    rows = row_lines(lines)
    for index, line in enumerate(lines):
        yield Line(text=line, start=start, row=rows[index] and index not in furniture, furniture=index in furniture)
        start += len(line) + 1


def _spans(lines: Iterator[Line]) -> tuple[Span, ...]:
    return tuple(Span(line.start, line.start + len(line.text)) for line in lines)


def _contents(pdf: PdfDocument, pages: Sequence[Sequence[str]]) -> Contents:
    """The first source that says enough: bookmarks, then links of contents pages, then a printed list."""
    candidates = contents_pages(pages)
    from_print = printed(pages, candidates)
    from_marks = bookmarks(pdf)
    if len(from_marks.entries) >= _LEAST_CONTENTS:
        return Contents(from_marks.entries, from_print.listed_on)
    from_links = linked(pdf, candidates)
    best = max(from_links, from_print, from_marks, key=lambda contents: len(contents.entries) >= _LEAST_CONTENTS)
    return Contents(best.entries, from_links.listed_on | from_print.listed_on)


def _styled(pdf: PdfDocument, pages: Sequence[Sequence[str]]) -> list[Styled]:
    """Lines that are larger or bolder than the body of the text."""
    styles: list[tuple[int, str, float, bool]] = []
    for index in range(min(len(pdf), _STYLED_PAGES)):
        if not pages[index]:
            continue  # blank, or it failed before
        page = pdf[index]
        textpage = page.get_textpage()
        styles += [(index, *style) for style in _line_styles(textpage)]
        textpage.close()
        page.close()
    sizes: Counter[float] = Counter()
    for _, text, size, _ in styles:
        sizes[size] += len(text)
    if not sizes:
        return []
    body = sizes.most_common(1)[0][0]
    bold_share = sum(len(text) for _, text, _, bold in styles if bold) / max(1, sum(sizes.values()))
    heads = [
        (index, text, size)
        for index, text, size, bold in styles
        if _may_head(text) and (size >= 1.15 * body or (bold and size >= body and bold_share < 0.3))
    ]
    if len(heads) > 12 * len(pdf) + 10:
        return []  # everything stands out, so nothing does
    larger = sorted({size for _, _, size in heads}, reverse=True)
    ranks = {size: 1 + min(place, 5) for place, size in enumerate(larger)}
    return [Styled(one_line(text), index, ranks[size]) for index, text, size in heads]


def _may_head(text: str) -> bool:
    return (
        4 <= len(text) <= 110
        and text[-1] not in ",;."
        and numbers_share(text) < 0.2
        and titled(text, 0.6)
        and useful(text)
    )


def _line_styles(textpage: PdfTextPage) -> Iterator[tuple[str, float, bool]]:
    import pypdfium2.raw as pdfium

    raw = textpage.get_text_range()
    if len(raw) != textpage.count_chars():
        return
    at = 0
    for line in raw.split("\n"):
        text = " ".join(line.split())
        if text:
            first = at + line.index(text[0])
            size = round(2 * pdfium.FPDFText_GetFontSize(textpage.raw, first)) / 2
            yield text, size, _is_bold(textpage.raw, first)
        at += len(line) + 1


def _is_bold(textpage: object, index: int) -> bool:
    """Whether a character is bold by its font's name or flags; most files leave the weight out."""
    import pypdfium2.raw as pdfium

    name, flags = ctypes.create_string_buffer(_FONT_NAME), ctypes.c_int(0)
    pdfium.FPDFText_GetFontInfo(textpage, index, name, _FONT_NAME, ctypes.byref(flags))
    return bool(flags.value & _FORCE_BOLD) or any(word in name.value.lower() for word in (b"bold", b"black", b"heavy"))
