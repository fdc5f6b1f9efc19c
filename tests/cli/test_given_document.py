"""Finding a trace's document: by its name, near the trace, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from documents import chart

from hierarchy.cli.given_document import found_document
from hierarchy.engine import Reasoner
from hierarchy.errors import InputError
from hierarchy.events import Started
from hierarchy.trace import Trace


@pytest.fixture
def trace(tmp_path):
    """Of a question over a chart that lies beside it."""
    (tmp_path / "chart.md").write_text(chart().text, encoding="utf-8")
    return Reasoner().ask(tmp_path / "chart.md", "When was warfarin stopped?", 900).trace


def naming(trace, name):
    """The same trace, of a document of another name."""
    return Trace(tuple(replace(event, document=name) if isinstance(event, Started) else event for event in trace))


def test_beside_the_trace_or_where_it_is_said_to_be(trace, tmp_path):
    """Also from another folder; a document that has changed isn't taken."""
    tree = found_document(trace, None, tmp_path / "run.jsonl")
    assert tree is not None
    assert tree.document.key == trace.of(Started)[0].document_key
    assert found_document(trace, str(tmp_path / "chart.md"), tmp_path / "elsewhere" / "run.jsonl") is not None
    assert found_document(trace, None, tmp_path / "elsewhere" / "run.jsonl") is None
    (tmp_path / "chart.md").write_text("Another.", encoding="utf-8")
    assert found_document(trace, None, tmp_path / "run.jsonl") is None
    with pytest.raises(InputError, match="isn't the document"):
        found_document(trace, str(tmp_path / "chart.md"), tmp_path / "run.jsonl")


def test_a_trace_can_not_have_other_files_read(trace, tmp_path, monkeypatch):
    """A name that leads elsewhere, to standard input or a whole folder isn't followed: traces may be anybody's."""
    read = []
    monkeypatch.setattr("hierarchy.loaders.load", read.append)
    inner = tmp_path / "inner"
    inner.mkdir()
    names = (str(tmp_path / "chart.md"), "../chart.md", "inner/../chart.md", "", ".", "..", "-", "x" * 5_000, "a\0b")
    for name in names:
        assert found_document(naming(trace, name), None, inner / "run.jsonl") is None
    assert read == []
