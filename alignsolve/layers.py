"""Several MoE layers at once: joins the problems of all layers into one problem, and splits its solution by layer.

The experts of the layers stand side by side, and each layer is one group. So a client's demand and capacity within a
layer become its demand and capacity within a group. A common budget or capacity of each client couples the layers.
Without one, the layers could be solved separately.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data import validation
from alignsolve.data.alignment import Alignment, as_alignment
from alignsolve.data.blocks import RowBlocks
from alignsolve.data.expert_sets import SET_BOUNDS
from alignsolve.data.names import Name
from alignsolve.numerics import BoolArray, FloatArray, IntArray, Number
from alignsolve.problem import AlignmentProblem
from alignsolve.solution import Solution

STAND_IN = {"eligible": True, "required": False, "client_load": 1.0, "previous": False}
"""Optional fields of pairs, with the value for a layer that lacks a field which another layer has."""
EXPERTS = ("expert_capacity", "expert_demand", "overload_penalty", "shortfall_penalty")


@dataclass(frozen=True, eq=False)
class LayerSolution:
    """One layer's part of a solution; experts are numbered within the layer.

    Attributes
    ----------
    problem
        The layer's own problem.
    assigned
        The layer's part of the alignment, as CSR; None if the solution has none.
    objective
        The layer's part of the objective; the parts of all layers sum to it.
    loads, prices
        (num_experts,) loads and prices of the layer; None if the solution has none. Prices are what clients pay: they
        include those of sets around an expert, also of sets over several layers.
    """

    problem: AlignmentProblem
    assigned: Alignment | None
    objective: Number | None
    loads: FloatArray | None
    prices: FloatArray | None

    @property
    def x(self) -> BoolArray | None:
        """The layer's alignment as a (num_clients, num_experts) matrix of bools."""
        return None if self.assigned is None else self.assigned.to_dense(self.problem.num_experts)


@dataclass(frozen=True, eq=False)
class LayeredProblem:
    """Several layers in one problem.

    Attributes
    ----------
    problem
        The problem to solve: all layers' experts side by side; ``problem.expert_group`` is the layer of each expert.
    layers
        The problems of the layers.
    """

    problem: AlignmentProblem
    layers: tuple[AlignmentProblem, ...]

    @property
    def starts(self) -> IntArray:
        """(num_layers + 1,) first expert of each layer, and the number of all experts."""
        return np.concatenate([[0], np.cumsum([layer.num_experts for layer in self.layers], dtype=np.int64)])

    def split(self, given: npt.ArrayLike) -> list[npt.NDArray[Any]]:
        """Split an array, whose last axis is all experts, into the layers' parts; the parts are views.

        Parameters
        ----------
        given
            An array of shape (…, num_experts).

        Raises
        ------
        ValueError
            If the last axis has another length.
        """
        array = np.asarray(given)
        if array.ndim == 0 or array.shape[-1] != self.problem.num_experts:
            raise ValueError(f"the last axis must be the {self.problem.num_experts} experts, not {array.shape}")
        return np.split(array, self.starts[1:-1], axis=-1)

    def read(self, solution: Solution) -> tuple[LayerSolution, ...]:
        """Split a solution of ``problem`` by layer.

        Parameters
        ----------
        solution
            A solution of ``problem``; it may be without an alignment.

        Raises
        ------
        ValueError
            If the solution's problem has another shape.
        """
        if solution.problem.shape != self.problem.shape:
            raise ValueError(f"the solution has shape {solution.problem.shape}, the layers {self.problem.shape}")
        return tuple(self._read_layer(k, solution) for k in range(len(self.layers)))

    def _read_layer(self, k: int, solution: Solution) -> LayerSolution:
        layer, part = self.layers[k], slice(self.starts[k], self.starts[k + 1])
        prices = None if solution.prices is None else solution.prices[part]
        if solution.assigned is None or solution.loads is None:
            return LayerSolution(layer, None, None, None, prices)
        clients, experts = solution.assigned.clients(), solution.assigned.experts
        inside = (experts >= part.start) & (experts < part.stop)
        own = Alignment.from_pairs(clients[inside], experts[inside] - part.start, layer.num_clients)
        return LayerSolution(layer, own, layer.objective(own), solution.loads[part], prices)

    def join(self, alignments: Sequence[Any]) -> Alignment:
        """Join alignments of the layers, for a warm start or a check.

        Each alignment is a matrix of bools or (indptr, experts).

        Raises
        ------
        ValueError
            If the number of alignments is not the number of layers.
        """
        if len(alignments) != len(self.layers):
            raise ValueError(f"there are {len(self.layers)} layers, not {len(alignments)}")
        parts = [as_alignment(x, *layer.shape) for x, layer in zip(alignments, self.layers, strict=True)]
        experts = [part.experts + start for part, start in zip(parts, self.starts[:-1], strict=True)]
        clients = [part.clients() for part in parts]
        return Alignment.from_pairs(np.concatenate(clients), np.concatenate(experts), self.problem.num_clients)


def join_layers(
    layers: Sequence[AlignmentProblem],
    *,
    client_budget: Any = None,
    expert_costs: Sequence[Any] | None = None,
    client_capacity: Any = None,
    client_demand: Any = 0,
) -> LayeredProblem:
    """Join the problems of a model's layers into one problem.

    Parameters
    ----------
    layers
        One problem per layer, all with the same clients. Each has the fitness (num_clients, experts of the layer) and
        the bounds of the layer's experts. Its ``client_capacity`` and ``client_demand`` are the most and the fewest
        experts of the layer per client. A client without an expert in some layer cannot run a forward pass, so the
        demand is usually 1. Its sets of experts stay sets. Sets over several layers, such as all that a server hosts,
        are given to the joined problem: ``replace(layered.problem, expert_sets=…)``.
    client_budget
        Scalar, (num_clients,) or (num_clients, num_resources): budget of a client for its experts in all layers.
    expert_costs
        For each layer: scalar, (experts of the layer,) or (num_clients, experts of the layer), in the budget's unit;
        with a trailing num_resources axis if ``client_budget`` has one.
    client_capacity, client_demand
        Scalar or (num_clients,): the most (default: no limit) and the fewest experts in all layers together.

    Returns
    -------
    LayeredProblem
        Holds the problem to solve; :meth:`LayeredProblem.read` splits its solution by layer.

    Raises
    ------
    ValueError
        If layers or fields do not fit together; the message names the layer and the field.

    Examples
    --------
    Two layers of two and three experts; a device with 2 megabytes holds one small expert of each.

    >>> from alignsolve import AlignmentProblem, join_layers, solve
    >>> first = AlignmentProblem([[4, 1], [3, 2]], client_demand=1, client_capacity=2, expert_capacity=1)
    >>> second = AlignmentProblem([[5, 1, 0], [4, 1, 3]], client_demand=1, client_capacity=2, expert_capacity=1)
    >>> model = join_layers([first, second], client_budget=[3e6, 2e6], expert_costs=[[2e6, 1e6], 1e6])
    >>> solution = solve(model.problem)
    >>> upper, lower = model.read(solution)
    >>> solution.objective, upper.assigned.experts.tolist(), lower.x.astype(int).tolist()
    (14, [0, 1], [[1, 0, 0], [0, 0, 1]])
    >>> upper.objective, lower.loads.tolist()
    (6, [1.0, 0.0, 1.0])
    """
    layers = tuple(layers)
    _refuse_bad_layers(layers)
    sizes = np.array([layer.num_experts for layer in layers])
    fields: dict[str, Any] = {
        "fitness": np.concatenate([layer.fitness for layer in layers], axis=1),
        "client_capacity": sizes.sum() if client_capacity is None else client_capacity,
        "client_demand": client_demand,
        "expert_group": np.repeat(np.arange(len(layers)), sizes),
        "group_capacity": np.stack([layer.client_capacity for layer in layers], axis=1),
        "group_demand": np.stack([layer.client_demand for layer in layers], axis=1),
    }
    for field in EXPERTS:
        fields[field] = np.concatenate([getattr(layer, field) for layer in layers])
    for field in STAND_IN:
        fields[field] = _side_by_side(layers, field)
    if any(layer.has_switching_costs for layer in layers):
        fields["switching_cost"] = np.concatenate([layer.switching_cost for layer in layers], axis=1)
    if any(layer.optional_demand is not None for layer in layers):
        fields["optional_demand"] = np.concatenate([_optional_demand(layer) for layer in layers])
    fields |= _sets(layers)
    fields["client_names"] = next((layer.client_names for layer in layers if layer.client_names is not None), None)
    fields["expert_names"] = _expert_names(layers)
    if client_budget is not None or expert_costs is not None:
        fields["client_budget"] = client_budget
        fields["expert_cost"] = None if expert_costs is None else _costs(layers, expert_costs, client_budget)
    return LayeredProblem(AlignmentProblem(**fields), layers)


def _refuse_bad_layers(layers: tuple[AlignmentProblem, ...]) -> None:
    """Refuse layers with different clients, or with groups or budgets of their own: joining needs both."""
    if not layers:
        raise ValueError("layers is empty; give at least one problem")
    named: AlignmentProblem | None = None
    for k, layer in enumerate(layers):
        if not isinstance(layer, AlignmentProblem):
            raise TypeError(f"layer {k} must be an AlignmentProblem, not {type(layer).__name__}")
        if layer.num_clients != layers[0].num_clients:
            raise ValueError(f"layer {k} has {layer.num_clients} clients, layer 0 has {layers[0].num_clients}")
        if layer.client_names is not None and (named := named or layer).client_names != layer.client_names:
            raise ValueError(f"layer {k} names its clients otherwise than a layer before it; give all the same order")
        if layer.num_experts == 0:
            raise ValueError(f"layer {k} has no experts")
        if layer.stored is not None:
            raise ValueError(f"layer {k} is sparse, but layers are joined as full matrices: give layer.to_dense()")
        if isinstance(layer.fitness, RowBlocks):
            raise ValueError(f"layer {k}: fitness is read in blocks, but layers are joined in memory")
        if layer.expert_group is not None:
            raise ValueError(f"layer {k} has an expert_group of its own; a layer is one group")
        if layer.client_budget is not None:
            raise ValueError(f"layer {k} has a client_budget of its own; give client_budget and expert_costs for all")


def _sets(layers: tuple[AlignmentProblem, ...]) -> dict[str, Any]:
    """Return the sets of all layers' experts, one layer's after the other's; none if no layer has any."""
    known = [layer for layer in layers if layer.sets is not None]
    if not known:
        return {}
    shares = [np.zeros((0, layer.num_experts), dtype=np.bool_) if layer.sets is None else layer.expert_sets
              for layer in layers]  # fmt: skip
    members = np.zeros((sum(map(len, shares)), sum(layer.num_experts for layer in layers)), dtype=np.bool_)
    row = column = 0
    for share in shares:
        members[row : row + len(share), column : column + share.shape[1]] = share
        row, column = row + len(share), column + share.shape[1]
    bounds = {name: np.concatenate([getattr(layer, name) for layer in known]) for name in SET_BOUNDS}
    return {"expert_sets": members, **bounds, "set_names": _set_names(layers)}


def _set_names(layers: tuple[AlignmentProblem, ...]) -> tuple[Name, ...] | None:
    """Return the names of all layers' sets, with their layers; None if no layer names its sets."""
    if all(layer.set_names is None for layer in layers):
        return None
    names = [layer.set_names or tuple(range(layer.num_sets)) for layer in layers]
    return tuple(f"{name} (layer {k})" for k, own in enumerate(names) for name in own)


def _optional_demand(layer: AlignmentProblem) -> FloatArray:
    """Return the optional demands of a layer's experts, 0 where it has none."""
    return np.zeros(layer.num_experts) if layer.optional_demand is None else layer.optional_demand


def _expert_names(layers: tuple[AlignmentProblem, ...]) -> tuple[Name, ...] | None:
    """Return the names of all layers' experts; with their layers where a name occurs in several, or is missing."""
    if all(layer.expert_names is None for layer in layers):
        return None
    names = [layer.expert_names or tuple(range(layer.num_experts)) for layer in layers]
    joined = [name for own in names for name in own]
    if None not in [layer.expert_names for layer in layers] and len(set(map(str, joined))) == len(joined):
        return tuple(joined)
    return tuple(f"{name} (layer {k})" for k, own in enumerate(names) for name in own)


def _side_by_side(layers: tuple[AlignmentProblem, ...], field: str) -> Any:
    """Return a field of pairs for all layers side by side; None if no layer has it."""
    given = [getattr(layer, field) for layer in layers]
    if all(part is None for part in given):
        return None
    shapes = [layer.shape for layer in layers]
    filled = [np.full(s, STAND_IN[field]) if part is None else part for part, s in zip(given, shapes, strict=True)]
    return np.concatenate(filled, axis=1)


def _costs(layers: tuple[AlignmentProblem, ...], given: Sequence[Any], client_budget: Any) -> FloatArray:
    """Return the costs of all layers' experts: per pair if some layer has costs per client, else per expert."""
    if len(given) != len(layers):
        raise ValueError(
            f"expert_costs has {len(given)} entries; it must have one for each of the {len(layers)} layers"
        )
    resources = validation.numbers("client_budget", 0.0 if client_budget is None else client_budget).shape[1:]
    costs = [validation.numbers(f"layer {k}: expert_costs", part) for k, part in enumerate(given)]
    per_pair = any(cost.ndim == 2 + len(resources) for cost in costs)
    axes = ("num_clients", "num_experts", *("num_resources" for _ in resources))[0 if per_pair else 1 :]
    wide = [
        _layer_cost(f"layer {k}: expert_costs", cost, (*layer.shape, *resources), axes, layer.eligible)
        for k, (cost, layer) in enumerate(zip(costs, layers, strict=True))
    ]
    return np.concatenate(wide, axis=1 if per_pair else 0)


def _layer_cost(
    field: str, cost: FloatArray, shape: tuple[int, ...], axes: tuple[str, ...], eligible: BoolArray | None
) -> FloatArray:
    """Check one layer's costs and broadcast them; ``shape`` is that of all pairs, ``axes`` names the wanted axes."""
    if cost.ndim not in {0, len(shape) - 1, len(shape)}:
        trailing = "" if len(shape) == 2 else f", with a trailing axis of {shape[2]} resources"
        raise ValueError(
            f"{field} has shape {cost.shape}; it must be a number, ({shape[1]},) or ({shape[0]}, {shape[1]}){trailing}"
        )
    spread: FloatArray = validation.spread(field, cost, shape[-len(axes) :], axes)
    if axes[0] != "num_clients":
        eligible = None
    elif eligible is not None and len(shape) == 3:
        eligible = eligible[:, :, None]
    return validation.refuse_bad_amounts(field, spread, axes, infinite=False, eligible=eligible)
