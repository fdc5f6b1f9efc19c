"""The command `eval fit`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from hierarchy.cli import console
from hierarchy.cli.arena import show_rows
from hierarchy.cli.exits import Exit
from hierarchy.errors import InputError

__all__ = ["fit"]


def _parsed_budgets(ctx: click.Context, param: click.Parameter, value: str) -> tuple[int, ...]:
    from hierarchy.budget import Budget

    try:
        return tuple(sorted({Budget.parse(part).total_tokens for part in value.split(",")}))
    except InputError as error:
        message = f"{error.message} Write them as 1000,2000,4000 or 1k,2k,4k."
        raise click.BadParameter(message, ctx=ctx, param=param) from error


@click.command(
    short_help="Learn relevance from questions with evidence.",
    epilog="""\b
Examples:
  hierarchy eval fit my-set --out weights.npz
  hierarchy eval fit reports trials minutes --split dev --leave-out --out weights.npz
  hierarchy eval fit reports contracts --replies --out weights.npz
""",
)
@click.argument(
    "folders",
    nargs=-1,
    required=True,
    metavar="DIR...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--split", help="Only the questions of this split, such as dev.")
@click.option("--folds", type=click.IntRange(min=2), default=5, show_default=True, help="Parts to cross-validate by.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Of sampling and growing.")
@click.option("--rounds", type=click.IntRange(min=1), default=330, show_default=True, help="How many trees to grow.")
@click.option(
    "--budgets",
    metavar="N,N,...",
    callback=_parsed_budgets,
    default="500,1000,2000,4000,8000",
    show_default=True,
    help="In tokens, for the table.",
)
@click.option(
    "--replies", is_flag=True, help="Also learn from the recorded replies to routing in each DIR/route_replies.jsonl."
)
@click.option("--leave-out", is_flag=True, help="Also grow weights without each set, and tell what they find in it.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="The weights go here.",
)
def fit(
    folders: tuple[Path, ...],
    *,
    split: str | None,
    folds: int,
    seed: int,
    rounds: int,
    budgets: tuple[int, ...],
    replies: bool,
    leave_out: bool,
    markdown: bool,
    out: Path,
) -> int:
    """Learn relevance from the sets in DIR..., and tell how often it finds what it did not learn from.

    Each question is estimated by weights grown without its document, its company's filings or its article. Beside that
    table stands how reliable the probabilities are. Equal data, seed and versions give equal weights. Needs the extra
    "fit".

    With --replies, questions to which a model's reply to the routing call is on record are learned from as they are and
    routed, and told apart in the table; the routing call is charged.
    """
    # Set before numpy is imported: several threads of linear algebra only wait for each other here.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from hierarchy.evaluation import crossfit
    from hierarchy.evaluation import fit as fitting
    from hierarchy.evaluation.replies import FILE_NAME, read_replies
    from hierarchy.evaluation.sets import load_set

    datasets = [load_set(folder, split) for folder in folders]
    names = [dataset.name for dataset in datasets]
    if len(set(names)) < len(names):
        raise InputError("Two of the sets have the same name.", "Give folders of different names, each once.")
    paths = {dataset.name: dataset.folder / FILE_NAME for dataset in datasets} if replies else {}
    recorded = {name: read_replies(path) for name, path in paths.items() if path.is_file()}
    if replies and not recorded:
        raise InputError("None of the sets has recorded replies.", f"They stand in {FILE_NAME}, beside cases.jsonl.")
    with console.progress() as progress:
        given = tuple(fitting.described(datasets, progress, recorded))
        settings = {"folds": folds, "seed": seed, "rounds": rounds}
        command = _command(names, split, out.name, settings, replies=replies)
        fitted = fitting.fit_examples(given, **settings, command=command, progress=progress)
        apart = crossfit.grown_apart(given, **settings, progress=progress) if leave_out else {}
        boards = {
            dataset.name: crossfit.cross_validated(
                dataset,
                fitted,
                budgets,
                apart=apart.get(dataset.name),
                progress=progress,
                replies=recorded.get(dataset.name),
            )
            for dataset in datasets
            if dataset.scored
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    fitted.forest.save(out)
    header, *rows = crossfit.answerable_rows(boards)
    show_rows(header, rows, markdown=markdown)
    click.echo()
    show_rows(crossfit.RELIABILITY_HEADER, crossfit.reliability_rows(fitted), markdown=markdown)
    for dataset in datasets:
        for note in dataset.notes:
            console.show_note(f"Note: {note}")
    routed = sum(bool(example.form) for example in given)
    also = f", {routed:,} times routed," if routed else ""
    console.show_note(f"Weights learned from {len(given) - routed:,} questions{also} written to {out}.")
    return Exit.DONE


def _command(names: list[str], split: str | None, out: str, settings: dict[str, int], *, replies: bool) -> str:
    """The command as anyone could give it, to stand in the weights: folders by name, defaults left out."""
    usual = {option.name: option.default for option in fit.params}
    words = ["hierarchy", "eval", "fit", *names, *(["--split", split] if split else [])]
    for name, value in settings.items():
        words += [f"--{name}", str(value)] if value != usual[name] else []
    words += ["--replies"] if replies else []
    return " ".join([*words, "--out", out])
