"""Figures of single cases, against values worked out by hand."""

from __future__ import annotations

import pytest

from hierarchy.errors import InputError
from hierarchy.evaluation.metrics import PdfSource, TextSource, content_words, score_case
from hierarchy.evaluation.predictions import PageSpan, TextSpan
from hierarchy.evaluation.sets import Case, Gold
from hierarchy.tokens import count_tokens

# Ten tokens: "one", " two", … with three to five letters each, so that positions are easy to see.
TEXT = "one two six ten red big cat dog sun sky"
STARTS = [0, 3, 7, 11, 15, 19, 23, 27, 31, 35]


def text_case(*gold, group=None):
    evidence = tuple(
        Gold(span=TextSpan(start=start, end=end), group=str(g if group is None else group)) for start, end, g in gold
    )
    return Case(id="c", doc_id="d", question="?", evidence=evidence)


def judge(case, spans, budget, text=TEXT):
    spans = tuple(TextSpan(start=start, end=end) for start, end in spans)
    return score_case(case, spans, budget, TextSource.of({None: text}))


def test_the_text_has_the_tokens_that_the_other_tests_count_on():
    """The hand-made text is cut where its figures assume it to be."""
    assert count_tokens.starts(TEXT).tolist() == STARTS


def test_a_span_costs_the_tokens_that_start_in_it():
    """A span that begins within a token doesn't pay for it; one that ends within a token does."""
    case = text_case((0, 7, 0))
    assert judge(case, [(0, 7)], 9).used_tokens == 2
    assert judge(case, [(1, 8)], 9).used_tokens == 2


def test_tokens_are_paid_once():
    """Reading the same tokens again is free, so that overlapping spans are judged by their union."""
    score = judge(text_case((0, 11, 0)), [(0, 7), (0, 11), (3, 7)], 9)
    assert (score.used_tokens, score.coverage, score.over_budget) == (3, 1.0, False)


def test_coverage_weighs_groups_by_length_and_one_group_suffices():
    """One of two groups is found: enough to answer, half of the groups, and its share of the characters."""
    score = judge(text_case((0, 7, 0), (11, 39, 1)), [(0, 7)], 9)
    assert (score.answerable, score.groups, score.coverage) == (1.0, 0.5, 7 / 35)


def test_eighty_per_cent_of_a_group_is_enough_and_less_is_not():
    """The threshold holds at exactly 80 % and counts all stretches of a group together."""
    case = text_case((0, 5, 0), (10, 15, 0))
    assert judge(case, [(0, 5), (10, 13)], 9).answerable == 1.0
    assert judge(case, [(0, 5), (10, 12)], 9).answerable == 0.0


def test_what_goes_over_is_cut_and_counted():
    """A budget of two tokens leaves the characters before the third, and the spans behind are not read."""
    score = judge(text_case((0, 12, 0)), [(0, 12), (20, 30)], 2)
    assert (score.over_budget, score.used_tokens, score.coverage) == (True, 2, 7 / 12)
    assert score.tokens_to_evidence == 10


def test_tokens_to_evidence_counts_up_to_the_span_that_completes_a_group():
    """Two spans of two tokens are read before the group is there; the third no longer counts."""
    score = judge(text_case((19, 27, 0)), [(0, 7), (19, 27), (30, 39)], 9)
    assert score.tokens_to_evidence == 4
    assert judge(text_case((19, 27, 0)), [(0, 7)], 9).tokens_to_evidence == 10


def test_nothing_read_scores_nothing():
    """A prediction without spans is valid, free and worthless."""
    score = judge(text_case((0, 7, 0)), [], 9)
    assert (score.coverage, score.answerable, score.groups, score.used_tokens) == (0.0, 0.0, 0.0, 0)


@pytest.mark.parametrize("span", [(5, 5), (0, 40), (7, 3)])
def test_a_span_outside_its_text_is_refused_with_the_case(span):
    """A wrong offset is an error of the system, never a zero."""
    with pytest.raises((InputError, ValueError), match="c: span"):
        judge(text_case((0, 7, 0)), [span], 9)


def test_files_of_a_folder_are_counted_apart_but_on_one_bill():
    """Equal offsets in two files are two places, and both files draw on the same budget."""
    case = Case(id="c", doc_id="d", question="?", evidence=(Gold(span=TextSpan(start=0, end=7, file="b.txt")),))
    source = TextSource.of({"a.txt": TEXT, "b.txt": TEXT})
    spans = [TextSpan(start=0, end=7, file="a.txt"), TextSpan(start=0, end=7, file="b.txt")]
    assert score_case(case, spans[:1], 9, source).coverage == 0.0
    both = score_case(case, spans, 3, source)
    assert (both.coverage, both.used_tokens, both.over_budget) == (3 / 7, 3, True)
    assert score_case(case, [], 9, source).tokens_to_evidence == 20
    with pytest.raises(InputError, match=r"no file 'c\.txt'"):
        score_case(case, [TextSpan(start=0, end=7, file="c.txt")], 9, source)


def test_characters_of_several_tokens_are_seen_whole_or_not_at_all():
    """A cut inside a character of several tokens leaves the character out."""
    text = "a 𓀀𓀁 b"
    starts = count_tokens.starts(text).tolist()
    assert len(set(starts)) < len(starts)
    score = judge(text_case((2, 3, 0)), [(0, 6)], starts.index(2) + 1, text)
    assert (score.over_budget, score.coverage) == (True, 0.0)


def pdf_case(*gold):
    return Case(
        id="c", doc_id="d", question="?", evidence=tuple(Gold(span=PageSpan(page=p, text=t), text=t) for p, t in gold)
    )


def test_numbers_compare_without_separators_and_trailing_zeros():
    """1,577.50 and 1577.5 are the same figure; stop words and marks are no content."""
    assert list(content_words("The total of 1,577.50 (or 1577.5), 30.00 & 100")) == [
        "total", "1577.5", "1577.5", "30", "100"
    ]  # fmt: skip


def test_pages_count_by_content_words_and_every_gold_page_is_needed():
    """Half of each page's words answers; one page alone doesn't."""
    source = PdfSource.of(dict(enumerate(["Revenue 100 cost 60", "Assets 500 cash 20"])))
    case = pdf_case((0, "revenue 100 cost 60"), (1, "assets 500 cash 20"))
    one = score_case(case, [PageSpan(page=0, text="Revenue 100")], 50, source)
    assert (one.coverage, one.answerable, one.groups, one.tokens_to_evidence) == (0.25, 0.0, None, None)
    both = score_case(case, [PageSpan(page=0, text="Revenue 100"), PageSpan(page=1, text="cash 20")], 50, source)
    assert (both.coverage, both.answerable) == (0.5, 1.0)


def test_words_that_are_not_on_the_page_earn_nothing():
    """A system can't be paid for words that it made up, or that it says stand on another page."""
    source = PdfSource.of(dict(enumerate(["Revenue 100", "Assets 500"])))
    case = pdf_case((0, "revenue 100 cost 60"))
    assert score_case(case, [PageSpan(page=0, text="revenue 100 cost 60")], 50, source).coverage == 0.5
    assert score_case(case, [PageSpan(page=1, text="revenue 100")], 50, source).coverage == 0.0
    assert score_case(case, [PageSpan(page=7, text="revenue 100")], 50, source).coverage == 0.0


def test_words_count_as_often_as_they_stand():
    """Saying a word twice doesn't find two of it where the page has one."""
    source = PdfSource.of(dict(enumerate(["cash 20"])))
    assert (
        score_case(pdf_case((0, "cash cash 20")), [PageSpan(page=0, text="cash cash 20")], 50, source).coverage == 2 / 3
    )


def test_each_span_of_a_pdf_is_paid_for_by_itself_and_cut_at_the_budget():
    """Equal spans are paid twice; the span that goes over is cut at a token."""
    source = PdfSource.of(dict(enumerate(["one two six ten"])))
    case = pdf_case((0, "one two six ten"))
    span = PageSpan(page=0, text="one two six")
    assert score_case(case, [span, span], 6, source).used_tokens == 6
    cut = score_case(case, [span], 2, source)
    assert (cut.used_tokens, cut.over_budget, cut.coverage) == (2, True, 0.5)


def test_spans_of_the_wrong_kind_are_refused():
    """Pages in a text and characters in a PDF are told apart from evidence not found."""
    with pytest.raises(InputError, match="is text"):
        score_case(text_case((0, 7, 0)), [PageSpan(page=0, text="one")], 9, TextSource.of({None: TEXT}))
    with pytest.raises(InputError, match="is a PDF"):
        score_case(pdf_case((0, "one")), [TextSpan(start=0, end=3)], 9, PdfSource.of(dict(enumerate(["one"]))))


def test_a_file_is_found_with_any_of_its_groups():
    """Two files hold gold: one whole group of the first is there, of the second half of its only one."""
    gold = [("a", 0, 7, "0"), ("a", 11, 19, "1"), ("b", 0, 11, "2")]
    evidence = tuple(Gold(span=TextSpan(start=s, end=e, file=f), group=g) for f, s, e, g in gold)
    case = Case(id="c", doc_id="d", question="?", evidence=evidence)
    source = TextSource.of({"a": TEXT, "b": TEXT, "c": TEXT})
    spans = [TextSpan(start=0, end=7, file="a"), TextSpan(start=0, end=5, file="b")]
    assert score_case(case, spans, 9, source).files == 0.5
    assert score_case(case, [*spans, TextSpan(start=5, end=11, file="b")], 9, source).files == 1.0
    assert judge(text_case((0, 7, 0)), [(0, 7)], 9).files is None
