"""The built-in model: answers with the best verbatim sentences and table rows. No key, no server, no network.

It works from what a prompt was rendered from rather than from the prompt, replies in the form that a language model is
asked for, and is billed for the text that it is shown and returns, so that runs with and without a language model
compare and everything behind it treats both alike. Deterministic; ties go to document order.

Doesn't know the tree or how relevance was estimated: sentences come with their estimates.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter as Tally
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hierarchy.calls import Outcome, Request
from hierarchy.errors import Unavailable
from hierarchy.models.local import cut_to, local_outcome
from hierarchy.relevance.lexicon import Lexicon, built_in, expand
from hierarchy.relevance.question import Question, parse
from hierarchy.terms import INSTRUCTION_WORDS, STOPWORDS, terms
from hierarchy.tokens import Counter, count_tokens

__all__ = ["ExtractiveModel"]

_MOST_QUOTES = 4
# How much the caller's estimate weighs against the words of the question that a sentence holds itself. Its square root
# is taken: where everything looks hardly relevant, which looks less so still tells.
_RELEVANCE_WEIGHT = 0.7
# A word of the question that stands only in a row's column heads or heading counts as half said.
_CONTEXT_WEIGHT = 0.5
# A title repeats the question's words and answers nothing. A row answers who asks for a number, one of the year asked
# for still better.
_TITLE_WEIGHT = 0.5
_ROW_WEIGHT = 1.2
# A further quote, or a sentence to keep for later, must be so good in relation to the best one. On the bundled reports
# a second half as good as the first holds the evidence often enough to be worth its line.
_NEARLY = 0.5
_WORTH_KEEPING = 0.4
# Two quotes that share as many of their terms say the same.
_SAME = 0.8
# An answer needs one sentence that holds a quarter of the question's terms, or that the caller believes in. Less, and
# questions about other documents are answered too; more, and those in other words than the document's are not. Each
# term counts the same here: weighed by rarity, those that stand nowhere in what was read would count most.
_MIN_OVERLAP = 0.25
_MIN_RELEVANCE = 0.3
_TITLE_CHARACTERS = 80
# A sentence that names what a lexicon says is meant ("total current assets" for the quick ratio) is nearly as good as
# one in the question's words; the question's own words for it then count half, since the document has others.
_NAMED_WEIGHT, _REPLACED_WEIGHT, _NAMED = 0.6, 0.5, 0.7

_QUESTION_WORD = re.compile(r"[^\W_]+(?:[.,'’-][^\W_]+)*")
_NO_TITLE = re.compile(r"\d|^[-*•|]|[.!?;:]\W*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    """A stretch that may be quoted, with what it says."""

    passage: int  # the number that the prompt gives its passage
    place: int  # its place in the passage
    text: str
    section: str  # titles of the sections it stands in
    context: str  # a row's column heads and unit
    relevance: float
    own: frozenset[str]
    around: frozenset[str]

    @property
    def lead(self) -> str:
        """What a row's numbers need to be understood; nothing for prose."""
        if not self.is_row:
            return ""
        section = self.section.rsplit(" › ", 1)[-1]
        return _line(f"{section} — {self.context}" if section else self.context)

    @property
    def is_row(self) -> bool:
        return bool(self.context) and any(mark.isdigit() for mark in self.text)

    @property
    def is_title(self) -> bool:
        """Whether it names what follows: a heading, a title known already, a table's head, or a bare line of words."""
        if self.is_row:
            return False
        head = self.text.startswith("|") and not self.context
        named = self.text.startswith("#") or head or _line(self.text) in self.section
        return named or (len(self.text) < _TITLE_CHARACTERS and not _NO_TITLE.search(self.text))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scored:
    sentence: _Sentence
    overlap: float  # the share of the question's terms that it says; 0 if only its surroundings say them
    score: float

    @property
    def matches(self) -> bool:
        return self.overlap >= _MIN_OVERLAP or self.sentence.relevance > _MIN_RELEVANCE


class ExtractiveModel:
    """Quotes what fits the question best, or abstains.

    Answers the stages `compose` and `refine`; others come back as errors. Both need the variables `question` and
    `passages`, each passage a mapping:

    - `n`: its number in the prompt; `text`: verbatim
    - `heading`, `context`: where it stands; for table rows, column heads and unit. May be missing.
    - `section`: the heading in full where `heading` is shortened. May be missing.
    - `relevance`: estimated for the whole passage, in [0, 1]. May be missing.
    - `sentences`: `(start, end, relevance)` each, in characters of `text`; without them its lines are taken.
    - `contexts`: column heads and unit of each sentence that is a row, else ""; without them `context` is every row's.

    To `compose` it replies `{"answer", "quotes": [{"source", "text"}], "missing"}`, with quotes best first; without a
    match, the answer is empty and `missing` holds the question's own words. To `refine` it replies
    `{"quotes": [{"source", "text"}]}`, in document order. **A reply never counts more than `max_output_tokens`**: whole
    quotes are left out until it fits, the worst first.

    Args:
        count: Counts prompts and replies.
        lexicons: What documents call the things that people ask for; those that come with the library if None.
    """

    def __init__(self, count: Counter = count_tokens, lexicons: Sequence[Lexicon] | None = None) -> None:
        self._lexicons = lexicons
        self.name = "extractive"
        self.count = count
        self.margin = 1.0
        self.stages = frozenset({"compose", "refine"})

    def price(self, input_tokens: int, output_tokens: int) -> float | None:  # noqa: ARG002
        """Nothing, whatever the size."""
        return 0.0

    def complete(self, request: Request) -> Outcome:
        """As `Model.complete`."""
        replies = {"compose": self._compose, "refine": self._refine}
        if request.stage not in replies:
            error = Unavailable(f"The built-in model can't {request.stage}.", "Give a language model.")
            return Outcome(usage=local_outcome(request, "", self.count).usage, error=error)
        question = str(request.variables.get("question", ""))
        lexicons = built_in() if self._lexicons is None else self._lexicons
        ranked = _ranked(question, list(_sentences(request.variables.get("passages", ()))), lexicons)
        return local_outcome(request, replies[request.stage](question, ranked, request.max_output_tokens), self.count)

    async def acomplete(self, request: Request) -> Outcome:
        """As `complete`; there is nothing to wait for."""
        return self.complete(request)

    def _compose(self, question: str, ranked: Sequence[_Scored], most: int) -> str:
        chosen = _chosen(ranked)
        # Fewer and fewer of the best; then any single match that is short enough; then none.
        candidates: list[Sequence[_Sentence]] = [chosen[:size] for size in range(len(chosen), 0, -1)]
        candidates += [(each.sentence,) for each in ranked if each.matches]
        for quotes in candidates:
            if self.count(reply := _reply(quotes)) <= most:
                return reply
        return self._abstention(question, most)

    def _abstention(self, question: str, most: int) -> str:
        for missing in (", ".join(_asked(question)) or question, ""):
            reply = _json({"answer": "", "quotes": [], "missing": missing})
            if self.count(reply) <= most:
                return reply
        return cut_to(reply, most, self.count)

    def _refine(self, _question: str, ranked: Sequence[_Scored], most: int) -> str:
        floor = _WORTH_KEEPING * ranked[0].score if ranked else 0.0
        kept = [each.sentence for each in ranked if each.score >= floor and (each.overlap or each.matches)]
        low, high = 0, len(kept)
        while low < high:  # the most of the best that fit
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.count(_copied(kept[:middle])) <= most else (low, middle - 1)
        if low:
            return _copied(kept[:low])
        short = next((one for one in kept if self.count(_copied([one])) <= most), None)
        return cut_to(_copied([short] if short else []), most, self.count)


def _sentences(passages: Iterable[Mapping[str, Any]]) -> Iterator[_Sentence]:
    for passage in passages:
        text = str(passage["text"])
        section, shared = str(passage.get("section") or passage.get("heading") or ""), str(passage.get("context") or "")
        bounds = list(passage.get("sentences") or _lines(passage, text))
        contexts = passage.get("contexts") or [shared] * len(bounds)
        for place, ((start, end, relevance), context) in enumerate(zip(bounds, contexts, strict=True)):
            quote = text[start:end].strip()
            if quote.startswith("#"):  # from here on the passage stands in another section
                section = quote.lstrip("# ")
            if quote:
                yield _Sentence(
                    passage=int(passage["n"]),
                    place=place,
                    text=quote,
                    section=section,
                    context=context,
                    relevance=float(relevance),
                    own=frozenset(terms(quote)),
                    around=frozenset(terms(f"{section} {shared} {context}")),
                )


def _lines(passage: Mapping[str, Any], text: str) -> Iterator[tuple[int, int, float]]:
    start = 0
    for line in text.split("\n"):
        yield start, start + len(line), float(passage.get("relevance") or 0.0)
        start += len(line) + 1


def _ranked(question: str, sentences: Sequence[_Sentence], lexicons: Sequence[Lexicon]) -> list[_Scored]:
    """All sentences, best first: the caller's estimate blended with the share of the question that each says."""
    parsed = parse(question)
    asked = frozenset(terms(" ".join(_asked(question))))
    spread = Tally(term for sentence in sentences for term in sentence.own | sentence.around)
    weights = {term: math.log(1 + (len(sentences) + 1) / (spread[term] + 1)) for term in sorted(asked)}
    meant = expand(question, lexicons)
    replaced = {term for _, phrase in meant.uses for term in terms(phrase)} - {t for p in meant.phrases for t in p}
    weights |= {term: _REPLACED_WEIGHT * weights[term] for term in sorted(replaced & asked)}
    total = sum(weights.values()) or 1.0
    scored = []
    for sentence in sentences:
        own = asked & sentence.own
        shares = dict.fromkeys(asked & sentence.around, _CONTEXT_WEIGHT) | dict.fromkeys(own, 1.0)
        named = _named(sentence, meant.phrases)
        said = sum(weights[term] * shares.get(term, 0.0) for term in weights) / total
        said = max(said, _NAMED_WEIGHT * named)
        score = _RELEVANCE_WEIGHT * math.sqrt(sentence.relevance) + (1 - _RELEVANCE_WEIGHT) * said
        score *= _form_weight(sentence, parsed)
        overlap = sum(shares.values()) / len(asked) if own else 0.0
        overlap = max(overlap, _MIN_OVERLAP) if named >= _NAMED else overlap
        scored.append(_Scored(sentence=sentence, overlap=overlap, score=score))
    return sorted(scored, key=lambda each: -each.score)  # stable: ties stay in document order


def _named(sentence: _Sentence, phrases: Iterable[tuple[str, ...]]) -> float:
    """How much of what a sentence says is the name of what is meant, from 0 to 1; figures apart.

    A name of one word ("revenue") stands in too many sentences to say much.
    """
    words = sum(1 for term in sentence.own if not term[0].isdigit())
    shares = (
        len(set(phrase)) / words for phrase in phrases if len(phrase) > 1 and words and sentence.own >= set(phrase)
    )
    return min(1.0, math.sqrt(max(shares, default=0.0)))


def _form_weight(sentence: _Sentence, question: Question) -> float:
    """How well a sentence's form suits what is asked."""
    if sentence.is_title:
        return _TITLE_WEIGHT
    if not sentence.is_row or not question.wants_number:
        return 1.0
    return _ROW_WEIGHT ** (2 if any(year in sentence.context for year in question.years) else 1)


def _asked(question: str) -> list[str]:
    """The words of a question that say what it is about, each once."""
    words = [word for word in _QUESTION_WORD.findall(question) if word.lower() not in STOPWORDS | INSTRUCTION_WORDS]
    return list(dict.fromkeys(words))


def _chosen(ranked: Sequence[_Scored]) -> list[_Sentence]:
    """The best that isn't said already, as long as it is half as good as the first; nothing if nothing matches."""
    chosen: list[_Sentence] = []
    if not any(each.matches for each in ranked):
        return chosen
    for each in ranked:
        if len(chosen) == _MOST_QUOTES or each.score < _NEARLY * ranked[0].score:
            break
        if not any(_same(each.sentence, other) for other in chosen):
            chosen.append(each.sentence)
    return chosen


def _same(one: _Sentence, other: _Sentence) -> bool:
    """Whether two sentences say the same in nearly the same words; rows with other numbers don't."""
    numbers = [{term for term in sentence.own if term[0].isdigit()} for sentence in (one, other)]
    shared, either = one.own & other.own, one.own | other.own
    return numbers[0] == numbers[1] and len(shared) >= _SAME * len(either)


def _reply(quotes: Sequence[_Sentence]) -> str:
    lines: list[str] = []
    lead = ""
    for quote in quotes:
        if quote.lead != lead:
            lines.append(quote.lead)
        lead = quote.lead
        lines.append(_line(quote.text))
    return _json(
        {
            "answer": "\n".join(line for line in lines if line),
            "quotes": _quotes(quotes),
            "missing": "",
        }
    )


def _copied(sentences: Iterable[_Sentence]) -> str:
    ordered = sorted(sentences, key=lambda sentence: (sentence.passage, sentence.place))
    return _json({"quotes": _quotes(ordered)})


def _quotes(sentences: Iterable[_Sentence]) -> list[dict[str, int | str]]:
    return [{"source": sentence.passage, "text": sentence.text} for sentence in sentences]


def _line(text: str) -> str:
    return " ".join(text.split())


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, ensure_ascii=False)
