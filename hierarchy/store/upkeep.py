"""Looking a store over, making room in it, and taking things out of it.

What goes first: trees before completions, since a tree is built again for nothing and a reply has to be paid for again;
among equals what was used longest ago. Functions over an open connection; when to call them is `Store`'s to say.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from hierarchy.store.place import FAILURES
from hierarchy.store.records import COLUMNS, KINDS, Entry, as_text, checksum

__all__ = [
    "EMPTY_BYTES",
    "Damage",
    "Doomed",
    "Findings",
    "Removed",
    "bytes_used",
    "entries",
    "findings",
    "make_room",
    "remove",
    "taken",
]

# What a write may take out to make room for itself, so that none of them takes long.
_EVICTED_PER_WRITE = 64
_PAGES_PER_WRITE = 256
# What a row takes beside its content: key, numbers, checksum, its places in two indexes.
_ROW_BYTES = 200
# Content above this goes to pages of its own.
_PAGE_BYTES = 4_096
# What tables and indexes take without a row, and what they may grow by with one.
EMPTY_BYTES = 50_000
_GROWTH_BYTES = 4 * _PAGE_BYTES

_SIZE = {
    "completions": "length(text) + length(model) + length(stage)",
    "trees": "length(data) + length(name)",
    "margins": "length(key)",
}
_NAME = {"completions": "model", "trees": "name", "margins": "key"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A row that isn't what was written.

    Attributes:
        kind: `completions`, `trees` or `margins`.
        key: What it is found by, as far as it can be read.
        what: What is wrong with it.
        row: Its number in the table.
    """

    kind: str
    key: str
    what: str
    row: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What looking over a whole store found.

    Attributes:
        entries: How many rows were looked at, by kind.
        damaged: Rows that aren't what was written; `prune --damaged` removes them.
        problems: What is wrong with the file itself, in SQLite's words.
    """

    entries: tuple[tuple[str, int], ...]
    damaged: tuple[Damage, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.damaged or self.problems)


@dataclass(frozen=True, slots=True, kw_only=True)
class Doomed:
    """A row chosen to be removed."""

    kind: str
    row: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What pruning removed, or would.

    Attributes:
        entries: How many rows of each kind.
        freed_bytes: What their content took.
    """

    entries: tuple[tuple[str, int], ...] = ()
    freed_bytes: int = 0

    @property
    def total(self) -> int:
        """How many rows in all."""
        return sum(number for _, number in self.entries)

    @classmethod
    def of(cls, doomed: Sequence[Doomed]) -> Removed:
        """What removing these comes to."""
        counted = ((kind, sum(each.kind == kind for each in doomed)) for kind in KINDS)
        return cls(
            entries=tuple((kind, number) for kind, number in counted if number),
            freed_bytes=sum(each.size_bytes for each in doomed),
        )


def entries(connection: sqlite3.Connection, kind: str) -> Iterator[Entry]:
    """Everything of a kind, last used first."""
    stage = "stage" if kind == "completions" else "x''"
    rows = connection.execute(
        f"SELECT key, {_NAME[kind]}, {stage}, {_SIZE[kind]}, created, used FROM {kind} ORDER BY used DESC, rowid DESC"
    )
    for key, name, what, size, created, used in rows:
        shown = " · ".join(filter(None, (as_text(what), as_text(name))))
        yield Entry(kind=kind, key=as_text(key), name=shown, size_bytes=size, created=created, used=used)


def taken(size_bytes: int) -> int:
    """What content of that size takes of the file."""
    if size_bytes + _ROW_BYTES < _PAGE_BYTES:
        return size_bytes + _ROW_BYTES
    return -(-size_bytes // (_PAGE_BYTES - 4)) * _PAGE_BYTES + _ROW_BYTES


def bytes_used(connection: sqlite3.Connection) -> int:
    """What the file holds, free pages left out."""
    pages, free, size = _pages(connection)
    return (pages - free) * size


def _pages(connection: sqlite3.Connection) -> tuple[int, int, int]:
    names = ("page_count", "freelist_count", "page_size")
    pages, free, size = (int(connection.execute(f"PRAGMA {name}").fetchone()[0]) for name in names)
    return pages, free, size


# -- damage ----------------------------------------------------------------------------------------------------------


def findings(connection: sqlite3.Connection) -> Findings:
    """Read everything there is, and compare it with its seals."""
    problems: list[str] = []
    damaged: list[Damage] = []
    counts: list[tuple[str, int]] = []
    try:
        told = [str(line) for (line,) in connection.execute("PRAGMA integrity_check(20)")]
        problems += [line for line in told if line != "ok"]
    except FAILURES as error:
        problems.append(str(error))
    for kind in KINDS:
        rows = 0
        try:
            for row, key in _keys(connection, kind):
                rows += 1
                if what := _what_is_wrong(connection, kind, row):
                    damaged.append(Damage(kind=kind, key=as_text(key), what=what, row=row))
        except FAILURES as error:
            problems.append(f"{kind}: after {rows:,} rows: {error}")
        counts.append((kind, rows))
    return Findings(entries=tuple(counts), damaged=tuple(damaged), problems=tuple(dict.fromkeys(problems)))


def _keys(connection: sqlite3.Connection, kind: str) -> Iterator[tuple[int, object]]:
    """Rows by number: the table itself, not an index that may say otherwise."""
    last = -(2**63)
    while found := connection.execute(
        f"SELECT rowid, key FROM {kind} NOT INDEXED WHERE rowid > ? ORDER BY rowid LIMIT 500", (last,)
    ).fetchall():
        yield from found
        last = found[-1][0]


def _what_is_wrong(connection: sqlite3.Connection, kind: str, row: int) -> str:
    columns = ", ".join(COLUMNS[kind])
    try:
        values = connection.execute(
            f"SELECT {columns}, checksum FROM {kind} NOT INDEXED WHERE rowid = ?", (row,)
        ).fetchone()
    except FAILURES as error:
        return str(error)
    if values is None:
        return "it can't be found"
    return "" if checksum(kind, values[:-1]) == values[-1] else "its checksum doesn't fit"


# -- removal ---------------------------------------------------------------------------------------------------------


def of_damage(found: Findings, kind: str | None) -> Iterator[Doomed]:
    """The rows that were found damaged; what they hold can't be told."""
    for damage in found.damaged:
        if kind in (None, damage.kind):
            yield Doomed(kind=damage.kind, row=damage.row, size_bytes=0)


def older(connection: sqlite3.Connection, kinds: Sequence[str], before: float) -> Iterator[Doomed]:
    """Rows that weren't used since."""
    for kind in kinds:
        for row, size in connection.execute(f"SELECT rowid, {_SIZE[kind]} FROM {kind} WHERE used < ?", (before,)):
            yield Doomed(kind=kind, row=row, size_bytes=size or 0)


def first_to_go(connection: sqlite3.Connection, kinds: Sequence[str], most: int = -1) -> Iterator[Doomed]:
    """All of the kinds, or the first so many of each, in the order in which it goes; margins, being small, last."""
    for kind in sorted(kinds, key=("trees", "completions", "margins").index):
        found = connection.execute(f"SELECT rowid, {_SIZE[kind]} FROM {kind} ORDER BY used, rowid LIMIT ?", (most,))
        for row, size in found.fetchall():
            yield Doomed(kind=kind, row=row, size_bytes=size or 0)


def down_to(
    connection: sqlite3.Connection, kinds: Sequence[str], most: int, going: Collection[Doomed]
) -> Iterator[Doomed]:
    """What else has to go until the rest takes no more than `most`, as far as sizes of rows tell."""
    left = bytes_used(connection) - sum(taken(each.size_bytes) for each in going)
    for each in first_to_go(connection, kinds):
        if left <= most:
            return
        if each not in going:
            left -= taken(each.size_bytes)
            yield each


def remove(connection: sqlite3.Connection, doomed: Sequence[Doomed]) -> None:
    """Take rows out."""
    for kind in KINDS:
        connection.executemany(
            f"DELETE FROM {kind} WHERE rowid = ?", [(each.row,) for each in doomed if each.kind == kind]
        )


def make_room(connection: sqlite3.Connection, size_bytes: int, most: int, kinds: Sequence[str]) -> bool:
    """Take out what goes first until content of a size fits into `most`.

    Bounded work: at most `_EVICTED_PER_WRITE` rows, so that a store whose bound was lowered shrinks with the next few
    writes rather than hold one of them up.

    Returns:
        Whether they fit now.
    """
    needed = taken(size_bytes) + _GROWTH_BYTES
    if bytes_used(connection) + needed > most:
        for each in itertools.islice(first_to_go(connection, kinds, _EVICTED_PER_WRITE), _EVICTED_PER_WRITE):
            remove(connection, [each])
            if bytes_used(connection) + needed <= most:
                break
    pages, free, size = _pages(connection)
    for _ in range(min(free, _PAGES_PER_WRITE, max(0, pages - most // size))):
        connection.execute("PRAGMA incremental_vacuum(1)")  # Python stops it after one page, whatever it is asked for.
    return bytes_used(connection) + needed <= most
