"""What a question asks for, as far as its words tell: terms, word pairs, names, years, whether a number is wanted.

A `Routing` says it in the document's words as well: a model that saw only the question named search terms and what is
needed. It adds to a question and takes nothing from it, so that a bad one does bounded harm.

Doesn't know the document; a document's own statistics weigh the terms later (`index`), and doesn't know how a routing
came about.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hierarchy.terms import INSTRUCTION_WORDS, STOPWORDS, terms

__all__ = ["Question", "Routing", "parse", "routed"]

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

# What of a routing counts, however long it is: phrases of each list, characters and terms of each, terms in all.
_MOST_PHRASES, _MOST_CHARACTERS, _MOST_WORDS, _MOST_TERMS = 16, 120, 8, 64
# What a word counts that only the routing has, only a part of it asked for, or both question and routing.
_NEW, _ASIDE, _REPEATED = 0.75, 0.5, 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What a model made of a question without seeing the document.

    Any text may stand in it; `routed` takes what it can use.

    Attributes:
        terms: Search terms in the document's own words, the most telling first.
        needs: What an answer needs, as its titles would have it: statements, tables, sections.
        kind: The kind of question.
        questions: The questions it consists of, if there are several.
    """

    terms: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    kind: str = ""
    questions: tuple[str, ...] = ()


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
        routed: Terms that a routing named, each with what it counts.
        phrases: What it named, each as terms.
        needs: What it named as needed, as terms, each need by itself.
        kind: The kind of question that it took it for.
    """

    text: str
    terms: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...] = ()
    names: tuple[str, ...] = ()
    years: frozenset[str] = frozenset()
    wants_number: bool = False
    wants_effect: bool = False
    wants_files: bool = False
    routed: tuple[tuple[str, float], ...] = ()
    phrases: tuple[tuple[str, ...], ...] = ()
    needs: tuple[tuple[str, ...], ...] = ()
    kind: str = ""

    @property
    def weights(self) -> dict[str, float]:
        """How much each term counts: **the question's own at least 1**, twice if a routing repeats it."""
        return dict.fromkeys(self.terms, 1.0) | dict(self.routed)

    @property
    def routed_pairs(self) -> tuple[tuple[str, str], ...]:
        """Neighbouring terms within the routing's phrases."""
        return tuple(dict.fromkeys(pair for phrase in self.phrases for pair in itertools.pairwise(phrase)))

    @property
    def is_routed(self) -> bool:
        """Whether a routing added anything to look for."""
        return bool(self.routed or self.needs)


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


def routed(question: Question, routing: Routing) -> Question:
    """A question with what a routing adds to it.

    The question's own words stay whatever the routing says. A word of both counts twice, a new one three quarters, one
    of a part of the question half. Of an endless routing the beginning counts.

    Example:
        >>> asked = routed(parse("What is the quick ratio?"), Routing(terms=("current assets", "quick assets")))
        >>> asked.weights
        {'quick': 2.0, 'ratio': 1.0, 'current': 0.75, 'asset': 0.75}
    """
    phrases, parts = _phrases(routing.terms), _phrases(routing.questions)
    own = frozenset(question.terms)
    weights: dict[str, float] = {}
    for phrase, weight in itertools.chain(((one, _NEW) for one in phrases), ((one, _ASIDE) for one in parts)):
        for term in phrase:
            if term in own or term not in _INSTRUCTION_TERMS:
                weights.setdefault(term, _REPEATED if term in own else weight)
    return replace(
        question,
        routed=tuple(itertools.islice(weights.items(), _MOST_TERMS)),
        phrases=tuple(dict.fromkeys(phrases)),
        needs=tuple(dict.fromkeys(_phrases(routing.needs))),
        kind=" ".join(routing.kind[:_MOST_CHARACTERS].lower().split()),
    )


def _phrases(texts: Iterable[str]) -> list[tuple[str, ...]]:
    """Texts as terms, without those that have none."""
    found = (tuple(terms(text[:_MOST_CHARACTERS])[:_MOST_WORDS]) for text in itertools.islice(texts, _MOST_PHRASES))
    return [phrase for phrase in found if phrase]
