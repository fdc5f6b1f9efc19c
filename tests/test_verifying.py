"""Verifying: a sound trace holds, whatever happened in it; a changed one doesn't, though its chain be made anew."""

from __future__ import annotations

import random
import threading
from dataclasses import replace

import hostile
import pytest
from documents import chart, long_text
from loopback import BEHAVIOURS, Loopback
from test_replaying import telling

import hierarchy
from hierarchy.budget import Budget, Usage
from hierarchy.document import Document
from hierarchy.drivers import Places, drive
from hierarchy.engine import Reasoner, outline
from hierarchy.errors import HierarchyError, InputError, StoreError
from hierarchy.events import Allocated, Answered, Finished, GrantLine, Kept, Noted, Read, Reserved, Settled, Started
from hierarchy.margins import Margin
from hierarchy.models import FunctionModel, ProviderModel
from hierarchy.trace import Trace
from hierarchy.verifying import verified

QUESTION = "When was warfarin stopped?"


@pytest.fixture(scope="module")
def trace():
    """A question over the chart, answered by the built-in model."""
    return Reasoner().ask(chart(), QUESTION, 900).trace


def changed(trace, kind, **changes):
    """A trace in which the first event of a kind is another, its chain made anew, as by someone who knows how."""
    events = list(trace.events)
    at = next(place for place, event in enumerate(events) if isinstance(event, kind))
    events[at] = replace(events[at], **changes)
    return Trace(tuple(events)).to_jsonl()


def wrong(verdict):
    """Names of the checks that found something wrong."""
    return [check.name for check in verdict.checks if check.holds is False]


def unchecked(verdict):
    """Names of the checks that couldn't be made."""
    return [check.name for check in verdict.checks if check.holds is None]


class TestSound:
    def test_everything_is_checked(self, trace):
        """With the document at hand nothing is left unchecked, and nothing is wrong."""
        verdict = verified(trace.to_jsonl(), chart())
        assert verdict.holds
        assert not unchecked(verdict)
        assert verdict.spent_tokens == trace.usage().total_tokens <= verdict.budget_tokens == 900
        assert verdict.to_dict()["holds"] is True

    def test_the_bundled_report(self):
        """A long PDF, named by its path."""
        path = hierarchy.sample("annual_report.pdf")
        text = Reasoner().ask(path, "What was capital expenditure in fiscal 2025?", 4_000).trace.to_jsonl()
        verdict = verified(text, path)
        assert verdict.holds
        assert not unchecked(verdict)

    def test_without_the_document(self, trace):
        """The file alone tells of bytes and books; what it can't tell isn't counted as right."""
        verdict = verified(trace.to_jsonl())
        assert verdict.holds
        assert unchecked(verdict) == ["reads and quotes", "run again"]

    def test_hostile_runs(self):
        """Runs with failures, lies, interruptions, tasks and shared accounts all hold: nobody is accused wrongly."""
        checked = 0
        with hostile.quickly():
            for number in range(150):
                case = hostile.case_of(random.Random(f"verify:{number}").choice, kept=False, timed=False)
                account = hostile._account(case)
                ran = hostile.ask(case, account=account)
                hostile.settle_down()
                if case.raising or not ran.events:
                    continue
                verdict = verified(telling(Trace(ran.events)).to_jsonl(), hostile.DOCUMENTS[case.document])
                assert not wrong(verdict), (number, [check for check in verdict.checks if check.holds is False])
                checked += 1
        assert checked > 80

    def test_an_overdraft_is_no_break_of_the_budget(self):
        """What a provider bills beyond its reservation is said, and not laid to our charge."""
        model = FunctionModel(
            lambda _: '{"answer": "3 May.", "quotes": []}',
            usage=lambda *_: Usage(input_tokens=5_000, output_tokens=9, calls=1),
        )
        trace = telling(Reasoner(model).ask(chart(), QUESTION, 2_000).trace)
        verdict = verified(trace.to_jsonl(), chart())
        assert verdict.holds
        assert verdict.overdraft_tokens == trace.of(Settled)[0].overdraft_tokens > 0
        assert "beyond" in next(check.detail for check in verdict.checks if check.name == "budget")

    def test_a_run_that_was_stopped(self):
        """An interruption comes about again where it came, and so does what was answered from."""
        stop = threading.Event()

        def reply(request):
            if request.stage == "route":
                stop.set()
            return "[]"

        agreement = Document(name="agreement.txt", text=long_text(110))
        answer = Reasoner(FunctionModel(reply), way="staged").ask(agreement, QUESTION, 2_000, stop=stop)
        assert answer.partial
        trace = telling(answer.trace)
        verdict = verified(trace.to_jsonl(), agreement)
        assert not unchecked(verdict)
        assert verdict.holds
        assert "run again" in wrong(verified(changed(trace, Answered, text="Another."), agreement))

    def test_a_run_that_was_broken_off(self):
        """A listener that raises ends the run where it likes: what came before comes about again, the rest is said."""
        for number in range(6, 15):
            heard = []

            def hear(event, number=number, heard=heard):
                heard.append(event)
                if len(heard) == number:
                    raise RuntimeError

            agreement = Document(name="agreement.txt", text=long_text(110))
            session, flow = Reasoner(FunctionModel(lambda _: "[]"), way="staged").opened(
                outline(agreement), QUESTION, 2_000, 0.0
            )
            session.on_event = hear
            with pytest.raises(RuntimeError):
                drive(session, session.work(flow), Places(2))
            verdict = verified(telling(session.trace()).to_jsonl(), agreement)
            assert verdict.holds
            assert unchecked(verdict) == ["run again"]
            assert "cut short" in verdict.checks[-1].detail

    @pytest.mark.parametrize(
        "name", ["503", "401", "drop-body", "empty", "bad-body", "html-body", "no-usage", "usage-low"]
    )
    def test_failures_over_http(self, name):
        """What a provider's failure is said to be mended by is in the notes of a run, and comes about again."""
        with Loopback(BEHAVIOURS[name]) as server:
            model = ProviderModel("openai/x", api_base=server.url, api_key="x", timeout_s=5)
            reasoner = Reasoner(model, way="staged", store=None, max_attempts=1)
            agreement = Document(name="agreement.txt", text=long_text(110))
            try:
                trace = reasoner.ask(agreement, QUESTION, 2_000).trace
            except HierarchyError as error:
                trace = error.trace
        verdict = verified(trace.to_jsonl(), agreement)
        assert verdict.holds
        assert not unchecked(verdict)

    def test_what_others_taught_of_margins(self):
        """A question that is held to margins that others learnt meanwhile, or that an earlier run had not, is sound."""
        agreement = Document(name="agreement.txt", text=long_text(110))

        def reply(request):
            reasoner.margins.learn(model.name, Margin(1.9, 3, overhead_tokens=40))
            return "[]" if request.stage == "route" else '{"answer": "Item 97.", "quotes": []}'

        model = FunctionModel(reply, margin=1.2, usage=lambda *_: None)
        reasoner = Reasoner(model, way="staged", store=None)
        trace = telling(reasoner.ask(agreement, QUESTION, 6_000).trace)
        margins = [call.margin for call in trace.of(Reserved)]
        assert margins[0] < 1.9 <= margins[1]
        verdict = verified(trace.to_jsonl(), agreement)
        assert verdict.holds
        assert not unchecked(verdict)

    def test_a_call_that_others_margins_left_no_room_for(self):
        """What margin a call that wasn't sent was held to nobody knows: that is said, and nobody accused."""
        agreement = Document(name="agreement.txt", text=long_text(110))

        def reply(_):
            reasoner.margins.learn(model.name, Margin(3.9, 3, overhead_tokens=90))
            return "[]"

        model = FunctionModel(reply, margin=1.2)
        reasoner = Reasoner(model, way="staged", store=None)
        trace = telling(reasoner.ask(agreement, QUESTION, 2_000).trace)
        assert any("wasn't sent" in noted.what for noted in trace.of(Noted))
        verdict = verified(trace.to_jsonl(), agreement)
        assert verdict.holds
        assert unchecked(verdict) == ["run again"]

    @pytest.mark.parametrize("broken", ["keep", "recall"])
    def test_a_store_in_trouble(self, broken):
        """What a store said when it could neither keep nor find replies is said again."""
        kept = {}

        class Journal:
            def recall(self, key):
                if kept and broken == "recall":
                    raise StoreError("The disk is gone.", "Get another.")
                return kept.get(key)

            def keep(self, key, model, stage, outcome):
                if stage != "margins" and broken == "keep":
                    raise StoreError("The disk is full.", "Make room.")
                kept[key] = outcome

        agreement = Document(name="agreement.txt", text=long_text(110))
        reasoner = Reasoner(
            FunctionModel(lambda _: '{"terms": ["clause"], "answer": "97", "quotes": []}'), way="staged"
        )
        session, flow = reasoner.opened(outline(agreement), QUESTION, 2_000, 0.0)
        session.journal = Journal()
        kept["other"] = None
        answer = session.finished(drive(session, session.work(flow), Places(2)))
        assert any("The disk is" in noted.what for noted in answer.trace.of(Noted))
        verdict = verified(telling(answer.trace).to_jsonl(), agreement)
        assert verdict.holds
        assert not unchecked(verdict)


class TestCutOff:
    def test_between_lines_and_within_one(self, trace):
        """A trace that a killed process left behind holds as far as it goes, and is said to be incomplete."""
        text = trace.to_jsonl()
        lines = text.splitlines(keepends=True)
        for cut in ("".join(lines[:-3]), text[:-100], "".join(lines[:9]) + lines[9][:20]):
            verdict = verified(cut, chart())
            assert verdict.holds
            assert unchecked(verdict) == ["completeness", "sums"]

    def test_without_its_beginning_nothing_can_be_run(self, trace):
        """The chain shows that lines are missing."""
        lines = trace.to_jsonl().splitlines(keepends=True)
        assert "bytes" in wrong(verified("".join([lines[0], *lines[2:]])))


class TestChanged:
    @pytest.mark.parametrize("at", [60, 300, 900, 2_000, -300])
    def test_one_byte(self, trace, at):
        """A digit or letter changed in the file is found by its line."""
        text = trace.to_jsonl()
        at %= len(text)
        at = next(place for place in range(at, len(text)) if text[place].isalnum())
        other = "7" if text[at] != "7" else "8"
        broken = text[:at] + other + text[at + 1 :]
        try:
            verdict = verified(broken, chart())
        except (StoreError, InputError):
            return  # the line isn't readable any more, or the document's hash is another: said, too
        assert "bytes" in wrong(verdict)

    @pytest.mark.parametrize(
        ("kind", "changes", "name"),
        [
            (Reserved, {"tokens": 1}, "reservations"),
            (Reserved, {"input_tokens": 3, "tokens": 403}, "reservations"),
            (Reserved, {"call": 2}, "settlements"),
            (Reserved, {"margin": 1e308}, "reservations"),
            (Reserved, {"margin": 1.2, "tokens": 10**6}, "run again"),
            (Settled, {"overdraft_tokens": 5}, "settlements"),
            (Settled, {"reported_input_tokens": 500}, "settlements"),
            (Settled, {"usage": Usage(input_tokens=9_000, output_tokens=1, calls=1, cost_usd=0.0)}, "settlements"),
            (Finished, {"usage": Usage(input_tokens=1, calls=1)}, "sums"),
            (Finished, {"by_stage": ()}, "sums"),
            (Finished, {"overdraft_tokens": 1}, "sums"),
            (Allocated, {"policy": "uniform", "grants": (GrantLine(node="0", title="", tokens=9_000),) * 2}, "grants"),
            (Allocated, {"grants": ()}, "run again"),
            (Read, {"start": 0, "end": 10**6}, "reads and quotes"),
            (Read, {"tokens": 1}, "run again"),
            (Answered, {"text": "4 May."}, "run again"),
            (Kept, {"tokens": 899}, "budget"),
            (Started, {"question": "What is it?"}, "run again"),
        ],
    )
    def test_by_someone_who_chains_it_anew(self, trace, kind, changes, name):
        """A figure that doesn't fit the others, the document or the run is found though the chain is whole."""
        if kind is Kept:
            changes = {"tokens": 900}
            trace = Trace(tuple(replace(e, stage="route") if isinstance(e, Reserved) else e for e in trace.events))
        verdict = verified(changed(trace, kind, **changes), chart())
        assert name in wrong(verdict)
        assert "bytes" not in wrong(verdict)
        assert not verdict.holds

    def test_a_quote_that_was_doctored(self, trace):
        """A verified quote stands in the document, character for character."""
        quotes = [dict(quote) for quote in trace.of(Answered)[0].citations]
        quotes[0]["quote"] = quotes[0]["quote"].replace("3 May", "4 May")
        assert "reads and quotes" in wrong(verified(changed(trace, Answered, citations=tuple(quotes)), chart()))

    def test_another_document(self, trace):
        """A document that isn't the trace's is refused rather than used against it."""
        with pytest.raises(InputError, match="isn't the document"):
            verified(trace.to_jsonl(), Document(name="chart.md", text="Another."))

    def test_other_caps(self):
        """Caps on calls and USD that the calls didn't fit show, without the document too."""
        model = FunctionModel(
            lambda request: "[]" if request.stage == "route" else '{"answer": "97", "quotes": []}',
            price=lambda read, written: 1e-4 + (read + written) * 1e-6,
            usage=lambda *_: Usage(input_tokens=700, output_tokens=9, calls=1, cost_usd=7e-4),
        )
        agreement = Document(name="agreement.txt", text=long_text(110))
        caps = Budget(3_000, max_calls=9, max_cost_usd=0.01)
        trace = telling(Reasoner(model, way="staged").ask(agreement, QUESTION, caps).trace)
        assert verified(trace.to_jsonl(), agreement).holds
        assert len(trace.of(Settled)) > 1
        for caps in (Budget(3_000, max_calls=1), Budget(3_000, max_cost_usd=1e-5)):
            assert wrong(verified(changed(trace, Started, budget=caps))) == ["budget"]

    def test_a_smaller_cap(self, trace):
        """A cap that the calls didn't fit shows."""
        text = changed(trace, Started, budget=Budget(300))
        assert "budget" in wrong(verified(text))
