"""``place``: the front door. It reads what is asked, searches each layer, and returns what it can prove."""

import math
import time
from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.placement.groups import homes_of
from alignsolve.placement.layer_search import Effort, LayerSearch
from alignsolve.placement.placement import Placement
from alignsolve.placement.request import Fleet, read_current, read_fleet, read_loads, read_moved_cost
from alignsolve.placement.start import greedy_start
from alignsolve.placement.warm import Point, points_of
from alignsolve.runtime.threads import map_in_order


def place(
    loads: Any,
    num_gpus: int,
    slots: Any,
    *,
    speed: Any = None,
    gpu_node: Any = None,
    expert_group: Any = None,
    current: Any = None,
    moved_cost: Any = 0.0,
    gap: float = 1e-4,
    rounds: int = 100,
    time_limit: float | None = None,
    seed: int = 0,
    threads: int | None = None,
) -> Placement:
    """Decide which GPU holds which experts, and how often, so that the slowest GPU is as fast as can be.

    Every expert has one copy or more, at most one on a GPU. Its load is split evenly over its copies, as serving
    systems do. The time of a GPU is its load over its speed, and the largest time of a layer is made small. Slots may
    stay empty where no further copy helps.

    Parameters
    ----------
    loads
        (num_experts,), or (num_layers, num_experts): load of each expert, such as its tokens per second.
    num_gpus
        Number of GPUs.
    slots
        Scalar or (num_gpus,): how many experts fit on a GPU in one layer.
    speed
        Scalar or (num_gpus,): load that a GPU serves per unit of time. Default: 1.
    gpu_node, expert_group
        Nodes of GPUs and groups of experts, given together: all copies of a group's experts are on one node. Each is a
        number of equal consecutive parts, or a label for each GPU or expert.
    current
        The current placement: a :class:`Placement` or bools (num_gpus, num_experts), with a leading layer axis where
        loads have one. The search begins there too, and what is moved is counted.
    moved_cost
        Scalar or (num_experts,): the largest time that a layer must win for each copy that it moves.
        With 0 the smallest largest time wins, and then the fewest moves.
    gap
        The search in a layer stops at a placement this close to the bound, relatively.
    rounds
        How often the search in a layer disturbs its placement and improves it again.
    time_limit
        Seconds; None: no limit. A greedy placement of all layers is made in any case.
    seed
        Of all random choices. Results do not depend on the number of threads, unless a time limit stops the search.
    threads
        Layers that are searched at once. Default: one per core.

    Returns
    -------
    Placement
        With a bound for each layer.

    Raises
    ------
    ValueError
        If an argument has a wrong shape or value, the experts do not fit into the slots, or the groups do not fit into
        the nodes; the message names the field, the layer, the GPU or the expert.

    Examples
    --------
    >>> placed = place([9, 3, 3, 3], num_gpus=2, slots=3)
    >>> placed.largest, placed.gap < 1e-9, placed.counts
    (9.0, True, array([2, 2, 1, 1]))
    """
    until = time.perf_counter() + (math.inf if time_limit is None else time_limit)
    effort = Effort(gap, rounds, seed, threads, until)
    values, fleet, before, cost = read_request(
        loads, num_gpus, slots, speed, gpu_node, expert_group, current, moved_cost
    )
    searches, copies, bounds = from_nothing(values, fleet, effort)
    if before is not None:
        choices = warm_points(searches, copies, before, cost if cost.any() else np.ones_like(cost), effort)
        best = [min(points, key=lambda point: _worth(point, 1.0 if cost.any() else 0.0)) for points in choices]
        copies = np.stack([point.copies for point in best])
    return Placement(values, fleet, copies, bounds, before, np.ndim(loads) == 2)


def _worth(point: Point, price: float) -> tuple[float, float]:
    return point.largest + price * point.moved, point.moved


def read_request(
    loads: Any, num_gpus: Any, slots: Any, speed: Any, gpu_node: Any, expert_group: Any, current: Any, cost: Any
) -> tuple[FloatArray, Fleet, BoolArray | None, FloatArray]:
    """Read loads, GPUs, the current placement and what moving costs."""
    values = read_loads(loads)
    num_layers, num_experts = values.shape
    fleet = read_fleet(num_experts, num_gpus, slots, speed, gpu_node, expert_group)
    before = None
    if current is not None:
        before = read_current(current, (num_layers, fleet.num_gpus, num_experts), fleet.slots)
    return values, fleet, before, read_moved_cost(cost, num_experts)


def from_nothing(values: FloatArray, fleet: Fleet, effort: Effort) -> tuple[list[LayerSearch], BoolArray, FloatArray]:
    """Return the search of each layer, the best placement found without the current one, and the bounds."""
    homes: list[tuple[IntArray, float]] = [homes_of(row, fleet, effort.gap) for row in values]
    home, bounds = np.stack([home for home, _ in homes]), np.array([bound for _, bound in homes])
    start, _ = greedy_start(values, fleet, home)
    mark = greedy_start(values, fleet, home, twice=True)[1].max(axis=1)  # of a rule that a user may come from
    enough = np.minimum(bounds * (1 + effort.gap), np.maximum(mark, bounds)).tolist()
    searches = [
        LayerSearch(number, row, home[number], fleet, enough[number], effort) for number, row in enumerate(values)
    ]
    found = map_in_order(lambda search: search.improved(start[search.number]), searches, effort.threads)
    return searches, np.stack(list(found)), bounds


def warm_points(
    searches: list[LayerSearch], fresh: BoolArray, current: BoolArray, weight: FloatArray, effort: Effort
) -> list[list[Point]]:
    """Return the points of each layer, from moving least to the best placement that is known."""

    def points(search: LayerSearch) -> list[Point]:
        return points_of(search, current[search.number], fresh[search.number], weight)

    return list(map_in_order(points, searches, effort.threads))
