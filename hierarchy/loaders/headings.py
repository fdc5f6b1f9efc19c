"""Headings: what a line must look like to be one, and how headings become nested sections.

A heading found by pattern has a *rank*, its place in the usual order of a document (part before item before note);
`nest` turns ranks into depths, so that a document without parts has its items on top.

Owns the patterns and the nesting. Prefers a missing heading to a false one: a line that may be a sentence, a table
row or an entry of a list isn't a heading. Doesn't know pages, markup or files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hierarchy.document import Section, Span

__all__ = ["Heading", "heading_of", "nest", "one_line", "title_key", "titled", "useful"]

_TITLE_CHARACTERS = 160
_SMALL = frozenset(
    "a an and as at but by for from in into nor of on or over per the to under upon via vs with within without".split()
)
_WORD = re.compile(r"[^\W\d_][\w'’&-]*")
_PLAIN = re.compile(r"[^\W_]+")

PART, EXHIBIT, LABEL, CAPITALS, ITEM, NUMBER = 10, 10, 14, 17, 20, 30
STATEMENT, NOTE, TOPIC = 40, 50, 60

_ARTICLE = re.compile(
    r"(?:ARTICLE|Article|CHAPTER|Chapter|PART|Part|BOOK|TITLE|Title)\s+(?:[IVXLC]+|\d{1,3})\b[.:—–-]?"
)
_EXHIBIT = re.compile(
    r"(?:EXHIBIT|SCHEDULE|APPENDIX|ANNEX|ATTACHMENT|ADDENDUM|Exhibit|Schedule|Appendix|Annex|Attachment|Addendum)\s+"
    r"[\"“]?(?:[A-Z]{1,2}(?:[-.]?\d{1,3})?|\d{1,3}(?:[.-]\d{1,3})*(?:[-.]?[A-Z])?|[IVX]+)[\"”]?(?![\w])"
)
_NAMED_BEGIN = frozenset("ar ch pa bo ti ex sc ap an at ad it no se".split())
_ITEM = re.compile(r"(?:ITEM|Item)\s+\d{1,2}[A-C]?\b(?:[.:—–-]|\s)*")
_NOTE = re.compile(r"(?:NOTE|Note)\s+\d{1,2}[A-Z]?\b(?:[.:—–-]|\s)*")
_SECTION = re.compile(r"(?:SECTION|Section|§)\s*(\d{1,3}(?:\.\d{1,3}){0,3})\.?(?=\s|$)")
_NUMBER = re.compile(r"(\d{1,3}(?:\.\d{1,3}){0,3})\.?\s+(?=[\"“(\[]?[A-Z])")
_STATEMENT = re.compile(
    r"(?:[\w&.,’' -]{2,40}?\b(?:inc|corp|corporation|company|co|ltd|plc|llc)[.,]*\s+)?"
    r"(?:(?:unaudited|condensed|interim|consolidated|combined|supplemental)\s+){0,3}"
    r"(?:balance\s+sheets?|income\s+statements?|cash\s+flows?\s+statements?"
    r"|statements?\s+of\s+(?:the\s+)?(?:consolidated\s+)?(?:net\s+|comprehensive\s+|changes\s+in\s+)*"
    r"(?:operations|income|earnings|loss|losses|cash\s+flows?|financial\s+(?:position|condition)|shareholders?|stockholders?"
    r"|share\s?owners?|equity|capital|total\s+equity|redeemable|comprehensive)\b.{0,70})",
    re.IGNORECASE,
)
_REPORT = re.compile(
    r"report of independent registered public accounting firm"
    r"|notes to (?:the )?(?:\w+ )?consolidated financial statements",
    re.IGNORECASE,
)
_TOPIC = re.compile(
    r"(?:executive )?(?:overview|summary)|results of operations|liquidity and capital resources|capital expenditures?"
    r"|critical accounting (?:policies|estimates)(?: and (?:estimates|policies))?|contractual obligations"
    r"|off-balance sheet arrangements|segment results|non-gaap (?:financial )?measures|introduction|abstract|background"
    r"|methods?|materials and methods|results|discussion|conclusions?|references|bibliography|acknowledge?ments?"
    r"|related work|limitations|definitions",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"\.\s+[A-Z][a-z]+ [a-z]+ [a-z]|\b\d{1,2}\.\d{1,2}\b|\bARTICLE\b")
_USELESS = re.compile(
    r"(?:page|slide|sheet|seite)?\s*[\divxlc]*|(?:table of )?contents|.{0,40}\btable of contents|index"
    r"|page(?: no\.?| number)?|untitled.*"
    r"|blank page"
    r"|back|top|cover(?: page)?|.*\.(?:docx?|pdf|indd|xlsx?)",
    re.IGNORECASE,
)
_LEADERS = re.compile(r"[.…·_]{3,}|(?:\.\s){3,}")
_DEFINES = re.compile(r"\b(?:means?|shall|has the meaning)\b")
_CONTINUED = re.compile(r"\s*[-–—,]*\s*[(\[]?\s*continued\s*[)\]]?\s*[.,]?\s*$", re.IGNORECASE)
_UNAUDITED = re.compile(r"\s*[(\[]\s*unaudited\s*[)\]]\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heading:
    """A heading before nesting: its title, the character its line starts at, and its rank (lower is more important)."""

    title: str
    start: int
    rank: int
    contents: bool = False


def one_line(title: str) -> str:
    """A title as a reader would say it: one line, single spaces, no dot leaders, not endless."""
    title = _LEADERS.sub(" ", title[: 4 * _TITLE_CHARACTERS])
    title = " ".join(_CONTINUED.sub("", title).split()).strip(" |:;,–—-\u2022")
    if len(title) > _TITLE_CHARACTERS:
        title = title[:_TITLE_CHARACTERS].rsplit(" ", 1)[0] + " …"
    return title


def title_key(title: str) -> str:
    """Letters and digits of a title in lower case: equal keys mean the same heading."""
    return " ".join(_PLAIN.findall(_bare(title).lower()))


def _bare(title: str) -> str:
    """A title without "(continued)" and "(unaudited)" at its end."""
    tail = title[-16:].lower()
    if "continued" in tail:
        title = _CONTINUED.sub("", title)
    return _UNAUDITED.sub("", title) if "unaudited" in tail else title


def titled(text: str, share: float = 0.75) -> bool:
    """Whether words are capitalised as in a title: the first one, and most that aren't small."""
    words = _WORD.findall(text)
    large: list[str] = [word for word in words if word.lower() not in _SMALL]
    if not large or not words[0][0].isupper():
        return False
    return sum(word[0].isupper() for word in large) >= share * len(large)


def useful(title: str) -> bool:
    """Whether a title tells a reader anything: "Page 3" and "Table of Contents" don't."""
    return len(title) >= 3 and any(map(str.isalpha, title)) and not _USELESS.fullmatch(title)


def heading_of(line: str) -> Heading | None:
    """The heading that a line is, by its own look; `start` is 0. None if it may be something else.

    Named parts (article, part, exhibit, item, note, section), financial statements, numbered titles and a few words
    that are always headings. Capital letters alone are judged by the reader, which sees the lines around.
    """
    text = line.strip()
    if not 3 <= len(text) <= 240 or text[0].islower() or text[-1] in ",;":
        return None
    first = text[0]
    if first.isdigit() or first == "§":
        return _numbered(text)
    return _named(text) if first.isupper() else None


def _named(text: str) -> Heading | None:
    # Nearly all lines are prose: a look at two letters spares them all patterns but the last.
    if text[:2].lower() in _NAMED_BEGIN:
        for pattern, rank in ((_ARTICLE, PART), (_EXHIBIT, EXHIBIT), (_ITEM, ITEM), (_NOTE, NOTE)):
            if match := pattern.match(text):
                return _made(text, rank) if _rest_is_title(text[match.end() :]) else None
        if match := _SECTION.match(text):
            return _run_in(text, match, NUMBER + _level(match[1]))
    return _statement_or_topic(text)


def _statement_or_topic(text: str) -> Heading | None:
    if len(text) > 120:
        return None
    lower = text.lower()
    short = len(text) < 60
    if not short and "statement" not in lower and "balance" not in lower and "report" not in lower:
        return None
    bare = _bare(text).strip(" .:")
    if _STATEMENT.fullmatch(bare) or _REPORT.fullmatch(bare):
        return _made(bare, STATEMENT) if titled(bare) and not bare[-1].isdigit() else None
    return _made(bare, TOPIC) if short and _TOPIC.fullmatch(bare) and titled(bare) else None


def _numbered(text: str) -> Heading | None:
    match = _NUMBER.match(text)
    if not match or int(match[1].split(".")[0]) > 199:
        return None
    # "12 Months Ended" is a column head: a single number needs its full stop, unless the title is a usual one.
    if match[0].strip().isdigit() and not _TOPIC.fullmatch(text[match.end() :].strip(" .:")):
        return None
    return _run_in(text, match, NUMBER + _level(match[1]))


def _level(number: str) -> int:
    """How deep "3.2.1" lies below "3"; "3.0" is another way to write "3"."""
    return number.removesuffix(".0").count(".")


def _run_in(text: str, match: re.Match[str], rank: int) -> Heading | None:
    """A numbered title on its own line, or before the first full stop or colon of a paragraph ("4.2 Fees. The …")."""
    rest = text[match.end() :].strip()
    title = re.split(r"(?<=[\w)\"”])[.:](?:\s|$)|\s[-–—]+\s", rest, maxsplit=1)[0].strip(" .:")
    alone = len(title) >= len(rest) - 2
    words = _WORD.findall(title)
    if (
        max(map(len, words), default=0) < 2
        or len(words) > 12
        or len(title) > 100
        or not titled(title, 0.7 if alone else 0.8)
    ):
        return None
    if rest[-1:] in ".," and alone and len(words) > 6 and not title.isupper():
        return None
    if numbers_share(title) > 0.2 or _DEFINES.search(title):
        return None
    return _made(f"{match[0].strip()} {title}", rank)


def _rest_is_title(rest: str) -> bool:
    """Whether what follows "Item 7." is a title or nothing, rather than the rest of a sentence that cites it."""
    rest = rest.strip(' .:–—-\t"”')
    if not rest:
        return True
    if rest[0].islower() or rest[0] in ",;)" or len(rest) > 180 or _SENTENCE.search(rest):
        return False
    return titled(rest, 0.7) and numbers_share(rest) < 0.2


def numbers_share(text: str) -> float:
    """The share of characters that are digits."""
    return sum(character.isdigit() for character in text) / max(1, len(text))


def _made(text: str, rank: int) -> Heading | None:
    title = one_line(text)
    return Heading(title=title, start=0, rank=rank) if len(title) >= 3 else None


def nest(headings: Iterable[Heading], length: int) -> tuple[Section, ...]:
    """Sections from headings in any order; `length` is where the text ends.

    A section ends where the next one of its rank or a more important one starts. **The result nests and is in document
    order.** Headings of one rank at the same character are one section, their titles joined.
    """
    ordered = _merged(sorted(headings, key=lambda heading: (heading.start, heading.rank)))
    ranks: list[int] = []
    depths = []
    for heading in ordered:
        while ranks and ranks[-1] >= heading.rank:
            ranks.pop()
        ranks.append(heading.rank)
        depths.append(len(ranks))
    ends = _ends(ordered, depths, length)
    return tuple(
        Section(title=heading.title, span=Span(heading.start, end), depth=depth, contents=heading.contents)
        for heading, depth, end in zip(ordered, depths, ends, strict=True)
        if end > heading.start
    )


def _merged(headings: Sequence[Heading]) -> list[Heading]:
    merged: list[Heading] = []
    for heading in headings:
        last = merged[-1] if merged else None
        if last is None or (last.start, last.rank) != (heading.start, heading.rank):
            merged.append(heading)
        elif title_key(heading.title) not in title_key(last.title):
            merged[-1] = replace(last, title=f"{last.title}; {heading.title}")
    return merged


def _ends(headings: Sequence[Heading], depths: Sequence[int], length: int) -> list[int]:
    ends = [length] * len(headings)
    waiting: list[int] = []
    for index, depth in enumerate(depths):
        while waiting and depths[waiting[-1]] >= depth:
            ends[waiting.pop()] = headings[index].start
        waiting.append(index)
    return ends
