"""Labels and masks of arguments: a labelled array is matched by them, and a mask that would be lost is refused."""

from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.frames import is_labelled, read_labelled
from alignsolve.data.names import as_names, some

NAMES = ("client_names", "expert_names", "set_names")
CLIENTS, EXPERTS, GROUPS, RESOURCES, SETS = "clients", "experts", "groups", "resources", "sets"
BY_CLIENT = ("client_capacity", "client_demand", "client_load", "client_budget")
"""Fields whose only axis, if they have one, are the clients; all others have the experts there, or the groups."""
BY_GROUP = ("group_capacity", "group_demand")
BY_SET = ("set_capacity", "set_demand", "set_overload_penalty", "set_shortfall_penalty")
FLAT = ("client_capacity", "client_demand", "expert_capacity", "expert_demand", "overload_penalty",
        "shortfall_penalty", "expert_group", "optional_demand")  # fmt: skip
"""Fields with one number per client or expert. A frame of names and numbers is such a field, too."""


def refuse_mask(field: str, given: Any) -> None:
    """Raise for a masked array of NumPy that masks anything: the mask would be lost.

    Raises
    ------
    ValueError
        With the number of masked entries, and what to pass in its place.
    """
    if not isinstance(given, np.ma.MaskedArray):
        return
    masked = int(np.ma.getmaskarray(given).sum())
    if masked:
        instead = "eligible=~mask and fitness.filled(0)" if field == "fitness" else f"{field}.filled(...)"
        raise ValueError(f"{field} is a masked array with {masked} masked entries, and a mask is not read; "
                         f"pass {instead}")  # fmt: skip


def matched(fields: dict[str, Any]) -> dict[str, Any]:
    """Put labelled arguments, such as a Series, into the order of the clients and the experts.

    Parameters
    ----------
    fields
        The arguments of a problem by name. Labels 0, 1, 2, … count as none.

    Returns
    -------
    dict
        The arguments that were labelled, as plain arrays, and the names that the fitness and the sets give. Unlabelled
        ones are not in it.

    Raises
    ------
    ValueError
        If the labels are not those of the fitness; with some of both, and what to do.
    """
    found: dict[str, Any] = {}
    labelled = [field for field, given in fields.items() if field not in NAMES and is_labelled(given)]
    if not labelled:
        return found
    known: dict[str, list[Any] | None] = {
        axis: None if fields.get(name) is None else as_names(fields[name])
        for axis, name in zip((CLIENTS, EXPERTS, SETS), NAMES, strict=True)
    }
    if "fitness" in labelled:
        found["fitness"] = _fitness(fields, known, found)
    found |= {field: _in_order(field, fields[field], fields, known) for field in labelled if field != "fitness"}
    if fields.get("set_names") is None and known.get(SETS) is not None:
        found["set_names"] = known[SETS]
    return found


def _fitness(fields: dict[str, Any], known: dict[str, list[Any] | None], found: dict[str, Any]) -> npt.NDArray[Any]:
    """The fitness in the order of the names, where these are given; else its labels are the names."""
    read = read_labelled("fitness", fields["fitness"])
    values = read.values
    for axis, (labels, kind, name) in enumerate(zip(read.axes, (CLIENTS, EXPERTS), NAMES, strict=False)):
        if labels is None:
            continue
        if known[kind] is None:
            known[kind], found[name] = as_names(labels), labels
            continue
        values = _taken("fitness", values, axis, labels, known[kind], f"the {name}")
    return values


def _in_order(field: str, given: Any, fields: dict[str, Any], known: dict[str, list[Any] | None]) -> npt.NDArray[Any]:
    """An argument as an array; each of its labelled axes in the order of the clients, or what the axis stands for."""
    read = read_labelled(field, given, flat=field in FLAT)
    values: npt.NDArray[Any] = read.values
    for axis, (labels, kind) in enumerate(zip(read.axes, _axes(field, values.ndim, fields), strict=False)):
        if labels is None:
            continue
        wanted = known.get(kind)
        if kind == RESOURCES and wanted is None and field == "client_budget":
            known[RESOURCES] = as_names(labels)
            continue
        if kind == SETS and wanted is None and field == "expert_sets":
            known[SETS] = as_names(labels)
            continue
        values = _taken(field, values, axis, labels, wanted, "those of the fitness")
    return values


def _axes(field: str, ndim: int, fields: dict[str, Any]) -> tuple[str, ...]:
    """What the axes of a field stand for."""
    several = np.ndim(fields["client_budget"]) == 2
    if field in BY_SET:
        return (SETS,)
    if field == "expert_sets" and ndim == 2:
        return (SETS, EXPERTS)
    if field in BY_GROUP:
        return (GROUPS,) if ndim == 1 else (CLIENTS, GROUPS)
    if ndim == 1:
        return (CLIENTS,) if field in BY_CLIENT else (EXPERTS,)
    if field == "client_budget":
        return (CLIENTS, RESOURCES)
    return (EXPERTS, RESOURCES) if field == "expert_cost" and several else (CLIENTS, EXPERTS)


def _taken(
    field: str, values: npt.NDArray[Any], axis: int, labels: list[Any], wanted: list[Any] | None, whose: str
) -> npt.NDArray[Any]:
    """Put one axis into the wanted order.

    Raises
    ------
    ValueError
        If the labels are not the wanted ones, each once; with some of both.
    """
    own = as_names(labels)
    place = {label: k for k, label in enumerate(own)}
    if wanted is not None and len(place) == len(own) == len(wanted) and all(label in place for label in wanted):
        return values.take([place[label] for label in wanted], axis=axis)
    raise ValueError(
        f"{field} has the labels {some(labels)}; {whose} are {some(wanted) if wanted else 'none'}"
        f"{_difference(own, wanted or [])}; give it the same labels, or no labels and the order of the fitness: "
        f"{field}.to_numpy()"
    )


def _difference(own: list[Any], wanted: list[Any]) -> str:
    """Tell the first difference of two lists of labels."""
    twice = next((label for k, label in enumerate(own) if label in own[:k]), None) if len(own) < 1000 else None
    if twice is not None:
        return f" ({twice!r} is there twice)"
    if not wanted:
        return ""
    strange, missing = sorted(set(own) - set(wanted), key=str), sorted(set(wanted) - set(own), key=str)
    told = ([f"{some(strange)} is not known"] if strange else []) + ([f"{some(missing)} is missing"] if missing else [])
    return f" ({'; '.join(told)})" if told else ""
