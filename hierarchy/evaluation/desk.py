"""A desk at which the questions of a set are handed out and answers come in: one for all threads of a run.

It keeps the run's caps, writes every answer down as it comes, and tells a question that went wrong from a provider that
is gone. Knows one question at a time; what is to be asked, and in which order, is `answering`'s.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from threading import Condition, Event
from typing import TextIO

from hierarchy.account import Account
from hierarchy.answer import Answer
from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetError, HierarchyError, Refused, StoreError, Unavailable
from hierarchy.evaluation.fitting import Material, Stretch
from hierarchy.evaluation.predictions import Bill, EvidenceSpan, Prediction, to_line
from hierarchy.evaluation.sets import Case
from hierarchy.events import Recalled
from hierarchy.tree import SummaryTree

__all__ = ["Desk", "Limits", "Progress", "Ready", "paid_for", "question_of", "spans_of"]

Progress = Callable[[int, int, str], None]
"""Called with answers done, answers in all, and what was paid by then."""

_SEVERAL = 3
"""So many questions that a provider turns away one after the other are a provider that is gone."""

_SHOWN_ERRORS = 3
_UNCAPPED_TOKENS = 10**15


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a whole run may cost, what the file holds already included, and each question of it.

    Attributes:
        run_tokens: Of all questions together.
        run_cost_usd: Of all questions together; only for models whose price is known.
        question_seconds: After so many a question is answered from what was read by then.
        stop_when_confident: As `Budget.stop_when_confident`.
    """

    run_tokens: int | None = None
    run_cost_usd: float | None = None
    question_seconds: float | None = None
    stop_when_confident: float | None = None

    def budget(self, tokens: int) -> Budget:
        """The caps of one question."""
        return Budget(tokens, max_seconds=self.question_seconds, stop_when_confident=self.stop_when_confident)


@dataclass(frozen=True, slots=True)
class Ready:
    """A document made ready to be asked about."""

    tree: SummaryTree
    material: Material


@dataclass(slots=True, kw_only=True)
class Desk:
    """Where questions are handed out and answers come in; shared by all threads.

    Attributes:
        reasoner: Who answers.
        limits: The caps.
        system: What the answers go under.
        total: Answers asked for.
        spent: What all runs on the file were billed.
        progress: Who is told how far it is.
        file: Where answers go.
        done: Answers in the file.
        usage: What this run was billed.
        stop: Set to begin nothing new and to end soon what is under way.
        fatal: Why the run ends early.
    """

    reasoner: Reasoner
    limits: Limits
    system: str
    total: int
    spent: Usage
    progress: Progress | None = None
    file: TextIO | None = None
    done: int = 0
    usage: Usage = NOTHING
    stop: Event = field(default_factory=Event)
    fatal: BaseException | None = None
    _account: Account | None = field(init=False)
    _full: bool = False
    _answered: bool = False
    _under_way: list[Usage] = field(default_factory=list)  # the worst case of each question
    _doubtful: list[Prediction] = field(default_factory=list)  # turned away: by the question's fault or the provider's?
    _errors: Counter[str] = field(default_factory=Counter)
    _changed: Condition = field(default_factory=Condition)

    def __post_init__(self) -> None:
        """Open the account that all questions draw on."""
        limits, cost = self.limits, self.limits.run_cost_usd
        tokens = _UNCAPPED_TOKENS if limits.run_tokens is None else limits.run_tokens - self.spent.total_tokens
        if cost is not None:
            if self._worst(1).cost_usd is None:
                raise BudgetError(
                    f"A price isn't known ({self.system}), so a cap of ${cost:,.4f} can't be kept.",
                    "Cap tokens instead, or use models with a known price.",
                )
            cost -= self.spent.cost_usd or 0.0
        self._full = tokens < 1 or (cost is not None and cost <= 0)
        capped = not self._full and (limits.run_tokens is not None or cost is not None)
        self._account = Account(Budget(tokens, max_cost_usd=cost)) if capped else None

    @property
    def closed(self) -> bool:
        """Whether nothing new is begun."""
        return self._full or self.stop.is_set()

    def ask(self, ready: Ready, case: Case, budgets: Sequence[int]) -> None:
        """Have one question answered at each budget, one after the other: they share what the store keeps."""
        for budget in budgets:
            worst = self._worst(budget)
            if not self._admitted(worst):
                return
            paid = NOTHING
            try:
                paid = self._ask(ready, case, budget)
            except BaseException as error:  # noqa: BLE001  Raised again where the run was begun.
                self._end(error)
            finally:
                self._settle(worst, paid)

    def take(self, line: Prediction) -> None:
        """Write a line down."""
        with self._changed:
            if not line.error:
                self._answered = True
                self._write(*self._doubtful)  # it wasn't the provider
                self._doubtful.clear()
            self._write(line)

    def failed(self, case: Case, budget: int, error: HierarchyError) -> Prediction:
        """The line of a question that there is no answer to: it counts as wrong."""
        usage = error.trace.usage() if error.trace else NOTHING
        return Prediction(
            id=case.id,
            system=self.system,
            budget_tokens=budget,
            spans=(),
            answer="",
            error=str(error) or type(error).__name__,
            bill=self._bill(usage) if usage.calls else None,
        )

    def halt(self) -> None:
        """Begin nothing new."""
        with self._changed:
            self.stop.set()
            self._changed.notify_all()

    def finish(self) -> None:
        """Write down what was left open."""
        with self._changed:
            if not self.fatal:
                self._write(*self._doubtful)
            self._doubtful.clear()

    def report(self) -> None:
        """Tell how far it is."""
        if self.progress:
            cost = self.usage.cost_usd
            self.progress(
                self.done, self.total, f"{self.usage.total_tokens:,} tokens" + (f", ${cost:,.4f}" if cost else "")
            )

    def notes(self) -> tuple[str, ...]:
        """What went wrong, the most frequent errors once each."""
        shown = self._errors.most_common(_SHOWN_ERRORS)
        others = self._errors.total() - sum(times for _, times in shown)
        told = tuple(f"{times:,} times no answer: {error}" for error, times in shown)
        return (*told, f"{others:,} times for other reasons, which stand in the file.") if others else told

    # -- one question --------------------------------------------------------------------------------------------------

    def _ask(self, ready: Ready, case: Case, budget: int) -> Usage:
        """Ask, and write down what came of it; returns what was paid."""
        began = time.monotonic()
        try:
            answer = self.reasoner.ask(
                ready.tree, question_of(case), self.limits.budget(budget), account=self._account, stop=self.stop
            )
        except StoreError:
            raise
        except HierarchyError as error:
            line = self.failed(case, budget, error)
            if isinstance(error, Refused | Unavailable):
                self._turned_away(line, error)
            elif not self.stop.is_set():
                self.take(line)
            return line.bill.usage if line.bill else NOTHING
        bill = self._bill(answer.usage, answer, round(time.monotonic() - began, 3))
        # What an interrupt cut short isn't what was asked for. The store has the replies.
        if not (answer.partial and self.stop.is_set()):
            self.take(
                Prediction(
                    id=case.id,
                    system=self.system,
                    budget_tokens=budget,
                    spans=spans_of(ready.tree, ready.material, answer, budget),
                    answer="" if answer.abstained else answer.text,
                    abstain=answer.abstained,
                    confidence=round(answer.confidence, 6),
                    partial=answer.partial,
                    bill=bill,
                )
            )
        return answer.usage

    def _bill(self, usage: Usage, answer: Answer | None = None, seconds: float | None = None) -> Bill:
        """What an answer took, replies of earlier runs included."""
        stages, recalled = dict(answer.by_stage if answer else ()), NOTHING
        for event in answer.trace.of(Recalled) if answer else ():
            recalled += event.usage
            stages[event.stage] = stages.get(event.stage, NOTHING) + event.usage
        model, helper = self.reasoner.model.name, self.reasoner.helper.name
        return Bill(
            usage=usage + recalled,
            by_stage=tuple(stages.items()),
            recalled=recalled,
            seconds=seconds,
            model=model,
            summary_model="" if helper == model else helper,
        )

    def _write(self, *lines: Prediction) -> None:
        for line in lines:
            assert self.file is not None
            self.file.write(to_line(line))
            self.file.flush()
            self.done += 1
            self._errors.update([line.error] if line.error else [])
            self.usage += _fresh(line.bill) if line.bill else NOTHING
            self.report()

    # -- beginning and ending ------------------------------------------------------------------------------------------

    def _worst(self, budget: int) -> Usage:
        """The most that a question can cost: all tokens at the dearest price of any."""
        models = (self.reasoner.model, self.reasoner.helper)
        prices = [price for model in models for price in (model.price(budget, 0), model.price(0, budget))]
        known = [price for price in prices if price is not None]
        return Usage(input_tokens=budget, cost_usd=max(known) if len(known) == len(prices) else None)

    def _admitted(self, worst: Usage) -> bool:
        """Wait until a question's worst case fits what is left; False once it can't any more, or nothing is begun."""
        with self._changed:
            while not self.closed:
                if self._fits(sum(self._under_way, self.spent) + worst):
                    self._under_way.append(worst)
                    return True
                if not self._under_way:
                    self._full = True
                    break
                self._changed.wait()
            return False

    def _fits(self, all_of_it: Usage) -> bool:
        tokens, cost = self.limits.run_tokens, self.limits.run_cost_usd
        return (tokens is None or all_of_it.total_tokens <= tokens) and (
            cost is None or (all_of_it.cost_usd or 0.0) <= cost
        )

    def _settle(self, worst: Usage, paid: Usage) -> None:
        with self._changed:
            self._under_way.remove(worst)
            self.spent += paid
            self._changed.notify_all()

    def _turned_away(self, line: Prediction, error: HierarchyError) -> None:
        """A question that the provider didn't take: may be its own fault, unless it happens to all."""
        with self._changed:
            self._doubtful.append(line)
            if not self._answered or len(self._doubtful) >= _SEVERAL:
                self._end(error)

    def _end(self, error: BaseException) -> None:
        with self._changed:
            self.fatal = self.fatal or error
            self.halt()


# -- what is put, what is written -------------------------------------------------------------------------------------


def question_of(case: Case) -> str:
    """The question as it is put: a choice needs to be told what there is to choose from."""
    if not case.choices:
        return case.question
    # Told as a condition on the answer, whose words aren't searched for. Otherwise less evidence is found: on trials it
    # was 2 to 3 points less.
    return f"{case.question} If it can be told, answer with one of: {', '.join(case.choices)}."


def spans_of(tree: SummaryTree, material: Material, answer: Answer, budget_tokens: int) -> tuple[EvidenceSpan, ...]:
    """What was read for an answer: what it was composed from, most preferred first, then what only branches read.

    After several rounds all of it stands in the document's order. Each leaf is named once, since in a PDF every span is
    paid for.
    """
    evidence = answer.evidence
    runs = chain(evidence.order, (passage.leaves for passage in evidence.passages), evidence.read)
    return material.fit(_stretches(tree, runs), budget_tokens)


def _stretches(tree: SummaryTree, runs: Iterable[tuple[int, int]]) -> Iterator[Stretch]:
    """The characters of runs of leaves, file by file, without leaves that an earlier run had."""
    seen: set[int] = set()
    for run in runs:
        new = [leaf for leaf in range(*run) if leaf not in seen]
        seen.update(new)
        first = 0
        for at, leaf in enumerate(new):
            after = new[at + 1] if at + 1 < len(new) else -1
            if after != leaf + 1 or tree.leaves.file[after] != tree.leaves.file[leaf]:
                start, end = int(tree.leaves.start[new[first]]), int(tree.leaves.end[leaf])
                yield Stretch(int(tree.leaves.file[leaf]), start, end)
                first = at + 1


def paid_for(predictions: Iterable[Prediction]) -> Usage:
    """What the answers of a file were billed when they were made."""
    return sum((_fresh(one.bill) for one in predictions if one.bill), NOTHING)


def _fresh(bill: Bill) -> Usage:
    """What of a bill was paid for it."""
    costs = bill.usage.cost_usd, bill.recalled.cost_usd
    return Usage(
        input_tokens=bill.usage.input_tokens - bill.recalled.input_tokens,
        output_tokens=bill.usage.output_tokens - bill.recalled.output_tokens,
        calls=bill.usage.calls - bill.recalled.calls,
        cost_usd=None if costs[0] is None or costs[1] is None else max(0.0, costs[0] - costs[1]),
    )
