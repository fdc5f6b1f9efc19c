"""What a terminal shows of an answer, a trace and a tree, as rich renderables.

Every function here is pure: values in, a renderable (or a picture's text) out; nothing is printed. What comes from a
document passes through `text`, so that it can neither style itself nor steer the terminal. A trace is drawn from its
events alone, without the document, the tree or a model.

    text      a document's words, made safe and short
    bars      token bars and the strip that shows where a document was read
    answers   answer, quotes, bill, receipt
    trees     the outline
    traces    a saved trace, as a story or event by event
    pictures  the same as SVG

Doesn't know the engine, models, files or exit codes; `cli` prints.
"""

from hierarchy.viewer.answers import answer_view, block
from hierarchy.viewer.bars import Bar, Strip, reading_strip
from hierarchy.viewer.pictures import svg
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
    "trace_view",
    "tree_view",
]
