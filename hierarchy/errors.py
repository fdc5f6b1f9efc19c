"""Every error that the library raises on purpose.

Each carries what a person needs to go on: a message with the numbers or names that matter, and a `hint` with the
remedy. The tree is short on purpose; catch `HierarchyError` to catch them all::

    HierarchyError
    ├── InputError            a document, folder, template or option that can't be used as it is
    │   ├── DocumentNotFound      nothing at that path
    │   ├── DocumentUnreadable    there is something, but its text can't be had
    │   └── DocumentEmpty         it was read and holds no text
    ├── BudgetError           a budget that can't be kept or a ledger used wrongly
    │   ├── BudgetTooSmall        no answer is possible within it; says what would do
    │   └── LedgerError           a reservation settled twice, or not its own
    ├── ModelError            a model that can't be used or whose reply can't
    │   ├── Unavailable · Refused · ContextExceeded · OutputInvalid
    ├── StoreError            a store or trace that is damaged or of another version
    └── Interrupted           a run that was stopped before it was done

Owns no policy: who raises what is documented where it is raised.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "BudgetError",
    "BudgetTooSmall",
    "ContextExceeded",
    "DocumentEmpty",
    "DocumentNotFound",
    "DocumentUnreadable",
    "HierarchyError",
    "InputError",
    "Interrupted",
    "LedgerError",
    "ModelError",
    "OutputInvalid",
    "Refused",
    "StoreError",
    "Unavailable",
]


class HierarchyError(Exception):
    """Base of all errors raised on purpose.

    Attributes:
        message: What happened, numbers and names first.
        hint: How to mend it; may be empty.
        trace: The trace up to the error, where `ask` raised it.
        partial: The answer that could be made all the same, if any.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.trace: Any = None
        self.partial: Any = None

    def __str__(self) -> str:
        """The message, and the remedy behind it."""
        return f"{self.message} {self.hint}".strip()


class InputError(HierarchyError):
    """A document, folder, template or option that can't be used as it is."""


class DocumentNotFound(InputError):
    """Nothing is at the path, or nothing matches the pattern."""


class DocumentUnreadable(InputError):
    """Something is there, but its text can't be had: encrypted, scanned, binary, no permission."""


class DocumentEmpty(InputError):
    """The document was read and holds no text."""


class BudgetError(HierarchyError):
    """A budget that can't be kept, or a ledger used wrongly."""


class BudgetTooSmall(BudgetError):
    """No answer is possible within the budget. Raised before the first call, so that nothing is spent.

    Attributes:
        needed_tokens: The smallest budget that would do.
        given_tokens: The budget that was given.
    """

    def __init__(self, *, needed_tokens: int, given_tokens: int, left_tokens: int | None = None) -> None:
        least = f"{needed_tokens:,} are needed at least."
        if left_tokens is None:
            message = f"A budget of {given_tokens:,} tokens is too small for any answer: {least}"
        else:
            wanted = needed_tokens - given_tokens + left_tokens
            message = (
                f"{left_tokens:,} of {given_tokens:,} tokens are left, too few for any answer: {wanted:,} are needed."
            )
        super().__init__(message, f"Give a budget of {needed_tokens:,} tokens or more.")
        self.needed_tokens = needed_tokens
        self.given_tokens = given_tokens


class LedgerError(BudgetError):
    """A reservation that was settled or released twice, or that another ledger made."""


class ModelError(HierarchyError):
    """A model that can't be used, or whose reply can't."""


class Unavailable(ModelError):
    """The model or its provider can't be reached, or isn't installed."""


class Refused(ModelError):
    """The provider refused the call: key, quota, policy."""


class ContextExceeded(ModelError):
    """The call is longer than the model's context."""


class OutputInvalid(ModelError):
    """The reply can't be read as what was asked for."""


class StoreError(HierarchyError):
    """A store, tree file or trace that is damaged, or written by a newer version."""


class Interrupted(HierarchyError):
    """A run that was stopped before it was done: what was read by then is answered from."""
