"""The commands `eval compare`, `eval report` and `eval cost`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit
from hierarchy.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table

    from hierarchy.evaluation.figures import Scoreboard
    from hierarchy.evaluation.findings import Findings
    from hierarchy.evaluation.report import Row
    from hierarchy.evaluation.sets import EvaluationSet

__all__ = ["compare", "cost", "limit_option", "misses", "parsed_budgets", "report", "show_notes", "show_rows"]

# What is the case nowhere needs no column.
_EXCEPTIONS = {"over budget": "0", "missing": "0", "groups %": "–", "files %": "–"}

_file = click.Path(exists=True, dir_okay=False, path_type=Path)
_folder = click.Path(exists=True, file_okay=False, path_type=Path)
_split_option = click.option("--split", help="Only the questions of this split, such as dev.")
limit_option = click.option(
    "--limit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Only so many questions, drawn by their ids: the same ones each time.",
)
_markdown_option = click.option("--markdown", is_flag=True, help="Print the table as Markdown.")


def parsed_budgets(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    """Budgets in a row, as people write them."""
    from hierarchy.budget import Budget

    try:
        return tuple(Budget.parse(part).total_tokens for part in value.split(","))
    except InputError as error:
        message = f"{error.message} Write them as 1000,2000,4000 or 1k,2k,4k."
        raise click.BadParameter(message, ctx=ctx, param=param) from error


@click.command(
    short_help="Tell who is ahead, if anyone.",
    epilog="""\b
Examples:
  hierarchy eval compare ours.jsonl theirs.jsonl
  hierarchy eval compare ours.jsonl theirs.jsonl --set my-set --split dev --figure coverage
""",
)
@click.argument("file", metavar="A.jsonl", type=_file)
@click.argument("base", metavar="B.jsonl", type=_file)
@click.option("--set", "folder", metavar="DIR", type=_folder, help="The set; the one on record beside A by default.")
@_split_option
@limit_option
@click.option(
    "--figure",
    type=click.Choice(("answerable", "coverage", "groups", "files")),
    default="answerable",
    show_default=True,
    help="What to compare.",
)
@_markdown_option
def compare(
    file: Path, base: Path, *, folder: Path | None, split: str | None, limit: int | None, figure: str, markdown: bool
) -> int:
    """Compare the predictions in A with those in B, budget by budget.

    Systems of the same name are held against each other; if the files share none, each in A against each in B. The
    difference is paired by question and its 95 % interval drawn over documents: where it holds 0 there is no winner,
    and with fewer than six documents no verdict.
    """
    from hierarchy.evaluation import report as tables
    from hierarchy.evaluation.figures import score
    from hierarchy.evaluation.predictions import read_predictions
    from hierarchy.evaluation.sets import load_set

    dataset = load_set(folder or _recorded_set(file, base), split, limit)
    ours, theirs = (score(dataset, read_predictions(path)) for path in (file, base))
    pairs = _pairs(ours, theirs, (file, base))
    if any(board.mean(budget, figure) is None for pair in pairs for board in pair for budget in board.budgets[:1]):
        raise InputError(f"{dataset.name} has no figure {figure!r}.", "Its evidence isn't of that kind.")
    header, *rows = tables.comparison_rows(pairs, figure)
    if not rows:
        raise InputError("The two were predicted at different budgets.", "Run both at one budget at least.")
    show_rows(header, rows, markdown=markdown)
    show_notes(dataset, [board.system for board in (*ours, *theirs)])
    return Exit.DONE


@click.command(
    short_help="Tell why evidence wasn't read.",
    epilog="""\b
Examples:
  hierarchy eval misses my-set predictions.jsonl
  hierarchy eval misses my-set ours.jsonl theirs.jsonl --split dev --markdown
""",
)
@click.argument("folder", metavar="DIR", type=_folder)
@click.argument("files", nargs=-1, required=True, metavar="PREDICTIONS...", type=_file)
@_split_option
@_markdown_option
def misses(folder: Path, files: tuple[Path, ...], *, split: str | None, markdown: bool) -> int:
    """Count why questions of the set in DIR weren't answerable from what PREDICTIONS read.

    Too long: the evidence alone is longer than the budget. In part: some of it was read. Nearby: none, but something
    beside it. Elsewhere: nothing near it.
    """
    from hierarchy.evaluation import misses as found
    from hierarchy.evaluation.predictions import read_predictions
    from hierarchy.evaluation.sets import load_set

    dataset = load_set(folder, split)
    predictions = [one for path in files for one in read_predictions(path)]
    header, *rows = found.rows(found.causes(dataset, predictions))
    if not rows:
        raise InputError("None of the predictions is about a question of this set and split.", "Check DIR and --split.")
    show_rows(header, rows, markdown=markdown)
    return Exit.DONE


@click.command(
    short_help="Write down what was found, with figures.",
    epilog="""\b
Examples:
  hierarchy eval report my-set --predictions predictions.jsonl --out report.md
  hierarchy eval report a b --predictions a.jsonl --predictions b.jsonl --out report.md --figures images
""",
)
@click.argument("folders", nargs=-1, required=True, metavar="DIR...", type=_folder)
@click.option("--predictions", "files", type=_file, multiple=True, required=True, help="May be given several times.")
@_split_option
@limit_option
@click.option("--out", type=click.Path(dir_okay=False, writable=True, path_type=Path), required=True, help="Markdown.")
@click.option("--figures", "images", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="For SVGs.")
def report(
    folders: tuple[Path, ...],
    files: tuple[Path, ...],
    *,
    split: str | None,
    limit: int | None,
    out: Path,
    images: Path | None,
) -> int:
    """Write what was found on the sets in DIR... as Markdown: curves, comparisons, tokens to evidence, answers, costs.

    Give the --limit that a run was given; without it, what wasn't asked counts as not found.
    """
    from hierarchy.evaluation import curves, findings
    from hierarchy.evaluation.sets import load_set

    if images:
        curves.check_drawing()
    found = findings.find([load_set(folder, split, limit) for folder in folders], files)
    drawn = _draw(found, images) if images else {}
    links = {key: Path(os.path.relpath(path, out.parent)).as_posix() for key, path in drawn.items()}
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(findings.paper(found, links), encoding="utf-8")
    console.show_note(f"Written to {out}" + (f" with {len(drawn)} figures in {images}." if images else "."))
    return Exit.DONE


@click.command(
    short_help="Measure what reading costs on this machine.",
    epilog="""\b
Examples:
  hierarchy eval cost 10-K.pdf
  hierarchy eval cost reports/a.pdf reports/b.pdf --markdown
""",
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=_file)
@click.option("--rounds", type=click.IntRange(min=1), default=3, show_default=True, help="The best of how many runs.")
@_markdown_option
def cost(files: tuple[Path, ...], rounds: int, markdown: bool) -> int:
    """Measure CPU and memory of loading, tree and questions, for each FILE.

    CPU is told as multiples of the least that any reader needs: pdfium reading the pages (of other files the bytes) and
    tiktoken counting the text. The first question builds the index. Memory is the peak of what Python allocates.
    """
    from hierarchy.evaluation.cost import HEADER, measure, row

    with console.progress() as progress:
        rows = []
        for number, path in enumerate(files):
            progress(number, len(files), path.name)
            rows.append(row(measure(path, rounds=rounds)))
    show_rows(HEADER, rows, markdown=markdown)
    return Exit.DONE


def show_rows(header: Row, rows: Sequence[Row], *, markdown: bool) -> None:
    """Print a table, for a terminal or as Markdown."""
    from hierarchy.evaluation import report as tables

    if markdown:
        click.echo(tables.markdown(header, rows), nl=False)
    else:
        table = _table(header, rows)
        # A cut-off figure is worse than a line that breaks.
        console.show(table, least_width=sum((column.min_width or 0) + 2 for column in table.columns))


def show_notes(dataset: EvaluationSet, systems: Iterable[str]) -> None:
    """Tell what is odd about a set, and whether a system has seen it before."""
    from hierarchy.evaluation.ours import fitting_notes
    from hierarchy.evaluation.predictions import reader_of

    for note in (*fitting_notes(dataset.name, dict.fromkeys(map(reader_of, systems))), *dataset.notes):
        console.show_note(f"Note: {note}")


def _recorded_set(*files: Path) -> Path:
    from hierarchy.evaluation.timings import read_record

    for file in files:
        record = read_record(file)
        if record and record.folder.is_dir():
            return record.folder
    raise InputError("No set is on record beside these files.", "Name it with --set.")


def _pairs(
    ours: Sequence[Scoreboard], theirs: Sequence[Scoreboard], files: tuple[Path, Path]
) -> list[tuple[Scoreboard, Scoreboard]]:
    shared = [(a, b) for a in ours for b in theirs if a.system == b.system]
    if not shared:
        return [(a, b) for a in ours for b in theirs]
    # Two files of one system are told apart by where they come from.
    stems = files[0].stem, files[1].stem
    labels = stems if len(set(stems)) == len(stems) else (str(files[0]), str(files[1]))
    return [(_labelled(a, labels[0]), _labelled(b, labels[1])) for a, b in shared]


def _labelled(board: Scoreboard, label: str) -> Scoreboard:
    return replace(board, system=f"{board.system} ({label})" if board.system else label)


def _draw(found: Sequence[Findings], folder: Path) -> dict[tuple[str, str], Path]:
    from hierarchy.evaluation.curves import curves

    folder.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for one in found:
        for figure in ("answerable", "files"):
            boards = one.with_figure(figure)
            if boards:
                path = folder / f"{one.dataset.name}-{figure}.svg"
                path.write_bytes(curves(boards, figure, one.dataset.name))
                drawn[one.dataset.name, figure] = path
    return drawn


def _table(header: Row, rows: Sequence[Row]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    shown = [
        index
        for index, head in enumerate(header)
        if head not in _EXCEPTIONS or any(row[index] != _EXCEPTIONS[head] for row in rows)
    ]
    for index in shown:
        width = max(len(row[index]) for row in (*rows, header))
        table.add_column(header[index], justify="left" if index == 0 else "right", min_width=width)
    for row in rows:
        table.add_row(*(Text(row[index]) for index in shown))
    return table
