"""What the answers of one exchange add up to, and how far the choices are from the best alignment."""

from dataclasses import dataclass, replace

import numpy as np

from alignsolve.data.expert_bounds import ExpertBounds
from alignsolve.federated.answers import Answers
from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.outcome import Look
from alignsolve.federated.rows import cheapest
from alignsolve.federated.terms import Terms
from alignsolve.numerics import FloatArray, IntArray, relative_gap


@dataclass(frozen=True, eq=False)
class Tally:
    """The sums of one exchange.

    Attributes
    ----------
    loads
        (num_experts,).
    best, value
        Σ optimum of each client alone at the prices, and Σ fitness of the choices.
    pairs
        (num_experts + 1, num_experts + 1), symmetric: how many clients are near a move between two experts.
    near
        (num_experts + 1, num_experts + 1, num_edges): the same by direction and edge, of cheapest moves; None where
        the exchange had one edge.
    """

    loads: IntArray
    best: float
    value: float
    pairs: FloatArray
    near: IntArray | None

    @classmethod
    def of(cls, terms: Terms, ask: Ask, answers: Answers) -> "Tally":
        """Read the sums of all answers.

        Raises
        ------
        ValueError
            If they cannot be sums of votes.
        """
        size, e = terms.num_experts + 1, terms.num_experts
        num_edges = len(ask.edges) if ask.kind is Kind.VOTE else 0
        counts = answers.counts.astype(np.int64) & (2**terms.digits - 1)
        loads = counts[:e] if answers.held is None else answers.held.sum(axis=0)
        most = len(answers.clients)
        if (loads > most).any() or (counts > most).any():
            raise ValueError(
                f"exchange {ask.exchange}: counts add up to {counts.max(initial=0)}, from {most} clients: "
                "some answer was not masked by the secrets that others used, or was no vote"
            )
        near = pairs = None
        if answers.moves is not None and num_edges > 1:
            first = cheapest(answers.moves)
            near = np.zeros((size, size, num_edges), dtype=np.int64)
            np.add.at(near, (first.leaves, first.enters, first.loss.astype(np.int64)), 1)
        elif answers.moves is not None:
            pairs = np.zeros((size, size))
            np.add.at(pairs, (answers.moves.leaves, answers.moves.enters), 1.0)
            pairs += pairs.T
        elif num_edges > 1:
            near = np.zeros((size, size, num_edges), dtype=np.int64)
            off = ~np.eye(size, dtype=np.bool_)
            near[off] = counts[e:].reshape(size * e, num_edges)
        elif num_edges == 1:
            pairs = np.where(terms.cell >= 0, counts[e:][terms.cell], 0).astype(np.float64)
        if near is not None:
            pairs = (near.sum(axis=2) + near.sum(axis=2).T).astype(np.float64)
        sums = np.ldexp(answers.sums.view(np.int64).astype(np.float64), -terms.exponent).tolist()
        value = sums[1] if len(sums) > 1 else sums[0] + float(ask.prices @ loads)
        return cls(loads, sums[0], value, np.zeros((size, size)) if pairs is None else pairs, near)

    def bound(self, bounds: ExpertBounds, prices: FloatArray) -> float:
        """Return the dual value: no alignment of these clients is worth more."""
        return float(bounds.conjugate(prices).sum()) + self.best

    def look(self, bounds: ExpertBounds, ask: Ask, unit: float, num_bytes: int) -> Look:
        """Judge the choices; a unit of load beyond a hard bound is charged ``unit``."""
        bound = self.bound(bounds, ask.prices)
        objective = self.value - float(charged(bounds, unit).penalty(self.loads.astype(np.float64)).sum())
        return Look(
            ask.kind.name.lower(), bound, objective, relative_gap(bound, objective), self.overload(bounds), num_bytes
        )

    def overload(self, bounds: ExpertBounds) -> float:
        """Return the units beyond hard bounds, as a share of all units."""
        return overload_of(bounds, self.loads)


def overload_of(bounds: ExpertBounds, loads: IntArray) -> float:
    """Return the units beyond hard bounds, as a share of all units."""
    beyond = np.maximum(loads - bounds.most, 0.0).sum() + np.maximum(bounds.least - loads, 0.0).sum()
    return float(beyond / max(1, loads.sum()))


def charged(bounds: ExpertBounds, unit: float) -> ExpertBounds:
    """Return the bounds with hard ones at a price per unit."""
    return replace(
        bounds,
        overload=np.where(np.isinf(bounds.overload), unit, bounds.overload),
        shortfall=np.where(np.isinf(bounds.shortfall), unit, bounds.shortfall),
    )
