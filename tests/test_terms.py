from hypothesis import given
from hypothesis import strategies as st

from hierarchy.terms import Vocabulary, terms


def test_letters_and_digits_part():
    """A year matches however it is written."""
    assert "2022" in terms("FY2022")
    assert "2022" in terms("2022A")


def test_inflections_meet():
    """Singular and plural, noun and verb share a term."""
    assert terms("expenditures") == terms("Expenditure")
    assert terms("terminated") == terms("terminates")


def test_words_without_meaning_are_dropped():
    """Articles, auxiliaries and single letters are no terms; single digits are."""
    assert terms("the of a is x 7") == ["7"]


def test_other_scripts_have_terms():
    """Words need not be ASCII."""
    assert terms("Ödem naïve 血圧") == ["ödem", "naïv", "血圧"]


@given(st.lists(st.text(max_size=60), max_size=8))
def test_encoding_many_texts_is_encoding_each(texts):
    """The vocabulary numbers exactly the terms that `terms` finds, in order, under their owners."""
    vocabulary = Vocabulary()
    numbers, owners = vocabulary.encode(texts)
    for index, text in enumerate(texts):
        assert [vocabulary.names[n] for n in numbers[owners == index]] == terms(text)
    assert [vocabulary.number(name) for name in vocabulary.names] == list(range(len(vocabulary.names)))
    assert vocabulary.number("no such term") == -1
