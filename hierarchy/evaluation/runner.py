"""Let systems predict over a set, and write what they predict as it comes.

The file grows in a fixed order: documents as the set names them, then systems, cases and budgets. A run that was killed
goes on where it stopped: what the file holds is kept and not done again, a torn last line is dropped. Predictions are
kept by system, case and budget and not by the system's code: after a change to a system, start a new file.

Beside the file stands a record of what the run cost (`timings`). Knows documents and systems, no figures.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from hierarchy.document import Document
from hierarchy.errors import HierarchyError, InputError
from hierarchy.evaluation.oracle import AnySystem, case_reader
from hierarchy.evaluation.predictions import Prediction, scan_predictions, to_line
from hierarchy.evaluation.sets import Case, EvaluationSet, load_document
from hierarchy.evaluation.systems import systems_named
from hierarchy.evaluation.timings import Timing, Timings, add_record, cpu_s

__all__ = ["Progress", "Run", "resume", "run"]

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
        timings: CPU seconds of what was done, by system.
        notes: What the user should know, one sentence each.
    """

    out: Path
    written: int
    kept: int
    timings: Timings
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """All that is to be predicted about one document; goes to another process as it is."""

    folder: Path
    doc_id: str
    systems: Mapping[str, AnySystem]
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


def run(
    dataset: EvaluationSet,
    systems: Sequence[str] | Mapping[str, AnySystem],
    budgets: Sequence[int],
    *,
    out: Path | str,
    split: str | None = None,
    jobs: int = 1,
    progress: Progress | None = None,
    command: Sequence[str] = (),
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
        command: What to put on record as the command that ran.
        progress: Called once at the start and after every prediction (after every document if `jobs > 1`).

    Raises:
        InputError: A name or budget that can't be, a file that can't be gone on with, or a document that can't be read.
            What was predicted before it stays in the file.
    """
    made = systems if isinstance(systems, Mapping) else systems_named(systems)
    if not budgets or min(budgets) < 1:
        raise InputError(f"Budgets {tuple(budgets)} can't be kept.", "Give at least one, each of a token or more.")
    out = Path(out)
    there, notes = resume(out)
    kept = frozenset(prediction.key for prediction in there)
    todo = _jobs(dataset.only(split), made, tuple(sorted(set(budgets))), kept)
    total = sum(len(job.cases) * len(job.budgets) * len(made) for job in todo)
    pending = sum(1 for job in todo for _key in job.pending())
    timings = Timings.zero(made)
    done = total - pending
    if progress:
        progress(done, total, dataset.name)
    try:
        with out.open("a", encoding="utf-8", newline="\n") as file:
            for doc_id, lines in _predicted([job for job in todo if any(job.pending())], jobs, timings):
                file.write("".join(lines))
                file.flush()
                done += len(lines)
                if progress:
                    progress(done, total, doc_id)
    finally:  # what a run cost before it was stopped is part of what its file cost
        add_record(out, dataset.folder, timings, command)
    return Run(
        out=out,
        written=pending,
        kept=total - pending,
        timings=timings,
        notes=notes,
    )


def resume(out: Path) -> tuple[tuple[Prediction, ...], tuple[str, ...]]:
    """Make a file ready to be appended to.

    Returns:
        What it holds already, and what the user should know of it.

    Raises:
        InputError: A line before the last isn't a prediction.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    if not out.exists():
        return (), ()
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
    return predictions, notes


def _jobs(
    dataset: EvaluationSet, systems: Mapping[str, AnySystem], budgets: tuple[int, ...], done: frozenset[_Key]
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


def _predicted(todo: Sequence[_Job], jobs: int, timings: Timings) -> Iterator[tuple[str, list[str]]]:
    """Lines as they come, in the file's order, each batch with its document."""
    if jobs <= 1:
        for job in todo:
            for line in _predict(job, timings):
                yield job.doc_id, [line]
        return
    executor = ProcessPoolExecutor(max_workers=jobs)
    try:
        futures: list[tuple[str, Future[tuple[list[str], Timings]]]] = [
            (job.doc_id, executor.submit(_predict_all, job)) for job in todo
        ]
        for doc_id, future in futures:
            lines, spent = future.result()
            timings.add(spent)
            yield doc_id, lines
    finally:
        executor.shutdown(cancel_futures=True)  # after an error or an interrupt, begin no further document


def _predict_all(job: _Job) -> tuple[list[str], Timings]:
    timings = Timings.zero(job.systems)
    return list(_predict(job, timings)), timings


def _predict(job: _Job, timings: Timings) -> Iterator[str]:
    """Load a document, ask each system every question that is left, drop it."""
    began = cpu_s()
    try:
        document = load_document(job.folder, job.doc_id)
    except HierarchyError as error:
        error.add_note(f"While reading document {job.doc_id!r} of {job.folder}.")
        raise
    timings.loaded(cpu_s() - began)
    pending = set(job.pending())
    for name, system in job.systems.items():
        if any(key[0] == name for key in pending):
            yield from _ask(job, name, system, document, pending, timings.systems[name])


def _ask(
    job: _Job, name: str, system: AnySystem, document: Document, pending: Collection[_Key], timing: Timing
) -> Iterator[str]:
    """Ask one system every question about a document that is left."""
    began = cpu_s()
    read = case_reader(system, document)
    timing.prepared(cpu_s() - began)
    for case in job.cases:
        budgets = [budget for budget in job.budgets if (name, case.id, budget) in pending]
        for budget in budgets:
            began = cpu_s()
            spans = read(case, budget)
            timing.asked(cpu_s() - began, first=budget == budgets[0])
            yield to_line(Prediction(id=case.id, system=name, budget_tokens=budget, spans=spans))
