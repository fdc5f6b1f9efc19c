"""The commands `store` (list, verify, prune) and `index`: what is kept from one question to the next."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import click

from hierarchy.cli import console
from hierarchy.cli.exits import Exit, exit_code
from hierarchy.cli.options import SEMANTIC_HELP, json_option
from hierarchy.errors import InputError, StoreError

if TYPE_CHECKING:
    from hierarchy.document import Document
    from hierarchy.store import Entry, Findings, Removed, Store
    from hierarchy.tree import SummaryTree

__all__ = ["index", "store", "store_option"]

# Of each kind; more is for programs, or for `less` after all.
_LISTED = 20
# Written out, so that help needn't import the store and numpy with it; a test compares.
KIND_NAMES = ("completions", "trees", "margins")
_ONE = MappingProxyType({"completions": "completion", "trees": "tree", "margins": "margin"})

_SECONDS = MappingProxyType({"m": 60, "h": 3_600, "d": 86_400, "w": 604_800})
_BYTES = MappingProxyType({"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12})
_NUMBER = r"([0-9]{1,12}(?:\.[0-9]{1,6})?)\s*"


def _parsed_age(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    found = re.fullmatch(_NUMBER + "([mhdw])", value.strip(), re.IGNORECASE)
    if not found:
        message = f"{value!r} is no age. Write it as 12h, 30d or 8w."
        raise click.BadParameter(message, ctx=ctx, param=param)
    return float(Decimal(found[1]) * _SECONDS[found[2].lower()])


def _parsed_size(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    if value is None:
        return None
    found = re.fullmatch(_NUMBER + "([kmgt]?)b?", value.strip(), re.IGNORECASE)
    if not found:
        message = f"{value!r} is no size. Write it as 500kB, 100MB or 2GB."
        raise click.BadParameter(message, ctx=ctx, param=param)
    return int(Decimal(found[1]) * _BYTES[found[2].lower()])


store_option = click.option(
    "--store",
    "store_file",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The store; without it HIERARCHY_STORE, or the one in your cache folder.",
)


@click.group(
    short_help="List, verify and prune what is kept.",
    epilog="""\b
Examples:
  hierarchy store list
  hierarchy store verify
  hierarchy store prune --older-than 30d
""",
)
def store() -> None:
    """Look after what is kept from one question to the next.

    That is replies of models (so that nothing is paid for twice), the trees of documents, and how much higher than
    hierarchy each model counts. It is a file of your own; nobody else reads it, and it keeps within its size by itself.
    """


@store.command(
    "list",
    short_help="Tell what is kept.",
    epilog="""\b
Examples:
  hierarchy store list
  hierarchy store list --json
  hierarchy store list --store project.sqlite
""",
)
@store_option
@json_option
def list_kept(store_file: Path | None, as_json: bool) -> int:
    """Tell what the store keeps, what was used last first."""
    with _opened(store_file, quiet=as_json) as opened:
        entries = opened.entries() if opened else ()
        used, path = (opened.bytes_used, opened.path) if opened else (0, _path(store_file))
    if as_json:
        console.show_json(_as_record(path, used, entries))
    elif opened:
        _show_entries(path, used, entries)
    return Exit.DONE


@store.command(
    short_help="Look for damage.",
    epilog="""\b
Examples:
  hierarchy store verify
  hierarchy store verify --store project.sqlite
""",
)
@store_option
def verify(store_file: Path | None) -> int:
    """Read everything in the store and compare it with its checksums. Changes nothing."""
    with _opened(store_file) as opened:
        if not opened:
            return Exit.DONE
        found, path = opened.verify(), opened.path
    if found.sound:
        console.show_text(f"{path}\n{_counted(found.entries)}; all sound.")
        return Exit.DONE
    _show_damage(found)
    raise StoreError(
        f"The store {path} is damaged: {len(found.damaged):,} of {sum(n for _, n in found.entries):,} entries"
        + (", and the file itself." if found.problems else "."),
        f"`hierarchy store prune --damaged --store {shlex.quote(str(path))}` removes what is damaged and makes the "
        "indexes anew; if there is damage after that, move the file away.",
    )


@store.command(
    short_help="Remove what isn't needed.",
    epilog="""\b
Examples:
  hierarchy store prune --older-than 30d
  hierarchy store prune --to-size 100MB --yes
  hierarchy store prune --kind trees --all
  hierarchy store prune --damaged
""",
)
@click.option("--older-than", metavar="AGE", callback=_parsed_age, help="What wasn't used for so long: 12h, 30d, 8w.")
@click.option(
    "--to-size",
    metavar="SIZE",
    callback=_parsed_size,
    help="Down to this size, such as 100MB: first trees, which cost nothing, then replies, the longest unused first.",
)
@click.option("--kind", type=click.Choice(KIND_NAMES), help="Only this kind.")
@click.option("--damaged", is_flag=True, help="What `store verify` finds damaged.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--yes", "-y", is_flag=True, help="Don't ask first.")
@store_option
def prune(
    *,
    older_than: float | None,
    to_size: int | None,
    kind: str | None,
    damaged: bool,
    everything: bool,
    yes: bool,
    store_file: Path | None,
) -> int:
    """Remove what one of the options names. It is gone for good: its room is overwritten and given back.

    Replies that are gone have to be paid for again when they are next needed.
    """
    if not (damaged or everything or older_than is not None or to_size is not None):
        raise click.UsageError("Say what to remove: --older-than, --to-size, --damaged or --all.")
    with _opened(store_file) as opened:
        if not opened:
            return Exit.DONE

        def pruned(*, dry_run: bool) -> Removed:
            return opened.prune(
                older_than=older_than, to_bytes=to_size, kind=kind, damaged=damaged, all=everything, dry_run=dry_run
            )

        planned = pruned(dry_run=True)
        if planned.total and not yes and not _is_agreed(planned, opened.path):
            console.show_note("Nothing was removed.")
            return Exit.DONE
        removed = pruned(dry_run=False) if planned.total or damaged else planned
        console.show_text(f"Removed {_told(removed)}." if removed.total else "There is nothing to remove.")
    return Exit.DONE


@click.command(
    short_help="Read documents ahead of questions.",
    epilog="""\b
Examples:
  hierarchy index 10-K.pdf
  hierarchy index reports/*.pdf --store project.sqlite
""",
)
@click.argument("documents", metavar="DOCUMENT...", nargs=-1, required=True, type=click.Path(allow_dash=True))
@click.option("--semantic", is_flag=True, help=f"Also keep what questions with --semantic need. {SEMANTIC_HELP}")
@store_option
def index(documents: tuple[str, ...], *, semantic: bool, store_file: Path | None) -> int:
    """Read each DOCUMENT and keep its tree in the store, so that questions about it start at once. Costs no tokens.

    Tells what was kept; of what was there already it says nothing. A folder or a pattern is kept as one document, as it
    is asked.
    """
    ended: int = Exit.DONE
    with _store_at(store_file) as opened:
        for document in documents:
            try:
                _index_one(document, opened, semantic=semantic)
            except InputError as error:  # the others can be read all the same
                console.show_error(type(error).__name__, error.message, error.hint, as_json=False)
                ended = ended or exit_code(error)
    return ended


def _index_one(document: str, opened: Store, *, semantic: bool) -> None:
    from hierarchy.loaders import load
    from hierarchy.planner import outline
    from hierarchy.shelf import with_vectors
    from hierarchy.store import kept_outline
    from hierarchy.tokens import count_tokens

    new: list[SummaryTree] = []
    with console.progress() as progress:

        def build(loaded: Document) -> SummaryTree:
            new.append(outline(loaded, count_tokens, progress))
            return new[0]

        def add(tree: SummaryTree) -> bool:
            missing = semantic and with_vectors(tree, progress)
            new.extend([tree] if missing else [])
            return missing

        read = partial(load, progress=progress)
        tree, kept = kept_outline(opened, document, count_tokens, load=read, build=build, add=add)
    if kept:
        console.show_text(f"Kept {document}: {tree.tokens:,} tokens in {len(tree.leaves):,} sentences and rows.")
    elif new:
        console.show_note(f"{document} wasn't kept: the store has no room for it, or it changed while it was read.")


# -- the store to work on --------------------------------------------------------------------------------------------


def _path(store_file: Path | None) -> Path:
    from hierarchy.store import default_path

    return store_file.expanduser() if store_file else default_path()


@contextmanager
def _store_at(store_file: Path | None) -> Iterator[Store]:
    """The store, which is made if it isn't there."""
    from hierarchy.store import Store

    with Store.open(_path(store_file)) as opened:
        yield opened


@contextmanager
def _opened(store_file: Path | None, *, quiet: bool = False) -> Iterator[Store | None]:
    """The store; None, and a note, where none was made yet. One that was named has to be there."""
    path = _path(store_file)
    if path.exists() or path.is_symlink():
        with _store_at(path) as opened:
            yield opened
    elif store_file:
        raise InputError(f"There is no store at {path}.", "`hierarchy index` or a question makes one.")
    else:
        if not quiet:
            console.show_note(f"Nothing is kept yet: there is no store at {path}.")
        yield None


# -- what is shown ---------------------------------------------------------------------------------------------------


def _as_record(path: Path, used: int, entries: tuple[Entry, ...]) -> dict[str, object]:
    columns = ("kind", "key", "name", "size_bytes", "created", "used")
    return {
        "path": str(path),
        "bytes_used": used,
        "entries": [{column: getattr(entry, column) for column in columns} for entry in entries],
    }


def _show_entries(path: Path, used: int, entries: tuple[Entry, ...]) -> None:
    console.show_text(f"{path}\n{_counted(_numbers(entries))} · {_size(used)}")
    if not entries:
        return
    rows, left = [], 0
    for kind in KIND_NAMES:
        ours = [entry for entry in entries if entry.kind == kind]
        rows += [(_ONE[kind], entry.name, _size(entry.size_bytes), _date(entry.used)) for entry in ours[:_LISTED]]
        left += max(0, len(ours) - _LISTED)
    console.show_text("")
    _show_table(("kind", "what", "size", "last used"), rows, numbers=(2,))
    if left:
        console.show_note(f"… and {left:,} more; --json tells all.")


def _show_damage(found: Findings) -> None:
    rows = [(_ONE[each.kind], each.key, each.what) for each in found.damaged[:_LISTED]]
    rows += [("file", "", problem) for problem in found.problems[:_LISTED]]
    _show_table(("kind", "key", "what is wrong"), rows)
    left = len(found.damaged) + len(found.problems) - len(rows)
    if left:
        console.show_note(f"… and {left:,} more.")


def _show_table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]], numbers: tuple[int, ...] = ()) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    from hierarchy.viewer.text import one_line

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    cells = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(heads, *cells, strict=True)]
    # Rich would make every column narrower: here the names in the second give way to the rest.
    others = sum(widths) - widths[1] + 2 * (len(heads) - 1)
    room = max(12, shutil.get_terminal_size().columns - others)
    for number, head in enumerate(heads):
        told = head == "what is wrong"
        table.add_column(
            head,
            justify="right" if number in numbers else "left",
            overflow="fold" if told else "ellipsis",
            no_wrap=not told,
            max_width=room if number == 1 else None,
        )
    for row in cells:
        table.add_row(*map(Text, row))
    console.show(table)


def _is_agreed(planned: Removed, path: Path) -> bool:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody is there to agree; add --yes to remove it all the same.")
    return click.confirm(f"Remove {_told(planned)} from {path}?", err=True)


def _told(removed: Removed) -> str:
    size = f" ({_size(removed.freed_bytes)})" if removed.freed_bytes else ""
    return _counted(removed.entries) + size


def _numbers(entries: tuple[Entry, ...]) -> tuple[tuple[str, int], ...]:
    return tuple((kind, sum(entry.kind == kind for entry in entries)) for kind in KIND_NAMES)


def _counted(numbers: tuple[tuple[str, int], ...]) -> str:
    told = [f"{number:,} {_ONE[kind] if number == 1 else kind}" for kind, number in numbers if number]
    return ", ".join(told) or "nothing"


def _size(size_bytes: int) -> str:
    """A size as people write it, in three figures or so."""
    size, unit = float(size_bytes), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 999.5:
            break
        size, unit = size / 1_000, larger
    return f"{size:.1f} {unit}" if size < 9.95 and unit != "B" else f"{size:,.0f} {unit}"


def _date(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    except (ValueError, OverflowError, OSError, TypeError):  # a damaged row, which `verify` tells of
        return "?"
