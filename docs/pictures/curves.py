"""Time-to-gap curves from the stored points of ``benchmarks/results``: who has which gap after how many seconds."""

import math
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from alignsolve import SOLVERS
from alignsolve.numerics import relative_gap
from benchmarks.curves import Point, read_points
from benchmarks.references import read_references

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"
CLOSE = (1e-2, 1e-4)
"""Gaps that count as close, a panel each; the last panel counts proofs by the contender itself."""
FIRST = 1e-3
"""Seconds at the left end."""
PROVEN = 1e-6
"""Gap between a contender's own objective and bound that counts as closed, as peers round the fitness."""


def real() -> Figure:
    """Draw the suite ``real``: the gap is that of the objective to the best bound that is known."""
    known = {name: one.bound for name, one in read_references().items()}
    return _shares(read_points(RESULTS / "curves-real.csv"), known)


def shapes() -> Figure:
    """Draw the suite ``shapes``; the best bound is the lowest one that was checked."""
    points = read_points(RESULTS / "curves-shapes.csv")
    known: dict[str, float] = {}
    for point in points:
        if point.outcome == "answered":
            known[point.instance] = min(point.bound, known.get(point.instance, math.inf))
    return _shares(points, known)


def instances() -> Figure:
    """Draw bound and incumbent over seconds on some instances, relative to the reference."""
    points = [point for point in read_points(RESULTS / "curves-real.csv") if point.outcome in ("running", "answered")]
    known = read_references()
    names = [name for name in dict.fromkeys(point.instance for point in points) if known[name].class_ == "general"][:4]
    figure, panels = plt.subplots(2, 2, figsize=(7.2, 5.0), layout="constrained", sharex=True, sharey=True)
    for axes, name in zip(panels.flat, names, strict=False):
        best = known[name].objective
        for contender, color in _colors(points).items():
            own = [point for point in points if (point.instance, point.contender) == (name, contender)]
            for field, style in (("objective", "-"), ("bound", "--")):
                line = [(p.seconds, getattr(p, field) / best - 1.0) for p in own if math.isfinite(getattr(p, field))]
                label = contender if field == "objective" else ""
                axes.step(
                    *(zip(*line, strict=True) if line else ([], [])), style, where="post", color=color, label=label
                )
        axes.set(xscale="log", ylim=(-0.1, 0.1))
        axes.set_title(name, fontsize=8)
    figure.supxlabel("seconds")
    figure.supylabel("relative to the reference: bound (dashed) and incumbent")
    panels.flat[0].legend(fontsize=7)
    return figure


def _shares(points: Sequence[Point], known: dict[str, float]) -> Figure:
    """Draw the share of instances on which a contender is close, or has a proof, after some seconds."""
    instances = list(dict.fromkeys(point.instance for point in points))
    figure, panels = plt.subplots(1, len(CLOSE) + 1, figsize=(7.6, 3.0), layout="constrained", sharey=True)
    last = max((point.seconds for point in points), default=1.0)
    for contender, color in _colors(points).items():
        own = defaultdict(list)
        for point in points:
            if point.contender == contender:
                own[point.instance].append(point)
        for axes, close in zip(panels, (*CLOSE, None), strict=True):
            times = sorted(filter(math.isfinite, (_seconds(line, close, known[name]) for name, line in own.items())))
            shares = [(k + 1) / len(instances) for k in range(len(times))]
            across, up = [FIRST, *times, last], [0.0, *shares, shares[-1] if shares else 0.0]
            axes.step(across, up, where="post", color=color, label=contender)
    for axes, close in zip(panels, (*CLOSE, None), strict=True):
        title = "own bound meets own objective" if close is None else f"gap at most {close:g}"
        axes.set(xscale="log", xlim=(FIRST, last), ylim=(0.0, 1.02), xlabel="seconds")
        axes.set_title(title, fontsize=8)
    panels[0].set_ylabel(f"share of {len(instances)} instances")
    panels[-1].legend(fontsize=7)
    return figure


def _seconds(line: Sequence[Point], close: float | None, bound: float) -> float:
    """Return when a contender was close, or had a proof of its own (None); inf if never."""
    for point in line:
        if point.outcome not in ("running", "answered"):
            continue
        gap = relative_gap(point.bound if close is None else bound, point.objective)
        if gap <= (PROVEN if close is None else close):
            return max(point.seconds, FIRST)
    return math.inf


def _colors(points: Sequence[Point]) -> dict[str, str]:
    """Give each contender a colour: ours first."""
    names = sorted({point.contender for point in points}, key=lambda name: (name not in SOLVERS, name))
    return {name: f"C{k}" for k, name in enumerate(names)}
