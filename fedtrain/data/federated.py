"""The data of a federation: the value that every data set returns.

Clients differ, so accuracy is measured in two ways. *Global* accuracy is the plain mean over one test set for all.
*Personalised* accuracy is a weighted mean over the same test set, and the weights differ between clients. Every test
example belongs to a group: a class, a domain, or a client's own text. Every client has a mixture of groups, which gives
the weights. So no test example is stored twice. Concepts, where the data have them, are for reports only. Neither
clients nor the server may use them.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.data.examples import DataError, Examples, label_counts


@dataclass(frozen=True, eq=False)
class Federated:
    """A data set and the part of it that each client owns.

    Attributes
    ----------
    clients
        Each client's training examples, at least one.
    test
        The examples for evaluation.
    test_group
        (num_test,) the group that each test example belongs to.
    mixture
        (num_clients, num_groups) weight of every group in a client's personalised accuracy. Rows sum to 1. The weight
        of a group without test examples is 0.
    concepts
        (num_clients, num_concepts) number of each client's training examples by true concept; None if not known.
    """

    clients: tuple[Examples, ...]
    test: Examples
    test_group: IntArray
    mixture: FloatArray
    concepts: IntArray | None = None

    def __post_init__(self) -> None:
        """Check that the parts fit together."""
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
        """Return the weights of all test examples in a client's personalised accuracy, (num_test,); their sum is 1."""
        per_example = self.mixture[client] / np.maximum(self._group_sizes(), 1)
        return per_example[self.test_group]

    def _group_sizes(self) -> IntArray:
        return np.bincount(self.test_group, minlength=self.mixture.shape[1])


def mixture_of(counts: IntArray, test_group: IntArray) -> FloatArray:
    """Compute each client's mixture from its number of training examples per group, (num_clients, num_groups).

    Groups without test examples are left out.

    Raises
    ------
    DataError
        If none of a client's groups has test examples.
    """
    tested = np.bincount(test_group, minlength=counts.shape[1]) > 0
    known = np.where(tested, counts, 0).astype(np.float64)
    total = known.sum(axis=1, keepdims=True)
    if not total.all():
        client = int(np.flatnonzero(total == 0.0)[0])
        raise DataError(f"no test example is of a kind that client {client} has: keep more examples for the test")
    return known / total


def shared_out(train: Examples, test: Examples, parts: Sequence[IntArray]) -> Federated:
    """Divide a data set without owners among the clients by lists of indices; the groups are the classes."""
    clients = tuple(train.select(part) for part in parts)
    return Federated(clients, test, test.labels, mixture_of(label_counts(clients), test.labels))


def by_client(clients: Sequence[Examples], tests: Sequence[Examples], test: Examples) -> Federated:
    """Make a federation of clients with their own test examples; ``test`` is all of these, client by client."""
    owner = np.repeat(np.arange(len(tests)), [len(part) for part in tests])
    return Federated(tuple(clients), test, owner, np.eye(len(clients)))


def hold_back(rng: np.random.Generator, data: Federated, share: float) -> tuple[Federated, Examples]:
    """Take examples for the server's own use out of the test set: the same share of every group, rounded down.

    At least one example of every group stays in the test set.

    Raises
    ------
    DataError
        If these would be no examples, or examples of one class only: every model that knows nothing else is good there.
    """
    kept = np.ones(len(data.test), dtype=np.bool_)
    for group in range(data.mixture.shape[1]):
        members = rng.permutation(np.flatnonzero(data.test_group == group))
        kept[members[: int(share * len(members))]] = False
    own = data.test.select(np.flatnonzero(~kept))
    if len(np.unique(own.labels)) < 2:
        raise DataError(
            f"data.held_back is {share:g}, which gives the server {len(own)} examples of {len(np.unique(own.labels))} "
            "classes: it needs examples of two or more; raise it, or data.test_fraction"
        )
    stay = np.flatnonzero(kept)
    return replace(data, test=data.test.select(stay), test_group=data.test_group[stay]), own
