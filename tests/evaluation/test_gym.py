"""The gym knows what every reading is worth: its optimum, its estimates and its charges are checked by brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hierarchy.allocator import LABEL_TOKENS, Allocation, Grant, expected_gain
from hierarchy.evaluation import gym_trees
from hierarchy.evaluation.gym import (
    LARGE_BUDGETS,
    Reading,
    all_readings,
    field_tables,
    optimum,
    read_along,
    regret_tables,
    run_large,
    run_small,
)
from hierarchy.evaluation.gym_policies import (
    DEFAULT,
    EXACTING,
    GUARDED,
    POLICIES,
    joined_gain,
    knapsack,
    knapsack_values,
    random_passages,
)
from hierarchy.evaluation.gym_stopping import (
    CONFIDENCES,
    RULES,
    STOPPING_BUDGETS,
    Course,
    run_stopping,
    stopped_at,
)
from hierarchy.evaluation.gym_trees import ESTIMATES, FORMS, draw_task, grow
from hierarchy.segments import LeafKind
from hierarchy.stopping import chance_of

ALL = {**POLICIES, **EXACTING, **GUARDED}
seeds = st.integers(0, 10_000)


def task_of(seed, form="sentence", estimate="noisy", leaves=14, signal=1.5):
    tree = grow(np.random.default_rng(seed), leaves, 2 if form == "files" else 1)
    return draw_task(tree, form, estimate, np.random.default_rng(seed), signal)


def mask_of(tree, runs):
    read = np.zeros(len(tree.leaves), dtype=np.bool_)
    for low, high in runs:
        read[low:high] = True
    return read


class TestTrees:
    @given(seeds, st.integers(2, 300), st.integers(1, 3))
    def test_a_tree_has_no_more_leaves_than_asked_and_is_the_same_each_time(self, seed, leaves, files):
        """So that trying all readings stays possible, and figures can be had again."""
        leaves = max(leaves, 3 * files)
        tree = grow(np.random.default_rng(seed), leaves, files)
        assert 0.6 * leaves <= len(tree.leaves) <= leaves
        assert tree == grow(np.random.default_rng(seed), leaves, files)
        assert len(tree.files) == files

    def test_costs_vary_and_passages_nest(self):
        """Sentences, rows and headings of different lengths; candidates of several sizes."""
        task = task_of(1, leaves=600)
        tree = task.tree
        assert set(tree.leaves.kind) == {LeafKind.SENTENCE, LeafKind.ROW, LeafKind.HEADING}
        low, high = np.percentile(tree.leaves.tokens, [10, 90])
        assert high > 3 * low
        sizes = tree.node_tokens[task.relevance.candidates]
        assert all(((sizes > size / 2) & (sizes <= 1.1 * size)).any() for size in (64, 128, 256, 512, 1024))

    @pytest.mark.parametrize("form", FORMS)
    @pytest.mark.parametrize("estimate", ESTIMATES)
    @pytest.mark.parametrize("leaves", [14, 120])
    def test_a_gain_is_what_reading_the_candidate_alone_would_bring(self, form, estimate, leaves):
        """The fast sums over places agree with reading each candidate by itself, under the estimate."""
        for seed in range(3):
            task = task_of(seed, form, estimate, leaves)
            tree, relevance = task.tree, task.relevance
            for node, gain in zip(relevance.candidates, relevance.gain, strict=True):
                read = mask_of(tree, [(tree.nodes.low[node], tree.nodes.high[node])])
                edges = np.concatenate(([0], np.cumsum(read * tree.leaves.tokens)))
                missed = 1.0
                for need in task.needs:
                    sizes = tree.leaf_edges[need.high] - tree.leaf_edges[need.low]
                    missed *= 1 - float(need.met((edges[need.high] - edges[need.low]) / sizes, need.believed))
                assert gain == pytest.approx(1 - missed, abs=1e-9)

    @given(seeds, st.sampled_from(FORMS), st.sampled_from(ESTIMATES))
    def test_estimates_are_probabilities_and_no_node_is_less_relevant_than_its_children(self, seed, form, estimate):
        """As `Relevance` promises."""
        task = task_of(seed, form, estimate, 40)
        relevance, parents = task.relevance, task.tree.nodes.parent
        for values in (relevance.node, relevance.leaf, relevance.gain):
            assert ((values >= 0) & (values <= 1)).all()
        assert (relevance.node[parents[1:]] >= relevance.node[1:] - 1e-9).all()
        for need in task.needs:
            assert (need.high[:-1] <= need.low[1:]).all()
            if need.alone:
                assert need.believed.sum() == pytest.approx(1)
                assert need.known.sum() == pytest.approx(1)

    @given(seeds, st.sampled_from(FORMS), st.sampled_from(ESTIMATES))
    def test_reading_everything_covers_everything_and_more_never_covers_less(self, seed, form, estimate):
        """Values run from 0 to 1 and rise with what is read."""
        task = task_of(seed, form, estimate)
        order = np.random.default_rng(seed).permutation(len(task.tree.leaves))
        reads = np.zeros((len(order) + 1, len(order)), dtype=np.bool_)
        for step, leaf in enumerate(order):
            reads[step + 1 :, leaf] = True
        values = task.value(reads)
        assert values[0] == pytest.approx(0)
        assert values[-1] == pytest.approx(1)
        assert (np.diff(values) >= -1e-9).all()

    @pytest.mark.parametrize("form", ["sentence", "repeated"])
    def test_what_is_known_is_calibrated_and_overconfidence_is_not(self, form, monkeypatch):
        """Of places said to hold something with some probability, that share does; the overconfident promise more."""
        truths = []
        drawn = gym_trees._holding
        monkeypatch.setattr(
            gym_trees, "_holding", lambda *args, **kwargs: truths.append(drawn(*args, **kwargs)) or truths[-1]
        )
        for estimate in ("noisy", "overconfident"):
            truths.clear()
            tasks = [task_of(seed, form, estimate, 60, signal=2.0) for seed in range(150)]
            known = np.concatenate([task.needs[0].known for task in tasks])
            believed = np.concatenate([task.needs[0].believed for task in tasks])
            holds = np.concatenate(truths)
            for low, high in itertools.pairwise((0.0, 0.02, 0.1, 0.3, 0.7, 1.01)):
                inside = (known >= low) & (known < high)
                if inside.sum() > 30:
                    margin = 4 * np.sqrt(known[inside].mean() / inside.sum()) + 0.01
                    assert known[inside].mean() == pytest.approx(holds[inside].mean(), abs=margin)
            if estimate != "noisy":
                sure = believed > 0.7
                assert believed[sure].mean() > holds[sure].mean() + 0.05

    def test_shared_noise_is_weighed_as_its_covariance_says(self):
        """The closed form agrees with inverting the matrix."""
        holds = np.array([False, True, False, False, False])
        section = np.array([0, 0, 0, 1, 1])
        signal = 1.7
        known, _ = gym_trees._shared_noise(np.random.default_rng(5), holds, section, signal)
        generator = np.random.default_rng(5)
        shared = generator.standard_normal(2)[section]
        scores = signal * holds + np.sqrt(0.5) * generator.standard_normal(5) + np.sqrt(0.5) * shared
        inverse = np.linalg.inv(0.5 * np.eye(5) + 0.5 * (section[:, None] == section))
        assert known == pytest.approx(signal * inverse @ scores - signal**2 / 2 * np.diag(inverse))


class TestOptimum:
    @given(seeds, st.integers(1, 2), st.sampled_from([0, LABEL_TOKENS]))
    def test_costs_of_all_readings_are_those_of_reading_them(self, seed, files, label_tokens):
        """Two ways to charge: all sets at once, and stretch by stretch in any order."""
        tree = grow(np.random.default_rng(seed), 6, files)
        sets, costs = all_readings(tree, label_tokens)
        assert len(sets) == 2 ** len(tree.leaves)
        order = np.random.default_rng(seed).permutation(len(tree.leaves)).tolist()
        for read, cost in zip(sets, costs, strict=True):
            reading = Reading(tree, label_tokens)
            for leaf in order:
                if read[leaf]:
                    reading.take([(leaf, leaf + 1)])
            assert reading.spent == cost
            assert (reading.read == read).all()

    def test_the_optimum_is_the_best_affordable_reading(self):
        """By looking at each."""
        task = task_of(3, leaves=8)
        sets, costs = all_readings(task.tree)
        values = task.value(sets)
        for tokens in (0, 40, 90, 200):
            affordable = [float(value) for value, cost in zip(values, costs, strict=True) if cost <= tokens]
            assert optimum(values, costs, tokens) == max(affordable)

    @given(seeds, st.sampled_from(FORMS), st.integers(0, 260), st.sampled_from([0, LABEL_TOKENS]))
    def test_the_knapsack_is_the_best_set_of_passages(self, seed, form, tokens, label_tokens):
        """Dynamic programming finds what trying every set of passages that don't overlap does."""
        task = task_of(seed, form, leaves=8)
        tree, relevance = task.tree, task.relevance
        spans = [(int(tree.nodes.low[n]), int(tree.nodes.high[n])) for n in relevance.candidates]

        def best(at, left):
            """The best from a leaf on."""
            if at >= len(tree.leaves):
                return 0.0
            values = [best(at + 1, left)]
            for (low, high), gain in zip(spans, relevance.gain, strict=True):
                price = int(tree.leaf_edges[high] - tree.leaf_edges[low]) + label_tokens
                if low == at and price <= left:
                    values.append(gain + best(high, left - price))
            return max(values)

        assert knapsack_values(tree, relevance, tokens, label_tokens)[-1, tokens] == pytest.approx(best(0, tokens))
        allocation = knapsack(tree, relevance, tokens, label_tokens)
        price = sum(grant.tokens + label_tokens for grant in allocation.grants)
        assert price <= tokens
        assert sum(grant.gain for grant in allocation.grants) == pytest.approx(best(0, tokens))


class TestPolicies:
    @given(seeds, st.sampled_from(FORMS), st.sampled_from(ESTIMATES), st.integers(0, 500), st.sampled_from(sorted(ALL)))
    def test_no_policy_grants_more_than_there_is_or_a_leaf_twice(self, seed, form, estimate, tokens, name):
        """And what is read of it costs no more than the budget, labels included."""
        task = task_of(seed, form, estimate, 40)
        allocation = ALL[name](task.tree, task.relevance, tokens)
        leaves = [leaf for low, high in allocation.runs for leaf in range(low, high)]
        assert allocation.tokens <= tokens
        assert len(leaves) == len(set(leaves))
        assert allocation.tokens == task.tree.leaves.tokens[leaves].sum()
        reading = Reading(task.tree, LABEL_TOKENS)
        for leaf in np.flatnonzero(read_along(task.tree, allocation, tokens)).tolist():
            reading.take([(leaf, leaf + 1)])
        assert reading.spent <= tokens
        assert reading.read[leaves].sum() == reading.read.sum()

    @given(seeds, st.sampled_from(FORMS), st.sampled_from(ESTIMATES), st.integers(0, 400), st.integers(0, 200))
    def test_sequences_are_monotone(self, seed, form, estimate, tokens, more):
        """What is granted for a budget is granted for a larger one, by the default and by what might replace it."""
        task = task_of(seed, form, estimate, 60)
        for policy in (expected_gain, joined_gain, random_passages, POLICIES["gain alone"], POLICIES["best first"]):
            few, many = (mask_of(task.tree, policy(task.tree, task.relevance, n).runs) for n in (tokens, tokens + more))
            assert not (few & ~many).any()

    @given(seeds, st.sampled_from(FORMS), st.integers(0, 600))
    def test_without_its_changes_joined_gain_is_expected_gain(self, seed, form, tokens):
        """So that what they bring is what they bring."""
        task = task_of(seed, form, leaves=80)
        plain = joined_gain(task.tree, task.relevance, tokens, joins=False, odds=False)
        usual = expected_gain(task.tree, task.relevance, tokens)
        assert [grant.node for grant in plain.grants] == [grant.node for grant in usual.grants]
        assert plain.runs == usual.runs

    def test_a_passage_that_adjoins_pays_no_label(self):
        """Beside what is read, a sentence comes before one as good that stands elsewhere."""
        task = task_of(7, leaves=60)
        tree = task.tree
        leaves = np.flatnonzero(tree.leaves.kind == LeafKind.SENTENCE)
        side = next(leaf for leaf in leaves[1:] if leaf - 1 in leaves and leaf > 20)
        far = next(leaf for leaf in leaves if leaf < side - 3)
        price = tree.leaves.tokens
        gain = np.zeros(len(task.relevance.candidates))
        candidate = {int(node): at for at, node in enumerate(task.relevance.candidates)}
        for leaf, density in ((side - 1, 0.01), (far, 0.006), (side, 0.005)):
            gain[candidate[int(tree.leaf_nodes[leaf])]] = density * (price[leaf] + LABEL_TOKENS)
        relevance = gym_trees.Relevance(
            question=task.relevance.question,
            node=task.relevance.node,
            leaf=task.relevance.leaf,
            candidates=task.relevance.candidates,
            gain=gain,
            skip=task.relevance.skip,
            grain_tokens=0,
        )
        first_two = [
            {int(tree.nodes.low[grant.node]) for grant in policy(tree, relevance, tree.tokens).grants[:2]}
            for policy in (expected_gain, joined_gain)
        ]
        assert first_two == [{side - 1, far}, {side - 1, side}]

    def test_reading_stops_at_what_does_not_fit(self):
        """Grants are followed in order; of the one that is too long the leaves that fit are read, and no further."""
        tree = grow(np.random.default_rng(2), 12)
        tokens = tree.leaves.tokens
        grants = tuple(
            Grant(node=0, leaves=((low, high),), tokens=int(tokens[low:high].sum()), gain=0.1)
            for low, high in ((4, 6), (0, 3), (8, 9))
        )
        allocation = Allocation(policy="p", budget_tokens=10**6, grants=grants)
        enough = int(tokens[4:6].sum() + tokens[0:2].sum()) + 2 * LABEL_TOKENS
        assert np.flatnonzero(read_along(tree, allocation, enough)).tolist() == [0, 1, 4, 5]
        assert np.flatnonzero(read_along(tree, allocation, 10**6)).tolist() == [0, 1, 2, 4, 5, 8]


class TestStudies:
    def test_regrets_lie_between_none_and_all(self):
        """No reading is better than the optimum, and none goes over its budget."""
        regrets = run_small(1, seed=3)
        assert regrets.over_budget == 0
        assert {name for name, _ in regrets.by_known} == set(ALL)
        for group in (regrets.by_known, regrets.by_believed, regrets.by_form):
            assert all(-1e-12 <= regret <= 1 for values in group.values() for regret in values)
        for table in regret_tables(regrets):
            assert [row[0] for row in table.rows] == list(ALL)
            assert all(len(row) == len(table.header) for row in table.rows)

    def test_policies_on_large_trees(self):
        """The default is monotone and within its budget, knows more than chance, and ties with itself."""
        policies = {DEFAULT: expected_gain, "same": expected_gain, "random": random_passages}
        found = run_large(6, 200, seed=1, policies=policies)
        assert (found.over_budget, found.lost) == (0, 0)
        assert all(values.shape == (3, 6, len(LARGE_BUDGETS)) for values in found.values.values())
        ahead = found.ahead(DEFAULT, "random", "perfect")
        assert ahead.decided
        assert ahead.mean > 0.2
        assert not found.ahead(DEFAULT, "same", "noisy").decided
        assert run_large(6, 200, seed=1, policies=policies).values["noisy"] == pytest.approx(found.values["noisy"])
        duels = next(table for table in field_tables(found) if "ahead" in table.title)
        assert [row[0] for row in duels.rows] == ["same", "random"]
        assert all(cell.startswith("no winner") for cell in duels.rows[0][1:])

    def test_a_monotone_policy_is_noticed_when_it_is_not(self):
        """A default that forgets what it had is counted."""

        def fickle(tree, relevance, tokens):
            return (expected_gain if tokens < 1_000 else random_passages)(tree, relevance, tokens)

        assert run_large(1, 300, policies={DEFAULT: fickle}).lost > 0


class TestStopping:
    @given(st.lists(st.floats(0, 1), min_size=1, max_size=6), st.integers(1, 4))
    def test_the_chance_of_several_hits(self, gains, needed):
        """By counting over all ways it can go."""
        chances = chance_of(np.array(gains), needed)
        for length in range(1, len(gains) + 1):
            expected = 0.0
            for hits in itertools.product((0, 1), repeat=length):
                if sum(hits) >= needed:
                    expected += np.prod([g if h else 1 - g for g, h in zip(gains, hits, strict=False)])
            assert chances[length - 1] == pytest.approx(expected)

    def test_rules_by_hand(self):
        """Two grants of even odds, then one that is unlikely, and little left."""
        course = Course(
            gains=np.array([0.5, 0.5, 0.1]),
            tokens=np.array([26.0, 76.0, 76.0]),
            spent=np.array([50.0, 150.0, 250.0]),
            values=np.array([0.4, 0.7, 0.75]),
            unread_gains=np.array([0.1]),
            needs=2,
        )
        confidence = {name: rule(course).round(6).tolist() for name, (rule, _) in RULES.items()}
        assert confidence["one hit"] == [0.5, 0.75, 0.775]
        assert confidence["every need"] == [0.0, 0.25, 0.3]
        assert confidence["gains summed"] == [0.25, 0.5, 0.55]
        assert confidence["share read"] == pytest.approx([0.5 / 1.2, 1 / 1.2, 1.1 / 1.2], abs=1e-6)
        assert confidence["nothing left"] == pytest.approx([0.5 * 0.9 * 0.9, 0.9 * 0.9, 0.9], abs=1e-6)
        assert confidence["price"] == [-0.005, -0.001, 0.0]

    def test_reading_stops_at_the_first_grant_that_reaches_the_level(self):
        """Or runs to the end."""
        assert [stopped_at(np.array([0.2, 0.8, 0.9]), level) for level in (0.1, 0.8, 0.95)] == [0, 1, 2]

    def test_more_confidence_saves_less_and_loses_less(self):
        """For every rule, estimate and budget."""
        stops = run_stopping(6, 200, seed=2)
        for name, (_, levels) in RULES.items():
            for estimate, budget in itertools.product(ESTIMATES, STOPPING_BUDGETS):
                saved = [np.mean(stops.saved[name, level, estimate, budget]) for level in levels]
                lost = [np.mean(stops.lost[name, level, estimate, budget]) for level in levels]
                # A short leaf between two stretches saves more label than it costs.
                assert all(a >= b - 0.01 for a, b in itertools.pairwise(saved))
                assert all(a >= b - 1e-9 for a, b in itertools.pairwise(lost))
                assert min(saved) >= 0
                assert min(lost) >= -1e-9
        table = stops.tables()[0]
        assert len(table.rows) == sum(len(levels) for _, levels in RULES.values())
        assert [row[1] for row in table.rows[: len(CONFIDENCES)]] == [f"{level:g}" for level in CONFIDENCES]
