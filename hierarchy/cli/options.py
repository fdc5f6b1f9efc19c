"""What several commands take: documents, budgets, where to write the trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

import click

from hierarchy.errors import InputError, StoreError

if TYPE_CHECKING:
    from hierarchy.events import Event

__all__ = [
    "POLICY_NAMES",
    "budget_option",
    "checked_question",
    "document_argument",
    "json_option",
    "policy_option",
    "prompts_option",
    "question_argument",
    "quiet_option",
    "saving_trace",
    "trace_option",
]

F = TypeVar("F", bound=Callable[..., Any])

# Written out, so that help needn't import the allocator and numpy with it; a test compares.
POLICY_NAMES = ("expected_gain", "proportional", "uniform", "top_k")


def checked_budget(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A budget as people write it; refused at once if it is none, turned into tokens when the document is known."""
    from hierarchy.budget import Budget

    try:
        Budget.parse(value, document_tokens=10**30)
    except InputError as error:
        raise click.BadParameter(f"{error.message} {error.hint}", ctx=ctx, param=param) from error
    return value


def checked_question(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """A question that asks something."""
    if value is not None and not value.strip():
        raise click.BadParameter("It is empty.", ctx=ctx, param=param)
    return value


# Exists or not is for the loader to say: it may be a pattern, a folder or "-". The type completes file names.
document_argument = click.argument("document", type=click.Path(allow_dash=True))
question_argument = click.argument("question", callback=checked_question)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON and nothing else; errors too.")
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Print the answer's text alone, and no progress.")
prompts_option = click.option(
    "--prompts",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of templates that replace those of the same name.",
)
policy_option = click.option(
    "--policy",
    type=click.Choice(POLICY_NAMES),
    default="expected_gain",
    show_default=True,
    help="How the budget is divided over the document.",
)
trace_option = click.option(
    "--trace",
    "trace_file",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    help="Write every step to this file, as it happens; `hierarchy trace` shows it.",
)


def budget_option(default: str) -> Callable[[F], F]:
    """The budget of a command, with its own default."""
    return click.option(
        "--budget",
        "-b",
        metavar="BUDGET",
        callback=checked_budget,
        default=default,
        show_default=True,
        help="Tokens to spend at most: 8000, 8k, 1.5k, or 5% of the document.",
    )


@contextmanager
def saving_trace(path: Path | None) -> Iterator[Callable[[Event], None] | None]:
    """What writes events to a file as they come, so that a run that is killed leaves a trace of all before.

    The file is begun with the first event: an attempt that fails before it doesn't cost an earlier trace.
    """
    if path is None:
        yield None
        return
    if not path.parent.is_dir():
        raise click.BadParameter(f"There is no folder {str(path.parent)!r}.", param_hint="'--trace'")
    with ExitStack() as stack:
        yield _writer(path, stack)


def _writer(path: Path, stack: ExitStack) -> Callable[[Event], None]:
    from hierarchy.trace import HEADER, event_line

    opened: list[TextIO] = []

    def write(event: Event) -> None:
        try:
            if not opened:
                opened.append(stack.enter_context(path.open("w", encoding="utf-8", newline="\n")))
                opened[0].write(HEADER + "\n")
            opened[0].write(event_line(event) + "\n")
            opened[0].flush()
        except OSError as error:
            hint = "Choose another place for it."
            raise StoreError(f"The trace can't be written to {path}: {error.strerror}.", hint) from error

    return write
