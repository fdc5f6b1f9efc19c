"""Margins: reservations cover what was seen, doubt falls, and nonsense teaches nothing."""

import math
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.margins import MOST_OVERHEAD_TOKENS, MOST_TIMES, TELLING_TOKENS, Margin, Margins

counts = st.integers(1, 200_000)
reports = st.tuples(counts, st.floats(0.25, 4.0)).map(lambda pair: (pair[0], max(1, round(pair[0] * pair[1]))))
anything = st.tuples(st.integers(-5, 200_000), st.one_of(st.none(), st.integers(-(10**20), 10**20), st.booleans()))
firsts = st.floats(0.5, 4.0)


def learnt(observed):
    margin = Margin()
    for counted, reported in observed:
        margin = margin.after(counted, reported)
    return margin


def is_plausible(counted, reported):
    return counted * 0.25 <= reported <= counted * 4


@given(st.lists(reports, min_size=1, max_size=20), firsts)
def test_what_was_seen_is_covered_from_then_on(observed, first):
    """Whatever came before or after, and whatever the model's own margin: a prompt seen once always fits again."""
    margin = learnt(observed)
    for counted, reported in observed:
        if is_plausible(counted, reported):
            assert math.ceil(counted * margin.factor(first, counted) + 1e-6) >= reported


@given(st.lists(reports, max_size=20), firsts, counts)
def test_a_factor_is_never_below_one_and_never_absurd(observed, first, counted):
    """The most is the highest plausible ratio, the overhead and the doubt."""
    factor = learnt(observed).factor(first, counted)
    assert 1.0 <= factor <= max(first, MOST_TIMES * 1.15 + MOST_OVERHEAD_TOKENS / counted)


@given(st.lists(reports, max_size=10), firsts, st.integers(TELLING_TOKENS, 100_000))
def test_honest_reports_let_it_fall(observed, first, counted):
    """Each report that shows nothing worse lowers the factor or leaves it, down to what was seen."""
    margin = learnt(observed)
    seen = max(1.0, margin.ratio)
    factors = []
    for _ in range(30):
        factors.append(margin.factor(first, counted))
        margin = margin.after(counted, math.floor(counted * seen))
    assert factors == sorted(factors, reverse=True)
    many = Margin(margin.ratio, 10**9, overhead_tokens=margin.overhead_tokens)
    overhead = max(margin.overhead_tokens, 8)  # a template's few tokens are reckoned with, seen or not
    assert many.factor(first, counted) <= seen + overhead / counted + 1e-4


@given(st.lists(reports, max_size=20), firsts, counts, counts)
def test_a_longer_prompt_is_never_reserved_for_less(observed, first, one, other):
    """So that what fits can be searched for."""
    margin, (short, long) = learnt(observed), sorted((one, other))
    assert short * margin.factor(first, short) <= long * margin.factor(first, long) + 1e-6


@given(st.lists(reports, min_size=1, max_size=10), firsts, st.integers(TELLING_TOKENS, 100_000), st.floats(0.01, 0.5))
def test_it_rises_at_once(observed, first, counted, beyond):
    """A report above the reservation raises the next one above it."""
    margin = learnt(observed)
    before = margin.factor(first, counted)
    reported = math.ceil(counted * before * (1 + beyond))
    if is_plausible(counted, reported):
        after = margin.after(counted, reported).factor(first, counted)
        assert after > before
        assert after * counted >= reported - 1e-6


@given(st.lists(reports, max_size=10), anything)
def test_nonsense_teaches_nothing(observed, report):
    """No report, none or less of a prompt, a quarter, four times, a truth value: the margin stays as it is."""
    counted, reported = report
    margin = learnt(observed)
    nonsense = reported is None or isinstance(reported, bool) or counted < 1 or not is_plausible(counted, reported)
    if nonsense or reported < 1:
        assert margin.after(counted, reported) is margin


@given(st.lists(reports, max_size=10), st.lists(reports, max_size=10), firsts, counts)
def test_two_that_learnt_apart_are_joined_without_loss(ours, theirs, first, counted):
    """Whoever writes last: what either saw is covered, in either order, and joining again changes nothing."""
    a, b = learnt(ours), learnt(theirs)
    joined = a.joined(b)
    assert joined == b.joined(a) == joined.joined(a)
    for counted_then, reported in [*ours, *theirs]:
        if is_plausible(counted_then, reported):
            assert math.ceil(counted_then * joined.factor(first, counted_then) + 1e-6) >= reported


def test_before_anything_is_known_the_model_s_own_margin_holds():
    """Conservative, but never below one."""
    assert Margin().factor(1.3) == 1.3
    assert Margin().factor(0.7) == 1.0


def test_exact_counts_stay_exact():
    """The built-in model bills what it counts: learning so reserves nothing more."""
    margin = learnt([(4_000, 4_000), (100, 100)])
    assert margin.factor(1.0, 4_000) == 1.0
    assert margin.factor(1.0) == 1.0


def test_a_template_on_short_prompts_does_not_make_long_ones_dear():
    """Eight tokens on a hundred are 8 % there and 0.1 % of eight thousand."""
    margin = learnt([(120, 128)] * 50 + [(8_000, 8_008)] * 400)
    assert margin.overhead_tokens == 8
    assert margin.factor(1.3, 8_000) < 1.012
    assert 128 <= 120 * margin.factor(1.3, 120) < 131


def test_short_prompts_alone_never_lower_the_margin():
    """They are too little to tell how the tokenizer counts."""
    margin = learnt([(100, 100)] * 1_000)
    assert margin.factor(1.3, 8_000) == 1.3


def test_a_tokenizer_that_is_much_dearer_shows_on_short_prompts_too():
    """What no template explains is the ratio's."""
    margin = Margin().after(400, 800)
    assert margin.overhead_tokens == MOST_OVERHEAD_TOKENS
    assert margin.ratio == 1.75
    assert 400 * margin.factor(1.1, 400) >= 800


def test_doubt_falls_with_the_root_of_what_was_seen():
    """Fifteen per cent after one, one and a half after a hundred, once the model's own margin proved too low."""
    assert Margin(1.2, 1).factor(1.0, 10**9) == pytest.approx(1.2 * 1.15, abs=1e-6)
    assert Margin(1.2, 100).factor(1.0, 10**9) == pytest.approx(1.2 * 1.015, abs=1e-6)


@pytest.mark.parametrize(
    "margin", [(0.0, 1), (-1.0, 1), (math.nan, 1), (math.inf, 1), (9.0, 1), (1.0, -1), (1.0, 10**30)]
)
def test_no_margin_that_nothing_leads_to(margin):
    """What a damaged file says isn't multiplied with."""
    with pytest.raises(ValueError, match="no margin"):
        Margin(*margin)


def test_a_book_keeps_models_apart():
    """And is empty of what was never seen."""
    margins = Margins({"a/b": Margin(1.2, 9)})
    margins.observe("a/c", 1_000, 1_100)
    margins.observe("a/d", 1_000, None)
    assert margins.snapshot() == (("a/b", Margin(1.2, 9)), ("a/c", Margin(1.1, 1)))
    assert margins.factor("a/d", 1.25) == 1.25
    assert margins.learn("a/c", Margin(1.05, 40)) == Margin(1.1, 40)


def test_threads_lose_no_observation():
    """Eight at once, a thousand each."""
    margins = Margins()

    def observe(offset):
        for number in range(1_000):
            margins.observe("a/b", 1_000, 1_000 + offset + number % 7)

    threads = [threading.Thread(target=observe, args=(offset,)) for offset in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert margins.snapshot() == (("a/b", Margin(1.013, 8_000)),)
