"""What events are made of: plain values that JSON gives back as they were, nodes named as they are shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

__all__ = ["Branch", "Event", "GrantLine", "ModelFacts", "Record", "dotted"]


def dotted(node: tuple[int, ...]) -> str:
    """A node's id as events write it.

    Example:
        >>> dotted((0, 2, 10))
        '0.2.10'
    """
    return ".".join(map(str, node))


_PLAIN = frozenset({int, float, str, bool, type(None)})


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple) and _PLAIN.issuperset(map(type, value)):
        return tuple(value)  # Columns over all nodes are long.
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return tuple(_plain(each) for each in value)
    # numpy's numbers hold Python's; asking for the method spares importing numpy to ask for the type.
    return value.item() if hasattr(value, "item") else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A value that a trace holds, by itself or in an event."""

    def __post_init__(self) -> None:
        """Make every value one that JSON gives back as it was: lists become tuples, numpy's numbers plain ones."""
        for each in fields(self):
            object.__setattr__(self, each.name, _plain(getattr(self, each.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Record):
    """Something that happened. Fields take lists and numpy's numbers too, and hold tuples and plain numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(Record):
    """A node among others, in an event about several.

    Attributes:
        node: Its id, dotted.
        title: What a reader would call it.
        relevance: Estimated probability that it holds needed evidence.
    """

    node: str
    title: str
    relevance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GrantLine(Record):
    """Tokens granted to one node.

    Attributes:
        node: Its id, dotted.
        title: What a reader would call it.
        tokens: How many it may be read for.
        gain: Expected evidence that the grant adds.
        pages: First and last page; None without pages.
    """

    node: str
    title: str
    tokens: int
    gain: float = 0.0
    pages: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts(Record):
    """What was known of a model when the question was asked: all that decides what is sent to it.

    Attributes:
        role: `answer` or `help`: the helper routes, summarises and refines.
        name: As litellm spells it.
        identity: What decides its replies; differs from the name where it is served elsewhere or with options.
        counter: Name of the tiktoken encoding that it counts with; empty if it counts otherwise.
        margin: By which factor it may count higher, before any bill was seen.
        learned: What bills told of that: ratio, observations and tokens of overhead; empty if none did.
        call_usd: Price of a call besides its tokens.
        input_usd: Price of a token that is sent; None where it isn't known.
        output_usd: Price of a token that comes back.
        context_tokens: The longest prompt that it takes; None if that isn't known.
        reasoning_tokens: What is allowed beside a reply for thinking.
        stages: The stages that it answers; None for all.
    """

    role: str
    name: str
    identity: str = ""
    counter: str = ""
    margin: float = 1.0
    learned: tuple[float, ...] = ()
    call_usd: float = 0.0
    input_usd: float | None = None
    output_usd: float | None = None
    context_tokens: int | None = None
    reasoning_tokens: int = 0
    stages: tuple[str, ...] | None = None
