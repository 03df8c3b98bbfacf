"""What each kind of change costs a repair: the user's say in what is cheap to mend and what may not be touched."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

import numpy as np

from alignsolve.data import validation
from alignsolve.numerics import FloatArray
from alignsolve.problem import AlignmentProblem

Kind = Literal[
    "expert_demand",
    "expert_capacity",
    "client_demand",
    "client_capacity",
    "group_demand",
    "group_capacity",
    "required",
    "client_budget",
]
AXES: dict[Kind, tuple[str, ...]] = {
    "expert_demand": ("num_experts",),
    "expert_capacity": ("num_experts",),
    "client_demand": ("num_clients",),
    "client_capacity": ("num_clients",),
    "group_demand": ("num_clients", "num_groups"),
    "group_capacity": ("num_clients", "num_groups"),
    "required": ("num_clients", "num_experts"),
    "client_budget": ("num_clients", "num_resources"),
}
"""What a bound of each kind belongs to."""


@dataclass(frozen=True, eq=False)
class Weights:
    """Price of one unit of change, for each kind of bound; above 0, inf: not to be touched.

    The expert kinds are paid per unit of load, the client and group kinds per expert, ``required`` per pair that is
    required no longer, ``client_budget`` in the budget's unit. Arrays are aligned at the last axis.

    Parameters
    ----------
    expert_demand, expert_capacity
        Scalar or (num_experts,).
    client_demand, client_capacity
        Scalar or (num_clients,).
    group_demand, group_capacity
        Scalar, (num_groups,) or (num_clients, num_groups).
    required
        Scalar, (num_experts,) or (num_clients, num_experts).
    client_budget
        Scalar, (num_resources,) or (num_clients, num_resources). Left alone by default: what a device has is a fact.
    """

    expert_demand: Any = 1.0
    expert_capacity: Any = 1.0
    client_demand: Any = 1.0
    client_capacity: Any = 1.0
    group_demand: Any = 1.0
    group_capacity: Any = 1.0
    required: Any = 1.0
    client_budget: Any = np.inf

    @classmethod
    def read(cls, given: "Weights | Mapping[str, Any] | None") -> "Weights":
        """Take weights as they are, or the names and values of those that differ from the default.

        Raises
        ------
        ValueError
            If a name is not a kind.
        """
        if given is None or isinstance(given, Weights):
            return given or cls()
        unknown = sorted(set(given) - set(AXES))
        if unknown:
            raise ValueError(f"weights: there is no kind {unknown[0]!r}; there are: {', '.join(AXES)}")
        return cls(**given)

    def spread(self, problem: AlignmentProblem) -> dict[Kind, FloatArray]:
        """Every weight, checked, in the shape of the bounds that it prices.

        Raises
        ------
        ValueError
            Naming the kind and the entry of a weight that is none.
        """
        resources = 0 if problem.client_budget is None else int(problem.client_budget.shape[1])
        sizes = {
            "num_clients": problem.num_clients,
            "num_experts": problem.num_experts,
            "num_groups": problem.num_groups,
            "num_resources": resources,
        }
        spread: dict[Kind, FloatArray] = {}
        for kind, axes in AXES.items():
            shape = tuple(sizes[axis] for axis in axes)
            values = validation.amounts(f"weights.{kind}", getattr(self, kind), shape, axes, infinite=True)
            if not (validation.unspread(values) > 0).all():
                raise ValueError(f"weights.{kind} has an entry of 0; a weight must be above 0 (inf: do not touch)")
            spread[kind] = values
        return spread


assert {field.name for field in fields(Weights)} == set(AXES)
