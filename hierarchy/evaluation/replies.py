"""Recorded replies of a model to the routing call, so that routing can be measured where no model can be reached.

`route_replies.jsonl` beside a set's cases holds one reply a line: `{"id", "terms", "needs", "kind"}`. A reply is put as
the model would have put it, read as the library reads it (`router`), and **charged in full: the prompt as the library
renders it and the reply, in tokens**.

Knows routing and sets. Doesn't know what is made of a routing (`relevance`) or how it is judged (`metrics`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierarchy import router
from hierarchy.errors import InputError
from hierarchy.relevance import Index, Question, Routing, parse, routed
from hierarchy.relevance.formula import grain_of
from hierarchy.relevance.index import GRAINS
from hierarchy.tokens import count_tokens
from hierarchy.tree import SummaryTree

__all__ = [
    "FILE_NAME",
    "Asked",
    "ask_unrouted",
    "ask_with_reply",
    "is_lean",
    "mismatched",
    "read_replies",
    "routed_forms",
]

FILE_NAME = "route_replies.jsonl"
"""Where a set keeps its replies."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as it is put to a document, and what it took to get there.

    Attributes:
        question: Routed or not.
        form: `full` or `lean`, `wrong` if by the reply to another question; empty if it wasn't routed.
        tokens: What the routing call is charged, prompt and reply together.
    """

    question: Question
    form: str = ""
    tokens: int = 0


def read_replies(path: Path | str) -> Mapping[str, Routing]:
    """Read recorded replies by the id of their case; of several to one case the last counts.

    Raises:
        InputError: The file can't be read, or a line isn't a reply; the message says which.
    """
    path = Path(path)
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Give a file of recorded replies.") from error
    replies: dict[str, Routing] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                record = json.loads(line)
                replies[str(record["id"])] = Routing(
                    terms=_texts(record, "terms"),
                    needs=_texts(record, "needs"),
                    kind=str(record.get("kind", "")),
                    questions=_texts(record, "questions"),
                )
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise InputError(
                    f"{path}, line {number}: not a reply ({type(error).__name__}: {error}).",
                    'A line holds {"id", "terms", "needs", "kind"}.',
                ) from error
    return replies


def _texts(record: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = record.get(key, [])
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise TypeError(f"{key} must be a list of texts")
    return tuple(value)


def mismatched(replies: Mapping[str, Routing]) -> Mapping[str, Routing]:
    """For a third of the cases the reply to a question that asks something else: what a bad model might say.

    Weights that met some don't trust a reply blindly, and what they lose by such replies can be told.
    """
    ids = list(replies)
    found = {}
    for at in range(0, len(ids), 3):
        order = (ids[(at + len(ids) // 2 + step) % len(ids)] for step in range(len(ids)))
        other = next(
            (replies[one] for one in order if set(replies[one].terms).isdisjoint(replies[ids[at]].terms)), None
        )
        if other:
            found[ids[at]] = other
    return found


def is_lean(index: Index) -> bool:
    """Whether a document is asked for with a plain list of terms: all but reports with tables.

    Only there do statements have names that are worth asking for.
    """
    return GRAINS[grain_of(index)] != 256


def ask_unrouted(question: str) -> Asked:
    """A question as it is, which costs nothing."""
    return Asked(question=parse(question))


def ask_with_reply(
    tree: SummaryTree, index: Index, question: str, reply: Routing, *, lean: bool | None = None
) -> Asked:
    """A question with what a recorded reply adds to it, the call charged.

    Args:
        tree: The document.
        index: Its index.
        question: As asked.
        reply: What was recorded.
        lean: Which form of the call; None for the lean one, which finds as much and costs less.
    """
    lean = lean is None or lean
    call = router.request(question, router.described(tree, GRAINS[grain_of(index)]), lean=lean)
    text = _as_replied(reply, lean=lean)
    tokens = count_tokens(call.prompt) + count_tokens(text)
    found = routed(parse(question), router.reading_of(text))
    return Asked(question=found, form="lean" if lean else "full", tokens=tokens)


def routed_forms(tree: SummaryTree, index: Index, question: str, reply: Routing) -> tuple[Asked, ...]:
    """A question routed in each form that is worth asking of a document: reports with tables in both, others lean."""
    return tuple(ask_with_reply(tree, index, question, reply, lean=lean) for lean in sorted({is_lean(index), True}))


def ask_wrongly(tree: SummaryTree, index: Index, question: str, other: Routing) -> Asked:
    """A question routed by the reply to another one, in the form that suits the document."""
    return replace(ask_with_reply(tree, index, question, other, lean=is_lean(index)), form="wrong")


def _as_replied(reply: Routing, *, lean: bool) -> str:
    """A reply as a model writes it that keeps to the form: a list of lines, or JSON without blanks that say nothing."""
    if lean:
        return "\n".join(reply.terms)
    record = {"terms": reply.terms, "needs": reply.needs, "kind": reply.kind, "questions": reply.questions}
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
