"""What `trace show` writes for others: pages, pictures, reports, redacted traces, spans."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hierarchy.cli import console
from hierarchy.cli.given_document import found_document
from hierarchy.errors import InputError

if TYPE_CHECKING:
    from hierarchy.trace import Trace
    from hierarchy.tree import SummaryTree

__all__ = ["explore", "is_asked", "json_text", "share", "write"]

_ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


def is_asked(wanted: dict[str, Any]) -> bool:
    """Whether anything is to be written or sent."""
    return any(value is not None for name, value in wanted.items() if name != "content")


def share(
    trace: Trace,
    file: Path,
    document: str | None,
    *,
    html_file: Path | None,
    svg_file: Path | None,
    markdown_file: Path | None,
    redact_file: Path | None,
    otel_endpoint: str | None,
    content: bool,
) -> None:
    """Write and send what was asked for."""
    from hierarchy import viewer
    from hierarchy.viewer import share_html, share_text

    def at_hand() -> SummaryTree | None:
        return found_document(trace, document, file)

    def redacted() -> str:
        from hierarchy.redaction import redacted

        return redacted(trace).to_jsonl()

    wanted: tuple[tuple[Path | None, Callable[[], str]], ...] = (
        (html_file, lambda: share_html.trace_html(trace, at_hand())),
        (svg_file, lambda: viewer.trace_svg(trace, tree=at_hand() if document else None)),
        (markdown_file, lambda: share_text.trace_markdown(trace)),
        (redact_file, redacted),
    )
    places = [path.absolute() for path, _ in wanted if path is not None]
    twice = next((path for path in places if places.count(path) > 1), None)
    if twice is not None:
        raise InputError(f"{twice.name} is named for two things.", "Give each a file of its own.")
    for path, text in wanted:
        if path is not None:
            write(path, text(), source=file)
    if otel_endpoint is not None:
        _send(trace, otel_endpoint, content=content, ended_at=file.stat().st_mtime)


def _send(trace: Trace, endpoint: str, *, content: bool, ended_at: float) -> None:
    from hierarchy.telemetry import export

    if not (endpoint or os.environ.get(_ENDPOINT) or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")):
        raise InputError("There is nobody to send the trace to.", f"Give a URL after --otel, or set {_ENDPOINT}.")
    sent = export(trace, endpoint=endpoint or None, content=content, ended_at=ended_at)
    console.show_note(f"{sent:,} spans sent.")


def explore(trace: Trace, file: Path, document: str | None) -> None:
    """Walk through a trace on the terminal."""
    from hierarchy.tui import explore as walk

    if not (sys.stdin.isatty() and sys.stderr.isatty()):  # It draws on standard error.
        raise InputError("The explorer needs a terminal.", "Without one, leave out --tui, or write --html.")

    walk(trace, found_document(trace, document, file))


def json_text(trace: Trace) -> str:
    """The trace as one JSON object."""
    from hierarchy.viewer.share_text import trace_json

    return trace_json(trace)


def write(path: Path, text: str, *, source: Path | None = None) -> None:
    """Write a file; `-` is standard output.

    Raises:
        InputError: It can't be written, or is the trace itself.
    """
    if str(path) == "-":
        click.echo(text, nl=not text.endswith("\n"))
        return
    if source is not None and path.exists() and path.samefile(source):
        raise InputError(f"{path} is the trace itself.", "Choose another place for what is made of it.")
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise InputError(f"{path} can't be written: {error.strerror}.", "Choose another place for it.") from error
    console.show_note(f"{path} written.")
