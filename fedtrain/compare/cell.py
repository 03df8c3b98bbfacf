"""One cell of a comparison, which is a whole run with a line of figures for every round.

All alignments are measured in the same way, whatever data they use themselves. Loads count completed trainings, not
assignments. Fitness regret is measured by a *referee*. The referee is an aligner with the router's fitness and balanced
bounds. It sees every report and aligns every cohort too, but its alignments are not used for training.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch

from alignsolve import POLICIES, Aligner, AlignerState, LoadMonitor, Parts, Report, RouterFitness, Solution
from alignsolve.numerics import FloatArray
from fedtrain.compare.plan import Cell
from fedtrain.models import Tensors, part_to_download
from fedtrain.results.history import Round, Row, variation
from fedtrain.server.alignment import declared_capacity
from fedtrain.server.federation import Federation, initial_state, predict, prepare
from fedtrain.server.rounds import run_rounds
from fedtrain.server.step import ServerState


class Line(NamedTuple):
    """The figures of one round of a cell.

    Attributes
    ----------
    round
        Number of the round, counted from 1.
    accuracy, loss
        Test accuracy and test loss of the whole model.
    personalised, worst
        Mean and lowest personalised accuracy over clients. Each client is measured with the experts that it last held;
        clients that never held one do not count. NaN in all rounds but the last, because measuring takes as long as
        training.
    seconds
        Simulated seconds since the run began.
    bytes
        Bytes sent and received since the run began.
    assigned_cv
        Variation between experts in the number of clients assigned in this round (coefficient of variation).
    completed_cv, completed_cv_total
        Variation between experts in the number of clients that completed their training: in this round, and since the
        run began.
    sample_cv_total
        Variation between experts in the number of examples routed to them in training, since the run began.
    regret
        Difference of the referee's fitness and the alignment's, as a share of the referee's. NaN while the referee has
        no fitness yet. Negative if the alignment gains by loads that the referee's bounds forbid.
    not_merged
        Number of clients in the cohort whose update was not merged, or that got nothing to train.
    align_seconds
        Wall-clock time of aligning and of observing reports.
    round_seconds
        Wall-clock time of the whole round.
    """

    round: int
    accuracy: float
    loss: float
    personalised: float
    worst: float
    seconds: float
    bytes: int
    assigned_cv: float
    completed_cv: float
    completed_cv_total: float
    sample_cv_total: float
    regret: float
    not_merged: int
    align_seconds: float
    round_seconds: float


def run_cell(cell: Cell) -> list[Line]:
    """Run a cell; its lines depend on its configuration only, except for wall-clock times.

    Raises
    ------
    ConfigError
        If the configuration cannot be run.
    SolveError
        If a round has no alignment.
    """
    federation = prepare(cell.config)
    watch = _Watch(federation)
    return [watch.line(done, state) for done, state in run_rounds(federation, initial_state(federation))]


class _Watch:
    """Keeps the sums over the rounds, and measures each round."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.referee = _Referee(federation)
        self.bytes = 0
        self.loads = np.zeros(federation.spec.num_experts)
        self.samples = np.zeros(federation.spec.num_experts)
        self.held: dict[int, Sequence[int]] = {}

    def line(self, done: Round, state: ServerState) -> Line:
        """Measure a finished round, with the state after it."""
        # Add the round to the sums.
        row, solution = done.row, done.solution
        loads, samples = _completed(done.reports, len(self.loads))
        self.loads += loads
        self.samples += samples
        self.bytes += row.bytes_down + row.bytes_up
        for report in done.reports:
            self.held[report.client] = report.experts.tolist()
        # Personalised accuracy is measured in the last round only.
        is_last = row.round == self.federation.config.rounds
        personal = personalised_accuracy(self.federation, state.tensors, self.held if is_last else {})
        return Line(
            **{name: getattr(row, name) for name in Line._fields if name in Row._fields},
            personalised=float(personal.mean()) if len(personal) else np.nan,
            worst=float(personal.min(initial=np.inf)) if len(personal) else np.nan,
            seconds=row.clock,
            bytes=self.bytes,
            assigned_cv=row.load_cv,
            completed_cv=variation(loads),
            completed_cv_total=variation(self.loads),
            sample_cv_total=variation(self.samples),
            regret=self.referee.regret(done, solution),
            not_merged=row.clients - row.merged,
        )


class _Referee:
    """Aligns every cohort by the router's fitness, and measures how much fitness an alignment loses against this."""

    def __init__(self, federation: Federation) -> None:
        # The referee is the same for all alignments. Its capacity is what the devices declare, whatever the policy
        # uses. It does not catch up: uneven loads of other alignments must not change its bounds.
        capacity = declared_capacity(federation.fleet, federation.footprint)
        even, layers = LoadMonitor(catch_up=0.0), federation.aligner.layers
        parts = Parts(fitness=RouterFitness(), load=even, capacity=capacity, layers=layers)
        self.aligner: Aligner = POLICIES["ours"](parts)
        self.state: AlignerState = self.aligner.init(
            federation.fleet.num_joined(0), federation.spec.num_experts, seed=federation.config.seed
        )
        self.fleet = federation.fleet

    def regret(self, done: Round, solution: Solution) -> float:
        """Compare a round's alignment with the referee's own, then learn from its reports."""
        grown = self.state.grow(self.fleet.num_joined(done.row.round - 1))
        best, aligned = self.aligner.align(grown, done.cohort)
        self.state = self.aligner.observe(aligned, done.reports)
        fitness = best.problem.values()
        reached, highest = _total(fitness, solution), _total(fitness, best)
        return (highest - reached) / highest if highest > 0.0 else np.nan


def _total(fitness: FloatArray, solution: Solution) -> float:
    assert solution.assigned is not None  # align() raises if there is no alignment
    return float(fitness[solution.assigned.clients(), solution.assigned.experts].sum())


def _completed(reports: Sequence[Report], num_experts: int) -> tuple[FloatArray, FloatArray]:
    """Return the number of clients and of routed examples per expert, from completed reports."""
    loads, samples = np.zeros(num_experts), np.zeros(num_experts)
    for report in reports:
        if report.completed:
            loads[report.experts] += 1.0
            samples[report.experts] += report.usage * report.num_examples
    return loads, samples


def personalised_accuracy(federation: Federation, tensors: Tensors, held: Mapping[int, Sequence[int]]) -> FloatArray:
    """Evaluate each client's part of the model on its personalised view of the test set.

    Parameters
    ----------
    federation
        The clients and the test set.
    tensors
        The whole model.
    held
        The experts of every client to evaluate, ascending, at least one in every layer. With all experts, the whole
        model is evaluated on each client's view of the test set.

    Returns
    -------
    array
        (len(held),) share of correct predictions, weighted by the client's mixture of test groups; in the order of
        ``held``.
    """
    return np.array([_accuracy(federation, tensors, client, tuple(experts)) for client, experts in held.items()])


def _accuracy(federation: Federation, tensors: Tensors, client: int, experts: tuple[int, ...]) -> float:
    weights = federation.data.test_weights(client)
    met = torch.from_numpy(np.flatnonzero(weights))
    model = federation.spec.build(experts).load(part_to_download(tensors, experts))
    labels = federation.test.labels[met]
    right = predict(model, federation.test.inputs[met]).argmax(dim=1).view_as(labels) == labels
    share = right.double().flatten(1).mean(dim=1).numpy() if right.ndim > 1 else right.double().numpy()
    return float(weights[met.numpy()] @ share)
