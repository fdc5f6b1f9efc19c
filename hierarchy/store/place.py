"""Where a store lies, how its file comes to be, and how what is wrong with it is said.

A store is made in a draft beside its place and then linked there, whole, so that **a store's file is never empty and
never half made**, whoever else begins it at the same moment and whenever one of them is killed. What else is found at
the path is left alone: it may be somebody's work, or what is left of a store that was paid for.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from hierarchy.errors import StoreError

__all__ = [
    "APPLICATION_ID",
    "BUSY_S",
    "FAILURES",
    "SCHEMA",
    "SCHEMA_VERSION",
    "check",
    "create",
    "default_path",
    "trouble",
]

APPLICATION_ID = 0x48524359  # "HRCY"
SCHEMA_VERSION = 1
BUSY_S = 15.0
"""How long a process waits while another one writes."""

FAILURES = (sqlite3.Error, UnicodeDecodeError)
"""What sqlite3 raises; the latter where it can't even read out what is damaged."""

SCHEMA = """
CREATE TABLE completions (
    key BLOB NOT NULL UNIQUE, model BLOB NOT NULL, stage BLOB NOT NULL, text BLOB NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL, calls INTEGER NOT NULL, cost_usd REAL,
    created REAL NOT NULL, used REAL NOT NULL, checksum BLOB NOT NULL
);
CREATE TABLE trees (
    key BLOB NOT NULL UNIQUE, name BLOB NOT NULL, tokens INTEGER NOT NULL, data BLOB NOT NULL,
    created REAL NOT NULL, used REAL NOT NULL, checksum BLOB NOT NULL
);
CREATE TABLE margins (
    key BLOB NOT NULL UNIQUE, ratio REAL NOT NULL, observations INTEGER NOT NULL, overhead_tokens INTEGER NOT NULL,
    created REAL NOT NULL, used REAL NOT NULL, checksum BLOB NOT NULL
);
CREATE INDEX completions_by_use ON completions (used);
CREATE INDEX trees_by_use ON trees (used);
"""

_MAGIC = b"SQLite format 3\x00"
_HEADER_BYTES = 100
_ELSEWHERE = "or use another store (--store, HIERARCHY_STORE)."


def default_path(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """Where the store lies unless somebody says otherwise.

    `HIERARCHY_STORE` names the file; else it is `hierarchy/store.sqlite` in `XDG_CACHE_HOME`, or where the platform
    keeps what can be made again.

    Raises:
        StoreError: There is no home directory to put it in.
    """
    if named := environment.get("HIERARCHY_STORE"):
        return Path(named).expanduser()
    try:
        return _cache(environment, platform) / "hierarchy" / "store.sqlite"
    except RuntimeError as error:
        raise StoreError(
            "There is no home directory to keep a store in.", "Name its file in HIERARCHY_STORE."
        ) from error


def _cache(environment: Mapping[str, str], platform: str) -> Path:
    folder = environment.get("XDG_CACHE_HOME", "")
    if Path(folder).is_absolute():  # the specification has relative ones ignored
        return Path(folder)
    if platform == "win32":
        local = environment.get("LOCALAPPDATA")
        return Path(local) if local else Path.home() / "AppData" / "Local"
    return Path.home() / "Library" / "Caches" if platform == "darwin" else Path.home() / ".cache"


def create(path: Path) -> None:
    """Make an empty store, readable to its owner alone, unless another process is faster.

    Raises:
        StoreError: It can't be made there, or the journal of another store lies there.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_no_orphan(path)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".new", dir=path.parent)  # mode 0600
    except OSError as error:
        raise StoreError(f"A store can't be made at {path}: {error.strerror}.", f"Mend that, {_ELSEWHERE}") from error
    os.close(handle)
    draft = Path(name)
    try:
        _fill(draft)
        _publish(draft, path)
    except sqlite3.Error as error:
        raise trouble(path, error) from error
    except OSError as error:
        raise StoreError(f"A store can't be made at {path}: {error.strerror}.", f"Mend that, {_ELSEWHERE}") from error
    finally:
        draft.unlink(missing_ok=True)


def _fill(draft: Path) -> None:
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.executescript(f"BEGIN; {SCHEMA} COMMIT;")
        connection.execute("PRAGMA journal_mode = WAL").fetchall()
    finally:
        connection.close()  # the last one to leave writes the journal back and removes it


def _publish(draft: Path, path: Path) -> None:
    """Give the draft its name; who comes second leaves the first one's alone."""
    with suppress(FileExistsError):
        try:
            os.link(draft, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if not path.exists():
                draft.rename(path)
    with suppress(OSError):  # Windows opens no folders
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def _check_no_orphan(path: Path) -> None:
    """A journal without its store would be played into the new one, and ruin it."""
    journal = path.with_name(f"{path.name}-wal")
    if journal.exists() and not path.exists():
        raise StoreError(
            f"{journal} is the journal of a store that isn't there any more.",
            "Put the store back beside it, or move the journal away.",
        )


def check(path: Path) -> None:
    """Look at what lies at the path, without opening it as a database: that alone would change some.

    Raises:
        StoreError: It is no store, or a newer version's.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            kind = "a folder" if path.is_dir() else "no regular file"
            raise StoreError(f"{path} is {kind}, not a store.", f"Name a file, {_ELSEWHERE}")
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError as error:
        hint = f"Change its permissions, {_ELSEWHERE}"
        raise StoreError(f"The store {path} can't be read: {error.strerror}.", hint) from error
    if not header:
        raise StoreError(f"{path} is empty, which a store never is: what it held is lost.", _away(path))
    if not header.startswith(_MAGIC):
        raise StoreError(f"{path} is no store: it isn't a SQLite database.", _away(path))
    if len(header) < _HEADER_BYTES:
        raise StoreError(f"The store {path} is damaged: it ends after {len(header)} bytes.", _away(path))
    if int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise StoreError(f"{path} is a SQLite database, but no store of hierarchy.", f"Leave it, {_ELSEWHERE}")
    check_version(path, int.from_bytes(header[60:64], "big", signed=True))


def check_version(path: Path, version: int) -> None:
    """Refuse a store that this version can't read."""
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"The store {path} is of version {version}; this hierarchy reads {SCHEMA_VERSION}.",
            f"Update hierarchy, {_ELSEWHERE}",
        )
    if version < 1:
        raise StoreError(f"The store {path} is damaged: there is no version {version}.", _away(path))


def trouble(path: Path, error: sqlite3.Error | UnicodeDecodeError) -> StoreError:
    """What SQLite complains of, in words and with a remedy."""
    code = sqlite3.SQLITE_CORRUPT if isinstance(error, UnicodeDecodeError) else getattr(error, "sqlite_errorcode", 0)
    told = {
        sqlite3.SQLITE_BUSY: (
            f"is busy: another process has been writing to it for {BUSY_S:g} s.",
            f"Try again when that one is done, {_ELSEWHERE}",
        ),
        sqlite3.SQLITE_READONLY: ("may not be written to.", f"Change its permissions and its folder's, {_ELSEWHERE}"),
        sqlite3.SQLITE_FULL: ("can't grow: the disk is full.", f"Make room, `hierarchy store prune`, {_ELSEWHERE}"),
        sqlite3.SQLITE_IOERR: (f"can't be read or written: {error}.", f"Check its disk and quota, {_ELSEWHERE}"),
        sqlite3.SQLITE_CANTOPEN: (
            "can't be opened, or not the files that belong beside it.",
            f"Change its permissions and its folder's, {_ELSEWHERE}",
        ),
        sqlite3.SQLITE_CORRUPT: (f"is damaged: {error}.", f"{verify_command(path)} says where. {_away(path)}"),
        sqlite3.SQLITE_NOTADB: (f"is damaged: {error}.", _away(path)),
    }
    told[sqlite3.SQLITE_ERROR] = told[sqlite3.SQLITE_NOTADB]  # Our statements are right, so its tables aren't.
    told[sqlite3.SQLITE_LOCKED] = told[sqlite3.SQLITE_BUSY]
    told[sqlite3.SQLITE_PERM] = told[sqlite3.SQLITE_READONLY]
    message, hint = told.get(code & 0xFF, (f"can't be used: {error}.", f"{verify_command(path)} may say more."))
    return StoreError(f"The store {path} {message}", hint)


def verify_command(path: Path) -> str:
    """The command that looks for damage."""
    return f"`hierarchy store verify --store {path}`"


def _away(path: Path) -> str:
    return f"Move it away, with {path.name}-wal and {path.name}-shm if they are there; a new one is then begun."
