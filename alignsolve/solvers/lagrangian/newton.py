"""Prices by damped Newton steps, where many clients make the bound nearly smooth.

The curvature is the response of the loads to prices, measured one expert at a time on a sample of the clients. Each
step minimises the quadratic model that it makes, together with the experts' own kinked terms, by coordinate descent.
A damping of the model grows where the model promised too much and shrinks where it did not (K. Levenberg 1944, D. W.
Marquardt 1963). A step that raises the bound is not taken. A sample's curvature, scaled, serves for all clients and
for any portion of them.
"""

from typing import Any

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.runtime.jit import kernel
from alignsolve.solvers.common.level_method import DemandOracle
from alignsolve.solvers.lagrangian.clients import ClientChunks

LEAST_ANSWER, MOST_ANSWER = 0.08, 0.4
"""A probe should change its expert's load by a share between these: a smaller change drowns in whole clients, a
larger one is not local."""
STEP = 1.0 / 64
"""The first probe, as a share of the spread of prices."""
PROBES = 4
"""Most probes of one expert."""
DAMPING = 0.3
"""The first damping: the model's diagonal grows by this share."""
GOOD, BAD, FACTOR = 0.75, 0.25, 3.0
"""Damping shrinks by ``FACTOR`` if the bound falls by more than this share of the promise, and grows if by less than
``BAD``."""
REACH = 0.4
"""A step changes no price by more than would change a typical load by this share."""
STIFFEST = 0.2
"""No load is taken to respond less than this share of the typical response for its size."""
ENOUGH = 12
"""Clients for each expert from which a sample's curvature is used as measured; with fewer it is mixed with the
typical one."""
SWEEPS = 100
"""Most sweeps of coordinate descent."""


def curvature(clients: ClientChunks, prices: FloatArray, deadline: float) -> FloatArray | None:
    """Measure how loads fall as prices rise, (num_experts, num_experts), symmetric; None if the deadline came first.

    Parameters
    ----------
    clients
        A sample, large enough for every expert to be chosen by some dozens of clients if possible.
    prices
        (num_experts,) where it is measured.
    deadline
        On the clock of :func:`time.monotonic`.
    """
    _, loads = clients.respond(prices)
    falls = np.zeros((len(prices), len(prices)))
    step = STEP * max(float(np.ptp(prices)), float(np.abs(prices).max(initial=0.0)), np.finfo(np.float64).tiny)
    # An expert without load does not respond, and tells nothing about the next one's probe.
    for j in np.flatnonzero(loads):
        for _ in range(PROBES):
            if late(deadline):
                return None
            # Raise one price, and read off how the loads fall.
            probe = prices.copy()
            probe[j] += step
            fall = loads - clients.respond(probe)[1]
            falls[j] = fall / step
            answer = fall[j] / loads[j]
            # Adapt the probe until the response is large enough and local.
            if answer < LEAST_ANSWER:
                step *= 2.0
            elif answer > MOST_ANSWER:
                step *= 0.5
            else:
                break
    seen = (falls + falls.T) / 2.0
    trusted = min(1.0, clients.num_clients / (ENOUGH * len(prices))) ** 2
    return seen if trusted == 1.0 else trusted * seen + (1.0 - trusted) * _typical(seen, loads)


def _typical(falls: FloatArray, loads: FloatArray) -> FloatArray:
    """The curvature if all loads responded alike for their size: to their own prices, and to the others'."""
    pairs = np.outer(loads, loads)
    np.fill_diagonal(pairs, 0.0)
    own = float(np.trace(falls))
    others = float(falls.sum()) - own
    typical = others / max(float(pairs.sum()), 1e-300) * pairs
    np.fill_diagonal(typical, own / max(float(loads.sum()), 1e-300) * loads)
    return typical


class Descent:
    """A search by damped steps; ``best`` are the prices so far and ``bound`` is their bound."""

    def __init__(self, problem: AlignmentProblem, clients: DemandOracle, start: FloatArray, falls: FloatArray) -> None:
        self.problem, self.clients, self.falls = problem, clients, falls
        self.damping = DAMPING
        self.best = start
        total, self.loads = clients.respond(start)
        self.bound = total + self._own(start)

    def run(self, passes: int, settled: float, deadline: float) -> int:
        """Make steps until the promised fall is below this share of the bound; return the passes made."""
        for used in range(passes):
            here, promised = self.propose()
            if promised <= settled * abs(self.bound) or late(deadline):
                return used
            total, loads = self.clients.respond(here)
            self.judge(here, total, loads, promised)
        return passes

    def propose(self) -> tuple[FloatArray, float]:
        """Return the prices where the model is lowest, and by how much it falls to there."""
        carried = np.zeros(len(self.best))
        here = model_lowest(self.problem.experts, carried, self.best, self.loads, self.falls, self.damping)
        move = here - self.best
        falls = self._own(self.best) - self._own(here) + float(self.loads @ move)
        return here, falls - 0.5 * float(move @ self.falls @ move)

    def judge(self, here: FloatArray, total: float, loads: FloatArray, promised: float) -> bool:
        """Take the clients' answer to the proposed prices: adapt the damping; return whether the bound is better."""
        bound = total + self._own(here)
        kept = (self.bound - bound) / promised
        if kept > GOOD:
            self.damping /= FACTOR
        elif kept < BAD:
            self.damping *= FACTOR
        better = bound < self.bound
        if better:
            self.best, self.bound, self.loads = here, bound, loads
        return better

    def _own(self, prices: FloatArray) -> float:
        """The experts' own term of the bound."""
        return float(self.problem.experts.conjugate(prices).sum())


def model_lowest(
    bounds: ExpertBounds,
    carried: FloatArray,
    start: FloatArray,
    loads: FloatArray,
    falls: FloatArray,
    damping: float = DAMPING,
) -> FloatArray:
    """Minimise the damped model, (num_experts,).

    Parameters
    ----------
    bounds
        The experts' bounds.
    carried
        (num_experts,) load that does not depend on the prices.
    start, loads, falls
        The prices where the model was made, the loads there, and how they fall as prices rise.
    damping
        By what share its diagonal grows.
    """
    anything = np.full(len(start), np.inf)
    diagonal = np.diag(falls)
    typical = float(diagonal.sum()) / max(float(loads.sum()), 1e-300)
    if typical <= 0.0:
        return start
    reach = REACH / typical
    lower = np.maximum(bounds.project(-anything), start - reach)
    upper = np.minimum(bounds.project(anything), start + reach)
    own = np.maximum(diagonal, STIFFEST * typical * loads) * (1.0 + damping)
    most = np.where(np.isfinite(bounds.most), bounds.most, bounds.capacity)
    most = np.where(np.isfinite(most), most, 0.0)
    least = np.maximum(bounds.least, bounds.demand)
    here: FloatArray = lowest(start, loads + carried, falls, own, least, most, lower, upper)
    return here


@kernel
def lowest(start: Any, loads: Any, falls: Any, own: Any, least: Any, most: Any, lower: Any, upper: Any) -> Any:
    """Minimise the damped quadratic model by coordinate descent: one price at a time, its own term bent at 0."""
    num_experts = len(start)
    here = start.copy()
    left = loads.copy()  # loads that the damped model expects here
    for _ in range(SWEEPS):
        moved = 0.0
        for j in range(num_experts):
            if own[j] <= 0.0:
                continue
            # The price at which the expert's load meets its capacity; if that is negative, at which it meets its
            # demand, or 0.
            price = here[j] + (left[j] - most[j]) / own[j]
            if price <= 0.0:
                price = min(0.0, here[j] + (left[j] - least[j]) / own[j])
            price = min(max(price, lower[j]), upper[j])
            change = price - here[j]
            # Update the loads that the damped model expects.
            if change != 0.0:
                for k in range(num_experts):
                    left[k] -= (own[j] if k == j else falls[j, k]) * change
                here[j] = price
                moved = max(moved, abs(change) * own[j])
        if moved <= 1e-6:
            break
    return here
