"""The shelf: what sessions know of a store."""

from __future__ import annotations

import sqlite3

from documents import long_text

from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.events import Noted
from hierarchy.models import FunctionModel

AGREEMENT = Document(name="agreement.txt", text=long_text(110))


def test_a_trace_does_not_tell_where_the_store_is(tmp_path):
    """What goes wrong with a store is noted under its file's name: whose folder it lies in is nobody's business."""
    place = tmp_path / "somebody" / "replies.db"
    place.parent.mkdir()

    def reply(_):
        with sqlite3.connect(place) as store:
            store.execute("DROP TABLE IF EXISTS completions")
        return "[]"

    answer = Reasoner(FunctionModel(reply), way="staged", store=place).ask(AGREEMENT, "What is clause 57?", 2_000)
    notes = [noted.what for noted in answer.trace.of(Noted)]
    assert any("replies.db" in note for note in notes)
    assert str(tmp_path) not in answer.trace.to_jsonl()
    assert "somebody" not in answer.trace.to_jsonl()
