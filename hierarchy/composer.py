"""The composer: a call that answers from the evidence, and the checks that make its reply an answer.

Every quote is looked up in the passages that were shown; what doesn't stand there is dropped and noted. If the reply
can't be had or read, the best sentences of the evidence stand in for it; if the evidence doesn't hold the answer, the
answer says so, and what is missing. **An answer always comes back, and the prompt never exceeds its limit.**

Doesn't know how evidence is found (`refiner`), models, or the ledger.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.answer import Answer, Citation, Receipt, receipt, verify
from hierarchy.calls import Outcome, Request, Steps
from hierarchy.document import Span
from hierarchy.errors import BudgetError, HierarchyError, OutputInvalid
from hierarchy.evidence import Evidence, Passage, passage_variables, sentences_of
from hierarchy.numbers import NumberCheck, Shown, check_numbers, unsupported_note
from hierarchy.prompting import Note, Paper, Turn, shown
from hierarchy.relevance import Relevance
from hierarchy.segments import LeafKind
from hierarchy.tables import document_defaults, row_context
from hierarchy.templates import parse_reply, render
from hierarchy.terms import terms
from hierarchy.tokens import Counter, count_tokens
from hierarchy.tree import SummaryTree

__all__ = [
    "SHORT_REPLY_TOKENS",
    "Note",
    "Turn",
    "compose",
    "minimum_tokens",
    "overhead",
    "passage_variables",
    "prompt_tokens",
]

# The smallest evidence and the smallest reply that make an answer: a sentence or two with its label, and its quotation.
_SHORT_PASSAGE_TOKENS, SHORT_REPLY_TOKENS = 96, 96
# Where no answer could be composed, at most so many sentences of the evidence stand in for it.
_STAND_IN_SENTENCES = 4
_SHOWN_CHARACTERS = 90
# A reply that was all thinking is asked for again at so many times its cap. No token is longer than so many characters,
# but for a few; a provider that sends more than it was asked for is cut.
_MORE_OUTPUT, _CHARACTERS_PER_TOKEN = 3, 16
# A reply of fewer words than this holds nothing to bring into form.
_WORD, _WORDS_WORTH_MENDING = re.compile(r"\w+"), 3
# An answer that nothing else bears must share so many of its words with one passage. Numbers are looked up in so many
# characters of what was read in branches, at most.
_BORNE, _SAID_THERE, _MOST_CHECKED = ("found", "computed"), 0.6, 400_000
# What the form of a reply costs beside its words.
_FORM_TOKENS = 60
# Only so much of an unread part's relevance is worth a sentence.
_WORTH_MENTIONING = 0.01


_ONLY = Turn()


def compose(
    tree: SummaryTree,
    question: str,
    evidence: Evidence,
    relevance: Relevance,
    *,
    max_input_tokens: int,
    max_output_tokens: int,
    count: Counter = count_tokens,
    folder: Path | str | None = None,
    turn: Turn = _ONLY,
) -> Steps[Answer]:
    """Answer from the evidence, with quotes.

    Yields one request, or none where there is no evidence or none of it fits. A reply that can't be read is repaired by
    one further call; one that was all hidden thinking is asked for once more, at a higher cap.

    Args:
        tree: The tree that the evidence is from.
        question: As asked.
        evidence: What was read.
        relevance: Says which evidence to leave out first if the prompt is too long, and how the unread rest looks.
        max_input_tokens: The most that the prompt may count; evidence is trimmed from the edges of its least relevant
            passage until it does.
        max_output_tokens: The most that the reply may count.
        count: The counter of the model that answers.
        folder: Prompts that override the shipped ones.
        turn: What else the prompt says.

    Returns:
        The answer with its receipt; the engine adds what it cost.
    """
    desk = _Desk(tree=tree, question=question, evidence=evidence, relevance=relevance)
    paper = Paper(tree=tree, question=question, relevance=relevance, count=count, folder=folder, turn=turn)
    evidence, prompt, variables = shown(paper, evidence, max_input_tokens)
    if prompt is None and desk.evidence.passages:
        short = BudgetError(
            f"No prompt that shows any of it fits {max_input_tokens:,} tokens.", "Give a larger budget."
        )
        return desk.stand_in(short, max_output_tokens, count)
    desk = replace(desk, evidence=evidence)
    if prompt is None:
        return desk.abstention()
    request = Request(
        stage=turn.stage,
        prompt=prompt.text,
        max_output_tokens=max_output_tokens,
        template=prompt.template_key,
        variables=variables,
    )
    try:
        reply, notes = yield from _understood(request, count, folder)
    except HierarchyError as error:
        return desk.stand_in(error, max_output_tokens, count)
    answer = desk.answer(reply)
    return replace(answer, notes=(*notes, *answer.notes)) if notes else answer


def overhead(question: str, count: Counter = count_tokens, folder: Path | str | None = None) -> int:
    """Tokens of the prompt with the question and no passage, in its longer form."""
    variables = {"question": question, "passages": [], "left": 100_000}
    return count(render("compose", variables, folder=folder).text)


def minimum_tokens(question: str, count: Counter = count_tokens, folder: Path | str | None = None) -> int:
    """The smallest budget for any answer: the prompt's own tokens, a short passage, and a short reply."""
    bare = count(render("compose", {"question": question, "passages": []}, folder=folder).text)
    return bare + _SHORT_PASSAGE_TOKENS + SHORT_REPLY_TOKENS


def prompt_tokens(
    tree: SummaryTree,
    question: str,
    evidence: Evidence,
    relevance: Relevance,
    *,
    count: Counter = count_tokens,
    folder: Path | str | None = None,
    turn: Turn = _ONLY,
) -> int:
    """What the prompt with all of the evidence counts, headings and labels included."""
    paper = Paper(tree=tree, question=question, relevance=relevance, count=count, folder=folder, turn=turn)
    return count(paper.prompt(evidence.passages)[0].text)


# -- the reply ---------------------------------------------------------------------------------------------------------


_FORM = '{"answer": "…", "quotes": [{"source": passage number, "text": "…"}], "missing": ""}'
_FIELDS = ("answer", "quotes", "missing")


def _understood(
    request: Request, count: Counter, folder: Path | str | None
) -> Steps[tuple[dict[str, Any], tuple[str, ...]]]:
    """The reply to a request, read; with one more call where it can't be read or was all thinking.

    Raises:
        HierarchyError: There is no reply that can be read.
    """
    (outcome,) = yield (request,)
    notes: tuple[str, ...] = ()
    if _thought_only(request, outcome):
        notes = ("The model spent its reply on thinking, so it was asked again with a higher cap.",)
        request = replace(request, max_output_tokens=request.max_output_tokens * _MORE_OUTPUT)
        (outcome,) = yield (request,)
    text = outcome.text[: request.max_output_tokens * _CHARACTERS_PER_TOKEN]
    try:
        return _reply(outcome, text), notes
    except OutputInvalid as invalid:
        if outcome.error or notes or len(_WORD.findall(text)) < _WORDS_WORTH_MENDING:
            raise
        (mended,) = yield (_repair(request, text, count, folder),)
        try:
            reply = _reply(mended, mended.text)
        except HierarchyError as error:
            raise invalid from error
        return reply, ("The model's reply was brought into form by a further call.",)


def _thought_only(request: Request, outcome: Outcome) -> bool:
    """Whether the model used up its reply without saying anything."""
    if not isinstance(outcome.error, OutputInvalid) and (outcome.error or outcome.text.strip()):
        return False
    return outcome.usage is not None and outcome.usage.output_tokens >= 0.9 * request.max_output_tokens


def _repair(request: Request, text: str, count: Counter, folder: Path | str | None) -> Request:
    prompt = render("repair", {"form": _FORM, "reply": text}, folder=folder)
    return Request(
        stage="repair",
        prompt=prompt.text,
        max_output_tokens=min(request.max_output_tokens, count(text) + _FORM_TOKENS),
        template=prompt.template_key,
        variables={"form": _FORM, "reply": text},
    )


def _reply(outcome: Outcome, text: str) -> dict[str, Any]:
    if outcome.error:
        raise outcome.error
    reply = parse_reply(text, fields=_FIELDS)
    if reply.get("truncated") and not reply["answer"].strip() and not reply["missing"].strip():
        raise OutputInvalid("The reply was cut off before it said anything.", "Allow a longer reply.")
    return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class _Quotes:
    """What came of the quotes of a reply: how many were checked, and which stood the check."""

    citations: tuple[Citation, ...] = ()
    passages: tuple[Passage, ...] = ()  # those cited
    checked: int = 0
    verified: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What an answer is made from once the evidence is fixed."""

    tree: SummaryTree
    question: str
    evidence: Evidence
    relevance: Relevance

    def answer(self, reply: Mapping[str, Any]) -> Answer:
        """The answer that a readable reply gives."""
        text, missing = reply["answer"].strip(), reply["missing"].strip()
        quotes = self._checked(reply["quotes"])
        notes = [*self.evidence.notes, *quotes.notes]
        cut = bool(reply.get("truncated"))
        if cut:
            notes.append("The reply was cut off; what was complete is kept.")
        if not text or (missing and not reply["quotes"]):
            return replace(self.abstention(missing, text, quotes), partial=cut, notes=tuple(notes))
        numbers = check_numbers(text, self._shown(), question=self.question)
        if not quotes.citations and not any(one.status in _BORNE for one in numbers) and not self._said_there(text):
            unborne = f"Nothing that was read bears the model's answer, which was: “{_short(text)}”"
            return replace(self.abstention(missing, "", quotes), partial=cut, notes=(*notes, unborne))
        if not quotes.citations:
            notes.append("No quote that stands in what was read bears this answer.")
        if unsupported := unsupported_note(numbers):
            notes.append(unsupported)
        basis = (*self._basis(quotes), ("numbers", _supported(numbers)))
        return Answer(
            text=text,
            confidence=_confidence(basis),
            confidence_basis=basis,
            citations=quotes.citations,
            evidence=self.evidence,
            receipt=self._receipt(),
            partial=cut,
            missing=missing,
            notes=tuple(notes),
            numbers=numbers,
        )

    def stand_in(self, error: HierarchyError, max_tokens: int, count: Counter) -> Answer:
        """The best sentences of the evidence, where no answer could be composed from it."""
        note = f"No answer could be composed, so the best sentences of what was read stand in for it. {error}"
        notes = (*self.evidence.notes, note)
        citations: list[tuple[Passage, Citation]] = []
        left = max_tokens
        for passage, span in self._best_sentences():
            citation = self._citation(passage, span)
            left -= count(citation.line)
            if citations and left < 0:
                break
            citations.append((passage, citation))
        if not citations:
            return replace(self.abstention(), partial=True, notes=notes)
        citations.sort(key=lambda pair: (pair[0].leaves, pair[1].start))
        quotes = _Quotes(
            citations=tuple(citation for _, citation in citations),
            passages=tuple(passage for passage, _ in citations),
            checked=len(citations),
            verified=len(citations),
        )
        basis = self._basis(quotes)
        return Answer(
            text="\n".join(citation.line for citation in quotes.citations),
            confidence=_confidence(basis),
            confidence_basis=basis,
            citations=quotes.citations,
            evidence=self.evidence,
            receipt=self._receipt(),
            partial=True,
            notes=notes,
        )

    def abstention(self, missing: str = "", said: str = "", quotes: _Quotes | None = None) -> Answer:
        """The statement that what was read doesn't hold the answer: what is missing, how much was read, what wasn't."""
        quotes = quotes or _Quotes()
        found = self._receipt()
        parts = [said or "What was read doesn't answer the question."]
        if missing:
            parts.append(f"Missing: {missing.rstrip('.')}.")
        parts.append(_how_much(found, whole=self.evidence.whole))
        return Answer(
            text=" ".join(parts),
            abstained=True,
            confidence_basis=self._basis(quotes),
            citations=quotes.citations,
            evidence=self.evidence,
            receipt=found,
            missing=missing,
            notes=(*self.evidence.notes, *quotes.notes),
        )

    def _shown(self) -> list[Shown]:
        """All that the model was shown, in this round or before, as numbers are looked up in it."""
        defaults = {number: document_defaults(self.tree, number) for number in range(len(self.tree.files))}
        shown = [
            Shown(
                text=passage.text,
                context=passage.context,
                heading=passage.heading,
                defaults=defaults[int(self.tree.leaves.file[passage.leaves[0]])],
            )
            for passage in self.evidence.passages
        ]
        left = _MOST_CHECKED
        for low, high in self.evidence.read:
            text = "".join(self.tree.leaf_text(leaf) for leaf in range(low, high))[:left]
            left -= len(text)
            file = int(self.tree.leaves.file[low])
            shown.append(Shown(text=text, heading=self.tree.heading(low), defaults=defaults[file]))
        return shown

    def _said_there(self, text: str) -> bool:
        """Whether one passage says most of an answer in the same words."""
        said = set(terms(text))
        return bool(said) and any(
            len(said & set(terms(f"{passage.heading} {passage.text}"))) >= _SAID_THERE * len(said)
            for passage in self.evidence.passages
        )

    def _receipt(self) -> Receipt:
        runs = [passage.leaves for passage in self.evidence.passages]
        return receipt(self.tree, self.relevance, [*runs, *self.evidence.read])

    # -- quotes --------------------------------------------------------------------------------------------------------

    def _checked(self, quotes: Iterable[Mapping[str, Any]]) -> _Quotes:
        """Look every quote up in what was shown."""
        citations: dict[tuple[str, int, int], Citation] = {}
        cited: dict[int, Passage] = {}
        notes: list[str] = []
        checked = verified = 0
        for quote in quotes:
            named, text = quote["source"], quote["text"].strip()
            if self._is_label(text):
                continue
            checked += 1
            place = self._place(text, named)
            if place is None:
                notes.append(f"A quote was dropped, since it doesn't stand in what was read: “{_short(text)}”.")
                continue
            number, span = place
            verified += 1
            if number != named:
                notes.append(f"A quote named passage {named} and stands in {number}: “{_short(text)}”.")
            passage = self.evidence.passages[number - 1]
            citation = self._citation(passage, span)
            citations.setdefault((citation.source, citation.start, citation.end), citation)
            cited[number] = passage
        return _Quotes(
            citations=tuple(citations.values()),
            passages=tuple(cited.values()),
            checked=checked,
            verified=verified,
            notes=tuple(notes),
        )

    def _is_label(self, text: str) -> bool:
        """Whether a quote is only of a heading or of column heads shown beside a passage, which prove nothing."""
        passages = self.evidence.passages
        labels = (label for passage in passages for label in (passage.heading, passage.context))
        return not any(verify(one.text, text) for one in passages) and any(verify(label, text) for label in labels)

    def _place(self, quote: str, named: int) -> tuple[int, Span] | None:
        """The number of the passage that a quote begins in, and its characters: the named passage first, then others.

        A quote may run on over a page's end where both pages were read.
        """
        passages = self.evidence.passages
        numbers = [*([named] if 1 <= named <= len(passages) else []), *range(1, len(passages) + 1)]
        windows = [(number, passages[number - 1].start, passages[number - 1].end) for number in numbers]
        windows += [
            (number, first.start, second.end)
            for number, (first, second) in enumerate(pairwise(passages), 1)
            if first.leaves[1] == second.leaves[0] and first.source == second.source
        ]
        for number, start, end in windows:
            if span := verify(self._text(passages[number - 1]), quote, (start, end)):
                return number, span
        return None

    def _text(self, passage: Passage) -> str:
        text: str = self.tree.files[int(self.tree.leaves.file[passage.leaves[0]])].text
        return text

    def _citation(self, passage: Passage, span: Span) -> Citation:
        file = int(self.tree.leaves.file[passage.leaves[0]])
        low, high = (int(at) for at in np.searchsorted(self.tree.leaves.file, [file, file + 1]))
        starts = self.tree.leaves.start[low:high]
        first, last = (low + int(at) - 1 for at in np.searchsorted(starts, [span.start, span.end - 1], "right"))
        document = self.tree.files[file]
        return Citation(
            quote=document.text[span.start : span.end],
            source=document.name,
            page=document.page_of(span.start),
            start=span.start,
            end=span.end,
            verified=True,
            node=self.tree.id_of(self.tree.smallest_node(first, last + 1)),
            context=row_context(self.tree, first).line,
        )

    def _best_sentences(self) -> list[tuple[Passage, Span]]:
        """The most relevant sentences and rows of the evidence, headings last; ties go to document order."""
        every = [
            (float(self.relevance.leaf[leaf]), self.tree.leaves.kind[leaf] == LeafKind.HEADING, passage, span)
            for passage in self.evidence.passages
            for leaf, span in sentences_of(self.tree, passage)
        ]
        every.sort(key=lambda each: (each[1], -each[0]))
        return [(passage, span) for _, _, passage, span in every[:_STAND_IN_SENTENCES]]

    # -- confidence ----------------------------------------------------------------------------------------------------

    def _basis(self, quotes: _Quotes) -> tuple[tuple[str, float], ...]:
        """What confidence is made of.

        `relevance` is the chance that at least one of the cited passages holds evidence, `verified` the share of quotes
        that stand where they should, `terms` the share of the question's terms, by their rarity in the document, that
        the evidence holds. An answer's basis has `numbers` besides: the share of its numbers that something bears.
        """
        misses = math.prod(1.0 - min(1.0, passage.relevance) for passage in quotes.passages)
        verified = quotes.verified / quotes.checked if quotes.checked else 0.0
        return (("relevance", 1.0 - misses), ("verified", verified), ("terms", self._terms_held()))

    def _terms_held(self) -> float:
        vocabulary, numbers, bounds = self.tree.leaf_terms
        held: set[int] = set()
        for passage in self.evidence.passages:
            held.update(numbers[bounds[passage.leaves[0]] : bounds[passage.leaves[1]]].tolist())
        rarest = float(np.log1p(len(self.tree.leaves)))
        found = total = 0.0
        for term in dict.fromkeys(self.relevance.question.terms or terms(self.question)):
            number = vocabulary.number(term)
            rarity = float(self.tree.term_rarity[number]) if number >= 0 else rarest
            total += rarity
            found += rarity if number in held else 0.0
        return found / total if total else 0.0


def _confidence(basis: Sequence[tuple[str, float]]) -> float:
    """The mean of relevance and terms held, times the share of quotes verified; halved if nothing bears its numbers.

    **0 without a verified quote.**
    """
    values = dict(basis)
    numbers = (1 + values.get("numbers", 1.0)) / 2
    return values["verified"] * numbers * (values["relevance"] + values["terms"]) / 2


def _supported(numbers: Sequence[NumberCheck]) -> float:
    """The share of an answer's numbers that something bears, those of the question apart; 1 without any."""
    claimed = [one for one in numbers if one.status != "asked"]
    return sum(one.status in _BORNE for one in claimed) / len(claimed) if claimed else 1.0


def _how_much(found: Receipt, *, whole: bool) -> str:
    """How much was read and how the rest looks."""
    if whole:
        return f"The whole document was read, {found.read_tokens:,} tokens."
    read = f"Read: {found.read_tokens:,} of {found.document_tokens:,} tokens ({found.read_share:.1%})."
    if not found.unread:
        return read
    best = found.unread[0]
    where = f"{best.source}, p. {best.pages[0]}" if best.pages else best.source
    looks = f"relevance {best.relevance:.2f}" if best.relevance >= _WORTH_MENTIONING else "hardly relevant by its looks"
    return f"{read} Most relevant unread part: “{_short(best.title)}” ({where}; {best.tokens:,} tokens; {looks})."


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN_CHARACTERS else f"{line[:_SHOWN_CHARACTERS]}…"
