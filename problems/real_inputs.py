"""Routing shares, phones and links that were measured, from a folder that the user names; and a drawn stand-in.

The folder holds three CSV files. Further columns are ignored.

=================================  ====================================================================
file                               columns
=================================  ====================================================================
``routing/expert_counts.csv``      model, domain, layer, expert, tokens: tokens of a domain per expert
``devices/phones.csv``             ram_gb, cpu_float_score: a higher score is faster, in proportion
``devices/links.csv``              down_mean_kbytes_per_s, down_sd, up_mean_kbytes_per_s, up_sd
=================================  ====================================================================

The measured numbers are not part of this project. They are in allenai/OLMoE (Apache-2.0), commit 357454f4, in
``scripts/routing_output/{olmoe,mistral}/expert_counts``, and in PKU-Chengxu/FLASH (BSD-2-Clause), in
``models/utils/device_util/raw_ai_benchmark_list.json`` and ``models/speed_distri.json``.

Without the folder there is a stand-in of the same sizes and statistics, drawn with one fixed seed. Its shares are
lognormal, with the standard deviations of ``MEASURED``; :mod:`problems.phones` has the numbers of the devices.
``Inputs.source`` says which of the two was used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from problems.number_columns import Columns, read_columns
from problems.phones import GIGABYTES, PHONES, Phones, draw_links, draw_slowness

COUNTS = Path("routing", "expert_counts.csv")
DEVICES = Path("devices", "phones.csv")
LINKS = Path("devices", "links.csv")
REAL, DRAWN = "real", "drawn"
"""The two sources of inputs; the name of every instance begins with one of them."""
LAYERS = (0, 7, 15)
"""The layers of the models that were measured."""
SEED = 20_507
"""Seed of the stand-in."""
NUM_LINKS = 190
"""Links of the stand-in: ten times as many as were measured."""
KILOBYTE = 1e3


class Skew(NamedTuple):
    """What the stand-in of a model's shares is drawn with.

    Attributes
    ----------
    num_domains, num_experts
        Domains of text, and experts of a layer.
    shared, own
        For each layer of ``LAYERS``: standard deviations of the logarithms of the shares, of the part that all domains
        share and of each domain's own part.
    """

    num_domains: int
    num_experts: int
    shared: tuple[float, ...]
    own: tuple[float, ...]


MEASURED = {
    "olmoe-1b-7b": Skew(6, 64, (0.15, 0.34, 0.44), (0.51, 0.84, 1.20)),
    "mixtral-8x7b": Skew(5, 8, (0.09, 0.02, 0.22), (0.08, 0.09, 0.14)),
}
"""The models whose routing was measured; :mod:`problems.layered` says how the deviations were computed."""


@dataclass(frozen=True)
class Inputs:
    """What instances are made of.

    Attributes
    ----------
    source
        ``REAL`` or ``DRAWN``.
    shares
        Model → (num_domains, 3, num_experts): tokens of a domain per expert of each layer of ``LAYERS``, relative to
        the mean of the layer's experts.
    gigabytes, slowness
        (num_phones,) memory, and time for a computation relative to the median phone.
    links
        (num_links, 4): mean and standard deviation of the download, then of the upload, in bytes per second.
    """

    source: str
    shares: Mapping[str, FloatArray]
    gigabytes: FloatArray
    slowness: FloatArray
    links: FloatArray

    def draw_phones(self, rng: np.random.Generator, num_clients: int, least_gigabytes: float) -> Phones:
        """Draw phones with at least that much memory, and a link for each; its speeds are gamma distributed.

        Raises
        ------
        ValueError
            If no phone has so much memory.
        """
        able = np.flatnonzero(self.gigabytes >= least_gigabytes)
        if not len(able):
            raise ValueError(f"no phone has {least_gigabytes:.3g} GB, which one expert of each layer needs")
        phone = rng.choice(able, size=num_clients)
        down, down_sd, up, up_sd = self.links[rng.integers(len(self.links), size=num_clients)].T
        seconds = 1.0 / _around(rng, down, down_sd) + 1.0 / _around(rng, up, up_sd)
        return Phones(self.gigabytes[phone], self.slowness[phone], seconds)


def _around(rng: np.random.Generator, mean: FloatArray, sd: FloatArray) -> FloatArray:
    """Draw speeds with these means and standard deviations, at least a tenth of the mean."""
    drawn = rng.gamma((mean / sd) ** 2, sd**2 / mean)
    return np.maximum(drawn, mean / 10.0)


@cache
def read_inputs(folder: str | Path | None) -> Inputs:
    """Read the measured inputs from a folder; None: return the drawn stand-in.

    Raises
    ------
    FileError
        If a file is missing, lacks a column, or holds something else; the message names the file, the column and what
        to do.
    """
    if folder is None:
        return _drawn()
    root = Path(folder)
    hint = f"the folder must hold {COUNTS}, {DEVICES} and {LINKS}; without a folder the drawn stand-in is used"
    counts = read_columns(root / COUNTS, hint, texts=("model", "domain"), numbers=("layer", "expert", "tokens"))
    phones = read_columns(root / DEVICES, hint, numbers=("ram_gb", "cpu_float_score"), positive=True)
    columns = ("down_mean_kbytes_per_s", "down_sd", "up_mean_kbytes_per_s", "up_sd")
    links = read_columns(root / LINKS, hint, numbers=columns, positive=True)
    score = phones.numbers["cpu_float_score"]
    return Inputs(
        REAL,
        {model: _shares(counts, model) for model in MEASURED},
        phones.numbers["ram_gb"],
        np.median(score) / score,
        KILOBYTE * np.column_stack([links.numbers[name] for name in columns]),
    )


def _shares(counts: Columns, model: str) -> FloatArray:
    """Return the shares of one model, (num_domains, 3, num_experts)."""
    rows = [k for k, name in enumerate(counts.texts["model"]) if name.lower() == model]
    domains = sorted({counts.texts["domain"][k] for k in rows})
    shape = len(domains), len(LAYERS), MEASURED[model].num_experts
    found = np.full(shape, np.nan)
    layer, expert, tokens = (counts.numbers[name] for name in ("layer", "expert", "tokens"))
    for k in rows:
        for name, values, size in (("layer", layer, shape[1]), ("expert", expert, shape[2])):
            if values[k] not in range(size):
                counts.refuse(k, name, f"is {values[k]:g}; of {model} it must be a whole number from 0 to {size - 1}")
        if tokens[k] < 0.0:
            counts.refuse(k, "tokens", f"is {tokens[k]:g}; it must be 0 or more")
        found[domains.index(counts.texts["domain"][k]), int(layer[k]), int(expert[k])] = tokens[k]
    if not rows or np.isnan(found).any():
        lacks = f"lacks rows of {model}: each domain needs {shape[1]} layers of {shape[2]} experts"
        counts.refuse(None, "tokens", lacks)
    mean = found.mean(axis=2, keepdims=True)
    if not mean.all():
        counts.refuse(None, "tokens", f"is 0 for a whole layer of {model} and a domain; it has no shares")
    return found / mean


def _drawn() -> Inputs:
    """Draw the stand-in."""
    rng = np.random.default_rng(SEED)
    shares = {model: _drawn_shares(rng, skew) for model, skew in MEASURED.items()}
    gigabytes = np.repeat(GIGABYTES, PHONES)
    slowness = draw_slowness(rng, gigabytes)
    return Inputs(DRAWN, shares, gigabytes, slowness / np.median(slowness), draw_links(rng, NUM_LINKS))


def _drawn_shares(rng: np.random.Generator, skew: Skew) -> FloatArray:
    shape = len(LAYERS), skew.num_experts
    shared = rng.normal(size=shape) * np.array(skew.shared)[:, None]
    own = rng.normal(size=(skew.num_domains, *shape)) * np.array(skew.own)[:, None]
    share = np.exp(shared + own)
    return share / share.mean(axis=2, keepdims=True)


def sources(folder: str | Path | None) -> Sequence[str]:
    """Say in words what instances of this folder are made of."""
    if folder is None:
        return ["inputs: the drawn stand-in (routing, phones and links with the statistics of the measured ones)"]
    return [f"inputs: the real files in {folder} (measured routing, phones and links)"]
