"""Have a set answered by a model, and write the answers as they come.

One line per question and budget, in the form that `runner` writes, with the answer and its bill beside what was read.
What the file holds isn't asked again. **An answer is in the file as soon as it is there**: with several questions at
once lines stand in the order in which answers came.

An error with one question is noted, and counts as a wrong answer. The run ends where going on makes no sense: if the
provider turns away the first question, or later several in a row, which are then left to be asked again.

Knows the engine from outside; single questions are `desk`'s. Whether answers are right is judged in `answers`, what
they took in `bills`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Semaphore

from hierarchy.budget import Usage
from hierarchy.engine import Reasoner
from hierarchy.errors import InputError
from hierarchy.evaluation.desk import Desk, Limits, Progress, Ready, paid_for
from hierarchy.evaluation.fitting import Material
from hierarchy.evaluation.runner import resume
from hierarchy.evaluation.sets import Case, EvaluationSet, load_document
from hierarchy.evaluation.timings import Timings, add_record, cpu_s

__all__ = ["Answered", "answer_set", "system_name"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """What a run did.

    Attributes:
        out: The file.
        written: Answers added to it, failed questions included.
        kept: Answers asked for that it held already.
        left: Answers that the cap on the whole run left no room for.
        usage: What this run paid for.
        notes: What the user should know, one sentence each.
    """

    out: Path
    written: int
    kept: int
    left: int
    usage: Usage
    notes: tuple[str, ...] = ()


def answer_set(
    dataset: EvaluationSet,
    reasoner: Reasoner,
    budgets: Sequence[int],
    *,
    out: Path | str,
    limits: Limits | None = None,
    jobs: int = 1,
    retry_failed: bool = False,
    progress: Progress | None = None,
    command: Sequence[str] = (),
) -> Answered:
    """Have every question answered at several budgets, and append the answers to a file.

    Args:
        dataset: The cases.
        reasoner: Who answers.
        budgets: In tokens, for each question.
        out: The file; made if it isn't there, gone on with if it is.
        limits: Caps on the whole run and further ones on each question. A question is begun only if its worst case
            fits what is left of the run, so that no answer is ever worse for it.
        jobs: Questions under way at once.
        retry_failed: Ask those again that the file says failed.
        progress: Called with answers done, answers in all, and what was paid by then.
        command: What to put on record as the command that ran.

    Raises:
        InputError: A budget that can't be, or a file that can't be gone on with.
        BudgetError: A cap in USD meets a model whose price isn't known; nothing was spent.
        ModelError: The provider turned away the first question, or several in a row. What was answered is kept.
        StoreError: The store can't be used.
    """
    limits, out, budgets = limits or Limits(), Path(out), _checked(budgets)
    there, notes = resume(out)
    system = system_name(reasoner)
    todo = _todo(dataset, system, budgets, {one.key for one in there if not (retry_failed and one.error)})
    total = len(dataset.cases) * len(budgets)
    kept = total - sum(len(left) for _, cases in todo for _, left in cases)
    desk = Desk(
        reasoner=reasoner,
        limits=limits,
        system=system,
        total=total,
        spent=paid_for(one for one in there if one.system == system),
        progress=progress,
        done=kept,
    )
    _written(dataset.folder, todo, desk, jobs, out, command)
    return Answered(
        out=out,
        written=desk.done - kept,
        kept=kept,
        left=total - desk.done,
        usage=desk.usage,
        notes=(*notes, *desk.notes()),
    )


def _written(
    folder: Path, todo: Sequence[tuple[str, _Cases]], desk: Desk, jobs: int, out: Path, command: Sequence[str]
) -> None:
    """Have what is left to do answered into a file, with a record of the run however it ends."""
    timings = Timings.zero([desk.system])
    desk.report()
    try:
        with out.open("a", encoding="utf-8", newline="\n") as file:
            desk.file = file
            _work(folder, todo, desk, jobs, timings)
    finally:
        add_record(out, folder, timings, command)
    if desk.fatal:
        raise desk.fatal


def _checked(budgets: Sequence[int]) -> tuple[int, ...]:
    """Each once, the smallest first."""
    found = tuple(sorted(set(budgets)))
    if not found or found[0] < 1:
        raise InputError(f"Budgets {found} can't be kept.", "Give at least one, each of a token or more.")
    return found


def system_name(reasoner: Reasoner) -> str:
    """What such answers go under: who chose what is read, and who answered."""
    names = dict.fromkeys((reasoner.model.name, reasoner.helper.name))
    return "+".join(("hierarchy", *names))


# -- what is to be asked -----------------------------------------------------------------------------------------------

_Cases = tuple[tuple[Case, tuple[int, ...]], ...]


def _todo(
    dataset: EvaluationSet, system: str, budgets: tuple[int, ...], done: set[tuple[str, str, int]]
) -> list[tuple[str, _Cases]]:
    """Per document its cases with the budgets that are left, without what is done."""
    todo = []
    for doc_id, cases in dataset.by_document():
        pending = [(case, tuple(b for b in budgets if (system, case.id, b) not in done)) for case in cases]
        if some := tuple((case, left) for case, left in pending if left):
            todo.append((doc_id, some))
    return todo


# -- the work ----------------------------------------------------------------------------------------------------------


def _work(folder: Path, todo: Sequence[tuple[str, _Cases]], desk: Desk, jobs: int, timings: Timings) -> None:
    """Load document after document and have its questions answered, so many at once."""
    free = Semaphore(jobs)
    executor = ThreadPoolExecutor(max_workers=jobs, thread_name_prefix="hierarchy-answer")
    try:
        for doc_id, cases in todo:
            if desk.closed:
                break
            ready = _loaded(folder, doc_id, cases, desk, timings)
            if ready is None:
                continue
            for case, budgets in cases:
                free.acquire()
                executor.submit(desk.ask, ready, case, budgets).add_done_callback(lambda _: free.release())
        executor.shutdown()
    except BaseException:
        desk.halt()  # calls under way come to their end, and nothing new is begun
        raise
    finally:
        executor.shutdown()
    desk.finish()


def _loaded(folder: Path, doc_id: str, cases: _Cases, desk: Desk, timings: Timings) -> Ready | None:
    """A document made ready; None if it can't be read, which is noted with each of its questions."""
    began = cpu_s()
    try:
        document = load_document(folder, doc_id)
        return Ready(desk.reasoner.outline(document), Material.of(document))
    except InputError as error:
        for case, budgets in cases:
            for budget in budgets:
                desk.take(desk.failed(case, budget, error))
        return None
    finally:
        timings.loaded(cpu_s() - began)
