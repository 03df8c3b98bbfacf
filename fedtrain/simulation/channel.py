"""A wireless channel between the clients and the merge: fading and noise, after arXiv 2302.12509.

A client sends its change d of the model w. The server receives w + h·d + ξ/√power: h is the fading, whose mean is 1,
and ξ is symmetric α-stable noise, normal for α = 2. Every entry has a noise of its own, and every client one gain per
round.

In the paper all clients send at once, and the server receives one sum with one noise. Here each holder has a channel of
its own, so that all rules of aggregation and all inspections apply. With equal weights, the mean over h holders has 1/h
of the variance, which :class:`alignsolve.DerivedDemand` turns into a demand.
"""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from alignsolve.numerics import FloatArray
from fedtrain.aggregate import arrays
from fedtrain.config import ChannelConfig
from fedtrain.layouts import Weights
from fedtrain.partial import PartialUpdate


def transmit(update: PartialUpdate, sent: Weights, channel: ChannelConfig, rng: np.random.Generator) -> PartialUpdate:
    """Return an update as the server receives it.

    Parameters
    ----------
    update
        The client's update.
    sent
        The client's part of the model before training, by name; all of ``update.weights`` must be in it.
    channel
        The channel's fading, noise and power.
    rng
        The generator of the fading and the noise.
    """
    gain = rng.rayleigh(math.sqrt(2.0 / math.pi)) if channel.fading == "rayleigh" else 1.0
    received: dict[str, Any] = {}
    for name in sorted(update.weights):
        value = update.weights[name]
        if not arrays.is_real(value):
            received[name] = value
            continue
        before, after = arrays.flatten([sent[name]]), arrays.flatten([value])
        noise = draw_noise(len(after), channel, rng)
        received[name] = arrays.unflatten(before + gain * (after - before) + noise, [value])[0]
    return replace(update, weights=received)


def draw_noise(size: int, channel: ChannelConfig, rng: np.random.Generator) -> FloatArray:
    """Return the noise of this many entries, as it is added to the update."""
    scale = channel.noise / math.sqrt(channel.power)
    if scale == 0.0:
        return np.zeros(size)
    if channel.alpha == 2.0:
        return rng.normal(scale=scale, size=size)
    from scipy.stats import levy_stable  # noqa: PLC0415  (slow to load)

    # A normal variable with the standard deviation σ is 2-stable with the scale σ/√2.
    drawn = levy_stable.rvs(channel.alpha, 0.0, scale=scale / math.sqrt(2.0), size=size, random_state=rng)
    return np.asarray(drawn, dtype=np.float64)
