"""Arithmetic that an answer spells out: "(1,577 − 1,420) / 1,420 = 11.1 %", read and computed again.

A sentence is cut into numbers, operators, parentheses and signs of equality; words between them are passed over. What
stands on the sides of a sign of equality is parsed by precedence and evaluated with whatever values the numbers are
given, stated or exact. No `eval`, no recursion deeper than its cap, no number that a float can't hold.

Doesn't know which numbers are supported.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hierarchy.numbers.reading import Mention

__all__ = ["Equation", "Side", "Token", "equations", "evaluate", "sides_without_sign", "tokens"]

_MAX_TOKENS, _MAX_DEPTH = 120, 16
_MAX_POWER = 64.0
_NAME_LETTERS = 2

_MARK = re.compile(
    r"(?P<skip>\*\*|__|\\(?:text|mathrm|left|right|quad|,|;|!|\(|\)|\[|\])|\$)"
    r"|(?P<frac>\\d?frac)|(?P<times>\\times|\\cdot|[×·⋅*∙])|(?P<over>\\div|[÷/∕])|(?P<minus>[-−–‒])|(?P<plus>\+)"
    r"|(?P<power>\^)|(?P<open>[({\[])|(?P<close>[)}\]])|(?P<equal>\\approx|[=≈≃≅→⇒])"
    r"|(?P<end>\n|[;!?]|[.:](?=\s|$))|(?P<word>[^\W\d_]+)"
)
_OPERATORS = {"times": "*", "over": "/", "minus": "-", "plus": "+", "power": "^"}
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "^": 4}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a sentence.

    Attributes:
        kind: `number`, `operator`, `(`, `)`, `=`, `end` or `word`.
        text: The operator or word.
        number: Index of the number among the mentions; -1 for others.
        label: Of a number: it may be the name of a period or a clause, and no operand.
        tight: Of an operator: a dash without spaces, which may be that of a range.
    """

    kind: str
    text: str = ""
    number: int = -1
    label: bool = False
    tight: bool = False


@dataclass(frozen=True, slots=True)
class Side:
    """An expression: tokens that parse, without words."""

    tokens: tuple[Token, ...]

    @property
    def numbers(self) -> tuple[int, ...]:
        """The operands' indices among the mentions."""
        return tuple(token.number for token in self.tokens if token.kind == "number")

    @property
    def single(self) -> bool:
        """Whether it is one number and no step."""
        return len(self.numbers) == 1

    @property
    def may_be_range(self) -> bool:
        """Whether its only operator is a dash as in "5–7"."""
        signs = [token for token in self.tokens if token.kind == "operator"]
        return len(signs) == 1 and signs[0].tight

    def written(self, names: Mapping[int, str]) -> str:
        """As text, with the operands' names."""
        signs = {"*": " × ", "/": " / ", "+": " + ", "-": " − ", "^": "^"}
        parts = []
        for token, ahead in zip(self.tokens, (None, *self.tokens), strict=False):
            unary = token.kind == "operator" and (ahead is None or ahead.kind in ("(", "operator"))
            parts.append(
                names[token.number] if token.kind == "number" else token.kind if token.kind in "()"
                else "−" if unary else signs[token.text]
            )  # fmt: skip
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Equation:
    """What stands left and right of a sign of equality."""

    left: Side
    right: Side


def tokens(text: str, found: Sequence[Mention]) -> tuple[Token, ...]:
    """Cut a text into tokens; the numbers in it are known.

    What parentheses hold besides expressions, such as "(in millions)" or "(FY2018)", is passed over.
    """
    cut: list[Token] = []
    at = 0
    for number, mention in enumerate(found):
        _marks(text, at, mention.start, cut)
        label = mention.kind in ("date", "period", "clause", "code") or mention.year
        if mention.sign < 0 and cut and cut[-1].kind in ("number", ")"):
            cut.append(Token("operator", "-"))  # "5 -3" beside each other are a difference.
        cut.append(Token("number", mention.text, number, label))
        at = mention.end
    _marks(text, at, len(text), cut)
    return tuple(_without_asides(cut))


def _marks(text: str, start: int, end: int, cut: list[Token]) -> None:
    for match in _MARK.finditer(text, start, end):
        kind = match.lastgroup or ""
        if kind in _OPERATORS:
            around = text[max(0, match.start() - 1) : match.end() + 1]
            cut.append(Token("operator", _OPERATORS[kind], tight=kind == "minus" and " " not in around))
        elif kind == "open":
            if match[0] == "{" and cut and cut[-1].kind == ")" and text[match.start() - 1] == "}":
                cut.append(Token("operator", "/"))  # \frac{a}{b}
            cut.append(Token("("))
        elif kind == "close":
            cut.append(Token(")"))
        elif kind == "equal":
            cut.append(Token("="))
        elif kind == "end":
            cut.append(Token("end"))
        elif kind == "word":
            word = match[0].lower()
            ahead = cut[-1] if cut else Token("end")
            times = word == "x" and ahead.kind in ("number", ")")
            if times or (word == "of" and ahead.text.endswith(("%", "percent"))):
                cut.append(Token("operator", "*"))
            elif word in ("equals", "equal"):
                cut.append(Token("="))
            else:
                cut.append(Token("word", word))


def _without_asides(cut: list[Token]) -> list[Token]:
    """Without parentheses that hold only words and labels, with what they hold."""
    kept: list[Token] = []
    opened: list[int] = []
    for token in cut:
        kept.append(token)
        if token.kind == "(":
            opened.append(len(kept) - 1)
        elif token.kind == ")" and opened:
            start = opened.pop()
            inside = kept[start + 1 : -1] if len(kept) - start < _MAX_TOKENS else []
            if inside and all(one.kind == "word" or one.label for one in inside):
                before_it = kept[start - 1] if start else None
                if not (len(inside) == 1 and inside[0].label and before_it and before_it.kind == "operator"):
                    del kept[start:]
        elif token.kind == "end":
            opened.clear()
    return kept


# -- sides -------------------------------------------------------------------------------------------------------------


def equations(cut: Sequence[Token]) -> tuple[Equation, ...]:
    """The equations in a text, in order; "a + b = c = d" is two of them.

    A side is the longest stretch up to the sign of equality that parses, words and labels left out.
    """
    found = []
    for at, token in enumerate(cut):
        if token.kind == "=":
            left, right = _side_before(cut, at), _side_behind(cut, at + 1)
            if left and right:
                found.append(Equation(left, right))
    return tuple(found)


def sides_without_sign(cut: Sequence[Token]) -> tuple[tuple[int, Side], ...]:
    """Numbers followed by their own making in parentheses, as "11.1 % ((1,577 − 1,420) / 1,420)"."""
    found = []
    for at in range(1, len(cut)):
        if cut[at].kind == "(" and cut[at - 1].kind == "number":
            side = _side_behind(cut, at + 1)
            if side and not side.single:
                found.append((cut[at - 1].number, side))
    return tuple(found)


class _Taken:
    """Operands and operators in turn, taken from a stream of tokens until one doesn't fit."""

    def __init__(self, opening: str, closing: str) -> None:
        self.opening, self.closing = opening, closing
        self.tokens: list[Token] = []
        self.complete = 0  # So many of them make an expression.
        self.depth, self.have = 0, False

    def take(self, token: Token) -> bool:
        """Take a token if it fits."""
        if token.kind in ("number", self.opening):
            fits, self.have = not self.have, token.kind == "number" or self.have
            self.depth += token.kind == self.opening
        elif token.kind == self.closing:
            fits = self.have and self.depth > 0
            self.depth -= 1
        else:
            fits, self.have = token.kind == "operator" and self.have, False
        if fits:
            self.tokens.append(token)
            if self.have and self.depth == 0:
                self.complete = len(self.tokens)
        return fits


def _side_before(cut: Sequence[Token], end: int) -> Side | None:
    if cut[end - 1].kind == "word" and len(cut[end - 1].text) <= _NAME_LETTERS:
        return None  # "25 mg p = 0.008" says what p is.
    taken = _Taken(")", "(")
    for at in range(end - 1, max(-1, end - 1 - _MAX_TOKENS), -1):
        token = cut[at]
        if token.kind == "word" or (token.label and (taken.have or _labels(cut, at))):
            continue
        if not taken.take(token):
            break
    return _parsed(taken.tokens[: taken.complete][::-1])


def _side_behind(cut: Sequence[Token], start: int) -> Side | None:
    taken = _Taken("(", ")")
    for at in range(start, min(len(cut), start + _MAX_TOKENS)):
        token = cut[at]
        if token.kind == "word" and taken.have and taken.depth == 0 and not _operator_follows(cut, at):
            break
        if token.kind == "word" or (token.label and (taken.have or _labels(cut, at))):
            continue
        if not taken.take(token):
            break
    return _parsed(taken.tokens[: taken.complete])


def _labels(cut: Sequence[Token], at: int) -> bool:
    """Whether a year or period names what a word or number beside it is: "FY2018 revenue 32,765"."""
    behind_it = cut[at + 1].kind if at + 1 < len(cut) else "end"
    return behind_it in ("word", "number")


def _operator_follows(cut: Sequence[Token], at: int) -> bool:
    for token in cut[at + 1 : at + 8]:
        if token.kind != "word":
            return token.kind in ("operator", "=")
    return False


def _parsed(taken: list[Token]) -> Side | None:
    """The side, if it parses."""
    if not taken:
        return None
    side = Side(tuple(taken))
    return side if side.numbers and evaluate(side, dict.fromkeys(side.numbers, 1.5), check=True) is not None else None


# -- values ------------------------------------------------------------------------------------------------------------


def evaluate(side: Side, values: Mapping[int, float], *, check: bool = False) -> float | None:
    """The value of an expression, given those of its numbers; None where there is none, as of 1 / 0.

    Example:
        >>> side = Side((Token("number", number=0), Token("operator", "-"), Token("number", number=1)))
        >>> evaluate(side, {0: 1577.0, 1: 1420.0})
        157.0
    """
    parser = _Parser(side.tokens, values)
    try:
        value = parser.sum(0)
    except (ArithmeticError, _Unparsable):
        return 0.0 if check and parser.arithmetic else None
    return value if parser.at == len(side.tokens) and math.isfinite(value) else None


class _Unparsable(Exception):
    """Never leaves this module."""


class _Parser:
    """Precedence climbing over tokens."""

    def __init__(self, cut: Sequence[Token], values: Mapping[int, float]) -> None:
        self.cut = cut
        self.values = values
        self.at = 0
        self.depth = 0
        self.arithmetic = False  # Whether it failed for a value, such as a division by zero, and not for its form.

    def sum(self, least: int) -> float:
        value = self.operand()
        while (sign := self.operator()) and _PRECEDENCE[sign] > least:
            self.at += 1
            other = self.sum(_PRECEDENCE[sign] - (sign == "^"))
            value = self.applied(sign, value, other)
        return value

    def operator(self) -> str:
        token = self.cut[self.at] if self.at < len(self.cut) else None
        return token.text if token and token.kind == "operator" else ""

    def operand(self) -> float:
        self.depth += 1
        if self.at >= len(self.cut) or self.depth > _MAX_DEPTH:
            raise _Unparsable
        token = self.cut[self.at]
        self.at += 1
        if token.kind == "number":
            value = self.values[token.number]
        elif token.kind == "(":
            value = self.sum(0)
            if self.at >= len(self.cut) or self.cut[self.at].kind != ")":
                raise _Unparsable
            self.at += 1
        elif token.text == "-":
            value = -self.sum(3)
        else:
            raise _Unparsable
        self.depth -= 1
        return value

    def applied(self, sign: str, value: float, other: float) -> float:
        self.arithmetic = True
        if sign == "^":
            if abs(other) > _MAX_POWER or (value < 0 and not other.is_integer()):
                raise ArithmeticError
            value = float(value**other)
        elif sign == "/":
            value /= other
        else:
            value = {"+": value + other, "-": value - other, "*": value * other}[sign]
        self.arithmetic = False
        return value
