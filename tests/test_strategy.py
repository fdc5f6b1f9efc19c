"""The choice of a way to read: a function of the situation, explained, that never spends the answer's share."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.strategy import FIRST_TOKENS, WAYS, Situation, asks_for_all, asks_for_summary, choose, revised


def situation(budget=8_000, **changes):
    """A long report, a model that can do everything, and a question about one thing, unless changed."""
    values = {
        "budget_tokens": budget,
        "document_tokens": 100_000,
        "whole_tokens": budget + 1,
        "least_tokens": 400,
        "compose_tokens": 700,
        "usual_tokens": 400,
        "route_tokens": {"full": 350, "lean": 130},
        "prompt_tokens": {"full": 130, "lean": 40},
    }
    return Situation(**{**values, **changes})


class TestTable:
    @pytest.mark.parametrize(
        ("changes", "way", "routing", "rounds"),
        [
            # What fits is read whole, whatever is asked; one token more, and it isn't.
            ({"whole_tokens": 8_000}, "whole", "no", 1),
            ({"whole_tokens": 8_000, "asks_for_all": True}, "whole", "no", 1),
            ({"whole_tokens": 8_000, "way": "branches"}, "whole", "no", 1),
            ({"whole_tokens": 8_000, "max_calls": 1}, "whole", "no", 1),
            ({"whole_tokens": 8_000, "can_route": False}, "whole", "no", 1),
            ({"whole_tokens": 8_001}, "staged", "full", 2),
            # A model that can only quote gets all that there is room for, in one call.
            ({"can_route": False}, "single", "no", 1),
            ({"can_route": False, "asks_for_all": True}, "single", "no", 1),
            ({"way": "single"}, "single", "no", 1),
            ({"way": "single", "asks_for_all": True}, "single", "no", 1),
            # The full form where tokens are plenty or statements have names, the lean one elsewhere.
            ({"budget": 4_000}, "staged", "full", 2),
            ({"budget": 3_999}, "staged", "lean", 2),
            ({"budget": 1_000}, "staged", "lean", 1),
            # Its usual reply is at most a third of the budget, and its longest leaves the least answer its tokens.
            ({"budget": 700, "least_tokens": 300}, "staged", "lean", 1),
            ({"budget": 700, "least_tokens": 571}, "staged", "no", 1),
            ({"budget": 529}, "staged", "no", 1),
            ({"budget": 530}, "staged", "lean", 1),
            # As many rounds as are allowed, affordable and callable.
            ({"rounds": 1}, "staged", "full", 1),
            ({"rounds": 5, "budget": 100_000}, "staged", "full", 5),
            ({"rounds": 9, "budget": 8_000}, "staged", "full", 7),
            ({"max_calls": 1}, "staged", "no", 1),
            ({"max_calls": 2}, "staged", "full", 1),
            ({"max_calls": 3}, "staged", "full", 2),
            ({"max_calls": 99}, "staged", "full", 2),
            # All of a document is read by branches, where there is enough for any.
            ({"asks_for_all": True}, "branches", "full", 1),
            ({"asks_for_all": True, "asks_for_summary": True}, "branches", "no", 1),
            ({"asks_for_all": True, "budget": 2_500}, "branches", "lean", 1),
            ({"asks_for_all": True, "budget": 2_499}, "staged", "lean", 1),
            ({"asks_for_all": True, "max_calls": 1}, "staged", "no", 1),
            ({"asks_for_all": True, "max_calls": 2}, "branches", "no", 1),
            # Who asks for a way gets it.
            ({"way": "branches"}, "branches", "no", 1),
            ({"way": "branches", "budget": 500}, "branches", "no", 1),
            ({"way": "staged", "asks_for_all": True}, "staged", "full", 2),
            ({"way": "staged", "whole_tokens": 8_000}, "staged", "full", 2),
            ({"way": "staged", "can_route": False}, "staged", "no", 2),
        ],
    )
    def test_what_is_chosen(self, changes, way, routing, rounds):
        """Each situation has one plan."""
        plan = choose(situation(**changes))
        assert (plan.way, plan.routing, plan.rounds) == (way, routing, rounds)
        assert plan.why.endswith(".")

    def test_only_the_first_of_several_rounds_is_small(self):
        """Who can't come back reads all that fits at once."""
        assert choose(situation()).first_tokens == FIRST_TOKENS
        for changes in ({"rounds": 1}, {"max_calls": 2}, {"way": "single"}, {"budget": 1_500}):
            assert choose(situation(**changes)).first_tokens is None

    @pytest.mark.parametrize(
        ("changes", "says"),
        [
            ({"whole_tokens": 8_000}, "100,000 tokens of the document fit"),
            ({"asks_for_all": True}, "about all of the document"),
            ({"asks_for_all": True, "budget": 2_000}, "2,000 tokens are too few"),
            ({"asks_for_all": True, "max_calls": 1}, "one call is allowed"),
            ({"can_route": False}, "quotes"),
            ({"rounds": 3}, "Up to 3 rounds"),
            ({"budget": 520}, "not routed"),
        ],
    )
    def test_the_reason_is_the_true_one(self, changes, says):
        """The trace says what decided."""
        assert says in choose(situation(**changes)).why

    def test_who_asks_for_one_call_is_told_that_he_did(self):
        """The reason for a single call that was asked for isn't what the model can't do."""
        assert "quotes and asks nothing back" not in choose(situation(way="single")).why


class TestRevision:
    def test_a_list_becomes_branches(self):
        """A question that routing takes for a list or a summary is answered by branches after all."""
        given_ = situation()
        for kind in ("list", "summary", "summarisation", "whole document"):
            changed = revised(choose(given_), given_, kind=kind, question="Who renews?")
            assert changed.way == "branches"
            assert kind in changed.why

    @pytest.mark.parametrize("kind", ["", "lookup", "computation", "yes-no", "a list perhaps", "42", "{}"])
    def test_anything_else_changes_nothing(self, kind):
        """Whatever else routing calls it, the plan stays."""
        plan = choose(situation())
        assert revised(plan, situation(), kind=kind, question="Who renews?") == plan

    @pytest.mark.parametrize(
        "changes", [{"way": "staged"}, {"way": "single"}, {"way": "branches"}, {"whole_tokens": 1}]
    )
    def test_a_forced_or_other_way_stays(self, changes):
        """What the user asked for, and what isn't staged, isn't revised."""
        given_ = situation(**changes)
        assert revised(choose(given_), given_, kind="list", question="Who?") == choose(given_)

    def test_too_few_tokens_keep_the_rounds(self):
        """Below what branches need only the reason changes."""
        given_ = situation(2_000)
        before = choose(given_)
        after = revised(before, given_, kind="list", question="Who?")
        assert (after.way, after.routing, after.rounds, after.first_tokens) == (
            *(before.way, before.routing, before.rounds, before.first_tokens),
        )
        assert "too few" in after.why

    def test_calls_that_are_left_decide(self):
        """With two calls, one of them spent on routing, the only one left answers; no branch could be read."""
        given_ = situation(max_calls=2)
        assert revised(choose(given_), given_, kind="list", question="Who?").way == "staged"

    def test_the_reason_names_who_decided(self):
        """A question that asks for all by its own words wasn't taken for it by routing."""
        given_ = situation(2_000, asks_for_all=True)
        assert "for a ." not in revised(choose(given_), given_, kind="", question="Summarise the report.").why


class TestQuestions:
    @pytest.mark.parametrize(
        ("question", "all_of_it", "in_short"),
        [
            ("Summarise the meeting.", True, True),
            ("Summarize the main points of the discussion.", True, True),
            ("Give an overview of the report.", True, True),
            ("What is the gist?", True, True),
            ("List all termination clauses.", True, False),
            ("Which of these contracts renew automatically?", True, False),
            ("Which documents mention warfarin?", True, False),
            ("Name every speaker.", True, False),
            ("What was discussed in the whole meeting?", True, False),
            ("What was capital expenditure in FY2018?", False, False),
            ("Who chaired the meeting?", False, False),
            ("List price of the pump?", False, False),
            ("What did all of this cost?", False, False),
            ("", False, False),
        ],
    )
    def test_by_its_words(self, question, all_of_it, in_short):
        """What asks for all of a document, and what for it in short."""
        assert asks_for_all(question) is all_of_it
        assert asks_for_summary(question) is in_short

    @given(st.text(max_size=60), st.text(max_size=20))
    def test_who_wants_a_summary_wants_all(self, question, kind):
        """In short implies all of it, whatever the words."""
        assert asks_for_all(question, kind) or not asks_for_summary(question, kind)


@st.composite
def situations(draw):
    """Any situation that an engine could come up with."""
    budget = draw(st.integers(1, 20_000))
    prompts = {form: draw(st.integers(1, 400)) for form in ("full", "lean")}
    return Situation(
        budget_tokens=budget,
        max_calls=draw(st.none() | st.integers(1, 6)),
        document_tokens=draw(st.integers(1, 200_000)),
        whole_tokens=draw(st.integers(1, budget + 1)),
        least_tokens=draw(st.integers(1, budget)),
        compose_tokens=draw(st.integers(1, 2_000)),
        usual_tokens=draw(st.integers(1, 2_000)),
        prompt_tokens=prompts,
        route_tokens={form: prompts[form] + draw(st.integers(0, 500)) for form in prompts},
        margin=draw(st.sampled_from([1.0, 1.3, 2.0])),
        can_route=draw(st.booleans()),
        asks_for_all=draw(st.booleans()),
        way=draw(st.sampled_from(WAYS)),
        rounds=draw(st.integers(1, 5)),
    )


class TestAnySituation:
    @given(situations())
    def test_a_plan_is_possible(self, given_):
        """Within budget and calls, explained, and the same when asked again."""
        plan = choose(given_)
        assert plan == choose(given_)
        assert plan.why.endswith(".")
        assert 1 <= plan.rounds <= given_.rounds
        assert given_.way in {"auto", plan.way} or (given_.way, plan.way) == ("branches", "whole")
        routed = plan.routing != "no"
        if routed:
            assert given_.can_route
            assert plan.way == "staged"
            assert given_.route_tokens[plan.routing] + given_.least_tokens <= given_.budget_tokens
            assert 3 * given_.prompt_tokens[plan.routing] <= given_.budget_tokens
        if given_.max_calls is not None and plan.way == "staged":
            assert plan.rounds + routed <= given_.max_calls
        if plan.rounds > 1:
            assert plan.way == "staged"
            assert plan.first_tokens == FIRST_TOKENS
            spent = given_.prompt_tokens[plan.routing] if routed else 0
            usual = FIRST_TOKENS + (plan.rounds - 1) * given_.usual_tokens
            assert spent + usual + given_.compose_tokens <= given_.budget_tokens
        else:
            assert plan.first_tokens is None

    @given(situations(), st.text(max_size=12) | st.sampled_from(["list", "summary", "lookup"]))
    def test_so_is_a_revised_one(self, given_, kind):
        """Routing can change the way to branches and nothing else."""
        plan = choose(given_)
        after = revised(plan, given_, kind=kind, question="What is the rate?")
        assert after.why.endswith(".")
        assert after.rounds >= 1
        assert after == revised(plan, given_, kind=kind, question="What is the rate?")
        assert (after.way, after.routing, after.rounds) == (plan.way, plan.routing, plan.rounds) or (
            after.way == "branches" and plan.way == "staged" and given_.way == "auto"
        )

    @given(situations(), st.integers(1, 5_000))
    def test_more_tokens_never_mean_fewer_rounds_of_the_same_kind(self, given_, more):
        """As long as routing stays as it is, a larger budget is read in as many rounds or more."""
        small = choose(replace(given_, way="staged"))
        large = choose(replace(given_, way="staged", budget_tokens=given_.budget_tokens + more))
        if small.routing == large.routing:
            assert large.rounds >= small.rounds
