"""Fitting, on the bundled samples laid out as a set: small enough to be done here, real enough to mean something."""

from __future__ import annotations

import builtins
import shutil
from dataclasses import replace

import numpy as np
import pytest

import hierarchy
from hierarchy.errors import InputError, Unavailable
from hierarchy.evaluation import fit as fitting
from hierarchy.evaluation.fit import described, fit, fit_examples, fold_of, grown
from hierarchy.evaluation.sets import load_set
from hierarchy.relevance import Forest
from hierarchy.relevance.features import FEATURES, SEMANTIC, columns_of

FOLDERS = {"annual_report.pdf": "pdfs", "patient_chart.md": "docs"}
FEW = {"folds": 2, "rounds": 48}
BY_WORDS = tuple(name for name in FEATURES if name not in SEMANTIC)
COLUMNS = columns_of(BY_WORDS)


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets") / "samples"
    lines = []
    for sample, place in FOLDERS.items():
        path = hierarchy.sample(sample)
        (folder / place).mkdir(parents=True)
        shutil.copy(path, folder / place)
        lines.append(path.with_suffix(".questions.jsonl").read_text("utf-8"))
    (folder / "cases.jsonl").write_text("".join(lines), "utf-8")
    return load_set(folder)


@pytest.fixture(scope="module")
def given(samples):
    return tuple(described([samples]))


@pytest.fixture(scope="module")
def fitted(given):
    return fit_examples(given, command="hierarchy eval fit samples", **FEW)


def test_equal_data_and_seed_give_equal_weights(samples, fitted, tmp_path):
    """Byte for byte, described anew; another seed gives others."""
    again = fit([samples], command="hierarchy eval fit samples", **FEW)
    fitted.forest.save(tmp_path / "a.npz")
    again.forest.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    other = fit([samples], seed=2, command="hierarchy eval fit samples", **FEW)
    assert (other.forest.leaf_values != fitted.forest.leaf_values).any()


def test_the_weights_say_what_made_them(fitted, given, samples, tmp_path):
    """And still do when they are read again."""
    fitted.forest.save(tmp_path / "w.npz")
    forest = Forest.load(tmp_path / "w.npz")
    origin = forest.origin
    assert (origin["command"], origin["seed"], origin["rounds"]) == ("hierarchy eval fit samples", 1, FEW["rounds"])
    assert origin["questions"] == {"samples": len(samples.scored)}
    assert forest.features == BY_WORDS
    assert len(forest.leaf_values) == FEW["rounds"]


def test_the_hash_of_the_data_follows_the_data(given, fitted):
    """One label more or less is other data."""
    changed = (replace(given[0], labels=np.ones_like(given[0].labels)), *given[1:])
    assert fitting._digest(given, COLUMNS) == fitted.forest.origin["data"] != fitting._digest(changed, COLUMNS)


class TestFolds:
    def test_what_belongs_together_is_on_one_side(self, fitted, given):
        """All questions of a group are in the fold that the group's name gives."""
        for example in given:
            assert fitted.fold[example.source, example.case.id] == fold_of(example.group, 2)
        assert len(fitted.folds) == 2
        assert set(fitted.fold.values()) == {0, 1}

    def test_a_fold_is_grown_without_its_own(self, fitted, given):
        """Each fold's forest is the one that its complement alone gives."""
        for number, forest in enumerate(fitted.folds):
            others = [one for one in given if fold_of(one.group, 2) != number]
            assert {one.group for one in others}.isdisjoint(
                {one.group for one in given if fold_of(one.group, 2) == number}
            )
            assert (grown(others, seed=1, rounds=FEW["rounds"]).leaf_values == forest.leaf_values).all()

    def test_a_group_stays_in_its_fold(self):
        """By its name alone, the same on any machine; groups spread over all folds."""
        assert [fold_of(name, 5) for name in ("annual", "patient_chart", "")] == [3, 1, fold_of("", 5)]
        sizes = np.bincount([fold_of(f"document {n}", 5) for n in range(1000)], minlength=5)
        assert (sizes > 150).all()


class TestRouted:
    """Questions to which a routing added something have a forest of their own."""

    @pytest.fixture
    def routed(self, given):
        """Every other question routed, its passages the same with one column more."""
        column = list(FEATURES).index("routed")
        ways = []
        for example in given[::2]:
            rows = example.rows.copy()
            rows[:, column] = example.labels
            ways.append(replace(example, rows=rows, form="lean"))
        return ways

    def test_it_learns_from_them_and_from_those_that_have_no_reply(self, given, fitted, routed):
        """The other one learns from questions as they are alone; both say what made them."""
        both = fit_examples([*given, *routed], **FEW)
        rest = [one for number, one in enumerate(given) if number % 2]
        assert (both.forest.leaf_values == fitted.forest.leaf_values).all()
        assert (
            both.forest.routed.leaf_values == grown([*rest, *routed], seed=1, rounds=FEW["rounds"]).leaf_values
        ).all()
        assert all(fold.routed is not None for fold in both.folds)
        assert both.forest.routed.origin == both.forest.origin
        assert both.forest.origin["routed"] == {"samples": len(routed)}
        column = list(FEATURES).index("routed")
        assert column in both.forest.routed.split_feature
        assert column not in both.forest.split_feature

    def test_without_replies_there_is_one_for_all(self, fitted):
        assert fitted.forest.routed is None
        assert fitted.forest.asked(routed=True) is fitted.forest


def test_a_large_set_counts_more_but_not_by_as_much(given):
    """By a power of its questions, however often each is given."""
    few = [replace(one, source="few") for one in given[:1]]
    weights = fitting._weights([*given, *given, *few])
    assert weights["few"] == 1.0
    assert weights["samples"] * 2 * len(given) == pytest.approx(len(given) ** 0.25)


def test_weights_without_some_features(given):
    """They are no column; the rest stand in their order."""
    poorer = fit_examples(given, **FEW, without=("own", "rows"))
    names = [name for name in BY_WORDS if name not in ("own", "rows")]
    assert all(list(forest.features) == names for forest in (poorer.forest, *poorer.folds))


class TestCalibration:
    def test_it_ascends_within_0_and_1(self, fitted):
        sums, probabilities = fitted.forest.calibration
        assert (np.diff(sums) >= 0).all()
        assert (np.diff(probabilities) >= 0).all()
        assert 0 < probabilities[0] < probabilities[-1] < 1

    def test_estimates_out_of_fold_are_reliable_on_the_whole(self, fitted, given):
        """The groups hold every passage; over all of them estimate and label agree, set by set weighed alike."""
        assert sum(number for _, _, number in fitted.reliability) == sum(len(one.labels) for one in given)
        estimated = sum(estimate * number for estimate, _, number in fitted.reliability)
        held = sum(label * number for _, label, number in fitted.reliability)
        assert estimated == pytest.approx(held, rel=0.05)

    def test_descending_neighbours_are_pooled(self):
        """The closest ascending values: 3 and 1 meet at their weighted mean."""
        values = fitting._isotonic(np.array([0.0, 3.0, 1.0, 5.0]), np.array([1.0, 1.0, 3.0, 1.0]))
        assert values.tolist() == [0.0, 1.5, 1.5, 5.0]

    def test_reliability_by_hand(self):
        groups = fitting._reliability(np.array([0.05, 0.05, 0.95, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]))
        assert np.array(groups) == pytest.approx(np.array([[0.05, 0.5, 2], [0.975, 1.0, 2]]))


def test_passages_without_evidence_are_sampled_and_weighed_up(given):
    """All with evidence are kept; together the others weigh what they weighed. A text that is a passage at several
    grains counts once.
    """
    one = given[0]
    rows, labels, weights = fitting._sampled([one], seed=1)
    distinct = len(set(one.nodes.tolist()))
    good = len(set(one.nodes[one.labels > 0].tolist()))
    assert distinct < len(one.nodes)
    assert (labels > 0).sum() == good
    assert len(rows) == good + fitting._NEGATIVES
    assert weights[labels <= 0].sum() / weights[labels > 0].sum() == pytest.approx((distinct - good) / good)


def test_what_was_learned_finds_what_it_learned(fitted, given):
    """On the questions that it was grown on, passages with evidence are estimated far above the others."""
    good = np.concatenate([fitted.forest.probabilities(one.rows)[one.labels >= 1] for one in given])
    bad = np.concatenate([fitted.forest.probabilities(one.rows)[one.labels <= 0] for one in given])
    assert good.mean() > 5 * bad.mean()


class TestErrors:
    def test_nothing_to_learn_from(self, samples):
        bare = replace(samples, cases=tuple(case for case in samples.cases if not case.evidence))
        with pytest.raises(InputError, match="No question"):
            fit([bare])

    def test_one_document_alone_leaves_nothing_to_judge_by(self, given):
        with pytest.raises(InputError, match="one fold"):
            fit_examples([one for one in given if one.group == "annual"])

    def test_without_lightgbm(self, given, monkeypatch):
        """The message names what to install."""
        real = builtins.__import__

        def refuse(name, *args, **options):
            if name == "lightgbm":
                raise ImportError(name)
            return real(name, *args, **options)

        monkeypatch.setattr(builtins, "__import__", refuse)
        with pytest.raises(Unavailable) as caught:
            grown(given, seed=1)
        assert ".[fit]" in caught.value.hint


def test_progress_is_told(samples):
    """How far describing and growing are, never beyond the end."""
    told = []
    fit([samples], progress=lambda done, total, what: told.append((done, total, what)), **FEW)
    assert {what for _, _, what in told} == {"describing samples", "growing trees"}
    assert all(0 <= done < total for done, total, _ in told)
