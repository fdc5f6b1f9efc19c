"""Numbers that follow from others: steps an answer spells out, and changes, sums and means whose operands it names.

A step counts only if its operands are supported and it comes, computed again, to what is stated, at the precision that
is stated: with the operands as written, or as they stand where they were found. **A step that comes to something else
makes its result unsupported, wherever else that may stand.**

Works on verdicts that `numbers` made by looking numbers up; knows no passages.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain, combinations, pairwise

from hierarchy.numbers.arithmetic import Equation, Side, equations, evaluate, sides_without_sign, tokens
from hierarchy.numbers.reading import Mention

__all__ = ["Verdict", "follow_steps"]

_CONSTANTS = frozenset((1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 24, 30, 52, 60, 90, 100, 360, 365, 366, 1_000, 10_000))
_CONSTANTS |= {1_000_000, 1_000_000_000}
_ROUNDS = 3  # A step may use the result of one that is stated behind it.
# So many numbers on either side may be operands of a change, and of a sum; those of a sum stand this close together.
_NEAR, _FAR, _LIST_GAP = 2, 16, 60
_MAX_DERIVED = 48
_MAX_STEPS = 200

_CHANGE = re.compile(
    r"\b(?:increas\w*|decreas\w*|declin\w*|ris(?:e|en|es|ing)|rose|grew|grow\w*|fell|fall\w*|drop\w*|up|down|higher|lower|"
    r"chang\w*|differen\w*|gap|more|less|fewer|reduc\w*|improv\w*|exceed\w*|climb\w*|gain\w*|expan\w*|shr[aiu]nk\w*)\b",
    re.IGNORECASE,
)
_UP = re.compile(r"\b(?:increas|ris|rose|grew|grow|up\b|higher|more\b|improv|climb|gain|expan)", re.IGNORECASE)
_DOWN = re.compile(r"\b(?:decreas|declin|fell|fall|drop|down\b|lower|less\b|fewer|reduc|shr[aiu]nk)", re.IGNORECASE)
_SUM = re.compile(
    r"\b(?:sum|totals?|total?led|totall?ing|together|combined|aggregate|plus|adding|added|altogether)\b", re.IGNORECASE
)
_MEAN = re.compile(r"\b(?:average[sd]?|mean)\b", re.IGNORECASE)
_RATIO = re.compile(r"\b(?:ratio|multiple|turnover|divided|coverage)\b", re.IGNORECASE)
_FROM_TO = re.compile(r"\bfrom\b.{1,80}\bto\b", re.IGNORECASE | re.DOTALL)
_PART = re.compile(r"(?:%|percent|per cent)\s+of\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]\s+(?=[A-Z“\"(*])|\n")
_LIST_LINE = re.compile(r"(?:[ \t]{0,8}(?:[-*•]|\(?[0-9a-z]{1,3}[.)])[ \t]+\S)")
_ITEMS = re.compile(r"\s*(?:[,;]\s*(?:and|or)?|\b(?:and|or)\b)\s+")
_ENUMERATES = re.compile(r":|\b(?:are|were|include[sd]?|including|namely|comprise[sd]?)\b")


@dataclass(slots=True)
class Verdict:
    """What is known of a number in the answer so far.

    Attributes:
        mention: The number.
        status: As in `NumberCheck`.
        where: Index of the passage that it stands in.
        step: How it was computed, or why it isn't supported.
        exact: Its value as it stands where it was found, or came out of a step.
        rounded: It was found only when rounded.
        final: A stated step came to something else.
    """

    mention: Mention
    status: str = "unsupported"
    where: int | None = None
    step: str = ""
    exact: float | None = None
    rounded: bool = False
    final: bool = False

    @property
    def supported(self) -> bool:
        """Whether it may be an operand."""
        return self.status != "unsupported"

    @property
    def constant(self) -> bool:
        """Whether it may be an operand without standing anywhere: days of a year, a hundred, a few."""
        mention = self.mention
        if mention.fraction:
            return not mention.word and _CONSTANTS.issuperset(mention.fraction)
        plain = mention.kind == "figure" and not mention.unit and not mention.beside.currency
        return plain and not mention.exponent and not mention.beside.scale and mention.digits in _CONSTANTS


def follow_steps(answer: str, verdicts: Sequence[Verdict]) -> None:
    """Mark, in place, the numbers that follow from others in the answer, and those whose step comes to another."""
    _Steps(answer, verdicts).follow()


class _Steps:
    def __init__(self, answer: str, verdicts: Sequence[Verdict]) -> None:
        self.answer = answer
        self.verdicts = verdicts
        self.cut = tokens(answer, [one.mention for one in verdicts])

    def follow(self) -> None:
        stated, aside = equations(self.cut)[:_MAX_STEPS], sides_without_sign(self.cut)[:_MAX_STEPS]
        for _ in range(_ROUNDS):
            before = [one.status for one in self.verdicts]
            for equation in stated:
                self.equation(equation)
            for target, side in aside:
                if not self.verdicts[target].supported:
                    self.step(side, self.verdicts[target], strict=False)
            self.derive()
            self.repeat()
            if before == [one.status for one in self.verdicts]:
                return

    def repeat(self) -> None:
        """Settle numbers that were computed elsewhere in the answer, with the same unit or none."""
        computed: dict[tuple[int, int, int], Verdict] = {}
        for one in self.verdicts:
            if one.status == "computed" and one.exact is not None:
                computed.setdefault((one.mention.digits, one.mention.exponent, one.mention.sign), one)
        for one in self.verdicts:
            mention = one.mention
            source = computed.get((mention.digits, mention.exponent, mention.sign))
            if source and not one.supported and not one.final and mention.kind == "figure" and not mention.fraction:
                beside, its = mention.beside, source.mention.beside
                bare = beside.scale is None and beside.unit is None
                if (
                    bare
                    or (beside.scale, beside.unit) == (its.scale, its.unit)
                    or (its.scale, its.unit) == (None, None)
                ):
                    _settle(one, source.step, source.exact)

    # -- spelled out ---------------------------------------------------------------------------------------------------

    def equation(self, equation: Equation) -> None:
        left, right = equation.left, equation.right
        if left.single and right.single:
            self.conversion(self.verdicts[left.numbers[0]], self.verdicts[right.numbers[0]])
        elif right.single:
            self.step(left, self.verdicts[right.numbers[0]], strict=not left.may_be_range)
        elif left.single:
            self.step(right, self.verdicts[left.numbers[0]], strict=not right.may_be_range)
        else:
            self.both(left, right)
            self.both(right, left)

    def conversion(self, one: Verdict, other: Verdict) -> None:
        """The same number in another form: "0.1106 = 11.1 %"."""
        for known, unknown in ((one, other), (other, one)):
            if known.supported and not unknown.supported and not unknown.final:
                values = [known.mention.value, *([known.exact] if known.exact is not None else [])]
                if any(_agrees(value, unknown.mention) for value in values):
                    _settle(unknown, f"{known.mention.text} = {unknown.mention.text}", values[-1])

    def step(self, side: Side, target: Verdict, *, strict: bool) -> None:
        """A step with its stated result; if strict, one that comes to something else is held against the result."""
        operands = [self.verdicts[number] for number in side.numbers]
        if target in operands or target.final or (target.status == "computed" and target.step):
            return
        written = side.written({number: self.verdicts[number].mention.text for number in side.numbers})
        unknown = next((one for one in operands if not one.supported and not one.constant), None)
        if unknown is not None:
            if not target.supported:
                target.step = f"{unknown.mention.text} in {written} isn't supported."
            return
        came_to = None
        for value, faces in self.values(side, target):
            if _agrees(value, target.mention, faces=faces):
                for one in operands:
                    if not one.supported:
                        _settle(one, "A constant of a step.", None)
                _settle(target, f"{written} = {target.mention.text}", None if faces else value)
                return
            came_to = value if came_to is None else came_to
        if came_to is not None and not (target.supported and self.close(side, target)):
            target.step = f"{written} is {_shown(came_to, target.mention)}, not {target.mention.text}."
            if strict:
                target.status, target.where, target.final = "unsupported", None, True
                for one in operands:
                    if not one.supported:
                        _settle(one, "A constant of a step.", None)

    def both(self, known: Side, other: Side) -> None:
        """Two expressions that are equal determine one unknown number: "(1,577 − 1,420) / 1,420 = 157 / 1,420"."""
        if not all(self.verdicts[number].supported or self.verdicts[number].constant for number in known.numbers):
            return
        unknown = [number for number in other.numbers if not self.verdicts[number].supported]
        unknown = [number for number in unknown if not self.verdicts[number].constant] or unknown
        if len(unknown) != 1:
            return
        verdict = self.verdicts[unknown[0]]
        for value, faces in self.values(known, verdict):
            stated = {
                n: self.verdicts[n].mention.face if faces else self.verdicts[n].mention.value for n in other.numbers
            }
            half = _half(verdict.mention, faces=faces)
            ends = [evaluate(other, {**stated, unknown[0]: stated[unknown[0]] + shift}) for shift in (-half, half)]
            low, high = (min(ends), max(ends)) if None not in ends else (1.0, 0.0)  # type: ignore[type-var]
            if low is not None and high is not None and low - abs(low) * 1e-9 <= value <= high + abs(high) * 1e-9:
                _settle(
                    verdict,
                    f"Follows from {known.written({n: self.verdicts[n].mention.text for n in known.numbers})}",
                    None,
                )
                return

    def values(self, side: Side, target: Verdict) -> Iterator[tuple[float, bool]]:
        """What an expression comes to: as meant, as exact as it is known, and by its digits; whether by its digits."""
        operands = {number: self.verdicts[number] for number in side.numbers}
        meant = {number: one.mention.value for number, one in operands.items()}
        exact = {n: meant[n] if one.exact is None else one.exact for n, one in operands.items()}
        scales = {one.mention.beside.scale for one in (*operands.values(), target)} - {None}
        ways = [(meant, False), *([(exact, False)] if exact != meant else [])]
        if len(scales) == 1:
            ways.append(({number: one.mention.face for number, one in operands.items()}, True))
        for given, faces in ways:
            if (value := evaluate(side, given)) is not None:
                yield value, faces

    def close(self, side: Side, target: Verdict) -> bool:
        """Whether a result that stands in a passage is off by no more than its operands are rounded."""
        slack = sum(_half(self.verdicts[number].mention, faces=True) for number in side.numbers)
        faces = {number: self.verdicts[number].mention.face for number in side.numbers}
        value = evaluate(side, faces)
        return value is not None and abs(value - target.mention.face) <= slack + _half(target.mention, faces=True)

    # -- in words ------------------------------------------------------------------------------------------------------

    def derive(self) -> None:
        """Settle the numbers that a sentence's other numbers give: changes, shares, sums, means, counts."""
        left = _MAX_DERIVED
        for sentence, here in self.sentences:
            for verdict in here:
                if left and not verdict.final and (not verdict.supported or _may_be_chance(verdict, sentence)):
                    left -= 1
                    self.derived(verdict, here, sentence)

    @cached_property
    def sentences(self) -> list[tuple[_Sentence, list[Verdict]]]:
        """The sentences with numbers, each with the verdicts on those that are figures."""
        ends = [0, *(match.start() for match in _SENTENCE_END.finditer(self.answer)), len(self.answer)]
        found = []
        low = 0
        for start, end in pairwise(ends):
            high = low
            while high < len(self.verdicts) and self.verdicts[high].mention.start < end:
                high += 1
            if here := [one for one in self.verdicts[low:high] if one.mention.kind == "figure"]:
                found.append((_sentence(self.answer[start:end]), here))
            low = high
        return found

    def derived(self, target: Verdict, here: Sequence[Verdict], sentence: _Sentence) -> None:
        """Settle one number by the others of its sentence, if any operation that it speaks of gives it."""
        at = here.index(target)
        ahead = [one for one in here[max(0, at - _FAR) : at] if one.supported]
        after = [one for one in here[at + 1 : at + _FAR] if one.supported]
        runs = [[one for one in side if not one.mention.year and not one.mention.fraction] for side in (ahead, after)]
        operands = [*runs[0][-_NEAR:], *runs[1][:_NEAR]]
        ways = (
            _over_years(target, [*ahead, *after]),
            _of_many(target, runs, sentence),
            _of_two(target, operands, sentence),
        )
        for written, value in chain(*ways):
            if _agrees(value, target.mention, magnitude=sentence.down):
                _settle(target, f"{written} = {target.mention.text}", value)
                return
        if not target.supported and self.counted(target):
            _settle(target, "Counts what is listed.", None)
        elif len(operands) == 2 and _is_share(target.mention) and sentence.changes:
            written, value = next(_of_two(target, operands, sentence), ("", 0.0))
            if written and (sentence.from_to or not target.supported):
                target.status, target.where = "unsupported", None
                target.step = f"{written} is {_shown(value, target.mention)}, not {target.mention.text}."

    def counted(self, target: Verdict) -> bool:
        """Whether a small number counts what the answer lists behind it."""
        mention = target.mention
        if mention.unit or mention.exponent or mention.beside.scale or not 2 <= mention.digits <= 40:
            return False
        rest = self.answer[mention.end : mention.end + 4_000]
        lines = rest.split("\n")
        items = [line for line in lines[1:] if _LIST_LINE.match(line)]
        if len(items) == mention.digits:
            return True
        sentence = _SENTENCE_END.split(rest, maxsplit=1)[0][:800]
        start = _ENUMERATES.search(sentence)
        return start is not None and len(_ITEMS.split(sentence[start.end() :].strip(" .,"))) == mention.digits


# -- what a sentence's numbers give ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Sentence:
    """Which operations a sentence speaks of."""

    changes: bool
    up: bool
    down: bool
    sums: bool
    means: bool
    ratios: bool
    from_to: bool
    parts: bool


def _sentence(text: str) -> _Sentence:
    patterns = (_CHANGE, _UP, _DOWN, _SUM, _MEAN, _RATIO, _FROM_TO, _PART)
    return _Sentence(*(pattern.search(text) is not None for pattern in patterns))


def _may_be_chance(verdict: Verdict, sentence: _Sentence) -> bool:
    """Whether a change "from … to …" was found only because some share in a passage rounds to it."""
    return (
        verdict.status == "found"
        and verdict.rounded
        and sentence.changes
        and sentence.from_to
        and _is_share(verdict.mention)
    )


def _over_years(target: Verdict, near: Sequence[Verdict]) -> Iterator[tuple[str, float]]:
    """The years between two, as in "from 2021 to 2024, three years"."""
    unit = target.mention.unit
    years = [one.mention for one in near if one.mention.year]
    if unit and unit.dimension == "month" and unit.times == 12 and len(years) == 2:
        yield f"{years[1].text} − {years[0].text}", years[1].face - years[0].face


def _of_many(target: Verdict, runs: Sequence[Sequence[Verdict]], sentence: _Sentence) -> Iterator[tuple[str, float]]:
    """Sums and means of what is listed before the number in its sentence, or behind it."""
    if not (sentence.sums or sentence.means):
        return
    ahead, after = _listed(runs[0][::-1], target.mention)[::-1], _listed(runs[1], target.mention)
    lists = [ahead[-count:] for count in range(2, len(ahead) + 1)] + [
        after[:count] for count in range(2, len(after) + 1)
    ]
    for run in lists:
        names = " + ".join(one.mention.text for one in run)
        for values in _ways(run, target.mention):
            if sentence.sums:
                yield names, math.fsum(values)
            if sentence.means:
                yield f"({names}) / {len(run)}", math.fsum(values) / len(run)


def _listed(run: Sequence[Verdict], target: Mention) -> list[Verdict]:
    """The numbers nearest to the target that are of one kind and close to each other."""
    listed: list[Verdict] = []
    for one in run:
        kind = _kind(listed[0].mention if listed else target)
        near = not listed or abs(one.mention.start - listed[-1].mention.start) <= _LIST_GAP
        if not near or (kind and _kind(one.mention) != kind) or one.mention.word != (listed or [one])[0].mention.word:
            break
        listed.append(one)
    return listed


def _of_two(target: Verdict, operands: Sequence[Verdict], sentence: _Sentence) -> Iterator[tuple[str, float]]:
    """Change, difference, share or ratio of two numbers of the sentence."""
    for one, other in combinations(operands, 2):
        names = (one.mention.text, other.mention.text)
        if _kind(one.mention) == _kind(other.mention):
            for first, second in _ways((one, other), target.mention):
                yield from _of_pair(target.mention, names, (first, second), sentence)
        elif _is_share(one.mention) and sentence.parts and not _is_share(target.mention):
            for share, whole in _ways((one, other), target.mention):
                yield " of ".join(names), share * whole


def _of_pair(
    mention: Mention, names: tuple[str, str], values: tuple[float, float], sentence: _Sentence
) -> Iterator[tuple[str, float]]:
    (one, other), (first, second) = names, values
    if _is_share(mention) and sentence.changes:
        yield from _changes(names, values, sentence)
    elif (_is_share(mention) or sentence.ratios or _is_multiple(mention)) and len(str(mention.digits)) > 1:
        any_way = sentence.ratios or _is_multiple(mention)  # A share is of the larger number.
        if first and (any_way or abs(second) <= abs(first)):
            yield f"{other} / {one}", second / first
        if second and (any_way or abs(first) <= abs(second)):
            yield f"{one} / {other}", first / second
    telling = sentence.changes or len(str(mention.digits).rstrip("0")) >= 3
    if telling and (not mention.unit or _is_share(mention)):
        high, low = (one, other) if first >= second else (other, one)
        yield f"{high} − {low}", abs(second - first)


def _changes(names: tuple[str, str], values: tuple[float, float], sentence: _Sentence) -> Iterator[tuple[str, float]]:
    """Relative changes: from the smaller number if it went up; from either if the sentence doesn't say."""
    for base, later in ((0, 1), (1, 0)):
        low, high = abs(values[base]), abs(values[later])
        against = (sentence.up and not sentence.down and low > high) or (
            sentence.down and not sentence.up and low < high
        )
        if values[base] and not against:
            change = abs(values[later] - values[base]) / low
            yield f"({names[later]} − {names[base]}) / {names[base]}", change


# -- values ------------------------------------------------------------------------------------------------------------


def _agrees(value: float, mention: Mention, *, faces: bool = False, magnitude: bool = False) -> bool:
    """Whether a value is what a number states, at its precision."""
    if mention.kind != "figure" or mention.fraction:
        return False
    sign = -1 if mention.sign < 0 else 1
    signs = (1, -1) if mention.enclosed or magnitude else (sign,)
    low, high, exponent = mention.bounds()
    # A share may be stated of an expression that comes to it, or to a hundred times it.
    powers = {exponent} if faces else {exponent, exponent + mention.power}
    if _is_share(mention):
        powers |= {exponent, exponent + mention.power, exponent - 2}
    for power in powers:
        try:
            floor, ceiling = low * 10.0**power, high * 10.0**power
        except OverflowError:
            continue
        slack = 1e-9 * max(abs(floor), abs(ceiling))
        if any(floor - slack <= value * one <= ceiling + slack for one in signs):
            return True
    return False


def _half(mention: Mention, *, faces: bool) -> float:
    power = mention.exponent + (0 if faces else mention.power)
    return 0.5 * 10.0 ** max(-60, min(60, power))


def _ways(run: Sequence[Verdict], target: Mention) -> Iterator[tuple[float, ...]]:
    """The values of numbers: by their digits if there is one scale among them and the result, as meant, and exact."""
    scales = {one.mention.beside.scale for one in run} | {target.beside.scale}
    meant = tuple(one.mention.value for one in run)
    yield meant
    exact = tuple(one.mention.value if one.exact is None else one.exact for one in run)
    if exact != meant:
        yield exact
    if len(scales - {None}) == 1 and target.beside.scale is None:
        yield tuple(one.mention.face for one in run)


def _kind(mention: Mention) -> str:
    unit = mention.unit
    return unit.dimension if unit and unit.dimension != "money" else ""


def _is_share(mention: Mention) -> bool:
    return mention.unit is not None and mention.unit.dimension == "share" and mention.unit.exponent < 0


def _is_multiple(mention: Mention) -> bool:
    return mention.unit is not None and mention.unit.dimension == "share" and mention.unit.exponent == 0


def _settle(verdict: Verdict, step: str, exact: float | None) -> None:
    if not verdict.supported:
        verdict.status = "computed"
        verdict.exact = exact
    verdict.step = step


def _shown(value: float, mention: Mention) -> str:
    """A value as the number is written that it should be: as per cent, or in its scale."""
    if _is_share(mention) and mention.unit:
        return f"{_plain(value * 100)} %"
    if mention.beside.scale and abs(value) >= 10.0 ** (mention.beside.scale - 2):
        return f"{_plain(value / 10.0**mention.beside.scale)} × 10^{mention.beside.scale}"
    return _plain(value)


def _plain(value: float) -> str:
    text = f"{value:,.4g}" if abs(value) < 1_000 else f"{value:,.1f}"
    return text.removesuffix(".0")
