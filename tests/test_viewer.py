"""The viewer: what is drawn of answers, traces and trees, at any width, and that no document can draw anything."""

from __future__ import annotations

import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hierarchy import planner, viewer
from hierarchy.answer import Answer, Citation, Receipt, Unread
from hierarchy.budget import Budget, Usage
from hierarchy.document import Document, Section, Span
from hierarchy.events import (
    Allocated,
    Answered,
    Branch,
    Estimated,
    Finished,
    GrantLine,
    HandedBack,
    Kept,
    Noted,
    Outlined,
    Read,
    Reserved,
    Settled,
    Started,
)
from hierarchy.ledger import Ledger
from hierarchy.trace import Trace
from hierarchy.viewer.bars import Bar, Strip
from hierarchy.viewer.trees import shown_children, shown_depth

HOSTILE = "[bold red]BOO[/] \x1b[2J\x1b]0;owned\x07\x9b31m \u202egnp.exe :skull: [/bold]"
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def drawn(renderable, width=100, **options) -> str:
    """The renderable as a plain console would write it; with rich's markup on, as somebody else's may have it."""
    settings = {"markup": True, "color_system": None, "_environ": {}, **options}
    console = Console(file=io.StringIO(), width=width, **settings)
    console.print(renderable)
    return console.file.getvalue()


def ledger_events(budget):
    ledger = Ledger.open(budget).keep(1_000)
    events = [Kept(tokens=1_000)]
    for stage, tokens, out in (("refine", 600, 100), ("compose", 900, 100)):
        ledger, call = ledger.reserve(stage, tokens, out, kept=stage == "compose")
        usage = Usage(input_tokens=tokens, output_tokens=out // 2, calls=1, cost_usd=0.0)
        ledger = ledger.settle(call, usage)
        events += [Reserved.of(call, node=(0, 2)), Settled.of(call, usage)]
    return events, Finished.of(ledger)


def make_trace(text="Sales were 2,160.4.", title="Cash flows", end=True) -> Trace:
    budget = Budget(4_000, max_calls=9)
    calls, finished = ledger_events(budget)
    grants = [
        GrantLine(node=f"0.{n % 3}.{n}", title=f"{title} {n}", tokens=10 + n, gain=0.1, pages=(n + 1, n + 2))
        for n in range(30)
    ]
    events = [
        Started(
            question="What were sales?",
            document="10-K.pdf",
            source_names=("10-K.pdf",),
            document_key="k",
            document_tokens=50_000,
            budget=budget,
            model="extractive",
            strategy={"policy": "expected_gain"},
        ),
        Outlined(nodes=900, leaves=500, depth=6, notes=("The file has no bookmarks.",)),
        Estimated(document_kind="filing", question_kind="lookup", top=[Branch(node="0.2", title=title, relevance=0.9)]),
        Allocated(policy="expected_gain", budget_tokens=2_000, grants=grants),
        *(
            Read(node="0.2", source="10-K.pdf", start=n, end=n + 9, page=n, tokens=3, relevance=0.5)
            for n in range(1, 15)
        ),
        *(HandedBack(node=f"0.{n}", tokens=7, why="repeats what was read") for n in range(9)),
        Noted(what="One call was sent again."),
        *calls,
    ]
    if end:
        receipt = {"read_tokens": 42, "coarse_tokens": 0, "unread_tokens": 49_958, "document_tokens": 50_000}
        quote = {"quote": text, "source": "10-K.pdf", "page": 3, "start": 10, "end": 29, "verified": True}
        events += [Answered(text=text, confidence=0.8, citations=[quote], receipt=receipt), finished]
    return Trace(tuple(events))


def make_answer(text="Sales were 2,160.4.", **changes) -> Answer:
    usage = Usage(input_tokens=900, output_tokens=100, calls=2, cost_usd=0.0)
    unread = tuple(
        Unread(node=(0, n), title=f"{text} {n}", source="10-K.pdf", pages=(n, n + 1), tokens=100 * n, relevance=1 / n)
        for n in range(1, 9)
    )
    fields = {
        "text": text,
        "confidence": 0.83,
        "citations": (
            Citation(
                quote=f"{text}\nof dollars",
                source="10-K.pdf",
                page=3,
                start=1_000,
                end=1_019,
                verified=True,
                context="Year\n2025  2024",
            ),
            Citation(quote="never said", source="10-K.pdf", verified=False),
        ),
        "receipt": Receipt(
            read_tokens=700, coarse_tokens=300, unread_tokens=9_000, document_tokens=10_000, unread=unread
        ),
        "notes": ("The last line was cut.",),
        "usage": usage,
        "by_stage": (("compose", usage),),
        "budget": Budget(4_000),
    }
    return Answer(**{**fields, **changes})


def outline(text, **parts):
    return planner.outline(Document(name="doc.txt", text=text, **parts), lambda piece: max(1, len(piece) // 4))


@pytest.fixture(scope="module")
def many_sections():
    """Forty sections, which the tree must group by the dozen."""
    filler = "".join(f"And sentence {k} says more on pears and on plums. " for k in range(40))
    bodies = [f"Chapter {n}\n\nIt says {n} things about apples. {filler}\n\n" for n in range(40)]
    edges = [sum(map(len, bodies[:n])) for n in range(41)]
    sections = tuple(Section(title=f"Chapter {n}", span=Span(edges[n], edges[n + 1])) for n in range(40))
    return outline("".join(bodies), sections=sections)


class TestText:
    @given(st.text())
    def test_nothing_that_steers_a_terminal_is_left(self, text):
        """Whatever a document holds, lone surrogates and direction marks included."""
        safe = viewer.plain(text + HOSTILE)
        assert not CONTROLS.search(safe.replace("\t", "").replace("\n", ""))
        safe.encode("utf-8")

    @given(st.text())
    def test_one_line_is_one_line(self, text):
        """So that a quote can't look like output of ours."""
        assert len(viewer.one_line(text).splitlines()) <= 1

    def test_a_tables_leaders_are_shortened(self):
        """Dots fill half a line of a filing and say nothing."""
        assert viewer.one_line("Net sales ........... $ 3.1  $ 2.9") == "Net sales … $ 3.1 $ 2.9"
        assert viewer.one_line("and so on... and on. Fin.") == "and so on... and on. Fin."


class TestBars:
    @given(st.lists(st.integers(0, 10_000), max_size=6), st.integers(1, 10_000), st.integers(6, 120))
    def test_parts_fit_and_show(self, parts, whole, width):
        """Parts never exceed the whole, and none that isn't nothing is too thin to see."""
        cells = Bar(parts, whole).cells(width)
        assert sum(cells) <= width
        assert all(bool(cell) == bool(part) for cell, part in zip(cells, parts, strict=True))

    def test_a_bar_is_as_wide_as_its_place(self):
        """In lines where there are any, in ASCII where there aren't."""
        assert drawn(Bar([50], 100), width=20).strip("\n") == "█" * 10 + "─" * 10
        latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
        Console(file=latin, width=20, color_system=None, _environ={}).print(Bar([50, 25], 100))
        latin.seek(0)
        assert latin.read().strip() == "#" * 10 + "=" * 5 + "-" * 5

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=50), st.integers(1, 120))
    def test_the_strip_hides_nothing_that_was_read(self, shares, width):
        """Squeezed into any width, its densest stretch is still there."""
        columns = Strip(tuple(shares)).columns(width)
        assert len(columns) == width
        assert max(columns) == max(shares)

    def test_the_strip_is_dense_where_was_read(self, many_sections):
        """The first leaves read show at its beginning only."""
        shares = viewer.reading_strip(many_sections, [(0, 10)]).shares
        read = many_sections.leaf_edges[10] / many_sections.tokens
        assert shares[0] == 1
        assert sum(shares) / len(shares) == pytest.approx(read, abs=1e-3)


class TestAnswers:
    def test_everything_that_matters_is_there(self):
        """Text, quotes with their places, the bill, the receipt, what was left, and the notes."""
        text = drawn(viewer.answer_view(make_answer()))
        for part in (
            "Sales were 2,160.4.", "confidence 0.83", "10-K.pdf · page 3 · characters 1,000–1,019 · verbatim",
            "Year 2025 2024",
            "not found there", "1,000 of 4,000 tokens spent", "3,000 left", "2 calls", "compose 1,000", "7.0% read",
            "3.0% seen as summaries", "pages 1–2", "100 tokens", "and 4 more, 2,600 tokens", "The last line was cut.",
        ):  # fmt: skip
            assert part in text

    def test_no_answer_says_so(self):
        """And says what is missing."""
        answer = make_answer(text="Nothing on sales.", abstained=True, citations=(), missing="net sales")
        text = drawn(viewer.answer_view(answer))
        assert text.startswith("No answer\n  Nothing on sales.")
        assert "Missing: net sales" in text
        assert "Quote" not in text

    @pytest.mark.parametrize("width", [30, 60, 100, 200])
    def test_it_fits_any_width(self, width):
        """No line is longer than the terminal."""
        for view in (viewer.answer_view(make_answer()), viewer.trace_view(make_trace())):
            assert max(map(len, drawn(view, width).splitlines())) <= width

    @pytest.mark.parametrize(
        "view",
        [
            lambda: viewer.answer_view(make_answer(HOSTILE, notes=(HOSTILE,), missing=HOSTILE)),
            lambda: viewer.trace_view(make_trace(HOSTILE, HOSTILE)),
            lambda: viewer.events_view(make_trace(HOSTILE, HOSTILE)),
            lambda: viewer.tree_view(outline(f"{HOSTILE}\nMore of it.\n"), depth=3),
        ],
        ids=["answer", "trace", "events", "tree"],
    )
    def test_a_document_cannot_draw(self, view):
        """Its markup is shown as it stands, its control characters are gone, even where the console reads markup."""
        text = drawn(view(), width=300)
        assert not CONTROLS.search(text)
        assert "[bold red]BOO[/]" in text
        assert ":skull:" in text


class TestTraces:
    def test_the_story_is_told_from_events_alone(self):
        """Written to a file and read back, it is the same to the letter."""
        trace = make_trace()
        text = drawn(viewer.trace_view(trace))
        assert text == drawn(viewer.trace_view(Trace.from_jsonl(trace.to_jsonl())))
        for part in (
            "What were sales?", "10-K.pdf · 50,000 tokens", "900 nodes", "4,000 tokens · 9 calls", "extractive",
            "lookup · filing", "1,600 of 4,000 tokens spent", "refine 650 16%", "compose 950 24%", "unspent 2,400 60%",
            "Granted, by branch", "735 of 2,000 tokens granted, by expected_gain", "Sales were 2,160.4.",
            "[1] “Sales were 2,160.4.”", "The file has no bookmarks.", "One call was sent again.",
        ):  # fmt: skip
            assert part in text

    def test_a_trace_cut_short_is_told_up_to_the_cut(self):
        """At every length, the empty one included."""
        trace = make_trace()
        for length in range(len(trace)):
            assert drawn(viewer.trace_view(Trace(trace.events[:length])), width=60)
        assert "ends before an answer" in drawn(viewer.trace_view(make_trace(end=False)))

    def test_each_event_has_its_line(self):
        """Numbered as in the file, whose first line is the header."""
        trace = make_trace()
        lines = drawn(viewer.events_view(trace), width=80).splitlines()
        assert len(lines) == len(trace)
        assert lines[0].split()[:2] == ["2", "Started"]
        assert max(map(len, lines)) <= 80


class TestTrees:
    def test_nameless_groups_give_way(self, many_sections):
        """All forty chapters stand side by side, whatever groups keep the tree narrow."""
        children = shown_children(many_sections, 0)
        assert [many_sections.title(child) for child in children] == [f"Chapter {n}" for n in range(40)]
        assert len(many_sections.children(0)) <= 12

    def test_an_outline_of_its_own_choosing_is_short(self, many_sections):
        """With its lines counted; more is there for the asking."""
        text = drawn(viewer.tree_view(many_sections, summaries=False))
        assert len(text.splitlines()) <= 49
        deeper = drawn(viewer.tree_view(many_sections, depth=2, summaries=False))
        assert len(deeper.splitlines()) > 80
        assert "sentence" in deeper

    def test_very_many_sections_are_cut_off(self):
        """And the last line says how many are left."""
        count = 120
        text = "".join(f"Part {n}\n\n{'There are some words in here. ' * 60}\n\n" for n in range(count))
        starts = [match.start() for match in re.finditer("Part", text)] + [len(text)]
        sections = tuple(Section(title=f"Part {n}", span=Span(starts[n], starts[n + 1])) for n in range(count))
        lines = drawn(viewer.tree_view(outline(text, sections=sections), summaries=False)).splitlines()
        assert len(lines) == 50
        assert "and 72 more" in lines[-1]

    def test_a_text_without_titles_shows_its_passages(self):
        """One level of them."""
        tree = outline("\n\n".join(f"Apples are {n} and pears are {n + 1}. So it goes." for n in range(50)))
        assert shown_depth(tree, 0) == 1
        assert "Apples are" in drawn(viewer.tree_view(tree))

    def test_it_begins_at_a_node(self, many_sections):
        """And shows the text under it, even without a depth."""
        child = many_sections.node(shown_children(many_sections, 0)[3])
        text = drawn(viewer.tree_view(many_sections, node=str(child)))
        assert text.startswith(f"{child}  Chapter 3")
        assert "And sentence" in text

    def test_pages_and_tokens_stand_beside_titles(self):
        """For a document with pages."""
        text = "One\nfirst page words.\nsecond page words.\n"
        pages = (Span(0, 22), Span(22, len(text)))
        tree = outline(text, pages=pages, sections=(Section(title="One", span=Span(0, len(text))),))
        assert "pages 1–2" in drawn(viewer.tree_view(tree))

    def test_a_document_of_one_word_has_an_outline(self):
        """Its name, and the word."""
        assert "Yes" in drawn(viewer.tree_view(outline("Yes"), depth=9))


class TestPictures:
    def test_a_picture_is_the_same_each_time_and_loads_nothing(self):
        """So that it can be committed, and shown where there is no network."""
        picture = viewer.svg(viewer.answer_view(make_answer()), title="a <demo>")
        assert picture == viewer.svg(viewer.answer_view(make_answer()), title="a <demo>")
        assert "url(http" not in picture
        assert "@import" not in picture
        assert re.findall(r"https?://[^\"]+", picture) == ["http://www.w3.org/2000/svg"]
        assert "a&#160;&lt;demo&gt;" in picture

    def test_a_picture_is_well_formed_whatever_the_document(self):
        """Control characters aren't XML."""
        from xml.etree import ElementTree

        ElementTree.fromstring(viewer.svg(viewer.answer_view(make_answer(HOSTILE + "<&>\ufffe\uffff\x00")), title="t"))
