import time

import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given
from hypothesis import strategies as st
from test_planner import built

from hierarchy.document import Document, Section, Span
from hierarchy.planner import outline
from hierarchy.relevance import Routing, estimate, parse, routed

QUESTIONS = ["What was the capital expenditure in 2018?", "Why was warfarin stopped?", "", "zzz qqq", "the of and"]


@given(documents(), st.sampled_from(QUESTIONS))
def test_relevance_is_a_probability_that_grows_upwards(document, question):
    """Every figure is in [0, 1] and no child is more relevant than its parent."""
    tree = built(document)
    if tree:
        relevance = estimate(tree, question)
        for values in (relevance.node, relevance.leaf, relevance.gain):
            assert np.isfinite(values).all()
            assert ((values >= 0) & (values <= 1)).all()
        parents = tree.nodes.parent[1:]
        assert (relevance.node[parents] >= relevance.node[1:] - 1e-12).all()


@given(documents(), st.sampled_from(QUESTIONS))
def test_candidates_cover_everything_but_furniture(document, question):
    """Every leaf lies in a passage that may be read, each passage stands once; furniture is never worth a token."""
    tree = built(document)
    if tree:
        relevance = estimate(tree, question)
        covered = {leaf for n in relevance.candidates for leaf in range(tree.nodes.low[n], tree.nodes.high[n])}
        assert covered == set(range(len(tree.leaves)))
        assert relevance.candidates.tolist() == sorted(set(relevance.candidates.tolist()))
        assert (relevance.leaf[relevance.skip] == 0).all()


@given(documents(), st.sampled_from(QUESTIONS))
def test_the_same_question_gets_the_same_estimate(document, question):
    """Nothing depends on time, order of hashing or what was asked before."""
    first, second = built(document), built(document)
    if first:
        estimate(second, "another question altogether")
        assert (estimate(first, question).node == estimate(second, question).node).all()


@given(documents(), st.sampled_from(QUESTIONS))
def test_routed_estimates_keep_what_others_keep(document, question):
    """Probabilities that grow upwards, nothing for furniture, and the same each time."""
    tree = built(document)
    if tree:
        asked = routed(parse(question), Routing(terms=("net sales", "total"), needs=("Balance sheet",), kind="lookup"))
        first, second = estimate(tree, asked), estimate(tree, asked)
        assert ((first.node >= 0) & (first.node <= 1)).all()
        assert (first.node[tree.nodes.parent[1:]] >= first.node[1:] - 1e-12).all()
        assert (first.leaf[first.skip] == 0).all()
        assert (first.gain == second.gain).all()


def test_a_routing_finds_what_the_question_does_not_name():
    """No word of the question stands in the letter; the routing's words do, and lead to what answers."""
    tree = outline(chart())
    asked = routed(parse("Is a blood thinner given?"), Routing(terms=("warfarin", "warfarin was stopped", "INR")))
    assert "Warfarin" in tree.leaf_text(int(estimate(tree, asked).leaf.argmax()))


def test_a_wrong_routing_does_bounded_harm():
    """The question's own words still lead where the routing speaks of something that isn't there."""
    tree = outline(chart())
    wrong = Routing(terms=("capital expenditure", "net sales", "goodwill"), needs=("Balance sheet",))
    relevance = estimate(tree, routed(parse("When was warfarin stopped?"), wrong))
    assert "Warfarin was stopped" in tree.leaf_text(int(relevance.leaf.argmax()))


def test_what_answers_is_most_relevant():
    """The leaf that holds the answer leads, and its section leads the other sections."""
    tree = outline(chart())
    relevance = estimate(tree, "When was warfarin stopped?")
    assert "Warfarin was stopped" in tree.leaf_text(int(relevance.leaf.argmax()))
    sections = {n.title: relevance.node[n.number] for n in tree if n.kind == "section"}
    assert max(sections, key=sections.get) == "Discharge letter"


def test_a_title_lifts_what_stands_under_it():
    """Of two equal sentences the one under a matching heading is the more relevant: parents speak for children."""
    text = "Alpha\nThe total was 40 and it rose.\nRoyalties\nThe total was 40 and it rose.\n"
    cut = text.index("Royalties")
    sections = (Section(title="Alpha", span=Span(0, cut)), Section(title="Royalties", span=Span(cut, len(text))))
    tree = outline(Document(name="n", text=text, sections=sections))
    relevance = estimate(tree, "What royalties were paid?")
    same = [i for i, leaf in enumerate(tree.leaf_texts()) if leaf.startswith("The total")]
    assert relevance.leaf[same[1]] > relevance.leaf[same[0]]


def test_the_raw_text_of_leaves_lifts_a_subtree_whose_summary_hides_them():
    """A section counts as relevant by one buried sentence that its coarse summary leaves out."""
    filler = long_text(60)
    buried = filler.replace("Clause 30 of", "The quorum for a strike is nine members. Clause 30 of")
    text = f"{buried}\n\n{long_text(60)}"
    cut = len(buried) + 2
    sections = (Section(title="One", span=Span(0, cut)), Section(title="Two", span=Span(cut, len(text))))
    tree = outline(Document(name="n", text=text, sections=sections))
    one, two = (n for n in tree if n.kind == "section")
    assert "quorum" not in tree.coarse(one.number).line
    relevance = estimate(tree, "What is the quorum for a strike?")
    assert relevance.node[one.number] > relevance.node[two.number]


@pytest.mark.parametrize("kind", ["speech", "table", "prose"])
def test_the_grain_follows_the_kind_of_text(kind):
    """Speech is read in stretches, paged tables in page-sized pieces, prose by the sentence."""
    if kind == "speech":
        text = "".join(f"Speaker {'AB'[n % 2]}: well I think {n} of them\n" for n in range(400))
        document = Document(name="n", text=text)
    elif kind == "table":
        lines = [f"Line item {n} {n * 17} {n * 19} {n * 23}\n" for n in range(200)]
        ends = np.cumsum(list(map(len, lines))).tolist()
        rows = tuple(Span(a, b) for a, b in zip([0, *ends], ends, strict=False))
        document = Document(
            name="n", text="".join(lines), rows=rows, pages=(Span(0, ends[99]), Span(ends[99], ends[-1]))
        )
    else:
        document = Document(name="n", text=long_text(50))
    assert (
        estimate(outline(document), "What of item 3?").grain_tokens == {"speech": 512, "table": 256, "prose": 0}[kind]
    )


def test_a_question_costs_little_once_the_tree_is_built():
    """A question over 100,000 tokens costs less than 50 ms of CPU; the least of several, as machines are busy."""
    tree = outline(Document(name="n", text=long_text(3_000)))
    assert tree.tokens > 100_000
    estimate(tree, "warm up")
    times = []
    for number in range(5):
        start = time.process_time()
        estimate(tree, f"What does clause {number} say about week {number} and the supplier's units?")
        times.append(time.process_time() - start)
    assert min(times) < 0.05


def test_speech_goes_on_longer_than_prose():
    """What stands beside a passage that is read is worth more in a transcript, and a little more anywhere."""
    speech = "\n".join(f"{('Ann', 'Bob')[n % 2]}: We spoke of item {n} at length." for n in range(40))
    transcript = estimate(outline(Document(name="m", text=speech)), "What of item 3?")
    assert transcript.continuity > estimate(outline(chart()), "Why was warfarin stopped?").continuity > 0
