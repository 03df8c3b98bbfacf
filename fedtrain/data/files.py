"""Reads files that the user has to fetch; errors name the missing or broken file, and where to get it."""

import gzip
import zlib
from pathlib import Path

import numpy as np

from fedtrain.config.data import DataConfig
from fedtrain.data.examples import DataError, Examples
from fedtrain.randomness import Purpose, generator


def data_folder(config: DataConfig, advice: str) -> Path:
    """Return the configured folder.

    Raises
    ------
    DataError
        If none is configured or it is not there.
    """
    if not config.path:
        raise DataError(f"data.path is empty; it must be the folder of the files. {advice}")
    folder = Path(config.path)
    if not folder.is_dir():
        raise DataError(f"data.path: there is no folder {folder}. {advice}")
    return folder


def read_bytes(path: Path, advice: str) -> bytes:
    """Read a file, unpacked if its name ends in .gz.

    Raises
    ------
    DataError
        If it cannot be read.
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


def sample(examples: Examples, config: DataConfig, seed: int, part: int) -> Examples:
    """Draw as many as ``data.max_examples`` allows, in their order; ``part`` is 0 for training, 1 for the test."""
    if not 0 < config.max_examples < len(examples):
        return examples
    rng = generator(seed, Purpose.SUBSET, part)
    return examples.select(np.sort(rng.choice(len(examples), size=config.max_examples, replace=False)))
