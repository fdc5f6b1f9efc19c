"""The tree, opened as far as somebody walked, as a list of lines: relevance, how closely it was read, title, tokens.

A line is a node and its depth; opening a node puts its children behind it, and closing it takes out what stands below.
Of a node with very many children so many show at a time, and a line that brings more.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

from rich.text import Text
from textual.binding import Binding, BindingType

from hierarchy.tui.lines import Lines
from hierarchy.tui.moments import Moment
from hierarchy.tui.pages import SIGNS, gauge
from hierarchy.viewer.palette import QUIET

__all__ = ["Outline"]

_MOST_CHILDREN = 200
_WIDE = 58  # cells from which what was granted and the whole have columns of their own
_STEP = 2


class _Row(NamedTuple):
    node: int
    depth: int
    more: int = 0  # children that are yet to come; the row then stands for them


class Outline(Lines):
    """The tree as of a moment."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "choose", show=False),
        Binding("enter", "choose", show=False),
        Binding("plus", "open", show=False),
        Binding("minus", "close", show=False),
        Binding("p", "parent", show=False),
    ]

    def __init__(self, moment: Moment, *, id: str | None = None) -> None:  # noqa: A002 - as all widgets have it
        super().__init__(id=id)
        self.moment = moment
        self._rows: list[_Row] = [_Row(0, 0)]
        self._unfolded: set[int] = set()
        self._unfold_first()

    def _unfold_first(self) -> None:
        """Open the tree to where it first branches, so that it begins with parts to choose from."""
        at = 0
        while at < len(self._rows):
            children = self.moment.atlas.shape.children(self._rows[at].node)
            self._unfold(at)
            if len(children) != 1:
                return
            at += 1

    # -- lines -------------------------------------------------------------------------------------------------

    def count(self) -> int:
        """How many nodes are in sight."""
        return len(self._rows)

    @property
    def node(self) -> int:
        """The node under the cursor."""
        return self._rows[min(self.cursor, len(self._rows) - 1)].node

    def show(self, moment: Moment) -> None:
        """The same nodes, as of another moment."""
        self.moment = moment
        self.renew()

    def head(self, width: int) -> Text:
        """What the columns are."""
        figures = " granted    read       of" if width >= _WIDE else "    read/of"
        line = Text("relevance, part", style=QUIET)
        line.truncate(max(0, width - len(figures)), pad=True)
        return line.append(figures, style=QUIET)

    def line(self, index: int, width: int) -> Text:
        """Relevance, state, title, tokens."""
        row, moment = self._rows[index], self.moment
        indent = " " * min(_STEP * row.depth, max(0, width // 3))
        if row.more:
            return Text(f"{indent}  … {row.more:,} more: enter", style=QUIET)
        number, shape, happened = row.node, moment.atlas.shape, moment.map
        sign, _, style = SIGNS[moment.state(number)]
        relevance = moment.relevance(number)
        fold = " " if not len(shape.children(number)) else "▾" if number in self._unfolded else "▸"
        line = Text(f"{indent}{fold} ")
        line.append(f"{gauge(relevance)}", style="cyan")
        line.append("  ·  " if relevance is None else f"{relevance:4.2f} "[-5:].replace("0.", " ."), style=QUIET)
        line.append(f"{sign} ", style=style)
        granted, read, whole = (int(each[number]) for each in (happened.granted, happened.read, shape.tokens))
        if width >= _WIDE:
            figures = f" {_short(granted):>7} {_short(read):>7} {_short(whole):>8}"
        else:
            figures = f" {_short(read) or '0'}/{_short(whole)}".rjust(11)
        line.append(moment.atlas.title(number), style="bold" if relevance is not None and relevance >= 0.5 else "")
        line.truncate(max(0, width - len(figures)), overflow="ellipsis", pad=True)
        return line.append(figures, style=QUIET if not read else "")

    # -- opening and closing -----------------------------------------------------------------------------------

    def _unfold(self, at: int) -> None:
        row = self._rows[at]
        children = self.moment.atlas.shape.children(row.node)
        if not children or row.node in self._unfolded:
            return
        self._unfolded.add(row.node)
        self._rows[at + 1 : at + 1] = self._below(row.node, children, row.depth + 1, 0)

    def _below(self, node: int, children: list[int], depth: int, first: int, least: int = 0) -> list[_Row]:
        last = max(first + _MOST_CHILDREN, least)
        rows = [_Row(child, depth) for child in children[first:last]]
        return [*rows, _Row(node, depth, len(children) - last)] if last < len(children) else rows

    def _shut(self, at: int) -> None:
        row = self._rows[at]
        end = at + 1
        while end < len(self._rows) and self._rows[end].depth > row.depth:
            self._unfolded.discard(self._rows[end].node)
            end += 1
        del self._rows[at + 1 : end]
        self._unfolded.discard(row.node)

    def _brought(self, at: int, least: int = 0) -> None:
        """More of the children of a node that has very many."""
        row = self._rows[at]
        children = self.moment.atlas.shape.children(row.node)
        self._rows[at : at + 1] = self._below(row.node, children, row.depth, len(children) - row.more, least)

    def reach(self, number: int) -> None:
        """Open what a node stands in, and move to it."""
        at = 0
        for each in (*self.moment.atlas.above(number), number):
            at = self._at(each, at)
            if each != number:
                self._unfold(at)
        self.renew()
        self.cursor = at
        self.call_after_refresh(self.see, at)

    def _at(self, number: int, first: int) -> int:
        """The row of a node, at or behind that of its parent, brought into the list if it isn't."""
        parent = int(self.moment.atlas.shape.parents[number])
        for at in range(first, len(self._rows)):
            row = self._rows[at]
            if row.node == number and not row.more:
                return at
            if row.more and row.node == parent:
                place = self.moment.atlas.shape.children(parent).index(number)
                self._brought(at, least=place + 1)
                return self._at(number, at)
        return first

    def action_choose(self) -> None:
        """Open or close the node under the cursor; of very many, bring more."""
        row = self._rows[self.cursor]
        if row.more:
            self._brought(self.cursor)
        elif row.node in self._unfolded:
            self._shut(self.cursor)
        else:
            self._unfold(self.cursor)
        self.renew()
        self.post_message(self.Chosen(self, self.cursor))

    def action_open(self) -> None:
        """Open the node under the cursor."""
        if self._rows[self.cursor].node not in self._unfolded:
            self.action_choose()

    def action_close(self) -> None:
        """Close the node under the cursor."""
        if self._rows[self.cursor].node in self._unfolded:
            self.action_choose()

    def action_parent(self) -> None:
        """Move to the node above."""
        depth = self._rows[self.cursor].depth
        above = [at for at in range(self.cursor) if self._rows[at].depth < depth]
        if above:
            self.cursor = above[-1]


def _short(count: int) -> str:
    """A number in few cells; nothing for none."""
    if not count:
        return ""
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1_000:,.0f}k" if count < 10_000_000 else f"{count / 1_000_000:,.0f}M"
