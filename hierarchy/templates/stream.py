"""The answer of a reply that still comes in, read as `parse_reply` will read it once it is whole.

A reader that stops wherever the text does and goes on with the next piece: the same marks, words and judgements as
those of `replies`, but of what it passes over it keeps nothing. **It never says what an object that began before, or
one that this stands in, could still take back**: then it says nothing, and the whole reply is read all the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator
from string import hexdigits
from typing import TypeVar

from hierarchy.templates.replies import (
    BARE,
    CLOSING,
    ESCAPES,
    MAX_DEPTH,
    MAX_JUNK,
    MAX_STARTS,
    THOUGHTS,
    as_text,
    as_value,
    paired,
)

__all__ = ["AnswerText"]

T = TypeVar("T")
# A step of reading: asks for another piece by yielding.
_Steps = Generator[None, str, T]

_FIELDS = ("answer", "quotes", "missing")
_LONGEST_WORD = 64  # Keys and numbers; of longer ones the beginning is enough to know that they are neither.
_BLANK = re.compile(r"\s*")
_OPENS = re.compile(f"<({'|'.join(THOUGHTS)})>", re.IGNORECASE | re.ASCII)
_OPENS_PERHAPS = re.compile(
    "|".join(f"<{re.escape(word[:size])}\\Z" for word in THOUGHTS for size in range(len(word) + 1)),
    re.IGNORECASE | re.ASCII,
)
_LONGEST_TAG = max(map(len, THOUGHTS)) + 3


class AnswerText:
    r"""The text of the field `answer`, while its reply still comes in.

    However the reply is cut into pieces, **what is said is what `parse_reply` reads from the whole, or its beginning**:
    thoughts are left out, as are white space around the text and all that isn't the field itself. It says less, or
    nothing, of an answer that is a list, of one in an object within another, behind a brace that belongs to none or to
    an object of more fields, and of the last few letters of a reply that ends in what may begin a tag. Two things
    nobody can know while it comes: that a second `answer`, or a second object with as many fields, will follow, or
    that the rest will be too much rubbish to be a reply; `parse_reply` then goes by the whole.

    Takes time in proportion to the reply, and keeps none of it but what must wait for the next piece.

    Example:
        >>> text = AnswerText()
        >>> [text.feed(piece) for piece in ('{"ans', 'wer": "1,577 m', 'illion\\u', '00e9", "quotes"')]
        ['', '1,577 m', 'illion', 'é']
    """

    def __init__(self) -> None:
        self._thoughts = _Thoughts()
        self._spoken = _Spoken()
        self._reader: _Steps[None] | None = _Reader(self._spoken).reply()
        next(self._reader)

    def feed(self, piece: str) -> str:
        """Take in a piece of the reply; returns what it adds to the answer's text."""
        text = self._thoughts.without(piece) if self._reader else ""
        if self._reader and text:
            try:
                self._reader.send(text)
            except StopIteration:
                self._reader = None
        return self._spoken.taken()


class _Thoughts:
    """Leaves out what stands between `<think>` and `</think>`; holds back what may be half a tag."""

    def __init__(self) -> None:
        self._held = ""
        self._closing: re.Pattern[str] | None = None

    def without(self, piece: str) -> str:
        text, at = self._held + piece, 0
        kept: list[str] = []
        while True:
            if self._closing:
                found = self._closing.search(text, at)
                if not found:
                    self._held = text[max(at, len(text) - _LONGEST_TAG) :]
                    return "".join(kept)
                self._closing = None
            else:
                found = _OPENS.search(text, at)
                if not found:
                    half = _OPENS_PERHAPS.search(text, max(at, len(text) - _LONGEST_TAG))
                    end = half.start() if half else len(text)
                    self._held = text[end:]
                    return "".join((*kept, text[at:end]))
                kept += [text[at : found.start()], " "]
                self._closing = re.compile(f"</{found[1]}>", re.IGNORECASE | re.ASCII)
            at = found.end()


class _Spoken:
    """The text as it is said: without white space around it, and characters whole."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._space: list[str] = []  # waits for a word behind it
        self._half = ""  # of a character
        self._begun = False

    def say(self, text: str) -> None:
        text = self._half + text
        self._half = text[-1] if "\ud800" <= text[-1:] < "\udc00" else ""
        text = paired(text.removesuffix(self._half) if self._half else text)
        text = text if self._begun else text.lstrip()
        if word := text.rstrip():
            self._said += [*self._space, word]
            self._space.clear()
            self._begun = True
        self._space.append(text[len(word) :])

    def end(self) -> None:
        """The text is whole: half a character that waits for the rest waits in vain."""
        half, self._half = self._half, ""
        if half:
            self.say(paired(half))

    def taken(self) -> str:
        said, self._said = "".join(self._said), []
        return said


class _Unreadable(Exception):
    """This is no reply."""


class _Reader:
    """Reads as the reader of `replies` does, piece by piece."""

    def __init__(self, spoken: _Spoken) -> None:
        self.spoken = spoken
        self.raw, self.at = "", 0
        self.gone = 0  # characters before `raw`
        self.braces, self.counted = 0, 0  # opened within the present object, up to that place in `raw`
        self.depth, self.junk = 0, 0
        self.most = 0  # fields of an earlier object that the reply must have as many of
        self.known: set[str] = set()
        self.ended = False

    def reply(self) -> _Steps[None]:
        """Find the object that is the reply, and say its answer."""
        for _ in range(MAX_STARTS):
            while (start := self.raw.find("{", self.at)) < 0:
                self.at = len(self.raw)
                yield from self._more()
            self.at, self.counted, self.braces = start, start + 1, 0
            self.depth, self.junk = 1, 0
            self.known.clear()
            try:
                yield from self._mapping(whole=True)
            except _Unreadable:
                self.known.clear()
                self.ended = self.ended or self.depth > MAX_DEPTH  # What is strict JSON may be as deep as it likes.
            self._count_braces()
            # One of the objects within might be the reply, and go on beyond this one.
            if self.ended or (self.braces and not self.known):
                return
            self.most = max(self.most, len(self.known))

    def _more(self) -> _Steps[None]:
        """Wait for the next piece, once all before has been read."""
        self._count_braces()
        self.gone += self.at
        self.raw, self.at, self.counted = "", 0, 0
        while not self.raw:
            self.raw = yield

    def _count_braces(self) -> None:
        self.braces += self.raw.count("{", self.counted, self.at)
        self.counted = max(self.counted, self.at)

    def _skip(self, marks: str) -> _Steps[str]:
        """What stands behind these marks."""
        while True:
            while self.at < len(self.raw):
                if self.raw[self.at] not in marks:
                    return self.raw[self.at]
                self.at += 1
            yield from self._more()

    def _ends(self, closing: str) -> _Steps[bool]:
        mark = yield from self._skip(" \t\r\n,;")
        self.at += mark == closing
        return mark in (closing, "}", "]")

    def _mapping(self, *, whole: bool = False) -> _Steps[None]:
        self.at += 1
        while not self.ended and not (yield from self._ends("}")):
            before, mark = self.gone + self.at, self.raw[self.at]
            key = (yield from self._key(mark)) if mark in CLOSING else (yield from self._bare())
            if (yield from self._skip(" \t\r\n")) != ":":
                self._pass_over(before)
                continue
            self.at += 1
            if whole and key == "answer" and len(self.known | {key}) >= self.most:
                yield from self._answer()
            elif (yield from self._value()) and whole and key in _FIELDS:
                self.known.add(key)

    def _list(self) -> _Steps[None]:
        self.at += 1
        while not (yield from self._ends("]")):
            before = self.gone + self.at
            if not (yield from self._value()):
                self._pass_over(before)

    def _pass_over(self, before: int) -> None:
        self.at += self.gone + self.at == before
        self.junk += 1
        if self.junk > MAX_JUNK:
            raise _Unreadable

    def _value(self) -> _Steps[bool]:
        """Read a value that isn't said; whether there is one."""
        mark = yield from self._skip(" \t\r\n")
        if mark in CLOSING:
            yield from self._string(CLOSING[mark])
            return True
        if mark not in ("{", "["):
            return bool((yield from self._bare()))
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise _Unreadable
        yield from self._mapping() if mark == "{" else self._list()
        self.depth -= 1
        return True

    def _answer(self) -> _Steps[None]:
        """Say the answer as it comes. Whatever it is, there is nothing to say behind it."""
        mark = yield from self._skip(" \t\r\n")
        if mark in CLOSING:
            yield from self._string(CLOSING[mark], take=self.spoken.say)
            self.spoken.end()
        elif mark not in ("{", "["):
            word = yield from self._bare()
            if not word:
                return
            if len(word) < _LONGEST_WORD and (value := as_value(word)) is not None:
                self.spoken.say(as_text(value))
        self.ended = True

    def _key(self, mark: str) -> _Steps[str]:
        read: list[str] = []
        size = 0

        def take(text: str) -> None:
            nonlocal size
            if size < _LONGEST_WORD:
                read.append(text[:_LONGEST_WORD])
            size += len(text)

        yield from self._string(CLOSING[mark], key=True, take=take)
        return "".join(read)

    def _string(self, closing: str, *, key: bool = False, take: Callable[[str], None] | None = None) -> _Steps[None]:
        self.at += 1
        stop = re.compile(f"[\\\\{closing}]")
        while True:
            if self.at == len(self.raw):
                yield from self._more()
            found = stop.search(self.raw, self.at)
            end = found.start() if found else len(self.raw)
            if take and end > self.at:
                take(self.raw[self.at : end])
            self.at = end
            if not found:
                continue
            self.at += 1
            text = closing
            if found[0] == "\\":
                text = yield from self._escape()
            elif (yield from self._closes(key=key)):
                return
            if take:
                take(text)

    def _escape(self) -> _Steps[str]:
        mark = yield from self._taken()
        if mark != "u":
            return ESCAPES.get(mark, mark)
        code = ""
        while len(code) < 4:
            if self.at == len(self.raw):
                yield from self._more()
            if self.raw[self.at] not in hexdigits:
                return f"u{code}"
            code += yield from self._taken()
        return chr(int(code, 16))

    def _taken(self) -> _Steps[str]:
        if self.at == len(self.raw):
            yield from self._more()
        self.at += 1
        return self.raw[self.at - 1]

    def _closes(self, *, key: bool) -> _Steps[bool]:
        """Whether the mark just read ends the string: what stands behind it tells, and is left to be read."""
        gap: list[str] = []
        while (at := _blank_end(self.raw, self.at)) == len(self.raw):
            gap.append(self.raw[self.at :])
            self.at = len(self.raw)
            yield from self._more()
        mark = self.raw[at]
        if gap and (before := "".join(gap)):
            self.raw, self.gone = before + self.raw, self.gone - len(before)
        return mark in ((":",) if key else (",", "}", "]"))

    def _bare(self) -> _Steps[str]:
        """A number or word without quotation marks; empty if there is none."""
        word = ""
        while True:
            if self.at == len(self.raw):
                yield from self._more()
            found = BARE.match(self.raw, self.at)
            self.at = found.end() if found else self.at
            if found and len(word) < _LONGEST_WORD:
                word += found[0][:_LONGEST_WORD]
            if self.at < len(self.raw):
                return word


def _blank_end(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
