"""What the terminal shows of deterministic runs, kept as text: at three widths, in ASCII, and with colours taken away.

`pytest -n0 --update-examples tests/viewer/test_snapshots.py` writes them anew; read what changed before committing it.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from rich.console import Console
from traced import RUNS, trace_of

from hierarchy import viewer
from hierarchy.trace import Trace
from hierarchy.viewer.watching import Watch, WatchView

SNAPSHOTS = Path(__file__).parent / "snapshots"
PLAIN = {"color_system": None}
SHOWN = [
    *((run, width) for run in ("demo", "staged") for width in (60, 80, 120)),
    *((run, 80) for run in ("branches", "abstaining", "cut-off", "version-1", "gathered")),
]


def drawn(renderable, width, *, encoding="utf-8", **options):
    """What a console of its own writes, blanks at the ends of lines left out."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    console = Console(file=stream, width=width, markup=False, emoji=False, highlight=False, _environ={}, **options)
    console.print(renderable)
    stream.seek(0)
    return "\n".join(line.rstrip() for line in stream.read().splitlines()) + "\n"


def checked(name, text, pytestconfig):
    path = SNAPSHOTS / f"{name}.txt"
    if pytestconfig.getoption("update_examples"):
        path.write_text(text, encoding="utf-8", newline="\n")
    assert text == path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("run", "width"), SHOWN)
def test_a_trace_at_one_look(run, width, pytestconfig):
    """As it was; no line is wider than the terminal."""
    text = drawn(viewer.trace_view(trace_of(run)), width, **PLAIN)
    assert max(map(len, text.splitlines())) <= width
    checked(f"{run}-{width}", text, pytestconfig)


def test_narrow_terminals_still_tell_parts_apart():
    """At 40 columns signs do without words, so that each part is still called something."""
    text = drawn(viewer.trace_view(trace_of("demo")), 40, **PLAIN)
    rows = [line for line in text.splitlines() if "◐" in line or "●" in line]
    assert len(rows) > 5
    assert all(re.search(r"[A-Za-z0-9]{2}", re.split("[▁▂▃▄▅▆▇█◐●]", row)[0]) for row in rows)


def test_where_there_is_only_ascii(pytestconfig):
    """Signs give way to ASCII one for one, so that columns stay; an encoder that knows nothing else doesn't stumble."""
    text = drawn(viewer.trace_view(trace_of("demo")), 80, encoding="ascii", **PLAIN)
    assert text.isascii()
    checked("demo-80-ascii", text, pytestconfig)
    lines = drawn(viewer.trace_view(trace_of("demo")), 80, **PLAIN).splitlines()
    assert [len(line) for line in text.splitlines()] == [len(line) for line in lines]


def test_without_colours_nothing_is_lost(pytestconfig):
    """A terminal that is to have none gets bold and dim at most, and the same characters."""
    text = drawn(viewer.trace_view(trace_of("staged")), 80, force_terminal=True, color_system="256", no_color=True)
    checked("staged-80-no-color", text, pytestconfig)

    assert set(re.findall(r"\x1b\[([\d;]*)m", text)) <= {"0", "1", "2", "1;2"}
    bare = "\n".join(line.rstrip() for line in re.sub(r"\x1b\[[\d;]*m", "", text).splitlines()) + "\n"
    assert bare == drawn(viewer.trace_view(trace_of("staged")), 80, **PLAIN)


def test_a_dumb_terminal_gets_no_control_characters():
    """And the same characters as a pipe."""
    console = Console(file=io.StringIO(), force_terminal=True, width=80, highlight=False, _environ={"TERM": "dumb"})
    console.print(viewer.trace_view(trace_of("demo")))
    written = console.file.getvalue()
    assert "\x1b" not in written
    assert [line.rstrip() for line in written.splitlines()] == drawn(
        viewer.trace_view(trace_of("demo")), 80, **PLAIN
    ).splitlines()


@pytest.mark.parametrize("run", RUNS)
def test_a_picture_is_the_same_each_time(run):
    """So that it can be committed; and it is well-formed."""
    picture = viewer.trace_svg(trace_of(run), width=100)
    assert picture == viewer.trace_svg(Trace(trace_of(run).events), width=100)
    ElementTree.fromstring(picture)


@pytest.mark.parametrize(("lines", "width"), [(30, 80), (16, 60)])
def test_a_question_being_answered(lines, width, pytestconfig):
    """In the middle of its last call, with the answer coming in."""
    watch = Watch("How much comes due?")
    for event in trace_of("cut-off"):
        watch.note(event)
    watch.say("Under the amended schedule $22.0 ")
    watch.tick(7.3)
    text = drawn(WatchView(watch, height=lines), width, **PLAIN)
    assert len(text.splitlines()) < lines
    checked(f"live-{width}x{lines}", text, pytestconfig)


def test_a_file_tells_the_same(pytestconfig):
    """Written and read back, each trace looks as it did."""
    for run in ("demo", "staged"):
        trace = trace_of(run)
        again = Trace.from_jsonl(trace.to_jsonl())
        assert drawn(viewer.trace_view(again), 80, **PLAIN) == drawn(viewer.trace_view(trace), 80, **PLAIN)
