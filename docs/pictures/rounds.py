"""The rounds of ``price``, watched from outside: prices of growing samples, the core of a pass, cores of many sizes."""

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


@dataclass(frozen=True)
class Turn:
    """One round.

    Attributes
    ----------
    num_clients, core
        Of the sample, and of them those in the core.
    before, after
        (num_experts,) prices.
    window
        How far prices may drift.
    margins
        (num_clients,) by what each client's choice is the best under the prices before.
    loads, searches
        (num_experts,) under the prices before; paths that were searched.
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
    """Solve, and tell every round."""
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
    """Draw the prices that each sample ends with, and by how much they still change."""
    turns = watched(popular(LARGE))
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    size = [turn.num_clients for turn in turns]
    left.plot(size, [turn.after for turn in turns], marker="o", linewidth=1.0)
    left.set(xscale="log", title=f"prices of {EXPERTS} experts", xlabel="clients of the sample")
    drift = [np.ptp(turn.after - turn.before) for turn in turns]
    right.plot(size, drift, "o-", label="drift: how far prices moved apart")
    line = drift[1] * np.sqrt(size[1] / np.array(size[1:]))
    right.plot(size[1:], line, "--", color="gray", label="1/√clients")
    right.plot(size[2:], [turn.window for turn in turns[2:]], "s", label="window δ, chosen before")
    right.set(xscale="log", yscale="log", title="drift in a round", xlabel="clients of the sample")
    right.legend()
    return figure


def core() -> Figure:
    """Draw margins and window of the last round, and its loads before and after."""
    problem = popular(LARGE)
    turn = watched(problem)[-1]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    shown = np.linspace(0.0, 0.3, 121)
    counts, _, bars = left.hist(turn.margins, shown, color="C0")
    for edge, bar in zip(shown, bars, strict=False):
        bar.set_color("C1" if edge < turn.window else "C0")
    left.axvline(turn.window, color="black", linewidth=1.0)
    share = 100.0 * turn.core / turn.num_clients
    told = f" δ = {turn.window:.3f}\n core: {share:.0f} % of the clients"
    left.text(turn.window, 0.98 * counts.max(), told, va="top")
    left.set(title=f"margins of {LARGE:,} clients", xlabel="by what the best choice is the best")
    off = turn.loads - np.clip(turn.loads, problem.expert_demand, problem.expert_capacity)
    right.bar(np.arange(EXPERTS), off)
    right.set(title="loads beyond their bounds, before augmenting", xlabel="expert", ylabel="clients")
    return figure


def sizes() -> Figure:
    """Draw how window, core and searches grow with the number of clients."""
    numbers = [1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000]
    last = [watched(popular(number))[-1] for number in numbers]
    figure, (left, right) = plt.subplots(1, 2, figsize=(8.0, 3.0), layout="constrained")
    left.plot(numbers, [100.0 * turn.core / turn.num_clients for turn in last], "o-")
    left.set(xscale="log", ylim=(0, 105), title="core, % of the clients", xlabel="clients")
    right.plot(numbers, [turn.core for turn in last], "o-", label="clients in the core")
    right.plot(numbers, [turn.searches for turn in last], "s-", label="shortest paths searched")
    right.plot(numbers, numbers, "--", color="gray", label="all clients")
    right.set(xscale="log", yscale="log", title="last round", xlabel="clients")
    right.legend()
    return figure
