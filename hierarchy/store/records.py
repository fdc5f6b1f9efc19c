"""What a store holds, as values and as rows; each row is sealed by a checksum over all of it that matters.

A row says when it was made and when it was last used. The checksum covers everything but the latter, which changes with
every reading and decides nothing but what goes first. **A row whose checksum doesn't fit is never read as truth.**
Strings are kept as bytes: a reply may hold NULs and halves of surrogate pairs, which SQLite's text may not.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from hierarchy.budget import Usage

__all__ = ["COLUMNS", "KINDS", "Completion", "Entry", "as_bytes", "as_text", "checksum", "completion_of", "values_of"]

COLUMNS = MappingProxyType(
    {
        "completions": (
            "key",
            "model",
            "stage",
            "text",
            "input_tokens",
            "output_tokens",
            "calls",
            "cost_usd",
            "created",
        ),
        "trees": ("key", "name", "tokens", "data", "created"),
        "margins": ("key", "ratio", "observations", "overhead_tokens", "created"),
    }
)
"""The sealed columns of each kind of row, the key first and the time last."""
KINDS = tuple(COLUMNS)

_MOST = 2**63 - 1  # SQLite's integers


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """A reply that was paid for.

    Attributes:
        key: Content hash of all that decided it (`Request.key`).
        model: Who gave it.
        stage: The line of the bill it was on.
        text: All of it.
        usage: What it was billed when it was made. Numbers beyond SQLite's 64 bits are kept as the largest there is.
    """

    key: str
    model: str
    stage: str
    text: str
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing that a store holds, without its content.

    Attributes:
        kind: `completions`, `trees` or `margins`.
        key: What it is found by; of a margin the model.
        name: The stage and model of a completion, the document of a tree, the model of a margin.
        size_bytes: What its content takes.
        created: When it was kept, in seconds since 1970.
        used: When it was last kept or read.
    """

    kind: str
    key: str
    name: str
    size_bytes: int
    created: float
    used: float


def checksum(kind: str, values: Sequence[object]) -> bytes:
    """The seal of a row: of its kind and of the values of `COLUMNS`, each with its length."""
    digest = hashlib.blake2b(kind.encode(), digest_size=16)
    for value in values:
        data = value if isinstance(value, bytes) else repr(value).encode()
        digest.update(f"{type(value).__name__}{len(data)}:".encode())
        digest.update(data)
    return digest.digest()


def values_of(completion: Completion, created: float) -> tuple[object, ...]:
    """A completion as the sealed columns of its row."""
    usage = completion.usage
    cost = usage.cost_usd
    return (
        as_bytes(completion.key),
        as_bytes(completion.model),
        as_bytes(completion.stage),
        as_bytes(completion.text),
        _bounded(usage.input_tokens),
        _bounded(usage.output_tokens),
        _bounded(usage.calls),
        cost + 0.0 if cost is not None and math.isfinite(cost) else None,  # SQLite has neither NaN nor a negative zero
        created,
    )


def completion_of(values: Sequence[Any]) -> Completion:
    """The completion of a row whose seal fits."""
    key, model, stage, text, input_tokens, output_tokens, calls, cost_usd, _ = values
    return Completion(
        key=as_text(key),
        model=as_text(model),
        stage=as_text(stage),
        text=as_text(text),
        usage=Usage(input_tokens=input_tokens, output_tokens=output_tokens, calls=calls, cost_usd=cost_usd),
    )


def as_bytes(text: str) -> bytes:
    """Any string at all, to be kept."""
    return text.encode("utf-8", "surrogatepass")


def as_text(data: object) -> str:
    """What `as_bytes` was given; of what is damaged as much as can be shown."""
    if not isinstance(data, bytes):
        return str(data)
    try:
        return data.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return data.decode("utf-8", "backslashreplace")


def _bounded(number: int) -> int:
    return max(-_MOST, min(_MOST, int(number)))
