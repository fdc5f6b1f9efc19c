"""Evaluation sets: documents, questions about them, and where the evidence stands.

A set is a folder. `cases.jsonl` holds one case a line (`id`, `doc_id`, `question`, `answer`, `evidence`, and where they
apply `split`, `choices`, `kind`). The documents are `docs/<doc_id>.txt` or `.md`, `pdfs/<doc_id>.pdf`, or all texts
below the folder `corpora/<doc_id>/`. Evidence is characters of a text (`start`, `end`, in a folder `file`), in groups
of which each alone suffices to answer; or text on a page of a PDF (`page` from 0, `text`), of which all is needed.

Owns the reading and its checks. Doesn't know systems or figures; those are in `baselines` and `metrics`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hierarchy.document import Document
from hierarchy.errors import DocumentNotFound, DocumentUnreadable, InputError
from hierarchy.evaluation.predictions import EvidenceSpan, PageSpan, TextSpan, span_from_json

__all__ = ["Case", "EvaluationSet", "Gold", "document_texts", "load_document", "load_set", "pdf_page_texts"]

_SUFFIXES = (".txt", ".md")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gold:
    """One stretch of gold evidence.

    Attributes:
        span: Where it stands.
        group: Stretches of one group belong together; each group alone suffices to answer.
        text: What it reads, if the set says so.
    """

    span: EvidenceSpan
    group: str = "0"
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question about one document.

    Attributes:
        id: Unique within the set.
        doc_id: The document's name within the set.
        question: As it is put to a system.
        answer: The gold answer, several where the question asks for a list; None if the document holds none.
        evidence: Where the answer stands; empty where no place can be named, and then the case isn't scored.
        split: `dev`, `test` or the like; None belongs to every split.
        choices: What a multiple-choice question offers.
        kind: The kind of question, as the set names it.
    """

    id: str
    doc_id: str
    question: str
    answer: str | tuple[str, ...] | None = None
    evidence: tuple[Gold, ...] = ()
    split: str | None = None
    choices: tuple[str, ...] = ()
    kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """The cases of a set, or of one split of it.

    Attributes:
        folder: Where it lies.
        cases: In the order of the file.
        notes: What looks wrong in it but doesn't prevent scoring, one sentence each.
    """

    folder: Path
    cases: tuple[Case, ...]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def scored(self) -> tuple[Case, ...]:
        """The cases with evidence: those that figures are about."""
        return tuple(case for case in self.cases if case.evidence)

    def by_document(self) -> tuple[tuple[str, tuple[Case, ...]], ...]:
        """The cases of each document, so that it is read once; documents in order of their first case."""
        groups: dict[str, list[Case]] = {}
        for case in self.cases:
            groups.setdefault(case.doc_id, []).append(case)
        return tuple((doc_id, tuple(cases)) for doc_id, cases in groups.items())

    def only(self, split: str | None) -> EvaluationSet:
        """The cases of one split, and those that belong to none; all of them for None."""
        if split is None:
            return self
        return replace(self, cases=tuple(case for case in self.cases if case.split in (None, split)))

    def sample(self, limit: int | None) -> EvaluationSet:
        """So many of the cases, drawn by their ids alone, in the set's order; all of them for None.

        **A smaller sample is part of a larger one**, whatever machine draws it.
        """
        if limit is None or limit >= len(self.cases):
            return self
        drawn = sorted(self.cases, key=lambda case: hashlib.blake2b(case.id.encode(), digest_size=8).digest())
        ids = {case.id for case in drawn[:limit]}
        return replace(self, cases=tuple(case for case in self.cases if case.id in ids))


def load_set(folder: Path | str, split: str | None = None, limit: int | None = None) -> EvaluationSet:
    """Read a set and check that its evidence can stand where it says.

    Args:
        folder: The set's folder.
        split: Keep the cases of this split, and those that name none; None keeps all.
        limit: Keep so many of these, as `EvaluationSet.sample` draws them; None keeps all.

    Raises:
        InputError: No `cases.jsonl`; a line that isn't a case, with its number; two cases of one id; a document that
            isn't there; evidence outside its document.
    """
    folder = Path(folder)
    path = folder / "cases.jsonl"
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise InputError(
            f"{path} can't be read: {error.strerror}.",
            "A set is a folder with cases.jsonl beside docs/, pdfs/ or corpora/.",
        ) from error
    cases: dict[str, Case] = {}
    for number, line in enumerate(lines, start=1):
        if line.strip():
            case = _read_case(line, f"{path}, line {number}")
            if case.id in cases:
                raise InputError(f"{path}, line {number}: there is a case {case.id!r} before.", "Ids must be unique.")
            cases[case.id] = case
    dataset = EvaluationSet(folder=folder, cases=tuple(cases.values())).only(split)
    if not dataset.cases:
        raise InputError(f"{path} holds no case of split {split!r}.", "Leave the split out to take all cases.")
    dataset = dataset.sample(limit)
    return replace(dataset, notes=_checked(dataset))


def load_document(folder: Path | str, doc_id: str) -> Document:
    """Read one document of a set as systems see it, with its sections and, for a PDF, its pages.

    **The text of a text file is the file decoded as UTF-8, character for character,** because evidence is counted in
    it: no line feed is converted and no mark dropped.

    Raises:
        InputError: It isn't there or can't be read.
    """
    path = _document_path(Path(folder), doc_id)
    if path.suffix == ".pdf":
        from hierarchy.loaders import load  # lazily: readers of formats are heavy, and scoring needs none of them

        return load(path)
    if path.is_file():
        return _text_document(path, path.name)
    return Document(
        name=doc_id,
        media="folder",
        parts=tuple(_text_document(file, name) for name, file in _corpus_files(path).items()),
    )


def document_texts(folder: Path | str, doc_id: str) -> Mapping[str | None, str]:
    """The texts of a document by file, as evidence counts their characters; None names a single text.

    Raises:
        InputError: It isn't there, isn't UTF-8, or is a PDF.
    """
    path = _document_path(Path(folder), doc_id)
    if path.suffix == ".pdf":
        raise InputError(f"{path} is a PDF.", "Its pages are read by pdf_page_texts.")
    if path.is_file():
        return {None: _read_text(path)}
    return {name: _read_text(file) for name, file in _corpus_files(path).items()}


def pdf_page_texts(folder: Path | str, doc_id: str, pages: Collection[int] | None = None) -> Mapping[int, str] | None:
    """The plain text of pages of a PDF by their number from 0; None if the document isn't one.

    Read with the PDF library alone and not with our loader, so that what counts as standing on a page doesn't change
    with the loader, and systems with another reader are judged alike.

    Args:
        folder: The set's folder.
        doc_id: The document's name within it.
        pages: Which to read, since all of a long PDF take seconds; None reads all.

    Raises:
        InputError: It isn't there or can't be read, or has no such page.
    """
    path = _document_path(Path(folder), doc_id)
    if path.suffix != ".pdf":
        return None
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as pdf:
            numbers = range(len(pdf)) if pages is None else sorted(pages)
            return {page: str(pdf[page].get_textpage().get_text_range()) for page in numbers}
    except (OSError, IndexError, pypdfium2.PdfiumError) as error:
        raise DocumentUnreadable(
            f"{path} can't be read: {error}.", "Its pages are what evidence is checked on."
        ) from error


def _document_path(folder: Path, doc_id: str) -> Path:
    # A set of PDFs may keep their texts beside them for reading; its evidence is on pages all the same.
    candidates = [folder / f"pdfs/{doc_id}.pdf", folder / "corpora" / doc_id]
    candidates += [folder / f"docs/{doc_id}{suffix}" for suffix in _SUFFIXES]
    for path in candidates:
        if path.is_dir() if path.parent.name == "corpora" else path.is_file():
            return path
    raise DocumentNotFound(
        f"{folder} holds no document {doc_id!r}.",
        f"Looked for {', '.join(str(p.relative_to(folder)) for p in candidates)}.",
    )


def _corpus_files(folder: Path) -> dict[str, Path]:
    files = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.suffix in _SUFFIXES}
    if not files:
        raise DocumentNotFound(f"{folder} holds no texts.", "A folder's documents end in .txt or .md.")
    return dict(sorted(files.items()))


def _read_text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise DocumentUnreadable(
            f"{path} isn't UTF-8: byte {error.start:,}.", "Evidence is counted in characters of UTF-8."
        ) from error


def _text_document(path: Path, name: str) -> Document:
    from hierarchy.loaders import from_text

    text = _read_text(path)
    if not text.strip():  # an empty file of a folder holds no evidence, and is no reason to leave out the rest
        return Document(name=name, text=text)
    document = from_text(text, name)
    if document.text != text:
        raise DocumentUnreadable(f"{path}: the loader changed its text.", "Evidence wouldn't stand where it says.")
    return document


def _read_case(line: bytes, where: str) -> Case:
    try:
        record = json.loads(line)
        return Case(
            id=_text_of(record, "id"),
            doc_id=_text_of(record, "doc_id"),
            question=_text_of(record, "question"),
            answer=_answer(record.get("answer")),
            evidence=tuple(_gold(entry) for entry in record.get("evidence") or ()),
            split=record.get("split"),
            choices=tuple(str(choice) for choice in record.get("choices") or ()),
            kind=str(record.get("kind") or record.get("question_type") or record.get("category") or ""),
        )
    except KeyError as error:
        raise InputError(f"{where}: {error} is missing.", "A case needs id, doc_id and question.") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{where}: not a case ({error}).", "One JSON object a line, in UTF-8.") from error


def _text_of(record: Mapping[str, Any], key: str) -> str:
    value = record[key]
    if not isinstance(value, str):
        raise TypeError(f"{key} must be text")
    return value


def _answer(value: object) -> str | tuple[str, ...] | None:
    if value is None:
        return None
    return tuple(str(item) for item in value) if isinstance(value, list) else str(value)


def _gold(record: Mapping[str, Any]) -> Gold:
    return Gold(span=span_from_json(record), group=str(record.get("group", 0)), text=str(record.get("text", "")))


def _checked(dataset: EvaluationSet) -> tuple[str, ...]:
    """Check all evidence, each document opened once; what is merely odd comes back as notes."""
    differing = [
        case.id for doc_id, cases in dataset.by_document() for case in _check_document(dataset.folder, doc_id, cases)
    ]
    if not differing:
        return ()
    shown = ", ".join(differing[:3]) + (" …" if len(differing) > 3 else "")
    return (f"{len(differing)} cases quote evidence that doesn't read so at its characters: {shown}.",)


def _check_document(folder: Path, doc_id: str, cases: tuple[Case, ...]) -> tuple[Case, ...]:
    path = _document_path(folder, doc_id)
    if path.suffix == ".pdf":
        pages = _page_count(path) if any(case.evidence for case in cases) else 0
        for case in cases:
            for gold in case.evidence:
                _check_page(case, gold, pages)
        return ()
    texts = document_texts(folder, doc_id)
    odd = {case.id for case in cases for gold in case.evidence if not _reads_so(case, gold, texts)}
    return tuple(case for case in cases if case.id in odd)


def _page_count(path: Path) -> int:
    import pypdfium2

    try:
        with pypdfium2.PdfDocument(path) as pdf:
            return len(pdf)
    except (OSError, pypdfium2.PdfiumError) as error:
        raise DocumentUnreadable(f"{path} can't be read: {error}.", "Is it a PDF, and without a password?") from error


def _check_page(case: Case, gold: Gold, pages: int) -> None:
    if not isinstance(gold.span, PageSpan):
        raise InputError(f"Case {case.id}: evidence in a PDF needs page and text.", "Pages count from 0.")
    if not 0 <= gold.span.page < pages:
        raise InputError(
            f"Case {case.id}: evidence on page {gold.span.page} of {case.doc_id}, which has {pages}.",
            "Pages count from 0.",
        )


def _reads_so(case: Case, gold: Gold, texts: Mapping[str | None, str]) -> bool:
    span = gold.span
    if not isinstance(span, TextSpan):
        raise InputError(f"Case {case.id}: evidence in a text needs start and end.", "They count characters.")
    file = None if None in texts else span.file  # a single text needs no name, and one given says nothing
    if file not in texts:
        raise InputError(f"Case {case.id}: {case.doc_id} holds no file {file!r}.", "In a folder, evidence names it.")
    text = texts[file]
    if not 0 <= span.start < span.end <= len(text):
        raise InputError(
            f"Case {case.id}: evidence {span.start:,}–{span.end:,} lies outside a text of {len(text):,} characters.",
            "Offsets count characters of the file decoded as UTF-8, half-open.",
        )
    return not gold.text or text[span.start : span.end] == gold.text
