"""The Lagrangian relaxation: a multiplier for each client, a knapsack for each expert.

The rows "one expert for each client" are relaxed. At given multipliers every expert solves its own knapsack exactly.
The bound is never below that of the linear relaxation; on hard instances with few clients for each expert it is a
good deal higher.

The multipliers climb along the subgradient, which says for each client whether it is taken too often or by nobody.
The step is Polyak's, towards the incumbent's cost. The direction remembers the last ones, and the step is halved
after many steps without a better bound.

Sources: G. T. Ross and R. M. Soland, A branch and bound algorithm for the generalized assignment problem,
Mathematical Programming 8 (1975), for the relaxation; M. Held, P. Wolfe and H. P. Crowder, Validation of subgradient
optimization, Mathematical Programming 6 (1974), for the step; M. Posta, J. A. Ferland and P. Michelon, An exact
method with variable fixing for solving the generalized assignment problem, Computational Optimization and
Applications 52 (2012), for fixing by the same knapsacks.
"""

import math

import numpy as np

from alignsolve.numerics import EPSILON, BoolArray, FloatArray
from alignsolve.runtime.interruptible import late
from alignsolve.solvers.generalised_assignment.instance import Instance
from alignsolve.solvers.generalised_assignment.knapsacks import evaluate, forced, knapsacks, new_table, rigorous

MEMORY = 0.5
"""Weight of the last direction in the next."""
PATIENCE = 30
"""Steps without a better bound after which the step is halved."""
SMALLEST = 1e-3
"""Share of Polyak's step at which the climb ends."""
AGAIN = 0.1
"""Share of Polyak's step at which an ended climb begins again, because the target has come closer."""
BETTER = 1e-6
"""Share of the distance to the target that counts as a better bound."""


class Multipliers:
    """The climb, to be continued in slices.

    Attributes
    ----------
    best
        (num_clients,) the multipliers of the best bound.
    lower
        No alignment costs less; −inf before the first evaluation.
    done
        Whether the climb has come to an end.
    steps
        Steps so far.
    """

    def __init__(self, instance: Instance, start: FloatArray) -> None:
        self.instance = instance
        self.sacks = knapsacks(instance)
        self.table = new_table(self.sacks)
        self.best = start.copy()
        self.lower = -math.inf
        self.done = False
        self.steps = 0
        self._at = start.copy()
        self._direction = np.zeros(len(start))
        self._fresh = True
        self._share = 1.0
        self._quiet = 0

    def climb(self, target: float, deadline: float, most: int) -> None:
        """Climb towards the incumbent's cost, ``most`` steps at most; an ended climb goes on with small steps."""
        if self.done:
            self.done, self._share, self._quiet, self._fresh = False, AGAIN, 0, True
            self._at = self.best.copy()
        for _ in range(most):
            if self.done or late(deadline):
                return
            self._step(target)

    def _step(self, target: float) -> None:
        """Evaluate the bound here, and take one step along the averaged subgradient."""
        values = np.empty(len(self.sacks.size))
        taken = np.zeros(len(self._at), dtype=np.int64)
        evaluate(self.sacks, self._at, self.table, values, taken)
        lower = rigorous(self.sacks, self._at, values)
        self.steps += 1
        enough = BETTER * max(target - self.lower, 0.0) if math.isfinite(self.lower) else 0.0
        self._quiet = 0 if lower > self.lower + enough else self._quiet + 1
        if lower > self.lower:
            self.lower, self.best = lower, self._at.copy()
        # Too many steps without progress: go back to the best multipliers with half the step.
        if self._quiet > PATIENCE:
            self._share, self._quiet, self._fresh = 0.5 * self._share, 0, True
            self._at = self.best.copy()
            self.done = self._share < SMALLEST
            return
        # Polyak's step along the new direction.
        memory = 0.0 if self._fresh else MEMORY
        self._direction, self._fresh = memory * self._direction + (1.0 - memory) * (1.0 - taken), False
        length = float(self._direction @ self._direction)
        self.done = length == 0.0 or self.instance.proves(self.lower, target)
        if not self.done:
            self._at = self._at + self._share * max(target - lower, 0.0) / length * self._direction

    def open_pairs(self, incumbent: float) -> BoolArray:
        """The pairs that an alignment below the incumbent's cost may have, (num_clients, num_experts)."""
        inside, outside = np.empty(self.instance.shape), np.empty(self.instance.shape)
        forced(self.sacks, self.best, self.table, np.empty_like(self.table), inside, outside)
        values, taken = np.empty(len(self.sacks.size)), np.zeros(len(self.best), dtype=np.int64)
        evaluate(self.sacks, self.best, self.table, values, taken)
        lower = rigorous(self.sacks, self.best, values)
        loss = inside + outside.sum(axis=1, keepdims=True) - outside
        lowest = lower + np.where(self.instance.open, loss, np.inf)
        return better_than(self.instance, lowest, incumbent)


def better_than(instance: Instance, lowest: FloatArray, incumbent: float) -> BoolArray:
    """Whether lower bounds on the cost are below an incumbent."""
    if not instance.whole:
        below: BoolArray = lowest < incumbent
        return below
    return np.ceil(lowest) < incumbent


def lowest_by_prices(instance: Instance, prices: FloatArray, priced: FloatArray) -> float:
    """The bound of the prices, lowered by its rounding error and by that of any reduced cost added to it."""
    clients, paid = priced.min(axis=1), prices * instance.most
    size = np.abs(clients).sum() + np.abs(paid).sum() + np.abs(np.where(instance.open, priced, 0.0)).max()
    return float(clients.sum() - paid.sum() - 8.0 * (len(clients) + len(paid)) * EPSILON * size)
