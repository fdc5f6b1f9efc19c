"""One workload on several tools under one token cap: what was billed, what each reports, and what came back.

The documents are the bundled reports, the questions some of theirs, and the model is a script behind the loopback
server, which keeps its own bill. `rlms` and LlamaIndex are optional (the extra `benchmark`); what isn't installed is
left out, and it is said so::

    python tests/benchmark_caps.py                    # the cap is 3,000 tokens a question
    python tests/benchmark_caps.py --cap 16000 --markdown
    python tests/benchmark_caps.py --uncapped         # the adverse model, no cap set: who comes to an end?

**The model is the same for all.** The *extracting* one returns the sentences that share most words with the question,
out of whatever it was shown, in the form that the prompt asks for. The *hoarding* one returns all that it was shown and
never says that it is done. Neither says anything about the quality of answers.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import re
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from loopback import Behaviour, Loopback, Received, fails

import hierarchy
from hierarchy.errors import BudgetTooSmall
from hierarchy.tree import SummaryTree

REPORTS = {"ar": "annual_report.pdf", "pc": "patient_chart.md"}
QUESTIONS = ("ar-01", "ar-03", "ar-04", "ar-07", "ar-12", "pc-01", "pc-05", "pc-15", "pc-24", "pc-33")
MODEL = "scripted"
KEY = "sk-loopback"
# A model takes its time. Enough for calls that are meant to be under way together to be so.
DELAY_S = 0.05
# What the server answers at most for one question: an end for whoever has none.
MOST_CALLS = 100


# -- the model ---------------------------------------------------------------------------------------------------------

_RULE = "-" * 21  # LlamaIndex sets its context off by it; the scripted programs do likewise.
_BETWEEN = re.compile(rf"^{_RULE}\n(.*)^{_RULE}$", re.MULTILINE | re.DOTALL)
_PASSAGE = re.compile(r"^<(\d+)>[^\n]*\n(.*?)(?=^<\d+>|^</passages>|\Z)", re.MULTILINE | re.DOTALL)
_FIELD = re.compile(r'"(\w+)"\s*:')
_PARTS = 3


@dataclass(frozen=True, slots=True)
class Scripted:
    """A language model that knows no more than its prompt and what is asked.

    Attributes:
        question: What is asked; every prompt says it in one place or another.
        hoards: Whether it returns all it was shown and never says that it is done.
        program: Which program it writes where it is given a REPL: `search`, `delegate` or `recurse`.
    """

    question: str
    hoards: bool = False
    program: str = "search"

    def __call__(self, received: Received) -> Behaviour:
        """The reply; none after the last call that is answered."""
        if received.number > MOST_CALLS:
            return fails(400, f"No more than {MOST_CALLS} calls are answered.")
        return Behaviour(text=self._reply(received), delay_s=DELAY_S)

    def best(self, parts: Iterable[tuple[int, str]]) -> list[tuple[int, str]]:
        """The parts that share most words with the question, in that order; ties go to the one that comes first."""
        asked = _words(self.question)
        scored = [(len(asked & _words(part)), number, part) for number, part in parts]
        return [each[1:] for each in sorted(scored, key=lambda each: -each[0])[:_PARTS] if each[0]]

    def _reply(self, received: Received) -> str:
        first = received.body["messages"][0]
        if first["role"] == "system" and "```repl```" in first["content"]:
            turn = sum(message["role"] == "assistant" for message in received.body["messages"])
            child = not received.body["messages"][1]["content"].startswith("Answer the following")
            return self._program(turn, child=child)
        if "Reply with JSON only" in received.prompt:
            return self._form(received.prompt)
        if between := _BETWEEN.search(received.prompt):
            return self._chosen([(0, part) for part in _parts(between[1])], "\n")
        if passages := list(_shown(received.prompt)):
            return self._chosen(passages, "\n")
        return "\n".join(sorted(_words(self.question)))  # terms to search for

    def _chosen(self, parts: Sequence[tuple[int, str]], joint: str) -> str:
        return joint.join(part for _, part in (parts if self.hoards else self.best(parts)))

    def _form(self, prompt: str) -> str:
        """JSON with the fields that the prompt's last line names."""
        shown = list(_shown(prompt))
        chosen = shown if self.hoards else self.best(shown)
        values = {
            "terms": sorted(_words(self.question)),
            "needs": [],
            "kind": "lookup",
            "questions": [],
            "answer": "" if self.hoards else " ".join(part for _, part in chosen),
            "quotes": [{"source": number, "text": part} for number, part in chosen],
            "missing": self.question if self.hoards or not chosen else "",
        }
        fields = [name for name in _FIELD.findall(prompt.rsplit("Reply with JSON only", 1)[1]) if name in values]
        return json.dumps({name: values[name] for name in fields}, ensure_ascii=False)

    def _program(self, turn: int, *, child: bool) -> str:
        """What it has run in a REPL in a turn, in the form that rlms looks for."""
        program = "search" if child else self.program
        if program == "search":
            search = _SEARCH_SUB_CALL if child else _SEARCH
            steps: tuple[str, ...] = (_SEE_PAGE.format(turn=turn),) if self.hoards else (search, _SUBMIT)
        else:
            steps = (_ASK,) if self.hoards else (_PROBE, _ASK, _SUBMIT_REPLIES)
        code = steps[min(turn, len(steps) - 1)]
        words = f"set({' '.join(sorted(_words(self.question)))!r}.split())"
        values = {"WORDS": words, "QUESTION": json.dumps(self.question)[1:-1], "QUERY": _QUERY.get(program, "")}
        for name, value in values.items():
            code = code.replace(name, value)
        return f"```repl\n{code}\n```"


# Programs for a REPL with `context` in it; as short as they can be, since each is billed again with every later turn.
_SEARCH = """\
import re
parts = re.split(r"\\n|(?<=[.!?])\\s+", context)
found = sorted(parts, key=lambda part: -len(WORDS & set(re.findall(r"\\w{3,}", part.lower()))))[:3]
print(found)"""
_SEARCH_SUB_CALL = _SEARCH.replace("\nfound", '\nparts = [part for part in parts if "Question: " not in part]\nfound')
_SUBMIT = 'answer["content"] = "\\n".join(found)\nanswer["ready"] = True'
_PROBE = "print(len(context), context[:300])"
# 100,000 characters are what the prompt of rlms names as a useful ceiling for a sub-call.
_ASK = f"""\
size = -(-len(context) // -(-len(context) // 100_000))
prompts = ["Copy what answers the question.\\nQuestion: QUESTION\\n{_RULE}\\n" + context[at:at + size] + "\\n{_RULE}"
    for at in range(0, len(context), size)]
replies = QUERY(prompts)
print("\\n".join(replies))"""
_QUERY = {"delegate": "llm_query_batched", "recurse": "rlm_query_batched"}
_SUBMIT_REPLIES = """\
found = [reply for reply in replies if not reply.startswith("Error: ")]
answer["content"] = "\\n".join(found) or "Not found."
answer["ready"] = True"""
_SEE_PAGE = "print(context[{turn} * 20_000:][:20_000])"


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w{3,}", text.lower()))


def _parts(text: str) -> list[str]:
    """Sentences, and lines of tables."""
    pieces = (piece.strip() for line in text.splitlines() for piece in re.split(r"(?<=[.!?])\s+", line))
    return [piece for piece in pieces if piece]


def _shown(prompt: str) -> Iterator[tuple[int, str]]:
    for passage in _PASSAGE.finditer(prompt):
        for part in _parts(passage[2]):
            yield int(passage[1]), part


# -- the workload ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Task:
    """A question over a document, and what it may cost; None for no cap."""

    id: str
    tree: SummaryTree
    question: str
    cap: int | None

    @property
    def text(self) -> str:
        """The whole document."""
        return self.tree.document.text


def workload(cap: int | None, ids: Sequence[str] = QUESTIONS) -> list[Task]:
    """The questions by their ids."""
    tasks = []
    for short, name in REPORTS.items():
        if not any(each.startswith(short) for each in ids):
            continue
        path = hierarchy.sample(name)
        tree = hierarchy.outline(path)
        lines = path.with_suffix(".questions.jsonl").read_text("utf-8").splitlines()
        asked = {each["id"]: each["question"] for each in map(json.loads, lines)}
        tasks += [Task(id_, tree, asked[id_], cap) for id_ in ids if id_ in asked]
    return tasks


# -- the tools ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    """What a tool gave to its caller.

    Attributes:
        ended: `answer`; `not found` if it says so itself; else what was raised.
        reported: Tokens by its own account; None if it gives none.
        text: The answer.
    """

    ended: str
    reported: int | None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool in one configuration.

    Attributes:
        name: As the table has it.
        package: What must be installed.
        ask: Puts a task to it, over the model at a URL.
        program: Which program the model writes for it, if it is asked for one.
    """

    name: str
    package: str
    ask: Callable[[Task, str], Said]
    program: str = "search"


def ask_hierarchy(task: Task, url: str) -> Said:
    """`budget` of `ask`."""
    reasoner = hierarchy.Reasoner(MODEL, api_base=url, store=None)
    try:
        answer = reasoner.ask(task.tree, task.question, task.cap or hierarchy.Budget(10**9))
    except BudgetTooSmall as error:
        return Said(type(error).__name__, 0)
    return Said("not found" if answer.abstained else "answer", answer.usage.total_tokens, answer.text)


def ask_rlms(task: Task, url: str, *, max_depth: int) -> Said:
    """`max_tokens` of `RLM`."""
    from rlm import RLM
    from rlm.utils.exceptions import TokenLimitExceededError

    served = {"model_name": MODEL, "base_url": url, "api_key": KEY}
    reasoner = RLM(backend="openai", backend_kwargs=served, max_depth=max_depth, max_tokens=task.cap)
    try:
        done = reasoner.completion(task.text, root_prompt=task.question)
    except TokenLimitExceededError as error:
        return Said(type(error).__name__, error.tokens_used)
    except Exception as error:  # noqa: BLE001 - whatever it raises is the result
        return Said(type(error).__name__, None)
    usage = done.usage_summary
    return Said("answer", usage.total_input_tokens + usage.total_output_tokens, done.response)


def ask_llama_index(task: Task, url: str, *, context_window: int, use_async: bool) -> Said:
    """`token_budget` of `TokenCountingHandler`."""
    from llama_index.core import get_response_synthesizer
    from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
    from llama_index.llms.openai_like import OpenAILike

    handler = TokenCountingHandler(token_budget=task.cap)
    manager = CallbackManager([handler])
    model = OpenAILike(
        model=MODEL,
        api_base=url,
        api_key=KEY,
        is_chat_model=True,
        context_window=context_window,
        callback_manager=manager,
    )
    summarise = get_response_synthesizer(
        llm=model, response_mode="tree_summarize", use_async=use_async, callback_manager=manager
    )
    try:
        text = str(summarise.get_response(task.question, [task.text]))
    except Exception as error:  # noqa: BLE001 - whatever it raises is the result
        return Said(type(error).__name__, handler.total_llm_token_count)
    return Said("answer", handler.total_llm_token_count, text)


OURS = Tool("hierarchy", "hierarchy", ask_hierarchy)
_LLAMA_INDEX = "llama-index-llms-openai-like"
TOOLS = (
    OURS,
    Tool("rlms, searching", "rlms", partial(ask_rlms, max_depth=1)),
    Tool("rlms, llm_query_batched", "rlms", partial(ask_rlms, max_depth=1), "delegate"),
    Tool("rlms, rlm_query_batched, max_depth=2", "rlms", partial(ask_rlms, max_depth=2), "recurse"),
    Tool("tree_summarize", _LLAMA_INDEX, partial(ask_llama_index, context_window=3_900, use_async=False)),
    Tool("tree_summarize, use_async", _LLAMA_INDEX, partial(ask_llama_index, context_window=3_900, use_async=True)),
    Tool(
        "tree_summarize, context_window=128000",
        _LLAMA_INDEX,
        partial(ask_llama_index, context_window=128_000, use_async=False),
    ),
)


def installed(tools: Iterable[Tool]) -> list[Tool]:
    """Those that can be run; of the others it is said why not."""
    found = []
    for tool in tools:
        try:
            version(tool.package)
            found.append(tool)
        except PackageNotFoundError:
            print(f"Left out: {tool.name}. Its package isn't installed: pip install {tool.package}", file=sys.stderr)
    return found


# -- runs and their table ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """A task put to a tool, and what the server billed for it."""

    tool: str
    task: Task
    said: Said
    billed: int
    calls: int

    @property
    def within(self) -> bool:
        """Whether the bill stayed within the cap."""
        return self.billed <= (self.task.cap or math.inf)


def run(tool: Tool, task: Task, *, hoards: bool) -> Run:
    """Put a task to a tool, over a server of its own."""
    with Loopback(Scripted(task.question, hoards=hoards, program=tool.program)) as server:
        said = tool.ask(task, server.url)
        server.wait_idle()
        return Run(tool=tool.name, task=task, said=said, billed=server.billed_tokens, calls=len(server.billed))


HEADS = ("tool", "came back with", "within the cap", "calls", "billed, median", "billed, most", "reported, median")


def rows(runs: Iterable[Run]) -> list[tuple[str, ...]]:
    """A row for each tool, over all its tasks."""
    by_tool: dict[str, list[Run]] = {}
    for each in runs:
        by_tool.setdefault(each.tool, []).append(each)
    return [(name, *_cells(each)) for name, each in by_tool.items()]


def _cells(runs: Sequence[Run]) -> tuple[str, ...]:
    ends = Counter(each.said.ended for each in runs)
    billed = [each.billed for each in runs]
    reported = [each.said.reported for each in runs if each.said.reported is not None]
    return (
        ", ".join(f"{times} × {ended}" for ended, times in ends.most_common()),
        "–" if runs[0].task.cap is None else f"{sum(each.within for each in runs)} of {len(runs)}",
        _span([each.calls for each in runs]),
        f"{statistics.median(billed):,.0f}",
        f"{max(billed):,}",
        f"{statistics.median(reported):,.0f}" if reported else "–",
    )


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"


def table(runs: Iterable[Run], *, markdown: bool) -> str:
    """The rows as text, or as Markdown."""
    lines = [HEADS, *rows(runs)]
    if markdown:
        lines.insert(1, ("---",) * len(HEADS))
        return "\n".join(f"| {' | '.join(line)} |" for line in lines)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def versions(tools: Iterable[Tool]) -> str:
    """What was run, in the versions that are installed."""
    packages = dict.fromkeys(tool.package for tool in tools)
    if _LLAMA_INDEX in packages:
        packages["llama-index-core"] = None
    return ", ".join(f"{package} {version(package)}" for package in packages)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run everything that is installed and print a table for each model."""
    parser = argparse.ArgumentParser(description="One workload, one cap, several tools.")
    parser.add_argument("--cap", type=int, default=3_000, help="tokens that a question may cost")
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--each", action="store_true", help="a line for each run, too")
    parser.add_argument("--uncapped", action="store_true", help="the hoarding model, and no cap set")
    options: Any = parser.parse_args(arguments)
    # What is raised is in the table; asyncio's and the clients' own words about it aren't.
    logging.disable(logging.CRITICAL)
    os.environ.pop("OPENAI_API_KEY", None)
    tools = installed(tool for tool in TOOLS if not (options.uncapped and tool is OURS))
    tasks = workload(None, QUESTIONS[::5]) if options.uncapped else workload(options.cap)
    cap = "no cap" if options.uncapped else f"a cap of {options.cap:,} tokens"
    print(f"{versions(tools)}\n{len(tasks)} questions, {cap}")
    for hoards in (True,) if options.uncapped else (False, True):
        runs = []
        for tool in tools:
            for task in tasks:
                runs.append(run(tool, task, hoards=hoards))
                if options.each:
                    last = runs[-1]
                    print(tool.name, task.id, last.said.ended, last.calls, last.billed, last.said.reported, sep="\t")
        print(f"\nThe {'hoarding' if hoards else 'extracting'} model:\n")
        print(table(runs, markdown=options.markdown))


if __name__ == "__main__":
    main()
