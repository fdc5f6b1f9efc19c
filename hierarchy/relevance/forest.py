"""Boosted trees as arrays: how learned relevance is computed with numpy alone.

All trees are walked at once by marking, for every split that a row fails, the leaves that it can no longer reach; the
first leaf left is where the row ends. A tree has at most 32 leaves, so that those of a tree are the bits of one number.

Source: QuickScorer, Lucchese et al., "QuickScorer: a fast algorithm to rank documents with additive ensembles of
regression trees", SIGIR 2015. Doesn't know what features mean (`features`) or how trees are grown (`evaluation`).
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hierarchy.errors import StoreError

__all__ = ["MAX_LEAVES", "Credits", "Forest"]

MAX_LEAVES = 32

# What reading a damaged archive of arrays may raise: it depends on where the damage is.
_DAMAGED = (OSError, KeyError, ValueError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)

Floats = NDArray[np.float64]

# So many rows at a time: what is in hand then stays in the processor's cache, which halves the time.
_ROWS = 256

# How the arrays of the forest for routed questions are told apart in a file.
_ROUTED = "routed_"

# Fewer documents say nothing of what is usual.
_FEW_DOCUMENTS = 10
# A document is compared with how far the most similar known one stands from so many others; where these are copies of
# each other, with at least this share of the usual distance.
_NEIGHBOURS, _LEAST_SPARSE = 5, 0.15


@dataclass(frozen=True, kw_only=True)
class Forest:
    """An additive ensemble of regression trees, and how its sum becomes a probability.

    Attributes:
        features: Names of the columns it was grown on, in order.
        split_feature: Column of each split, over all trees.
        split_threshold: A row goes left where its value is at most this.
        split_tree: The tree of each split.
        split_keeps: Bits of the leaves that a row which goes right can still reach.
        leaf_values: Trees × `MAX_LEAVES`; leaves numbered from left to right.
        known: What the documents it was grown on are like: documents × statistics, see `novelty`.
        calibration: Two rows: sums, ascending, and the probabilities they stand for; straight in between.
        origin: What made it: data, command, seed, versions.
        routed: Another one for questions to which a routing added something, if one was grown.
    """

    features: tuple[str, ...]
    split_feature: NDArray[np.int64]
    split_threshold: Floats
    split_tree: NDArray[np.int64]
    split_keeps: NDArray[np.uint32]
    leaf_values: Floats
    known: Floats
    calibration: Floats
    origin: Mapping[str, Any]
    routed: Forest | None = None

    def asked(self, *, routed: bool) -> Forest:
        """The one for a question as it is, or for a routed one: itself unless another was grown for those."""
        return self.routed if routed and self.routed is not None else self

    def reads(self, features: Collection[str]) -> bool:
        """Whether it looks at any of some features."""
        return not set(features).isdisjoint(self.features)

    def probabilities(self, rows: NDArray[Any]) -> Floats:
        """The calibrated probability of each row, in [0, 1].

        Args:
            rows: Rows × features, columns as `features`.
        """
        return np.asarray(np.interp(self.sums(rows), self.calibration[0], self.calibration[1]))

    def sums(self, rows: NDArray[Any]) -> Floats:
        """What the trees say of each row together."""
        leaf = self._leaves(rows)
        leaf += (np.arange(len(self.leaf_values), dtype=np.uint32) * np.uint32(MAX_LEAVES))[:, None]
        values = self.leaf_values.ravel()
        parts = (values.take(leaf[:, at : at + _ROWS]).sum(axis=0) for at in range(0, len(rows), _ROWS))
        return np.concatenate([np.zeros(0), *parts])

    def _leaves(self, rows: NDArray[Any]) -> NDArray[np.uint32]:
        """Which leaf of each tree each row ends in: trees × rows."""
        start, varying = self._told_by_all(rows)
        leaf = np.empty((len(self.leaf_values), len(rows)), dtype=np.uint32)
        for at in range(0, len(rows), _ROWS):
            chunk = slice(at, at + _ROWS)
            reachable = np.repeat(start[:, None], len(rows[chunk]), axis=1)
            for failed, trees, keeps in varying:
                reachable[trees] &= keeps.take(failed[chunk], axis=1)
            first = reachable & (~reachable + np.uint32(1))
            exponent = first.astype(np.float32).view(np.uint32) >> np.uint32(23)
            leaf[:, chunk] = exponent - np.uint32(127)
        return leaf

    def _told_by_all(
        self, rows: NDArray[Any]
    ) -> tuple[NDArray[np.uint32], list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.uint32]]]]:
        """What each tree can still reach by the columns in which all rows are equal; and the other columns.

        Of a question's rows many are: what is asked, what kind of document it is, what no lexicon and no routing adds.
        Of each other column how many thresholds each row exceeds, the trees that use it and what these keep.
        """
        start = np.full(len(self.leaf_values), np.uint32(0xFFFFFFFF))
        varying = []
        for column, thresholds, trees, keeps in self._tables:
            values = rows[:, column].astype(np.float64)
            if (values == values[:1]).all():
                start[trees] &= (
                    keeps[:, np.searchsorted(thresholds, values[0], "left")] if len(values) else start[trees]
                )
            else:
                varying.append((np.searchsorted(thresholds, values, "left"), trees, keeps))
        return start, varying

    def credits(self, rows: NDArray[Any]) -> Credits:
        """What each column adds to the sum of each of some rows, as against the others.

        A row is followed down every tree. At each split what is to be expected changes, from the mean of all rows that
        come as far to the mean of those that go on with it, and the split's column is credited with the change. What
        all rows share is credited to nobody.

        Source: Saabas, "Interpreting random forests", 2014; what is to be expected is the mean of the rows given,
        rather than of what the forest was grown on.

        Args:
            rows: Rows × features, columns as `features`; at least one row.
        """
        leaves = self._leaves(rows)
        places = leaves + (np.arange(len(leaves)) * MAX_LEAVES)[:, None]
        counts = np.bincount(places.ravel(), minlength=self.leaf_values.size).reshape(self.leaf_values.shape)
        start, border, end = self._reaches
        ahead, total, tree = _before(counts), _before(counts * self.leaf_values), self.split_tree

        def mean(low: NDArray[np.int64], high: NDArray[np.int64]) -> Floats:
            """The mean of the leaves that rows reach; where none does it isn't asked for."""
            return np.asarray(
                (total[tree, high] - total[tree, low]) / np.maximum(1, ahead[tree, high] - ahead[tree, low])
            )

        here = mean(start, end)
        return Credits(
            bias=float(total[:, -1].sum() / len(rows)),
            columns=len(self.features),
            leaves=leaves.astype(np.int64),
            split_feature=self.split_feature,
            split_tree=tree,
            reaches=(start, border, end),
            left=mean(start, border) - here,
            right=mean(border, end) - here,
        )

    @cached_property
    def _reaches(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Of each split the first leaf below it, the first to its right, and one past the last.

        The leaves to a split's left are those that it doesn't keep. Those to its right go on up to the border of the
        next split that has it on its left.
        """
        bits = np.unpackbits((~self.split_keeps).astype("<u4").view(np.uint8), bitorder="little")
        left = bits.reshape(-1, MAX_LEAVES)
        start = left.argmax(axis=1).astype(np.int64)
        border = start + left.sum(axis=1, dtype=np.int64)
        start_at = np.full((len(self.leaf_values), MAX_LEAVES + 1), MAX_LEAVES)
        start_at[self.split_tree, border] = start
        end = 1 + np.bincount(self.split_tree, minlength=len(self.leaf_values))[self.split_tree]
        for other in range(MAX_LEAVES, 0, -1):
            end = np.where((other > border) & (start_at[self.split_tree, other] <= start), other, end)
        return start, border, end

    @cached_property
    def _tables(self) -> tuple[tuple[int, Floats, NDArray[np.int64], NDArray[np.uint32]], ...]:
        """For each column its thresholds, the trees that use it, and what each of these can still reach.

        That is, once the first 0, 1, 2, … of the thresholds are exceeded.
        """
        tables = []
        for column in np.unique(self.split_feature):
            mine = np.flatnonzero(self.split_feature == column)
            mine = mine[np.argsort(self.split_threshold[mine], kind="stable")]
            trees, row = np.unique(self.split_tree[mine], return_inverse=True)
            keeps = np.full((len(trees), len(mine) + 1), np.uint32(0xFFFFFFFF))
            keeps[row, np.arange(1, len(mine) + 1)] = self.split_keeps[mine]
            tables.append((int(column), self.split_threshold[mine], trees, np.bitwise_and.accumulate(keeps, axis=1)))
        return tuple(tables)

    def novelty(self, statistics: Floats) -> float:
        """How unlike a document is to all that the forest was grown on.

        The distance to the most similar of them in standardised statistics, as a multiple of the distance at which 95 %
        of them find another: up to 1 a document is of a known kind.

        Args:
            statistics: As the rows of `known`.
        """
        if len(self.known) < _FEW_DOCUMENTS:
            return 0.0
        nearest = np.sqrt((((self.known - statistics) / self._spread) ** 2).sum(axis=1).min())
        return float(nearest / self._reach)

    def remoteness(self, statistics: Floats) -> float:
        """How far a document stands from the most similar of those that the forest was grown on, by their own measure.

        The distance to that one, as a multiple of its mean distance to the five most similar to it: about 1 within a
        kind, whether its documents are all alike (contracts) or differ widely (filings).

        Source: the local outlier factor of Breunig and others, 2000, with a single neighbour.

        Args:
            statistics: As the rows of `known`.
        """
        if len(self.known) < _FEW_DOCUMENTS:
            return 0.0
        distances = np.sqrt((((self.known - statistics) / self._spread) ** 2).sum(axis=1))
        nearest = int(np.argmin(distances))
        return float(distances[nearest] / max(float(self._sparse[nearest]), _LEAST_SPARSE * self._reach))

    @cached_property
    def _sparse(self) -> Floats:
        """Of each known document the mean distance to the most similar others."""
        return np.asarray(np.sort(self._apart, axis=1)[:, :_NEIGHBOURS].mean(axis=1))

    @cached_property
    def _apart(self) -> Floats:
        """Distances between known documents, none to themselves."""
        scaled = self.known / self._spread
        apart = np.sqrt(((scaled[:, None] - scaled[None]) ** 2).sum(axis=2))
        np.fill_diagonal(apart, np.inf)
        return np.asarray(apart)

    @cached_property
    def _spread(self) -> Floats:
        return np.asarray(np.maximum(self.known.std(axis=0), 1e-3))

    @cached_property
    def _reach(self) -> float:
        return max(float(np.quantile(self._apart.min(axis=1), 0.95)), 1e-6)

    def save(self, path: Path) -> None:
        """Write it as compressed arrays, the one for routed questions beside it."""
        arrays = {**self._arrays(), **{_ROUTED + name: array for name, array in self._routed_arrays().items()}}
        with path.open("wb") as file:  # given a path, NumPy would append to its name
            np.savez_compressed(file, **arrays)  # type: ignore[arg-type]  # its stubs want a flag among them

    def _routed_arrays(self) -> dict[str, NDArray[Any]]:
        return self.routed._arrays() if self.routed is not None else {}

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {
            "features": np.array(json.dumps(self.features)),
            "origin": np.array(json.dumps(self.origin, sort_keys=True)),
            "split_feature": self.split_feature.astype(np.uint8),
            "split_threshold": self.split_threshold,
            "split_tree": self.split_tree.astype(np.uint16),
            "split_keeps": self.split_keeps,
            "leaf_values": self.leaf_values.astype(np.float32),
            "known": self.known.astype(np.float32),
            "calibration": self.calibration,
        }

    @classmethod
    def load(cls, path: Path) -> Forest:
        """Read what `save` wrote.

        Raises:
            StoreError: There is no such file, or it is damaged.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                routed = cls._of(arrays, _ROUTED) if f"{_ROUTED}features" in arrays else None
                return cls._of(arrays, "", routed)
        except _DAMAGED as error:
            raise StoreError(
                f"The weights in {path.name} can't be read: {error}", "Install the package again."
            ) from error

    @classmethod
    def _of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str, routed: Forest | None = None) -> Forest:
        return cls(
            features=tuple(json.loads(str(arrays[f"{prefix}features"]))),
            origin=json.loads(str(arrays[f"{prefix}origin"])),
            split_feature=arrays[f"{prefix}split_feature"].astype(np.int64),
            split_threshold=arrays[f"{prefix}split_threshold"].astype(np.float64),
            split_tree=arrays[f"{prefix}split_tree"].astype(np.int64),
            split_keeps=arrays[f"{prefix}split_keeps"].astype(np.uint32),
            leaf_values=arrays[f"{prefix}leaf_values"].astype(np.float64),
            known=arrays[f"{prefix}known"].astype(np.float64),
            calibration=arrays[f"{prefix}calibration"].astype(np.float64),
            routed=routed,
        )


@dataclass(frozen=True, kw_only=True)
class Credits:
    """What each column adds to the sums of some rows: see `Forest.credits`.

    Attributes:
        bias: The mean of all sums.
        columns: How many there are.
        leaves: Which leaf of each tree each row ends in: trees × rows.
        split_feature: Column of each split, over all trees.
        split_tree: The tree of each split.
        reaches: Of each split the first leaf below it, the first to its right, and one past the last.
        left: How what is to be expected changes where a row goes left.
        right: The same where it goes right.
    """

    bias: float
    columns: int
    leaves: NDArray[np.int64]
    split_feature: NDArray[np.int64]
    split_tree: NDArray[np.int64]
    reaches: tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]
    left: Floats
    right: Floats

    def of(self, row: int) -> Floats:
        """Each column's credit; **with the bias they add up to the row's sum**."""
        start, border, end = self.reaches
        leaf = self.leaves[:, row][self.split_tree]
        changes = np.where(leaf < border, self.left, self.right) * ((start <= leaf) & (leaf < end))
        return np.bincount(self.split_feature, weights=changes, minlength=self.columns).astype(np.float64)


def _before(values: NDArray[Any]) -> Floats:
    """Running totals of each row, from nothing."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, axis=1, dtype=np.float64)], axis=1)
