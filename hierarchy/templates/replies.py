"""Reading a model's reply: JSON, or what was meant as JSON.

Models wrap JSON in prose and code fences, forget a comma, write Python's quotes and words, and stop in the middle. What
can be read is read; what can't is `OutputInvalid`, never a guess. Strict JSON is tried first, so that a well-formed
reply is read as exactly what it says.

Doesn't know stages: a caller that names its fields gets them in one shape, whatever the model made of them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from hierarchy.errors import OutputInvalid

__all__ = [
    "BARE",
    "CLOSING",
    "ESCAPES",
    "MAX_DEPTH",
    "MAX_JUNK",
    "MAX_STARTS",
    "THOUGHTS",
    "as_text",
    "as_value",
    "paired",
    "parse_list",
    "parse_reply",
]

# All fields that any prompt asks for, by the shape they are brought into.
_TEXTS = ("answer", "missing", "kind")
_LISTS = ("quotes", "ids", "terms", "needs", "questions")
_FIELDS = (*_TEXTS, *_LISTS)

THOUGHTS = ("think", "thinking", "reasoning")
"""Tags around what isn't part of a reply."""

_THINKING = re.compile(rf"<({'|'.join(THOUGHTS)})>.*?(?:</\1>|\Z)", re.DOTALL | re.IGNORECASE | re.ASCII)
_HALVES = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")
_CUT_ESCAPE = re.compile(r"u[0-9a-fA-F]{0,3}\Z")
BARE = re.compile(r"[^\s,:{}\[\]\"']+")
_LINE = re.compile(r"[\n;]+|,\s*(?=[\"“])")
_LIST_MARK = re.compile(r"^\s*(?:[-*•–]+|\(?\d{1,2}[.)](?=\s)|```\w*|terms\s*:)\s*", re.IGNORECASE)
_AROUND = " \t\r\"'“”‘’`*,."
_NEXT = re.compile(r"\s*(\S?)")
_NUMBER = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_WORDS = {"true": True, "false": False, "null": None, "none": None}
ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
CLOSING = {'"': '"', "'": "'", "“": "”", "‘": "’"}
MAX_DEPTH = 32  # No prompt asks for more than three; hostile replies nest as deep as they are long.
MAX_JUNK = 16  # What is passed over within an object; prose in braces is more than that.
MAX_STARTS = 64  # Braces at which a reply may begin; after as many it is noise.


def parse_reply(text: str, *, fields: Sequence[str] = ()) -> dict[str, Any]:
    r"""Read the JSON object in a model's reply.

    Code fences, reasoning tags and prose around it are skipped; of several objects the last with the most known fields
    counts. Single quotes, missing quotes of keys, trailing commas, Python's words and line breaks within strings are
    taken as meant. **Of a reply that was cut off, everything complete is kept**: open strings and brackets are closed,
    a key without a value and a number that the cut may have shortened are dropped, and `truncated: True` is added.

    Args:
        text: The reply.
        fields: The fields that were asked for (`Template.reply`). Each is then present and of its shape: `answer`,
            `missing` and `kind` are text, `quotes` a list of `{"source": int, "text": str}` (source 0 where the model
            gave none), the other lists are of text. Entries that can't be brought into shape are dropped.

    Raises:
        OutputInvalid: There is no object, or none of the fields is in it. Says what was found.

    Example:
        >>> parse_reply("Sure!\n```json\n{'answer': '75 mg', 'quotes': [{'source': 1, 'text': 'Aspirin 75")
        {'answer': '75 mg', 'quotes': [{'source': 1, 'text': 'Aspirin 75'}], 'truncated': True}
    """
    wanted = fields or _FIELDS
    best: dict[str, Any] | None = None
    for found in _objects(_THINKING.sub(" ", text), wanted):
        if best is None or _known(found, wanted) >= _known(best, wanted):
            best = found
    if best is None or (fields and not _known(best, fields)):
        what = f"an object with {', '.join(best)}" if best else f"{text.strip()[:80]!r}" if text.strip() else "nothing"
        raise OutputInvalid(
            f"The reply holds no {' or '.join(fields) if fields else 'JSON object'}; found {what}.",
            "Ask again, or use a model that follows the form.",
        )
    return _shaped(best, fields) if fields else best


def parse_list(text: str) -> tuple[str, ...]:
    r"""Read a list in a model's reply: entries on lines of their own or between semicolons, or a JSON list.

    Bullets, numbers, quotation marks and code fences are left out, as are repetitions.

    Example:
        >>> parse_list('1. "quick assets"\n- inventories\n')
        ('quick assets', 'inventories')
    """
    text = _THINKING.sub(" ", text)
    entries: Iterable[Any] = _LINE.split(text)
    if (at := text.find("[")) >= 0:
        try:
            found = _Reader(text, at).value()
        except OutputInvalid:
            found = None
        entries = found if isinstance(found, list) and found else entries
    plain = (_LIST_MARK.sub("", paired(entry)).strip(_AROUND) for entry in entries if isinstance(entry, str))
    return tuple(dict.fromkeys(entry for entry in plain if entry))


def _known(found: dict[str, Any], wanted: Sequence[str]) -> int:
    return sum(field in found for field in wanted)


def _objects(text: str, wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Every object that could be the reply, in order; within one that has no known field, those inside it too."""
    at, starts = text.find("{"), 0
    while at >= 0 and starts < MAX_STARTS:
        found, end = _object(text, at)
        if found:
            yield found
        known = found is not None and _known(found, wanted) > 0
        at = text.find("{", end if known else at + 1)
        starts += 1


def _object(text: str, at: int) -> tuple[dict[str, Any] | None, int]:
    try:
        found, end = json.JSONDecoder(strict=False).raw_decode(text, at)
        if _HALVES.search(text, at, end):
            found = json.loads(paired(json.dumps(found, ensure_ascii=False)))
    except (ValueError, RecursionError):
        reader = _Reader(text, at)
        try:
            found = reader.value()
        except OutputInvalid:
            return None, at + 1
        if reader.cut and found:
            found["truncated"] = True
        end = reader.at
    return found, end


class _Cut:
    """Stands for a value that the end of the text took away."""


class _Reader:
    """Reads one value from `at` on, as leniently as it can be read without inventing anything."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.cut = False
        self.depth = 0
        self.junk = 0

    def value(self) -> Any:
        self._skip(" \t\r\n")
        mark = self._peek()
        if mark in ("{", "["):
            self.depth += 1
            if self.depth > MAX_DEPTH:
                raise OutputInvalid("The reply is nested too deeply.")
            read = self._mapping() if mark == "{" else self._list()
            self.depth -= 1
            return read
        return self._string(CLOSING[mark]) if mark in CLOSING else self._bare()

    def _peek(self) -> str:
        return self.text[self.at] if self.at < len(self.text) else ""

    def _skip(self, marks: str) -> None:
        while self.at < len(self.text) and self.text[self.at] in marks:
            self.at += 1

    def _ends(self, closing: str) -> bool:
        """Whether the bracket ends here: by its mark, another's, or the end of the text."""
        self._skip(" \t\r\n,;")
        mark = self._peek()
        if mark == closing:
            self.at += 1
        elif not mark:
            self.cut = True
        # A bracket closed by the wrong mark is closed; the mark is left for the one that it belongs to.
        return mark == closing or mark in ("", "}", "]")

    def _mapping(self) -> dict[str, Any]:
        self.at += 1
        read: dict[str, Any] = {}
        while not self._ends("}"):
            before = self.at
            mark = self._peek()
            key = self._string(CLOSING[mark], key=True) if mark in CLOSING else self._bare()
            self._skip(" \t\r\n")
            if self._peek() == ":":
                self.at += 1
                value = self.value()
                if not isinstance(value, _Cut) and not isinstance(key, _Cut):
                    read[str(key)] = value
            elif self._peek():
                self._pass_over(before)
        return read

    def _list(self) -> list[Any]:
        self.at += 1
        read: list[Any] = []
        while not self._ends("]"):
            before = self.at
            value = self.value()
            if not isinstance(value, _Cut):
                read.append(value)
            elif self._peek():
                self._pass_over(before)
        return read

    def _pass_over(self, before: int) -> None:
        """Skip what can't be read, by at least one mark; too much of it, and this is no reply."""
        self.at = max(self.at, before + 1)
        self.junk += 1
        if self.junk > MAX_JUNK:
            raise OutputInvalid("The reply holds too much that can't be read.")

    def _string(self, closing: str, *, key: bool = False) -> str:
        self.at += 1
        read: list[str] = []
        while self.at < len(self.text):
            mark = self.text[self.at]
            self.at += 1
            if mark == "\\":
                read.append(self._escape())
            elif mark == closing and self._closes(key=key):
                return paired("".join(read))
            else:
                read.append(mark)
        self.cut = True
        whole = "".join(read)
        # Of a character in two halves, the cut may have left the first.
        return paired((whole[:-1] if "\ud800" <= whole[-1:] < "\udc00" else whole).rstrip())

    def _escape(self) -> str:
        if _CUT_ESCAPE.match(self.text, self.at):
            self.at = len(self.text)
            return ""
        mark = self._peek()
        self.at += 1
        code = self.text[self.at : self.at + 4]
        if mark == "u" and re.fullmatch("[0-9a-fA-F]{4}", code):
            self.at += 4
            return chr(int(code, 16))
        return ESCAPES.get(mark, mark)

    def _closes(self, *, key: bool) -> bool:
        """Whether the quotation mark just read ends the string, rather than being an unescaped one within it."""
        found = _NEXT.match(self.text, self.at)
        following = found[1] if found else ""
        return following in ((":", "") if key else (",", "}", "]", ""))

    def _bare(self) -> Any:
        """A number, a word of JSON's or Python's, or an unquoted text."""
        found = BARE.match(self.text, self.at)
        if not found:
            self.cut = self.cut or not self._peek()
            return _Cut()
        self.at = found.end()
        if not self._peek():
            self.cut = True
            return _Cut()
        return as_value(found[0])


def as_value(word: str) -> Any:
    """What a word without quotation marks stands for: a number, a word of JSON's or Python's, or itself."""
    if _NUMBER.fullmatch(word):
        return float(word) if re.search("[.eE]", word) else int(word[:300])
    return _WORDS.get(word.lower(), paired(word))


def paired(text: str) -> str:
    """Halves of a character that were escaped one by one, joined; a half alone becomes the mark of a lost one."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _shaped(found: dict[str, Any], fields: Sequence[str]) -> dict[str, Any]:
    shaped: dict[str, Any] = {}
    for field in fields:
        value = found.get(field)
        entries = value if isinstance(value, list) else [] if value is None or value == "" else [value]
        if field == "quotes":
            shaped[field] = [quote for entry in entries if (quote := _quote(entry))]
        elif field in _LISTS:
            shaped[field] = [str(entry) for entry in entries if isinstance(entry, str | int | float)]
        else:
            shaped[field] = "\n".join(as_text(entry) for entry in entries)
    if found.get("truncated") is True:
        shaped["truncated"] = True
    return shaped


def as_text(value: Any) -> str:
    """The text of a field that should have been text."""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _quote(entry: Any) -> dict[str, Any] | None:
    if isinstance(entry, str):
        entry = {"text": entry}
    if not isinstance(entry, dict):
        return None
    text = entry.get("text", entry.get("quote"))
    if not isinstance(text, str) or not text.strip():
        return None
    number = re.search("[0-9]{1,9}", str(entry.get("source", "")))
    return {"source": int(number[0]) if number else 0, "text": text}
