"""The problem with rates in place of its budgets: a min-cost flow, which ``sift`` solves."""

from typing import NamedTuple

import numpy as np

from alignsolve.certificate.witness import Witness, from_direction
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.presolve.reduction import changed
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import WarmStart
from alignsolve.solvers.sift.search import Search


class Flow(NamedTuple):
    """An optimal flow.

    Attributes
    ----------
    alignment
        None if hard demands of experts cannot be met.
    prices
        (num_experts,)
    witness
        Why there is no alignment, whatever the budgets; None if nothing is known.
    """

    alignment: Alignment | None
    prices: FloatArray
    witness: Witness | None = None


def best_flow(
    problem: AlignmentProblem,
    value: FloatArray,
    number: IntArray,
    prices: FloatArray | None,
    deadline: float,
    *,
    explain: bool = False,
) -> Flow:
    """Solve a problem without its budgets, with other values and other capacities of clients.

    Parameters
    ----------
    problem
        Without weighted loads.
    value
        (num_clients, num_experts) in place of its fitness and switching costs.
    number
        (num_clients,) in place of its ``client_capacity``.
    prices
        (num_experts,) to begin with, or None.
    deadline
        On the clock of :func:`time.monotonic`.
    explain
        Whether to look for a witness where there is no alignment. It counts no budgets: to look at them takes minutes.

    Raises
    ------
    TimeUpError
        If the deadline comes first.
    """
    without = changed(
        problem,
        fitness=value,
        switching_cost=np.zeros(1),
        previous=None,
        client_capacity=number,
        client_budget=None,
        expert_cost=None,
    )
    search = Search(without, WarmStart(prices=prices), deadline, None)
    if search.overfull.any():
        prices, direction = np.zeros(len(search.overfull)), search.overfull.astype(np.float64)
    else:
        search.run()
        if not search.unmet:
            return Flow(search.answer().x, search.prices)
        prices = direction = search.prices
    if not explain:
        return Flow(None, prices)
    return Flow(None, prices, from_direction(changed(without, client_capacity=problem.client_capacity), direction))
