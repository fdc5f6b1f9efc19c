"""What spans say: figures and names that are nobody's words, and the words where they are asked for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Event,
    Finished,
    HandedBack,
    Kept,
    Missed,
    Noted,
    Outlined,
    Planned,
    Recalled,
    Released,
    Reserved,
    Retried,
    Searched,
    Settled,
    Started,
)
from hierarchy.trace import Trace

__all__ = [
    "BUILT_IN",
    "Value",
    "at",
    "called",
    "clean",
    "exchanged",
    "last",
    "messages",
    "moment",
    "plain",
    "recalled",
    "whole",
    "words",
]

Value = bool | int | float | str
T = TypeVar("T")

_LARGEST = 2**63 - 1


def called(event: Reserved, end: Settled | Released | None) -> dict[str, Any]:
    """A call that was sent."""
    found = {
        **_asked(event.model),
        "gen_ai.request.max_tokens": event.max_output_tokens,
        "hierarchy.reserved_tokens": event.tokens,
        "hierarchy.counted_tokens": event.input_tokens,
        "hierarchy.margin": event.margin,
        "hierarchy.reserved_cost_usd": event.cost_usd,
        "hierarchy.cached": isinstance(end, Settled) and end.cached,
        "hierarchy.measured": end is not None and end.seconds is not None,
    }
    if end is None:
        return {**found, "error.type": "unfinished"}
    found |= {
        "gen_ai.usage.input_tokens": end.usage.input_tokens,
        "gen_ai.usage.output_tokens": end.usage.output_tokens,
        "hierarchy.cost_usd": end.usage.cost_usd,
        "hierarchy.overdraft_tokens": end.overdraft_tokens if isinstance(end, Settled) else 0,
        "hierarchy.billed": end.usage.total_tokens > 0,
    }
    return {**found, "error.type": _error_type(end.error)} if end.error else found


def recalled(event: Recalled) -> dict[str, Any]:
    """A reply that was there already: what it once cost isn't counted again."""
    return {
        **_asked(event.model),
        "hierarchy.cached": True,
        "hierarchy.measured": False,
        "hierarchy.recalled.input_tokens": event.usage.input_tokens,
        "hierarchy.recalled.output_tokens": event.usage.output_tokens,
    }


BUILT_IN = "extractive"
_PROVIDERS = {  # As litellm spells them, and as the conventions do.
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "cohere_chat": "cohere",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
_FAMILIES = (("openai", r"gpt-|chatgpt-|o\d\b"), ("anthropic", r"claude"), ("cohere", r"command"))


def _asked(model: str) -> dict[str, str]:
    """Who is called, in the conventions' words."""
    provider, slash, name = model.partition("/")
    if not slash:
        known = (family for family, begins in _FAMILIES if re.match(begins, model))
        provider, name = "hierarchy" if model == BUILT_IN else next(known, "unknown"), model
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
        "gen_ai.request.model": name or "unknown",
        "hierarchy.model": model,
    }


_ERROR_TYPES = (
    (r"interrupted|was stopped|seconds are up", "interrupted"),
    (r"didn't answer", "timeout"),
    (r"can't be reached|no connection|no address|no secure connection|out of replies", "unreachable"),
    (r"broke off", "connection_broken"),
    (r"needs a key", "no_key"),
    (r"is no reply", "invalid_reply"),
)


def _error_type(message: str) -> str:
    """What kind of failure a message tells of; the message itself may quote anything."""
    if status := re.search(r"answered with status ([1-5]\d\d)\b", message):
        return status[1]
    return next((kind for words, kind in _ERROR_TYPES if re.search(words, message)), "_OTHER")


def whole(trace: Trace) -> dict[str, Any]:
    """What is told of the whole question: figures, and names that are nobody's words."""
    usage, answered, finished = trace.usage(), last(trace.of(Answered)), last(trace.of(Finished))
    found: dict[str, Any] = {
        "hierarchy.complete": finished is not None,
        "hierarchy.usage.input_tokens": usage.input_tokens,
        "hierarchy.usage.output_tokens": usage.output_tokens,
        "hierarchy.usage.total_tokens": usage.total_tokens,
        "hierarchy.usage.calls": usage.calls,
        "hierarchy.usage.cost_usd": usage.cost_usd,
        "hierarchy.granted_tokens": sum(grant.tokens for grant in trace.grants()),
        "hierarchy.read_tokens": sum(read.tokens for read in trace.reads()),
        "hierarchy.reads": len(trace.reads()),
        "hierarchy.notes": len(trace.of(Noted)),
        "hierarchy.rounds_missed": len(trace.of(Missed)),
    }
    found |= {f"hierarchy.stage.{stage}.total_tokens": bill.total_tokens for stage, bill in trace.usage_by_stage()}
    if started := last(trace.of(Started)):
        found |= {f"hierarchy.budget.{cap.name}": getattr(started.budget, cap.name) for cap in fields(started.budget)}
        found |= {f"hierarchy.strategy.{name}": value for name, value in started.strategy.items()}
        found |= {
            "hierarchy.version": started.made_by or None,
            "hierarchy.model": started.model,
            "hierarchy.document.key": started.document_key,
            "hierarchy.document.tokens": started.document_tokens,
            "hierarchy.document.files": len(started.source_names),
        }
    if outlined := last(trace.of(Outlined)):
        found |= {f"hierarchy.tree.{name}": getattr(outlined, name) for name in ("nodes", "leaves", "depth")}
    if planned := last(trace.of(Planned)):
        found |= {f"hierarchy.plan.{name}": getattr(planned, name) for name in ("way", "routing", "rounds")}
    if answered:
        found |= {
            f"hierarchy.answer.{name}": getattr(answered, name) for name in ("abstained", "confidence", "partial")
        }
        found["hierarchy.answer.citations"] = len(answered.citations)
    if finished:
        found["hierarchy.remaining_tokens"] = finished.remaining_tokens
        found["hierarchy.overdraft_tokens"] = finished.overdraft_tokens
    return found


def words(trace: Trace) -> dict[str, Any]:
    """What the root tells beside figures where content is asked for."""
    found: dict[str, Any] = {}
    if started := last(trace.of(Started)):
        found |= {"hierarchy.question": started.question, "hierarchy.document.name": started.document}
    if estimated := last(trace.of(Estimated)):
        found["hierarchy.question.kind"] = estimated.question_kind or None
    if answered := last(trace.of(Answered)):
        quotes = [str(citation.get("quote", "")) for citation in answered.citations]
        found |= {"hierarchy.answer.text": answered.text, "hierarchy.answer.quotes": json.dumps(quotes)}
    return found


def exchanged(prompt: str, end: Settled | Released | None) -> dict[str, str]:
    """A prompt and what came of it."""
    return messages(prompt, end.reply if isinstance(end, Settled) and not end.error else None)


def messages(prompt: str, reply: str | None) -> dict[str, str]:
    """Prompt and reply as the conventions write messages."""

    def message(role: str, text: str, **more: str) -> str:
        return json.dumps([{"role": role, "parts": [{"type": "text", "content": text}], **more}], ensure_ascii=False)

    found = {"gen_ai.input.messages": message("user", prompt)} if prompt else {}
    return {**found, "gen_ai.output.messages": message("assistant", reply, finish_reason="stop")} if reply else found


def moment(event: Event, content: bool) -> tuple[str, dict[str, Any]] | None:
    """What is told of an event that isn't a span's: figures, and words only where they are asked for."""
    words: dict[str, Any] = {}
    if isinstance(event, Allocated):
        granted = sum(grant.tokens for grant in event.grants)
        told = {"policy": event.policy, "budget_tokens": event.budget_tokens, "grants": len(event.grants)}
        told["granted_tokens"] = granted
    elif isinstance(event, HandedBack):
        told, words = {"node": event.node, "tokens": event.tokens}, {"why": event.why}
    elif isinstance(event, Kept):
        told = {"tokens": event.tokens}
    elif isinstance(event, Planned):
        told = {"way": event.way, "routing": event.routing, "rounds": event.rounds}
        words = {"why": event.why}
    elif isinstance(event, Retried):
        told = {"attempt": event.attempt, "wait_s": event.wait_s}
    elif isinstance(event, Searched):
        told, words = {"terms": len(event.terms)}, {"words": " · ".join(event.terms), "needs": " · ".join(event.needs)}
    elif isinstance(event, Missed):
        told, words = {"round": event.round}, {"what": event.what}
    elif isinstance(event, Noted):
        told, words = {}, {"what": event.what}
    else:
        return None
    everything = {**told, **words} if content else told
    return f"hierarchy.{_NAMES[type(event)]}", {f"hierarchy.{name}": value for name, value in everything.items()}


_NAMES = {
    Allocated: "allocated",
    HandedBack: "handed_back",
    Kept: "kept",
    Planned: "planned",
    Retried: "retried",
    Searched: "searched",
    Missed: "missed",
    Noted: "noted",
}


def last(events: Sequence[T]) -> T | None:
    """The last event, if there is any."""
    return events[-1] if events else None


def at(column: Sequence[Any], place: int, otherwise: Any) -> Any:
    """What stands at a place of a column; something else if it is shorter."""
    return column[place] if 0 <= place < len(column) else otherwise


def clean(text: str) -> str:
    """The text without lone surrogates, which fit no protobuf."""
    return text.encode("utf-8", "replace").decode("utf-8")


def plain(attributes: Mapping[str, Any]) -> dict[str, Value]:
    """Attributes as OpenTelemetry takes them; what isn't known is left out."""
    found: dict[str, Value] = {}
    for name, value in attributes.items():
        if isinstance(value, bool | float) or (isinstance(value, int) and abs(value) <= _LARGEST):
            found[clean(name)] = value
        elif value is not None:
            found[clean(name)] = clean(value if isinstance(value, str) else json.dumps(value, default=str))
    return found
