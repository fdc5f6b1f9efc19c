"""The tree of coarse summaries over a document: nodes, leaves, cuts, JSON.

A `SummaryTree` keeps nodes and leaves as parallel arrays in document order (preorder), so that a tree over ten million
tokens is a dozen arrays rather than a million objects; `Node` is a view made on demand. Each node covers a contiguous
run of leaves, its children partition that run, and the leaves partition the text.

Coarse summaries and keyword lines are extractive, cost no model tokens and are made when first looked at.
Owns the tree's invariants. Doesn't know how trees are built (`planner`) or questions (`relevance`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.document import Document, Section, Span
from hierarchy.errors import InputError, StoreError
from hierarchy.segments import LeafKind
from hierarchy.summaries import Coarse, coarse_summary
from hierarchy.terms import Vocabulary
from hierarchy.tokens import Counter, count_tokens

if TYPE_CHECKING:
    from networkx import DiGraph

__all__ = ["KINDS", "MAX_CHILDREN", "LeafTable", "Node", "NodeTable", "SummaryTree", "Vectors"]

MAX_CHILDREN = 12
KINDS = ("folder", "document", "section", "group", "page", "passage", "sentence", "row", "heading", "furniture")
JSON_VERSION = 1

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafTable:
    """Arrays over leaves, in document order.

    Attributes:
        file: Index into `document.files`.
        start: First character in that file's text.
        end: One past the last.
        tokens: What the text between counts.
        kind: A `LeafKind`.
        paragraph: Number of its paragraph within the document, ascending.
        page: Number over all pages of the document from 0, or of files where a file has none; ascending.
        section: Index into the sections of all files in order, -1 where a leaf stands in none.
    """

    file: Ints
    start: Ints
    end: Ints
    tokens: Ints
    kind: Ints
    paragraph: Ints
    page: Ints
    section: Ints

    def __len__(self) -> int:
        """How many leaves there are."""
        return len(self.start)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeTable:
    """Arrays over nodes in preorder; node 0 is the root.

    Attributes:
        kind: Index into `KINDS`.
        parent: Node number, -1 for the root.
        position: Its place among its siblings, from 0.
        low: First leaf it covers.
        high: One past the last.
        following: Number of the first node behind its subtree.
        depth: 0 for the root.
    """

    kind: Ints
    parent: Ints
    position: Ints
    low: Ints
    high: Ints
    following: Ints
    depth: Ints


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A view of one node.

    Attributes:
        id: Its position in the tree, `(0, 2, 10)`; `str(node)` writes it `0.2.10`.
        number: Its place in preorder, the index into every array over nodes.
        kind: One of `KINDS`.
        title: What a reader would call it.
        low: First leaf it covers.
        high: One past the last.
        tokens: What its text counts.
    """

    id: tuple[int, ...]
    number: int
    kind: str
    title: str
    low: int
    high: int
    tokens: int

    def __str__(self) -> str:
        """The id, dotted."""
        return ".".join(map(str, self.id))

    @property
    def depth(self) -> int:
        """Edges to the root."""
        return len(self.id) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Vectors:
    """What a small model makes of the meaning of a tree's passages (`relevance.semantic`).

    Attributes:
        made_by: The model: another one's vectors mean something else.
        rows: Passages × dimensions, of unit length, 16-bit.
    """

    made_by: str
    rows: NDArray[np.float16]


class SummaryTree:
    """A tree of coarse summaries over a document.

    **Leaves partition the text of every file; children partition their parent's leaves; no node has more than
    `MAX_CHILDREN` children; a coarse summary counts at most `summaries.MAX_SHARE` of its source.** Immutable.

    Attributes:
        document: What it was built over.
        leaves: Arrays over leaves.
        nodes: Arrays over nodes.
        titles: Titles that the document declares, by node number.
        count: The token counter it was built with.
    """

    def __init__(
        self,
        *,
        document: Document,
        leaves: LeafTable,
        nodes: NodeTable,
        titles: dict[int, str],
        count: Counter = count_tokens,
    ) -> None:
        self.document = document
        self.files = document.files
        self.leaves = leaves
        self.nodes = nodes
        self.titles = titles
        self.count = count
        self.leaf_edges: Ints = np.concatenate(([0], np.cumsum(leaves.tokens))).astype(np.int64)
        self.index: object | None = None  # what `relevance` derives from the tree, kept beside it
        self.vectors: Vectors | None = None  # of its passages, if they were asked for; kept with it in a store
        self.tables: dict[tuple[Any, ...], Any] = {}  # and what `tables` does
        self._coarse: dict[int, Coarse] = {}

    # -- sizes -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many nodes there are, leaves included."""
        return len(self.nodes.kind)

    @property
    def tokens(self) -> int:
        """What the whole document counts."""
        return int(self.leaf_edges[-1])

    @cached_property
    def node_tokens(self) -> Ints:
        """Tokens of each node's text."""
        return self.leaf_edges[self.nodes.high] - self.leaf_edges[self.nodes.low]

    @cached_property
    def depth(self) -> int:
        """The depth of the deepest node."""
        return int(self.nodes.depth.max()) if len(self) else 0

    # -- nodes -------------------------------------------------------------------------------------------------

    def node(self, number: int) -> Node:
        """The view of a node by its number."""
        return Node(
            id=self.id_of(number),
            number=int(number),
            kind=KINDS[self.nodes.kind[number]],
            title=self.title(number),
            low=int(self.nodes.low[number]),
            high=int(self.nodes.high[number]),
            tokens=int(self.node_tokens[number]),
        )

    @property
    def root(self) -> Node:
        """The node that covers everything."""
        return self.node(0)

    def id_of(self, number: int) -> tuple[int, ...]:
        """The id of a node: positions from the root, the root's own being 0."""
        path = []
        while number >= 0:
            path.append(int(self.nodes.position[number]))
            number = int(self.nodes.parent[number])
        return tuple(reversed(path))

    def find(self, node_id: tuple[int, ...] | str) -> Node:
        """The node with an id, given as a tuple or dotted.

        Raises:
            InputError: There is no such node.
        """
        path = tuple(int(part) for part in node_id.split(".")) if isinstance(node_id, str) else tuple(node_id)
        number = 0
        for position in path[1:]:
            children = self.children(number)
            if not 0 <= position < len(children):
                raise InputError(f"The tree has no node {'.'.join(map(str, path))}.", "`hierarchy tree` lists them.")
            number = children[position]
        return self.node(number)

    def children(self, number: int) -> tuple[int, ...]:
        """Numbers of a node's children, in order."""
        children = []
        child, end = number + 1, int(self.nodes.following[number])
        while child < end:
            children.append(child)
            child = int(self.nodes.following[child])
        return tuple(children)

    def __iter__(self) -> Iterator[Node]:
        """Every node in preorder."""
        return (self.node(number) for number in range(len(self)))

    @cached_property
    def leaf_nodes(self) -> Ints:
        """The node number of each leaf."""
        return np.flatnonzero(self.nodes.following == np.arange(len(self)) + 1)

    def smallest_node(self, low: int, high: int) -> int:
        """The number of the smallest node that covers leaves `low` to `high`."""
        number = int(self.leaf_nodes[low])
        while self.nodes.low[number] > low or self.nodes.high[number] < high:
            number = int(self.nodes.parent[number])
        return number

    def cut(self, max_tokens: int) -> Ints:
        """The coarsest cut whose nodes count at most `max_tokens` each, or are leaves: node numbers in document order.

        **Every leaf is covered by exactly one node of a cut.** `cut(0)` is the leaves.
        """
        small = self.node_tokens <= max_tokens
        small[self.leaf_nodes] = True
        parents = self.nodes.parent
        under_large = np.concatenate(([True], ~small[parents[1:]]))
        return np.flatnonzero(small & under_large)

    # -- what nodes say ----------------------------------------------------------------------------------------

    def title(self, number: int) -> str:
        """What a reader would call the node: its declared title; of a group first and last; else how it begins."""
        declared = self.titles.get(int(number))
        if declared:
            return declared
        low, high = int(self.nodes.low[number]), int(self.nodes.high[number])
        if low == high:
            return "(empty)"
        if KINDS[self.nodes.kind[number]] == "group":
            children = self.children(number)
            first, last = self.title(children[0]), self.title(children[-1])
            return f"{first.split(' – ')[0]} – {last.split(' – ')[-1]}"
        kinds = self.leaves.kind[low:high]
        telling = np.flatnonzero(kinds != LeafKind.FURNITURE)
        leaf = low + int(telling[0]) if len(telling) else low
        words = self.leaf_text(leaf).split()
        lead = " ".join(words[:9])
        return lead if len(words) <= 9 else f"{lead} …"

    def coarse(self, number: int) -> Coarse:
        """The coarse summary of a node: leading and central sentences, keywords, what its numbers are."""
        number = int(number)
        if number not in self._coarse:
            self._coarse[number] = coarse_summary(self, int(self.nodes.low[number]), int(self.nodes.high[number]))
        return self._coarse[number]

    def leaf_text(self, leaf: int) -> str:
        """The text of a leaf."""
        text = self.files[int(self.leaves.file[leaf])].text
        return text[int(self.leaves.start[leaf]) : int(self.leaves.end[leaf])]

    def leaf_texts(self) -> Iterator[str]:
        """The text of every leaf, in order: `leaf_text` for all, at a fraction of the cost."""
        columns = (self.leaves.file.tolist(), self.leaves.start.tolist(), self.leaves.end.tolist())
        return (self.files[file].text[start:end] for file, start, end in zip(*columns, strict=True))

    def text(self, low: int, high: int) -> str:
        """The text of leaves `low` to `high`, which must lie in one file for it to be verbatim."""
        if low >= high:
            return ""
        first, last = self.leaves.file[low], self.leaves.file[high - 1]
        if first == last:
            return self.files[int(first)].text[int(self.leaves.start[low]) : int(self.leaves.end[high - 1])]
        edges = [low, *(np.flatnonzero(np.diff(self.leaves.file[low:high])) + low + 1).tolist(), high]
        return "".join(self.text(a, b) for a, b in pairwise(edges))

    @cached_property
    def leaf_terms(self) -> tuple[Vocabulary, NDArray[np.int32], Ints]:
        """Vocabulary, all terms in document order, and the bounds of each leaf's among them (`bounds[i:i + 2]`)."""
        vocabulary = Vocabulary()
        numbers, owners = vocabulary.encode(self.leaf_texts())
        bounds = np.searchsorted(owners, np.arange(len(self.leaves) + 1)).astype(np.int64)
        return vocabulary, numbers, bounds

    @cached_property
    def term_rarity(self) -> NDArray[np.float64]:
        """Inverse leaf frequency of each term of the vocabulary: ln(1 + leaves / leaves that hold it)."""
        vocabulary, numbers, bounds = self.leaf_terms
        owners = np.repeat(np.arange(len(self.leaves)), np.diff(bounds))
        pairs = np.unique(owners * max(1, len(vocabulary.names)) + numbers)
        holding = np.bincount(pairs % max(1, len(vocabulary.names)), minlength=len(vocabulary.names))
        return np.asarray(np.log1p(len(self.leaves) / np.maximum(1, holding)), dtype=np.float64)

    # -- pages and sections ------------------------------------------------------------------------------------

    @cached_property
    def sections(self) -> tuple[Section, ...]:
        """The sections of all files, in order: what `leaves.section` counts."""
        return tuple(section for file in self.files for section in file.sections)

    @cached_property
    def section_paths(self) -> tuple[tuple[str, ...], ...]:
        """For each section its title and those it stands in, outermost first."""
        paths: list[tuple[str, ...]] = []
        for file in self.files:
            open_sections: list[Section] = []
            for section in file.sections:
                while open_sections and open_sections[-1].span.end <= section.span.start:
                    open_sections.pop()
                open_sections.append(section)
                paths.append(tuple(one.title for one in open_sections))
        return tuple(paths)

    def heading(self, leaf: int) -> str:
        """The titles of the sections a leaf stands in, outermost first."""
        section = int(self.leaves.section[leaf])
        return " › ".join(self.section_paths[section]) if section >= 0 else ""

    def page(self, leaf: int) -> int | None:
        """The physical page of its file on which a leaf stands, counted from 1; None without pages."""
        return self.files[int(self.leaves.file[leaf])].page_of(int(self.leaves.start[leaf]))

    @cached_property
    def leaf_pages(self) -> Ints:
        """The page of each leaf, as `page` tells it; 0 without pages."""
        pages = np.zeros(len(self.leaves), dtype=np.int64)
        for number, file in enumerate(self.files):
            if file.pages:
                leaves = np.flatnonzero(self.leaves.file == number)
                starts = [page.start for page in file.pages]
                pages[leaves] = np.searchsorted(starts, self.leaves.start[leaves], side="right").clip(min=1)
        return pages

    # -- exchange ----------------------------------------------------------------------------------------------

    @cached_property
    def graph(self) -> DiGraph[int]:
        """The tree as a networkx arborescence; nodes are preorder numbers with `id`, `kind`, `title` and `tokens`."""
        import networkx

        graph: DiGraph[int] = networkx.DiGraph()
        for node in self:
            graph.add_node(node.number, id=str(node), kind=node.kind, title=node.title, tokens=node.tokens)
        graph.add_edges_from((int(parent), child) for child, parent in enumerate(self.nodes.parent) if parent >= 0)
        return graph

    def to_json(self) -> str:
        """The tree with its document, self-contained; `from_json` gives it back."""
        return json.dumps(
            {
                "hierarchy_tree": JSON_VERSION,
                "document": asdict(self.document),
                "leaves": {name: getattr(self.leaves, name).tolist() for name in LeafTable.__slots__},
                "nodes": {name: getattr(self.nodes, name).tolist() for name in NodeTable.__slots__},
                "titles": self.titles,
            }
        )

    @classmethod
    def from_json(cls, data: str, count: Counter = count_tokens) -> SummaryTree:
        """Read what `to_json` wrote.

        Raises:
            StoreError: It is no tree, is damaged, or a newer version wrote it.
        """
        try:
            record = json.loads(data)
            version = record["hierarchy_tree"]
            if version != JSON_VERSION:
                raise StoreError(f"The tree is of version {version!r}, this reads {JSON_VERSION}.", "Build it again.")
            return cls(
                document=_document(record["document"]),
                leaves=LeafTable(**{name: _ints(record["leaves"][name]) for name in LeafTable.__slots__}),
                nodes=NodeTable(**{name: _ints(record["nodes"][name]) for name in NodeTable.__slots__}),
                titles={int(number): title for number, title in record["titles"].items()},
                count=count,
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"This is no tree or a damaged one: {error!r}.", "Build it again.") from error

    def __eq__(self, other: object) -> bool:
        """Equal documents and equal structure."""
        return isinstance(other, SummaryTree) and self.to_json() == other.to_json()

    __hash__ = None  # type: ignore[assignment]  # compared by content, never used as a key

    def __repr__(self) -> str:
        """Name and sizes."""
        return f"<SummaryTree {self.document.name}: {self.tokens:,} tokens, {len(self.leaves):,} leaves>"


def _ints(values: list[int]) -> Ints:
    return np.array(values, dtype=np.int64)


def _document(record: dict[str, Any]) -> Document:
    def spans(values: list[dict[str, int]]) -> tuple[Span, ...]:
        return tuple(Span(**value) for value in values)

    return Document(
        name=record["name"],
        text=record["text"],
        media=record["media"],
        sections=tuple(Section(**{**section, "span": Span(**section["span"])}) for section in record["sections"]),
        pages=spans(record["pages"]),
        rows=spans(record["rows"]),
        furniture=spans(record["furniture"]),
        notes=tuple(record["notes"]),
        parts=tuple(_document(part) for part in record["parts"]),
    )
