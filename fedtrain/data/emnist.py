"""EMNIST, handwritten characters: idx files of bytes, plain or gzipped; the images in them are transposed.

G. Cohen and others, "EMNIST: an extension of MNIST to handwritten letters", 2017.
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedtrain.config.data import DataConfig
from fedtrain.data.examples import DataError, Examples
from fedtrain.data.federated import Federated
from fedtrain.data.files import data_folder, read_bytes, share_out, standardised

ADVICE = (
    "Get “Binary format as the original MNIST dataset” from https://www.nist.gov/itl/products-and-services/emnist-dataset"
    ", unpack gzip.zip, and let data.path be its folder."
)
NUM_CLASSES = {"byclass": 62, "bymerge": 47, "balanced": 47, "letters": 26, "digits": 10, "mnist": 10}
"""Number of classes in every part of EMNIST."""


def emnist(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Load one part of EMNIST with its own test set, and divide the training images among the clients.

    Raises
    ------
    DataError
        If a file is missing or broken. The message names the file and says how to get it.
    """
    folder = data_folder(config, ADVICE)
    train, test = (read_part(folder, config.emnist.split, half) for half in ("train", "test"))
    return share_out(train, test, config, num_clients, seed)


def read_part(folder: Path, part: str, half: str) -> Examples:
    """Read upright images of (1, 28, 28) with about zero mean and unit variance, and their labels, counted from 0.

    Raises
    ------
    DataError
        If a file is missing or broken, if images and labels differ in number, or if a label is outside this part.
    """
    image_file, label_file = (_find(folder, f"emnist-{part}-{half}-{what}") for what in ("images-idx3", "labels-idx1"))
    images, labels = read_idx(image_file, 3), read_idx(label_file, 1).astype(np.int64)
    if len(images) != len(labels):
        raise DataError(f"{image_file} has {len(images)} images, {label_file} has {len(labels)} labels. {ADVICE}")
    if images.shape[1:] != (28, 28):
        raise DataError(f"{image_file} has images of {images.shape[1]} × {images.shape[2]}, not 28 × 28. {ADVICE}")
    labels -= part == "letters"  # only this part counts labels from 1
    if labels.min(initial=0) < 0 or labels.max(initial=0) >= NUM_CLASSES[part]:
        raise DataError(f"{label_file} has a label outside the {NUM_CLASSES[part]} classes of {part!r}. {ADVICE}")
    upright = standardised(images.transpose(0, 2, 1)[:, None], middle=0.52, spread=0.33)
    return Examples(upright, labels, NUM_CLASSES[part])


def read_idx(path: Path, num_axes: int) -> npt.NDArray[Any]:
    """Read an idx file of unsigned bytes with this many axes.

    The format: two zero bytes, the type (8: bytes), the number of axes, the axes' lengths as big-endian 32-bit
    integers, then the values.

    Raises
    ------
    DataError
        If the file is missing or is not such a file.
    """
    content = read_bytes(path, ADVICE)
    start = 4 + 4 * num_axes
    if len(content) < start or content[:4] != bytes([0, 0, 8, num_axes]):
        raise DataError(f"{path} starts with {content[:4].hex()}, not as an idx file of bytes with {num_axes} axes "
                        f"(0000080{num_axes}). {ADVICE}")  # fmt: skip
    shape = struct.unpack(f">{num_axes}I", content[4:start])
    if len(content) - start != math.prod(shape):
        raise DataError(f"{path} has {len(content) - start} values, its header says {math.prod(shape)}. {ADVICE}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)


def _find(folder: Path, stem: str) -> Path:
    """Return the path of the plain file if it exists, otherwise that of the gzipped file, which may be missing."""
    plain = folder / f"{stem}-ubyte"
    return plain if plain.exists() else folder / f"{stem}-ubyte.gz"
