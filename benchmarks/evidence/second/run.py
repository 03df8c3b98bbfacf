"""One run of fedtrain's loop for the second protocol: from a plan's entry to its row."""

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from benchmarks.evidence.second.devices import Pool
from benchmarks.evidence.second.federations import drifted, federation_of
from benchmarks.evidence.second.plan import Entry
from benchmarks.evidence.second.probing import Probing
from benchmarks.evidence.second.row import Row
from fedtrain.compare.cell import personalised_accuracy
from fedtrain.results.history import Round, variation
from fedtrain.server.federation import Federation, fingerprint, initial_state
from fedtrain.server.rounds import run_round
from fedtrain.server.step import ServerState

EARLY = 5
"""Round after which a verdict is kept."""
WORSE = 5.0
"""A run has diverged if its loss is so many times its first value."""


def run(entry: Entry, pool: Pool | None = None) -> Row:
    """Run an entry of the plan; apart from times, the row depends on the entry alone.

    Raises
    ------
    ConfigError
        If the configuration cannot be run.
    SolveError
        If a round has no alignment.
    """
    started, busy, task = time.perf_counter(), time.process_time(), entry.task
    federation = federation_of(entry.config, entry.vary, pool)
    state, sums, probing = initial_state(federation), _Sums(federation, task.personal_every), Probing()
    digest = fingerprint(federation)
    while state.round < federation.config.rounds and not sums.diverged:
        if task.drift_at and state.round == task.drift_at:
            federation = drifted(federation, entry.vary)
        before = probing.before(federation, state)
        done, state = run_round(federation, before)
        state = probing.after(federation, before, done, state)
        sums.add(federation, done, state, probing)
    return Row(
        key=entry.key,
        task=entry.task.name,
        alignment=entry.alignment,
        setting=entry.setting,
        seed=entry.seed,
        data=digest,
        outcome="diverged" if sums.diverged else "finished",
        wall=time.perf_counter() - started,
        cpu=time.process_time() - busy,
        **sums.read(),
    )


class _Sums:
    """Keeps the curves and the sums over the rounds."""

    def __init__(self, federation: Federation, personal_every: int) -> None:
        self.every = personal_every
        self.curves: dict[str, list[float]] = {
            name: [] for name in ("accuracy", "loss", "personal", "worst", "seconds", "bytes")
        }
        self.assigned: list[float] = []
        self.loads: FloatArray = np.zeros(federation.spec.num_experts)
        self.held: dict[int, tuple[int, ...]] = {}
        self.bytes = self.probe_bytes = 0
        self.said: list[str] = []
        self.diverged = False

    def add(self, federation: Federation, done: Round, state: ServerState, probing: Probing) -> None:
        """Add a round, with the state after it, and the costs of probes so far."""
        row = done.row
        for report in done.reports:
            self.held[report.client] = tuple(report.experts.tolist())
            if report.completed:
                self.loads[report.experts] += 1.0
        self.bytes += row.bytes_down + row.bytes_up
        self.assigned.append(row.load_cv)
        self.said.append(federation.aligner.advice(state.aligner).verdict)
        last = state.round == federation.config.rounds
        due = last or (self.every > 0 and state.round % self.every == 0)
        personal = personalised_accuracy(federation, state.tensors, self.held) if due else np.array([math.nan])
        own = float(personal.mean()), float(personal.min())
        self.probe_bytes = probing.bytes
        values = (row.accuracy, row.loss, *own, row.clock + probing.seconds, float(self.bytes + probing.bytes))
        for curve, value in zip(self.curves.values(), values, strict=True):
            curve.append(value)
        self.diverged = not math.isfinite(row.loss) or row.loss > WORSE * self.curves["loss"][0]

    def read(self) -> Mapping[str, Any]:
        """Return the figures by their names in a row."""
        return {
            "verdict_5": self.said[min(EARLY, len(self.said)) - 1],
            "verdict": self.said[-1],
            "assigned_cv": float(np.mean(self.assigned)),
            "completed_cv": variation(self.loads),
            "probe_bytes": self.probe_bytes,
            **{name: tuple(curve) for name, curve in self.curves.items()},
        }
