"""Hostile cases over real HTTP: `ProviderModel` against `loopback`, its own bill against the books.

`Line` says how calls are treated by their stage; `ask_over_http` asks one question; the checks are those of `hostile`.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from hostile import (
    QUESTIONS,
    WAYS,
    Bill,
    Case,
    Ran,
    Tally,
    Treatment,
    counted,
    quickly,
    settle_down,
    tree_of,
    violations,
)
from loopback import BEHAVIOURS, Behaviour, Loopback, Received, answers

from hierarchy.account import Account
from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.calls import Request
from hierarchy.engine import Reasoner
from hierarchy.events import Event, Reserved
from hierarchy.models import ProviderModel
from hierarchy.session import Retries

__all__ = ["LONG", "MODES", "Line", "ask_over_http", "stage_of", "with_bills"]

LONG = 1  # of `hostile.DOCUMENTS`
_RUNS = count(1)

MODES = ("sync", "sync-stream", "async", "async-stream")
MISSING = '{"answer": "", "quotes": [], "missing": "the clause about item 33"}'
_BY_PROMPT = (
    ("route", "A search in "),
    ("route", "List 8–10 words"),
    ("follow_up", "You missed: "),
    ("refine", "Copy from the passages"),
    ("summarise", "Summarise these passages"),
    ("repair", "Bring this reply"),
)


def stage_of(received: Received) -> str:
    """Which stage asked, by what its prompt says outside the document."""
    prompt = received.prompt
    return next((stage for stage, words in _BY_PROMPT if words in prompt), "compose")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """How calls are treated: by stage, the n-th of a stage by the n-th behaviour, the last for good.

    Attributes:
        by_stage: Names of `BEHAVIOURS`; `missing` for a reply that names what is missing. Others are honest.
    """

    by_stage: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def script(self, treated: dict[int, str]) -> Callable[[Received], Behaviour]:
        """The server's script; `treated` is told which request got which behaviour."""
        asked: dict[str, int] = {}
        lock = threading.Lock()

        def behave(received: Received) -> Behaviour:
            stage = stage_of(received)
            with lock:
                number = asked[stage] = asked.get(stage, 0) + 1
                names = self.by_stage.get(stage, ("honest",))
                name = treated[received.number] = names[min(number, len(names)) - 1]
            return answers(MISSING) if name == "missing" else BEHAVIOURS[name]

        return behave


# What a behaviour says of its own bill, where that isn't the truth; and where nothing comes back.
_SAYS = {
    "usage-low": "one",
    "usage-high": "absurd",
    "no-usage": "none",
    "usage-negative": "negative",
    "usage-strings": "garbage",
}


def _treatment(name: str) -> Treatment:
    lost = BEHAVIOURS.get(name, Behaviour())
    fails = "cut" if lost.drop or lost.status >= 400 or lost.raw is not None or name == "forever-disobeying" else ""
    return Treatment(reports=_SAYS.get(name, "honest"), fails=fails)


def ask_over_http(
    server: Loopback,
    case: Case,
    line: Line,
    *,
    mode: str = "sync",
    account: Account | None = None,
    timeout_s: float = 2.0,
    stop_after_s: float | None = None,
    longest_s: float = 0.2,
) -> Ran:
    """Ask one question over HTTP; the server serves nobody else meanwhile.

    Args:
        server: The provider.
        case: What is asked; its script is `line` here.
        line: How calls are treated.
        mode: Of `MODES`.
        account: To draw on.
        timeout_s: For one call.
        stop_after_s: When a stop is set, or the task is cancelled.
        longest_s: The longest wait before a call is made again.
    """
    server.clear()
    treated: dict[int, str] = {}
    server.script = line.script(treated)
    key = f"run-{next(_RUNS)}"
    model = ProviderModel("openai/x", api_base=server.url, api_key=key, timeout_s=timeout_s)
    reasoner = Reasoner(model, way=case.way, rounds=case.rounds, max_concurrency=case.concurrency, store=None)
    reasoner.retries = Retries(most=case.attempts, first_s=0.0, longest_s=longest_s)
    budget = Budget(case.total, max_calls=case.max_calls, max_seconds=case.max_seconds)
    events: list[Event] = []
    began = time.monotonic()
    answer, error = None, None
    options: dict[str, Any] = {"account": account, "on_event": events.append}
    if mode.endswith("stream"):
        options["on_text"] = lambda _: None
    try:
        answer = _asked(reasoner, case, budget, mode, stop_after_s, options)
    except (Exception, asyncio.CancelledError) as trouble:  # noqa: BLE001 - judged by `violations`
        error = trouble
    seconds = time.monotonic() - began
    settle_down()  # A call that nobody waits for may reach the server only now: it's this run's.
    server.wait_idle(10)
    if stop_after_s is not None:
        case = replace(case, cancel_at=(1,)) if mode.startswith("async") else replace(case, stop_at=1)
    ran = Ran(case=case, budget=budget, answer=answer, error=error, events=tuple(events), bills=(), seconds=seconds)
    return with_bills(ran, server, treated, key)


def _asked(
    reasoner: Reasoner, case: Case, budget: Budget, mode: str, stop_after_s: float | None, options: dict[str, Any]
) -> Answer:
    tree = tree_of(case.document)
    if mode.startswith("sync"):
        if stop_after_s is None:
            return reasoner.ask(tree, case.question, budget, **options)
        stop = threading.Event()
        timer = threading.Timer(stop_after_s, stop.set)
        timer.start()
        try:
            return reasoner.ask(tree, case.question, budget, stop=stop, **options)
        finally:
            timer.cancel()

    async def run() -> Answer:
        task = asyncio.ensure_future(reasoner.aask(tree, case.question, budget, **options))
        if stop_after_s is not None:
            asyncio.get_running_loop().call_later(stop_after_s, task.cancel)
        return await task

    return asyncio.run(run())


def with_bills(ran: Ran, server: Loopback, treated: Mapping[int, str], key: str) -> Ran:
    """A run with what the server billed for it, request by request.

    Args:
        ran: The run.
        server: The provider.
        treated: How its requests were treated, by number.
        key: By which its requests are told: on a busy machine the server may read only now what a run before this one
            sent when it was cancelled.
    """
    reserved = ran.trace.of(Reserved)
    stages = {(event.input_tokens, event.max_output_tokens): event.stage for event in reserved}
    billed = {bill.number: bill for bill in server.billed}
    bills = []
    for received in server.received:
        if received.headers.get("authorization") != f"Bearer {key}":
            continue
        prompt, most = received.prompt, received.max_tokens or 0
        bill = billed.get(received.number)
        bills.append(
            Bill(
                request=Request(
                    stage=stages.get((counted(prompt), most), stage_of(received)), prompt=prompt, max_output_tokens=most
                ),
                treatment=_treatment(treated.get(received.number, "honest")),
                input_tokens=bill.prompt_tokens if bill else 0,
                output_tokens=bill.completion_tokens if bill else 0,
            )
        )
    return replace(ran, bills=tuple(bills))


# -- the long run ------------------------------------------------------------------------------------------------------

_SLOW = {"forever-disobeying", "slow", "slow-stream"}
_QUICK = tuple(name for name in BEHAVIOURS if name not in _SLOW)


def long_http_run(runs: int, seed: int, tell: Callable[[str], None]) -> Tally:
    """Cases over real HTTP from a seed."""
    tally = Tally()
    with Loopback() as server, quickly():
        for number in range(runs):
            choose = random.Random(f"http {seed}:{number}").choice
            ran = _drawn(server, choose)
            tally.add(ran)
            for each in violations(ran):
                tally.violations[re.sub(r"\d+", "n", each)[:90]] += 1
                tell(f"seed {seed}, HTTP case {number}: {each}")
            if number % 500 == 499:
                tell(f"{number + 1:,} runs over HTTP, {tally.violations.total()} violations")
    return tally


def _drawn(server: Loopback, choose: Callable[[Sequence[Any]], Any]) -> Ran:
    def names() -> tuple[str, ...]:
        return tuple(choose(("honest",) * 9 + ("missing",) * 9 + _QUICK) for _ in range(choose((1, 2, 3))))

    rare = choose((False,) * 60 + (True,))
    by_stage = {stage: names() for stage in ("route", "compose", "follow_up", "refine", "repair", "summarise")}
    if rare:
        by_stage["compose"] = (choose(tuple(_SLOW)),)
    case = Case(
        document=choose((0, LONG, 2, 3, 4)),
        question=choose(QUESTIONS),
        total=choose((700, 1_500, 3_000, 5_000, 10_000)),
        way=choose(WAYS),
        rounds=choose((1, 2, 3)),
        attempts=choose((1, 2, 3)),
        max_calls=choose((None, None, None, 2, 4)),
        max_seconds=choose((None,) * 20 + (0.05, 0.3)),
    )
    return ask_over_http(
        server,
        case,
        Line(by_stage=by_stage),
        mode=choose(MODES),
        timeout_s=0.7,
        stop_after_s=choose((None,) * 6 + (0.0, 0.02, 0.08)),
    )
