"""Draws the curves of the second protocol: accuracy by round, one line for each alignment."""

from pathlib import Path

import numpy as np

from benchmarks.evidence.pictures import draw_curves
from benchmarks.evidence.second.judge import Judged
from benchmarks.evidence.second.tables import names_of

STRONG = ("none", "random", "fedamole", "clustered", "oracle", "ours", "ours-personal")
"""Alignments that have a colour; the others are thin grey lines."""


def draw_accuracy(judged: Judged, task: str, out: Path) -> None:
    """Draw mean accuracies with 95 % intervals over seeds; equal data give the same file.

    A run that diverged ended early. From then on its accuracy is 0, as in the tables.
    """
    num_rounds, runs = judged.protocol.tasks[task].rounds, {}
    for name in names_of(judged, task):
        runs[name] = np.zeros((len(judged.rows[task, name]), num_rounds))
        for curve, row in zip(runs[name], judged.rows[task, name], strict=True):
            curve[: len(row.accuracy)] = np.nan_to_num(row.accuracy)
    draw_curves(runs, task, out, strong=STRONG, reference=judged.protocol.reference)
