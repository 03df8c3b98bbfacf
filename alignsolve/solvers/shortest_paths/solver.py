"""``augment``: shortest augmenting paths with duals, for problems in which most clients and experts take only one.

Rows are the clients and columns the experts, or the other way round: the side with fewer units to place gives the rows.

1. *Lists* (:mod:`.short_lists`). Read each row once, and keep its few best columns.
2. *Bids* (:mod:`.bids`), for one-to-one problems. Rows bid for columns, and prices rise, until few rows are left.
3. *Paths* (:mod:`.search`). Place each row that is left along a shortest augmenting path. Prices and surplus are the
   potentials of the search, so that no step has a negative length.
4. *Demands of the columns*, where any are unmet. The columns become the rows, and step 3 is done once more.

The prices of the experts prove the alignment. They are never negative, except at an expert that holds just its demand,
and 0 at an expert with room left. If a row cannot be placed, the columns that its search reached are the witness.

Lists make this fast on large squares. The search reads few rows in full, and only where it needs more than their lists.
All numbers are floats. Whole numbers stay exact while sums along a path are below 2⁵³. A warm start is not used.
"""

import math
import time
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np

from alignsolve.certificate.violations import violations
from alignsolve.certificate.witness import from_direction
from alignsolve.data.alignment import Alignment
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem, Feature
from alignsolve.runtime.interruptible import late
from alignsolve.solver import CARDINALITY, Answer, Capabilities, Progress, ProgressHook, WarmStart
from alignsolve.solvers.shortest_paths.bids import bid
from alignsolve.solvers.shortest_paths.board import NONE, SEARCH, WANTED, Board
from alignsolve.solvers.shortest_paths.search import settle
from alignsolve.solvers.shortest_paths.short_lists import list_from_transpose, list_rows
from alignsolve.solvers.shortest_paths.side import FAR, Side

ROWS_AT_ONCE = 64
"""Rows that are placed between two looks at the clock."""
PAIRS_AT_ONCE = 1 << 22
"""Pairs that are read between two looks at the clock."""


@dataclass(frozen=True)
class Augment:
    """Exact solver by shortest augmenting paths: cardinality class without groups and soft bounds.

    Examples
    --------
    >>> from alignsolve import AlignmentProblem, solve
    >>> problem = AlignmentProblem([[0.7, 0.2], [0.6, 0.5]], expert_capacity=1)
    >>> solve(problem, solver=Augment()).x.tolist()
    [[True, False], [False, True]]
    """

    capabilities: ClassVar[Capabilities] = Capabilities(
        takes=CARDINALITY - {Feature.GROUPS, Feature.SOFT_BOUNDS}, exact=True, presolve=True
    )

    def __call__(
        self,
        problem: AlignmentProblem,
        *,
        deadline: float,
        warm_start: WarmStart,
        seed: int,
        threads: int | None,
        progress: ProgressHook | None,
    ) -> Answer:
        """Solve; neither seed nor threads are needed."""
        started = time.monotonic()
        clients = Side.of_clients(problem)
        overfull = clients.column_most < 0
        crossed = clients.column_least > clients.column_most
        if overfull.any() or crossed.any():
            direction = overfull if overfull.any() else -crossed.astype(np.float64)
            return Answer(witness=from_direction(problem, direction.astype(np.float64)))
        fewer_at_experts = clients.column_most.sum() < clients.most.sum()
        placing = _Placing(clients.turned() if fewer_at_experts else clients, deadline)
        done = placing.place_rows() and placing.place_columns()
        if progress is not None:
            progress(Progress("placed", time.monotonic() - started))
        stats = {"searches": placing.searches, "bids": placing.bids, "solver_seconds": time.monotonic() - started}
        if placing.stuck:
            return Answer(witness=from_direction(problem, placing.direction()), stats=stats)
        alignment = placing.alignment(problem)
        if not done and violations(problem, alignment):
            return Answer(
                _feasible(problem, warm_start), placing.prices(problem), stats={"stopped": "time limit", **stats}
            )
        return Answer(alignment, placing.prices(problem), stats=stats)

    def prepare(self, problem: AlignmentProblem) -> None:
        """Compile the code, which is the same for all problems."""
        _compile()


@cache
def _compile() -> None:
    """Place two clients with one expert each; then an expert's demand is unmet. All kernels are used."""
    problem = AlignmentProblem([[3.0, 2.0, -9.0], [3.0, 1.0, -9.0]], expert_capacity=1, expert_demand=[0, 0, 1])
    placing = _Placing(Side.of_clients(problem), math.inf)
    placing.place_rows()
    placing.place_columns()
    placing = _Placing(Side.of_clients(problem).turned(), math.inf)
    placing.place_rows()


class _Placing:
    """The rows of a side, and then its columns, being placed."""

    def __init__(self, side: Side, deadline: float) -> None:
        self.side, self.deadline = side, deadline
        self.board = Board.of(side)
        self.bids = self.searches = 0
        self.stuck = False

    def place_rows(self) -> bool:
        """Place all rows, first by bids; False if the deadline came first or a row cannot be placed."""
        if not self._read():
            return False
        if self.side.allows_bids:
            self.bids = bid(self.side.worth, self.board)
        return self._settle()

    def place_columns(self) -> bool:
        """Meet the demands of the columns, as rows of the other side; False as in ``place_rows``."""
        if (self.board.columns["load"] >= self.side.column_least).all():
            return True
        self.side = self.side.turned().whole()
        self.board = self.board.turned(self.side)
        # The search takes the surplus of a row with one place to be exactly what its column is worth to it.
        rows, columns = self.board.pairs()
        single = self.board.rows["most"][rows] == 1
        rows, columns = rows[single], columns[single]
        self.board.rows["surplus"][rows] = self.side.worth[rows, columns] - self.board.price[columns]
        return self._read() and self._settle()

    def _read(self) -> bool:
        """Read all rows; False if the deadline came first."""
        num_rows, num_columns = self.side.shape
        if self.side.allows_bids and num_rows * num_columns <= PAIRS_AT_ONCE and len(self.side.transpose):
            list_from_transpose(self.side.transpose, self.board.lists)
            return True
        self.side = self.side.whole()
        step = max(1, PAIRS_AT_ONCE // num_columns)
        for first in range(0, num_rows, step):
            if late(self.deadline):
                return False
            list_rows(self.side.worth, self.board.price, self.board.lists, first, min(first + step, num_rows))
        return True

    def _settle(self) -> bool:
        """Search for a place for each row that has none."""
        num_rows = len(self.side.most)
        step = num_rows if self.deadline == math.inf else ROWS_AT_ONCE
        state, first = self.board.state, 0
        while first < num_rows:
            if late(self.deadline):
                return False
            row = settle(self.side.worth, self.board, first, min(first + step, num_rows))
            if row == NONE:
                first += step
            elif state[WANTED]:
                self.side, first, state[WANTED] = self.side.whole(), row, 0
            else:
                self.stuck = True
                return False
        self.searches += int(self.board.state[SEARCH])
        return True

    def direction(self) -> FloatArray:
        """Return the direction of prices, of a search without a path, along which the bound falls without end."""
        if self.side.experts_are_rows:
            return -(self.board.rows["distance"] < FAR).astype(np.float64)
        return (self.board.distance < FAR).astype(np.float64)

    def prices(self, problem: AlignmentProblem) -> FloatArray:
        """The experts' prices: of the columns, or the surplus of the rows.

        An expert with more places than there are clients is never full, so it asks nothing. Where it has them all, each
        client keeps it at no price as well.
        """
        prices = self.board.rows["surplus"] if self.side.experts_are_rows else self.board.price
        return np.where(problem.experts.most > problem.num_clients, np.minimum(prices, 0.0), prices)

    def alignment(self, problem: AlignmentProblem) -> Alignment:
        """The pairs that are held and those that are required."""
        rows, columns = self.board.pairs()
        clients, experts = (columns, rows) if self.side.experts_are_rows else (rows, columns)
        if problem.required is not None:
            more = np.nonzero(problem.required)
            clients, experts = np.concatenate([clients, more[0]]), np.concatenate([experts, more[1]])
        return Alignment.from_pairs(clients, experts, problem.num_clients)


def _feasible(problem: AlignmentProblem, warm_start: WarmStart) -> Any:
    """The alignment of a warm start, if it is feasible."""
    known = warm_start.alignment
    return None if known is None or violations(problem, known) else known
