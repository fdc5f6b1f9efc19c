"""The course of a question: what it may still cost, and how it is routed, read and answered.

`flow` says which of the ways is gone; here they are: rounds of reading, each answered from, and branches that are read
side by side. **What is planned counts what replies cost when they were made**, even if they cost nothing now: so a
question asked again after a crash asks for the same, and pays only for what is missing.

Doesn't know models, ledgers or files.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from hierarchy import composer, refiner, router
from hierarchy.allocator import POLICIES
from hierarchy.answer import Answer, receipt
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.calls import Outcome, Request, Steps, T, Tariff
from hierarchy.completing import with_needs, with_whole_tables
from hierarchy.composer import Note, Turn
from hierarchy.events import Event, Kept, Missed, Noted, Searched
from hierarchy.evidence import Evidence, Passage, passages_of, runs_of
from hierarchy.fitting import fitted, output_tokens, reading_tokens, room_tokens
from hierarchy.relevance import Question, Relevance, Routing, estimate
from hierarchy.strategy import FIRST_TOKENS, NEXT_TOKENS, Plan, Situation, Strategy, asks_for_all, asks_for_summary
from hierarchy.telling import granted
from hierarchy.tree import SummaryTree

__all__ = ["Course", "Flow"]

Flow = Generator[Event | tuple[Request, ...], tuple[Outcome, ...] | None, T]
"""Yields events and batches of requests; is sent outcomes for batches. The `usage` of each says what its call cost,
failed attempts included, or what it had cost when a cached reply was made."""

# What labels add to evidence, and the least evidence for which a further round is worth its prompt.
_LABELS, _LEAST_ROUND_TOKENS = 1.2, 300
# What an answer usually counts.
_USUAL_REPLY_TOKENS = 200
# The balance is told in steps, so that a few tokens more or less spent before don't make another prompt of it.
_BALANCE_STEP = 500
# What a first round may spend beyond its tokens on whole tables, and again on needs that it holds nothing of.
_COMPLETION_TOKENS = 500
# Stands for a balance until it is known: what a prompt counts doesn't depend on its figures.
_ANY_BALANCE = 10_000
# A prompt that shows a branch is at least about so long; shorter ones have a higher margin.
_BRANCH_PROMPT_TOKENS = 128
# Beside summaries of everything, so much is shown verbatim, to quote from.
_QUOTABLE_TOKENS = 1_500


@dataclass(slots=True, kw_only=True)
class Course:
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
            usual_tokens=self.tariff.worst(overhead) + _USUAL_REPLY_TOKENS + self.tariff.reasoning_tokens // 4,
            prompt_tokens=prompts,
            route_tokens={
                form: self.helper.worst(prompts[form]) + call.max_output_tokens for form, call in calls.items()
            },
            margin=self.tariff.margin(FIRST_TOKENS),
            can_route=self.helper.answers("route"),
            asks_for_all=asks_for_all(self.question) or (relevance.question.wants_files and len(self.tree.files) > 1),
            asks_for_summary=asks_for_summary(self.question),
            way=self.strategy.way,
            rounds=self.strategy.rounds,
        )

    def _whole_tokens(self, relevance: Relevance) -> int:
        """What one call with the whole document costs at worst; one more than the budget if it doesn't fit."""
        room, output = self.room(), self.output()
        if self.tree.tokens <= room:
            everything = self._fitted(relevance, lambda some: self.cost(some, relevance, Turn()), room)
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
        turn = self._told_balance(Turn(left_tokens=_ANY_BALANCE), relevance, plan, 1)
        evidence = self._first_evidence(relevance, plan, turn)
        answer = yield from self._round(evidence, relevance, turn, shown)
        for number in range(2, plan.rounds + 1):
            if not answer.missing or answer.partial:
                break
            found = self._next_evidence(answer, shown, plan, number)
            if isinstance(found, str):
                yield Noted(what=f"{found}: {answer.missing}")
                break
            evidence, turn = found
            yield Missed(what=answer.missing, round=number - 1)
            answer = _better(answer, (yield from self._round(evidence, relevance, turn, shown)))
        return self._with_all_that_was_shown(answer, relevance, shown) if plan.rounds > 1 else answer

    def _told_balance(self, turn: Turn, relevance: Relevance, plan: Plan, number: int) -> Turn:
        """The turn with the balance that the model is told of: what is left at least once it has replied.

        In steps; 0 if there will be no further round, or no room for one.
        """
        first = plan.first_tokens + 2 * _COMPLETION_TOKENS if plan.first_tokens else NEXT_TOKENS
        wanted = first if number == 1 else NEXT_TOKENS
        prompt = self.cost(Evidence(), relevance, turn) + math.ceil(wanted * _LABELS)
        left = self.budget.total_tokens - self.spent.total_tokens - self.tariff.worst(prompt) - self.output()
        calls = self.budget.max_calls
        if number >= plan.rounds or (calls is not None and self.spent.calls + 2 > calls):
            left = 0
        return replace(turn, left_tokens=max(0, left // _BALANCE_STEP * _BALANCE_STEP))

    def _first_evidence(self, relevance: Relevance, plan: Plan, turn: Turn) -> Evidence:
        def cost(evidence: Evidence) -> int:
            return self.cost(evidence, relevance, turn)

        room = self.room()
        if plan.first_tokens is None:
            return self._fitted(relevance, cost, room)
        evidence = self._fitted(relevance, cost, min(room, cost(Evidence()) + math.ceil(plan.first_tokens * _LABELS)))
        if evidence.whole or not evidence.passages:
            return evidence
        spare = min(_COMPLETION_TOKENS, int((room - cost(evidence)) / _LABELS) // 2)
        complete = with_whole_tables(self.tree, relevance, evidence, spare)
        complete = with_needs(
            self.tree, relevance, complete, spare, policy=self.strategy.policy, estimated=self._estimated
        )
        return complete if cost(complete) <= room else evidence

    def _estimated(self, question: str | Question) -> Relevance:
        strategy = self.strategy
        return estimate(self.tree, question, forest=strategy.forest, lexicons=strategy.lexicons)

    def _next_evidence(
        self, answer: Answer, shown: NDArray[np.bool_], plan: Plan, number: int
    ) -> tuple[Evidence, Turn] | str:
        """What was quoted, and what looks like the missing part among all that wasn't shown yet.

        Where there is none, or no room for it, that is said.
        """
        sought = self._estimated(answer.missing)
        quoted = self._quoted(answer, sought)
        asked = Turn(missing=answer.missing, kept=len(quoted), left_tokens=_ANY_BALANCE)
        unseen = sought.without(np.flatnonzero(shown))

        def joined(new: Evidence) -> Evidence:
            earlier = runs_of(np.flatnonzero(shown))
            return replace(new, passages=(*quoted, *new.passages), read=earlier, whole=False)

        if self.budget.max_calls is not None and self.spent.calls >= self.budget.max_calls:
            return "No call is left to look for what is missing"
        if unseen.skip.all():
            return "All was read, and this is missing"
        if not self._stands_in(sought, ~unseen.skip):
            return "Nothing unread looks like what is missing"
        turn = self._told_balance(asked, sought, plan, number)

        def cost(new: Evidence) -> int:
            return self.cost(joined(new), sought, turn)

        bare = cost(Evidence())
        room = min(self.room(), bare + math.ceil(NEXT_TOKENS * _LABELS))
        if room < bare + _LEAST_ROUND_TOKENS:
            return "Too few tokens are left to look for what is missing"
        new = self._fitted(unseen, cost, room)
        return (joined(new), turn) if new.passages else "Nothing unread looks like what is missing"

    def _stands_in(self, sought: Relevance, leaves: NDArray[np.bool_]) -> bool:
        """Whether any word of what is sought stands in any of the leaves."""
        vocabulary, numbers, bounds = self.tree.leaf_terms
        wanted = [vocabulary.number(term) for term in sought.question.weights]
        held = np.repeat(leaves, np.diff(bounds))
        return bool(np.isin(numbers[held], [number for number in wanted if number >= 0]).any())

    def _fitted(self, relevance: Relevance, cost: Callable[[Evidence], int], room: int) -> Evidence:
        confidence = self.budget.stop_when_confident
        return fitted(self.tree, relevance, self.strategy.policy, cost, room, confidence=confidence)

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

    def _round(self, evidence: Evidence, relevance: Relevance, turn: Turn, shown: NDArray[np.bool_]) -> Flow[Answer]:
        """Compose from some evidence; what was shown is marked."""
        room = self.room()
        yield from granted(self.tree, relevance, evidence, self.strategy, room)
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

    def _with_all_that_was_shown(self, answer: Answer, relevance: Relevance, shown: NDArray[np.bool_]) -> Answer:
        """The answer with the evidence of all rounds."""
        if not shown.any():
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
        kept = max(0, self.budget.total_tokens - self.spent.total_tokens - reading)
        yield Kept(tokens=kept, cost_usd=self.tariff.price(self.least_tokens - short, short))
        most = int(reading / self.helper.margin(_BRANCH_PROMPT_TOKENS))
        evidence, notes = yield from self._read_by_branches(relevance, most)
        turn = Turn(notes=notes)
        if notes or not evidence.passages:
            room = self.room()
            if notes:
                bare = self.cost(Evidence(), relevance, turn)
                room = min(room, bare + math.ceil(_QUOTABLE_TOKENS * _LABELS))
            raw = self._fitted(relevance, lambda some: self.cost(some, relevance, turn), room)
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
    """The later answer, unless its round failed or found nothing, and the earlier one says something."""
    if not before.abstained and (after.partial or after.abstained):
        notes = tuple(dict.fromkeys((*before.notes, *after.notes)))
        return replace(before, partial=after.partial, missing=after.missing or before.missing, notes=notes)
    return replace(after, notes=tuple(dict.fromkeys((*before.notes, *after.notes))))
