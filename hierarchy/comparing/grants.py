"""Who got how many tokens, by branch of the tree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from hierarchy.events import GrantLine

__all__ = ["BranchPair", "branches"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BranchPair:
    """Grants under one node, in both.

    Attributes:
        node: Its id, dotted.
        title: The headings that the grants share, outermost first.
        pages: First and last page granted.
        first_tokens: Granted by the first.
        second_tokens: By the second.
    """

    node: str
    title: str
    pages: tuple[int, int] | None
    first_tokens: int
    second_tokens: int


_Line = tuple[GrantLine, int]
"""A grant, and whose: 0 for the first."""


def branches(first: Sequence[GrantLine], second: Sequence[GrantLine]) -> tuple[BranchPair, ...]:
    """Grants by branch, in the document's order.

    Branches are the children of the root, but one that got more than a third of all tokens is taken apart.
    """
    lines: list[_Line] = [*((line, 0) for line in first), *((line, 1) for line in second)]
    whole = sum(line.tokens for line, _ in lines)
    pending, found = [(1, lines)] if lines else [], []
    while pending:
        depth, held = pending.pop()
        below: dict[tuple[str, ...], list[_Line]] = defaultdict(list)
        for line in held:
            below[tuple(line[0].node.split(".")[: depth + 1])].append(line)
        at_node = any(len(node) <= depth for node in below)
        large = 3 * sum(line.tokens for line, _ in held) > whole and len({line.node for line, _ in held}) > 1
        if depth == 1 or (large and not at_node):
            pending += [(depth + 1, lines) for lines in below.values()]
        else:
            found.append(_branch(".".join(held[0][0].node.split(".")[:depth]), held))
    return tuple(sorted(found, key=lambda one: (_order(one.node), one.node)))


def _order(node: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isascii() and part.isdigit() else 0 for part in node.split("."))


def _branch(node: str, held: Sequence[_Line]) -> BranchPair:
    paged = [line.pages for line, _ in held if line.pages]
    levels = zip(*(line.title.split(" › ") for line, _ in held), strict=False)
    shared = [level[0] for level in takewhile(lambda level: len(set(level)) == 1, levels)]
    largest = max((line for line, _ in held), key=lambda line: (line.tokens, line.title))
    return BranchPair(
        node=node,
        title=" › ".join(shared) or largest.title,
        pages=(min(low for low, _ in paged), max(high for _, high in paged)) if paged else None,
        first_tokens=sum(line.tokens for line, side in held if not side),
        second_tokens=sum(line.tokens for line, side in held if side),
    )
