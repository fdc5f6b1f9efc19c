"""A trace as one HTML file to share: opens anywhere, offline, loads nothing, and works without its script.

The page is made of parts, each from the same `Story`: answer and quotes, budget, map, calls, document, what wasn't
read, notes. Whatever comes from documents, models and traces is escaped where it becomes markup (`share_markup`), and
the page forbids itself all but its own style and script. **The same trace and tree give the same bytes.**
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hierarchy.answer import verify
from hierarchy.budget import Usage
from hierarchy.errors import InputError
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree
from hierarchy.viewer.share_bars import Part, bar, patterns, swatch
from hierarchy.viewer.share_document import Shown, document_view
from hierarchy.viewer.share_map import Branch, read_map
from hierarchy.viewer.share_markup import Html, joined, page, tag
from hierarchy.viewer.share_story import Call, Story, against, caps, is_comparable, share, usd, whole
from hierarchy.viewer.sorting import REFUSED
from hierarchy.viewer.text import one_line, pages, percent, plain, probability, tokens

__all__ = ["trace_html"]

_MOST_UNREAD = 12
_STYLE, _SCRIPT = Path(__file__).with_name("report.css"), Path(__file__).with_name("report.js")

_SIGNS = {
    "verbatim": ("●", "verbatim"),
    "part": ("◐", "in part"),
    "refined": ("◎", "refined"),
    "granted": ("◌", "granted"),
    "coarse": ("○", "coarse"),
    "unread": ("·", "unread"),
}
_MEANINGS = (
    ("verbatim", "all of it, or nearly, was shown to the model that answered, word for word"),
    ("part", "some of it was, word for word"),
    ("refined", "a helping model read it, so many tokens, and passed on little or nothing word for word"),
    ("granted", "it might have been read, and wasn't by the trace's end"),
    ("coarse", "seen as a summary only"),
    ("unread", "not seen"),
)
_OUTCOMES = {
    "answered": "✓ answered",
    "failed": "✗ failed",
    "given up": "– not sent",
    "recalled": "↺ recalled",
    "open": "… no end",
}


def trace_html(trace: Trace, tree: SummaryTree | None = None) -> str:
    """The whole story of a question as one self-contained HTML file.

    Args:
        trace: Any trace: of version 1, cut short, or redacted.
        tree: The document's tree; with it the page holds the text, what was read highlighted, the rest folded. Without
            it the evidence is shown as prompts show it.

    Raises:
        InputError: The tree isn't of the document that was asked; of a trace that doesn't say which that was (a
            redacted one, made without its keys), either.
    """
    story = Story(trace)
    if tree is not None:
        _check_same(story, tree)
    shown = document_view(story, tree)
    parts = [
        ("answer", "Answer", _answer(story, shown)),
        ("budget", "Budget", _budget(story)),
        ("map", "Map", _map(story, tree)),
        ("calls", "Calls", _calls(story)),
        ("document", "Document", shown.view),
        ("unread", "Not read", _unread(story)),
        ("notes", "Notes", _notes(story)),
    ]
    present = [(name, heading, view) for name, heading, view in parts if view is not None]
    links = [tag("li", tag("a", heading, href=f"#{name}")) for name, heading, _ in present]
    body = joined(
        (
            patterns(),
            tag("a", "Skip to the answer", class_="skip", href="#answer"),
            _header(story, tag("nav", tag("ul", *links), aria_label="Parts of this page")),
            tag("main", *(_section(*part) for part in present)),
            _footer(story),
        )
    )
    question = one_line(story.question)
    return page(
        title=f"{question} – how it was answered" if question else "A trace of hierarchy",
        style=_STYLE.read_text("utf-8"),
        script=_SCRIPT.read_text("utf-8"),
        body=body,
    )


def _check_same(story: Story, tree: SummaryTree) -> None:
    key = story.started.document_key if story.started else ""
    if not key or key != tree.document.key:
        asked = one_line(story.document) or "a document that it doesn't name"
        raise InputError(
            f"{one_line(tree.document.name)} isn't the document that the trace is of: that was {asked}.",
            "Give the file as it was when the question was asked, or leave the document out.",
        )


def _section(name: str, heading: str, view: Html) -> Html:
    return tag("section", tag("h2", heading, id=f"{name}-heading"), view, id=name, aria_labelledby=f"{name}-heading")


def _header(story: Story, nav: Html) -> Html:
    started = story.started
    facts = []
    if started:
        files = f"{len(started.source_names):,} files" if len(started.source_names) > 1 else None
        facts = [tag("bdi", one_line(started.document)), files, tokens(started.document_tokens)]
        facts += [f"answered by {one_line(started.model)}", f"within {', '.join(caps(story))}"]
    badges = [] if story.complete else [tag("span", "Incomplete: the trace ends before its end", class_="badge warn")]
    if story.redacted:
        badges.append(tag("span", "Redacted: words were removed, figures kept", class_="badge"))
    return tag(
        "header",
        tag("p", "How a question was answered", class_="kicker"),
        tag("h1", one_line(story.question) or "A trace without its question", dir="auto"),
        tag("p", _dotted(facts), class_="facts") if facts else None,
        tag("p", *badges, class_="badges") if badges else None,
        nav,
    )


def _dotted(facts: Iterable[str | None]) -> Html:
    return joined((fact for fact in facts if fact), " · ")


# -- the answer --------------------------------------------------------------------------------------------------------


def _answer(story: Story, shown: Shown) -> Html:
    answered = story.answered
    if story.gathered:
        gathered = tokens(whole(story.receipt, "read_tokens"))
        return tag("p", f"No answer was asked for: {gathered} of context were gathered for another model.")
    if story.refused:
        return tag("p", f"There is no answer. {REFUSED}", class_="none")
    if answered is None:
        held = story.trace.held_tokens()
        more = f" {tokens(held)} were held for calls that have no end." if held else ""
        return tag("p", f"There is no answer: the trace ends before one.{more}", class_="none")
    said: list[str | None] = []
    if answered.abstained:
        said.append(tag("p", "What was read doesn't hold an answer.", class_="none"))
    if answered.text.strip():
        said.append(tag("div", *_cited(story), class_="said", dir="auto"))
    sure = f"Confidence {answered.confidence:.2f}"
    cut = " · reading was cut short" if answered.partial else ""
    said.append(tag("p", f"{sure}{cut}", class_="meta"))
    quotes = [_citation(story, number, each, shown) for number, each in enumerate(story.citations, 1)]
    if quotes:
        said += [tag("h3", "Quotes that bear it"), tag("ol", *quotes, class_="quotes")]
    return joined(said)


def _cited(story: Story) -> Iterator[Html]:
    """The answer's text with the numbers of its quotes: behind the words that quote, else at the end."""
    text = story.answered.text.strip() if story.answered else ""
    marks: dict[int, list[int]] = {}
    for number, citation in enumerate(story.citations, 1):
        span = verify(text, str(citation.get("quote") or ""))
        marks.setdefault(span.end if span else len(text), []).append(number)
    at = 0
    for place in sorted({*marks, len(text)}):
        yield tag("span", text[at:place])
        at = place
        for number in marks.get(place, ()):
            yield tag("sup", tag("a", f"{number}", href=f"#cite-{number}", aria_label=f"Quote {number}"), class_="cite")


def _citation(story: Story, number: int, citation: Mapping[str, Any], shown: Shown) -> Html:
    verified = bool(citation.get("verified"))
    place = [tag("bdi", one_line(str(citation.get("source") or ""))), story.place({"page": citation.get("page")})]
    place.append(f"characters {whole(citation, 'start'):,}–{whole(citation, 'end'):,}")
    found = "✓ stands there verbatim" if verified else "✗ not found there"
    place.append(tag("span", found, class_="good" if verified else "bad"))
    link = tag("a", "Show it there", tag("span", f" (quote {number})", class_="vh"), href=f"#quote-{number}")
    linked = tag("span", " · ", link, class_="to-place") if number in shown.quotes else None
    return tag(
        "li",
        tag("blockquote", one_line(str(citation.get("quote") or "")), dir="auto", lang=""),
        tag("p", _dotted(place), linked, class_="meta"),
        id=f"cite-{number}",
    )


# -- the budget --------------------------------------------------------------------------------------------------------


def _budget(story: Story) -> Html:
    usage, cap = story.trace.usage(), story.cap_tokens
    bills, held = story.trace.usage_by_stage(), story.trace.held_tokens()
    parts = [Part(one_line(stage) or "other", bill.total_tokens, place) for place, (stage, bill) in enumerate(bills)]
    left = max(0, cap - usage.total_tokens - held) if cap else 0
    rest = [Part("held for calls without an end", held, "held")] if held else []
    rest += [Part("left", left, "left")] if left else []
    of = f" of {tokens(cap)}" if cap else " tokens"
    label = f"{usage.total_tokens:,}{of} spent: " + ", ".join(
        f"{part.name} {part.tokens:,}" for part in (*parts, *rest)
    )
    figure = tag(
        "figure",
        bar([*parts, *rest], cap=cap, label=label),
        tag("figcaption", f"Hard cap: {tokens(cap)}" if cap else "The cap isn't known.", class_="cap-label"),
    )
    trouble = None
    if story.overdraft_tokens:
        trouble = tag("p", f"{tokens(story.overdraft_tokens)} were billed beyond what was reserved.", class_="bad")
    return joined((_tiles(story), figure, trouble, _bill(story, parts, rest), *_against(story)))


def _tiles(story: Story) -> Html:
    usage, cap, length = story.trace.usage(), story.cap_tokens, story.document_tokens
    read = whole(story.receipt, "read_tokens")
    spent = f"of {tokens(cap)}, {percent(usage.total_tokens / cap)}" if cap else "cap unknown"
    tiles = [("Tokens spent", f"{usage.total_tokens:,}", spent)]
    if length:
        shown = sum(each.tokens for each in story.trace.reads())
        passed = f", {shown:,} of them shown to the model that answered" if story.answered and shown < read else ""
        tiles.append(("Document read", percent(read / length), f"{read:,} of {tokens(length)}{passed}"))
    took = [call.seconds for call in story.calls if call.seconds is not None]
    seconds = f"{sum(took):,.1f} seconds of calls" if took else "duration not measured"
    tiles.append(("Calls", f"{usage.calls:,}", seconds))
    tiles.append(
        (
            "Cost",
            usd(usage.cost_usd),
            "as billed" if usage.cost_usd else "no price is known" if usage.cost_usd is None else "nothing was billed",
        )
    )
    return tag(
        "dl",
        *(tag("div", tag("dt", name), tag("dd", tag("b", figure), tag("span", more))) for name, figure, more in tiles),
        class_="tiles",
    )


def _bill(story: Story, parts: Sequence[Part], rest: Sequence[Part]) -> Html:
    usage, cap = story.trace.usage(), story.cap_tokens
    bills = dict(zip(parts, (bill for _, bill in story.trace.usage_by_stage()), strict=True))
    base = cap or usage.total_tokens or 1
    heads = ("stage", "calls", "tokens in", "tokens out", "tokens", "USD", "of the cap" if cap else "share")
    rows: list[tuple[Part, tuple[str, ...]]] = [
        (part, (*_billed(bill), percent(part.tokens / base))) for part, bill in bills.items()
    ]
    rows += [(part, ("", "", "", f"{part.tokens:,}", "", percent(part.tokens / base))) for part in rest]
    total = ("spent in all", *_billed(usage), percent(usage.total_tokens / base))
    body = [
        tag("tr", tag("th", swatch(part), part.name, scope="row"), *(tag("td", cell) for cell in cells))
        for part, cells in rows
    ]
    foot = tag("tr", tag("th", total[0], scope="row"), *(tag("td", cell) for cell in total[1:]))
    head = tag("tr", *(tag("th", name, scope="col") for name in heads))
    table = tag("table", tag("thead", head), tag("tbody", *body), tag("tfoot", foot), class_="figures")
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Bill by stage")


def _billed(usage: Usage) -> tuple[str, ...]:
    counts = (usage.calls, usage.input_tokens, usage.output_tokens, usage.total_tokens)
    return (*(f"{count:,}" for count in counts), usd(usage.cost_usd))


def _against(story: Story) -> Iterator[Html]:
    """What was spent beside what the whole document would have taken."""
    length, spent = story.document_tokens, story.trace.usage().total_tokens
    if length and spent and is_comparable(story):
        yield tag("h3", "Against reading everything")
        scale = max(length, spent)
        both = (("This run", spent, "spent"), ("Whole document", length, "all"))
        for name, count, kind in both:
            drawn = bar([Part(name, count, kind)], cap=None, whole=scale, label=f"{name}: {tokens(count)}")
            yield tag("div", tag("span", name), drawn, tag("b", f"{count:,}"), class_="versus")
        yield tag("p", against(story), class_="lead")


# -- the map -----------------------------------------------------------------------------------------------------------


def _map(story: Story, tree: SummaryTree | None) -> Html:
    found = read_map(story, tree)
    if found is None:
        return tag("p", "The trace holds no map of the tree; traces of version 1 don't.", class_="lead")
    lead = "Open where something happened, folded where nothing did. Tokens granted, and read of all there are."
    meanings = [
        joined((tag("dt", tag("span", _SIGNS[state][0], class_=f"sign {state}", aria_hidden="true"), _SIGNS[state][1]),
                tag("dd", meaning)))
        for state, meaning in _MEANINGS
    ]  # fmt: skip
    heads = ("part", "relevance", "resolution", "granted", "read / of")
    head = tag("div", *(tag("span", name) for name in heads), class_="row heads", aria_hidden="true")
    rows = tag("ul", _branch(found.root(), top=True), class_="map")
    return joined((tag("p", lead, class_="lead"), tag("dl", *meanings, class_="legend"), head, rows))


def _branch(branch: Branch, *, top: bool = False) -> Html:
    row = _row(branch)
    if not branch.below:
        return tag("li", tag("div", *row, class_="row"))
    # Where the parts are mere passages it stays folded: their text is shown with the document.
    opened = top or any(below.touched and below.kind not in ("passage", "sentence", "row") for below in branch.below)
    below = tag("ul", *map(_branch, branch.below))
    return tag("li", tag("details", tag("summary", *row, class_="row"), below, open=opened))


def _row(branch: Branch) -> Iterator[Html]:
    sign, word = _SIGNS[branch.resolution]
    kind = branch.kind if branch.kind not in ("section", "document") and branch.together == 1 else None
    about = _dotted((kind if (kind or "").lower() != branch.title.lower() else None, pages(branch.pages)))
    quiet = " quiet" if not branch.touched else ""
    yield tag("span", tag("bdi", branch.title), " ", tag("small", about) if about else None, class_=f"name{quiet}")
    if branch.relevance is None:
        yield tag("span", "–", class_="relevance")
    else:
        drawn = bar([Part("relevance", round(branch.relevance * 1_000), "relevance")], cap=None, whole=1_000)
        figure = tag("span", _hidden("relevance "), probability(branch.relevance))
        yield tag("span", drawn, figure, class_="relevance")
    told = f"{word} {branch.refined:,}" if branch.resolution == "refined" else word
    yield tag("span", tag("span", sign, class_=f"sign {branch.resolution}", aria_hidden="true"), told, class_="state")
    granted = f"{branch.granted:,}" if branch.granted else "–"
    yield tag("span", _hidden("granted "), granted, class_="granted", data_name="granted")
    read = tag("b", f"{branch.read:,}") if branch.read else "–"
    yield tag("span", _hidden("read "), read, f" / {branch.tokens:,}", class_="read-of", data_name="read")


def _hidden(words: str) -> Html:
    return tag("span", words, class_="vh")


# -- the calls ---------------------------------------------------------------------------------------------------------


def _calls(story: Story) -> Html:
    if not story.calls:
        return tag("p", "No call was made.", class_="lead")
    heads = ("stage", "model", "tokens in → out", "seconds", "USD", "outcome")
    head = tag("div", *(tag("span", name) for name in heads), class_="call heads", aria_hidden="true")
    rows = [tag("li", _call(call)) for call in story.calls]
    return joined((tag("p", "In order; each opens to all that was sent and all that came back.", class_="lead"), head,
                   tag("ol", *rows, class_="calls")))  # fmt: skip


def _call(call: Call) -> Html:
    usage = call.usage
    about = f" {one_line(call.node)}" if call.node else ""
    sizes = f"{usage.input_tokens:,} → {usage.output_tokens:,}" if usage else "–"
    outcome = [_OUTCOMES[call.state], "cached" if call.cached and call.state != "recalled" else ""]
    outcome.append(f"attempt {call.attempt}" if call.attempt > 1 else "")
    bad = call.state in ("failed", "open")
    summary = tag(
        "summary",
        tag("span", tag("b", one_line(call.stage) or "call"), about, class_="stage"),
        tag("span", one_line(call.model) or "–", class_="model"),
        tag("span", sizes, class_="sizes", data_name="tokens"),
        tag("span", "–" if call.seconds is None else f"{call.seconds:,.1f}", class_="seconds", data_name="seconds"),
        tag("span", usd(usage.cost_usd) if usage else "–", class_="usd", data_name="USD"),
        tag("span", ", ".join(filter(None, outcome)), class_="outcome bad" if bad else "outcome"),
        class_="call",
    )
    return tag("details", summary, tag("div", *_inside(call), class_="inside"))


def _inside(call: Call) -> Iterator[Html]:
    facts = [f"{tokens(call.held_tokens)} were reserved" if call.held_tokens else None]
    facts.append(f"{call.overdraft_tokens:,} billed beyond that" if call.overdraft_tokens else None)
    facts.append(f"sent again after {call.waited_s:,.1f} seconds" if call.waited_s else None)
    facts.append(
        "the figures are what it cost when it was made; it cost nothing now" if call.state == "recalled" else ""
    )
    if any(facts):
        yield tag("p", _dotted(facts), class_="meta")
    if call.error:
        yield tag("p", tag("b", "Error: "), one_line(call.error), class_="bad", dir="auto")
    for name, words in (("Prompt", call.prompt), ("Reply", call.reply)):
        yield tag("h3", name)
        # The parser drops a line break that follows the tag; this one, not the text's own.
        shown = tag("pre", Html("\n"), plain(words), dir="auto", lang="", tabindex=0) if words else None
        yield shown or tag("p", "The trace doesn't hold it." if call.state != "open" else "None yet.", class_="meta")


# -- what wasn't read, and notes ---------------------------------------------------------------------------------------


def _unread(story: Story) -> Html | None:
    if not story.unread:
        return None
    rest = story.unread[_MOST_UNREAD:]
    left = sum(whole(one, "tokens") for one in story.unread)
    price = story.input_usd(left)
    costs = f" To send all of it to the same model would cost {usd(price)}." if price else ""
    shown = [
        tag(
            "p", f"Most relevant first, with what reading each would cost: {tokens(left)} in all.{costs}", class_="lead"
        ),
        _unread_table(story, story.unread[:_MOST_UNREAD]),
    ]
    if rest:
        counted = f"{len(rest):,} more, {tokens(sum(whole(one, 'tokens') for one in rest))}"
        shown.append(tag("details", tag("summary", tag("span", counted)), _unread_table(story, rest), class_="fold"))
    return joined(shown)


def _unread_table(story: Story, parts: Sequence[Mapping[str, Any]]) -> Html:
    priced = bool(story.input_usd(1))
    heads = ("part", "place", "relevance", "seen", "tokens", *(("USD",) if priced else ()))
    rows = [
        tag(
            "tr",
            tag("th", tag("bdi", story.named(one)), scope="row"),
            tag("td", story.place(one) or "–"),
            tag("td", probability(share(one, "relevance"))),
            tag("td", "○ its summary" if one.get("seen") == "coarse" else "· no"),
            tag("td", f"{whole(one, 'tokens'):,}"),
            tag("td", usd(story.input_usd(whole(one, "tokens")))) if priced else None,
        )
        for one in parts
    ]
    head = tag("thead", tag("tr", *(tag("th", name, scope="col") for name in heads)))
    table = tag("table", head, tag("tbody", *rows), class_="figures")
    return tag("div", table, class_="scroll", tabindex=0, role="region", aria_label="Parts that weren't read")


def _notes(story: Story) -> Html | None:
    if not story.notes:
        return None
    return tag("ul", *(tag("li", one_line(note), dir="auto") for note in story.notes), class_="notes")


def _footer(story: Story) -> Html:
    started = story.started
    whole_trace = "The trace is complete" if story.complete else "The trace is incomplete"
    facts: list[str | None] = [whole_trace, f"{len(story.trace):,} events"]
    if started:
        facts.append(f"made by hierarchy {one_line(started.made_by)}" if started.made_by else None)
        facts.append(f"document {one_line(started.document_key)}" if started.document_key else None)
        chosen = ", ".join(f"{one_line(str(name))} {one_line(str(each))}" for name, each in started.strategy.items())
        facts.append(f"strategy: {chosen}" if chosen else None)
    return tag("footer", tag("p", _dotted(facts)))
