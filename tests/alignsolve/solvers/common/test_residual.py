"""The residual graph: cancelling cycles leads from any feasible alignment to a proven optimum."""

import numpy as np
import pytest
from hypothesis import given, settings

from alignsolve import Alignment, AlignmentProblem, Proof, Status, solve
from alignsolve.certificate.judge import judge
from alignsolve.solver import Answer
from alignsolve.solvers.common import residual
from problems import FAMILIES
from tests import strategies

GROUPED = {"expert_group": [0, 0, 1, 1], "group_demand": 1, "client_capacity": 3, "client_demand": 2}


def polished(problem: AlignmentProblem, start: Alignment) -> tuple[Alignment, int]:
    """Improve an alignment, and check that the prices prove the result optimal."""
    best, prices, cycles = residual.cancel_negative_cycles(problem, start)
    solution = judge(problem, Answer(best, prices))
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)
    return best, cycles


@settings(max_examples=150)
@given(problem=strategies.cardinality_problems(max_clients=5, max_experts=5))
def test_from_the_worst_alignment_to_the_best(problem: AlignmentProblem):
    best = solve(problem, "flow", throw=False)
    if best.status is Status.INFEASIBLE:
        return
    values = problem.values()
    opposite = -values if values.dtype.kind == "f" else -values.astype(np.int64)
    worst = solve(_with_fitness(problem, opposite), "flow")
    reached, _ = polished(problem, worst.assigned)
    assert problem.objective(reached) == pytest.approx(best.objective, rel=1e-9, abs=1e-9)


def _with_fitness(problem: AlignmentProblem, fitness) -> AlignmentProblem:
    fields = {name: getattr(problem, name) for name in ("client_capacity", "client_demand", "eligible", "required")}
    fields |= {name: getattr(problem, name) for name in ("expert_group", "group_capacity", "group_demand")}
    experts = problem.experts
    return AlignmentProblem(fitness, expert_capacity=experts.most, expert_demand=experts.least, **fields)


@pytest.mark.parametrize("seed", range(12))
def test_clients_that_move_twice_are_uncrossed(seed):
    """Few clients, each within two groups: a shortest cycle may pass through one client more than once."""
    rng = np.random.default_rng(seed)
    problem = AlignmentProblem(rng.integers(0, 4, (6, 4)), expert_demand=2, expert_capacity=4, **GROUPED)
    start = solve(AlignmentProblem(-problem.fitness, expert_demand=2, expert_capacity=4, **GROUPED), "flow").assigned
    reached, _ = polished(problem, start)
    assert problem.objective(reached) == solve(problem, "ilp").objective


def test_two_arcs_of_one_client_exchange_their_heads():
    problem = AlignmentProblem([[5.0, 1.0, 4.0, 2.0]], client_capacity=2)
    cycle = [
        residual.Step(0, 0, 2, 1.0),
        residual.Step(residual.EXPERT, 2, 1, 0.0),
        residual.Step(0, 1, 3, -1.0),
        residual.Step(residual.EXPERT, 3, 0, -0.5),
    ]
    shorter = residual._uncross(problem, cycle, 0, 2)
    assert [(step.tail, step.head) for step in shorter] in ([(2, 1), (1, 2)], [(3, 0), (0, 3)])
    assert sum(step.length for step in shorter) <= sum(step.length for step in cycle)


def test_prices_exist_only_for_optima():
    problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=1)
    best, other = Alignment.from_dense([[1, 0], [0, 1]]), Alignment.from_dense([[0, 1], [1, 0]])
    assert problem.bound(residual.prices_of(problem, best)) == pytest.approx(4.5)
    assert residual.prices_of(problem, other) is None


def test_a_deadline_keeps_what_was_reached():
    problem = FAMILIES["popular"](np.random.default_rng(0), num_clients=60, num_experts=6)
    start = solve(AlignmentProblem(-problem.fitness, client_capacity=problem.client_capacity,
                                   expert_capacity=problem.expert_capacity, expert_demand=problem.expert_demand),
                  "flow").assigned  # fmt: skip
    kept, prices, cycles = residual.cancel_negative_cycles(problem, start, deadline=0.0)
    assert (kept, prices, cycles) == (start, None, 0)


def test_nodes_that_the_ground_cannot_reach_get_prices_too():
    """Every client must keep exactly its experts, so no arc leads from the ground to an expert."""
    fitness = [[2.0, 1.0], [1.0, 3.0]]
    problem = AlignmentProblem(fitness, required=[[1, 0], [0, 1]], expert_capacity=1, expert_demand=1)
    reached, cycles = polished(problem, Alignment.from_dense([[1, 0], [0, 1]]))
    assert (cycles, reached.experts.tolist()) == (0, [0, 1])
