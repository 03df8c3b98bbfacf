"""The geometry of updates: the directions in which clients move the parts of the model that all of them share.

Clients with conflicting tasks pull the shared parts in different directions, from the first round on, when routers
still know nothing (Sattler, Müller and Samek, arXiv 1910.01991, cluster clients by this). The loop computes a
:class:`Geometry` from a client's update, where the server sees single updates. It tells the server nothing beyond the
update, but it makes readable what the update tells about the client: which labels it holds, and which clients are
alike. Under secure aggregation the server sees sums only, so there is no geometry; router masses remain.

A round's geometries become comparable features in three steps: subtract the round's mean, which is the direction common
to all clients; scale the head's and the body's rest to length 1 each; join them and scale the whole to length 1.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data import validation
from alignsolve.numerics import BoolArray, FloatArray

LARGEST_MOVE = 1e30
"""Largest size of an entry: squares of the entries still sum up."""


@dataclass(frozen=True, eq=False)
class Geometry:
    """How far one client's update moved the shared parts of the model. Values are read and checked.

    Parameters
    ----------
    head
        (num_labels, width) movement of the classifier: its trained weights minus those that were sent, a row per label;
        (0, 0) if the model has no head that is trained.
    labels
        (num_labels,) bools: whether the client holds examples of the label.
    body
        (size,) movement of all other shared tensors, in a fixed order; it may be a sketch of them.

    Raises
    ------
    ValueError
        If a field has a wrong shape, or holds a number that is not finite or larger than 1e30.
    """

    head: Any
    labels: Any
    body: Any

    def __post_init__(self) -> None:
        """Read the fields into arrays and check them."""
        for field, ndim in (("head", 2), ("body", 1)):
            values = validation.numbers(f"geometry: {field}", getattr(self, field))
            if values.ndim != ndim:
                raise ValueError(f"geometry: {field} has shape {values.shape}; it must have {ndim} axes")
            if not (np.abs(values) <= LARGEST_MOVE).all():
                raise ValueError(f"geometry: {field} must be finite numbers of size {LARGEST_MOVE:g} at most")
            object.__setattr__(self, field, values.astype(np.float64))
        labels = np.asarray(self.labels)
        if labels.dtype.kind != "b" or labels.shape != self.head.shape[:1]:
            raise ValueError(
                f"geometry: labels is {labels.dtype} {labels.shape}; it must be bools, one for each of "
                f"{len(self.head)} rows of the head"
            )
        object.__setattr__(self, "labels", labels)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of labels, width of the head, and size of the body: the same for all clients of a model."""
        return (*self.head.shape, len(self.body))


def same_shape(client: int, field: str, given: tuple[int, ...], known: tuple[int, ...]) -> None:
    """Refuse a client's field whose shape differs from what was known before."""
    if given != known:
        raise ValueError(
            f"report of client {client}: {field} has shape {given}, earlier ones have {known}; compute it for all "
            "clients from the same model and layout"
        )


def features(geometries: Sequence[Geometry]) -> FloatArray:
    """Return the features of a round's clients, (num_clients, num_labels·width + size): rows of length 1, or 0.

    Examples
    --------
    >>> one, other = (Geometry(np.zeros((0, 0)), np.zeros(0, dtype=bool), body) for body in ([3.0, 1.0], [1.0, 1.0]))
    >>> features([one, other])
    array([[ 1.,  0.],
           [-1.,  0.]])
    """
    parts = []
    for values in ([one.head.ravel() for one in geometries], [one.body for one in geometries]):
        moved = np.array(values).reshape(len(geometries), -1)
        parts.append(to_unit(moved - moved.mean(axis=0)))
    return to_unit(np.concatenate(parts, axis=1))


def to_unit(rows: FloatArray) -> FloatArray:
    """Scale each vector along the last axis to length 1; a vector of zeros stays."""
    largest = np.abs(rows).max(axis=-1, keepdims=True, initial=0.0)
    rows = rows / np.where(largest > 0, largest, 1.0)
    length = np.sqrt((rows * rows).sum(axis=-1, keepdims=True))
    unit: FloatArray = rows / np.where(length > 0, length, 1.0)
    return unit


def held_directions(geometries: Sequence[Geometry]) -> tuple[FloatArray, BoolArray]:
    """Return each client's direction of every label, (k, num_labels, width), and the labels that it holds."""
    rows = to_unit(np.array([one.head for one in geometries]))
    return rows, np.array([one.labels for one in geometries], dtype=bool) & (rows != 0).any(axis=-1)
