"""Partitions, which divide a data set without owners among clients: label skew and quantity skew.

Partitions are pure functions of their random generator. Every example goes to exactly one client. Every client gets a
minimum number of examples: a client with fewer takes examples from the clients that have the most.
"""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.data.examples import DataError

Partition: TypeAlias = Callable[..., list[IntArray]]


def dirichlet_partition(
    rng: np.random.Generator, labels: IntArray, num_clients: int, *, alpha: float, min_examples: int
) -> list[IntArray]:
    """Divide every class by proportions drawn from a Dirichlet distribution: label skew.

    Parameters
    ----------
    rng
        Source of all randomness.
    labels
        (num_examples,) class of each example.
    num_clients
        Number of parts.
    alpha
        Concentration. Near 0 each class belongs to a few clients; at 100 every client has examples of every class.
    min_examples
        Smallest number of examples per client.

    Returns
    -------
    list
        The indices of each client's examples, ascending.

    Raises
    ------
    DataError
        If there are too few examples for every client's minimum.
    """
    check_supply(len(labels), num_clients, min_examples)
    owner = np.empty(len(labels), dtype=np.int64)
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        owner[members] = _owners(rng.dirichlet(np.full(num_clients, alpha)), len(members))
    return _level(rng, owner, num_clients, min_examples)


def quantity_partition(
    rng: np.random.Generator, labels: IntArray, num_clients: int, *, alpha: float, min_examples: int
) -> list[IntArray]:
    """Divide shuffled examples by one draw from a Dirichlet distribution: quantity skew.

    Clients differ in their number of examples, but not in their classes. The parameters and the result are those of
    :func:`dirichlet_partition`.
    """
    return dirichlet_partition(rng, np.zeros_like(labels), num_clients, alpha=alpha, min_examples=min_examples)


PARTITIONS: dict[str, Partition] = {"dirichlet": dirichlet_partition, "quantity": quantity_partition}
"""Every partition by name."""


def check_supply(num_examples: int, num_clients: int, min_examples: int) -> None:
    """Raise DataError if there are too few examples for every client's minimum."""
    if num_clients * min_examples > num_examples:
        raise DataError(
            f"clients.num_clients, data.min_examples: {num_clients} clients with at least {min_examples} examples each "
            f"need {num_clients * min_examples}, and there are {num_examples}: ask for fewer clients, or less for each"
        )


def _owners(proportions: FloatArray, number: int) -> IntArray:
    """Cut ``number`` examples into consecutive runs with these proportions; return each example's client."""
    ends = np.round(np.cumsum(proportions) * number).astype(np.int64)
    ends[-1] = number
    return np.searchsorted(ends, np.arange(number), side="right")


def _level(rng: np.random.Generator, owner: IntArray, num_clients: int, min_examples: int) -> list[IntArray]:
    """Move single examples from the client with the most to the one with the fewest, until all have the minimum."""
    sizes = np.bincount(owner, minlength=num_clients)
    while sizes.min() < min_examples:
        poorest, richest = int(sizes.argmin()), int(sizes.argmax())
        owner[rng.choice(np.flatnonzero(owner == richest))] = poorest
        sizes[poorest] += 1
        sizes[richest] -= 1
    return [np.flatnonzero(owner == client) for client in range(num_clients)]
