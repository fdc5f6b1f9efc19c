"""The explorer of traces, driven as a user drives it: keys and clicks in, what stands on the screen out."""

from __future__ import annotations

from itertools import pairwise

from documents import chart
from explored import (
    HELM,
    QUESTION,
    TITLES,
    branched_trace,
    explored,
    failed_trace,
    press,
    routed_trace,
    screen,
    shown,
    tree,
)

from hierarchy.engine import Reasoner
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Read,
    Reserved,
    Settled,
)
from hierarchy.planner import outline
from hierarchy.relevance import estimate, parse, routed
from hierarchy.relevance.question import Routing
from hierarchy.trace import Trace
from hierarchy.tui.app import Help
from hierarchy.tui.lines import Pane


class TestWalking:
    def test_it_opens_on_the_parts_of_the_document(self):
        """Question, cap and titles are in sight at once."""

        async def story(app, pilot):
            return screen(app)

        lines = explored(routed_trace(), story, tree())
        assert QUESTION in lines[0]
        assert "cap 3,000" in lines[1]
        text = "\n".join(lines)
        assert all(title in text for title in TITLES)

    def test_parts_open_and_close(self):
        """With enter, space, plus and minus; what is below is made only then."""

        async def story(app, pilot):
            counts = [app.outline.count()]
            await press(app, pilot, "down")
            for key in ("enter", "space", "plus", "plus", "minus", "minus"):
                await press(app, pilot, key)
                counts.append(app.outline.count())
            return counts

        first, opened, closed, again, same, shut, still = explored(routed_trace(), story, tree())
        assert first == closed == shut == still == len(TITLES) + 1
        assert opened == again == same > first

    def test_a_selected_part_shows_its_text_and_summary(self):
        """Titles above it, tokens, its summary and all of its text."""

        async def story(app, pilot):
            await press(app, pilot, "down", "down")
            return app.outline.node, shown(app, "node-text")

        node, text = explored(routed_trace(), story, tree())
        assert text.startswith("Crew of the ship\n")
        assert "In short" in text
        assert f"tokens     {int(tree().node_tokens[node]):,} · granted" in text
        coarse = tree().coarse(node)
        assert " ".join(coarse.text.split()) in text
        assert coarse.keywords[0] in text

    def test_what_was_read_and_quoted_is_marked(self):
        """By signs around it, not by style alone."""

        async def story(app, pilot):
            await press(app, pilot, "slash", "=helmsman", "enter")
            await press(app, pilot, "p")
            return shown(app, "node-text"), app.query_one("#node-text").content

        text, page = explored(routed_trace(), story, tree())
        assert f"❝{HELM}❞" in text
        assert "⟦" in text.split("❝quoted❞")[1]
        at = text.rindex(HELM)
        styles = [str(span.style) for span in page.spans if span.start <= at < span.end]
        assert any("reverse" in style for style in styles)

    def test_the_mouse_does_what_keys_do(self):
        """A click selects, another one opens."""

        async def story(app, pilot):
            await pilot.click("#outline", offset=(10, 2))
            await press(app, pilot)
            node, before = app.outline.node, app.outline.count()
            await pilot.click("#outline", offset=(10, 2))
            await press(app, pilot)
            return node, before, app.outline.count(), shown(app, "node-text")

        node, before, after, text = explored(routed_trace(), story, tree())
        assert node == tree().children(0)[1]
        assert after > before
        assert text.startswith("Crew of the ship")

    def test_states_are_told_by_signs(self):
        """A part that was read in part, and one that wasn't read."""

        async def story(app, pilot):
            return [app.outline.line(at, 80).plain for at in range(app.outline.count())]

        lines = explored(routed_trace(), story, tree())
        by_title = {title: next(line for line in lines if title in line) for title in TITLES}
        reads = {read.node for read in routed_trace().reads()}
        for position, title in enumerate(TITLES):
            was_read = any(f"{node}.".startswith(f"0.{position}.") for node in reads)
            assert any(sign in by_title[title] for sign in "●◐") == was_read

    def test_what_calls_read_in_branches_is_refined(self):
        """It has a sign of its own, and its tokens are told apart from what was read verbatim."""

        async def story(app, pilot):
            pages = []
            for _ in range(app.outline.count()):
                pages.append((app.moment.state(app.outline.node), shown(app, "node-text")))
                await press(app, pilot, "down")
            return pages

        assert "refine" in dict(branched_trace().usage_by_stage())
        pages = explored(branched_trace(), story, tree())
        refined = [page for state, page in pages if state == "refined"]
        assert refined
        assert all("◎ refined" in page and "read in branches" in page for page in refined)

    def test_up_to_the_part_above(self):
        async def story(app, pilot):
            await press(app, pilot, "slash", "=helmsman", "enter")
            nodes = [app.outline.node]
            for _ in range(12):
                await press(app, pilot, "p")
                nodes.append(app.outline.node)
            return nodes

        nodes = explored(routed_trace(), story, tree())
        parents = tree().nodes.parent
        for below, above in pairwise(nodes):
            assert above == (parents[below] if below else 0)
        assert nodes[-1] == 0


class TestWhy:
    def test_it_says_where_the_relevance_comes_from(self):
        """The estimate is the trace's; features are told in words, with what they add."""

        async def story(app, pilot):
            await press(app, pilot, "slash", "=helmsman", "enter", "2")
            return app.outline.node, shown(app, "why-text")

        node, text = explored(routed_trace(), story, tree())
        asked = routed(parse(QUESTION), Routing(terms=("helmsman", "helm"), kind="lookup"))
        relevance = estimate(tree(), asked).node[node]
        assert f"{relevance:.2f}" in text
        assert "Its features" in text
        assert "all passages share" in text
        assert "The trace says" not in text

    def test_before_the_routing_it_is_the_question_alone(self):
        """What was searched for by then decides."""

        async def story(app, pilot):
            await press(app, pilot, "slash", "=helmsman", "enter", "2")
            after = shown(app, "why-text")
            first = next(at for at, event in enumerate(app.timeline.trace, 1) if isinstance(event, Estimated))
            app.show_moment(first)
            await press(app, pilot)
            return after, shown(app, "why-text")

        after, before = explored(routed_trace(), story, tree())
        assert "the routing" in after
        assert after != before
        assert "The trace says" not in before

    def test_without_the_document_it_says_what_the_trace_tells(self):
        async def story(app, pilot):
            await press(app, pilot, "2")
            return shown(app, "why-text")

        text = explored(routed_trace(), story)
        assert "isn't at hand" in text
        assert "helmsman, helm" in text

    def test_it_says_if_the_trace_was_made_with_other_weights(self):
        events = [
            event if not isinstance(event, Estimated) else type(event)(relevance_permille=[999] * len(tree()))
            for event in routed_trace()
        ]

        async def story(app, pilot):
            await press(app, pilot, "down", "2")
            return shown(app, "why-text")

        assert "The trace says 1.00" in explored(Trace(tuple(events)), story, tree())

    def test_what_was_judged_by_meaning_is_explained_so(self, meaning_by_concept, monkeypatch):
        """By the weights that judged it; whoever lacks the model is told that they were others."""
        document = chart()
        trace = Reasoner(semantic=True).ask(document, "Who ended the medicine?", 700).trace

        async def story(app, pilot):
            await press(app, pilot, "down", "2")
            return shown(app, "why-text")

        monkeypatch.setattr("hierarchy.tui.app.can_embed", lambda: True)
        assert "The trace says" not in explored(trace, story, outline(document))
        monkeypatch.setattr("hierarchy.tui.app.can_embed", lambda: False)
        assert "The trace says" in explored(trace, story, outline(document))


class TestCalls:
    def test_a_call_shows_prompt_and_reply_in_full(self):
        async def story(app, pilot):
            await press(app, pilot, "3")
            first = shown(app, "call-text")
            await press(app, pilot, "down")
            return first, shown(app, "call-text")

        first, second = explored(routed_trace(), story, tree())
        reserved = routed_trace().of(Reserved)
        settled = routed_trace().of(Settled)
        assert first.startswith("route, call 1")
        assert second.startswith("compose, call 2")
        for text, asked, end in zip((first, second), reserved, settled, strict=True):
            assert asked.prompt in text
            assert end.reply in text
            assert f"{end.usage.input_tokens:,} in, {end.usage.output_tokens:,} out" in text
            assert f"{asked.tokens:,}: {asked.input_tokens:,} in" in text

    def test_errors_are_shown(self):
        """What the provider said, and that the cost isn't known."""
        events = [*routed_trace()]
        at = next(at for at, event in enumerate(events) if isinstance(event, Settled))
        events[at] = Settled(call=1, usage=events[at].usage, error="429: too many requests", seconds=1.25)

        async def story(app, pilot):
            await press(app, pilot, "3")
            return shown(app, "call-text"), app.query_one("#calls").line(0, 60).plain

        text, line = explored(Trace(tuple(events)), story, tree())
        assert "429: too many requests" in text
        assert "1.25" in text
        assert "None came back." in text
        assert line.startswith("✗")

    def test_calls_that_were_made_again_have_lines_of_their_own(self):
        async def story(app, pilot):
            await press(app, pilot, "3")
            return [app.query_one("#calls").line(at, 60).plain for at in range(app.query_one("#calls").count())]

        lines = explored(failed_trace(), story, tree())
        assert len(lines) == len(failed_trace().of(Reserved)) >= 2


class TestTime:
    def test_scrubbing_changes_tree_ledger_and_answer(self):
        """Back to before the answer, before the reading, before the estimate, before everything; and on again."""
        kinds = [type(event) for event in routed_trace()]

        async def story(app, pilot):
            found = {}
            for name, kind in (("answered", Answered), ("granted", Allocated), ("estimated", Estimated)):
                app.show_moment(kinds.index(kind))
                await press(app, pilot)
                found[name] = (shown(app, "answer-text"), app.outline.line(0, 80).plain, screen(app)[1])
            await press(app, pilot, "<")
            found["before"] = (shown(app, "answer-text"), app.outline.line(0, 80).plain, screen(app)[1])
            await press(app, pilot, ">")
            found["after"] = (shown(app, "answer-text"), app.outline.line(0, 80).plain, screen(app)[1])
            return found

        found = explored(routed_trace(), story, tree())
        spent = routed_trace().usage().total_tokens
        assert "Aarav Iyer" in found["after"][0]
        assert f"spent {spent:,}" in found["after"][2]
        assert "No answer yet" in found["answered"][0]
        assert "●" in found["answered"][1] or "◐" in found["answered"][1]
        assert "●" not in found["granted"][1]
        assert "◐" not in found["granted"][1]
        assert " ·  ·" in found["before"][1]
        assert "cap unknown" in found["before"][2]

    def test_left_and_right_are_one_event(self):
        """Wherever the cursor is, but not beyond either end."""

        async def story(app, pilot):
            counts = []
            for key in ("left", "left", "right", "3", "left", "4", "left", "right", ">", "right", "<", "left"):
                await press(app, pilot, key)
                counts.append(app.moment.count)
            return counts

        total = len(routed_trace())
        assert explored(routed_trace(), story, tree()) == [
            total - 1, total - 2, total - 1, total - 1, total - 2, total - 2, total - 3, total - 2,
            total, total, 0, 0,
        ]  # fmt: skip

    def test_brackets_go_to_where_something_new_begins(self):
        """Not through each of many stretches read."""

        async def story(app, pilot):
            counts = []
            await press(app, pilot, "<")
            while app.moment.count < len(app.timeline):
                await press(app, pilot, "]")
                counts.append(app.moment.count)
            await press(app, pilot, "[")
            return counts, app.moment.count

        counts, back = explored(routed_trace(), story, tree())
        kinds = [type(event) for event in routed_trace()]
        assert counts == [at for at in range(1, len(kinds) + 1) if at == len(kinds) or kinds[at] != kinds[at - 1]]
        assert back == counts[-2]

    def test_the_list_of_events_is_a_way_through_time(self):
        """Its cursor is the moment; enter on a stretch read goes to its node."""

        async def story(app, pilot):
            await press(app, pilot, "4", "home")
            first = app.moment.count
            at = next(at for at, event in enumerate(app.timeline.trace) if isinstance(event, Read))
            app.show_moment(at + 1)
            await press(app, pilot, "enter")
            return first, app.query_one("#event-list").cursor, at, app.outline.node

        first, cursor, at, node = explored(routed_trace(), story, tree())
        assert first == 0
        assert cursor == at + 1
        assert node == tree().find(routed_trace().events[at].node).number

    def test_a_click_on_the_track_goes_there(self):
        async def story(app, pilot):
            counts = []
            for x in (2, 30, 1, 31):
                await pilot.click("#slider", offset=(x, 0))
                await press(app, pilot)
                counts.append(app.moment.count)
            return counts

        first, last, back, again = explored(routed_trace(), story, tree())
        assert first == 0
        assert last == len(routed_trace())
        assert back == len(routed_trace()) - 1
        assert again == len(routed_trace())

    def test_what_is_held_is_shown_while_a_call_is_under_way(self):
        at = next(at for at, event in enumerate(routed_trace(), 1) if isinstance(event, Reserved))

        async def story(app, pilot):
            app.show_moment(at)
            await press(app, pilot)
            return screen(app)[1], app.moment

        line, moment = explored(routed_trace(), story, tree())
        assert f"held {routed_trace().events[at - 1].tokens:,}" in line
        assert "░" in line
        assert moment.held + sum(amount for _, amount in moment.spent) <= moment.cap


class TestSearch:
    def test_it_jumps_to_text_and_goes_on(self):
        """Opens what it stands in; n and N go round."""

        async def story(app, pilot):
            await press(app, pilot, "slash", "=helmsman is", "enter")
            first, text = app.outline.node, shown(app, "node-text")
            await press(app, pilot, "escape", "slash", "=galley", "enter")
            nodes = [app.outline.node]
            head = shown(app, "head")
            for key in ("n", "n", "N", "N", "N"):
                await press(app, pilot, key)
                nodes.append(app.outline.node)
            return first, text, nodes, head, app._found

        first, text, nodes, head, found = explored(routed_trace(), story, tree())
        assert HELM in text
        assert tree().leaf_text(int(tree().nodes.low[first])).strip() == HELM
        assert len(found) > 2
        assert f"/{len(found)}" in head
        for node in found:
            assert "galley" in tree().text(int(tree().nodes.low[node]), int(tree().nodes.high[node]))
        at = found.index(nodes[0])
        assert nodes == [found[(at + step) % len(found)] for step in (0, 1, 2, 1, 0, -1)]

    def test_titles_are_found_without_the_document(self):
        async def story(app, pilot):
            await press(app, pilot, "slash", "=provisions", "enter")
            return app.outline.node

        assert explored(routed_trace(), story) == tree().children(0)[3]

    def test_quotes_are_found_without_the_document(self):
        """They are all the text there is."""

        async def story(app, pilot):
            await press(app, pilot, "slash", "=AARAV", "enter")
            return app.outline.node, shown(app, "node-text")

        node, text = explored(routed_trace(), story)
        low, high = int(tree().nodes.low[node]), int(tree().nodes.high[node])
        assert HELM in tree().text(low, high)
        assert HELM in text

    def test_an_id_is_gone_to(self):
        async def story(app, pilot):
            await press(app, pilot, "slash", "=0.1.0", "enter")
            return app.outline.node

        assert explored(routed_trace(), story, tree()) == tree().find("0.1.0").number

    def test_nothing_found_is_said(self):
        async def story(app, pilot):
            before = app.outline.node
            await press(app, pilot, "slash", "=xylophone", "enter", "n")
            said = shown(app, "head")
            await press(app, pilot, "escape")
            return before, app.outline.node, said, shown(app, "head")

        before, after, said, head = explored(routed_trace(), story, tree())
        assert before == after
        assert "xylophone" in said
        assert "–/0" in said
        assert "relevance" in head


class TestHelp:
    def test_a_question_mark_shows_keys_and_signs(self):
        async def story(app, pilot):
            await press(app, pilot, "question_mark")
            is_help, text = isinstance(app.screen, Help), "\n".join(screen(app))
            await press(app, pilot, "escape")
            return is_help, text, isinstance(app.screen, Help)

        is_help, text, still = explored(routed_trace(), story, tree())
        assert is_help
        assert "read verbatim" in text
        assert "q: quit" in text
        assert not still

    def test_q_quits(self):
        async def story(app, pilot):
            await pilot.press("q")
            await pilot.pause()
            return app.is_running

        assert not explored(routed_trace(), story, tree())

    def test_light_and_dark(self):
        """Either way the same is shown."""

        async def story(app, pilot):
            dark, first = app.current_theme.dark, screen(app)
            await press(app, pilot, "t")
            return dark, first, app.current_theme.dark, screen(app)

        dark, first, light, second = explored(routed_trace(), story, tree())
        assert dark != light
        assert first[:30] == second[:30]


def test_panes_scroll_by_keys():
    """Left and right stay with the events."""

    async def story(app, pilot):
        await press(app, pilot, "3")
        await press(app, pilot, "tab")
        assert isinstance(app.focused, Pane)
        before = app.moment.count
        await press(app, pilot, "pagedown", "pagedown", "left")
        return app.focused.scroll_y, app.moment.count - before

    scrolled, moved = explored(routed_trace(), story, tree(), size=(80, 24))
    assert scrolled > 0
    assert moved == -1
