"""A trace as Markdown and as JSON: the whole story, and nothing in it that marks up, links or mentions anybody."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from share_traces import ALL_CHARACTERS, ATTACKS, HOSTILE, QUESTION, cut_off, extractive, hostile, staged, version_1

from hierarchy import Document, ask
from hierarchy.errors import StoreError
from hierarchy.events import Noted, Read, Reserved
from hierarchy.redaction import NOTE, redacted
from hierarchy.trace import Trace
from hierarchy.viewer.share_html import trace_html
from hierarchy.viewer.share_text import escaped, trace_json, trace_markdown
from hierarchy.viewer.text import one_line

MARKDOWN = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
OURS = {"h2", "h3", "p", "strong", "blockquote", "br", "ol", "ul", "li", "table", "thead", "tbody", "tr", "th", "td"}
TRACES = {"extractive": extractive, "staged": staged, "hostile": hostile}


@pytest.fixture(params=TRACES)
def trace(request) -> Trace:
    return TRACES[request.param]()


def tags(markdown: str) -> set[str]:
    return set(re.findall(r"<(\w+)", MARKDOWN.render(markdown)))


def shown(markdown: str) -> str:
    """What a reader sees of a line."""
    (inline,) = [token for token in MARKDOWN.parse(f"x{markdown}") if token.type == "inline"]
    assert {child.type for child in inline.children} <= {"text", "text_special"}, inline.children
    return "".join(child.content for child in inline.children)[1:]


# -- Markdown ----------------------------------------------------------------------------------------------------------


def test_only_what_can_be_compared_is():
    """A run that read everything isn't a multiple of reading everything; one without an answer isn't a share of it."""
    note = Document(name="note.txt", text="The cat sat on the mat. It was 7 years old.")
    whole = ask(note, "How old was the cat?").trace
    for text in (trace_markdown(whole), trace_html(whole)):
        assert "times that was spent" not in text
        assert "Against reading everything" not in text
    assert "The whole document was sent." in trace_markdown(whole)
    for cut in cut_off(staged()):
        for text in (trace_markdown(cut), trace_html(cut)):
            assert "of that was spent" not in text
            assert "Against reading everything" not in text
    assert "Against reading everything" in trace_html(extractive())


def test_markdown_tells_the_story():
    """Question, answer, quotes with pages, the bill, calls, what was read, what wasn't, and that it is complete."""
    text = trace_markdown(extractive())
    answer = extractive().answer()
    assert text.startswith(f"## {QUESTION}\n")
    assert "$11.7 million" in text.replace("\\", "")
    for number, citation in enumerate(answer["citations"], 1):
        assert f"{number}. “" in text
        assert f"page {citation['page']}, characters {citation['start']:,}–{citation['end']:,}" in text
    assert "verified: stands there verbatim" in text
    spent = extractive().usage().total_tokens
    assert f"{spent:,} of 4,000 tokens spent, {4_000 - spent:,} left." in text
    assert "Sending the whole document once would be 38,734 tokens" in text
    assert "| Note 20. Subsequent Events | 52 |" in text
    assert "### Not read, most relevant first" in text
    assert "The trace is complete." in text


def test_markdown_is_a_page_long():
    """For usual runs: about what one reads before approving something."""
    for made in (extractive(), staged()):
        assert len(trace_markdown(made).splitlines()) < 90
        assert len(trace_markdown(made)) < 8_000


def test_markdown_has_a_row_for_each_call_with_its_end():
    text = trace_markdown(staged())
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(rows) == len(staged().of(Reserved))
    assert any("failed, The provider is" in row for row in rows)
    assert any("attempt 2" in row for row in rows)
    assert all("| some/model |" in row for row in rows)
    assert re.search(r"\| route \| some/model \| [\d,]+ \| [\d,]+ \| – \| \\\$0\.\d+ \| answered \|", text)


def test_the_bill_adds_up_in_markdown(trace):
    lines = [line for line in trace_markdown(trace).split("### Budget")[1].splitlines() if line.startswith("| ")][2:]
    totals = [int(line.split(" | ")[4].replace(",", "").replace("*", "")) for line in lines[: _rows(lines)]]
    assert sum(totals[:-1]) == totals[-1] == trace.usage().total_tokens


def _rows(lines: list[str]) -> int:
    return next(place for place, line in enumerate(lines, 1) if line.startswith("| **all**"))


def test_markdown_holds_no_markup_but_its_own(trace):
    assert tags(trace_markdown(trace)) <= OURS


@pytest.mark.parametrize(
    "attack", [*ATTACKS, "@somebody, see #12", "[a](b)", "![a](b)", "`x`", "a\n\n# b\n- c", "| a | b |"]
)
def test_no_text_marks_itself_up(attack):
    """Each is shown as it is, on one line, wherever it stands."""
    text = trace_markdown(hostile(attack))
    assert tags(text) <= OURS
    words = shown(escaped(attack)).replace("\u2060", "")
    assert words == one_line(attack)


@given(st.text(st.characters(codec=None, exclude_categories=())) | st.text("\\`*_[]<>#|~!&@-+=1.) \n$:/w"))
def test_what_is_escaped_is_shown_as_it_was(words):
    """Nothing is lost but line breaks and what steers a screen."""
    line = escaped(words)
    assert "\n" not in line
    assert shown(line).replace("\u2060", "").strip() == one_line(words).replace("\u2060", "").strip()


@given(st.text(st.sampled_from("1.-+>#=~ )ab\\")))
def test_what_is_escaped_begins_no_block(words):
    """At the start of a line a number is no list, a dash no rule."""
    kinds = {token.type for token in MARKDOWN.parse(escaped(words))}
    assert kinds <= {"paragraph_open", "inline", "paragraph_close"}


@pytest.mark.parametrize("words", ["@team", "a@b.example", "#12", "GH-7", "http://evil.example", "www.evil.example"])
def test_nobody_is_mentioned_and_nothing_linked(words):
    """Sites do that to rendered text, whatever was escaped: a joiner that nobody sees stands within."""
    assert "\u2060" in escaped(words)
    rendered = MARKDOWN.render(escaped(words))
    assert not re.search(r"@\w|#\d|GH-\d|://|www\.", rendered)


def test_markdown_says_what_is_missing():
    for cut in cut_off(staged()):
        text = trace_markdown(cut)
        assert "**The trace is incomplete:**" in text
        assert "**No answer.**" in text
    assert "its question" in trace_markdown(Trace(()))


def test_markdown_of_version_1_tells_reads_by_page():
    text = trace_markdown(version_1(extractive()))
    assert "| annual\\_report.pdf, page 52 |" in text
    assert tags(text) <= OURS


def test_markdown_of_a_redacted_trace_says_so():
    text = trace_markdown(redacted(staged()))
    assert NOTE in text
    assert "Orchard" not in text


def test_markdown_says_where_a_quote_was_not_found():
    made = hostile("x")
    answered = made.of(type(made.events[-2]))[0]
    wrong = {**answered.citations[0], "verified": False}
    changed = type(answered)(text="x", citations=(wrong,))
    assert "**not verified: not found there**" in trace_markdown(Trace((*made.events[:-2], changed)))


# -- JSON --------------------------------------------------------------------------------------------------------------


def documented_keys() -> set[str]:
    """Keys that the docstring names before it says what they hold."""
    text = re.sub(r"\([^()]*\)", "", trace_json.__doc__.split("Its keys:")[1].split("Unknown costs")[0])
    return set(re.findall(r"`(\w+)`", text))


def test_json_has_the_keys_that_its_docstring_says(trace):
    assert set(json.loads(trace_json(trace))) == documented_keys()


def test_json_tells_what_the_trace_tells(trace):
    told = json.loads(trace_json(trace))
    usage = trace.usage()
    assert told["answer"]["text"] == trace.answer()["text"]
    assert len(told["answer"]["citations"]) == len(trace.answer()["citations"])
    assert told["bill"]["total_tokens"] == usage.total_tokens
    assert told["bill"]["cost_usd"] == usage.cost_usd
    assert sum(each["total_tokens"] for each in told["by_stage"]) == usage.total_tokens
    billed = [each for each in told["calls"] if each["state"] != "recalled" and each["usage"]]
    assert sum(each["usage"]["total_tokens"] for each in billed) == usage.total_tokens
    assert [(each["start"], each["end"]) for each in told["reads"]] == [(r.start, r.end) for r in trace.of(Read)]
    assert not [each for each in told["calls"] if "prompt" in each or "reply" in each]


def test_json_reckons_what_was_left_unread_would_cost():
    told = json.loads(trace_json(staged()))
    assert told["complete"]
    assert not told["redacted"]
    assert told["unread"]
    for each in told["unread"]:
        assert each["cost_usd"] == pytest.approx(3e-6 * each["tokens"])
    assert told["read_all"]["cost_usd"] == pytest.approx(3e-6 * 38_734)
    assert json.loads(trace_json(extractive()))["read_all"]["cost_usd"] is None  # Nothing is no price.


def test_json_of_sections_read_adds_up_to_what_was_read():
    told = json.loads(trace_json(extractive()))
    assert sum(each["tokens"] for each in told["tree"]["sections_read"]) == told["receipt"]["read_tokens"]


def test_json_is_ascii_and_gives_any_text_back():
    text = trace_json(hostile(HOSTILE + ALL_CHARACTERS))
    assert text.isascii()
    assert json.loads(text)["question"] == HOSTILE + ALL_CHARACTERS


def test_json_opens_what_is_cut_off_old_or_redacted():
    for cut in cut_off(staged()):
        told = json.loads(trace_json(cut))
        assert not told["complete"]
        assert told["answer"] is None
    assert json.loads(trace_json(version_1(staged())))["models"] == []
    assert json.loads(trace_json(redacted(staged())))["redacted"]


def test_json_refuses_what_it_has_no_place_for():
    broken = Trace((Read(node="0", source="a", start=0, end=1, tokens=1, relevance=float("nan")),))
    with pytest.raises(StoreError, match="can't be written"):
        trace_json(broken)


@given(st.integers(0, 40))
def test_the_same_trace_gives_the_same_text(count):
    events = staged().events[:count]
    assert trace_markdown(Trace(events)) == trace_markdown(Trace((*events,)))
    assert trace_json(Trace(events)) == trace_json(Trace((*events,)))


def test_notes_are_told_once():
    twice = Trace((Noted(what="One call failed."), Noted(what="One call failed.")))
    assert trace_markdown(twice).count("One call failed.") == 1
