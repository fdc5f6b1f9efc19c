"""The command `tree`."""

from __future__ import annotations

import re

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit
from hierarchy.cli.options import document_argument
from hierarchy.errors import InputError

__all__ = ["tree"]


def _checked_node(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"0(\.[0-9]{1,6})*", value):
        raise click.BadParameter(f"{value!r} isn't a node's id: they begin at 0, such as 0.2.10.", ctx=ctx, param=param)
    return value


@click.command(
    short_help="Show a document's outline; costs nothing.",
    epilog="""\b
Examples:
  hierarchy tree 10-K.pdf
  hierarchy tree 10-K.pdf --node 0.7 --depth 2
  hierarchy tree reports/ --no-summaries
  hierarchy tree 10-K.pdf --json > tree.json
""",
)
@document_argument
@click.option(
    "--depth",
    type=click.IntRange(min=0),
    help="Levels to show, down to sentences and rows; without it, the titled ones that fit a screen or so.",
)
@click.option("--node", metavar="ID", callback=_checked_node, help="Begin at this node, such as 0.7.")
@click.option("--summaries/--no-summaries", default=True, show_default=True, help="A line of what each part says.")
@click.option("--json", "as_json", is_flag=True, help="Print the whole tree with its text as JSON, for programs.")
def tree(document: str, depth: int | None, node: str | None, summaries: bool, as_json: bool) -> int:
    """Show how DOCUMENT is understood: its parts, their pages and lengths. Costs no tokens.

    DOCUMENT is a file, a folder, a quoted pattern such as 'reports/*.pdf', or "-" for standard input.
    """
    from hierarchy.engine import Reasoner

    with console.progress() as progress:
        outline = Reasoner().outline(document, progress=progress)
    if as_json:
        click.echo(outline.to_json())
        return Exit.DONE
    from hierarchy import viewer

    try:
        drawn = viewer.tree_view(outline, node=node, depth=depth, summaries=summaries)
    except InputError as error:
        raise click.BadParameter(f"{error.message} {error.hint}", param_hint="'--node'") from error
    console.show(drawn)
    for note in dict.fromkeys(note for file in outline.files for note in file.notes):
        console.show_note(f"Note: {note}")
    return Exit.DONE
