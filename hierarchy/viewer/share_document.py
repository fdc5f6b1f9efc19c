"""The document as a shared page shows it: what was read, the quotes marked in it, the rest folded away by section.

With the tree the whole text is there, as long as it isn't very long. Without it, what prompts showed of it; without
these, as in traces of version 1 and in redacted ones, a list of what was read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from hierarchy.answer import verify
from hierarchy.calls import HELPER_STAGES
from hierarchy.document import Document, Section
from hierarchy.tree import SummaryTree
from hierarchy.viewer.share_markup import Html, joined, tag
from hierarchy.viewer.share_story import Call, Story, whole
from hierarchy.viewer.text import one_line, pages, title, tokens

__all__ = ["Shown", "document_view"]

_MOST_UNREAD = 1_500_000
"""Characters that weren't read and are on the page all the same, folded."""
_OPENING, _CLOSING = "<passages>", "</passages>"

Marks = Sequence[tuple[int, int, int]]
"""Quotes in a text: start, end, and number from 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a page shows of the document.

    Attributes:
        view: As markup.
        quotes: Numbers of the quotes that are marked in it, each as `#quote-N`.
    """

    view: Html
    quotes: frozenset[int]


def document_view(story: Story, tree: SummaryTree | None) -> Shown:
    """The document with what was read, or what there is of it.

    Args:
        story: The trace's.
        tree: The document's tree; None if it isn't at hand.
    """
    if tree is not None:
        return _whole(story, tree)
    shown = [call for call in story.calls if call.stage not in HELPER_STAGES and _passages(call)]
    return _from_prompts(story, shown) if shown else _listed(story)


# -- the whole text ----------------------------------------------------------------------------------------------------


def _whole(story: Story, tree: SummaryTree) -> Shown:
    quotes: set[int] = set()
    views = []
    room = _Room(_MOST_UNREAD)
    for number, file in enumerate(tree.files):
        marks = _marks(story.citations, file)
        quotes |= {mark[2] for mark in marks}
        reads = [(read.start, read.end) for read in story.trace.reads() if read.source == file.name]
        leaves = np.flatnonzero(tree.leaves.file == number)
        edges = np.concatenate(([0], np.cumsum(tree.leaves.tokens[leaves])))
        paper = _File(
            file=file,
            spans=_merged([*reads, *((start, end) for start, end, _ in marks)], len(file.text)),
            marks=marks,
            starts=tree.leaves.start[leaves],
            edges=edges,
            room=room,
        )
        heading = tag("h3", one_line(file.name)) if len(tree.files) > 1 else None
        views.append(tag("div", heading, *paper.blocks(), class_="file"))
    lead = "Read text is shown, quotes are marked and numbered. What wasn't read is folded, section by section."
    return Shown(view=joined((tag("p", lead, class_="lead"), *views)), quotes=frozenset(quotes))


def _marks(citations: Sequence[Mapping[str, Any]], file: Document) -> list[tuple[int, int, int]]:
    found = []
    for number, citation in enumerate(citations, 1):
        start, end = whole(citation, "start"), whole(citation, "end")
        if citation.get("verified") and citation.get("source") == file.name and 0 <= start < end <= len(file.text):
            found.append((start, end, number))
    return found


def _merged(spans: Sequence[tuple[int, int]], length: int) -> list[tuple[int, int]]:
    """The spans in order, those that touch as one."""
    merged: list[tuple[int, int]] = []
    for start, end in sorted((max(0, start), min(end, length)) for start, end in spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], end))
        elif start < end:
            merged.append((start, end))
    return merged


@dataclass(slots=True)
class _Room:
    """How many characters that weren't read the page still takes."""

    characters: int

    def take(self, count: int) -> bool:
        if count > self.characters:
            return False
        self.characters -= count
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """A section's own text, up to the next section's."""

    section: Section | None
    path: str
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _File:
    """One file, with what was read of it."""

    file: Document
    spans: Sequence[tuple[int, int]]
    marks: Marks
    starts: Any
    edges: Any
    room: _Room = field(repr=False)

    def blocks(self) -> Iterator[Html]:
        """The file by section; several that weren't read, one after the other, as one fold."""
        for read, run in groupby(self._blocks(), self._was_read):
            members = list(run)
            if read:
                yield from map(self._block, members)
            elif len(members) == 1:
                yield self._fold(members[0])
            else:
                yield self._folds(members)

    def _blocks(self) -> Iterator[_Block]:
        text, sections = self.file.text, self.file.sections
        cuts = sorted({0, *(section.span.start for section in sections), len(text)})
        inside: list[Section] = []
        at = 0
        for start, end in pairwise(cuts):
            while at < len(sections) and sections[at].span.start <= start:
                while inside and inside[-1].span.end <= sections[at].span.start:
                    inside.pop()
                inside.append(sections[at])
                at += 1
            while inside and inside[-1].span.end <= start:
                inside.pop()
            path = " › ".join(title(section.title) for section in inside[:-1])
            yield _Block(section=inside[-1] if inside else None, path=path, start=start, end=end)

    def _was_read(self, block: _Block) -> bool:
        return any(start < block.end and end > block.start for start, end in self.spans)

    def _tokens(self, start: int, end: int) -> int:
        """What the leaves that begin in a stretch count."""
        first, last = np.searchsorted(self.starts, [start, end])
        return int(self.edges[last] - self.edges[first])

    def _pages(self, start: int, end: int) -> str:
        first, last = self.file.page_of(start), self.file.page_of(max(start, end - 1))
        return pages((first, last)) if first is not None else ""

    def _about(self, start: int, end: int) -> str:
        return " · ".join(filter(None, (self._pages(start, end), tokens(self._tokens(start, end)))))

    def _named(self, block: _Block) -> str:
        return title(block.section.title) if block.section else "Before the first section"

    def _block(self, block: _Block) -> Html:
        """A section of which something was read."""
        named = self._named(block) if block.section or self.file.sections else one_line(self.file.name)
        head = tag(
            "div",
            tag("p", block.path, class_="path", dir="auto") if block.path else None,
            tag("h4", tag("bdi", named)),
            tag("p", self._about(block.start, block.end), class_="meta"),
            class_="part-head",
        )
        return tag("section", head, *self._stretches(block), class_="part")

    def _stretches(self, block: _Block) -> Iterator[Html]:
        at = block.start
        for start, end in self.spans:
            if end <= block.start or start >= block.end:
                continue
            low, high = max(start, block.start), min(end, block.end)
            yield from self._gap(at, low)
            yield tag("div", *_marked(self.file, low, high, self.marks), class_="text read", dir="auto", lang="")
            at = high
        yield from self._gap(at, block.end)

    def _gap(self, start: int, end: int) -> Iterator[Html]:
        """What wasn't read between two stretches that were."""
        if self.file.text[start:end].strip():
            label = tag("summary", tag("span", f"{self._about(start, end)} not read"))
            yield tag("details", label, self._text(start, end), class_="gap")

    def _text(self, start: int, end: int) -> Html:
        if not self.room.take(end - start):
            return tag("p", f"{end - start:,} characters, left out of this page for its size.", class_="note")
        return tag("div", self.file.text[start:end].strip("\r\n"), class_="text", dir="auto", lang="")

    def _fold(self, block: _Block) -> Html:
        named = tag("bdi", self._named(block))
        label = tag("summary", tag("span", named), tag("span", self._about(block.start, block.end), class_="meta"))
        return tag("details", label, self._text(block.start, block.end), class_="fold")

    def _folds(self, members: Sequence[_Block]) -> Html:
        first, last = self._named(members[0]), self._named(members[-1])
        about = f"{len(members):,} sections not read · {self._about(members[0].start, members[-1].end)}"
        named = tag("span", tag("bdi", first), " – ", tag("bdi", last))
        label = tag("summary", named, tag("span", about, class_="meta"))
        return tag("details", label, *map(self._fold, members), class_="fold several")


def _marked(file: Document, start: int, end: int, marks: Marks) -> Iterator[Html]:
    """Text that was read, with the quotes in it marked, and where pages begin."""
    turns = {page.start: number for number, page in enumerate(file.pages, 1) if start < page.start < end}
    edges = {start, end, *turns}
    for mark in marks:
        edges |= {edge for edge in mark[:2] if start < edge < end}
    for low, high in pairwise(sorted(edges)):
        if low in turns:
            yield tag("span", f"page {turns[low]}", class_="page")
        words = file.text[low:high]
        if low == start:
            words = words.lstrip("\r\n")
        if high == end:
            words = words.rstrip("\r\n")
        yield from _piece(words, low, high, marks)


def _piece(words: str, low: int, high: int, marks: Marks) -> Iterator[Html]:
    """A run of text that lies in the same quotes throughout."""
    within = [mark for mark in marks if mark[0] <= low and high <= mark[1]]
    if not within:
        yield tag("span", words)
        return
    begins = [number for start, _, number in within if start == low]
    anchors = [tag("span", id=f"quote-{number}", class_="anchor") for number in begins[1:]]
    yield tag("mark", *anchors, words, id=f"quote-{begins[0]}" if begins else None)
    for number in (number for _, end, number in within if end == high):
        back = tag("a", f"{number}", href=f"#cite-{number}", aria_label=f"Quote {number}: back to the list")
        yield tag("sup", back, class_="cite")


# -- what there is without the document --------------------------------------------------------------------------------


def _passages(call: Call) -> str:
    """The passages in a prompt; empty if it has none."""
    start, end = call.prompt.find(_OPENING), call.prompt.rfind(_CLOSING)
    return call.prompt[start + len(_OPENING) : end].strip("\r\n") if 0 <= start < end else ""


def _from_prompts(story: Story, calls: Sequence[Call]) -> Shown:
    """The evidence as prompts show it, the last one first to be looked in for quotes."""
    texts = [_passages(call) for call in calls]
    marks: list[list[tuple[int, int, int]]] = [[] for _ in calls]
    for number, citation in enumerate(story.citations, 1):
        for place in reversed(range(len(calls))):
            span = verify(texts[place], str(citation.get("quote") or ""))
            if span is not None:
                marks[place].append((span.start, span.end, number))
                break
    lead = (
        "The document wasn't at hand when this page was made. This is what prompts showed of it; "
        "the rest of the text isn't here."
    )
    views = []
    for call, words, found in zip(calls, texts, marks, strict=True):
        paper = Document(name="prompt", text=words)
        label = tag("summary", tag("span", f"Evidence of call {call.number}" if call.number else "Evidence, recalled"))
        body = tag("div", *_marked(paper, 0, len(words), found), class_="text read", dir="auto", lang="")
        views.append(tag("details", label, body, class_="fold", open=bool(found) or call is calls[-1]))
    numbers = frozenset(mark[2] for found in marks for mark in found)
    return Shown(view=joined((tag("p", lead, class_="lead"), *views)), quotes=numbers)


def _listed(story: Story) -> Shown:
    """What was read, as places."""
    why = "words were taken out of it" if story.redacted else "it holds no prompts"
    lead = f"The document wasn't at hand when this page was made, and the trace doesn't show it: {why}."
    reads = story.trace.reads()
    if not reads:
        return Shown(view=tag("p", lead, " Nothing is known to have been read.", class_="lead"), quotes=frozenset())
    heads = tag("tr", *(tag("th", head, scope="col") for head in ("file", "page", "characters", "tokens")))
    rows = [
        tag(
            "tr",
            tag("td", one_line(read.source)),
            tag("td", "–" if read.page is None else f"{read.page:,}"),
            tag("td", f"{read.start:,}–{read.end:,}"),
            tag("td", f"{read.tokens:,}"),
        )
        for read in reads
    ]
    table = tag("table", tag("thead", heads), tag("tbody", *rows), class_="figures")
    counted = f"{len(reads):,} stretch{'es' if len(reads) > 1 else ''} read"
    fold = tag("details", tag("summary", tag("span", counted)), tag("div", table, class_="scroll"), class_="fold")
    return Shown(view=joined((tag("p", lead, class_="lead"), fold)), quotes=frozenset())
