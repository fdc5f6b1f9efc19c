"""The command `eval gym`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console
from hierarchy.cli.arena import show_rows
from hierarchy.cli.exits import Exit

if TYPE_CHECKING:
    from hierarchy.evaluation.gym import Table

__all__ = ["gym"]


@click.command(
    short_help="Try allocation where the truth is known.",
    epilog="""\b
Examples:
  hierarchy eval gym
  hierarchy eval gym --trees 48 --markdown > gym.md
  hierarchy eval gym --stopping
""",
)
@click.option(
    "--trees", type=click.IntRange(min=1), default=18, show_default=True, help="Large ones; twice as many small ones."
)
@click.option("--leaves", type=click.IntRange(min=100), default=2_000, show_default=True, help="Of each large tree.")
@click.option("--label", type=click.IntRange(min=0), help="What a stretch costs besides its text.  [default: 24]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="For other trees.")
@click.option("--exact", is_flag=True, help="Also the exact knapsack on large trees, where it is slow.")
@click.option("--stopping", is_flag=True, help="Try when to stop reading instead of what to read.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
def gym(trees: int, leaves: int, label: int | None, seed: int, *, exact: bool, stopping: bool, markdown: bool) -> int:
    """Hold allocation policies against each other on made-up trees, where it is known what every reading is worth.

    On small trees each is held against the exact optimum, on large ones against the others. Estimates of relevance are
    perfect, noisy, overconfident or blind; half a dozen forms of evidence take turns.
    """
    from hierarchy.allocator import LABEL_TOKENS

    label_tokens = LABEL_TOKENS if label is None else label
    found = (_stopping if stopping else partial(_policies, exact=exact))(trees, leaves, seed, label_tokens)
    for table in found:
        click.echo(f"{table.title}\n")
        show_rows(table.header, table.rows, markdown=markdown)
        click.echo()
    return Exit.DONE


def _policies(trees: int, leaves: int, seed: int, label_tokens: int, *, exact: bool) -> tuple[Table, ...]:
    from hierarchy.evaluation import gym as trials
    from hierarchy.evaluation.gym_policies import EXACTING, GUARDED, POLICIES

    policies = {**POLICIES, **(EXACTING if exact else {}), **GUARDED}
    with console.progress() as progress:
        per_form = -(-2 * trees // 6)  # as many of each form of evidence
        regrets = trials.run_small(per_form, seed, label_tokens=label_tokens, progress=progress)
        found = trials.run_large(trees, leaves, seed, label_tokens=label_tokens, policies=policies, progress=progress)
    return *trials.regret_tables(regrets), *trials.field_tables(found)


def _stopping(trees: int, leaves: int, seed: int, label_tokens: int) -> tuple[Table, ...]:
    from hierarchy.evaluation.gym_stopping import run_stopping

    with console.progress() as progress:
        return run_stopping(trees, leaves, seed, label_tokens=label_tokens, progress=progress).tables()
