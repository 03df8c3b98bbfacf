"""The search of ``sift`` on stored pairs: its network, the pairs that it settles early, and those that come back."""

import math

import numpy as np
import pytest
import scipy.sparse as sp

from alignsolve import AlignmentProblem, Proof, Status, solve
from alignsolve.solver import WarmStart
from alignsolve.solvers.sift import Sift, stored
from alignsolve.solvers.sift.stored import StoredSearch
from alignsolve.solvers.sift.stored_network import HELD, OPEN, OUT, REQUIRED

pytestmark = pytest.mark.kernels


def draw(seed, num_clients=40, num_experts=12, **fields):
    rng = np.random.default_rng(seed)
    fitness = sp.random_array((num_clients, num_experts), density=0.4, rng=rng, format="csr")
    room = math.ceil(num_clients / num_experts)
    given = {"client_capacity": rng.integers(0, 3, num_clients), "expert_capacity": room, **fields}
    return AlignmentProblem(fitness, **given)


KINDS = {
    "plain": {},
    "demands": {"expert_demand": 1},
    "groups": {"expert_group": np.arange(12) % 3, "group_capacity": 1},
    "soft": {"overload_penalty": 0.2, "expert_demand": 3, "shortfall_penalty": 0.1},
    "unbounded": {"expert_capacity": None},
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_the_best_flow_is_found_and_proven(kind, seed):
    problem = draw(seed, **KINDS[kind])
    solution, full = solve(problem, Sift(), throw=False), solve(problem.to_dense(), "flow", throw=False)
    assert solution.status is full.status
    assert solution.proof is full.proof
    if full.objective is not None:
        assert solution.objective == pytest.approx(full.objective, rel=1e-9)


def test_pairs_that_were_settled_wrongly_come_back(monkeypatch):
    monkeypatch.setattr(stored, "MARGIN", 0.05)
    monkeypatch.setattr(stored, "FEW_WRONG", 0)
    problem = draw(4, num_clients=120, expert_demand=1)
    search = StoredSearch(problem, WarmStart(), math.inf, None)
    search.run()
    assert search.stats["rounds"] > 1
    assert problem.objective(search.answer().x) == pytest.approx(solve(problem.to_dense(), "flow").objective, rel=1e-9)


def test_most_pairs_are_settled_before_the_end(monkeypatch):
    monkeypatch.setattr(stored, "FEW_WRONG", 0)
    problem = draw(5, num_clients=200)
    search = StoredSearch(problem, WarmStart(), math.inf, None)
    search.run()
    role = search.network.pairs.role
    assert (role == OPEN).sum() < len(role) / 2
    assert search.network.pairs.chosen[role == HELD].all()
    assert not search.network.pairs.chosen[role == OUT].any()


def test_required_pairs_are_held_for_good():
    problem = draw(6, client_capacity=2)
    required = problem.stored.valued(np.arange(len(problem.stored)) % 23 == 0)
    problem = draw(6, client_capacity=2, required=required)
    search = StoredSearch(problem, WarmStart(), math.inf, None)
    search.run()
    np.testing.assert_array_equal(search.network.pairs.role == REQUIRED, required.values)
    solution, full = solve(problem, "sift"), solve(problem.to_dense(), "flow")
    assert solution.objective == pytest.approx(full.objective, rel=1e-9)


def test_required_pairs_beyond_a_capacity_are_a_witness():
    pairs = sp.csr_array(np.ones((3, 2)))
    found = solve(AlignmentProblem(pairs, expert_capacity=2, required=sp.csr_array([[1, 0]] * 3)), throw=False)
    assert found.status is Status.INFEASIBLE
    assert found.proof is Proof.PRICES
    assert "expert 0 can take a load of at most 2" in found.explain()


def test_demands_beyond_the_stored_pairs_are_a_witness():
    found = solve(draw(7, expert_demand=30, expert_capacity=40), "sift", throw=False)
    assert found.status is Status.INFEASIBLE
    assert found.witness.side == "demand"


def test_a_warm_start_and_a_deadline_that_is_over():
    problem = draw(8, expert_demand=1)
    cold = solve(problem, "sift")
    warm = solve(problem, "sift", warm_start=cold)
    assert warm.objective == pytest.approx(cold.objective, rel=1e-12)
    assert warm.stats["phases"] <= cold.stats["phases"]
    late = solve(problem, "sift", time_limit=0, throw=False)
    assert late.status in {Status.UNKNOWN, Status.FEASIBLE}
