"""Memory as a budget: the bytes that each client can spend on experts, and what each expert weighs.

The experts of a model's layers often differ in size. So a device's memory is not a number of experts, but a sum of
bytes over all layers. If all experts weigh the same, the budget is a number of experts after all, and the alignment
stays a flow problem.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.estimate import checks
from alignsolve.estimate.deadline import Budgets
from alignsolve.estimate.report import Report
from alignsolve.estimate.state import NoState
from alignsolve.numerics import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class MemoryBudget:
    """Budgets of bytes, one per client for the experts of all layers together.

    Parameters
    ----------
    memory
        Scalar or (num_clients,): bytes that each device can spend on training. An array may be longer than the number
        of clients so far: it then covers clients that will join.
    expert_bytes
        Scalar, (num_experts,), or with ``layers`` (num_layers,): bytes that an expert takes while it is trained
        (weights, gradients, optimiser).
    shared_bytes
        Bytes that the rest of the model takes at every client.
    layers
        Number of experts of each layer, if ``expert_bytes`` is given per layer.

    Raises
    ------
    ValueError
        If a value has a wrong shape or range.

    Examples
    --------
    Two layers with two experts each; those of the second layer are three times as large:

    >>> budget = MemoryBudget(memory=[900, 500], expert_bytes=[100, 300], shared_bytes=50, layers=(2, 2))
    >>> budget.budgets(budget.init(2, 4), np.arange(2))
    Budgets(budget=array([850., 450.]), cost=array([[100., 100., 300., 300.]]))
    """

    memory: Any
    expert_bytes: Any
    shared_bytes: float = 0.0
    layers: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        """Read the declared values into arrays and check them."""
        checks.amount("shared_bytes", self.shared_bytes)
        for field, axis in (("memory", "num_clients"), ("expert_bytes", "num_experts")):
            values = validation.numbers(field, getattr(self, field))
            if values.ndim > 1:
                raise ValueError(f"{field} has shape {values.shape}; it must be a scalar or ({axis},)")
            validation.amounts(field, values, values.shape, (axis,)[: values.ndim], infinite=False)
            object.__setattr__(self, field, values)
        if not (self.expert_bytes > 0).all():
            raise ValueError("expert_bytes must be above 0")
        if self.layers is not None:
            object.__setattr__(self, "layers", tuple(self.layers))
            if self.expert_bytes.shape == (len(self.layers),):
                object.__setattr__(self, "expert_bytes", np.repeat(self.expert_bytes, self.layers))

    def init(self, num_clients: int, num_experts: int) -> NoState:
        """Check that the declared values are those of these clients and experts.

        Raises
        ------
        ValueError
            If memory is declared for fewer clients, or sizes for another number of experts.
        """
        self._check(num_clients - 1)
        if self.expert_bytes.ndim and len(self.expert_bytes) != num_experts:
            raise ValueError(f"expert_bytes has {len(self.expert_bytes)} entries, there are {num_experts} experts")
        return NoState()

    def update(self, state: NoState, reports: Sequence[Report]) -> NoState:
        """Return the state unchanged: declared memory is not corrected."""
        return state

    def budgets(self, state: NoState, cohort: IntArray) -> Budgets:
        """Return the bytes that the cohort's clients can spend on experts, and what the experts weigh."""
        self._check(int(cohort.max(initial=0)))
        memory = self.memory[cohort] if self.memory.ndim else np.full(len(cohort), float(self.memory))
        left: FloatArray = np.maximum(memory - self.shared_bytes, 0.0)
        same = self.expert_bytes.ndim == 0 or np.ptp(self.expert_bytes) == 0
        return Budgets(left, self.expert_bytes.reshape(1, -1)[:, : 1 if same else None])

    def _check(self, client: int) -> None:
        if self.memory.ndim and client >= len(self.memory):
            raise ValueError(
                f"client {client} has no declared memory: there are {len(self.memory)}. "
                "For clients that join, put a longer MemoryBudget into the aligner (dataclasses.replace)"
            )
