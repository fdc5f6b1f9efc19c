"""What outlives a process: replies that were paid for, trees, and margins, in one SQLite file.

    store      `Store`: put in, take out, look over, prune
    trees      trees as bytes, and the keys they are found by
    records    what a row is, and its checksum
    upkeep     damage, and what goes first
    database   the connection: threads, processes, transactions
    place      where the file lies, how it comes to be, what is wrong with it

Everything is found by content hashes that the callers make; a key says all that its value depends on, so nothing is
ever out of date. Doesn't know stages, models or the engine.
"""

from __future__ import annotations

from hierarchy.store.place import default_path
from hierarchy.store.records import Completion, Entry
from hierarchy.store.store import DEFAULT_BYTES, LEAST_BYTES, Store
from hierarchy.store.trees import file_key, kept_outline, tree_key
from hierarchy.store.upkeep import Damage, Findings, Removed

__all__ = [
    "DEFAULT_BYTES",
    "LEAST_BYTES",
    "Completion",
    "Damage",
    "Entry",
    "Findings",
    "Removed",
    "Store",
    "default_path",
    "file_key",
    "kept_outline",
    "tree_key",
]
