"""The store itself: what a session puts in and takes out."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hierarchy.errors import InputError, StoreError
from hierarchy.margins import Margin
from hierarchy.store import upkeep
from hierarchy.store.database import Database
from hierarchy.store.place import default_path, verify_command
from hierarchy.store.records import (
    COLUMNS,
    KINDS,
    Completion,
    Entry,
    as_bytes,
    as_text,
    checksum,
    completion_of,
    values_of,
)
from hierarchy.store.trees import packed, unpacked
from hierarchy.store.upkeep import Doomed, Findings, Removed
from hierarchy.tokens import Counter, count_tokens
from hierarchy.tree import SummaryTree

__all__ = ["DEFAULT_BYTES", "LEAST_BYTES", "Store"]

DEFAULT_BYTES = 500_000_000
LEAST_BYTES = 250_000
"""A store smaller than this has room for little beside its own tables."""

_BULK = ("trees", "completions")  # What takes the room; a margin is a few numbers.

# So many notes of what was read are written at once if nothing else is written meanwhile.
_MOST_TOUCHED = 1_000


class Store:
    """Trees, completions and margins in a SQLite file, safe to share between threads and processes.

    **A completion is on the disk when `keep_completion` returns**, whatever happens to the process afterwards; a row
    that isn't what was written is never returned; nothing that is found at the path is ever overwritten. The file is
    its owner's alone to read, since documents are in it.

    The store keeps within `max_bytes` by letting go of what was used longest ago, trees before completions.

    Open one with `open`; it closes at the end of a `with`.

    Example:
        >>> import tempfile
        >>> from hierarchy.budget import Usage
        >>> folder = tempfile.TemporaryDirectory()
        >>> paid = Completion(key="k1", model="a/b", stage="compose", text="3 May.", usage=Usage(output_tokens=4))
        >>> with Store.open(Path(folder.name) / "store.sqlite") as store:
        ...     store.keep_completion(paid)
        ...     store.completion("k1") == paid, store.completion("k2")
        (True, None)
        >>> folder.cleanup()
    """

    def __init__(self, database: Database, max_bytes: int, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._touched: dict[tuple[str, bytes], float] = {}
        self.max_bytes = max_bytes

    @classmethod
    def open(
        cls,
        path: str | Path | None = None,
        *,
        max_bytes: int = DEFAULT_BYTES,
        clock: Callable[[], float] = time.time,
    ) -> Self:
        """Open a store; make one where there is none.

        Args:
            path: Of its file; None for `default_path()`.
            max_bytes: The most that it may hold.
            clock: Tells the time, in seconds since 1970.

        Raises:
            StoreError: What is there is no store, is damaged, or a newer version's; or none can be made.
            InputError: `max_bytes` is less than `LEAST_BYTES`.
        """
        if not max_bytes >= LEAST_BYTES:
            raise InputError(f"max_bytes is {max_bytes!r}.", f"A store needs {LEAST_BYTES:,} bytes or more.")
        return cls(Database(default_path() if path is None else Path(path).expanduser()), max_bytes, clock)

    @property
    def path(self) -> Path:
        """Its file."""
        return self._database.path

    def close(self) -> None:
        """Close it. Once is enough, more does no harm."""
        if not self._database.closed:
            try:
                self._note_touched()
            except StoreError:
                self._touched.clear()  # Only what was used last is lost, which decides nothing but what goes first.
        self._database.close()

    def __enter__(self) -> Self:
        """The store."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    # -- completions -----------------------------------------------------------------------------------------------

    def completion(self, key: str) -> Completion | None:
        """The reply to a request, if it was kept.

        Raises:
            StoreError: It is damaged, or the store can't be read.
        """
        values = self._row("completions", key)
        return None if values is None else completion_of(values)

    def keep_completion(self, completion: Completion) -> None:
        """Keep a reply that was paid for. **It is on the disk when this returns.** An earlier one by its key goes.

        Raises:
            StoreError: It can't be written, or is larger than the whole store may be.
        """
        values = values_of(completion, self._clock())
        size = sum(len(value) for value in values if isinstance(value, bytes))
        if upkeep.taken(size) > self.max_bytes - upkeep.EMPTY_BYTES:
            raise StoreError(
                f"A reply of {size:,} bytes doesn't fit the store, which may hold {self.max_bytes:,}.",
                "Allow it more (max_bytes).",
            )
        with self._database.writing() as connection:
            self._write_touched(connection)
            upkeep.make_room(connection, size, self.max_bytes, _BULK)
            self._put(connection, "completions", values)

    # -- trees -----------------------------------------------------------------------------------------------------

    def tree(self, key: str, count: Counter = count_tokens) -> SummaryTree | None:
        """The tree of a document, if it was kept.

        Args:
            key: From `file_key` or `tree_key`.
            count: The counter that the key was made with.

        Raises:
            StoreError: It is damaged, or the store can't be read.
        """
        values = self._row("trees", key)
        return None if values is None else unpacked(values[COLUMNS["trees"].index("data")], count)

    def keep_tree(self, key: str, tree: SummaryTree) -> bool:
        """Keep a tree with its document.

        Returns:
            Whether it was kept. Trees make room for each other, but not at the cost of what was paid for.

        Raises:
            StoreError: It can't be written.
        """
        data, name = packed(tree), as_bytes(tree.document.name)
        with self._database.writing() as connection:
            self._write_touched(connection)
            size = len(data) + len(name)
            if not self._worth_it(connection, size):
                return False
            if not upkeep.make_room(connection, size, self.max_bytes, ("trees",)):
                return False
            self._put(connection, "trees", (as_bytes(key), name, tree.tokens, data, self._clock()))
        return True

    def _worth_it(self, connection: sqlite3.Connection, size: int) -> bool:
        """Whether a tree would fit if all others went; if not, none of them has to."""
        others = sum(upkeep.taken(each.size_bytes) for each in upkeep.first_to_go(connection, ("trees",)))
        return upkeep.bytes_used(connection) - others + upkeep.taken(size) <= self.max_bytes

    # -- margins ---------------------------------------------------------------------------------------------------

    def margin(self, model: str) -> Margin | None:
        """What was learnt of how a model's provider counts, if anything.

        Raises:
            StoreError: It is damaged, or the store can't be read.
        """
        values = self._row("margins", model)
        return None if values is None else Margin(values[1], values[2], overhead_tokens=values[3])

    def keep_margin(self, model: str, margin: Margin) -> None:
        """Keep what was learnt, together with what other processes have kept meanwhile (`Margin.joined`).

        Raises:
            StoreError: It can't be written, or what was kept before is damaged.
        """
        with self._database.writing() as connection:
            known = self._sealed(connection, "margins", as_bytes(model))
            if known is not None:
                margin = margin.joined(Margin(known[1], known[2], overhead_tokens=known[3]))
            numbers = (margin.ratio, margin.observations, margin.overhead_tokens)
            self._put(connection, "margins", (as_bytes(model), *numbers, self._clock()))

    # -- upkeep ----------------------------------------------------------------------------------------------------

    def entries(self) -> tuple[Entry, ...]:
        """Everything that is kept, by kind, last used first. Contents aren't read, so damage doesn't show."""
        self._note_touched()
        with self._database.reading() as connection:
            return tuple(entry for kind in KINDS for entry in upkeep.entries(connection, kind))

    @property
    def bytes_used(self) -> int:
        """What it takes of `max_bytes`."""
        with self._database.reading() as connection:
            return upkeep.bytes_used(connection)

    def verify(self) -> Findings:
        """Read everything and compare it with its checksums; takes seconds for a large store.

        Raises:
            StoreError: The store can't be read at all.
        """
        with self._database.reading() as connection:
            return upkeep.findings(connection)

    def prune(
        self,
        *,
        older_than: float | None = None,
        to_bytes: int | None = None,
        kind: str | None = None,
        damaged: bool = False,
        all: bool = False,  # noqa: A002 - as it is said
        dry_run: bool = False,
    ) -> Removed:
        """Take things out, for good: freed pages are overwritten, and the file shrinks.

        What any of the conditions applies to goes.

        Args:
            older_than: What wasn't used for so many seconds.
            to_bytes: What goes first, until the store takes no more than this.
            kind: Only `completions`, `trees` or `margins`; without it, the first two, and of `all` and `damaged` all
                three.
            damaged: Rows that `verify` finds damaged.
            all: Everything.
            dry_run: Only tell what would go; to get down to a size it may be a little more.

        Raises:
            InputError: No condition was given, or there is no such kind.
            StoreError: It can't be written.
        """
        if not (all or damaged or older_than is not None or to_bytes is not None):
            raise InputError("Nothing says what to prune.", "Give older_than, to_bytes, damaged or all.")
        if kind is not None and kind not in KINDS:
            raise InputError(f"There is no kind {kind!r}.", f"There are {', '.join(KINDS)}.")
        self._note_touched()
        with self._database.reading() as connection:
            doomed = self._doomed(connection, older_than, to_bytes, kind, damaged=damaged, everything=all)
        if not dry_run and (doomed or damaged):
            self._remove(doomed, mend=damaged)
            if to_bytes is not None:
                doomed += self._removed_down_to(to_bytes, kind)
        return Removed.of(doomed)

    def _doomed(
        self,
        connection: sqlite3.Connection,
        older_than: float | None,
        to_bytes: int | None,
        kind: str | None,
        *,
        damaged: bool,
        everything: bool,
    ) -> tuple[Doomed, ...]:
        kinds = (kind,) if kind else _BULK
        chosen: list[Doomed] = []
        if damaged:
            chosen += upkeep.of_damage(upkeep.findings(connection), kind)
        if everything:
            chosen += upkeep.first_to_go(connection, (kind,) if kind else KINDS)
        if older_than is not None:
            chosen += upkeep.older(connection, kinds, self._clock() - older_than)
        if to_bytes is not None:
            chosen += upkeep.down_to(connection, kinds, to_bytes, frozenset(chosen))
        return tuple({(each.kind, each.row): each for each in chosen}.values())

    def _removed_down_to(self, to_bytes: int, kind: str | None) -> tuple[Doomed, ...]:
        """Remove what still has to go: a page isn't free as long as one small row in it stays."""
        removed: tuple[Doomed, ...] = ()
        while True:
            with self._database.reading() as connection:
                more = tuple(upkeep.down_to(connection, (kind,) if kind else _BULK, to_bytes, ()))
            if not more:
                return removed
            self._remove(more, mend=False)
            removed += more

    def _remove(self, doomed: Sequence[Doomed], *, mend: bool) -> None:
        """Remove rows, give their room back, and leave no copy in the journal."""
        with self._database.reading() as connection:
            connection.execute("PRAGMA secure_delete = ON").fetchall()
        try:
            with self._database.writing() as connection:
                upkeep.remove(connection, doomed)
                if mend:
                    connection.execute("REINDEX")
            with self._database.reading() as connection:
                connection.executescript("PRAGMA incremental_vacuum")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            with self._database.reading() as connection:
                connection.execute("PRAGMA secure_delete = OFF").fetchall()

    # -- rows ------------------------------------------------------------------------------------------------------

    def _row(self, kind: str, key: str) -> tuple[Any, ...] | None:
        """The sealed values of a row, and a note that it was used."""
        with self._database.reading() as connection:
            values = self._sealed(connection, kind, as_bytes(key))
            if values is not None:
                self._touched[kind, as_bytes(key)] = self._clock()
        if len(self._touched) >= _MOST_TOUCHED:
            self._note_touched()
        return values

    def _sealed(self, connection: sqlite3.Connection, kind: str, key: bytes) -> tuple[Any, ...] | None:
        columns = ", ".join(COLUMNS[kind])
        row = connection.execute(f"SELECT {columns}, checksum FROM {kind} WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if row[-1] != checksum(kind, row[:-1]):
            raise StoreError(
                f"The store {self.path} is damaged: {kind}, {as_text(key)}: its checksum doesn't fit.",
                f"{verify_command(self.path)} says what else is; `hierarchy store prune --damaged --store {self.path}` "
                "removes it.",
            )
        return tuple(row[:-1])

    def _put(self, connection: sqlite3.Connection, kind: str, values: tuple[object, ...]) -> None:
        columns = (*COLUMNS[kind], "used", "checksum")
        marks = ", ".join("?" * len(columns))
        connection.execute(
            f"INSERT OR REPLACE INTO {kind} ({', '.join(columns)}) VALUES ({marks})",
            (*values, values[-1], checksum(kind, values)),
        )

    def _note_touched(self) -> None:
        if self._touched:
            with self._database.writing() as connection:
                self._write_touched(connection)

    def _write_touched(self, connection: sqlite3.Connection) -> None:
        """Note what was used since the last write: with it, so that reading alone costs no wait for the disk."""
        while self._touched:
            (kind, key), used = self._touched.popitem()
            connection.execute(f"UPDATE {kind} SET used = max(used, ?) WHERE key = ?", (used, key))
