import pytest

from hierarchy.relevance import parse


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
