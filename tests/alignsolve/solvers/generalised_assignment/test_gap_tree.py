"""Generalised assignment: the tree on the stronger relaxation finds a cost below its target, or proves the bound."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alignsolve import AlignmentProblem, Status, solve
from alignsolve.solvers.generalised_assignment import iterated_tree
from alignsolve.solvers.generalised_assignment.instance import read
from alignsolve.solvers.generalised_assignment.iterated_tree import IteratedTree
from alignsolve.solvers.generalised_assignment.tree import Found, Tree, suits
from tests.gap_instances import make, real

FAMILIES_OF_GAP = ["gap-a", "gap-b", "gap-c", "gap-d", "gap-e"]


def cheapest(instance):
    """Return the least cost of all feasible alignments by enumeration; inf if there is none."""
    num_clients, num_experts = instance.shape
    chosen = np.array(list(itertools.product(range(num_experts), repeat=num_clients)))
    clients, fits = np.arange(num_clients), np.ones(len(chosen), dtype=bool)
    for j in range(num_experts):
        fits &= np.where(chosen == j, instance.load[clients, j], 0.0).sum(axis=1) <= instance.capacity[j]
    costs = instance.cost[clients, chosen].sum(axis=1)
    return float(costs[fits].min(initial=np.inf))


def tree_of(instance, aim):
    return Tree(instance, instance.open, np.zeros(instance.shape[0]), aim)


@pytest.mark.kernels
@pytest.mark.parametrize("name", FAMILIES_OF_GAP)
def test_a_tree_finds_the_optimum_and_nothing_below_it(name):
    for seed in range(2):
        instance = read(make(name, 8, 3, seed))
        best = cheapest(instance)
        tree = tree_of(instance, best + 1.0)
        assert tree.run(math.inf, math.inf) is Found.ALIGNMENT
        assert instance.fits(tree.best)
        assert instance.value(tree.best) == tree.aim == best
        assert tree.run(math.inf, math.inf) is Found.EXHAUSTED
        assert tree.explored == pytest.approx(1.0)
        below = tree_of(instance, best)
        assert below.run(math.inf, math.inf) is Found.EXHAUSTED
        assert below.best is None


@given(st.integers(0, 2**32), st.integers(1, 40))
@settings(max_examples=30)
def test_from_any_aim_the_last_alignment_is_the_cheapest(seed, above):
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(2, 8)), int(rng.integers(2, 4))
    load = rng.integers(0, 9, shape)
    capacity = np.ceil(load.mean(axis=1).sum() / shape[1] * rng.uniform(0.8, 1.6, shape[1]))
    eligible = rng.random(shape) < 0.8
    eligible[:, 0] = True
    fitness = rng.integers(-20, 20, shape)
    free = rng.integers(0, 2, shape[0])
    given = {"client_demand": free, "client_load": load, "client_capacity": 1, "expert_capacity": capacity}
    instance = read(AlignmentProblem(fitness, eligible=eligible, **given))
    assert suits(instance)
    best = cheapest(instance)
    tree = tree_of(instance, best + above if math.isfinite(best) else 1000.0)
    while tree.run(math.inf, math.inf) is Found.ALIGNMENT:
        assert instance.fits(tree.best)
    if math.isfinite(best):
        assert instance.value(tree.best) == best
    else:
        assert tree.best is None


def test_a_tree_goes_on_where_it_stopped():
    instance = read(make("gap-d", 24, 4))
    whole, sliced = (tree_of(instance, 600.0 + 24 * 40) for _ in range(2))
    ends = [[], []]
    for tree, nodes, end in ((whole, math.inf, ends[0]), (sliced, 1, ends[1])):
        found = Found.MORE
        while found is not Found.EXHAUSTED:
            found = tree.run(nodes, math.inf)
            if found is Found.ALIGNMENT:
                end.append((tree.nodes, tree.aim))
    assert ends[0] == ends[1] != []
    assert whole.nodes == sliced.nodes > len(ends[0])


def test_no_time_is_no_node():
    tree = tree_of(read(make("gap-c", 20, 4)), 1e4)
    assert tree.run(math.inf, 0.0) is Found.MORE
    assert tree.nodes == 0


def test_fractions_have_no_tree():
    whole, fractions = read(make("gap-c", 20, 4)), read(real(np.random.default_rng(0)))
    assert suits(whole)
    assert not suits(fractions)
    assert not IteratedTree(fractions).promising(math.inf, 1.0)


def test_a_tree_that_takes_too_long_is_no_longer_promising(monkeypatch):
    monkeypatch.setattr(iterated_tree, "TRIAL", 0.0)
    instance = read(make("gap-d", 40, 5))
    forest = IteratedTree(instance)
    assert forest.promising(1.0, 1.0)
    assert forest.run(1e4, lambda aim: instance.open, np.zeros(40), 2, math.inf) is Found.MORE
    assert forest.nodes == 2
    assert not forest.promising(1e-6, 1.0)
    assert forest.run(0.0, lambda aim: instance.open, np.zeros(40), math.inf, math.inf) is Found.EXHAUSTED
    assert forest.promising(10.0, 1.0)


@pytest.mark.parametrize(("name", "clients"), [("gap-c", 40), ("gap-d", 20), ("gap-e", 40)])
@pytest.mark.parametrize("limit", [20.0, None])
def test_trees_prove_what_ilp_proves(name, clients, limit):
    problem = make(name, clients, 5, 1)
    ours = solve(problem, "lagrangian", time_limit=limit)
    assert ours.status is Status.OPTIMAL
    assert ours.stats["nodes"] >= 1
    assert "integer" not in ours.stats
    theirs = solve(problem, "ilp", time_limit=2.0)
    assert ours.objective >= theirs.objective
    assert ours.bound <= theirs.bound
