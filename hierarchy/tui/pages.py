"""What is said of a node, of why it was thought relevant, of a call, an event and the answer: as text with styles.

Everything is `rich.text.Text`, which reads no markup, and every word from a document, a model or a trace goes through
`viewer.text`, so that it can't steer the terminal. What was read and what is quoted is marked by signs as well as by
style: ⟦read⟧ and ❝quoted❞.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from textwrap import wrap

from rich.text import Text

from hierarchy.events import Estimated, Event, Recalled, Released, Reserved, Searched, Settled
from hierarchy.relevance.explaining import Explanation
from hierarchy.tui.atlas import Stretch
from hierarchy.tui.headlines import headline
from hierarchy.tui.moments import Moment
from hierarchy.viewer.palette import CARE, FAIL, GOOD, QUIET
from hierarchy.viewer.spending import Call
from hierarchy.viewer.text import one_line, percent, plain, probability, usd
from hierarchy.viewer.treemap import State

__all__ = ["SIGNS", "answer_page", "call_line", "call_page", "gauge", "node_page", "why_page", "why_unknown_page"]

SIGNS: dict[State, tuple[str, str, str]] = {
    "verbatim": ("●", "read verbatim", GOOD),
    "part": ("◐", "read in part", GOOD),
    "refined": ("◎", "refined", "cyan"),
    "granted": ("◌", "granted, not read", "cyan"),
    "coarse": ("○", "seen coarsely", ""),
    "unread": ("·", "unread", QUIET),
}
"""How closely a node was looked at: a sign, words and a style; the signs are those of the map that `trace` prints."""

_READ, _QUOTED, _HIT = "bold", "bold reverse", "bold underline"
_LEVELS = "▁▂▃▄▅▆▇█"
# A node's text is shown up to so many characters; of a longer one what was read of it, and what stands around.
_MOST_TEXT, _AROUND = 16_000, 160
_MOST_STRETCHES, _MOST_PROMPT = 60, 200_000
_BAR = 12


def gauge(value: float | None) -> str:
    """Relevance as a block that rises with it; a dot where it isn't known.

    Example:
        >>> gauge(0.0), gauge(0.5), gauge(1.0), gauge(None)
        ('▁', '▅', '█', '·')
    """
    if value is None:
        return "·"
    return _LEVELS[max(0, min(len(_LEVELS) - 1, int(value * len(_LEVELS))))]


def _titled(words: str) -> Text:
    return Text.assemble((f"{words}\n", "bold"))


def _heading(page: Text, words: str) -> None:
    if page:
        page.append("\n\n" if not page.plain.endswith("\n") else "\n")
    page.append(f"{words}\n", style="bold underline")


def _facts(page: Text, facts: Iterable[tuple[str, str]]) -> None:
    """Names and values, a line each, without those that have none."""
    known = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in known), default=0)
    for name, value in known:
        page.append(f"{name.ljust(width)}  ", style=QUIET)
        page.append(f"{plain(value)}\n")


# -- a node ------------------------------------------------------------------------------------------------------------


def node_page(moment: Moment, number: int, words: str = "") -> Text:
    """A node: what it is, what it got, what it says in short, and its text with what was read and quoted.

    Args:
        moment: As of when.
        number: Which node.
        words: What is searched for, to be marked.
    """
    atlas, shape, happened = moment.atlas, moment.atlas.shape, moment.map
    sign, state, _ = SIGNS[moment.state(number)]
    relevance = moment.relevance(number)
    page = _titled(atlas.title(number))
    path = [atlas.title(each) for each in atlas.above(number)[1:] if shape.named[each]]
    page.append(f"{' › '.join(dict.fromkeys(path))}\n" if path else "", style=QUIET)
    estimate = "not known" if relevance is None else f"{gauge(relevance)} {probability(relevance)}"
    amounts = [
        ("granted", happened.granted[number]),
        ("read", happened.read[number]),
        ("read in branches", happened.refined[number]),
        ("spent on it", happened.spent[number]),
    ]
    counts = [f"{name} {int(amount):,}" for name, amount in amounts if amount or name in ("granted", "read")]
    where = (atlas.dotted(number), atlas.kind(number), atlas.place(number))
    _facts(
        page,
        (
            ("part", " · ".join(filter(None, where))),
            ("state", f"{sign} {state}"),
            ("relevance", estimate),
            ("tokens", " · ".join([f"{int(shape.tokens[number]):,}", *counts])),
        ),
    )
    _coarse(page, moment, number)
    _text(page, moment, number, words)
    return page


def _coarse(page: Text, moment: Moment, number: int) -> None:
    tree = moment.atlas.tree
    if tree is None or moment.atlas.shape.is_leaf[number]:  # a sentence is short enough as it is
        return
    coarse = tree.coarse(number)
    said = one_line(coarse.text)
    if said or coarse.keywords:
        _heading(page, "In short")
        page.append(said)
        if coarse.keywords:
            page.append(f"\n{one_line(', '.join(coarse.keywords))}", style=QUIET)


def _text(page: Text, moment: Moment, number: int, words: str) -> None:
    atlas = moment.atlas
    if not atlas.files:
        _quotes_alone(page, moment, number)
        return
    _heading(page, "Text")
    page.append("⟦read⟧", style=_READ)
    page.append("  ")
    page.append("❝quoted❞\n\n", style=_QUOTED)
    left = _MOST_TEXT
    for stretch in atlas.stretches(number):
        if left <= 0:
            page.append("\n⋯ More files follow: open them one by one.\n", style=QUIET)
            break
        left -= _stretch(page, moment, stretch, left)
    if words.split():
        page.highlight_words([" ".join(words.split())], style=_HIT, case_sensitive=False)


def _quotes_alone(page: Text, moment: Moment, number: int) -> None:
    atlas = moment.atlas
    inside = [quote for quote in moment.quotes if any(_overlap(quote, each) for each in atlas.stretches(number))]
    _heading(page, "Text")
    page.append(f"{atlas.note}\n", style=CARE)
    page.append("Give it with --document PATH. What was read stands in the prompts: see Calls.\n", style=QUIET)
    for citation in moment.answer.get("citations", ()):
        place = Stretch(atlas.file(str(citation.get("source"))), citation.get("start", 0), citation.get("end", 0))
        if place in inside:
            page.append("\n❝", style=_QUOTED)
            page.append(plain(str(citation.get("quote", ""))), style=_QUOTED)
            page.append("❞\n", style=_QUOTED)


def _stretch(page: Text, moment: Moment, stretch: Stretch, most: int) -> int:
    """A node's characters in one file, with marks; returns how many were shown."""
    reads = [_overlap(read, stretch) for read in moment.reads]
    quotes = [each for quote in moment.quotes if (each := _overlap(quote, stretch))]
    read = [each for each in reads if each]
    if stretch.end - stretch.start <= most:
        shown = [stretch]
    else:
        marked = sorted([*read, *quotes])[:_MOST_STRETCHES]
        shown = _around(marked, stretch) or [Stretch(stretch.file, stretch.start, stretch.start + most)]
    at, used = stretch.start, 0
    for each in shown:
        end = min(each.end, each.start + most - used)
        if end <= each.start:
            break
        _left_out(page, each.start - at)
        _marked(page, moment, Stretch(each.file, each.start, end), read, quotes)
        at, used = end, used + end - each.start
    _left_out(page, stretch.end - at)
    return used


def _left_out(page: Text, characters: int) -> None:
    if characters > 0:
        page.append(f"\n⋯ {characters:,} characters not shown ⋯\n", style=QUIET)


def _around(marked: Sequence[Stretch], within: Stretch) -> list[Stretch]:
    """Stretches with some text around, joined where they meet."""
    found: list[Stretch] = []
    for each in marked:
        start, end = max(within.start, each.start - _AROUND), min(within.end, each.end + _AROUND)
        if found and start <= found[-1].end:
            found[-1] = Stretch(each.file, found[-1].start, max(found[-1].end, end))
        else:
            found.append(Stretch(each.file, start, end))
    return found


def _marked(page: Text, moment: Moment, shown: Stretch, reads: Sequence[Stretch], quotes: Sequence[Stretch]) -> None:
    """Some text, piece by piece between the edges of what was read and quoted."""
    edges = {shown.start, shown.end}
    for each in (*reads, *quotes):
        edges |= {min(max(at, shown.start), shown.end) for at in (each.start, each.end)}
    read_before = quoted_before = False
    places = sorted(edges)
    for start, end in zip(places, [*places[1:], shown.end], strict=True):
        is_read = start < end and any(each.start <= start < each.end for each in reads)
        is_quoted = start < end and any(each.start <= start < each.end for each in quotes)
        page.append(("❞" if quoted_before and not is_quoted else ""), style=_QUOTED)
        page.append(
            ("⟧" if read_before and not is_read else "") + ("⟦" if is_read and not read_before else ""), style=_READ
        )
        page.append("❝" if is_quoted and not quoted_before else "", style=_QUOTED)
        text = plain(moment.atlas.text(Stretch(shown.file, start, end)))
        page.append(text, style=_QUOTED if is_quoted else _READ if is_read else "")
        read_before, quoted_before = is_read, is_quoted


def _overlap(one: Stretch, other: Stretch) -> Stretch | None:
    if one.file != other.file or one.end <= other.start or other.end <= one.start:
        return None
    return Stretch(one.file, max(one.start, other.start), min(one.end, other.end))


# -- why ---------------------------------------------------------------------------------------------------------------


def why_page(moment: Moment, found: Explanation, width: int = 80, most: int = 24) -> Text:
    """Why a node got its relevance: where that comes from, and what each feature of the passage added."""
    atlas = moment.atlas
    page = _titled(atlas.title(found.node))
    page.append(f"{gauge(found.relevance)} {probability(found.relevance)}  ", style="bold")
    page.append(f"{found.why}\n")
    told = moment.relevance(found.node)
    if told is not None and abs(told - found.relevance) > 0.001:
        page.append(
            f"The trace says {probability(told)}: it was made with other weights, lexicons or words to search for.\n",
            style=CARE,
        )
    if found.judged is None:
        return page
    if found.judged != found.node:
        page.append("Explained: ", style=QUIET)
        page.append(f"{atlas.dotted(found.judged)} {atlas.title(found.judged)}\n")
    _facts(
        page,
        (
            ("learned weights say", "" if found.learned is None else probability(found.learned)),
            ("fixed formula says", "" if found.formula is None else probability(found.formula)),
            ("the formula counts", percent(found.strangeness) if found.strangeness else ""),
        ),
    )
    if found.contributions:
        _contributions(page, found, width, most)
    if found.parts:
        _heading(page, "The fixed formula adds up")
        _bars(page, [(name, "", amount) for name, amount in found.parts], width)
    return page


def _contributions(page: Text, found: Explanation, width: int, most: int) -> None:
    _heading(page, "Its features, against the other passages'")
    telling = [one for one in found.contributions if abs(one.amount) >= 0.005]
    rows = [(one.meaning, one.shown, one.amount) for one in telling[:most]]
    rest = found.score - found.bias - sum(amount for *_, amount in rows)
    rows.append((f"{len(found.contributions) - len(rows)} others together", "", rest))
    _bars(page, rows, width)
    page.append(f"{found.bias:+6.2f} all passages share\n{found.score:+6.2f} in all: log odds, before calibration\n")


def _bars(page: Text, rows: Sequence[tuple[str, str, float]], width: int) -> None:
    largest = max((abs(amount) for *_, amount in rows), default=0.0) or 1.0
    valued = max((len(value) for _, value, _ in rows), default=0)
    lead = 8 + _BAR // 2 + (valued + 2 if valued else 0)
    for name, value, amount in rows:
        cells = round(_BAR / 2 * abs(amount) / largest)
        page.append(f"{amount:+6.2f} ")
        page.append(("+" if amount > 0 else "-") * cells, style=GOOD if amount > 0 else CARE)
        page.append(" " * (_BAR // 2 + 1 - cells))
        if valued:
            page.append(f"{value:>{valued}}  ", style=QUIET)
        said = wrap(name, max(16, width - lead)) or [""]
        page.append(f"\n{' ' * lead}".join(said) + "\n")


def why_unknown_page(moment: Moment, number: int) -> Text:
    """What the trace alone tells of why: the kind of question and document, and what was searched for."""
    page = _titled(moment.atlas.title(number))
    relevance = moment.relevance(number)
    if relevance is not None:
        page.append(f"{gauge(relevance)} {probability(relevance)}\n", style="bold")
    page.append(f"{moment.atlas.note}\n", style=CARE)
    page.append("Give it with --document PATH to see the features.\n\n", style=QUIET)
    estimated, searched = moment.trace.of(Estimated), moment.trace.of(Searched)
    if estimated:
        last = estimated[-1]
        answerable = "" if last.answerable is None else probability(last.answerable)
        _facts(
            page,
            (
                ("document", one_line(last.document_kind)),
                ("question", one_line(last.question_kind)),
                ("lexicons", one_line("; ".join(last.vocabulary))),
                ("answerable", answerable),
            ),
        )
    if searched:
        _facts(
            page,
            (("terms", one_line(", ".join(searched[-1].terms))), ("needs", one_line(", ".join(searched[-1].needs)))),
        )
    return page


# -- calls -------------------------------------------------------------------------------------------------------------

_OUTCOMES = {"answered": ("✓", GOOD), "recalled": ("↺", ""), "cached": ("↺", ""), "under way": ("…", CARE)}


def call_line(call: Call) -> Text:
    """A call in a line: outcome, number, stage, tokens."""
    sign, style = _OUTCOMES.get(call.outcome, ("✗", FAIL))
    number = f"{call.number:>3}" if call.number is not None else "  –"
    line = Text.assemble((sign, style), f" {number} {one_line(call.stage):<9} {call.usage.total_tokens:>7,} ")
    line.append(call.outcome, style=style)
    if call.seconds is not None:
        line.append(f" · {call.seconds:.1f} s", style=QUIET)
    if call.node and call.node != "0":
        line.append(f" · {one_line(call.node)}", style=QUIET)
    return line


def call_page(moment: Moment, index: int) -> Text:
    """A call: what it cost, how it went, its full prompt and its full reply."""
    if not 0 <= index < len(moment.calls):
        return Text("No call was made by then.", style=QUIET)
    call = moment.calls[index]
    asked = [event for event in moment.trace if isinstance(event, Reserved | Recalled)][index]
    ends = [e for e in moment.trace if isinstance(e, Settled | Released) and e.call == call.number]
    end: Event | None = ends[-1] if ends else None
    usage = call.usage
    page = _titled(f"{one_line(call.stage)}{f', call {call.number}' if call.number is not None else ''}")
    _facts(
        page,
        (
            ("outcome", call.outcome),
            ("model", one_line(call.model)),
            ("about", one_line(call.node)),
            ("tokens", f"{usage.input_tokens:,} in, {usage.output_tokens:,} out, {usage.total_tokens:,} in all"),
            ("held", _held(asked)),
            ("cost", "not known" if usage.cost_usd is None else usd(usage.cost_usd)),
            ("seconds", "" if call.seconds is None else f"{call.seconds:.2f}"),
            ("made again", "" if call.again is None else f"after {call.again:g} s"),
        ),
    )
    if call.why:
        page.append(f"error: {call.why}\n", style=FAIL)
    prompt = asked.prompt
    reply = asked.reply if isinstance(asked, Recalled) else end.reply if isinstance(end, Settled) else ""
    _heading(page, "Prompt")
    _long(page, prompt, "The trace doesn't hold it.")
    _heading(page, "Reply")
    _long(
        page,
        reply,
        "None came back." if end is not None or call.outcome == "under way" else "The trace doesn't hold it.",
    )
    return page


def _held(asked: Event) -> str:
    if not isinstance(asked, Reserved):
        return ""
    margin = f", by a margin of {asked.margin:.2f}" if asked.margin != 1 else ""
    return f"{asked.tokens:,}: {asked.input_tokens:,} in{margin}, at most {asked.max_output_tokens:,} out"


def _long(page: Text, text: str, nothing: str) -> None:
    if not text:
        page.append(nothing, style=QUIET)
        return
    page.append(plain(text[:_MOST_PROMPT]))
    _left_out(page, len(text) - _MOST_PROMPT)


# -- the answer --------------------------------------------------------------------------------------------------------


def answer_page(moment: Moment, *, complete: bool) -> Text:
    """The answer as of a moment, its quotes, and what was last told before there was one."""
    answer = moment.answer
    if not answer:
        page = Text.assemble(("No answer yet.\n" if complete else "The trace ends before an answer.\n", CARE))
        if moment.count:
            page.append(f"Last event: {headline(moment.trace.events[-1])}")
        return page
    page = Text.assemble(("Abstained. " if answer["abstained"] else "", f"bold {CARE}"))
    page.append(f"{plain(answer['text'])}\n", style="")
    _facts(
        page,
        (
            ("confidence", probability(answer["confidence"])),
            ("partial", "yes: reading was cut short" if answer["partial"] else ""),
            ("receipt", _receipt(moment)),
        ),
    )
    for number, one in enumerate(answer["citations"], 1):
        paged = f" · page {one['page']}" if one.get("page") else ""
        where = one_line(f"{one.get('source', '')}{paged}")
        page.append(f"\n[{number}] ❝{plain(str(one.get('quote', '')))}❞\n", style="bold")
        page.append(f"    {where}{'' if one.get('verified') else ' · not verified'}\n", style=QUIET)
    return page


def _receipt(moment: Moment) -> str:
    receipt = moment.trace.receipt()
    read, coarse, whole = (receipt.get(name, 0) for name in ("read_tokens", "coarse_tokens", "document_tokens"))
    if not all(isinstance(each, int) for each in (read, coarse, whole)) or not whole:
        return ""
    seen = f", {coarse:,} seen coarsely" if coarse else ""
    return f"{read:,} of {whole:,} tokens read ({percent(read / whole)}){seen}"
