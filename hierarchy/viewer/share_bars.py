"""Bars on a shared page, as inline SVG: parts side by side, told apart by pattern as well as by colour, and a cap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hierarchy.viewer.share_markup import Html, tag

__all__ = ["Part", "bar", "patterns", "swatch"]

_PATTERNS = (
    "",
    "M-2 2 L2 -2 M0 8 L8 0 M6 10 L10 6",
    "M0 4 H8",
    "M4 0 V8",
    "M0 4 H8 M4 0 V8",
    "M-2 6 L2 10 M0 0 L8 8 M6 -2 L10 2",
)
"""Strokes on a square of eight, by place of the part; the first has none."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a bar.

    Attributes:
        name: What it is.
        tokens: How many.
        kind: Its place among stages, which decides colour and pattern; or a name for what isn't a stage.
    """

    name: str
    tokens: int
    kind: int | str


def bar(parts: Sequence[Part], *, cap: int | None, whole: int | None = None, label: str | None = None) -> Html:
    """The parts side by side.

    Args:
        parts: In order.
        cap: Where to draw a line; none if None.
        whole: What the width stands for; the parts' sum, or the cap if that is more.
        label: What it says to who can't see it; None where words beside it say the same.
    """
    scale = whole or max(sum(part.tokens for part in parts), cap or 0) or 1
    drawn, at = [], 0
    for part in parts:
        if part.tokens > 0:
            drawn.append(_part(part, at / scale, part.tokens / scale))
        at += part.tokens
    line = None
    if cap:
        place = _percent(cap / scale)
        line = tag("line", x1=place, x2=place, y1="0", y2="100%", class_="cap")
    named = tag("title", label) if label else None
    role = "img" if label else None
    return tag("svg", named, *drawn, line, class_="bar", role=role, aria_hidden=None if label else "true")


def swatch(part: Part) -> Html:
    """The part's colour and pattern, for a legend."""
    return tag("svg", _part(part, 0.0, 1.0), class_="swatch", aria_hidden="true")


def _part(part: Part, start: float, width: float) -> Html:
    """A rectangle, and its pattern on top."""
    place = {"x": _percent(start), "width": _percent(width), "y": "0", "height": "100%"}
    if isinstance(part.kind, str):
        return tag("rect", class_=f"part {part.kind}", **place)
    turn = part.kind % len(_PATTERNS)
    plain = tag("rect", class_=f"part s{turn}", **place)
    if not _PATTERNS[turn]:
        return plain
    return tag("g", plain, tag("rect", fill=f"url(#pattern-{turn})", **place))


def patterns() -> Html:
    """What the bars' patterns are drawn from, once for a page."""
    drawn = (
        tag("pattern", tag("path", d=path, class_="stroke"), id=f"pattern-{turn}", width="8", height="8",
            patternUnits="userSpaceOnUse")
        for turn, path in enumerate(_PATTERNS)
        if path
    )  # fmt: skip
    return tag("svg", tag("defs", *drawn), class_="patterns", width="0", height="0", aria_hidden="true")


def _percent(share: float) -> str:
    return f"{100 * share:.3f}".rstrip("0").rstrip(".") + "%"
