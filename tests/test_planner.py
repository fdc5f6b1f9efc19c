from itertools import pairwise

import numpy as np
import pytest
from documents import chart, documents, files, long_text
from hypothesis import given

from hierarchy.document import Document, Section, Span
from hierarchy.errors import DocumentEmpty
from hierarchy.planner import PASSAGE_TOKENS, outline
from hierarchy.tokens import count_tokens
from hierarchy.tree import KINDS, MAX_CHILDREN


def headed(count, words=20):
    """A text of `count` sections of a few words each."""
    parts = [f"Heading {n}\n" + f"word{n} " * words + ".\n" for n in range(count)]
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    sections = tuple(Section(title=f"Heading {n}", span=Span(starts[n], starts[n + 1])) for n in range(count))
    return Document(name="h.txt", text="".join(parts), sections=sections)


def built(document):
    """The tree, or None for a document without any text to build one of."""
    if not any(file.text.strip() for file in document.files):
        with pytest.raises(DocumentEmpty):
            outline(document)
        return None
    return outline(document)


@given(documents())
def test_children_partition_their_parent(document):
    """Each inner node's children are contiguous, cover its leaves exactly, and are at most a dozen."""
    tree = built(document)
    for number in range(len(tree) if tree else 0):
        children = tree.children(number)
        if children:
            edges = [(int(tree.nodes.low[c]), int(tree.nodes.high[c])) for c in children]
            assert edges[0][0] == tree.nodes.low[number]
            assert edges[-1][1] == tree.nodes.high[number]
            assert all(a[1] == b[0] for a, b in pairwise(edges))
            assert len(children) <= MAX_CHILDREN
        else:
            assert tree.nodes.high[number] - tree.nodes.low[number] == 1


@given(documents())
def test_leaves_partition_the_text_of_every_file(document):
    """The text of the root is the text of all files that hold any, one behind the other."""
    tree = built(document)
    if tree:
        expected = "".join(file.text for file in document.files if file.text.strip())
        assert tree.text(0, len(tree.leaves)) == expected
        assert tree.tokens == sum(count_tokens(file.text) for file in document.files if file.text.strip())


@given(files())
def test_every_section_with_text_is_a_node_or_its_only_content(document):
    """A section's title stands at a node that starts where the section's text does."""
    tree = built(document)
    if not tree:
        return
    starts = {(title, int(tree.leaves.start[tree.nodes.low[n]])) for n, title in tree.titles.items()}
    for section in document.sections:
        inside = [s for s in tree.leaves.start.tolist() if section.span.start <= s < section.span.end]
        if inside:
            assert (section.title, min(inside)) in starts


@pytest.mark.parametrize("count", [1, 13, 4_000])
def test_no_number_of_headings_makes_a_wide_node(count):
    """However many headings a document has, no node has more than a dozen children and all titles are kept."""
    tree = outline(headed(count))
    assert np.bincount(tree.nodes.parent[1:]).max() <= MAX_CHILDREN
    assert sum(KINDS[kind] == "section" for kind in tree.nodes.kind) == count


def test_text_without_headings_is_packed_into_passages_of_every_size():
    """Plain prose has passages near each of the sizes, none much larger."""
    tree = outline(Document(name="n", text=long_text()))
    for size in PASSAGE_TOKENS:
        cut = tree.cut(int(size * 1.1))
        assert size * 0.4 < tree.node_tokens[cut].mean() <= size * 1.1
    assert np.bincount(tree.nodes.parent[1:]).max() <= MAX_CHILDREN


def test_thousands_of_nested_sections_do_not_overflow_the_stack():
    """Hostile nesting is read as far as it makes sense."""
    text = "\n".join(f"Level {n}" for n in range(3_000))
    starts = [text.index(f"Level {n}") for n in (*range(10), *range(100, 3_000))]
    sections = tuple(
        Section(title=f"L{depth}", span=Span(start, len(text)), depth=depth + 1) for depth, start in enumerate(starts)
    )
    assert outline(Document(name="n", text=text, sections=sections)).depth < 60


def test_passages_stay_on_their_page():
    """No node of passage size mixes two pages."""
    pages = [f"Page {n} says this. " * 40 + "\n" for n in range(6)]
    edges = np.cumsum([0, *map(len, pages)]).tolist()
    document = Document(name="n", text="".join(pages), pages=tuple(Span(a, b) for a, b in pairwise(edges)))
    tree = outline(document)
    for number in tree.cut(1_100):
        assert len(set(tree.leaves.page[tree.nodes.low[number] : tree.nodes.high[number]].tolist())) == 1


def test_the_root_of_a_folder_is_the_folder():
    """Folder, documents and sections stand above each other, in order of name."""
    folder = Document(name="f", media="folder", parts=(chart(), Document(name="z.txt", text="Nothing here.\n")))
    tree = outline(folder)
    assert tree.root.kind == "folder"
    assert [tree.node(c).title for c in tree.children(0)] == ["chart.md", "z.txt"]
    sections = [node.title for node in tree if node.kind == "section"]
    assert sections == ["Discharge letter", "Laboratory", "Social history"]


def test_ids_are_positions_and_the_same_each_time():
    """Building twice gives equal trees, and an id leads to its node."""
    first, second = outline(chart()), outline(chart())
    assert first == second
    for node in first:
        assert first.find(str(node)).number == node.number


def test_an_empty_document_is_refused():
    """There is no tree of nothing."""
    with pytest.raises(DocumentEmpty, match="blank"):
        outline(Document(name="blank", text="  \n\n"))


def test_progress_names_each_file():
    """A long job says which file it is at."""
    seen = []
    folder = Document(name="f", media="folder", parts=(chart(), Document(name="z.txt", text="x")))
    outline(folder, progress=lambda *step: seen.append(step))
    assert seen == [(0, 2, "chart.md"), (1, 2, "z.txt")]


def test_time_grows_linearly():
    """Four times the text takes about four times the time: no step is quadratic."""
    import time

    def seconds(paragraphs):
        document = Document(name="n", text=long_text(paragraphs))
        start = time.process_time()
        outline(document)
        return time.process_time() - start

    seconds(200)
    # A busy machine slows one run or the other; a step that is quadratic takes sixteen times as long in every round.
    assert min(seconds(12_000) / seconds(3_000) for _ in range(4)) < 9
