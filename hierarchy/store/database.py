"""A connection to a store's file, shared by the threads of a process: transactions in, `StoreError`s out.

One connection and a lock, not one per thread: SQLite has one writer at a time anyway, and threads of a pool come and go
without anybody to close what they opened. A process that was forked off opens its own, since the file locks of an
inherited one aren't its.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock

from hierarchy.errors import StoreError
from hierarchy.store.place import BUSY_S, FAILURES, check, check_version, create, trouble

__all__ = ["Database"]

_JOURNAL_BYTES = 4_000_000  # what is left of the journal after it was written back


class Database:
    """An open store file.

    **What was written is on the disk when `writing` ends without an error, and isn't there at all if it raises.**

    Args:
        path: Of the file, which is made if there is none.

    Raises:
        StoreError: It can't be made or opened, or isn't a store that this version reads.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._inherited: list[sqlite3.Connection] = []
        if not os.path.lexists(path):
            create(path)
        self._open()

    def _open(self) -> None:
        check(self.path)
        self._process = os.getpid()
        self._lock = RLock()
        self._connection: sqlite3.Connection | None = None
        self._connection = self._connected()
        status = self.path.stat()
        self._file = (status.st_dev, status.st_ino)

    def _connected(self) -> sqlite3.Connection:
        connection = None
        try:
            connection = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",  # never makes a file
                uri=True,
                timeout=BUSY_S,
                isolation_level=None,
                check_same_thread=False,
            )
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA trusted_schema = OFF")
            connection.execute("PRAGMA cell_size_check = ON")
            connection.execute(f"PRAGMA journal_size_limit = {_JOURNAL_BYTES}").fetchall()
            check_version(self.path, int(connection.execute("PRAGMA user_version").fetchone()[0]))
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        except (*FAILURES, StoreError) as error:
            if connection:
                connection.close()
            if isinstance(error, StoreError):
                raise
            raise trouble(self.path, error) from error
        return connection

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """The connection, for questions."""
        if self._process != os.getpid():
            # Never closed here: that would remove the journal from under the parent.
            self._inherited.append(self._open_connection())
            self._open()
        with self._lock:
            try:
                yield self._open_connection()
            except FAILURES as error:
                raise trouble(self.path, error) from error

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """The connection within a transaction of its own, which takes place as a whole or not at all."""
        with self.reading() as connection:
            self._check_in_place()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):  # what went wrong before is what matters
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                raise

    def close(self) -> None:
        """Close it; once is enough."""
        if self._process != os.getpid():
            return
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._connection is None

    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreError(f"The store {self.path} was closed.", "Open it again.")
        return self._connection

    def _check_in_place(self) -> None:
        """Writing to a file that was removed or replaced would look well and keep nothing."""
        try:
            status = self.path.stat()
        except OSError:
            status = None
        if status is None or (status.st_dev, status.st_ino) != self._file:
            raise StoreError(f"The store {self.path} was moved, removed or replaced while in use.", "Open it again.")
