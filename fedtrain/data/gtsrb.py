"""GTSRB, German traffic signs: a folder per class with pictures, and a table with the position of the sign in each.

J. Stallkamp and others, "Man vs. computer: benchmarking machine learning algorithms for traffic sign recognition",
Neural Networks 32, 2012. A track is a series of about 30 pictures of one sign, taken while a car drives past it. The
test set consists of whole tracks. With single pictures, near copies of test pictures would be in the training set.
"""

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import BoolArray, FloatArray, IntArray
from fedtrain.config.data import DataConfig
from fedtrain.data.examples import DataError, Examples, Images
from fedtrain.data.federated import Federated
from fedtrain.data.files import data_folder, read_bytes, share_out, standardised
from fedtrain.randomness import Purpose, generator

ADVICE = (
    "Get GTSRB_Final_Training_Images.zip from https://benchmark.ini.rub.de/gtsrb_dataset.html, unpack it, and let "
    "data.path be the folder GTSRB/Final_Training/Images, which holds a folder for every class."
)
NUM_CLASSES = 43
_COLUMNS = ("Filename", "Roi.X1", "Roi.Y1", "Roi.X2", "Roi.Y2", "ClassId")


def gtsrb(config: DataConfig, num_clients: int, seed: int) -> Federated:
    """Load the training pictures, keep whole tracks for the test, and divide the others among the clients.

    Raises
    ------
    DataError
        If a file is missing or broken. The message names the file and says how to get it.
    """
    examples, tracks = read_folder(data_folder(config, ADVICE), config.gtsrb.size)
    kept = _kept_tracks(generator(seed, Purpose.SPLIT), examples.labels, tracks, config.test_fraction)
    train, test = examples.select(np.flatnonzero(~kept)), examples.select(np.flatnonzero(kept))
    if not len(test):
        raise DataError("no track is left for the test: raise data.test_fraction, or get more of the data set")
    return share_out(train, test, config, num_clients, seed)


def read_folder(folder: Path, size: int) -> tuple[Examples, IntArray]:
    """Read all classes' pictures, cut to the sign and resized, and the track of each, (num_examples,).

    Raises
    ------
    DataError
        If there is no class folder, or one of the files is missing or broken.
    """
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and path.name.isdigit())
    if not classes:
        raise DataError(f"{folder} holds no folder of a class, such as 00000. {ADVICE}")
    tables = [path / f"GT-{path.name}.csv" for path in classes]
    signs = [_read_sign(table, line, row, size) for table in tables for line, row in enumerate(_rows(table), start=2)]
    if not signs:
        raise DataError(f"the tables in {folder} name no picture. {ADVICE}")
    images, labels, tracks = zip(*signs, strict=True)
    inputs = standardised(np.stack(images), middle=1.2, spread=0.27)
    return Examples(inputs, np.array(labels, dtype=np.int64), NUM_CLASSES), np.array(tracks, dtype=np.int64)


def _rows(table: Path) -> list[dict[str, str]]:
    lines = read_bytes(table, ADVICE).decode("utf-8", errors="replace").splitlines()
    reader = csv.DictReader(lines, delimiter=";")
    missing = [column for column in _COLUMNS if column not in (reader.fieldnames or ())]
    if missing:
        raise DataError(
            f"{table} has no column {missing[0]}; its first line must name them, separated by ';'. {ADVICE}"
        )
    return list(reader)


def _read_sign(table: Path, line: int, row: dict[str, str], size: int) -> tuple[Images, int, int]:
    """Read one picture, cropped to its sign, with its class and its track.

    The columns give the corners of the sign. The right and bottom pixels are included.
    """
    from PIL import Image  # noqa: PLC0415  (an extra's, and only this needs it)

    name = row["Filename"]
    try:
        left, top, right, bottom, label = (int(row[column]) for column in _COLUMNS[1:])
        track = int(name.partition("_")[0])
    except (TypeError, ValueError):
        raise DataError(f"{table}, line {line}: {name!r} has a cell that is not a whole number. {ADVICE}") from None
    if not 0 <= label < NUM_CLASSES:
        raise DataError(f"{table}, line {line}: ClassId is {label}, not 0 to {NUM_CLASSES - 1}. {ADVICE}")
    path = table.parent / Path(name).name
    content = read_bytes(path, ADVICE)
    try:
        with Image.open(io.BytesIO(content), formats=["PPM"]) as opened:
            picture = np.asarray(opened.convert("RGB"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {error}. {ADVICE}") from error
    sign = picture[max(top, 0) : bottom + 1, max(left, 0) : right + 1]
    if not sign.size:
        raise DataError(f"{table}, line {line}: the sign is outside of its picture. {ADVICE}")
    return resize(sign, size), label, label * 100_000 + track


def resize(picture: npt.NDArray[Any], size: int) -> Images:
    """Resize a picture of (height, width, channels) to (channels, size, size).

    A new pixel is the mean over the area that it covers in the old picture.
    """
    rows, columns = _areas(picture.shape[0], size), _areas(picture.shape[1], size)
    return np.einsum("ih,hwc,jw->cij", rows, picture, columns, optimize=True).astype(np.float32)


def _areas(old: int, new: int) -> FloatArray:
    """Return the share of every old pixel in every new pixel along an axis, (new, old); rows sum to 1."""
    edges = np.arange(new + 1) * (old / new)
    pixel = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(overlap, 0.0) * (new / old)


def _kept_tracks(rng: np.random.Generator, labels: IntArray, tracks: IntArray, fraction: float) -> BoolArray:
    """Choose about this share of every class's tracks; return a mask of their examples, (num_examples,)."""
    kept: list[int] = []
    for label in np.unique(labels):
        own = rng.permutation(np.unique(tracks[labels == label]))
        kept += own[: round(fraction * len(own))].tolist()
    return np.isin(tracks, kept)
