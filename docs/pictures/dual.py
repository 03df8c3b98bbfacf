"""The dual function of one expert's price: kinks for a few clients, a smooth curve for many."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from alignsolve import AlignmentProblem, solve
from alignsolve.numerics import FloatArray

PRICES = np.linspace(0.0, 1.2, 241)


def dual() -> Figure:
    """Draw the bound and its slope over a price for 12 clients, and the bound per client for more and more clients."""
    figure, (few, slope, many) = plt.subplots(1, 3, figsize=(10.0, 3.0), layout="constrained")
    problem = two_experts(12)
    draw_bound(few, problem)
    draw_load(slope, problem)
    for num_clients in (4, 12, 100, 10_000):
        many.plot(PRICES, bounds(two_experts(num_clients)) / num_clients, label=f"{num_clients:,} clients")
    many.set(title="bound per client", xlabel="price of expert 0")
    many.legend()
    return figure


def two_experts(num_clients: int) -> AlignmentProblem:
    """Make clients that take one expert each; most prefer expert 0, which can hold a third of them."""
    fitness = np.random.default_rng(5).random((num_clients, 2))
    fitness[:, 0] += 0.5
    return AlignmentProblem(fitness, client_demand=1, expert_capacity=[num_clients // 3, np.inf])


def bounds(problem: AlignmentProblem) -> FloatArray:
    """Evaluate the bound over the prices of expert 0, the other's being 0."""
    return np.array([problem.bound([price, 0.0]) for price in PRICES])


def draw_bound(axes: Axes, problem: AlignmentProblem) -> None:
    """Draw the bound, its kinks, and the best objective."""
    kinks = np.sort(problem.fitness[:, 0] - problem.fitness[:, 1])
    kinks = kinks[(kinks > 0.0) & (kinks < PRICES[-1])]
    axes.plot(PRICES, bounds(problem), label="bound(p)")
    axes.plot(kinks, [problem.bound([kink, 0.0]) for kink in kinks], "o", label="kinks")
    axes.axhline(solve(problem).objective or 0.0, color="C2", linestyle="--", label="best alignment")
    axes.set(title="bound, 12 clients", xlabel="price of expert 0")
    axes.legend()


def draw_load(axes: Axes, problem: AlignmentProblem) -> None:
    """Draw how many clients choose expert 0 at a price, and its capacity."""
    gain = problem.fitness[:, 0] - problem.fitness[:, 1]
    axes.step(PRICES, [(gain > price).sum() for price in PRICES], label="load = clients who choose it")
    axes.axhline(problem.expert_capacity[0], color="C2", linestyle="--", label="capacity")
    axes.set(title="slope = capacity − load", xlabel="price of expert 0")
    axes.legend()
