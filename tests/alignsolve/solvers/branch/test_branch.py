"""Branch and bound on prices: its lists of choices, its answers, and where it stops."""

import math
import time

import numpy as np
import pytest
from hypothesis import given, settings

from alignsolve import AlignmentProblem, Proof, RowBlocks, Status, solve
from alignsolve.certificate import tree_choices
from alignsolve.certificate.tree import tree_bound
from alignsolve.solver import WarmStart
from alignsolve.solvers.branch import Branch, solver
from alignsolve.solvers.branch.choices import list_choices
from alignsolve.solvers.branch.search import Found, Search
from problems import FAMILIES
from tests import oracle, strategies


def mixed(seed, clients=16, experts=5):
    return FAMILIES["mixed"](np.random.default_rng(seed), num_clients=clients, num_experts=experts)


def listed(choices, bits, i):
    rows = range(choices.first[i], choices.first[i + 1])
    return sorted(tuple(j for j in range(60) if int(bits[k]) >> j & 1) for k in rows)


@pytest.mark.kernels
@settings(max_examples=40)
@given(strategies.problems(max_clients=3, max_experts=4))
def test_search_and_check_list_the_choices_that_the_oracle_lists(problem):
    mine, checked = list_choices(problem, 1000), tree_choices.list_choices(problem, 1 << 14)
    for i in range(problem.num_clients):
        expected = sorted(oracle.row_choices(problem, i))
        assert listed(mine, mine.experts, i) == listed(checked, checked.bits, i) == expected


def test_too_many_choices_are_not_listed(monkeypatch):
    problem = mixed(3, 20, 5)
    assert list_choices(problem, 10) is None
    monkeypatch.setattr(solver, "MOST_CHOICES", 10)
    solution = solve(problem, "branch", throw=False)
    assert solution.status is not Status.OPTIMAL
    assert "more than 10 choices" in solution.stats["stopped"]


def test_fitness_in_blocks_is_not_searched():
    given = mixed(1)
    whole = given.fitness[:16]
    blocks = RowBlocks(whole.shape, whole.dtype, lambda start, stop: whole[start:stop])
    problem = AlignmentProblem(blocks, 2, 1, expert_capacity=60.0, client_load=np.arange(1.0, 17.0))
    assert "read in blocks" in solve(problem, "branch").stats["stopped"]


@pytest.mark.kernels
@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_an_integer_program(seed):
    problem = mixed(seed, 9, 3)
    mine, theirs = solve(problem, "branch", presolve=False), oracle.best(problem)
    assert mine.status is Status.OPTIMAL
    assert mine.proof in {Proof.PRICES, Proof.TREE}
    assert math.isclose(mine.objective, float(theirs.objective), rel_tol=1e-9)


def test_a_search_in_slices_is_the_same_search():
    problem, choices = mixed(3, 20, 5), list_choices(mixed(3, 20, 5), 1 << 16)
    trees = []
    for step in (1, 10**6):
        search = Search(problem, choices, np.zeros(5), 0.0)
        found = Found.MORE
        while found is Found.MORE:
            found = search.run(step, math.inf)
        trees.append(search.tree())
    for name in ("client", "expert", "taken", "prices"):
        np.testing.assert_array_equal(getattr(trees[0], name), getattr(trees[1], name))
    shown = tree_bound(problem, trees[0]).value
    assert math.isclose(shown, search.objective, rel_tol=1e-9)


def test_nodes_and_gap_end_it_early():
    problem = mixed(3, 20, 5)
    best = solve(problem, "branch", presolve=False)
    assert best.stats["nodes"] > 2
    few = solve(problem, Branch(nodes=1), presolve=False)
    assert few.stats["stopped"] == "nodes"
    assert few.bound >= best.objective
    near = solve(problem, Branch(gap=0.05), presolve=False)
    assert near.gap <= 0.05
    assert near.stats["nodes"] < best.stats["nodes"]


def test_it_starts_from_what_is_known():
    problem = mixed(3, 20, 5)
    best = solve(problem, "branch", presolve=False)
    again = solve(problem, "branch", presolve=False, warm_start=WarmStart(best.assigned, best.prices))
    assert again.objective == best.objective
    assert again.status is Status.OPTIMAL


def test_it_reports_and_keeps_its_limit():
    reports = []
    problem = mixed(3, 20, 5)
    solve(problem, "branch", presolve=False, progress=reports.append)
    assert {"branch", "checked"} <= {report.phase for report in reports}
    began = time.monotonic()
    stopped = Branch()(problem, deadline=began, warm_start=WarmStart(), seed=0, threads=1, progress=None)
    assert stopped.stats.get("stopped") == "time limit"


def test_own_proofs_are_enough_for_auto():
    problem = mixed(3, 20, 5)
    solution = solve(problem, proof="own")
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.TREE)
    with pytest.raises(ValueError, match="proof is 'mine'"):
        solve(problem, proof="mine")


def test_a_back_ends_word_does_not_count_as_an_own_proof(monkeypatch):
    """Without a search for trees, HiGHS and CP-SAT agree; with proof="own" that is not enough."""
    problem = mixed(3, 20, 5)
    monkeypatch.setattr(solver, "MOST_CHOICES", 10)
    assert solve(problem, "ilp").proof is Proof.SOLVER
    alone = solve(problem, "ilp", proof="own")
    assert (alone.status, alone.proof) == (Status.FEASIBLE, Proof.NONE)
