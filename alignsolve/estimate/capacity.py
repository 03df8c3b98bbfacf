"""How many experts a client can hold, from what its device declares."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.estimate.report import Report
from alignsolve.estimate.state import NoState
from alignsolve.numerics import IntArray


@dataclass(frozen=True, eq=False)
class CapacityProfiler:
    """Capacities as declared: in experts, or in bytes of memory.

    Give ``client_capacity``, or ``memory`` and ``expert_bytes``. Arrays may be longer than the number of clients
    so far, so as to cover those who will join.

    Parameters
    ----------
    client_capacity
        Scalar or (num_clients,), whole numbers: most experts per client.
    memory
        Scalar or (num_clients,), bytes that each device can spend on training.
    expert_bytes
        Scalar or (num_experts,), bytes that one expert takes while it is trained (weights, gradients, optimiser). If
        experts differ, the largest counts for all, so that any choice fits.
    shared_bytes
        Bytes that the rest of the model takes at every client.
    at_least
        Capacity of a client whose memory is too small even for this many. 0: such a client gets no expert.
    client_demand
        Fewest experts that a client is given, where its capacity allows. With none it could not run a forward pass.

    Raises
    ------
    ValueError
        If both or neither way is used, or a value makes no sense.

    Examples
    --------
    >>> profiler = CapacityProfiler(memory=[100, 350, 80], expert_bytes=100, shared_bytes=50, at_least=1)
    >>> profiler.capacity(profiler.init(3, 8), np.arange(3))
    (array([1, 3, 1]), array([1, 1, 1]))
    """

    client_capacity: Any = None
    memory: Any = None
    expert_bytes: Any = None
    shared_bytes: float = 0.0
    at_least: int = 0
    client_demand: int = 1

    def __post_init__(self) -> None:
        """Read what was declared into ``client_capacity``, experts per client."""
        for field in ("at_least", "client_demand"):
            validation.counts(field, getattr(self, field), (), ())
        if (self.client_capacity is None) == (self.memory is None):
            raise ValueError("give either client_capacity, or memory with expert_bytes")
        if (self.memory is None) != (self.expert_bytes is None):
            raise ValueError("memory and expert_bytes need each other")
        declared = self._fitting() if self.client_capacity is None else np.asarray(self.client_capacity)
        if declared.ndim > 1:
            raise ValueError(f"client capacities have shape {declared.shape}; they must be a scalar or (num_clients,)")
        capacity = validation.counts("client_capacity", declared, declared.shape, ("num_clients",)[: declared.ndim])
        object.__setattr__(self, "client_capacity", np.maximum(capacity, self.at_least))

    def _fitting(self) -> IntArray:
        """Return how many of the largest expert fit beside the shared part."""
        sizes = {field: validation.numbers(field, getattr(self, field)) for field in ("memory", "expert_bytes")}
        for field, size in {**sizes, "shared_bytes": validation.numbers("shared_bytes", self.shared_bytes)}.items():
            validation.amounts(field, size, size.shape, ("device", "expert")[: size.ndim], infinite=False)
        largest = sizes["expert_bytes"].max(initial=0)
        if largest <= 0:
            raise ValueError("expert_bytes must be above 0")
        return np.maximum((sizes["memory"] - self.shared_bytes) // largest, 0).astype(np.int64)

    def init(self, num_clients: int, num_experts: int) -> NoState:
        """Check that every client is declared.

        Raises
        ------
        ValueError
            If capacities are declared for fewer clients.
        """
        self._check(num_clients - 1)
        return NoState()

    def update(self, state: NoState, reports: Sequence[Report]) -> NoState:
        """Learn nothing: what is declared is believed."""
        return state

    def capacity(self, state: NoState, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Most and fewest experts of each of the cohort's clients, two of (len(cohort),)."""
        self._check(int(cohort.max(initial=0)))
        capacity = self.client_capacity[cohort] if self.client_capacity.ndim else np.full(
            len(cohort), int(self.client_capacity), dtype=np.int64
        )  # fmt: skip
        return capacity, np.minimum(self.client_demand, capacity)

    def _check(self, client: int) -> None:
        if self.client_capacity.ndim and client >= len(self.client_capacity):
            raise ValueError(
                f"client {client} has no declared capacity: there are {len(self.client_capacity)}. "
                "Declare those who join in a new CapacityProfiler (dataclasses.replace the aligner's)"
            )
