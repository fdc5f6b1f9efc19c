"""The command `eval answer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierarchy.cli import console
from hierarchy.cli.arena import limit_option, parsed_budgets
from hierarchy.cli.exits import Exit
from hierarchy.cli.options import model_options, reasoner_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hierarchy.evaluation.answering import Answered

__all__ = ["answer"]

_positive = click.FloatRange(min=0, min_open=True)


@click.command(
    short_help="Have a model answer every question.",
    epilog="""\b
Examples:
  hierarchy eval answer my-set --budgets 2k --out answers.jsonl
  hierarchy eval answer my-set --model openai/gpt-5-mini --budgets 2k,8k --limit 50 --max-cost 2 --out mini.jsonl
  hierarchy eval answer my-set --model qwen3 --api-base http://localhost:8000/v1 --jobs 8 --budgets 4k --out qwen.jsonl
  hierarchy eval score my-set answers.jsonl
""",
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--budgets", metavar="N,N,...", callback=parsed_budgets, required=True, help="Tokens a question may cost."
)
@click.option("--split", help="Only the questions of this split, such as dev.")
@limit_option
@model_options
@click.option("--jobs", type=click.IntRange(min=1), default=1, show_default=True, help="Questions under way at once.")
@click.option("--max-cost", "run_cost_usd", type=_positive, metavar="USD", help="Cap on all questions together.")
@click.option(
    "--max-tokens", "run_tokens", type=click.IntRange(min=1), metavar="TOKENS", help="Cap on all questions together."
)
@click.option("--max-seconds", "question_seconds", type=_positive, metavar="SECONDS", help="Cap on each question.")
@click.option(
    "--stop-when-confident",
    type=click.FloatRange(min=0, max=1, min_open=True, max_open=True),
    metavar="CHANCE",
    help="Stop reading once it is so likely that enough was read, such as 0.8.",
)
@click.option("--retry-failed", is_flag=True, help="Ask again what the file says failed.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    required=True,
    help="Answers go here; a file that is there already is gone on with.",
)
def answer(
    folder: Path,
    budgets: tuple[int, ...],
    *,
    split: str | None,
    limit: int | None,
    jobs: int,
    run_cost_usd: float | None,
    run_tokens: int | None,
    question_seconds: float | None,
    stop_when_confident: float | None,
    retry_failed: bool,
    out: Path,
    **options: Any,
) -> int:
    """Have a model answer every question of the set in DIR, and write answers, what was read, and what each cost.

    The file is one that `eval score`, `eval compare` and `eval report` read. Each answer is in it as soon as it came,
    so that a run that was stopped goes on where it was. A question that fails is noted and counts as wrong; a provider
    that turns away the first question, or three in a row, ends the run. Multiple-choice questions are put with their
    choices.

    --max-cost and --max-tokens cap the whole file, earlier runs included: no question is begun whose worst case
    wouldn't fit, and the run then ends with code 4.
    """
    from hierarchy.evaluation.answering import answer_set
    from hierarchy.evaluation.desk import Limits
    from hierarchy.evaluation.sets import load_set

    reasoner = reasoner_of(**options, max_concurrency=max(8, jobs))
    dataset = load_set(folder, split, limit)
    with console.progress() as progress:
        done = answer_set(
            dataset,
            reasoner,
            budgets,
            out=out,
            limits=Limits(
                run_tokens=run_tokens,
                run_cost_usd=run_cost_usd,
                question_seconds=question_seconds,
                stop_when_confident=stop_when_confident,
            ),
            jobs=jobs,
            retry_failed=retry_failed,
            progress=progress,
            command=_command(dataset.name, budgets, split, limit, options),
        )
    for note in (*dataset.notes, *done.notes):
        console.show_note(f"Note: {note}")
    console.show_note(_summary(done))
    return Exit.BUDGET if done.left else Exit.DONE


def _command(
    set_name: str, budgets: tuple[int, ...], split: str | None, limit: int | None, options: Mapping[str, Any]
) -> list[str]:
    """The command as anyone could give it: without what concerns this machine alone."""
    words = ["hierarchy", "eval", "answer", set_name, "--budgets", ",".join(map(str, budgets))]
    words += ["--split", split] if split else []
    words += ["--limit", str(limit)] if limit else []
    for name in ("model", "summary_model"):
        words += [f"--{name.replace('_', '-')}", str(options[name])] if options[name] else []
    return words


def _summary(done: Answered) -> str:
    usage = done.usage
    kept = f", {done.kept:,} were there already" if done.kept else ""
    cost = f" for ${usage.cost_usd:,.4f}" if usage.cost_usd else ""
    left = f" The cap leaves no room for {done.left:,} more: raise it and run again." if done.left else ""
    return f"{done.written:,} answers written to {done.out}{kept}; {usage.total_tokens:,} tokens{cost}.{left}"
