"""Which systems can be run, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import MappingProxyType

from hierarchy.errors import InputError
from hierarchy.evaluation.baselines import BM25, Head, Random
from hierarchy.evaluation.dense import Dense, Fusion
from hierarchy.evaluation.oracle import AnySystem, Oracle
from hierarchy.evaluation.ours import ROUTED, HierarchySystem, RoutedSystem
from hierarchy.evaluation.trees import AutoMerging, CollapsedTree, Descent
from hierarchy.relevance import Routing

__all__ = ["SYSTEMS", "systems_named", "with_replies"]

SYSTEMS: Mapping[str, Callable[[], AnySystem]] = MappingProxyType(
    {
        "hierarchy": HierarchySystem,
        "expected-gain": partial(HierarchySystem, policy="expected_gain"),
        "proportional": partial(HierarchySystem, policy="proportional"),
        "uniform": partial(HierarchySystem, policy="uniform"),
        "top-k": partial(HierarchySystem, policy="top_k"),
        "semantic": partial(HierarchySystem, semantic=True),
        "no-lexicons": partial(HierarchySystem, lexicons=False),
        "formula": partial(HierarchySystem, formula=True),
        "confident-0.7": partial(HierarchySystem, confidence=0.7),
        "confident-0.8": partial(HierarchySystem, confidence=0.8),
        "confident-0.9": partial(HierarchySystem, confidence=0.9),
        "bm25": BM25,
        "bm25-sentence": partial(BM25, chunk="sentence"),
        "bm25-128": partial(BM25, chunk=128),
        "bm25-512": partial(BM25, chunk=512),
        "bm25-page": partial(BM25, chunk="page"),
        "bm25-heading": partial(BM25, headings=True),
        "dense": Dense,
        "rrf": Fusion,
        "raptor": CollapsedTree,
        "automerge": AutoMerging,
        "descent": Descent,
        "head": Head,
        "random": Random,
        "oracle": Oracle,
    }
)
"""Every system, as what makes it. `bm25` cuts at 256 tokens; on texts without pages, a page is the whole file."""


def systems_named(names: Iterable[str]) -> Mapping[str, AnySystem]:
    """Make systems by name, in the order given.

    Raises:
        InputError: There is no such system, or none was named.
    """
    names = tuple(names)
    unknown = [name for name in names if name not in SYSTEMS]
    if unknown or not names:
        missing = f"There is no system {', '.join(map(repr, unknown))}." if unknown else "No system was named."
        raise InputError(missing, f"Choose from {', '.join(SYSTEMS)}.")
    return {name: SYSTEMS[name]() for name in names}


def with_replies(
    systems: Mapping[str, AnySystem], replies: Mapping[str, Routing], *, lean: bool | None = None
) -> Mapping[str, AnySystem]:
    """The systems that route, given recorded replies and named so; the others as they are.

    Args:
        systems: By name.
        replies: By case.
        lean: Which form of the call; None for the one that the library takes for the document.

    Raises:
        InputError: None of them routes.
    """
    if not any(isinstance(system, HierarchySystem) for system in systems.values()):
        raise InputError(
            f"None of {', '.join(systems)} routes a question.", "Replies are for the library's own systems."
        )
    made: dict[str, AnySystem] = {}
    for name, system in systems.items():
        if isinstance(system, HierarchySystem):
            made[name + ROUTED] = RoutedSystem(replies=replies, system=system, lean=lean)
        else:
            made[name] = system
    return made
