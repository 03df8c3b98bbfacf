"""Draws the curves of the second protocol: accuracy by round, one line for each alignment."""

from pathlib import Path

import numpy as np

from benchmarks.evidence.second.judge import Judged
from benchmarks.evidence.second.tables import names_of
from fedtrain.compare.statistics import mean_with_margin

STRONG = ("none", "random", "fedamole", "clustered", "oracle", "ours", "ours-personal")
"""Alignments that have a colour; the others are thin grey lines."""


def draw_accuracy(judged: Judged, task: str, out: Path) -> None:
    """Draw mean accuracies with 95 % intervals over seeds; equal data give the same file.

    A run that diverged ended early. From then on its accuracy is 0, as in the tables.
    """
    import matplotlib as mpl  # noqa: PLC0415  (half a second, and only for pictures)
    import matplotlib.pyplot as plt  # noqa: PLC0415

    rounds = np.arange(1, judged.protocol.tasks[task].rounds + 1)
    with mpl.rc_context({"svg.hashsalt": "alignsolve", "svg.fonttype": "none", "font.size": 9.0}):
        figure, axes = plt.subplots(figsize=(7.0, 3.4), layout="constrained")
        for name in names_of(judged, task):
            curves = np.zeros((len(judged.rows[task, name]), len(rounds)))
            for curve, row in zip(curves, judged.rows[task, name], strict=True):
                curve[: len(row.accuracy)] = np.nan_to_num(row.accuracy)
            if name in STRONG:
                middle, margin, _ = (np.array(part) for part in zip(*map(mean_with_margin, curves.T), strict=True))
                (line,) = axes.plot(rounds, middle, "--" if name == judged.protocol.reference else "-", label=name)
                axes.fill_between(rounds, middle - margin, middle + margin, color=line.get_color(), alpha=0.15, lw=0)
            else:
                axes.plot(rounds, curves.mean(axis=0), color="0.7", lw=0.8, zorder=1)
        axes.plot([], [], color="0.7", lw=0.8, label="the others")
        axes.set(xlabel="round", ylabel="accuracy of the whole model", title=task)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, loc="lower right")
        figure.savefig(out, metadata={"Date": None})
        plt.close(figure)
