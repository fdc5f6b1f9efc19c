from documents import chart, documents, long_text
from hypothesis import given
from test_planner import built

from hierarchy.document import Document
from hierarchy.planner import outline
from hierarchy.summaries import MAX_SHARE, MAX_SUMMARY_TOKENS


@given(documents())
def test_a_summary_never_exceeds_its_share_of_the_source(document):
    """Every node's coarse summary, keywords and labels included, keeps to the share and to the cap."""
    tree = built(document)
    for node in tree or ():
        coarse = tree.coarse(node.number)
        assert coarse.tokens == tree.count(coarse.line)
        assert coarse.tokens <= min(MAX_SUMMARY_TOKENS, MAX_SHARE * node.tokens)


def test_a_summary_is_made_of_the_text():
    """Each sentence of a summary stands in its source, white space aside."""
    tree = outline(Document(name="n", text=long_text(80)))
    source = " ".join(tree.text(0, len(tree.leaves)).split())
    parts = [part.strip() for part in tree.coarse(0).text.split("…")]
    assert len(parts) > 1
    assert all(part in source for part in parts)


def test_keywords_set_a_section_apart():
    """A section's keywords are words of its own, as written, not stems and not the commonest of the document."""
    tree = outline(chart())
    letter = next(n for n in tree if n.title == "Discharge letter" and n.kind == "section")
    assert set(tree.coarse(letter.number).keywords) & {"warfarin", "apixaban", "bleed", "gastrointestinal"}


def test_a_table_says_what_its_numbers_are():
    """The labels of rows come along, so that a branch of figures can be found."""
    rows = "".join(f"{name} {n} {n + 1}\n" for n, name in enumerate(["Total assets", "Inventories", "Goodwill"] * 8))
    from hierarchy.document import Span

    ends = [i + 1 for i, c in enumerate(rows) if c == "\n"]
    spans = tuple(Span(a, b) for a, b in zip([0, *ends], ends, strict=False))
    tree = outline(Document(name="n", text=rows, rows=spans))
    assert "Total assets" in tree.coarse(0).numbers


def test_the_summary_of_almost_nothing_is_empty():
    """A source too short to be cut down has no summary rather than one as long as itself."""
    tree = outline(Document(name="n", text="Yes."))
    assert tree.coarse(0).line == ""
