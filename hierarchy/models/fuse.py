"""The fuse: while it is in, a model that would call a provider raises instead.

A test that forgot to pass its own model then fails at once, rather than cost money or hang. Models that reach out call
`check_fuse` first; those that answer on this machine don't.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count

__all__ = ["CallsForbidden", "check_fuse", "forbid_calls"]

# One entry per fuse that is in. Process-wide rather than a context variable: the engine's threads must see it too.
_fuses: dict[int, None] = {}
_numbers = count()


class CallsForbidden(RuntimeError):
    """A model tried to call a provider under `forbid_calls`. No `HierarchyError`: nothing is to degrade around it."""


@contextmanager
def forbid_calls() -> Iterator[None]:
    """Make every call to a provider raise, in all threads, until the block ends.

    Example:
        >>> with forbid_calls():
        ...     check_fuse("anthropic/claude-sonnet-4-5")
        Traceback (most recent call last):
        hierarchy.models.fuse.CallsForbidden: anthropic/claude-sonnet-4-5 was called where calls are forbidden.
    """
    number = next(_numbers)
    _fuses[number] = None
    try:
        yield
    finally:
        del _fuses[number]


def check_fuse(model: str) -> None:
    """To be called by a model before it reaches out.

    Raises:
        CallsForbidden: A fuse is in.
    """
    if _fuses:
        raise CallsForbidden(f"{model} was called where calls are forbidden.")
