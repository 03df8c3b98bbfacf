"""What falls apart is cut, solved apart and joined."""

import math
import threading
import time
from dataclasses import replace

import numpy as np
import pytest

from alignsolve import (
    Alignment,
    AlignmentProblem,
    Answer,
    Capabilities,
    ProblemClass,
    Progress,
    Proof,
    Status,
    WarmStart,
    Witness,
    solve,
)
from alignsolve.data.expert_sets import SET_BOUNDS
from alignsolve.presolve import components as module
from alignsolve.presolve.components import Part, components
from alignsolve.presolve.joint_progress import JointProgress
from alignsolve.presolve.parts import CLIENTS, EXPERTS, PAIRS, SWITCHING, Split, cut
from alignsolve.presolve.pipeline import presolve
from alignsolve.problem import FIELDS

pytestmark = pytest.mark.usefixtures("small_problems_are_presolved")

GROUPS = {"expert_group", "group_capacity", "group_demand"}


def blocks(*sizes, rng=None, **fields):
    """Return a problem of separate blocks of clients and experts, mixed up."""
    rng = np.random.default_rng(0) if rng is None else rng
    clients = rng.permutation(np.repeat(np.arange(len(sizes)), [n for n, _ in sizes]))
    experts = rng.permutation(np.repeat(np.arange(len(sizes)), [e for _, e in sizes]))
    eligible = clients[:, None] == experts
    fields = {"expert_capacity": 2.0, "client_capacity": 2} | fields
    return AlignmentProblem(rng.integers(0, 50, eligible.shape), eligible=eligible, **fields)


def layered(num_clients=4, **fields):
    """Return a problem of two layers whose bounds couple nothing."""
    rng = np.random.default_rng(1)
    given = {
        "client_capacity": 3,
        "client_demand": 2,
        "expert_group": [0, 1, 1, 0, 1],
        "group_capacity": [1, 2],
        "group_demand": 1,
        "expert_capacity": 3,
    }
    return AlignmentProblem(rng.integers(0, 50, (num_clients, 5)), **given | fields)


def test_every_field_is_known_to_the_parts():
    """A new field may couple what fell apart before: look at every reduction, not only at the parts."""
    assert set(FIELDS) == {*CLIENTS, *EXPERTS, *PAIRS, *SWITCHING, *GROUPS, "expert_sets", *SET_BOUNDS}


def test_sets_of_experts_couple_what_falls_apart_without_them():
    problem = blocks((4, 2), (3, 3))
    assert components(problem)
    assert not components(replace(problem, expert_sets=np.zeros(problem.num_experts, dtype=int), set_capacity=9))


def test_blocks_fall_apart():
    problem = blocks((3, 2), (4, 2), (2, 3))
    parts = components(problem)
    assert sorted((len(part.clients), len(part.experts)) for part in parts) == [(2, 3), (3, 2), (4, 2)]
    assert sum(problem.eligible[np.ix_(part.clients, part.experts)].sum() for part in parts) == problem.eligible.sum()
    assert all(each.eligible is None for each in Split.of(problem, parts).problems)
    assert components(blocks((5, 4))) == []


def test_one_late_client_can_couple_all():
    eligible = np.eye(3, dtype=bool)[np.arange(400) % 3]
    apart = AlignmentProblem(np.ones((400, 3)), eligible=eligible, expert_capacity=50.0)
    assert len(components(apart)) == 3
    eligible[-1] = True
    assert components(AlignmentProblem(np.ones((400, 3)), eligible=eligible, expert_capacity=50.0)) == []


def test_experts_without_bounds_couple_nobody():
    eligible = [[True, False, True], [True, False, False], [False, True, True], [False, False, True]]
    problem = AlignmentProblem(np.ones((4, 3)), eligible=eligible, expert_capacity=[1.0, 1.0, np.inf])
    parts = [(part.clients.tolist(), part.experts.tolist()) for part in components(problem)]
    assert parts == [([0, 1], [0, 2]), ([2], [1, 2]), ([3], [2])]
    coupled = AlignmentProblem(np.ones((4, 3)), eligible=eligible, expert_capacity=1.0)
    assert components(coupled) == []


def test_clients_without_an_eligible_expert_are_in_no_part():
    eligible = [[True, False], [False, True], [False, False]]
    parts = components(AlignmentProblem(np.ones((3, 2)), eligible=eligible, expert_capacity=1.0))
    assert [part.clients.tolist() for part in parts] == [[0], [1]]


def test_experts_that_nobody_serves_are_left_to_the_solver():
    eligible = [[True, False, False], [False, False, False]]
    problem = AlignmentProblem(np.ones((2, 3)), eligible=eligible, expert_demand=[0.0, 0.0, 1.0], expert_capacity=2.0)
    assert components(problem) == []
    grouped = layered(eligible=np.array([[True, False, False, True, False]] * 4), group_demand=[1, 0], client_demand=0)
    assert components(grouped) == []
    solution = solve(problem, "flow", throw=False)
    assert (str(solution.status), solution.witness.experts.tolist()) == ("INFEASIBLE", [False, False, True])


def test_small_parts_are_packed(monkeypatch):
    monkeypatch.setattr(module, "PART_PAIRS", dict.fromkeys(ProblemClass, 8))
    problem = blocks((2, 2), (2, 2), (2, 2), (2, 2), (1, 1))
    sizes = [len(part.clients) for part in components(problem)]
    assert len(sizes) == 2
    assert sum(sizes) == 9
    monkeypatch.setattr(module, "PART_PAIRS", dict.fromkeys(ProblemClass, 1 << 10))
    assert components(problem) == []


def test_layers_that_nothing_couples_are_apart():
    parts = components(layered())
    assert [(part.group, part.experts.tolist()) for part in parts] == [(0, [0, 3]), (1, [1, 2, 4])]
    upper, lower = (cut(layered(), part) for part in parts)
    assert (upper.client_capacity.tolist(), upper.client_demand.tolist(), upper.num_groups) == ([1] * 4, [1] * 4, 0)
    assert (lower.client_capacity.tolist(), lower.client_demand.tolist()) == ([2] * 4, [1] * 4)
    assert components(layered(client_capacity=2)) == []
    assert components(layered(client_demand=3)) == []
    assert components(layered(client_budget=1.0, expert_cost=1.0 + np.zeros(5))) == []


def test_groups_stay_within_a_part():
    eligible = np.array([[True, True, False, True, False]] * 2 + [[False, False, True, False, True]] * 2)
    coupled = layered(eligible=eligible, client_capacity=1, client_demand=0, group_demand=[[1, 0]] * 2 + [[0, 1]] * 2)
    first, second = Split.of(coupled, components(coupled)).problems
    assert (first.expert_group.tolist(), first.group_demand.tolist()) == ([0, 1, 0], [[1, 0]] * 2)
    assert (second.expert_group.tolist(), second.group_demand.tolist()) == ([0, 0], [[1]] * 2)


def test_a_part_has_its_share_of_every_field():
    rng = np.random.default_rng(0)
    shape = (6, 4)
    given = {
        "fitness": rng.random(shape),
        "required": rng.random(shape) < 0.1,
        "client_load": rng.random(shape),
        "client_budget": rng.random((6, 2)),
        "expert_cost": rng.random((6, 4, 2)),
        "previous": rng.random(shape) < 0.5,
        "switching_cost": rng.random(4),
    }
    problem = AlignmentProblem(**given)
    part = Part(np.array([1, 4]), np.array([0, 3]))
    own = cut(problem, part)
    for name in given:
        np.testing.assert_array_equal(getattr(own, name), getattr(problem, name)[[1, 4]][:, [0, 3]]
                                      if name != "client_budget" else given[name][[1, 4]])  # fmt: skip
    assert own.switching_cost.strides[0] == 0


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("problem", [blocks((6, 3), (5, 2), (4, 4), (3, 1)), layered(6)])
def test_parts_are_solved_and_joined(problem, threads):
    apart = solve(problem, "flow", threads=threads)
    assert apart.stats["presolve"][-1].startswith("falls apart into")
    whole = solve(problem, "flow", presolve=False)
    assert (apart.objective, str(apart.proof), apart.gap) == (whole.objective, "PRICES", 0)
    again = solve(problem, "flow", threads=2, warm_start=whole)
    assert np.array_equal(again.assigned.experts, apart.assigned.experts)
    assert np.array_equal(again.prices, apart.prices)


@pytest.mark.parametrize("solver", ["auto", "cpsat", "greedy", "ilp", "networkx"])
def test_the_number_of_threads_changes_nothing(solver):
    problem = blocks((12, 3), (9, 2), (8, 4), (7, 3), client_capacity=1, expert_capacity=3.0)
    if solver == "auto":
        weights = np.random.default_rng(2).integers(1, 4, problem.shape)
        problem = AlignmentProblem(problem.fitness, 1, 0, 7.0, eligible=problem.eligible, client_load=weights)
    one, *others = (solve(problem, solver, threads=threads) for threads in (1, 2, 4))
    assert len(one.stats["parts"]) == 4
    for other in others:
        assert (other.objective, other.bound, other.status) == (one.objective, one.bound, one.status)
        assert np.array_equal(other.assigned.experts, one.assigned.experts)
        assert np.array_equal(other.prices, one.prices)


def test_the_witness_of_a_part_is_that_of_the_whole():
    problem = blocks((6, 3), (5, 2), (4, 4), client_demand=1, expert_capacity=1.0)
    found = [solve(problem, "flow", threads=threads, throw=False) for threads in (1, 2)]
    for solution in found:
        assert (str(solution.status), str(solution.proof), solution.prices) == ("INFEASIBLE", "PRICES", None)
        assert np.array_equal(solution.witness.experts, found[0].witness.experts)
        assert len(solution.stats["parts"]) == len(found[0].stats["parts"])


def split_in_two(**fields):
    """Return a split in two parts: clients 0, 1 with expert 0, and clients 2, 3 with experts 1, 2."""
    eligible = np.array([[True, False, False]] * 2 + [[False, True, True]] * 2)
    problem = AlignmentProblem(np.ones((4, 3)), eligible=eligible, **{"expert_capacity": 1.0} | fields)
    return Split.of(problem, [Part(np.array([0, 1]), np.array([0])), Part(np.array([2, 3]), np.array([1, 2]))])


def test_answers_that_lack_something_are_joined():
    split = split_in_two()
    first, second = Answer([[True], [False]], np.array([1.0])), Answer([[True, False], [False, True]])
    joined = split.join([first, second])
    assert joined.x.to_dense(3).astype(int).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]]
    assert joined.prices.tolist() == [1.0, 0.0, 0.0]
    assert joined.bound == math.inf
    nothing = split.join([first, Answer(prices=[math.nan, 0.0], stats={"stopped": "time limit"})])
    assert (nothing.x, nothing.prices.tolist(), nothing.stats["stopped"]) == (None, [1.0, 0.0, 0.0], "time limit")
    assert split.join([Answer(), Answer()]).prices is None
    strange = split.join([first, Answer([[2, 0], [0, 0]])])
    assert strange.x is None
    assert "is not an alignment" in strange.stats["rejected"]


def test_experts_without_bounds_are_free():
    """Such an expert can be in several parts, each with a price of its own; 0 is valid for all of them."""
    split = split_in_two(expert_capacity=[1.0, 1.0, np.inf])
    joined = split.join([Answer(prices=np.array([0.5])), Answer(prices=np.array([0.25, -3.0]))])
    assert joined.prices.tolist() == [0.5, 0.25, 0.0]


def test_stats_of_parts_are_joined():
    answers = [
        Answer(stats={"chosen": "Flow", "solver_seconds": 1.0, "found_by": "a", "rounds": 3}),
        Answer(stats={"chosen": "Flow", "solver_seconds": 2.0, "found_by": "b", "rounds": 3, "stopped": "time limit"}),
    ]
    stats = split_in_two().join(answers).stats
    assert stats.pop("parts") == [answer.stats for answer in answers]
    assert stats == {"chosen": "Flow", "solver_seconds": 3.0, "stopped": "time limit"}


def test_bounds_are_added_up_in_the_general_class():
    budgets = {"client_budget": 1.0, "expert_cost": 1.0 + np.zeros(3)}
    split = split_in_two(**budgets)
    claimed, priced = Answer(bound=2.0), Answer(prices=np.array([0.5]))
    assert split.join([claimed, Answer(bound=1.0)]).bound == 3.0
    assert split.join([priced, Answer(bound=2.0)]).bound == pytest.approx(2.0 + split.problems[0].bound([0.5]))
    assert split.join([Answer(), Answer(bound=2.0)]).bound == math.inf
    assert split.join([priced, Answer()]).bound == math.inf
    assert split_in_two().join([claimed, claimed]).bound == math.inf


def test_an_infeasible_part_decides():
    split = split_in_two()
    witness = Witness("capacity", np.array([True, False]), np.array([True, True]), 1.0)
    joined = split.join([Answer([[True], [False]]), Answer(witness=witness)])
    assert (joined.x, joined.witness.experts.tolist()) == (None, [False, True, False])
    assert joined.witness.clients.tolist() == [False, False, True, True]
    assert split.join([Answer(infeasible=True)]).infeasible
    wrong = Witness("capacity", np.array([True]), np.array([True]), 1.0)
    assert split.join([Answer([[True], [False]]), Answer(witness=wrong)]).witness is None


def test_warm_starts_are_cut():
    whole = WarmStart(Alignment.from_pairs([0, 2, 2, 3], [0, 1, 0, 2], 4), np.array([1.0, 2.0, 3.0]))
    first, second = split_in_two().lower_warm_start(whole)
    assert first.alignment.to_dense(1).tolist() == [[True], [False]]
    assert second.alignment.to_dense(2).tolist() == [[True, False], [False, True]]
    assert (first.prices.tolist(), second.prices.tolist()) == ([1.0], [2.0, 3.0])
    assert split_in_two().lower_warm_start(WarmStart()) == [WarmStart(), WarmStart()]


class Recording:
    """A solver that keeps what it is given."""

    capabilities = Capabilities(presolve=True)

    def __init__(self):
        self.given = []

    def __call__(self, problem, **given):
        """Assign nothing."""
        self.given.append((problem.shape, given, threading.current_thread(), time.monotonic()))
        return Answer(np.zeros(problem.shape, dtype=bool))


def test_a_time_limit_is_shared_out_by_pairs():
    solver = Recording()
    started = time.monotonic()
    solve(blocks((6, 3), (5, 2), (4, 4)), solver, time_limit=100.0, threads=4)
    pairs = [n * e for (n, e), *_ in solver.given]
    left = [given["deadline"] - at for _, given, _, at in solver.given]
    expected = [100.0 * own / sum(pairs[k:]) for k, own in enumerate(pairs)]
    assert left == pytest.approx(expected, rel=0.01 + (time.monotonic() - started) / 50)
    assert {thread for *_, thread, _ in solver.given} == {threading.current_thread()}
    assert {given["threads"] for _, given, *_ in solver.given} == {4}


def test_with_little_time_the_whole_is_solved_at_once():
    solver = Recording()
    solution = solve(blocks((6, 3), (5, 2), (4, 4)), solver, time_limit=0.2)
    assert [shape for shape, *_ in solver.given] == [(15, 9)]
    assert solution.stats["presolve"] == ["falls apart into 3 parts"]


def test_without_a_time_limit_threads_are_shared():
    solver = Recording()
    solve(blocks((6, 3), (5, 2), (4, 4)), solver, threads=6)
    assert sorted(given["threads"] for _, given, *_ in solver.given) == [2, 2, 2]
    assert threading.current_thread() not in {thread for *_, thread, _ in solver.given}


def test_progress_is_added_up():
    heard = []
    first, second = JointProgress(heard.append, 2).hooks()
    first(Progress("a", 1.0, 3, 9))
    second(Progress("b", 2.0, 4, 5))
    assert [(each.phase, each.objective, each.bound) for each in heard] == [("a", -math.inf, math.inf), ("b", 7, 14)]
    assert JointProgress(None, 2).hooks() == [None, None]


def test_parts_are_simplified_in_their_turn():
    eligible = np.kron(np.eye(2, dtype=bool), np.ones((3, 2), dtype=bool))
    load = np.array([2.0, 2.0, 2.0, 1.0, 2.0, 3.0])
    fields = {"eligible": eligible, "client_load": load, "expert_capacity": 4.0}
    simpler = presolve(AlignmentProblem(np.arange(24.0).reshape(6, 4), **fields))
    assert simpler.told == ["falls apart into 2 parts"]
    assert [each.class_ for each in simpler.asked()[1:]] == [ProblemClass.CARDINALITY, ProblemClass.GENERAL]


@pytest.mark.usefixtures("small_problems_are_presolved")
def test_the_tree_of_a_part_without_an_alignment_is_one_of_the_whole():
    """The fuzzer found an IndexError where experts are left that no client is near."""
    problem = AlignmentProblem(
        np.zeros((2, 2)), eligible=[[False, True], [True, False]], client_load=[[0.0, 0.05], [0.0, 0.0]],
        expert_capacity=[0.0, 0.02], expert_demand=[0.0, 0.01],
    )  # fmt: skip
    solution = solve(problem, "branch", throw=False)
    assert (solution.status, solution.proof) == (Status.INFEASIBLE, Proof.TREE)
