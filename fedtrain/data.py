"""Data and how clients come to own it: scikit-learn's digits, stratified split, label skew and quantity skew.

Partitions are pure functions of their random generator. Every example goes to exactly one client, and every client
gets a minimum: where the draw gives a client less, it takes examples from those that have the most.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

IntArray: TypeAlias = npt.NDArray[np.int64]
FloatArray: TypeAlias = npt.NDArray[np.float32]
Partition: TypeAlias = Callable[..., list[IntArray]]


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples.

    Attributes
    ----------
    inputs
        (num_examples, num_inputs).
    labels
        (num_examples,) in 0..num_classes-1.
    num_classes
        Of the whole data set, whether they occur here or not.
    """

    inputs: FloatArray
    labels: IntArray
    num_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: IntArray) -> "Examples":
        """Return these examples, in this order."""
        return Examples(self.inputs[indices], self.labels[indices], self.num_classes)


def load_digits() -> Examples:
    """Load scikit-learn's handwritten digits: 1,797 images of 8 × 8, bundled, nothing is fetched.

    The pixels, 0 to 16, are shifted and scaled to about zero mean and unit variance, the same way for every split.
    """
    from sklearn import datasets  # noqa: PLC0415  (takes a second to import, and only this needs it)

    bunch = datasets.load_digits()
    inputs = (bunch.data / 16.0 - 0.3) / 0.4
    return Examples(inputs.astype(np.float32), bunch.target.astype(np.int64), 10)


def split(rng: np.random.Generator, examples: Examples, test_fraction: float) -> tuple[Examples, Examples]:
    """Split into a training and a test set with the same share of every class."""
    test = np.zeros(len(examples), dtype=np.bool_)
    for label in range(examples.num_classes):
        members = rng.permutation(np.flatnonzero(examples.labels == label))
        test[members[: round(test_fraction * len(members))]] = True
    return examples.select(np.flatnonzero(~test)), examples.select(np.flatnonzero(test))


def dirichlet_partition(
    rng: np.random.Generator, labels: IntArray, num_clients: int, *, alpha: float, min_examples: int
) -> list[IntArray]:
    """Share out every class by proportions drawn from a Dirichlet distribution: label skew.

    Parameters
    ----------
    rng
        Source of all randomness.
    labels
        (num_examples,).
    num_clients
        How many parts.
    alpha
        Concentration: near 0 each class belongs to a few clients, at 100 every client has a bit of every class.
    min_examples
        Fewest examples per client.

    Returns
    -------
    list
        Per client the indices of its examples, ascending.
    """
    _check_supply(len(labels), num_clients, min_examples)
    owner = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        owner[members] = _owners(rng.dirichlet(np.full(num_clients, alpha)), len(members))
    return _level(rng, owner, num_clients, min_examples)


def quantity_partition(
    rng: np.random.Generator, labels: IntArray, num_clients: int, *, alpha: float, min_examples: int
) -> list[IntArray]:
    """Share out shuffled examples by one draw from a Dirichlet distribution: clients differ in size, not in kind.

    Parameters and result are those of :func:`dirichlet_partition`.
    """
    _check_supply(len(labels), num_clients, min_examples)
    owner = np.empty(len(labels), dtype=np.int64)
    order = rng.permutation(len(labels))
    owner[order] = _owners(rng.dirichlet(np.full(num_clients, alpha)), len(labels))
    return _level(rng, owner, num_clients, min_examples)


PARTITIONS: dict[str, Partition] = {"dirichlet": dirichlet_partition, "quantity": quantity_partition}
"""Every partition by name."""


def label_counts(labels: IntArray, parts: list[IntArray], num_classes: int) -> IntArray:
    """Count each client's examples of each class, (num_clients, num_classes)."""
    return np.stack([np.bincount(labels[part], minlength=num_classes) for part in parts])


def _check_supply(num_examples: int, num_clients: int, min_examples: int) -> None:
    if num_clients * min_examples > num_examples:
        raise ValueError(
            f"{num_clients} clients with at least {min_examples} examples each need {num_clients * min_examples}, "
            f"and there are {num_examples}: ask for fewer clients or a smaller minimum"
        )


def _owners(proportions: npt.NDArray[np.float64], number: int) -> IntArray:
    """Cut ``number`` examples into consecutive runs of these proportions; return each example's client."""
    ends = np.round(np.cumsum(proportions) * number).astype(np.int64)
    ends[-1] = number
    return np.searchsorted(ends, np.arange(number), side="right")


def _level(rng: np.random.Generator, owner: IntArray, num_clients: int, min_examples: int) -> list[IntArray]:
    """Give every client its minimum, one example at a time from whoever has the most."""
    sizes = np.bincount(owner, minlength=num_clients)
    while sizes.min() < min_examples:
        poorest, richest = int(sizes.argmin()), int(sizes.argmax())
        owner[rng.choice(np.flatnonzero(owner == richest))] = poorest
        sizes[poorest] += 1
        sizes[richest] -= 1
    return [np.flatnonzero(owner == client) for client in range(num_clients)]
