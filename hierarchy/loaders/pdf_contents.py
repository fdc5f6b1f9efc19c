"""What a PDF says about its own contents: bookmarks, links on a contents page, or a printed list.

Each source gives entries of title, page and rank. Bookmarks are the author's own outline; contents links carry their
target page exactly; a printed list is mapped to pages by the distance between printed and physical page numbers that
most pages agree on.

Owns the choice of the best source and what counts as a useful title. Doesn't know where on its page a section starts
(`pdf_structure`).
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from hierarchy.loaders.furniture import page_number_offset
from hierarchy.loaders.headings import (
    ITEM,
    NOTE,
    NUMBER,
    PART,
    STATEMENT,
    heading_of,
    numbers_share,
    one_line,
    title_key,
    useful,
)

if TYPE_CHECKING:
    from pypdfium2 import PdfDocument

__all__ = ["Contents", "Entry", "bookmarks", "contents_pages", "linked", "printed"]

_ENTRY = re.compile(r"(\S.{2,180}?)[\s.…·]+(\d{1,3})")
_BARE_ITEM = re.compile(r"(\d{1,2}[A-C]?)[.:]?\s+(?=[A-Z(\[])")
_DATA = re.compile(r"\d,\d{3}|\$|%|\b\d+\.\d+\b(?!\s*[A-Z])")
_FEWEST = 4
_SEARCHED = 15
_ANNOUNCED = 12
_OTHER = ITEM
_UNDER_ITEM = NUMBER


@dataclass(frozen=True, slots=True)
class Entry:
    """A title, the index of the page it points to, and its rank."""

    title: str
    page: int
    rank: int


@dataclass(frozen=True, slots=True)
class Contents:
    """The entries in order, and the pages that list them (where a title is a mention, not a heading)."""

    entries: tuple[Entry, ...] = ()
    listed_on: frozenset[int] = frozenset()


def bookmarks(pdf: PdfDocument) -> Contents:
    """The outline that the file carries; empty if it has none worth the name."""
    entries = []
    for bookmark in pdf.get_toc(max_depth=8):
        destination = bookmark.get_dest()
        page = destination.get_index() if destination else None
        title = one_line(bookmark.get_title())
        if page is not None and 0 <= page < len(pdf) and useful(title):
            entries.append(Entry(title, page, 1 + bookmark.level))
    return Contents(_levelled(entries) if len({entry.page for entry in entries}) > 1 or len(pdf) < _FEWEST else ())


def _levelled(entries: Sequence[Entry]) -> tuple[Entry, ...]:
    """Outlines made by converters are often flat, items beside parts: named headings keep their usual order then."""
    if len({entry.rank for entry in entries}) > 1:
        return tuple(entries)
    return _ranked([(entry.title, entry.page) for entry in entries])


def _ranked(found: Sequence[tuple[str, int]]) -> tuple[Entry, ...]:
    """Give entries their ranks: named ones by name, others below the item they follow, or on top where there's none."""
    found = _named_items(found)
    entries = []
    items = sum(_name_rank(title) == ITEM for title, _ in found) >= 3
    notes = any(title_key(title).startswith("notes to") for title, _ in found)
    within = False
    for title, page in found:
        rank = _name_rank(title)
        if rank is None and notes and title[0].isdigit():
            rank = NOTE
        elif rank is None and (heading := heading_of(title)) and heading.rank == STATEMENT:
            rank = _UNDER_ITEM
        elif rank is None:
            closing = title_key(title).startswith(("signature", "exhibit", "index", "schedule", "glossary"))
            rank = _UNDER_ITEM if items and within and not closing else _OTHER
        within = within or rank == ITEM
        entries.append(Entry(title, page, rank))
    return tuple(entries)


def _named_items(found: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """Write "1A. Risk Factors" out as "Item 1A. …": contents of filings often have the word in another column."""
    bare = [_BARE_ITEM.match(title) for title, _ in found]
    if not any(match and match[1] == "1A" for match in bare):
        return list(found)
    return [
        (f"Item {match[1]}. {title[match.end() :]}" if match else title, page)
        for match, (title, page) in zip(bare, found, strict=True)
    ]


def _name_rank(title: str) -> int | None:
    heading = heading_of(title)
    return heading.rank if heading and heading.rank in (PART, ITEM, NOTE) else None


def contents_pages(pages: Sequence[Sequence[str]]) -> list[int]:
    """Pages that may list contents: of the first few those with many entries, and later ones that announce an index."""
    return [
        index
        for index, lines in enumerate(pages)
        if (index < _SEARCHED or _announces(lines)) and sum(map(_is_entry, lines)) >= _FEWEST
    ]


def _announces(lines: Sequence[str]) -> bool:
    top = [line.lower() for line in lines[:_ANNOUNCED] if len(line) < 90]
    return any("index to" in line and "exhibit" not in line for line in top)


def _is_entry(line: str) -> bool:
    """Whether a line ends in a page number, is one, or is an item; the digits come first because they settle most."""
    return (line[-1].isdigit() and len(line) < 200) or line[:5].lower() in ("item ", "part ", "note ")


def linked(pdf: PdfDocument, candidates: Sequence[int]) -> Contents:
    """Entries from the links of contents pages; a page counts if its links lead to several pages in order."""
    found: list[tuple[str, int]] = []
    listed = set()
    for index in candidates:
        rows = _link_rows(pdf, index)
        targets = [page for _, page in rows]
        if len(rows) < _FEWEST + 1 or len(set(targets)) < _FEWEST or not _in_order(targets):
            continue
        listed.add(index)
        known = {(title_key(title), page) for title, page in found}
        found += [row for row in rows if (title_key(row[0]), row[1]) not in known]
    return Contents(_ranked(_by_page(found)), frozenset(listed))


def _by_page(found: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    return sorted(found, key=lambda row: row[1])


def _in_order(pages: Sequence[int]) -> bool:
    forward = sum(later >= earlier for earlier, later in pairwise(pages))
    return forward >= 0.8 * (len(pages) - 1)


@dataclass(slots=True)
class _Link:
    bottom: float
    top: float
    page: int
    height: float | None


def _link_rows(pdf: PdfDocument, index: int) -> list[tuple[str, int]]:
    """Title and target page of each row of links on a page, from its top down."""
    page = pdf[index]
    links = sorted(_links(pdf, page.raw), key=lambda link: -link.top)
    if len(links) <= _FEWEST:
        page.close()
        return []
    merged: list[_Link] = []
    for link in links:
        last = merged[-1] if merged else None
        if (
            last
            and last.page == link.page
            and min(last.top, link.top) - max(last.bottom, link.bottom) > 0.4 * (link.top - link.bottom)
        ):
            last.bottom, last.top = min(last.bottom, link.bottom), max(last.top, link.top)
        else:
            merged.append(link)
    textpage = page.get_textpage()
    width = page.get_width()
    rows = []
    for link in merged:
        text = textpage.get_text_bounded(0, link.bottom + 1, width, link.top - 1)
        title = one_line(re.sub(r"[\s.…]+(?:\d{1,3}|[A-Z]-\d{1,3})\s*$", "", text.replace("\r\n", " ").strip()))
        if useful(title) and numbers_share(title) < 0.3:
            rows.append((title, link.page, link.height))
    textpage.close()
    page.close()
    return _wrapped(rows)


def _wrapped(rows: Sequence[tuple[str, int, float | None]]) -> list[tuple[str, int]]:
    """Join the second line of a long title to its first: same target, and no beginning of its own."""
    joined: list[tuple[str, int, float | None]] = []
    for title, page, height in rows:
        last = joined[-1] if joined else None
        same = last is not None and height is not None and (last[1], last[2]) == (page, height)
        if last and same and len(last[0]) > 60 and _name_rank(title) is None:
            joined[-1] = (one_line(f"{last[0]} {title}"), page, height)
        else:
            joined.append((title, page, height))
    return [(title, page) for title, page, _ in joined]


def _links(pdf: PdfDocument, page: object) -> Iterator[_Link]:
    import pypdfium2.raw as pdfium

    position, link, box = ctypes.c_int(0), pdfium.FPDF_LINK(), pdfium.FS_RECTF()
    while pdfium.FPDFLink_Enumerate(page, ctypes.byref(position), ctypes.byref(link)):
        target = pdfium.FPDFLink_GetDest(pdf.raw, link)
        if not target:
            action = pdfium.FPDFLink_GetAction(link)
            target = pdfium.FPDFAction_GetDest(pdf.raw, action) if action else None
        if not target or not pdfium.FPDFLink_GetAnnotRect(link, ctypes.byref(box)):
            continue
        index = pdfium.FPDFDest_GetDestPageIndex(pdf.raw, target)
        if index >= 0:
            low, high = sorted((box.bottom, box.top))
            yield _Link(low, high, index, _height(target))


def _height(target: object) -> float | None:
    import pypdfium2.raw as pdfium

    has = [ctypes.c_int(0) for _ in range(3)]
    at = [ctypes.c_float(0) for _ in range(3)]
    found = pdfium.FPDFDest_GetLocationInPage(target, *map(ctypes.byref, has), *map(ctypes.byref, at))
    return float(at[1].value) if found and has[1].value else None


def printed(pages: Sequence[Sequence[str]], candidates: Sequence[int]) -> Contents:
    """Entries of a printed list of contents, mapped by the usual distance of printed to physical page numbers."""
    offset = page_number_offset(pages)
    if offset is None:
        return Contents()
    found: list[tuple[str, int]] = []
    listed = set()
    for index in candidates:
        hits = [
            (title, number + offset)
            for title, number in _printed_rows(pages[index])
            if index < number + offset < len(pages)
        ]
        enough = len(hits) >= _FEWEST and len(hits) >= 0.2 * len(pages[index])
        if enough and _in_order([page for _, page in hits]):
            listed.add(index)
            found += hits
    return Contents(_ranked(_by_page(found)), frozenset(listed))


def _printed_rows(lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    before = ""
    for line in lines:
        text = line.strip()
        match = _ENTRY.fullmatch(text)
        if match and (title := _entry_title(match[1], before)):
            yield title, int(match[2])
        elif text.isdigit() and len(text) <= 3 and (title := _entry_title(before, "")):
            yield title, int(text)
        before = "" if match or text.isdigit() else f"{before} {text}".strip()[-300:] if _open(before) else text


def _open(title: str) -> bool:
    """Whether a line without a page number is the beginning of a long title rather than a heading of the list."""
    return len(title) > 60 and heading_of(title) is not None


def _entry_title(text: str, before: str) -> str | None:
    """The title, with its first line where it is wrapped; None for a row of data."""
    if _open(before) and _name_rank(text) is None:
        text = f"{before} {text}"
    title = one_line(text)
    return title if useful(title) and sum(map(str.isalpha, title)) >= 4 and not _DATA.search(title) else None
