"""The commands under `trace`: look at what a saved question did, compare it, do it again, prove it, share it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit, exit_code
from hierarchy.cli.given_document import found_document
from hierarchy.cli.options import budget_option, json_option, lexicons_option, prompts_option
from hierarchy.cli.sharing import write
from hierarchy.errors import InputError, StoreError

if TYPE_CHECKING:
    from hierarchy.trace import Trace
    from hierarchy.tree import SummaryTree

__all__ = ["trace"]


class _Traces(click.Group):
    """`trace RUN.jsonl` is `trace show RUN.jsonl`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take what is no command for what is to be shown."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = ["show", *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=_Traces,
    short_help="Show, compare, replay, prove and share what a question did.",
    epilog="""\b
Examples:
  hierarchy ask 10-K.pdf "What was capital expenditure in fiscal 2018?" --trace run.jsonl
  hierarchy trace run.jsonl
  hierarchy trace run.jsonl --html run.html
  hierarchy trace diff run.jsonl other.jsonl
  hierarchy trace replay run.jsonl --budget 4k
  hierarchy trace verify run.jsonl
""",
)
def trace() -> None:
    """See where every token of a question went, from the trace that `ask --trace` wrote.

    `hierarchy trace RUN.jsonl` shows it; see `hierarchy trace show --help` for its options.
    """


F = TypeVar("F", bound=Callable[..., Any])

_file = click.argument("file", metavar="RUN.jsonl", type=click.Path(exists=True, dir_okay=False, path_type=Path))
_document = click.option(
    "--document",
    type=click.Path(),
    help="The document, if it isn't beside the trace or in the current folder under its name.",
)


def _path_option(name: str, text: str) -> Callable[[F], F]:
    return click.option(
        f"--{name}", f"{name}_file", type=click.Path(dir_okay=False, writable=True, path_type=Path), help=text
    )


@trace.command(
    short_help="Show where a saved question's tokens went.",
    epilog="""\b
Examples:
  hierarchy trace run.jsonl
  hierarchy trace run.jsonl --tui
  hierarchy trace run.jsonl --markdown - | less
  hierarchy trace run.jsonl --redact safe.jsonl
  hierarchy trace run.jsonl --otel http://localhost:4318
""",
)
@_file
@click.option("--events", is_flag=True, help="Every event on a line of its own instead.")
@click.option("--tui", is_flag=True, help='Walk through it with the keyboard (extra "tui").')
@_path_option("html", "Write it as one HTML file that needs nothing else.")
@_path_option("svg", "Write the view as a picture.")
@_path_option("markdown", 'Write a report to paste in a review; "-" for standard output.')
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@_path_option("redact", "Write the trace without any text of document, question or models: structure and figures.")
@click.option(
    "--otel",
    "otel_endpoint",
    is_flag=False,
    flag_value="",
    metavar="[URL]",
    help='Send it to an OpenTelemetry collector over OTLP/HTTP (extra "otel"); without URL, to the one in '
    "OTEL_EXPORTER_OTLP_ENDPOINT.",
)
@click.option("--content", is_flag=True, help="With --otel: prompts, replies and quotes, too.")
@_document
def show(file: Path, document: str | None, as_json: bool, events: bool, tui: bool, **shared: Any) -> int:
    """Show a trace that `ask --trace` wrote: what was granted, read, handed back and spent, and on what.

    Needs the trace alone; the explorer and HTML show the document's text besides, if it is at hand. Of a trace that
    was cut off they show what is there.
    """
    from hierarchy import viewer
    from hierarchy.cli import sharing

    _check_one_wish(tui=tui, events=events, json=as_json, written=sharing.is_asked(shared))
    if shared["content"] and shared["otel_endpoint"] is None:
        raise click.UsageError("--content goes with --otel: it says what is sent.")
    text = _text_of(file)
    read, damage = _read(text, file)
    _warn_of_changes(text, damage)
    if sharing.is_asked(shared):
        sharing.share(read, file, document, **shared)
    elif tui:
        sharing.explore(read, file, document)
    elif as_json:
        click.echo(sharing.json_text(read))
    else:
        tree = found_document(read, document, file) if document else None
        console.show(viewer.events_view(read) if events else viewer.trace_view(read, tree=tree))
    if damage:
        raise damage
    return Exit.DONE


@trace.command(
    short_help="What two runs read differently, and what that did to the answer.",
    epilog="""\b
Examples:
  hierarchy trace diff small.jsonl large.jsonl
  hierarchy trace diff small.jsonl large.jsonl --json
""",
)
@click.argument("first", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("second", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def diff(first: Path, second: Path, as_json: bool) -> int:
    """Compare two traces: what each read that the other didn't, what it cost, and how the answers differ."""
    from hierarchy.comparing import compared
    from hierarchy.viewer.diffs import diff_view

    comparison = compared(_read(_text_of(first), first)[0], _read(_text_of(second), second)[0])
    if as_json:
        console.show_json(comparison.to_dict())
    else:
        console.show(diff_view(comparison, names=(first.stem, second.stem)))
    return Exit.DONE


@trace.command(
    short_help="Do a run again from its recorded replies, at another budget if you like.",
    epilog="""\b
Examples:
  hierarchy trace replay run.jsonl --budget 4k
  hierarchy trace replay run.jsonl --budget 16k --save larger.jsonl
""",
)
@_file
@budget_option(None)
@_path_option("save", "Write the trace of the replay.")
@_document
@prompts_option
@lexicons_option
@json_option
def replay(
    *,
    file: Path,
    budget: str | None,
    save_file: Path | None,
    document: str | None,
    prompts: Path | None,
    lexicons: tuple[Path, ...],
    as_json: bool,
) -> int:
    """Ask a trace's question again with the replies that it holds. No model is called.

    As long as its replies are known, this is the run at that budget. Says which calls would be new.
    """
    from hierarchy import viewer
    from hierarchy.replaying import replay as replayed
    from hierarchy.viewer.verdicts import new_calls_view

    read, _ = _read(_text_of(file), file)
    tree = _required(read, document, file)
    again = replayed(read, tree.document, budget=budget, prompts=prompts, lexicons=lexicons)
    if again.error is not None and again.answer is None:
        raise again.error
    if save_file:
        write(save_file, again.trace.to_jsonl(), source=file)
    told = again.to_dict()
    if as_json:
        console.show_json(told)
        if again.error is not None:
            return exit_code(again.error)  # The error is told in what was printed.
    else:
        console.show(viewer.trace_view(again.trace))
        console.show(new_calls_view(told["new_calls"], again.known, anew=_built_in(read)))
    if again.error is not None:
        raise again.error
    return Exit.NO_ANSWER if again.answer is not None and again.answer.abstained else Exit.DONE


@trace.command(
    short_help="Check that a trace is unchanged and that its books are right.",
    epilog="""\b
Examples:
  hierarchy trace verify run.jsonl
  hierarchy trace verify run.jsonl --document 10-K.pdf --json
""",
)
@_file
@_document
@prompts_option
@lexicons_option
@json_option
def verify(*, file: Path, document: str | None, prompts: Path | None, lexicons: tuple[Path, ...], as_json: bool) -> int:
    """Check that no byte of a trace was changed and that its books are right.

    Every reservation, bill and grant is reckoned again, against the budget. With the document, what was read and
    quoted is looked up in it, and the run is done again with the replies on record.

    Ends with exit code 6 if anything is wrong. What can't be checked is said.
    """
    from hierarchy.verifying import verified
    from hierarchy.viewer.verdicts import verdict_view

    text = _text_of(file)
    read, _ = _read(text, file)
    if document:
        _check_words(read)
    tree = found_document(read, document, file)
    verdict = verified(text, tree.document if tree else None, prompts=prompts, lexicons=lexicons).to_dict()
    if as_json:
        console.show_json(verdict)
    else:
        console.show(verdict_view(verdict))
        if tree is None:
            console.show_note(
                "The document isn't beside the trace or in the current folder. Say where it is: --document."
            )
    return Exit.DONE if verdict["holds"] else Exit.STORE


# -- files -------------------------------------------------------------------------------------------------------------


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}.", "Give a file that `ask --trace` wrote.") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{file} is no trace: it isn't text.", "Traces are what `ask --trace` writes.") from error


def _read(text: str, file: Path) -> tuple[Trace, StoreError | None]:
    """The trace; if only its last line is damaged, all before it, and what is wrong. Errors name the file."""
    from hierarchy.trace import Trace

    if not text.strip():
        raise StoreError(f"{file} is empty.", "Traces are what `ask --trace` writes: ask the question again.")
    try:
        return Trace.from_jsonl(text), None
    except StoreError as error:
        try:
            whole = Trace.from_jsonl(text, partial=True)
        except StoreError as worse:
            raise StoreError(f"{file}: {worse.message}", worse.hint) from worse
        return whole, StoreError(f"{file}: {error.message}", "What stands before it is shown.")


def _check_words(read: Trace) -> None:
    """Refuse what can't be done without the words that a redacted trace lacks."""
    from hierarchy.redaction import is_redacted

    if is_redacted(read):
        message = "The trace is redacted: it holds no replies, and nothing that its document is known by."
        raise InputError(message, "Take the trace that it was made from.")


def _check_one_wish(**wishes: bool) -> None:
    """Refuse to do one of several things that were asked for, and say nothing of the others."""
    if sum(wishes.values()) > 1:
        raise click.UsageError("Choose one: --tui, --events, --json, or what is to be written or sent.")


def _built_in(read: Trace) -> bool:
    """Whether the built-in model answered, which a replay asks anew."""
    from hierarchy.events import Started

    return any(started.model == "extractive" for started in read.of(Started))


def _warn_of_changes(text: str, damage: StoreError | None) -> None:
    """Say if a trace isn't as it was written; one of version 1 can't tell."""
    from hierarchy.trace import HEADER, broken_line

    line = broken_line(text) if text.startswith(HEADER) and damage is None else None
    if line is not None:
        console.show_note(f"Line {line:,} isn't as it was written: see `hierarchy trace verify`.")


def _required(read: Trace, document: str | None, file: Path) -> SummaryTree:
    from hierarchy.events import Started

    _check_words(read)
    tree = found_document(read, document, file)
    if tree is None:
        name = read.of(Started)[0].document if read.of(Started) else "its document"
        raise InputError(f"{name} isn't beside the trace or in the current folder.", "Say where it is: --document.")
    return tree
