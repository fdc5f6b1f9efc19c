"""What a flow tells of itself: its events, made from what it decided and did.

Doesn't decide anything.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator

from hierarchy import __version__
from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.events import (
    Allocated,
    Answered,
    Event,
    GrantLine,
    HandedBack,
    Mapped,
    Noted,
    Planned,
    Read,
    Started,
    dotted,
)
from hierarchy.evidence import Evidence
from hierarchy.relevance import Relevance
from hierarchy.relevance.embedding import MODEL
from hierarchy.strategy import Plan, Strategy
from hierarchy.tree import KINDS, SummaryTree

__all__ = ["granted", "mapped", "planned", "started", "told"]


def started(tree: SummaryTree, question: str, budget: Budget, strategy: Strategy, model: str) -> Started:
    """The question, and what it is asked with."""
    return Started(
        question=question,
        document=tree.document.name,
        source_names=tuple(file.name for file in tree.files),
        document_key=tree.document.key,
        document_tokens=tree.tokens,
        budget=budget,
        model=model,
        strategy=_chosen(strategy),
        made_by=__version__,
    )


def _chosen(strategy: Strategy) -> dict[str, object]:
    """What was chosen, by name; what the user wrote, by hash."""
    chosen: dict[str, object] = {"policy": strategy.policy_name, "way": strategy.way, "rounds": strategy.rounds}
    if strategy.prompts is not None:
        files = sorted(strategy.prompts.glob("*.jinja"))
        chosen["prompts"] = _hash([(file.name, file.read_text("utf-8", "replace")) for file in files])
    if strategy.lexicons is not None:
        chosen["lexicons"] = _hash(strategy.lexicons)
    if strategy.semantic:
        chosen["semantic"] = MODEL
    return chosen


def _hash(value: object) -> str:
    return hashlib.blake2b(repr(value).encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()


def mapped(tree: SummaryTree) -> Mapped:
    """The tree's shape."""
    nodes, leaves = tree.nodes, tree.leaves
    low, last = nodes.low.clip(max=max(0, len(leaves) - 1)), (nodes.high - 1).clip(min=0)
    return Mapped(
        parents=tuple(nodes.parent.tolist()),
        kinds=tuple(nodes.kind.tolist()),
        tokens=tuple(tree.node_tokens.tolist()),
        files=tuple(leaves.file[low].tolist()),
        starts=tuple(leaves.start[low].tolist()),
        ends=tuple(leaves.end[last].tolist()),
        pages=tuple(tree.leaf_pages[low].tolist()),
        kind_names=KINDS,
        titles={str(number): title for number, title in sorted(tree.titles.items())},
    )


def planned(plan: Plan) -> Planned:
    """How the document will be read."""
    return Planned(way=plan.way, routing=plan.routing, rounds=plan.rounds, why=plan.why)


def granted(
    tree: SummaryTree, relevance: Relevance, evidence: Evidence, strategy: Strategy, room: int
) -> Generator[Event, None, None]:
    """The allocation that the evidence came from, by node, and what of it wasn't used."""
    lines = []
    for low, high in evidence.order:
        node = tree.node(tree.smallest_node(low, high))
        first, last = tree.page(low), tree.page(high - 1)
        lines.append(
            GrantLine(
                node=str(node),
                title=tree.heading(low) or node.title,
                tokens=int(tree.leaf_edges[high] - tree.leaf_edges[low]),
                gain=float(relevance.leaf[low:high].max()),
                pages=(first, last) if first is not None and last is not None else None,
            )
        )
    yield Allocated(policy="whole" if evidence.whole else strategy.policy_name, budget_tokens=room, grants=tuple(lines))
    if evidence.handed_back_tokens:
        yield HandedBack(node="0", tokens=evidence.handed_back_tokens, why="not needed for what is worth reading")


def told(answer: Answer) -> Generator[Event, None, None]:
    """What was read, what went wrong, and the answer."""
    for passage in answer.evidence.passages:
        yield Read(
            node=dotted(passage.node),
            source=passage.source,
            start=passage.start,
            end=passage.end,
            page=passage.page,
            tokens=passage.tokens,
            relevance=passage.relevance,
        )
    for note in answer.notes:
        yield Noted(what=note)
    record = answer.to_dict()
    yield Answered(
        text=answer.text,
        abstained=answer.abstained,
        confidence=answer.confidence,
        partial=answer.partial,
        citations=tuple(record["citations"]),
        receipt={**record["receipt"], "unread": record["unread"]},
    )
