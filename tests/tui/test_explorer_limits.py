"""The explorer where there is less than a whole trace, or more than a screen holds; and what nobody is to trust."""

from __future__ import annotations

import sys
import time

import pytest
from explored import (
    HELM,
    QUESTION,
    TITLES,
    explored,
    press,
    routed_trace,
    screen,
    shown,
    tree,
    version_1,
)

import hierarchy.tui
from hierarchy.budget import Budget, Usage
from hierarchy.document import Document
from hierarchy.errors import Unavailable
from hierarchy.events import (
    Allocated,
    Answered,
    Branch,
    Estimated,
    GrantLine,
    Mapped,
    Noted,
    Read,
    Reserved,
    Searched,
    Settled,
    Started,
)
from hierarchy.planner import outline
from hierarchy.trace import Trace


class TestLess:
    @pytest.mark.parametrize("with_tree", [False, True])
    def test_traces_of_version_1_open(self, with_tree):
        """Of the tree what events speak of, or the document's own; calls have no prompts."""

        async def story(app, pilot):
            for key in ("down", "enter", "down", "enter"):
                await press(app, pilot, key)
            await press(app, pilot, "3")
            calls = shown(app, "call-text")
            await press(app, pilot, "<", "]", "]", "]")
            return app.outline.count(), calls, app.atlas

        count, calls, atlas = explored(version_1(routed_trace()), story, tree() if with_tree else None)
        assert count > 2
        assert "The trace doesn't hold it." in calls
        assert bool(atlas.tree) == with_tree
        assert with_tree or "no map" in atlas.note

    def test_of_version_1_each_stretch_read_is_a_part(self):
        """Where its node is, with its tokens; their sum is what was read in all."""

        async def story(app, pilot):
            shape, happened = app.atlas.shape, app.moment.map
            return int(happened.read[0]), [shape.kind(number) for number in range(len(shape))], app.moment

        read, kinds, moment = explored(version_1(routed_trace()), story)
        reads = routed_trace().reads()
        assert read == sum(one.tokens for one in reads)
        assert kinds.count("passage") == len(reads)
        assert moment.relevance(moment.atlas.shape.number(reads[0].node)) == pytest.approx(
            max(reads[0].relevance, moment._told[reads[0].node])
        )

    @pytest.mark.parametrize("events", [1, 3, 5, 8, 12, -2])
    def test_traces_cut_off_anywhere_open_and_say_so(self, events):
        cut = Trace(routed_trace().events[:events])

        async def story(app, pilot):
            await press(app, pilot, "down", "enter", "2", "3", "4", "5", "left", "right")
            return screen(app), shown(app, "answer-text")

        lines, answer = explored(cut, story, tree())
        assert any("incomplete" in line for line in lines)
        if not cut.of(Answered):
            assert "ends before an answer" in answer

    def test_without_the_document_it_says_so(self):
        """And shows what the trace holds: figures, titles, the quotes."""

        async def story(app, pilot):
            return shown(app, "node-text")

        text = explored(routed_trace(), story)
        assert "isn't at hand" in text
        assert "--document" in text
        assert HELM in text
        assert "In short" not in text

    def test_another_document_is_not_taken_for_it(self):
        other = outline(Document(name="log.txt", text="Something else.\n\nAltogether."))

        async def story(app, pilot):
            return shown(app, "node-text"), app.atlas.tree

        text, used = explored(routed_trace(), story, other)
        assert "isn't the one that was read" in text
        assert used is None

    def test_an_empty_trace_opens(self):
        async def story(app, pilot):
            await press(app, pilot, "down", "enter", "2", "3", "enter", "4", "enter", "left", "right", "n", "]")
            return screen(app)

        assert any("event 0/0" in line for line in explored(Trace(), story))

    def test_a_map_that_is_no_tree_is_not_followed(self):
        """Parents that come after their children, columns of unequal length."""
        bad = {"kinds": [0, 0], "tokens": [1, 1], "files": [0, 0], "starts": [0, 0], "ends": [1, 1], "pages": [0, 0]}
        for parents in ([-1, 1], [0, 0], [-1], [-1, 10**30]):
            mapped = Mapped(parents=parents, kind_names=("document",), **bad)

            async def story(app, pilot):
                return app.atlas.note

            assert "no map" in explored(Trace((mapped,)), story)


class TestUntrusted:
    @pytest.mark.parametrize("is_mapped", [True, False])
    def test_markup_and_control_characters_are_shown_as_they_are_or_not_at_all(self, is_mapped):
        """Nowhere is a style taken from a text, and nothing steers the terminal."""
        evil = "[bold red]x[/] \x1b[2J\x9b31m [@click=app.quit]go[/] \u202eback"
        mapped = Mapped(
            parents=(-1, 0), kinds=(0, 1), tokens=(9, 9), files=(0, 0), starts=(0, 0), ends=(9, 9),
            pages=(0, 0), kind_names=(evil, evil), titles={"1": evil},
        )  # fmt: skip
        reserved = Reserved(
            call=1, stage=evil, node=evil, input_tokens=1, max_output_tokens=1, tokens=2, prompt=evil, model=evil
        )
        trace = Trace(
            (
                Started(
                    question=evil, document=evil, source_names=(evil,), document_key="k", document_tokens=9,
                    budget=Budget(99), model=evil,
                ),
                *((mapped,) if is_mapped else ()),
                Estimated(document_kind=evil, vocabulary=(evil,), top=(Branch(node="0.0", title=evil, relevance=1.0),)),
                Searched(terms=(evil,), needs=(evil,), kind=evil),
                Allocated(policy=evil, budget_tokens=9, grants=(GrantLine(node="0.0", title=evil, tokens=9),)),
                reserved,
                Settled(call=1, usage=Usage(), error=evil, reply=evil),
                Noted(what=evil),
                Read(node="0.0", source=evil, start=0, end=9, tokens=9),
                Answered(text=evil, citations=({"quote": evil, "source": evil, "start": 0, "end": 9, "page": evil},)),
            )
        )  # fmt: skip

        async def story(app, pilot):
            seen = []
            for key in ("down", "2", "3", "4", "5", "slash", "=[bold]", "enter", "question_mark", "escape", "left"):
                await press(app, pilot, key)
                seen += screen(app)
            names = ("node-text", "why-text", "call-text", "answer-text")
            return "\n".join([*seen, *(shown(app, name) for name in names)]), app.is_running

        seen, running = explored(trace, story)
        assert running
        assert "[bold red]x[/]" in seen
        assert not [seen[max(0, at - 30) : at + 30] for at, each in enumerate(seen) if each in "\x1b\x9b\u202e"]

    def test_what_fits_no_type_does_no_harm(self):
        """Citations and receipts are anybody's."""
        trace = Trace(
            (
                Answered(
                    text="x",
                    citations=({"quote": 1, "start": "a", "end": None}, {}),
                    receipt={"unread": [1, {"node": 3}, {"node": "0.1", "tokens": "x"}], "read_tokens": "many"},
                ),
            )
        )

        async def story(app, pilot):
            await press(app, pilot, "5", "slash", "=x", "enter")
            return shown(app, "answer-text")

        assert explored(trace, story).startswith("x\n")


class TestSize:
    def test_it_is_usable_at_60_by_20(self):
        """Question, ledger, several parts, a page and the moment are in sight; walking works."""

        async def story(app, pilot):
            first = screen(app)
            await press(app, pilot, "down", "down", "2")
            second = screen(app)
            await press(app, pilot, "3")
            third = screen(app)
            await press(app, pilot, "question_mark")
            return first, second, third, screen(app)

        first, second, third, fourth = explored(routed_trace(), story, tree(), size=(60, 20))
        for lines in (first, second, third, fourth):
            assert len(lines) == 20
            assert all(len(line) <= 60 for line in lines)
        assert QUESTION in first[0]
        assert "cap 3,000" in first[1]
        assert sum(any(title in line for title in TITLES) for line in first) >= 2
        assert any("event " in line for line in first)
        assert any("help" in line for line in first)
        assert any("passage" in line for line in second)
        assert any("route" in line for line in third)
        assert any("Walk" in line for line in fourth)

    @pytest.mark.parametrize("size", [(20, 8), (40, 12), (250, 60)])
    def test_other_sizes_open_as_well(self, size):
        async def story(app, pilot):
            await press(app, pilot, "down", "enter", "2", "3", "4", "5")
            return screen(app)

        assert len(explored(routed_trace(), story, tree(), size=size)) == size[1]

    def test_the_terminal_may_be_resized(self):
        """Columns and their heads go with it."""

        async def story(app, pilot):
            heads = [shown(app, "head")]
            for width, height in ((90, 20), (50, 20), (140, 40)):
                await pilot.resize_terminal(width, height)
                await press(app, pilot, "down")
                heads.append(shown(app, "head"))
                assert len(screen(app)) == height
            return heads

        first, wide, narrow, last = explored(routed_trace(), story, tree(), size=(120, 40))
        assert "granted" in wide
        assert "granted" in last
        assert "granted" not in narrow
        assert "read/of" in narrow
        assert len(first) < len(last)

    def test_a_trace_of_100_000_nodes_opens_quickly(self):
        """To its first screen; only what is in sight is made. Steps through time and jumps stay quick as well."""
        trace = large()

        async def story(app, pilot):
            first = time.process_time()
            await press(app, pilot, "left")
            step = time.process_time()
            number = app.atlas.found("Section 99999")[0]
            app.outline.reach(number)
            await press(app, pilot)
            jump = time.process_time()
            return first, step - first, jump - step, app.outline.count(), app.outline.node

        start = time.process_time()
        first, step, jump, rows, node = explored(trace, story)
        assert first - start < 5
        assert step < 2
        assert jump < 3
        assert rows < 200
        assert node == 99_999

    def test_of_very_many_children_some_show_at_a_time(self):
        """100,000 below one node: the rest comes when asked for, and a search reaches the last."""
        count = 100_000
        trace = Trace(
            (
                Mapped(
                    parents=[-1, *[0] * count], kinds=[0] * (count + 1), tokens=[count, *[1] * count],
                    files=[0] * (count + 1), starts=[0, *range(count)], ends=[count, *range(1, count + 1)],
                    pages=[0] * (count + 1), kind_names=("document",), titles={str(count): "The last of all"},
                ),
            )
        )  # fmt: skip

        async def story(app, pilot):
            first = app.outline.count()
            await press(app, pilot, "end", "enter")
            more = app.outline.count()
            await press(app, pilot, "slash", "=last of all", "enter")
            return first, more, app.outline.node

        first, more, node = explored(trace, story)
        assert first < 300
        assert first < more < 600
        assert node == count

    def test_a_long_text_is_cut_around_what_was_read(self):
        """A document of millions of characters isn't poured into a page; what was read of it is."""
        text = "".join(f"Line {number} says nothing of note, and goes on for a while.\n\n" for number in range(20_000))
        long_tree = outline(Document(name="long.txt", text=text))
        at = text.index("Line 12345")
        read = Read(node="0", source="long.txt", start=at, end=at + 30, tokens=8)
        started = Started(
            question="Why?", document="long.txt", source_names=("long.txt",), document_key=long_tree.document.key,
            document_tokens=long_tree.tokens, budget=Budget(99), model="m",
        )  # fmt: skip

        async def story(app, pilot):
            return shown(app, "node-text")

        page = explored(Trace((started, read)), story, long_tree)
        assert "⟦Line 12345 says nothing of not⟧" in page
        assert "characters not shown" in page
        assert len(page) < 40_000


def large():
    """A tree of ten parts each, six levels of them."""
    parents, pending = [], [(-1, 0)]
    while pending:
        parent, depth = pending.pop()
        number = len(parents)
        parents.append(parent)
        if depth < 5:
            pending.extend([(number, depth + 1)] * 10)
    count = len(parents)
    sizes, leaves = [1] * count, [True] * count
    for number in range(count - 1, 0, -1):
        sizes[parents[number]] += sizes[number]
        leaves[parents[number]] = False
    starts, at = [], 0
    for leaf in leaves:
        starts.append(at)
        at += 40 if leaf else 0
    ends = [starts[number + sizes[number] - 1] + 40 for number in range(count)]
    reads = [
        Read(node="0.1", source="big.txt", start=at, end=at + 400, tokens=100) for at in range(0, 2_000_000, 2_000)
    ]
    return Trace(
        (
            Started(
                question="Why?", document="big.txt", source_names=("big.txt",), document_key="k",
                document_tokens=ends[0], budget=Budget(8_000), model="m",
            ),
            Mapped(
                parents=parents, kinds=[0] * count, tokens=[(b - a) // 4 for a, b in zip(starts, ends, strict=True)],
                files=[0] * count, starts=starts, ends=ends, pages=[0] * count, kind_names=("section",),
                titles={str(number): f"Section {number}" for number in range(0, count, 3)},
            ),
            Estimated(relevance_permille=[number % 1_000 for number in range(count)]),
            Allocated(policy="x", budget_tokens=9, grants=(GrantLine(node="0.1", title="y", tokens=9),)),
            *reads,
        )
    )  # fmt: skip


class TestOpening:
    def test_without_textual_it_says_how_to_install_it(self, monkeypatch):
        for name in [name for name in sys.modules if name.startswith("hierarchy.tui.")]:
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.delattr(hierarchy.tui, "app", raising=False)
        for name in [name for name in sys.modules if name.partition(".")[0] == "textual"]:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setitem(sys.modules, "textual", None)
        with pytest.raises(Unavailable, match=r"pip install .*\[tui\]"):
            hierarchy.tui.explore(routed_trace())

    def test_explore_runs_the_app(self, monkeypatch):
        """With the trace and the tree that it was given."""
        run = []
        monkeypatch.setattr(hierarchy.tui.TraceApp, "run", lambda app: run.append(app))  # noqa: PLW0108 - as a method
        hierarchy.tui.explore(routed_trace(), tree())
        assert run[0].timeline.trace == routed_trace()
        assert run[0].atlas.tree is tree()

    def test_it_has_no_other_names(self):
        with pytest.raises(AttributeError):
            _ = hierarchy.tui.Nothing
