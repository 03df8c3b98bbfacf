"""Draws the pictures of the evidence: accuracy by round, one line per alignment."""

from collections.abc import Collection, Mapping
from pathlib import Path

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.compare.comparison import Compared
from fedtrain.compare.statistics import mean_with_margin

STRONG = ("none", "random", "rolling", "flex-moe", "ours")
"""Alignments named in the protocol's claims; the others are drawn as thin grey lines."""


def draw_accuracy(main: Compared, task: str, out: Path) -> None:
    """Draw the accuracies of a task of the first protocol."""
    runs = {name: np.stack([run["accuracy"] for run in main.runs[task, name]]) for name in main.plan.alignments}
    draw_curves(runs, task, out, strong=STRONG, reference=main.plan.reference)


def draw_curves(
    runs: Mapping[str, FloatArray], title: str, out: Path, *, strong: Collection[str], reference: str
) -> None:
    """Draw mean accuracies with 95 % intervals over seeds; equal data give the same file.

    Parameters
    ----------
    runs
        (num_seeds, num_rounds) accuracies of each alignment.
    title, out
        Title of the picture, and its file.
    strong
        Alignments that have a colour; the others are thin grey lines.
    reference
        The alignment whose line is dashed.
    """
    import matplotlib as mpl  # noqa: PLC0415  (half a second, and only for pictures)
    import matplotlib.pyplot as plt  # noqa: PLC0415

    with mpl.rc_context({"svg.hashsalt": "alignsolve", "svg.fonttype": "none", "font.size": 9.0}):
        figure, axes = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
        for name, curves in runs.items():
            rounds = np.arange(1, curves.shape[1] + 1)
            middle, margin, _ = (np.array(part) for part in zip(*map(mean_with_margin, curves.T), strict=True))
            if name in strong:
                (line,) = axes.plot(rounds, middle, "--" if name == reference else "-", label=name)
                axes.fill_between(rounds, middle - margin, middle + margin, color=line.get_color(), alpha=0.15, lw=0)
            else:
                axes.plot(rounds, middle, color="0.7", lw=0.8, zorder=1)
        axes.plot([], [], color="0.7", lw=0.8, label="the others")
        axes.set(xlabel="round", ylabel="accuracy of the whole model", title=title)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(out, metadata={"Date": None})
        plt.close(figure)
