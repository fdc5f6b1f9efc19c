"""A question while it is answered: frames that fit, what changes them, and the same in plain lines."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console
from traced import RUNS, trace_of

from hierarchy.events import Answered, Mapped, Noted, Reserved, Retried, Settled
from hierarchy.trace import Trace
from hierarchy.viewer.watching import Watch, WatchView, told_line

HOSTILE = "[bold red]BOO[/] \x1b[2J\x1b]0;owned\x07\x9b31m \u202egnp.exe"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def drawn(watch, height=30, width=80):
    console = Console(file=io.StringIO(), width=width, color_system=None, markup=True, _environ={})
    console.print(WatchView(watch, height=height))
    return console.file.getvalue()


def watched(events, question="Why?"):
    watch = Watch(question)
    for event in events:
        watch.note(event)
    return watch


class TestFrames:
    @pytest.mark.parametrize("run", RUNS)
    @pytest.mark.parametrize(("height", "width"), [(3, 20), (8, 40), (24, 80), (50, 200)])
    def test_each_frame_fits_the_terminal(self, run, height, width):
        """From before the first event to behind the last, with an answer that is longer than the screen."""
        watch = Watch("Why? " * 99)
        for event in [None, *trace_of(run)]:
            if event is not None:
                watch.note(event)
            if isinstance(event, Reserved):
                watch.say("and so on " * 400)
            lines = drawn(watch, height, width).splitlines()
            assert len(lines) < max(height, 4)
            # Where there is room, what a terminal echoes of Ctrl-C fits behind each line.
            assert all(len(line) <= max(20, width - 2) for line in lines)

    def test_it_grows(self):
        """Phases are ticked off, the bar fills, and the answer comes in."""
        events = trace_of("demo").events
        at = next(number for number, event in enumerate(events) if isinstance(event, Reserved))
        watch = Watch("Why?")
        assert "▸ outline   · relevance   · read   · answer" in drawn(watch)
        for event in events[: at + 1]:
            watch.note(event)
        waiting = drawn(watch)
        assert "✓ outline   ✓ relevance   ✓ read   ▸ answer" in waiting
        assert f"held {events[at].tokens:,}" in waiting
        assert "▸ compose · extractive · under way" in waiting
        watch.say("On November 4, ")
        watch.say("2025 we settled")
        assert "Answer On November 4, 2025 we settled" in drawn(watch)
        for event in events[at + 1 :]:
            watch.note(event)
        done = drawn(watch)
        assert "✓ answer" in done
        assert f"compose {trace_of('demo').usage().total_tokens:,} 9" in done
        assert "held" not in done

    def test_how_far_the_outline_is(self):
        """As the loader reports it."""
        watch = Watch("Why?")
        watch.report(31, 62, "a.pdf")
        assert "▸ outline 50% a.pdf" in drawn(watch)

    def test_only_what_can_be_seen_changes_it(self):
        """A version stays as long as nothing is told; seconds count only while a call is waited for."""
        watch = watched(trace_of("demo").events[:3])
        before = watch.version()
        watch.tick(5.0)
        assert watch.version() == before
        watch.note(Reserved(call=1, stage="compose", input_tokens=1, max_output_tokens=1, tokens=2))
        between = watch.version()
        assert between != before
        watch.tick(6.2)
        after = watch.version()
        assert after != between
        watch.tick(6.9)
        assert watch.version() == after

    def test_the_map_is_kept_from_frame_to_frame(self):
        """What says nothing of the tree doesn't cost a walk over it; the shape is made once."""
        watch = watched(trace_of("demo").events)
        made = watch.tree_map(watch.trace())
        watch.note(Noted(what="Slow."))
        assert watch.tree_map(watch.trace()) is made
        watch.note(trace_of("demo").of(Settled)[0])
        anew = watch.tree_map(watch.trace())
        assert anew is not made
        assert anew.shape is made.shape

    def test_nobody_draws_but_we(self):
        """Neither the question, nor a title, nor the answer steers the terminal."""
        watch = watched(trace_of("version-1").events[1:5], question=HOSTILE)
        watch.say(HOSTILE)
        watch.report(1, 2, HOSTILE)
        text = drawn(watch, width=200)
        assert not CONTROLS.search(text)
        assert "[bold red]BOO[/]" in text


class TestLines:
    def test_each_step_has_its_line(self):
        """With stages told even where the event doesn't hold them; on one line each, whatever they say."""
        trace = trace_of("staged")
        lines = [told_line(event, trace.events[:at]) for at, event in enumerate(trace)]
        said = [line for line in lines if line]
        wait = trace.of(Retried)[0].wait_s
        for part in (
            "outline: 3,279 nodes, 11 deep", "plan: staged. ", "searched: maturities of long-term debt · ",
            "call 1, route: ", "call 2, compose: failed: The provider is overloaded.",
            f"call 2, compose: made again in {wait:.1f} s", "missing after round 1: the amended maturity schedule",
            "granted: ", "answered, confidence ",
        ):  # fmt: skip
            assert any(part in line for line in said), part
        assert all(len(line.splitlines()) == 1 for line in said)
        assert told_line(Answered(text="", abstained=True)) == "abstained"
        assert told_line(next(iter(trace.of(Mapped)))) == ""

    def test_what_a_provider_says_stays_on_its_line(self):
        """Whatever it is."""
        from hierarchy.budget import Usage

        line = told_line(Settled(call=1, usage=Usage(), error=f"{HOSTILE}\nSecond line."), Trace().events)
        assert not CONTROLS.search(line)
        assert "\n" not in line
