"""How auctions, in which clients keep their fitness, come nearer to the optimum by each exchange: from kept rows."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from benchmarks.kept_rows import kept
from benchmarks.private import EPSILONS, NUMBERS, LookRow, Row

CLIENTS = NUMBERS[-1]
FLOOR = 1e-11
"""Smaller gaps are rounding."""
LABELS = {"loads": "(a) loads, masked", "choices": "(b) choices", "core": "(c) core, exact"}


def private() -> Figure:
    """Draw the gap of a cold auction over its exchanges, and that of fitness sent with noise."""
    looks, rows = kept("private-looks.csv", LookRow), kept("private.csv", Row)
    figure, panels = plt.subplots(1, 2, figsize=(8.0, 3.4), layout="constrained", sharey=True)
    for axes, family in zip(panels, ("popular", "clustered"), strict=True):
        for (way, label), marker in zip(LABELS.items(), "os^", strict=True):
            size = {"linewidth": 5.0, "alpha": 0.5, "markersize": 8.0} if way == "loads" else {}  # (b) lies upon (a)
            own = [row for row in looks if (row.family, row.clients, row.seed, row.way) == (family, CLIENTS, 0, way)]
            axes.plot(
                [row.exchange for row in own], [max(row.gap, FLOOR) for row in own], f"{marker}-", label=label, **size
            )
        for epsilon, style in zip(EPSILONS[:-1], ("-", "--", ":"), strict=True):
            sent = [
                row.gap
                for row in rows
                if (row.family, row.clients, row.way) == (family, CLIENTS, f"noised {epsilon:g}")
            ]
            label = f"fitness with noise, ε = {epsilon:g}"
            axes.axhline(float(np.mean(sent)), color="0.5", linestyle=style, label=label)
        title = f"{family}, {CLIENTS:,} clients × 16 experts"
        axes.set(yscale="log", xlabel="exchange", title=title)
        axes.xaxis.get_major_locator().set_params(integer=True)
    panels[0].set_ylabel("distance from the optimum, relative")
    panels[0].legend(fontsize=7)
    return figure
