"""A tree's shape, as a trace has it: columns over all nodes, from which everything else is looked up.

What is made of the columns is made once and kept. **Nothing here takes longer for a deep tree or a wide one**, and
columns that tell of no tree make no shape. Knows nothing of what happened on the tree (`treemap`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hierarchy.events import Mapped

__all__ = ["FAR", "Ints", "Shape"]

Ints = NDArray[np.int64]

FAR = 1 << 40
"""More characters than any file has: a place over all files is a file's number times this, and a character."""

_STRUCTURE = frozenset({"folder", "document", "section", "page"})
_HOLDERS = frozenset({"folder", "document"})


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A tree's shape, by node number; not slotted, for what is worked out once is kept.

    Attributes:
        parents: Number of the parent, -1 for the root; a node's own number is greater.
        tokens: What each node's text counts.
        pages: Page of its first character; 0 without pages.
        begins: Where it begins, as one number over all files.
        ends: Where it ends.
        kinds: What it is, as index into `kind_names`.
        kind_names: What kinds there are.
        titles: Titles by number.
    """

    parents: Ints
    tokens: Ints
    pages: Ints
    begins: Ints
    ends: Ints
    kinds: Ints
    kind_names: tuple[str, ...]
    titles: Mapping[int, str]

    @classmethod
    def of(cls, mapped: Mapped | None) -> Shape | None:
        """The shape that an event tells; None if there is none, or it tells of no tree."""
        if mapped is None:
            return None
        try:
            columns = [mapped.parents, mapped.kinds, mapped.tokens, mapped.files, mapped.starts, mapped.ends]
            parents, kinds, tokens, files, starts, ends, pages = (
                np.asarray(column, dtype=np.int64) for column in (*columns, mapped.pages)
            )
        except (OverflowError, TypeError, ValueError):
            return None
        count = len(parents)
        if not count or any(len(column) != count for column in (kinds, tokens, files, starts, ends, pages)):
            return None
        if parents[0] != -1 or (parents[1:] < 0).any() or (parents[1:] >= np.arange(1, count)).any():
            return None
        return cls(
            parents=parents,
            tokens=tokens,
            pages=pages,
            begins=files * FAR + starts,
            ends=files * FAR + ends,
            kinds=kinds,
            kind_names=mapped.kind_names,
            titles={int(number): str(title) for number, title in mapped.titles.items() if number.isdecimal()},
        )

    def __len__(self) -> int:
        """How many nodes there are."""
        return len(self.parents)

    @cached_property
    def last(self) -> Ints:
        """For each node, one past the number of the last node below it: where the next one beside it begins, if any."""
        order, numbers = self._by_parent, np.arange(len(self))
        following = np.full(len(self), len(self))
        beside = self.parents[order[1:]] == self.parents[order[:-1]]
        following[order[:-1][beside]] = order[1:][beside]
        ends_with_parent = (following == len(self)) & (numbers > 0)
        nearest = _followed(np.where(ends_with_parent, self.parents, numbers))
        return np.asarray(np.maximum(following[nearest], numbers + 1))

    @cached_property
    def is_leaf(self) -> NDArray[np.bool_]:
        """Which nodes have nothing below them."""
        leaf = np.ones(len(self), dtype=bool)
        leaf[self.parents[1:]] = False
        return leaf

    @cached_property
    def leaves(self) -> Ints:
        """Numbers of the leaves, in document order."""
        return np.flatnonzero(self.is_leaf)

    @cached_property
    def named(self) -> NDArray[np.bool_]:
        """Which nodes a reader has a name for."""
        names = [name in _STRUCTURE for name in self.kind_names]
        known = np.array([*names, False])[np.clip(self.kinds, 0, len(names))]
        known[[number for number in self.titles if number < len(self)]] = True
        known[0] = True
        return known

    @cached_property
    def _by_parent(self) -> Ints:
        return np.argsort(self.parents, kind="stable")

    @cached_property
    def _below(self) -> tuple[list[int], list[int]]:
        order = self._by_parent
        return order.tolist(), np.searchsorted(self.parents[order], np.arange(len(self) + 1)).tolist()

    @cached_property
    def _named_below(self) -> tuple[Ints, Ints]:
        """Named nodes by the nearest named node above them, and where each one's begin."""
        nearest = _followed(np.where(self.named, np.arange(len(self)), self.parents))
        numbers = np.flatnonzero(self.named)[1:]
        above = nearest[self.parents[numbers]]
        order = np.argsort(above, kind="stable")
        return numbers[order], np.searchsorted(above[order], np.arange(len(self) + 1))

    def children(self, number: int) -> list[int]:
        """Numbers of a node's children."""
        order, edges = self._below
        return order[edges[number] : edges[number + 1]]

    def parts(self, number: int) -> Ints:
        """What a reader would call a node's parts: the nearest named nodes below it; of a text without names, children.

        A section without sections has none: its passages aren't told apart.
        """
        order, edges = self._named_below
        found = order[edges[number] : edges[number + 1]]
        if not len(found) and (number == 0 or self.kind(number) in _HOLDERS):
            return np.array(self.children(number), dtype=np.int64)
        return found

    def number(self, dotted: str) -> int | None:
        """Number of the node with a dotted id; None if there is none."""
        root, *steps = dotted.split(".")
        if root != "0":
            return None
        order, edges = self._below
        number = 0
        for step in steps:
            at = edges[number] + (int(step) if step.isdecimal() and step.isascii() else len(order))
            if at >= edges[number + 1]:
                return None
            number = order[at]
        return number

    def kind(self, number: int) -> str:
        """What a node is."""
        kind = int(self.kinds[number])
        return self.kind_names[kind] if 0 <= kind < len(self.kind_names) else "part"

    def title(self, number: int) -> str:
        """What a reader would call a node, as far as the shape tells it."""
        declared = self.titles.get(number)
        if declared:
            return declared
        inside = (
            np.flatnonzero(self.named[number + 1 : self.last[number]])[[0, -1]] if self._holds_names(number) else ()
        )
        titled = [self.titles[number + 1 + int(at)] for at in inside if number + 1 + int(at) in self.titles]
        if titled:
            return titled[0] if titled[0] == titled[-1] else f"{titled[0]} – {titled[-1]}"
        first, last = self.page_range(number)
        place = f"page {first}" if first else f"characters {self.begins[number] % FAR:,}–{self.ends[number] % FAR:,}"
        return f"{self.kind(number)}, {f'pages {first}–{last}' if first and first != last else place}"

    def _holds_names(self, number: int) -> bool:
        return bool(self.named[number + 1 : self.last[number]].any())

    def page_range(self, number: int) -> tuple[int, int]:
        """First and last page that something begins on; zeros without pages."""
        return int(self.pages[number]), int(self.pages[self.last[number] - 1])

    def runs(self, places: Sequence[tuple[int, int]]) -> Ints:
        """How many of so many stretches of text touch each leaf, as counts over `leaves`."""
        counts = np.zeros(len(self.leaves) + 1, dtype=np.int64)
        if places:
            begins, ends = np.array(places, dtype=np.int64).T
            np.add.at(counts, np.searchsorted(self.ends[self.leaves], begins, "right"), 1)
            np.add.at(counts, np.searchsorted(self.begins[self.leaves], ends, "left"), -1)
        return np.cumsum(counts)[:-1]

    def summed(self, own: Ints) -> Ints:
        """For each node, the sum of what it and all below it have of their own."""
        total = np.concatenate(([0], np.cumsum(own)))
        return np.asarray(total[self.last] - total[:-1])


def _followed(steps: Ints) -> Ints:
    """Where each node ends up that goes from step to step until it stays; **twice as far each time**, however deep."""
    while True:
        further = steps[steps]
        if (further == steps).all():
            return steps
        steps = further
