"""What an estimator may offer beyond its protocol: advice to the loop, probes, and forgetting.

An estimator that offers one of these has a method of the same name; others have none, and nothing changes for them. The
aligner asks by the functions of this file.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.estimate.estimator import EstimatorState
from alignsolve.numerics import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Advice:
    """What a fitness estimator advises the loop to do in the next round.

    Attributes
    ----------
    bounded
        (num_experts,) whether the load of each expert should stay within its bounds.
    pull
        Whether clients should train with the auxiliary loss, which pulls a router to the experts held.
    verdict
        What the estimator concluded, in words.
    """

    bounded: BoolArray
    pull: bool
    verdict: str


def advice_of(estimator: Any, state: EstimatorState, num_experts: int) -> Advice:
    """Return the estimator's ``advice(state)``. One that offers none keeps the bounds and the auxiliary loss."""
    if hasattr(estimator, "advice"):
        advised: Advice = estimator.advice(state)
        return advised
    return Advice(np.ones(num_experts, dtype=bool), pull=True, verdict="aligned")


def probed(estimator: Any, state: EstimatorState, clients: IntArray, masses: FloatArray) -> EstimatorState:
    """Return the state after ``probe(state, clients, masses)``; the same state if the estimator offers none.

    Parameters
    ----------
    estimator, state
        The estimator and its state.
    clients, masses
        (k,) clients and (k, num_experts) router masses by the model that the next round starts from.
    """
    if hasattr(estimator, "probe"):
        fresh: EstimatorState = estimator.probe(state, clients, masses)
        return fresh
    return state


def forgotten(estimator: Any, state: EstimatorState, clients: IntArray) -> EstimatorState:
    """Return the state after ``forget(state, clients)``, which doubts what was learned; the same if there is none."""
    if hasattr(estimator, "forget"):
        doubted: EstimatorState = estimator.forget(state, clients)
        return doubted
    return state


def begun(estimator: Any, state: EstimatorState) -> EstimatorState:
    """Return the state after ``begin(state)``: the estimator's fitness is used from the next round on."""
    if hasattr(estimator, "begin"):
        started: EstimatorState = estimator.begin(state)
        return started
    return state


def uses(estimator: Any, field: str) -> bool:
    """Whether an estimator, or one inside it, learns from this field of reports, such as ``geometry``.

    An estimator says so by its class attribute ``learns_from``, a set of names.
    """
    return field in getattr(estimator, "learns_from", ()) or any(uses(inner, field) for inner in _inner(estimator))


def takes_probes(estimator: Any) -> bool:
    """Whether the estimator offers ``probe``."""
    return hasattr(estimator, "probe")


def _inner(estimator: Any) -> Iterator[Any]:
    """Yield the values of an estimator's parameters, those in tuples too."""
    pending = [getattr(estimator, name) for name in getattr(estimator, "__dataclass_fields__", ())]
    while pending:
        value = pending.pop()
        if isinstance(value, tuple):
            pending.extend(value)
        elif hasattr(value, "__dataclass_fields__"):
            yield value
