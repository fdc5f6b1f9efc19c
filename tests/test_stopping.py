"""Reading stops where enough was probably read and little is expected of the rest."""

import itertools

import numpy as np
import pytest
from documents import documents, long_text
from hypothesis import given, settings
from hypothesis import strategies as st

from hierarchy import Budget, Document, Reasoner, outline, sample
from hierarchy.allocator import POLICIES, expected_gain
from hierarchy.errors import DocumentEmpty, InputError
from hierarchy.relevance import estimate
from hierarchy.stopping import chance_of, enough_tokens, sure_and_most

gains = st.lists(st.floats(0, 1), min_size=1, max_size=8)


@given(gains, st.integers(1, 4))
def test_the_chance_of_several_is_what_counting_all_outcomes_gives(chances, needed):
    """Against every combination of hits and misses."""
    exact = sum(
        float(np.prod([chance if hit else 1 - chance for chance, hit in zip(chances, hits, strict=True)]))
        for hits in itertools.product([0, 1], repeat=len(chances))
        if sum(hits) >= needed
    )
    assert chance_of(np.array(chances), needed)[-1] == pytest.approx(exact, abs=1e-9)


@given(gains, st.integers(1, 4))
def test_confidence_never_falls_with_reading_and_with_fewer_needs(chances, needed):
    """It is a chance, too: between 0 and 1."""
    confidence = sure_and_most(chances, needed)
    assert (np.diff(confidence) >= -1e-12).all()
    assert (confidence >= 0).all()
    assert (confidence <= 1).all()
    assert (sure_and_most(chances, needed + 1) <= confidence + 1e-12).all()


@given(
    documents(),
    st.sampled_from(["Warfarin?", "margin in 2018"]),
    st.integers(1, 900),
    st.sampled_from(sorted(POLICIES)),
)
@settings(max_examples=60, deadline=None)
def test_more_confidence_never_reads_less_and_never_more_than_allowed(document, question, tokens, policy):
    """Something is always read."""
    try:
        tree = outline(document)
    except DocumentEmpty:
        return
    relevance = estimate(tree, question)
    enough = [
        enough_tokens(tree, relevance, POLICIES[policy], tokens, confidence=confidence)
        for confidence in (0.1, 0.5, 0.8, 0.95, 0.999)
    ]
    assert enough == sorted(enough)
    assert 0 < enough[0] <= enough[-1] <= tokens


def test_two_needs_are_read_for_longer_than_one():
    """One good place is enough for one; two take another."""
    tree = outline(Document(name="agreement.txt", text=long_text()))
    relevance = estimate(tree, "What does clause 17 concern?")
    one, two = (
        enough_tokens(tree, relevance, expected_gain, 4_000, confidence=0.6, needed=needed) for needed in (1, 2)
    )
    assert one <= two


def test_an_answer_costs_less_and_keeps_its_quote():
    """On a bundled report, with the built-in model; without the cap as much is read as there is room for."""
    tree = Reasoner().outline(sample("annual_report.pdf"))
    question = "What were total net sales in fiscal 2025?"
    full = Reasoner().ask(tree, question, Budget(8_000))
    short = Reasoner().ask(tree, question, Budget(8_000, stop_when_confident=0.7))
    assert short.usage.total_tokens < 0.8 * full.usage.total_tokens
    assert short.citations[0].quote == full.citations[0].quote


@pytest.mark.parametrize("confidence", [0, 1, -0.5, 2, float("nan"), "0.8", True])
def test_no_chance_is_refused(confidence):
    """Only what lies between impossible and certain can be waited for."""
    with pytest.raises(InputError, match="stop_when_confident"):
        Budget(100, stop_when_confident=confidence)
