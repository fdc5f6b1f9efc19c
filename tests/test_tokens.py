import subprocess
import sys
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy import tokens
from hierarchy.errors import Unavailable
from hierarchy.tokens import TiktokenCounter, count_tokens, piece_tokens


@given(st.text())
def test_starts_are_as_many_as_tokens_and_ascend(text):
    """Each token has one starting character, in order, within the text."""
    starts = count_tokens.starts(text).tolist()
    assert len(starts) == count_tokens(text)
    assert starts == sorted(starts)
    assert all(0 <= start < len(text) for start in starts)


@given(st.text(st.sampled_from("ab .,\nαβ漢字🙂1"), max_size=200))
def test_starts_agree_with_tiktoken(text):
    """The vectorised offsets are those that tiktoken itself finds."""
    encoding = tokens._encoding("cl100k_base")
    encoded = encoding.encode_ordinary(text)
    _, starts = encoding.decode_with_offsets(encoded) if encoded else ("", [])
    assert count_tokens.starts(text).tolist() == starts


@given(st.text(), st.lists(st.integers(0, 40)))
def test_pieces_of_a_partition_add_up_to_the_whole(text, inner):
    """However a text is cut, its pieces count what it counts."""
    cuts = sorted({0, *(min(cut, len(text)) for cut in inner), len(text)})
    assert piece_tokens(count_tokens, text, cuts).sum() == count_tokens(text)


def test_another_counter_is_asked_piece_by_piece():
    """Any function from text to a number serves as a counter."""
    assert piece_tokens(len, "abcdef", [0, 2, 6]).tolist() == [2, 4]


@given(st.text(), st.integers(-1, 30))
def test_a_cut_text_never_counts_more_than_allowed(text, allowed):
    """`cut` keeps a prefix within the tokens, and everything where everything fits."""
    kept = count_tokens.cut(text, allowed)
    assert text.startswith(kept)
    assert count_tokens(kept) <= max(0, allowed)
    if count_tokens(text) <= allowed:
        assert kept == text


def test_long_texts_count_what_tiktoken_counts():
    """Encoding in slabs changes no count for prose."""
    text = "The supplier shall deliver the goods, free of charge; see Section 12.3. " * 5_000
    assert count_tokens(text) == len(tokens._encoding("cl100k_base").encode_ordinary(text))


def test_a_table_without_words_counts_what_tiktoken_counts():
    """Where words are far between, a slab ends at the last of them rather than within a token."""
    table = "1,577   \n 403 |\t 12.5   " * 700 + "of the goods. "
    text = "the goods are here. " + table * 12 + "       1 2 3" * 9_000
    assert count_tokens(text) == len(tokens._encoding("cl100k_base").encode_ordinary(text))


def test_a_line_without_a_break_takes_linear_time():
    """A hostile text without spaces is encoded in slabs: slabs hold all of it and none is long."""
    text = "a" * 450_000
    slabs = tokens._slabs(text)
    assert "".join(slabs) == text
    assert max(map(len, slabs)) <= tokens._SLAB


def test_special_tokens_in_a_document_are_plain_text():
    """Text that spells a control token counts as the characters it is."""
    assert count_tokens("<|endoftext|>") > 1


def test_a_lone_surrogate_is_counted():
    """Broken text from a broken file counts rather than fails."""
    assert count_tokens("a\ud800b") >= 2


def test_an_unknown_vocabulary_says_what_to_do():
    """A vocabulary that can't be had is named, with the remedy."""
    with pytest.raises(Unavailable, match="no_such_base") as caught:
        TiktokenCounter("no_such_base")("text")
    assert "TIKTOKEN_CACHE_DIR" in caught.value.hint


def test_the_vocabulary_needs_no_network():
    """A fresh process counts with every socket forbidden."""
    script = (
        "import socket\n"
        "def refuse(*a, **k): raise AssertionError('network')\n"
        "socket.socket.connect = refuse\nsocket.getaddrinfo = refuse\n"
        "from hierarchy.tokens import count_tokens\nprint(count_tokens('a hard budget'))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "3", done.stderr


def test_slabs_are_cut_between_words():
    """Slabs of prose end where a word does, so that each starts with a space."""
    slabs = tokens._slabs("word and more " * 20_000)
    assert len(slabs) > 1
    assert all(before[-1] != " " and after[0] == " " for before, after in pairwise(slabs))
