"""Traces for the explorer's tests, and a pilot to walk through them."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from functools import lru_cache

from hierarchy.document import Document, Section, Span
from hierarchy.engine import Reasoner
from hierarchy.events import Estimated, Mapped, Recalled, Reserved, Settled
from hierarchy.models import FunctionModel
from hierarchy.planner import outline
from hierarchy.trace import Trace
from hierarchy.tui import TraceApp

QUESTION = "Who steers the ship?"
HELM = "The helmsman is Aarav Iyer, and nobody else."
FILLER = "The {word} of the voyage was quiet and the weather held for {number} days without a change of wind. "
WORDS = "beginning middle end cargo crew galley deck hold mast keel anchor".split()
TITLES = ("Cargo", "Crew of the ship", "Weather", "Provisions")


@lru_cache(maxsize=1)
def tree():
    """Four titled sections of a few paragraphs; the second says who steers."""
    text, sections = "", []
    for at, title in enumerate(TITLES):
        start = len(text)
        text += f"{title}\n\n"
        for number in range(12):
            text += FILLER.format(word=WORDS[(at + number) % len(WORDS)], number=number + 20 * at) * 3
            text += "\n\n"
            if at == 1 and number == 5:
                text += f"{HELM}\n\n"
        sections.append(Section(title=title, span=Span(start, len(text)), depth=1))
    return outline(Document(name="log.txt", text=text, sections=tuple(sections)))


def _reply(request):
    if request.stage == "route":
        return json.dumps({"terms": ["helmsman", "helm"], "needs": [], "kind": "lookup", "questions": []})
    return json.dumps({"answer": "Aarav Iyer", "quotes": [{"source": 1, "text": HELM}], "missing": ""})


@lru_cache(maxsize=1)
def routed_trace():
    """A question that was routed and answered with a quote, in two calls."""
    return Reasoner(FunctionModel(_reply)).ask(tree(), QUESTION, 3_000).trace


@lru_cache(maxsize=1)
def failed_trace():
    """The same, and a reply that can't be read at first."""
    replies = ["I'd rather not."]

    def reply(request):
        return replies.pop() if request.stage == "compose" and replies else _reply(request)

    return Reasoner(FunctionModel(reply)).ask(tree(), QUESTION, 6_000).trace


@lru_cache(maxsize=1)
def branched_trace():
    """A question about all of the document: branches are read by calls of their own."""

    def reply(request):
        if request.stage == "refine":
            return json.dumps({"quotes": [{"source": 1, "text": HELM}] if HELM in request.prompt else []})
        return _reply(request)

    return Reasoner(FunctionModel(reply), way="branches").ask(tree(), "List all who steer.", 3_500).trace


def version_1(trace):
    """As traces were before they held the tree's shape, prompts and replies."""
    less = {
        Estimated: {"relevance_permille": ()},
        Reserved: {"prompt": "", "key": "", "model": ""},
        Settled: {"reply": ""},
        Recalled: {"prompt": "", "reply": ""},
    }
    kept = (event for event in trace if not isinstance(event, Mapped))
    return Trace(tuple(replace(event, **less.get(type(event), {})) for event in kept))


def explored(trace, story, tree=None, size=(120, 40)):
    """Open a trace and let a story walk through it: `await story(app, pilot)`; what it returns is returned."""

    async def run():
        app = TraceApp(trace, tree)
        async with app.run_test(size=size) as pilot:
            await settled(app, pilot)
            return await story(app, pilot)

    return asyncio.run(run())


async def settled(app, pilot):
    """Wait until everything asked for is shown."""
    await pilot.pause()
    await app.workers.wait_for_complete()
    await pilot.pause()


async def press(app, pilot, *keys):
    """Press keys, and wait for what they bring; text in front of a space is typed."""
    for key in keys:
        await pilot.press(*(("space" if letter == " " else letter) for letter in key[1:]) if key[0] == "=" else (key,))
    await settled(app, pilot)


def shown(app, name):
    """The plain text of a page or strip."""
    return app.query_one(f"#{name}").content.plain


def screen(app):
    """What stands on the screen, line by line."""
    strips = app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip) for strip in strips]
