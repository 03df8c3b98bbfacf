"""The last step with a core: clients that waver are shared out exactly, by the library's own solver.

The other clients keep their choice. So the core is an alignment problem of its own: its clients choose among the
experts between which they waver, and the experts' bounds are those that the other clients' loads leave. Its prices
prove the whole alignment if they did not drift apart by more than the window: no other client can want a change.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.federated.answers import Core
from alignsolve.front import solve
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.problem import AlignmentProblem
from alignsolve.solver import WarmStart


class Shared(NamedTuple):
    """The core, shared out.

    Attributes
    ----------
    held
        (c,) which candidates are chosen now.
    prices
        (num_experts,) that prove it within the core.
    drift
        How far two of them drifted apart, or one from where it was.
    loads
        (num_experts,) of all clients.
    """

    held: BoolArray
    prices: FloatArray
    drift: float
    loads: IntArray


def share_out(core: Core, bounds: ExpertBounds, prices: FloatArray, loads: IntArray) -> Shared | None:
    """Share the core out; None where the bounds leave no way.

    Parameters
    ----------
    core
        Clients that waver.
    bounds
        Of the experts, for all clients.
    prices, loads
        (num_experts,) of the exchange, with all clients.
    """
    if not len(core.client):
        return Shared(core.held, prices, 0.0, loads)
    num_experts = len(prices)
    settled = loads - np.bincount(core.expert[core.held], minlength=num_experts)
    left = bounds_left(bounds, settled)
    if (left.least > left.most).any():
        return None
    row = np.repeat(np.arange(len(core.client)), np.diff(core.start))
    fitness, eligible = np.zeros((len(core.client), num_experts)), np.zeros((len(core.client), num_experts), np.bool_)
    fitness[row, core.expert], eligible[row, core.expert] = core.worth + prices[core.expert], True
    number = np.bincount(row[core.held], minlength=len(core.client))
    problem = AlignmentProblem(
        fitness,
        client_capacity=number + np.where(core.grounded, core.room, 0),
        client_demand=np.maximum(number - np.where(core.grounded, core.spare, 0), 0),
        expert_capacity=left.capacity,
        expert_demand=left.demand,
        overload_penalty=left.overload,
        shortfall_penalty=left.shortfall,
        eligible=eligible,
    )
    solution = solve(problem, "price", warm_start=WarmStart(None, prices), throw=False)
    if solution.x is None:
        return None
    held = solution.x[row, core.expert]
    after = (settled + np.bincount(core.expert[held], minlength=num_experts)).astype(np.int64)
    drift = nearest_drift(limits_of_drift(core._replace(held=held), number, bounds, prices, after))
    return Shared(held, prices + drift, float(np.ptp(np.append(drift, 0.0))), after)


def limits_of_drift(
    core: Core, before: IntArray, bounds: ExpertBounds, prices: FloatArray, loads: IntArray
) -> FloatArray:
    """(num_experts + 1, num_experts + 1) how far the drift of one price may exceed that of another; the last is 0.

    Within these limits, no client of the core wants a change, and each expert is content with its load.

    Parameters
    ----------
    core
        With the choices as they are now.
    before
        (m,) how many candidates each client held before; room and spare are as of then.
    bounds, prices, loads
        The experts' side; the prices of the exchange, and the loads as they are now.
    """
    e = len(prices)
    most = np.full((e + 1, e + 1), np.inf)
    size = np.diff(core.start)
    row = np.repeat(np.arange(len(size)), size)
    more = np.bincount(row[core.held], minlength=len(size)) - before
    # Swaps: all pairs of candidates of one client, the first held and the second not.
    first = np.repeat(np.arange(len(row)), size[row])
    second = np.arange(len(first)) - np.repeat(np.cumsum(size[row]) - size[row], size[row]) + core.start[row[first]]
    swap = core.held[first] & ~core.held[second]
    first, second = first[swap], second[swap]
    np.minimum.at(most, (core.expert[first], core.expert[second]), core.worth[first] - core.worth[second])
    drops = core.held & (core.grounded & (core.spare + more > 0))[row]
    adds = ~core.held & (core.grounded & (core.room - more > 0))[row]
    np.minimum.at(most[:, e], core.expert[drops], core.worth[drops])
    np.minimum.at(most[e], core.expert[adds], -core.worth[adds])
    # An expert's price lies between the slopes of its penalty below and above its load.
    here = loads.astype(np.float64)
    above = np.where(here + 1 > bounds.most, np.inf, bounds.penalty(here + 1) - bounds.penalty(here))
    below = np.where(here - 1 < bounds.least, -np.inf, bounds.penalty(here) - bounds.penalty(here - 1))
    most[:e, e] = np.minimum(most[:e, e], above - prices)
    most[e, :e] = np.minimum(most[e, :e], prices - below)
    return most


def nearest_drift(most: FloatArray) -> FloatArray:
    """Return drifts within the limits, each as near to 0 as those before it allow, (num_experts,).

    Shortest paths make the limits tight: then any drifts that keep the limits among themselves leave room for the next.
    """
    size = len(most)
    for via in range(size):
        most = np.minimum(most, most[:, via, None] + most[None, via, :])
    drift, known = np.zeros(size), [size - 1]
    for j in range(size - 1):
        low, high = (drift[known] - most[known, j]).max(), (drift[known] + most[j, known]).min()
        drift[j] = min(max(0.0, low), high)
        known.append(j)
    return drift[:-1]


def bounds_left(bounds: ExpertBounds, settled: IntArray) -> ExpertBounds:
    """Return the bounds for the core; a soft one that others exceed already leaves every unit at its price."""
    capacity = bounds.capacity - settled
    beyond = np.isfinite(bounds.overload)
    return replace(
        bounds,
        capacity=np.where(beyond, np.maximum(capacity, 0.0), capacity),
        demand=np.maximum(bounds.demand - settled, 0.0),
    )
