"""The explorer itself: tree on one side, what is known of its nodes, calls, events and the answer on the other.

All that is shown is of one moment; `show_moment` is the one way to another. Owns keys and where things are; what they
say is in `pages`.
"""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Footer, Input, Static, TabbedContent, TabPane, Tabs
from textual.worker import Worker, WorkerState

from hierarchy.events import Read, Reserved, Searched, Started
from hierarchy.relevance import shipped_forest
from hierarchy.relevance.embedding import can_embed
from hierarchy.relevance.explaining import Explainer
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree
from hierarchy.tui.atlas import atlas_of
from hierarchy.tui.headlines import headline
from hierarchy.tui.lines import Lines, Pane
from hierarchy.tui.moments import Moment, Timeline
from hierarchy.tui.outline import Outline
from hierarchy.tui.pages import answer_page, call_line, call_page, node_page, why_page, why_unknown_page
from hierarchy.tui.strips import LedgerBar, Slider, question_line
from hierarchy.viewer.palette import QUIET
from hierarchy.viewer.text import one_line

__all__ = ["TraceApp"]

HELP = """\
Walk    ↑ ↓, page up, page down, home, end
        enter, space: open or close a part
        p: the part above
        a click selects, another opens or closes
Time    ← →: an event back or on
        [ ]: to where something new begins
        < >: to the beginning, to the end
        or click the track
Pages   1 part, 2 why, 3 calls, 4 events, 5 answer
        tab: to the next list or text
        enter on an event or call: to its part
Search  /: words of a title or text, or a part's id
        n N: next, previous; escape: end it
Other   t: light or dark; ?: this page; q: quit

Signs   ● read verbatim      ◐ read in part
        ◎ refined: a call read it and told of it
        ◌ granted, not read  ○ seen coarsely
        · unread
        ▁▂▃▄▅▆▇█ relevance, as a figure .00 to 1.00
        ⟦what was read⟧ and ❝what is quoted❞
Columns tokens granted, read verbatim, and in all
Ledger  █▓▒ spent by stage, ░ held, ─ free
"""


class Help(ModalScreen[None]):
    """Keys and signs."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q,question_mark,enter", "dismiss", show=False)]
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > VerticalScroll { width: 60; max-width: 100%; height: auto; max-height: 100%; scrollbar-size-vertical: 1;
        border: round $primary; background: $surface; padding: 0 1; }
    Help Static { width: auto; }
    """

    def compose(self) -> ComposeResult:
        """One page."""
        with VerticalScroll():
            yield Static(Text(HELP), id="help-text")


class Calls(Lines):
    """The calls as of a moment."""

    def __init__(self, moment: Moment, *, id: str | None = None) -> None:  # noqa: A002 - as all widgets have it
        super().__init__(id=id)
        self.moment = moment

    def count(self) -> int:
        """How many there were."""
        return len(self.moment.calls)

    def line(self, index: int, width: int) -> Text:
        """One call."""
        line = call_line(self.moment.calls[index])
        line.truncate(width, overflow="ellipsis")
        return line

    def show(self, moment: Moment) -> None:
        """As of another moment."""
        self.moment = moment
        self.renew()
        self.cursor = self.validate_cursor(self.cursor)


class Events(Lines):
    """All events, and a line before the first; the cursor stands on the last that happened."""

    def __init__(self, timeline: Timeline, *, id: str | None = None) -> None:  # noqa: A002 - as all widgets have it
        super().__init__(id=id)
        self.timeline = timeline

    def count(self) -> int:
        """One more than there are: the line's number is that of the moment."""
        return len(self.timeline) + 1

    def line(self, index: int, width: int) -> Text:
        """One event."""
        if not index:
            return Text("   0 before the first event", style=QUIET)
        event = self.timeline.trace.events[index - 1]
        line = Text(f"{index:>4} ")
        line.append(f"{type(event).__name__:<10} ", style="cyan" if index <= self.cursor else QUIET)
        line.append(headline(event), style="" if index <= self.cursor else QUIET)
        line.truncate(width, overflow="ellipsis")
        return line


class TraceApp(App[None]):
    """The explorer of one trace.

    Args:
        trace: The trace.
        tree: The document's tree, if it is at hand.
    """

    TITLE = "hierarchy trace"
    ENABLE_COMMAND_PALETTE = False
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012 - as the base class declares it
        (0, "-narrow"),
        (100, "-wide"),
    ]
    CSS = """
    #question { height: 1; padding: 0 1; text-wrap: nowrap; text-overflow: ellipsis; }
    #body { height: 1fr; }
    #left { width: 1fr; height: 1fr; }
    #right { width: 1fr; height: 1fr; }
    .-wide #left { border-right: solid $panel-lighten-2; }
    .-narrow #body { layout: vertical; }
    .-narrow #left { height: 2fr; }
    .-narrow #right { height: 3fr; }
    #head { height: 1; }
    #outline { height: 1fr; }
    #calls { height: auto; max-height: 40%; min-height: 1; border-bottom: solid $panel-lighten-2; }
    TabbedContent { height: 1fr; }
    ContentSwitcher { height: 1fr; }
    TabPane { padding: 0; height: 1fr; }
    Pane, Events { height: 1fr; }
    Tab.-active { text-style: bold underline; }
    .-narrow Tabs { height: 1; }
    .-narrow Underline { display: none; }
    #search { height: 1; border: none; padding: 0 1; display: none; }
    #search.-asked { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "step(-1)", "earlier"),
        Binding("right", "step(1)", "later"),
        Binding("left_square_bracket", "turn(-1)", show=False),
        Binding("right_square_bracket", "turn(1)", show=False),
        Binding("less_than_sign", "step(-1000000000)", show=False),
        Binding("greater_than_sign", "step(1000000000)", show=False),
        Binding("slash", "search", "search"),
        Binding("question_mark", "help", "help"),
        Binding("q", "quit", "quit"),
        Binding("n", "next(1)", show=False),
        Binding("N", "next(-1)", show=False),
        Binding("1", "page('node')", show=False),
        Binding("2", "page('why')", "why"),
        Binding("3", "page('calls')", show=False),
        Binding("4", "page('events')", show=False),
        Binding("5", "page('answer')", "answer"),
        Binding("t", "theme", "light/dark"),
        Binding("escape", "leave", show=False),
    ]

    def __init__(self, trace: Trace, tree: SummaryTree | None = None) -> None:
        super().__init__()
        self.atlas = atlas_of(trace, tree)
        self.timeline = Timeline(trace, self.atlas)
        self.moment = self.timeline.at(len(trace))
        self.started = next(iter(trace.of(Started)), None)
        self._explainers: dict[int, Explainer] = {}
        self._found: tuple[int, ...] = ()
        self._words = ""

    def compose(self) -> ComposeResult:
        """Everything, as of the last event."""
        asked, document = (self.started.question, self.started.document) if self.started else ("", "")
        yield Static(question_line(asked, document), id="question")
        yield LedgerBar(self.moment, id="ledger")
        with Horizontal(id="body"):
            with Vertical(id="left"):
                yield Static(id="head")
                yield Outline(self.moment, id="outline")
            with Vertical(id="right"), TabbedContent(initial="node"):
                with TabPane("1 Part", id="node"), Pane():
                    yield Static(id="node-text")
                with TabPane("2 Why", id="why"), Pane():
                    yield Static(id="why-text")
                with TabPane("3 Calls", id="calls-page"):
                    yield Calls(self.moment, id="calls")
                    with Pane():
                        yield Static(id="call-text")
                with TabPane("4 Events", id="events"):
                    yield Events(self.timeline, id="event-list")
                with TabPane("5 Answer", id="answer"), Pane():
                    yield Static(id="answer-text")
        yield Slider(self.moment, self.timeline, id="slider")
        yield Input(placeholder="title, text or id", id="search", compact=True)
        yield Footer()

    def on_mount(self) -> None:
        """Begin in the tree."""
        self.query_one(Tabs).can_focus = False
        self.outline.focus()
        self.call_after_refresh(self.show_moment, self.moment.count)

    def on_resize(self) -> None:
        """Heads of columns and bars are as wide as there is room."""
        if self.query("#head"):
            self.call_after_refresh(self.show_node)

    @property
    def outline(self) -> Outline:
        """The tree."""
        return self.query_one(Outline)

    # -- what is shown -----------------------------------------------------------------------------------------

    def show_moment(self, count: int) -> None:
        """Show everything as of a moment."""
        self.moment = self.timeline.at(count)
        self.query_one(LedgerBar).show(self.moment)
        self.query_one(Slider).show(self.moment)
        self.outline.show(self.moment)
        self.query_one(Calls).show(self.moment)
        events = self.query_one(Events)
        events.cursor = self.moment.count
        events.refresh()
        self.show_node()
        self.show_call()
        page = answer_page(self.moment, complete=self.timeline.complete)
        self.query_one("#answer-text", Static).update(page)

    def show_node(self) -> None:
        """Show the node under the cursor."""
        head = self.outline.head(self.outline.scrollable_content_region.width)
        if self._words:
            at = self._found.index(self.outline.node) + 1 if self.outline.node in self._found else 0
            head = Text(f"“{one_line(self._words)}” {at or '–'}/{len(self._found):,}  n N escape", style="bold")
        self.query_one("#head", Static).update(head)
        self.query_one("#node-text", Static).update(node_page(self.moment, self.outline.node, self._words))
        if self._page == "why":
            self.show_why()

    def show_why(self) -> None:
        """Show why the node under the cursor got its relevance; the first time, that takes a while and waits aside."""
        shown, number = self.query_one("#why-text", Static), self.outline.node
        question = self.moment.question
        if self.atlas.tree is None or question is None:
            shown.update(why_unknown_page(self.moment, number))
            return
        key = len(self.moment.trace.of(Searched))
        if key not in self._explainers:
            tree = self.atlas.tree
            shown.update(Text("Working it out …", style=QUIET))
            weights = shipped_forest(semantic=self.moment.is_semantic and can_embed())
            self.run_worker(
                lambda: (key, Explainer(tree, question, forest=weights)), name="explain", thread=True, exclusive=True
            )
            return
        width = max(30, self.query_one("#right").size.width - 3)
        shown.update(why_page(self.moment, self._explainers[key].explain(number), width))

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """What was worked out aside is there."""
        if event.worker.name == "explain" and event.state == WorkerState.SUCCESS and event.worker.result:
            key, explainer = event.worker.result
            self._explainers[key] = explainer
            self.show_why()

    def show_call(self) -> None:
        """Show the call under the cursor."""
        calls = self.query_one(Calls)
        self.query_one("#call-text", Static).update(call_page(self.moment, calls.cursor))

    @property
    def _page(self) -> str:
        return self.query_one(TabbedContent).active

    # -- what happens ------------------------------------------------------------------------------------------

    def on_lines_moved(self, event: Lines.Moved) -> None:
        """A cursor moved: show what it stands on."""
        if isinstance(event.lines, Outline):
            self.show_node()
        elif isinstance(event.lines, Calls):
            self.show_call()
        elif event.index != self.moment.count:
            self.show_moment(event.index)

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        """Of an event or a call: go to the node that it is about."""
        dotted = ""
        if isinstance(event.lines, Events) and event.index:
            happened = self.timeline.trace.events[event.index - 1]
            dotted = happened.node if isinstance(happened, Read | Reserved) else ""
        elif isinstance(event.lines, Calls) and event.index < len(self.moment.calls):
            dotted = self.moment.calls[event.index].node
        number = self.atlas.shape.number(dotted) if dotted else None
        if number is not None:
            self.outline.reach(number)

    def on_slider_slid(self, event: Slider.Slid) -> None:
        """Go to the moment."""
        self.show_moment(event.count)

    def on_tabbed_content_tab_activated(self) -> None:
        """A page that is worked out when looked at."""
        if self._page == "why":
            self.show_why()

    def action_step(self, events: int) -> None:
        """So many events on."""
        self.show_moment(self.moment.count + events)

    def action_turn(self, way: int) -> None:
        """On, or back, to where something new begins."""
        turns = [0, *self.timeline.turns()]
        beyond = [at for at in turns if (at - self.moment.count) * way > 0]
        if beyond:
            self.show_moment(min(beyond) if way > 0 else max(beyond))

    def action_page(self, name: str) -> None:
        """Show one of the pages, and go there."""
        page = {"calls": "calls-page"}.get(name, name)
        self.query_one(TabbedContent).active = page
        target = {"calls-page": "#calls", "events": "#event-list"}.get(page, f"#{page} Pane")
        self.call_after_refresh(lambda: self.query_one(target).focus())

    def action_theme(self) -> None:
        """Light or dark."""
        self.theme = "textual-light" if self.current_theme.dark else "textual-dark"

    def action_help(self) -> None:
        """Keys and signs."""
        self.push_screen(Help())

    # -- search ------------------------------------------------------------------------------------------------

    def action_search(self) -> None:
        """Ask for words."""
        search = self.query_one("#search", Input)
        search.add_class("-asked")
        search.value = ""
        search.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Find the words, and go to the first place from where one stands."""
        self.query_one("#search").remove_class("-asked")
        self.outline.focus()
        self._words = event.value.strip()
        self._found = self.atlas.found(self._words, self.moment.answer.get("citations", ()))
        if self._found:
            self._go(next((one for one in self._found if one >= self.outline.node), self._found[0]))
        else:
            self.show_node()

    def action_next(self, way: int) -> None:
        """The next or previous place found, around the end."""
        if not self._found:
            return
        here = self.outline.node
        beyond = [one for one in self._found if (one - here) * way > 0]
        self._go((min(beyond) if way > 0 else max(beyond)) if beyond else self._found[0 if way > 0 else -1])

    def _go(self, number: int) -> None:
        self.outline.reach(number)
        self.show_node()

    def action_leave(self) -> None:
        """End the search."""
        self.query_one("#search").remove_class("-asked")
        self._words, self._found = "", ()
        self.outline.focus()
        self.show_node()
