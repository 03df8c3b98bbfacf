"""Weights: the cost of each kind of change in a repair. The user decides which bounds are cheap to change."""

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
    "optional_demand",
    "set_demand",
    "set_capacity",
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
    "optional_demand": ("num_experts",),
    "set_demand": ("num_sets",),
    "set_capacity": ("num_sets",),
    "client_demand": ("num_clients",),
    "client_capacity": ("num_clients",),
    "group_demand": ("num_clients", "num_groups"),
    "group_capacity": ("num_clients", "num_groups"),
    "required": ("num_clients", "num_experts"),
    "client_budget": ("num_clients", "num_resources"),
}
"""The axes of each kind of bound."""


@dataclass(frozen=True, eq=False)
class Weights:
    """The cost of one unit of change, for each kind of bound. Above 0; inf: the bound must not change.

    One unit is: for the kinds of experts and of sets of experts, one unit of load; for the client and group kinds, one
    expert; for ``required``, one pair that is no longer required; for ``client_budget``, one unit of the budget. Arrays
    are aligned at the last axis.

    Parameters
    ----------
    expert_demand, expert_capacity, optional_demand
        Scalar or (num_experts,).
    set_demand, set_capacity
        Scalar or (num_sets,).
    client_demand, client_capacity
        Scalar or (num_clients,).
    group_demand, group_capacity
        Scalar, (num_groups,) or (num_clients, num_groups).
    required
        Scalar, (num_experts,) or (num_clients, num_experts).
    client_budget
        Scalar, (num_resources,) or (num_clients, num_resources). Inf by default: a device's resources are given.
    """

    expert_demand: Any = 1.0
    expert_capacity: Any = 1.0
    optional_demand: Any = 1.0
    set_demand: Any = 1.0
    set_capacity: Any = 1.0
    client_demand: Any = 1.0
    client_capacity: Any = 1.0
    group_demand: Any = 1.0
    group_capacity: Any = 1.0
    required: Any = 1.0
    client_budget: Any = np.inf

    @classmethod
    def read(cls, given: "Weights | Mapping[str, Any] | None") -> "Weights":
        """Return the given weights; a mapping names those that differ from the default.

        Raises
        ------
        ValueError
            If a name is not a kind of bound.
        """
        if given is None or isinstance(given, Weights):
            return given or cls()
        unknown = sorted(set(given) - set(AXES))
        if unknown:
            raise ValueError(f"weights: there is no kind {unknown[0]!r}; there are: {', '.join(AXES)}")
        return cls(**given)

    def spread(self, problem: AlignmentProblem) -> dict[Kind, FloatArray]:
        """Check all weights, and return them in the shapes of the bounds.

        Raises
        ------
        ValueError
            If a weight is not above 0 or has a wrong shape; the message names the kind and the entry.
        """
        resources = 0 if problem.client_budget is None else int(problem.client_budget.shape[1])
        sizes = {
            "num_clients": problem.num_clients,
            "num_experts": problem.num_experts,
            "num_groups": problem.num_groups,
            "num_sets": problem.num_sets,
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
