"""`hierarchy eval gym`: tables that can be had again, for people and for Markdown."""

import pytest
from click.testing import CliRunner

from hierarchy.cli import main

QUICK = ("--trees", "2", "--leaves", "100")


@pytest.fixture(autouse=True)
def plain(monkeypatch):
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")


def run(*args):
    return CliRunner().invoke(main, ["eval", "gym", *args], catch_exceptions=False)


def test_it_says_who_wins_and_what_guards_cost():
    """All studies, each under a sentence that says what its figures are."""
    done = run(*QUICK)
    assert done.exit_code == 0
    for part in (
        "Regret on small trees",
        "exact optimum",
        "Covered on 2 large trees",
        "is ahead",
        "What a guard brings",
    ):
        assert part in done.stdout
    for policy in ("expected gain", "knapsack", "uniform", "floor 25 %"):
        assert policy in done.stdout
    assert "over budget: 0; leaves of the default that a larger budget loses: 0" in done.stdout


def test_stopping_is_a_study_of_its_own_and_seeds_decide():
    """Equal seeds give equal tables, others don't; Markdown is Markdown."""
    first, again, other = (run(*QUICK, "--stopping", "--markdown", "--seed", seed) for seed in ("1", "1", "2"))
    assert first.stdout == again.stdout != other.stdout
    assert "| rule | level | perfect | noisy | overconfident | blind |\n|---|" in first.stdout
    assert "| every need | 0.9 |" in first.stdout


def test_the_label_can_be_free():
    """What a stretch costs besides its text decides how much is read."""
    free, dear = (run(*QUICK, "--stopping", "--label", label).stdout for label in ("0", "60"))
    assert free != dear
