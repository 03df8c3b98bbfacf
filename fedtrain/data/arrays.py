"""Makes a federation from plain arrays, for data sets of the user's own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fedtrain.data.examples import DataError, Examples, label_counts
from fedtrain.data.federated import Federated, mixture_of

Pair = tuple[npt.ArrayLike, npt.ArrayLike]


def from_arrays(
    clients: Sequence[Pair], test: Pair, *, num_classes: int | None = None, owner: npt.ArrayLike | None = None
) -> Federated:
    """Make a federation from each client's arrays.

    Parameters
    ----------
    clients
        For every client its training examples: inputs (num_examples, …) and labels (num_examples,). Inputs are numbers,
        or whole numbers if they are symbols. Labels are whole numbers from 0. An example may have several labels,
        (num_examples, num_predictions).
    test
        Inputs and labels of the examples for evaluation, which all clients share.
    num_classes
        Number of classes; None: the largest label plus 1.
    owner
        (num_test,) index of the client that each test example belongs to. It is used for personalised accuracy only.
        None: a client's personalised accuracy weighs the classes as its training examples do.

    Raises
    ------
    DataError
        If arrays do not fit together, or hold what is not a number; the message names the client.

    Examples
    --------
    >>> inputs, labels = np.eye(4), [0, 1, 0, 1]
    >>> data = from_arrays([(inputs[:2], labels[:2]), (inputs[2:], labels[2:])], test=(inputs, labels))
    >>> len(data.clients), data.test.num_classes, data.mixture.tolist()
    (2, 2, [[0.5, 0.5], [0.5, 0.5]])
    """
    named = [*((f"client {i}", pair) for i, pair in enumerate(clients)), ("the test", test)]
    if len(named) == 1:
        raise DataError("clients is empty; a federation needs at least one client")
    arrays = [_arrays(where, pair) for where, pair in named]
    classes = max(int(labels.max()) for _, labels in arrays) + 1 if num_classes is None else num_classes
    for (where, _), (inputs, labels) in zip(named, arrays, strict=True):
        if inputs.shape[1:] != arrays[0][0].shape[1:] or inputs.dtype != arrays[0][0].dtype:
            alike = [f"{one.dtype} {one.shape[1:]}" for one in (inputs, arrays[0][0])]
            raise DataError(f"an input of {where} is {alike[0]}, and one of client 0 is {alike[1]}")
        if labels.max() >= classes or labels.shape[1:] != arrays[0][1].shape[1:]:
            raise DataError(f"labels of {where} are below {labels.max() + 1}, {labels.shape}; classes are {classes}")
    *parts, held = (Examples(inputs, labels, classes) for inputs, labels in arrays)
    return _federated(tuple(parts), held, owner)


def _arrays(where: str, pair: Pair) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64]]:
    """Return inputs as float32 or int64, and labels as int64."""
    inputs, labels = (np.asarray(values) for values in pair)
    if inputs.dtype.kind not in "fiu" or labels.dtype.kind not in "iu":
        raise DataError(f"{where} has inputs of {inputs.dtype} and labels of {labels.dtype}; labels are whole numbers")
    if not inputs.ndim or labels.ndim not in (1, 2) or len(inputs) != len(labels) or not labels.size:
        raise DataError(f"{where} has inputs {inputs.shape} and labels {labels.shape}; both need one row per example")
    if labels.min() < 0 or not np.isfinite(inputs).all():
        raise DataError(f"{where} has a label below 0, or an input that is not finite")
    return inputs.astype(np.float32 if inputs.dtype.kind == "f" else np.int64), labels.astype(np.int64)


def _federated(clients: tuple[Examples, ...], test: Examples, owner: npt.ArrayLike | None) -> Federated:
    if owner is not None:
        group = np.asarray(owner)
        without = sorted(set(range(len(clients))) - set(group.ravel().tolist()))
        if (
            group.shape != (len(test),)
            or group.dtype.kind not in "iu"
            or group.min() < 0
            or group.max() >= len(clients)
        ):
            raise DataError(f"owner must hold a client from 0 to {len(clients) - 1} for each of {len(test)} examples")
        if without:
            raise DataError(f"client {without[0]} owns no test example")
        return Federated(clients, test, group.astype(np.int64), np.eye(len(clients)))
    if test.labels.ndim > 1:
        return Federated(clients, test, np.zeros(len(test), dtype=np.int64), np.ones((len(clients), 1)))
    return Federated(clients, test, test.labels, mixture_of(label_counts(clients), test.labels))
