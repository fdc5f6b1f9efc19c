"""A list of any length, one line each, of which only what is in sight is made.

Textual's own lists keep an object a line; a tree of 100,000 nodes has none to spare. Knows nothing of traces.
"""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.events import Click, Resize
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

__all__ = ["Lines", "Pane"]

_SCROLLING: tuple[BindingType, ...] = (
    Binding("up", "up", show=False),
    Binding("down", "down", show=False),
    Binding("pageup", "page(-1)", show=False),
    Binding("pagedown", "page(1)", show=False),
    Binding("home", "first", show=False),
    Binding("end", "last", show=False),
)


class Lines(ScrollView, can_focus=True, inherit_bindings=False):
    """A list with a cursor. What lines say is a subclass's to tell; left and right are left to others."""

    BINDINGS: ClassVar[list[BindingType]] = [*_SCROLLING, Binding("enter", "choose", show=False)]
    COMPONENT_CLASSES: ClassVar[set[str]] = {"lines--cursor", "lines--blurred"}
    DEFAULT_CSS = """
    Lines { overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    Lines > .lines--cursor { background: $primary; color: $text; text-style: bold; }
    Lines > .lines--blurred { background: $surface-lighten-2; text-style: bold; }
    """

    cursor: reactive[int] = reactive(0)

    class Moved(Message):
        """The cursor stands on another line."""

        def __init__(self, lines: Lines, index: int) -> None:
            super().__init__()
            self.lines, self.index = lines, index

        @property
        def control(self) -> Lines:
            """Whose."""
            return self.lines

    class Chosen(Message):
        """A line was chosen, by key or by a click on it once the cursor stood there."""

        def __init__(self, lines: Lines, index: int) -> None:
            super().__init__()
            self.lines, self.index = lines, index

        @property
        def control(self) -> Lines:
            """Whose."""
            return self.lines

    def count(self) -> int:
        """How many lines there are."""
        return 0

    def line(self, index: int, width: int) -> Text:
        """What a line says, in at most so many cells."""
        raise NotImplementedError

    # -- drawing -----------------------------------------------------------------------------------------------

    def on_mount(self) -> None:
        """Take up as much room as there are lines."""
        self.renew()

    def on_resize(self, _: Resize) -> None:
        """Lines are as wide as the list."""
        self.renew()

    def renew(self) -> None:
        """Draw anew: lines say something else, or there are more or fewer."""
        self.virtual_size = Size(self.scrollable_content_region.width, self.count())
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The line at a height of the screen."""
        width, index = self.scrollable_content_region.width, int(self.scroll_offset.y) + y
        base = self.rich_style
        if not 0 <= index < self.count():
            return Strip.blank(width, base)
        here = index == self.cursor
        if here:
            name = "lines--cursor" if self.has_focus else "lines--blurred"
            base += self.get_component_rich_style(name, partial=True)
        segments = []
        for part in self.line(index, width).render(self.app.console, end=""):
            style = part.style or Style.null()
            # Colours that can be read on the ground can't on the cursor's.
            segments.append(Segment(part.text, base + (style.without_color if here else style)))
        return Strip(segments).adjust_cell_length(width, base)

    # -- moving ------------------------------------------------------------------------------------------------

    def validate_cursor(self, value: int) -> int:
        """Stay within the list."""
        return max(0, min(value, self.count() - 1))

    def watch_cursor(self, before: int, now: int) -> None:
        """Keep the cursor in sight, and say that it moved."""
        self.see(now)
        self.refresh()
        if before != now:
            self.post_message(self.Moved(self, now))

    def see(self, index: int) -> None:
        """Scroll so that a line is in sight."""
        self.scroll_to_region(Region(0, index, 1, 1), animate=False, force=True)

    def on_click(self, event: Click) -> None:
        """Move to the line clicked; choose it if the cursor was there."""
        index = int(self.scroll_offset.y) + event.y
        if not 0 <= index < self.count():
            return
        if index == self.cursor:
            self.action_choose()
        else:
            self.cursor = index

    def on_focus(self) -> None:
        """The cursor looks otherwise."""
        self.refresh()

    def on_blur(self) -> None:
        """The cursor looks otherwise."""
        self.refresh()

    def action_up(self) -> None:
        """One line up."""
        self.cursor -= 1

    def action_down(self) -> None:
        """One line down."""
        self.cursor += 1

    def action_page(self, pages: int) -> None:
        """A page up or down."""
        self.cursor += pages * max(1, self.size.height - 1)

    def action_first(self) -> None:
        """To the first line."""
        self.cursor = 0

    def action_last(self) -> None:
        """To the last line."""
        self.cursor = self.count() - 1

    def action_choose(self) -> None:
        """Choose the line under the cursor."""
        if self.count():
            self.post_message(self.Chosen(self, self.cursor))


class Pane(VerticalScroll, can_focus=True, inherit_bindings=False):
    """A text to scroll in; left and right are left to others."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "scroll_up", show=False),
        Binding("down", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
    ]
    DEFAULT_CSS = "Pane { scrollbar-size-vertical: 1; padding: 0 1; }"
