"""Drivers: make the calls that a session admits, in threads or in tasks, and stop waiting when told.

Both drive the same session, line for line; only how they wait differs. An interrupt (Ctrl-C, a cancelled task, a stop
that was set) ends the waiting, not the question: calls that are under way count at their worst case, none is sent any
more, and what was read by then is answered from. **A second interrupt ends the question.**

Doesn't decide what is called, retried or paid for (`session`).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from typing import Any
from weakref import WeakKeyDictionary

from hierarchy.calls import Outcome, T
from hierarchy.journal import Call
from hierarchy.session import Session, Work

__all__ = ["Places", "drive", "drive_async"]

# How often a stop that was set is noticed while calls are under way.
_GLANCE_S = 0.05


class Places:
    """How many calls may be under way at once, over all questions of one reasoner.

    Args:
        most: How many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.threads = threading.Semaphore(most)
        self._tasks: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()

    @property
    def tasks(self) -> asyncio.Semaphore:
        """The places of the running event loop, which has its own."""
        loop = asyncio.get_running_loop()
        if loop not in self._tasks:
            self._tasks[loop] = asyncio.Semaphore(self.most)
        return self._tasks[loop]


# -- threads -----------------------------------------------------------------------------------------------------------


def drive(session: Session, work: Work[T], places: Places, stop: threading.Event | None = None) -> T:
    """Run a session's work to its end in this thread, its calls in others.

    Args:
        session: The books.
        work: `session.work(flow)`.
        places: How many calls may be under way.
        stop: Set by anyone to have the question answered from what was read by then.
    """
    outcomes: tuple[Outcome, ...] | None = None
    while True:
        if stop is not None and stop.is_set():
            session.stopped = True
        try:
            calls = next(work) if outcomes is None else work.send(outcomes)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]
        try:
            outcomes = _completed(session, calls, places, stop)
        except BaseException as trouble:
            work.throw(trouble)  # the session closes its books before it goes on
            raise


def _completed(
    session: Session, calls: Sequence[Call], places: Places, stop: threading.Event | None
) -> tuple[Outcome, ...]:
    """Make calls; one alone in this thread if nothing else is to be watched."""
    seconds = session.seconds_left()
    call = calls[0]
    inline = len(calls) == 1 and seconds is None and stop is None and not _streams(call)
    if inline:
        try:
            _waited(call.wait_s, stop)
            with places.threads:
                return (_made(call),)
        except KeyboardInterrupt:
            _stop(session)
            return (session.late(sent=call.sent),)
    futures: list[Future[Outcome]] = [Future() for _ in calls]
    try:
        try:
            for each, future in zip(calls, futures, strict=True):
                _begin(each, future, places, stop)
            done = _awaited(session, futures, seconds, stop)
        except KeyboardInterrupt:
            _stop(session)
            done = {future for future in futures if future.done()}
        for future in futures:
            if future in done and future.exception():
                future.result()
        # A call that can still be cancelled wasn't made, and now never will be.
        return tuple(
            future.result() if future in done else session.late(sent=not future.cancel()) for future in futures
        )
    finally:
        for future in futures:
            future.cancel()


def _awaited(
    session: Session, futures: Sequence[Future[Outcome]], seconds: float | None, stop: threading.Event | None
) -> set[Future[Outcome]]:
    """The calls that are done when all are, one raised, time is up, or the run was stopped."""
    until = None if seconds is None else time.monotonic() + seconds
    while True:
        left = None if until is None else max(0.0, until - time.monotonic())
        glance = left if stop is None else min(_GLANCE_S, _GLANCE_S if left is None else left)
        done, pending = wait(futures, glance, FIRST_EXCEPTION)
        if stop is not None and stop.is_set():
            _stop(session)
        raised = any(future.exception() for future in done)
        if not pending or raised or session.stopped or (until is not None and time.monotonic() >= until):
            return done


def _stop(session: Session) -> None:
    """Take an interrupt; the second one is raised."""
    if session.stopped:
        raise KeyboardInterrupt
    session.stopped = True


def _begin(call: Call, future: Future[Outcome], places: Places, stop: threading.Event | None) -> None:
    """Make a call in a thread of its own. No thread keeps the process from ending: a hanging provider would, too."""

    def run() -> None:
        in_time = _waited(call.wait_s, stop)
        with places.threads:
            if not in_time or not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(_made(call))
            except BaseException as trouble:  # noqa: BLE001  Raised again where the future is awaited.
                future.set_exception(trouble)

    threading.Thread(target=run, name=f"hierarchy-{call.request.stage}", daemon=True).start()


def _waited(seconds: float, stop: threading.Event | None) -> bool:
    """Wait; whether it wasn't stopped meanwhile."""
    if seconds <= 0:
        return True
    if stop is not None:
        return not stop.wait(seconds)
    time.sleep(seconds)
    return True


def _made(call: Call) -> Outcome:
    call.sent = True
    return call.keep(call.model.complete(call.request, **_listening(call)))


# -- tasks -------------------------------------------------------------------------------------------------------------


async def drive_async(session: Session, work: Work[T], places: Places, stop: threading.Event | None = None) -> T:
    """As `drive`, with calls in tasks. The task's first cancellation counts as an interrupt."""
    outcomes: tuple[Outcome, ...] | None = None
    while True:
        if stop is not None and stop.is_set():
            session.stopped = True
        try:
            calls = next(work) if outcomes is None else work.send(outcomes)
        except StopIteration as ended:
            return ended.value  # type: ignore[no-any-return]
        try:
            outcomes = await _acompleted(session, calls, places, stop)
        except BaseException as trouble:
            work.throw(trouble)
            raise


async def _acompleted(
    session: Session, calls: Sequence[Call], places: Places, stop: threading.Event | None
) -> tuple[Outcome, ...]:
    tasks = [asyncio.ensure_future(_amade(call, places)) for call in calls]
    try:
        done = await _aawaited(session, tasks, stop)
        for task in tasks:
            if task in done and (task.cancelled() or task.exception()):
                task.result()
        return tuple(
            task.result() if task in done else session.late(sent=call.sent)
            for call, task in zip(calls, tasks, strict=True)
        )
    finally:
        for task in tasks:
            task.cancel()


async def _aawaited(
    session: Session, tasks: Sequence[asyncio.Future[Outcome]], stop: threading.Event | None
) -> set[asyncio.Future[Outcome]]:
    while True:
        left = session.seconds_left()
        glance = left if stop is None else min(_GLANCE_S, _GLANCE_S if left is None else left)
        try:
            done, pending = await asyncio.wait(tasks, timeout=glance, return_when=asyncio.FIRST_EXCEPTION)
        except asyncio.CancelledError:
            if session.stopped:
                raise
            session.stopped = True
            return {task for task in tasks if task.done() and not task.cancelled()}
        if stop is not None and stop.is_set():
            session.stopped = True
        raised = any(task.cancelled() or task.exception() for task in done)
        if not pending or raised or session.stopped or session.seconds_left() == 0.0:
            return done


async def _amade(call: Call, places: Places) -> Outcome:
    if call.wait_s > 0:
        await asyncio.sleep(call.wait_s)
    async with places.tasks:
        call.sent = True
        outcome = await call.model.acomplete(call.request, **_listening(call))
    if call.journal is None:
        return outcome
    # In a thread, since it may wait for the disk, and shielded: what was paid for is kept even if nobody waits for it.
    # Not by `to_thread`, which begins a turn of the loop later: a loop that ends meanwhile would drop it.
    return await asyncio.shield(asyncio.get_running_loop().run_in_executor(None, call.keep, outcome))


def _streams(call: Call) -> bool:
    return bool(getattr(call.model, "streams", False))


def _listening(call: Call) -> dict[str, Callable[[str], None] | Any]:
    return {"on_text": call.on_text} if call.on_text is not None and _streams(call) else {}
