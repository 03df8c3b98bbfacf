"""``auto``: the right solver for each class; answers and bounds are kept from one solver to the next."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Answer, Proof, Status, solve
from alignsolve.solvers import auto
from alignsolve.solvers.auto import Auto
from alignsolve.solvers.greedy import Greedy
from alignsolve.solvers.ilp.solver import Ilp


def pack(num_clients: int = 60, num_experts: int = 6) -> AlignmentProblem:
    """Return a general problem that greedy does not solve to optimality."""
    rng = np.random.default_rng(3)
    return AlignmentProblem(
        rng.random((num_clients, num_experts)),
        client_capacity=2,
        client_load=rng.integers(2, 9, num_clients),
        expert_capacity=3 * num_clients // num_experts,
    )


@pytest.mark.parametrize("stopped", [{}, {"stopped": "time limit"}])
def test_what_greedy_knew_is_kept_where_ilp_runs_out_of_time(monkeypatch, stopped):
    problem = pack()
    greedy = solve(problem, Greedy())
    assert greedy.status is Status.FEASIBLE
    monkeypatch.setattr(Ilp, "__call__", lambda *_, **__: Answer(stats=stopped))
    solution = solve(problem, Auto())
    assert solution.objective == greedy.objective
    assert solution.bound == greedy.bound


def test_ilp_is_spared_where_greedy_has_the_proof(monkeypatch):
    problem = AlignmentProblem([[0.3, 0.1], [0.2, 0.15]], client_load=[2.0, 3.0], expert_capacity=5)
    monkeypatch.setattr(Ilp, "__call__", lambda *_, **__: pytest.fail("greedy's prices prove it already"))
    solution = solve(problem, Auto())
    assert (solution.status, solution.proof) == (Status.OPTIMAL, Proof.PRICES)


def test_ilp_closes_what_greedy_leaves_open():
    problem = pack(12, 3)
    assert solve(problem, Auto()).status is Status.OPTIMAL


def test_infeasible_is_told_without_an_alignment():
    problem = AlignmentProblem(np.ones((3, 2)), client_demand=1, client_load=[1.0, 1.0, 2.0], expert_capacity=1.5)
    solution = solve(problem, Auto(), throw=False)
    assert (solution.status, solution.assigned, solution.bound) == (Status.INFEASIBLE, None, -np.inf)


@pytest.mark.parametrize(
    ("shape", "chosen"),
    [((24, 3), "Flow"), ((100, 16), "Price"), ((256, 32), "Price"), ((33, 31), "Flow"), ((64, 64), "Price")],
)
def test_the_cardinality_class_goes_to_the_solver_of_its_size(shape, chosen):
    problem = AlignmentProblem(np.random.default_rng(0).random(shape), client_capacity=1, expert_demand=1)
    answers = {name: solve(problem, name) for name in ("auto", "flow", "price")}
    assert answers["auto"].stats["chosen"] == chosen
    assert len({answer.objective for answer in answers.values()}) == 1


RANK_ONE = np.outer(np.random.default_rng(1).random(80), np.random.default_rng(2).random(40))
NOISE = np.random.default_rng(3).random((80, 40))
ADDITIVE = NOISE[:, :1] + NOISE[:1]
OPEN = NOISE > 0.2


@pytest.mark.parametrize(
    ("problem", "chosen"),
    [
        (AlignmentProblem(RANK_ONE, expert_capacity=5), "Flow"),
        (AlignmentProblem(RANK_ONE + 0.01 * NOISE + ADDITIVE, expert_capacity=5), "Flow"),
        (AlignmentProblem(NOISE, switching_cost=10.0 * RANK_ONE, expert_capacity=5), "Flow"),
        (AlignmentProblem(np.where(OPEN, RANK_ONE, np.nan), eligible=OPEN, expert_capacity=5), "Flow"),
        (AlignmentProblem(np.where(OPEN, NOISE, np.nan), eligible=OPEN, expert_capacity=5), "Price"),
        (AlignmentProblem(NOISE, eligible=np.zeros((80, 40), dtype=bool), expert_capacity=5), "Price"),
        (AlignmentProblem(ADDITIVE, expert_capacity=5), "Price"),
        (AlignmentProblem(np.ones((80, 40)), expert_capacity=5), "Price"),
        (AlignmentProblem(NOISE, expert_capacity=5, expert_group=np.arange(40) // 10, group_capacity=1), "Flow"),
        (AlignmentProblem(np.repeat(RANK_ONE, 4, axis=0), expert_capacity=8), "Price"),
    ],
    ids=["rank 1", "near", "switching", "gaps", "sparse", "none", "additive", "constant", "groups", "many clients"],
)
def test_where_experts_are_many_fitness_and_groups_tell_the_faster_one(problem, chosen):
    assert [type(solver).__name__ for solver in Auto().chosen(problem)] == [chosen]


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"expert_capacity": 1}, "Augment"),
        ({"expert_capacity": 1, "client_capacity": 4, "client_demand": 1}, "Augment"),
        ({"expert_capacity": 2, "client_capacity": 2, "expert_demand": 1}, "Augment"),
        ({"expert_capacity": 3, "client_capacity": 2}, "Price"),
        ({"client_capacity": 1}, "Price"),
        ({"expert_capacity": 1, "overload_penalty": 1.0}, "Price"),
        ({"expert_capacity": 1, "expert_group": np.arange(40) // 10}, "Flow"),
    ],
)
def test_one_to_one_problems_and_nearly_so_go_to_shortest_augmenting_paths(given, chosen):
    assert [type(solver).__name__ for solver in Auto().chosen(AlignmentProblem(NOISE[:40], **given))] == [chosen]


def test_each_goes_on_from_what_the_one_before_found(monkeypatch):
    problem = pack()
    greedy = solve(problem, Greedy())
    seen = []

    def curious(problem, *, warm_start, **_):
        seen.append(warm_start)
        return Answer()

    monkeypatch.setattr(auto, "general_solvers", lambda problem, gap: [Greedy(), curious])
    solution = solve(problem, Auto())
    assert solution.objective == greedy.objective
    assert seen[0].alignment is not None
    assert problem.objective(seen[0].alignment) == greedy.objective
    assert seen[0].prices is not None


def test_large_problems_are_left_to_prices_alone(monkeypatch):
    monkeypatch.setattr(auto, "ILP_PAIRS", 10)
    solution = solve(pack(), Auto())
    assert solution.stats["chosen"] == "Lagrangian"
    assert solution.status in (Status.FEASIBLE, Status.OPTIMAL)


def test_generalised_assignment_goes_to_its_own_search():
    problem = AlignmentProblem([[3, 1], [2, 2], [1, 3]], client_demand=1, expert_capacity=4, client_load=[1, 2, 3])
    solution = solve(problem)
    assert solution.stats["chosen"] == "Lagrangian"
    assert (solution.status, solution.objective) == (Status.OPTIMAL, 8)
