import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.document import Document
from hierarchy.loaders.headings import Heading, heading_of, nest, one_line, title_key, titled


@pytest.mark.parametrize(
    ("line", "title"),
    [
        ("ITEM 8. FINANCIAL STATEMENTS AND SUPPLEMENTARY DATA", "ITEM 8. FINANCIAL STATEMENTS AND SUPPLEMENTARY DATA"),
        ("Note 3 — Income Taxes", "Note 3 — Income Taxes"),
        ("ARTICLE IV", "ARTICLE IV"),
        ("EXHIBIT 10.2", "EXHIBIT 10.2"),
        ("Section 2.1 Grant of License. Subject to the terms,", None),
        ("Section 2.1 Grant of License. Subject to the terms", "Section 2.1 Grant of License"),
        ("4.2 Payment Terms. The customer shall pay", "4.2 Payment Terms"),
        ("1. DEFINITIONS.", "1. DEFINITIONS"),
        ("1 Introduction", "1 Introduction"),
        ("CONSOLIDATED BALANCE SHEETS (unaudited)", "CONSOLIDATED BALANCE SHEETS"),
        ("Acme, Inc. Consolidated Statements of Cash Flows", "Acme, Inc. Consolidated Statements of Cash Flows"),
        ("Liquidity and Capital Resources", "Liquidity and Capital Resources"),
    ],
)
def test_headings_are_recognised(line, title):
    """Named parts, numbered titles and statements are headings, a paragraph's run-in title included."""
    heading = heading_of(line)
    assert (heading and heading.title) == title


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Item 1A. Risk Factors of this report describes what may happen to us,",
        "Note 12 to the financial statements",
        "12 Months Ended March",
        "3.5 million people live there",
        "2017 Stock Plan",
        "1. the first of these is small",
        "Exhibit A to the agreement",
        "PhD C: Yeah, I think so.",
        "Statements of Cash Flows for the years ended December 31, 2020",
        "Consolidated Statements of Cash Flows 65",
        "results of operations",
    ],
)
def test_other_lines_are_not(line):
    """References, column heads, list entries and speech aren't headings."""
    assert heading_of(line) is None


@given(st.text(max_size=300))
def test_any_line_is_judged(line):
    """No line makes the judgement fail, and a heading always has a title on one line."""
    heading = heading_of(line)
    assert heading is None or (heading.title and "\n" not in heading.title)


def test_titles_are_cleaned():
    """Dot leaders, "(continued)" and marks at the edges go; an endless title is cut at a word."""
    assert one_line("  Item 7. ..........  Results\n(Continued)") == "Item 7. Results"
    assert one_line("word " * 100).endswith("word …")
    assert title_key("ITEM 7A — Risk’s (continued)") == "item 7a risk s"


def test_small_words_dont_count_in_titles():
    """A title's capitals are judged without its articles and prepositions."""
    assert titled("Report of the Board on the State of Affairs")
    assert not titled("Report that was sent yesterday by mail")
    assert not titled("123")


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(1, 5), st.text("abc", min_size=1, max_size=3)), max_size=30))
def test_nested_sections_keep_the_documents_invariants(made):
    """Whatever the headings, the sections nest, are in order and lie within the text."""
    headings = [Heading(title=title, start=start, rank=rank) for start, rank, title in made]
    sections = nest(headings, 100)
    Document(name="x", text="y" * 100, sections=sections)
    assert len(sections) <= len(headings)
    assert all(section.depth >= 1 for section in sections)


def test_ranks_become_depths():
    """Depth counts the open headings, so a document without parts has its items on top."""
    found = [
        Heading(title=name, start=at, rank=rank) for at, (name, rank) in enumerate([("a", 20), ("b", 50), ("c", 20)])
    ]
    assert [(section.title, section.depth, section.span.end) for section in nest(found, 9)] == [
        ("a", 1, 2),
        ("b", 2, 2),
        ("c", 1, 9),
    ]


def test_titles_on_one_line_are_joined():
    """Two headings of one rank at one place become one section with both titles."""
    found = [Heading(title="Item 10", start=0, rank=1), Heading(title="Item 11", start=0, rank=1)]
    assert [section.title for section in nest(found, 5)] == ["Item 10; Item 11"]
