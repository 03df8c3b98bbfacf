"""Data sets, divided among the clients of a federation; ``DATASETS`` lists the values of ``data.name``.

A data set is a function of its configuration, the number of clients and the seed. It returns one value,
:class:`~fedtrain.data.federated.Federated`. To add a data set, write a file with such a function. Then add a line to
DATASETS, and add the name to :data:`fedtrain.config.data.DATA_NAMES`. A user's own data set is a function that the
configuration names; :func:`from_arrays` makes its value from plain arrays.

All rooms may call it; torch is not needed. It imports config and :mod:`fedtrain.randomness`.
"""

from collections.abc import Callable

from fedtrain.config.data import DataConfig
from fedtrain.data.arrays import from_arrays
from fedtrain.data.cifar10 import cifar10
from fedtrain.data.concepts import concepts
from fedtrain.data.digits import digits
from fedtrain.data.emnist import emnist
from fedtrain.data.examples import DataError, Examples
from fedtrain.data.federated import Federated
from fedtrain.data.glyphs import glyphs
from fedtrain.data.gtsrb import gtsrb
from fedtrain.data.text import text

__all__ = ["DATASETS", "DataError", "Examples", "Federated", "from_arrays"]

DATASETS: dict[str, Callable[[DataConfig, int, int], Federated]] = {
    "digits": digits,
    "concepts": concepts,
    "glyphs": glyphs,
    "text": text,
    "cifar10": cifar10,
    "emnist": emnist,
    "gtsrb": gtsrb,
}
"""Every data set by name: a function of the ``data`` section, the number of clients and the seed."""
