"""Seconds of ``price`` and OR-Tools over the number of clients, from the stored rows of benchmarks/results."""

from collections import defaultdict
from pathlib import Path
from statistics import median

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from benchmarks.rows import Row, latest, read

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
CONTENDERS = {"price": "C0", "ortools": "C1"}


def race() -> Figure:
    """Draw every family of the suite ``hard`` that both solve, at 64 experts."""
    figure, axes = plt.subplots(figsize=(6.0, 3.4), layout="constrained")
    rows = [row for row in latest(read(RESULTS / "hard.csv")) if row.outcome == "answered"]
    both = {row.family for row in rows if row.contender == "ortools"}
    for contender, color in CONTENDERS.items():
        label = {"price": "price", "ortools": "OR-Tools SimpleMinCostFlow"}[contender]
        for family in sorted(both):
            times = seconds([row for row in rows if (row.family, row.contender) == (family, contender)])
            axes.plot(times.keys(), times.values(), ".-", color=color, linewidth=0.8, alpha=0.7, label=label)
            label = ""
    title = f"{len(both)} families × 64 experts, each a line"
    axes.set(xscale="log", yscale="log", xlabel="clients", ylabel="seconds", title=title)
    axes.legend()
    return figure


def seconds(rows: list[Row]) -> dict[int, float]:
    """Clients → median seconds, model building included."""
    times = defaultdict(list)
    for row in rows:
        times[row.num_clients].append(row.total_seconds)
    return {number: median(times[number]) for number in sorted(times)}
