"""Learned weights: a bandit finds out on the server's own examples which holders improve the model.

FedAA (arXiv 2402.05541) learns weights by reinforcement learning, rewarded by the accuracy on held-back data. Here each
pair of a part and a holder is an arm. To pull it is to move the part a quarter of the way to the holder's values, and
to score the model on the server's own examples. A whole step of one client often hurts where the mean of many helps. An
expert moves together with the holder's shared part, with which it was trained; so an attacker is noticed even where
few examples reach the expert.

The reward is the gain as a share of the median of the round's positive gains by shared parts, cut to −1 … 1. So a huge
loss does not hide the differences between the others, and an expert that only attackers hold is noticed. The value of
an arm follows its rewards. The weights of the holders are a softmax of the values, and 0 below ``TRUSTED``. Values stay
with the clients, so the holders of an expert may change.

If only some arms can be pulled in a round, they are chosen by an upper confidence bound (Auer, Cesa-Bianchi and
Fischer, 2002): value + √(2·ln T / n) for an arm that was pulled n of T times. An arm that was never pulled comes first.
The bandit takes the place of FedAA's deep network, which needs a fixed number of clients.
"""

import math

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.aggregate.part import Part

SHARPNESS = 5.0
"""Factor of the values in the softmax at temperature 1. Values lie between −1 and 1."""
TRUSTED = -0.5
"""Smallest value with which a holder is merged."""
NEWEST = 0.1
"""Smallest weight of the newest reward in a value: a client may begin to attack, or may recover.

A larger weight forgets attackers too soon: in late rounds a quarter of their way costs little.
"""


def learned(part: Part) -> FloatArray:
    """Return the holders' weights by the values of their arms, after some arms were pulled.

    The weight of a holder is its own weight times exp(SHARPNESS · value / ``config.temperature``). A holder that was
    never tried, or is not trusted, has weight 0. ``config.evaluations`` limits the arms that are pulled; 0: all.

    Raises
    ------
    ValueError
        If there is no score, or it is not a number for the model before the round and with every holder's part.
    """
    if part.score is None:
        raise ValueError(
            "aggregation.rule is 'learned', which scores updates on the server's own examples, and there are none: "
            "give the loop a score, or set data.held_back above 0 (fedtrain run)"
        )
    zeros = np.zeros(len(part.clients))
    values, times = part.recall("value", zeros), part.recall("times", zeros)
    tried = _choose(values, times, part.config.evaluations)
    rewards = _rewards(np.array([part.score(int(one)) for one in tried]), part)
    times[tried] += 1.0
    values[tried] += (rewards - values[tried]) * np.maximum(1.0 / times[tried], NEWEST)
    part.remember(value=values, times=times)
    known = (times > 0.0) & (values >= TRUSTED)
    if not known.any():
        return np.zeros(len(values))
    with np.errstate(over="ignore"):  # a tiny temperature: all weight is with the largest value
        power = np.exp(SHARPNESS * (values - values[known].max()) / part.config.temperature)
    return np.where(known, part.weights * power, 0.0)


def _choose(values: FloatArray, times: FloatArray, most: int) -> IntArray:
    """Return the holders to try, ascending; of equal bounds, those of the first clients are tried."""
    if most == 0 or most >= len(values):
        return np.arange(len(values), dtype=np.int64)
    pulls = max(float(times.sum()), 1.0)
    bonus = np.sqrt(2.0 * math.log(pulls) / np.maximum(times, 1.0))
    bounds = np.where(times > 0.0, values + bonus, np.inf)
    return np.sort(np.argsort(-bounds, kind="stable")[:most]).astype(np.int64)


def _rewards(scores: FloatArray, part: Part) -> FloatArray:
    """Return the gains over the model before the round, scaled into −1 … 1; a score that is no number gives −1.

    Without any gain, twice the median loss is −1.
    """
    usable = np.isfinite(scores)
    if not math.isfinite(part.base) or not usable.any():
        raise ValueError(
            f"the score is {part.base} before the round, and a number for {int(usable.sum())} of {len(scores)} holders "
            f"of {part.name}: the model may have diverged, or the score is no number; no weights can be learned"
        )
    gains = np.where(usable, scores - part.base, 0.0)
    unit = float(np.median(gains[gains > 0.0] if (gains > 0.0).any() else -2.0 * gains[usable]))
    unit = part.noted.setdefault("unit", unit) or unit
    scaled = np.sign(gains) if unit == 0.0 else np.clip(gains / unit, -1.0, 1.0)
    return np.where(usable, scaled, -1.0)
