"""The flows of ``sift``: cost scaling, repair, and the network of all kinds of bounds; against other solvers."""

import networkx as nx
import numpy as np
import pytest

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.solvers.sift import Sift
from alignsolve.solvers.sift.by_rank import bands
from alignsolve.solvers.sift.cost_scaling import adjacency, begin_phase, run_phase, working_memory
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.repair import repair, search_memory, wrong_arcs

pytestmark = pytest.mark.kernels
NODES, ARCS = 9, 30


def network(seed):
    """Draw a circulation: tails, heads, whole costs of both signs, capacities; no arc stands twice."""
    rng = np.random.default_rng(seed)
    places = rng.choice(NODES * (NODES - 1), ARCS, replace=False)
    tail, head = places // (NODES - 1), places % (NODES - 1)
    head += head >= tail
    cost, capacity = rng.integers(-9, 10, ARCS), rng.integers(0, 5, ARCS)
    return tail.astype(np.int32), head.astype(np.int32), cost, capacity.astype(np.int32)


def cheapest(tail, head, cost, capacity):
    graph = nx.DiGraph()
    graph.add_nodes_from(range(NODES), demand=0)
    for a, b, weight, most in zip(tail.tolist(), head.tolist(), cost.tolist(), capacity.tolist(), strict=True):
        graph.add_edge(a, b, weight=weight, capacity=most)
    return nx.min_cost_flow_cost(graph)


def test_wrong_arcs_are_counted_with_their_geometric_mean():
    tail, head = np.array([0, 1, 2], np.int32), np.array([1, 2, 0], np.int32)
    capacity = np.ones(3, np.int32)
    net, _ = adjacency(tail, head, np.array([-1.0, -4.0, -100.0]), capacity, np.zeros_like(capacity), 3)
    number, typical = wrong_arcs(net, np.zeros(3), 1e-9, 50.0)
    assert number == 3
    assert typical == pytest.approx(2.0)
    assert wrong_arcs(net, np.zeros(3), 1e-9, 0.5) == (3, 100.0)


def conserved(tail, head, flow):
    return np.array_equal(np.bincount(tail, flow, NODES), np.bincount(head, flow, NODES))


@pytest.mark.parametrize("seed", range(20))
def test_cost_scaling_ends_with_the_cheapest_circulation(seed):
    tail, head, cost, capacity = network(seed)
    # An optimum of whole costs is reached with a tolerance below 1 / number of nodes.
    net, entry = adjacency(tail, head, cost * (NODES + 1), capacity, np.zeros_like(capacity), NODES)
    potential, work = np.zeros(NODES, dtype=np.int64), working_memory(NODES)
    for tolerance in (64, 8, 1):
        begin_phase(net, potential, tolerance, work)
        while not run_phase(net, potential, tolerance, work, 10):
            pass
        assert wrong_arcs(net, potential.astype(np.float64), tolerance, np.inf)[0] == 0
    flow = capacity - net.room[entry]
    assert conserved(tail, head, flow)
    assert flow @ cost == cheapest(tail, head, cost, capacity)


@pytest.mark.parametrize("seed", range(20))
def test_repair_makes_any_circulation_the_cheapest(seed):
    tail, head, cost, capacity = network(seed)
    net, entry = adjacency(tail, head, cost.astype(np.float64), capacity, np.zeros_like(capacity), NODES)
    potential, search = np.zeros(NODES), search_memory(NODES)
    while not repair(net, potential, 1e-9, search, 5):
        pass
    assert wrong_arcs(net, potential, 1e-9, np.inf) == (0, 0.0)
    flow = capacity - net.room[entry]
    assert conserved(tail, head, flow)
    assert flow @ cost == cheapest(tail, head, cost, capacity)


def test_like_ranks_are_side_by_side():
    rng = np.random.default_rng(0)
    client, expert = rng.permutation(40) + 1.0, rng.permutation(20) + 1.0
    problem = AlignmentProblem(np.outer(client, expert), expert_capacity=2)
    best = solve(problem, "flow")
    for clients, experts in bands(Terms(problem), np.ones(40, dtype=np.int64)):
        within = np.zeros(problem.shape, dtype=bool)
        within[clients, experts] = True
        assert len(clients) == within.sum() < 0.4 * within.size
        assert within[best.x].all()


@pytest.mark.parametrize("kind", ["product", "sum", "ties", "groups", "nobody fits"])
def test_hard_kinds_are_proven(kind):
    rng = np.random.default_rng(4)
    a, b = rng.random((24, 1)), rng.random((1, 12))
    fields = {"client_capacity": 2, "expert_capacity": 3}
    fitness = {"product": a * b, "sum": a + b}.get(kind, rng.integers(0, 3, (24, 12)))
    if kind == "groups":
        fields |= {"client_capacity": 3, "expert_group": np.arange(12) // 3, "group_demand": rng.random((24, 4)) < 0.2}
    if kind == "nobody fits":
        fields |= {"client_demand": 2}
    found, other = solve(AlignmentProblem(fitness, **fields), Sift(), throw=False), None
    if kind == "nobody fits":
        assert (found.status, found.witness.side) == (Status.INFEASIBLE, "capacity")
        return
    other = solve(found.problem, "flow")
    assert found.status is Status.OPTIMAL
    assert found.objective == pytest.approx(other.objective, rel=1e-12)


@pytest.mark.parametrize("penalty", [None, 0.25])
def test_bounds_far_beyond_all_clients_are_bounds_that_never_bind(penalty):
    fitness = np.random.default_rng(2).random((12, 20))
    problem = AlignmentProblem(
        fitness, client_capacity=3, expert_capacity=1e12, expert_demand=1, overload_penalty=penalty, shortfall_penalty=9
    )
    found = solve(problem, Sift())
    assert found.status is Status.OPTIMAL
    assert found.objective == pytest.approx(solve(problem, "flow").objective, rel=1e-12)
    short = solve(AlignmentProblem(fitness, expert_demand=[1e12] + 19 * [0]), Sift(), throw=False)
    assert (short.status, short.witness.side) == (Status.INFEASIBLE, "demand")


def test_without_an_open_pair_only_the_required_one_is_chosen():
    """The fuzzer found a RuntimeWarning: the spread of no values was asked for."""
    only = np.array([[True], [False]])
    solution = solve(AlignmentProblem(np.zeros((2, 1), dtype=np.int8), eligible=only, required=only), "sift")
    assert solution.status is Status.OPTIMAL
    assert np.array_equal(solution.x, only)
