"""The budgeted map: figures add up on any tree, odd columns make no map, and the rows tell what matters."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from traced import large_trace, trace_of

from hierarchy.budget import Usage
from hierarchy.events import Allocated, Answered, Estimated, Mapped, Read, Reserved, Settled, Started
from hierarchy.trace import Trace
from hierarchy.viewer.rows import rows_of
from hierarchy.viewer.shapes import Shape
from hierarchy.viewer.treemap import TreeMap, granted_by_node

KINDS = ("document", "section", "passage", "sentence")


def mapped(parents, /, **changes):
    """The map of a tree whose leaves have ten tokens and a hundred characters each."""
    count = len(parents)
    inner = set(parents)
    leaf = [number not in inner for number in range(count)]
    tokens, starts, ends, at = [10 * one for one in leaf], [], [], 0
    for one in leaf:
        starts.append(at)
        at += 100 * one
        ends.append(at)
    for number in range(count - 1, 0, -1):
        tokens[parents[number]] += tokens[number]
        ends[parents[number]] = max(ends[parents[number]], ends[number])
    columns = {
        "parents": parents, "kinds": [min(3, number) for number in range(count)], "tokens": tokens,
        "files": [0] * count, "starts": starts, "ends": ends, "pages": [0] * count, "kind_names": KINDS,
    }  # fmt: skip
    return Mapped(**{**columns, **changes})


@st.composite
def trees(draw):
    """Parents of a tree in preorder: each node hangs on the last one or on one above it."""
    parents = [-1]
    for number in range(1, draw(st.integers(1, 40))):
        above = [number - 1]
        while parents[above[-1]] >= 0:
            above.append(parents[above[-1]])
        parents.append(draw(st.sampled_from(above)))
    return parents


def below(parents, number):
    """The slow way to tell what is below a node, itself included."""
    found = {number}
    for node, parent in enumerate(parents):
        if parent in found:
            found.add(node)
    return found


def dotted(parents, number):
    path = []
    while number:
        beside = [node for node, parent in enumerate(parents) if parent == parents[number]]
        path.append(beside.index(number))
        number = parents[number]
    return ".".join(map(str, [0, *reversed(path)]))


class TestShape:
    @given(trees())
    def test_what_is_below_a_node(self, parents):
        """As the slow way has it; so are ids and children."""
        shape = Shape.of(mapped(parents))
        for number in range(len(parents)):
            assert set(range(number, int(shape.last[number]))) == below(parents, number)
            assert shape.number(dotted(parents, number)) == number
            assert shape.children(number) == [node for node, parent in enumerate(parents) if parent == number]

    @given(trees(), st.sets(st.integers(1, 39)))
    def test_parts_are_the_nearest_named_nodes(self, parents, named):
        """Each named node but the root is a part of exactly one node: the nearest named one above it."""
        kinds = [0 if not number else 1 if number in named else 3 for number in range(len(parents))]
        shape = Shape.of(mapped(parents, kinds=kinds))
        names = {0, *(number for number in named if number < len(parents))}
        found = {int(part): number for number in names for part in shape.parts(number) if int(part) in names}
        assert set(found) == names - {0}
        for part, number in found.items():
            above = parents[part]
            while above not in names:
                above = parents[above]
            assert above == number

    @pytest.mark.parametrize(
        "changes",
        [
            {"parents": [-1, 1]}, {"parents": [0, 0]}, {"parents": [-1, -1]}, {"parents": [-1, 5]}, {"tokens": [1]},
            {"parents": []}, {"starts": [1 << 80, 0]},
        ],
    )  # fmt: skip
    def test_columns_of_no_tree_make_no_shape(self, changes):
        """A file that somebody else wrote may hold anything."""
        assert Shape.of(mapped([-1, 0], **changes)) is None

    @pytest.mark.parametrize("node", ["", "1", "0.9", "0.x", "0.-1", "0.²", "0.0.0.0", ".", "0."])
    def test_ids_of_no_node(self, node):
        """They have no number."""
        assert Shape.of(mapped([-1, 0, 1])).number(node) is None

    def test_a_very_deep_tree(self):
        """Costs no more than a wide one, and no stack."""
        shape = Shape.of(mapped([-1, *range(50_000)]))
        assert shape.last.tolist() == [50_001] * 50_001
        assert shape.parts(0).tolist() == [1]
        assert shape.number("0" + ".0" * 50_000) == 50_000

    def test_kinds_and_titles_out_of_range(self):
        """Don't matter."""
        shape = Shape.of(mapped([-1, 0], kinds=[99, -5], titles={"77": "x", "no": "y"}))
        assert shape.kind(0) == shape.kind(1) == "part"
        assert shape.title(1)


class TestFigures:
    @given(trees(), st.lists(st.tuples(st.integers(0, 3_000), st.integers(1, 500)), max_size=6))
    def test_what_was_read_adds_up(self, parents, stretches):
        """Of each node as much as leaves below it were touched, each counted once."""
        reads = [Read(node="0", source="a", start=low, end=low + length, tokens=1) for low, length in stretches]
        start = Started(
            question="?", document="a", source_names=("a",), document_key="", document_tokens=1, budget=1, model="m"
        )
        tree_map = TreeMap.of(Trace((start, mapped(parents), *reads)))
        shape = tree_map.shape
        touched = {
            leaf
            for leaf in shape.leaves.tolist()
            for read in reads
            if read.start < shape.ends[leaf] and read.end > shape.begins[leaf]
        }
        for number in range(len(parents)):
            assert tree_map.read[number] == 10 * len(touched & below(parents, number))

    @pytest.mark.parametrize("run", ["demo", "staged", "branches", "abstaining"])
    def test_the_root_agrees_with_the_receipt(self, run):
        """What was read verbatim and by calls is what the answer says was read."""
        trace = trace_of(run)
        tree_map = TreeMap.of(trace)
        assert tree_map.read[0] + tree_map.refined[0] == trace.receipt()["read_tokens"]
        assert tree_map.granted[0] == sum(granted_by_node(trace).values())
        assert tree_map.coarse[0] == trace.receipt()["coarse_tokens"]

    def test_rounds_are_granted_together(self):
        """The last allocation alone is less than what was read."""
        trace = trace_of("staged")
        granted = sum(granted_by_node(trace).values())
        assert granted > sum(grant.tokens for grant in trace.grants())
        assert granted == TreeMap.of(trace).read[0]

    def test_figures_beyond_reckoning(self):
        """A file that somebody else wrote may hold anything: it is drawn all the same."""
        changes = {"tokens": 10**60}
        events = [
            replace(event, **changes) if isinstance(event, Reserved)
            else replace(event, grants=[replace(grant, **changes) for grant in event.grants])
            if isinstance(event, Allocated)
            else replace(event, usage=Usage(input_tokens=-(10**60))) if isinstance(event, Settled)
            else replace(event, relevance_permille=[10**60] * len(event.relevance_permille))
            if isinstance(event, Estimated)
            else event
            for event in trace_of("branches")
        ]  # fmt: skip
        tree_map = TreeMap.of(Trace(tuple(events)))
        assert tree_map.granted[0] > 0 > tree_map.spent[0]
        assert tree_map.relevance is None

    def test_without_a_map_there_is_none(self):
        """Traces of version 1 have none."""
        assert TreeMap.of(trace_of("version-1")) is None
        assert TreeMap.of(Trace()) is None


class TestRows:
    @pytest.mark.parametrize("most", [2, 5, 12, 18, 40])
    @pytest.mark.parametrize("run", ["demo", "staged", "branches", "abstaining", "gathered", "cut-off"])
    def test_never_more_than_there_is_room_for(self, run, most):
        """And each branch's figures are those of the rows below it, text of its own and folds included."""
        tree_map = TreeMap.of(trace_of(run))
        rows = rows_of(tree_map, most)
        assert len(rows) <= max(most, 4)
        for at, row in enumerate(rows):
            under = list(itertools.takewhile(lambda one, row=row: one.depth > row.depth, rows[at + 1 :]))
            children = [one for one in under if one.depth == row.depth + 1]
            if children and run != "gathered":
                assert sum(one.read for one in children) == row.read
                assert sum(one.seen for one in children) == row.seen

    @pytest.mark.parametrize("run", ["demo", "staged", "branches"])
    def test_every_quote_has_its_row(self, run):
        """Exactly one."""
        trace = trace_of(run)
        marks = [mark for row in rows_of(TreeMap.of(trace), 18) for mark in row.marks]
        quotes = trace.of(Answered)[-1].citations
        assert sorted(marks) == [number for number, quote in enumerate(quotes, 1) if quote["verified"]]

    def test_quiet_branches_are_folded_and_counted(self):
        """Of a folder of a hundred reports a few rows are left; what they stand for adds up."""
        tree_map = TreeMap.of(large_trace(nodes=20_000, calls=3, reads=5))
        rows = rows_of(tree_map, 18)
        assert len(rows) <= 18
        beside = [row for row in rows if row.depth == 1]
        assert sum(row.folded or 1 for row in beside) == len(tree_map.shape.parts(0))
        assert sum(row.tokens for row in beside) == tree_map.shape.tokens[0]

    def test_nothing_read_is_still_a_map(self):
        """The parts that seem most relevant show."""
        trace = trace_of("demo")
        cut = Trace(tuple(event for event in trace if not isinstance(event, Read | Answered)))
        assert len(rows_of(TreeMap.of(cut), 12)) > 1
