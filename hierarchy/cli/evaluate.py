"""The commands `eval run` and `eval score`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit
from hierarchy.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from hierarchy.evaluation.predictions import Prediction
    from hierarchy.evaluation.report import Row
    from hierarchy.evaluation.runner import Run

__all__ = ["SYSTEM_NAMES", "evaluate"]

# Written out, so that help needn't import the systems and numpy with them; a test compares.
SYSTEM_NAMES = tuple(
    "hierarchy expected-gain proportional uniform top-k bm25 bm25-sentence bm25-128 bm25-512 bm25-page bm25-heading "
    "dense rrf raptor automerge descent head random oracle".split()
)


def _parsed_budgets(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    from hierarchy.budget import Budget

    try:
        return tuple(Budget.parse(part).total_tokens for part in value.split(","))
    except InputError as error:
        message = f"{error.message} Write them as 1000,2000,4000 or 1k,2k,4k."
        raise click.BadParameter(message, ctx=ctx, param=param) from error


_TROUBLES = frozenset({"over budget", "missing"})

folder_argument = click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
split_option = click.option("--split", help="Only the questions of this split, such as dev.")


@click.group(
    "eval",
    short_help="Measure what is read, at several budgets.",
    epilog="""\b
Examples:
  hierarchy eval run my-set --budgets 1k,2k,4k --out predictions.jsonl
  hierarchy eval score my-set predictions.jsonl
""",
)
def evaluate() -> None:
    """Measure how often what is read holds the answer, at several budgets, beside simpler systems.

    A set is a folder with cases.jsonl beside docs/, pdfs/ or corpora/.
    """


@evaluate.command(
    short_help="Let systems read for every question.",
    epilog="""\b
Examples:
  hierarchy eval run my-set --budgets 1000,2000,4000 --split dev --out predictions.jsonl
  hierarchy eval run my-set --budgets 4k --system hierarchy --system bm25 --jobs 2 --out both.jsonl
""",
)
@folder_argument
@click.option("--budgets", metavar="N,N,...", callback=_parsed_budgets, required=True, help="In tokens.")
@split_option
@click.option(
    "--system",
    "systems",
    type=click.Choice(SYSTEM_NAMES),
    multiple=True,
    default=("hierarchy",),
    show_default=True,
    help="Which system reads; may be given several times.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Documents read side by side.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="Predictions go here; a file that is there already is gone on with.",
)
def run(
    folder: Path, budgets: tuple[int, ...], split: str | None, systems: tuple[str, ...], jobs: int, out: Path
) -> int:
    """Let systems read for every question of the set in DIR, and write what they would read."""
    from hierarchy.evaluation import runner
    from hierarchy.evaluation.sets import load_set

    dataset = load_set(folder, split)
    with console.progress() as progress:
        done = runner.run(
            dataset, tuple(dict.fromkeys(systems)), budgets, out=out, split=split, jobs=jobs, progress=progress
        )
    for note in (*dataset.notes, *done.notes):
        console.show_note(f"Note: {note}")
    console.show_note(_summary(done))
    return Exit.DONE


@evaluate.command(
    short_help="Judge what they read.",
    epilog="""\b
Examples:
  hierarchy eval score my-set predictions.jsonl --split dev
  hierarchy eval score my-set ours.jsonl theirs.jsonl --markdown > table.md
""",
)
@folder_argument
@click.argument("files", nargs=-1, required=True, metavar="PREDICTIONS...", type=click.Path(path_type=Path))
@split_option
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def score(folder: Path, files: tuple[Path, ...], split: str | None, markdown: bool) -> int:
    """Judge PREDICTIONS against the evidence of the set in DIR: per system and budget, with 95 % intervals."""
    from hierarchy.evaluation import figures, report
    from hierarchy.evaluation.predictions import read_predictions
    from hierarchy.evaluation.sets import load_set

    dataset = load_set(folder, split)
    wanted = {case.id for case in dataset.cases}
    predictions: list[Prediction] = [one for file in files for one in read_predictions(file) if one.id in wanted]
    if not predictions:
        raise InputError("None of the predictions is about a question of this set and split.", "Check DIR and --split.")
    rows = report.rows(figures.score(dataset, predictions))
    if markdown:
        click.echo(report.markdown(report.HEADER, rows), nl=False)
    else:
        console.show(_table(report.HEADER, rows), least_width=96)
    for note in dataset.notes:
        console.show_note(f"Note: {note}")
    return Exit.DONE


def _summary(done: Run) -> str:
    kept = f", {done.kept:,} were there already" if done.kept else ""
    return f"{done.written:,} predictions written to {done.out}{kept}; {done.timings.total_s:,.1f} s of CPU."


def _table(header: Row, rows: Sequence[Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    # What went wrong nowhere needs no column.
    shown = [
        index for index, head in enumerate(header) if head not in _TROUBLES or any(row[index] != "0" for row in rows)
    ]
    for index in shown:
        width = max(len(row[index]) for row in rows)
        table.add_column(header[index], justify="left" if index == 0 else "right", min_width=width)
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    return table
