"""The planner: a document becomes a tree of coarse summaries, for no model tokens.

Folder → document → section → page or passage → sentence or table row. Structure comes from the document; where it
declares too little (no headings) or too much (four thousand), neighbours are packed into groups of about 64, 128, 256,
512 and 1,024 tokens and then by the dozen, so that the tree has passages of every useful size to read and no node has
more than `MAX_CHILDREN` children. Groups break at paragraphs and sections and never cross a page or a file.

Doesn't know questions. Summaries themselves are in `summaries`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from hierarchy.document import Document, Section
from hierarchy.errors import DocumentEmpty
from hierarchy.segments import LeafKind, Leaves, segment
from hierarchy.tokens import Counter, count_tokens, piece_tokens
from hierarchy.tree import KINDS, MAX_CHILDREN, Ints, LeafTable, NodeTable, SummaryTree

__all__ = ["PASSAGE_TOKENS", "outline"]

PASSAGE_TOKENS = (64, 128, 256, 512, 1024)
"""Sizes of passages that every long stretch of text is packed into, smallest first."""

# A passage may exceed its size by a tenth rather than leave a stub; it closes early at a paragraph's end once it is
# this full, at a section's end once it is that full.
_SLACK = 1.1
_FULL_AT_PARAGRAPH = 0.6
_FULL_AT_SECTION = 0.35

# Deeper sections are read as part of their ancestors: real documents have fewer levels, hostile ones thousands.
_MAX_SECTION_DEPTH = 12

_LEAF_KIND = {
    LeafKind.SENTENCE: "sentence",
    LeafKind.ROW: "row",
    LeafKind.HEADING: "heading",
    LeafKind.FURNITURE: "furniture",
}


@dataclass(slots=True)
class _Draft:
    """A node in the making: leaves `low` to `high`; no children means that the leaves themselves are."""

    kind: str
    low: int
    high: int
    title: str = ""
    children: list[_Draft] = field(default_factory=list)


def outline(
    document: Document, count: Counter = count_tokens, progress: Callable[[int, int, str], None] | None = None
) -> SummaryTree:
    r"""Build the tree of a document.

    Args:
        document: A file or a folder, as `hierarchy.load` gives it.
        count: The token counter by which the budget is kept.
        progress: Called with files done, files in all and the name of the file at hand.

    Returns:
        The tree. Equal documents and counters give equal trees.

    Raises:
        DocumentEmpty: No file holds text.

    Example:
        >>> tree = outline(Document(name="n", text="No fever. Pulse 72.\nDischarged home.\n"))
        >>> [tree.leaf_text(leaf) for leaf in range(len(tree.leaves))]
        ['No fever. ', 'Pulse 72.\n', 'Discharged home.\n']
    """
    files = document.files
    parts: list[LeafTable] = []
    pages = paragraphs = sections = 0
    for index, file in enumerate(files):
        if progress:
            progress(index, len(files), file.name)
        table = _leaf_table(file, index, count, pages, paragraphs, sections)
        parts.append(table)
        pages += max(1, len(file.pages))
        paragraphs = int(table.paragraph[-1]) + 1 if len(table) else paragraphs
        sections += len(file.sections)
    leaves = LeafTable(**{name: np.concatenate([getattr(p, name) for p in parts]) for name in LeafTable.__slots__})
    if not len(leaves):
        raise DocumentEmpty(f"{document.name} holds no text.", "Give a document with text in it.")
    root = _Builder(document, leaves).build()
    nodes, titles = _flatten(root, leaves)
    return SummaryTree(document=document, leaves=leaves, nodes=nodes, titles=titles, count=count)


def _leaf_table(file: Document, index: int, count: Counter, page: int, paragraph: int, section: int) -> LeafTable:
    """The leaves of one file, pages, paragraphs and sections numbered on from those of the files before."""
    cut: Leaves = segment(file)
    starts = cut.starts
    ends = np.append(starts[1:], len(file.text)) if len(starts) else starts
    page_starts = np.array([span.start for span in file.pages], dtype=np.int64)
    on_page = np.searchsorted(page_starts, starts, "right") - 1 if len(page_starts) else np.zeros(len(starts))
    return LeafTable(
        file=np.full(len(starts), index, dtype=np.int64),
        start=starts,
        end=ends,
        tokens=piece_tokens(count, file.text, [*starts.tolist(), len(file.text)] if len(starts) else [0]),
        kind=cut.kinds.astype(np.int64),
        paragraph=cut.paragraphs + paragraph,
        page=on_page.astype(np.int64) + page,
        section=_sections_of(file, starts, section),
    )


def _sections_of(file: Document, starts: Ints, base: int) -> Ints:
    """The deepest section in which each leaf starts; later sections overwrite the parents that they lie in."""
    found = np.full(len(starts), -1, dtype=np.int64)
    for number, section in enumerate(file.sections):
        low, high = np.searchsorted(starts, [section.span.start, section.span.end])
        found[low:high] = base + number
    return found


class _Builder:
    """Drafts the nodes of a document over its leaf table."""

    def __init__(self, document: Document, leaves: LeafTable) -> None:
        self.document = document
        self.leaves = leaves
        self.edges = np.concatenate(([0], np.cumsum(leaves.tokens))).tolist()
        self.page = leaves.page.tolist()
        self.paragraph = leaves.paragraph.tolist()
        self.file_bounds = np.searchsorted(leaves.file, np.arange(len(document.files) + 1)).tolist()
        self._file = -1

    def build(self) -> _Draft:
        return self._document(self.document)

    def _document(self, document: Document) -> _Draft:
        if not document.parts:
            return self._one_file(document)
        children = [self._document(part) for part in document.parts]
        low, high = children[0].low, children[-1].high
        return _Draft("folder", low, high, document.name, _by_the_dozen([c for c in children if c.high > c.low]))

    def _one_file(self, file: Document) -> _Draft:
        self._file += 1
        low, high = self.file_bounds[self._file : self._file + 2]
        starts = self.leaves.start[low:high]
        sections = [section for section in file.sections if section.depth <= _MAX_SECTION_DEPTH]
        spans = [
            (section, low + int(a), low + int(b))
            for section in sections
            for a, b in [np.searchsorted(starts, [section.span.start, section.span.end])]
            if b > a
        ]
        return self._titled("document", file.name, low, high, spans)

    def _titled(self, kind: str, title: str, low: int, high: int, spans: Sequence[tuple[Section, int, int]]) -> _Draft:
        """A document or section with the sections inside it, given in order, parents before children."""
        children: list[_Draft] = []
        position, index = low, 0
        while index < len(spans):
            section, start, end = spans[index]
            if start > position:
                children += self._plain(position, start)
            inner = index + 1
            while inner < len(spans) and spans[inner][1] < end and spans[inner][2] <= end:
                inner += 1
            start = max(start, position)
            if end > start:
                children.append(self._titled("section", section.title, start, end, spans[index + 1 : inner]))
                position = end
            index = inner
        if position < high:
            children += self._plain(position, high)
        return self._draft(kind, title, low, high, children)

    def _draft(self, kind: str, title: str, low: int, high: int, children: list[_Draft]) -> _Draft:
        packed = _by_the_dozen(self._pack(children))
        while len(packed) == 1 and not packed[0].title and packed[0].kind in ("group", "passage"):
            packed = packed[0].children  # an only child without a name of its own says nothing
        return _Draft(kind, low, high, title, packed)

    def _plain(self, low: int, high: int) -> list[_Draft]:
        """Text without sections, split at pages and packed into passages."""
        edges = [low, *(i for i in range(low + 1, high) if self.page[i] != self.page[i - 1]), high]
        return [self._page(a, b) for a, b in itertools.pairwise(edges)]

    def _page(self, low: int, high: int) -> _Draft:
        leaves = [_Draft("", leaf, leaf + 1) for leaf in range(low, high)]
        packed = _by_the_dozen(self._pack(leaves))
        if len(packed) == 1:
            only = packed[0]
            return only if only.kind else _Draft("passage", low, high)
        return _Draft("passage", low, high, "", packed)

    def _pack(self, items: list[_Draft]) -> list[_Draft]:
        """Group neighbours into passages of each size in turn."""
        for size in PASSAGE_TOKENS:
            if len(items) < 2:
                break
            items = self._packed(items, size)
        return items

    def _packed(self, items: list[_Draft], size: int) -> list[_Draft]:
        groups: list[list[_Draft]] = [[items[0]]]
        filled = self._tokens(items[0])
        for before, item in itertools.pairwise(items):
            tokens = self._tokens(item)
            if len(groups[-1]) >= MAX_CHILDREN or self._closes(before, item, filled, filled + tokens, size):
                groups.append([])
                filled = 0
            groups[-1].append(item)
            filled += tokens
        return [group[0] if len(group) == 1 else self._group(group) for group in groups]

    def _closes(self, before: _Draft, item: _Draft, filled: int, with_item: int, size: int) -> bool:
        if with_item > size * _SLACK or self._other_page(before, item):
            return True
        if self.paragraph[item.low] == self.paragraph[before.high - 1]:
            return False
        titled = bool(item.title) or self.leaves.kind[item.low] == LeafKind.HEADING
        return filled >= size * (_FULL_AT_SECTION if titled else _FULL_AT_PARAGRAPH)

    def _other_page(self, before: _Draft, item: _Draft) -> bool:
        return bool(self.page[before.low] != self.page[item.high - 1])

    def _group(self, items: list[_Draft]) -> _Draft:
        """One node over neighbours; nameless groups of one leaf level dissolve into their parent's children."""
        kind = "group" if any(item.title for item in items) else "passage"
        return _Draft(kind, items[0].low, items[-1].high, "", items)

    def _tokens(self, item: _Draft) -> int:
        return int(self.edges[item.high] - self.edges[item.low])


def _by_the_dozen(items: list[_Draft]) -> list[_Draft]:
    """Group a long row of siblings evenly until a dozen are left."""
    while len(items) > MAX_CHILDREN:
        groups = -(-len(items) // MAX_CHILDREN)
        edges = [len(items) * i // groups for i in range(groups + 1)]
        rows = [items[a:b] for a, b in itertools.pairwise(edges)]
        items = [row[0] if len(row) == 1 else _Draft("group", row[0].low, row[-1].high, "", row) for row in rows]
    return items


def _flatten(root: _Draft, leaves: LeafTable) -> tuple[NodeTable, dict[int, str]]:
    """Number the drafts in preorder and turn them into arrays."""
    columns: dict[str, list[int]] = {name: [] for name in NodeTable.__slots__}
    titles: dict[int, str] = {}
    kind_numbers = {name: number for number, name in enumerate(KINDS)}
    leaf_kinds = [kind_numbers[_LEAF_KIND[LeafKind(int(kind))]] for kind in leaves.kind]
    stack: list[tuple[_Draft | None, int, int, int]] = [(root, -1, 0, 0)]
    while stack:
        draft, parent, position, depth = stack.pop()
        number = len(columns["kind"])
        if draft is None:  # all of the parent's subtree is numbered
            columns["following"][parent] = number
            continue
        is_leaf = not draft.kind
        columns["kind"].append(leaf_kinds[draft.low] if is_leaf else kind_numbers[draft.kind])
        columns["parent"].append(parent)
        columns["position"].append(position)
        columns["low"].append(draft.low)
        columns["high"].append(draft.high)
        columns["following"].append(number + 1)
        columns["depth"].append(depth)
        if draft.title:
            titles[number] = draft.title
        if is_leaf:
            continue
        children = draft.children or [_Draft("", leaf, leaf + 1) for leaf in range(draft.low, draft.high)]
        stack.append((None, number, 0, 0))
        stack += [(child, number, index, depth + 1) for index, child in reversed(list(enumerate(children)))]
    return NodeTable(**{name: np.array(values, dtype=np.int64) for name, values in columns.items()}), titles
