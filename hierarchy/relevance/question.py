"""What a question asks for, as far as its words tell: terms, word pairs, names, years, whether a number is wanted.

Doesn't know the document; a document's own statistics weigh the terms later (`index`).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass

from hierarchy.terms import INSTRUCTION_WORDS, STOPWORDS, terms

__all__ = ["Question", "parse"]

# "If it can't be found, say so": conditions on the form of the answer, whose words point nowhere.
_CONDITION = re.compile(r"[^.?!;]*\bif\b[^.?!]*\b(?:state|explain|answer|say|respond)\b[^.?!]*[.?!]?", re.IGNORECASE)
_NUMBER_ASKED = re.compile(
    r"\b(?:how (?:much|many)|amount|ratio|margin|percent\w*|usd|growth|average|total|rate|value|turnover|billions?|"
    r"millions?|thousands|decimal|increase\w*|decrease\w*|change\w*)\b|[%$€£\d]",
    re.IGNORECASE,
)
_EFFECT_ASKED = re.compile(r"signific|effect of|differ|compared with|higher|lower|change", re.IGNORECASE)
_WHICH_FILES = re.compile(
    r"\b(?:which|what|list|name|find|how many)\b[^.?!]{0,40}\b(?:of (?:these|the|those|all)|all|documents?|files?|"
    r"contracts?|agreements?|articles?|papers?|studies|trials|reports?)\b",
    re.IGNORECASE,
)
_NAME = re.compile(r"(?<!^)(?<![.?!] )\b[A-Z][A-Za-z]+\b")
_YEAR = re.compile(r"(?:19|20)\d\d")
_INSTRUCTION_TERMS = frozenset(term for word in INSTRUCTION_WORDS for term in terms(word))


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A parsed question.

    Attributes:
        text: As asked.
        terms: Distinct terms that may point somewhere, in order.
        pairs: Neighbouring terms, not both of them instructions.
        names: Those terms that are capitalised within a sentence.
        years: Four-digit years.
        wants_number: Whether an amount, a ratio or a change is asked.
        wants_effect: Whether an effect or a difference is asked, as of trials.
        wants_files: Whether it asks which documents of several.
    """

    text: str
    terms: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    years: frozenset[str] = frozenset()
    wants_number: bool = False
    wants_effect: bool = False
    wants_files: bool = False

    @property
    def weights(self) -> dict[str, float]:
        """How much each term counts."""
        return dict.fromkeys(self.terms, 1.0)


def parse(text: str) -> Question:
    """Read a question.

    Words that instruct are dropped unless nothing else is left, so that a question never loses all of its terms.

    Example:
        >>> parse("What was capital expenditure in FY2018? Round to two decimals.").terms
        ('capit', 'expenditur', 'fy', '2018', 'two')
    """
    core = _CONDITION.sub(" ", text)
    if len(terms(core)) < 3:
        core = text
    words = terms(core)
    pointing = [word for word in words if word not in _INSTRUCTION_TERMS] or words
    pairs = [pair for pair in itertools.pairwise(words) if not all(word in _INSTRUCTION_TERMS for word in pair)]
    named = [term for name in _NAME.findall(core) if name.lower() not in STOPWORDS for term in terms(name)]
    return Question(
        text=text,
        terms=tuple(dict.fromkeys(pointing)),
        pairs=tuple(dict.fromkeys(pairs)),
        names=tuple(dict.fromkeys(name for name in named if name in pointing)),
        years=frozenset(_YEAR.findall(text)),
        wants_number=bool(_NUMBER_ASKED.search(text)),
        wants_effect=bool(_EFFECT_ASKED.search(text)),
        wants_files=bool(_WHICH_FILES.search(text)),
    )
