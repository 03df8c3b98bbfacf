"""From raw rows to one standing per contender and instance: medians, the worst gap, or why there is no answer."""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from benchmarks.rows import Row, best_bounds, gap, latest

CORRECT = 1e-6
"""Relative gap up to which an answer counts as optimal in profiles: peers round fitness to about six decimals."""


@dataclass(frozen=True)
class Standing:
    """One contender at one instance.

    Attributes
    ----------
    build, solve, backend, total
        Medians over the repeats in seconds; NaN without an answer. ``backend`` is a part of ``solve``.
    slowest
        The longest ``solve`` of the repeats, with or without an answer; NaN if there was no attempt.
    peak
        The most over the repeats in MB: later ones reuse what the first left behind.
    resident, fitness
        The most resident memory in all, and the size of the fitness, in MB; NaN in rows that do not tell.
    yardstick
        ``total`` in units of one ``fitness.argmax(axis=1)`` of the same process.
    gap
        The worst over the repeats, against the best bound that anybody proved for the instance; inf without an answer.
    outcome, reason, status
        Of the last repeat; "wrong" where an answer breaks a constraint.
    repeats
        How many there are.
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
        """Whether the answer is feasible and its gap is that of rounding at most."""
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
    """(family, experts, contender) → slope of log total against log clients, where two sizes or more were answered."""
    points: defaultdict[tuple[str, int, str], list[tuple[float, float]]] = defaultdict(list)
    for one in found:
        if one.outcome == "answered":
            key = one.family, one.num_experts, one.contender
            points[key].append((math.log(one.num_clients), math.log(one.total)))
    lines = {key: np.array(line) for key, line in points.items() if len({x for x, _ in line}) > 1}
    return {key: float(np.polyfit(line[:, 0], line[:, 1], 1)[0]) for key, line in lines.items()}


def profile(found: Iterable[Standing]) -> dict[str, list[float]]:
    """Dolan–Moré: contender → its time over the instance's best, ascending, for every instance that it solved.

    The share of all instances with a ratio up to τ is the profile at τ; see Dolan & Moré, Math. Program. 91 (2002).
    """
    everybody = list(found)
    best: dict[str, float] = {}
    for one in everybody:
        if one.solved:
            best[one.instance] = min(one.total, best.get(one.instance, math.inf))
    ratios: dict[str, list[float]] = {one.contender: [] for one in everybody}
    for one in everybody:
        if one.solved:
            ratios[one.contender].append(one.total / best[one.instance])
    return {contender: sorted(values) for contender, values in ratios.items()}
