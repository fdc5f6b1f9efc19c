"""The tree of a shared trace: how closely each part was looked at, folded where nothing happened.

What a trace says by node and by character, brought together on the tree's shape (`events.Mapped`): which leaves were
read, what was granted, which branches a model refined, which parts were seen as summaries only. Without a map, as in
traces of version 1, there is nothing to draw; a map that contradicts itself is none.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, Literal

from hierarchy.events import Estimated, Mapped, Read
from hierarchy.redaction import node_ids
from hierarchy.tree import SummaryTree
from hierarchy.viewer.share_story import Story, last
from hierarchy.viewer.text import one_line, title

__all__ = ["Branch", "ReadMap", "Resolution", "Section", "Shape", "read_map", "shape_of"]

Resolution = Literal["verbatim", "part", "refined", "granted", "coarse", "unread"]

_TEXT = frozenset({"passage", "sentence", "row", "heading", "furniture"})
"""Kinds below which nothing is drawn: their text is shown with the document."""
_REFINING = frozenset({"refine", "summarise"})
_WHOLE = 0.9
"""Share from which a part counts as read whole: headings and page furniture aren't read for their own sake."""
_MOST_ROWS = 2_500
"""Rows beyond which parts that nobody looked at aren't taken apart any more."""


class Shape:
    """A tree's shape, as `Mapped` holds it, with what follows from it.

    Attributes:
        mapped: The columns.
        ids: Dotted ids, by number.
        following: Number of the first node behind each one's subtree.
    """

    def __init__(self, mapped: Mapped, sources: Sequence[str]) -> None:
        self.mapped = mapped
        self.sources = sources
        self.ids = node_ids(mapped.parents)
        self.following = _following(mapped.parents)

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.ids)

    @cached_property
    def numbers(self) -> dict[str, int]:
        """Numbers by dotted id."""
        return {name: number for number, name in enumerate(self.ids)}

    @cached_property
    def leaves(self) -> tuple[tuple[list[int], list[int]], ...]:
        """For each file its leaves, and where they start, in order."""
        found: tuple[tuple[list[int], list[int]], ...] = tuple(([], []) for _ in self.sources)
        for number, (behind, file) in enumerate(zip(self.following, self.mapped.files, strict=True)):
            if behind == number + 1:
                found[file][0].append(number)
                found[file][1].append(self.mapped.starts[number])
        return found

    def leaves_of(self, read: Read) -> list[int]:
        """The leaves that a stretch read takes in."""
        if read.source not in self.sources:
            return []
        numbers, starts = self.leaves[self.sources.index(read.source)]
        first = max(0, bisect_right(starts, read.start) - 1)
        within = numbers[first : bisect_left(starts, read.end)]
        return [leaf for leaf in within if self.mapped.ends[leaf] > read.start]

    def kind(self, number: int) -> str:
        """What a node is."""
        return one_line(self.mapped.kind_names[self.mapped.kinds[number]])

    def declared(self, number: int) -> str:
        """The title that the document declares; empty if there is none."""
        return title(str(self.mapped.titles.get(str(number)) or ""))

    def pages(self, number: int) -> tuple[int, int] | None:
        """First and last page; None without pages."""
        lowest = self.mapped.pages[number]
        return (lowest, self._last_pages[number]) if lowest else None

    @cached_property
    def _last_pages(self) -> list[int]:
        return self.upwards(self.mapped.pages, max)

    def upwards(self, values: Iterable[int], joined: object = None) -> list[int]:
        """Values gathered from each node and all below it: added up, or the highest with `max`."""
        gathered = list(values)
        highest = joined is max
        for number in range(len(gathered) - 1, 0, -1):
            parent = self.mapped.parents[number]
            mine = gathered[number]
            gathered[parent] = max(gathered[parent], mine) if highest else gathered[parent] + mine
        return gathered

    def section(self, number: int) -> int:
        """The innermost titled node that a node is or stands in; the root if there is none."""
        while number > 0 and not self.declared(number):
            number = self.mapped.parents[number]
        return number


def shape_of(story: Story) -> Shape | None:
    """The tree's shape; None if the trace has none that holds together."""
    mapped = story.mapped
    sources = story.started.source_names if story.started else ()
    if mapped is None or not mapped.parents:
        return None
    columns = (mapped.kinds, mapped.tokens, mapped.files, mapped.starts, mapped.ends, mapped.pages)
    sound = (
        all(len(column) == len(mapped.parents) for column in columns)
        and mapped.parents[0] == -1
        and all(0 <= parent < number for number, parent in enumerate(mapped.parents[1:], 1))
        and all(0 <= kind < len(mapped.kind_names) for kind in mapped.kinds)
        and all(0 <= file < len(sources) for file in mapped.files)
        and _is_preorder(mapped.parents)
    )
    shape = Shape(mapped, sources) if sound else None
    return shape if shape and all(shape.ids) else None  # Nothing that `planner` builds is too deep for an id.


def _is_preorder(parents: Sequence[int]) -> bool:
    """Whether each node stands right behind its parent, or behind a sibling's whole subtree."""
    open_nodes = [0]
    for number, parent in enumerate(parents[1:], 1):
        while open_nodes and open_nodes[-1] != parent:
            open_nodes.pop()
        if not open_nodes:
            return False
        open_nodes.append(number)
    return True


def _following(parents: Sequence[int]) -> list[int]:
    behind = list(range(1, len(parents) + 1))
    for number in range(len(parents) - 1, 0, -1):
        behind[parents[number]] = max(behind[parents[number]], behind[number])
    return behind


# -- what happened where -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """What was read of a section, its own parts with titles left to themselves.

    Attributes:
        title: The innermost title; of text that stands in none, the document's name.
        pages: First and last page read; None without pages.
        tokens: Read.
        stretches: How many leaves that was.
    """

    title: str
    pages: tuple[int, int] | None
    tokens: int
    stretches: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A row of the map.

    Attributes:
        node: Dotted id; of parts drawn together, the first one's.
        title: What it is called.
        kind: What it is.
        pages: First and last page; None without pages.
        tokens: Its length.
        read: Tokens read verbatim.
        refined: Tokens that a helping model read, and the one who answers wasn't shown.
        granted: Tokens granted.
        relevance: In [0, 1]; None if nothing tells it. Of parts drawn together, the highest.
        resolution: How closely it was looked at.
        touched: Whether anything happened in it.
        below: Its parts.
        together: How many parts are drawn as one; 1 for a part by itself.
    """

    node: str
    title: str
    kind: str
    pages: tuple[int, int] | None
    tokens: int
    read: int
    refined: int
    granted: int
    relevance: float | None
    resolution: Resolution
    touched: bool
    below: tuple[Branch, ...] = ()
    together: int = 1


class ReadMap:
    """Which parts of a tree were read, granted, refined and seen as summaries, from a trace.

    Attributes:
        shape: The tree's shape.
        read: Tokens read in each node.
        granted: Tokens granted to each node and all below.
        refined: Tokens that a helping model was shown, and that the one who answers wasn't.
        coarse: Tokens seen as summaries only.
        relevance: By node, in thousandths; empty if nothing tells it.
    """

    def __init__(self, story: Story, shape: Shape, tree: SummaryTree | None = None) -> None:
        self.shape = shape
        self.tree = tree
        self.document = one_line(story.document)
        self.leaves = tuple(
            dict.fromkeys(sorted(leaf for read in story.trace.reads() for leaf in shape.leaves_of(read)))
        )
        self.granted = shape.upwards(self._at(story.granted.items()))
        # Of context that was gathered for somebody else's model nothing tells but the grants.
        self.read = self.granted if story.gathered else self._over(self.leaves)
        self.refined = self._over(self._refined(story))
        self.coarse = self._over(self._under(one for one in story.unread if one.get("seen") == "coarse"))
        estimated = [event for event in story.trace.of(Estimated) if len(event.relevance_permille) == len(shape)]
        newest = last(estimated)
        self.relevance = newest.relevance_permille if newest else ()

    def _at(self, values: Iterable[tuple[str, int]]) -> list[int]:
        column = [0] * len(self.shape)
        for node, value in values:
            if node in self.shape.numbers:
                column[self.shape.numbers[node]] += value
        return column

    def _over(self, leaves: Iterable[int]) -> list[int]:
        """Tokens of some leaves, for every node above them."""
        column = [0] * len(self.shape)
        for leaf in leaves:
            column[leaf] = self.shape.mapped.tokens[leaf]
        return self.shape.upwards(column)

    def _under(self, parts: Iterable[Mapping[str, Any]]) -> set[int]:
        """The leaves of some parts."""
        numbers = (self.shape.numbers.get(str(part.get("node")), -1) for part in parts)
        spans = (range(number, self.shape.following[number]) for number in numbers if number >= 0)
        return {leaf for span in spans for leaf in span if self.shape.following[leaf] == leaf + 1}

    def _refined(self, story: Story) -> set[int]:
        """Leaves that a helping model was shown and that the one who answers wasn't.

        The receipt lists all of which nothing was read, but for page furniture: what is neither there nor among the
        stretches read was refined, if anything was.
        """
        told = any(call.stage in _REFINING and call.state in ("answered", "recalled") for call in story.calls)
        if not told or story.answered is None:
            return set()
        known = self._under(story.unread) | set(self.leaves)
        everything = (leaf for numbers, _ in self.shape.leaves for leaf in numbers)
        return {leaf for leaf in everything if leaf not in known and self.shape.kind(leaf) != "furniture"}

    def resolution(self, number: int) -> Resolution:
        """How closely a node was looked at."""
        read, refined = self.read[number], self.refined[number]
        if read and read >= _WHOLE * self.shape.mapped.tokens[number]:
            return "verbatim"
        if read and read >= refined:
            return "part"
        if refined:
            return "refined"
        return "granted" if self.granted[number] else "coarse" if self.coarse[number] else "unread"

    def touched(self, number: int) -> bool:
        """Whether anything happened in a node."""
        return bool(self.read[number] or self.granted[number] or self.refined[number])

    def sections(self) -> tuple[Section, ...]:
        """What was read, by the innermost titled part, in document order."""
        shape = self.shape
        found: dict[int, list[int]] = {}
        for leaf in self.leaves:
            found.setdefault(shape.section(leaf), []).append(leaf)
        return tuple(self._section(number, leaves) for number, leaves in sorted(found.items()))

    def _section(self, number: int, leaves: Sequence[int]) -> Section:
        paged = [page for leaf in leaves if (page := self.shape.mapped.pages[leaf])]
        return Section(
            title=self.shape.declared(number) or self.document,
            pages=(min(paged), max(paged)) if paged else None,
            tokens=sum(self.shape.mapped.tokens[leaf] for leaf in leaves),
            stretches=len(leaves),
        )

    # -- rows ----------------------------------------------------------------------------------------------------------

    def root(self) -> Branch:
        """The map from the root: everything that was touched, and the titles beside it while there is room."""
        touched = sum(map(self.touched, range(len(self.shape))))
        return self._branch(0, _Room(max(0, _MOST_ROWS - touched)))

    def _branch(self, number: int, room: _Room) -> Branch:
        shape, kind = self.shape, self.shape.kind(number)
        below = () if kind in _TEXT else tuple(self._below(number, room))
        return Branch(
            node=shape.ids[number],
            title=self.named(number),
            kind=kind,
            pages=shape.pages(number),
            tokens=shape.mapped.tokens[number],
            read=self.read[number],
            refined=self.refined[number],
            granted=self.granted[number],
            relevance=self.relevance[number] / 1_000 if self.relevance else None,
            resolution=self.resolution(number),
            touched=self.touched(number),
            below=below,
        )

    def _below(self, number: int, room: _Room) -> Iterator[Branch]:
        """The rows below a node: parts that matter, each by itself, and runs of others as one."""
        parts = list(self._dissolved(number))
        for touched, run in groupby(parts, self.touched):
            members = list(run)
            if touched:
                yield from (self._branch(member, room) for member in members)
            elif self.touched(number) and (len(members) > 2 or not any(map(self.shape.declared, members))):
                yield self._together(members, room)
            else:
                yield from self._titled(members, room)

    def _dissolved(self, number: int) -> Iterator[int]:
        """A node's parts; nameless groups, which only keep a level narrow, give way to theirs."""
        shape, child = self.shape, number + 1
        while child < shape.following[number]:
            nameless = shape.kind(child) == "group" and not shape.declared(child)
            if not nameless:
                yield child
            child = child + 1 if nameless else shape.following[child]

    def _titled(self, members: Sequence[int], room: _Room) -> Iterator[Branch]:
        """Those of the parts that have a title, while there is room: text without one is left to the document."""
        titled = [member for member in members if self.shape.declared(member)]
        if titled and room.take(len(titled)):
            yield from (self._branch(member, room) for member in titled)

    def _together(self, members: Sequence[int], room: _Room) -> Branch:
        """Parts beside each other of which nothing was read, as one row."""
        shape = self.shape
        kinds = {shape.kind(member) for member in members if shape.kind(member) not in ("heading", "furniture")}
        kind = kinds.pop() if len(kinds) == 1 else "part"
        paged = [bounds for member in members if (bounds := shape.pages(member))]
        alone = len(members) == 1
        return Branch(
            node=shape.ids[members[0]],
            title=self.named(members[0]) if alone else self._first_and_last(members, kind),
            kind=kind,
            pages=(min(first for first, _ in paged), max(last for _, last in paged)) if paged else None,
            tokens=sum(shape.mapped.tokens[member] for member in members),
            read=0,
            refined=0,
            granted=0,
            relevance=max(self.relevance[member] for member in members) / 1_000 if self.relevance else None,
            resolution="coarse" if any(self.coarse[member] for member in members) else "unread",
            touched=False,
            below=() if alone else tuple(self._titled(members, room)),
            together=len(members),
        )

    def _first_and_last(self, members: Sequence[int], kind: str) -> str:
        titles = [named for member in members if (named := self.shape.declared(member))]
        counted = f"{len(members):,} {kind}s"
        return f"{counted}: {titles[0]} – {titles[-1]}" if len(titles) > 1 else counted

    def named(self, number: int) -> str:
        """What a node is called: its title, else how it begins if the document is at hand, else what it is."""
        declared = self.shape.declared(number)
        if declared:
            return declared
        if self.tree is not None:
            return title(self.tree.title(number)) or self.shape.kind(number)
        if number == 0:
            return self.document or "document"
        return self.shape.kind(number).capitalize()


@dataclass(slots=True)
class _Room:
    """How many more rows there may be."""

    rows: int

    def take(self, count: int) -> bool:
        """Whether there is room for so many, which is then taken."""
        if count > self.rows:
            return False
        self.rows -= count
        return True


def read_map(story: Story, tree: SummaryTree | None = None) -> ReadMap | None:
    """What happened where; None if the trace has no map.

    Args:
        story: The trace's.
        tree: The document's tree, if it is at hand.
    """
    shape = shape_of(story)
    if shape is None:
        return None
    return ReadMap(story, shape, tree if tree is not None and len(tree) == len(shape) else None)
