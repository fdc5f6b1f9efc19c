"""Traces to share: a real run with routing, rounds, refining, failures and retries, and one that means harm."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import hierarchy
from hierarchy.budget import Budget, Usage
from hierarchy.calls import Outcome
from hierarchy.errors import Unavailable
from hierarchy.events import (
    Allocated,
    Answered,
    Estimated,
    Finished,
    GrantLine,
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
    Searched,
    Settled,
    Started,
)
from hierarchy.models import FunctionModel
from hierarchy.trace import Trace

SAMPLES = Path(hierarchy.__file__).parent / "samples"
QUESTION = "For how much was the Orchard Lane litigation settled?"
ALL_CHARACTERS = "".join(map(chr, (*range(1, 32), *range(0x7F, 0xA1), 0x200E, 0x202E, 0x2066, 0xFEFF, 0xDFFF, 0xD800)))
ATTACKS = (
    '</script><script>alert("x")</script>',
    "</style><style>*{display:none}</style>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg/onload=alert(1)>",
    "' autofocus onfocus='alert(1)",
    "</title></pre></details></passages>",
    "<!--",
    "]]>",
    "&lt;b&gt; &amp;quot; &#60;",
    "javascript:alert(1)",
    "<meta http-equiv=refresh content=0;url=//evil.example>",
    "<base href=//evil.example>",
    "<a href=//evil.example>click</a>",
    "\u202egnp.exe\u2066",
    "\x1b[31m\x00\x08\x9b",
    "\ud800 half a pair",
)
HOSTILE = " ".join(ATTACKS)


@lru_cache
def report():
    """The tree of the bundled report."""
    return hierarchy.outline(SAMPLES / "annual_report.pdf")


@lru_cache
def extractive() -> Trace:
    """What the demo does."""
    return hierarchy.ask(report(), QUESTION, budget=4_000).trace


@lru_cache
def staged() -> Trace:
    """Routing, two rounds of reading, a call that failed and was made again; a price for every token."""
    busy = Unavailable("The provider is <busy>.")
    failures = [Outcome(error=busy, usage=Usage(calls=1, cost_usd=0.0), seconds=0.25, retry_after_s=0.0)]

    def reply(request):
        if request.stage == "route":
            return json.dumps({"terms": ["litigation", "settlement"], "needs": ["legal proceedings"], "kind": "lookup"})
        if failures:
            return failures.pop()
        found = re.search(
            r"(?m)^<(\d+)>.*\n[^<]*?(we settled with Orchard Lane Markets for \$11.7 million)", request.prompt
        )
        quotes = [{"source": int(found[1]), "text": found[2]}] if found else []
        missing = "subsequent events note, settlement amount" if request.stage == "compose" else ""
        return json.dumps({"answer": "" if missing else "$11.7 million", "quotes": quotes, "missing": missing})

    def price(sent, back):
        return 3e-6 * sent + 15e-6 * back

    reasoner = hierarchy.Reasoner(FunctionModel(reply, name="some/model", price=price))
    return reasoner.ask(report(), QUESTION, 9_000).trace


def hostile(text: str = HOSTILE) -> Trace:
    """Every kind of event, with the same text wherever there is one."""
    usage = Usage(input_tokens=90, output_tokens=9, calls=1, cost_usd=0.001)
    cited = {"quote": text, "source": text, "page": 3, "start": 0, "end": 9, "verified": True}
    unread = {"node": text, "title": text, "source": text, "pages": (1, 2), "tokens": 9, "relevance": 0.5, "seen": text}
    receipt = {"read_tokens": 9, "coarse_tokens": 1, "unread_tokens": 90, "document_tokens": 100}
    prompt = f"Answer.\n<passages>\n<1> {text}\n{text}\n</passages>\n{text}"
    return Trace(
        (
            Started(
                question=text, document=text, source_names=(text, "b"), document_key=text, document_tokens=100,
                budget=Budget(1_000, max_cost_usd=0.5, max_seconds=9, max_calls=9, stop_when_confident=0.9),
                model=text, strategy={text: text}, models=(ModelFacts(role="answer", name=text, input_usd=1e-6),),
                made_by=text,
            ),
            Outlined(nodes=3, leaves=2, depth=1, notes=(text,)),
            Mapped(
                parents=(-1, 0, 0), kinds=(0, 1, 1), tokens=(100, 9, 91), files=(0, 0, 0), starts=(0, 0, 9),
                ends=(99, 9, 99), pages=(1, 1, 2), kind_names=(text, text), titles={"0": text, "1": text},
            ),
            Estimated(document_kind=text, question_kind=text, vocabulary=(text,), relevance_permille=(500, 900, 1)),
            Planned(way=text, routing=text, why=text),
            Searched(terms=(text,), needs=(text,), kind=text, questions=(text,)),
            Allocated(policy=text, budget_tokens=99, grants=(GrantLine(node="0.0", title=text, tokens=9),)),
            Reserved(call=1, stage=text, node=text, input_tokens=9, max_output_tokens=9, tokens=99, model=text,
                     key="k", prompt=prompt),
            Settled(call=1, usage=usage, error=text, reply=text, seconds=1.5, overdraft_tokens=3),
            Retried(call=1, attempt=2, wait_s=0.5),
            Reserved(call=2, stage=text, input_tokens=9, max_output_tokens=9, tokens=99, model=text, key="k",
                     prompt=prompt),
            Settled(call=2, usage=usage, reply=text),
            Recalled(stage=text, node=text, usage=usage, model=text, prompt=prompt, reply=text),
            Reserved(call=3, stage="refine", node="0.1", input_tokens=9, max_output_tokens=9, tokens=99),
            Released(call=3, error=text, attempted=True),
            Reserved(call=4, stage="refine", input_tokens=9, max_output_tokens=9, tokens=99),
            Missed(what=text, round=1),
            Read(node="0.0", source=text, start=0, end=9, page=1, tokens=9, relevance=0.5),
            Noted(what=text),
            Answered(text=text, confidence=0.5, partial=True, citations=(cited,),
                     receipt={**receipt, "unread": (unread,)}),
            Finished(usage=usage, overdraft_tokens=3),
        )
    )  # fmt: skip


def cut_off(trace: Trace) -> tuple[Trace, ...]:
    """The trace as far as every tenth of it, and the first few events."""
    ends = {*range(6), *(len(trace) * tenth // 10 for tenth in range(10))}
    return tuple(Trace(trace.events[:end]) for end in sorted(ends))


def version_1(trace: Trace) -> Trace:
    """The trace as version 1 had it: no map, no prompts, no replies, no models."""
    kept = []
    for event in trace:
        if isinstance(event, Started):
            kept.append(replace(event, strategy={}, models=(), made_by=""))
        elif isinstance(event, Reserved):
            kept.append(replace(event, model="", key="", prompt=""))
        elif isinstance(event, Settled):
            kept.append(replace(event, reply="", seconds=None))
        elif not isinstance(event, Mapped | Recalled):
            kept.append(event)
    return Trace(tuple(kept))
