"""Let systems predict over a set, and write what they predict as it comes.

The file grows in a fixed order: documents as the set names them, then systems, cases and budgets. A run that was killed
goes on where it stopped: what the file holds is kept and not done again, a torn last line is dropped. Predictions are
kept by system, case and budget and not by the system's code: after a change to a system, start a new file.

Knows documents and systems, no figures.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hierarchy.errors import HierarchyError, InputError
from hierarchy.evaluation.baselines import System
from hierarchy.evaluation.predictions import Prediction, scan_predictions, to_line
from hierarchy.evaluation.sets import Case, EvaluationSet, load_document
from hierarchy.evaluation.systems import systems_named

__all__ = ["Progress", "Run", "run"]

Progress = Callable[[int, int, str], None]
"""Called with predictions done, predictions in all, and the document at hand."""

_Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What a run did.

    Attributes:
        out: The predictions file.
        written: Predictions added to it.
        kept: Predictions asked for that it held already.
        load_s: CPU seconds of reading documents.
        prepare_s: CPU seconds of what a system does once per document, by system.
        question_s: CPU seconds of a system's predictions, by system.
        notes: What the user should know, one sentence each.
    """

    out: Path
    written: int
    kept: int
    load_s: float
    prepare_s: Mapping[str, float]
    question_s: Mapping[str, float]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """All that is to be predicted about one document; goes to another process as it is."""

    folder: Path
    doc_id: str
    systems: Mapping[str, System]
    cases: tuple[Case, ...]
    budgets: tuple[int, ...]
    done: frozenset[_Key]

    def pending(self) -> Iterator[_Key]:
        """What is still to be predicted, in the file's order."""
        for name in self.systems:
            for case in self.cases:
                for budget in self.budgets:
                    if (key := (name, case.id, budget)) not in self.done:
                        yield key


@dataclass(slots=True, kw_only=True)
class _Clock:
    """CPU seconds by what they were spent on; adds up over documents."""

    load_s: float
    prepare_s: dict[str, float]
    question_s: dict[str, float]

    @classmethod
    def zero(cls, names: Collection[str]) -> _Clock:
        return cls(load_s=0.0, prepare_s=dict.fromkeys(names, 0.0), question_s=dict.fromkeys(names, 0.0))

    def add(self, other: _Clock) -> None:
        self.load_s += other.load_s
        for name in self.prepare_s:
            self.prepare_s[name] += other.prepare_s[name]
            self.question_s[name] += other.question_s[name]


def run(
    dataset: EvaluationSet,
    systems: Sequence[str] | Mapping[str, System],
    budgets: Sequence[int],
    *,
    out: Path | str,
    split: str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
) -> Run:
    """Let systems predict at several budgets for every case, and append to a predictions file.

    Each document is loaded once for all of its questions and systems, and dropped after. For the reference scorer,
    which knows no systems, give each system a file of its own.

    Args:
        dataset: The cases.
        systems: Names from `SYSTEMS`, or systems of one's own by name; these must be picklable if `jobs > 1`.
        budgets: In tokens.
        out: The file; made if it isn't there, gone on with if it is.
        split: Only the cases of this split; None takes all that were loaded.
        jobs: Documents at a time, in processes of their own; the file is the same.
        progress: Called once at the start and after every prediction (after every document if `jobs > 1`).

    Raises:
        InputError: A name or budget that can't be, a file that can't be gone on with, or a document that can't be read.
            What was predicted before it stays in the file.
    """
    made = systems if isinstance(systems, Mapping) else systems_named(systems)
    if not budgets or min(budgets) < 1:
        raise InputError(f"Budgets {tuple(budgets)} can't be kept.", "Give at least one, each of a token or more.")
    out = Path(out)
    kept, notes = _resume(out)
    todo = _jobs(dataset.only(split), made, tuple(sorted(set(budgets))), kept)
    total = sum(len(job.cases) * len(job.budgets) * len(made) for job in todo)
    pending = sum(1 for job in todo for _key in job.pending())
    clock = _Clock.zero(made)
    done = total - pending
    if progress:
        progress(done, total, dataset.name)
    with out.open("a", encoding="utf-8", newline="\n") as file:
        for doc_id, lines in _predicted([job for job in todo if any(job.pending())], jobs, clock):
            file.write("".join(lines))
            file.flush()
            done += len(lines)
            if progress:
                progress(done, total, doc_id)
    return Run(
        out=out,
        written=pending,
        kept=total - pending,
        load_s=clock.load_s,
        prepare_s=clock.prepare_s,
        question_s=clock.question_s,
        notes=notes,
    )


def _resume(out: Path) -> tuple[frozenset[_Key], tuple[str, ...]]:
    """What the file holds already; leaves it ready to be appended to."""
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        return frozenset(), ()
    predictions, torn = scan_predictions(out)
    notes: tuple[str, ...] = ()
    with out.open("r+b") as file:
        size = file.seek(0, 2)
        if torn:
            file.truncate(size - torn)
            notes = (f"{out}: a torn last line of {torn:,} bytes was dropped; its prediction is made again.",)
        elif size:
            file.seek(size - 1)
            if file.read(1) != b"\n":  # killed between a whole line and its line feed
                file.write(b"\n")
    return frozenset(prediction.key for prediction in predictions), notes


def _jobs(
    dataset: EvaluationSet, systems: Mapping[str, System], budgets: tuple[int, ...], done: frozenset[_Key]
) -> list[_Job]:
    jobs = []
    for doc_id, cases in dataset.by_document():
        ids = {case.id for case in cases}
        jobs.append(
            _Job(
                folder=dataset.folder,
                doc_id=doc_id,
                systems=systems,
                cases=cases,
                budgets=budgets,
                done=frozenset(key for key in done if key[1] in ids),
            )
        )
    return jobs


def _predicted(todo: Sequence[_Job], jobs: int, clock: _Clock) -> Iterator[tuple[str, list[str]]]:
    """Lines as they come, in the file's order, each batch with its document."""
    if jobs <= 1:
        for job in todo:
            for line in _predict(job, clock):
                yield job.doc_id, [line]
        return
    executor = ProcessPoolExecutor(max_workers=jobs)
    try:
        futures: list[tuple[str, Future[tuple[list[str], _Clock]]]] = [
            (job.doc_id, executor.submit(_predict_all, job)) for job in todo
        ]
        for doc_id, future in futures:
            lines, spent = future.result()
            clock.add(spent)
            yield doc_id, lines
    finally:
        executor.shutdown(cancel_futures=True)  # after an error or an interrupt, begin no further document


def _predict_all(job: _Job) -> tuple[list[str], _Clock]:
    clock = _Clock.zero(job.systems)
    return list(_predict(job, clock)), clock


def _predict(job: _Job, clock: _Clock) -> Iterator[str]:
    """Load a document, ask each system every question that is left, drop it."""
    began = time.process_time()
    try:
        document = load_document(job.folder, job.doc_id)
    except HierarchyError as error:
        error.add_note(f"While reading document {job.doc_id!r} of {job.folder}.")
        raise
    clock.load_s += time.process_time() - began
    pending = set(job.pending())
    for name, system in job.systems.items():
        if not any(key[0] == name for key in pending):
            continue
        began = time.process_time()
        read = system.prepare(document)
        clock.prepare_s[name] += time.process_time() - began
        for case in job.cases:
            for budget in job.budgets:
                if (name, case.id, budget) in pending:
                    began = time.process_time()
                    spans = read(case.question, budget)
                    clock.question_s[name] += time.process_time() - began
                    yield to_line(Prediction(id=case.id, system=name, budget_tokens=budget, spans=spans))
