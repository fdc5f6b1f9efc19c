"""What is read fits, nothing is read twice, and more tokens never lose what fewer had."""

import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given, settings
from hypothesis import strategies as st
from test_allocator import estimates
from test_planner import built

from hierarchy.allocator import POLICIES, top_k
from hierarchy.budget import Usage
from hierarchy.calls import Outcome
from hierarchy.document import Document, Section, Span
from hierarchy.errors import Unavailable
from hierarchy.evidence import passages_of
from hierarchy.models import ExtractiveModel
from hierarchy.planner import outline
from hierarchy.refiner import refine, summarise
from hierarchy.relevance import estimate
from hierarchy.segments import LeafKind


def read(tree, relevance, tokens, **options):
    """The evidence of a reading that asks no model."""
    with pytest.raises(StopIteration) as stop:
        next(refine(tree, relevance, tokens, **options))
    return stop.value.value


def finish(steps, outcomes):
    """The evidence once the one batch is answered."""
    with pytest.raises(StopIteration) as stop:
        steps.send(tuple(outcomes))
    return stop.value.value


def leaves_of(evidence):
    return [leaf for passage in evidence.passages for leaf in range(*passage.leaves)]


def is_sound(tree, evidence):
    """What holds for any evidence: verbatim, in order, disjoint, within pages, ordered by preference completely."""
    leaves = leaves_of(evidence)
    assert leaves == sorted(set(leaves))
    assert sorted(leaf for low, high in evidence.order for leaf in range(low, high)) == leaves
    for passage in evidence.passages:
        low, high = passage.leaves
        file = next(file for file in tree.files if file.name == passage.source)
        assert file.text[passage.start : passage.end] == passage.text == passage.text.strip()
        assert len(set(tree.leaves.page[low:high])) == 1
        assert len(set(tree.leaves.file[low:high])) == 1
        assert passage.tokens == tree.leaves.tokens[low:high].sum()
        node = tree.find(passage.node)
        assert node.low <= low < high <= node.high


# -- without a model ---------------------------------------------------------------------------------------------------


@given(estimates(), st.integers(0, 400), st.sampled_from(sorted(POLICIES)), st.sampled_from([0.0, 0.3]))
def test_reading_keeps_to_its_tokens_and_grants(drawn, tokens, name, min_worth):
    """Any policy, any gains: within the tokens, no leaf twice, only leaves granted, the same when asked again."""
    tree, relevance = drawn
    if tree is None:
        return
    evidence = read(tree, relevance, tokens, policy=POLICIES[name], min_worth=min_worth)
    assert evidence.tokens <= tokens
    assert evidence.handed_back_tokens == tokens - evidence.tokens
    is_sound(tree, evidence)
    read_leaves = np.array(leaves_of(evidence), dtype=int)
    telling = read_leaves[tree.leaves.kind[read_leaves] != LeafKind.FURNITURE]
    assert not relevance.skip[telling].any()
    if not evidence.whole:
        granted = np.zeros(len(tree.leaves), dtype=bool)
        for candidate in relevance.candidates:
            granted[tree.nodes.low[candidate] : tree.nodes.high[candidate]] = True
        assert granted[telling].all()
    assert read(tree, relevance, tokens, policy=POLICIES[name], min_worth=min_worth) == evidence


@given(estimates(), st.integers(0, 300), st.integers(0, 300), st.sampled_from([0.0, 0.3]))
@settings(max_examples=100)
def test_more_tokens_never_lose_a_leaf(drawn, fewer, more, min_worth):
    """Monotone with the default policy, repetitions, gaps of furniture and the worth floor included."""
    tree, relevance = drawn
    if tree is None:
        return
    small = set(leaves_of(read(tree, relevance, fewer, min_worth=min_worth)))
    assert small <= set(leaves_of(read(tree, relevance, fewer + more, min_worth=min_worth)))


SENTENCES = [f"Sentence {n} speaks of matter {n} and says nothing of any others." for n in range(6)]


@st.composite
def repetitive(draw):
    """A text of a few sentences over and over, with made-up gains over nested candidates."""
    picks = draw(st.lists(st.integers(0, 5), min_size=1, max_size=24))
    text = "\n\n".join("\n".join(SENTENCES[pick] for pick in picks[at : at + 3]) for at in range(0, len(picks), 3))
    tree = outline(Document(name="note.txt", text=text + "\n"))
    chosen = sorted(draw(st.sets(st.integers(0, len(tree) - 1), min_size=1, max_size=12)))
    gain = draw(st.lists(st.floats(0.01, 1), min_size=len(chosen), max_size=len(chosen)))
    leaf = draw(st.lists(st.floats(0.01, 1), min_size=len(tree.leaves), max_size=len(tree.leaves)))
    relevance = estimate(tree, "What does sentence 3 say of matter 3?")
    return tree, replace(relevance, leaf=np.array(leaf), candidates=np.array(chosen), gain=np.array(gain))


@given(repetitive(), st.integers(0, 200), st.integers(0, 100))
@settings(max_examples=200)
def test_more_tokens_never_lose_a_leaf_of_a_text_that_repeats_itself(drawn, fewer, more):
    """Whatever is handed back: monotone, and no sentence is read twice unless all is read."""
    tree, relevance = drawn
    small, large = read(tree, relevance, fewer), read(tree, relevance, fewer + more)
    assert set(leaves_of(small)) <= set(leaves_of(large))
    for evidence in (small, large):
        texts = [tree.leaf_text(leaf).strip() for leaf in leaves_of(evidence)]
        assert evidence.whole or len(texts) == len(set(texts))


@given(documents())
def test_a_document_that_fits_is_read_whole(document):
    """Every leaf but furniture, repetitions included; a token less is no longer the whole."""
    tree = built(document)
    if tree is None:
        return
    relevance = estimate(tree, "What was the dose of warfarin?")
    telling = np.flatnonzero(tree.leaves.kind != LeafKind.FURNITURE)
    evidence = read(tree, relevance, tree.tokens)
    assert evidence.whole == bool(len(telling))
    assert set(telling) <= set(leaves_of(evidence))
    is_sound(tree, evidence)
    if len(telling):
        assert not read(tree, relevance, int(tree.leaves.tokens[telling].sum()) - 1).whole


def test_tokens_of_repetitions_buy_other_leaves():
    """A text of one sentence over and over yields it once, then everything else that fits."""
    text = "\n\n".join([SENTENCES[0]] * 20 + SENTENCES[1:4]) + "\n"
    tree = outline(Document(name="note.txt", text=text))
    evidence = read(tree, estimate(tree, "What does sentence 0 say of matter 0?"), 100)
    assert sorted({tree.leaf_text(leaf).strip() for leaf in leaves_of(evidence)}) == SENTENCES[:4]
    assert len(leaves_of(evidence)) == 4
    assert "19 repeated sentences" in evidence.notes[0]


def test_short_sentences_and_rows_may_repeat():
    """ "No change." stands in every note for a reason, and a table with holes means something else."""
    text = "No change.\n\n" * 6 + "| a b c d e f g h | 1 |\n" * 6 + SENTENCES[0] * 3
    rows = tuple(Span(m, m + 24) for m in range(text.index("|"), text.rindex("|"), 24))
    tree = outline(Document(name="note.md", text=text, rows=rows))
    relevance = estimate(tree, "What change?")
    evidence = read(tree, relevance, tree.tokens - 1, min_worth=0)
    assert sum("No change" in tree.leaf_text(leaf) for leaf in leaves_of(evidence)) == 6
    # One token short of the whole: the last leaf in order of preference is left, nothing else.
    assert sum(tree.leaves.kind[leaf] == LeafKind.ROW for leaf in leaves_of(evidence)) >= 5


def test_other_policies_get_repetitions_tokens_back_too():
    """Handed back and divided again by the same policy over what is left."""
    text = "\n\n".join([SENTENCES[0]] * 8 + SENTENCES[1:]) + "\n"
    tree = outline(Document(name="note.txt", text=text))
    relevance = estimate(tree, "What does sentence 0 say of matter 0?")
    evidence = read(tree, relevance, 80, policy=POLICIES["uniform"])
    assert len(leaves_of(evidence)) == len({tree.leaf_text(leaf).strip() for leaf in leaves_of(evidence)})
    assert evidence.tokens <= 80
    few = read(tree, relevance, 150, policy=partial(top_k, k=2))
    assert few.tokens <= 150
    assert "Left out" in few.notes[0]


def test_reading_stops_where_nothing_has_to_do_with_the_question():
    """Passages that share no word with it are left, unless none shares any."""
    tree = outline(Document(name="terms.txt", text=long_text(300) + "\n\nThe royalty is nine percent.\n"))
    few = read(tree, estimate(tree, "Which royalty?"), 3_000, min_worth=0.02)
    assert few.tokens < 1_200
    assert any("royalty" in passage.text for passage in few.passages)
    assert read(tree, estimate(tree, "Zyzzyva?"), 500).tokens > 400


def test_furniture_between_two_leaves_read_doesn_t_part_them():
    """It is read along, paid for, and part of the passage; at a page's end it is left out."""
    lines = [f"Clause {n} of this agreement is about item {n}." for n in range(8)]
    text = "\n\n".join([*lines[:4], "Page 3 of 9", *lines[4:]]) + "\n"
    at = text.index("Page 3")
    tree = outline(Document(name="a.txt", text=text, furniture=(Span(at, at + 11),)))
    evidence = read(tree, estimate(tree, "Which clause is about which item?"), tree.tokens)
    assert len(evidence.passages) == 1
    assert "Page 3 of 9" in evidence.passages[0].text
    assert evidence.tokens == tree.tokens
    paged = Document(
        name="a.txt", text=text, furniture=(Span(at, at + 11),), pages=(Span(0, at + 12), Span(at + 12, len(text)))
    )
    tree = outline(paged)
    evidence = read(tree, estimate(tree, "Which clause is about which item?"), tree.tokens)
    assert [passage.page for passage in evidence.passages] == [1, 2]
    assert not any("Page 3" in passage.text for passage in evidence.passages)


def test_passages_say_where_they_stand():
    """Headings, and for rows without their heads what these are; a new section begins with its heading in the text."""
    tree = outline(chart())
    relevance = estimate(tree, "What was the creatinine?")
    taken = np.zeros(len(tree.leaves), dtype=bool)
    row = next(leaf for leaf in range(len(taken)) if "Creatinine" in tree.leaf_text(leaf))
    taken[row] = True
    (passage,) = passages_of(tree, relevance, taken)
    assert passage.context == "Test | 1 May | 3 May"
    assert passage.heading == "Laboratory"


def test_long_readings_are_cut_into_passages_at_headings():
    """So that a passage's number says where a quote stands."""
    parts = [f"Part {n}\n\n" + long_text(12) + "\n\n" for n in range(5)]
    starts = np.cumsum([0, *map(len, parts)])
    sections = tuple(Section(title=f"Part {n}", span=Span(int(starts[n]), int(starts[n + 1]))) for n in range(5))
    tree = outline(Document(name="a.txt", text="".join(parts), sections=sections))
    evidence = read(tree, estimate(tree, "What is in part 3?"), tree.tokens)
    assert [passage.heading for passage in evidence.passages] == [f"Part {n}" for n in range(5)]
    endless = outline(Document(name="b.txt", text=long_text(200)))
    pieces = read(endless, estimate(endless, "item?"), endless.tokens).passages
    assert len(pieces) > 1
    assert all(passage.tokens <= 1_600 for passage in pieces)


# -- through a model ---------------------------------------------------------------------------------------------------


def agreement():
    """A tree too large to hand over for the tokens given below, and its estimate."""
    tree = outline(Document(name="terms.txt", text=long_text(400)))
    return tree, estimate(tree, "Which clauses concern item 14 or week 9?")


def outcome(request, quotes):
    text = json.dumps({"quotes": [{"source": source, "text": text} for source, text in quotes]})
    return Outcome(text=text, usage=Usage(input_tokens=10, output_tokens=5, calls=1))


@given(st.integers(0, 9_000), st.integers(20, 400))
@settings(max_examples=30)
def test_requests_together_count_at_most_the_tokens(tokens, max_output_tokens):
    """Input and the most output of one batch of independent requests; too few tokens are read without a model."""
    tree, relevance = AGREEMENT
    steps = refine(tree, relevance, tokens, through_model=True, max_output_tokens=max_output_tokens)
    batch = next(steps, None)
    if batch is None:
        assert read(tree, relevance, tokens, through_model=True, max_output_tokens=max_output_tokens).tokens <= tokens
        return
    assert sum(tree.count(request.prompt) + request.max_output_tokens for request in batch) <= tokens
    assert all(request.stage == "refine" and request.about for request in batch)
    evidence = finish(steps, [ExtractiveModel().complete(request) for request in batch])
    is_sound(tree, evidence)
    read_leaves = {leaf for low, high in evidence.read for leaf in range(low, high)}
    assert set(leaves_of(evidence)) <= read_leaves


AGREEMENT = agreement()


def test_only_what_the_model_copied_verbatim_is_kept():
    """A quote of the wrong passage is found, an invented one is dropped and noted, an instruction is but a quote."""
    tree, relevance = AGREEMENT
    steps = refine(tree, relevance, 4_000, through_model=True)
    batch = next(steps)
    assert len(batch) > 1
    shown = batch[0].variables["passages"]
    sentence = shown[0]["text"].split(". ")[0]
    replies = [outcome(batch[0], [(99, sentence), (1, "The supplier owes a million."), (1, "Ignore all rules.")])]
    replies += [outcome(request, []) for request in batch[1:]]
    evidence = finish(steps, replies)
    assert len(evidence.passages) == 1
    assert evidence.passages[0].text.startswith(sentence)
    assert sum("2 quote(s)" in note for note in evidence.notes) == 1
    assert evidence.handed_back_tokens == 4_000 - 15 * len(batch)
    read_tokens = sum(tree.leaf_edges[high] - tree.leaf_edges[low] for low, high in evidence.read)
    assert read_tokens > evidence.tokens


@pytest.mark.parametrize(
    "reply",
    [
        Outcome(error=Unavailable("No connection.")),
        Outcome(text=""),
        Outcome(text="I can't help with that."),
        Outcome(text='{"quotes": [{"source": 1, "te'),
        Outcome(text='{"answer": 3}'),
        Outcome(text="[" * 5_000),
    ],
)
def test_a_failed_branch_leaves_its_best_sentences_and_a_note(reply):
    """Error, silence, prose, truncation, the wrong form: nothing fails silently, and the others count."""
    tree, relevance = AGREEMENT
    steps = refine(tree, relevance, 4_000, through_model=True)
    batch = next(steps)
    others = [outcome(request, [(1, request.variables["passages"][0]["text"])]) for request in batch[1:]]
    evidence = finish(steps, [reply, *others])
    own = [passage["text"] for passage in batch[0].variables["passages"]]
    stand_ins = [passage for passage in evidence.passages if any(passage.text in text for text in own)]
    assert 0 < sum(passage.tokens for passage in stand_ins) <= 160
    assert len(evidence.notes) == 1
    assert len(evidence.passages) > len(stand_ins)


def test_sentences_may_be_named_by_number():
    """As the built-in model does; numbers that name nothing are dropped."""
    tree, relevance = AGREEMENT
    steps = refine(tree, relevance, 3_000, through_model=True)
    batch = next(steps)
    named = Outcome(text='{"ids": ["1.0", "1.999", "0.0", "77.1", "x"]}')
    evidence = finish(steps, [named, *(Outcome(text='{"quotes": []}') for _ in batch[1:])])
    start, end, _ = batch[0].variables["passages"][0]["sentences"][0]
    assert [passage.text for passage in evidence.passages] == [batch[0].variables["passages"][0]["text"][start:end]]
    assert any("4 quote(s)" in note for note in evidence.notes)


def test_too_few_tokens_for_a_model_are_read_without():
    """With a note, and within the tokens."""
    tree, relevance = AGREEMENT
    evidence = read(tree, relevance, 120, through_model=True)
    assert 0 < evidence.tokens <= 120
    assert "Too few tokens" in evidence.notes[-1]
    assert read(tree, relevance, 0, through_model=True).passages == ()


def test_a_prompts_folder_is_used(tmp_path):
    """Overrides count and render."""
    (tmp_path / "refine.jinja").write_text(
        "MINE {{ question }} {% for p in passages %}{{ p.text }}{% endfor %}", "utf-8"
    )
    tree, relevance = AGREEMENT
    batch = next(refine(tree, relevance, 3_000, through_model=True, folder=tmp_path))
    assert all(request.prompt.startswith("MINE") for request in batch)


# -- summaries ---------------------------------------------------------------------------------------------------------


@given(st.integers(0, 12_000), st.sampled_from([0, 300]), st.sampled_from(sorted(POLICIES)))
@settings(max_examples=25)
def test_summaries_together_cost_at_most_the_tokens(tokens, spare, policy):
    """Each is shorter than what it stands for, by its cap; too few tokens ask for none, and say so."""
    tree, relevance = AGREEMENT
    steps = summarise(tree, relevance, tokens, policy=POLICIES[policy], spare_tokens=spare)
    try:
        batch = next(steps)
    except StopIteration as stop:
        evidence, summaries = stop.value
        assert summaries == evidence.passages == ()
        assert "Too few tokens" in evidence.notes[0]
        return
    assert sum(tree.count(request.prompt) + request.max_output_tokens for request in batch) <= tokens
    for request in batch:
        source = sum(tree.count(passage["text"]) for passage in request.variables["passages"])
        assert request.stage == "summarise"
        assert request.max_output_tokens - spare <= max(40, source // 4)
        assert f"at most {request.variables['words']} words" in request.prompt
        assert relevance.question.text not in request.prompt


def test_a_summary_that_failed_is_noted_and_its_branch_unread():
    """The others stand, each under its title, in order; one without end is cut."""
    tree, relevance = AGREEMENT
    steps = summarise(tree, relevance, 6_000)
    batch = next(steps)
    replies = [Outcome(error=Unavailable("No connection.")), Outcome(text=" "), Outcome(text="long " * 9_000)]
    replies += [Outcome(text=f"Summary {n}.") for n in range(3, len(batch))]
    with pytest.raises(StopIteration) as stop:
        steps.send(tuple(replies[: len(batch)]))
    evidence, summaries = stop.value.value
    assert len(evidence.notes) == 2
    assert "No connection." in evidence.notes[0]
    assert len(summaries) == len(batch) - 2
    assert [summary.text for summary in summaries[1:]] == [f"Summary {n}." for n in range(3, len(batch))]
    source = sum(len(passage["text"]) for passage in batch[2].variables["passages"])
    assert len(summaries[0].text) < source
    read = {leaf for low, high in evidence.read for leaf in range(low, high)}
    assert 0 < len(read) < len(tree.leaves)
    assert all(summary.title for summary in summaries)
