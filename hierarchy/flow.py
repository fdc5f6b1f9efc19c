"""The course of one question: routing, relevance, allocation, refinement, composition, and what is told on the way.

A flow is one generator that yields events, which need no reply, and batches of requests, which do. It does what a plan
says (`strategy`); who makes the calls, keeps the ledger and holds the clock is the engine's business, so that one body
serves threads, tasks and tests driven by hand.

**Its plans count what replies cost when they were made**, even if they cost nothing now: so a question asked again
after a crash asks for the same, and pays only for what is missing. Doesn't know models, ledgers or files.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hierarchy import composer, refiner, router
from hierarchy.allocator import POLICIES, Policy, expected_gain
from hierarchy.answer import Answer, Receipt, receipt
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.calls import Outcome, Request, Steps, T, Tariff
from hierarchy.composer import Note, Turn
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
    Missed,
    Noted,
    Outlined,
    Planned,
    Read,
    Searched,
    Started,
    dotted,
)
from hierarchy.evidence import Evidence, Passage, passages_of, runs_of
from hierarchy.fitting import best, fitted, output_tokens, reading_tokens, room_tokens
from hierarchy.relevance import Question, Relevance, Routing, estimate, parse, routed
from hierarchy.strategy import (
    FIRST_TOKENS,
    NEXT_TOKENS,
    Plan,
    Situation,
    asks_for_all,
    asks_for_summary,
    choose,
    revised,
)
from hierarchy.tokens import Counter, count_tokens
from hierarchy.tree import SummaryTree

__all__ = ["Context", "Flow", "Strategy", "answer_question", "gather_context"]

Flow = Generator[Event | tuple[Request, ...], tuple[Outcome, ...] | None, T]
"""Yields events and batches of requests; is sent outcomes for batches. The `usage` of each says what its call cost,
failed attempts included, or what it had cost when a cached reply was made."""

_TOP_NODES = 8
# What labels add to evidence, and the least evidence for which a further round is worth its prompt.
_LABELS, _LEAST_ROUND_TOKENS = 1.2, 300
# The balance is told in steps, so that a few tokens more or less spent before don't make another prompt of it.
_BALANCE_STEP = 500
# A prompt that shows a branch is at least about so long; shorter ones have a higher margin.
_BRANCH_PROMPT_TOKENS = 128
# Beside summaries of everything, so much is shown verbatim, to quote from.
_QUOTABLE_TOKENS = 1_500


# What a document is, by the grain that suits it.
_DOCUMENT_KINDS = {0: "prose", 256: "tables on pages", 512: "speech"}
_TABULAR_GRAIN = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Strategy:
    """How tokens are spent.

    Attributes:
        policy: Divides tokens over the tree.
        policy_name: What the trace calls it.
        answer_tokens: The most that an answer may cost in output.
        answer_share: And the most of the budget that it may take.
        way: How the document is read, `strategy.WAYS`; `auto` chooses by budget, document and question.
        rounds: How often evidence is read and answered from, at most.
        prompts: A folder of templates that go before the built-in ones.
    """

    policy: Policy = expected_gain
    policy_name: str = "expected_gain"
    answer_tokens: int = 500
    answer_share: float = 0.25
    way: str = "auto"
    rounds: int = 2
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
    course = _Course(
        tree=tree, question=question, budget=budget, strategy=strategy, tariff=tariff, helper=helper or tariff
    )
    yield _started(tree, question, budget, strategy, tariff.name)
    least = course.least_tokens
    if budget.total_tokens < least:
        raise BudgetTooSmall(needed_tokens=least, given_tokens=budget.total_tokens)
    relevance = yield from _oriented(tree, parse(question))
    given = course.situation(relevance)
    plan = choose(given)
    yield _planned(plan)
    short = composer.SHORT_REPLY_TOKENS
    yield Kept(tokens=least, cost_usd=tariff.price(least - short, short))
    if plan.routing != "no":
        routing = yield from course.route(plan, relevance)
        if routing.terms or routing.needs:
            relevance = yield from _oriented(tree, routed(parse(question), routing), again=True)
        if (changed := revised(plan, given, kind=routing.kind, question=question)) != plan:
            plan = changed
            yield _planned(plan)
    if plan.way == "branches":
        answer = yield from course.by_branches(relevance)
    else:
        answer = yield from course.in_rounds(relevance, plan)
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
    relevance = yield from _oriented(tree, parse(question))

    def cost(evidence: Evidence) -> int:
        return count(render_passages(evidence.passages))

    evidence = fitted(tree, relevance, strategy.policy, cost, budget.total_tokens)
    if cost(evidence) > budget.total_tokens:
        evidence = best(tree, relevance)
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


# -- the course --------------------------------------------------------------------------------------------------------


@dataclass(slots=True, kw_only=True)
class _Course:
    """One question on its way: what it may cost, and what it has cost by now."""

    tree: SummaryTree
    question: str
    budget: Budget
    strategy: Strategy
    tariff: Tariff
    helper: Tariff
    spent: Usage = field(default=NOTHING)

    # -- what there is to spend --------------------------------------------------------------------------------

    @property
    def least_tokens(self) -> int:
        """What the smallest answer costs at worst."""
        needed = composer.minimum_tokens(self.question, self.tariff.count, self.strategy.prompts)
        short = composer.SHORT_REPLY_TOKENS
        return self.tariff.worst(needed - short) + short + self._thinking

    @property
    def _thinking(self) -> int:
        """What a model that thinks needs at the very least beside a reply."""
        return min(self.tariff.reasoning_tokens, composer.SHORT_REPLY_TOKENS)

    def output(self) -> int:
        """The most that an answer may count."""
        return output_tokens(
            self.budget, self.tariff, most=self.strategy.answer_tokens, share=self.strategy.answer_share
        )

    def room(self) -> int:
        """The most that the next answering prompt may count."""
        return room_tokens(self.budget, self.spent, self.output(), self.tariff)

    def cost(self, evidence: Evidence, relevance: Relevance, turn: Turn) -> int:
        """What a prompt with this evidence counts."""
        return composer.prompt_tokens(
            self.tree,
            self.question,
            evidence,
            relevance,
            count=self.tariff.count,
            folder=self.strategy.prompts,
            turn=turn,
        )

    def situation(self, relevance: Relevance) -> Situation:
        """What the choice of a plan depends on."""
        overhead = composer.overhead(self.question, self.tariff.count, self.strategy.prompts)
        compose = self.tariff.worst(overhead) + self.output()
        calls = {form: self._routing_call(form, relevance) for form in ("lean", "full")}
        prompts = {form: self.helper.count(call.prompt) for form, call in calls.items()}
        return Situation(
            budget_tokens=self.budget.total_tokens,
            max_calls=self.budget.max_calls,
            document_tokens=self.tree.tokens,
            whole_tokens=self._whole_tokens(relevance),
            least_tokens=self.least_tokens,
            compose_tokens=compose,
            prompt_tokens=prompts,
            route_tokens={
                form: self.helper.worst(prompts[form]) + call.max_output_tokens for form, call in calls.items()
            },
            margin=self.tariff.margin(FIRST_TOKENS),
            can_route=self.helper.answers("route"),
            tabular=relevance.grain_tokens == _TABULAR_GRAIN,
            asks_for_all=asks_for_all(self.question) or (relevance.question.wants_files and len(self.tree.files) > 1),
            way=self.strategy.way,
            rounds=self.strategy.rounds,
        )

    def _whole_tokens(self, relevance: Relevance) -> int:
        """What one call with the whole document costs at worst; one more than the budget if it doesn't fit."""
        room, output = self.room(), self.output()
        if self.tree.tokens <= room:
            everything = fitted(
                self.tree, relevance, self.strategy.policy, lambda some: self.cost(some, relevance, Turn()), room
            )
            if everything.whole:
                return self.tariff.worst(self.cost(everything, relevance, Turn())) + output
        return self.budget.total_tokens + 1

    # -- routing -----------------------------------------------------------------------------------------------

    def _routing_call(self, form: str, relevance: Relevance) -> Request:
        return router.request(
            self.question,
            router.described(self.tree, relevance.grain_tokens),
            lean=form == "lean",
            spare_tokens=self.helper.reasoning_tokens,
            folder=self.strategy.prompts,
        )

    def route(self, plan: Plan, relevance: Relevance) -> Flow[Routing]:
        """Ask what to search for."""
        found = yield from self._billed(router.route(self._routing_call(plan.routing, relevance)))
        if found.note:
            yield Noted(what=found.note)
        routing = found.routing
        if routing.terms or routing.needs:
            yield Searched(terms=routing.terms, needs=routing.needs, kind=routing.kind, questions=routing.questions)
        return routing

    # -- rounds ------------------------------------------------------------------------------------------------

    def in_rounds(self, relevance: Relevance, plan: Plan) -> Flow[Answer]:
        """Read, answer or name what is missing, and read what was named; at most as often as planned."""
        shown = np.zeros(len(self.tree.leaves), dtype=np.bool_)
        turn = Turn(left_tokens=self._left_after(plan, 1))
        evidence = self._first_evidence(relevance, plan, turn)
        answer = yield from self._round(evidence, relevance, turn, shown)
        for number in range(2, plan.rounds + 1):
            if not answer.missing or answer.partial:
                break
            turn = Turn(missing=answer.missing, left_tokens=self._left_after(plan, number))
            found = self._next_evidence(answer, shown, turn)
            if found is None:
                yield Noted(what=f"Nothing unread looks like what is missing: {answer.missing}")
                break
            evidence, turn = found
            yield Missed(what=answer.missing, round=number - 1)
            answer = _better(answer, (yield from self._round(evidence, relevance, turn, shown)))
        return self._with_all_that_was_shown(answer, relevance, shown)

    def _left_after(self, plan: Plan, number: int) -> int:
        """The balance that the model is told of: what another round could cost, in steps; 0 if there will be none."""
        if number >= plan.rounds:
            return 0
        wanted = plan.first_tokens if number == 1 and plan.first_tokens else NEXT_TOKENS
        this = self.tariff.worst(math.ceil(wanted * _LABELS)) + self.least_tokens
        left = self.budget.total_tokens - self.spent.total_tokens - this
        return max(0, left // _BALANCE_STEP * _BALANCE_STEP)

    def _first_evidence(self, relevance: Relevance, plan: Plan, turn: Turn) -> Evidence:
        def cost(evidence: Evidence) -> int:
            return self.cost(evidence, relevance, turn)

        room = self.room()
        if plan.first_tokens is not None:
            room = min(room, cost(Evidence()) + math.ceil(plan.first_tokens * _LABELS))
        return fitted(self.tree, relevance, self.strategy.policy, cost, room)

    def _next_evidence(self, answer: Answer, shown: np.ndarray, turn: Turn) -> tuple[Evidence, Turn] | None:
        """What was quoted, and what looks like the missing part among all that wasn't shown yet.

        None where nothing does, or where there is no room for it.
        """
        sought = estimate(self.tree, answer.missing)
        quoted = self._quoted(answer, sought)
        turn = replace(turn, kept=len(quoted))
        unseen = sought.without(np.flatnonzero(shown))

        def joined(new: Evidence) -> Evidence:
            earlier = runs_of(np.flatnonzero(shown))
            return replace(new, passages=(*quoted, *new.passages), read=earlier, whole=False)

        def cost(new: Evidence) -> int:
            return self.cost(joined(new), sought, turn)

        bare = cost(Evidence())
        room = min(self.room(), bare + math.ceil(NEXT_TOKENS * _LABELS))
        if room < bare + _LEAST_ROUND_TOKENS or unseen.skip.all():
            return None
        new = fitted(self.tree, unseen, self.strategy.policy, cost, room)
        return (joined(new), turn) if new.passages else None

    def _quoted(self, answer: Answer, relevance: Relevance) -> tuple[Passage, ...]:
        """The leaves that verified quotes stand in, as passages."""
        taken = np.zeros(len(self.tree.leaves), dtype=np.bool_)
        for citation in answer.citations:
            taken[slice(*self._leaves(citation.source, citation.start, citation.end))] = True
        return passages_of(self.tree, relevance, taken)

    def _leaves(self, source: str, start: int, end: int) -> tuple[int, int]:
        """The leaves that hold these characters of a file, as half-open bounds."""
        file = next(number for number, file in enumerate(self.tree.files) if file.name == source)
        low, high = (int(at) for at in np.searchsorted(self.tree.leaves.file, [file, file + 1]))
        starts = self.tree.leaves.start[low:high]
        first, last = np.searchsorted(starts, [start, max(start, end - 1)], "right")
        return low + max(0, int(first) - 1), low + max(1, int(last))

    def _round(self, evidence: Evidence, relevance: Relevance, turn: Turn, shown: np.ndarray) -> Flow[Answer]:
        """Compose from some evidence; what was shown is marked."""
        room = self.room()
        yield from _granted(self.tree, relevance, evidence, self.strategy, room)
        answer = yield from self._billed(
            composer.compose(
                self.tree,
                self.question,
                evidence,
                relevance,
                max_input_tokens=room,
                max_output_tokens=self.output(),
                count=self.tariff.count,
                folder=self.strategy.prompts,
                turn=turn,
            )
        )
        for passage in answer.evidence.passages:
            shown[slice(*passage.leaves)] = True
        return answer

    def _with_all_that_was_shown(self, answer: Answer, relevance: Relevance, shown: np.ndarray) -> Answer:
        """The answer with the evidence of all rounds."""
        if int(shown.sum()) == sum(high - low for low, high in (one.leaves for one in answer.evidence.passages)):
            return answer
        evidence = replace(
            answer.evidence,
            passages=passages_of(self.tree, relevance, shown),
            order=runs_of(np.flatnonzero(shown)),
            read=(),
        )
        read = [passage.leaves for passage in evidence.passages]
        return replace(answer, evidence=evidence, receipt=receipt(self.tree, relevance, read))

    # -- branches ----------------------------------------------------------------------------------------------

    def by_branches(self, relevance: Relevance) -> Flow[Answer]:
        """Have branches read by calls of their own, side by side, and answer from what these bring back."""
        turn = Turn()
        text = self.room() - self.cost(Evidence(), relevance, turn)
        reading = reading_tokens(self.budget.total_tokens - self.spent.total_tokens - self.least_tokens, text)
        short = composer.SHORT_REPLY_TOKENS
        kept = self.budget.total_tokens - self.spent.total_tokens - reading
        yield Kept(tokens=kept, cost_usd=self.tariff.price(self.least_tokens - short, short))
        most = int(reading / self.helper.margin(_BRANCH_PROMPT_TOKENS))
        evidence, notes = yield from self._read_by_branches(relevance, most)
        turn = Turn(notes=notes)
        if notes or not evidence.passages:
            room = self.room()
            if notes:
                bare = self.cost(Evidence(), relevance, turn)
                room = min(room, bare + math.ceil(_QUOTABLE_TOKENS * _LABELS))
            raw = fitted(
                self.tree, relevance, self.strategy.policy, lambda some: self.cost(some, relevance, turn), room
            )
            notes_of_both = tuple(dict.fromkeys((*evidence.notes, *raw.notes)))
            evidence = replace(raw, read=evidence.read, notes=notes_of_both)
        shown = np.zeros(len(self.tree.leaves), dtype=np.bool_)
        return (yield from self._round(evidence, relevance, turn, shown))

    def _read_by_branches(self, relevance: Relevance, tokens: int) -> Flow[tuple[Evidence, tuple[Note, ...]]]:
        """What branches hold for the question: verbatim, or for who wants a summary, summarised."""
        helper, folder = self.helper, self.strategy.prompts
        if helper.answers("summarise") and asks_for_summary(self.question, relevance.question.kind):
            steps = refiner.summarise(
                self.tree,
                relevance,
                tokens,
                policy=POLICIES["uniform"],  # a summary must know something of everything
                spare_tokens=helper.reasoning_tokens,
                count=helper.count,
                folder=folder,
            )
            read, summaries = yield from self._billed(steps)
            return read, tuple(Note(title=one.title, text=one.text) for one in summaries)
        evidence = yield from self._billed(
            refiner.refine(
                self.tree,
                relevance,
                tokens,
                policy=self.strategy.policy,
                through_model=True,
                spare_tokens=helper.reasoning_tokens,
                count=helper.count,
                folder=folder,
            )
        )
        return evidence, ()

    # -- calls -------------------------------------------------------------------------------------------------

    def _billed(self, steps: Steps[T]) -> Generator[tuple[Request, ...], tuple[Outcome, ...], T]:
        """Run a stage and add up what its calls cost."""
        try:
            batch = next(steps)
            while True:
                outcomes = yield batch
                self.spent = sum((outcome.usage for outcome in outcomes if outcome.usage), self.spent)
                batch = steps.send(outcomes)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]


def _better(before: Answer, after: Answer) -> Answer:
    """The later answer, unless its round failed and the earlier one says something."""
    if after.partial and not before.abstained:
        return replace(before, partial=True, notes=(*before.notes, *after.notes))
    return replace(after, notes=tuple(dict.fromkeys((*before.notes, *after.notes))))


# -- parts of a flow ---------------------------------------------------------------------------------------------------


def _check_question(question: str) -> None:
    if not question.strip():
        raise InputError("The question is empty.", "Ask something.")


def _oriented(tree: SummaryTree, question: Question, *, again: bool = False) -> Flow[Relevance]:
    """Estimate relevance and tell of it; `again` once there is more to search for."""
    if not again:
        notes = tuple(f"{file.name}: {note}" for file in (tree.document, *tree.document.parts) for note in file.notes)
        yield Outlined(nodes=len(tree), leaves=len(tree.leaves), depth=tree.depth, notes=notes)
    relevance = estimate(tree, question)
    top = np.argsort(-relevance.gain, kind="stable")[:_TOP_NODES]
    nodes = (tree.node(int(number)) for number in relevance.candidates[top])
    yield Estimated(
        document_kind=_DOCUMENT_KINDS.get(relevance.grain_tokens, ""),
        question_kind=question.kind or ("a number" if question.wants_number else "text"),
        vocabulary=tuple(f"{lexicon}: {phrase}" for lexicon, phrase in relevance.lexicon_uses),
        top=tuple(Branch(node=str(n), title=n.title, relevance=float(relevance.node[n.number])) for n in nodes),
        answerable=float(relevance.gain.max()) if len(relevance.gain) else 0.0,
    )
    return relevance


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
        strategy={"policy": strategy.policy_name, "way": strategy.way, "rounds": strategy.rounds},
    )


def _planned(plan: Plan) -> Planned:
    return Planned(way=plan.way, routing=plan.routing, rounds=plan.rounds, why=plan.why)


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
