"""Responsibilities as fitness (pFedMM, and FedEM, arXiv 2108.10252), with probes where they are worth the price.

A client's responsibilities are the shares of a mixture of experts that best explain its examples (:mod:`.probing`).
They are measured for the experts that a client has in a round. Of others nothing is known, and a fitness that learns
from held experts alone feeds itself. So a client also probes experts that it never held, at the price of the download.

An expert is probed if its *expected improvement* (Jones, Schonlau and Welch, 1998) is above the price. The loss of an
unknown expert is taken to be normal around the mean of the client's known losses; the deviation is that of all known
losses around their clients' means. With b the client's lowest loss and z = (b − mean)/deviation, the improvement is
deviation·(φ(z) + z·Φ(z)). As long as all experts are alike nothing is gained, and nothing is probed.

Reconstructed: the papers train mixtures of whole models on every client; here experts are aligned within our load
bounds, and an expert without a known share counts with an even share.

A configuration names it as ``alignment.policy = "benchmarks.evidence.second.pfedmm:pfedmm"``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

from alignsolve import Aligner, Parts, Report
from alignsolve.estimate import checks
from alignsolve.numerics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Shares:
    """What clients measured.

    Attributes
    ----------
    loss, share
        (num_clients, num_experts) last measured losses and responsibilities; NaN where nothing is known.
    age
        (num_clients, num_experts) rounds since then.
    """

    loss: FloatArray
    share: FloatArray
    age: IntArray

    def grow(self, num_clients: int) -> "Shares":
        """Return a copy in which nothing is known of the clients that joined."""
        more = (num_clients - len(self.age), self.age.shape[1])
        unknown = np.full(more, np.nan)
        return Shares(
            np.concatenate([self.loss, unknown]),
            np.concatenate([self.share, unknown]),
            np.concatenate([self.age, np.zeros(more, dtype=np.int64)]),
        )


@dataclass(frozen=True)
class ResponsibilityFitness:
    """The client's responsibilities, scaled to at most 1 per client.

    Parameters
    ----------
    price
        Expected improvement of the loss, in nats, at which an expert is probed, 0 or more.
    most
        Most probes of a client in a round, 0 or more.
    fresh
        Rounds after which a measurement is forgotten, 1 or more, because models change.
    """

    probes_at: ClassVar[Literal["start", "end"]] = "end"
    price: float = 0.05
    most: int = 2
    fresh: int = 10

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.amount("price", self.price)
        checks.whole("most", self.most, 0)
        checks.whole("fresh", self.fresh, 1)

    def init(self, num_clients: int, num_experts: int) -> Shares:
        """Return the state before any measurement."""
        unknown = np.full((num_clients, num_experts), np.nan)
        return Shares(unknown, unknown.copy(), np.zeros((num_clients, num_experts), dtype=np.int64))

    def update(self, state: Shares, reports: Sequence[Report]) -> Shares:
        """Let a round pass: what is too old is forgotten."""
        age = state.age + 1
        old = age > self.fresh
        return Shares(np.where(old, np.nan, state.loss), np.where(old, np.nan, state.share), age)

    def wanted(self, state: Shares, cohort: IntArray, rng: np.random.Generator) -> BoolArray:
        """Ask for unknown experts whose expected improvement is above the price, drawn at random if they are many."""
        known = ~np.isnan(state.loss)
        asked = np.zeros((len(cohort), known.shape[1]), dtype=bool)
        improvement = self.improvement(state, cohort)
        for row, client in enumerate(cohort.tolist()):
            unknown = np.flatnonzero(~known[client])
            if improvement[row] > self.price:
                asked[row, rng.permutation(unknown)[: self.most]] = True
        return asked

    def improvement(self, state: Shares, cohort: IntArray) -> FloatArray:
        """Return the expected improvement by an unknown expert, (len(cohort),), in nats; 0 if nothing is known."""
        known = ~np.isnan(state.loss)
        count = known.sum(axis=1)
        mean = np.where(known, state.loss, 0.0).sum(axis=1) / np.maximum(count, 1)
        square = np.where(known, state.loss - mean[:, None], 0.0) ** 2
        freedom = np.maximum(count - 1, 0).sum()
        deviation = math.sqrt(square.sum() / freedom) if freedom else 0.0
        if deviation == 0.0:
            return np.zeros(len(cohort))
        lowest = np.where(known, state.loss, np.inf).min(axis=1)
        z = np.where(count > 0, (lowest - mean) / deviation, 0.0)[cohort]
        density = np.exp(-0.5 * z**2) / math.sqrt(2.0 * math.pi)
        below = np.array([0.5 * math.erfc(-value / math.sqrt(2.0)) for value in z])
        gain: FloatArray = np.where(count[cohort] > 0, deviation * (density + z * below), 0.0)
        return gain

    def told(self, state: Shares, clients: IntArray, losses: FloatArray, shares: FloatArray) -> Shares:
        """Keep what was measured; responsibilities of other experts keep their part of the whole."""
        loss, share, age = state.loss.copy(), state.share.copy(), state.age.copy()
        for row, client in enumerate(clients.tolist()):
            new = ~np.isnan(losses[row])
            before = share[client, new]
            # The measured experts share what they had together, or their even part if one of them is new.
            whole = new.mean() if np.isnan(before).any() else before.sum()
            loss[client, new], share[client, new], age[client, new] = losses[row, new], whole * shares[row, new], 0
        return Shares(loss, share, age)

    def fitness(self, state: Shares, cohort: IntArray, *, rng: np.random.Generator) -> FloatArray:
        """Return the fitness of the cohort, (len(cohort), num_experts), between 0 and 1."""
        even = 1.0 / state.share.shape[1]
        share = np.where(np.isnan(state.share[cohort]), even, state.share[cohort])
        largest = share.max(axis=1, keepdims=True)
        scaled: FloatArray = share / np.where(largest > 0, largest, 1.0)
        return scaled

    def without_probes(self) -> "ResponsibilityFitness":
        """Return the same fitness without probes."""
        return replace(self, most=0)


def pfedmm(parts: Parts, **parameters: Any) -> Aligner:
    """Responsibilities within our load bounds, with probes of pairs that were never held."""
    return parts.aligner(ResponsibilityFitness(**parameters), parts.load)


def pfedmm_held(parts: Parts) -> Aligner:
    """The same without probes: responsibilities of held experts alone."""
    return parts.aligner(ResponsibilityFitness().without_probes(), parts.load)
