"""Running headers, footers and page numbers: what stands at the edge of many pages.

Recognised by repetition: the same line, but for the page's number, among the first or last lines of several pages; and
a bare number that keeps its distance from the page's index.

Owns that judgement only. Knows pages as lists of lines, whatever they were read from.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from hierarchy.loaders.tables import numeric_cells

__all__ = ["furniture_lines", "page_number_offset"]

_EDGE = 4
_LONGEST = 130
_SHARE = 0.08
_FEWEST = 3
_CELLS = 2
_SENTENCE = 80
_NUMBER = re.compile(r"(?:page\s+)?[-–—|\s]*(\d{1,4})[-–—|\s]*", re.IGNORECASE)
_ALONE = re.compile(r"(?<!\S)[-–—|]?(\d{1,4})[-–—|]?(?!\S)")
_BACK_LINK = re.compile(r"(?:back to |return to )?(?:table of contents|index)", re.IGNORECASE)


def page_number_offset(pages: Sequence[Sequence[str]]) -> int | None:
    """The usual distance from a printed page number to its page's index; None if pages aren't numbered so."""
    votes: Counter[int] = Counter()
    for index, lines in enumerate(pages):
        shown = [line.strip() for line in lines if line.strip()]
        numbers = {number for line in (*shown[:2], *shown[-2:]) for number in _edge_numbers(line)}
        votes.update(index - number for number in numbers)
    if not votes:
        return None
    offset, count = votes.most_common(1)[0]
    return offset if count >= max(_FEWEST, 0.25 * len(pages)) else None


def _edge_numbers(line: str) -> Iterator[int]:
    """The numbers of a line that may be its page's: which of them counts along, many pages tell together.

    That is what the line is, ends with or begins with; beside a link back to the contents it may stand anywhere.
    """
    if len(line) > _LONGEST:
        return
    if match := _NUMBER.fullmatch(line) or re.search(r"(?:^|\s)(\d{1,4})$", line) or re.match(r"(\d{1,4})\s", line):
        yield int(match[1])
    elif _BACK_LINK.search(line):
        yield from (int(number) for number in _ALONE.findall(line))


def furniture_lines(pages: Sequence[Sequence[str]]) -> list[list[int]]:
    """For each page, the lines that are furniture, ascending; always a run from its top and a run from its bottom."""
    numbered = _numbered(pages)
    offset = page_number_offset(pages)
    counts: Counter[str] = Counter()
    for index, lines in enumerate(pages):
        counts.update({_mask(lines[at], index, offset) for side in _edges(lines) for at in side})
    needed = max(_FEWEST, _SHARE * len(pages))
    found = []
    for index, lines in enumerate(pages):
        hits: set[int] = set()
        for side in _edges(lines):
            for at in side:
                if not _is_furniture(
                    lines[at].strip(), _mask(lines[at], index, offset), index, numbered, counts, needed
                ):
                    break
                hits.add(at)
        found.append(sorted(hits))
    return found


def _edges(lines: Sequence[str]) -> Iterator[list[int]]:
    """The lines from the top down and from the bottom up, blank ones left out; none twice."""
    shown = [at for at in range(min(len(lines), 4 * _EDGE)) if lines[at].strip()][:_EDGE]
    yield shown
    tail = range(len(lines) - 1, max(-1, len(lines) - 1 - 4 * _EDGE), -1)
    yield [at for at in tail if lines[at].strip()][:_EDGE]


def _mask(line: str, page: int, offset: int | None) -> str:
    """A line in lower case with the page's own number taken out; other numbers tell one line from another."""
    line = " ".join(line.lower().split())[: _LONGEST + 1]
    return line if offset is None else re.sub(rf"\b{page - offset}\b", "#", line)


def _numbered(pages: Sequence[Sequence[str]]) -> list[set[int]]:
    """For each page the distances from bare numbers at its edges to its index that a page beside it has, too.

    Bundled documents start their numbering anew, so the neighbours decide, not the whole.
    """
    distances = []
    for index, lines in enumerate(pages):
        at_edges = [lines[at].strip() for side in _edges(lines) for at in side]
        distances.append({index - int(match[1]) for line in at_edges if (match := _NUMBER.fullmatch(line))})
    none: set[int] = set()
    around = zip(distances, [none, *distances], [*distances[1:], none], strict=False)
    usual = Counter(distance for found in distances for distance in found).most_common(1)
    common = {usual[0][0]} if usual and usual[0][1] >= _FEWEST else none
    return [own & (before | after | common) for own, before, after in around]


def _is_furniture(
    line: str, masked: str, page: int, numbered: Sequence[set[int]], counts: Counter[str], needed: float
) -> bool:
    if match := _NUMBER.fullmatch(line):
        return page - int(match[1]) in numbered[page]
    if len(line) > _LONGEST or numeric_cells(masked) >= _CELLS:
        return False  # column heads come again on every page of a long table; the page's own number is none of them
    if len(line) > _SENTENCE and line.endswith("."):
        return False
    # A contents page has its own title; elsewhere these words are a link back to it.
    return counts[masked] >= (_FEWEST if _BACK_LINK.fullmatch(line) else needed)
