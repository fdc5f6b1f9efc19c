"""What an exit code says, and how errors are shown: one readable block, never a traceback that nobody asked for.

Errors go to standard error; with `--json` to standard output as `{"error": {"kind", "message", "hint"}}`, so that who
reads the output learns of them in the same way.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import click

from hierarchy.cli import console
from hierarchy.errors import BudgetError, HierarchyError, InputError, Interrupted, ModelError, StoreError

__all__ = ["Commands", "Exit", "exit_code"]


class Exit(IntEnum):
    """Why the process ended."""

    DONE = 0
    NO_ANSWER = 1
    USAGE = 2
    INPUT = 3
    BUDGET = 4
    MODEL = 5
    STORE = 6
    DEFECT = 70  # As in sysexits.h.
    INTERRUPTED = 130  # As shells have it: 128 + SIGINT.
    PIPE_CLOSED = 141  # 128 + SIGPIPE; nobody is left to tell.


_CODES: tuple[tuple[type[HierarchyError], Exit], ...] = (
    (InputError, Exit.INPUT),
    (BudgetError, Exit.BUDGET),
    (ModelError, Exit.MODEL),
    (StoreError, Exit.STORE),
    (Interrupted, Exit.INTERRUPTED),
)


def exit_code(error: HierarchyError) -> Exit:
    """The code of an error raised on purpose."""
    return next((code for kind, code in _CODES if isinstance(error, kind)), Exit.DEFECT)


class Commands(click.Group):
    """The top-level group: runs a command, and turns however it ended into an exit code and a message."""

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,  # noqa: ARG002 - it is `hierarchy` however it was started
        complete_var: str | None = None,
        standalone_mode: bool = True,  # noqa: ARG002 - click's, which is never asked: its exit codes collide with ours
        **extra: Any,
    ) -> Any:
        """Run a command and exit."""
        args = list(sys.argv[1:] if args is None else args)
        options = args[: args.index("--")] if "--" in args else args
        as_json = "--json" in options
        debug = "--debug" in options or os.environ.get("HIERARCHY_DEBUG", "0") not in ("", "0")
        console.prepare_streams()
        try:
            sys.exit(super().main(args, "hierarchy", complete_var, False, **extra) or Exit.DONE)
        except Exception as error:
            if debug and not isinstance(error, click.ClickException | click.Abort):
                raise
            sys.exit(_shown(error, as_json))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; a reader that went away ends it silently."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            console.abandon_stdout()
            ctx.exit(Exit.PIPE_CLOSED)
        return result


def _shown(error: Exception, as_json: bool) -> Exit:
    """Show an error where it belongs; returns its code."""
    if isinstance(error, HierarchyError):
        notes = getattr(error, "__notes__", [])
        console.show_error(type(error).__name__, " ".join([error.message, *notes]), error.hint, as_json=as_json)
        return exit_code(error)
    if isinstance(error, click.Abort):
        console.show_error("Interrupted", "Interrupted.", "", as_json=as_json)
        return Exit.INTERRUPTED
    if isinstance(error, click.ClickException):
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx:
            hint = f"See `{error.ctx.command_path} --help`."
        console.show_error(type(error).__name__, error.format_message(), hint, as_json=as_json)
        return Exit.USAGE
    console.show_error(
        type(error).__name__,
        f"A defect of hierarchy, not of your input: {type(error).__name__}: {error}",
        "Please report it, with what HIERARCHY_DEBUG=1 shows.",
        as_json=as_json,
    )
    return Exit.DEFECT
