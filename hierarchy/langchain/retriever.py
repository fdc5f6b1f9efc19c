"""The retriever: passages worth reading, as LangChain's documents. Doesn't call a model."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document as LangChainDocument
from langchain_core.retrievers import BaseRetriever
from pydantic import field_validator, model_validator

from hierarchy.allocator import Policy
from hierarchy.budget import Budget
from hierarchy.engine import Reasoner
from hierarchy.errors import InputError
from hierarchy.events import dotted
from hierarchy.evidence import Passage
from hierarchy.flow import render_passages
from hierarchy.langchain.given import Documents, briefly, built_in, checked_budget, readable
from hierarchy.langchain.handlers import teller

__all__ = ["HierarchyRetriever", "cite"]

_ID_BYTES = 16


class HierarchyRetriever(BaseRetriever):
    """Retrieves the passages of a document that are worth reading for a question, within a budget. Calls no model.

    **What is returned counts at most the budget**, together with the lines that `cite` puts above each passage. Each
    document's `page_content` is the file's own text, character for character; its `id` depends on the file's name and
    content and on the place, so that a passage has the same one in every process; its metadata are `source`, `page`,
    `start`, `end`, `heading`, `context` (a table row's column heads and unit), `relevance`, `tokens` and `node`.

    Attributes:
        document: A path (file, folder, glob), a `Document`, a tree, or documents of LangChain.
        budget: What the text may count: `2000`, `"2k"` or `"5%"` of the document.
        reasoner: Whose policy and trees are used; by default the built-in one's.
        policy: How tokens are divided over the tree, where no reasoner is given.
        order: `document`, or `relevance` for the most relevant first.

    Raises:
        InputError: On use, if the document can't be read or the question is blank; when made, if an option is wrong.
        BudgetTooSmall: On use, if not even one passage fits. **It never returns nothing for want of a text or budget.**

    Example:
        >>> note = LangChainDocument("Warfarin was stopped on 3 May. He lives alone.")
        >>> retriever = HierarchyRetriever(document=note, budget=200)
        >>> [found.page_content for found in retriever.invoke("When was warfarin stopped?")]
        ['Warfarin was stopped on 3 May. He lives alone.']
    """

    document: Documents
    budget: Budget | int | str = 2_000
    reasoner: Reasoner | None = None
    policy: str | Policy | None = None
    order: Literal["document", "relevance"] = "document"

    _document_is_readable = field_validator("document", mode="before")(readable)
    _budget_is_one = field_validator("budget", mode="before")(checked_budget)

    @model_validator(mode="after")
    def _one_policy(self) -> HierarchyRetriever:
        if self.reasoner is not None and self.policy is not None:
            raise InputError("Both a reasoner and a policy are given.", "Give the policy to the Reasoner.")
        if self.policy is not None:
            built_in(self.policy)  # says at once if there is no such policy
        return self

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """What tracers show: names rather than texts."""
        return briefly(self)

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        reasoner = self.reasoner or built_in(self.policy or "expected_gain")
        tree = reasoner.outline(readable(self.document))
        context = reasoner.context(tree, query, self.budget, on_event=teller(run_manager.get_child()))
        passages = context.passages
        if self.order == "relevance":
            passages = tuple(sorted(passages, key=lambda passage: -passage.relevance))
        sources = {passage.source for passage in passages}
        keys = {file.name: file.key for file in tree.files if file.name in sources}
        return [_as_document(passage, keys[passage.source]) for passage in passages]

    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun
    ) -> list[LangChainDocument]:
        """Reading and estimating take a processor, not a network, so they are done in a thread."""
        return await asyncio.to_thread(self._get_relevant_documents, query, run_manager=run_manager.get_sync())


def cite(documents: Iterable[LangChainDocument]) -> str:
    r"""What was retrieved as one text, each passage numbered under a line that says where it stands.

    The text that `Reasoner.context` makes: a table's rows come with their column heads, which `page_content` lacks.

    Example:
        >>> cite([LangChainDocument("Cash 97.6", metadata={"source": "10-K.pdf", "page": 30, "context": "2025"})])
        '[1] 10-K.pdf · p. 30\n2025\nCash 97.6'
    """
    return render_passages([_as_passage(document) for document in documents])


def _as_document(passage: Passage, file_key: str) -> LangChainDocument:
    place = json.dumps([file_key, passage.start, passage.end])
    names = ("source", "page", "start", "end", "heading", "context", "relevance", "tokens")
    return LangChainDocument(
        passage.text,
        id=hashlib.blake2b(place.encode(), digest_size=_ID_BYTES).hexdigest(),
        metadata={**{name: getattr(passage, name) for name in names}, "node": dotted(passage.node)},
    )


def _as_passage(document: LangChainDocument) -> Passage:
    told = document.metadata
    return Passage(
        node=(),
        source=str(told.get("source") or ""),
        start=0,
        end=len(document.page_content),
        text=document.page_content,
        page=told.get("page"),
        heading=str(told.get("heading") or ""),
        context=str(told.get("context") or ""),
    )
