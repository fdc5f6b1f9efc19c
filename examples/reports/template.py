"""Figures in text: the `{...}` fields of the prose and the cells of the tables, both read from the company's numbers.

A field is a format name, one or more figure names and, where it is not fiscal 2025, a year: `{usd net_sales 24}`.
A cell is written `net_sales` (one per year column) or `net_sales.24`; see `cell` for its prefixes.
"""

from __future__ import annotations

import re

from company import Figures, share

DASH = "\N{EM DASH}"


def number(value: int, decimals: int = 1) -> str:
    """A figure as financial statements print it: grouped, negative in parentheses, a dash for nothing."""
    if value == 0:
        return DASH
    text = f"{abs(value) / 10**decimals:,.{decimals}f}"
    return f"({text})" if value < 0 else text


def percent(part: int, whole: int) -> str:
    """part / whole in percent with one decimal, negative in parentheses."""
    tenths = share(part * 1000, whole)
    text = f"{abs(tenths) / 10:.1f}%"
    return f"({text})" if tenths < 0 else text


class Template:
    """Fills fields and cells from one table of figures."""

    def __init__(self, figures: Figures) -> None:
        self.figures = figures

    def value(self, name: str, year: int) -> int:
        """One figure; a leading minus negates it."""
        sign = -1 if name.startswith("-") else 1
        try:
            return sign * self.figures[name.removeprefix("-")][year]
        except KeyError:
            raise KeyError(f"no figure {name} for fiscal 20{year}") from None

    def field(self, text: str) -> str:
        """What `{text}` stands for in a sentence."""
        form, *names = text.split()
        year = int(names.pop()) if names[-1].isdigit() else 25
        values = [self.value(name, year) for name in names]
        first = values[0]
        if form == "usd":  # several names: their sum
            return f"${abs(sum(values)) / 10:,.1f} million"
        if form == "num":
            return f"{abs(sum(values)) / 10:,.1f}"
        if form == "per":
            return f"${first / 100:.2f}"
        if form == "int":
            return f"{first:,}"
        if form == "thousand":
            return f"${first:,} thousand"
        if form == "shares":
            return f"{first / 1000:.1f} million"
        if form == "of":
            return f"{abs(share(first * 1000, values[1])) / 10:.1f}%"
        before = self.value(names[0], year - 1)
        if form == "pct":  # the year's growth
            return f"{abs(share((first - before) * 1000, abs(before))) / 10:.1f}%"
        if form == "chg":
            return f"${abs(first - before) / 10:,.1f} million"
        if form == "bps":
            points = share(first * 10_000, values[1]) - share(before * 10_000, self.value(names[1], year - 1))
            return f"{abs(points)} basis points"
        if form == "days":  # days of the year's first figure in the second
            return f"{first * 364 / values[1]:.0f} days"
        if form == "times":
            return f"{first / values[1]:.2f}"
        raise ValueError(f"unknown field {text}")

    def fill(self, text: str) -> str:
        """The text with its fields replaced."""
        return re.sub(r"\{([^{}]+)\}", lambda match: self.field(match[1]), text)

    def cell(self, spec: str, year: int | None) -> str:
        """One table cell.

        `"text` literal; `$` prints a dollar sign; `#` whole thousands; `c:` cents; `a/b` percent of; `a^` growth.
        """
        if spec.startswith('"') or not spec:
            return self.fill(spec.removeprefix('"'))
        dollar = "$ " if spec.startswith("$") else ""
        spec = spec.removeprefix("$")
        name, _, fixed = spec.partition(".")
        year = int(fixed) if fixed else year
        if year is None:
            raise ValueError(f"cell {spec} names no year")
        if "/" in name:
            part, whole = name.split("/")
            return percent(self.value(part, year), self.value(whole, year))
        if name.endswith("^"):
            before = self.value(name[:-1], year - 1)
            return percent(self.value(name[:-1], year) - before, abs(before)) if before else "*"
        if name.startswith("#"):
            return dollar + number(self.value(name[1:], year), 0)
        if name.startswith("c:"):
            return dollar + number(self.value(name[2:], year), 2)
        total = sum(self.value(part, year) for part in name.split("+"))
        return dollar + number(total)
