"""Reading sets, and telling what is wrong with one."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from reportlab.pdfgen.canvas import Canvas

from hierarchy.errors import InputError
from hierarchy.evaluation.metrics import PdfSource, TextSource, read_source
from hierarchy.evaluation.predictions import PageSpan, TextSpan
from hierarchy.evaluation.sets import Case, EvaluationSet, document_texts, load_document, load_set, pdf_page_texts


def write_set(folder, cases, texts=()):
    folder.mkdir(exist_ok=True)
    for name, text in dict(texts).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    lines = [json.dumps({"id": f"c{n}", "doc_id": "d", "question": "?", **case}) for n, case in enumerate(cases)]
    (folder / "cases.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def write_pdf(path, pages):
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas = Canvas(str(path))
    for lines in pages:
        for number, line in enumerate(lines):
            canvas.drawString(72, 720 - 14 * number, line)
        canvas.showPage()
    canvas.save()


def test_a_case_keeps_all_that_its_line_says(tmp_path):
    """Every field arrives, lists as tuples, a missing answer as None."""
    evidence = [{"start": 0, "end": 3, "text": "One", "group": 4}]
    full = {"answer": ["x", "y"], "evidence": evidence, "split": "dev", "choices": ["x", "y", "z"], "kind": "list"}
    dataset = load_set(write_set(tmp_path / "s", [full, {"answer": None}], {"docs/d.txt": "One two"}))
    case, bare = dataset.cases
    assert (dataset.name, case.answer, case.split, case.choices, case.kind) == (
        "s", ("x", "y"), "dev", ("x", "y", "z"), "list"
    )  # fmt: skip
    assert (case.evidence[0].span, case.evidence[0].group, case.evidence[0].text) == (
        TextSpan(start=0, end=3), "4", "One"
    )  # fmt: skip
    assert bare == Case(id="c1", doc_id="d", question="?")
    assert dataset.scored == (case,)
    assert dataset.notes == ()


def test_a_split_keeps_its_cases_and_those_of_none(tmp_path):
    """A case that names no split belongs to each; a split without cases is an error."""
    folder = write_set(tmp_path, [{"split": "dev"}, {"split": "test"}, {}], {"docs/d.txt": "One"})
    assert [case.id for case in load_set(folder, "dev").cases] == ["c0", "c2"]
    assert len(load_set(folder).cases) == 3
    (tmp_path / "cases.jsonl").write_text('{"id": "a", "doc_id": "d", "question": "?", "split": "test"}\n')
    with pytest.raises(InputError, match="no case of split 'dev'"):
        load_set(folder, "dev")


def test_cases_are_grouped_by_document(tmp_path):
    """Documents come in order of their first case, and each only once."""
    cases = [{"doc_id": "b"}, {"doc_id": "a"}, {"doc_id": "b"}]
    dataset = load_set(write_set(tmp_path, cases, {"docs/a.txt": "A", "docs/b.md": "B"}))
    assert [(doc, [case.id for case in group]) for doc, group in dataset.by_document()] == [
        ("b", ["c0", "c2"]), ("a", ["c1"])
    ]  # fmt: skip


def test_texts_are_the_files_character_for_character(tmp_path):
    """No line feed is converted and no mark dropped, or evidence would stand elsewhere; the document says the same."""
    text = "\ufeffOne\r\ntwo\x0c — 𓀀\n\n# Three\n"
    write_set(tmp_path, [{}], {"docs/d.txt": text})
    assert document_texts(tmp_path, "d") == {None: text}
    assert load_document(tmp_path, "d").text == text


def test_a_folder_is_one_document_with_nested_files_in_order(tmp_path):
    """Files are named by their path below the folder; evidence names them the same way."""
    files = {"corpora/d/b.txt": "Two", "corpora/d/a/z.md": "One", "corpora/d/c.pdf": "no text"}
    evidence = [{"file": "a/z.md", "start": 0, "end": 3}]
    folder = write_set(tmp_path, [{"evidence": evidence}], files)
    document = load_document(folder, "d")
    assert load_set(folder).cases[0].evidence[0].span == TextSpan(start=0, end=3, file="a/z.md")
    assert [(file.name, file.text) for file in document.files] == [("a/z.md", "One"), ("b.txt", "Two")]
    assert set(document_texts(folder, "d")) == {"a/z.md", "b.txt"}
    assert isinstance(read_source(folder, "d", load_set(folder).cases), TextSource)


def test_an_empty_file_of_a_folder_is_kept_as_it_is(tmp_path):
    """It has a name and no text; the rest of the folder is read all the same."""
    write_set(tmp_path, [{}], {"corpora/d/a.txt": "", "corpora/d/b.txt": " \n", "corpora/d/c.txt": "One"})
    assert [(file.name, file.text) for file in load_document(tmp_path, "d").files] == [
        ("a.txt", ""), ("b.txt", " \n"), ("c.txt", "One")
    ]  # fmt: skip


def test_pages_of_a_pdf_count_from_zero(tmp_path):
    """Evidence names a page from 0, and the texts that it's checked on are in that order."""
    write_pdf(tmp_path / "pdfs/d.pdf", [["First page"], ["Second page", "Revenue 100"]])
    folder = write_set(tmp_path, [{"evidence": [{"page": 1, "text": "Revenue 100"}]}])
    assert load_set(folder).cases[0].evidence[0].span == PageSpan(page=1, text="Revenue 100")
    texts = pdf_page_texts(folder, "d")
    assert list(texts) == [0, 1]
    assert "First" in texts[0]
    assert "Revenue" in texts[1]
    source = read_source(folder, "d", load_set(folder).cases)
    assert isinstance(source, PdfSource)
    assert list(source.pages) == [1]
    assert source.pages[1]["100"] == 1
    document = load_document(folder, "d")
    assert (document.media, len(document.pages)) == ("pdf", 2)


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([{"doc_id": "x"}], "no document 'x'"),
        ([{"evidence": [{"start": 0, "end": 9}]}], "0–9 lies outside a text of 7"),
        ([{"evidence": [{"start": 3, "end": 3}]}], "3–3 lies outside"),
        ([{"evidence": [{"page": 0, "text": "One"}]}], "needs start and end"),
        ([{"id": "c"}, {"id": "c"}], "line 2: there is a case 'c' before"),
        ([{}, {"question": None}], "line 2: not a case .question must be text"),
        ([{}, {"evidence": [{"start": 0}]}], "line 2: 'end' is missing"),
    ],
)
def test_what_is_wrong_with_a_set_is_said_with_its_place(tmp_path, cases, message):
    """Each mistake names its line or case, so that it can be mended."""
    with pytest.raises(InputError, match=message):
        load_set(write_set(tmp_path, cases, {"docs/d.txt": "One two"}))


def test_missing_or_broken_files_are_said_by_name(tmp_path):
    """No cases.jsonl, a line that isn't JSON, and a text in another encoding are three different messages."""
    with pytest.raises(InputError, match=r"cases\.jsonl can't be read"):
        load_set(tmp_path)
    (tmp_path / "cases.jsonl").write_text('\n{"id": \n')
    with pytest.raises(InputError, match="line 2: not a case"):
        load_set(tmp_path)
    write_set(tmp_path, [{}])
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/d.txt").write_bytes(b"caf\xe9")
    with pytest.raises(InputError, match="isn't UTF-8: byte 3"):
        load_set(tmp_path)


def test_evidence_on_a_page_that_is_not_there_is_refused(tmp_path):
    """A page counted from 1 would otherwise show only as evidence that nobody finds."""
    write_pdf(tmp_path / "pdfs/d.pdf", [["Only page"]])
    with pytest.raises(InputError, match="page 1 of d, which has 1"):
        load_set(write_set(tmp_path, [{"evidence": [{"page": 1, "text": "Only"}]}]))


def test_evidence_that_reads_otherwise_is_noted(tmp_path):
    """Quoted evidence may be cleaned up by a set's makers: worth a note, no reason to refuse the set."""
    evidence = [{"start": 0, "end": 3, "text": "Two"}]
    dataset = load_set(write_set(tmp_path, [{"evidence": evidence}], {"docs/d.txt": "One two"}))
    assert dataset.notes == ("1 cases quote evidence that doesn't read so at its characters: c0.",)


def test_a_sample_is_drawn_by_ids_and_grows(tmp_path):
    """In the set's order, the same whatever the order of the file, and a smaller one is part of a larger one."""
    cases = tuple(Case(id=f"case {number}", doc_id="d", question="?") for number in range(40))
    whole = EvaluationSet(folder=tmp_path, cases=cases)
    samples = [whole.sample(limit).cases for limit in range(1, 41)]
    assert [len(sample) for sample in samples] == list(range(1, 41))
    for small, large in pairwise(samples):
        assert [case for case in large if case in small] == list(small)
    turned = EvaluationSet(folder=tmp_path, cases=cases[::-1]).sample(7).cases
    assert turned[::-1] == samples[6]
    assert whole.sample(None) is whole.sample(99) is whole
    assert [case.id for case in samples[6]] != [f"case {number}" for number in range(7)]
