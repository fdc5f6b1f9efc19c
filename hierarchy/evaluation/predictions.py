"""What a system predicts: the evidence it would read, in order of preference, and the JSONL file that holds it.

One line is one question at one budget, in the format of the reference scorer: `{"id", "budget", "spans"}`, and
`"system"` beside them, so that several systems fit one file. Optional are `"abstain"`, `"answer"` and `"confidence"`,
and where a model answered what it was billed (`Bill`), or why there is no answer.

Owns the spans and the file. Doesn't know how spans are found (`baselines`, `ours`) or judged (`metrics`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hierarchy.budget import NOTHING, Usage
from hierarchy.errors import InputError

__all__ = [
    "Bill",
    "EvidenceSpan",
    "PageSpan",
    "Prediction",
    "TextSpan",
    "read_predictions",
    "reader_of",
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
class Bill:
    """What one answer took.

    Attributes:
        usage: All calls; **replies of earlier runs at what they had cost**, so that a store makes no answer cheaper.
        by_stage: The same by stage of the work; adds up to `usage`.
        recalled: How much of it such replies had cost: nothing was paid for it this time.
        seconds: From question to answer; it says nothing where replies were there already.
        model: Who answered.
        summary_model: Who routed, summarised and read branches; empty if `model` did.
    """

    usage: Usage
    by_stage: tuple[tuple[str, Usage], ...] = ()
    recalled: Usage = NOTHING
    seconds: float | None = None
    model: str = ""
    summary_model: str = ""


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
        partial: Whether something went wrong on the way to the answer.
        error: Why there is no answer; empty where there is one, or none was asked for.
        bill: What the answer took; None where no model was asked.
    """

    id: str
    budget_tokens: int
    spans: tuple[EvidenceSpan, ...]
    system: str = ""
    abstain: bool | None = None
    answer: str | None = None
    confidence: float | None = None
    partial: bool = False
    error: str = ""
    bill: Bill | None = None

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


def reader_of(system: str) -> str:
    """Who chose what a system reads: what stands before the model that answers.

    Example:
        >>> reader_of("hierarchy+openai/gpt-5-mini"), reader_of("bm25")
        ('hierarchy', 'bm25')
    """
    return system.partition("+")[0]


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
    record |= {"partial": True} if prediction.partial else {}
    record |= {"error": prediction.error} if prediction.error else {}
    if prediction.bill is not None:
        record |= _bill_to_json(prediction.bill)
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
        partial=bool(record.get("partial")),
        error=str(record.get("error", "")),
        bill=_bill(record) if "usage" in record else None,
    )


def _bill_to_json(bill: Bill) -> dict[str, Any]:
    by_stage = {stage: _usage_to_json(usage) for stage, usage in bill.by_stage}
    record: dict[str, Any] = {"usage": {**_usage_to_json(bill.usage), "by_stage": by_stage}}
    record |= {"recalled": _usage_to_json(bill.recalled)} if bill.recalled != NOTHING else {}
    record |= {"seconds": bill.seconds} if bill.seconds is not None else {}
    return record | {name: value for name in ("model", "summary_model") if (value := getattr(bill, name))}


def _bill(record: Mapping[str, Any]) -> Bill:
    seconds, recalled = record.get("seconds"), record.get("recalled")
    return Bill(
        usage=_usage(record["usage"]),
        by_stage=tuple((str(stage), _usage(usage)) for stage, usage in record["usage"].get("by_stage", {}).items()),
        recalled=NOTHING if recalled is None else _usage(recalled),
        seconds=None if seconds is None else float(seconds),
        model=str(record.get("model", "")),
        summary_model=str(record.get("summary_model", "")),
    )


def _usage_to_json(usage: Usage) -> dict[str, Any]:
    names = ("input_tokens", "output_tokens", "total_tokens", "calls", "cost_usd")
    return {name: getattr(usage, name) for name in names}


def _usage(record: Mapping[str, Any]) -> Usage:
    cost = record.get("cost_usd")
    return Usage(
        input_tokens=int(record["input_tokens"]),
        output_tokens=int(record["output_tokens"]),
        calls=int(record.get("calls", 0)),
        cost_usd=None if cost is None else float(cost),
    )
