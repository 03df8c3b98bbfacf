"""Prices for an alignment found without any: few passes over the clients, so that a heuristic's gap is known.

The bound is a convex function of num_experts prices; a pass over the clients gives its value and a slope, the load
that the experts' bounds would have minus the load that they get. All slopes seen make a model from below. A level
method (Lemaréchal, Nemirovskii, Nesterov: Mathematical Programming 69, 1995) goes to the nearest prices at which the
model promises part of the way from the best bound down to a target, here the objective of the alignment at hand; where
the model rules such prices out, the target was too low and is raised. With many clients the first passes see a sample
of them, every so-manieth, scaled up.
"""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import FloatArray, Number
from alignsolve.problem import AlignmentProblem
from alignsolve.subproblem.row import best_rows

SAMPLE_ENTRIES = 1 << 17
"""Pairs of the sample that the first passes see."""
SAMPLE_ROWS_WITH_BUDGETS = 512
"""ClientSample of the sample where every one of them is a knapsack."""
LAST_SHARE = 4
"""One in so many passes sees all clients, where there is a sample."""
DEPTH = 0.5
"""How far of the way from the best bound to the target a step tries to go."""
FIRST_GAP = 0.05
"""Where there is no target, this share of the first bound below it."""
TOO_LOW = 0.25
"""A level missed by more than this share of the step is held to be out of reach."""
PATIENCE, PROGRESS = 8, 0.02
"""The search ends when so many passes brought the best bound nearer to the target by less than this share."""
SETTLED = 1e-10
"""The search ends when the target is this close to the best bound, relatively."""


@dataclass(frozen=True)
class FoundPrices:
    """What the search found.

    Attributes
    ----------
    prices
        (num_experts,) the best prices seen.
    passes
        Passes over all clients, or over the sample.
    """

    prices: FloatArray
    passes: int


class DemandOracle(Protocol):
    """ClientSample, or whoever answers for them."""

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """Sum of their optima under the prices, and their loads, (num_experts,)."""
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
        (num_experts,) prices to start from; None: 0.
    passes
        Most passes over all clients or over the sample, together.
    deadline
        On the clock of :func:`time.monotonic`; looked at before each pass.

    Yields
    ------
    FoundPrices
        The best prices so far; the start where nothing was better.
    """
    prices = problem.experts.project(np.zeros(problem.num_experts) if start is None else start)
    if passes <= 0 or not problem.num_clients or np.isneginf(problem.experts.conjugate(prices)).any():
        yield FoundPrices(prices, 0)
        return
    stride = _stride(problem)
    used = 0
    if stride > 1:
        sample = ClientSample(problem, stride)
        prices, used = minimise_bound(problem, sample, prices, None, passes - passes // LAST_SHARE, deadline)
        yield FoundPrices(prices, used)
    prices, more = minimise_bound(problem, ClientSample(problem, 1), prices, target, passes - used, deadline)
    yield FoundPrices(prices, used + more)


def _stride(problem: AlignmentProblem) -> int:
    """Every how-manieth client is in the sample; 1 where all are few enough to be seen each time."""
    rows = max(1, SAMPLE_ENTRIES // max(1, problem.num_experts))
    if problem.client_budget is not None:
        rows = min(rows, SAMPLE_ROWS_WITH_BUDGETS)
    return 1 if problem.num_clients < 4 * rows else problem.num_clients // rows


def minimise_bound(
    problem: AlignmentProblem,
    clients: DemandOracle,
    start: FloatArray,
    target: Number | None,
    passes: int,
    deadline: float,
    first_gap: float = FIRST_GAP,
    settled: float = SETTLED,
) -> tuple[FloatArray, int]:
    """Level method from the given prices; the best prices seen, and the passes made."""
    from alignsolve.solvers.common.level_projection import nearest  # noqa: PLC0415  (loads numba)

    anything = np.full(len(start), np.inf)
    lower, upper = problem.experts.project(-anything), problem.experts.project(anything)
    best, lowest, here, guess = start, math.inf, start, math.inf
    low = -math.inf if target is None else float(target)
    slopes, offsets, history = np.empty((passes, len(start))), np.empty(passes), np.empty(passes)
    for used in range(passes):
        if time.monotonic() >= deadline:
            return best, used
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
        level = lowest - DEPTH * (lowest - low)
        cuts = slice(0, used + 1)
        here, missed = nearest(slopes[cuts], offsets[cuts], level, best, lower, upper)
        if missed > TOO_LOW * (lowest - level):
            low, guess = level, DEPTH * guess
    return best, passes


def _stalled(history: FloatArray, target: Number | None) -> bool:
    """Whether the best bounds so far have all but ceased to fall, measured by what is left to the target."""
    if target is None or len(history) <= PATIENCE:
        return False
    return bool(history[-PATIENCE - 1] - history[-1] <= PROGRESS * (history[-1] - target))


def bound_at(problem: AlignmentProblem, clients: DemandOracle, prices: FloatArray) -> tuple[float, FloatArray]:
    """The bound and one of its slopes: the load that the experts would have at these prices minus what they get."""
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
    """All clients, or every so-manieth, and what they do under prices, scaled up to all."""

    def __init__(self, problem: AlignmentProblem, stride: int = 1) -> None:
        self.problem = problem
        self.stride = stride
        self.scale = problem.num_clients / max(1, len(range(0, problem.num_clients, stride)))
        block = problem.block(0, problem.num_clients)
        self.block = block if stride == 1 else block.pick(slice(None, None, stride))
        self.layout = layout(self.block) if block.budget is None else None

    def respond(self, prices: FloatArray) -> tuple[float, FloatArray]:
        """Sum of the clients' optima under the prices, and their loads, (num_experts,)."""
        loads = np.zeros(self.problem.num_experts)
        if self.layout is not None:
            from alignsolve.subproblem.client_demand import respond  # noqa: PLC0415  (loads numba)

            return respond(
                *self.layout, prices, loads, np.zeros((0, 0), dtype=np.bool_)
            ) * self.scale, loads * self.scale
        optima = best_rows(self.block, prices, choose=True)
        assert optima.chosen is not None
        load = 1.0 if self.block.load is None else self.block.load
        loads = np.where(optima.chosen, load, 0.0).sum(axis=0)
        return float(optima.value.sum()) * self.scale, loads * self.scale


def layout(block: ClientBlock) -> tuple[Any, ...]:
    """Lay a block out for compiled code: contiguous arrays of one type, (0, 0) where there is none."""

    def owned(values: Any, dtype: Any) -> Any:
        return np.require(np.zeros((0, 0)) if values is None else values, dtype=dtype, requirements=["C", "W"])

    group = np.zeros(block.num_experts, dtype=np.int64) if block.group is None else block.group
    return (
        owned(block.value, np.float64),
        owned(block.allowed, np.bool_),
        owned(block.required, np.bool_),
        owned(block.load, np.float64),
        owned(block.capacity, np.int64),
        owned(block.demand, np.int64),
        owned(group, np.int64),
        owned(block.group_capacity, np.int64),
        owned(block.group_demand, np.int64),
    )
