"""Whether answers are right: exactly, as a number, as a choice, by words; and whether silence was right.

For predictions that carry an `answer`, an `abstain` or a `confidence`; finding is judged apart, in `metrics`. **An
empty answer is wrong wherever there is one to give**, and a case without a prediction counts as that. Judging by words
is rough: it knows no paraphrase, so that figures are floors, alike for every system.

Owns the judgement of answers, of one and of many. Knows nothing of spans or budgets but their names.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hierarchy.evaluation.predictions import Prediction
from hierarchy.evaluation.sets import Case, EvaluationSet

__all__ = ["AnswerFigures", "answer_figures", "auroc", "choice_match", "exact_match", "numeric_match", "token_f1"]

Gold = str | tuple[str, ...]
"""What is right; several where the question asks for all of them."""

TOLERANCE = 0.01
"""How far a number may be off, as a share: figures are rounded, and computed from rounded ones."""

_ARTICLES = {"a", "an", "the"}
_PUNCTUATION = re.compile(r"[^\w%.\-]+|(?<!\d)\.|\.(?!\d)|(?<!\w)-(?!\d)")
_CITATION = re.compile(r"\[\d+(?:\s*[,–-]\s*\d+)*\]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|\n")
_ITEM_END = re.compile(r"\s*(?:[,;\n]|\band\b)\s*")
_SCALES = {"thousand": 1e3, "k": 1e3, "million": 1e6, "mn": 1e6, "m": 1e6, "billion": 1e9, "bn": 1e9, "b": 1e9}
_NUMBER = re.compile(
    r"(?P<sign>[-−(])?\s*[$€£]?\s*(?<![\w.])(?P<digits>\d[\d,]*(?:\.\d+)?|\.\d+)\s*\)?\s*"
    r"(?P<unit>%|percent|(?:thousand|million|billion|mn|bn|[kmb])\b)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerFigures:
    """How a system answers at one budget; shares, None where no case asks for it.

    Attributes:
        cases: Cases with a gold answer.
        exact: Share of them answered in the gold's words.
        f1: Mean overlap in words with the gold.
        numeric: Share right among cases whose answer is a number.
        choice: Share right among multiple-choice cases, and those of yes or no.
        abstained_unanswerable: Share of abstentions where the document holds no answer; right.
        abstained_answerable: The same where it does; wrong.
        abstained_rightly: Share of right ones among all abstentions.
        auroc: How well `confidence` tells cases with an answer from those without: 0.5 is chance.
    """

    cases: int
    exact: float | None
    f1: float | None
    numeric: float | None
    choice: float | None
    abstained_unanswerable: float | None
    abstained_answerable: float | None
    abstained_rightly: float | None
    auroc: float | None


def exact_match(answer: str, gold: Gold) -> bool:
    """Whether the answer is the gold but for case, articles and punctuation; of a list, in any order.

    Example:
        >>> exact_match("The 3rd of May.", "3rd of may"), exact_match("y, x", ("x", "y"))
        (True, True)
    """
    if isinstance(gold, tuple):
        items = {" ".join(_words(item)) for item in _ITEM_END.split(answer)} - {""}
        return items == {" ".join(_words(item)) for item in gold}
    return bool(_words(answer)) and _words(answer) == _words(gold)


def token_f1(answer: str, gold: Gold) -> float:
    """Harmonic mean of precision and recall over words. Source: Rajpurkar et al., "SQuAD", 2016.

    Example:
        >>> token_f1("revenue rose by 5%", "rose 5%")
        0.6666666666666666
    """
    given, wanted = Counter(_words(answer)), Counter(_words(gold if isinstance(gold, str) else " ".join(gold)))
    shared = (given & wanted).total()
    return 2 * shared / (given.total() + wanted.total()) if shared else 0.0


def numeric_match(answer: str, gold: Gold, tolerance: float = TOLERANCE) -> bool | None:
    """Whether a number in the answer's first sentence is the gold's; None if the gold is no number.

    Only the first sentence, or an answer could list all numbers there are. A share and its per cent are equal, and so
    are "11.6 billion" and 11,600, since a gold figure leaves its scale to the question.

    Example:
        >>> numeric_match("It was $1,577 million [2].", "$1577.00"), numeric_match("Yes.", "no")
        (True, None)
    """
    whole = _NUMBER.fullmatch(gold.strip()) if isinstance(gold, str) else None
    if not whole:
        return None
    wanted, wanted_unit = _value(whole), whole["unit"] or ""
    first = _SENTENCE_END.split(_CITATION.sub("", answer).strip(), maxsplit=1)[0]
    return any(
        abs(value - wanted) <= tolerance * abs(wanted) + 1e-12
        for match in _NUMBER.finditer(first)
        for value in _readings(match, wanted_unit)
    )


def choice_match(answer: str, gold: Gold, choices: Sequence[str]) -> bool | None:
    """Whether the answer names the right choice and no other, by its words or its letter; None without choices.

    Where the gold is a plain yes or no, these are the choices, and the answer is to begin with one.

    Example:
        >>> choice_match("It significantly increased.", "significantly increased", ("significantly increased", "no"))
        True
        >>> choice_match("Yes, with 30 days' notice [1].", "Yes", ()), choice_match("It may, yes.", "Yes", ())
        (True, False)
    """
    if not isinstance(gold, str):
        return None
    if not choices:
        return _words(answer)[:1] == _words(gold) if _words(gold) in (["yes"], ["no"]) else None
    letter = re.fullmatch(r"\(?([A-Za-z])[.)]?", answer.strip())
    if letter:
        place = ord(letter[1].lower()) - ord("a")
        return place < len(choices) and choices[place] == gold
    text, named = f" {' '.join(_words(answer))} ", set[str]()
    for choice in sorted(choices, key=len, reverse=True):  # the longer first: one may be part of another
        phrase = f" {' '.join(_words(choice))} "
        if phrase in text:
            named.add(choice)
            text = text.replace(phrase, " | ")
    return named == {gold}


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float | None:
    """The chance that a positive scores above a negative, ties counting half; None without one of each.

    Example:
        >>> auroc([0.9, 0.4, 0.4, 0.1], [True, True, False, False])
        0.875
    """
    values, held = np.array(scores, dtype=np.float64), np.array(positive, dtype=np.bool_)
    above, below = values[held], values[~held]
    if not len(above) or not len(below):
        return None
    ordered = np.sort(below)
    wins = np.searchsorted(ordered, above, "left") + np.searchsorted(ordered, above, "right")
    return float(wins.sum() / (2 * len(above) * len(below)))


def answer_figures(
    dataset: EvaluationSet, predictions: Iterable[Prediction]
) -> Mapping[str, Mapping[int, AnswerFigures]]:
    """System → budget → figures, for systems that answer, abstain or say how sure they are; budgets ascending."""
    known = {case.id for case in dataset.cases}
    told: dict[str, dict[int, dict[str, Prediction]]] = defaultdict(lambda: defaultdict(dict))
    for one in predictions:
        if one.id in known and (one.answer, one.abstain, one.confidence) != (None, None, None):
            told[one.system][one.budget_tokens][one.id] = one
    return {
        system: {budget: _figures(dataset.cases, rows) for budget, rows in sorted(budgets.items())}
        for system, budgets in told.items()
    }


def _figures(cases: Sequence[Case], rows: Mapping[str, Prediction]) -> AnswerFigures:
    asked = [case for case in cases if case.answer is not None]
    spoken = any(row.answer is not None for row in rows.values())

    def mean(judge: Callable[[str, Case], float | None]) -> float | None:
        judged = [judge(_said(rows.get(case.id)), case) for case in asked] if spoken else []
        return _mean([float(value) for value in judged if value is not None])

    sure = [(row.confidence, case.answer is not None) for case, row in _rows(cases, rows) if row.confidence is not None]
    return AnswerFigures(
        cases=len(asked),
        exact=mean(lambda said, case: exact_match(said, case.answer or "")),
        f1=mean(lambda said, case: token_f1(said, case.answer or "")),
        numeric=mean(lambda said, case: numeric_match(said, case.answer or "")),
        choice=mean(lambda said, case: choice_match(said, case.answer or "", case.choices)),
        abstained_unanswerable=_abstained(cases, rows, answerable=False),
        abstained_answerable=_abstained(cases, rows, answerable=True),
        abstained_rightly=_mean([float(case.answer is None) for case, row in _rows(cases, rows) if row.abstain]),
        auroc=auroc([confidence for confidence, _ in sure], [answerable for _, answerable in sure]),
    )


def _said(row: Prediction | None) -> str:
    """The answer, empty if there is none or the system abstains."""
    return "" if row is None or row.abstain else row.answer or ""


def _abstained(cases: Sequence[Case], rows: Mapping[str, Prediction], *, answerable: bool) -> float | None:
    here = [(case, row) for case, row in _rows(cases, rows) if (case.answer is not None) == answerable]
    return _mean([float(row.abstain) for _, row in here if row.abstain is not None])


def _rows(cases: Sequence[Case], rows: Mapping[str, Prediction]) -> list[tuple[Case, Prediction]]:
    return [(case, rows[case.id]) for case in cases if case.id in rows]


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _words(text: str) -> list[str]:
    found = _PUNCTUATION.sub(" ", text.lower().replace(",", "")).split()
    return [word for word in found if word not in _ARTICLES] or found  # "A" alone is a letter


def _value(match: re.Match[str]) -> float:
    value = float(match["digits"].replace(",", ""))
    return -value if match["sign"] else value


def _readings(match: re.Match[str], wanted_unit: str) -> list[float]:
    """All that a stated number may mean to a gold figure that leaves its scale to the question."""
    value, unit = _value(match), (match["unit"] or "").lower()
    readings = [value]
    if unit in _SCALES:
        readings += [value * _SCALES[unit] / scale for scale in (1.0, 1e3, 1e6, 1e9)]
    elif unit and wanted_unit not in ("%", "percent"):
        readings.append(value / 100)
    elif not unit and wanted_unit in ("%", "percent"):
        readings.append(value * 100)
    return readings
