"""Whether a figure in a passage is the number in an answer.

**What is written at both must agree; what is written at one alone is no conflict.** A scale, a unit and a share are
powers of ten, so that a figure agrees if it has the same digits, or rounds to them at the answer's precision, when
shifted by one of the powers that what stands beside the two allows. An amount of one figure that isn't said to be rough
must be near it besides: some figure of any page rounds to $1 billion, from 0.5 to 1.5.

Pure functions of the two; knows nothing of where figures come from.
"""

from __future__ import annotations

from collections.abc import Callable

from hierarchy.numbers.index import Figure
from hierarchy.numbers.reading import Mention
from hierarchy.numbers.units import Unit, same_currency

__all__ = ["agreement", "in_other_units", "may_round", "shifts"]

_FARTHEST = 60
_NEAR = 20  # One part in so many: an amount of one figure may differ by 5 % of what stands there.
# A time may be told in another unit; these are the multiples of the smallest of its kind.
_TIMES = {"month": (1, 12), "minute": (1, 60, 1440, 10080)}


def shifts(mention: Mention, figure: Figure, scales: frozenset[int], hints: Callable[[str], bool]) -> frozenset[int]:
    """The powers of ten by which a figure may differ from the number sought and mean the same; none if they clash.

    Args:
        mention: The number in the answer.
        figure: A figure in a passage.
        scales: Powers of ten that the number may be meant in, if none is written beside it.
        hints: Whether the figure's passage names a unit anywhere, "%" for any share.
    """
    mine, its = mention.unit, figure.unit
    if _currencies_clash(mention, figure):
        return frozenset()
    if mine and its:
        same = mine.dimension == its.dimension
        return frozenset(power - mention.power for power in figure.powers) if same else frozenset()
    if mine and mine.dimension != "money":
        return _unit_of_mine(mention, mine, figure, hints)
    if its and its.dimension != "money":
        if mention.beside.scale is not None:
            return frozenset()
        share = its.dimension == "share" and mention.exponent < 0  # 0.125 may be 12.5 %.
        return frozenset((0, its.exponent)) if share else frozenset((0,))
    return _scales(mention, figure, scales)


def _currencies_clash(mention: Mention, figure: Figure) -> bool:
    mine, its = mention.beside.currency, figure.beside.currency
    if not its and figure.governed and len(figure.governed.currencies) == 1:
        (its_governed,) = figure.governed.currencies
        if not same_currency(mine, its_governed):
            return True
    my_unit, its_unit = mention.unit, figure.unit
    if (my_unit and its and my_unit.dimension != "money") or (its_unit and mine and its_unit.dimension != "money"):
        return True
    return not same_currency(mine, its)


def _unit_of_mine(mention: Mention, mine: Unit, figure: Figure, hints: Callable[[str], bool]) -> frozenset[int]:
    """The figure has no unit beside it: its column's head may name it."""
    if mine.dimension == "share":
        if figure.beside.scale is not None:
            return frozenset()
        found = {-mention.power} if figure.exponent < 0 else set()  # 12.5 % may be 0.125, but 100 % isn't any 1.
        return frozenset(found | {0}) if mine.exponent == 0 or hints("%") else frozenset(found)
    if not hints(mention.beside.word):
        return frozenset()
    return frozenset(its - (mention.beside.scale or 0) for its in {0} | figure.powers)


def _scales(mention: Mention, figure: Figure, scales: frozenset[int]) -> frozenset[int]:
    if mention.beside.scale is None and mention.unit is None:
        return frozenset(its - mine for mine in {0} | scales for its in figure.powers) | {0}
    found = frozenset(its - mention.power for its in figure.powers)
    unsaid = figure.beside.scale is None and figure.unit is None and figure.governed is None
    return found | {0} if unsaid else found


def agreement(mention: Mention, figure: Figure, shift: int) -> bool | None:
    """Whether digits agree when the figure is shifted: True exactly, False when rounded, None if they don't."""
    mine, its = mention.digits, figure.digits
    exponent = figure.exponent + shift
    if abs(exponent) > _FARTHEST:
        return None
    if mention.unit and figure.unit and mention.unit.times != figure.unit.times:
        same = _equal(mine * mention.unit.times, mention.exponent, its * figure.unit.times, exponent)
        return True if same else None
    if _equal(mine, mention.exponent, its, exponent):
        return True
    if not may_round(mention):
        return None
    low, high, last = mention.bounds()
    by = exponent - last
    if by < 0:
        low, high = low * 10**-by, high * 10**-by
    else:
        its *= 10**by
    if not low <= its <= high:
        return None
    return None if _is_bare_amount(mention) and _NEAR * abs(2 * its - low - high) > 2 * its else False


def _is_bare_amount(mention: Mention) -> bool:
    """Whether it is an amount of one figure that isn't said to be rough: "$0.5 billion", but not "about $2 billion"."""
    return (
        mention.digits < 10 and not mention.hedge and bool(mention.beside.scale is not None or mention.beside.currency)
    )


def _equal(mine: int, my_exponent: int, its: int, its_exponent: int) -> bool:
    by = its_exponent - my_exponent
    mine, its = (mine, its * int(10**by)) if by >= 0 else (mine * int(10**-by), its)
    return mine == its


def may_round(mention: Mention) -> bool:
    """Whether a number may be rounded: years, words and small bare numbers, which count something, are not."""
    told = mention.unit or mention.beside.scale is not None or mention.beside.currency or mention.hedge
    return bool(mention.digits) and not (
        mention.word or mention.year or (not told and mention.exponent == 0 and mention.digits < 100)
    )


def in_other_units(mention: Mention) -> list[int]:
    """A number's digits, and those it has when its time is told in another unit: a year is twelve months."""
    unit = mention.unit
    if not unit or unit.dimension not in _TIMES or mention.exponent:
        return [mention.digits]
    total = mention.digits * unit.times
    others = [times for times in _TIMES[unit.dimension] if times != unit.times and total % times == 0]
    return [mention.digits, *(total // times for times in others)]
