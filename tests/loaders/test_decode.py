import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.errors import InputError
from hierarchy.loaders.decode import decode, looks_binary

WRITTEN = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)


@given(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")) | st.sampled_from("\r\n\t\f")))
def test_utf8_is_exact(text):
    """Decoding UTF-8 gives back every character, line ends included, so that offsets are those of the file."""
    decoded = decode(text.encode("utf-8"))
    assert decoded.text == text.removeprefix("\ufeff")
    assert not decoded.notes


@given(st.binary(max_size=300))
def test_any_bytes_decode_or_are_refused(data):
    """Whatever the bytes, the result is text or an error of ours."""
    try:
        text = decode(data).text
    except InputError:
        return
    assert "\0" not in text


@given(WRITTEN, st.sampled_from([("utf-8-sig", codecs.BOM_UTF8), ("utf-16-le", codecs.BOM_UTF16_LE)]))
def test_a_mark_names_the_encoding(text, encoding):
    """A byte order mark is believed and dropped."""
    name, mark = encoding
    data = text.encode(name)
    assert decode(data if data.startswith(mark) else mark + data).text == text.removeprefix("\ufeff")


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-16", "utf-32"])
def test_wide_encodings_are_noted(encoding):
    """UTF-16 with and without a mark, and UTF-32 with one, are read and said to be."""
    decoded = decode("Dose: 75 mg daily, for a year.\n".encode(encoding))
    assert decoded.text == "Dose: 75 mg daily, for a year.\n"
    assert "UTF-" in decoded.notes[0]


def test_latin_1_is_a_stated_fallback():
    """Bytes that aren't UTF-8 are read as Windows-1252, and the note says where the first one stands."""
    decoded = decode("Größe 5 µg – ok".encode("cp1252"))
    assert decoded.text == "Größe 5 µg – ok"
    assert "Windows-1252" in decoded.notes[0]
    assert "byte 2" in decoded.notes[0]


def test_bytes_outside_windows_1252_are_latin_1():
    """The five bytes that Windows-1252 leaves undefined don't stop the reading."""
    assert "Latin-1" in decode(b"caf\xe9 \x81 and more text").notes[0]


def test_nul_bytes_become_spaces():
    """A few NULs keep their place as spaces, so that offsets stay, and are counted in a note."""
    decoded = decode(b"one\0two" + b" words" * 20)
    assert decoded.text.startswith("one two")
    assert len(decoded.text) == 7 + 120
    assert "1 NUL" in decoded.notes[0]


def test_a_file_cut_within_a_character_is_still_utf8():
    """Half a character at the end is replaced and stated, not taken for another encoding."""
    decoded = decode("naïve – é".encode()[:-1])
    assert decoded.text.startswith("naïve – ")
    assert "half a character" in decoded.notes[0]


def test_binary_is_refused_with_numbers():
    """Bytes that no text holds are an error that says how many there are."""
    with pytest.raises(InputError, match=r"blob is binary: \d+%"):
        decode(bytes(range(256)) * 10, "blob")


def test_a_false_mark_is_refused():
    """A file that claims UTF-16 but decodes to damage is refused, a single damaged character isn't."""
    with pytest.raises(InputError, match="marked as UTF-16"):
        decode(codecs.BOM_UTF16_LE + b"\x00\xdc" * 50)
    assert "1 damaged" in decode(codecs.BOM_UTF16_LE + ("text" * 50).encode("utf-16-le") + b"\x00\xdc").notes[1]


def test_text_with_escapes_isnt_binary():
    """Colours of a terminal log and form feeds are text."""
    assert not looks_binary(b"\x1b[31mred\x1b[0m\f\n" * 50)
