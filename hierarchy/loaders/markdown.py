"""Markdown to `Document`: the text unchanged, its headings and table rows found by a real parser.

A `#` in a code block is no heading and a pipe in a sentence no table; only a parser knows. Owns the mapping from the
parser's line numbers to characters.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from hierarchy.document import Document, Span
from hierarchy.loaders.headings import Heading, nest, one_line

if TYPE_CHECKING:
    from markdown_it.token import Token

__all__ = ["looks_like_markdown", "read_markdown"]

_ATX = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
_MARKS = re.compile(r"^(?:#{1,6}[ \t]+\S|```|\|.*\||[-*+] \S|> |\[[^\]]+\]\()", re.MULTILINE)
_FRONT_MATTER = re.compile(r"---\r?\n(?:.*\r?\n){0,200}?---\r?\n")
_SAMPLE = 200_000
# The parser breaks lines here and nowhere else (it normalises these first); str.splitlines breaks at many more.
_BREAK = re.compile(r"\r\n|\n|\r")
_LARGEST = 10_000_000


def looks_like_markdown(text: str) -> bool:
    """Whether text of unknown kind is Markdown: it has headings marked by `#`, and not much that speaks against it."""
    sample = text[:_SAMPLE]
    headings = len(_ATX.findall(sample))
    return headings >= 2 or (headings == 1 and len(_MARKS.findall(sample)) >= 3)


def read_markdown(name: str, text: str, notes: tuple[str, ...] = ()) -> Document:
    """A document of Markdown.

    **The text is kept character for character.**
    """
    if len(text) > _LARGEST:
        from hierarchy.loaders.plain import read_plain

        note = f"{len(text):,} characters are too many for the Markdown parser; headings were found by pattern."
        return read_plain(name, text, (*notes, note))
    starts = _line_starts(text)
    # Metadata at the top looks like a rule and a heading to the parser; blank lines keep the numbers right.
    front = _FRONT_MATTER.match(text)
    body = "\n" * len(_BREAK.findall(front[0])) + text[front.end() :] if front else text
    tokens = _tokens(body)
    return Document(
        name=name,
        text=text,
        media="markdown",
        sections=nest(_headings(tokens, starts), len(text)),
        rows=_rows(tokens, text, starts),
        notes=notes,
    )


def _tokens(text: str) -> list[Token]:
    from markdown_it import MarkdownIt

    return MarkdownIt("commonmark").enable("table").parse(text)


def _line_starts(text: str) -> list[int]:
    return [0, *(match.end() for match in _BREAK.finditer(text)), len(text)]


def _headings(tokens: Sequence[Token], starts: Sequence[int]) -> list[Heading]:
    headings = []
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or not opening.map or opening.level:
            continue
        title = one_line(_shown(inline))
        if title:
            headings.append(Heading(title=title, start=starts[opening.map[0]], rank=int(opening.tag[1:])))
    return headings


def _shown(inline: Token) -> str:
    """The text of a heading without its marks."""
    parts = [child.content if child.type in ("text", "code_inline") else " " for child in inline.children or ()]
    return "".join(part for part in parts if part != " ") if "".join(parts).strip() else inline.content


def _rows(tokens: Sequence[Token], text: str, starts: Sequence[int]) -> tuple[Span, ...]:
    spans = []
    for token in tokens:
        if token.type == "tr_open" and token.map:
            start = starts[token.map[0]]
            end = starts[bisect_left(starts, start + 1)]
            spans.append(Span(start, start + len(text[start:end].rstrip())))
    return tuple(sorted(set(spans)))
