"""Labelled examples, of which every data set consists; functions to join, split and count them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import IntArray
from fedtrain.config.checks import ConfigError

Images: TypeAlias = npt.NDArray[np.float32]


class DataError(ConfigError):
    """Data that cannot be loaded or divided as configured; the message says what to do."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Labelled examples.

    Attributes
    ----------
    inputs
        (num_examples, …). Images are float32 of (channels, height, width). Texts are int64 symbols of (context,), or
        float32 one-hot vectors.
    labels
        (num_examples,) in 0..num_classes-1. If an example asks for several predictions, it is
        (num_examples, num_predictions).
    num_classes
        Number of classes of the whole data set, including classes that do not occur here.
    """

    inputs: npt.NDArray[Any]
    labels: IntArray
    num_classes: int

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: IntArray) -> "Examples":
        """Return these examples, in this order."""
        return Examples(self.inputs[indices], self.labels[indices], self.num_classes)


def joined(parts: Sequence[Examples]) -> Examples:
    """Join examples of the same data set, in this order; at least one part."""
    inputs = np.concatenate([part.inputs for part in parts])
    return Examples(inputs, np.concatenate([part.labels for part in parts]), parts[0].num_classes)


def split(rng: np.random.Generator, examples: Examples, test_fraction: float) -> tuple[Examples, Examples]:
    """Split into a training and a test set with the same share of every class."""
    test = np.zeros(len(examples), dtype=np.bool_)
    for label in range(examples.num_classes):
        members = rng.permutation(np.flatnonzero(examples.labels == label))
        test[members[: round(test_fraction * len(members))]] = True
    return examples.select(np.flatnonzero(~test)), examples.select(np.flatnonzero(test))


def label_counts(clients: Sequence[Examples]) -> IntArray:
    """Count each client's labels of each class, (num_clients, num_classes)."""
    return np.stack([np.bincount(part.labels.ravel(), minlength=part.num_classes) for part in clients])
