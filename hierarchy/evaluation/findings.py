"""What runs found, as a Markdown document: per set curves, duels, tokens to evidence, answers, and what it all cost.

**It holds no dates**: equal predictions and records give an equal document, watt-hours where the same ecologits is
installed. The first system predicted is the one that the others are held against.

Owns the order of the document. Arithmetic is in `figures`, `answers`, `bills` and `timings`; tables are laid out by
`report`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hierarchy.energy import estimator
from hierarchy.errors import InputError
from hierarchy.evaluation.answers import AnswerFigures, answer_figures
from hierarchy.evaluation.bills import BillFigures, bill_figures
from hierarchy.evaluation.figures import LEAST_DOCUMENTS, Scoreboard, score
from hierarchy.evaluation.ours import fitting_notes
from hierarchy.evaluation.predictions import Prediction, read_predictions, reader_of
from hierarchy.evaluation.report import Row, all_budgets, answer_rows, bill_rows, duel_rows, markdown, matrix, name
from hierarchy.evaluation.sets import EvaluationSet
from hierarchy.evaluation.timings import Record, Timings, read_record

__all__ = ["QUESTIONS_PER_DOCUMENT", "Findings", "find", "paper"]

QUESTIONS_PER_DOCUMENT = (1, 10, 100)
"""Over so many questions the cost of preparing a document is spread."""


_READING = (
    "Shares are in per cent, in brackets 95 % intervals from a bootstrap over documents. Two systems are compared by "
    "their paired difference on the same cases; where its interval holds 0 there is no winner, and with fewer than "
    f"{LEAST_DOCUMENTS} documents no verdict. Every token read is charged; building trees and indexes takes no model, "
    "so that index tokens are 0 throughout."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """All that is known about the systems that were run on one set.

    Attributes:
        dataset: The set.
        boards: Scores by system, in order of appearance.
        answers: By system and budget, where systems answered.
        bills: What that took.
        timings: What the runs cost, as far as it is on record.
        records: The records themselves.
        notes: What the reader should know, one sentence each.
    """

    dataset: EvaluationSet
    boards: tuple[Scoreboard, ...]
    answers: Mapping[str, Mapping[int, AnswerFigures]] = field(default_factory=dict)
    bills: Mapping[str, Mapping[int, BillFigures]] = field(default_factory=dict)
    timings: Timings = field(default_factory=Timings)
    records: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()

    def with_figure(self, figure: str) -> tuple[Scoreboard, ...]:
        """The systems for which the set has a figure."""
        boards = (board for board in self.boards if board.budgets)  # none where no case has evidence
        return tuple(board for board in boards if board.mean(board.budgets[-1], figure) is not None)


def find(datasets: Sequence[EvaluationSet], files: Sequence[Path]) -> tuple[Findings, ...]:
    """Score prediction files on the sets that they are about.

    Raises:
        InputError: A file is about none of the sets, or a set has no predictions.
    """
    read = {path: read_predictions(path) for path in files}
    idle = set(files)
    found = []
    for dataset in datasets:
        wanted = {case.id for case in dataset.cases}
        about = {path: [one for one in read[path] if one.id in wanted] for path in files}
        mine = {path: predictions for path, predictions in about.items() if predictions}
        idle -= mine.keys()
        found.append(_findings(dataset, mine))
    if idle:
        names = ", ".join(sorted(str(path) for path in idle))
        raise InputError(f"None of the questions in {names} is of these sets.", "Name the set, or leave the file out.")
    return tuple(found)


def _findings(dataset: EvaluationSet, files: Mapping[Path, Sequence[Prediction]]) -> Findings:
    predictions = [one for some in files.values() for one in some]
    records = [record for path in files if (record := read_record(path))]
    timings = Timings()
    for record in records:
        timings.add(record.timings)
    twice = len(predictions) - len({one.key for one in predictions})
    boards = score(dataset, predictions)
    return Findings(
        dataset=dataset,
        boards=boards,
        answers=answer_figures(dataset, predictions),
        bills=bill_figures(dataset, predictions),
        timings=timings,
        records=tuple(records),
        notes=(
            *fitting_notes(dataset.name, dict.fromkeys(reader_of(board.system) for board in boards)),
            *dataset.notes,
            *([f"{twice:,} predictions were made twice; the later count."] if twice else []),
        ),
    )


def paper(found: Sequence[Findings], images: Mapping[tuple[str, str], str]) -> str:
    """The document.

    Args:
        found: One entry per set.
        images: (Set, figure) → the file that shows it, as a link from the document.
    """
    parts = ["# What was found", _READING]
    for one in found:
        parts += _set(one, images)
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _set(found: Findings, images: Mapping[tuple[str, str], str]) -> list[str]:
    dataset, boards = found.dataset, found.boards
    documents = len({case.doc_id for case in dataset.scored})
    parts = [f"## {dataset.name}", f"Cases with evidence: {len(dataset.scored):,}. Documents: {documents:,}."]
    parts += [f"**Note.** {note}" for note in found.notes]
    for figure, heading in (("answerable", "Evidence found"), ("files", "Share of the files found")):
        shown = found.with_figure(figure)
        if shown:
            parts += [f"### {heading}", *_figure(dataset.name, figure, shown, images)]
    if len(boards) > 1:
        parts += ["### Who is ahead, in points", _table(duel_rows(boards[0], boards[1:]))]
    if rows := _tokens_rows(boards):
        most = f"{all_budgets(boards)[-1]:,}"
        lead = (
            f"Tokens read until a first whole group of evidence was held, within {most}; the whole document's if never."
        )
        parts += ["### Tokens to evidence", lead, _table(rows)]
    if found.answers:
        parts += ["### Answers", _table(answer_rows(found.answers))]
    if found.bills:
        parts += ["### What an answer takes", *_bills(found.bills)]
    parts += ["### Cost", *_cost(found), _overruns(boards)]
    return parts


def _figure(
    set_name: str, figure: str, boards: Sequence[Scoreboard], images: Mapping[tuple[str, str], str]
) -> list[str]:
    image = images.get((set_name, figure))
    shown = [f"![{figure} by budget, {set_name}]({image})"] if image else []
    return [*shown, _table(matrix(boards, figure))]


def _tokens_rows(boards: Sequence[Scoreboard]) -> tuple[Row, ...]:
    rows = [(name(board), board.tokens_to_evidence(50), board.tokens_to_evidence(90)) for board in boards]
    known = [(system, f"{half:,}", f"{most:,}") for system, half, most in rows if half is not None and most is not None]
    return (("system", "median", "90th percentile"), *known) if known else ()


def _bills(bills: Mapping[str, Mapping[int, BillFigures]]) -> list[str]:
    lead = "Mean and median per question over all calls, retries included; replies of earlier runs at what they cost."
    if any(row.wh for budgets in bills.values() for row in budgets.values()):
        lead += (
            f" Watt-hours are an estimate by {estimator()} from the tokens written, as a range of the mean: reading "
            "prompts isn't in it, and nothing was measured."
        )
    return [lead, _table(bill_rows(bills))]


def _cost(found: Findings) -> list[str]:
    timings = found.timings
    rows = [
        (
            system,
            "0",
            _ms(timing.prepare_s / max(1, timing.documents)),
            *(_ms(timing.per_question(questions)) for questions in QUESTIONS_PER_DOCUMENT),
        )
        for system, timing in timings.systems.items()
        if timing.questions and system in {board.system for board in found.boards}
    ]
    if not rows:
        lack = "No run that reads without a model" if found.records else "No run"
        return [f"{lack} is on record, so that there are no timings.", *_versions(found.records)]
    spread = " / ".join(map(str, QUESTIONS_PER_DOCUMENT))
    header = ("system", "index tokens", "document, ms", *(f"question at {n}, ms" for n in QUESTIONS_PER_DOCUMENT))
    load = _ms(timings.load_s / max(1, timings.documents))
    lead = (
        f"CPU on the machine of the run: preparing a document, and a question with its share of that at {spread} "
        f"questions per document. Reading the file takes {load} ms a document besides, whatever the system."
    )
    return [lead, _table((header, *rows)), *_versions(found.records)]


def _versions(records: Collection[Record]) -> list[str]:
    told = dict.fromkeys(
        ", ".join(f"{package} {number}" for package, number in record.versions.items() if number) for record in records
    )
    commands = dict.fromkeys(" ".join(record.command) for record in records if record.command)
    return [*(f"Run with {versions}." for versions in told), *(f"```bash\n{command}\n```" for command in commands)]


def _overruns(boards: Sequence[Scoreboard]) -> str:
    worst = ", ".join(f"{name(board)} {board.over_budget:,} times" for board in boards if board.over_budget)
    return f"Over its budget and cut there: {worst}." if worst else "No system ever read more than its budget."


def _table(rows: Sequence[Row]) -> str:
    return markdown(rows[0], rows[1:])


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}"


def _ms(seconds: float | None) -> str:
    return "–" if seconds is None else f"{1000 * seconds:,.1f}"
