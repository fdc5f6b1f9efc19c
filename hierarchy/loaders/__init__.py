"""Loading documents: PDF, HTML, DOCX, Markdown, text, folders, globs, standard input, text in memory.

Whatever the source, the result is a `Document`: text, with sections, pages, table rows and furniture as spans over
it. What was guessed or left out is said in its `notes`; what can't be loaded raises an `InputError` that says what is
wrong and how to mend it.

Where to read next: `files` (paths and folders), `sniff` (kinds of files), then a reader: `pdf`, `markup`, `markdown`,
`plain`.
"""

from __future__ import annotations

import glob
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from hierarchy.document import Document, Span
from hierarchy.errors import DocumentEmpty
from hierarchy.loaders.files import check_regular, read_bytes, read_file, read_folder, read_pattern, read_text
from hierarchy.loaders.pdf import Progress
from hierarchy.loaders.plain import read_plain
from hierarchy.loaders.sniff import declared_media

__all__ = ["Progress", "from_langchain", "from_text", "load"]


def load(path: str | Path, *, stdin: IO[bytes] | IO[str] | None = None, progress: Progress | None = None) -> Document:
    r"""The document or documents at `path`.

    The kind of a file is decided by its content first, so a wrong extension does no harm. **For text and Markdown
    `Document.text` is the decoded file, character for character**; for other formats it is the extracted text.

    Args:
        path: A file, a folder (read recursively), a glob pattern, or `-` for standard input.
        stdin: What to read instead of the process's standard input.
        progress: Called with pages or files done, their number, and what is being read.

    Returns:
        A `Document`; for folders and patterns one with `parts`, files named relative to it, with `/`, in order.

    Raises:
        DocumentNotFound: Nothing is there, or nothing of it is a document.
        DocumentUnreadable: It is there, but its text can't be had.
        DocumentEmpty: It holds no text.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = (Path(folder) / "note.md").write_text("# Dose\n\n75 mg daily.\n")
        ...     load(Path(folder) / "note.md").sections[0].title
        'Dose'
    """
    if str(path) == "-":
        return read_bytes("stdin", _all_of(stdin or sys.stdin), progress)
    place = Path(path).expanduser()
    if glob.has_magic(str(path)) and not _exists(place):
        return read_pattern(str(place), progress)
    check_regular(place)
    return read_folder(place, progress) if place.is_dir() else read_file(place, progress=progress)


def from_text(text: str, name: str = "text") -> Document:
    """A document of text in memory; Markdown is recognised by the name's suffix or, without one, by its marks.

    **`Document.text` is `text`, character for character.**

    Raises:
        DocumentEmpty: It is empty or white space.
    """
    return read_text(name, text, declared_media(name))


def from_langchain(documents: Iterable[Any]) -> Document:
    """One document from LangChain's: objects with `page_content` and `metadata`, which langchain needn't define.

    Consecutive ones with the same `source` and each a `page`, as PDF loaders make them, become one part with pages.
    Others are parts of their own, named by `source`; names are made unique by a number.

    Raises:
        DocumentEmpty: None of them holds text.
    """
    groups: list[tuple[str, list[str], bool]] = []
    empty = 0
    for document in documents:
        metadata = document.metadata or {}
        name = str(metadata.get("source") or metadata.get("title") or f"document {len(groups) + 1}")
        paged = isinstance(metadata.get("page"), int)
        if paged and groups and groups[-1][2] and groups[-1][0] == name:
            groups[-1][1].append(document.page_content)
        elif document.page_content.strip() or paged:
            groups.append((name, [document.page_content], paged))
        else:
            empty += 1
    parts = [_part(name, texts, paged) for name, texts, paged in groups if any(text.strip() for text in texts)]
    if not parts:
        raise DocumentEmpty(
            f"None of the {len(groups) + empty:,} documents holds text.", "Check the loader they come from."
        )
    notes = (f"Left out what holds no text: {empty:,}.",) if empty else ()
    return Document(name="documents", media="folder", parts=_uniquely_named(parts), notes=notes)


def _part(name: str, texts: list[str], paged: bool) -> Document:
    if not paged:
        return from_text(texts[0], name)
    pages, at = [], 0
    texts = [text if text.endswith("\n") else text + "\n" for text in texts]
    for text in texts:
        pages.append(Span(at, at + len(text)))
        at += len(text)
    return replace(read_plain(name, "".join(texts)), pages=tuple(pages))


def _uniquely_named(parts: Iterable[Document]) -> tuple[Document, ...]:
    taken: dict[str, int] = {}
    named = []
    for part in parts:
        taken[part.name] = taken.get(part.name, 0) + 1
        count = taken[part.name]
        named.append(part if count == 1 else replace(part, name=f"{part.name}#{count}"))
    return tuple(named)


def _all_of(stream: IO[bytes] | IO[str]) -> bytes:
    """Everything a stream gives, as bytes; a text stream's own bytes where it has them."""
    data = getattr(stream, "buffer", stream).read()
    return data.encode("utf-8", "surrogateescape") if isinstance(data, str) else bytes(data)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
