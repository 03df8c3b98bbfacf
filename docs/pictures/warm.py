"""The effect of a warm start: shortest paths searched over the share of clients whose fitness has changed."""

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from alignsolve import solve
from docs.pictures.rounds import EXPERTS, LARGE, popular, watched

SHARES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
CHANGE = 0.1
"""Standard deviation of the noise that is added to the fitness of a changed client."""


def warm() -> Figure:
    """Draw the searches of a warm and of a cold start."""
    rng = np.random.default_rng(1)
    before = popular(LARGE)
    known = solve(before, "price")
    searches = []
    for share in SHARES:
        changed = np.flatnonzero(rng.random(LARGE) < share)
        fitness = before.fitness.copy()
        fitness[changed] += rng.normal(0.0, CHANGE, size=(len(changed), EXPERTS))
        problem = replace(before, fitness=fitness)
        searches.append([sum(turn.searches for turn in watched(problem, start)) for start in (known, None)])
    figure, axes = plt.subplots(figsize=(6.0, 3.0), layout="constrained")
    axes.plot(100.0 * np.array(SHARES), np.array(searches)[:, 0], "o-", label="from the last solution")
    axes.plot(100.0 * np.array(SHARES), np.array(searches)[:, 1], "s--", label="from nothing")
    title = f"shortest paths searched, {LARGE:,} clients × {EXPERTS} experts"
    axes.set(xscale="log", yscale="log", xlabel="% of the clients whose fitness has changed", title=title)
    axes.legend()
    return figure
