"""The router: one cheap call that sees the question alone and says what to search for.

The question's words are seldom the document's: "quick ratio" stands in no filing, "current assets" and "inventories"
do. A model that knows such documents names their words, what statement or section is needed, and what kind of question
it is. It isn't shown the document, whose kind alone it is told, so the call costs next to nothing and nothing that a
document says can sway it.

Doesn't know how the reply is used (`relevance.routed`) or whether a call is worth it (`strategy`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from hierarchy.calls import Request, Steps
from hierarchy.errors import HierarchyError, OutputInvalid
from hierarchy.relevance import Routing
from hierarchy.templates import parse_list, parse_reply, render
from hierarchy.tree import SummaryTree

__all__ = ["REPLY_TOKENS", "Routed", "described", "reading_of", "request", "route"]

REPLY_TOKENS = {"full": 220, "lean": 90}
"""The most that a reply may count, by form. A reply that is cut keeps what was complete."""

# What of a reply is kept, however long it is: entries of each list, and characters of each. More isn't searched for.
_MOST_ENTRIES, _MOST_CHARACTERS = 16, 120
# A term has fewer words than a sentence. A line that ends like one and has no mark of a list is one.
_MOST_WORDS = 8
_SENTENCE = re.compile(r"^(?![ \t]*(?:[-*•–\"'“]|\(?\d)).*[.!?:][ \t]*$", re.MULTILINE)
_JSON_MARKS = re.compile(r"^\s*\[|[{}]|\":")

# What a document is, by the size of passage that suits it.
_KINDS = {256: "a report with tables", 512: "a transcript of speech"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Routed:
    """What came of routing.

    Attributes:
        routing: What the model said; empty if nothing came.
        note: What went wrong; empty if nothing did.
    """

    routing: Routing
    note: str = ""


def described(tree: SummaryTree, grain_tokens: int) -> str:
    """What kind of document it is, in words of ours: no text of the document's own.

    Args:
        tree: The document.
        grain_tokens: `Relevance.grain_tokens`.
    """
    kind = _KINDS.get(grain_tokens, "a text")
    pages = sum(len(file.pages) for file in tree.files)
    if len(tree.files) > 1:
        return f"a folder of {len(tree.files)} documents"
    return f"{kind} of {pages} pages" if pages else kind


def request(
    question: str, document: str, *, lean: bool = False, spare_tokens: int = 0, folder: Path | str | None = None
) -> Request:
    """The request that routes a question.

    Args:
        question: As asked.
        document: What kind of document it is, as `described`.
        lean: Ask for a plain list of terms, at half the price.
        spare_tokens: What to allow beside the reply for thinking that nobody gets to see.
        folder: Prompts that override the shipped ones.
    """
    prompt = render("route_lean" if lean else "route", {"question": question, "document": document}, folder=folder)
    return Request(
        stage="route",
        prompt=prompt.text,
        max_output_tokens=REPLY_TOKENS["lean" if lean else "full"] + spare_tokens,
        template=prompt.template_key,
        variables={"question": question, "document": document},
    )


def route(call: Request) -> Steps[Routed]:
    """Ask what to search for.

    A call that fails, or a reply that can't be read, is noted and costs no more than the search terms: the question's
    own words are searched for all the same.
    """
    (outcome,) = yield (call,)
    try:
        if outcome.error:
            raise outcome.error
        return Routed(routing=reading_of(outcome.text))
    except HierarchyError as error:
        return Routed(
            routing=Routing(), note=f"The question couldn't be routed, so its own words were searched. {error}"
        )


def reading_of(text: str) -> Routing:
    r"""What a reply says, in either form.

    **Of an endless reply the beginning is kept**, so that a trace doesn't grow with it.

    Raises:
        OutputInvalid: It names nothing to search for: an empty form, marks alone, or prose.

    Example:
        >>> reading_of("- current assets\n- inventories").terms
        ('current assets', 'inventories')
    """
    try:
        reply = parse_reply(text, fields=("terms", "needs", "kind", "questions"))
    except OutputInvalid:
        reply = {"terms": _listed(text), "needs": (), "kind": "", "questions": ()}
    routing = Routing(
        terms=_bounded(reply["terms"]),
        needs=_bounded(reply["needs"]),
        kind=" ".join(reply["kind"][:_MOST_CHARACTERS].split()).lower(),
        questions=_bounded(reply["questions"]),
    )
    if not (routing.terms or routing.needs):
        raise OutputInvalid("The reply names nothing to search for.", "Use a model that follows the form.")
    return routing


def _listed(text: str) -> Iterable[str]:
    """The terms in a list; of an object that is no form, and of prose, none."""
    found = parse_list(_SENTENCE.sub("", text))
    return (entry for entry in found if len(entry.split()) <= _MOST_WORDS and not _JSON_MARKS.search(entry))


def _bounded(entries: Iterable[str]) -> tuple[str, ...]:
    """The first of them, each no longer than one can be, without those that hold no word."""
    short = (entry[:_MOST_CHARACTERS] for entry in entries)
    return tuple(islice((entry for entry in short if any(map(str.isalnum, entry))), _MOST_ENTRIES))
