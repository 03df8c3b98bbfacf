"""``auto``: the right solver for each class; answers and bounds are kept from one solver to the next."""

import numpy as np
import pytest

from alignsolve import AlignmentProblem, Answer, Proof, Status, solve
from alignsolve.certificate.judge import judge
from alignsolve.certificate.precision import is_precise
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import RowBlocks
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
    monkeypatch.setattr(auto, "general_solvers", lambda problem, gap, proof: [Greedy(), Ilp()])
    solution = solve(problem, Auto())
    assert solution.objective == greedy.objective
    assert solution.bound == greedy.bound


def test_greed_answers_crossing_sets_where_ilp_finds_nothing(monkeypatch):
    crossing = {"expert_sets": np.array([[1, 1, 0], [0, 1, 1]], dtype=bool), "set_capacity": 2, "client_demand": 1}
    problem = AlignmentProblem(np.arange(9.0).reshape(3, 3), **crossing)
    monkeypatch.setattr(Ilp, "__call__", lambda *_, **__: Answer(stats={"stopped": "time limit"}))
    solution = solve(problem)
    assert solution.objective == solve(problem, "greedy").objective
    assert solution.set_loads.max() <= 2


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
    [((24, 3), "Flow"), ((100, 16), "Price"), ((256, 32), "Price"), ((33, 31), "Flow"), ((64, 64), "Sift")],
)
def test_the_cardinality_class_goes_to_the_solver_of_its_size(shape, chosen):
    problem = AlignmentProblem(np.random.default_rng(0).random(shape), client_capacity=1, expert_demand=1)
    answers = {name: solve(problem, name) for name in ("auto", "flow", "price", "sift")}
    assert answers["auto"].stats["chosen"] == chosen
    assert len({answer.objective for answer in answers.values()}) == 1


NOISE = np.random.default_rng(3).random((160, 40))
LAYERS = np.arange(40) // 10


@pytest.mark.parametrize(
    ("problem", "chosen"),
    [
        (AlignmentProblem(NOISE, client_capacity=2, expert_capacity=4), "Price"),
        (AlignmentProblem(NOISE[:159], client_capacity=2, expert_capacity=4), "Sift"),
        (AlignmentProblem(NOISE, client_capacity=2, expert_capacity=3), "Sift"),
        (AlignmentProblem(NOISE[:40] + NOISE[:40, :1], expert_capacity=1), "Augment"),
        (AlignmentProblem(NOISE[:40, :1] + NOISE[:1], expert_capacity=1), "Sift"),
        (AlignmentProblem(NOISE[:40, :1] * NOISE[:1], expert_capacity=1), "Sift"),
        (AlignmentProblem(NOISE, expert_capacity=3, overload_penalty=0.1), "Price"),
        (AlignmentProblem(NOISE[:80], expert_capacity=4, expert_group=LAYERS, group_capacity=1), "Price"),
        (AlignmentProblem(NOISE[:79], expert_capacity=4, expert_group=LAYERS, group_capacity=1), "Sift"),
        (AlignmentProblem(NOISE[:, :16], expert_capacity=5), "Price"),
        (AlignmentProblem(NOISE, client_capacity=8, expert_capacity=40), "Sift"),
        (AlignmentProblem(NOISE, client_capacity=7, expert_capacity=40), "Price"),
        (AlignmentProblem(NOISE, client_capacity=8, expert_capacity=31), "Price"),
        (AlignmentProblem(NOISE, client_capacity=8, expert_group=LAYERS, group_capacity=2), "Sift"),
        (AlignmentProblem(NOISE, client_capacity=8, expert_group=LAYERS, group_capacity=1), "Price"),
        (AlignmentProblem(np.tile(NOISE, (3, 1))[:400], client_capacity=8, expert_capacity=100), "Price"),
        (AlignmentProblem(RowBlocks((40, 40), float, lambda start, stop: NOISE[start:stop])), "Price"),
    ],
)
def test_many_experts_for_the_clients_that_they_serve_are_sifted(problem, chosen):
    assert [type(solver).__name__ for solver in Auto().chosen(problem)] == [chosen]


@pytest.mark.parametrize(
    ("given", "chosen"),
    [
        ({"expert_capacity": 1}, "Augment"),
        ({"expert_capacity": 1, "client_capacity": 4, "client_demand": 1}, "Augment"),
        ({"expert_capacity": 2, "client_capacity": 2, "expert_demand": 1}, "Augment"),
        ({"expert_capacity": 3, "client_capacity": 2}, "Sift"),
        ({"client_capacity": 1}, "Sift"),
        ({"expert_capacity": 1, "overload_penalty": 1.0}, "Sift"),
        ({"expert_capacity": 1, "expert_group": np.arange(40) // 10}, "Sift"),
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

    monkeypatch.setattr(auto, "general_solvers", lambda problem, gap, proof: [Greedy(), curious])
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


def with_a_span(largest: float) -> AlignmentProblem:
    """Return a problem for ``sift`` whose fitness is below 1, but for one client's, of which it can do without."""
    fitness = NOISE[:60].copy()
    fitness[0] = -largest
    return AlignmentProblem(fitness, client_capacity=2, expert_capacity=2)


@pytest.mark.parametrize(("largest", "looks"), [(1.0, 0), (1e4, 0), (1e12, 1)])
def test_a_second_look_is_taken_where_rounding_may_leave_a_gap(monkeypatch, largest, looks):
    judged = []
    monkeypatch.setattr(auto, "judge", lambda *given: judged.append(given) or judge(*given))
    solution = solve(with_a_span(largest), Auto())
    assert (solution.status, len(judged)) == (Status.OPTIMAL, looks)


def test_what_is_no_proof_gets_a_second_look():
    problem, nobody = with_a_span(1.0), Alignment.from_pairs([], [], 60)
    for answer in (Answer(), Answer(nobody), Answer(nobody, np.full(40, np.nan)), Answer(nobody, np.zeros(40))):
        assert not is_precise(problem, answer.x, answer.prices)
