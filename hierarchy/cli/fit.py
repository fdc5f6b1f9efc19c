"""The command `eval fit`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from hierarchy.cli import console
from hierarchy.cli.arena import parsed_budgets, show_rows
from hierarchy.cli.exits import Exit
from hierarchy.errors import InputError

if TYPE_CHECKING:
    from hierarchy.document import Document
    from hierarchy.evaluation.figures import Scoreboard
    from hierarchy.evaluation.fit import Fitted
    from hierarchy.evaluation.labels import Example
    from hierarchy.evaluation.predictions import Prediction
    from hierarchy.evaluation.sets import EvaluationSet
    from hierarchy.relevance import Forest, Routing
    from hierarchy.tree import SummaryTree

__all__ = ["fit"]

# The features of a routing say nothing of questions as they are, by which ablations are judged.
_ALL, _WHERE_ROUTED, _SEMANTIC = "all", "routing", "semantic"


def _chances(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...]:
    try:
        chances = tuple(sorted({float(part) for part in value.split(",")})) if value else ()
    except ValueError:
        chances = (0.0,)
    if not all(0 < chance < 1 for chance in chances):
        raise click.BadParameter("Write chances between 0 and 1, as 0.7,0.8,0.9.", ctx=ctx, param=param)
    return chances


def _names(_ctx: click.Context, _param: click.Parameter, value: str | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in value.split(",") if name.strip())) if value else ()


@click.command(
    short_help="Learn relevance from questions with evidence.",
    epilog="""\b
Examples:
  hierarchy eval fit my-set --out weights.npz
  hierarchy eval fit reports trials minutes --split dev --leave-out --out weights.npz
  hierarchy eval fit reports contracts --replies --out weights.npz
  hierarchy eval fit reports --ablate numbers,formula+form --out weights.npz
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
@click.option("--rounds", type=click.IntRange(min=1), default=660, show_default=True, help="How many trees to grow.")
@click.option(
    "--budgets",
    metavar="N,N,...",
    callback=parsed_budgets,
    default="500,1000,2000,4000,8000",
    show_default=True,
    help="In tokens, for the table.",
)
@click.option(
    "--replies", is_flag=True, help="Also learn from the recorded replies to routing in each DIR/route_replies.jsonl."
)
@click.option("--leave-out", is_flag=True, help="Also grow weights without each set, and tell what they find in it.")
@click.option(
    "--ablate",
    metavar="GROUP,GROUP,...",
    callback=_names,
    help="Also grow weights without each of these groups of features, and tell what it earns; `all` for each in turn, "
    "with + between them several at once, and with --leave-out on kinds never learned from, too.",
)
@click.option("--semantic", is_flag=True, help='Learn and read by the meaning of passages, too (extra "semantic").')
@click.option(
    "--store",
    "store_file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Where trees and what passages mean are kept for the next time.",
)
@click.option("--no-lexicons", is_flag=True, help="Learn and read without lexicons, to see what they bring.")
@click.option(
    "--stopping",
    metavar="P,P,...",
    callback=_chances,
    help="Also tell what stopping at these chances saves and loses, as 0.7,0.8,0.9.",
)
@click.option(
    "--predictions",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for what is read of each set, by weights that didn't see it: for `eval compare` and `eval report`.",
)
@click.option(
    "--figures",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help='For a diagram of how reliable the probabilities are, as SVG (extra "eval").',
)
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
    ablate: tuple[str, ...],
    semantic: bool,
    store_file: Path | None,
    no_lexicons: bool,
    stopping: tuple[float, ...],
    predictions: Path | None,
    figures: Path | None,
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
    from hierarchy.evaluation import crossfit
    from hierarchy.evaluation import fit as fitting

    _check_drawing(figures)
    groups = _groups(ablate, semantic=semantic)
    datasets, recorded = _inputs(folders, split, replies)
    lexicons = () if no_lexicons else None
    with console.progress() as progress, _keeping(predictions) as keep, _outlining(store_file, semantic) as outlined:
        described = partial(fitting.described, lexicons=lexicons, semantic=semantic, outlined=outlined)
        given = tuple(described(datasets, progress, recorded))
        settings: dict[str, Any] = {"folds": folds, "seed": seed, "rounds": rounds}
        options = _chosen(replies=replies, semantic=semantic, no_lexicons=no_lexicons)
        command = _command([dataset.name for dataset in datasets], split, out.name, settings, options)
        grow: Callable[..., Fitted] = partial(fitting.fit_examples, **settings, progress=progress, semantic=semantic)
        fitted = grow(given, command=command)
        plain = [one for one in given if not one.form]
        grow_apart = partial(crossfit.grown_apart, plain, **settings, progress=progress, semantic=semantic)
        apart = {name: grow_apart(without=some) for name, some in {"": (), **groups}.items()} if leave_out else {}
        without = {name: grow(plain, without=some) for name, some in groups.items()}
        trials = crossfit.Trials(lexicons=lexicons, confident=stopping, keep=keep, without=without, outlined=outlined)
        score = partial(crossfit.cross_validated, fitted=fitted, budgets=budgets, progress=progress, trials=trials)
        boards = {
            dataset.name: score(dataset, apart=_of(dataset, apart), replies=recorded.get(dataset.name))
            for dataset in datasets
            if dataset.scored
        }
    _save(fitted, out, figures)
    _show(boards, fitted, stopping=bool(stopping), ablated=bool(groups), markdown=markdown)
    _tell(datasets, given, out)
    return Exit.DONE


def _of(dataset: EvaluationSet, apart: Mapping[str, Mapping[str, Forest]]) -> Mapping[str, Forest]:
    """The weights that were grown without a set, by what features they do without."""
    return {name: forests[dataset.name] for name, forests in apart.items() if dataset.name in forests}


def _chosen(**options: bool) -> list[str]:
    """Those flags of the command line that were given."""
    return [f"--{name.replace('_', '-')}" for name, is_chosen in options.items() if is_chosen]


def _check_drawing(figures: Path | None) -> None:
    """Before an hour's work, not behind it."""
    from hierarchy.evaluation import curves

    if figures is not None:
        curves.check_drawing()


def _groups(names: tuple[str, ...], *, semantic: bool) -> Mapping[str, tuple[str, ...]]:
    """The features to do without, by the name of their group or groups.

    Raises:
        InputError: There is no such group.
    """
    from hierarchy.relevance.features import GROUPS

    aside = {_WHERE_ROUTED} if semantic else {_WHERE_ROUTED, _SEMANTIC}
    known = {name: tuple(group) for name, group in GROUPS.items() if name not in aside}
    together = {name: [part.strip() for part in name.split("+")] for name in names if name != _ALL}
    if unknown := [part for parts in together.values() for part in parts if part not in known]:
        raise InputError(f"There is no group of features called {unknown[0]!r}.", f"There are: {', '.join(known)}.")
    asked = {name: tuple(feature for part in parts for feature in known[part]) for name, parts in together.items()}
    return known | asked if _ALL in names else asked


def _show(
    boards: Mapping[str, tuple[Scoreboard, ...]], fitted: Fitted, *, stopping: bool, ablated: bool, markdown: bool
) -> None:
    """What is found, what each group of features earns, what stopping saves, and how reliable the probabilities are."""
    from hierarchy.evaluation import crossfit

    trials = [crossfit.ablation_rows(boards)] if ablated else []
    trials += [crossfit.stopping_rows(boards)] if stopping else []
    reliable = (crossfit.RELIABILITY_HEADER, *crossfit.reliability_rows(fitted))
    for header, *rows in (crossfit.answerable_rows(boards), *trials, reliable):
        show_rows(header, rows, markdown=markdown)
        click.echo()


def _save(fitted: Fitted, out: Path, figures: Path | None) -> None:
    """The weights, and if asked for a diagram of how reliable they are."""
    from hierarchy.evaluation import curves

    out.parent.mkdir(parents=True, exist_ok=True)
    fitted.forest.save(out)
    if figures is not None:
        figures.mkdir(parents=True, exist_ok=True)
        drawn = curves.reliability(fitted.reliability, "Reliability of relevance, out of fold")
        (figures / "reliability.svg").write_bytes(drawn)


def _inputs(
    folders: tuple[Path, ...], split: str | None, replies: bool
) -> tuple[list[EvaluationSet], dict[str, Mapping[str, Routing]]]:
    """The sets, and the recorded replies of those that have some."""
    from hierarchy.evaluation.replies import FILE_NAME, read_replies
    from hierarchy.evaluation.sets import load_set

    datasets = [load_set(folder, split) for folder in folders]
    if len({dataset.name for dataset in datasets}) < len(datasets):
        raise InputError("Two of the sets have the same name.", "Give folders of different names, each once.")
    paths = {dataset.name: dataset.folder / FILE_NAME for dataset in datasets} if replies else {}
    recorded = {name: read_replies(path) for name, path in paths.items() if path.is_file()}
    if replies and not recorded:
        raise InputError("None of the sets has recorded replies.", f"They stand in {FILE_NAME}, beside cases.jsonl.")
    return datasets, recorded


@contextmanager
def _keeping(folder: Path | None) -> Iterator[Callable[[str, Prediction], None] | None]:
    """What writes predictions to a file per set, begun anew."""
    if folder is None:
        yield None
        return
    from hierarchy.evaluation.predictions import to_line

    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:

        @cache
        def opened(name: str) -> TextIO:
            return stack.enter_context((folder / f"{name}.jsonl").open("w", encoding="utf-8", newline="\n"))

        def keep(name: str, prediction: Prediction) -> None:
            opened(name).write(to_line(prediction))

        yield keep


@contextmanager
def _outlining(store_file: Path | None, semantic: bool) -> Iterator[Callable[[Document], SummaryTree]]:
    """What makes a document's tree: the planner, or the store, where what passages mean is worked out once.

    Without a store of the user's own one serves for as long as the command takes: each document is read twice.
    """
    from hierarchy.planner import outline
    from hierarchy.shelf import Shelf
    from hierarchy.store import Store
    from hierarchy.tokens import count_tokens

    if not semantic and store_file is None:
        yield outline
        return
    with tempfile.TemporaryDirectory() as folder, Store.open(store_file or Path(folder) / "store.sqlite") as store:
        shelf = Shelf(store, auto=False)
        yield lambda document: shelf.outlined(document, count_tokens, semantic=semantic)


def _tell(datasets: Sequence[EvaluationSet], given: Sequence[Example], out: Path) -> None:
    for dataset in datasets:
        for note in dataset.notes:
            console.show_note(f"Note: {note}")
    routed = sum(bool(example.form) for example in given)
    also = f", {routed:,} times routed," if routed else ""
    console.show_note(f"Weights learned from {len(given) - routed:,} questions{also} written to {out}.")


def _command(names: list[str], split: str | None, out: str, settings: dict[str, int], options: Sequence[str]) -> str:
    """The command as anyone could give it, to stand in the weights: folders by name, defaults left out."""
    usual = {option.name: option.default for option in fit.params}
    words = ["hierarchy", "eval", "fit", *names, *(["--split", split] if split else [])]
    for name, value in settings.items():
        words += [f"--{name}", str(value)] if value != usual[name] else []
    return " ".join([*words, *options, "--out", out])
