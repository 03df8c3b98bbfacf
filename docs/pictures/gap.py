"""The gap of the price bound in the general class over the number of clients, and that of the linear relaxation."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from scipy.optimize import linprog
from scipy.sparse import csc_array, vstack

from alignsolve import AlignmentProblem, solve
from problems import FAMILIES
from problems.linear import linear_program

NUMBERS = (16, 32, 64, 128, 256, 512, 1024)
SEEDS = range(4)
EXPERTS = 8
SMALL = 100
"""Clients up to which an integer program computes the optimum. Beyond, the best alignment found is used instead."""


def gap() -> Figure:
    """Draw the mean distance between bounds and the best alignment."""
    figure, axes = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
    for family, marker, color in (("weighted-bytes", "o", "C0"), ("budget", "s", "C1")):
        measured = np.array([[gaps(family, number, seed) for seed in SEEDS] for number in NUMBERS]).mean(axis=1)
        axes.plot(NUMBERS, measured[:, 0], f"{marker}-", color=color, label=f"{family}: prices, clients exact")
        axes.plot(NUMBERS, measured[:, 1], f"{marker}--", color=color, alpha=0.5, label=f"{family}: linear relaxation")
    title = f"bound above the best alignment, relative, {EXPERTS} experts"
    axes.set(xscale="log", yscale="log", xlabel="clients", title=title)
    axes.legend(fontsize=8)
    return figure


def gaps(family: str, num_clients: int, seed: int) -> tuple[float, float]:
    """Measure how far the bound of prices and that of the linear relaxation are above the best alignment."""
    problem = FAMILIES[family](np.random.default_rng(seed), num_clients=num_clients, num_experts=EXPERTS)
    by_prices = solve(problem, "lagrangian", time_limit=5.0)
    best = solve(problem, "ilp", time_limit=20.0) if num_clients <= SMALL else by_prices
    objective = float(best.objective or 0.0)
    assert by_prices.prices is not None
    return problem.bound(by_prices.prices) / objective - 1.0, relaxed(problem) / objective - 1.0


def relaxed(problem: AlignmentProblem) -> float:
    """Return the optimum over fractions of pairs: the linear relaxation."""
    program = linear_program(problem)
    shape = len(program.row_lower), len(program.cost)
    rows = csc_array((program.value, program.index, program.start), shape=shape).tocsr()
    most, least = np.isfinite(program.row_upper), np.isfinite(program.row_lower)
    matrix = vstack([rows[most], -rows[least]])
    limits = np.concatenate([program.row_upper[most], -program.row_lower[least]])
    with warnings.catch_warnings(action="ignore"):
        found = linprog(-program.cost, matrix, limits, bounds=np.column_stack([program.lower, program.upper]))
    return float(-found.fun)
