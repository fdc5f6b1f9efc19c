"""What the runnables are given: documents and budgets, checked when they are given, and shown by name.

LangChain's own documents are made one of ours here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langchain_core.documents import Document as LangChainDocument
from pydantic import BaseModel

from hierarchy.allocator import Policy
from hierarchy.budget import Budget
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import InputError
from hierarchy.loaders import from_langchain
from hierarchy.tree import SummaryTree

__all__ = ["Documents", "briefly", "built_in", "checked_budget", "cut", "readable", "shown"]

if TYPE_CHECKING:
    Documents = str | Path | Document | SummaryTree | LangChainDocument | Sequence[LangChainDocument]
else:  # pydantic would look into them field by field; `readable` does the checking.
    Documents = Any

# Budgets in percent are checked against this when there is no document yet.
_ANY_LENGTH = 10**9


def readable(value: object) -> str | Path | Document | SummaryTree:
    """A source as the engine takes it; documents of LangChain become one.

    Raises:
        InputError: It is none, or holds no text.
    """
    if isinstance(value, LangChainDocument):
        value = (value,)
    if isinstance(value, list | tuple) and all(isinstance(each, LangChainDocument) for each in value):
        return from_langchain(value)
    if isinstance(value, str | Path | Document | SummaryTree):
        return value
    raise InputError(
        f"{type(value).__name__} {cut(value)} is no document.",
        "Give a path, a Document, a tree, or LangChain's documents.",
    )


def checked_budget(value: Any) -> Any:
    """A budget as it was given; None is none.

    Raises:
        InputError: It isn't one.
    """
    if value is not None:
        Budget.parse(value, document_tokens=_ANY_LENGTH)
    return value


@lru_cache(maxsize=8)
def built_in(policy: str | Policy) -> Reasoner:
    """The reasoner of who gives none; one for all, so that a document is read once."""
    return Reasoner(policy=policy)


def briefly(runnable: BaseModel) -> Iterator[tuple[str, Any]]:
    """What of a runnable was set, with names in place of texts: tracers keep this of each run."""
    for name, value in runnable.__dict__.items():
        if value != type(runnable).model_fields[name].default:
            yield name, _name(value) if name == "document" else value.model.name if name == "reasoner" else value


def _name(document: object) -> str:
    if isinstance(document, Document):
        return document.name
    return document.document.name if isinstance(document, SummaryTree) else cut(document)


def shown(given: object) -> Any:
    """An input as callback handlers are shown it: a document by its name."""
    if isinstance(given, Mapping) and "document" in given:
        return {**given, "document": _name(given["document"])}
    return given


def cut(value: object) -> str:
    """As much of a value as a message has room for."""
    text = str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
