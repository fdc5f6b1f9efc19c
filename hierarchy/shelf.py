"""The shelf: a reasoner's store, opened with its first question, and what sessions know of it.

Doesn't decide what is kept (`session`) or how (`store`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from hierarchy.calls import Outcome
from hierarchy.document import Document
from hierarchy.errors import StoreError
from hierarchy.loaders import load
from hierarchy.margins import Margins
from hierarchy.planner import outline as build_tree
from hierarchy.relevance import tree_index
from hierarchy.relevance.semantic import embedded, has_vectors
from hierarchy.tokens import Counter
from hierarchy.tree import SummaryTree

if TYPE_CHECKING:
    from hierarchy.store import Store

__all__ = ["Shelf", "source_key", "with_vectors"]

Progress = Callable[[int, int, str], None]


@dataclass(slots=True)
class _Journal:
    """A store as a session knows it."""

    store: Store

    def recall(self, key: str) -> Outcome | None:
        with self._by_name():
            found = self.store.completion(key)
        return Outcome(text=found.text, usage=found.usage) if found else None

    def keep(self, key: str, model: str, stage: str, outcome: Outcome) -> None:
        from hierarchy.store import Completion

        assert outcome.usage is not None
        kept = Completion(key=key, model=model, stage=stage, text=outcome.text, usage=outcome.usage)
        with self._by_name():
            self.store.keep_completion(kept)

    @contextmanager
    def _by_name(self) -> Iterator[None]:
        """Call the store by its file's name in what goes wrong: traces tell of it, and are shown to others."""
        try:
            yield
        except StoreError as error:
            path = self.store.path
            told = (text.replace(str(path), path.name) for text in (error.message, error.hint))
            raise StoreError(*told) from error


class Shelf:
    """The store of a reasoner, opened with the first question."""

    def __init__(self, store: str | Path | Store | None, *, auto: bool) -> None:
        self._given = (None if not auto else "") if store == "auto" else store
        self._store: Store | None = None
        self._lock = threading.Lock()

    def _opened(self) -> Store | None:
        if self._given is None:
            return None
        from hierarchy.store import Store, default_path

        with self._lock:
            if self._store is None:
                given = self._given
                self._store = given if isinstance(given, Store) else Store.open(Path(given or default_path()))
        return self._store

    def outlined(
        self,
        document: str | Path | Document,
        count: Counter,
        progress: Progress | None = None,
        *,
        semantic: bool = False,
    ) -> SummaryTree:
        """The tree of a document, from the store if it is there; with the vectors of its passages if `semantic`.

        Raises:
            Unavailable: The model that makes vectors isn't installed.
        """
        read, build = partial(load, progress=progress), partial(build_tree, count=count, progress=progress)
        add = partial(with_vectors, progress=progress) if semantic else None
        store = self._opened()
        if store is None:
            tree = build(document if isinstance(document, Document) else read(document))
            if add:
                add(tree)
            return tree
        from hierarchy.store import kept_outline

        tree, _ = kept_outline(store, document, count, load=read, build=build, add=add)
        return tree

    def journal(self, margins: Margins, models: tuple[str, ...]) -> _Journal | None:
        """Where replies are kept, with what is known of the models' margins taken in; None where nothing is kept."""
        store = self._opened()
        if store is None:
            return None
        for model in sorted(set(models)):
            if (known := store.margin(model)) is not None:
                margins.learn(model, known)
        return _Journal(store)

    def learn(self, margins: Margins) -> None:
        """Keep what was learnt of margins.

        Only at the end of a question, so that a run that is killed and asked again plans as it did.
        """
        if self._store is not None:
            for model, margin in margins.snapshot():
                self._store.keep_margin(model, margin)


def with_vectors(tree: SummaryTree, progress: Progress | None = None) -> bool:
    """Add the vectors of its passages to a tree; returns whether they were missing.

    Raises:
        Unavailable: The model that makes them isn't installed.
    """
    missing = not has_vectors(tree)
    embedded(tree, tree_index(tree), progress)
    return missing


def source_key(document: str | Path | Document) -> tuple[object, ...] | None:
    """What a source is known by; None for what may change unnoticed (folders, patterns, standard input)."""
    if isinstance(document, Document):
        return document.name, document.key
    path = Path(document)
    try:
        status = path.stat() if str(document) != "-" and path.is_file() else None
    except OSError:
        return None
    return (str(path.resolve()), status.st_mtime_ns, status.st_size) if status else None
