"""Replaying: with its replies known, a run comes about again, event by event; without, it says what would be new."""

from __future__ import annotations

import random
from dataclasses import replace

import hostile
import pytest
from documents import chart, long_text

import hierarchy
from hierarchy.budget import Budget
from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import InputError, StoreError
from hierarchy.events import Finished, Kept, ModelFacts, Planned, Recalled, Reserved, Settled, Started
from hierarchy.models import FunctionModel
from hierarchy.replaying import replay
from hierarchy.trace import Trace

AGREEMENT = Document(name="agreement.txt", text=long_text(110))
QUESTION = "What does clause 57 concern?"


def telling(trace):
    """A trace whose models say how they count, as those named by litellm's spelling do."""
    started = trace.events[0]
    models = tuple(replace(facts, counter=facts.counter or "cl100k_base") for facts in started.models)
    return Trace((replace(started, models=models), *trace.events[1:]))


def comparable(events):
    """Events without what a provider's bills teach other questions at the same time."""
    return [
        replace(event, margin=1.0, tokens=0, cost_usd=None) if isinstance(event, Reserved) else event
        for event in events
    ]


class Talker:
    """Replies to each stage as it is asked for, with what only a run of its own could know: how often it was called."""

    def __init__(self):
        self.calls = 0

    def __call__(self, request):
        self.calls += 1
        if request.stage == "route":
            return '{"terms": ["clause 57", "item 58"], "needs": [], "kind": "fact"}'
        if request.stage == "refine":
            return "NONE"
        return f'{{"answer": "Reply {self.calls}.", "quotes": [], "missing": null}}'


class TestTheSameBudget:
    @pytest.mark.parametrize("question", ["What was capital expenditure in fiscal 2025?", "Summarise the report."])
    def test_the_built_in_model(self, question):
        """The bundled report, asked again from its trace, gives the same trace, byte for byte, and the same answer."""
        path = hierarchy.sample("annual_report.pdf")
        first = Reasoner().ask(path, question, 3_000)
        again = replay(Trace.from_jsonl(first.trace.to_jsonl()), path)
        assert again.whole
        assert again.trace.to_jsonl() == first.trace.to_jsonl()
        assert (again.answer.text, again.answer.citations) == (first.text, first.citations)

    def test_whatever_models_do(self):
        """Runs with failures, retries, lies, broken replies and second models come about again, as far as no clock had
        a hand in them.
        """
        replayed = retried = 0
        with hostile.quickly():
            for number in range(250):
                case = hostile.case_of(random.Random(f"replay:{number}").choice, kept=False, timed=False)
                case = replace(case, shared=0, cancel_at=(), stop_at=0, awaited=False)
                ran = hostile.ask(case)
                if case.raising or not ran.events or not isinstance(ran.events[-1], Finished):
                    continue
                trace = telling(Trace(ran.events))
                again = replay(trace, hostile.DOCUMENTS[case.document])
                assert comparable(again.trace) == comparable(trace), number
                assert not again.new
                expected = ran.answer or getattr(ran.error, "partial", None)
                assert (again.answer and again.answer.text) == (expected and expected.text)
                replayed += 1
                retried += any(isinstance(event, Settled) and event.error for event in ran.events)
        assert replayed > 140
        assert retried > 10

    def test_what_was_there_already_is_there_again(self, tmp_path):
        """Replies from a store cost nothing in the replay either."""
        with Reasoner(FunctionModel(Talker()), store=tmp_path / "store.db")._shelf._opened() as store:
            reasoner = Reasoner(FunctionModel(Talker()), store=store)
            first = reasoner.ask(AGREEMENT, QUESTION, 3_000)
            second = reasoner.ask(AGREEMENT, QUESTION, 3_000)
        assert second.usage.total_tokens == 0
        assert second.trace.of(Recalled)
        again = replay(telling(second.trace), AGREEMENT)
        assert comparable(again.trace) == comparable(telling(second.trace))
        assert again.answer.text == second.text == first.text

    def test_a_cap_on_time_is_not_kept_to(self):
        """A replay takes no time, so that a cap on it is shown and doesn't count."""
        first = Reasoner(FunctionModel(Talker())).ask(AGREEMENT, QUESTION, Budget(3_000, max_seconds=60))
        again = replay(telling(first.trace), AGREEMENT)
        assert again.trace == telling(first.trace)
        assert again.trace.of(Started)[0].budget.max_seconds == 60


class TestAnotherBudget:
    def test_the_built_in_model_answers_as_a_fresh_run_would(self):
        """It is here, so that all of its replies are known at any budget."""
        reasoner = Reasoner()
        first = reasoner.ask(chart(), "When was warfarin stopped?", 900)
        for budget in (400, 1_500, "400%", Budget(900, max_calls=1)):
            fresh = reasoner.ask(chart(), "When was warfarin stopped?", budget)
            again = replay(first.trace, chart(), budget=budget)
            assert again.whole
            assert again.trace == fresh.trace
            assert again.answer.text == fresh.text

    def test_replies_that_are_known_are_used_and_the_first_that_is_not_ends_it(self):
        """At a larger budget routing asks the same, and composing something new: which is said, and not made up."""
        talker = Talker()
        reasoner = Reasoner(FunctionModel(talker), way="staged")
        first = reasoner.ask(AGREEMENT, QUESTION, 2_000)
        assert [call.stage for call in first.trace.of(Reserved)][:2] == ["route", "compose"]
        called = talker.calls
        again = replay(telling(first.trace), AGREEMENT, budget=3_500)
        assert talker.calls == called
        assert again.known == 1
        assert [call.stage for call in again.new] == ["compose"]
        assert not again.whole
        assert again.answer.partial
        fresh = Reasoner(FunctionModel(Talker()), way="staged").ask(AGREEMENT, QUESTION, 3_500)
        asked = next(call for call in fresh.trace.of(Reserved) if call.stage == "compose")
        assert (again.new[0].tokens, again.new[0].input_tokens) == (asked.tokens, asked.input_tokens)
        until = fresh.trace.events.index(asked)
        assert again.trace.events[:until] == telling(fresh.trace).events[:until]

    def test_a_budget_that_allows_none(self):
        """Too small a budget is the replay's answer."""
        first = Reasoner().ask(chart(), "When was warfarin stopped?", 900)
        again = replay(first.trace, chart(), budget=5)
        assert again.answer is None
        assert "budget" in again.error.message.lower()
        assert not again.whole
        assert again.to_dict()["error"] == again.error.message


class TestWhatCantBeDone:
    def test_another_document(self):
        """A replay over a document that isn't the trace's is refused."""
        first = Reasoner().ask(chart(), "When was warfarin stopped?", 900)
        with pytest.raises(InputError, match="isn't the document"):
            replay(first.trace, AGREEMENT)

    def test_an_older_trace_or_one_without_a_beginning(self):
        """Replies came with version 2, and what was asked stands at the beginning."""
        started = Reasoner().ask(chart(), "When was warfarin stopped?", 900).trace.of(Started)[0]
        with pytest.raises(StoreError, match="version 1"):
            replay(Trace((replace(started, models=()),)), chart())
        with pytest.raises(StoreError, match="beginning"):
            replay(Trace((Kept(tokens=1),)), chart())

    @pytest.mark.parametrize(
        "changes",
        [
            {"strategy": {}},
            {"strategy": {"policy": "uniform", "way": "auto", "rounds": "many"}},
            {"strategy": {"policy": "uniform", "way": "auto", "rounds": None}},
            {"models": (ModelFacts(role="other", name="a"),)},
            {
                "models": tuple(
                    ModelFacts(role=role, name="extractive", learned=(9.0, 1)) for role in ("answer", "help")
                )
            },
        ],
    )
    def test_a_beginning_that_is_damaged(self, changes):
        """What a run can't have begun with is said to be damaged."""
        first = Reasoner().ask(chart(), "When was warfarin stopped?", 900).trace
        broken = Trace((replace(first.of(Started)[0], **changes), *first.events[1:]))
        with pytest.raises(StoreError, match="damaged"):
            replay(broken, chart())

    def test_gathered_context(self):
        """Gathering calls no model, so that there is nothing to replay."""
        found = Reasoner().context(chart(), "When was warfarin stopped?", 500)
        with pytest.raises(InputError, match="no model"):
            replay(found.trace, chart())

    def test_a_model_that_counts_in_its_own_way(self):
        """A counter that the trace can't name can't be counted with again."""
        first = Reasoner(FunctionModel(Talker(), count=lambda text: len(text) // 3)).ask(AGREEMENT, QUESTION, 3_000)
        with pytest.raises(InputError, match="counted tokens"):
            replay(first.trace, AGREEMENT)

    def test_a_vocabulary_that_is_not_at_hand(self):
        """A trace that names another encoding has none fetched: it can't be replayed."""
        first = telling(Reasoner(FunctionModel(Talker())).ask(AGREEMENT, QUESTION, 3_000).trace)
        started = first.events[0]
        models = tuple(replace(facts, counter="p50k_base") for facts in started.models)
        with pytest.raises(InputError, match="counted tokens"):
            replay(Trace((replace(started, models=models), *first.events[1:])), AGREEMENT)

    def test_templates_and_lexicons_of_ones_own(self, tmp_path):
        """They are asked for, and have to be the same."""
        lexicon = tmp_path / "own.toml"
        lexicon.write_text('[[concept]]\nasks = ["blood thinner"]\nwords = ["warfarin"]\n')
        first = Reasoner(lexicons=[lexicon]).ask(chart(), "When was the blood thinner stopped?", 900)
        with pytest.raises(InputError, match="lexicons of your own"):
            replay(first.trace, chart())
        assert replay(first.trace, chart(), lexicons=[lexicon]).trace == first.trace
        lexicon.write_text('[[concept]]\nasks = ["blood thinner"]\nwords = ["aspirin"]\n')
        with pytest.raises(InputError, match="aren't the lexicons"):
            replay(first.trace, chart(), lexicons=[lexicon])

    def test_the_plan_is_the_trace_s(self):
        """Way, rounds and policy are taken from the trace."""
        first = Reasoner(FunctionModel(Talker()), way="branches", rounds=1, policy="uniform").ask(
            AGREEMENT, QUESTION, 4_000
        )
        again = replay(telling(first.trace), AGREEMENT)
        assert again.trace == telling(first.trace)
        assert again.trace.of(Planned)[-1].way == "branches"
