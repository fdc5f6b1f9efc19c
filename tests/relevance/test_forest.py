"""Boosted trees as arrays say what the trees say, walked one split at a time."""

from __future__ import annotations

from dataclasses import replace

import lightgbm
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.errors import StoreError
from hierarchy.evaluation.fit import _as_arrays
from hierarchy.relevance.forest import MAX_LEAVES, Forest

COLUMNS = 5
# Few distinct numbers, so that rows often lie exactly on a threshold.
GRID = np.linspace(-1, 1, 9)
seeds = st.integers(0, 2**32 - 1)


def random_tree(chance, leaves):
    """A tree of so many leaves, in the form in which LightGBM writes its own."""
    if leaves == 1:
        return {"leaf_value": float(chance.normal())}
    left = int(chance.integers(1, leaves))
    return {
        "split_feature": int(chance.integers(COLUMNS)),
        "threshold": float(chance.choice(GRID)),
        "left_child": random_tree(chance, left),
        "right_child": random_tree(chance, leaves - left),
    }


def random_model(chance, trees, leaves=None):
    sizes = [leaves or int(chance.integers(1, MAX_LEAVES + 1)) for _ in range(trees)]
    return {
        "feature_names": [f"column {number}" for number in range(COLUMNS)],
        "tree_info": [{"tree_structure": random_tree(chance, size)} for size in sizes],
    }


def walked(node, row):
    """Where a row ends, split by split."""
    while "leaf_value" not in node:
        node = node["left_child" if row[node["split_feature"]] <= node["threshold"] else "right_child"]
    return node["leaf_value"]


def rows_of(chance, number=40):
    return chance.choice(GRID, (number, COLUMNS)).astype(np.float32)


@pytest.fixture
def forest():
    return _as_arrays(random_model(np.random.default_rng(7), trees=6))


@given(seeds, st.integers(1, 12))
def test_all_trees_at_once_say_what_a_walk_through_each_says(seed, trees):
    """Also where a value equals a threshold, and in trees of one leaf."""
    chance = np.random.default_rng(seed)
    model, rows = random_model(chance, trees), rows_of(chance)
    walks = [sum(walked(tree["tree_structure"], row) for tree in model["tree_info"]) for row in rows]
    assert _as_arrays(model).sums(rows) == pytest.approx(walks, abs=1e-12)


@given(seeds)
def test_the_largest_tree_uses_every_bit(seed):
    """32 leaves are 32 bits: the last leaf is reached like the first."""
    chance = np.random.default_rng(seed)
    model, rows = random_model(chance, 1, leaves=MAX_LEAVES), rows_of(chance)
    tree = model["tree_info"][0]["tree_structure"]
    assert _as_arrays(model).sums(rows).tolist() == [walked(tree, row) for row in rows]


def test_leaves_are_numbered_from_left_to_right():
    """A row that never fails a split ends in the first leaf, one that fails all in the last."""
    model = random_model(np.random.default_rng(1), 1, leaves=MAX_LEAVES)
    forest = _as_arrays(model)
    sums = forest.sums(np.array([[-2.0] * COLUMNS, [2.0] * COLUMNS]))
    assert sums.tolist() == [forest.leaf_values[0, 0], forest.leaf_values[0, MAX_LEAVES - 1]]


def test_trees_without_a_split_say_the_same_of_every_row():
    """Data that tell nothing grow such trees."""
    forest = _as_arrays(random_model(np.random.default_rng(2), 3, leaves=1))
    assert len(set(forest.sums(rows_of(np.random.default_rng(3))).tolist())) == 1


def test_what_all_rows_share_is_told_once(forest):
    """Rows that are equal in some columns have the sums that they have one by one."""
    rows = rows_of(np.random.default_rng(5))
    rows[:, ::2] = rows[0, ::2]
    assert forest.sums(rows).tolist() == [float(forest.sums(row[None])[0]) for row in rows]


def test_no_rows_have_no_sums(forest):
    """A document may have nothing to describe."""
    assert forest.probabilities(np.zeros((0, COLUMNS))).shape == (0,)


def test_lightgbm_says_the_same():
    """Of a model of its own, to the last digits: the arrays lose nothing."""
    chance = np.random.default_rng(5)
    rows = chance.normal(size=(600, COLUMNS)).astype(np.float32)
    labels = 1 / (1 + np.exp(-(rows[:, 0] + rows[:, 1] * rows[:, 2])))
    settings = {"objective": "cross_entropy", "num_leaves": 24, "verbose": -1, "num_threads": 1, "seed": 1}
    booster = lightgbm.train(settings, lightgbm.Dataset(rows, labels), 20)
    forest = _as_arrays(booster.dump_model())
    assert forest.sums(rows) == pytest.approx(booster.predict(rows, raw_score=True), abs=1e-9)
    # Uncalibrated, the probability is the logistic of the sum, but for what straight lines between its points lose.
    assert forest.probabilities(rows) == pytest.approx(booster.predict(rows), abs=1e-3)


@given(seeds)
def test_probabilities_rise_with_the_sum_and_stay_between_0_and_1(seed):
    """Whatever the trees add up to, far beyond what calibration saw included."""
    chance = np.random.default_rng(seed)
    curve = np.stack([np.sort(chance.normal(size=30)), np.sort(chance.uniform(size=30))])
    forest = replace(_as_arrays(random_model(chance, 8)), calibration=curve)
    rows = rows_of(chance)
    probabilities = forest.probabilities(rows)
    assert ((probabilities >= curve[1, 0]) & (probabilities <= curve[1, -1])).all()
    assert (np.diff(probabilities[np.argsort(forest.sums(rows), kind="stable")]) >= 0).all()


class TestNovelty:
    KNOWN = np.stack([np.arange(20.0), np.zeros(20)], axis=1)

    def test_what_was_seen_is_of_a_known_kind(self, forest):
        """Also what lies between two that were seen."""
        known = replace(forest, known=self.KNOWN)
        assert known.novelty(self.KNOWN[7]) == 0.0
        assert known.novelty(np.array([7.5, 0.0])) == pytest.approx(0.5)

    def test_it_grows_with_the_distance(self, forest):
        known = replace(forest, known=self.KNOWN)
        far = [known.novelty(np.array([19.0 + steps, 0.0])) for steps in (1, 2, 10)]
        assert far == pytest.approx([1.0, 2.0, 10.0])

    def test_few_documents_say_nothing_of_what_is_usual(self, forest):
        assert replace(forest, known=self.KNOWN[:9]).novelty(np.array([1e6, 1e6])) == 0.0


class TestRemoteness:
    """Twenty documents a step apart, and twenty that are ten steps apart, far away from them."""

    NARROW = np.stack([np.arange(20.0), np.zeros(20)], axis=1)
    WIDE = np.stack([10.0 * np.arange(20.0), np.full(20, 1e4)], axis=1)

    def test_each_kind_has_a_measure_of_its_own(self, forest):
        """Five steps away from where documents stand close is remote; from where they stand apart, it isn't."""
        known = replace(forest, known=np.concatenate([self.NARROW, self.WIDE]))
        near_narrow, near_wide = known.remoteness(np.array([-5.0, 0.0])), known.remoteness(np.array([-5.0, 1e4]))
        assert near_narrow == pytest.approx(10 * near_wide)
        assert near_narrow == pytest.approx(5 / np.mean([1, 2, 3, 4, 5]))
        assert known.remoteness(self.NARROW[3]) == 0.0

    def test_copies_are_no_measure(self, forest):
        """Where all that is near is one document over and over, the usual distance counts for something."""
        copies = np.concatenate([np.zeros((6, 2)), self.NARROW + 50])
        known = replace(forest, known=copies)
        assert np.isfinite(known.remoteness(np.array([0.5, 0.0])))

    def test_few_documents_say_nothing_of_what_is_usual(self, forest):
        assert replace(forest, known=self.NARROW[:9]).remoteness(np.array([1e6, 1e6])) == 0.0


class TestFile:
    def test_what_is_saved_is_loaded(self, forest, tmp_path):
        """Names, origin and every figure; values of leaves to seven digits, which is all that is kept."""
        forest = replace(forest, origin={"command": "hierarchy eval fit a", "questions": {"a": 3}})
        forest.save(tmp_path / "weights.npz")
        again = Forest.load(tmp_path / "weights.npz")
        assert (again.features, again.origin) == (forest.features, forest.origin)
        rows = rows_of(np.random.default_rng(4))
        assert again.sums(rows) == pytest.approx(forest.sums(rows), rel=1e-5, abs=1e-6)
        assert (again.calibration == forest.calibration).all()

    def test_saving_what_was_loaded_changes_no_byte(self, forest, tmp_path):
        """Nor does the time of day."""
        first, second = tmp_path / "a.npz", tmp_path / "b.npz"
        forest.save(first)
        Forest.load(first).save(second)
        assert first.read_bytes() == second.read_bytes()

    def test_the_one_for_routed_questions_is_kept_beside_it(self, forest, tmp_path):
        """And is asked for those alone."""
        other = replace(forest, leaf_values=forest.leaf_values + 1, origin={"command": "another"})
        replace(forest, routed=other).save(tmp_path / "weights.npz")
        again = Forest.load(tmp_path / "weights.npz")
        assert again.asked(routed=False) is again
        assert again.asked(routed=True) is again.routed
        assert again.routed.origin == {"command": "another"}
        rows = rows_of(np.random.default_rng(4))
        assert again.routed.sums(rows) == pytest.approx(other.sums(rows), rel=1e-5, abs=1e-5)
        assert (again.routed.sums(rows) != again.sums(rows)).any()

    def test_the_file_is_called_what_was_asked(self, forest, tmp_path):
        """Nothing is appended to the name."""
        forest.save(tmp_path / "weights")
        assert [path.name for path in tmp_path.iterdir()] == ["weights"]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: b"no weights at all",
            lambda data: b"PK\x03\x04" + data[100:],
            lambda data: data[: len(data) // 2],
            lambda data: data[:-30],
            lambda data: data[:200] + bytes(200) + data[400:],
        ],
        ids=["empty", "text", "headless", "half", "no end", "hole"],
    )
    def test_a_damaged_file_is_an_error_of_ours(self, forest, tmp_path, damage):
        """With the file's name and a remedy, whatever is wrong with it."""
        path = tmp_path / "weights.npz"
        forest.save(path)
        path.write_bytes(damage(path.read_bytes()))
        with pytest.raises(StoreError, match=r"weights\.npz") as caught:
            Forest.load(path)
        assert caught.value.hint

    def test_other_arrays_are_no_weights(self, tmp_path):
        """A file of NumPy's that holds something else."""
        np.savez(tmp_path / "weights.npz", anything=np.zeros(3))
        np.save(tmp_path / "one.npy", np.zeros(3))
        for name in ("weights.npz", "one.npy", "missing.npz"):
            with pytest.raises(StoreError, match=name):
                Forest.load(tmp_path / name)
