"""Lexicons: what a question asks for, in the words of the documents that hold it, without a model.

People ask for the quick ratio; a balance sheet says current assets, inventories and current liabilities, and never
"quick". A lexicon is a plain TOML file of such concepts, written from professional knowledge, that a domain expert can
read and edit::

    [[concept]]
    asks = ["quick ratio", "acid test"]                    # phrases of a question, in any inflection
    words = ["total current assets", "inventories"]        # what the document says, the most telling first
    places = ["consolidated balance sheets"]               # titles of sections, statements, tables

`built_in` holds those that come with the library (hierarchy/lexicons), `load_lexicon` reads a user's own, `expand`
applies any of them to a question. Doesn't know documents, and doesn't weigh what it adds: a word that a document lacks
matches nothing there, so a lexicon of another trade does little harm.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from hierarchy.errors import InputError
from hierarchy.terms import INSTRUCTION_WORDS, terms

__all__ = ["Concept", "Expansion", "Lexicon", "built_in", "expand", "load_lexicon"]

Phrase = tuple[str, ...]  # Stemmed terms, in order.

_FOLDER = Path(__file__).parent.parent / "lexicons"
_LISTS = ("asks", "words", "places")
_INSTRUCTION_TERMS = frozenset(term for word in INSTRUCTION_WORDS for term in terms(word))

_LONG_WORD = re.compile(r"[^\W\d_]{7}")  # No small word is as long: a phrase with one needs no closer look.

# Abbreviations of single letters, which terms would lose: R&D, SG&A, P/E; A1c, B12, O2, Q4; 8-K.
_ABBREVIATION = re.compile(
    r"\b(?:[a-z]{1,3}[&/][a-z]|[a-z][&/][a-z]{1,3}|[a-z]\d{1,2}[a-z]?|\d{1,2}-[a-z])\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Concept:
    """Something that is asked for in one vocabulary and written down in another.

    Phrases are as the lexicon has them: few of the thousands are ever used, and `expand` reduces those to terms.

    Attributes:
        asks: Phrases of a question; unique within the lexicon.
        words: What documents say instead, the most telling first.
        places: Titles of what holds it.
        lexicon: Name of the lexicon it stands in.
    """

    asks: tuple[str, ...]
    words: tuple[str, ...]
    places: tuple[str, ...]
    lexicon: str


class _Ask(NamedTuple):
    """One phrase of a question, ready to be matched."""

    phrase: str
    keys: Phrase
    concept: Concept


@dataclass(frozen=True, slots=True, kw_only=True)
class Lexicon:
    """Concepts of one trade.

    Attributes:
        name: How the trace calls it; a file's name without its ending.
        concepts: In the order of the file.
    """

    name: str
    concepts: tuple[Concept, ...]
    _by_first: Mapping[str, tuple[_Ask, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Group the phrases by their first term, so that a question looks at a handful of them."""
        groups: dict[str, list[_Ask]] = {}
        for concept in self.concepts:
            for phrase in concept.asks:
                keys = _keys(phrase)
                if not keys:
                    raise InputError(f'"{phrase}" in `asks` has only small words, which match nothing.')
                groups.setdefault(keys[0], []).append(_Ask(phrase, keys, concept))
        index = MappingProxyType({first: tuple(asks) for first, asks in groups.items()})
        object.__setattr__(self, "_by_first", index)

    def _matches(self, keys: Phrase, at: int) -> Iterable[_Ask]:
        """The phrases that stand at a position of a question."""
        for ask in self._by_first.get(keys[at], ()):
            if keys[at : at + len(ask.keys)] == ask.keys:
                yield ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Expansion:
    """What lexicons add to a question. Empty if nothing matched.

    Attributes:
        words: Distinct terms that the question lacks, without numbers and words that only instruct.
        phrases: What `words` come from, whole: for matching neighbours in the text.
        places: Titles to look under.
        uses: Which lexicon matched by which phrase, in the order of the question, for the trace.
    """

    words: tuple[str, ...] = ()
    phrases: tuple[Phrase, ...] = ()
    places: tuple[Phrase, ...] = ()
    uses: tuple[tuple[str, str], ...] = ()

    def __bool__(self) -> bool:
        """Whether anything matched."""
        return bool(self.uses)


def expand(question: str, lexicons: Sequence[Lexicon]) -> Expansion:
    """Say in a document's words what a question asks for.

    A phrase matches where its terms stand in the question one after another, small words aside. **Of overlapping
    matches the longest wins**, over all lexicons: "operating cash flow ratio" isn't also about operating cash flow.
    Ties go to the earlier one; the same words matched by two lexicons count for both.

    Example:
        >>> found = expand("What was the acid-test ratio?", built_in())
        >>> found.uses, found.words[:5]
        ((('finance', 'acid test'),), ('cash', 'equival', 'short', 'term', 'invest'))
    """
    found = _longest(_keys(question), lexicons)
    concepts = list(dict.fromkeys(ask.concept for ask in found))
    phrases = _distinct(phrase for concept in concepts for phrase in concept.words)
    asked = set(terms(question)) | _INSTRUCTION_TERMS
    added = (term for phrase in phrases for term in phrase if term not in asked and not term[0].isdigit())
    return Expansion(
        words=tuple(dict.fromkeys(added)),
        phrases=phrases,
        places=_distinct(place for concept in concepts for place in concept.places),
        uses=tuple(dict.fromkeys((ask.concept.lexicon, ask.phrase) for ask in found)),
    )


def _distinct(phrases: Iterable[str]) -> tuple[Phrase, ...]:
    """Phrases as terms, each once."""
    return tuple(dict.fromkeys(tuple(terms(phrase)) for phrase in phrases))


def _longest(keys: Phrase, lexicons: Sequence[Lexicon]) -> list[_Ask]:
    """The longest matches that don't overlap, in the order of the question."""
    matches = [
        (-len(ask.keys), at, order, ask)
        for at in range(len(keys))
        for order, lexicon in enumerate(lexicons)
        for ask in lexicon._matches(keys, at)
    ]
    kept: list[tuple[int, int, _Ask]] = []
    owner = [-1] * len(keys)  # Where the match begins that took a term; two of one span begin and end alike.
    for minus_length, at, order, ask in sorted(matches, key=lambda match: match[:3]):
        span = slice(at, at - minus_length)
        twin = owner[span] == [at] * -minus_length and owner[span.stop : span.stop + 1] != [at]
        if twin or set(owner[span]) == {-1}:
            owner[span] = [at] * -minus_length
            kept.append((at, order, ask))
    return [ask for _, _, ask in sorted(kept, key=lambda match: match[:2])]


@lru_cache(maxsize=4096)  # A file's phrases are looked at twice: when checked, and when grouped.
def _keys(text: str) -> Phrase:
    """The terms of a phrase or question, with abbreviations of single letters kept whole."""
    keys: list[str] = []
    at = 0
    for match in _ABBREVIATION.finditer(text):
        keys += [*terms(text[at : match.start()]), match.group().lower()]
        at = match.end()
    return (*keys, *terms(text[at:]))


@lru_cache(maxsize=1)
def built_in() -> tuple[Lexicon, ...]:
    """The lexicons that come with the library, by name: clinical, contracts, finance."""
    return tuple(load_lexicon(path) for path in sorted(_FOLDER.glob("*.toml")))


def load_lexicon(path: str | Path) -> Lexicon:
    """Read a lexicon from a TOML file.

    Args:
        path: The file; its name without the ending becomes the lexicon's name.

    Returns:
        The lexicon, every entry of it checked.

    Raises:
        InputError: The file can't be read, isn't TOML, or an entry of it can't be used; says which and why.
    """
    path = Path(path)
    entries = _entries(path)
    concepts: list[Concept] = []
    owners: dict[Phrase, int] = {}
    for number, entry in enumerate(entries, start=1):
        try:
            concepts.append(_concept(entry, path.stem, number, owners))
        except ValueError as reason:
            raise InputError(
                f"{path}, entry {number}: {reason}.",
                "An entry is [[concept]] with the lists `asks`, `words` and `places` of phrases.",
            ) from None
    return Lexicon(name=path.stem, concepts=tuple(concepts))


def _entries(path: Path) -> list[dict[str, Any]]:
    """The entries of a file, as TOML has them."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}.", "Give the path of a TOML file.") from error
    except ValueError as error:  # Not TOML, or not UTF-8.
        raise InputError(f"{path} isn't a TOML file: {error}.", "Mend it there; phrases stand in quotes.") from error
    unknown = [key for key in content if key != "concept"]
    entries = content.get("concept", [])
    tables = isinstance(entries, list) and all(isinstance(entry, dict) for entry in entries)
    if unknown or not entries or not tables:
        what = f"holds `{unknown[0]}`, which isn't known here" if unknown else "holds no concept"
        raise InputError(f"{path} {what}.", "A lexicon consists of entries that begin with [[concept]].")
    return list(entries)


def _concept(entry: dict[str, Any], lexicon: str, number: int, owners: dict[Phrase, int]) -> Concept:
    """An entry as a concept.

    Args:
        entry: As TOML has it.
        lexicon: The lexicon's name.
        number: The entry's, from 1.
        owners: Which entry each phrase belongs to, so far; its own are added.

    Raises:
        ValueError: It can't be used; the message says why.
    """
    if unknown := [key for key in entry if key not in _LISTS]:
        raise ValueError(f"`{unknown[0]}` isn't known here")
    asks, words, places = (_phrases(entry, key) for key in _LISTS)
    if not asks:
        raise ValueError("`asks` is missing or empty")
    if not words and not places:
        raise ValueError("both `words` and `places` are missing or empty")
    return Concept(asks=_claim(asks, number, owners), words=words, places=places, lexicon=lexicon)


def _phrases(entry: dict[str, Any], key: str) -> tuple[str, ...]:
    """One list of an entry; empty if it isn't there."""
    phrases = entry.get(key, [])
    if not isinstance(phrases, list) or not all(isinstance(phrase, str) for phrase in phrases):
        raise ValueError(f"`{key}` isn't a list of phrases in quotes")
    for phrase in () if key == "asks" else phrases:  # Those of `asks` are matched otherwise; see `_claim`.
        if not _LONG_WORD.search(phrase) and not terms(phrase):
            raise ValueError(f'"{phrase}" in `{key}` has only small words or single letters, which match nothing')
    return tuple(phrases)


def _claim(asks: tuple[str, ...], number: int, owners: dict[Phrase, int]) -> tuple[str, ...]:
    """The phrases of an entry without mere inflections of each other, each claimed for that entry."""
    claimed: dict[Phrase, str] = {}
    for phrase in asks:
        keys = _keys(phrase)
        if not set(keys) - _INSTRUCTION_TERMS:
            raise ValueError(f'"{phrase}" in `asks` has only words that stand in every question')
        if owners.setdefault(keys, number) != number:
            raise ValueError(f'"{phrase}" in `asks` is in entry {owners[keys]} already')
        claimed.setdefault(keys, phrase)
    return tuple(claimed.values())
