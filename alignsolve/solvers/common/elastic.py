"""The elastic problem: every hard expert bound may be violated at a price of 1 for each unit; nothing else counts.

Its optimum is minus the least total violation of the bounds: 0 if and only if the problem is feasible (client rows
stay hard). If the problem is infeasible, the elastic problem's prices are a direction along which the original bound
falls without end. A level set of these prices holds a witness.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from alignsolve.certificate.witness import Witness, from_direction
from alignsolve.data.alignment import Alignment
from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import SolveError
from alignsolve.solvers.common.level_method import prices_by_level_method
from alignsolve.solvers.common.residual import prices_of


def elastic(problem: AlignmentProblem) -> AlignmentProblem:
    """Build the elastic problem: fitness 0; a penalty of 1 per unit for each hard expert bound, none for soft ones.

    Optional demands are left out: an alignment without them is a weaker one, so a witness holds for them too.
    """
    bounds, stored = problem.experts, problem.stored
    of_sets = {} if problem.sets is None else _elastic_sets(problem.sets.bounds)
    nothing = np.zeros(1, dtype=np.int8)
    return replace(
        problem,
        fitness=np.broadcast_to(nothing, problem.shape)
        if stored is None
        else stored.valued(np.broadcast_to(nothing, len(stored))),
        switching_cost=0.0,
        previous=None,
        expert_capacity=np.where(bounds.hard_capacity, bounds.most, np.inf),
        expert_demand=np.where(bounds.hard_demand, bounds.least, 0.0),
        overload_penalty=1.0,
        shortfall_penalty=1.0,
        optional_demand=None,
        **of_sets,
    )


def _elastic_sets(bounds: ExpertBounds) -> dict[str, Any]:
    """Return the fields of sets in the elastic problem: a penalty of 1 per unit for each hard bound."""
    return {
        "set_capacity": np.where(bounds.hard_capacity, bounds.most, np.inf),
        "set_demand": np.where(bounds.hard_demand, bounds.least, 0.0),
        "set_overload_penalty": 1.0,
        "set_shortfall_penalty": 1.0,
    }


def witness_from_elastic(
    problem: AlignmentProblem, optimum: Callable[[AlignmentProblem], Alignment | None]
) -> Witness | None:
    """Find why a problem of the cardinality class is infeasible, given a way to solve its elastic problem.

    Parameters
    ----------
    problem
        Infeasible.
    optimum
        Returns an optimal alignment of the problem that it is given, or None.

    Raises
    ------
    SolveError
        If the alignment that it returns for the elastic problem is not optimal.
    """
    relaxed = elastic(problem)
    alignment = optimum(relaxed)
    prices = None if alignment is None else prices_of(relaxed, alignment)
    if prices is None:
        raise SolveError("the elastic problem has no proven optimum, so infeasibility has no witness")
    return from_direction(problem, prices)


def quick_witness(problem: AlignmentProblem, deadline: float) -> Witness | None:
    """Look for the reason why a problem of either class may have no alignment; None says nothing about the problem.

    Two directions are looked at: all experts together, and the elastic problem's prices after some passes.

    Parameters
    ----------
    problem
        Of either class, feasible or not.
    deadline
        On the clock of :func:`time.monotonic`; the passes end there.
    """
    everywhere = np.ones(problem.num_experts)
    together = from_direction(problem, -everywhere) or from_direction(problem, everywhere)
    if together is not None:
        return together
    relaxed, bounds = elastic(problem), problem.experts
    load = np.broadcast_to(1.0 if problem.client_load is None else problem.client_load, problem.shape)
    most_violation = float(load.sum() + bounds.least[bounds.hard_demand].sum())
    prices = np.zeros(problem.num_experts)
    for found in prices_by_level_method(relaxed, target=-most_violation, deadline=deadline):
        prices = found.prices
    return from_direction(problem, prices)
