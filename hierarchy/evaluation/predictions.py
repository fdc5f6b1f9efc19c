"""What a system predicts: the evidence it would read, in order of preference, and the JSONL file that holds it.

One line is one question at one budget, in the format of the reference scorer: `{"id", "budget", "spans"}`, and
`"system"` beside them, so that several systems fit one file. Optional are `"abstain"`, `"answer"` and `"confidence"`.

Owns the spans and the file. Doesn't know how spans are found (`baselines`, `ours`) or judged (`metrics`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierarchy.errors import InputError

__all__ = [
    "EvidenceSpan",
    "PageSpan",
    "Prediction",
    "TextSpan",
    "read_predictions",
    "scan_predictions",
    "span_from_json",
    "to_line",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TextSpan:
    """Characters `start` to `end` (half-open) of a text, or of one file of a folder.

    Attributes:
        start: First character.
        end: One past the last.
        file: The file's path within the folder; None where the document is a single text.
    """

    start: int
    end: int
    file: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The span as a line of predictions spells it."""
        place = {"start": self.start, "end": self.end}
        return place if self.file is None else {"file": self.file, **place}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSpan:
    """Text that stands on a page of a PDF.

    Attributes:
        page: The physical page, counted from 0.
        text: What is read of it.
    """

    page: int
    text: str

    def to_json(self) -> dict[str, Any]:
        """The span as a line of predictions spells it."""
        return {"page": self.page, "text": self.text}


EvidenceSpan = TextSpan | PageSpan
"""A stretch of evidence: characters of a text, or text on a page of a PDF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What one system reads for one question at one budget.

    Attributes:
        id: The case's id.
        budget_tokens: The budget it was asked to keep.
        spans: In order of preference.
        system: Who predicted it; empty in files that hold one system only.
        abstain: Whether the system says that the document doesn't answer; None where it wasn't asked.
        answer: The answer, if the system gives one.
        confidence: How sure the system is that the document answers, if it says; any scale, larger is surer.
    """

    id: str
    budget_tokens: int
    spans: tuple[EvidenceSpan, ...]
    system: str = ""
    abstain: bool | None = None
    answer: str | None = None
    confidence: float | None = None

    @property
    def key(self) -> tuple[str, str, int]:
        """What a run must not do twice: system, case and budget."""
        return self.system, self.id, self.budget_tokens


def span_from_json(record: Mapping[str, Any]) -> EvidenceSpan:
    """Read a span; a `page` makes it one of a PDF.

    Raises:
        KeyError, TypeError, ValueError: It is not a span.
    """
    if "page" in record:
        return PageSpan(page=int(record["page"]), text=str(record["text"]))
    file = record.get("file")
    return TextSpan(start=int(record["start"]), end=int(record["end"]), file=None if file is None else str(file))


def to_line(prediction: Prediction) -> str:
    r"""One line of JSON, line feed included. Equal predictions give equal lines.

    Example:
        >>> to_line(Prediction(id="a", budget_tokens=9, spans=(TextSpan(start=0, end=5),)))
        '{"id": "a", "budget": 9, "spans": [{"start": 0, "end": 5}]}\n'
    """
    record: dict[str, Any] = {"id": prediction.id}
    if prediction.system:
        record["system"] = prediction.system
    record["budget"] = prediction.budget_tokens
    record["spans"] = [span.to_json() for span in prediction.spans]
    if prediction.abstain is not None:
        record["abstain"] = prediction.abstain
    if prediction.answer is not None:
        record["answer"] = prediction.answer
    if prediction.confidence is not None:
        record["confidence"] = prediction.confidence
    # Non-ASCII stays escaped, so that a lone surrogate in a PDF's text can't make the file unreadable.
    return json.dumps(record) + "\n"


def read_predictions(path: Path | str) -> tuple[Prediction, ...]:
    """Read a predictions file.

    Raises:
        InputError: It is missing, or a line is not a prediction; the message says which.
    """
    predictions, torn = scan_predictions(path)
    if torn:
        raise InputError(f"{path}: the last line is torn.", "Run the same command again: it goes on where it stopped.")
    return predictions


def scan_predictions(path: Path | str) -> tuple[tuple[Prediction, ...], int]:
    """Read as far as whole lines go.

    A last line without a line feed that can't be read is what a killed run leaves behind. Any other bad line is an
    error.

    Returns:
        The predictions, and how many bytes at the end belong to a torn line.

    Raises:
        InputError: The file is missing, or a line before the last is not a prediction.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Give the file that a run wrote.") from error
    predictions: list[Prediction] = []
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if not line.strip():
            continue
        try:
            predictions.append(_prediction(json.loads(line)))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            if not line.endswith(b"\n"):
                return tuple(predictions), len(line)
            raise InputError(
                f"{path}, line {number}: not a prediction ({type(error).__name__}: {error}).",
                'A line holds {"id", "budget", "spans"}.',
            ) from error
    return tuple(predictions), 0


def _prediction(record: Mapping[str, Any]) -> Prediction:
    spans: Iterable[Mapping[str, Any]] = record["spans"]
    abstain, answer, confidence = record.get("abstain"), record.get("answer"), record.get("confidence")
    return Prediction(
        id=str(record["id"]),
        budget_tokens=int(record["budget"]),
        spans=tuple(span_from_json(span) for span in spans),
        system=str(record.get("system", "")),
        abstain=None if abstain is None else bool(abstain),
        answer=None if answer is None else str(answer),
        confidence=None if confidence is None else float(confidence),
    )
