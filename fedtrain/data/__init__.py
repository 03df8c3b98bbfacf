"""Data sets as federations own them; ``DATASETS`` has what ``data.name`` may be.

A data set is a function of its configuration, the number of clients and the seed. It gives one value,
:class:`~fedtrain.data.federated.Federated`. A new one is a file with such a function, a line in DATASETS, and its name
in :data:`fedtrain.config.data.DATA_NAMES`.

Anybody may call it; torch is not needed. It imports config and :mod:`fedtrain.randomness`.
"""

from collections.abc import Callable

from fedtrain.config.data import DataConfig
from fedtrain.data.cifar10 import cifar10
from fedtrain.data.concepts import concepts
from fedtrain.data.digits import digits
from fedtrain.data.emnist import emnist
from fedtrain.data.examples import DataError, Examples
from fedtrain.data.federated import Federated
from fedtrain.data.glyphs import glyphs
from fedtrain.data.gtsrb import gtsrb
from fedtrain.data.text import text

__all__ = ["DATASETS", "DataError", "Examples", "Federated"]

DATASETS: dict[str, Callable[[DataConfig, int, int], Federated]] = {
    "digits": digits,
    "concepts": concepts,
    "glyphs": glyphs,
    "text": text,
    "cifar10": cifar10,
    "emnist": emnist,
    "gtsrb": gtsrb,
}
"""Every data set by name: from the ``data`` section, the number of clients and the seed."""
