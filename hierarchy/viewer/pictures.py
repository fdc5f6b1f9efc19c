"""What a terminal would show, as an SVG that loads nothing from elsewhere.

Rich's own template fetches a font; this one takes whichever monospaced font there is, and the text keeps its columns
because every run of it has its length written down. **The same renderable gives the same bytes.**
"""

from __future__ import annotations

import io

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from hierarchy.events import Started
from hierarchy.trace import Trace
from hierarchy.tree import SummaryTree
from hierarchy.viewer.text import one_line
from hierarchy.viewer.traces import trace_view

__all__ = ["svg", "trace_svg"]

_MOST_TITLE = 80

_THEME = TerminalTheme(
    (13, 17, 23),
    (230, 237, 243),
    [
        (72, 79, 88),
        (255, 123, 114),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (177, 186, 196),
    ],
)
_TEMPLATE = """\
<svg class="terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
  <style>
    .{unique_id}-matrix {{
      font-family: "DejaVu Sans Mono", Menlo, Consolas, monospace;
      font-size: {char_height}px;
      line-height: {line_height}px;
      font-variant-east-asian: full-width;
    }}
    .{unique_id}-title {{ font-size: 18px; font-family: sans-serif; }}
    {styles}
  </style>
  <defs>
    <clipPath id="{unique_id}-clip-terminal">
      <rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
    </clipPath>
    {lines}
  </defs>
  {chrome}
  <g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
    {backgrounds}
    <g class="{unique_id}-matrix">
    {matrix}
    </g>
  </g>
</svg>
"""


def svg(renderable: RenderableType, *, title: str, width: int = 100) -> str:
    """The picture of a renderable in a window of so many columns.

    Args:
        renderable: What to show.
        title: In the window's bar.
        width: In columns.
    """
    console = Console(
        file=io.StringIO(), record=True, width=width, force_terminal=True, color_system="truecolor",
        legacy_windows=False, highlight=False, markup=False, emoji=False, _environ={},
    )  # fmt: skip
    console.print(renderable)
    picture = console.export_svg(title=title, theme=_THEME, code_format=_TEMPLATE, unique_id="hierarchy")
    return "\n".join(line.rstrip() for line in picture.splitlines()) + "\n"


def trace_svg(trace: Trace, *, width: int = 100, title: str | None = None, tree: SummaryTree | None = None) -> str:
    """The picture of a trace at one look.

    Args:
        trace: The trace.
        width: In columns.
        title: In the window's bar; the document's name if None.
        tree: The document's tree, if it is at hand; it names what has no title.
    """
    if title is None:
        title = next((one_line(started.document) for started in trace.of(Started)), "trace")[:_MOST_TITLE]
    return svg(trace_view(trace, tree=tree), title=title, width=width)
