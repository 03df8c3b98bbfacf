"""The data of a federation: the value that every data set is loaded into.

Clients differ, so there are two ways to ask how well they are served. The *global* test set is one for all. The
*personalised* one weighs its examples by what a client itself meets: every test example belongs to a group (a class, a
domain, a client's own text), and every client has a mixture of groups. So nobody's test examples are stored twice, and
a client's personalised accuracy is a weighted mean over the same test set. Concepts, where the data know them, are
there for reports only: neither clients nor the server may look at them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.data.examples import DataError, Examples, label_counts


@dataclass(frozen=True, eq=False)
class Federated:
    """A data set and who owns what of it.

    Attributes
    ----------
    clients
        Each client's training examples, at least one.
    test
        The examples for evaluation.
    test_group
        (num_test,) the group that each test example belongs to.
    mixture
        (num_clients, num_groups) share of every group in what a client meets; rows sum to 1, and are 0 where a group
        has no test example.
    concepts
        (num_clients, num_concepts) training examples of every client by their true concept; None if there are none.
    """

    clients: tuple[Examples, ...]
    test: Examples
    test_group: IntArray
    mixture: FloatArray
    concepts: IntArray | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit each other."""
        if not self.clients or not all(map(len, self.clients)):
            raise DataError("every client needs at least one training example")
        if self.test_group.shape != (len(self.test),):
            raise DataError(f"test_group has shape {self.test_group.shape}, there are {len(self.test)} test examples")
        if self.mixture.shape[0] != len(self.clients) or not np.allclose(self.mixture.sum(axis=1), 1.0):
            raise DataError("mixture must have a row for every client, each summing to 1")
        if self.mixture[:, self._group_sizes() == 0].any():
            raise DataError("mixture names a group that has no test example")

    def label_counts(self) -> IntArray:
        """Count each client's labels of each class, (num_clients, num_classes)."""
        return label_counts(self.clients)

    def test_weights(self, client: int) -> FloatArray:
        """Weights of all test examples in a client's personalised accuracy, (num_test,); they sum to 1."""
        per_example = self.mixture[client] / np.maximum(self._group_sizes(), 1)
        return per_example[self.test_group]

    def _group_sizes(self) -> IntArray:
        return np.bincount(self.test_group, minlength=self.mixture.shape[1])


def mixture_of(counts: IntArray, test_group: IntArray) -> FloatArray:
    """Turn each client's training examples per group, (num_clients, num_groups), into its mixture.

    Groups without test examples are left out.

    Raises
    ------
    DataError
        If nothing is left of a client.
    """
    tested = np.bincount(test_group, minlength=counts.shape[1]) > 0
    known = np.where(tested, counts, 0).astype(np.float64)
    total = known.sum(axis=1, keepdims=True)
    if not total.all():
        client = int(np.flatnonzero(total == 0.0)[0])
        raise DataError(f"no test example is of a kind that client {client} has: keep more examples for the test")
    return known / total


def shared_out(train: Examples, test: Examples, parts: Sequence[IntArray]) -> Federated:
    """Give clients their parts of a data set without owners; the groups are the classes."""
    clients = tuple(train.select(part) for part in parts)
    return Federated(clients, test, test.labels, mixture_of(label_counts(clients), test.labels))


def by_client(clients: Sequence[Examples], tests: Sequence[Examples], test: Examples) -> Federated:
    """Make a federation of clients that bring test examples of their own; ``test`` is all of them, in order."""
    owner = np.repeat(np.arange(len(tests)), [len(part) for part in tests])
    return Federated(tuple(clients), test, owner, np.eye(len(clients)))
