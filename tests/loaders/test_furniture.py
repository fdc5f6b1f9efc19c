from hierarchy.loaders.furniture import furniture_lines, page_number_offset

PAGES = [
    ["Acme Annual Report", f"Something that only page {n} says about {n * 7} things", f"{n * n} in all", str(n + 3)]
    for n in range(9)
]


def test_repeated_edges_are_furniture():
    """A running header and a page number that counts along are furniture, the text between isn't."""
    assert furniture_lines(PAGES) == [[0, 3]] * 9
    assert page_number_offset(PAGES) == -3


def test_a_number_that_doesnt_count_along_isnt_furniture():
    """A table's last number stays evidence even at the foot of a page."""
    pages = [[*page[:3], "4711"] for page in PAGES]
    assert furniture_lines(pages) == [[0]] * 9
    assert page_number_offset(pages) is None


def test_numbering_may_start_anew():
    """Exhibits bound behind a report have page numbers of their own."""
    pages = [["text", f"words of page {n} alone", str(n % 6 + 1)] for n in range(12)]
    found = furniture_lines(pages)
    assert [lines[-1] for lines in found] == [2] * 12


def test_links_back_to_the_contents_are_furniture():
    """ "Table of Contents" on top of every page is a link, on one page it's a title."""
    assert furniture_lines([["Table of Contents", f"page of {n} words"] for n in range(5)])[0] == [0]
    assert furniture_lines([["Table of Contents", "x"], ["a", "b"]]) == [[], []]


def test_a_page_number_may_stand_before_a_link_back_to_the_contents():
    """A footer of year, page number and link comes on every page, whatever else is numbered in it."""
    pages = [["Some text.", f"Words of page {n} alone.", f"Fiscal 2025 {n + 3} Table of Contents"] for n in range(9)]
    assert page_number_offset(pages) == -3
    assert [lines[-1:] for lines in furniture_lines(pages)] == [[2]] * 9


def test_few_pages_have_no_furniture():
    """Without repetition nothing is furniture, and no pages are no trouble."""
    assert furniture_lines([["A", "B"]]) == [[]]
    assert furniture_lines([[]]) == [[]]
    assert furniture_lines([]) == []
