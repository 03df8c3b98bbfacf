"""Many identical clients as one row with a count: aligns types of clients, and deals the experts out to the clients.

Let a type have c clients, each with at most k experts. A row with capacity c·k would be wrong: it could take an expert
more than c times. Instead y_tj counts the clients of type t that have expert j:

    max  Σ fitness_tj·y_tj − penalties     0 ≤ y_tj ≤ c_t,  c_t·demand_t ≤ Σ_j y_tj ≤ c_t·capacity_t,

groups likewise, and the experts' bounds on Σ_t y_tj as they are. That is a transportation problem, solved as a min-cost
flow of one row per type. It has the same optimum as the problem of all clients, by two steps. Every alignment of the
clients gives such a y. And every y can be dealt out: write each expert down y_tj times, group by group, and give the
list to the clients of the type in turn, round and round. No client gets an expert twice, because y_tj ≤ c_t. Each
client's share of any stretch of the list is rounded up or down, so it stays within whole bounds.

Prices prove the optimum as everywhere: a type's own optimum at these prices counts c_t times in the bound.

The idea of a distribution over identical agents is from M3-UCRL (arXiv 2107.04050), where it is a mean field. Here the
number of clients is finite, and nothing is approximated.
"""

import math
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from alignsolve.certificate.bound import ROUNDINGS
from alignsolve.certificate.witness import contradiction
from alignsolve.data.alignment import Alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.numerics import EPSILON, FloatArray, IntArray, is_proven, relative_gap
from alignsolve.problem import AlignmentProblem, ProblemClass
from alignsolve.solution import Status
from alignsolve.subproblem.dispatch import best_rows

if TYPE_CHECKING:
    from alignsolve.solvers.flow import Network

ROUNDS = 1_000
"""Sweeps over the arcs after which prices are taken as they are; they prove what they prove."""


@dataclass(frozen=True, eq=False)
class TypeSolution:
    """The alignment of types of clients, checked against the problem.

    Attributes
    ----------
    status
        OPTIMAL, FEASIBLE (the gap is not closed) or INFEASIBLE.
    holders
        (num_types, num_experts) how many clients of each type have each expert; None if there is no alignment.
    counts
        (num_types,) the number of clients of each type.
    objective
        The worth of all clients' alignment; None if there is none.
    bound
        No alignment of all clients is worth more; −inf if there is none.
    loads, prices
        (num_experts,) clients per expert, and the experts' prices; None if there is no alignment.
    missing
        If there is no alignment: so many units of load are missing at least to the experts' bounds; 0 if there is one,
        NaN if a type contradicts itself.
    why
        If there is no alignment: the reason in words.
    runtime
        Seconds.
    """

    status: Status
    holders: IntArray | None
    counts: IntArray
    objective: float | None
    bound: float
    loads: FloatArray | None
    prices: FloatArray | None
    missing: float
    why: str
    runtime: float

    @property
    def gap(self) -> float:
        """Relative distance of the bound from the objective; inf if there is no alignment."""
        return math.inf if self.objective is None else relative_gap(self.bound, self.objective)

    def assigned(self, types: npt.ArrayLike, expert_group: npt.ArrayLike | None = None) -> Alignment:
        """Deal the experts out to the clients, as CSR. Clients of a type differ only in which of its experts they get.

        Parameters
        ----------
        types
            (num_clients,) the type of each client.
        expert_group
            (num_experts,) the problem's groups, if it has any.

        Raises
        ------
        ValueError
            If there is no alignment, or the types do not have the counts that were solved.
        """
        if self.holders is None:
            raise ValueError(f"there is no alignment: {self.why}")
        types = np.asarray(types)
        known = types.dtype.kind in "iu" and types.ndim == 1 and bool((types >= 0).all())
        if not known or not np.array_equal(np.bincount(types, minlength=len(self.counts)), self.counts):
            raise ValueError(f"types must name the type of each client, {self.counts.tolist()[:5]} … of each")
        order = np.argsort(types, kind="stable")  # the clients, type by type
        first = np.cumsum(self.counts) - self.counts
        groups = np.zeros(self.holders.shape[1]) if expert_group is None else np.asarray(expert_group)
        by_group = np.argsort(groups, kind="stable")
        times = self.holders[:, by_group]
        experts = np.repeat(np.tile(by_group, len(times)), times.ravel())
        sizes = times.sum(axis=1)
        of_type = np.repeat(np.arange(len(times)), sizes)
        turn = np.arange(len(experts)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        clients = order[first[of_type] + turn % np.maximum(self.counts[of_type], 1)]
        return Alignment.from_pairs(clients, experts, len(types))


def solve_types(problem: AlignmentProblem, counts: npt.ArrayLike) -> TypeSolution:
    """Align many clients of few types: one row for each type, with the number of its clients.

    Parameters
    ----------
    problem
        A row for each type: its fitness, and the bounds, groups, eligible and required pairs of each of its clients.
        The experts' bounds are those of all clients together.
    counts
        (num_types,) the number of clients of each type, whole numbers, 0 or more.

    Returns
    -------
    TypeSolution
        Its objective and bound are those of the problem with all clients.

    Raises
    ------
    ValueError
        If the counts are no such numbers, or the problem has budgets, weighted loads, sets of experts, or fitness that
        is not in memory.

    Examples
    --------
    >>> problem = AlignmentProblem([[3.0, 1.0], [2.0, 1.5]], expert_capacity=[400_000, np.inf])
    >>> solution = solve_types(problem, [300_000, 700_000])
    >>> solution.status, solution.holders.tolist(), solution.objective
    (<Status.OPTIMAL: 'OPTIMAL'>, [[300000, 0], [100000, 600000]], 2000000.0)
    """
    started = time.perf_counter()
    times = _checked(problem, counts)
    row = contradiction(AlignmentProblem(problem.fitness, **_client_side(problem)).unread())
    if row is not None and bool((row.clients & (times > 0)).any()):
        return _none(times, math.nan, row.explain(problem), started)
    network = _network(problem, times)
    found = network.flows()
    if found is None:
        return _short(problem, times, started)
    holders, prices = _holders(network, found), _prices(network, found)
    loads = holders.sum(axis=0).astype(np.float64)
    picked = np.where(holders > 0, problem.values(), 0) * holders
    objective = math.fsum(picked.ravel().tolist()) - math.fsum(problem.experts.penalty(loads).tolist())
    bound = types_bound(problem, times, prices)
    magnitude = float(np.abs(picked).sum())
    proven = is_proven(bound, objective, magnitude)
    status = Status.OPTIMAL if proven else Status.FEASIBLE
    seconds = time.perf_counter() - started
    paid = problem.experts.project(prices)
    return TypeSolution(status, holders, times, objective, bound, loads, paid, 0.0, "", seconds)


def types_bound(problem: AlignmentProblem, counts: IntArray, prices: FloatArray) -> float:
    """Return an upper bound on the worth of all clients' alignment, for any prices of experts.

    Each type's own optimum counts as often as the type has clients. The bound is rounded up by the error of its terms.

    Parameters
    ----------
    problem
        A row for each type, as for :func:`solve_types`.
    counts
        (num_types,) the number of clients of each type.
    prices
        (num_experts,) in fitness per client.
    """
    paid = problem.experts.project(prices)
    terms, sizes = problem.experts.conjugate_and_size(paid)
    here = np.flatnonzero(counts)
    optima = best_rows(problem.pick(here), paid)
    if not optima.feasible.all():
        return -math.inf
    rows = optima.value.astype(np.float64) * counts[here]
    error = float(sizes.sum() + (optima.magnitude * counts[here]).sum() + np.abs(rows).sum())
    return math.fsum([*rows.tolist(), *terms.tolist()]) + (ROUNDINGS + problem.num_experts + 1) * EPSILON * error


def _checked(problem: AlignmentProblem, counts: npt.ArrayLike) -> IntArray:
    """Return the counts; refuse other counts, and problems that are no flow of types."""
    given = np.asarray(counts)
    whole = given.dtype.kind in "iu" and given.shape == (problem.num_clients,) and bool((given >= 0).all())
    if not whole:
        raise ValueError(f"counts must be {problem.num_clients} whole numbers, 0 or more, one for each type")
    in_memory = problem.stored is None and not isinstance(problem.fitness, RowBlocks)
    if problem.class_ is not ProblemClass.CARDINALITY or problem.sets is not None or not in_memory:
        raise ValueError(
            "types can have capacities, demands, groups, eligible and required pairs and previous experts, and fitness "
            "in memory; for budgets, weighted loads, sets of experts or sparse fitness use solve() with all clients"
        )
    return given.astype(np.int64)


def _client_side(problem: AlignmentProblem) -> dict[str, object]:
    names = ("client_capacity", "client_demand", "eligible", "required", "expert_group", "group_capacity")
    return {name: getattr(problem, name) for name in (*names, "group_demand", "client_names", "expert_names")}


def _network(problem: AlignmentProblem, times: IntArray) -> "Network":
    """Build the network of types; imported here, so that ``import alignsolve`` loads no solver."""
    from alignsolve.solvers.flow import Network  # noqa: PLC0415

    return Network(problem, times)


def _holders(network: "Network", flows: IntArray) -> IntArray:
    """Return how many clients of each type have each expert, from the flow on the arcs."""
    first = sum(len(part[0]) for part in network.arcs[: 1 + bool(network.problem.num_groups)])
    holders = np.zeros(network.problem.shape, dtype=np.int64)
    pairs = flows[first : first + len(network.clients)] + network.forced
    holders[network.clients, network.experts] = pairs
    return holders


def _prices(network: "Network", flows: IntArray) -> FloatArray:
    """Return prices that support the flow: shortest distances over the arcs that can still carry more, or less.

    OR-Tools rounds costs to whole numbers, so the last digits may leave a tiny negative cycle. Steps below the rounding
    of the costs are therefore not taken.
    """
    tails, heads, capacity, cost = (np.concatenate(part) for part in zip(*network.arcs, strict=True))
    up, down = flows < capacity, flows > 0
    start = np.concatenate([tails[up], heads[down]])
    end = np.concatenate([heads[up], tails[down]])
    length = np.concatenate([cost[up], -cost[down]])
    least = 1e-13 * float(np.abs(cost).max(initial=0.0))
    distance = np.zeros(len(network.supply))
    for _ in range(ROUNDS):
        reached = distance.copy()
        np.minimum.at(reached, end, distance[start] + length)
        if not (reached < distance - least).any():
            break
        distance = reached
    experts = network.first_expert + np.arange(network.problem.num_experts)
    prices: FloatArray = distance[network.ground] - distance[experts]
    return prices


def _none(times: IntArray, missing: float, why: str, started: float) -> TypeSolution:
    seconds = time.perf_counter() - started
    return TypeSolution(Status.INFEASIBLE, None, times, None, -math.inf, None, None, missing, why, seconds)


def _short(problem: AlignmentProblem, times: IntArray, started: float) -> TypeSolution:
    """Return by how much the experts' bounds cannot hold: the optimum of a problem that asks for nothing else."""
    free = replace(problem, fitness=np.zeros(problem.shape), previous=None, switching_cost=0.0)
    asking = free.soften(overload=1.0, shortfall=1.0)
    network = _network(asking, times)
    found = network.flows()
    missing = 0.0 if found is None else -types_bound(asking, times, _prices(network, found))
    why = f"{missing:g} units of load are missing at least to the bounds of the experts"
    if found is None:
        why = "the clients cannot keep their own bounds"
    return _none(times, missing, why, started)
