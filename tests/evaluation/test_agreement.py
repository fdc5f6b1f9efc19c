"""The measure, written a second time from its published definition: both agree, to the last digit.

The second one is slow and plain on purpose: sets of characters, one at a time, fractions in place of floats, numpy only
where the definition itself draws with it. It shares no code with the first.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pypdfium2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reportlab.pdfgen.canvas import Canvas

from hierarchy.evaluation.figures import compare, score
from hierarchy.evaluation.metrics import TextSource, score_case
from hierarchy.evaluation.predictions import PageSpan, Prediction, TextSpan, read_predictions, to_line
from hierarchy.evaluation.sets import Case, Gold, load_set

BUDGETS = (1, 7, 30, 200)

# -- the definition ----------------------------------------------------------------------------------------------------

EMPTY_WORDS = set(
    "a also an and are as at be been but by can could did do does for from had has have how if in into is it its may "
    "no not of on or our should such than that the their then there these they this to us was we were what when where "
    "which who whom will with would".split()
)


def vocabulary():
    """cl100k_base, from the file that litellm's wheel carries."""
    folder = Path(find_spec("litellm").origin).parent / "litellm_core_utils" / "tokenizers"
    os.environ.setdefault("TIKTOKEN_CACHE_DIR", str(folder))
    import tiktoken

    return tiktoken.get_encoding("cl100k_base")


ENCODING = vocabulary()


def first_characters(text):
    """The character at which each token starts."""
    return ENCODING.decode_with_offsets(ENCODING.encode_ordinary(text))[1]


@dataclass
class Verdict:
    coverage: Fraction
    answerable: bool
    used: int
    over: bool
    groups: Fraction | None = None
    first: int | None = None


def verdict_on_text(groups, spans, budget, texts):
    """Groups and spans are (file, start, end); texts by file."""
    starts = {file: first_characters(text) for file, text in texts.items()}
    paid, seen, first, over = set(), set(), None, False

    def shares():
        for group in groups:
            wanted = [(file, at) for file, start, end in group for at in range(start, end)]
            yield Fraction(sum(place in seen for place in wanted), len(wanted))

    for file, start, stop in spans:
        end = stop
        wanted = [n for n, at in enumerate(starts[file]) if start <= at < end and (file, n) not in paid]
        room = budget - len(paid)
        if len(wanted) > room:
            over = True
            wanted = wanted[:room]
            if not wanted:
                end = start
            elif wanted[-1] + 1 < len(starts[file]):
                end = min(end, starts[file][wanted[-1] + 1])
        paid |= {(file, n) for n in wanted}
        seen |= {(file, at) for at in range(start, end)}
        if first is None and any(share >= Fraction(8, 10) for share in shares()):
            first = len(paid)
        if over:
            break
    found = list(shares())
    sizes = [sum(end - start for _, start, end in group) for group in groups]
    return Verdict(
        coverage=sum(share * size for share, size in zip(found, sizes, strict=True)) / sum(sizes),
        answerable=max(found) >= Fraction(8, 10),
        used=len(paid),
        over=over,
        groups=Fraction(sum(share >= Fraction(8, 10) for share in found), len(found)),
        first=sum(map(len, starts.values())) if first is None else first,
    )


def telling(text):
    """Words that aren't empty, and numbers as plainly as they can be written."""
    found = Counter()
    for word in re.findall(r"[a-z]+|\d[\d,]*(?:\.\d+)?", text.lower()):
        if word.isalpha():
            found[word] += word not in EMPTY_WORDS
        else:
            whole, point, digits = word.replace(",", "").partition(".")
            digits = digits.rstrip("0") if point else ""
            found[f"{whole}.{digits}" if digits else whole] += 1
    return +found


def verdict_on_pages(gold, spans, budget, pages):
    """Gold and spans are (page, text); the text of each page as a PDF reader gives it."""
    left, over, read = budget, False, {}
    for page, text in spans:
        tokens = ENCODING.encode_ordinary(text)
        over = len(tokens) > left
        kept = ENCODING.decode(tokens[:left], errors="ignore")
        read[page] = read.get(page, Counter()) + telling(kept)
        left -= min(left, len(tokens))
        if over:
            break
    shares = []
    for page, text in gold:
        wanted = telling(text)
        held = read.get(page, Counter()) & telling(pages[page]) & wanted
        shares.append(Fraction(held.total(), max(1, wanted.total())))
    return Verdict(
        coverage=sum(shares) / len(shares), answerable=min(shares) >= Fraction(1, 2), used=budget - left, over=over
    )


def interval(documents, values):
    """Of the mean: documents drawn with replacement, 2,000 times from seed 0, documents in alphabetical order."""
    names = sorted(set(documents))
    drawn = np.random.default_rng(0).integers(0, len(names), (2_000, len(names)))
    of = {name: [v for d, v in zip(documents, values, strict=True) if d == name] for name in names}
    means = []
    for draw in drawn:
        some = [value for number in draw for value in of[names[number]]]
        means.append(sum(some) / len(some))
    return np.percentile(means, [2.5, 97.5])


# -- one case after the other ------------------------------------------------------------------------------------------

texts = st.text(alphabet="ab 1.\n\u00e9\u4f60\U00013000", min_size=1, max_size=60)


@st.composite
def readings(draw):
    """A text or two, groups of evidence in them, spans that were read, and a budget."""
    names = draw(st.sampled_from([(None,), ("a.txt", "b/c.txt")]))
    files = {name: draw(texts) for name in names}

    def place():
        name = draw(st.sampled_from(names))
        start = draw(st.integers(0, len(files[name]) - 1))
        return name, start, draw(st.integers(start + 1, len(files[name])))

    groups = [[place() for _ in range(draw(st.integers(1, 2)))] for _ in range(draw(st.integers(1, 3)))]
    # Evidence of one group doesn't overlap: each of its characters counts once.
    groups = [group for group in groups if len(group) == 1 or apart(*group)] or [groups[0][:1]]
    return files, groups, [place() for _ in range(draw(st.integers(0, 6)))], draw(st.integers(1, 60))


def apart(one, other):
    return one[0] != other[0] or one[2] <= other[1] or other[2] <= one[1]


@settings(max_examples=300)
@given(readings())
def test_any_text_is_judged_alike(reading):
    """Whatever is read of it, at any budget, overlapping, cut within characters, in one file or two."""
    files, groups, spans, budget = reading
    evidence = tuple(
        Gold(span=TextSpan(start=start, end=end, file=file), group=str(number))
        for number, group in enumerate(groups)
        for file, start, end in group
    )
    case = Case(id="c", doc_id="d", question="?", evidence=evidence)
    given_spans = tuple(TextSpan(start=start, end=end, file=file) for file, start, end in spans)
    ours = score_case(case, given_spans, budget, TextSource.of(files))
    theirs = verdict_on_text(groups, spans, budget, files)
    assert (ours.used_tokens, ours.over_budget, ours.tokens_to_evidence) == (theirs.used, theirs.over, theirs.first)
    assert ours.answerable == theirs.answerable
    assert ours.groups == pytest.approx(float(theirs.groups), rel=1e-15)
    assert ours.coverage == pytest.approx(float(theirs.coverage), rel=1e-14)


# -- whole sets --------------------------------------------------------------------------------------------------------

WORDS = "the licence ends on 3 May 2027 and 1,577.50 pallets of naïve 𓀀 stock were 4.0 % below plan".split()


def write_texts(folder, chance, *, corpus):
    """Documents of random words, several questions each, some with two groups of evidence, one in the other split."""
    cases = []
    for number in range(5):
        doc_id = f"d{number}"
        names = ["a.txt", "b.txt"] if corpus else [None]
        files = {name: " ".join(chance.choices(WORDS, k=chance.randint(30, 120))) for name in names}
        for name, text in files.items():
            path = folder / (f"corpora/{doc_id}/{name}" if corpus else f"docs/{doc_id}.txt")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
        for question in range(chance.randint(1, 4)):
            evidence = []
            for group in range(chance.randint(1, 3)):
                name = chance.choice(names)
                start = chance.randrange(len(files[name]) - 30)
                place = {"start": start, "end": start + chance.randint(5, 30), "group": group}
                evidence.append(place | ({"file": name} if name else {}))
            cases.append(
                {
                    "id": f"{doc_id}-{question}", "doc_id": doc_id, "question": "?", "answer": "x",
                    "evidence": evidence, "split": "test" if question == 3 else "dev",
                }
            )  # fmt: skip
    cases.append({"id": "none", "doc_id": "d0", "question": "?", "answer": None, "evidence": [], "split": "dev"})
    (folder / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    return cases


def texts_of(folder, doc_id):
    corpus = folder / "corpora" / doc_id
    if corpus.is_dir():
        return {path.name: path.read_bytes().decode() for path in corpus.iterdir()}
    return {None: (folder / f"docs/{doc_id}.txt").read_bytes().decode()}


def random_spans(chance, files):
    for _ in range(chance.randint(0, 6)):
        name = chance.choice(sorted(files, key=str))
        start = chance.randrange(len(files[name]) - 1)
        yield TextSpan(start=start, end=min(len(files[name]), start + chance.randint(1, 200)), file=name)


def predictions_of(chance, cases, spans):
    """For most cases and budgets, some of them abstentions; a few for cases that nobody asked for."""
    made = []
    for case in cases:
        for budget in BUDGETS:
            if chance.random() < 0.85:
                abstain = chance.choice([None, True, False])
                read = tuple(spans(case))
                made.append(Prediction(id=case["id"], budget_tokens=budget, spans=read, system="s", abstain=abstain))
    return [*made, Prediction(id="nobody's", budget_tokens=7, spans=(), system="s", abstain=True)]


def check_board(folder, cases, predictions, verdict):
    """Every figure that is published of a set, at every budget."""
    scored = [case for case in cases if case["evidence"] and case["split"] == "dev"]
    documents = [case["doc_id"] for case in scored]
    (board,) = score(load_set(folder, "dev"), predictions)
    firsts = []
    for budget in BUDGETS:
        mine = {p.id: p for p in predictions if p.budget_tokens == budget}
        rows = {case["id"]: verdict(case, mine[case["id"]]) for case in scored if case["id"] in mine}
        figures = board.figures(budget)
        assert (figures.cases, figures.missing) == (len(scored), len(scored) - len(rows))
        assert figures.over_budget == sum(row.over for row in rows.values())
        assert figures.used_tokens == pytest.approx(np.mean([row.used for row in rows.values()]), rel=1e-14)
        names = ("answerable", "coverage") if figures.groups is None else ("answerable", "coverage", "groups")
        for name in names:
            values = [float(getattr(rows[case["id"]], name)) if case["id"] in rows else 0.0 for case in scored]
            assert board.values(budget, name).tolist() == pytest.approx(values, rel=1e-14)
            assert f"{100 * getattr(figures, name):.1f}" == f"{100 * np.mean(values):.1f}"
            if name == "answerable":
                low, high = interval(documents, values)
                assert (figures.interval.low, figures.interval.high) == pytest.approx((low, high), rel=1e-12)
        firsts = [rows[case["id"]].first if case["id"] in rows else 10**6 for case in scored]
    if firsts and None not in firsts:
        assert board.tokens_to_evidence(50) == int(np.median(firsts))
        assert board.tokens_to_evidence(90) == int(np.percentile(firsts, 90))
    said = {p.id: p.abstain for p in predictions if p.abstain is not None}
    for null, share in ((True, board.abstained_unanswerable), (False, board.abstained_answerable)):
        here = {case["id"] for case in cases if (case["answer"] is None) is null and case["split"] == "dev"}
        values = [value for id_, value in said.items() if id_ in here]
        assert share == (pytest.approx(np.mean(values)) if values else None)
    return board


@pytest.mark.parametrize("corpus", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_sets_of_texts_and_of_folders_agree(tmp_path, corpus, seed):
    """Costs, coverage, answerable, groups, tokens to evidence, overruns, intervals, abstentions; through a file."""
    chance = random.Random(seed)
    cases = write_texts(tmp_path, chance, corpus=corpus)
    files = {case["doc_id"]: texts_of(tmp_path, case["doc_id"]) for case in cases}
    predictions = predictions_of(chance, cases, lambda case: random_spans(chance, files[case["doc_id"]]))
    path = tmp_path / "p.jsonl"
    path.write_text("".join(map(to_line, predictions)))

    def verdict(case, prediction):
        groups = {}
        for gold in case["evidence"]:
            groups.setdefault(gold["group"], []).append((gold.get("file"), gold["start"], gold["end"]))
        spans = [(span.file, span.start, span.end) for span in prediction.spans]
        return verdict_on_text(list(groups.values()), spans, prediction.budget_tokens, files[case["doc_id"]])

    board = check_board(tmp_path, cases, read_predictions(path), verdict)
    # Against itself and against nothing found, paired by case.
    dataset = load_set(tmp_path, "dev")
    (empty,) = score(dataset, [Prediction(id=p.id, budget_tokens=p.budget_tokens, spans=()) for p in predictions])
    for budget, difference in compare(board, empty).items():
        low, high = interval([case.doc_id for case in board.cases], board.values(budget).tolist())
        assert (difference.interval.low, difference.interval.high) == pytest.approx((low, high), rel=1e-12)
    assert all(difference.mean == 0 for difference in compare(board, board).values())


def test_a_set_of_pdfs_agrees(tmp_path):
    """Words on the pages they are said to stand on, numbers however they are written, spans paid for one by one."""
    chance, cases, pages = random.Random(5), [], {}
    (tmp_path / "pdfs").mkdir()
    words = [word for word in WORDS if word.isascii()]
    for doc_id in ("p", "q"):
        path = tmp_path / f"pdfs/{doc_id}.pdf"
        drawn = Canvas(str(path))
        for _ in range(3):
            for line in range(8):
                drawn.drawString(72, 720 - 14 * line, " ".join(chance.choices(words, k=8)))
            drawn.showPage()
        drawn.save()
        with pypdfium2.PdfDocument(path) as pdf:
            pages[doc_id] = [page.get_textpage().get_text_range() for page in pdf]
        for number in range(4):
            gold = chance.sample(range(3), k=chance.choice([1, 1, 2]))
            evidence = [{"page": page, "text": pages[doc_id][page][: chance.randint(20, 300)]} for page in gold]
            cases.append(
                {"id": f"{doc_id}{number}", "doc_id": doc_id, "question": "?", "answer": "x", "evidence": evidence,
                 "split": "dev"}
            )  # fmt: skip
    (tmp_path / "cases.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))

    def spans(case):
        for _ in range(chance.randint(0, 5)):
            page = chance.randrange(3)
            text = pages[case["doc_id"]][chance.choice([page, page, (page + 1) % 3])]
            start = chance.randrange(len(text) - 10)
            yield PageSpan(page=page, text=text[start : start + chance.randint(5, 250)] + chance.choice(["", " 𓀀𓀁"]))

    def verdict(case, prediction):
        gold = [(each["page"], each["text"]) for each in case["evidence"]]
        read = [(span.page, span.text) for span in prediction.spans]
        return verdict_on_pages(gold, read, prediction.budget_tokens, pages[case["doc_id"]])

    check_board(tmp_path, cases, predictions_of(chance, cases, spans), verdict)
