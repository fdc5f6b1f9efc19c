"""The ceiling, and how the runner tells who may see a case."""

from __future__ import annotations

from hierarchy.document import Document, Span
from hierarchy.evaluation.baselines import Head
from hierarchy.evaluation.oracle import Oracle, case_reader
from hierarchy.evaluation.predictions import PageSpan, TextSpan
from hierarchy.evaluation.sets import Case, Gold


def case(*gold):
    return Case(id="c", doc_id="d", question="?", evidence=gold)


def span(start, end, group="0", file=None):
    return Gold(span=TextSpan(start=start, end=end, file=file), group=group)


def test_the_cheapest_group_is_read_first_and_nothing_else():
    """All stretches of one group stay together; what no gold names isn't read, however large the budget."""
    document = Document(name="d", text="one two six ten red big cat dog sun sky")
    read = case_reader(Oracle(), document)
    question = case(span(0, 15, "long"), span(15, 19, "short"), span(27, 31, "short"))
    order = (TextSpan(start=15, end=19), TextSpan(start=27, end=31), TextSpan(start=0, end=15))
    assert read(question, 99) == order
    assert read(question, 2) == order[:2]
    assert read(case(), 99) == ()


def test_a_folder_is_read_by_file():
    """The gold names it."""
    parts = (Document(name="a.txt", text="one two"), Document(name="b.txt", text="six ten"))
    read = case_reader(Oracle(), Document(name="f", media="folder", parts=parts))
    assert read(case(span(0, 3, file="b.txt")), 9) == (TextSpan(start=0, end=3, file="b.txt"),)


def test_the_shortest_gold_page_of_a_pdf_is_read_first():
    """All pages are needed, and the budget cuts the last."""
    document = Document(name="d.pdf", text="one two six", media="pdf", pages=(Span(0, 11),))
    gold = (Gold(span=PageSpan(page=4, text="red big cat dog")), Gold(span=PageSpan(page=2, text="one")))
    assert case_reader(Oracle(), document)(case(*gold), 3) == (
        PageSpan(page=2, text="one"),
        PageSpan(page=4, text="red big"),
    )


def test_others_are_given_the_question_alone():
    """A system of the plain kind is never handed the gold."""
    seen = []

    class Curious:
        def prepare(self, document):
            return lambda question, budget: seen.append((question, budget)) or ()

    case_reader(Curious(), Document(name="d", text="x"))(case(span(0, 1)), 7)
    assert seen == [("?", 7)]
    assert case_reader(Head(), Document(name="d", text="x"))(case(), 7) == (TextSpan(start=0, end=1),)
