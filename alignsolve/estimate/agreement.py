"""Whether clients mean the same by the same label: this tells conflicting tasks from clients that only differ.

Alignment pays if an expert cannot serve all clients, because they contradict each other. Low accuracy does not show
this, and different data do not: clients with skewed labels differ, and agree. The head shows it. The gradient of label
k's row is the mean of (1[y = k] − p_k)·h over a client's examples with features h. So clients that hold the label move
its row in the same direction if they mean the same by it, and in different directions otherwise.

With u_ik the unit direction of client i's row k, for labels that it holds, two means of cosines are kept, which fade by
``memory`` in every round:

- **between**: the mean of u_ik·u_jk over the labels that clients i and j of one round both hold, and of it the median
  over all pairs of clients;
- **within**: u_ik·u'_ik over labels and clients, between the client's report and its last one.

The agreement is between/within. The second one is what two reports of one client have in common despite the noise of
training. If even that is low, the figures say nothing, and the last verdict stays.

The median, and not the mean, makes the agreement independent of the number of domains: of D equal domains, a share of
1/D of the pairs agrees in any case. With two domains this is half of the pairs, and the verdict is uncertain.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.geometry import held_directions, same_shape
from alignsolve.estimate.report import Report, told_geometries
from alignsolve.numerics import BoolArray, FloatArray

AT_MOST = 512
"""Clients of a round that are compared in pairs; of more, this many are taken, evenly spread."""


@dataclass(frozen=True, eq=False)
class Agreement:
    """The evidence so far.

    Attributes
    ----------
    last
        (num_clients, num_labels, width) directions of each client's last report; (num_clients, 0, 0) before the first.
    held
        (num_clients, num_labels) labels that the client held then.
    between, within
        Faded sums of cosines; a round's median counts once for every pair.
    pairs, repeats
        Faded numbers of cosines in these sums.
    rounds
        Rounds with evidence since the last restart.
    conflict
        The last verdict: whether clients contradict each other.
    """

    last: FloatArray
    held: BoolArray
    between: float
    within: float
    pairs: float
    repeats: float
    rounds: int
    conflict: bool

    def __post_init__(self) -> None:
        """Refuse numbers of labels that differ, as in a file that was tampered with."""
        if self.last.shape[1] != self.held.shape[1]:
            raise ValueError(f"last has {self.last.shape[1]} labels, held has {self.held.shape[1]}")

    @property
    def agreement(self) -> float:
        """Mean cosine between clients over that within clients; NaN while the latter is not known, or not above 0."""
        if not self.pairs or not self.repeats or self.within <= 0:
            return float("nan")
        return (self.between / self.pairs) / (self.within / self.repeats)

    def grow(self, num_clients: int) -> "Agreement":
        """Return a copy with room for the clients that joined."""
        more = num_clients - len(self.last)
        return replace(
            self,
            last=np.concatenate([self.last, np.zeros((more, *self.last.shape[1:]))]),
            held=np.concatenate([self.held, np.zeros((more, self.held.shape[1]), dtype=bool)]),
        )


@dataclass(frozen=True)
class LabelAgreement:
    """Judges from reports whether clients contradict each other. There is a conflict if they agree too little.

    Parameters
    ----------
    threshold
        Agreement below which there is a conflict, between 0 and 1.
    after
        Rounds with evidence before the first verdict, 1 or more.
    memory
        What is left of a round's evidence after the next, above 0 and at most 1.
    steady
        Least mean cosine within clients at which the figures are believed, between 0 and 1.
    """

    learns_from: ClassVar[frozenset[str]] = frozenset({"geometry"})
    threshold: float = 0.3
    after: int = 4
    memory: float = 0.8
    steady: float = 0.05

    def __post_init__(self) -> None:
        """Check the parameters."""
        checks.between("threshold", self.threshold, 0, 1)
        checks.whole("after", self.after, 1)
        checks.weight("memory", self.memory)
        checks.between("steady", self.steady, 0, 1)

    def init(self, num_clients: int, num_experts: int) -> Agreement:
        """Return the state before any report: no conflict is known."""
        last, held = np.zeros((num_clients, 0, 0)), np.zeros((num_clients, 0), dtype=bool)
        return Agreement(last, held, 0.0, 0.0, 0.0, 0.0, rounds=0, conflict=False)

    def update(self, state: Agreement, reports: Sequence[Report]) -> Agreement:
        """Add a round's cosines to the evidence, and judge it.

        Raises
        ------
        ValueError
            If a completed report has no ``geometry``, one without a head, or one of another shape than before.
        """
        clients, geometries = told_geometries(reports, type(self).__name__)
        if not len(clients):
            return state
        if not geometries[0].head.size:
            raise ValueError(
                f"report of client {clients[0]}: geometry.head is empty, so labels cannot be compared: name the head "
                "in the layout (dataclasses.replace(layout, head=...)), or choose a fitness without this gate"
            )
        shape = geometries[0].head.shape
        last, held = state.last, state.held
        if not last.shape[1]:
            last, held = np.zeros((len(last), *shape)), np.zeros((len(last), shape[0]), dtype=bool)
        same_shape(int(clients[0]), "geometry.head", shape, last.shape[1:])
        rows, own = held_directions(geometries)
        between, pairs = _between(rows, own)
        again = own & held[clients]
        within = float((rows * last[clients]).sum(axis=2)[again].sum())
        last, held = last.copy(), held.copy()
        last[clients], held[clients] = rows, own
        fade = self.memory
        state = replace(
            state,
            last=last,
            held=held,
            between=fade * state.between + between,
            pairs=fade * state.pairs + pairs,
            within=fade * state.within + within,
            repeats=fade * state.repeats + float(again.sum()),
            rounds=state.rounds + int(pairs > 0),
        )
        found = self.verdict(state)
        return state if found is None else replace(state, conflict=found)

    def verdict(self, state: Agreement) -> bool | None:
        """Return whether there is a conflict; None while the evidence is too young or too noisy."""
        believed = state.repeats > 0 and state.within / state.repeats >= self.steady
        if state.rounds < self.after or not believed or np.isnan(state.agreement):
            return None
        return state.agreement < self.threshold

    def restart(self, state: Agreement) -> Agreement:
        """Return a state whose evidence begins anew; the verdict stays until there is enough of it."""
        return replace(state, between=0.0, within=0.0, pairs=0.0, repeats=0.0, rounds=0, held=np.zeros_like(state.held))


def _between(rows: FloatArray, own: BoolArray) -> tuple[float, float]:
    """Return the median cosine of pairs of clients times their number, and the number of pairs that share a label."""
    if len(rows) > AT_MOST:
        chosen = np.linspace(0, len(rows) - 1, AT_MOST).astype(np.int64)
        rows, own = rows[chosen], own[chosen]
    held = np.where(own[:, :, None], rows, 0.0)
    flat = held.reshape(len(rows), -1)
    upper = np.triu_indices(len(rows), 1)
    shared = (own.astype(np.float64) @ own.T.astype(np.float64))[upper]
    cosine = (flat @ flat.T)[upper]  # the sum over shared labels: rows of other labels are 0
    comparable = shared > 0
    number = float(comparable.sum())
    if not number:
        return 0.0, 0.0
    return number * float(np.median(cosine[comparable] / shared[comparable])), number
