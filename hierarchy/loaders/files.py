"""Paths to documents: one file, a folder, a glob pattern, or standard input.

What is wrong with a path is found before anything is opened: a FIFO would hang, a link may lead nowhere or round in a
circle. One file that can't be read is an error; within a folder it is left out, and a note says which and why.

Owns the walk over folders and the errors of the file system. Doesn't know formats beyond choosing the reader.
"""

from __future__ import annotations

import difflib
import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from hierarchy.document import Document
from hierarchy.errors import DocumentEmpty, DocumentNotFound, DocumentUnreadable, InputError
from hierarchy.loaders.decode import decode
from hierarchy.loaders.pdf import Progress, read_pdf
from hierarchy.loaders.plain import read_plain
from hierarchy.loaders.sniff import SUFFIXES, kind_of

__all__ = ["check_regular", "read_bytes", "read_file", "read_folder", "read_pattern", "read_text"]

_HEAD = 65_536
_SUPPORTED = frozenset(suffix for suffixes in SUFFIXES.values() for suffix in suffixes)
_NOTED = 20
_LONGEST_NAME = 200
_READABLE = "PDF, HTML, DOCX, Markdown and text files are read."
_SPECIAL = {
    stat.S_IFIFO: "a named pipe (FIFO)",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFSOCK: "a socket",
}


def read_file(path: Path, name: str | None = None, progress: Progress | None = None) -> Document:
    """The document in one file.

    Raises:
        DocumentNotFound: Nothing is there; the hint names a file that is spelled alike.
        DocumentUnreadable: It isn't a regular file, may not be read, or is of a kind that isn't.
        DocumentEmpty: It holds no text.
    """
    name = name or path.name
    check_regular(path)
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
        if not head:
            raise DocumentEmpty(f"{name} is empty: 0 bytes.", "Check that the right file was saved.")
        kind = kind_of(name, head, path.read_bytes)
        if kind.media == "pdf":
            return read_pdf(name, path, kind.notes, progress)
        return _read(name, path.read_bytes(), kind.media, kind.notes)
    except OSError as error:
        raise _refused(path, error) from error


def read_bytes(name: str, data: bytes, progress: Progress | None = None) -> Document:
    """The document in bytes that came from elsewhere, such as standard input."""
    if not data:
        raise DocumentEmpty(f"{name} is empty: 0 bytes.", "Check what writes to it.")
    kind = kind_of(name, data[:_HEAD], lambda: data)
    if kind.media == "pdf":
        return read_pdf(name, data, kind.notes, progress)
    return _read(name, data, kind.media, kind.notes)


def _read(name: str, data: bytes, media: str, notes: tuple[str, ...]) -> Document:
    if media in ("html", "docx"):
        from hierarchy.loaders.markup import read_docx, read_html

        return read_html(name, data, notes) if media == "html" else read_docx(name, data, notes)
    decoded = decode(data, name)
    return read_text(name, decoded.text, media, (*notes, *decoded.notes))


def read_text(name: str, text: str, media: str, notes: tuple[str, ...] = ()) -> Document:
    """The document in decoded text; without a suffix to go by, Markdown is recognised by its marks."""
    if not text or text.isspace():
        raise DocumentEmpty(
            f"{name} holds no text: {len(text):,} characters, all of them white space.",
            "Check that the right file was saved.",
        )
    from hierarchy.loaders.markdown import looks_like_markdown, read_markdown

    undeclared = media == "text" and not PurePosixPath(name).suffix
    if media == "markdown" or (undeclared and looks_like_markdown(text)):
        return read_markdown(name, text, notes)
    return read_plain(name, text, notes)


def check_regular(path: Path) -> None:
    """Refuse a path that leads to nothing, round in a circle, or to what must not be opened."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise _refused(path, error) from error
    if special := _SPECIAL.get(stat.S_IFMT(mode)):
        raise DocumentUnreadable(
            f"{path} is {special}, not a file.",
            "Pipe its content to standard input and load '-', or save it to a file.",
        )


def _refused(path: Path, error: Exception) -> InputError:
    """The error to raise for what the file system says."""
    shown = str(path) if len(str(path)) <= _LONGEST_NAME else str(path)[:_LONGEST_NAME] + "…"
    if isinstance(error, PermissionError):
        return DocumentUnreadable(
            f"{shown} may not be read: permission denied.", "Change its permissions or its owner."
        )
    if _is_link(path):
        target = path.readlink()
        if isinstance(error, FileNotFoundError):
            return DocumentNotFound(f"{shown} is a link to {target}, which isn't there.", "Mend or remove the link.")
        return DocumentUnreadable(f"{shown} is a link to {target} that leads in a circle.", "Mend or remove the link.")
    if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError) or len(str(path)) > _LONGEST_NAME:
        return DocumentNotFound(f"Nothing is at {shown!r}.", _nearest(path))
    return DocumentUnreadable(f"{shown} can't be read: {error}.", "Copy it to another place, or download it again.")


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):
        return False


def _nearest(path: Path) -> str:
    """A hint with the name in the same folder that is spelled most alike."""
    if "\n" in str(path) or len(str(path)) > _LONGEST_NAME:
        return "This looks like text rather than a path: use from_text for text in memory."
    try:
        names = [entry.name for entry in os.scandir(path.parent)]
    except (OSError, ValueError):
        return f"The folder {str(path.parent)!r} isn't there either."
    if close := difflib.get_close_matches(path.name, names[:5_000], n=1, cutoff=0.6):
        return f"Did you mean {close[0]!r}?"
    held = "nothing" if not names else "one file or folder" if len(names) == 1 else f"{len(names):,} files and folders"
    return f"Its folder holds {held}; check the spelling."


@dataclass(slots=True)
class _Found:
    """What a walk finds: files to read with their names, and what it passes over."""

    files: list[tuple[str, Path]] = field(default_factory=list)
    skipped: Counter[str] = field(default_factory=Counter)
    seen: set[tuple[int, int]] = field(default_factory=set)
    left_out: list[str] = field(default_factory=list)


def read_folder(root: Path, progress: Progress | None = None) -> Document:
    """All documents below a folder, nested as its folders are.

    Raises:
        DocumentNotFound: Not one of its files can be read as a document.
    """
    found = _Found()
    _walk(root, "", found)
    return _gathered(root.resolve().name or str(root), found, progress)


def read_pattern(pattern: str, progress: Progress | None = None) -> Document:
    """All documents that match a glob pattern, named relative to the folder where the pattern begins to vary.

    Raises:
        DocumentNotFound: Nothing matches, or nothing that does can be read.
    """
    paths = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207 - Path.glob takes no absolute pattern.
    if not paths:
        raise DocumentNotFound(
            f"Nothing matches the pattern {pattern!r}.", "Quote it for the shell; ** goes into folders."
        )
    base = _constant_part(pattern)
    found = _Found()
    for path in map(Path, paths):
        if path.is_dir():
            continue
        _consider(path, path.relative_to(base).as_posix() if base else path.as_posix(), found)
    return _gathered(pattern, found, progress)


def _constant_part(pattern: str) -> str:
    parts = Path(pattern).parts[:-1]
    constant = []
    for part in parts:
        if glob.has_magic(part):
            break
        constant.append(part)
    return str(Path(*constant)) if constant else ""


def _walk(folder: Path, prefix: str, found: _Found) -> None:
    """Collect files in order of name; a folder that was seen under another name isn't entered twice."""
    try:
        status = folder.stat()
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        found.left_out.append(f"Left out {prefix or folder}: {_refused(folder, error).message}")
        return
    if (identity := (status.st_dev, status.st_ino)) in found.seen:
        found.skipped["links to what is read already"] += 1
        return
    found.seen.add(identity)
    for entry in entries:
        name = f"{prefix}{entry.name}"
        if entry.name.startswith("."):
            found.skipped["hidden"] += 1
        elif _is_folder(entry):
            _walk(Path(entry.path), f"{name}/", found)
        else:
            _consider(Path(entry.path), name, found)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link in a circle: reported as a file


def _consider(path: Path, name: str, found: _Found) -> None:
    """Take a file in, or count it where it isn't for reading; what can't be looked at fails later, by name."""
    if path.suffix.lower() not in _SUPPORTED:
        found.skipped[f"of an unsupported kind ({path.suffix.lower()})"] += 1
        return
    try:
        status = path.stat()
    except OSError:
        found.files.append((name, path))
        return
    identity = (status.st_dev, status.st_ino)
    if identity in found.seen:
        found.skipped["links to what is read already"] += 1
        return
    found.seen.add(identity)
    found.files.append((name, path))


def _gathered(name: str, found: _Found, progress: Progress | None) -> Document:
    documents = []
    for index, (file_name, path) in enumerate(found.files):
        try:
            documents.append(read_file(path, file_name))
        except InputError as error:
            found.left_out.append(f"Left out {file_name}: {error.message}")
        if progress:
            progress(index + 1, len(found.files), file_name)
    notes = tuple(_folder_notes(found))
    if not documents:
        raise DocumentNotFound(
            f"{name} holds no document that can be read. {' '.join(notes)}".strip(), f"{_READABLE} Check the path."
        )
    return Document(name=name, media="folder", parts=_nested(documents, ""), notes=notes)


def _folder_notes(found: _Found) -> Iterator[str]:
    for what, count in sorted(found.skipped.items()):
        yield f"Skipped {count:,} {what}."
    yield from found.left_out[:_NOTED]
    if len(found.left_out) > _NOTED:
        yield f"Left out {len(found.left_out) - _NOTED:,} more files that couldn't be read."


def _nested(documents: Sequence[Document], prefix: str) -> tuple[Document, ...]:
    """Put files with a common folder below a document of that folder, keeping the order of names."""
    groups: dict[str, list[Document]] = {}
    for document in documents:
        head, slash, _ = document.name[len(prefix) :].partition("/")
        groups.setdefault(head + slash, []).append(document)
    parts = []
    for head, members in groups.items():
        if head.endswith("/") and head != "/":
            inner = prefix + head
            parts.append(Document(name=inner[:-1], media="folder", parts=_nested(members, inner)))
        else:
            parts += members
    return tuple(sorted(parts, key=lambda part: part.name))
