"""The answer: its text, the quotes that bear it, and the receipt of what was read, glanced at and left unread.

A quote counts only if it stands in the document, character for character; `verify` allows for what typesetting does to
a text (line breaks, hyphens at a line's end, curly quotes) and for nothing else. The receipt adds up: **read, coarse
and unread tokens are the document's**.

Owns these values and the rules they keep. Doesn't know who composes (`composer`) or what it cost (`ledger`); the engine
adds the bill with `dataclasses.replace`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from hierarchy.allocator import cover
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.document import Span
from hierarchy.evidence import Evidence, runs_of
from hierarchy.numbers import NumberCheck
from hierarchy.relevance import Relevance
from hierarchy.segments import LeafKind
from hierarchy.tree import SummaryTree

__all__ = ["Answer", "Citation", "Receipt", "Unread", "receipt", "verify"]

_UNREAD, _COARSE, _READ = 0, 1, 2

# Typographic forms that a model or an editor writes plainly, each one character for one.
_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′", "'"),
        **dict.fromkeys("“”„‟″", '"'),
        **dict.fromkeys("‐‑‒–—―−", "-"),
    }
)
# Where a word may be broken without a visible hyphen: the soft hyphen, and what PDF readers put for one.
_SOFT_HYPHENS = "\u00ad\ufffe\x02"
_GAP = re.compile(rf"([-{_SOFT_HYPHENS}])\s*|\s+")
# A quote's letters may stand in a text more often than its hyphens agree; each such place costs time.
_MAX_TRIALS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """A quote and where it stands.

    Attributes:
        quote: The document's own characters, `file.text[start:end]`.
        source: Name of the file.
        page: Physical page of its first character, counted from 1; None without pages.
        start: First character in the file's text.
        end: One past the last.
        verified: Whether it stands there verbatim.
        node: Id of the smallest tree node that holds it.
        context: For a table row its column heads and unit; may be empty.
    """

    quote: str
    source: str
    page: int | None = None
    start: int = 0
    end: int = 0
    verified: bool = False
    node: tuple[int, ...] = ()
    context: str = ""

    @property
    def line(self) -> str:
        """The quote as a line, a row with its column heads and unit in front."""
        line = " ".join(self.quote.split())
        return f"{self.context}: {line}" if self.context else line

    def to_dict(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {name: getattr(self, name) for name in ("quote", "source", "page", "start", "end", "verified")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A part of the document of which nothing was read.

    Attributes:
        node: Its id in the tree.
        title: What a reader would call it.
        source: Name of its file; of the folder where it covers several.
        pages: First and last page; None without pages or over several files.
        tokens: What reading it would cost.
        relevance: Estimated probability that it holds needed evidence.
        seen: `coarse` if the composer was shown its summary, else `no`.
    """

    node: tuple[int, ...]
    title: str
    source: str
    pages: tuple[int, int] | None = None
    tokens: int = 0
    relevance: float = 0.0
    seen: Literal["coarse", "no"] = "no"

    def to_dict(self) -> dict[str, Any]:
        """As `--json` shows it."""
        return {
            "node": ".".join(map(str, self.node)),
            "title": self.title,
            "source": self.source,
            "pages": list(self.pages) if self.pages else None,
            "tokens": self.tokens,
            "relevance": round(self.relevance, 6),
            "seen": self.seen,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of every token of the document: **read, coarse and unread add up to it**.

    Attributes:
        read_tokens: Read verbatim.
        coarse_tokens: Not read, but under a node whose coarse summary was shown.
        unread_tokens: Neither.
        document_tokens: All.
        unread: The largest nodes of which nothing was read, most relevant first. Page furniture counts above but isn't
            listed for its own sake.
    """

    read_tokens: int = 0
    coarse_tokens: int = 0
    unread_tokens: int = 0
    document_tokens: int = 0
    unread: tuple[Unread, ...] = ()

    @property
    def read_share(self) -> float:
        """Share of the document that was read, in [0, 1]."""
        return self.read_tokens / self.document_tokens if self.document_tokens else 0.0

    def to_dict(self) -> dict[str, Any]:
        """The four sums; what was left unread is listed beside them."""
        names = ("read_tokens", "coarse_tokens", "unread_tokens", "document_tokens")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer, or the statement that what was read doesn't hold one.

    Attributes:
        text: The answer in words; if abstained, what was looked for and isn't there.
        abstained: Whether the evidence doesn't support an answer.
        confidence: In [0, 1]; 0 if abstained.
        confidence_basis: What the confidence is made of, as names and values.
        citations: The quotes that bear the answer, in the order given; all of them verified.
        evidence: All that was read.
        receipt: What was read, glanced at and left unread.
        partial: Whether something went wrong on the way, so that this is the best that could be said.
        missing: What is missing for a full answer, in the document's own words where possible.
        notes: What went wrong, was repaired or left out, one sentence each.
        numbers: Each number in the text, and what bears it; empty if abstained.
        usage: Everything billed for it.
        by_stage: What each stage was billed; adds up to `usage`.
        budget: The caps it was made under; None outside an engine.
        trace: The events of its making; None outside an engine.
    """

    text: str
    abstained: bool = False
    confidence: float = 0.0
    confidence_basis: tuple[tuple[str, float], ...] = ()
    citations: tuple[Citation, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)
    receipt: Receipt = field(default_factory=Receipt)
    partial: bool = False
    missing: str = ""
    notes: tuple[str, ...] = ()
    numbers: tuple[NumberCheck, ...] = ()
    usage: Usage = NOTHING
    by_stage: tuple[tuple[str, Usage], ...] = ()
    budget: Budget | None = None
    trace: Any = field(default=None, repr=False, compare=False)

    @property
    def unread(self) -> tuple[Unread, ...]:
        """What was only glanced at or not seen at all, most relevant first."""
        return self.receipt.unread

    def to_dict(self) -> dict[str, Any]:
        """As `--json` prints it: plain values only."""
        return {
            "text": self.text,
            "abstained": self.abstained,
            "confidence": round(self.confidence, 4),
            "citations": [citation.to_dict() for citation in self.citations],
            "usage": {
                **_bill(self.usage),
                "by_stage": {stage: _bill(usage) for stage, usage in self.by_stage},
            },
            "budget": {
                "total_tokens": self.budget.total_tokens if self.budget else None,
                "spent_tokens": self.usage.total_tokens,
            },
            "unread": [one.to_dict() for one in self.unread],
            "confidence_basis": {name: round(value, 4) for name, value in self.confidence_basis},
            "partial": self.partial,
            "missing": self.missing,
            "notes": list(self.notes),
            "numbers": [{name: getattr(one, name) for name in ("text", "status", "step")} for one in self.numbers],
            "receipt": self.receipt.to_dict(),
        }


def _bill(usage: Usage) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "total_tokens", "calls", "cost_usd")
    return {name: getattr(usage, name) for name in names}


# -- the receipt -------------------------------------------------------------------------------------------------------


def receipt(
    tree: SummaryTree, relevance: Relevance, read_runs: Iterable[tuple[int, int]], coarse_nodes: Iterable[int] = ()
) -> Receipt:
    """Account for every token of a document.

    Args:
        tree: The tree.
        relevance: Says how relevant the unread rest looks.
        read_runs: Leaves read verbatim, as half-open runs; they may overlap.
        coarse_nodes: Numbers of the nodes whose coarse summary was shown.

    Returns:
        Sums that add up to the document, and the largest nodes of which nothing was read.
    """
    state = np.full(len(tree.leaves), _UNREAD, dtype=np.int64)
    for node in coarse_nodes:
        state[tree.nodes.low[node] : tree.nodes.high[node]] = _COARSE
    for low, high in read_runs:
        state[low:high] = _READ
    sums = [int(tree.leaves.tokens[state == which].sum()) for which in (_UNREAD, _COARSE, _READ)]
    unread = [
        _unread(tree, relevance, node, which)
        for which in (_UNREAD, _COARSE)
        for node in _largest_nodes(tree, state == which)
    ]
    unread.sort(key=lambda one: (-one.relevance, one.node))
    return Receipt(
        read_tokens=sums[_READ],
        coarse_tokens=sums[_COARSE],
        unread_tokens=sums[_UNREAD],
        document_tokens=tree.tokens,
        unread=tuple(unread),
    )


def _largest_nodes(tree: SummaryTree, wanted: np.ndarray) -> Iterator[int]:
    """The largest nodes all of whose leaves are wanted, page furniture alone left out."""
    telling = np.concatenate(([0], np.cumsum(tree.leaves.kind != LeafKind.FURNITURE)))
    for part in cover(tree, runs_of(np.flatnonzero(~wanted))):
        low, high = tree.nodes.low[part.node], tree.nodes.high[part.node]
        if part.resolution == "coarse" and telling[high] > telling[low]:
            yield part.node


def _unread(tree: SummaryTree, relevance: Relevance, number: int, state: int) -> Unread:
    node = tree.node(number)
    first, last = int(tree.leaves.file[node.low]), int(tree.leaves.file[node.high - 1])
    pages = (tree.page(node.low), tree.page(node.high - 1)) if first == last else (None, None)
    return Unread(
        node=node.id,
        title=node.title,
        source=tree.files[first].name if first == last else tree.document.name,
        pages=(pages[0], pages[1]) if pages[0] is not None and pages[1] is not None else None,
        tokens=node.tokens,
        relevance=float(relevance.node[number]),
        seen="coarse" if state == _COARSE else "no",
    )


# -- quotes ------------------------------------------------------------------------------------------------------------


def verify(text: str, quote: str, within: tuple[int, int] | None = None) -> Span | None:
    r"""Find where a quote stands, verbatim but for what typesetting does.

    Equal are: white space of any kind and length; typographic and plain quotes and dashes; a word and the same word
    broken at a line's end, with a hyphen, a soft one, or none. Letters, figures, case and punctuation are not
    negotiable, and **a quote doesn't cut a number in two**: "5 mg" doesn't stand in "75 mg". Linear in both lengths.

    Args:
        text: A file's text.
        quote: What is said to stand there.
        within: Characters to look between; everywhere if None.

    Returns:
        The first place; its characters are the file's own. None if there is none.

    Example:
        >>> verify("Net reve-\nnue  was “flat”.", 'Net revenue was "flat".')
        Span(start=0, end=26)
        >>> verify("Aspirin 75 mg", "5 mg") is None
        True
    """
    low, high = within or (0, len(text))
    low, high = max(0, low), min(len(text), high)
    stripped = quote.strip()
    if not stripped or low >= high:
        return None
    for at in _places(text, stripped, low, high):
        if not _cuts_number(text, at, at + len(stripped)):
            return Span(at, at + len(stripped))
    return _verify_loosely(text, stripped, low, high)


def _places(text: str, quote: str, low: int, high: int) -> Iterator[int]:
    at = text.find(quote, low, high)
    for _ in range(_MAX_TRIALS):
        if at < 0:
            return
        yield at
        at = text.find(quote, at + 1, high)


def _verify_loosely(text: str, quote: str, low: int, high: int) -> Span | None:
    plain, sought = _Plain(text[low:high]), _Plain(quote)
    if not sought.characters:
        return None
    for at in _places(plain.characters, sought.characters, 0, len(plain.characters)):
        start = low + plain.places[at]
        end = low + plain.places[at + len(sought.characters) - 1] + 1
        if plain.joined_like(sought, at) and not _cuts_number(text, start, end):
            return Span(start, end)
    return None


def _cuts_number(text: str, start: int, end: int) -> bool:
    """Whether a number runs on beyond either end."""
    return _inside_number(text, start) or _inside_number(text, end)


def _inside_number(text: str, at: int) -> bool:
    """Whether the border before the character `at` lies within a number: 1|77, 1|,577, 1,|577."""
    around = text[max(0, at - 2) : at + 2]
    before, after = around[: min(at, 2)], around[min(at, 2) :]
    if not before or not after:
        return False
    if before[-1].isdigit():
        return after[0].isdigit() or (len(after) > 1 and after[0] in ".," and after[1].isdigit())
    return before[-1] in ".," and len(before) > 1 and before[0].isdigit() and after[0].isdigit()


# How two characters of a word hang together, where a hyphen stands between them.
_PLAIN_JOIN, _HYPHEN, _HYPHEN_SPACE, _LINE_END, _LINE_END_FIGURE = range(5)


class _Plain:
    """A text as it would be typed: white space runs as one space, plain quotes and dashes, no hyphens within words.

    Attributes:
        characters: What is left.
        places: Where each stands in the text.
        joins: Where a hyphen stood before a character, which kind it was, by index.
    """

    def __init__(self, text: str) -> None:
        plain = text.translate(_PLAIN)
        kept: list[str] = []
        self.places: list[int] = []
        self.joins: dict[int, int] = {}
        at = 0
        for gap in _GAP.finditer(plain):
            kept += plain[at : gap.start()]
            self.places += range(at, gap.start())
            at = gap.end()
            join = _join(gap, kept[-1] if kept else "", plain[at : at + 1])
            if join is not None:
                self.joins[len(kept)] = join
                continue
            if gap.group(1) == "-":
                kept.append("-")
                self.places.append(gap.start())
            space = gap.end() - 1  # the last of a run, so that a hyphen before it keeps its own place
            if plain[space].isspace() and kept and kept[-1] != " ":
                kept.append(" ")
                self.places.append(space)
        kept += plain[at:]
        self.places += range(at, len(plain))
        self.characters = "".join(kept)

    def joined_like(self, quote: _Plain, at: int) -> bool:
        """Whether the quote's hyphens agree with those of the text from its character `at` on."""
        mine = {index - at: join for index, join in self.joins.items() if at < index < at + len(quote.characters)}
        return all(
            _same_join(mine.get(index, _PLAIN_JOIN), quote.joins.get(index, _PLAIN_JOIN))
            for index in mine.keys() | quote.joins.keys()
        )


def _join(gap: re.Match[str], before: str, behind: str) -> int | None:
    """How a hyphen, and white space behind it, join what stands before and behind; None where they are no word."""
    hyphen = gap.group(1)
    if not hyphen or not before.isalnum() or not behind.isalnum():
        return None
    if hyphen in _SOFT_HYPHENS:
        return _LINE_END
    if "\n" in gap.group() or "\r" in gap.group():
        return _LINE_END_FIGURE if before.isdigit() or behind.isdigit() else _LINE_END
    return _HYPHEN if len(gap.group()) == 1 else _HYPHEN_SPACE


def _same_join(one: int, other: int) -> bool:
    """A break at a line's end may stand for anything; between figures for anything but nothing."""
    if one == other or _LINE_END in (one, other):
        return True
    return _LINE_END_FIGURE in (one, other) and _PLAIN_JOIN not in (one, other)
