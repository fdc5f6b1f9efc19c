"""What a terminal shows of an answer, a trace and a tree, as rich renderables.

Every function here is pure: values in, a renderable (or a picture's text) out; nothing is printed. What comes from a
document passes through `text`, so that it can neither style itself nor steer the terminal. A trace is drawn from its
events alone, without the document, the tree or a model.

    text      a document's words, made safe and short
    bars      token bars and the strip that shows where a document was read
    answers   answer, quotes, bill, receipt
    trees     the outline
    shapes    a tree's shape, from a trace
    treemap   what happened on it, by node
    rows      which rows tell that best
    maps      those rows, drawn
    spending  the ledger as a bar, the calls, and all of it against reading everything
    traces    a trace at one look, or event by event
    watching  the same while it happens
    pictures  the same as SVG
    palette   colours, signs, and ASCII where a terminal has no others

Doesn't know the engine, models, files or exit codes; `cli` prints.
"""

from hierarchy.viewer.answers import answer_view, block
from hierarchy.viewer.bars import Bar, Strip, reading_strip
from hierarchy.viewer.pictures import svg, trace_svg
from hierarchy.viewer.quotes import quote_view
from hierarchy.viewer.text import one_line, plain
from hierarchy.viewer.traces import events_view, grants_view, trace_view
from hierarchy.viewer.trees import tree_view

__all__ = [
    "Bar",
    "Strip",
    "answer_view",
    "block",
    "events_view",
    "grants_view",
    "one_line",
    "plain",
    "quote_view",
    "reading_strip",
    "svg",
    "trace_svg",
    "trace_view",
    "tree_view",
]
