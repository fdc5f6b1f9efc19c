"""What weights find that they didn't learn from, and the command that learns them."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
from click.testing import CliRunner
from test_fit import FEW, given, samples  # noqa: F401  (fixtures)

from hierarchy.cli import main
from hierarchy.cli.fit import fit
from hierarchy.evaluation import crossfit
from hierarchy.evaluation.crossfit import ablation_rows, answerable_rows, cross_validated, families, grown_apart
from hierarchy.evaluation.fit import ROUNDS, fit_examples
from hierarchy.relevance import Forest
from hierarchy.relevance.features import GROUPS, SEMANTIC


@dataclass
class Stub:
    """As much of an example as families look at."""

    source: str
    group: str
    others: tuple[str, ...] = ()


def test_sets_that_share_groups_are_left_out_together():
    """Directly or by way of a third; in the order of the questions."""
    assert families([Stub("a", "1"), Stub("b", "2"), Stub("a", "3")]) == ({"a"}, {"b"})
    assert families([Stub("a", "1"), Stub("b", "2"), Stub("c", "1"), Stub("c", "2"), Stub("d", "4")]) == (
        {"a", "b", "c"}, {"d"}
    )  # fmt: skip
    assert families([Stub("a", "1", ("2",)), Stub("b", "2")]) == ({"a", "b"},)


def test_each_question_is_estimated_by_the_fold_that_did_not_see_it(samples, given, monkeypatch):  # noqa: F811
    """And scored at each budget; more budget finds no less on the whole."""
    fitted = fit_examples(given, **FEW)
    asked, real = {}, crossfit.relevance.estimate

    def noted(tree, question, **options):
        asked[question] = options["forest"]
        return real(tree, question, **options)

    monkeypatch.setattr(crossfit.relevance, "estimate", noted)
    (board,) = cross_validated(samples, fitted, (500, 4_000))
    assert board.cases == samples.scored
    assert board.budgets == (500, 4_000)
    assert board.over_budget == 0
    for case in samples.scored:
        assert asked[case.question] is fitted.folds[fitted.fold[samples.name, case.id]]
    assert 0 < board.mean(500) < board.mean(4_000)
    header, row = answerable_rows({"samples": [board]})
    assert header == ("answerable %", "questions", "weights", "500", "4,000")
    assert row[:3] == ("samples", str(len(samples.scored)), "cross-validated")
    assert row[3] == f"{100 * board.mean(500):.1f}"


def test_weights_grown_apart_have_not_seen_the_set(given):  # noqa: F811
    """They are those that the other sets alone give."""
    halves = [replace(one, source=("even", "odd")[at % 2], group=f"{one.source} {at}") for at, one in enumerate(given)]
    apart = grown_apart(halves, **FEW, seed=1)
    alone = fit_examples([one for one in halves if one.source == "odd"], **FEW).forest
    assert set(apart) == {"even", "odd"}
    assert (apart["even"].leaf_values == alone.leaf_values).all()
    poorer = grown_apart(halves, **FEW, seed=1, without=GROUPS["numbers"])
    assert set(apart["even"].features) - set(poorer["even"].features) == set(GROUPS["numbers"])


def test_what_steadies_is_told_apart_from_what_earns(samples, given):  # noqa: F811
    """Weights grown without the set are compared among themselves: those that say nothing are poorer."""
    fitted = fit_examples(given, **FEW)
    dull = replace(fitted.forest, leaf_values=0 * fitted.forest.leaf_values)
    boards = cross_validated(samples, fitted, (1_000,), apart={"": fitted.forest, "numbers": dull})
    found = {board.system: board.mean(1_000) for board in boards}
    _, row = ablation_rows({"samples": boards})
    earned = 100 * (found["grown without it"] - found["grown without it and without numbers"])
    assert row[0] == "numbers, never learned from"
    assert float(row[1].split()[0]) == pytest.approx(earned, abs=0.051)
    assert earned > 5


def test_what_is_tried_out_besides(samples, given):  # noqa: F811
    """Stopping reads less and finds no more; without lexicons some question reads otherwise; predictions are kept."""
    fitted = fit_examples(given, **FEW)
    kept = []
    trials = crossfit.Trials(confident=(0.5, 0.9), keep=lambda name, one: kept.append((name, one)))
    base, half, nine = cross_validated(samples, fitted, (2_000,), trials=trials)
    used = [board.figures(2_000).used_tokens for board in (base, half, nine)]
    assert used[1] < used[2] <= used[0]
    assert half.mean(2_000) <= base.mean(2_000)
    header, first, second = crossfit.stopping_rows({"samples": [base, half, nine]})
    assert header == ("tokens saved, points lost", "until", "2,000")
    assert (first[1], second[1]) == ("0.5", "0.9")
    assert first[2] == f"{100 * (1 - used[1] / used[0]):.0f} %, {100 * (base.mean(2_000) - half.mean(2_000)):.1f}"
    assert len(kept) == 3 * len(samples.scored)
    assert {name for name, _ in kept} == {samples.name}
    without = []
    bare = crossfit.Trials(lexicons=(), keep=lambda _, one: without.append(one))
    cross_validated(samples, fitted, (2_000,), trials=bare)
    as_it_is = {one.id: one.spans for _, one in kept if one.system == base.system}
    assert any(as_it_is[one.id] != one.spans for one in without)


class TestCommand:
    def run(self, *args):
        return CliRunner().invoke(main, ["eval", "fit", *map(str, args)], env={"COLUMNS": "100", "NO_COLOR": "1"})

    def test_it_learns_tells_and_writes(self, samples, tmp_path):  # noqa: F811
        """Tables on standard output, what was done on standard error; the weights name the command, no paths."""
        out = tmp_path / "w.npz"
        few = ("--folds", "2", "--rounds", "12", "--budgets", "500,2k")
        done = self.run(samples.folder, *few, "--markdown", "--out", out)
        assert done.exit_code == 0, done.output
        assert "| samples | " in done.stdout
        assert "| estimated % | found % | passages |" in done.stdout
        assert f"{len(samples.scored)} questions" in done.stderr
        assert Forest.load(out).origin["command"] == "hierarchy eval fit samples --folds 2 --rounds 12 --out w.npz"

    def test_a_set_left_out_stands_beside_the_formula(self, samples, tmp_path):  # noqa: F811
        """Two sets that share nothing."""
        folders = []
        for kind, doc in (("pdfs", "annual_report"), ("docs", "patient_chart")):
            for half in range(2):
                folder = tmp_path / f"{kind}{half}"
                shutil.copytree(samples.folder / kind, folder / kind)
                lines = (samples.folder / "cases.jsonl").read_text("utf-8").splitlines()
                mine = [line for line in lines if json.loads(line)["doc_id"] == doc][half:12:2]
                (folder / "cases.jsonl").write_text("\n".join(mine), "utf-8")
                folders.append(folder)
        # A family left out must leave two groups to learn from.
        (folders[0] / "pdfs" / "annual_report.pdf").rename(folders[0] / "pdfs" / "zeta.pdf")
        path = folders[0] / "cases.jsonl"
        path.write_text(path.read_text("utf-8").replace('"annual_report"', '"zeta"'), "utf-8")
        few = ("--folds", "5", "--rounds", "5", "--budgets", "1k")
        done = self.run(*folders, *few, "--leave-out", "--out", tmp_path / "w.npz")
        assert done.exit_code == 0, done.output
        for kind in ("cross-validated", "grown without it", "fixed formula"):
            assert done.stdout.count(kind) == len(folders)
        done = self.run(*folders, *few, "--leave-out", "--ablate", "numbers", "--out", tmp_path / "w.npz")
        assert done.exit_code == 0, done.output
        assert done.stdout.count("grown without it and without numbers") == len(folders)
        assert len(re.findall("^numbers(?:, never learned from)?  ", done.stdout, re.MULTILINE)) == 2

    def test_each_set_is_read_by_weights_grown_without_it(self, samples, tmp_path, monkeypatch):  # noqa: F811
        """Whole and without a group, each set its own."""
        given_to, real = {}, cross_validated
        grown = lambda _, without=(), **others: {"samples": tuple(without), "other": "not this"}  # noqa: E731

        def scored(dataset, *args, apart, **others):
            given_to[dataset.name] = apart
            return real(dataset, *args, **others)

        monkeypatch.setattr(crossfit, "grown_apart", grown)
        monkeypatch.setattr(crossfit, "cross_validated", scored)
        few = ("--folds", "2", "--rounds", "2", "--budgets", "500", "--leave-out", "--ablate", "results")
        done = self.run(samples.folder, *few, "--out", tmp_path / "w.npz")
        assert done.exit_code == 0, done.output
        assert given_to == {"samples": {"": (), "results": tuple(GROUPS["results"])}}

    def test_what_a_group_of_features_earns(self, samples, tmp_path):  # noqa: F811
        """A row a group: by how much its own row above is poorer, with the interval; the weights are those of all."""
        few = ("--folds", "2", "--rounds", "5", "--budgets", "500,1k", "--markdown")
        plain, ablated = tmp_path / "plain" / "w.npz", tmp_path / "ablated" / "w.npz"
        assert self.run(samples.folder, *few, "--out", plain).exit_code == 0
        done = self.run(samples.folder, *few, "--ablate", "numbers, own match+numbers", "--out", ablated)
        assert done.exit_code == 0, done.output
        assert "| samples | 53 | cross-validated, without numbers |" in done.stdout
        rows = dict(re.findall(r"^\| samples \| 53 \| cross-validated(.*?) \| (.*) \|$", done.stdout, re.MULTILINE))
        means = {name: np.mean([float(cell) for cell in cells.split(" | ")]) for name, cells in rows.items()}
        number = r"([+-]\d+\.\d)"
        for name in ("numbers", "own match+numbers"):
            row = re.search(rf"^\| {re.escape(name)} \| {number} \[{number}, {number}\] \|$", done.stdout, re.MULTILINE)
            mean, low, high = map(float, row.groups())
            assert mean == pytest.approx(means[""] - means[f", without {name}"], abs=0.11)
            assert low <= mean <= high
        assert means[""] != means[", without own match+numbers"]
        assert plain.read_bytes() == ablated.read_bytes()
        failed = self.run(samples.folder, *few, "--ablate", "colours", "--out", ablated)
        assert failed.exit_code == 3
        assert "own match, other sizes" in failed.output

    def test_meaning_is_learned_from_where_it_is_asked_for(self, samples, tmp_path, meaning_by_concept):  # noqa: F811
        """It is worked out once for describing and reading, and kept in a store; other weights don't look at it."""
        few = ("--folds", "2", "--rounds", "5", "--budgets", "1k")
        out, plain, kept = (tmp_path / name for name in ("w.npz", "plain.npz", "s.sqlite"))
        done = self.run(samples.folder, *few, "--semantic", "--store", kept, "--ablate", "semantic", "--out", out)
        assert done.exit_code == 0, done.output
        assert set(SEMANTIC) <= set(Forest.load(out).features)
        assert "--semantic" in Forest.load(out).origin["command"]
        passages = [text for text in meaning_by_concept if not text.endswith("?")]
        assert len(passages) > 100
        meaning_by_concept.clear()
        assert self.run(samples.folder, *few, "--semantic", "--store", kept, "--out", out).exit_code == 0
        assert not [text for text in meaning_by_concept if text in passages and text]
        meaning_by_concept.clear()
        assert self.run(samples.folder, *few, "--out", plain).exit_code == 0
        assert meaning_by_concept == []
        assert set(SEMANTIC).isdisjoint(Forest.load(plain).features)
        assert Forest.load(plain).origin["data"] != Forest.load(out).origin["data"]
        assert self.run(samples.folder, *few, "--ablate", "semantic", "--out", plain).exit_code == 3

    def test_replies_are_learned_from_and_told_apart(self, samples, tmp_path):  # noqa: F811
        """Cases with a reply stand in rows of their own, routed and as they are; weights say how many there were."""
        folder, out = tmp_path / "samples", tmp_path / "w.npz"
        shutil.copytree(samples.folder, folder)
        ids = [case.id for case in samples.scored]
        lines = [json.dumps({"id": id_, "terms": [f"net income {n}"]}) for n, id_ in enumerate(ids[:7])]
        few = ("--folds", "2", "--rounds", "5", "--budgets", "2k", "--markdown", "--replies", "--out", out)
        assert self.run(folder, *few).exit_code == 3
        (folder / "route_replies.jsonl").write_text("\n".join(lines), "utf-8")
        done = self.run(folder, *few)
        assert done.exit_code == 0, done.output
        assert f"| samples | {len(ids)} | cross-validated |" in done.stdout
        assert "| samples | 7 | cross-validated, those with replies |" in done.stdout
        for form in ("full", "lean"):
            assert f"| samples | 7 | cross-validated, routed in the {form} form |" in done.stdout
        origin = Forest.load(out).origin
        assert origin["questions"] == {"samples": len(ids)}
        assert "| samples | 3 | cross-validated, routed by replies to other questions |" in done.stdout
        assert origin["routed"] == {"samples": 14 + 3}
        assert origin["command"].endswith("--replies --out w.npz")

    def test_what_cannot_be(self, samples, tmp_path):  # noqa: F811
        """A set given twice; budgets that aren't any."""
        out = ("--out", tmp_path / "w.npz")
        assert self.run(samples.folder, samples.folder, *out).exit_code == 3
        assert self.run(samples.folder, "--budgets", "much", *out).exit_code == 2
        assert not (tmp_path / "w.npz").exists()

    def test_the_help_says_how_many_trees_are_usual(self):
        """Written out there, so that help needn't import NumPy."""
        assert next(option.default for option in fit.params if option.name == "rounds") == ROUNDS
