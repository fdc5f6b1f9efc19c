import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.relevance import Routing, parse, routed


def test_instructions_are_dropped():
    """Words that say how to answer are no terms; words that say what about are."""
    asked = parse("Please calculate the operating cash flow ratio. Round your answer to two decimal places.")
    assert {"oper", "cash", "flow", "ratio"} <= set(asked.terms)
    assert not {"pleas", "calcul", "answer", "decim"} & set(asked.terms)


def test_conditions_on_the_answer_are_dropped():
    """What to do if nothing is found points nowhere in the document."""
    asked = parse("What is the gross margin of Acme? If margin is not a useful metric for a bank, then state that.")
    assert "bank" not in asked.terms
    assert "gross" in asked.terms


@pytest.mark.parametrize("text", ["Please explain.", "Why?", "If so, state it"])
def test_a_question_of_instructions_alone_keeps_them(text):
    """A question never loses all of its terms if it has any."""
    from hierarchy.terms import terms

    assert bool(parse(text).terms) == bool(terms(text))


def test_what_is_asked_for_is_recognised():
    """Numbers, effects, years, names and questions over several files each have a sign."""
    assert parse("How much did Acme spend in FY2018?").wants_number
    assert parse("How much did Acme spend in FY2018?").years == {"2018"}
    assert parse("How much did Acme spend in FY2018?").names == ("acm",)
    assert parse("Does aspirin significantly change mortality?").wants_effect
    assert parse("Which of these contracts limit liability?").wants_files
    assert not parse("Who signed it?").wants_number


def test_pairs_are_neighbours():
    """Neighbouring terms come as pairs, in order."""
    assert ("capit", "expenditur") in parse("What was capital expenditure?").pairs


WORDS = st.text(max_size=40)
ROUTINGS = st.builds(
    Routing,
    terms=st.lists(WORDS, max_size=40).map(tuple),
    needs=st.lists(WORDS, max_size=40).map(tuple),
    kind=WORDS,
    questions=st.lists(WORDS, max_size=5).map(tuple),
)


@given(WORDS, ROUTINGS)
def test_a_routing_never_takes_a_word_away(text, routing):
    """Whatever it says: each of the question's own words counts at least once, and all of it is the same as before."""
    asked = parse(text)
    found = routed(asked, routing)
    assert all(found.weights[term] >= 1.0 for term in asked.terms)
    assert (found.text, found.terms, found.pairs, found.names) == (asked.text, asked.terms, asked.pairs, asked.names)


def test_what_a_routing_adds():
    """A word of both counts twice, a new one less than the question's own, and words that only instruct not at all."""
    asked = routed(
        parse("What is the quick ratio of Acme?"), Routing(terms=("Total current assets", "please", "ratio"))
    )
    assert asked.weights == {"quick": 1.0, "ratio": 2.0, "acm": 1.0, "total": 0.75, "current": 0.75, "asset": 0.75}
    assert asked.routed_pairs == (("total", "current"), ("current", "asset"))
    assert asked.is_routed


def test_needs_and_parts_of_a_question():
    """Needs stay apart, each with its terms; the words of a part of the question count half."""
    routing = Routing(
        needs=("balance sheet", "Note 4: leases"), kind=" Computation\n", questions=("What was revenue?",)
    )
    asked = routed(parse("How did it go?"), routing)
    assert asked.needs == (("balanc", "sheet"), ("note", "4", "leas"))
    assert asked.kind == "computation"
    assert dict(asked.routed) == {"revenu": 0.5}


@pytest.mark.parametrize("routing", [Routing(), Routing(terms=("", " ", "a", "the of")), Routing(needs=("?",))])
def test_a_routing_that_says_nothing_changes_nothing(routing):
    """The question stays as it was, and isn't counted as routed."""
    asked = parse("Who signed the lease?")
    assert routed(asked, routing) == asked
    assert not asked.is_routed


def test_an_endless_routing_is_bounded():
    """Thousands of terms, terms of one letter and of a million: the beginning counts, and it is over at once."""
    endless = (*(f"word{'x' * (n % 7)} {n} q" for n in range(50_000)), "z " * 500_000)
    began = time.process_time()
    asked = routed(parse("Who signed the lease?"), Routing(terms=endless, needs=endless, kind="k" * 10**6))
    assert time.process_time() - began < 0.1
    assert len(asked.routed) <= 64
    assert len(asked.phrases) <= 16
    assert max(map(len, asked.phrases)) <= 8
    assert len(asked.needs) <= 16
    assert len(asked.kind) <= 120
    assert "sign" in asked.weights
