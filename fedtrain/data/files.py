"""Reads files that the user must download; errors name the missing or broken file, and say where to get it."""

import gzip
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedtrain.config.data import DataConfig
from fedtrain.data.digits import partitioned
from fedtrain.data.examples import DataError, Examples, Images
from fedtrain.data.federated import Federated
from fedtrain.randomness import Purpose, generator


def data_folder(config: DataConfig, advice: str) -> Path:
    """Return the configured folder.

    Raises
    ------
    DataError
        If no folder is configured, or it does not exist.
    """
    if not config.path:
        raise DataError(f"data.path is empty; it must be the folder of the files. {advice}")
    folder = Path(config.path)
    if not folder.is_dir():
        raise DataError(f"data.path: there is no folder {folder}. {advice}")
    return folder


def read_bytes(path: Path, advice: str) -> bytes:
    """Read a file; a file whose name ends in .gz is unpacked.

    Raises
    ------
    DataError
        If the file cannot be read.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing. {advice}") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); fetch it again. {advice}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}") from error


def standardised(pixels: npt.NDArray[Any], *, middle: float, spread: float) -> Images:
    """Turn pixels from 0 to 255 into float32 numbers of about zero mean and unit variance.

    Parameters
    ----------
    pixels
        Array of any shape.
    middle
        Number that is subtracted from each value after the division.
    spread
        Each pixel is first divided by this share of 255.
    """
    images = pixels.astype(np.float32)
    images /= np.float32(255 * spread)
    images -= np.float32(middle)
    return images


def share_out(train: Examples, test: Examples, config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Divide a data set among the clients by the configured partition, after sampling ``data.max_examples`` of it."""
    return partitioned(_sample(train, config, seed, 0), _sample(test, config, seed, 1), config, num_clients, seed)


def _sample(examples: Examples, config: DataConfig, seed: int, part: int) -> Examples:
    """Sample at most ``data.max_examples``, in their order; 0 takes all. ``part`` is 0 for training, 1 for the test."""
    if not 0 < config.max_examples < len(examples):
        return examples
    rng = generator(seed, Purpose.SUBSET, part)
    return examples.select(np.sort(rng.choice(len(examples), size=config.max_examples, replace=False)))
