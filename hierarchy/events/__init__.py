"""What can happen while a question is answered: one typed value for each kind of event.

An event holds plain values only, so that it can be read without the document, the tree or a model. Nodes are named as
they are shown, `0.2.10`. Doesn't know the clock, the terminal, who emits, or how events are kept (`trace`).

    records   what events are made of
    reading   what was asked, thought relevant, planned, granted, read and answered
    books     what was kept, held, billed and given back
"""

from __future__ import annotations

from hierarchy.events.books import Finished, Kept, Recalled, Released, Reserved, Retried, Settled
from hierarchy.events.reading import (
    Allocated,
    Answered,
    Estimated,
    HandedBack,
    Mapped,
    Missed,
    Noted,
    Outlined,
    Planned,
    Read,
    Said,
    Searched,
    Started,
    Stopped,
)
from hierarchy.events.records import Branch, Event, GrantLine, ModelFacts, dotted

__all__ = [
    "KINDS",
    "Allocated",
    "Answered",
    "Branch",
    "Estimated",
    "Event",
    "Finished",
    "GrantLine",
    "HandedBack",
    "Kept",
    "Mapped",
    "Missed",
    "ModelFacts",
    "Noted",
    "Outlined",
    "Planned",
    "Read",
    "Recalled",
    "Released",
    "Reserved",
    "Retried",
    "Said",
    "Searched",
    "Settled",
    "Started",
    "Stopped",
    "dotted",
]

KINDS: tuple[type[Event], ...] = (
    Started,
    Outlined,
    Mapped,
    Estimated,
    Planned,
    Searched,
    Allocated,
    Kept,
    Reserved,
    Recalled,
    Settled,
    Released,
    Retried,
    Missed,
    Stopped,
    Read,
    HandedBack,
    Noted,
    Said,
    Answered,
    Finished,
)
"""Every kind of event, in the order in which a question goes through them."""
