"""The course of one question: relevance, allocation, refinement, composition, and what is told of each on the way.

A flow is one generator that yields events, which need no reply, and batches of requests, which do. It decides what to
spend on what; who makes the calls, keeps the ledger and holds the clock is the engine's business, so that one body
serves threads, tasks and tests driven by hand.

Owns the strategy. Doesn't know models, ledgers or files.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hierarchy import composer, refiner
from hierarchy.allocator import Policy, expected_gain
from hierarchy.answer import Answer, Receipt, receipt
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.calls import Outcome, Request, Steps, T
from hierarchy.errors import BudgetTooSmall, InputError
from hierarchy.events import (
    Allocated,
    Answered,
    Branch,
    Estimated,
    Event,
    GrantLine,
    HandedBack,
    Kept,
    Noted,
    Outlined,
    Read,
    Started,
    dotted,
)
from hierarchy.evidence import Evidence, Passage, passage_of
from hierarchy.relevance import Relevance, estimate
from hierarchy.tokens import Counter, count_tokens
from hierarchy.tree import SummaryTree

__all__ = ["Context", "Flow", "Strategy", "answer_question", "gather_context"]

Flow = Generator[Event | tuple[Request, ...], tuple[Outcome, ...] | None, T]
"""Yields events and batches of requests; is sent outcomes for batches, whose `usage` is always known."""

Price = Callable[[int, int], float | None]
"""What a call of so many tokens in and out costs in USD at most; None where that isn't known."""

_TOP_NODES = 8
# Fitting evidence to the room left for it: the labels that passages cost are only known once they are rendered.
_FITTINGS = 6
_ROOM_LEFT = 48
# Of what could be shown to the composer, so much goes to calls that read branches instead; what they copy from a branch
# is a seventh of it at most, with its labels a quarter.
_READING_SHARE = 0.7


# What a document is, by the grain that suits it.
_DOCUMENT_KINDS = {0: "prose", 256: "tables on pages", 512: "speech"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How tokens are spent.

    Attributes:
        policy: Divides tokens over the tree.
        policy_name: What the trace calls it.
        answer_tokens: The most that an answer may cost in output.
        answer_share: And the most of the budget that it may take.
        through_model: Whether branches are read by the model one by one (`refine` calls) rather than handed over raw.
        prompts: A folder of templates that go before the built-in ones.
    """

    policy: Policy = expected_gain
    policy_name: str = "expected_gain"
    answer_tokens: int = 500
    answer_share: float = 0.25
    through_model: bool = False
    prompts: Path | None = None


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
    model: str,
    count: Counter,
    margin: float,
    price: Price = lambda *_: None,
) -> Flow[Answer]:
    """Answer a question within a budget.

    Args:
        tree: The document.
        question: What is asked.
        budget: The caps.
        strategy: How tokens are spent.
        model: Name of the model, for the trace.
        count: Counts what the model is sent.
        margin: By which factor the model's provider may count higher.
        price: What calls cost.

    Returns:
        The answer, without its bill.

    Raises:
        InputError: The question is blank.
        BudgetTooSmall: No answer is possible; raised before the first call.
    """
    _check_question(question)
    yield _started(tree, question, budget, strategy, model)
    needed = math.ceil(composer.minimum_tokens(question, count, strategy.prompts) * margin)
    if budget.total_tokens < needed:
        raise BudgetTooSmall(needed_tokens=needed, given_tokens=budget.total_tokens)
    relevance = yield from _oriented(tree, question)
    output = _output_tokens(budget, strategy, price)
    room = _room(budget, NOTHING, output, margin, price)

    def cost(evidence: Evidence) -> int:
        return composer.prompt_tokens(tree, question, evidence, relevance, count, strategy.prompts)

    reading = _reading(budget.total_tokens - needed, room - cost(Evidence())) if strategy.through_model else 0
    evidence = Evidence()
    if not reading or tree.tokens <= room:
        evidence = _fitted(tree, relevance, strategy.policy, cost, room)
        reading = 0 if evidence.whole else reading
    reply = composer.SHORT_REPLY_TOKENS
    yield Kept(tokens=budget.total_tokens - reading if reading else needed, cost_usd=price(needed - reply, reply))
    if reading:
        most = math.floor(reading / margin)
        evidence, spent = yield from _billed(
            refiner.refine(tree, relevance, most, policy=strategy.policy, through_model=True, folder=strategy.prompts)
        )
        room = _room(budget, spent, output, margin, price)
        if not spent.calls:
            raw = _fitted(tree, relevance, strategy.policy, cost, room)
            evidence = replace(raw, notes=tuple(dict.fromkeys((*evidence.notes, *raw.notes))))
    yield from _granted(tree, relevance, evidence, strategy, room)
    answer, _ = yield from _billed(
        composer.compose(
            tree,
            question,
            evidence,
            relevance,
            max_input_tokens=room,
            max_output_tokens=output,
            count=count,
            folder=strategy.prompts,
        )
    )
    yield from _told(answer)
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
    yield _started(tree, question, budget, strategy, "")
    relevance = yield from _oriented(tree, question)

    def cost(evidence: Evidence) -> int:
        return count(render_passages(evidence.passages))

    evidence = _fitted(tree, relevance, strategy.policy, cost, budget.total_tokens)
    if cost(evidence) > budget.total_tokens:
        evidence = _best(tree, relevance)
    text = render_passages(evidence.passages)
    tokens = count(text)
    if tokens > budget.total_tokens:
        raise BudgetTooSmall(needed_tokens=tokens, given_tokens=budget.total_tokens)
    yield from _granted(tree, relevance, evidence, strategy, budget.total_tokens)
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


def _output_tokens(budget: Budget, strategy: Strategy, price: Price) -> int:
    """The most that the answer may count: its share of the budget in tokens, and in USD where that is capped."""
    short = composer.SHORT_REPLY_TOKENS
    most = max(short, min(strategy.answer_tokens, int(budget.total_tokens * strategy.answer_share)))
    if budget.max_cost_usd is None:
        return most
    return max(short, _most(most, budget.max_cost_usd * strategy.answer_share, lambda tokens: price(0, tokens)))


def _room(budget: Budget, spent: Usage, output: int, margin: float, price: Price) -> int:
    """The most that the composer's prompt may count, so that it and its reply fit what is left."""
    room = max(0, math.floor((budget.total_tokens - spent.total_tokens - output) / margin))
    if budget.max_cost_usd is None:
        return room
    left = budget.max_cost_usd - (spent.cost_usd or 0.0)
    return max(0, _most(room, left, lambda tokens: price(math.ceil(tokens * margin), output)))


def _reading(spare: int, text: int) -> int:
    """What calls that read branches may cost, so that what they copy can still be shown beside the question.

    Args:
        spare: What the smallest answer doesn't need.
        text: What the composer's prompt could show if nothing else were spent.
    """
    return max(0, min(spare, int(text * _READING_SHARE)))


def _most(tokens: int, cost_usd: float, price: Callable[[int], float | None]) -> int:
    """The largest number up to `tokens` whose price is at most `cost_usd`; -1 if none is."""
    return bisect_right(range(tokens + 1), cost_usd, key=lambda number: price(number) or 0.0) - 1


def _oriented(tree: SummaryTree, question: str) -> Flow[Relevance]:
    notes = tuple(f"{file.name}: {note}" for file in (tree.document, *tree.document.parts) for note in file.notes)
    yield Outlined(nodes=len(tree), leaves=len(tree.leaves), depth=tree.depth, notes=notes)
    relevance = estimate(tree, question)
    top = np.argsort(-relevance.gain, kind="stable")[:_TOP_NODES]
    nodes = (tree.node(int(number)) for number in relevance.candidates[top])
    yield Estimated(
        document_kind=_DOCUMENT_KINDS.get(relevance.grain_tokens, ""),
        question_kind="a number" if relevance.question.wants_number else "text",
        vocabulary=tuple(f"{lexicon}: {phrase}" for lexicon, phrase in relevance.lexicon_uses),
        top=tuple(Branch(node=str(n), title=n.title, relevance=float(relevance.node[n.number])) for n in nodes),
        answerable=float(relevance.gain.max()) if len(relevance.gain) else 0.0,
    )
    return relevance


def _fitted(
    tree: SummaryTree, relevance: Relevance, policy: Policy, cost: Callable[[Evidence], int], room: int
) -> Evidence:
    """As much evidence as costs at most `room` once it is rendered; what labels add is known only then.

    Where not even the least fits, that is returned.
    """
    low, high = (0, cost(Evidence())), (0, 0)  # tokens of evidence that fit, that don't, and what they cost
    tokens, evidence, fits = room - low[1], Evidence(), Evidence()
    for _ in range(_FITTINGS):
        if tokens <= low[0]:
            break
        evidence = _without_calls(refiner.refine(tree, relevance, tokens, policy=policy))
        costs = cost(evidence)
        if costs <= room:
            low, fits = (tokens, costs), evidence
        else:
            high = (tokens, costs)
        if not high[0] or room - low[1] < _ROOM_LEFT:
            break
        share = (room - low[1]) / max(1, high[1] - low[1])
        tokens = low[0] + int((high[0] - low[0]) * min(share, 0.95))
    if fits.passages:
        return fits
    return evidence if evidence.passages else _best(tree, relevance)  # who is given too much trims it


def _best(tree: SummaryTree, relevance: Relevance) -> Evidence:
    """The most relevant leaf alone: the smallest evidence that is worth an answer."""
    leaf = int(np.argmax(np.where(relevance.skip, -1.0, relevance.leaf)))
    return Evidence(passages=(passage_of(tree, relevance, leaf, leaf + 1),), order=((leaf, leaf + 1),))


def _without_calls(steps: Steps[T]) -> T:
    """The result of a stage that asks nothing."""
    try:
        next(steps)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("A stage that reads without a model asked for a call.")


def _billed(steps: Steps[T]) -> Generator[tuple[Request, ...], tuple[Outcome, ...], tuple[T, Usage]]:
    """Run a stage and add up what its calls were billed."""
    spent = NOTHING
    batch = None
    try:
        batch = next(steps)
        while True:
            outcomes = yield batch
            spent = sum((outcome.usage for outcome in outcomes if outcome.usage), spent)
            batch = steps.send(outcomes)
    except StopIteration as stop:
        return stop.value, spent


# -- what is told of it ------------------------------------------------------------------------------------------------


def _started(tree: SummaryTree, question: str, budget: Budget, strategy: Strategy, model: str) -> Started:
    return Started(
        question=question,
        document=tree.document.name,
        source_names=tuple(file.name for file in tree.files),
        document_key=tree.document.key,
        document_tokens=tree.tokens,
        budget=budget,
        model=model,
        strategy={"policy": strategy.policy_name, "through_model": strategy.through_model},
    )


def _granted(
    tree: SummaryTree, relevance: Relevance, evidence: Evidence, strategy: Strategy, room: int
) -> Generator[Event, None, None]:
    """The allocation that the evidence came from, by node, and what of it wasn't used."""
    lines = []
    for low, high in evidence.order:
        node = tree.node(tree.smallest_node(low, high))
        first, last = tree.page(low), tree.page(high - 1)
        lines.append(
            GrantLine(
                node=str(node),
                title=tree.heading(low) or node.title,
                tokens=int(tree.leaf_edges[high] - tree.leaf_edges[low]),
                gain=float(relevance.leaf[low:high].max()),
                pages=(first, last) if first is not None and last is not None else None,
            )
        )
    yield Allocated(policy="whole" if evidence.whole else strategy.policy_name, budget_tokens=room, grants=tuple(lines))
    if evidence.handed_back_tokens:
        yield HandedBack(node="0", tokens=evidence.handed_back_tokens, why="not needed for what is worth reading")


def _told(answer: Answer) -> Generator[Event, None, None]:
    for passage in answer.evidence.passages:
        yield Read(
            node=dotted(passage.node),
            source=passage.source,
            start=passage.start,
            end=passage.end,
            page=passage.page,
            tokens=passage.tokens,
            relevance=passage.relevance,
        )
    for note in answer.notes:
        yield Noted(what=note)
    record = answer.to_dict()
    yield Answered(
        text=answer.text,
        abstained=answer.abstained,
        confidence=answer.confidence,
        partial=answer.partial,
        citations=tuple(record["citations"]),
        receipt={**record["receipt"], "unread": record["unread"]},
    )
