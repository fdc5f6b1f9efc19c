"""Bytes to text, with every guess stated.

The text of a plain file is its decoded characters and nothing else, so that a span of characters means the same
everywhere: line ends stay as they are, a byte order mark is dropped, a NUL byte becomes a space of the same length.

Owns the order in which encodings are tried, and what counts as binary. Doesn't know files or structure.
"""

from __future__ import annotations

import codecs
from dataclasses import dataclass

from hierarchy.errors import DocumentUnreadable

__all__ = ["Decoded", "decode", "looks_binary"]

_SAMPLE = 65_536
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHOWN = {"utf-16-le": "UTF-16", "utf-16-be": "UTF-16", "utf-32-le": "UTF-32", "utf-32-be": "UTF-32"}
# Bytes that text of any 8-bit encoding doesn't hold; tab, line ends, form feed, backspace and escape may stand in logs.
_CONTROL = bytes(code for code in range(32) if code not in (0, 8, 9, 10, 11, 12, 13, 27)) + b"\x7f"


@dataclass(frozen=True, slots=True)
class Decoded:
    """The characters of a file, and one sentence for each thing that was guessed or replaced."""

    text: str
    notes: tuple[str, ...] = ()


def decode(data: bytes, name: str = "text") -> Decoded:
    """The text of `data`: UTF-8 if it is that, else UTF-16 or UTF-32, else Windows-1252.

    **Decoding UTF-8 is exact: characters are neither added, dropped nor changed**, except a leading byte order mark,
    which is dropped, and NUL bytes, each of which becomes one space.

    Args:
        data: The whole file.
        name: What to call it in an error.

    Raises:
        DocumentUnreadable: The bytes are no text in any of these encodings.
    """
    for mark, encoding in _BOMS:
        if data.startswith(mark):
            return _marked(data[len(mark) :], encoding, name)
    if guessed := _unmarked_utf16(data):
        text = data.decode(guessed, "replace")
        return _without_nuls(text, (f"Read as {_SHOWN[guessed]}, guessed from its zero bytes.",))
    if looks_binary(data):
        raise DocumentUnreadable(
            f"{name} is binary: {_control_share(data):.0%} of its first {min(len(data), _SAMPLE):,} bytes aren't text.",
            "Convert it to PDF, HTML, DOCX, Markdown or plain text.",
        )
    try:
        return _without_nuls(data.decode("utf-8"), ())
    except UnicodeDecodeError as error:
        return _eight_bit(data, error)


def looks_binary(data: bytes) -> bool:
    """Whether the beginning of `data` holds more control bytes or NULs than text ever does."""
    return _control_share(data) > 0.02 or data[:_SAMPLE].count(0) > 0.1 * len(data[:_SAMPLE])


def _control_share(data: bytes) -> float:
    sample = data[:_SAMPLE]
    return (len(sample) - len(sample.translate(None, _CONTROL))) / max(1, len(sample))


def _marked(data: bytes, encoding: str, name: str) -> Decoded:
    """Decode what its byte order mark names; a damaged character is replaced and stated."""
    notes = (f"Read as {_SHOWN[encoding]}.",) if encoding in _SHOWN else ()
    try:
        return _without_nuls(data.decode(encoding), notes)
    except UnicodeDecodeError as error:
        text = data.decode(encoding, "replace")
        if text.count("\ufffd") > 0.02 * len(text) + 1:
            raise DocumentUnreadable(
                f"{name} is marked as {encoding.upper()} but isn't: byte {error.start:,} of {len(data):,} is damaged.",
                "Save it as UTF-8.",
            ) from error
        damage = f"{text.count(chr(0xFFFD)):,} damaged characters were replaced, the first at byte {error.start:,}."
        return _without_nuls(text, (*notes, damage))


def _unmarked_utf16(data: bytes) -> str | None:
    """UTF-16 without a mark shows in zero bytes that stand on one side of nearly every pair, and nowhere else."""
    sample = data[: _SAMPLE - _SAMPLE % 2]
    half = len(sample) // 2
    if half < 2 or 0 not in sample:
        return None
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if odd > 0.5 * half and even <= 0.02 * half:
        return "utf-16-le"
    if even > 0.5 * half and odd <= 0.02 * half:
        return "utf-16-be"
    return None


def _eight_bit(data: bytes, error: UnicodeDecodeError) -> Decoded:
    # A file cut off within its last character is UTF-8 all the same.
    if error.start >= len(data) - 3 and error.reason == "unexpected end of data":
        cut = f"The last {len(data) - error.start} bytes are half a character and were replaced."
        return _without_nuls(data.decode("utf-8", "replace"), (cut,))
    where = f"byte {error.start:,} isn't UTF-8"
    try:
        return _without_nuls(data.decode("cp1252"), (f"Read as Windows-1252 (Latin-1): {where}.",))
    except UnicodeDecodeError:
        return _without_nuls(data.decode("latin-1"), (f"Read as Latin-1: {where}.",))


def _without_nuls(text: str, notes: tuple[str, ...]) -> Decoded:
    nuls = text.count("\0")
    if not nuls:
        return Decoded(text, notes)
    return Decoded(text.replace("\0", " "), (*notes, f"{nuls:,} NUL bytes were replaced by spaces."))
