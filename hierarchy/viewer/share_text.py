"""A trace as text to share: a page of Markdown for people, one object of JSON for machines.

Neither holds prompts or replies; who wants those opens the HTML, or the trace. **What comes from documents and models
can't mark up, link, mention or break a line in the Markdown.**
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from hierarchy.budget import Usage
from hierarchy.errors import StoreError
from hierarchy.trace import Trace
from hierarchy.viewer.share_map import read_map
from hierarchy.viewer.share_story import Call, Story, against, caps, share, usd, whole
from hierarchy.viewer.sorting import REFUSED
from hierarchy.viewer.text import one_line, pages, percent, probability, title

__all__ = ["JSON_VERSION", "escaped", "trace_json", "trace_markdown"]

JSON_VERSION = 1

_MOST_QUOTE, _MOST_CALLS, _MOST_SECTIONS, _MOST_UNREAD, _MOST_NOTES = 400, 14, 12, 6, 8
_SIGNS = re.compile(r"([\\`*_{}\[\]<>#|~!$&^=])")
# What begins a list or a line of its own at the start of a line.
_STARTS = re.compile(r"^(?:[-+]|[0-9]+[.)](?=\s|$))")
# What sites turn into a link or a message to somebody, wherever it stands: broken by a mark that nobody sees.
_LINKS = re.compile(r"@(?=\w)|\\#(?=\w)|(?<=\w):(?=//)|(?i:(?<=www))(?=\.)|(?i:(?<=mailto):)|(?i:\bGH(?=-[0-9]))")
_JOINER = "\u2060"


def escaped(text: str) -> str:
    r"""A text for the inside of a line of Markdown: on one line, nothing in it marked up, linked or mentioned.

    Example:
        >>> escaped("a|b <img>\n*not bold*")
        'a\\|b \\<img\\> \\*not bold\\*'
    """
    plain = _SIGNS.sub(r"\\\1", one_line(text))
    plain = _STARTS.sub(lambda start: f"{start[0][:-1]}\\{start[0][-1]}", plain)
    return _LINKS.sub(lambda found: f"{found[0]}{_JOINER}", plain)


def trace_markdown(trace: Trace) -> str:
    """The story of a question as a page of Markdown, to paste where it is reviewed.

    Args:
        trace: Any trace: of version 1, cut short, or redacted.
    """
    story = Story(trace)
    blocks = [
        f"## {escaped(story.question) or 'A trace without its question'}",
        *_answer(story),
        *_quotes(story),
        *_budget(story),
        *_calls(story),
        *_read(story),
        *_unread(story),
        *_notes(story),
        _foot(story),
    ]
    return "\n\n".join(blocks) + "\n"


# -- Markdown, part by part --------------------------------------------------------------------------------------------


def _answer(story: Story) -> Iterator[str]:
    answered = story.answered
    if story.gathered:
        gathered = whole(story.receipt, "read_tokens")
        yield f"**No answer was asked for:** {gathered:,} tokens of context were gathered for another model."
        return
    if answered is None:
        yield f"**No answer.** {REFUSED if story.refused else 'The trace ends before one.'}"
        return
    if answered.abstained:
        yield "**No answer:** what was read doesn't hold one."
    else:
        cut = ", reading was cut short" if answered.partial else ""
        yield f"**Answer** (confidence {answered.confidence:.2f}{cut})"
    lines = [line for line in answered.text.splitlines() if line.strip()]
    if lines:
        yield "  \n".join(f"> {escaped(line)}" for line in lines)


def _quotes(story: Story) -> Iterator[str]:
    if not story.citations:
        return
    yield "\n".join(
        ["### Quotes", "", *(f"{number}. {_quote(each)}" for number, each in enumerate(story.citations, 1))]
    )


def _quote(citation: Mapping[str, Any]) -> str:
    words = one_line(str(citation.get("quote") or ""))
    cut = words if len(words) <= _MOST_QUOTE else f"{words[:_MOST_QUOTE].rsplit(' ', 1)[0]} …"
    source = escaped(str(citation.get("source") or ""))
    page = f"page {_figure(citation.get('page'))}" if citation.get("page") is not None else ""
    place = f"characters {_figure(citation.get('start'))}–{_figure(citation.get('end'))}"
    found = "verified: stands there verbatim" if citation.get("verified") else "**not verified: not found there**"
    return f"“{escaped(cut)}”  \n   {', '.join(filter(None, (source, page, place)))} · {found}"


def _budget(story: Story) -> Iterator[str]:
    usage, cap = story.trace.usage(), story.cap_tokens
    rows = [
        (escaped(stage) or "–", *_bill(bill), percent(bill.total_tokens / (cap or usage.total_tokens or 1)))
        for stage, bill in story.trace.usage_by_stage()
    ]
    used = f"**{percent(usage.total_tokens / (cap or usage.total_tokens or 1))}**"
    rows.append(("**all**", *(f"**{each}**" for each in _bill(usage)), used))
    heads = ("stage", "calls", "tokens in", "tokens out", "tokens", "USD", "of the cap" if cap else "share")
    yield f"### Budget\n\n{_table(heads, rows)}"
    lines = [f"Caps: {', '.join(caps(story))}." if cap else ""]
    if cap:
        lines.append(f"{usage.total_tokens:,} of {cap:,} tokens spent, {max(0, cap - usage.total_tokens):,} left.")
    if story.overdraft_tokens:
        lines.append(f"**{story.overdraft_tokens:,} tokens were billed beyond what was reserved.**")
    if held := story.trace.held_tokens():
        lines.append(f"{held:,} tokens are held for calls that have no end here.")
    if story.document_tokens:
        lines.append(escaped(against(story)))
    yield " ".join(filter(None, lines))


def _calls(story: Story) -> Iterator[str]:
    if not story.calls:
        return
    shown = story.calls if len(story.calls) <= _MOST_CALLS else story.calls[: _MOST_CALLS - 1]
    rows = [_call(number, call) for number, call in enumerate(shown, 1)]
    heads = ("#", "stage", "model", "tokens in", "tokens out", "seconds", "USD", "outcome")
    text = f"### Calls\n\n{_table(heads, rows, words=(1, 2, 7))}"
    if rest := story.calls[len(shown) :]:
        tokens = sum(call.usage.total_tokens for call in rest if call.usage and call.state != "recalled")
        text += f"\n\nAnd {len(rest):,} more, {tokens:,} tokens."
    yield text


def _call(number: int, call: Call) -> tuple[str, ...]:
    usage = call.usage
    outcome = [call.state, "cached" if call.cached and call.state != "recalled" else ""]
    outcome.append(f"attempt {call.attempt}" if call.attempt > 1 else "")
    outcome.append(_short(call.error, 80) if call.error else "")
    return (
        f"{number}",
        " ".join(filter(None, (escaped(call.stage), escaped(call.node)))),
        escaped(call.model) or "–",
        f"{usage.input_tokens:,}" if usage else "–",
        f"{usage.output_tokens:,}" if usage else "–",
        "–" if call.seconds is None else f"{call.seconds:.1f}",
        escaped(usd(usage.cost_usd)) if usage else "–",
        ", ".join(filter(None, outcome)),
    )


def _read(story: Story) -> Iterator[str]:
    length, read = story.document_tokens, whole(story.receipt, "read_tokens")
    if not read and not length:
        return
    name = escaped(story.document) or "the document"
    part = f"{percent(read / length)} of {name} ({read:,} of {length:,} tokens)" if length else f"{read:,} tokens"
    coarse = whole(story.receipt, "coarse_tokens")
    seen = f", {coarse:,} more seen as summaries" if coarse else ""
    text = f"### Read: {part}{seen}"
    found = read_map(story)
    if found is None:
        heads: tuple[str, ...] = ("place", "tokens", "pieces")
        rows: list[tuple[str, ...]] = [(place, f"{n:,}", f"{times:,}") for place, n, times in _by_place(story)]
    else:
        heads = ("section", "pages", "tokens", "pieces")
        rows = [
            (_short(one.title, 90), _pages(one.pages), f"{one.tokens:,}", f"{one.stretches:,}")
            for one in found.sections()
        ]
    if rows:
        more = f"\n\nAnd {len(rows) - _MOST_SECTIONS:,} more." if len(rows) > _MOST_SECTIONS else ""
        text += f"\n\n{_table(heads, _largest(rows))}{more}"
    yield text


def _largest(rows: Sequence[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The rows of the most tokens, in their own order."""
    counted = sorted(range(len(rows)), key=lambda place: (-int(rows[place][-2].replace(",", "")), place))
    return [rows[place] for place in sorted(counted[:_MOST_SECTIONS])]


def _by_place(story: Story) -> list[tuple[str, int, int]]:
    """Tokens and pieces read by file and page, where no map tells sections."""
    sums: dict[str, list[int]] = {}
    for read in story.trace.reads():
        sums.setdefault(_place(read.source, read.page), []).append(read.tokens)
    return [(place, sum(counts), len(counts)) for place, counts in sums.items()]


def _unread(story: Story) -> Iterator[str]:
    if not story.unread:
        return
    rows = []
    for one in story.unread[:_MOST_UNREAD]:
        tokens = whole(one, "tokens")
        price = story.input_usd(tokens)
        named = _short(story.named(one), 90)
        seen = "its summary" if one.get("seen") == "coarse" else "–"
        relevance = probability(share(one, "relevance")).replace("<", "\\<")
        costs = escaped(usd(price)) if price else "–"
        rows.append((relevance, named, escaped(story.place(one)) or "–", seen, f"{tokens:,}", costs))
    heads = ("relevance", "part", "place", "seen", "tokens to read it", "USD")
    text = f"### Not read, most relevant first\n\n{_table(heads, rows, words=(1, 2, 3))}"
    if rest := story.unread[_MOST_UNREAD:]:
        text += f"\n\nAnd {len(rest):,} more parts, {sum(int(one.get('tokens') or 0) for one in rest):,} tokens."
    yield text


def _notes(story: Story) -> Iterator[str]:
    if not story.notes:
        return
    lines = [f"- {_short(note, 300)}" for note in story.notes[:_MOST_NOTES]]
    rest = len(story.notes) - len(lines)
    yield "\n".join(["### Notes", "", *lines, *([f"- and {rest:,} more"] if rest else [])])


def _foot(story: Story) -> str:
    end = "The trace is complete." if story.complete else "**The trace is incomplete:** it ends before its end."
    made = f" Made by hierarchy {escaped(story.started.made_by)}." if story.started and story.started.made_by else ""
    key = f" Document {escaped(story.started.document_key)}." if story.started and story.started.document_key else ""
    return f"{end}{made}{key}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[int] = (0,)) -> str:
    """A table; columns of words to the left, of figures to the right."""
    lines = [heads, ["---" if place in words else "---:" for place in range(len(heads))], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _bill(usage: Usage) -> tuple[str, ...]:
    figures = (usage.calls, usage.input_tokens, usage.output_tokens, usage.total_tokens)
    return (*(f"{figure:,}" for figure in figures), escaped(usd(usage.cost_usd)))


def _short(text: str, most: int) -> str:
    line = title(text)
    return escaped(line if len(line) <= most else f"{line[: most - 2].rstrip()} …")


def _place(source: str, page: int | None) -> str:
    return ", ".join(filter(None, (escaped(source), pages((page, page)) if page else "")))


def _pages(bounds: Sequence[int] | None) -> str:
    return pages(bounds).removeprefix("pages ").removeprefix("page ") or "–"


def _figure(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "?"


# -- JSON --------------------------------------------------------------------------------------------------------------


def trace_json(trace: Trace) -> str:
    """The whole story as one JSON object.

    Its keys: `hierarchy_story` (version of this layout), `made_by`, `complete` (whether the trace goes to its end),
    `redacted`, `question`, `document` (`name`, `sources`, `key`, `tokens`), `model`, `models` (what was known of each),
    `strategy`, `caps` (as `Budget`; null if unknown), `plan` (`way`, `routing`, `rounds`, `why`; null if none),
    `searched` (`terms`, `needs`, `kind`, `questions`; null if nothing), `missed` (what each round left open), `answer`
    (`text`, `abstained`, `confidence`, `partial`, `citations`; null if there is none), `bill` (`input_tokens`,
    `output_tokens`, `total_tokens`, `calls`, `cost_usd`, `remaining_tokens`, `overdraft_tokens`, `held_tokens`),
    `by_stage` (the same first five by `stage`), `calls` (in order, each from admission to end; no prompts, no replies),
    `tree` (`nodes`, `leaves`, `depth`, `sections_read`), `reads` (as in the trace), `grants` (likewise), `receipt`
    (four sums that add up), `unread` (parts of which nothing was read, with what reading each would cost in
    `tokens` and `cost_usd`), `read_all` (`tokens`, `cost_usd` of sending the document once, and `spent_share`), and
    `notes`. Unknown costs are null, never 0.

    Raises:
        StoreError: An event holds what JSON has no place for, such as infinity.
    """
    story = Story(trace)
    try:
        return json.dumps(_story(story), indent=2, allow_nan=False) + "\n"
    except (ValueError, TypeError) as error:
        raise StoreError(f"The trace can't be written: {error}") from error


def _story(story: Story) -> dict[str, Any]:
    started, trace = story.started, story.trace
    return {
        "hierarchy_story": JSON_VERSION,
        "made_by": started.made_by if started else "",
        "complete": story.complete,
        "redacted": story.redacted,
        "question": story.question,
        "document": {
            "name": story.document,
            "sources": list(started.source_names) if started else [],
            "key": started.document_key if started else "",
            "tokens": story.document_tokens,
        },
        "model": started.model if started else "",
        "models": [asdict(model) for model in started.models] if started else [],
        "strategy": dict(started.strategy) if started else {},
        "caps": asdict(started.budget) if started else None,
        **story.course,
        "answer": _answer_record(story),
        "bill": _bill_record(story),
        "by_stage": [{"stage": stage, **_usage(usage)} for stage, usage in trace.usage_by_stage()],
        "calls": [_call_record(call) for call in story.calls],
        "tree": _tree_record(story),
        "reads": [asdict(read) for read in trace.reads()],
        "grants": [asdict(grant) for grant in trace.grants()],
        "receipt": {name: value for name, value in story.receipt.items() if name != "unread"},
        "unread": [{**one, "cost_usd": story.input_usd(whole(one, "tokens"))} for one in story.unread],
        "read_all": _read_all(story),
        "notes": list(story.notes),
    }


def _answer_record(story: Story) -> dict[str, Any] | None:
    if story.answered is None:
        return None
    names = ("text", "abstained", "confidence", "partial")
    record: dict[str, Any] = {name: getattr(story.answered, name) for name in names}
    return {**record, "citations": [dict(citation) for citation in story.citations]}


def _bill_record(story: Story) -> dict[str, Any]:
    usage, cap = story.trace.usage(), story.cap_tokens
    return {
        **_usage(usage),
        "remaining_tokens": max(0, cap - usage.total_tokens) if cap is not None else None,
        "overdraft_tokens": story.overdraft_tokens,
        "held_tokens": story.trace.held_tokens(),
    }


def _usage(usage: Usage) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "total_tokens", "calls", "cost_usd")
    return {name: getattr(usage, name) for name in names}


def _call_record(call: Call) -> dict[str, Any]:
    record = {name: getattr(call, name) for name in Call.__slots__ if name not in ("prompt", "reply", "usage")}
    return {**record, "usage": _usage(call.usage) if call.usage else None}


def _tree_record(story: Story) -> dict[str, Any] | None:
    outlined, found = story.outlined, read_map(story)
    if outlined is None and found is None:
        return None
    return {
        "nodes": outlined.nodes if outlined else None,
        "leaves": outlined.leaves if outlined else None,
        "depth": outlined.depth if outlined else None,
        "sections_read": [asdict(one) for one in found.sections()] if found else [],
    }


def _read_all(story: Story) -> dict[str, Any]:
    length, spent = story.document_tokens, story.trace.usage().total_tokens
    return {
        "tokens": length,
        "cost_usd": story.input_usd(length),
        "spent_share": round(spent / length, 6) if length else None,
    }
