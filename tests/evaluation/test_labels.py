"""What passages are worth for a question, held against what one can count by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from reportlab.pdfgen.canvas import Canvas

from hierarchy.evaluation.labels import examples, labels_of
from hierarchy.evaluation.sets import load_document, load_set
from hierarchy.planner import outline
from hierarchy.relevance.features import FEATURES

TEXT = "Alpha has ten units. Beta has nine units. Gamma has four units.\n\nDelta has none at all."


def write(folder, cases, texts=()):
    for name, text in dict(texts).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    folder.mkdir(exist_ok=True)
    lines = [json.dumps({"id": f"c{n}", "doc_id": "d", "question": "?", **case}) for n, case in enumerate(cases)]
    (folder / "cases.jsonl").write_text("\n".join(lines), encoding="utf-8")
    return load_set(folder)


def span(text, group=0, whole=TEXT, **more):
    start = whole.index(text)
    return {"start": start, "end": start + len(text), "group": group, **more}


def leaf_labels(dataset, case=0):
    """The label of every leaf, by its first word."""
    one = dataset.cases[case]
    tree = outline(load_document(dataset.folder, one.doc_id))
    labels = labels_of(tree, one, tree.leaf_nodes)
    words = [text.split()[0] for text in tree.leaf_texts()]
    return dict(zip(words, labels.tolist(), strict=True)), labels_of(tree, one, np.array([0]))[0]


class TestTexts:
    def test_a_passage_that_holds_all(self, tmp_path):
        """Half for how much it holds, half for its being enough; the whole document is enough as well."""
        labels, root = leaf_labels(
            write(tmp_path, [{"evidence": [span("Beta has nine units.")]}], {"docs/d.txt": TEXT})
        )
        assert labels == {"Alpha": 0, "Beta": 1, "Gamma": 0, "Delta": 0}
        assert root == 1

    def test_a_passage_that_holds_a_part(self, tmp_path):
        """Of 41 characters each sentence holds its own; since 80 % are enough, a share counts 1 / 0.8 times."""
        evidence = [span("Alpha has ten units. Beta has nine units.")]
        labels, root = leaf_labels(write(tmp_path, [{"evidence": evidence}], {"docs/d.txt": TEXT}))
        assert labels["Alpha"] == pytest.approx(0.5 * 21 / 41 / 0.8)
        assert labels["Beta"] == pytest.approx(0.5 * 20 / 41 / 0.8)
        assert (labels["Gamma"], root) == (0, 1)

    def test_four_fifths_are_enough(self, tmp_path):
        """A clipped first or last clause still answers."""
        evidence = [span("Beta has nine units. Gam")]
        labels, _ = leaf_labels(write(tmp_path, [{"evidence": evidence}], {"docs/d.txt": TEXT}))
        assert labels["Beta"] == 1
        assert labels["Gamma"] == pytest.approx(0.5 * 3 / 24 / 0.8)

    def test_the_best_group_counts(self, tmp_path):
        """Each group alone suffices; stretches of one group belong together."""
        evidence = [span("Alpha has ten units."), span("Delta has none at all."), span("Gamma has four units.", 1)]
        labels, root = leaf_labels(write(tmp_path, [{"evidence": evidence}], {"docs/d.txt": TEXT}))
        assert labels["Gamma"] == 1
        assert labels["Alpha"] == pytest.approx(0.5 * 20 / 42 / 0.8)
        assert labels["Delta"] == pytest.approx(0.5 * 22 / 42 / 0.8)
        assert root == 1

    def test_evidence_in_a_folder_is_in_its_file(self, tmp_path):
        """The same characters of another file are none."""
        other = TEXT.replace("Beta", "Zeta")
        texts = {"corpora/d/a.txt": TEXT, "corpora/d/b.txt": other}
        labels, _ = leaf_labels(write(tmp_path, [{"evidence": [span("Beta has nine units.", file="a.txt")]}], texts))
        assert (labels["Beta"], labels["Zeta"]) == (1, 0)


def test_pages_count_by_content_words(tmp_path):
    """Half of a gold page's content words and numbers are enough; the same words on another page are none."""
    (tmp_path / "pdfs").mkdir()
    canvas = Canvas(str(tmp_path / "pdfs" / "d.pdf"))
    for lines in (["Cash was 40 million dollars."], ["Cash was 40 million dollars.", "Nothing else stands here."]):
        for number, line in enumerate(lines):
            canvas.drawString(72, 720 - 40 * number, line)
        canvas.showPage()
    canvas.save()
    text = "Cash 40 million dollars inventories receivables payables debts equity goodwill"
    dataset = write(tmp_path, [{"evidence": [{"page": 1, "text": text}]}])
    case = dataset.cases[0]
    tree = outline(load_document(tmp_path, "d"))
    labels = labels_of(tree, case, tree.leaf_nodes)
    by_page = {
        (int(page), words.split()[0]): label
        for page, words, label in zip(tree.leaves.page, tree.leaf_texts(), labels.tolist(), strict=True)
    }
    # Four of ten words, of which five would do.
    assert by_page == pytest.approx({(0, "Cash"): 0, (1, "Cash"): 0.5 * 0.4 / 0.5, (1, "Nothing"): 0})


def test_examples_are_the_questions_with_evidence(tmp_path):
    """Document by document, each with its described passages and a label for each."""
    evidence = [span("Beta has nine units.")]
    cases = [{"evidence": evidence}, {}, {"evidence": evidence, "question": "How many units has Beta?"}]
    found = list(examples(write(tmp_path, cases, {"docs/d.txt": TEXT})))
    assert [one.case.id for one in found] == ["c0", "c2"]
    for one in found:
        assert one.source == tmp_path.name
        assert one.rows.shape == (len(one.nodes), len(FEATURES))
        assert len(one.labels) == len(one.nodes)
        assert one.labels.max() == 1


def test_what_belongs_together(tmp_path):
    """A document; the filings of a company; an article by itself and in a folder."""
    texts = {"docs/art.txt": TEXT, "corpora/d/art.txt": TEXT, "corpora/d/b.txt": "Other."}
    cases = [
        {"doc_id": "art", "evidence": [span("Beta has nine units.")]},
        {"evidence": [span("Beta has nine units.", file="art.txt")]},
    ]
    assert [one.group for one in examples(write(tmp_path / "texts", cases, texts))] == ["art", "art"]
    folder = tmp_path / "filings"
    (folder / "pdfs").mkdir(parents=True)
    for name in ("ACME_2018_10K", "ACME_2019_10K", "ZETA_2018_10K"):
        canvas = Canvas(str(folder / "pdfs" / f"{name}.pdf"))
        canvas.drawString(72, 720, "Cash was 40 million.")
        canvas.save()
    filings = [
        {"doc_id": name, "evidence": [{"page": 0, "text": "Cash"}]}
        for name in ("ACME_2018_10K", "ACME_2019_10K", "ZETA_2018_10K")
    ]
    assert [one.group for one in examples(write(folder, filings))] == ["ACME", "ACME", "ZETA"]
