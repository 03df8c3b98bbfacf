"""Devices and links of the second protocol: drawn from a distribution, whose parameters are those of real ones.

Classes of phones by memory, and their speed, are the statistics of 333 phones; links are those of 19 users. Both come
from the measurements of FLASH (github.com/PKU-Chengxu/FLASH, BSD-2-Clause). Only the statistics are here. Real files
are read only from a named folder: :func:`statistics_of` computes the parameters from them, and :func:`read_pool` gives
the real phones and links to draw from.

A small model does not fill a phone. So memory is counted in experts: a class can train as many as its memory is to the
others'. Speed and links are real: the milliseconds of an example are in inverse proportion to the score of the CPU.
"""

import csv
import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.models import layer_sizes
from fedtrain.randomness import Purpose, generator
from fedtrain.server.federation import Federation
from fedtrain.simulation.devices import Devices, Fleet


class Phones(NamedTuple):
    """A class of phones.

    Attributes
    ----------
    gigabytes
        Its least memory.
    share
        Share of the phones.
    score
        Geometric mean of the CPU's score.
    spread
        Standard deviation of the score's logarithm.
    experts
        Experts of each layer that its memory can train.
    """

    gigabytes: float
    share: float
    score: float
    spread: float
    experts: int


class Links(NamedTuple):
    """Lognormal speeds of links: medians in megabits per second, standard deviations of logarithms, correlation."""

    down: float
    down_spread: float
    up: float
    up_spread: float
    correlation: float


class Pool(NamedTuple):
    """Real phones, (n, 2): gigabytes and score; real links, (m, 2): megabits per second down and up."""

    phones: FloatArray
    links: FloatArray


CLASSES = (
    Phones(0.0, 0.1832, 250.4, 0.350, 1),
    Phones(2.0, 0.0931, 539.7, 0.435, 1),
    Phones(4.0, 0.2883, 1314.3, 0.436, 2),
    Phones(6.0, 0.2342, 2078.0, 0.355, 2),
    Phones(8.0, 0.2012, 2733.2, 0.332, 4),
)
"""Phones by memory: 333 of them."""
LINKS = Links(down=41.37, down_spread=0.484, up=24.82, up_spread=0.701, correlation=0.448)
"""Mobile links: 19 users' means."""
EDGES = tuple(phones.gigabytes for phones in CLASSES)
MS_PER_EXAMPLE, AT_SCORE = 1.0, 1314.0
"""Milliseconds of an example through one expert on a phone with this score, which is the commonest class'."""
MARGIN = 1.01
"""Memory that a device has beyond what its experts need."""


def with_devices(federation: Federation, pool: Pool | None = None) -> Fleet:
    """Return the federation's fleet with devices from the distribution, or from a pool of real ones.

    Availability and rounds of arrival stay as configured. The seed of the run draws the devices.
    """
    fleet, seed = federation.fleet, federation.config.seed
    rng, size = generator(seed, Purpose.DEVICES), len(fleet.tier)
    gigabytes, scores, down, up = _drawn(rng, size) if pool is None else _picked(rng, size, pool)
    kind = np.searchsorted(EDGES, gigabytes, side="right") - 1
    num_layers = len(layer_sizes(federation.spec))
    held = np.array([phones.experts for phones in CLASSES])[kind] * num_layers
    memory = np.array([math.ceil(federation.footprint.holding(int(count)) * MARGIN) for count in held])
    devices = Devices(memory, MS_PER_EXAMPLE * AT_SCORE / scores, down, up)
    names = tuple(f"{edge:g} GB" for edge in EDGES)
    return Fleet(
        devices, devices, kind, names, fleet.availability, fleet.joins, windows=fleet.windows, period=fleet.period
    )


def _drawn(rng: np.random.Generator, size: int) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Draw memory, score, and speeds of each client from the distribution."""
    shares = np.array([phones.share for phones in CLASSES])
    kind: IntArray = rng.choice(len(CLASSES), size=size, p=shares / shares.sum())
    score, spread = (np.array([getattr(phones, name) for phones in CLASSES])[kind] for name in ("score", "spread"))
    scores = score * np.exp(spread * rng.standard_normal(size))
    first, second = rng.standard_normal((2, size))
    tied = LINKS.correlation * first + math.sqrt(1.0 - LINKS.correlation**2) * second
    down, up = LINKS.down * np.exp(LINKS.down_spread * first), LINKS.up * np.exp(LINKS.up_spread * tied)
    return np.array(EDGES)[kind], scores, down, up


def _picked(rng: np.random.Generator, size: int, pool: Pool) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Draw real phones and real links, each with replacement."""
    phones = pool.phones[rng.integers(len(pool.phones), size=size)]
    links = pool.links[rng.integers(len(pool.links), size=size)]
    return phones[:, 0], phones[:, 1], links[:, 0], links[:, 1]


def read_pool(folder: Path) -> Pool:
    """Read ``phones.csv`` (ram_gb, cpu_float_score) and ``links.csv`` (means in kilobytes per second) of a folder.

    Raises
    ------
    ValueError
        If a file lacks a column, or has a value that is not a number above 0. OSError if it cannot be read.
    """
    phones = _columns(folder / "phones.csv", ("ram_gb", "cpu_float_score"))
    links = _columns(folder / "links.csv", ("down_mean_kbytes_per_s", "up_mean_kbytes_per_s")) * 8.0 / 1000.0
    return Pool(phones, links)


def statistics_of(pool: Pool) -> tuple[tuple[Phones, ...], Links]:
    """Compute the parameters of the distribution from real phones and links; experts are those of CLASSES."""
    kind = np.searchsorted(EDGES, pool.phones[:, 0], side="right") - 1
    classes = []
    for k, known in enumerate(CLASSES):
        logs = np.log(pool.phones[kind == k, 1])
        classes.append(
            Phones(known.gigabytes, len(logs) / len(kind), math.exp(logs.mean()), logs.std(ddof=1), known.experts)
        )
    down, up = np.log(pool.links).T
    correlation = float(np.corrcoef(down, up)[0, 1])
    spreads = down.std(ddof=1), up.std(ddof=1)
    return tuple(classes), Links(math.exp(down.mean()), spreads[0], math.exp(up.mean()), spreads[1], correlation)


def _columns(path: Path, names: Sequence[str]) -> FloatArray:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in names if not rows or name not in rows[0]]
    if missing:
        raise ValueError(f"{path} has no column {missing[0]}")
    values = np.array([[float(row[name]) for name in names] for row in rows])
    if not ((values > 0) & np.isfinite(values)).all():
        raise ValueError(f"{path}: {', '.join(names)} must be numbers above 0")
    return values
