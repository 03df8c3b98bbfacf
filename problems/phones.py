"""Phones and their links, drawn like measured ones: memory, speed of the processor, download and upload.

The numbers were fitted to ``models/utils/device_util/raw_ai_benchmark_list.json`` (333 phones) and
``models/speed_distri.json`` (19 links) of PKU-Chengxu/FLASH (BSD-2-Clause). No file is read here.
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.numerics import FloatArray

GIGABYTES = np.array([1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 10.0, 12.0])
"""Memory of a phone."""
PHONES = np.array([54, 7, 18, 13, 96, 78, 57, 1, 9])
"""Number of phones with that memory; 14 phones with less than 1 GB are counted as 1 GB."""
MEDIAN_GIGABYTES = 4.0
CPU_EXPONENT, CPU_SD = 1.10, 0.38
"""The score of the processor grows as memory^1.10; standard deviation of the logarithm around this line."""
DOWN, DOWN_SD = 5172e3, 0.48
"""Download: geometric mean in bytes per second, and standard deviation of the logarithm."""
UP, UP_SD = 3103e3, 0.70
"""Upload: geometric mean in bytes per second, and standard deviation of the logarithm."""
LINK_CORRELATION = 0.45
"""Correlation of the logarithms of download and upload."""
DOWN_SHARE, UP_SHARE = (0.38, 0.52), (0.33, 0.58)
"""A link's own standard deviation, as a share of its mean: geometric mean, and standard deviation of the logarithm."""


@dataclass(frozen=True)
class Phones:
    """Drawn phones.

    Attributes
    ----------
    gigabytes
        (num_clients,) memory.
    slowness
        (num_clients,) time for a computation, relative to a typical phone of median memory.
    seconds_per_byte
        (num_clients,) time to download a byte and to upload it again.
    """

    gigabytes: FloatArray
    slowness: FloatArray
    seconds_per_byte: FloatArray


def draw_phones(rng: np.random.Generator, num_clients: int) -> Phones:
    """Draw phones: memory from the counts, speeds as lognormals."""
    gigabytes = rng.choice(GIGABYTES, size=num_clients, p=PHONES / PHONES.sum())
    slowness = draw_slowness(rng, gigabytes)
    down, up = _draw_speeds(rng, num_clients)
    return Phones(gigabytes, slowness, 1.0 / down + 1.0 / up)


def draw_slowness(rng: np.random.Generator, gigabytes: FloatArray) -> FloatArray:
    """Draw the time that phones with this memory need, (num_phones,), relative to a typical one of median memory."""
    slowness: FloatArray = (MEDIAN_GIGABYTES / gigabytes) ** CPU_EXPONENT
    return slowness * rng.lognormal(0.0, CPU_SD, size=len(gigabytes))


def draw_links(rng: np.random.Generator, num_links: int) -> FloatArray:
    """Draw links, (num_links, 4): mean and deviation of the download, then of the upload, in bytes per second."""
    down, up = _draw_speeds(rng, num_links)
    of_down = rng.lognormal(np.log(DOWN_SHARE[0]), DOWN_SHARE[1], size=num_links)
    of_up = rng.lognormal(np.log(UP_SHARE[0]), UP_SHARE[1], size=num_links)
    return np.column_stack([down, down * of_down, up, up * of_up])


def _draw_speeds(rng: np.random.Generator, number: int) -> tuple[FloatArray, FloatArray]:
    """Draw downloads and uploads as correlated lognormals."""
    own, shared = rng.normal(size=(2, number))
    down = DOWN * np.exp(DOWN_SD * shared)
    up = UP * np.exp(UP_SD * (LINK_CORRELATION * shared + np.sqrt(1.0 - LINK_CORRELATION**2) * own))
    return down, up
