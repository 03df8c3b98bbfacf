"""Proof trees: whatever is in them, the check never goes below the best alignment; a changed tree proves no lie."""

import json
import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Proof, Status, solve
from alignsolve.certificate.judge import judge
from alignsolve.certificate.tree import Leaf, ProofTree, tree_bound
from alignsolve.certificate.verify import Claim, verify
from alignsolve.io.record_file import FileError
from alignsolve.io.records import load_solution, save_problem, save_solution
from alignsolve.solver import Answer
from problems import FAMILIES
from tests import oracle, strategies


def drawn_tree(rng, problem, *, nodes=12, directions=False):
    """A tree with random branches and prices, whole by construction; a forest where experts have parts."""
    n, e = problem.shape
    scale = 1.0 + float(np.abs(np.nan_to_num(problem.fitness[:n], posinf=0.0, neginf=0.0)).max(initial=0.0))
    part = rng.integers(0, 2, e) if e > 1 and rng.integers(3) == 0 else np.zeros(e, dtype=np.int64)
    part = np.unique(part, return_inverse=True)[1]
    prices = rng.choice([0.0, 0.5, 1.0, -1.0, 4.0], size=(4, e)) * rng.choice([1.0, 0.1 * scale, 1e3 * scale])
    rows = []

    def grow(left):
        if left > 1 and rng.integers(4):
            rows.append((int(rng.integers(n)), int(rng.integers(e)), bool(rng.integers(2))))
            grow(left // 2)
            grow(left - left // 2)
        else:
            kind = Leaf.DIRECTION if directions and rng.integers(2) else Leaf.PRICES
            rows.append((int(rng.integers(len(prices))), int(kind), False))

    for _ in range(int(part.max()) + 1):
        grow(nodes)
    client, expert, taken = zip(*rows, strict=True)
    return ProofTree(np.array(client), np.array(expert), np.array(taken), prices, part)


@settings(max_examples=200)
@given(strategies.general_problems(max_clients=3, max_experts=3), st.integers(0, 2**32))
def test_no_tree_goes_below_the_best_alignment(problem, seed):
    rng = np.random.default_rng(seed)
    best = oracle.best(problem)
    for directions in (False, True):
        shown, told = tree_bound(problem, drawn_tree(rng, problem, directions=directions))
        assert not told
        if best is None:
            continue
        scale = oracle.magnitude(problem, best.choices) + abs(float(best.objective))
        assert float(shown) >= float(best.objective) - 1e-9 * scale


@settings(max_examples=60)
@given(strategies.general_problems(max_clients=4, max_experts=3))
def test_the_search_closes_what_the_oracle_knows(problem):
    best, solution = oracle.best(problem), solve(problem, "branch", presolve=False, throw=False)
    if best is None:
        assert solution.status is Status.INFEASIBLE
        assert solution.proof in {Proof.PRICES, Proof.TREE}
        return
    assert solution.status is Status.OPTIMAL, solution
    assert solution.proof in {Proof.PRICES, Proof.TREE}
    scale = oracle.magnitude(problem, best.choices) + abs(float(best.objective))
    assert abs(Fraction(solution.objective) - best.objective) <= Fraction(1e-9 * scale)


@pytest.fixture(scope="module")
def proven():
    """A problem that prices alone do not close, with its tree."""
    problem = FAMILIES["mixed"](np.random.default_rng(3), num_clients=20, num_experts=5)
    solution = solve(problem, "branch", presolve=False)
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.TREE)
    return solution


def test_a_tree_is_kept_in_the_solutions_file(proven, tmp_path):
    save_problem(proven.problem, tmp_path / "problem.npz")
    for name in ("solution.npz", "solution.json"):
        save_solution(proven, tmp_path / name)
        claim = load_solution(tmp_path / name)
        checked = verify(proven.problem, claim)
        assert checked.holds
        assert not checked.unconfirmed
        assert checked.solution.proof is Proof.TREE
        assert f"{claim.tree.num_leaves} cases" in proven.explain()
    record = json.loads((tmp_path / "solution.json").read_text())
    del record["tree_prices"]
    (tmp_path / "cut.json").write_text(json.dumps(record))
    with pytest.raises(FileError, match="a tree needs the fields"):
        load_solution(tmp_path / "cut.json")


def test_a_tree_counts_in_the_general_class_only():
    problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)
    optimum = solve(problem)
    tree = ProofTree.of_prices(optimum.prices)
    found = judge(problem, Answer(optimum.assigned, np.full(2, 9.0), tree=tree))
    assert (found.status, found.tree) == (Status.FEASIBLE, None)


def test_without_its_tree_the_word_is_not_believed(proven):
    claim = Claim.of(proven)
    assert not verify(proven.problem, replace(claim, tree=None)).holds


def changed(rng, tree):
    """The tree with something changed: nodes, kinds, prices, lengths."""
    fields = {name: np.array(getattr(tree, name)) for name in ("client", "expert", "taken", "prices")}
    at = int(rng.integers(len(tree.client)))
    kind = int(rng.integers(8))
    if kind == 0:
        fields["client"][at] = rng.integers(-2, 40)
    elif kind == 1:
        fields["expert"][at] = rng.integers(-4, 8)
    elif kind == 2:
        fields["taken"][at] ^= True
    elif kind == 3:
        row = int(rng.integers(len(tree.prices)))
        with np.errstate(invalid="ignore", over="ignore"):
            fields["prices"][row] *= rng.choice([0.0, -1.0, 0.5, 1.5, np.nan, np.inf, 1e300])
    elif kind == 4:
        keep = np.arange(len(tree.client)) != at
        fields |= {name: fields[name][keep] for name in ("client", "expert", "taken")}
    elif kind == 5:
        order = np.insert(np.arange(len(tree.client)), at, at)
        fields |= {name: fields[name][order] for name in ("client", "expert", "taken")}
    elif kind == 6:
        fields |= {name: fields[name][:at] for name in ("client", "expert", "taken")}
    else:
        other = int(rng.integers(len(tree.client)))
        for name in ("client", "expert", "taken"):
            fields[name][[at, other]] = fields[name][[other, at]]
    return ProofTree(**fields, part=tree.part)


def check_changed(proven, number, seed):
    """Return how many changed trees prove less than the whole tree."""
    rng, weaker = np.random.default_rng(seed), 0
    for _ in range(number):
        shown, told = tree_bound(proven.problem, changed(rng, proven.tree))
        assert not math.isnan(shown)
        assert shown >= proven.objective - 1e-9 * abs(proven.objective)
        weaker += bool(told) or shown > proven.bound + 1e-7 * abs(proven.objective)
    return weaker


def test_a_changed_tree_proves_no_lie(proven):
    assert check_changed(proven, 300, 0) > 100


@pytest.mark.slow
def test_ten_thousand_changed_trees_prove_no_lie(proven):
    assert check_changed(proven, 10_000, 1) > 3_000


def test_a_better_alignment_refutes_any_tree(proven):
    """A tree never proves a worse alignment optimal."""
    worse = solve(proven.problem, "topk" if not proven.problem.experts.hard_capacity.any() else "greedy")
    assert worse.objective < proven.objective
    found = judge(proven.problem, Answer(worse.assigned, worse.prices, tree=proven.tree))
    assert found.status is Status.FEASIBLE
    assert found.bound >= proven.objective


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"client": np.zeros(0, np.int64)}, "one for each node"),
        ({"prices": np.zeros((1, 3))}, "rows of 2 floats"),
        ({"prices": np.full((1, 2), np.nan)}, "finite"),
        ({"part": np.array([0, 2])}, "each part with an expert"),
        ({"expert": np.array([-9])}, "at a leaf"),
        ({"client": np.array([1])}, "a row of the prices"),
        ({"expert": np.array([1])}, "do not end"),
    ],
)
def test_faults_are_told(fields, told):
    problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    shown, why = tree_bound(problem, replace(ProofTree.of_prices(np.zeros(2)), **fields))
    assert shown == math.inf
    assert told in why


def test_no_tree_is_checked_where_the_problem_is_too_large_for_memory(monkeypatch):
    problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    leaf = ProofTree.of_prices(np.zeros(2))
    assert 5.0 <= tree_bound(problem, leaf).value < 5.0 + 1e-12
    monkeypatch.setattr("alignsolve.certificate.tree.MOST_PAIRS", 3)
    assert "and 3 pairs" in tree_bound(problem, leaf).told


def test_nodes_beyond_the_end_are_refused():
    problem = AlignmentProblem([[3.0, 2.0], [2.0, 1.5]], expert_capacity=3, client_load=[3.0, 2.0])
    leaf = ProofTree.of_prices(np.zeros(2))
    two = ProofTree(*(np.repeat(getattr(leaf, name), 2) for name in ("client", "expert", "taken")), leaf.prices)
    assert "beyond its end" in tree_bound(problem, two).told


def test_what_falls_apart_has_a_tree_for_each_part():
    """Layers without a common bound are solved apart; their trees are joined."""
    rng = np.random.default_rng(11)
    load = rng.integers(2, 9, size=40).astype(float)
    problem = AlignmentProblem(
        rng.random((40, 16)), client_capacity=2, expert_capacity=0.16 * load.sum(), client_load=load,
        expert_group=np.repeat([0, 1], 8), group_capacity=1, group_demand=1, client_demand=2,
    )  # fmt: skip
    solution = solve(problem, "branch")
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.TREE)
    assert solution.tree.num_parts == 2
    whole = solve(problem, "ilp", presolve=False)
    assert math.isclose(whole.objective, solution.objective, rel_tol=1e-9)


def test_infeasibility_has_a_tree_where_no_witness_exists():
    """Three loads of 2 do not fit into two capacities of 3, though their sum does."""
    problem = AlignmentProblem(np.ones((3, 2)), client_demand=1, expert_capacity=3, client_load=2.0)
    solution = solve(problem, "branch", throw=False)
    assert (solution.status, solution.proof, solution.witness) == (Status.INFEASIBLE, Proof.TREE, None)
    assert "no alignment" in solution.explain()
    assert verify(problem, Claim.of(solution)).holds
