"""Rows come with the heads, unit and bounds of their table, however the document writes tables."""

import time
from itertools import pairwise

import pytest
from documents import chart, documents
from hypothesis import given
from test_planner import built

from hierarchy.document import Document, Section, Span
from hierarchy.loaders import load
from hierarchy.planner import outline
from hierarchy.tables import (
    RowContext,
    document_defaults,
    passage_context,
    row_context,
    row_contexts,
    says_nothing,
    table_of,
)


def tree_of(text, rows, *, pages=(), furniture=(), sections=()):
    """A tree over lines of which those that hold one of `rows` are rows; `pages` are lines that begin one."""
    spans, at, starts = [], 0, []
    for line in text.splitlines(keepends=True):
        if any(row in line for row in rows):
            spans.append(Span(at, at + len(line)))
        if line.strip() in pages:
            starts.append(at)
        at += len(line)
    edges = [0, *starts, len(text)]
    return outline(
        Document(
            name="report.pdf",
            text=text,
            media="pdf",
            rows=tuple(spans),
            pages=tuple(Span(a, b) for a, b in pairwise(edges)) if pages else (),
            furniture=tuple(Span(text.index(line), text.index(line) + len(line)) for line in furniture),
            sections=tuple(Section(title=title, span=Span(text.index(title), len(text))) for title in sections),
        )
    )


def leaf_with(tree, words):
    return next(leaf for leaf in range(len(tree.leaves)) if words in tree.leaf_text(leaf))


STATEMENT = (
    "We sell cooling. The figures follow below in the usual order.\n"
    "Year ended December 31,\n"
    "(in millions, except per share data) 2018 2017 2016\n"
    "Net sales $ 1,577 $ 1,402 $ 1,300\n"
    "Cost of sales\n"
    "Products 900 800 700\n"
    "Earnings per share 2.10 1.98 1.50\n"
    "These statements were audited, and the auditors found nothing to say about them at all.\n"
    "(in thousands) As reported Adjustment As revised\n"
    "Fiscal 2017 statement of income\n"
    "Gross profit 564 (4) 560\n"
    "Balance sheet, December 31, 2017\n"
    "Accrued warranty 31 4 36\n"
)
ROWS = ("2018 2017", "Net sales", "Products", "per share 2", "As reported", "profit", "warranty", "Year ended")


def test_heads_stacked_over_a_statement_are_all_taken():
    """Period line and year line, unit included; not the sentence before nor the label within the table."""
    tree = tree_of(STATEMENT, ROWS)
    context = row_context(tree, leaf_with(tree, "Products"))
    assert context.heads == ("Year ended December 31,", "(in millions, except per share data) 2018 2017 2016")
    assert context.unit == "(in millions, except per share data)"
    assert context.line == "Year ended December 31, / (in millions, except per share data) 2018 2017 2016"


def test_heads_that_are_no_rows_are_found_too():
    """The period line is often left unmarked by loaders, since it holds no two numbers."""
    tree = tree_of(STATEMENT, ROWS[:-1])
    assert row_context(tree, leaf_with(tree, "Net sales")).heads[0] == "Year ended December 31,"


def test_a_part_of_a_table_keeps_its_own_line_and_the_columns():
    """Columns named by words; of two parts with dates only the row's own is taken."""
    tree = tree_of(STATEMENT, (*ROWS, "statement of income", "Balance sheet"))
    context = row_context(tree, leaf_with(tree, "warranty"))
    assert context.heads == ("(in thousands) As reported Adjustment As revised", "Balance sheet, December 31, 2017")
    assert context.unit == "(in thousands)"


def test_heads_of_several_short_lines_in_one_leaf():
    """Narrow columns come out of a PDF as a stack of lines; the unit ends with its own line."""
    text = (
        "(In thousands, except per share data)\nYears Ended\nNovember 27,\n2015\nNovember 28,\n2014\nRevenue:\n"
        "Subscription $ 3,223,904 $ 2,076,584\nProduct 1,125,146 1,627,803\n"
    )
    tree = tree_of(text, ("Subscription", "Product"))
    context = row_context(tree, leaf_with(tree, "Product"))
    assert context.unit == "(In thousands, except per share data)"
    assert context.heads[0].endswith("Years Ended November 27, 2015 November 28, 2014 Revenue:")
    assert table_of(tree, leaf_with(tree, "Product"))[0] == 0


@pytest.mark.parametrize(
    "unit",
    ["(in millions)", "($ in thousands)", "(Dollars in millions)", "(in percent)", "(USD millions)", "$ in thousands",
     "(shares in thousands)", "(in billions of U.S. dollars)", "(in dollars)", "(% of net sales)"],
)  # fmt: skip
def test_units_as_reports_write_them(unit):
    """A unit on a line of its own, above heads without one."""
    tree = tree_of(f"{unit}\n2018 2017\nNet sales 1,577 1,402\n", ("2018", "Net sales"))
    context = row_context(tree, leaf_with(tree, "Net sales"))
    assert context.unit == unit
    assert "2018 2017" in context.heads


@pytest.mark.parametrize("line", ["ITEM 5", "The term", "In 2018 we invested", "m", "1,577"])
def test_no_unit_is_made_up(line):
    """Words that merely end like a unit are none."""
    tree = tree_of(f"{line}\n2018 2017\nNet sales 1,577 1,402\n", ("2018", "Net sales"))
    assert row_context(tree, leaf_with(tree, "Net sales")).unit == ""


def test_a_unit_is_not_borrowed_from_another_table_or_page():
    """Other rows with figures, or a page's edge, end the search."""
    text = "(in thousands) 2018 2017\nUnits 5 6\nSome words that end like a sentence.\n2018 2017\nKilns 7 8\n"
    tree = tree_of(text, ("2018", "Units", "Kilns"))
    assert row_context(tree, leaf_with(tree, "Kilns")).unit == ""
    paged = tree_of("(in thousands)\n2018 2017\nKilns 7 8\n", ("2018", "Kilns"), pages=("2018 2017",))
    assert row_context(paged, leaf_with(paged, "Kilns")) == RowContext(heads=("2018 2017",), unit="")


def test_markdown_heads_stand_over_the_rule():
    """Cells are parted by one bar; the line of dashes is no head; the section is that of the row."""
    tree = outline(chart())
    context = row_context(tree, leaf_with(tree, "Creatinine"))
    assert context.heads == ("Test | 1 May | 3 May",)
    assert context.section == "Laboratory"
    assert table_of(tree, leaf_with(tree, "Creatinine")) == (
        leaf_with(tree, "| Test"), leaf_with(tree, "Creatinine") + 1,
    )  # fmt: skip


def test_the_unit_is_the_rows_own_where_there_is_a_column_for_it(tmp_path):
    """As laboratory tables have."""
    text = (
        "# Labs\n\n| Test | Result | Unit |\n|---|---|---|\n| Creatinine | 2.1 | mg/dL |\n| Sodium | 140 | mmol/L |\n"
    )
    (tmp_path / "labs.md").write_text(text, "utf-8")
    tree = outline(load(tmp_path / "labs.md"))
    assert row_context(tree, leaf_with(tree, "Creatinine")).unit == "mg/dL"
    assert row_context(tree, leaf_with(tree, "Sodium")).unit == "mmol/L"


def test_neighbouring_markdown_tables_stay_apart():
    """A blank line parts them, and a date in a cell is data, not a head."""
    first = "| A | B |\n|---|---|\n| born | 14 March 1951 |\n"
    text = f"{first}\n| C | D |\n|---|---|\n| seen | 3 May 2024 |\n| left | 4 May 2024 |\n"
    tree = tree_of(text, ("|",))
    assert row_context(tree, leaf_with(tree, "left")).heads == ("C | D",)
    assert row_context(tree, leaf_with(tree, "born")).heads == ("A | B",)
    assert table_of(tree, leaf_with(tree, "seen")) == (leaf_with(tree, "| C"), leaf_with(tree, "left") + 1)


def test_html_rows_come_with_their_first_row(tmp_path):
    """A table without a rule has its heads in its first row, if that holds no figures."""
    cells = (("Drug", "Dose"), ("Aspirin", "75 mg"), ("Apixaban", "5 mg"))
    rows = "".join(f"<tr><td>{drug}</td><td>{dose}</td></tr>" for drug, dose in cells)
    page = f"<html><body><h1>Drugs</h1><p>As given.</p><table>{rows}</table></body></html>"
    (tmp_path / "chart.html").write_text(page, "utf-8")
    tree = outline(load(tmp_path / "chart.html"))
    assert row_context(tree, leaf_with(tree, "Apixaban")).heads == ("Drug | Dose",)


def test_a_table_is_bounded_by_prose_pages_and_new_heads():
    """The first statement with its heads; not the prose behind it nor the next table."""
    tree = tree_of(STATEMENT, ROWS)
    low, high = table_of(tree, leaf_with(tree, "Products"))
    assert tree.text(low, high).startswith("Year ended")
    assert tree.text(low, high).endswith("1.50\n")
    two = tree_of("2018 2017\nA 1 2\nB 3 4\n(in thousands) 2018 2017\nC 5 6\n", ("2018", "A 1", "B 3", "C 5"))
    assert table_of(two, leaf_with(two, "A 1")) == (0, 3)
    assert table_of(two, leaf_with(two, "C 5")) == (3, 5)
    assert table_of(tree, 0) == (0, 1)


def test_a_passage_needs_only_heads_that_stand_outside_it():
    """Nothing for prose or a whole table; heads for its lower half."""
    tree = tree_of(STATEMENT, ROWS)
    low, high = table_of(tree, leaf_with(tree, "Products"))
    assert passage_context(tree, 0, 1) == ""
    assert passage_context(tree, low, high) == ""
    assert "2018 2017 2016" in passage_context(tree, leaf_with(tree, "Products"), high)


def test_only_rows_of_dates_and_units_say_nothing():
    """A row that names anything may be what is asked for."""
    tree = tree_of(STATEMENT, (*ROWS, "Balance sheet"))
    assert says_nothing(tree, leaf_with(tree, "2018 2017"))
    assert not says_nothing(tree, leaf_with(tree, "Balance sheet"))
    assert not says_nothing(tree, leaf_with(tree, "Net sales"))
    assert not says_nothing(tree, 0)


def test_a_file_s_defaults_are_what_it_states():
    """Scale of most tables and year end; nothing where the file states nothing."""
    text = "For the fiscal year ended September 27, 2025\n" + "".join(
        f"(in millions) 2025 2024\nItem {n} $ {n} $ 1\n" for n in range(3)
    )
    tree = tree_of(text, ("(in millions)", "Item"))
    assert (
        document_defaults(tree)
        == "Unless stated otherwise: tables in $ millions; fiscal year ended September 27, 2025."
    )
    assert document_defaults(outline(chart())) == ""


@given(documents())
def test_any_leaf_of_any_document_has_a_context(document):
    """Nothing is assumed about documents: bounds hold the leaf and contexts are one line."""
    tree = built(document)
    if tree is None:
        return
    leaves = range(len(tree.leaves))
    for leaf, context in zip(leaves, row_contexts(tree, leaves), strict=True):
        low, high = table_of(tree, leaf)
        assert low <= leaf < high
        assert tree.leaves.file[low] == tree.leaves.file[high - 1]
        assert "\n" not in context.line
        assert context == row_context(tree, leaf)
        assert "\n" not in passage_context(tree, low, high)


def test_a_table_of_thousands_of_rows_is_read_in_linear_time():
    """No row is looked at more often than the limit allows."""
    text = "2018 2017\n" + "".join(f"Item {n}.5 {n}.5\n" for n in range(4_000))
    tree = tree_of(text, ("2018", "Item"))
    began = time.process_time()
    assert len(list(row_contexts(tree, range(len(tree.leaves))))) == len(tree.leaves)
    assert time.process_time() - began < 4
