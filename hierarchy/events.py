"""What can happen while a question is answered: one typed value for each kind of event.

An event holds plain values only, so that it can be read without the document, the tree or a model. Nodes are named as
they are shown, `0.2.10`. Doesn't know the clock, the terminal, who emits, or how events are kept (`trace`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from hierarchy.budget import NOTHING, Budget, Usage
from hierarchy.errors import HierarchyError
from hierarchy.ledger import Ledger, Reservation

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
class _Record:
    def __post_init__(self) -> None:
        """Make every value one that JSON gives back as it was: lists become tuples, numpy's numbers plain ones."""
        for each in fields(self):
            object.__setattr__(self, each.name, _plain(getattr(self, each.name)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(_Record):
    """Something that happened. Fields take lists and numpy's numbers too, and hold tuples and plain numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch(_Record):
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
class GrantLine(_Record):
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
class ModelFacts(_Record):
    """What was known of a model when the question was asked: all that decides what is sent to it.

    Attributes:
        role: `answer` or `help`: the helper routes, summarises and refines.
        name: As litellm spells it.
        identity: What decides its replies; differs from the name where it is served elsewhere or with options.
        counter: Name of the tiktoken encoding that it counts with; empty if it counts otherwise.
        margin: By which factor it may count higher, before any bill was seen.
        learned: What bills told of that: ratio, observations and tokens of overhead; empty if none did.
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
    input_usd: float | None = None
    output_usd: float | None = None
    context_tokens: int | None = None
    reasoning_tokens: int = 0
    stages: tuple[str, ...] | None = None


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
class Kept(Event):
    """The composer's share was set aside.

    Attributes:
        tokens: How many.
        cost_usd: What they cost at most; None if that isn't known.
    """

    tokens: int
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reserved(Event):
    """A call was admitted: its worst case is held.

    Attributes:
        call: Its number, by which it is settled or released.
        stage: The line of the bill.
        node: What it is about, dotted; empty for the whole tree.
        input_tokens: What the prompt counts.
        max_output_tokens: The cap on the reply.
        tokens: What is held: the prompt by its margin, rounded up, and the cap.
        margin: By which factor the provider may count the prompt higher.
        cost_usd: What it costs at most; None where that isn't known.
        model: Who is called.
        key: Content hash of all that decides the reply.
        prompt: What is sent.
    """

    call: int
    stage: str
    node: str = ""
    input_tokens: int
    max_output_tokens: int
    tokens: int
    margin: float = 1.0
    cost_usd: float | None = None
    model: str = ""
    key: str = ""
    prompt: str = ""

    @classmethod
    def of(
        cls,
        reservation: Reservation,
        *,
        node: tuple[int, ...] | None = None,
        margin: float = 1.0,
        model: str = "",
        key: str = "",
        prompt: str = "",
    ) -> Reserved:
        """The event of a reservation just made."""
        return cls(
            call=reservation.number,
            stage=reservation.stage,
            node=dotted(node or ()),
            input_tokens=reservation.input_tokens,
            max_output_tokens=reservation.max_output_tokens,
            tokens=reservation.tokens,
            margin=margin,
            cost_usd=reservation.cost_usd,
            model=model,
            key=key,
            prompt=prompt,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled(Event):
    """A call that was sent came back, or failed.

    Attributes:
        call: Its number.
        usage: What the ledger settled it at.
        overdraft_tokens: By how much that exceeds what was held.
        cached: Whether the reply was taken from a journal and cost nothing.
        error: Why there is no reply; empty if there is one.
        error_kind: Name of the error's class, which decides what is done about it.
        reply: What came back.
        seconds: How long it took, where the model says so; built-in ones don't.
        retry_after_s: After how many seconds a failed call might be made again; None where that makes no sense.
        reported_input_tokens: What the provider said the prompt counts; None if it said none that can be.
    """

    call: int
    usage: Usage
    overdraft_tokens: int = 0
    cached: bool = False
    error: str = ""
    error_kind: str = ""
    reply: str = ""
    seconds: float | None = None
    retry_after_s: float | None = None
    reported_input_tokens: int | None = None

    @classmethod
    def of(
        cls,
        reservation: Reservation,
        usage: Usage | None,
        *,
        error: HierarchyError | None = None,
        reply: str = "",
        seconds: float | None = None,
        retry_after_s: float | None = None,
    ) -> Settled:
        """The event of a reservation settled at what the provider reports."""
        read = usage.input_tokens if usage else None
        return cls(
            call=reservation.number,
            usage=reservation.billed(usage),
            overdraft_tokens=reservation.overdraft_tokens(usage),
            error=error.message if error else "",
            error_kind=type(error).__name__ if error else "",
            reply=reply,
            seconds=seconds,
            retry_after_s=retry_after_s,
            reported_input_tokens=read if type(read) is int and read >= 0 else None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Released(Event):
    """A call was given up at no tokens.

    Attributes:
        call: Its number.
        attempted: Whether it was sent, and refused without being billed; it then counts as a call.
        error: Why it was refused; empty if it wasn't.
        error_kind: Name of the error's class.
        seconds: How long that took, where the model says so.
        retry_after_s: After how many seconds it might be made again; None where that makes no sense.
    """

    call: int
    attempted: bool = False
    error: str = ""
    error_kind: str = ""
    seconds: float | None = None
    retry_after_s: float | None = None

    @property
    def usage(self) -> Usage:
        """What it counts on the bill."""
        return Usage(calls=int(self.attempted), cost_usd=0.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled(Event):
    """A reply was there already, from an earlier run: it cost nothing now.

    Attributes:
        stage: The line of the bill that it would have gone on.
        node: What it is about, dotted; empty for the whole tree.
        usage: What it cost when it was made, failed attempts included.
        failed: What those had cost.
        reported: Whether the provider had said what it read.
        model: Who made it.
        key: Content hash of all that decided it.
        prompt: What had been sent.
        reply: What came back.
    """

    stage: str
    node: str = ""
    usage: Usage
    failed: Usage = NOTHING
    reported: bool = True
    model: str = ""
    key: str = ""
    prompt: str = ""
    reply: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """A call that failed is made again.

    Attributes:
        call: Number of the one that failed.
        attempt: Which attempt comes next, from 2.
        wait_s: How long is waited before it, in seconds.
    """

    call: int
    attempt: int
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Event):
    """A piece of the final answer's text, as it comes. For who listens only: **no trace holds it**.

    Attributes:
        text: The piece.
    """

    text: str


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
class Stopped(Event):
    """Someone outside ended the reading: nothing more is sent, and what was read by then is answered from.

    Attributes:
        why: In a few words.
    """

    why: str = ""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """The last event: the ledger as it was left.

    Attributes:
        usage: Everything billed.
        by_stage: What each stage was billed.
        remaining_tokens: What the question didn't need, a kept share included.
        overdraft_tokens: What providers billed beyond reservations.
    """

    usage: Usage
    by_stage: tuple[tuple[str, Usage], ...] = ()
    remaining_tokens: int = 0
    overdraft_tokens: int = 0

    @classmethod
    def of(cls, ledger: Ledger) -> Finished:
        """The event of a ledger whose calls are all closed."""
        return cls(
            usage=ledger.spent,
            by_stage=ledger.by_stage,
            remaining_tokens=ledger.remaining_tokens + ledger.kept_tokens,
            overdraft_tokens=ledger.overdraft_tokens,
        )


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
