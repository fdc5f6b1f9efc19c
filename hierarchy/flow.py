"""The course of one question: routing, relevance, allocation, refinement, composition, and what is told on the way.

A flow is one generator that yields events, which need no reply, and batches of requests, which do. It does what a plan
says (`strategy`); who makes the calls, keeps the ledger and holds the clock is the engine's business, so that one body
serves threads, tasks and tests driven by hand.

**Its plans count what replies cost when they were made**, even if they cost nothing now: so a question asked again
after a crash asks for the same, and pays only for what is missing. Doesn't know models, ledgers or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy.answer import Answer, Receipt, receipt
from hierarchy.budget import Budget
from hierarchy.calls import Tariff
from hierarchy.composer import SHORT_REPLY_TOKENS
from hierarchy.course import Course, Flow
from hierarchy.errors import BudgetTooSmall, InputError
from hierarchy.events import Branch, Estimated, Kept, Noted, Outlined
from hierarchy.evidence import Evidence, Passage
from hierarchy.fitting import best, fitted
from hierarchy.relevance import Question, Relevance, estimate, parse, routed
from hierarchy.strategy import Strategy, choose, revised
from hierarchy.telling import granted, mapped, planned, started, told
from hierarchy.tokens import Counter, count_tokens
from hierarchy.tree import SummaryTree

__all__ = ["Context", "Flow", "Strategy", "answer_question", "gather_context"]

_TOP_NODES = 8
# What a document is, by the grain that suits it.
_DOCUMENT_KINDS = {0: "prose", 256: "tables on pages", 512: "speech"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """The parts of a document worth reading for a question, cited, within a budget, for a model that the user calls.

    Attributes:
        text: The passages in document order, each under a line that says where it stands. **It counts at most the
            budget.**
        tokens: What `text` counts.
        evidence: The passages.
        receipt: What was read and what was left out.
        trace: The trace of its making; None outside an engine.
    """

    text: str
    tokens: int
    evidence: Evidence
    receipt: Receipt
    trace: object = None

    @property
    def passages(self) -> tuple[Passage, ...]:
        """The passages, in document order."""
        return self.evidence.passages

    def to_dict(self) -> dict[str, object]:
        """As `--json` prints it."""
        names = ("source", "page", "start", "end", "heading", "context", "tokens", "relevance", "text")
        return {
            "text": self.text,
            "tokens": self.tokens,
            "passages": [{name: getattr(passage, name) for name in names} for passage in self.passages],
            "receipt": self.receipt.to_dict(),
            "unread": [one.to_dict() for one in self.receipt.unread],
        }


def answer_question(
    tree: SummaryTree,
    question: str,
    *,
    budget: Budget,
    strategy: Strategy,
    tariff: Tariff,
    helper: Tariff | None = None,
) -> Flow[Answer]:
    """Answer a question within a budget.

    Args:
        tree: The document.
        question: What is asked.
        budget: The caps.
        strategy: How tokens are spent.
        tariff: What calls to the model that answers cost.
        helper: The same of the model that routes, summarises and refines; the one that answers if None.

    Returns:
        The answer, without its bill.

    Raises:
        InputError: The question is blank.
        BudgetTooSmall: No answer is possible; raised before the first call.
    """
    _check_question(question)
    course = Course(
        tree=tree, question=question, budget=budget, strategy=strategy, tariff=tariff, helper=helper or tariff
    )
    yield started(tree, question, budget, strategy, tariff.name)
    least = course.least_tokens
    if budget.total_tokens < least:
        raise BudgetTooSmall(needed_tokens=least, given_tokens=budget.total_tokens)
    relevance = yield from _oriented(tree, parse(question), strategy)
    given = course.situation(relevance)
    plan = choose(given)
    yield planned(plan)
    short = SHORT_REPLY_TOKENS
    yield Kept(tokens=least, cost_usd=tariff.price(least - short, short))
    if plan.routing != "no":
        routing = yield from course.route(plan, relevance)
        if routing.terms or routing.needs:
            relevance = yield from _oriented(tree, routed(parse(question), routing), strategy, again=True)
        if (changed := revised(plan, given, kind=routing.kind, question=question)) != plan:
            plan = changed
            yield planned(plan)
    if plan.way == "branches":
        answer = yield from course.by_branches(relevance)
    else:
        answer = yield from course.in_rounds(relevance, plan)
    yield from told(answer)
    return answer


def gather_context(
    tree: SummaryTree, question: str, *, budget: Budget, strategy: Strategy, count: Counter = count_tokens
) -> Flow[Context]:
    """Gather what is worth reading for a question; no model is called.

    Raises:
        InputError: The question is blank.
        BudgetTooSmall: Not even one passage fits.
    """
    _check_question(question)
    yield started(tree, question, budget, strategy, "")
    relevance = yield from _oriented(tree, parse(question), strategy)

    def cost(evidence: Evidence) -> int:
        return count(render_passages(evidence.passages))

    evidence = fitted(
        tree, relevance, strategy.policy, cost, budget.total_tokens, confidence=budget.stop_when_confident
    )
    if cost(evidence) > budget.total_tokens:
        evidence = best(tree, relevance)
    text = render_passages(evidence.passages)
    tokens = count(text)
    if tokens > budget.total_tokens:
        raise BudgetTooSmall(needed_tokens=tokens, given_tokens=budget.total_tokens)
    yield from granted(tree, relevance, evidence, strategy, budget.total_tokens)
    for note in evidence.notes:
        yield Noted(what=note)
    return Context(text=text, tokens=tokens, evidence=evidence, receipt=receipt(tree, relevance, evidence.order))


def render_passages(passages: Sequence[Passage]) -> str:
    """Passages as text, each under a line that says where it stands."""
    return "\n\n".join(f"[{n}] {_place(passage)}\n{passage.text}" for n, passage in enumerate(passages, 1))


def _place(passage: Passage) -> str:
    page = f"p. {passage.page}" if passage.page else ""
    where = " · ".join(part for part in (passage.source, passage.heading, page) if part)
    return f"{where}\n{passage.context}" if passage.context else where


# -- parts of a flow ---------------------------------------------------------------------------------------------------


def _check_question(question: str) -> None:
    if not question.strip():
        raise InputError("The question is empty.", "Ask something.")


def _oriented(tree: SummaryTree, question: Question, strategy: Strategy, *, again: bool = False) -> Flow[Relevance]:
    """Estimate relevance and tell of it; `again` once there is more to search for."""
    if not again:
        notes = tuple(f"{file.name}: {note}" for file in (tree.document, *tree.document.parts) for note in file.notes)
        yield Outlined(nodes=len(tree), leaves=len(tree.leaves), depth=tree.depth, notes=notes)
        yield mapped(tree)
    relevance = estimate(tree, question, forest=strategy.forest, lexicons=strategy.lexicons)
    top = np.argsort(-relevance.gain, kind="stable")[:_TOP_NODES]
    nodes = (tree.node(int(number)) for number in relevance.candidates[top])
    yield Estimated(
        document_kind=_DOCUMENT_KINDS.get(relevance.grain_tokens, ""),
        question_kind=question.kind or ("a number" if question.wants_number else "text"),
        vocabulary=tuple(f"{lexicon}: {phrase}" for lexicon, phrase in relevance.lexicon_uses),
        top=tuple(Branch(node=str(n), title=n.title, relevance=float(relevance.node[n.number])) for n in nodes),
        answerable=float(relevance.gain.max()) if len(relevance.gain) else 0.0,
        relevance_permille=tuple(np.rint(1_000 * relevance.node).astype(np.int64).tolist()),
    )
    return relevance
