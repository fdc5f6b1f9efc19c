"""Structure of plain text: headings by pattern, table rows, pages between form feeds.

The text itself is never touched: everything found is a span over it. Work is linear in the text, and a line that
can't be a heading by its first character or length costs next to nothing.

Owns the judgement of lines in running text: labels ("ABSTRACT.METHODS:"), capital letters, contracts' articles and
sections, Markdown-like marks. Doesn't know files or encodings.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from hierarchy.document import Document, Section, Span
from hierarchy.loaders.furniture import furniture_lines
from hierarchy.loaders.headings import (
    CAPITALS,
    LABEL,
    NUMBER,
    PART,
    TOPIC,
    Heading,
    heading_of,
    nest,
    numbers_share,
    one_line,
    title_key,
    useful,
)
from hierarchy.loaders.tables import line_starts, row_spans

__all__ = ["read_plain"]

_HASHES = re.compile(r"(#{1,6})\s+(\S.*?)\s*#*$")
_LABEL = re.compile(r"[A-Z][A-Z0-9 .,&/()'’-]{2,80}:")
_STEM = re.compile(r"([A-Z]{3,})\.(((?:\d{1,2}\.)*)\s*[A-Z].*)")
_CONTENTS_ENTRY = re.compile(r"(?:\.{3,}|(?:\s\.){3,}|\s{2,}|\t|[a-zA-Z)])\s*\d{1,3}$")
_PAGE_LINE = re.compile(r"\s*(?:Page \d{1,4}(?: of \d{1,4})?|[-–—] ?\d{1,4} ?[-–—])\s*")
_BLANK_FORM = re.compile(r"_{3,}|\[\W*\]|^\W+$")
_BARE_PART = re.compile(
    r"(?:ARTICLE|CHAPTER|PART|EXHIBIT|SCHEDULE|APPENDIX|ANNEX|SECTION)\s+[\w.-]{1,8}[.:]?", re.IGNORECASE
)
# Neither part can be entered twice, so that a million spaces cost no more than a million letters.
_LOST_LINE_END = re.compile(
    r"(?<! ) {3,}+(?=\d|ARTICLE|Article|Section|SECTION|EXHIBIT|Exhibit|SCHEDULE|ANNEX|APPENDIX)"
)
_LONGEST = 240
_RUN_IN = 200
_PART_OF_CONTENTS = 600  # an article's entry with those of its sections
_REPEATS = 3
_DELIMITED = {".csv": ",", ".tsv": "\t"}


def read_plain(name: str, text: str, notes: tuple[str, ...] = ()) -> Document:
    """A document of plain text with what structure its lines show.

    **The text is kept character for character.**
    """
    lines = text.split("\n")
    starts = line_starts(lines)
    suffix = name[name.rfind(".") :].lower()
    if suffix in _DELIMITED:
        return Document(name=name, text=text, rows=_delimited(lines, starts, _DELIMITED[suffix]), notes=notes)
    pages = _form_feed_pages(text)
    return Document(
        name=name,
        text=text,
        sections=_sections(lines, starts, len(text)),
        pages=pages,
        rows=row_spans(lines, starts),
        furniture=_furniture(text, pages) if pages else _page_lines(lines, starts),
        notes=notes,
    )


def _delimited(lines: Sequence[str], starts: Sequence[int], delimiter: str) -> tuple[Span, ...]:
    return tuple(
        Span(start, start + len(line.rstrip("\r")))
        for line, start in zip(lines, starts, strict=False)
        if delimiter in line
    )


def _form_feed_pages(text: str) -> tuple[Span, ...]:
    """Pages of a text with two form feeds or more; each page keeps the form feed that ends it."""
    if text.count("\f") < 2:
        return ()
    edges = [0, *(match.end() for match in re.finditer("\f", text))]
    if edges[-1] != len(text):
        edges.append(len(text))
    return tuple(Span(start, end) for start, end in pairwise(edges))


def _furniture(text: str, pages: Sequence[Span]) -> tuple[Span, ...]:
    split = [text[page.start : page.end].replace("\f", " ").split("\n") for page in pages]
    spans = []
    for page, lines, found in zip(pages, split, furniture_lines(split), strict=True):
        starts = line_starts(lines)
        spans += [Span(page.start + starts[at], page.start + starts[at] + len(lines[at])) for at in found]
    return tuple(spans)


def _page_lines(lines: Sequence[str], starts: Sequence[int]) -> tuple[Span, ...]:
    """Lines such as "Page 3 of 80" or "- 3 -", if there are several."""
    found = [
        Span(start, start + len(line))
        for line, start in zip(lines, starts, strict=False)
        if 3 <= len(line) < 40 and _PAGE_LINE.fullmatch(line)
    ]
    return tuple(found) if len(found) >= _REPEATS else ()


def _sections(lines: Sequence[str], starts: Sequence[int], length: int) -> tuple[Section, ...]:
    headings = list(_headings(lines, starts))
    repeated = Counter(title_key(heading.title) for heading in headings)
    kept = [
        heading
        for heading in _without_contents(headings)
        if heading.rank not in (LABEL, CAPITALS) or repeated[title_key(heading.title)] <= _REPEATS
    ]
    return nest(_split_labels(kept), length)


def _headings(lines: Sequence[str], starts: Sequence[int]) -> Iterator[Heading]:
    fenced = False
    skip = -1
    for index, line in enumerate(lines):
        first = line[:1]
        if len(line) > _LONGEST and not fenced:
            yield from _within_line(line, starts[index])
        if not first or first.islower() or index == skip:
            continue
        text = line[:_LONGEST].strip()
        if text.startswith("```"):
            fenced = not fenced
        elif len(text) >= 3 and not fenced and (heading := _heading_at(text, lines, index)):
            if _BARE_PART.fullmatch(text) and (title := _title_below(lines, index)):
                heading = replace(heading, title=one_line(f"{heading.title} {title[1]}"))
                skip = title[0]
            yield replace(heading, start=starts[index])


def _within_line(line: str, start: int) -> Iterator[Heading]:
    """Headings within a line as long as a page: texts that lost their line ends keep runs of spaces in their place."""
    for match in _LOST_LINE_END.finditer(line):
        text, _, following = line[match.end() : match.end() + _RUN_IN].partition("  ")
        title = following.strip().partition("  ")[0]
        if _BARE_PART.fullmatch(text) and title.isupper():
            text = f"{text} {title}"
        if text and not (text[-1].isdigit() and _CONTENTS_ENTRY.search(text)):
            heading = heading_of(text)
            if heading and heading.rank <= NUMBER + 3:
                yield replace(heading, start=start + match.end())


def _heading_at(text: str, lines: Sequence[str], index: int) -> Heading | None:
    first = text[0]
    if first == "#":
        match = _HASHES.fullmatch(text)
        return Heading(title=one_line(match[2]), start=0, rank=len(match[1])) if match else None
    if not (first.isupper() or first.isdigit() or first == "§"):
        return None
    whole = len(lines[index]) < _LONGEST
    if whole and text[-1].isdigit() and _CONTENTS_ENTRY.search(text):
        return None
    if heading := heading_of(text if whole else text[:_RUN_IN]):
        return replace(heading, rank=LABEL) if heading.rank == TOPIC else heading
    return _capitals(text, lines, index) if whole and text.isupper() else None


def _capitals(text: str, lines: Sequence[str], index: int) -> Heading | None:
    """A line of capital letters that stands by itself, or a label of capital letters with a colon."""
    label = bool(_LABEL.fullmatch(text))
    if not label and not (_alone(lines, index) and _looks_like_title(text)):
        return None
    title = one_line(text)
    return Heading(title=title, start=0, rank=LABEL if label else CAPITALS) if useful(title) else None


def _looks_like_title(text: str) -> bool:
    words = text.split()
    return (
        len(text) <= 90
        and len(words) <= 14
        and text[-1] not in ",;]_-"
        and any(len(word) >= 4 and word.isalpha() for word in words)
        and numbers_share(text) < 0.15
        and not _BLANK_FORM.search(text)
    )


def _alone(lines: Sequence[str], index: int) -> bool:
    before = index == 0 or not lines[index - 1].strip()
    return before and (
        index + 1 >= len(lines) or not lines[index + 1].strip() or not lines[index + 1].strip().isupper()
    )


def _title_below(lines: Sequence[str], index: int) -> tuple[int, str] | None:
    """The line of the title, and the title, that stands below a bare "ARTICLE IV"."""
    for at in range(index + 1, min(index + 3, len(lines))):
        text = lines[at].strip()
        if text:
            short = 3 <= len(text) <= 90 and text[-1] not in ".,;:" and not _BARE_PART.match(text)
            return (at, text) if short and text.isupper() else None
    return None


def _without_contents(headings: Sequence[Heading]) -> list[Heading]:
    """Leave out entries of a list of contents: titles with nothing below them that come again later."""
    later: set[str] = set()
    kept = []
    below = None
    for heading in reversed(headings):
        key = title_key(heading.title)
        room = _PART_OF_CONTENTS if heading.rank <= PART else 30
        empty = below is not None and below - heading.start <= len(heading.title) + room
        if not (empty and key in later):
            kept.append(heading)
        later.add(key)
        below = heading.start
    return kept[::-1]


def _split_labels(headings: Sequence[Heading]) -> list[Heading]:
    """Put labels with a common stem ("BODY.METHODS", "BODY.RESULTS") below a section of that stem."""
    split: list[Heading] = []
    stem = ""
    for heading in headings:
        match = _STEM.fullmatch(heading.title) if heading.rank == LABEL else None
        if not match:
            stem = "" if heading.rank <= LABEL else stem
            split.append(heading)
            continue
        if match[1] != stem:
            stem = match[1]
            split.append(replace(heading, title=stem))
        split.append(replace(heading, title=match[2], rank=LABEL + (2 if match[3].count(".") > 1 else 1)))
    return split
