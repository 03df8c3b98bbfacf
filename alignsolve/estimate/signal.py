"""What a pair showed in a round, between 0 (bad) and 1 (good): FLEX-MoE's exp(−alpha·loss), or the accuracy."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report, completed_pairs
from alignsolve.numerics import FloatArray, IntArray

Signal: TypeAlias = Literal["loss", "accuracy"]
Purpose: TypeAlias = Literal["specialise", "repair"]
"""Whether a client is to train the experts that serve it well, or those that serve it badly."""


class Shown(NamedTuple):
    """The pairs that were tried, all of shape (num_pairs,), ascending by client."""

    clients: IntArray
    experts: IntArray
    value: FloatArray


def shown(reports: Sequence[Report], signal: Signal, alpha: float) -> Shown:
    """Read what the pairs of completed reports showed; those to which no example was routed showed nothing."""
    pairs = completed_pairs(reports)
    tried = pairs.usage > 0
    value = np.exp(-alpha * pairs.loss[tried]) if signal == "loss" else pairs.accuracy[tried]
    return Shown(pairs.clients[tried], pairs.experts[tried], np.clip(value, 0.0, 1.0))


def check_signal(signal: Signal, alpha: float) -> None:
    """Refuse parameters that no signal has."""
    checks.positive("alpha", alpha)
    checks.choice("signal", signal, ("loss", "accuracy"))


def check_purpose(purpose: Purpose) -> None:
    """Refuse a purpose that there is not."""
    checks.choice("purpose", purpose, ("specialise", "repair"))
