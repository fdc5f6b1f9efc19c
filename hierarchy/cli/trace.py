"""The command `trace`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit
from hierarchy.errors import InputError, StoreError

if TYPE_CHECKING:
    from hierarchy.trace import Trace

__all__ = ["trace"]


@click.command(
    short_help="Show where a saved question's tokens went.",
    epilog="""\b
Examples:
  hierarchy ask 10-K.pdf "What was capital expenditure in fiscal 2018?" --trace trace.jsonl
  hierarchy trace trace.jsonl
  hierarchy trace trace.jsonl --events | less
""",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--events", is_flag=True, help="Every event on a line of its own instead.")
def trace(file: Path, events: bool) -> int:
    """Show a trace that `ask --trace` wrote: what was granted, read, handed back and spent, and on what.

    Needs the trace alone, not the document. Of one that was cut off it shows what is there.
    """
    from hierarchy import viewer

    text = _text_of(file)
    read, damage = _read(text)
    console.show(viewer.events_view(read) if events else viewer.trace_view(read))
    if damage:
        raise damage
    return Exit.DONE


def _text_of(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{file} can't be read: {error.strerror}.", "Give a file that `ask --trace` wrote.") from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{file} is no trace: it isn't text.", "Traces are what `ask --trace` writes.") from error


def _read(text: str) -> tuple[Trace, StoreError | None]:
    """The trace; if only its last line is damaged, all before it, and what is wrong."""
    from hierarchy.trace import Trace

    try:
        return Trace.from_jsonl(text), None
    except StoreError as error:
        whole = Trace.from_jsonl(text, partial=True)
        return whole, StoreError(error.message, "What stands before it is shown.")
