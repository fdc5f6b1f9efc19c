"""Sections of a PDF: entries of its contents set on their lines, and headings of the running text below them.

A contents entry names a page; here it finds the line of that page which says the same, else it starts with the page.
Between such sections the running text is searched for items, notes, financial statements, numbered titles and lines
of capitals. Typography is consulted only where all of this finds next to nothing, since it means reading every page
a second time.

Owns the judgement in context: a heading doesn't continue a sentence, isn't a table row, comes in sequence. Prefers a
missing section to a false one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import dropwhile

from hierarchy.document import Section
from hierarchy.loaders.headings import (
    CAPITALS,
    ITEM,
    NOTE,
    NUMBER,
    PART,
    STATEMENT,
    TOPIC,
    Heading,
    heading_of,
    nest,
    numbers_share,
    one_line,
    title_key,
    titled,
    useful,
)
from hierarchy.loaders.pdf_contents import Contents, Entry

__all__ = ["Line", "Styled", "sections"]

_BELOW = 100  # added to the rank of a heading in running text, so that it always nests within a contents entry
_TOP = 14
_EXACT = 3.0
_ROWS_AHEAD = 45
_STATEMENT_ROWS = 4
_OPEN_CHARACTERS = 50
_CLOSED = '.:;!?)”"]'


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line of a page: its text, where it starts in the document, and what it was found to be."""

    text: str
    start: int
    row: bool = False
    furniture: bool = False


@dataclass(frozen=True, slots=True)
class Styled:
    """A line that typography sets apart, with its page's index and its rank among the sizes used."""

    title: str
    page: int
    rank: int


def sections(
    pages: Sequence[Sequence[Line]], contents: Contents, typography: Callable[[], Sequence[Styled]], length: int
) -> tuple[Section, ...]:
    """All sections of the document, nested.

    Args:
        pages: The lines of each page.
        contents: What the best source of contents says; may be empty.
        typography: Reads what stands out by its size or weight; only called if nothing better is there.
        length: Characters of the text.
    """
    if not any(pages):
        return ()
    found = _located(pages, contents.entries, contents.listed_on)
    found += _below(pages, contents.listed_on, found)
    if len(found) < max(3, len(pages) // 15):
        entries = [Entry(styled.title, styled.page, styled.rank) for styled in typography()]
        known = {heading.start for heading in found}
        styled = [replace(heading, contents=False) for heading in _located(pages, entries)]
        found += [heading for heading in styled if heading.start not in known]
    return nest(found, length)


class _Key:
    """A line's words, for comparing it with titles; the set is made once."""

    __slots__ = ("text", "words")

    def __init__(self, text: str) -> None:
        self.text = text
        self.words = frozenset(text.split())


def _located(
    pages: Sequence[Sequence[Line]], entries: Sequence[Entry], unlikely: frozenset[int] = frozenset()
) -> list[Heading]:
    keys: dict[int, list[_Key]] = {}
    found: list[tuple[Heading, bool]] = []
    for entry in entries:
        start, exact = _start_of(pages, entry, keys, unlikely - {entry.page})
        found.append((Heading(title=entry.title, start=start, rank=entry.rank, contents=True), exact))
    sure = {title_key(heading.title) for heading, exact in found if exact}
    return [heading for heading, exact in found if exact or title_key(heading.title) not in sure]


def _start_of(
    pages: Sequence[Sequence[Line]], entry: Entry, keys: dict[int, list[_Key]], unlikely: frozenset[int]
) -> tuple[int, bool]:
    """The start of the line that says the title, and whether there's one; links often point a page too early.

    Pages of contents are `unlikely`, since they mention every title.
    """
    for step in (0, 1, -1, 2, -2, 3, -3):
        page = entry.page + step
        if not 0 <= page < len(pages) or page in unlikely:
            continue
        # On its own page a rough likeness will do; the further away, the surer it must be.
        least, within = (1.5, 10_000) if step == 0 else (2.2, _TOP) if step == 1 else (2.3, 10_000)
        best = _best_line(pages, page, entry.title, keys, least, within)
        if best is not None:
            return best, True
    following = next((lines for lines in pages[entry.page :] if lines), None)
    if following is None:
        following = next(lines for lines in reversed(pages) if lines)[-1:]
    return next((line.start for line in following if not line.furniture), following[0].start), False


def _best_line(
    pages: Sequence[Sequence[Line]], page: int, title: str, keys: dict[int, list[_Key]], least: float, within: int
) -> int | None:
    lines = pages[page]
    if page not in keys:
        keys[page] = [_Key("" if line.furniture else title_key(line.text[:300])) for line in lines]
    wanted = title_key(title)
    bare = _without_name(wanted)
    words = set(bare.split())
    best, best_score = None, least
    for at, line in enumerate(lines[:within]):
        score = _likeness(keys[page], at, wanted, bare, words)
        if score > best_score or (score == best_score and best is None):
            best, best_score = line.start, score
            if score >= _EXACT:
                break
    return best


def _without_name(key: str) -> str:
    """A title without its "Item 7a" or "Note 3"."""
    words = key.split()
    if len(words) > 2 and words[0] in ("item", "note", "part", "article", "section"):
        return " ".join(dropwhile(str.isdigit, words[2:])) or key
    return key


def _likeness(keys: Sequence[_Key], at: int, wanted: str, bare: str, words: set[str]) -> float:
    """How surely a line says a title: 3 word for word, 2.5 by its item's name, 2 as its beginning, 1.5 roughly."""
    key = keys[at].text
    score = 0.0
    if key == wanted:
        score = _EXACT
    elif len(key) < 3 or keys[at].words.isdisjoint(words):
        name = wanted[: len(wanted) - len(bare)].strip()
        score = 2.5 if name and key == name else 0.0
    elif wanted != bare and key.startswith(wanted[: len(wanted) - len(bare)]) and len(key) < 160:
        score = 2.5
    elif key == bare:
        score = 2.4
    elif at + 1 < len(keys) and _wraps(key, keys[at + 1].text, wanted):
        score = 2.3
    elif wanted.startswith(key + " ") and len(keys[at].words) >= 3:
        score = 2.2
    elif key.startswith((wanted + " ", bare + " ")) and len(key) < len(wanted) + 60:
        score = 2.0
    elif _share(words, keys[at].words) >= 0.75:
        score = 1.5
    return score


def _wraps(key: str, following: str, wanted: str) -> bool:
    """Whether the title stands on a line and the next one."""
    joined = f"{key} {following}"
    return len(key) >= 5 and wanted.startswith(key) and (joined.startswith(wanted) or wanted.startswith(joined))


def _share(words: set[str], mine: frozenset[str]) -> float:
    """The share of a title's words that a line has, unless the line has many others."""
    common = len(mine & words)
    return common / len(words) if len(words) > 1 and common >= 0.6 * len(mine) else 0.0


@dataclass(frozen=True, slots=True)
class _Candidate:
    heading: Heading
    page: int


def _below(pages: Sequence[Sequence[Line]], listed_on: frozenset[int], found: Sequence[Heading]) -> list[Heading]:
    """Headings of the running text that the contents don't have; all of them, where there are no contents."""
    candidates = [one for index in range(len(pages)) if index not in listed_on for one in _candidates(pages, index)]
    candidates = _in_sequence(candidates)
    names = {name for heading in found if (name := _name(heading.title))}
    starts = {heading.start for heading in found}
    page_starts = [lines[0].start if lines else -1 for lines in pages]
    keys = {_squeezed(heading.title) for heading in found}
    consolidated = any("consolidated" in key for key in (*keys, *(_squeezed(one.heading.title) for one in candidates)))
    near = {(_squeezed(heading.title), _page_at(page_starts, heading.start)) for heading in found}
    kept: list[Heading] = []
    last: dict[int, str] = {}
    for one in candidates:
        heading, key = one.heading, _squeezed(one.heading.title)
        name = _name(heading.title)
        here = any((key, one.page + step) in near for step in (-1, 0, 1))
        continued = last.get(heading.rank) == (name or key)
        last[heading.rank] = name or key
        if key in keys and NUMBER <= heading.rank <= NOTE and not key.startswith("report"):
            continue
        if heading.rank == STATEMENT and _is_summary(key, consolidated):
            continue
        if heading.start in starts or here or continued or (name and name in names) or (found and heading.rank == PART):
            continue
        if name:
            names.add(name)
        kept.append(heading)
    return _ranked_below(kept, bool(found), any(heading.rank == ITEM for heading in found))


def _squeezed(title: str) -> str:
    """A title's key without spaces, which bold titles lose or gain."""
    return title_key(title).replace(" ", "")


def _is_summary(key: str, consolidated: bool) -> bool:
    """A summary of a statement, where the full ones are consolidated."""
    return consolidated and not key.startswith("report") and "consolidated" not in key and "condensed" not in key


def _page_at(page_starts: Sequence[int], start: int) -> int:
    return max((page for page, first in enumerate(page_starts) if 0 <= first <= start), default=0)


def _ranked_below(headings: Sequence[Heading], with_contents: bool, with_items: bool) -> list[Heading]:
    """Notes go below their heading "Notes to …" if there is one, else beside the statements."""
    ranked = []
    statements = any(heading.rank == STATEMENT for heading in headings)
    in_notes = False
    for heading in headings:
        rank = heading.rank
        if rank == STATEMENT:
            in_notes = title_key(heading.title).startswith("notes to")
        if statements and rank == NUMBER:
            rank = NOTE
        if rank == NOTE and not in_notes:
            rank = STATEMENT
        if rank == CAPITALS:
            rank = TOPIC
        beside = rank == ITEM and with_items
        ranked.append(replace(heading, rank=rank + _BELOW if with_contents and not beside else rank))
    return ranked


def _name(title: str) -> str | None:
    """The name that a heading goes by, "item 7a" or "note 3"; it occurs once in a document."""
    words = title_key(title).split()
    return " ".join(words[:2]) if len(words) > 1 and words[0] in ("item", "note") and words[1][0].isdigit() else None


def _candidates(pages: Sequence[Sequence[Line]], page: int) -> Iterator[_Candidate]:
    lines = [line for line in pages[page] if not line.furniture]
    if sum(_is_listed(line.text) for line in lines) > 5:
        return  # a list of contents that wasn't recognised as one
    for at, line in enumerate(lines):
        if line.row or len(line.text) > 200 or not (line.text[0].isupper() or line.text[0].isdigit()):
            continue
        heading = heading_of(line.text) or _capitals(lines, at)
        if heading and _fits(lines, at, heading):
            yield _Candidate(replace(heading, start=line.start), page)


def _is_listed(text: str) -> bool:
    """Whether a line is an item with its page number, or nothing but an item's name."""
    head = text[:5].lower()
    return head in ("item ", "part ", "note ") and (text[-3:].strip().isdigit() or len(text) < 60)


def _capitals(lines: Sequence[Line], at: int) -> Heading | None:
    """A line in capitals over running prose."""
    text = lines[at].text
    if not (text.isupper() and 6 <= len(text) <= 100 and text[-1] not in ",;-" and numbers_share(text) < 0.1):
        return None
    if at and lines[at - 1].text.isupper() and not lines[at - 1].row:
        return None  # the second line of a title
    following = lines[at + 1].text if at + 1 < len(lines) else ""
    prose = len(following) > 60 and not following.isupper() and not lines[at + 1].row
    words = [word for word in text.split() if len(word) > 3 and word.isalpha()]
    if not (prose and words):
        return None
    return Heading(title=one_line(text), start=0, rank=CAPITALS)


def _fits(lines: Sequence[Line], at: int, heading: Heading) -> bool:
    """Whether the lines around allow a heading here."""
    line = lines[at]
    before = lines[at - 1] if at else None
    capitals = line.text.isupper() or (heading.rank == NOTE and line.text[5:].isupper())
    if before and not capitals and _is_open(before):
        return False
    if heading.rank == STATEMENT:
        return at < _TOP and _over_a_statement(lines, at, heading)
    if heading.rank >= NUMBER and heading.rank < STATEMENT:
        return _stands_free(lines, at)
    if heading.rank == TOPIC:
        return at + 1 < len(lines) and not lines[at + 1].row and useful(heading.title)
    return True


def _is_open(line: Line) -> bool:
    """Whether a line breaks off within a sentence, so that the next one continues it."""
    text = line.text
    return len(text) >= _OPEN_CHARACTERS and text[-1] not in _CLOSED and not line.row and not titled(text)


def _stands_free(lines: Sequence[Line], at: int) -> bool:
    """A numbered title isn't an entry in a list of such titles, nor a row's label."""
    after = lines[at + 1] if at + 1 < len(lines) else None
    return after is not None and not (after.text[0].isdigit() and len(after.text) < 80)


def _over_a_statement(lines: Sequence[Line], at: int, heading: Heading) -> bool:
    """A statement's title stands over its table; in an index it stands among others of its kind."""
    beside = [lines[other].text for other in (at - 1, at + 1) if 0 <= other < len(lines)]
    if any((other := heading_of(text)) and other.rank == STATEMENT for text in beside):
        return False
    if title_key(heading.title).startswith(("notes to", "report of")):
        return at < _TOP
    rows = sum(line.row for line in lines[at : at + _ROWS_AHEAD])
    return rows >= _STATEMENT_ROWS and rows >= 0.3 * len(lines[at + 1 : at + _ROWS_AHEAD])


def _in_sequence(candidates: Sequence[_Candidate]) -> list[_Candidate]:
    """Keep notes and numbered titles only where they count up; the rest as they are."""
    notes = _chain([one for one in candidates if one.heading.rank == NOTE], least=1)
    numbers = _chain([one for one in candidates if one.heading.rank == NUMBER], least=3)
    chained = {id(one) for one in (*notes, *numbers)}
    majors = sorted((one.heading.start, _count(one.heading)) for one in numbers)
    return [
        one
        for one in candidates
        if id(one) in chained
        or not (one.heading.rank == NOTE or NUMBER <= one.heading.rank < STATEMENT)
        or (NUMBER < one.heading.rank < STATEMENT and _within_major(one.heading, majors))
    ]


def _within_major(heading: Heading, majors: Sequence[tuple[int, int]]) -> bool:
    """Whether "3.2" stands below "3.", the last numbered title before it."""
    above = [number for start, number in majors if start < heading.start]
    return bool(above) and above[-1] == _count(heading)


def _count(heading: Heading) -> int:
    """The number that a heading begins with; 3 for "Note 3A" and for "3.2"."""
    match = re.search(r"\d{1,4}", heading.title)
    return int(match[0]) if match else 0


def _chain(candidates: Sequence[_Candidate], least: int) -> list[_Candidate]:
    """The longest run of candidates whose numbers go up by one to three; of equals the later one."""
    best: list[tuple[int, int]] = []  # length of the chain that ends here, index of its link before
    numbers = [_count(one.heading) for one in candidates]
    for at, number in enumerate(numbers):
        first = max(0, at - 300)
        reach = [(best[other][0] + 1, other) for other in range(first, at) if 1 <= number - numbers[other] <= 3]
        alone = 1 if number <= 2 or least == 1 else -1_000
        best.append(max(reach, default=(alone, -1)))
    if not best:
        return []
    at = max(range(len(best)), key=lambda index: (best[index][0], index))
    if best[at][0] < least:
        return []
    chain = []
    while at >= 0:
        chain.append(candidates[at])
        at = best[at][1]
    return chain[::-1]
