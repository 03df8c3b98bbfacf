"""Several MoE layers: each has its own copy of an estimator, which sees only its own experts' part of every report.

Fitness of different layers must not be scaled together. Each layer also has its own load to balance: a layer of two
experts gets as many clients as a layer of eight. A client's capacity is divided among the layers: one expert in every
layer, without which the client could not run a forward pass, and the rest in proportion to the layers' sizes.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.estimator import FitnessEstimator, LoadEstimator
from alignsolve.estimate.fitness import LossFitness, PairFitness, RouterFitness
from alignsolve.estimate.load import LoadBounds
from alignsolve.estimate.optional import Advice, advice_of, probed
from alignsolve.estimate.report import Report
from alignsolve.estimate.sums import PartStates
from alignsolve.numerics import FloatArray, IntArray

ROW_BY_ROW = (LossFitness, RouterFitness)
"""Estimators whose state is a :class:`PairFitness`, and whose fitness of a client depends on its own row alone."""
Layer: TypeAlias = FitnessEstimator[Any] | LoadEstimator[Any]


@dataclass(frozen=True)
class LayeredFitness:
    """Fitness of all layers; each layer has its own copy of an estimator.

    Parameters
    ----------
    layer
        The estimator that is copied.
    sizes
        Number of experts of each layer; the layers stand side by side.
    """

    layer: FitnessEstimator[Any]
    sizes: tuple[int, ...]

    def init(self, num_clients: int, num_experts: int) -> PartStates:
        """Return the state of each layer before the first round."""
        return _init_each(self.layer, self.sizes, num_clients, num_experts)

    def update(self, state: PartStates, reports: Sequence[Report]) -> PartStates:
        """Let each layer learn from its part."""
        return _update_each(self.layer, self.sizes, state, reports)

    def fitness(self, state: PartStates, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of all layers side by side, (len(cohort), num_experts)."""
        if type(self.layer) in ROW_BY_ROW and len(set(self.sizes)) == 1:
            return self._in_one_pass(cast("tuple[PairFitness, ...]", state.parts), cohort, rng)
        return np.concatenate([self.layer.fitness(part, cohort, rng=rng) for part in state.parts], axis=1)

    def probe(self, state: PartStates, clients: IntArray, masses: FloatArray) -> PartStates:
        """Give each layer its part of the clients' fresh router masses, (len(clients), num_experts)."""
        split = np.split(masses, np.cumsum(self.sizes)[:-1], axis=1)
        parts = zip(state.parts, split, strict=True)
        return PartStates(tuple(probed(self.layer, known, clients, own) for known, own in parts))

    def advice(self, state: PartStates) -> Advice:
        """Join the layers' advice; the auxiliary loss is advised if a layer wants it."""
        each = [advice_of(self.layer, known, size) for known, size in zip(state.parts, self.sizes, strict=True)]
        verdicts = dict.fromkeys(one.verdict for one in each)
        bounded = np.concatenate([one.bounded for one in each])
        return Advice(bounded, any(one.pull for one in each), "; ".join(verdicts))

    def _in_one_pass(self, parts: tuple[PairFitness, ...], cohort: IntArray, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of layers of one size: every layer of every client is a row."""
        known = np.stack([part.value[cohort] for part in parts], axis=1).reshape(-1, self.sizes[0])
        rows = self.layer.fitness(PairFitness(known, parts[0].prior), np.arange(len(known)), rng=rng)
        return rows.reshape(len(cohort), -1)


@dataclass(frozen=True)
class LayeredLoad:
    """Load bounds of all layers; each layer has its own copy of an estimator.

    Parameters
    ----------
    layer
        The estimator that is copied.
    sizes
        Number of experts of each layer; the layers stand side by side.
    """

    layer: LoadEstimator[Any]
    sizes: tuple[int, ...]

    def init(self, num_clients: int, num_experts: int) -> PartStates:
        """Return the state of each layer without load."""
        return _init_each(self.layer, self.sizes, num_clients, num_experts)

    def update(self, state: PartStates, reports: Sequence[Report]) -> PartStates:
        """Let each layer learn from its part."""
        return _update_each(self.layer, self.sizes, state, reports)

    def bounds(self, state: PartStates, client_capacity: IntArray, fitness: FloatArray) -> LoadBounds:
        """Return the layers' bounds side by side; one penalty, the largest, holds for all experts.

        A client may give up an expert of one layer for one of another. So the penalty depends on the fitness of all
        layers: each layer sees two rows with the least and the greatest fitness of every expert.
        """
        capacities = shared_out(client_capacity, self.sizes)
        ends = np.stack([fitness.min(axis=0), fitness.max(axis=0)]) if len(fitness) else fitness
        parts = [
            self.layer.bounds(known, capacity, ends) for known, capacity in zip(state.parts, capacities.T, strict=True)
        ]
        return LoadBounds(
            share=np.concatenate([part.share for part in parts]),
            demand=np.concatenate([part.demand for part in parts]),
            capacity=np.concatenate([part.capacity for part in parts]),
            penalty=max(part.penalty for part in parts),
            clipped=any(part.clipped for part in parts),
        )


def _init_each(layer: Layer, sizes: tuple[int, ...], num_clients: int, num_experts: int) -> PartStates:
    check_layers(sizes, num_experts)
    return PartStates(tuple(layer.init(num_clients, size) for size in sizes))


def _update_each(layer: Layer, sizes: tuple[int, ...], state: PartStates, reports: Sequence[Report]) -> PartStates:
    split = reports.by_layer if isinstance(reports, LayeredReports) else split_reports(reports, sizes)
    parts = zip(state.parts, split, strict=True)
    return PartStates(tuple(layer.update(known, part) for known, part in parts))


def shared_out(capacity: IntArray, sizes: tuple[int, ...]) -> IntArray:
    """Divide each client's capacity among the layers, (num_clients, num_layers).

    A client that cannot hold one expert of every layer gets none.

    Examples
    --------
    >>> shared_out(np.array([1, 2, 5, 20]), (2, 8))
    array([[0, 0],
           [1, 1],
           [1, 4],
           [2, 8]])
    """
    size = np.array(sizes)
    total = np.where(capacity < len(size), 0, np.minimum(capacity, size.sum()))
    # Each further place goes to the layer that is the least full; the first layer goes first among equals.
    layer = np.repeat(np.arange(len(size)), size - 1)
    fullness = np.concatenate([np.arange(1, one) / one for one in sizes])
    queue = layer[np.lexsort((layer, fullness))]
    given = np.zeros((len(total), len(size)), dtype=np.int64)
    for number in np.unique(total[total > 0]):
        given[total == number] = 1 + np.bincount(queue[: number - len(size)], minlength=len(size))
    return given


class LayeredReports(tuple[Report, ...]):
    """A round's reports with their parts of every layer, which are made once for all estimators.

    Attributes
    ----------
    by_layer
        The parts of the reports, layer by layer.
    """

    by_layer: list[list[Report]]

    @classmethod
    def of(cls, reports: Sequence[Report], sizes: tuple[int, ...]) -> "LayeredReports":
        """Split the reports by layers of these sizes."""
        layered = cls(reports)
        layered.by_layer = split_reports(reports, sizes)
        return layered


def split_reports(reports: Sequence[Report], sizes: tuple[int, ...]) -> list[list[Report]]:
    """Return each layer's part of the reports, with the layer's experts numbered from 0."""
    starts = np.concatenate([[0], np.cumsum(sizes)])
    layer_of = np.repeat(np.arange(len(sizes)), sizes)
    split = [_parts(report, starts, layer_of) for report in reports]
    return [[parts[k] for parts in split] for k in range(len(sizes))]


def _parts(report: Report, starts: IntArray, layer_of: IntArray) -> list[Report]:
    """Return a report's part of every layer; the pairs keep their order."""
    layers = layer_of[report.experts]
    order = np.argsort(layers, kind="stable")
    ends = np.searchsorted(layers[order], np.arange(len(starts)))
    experts = report.experts[order] - starts[layers[order]]
    usage, loss, accuracy = report.usage[order], report.loss[order], report.accuracy[order]
    parts = []
    for k, (start, stop) in enumerate(itertools.pairwise(starts)):
        own = slice(ends[k], ends[k + 1])
        mass = None if report.router_mass is None else report.router_mass[start:stop]
        parts.append(report.part(experts[own], usage[own], loss[own], accuracy[own], mass))
    return parts


def check_layers(sizes: Sequence[int], num_experts: int | None = None) -> None:
    """Refuse layer sizes that are missing, not positive, or do not sum to the number of experts."""
    if not sizes:
        raise ValueError("layers is empty; give the number of experts of each layer")
    for k, size in enumerate(sizes):
        checks.whole(f"layers[{k}]", size, 1)
    if num_experts is not None and sum(sizes) != num_experts:
        raise ValueError(f"layers has {sum(sizes)} experts in all, there are {num_experts}")
