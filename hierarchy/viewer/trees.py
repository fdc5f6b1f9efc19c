"""The outline of a document: titles, pages, tokens, and a line of what each part says.

Groups that only keep a level narrow have no name; what they hold is shown in their place.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from hierarchy.segments import LeafKind
from hierarchy.tree import KINDS, Node, SummaryTree
from hierarchy.viewer.palette import Legible
from hierarchy.viewer.text import one_line, pages, title, tokens

__all__ = ["shown_children", "shown_depth", "tree_view"]

MAX_LINES = 48
"""An outline of its own choosing has about so many lines: what one takes in at a glance."""
_STRUCTURE = frozenset({"folder", "document", "section", "page"})


def tree_view(
    tree: SummaryTree,
    *,
    node: str | None = None,
    depth: int | None = None,
    text: bool | None = None,
    summaries: bool = True,
) -> RenderableType:
    """The outline of a tree, or of what is below one node.

    Args:
        tree: The tree.
        node: Id of the node to begin at, dotted; the root if None.
        depth: Levels below it; None shows the titled ones that fit a screen or so.
        text: Whether running text that stands beside titles shows; if None it does with a node or a depth.
        summaries: Whether each node comes with the first line of its coarse summary.

    Raises:
        InputError: There is no such node.
    """
    start = tree.find(node) if node else tree.root
    full = text if text is not None else depth is not None or node is not None
    levels = depth if depth is not None else shown_depth(tree, start.number, full=full)
    outline = _Outline(tree, full, summaries, None if depth is not None else MAX_LINES)
    return Legible(outline.grown(Tree(outline.label(start), guide_style="dim"), start.number, levels), width=None)


@dataclass(frozen=True, slots=True)
class _Outline:
    tree: SummaryTree
    full: bool
    summaries: bool
    most: int | None  # children of one node, and none below running text; None for all

    def grown(self, branch: Tree, number: int, levels: int) -> Tree:
        """The branch with what is below a node."""
        if levels <= 0:
            return branch
        children = shown_children(self.tree, number, full=self.full)
        for child in children[: self.most]:
            grown = branch.add(self.label(self.tree.node(child)))
            if self.most is None or _is_structure(self.tree, child):
                self.grown(grown, child, levels - 1)
        if self.most is not None and len(children) > self.most:
            branch.add(Text(f"and {len(children) - self.most:,} more; --depth 1 shows all", style="dim"))
        return branch

    def label(self, node: Node) -> RenderableType:
        """A node's line, and the line of what it says."""
        titled = _is_structure(self.tree, node.number)
        named = Text(
            title(node.title),
            style="bold" if titled else "",
            overflow="ellipsis",
            no_wrap=True,
        )
        kind = node.kind if node.kind not in ("section", "document") else ""
        line = Table.grid(padding=(0, 2), expand=True)
        line.add_column(no_wrap=True, style="cyan")
        line.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        line.add_column(no_wrap=True, justify="right", style="dim")
        line.add_column(no_wrap=True, justify="right", style="dim", min_width=13)
        line.add_row(str(node), named, " · ".join(filter(None, (kind, _pages(self.tree, node)))), tokens(node.tokens))
        coarse = one_line(self.tree.coarse(node.number).line) if self.summaries and titled else ""
        return Group(line, Text(coarse, style="italic dim", no_wrap=True, overflow="ellipsis")) if coarse else line


def shown_children(tree: SummaryTree, number: int, *, full: bool = False) -> tuple[int, ...]:
    """The children of a node as an outline has them.

    Nameless groups give way to what they hold. Text that stands under no heading of its own shows if nothing else
    does, or if `full`; page furniture never.
    """
    found = tuple(_dissolved(tree, number))
    titled = tuple(each for each in found if _is_structure(tree, each))
    return found if full or not titled else titled


def shown_depth(tree: SummaryTree, number: int, *, full: bool = False, lines: int = MAX_LINES) -> int:
    """How many levels fit so many lines: at least one, and none of running text below titles."""
    level, total, depth = [number], 1, 0
    while level:
        below = [child for each in level for child in shown_children(tree, each, full=full)]
        structure = any(_is_structure(tree, child) for child in below)
        total += len(below)
        if not below or (depth and (total > lines or not structure)):
            break
        depth += 1
        if not structure:
            break
        level = [child for child in below if _is_structure(tree, child)]
    return depth


def _dissolved(tree: SummaryTree, number: int) -> Iterator[int]:
    for child in tree.children(number):
        if KINDS[tree.nodes.kind[child]] == "group" and child not in tree.titles:
            yield from _dissolved(tree, child)
        elif not _is_bare(tree, child):
            yield child


def _is_bare(tree: SummaryTree, number: int) -> bool:
    """Whether all there is are headings, which their section's title repeats, or page furniture."""
    kinds = tree.leaves.kind[tree.nodes.low[number] : tree.nodes.high[number]]
    return not _is_structure(tree, number) and bool(np.isin(kinds, (LeafKind.HEADING, LeafKind.FURNITURE)).all())


def _is_structure(tree: SummaryTree, number: int) -> bool:
    return number in tree.titles or KINDS[tree.nodes.kind[number]] in _STRUCTURE


def _pages(tree: SummaryTree, node: Node) -> str:
    if node.low == node.high or tree.leaves.file[node.low] != tree.leaves.file[node.high - 1]:
        return ""
    first, last = tree.page(node.low), tree.page(node.high - 1)
    return pages((first, last)) if first is not None else ""
