"""The rounds of ``price``, recorded while it runs: prices of growing samples, the core of a pass, cores by size."""

from dataclasses import dataclass
from typing import Any
from unittest import mock

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alignsolve import AlignmentProblem, Solution, solve
from alignsolve.numerics import FloatArray, IntArray
from alignsolve.solvers.price.solver import _Solution
from problems import FAMILIES

EXPERTS = 32
LARGE = 100_000
FLOOR = 1e-12
NUMBERS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
"""Clients in the picture of cores by size."""


@dataclass(frozen=True)
class Turn:
    """One round.

    Attributes
    ----------
    num_clients, core
        Number of clients in the sample, and in its core.
    before, after
        (num_experts,) prices.
    window
        How far prices may drift.
    margins
        (num_clients,) how much each client's choice beats the next best at the prices before.
    loads, searches
        (num_experts,) loads at the prices before; number of paths that were searched.
    """

    num_clients: int
    core: int
    before: FloatArray
    after: FloatArray
    window: float
    margins: FloatArray
    loads: IntArray
    searches: int


def watched(problem: AlignmentProblem, warm_start: Solution | None = None) -> list[Turn]:
    """Solve, and return every round."""
    turns = []
    play = _Solution._round

    def tell(solution: _Solution, sample: Any, slopes: Any, prices: Any, window: Any, **how: bool) -> Any:
        ended = play(solution, sample, slopes, prices, window, **how)
        turns.append(
            Turn(
                num_clients=sample.num_clients,
                core=len(ended.rows.client),
                before=prices.copy(),
                after=ended.prices.copy(),
                window=float(ended.window),
                margins=ended.priced.margins.copy(),
                loads=ended.priced.loads.copy(),
                searches=ended.searches,
            )
        )
        return ended

    with mock.patch.object(_Solution, "_round", tell):
        solve(problem, "price", warm_start=warm_start)
    return turns


def popular(num_clients: int) -> AlignmentProblem:
    """Every client wants the same few experts."""
    return FAMILIES["popular"](np.random.default_rng(0), num_clients=num_clients, num_experts=EXPERTS)


def samples() -> Figure:
    """Draw the final prices of each sample, how much they still change, and their bound for all clients."""
    problem = popular(LARGE)
    turns = watched(problem)
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.0, 3.0), layout="constrained")
    size = np.array([turn.num_clients for turn in turns])
    left.plot(size, [turn.after for turn in turns], marker="o", linewidth=1.0)
    left.set(title=f"prices of {EXPERTS} experts")
    drift = [np.ptp(turn.after - turn.before) for turn in turns]
    middle.plot(size, drift, "o-", label="drift")
    middle.plot(size[1:], drift[1] * np.sqrt(size[1] / size[1:]), "--", color="gray", label="1/√clients")
    middle.plot(size[2:], [turn.window for turn in turns[2:]], "s", label="window δ, chosen before")
    middle.set(yscale="log", title="how far prices moved apart")
    middle.legend()
    objective = float(solve(problem, "price").objective or 0.0)
    above = [problem.bound(turn.after) / objective - 1.0 for turn in turns]
    right.plot(size, np.maximum(above, FLOOR), "o-")
    right.text(0.8 * size[-1], FLOOR, "proven", ha="right")
    right.set(yscale="log", title="bound above the optimum")
    for axes in (left, middle, right):
        axes.set(xscale="log", xlabel="clients of the sample")
    return figure


def core() -> Figure:
    """Draw margins and window of the last round, and the loads before and after."""
    problem = popular(LARGE)
    turn = watched(problem)[-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    shown = np.linspace(0.0, 0.3, 121)
    counts, _, bars = left.hist(turn.margins, shown, color="C0")
    for edge, bar in zip(shown, bars, strict=False):
        bar.set_color("C1" if edge < turn.window else "C0")
    left.axvline(turn.window, color="black", linewidth=1.0)
    share = 100.0 * turn.core / turn.num_clients
    told = f"  δ = {turn.window:.3f}\n  core: {share:.0f} % of the clients"
    left.text(turn.window, counts.max(), told, va="top")
    left.set(title=f"margins of {LARGE:,} clients", xlabel="by what the best choice is the best")
    expert = np.arange(EXPERTS)
    least, most = problem.expert_demand, problem.expert_capacity
    right.bar(expert, most - least, bottom=least, width=1.0, color="C2", alpha=0.2, label="demand to capacity")
    right.plot(expert, turn.loads, "C1o", label="clients' choices")
    right.plot(expert, solve(problem, "price").loads, "k_", markersize=7, label="after augmenting")
    right.set(title="loads", xlabel="expert", ylim=(0.9 * least.min(), 1.2 * most.max()))
    right.legend(ncols=2, loc="upper center", fontsize=8)
    return figure


def sizes() -> Figure:
    """Draw how window, core and searches grow with the number of clients."""
    last = [watched(popular(number))[-1] for number in NUMBERS]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    left.plot(NUMBERS, [100.0 * turn.core / turn.num_clients for turn in last], "o-")
    left.set(xscale="log", ylim=(0, 105), title="core, % of the clients", xlabel="clients")
    right.plot(NUMBERS, [turn.core for turn in last], "o-", label="clients in the core")
    right.plot(NUMBERS, [turn.searches for turn in last], "s-", label="shortest paths searched")
    right.plot(NUMBERS, NUMBERS, "--", color="gray", label="all clients")
    right.set(xscale="log", yscale="log", title="last round", xlabel="clients")
    right.legend()
    return figure
