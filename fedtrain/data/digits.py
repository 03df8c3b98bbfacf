"""scikit-learn's handwritten digits: small, bundled, and divided among clients by label skew or quantity skew."""

import numpy as np

from fedtrain.config.data import DataConfig
from fedtrain.data.examples import Examples, split
from fedtrain.data.federated import Federated, shared_out
from fedtrain.data.partitions import PARTITIONS
from fedtrain.randomness import Purpose, generator


def digits(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Split the digits into training and test, and divide the training part among the clients.

    Raises
    ------
    DataError
        If there are too few digits for every client's minimum.
    """
    train, test = split(generator(seed, Purpose.SPLIT), load_digits(), config.test_fraction)
    return partitioned(train, test, config, num_clients, seed)


def partitioned(train: Examples, test: Examples, config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Divide training examples among the clients by the configured partition."""
    partition = PARTITIONS[config.partition]
    rng = generator(seed, Purpose.PARTITION)
    parts = partition(rng, train.labels, num_clients, alpha=config.alpha, min_examples=config.min_examples)
    return shared_out(train, test, parts)


def load_digits() -> Examples:
    """Load scikit-learn's handwritten digits: 1,797 images of 1 × 8 × 8. They are bundled; nothing is downloaded.

    The pixels, 0 to 16, are shifted and scaled to about zero mean and unit variance, in the same way for every split.
    """
    from sklearn import datasets  # noqa: PLC0415  (takes a second to import, and only this needs it)

    bunch = datasets.load_digits()
    inputs = (bunch.images[:, None] / 16.0 - 0.3) / 0.4
    return Examples(inputs.astype(np.float32), bunch.target.astype(np.int64), 10)
