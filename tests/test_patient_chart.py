"""The medical sample: its questions point at real passages; the chart is as long and contradictory as claimed."""

from __future__ import annotations

import importlib.util
import json
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "hierarchy" / "samples"
SCRIPT = ROOT / "examples" / "reports" / "patient_chart_questions.py"
COPIED_FORWARD = "(copied forward from "
HEADING = re.compile(r"^#{1,6} .*$", re.MULTILINE)

# Both readings of each contradiction, word for word; the name says what the two disagree about.
CONTRADICTIONS = {
    "penicillin": [
        "| Penicillin | Anaphylaxis | GP summary on transfer of records | 2003 |",
        "**Conclusion: not allergic to penicillin.",
        "Allergy band: PENICILLIN ANAPHYLAXIS.",
    ],
    "apixaban dose": [
        "| Apixaban | – | 5 mg twice daily from 22 June |",
        "Anticoagulation changed to apixaban 2.5 mg twice daily from 22 June.",
    ],
    "bisoprolol dose": ["bisoprolol 10 mg daily (was 7.5)", "the community pharmacy has never dispensed 10 mg."],
    "amiodarone stopped, still listed": [
        "**Amiodarone stopped today**, three months having passed;",
        "| Amiodarone | 200 mg daily | Take on the day |",
    ],
    "spironolactone stopped, back again": [
        "| Spironolactone | 25 mg daily | Stopped | Potassium 6.2; do not restart without nephrology |",
        "Repeat template brought into line: spironolactone 25 mg daily added.",
    ],
    "side of the nodule": [
        "apicoposterior segment of the left upper lobe.",
        "the 7 mm nodule lies in the posterior segment of the RIGHT upper lobe",
    ],
    "side of the wrist": ["Right wrist, two views: no fracture.", "The body part examined is the LEFT wrist."],
    "side on the consent form": ['"LEFT VATS wedge resection"', '"RIGHT" written above, initialled by patient'],
    "date of the gastroscopy": [
        "Gastroscopy on 26 June 2021 showed",
        "## 16 June 2021, 08:35. Gastroscopy report",
        "The gastroscopy took place on 16 June 2021;",
    ],
    "kilograms and pounds": ["**Weight: 187 kg.**", "Weight 187 lb (84.8 kg) on standing scale"],
    "creatinine units": ["| Creatinine | 2.1 H | mg/dL | 0.7–1.3 |", "Creatinine 179 µmol/L, eGFR 32"],
    "ejection fraction by method": [
        "Ejection fraction by biplane Simpson averaged over five beats 40–45 %.",
        "| LV ejection fraction | 35 % | 55–79 % |",
    ],
    "oxygen on 7 February 2020": [
        "(copied forward from 6 February)\n\nComfortable on 2 L oxygen by nasal cannula",
        "| 7 Feb 06:00 | 92 | 112/68 | 18 | 94 | Air |",
    ],
    "blood culture": ["Staphylococcus aureus not excluded;", "This report supersedes the preliminary one."],
    "lung pathology": ["Favour adenocarcinoma, well differentiated.", "**Diagnosis: typical carcinoid tumour, 13 mm,"],
    "Helicobacter": ["rapid urease (CLO) test: negative at 24 hours.", "typical of Helicobacter pylori."],
    "pack-years": [
        "Ex-smoker, 20 pack-years.",
        "Ex-smoker since 2010, 45 pack-years.",
        "That makes 35 pack-years.",
        "Smoking 45 pack-years.",
    ],
    "naproxen": [
        "he denies any aspirin, ibuprofen, naproxen or other anti-inflammatory since 2019",
        "the patient tells me that he took naproxen 250 mg, two or three a day,",
        "No anti-inflammatory drug was implicated.",
    ],
    "resuscitation": [
        "For full escalation including cardiopulmonary resuscitation. Entered 15 June 2021",
        "If his heart stops he does not want cardiopulmonary resuscitation.",
    ],
    "power of attorney": ["Lasting power of attorney: none registered.", "registered in favour of Rhys and Philippa"],
    "household": ["Lives with wife. Independent, drives.", "Maud died at St Audrey's Hospice on 19 January"],
    "HbA1c of September 2021": ['"excellent control". We do not believe it.', "fructosamine is 341 µmol/L (205–285)."],
}


@pytest.fixture(scope="module")
def chart() -> str:
    return (SAMPLES / "patient_chart.md").read_bytes().decode("utf-8")


@pytest.fixture(scope="module")
def questions() -> list[dict[str, Any]]:
    lines = (SAMPLES / "patient_chart.questions.jsonl").read_bytes().decode("utf-8").split("\n")
    assert lines.pop() == ""
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("patient_chart_questions", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def entries(chart: str) -> list[tuple[str, str]]:
    """Return each heading line with the text between it and the next heading."""
    headings = list(HEADING.finditer(chart))
    ends = [heading.start() for heading in headings[1:]] + [len(chart)]
    return [(heading.group(), chart[heading.end() : end].strip()) for heading, end in zip(headings, ends, strict=True)]


def sentences(text: str) -> list[str]:
    """Return the sentences of twelve words or more, tables left out."""
    prose = [line for line in text.split("\n") if not line.startswith("|")]
    parts = (part for line in prose for part in re.split(r"(?<=[.!?])\s+", line))
    return [part for part in parts if len(part.split()) >= 12]


def test_questions_are_reproducible(chart, script):
    """The committed questions are, byte for byte, what the script derives from the committed chart."""
    written = (SAMPLES / "patient_chart.questions.jsonl").read_bytes()
    assert script.render(chart, script.QUESTIONS).encode("utf-8") == written


def test_every_span_is_its_text(chart, questions):
    """Each evidence span, cut from the chart by its offsets, is the text it claims to be, and is not blank."""
    spans = [span for question in questions for span in question["evidence"]]
    assert spans
    for span in spans:
        assert chart[span["start"] : span["end"]] == span["text"]
        assert span["text"].strip()


def test_shape_of_the_questions(questions):
    """There are enough questions of each kind, with unique names and groups that count up from zero."""
    assert len({question["id"] for question in questions}) == len(questions) >= 16
    kinds = Counter(question["kind"] for question in questions)
    assert set(kinds) == {"lookup", "table", "trend", "contradiction", "reasoning", "unanswerable"}
    assert kinds["table"] >= 4
    assert kinds["contradiction"] >= 8
    assert 2 <= kinds["unanswerable"] <= 3
    for question in questions:
        assert list(question) == ["id", "doc_id", "question", "answer", "evidence", "split", "kind"]
        assert (question["doc_id"], question["split"]) == ("patient_chart", "dev")
        assert (question["answer"] is None) == (not question["evidence"]) == (question["kind"] == "unanswerable")
        groups = {span["group"] for span in question["evidence"]}
        assert groups == set(range(len(groups)))


def test_quotes_must_be_found_exactly_once(script):
    """A quote that is missing, ambiguous or out of its count stops the script; a counted one is found by its place."""
    assert script.locate("one two one", "two") == (4, 7)
    assert script.locate("one two one", script.Quote("one", 2)) == (8, 11)
    for quote in ("three", "one", script.Quote("one", 3), script.Quote("one", 0)):
        with pytest.raises(script.QuoteError):
            script.locate("one two one", quote)


def test_chart_is_long_and_marked_as_fiction(chart, monkeypatch):
    """The chart says at its head that it is fiction, has plain line ends and holds 25,000 tokens or more."""
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    vocabularies = Path(spec.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    import tiktoken

    assert "This record is fiction." in chart[:300]
    assert "\r" not in chart
    assert len(tiktoken.get_encoding("cl100k_base").encode(chart)) >= 25_000


def test_only_the_copied_entry_repeats_itself(chart):
    """No sentence of twelve words or more occurs twice, except in the entry marked as copied from the one above."""
    chapters = entries(chart)
    copies = [(before, after) for before, after in pairwise(chapters) if COPIED_FORWARD in after[0]]
    assert len(copies) == 1
    (_, original), (_, copy) = copies[0]
    assert copy == original
    seen = Counter(
        sentence for heading, text in chapters if COPIED_FORWARD not in heading for sentence in sentences(text)
    )
    assert len(seen) > 300
    assert [sentence for sentence, times in seen.items() if times > 1] == []


def test_headings_are_unique(chart):
    """No two entries share a heading, so that an entry can be cited by it."""
    assert [heading for heading, times in Counter(HEADING.findall(chart)).items() if times > 1] == []


def test_tables_are_rectangular(chart):
    """Every table has a header, a rule beneath it, and the same number of cells in each row."""
    tables = re.findall(r"(?:^\|.*\n)+", chart, re.MULTILINE)
    assert len(tables) > 25
    for table in tables:
        rows = [line.strip().strip("|").split("|") for line in table.splitlines()]
        assert len(rows) >= 3, table
        assert all(line.endswith("|") for line in table.splitlines()), table
        assert all(cell == "---" for cell in rows[1]), table
        assert len({len(row) for row in rows}) == 1, table


@pytest.mark.parametrize("name", CONTRADICTIONS)
def test_contradictions_are_there(chart, name):
    """Each deliberate contradiction stands in the chart with all its readings, each found exactly once."""
    assert [chart.count(reading) for reading in CONTRADICTIONS[name]] == [1] * len(CONTRADICTIONS[name])


def test_filtration_follows_from_creatinine(chart):
    """In each laboratory table the eGFR is the CKD-EPI 2009 value of the creatinine beside it, for a man of his age."""
    checked = 0
    for table in re.findall(r"(?:^\|.*\n)+", chart, re.MULTILINE):
        rows = {
            line.split("|")[1].strip(): [cell.strip() for cell in line.split("|")[4:-1]] for line in table.splitlines()
        }
        rates = next((cells for name, cells in rows.items() if name.startswith("eGFR")), None)
        if rates is None or "Creatinine" not in rows:
            continue
        for date, creatinine, rate in zip(rows["Test"], rows["Creatinine"], rates, strict=True):
            words = date.split()
            # His birthday is in mid-March: the rows of Mar 2019 and Mar 2021 were drawn before it, as was Mar 2023.
            early = words[-2] in {"Jan", "Feb", "Mar"}
            age = int(words[-1]) - 1951 - early
            value = float(creatinine.split()[0])
            expected = 141 * (value / 79.6) ** -1.209 * 0.993**age
            assert abs(float(rate.split()[0]) - expected) <= 1, (date, value, rate)
            checked += 1
    assert checked >= 25
