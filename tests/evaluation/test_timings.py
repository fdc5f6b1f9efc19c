"""The record of what runs cost."""

from __future__ import annotations

import json

import pytest

from hierarchy.errors import StoreError
from hierarchy.evaluation.timings import Timing, Timings, add_record, cpu_s, read_record, record_path, reuse


def spent(**systems):
    return Timings(documents=1, load_s=0.5, systems=systems)


def test_records_add_up_over_runs_and_systems(tmp_path):
    """A second run with another system adds its own, and the shared reading."""
    out = tmp_path / "p.jsonl"
    folder = tmp_path / "set"
    timing = Timing(documents=1, prepare_s=2.0, questions=4, first_s=2.0, predictions=8, question_s=3.0)
    add_record(out, folder, spent(head=timing), ["eval", "run"])
    add_record(out, folder, spent(head=timing, bm25=timing))
    record = read_record(out)
    assert record.folder == folder
    assert (record.timings.documents, record.timings.load_s) == (2, 1.0)
    assert record.timings.systems["head"].predictions == 16
    assert record.timings.systems["bm25"] == timing
    assert record.timings.total_s == 1.0 + 3 * 5.0
    assert record.versions["python"]


def test_a_run_that_did_nothing_changes_nothing(tmp_path):
    """Going on with a finished file leaves the record of the run that made it."""
    out = tmp_path / "p.jsonl"
    add_record(out, tmp_path, spent(head=Timing(documents=1)), ["first"])
    before = record_path(out).read_bytes()
    add_record(out, tmp_path, Timings.zero(["head"]), ["second"])
    assert record_path(out).read_bytes() == before


def test_it_names_neither_dates_nor_absolute_places(tmp_path):
    """The set is said relative to the record, so that both can be moved together."""
    out = tmp_path / "runs/p.jsonl"
    out.parent.mkdir()
    add_record(out, tmp_path / "set", spent())
    data = json.loads(record_path(out).read_text())
    assert data["set"] == "../set"
    assert str(tmp_path) not in record_path(out).read_text()


def test_a_question_costs_its_own_and_its_share_of_the_preparation():
    """At a hundred questions a document's preparation hardly counts; what wasn't timed has no cost."""
    timing = Timing(documents=2, prepare_s=2.0, questions=4, first_s=2.0, predictions=8, question_s=3.0)
    assert [timing.per_question(n) for n in (1, 10, 100)] == [1.5, 0.6, 0.51]
    assert Timing().per_question(1) is None


def test_reused_work_moves_the_clock():
    """As if it had been done again."""
    before = cpu_s()
    reuse(100.0)
    assert 100.0 <= cpu_s() - before < 150.0


@pytest.mark.parametrize("content", ["{", "[]", '{"hierarchy_run": 2}', '{"hierarchy_run": 1}'])
def test_a_damaged_record_is_an_error(tmp_path, content):
    """And none at all is none."""
    out = tmp_path / "p.jsonl"
    assert read_record(out) is None
    record_path(out).write_text(content)
    with pytest.raises(StoreError):
        read_record(out)
