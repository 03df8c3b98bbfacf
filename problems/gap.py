"""Generalised assignment by the published rules: every client takes one expert, loads are weighted, capacities tight.

Types A to D: P. C. Chu and J. E. Beasley, A genetic algorithm for the generalised assignment problem, Computers &
Operations Research 24 (1997). Type E: M. Laguna et al. (1995), in the form that M. Yagiura, T. Ibaraki and F. Glover
(2004) made instances of. A and B are loose and easy. C is tight. In D the cheap expert is the one with the
client's largest load. In E a few clients have much larger loads than all others. Costs are minimised: fitness is minus
the cost.

The rules do not guarantee a feasible instance. So a greedy alignment is planted first, and a capacity that it exceeds
is raised. This happens sometimes with a few clients, and never at the published sizes.
"""

import numpy as np

from alignsolve import AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from problems.orlib import one_each

ROOM = 0.8
"""Capacities of types C, D and E, as a share of an expert's total load divided by the number of experts."""


def gap_a(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Type A: loads 5..25 and costs 10..50, unrelated; loose capacities."""
    cost, load = _unrelated(rng, num_clients, num_experts)
    return _planted(cost, load, _loose(cost, load))


def gap_b(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Type B: as A, with 70 % of its capacities."""
    cost, load = _unrelated(rng, num_clients, num_experts)
    return _planted(cost, load, 0.7 * _loose(cost, load))


def gap_c(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Type C: as A, with capacities of 80 % of an even share."""
    cost, load = _unrelated(rng, num_clients, num_experts)
    return _planted(cost, load, _even(load))


def gap_d(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Type D: loads 1..100, costs that fall as loads rise: 111 − load + noise of −10..10."""
    load = rng.integers(1, 101, size=(num_experts, num_clients))
    cost = 111 - load + rng.integers(-10, 11, size=load.shape)
    return _planted(cost, load, _even(load))


def gap_e(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Type E: loads 1 − 10·ln(u) with u uniform, costs 1000/load minus noise of 0..10, both cut to whole numbers."""
    load = 1.0 - 10.0 * np.log(1.0 - rng.random((num_experts, num_clients)))
    cost = 1000.0 / load - 10.0 * rng.random(load.shape)
    return _planted(cost.astype(np.int64), load.astype(np.int64), _even(load.astype(np.int64)))


def _unrelated(rng: np.random.Generator, num_clients: int, num_experts: int) -> tuple[IntArray, IntArray]:
    """Draw costs and loads of types A to C, (num_experts, num_clients)."""
    load = rng.integers(5, 26, size=(num_experts, num_clients))
    return rng.integers(10, 51, size=load.shape), load


def _loose(cost: IntArray, load: IntArray) -> FloatArray:
    """Return one capacity for all experts: 0.6·15·(clients per expert) + 0.4·(largest load if costs alone decide)."""
    num_experts, num_clients = load.shape
    cheapest = cost.argmin(axis=0)
    carried = np.bincount(cheapest, weights=load[cheapest, np.arange(num_clients)], minlength=num_experts)
    return np.full(num_experts, 0.6 * 15.0 * num_clients / num_experts + 0.4 * carried.max())


def _even(load: IntArray) -> FloatArray:
    share: FloatArray = ROOM * load.sum(axis=1) / len(load)
    return share


def _planted(cost: IntArray, load: IntArray, capacity: FloatArray) -> AlignmentProblem:
    """Round the capacities down; raise those that a greedy alignment exceeds."""
    room = np.floor(capacity)
    carried = np.zeros(len(load))
    for i in np.argsort(-load.min(axis=0), kind="stable"):
        j = int(np.argmin((carried + load[:, i]) / np.maximum(room, 1.0)))
        carried[j] += load[j, i]
    return one_each(cost, load, np.maximum(room, carried))
