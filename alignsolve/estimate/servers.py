"""Servers that host experts: all experts on a server share its capacity in a round, such as its uplink."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.estimate import checks


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
