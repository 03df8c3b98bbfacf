"""The signal of a pair in a round, from 0 (bad) to 1 (good): FLEX-MoE's exp(−alpha·loss), or the accuracy."""

from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from alignsolve.estimate import checks
from alignsolve.estimate.report import Report, completed_pairs
from alignsolve.numerics import FloatArray, IntArray

Signal: TypeAlias = Literal["loss", "accuracy"]
Purpose: TypeAlias = Literal["specialise", "repair"]
"""Whether clients train the experts that serve them well ("specialise") or badly ("repair")."""


class PairSignals(NamedTuple):
    """The signals of the pairs that were tried, ascending by client; all arrays have shape (num_pairs,)."""

    clients: IntArray
    experts: IntArray
    value: FloatArray


def pair_signals(reports: Sequence[Report], signal: Signal, alpha: float) -> PairSignals:
    """Return the signals of completed reports; pairs to which no example was routed have none."""
    pairs = completed_pairs(reports)
    tried = pairs.usage > 0
    value = np.exp(np.minimum(-alpha * pairs.loss[tried], 0.0)) if signal == "loss" else pairs.accuracy[tried]
    return PairSignals(pairs.clients[tried], pairs.experts[tried], np.clip(value, 0.0, 1.0))


def check_signal(signal: Signal, alpha: float) -> None:
    """Refuse an unknown signal, and an alpha that is not above 0 and finite."""
    checks.positive("alpha", alpha)
    checks.choice("signal", signal, ("loss", "accuracy"))


def check_purpose(purpose: Purpose) -> None:
    """Refuse an unknown purpose."""
    checks.choice("purpose", purpose, ("specialise", "repair"))
