"""How much a large trace costs to open and to draw: 100,000 nodes and 5,000 events, on a machine that may be busy."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest
from traced import large_trace

# CPU seconds at most; where nothing else runs it takes about a quarter of the first and half of the others.
OPENING_S, DRAWING_S, FRAME_S = 1.5, 0.1, 0.05
MEMORY_MB = 300
# Clocks of shared machines run unevenly; the quickest of several runs is what the code takes.
LEEWAY = 2.0
MEASURE = """
    import io, json, re, resource, sys, time
    from pathlib import Path
    from rich.console import Console
    from hierarchy import viewer
    from hierarchy.trace import Trace
    from hierarchy.viewer.rows import rows_of
    from hierarchy.viewer.treemap import TreeMap

    def quickest(work, runs):
        taken = []
        for _ in range(runs):
            began = time.process_time()
            work()
            taken.append(time.process_time() - began)
        return min(taken)

    text = Path(sys.argv[1]).read_text(encoding="utf-8")
    opening = quickest(lambda: Trace.from_jsonl(text), 3)
    trace = Trace.from_jsonl(text)
    def draw(**made):
        Console(file=io.StringIO(), width=100).print(viewer.trace_view(trace, **made))
    made = TreeMap.of(trace)
    # A process that was forked from a large one has that one's peak on its own account; Linux keeps its own besides.
    status = Path("/proc/self/status")
    own = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text()) if status.exists() else None
    peak = int(own[1]) if own else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({
        "opening": opening,
        "drawing": quickest(draw, 7),
        "rows": quickest(lambda: rows_of(made, 24), 7),
        "memory": peak / (1024 if sys.platform != "darwin" else 1024**2),
    }))
"""


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Figures taken in a process of its own, whose memory nobody else fills."""
    import json

    path = tmp_path_factory.mktemp("scale") / "large.jsonl"
    trace = large_trace()
    path.write_text(trace.to_jsonl(), encoding="utf-8")
    assert len(trace) >= 4_900
    command = [sys.executable, "-c", textwrap.dedent(MEASURE), str(path)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)


def test_a_large_trace_opens_at_once(measured):
    """In a second or so of CPU."""
    assert measured["opening"] < OPENING_S * LEEWAY


def test_a_large_trace_is_drawn_at_once(measured):
    """Its map made from nothing each time; a frame of a running question keeps it."""
    assert measured["drawing"] < DRAWING_S * LEEWAY
    assert measured["rows"] < FRAME_S * LEEWAY


def test_a_large_trace_fits_in_memory(measured):
    """Everything together: interpreter, libraries, the file's text, two traces of it and its picture."""
    assert measured["memory"] < MEMORY_MB
