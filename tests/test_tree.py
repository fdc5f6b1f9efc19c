import json

import networkx
import numpy as np
import pytest
from documents import chart, documents, long_text
from hypothesis import given
from hypothesis import strategies as st
from test_planner import built

from hierarchy.document import Document
from hierarchy.errors import InputError, StoreError
from hierarchy.planner import outline
from hierarchy.tree import SummaryTree


@given(documents(), st.integers(0, 200))
def test_a_cut_covers_every_leaf_once(document, size):
    """Whatever the size asked, the nodes of a cut partition the leaves and keep to the size unless they are leaves."""
    tree = built(document)
    if tree:
        cut = tree.cut(size)
        covered = np.concatenate([np.arange(tree.nodes.low[n], tree.nodes.high[n]) for n in cut])
        assert covered.tolist() == list(range(len(tree.leaves)))
        assert all(tree.node_tokens[n] <= size or n in tree.leaf_nodes for n in cut)


@given(documents())
def test_json_gives_the_tree_back(document):
    """Writing and reading a tree changes nothing."""
    tree = built(document)
    if tree:
        again = SummaryTree.from_json(tree.to_json())
        assert again == tree
        assert again.document == tree.document


@given(documents())
def test_the_graph_is_an_arborescence(document):
    """networkx agrees that the tree is one, with the tokens of each node."""
    tree = built(document)
    if tree:
        assert networkx.is_arborescence(tree.graph) or len(tree) == 1
        assert tree.graph.nodes[0]["tokens"] == tree.tokens


@given(documents(), st.data())
def test_the_smallest_node_holds_what_was_asked_and_no_child_does(document, data):
    """`smallest_node` is the lowest common ancestor of a run of leaves."""
    tree = built(document)
    if tree:
        low = data.draw(st.integers(0, len(tree.leaves) - 1))
        high = data.draw(st.integers(low + 1, len(tree.leaves)))
        number = tree.smallest_node(low, high)
        assert tree.nodes.low[number] <= low < high <= tree.nodes.high[number]
        assert not any(tree.nodes.low[c] <= low and high <= tree.nodes.high[c] for c in tree.children(number))


def test_nodes_say_where_they_are():
    """Headings, pages and texts of leaves are those of the document."""
    tree = outline(chart())
    leaf = next(i for i in range(len(tree.leaves)) if "INR" in tree.leaf_text(i))
    assert tree.heading(leaf) == "Laboratory"
    assert tree.page(leaf) is None
    assert list(tree.leaf_texts()) == [tree.leaf_text(i) for i in range(len(tree.leaves))]


def test_a_title_is_declared_or_how_the_text_begins():
    """Sections keep their title; passages are called by their first words."""
    tree = outline(Document(name="n.txt", text=long_text(60)))
    assert tree.title(0) == "n.txt"
    passage = int(tree.cut(280)[3])
    assert tree.text(*(int(t[passage]) for t in (tree.nodes.low, tree.nodes.high))).startswith(
        tree.title(passage).removesuffix(" …")
    )


def test_a_missing_node_is_named():
    """An id that leads nowhere is an input error, not another node."""
    with pytest.raises(InputError, match=r"0\.99"):
        outline(chart()).find("0.99")


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("leaves"),
        lambda record: record["nodes"].pop("parent"),
        lambda record: record.update(hierarchy_tree=99),
        lambda record: record["leaves"].update(start="no"),
    ],
)
def test_a_damaged_tree_is_never_read_as_truth(damage):
    """A tree file with a part missing, or of another version, is refused."""
    record = json.loads(outline(chart()).to_json())
    damage(record)
    with pytest.raises(StoreError):
        SummaryTree.from_json(json.dumps(record))


@pytest.mark.parametrize("data", ["", "[]", "{}", "null", '{"hierarchy_tree": 1'])
def test_what_is_no_tree_is_refused(data):
    """Text that isn't a tree at all gives the same clear error."""
    with pytest.raises(StoreError):
        SummaryTree.from_json(data)
