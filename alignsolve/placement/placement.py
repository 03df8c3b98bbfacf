"""The answer: which GPU holds which experts, in all forms that serving systems take, and how good it is."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from alignsolve.data.validation import counts
from alignsolve.numerics import BoolArray, FloatArray, IntArray, relative_gap
from alignsolve.placement.request import Fleet
from alignsolve.placement.state import EMPTY


@dataclass(frozen=True, eq=False, repr=False)
class Placement:
    """Copies of experts on GPUs, and the largest time of a GPU with a bound.

    An expert's load is split evenly over its copies. A GPU's time is its load over its speed. All that is computed here
    comes from ``copies`` and the loads. A single layer has no layer axis in the attributes.

    Attributes
    ----------
    all_loads
        (num_layers, num_experts): load of each expert.
    fleet
        The GPUs.
    all_copies
        (num_layers, num_gpus, num_experts): whether a GPU holds a copy.
    all_bounds
        (num_layers,): no placement has a smaller largest time.
    previous
        As ``all_copies``, the placement before; None if there was none.
    layered
        Whether the arrays that the user sees have a layer axis.

    Raises
    ------
    ValueError
        If an expert has no copy, a GPU holds more than its slots, or a group lies on two nodes.
    """

    all_loads: FloatArray
    fleet: Fleet
    all_copies: BoolArray
    all_bounds: FloatArray
    previous: BoolArray | None = None
    layered: bool = True

    def __post_init__(self) -> None:
        if not self.all_copies.any(axis=1).all():
            layer, expert = np.argwhere(~self.all_copies.any(axis=1))[0]
            raise ValueError(f"expert {expert} has no copy in layer {layer}")
        held = self.all_copies.sum(axis=2)
        if (held > self.fleet.slots).any():
            layer, gpu = np.argwhere(held > self.fleet.slots)[0]
            raise ValueError(f"gpu {gpu} holds {held[layer, gpu]} experts in layer {layer}, more than its slots")
        if len(np.unique(self._homes(), axis=0)) != len(np.unique(self._homes()[:, :2], axis=0)):
            raise ValueError("a group of experts lies on two nodes")

    def _homes(self) -> IntArray:
        """Return (layer, group, node) of every copy."""
        layer, gpu, expert = np.nonzero(self.all_copies)
        return np.stack([layer, self.fleet.group[expert], self.fleet.node[gpu]], axis=1)

    def _shown(self, values: Any) -> Any:
        """Return the values as the user sees them: without the layer axis, and a number as Python's."""
        if self.layered:
            return values
        return values[0] if values.ndim > 1 else values[0].item()

    @cached_property
    def all_times(self) -> FloatArray:
        """Load of each GPU over its speed, (num_layers, num_gpus)."""
        return times_of(self.all_loads, self.all_copies, self.fleet.speed)

    @property
    def loads(self) -> Any:
        """Load of each expert, (num_experts,) or (num_layers, num_experts)."""
        return self._shown(self.all_loads)

    @property
    def copies(self) -> Any:
        """Whether a GPU holds a copy, (num_gpus, num_experts), with a leading layer axis where loads have one."""
        return self._shown(self.all_copies)

    @property
    def counts(self) -> Any:
        """Number of copies, (num_experts,) or (num_layers, num_experts)."""
        return self._shown(self.all_copies.sum(axis=1))

    @property
    def times(self) -> Any:
        """Load of each GPU over its speed, (num_gpus,) or (num_layers, num_gpus)."""
        return self._shown(self.all_times)

    @property
    def largest(self) -> Any:
        """The largest time: a number, or (num_layers,)."""
        return self._shown(self.all_times.max(axis=1))

    @property
    def bound(self) -> Any:
        """No placement has a smaller largest time: a number, or (num_layers,)."""
        return self._shown(self.all_bounds)

    @property
    def gap(self) -> Any:
        """Relative distance of ``largest`` and ``bound``: a number, or (num_layers,)."""
        pairs = zip(self.all_bounds.tolist(), self.all_times.max(axis=1).tolist(), strict=True)
        return self._shown(np.array([relative_gap(-bound, -largest) for bound, largest in pairs]))

    @property
    def moved(self) -> Any:
        """Copies that a GPU does not hold in the placement before: a number, or (num_layers,). All, if none was."""
        before = np.zeros_like(self.all_copies) if self.previous is None else self.previous
        return self._shown((self.all_copies & ~before).sum(axis=(1, 2)))

    @cached_property
    def _physical(self) -> IntArray:
        ends = np.cumsum(self.fleet.slots)
        indices = np.full((len(self.all_copies), ends[-1]), EMPTY, dtype=np.int64)
        layer, gpu, expert = np.nonzero(self.all_copies)
        rank = np.cumsum(self.all_copies, axis=2)[layer, gpu, expert] - 1
        indices[layer, (ends - self.fleet.slots)[gpu] + rank] = expert
        return indices

    @property
    def physical_to_logical(self) -> Any:
        """The expert in each slot, −1 if it is empty: (num_slots,), with a leading layer axis where loads have one.

        Slots are numbered GPU by GPU.
        """
        return self._shown(self._physical)

    @property
    def logical_to_physical(self) -> Any:
        """The slots of each expert, (num_experts, most copies), padded with −1; with a layer axis if loads have one."""
        number = self.all_copies.sum(axis=1)
        indices = np.full((*number.shape, number.max()), EMPTY, dtype=np.int64)
        layer, slot = np.nonzero(self._physical >= 0)
        expert = self._physical[layer, slot]
        order = np.lexsort((slot, expert, layer))
        layer, slot, expert = layer[order], slot[order], expert[order]
        firsts = np.cumsum(number.ravel()) - number.ravel()
        rank = np.arange(len(slot)) - firsts[layer * number.shape[1] + expert]
        indices[layer, expert, rank] = slot
        return self._shown(indices)

    def __repr__(self) -> str:
        layers, gpus, experts = self.all_copies.shape
        largest, gap = float(self.all_times.max()), float(np.max(self.gap))
        return f"Placement({layers} layers, {experts} experts, {gpus} GPUs, largest {largest:.6g}, gap {gap:.2g})"


def times_of(loads: FloatArray, copies: BoolArray, speed: FloatArray) -> FloatArray:
    """Return the load of each GPU over its speed, (num_layers, num_gpus)."""
    piece = loads / copies.sum(axis=1)
    return np.einsum("lge,le->lg", copies, piece) / speed


def copies_of(physical_to_logical: Any, num_experts: int, slots: Any) -> BoolArray:
    """Return which GPU holds which experts, from the expert in each slot.

    Parameters
    ----------
    physical_to_logical
        (num_slots,) or (num_layers, num_slots): experts, −1 for an empty slot. Slots are numbered GPU by GPU.
    num_experts
        How many experts there are.
    slots
        (num_gpus,): slots of each GPU.

    Returns
    -------
    ndarray
        (num_gpus, num_experts) bools, with a leading layer axis where the indices have one. Two copies of an expert on
        one GPU become one.

    Raises
    ------
    ValueError
        If an index is no expert, or the slots do not add up.

    Examples
    --------
    >>> copies_of([0, 1, 0, 2], 3, [2, 2])
    array([[ True,  True, False],
           [ True, False,  True]])
    """
    given = np.asarray(physical_to_logical)
    room = counts("slots", slots, np.shape(slots), ("num_gpus",))
    if given.dtype.kind not in "iu" or given.ndim not in {1, 2}:
        raise ValueError("physical_to_logical must be whole numbers, (num_slots,) or (num_layers, num_slots)")
    if room.ndim != 1 or given.shape[-1] != room.sum():
        raise ValueError(f"physical_to_logical has {given.shape[-1]} slots; the GPUs have {room.sum()}")
    if given.size and not -1 <= given.min() <= given.max() < num_experts:
        wrong = given[(given < -1) | (given >= num_experts)][0]
        raise ValueError(f"physical_to_logical names expert {wrong}; experts are 0 to {num_experts - 1}, -1 is none")
    indices = np.atleast_2d(given)
    copies = np.zeros((len(indices), len(room), num_experts + 1), dtype=np.bool_)
    layers = np.arange(len(indices))[:, np.newaxis]
    copies[layers, np.repeat(np.arange(len(room)), room), indices] = True
    return copies[..., :-1] if given.ndim == 2 else copies[0, :, :-1]
