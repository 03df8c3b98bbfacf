"""Bound and incumbent of ``lagrangian`` over time, on clients with a budget of bytes and one of seconds."""

import math
import time
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alignsolve import Progress, solve
from alignsolve.solvers.common import level_method
from alignsolve.solvers.lagrangian import Lagrangian
from alignsolve.solvers.lagrangian import multigrid as pricing
from alignsolve.solvers.lagrangian.newton import Descent
from problems import FAMILIES

EXPERTS = 32
FLOOR = 1e-8


@dataclass
class Watched:
    """One search: (seconds, bound) of a sample and of all clients, (seconds, objective), and the last bound."""

    sample: list[tuple[float, float]] = field(default_factory=list)
    everyone: list[tuple[float, float]] = field(default_factory=list)
    incumbents: list[tuple[float, float]] = field(default_factory=list)
    bound: float = math.inf


def search() -> Figure:
    """Draw every bound that was computed and every better alignment, by their distance to the last bound."""
    figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.2), layout="constrained", sharey=True)
    for axes, num_clients in zip(panels, (10_000, 1_000), strict=True):
        watched(num_clients)  # compiles
        draw_search(axes, watched(num_clients))
        axes.set(title=f"{num_clients:,} clients × {EXPERTS} experts, two budgets each")
    panels[0].set(ylabel="distance to the last bound, relative")
    panels[0].legend()
    return figure


def draw_search(axes: Axes, seen: Watched) -> None:
    """Draw one search."""
    for points, style, label in (
        (seen.sample, "C0.", "bound, of a sample"),
        (seen.everyone, "C3.", "bound, of all clients"),
        (seen.incumbents, "C2s-", "incumbent"),
    ):
        seconds, values = np.array(points).reshape(-1, 2).T
        distance = np.maximum(np.abs(values / seen.bound - 1.0), FLOOR)
        axes.plot(seconds, distance, style, label=label, drawstyle="steps-post")
    axes.set(yscale="log", xlabel="seconds")


def watched(num_clients: int) -> Watched:
    """Solve, and record every bound and every better alignment."""
    problem = FAMILIES["budgets"](np.random.default_rng(0), num_clients=num_clients, num_experts=EXPERTS)
    found, started = Watched(), time.monotonic()
    evaluate, judge = level_method.bound_at, Descent.judge

    def tell(clients: Any, bound: float) -> None:
        some = clients.num_clients < num_clients
        (found.sample if some else found.everyone).append((time.monotonic() - started, bound))

    def tell_bound(problem: Any, clients: Any, prices: Any) -> Any:
        told = evaluate(problem, clients, prices)
        tell(getattr(clients, "clients", clients), told[0])
        return told

    def tell_step(descent: Descent, here: Any, total: float, *others: Any) -> bool:
        tell(descent.clients, total + descent._own(here))
        return judge(descent, here, total, *others)

    def tell_alignment(step: Progress) -> None:
        if math.isfinite(step.objective):
            found.incumbents.append((time.monotonic() - started, step.objective))

    with (
        mock.patch.object(level_method, "bound_at", tell_bound),
        mock.patch.object(pricing, "bound_at", tell_bound),
        mock.patch.object(Descent, "judge", tell_step),
    ):
        found.bound = solve(problem, Lagrangian(core_pairs=0), progress=tell_alignment).bound
    return found
