"""Merge clients' updates per expert: weighted sums that add up, divided once at the end.

Every tensor is averaged over those who returned it. The shared part is weighted by the clients' examples, an expert
and its row of the router by how many of those examples went through it (usage times examples). A tensor that nobody
gave any weight stays bit for bit what it was. Sums are kept in float64 and added in the order of the clients' indices,
so that the result does not depend on the order in which updates arrive.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from torch import Tensor

from fedtrain.models import Tensors
from fedtrain.update import Update


@dataclass
class WeightedSums:
    """Per tensor the sum of weight × value, and of the weights; sums of sums are sums."""

    values: dict[str, Tensor] = field(default_factory=dict)
    weights: dict[str, float] = field(default_factory=dict)

    def add(self, update: Update) -> None:
        """Add one client's update."""
        for name, value in update.tensors.items():
            weight = update.weight(name)
            if weight > 0.0:
                self._add(name, value.double() * weight, weight)

    def merge(self, other: "WeightedSums") -> None:
        """Add what another has summed."""
        for name, value in other.values.items():
            self._add(name, value.clone(), other.weights[name])

    def mean(self, current: Mapping[str, Tensor]) -> Tensors:
        """Divide; a tensor without weight is the current one itself."""
        return {name: self._mean(name, value) for name, value in current.items()}

    def _add(self, name: str, weighted: Tensor, weight: float) -> None:
        if name in self.values:
            self.values[name] += weighted
            self.weights[name] += weight
        else:
            self.values[name] = weighted
            self.weights[name] = weight

    def _mean(self, name: str, current: Tensor) -> Tensor:
        if name not in self.values:
            return current
        return (self.values[name] / self.weights[name]).to(current.dtype)


def aggregate(current: Mapping[str, Tensor], updates: Iterable[Update]) -> Tensors:
    """Average the updates into new tensors of the whole model.

    Parameters
    ----------
    current
        The whole model's tensors before this round; not changed.
    updates
        Already inspected (:func:`fedtrain.update.find_fault`); in any order, at most one per client.
    """
    sums = WeightedSums()
    for update in sorted(updates, key=lambda update: update.client):
        sums.add(update)
    return sums.mean(current)
