"""Fitness by embeddings: each client has a short vector, and one small network turns vectors into fitness.

A hypernetwork makes each client's model from an embedding of the client (pFedHN, arXiv 2103.04628), with heads that
clients of one size share (MH-pFedHN, arXiv 2507.22330). A client answers with what it wanted instead, and a gradient
step moves the network and the embedding. A newcomer gets its embedding alone, and the network stays as it is. Here the
network makes a client's fitness, with a head u_j for each expert:

    fitness_ij = u_j · [h_i, 1]        h_i = tanh([v_i, features_i, 1] · W)

v_i is the embedding, and the features are known beforehand, such as those of the device. The targets are what reports
show. Steps are divided by the largest curvature that they can meet, so that no learning rate depends on the sizes. The
method draws no random numbers: weights start as cosines, and embeddings at 0.

The paper is cited by its abstract and by the code of pFedHN. All else is reconstructed: tanh, the steps, the ridge, and
that the network learns from all clients in the first rounds.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from alignsolve.data import validation
from alignsolve.estimate import checks
from alignsolve.estimate.fitness import average_masses, scaled_to_range
from alignsolve.estimate.report import Report
from alignsolve.estimate.signal import Purpose, Signal, check_purpose, check_signal, pair_signals
from alignsolve.numerics import BoolArray, FloatArray, IntArray, fixed

UNKNOWN = 0.5
"""Fitness of all pairs before the first report."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """What was reported, the embeddings, and the network.

    Attributes
    ----------
    value
        (num_clients, num_experts) moving averages of what was reported; NaN where nothing was.
    embedding
        (num_clients, dimension) v; 0 for clients that never reported.
    inward
        (dimension + num_features + 1, hidden) W.
    outward
        (num_experts, hidden + 1) u.
    round
        Number of rounds with a report that taught something.
    """

    value: FloatArray
    embedding: FloatArray
    inward: FloatArray
    outward: FloatArray
    round: int

    def grow(self, num_clients: int) -> "Embedded":
        """Return a copy with nothing known of the clients that joined."""
        more, num_experts = num_clients - len(self.value), self.value.shape[1]
        return replace(
            self,
            value=np.concatenate([self.value, np.full((more, num_experts), np.nan)]),
            embedding=np.concatenate([self.embedding, np.zeros((more, self.embedding.shape[1]))]),
        )


@dataclass(frozen=True, eq=False)
class EmbeddingFitness:
    """Fitness of a client from its embedding and its features, by one network for all clients.

    It predicts pairs that were never tried, as :class:`~alignsolve.LowRankFitness` does. With ``features`` it also
    rates clients that never reported. Without, they all have the fitness of an embedding of 0.

    Parameters
    ----------
    signal
        "router": the router masses of a client, scaled to 0..1. "loss" or "accuracy": of the pairs that it trained, as
        in :class:`~alignsolve.LossFitness`.
    features
        (num_clients, num_features) what is known of every client beforehand, also of those that join later; finite.
        Each column is scaled to mean 0 and deviation 1. None: nothing.
    dimension, hidden
        Length of an embedding, and width of the network; 1 or more.
    steps
        Gradient steps per round, and for a newcomer's embedding, 1 or more.
    rate
        Share of the largest safe step, above 0 and at most 1.
    ridge
        Weight of the squared size of an embedding, in units of a client's squared errors; above 0.
    young
        Rounds in which newcomers train the network, too; 0 or more. Later their first report fits their embedding
        alone.
    alpha, beta, purpose
        As in :class:`~alignsolve.LossFitness`.

    Examples
    --------
    >>> fitness = EmbeddingFitness(features=[[0.0], [1.0], [0.0], [1.0]])
    >>> state = fitness.init(4, 2)
    >>> reports = [Report(0, [], router_mass=[0.9, 0.1]), Report(1, [], router_mass=[0.2, 0.8])]
    >>> state = fitness.update(state, reports)
    >>> fitness.fitness(state, np.arange(4), rng=np.random.default_rng(0)).argmax(axis=1)
    array([0, 1, 0, 1])
    """

    signal: Literal["router"] | Signal = "router"
    features: Any = None
    dimension: int = 4
    hidden: int = 16
    steps: int = 30
    rate: float = 0.5
    ridge: float = 0.3
    young: int = 3
    alpha: float = 1.0
    beta: float = 0.3
    purpose: Purpose = "specialise"

    def __post_init__(self) -> None:
        """Check the parameters, and scale the features."""
        checks.choice("signal", self.signal, ("router", "loss", "accuracy"))
        check_signal("loss", self.alpha)
        for field in ("dimension", "hidden", "steps"):
            checks.whole(field, getattr(self, field), 1)
        checks.whole("young", self.young)
        checks.positive("ridge", self.ridge)
        for field in ("rate", "beta"):
            checks.weight(field, getattr(self, field))
        check_purpose(self.purpose)
        if self.features is not None:
            object.__setattr__(self, "features", _standard(self.features))

    @property
    def learns_from(self) -> frozenset[str]:
        """Fields that reports must have: router masses, if they are the signal."""
        return frozenset({"router_mass"} if self.signal == "router" else ())

    def init(self, num_clients: int, num_experts: int) -> Embedded:
        """Return the state before any report.

        Raises
        ------
        ValueError
            If there are more clients than rows of features.
        """
        inputs = self.dimension + self._features(np.array([num_clients - 1])).shape[1]
        return Embedded(
            value=np.full((num_clients, num_experts), np.nan),
            embedding=np.zeros((num_clients, self.dimension)),
            inward=np.concatenate([_waves(inputs, self.hidden) / np.sqrt(inputs), np.zeros((1, self.hidden))]),
            outward=np.concatenate(
                [_waves(self.hidden, num_experts).T * np.sqrt(2 / self.hidden), np.full((num_experts, 1), UNKNOWN)],
                axis=1,
            ),
            round=0,
        )

    def update(self, state: Embedded, reports: Sequence[Report]) -> Embedded:
        """Fit newcomers' embeddings to their reports; then embeddings and network to those of the others.

        Raises
        ------
        ValueError
            If the signal is "router" and a completed report has no ``router_mass`` of length num_experts; or if a
            client has no features.
        """
        clients, value = self._averages(state, reports)
        if not len(clients):
            return state
        targets = scaled_to_range(value[clients]) if self.signal == "router" else value[clients]
        fit = _Fit.of(state, clients, self._features(clients), targets)
        new = np.asarray(np.isnan(state.value[clients]).all(axis=1))
        settled = np.ones_like(new) if state.round < self.young else ~new
        for _ in range(self.steps if new.any() else 0):
            fit.move_embeddings(new, self.rate, self.ridge)
        for _ in range(self.steps if settled.any() else 0):
            fit.move_network(settled, self.rate)
            fit.move_embeddings(settled, self.rate, self.ridge)
        embedding = state.embedding.copy()
        embedding[clients] = fit.embedding
        return Embedded(value, embedding, fit.inward, fit.outward, state.round + 1)

    def fitness(self, state: Embedded, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the network's fitness of the cohort, (len(cohort), num_experts); between 0 and 1."""
        if state.round == 0:
            return np.full((len(cohort), state.value.shape[1]), UNKNOWN)
        inputs = _inputs(state.embedding[cohort], self._features(cohort))
        value = np.clip(_with_one(np.tanh(inputs @ state.inward)) @ state.outward.T, 0.0, 1.0)
        return value if self.purpose == "specialise" else 1.0 - value

    def _averages(self, state: Embedded, reports: Sequence[Report]) -> tuple[IntArray, FloatArray]:
        """Return the clients whose reports teach something, ascending, and the new moving averages."""
        if self.signal == "router":
            done = np.array([report.client for report in reports if report.completed], dtype=np.int64)
            return done, average_masses(state.value, reports, self.beta, type(self).__name__)
        i, j, newest = pair_signals(reports, self.signal, self.alpha)
        value, known = state.value.copy(), state.value[i, j]
        value[i, j] = np.where(np.isnan(known), newest, (1 - self.beta) * known + self.beta * newest)
        return np.unique(i), value

    def _features(self, clients: IntArray) -> FloatArray:
        if self.features is None:
            return np.zeros((len(clients), 0))
        if clients.max(initial=0) >= len(self.features):
            raise ValueError(
                f"features has {len(self.features)} rows, and none for client {clients.max()}: give a row for every "
                "client, also for those that join later"
            )
        rows: FloatArray = self.features[clients]
        return rows


@dataclass(eq=False)
class _Fit:
    """Embeddings of some clients and the network, moved step by step towards the clients' targets.

    A step is the gradient of half the squared errors, divided by a bound on its own curvature: the product of the
    largest singular values of the matrices that it passes, as tanh has a slope of 1 at most.
    """

    embedding: FloatArray
    features: FloatArray
    inward: FloatArray
    outward: FloatArray
    targets: FloatArray
    told: BoolArray

    @classmethod
    def of(cls, state: Embedded, clients: IntArray, features: FloatArray, targets: FloatArray) -> "_Fit":
        """Begin at the state; targets are (len(clients), num_experts), NaN where nothing is known."""
        told = ~np.isnan(targets)
        return cls(state.embedding[clients], features, state.inward, state.outward, np.where(told, targets, 0.0), told)

    def move_embeddings(self, rows: BoolArray, rate: float, ridge: float) -> None:
        """Move the embeddings of some rows, each on its own."""
        _, _, _, back = self._passed(rows)
        inward = self.inward[: self.embedding.shape[1]]
        curvature = _largest(self.outward[:, :-1]) * _largest(inward) + ridge
        slope = back @ inward.T + ridge * self.embedding[rows]
        self.embedding[rows] -= rate * slope / curvature

    def move_network(self, rows: BoolArray, rate: float) -> None:
        """Move the network by the errors of some rows."""
        inputs, hidden, error, back = self._passed(rows)
        curvature = _largest(self.outward[:, :-1]) * _largest(inputs)
        outward = self.outward - rate * (error.T @ hidden) / _largest(hidden)
        self.inward = self.inward - rate * (inputs.T @ back) / curvature
        self.outward = outward

    def _passed(self, rows: BoolArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return inputs, hidden units with a 1, errors, and errors passed back to the hidden units."""
        inputs = _inputs(self.embedding[rows], self.features[rows])
        hidden = _with_one(np.tanh(inputs @ self.inward))
        error = np.where(self.told[rows], hidden @ self.outward.T - self.targets[rows], 0.0)
        back: FloatArray = (error @ self.outward[:, :-1]) * (1.0 - hidden[:, :-1] ** 2)
        return inputs, hidden, error, back


def _inputs(embedding: FloatArray, features: FloatArray) -> FloatArray:
    return _with_one(np.concatenate([embedding, features], axis=1))


def _with_one(rows: FloatArray) -> FloatArray:
    return np.concatenate([rows, np.ones((len(rows), 1))], axis=1)


def _largest(matrix: FloatArray) -> float:
    """Return the square of the largest singular value."""
    small = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    return float(np.linalg.eigvalsh(small @ small.T)[-1])


def _waves(rows: int, columns: int) -> FloatArray:
    """Return cosines of rising frequency, (rows, columns): weights that differ, without a draw."""
    return np.cos(np.outer(np.arange(rows) + 1.0, np.arange(columns) + 0.5) * np.pi / columns)


def _standard(given: Any) -> FloatArray:
    """Read the features, and scale each column to mean 0 and deviation 1; a column of equal values becomes 0."""
    features = validation.numbers("features", given)
    if features.ndim != 2 or not features.size:
        raise ValueError(f"features has shape {features.shape}; it must be (num_clients, num_features)")
    validation.amounts("features", features, features.shape, ("client", "feature"), infinite=False, signed=True)
    largest = np.abs(features).max(axis=0)
    rest = features / np.where(largest > 0, largest, 1.0)
    rest -= rest.mean(axis=0)
    deviation = rest.std(axis=0)
    even = deviation <= 1e-12
    return fixed(np.where(even, 0.0, rest / np.where(even, 1.0, deviation)))
