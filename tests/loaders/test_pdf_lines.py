from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hierarchy.loaders.pdf_lines import HYPHEN, Box, clean_lines, unhyphenated


def placed(*pieces):
    """Raw text of pieces `(text, left, right, bottom)`, and their boxes, ten points high."""
    raw = "\r\n".join(text for text, *_ in pieces)
    starts = {raw.index(text): (left, right, bottom) for text, left, right, bottom in pieces}

    def box_of(first, last):
        left, right, bottom = starts[first]
        return Box(left, right, bottom, bottom + 10)

    return raw, box_of


def test_words_of_a_title_are_joined():
    """Pieces on one base line, each right of the last, are one line; the next line stays apart."""
    raw, box_of = placed(("SQUARE,", 10, 50, 90), ("INC.", 55, 80, 90), ("BALANCE", 10, 60, 70))
    assert clean_lines(raw, box_of) == ["SQUARE, INC.", "BALANCE"]


def test_cells_go_back_to_their_row():
    """Numbers that come as a column after all labels are put behind the labels they are level with."""
    labels = [(f"Item {name}. Some long title here", 10, 200, 90 - 20 * at) for at, name in enumerate("ABC")]
    raw, box_of = placed(*labels, ("31", 300, 310, 90), ("52", 300, 310, 70), ("97", 300, 310, 50))
    assert clean_lines(raw, box_of) == [
        f"Item {a}. Some long title here {n}" for a, n in zip("ABC", (31, 52, 97), strict=True)
    ]


def test_numbers_without_a_row_stay():
    """Lone numbers that are level with nothing aren't moved."""
    raw, box_of = placed(("A label here", 10, 80, 90), ("31", 300, 310, 60), ("52", 300, 310, 40), ("97", 300, 310, 20))
    assert clean_lines(raw, box_of) == ["A label here", "31", "52", "97"]


def test_stacked_column_heads_become_one_line():
    """Dates stacked above a row are one line of heads; a list of short words isn't touched."""
    raw = "Years Ended\r\nDecember 1,\r\n2017\r\nDecember 2,\r\n2016\r\nNet income $ 1,693 $ 1,168"
    assert clean_lines(raw, None) == ["Years Ended", "December 1, 2017 December 2, 2016", "Net income $ 1,693 $ 1,168"]
    assert clean_lines("red\r\ngreen\r\nblue\r\nTotal 1 2", None) == ["red", "green", "blue", "Total 1 2"]


def test_characters_are_cleaned():
    """Dot leaders, soft hyphens, odd spaces and control characters go; bullets of symbol fonts become bullets."""
    assert clean_lines("Item 1 ........ 3\r\nsoft\xadly\xa0 said\x02\r\n\uf0b7 one\r\n \r\n", None) == [
        *("Item 1 3", "softly said", "• one"),
    ]


def test_hyphens_at_line_ends():
    """A word that the document has elsewhere in one piece is joined, any other keeps its hyphen."""
    known = "reported as available-for-sale since paying"
    assert unhyphenated(f"re{HYPHEN}ported available{HYPHEN}for-sale", known) == "reported available-for-sale"
    assert unhyphenated(f"pay{HYPHEN}in 2017{HYPHEN}2018 {HYPHEN}", known) == "pay-in 2017-2018 -"


@given(st.text(st.sampled_from("ab1 2.,$()%—\r\n\xa0\xad"), max_size=120))
def test_no_word_is_lost(raw):
    """Whatever the page, its words and numbers come out exactly as often as they went in."""
    words = raw.replace("\xad", "").replace(".", " ").split()
    assert Counter(" ".join(clean_lines(raw, None)).replace(".", " ").split()) == Counter(words)
