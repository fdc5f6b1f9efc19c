"""Two runs beside each other on a terminal: what differs, what each read, and what that did to the answer.

What only the first has is marked with a minus, what only the second has with a plus, as in any comparison of texts;
colours repeat it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from hierarchy.comparing import CallPair, CallSide, Cited, Comparison, Difference, Run, Stretch, Unread
from hierarchy.viewer.answers import add_row, block
from hierarchy.viewer.bars import Bar
from hierarchy.viewer.palette import FAIL, GOOD, QUIET, Legible
from hierarchy.viewer.text import one_line, pages, percent, plain, probability, title, tokens

__all__ = ["diff_view"]

Names = tuple[str, str]

_MOST_STRETCHES, _MOST_BRANCHES, _MOST_CALLS, _MOST_QUOTES, _LONGEST_QUOTE = 8, 10, 12, 10, 300
_LONGEST_NAME = 20
_SIGNS = {"both": "=", "first": "-", "second": "+"}
_STYLES = {"both": "", "first": FAIL, "second": GOOD}
_CALLED = {
    "budget.total_tokens": "budget",
    "budget.max_cost_usd": "most dollars",
    "budget.max_seconds": "most seconds",
    "budget.max_calls": "most calls",
    "budget.stop_when_confident": "stop when so sure",
    "document_tokens": "document's tokens",
    "made_by": "version",
    "plan.way": "way",
    "plan.routing": "routing",
    "plan.rounds": "rounds",
    "plan.why": "why so",
    "strategy.prompts": "prompts of one's own",
    "strategy.lexicons": "lexicons of one's own",
    "strategy.semantic": "judged by meaning, too",
    "terms": "searched for",
    "kind": "kind, as routed",
}
_UNTOLD = frozenset({"document_key"})  # A hash tells a reader nothing that "other document" doesn't.


def diff_view(comparison: Comparison, names: Names = ("A", "B")) -> RenderableType:
    """Two runs beside each other.

    Args:
        comparison: As `comparing.compared` makes it.
        names: What to call them.
    """
    found, called = comparison, (_name(names[0]) or "A", _name(names[1]) or "B")
    blocks: list[RenderableType | None] = [_verdict(found, called)]
    if not found.identical:
        blocks += [_settings(found, called), _figures(found, called)]
    if found.same_document and not found.identical:
        blocks += [
            _course(found, called),
            _reading(found, called),
            _grants(found, called),
            _calls(found, called),
            _answers(found, called),
            _quotes(found, called),
        ]
    return Legible(Group(*(each for each in blocks if each is not None)))


def _name(text: str) -> str:
    line = one_line(text)
    return line if len(line) <= _LONGEST_NAME else line[: _LONGEST_NAME - 1] + "…"


# -- what they are -----------------------------------------------------------------------------------------------------


def _verdict(found: Comparison, names: Names) -> RenderableType:
    """What one wants to know first, in a sentence or two."""
    lines = [_told_of(run, name) for run, name in zip((found.first, found.second), names, strict=True)]
    if found.identical:
        said = f"{names[0]} and {names[1]} are the same: asked, granted, read, called and answered alike."
    elif not found.same_document:
        said = f"{names[0]} and {names[1]} read different documents: figures alone are compared."
    else:
        alike = ", the same question" if found.same_question else ", different questions"
        unknown = found.first.redacted or found.second.redacted
        said = f"The same document{'' if unknown else alike}. {_outcome(found, names)}".strip()
    cut = [name for run, name in ((found.first, names[0]), (found.second, names[1])) if not run.complete]
    redacted = [name for run, name in ((found.first, names[0]), (found.second, names[1])) if run.redacted]
    if redacted:
        said += f" {' and '.join(redacted)} {'is' if len(redacted) == 1 else 'are'} redacted: words aren't compared."
    if cut:
        said += f" The trace of {' and '.join(cut)} is cut off: it is compared up to there."
    question = one_line(found.first.question) if found.same_question else "Two runs"
    return block(question or "Two runs", *lines, Text(said, style=GOOD if found.identical else "bold"))


def _told_of(run: Run, name: str) -> Text:
    parts = [one_line(run.document) or "an unknown document"]
    if run.budget_tokens is not None:
        parts.append(f"{run.spent_tokens:,} of {tokens(run.budget_tokens)} spent")
    if run.document_tokens:
        parts.append(f"{percent(run.read_tokens / run.document_tokens)} read")
    return Text.assemble((f"{name}  ", "bold"), " · ".join(parts))


def _outcome(found: Comparison, names: Names) -> str:
    if found.first.redacted or found.second.redacted:
        return ""
    if found.same_answer:
        return "The answers are the same."
    same_text = found.first.answered and found.second.answered and all(one.which == "both" for one in found.text)
    if same_text and found.first.abstained == found.second.abstained:
        return "The answers say the same, and quote differently."
    for run, other, name in ((found.first, found.second, names[0]), (found.second, found.first, names[1])):
        if not run.answered:
            return f"{name} has no answer."
        if run.abstained and not other.abstained:
            return f"{name} abstains, the other answers."
    return "The answers differ."


def _settings(found: Comparison, names: Names) -> RenderableType | None:
    told = {one.what: (one.first, one.second) for one in found.settings if one.what not in _UNTOLD}
    for what, pair in list(told.items()):
        start, _, last = what.rpartition(".")
        said = {"name": "model", "identity": f"{start}.name"}.get(last, "")  # Where that was said already.
        again = start == "models.help" and told.get(f"models.answer.{last}") == pair
        if start.startswith("models") and (again or told.get(said) == pair or (last == "identity" and said in told)):
            del told[what]
    rows = [one for one in found.settings if one.what in told]
    return block("Settings that differ", _differing(rows, names)) if rows else None


def _course(found: Comparison, names: Names) -> RenderableType | None:
    lines: list[RenderableType] = [_differing(found.course, names)] if found.course else []
    if found.estimated_differently:
        count = found.estimated_differently
        node = "node's relevance was" if count == 1 else "nodes' relevance was"
        lines.append(Text(f"{count:,} {node} estimated differently", style=QUIET))
    return block("Went about it differently", *lines) if lines else None


def _differing(differences: Sequence[Difference], names: Names) -> RenderableType:
    table = Table.grid(padding=(0, 2))
    table.add_column(style=QUIET, overflow="fold", max_width=22)
    table.add_column(overflow="fold", ratio=1)
    table.add_column(overflow="fold", ratio=1)
    add_row(table, "", Text(names[0], style=QUIET), Text(names[1], style=QUIET))
    for one in differences:
        first, second = one.first, one.second
        if isinstance(first or second, tuple | list):  # Of lists, what the other one hasn't.
            mine, theirs = list(first or ()), list(second or ())
            first = [each for each in mine if each not in theirs] or (["nothing else"] if mine else None)
            second = [each for each in theirs if each not in mine] or (["nothing else"] if theirs else None)
        add_row(table, _called(one.what), _value(first), _value(second))
    return table


def _called(what: str) -> str:
    """A setting in words."""
    if what in _CALLED:
        return _CALLED[what]
    for start, end in (("models.answer.", ""), ("models.help.", " of helper")):
        if what.startswith(start):
            return f"model's {one_line(what.removeprefix(start)).replace('_', ' ')}{end}"
    return one_line(what).replace("_", " ").replace(".", " ")


def _value(value: Any) -> Text:
    if value is None or value == "":
        return Text("–", style=QUIET)
    if isinstance(value, tuple | list):
        return Text(" · ".join(str(_value(each)) for each in value) or "–")
    if isinstance(value, bool):
        return Text("yes" if value else "no")
    if isinstance(value, int):
        return Text(f"{value:,}")
    return Text(one_line(f"{value:.3g}" if isinstance(value, float) else str(value)))


def _figures(found: Comparison, names: Names) -> RenderableType:
    """Both in figures; the last column says what the second has more or less."""
    first, second = found.first, found.second
    table = _table("", *names, "")
    for name, of, form in _FIGURES:
        one, other = of(first), of(second)
        if one or other:
            cells = ("–" if value is None else form(value) for value in (one, other))
            add_row(table, name, *cells, _more(one, other, form))
    for name, said in (("abstained", "abstained"), ("partial", "cut short")):
        if getattr(first, name) or getattr(second, name):
            add_row(table, said, *("yes" if getattr(run, name) else "no" for run in (first, second)), "")
    return block("In figures", table)


_Of = Callable[[Run], Any]


def _share(run: Run) -> float | None:
    return run.read_tokens / run.document_tokens if run.document_tokens else None


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _dollars(value: float) -> str:
    return f"${value:,.4f}"


def _seconds(value: float) -> str:
    return f"{value:,.1f} s"


_FIGURES: tuple[tuple[str, _Of, Callable[[float], str]], ...] = (
    ("tokens spent", lambda run: run.spent_tokens, _count),
    ("… sent", lambda run: run.input_tokens, _count),
    ("… returned", lambda run: run.output_tokens, _count),
    ("… beyond what was held", lambda run: run.overdraft_tokens, _count),
    ("calls", lambda run: run.calls, _count),
    ("… that failed", lambda run: run.failed, _count),
    ("replies recalled", lambda run: run.recalled, _count),
    ("cost", lambda run: run.cost_usd, _dollars),
    ("time in calls", lambda run: run.seconds, _seconds),
    ("tokens granted", lambda run: run.granted_tokens, _count),
    ("tokens read", lambda run: run.read_tokens, _count),
    ("… of the document", _share, percent),
    ("stretches read", lambda run: run.stretches, _count),
    ("quotes", lambda run: run.citations, _count),
    ("confidence", lambda run: run.confidence, probability),
)


def _more(one: float | None, other: float | None, form: Callable[[float], str]) -> Text:
    if one is None or other is None or form(one) == form(other):
        return Text("=" if one == other else "", style=QUIET)
    much, points = form(abs(other - one)), " points" if form is percent else ""
    return Text(f"{'+' if other > one else '−'}{much.removesuffix('%')}{points}")


# -- what they read ----------------------------------------------------------------------------------------------------


def _reading(found: Comparison, names: Names) -> RenderableType | None:
    both = sum(one.first_tokens for one in found.both)
    first = sum(one.first_tokens for one in found.only_first)
    second = sum(one.second_tokens for one in found.only_second)
    whole = both + first + second
    if not whole:
        return None
    lines: list[RenderableType] = [Bar([both, first, second], whole)]
    parts = ((both, "=", "by both"), (first, "-", f"by {names[0]} alone"), (second, "+", f"by {names[1]} alone"))
    lines.append(Text("   ".join(f"{sign} {tokens(count)} {whose}" for count, sign, whose in parts)))
    if found.only_first:
        lines.append(_stretches(found.only_first, "first", names))
    if found.only_second:
        lines.append(_stretches(found.only_second, "second", names))
    return block("Read", *lines)


def _stretches(stretches: Sequence[Stretch], which: str, names: Names) -> RenderableType:
    """The largest stretches that one run alone read, in the document's order."""
    mine, other = ("first", "second") if which == "first" else ("second", "first")
    largest = sorted(stretches, key=lambda one: -_side(one, mine, "tokens"))[:_MOST_STRETCHES]
    kept = [one for one in stretches if any(one is each for each in largest)]
    several = len({one.source for one in stretches}) > 1
    reader, seer = names if which == "first" else (names[1], names[0])
    head = f"only {reader} read; relevance as {seer} saw it"
    table = _table("", "tokens", "relevance", "page", head, wide=True)
    for one in kept:
        relevance = _side(one, other, "relevance")
        where = title(one.title.split(" › ")[-1]) or f"characters {one.start:,}–{one.end:,}"
        text = Text(where, no_wrap=True, overflow="ellipsis")
        if several:
            text.append(f"  {one_line(one.source)}", style=QUIET)
        page = pages(one.pages).removeprefix("pages ").removeprefix("page ") or "–"
        told = "–" if relevance is None else _estimate(relevance)
        add_row(table, _sign(which), f"{_side(one, mine, 'tokens'):,}", told, page, text)
    rest = [one for one in stretches if not any(one is each for each in kept)]
    if not rest:
        return table
    more = f"and {len(rest):,} more, {tokens(sum(_side(one, mine, 'tokens') for one in rest))}"
    return Group(table, Text(more, style=QUIET))


def _side(one: Any, which: str, what: str) -> Any:
    return getattr(one, f"{which}_{what}")


def _estimate(relevance: float) -> str:
    return "<0.001" if relevance < 0.001 else f"{relevance:.3f}" if relevance < 0.01 else probability(relevance)


def _grants(found: Comparison, names: Names) -> RenderableType | None:
    """Branches that got more from one run than from the other."""
    differing = [one for one in found.branches if one.first_tokens != one.second_tokens]
    if not differing:
        return None
    largest = sorted(differing, key=lambda one: -abs(one.first_tokens - one.second_tokens))[:_MOST_BRANCHES]
    table = _table(*names, "", "page", "about", wide=True)
    for one in (each for each in differing if each in largest):
        page = pages(one.pages).removeprefix("pages ").removeprefix("page ") or "–"
        about = Text(title(one.title.split(" › ")[-1]), no_wrap=True, overflow="ellipsis")
        about.append(f"  {one_line(one.node)}", style=QUIET)
        more = _more(one.first_tokens, one.second_tokens, _count)
        add_row(table, f"{one.first_tokens:,}", f"{one.second_tokens:,}", more, page, about)
    lines: list[RenderableType] = [table]
    rest, same = len(differing) - len(largest), len(found.branches) - len(differing)
    told = [f"and {rest:,} more that differ less"] if rest else []
    told += [f"{same:,} more {'was' if same == 1 else 'were'} granted the same"] if same else []
    if told:
        lines.append(Text("; ".join(told), style=QUIET))
    return block("Tokens granted, by branch", *lines)


# -- what they asked and answered --------------------------------------------------------------------------------------


def _calls(found: Comparison, names: Names) -> RenderableType | None:
    if not found.calls:
        return None
    table = _table("", "stage", *names, "about", wide=True, left=("stage",))
    for one in found.calls[:_MOST_CALLS]:
        which = "both" if one.first and one.second else "first" if one.first else "second"
        cells = ("–" if side is None else f"{side.total_tokens:,}" for side in (one.first, one.second))
        add_row(table, _sign(which), one_line(one.stage), *cells, _about(one, names))
    lines: list[RenderableType] = [table]
    rest = found.calls[_MOST_CALLS:]
    if rest:
        lines.append(Text(f"and {len(rest):,} more", style=QUIET))
    if not all(one.key for one in found.calls):
        lines.append(Text("The traces don't tell prompts: calls of equal size count as the same.", style=QUIET))
    return block("Calls, and the tokens they were billed", *lines)


def _about(pair: CallPair, names: Names) -> Text:
    """Whom, about which node, and what came of it where that isn't a reply alone."""
    text = Text(one_line(pair.model), no_wrap=True, overflow="ellipsis")
    parts = [f"node {one_line(pair.node)}"] if pair.node not in ("", "0") else []
    for side, name in ((pair.first, names[0]), (pair.second, names[1])):
        if side and (ended := _ended(side)):
            parts.append(f"{name}: {ended}")
    if pair.same_reply is False:
        parts.append("other reply")
    for part in parts:
        text.append(f"{' · ' if text.plain else ''}{part}", style=QUIET)
    return text


def _ended(side: CallSide) -> str:
    if side.open:
        return "no end in the trace"
    if side.error:
        return f"failed: {one_line(side.error)}"
    return "recalled" if side.recalled else ""


def _answers(found: Comparison, names: Names) -> RenderableType | None:
    if found.same_answer or found.first.redacted or found.second.redacted:
        return None
    lines: list[RenderableType] = []
    changed = [piece for piece in found.text if piece.which != "both"]
    if not found.text:
        lines.append(Text("Neither has a text.", style=QUIET))
    elif not changed:
        lines.append(Text("The text is the same.", style=QUIET))
    else:
        lines.append(_marked(found))
        how = f"[-…-] only {names[0]} says, {{+…+}} only {names[1]}"
        lines.append(Text(how, style=QUIET))
    return block("Answers", *lines)


def _marked(found: Comparison) -> Text:
    """The answers' text, with what isn't in both between marks."""
    text = Text()
    for piece in found.text:
        said = plain(piece.text)
        if piece.which == "both":
            text.append(said)
            continue
        core = said.strip()
        before, after = said[: len(said) - len(said.lstrip())], said[len(said.rstrip()) :]
        opening, closing = ("[-", "-]") if piece.which == "first" else ("{+", "+}")
        if not core:
            core, before, after = ("(line break)" if "\n" in said else "(blank)"), "", said
        text.append(before).append(f"{opening}{core}{closing}", style=_STYLES[piece.which]).append(after)
    return text


def _quotes(found: Comparison, names: Names) -> RenderableType | None:
    apart = [one for one in found.citations if not (one.first and one.second)]
    if not apart:
        return None
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True)
    table.add_column()
    for one in apart[:_MOST_QUOTES]:
        which = "first" if one.first else "second"
        quote = one_line(one.quote)
        cut = quote if len(quote) <= _LONGEST_QUOTE else quote[:_LONGEST_QUOTE].rsplit(" ", 1)[0] + " …"
        lines = [Text(f"“{cut}”", style=_STYLES[which]), Text(_place(one), style=QUIET), Text(_cause(one, names))]
        add_row(table, _sign(which), Group(*lines))
    common, rest = len(found.citations) - len(apart), len(apart) - _MOST_QUOTES
    told = [f"and {rest:,} more"] if rest > 0 else []
    told += [f"{common:,} quote{' is' if common == 1 else 's are'} in both answers"] if common else []
    more = [Text("; ".join(told), style=QUIET)] if told else []
    return block("Quotes that only one answer has", table, *more)


def _place(one: Cited) -> str:
    parts = [one_line(one.source)] if one.source else []
    if one.page is not None:
        parts.append(f"page {one.page}")
    heading = title(one.title.split(" › ")[-1])
    return " · ".join([*parts, *([heading] if heading else [])])


def _cause(one: Cited, names: Names) -> str:
    """Why the other run doesn't have a quote, as far as its trace tells."""
    mine, other = names if one.first else (names[1], names[0])
    share = one.second_read if one.first else one.first_read
    if share is None:
        return f"Only {mine} has it; where it stands isn't known."
    if one.unread is None:
        return f"{other} had read it, and doesn't quote it."
    lead = f"{other} hadn't read it" if share == 0 else f"{other} had read {percent(share)} of it"
    if one.unread.reason == "shown":
        lead = f"{other} didn't answer from it"
    return f"{lead}: {_why(one.unread)}."


def _why(unread: Unread) -> str:
    """In a few words each: how relevant it looked, and what became of it."""
    left = tokens(unread.left_tokens) if unread.left_tokens else "no tokens"
    stage = f"{one_line(unread.stage)} call"
    if unread.reason == "shown":
        told = f"a {stage} was shown it, and kept other things"
    elif unread.reason == "asked about":
        told = f"a {stage} was about its branch, and kept other things"
    elif unread.reason == "cut off":
        told = "the trace ends before an answer"
    elif unread.reason == "handed back":
        why = f" ({one_line(unread.note)})" if unread.note else ""
        told = f"{tokens(unread.handed_back_tokens)} of its branch went back{why}"
    elif unread.reason == "granted in part":
        whole = f" of the {unread.node_tokens:,}" if unread.node_tokens else ""
        told = f"{unread.granted_tokens:,}{whole} tokens of its branch were granted, for other parts"
    elif unread.reason == "out of tokens":
        told = f"{left} left" + (f" for its {unread.tokens:,}" if unread.tokens else "")
    elif unread.reason == "passed over":
        told = f"passed over with {left} left"
    else:
        told = "the trace doesn't say why"
    return told if unread.relevance is None else f"relevance {_estimate(unread.relevance)}, {told}"


# -- how it is drawn ---------------------------------------------------------------------------------------------------


def _sign(which: str) -> Text:
    return Text(_SIGNS[which], style=_STYLES[which] or QUIET)


def _table(*heads: str, wide: bool = False, left: Iterable[str] = ()) -> Table:
    """A plain table, figures to the right; if it is wide, the last column takes what is left."""
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style=QUIET, expand=wide)
    for place, head in enumerate(heads):
        last = wide and place == len(heads) - 1
        words = last or head in left or (place == 0 and not head)
        table.add_column(
            Text(head),
            justify="left" if words else "right",
            no_wrap=True,
            overflow="ellipsis",
            ratio=1 if last else None,
        )
    return table
