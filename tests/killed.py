"""A client that is there to be killed, and the provider that it asks.

`client` runs in a process of its own: it asks one question with a store, writes its answer to a file, and can be told
to hang once so many calls were settled. `reads_twice` is a script for `tests/loopback.py`, to run as a process, too.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from loopback import BEHAVIOURS, Behaviour, Received, answers, answers_as_asked

from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.engine import Reasoner
from hierarchy.events import Event, Recalled, Settled
from hierarchy.models import ProviderModel
from hierarchy.models.wire import litellm

__all__ = ["client", "counts_nothing", "hangs_after_routing", "reads_twice", "reads_twice_slowly", "told"]

QUESTION = "What does clause 25 concern?"
MISSING = '{"answer": "", "quotes": [], "missing": "the clause about item 33"}'

litellm()  # Seconds, once: clients are forked from a process that has it.


def reads_twice(received: Received) -> Behaviour:
    """The first answer names what is missing; the follow-up is as asked. Each reply takes a moment."""
    prompt = received.prompt
    composing = "Reply with JSON only" in prompt and '"missing"' in prompt and "You missed: " not in prompt
    text: Any = MISSING if composing and "Copy from the passages" not in prompt else answers_as_asked
    return answers(text, delay_s=0.15)


def reads_twice_slowly(received: Received) -> Behaviour:
    """The same, piece by piece, where a stream is asked for."""
    return replace(reads_twice(received), delay_s=0.3, chunk_delay_s=0.2)


def hangs_after_routing(received: Received) -> Behaviour:
    """Routing is answered at once, all else after seconds."""
    routing = '"terms"' in received.prompt or "List 8–10 words" in received.prompt
    return answers(answers_as_asked, delay_s=0.0 if routing else 3.0)


def counts_nothing(received: Received) -> Behaviour:
    """The same, by a server that says nothing of its bill."""
    return replace(reads_twice(received), usage=BEHAVIOURS["no-usage"].usage)


def client(
    document: str, url: str, store: str, out: str, *, way: str, total: int, hang_after: int, streamed: bool
) -> None:
    """Ask, and write the answer; after so many settled or recalled calls, tell so and hang."""
    seen = 0

    def listen(event: Event) -> None:
        nonlocal seen
        seen += isinstance(event, Settled | Recalled)
        if hang_after and seen >= hang_after:
            Path(f"{out}.hangs").touch()
            time.sleep(600)

    model = ProviderModel("openai/x", api_base=url, api_key="x", timeout_s=30)
    reasoner = Reasoner(model, store=store, way=way, rounds=2)
    answer = reasoner.ask(
        document, QUESTION, Budget(total), on_event=listen, on_text=(lambda _: None) if streamed else None
    )
    part = Path(f"{out}.part")
    part.write_text(json.dumps(told(answer)), "utf-8")
    part.rename(out)


def told(answer: Answer) -> dict[str, Any]:
    """What an answer says, and what it cost."""
    record = answer.to_dict()
    kept = ("text", "citations", "confidence", "missing", "abstained", "partial", "receipt", "unread")
    return {"said": {name: record[name] for name in kept}, "tokens": answer.usage.total_tokens}
