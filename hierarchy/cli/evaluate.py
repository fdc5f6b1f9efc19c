"""The commands `eval run` and `eval score`; the others below `eval` are in `arena`, `answering`, `fit` and `gym`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console
from hierarchy.cli.answering import answer
from hierarchy.cli.arena import compare, cost, limit_option, misses, parsed_budgets, report, show_notes, show_rows
from hierarchy.cli.exits import Exit
from hierarchy.cli.fit import fit
from hierarchy.cli.gym import gym
from hierarchy.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierarchy.evaluation.predictions import Prediction
    from hierarchy.evaluation.runner import Run
    from hierarchy.evaluation.sets import EvaluationSet
    from hierarchy.relevance import Routing

__all__ = ["SYSTEM_NAMES", "evaluate"]

# Written out, so that help needn't import the systems and numpy with them; a test compares.
SYSTEM_NAMES = tuple(
    "hierarchy expected-gain proportional uniform top-k semantic no-lexicons formula "
    "confident-0.7 confident-0.8 confident-0.9 "
    "bm25 bm25-sentence bm25-128 bm25-512 bm25-page bm25-heading "
    "dense rrf raptor automerge descent head random oracle".split()
)


folder_argument = click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
split_option = click.option("--split", help="Only the questions of this split, such as dev.")


@click.group(
    "eval",
    short_help="Measure what is read, at several budgets.",
    epilog="""\b
Examples:
  hierarchy eval run my-set --budgets 1k,2k,4k --out predictions.jsonl
  hierarchy eval score my-set predictions.jsonl
  hierarchy eval answer my-set --model openai/gpt-5-mini --budgets 4k --out answers.jsonl
  hierarchy eval compare ours.jsonl theirs.jsonl
  hierarchy eval report my-set --predictions predictions.jsonl --out report.md
  hierarchy eval cost 10-K.pdf
  hierarchy eval fit my-set --out weights.npz
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
  hierarchy eval run my-set --budgets 1k,4k --replies my-set/route_replies.jsonl --out routed.jsonl
""",
)
@folder_argument
@click.option("--budgets", metavar="N,N,...", callback=parsed_budgets, required=True, help="In tokens.")
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
@click.option(
    "--replies",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Recorded replies of a model to the routing call, one JSON object a line. The call is charged.",
)
@click.option(
    "--form",
    type=click.Choice(("full", "lean")),
    help="In which form the replies are asked for and charged; lean by default.",
)
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Documents read side by side.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="Predictions go here; a file that is there already is gone on with.",
)
def run(
    folder: Path,
    budgets: tuple[int, ...],
    *,
    split: str | None,
    systems: tuple[str, ...],
    replies: Path | None,
    form: str | None,
    jobs: int,
    out: Path,
) -> int:
    """Let systems read for every question of the set in DIR, and write what they would read.

    With --replies, the library's own systems are routed by the reply to each case, under a name that ends in "-routed".
    The routing call, prompt and reply, is charged: what they read is that much less. A case without a reply is asked as
    it is.
    """
    from hierarchy.evaluation import runner
    from hierarchy.evaluation.replies import read_replies
    from hierarchy.evaluation.sets import load_set
    from hierarchy.evaluation.systems import systems_named, with_replies

    dataset = load_set(folder, split)
    names = tuple(dict.fromkeys(systems))
    recorded = read_replies(replies) if replies else {}
    made = systems_named(names)
    with console.progress() as progress:
        done = runner.run(
            dataset,
            with_replies(made, recorded, lean=None if form is None else form == "lean") if replies else made,
            budgets,
            out=out,
            split=split,
            jobs=jobs,
            progress=progress,
            command=_command(dataset.name, budgets, split, names, replies, form),
        )
    for note in (*dataset.notes, *done.notes, *(_replied(dataset, recorded) if replies else ())):
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
@limit_option
@click.option("--markdown", is_flag=True, help="Print the table as Markdown.")
def score(folder: Path, files: tuple[Path, ...], *, split: str | None, limit: int | None, markdown: bool) -> int:
    """Judge PREDICTIONS against the evidence of the set in DIR: per system and budget, with 95 % intervals.

    Where they hold answers, these are judged too, and what they took is told. Give the --limit that the run was given;
    without it, what wasn't asked counts as not found.
    """
    from hierarchy.evaluation import answers, bills, figures
    from hierarchy.evaluation import report as tables
    from hierarchy.evaluation.predictions import read_predictions
    from hierarchy.evaluation.sets import load_set

    dataset = load_set(folder, split, limit)
    wanted = {case.id for case in dataset.cases}
    predictions: list[Prediction] = [one for file in files for one in read_predictions(file) if one.id in wanted]
    if not predictions:
        raise InputError("None of the predictions is about a question of this set and split.", "Check DIR and --split.")
    shown = [
        (tables.HEADER, *tables.rows(figures.score(dataset, predictions))),
        tables.answer_rows(answers.answer_figures(dataset, predictions)),
        tables.bill_rows(bills.bill_figures(dataset, predictions)),
    ]
    for number, (header, *rows) in enumerate(table for table in shown if len(table) > 1):
        click.echo("\n" if number else "", nl=False)
        show_rows(header, rows, markdown=markdown)
    show_notes(dataset, [prediction.system for prediction in predictions])
    return Exit.DONE


def _replied(dataset: EvaluationSet, replies: Mapping[str, Routing]) -> tuple[str, ...]:
    """How many cases have a reply."""
    found = sum(case.id in replies for case in dataset.cases)
    note = f"{found:,} of {len(dataset.cases):,} cases have a reply to route by"
    without = len(dataset.cases) - found
    return (f"{note}; the other {without:,} are asked as they are, and charged nothing.",) if without else (f"{note}.",)


def _command(
    set_name: str,
    budgets: tuple[int, ...],
    split: str | None,
    systems: tuple[str, ...],
    replies: Path | None,
    form: str | None,
) -> list[str]:
    """The command as anyone could give it: without what concerns this machine alone."""
    words = ["hierarchy", "eval", "run", set_name, "--budgets", ",".join(map(str, budgets))]
    words += ["--split", split] if split else []
    words += ["--replies", replies.name] if replies else []
    words += ["--form", form] if form else []
    return words + [word for system in systems for word in ("--system", system)]


def _summary(done: Run) -> str:
    kept = f", {done.kept:,} were there already" if done.kept else ""
    return f"{done.written:,} predictions written to {done.out}{kept}; {done.timings.total_s:,.1f} s of CPU."


for command in (answer, compare, misses, report, cost, fit, gym):
    evaluate.add_command(command)
