"""The level method: prices with a low bound from few passes over the clients, so that a heuristic's gap is known.

The bound is a convex function of num_experts prices. A pass over the clients gives its value and a subgradient: the
load that the experts' bounds want minus the load that they get. All subgradients so far make a piecewise linear model
from below. Each iteration:

1. Choose a *level* between the best bound so far and a target, which is the objective of the alignment at hand.
2. Go to the nearest prices at which the model is below the level (:mod:`.level_projection`).
3. If the model has no such prices, the target was too low and is raised.

With many clients the first passes see a sample of them, scaled up.

Source: C. Lemaréchal, A. Nemirovskii and Y. Nesterov, New variants of bundle methods, Mathematical Programming 69
(1995).
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.data.expert_sets import ExpertSets, Prices
from alignsolve.numerics import FloatArray, Number
from alignsolve.problem import AlignmentProblem
from alignsolve.runtime.interruptible import late
from alignsolve.subproblem.dispatch import Demand

SAMPLE_ENTRIES = 1 << 17
"""Pairs of the sample that the first passes see."""
SAMPLE_ROWS_WITH_BUDGETS = 512
"""Clients of the sample if clients have budgets: then each one is a knapsack."""
LAST_SHARE = 4
"""If there is a sample, the last passes see all clients: one pass in this number."""
DEPTH = 0.5
"""Position of the level between the best bound (0) and the target (1)."""
FIRST_GAP = 0.05
"""Without a target: this share of the first bound below it."""
TOO_LOW = 0.25
"""A level that is missed by more than this share of the step is out of reach."""
PATIENCE, PROGRESS = 8, 0.02
"""The search ends if ``PATIENCE`` passes brought the best bound nearer to the target by less than this share."""
SETTLED = 1e-10
"""The search ends when the target is this close to the best bound, relatively."""


@dataclass(frozen=True)
class FoundPrices:
    """The result of a search.

    Attributes
    ----------
    prices
        (num_experts,) the best prices seen; where experts are in sets, (num_experts + num_sets,): what clients pay for
        each expert, and then the prices of the sets.
    passes
        Passes over all clients or over the sample.
    """

    prices: FloatArray
    passes: int


class HasBounds(Protocol):
    """A problem, or what stands for one: the bounds that prices are for."""

    @property
    def experts(self) -> ExpertBounds:
        """Bounds and penalties, one entry for each price."""
        ...


class DemandOracle(Protocol):
    """Clients, or a model of them, that answer prices with their demand: a first-order oracle of the bound."""

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the clients' optima under the prices, and their loads, (num_experts,)."""
        ...


def prices_by_level_method(
    problem: AlignmentProblem,
    *,
    target: Number | None = None,
    start: FloatArray | None = None,
    passes: int = 60,
    deadline: float = math.inf,
) -> Iterator[FoundPrices]:
    """Search prices with a low bound; yield first what a sample of the clients gave, then what all of them gave.

    Parameters
    ----------
    problem
        Of either class.
    target
        The objective of an alignment, below which no bound can be; None if there is none.
    start
        (num_experts,) prices to start from, or (num_experts + num_sets,); None: 0.
    passes
        Most passes over all clients or over the sample, together.
    deadline
        On the clock of :func:`time.monotonic`; looked at before each pass.

    Yields
    ------
    FoundPrices
        The best prices so far; the start where nothing was better.
    """
    given = Prices.projected(problem, np.zeros(problem.num_experts) if start is None else start)
    bounded, prices = _Bounded(_all_bounds(problem)), np.append(given.own, given.sets)
    if passes <= 0 or not problem.num_clients or np.isneginf(bounded.experts.conjugate(prices)).any():
        yield FoundPrices(given.joint, 0)
        return
    stride = _stride(problem)
    used = 0
    if stride > 1:
        sample = _clients(problem, stride)
        prices, used = minimise_bound(bounded, sample, prices, None, passes - passes // LAST_SHARE, deadline)
        yield FoundPrices(_joint(problem, prices), used)
    prices, more = minimise_bound(bounded, _clients(problem, 1), prices, target, passes - used, deadline)
    yield FoundPrices(_joint(problem, prices), used + more)


class _Bounded(NamedTuple):
    """Experts and sets alike, each with a price of its own."""

    experts: ExpertBounds


def _all_bounds(problem: AlignmentProblem) -> ExpertBounds:
    """The bounds of the experts and, behind them, of the sets."""
    if problem.sets is None:
        return problem.experts
    own, shared = problem.experts, problem.sets.bounds
    return ExpertBounds(
        capacity=np.append(own.capacity, shared.capacity),
        demand=np.append(own.demand, shared.demand),
        overload=np.append(own.overload, shared.overload),
        shortfall=np.append(own.shortfall, shared.shortfall),
        unit_loads=own.unit_loads,
    )


def _joint(problem: AlignmentProblem, own: FloatArray) -> FloatArray:
    """What clients pay, and then the prices of sets, from the own prices of experts and those of sets."""
    if problem.sets is None:
        return own
    of_sets = own[problem.num_experts :]
    return np.append(own[: problem.num_experts] + problem.sets.around(of_sets), of_sets)


def _clients(problem: AlignmentProblem, stride: int) -> DemandOracle:
    """The clients, or a sample of them; where experts are in sets, they answer all own prices."""
    clients = ClientSample(problem, stride)
    return clients if problem.sets is None else _InSets(clients, problem.sets)


@dataclass(frozen=True)
class _InSets:
    """Clients that pay for an expert its own price and those of the sets around it."""

    clients: DemandOracle
    sets: ExpertSets

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the clients' optima under the prices, and the loads of experts and of sets."""
        num_experts = self.sets.members.shape[1]
        total, loads = self.clients.respond(prices[:num_experts] + self.sets.around(prices[num_experts:]))
        return total, np.append(loads, self.sets.members @ loads)


def _stride(problem: AlignmentProblem) -> int:
    """Sampling stride; 1 if there are few enough clients to see all of them in each pass."""
    rows = max(1, SAMPLE_ENTRIES // max(1, problem.num_experts))
    if problem.client_budget is not None:
        rows = min(rows, SAMPLE_ROWS_WITH_BUDGETS)
    return 1 if problem.num_clients < 4 * rows else problem.num_clients // rows


def minimise_bound(
    problem: HasBounds,
    clients: DemandOracle,
    start: FloatArray,
    target: Number | None,
    passes: int,
    deadline: float,
    first_gap: float = FIRST_GAP,
    settled: float = SETTLED,
) -> tuple[FloatArray, int]:
    """Minimise the bound by the level method, from the given prices.

    Parameters
    ----------
    problem
        Its experts decide the box of the prices, and their own term of the bound.
    clients
        The clients' term of the bound.
    start
        (num_experts,) prices.
    target
        No bound is below it; None if nothing is known.
    passes
        Most passes over the clients.
    deadline
        On the clock of :func:`time.monotonic`; looked at before each pass.
    first_gap
        Without a target: by what share of the first bound it is expected to fall.
    settled
        Relative distance of best bound and target at which the search ends.

    Returns
    -------
    prices, passes
        (num_experts,) the best prices seen, and the passes made.
    """
    from alignsolve.solvers.common.level_projection import nearest  # noqa: PLC0415  (loads numba)

    anything = np.full(len(start), np.inf)
    lower, upper = problem.experts.project(-anything), problem.experts.project(anything)
    best, lowest, here, guess = start, math.inf, start, math.inf
    low = -math.inf if target is None else float(target)
    slopes, offsets, history = np.empty((passes, len(start))), np.empty(passes), np.empty(passes)
    for used in range(passes):
        if late(deadline):
            return best, used
        # One pass: a value and a subgradient are one more piece of the model.
        value, slope = bound_at(problem, clients, here)
        slopes[used], offsets[used] = slope, value - slope @ here
        if value < lowest:
            best, lowest = here, value
        if target is None:
            guess = first_gap * abs(lowest) if math.isinf(guess) else guess
            low = lowest - guess
        history[used] = lowest
        if not slope.any() or lowest - low <= settled * abs(lowest) or _stalled(history[: used + 1], target):
            return best, used + 1
        # Steps 1 and 2: the nearest prices where the model is below the level.
        level = lowest - DEPTH * (lowest - low)
        cuts = slice(0, used + 1)
        here, missed = nearest(slopes[cuts], offsets[cuts], level, best, lower, upper)
        # Step 3: the level is out of reach.
        if missed > TOO_LOW * (lowest - level):
            low, guess = level, DEPTH * guess
    return best, passes


def _stalled(history: FloatArray, target: Number | None) -> bool:
    """Whether the best bound has all but ceased to fall, measured by its distance to the target."""
    if target is None or len(history) <= PATIENCE:
        return False
    return bool(history[-PATIENCE - 1] - history[-1] <= PROGRESS * (history[-1] - target))


def bound_at(problem: HasBounds, clients: DemandOracle, prices: FloatArray) -> tuple[float, FloatArray]:
    """Return the bound and a subgradient: the loads that the experts want at these prices minus the loads they get."""
    bounds = problem.experts
    total, loads = clients.respond(prices)
    points = bounds.breakpoints
    with np.errstate(invalid="ignore"):
        worth = np.stack([prices * row - bounds.penalty(row) for row in points])
    worth[np.isnan(worth)] = -np.inf
    reach = worth.max(axis=0)
    tied = worth >= reach - 1e-12 * np.abs(reach)
    least, most = np.where(tied, points, np.inf).min(axis=0), np.where(tied, points, -np.inf).max(axis=0)
    # A price at 0 of an unbounded expert is at the end of its box: it pays for any load beyond.
    most = np.where((prices == 0.0) & np.isinf(bounds.capacity), np.inf, most)
    wanted = np.clip(loads, least, most)
    return float(reach.sum()) + total, wanted - loads


class ClientSample:
    """All clients, or every ``stride``-th, and their demand under prices, scaled up to all clients."""

    def __init__(self, problem: AlignmentProblem, stride: int = 1) -> None:
        self.problem = problem
        self.stride = stride
        self.scale = problem.num_clients / max(1, len(range(0, problem.num_clients, stride)))
        block = problem.block(0, problem.num_clients)
        self.block = block if stride == 1 else block.pick(slice(None, None, stride))
        self.demand = Demand(self.block)

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """Return the sum of the clients' optima under the prices, and their loads, (num_experts,)."""
        total, loads = self.demand.respond(prices)
        return total * self.scale, loads * self.scale
