"""Where a model routes and answers well, most questions need one round and few tokens, whatever the budget."""

import importlib.util
import statistics
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent.parent / "examples" / "staged_reading.py"
spec = importlib.util.spec_from_file_location("staged_reading", EXAMPLE)
example = importlib.util.module_from_spec(spec)
sys.modules[spec.name] = example
spec.loader.exec_module(example)
run, SCRIPTS = example.run, example.SCRIPTS


def test_a_budget_is_a_cap_and_no_target():
    """All ten questions are answered at 8k for a median of under 2k; four times the budget costs no token more."""
    at_8k, at_32k = run(8_000), run(32_000)
    assert len(at_8k) == len(SCRIPTS) == 10
    assert all(row["answered"] for row in at_8k)
    assert statistics.median(row["tokens"] for row in at_8k) <= 2_000
    assert [row["tokens"] for row in at_8k] == [row["tokens"] for row in at_32k]


def test_what_was_missed_is_found_in_a_second_round():
    """Some of the ten take one; none takes more than is allowed, and a small budget leaves them open."""
    rounds = [row["rounds"] for row in run(8_000)]
    assert set(rounds) == {1, 2}
    small = run(2_000)
    assert all(row["tokens"] <= 2_000 for row in small)
    assert all(row["answered"] or row["missing"] for row in small)
