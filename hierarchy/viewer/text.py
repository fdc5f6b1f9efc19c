"""A document's words on a terminal: made safe, brought on one line, cut to length; and figures as people write them.

**Nothing returned here moves a cursor, sets a colour or reverses reading order.** Rich's markup is no danger as long as
the words go into a `Text`, which doesn't read any; so they do, always.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

__all__ = ["one_line", "pages", "percent", "plain", "probability", "title", "tokens", "usd"]

_TAB, _LINE_FEED = 0x09, 0x0A
_DROPPED = [
    *(code for code in range(0x20) if code not in (_TAB, _LINE_FEED)),
    *range(0x7F, 0xA0),  # DEL and C1: a terminal may take 0x9B for the start of a control sequence.
    *(0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)),  # These turn what is read around.
    *(0xFEFF, 0xFFFE, 0xFFFF),  # Marks of byte order, and what is no character.
    *range(0xE0000, 0xE0080),  # Tags: text that nobody sees.
]
_SAFE: dict[int, str | None] = {
    **dict.fromkeys(_DROPPED),
    **dict.fromkeys(map(ord, "\r\x0b\x0c\x85\u2028\u2029"), "\n"),
}
_HEADING = re.compile(r"^#{1,6} ")
_LEADERS = re.compile(r"(?:\s*[.·_]){4,}\s*")


def plain(text: str) -> str:
    r"""The text without anything that steers a terminal; line breaks and tabs stay.

    Example:
        >>> plain("safe\x1b[31m \u202eor not\r\n")
        'safe[31m or not\n'
    """
    text = text.replace("\r\n", "\n").translate(_SAFE)
    return text.encode("utf-8", "replace").decode("utf-8")  # a lone surrogate can't be written


def probability(value: float) -> str:
    """An estimate with two decimals; a small one isn't written as none at all.

    Example:
        >>> probability(0.553), probability(0.004), probability(0.0)
        ('0.55', '<0.01', '0.00')
    """
    return "<0.01" if 0 < value < 0.005 else f"{value:.2f}"


def one_line(text: str) -> str:
    """The text on one line, the dots that lead to a table's figures shortened.

    Example:
        >>> one_line("Total net sales ............ $ 2,160.4")
        'Total net sales … $ 2,160.4'
    """
    return " ".join(_LEADERS.sub(" … ", plain(text)).split())


def title(text: str) -> str:
    """A title on one line, without the signs that make it one in Markdown.

    Example:
        >>> title("## Ward 7 progress notes")
        'Ward 7 progress notes'
    """
    return _HEADING.sub("", one_line(text))


def tokens(count: int) -> str:
    """A number of tokens, with its unit.

    Example:
        >>> tokens(1), tokens(12_000)
        ('1 token', '12,000 tokens')
    """
    return f"{count:,} token{'' if count == 1 else 's'}"


def pages(bounds: Sequence[Any] | None) -> str:
    """First and last page; empty where there are none.

    Example:
        >>> pages((4, 4)), pages([4, 9]), pages(None)
        ('page 4', 'pages 4–9', '')
    """
    if not bounds:
        return ""
    first, last = bounds[0], bounds[-1]
    return f"page {first}" if first == last else f"pages {first}–{last}"


def percent(share: float) -> str:
    """A share in per cent, with a decimal where it is small.

    Example:
        >>> percent(0.0123), percent(0.5), percent(0.00001), percent(0), percent(0.9999)
        ('1.2%', '50%', '<0.1%', '0%', '>99%')
    """
    if 0.99 < share < 1:
        return ">99%"
    if 0 < share < 0.001:
        return "<0.1%"
    return f"{share:.1%}" if 0 < share < 0.1 else f"{share:.0%}"


def usd(amount: float) -> str:
    """An amount of money, with as many decimals as it needs.

    Example:
        >>> usd(0), usd(0.000935), usd(0.00001), usd(0.01398), usd(12.5)
        ('$0', '$0.0009', '<$0.0001', '$0.0140', '$12.50')
    """
    if not amount:
        return "$0"
    return f"${amount:,.2f}" if amount >= 1 else "<$0.0001" if amount < 0.00005 else f"${amount:.4f}"
