"""An answer on a terminal: what it says, what bears it, what it cost, what was not read.

The blocks take plain mappings as `Answer.to_dict` and a trace's events write them, so that a saved answer looks like a
fresh one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from hierarchy.answer import Answer
from hierarchy.viewer.bars import Bar, Strip
from hierarchy.viewer.palette import CARE, FAIL, GOOD, QUIET, Flow, Legible
from hierarchy.viewer.text import one_line, pages, percent, plain, probability, title, tokens, usd

__all__ = ["add_row", "answer_view", "bill", "block", "notes_view", "quotes", "receipt_view", "said", "unread_view"]

Bills = Sequence[tuple[str, int]]
"""Stages and the tokens they were billed."""

_MAX_QUOTE = 600


def answer_view(
    answer: Answer, *, strip: Strip | None = None, granted: RenderableType | None = None, unread: int = 4
) -> RenderableType:
    """The whole answer: text, quotes, budget, what was left unread, notes.

    Args:
        answer: The answer.
        strip: Where in the document was read, as `reading_strip` has it.
        granted: Where the tokens went, as `grants_view` has it, to stand below the bill.
        unread: How many of the parts left unread to list.
    """
    record = answer.to_dict()
    stages = [(stage, usage.total_tokens) for stage, usage in answer.by_stage]
    blocks = [
        said(record),
        quotes([{**citation.to_dict(), "context": citation.context} for citation in answer.citations]),
        bill(stages, record["usage"], record["budget"]["total_tokens"]),
        granted,
        receipt_view(record["receipt"], strip),
        unread_view(record["unread"], unread),
        notes_view(record["notes"]),
    ]
    return Legible(Group(*(each for each in blocks if each is not None)))


def block(heading: str, *lines: RenderableType, style: str = "bold") -> RenderableType:
    """A titled stretch of output, a blank line behind it."""
    return Group(Text(heading, style=style), *(Padding(line, (0, 0, 0, 2)) for line in lines), Text())


def add_row(table: Table, *cells: RenderableType) -> None:
    """Add a row whose strings are plain text: a table would read markup in them."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def said(record: Mapping[str, Any], *, style: str = GOOD) -> RenderableType:
    """The answer's text, or that there is none."""
    text = plain(str(record.get("text", ""))).strip()
    if record.get("abstained"):
        text = text or "What was read doesn't hold an answer."
        return block("No answer", Text(text), *_missing(record), style=f"bold {CARE}")
    heading = "Answer (reading was cut short)" if record.get("partial") else "Answer"
    confidence = Text(f"confidence {record.get('confidence', 0.0):.2f}", style=QUIET)
    return block(heading, Text(text, style=style), confidence, *_missing(record))


def quotes(
    citations: Sequence[Mapping[str, Any]], *, most: int | None = None, longest: int = _MAX_QUOTE
) -> RenderableType | None:
    """Each quote with its place and whether it was found there; a table's row under the heads of its columns.

    Args:
        citations: As answers and traces write them.
        most: How many to show; all if None.
        longest: Characters of one beyond which it is cut.
    """
    if not citations:
        return None
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right", no_wrap=True, style=QUIET)
    table.add_column()
    for number, citation in enumerate(citations[:most], 1):
        quote = one_line(str(citation["quote"]))
        cut = quote if len(quote) <= longest else quote[:longest].rsplit(" ", 1)[0] + " …"
        heads = one_line(str(citation.get("context") or ""))
        lines = [Text(heads, style=QUIET, no_wrap=True, overflow="ellipsis")] if heads else []
        add_row(table, f"[{number}]", Group(*lines, Text(f"“{cut}”"), _place(citation)))
    rest = len(citations) - len(citations[:most])
    more = [Text(f"and {rest:,} more", style=QUIET)] if rest else []
    return block("Quotes" if len(citations) > 1 else "Quote", table, *more)


def bill(
    stages: Bills, usage: Mapping[str, Any], budget_tokens: int | None, *, overdraft_tokens: int = 0
) -> RenderableType:
    """What was spent of the budget, by stage."""
    spent = int(usage["total_tokens"])
    whole = budget_tokens or spent
    line = Text(f"{spent:,} of {tokens(whole)} spent")
    if budget_tokens:
        line.append(f" · {max(0, whole - spent):,} left", style=QUIET)
    line.append(f" · {usage['calls']:,} call{'' if usage['calls'] == 1 else 's'}", style=QUIET)
    if usage.get("cost_usd"):
        line.append(f" · ${usage['cost_usd']:,.4f}", style=QUIET)
    if overdraft_tokens:
        line.append(f" · {overdraft_tokens:,} billed beyond what was reserved", style=FAIL)
    bar = Bar([billed for _, billed in stages], whole)
    entries = [
        Text.assemble(bar.sign(index), f" {one_line(stage)} {billed:,}") for index, (stage, billed) in enumerate(stages)
    ]
    return block("Budget", bar, Flow(entries), line)


def receipt_view(receipt: Mapping[str, Any], strip: Strip | None = None) -> RenderableType | None:
    """Which share of the document was read, and where."""
    whole = int(receipt.get("document_tokens", 0))
    if not whole:
        return None
    read, coarse = int(receipt.get("read_tokens", 0)), int(receipt.get("coarse_tokens", 0))
    line = Text.assemble((f"{percent(read / whole)} read", GOOD))
    line.append(f" ({read:,} of {tokens(whole)})", style=QUIET)
    if coarse:
        line.append(f" · {percent(coarse / whole)} seen as summaries")
    line.append(f" · {percent(int(receipt.get('unread_tokens', 0)) / whole)} not seen", style=QUIET)
    return block("Document", *([strip] if strip else []), line)


def unread_view(
    unread: Sequence[Mapping[str, Any]], most: int = 4, *, token_usd: float | None = None
) -> RenderableType | None:
    """What was left unread, most relevant first: how relevant it looked, and what reading it would cost.

    Args:
        unread: As receipts write it.
        most: How many to list.
        token_usd: What sending a token costs; None if that isn't known or nothing.
    """
    if not unread:
        return None
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(no_wrap=True, justify="right")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    table.add_column(no_wrap=True, justify="right", style=QUIET)
    table.add_column(no_wrap=True, justify="right")
    several = len({one.get("source") for one in unread}) > 1
    for one in unread[:most]:
        named = Text(title(str(one["title"])), overflow="ellipsis", no_wrap=True)
        if several:
            named.append(f"  {one_line(str(one['source']))}", style=QUIET)
        cost = _cost(int(one["tokens"]), token_usd)
        add_row(table, probability(float(one["relevance"])), named, pages(one.get("pages")), cost)
    rest = unread[most:]
    more = [Text(f"and {len(rest):,} more, {_cost(_sum(rest), token_usd)}", style=QUIET)] if rest else []
    return block("Not read, most relevant first", table, *more)


def notes_view(notes: Iterable[str]) -> RenderableType | None:
    """What the reader should know about how the answer came about."""
    lines = [Text(f"• {one_line(note)}") for note in dict.fromkeys(notes) if note]
    return block("Notes", *lines, style=f"bold {CARE}") if lines else None


def _place(citation: Mapping[str, Any]) -> Text:
    place = Text(one_line(str(citation["source"])), style=QUIET)
    if citation.get("page") is not None:
        place.append(f" · page {citation['page']}")
    place.append(f" · characters {citation['start']:,}–{citation['end']:,}")
    if citation.get("verified"):
        place.append(" · verbatim", style=GOOD)
    else:
        place.append(" · not found there", style=f"bold {FAIL}")
    return place


def _missing(record: Mapping[str, Any]) -> list[Text]:
    missing = one_line(str(record.get("missing") or ""))
    return [Text(f"Missing: {missing}", style=CARE)] if missing else []


def _sum(rest: Sequence[Mapping[str, Any]]) -> int:
    return sum(int(one["tokens"]) for one in rest)


def _cost(count: int, token_usd: float | None) -> str:
    return f"{tokens(count)} · {usd(count * token_usd)}" if token_usd else tokens(count)
