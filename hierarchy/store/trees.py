"""Trees as bytes, and what they are found by.

A tree is kept with its document, so that finding one spares the loading as well as the planning. Its arrays are written
as differences, one after the other, and deflated once. A filing of 176,000 tokens is read back in 8 ms from 0.4 MB;
JSON takes four times as long and a third more room, building the tree thirty times as long, and loading its PDF to
build it two hundred times.

**The keys hold everything that a tree depends on: the document, the counter, and the code that makes trees**, so that
an update of hierarchy never meets a tree of an older one.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from hierarchy.document import Document, Section, Span
from hierarchy.errors import StoreError
from hierarchy.tokens import Counter
from hierarchy.tree import Ints, LeafTable, NodeTable, SummaryTree, Vectors

__all__ = ["file_key", "kept_outline", "packed", "tree_key", "unpacked"]

# The modules that decide what a tree is, and those that decide what a document is; read as text, not imported.
TREE_CODE = ("document.py", "planner.py", "segments.py", "tokens.py", "tree.py")
LOADER_CODE = "loaders"
LOADER_PACKAGES = ("markdown-it-py", "mammoth", "pypdfium2", "selectolax")

_FORMAT = 2
_SPANS = ("pages", "rows", "furniture")
_FAST = 1  # deflate's level; the highest makes it a quarter smaller in four times the time


def packed(tree: SummaryTree) -> bytes:
    """A tree with its document, to be read by `unpacked`."""
    columns = [getattr(tree.leaves, name) for name in LeafTable.__slots__]
    columns += [getattr(tree.nodes, name) for name in NodeTable.__slots__]
    for file in tree.files:
        columns += [_edges(getattr(file, name)) for name in _SPANS]
    numbers = np.concatenate(columns) if columns else np.zeros(0, dtype=np.int64)
    wide = bool(len(numbers)) and int(np.abs(numbers).max()) >= 2**31
    kind = "<i8" if wide else "<i4"
    differences = np.diff(numbers.astype(kind), prepend=np.zeros(1, dtype=kind))
    vectors = tree.vectors
    head = {
        "format": _FORMAT,
        "wide": wide,
        "lengths": [len(column) for column in columns],
        "document": _shape(tree.document, text=True),
        "titles": list(tree.titles.items()),
        "vectors": [vectors.made_by, *vectors.rows.shape] if vectors else None,
    }
    text = json.dumps(head, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")
    rows = vectors.rows.astype("<f2").tobytes() if vectors else b""
    return zlib.compress(len(text).to_bytes(8, "little") + text + differences.tobytes() + rows, _FAST)


def unpacked(data: bytes, count: Counter) -> SummaryTree:
    """Read what `packed` wrote.

    Raises:
        StoreError: It is no tree.
    """
    try:
        raw = zlib.decompress(data)
        end = 8 + int.from_bytes(raw[:8], "little")
        head = json.loads(raw[8:end].decode("utf-8", "surrogatepass"))
        if head["format"] != _FORMAT:
            raise StoreError(f"The tree is of format {head['format']!r}, this reads {_FORMAT}.", "Build it again.")
        vectors = _vectors(raw, head["vectors"])
        columns = _columns(raw[: len(raw) - (vectors.rows.nbytes if vectors else 0)], end, head)
        leaves = LeafTable(**{name: next(columns) for name in LeafTable.__slots__})
        nodes = NodeTable(**{name: next(columns) for name in NodeTable.__slots__})
        document = _document(head["document"], columns)
        tree = SummaryTree(document=document, leaves=leaves, nodes=nodes, titles=dict(head["titles"]), count=count)
        tree.vectors = vectors
        return tree
    except (zlib.error, KeyError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise StoreError(f"This is no tree or a damaged one: {error!r}.", "Build it again.") from error


def _vectors(raw: bytes, shape: list[Any] | None) -> Vectors | None:
    """The vectors at the end, if there are any."""
    if shape is None:
        return None
    made_by, passages, dimensions = shape
    rows = np.frombuffer(raw[len(raw) - 2 * passages * dimensions :], dtype="<f2").reshape(passages, dimensions)
    return Vectors(made_by=made_by, rows=rows.astype(np.float16))


def _columns(raw: bytes, start: int, head: dict[str, Any]) -> Iterator[Ints]:
    kind = "<i8" if head["wide"] else "<i4"
    # Sums wrap around as the differences did, so that they come out right within the width.
    numbers = np.cumsum(np.frombuffer(raw, dtype=kind, offset=start), dtype=kind).astype(np.int64)
    if len(numbers) != sum(head["lengths"]):
        raise ValueError(f"{len(numbers)} numbers instead of {sum(head['lengths'])}")
    return iter(np.split(numbers, np.cumsum(head["lengths"])[:-1]))


def _edges(spans: tuple[Span, ...]) -> Ints:
    return np.array([(span.start, span.end) for span in spans], dtype=np.int64).ravel()


def _shape(document: Document, *, text: bool) -> dict[str, Any]:
    """What there is of a document beside its spans: names, notes, sections and how folders nest."""
    shape: dict[str, Any] = {"name": document.name, "media": document.media, "notes": document.notes}
    if document.parts:
        return {**shape, "parts": [_shape(part, text=text) for part in document.parts]}
    if not text:
        return shape
    sections = [
        (section.title, section.span.start, section.span.end, section.depth, section.contents)
        for section in document.sections
    ]
    return {**shape, "sections": sections, "text": document.text}


def _document(shape: dict[str, Any], columns: Iterator[Ints]) -> Document:
    name, media, notes = shape["name"], shape["media"], tuple(shape["notes"])
    if "parts" in shape:
        parts = tuple(_document(part, columns) for part in shape["parts"])
        return Document(name=name, media=media, notes=notes, parts=parts)
    pages, rows, furniture = (
        tuple(Span(start, end) for start, end in next(columns).reshape(-1, 2).tolist()) for _ in _SPANS
    )
    sections = tuple(
        Section(title=title, span=Span(start, end), depth=depth, contents=contents)
        for title, start, end, depth, contents in shape["sections"]
    )
    return Document(
        name=name,
        text=shape["text"],
        media=media,
        sections=sections,
        pages=pages,
        rows=rows,
        furniture=furniture,
        notes=notes,
    )


# -- keys ------------------------------------------------------------------------------------------------------------


def tree_key(document: Document, count: Counter) -> str | None:
    """What the tree of a loaded document is found by.

    Returns:
        A content hash; None if nobody can tell how `count` counts: it has no `encoding` that names its vocabulary.
    """
    counter = _counter_name(count)
    if counter is None:
        return None
    digest = _begun("document", counter, _tree_code())
    digest.update(json.dumps(_shape(document, text=False)).encode())
    digest.update(document.key.encode())
    return digest.hexdigest()


def file_key(path: str | Path, count: Counter) -> str | None:
    """What the tree of a file is found by, without loading it: its name, its bytes, and the code that loads and plans.

    Returns:
        A content hash; None for what isn't a single readable file (a folder, a pattern, standard input), or if nobody
        can tell how `count` counts.
    """
    counter, place = _counter_name(count), Path(path).expanduser()
    try:
        if counter is None or str(path) == "-" or not place.is_file():
            return None
        with place.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=32)).hexdigest()
    except (OSError, ValueError):
        return None  # what is wrong with it is the loader's to say
    digest = _begun("file", counter, _tree_code(), _loader_code(), content)
    digest.update(json.dumps(place.name).encode())
    return digest.hexdigest()


def _counter_name(count: Counter) -> str | None:
    encoding = getattr(count, "encoding", None)
    return f"{type(count).__qualname__} {encoding}" if isinstance(encoding, str) else None


def _begun(*parts: str) -> hashlib.blake2b:
    return hashlib.blake2b(json.dumps([_FORMAT, *parts]).encode(), digest_size=16)


@lru_cache(maxsize=1)
def _tree_code() -> str:
    """The code that decides what a tree is, as a hash of its text: nobody has to remember to raise a number."""
    return _hashed(*(_source(name) for name in TREE_CODE))


@lru_cache(maxsize=1)
def _loader_code() -> str:
    folder = files("hierarchy").joinpath(LOADER_CODE)
    names = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".py"))
    sources = [_source(f"{LOADER_CODE}/{name}") for name in names]
    return _hashed(*sources, *(_installed(package).encode() for package in LOADER_PACKAGES))


def _hashed(*parts: bytes) -> str:
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        digest.update(f"{len(part)}:".encode() + part)
    return digest.hexdigest()


def _source(name: str) -> bytes:
    try:
        return files("hierarchy").joinpath(*name.split("/")).read_bytes()
    except OSError:  # installed without its source
        return _installed("hierarchy").encode()


def _installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


# -- use -------------------------------------------------------------------------------------------------------------


class _Trees(Protocol):
    def tree(self, key: str, count: Counter) -> SummaryTree | None: ...

    def keep_tree(self, key: str, tree: SummaryTree) -> bool: ...


def kept_outline(
    store: _Trees,
    source: str | Path | Document,
    count: Counter,
    *,
    load: Callable[[str | Path], Document],
    build: Callable[[Document], SummaryTree],
    add: Callable[[SummaryTree], bool] | None = None,
) -> tuple[SummaryTree, bool]:
    """The tree of a document: as it was kept, or else built and kept.

    Args:
        store: Where it may be, and goes.
        source: A path, or a document that is loaded already.
        count: The counter that the tree is built with.
        load: Loads a path; isn't called for a file whose tree is there.
        build: Builds a tree.
        add: Adds to a tree what it lacks, and says whether it lacked something; it is kept again then.

    Returns:
        The tree, and whether it was kept just now. It isn't if all of it was there, if the store has no room for it, or
        if the file changed while it was read.

    Raises:
        StoreError: What was kept is damaged, or the store can't be used.
    """
    path = None if isinstance(source, Document) else source
    by_file = file_key(path, count) if path is not None else None
    if by_file and (tree := store.tree(by_file, count)):
        return tree, bool(add and add(tree)) and store.keep_tree(by_file, tree)
    document = source if isinstance(source, Document) else load(source)
    key = by_file or tree_key(document, count)
    if key and not by_file and (tree := store.tree(key, count)):
        return tree, bool(add and add(tree)) and store.keep_tree(key, tree)
    tree = build(document)
    if add:
        add(tree)
    unchanged = by_file is None or (path is not None and file_key(path, count) == by_file)
    return tree, bool(key and unchanged and store.keep_tree(key, tree))
