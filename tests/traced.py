"""Traces to draw: deterministic runs on what comes with the package, and a tree of any size made up from nothing."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from functools import lru_cache

import hierarchy
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome, Request
from hierarchy.engine import Reasoner
from hierarchy.errors import Unavailable
from hierarchy.events import (
    Allocated,
    Answered,
    Branch,
    Estimated,
    Event,
    Finished,
    GrantLine,
    Mapped,
    Outlined,
    Planned,
    Read,
    Reserved,
    Settled,
    Started,
)
from hierarchy.models import FunctionModel
from hierarchy.trace import Trace

__all__ = ["RUNS", "large_trace", "trace_of"]

REPORT, CHART = "annual_report.pdf", "patient_chart.md"
_PASSAGE = re.compile(r"<(\d+)> ")


def _lines(prompt: str, word: str) -> list[tuple[int, str]]:
    """The lines of a prompt's passages that hold a word, each with its passage's number."""
    number, found = 0, []
    for line in prompt.splitlines():
        head = _PASSAGE.match(line)
        number = int(head[1]) if head else 0 if line == "</passages>" else number
        if number and not head and word in line:
            found.append((number, line))
    return found


@lru_cache
def _tree(name: str) -> hierarchy.SummaryTree:
    return hierarchy.outline(hierarchy.sample(name))


def _priced(reply: str, request: Request, seconds: float) -> Outcome:
    """A reply as a provider bills it: a token for every four characters, and so many seconds."""
    tokens_in, tokens_out = len(request.prompt) // 4, max(1, len(reply) // 4)
    usage = Usage(
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        calls=1,
        cost_usd=tokens_in * 2.5e-6 + tokens_out * 1e-5,
    )
    return Outcome(text=reply, usage=usage, seconds=seconds)


def _model(function: object, name: str) -> FunctionModel:
    return FunctionModel(
        function,
        name=name,
        count=lambda text: len(text) // 4 + 1,
        price=lambda tokens_in, tokens_out: tokens_in * 2.5e-6 + tokens_out * 1e-5,
    )


def _staged() -> Trace:
    """Routed; refused once and failing once; a round that names what it misses, and one that answers."""
    troubles = [
        Outcome(error=Unavailable("The provider is overloaded.", "Wait."), retry_after_s=0.0, unbilled=True),
        Outcome(error=Unavailable("The connection broke.", "Wait."), retry_after_s=0.0),
    ]

    def reply(request: Request) -> Outcome:
        if request.stage == "route":
            terms = ["maturities of long-term debt", "subsequent events", "amendment", "fiscal 2029"]
            routed = {"terms": terms, "needs": ["debt note"], "kind": "lookup", "questions": []}
            return _priced(json.dumps(routed), request, 0.8)
        if troubles:
            return troubles.pop(0)
        if request.stage == "compose":
            missing = "the amended maturity schedule"
            return _priced(json.dumps({"answer": "", "quotes": [], "missing": missing}), request, 1.9)
        number, line = _lines(request.prompt, "amended in October")[0]
        said = {"answer": line, "quotes": [{"source": number, "text": line}], "missing": ""}
        return _priced(json.dumps(said), request, 2.4)

    question = "Taking events after year end into account, how much debt principal comes due in fiscal 2029?"
    large, small = _model(reply, "acme/large"), _model(reply, "acme/small")
    reasoner = Reasoner(large, summary_model=small, way="staged", store=None)
    return reasoner.ask(_tree(REPORT), question, 8_000).trace


def _branches() -> Trace:
    """Branches read side by side by calls of their own, and an answer from what they bring back."""

    def reply(request: Request) -> Outcome:
        quotes = [{"source": number, "text": line} for number, line in _lines(request.prompt, "matur")[:2]]
        if request.stage == "refine":
            return _priced(json.dumps({"quotes": quotes[:1]}), request, 1.1)
        said = {"answer": quotes[0]["text"], "quotes": quotes, "missing": ""}
        return _priced(json.dumps(said), request, 2.0)

    reasoner = Reasoner(_model(reply, "acme/large"), way="branches", store=None)
    return reasoner.ask(_tree(REPORT), "List all debts and their maturities", Budget(9_000, max_cost_usd=0.5)).trace


def _abstaining() -> Trace:
    return Reasoner(store=None).ask(_tree(CHART), "Which volcano erupted on Iceland?", 2_000).trace


def _cut_off() -> Trace:
    """As a process that was killed while a call was under way leaves it behind."""
    events = trace_of("staged").events
    last = max(at for at, event in enumerate(events) if isinstance(event, Reserved))
    return Trace(events[: last + 1])


def _old() -> Trace:
    """As version 1 wrote it: without a map, prompts, or what is known of models."""
    missing: dict[type[Event], dict[str, object]] = {
        Started: {"models": (), "made_by": ""},
        Estimated: {"relevance_permille": ()},
        Reserved: {"model": "", "key": "", "prompt": ""},
        Settled: {"reply": ""},
    }
    events = (replace(event, **missing.get(type(event), {})) for event in trace_of("demo"))
    return Trace(tuple(event for event in events if not isinstance(event, Mapped)))


def _demo() -> Trace:
    question = "For how much was the Orchard Lane litigation settled?"
    return Reasoner(store=None).ask(_tree(REPORT), question, 4_000).trace


def _gathered() -> Trace:
    return Reasoner(store=None).context(_tree(CHART), "Is he really allergic to penicillin?", 2_000).trace


RUNS = {
    "demo": _demo,
    "staged": _staged,
    "branches": _branches,
    "abstaining": _abstaining,
    "cut-off": _cut_off,
    "version-1": _old,
    "gathered": _gathered,
}
"""Runs by name: built-in and scripted models, whole and cut off, old and new."""


@lru_cache
def trace_of(name: str) -> Trace:
    """The trace of a run; made once."""
    return RUNS[name]()


# -- of any size -------------------------------------------------------------------------------------------------------


def large_trace(nodes: int = 100_000, calls: int = 1_700, reads: int = 1_500) -> Trace:
    """A folder of reports with sections, passages and sentences: so many nodes, and calls and reads all over them."""
    chance = random.Random(7)
    parents, kinds, ids, below, titles = [-1], [0], ["0"], [0], dict[str, str]()

    def add(parent: int, kind: int, title: str = "") -> int:
        number = len(parents)
        parents.append(parent)
        kinds.append(kind)
        ids.append(f"{ids[parent]}.{below[parent]}")
        below[parent] += 1
        below.append(0)
        if title:
            titles[str(number)] = title
        return number

    while len(parents) < nodes:
        report = add(0, 1, f"report {below[0]}.pdf")
        for section in range(12):
            held = add(report, 2, f"Section {section} of {titles[str(report)]}")
            for passage in (add(held, 5) for _ in range(8)):
                for _ in range(9):
                    add(passage, 6)
    leaves = [number for number, count in enumerate(below) if not count]
    tokens, starts, ends = _measured(parents, below)
    chosen = chance.sample(leaves, reads)
    events: list[Event] = [
        Started(
            question="What is said of it?", document="reports", source_names=("reports",), document_key="k",
            document_tokens=tokens[0], budget=Budget(2_000_000), model="extractive",
        ),
        Outlined(nodes=len(parents), leaves=len(leaves), depth=4),
        Mapped(
            parents=parents, kinds=kinds, tokens=tokens, files=[0] * len(parents), starts=starts, ends=ends,
            pages=[0] * len(parents), titles=titles,
            kind_names=("folder", "document", "section", "group", "page", "passage", "sentence"),
        ),
        Estimated(
            top=[Branch(node="0.1", title="report", relevance=0.5)],
            relevance_permille=[chance.randrange(1_000) for _ in parents],
        ),
        Planned(way="branches", why="The question is about all of the document."),
        Allocated(
            policy="expected_gain", budget_tokens=100_000,
            grants=[GrantLine(node=ids[leaf], title="", tokens=20) for leaf in chosen],
        ),
    ]  # fmt: skip
    for call in range(1, calls + 1):
        node = ids[parents[chance.choice(chosen)]]
        events.append(
            Reserved(
                call=call, stage="refine", node=node, input_tokens=500, max_output_tokens=100, tokens=600,
                model="extractive", prompt="word " * 300,
            )
        )  # fmt: skip
        events.append(Settled(call=call, usage=Usage(input_tokens=500, output_tokens=50, calls=1), reply="word " * 40))
    events += [Read(node=ids[leaf], source="reports", start=starts[leaf], end=ends[leaf], tokens=20) for leaf in chosen]
    sections = [number for number, kind in enumerate(kinds) if kind == 2]
    unread = [
        {"node": ids[each], "title": titles[str(each)], "source": "reports", "pages": None, "tokens": 1_440,
         "relevance": 0.1, "seen": "no"}
        for each in sections[:1_000]
    ]  # fmt: skip
    whole = {"read_tokens": 20 * reads, "coarse_tokens": 0, "unread_tokens": 0, "document_tokens": tokens[0]}
    quoted = {"quote": "It is.", "source": "reports", "page": None, "start": starts[chosen[0]], "end": ends[chosen[0]]}
    citations = [{**quoted, "verified": True}]
    events.append(Answered(text="It is.", confidence=0.5, citations=citations, receipt={**whole, "unread": unread}))
    events.append(Finished(usage=Usage(), remaining_tokens=5))
    return Trace(tuple(events))


def _measured(parents: list[int], below: list[int]) -> tuple[list[int], list[int], list[int]]:
    """Tokens, first and last character of each node: a leaf has 20 tokens and 80 characters."""
    tokens = [0 if count else 20 for count in below]
    starts, ends, at = [], [], 0
    for count in below:
        starts.append(at)
        at += 0 if count else 80
        ends.append(at)
    for number in range(len(parents) - 1, 0, -1):
        tokens[parents[number]] += tokens[number]
        ends[parents[number]] = max(ends[parents[number]], ends[number])
    return tokens, starts, ends
