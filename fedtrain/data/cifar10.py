"""CIFAR-10 from its *binary version*: each record is a label and 3 × 32 × 32 bytes.

The Python version is not read, because unpickling a foreign file can run code.

A. Krizhevsky, "Learning multiple layers of features from tiny images", 2009.
"""

from pathlib import Path

import numpy as np

from fedtrain.config.data import DataConfig
from fedtrain.data.examples import DataError, Examples, joined
from fedtrain.data.federated import Federated
from fedtrain.data.files import data_folder, read_bytes, share_out, standardised

ADVICE = (
    "Get the “CIFAR-10 binary version (suitable for C programs)” from https://www.cs.toronto.edu/~kriz/cifar.html, "
    "unpack it, and let data.path be the folder cifar-10-batches-bin. The Python version is pickled and not read."
)
_RECORD = 1 + 3 * 32 * 32


def cifar10(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Load the five training batches and the test batch, and divide them among the clients.

    Raises
    ------
    DataError
        If a file is missing or broken. The message names the file and says how to get it.
    """
    folder = data_folder(config, ADVICE)
    train = joined([read_batch(folder / f"data_batch_{number}.bin") for number in range(1, 6)])
    test = read_batch(folder / "test_batch.bin")
    return share_out(train, test, config, num_clients, seed)


def read_batch(path: Path) -> Examples:
    """Read one file: images of (3, 32, 32) with about zero mean and unit variance.

    Raises
    ------
    DataError
        If the file is missing, does not consist of whole records, or has a label above 9.
    """
    content = np.frombuffer(read_bytes(path, ADVICE), dtype=np.uint8)
    if not len(content) or len(content) % _RECORD:
        raise DataError(f"{path} has {len(content)} bytes, which are not whole records of {_RECORD}. {ADVICE}")
    records = content.reshape(-1, _RECORD)
    labels = records[:, 0].astype(np.int64)
    if labels.max() > 9:
        raise DataError(f"{path}: record {int(labels.argmax())} has label {labels.max()}, not 0 to 9. {ADVICE}")
    images = standardised(records[:, 1:].reshape(-1, 3, 32, 32), middle=1.9, spread=0.25)
    return Examples(images, labels, 10)
