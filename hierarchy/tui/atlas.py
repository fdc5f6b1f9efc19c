"""The tree of a trace: its nodes by number, what they are called, their text if the document is at hand, and a search.

A trace of version 1 has no map of its tree. If the document is at hand, its tree is the map; if not, the nodes that
events speak of are, each stretch that was read being a part of its node. Knows no widgets and no moments.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import NamedTuple

import numpy as np

from hierarchy.document import Document
from hierarchy.events import Allocated, Answered, Estimated, Mapped, Read, Reserved, Started
from hierarchy.telling import mapped as mapped_tree
from hierarchy.trace import Trace
from hierarchy.tree import Ints, SummaryTree
from hierarchy.viewer.text import one_line, pages, title
from hierarchy.viewer.treemap import Shape

__all__ = ["Atlas", "Stretch", "atlas_of"]

Path = tuple[int, ...]

_MOST_FOUND = 10_000
_DOTTED = re.compile(r"0(?:\.\d{1,9})*")


class Stretch(NamedTuple):
    """Characters `start` to `end` of a file, by its number."""

    file: int
    start: int
    end: int


class _Placed(NamedTuple):
    """A stretch that was read, and where it stands."""

    place: Stretch
    read: Read


@dataclass(frozen=True, kw_only=True)
class Atlas:
    """Where everything is; not slotted, for what is worked out once is kept.

    Attributes:
        shape: The tree, by node number.
        columns: File, first character and one past the last of each node.
        names: The files' names.
        tree: The document's own tree, if it is at hand and its nodes are the trace's.
        files: The files, if the document is at hand.
        known: Titles of nodes that events speak of.
        ids: Dotted ids of the nodes, where the shape is a sketch from events; empty for those that have none.
        note: What is missing, or doesn't fit.
    """

    shape: Shape
    columns: tuple[Ints, Ints, Ints]
    names: tuple[str, ...] = ()
    tree: SummaryTree | None = None
    files: tuple[Document, ...] = ()
    known: Mapping[str, str] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    note: str = ""

    def dotted(self, number: int) -> str:
        """A node's id as events write it; empty if events have none for it."""
        if self.ids:
            return self.ids[number]
        steps = []
        while number > 0:
            parent = int(self.shape.parents[number])
            steps.append(int(np.searchsorted(self.shape.children(parent), number)))
            number = parent
        return ".".join(map(str, [0, *reversed(steps)]))

    def kind(self, number: int) -> str:
        """What a node is, on one line."""
        return one_line(self.shape.kind(number))

    def title(self, number: int) -> str:
        """What a reader would call a node, on one line."""
        if self.tree is not None:
            return title(self.tree.title(number)) or self.kind(number)
        if number == 0 and 0 not in self.shape.titles and self.known.get("0"):
            return title(self.known["0"])
        told = self.known.get(self.dotted(number)) if number not in self.shape.titles and self.known else None
        return title(told or self.shape.title(number)) or self.kind(number)

    def above(self, number: int) -> tuple[int, ...]:
        """The nodes above one, the root first."""
        found = []
        while (number := int(self.shape.parents[number])) >= 0:
            found.append(number)
        return tuple(reversed(found))

    def place(self, number: int) -> str:
        """File and pages of a node, as far as they are known."""
        files, _, _ = self.columns
        inside = slice(number, int(self.shape.last[number]))
        several = int(files[inside].min()) != int(files[inside].max())
        name = self.names[int(files[number])] if 0 <= files[number] < len(self.names) and not several else ""
        first, last = self.shape.page_range(number)
        return " · ".join(filter(None, (one_line(name), "" if several or not first else pages((first, last)))))

    def stretches(self, number: int) -> tuple[Stretch, ...]:
        """The characters of a node, a stretch for each file that it covers."""
        inside = np.arange(number, int(self.shape.last[number]))
        leaves = inside[self.shape.is_leaf[inside]]
        files, starts, ends = (column[leaves] for column in self.columns)
        return tuple(
            Stretch(int(file), int(starts[files == file].min()), int(ends[files == file].max()))
            for file in np.unique(files)
        )

    def text(self, stretch: Stretch) -> str:
        """What stands there; empty without the document."""
        return self.files[stretch.file].text[stretch.start : stretch.end] if stretch.file < len(self.files) else ""

    def file(self, name: str) -> int:
        """The number of a file; 0 if there is no such."""
        return self.names.index(name) if name in self.names else 0

    # -- search ------------------------------------------------------------------------------------------------

    def found(self, query: str, quotes: Iterable[Mapping[str, object]] = ()) -> tuple[int, ...]:
        """Numbers of the nodes with some words in their title or text, in order; letters' case doesn't matter.

        Args:
            query: The words, or a dotted id.
            quotes: What the answer cites: all the text that there is without the document.
        """
        query = query.strip()
        if not query:
            return ()
        if _DOTTED.fullmatch(query):
            number = self._number(query)
            if number is not None:
                return (number,)
        words = re.compile(r"\s+".join(map(re.escape, query.split())), re.IGNORECASE)
        titled = [number for number, text in self.shape.titles.items() if words.search(text)]
        told = [number for dotted, text in self.known.items() if words.search(text)
                and (number := self._number(dotted)) is not None]  # fmt: skip
        quoted = [self.leaf_at(self.file(str(one.get("source"))), start) for one in quotes
                  if words.search(str(one.get("quote"))) and isinstance(start := one.get("start"), int)]  # fmt: skip
        inside = [
            number for number in (*titled, *told, *quoted, *self._in_text(words)) if 0 <= number < len(self.shape)
        ]
        return tuple(sorted(set(inside)))

    def _in_text(self, words: re.Pattern[str]) -> Iterable[int]:
        for number, file in enumerate(self.files):
            for match in islice(words.finditer(file.text), _MOST_FOUND):
                yield self.leaf_at(number, match.start())

    def leaf_at(self, file: int, start: int) -> int:
        """The leaf in which a character stands."""
        leaves = self.shape.leaves
        files, starts, _ = (column[leaves] for column in self.columns)
        low, high = np.searchsorted(files, [file, file + 1])
        at = int(np.searchsorted(starts[low:high], start, "right")) - 1
        return int(leaves[min(len(leaves) - 1, low + max(0, at))])

    def _number(self, dotted: str) -> int | None:
        return self.shape.number(dotted)


def atlas_of(trace: Trace, tree: SummaryTree | None = None) -> Atlas:
    """The tree of a trace, with the document's text if it is at hand.

    Args:
        trace: The trace.
        tree: The document's tree; left out, with a note, if it is of another document.
    """
    started = next(iter(trace.of(Started)), None)
    names = started.source_names if started else tuple(file.name for file in tree.files) if tree else ()
    note = "" if tree else "The document isn't at hand: its text, summaries and features aren't shown."
    if tree is not None and started is not None and started.document_key != tree.document.key:
        tree, note = None, "The document at hand isn't the one that was read: its text isn't shown."
    event = next(iter(trace.of(Mapped)), None)
    shape = Shape.of(event)
    if shape is None and tree is not None:
        event = mapped_tree(tree)
        shape = Shape.of(event)
    if shape is None or event is None:
        return _sketched(trace, names, note)
    columns = tuple(np.asarray(column, dtype=np.int64) for column in (event.files, event.starts, event.ends))
    fits = tree is not None and np.array_equal(tree.nodes.parent, shape.parents)
    if tree is not None and not fits:
        note = "The document's tree is built otherwise by this version: summaries and features aren't shown."
    return Atlas(
        shape=shape,
        columns=(columns[0], columns[1], columns[2]),
        names=names,
        tree=tree if fits else None,
        files=tuple(tree.files) if tree is not None else (),
        known={"0": started.document} if started and started.document else {},
        note=note,
    )


# -- without a map -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class _Sketch(Shape):
    """A tree of what events speak of: its ids have gaps, so that they can't be counted."""

    numbers: Mapping[str, int]

    def number(self, dotted: str) -> int | None:
        """Number of the node with a dotted id; None if no event speaks of it."""
        return self.numbers.get(dotted)


def _sketched(trace: Trace, names: tuple[str, ...], note: str) -> Atlas:
    """The nodes that events speak of, those above them, and the stretches read, as leaves of their nodes."""
    told, started = dict(_told(trace)), next(iter(trace.of(Started)), None)
    paths = {(0,): ("", 0)} | {path[:length]: ("", 0) for path in told for length in range(1, len(path))} | told
    reads: dict[Path, list[_Placed]] = {}
    for read in trace.of(Read):
        place = Stretch(names.index(read.source) if read.source in names else 0, read.start, read.end)
        reads.setdefault(_path(read.node) or (0,), []).append(_Placed(place, read))
    rows: list[tuple[int, int, int, int, int, int, int]] = []  # parent, kind, tokens, file, start, end, page
    ids, titles, numbers = list[str](), dict[int, str](), dict[Path, int]()
    at = Stretch(0, 0, 0)
    for path, one in _in_order(paths, reads):
        if one is not None:
            at = one.place
            ids.append("")
            rows.append((numbers[path], 1, one.read.tokens, *at, one.read.page or 0))
            continue
        words, tokens = paths[path]
        numbers[path] = len(rows)
        ids.append(".".join(map(str, path)))
        if words:
            titles[len(rows)] = words
        rows.append((numbers[path[:-1]] if len(path) > 1 else -1, 0, tokens, at.file, at.end, at.end, 0))
    table = np.array([[max(-1, min(value, 1 << 40)) for value in row] for row in rows], dtype=np.int64).T
    tokens_of = _at_least(table[0], table[2])
    if started is not None:
        tokens_of[0] = max(0, min(started.document_tokens, 1 << 40))
    shape = _Sketch(
        parents=table[0],
        kinds=table[1],
        tokens=tokens_of,
        pages=table[6],
        begins=(table[3] << 40) + table[4],
        ends=(table[3] << 40) + table[5],
        kind_names=("part", "passage"),
        titles=titles,
        numbers={dotted: number for number, dotted in enumerate(ids) if dotted},
    )
    known = {"0": started.document} if started and started.document else {}
    missing = "The trace has no map of the tree: only what events speak of is shown."
    columns = (table[3], table[4], table[5])
    return Atlas(
        shape=shape, columns=columns, names=names, known=known, ids=tuple(ids), note=f"{missing} {note}".strip()
    )


def _in_order(paths: Iterable[Path], reads: Mapping[Path, Sequence[_Placed]]) -> Iterable[tuple[Path, _Placed | None]]:
    """Every node, each before what is below it, and every stretch read of it among its parts, as the text has them.

    Where a part stands is known from what was read of it; one of which nothing was stays behind those before it.
    """
    below: dict[Path, list[Path]] = {}
    first: dict[Path, Stretch] = {}
    for path in sorted(paths, reverse=True):
        places = [one.place for one in reads.get(path, ())]
        places += [first[each] for each in below.get(path, ()) if each in first]
        if places:
            first[path] = min(places)
        below.setdefault(path[:-1], []).append(path)
    pending: list[tuple[Path, _Placed | None]] = [((0,), None)]
    while pending:
        path, read = pending.pop()
        yield path, read
        if read is not None:
            continue
        own, items = sorted(reads.get(path, ()), key=lambda one: one.place), list[tuple[Path, _Placed | None]]()
        for child in reversed(below.get(path, ())):
            while own and child in first and own[0].place < first[child]:
                items.append((path, own.pop(0)))
            items.append((child, None))
        pending += reversed([*items, *((path, one) for one in own)])


def _told(trace: Trace) -> Iterable[tuple[Path, tuple[str, int]]]:
    """Every node that an event speaks of: its path, title and tokens, as far as they are told.

    What was granted counts as a part's length only where nothing says what was read of it.
    """
    was_read = bool(trace.of(Read))
    for event in trace:
        told: list[tuple[str, str, int]] = []
        if isinstance(event, Estimated):
            told = [(one.node, one.title, 0) for one in event.top]
        elif isinstance(event, Allocated):
            told = [(one.node, one.title.split(" › ")[-1], 0 if was_read else one.tokens) for one in event.grants]
        elif isinstance(event, Read | Reserved):
            told = [(event.node, "", 0)]
        elif isinstance(event, Answered):
            told = [(str(one.get("node")), str(one.get("title", "")), _whole(one.get("tokens")))
                    for one in event.receipt.get("unread", ()) if isinstance(one, Mapping)]  # fmt: skip
        for dotted, words, tokens in told:
            path = _path(dotted)
            if path:
                yield path, (words, tokens)


def _path(dotted: str) -> Path:
    return tuple(map(int, dotted.split("."))) if len(dotted) < 1_000 and _DOTTED.fullmatch(dotted) else ()


def _whole(value: object) -> int:
    return value if isinstance(value, int) else 0


def _at_least(parents: Ints, tokens: Ints) -> Ints:
    """Tokens of each node: what is told, or what its parts count if that is more."""
    found, below = tokens.tolist(), [0] * len(tokens)
    for number in range(len(found) - 1, -1, -1):
        found[number] = max(found[number], below[number])
        if number:
            below[int(parents[number])] += found[number]
    return np.array(found, dtype=np.int64)
