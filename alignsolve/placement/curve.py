"""``trade_off``: what a smaller largest time costs in moved weights, up to the best placement known."""

import math
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.front import from_nothing, read_request, warm_points
from alignsolve.placement.layer_search import Effort
from alignsolve.placement.placement import Placement
from alignsolve.placement.request import Fleet, read_moved_cost
from alignsolve.placement.warm import Point


@dataclass(frozen=True, eq=False, repr=False)
class TradeOff:
    """A curve: the more is moved, the smaller the largest time.

    Attributes
    ----------
    moved
        (num_points,): weight that is moved in all layers together, rising.
    largest
        (num_points,): the largest time, summed over the layers, falling.
    points
        The placements of each layer.
    chosen
        (num_points, num_layers): which placement of each layer makes a point.
    request
        Loads, GPUs, the current placement, and whether there is a layer axis.
    bounds
        (num_layers,): no placement has a smaller largest time.
    """

    moved: FloatArray
    largest: FloatArray
    points: list[list[Point]]
    chosen: IntArray
    request: tuple[FloatArray, Fleet, BoolArray, bool]
    bounds: FloatArray

    def __len__(self) -> int:
        return len(self.moved)

    def __repr__(self) -> str:
        return f"TradeOff({len(self)} points, moved {self.moved[0]:g} to {self.moved[-1]:g})"

    def at(self, index: int) -> Placement:
        """Return the placement of a point."""
        copies = np.stack([own[k].copies for own, k in zip(self.points, self.chosen[index].tolist(), strict=True)])
        loads, fleet, before, layered = self.request
        return Placement(loads, fleet, copies, self.bounds, before, layered)

    def within(self, share: float) -> Placement:
        """Return the placement that moves least with at most this share more largest time than the best one.

        Examples
        --------
        >>> from alignsolve.placement import place, trade_off
        >>> before = place([4, 3, 2, 1], num_gpus=2, slots=2)
        >>> curve = trade_off([1, 2, 3, 4], 2, 2, before)
        >>> curve.within(0.0).largest, curve.within(9.0).moved
        (5.0, 0)
        """
        return self.at(int(np.argmax(self.largest <= self.largest[-1] * (1 + share))))


def trade_off(
    loads: Any,
    num_gpus: int,
    slots: Any,
    current: Any,
    *,
    expert_bytes: Any = 1.0,
    speed: Any = None,
    gpu_node: Any = None,
    expert_group: Any = None,
    gap: float = 1e-4,
    rounds: int = 100,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> TradeOff:
    """Show what moving less costs, and what moving more wins.

    The curve of one layer has every placement that was found and that no other one beats in both respects. With several
    layers, the step that wins most per byte comes first, whichever layer it is in.

    Parameters
    ----------
    loads, num_gpus, slots, current, speed, gpu_node, expert_group, gap, rounds, time_limit, seed, threads
        As in :func:`place`.
    expert_bytes
        Scalar or (num_experts,): weight of a copy. Default: 1, so that copies are counted.

    Returns
    -------
    TradeOff
        Its first point moves nothing, if the current placement has every expert. Its last point is as good as
        :func:`place` with no cost of moving.

    Raises
    ------
    ValueError
        As in :func:`place`.
    """
    until = time.perf_counter() + (math.inf if time_limit is None else time_limit)
    effort = Effort(gap, rounds, seed, threads, until)
    if current is None:
        raise ValueError("current is None; a trade-off needs the current placement, place() does not")
    values, fleet, before, _ = read_request(loads, num_gpus, slots, speed, gpu_node, expert_group, current, 0.0)
    assert before is not None
    weight = read_moved_cost(expert_bytes, values.shape[1], "expert_bytes")
    searches, fresh, bounds = from_nothing(values, fleet, effort)
    points = warm_points(searches, fresh, before, weight, effort)
    if len(points) > 1:
        points = [_hull(own) for own in points]
    chosen = _merged(points)
    moved, largest = (
        np.array([math.fsum(points[n][k][column] for n, k in enumerate(row)) for row in chosen.tolist()])
        for column in (0, 1)
    )
    return TradeOff(moved, largest, points, chosen, (values, fleet, before, np.ndim(loads) == 2), bounds)


def _hull(points: list[Point]) -> list[Point]:
    """Return the points of one layer whose steps win less and less per weight."""
    hull: list[Point] = []
    for point in points:
        while len(hull) > 1 and _gain(hull[-2], hull[-1]) <= _gain(hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _gain(first: Point, second: Point) -> float:
    """Return the time that a step wins per weight."""
    return (first.largest - second.largest) / (second.moved - first.moved)


def _merged(points: list[list[Point]]) -> IntArray:
    """Return which placement of each layer makes each point of the curve: the steps of all layers, the best first."""
    steps = [(-_gain(own[k], own[k + 1]), layer, k) for layer, own in enumerate(points) for k in range(len(own) - 1)]
    if len(points) > 1:
        steps.sort()
    chosen = np.zeros((len(steps) + 1, len(points)), dtype=np.int64)
    for row, (_, layer, k) in enumerate(steps, 1):
        chosen[row] = chosen[row - 1]
        chosen[row, layer] = k + 1
    return chosen
