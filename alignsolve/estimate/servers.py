"""Servers that host experts: all experts on a server share its capacity in a round, such as its uplink."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data.names import Names, named
from alignsolve.estimate import checks
from alignsolve.numerics import BoolArray, FloatArray, IntArray, whole_floor
from alignsolve.problem import AlignmentProblem


@dataclass(frozen=True, eq=False)
class ServerRooms:
    """How much more load each server takes, for clients that arrive between two rounds.

    Attributes
    ----------
    hosts
        (num_servers, num_experts) bools.
    room
        (num_servers,) capacity minus the load of the clients at work, rounded down; negative where a soft bound was
        broken.
    names
        A name for each server; None: numbers.
    """

    hosts: BoolArray
    room: FloatArray
    names: Names | None

    @property
    def full(self) -> BoolArray:
        """(num_servers,) which servers have no room for one more load."""
        full: BoolArray = self.room < 1
        return full

    @property
    def closed(self) -> BoolArray:
        """(num_experts,) which experts are on a full server."""
        closed: BoolArray = self.full @ self.hosts
        return closed

    def within(self, experts: IntArray) -> bool:
        """Whether there is room for one load on each of these experts."""
        return bool((self.hosts[:, experts].sum(axis=1) <= np.maximum(self.room, 0.0)).all())

    def told(self, open_: BoolArray) -> str:
        """Name the full servers, and the room of those that have less than one load for each of their open experts."""
        short = ~self.full & (self.room < (self.hosts & open_).sum(axis=1))
        parts = [f"{named(self.full, 'server', self.names)} without room"] if self.full.any() else []
        one_each = (np.arange(len(short)) == s for s in np.flatnonzero(short))
        parts += [f"{named(one, 'server', self.names)} with room for {self.room[one][0]:.12g}" for one in one_each]
        return ", ".join(parts)


@dataclass(frozen=True)
class Servers:
    """Which server hosts which expert, and how much load each server takes in a round.

    Parameters
    ----------
    hosts
        (num_experts,) the server of each expert, 0, 1, 2, …, through all layers; or (num_servers, num_experts) bools.
    capacity
        Scalar or (num_servers,): the most load of a round on a server, one for each client and expert.
    penalty
        Fitness per unit of load beyond the capacity. None: as for the experts' own bounds; inf: a hard bound.

    Raises
    ------
    ValueError
        If the penalty is negative. :meth:`Aligner.align` refuses hosts and capacities that do not fit the experts.

    Examples
    --------
    >>> from alignsolve import Aligner
    >>> aligner = Aligner(sets=Servers(hosts=[0, 0, 1], capacity=[1, 5], penalty=1e6))
    >>> state = aligner.init(num_clients=3, num_experts=3)
    >>> solution, state = aligner.align(state, cohort=[0, 1, 2])
    >>> solution.set_loads
    array([1., 2.])
    """

    hosts: Any
    capacity: Any
    penalty: float | None = None

    def __post_init__(self) -> None:
        """Check the penalty."""
        if self.penalty is not None and self.penalty != np.inf:
            checks.amount("penalty", self.penalty)

    def fields(self, penalty: float) -> dict[str, Any]:
        """Return the fields of a round's problem; ``penalty`` is that of the experts' own bounds."""
        return {
            "expert_sets": self.hosts,
            "set_capacity": self.capacity,
            "set_overload_penalty": penalty if self.penalty is None else self.penalty,
        }

    def rooms(self, at_work: FloatArray) -> ServerRooms:
        """Return what each server has left beside the clients at work, (num_experts,) loads.

        Raises
        ------
        ValueError
            If hosts and capacities do not fit the experts.
        """
        like = AlignmentProblem(np.zeros((1, len(at_work))), expert_sets=self.hosts, set_capacity=self.capacity)
        if np.isinf(at_work).any():  # an older file does not know them: no server has room, not even without a bound
            return ServerRooms(like.expert_sets, np.full(like.num_sets, -np.inf), like.set_names)
        room = whole_floor(like.set_capacity - [at_work[on].sum() for on in like.expert_sets])
        return ServerRooms(like.expert_sets, room, like.set_names)
