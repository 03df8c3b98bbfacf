"""What is asked: loads, GPUs, nodes and groups, the current placement; read and checked before any search."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data.validation import amounts, counts
from alignsolve.numerics import BoolArray, FloatArray, IntArray

AXES = ("num_layers", "num_experts")


@dataclass(frozen=True, eq=False)
class Fleet:
    """The GPUs and what limits them.

    Attributes
    ----------
    slots, speed
        (num_gpus,): how many experts fit on a GPU, and its load per unit of time.
    node
        (num_gpus,): the node of each GPU, 0, 1, 2, …
    group
        (num_experts,): the group of each expert. All copies of a group's experts are on one node.
    """

    slots: IntArray
    speed: FloatArray
    node: IntArray
    group: IntArray

    @property
    def num_gpus(self) -> int:
        """Number of GPUs."""
        return len(self.slots)

    @property
    def num_nodes(self) -> int:
        """Number of nodes."""
        return int(self.node.max()) + 1

    @property
    def usable(self) -> IntArray:
        """Slots of each GPU that can be filled, (num_gpus,): no GPU holds an expert twice."""
        return np.minimum(self.slots, len(self.group))

    @property
    def node_slots(self) -> IntArray:
        """Usable slots of each node, (num_nodes,)."""
        return np.bincount(self.node, weights=self.usable, minlength=self.num_nodes).astype(np.int64)

    @property
    def kind(self) -> IntArray:
        """Kind of each GPU, (num_gpus,): those of one kind have the same slots and speed."""
        return np.unique(np.stack([self.slots, self.speed]), axis=1, return_inverse=True)[1].reshape(-1)

    @property
    def node_kind(self) -> IntArray:
        """Kind of each node, (num_nodes,): those of one kind have the same number of GPUs of each kind."""
        kinds = np.zeros((self.num_nodes, int(self.kind.max()) + 1), dtype=np.int64)
        np.add.at(kinds, (self.node, self.kind), 1)
        return np.unique(kinds, axis=0, return_inverse=True)[1].reshape(-1)


def read_loads(loads: Any) -> FloatArray:
    """Read loads per expert as (num_layers, num_experts); of one layer, as one row."""
    shape = np.shape(loads)
    if len(shape) not in {1, 2} or 0 in shape:
        raise ValueError(f"loads has shape {shape}; it must be (num_experts,) or (num_layers, num_experts), not empty")
    values = amounts("loads", loads, shape, AXES[-len(shape) :], infinite=False)
    return np.atleast_2d(np.array(values))


def read_fleet(
    num_experts: int, num_gpus: Any, slots: Any, speed: Any = None, gpu_node: Any = None, expert_group: Any = None
) -> Fleet:
    """Read the GPUs; refuse what has no placement.

    Raises
    ------
    ValueError
        If a number is none or out of range, or the experts do not fit; the message names the field and the GPU.
    """
    gpus = int(counts("num_gpus", num_gpus, (), ()))
    if gpus < 1:
        raise ValueError("num_gpus is 0; it must be 1 or more")
    room = np.array(counts("slots", slots, (gpus,), ("num_gpus",)))
    fast = np.array(amounts("speed", 1.0 if speed is None else speed, (gpus,), ("num_gpus",), infinite=False))
    if (fast == 0).any():
        raise ValueError(f"speed of gpu {int(np.argmin(fast))} is 0; leave out a GPU that serves nothing")
    if np.minimum(room, num_experts).sum() < num_experts:
        raise ValueError(
            f"slots: {gpus} GPUs have {room.sum()} slots together, fewer than the {num_experts} experts; "
            "every expert needs one"
        )
    if (gpu_node is None) != (expert_group is None):
        raise ValueError("give both gpu_node and expert_group, or neither: a group of experts stays within a node")
    node = np.zeros(gpus, dtype=np.int64) if gpu_node is None else _parts("gpu_node", gpu_node, gpus)
    group = np.zeros(num_experts, dtype=np.int64)
    if expert_group is not None:
        group = _parts("expert_group", expert_group, num_experts)
    return Fleet(room, fast, node, group)


def _parts(field: str, given: Any, length: int) -> IntArray:
    """Read a label for each member, or the number of equal consecutive parts."""
    what = "GPUs" if field == "gpu_node" else "experts"
    if np.ndim(given) == 0:
        number = int(counts(field, given, (), ()))
        if number < 1 or length % number:
            raise ValueError(
                f"{field} is {number}; {length} {what} cannot be divided into so many equal parts: "
                "give a label for each of them"
            )
        return np.arange(length, dtype=np.int64) // (length // number)
    if np.shape(given) != (length,):
        raise ValueError(f"{field} has shape {np.shape(given)}; it must be a number of parts or ({length},)")
    return np.unique(counts(field, given, (length,), ("num_gpus" if what == "GPUs" else "num_experts",)),
                     return_inverse=True)[1].astype(np.int64)  # fmt: skip


def read_current(current: Any, shape: tuple[int, int, int], slots: IntArray) -> BoolArray:
    """Read the current placement as (num_layers, num_gpus, num_experts) bools."""
    given = np.asarray(getattr(current, "copies", current))
    if given.dtype != np.bool_:
        raise ValueError(
            f"current must be a Placement or bools (num_gpus, num_experts), not {given.dtype}; "
            "copies_of() makes them of physical_to_logical"
        )
    if given.ndim == 2:
        given = given[np.newaxis]
    if given.shape != shape:
        raise ValueError(
            f"current has shape {given.shape}, expected {shape} (num_layers, num_gpus, num_experts); "
            "give a new GPU a row of False, and leave out one that is gone"
        )
    held = given.sum(axis=2)
    if (held > slots).any():
        layer, gpu = np.argwhere(held > slots)[0]
        raise ValueError(
            f"current: gpu {gpu} holds {held[layer, gpu]} experts in layer {layer}, more than its {slots[gpu]} slots"
        )
    return given


def read_moved_cost(moved_cost: Any, num_experts: int, field: str = "moved_cost") -> FloatArray:
    """Read what moving a copy of each expert costs."""
    return np.array(amounts(field, moved_cost, (num_experts,), AXES[1:], infinite=False))
