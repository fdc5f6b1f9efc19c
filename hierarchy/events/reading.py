"""Events of the reading: what was asked, thought relevant, planned, granted, read and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hierarchy.budget import Budget
from hierarchy.events.records import Branch, Event, GrantLine, ModelFacts

__all__ = [
    "Allocated",
    "Answered",
    "Estimated",
    "HandedBack",
    "Mapped",
    "Missed",
    "Noted",
    "Outlined",
    "Planned",
    "Read",
    "Said",
    "Searched",
    "Started",
    "Stopped",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Started(Event):
    """A question was asked.

    Attributes:
        question: As asked.
        document: Name of the document or folder.
        source_names: Its files, in order.
        document_key: Content hash of the document.
        document_tokens: Its length.
        budget: All caps.
        model: Who composes, as litellm spells it, or `extractive`.
        strategy: Names and values of what was chosen: policy, way, rounds, and hashes of templates and lexicons of the
            user's own.
        models: Who answers, and who helps.
        made_by: Version of this package.
        shared: Whether other questions drew on the same account.
    """

    question: str
    document: str
    source_names: tuple[str, ...]
    document_key: str
    document_tokens: int
    budget: Budget
    model: str
    strategy: Mapping[str, Any] = field(default_factory=dict)
    models: tuple[ModelFacts, ...] = ()
    made_by: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlined(Event):
    """The tree is there.

    Attributes:
        nodes: How many, leaves included.
        leaves: How many.
        depth: Edges from the root to the deepest leaf.
        notes: What had to be guessed when reading the document.
    """

    nodes: int
    leaves: int
    depth: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped(Event):
    """The tree's shape: one entry per node and column, in preorder. A node's children have its number as parent.

    Attributes:
        parents: Number of the parent; -1 for the root.
        kinds: Index into `kind_names`.
        tokens: What the node's text counts.
        files: Index into `Started.source_names` of the file that it begins in.
        starts: First character in that file's text.
        ends: One past the last, in the file that it ends in.
        pages: Page of its first character; 0 without pages.
        kind_names: What kinds there are.
        titles: Titles that the document declares, by the node's number in decimal digits.
    """

    parents: tuple[int, ...]
    kinds: tuple[int, ...]
    tokens: tuple[int, ...]
    files: tuple[int, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
    pages: tuple[int, ...]
    kind_names: tuple[str, ...]
    titles: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimated(Event):
    """Relevance was estimated for every node.

    Attributes:
        document_kind: What kind of document it was taken for.
        question_kind: What kind of question.
        vocabulary: What lexicons knew of the question's words, as `lexicon: phrase`.
        top: The nodes thought most relevant, best first.
        answerable: Estimated probability that the document holds an answer; None if not estimated.
        relevance_permille: The estimate for every node, in preorder, in thousandths.
    """

    document_kind: str = ""
    question_kind: str = ""
    vocabulary: tuple[str, ...] = ()
    top: tuple[Branch, ...] = ()
    answerable: float | None = None
    relevance_permille: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(Event):
    """It was decided how to read. A later plan replaces an earlier one.

    Attributes:
        way: `whole`, `single`, `staged` or `branches`.
        routing: `no`, `lean` or `full`.
        rounds: How often evidence is read and answered from, at most.
        why: The reason, in a sentence.
    """

    way: str
    routing: str = "no"
    rounds: int = 1
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched(Event):
    """A model said what to search for besides the question's own words.

    Attributes:
        terms: Search terms in the document's words.
        needs: Statements, tables or sections that are needed.
        kind: What kind of question it is.
        questions: Its parts.
    """

    terms: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    kind: str = ""
    questions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Missed(Event):
    """A round of reading left something open, and another one looks for it.

    Attributes:
        what: What is missing, in the model's words; it alone is searched for.
        round: Which round it was, from 1.
    """

    what: str
    round: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocated(Event):
    """Tokens were divided over the tree. A later allocation replaces an earlier one.

    Attributes:
        policy: Its name.
        budget_tokens: What there was to divide.
        grants: Who got how much, in the order granted.
    """

    policy: str
    budget_tokens: int
    grants: tuple[GrantLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped(Event):
    """Someone outside ended the reading: nothing more is sent, and what was read by then is answered from.

    Attributes:
        why: In a few words.
    """

    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Read(Event):
    """A stretch of the document was read verbatim.

    Attributes:
        node: Id of the smallest node that holds all of it, dotted.
        source: Name of the file.
        start: First character in the file's text.
        end: One past the last.
        page: Page of its first character; None without pages.
        tokens: What it counts.
        relevance: Estimated probability that it holds needed evidence.
    """

    node: str
    source: str
    start: int
    end: int
    page: int | None = None
    tokens: int
    relevance: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HandedBack(Event):
    """A grant wasn't used up.

    Attributes:
        node: Whose, dotted; empty for the whole tree.
        tokens: How many went back.
        why: In a few words.
    """

    node: str
    tokens: int
    why: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted(Event):
    """Something was worse than it might have been: a failed call, a repaired reply, a guess.

    Attributes:
        what: One sentence for the user.
    """

    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """A piece of the final answer's text, as it comes. For who listens only: **no trace holds it**.

    Attributes:
        text: The piece.
    """

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered(Event):
    """There is an answer.

    Attributes:
        text: The answer; empty if abstained.
        abstained: Whether the evidence didn't support one.
        confidence: In [0, 1].
        partial: Whether reading was cut short.
        citations: As `answer.citations`, each a mapping: quote, source, page, start, end, verified.
        receipt: What was read, seen coarsely, and not seen, as the answer's receipt writes it.
    """

    text: str
    abstained: bool = False
    confidence: float = 0.0
    partial: bool = False
    citations: tuple[Mapping[str, Any], ...] = ()
    receipt: Mapping[str, Any] = field(default_factory=dict)
