"""How many experts a client can hold, as its device declares it."""

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

    Give either ``client_capacity``, or ``memory`` with ``expert_bytes``. Arrays may be longer than the number of
    clients so far: they then cover clients that will join.

    Parameters
    ----------
    client_capacity
        Scalar or (num_clients,), whole numbers: the most experts per client.
    memory
        Scalar or (num_clients,): bytes that each device can spend on training.
    expert_bytes
        Scalar or (num_experts,): bytes that one expert takes while it is trained (weights, gradients, optimiser). If
        experts differ, the largest size counts for all, so that any choice of experts fits.
    shared_bytes
        Bytes that the rest of the model takes at every client.
    at_least
        Least capacity of a client, even if its memory is too small for it. 0: a client without room gets no expert.
    client_demand
        Fewest experts that a client gets, as far as its capacity allows. Without any expert it cannot run a forward
        pass.

    Raises
    ------
    ValueError
        If both ways or neither are given, or a value has a wrong shape or range.

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
        """Compute ``client_capacity``, in experts per client, from the declared values."""
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
        """Return how many experts of the largest size fit beside the shared part."""
        sizes = {field: validation.numbers(field, getattr(self, field)) for field in ("memory", "expert_bytes")}
        for field, size in {**sizes, "shared_bytes": validation.numbers("shared_bytes", self.shared_bytes)}.items():
            validation.amounts(field, size, size.shape, ("device", "expert")[: size.ndim], infinite=False)
        largest = sizes["expert_bytes"].max(initial=0)
        if largest <= 0:
            raise ValueError("expert_bytes must be above 0")
        return np.maximum((sizes["memory"] - self.shared_bytes) // largest, 0).astype(np.int64)

    def init(self, num_clients: int, num_experts: int) -> NoState:
        """Check that every client has a declared capacity.

        Raises
        ------
        ValueError
            If capacities are declared for fewer clients.
        """
        self._check(num_clients - 1)
        return NoState()

    def update(self, state: NoState, reports: Sequence[Report]) -> NoState:
        """Return the state unchanged: declared capacities are not corrected."""
        return state

    def capacity(self, state: NoState, cohort: IntArray) -> tuple[IntArray, IntArray]:
        """Return the most and the fewest experts of each client of the cohort, two arrays of shape (len(cohort),)."""
        self._check(int(cohort.max(initial=0)))
        capacity = self.client_capacity[cohort] if self.client_capacity.ndim else np.full(
            len(cohort), int(self.client_capacity), dtype=np.int64
        )  # fmt: skip
        return capacity, np.minimum(self.client_demand, capacity)

    def _check(self, client: int) -> None:
        if self.client_capacity.ndim and client >= len(self.client_capacity):
            raise ValueError(
                f"client {client} has no declared capacity: there are {len(self.client_capacity)}. "
                "For clients that join, put a longer CapacityProfiler into the aligner (dataclasses.replace)"
            )
