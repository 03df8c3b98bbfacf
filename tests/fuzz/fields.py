"""A drawn problem as its arguments, with the axes of each: to build it, to make it smaller, and to print it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from alignsolve import AlignmentProblem

AXES = {
    "fitness": "ij", "eligible": "ij", "required": "ij", "previous": "ij", "switching_cost": "ij", "client_load": "ij",
    "client_capacity": "i", "client_demand": "i", "expert_capacity": "j", "expert_demand": "j",
    "overload_penalty": "j", "shortfall_penalty": "j", "expert_group": "j", "group_capacity": "ig",
    "group_demand": "ig", "client_budget": "ir", "expert_cost": "ijr", "optional_demand": "j",
    "expert_sets": "sj", "set_capacity": "s", "set_demand": "s", "set_overload_penalty": "s",
    "set_shortfall_penalty": "s",
}  # fmt: skip
"""The full shape of each field: clients i, experts j, groups g, resources r, sets of experts s."""
SET_BOUNDS = ("set_capacity", "set_demand", "set_overload_penalty", "set_shortfall_penalty")
GONE_WITH = {"expert_group": {"group_capacity", "group_demand"}, "expert_sets": set(SET_BOUNDS)}
TOGETHER = {"client_budget": "expert_cost", "expert_cost": "client_budget"}
STORED = ("fitness", "required", "previous")


@dataclass(frozen=True)
class Drawn:
    """Arguments of a problem, each with the axes that it is given with.

    Attributes
    ----------
    fields
        Value and axes by name.
    sparse
        Whether the fitness is given as a sparse matrix of the eligible pairs.
    hostile
        Whether its numbers are extreme.
    """

    fields: dict[str, tuple[Any, str]]
    sparse: bool = False
    hostile: bool = False

    @property
    def shape(self) -> tuple[int, int]:
        """(num_clients, num_experts)."""
        return self.fields["fitness"][0].shape

    def value(self, name: str) -> Any:
        """The field as it is given."""
        return self.fields[name][0]

    def full(self, name: str) -> Any:
        """The field in its full shape, without alignsolve's own reading."""
        value, own = self.fields[name]
        value, axes = np.asarray(value), AXES[name]
        n, e = self.shape
        sizes = {"i": n, "j": e, "g": self.num_groups, "r": 1, "s": self.num_sets}
        sizes |= dict(zip(own, value.shape, strict=True))
        expanded = value.reshape([sizes[axis] if axis in own else 1 for axis in axes])
        return np.broadcast_to(expanded, [sizes[axis] for axis in axes])

    @property
    def num_groups(self) -> int:
        """Groups that the experts name."""
        return int(self.fields["expert_group"][0].max()) + 1 if "expert_group" in self.fields else 0

    @property
    def num_sets(self) -> int:
        """Sets that experts are in."""
        return len(self.members)

    @property
    def members(self) -> Any:
        """(num_sets, num_experts) bools: which experts are in which set."""
        given, axes = self.fields.get("expert_sets", (np.zeros((0, self.shape[1]), dtype=np.bool_), "sj"))
        return given if axes == "sj" else given == np.arange(given.max() + 1)[:, None]

    def problem(self) -> AlignmentProblem:
        """Build it; a ValueError says that it is none."""
        return AlignmentProblem(**self.arguments())

    def arguments(self) -> dict[str, Any]:
        """The arguments of the problem."""
        given = {name: value for name, (value, _) in self.fields.items()}
        if not self.sparse:
            return given
        eligible = given.pop("eligible")
        for name in STORED:
            if name in given:
                given[name] = stored(given[name], eligible)
        cost, axes = self.fields.get("switching_cost", (None, ""))
        if axes == "ij":
            given["switching_cost"] = stored(cost, eligible)
        return given

    def without(self, axis: str, index: int) -> "Drawn":
        """Drop a client (i), an expert (j), a resource (r) or a set (s); groups and sets without experts go, too."""
        fields = self.in_rows().fields if axis == "s" else self.fields
        fields = {
            name: (np.delete(value, index, own.index(axis)) if axis in own else value, own)
            for name, (value, own) in fields.items()
        }
        if axis == "j" and "expert_group" in fields:
            fields = _renumbered(fields, "expert_group", "g", ("group_capacity", "group_demand"))
        if axis == "j" and self.fields.get("expert_sets", (0, ""))[1] == "j":
            fields = _renumbered(fields, "expert_sets", "s", SET_BOUNDS)
        left = replace(self, fields=fields)
        for empty in np.flatnonzero(~left.members.any(axis=1))[::-1]:
            left = left.without("s", int(empty))
        if "expert_sets" in fields and not len(left.members):
            gone = {"expert_sets", *SET_BOUNDS}
            left = replace(self, fields={name: field for name, field in left.fields.items() if name not in gone})
        return left

    def in_rows(self) -> "Drawn":
        """Give sets as a row of bools each, where they are labels."""
        labelled = self.fields.get("expert_sets", (0, ""))[1] == "j"
        return replace(self, fields={**self.fields, "expert_sets": (self.members, "sj")}) if labelled else self

    def smaller(self) -> Iterator["Drawn"]:
        """Yield problems with a part less, the largest parts first; not all of them are problems."""
        for axis, size in (("i", self.shape[0]), ("j", self.shape[1])):
            if size > 1:
                yield from (self.without(axis, index) for index in range(size))
        for name in list(self.fields):
            if name != "fitness" and not (self.sparse and name == "eligible"):
                gone = {name, TOGETHER.get(name, name)} | GONE_WITH.get(name, set())
                yield replace(self, fields={key: field for key, field in self.fields.items() if key not in gone})
        if self.sparse:
            yield replace(self, sparse=False)
        if "r" in self.fields.get("client_budget", (0, ""))[1]:
            yield from (self.without("r", index) for index in range(self.value("client_budget").shape[-1]))
        yield from self._smaller_sets()
        for name, (value, own) in self.fields.items():
            yield from (
                replace(self, fields={**self.fields, name: (other, own)}) for other in plainer(np.asarray(value))
            )

    def _smaller_sets(self) -> Iterator["Drawn"]:
        """Yield problems with a set less, or with one that has an expert less."""
        members = self.members
        if len(members) > 1:
            yield from (self.without("s", index) for index in range(len(members)))
        for place in zip(*np.nonzero(members), strict=True):
            if members[place[0]].sum() > 1:
                fewer = members.copy()
                fewer[place] = False
                yield replace(self, fields={**self.fields, "expert_sets": (fewer, "sj")})


def plainer(values: Any) -> Iterator[Any]:
    """Yield arrays with one number made plainer."""
    if values.dtype == np.bool_:
        return
    for place in np.ndindex(values.shape):
        now = values[place]
        if not np.isfinite(now):
            continue
        for other in (0, 1, np.round(now), np.round(now, 1)):
            if abs(other) <= abs(now) and other != now:
                changed = values.copy()
                changed[place] = other
                yield changed


def _renumbered(
    fields: dict[str, tuple[Any, str]], labels: str, axis: str, bounds: tuple[str, ...]
) -> dict[str, tuple[Any, str]]:
    """Drop groups, or sets, that lost their last expert."""
    kept, numbers = np.unique(fields[labels][0], return_inverse=True)
    fields = {**fields, labels: (numbers.reshape(-1), "j")}
    for name in bounds:
        value, own = fields.get(name, (None, ""))
        if axis in own:
            fields[name] = (np.take(value, kept, own.index(axis)), own)
    return fields


def stored(values: Any, eligible: Any) -> csr_array:
    """Return a sparse matrix that stores the eligible pairs, zeros too."""
    clients, experts = np.nonzero(eligible)
    indptr = np.searchsorted(clients, np.arange(len(eligible) + 1))
    return csr_array((np.asarray(values)[clients, experts], experts, indptr), shape=eligible.shape)


def written(drawn: Drawn) -> list[str]:
    """The lines of code that build the problem."""
    lines = []
    if drawn.sparse:
        lines += [f"    eligible = {literal(drawn.value('eligible'))}"]
    lines += ["    problem = AlignmentProblem("]
    for name, (value, own) in drawn.fields.items():
        if drawn.sparse and name == "eligible":
            continue
        is_stored = drawn.sparse and (name in STORED or (name == "switching_cost" and own == "ij"))
        text = literal(np.asarray(value))
        lines += [f"        {name}={f'stored({text}, eligible)' if is_stored else text},"]
    return [*lines, "    )"]


def literal(values: Any) -> str:
    """Code for an array, with its dtype where a list would lose it."""
    values = np.asarray(values)
    text = repr(values.tolist()).replace("inf", "np.inf").replace("nan", "np.nan")
    if not values.shape:
        return text
    plain = values.dtype in (np.float64, np.int64, np.bool_)
    return f"np.array({text})" if plain else f"np.array({text}, dtype=np.{values.dtype})"
