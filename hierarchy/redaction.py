"""A trace without its words: what can be shown to others when the document, or the question, can't.

Structure and figures stay: sizes, offsets, pages, tokens, relevance, costs, the order of calls. Whatever could quote
the document or the question goes: prompts, replies, answer, titles, notes, errors, search terms, names of files.
`RULES` says of every field of every event what becomes of it; **a field that no rule names isn't taken over**, and what
is kept as a name must look like one, so that a sentence in its place goes as well.

A hash confirms a guess: who suspects which document or question it was can try it. So hashes go, too, unless asked for.
Doesn't know who shows a trace.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from hierarchy.budget import Budget, Usage
from hierarchy.events import (
    Allocated,
    Answered,
    Branch,
    Estimated,
    Finished,
    GrantLine,
    HandedBack,
    Kept,
    Mapped,
    Missed,
    ModelFacts,
    Noted,
    Outlined,
    Planned,
    Read,
    Recalled,
    Released,
    Reserved,
    Retried,
    Said,
    Searched,
    Settled,
    Started,
    Stopped,
)
from hierarchy.trace import Trace
from hierarchy.tree import KINDS

__all__ = ["MARK", "NOTE", "RULES", "is_redacted", "node_ids", "redacted"]

MARK = "(redacted)"
"""Stands where words were."""
NOTE = "This trace is redacted: words of the document, the question and the answer were removed, figures were kept."

_NAME = re.compile(r"[\w.:/@+-]{1,80}", re.ASCII)
_ID = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,9}){0,99}")
# What the library itself says in these places; what a model or somebody else put there may be the question's words.
_DOCUMENT_KINDS = frozenset({"prose", "tables on pages", "speech"})
_QUESTION_KINDS = frozenset({"a number", "text", "lookup", "computation", "yes-no", "list", "summary"})
_REASONS = frozenset({"not needed for what is worth reading"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Key:
    """What stands for what, in one trace."""

    hashes: bool
    files: Mapping[str, str]
    ids: Sequence[str]
    requests: dict[str, str] = field(default_factory=dict)


Rule = Callable[[Any, _Key], Any]
"""What becomes of a field's value."""


def redacted(trace: Trace, *, keep_key: bool = False) -> Trace:
    """The trace without anything that quotes the document or the question, marked as redacted.

    **No word of a document, question, prompt or reply is left**, and redacting twice is redacting once. Files are
    called `file 1`, nodes by their ids, and requests `request-1`, equal ones alike.

    Args:
        trace: Any trace, also of version 1 or cut short.
        keep_key: Whether content hashes of document, requests, templates and lexicons stay. With them the trace can be
            matched with the document; and who has a guess which document or question it was can confirm it.
    """
    started, mapped = trace.of(Started), trace.of(Mapped)
    names = started[0].source_names if started else tuple(dict.fromkeys(read.source for read in trace.reads()))
    key = _Key(
        hashes=keep_key,
        files={name: f"file {number}" for number, name in enumerate(names, 1)},
        ids=node_ids(mapped[0].parents) if mapped else (),
    )
    events = [_record(event, key) for event in trace if type(event) in RULES]
    events = [_marked(event) if isinstance(event, Started) else event for event in events]
    if Noted(what=NOTE) not in events:
        events.insert(1 if started and events and isinstance(events[0], Started) else 0, Noted(what=NOTE))
    return Trace(tuple(events))


def is_redacted(trace: Trace) -> bool:
    """Whether `redacted` made it."""
    return any(noted.what == NOTE for noted in trace.of(Noted))


def node_ids(parents: Iterable[int]) -> tuple[str, ...]:
    """The dotted ids of nodes, in preorder, from `Mapped.parents`; empty where a node lies deeper than 99 levels.

    Example:
        >>> node_ids([-1, 0, 1, 1, 0])
        ('0', '0.0', '0.0.0', '0.0.1', '0.1')
    """
    ids: list[str] = []
    depths: list[int] = []
    born: dict[int, int] = {}
    for parent in parents:
        if not 0 <= parent < len(ids):
            ids.append("0")
            depths.append(0)
            continue
        place = born.get(parent, 0)
        born[parent] = place + 1
        depths.append(depths[parent] + 1)
        ids.append(f"{ids[parent]}.{place}" if depths[-1] < 100 else "")  # Ids of a chain grow with its square.
    return tuple(ids)


def _marked(started: Started) -> Started:
    return replace(started, strategy={**started.strategy, "redacted": True})


def _record(value: Any, key: _Key) -> Any:
    """A dataclass with each field as its rule has it."""
    return type(value)(**{name: rule(getattr(value, name), key) for name, rule in RULES[type(value)].items()})


# -- what can become of a value ----------------------------------------------------------------------------------------


def _figure(value: Any, key: _Key) -> Any:
    """Numbers, truth and nothing stay; columns of them, too."""
    if isinstance(value, tuple):
        return tuple(_figure(each, key) for each in value)
    return value if isinstance(value, int | float) else None


def _node(value: Any, _: _Key) -> str:
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def _name(value: Any, _: _Key) -> str:
    """What the library or its user calls something: a model, a policy, a stage."""
    return value if isinstance(value, str) and (not value or _NAME.fullmatch(value)) else MARK


def _names(value: Any, key: _Key) -> tuple[str, ...] | None:
    return None if value is None else tuple(_name(each, key) for each in value)


def _one_of(known: frozenset[str]) -> Rule:
    return lambda value, _: value if isinstance(value, str) and value in known else ""


def _kinds(value: Any, _: _Key) -> tuple[str, ...]:
    return tuple(kind if kind in KINDS else MARK for kind in value)


def _words(value: Any, _: _Key) -> str:
    return MARK if value else ""


def _note(value: Any, _: _Key) -> str:
    return value if value == NOTE else MARK


def _gone(_value: Any, _: _Key) -> str:
    return ""


def _numbered(noun: str) -> Rule:
    return lambda value, _: tuple(f"{noun} {number}" for number in range(1, len(value) + 1))


def _file(value: Any, key: _Key) -> str:
    if not isinstance(value, str):
        return "document"
    return key.files.get(value, value if re.fullmatch(r"file [0-9]+", value) else "document")


def _files(value: Any, key: _Key) -> tuple[str, ...]:
    return tuple(_file(each, key) for each in value)


def _document(_value: Any, _: _Key) -> str:
    return "document"


def _hash(value: Any, key: _Key) -> str:
    return _name(value, key) if key.hashes else ""


def _request(value: Any, key: _Key) -> str:
    """Equal requests stay equal."""
    if not value or key.hashes:
        return _name(value, key)
    return key.requests.setdefault(value, f"request-{len(key.requests) + 1}")


def _titles(value: Any, key: _Key) -> dict[str, str]:
    numbers = [int(each) for each in value if re.fullmatch("[0-9]{1,9}", each)]
    return {str(number): f"node {key.ids[number]}".strip() for number in numbers if number < len(key.ids)}


def _records(value: Any, key: _Key) -> tuple[Any, ...]:
    return tuple(_record(each, key) for each in value)


def _by_stage(value: Any, key: _Key) -> tuple[Any, ...]:
    return tuple((_name(stage, key), _record(usage, key)) for stage, usage in value)


def _mapping(rules: Mapping[str, Rule]) -> Rule:
    """A mapping's keys that have a rule; others may be anybody's words, and go."""
    return lambda value, key: {name: rules[name](each, key) for name, each in value.items() if name in rules}


def _mappings(rules: Mapping[str, Rule]) -> Rule:
    one = _mapping(rules)
    return lambda value, key: tuple(_titled(one(each, key)) for each in _several(value))


def _several(value: Any) -> Sequence[Mapping[str, Any]]:
    return [each for each in value if isinstance(each, Mapping)] if isinstance(value, tuple) else ()


def _titled(record: dict[str, Any]) -> dict[str, Any]:
    """A title is the node's id, as far as there is one."""
    return {**record, "title": f"node {record['node']}"} if record.get("node") and "title" in record else record


def _lines(value: Any, key: _Key) -> tuple[Any, ...]:
    return tuple(replace(line, title=f"node {line.node}") for line in _records(value, key))


_STRATEGY = _mapping(
    {
        "policy": _name,
        "way": _name,
        "rounds": _figure,
        "attempts": _figure,
        "prompts": _hash,
        "lexicons": _hash,
        "redacted": _figure,
    }
)
_CITATIONS = _mappings(
    {
        "quote": _words,
        "source": _file,
        "page": _figure,
        "start": _figure,
        "end": _figure,
        "verified": _figure,
        "node": _node,
        "context": _gone,
    }
)
_UNREAD = _mappings(
    {
        "node": _node,
        "title": _words,
        "source": _file,
        "pages": _figure,
        "tokens": _figure,
        "relevance": _figure,
        "seen": _one_of(frozenset({"coarse", "no"})),
    }
)
_RECEIPT = _mapping(
    {
        **dict.fromkeys(("read_tokens", "coarse_tokens", "unread_tokens", "document_tokens"), _figure),
        "unread": _UNREAD,
    }
)


def _figures(*names: str) -> dict[str, Rule]:
    return dict.fromkeys(names, _figure)


# -- field by field ----------------------------------------------------------------------------------------------------

RULES: Mapping[type, Mapping[str, Rule]] = {
    Budget: _figures("total_tokens", "max_cost_usd", "max_seconds", "max_calls", "stop_when_confident"),
    Usage: _figures("input_tokens", "output_tokens", "calls", "cost_usd"),
    Branch: {"node": _node, "title": _gone, "relevance": _figure},
    GrantLine: {"node": _node, "title": _gone, **_figures("tokens", "gain", "pages")},
    ModelFacts: {
        **dict.fromkeys(("role", "name", "counter"), _name),
        "identity": _hash,
        "stages": _names,
        **_figures("margin", "learned", "call_usd", "input_usd", "output_usd", "context_tokens", "reasoning_tokens"),
    },
    Started: {
        "question": _words,
        "document": _document,
        "source_names": _files,
        "document_key": _hash,
        "document_tokens": _figure,
        "budget": _record,
        "model": _name,
        "strategy": _STRATEGY,
        "models": _records,
        "made_by": _name,
        "shared": _figure,
    },
    Outlined: {"notes": _numbered("note"), **_figures("nodes", "leaves", "depth")},
    Mapped: {
        **_figures("parents", "kinds", "tokens", "files", "starts", "ends", "pages"),
        "kind_names": _kinds,
        "titles": _titles,
    },
    Estimated: {
        "document_kind": _one_of(_DOCUMENT_KINDS),
        "question_kind": _one_of(_QUESTION_KINDS),
        "vocabulary": _numbered("phrase"),
        "top": _lines,
        **_figures("answerable", "relevance_permille"),
    },
    Planned: {"way": _name, "routing": _name, "rounds": _figure, "why": _words},
    Searched: {
        "terms": _numbered("term"),
        "needs": _numbered("need"),
        "kind": _one_of(_QUESTION_KINDS),
        "questions": _numbered("question"),
    },
    Missed: {"what": _words, "round": _figure},
    Allocated: {"policy": _name, "budget_tokens": _figure, "grants": _lines},
    Kept: _figures("tokens", "cost_usd"),
    Reserved: {
        "stage": _name,
        "node": _node,
        "model": _name,
        "key": _request,
        "prompt": _gone,
        **_figures("call", "input_tokens", "max_output_tokens", "tokens", "margin", "cost_usd"),
    },
    Settled: {
        "usage": _record,
        "error": _words,
        "error_kind": _name,
        "error_hint": _words,
        "reply": _gone,
        **_figures("call", "overdraft_tokens", "cached", "seconds", "retry_after_s", "reported_input_tokens"),
    },
    Released: {
        "error": _words,
        "error_kind": _name,
        "error_hint": _words,
        **_figures("call", "attempted", "seconds", "retry_after_s"),
    },
    Recalled: {
        "stage": _name,
        "node": _node,
        "usage": _record,
        "failed": _record,
        "reported": _figure,
        "model": _name,
        "key": _request,
        "prompt": _gone,
        "reply": _gone,
    },
    Retried: _figures("call", "attempt", "wait_s"),
    Said: {"text": _words},
    Read: {"node": _node, "source": _file, **_figures("start", "end", "page", "tokens", "relevance")},
    HandedBack: {"node": _node, "tokens": _figure, "why": _one_of(_REASONS)},
    Noted: {"what": _note},
    Stopped: {"why": _words},
    Answered: {
        "text": _words,
        "citations": _CITATIONS,
        "receipt": _RECEIPT,
        **_figures("abstained", "confidence", "partial"),
    },
    Finished: {"usage": _record, "by_stage": _by_stage, **_figures("remaining_tokens", "overdraft_tokens")},
}
"""What becomes of each field of each event, and of the records within. A field without a rule isn't taken over."""
