"""Two runs beside each other: what is said of them, at any width, without colours; and that no document draws."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

import hierarchy
from hierarchy.budget import Budget, Usage
from hierarchy.comparing import compared
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Finished,
    GrantLine,
    HandedBack,
    Planned,
    Read,
    Reserved,
    Searched,
    Settled,
    Started,
)
from hierarchy.trace import Trace
from hierarchy.viewer.diffs import diff_view

HOSTILE = "[bold red]BOO[/] \x1b[2J\x1b]0;owned\x07\x9b31m \u202egnp.exe :skull: [/bold]"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def drawn(comparison, width=100, encoding="utf-8", **options) -> str:
    """As a plain console writes it; with rich's markup on, as somebody else's may have it."""
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    settings = {"markup": True, "color_system": None, "_environ": {}, **options}
    console = Console(file=file, width=width, **settings)
    console.print(diff_view(comparison))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


def flat(text: str) -> str:
    return " ".join(text.split())


def a_run(
    text="Sales were 92.0 in 2025.", *, budget=4_000, reads=(0, 60), key="k", words="Cash flows", end=True
) -> Trace:
    usage = Usage(input_tokens=budget // 2, output_tokens=50, calls=1, cost_usd=0.01)
    call = Reserved(
        call=1,
        stage="compose",
        input_tokens=budget // 2,
        max_output_tokens=90,
        tokens=budget,
        model="a/b",
        key=str(budget),
    )
    quote = {"quote": words, "source": "10-K.pdf", "page": 3, "start": reads[1] - 9, "end": reads[1], "verified": True}
    node = f"0.{reads[0]}"
    events = (
        Started(
            question="What were sales?",
            document="10-K.pdf",
            source_names=("10-K.pdf",),
            document_key=key,
            document_tokens=9_000,
            budget=Budget(budget),
            model="a/b",
            strategy={"policy": "gain"},
        ),
        Estimated(question_kind="a number", relevance_permille=(9,)),
        Planned(way="single", why=words),
        Searched(terms=(words, "sales")),
        Allocated(
            policy="gain", budget_tokens=budget, grants=(GrantLine(node=node, title=f"Notes › {words}", tokens=60),)
        ),
        HandedBack(node="0", tokens=7, why=words),
        call,
        Settled(call=1, usage=usage, reply=text, error=""),
        Read(node=node, source="10-K.pdf", start=reads[0], end=reads[1], page=3, tokens=60, relevance=0.5),
        *([Answered(text=text, confidence=0.8, citations=(quote,)), Finished(usage=usage)] if end else []),
    )
    return Trace(events)


ONE = a_run()
OTHER = a_run("Sales were 84.3 in 2025.", budget=2_000, reads=(40, 140), words="Segments")


def test_identical_runs_say_so_in_a_line():
    shown = drawn(compared(ONE, ONE))
    assert "A and B are the same: asked, granted, read, called and answered alike." in shown
    assert len(shown.splitlines()) < 7


def test_it_says_what_differs_and_what_that_did():
    shown = flat(drawn(compared(ONE, OTHER)))
    for said in (
        "The same document, the same question. The answers differ.",
        "budget 4,000 2,000",
        "tokens spent 2,050 1,050 −1,000",
        "cost $0.0100 $0.0100 =",
        "searched for Cash flows Segments",
        "= 20 tokens by both - 40 tokens by A alone + 48 tokens by B alone",
        "Sales were [-92.0-]{+84.3+} in 2025.",
        "- “Cash flows” 10-K.pdf · page 3 B had read it, and doesn't quote it.",
        "+ “Segments” 10-K.pdf · page 3 A hadn't read it: passed over with 7 tokens left.",
        "- compose 2,050 – a/b",
    ):
        assert said in shown


def test_names_stand_for_the_runs():
    shown = drawn(compared(ONE, OTHER), 90)
    assert "A  10-K.pdf" in shown
    console = Console(file=io.StringIO(), width=90, _environ={})
    console.print(diff_view(compared(ONE, OTHER), names=("monday.jsonl", HOSTILE)))
    shown = console.file.getvalue()
    assert "monday.jsonl" in shown
    assert not CONTROLS.search(shown)


def test_of_different_documents_it_shows_figures_and_says_why():
    shown = drawn(compared(ONE, a_run(key="other")))
    assert "read different documents: figures alone are compared" in shown
    assert "tokens spent" in shown
    assert "Answers" not in shown


def test_a_run_that_was_cut_off_is_marked():
    shown = flat(drawn(compared(a_run(end=False), OTHER)))
    assert "A has no answer. The trace of A is cut off" in shown
    assert "the trace ends before an answer" in shown
    assert "Answers {+Sales were 84.3 in 2025.+}" in shown


def test_of_redacted_runs_no_words_are_compared():
    """Both say "(redacted)", which makes them no more alike."""
    strategy = {"redacted": True}
    runs = (
        [replace(one, strategy=strategy) if isinstance(one, Started) else one for one in run] for run in (ONE, OTHER)
    )
    hidden = [Trace(tuple(events)) for events in runs]
    shown = flat(drawn(compared(*hidden)))
    assert "The same document. A and B are redacted: words aren't compared." in shown
    assert "Answers" not in shown
    assert "calls of equal size count as the same" in shown


def test_abstaining_is_told_from_answering():
    events = [replace(event, text="", abstained=True) if isinstance(event, Answered) else event for event in OTHER]
    assert "B abstains, the other answers." in flat(drawn(compared(ONE, Trace(tuple(events)))))


@pytest.mark.parametrize("width", [60, 80, 100, 200])
def test_no_line_is_wider_than_the_terminal(width):
    """And none of a wide one is longer than one likes to read."""
    for pair in ((ONE, OTHER), (ONE, ONE), (OTHER, a_run(end=False)), (ONE, a_run(key="other"))):
        lines = drawn(compared(*pair), width).splitlines()
        assert max(cell_len(line.rstrip()) for line in lines) <= min(width, 120)


@pytest.mark.parametrize("width", [1, 5, 20])
def test_a_terminal_too_narrow_for_it_does_no_harm(width):
    assert drawn(compared(ONE, OTHER), width)


def test_in_ascii_every_sign_has_a_stand_in():
    shown = drawn(compared(ONE, OTHER), encoding="ascii")
    assert "[-92.0-]{+84.3+}" in shown
    assert '"Segments"' in shown
    assert "-1,000" in shown
    assert shown.isascii()


def test_colours_say_nothing_that_signs_do_not():
    plain_text = drawn(compared(ONE, OTHER))
    coloured = drawn(compared(ONE, OTHER), color_system="truecolor", force_terminal=True)
    signs = str.maketrans(dict.fromkeys("█▓▒░", "#"))  # A bar's parts differ by colour or by stroke.
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).translate(signs) == plain_text.translate(signs)
    assert {"█", "▓", "▒"} <= set(plain_text)


def test_nothing_that_a_trace_holds_can_steer_the_terminal():
    one = a_run(HOSTILE, words=HOSTILE)
    other = a_run(f"Other {HOSTILE}", budget=2_000, reads=(40, 140), words=f"2 {HOSTILE}")
    told = {Started: ("question", "document", "model"), Reserved: ("stage", "model"), Settled: ("error",)}
    hostile = [replace(event, **dict.fromkeys(told.get(type(event), ()), HOSTILE)) for event in other]
    for pair in ((one, other), (one, Trace(tuple(hostile))), (Trace(tuple(hostile)), one)):
        shown = drawn(compared(*pair))
        assert not CONTROLS.search(shown)
        assert "[bold red]BOO[/]" in flat(shown), "Markup is shown as it stands."
        assert ":skull:" in shown


def test_changed_blanks_are_shown_in_words():
    shown = drawn(compared(ONE, a_run("Sales were 92.0\nin 2025.")))
    assert "[-(blank)-]" in shown
    assert "{+(line break)+}" in shown


def test_long_lists_are_cut_and_counted():
    reads = [Read(node="0.1", source="10-K.pdf", start=200 * n, end=200 * n + 99, tokens=n + 1) for n in range(30)]
    many = Trace((*ONE.events[:-2], *reads, *ONE.events[-2:]))
    shown = flat(drawn(compared(many, OTHER)))
    assert "and 22 more, " in shown


def test_real_runs_of_a_report_fit_every_width():
    report = Path(hierarchy.__file__).parent / "samples" / "annual_report.pdf"
    reasoner = hierarchy.Reasoner()
    tree = reasoner.outline(report)
    one = reasoner.ask(tree, "What was capital expenditure in fiscal 2025?", budget=4_000).trace
    other = reasoner.ask(tree, "What was capital expenditure in fiscal 2025?", budget=1_500).trace
    found = compared(one, other)
    for width in (60, 100, 200):
        lines = drawn(found, width).splitlines()
        assert max(cell_len(line.rstrip()) for line in lines) <= min(width, 120)
    shown = flat(drawn(found))
    assert f"{one.usage().total_tokens:,}" in shown
    assert "only A read" in shown
