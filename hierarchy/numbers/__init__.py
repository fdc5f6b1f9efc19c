"""Trust in numbers: each number of an answer stands in what was shown, follows from it, or is named as unsupported.

`check_numbers` is the one way in. It is a pure function of texts: no model, no tree. A number counts as found if it
stands in a passage whatever its scale, unit or spelling ("$1.6 billion" is "1,577" in a table in millions), as computed
if a step in the answer gives it when computed again. **No text raises an error, and the time is linear in its length
but for capped numbers of searches and comparisons.**

What may stand beside a number is in `units`, how an answer is read in `reading` and `dates`, how passages are searched
in `index`, `compare` and `lookup`, signs told in words in `polarity`, expressions in `arithmetic`, and what follows
from what in `steps`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, cast

from hierarchy.numbers.lookup import Lookup
from hierarchy.numbers.reading import NUMERAL, Mention, mentions
from hierarchy.numbers.steps import Verdict, follow_steps
from hierarchy.numbers.units import stated_scales

__all__ = ["NumberCheck", "Shown", "Status", "check_numbers", "unsupported_note"]

Status = Literal["found", "computed", "asked", "unsupported"]
"""Whether a number stands in a passage, follows from a step, only repeats the question, or none of these."""

_SENTENCE = 64  # What stands this close before a number may say its sign.
_NAMED = 6  # As many numbers are named to the user, and the rest counted.
# What is behind these is unsupported without a look: nobody reads such an answer.
_MAX_NUMBERS, _MAX_CHARACTERS = 500, 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A passage as the model saw it.

    Attributes:
        text: The passage.
        context: Column heads and unit of its rows, such as "in millions, fiscal years 2025 2024".
        heading: Titles of the sections it stands in.
        defaults: What holds for its whole document, such as "tables in $ millions".
    """

    text: str
    context: str = ""
    heading: str = ""
    defaults: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberCheck:
    """A number in an answer and what bears it.

    Attributes:
        text: As it stands in the answer, its currency, scale and unit included; `answer[start:end]`.
        value: What it means: 12.5 % is 0.125, $1.6 billion 1,600,000,000. None for dates, periods, clauses and codes.
        status: `found`, `computed`, `asked` or `unsupported`.
        where: Index of the passage that it stands in; None unless found.
        step: How it was computed; for an unsupported number why it isn't, where that can be said.
        start: Its first character in the answer.
        end: One past its last.
    """

    text: str
    value: float | None
    status: Status
    where: int | None = None
    step: str = ""
    start: int = 0
    end: int = 0


def check_numbers(answer: str, passages: Sequence[Shown], *, question: str = "") -> tuple[NumberCheck, ...]:
    """Check every number of an answer against what the model was shown.

    Passage marks ("[2]"), list numbering, page references and the names of filings ("10-K") are no claims.

    Args:
        answer: The answer's text.
        passages: What the model was shown.
        question: What was asked; numbers that only stand there are `asked`, which is neither evidence nor invention.

    Returns:
        The numbers in order; they don't overlap.

    Example:
        >>> table = Shown(text="Capital expenditure 1,577 1,420", context="in millions, fiscal years 2018 2017")
        >>> checks = check_numbers("Capex was $1.6 billion in 2018, up 11.1 % from $1,420 million.", [table])
        >>> [(check.text, check.status) for check in checks]
        [('$1.6 billion', 'found'), ('2018', 'found'), ('11.1 %', 'computed'), ('$1,420 million', 'found')]
    """
    declared = stated_scales(answer, question)
    shown = Lookup([_page(passage) for passage in passages], declared=declared)
    asked = Lookup([question], declared=declared)
    end = _checked_end(answer)
    found = mentions(answer[:end])
    softs = _soft_scales(answer, found)
    verdicts = [_looked_up(mention, answer, soft, shown, asked) for mention, soft in zip(found, softs, strict=True)]
    follow_steps(answer[:end], verdicts)
    return (*(_check(verdict) for verdict in verdicts), *_unchecked(answer, end))


def unsupported_note(checks: Sequence[NumberCheck]) -> str:
    """One sentence that names the unsupported numbers; empty if there are none.

    Example:
        >>> unsupported_note([NumberCheck(text="3.2 %", value=0.032, status="unsupported")])
        '3.2 % stands in nothing that was read, nor follows from a step in the answer.'
    """
    names = list(dict.fromkeys(check.text for check in checks if check.status == "unsupported"))
    if not names:
        return ""
    if len(names) == 1:
        return f"{names[0]} stands in nothing that was read, nor follows from a step in the answer."
    shown, rest = (names[:_NAMED], len(names) - _NAMED) if len(names) > _NAMED + 1 else (names, 0)
    last = f"{rest} more" if rest else shown.pop()
    return f"{', '.join(shown)} and {last} stand in nothing that was read, nor follow from a step in the answer."


def _checked_end(answer: str) -> int:
    """How far an answer is checked: to the end of any that a person would read."""
    beyond = next(islice(NUMERAL.finditer(answer), _MAX_NUMBERS, None), None)
    return min(_MAX_CHARACTERS, beyond.start() if beyond else len(answer))


def _unchecked(answer: str, start: int) -> Iterator[NumberCheck]:
    step = f"Not checked: the answer has more than {_MAX_NUMBERS:,} numbers or {_MAX_CHARACTERS:,} characters."
    for match in NUMERAL.finditer(answer, start):
        yield NumberCheck(
            text=match[0], value=None, status="unsupported", step=step, start=match.start(), end=match.end()
        )


def _page(passage: Shown) -> str:
    """All of a passage that may say something, what holds for more before what holds for less."""
    return "\n".join(part for part in (passage.defaults, passage.heading, passage.context, passage.text) if part)


def _soft_scales(answer: str, found: Sequence[Mention]) -> list[frozenset[int]]:
    """The scale each number may have from the one behind it, as the first in "1.4 to 1.6 billion"."""
    soft: list[frozenset[int]] = [frozenset()] * len(found)
    for at in range(len(found) - 2, -1, -1):
        mention, other = found[at], found[at + 1]
        between = answer[mention.end : other.start].strip(" *_$€£(")
        joined = between.lower() in (
            "-",
            "–",
            "—",
            "to",
            "and",
            "or",
            ",",
            ", and",
            "versus",
            "vs.",
            "vs",
            "/",
            "against",
        )
        if joined and mention.beside.scale is None and mention.unit is None:
            scale = other.beside.scale
            soft[at] = frozenset({scale}) if scale is not None else soft[at + 1]
    return soft


def _looked_up(mention: Mention, answer: str, soft: frozenset[int], shown: Lookup, asked: Lookup) -> Verdict:
    verdict = Verdict(mention)
    ahead = answer[max(0, mention.start - _SENTENCE) : mention.start]
    found = shown.find(mention, ahead, soft)
    if found and not found.clash:
        verdict.status, verdict.where = "found", found.where
        verdict.exact, verdict.rounded = found.value, not found.exact
        return verdict
    if (again := asked.find(mention, soft=soft)) and not again.clash:
        verdict.status, verdict.exact = "asked", again.value
    elif found:
        other = "sign" if found.clash == "sign" else "unit or scale"
        verdict.step = f"Passage {found.where + 1} has it with another {other}."
    return verdict


def _check(verdict: Verdict) -> NumberCheck:
    mention = verdict.mention
    return NumberCheck(
        text=mention.text,
        value=mention.value if mention.kind == "figure" else None,
        status=cast("Status", verdict.status),
        where=verdict.where,
        step=verdict.step,
        start=mention.start,
        end=mention.end,
    )
