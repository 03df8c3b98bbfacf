"""Summarises raw rows into one standing per contender and instance: medians, the worst gap, or a reason."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.rows import Row, best_bounds, gap, latest

CORRECT = 1e-6
"""Relative gap up to which an answer counts as optimal; peers round the fitness to about six decimals."""


@dataclass(frozen=True)
class Standing:
    """The summary of one contender on one instance.

    Attributes
    ----------
    build, solve, backend, total
        Medians over the repeats in seconds; NaN without an answer. ``backend`` is part of ``solve``.
    slowest
        The longest solving time of the repeats, with or without an answer; NaN if there was no attempt.
    peak
        The largest peak of the repeats in MB; later repeats reuse memory of the first.
    resident, fitness
        The largest resident memory, and the size of the fitness, in MB; NaN in rows of earlier versions.
    yardstick
        ``total`` divided by the time of one ``fitness.argmax(axis=1)`` in the same process.
    gap
        The worst gap of the repeats, to the best bound of any contender; inf without an answer.
    outcome, reason, status
        Those of the last repeat; the outcome is "wrong" if an answer breaks a constraint.
    repeats
        Number of repeats with an answer.
    """

    instance: str
    family: str
    num_clients: int
    num_experts: int
    contender: str
    outcome: str
    reason: str
    status: str
    build: float
    solve: float
    backend: float
    total: float
    slowest: float
    yardstick: float
    peak: float
    resident: float
    fitness: float
    gap: float
    repeats: int

    @property
    def solved(self) -> bool:
        """Whether the answer is feasible and its gap is at most ``CORRECT``."""
        return self.outcome == "answered" and self.gap <= CORRECT


def standings(rows: Iterable[Row]) -> list[Standing]:
    """Summarise rows, in the order in which instances and contenders first appear."""
    kept = latest(rows)
    bounds = best_bounds(kept)
    groups: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    for found in kept:
        groups[found.instance, found.contender].append(found)
    return [_standing(group, bounds[instance]) for (instance, _), group in groups.items()]


def _standing(group: list[Row], bound: float) -> Standing:
    last = group[-1]
    answered = [found for found in group if found.outcome == "answered"]
    right = [found for found in answered if found.feasible]
    outcome = "wrong" if len(right) < len(answered) else last.outcome
    reason = next((found.reason for found in group if found.reason), "")
    total = _median(found.total_seconds for found in answered)
    return Standing(
        instance=last.instance,
        family=last.family,
        num_clients=last.num_clients,
        num_experts=last.num_experts,
        contender=last.contender,
        outcome=outcome,
        reason=reason,
        status=last.status,
        build=_median(found.build_seconds for found in answered),
        solve=_median(found.solve_seconds for found in answered),
        backend=_median(found.backend_seconds for found in answered),
        total=total,
        slowest=max((found.solve_seconds for found in group), default=math.nan),
        yardstick=total / _median(found.argmax_seconds for found in answered),
        peak=max((found.peak_mb for found in answered), default=math.nan),
        resident=max((found.resident_mb for found in answered), default=math.nan),
        fitness=last.fitness_mb,
        gap=max((gap(found, bound) for found in answered), default=math.inf),
        repeats=len(answered),
    )


def _median(values: Iterable[float]) -> float:
    found = list(values)
    return float(np.median(found)) if found else math.nan


def slopes(found: Iterable[Standing]) -> dict[tuple[str, int, str], float]:
    """Return (family, experts, contender) → slope of log seconds against log clients, for two or more sizes."""
    points: defaultdict[tuple[str, int, str], list[tuple[float, float]]] = defaultdict(list)
    for one in found:
        if one.outcome == "answered":
            key = one.family, one.num_experts, one.contender
            points[key].append((math.log(one.num_clients), math.log(one.total)))
    lines = {key: np.array(line) for key, line in points.items() if len({x for x, _ in line}) > 1}
    return {key: float(np.polyfit(line[:, 0], line[:, 1], 1)[0]) for key, line in lines.items()}


def profile(found: Iterable[Standing]) -> dict[str, list[float]]:
    """Return contender → ratios of its time to the fastest time, ascending, over the instances that it solved.

    The share of all instances with a ratio of at most τ is the performance profile at τ (Dolan and Moré, Mathematical
    Programming 91, 2002).
    """
    listed = list(found)
    best: dict[str, float] = {}
    for one in listed:
        if one.solved:
            best[one.instance] = min(one.total, best.get(one.instance, math.inf))
    ratios: dict[str, list[float]] = {one.contender: [] for one in listed}
    for one in listed:
        if one.solved:
            ratios[one.contender].append(one.total / best[one.instance])
    return {contender: sorted(values) for contender, values in ratios.items()}
