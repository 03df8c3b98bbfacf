"""Reads groups of experts, such as the layers of a model, and the clients' bounds in each."""

from typing import Any

from alignsolve.data import validation


def read_groups(expert_group: Any, group_capacity: Any, group_demand: Any, shape: tuple[int, int]) -> dict[str, Any]:
    """Validate the fields of groups.

    Parameters
    ----------
    expert_group, group_capacity, group_demand
        As given to :class:`~alignsolve.AlignmentProblem`.
    shape
        (num_clients, num_experts).

    Returns
    -------
    fields
        By name: (num_experts,) groups, and (num_clients, num_groups) bounds; None where there are no groups.

    Raises
    ------
    ValueError
        If bounds are given without groups, or an entry is no whole number of 0 or more.
    """
    if expert_group is None:
        for field, given in (("group_capacity", group_capacity), ("group_demand", group_demand)):
            if given is not None:
                raise ValueError(f"{field} is given without expert_group: say which expert is in which group")
        return {}
    n, e = shape
    group = validation.counts("expert_group", expert_group, (e,), ("num_experts",))
    num_groups = validation.number_of_groups(group, (group_capacity, group_demand))
    wide, axes = (n, num_groups), ("num_clients", "num_groups")
    capacity = e if group_capacity is None else group_capacity
    demand = 0 if group_demand is None else group_demand
    return {
        "expert_group": group,
        "group_capacity": validation.counts("group_capacity", capacity, wide, axes),
        "group_demand": validation.counts("group_demand", demand, wide, axes),
    }
