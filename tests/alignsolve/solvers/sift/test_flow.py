"""The parts of ``sift``: flows by cost scaling, their repair, the promising pairs; against plain versions of each."""

import networkx as nx
import numpy as np
import pytest

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.runtime.jit import absent
from alignsolve.solvers.sift import Sift
from alignsolve.solvers.sift.candidates import bands, best_of_experts, best_of_groups, beyond_capacity
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
        assert wrong_arcs(net, potential.astype(np.float64), tolerance)[0] == 0
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
    assert wrong_arcs(net, potential, 1e-9) == (0, 0.0)
    flow = capacity - net.room[entry]
    assert conserved(tail, head, flow)
    assert flow @ cost == cheapest(tail, head, cost, capacity)


def drawn(seed, n=6, e=12):
    rng = np.random.default_rng(seed)
    return rng.random((n, e)), rng.random((n, e)) < 0.8, np.arange(e) % 3, rng


@pytest.mark.parametrize("seed", range(5))
def test_the_best_pairs_of_groups_are_those_of_a_sort(seed):
    value, allowed, group, rng = drawn(seed)
    prices, threshold = rng.random(12), rng.random((6, 3))
    inside = rng.random((6, 12)) < 0.2
    gain = np.where(allowed & ~inside, value - prices - threshold[:, group], -np.inf)
    wanted = {
        (i, j)
        for i in range(6)
        for g in range(3)
        for j in sorted(np.flatnonzero(group == g), key=lambda j: -gain[i, j])[: i % 3]
        if gain[i, j] > -0.5
    }
    found = best_of_groups(value, allowed, inside, group, prices, threshold, np.arange(6) % 3, -0.5)
    assert set(zip(*(part.tolist() for part in found), strict=True)) == wanted
    assert all(inside[pair] for pair in wanted)


@pytest.mark.parametrize("seed", range(5))
def test_the_best_clients_of_experts_are_those_of_a_sort(seed):
    value, allowed, _, rng = drawn(seed, n=15, e=5)
    inside, count = np.zeros((15, 5), dtype=bool), rng.integers(0, 18, 5)
    wanted = {
        (i, j) for j in range(5) for i in sorted(np.flatnonzero(allowed[:, j]), key=lambda i: -value[i, j])[: count[j]]
    }
    found = best_of_experts(value, allowed, inside, count)
    assert set(zip(*(part.tolist() for part in found), strict=True)) == wanted
    assert inside.sum() == len(wanted)


def test_what_one_more_expert_would_bring():
    value = np.array([[5.0, 4.0, 3.0, 2.0], [1.0, 1.0, 9.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    prices = np.array([1.0, 1.0, 1.0, 3.0])
    assert beyond_capacity(value, absent(np.bool_), prices, np.array([1, 0, 4])).tolist() == [3.0, 8.0, 0.0]
    closed = np.array([[True, False, True, True]] * 3)
    assert beyond_capacity(value, closed, prices, np.array([1, 1, 0])).tolist() == [2.0, 0.0, 0.0]


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
