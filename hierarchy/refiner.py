"""The refiner: granted branches are read, and what reading one didn't use goes to the others.

By default reading costs no call: the granted leaves themselves are the evidence, repetitions left out. Where branches
are too large to hand over, a model copies from each what bears on the question, and only what it copied verbatim is
kept. **Passages never count more than the tokens given; with the default policy and without a model, more tokens never
lose a leaf that fewer had.**

Doesn't know the budget's other shares, models, or how answers are composed (`composer`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hierarchy.allocator import Policy, expected_gain
from hierarchy.answer import verify
from hierarchy.calls import Outcome, Request, Steps
from hierarchy.errors import OutputInvalid
from hierarchy.evidence import Evidence, Passage, numbered, passages_of, runs_of, sentences_of
from hierarchy.reading import MIN_WORTH, Reading, read
from hierarchy.relevance import Relevance
from hierarchy.templates import Rendered, parse_reply, render
from hierarchy.tokens import Counter
from hierarchy.tree import SummaryTree

__all__ = ["MIN_WORTH", "Summary", "refine", "summarise"]

# Branches that a model reads at the same time, at most, and what is kept of one whose call failed.
_BRANCHES, _FAILED_BRANCH_TOKENS = 8, 160
# A summary is at most this share of its source, and this long; a word is about so many tokens, a token at most so many
# characters that are kept of it.
_SUMMARY_SHARE, _LEAST_SUMMARY, _LONGEST_SUMMARY, _WORDS_PER_TOKEN, _CHARACTERS_PER_TOKEN = 0.2, 40, 250, 0.7, 16
# A branch is worth a call if its text is at least this multiple of what the call costs besides.
_TEXT_PER_OVERHEAD = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a model wrote about a branch.

    Attributes:
        title: What a reader would call the branch.
        text: The summary.
    """

    title: str
    text: str


def refine(
    tree: SummaryTree,
    relevance: Relevance,
    tokens: int,
    *,
    policy: Policy = expected_gain,
    through_model: bool = False,
    max_output_tokens: int = 200,
    spare_tokens: int = 0,
    min_worth: float = MIN_WORTH,
    count: Counter | None = None,
    folder: Path | str | None = None,
) -> Steps[Evidence]:
    """Read what is worth reading, for at most `tokens`.

    A document that fits is read whole. Else leaves are taken in the policy's order, those that repeat what was read are
    left out, and their tokens are granted again.

    Args:
        tree: The tree.
        relevance: Its estimate for the question; leaves that it rules out are not read.
        tokens: What reading may cost: the passages' tokens, or with `through_model` the requests' input and output.
        policy: Divides the tokens.
        through_model: Whether a model reads the branches, in one batch of independent requests.
        max_output_tokens: The most that each of these requests may return.
        spare_tokens: What to allow beside that for thinking that nobody gets to see.
        count: Counts what that model is sent; the tree's counter if None.
        min_worth: Stop where nothing is likelier than this to hold evidence.
        folder: Prompts that override the shipped ones.

    Returns:
        The evidence, in document order. No request is yielded unless `through_model`.
    """
    if through_model:
        task = _Task(
            tree=tree,
            relevance=relevance,
            tokens=tokens,
            policy=policy,
            max_output_tokens=max_output_tokens,
            min_worth=min_worth,
            count=count or tree.count,
            folder=folder,
            spare_tokens=spare_tokens,
        )
        return (yield from _through_model(task))
    return read(tree, relevance, tokens, policy, min_worth).evidence(tokens)


def summarise(
    tree: SummaryTree,
    relevance: Relevance,
    tokens: int,
    *,
    policy: Policy = expected_gain,
    spare_tokens: int = 0,
    count: Counter | None = None,
    folder: Path | str | None = None,
) -> Steps[tuple[Evidence, tuple[Summary, ...]]]:
    """Have branches summarised, for who wants all of a document in short.

    A summary is capped at a share of its source, so that **it can't be longer than what it stands for**; it doesn't
    know the question, so that another question about the same document finds it in the store.

    Args:
        tree: The tree.
        relevance: Its estimate for the question.
        tokens: What the requests may cost, input and output.
        policy: Divides the tokens.
        spare_tokens: What to allow beside each summary for thinking that nobody gets to see.
        count: Counts what the model is sent; the tree's counter if None.
        folder: Prompts that override the shipped ones.

    Returns:
        Evidence without passages that says what was read, and the summaries in document order.
    """
    task = _Task(
        tree=tree,
        relevance=relevance,
        tokens=tokens,
        policy=policy,
        max_output_tokens=_LONGEST_SUMMARY,
        min_worth=0.0,
        count=count or tree.count,
        folder=folder,
        spare_tokens=spare_tokens,
        summaries=True,
    )
    _, branches = _branches(task)
    if not branches:
        return Evidence(notes=(f"Too few tokens ({tokens:,}) for a model to summarise branches.",)), ()
    outcomes = yield tuple(branch.request for branch in branches)
    read: list[tuple[int, int]] = []
    summaries, notes = [], []
    for branch, outcome in zip(branches, outcomes, strict=True):
        if outcome.error or not outcome.text.strip():
            notes.append(f"{_name(tree, branch)} couldn't be summarised. {outcome.error or ''}".strip())
            continue
        read += [passage.leaves for passage in branch.passages]
        title = tree.find(branch.request.about or (0,)).title
        most = branch.request.max_output_tokens - spare_tokens
        text = outcome.text.strip()[: most * _CHARACTERS_PER_TOKEN]
        summaries.append(Summary(title=title, text=text))
    return Evidence(read=tuple(read), notes=tuple(notes)), tuple(summaries)


# -- reading through a model -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """What `refine` was asked for."""

    tree: SummaryTree
    relevance: Relevance
    tokens: int
    policy: Policy
    max_output_tokens: int
    min_worth: float
    count: Counter
    folder: Path | str | None
    spare_tokens: int = 0
    summaries: bool = False  # or evidence is copied

    def reading(self, tokens: int) -> Reading:
        return read(self.tree, self.relevance, tokens, self.policy, self.min_worth)

    def prompt(self, passages: Sequence[Mapping[str, Any]], tokens: int = 0) -> tuple[Rendered, dict[str, Any]]:
        """What a request with these passages of so many tokens says, and what it was rendered from."""
        if self.summaries:
            words = int(self.reply_tokens(tokens) * _WORDS_PER_TOKEN)
            variables: dict[str, Any] = {"passages": passages, "words": words}
            return render("summarise", variables, folder=self.folder), variables
        variables = {"question": self.relevance.question.text, "passages": passages}
        return render("refine", variables, folder=self.folder), variables

    def reply_tokens(self, tokens: int) -> int:
        """The most that a reply about so many tokens may say: of a summary, a share of them."""
        if not self.summaries:
            return self.max_output_tokens
        return min(self.max_output_tokens, max(_LEAST_SUMMARY, int(tokens * _SUMMARY_SHARE)))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Branch:
    """Passages that one request shows, the request, and what it costs at worst."""

    passages: tuple[Passage, ...]
    request: Request
    tokens: int


def _through_model(task: _Task) -> Steps[Evidence]:
    """Let a model copy from each branch what helps, verify it, and keep that."""
    tree, relevance = task.tree, task.relevance
    reading, branches = _branches(task)
    if not branches:
        raw = task.reading(task.tokens).evidence(task.tokens)
        note = f"Too few tokens ({task.tokens:,}) for a model to read branches: their text is handed over as it is."
        return replace(raw, notes=(*raw.notes, note)) if raw.passages else raw
    outcomes = yield tuple(branch.request for branch in branches)
    raw = reading.evidence(task.tokens)
    kept = np.zeros(len(tree.leaves), dtype=np.bool_)
    notes = list(raw.notes)
    spent = 0
    for branch, outcome in zip(branches, outcomes, strict=True):
        leaves, noted = _kept_of(tree, relevance, branch, outcome)
        kept[leaves] = True
        notes += noted
        spent += outcome.usage.total_tokens if outcome.usage else branch.tokens
    return Evidence(
        passages=passages_of(tree, relevance, kept),
        order=tuple(part for run in raw.order for part in _parts(run, kept)),
        read=runs_of(np.flatnonzero(reading.taken)),
        handed_back_tokens=max(0, task.tokens - spent),
        notes=tuple(notes),
    )


def _parts(run: tuple[int, int], kept: np.ndarray) -> tuple[tuple[int, int], ...]:
    return runs_of(run[0] + np.flatnonzero(kept[run[0] : run[1]]))


def _branches(task: _Task) -> tuple[Reading, tuple[_Branch, ...]]:
    """As much text as can be shown in requests that count at most the tokens together, worst case; none if too little.

    What labels and column heads add isn't known before the text is rendered: it is rendered, and shortened in
    proportion until it fits.
    """
    overhead = task.count(task.prompt([])[0].text) + task.max_output_tokens + task.spare_tokens
    number = max(1, min(_BRANCHES, task.tokens // (overhead * (1 + _TEXT_PER_OVERHEAD))))
    text_tokens = task.tokens - number * overhead
    while text_tokens > 0:
        reading = task.reading(text_tokens)
        groups = _groups(task.tree, passages_of(task.tree, task.relevance, reading.taken), number)
        branches = tuple(_branch(task, group) for group in groups)
        needed = sum(branch.tokens for branch in branches)
        if needed <= task.tokens:
            return reading, branches
        text_tokens = min(text_tokens - 8, text_tokens * task.tokens // needed)
    return Reading(task.tree, task.relevance, 0, 0.0), ()


def _groups(tree: SummaryTree, passages: Sequence[Passage], number: int) -> Iterator[tuple[Passage, ...]]:
    """Passages by branch of the tree, small neighbouring branches together, large ones in parts of similar size."""
    target = max(1, sum(passage.tokens for passage in passages) // number)
    lows = tree.nodes.low[tree.cut(max(1, tree.tokens // number))]
    group: list[Passage] = []
    filled, branch = 0, -1
    for passage in passages:
        here = int(np.searchsorted(lows, passage.leaves[0], "right"))
        full = filled + passage.tokens > 1.25 * target or (here != branch and filled >= 0.6 * target)
        if group and full:
            yield tuple(group)
            group, filled = [], 0
        group.append(passage)
        filled += passage.tokens
        branch = here
    if group:
        yield tuple(group)


def _branch(task: _Task, passages: tuple[Passage, ...]) -> _Branch:
    shown = numbered(task.tree, task.relevance, passages)
    text_tokens = sum(passage.tokens for passage in passages)
    prompt, variables = task.prompt(shown, text_tokens)
    most = task.reply_tokens(text_tokens) + task.spare_tokens
    request = Request(
        stage="summarise" if task.summaries else "refine",
        prompt=prompt.text,
        max_output_tokens=most,
        template=prompt.template_key,
        variables=variables,
        about=task.tree.id_of(task.tree.smallest_node(passages[0].leaves[0], passages[-1].leaves[1])),
    )
    return _Branch(passages=passages, request=request, tokens=task.count(prompt.text) + most)


def _kept_of(tree: SummaryTree, relevance: Relevance, branch: _Branch, outcome: Outcome) -> tuple[list[int], list[str]]:
    """The leaves of a branch that hold what the model copied, and what there is to note."""
    name = _name(tree, branch)
    reply: dict[str, Any] = {}
    error = outcome.error
    if not error:
        try:
            reply = parse_reply(outcome.text, fields=("quotes", "ids"))
        except OutputInvalid as invalid:
            error = invalid
    if error:
        return _best(tree, relevance, branch), [f"{name} couldn't be refined; its best sentences stand in. {error}"]
    leaves: list[int] = []
    unfounded = 0
    for quote in reply["quotes"]:
        found = _leaves_of(tree, branch.passages, quote["source"], quote["text"])
        leaves += found
        unfounded += not found
    for entry in reply["ids"]:
        found = _leaf_named(tree, branch.passages, entry)
        leaves += found
        unfounded += not found
    notes = [f"{name}: {unfounded} quote(s) don't stand in what was read and were dropped."] if unfounded else []
    if reply.get("truncated"):
        notes.append(f"{name}: the reply was cut off; what was complete is kept.")
        leaves = leaves or _best(tree, relevance, branch)
    return leaves, notes


def _name(tree: SummaryTree, branch: _Branch) -> str:
    node = tree.find(branch.request.about or (0,))
    return f"“{node.title}” ({node})"


def _leaves_of(tree: SummaryTree, passages: Sequence[Passage], source: int, quote: str) -> list[int]:
    """The leaves that a quote stands in, in the passage it names or else in any other; none if it isn't there."""
    named = [passages[source - 1]] if 1 <= source <= len(passages) else []
    for passage in (*named, *passages):
        text = next(file.text for file in tree.files if file.name == passage.source)
        if span := verify(text, quote, (passage.start, passage.end)):
            low, high = passage.leaves
            starts = tree.leaves.start[low:high]
            first, last = np.searchsorted(starts, [span.start, span.end - 1], "right") - 1
            return list(range(low + max(0, int(first)), low + max(0, int(last)) + 1))
    return []


def _leaf_named(tree: SummaryTree, passages: Sequence[Passage], entry: str) -> list[int]:
    """The leaf that "2.0" names, the first sentence of the second passage; none if there is no such sentence."""
    named = re.fullmatch(r"([0-9]{1,6})\.([0-9]{1,6})", entry.strip())
    if not named or not 1 <= int(named[1]) <= len(passages):
        return []
    sentences = sentences_of(tree, passages[int(named[1]) - 1])
    return [sentences[int(named[2])][0]] if int(named[2]) < len(sentences) else []


def _best(tree: SummaryTree, relevance: Relevance, branch: _Branch) -> list[int]:
    """The most relevant leaves of a branch, as many as fit a small floor; the very best if none does."""
    leaves = np.concatenate([np.arange(*passage.leaves) for passage in branch.passages])
    leaves = leaves[np.argsort(-relevance.leaf[leaves], kind="stable")]
    fits = leaves[np.cumsum(tree.leaves.tokens[leaves]) <= _FAILED_BRANCH_TOKENS]
    return [int(leaf) for leaf in (fits if len(fits) else leaves[:1])]
