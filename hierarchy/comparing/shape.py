"""Where things stand in a document, from its trace: the tree's shape, and what was read of each file."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hierarchy.events import Mapped, Read, Started

__all__ = ["Held", "Shape", "held"]

_FILES = frozenset({"folder", "document"})
"""Kinds whose titles are names of files, which are told apart from headings."""


class Shape:
    """The tree, to find what stands where.

    Args:
        mapped: Its columns.
        names: The files' names.
    """

    def __init__(self, mapped: Mapped, names: Sequence[str]) -> None:
        self.mapped = mapped
        self._leaves: dict[str, list[int]] = defaultdict(list)
        self._dotted: list[str] = []
        inner = set(mapped.parents)
        for number, file in enumerate(mapped.files):
            if number not in inner and 0 <= file < len(names):
                self._leaves[names[file]].append(number)
        self._starts = {name: [mapped.starts[leaf] for leaf in leaves] for name, leaves in self._leaves.items()}
        self._ends = {name: [mapped.ends[leaf] for leaf in leaves] for name, leaves in self._leaves.items()}

    @classmethod
    def of(cls, mapped: Mapped | None, started: Started | None) -> Shape | None:
        """The shape that a trace tells; None if it tells none, or one that is no tree."""
        if mapped is None or started is None:
            return None
        columns = (mapped.kinds, mapped.tokens, mapped.files, mapped.starts, mapped.ends, mapped.pages)
        whole = {len(column) for column in columns} == {len(mapped.parents)}
        tree = mapped.parents[:1] == (-1,) and all(0 <= up < at for at, up in enumerate(mapped.parents[1:], 1))
        return cls(mapped, started.source_names) if whole and tree else None

    def leaves(self, source: str, start: int, end: int) -> list[int]:
        """The leaves that have characters in a stretch of a file, in order."""
        if source not in self._leaves:
            return []
        low, high = bisect_right(self._ends[source], start), bisect_left(self._starts[source], end)
        return self._leaves[source][low:high]

    def path(self, node: int) -> Iterator[int]:
        """The nodes from one up to the root."""
        while node >= 0:
            yield node
            node = self.mapped.parents[node]

    def heading(self, leaf: int) -> str:
        """The declared titles that a leaf stands under, outermost first."""
        titles = [self.mapped.titles.get(str(number)) for number in self.path(leaf) if self._kind(number) not in _FILES]
        return " › ".join(str(title) for title in reversed(titles) if title)

    def pages(self, leaves: Iterable[int]) -> tuple[int, int] | None:
        """First and last page of leaves; None without pages."""
        numbers = [page for leaf in leaves if (page := self.mapped.pages[leaf]) > 0]
        return (min(numbers), max(numbers)) if numbers else None

    def tokens(self, leaves: Iterable[int]) -> int:
        """What leaves count."""
        return sum(self.mapped.tokens[leaf] for leaf in leaves)

    def dotted(self, number: int) -> str:
        """A node's id as events write it."""
        if not self._dotted:
            self._dotted.append("0")
            children = [0] * len(self.mapped.parents)
            for parent in self.mapped.parents[1:]:
                self._dotted.append(f"{self._dotted[parent]}.{children[parent]}")
                children[parent] += 1
        return self._dotted[number]

    def _kind(self, number: int) -> str:
        kind, names = self.mapped.kinds[number], self.mapped.kind_names
        return names[kind] if 0 <= kind < len(names) else ""


@dataclass(frozen=True, slots=True)
class Held:
    """Characters of a read that no read before it holds.

    Attributes:
        start: The first.
        end: One past the last.
        read: The read that they are of.
    """

    start: int
    end: int
    read: Read

    @property
    def tokens(self) -> int:
        """What they count: their share of the read's tokens."""
        return self.between(self.start, self.end)

    def between(self, start: int, end: int) -> int:
        """What a part of them counts; rounded so that parts add up to the whole."""
        return self._upto(end) - self._upto(start)

    def _upto(self, character: int) -> int:
        return self.read.tokens * (character - self.read.start) // (self.read.end - self.read.start)


def held(reads: Iterable[Read]) -> Mapping[str, tuple[Held, ...]]:
    """What was read, by file and in its order, each character once."""
    found: dict[str, list[Held]] = defaultdict(list)
    for read in sorted(reads, key=lambda read: (read.start, read.end)):
        before = found[read.source]
        start = max(read.start, before[-1].end if before else read.start)
        if start < read.end:
            before.append(Held(start, read.end, read))
    return {source: tuple(parts) for source, parts in found.items() if parts}
