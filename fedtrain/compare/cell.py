"""One cell of a comparison, run from beginning to end: a line of figures for every round.

What the alignments are judged by is measured the same way for all, whatever they themselves look at. Loads are counted
of what was completed, not of what was assigned. Fitness regret is told by a *referee*: an aligner with the router's
fitness and balanced bounds that sees every report and aligns every cohort too, without being listened to.
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
    """A round of a cell.

    Attributes
    ----------
    round
        Counted from 1.
    accuracy, loss
        Of the whole model on the test set.
    personalised, worst
        Mean and least personalised accuracy over clients, each with the experts that it last held; clients that never
        held one do not count. NaN but in the last round, for to measure them takes as long as to train.
    seconds
        Simulated, since the run began.
    bytes
        Sent and received since the run began.
    assigned_cv
        Coefficient of variation between experts of the clients that they were assigned in this round.
    completed_cv, completed_cv_total
        The same of the clients that completed their training: in this round, and since the run began.
    sample_cv_total
        The same of the examples that were routed to the expert in training.
    regret
        By how much the alignment's fitness is below the referee's, as a share of the referee's; NaN where the referee
        sees no fitness yet. Below 0 for alignments that load experts or clients as the referee may not.
    not_merged
        Clients of the cohort whose update was not merged, or who were given nothing to train.
    align_seconds
        Wall-clock time of aligning and observing.
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
    """Run a cell; clocks on the wall apart, its lines depend on nothing but its configuration.

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
    """Keeps what has to be added up from round to round."""

    def __init__(self, federation: Federation) -> None:
        self.federation = federation
        self.referee = _Referee(federation)
        self.bytes = 0
        self.loads = np.zeros(federation.spec.num_experts)
        self.samples = np.zeros(federation.spec.num_experts)
        self.held: dict[int, Sequence[int]] = {}

    def line(self, done: Round, state: ServerState) -> Line:
        """Measure a round that is done, with the state after it."""
        row, solution = done.row, done.solution
        loads, samples = _completed(done.reports, len(self.loads))
        self.loads += loads
        self.samples += samples
        self.bytes += row.bytes_down + row.bytes_up
        for report in done.reports:
            self.held[report.client] = report.experts.tolist()
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
    """Aligns what the others align, by the router's fitness, and tells how much fitness they leave."""

    def __init__(self, federation: Federation) -> None:
        # The same for all: the devices' capacity, whatever the policy makes of it, and no catching up, for what others
        # load unevenly is not the referee's to make good.
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
    """Clients, and examples routed, per expert: of the reports that were completed."""
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
        Whose clients.
    tensors
        The whole model.
    held
        The experts of every client that is to be judged, ascending, at least one in every layer. With all experts it
        is the whole model that is judged, with each client's eyes.

    Returns
    -------
    array
        (len(held),) share of right predictions, weighted by the client's mixture of test groups; in the order of
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
