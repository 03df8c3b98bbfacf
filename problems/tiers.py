"""Two tiers: clients in cells, and experts whose holders are bounded in every cell and in all cells together.

A cell's edge server can serve only so many of its clients with experts; this is the lower tier. The upper tier is the
network's bounds for each expert. Two tiers of decisions for cells and their neighbours are in arXiv 2506.02616; the
bounds here are a reconstruction as an alignment. The experts are columns (cell, expert), and the bounds of both tiers
are bounds of sets: of all columns of a cell, and of all columns of an expert. These sets cross.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve import AlignmentProblem, solve
from alignsolve.numerics import BoolArray, IntArray
from problems.planted import deal, device_tiers
from problems.popular import popular_fitness

CELLS = 2
"""Cells of an instance, if there are enough experts for as many columns."""


@dataclass(frozen=True, eq=False)
class Tiers:
    """The columns and the clients of a problem of two tiers.

    Attributes
    ----------
    cell
        (num_clients,) each client's cell.
    column_cell, column_expert
        (num_columns,) each column's cell and expert.
    """

    cell: IntArray
    column_cell: IntArray
    column_expert: IntArray


def tiers(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Cells whose servers are nearly full, and experts whose holders are bounded over all cells.

    This traps rules that fill cell by cell: the cells that come first use up the places of popular experts. A cell may
    be without clients.
    """
    return made(rng, num_clients, num_experts)[0]


def made(rng: np.random.Generator, num_clients: int, num_columns: int) -> tuple[AlignmentProblem, Tiers]:
    """Return an instance of :func:`tiers`, and its cells."""
    cells = CELLS if num_columns >= 2 * CELLS else 1
    columns = np.arange(num_columns)
    where = Tiers(rng.integers(0, cells, num_clients), columns % cells, columns // cells)
    eligible = where.cell[:, None] == where.column_cell[None, :]
    most = eligible.sum(axis=1)
    capacity = np.minimum(device_tiers(rng, num_clients, num_columns), most)
    # Plant an alignment in each cell, and take its loads as the bounds of both tiers.
    planted = np.zeros(num_columns)
    for cell in range(cells):
        members, own = np.flatnonzero(where.cell == cell), np.flatnonzero(where.column_cell == cell)
        if len(members):
            planted[own] += np.bincount(deal(rng, capacity[members], len(own)).experts, minlength=len(own))
    in_cell = where.column_cell[None, :] == np.arange(cells)[:, None]
    of_expert: BoolArray = where.column_expert[None, :] == np.arange(where.column_expert.max() + 1)[:, None]
    sets = np.vstack([in_cell, of_expert])
    room = np.concatenate([np.full(cells, 1.05), np.full(len(of_expert), 1.1)])
    fitness = popular_fitness(rng, num_clients, len(of_expert))[:, where.column_expert]
    problem = AlignmentProblem(
        fitness,
        client_capacity=capacity,
        client_demand=1,
        eligible=eligible,
        expert_sets=sets,
        set_capacity=np.ceil(sets @ planted * room),
        set_demand=np.floor(np.where(np.arange(len(sets)) < cells, 0.0, sets @ planted * 0.9)),
    )
    return problem, where


def price_of_tiers(problem: AlignmentProblem, where: Tiers) -> tuple[float, float]:
    """Return the optimum of the whole problem, and that of its cells one after the other.

    By tiers, each cell gets a share of every expert's places, in proportion to its clients, and then aligns by itself.
    An expert's demands are left to the whole problem. The difference of the two is the price of deciding in tiers.

    Examples
    --------
    >>> whole, apart = price_of_tiers(*made(np.random.default_rng(0), 60, 8))
    >>> bool(whole >= apart)
    True
    """
    whole = solve(problem, "ilp").objective
    assert whole is not None
    assert problem.set_capacity is not None
    cells, apart = int(where.column_cell.max()) + 1, 0.0
    for cell in range(cells):
        members, own = np.flatnonzero(where.cell == cell), np.flatnonzero(where.column_cell == cell)
        if not len(members):
            continue
        places = problem.set_capacity[cells:][where.column_expert[own]] * len(members) / problem.num_clients
        part = AlignmentProblem(
            problem.values()[np.ix_(members, own)],
            client_capacity=problem.client_capacity[members],
            expert_capacity=np.floor(places),
            expert_sets=np.ones((1, len(own)), dtype=np.bool_),
            set_capacity=[problem.set_capacity[cell]],
        )
        apart += float(solve(part).objective or 0.0)
    return float(whole), apart
