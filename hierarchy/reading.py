"""Reading without a model: which leaves are read for how many tokens, and in which order.

Leaves are taken in the policy's order, those that repeat what was read are left out, and their tokens are granted
again. **Passages never count more than the tokens given; with the default policy, more tokens never lose a leaf that
fewer had.** Doesn't know models, prompts or what else the budget is for.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hierarchy.allocator import Allocation, Policy, expected_gain
from hierarchy.evidence import Evidence, passages_of, runs_of
from hierarchy.relevance import Relevance
from hierarchy.segments import LeafKind
from hierarchy.tree import Ints, SummaryTree

__all__ = ["MIN_WORTH", "Reading", "read"]

MIN_WORTH = 2e-4
"""Reading stops at a grant that is less likely than this to hold evidence, and whose leaves are: it has nothing to do
with the question. Where nothing in the document is as likely, the best is read all the same."""

# As plain numbers: they are compared for every leaf that is read, and an enum's comparison is slow.
_SENTENCE, _FURNITURE = int(LeafKind.SENTENCE), int(LeafKind.FURNITURE)
# A sentence of as many words that was read before is boilerplate or copied forward; shorter ones recur by chance.
_REPEATED_WORDS = 8
# Page furniture between two leaves that were read is read along if it is no longer than this.
_GAP_TOKENS = 24
# How far beyond the tokens given the policy is asked at first, for repetitions to be replaced from.
_LOOKAHEAD_TOKENS = 512


def read(tree: SummaryTree, relevance: Relevance, tokens: int, policy: Policy, min_worth: float) -> Reading:
    """Read what is worth it, for at most so many tokens; a document that fits is read whole."""
    best = float(relevance.leaf.max()) if len(relevance.leaf) else 0.0
    reading = Reading(tree, relevance, tokens, min_worth if best >= min_worth else 0.0)
    if reading.take_whole():
        # The order still matters: whoever has to trim the evidence begins at its end.
        reading.prefer(policy(tree, relevance, tree.tokens).runs)
    elif policy is expected_gain:
        reading = _along_one_sequence(reading, policy)
    else:
        _in_rounds(reading, policy)
    return reading


def _along_one_sequence(reading: Reading, policy: Policy) -> Reading:
    """Walk a sequence of leaves that doesn't depend on the budget, to the first that doesn't fit.

    Whether a leaf repeats another is decided along that sequence, and so is what it costs; both are therefore the same
    for every budget, and what is read for one is a prefix of what is read for a larger one. (Calling the policy anew
    with the leaves ruled out would change densities, and with them the sequence.) The policy is asked for more than
    there is to spend, so that repetitions needn't stop the walk.
    """
    asked = min(reading.left + _LOOKAHEAD_TOKENS, reading.tree.tokens)
    while True:
        walked = reading.anew()
        allocation = policy(walked.tree, walked.relevance, asked)
        if walked.take(allocation) or asked >= reading.tree.tokens:
            return walked
        asked = min(2 * asked, reading.tree.tokens)


def _in_rounds(reading: Reading, policy: Policy) -> None:
    """Any other policy: what repetitions hand back is divided again, over what was neither read nor ruled out."""
    relevance, tokens = reading.relevance, reading.left
    while tokens > 0:
        allocation = policy(reading.tree, relevance, tokens)
        before = reading.repeated_tokens
        reading.take(allocation)
        tokens = min(reading.left, reading.repeated_tokens - before)
        granted = [leaf for low, high in allocation.runs for leaf in range(low, high)]
        relevance = relevance.without(np.array(granted, dtype=np.int64))


class Reading:
    """What was read so far, and what is left to read for."""

    def __init__(self, tree: SummaryTree, relevance: Relevance, tokens: int, min_worth: float) -> None:
        self.tree, self.relevance = tree, relevance
        self.left, self.min_worth = max(0, tokens), min_worth
        self.taken = np.zeros(len(tree.leaves), dtype=np.bool_)
        self.order: list[tuple[int, int]] = []
        self.whole = False
        self.repeated_tokens = self.repeated_leaves = 0
        self._texts: set[str] = set()

    def anew(self) -> Reading:
        """The same before anything was read."""
        return Reading(self.tree, self.relevance, self.left, self.min_worth)

    def take_whole(self) -> bool:
        """Read everything but page furniture, if it fits and nothing is ruled out."""
        telling = self.tree.leaves.kind != LeafKind.FURNITURE
        if (self.relevance.skip & telling).any() or not telling.any():
            return False
        if int(self.tree.leaves.tokens[telling].sum()) > self.left:
            return False
        taken = telling.copy()
        for leaf in np.flatnonzero(telling[1:] & ~telling[:-1]) + 1:
            taken[self._gap(int(leaf), -1, telling)] = True
        tokens = int(self.tree.leaves.tokens[taken].sum())
        if tokens > self.left:
            return False
        self.taken, self.whole = taken, True
        self.left -= tokens
        return True

    def prefer(self, runs: Sequence[tuple[int, int]]) -> None:
        """Put what was read in an order: these runs first, the rest as it stands."""
        rest = self.taken.copy()
        for low, high in runs:
            self._append(low + np.flatnonzero(rest[low:high]))
            rest[low:high] = False
        self._append(np.flatnonzero(rest))

    def take(self, allocation: Allocation) -> bool:
        """Read grants in order, the most relevant leaves of each first; whether something worth reading didn't fit."""
        for grant in allocation.grants:
            leaves = np.concatenate([np.arange(low, high) for low, high in grant.leaves])
            leaves = leaves[np.argsort(-self.relevance.leaf[leaves], kind="stable")]
            if grant.gain < self.min_worth and self.relevance.leaf[leaves[0]] < self.min_worth:
                return True
            fits = self._take(leaves)
            if not fits:
                return True
        return False

    def _take(self, leaves: Ints) -> bool:
        read: list[int] = []
        fits = True
        for leaf in leaves.tolist():
            if self.taken[leaf]:
                continue
            if self._repeats(leaf):
                self.repeated_tokens += int(self.tree.leaves.tokens[leaf])
                self.repeated_leaves += 1
                continue
            wanted = [leaf, *self._gap(leaf, -1, self.taken), *self._gap(leaf, 1, self.taken)]
            tokens = int(self.tree.leaves.tokens[wanted].sum())
            fits = tokens <= self.left
            if not fits:
                break
            self._remember(leaf)
            self.taken[wanted] = True
            self.left -= tokens
            read += wanted
        self._append(np.array(sorted(read), dtype=np.int64))
        return fits

    def _append(self, leaves: Ints) -> None:
        self.order += runs_of(leaves)

    def _gap(self, leaf: int, step: int, taken: np.ndarray) -> list[int]:
        """Page furniture between a leaf and the nearest one taken on its page, if that is all and not much."""
        leaves, gap, at, tokens = self.tree.leaves, list[int](), leaf + step, 0
        while 0 <= at < len(leaves) and leaves.page[at] == leaves.page[leaf] and leaves.file[at] == leaves.file[leaf]:
            if taken[at]:
                return gap
            tokens += int(leaves.tokens[at])
            if leaves.kind[at] != _FURNITURE or tokens > _GAP_TOKENS:
                break
            gap.append(at)
            at += step
        return []

    def _repeats(self, leaf: int) -> bool:
        """Whether the leaf says again what was read. Rows don't: a table with holes means something else."""
        if self.tree.leaves.kind[leaf] != _SENTENCE:
            return False
        return self._normalised(leaf) in self._texts

    def _remember(self, leaf: int) -> None:
        text = self._normalised(leaf)
        if text.count(" ") >= _REPEATED_WORDS - 1:
            self._texts.add(text)

    def _normalised(self, leaf: int) -> str:
        return " ".join(self.tree.leaf_text(leaf).casefold().split())

    def evidence(self, tokens: int) -> Evidence:
        """What was read, as passages."""
        notes: tuple[str, ...] = ()
        if self.repeated_leaves:
            what = f"{self.repeated_leaves} repeated sentence{'s' * (self.repeated_leaves > 1)}"
            notes = (f"Left out {what} ({self.repeated_tokens:,} tokens) that had been read already.",)
        passages = passages_of(self.tree, self.relevance, self.taken)
        return Evidence(
            passages=passages,
            order=tuple(self.order),
            whole=self.whole,
            handed_back_tokens=max(0, tokens) - sum(passage.tokens for passage in passages),
            notes=notes,
        )
