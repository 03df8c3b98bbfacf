"""Binary portable pixmaps (P6), the format of the GTSRB traffic signs: read by hand, resized by averaging."""

import re
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.numerics import FloatArray
from fedtrain.data.examples import Images

_SPACE = rb"(?:\s|#[^\n\r]*[\n\r])+"
_HEADER = re.compile(rb"P6" + 2 * (_SPACE + rb"(\d{1,6})") + _SPACE + rb"(\d{1,5})\s")


def parse_ppm(content: bytes) -> npt.NDArray[Any]:
    """Read a picture of 8 bits per channel, (height, width, 3) bytes.

    Raises
    ------
    ValueError
        Saying what is wrong with it.
    """
    header = _HEADER.match(content)
    if header is None:
        raise ValueError(
            f"it starts with {content[:8]!r}, not with the header of a binary PPM (P6, width, height, 255)"
        )
    width, height, brightest = map(int, header.groups())
    if brightest != 255:
        raise ValueError(f"its brightest value is {brightest}, and only 255 is read")
    if width == 0 or height == 0:
        raise ValueError(f"it is {width} × {height} pixels")
    values = len(content) - header.end()
    if values != width * height * 3:
        raise ValueError(f"it has {values} values, {width} × {height} pixels have {width * height * 3}")
    return np.frombuffer(content, dtype=np.uint8, offset=header.end()).reshape(height, width, 3)


def resize(picture: npt.NDArray[Any], size: int) -> Images:
    """Resize a (height, width, channels) picture to (channels, size, size).

    A new pixel is the mean over the area that it covers in the old picture, along either axis.
    """
    rows, columns = _areas(picture.shape[0], size), _areas(picture.shape[1], size)
    return np.einsum("ih,hwc,jw->cij", rows, picture, columns, optimize=True).astype(np.float32)


def _areas(old: int, new: int) -> FloatArray:
    """Share of every old pixel in every new one along an axis, (new, old); rows sum to 1."""
    edges = np.arange(new + 1) * (old / new)
    pixel = np.arange(old)
    overlap = np.minimum(edges[1:, None], pixel + 1) - np.maximum(edges[:-1, None], pixel)
    return np.maximum(overlap, 0.0) * (new / old)
