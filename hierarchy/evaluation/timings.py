"""What runs cost, kept beside the predictions they wrote: `predictions.jsonl` → `predictions.run.json`.

The record adds up over resumed runs and holds counts beside seconds, so that costs per document and per question can be
told whatever was interrupted. **It holds no dates and no absolute paths**: where the set lies is said relative to the
record.

A question's CPU is that of the first budget it is asked at: a system may keep what it found for the others. Work that
one system leaves to the next within a run is charged to both (`reuse`), as if each had run alone.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from hierarchy.errors import StoreError

__all__ = ["Record", "Timing", "Timings", "add_record", "cpu_s", "read_record", "record_path", "reuse"]

_VERSION = 1
_PACKAGES = ("hierarchy", "numpy", "pypdfium2", "tiktoken")


_reused: list[float] = []


def reuse(seconds: float) -> None:
    """Charge work that was done before, for another system, and is used again."""
    _reused.append(seconds)


def cpu_s() -> float:
    """CPU seconds of this process, what was reused included."""
    return time.process_time() + sum(_reused)


@dataclass(slots=True, kw_only=True)
class Timing:
    """What one system took, in CPU seconds.

    Attributes:
        documents: Documents it was prepared for.
        prepare_s: All that it did once per document.
        questions: Questions asked.
        first_s: Each question at the first budget asked.
        predictions: Predictions made, one per question and budget.
        question_s: All of them.
    """

    documents: int = 0
    prepare_s: float = 0.0
    questions: int = 0
    first_s: float = 0.0
    predictions: int = 0
    question_s: float = 0.0

    def prepared(self, seconds: float) -> None:
        """Note one more document."""
        self.documents += 1
        self.prepare_s += seconds

    def asked(self, seconds: float, *, first: bool) -> None:
        """Note one more prediction, and whether it was the question's first."""
        self.predictions += 1
        self.question_s += seconds
        if first:
            self.questions += 1
            self.first_s += seconds

    def add(self, other: Timing) -> None:
        """Add another's counts and seconds."""
        for name in Timing.__slots__:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def per_question(self, questions_per_document: int) -> float | None:
        """CPU seconds of a question, its share of the preparation included; None if nothing was timed."""
        if not self.documents or not self.questions:
            return None
        return self.prepare_s / self.documents / questions_per_document + self.first_s / self.questions


@dataclass(slots=True, kw_only=True)
class Timings:
    """What a run took: reading documents, which all systems share, and each system by name."""

    documents: int = 0
    load_s: float = 0.0
    systems: dict[str, Timing] = field(default_factory=dict)

    @classmethod
    def zero(cls, names: Collection[str]) -> Timings:
        """Nothing yet, for some systems."""
        return cls(systems={name: Timing() for name in names})

    def loaded(self, seconds: float) -> None:
        """Note one more document read."""
        self.documents += 1
        self.load_s += seconds

    def add(self, other: Timings) -> None:
        """Add another's counts and seconds."""
        self.documents += other.documents
        self.load_s += other.load_s
        for name, timing in other.systems.items():
            self.systems.setdefault(name, Timing()).add(timing)

    @property
    def total_s(self) -> float:
        """All of it."""
        return self.load_s + sum(timing.prepare_s + timing.question_s for timing in self.systems.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What is on record about a predictions file.

    Attributes:
        folder: The set that was predicted.
        timings: What all runs that wrote to the file took together.
        command: The last command that did.
        versions: Of Python and the packages that decide what comes out and how fast, at that last run.
    """

    folder: Path
    timings: Timings
    command: tuple[str, ...] = ()
    versions: dict[str, str] = field(default_factory=dict)


def record_path(out: Path) -> Path:
    """Where the record of a predictions file stands."""
    return out.with_suffix(".run.json")


def add_record(out: Path, folder: Path, timings: Timings, command: Sequence[str] = ()) -> None:
    """Add what a run took to the record of its file; a run that did nothing leaves the record as it is."""
    before = read_record(out)
    if before and not timings.documents:
        return
    together = before.timings if before else Timings()
    together.add(timings)
    record = {
        "hierarchy_run": _VERSION,
        "set": Path(os.path.relpath(folder.resolve(), out.resolve().parent)).as_posix(),
        "command": list(command),
        "versions": _versions(),
        **asdict(together),
    }
    record_path(out).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def read_record(out: Path) -> Record | None:
    """The record of a predictions file; None if it has none, as files that others wrote.

    Raises:
        StoreError: It is damaged or of another version.
    """
    path = record_path(out)
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_text("utf-8"))
        if record["hierarchy_run"] != _VERSION:
            raise StoreError(f"{path} is of version {record['hierarchy_run']!r}, this reads {_VERSION}.", "Run again.")
        return Record(
            folder=Path(os.path.normpath(out.parent / record["set"])),
            timings=Timings(
                documents=int(record["documents"]),
                load_s=float(record["load_s"]),
                systems={str(name): Timing(**timing) for name, timing in record["systems"].items()},
            ),
            command=tuple(map(str, record["command"])),
            versions={str(name): str(number) for name, number in record["versions"].items()},
        )
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is no record of a run: {error!r}.", "Delete it; timings start anew.") from error


def _versions() -> dict[str, str]:
    return {"python": platform.python_version(), **{name: _version(name) for name in _PACKAGES}}


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
