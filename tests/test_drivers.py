"""Drivers: calls run where and as many at once as allowed, waiting ends when told, and nobody is left behind."""

import asyncio
import gc
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from documents import long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from loopback import soon
from test_engine import balanced

from hierarchy.answer import Answer
from hierarchy.budget import Budget
from hierarchy.calls import Outcome
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import BudgetTooSmall, InputError, Unavailable
from hierarchy.events import Answered, Finished, Read, Said, Settled, Started
from hierarchy.models import FunctionModel
from hierarchy.planner import outline

FACT = "The helmsman is Aarav Iyer, and nobody else."
PARAGRAPHS = long_text(240).split("\n\n")
TREE = outline(Document(name="a.txt", text="\n\n".join([*PARAGRAPHS[:90], FACT, *PARAGRAPHS[90:]])))
QUESTION = "Who is the helmsman?"
LISTING = "List all of the helmsmen: who is helmsman?"
ANSWER = json.dumps({"answer": "Aarav Iyer, the helmsman", "quotes": [{"source": 1, "text": FACT}], "missing": ""})


def scripted(request):
    return {"route": "helmsman\nhelm", "refine": json.dumps({"quotes": [{"source": 1, "text": FACT}]})}.get(
        request.stage, ANSWER
    )


class Streaming(FunctionModel):
    """Hands its reply over in pieces, as it would come over a wire."""

    streams = True

    def __init__(self, function=scripted, *, size=3, pause_s=0.0, **options):
        super().__init__(function, **options)
        self.size, self.pause_s = size, pause_s

    def complete(self, request, on_text=None):
        outcome = super().complete(request)
        if on_text is not None:
            for at in range(0, len(outcome.text), self.size):
                time.sleep(self.pause_s)
                on_text(outcome.text[at : at + self.size])
        return outcome

    async def acomplete(self, request, on_text=None):
        outcome = super().complete(request)
        if on_text is not None:
            for at in range(0, len(outcome.text), self.size):
                await asyncio.sleep(self.pause_s)
                on_text(outcome.text[at : at + self.size])
        return outcome


class Watched(FunctionModel):
    """Knows how many of its calls are under way, and how many were at most."""

    def __init__(self, seconds=0.02):
        super().__init__(scripted)
        self.seconds, self.now, self.most, self.lock = seconds, 0, 0, threading.Lock()

    def _count(self, change):
        with self.lock:
            self.now += change
            self.most = max(self.most, self.now)

    def complete(self, request):
        self._count(1)
        time.sleep(self.seconds)
        self._count(-1)
        return super().complete(request)

    async def acomplete(self, request):
        self._count(1)
        await asyncio.sleep(self.seconds)
        self._count(-1)
        return super().complete(request)


def threads():
    """Threads that make calls or run streams."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("hierarchy-")]


def none_left(seconds=3.0):
    """Whether all threads have ended by then."""
    return soon(lambda: not threads(), seconds)


# -- how many at once --------------------------------------------------------------------------------------------------


class TestConcurrency:
    @pytest.mark.parametrize("most", [1, 2])
    @pytest.mark.parametrize("question", [QUESTION, LISTING])
    @pytest.mark.parametrize("caps", [{}, {"max_seconds": 60}])
    def test_over_several_questions_in_threads(self, most, question, caps):
        """However many ask at once, no more calls are under way than allowed, in a batch or one by one."""
        model = Watched()
        reasoner = Reasoner(model, max_concurrency=most)
        with ThreadPoolExecutor(5) as pool:
            answers = list(pool.map(lambda _: reasoner.ask(TREE, question, Budget(4_000, **caps)), range(5)))
        assert all(answer.text == "Aarav Iyer, the helmsman" for answer in answers)
        assert model.most == most

    @pytest.mark.parametrize("most", [1, 2])
    @pytest.mark.parametrize("question", [QUESTION, LISTING])
    def test_over_several_questions_in_tasks(self, most, question):
        """The same for tasks of one loop."""
        model = Watched()
        reasoner = Reasoner(model, max_concurrency=most)

        async def all_at_once():
            return await asyncio.gather(*(reasoner.aask(TREE, question, 4_000) for _ in range(5)))

        answers = asyncio.run(all_at_once())
        assert all(answer.text == "Aarav Iyer, the helmsman" for answer in answers)
        assert model.most == most

    def test_a_reasoner_outlives_its_loops(self):
        """Each event loop has places of its own; none is left taken by one that ended."""
        reasoner = Reasoner(Watched(0.0), max_concurrency=1)
        for _ in range(3):
            assert asyncio.run(reasoner.aask(TREE, LISTING, 4_000)).text

    def test_waiting_takes_no_place(self):
        """A call that waits to be made again lets others go first."""
        order, lock = [], threading.Lock()

        def busy(request):
            with lock:
                order.append(request.variables["question"])
                first = len(order) == 1
            if first:
                return Outcome(error=Unavailable("Busy."), retry_after_s=0.6, unbilled=True)
            return scripted(request)

        reasoner = Reasoner(FunctionModel(busy), way="single", max_concurrency=1)
        with ThreadPoolExecutor(2) as pool:
            slow = pool.submit(reasoner.ask, TREE, "Who is the helmsman, slowly?", 3_000)
            while not order:
                time.sleep(0.01)
            quick = reasoner.ask(TREE, QUESTION, 3_000)
            assert not slow.done()
            assert slow.result().text == quick.text


# -- who is left behind ------------------------------------------------------------------------------------------------


class TestLeftBehind:
    def test_no_thread_outlives_its_call(self):
        """Stopped while eight calls hang: the answer comes, and once they return no thread is left."""
        stop, release, begun = threading.Event(), threading.Event(), threading.Semaphore(0)

        def hangs(request):
            if request.stage != "route":
                begun.release()
                release.wait(10)
            return scripted(request)

        reasoner = Reasoner(FunctionModel(hangs), max_concurrency=2)
        threading.Thread(target=lambda: (begun.acquire(), begun.acquire(), stop.set())).start()
        answer = reasoner.ask(TREE, LISTING, 5_000, stop=stop)
        assert answer.partial
        assert threads()
        made = [request.stage for request in reasoner.model.requests]
        release.set()
        assert none_left()
        assert [request.stage for request in reasoner.model.requests] == made
        assert made.count("refine") == 2

    def test_late_calls_hold_nobody(self):
        """After a deadline the same."""
        release = threading.Event()
        model = FunctionModel(lambda request: (release.wait(10), scripted(request))[1])
        answer = Reasoner(model, way="single").ask(TREE, QUESTION, Budget(3_000, max_seconds=0.4))
        assert answer.partial
        assert all(thread.daemon for thread in threads())
        release.set()
        assert none_left()

    def test_one_call_alone_needs_no_thread(self):
        """It is made where it is asked for, if nothing else is to be watched."""
        seen = set()
        model = FunctionModel(lambda request: (seen.add(threading.current_thread()), scripted(request))[1])
        Reasoner(model).ask(TREE, QUESTION, 3_000)
        assert seen == {threading.main_thread()}

    def test_no_task_is_left(self):
        """When the answer is there, so is every task's end."""

        async def asked():
            before = asyncio.all_tasks()
            await Reasoner(Watched(0.0)).aask(TREE, LISTING, 4_000)
            await asyncio.sleep(0)
            return asyncio.all_tasks() - before

        assert not asyncio.run(asked())


# -- interrupts --------------------------------------------------------------------------------------------------------


class TestInterrupts:
    @pytest.mark.parametrize("question", [QUESTION, LISTING])
    def test_the_second_is_raised(self, question):
        """The first ends the waiting; one that comes while the best of what was read is sought ends the question."""
        events = []

        def listen(event):
            events.append(event)
            if isinstance(event, Settled):  # the first was heeded; this is the second, before the answer
                signal.raise_signal(signal.SIGINT)

        def interrupted(request):
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.2)
            return scripted(request)

        with pytest.raises(KeyboardInterrupt):
            Reasoner(FunctionModel(interrupted), max_concurrency=1).ask(TREE, question, 4_000, on_event=listen)
        assert isinstance(events[-1], Settled)

    def test_in_threads_the_first_gives_an_answer(self):
        """Under a deadline, too, where calls are made in threads."""
        release = threading.Event()

        def interrupted(request):
            time.sleep(0.1)  # until it is waited for
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            release.wait(10)
            return scripted(request)

        answer = Reasoner(FunctionModel(interrupted), way="single").ask(TREE, QUESTION, Budget(3_000, max_seconds=60))
        release.set()
        assert answer.partial
        assert FACT in answer.text
        balanced(answer, 3_000)

    def test_a_task_cancelled_twice(self):
        """The second cancellation is raised, with the books closed."""
        events, begun = [], asyncio.Event()

        class Stubborn(FunctionModel):
            async def acomplete(self, request):
                begun.set()
                await asyncio.sleep(30)
                return self.complete(request)

        async def cancelled():
            reasoner = Reasoner(Stubborn(scripted), way="single")
            task = asyncio.ensure_future(reasoner.aask(TREE, QUESTION, 3_000, on_event=events.append))
            await begun.wait()
            task.cancel()
            task.cancel()
            await asyncio.sleep(0)
            task.cancel()
            return await task

        try:
            answer = asyncio.run(cancelled())
        except asyncio.CancelledError:
            answer = None
        assert answer is None or answer.partial
        assert isinstance(events[-1], Finished)

    def test_a_timeout_around_it_gives_the_best_so_far(self):
        """`asyncio.wait_for` cancels: the answer comes back, partial, rather than an error, and no task is harmed."""

        class Slow(FunctionModel):
            async def acomplete(self, request):
                await asyncio.sleep(20)
                return self.complete(request)

        async def limited():
            reasoner = Reasoner(Slow(scripted), way="single")
            answer = await asyncio.wait_for(reasoner.aask(TREE, QUESTION, 3_000), 2.0)
            await asyncio.sleep(0)  # isn't cancelled
            return answer

        answer = asyncio.run(limited())
        assert answer.partial
        assert FACT in answer.text


# -- streams -----------------------------------------------------------------------------------------------------------


async def gathered(stream):
    return [item async for item in stream]


def streamed(reasoner, question=QUESTION, budget=3_000, *, awaited=False):
    """All that a stream yields."""
    if awaited:
        return asyncio.run(gathered(reasoner.astream(TREE, question, budget)))
    return list(reasoner.stream(TREE, question, budget))


def said(items):
    return "".join(item.text for item in items if isinstance(item, Said))


class TestStreams:
    @pytest.mark.parametrize("awaited", [False, True])
    @pytest.mark.parametrize("question", [QUESTION, LISTING])
    def test_what_happens_in_order(self, question, awaited):
        """Events as the trace has them, pieces of the text while its call is under way, the answer last."""
        model = Streaming()
        items = streamed(Reasoner(model), question, awaited=awaited)
        answer = items[-1]
        assert isinstance(answer, Answer)
        events = [item for item in items[:-1] if not isinstance(item, Said)]
        assert tuple(events) == answer.trace.events
        assert isinstance(events[0], Started)
        assert isinstance(events[-1], Finished)
        assert said(items) == answer.text == "Aarav Iyer, the helmsman"
        assert not answer.trace.of(Said)
        places = [place for place, item in enumerate(items) if isinstance(item, Said)]
        assert len(places) > 3
        assert places == list(range(places[0], places[-1] + 1))
        assert isinstance(items[places[-1] + 1], Settled)
        assert any(isinstance(item, Answered | Read) for item in items[places[-1] :])

    @given(st.text(st.characters(max_codepoint=0xFFFF, categories=["L", "N", "P"]), max_size=30), st.integers(1, 60))
    @settings(max_examples=10)
    def test_the_text_is_the_answers(self, text, size):
        """Whatever it is and however it comes."""
        reply = json.dumps({"answer": f"It is {text}.", "quotes": [{"source": 1, "text": FACT}], "missing": ""})
        items = streamed(Reasoner(Streaming(lambda _: reply, size=size), way="single"))
        assert said(items) == items[-1].text == f"It is {text}."

    def test_streamed_or_not_is_the_same(self):
        """Awaited, streamed or asked: equal answers, and the same trace byte for byte."""
        answers = [
            Reasoner(Streaming()).ask(TREE, QUESTION, 3_000),
            streamed(Reasoner(Streaming()))[-1],
            streamed(Reasoner(Streaming()), awaited=True)[-1],
            Reasoner(FunctionModel(scripted)).ask(TREE, QUESTION, 3_000),
        ]
        assert all(answer == answers[0] for answer in answers)
        assert len({answer.trace.to_jsonl() for answer in answers}) == 1

    def test_a_model_that_does_not_stream_says_nothing_early(self):
        """Events and the answer come all the same."""
        items = streamed(Reasoner(FunctionModel(scripted)))
        assert said(items) == ""
        assert items[-1].text == "Aarav Iyer, the helmsman"

    @pytest.mark.parametrize("awaited", [False, True])
    def test_errors_are_raised_where_it_is_read(self, awaited):
        """A blank question, too small a budget."""
        for question, budget, error in (("", 3_000, InputError), (QUESTION, 20, BudgetTooSmall)):
            with pytest.raises(error):
                streamed(Reasoner(Streaming()), question, budget, awaited=awaited)

    @pytest.mark.parametrize("kind", [Started, Said])
    def test_given_up_early_nothing_more_is_sent(self, kind):
        """Who breaks off is left alone: calls under way end, none is made after, and no thread stays."""
        model = Streaming(pause_s=0.005)
        stream = Reasoner(model).stream(TREE, QUESTION, 3_000)
        for item in stream:
            if isinstance(item, kind):
                break
        stream.close()
        assert none_left()
        made = len(model.requests)
        assert made <= 2
        if kind is Said:
            assert made == 2
        time.sleep(0.05)
        assert len(model.requests) == made

    @pytest.mark.parametrize("kind", [Started, Said])
    def test_nor_from_an_awaited_one(self, kind):
        """The same in a loop, with no task left."""
        model = Streaming(pause_s=0.005)

        async def given_up():
            before = asyncio.all_tasks()
            stream = Reasoner(model).astream(TREE, QUESTION, 3_000)
            async for item in stream:
                if isinstance(item, kind):
                    break
            await stream.aclose()
            for _ in range(200):
                if not asyncio.all_tasks() - before:
                    break
                await asyncio.sleep(0.01)
            return len(model.requests), asyncio.all_tasks() - before

        made, left = asyncio.run(given_up())
        gc.collect()
        assert not left
        assert len(model.requests) == made <= (1 if kind is Started else 2)

    def test_one_that_is_never_read_does_nothing(self):
        """No thread, no call."""
        model = Streaming()
        stream = Reasoner(model).stream(TREE, QUESTION, 3_000)
        assert not threads()
        stream.close()
        assert not model.requests
