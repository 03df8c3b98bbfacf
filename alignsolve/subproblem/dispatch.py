"""The door of this room: which code solves the clients' own problems, and why.

Four versions stand behind it, all of them exact.

- :mod:`.row`, plain NumPy: the readable version and the oracle of the compiled ones. It needs no compiler, and small
  problems are done before numba would be loaded.
- :mod:`.row_compiled`: the same optimum for large problems without loads and budgets, on several threads.
- :mod:`.knapsack`, compiled: with budgets each client is a small knapsack, whatever the size of the problem. Budgets
  that only count are places instead (:mod:`.counted_budgets`).
- :mod:`.client_demand`, compiled: values and loads of the clients for searches that ask under hundreds of prices. It
  keeps no exact integers and no error terms, so its sums guide a search and prove nothing. It knows no budgets.

:func:`best_rows` chooses for one block, :func:`row_engine` for all clients of a problem, :class:`Demand` for a search.
Numba is loaded only where a compiled version is used.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.data.problem_view import ProblemView
from alignsolve.numerics import BoolArray, FloatArray
from alignsolve.subproblem.counted_budgets import without_budgets
from alignsolve.subproblem.reduced_fitness import reduced_fitness
from alignsolve.subproblem.row import RowOptima, greedy_rows

COMPILED_FROM = 1 << 21
"""Pairs from which a problem is large: compiled code on several threads then pays for itself."""
GROUPED_FROM = 1 << 14
"""Pairs from which it does where experts have groups: the readable version sorts every group of every client."""
SINGLES_FROM = 1 << 18
"""Pairs from which compiled code, on one thread, pays for itself where no client takes more than one expert."""


def best_rows(block: ClientBlock, prices: FloatArray, *, choose: bool = False) -> RowOptima:
    """Solve every client's own problem under the given prices.

    Parameters
    ----------
    block
        The clients.
    prices
        (num_experts,) in fitness per unit of load, finite.
    choose
        Whether to return an optimal choice too. Ties go to the lower expert index.
    """
    late = block.budget is None and has_large_groups(block)  # rows of a large problem whose budgets are left out
    if block.budget is None and not late:
        return greedy_rows(block, prices, choose=choose)
    counted = block if late else without_budgets(block)
    if counted is not None:
        if choose or counted.load is not None:
            return greedy_rows(counted, prices, choose=choose)
        from alignsolve.subproblem.row_compiled import best_rows_compiled  # noqa: PLC0415  (loads numba)

        return best_rows_compiled(counted, prices)
    from alignsolve.subproblem.knapsack import knapsack_rows  # noqa: PLC0415  (loads numba)

    return knapsack_rows(block, prices, choose=choose)


def relaxed_rows(block: ClientBlock, prices: FloatArray) -> RowOptima:
    """Bound every client's own problem with budgets, far faster than it is solved; arguments as in :func:`best_rows`.

    The values are at least the optima: still a bound, for clients whose turn comes too late to be solved.
    """
    from alignsolve.subproblem.knapsack import relaxed_knapsack_rows  # noqa: PLC0415  (loads numba)

    return relaxed_knapsack_rows(block, prices)


def has_large_groups(block: ClientBlock) -> bool:
    """Whether clients have groups and so many pairs that the readable version, which sorts every group, is slow."""
    return block.group is not None and block.experts is None and block.value.size >= GROUPED_FROM


class RowEngine(NamedTuple):
    """How the optima of all clients of a problem are computed.

    Attributes
    ----------
    optimise
        Solves a block of clients under prices, without telling a choice.
    compiled
        Whether that is :mod:`.row_compiled`.
    parallel
        Whether several threads help: the code releases the interpreter's lock, and there is enough to do.
    """

    optimise: Callable[[ClientBlock, FloatArray], RowOptima]
    compiled: bool
    parallel: bool


def row_engine(problem: ProblemView) -> RowEngine:
    """Choose for all clients of a problem: compiled code if it is large and has neither loads nor budgets.

    What is large depends: on groups, and on whether clients take more than one expert. The rows of a sparse problem are
    short, so that NumPy is fast enough.
    """
    if problem.stored is not None:
        return RowEngine(best_rows, compiled=False, parallel=False)
    large, budgets = is_large(problem), problem.client_budget is not None
    if budgets or problem.client_load is not None:
        return RowEngine(best_rows, compiled=False, parallel=large and budgets)
    grouped = problem.num_groups > 0 and _pairs(problem) >= GROUPED_FROM
    if not (large or grouped or _has_many_singles(problem)):
        return RowEngine(best_rows, compiled=False, parallel=False)
    from alignsolve.subproblem.row_compiled import best_rows_compiled  # noqa: PLC0415  (loads numba)

    return RowEngine(best_rows_compiled, compiled=True, parallel=large)


def _has_many_singles(problem: ProblemView) -> bool:
    """Whether no client takes more than one expert, without groups and required pairs, and there are many pairs."""
    plain = problem.num_groups == 0 and problem.required is None
    return plain and _pairs(problem) >= SINGLES_FROM and bool(problem.client_capacity.max() <= 1)


def is_large(problem: ProblemView) -> bool:
    """Whether a problem has so many pairs that compiled code pays for itself."""
    return _pairs(problem) >= COMPILED_FROM


def _pairs(problem: ProblemView) -> int:
    return problem.num_clients * problem.num_experts if problem.stored is None else len(problem.stored)


@dataclass(frozen=True)
class Demand:
    """A block of clients, to be asked what it demands under many prices, one after the other."""

    block: ClientBlock

    @cached_property
    def _arrays(self) -> tuple[Any, ...]:
        from alignsolve.subproblem.client_demand import arrays_of  # noqa: PLC0415  (loads numba)

        return arrays_of(self.block)

    def respond(self, prices: FloatArray, chosen: BoolArray | None = None) -> tuple[float, FloatArray]:
        """Sum of the clients' optima and the load that they put on each expert, (num_experts,).

        Parameters
        ----------
        prices
            (num_experts,) in fitness per unit of load, finite.
        chosen
            (num_clients, num_experts), to be filled with an optimal choice of each client; None: not wanted.
        """
        if self.block.budget is not None:
            return self._respond_within_budgets(prices, chosen)
        from alignsolve.runtime.jit import absent  # noqa: PLC0415  (loads numba)
        from alignsolve.subproblem.client_demand import respond  # noqa: PLC0415  (loads numba)

        loads = np.zeros(self.block.num_experts)
        marked = absent(np.bool_) if chosen is None else chosen
        marked[:] = False
        return respond(*self._arrays, prices, loads, marked), loads

    def _respond_within_budgets(self, prices: FloatArray, marked: BoolArray | None) -> tuple[float, FloatArray]:
        from alignsolve.subproblem.knapsack import best_rows_within_budgets  # noqa: PLC0415  (loads numba)

        reduced = reduced_fitness(self.block, prices).astype(np.float64, copy=False)
        value, _, chosen = best_rows_within_budgets(self.block, reduced)
        if marked is not None:
            marked[:] = chosen
        if self.block.load is None:
            return float(value.sum()), chosen.sum(axis=0).astype(np.float64)
        return float(value.sum()), np.where(chosen, self.block.load, 0.0).sum(axis=0)
