"""What server and clients say to each other, whatever framework carries it: a task, and the measures of an update.

Down goes a part of the weights with the round and the experts. Up come the trained part and the measures, written by
:func:`write_measures` on the client and read by :func:`read_update` on the server, which believes nothing of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from alignsolve import Outcome, Report
from fedtrain.aggregate.arrays import Array
from fedtrain.partial import PartialUpdate

OUT_OF_MEMORY = Outcome.OUT_OF_MEMORY.value
_LISTS = ("usage", "loss", "accuracy")

Measures: TypeAlias = Mapping[str, Any]
"""What a training function says of its training: see :func:`write_measures`."""


class ExchangeError(ValueError):
    """A message that is not what the other side writes."""


class OutOfMemory(NamedTuple):
    """Why the experts did not fit on the client's device."""

    reason: str


class Trained(NamedTuple):
    """What a client sends back.

    Attributes
    ----------
    weights
        Of the trained part.
    measures
        As :func:`write_measures` wrote them.
    """

    weights: Mapping[str, Array]
    measures: dict[str, Any]


def train_and_measure(
    train: Callable[[], tuple[Mapping[str, Array], Measures]], experts: Sequence[int]
) -> Trained | OutOfMemory:
    """Let a client train, and take its time; what it raises but for a lack of memory is left to its framework.

    Raises
    ------
    ExchangeError
        If its measures are not as :func:`write_measures` wants them.
    """
    started = time.perf_counter()
    try:
        weights, measures = train()
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and type(error).__name__ != "OutOfMemoryError":
            raise
        return OutOfMemory(str(error))
    seconds = time.perf_counter() - started
    return Trained(weights, write_measures({"seconds": seconds, **measures}, experts))


def write_measures(measures: Measures, experts: Sequence[int]) -> dict[str, Any]:
    """Write what a client measured, as numbers and lists of numbers by name.

    Raises
    ------
    ExchangeError
        If a measure is missing, unknown or not one number per expert: the fault of the training function.
    """
    known = {"num_examples", "seconds", "router_mass", *_LISTS}
    wrong = sorted((known - {"router_mass"} - measures.keys()) | (measures.keys() - known))
    if wrong:
        raise ExchangeError(f"the training function's measures lack, or should not hold, {', '.join(wrong)}")
    lists = {name: np.asarray(measures[name], dtype=np.float64) for name in _LISTS}
    for name, values in lists.items():
        if values.shape != (len(experts),):
            raise ExchangeError(
                f"measure {name} has shape {values.shape}; it must be one number for each of {tuple(experts)}"
            )
    if measures.get("router_mass") is not None:
        lists["router_mass"] = np.asarray(measures["router_mass"], dtype=np.float64)
    written: dict[str, Any] = {name.replace("_", "-"): values.tolist() for name, values in lists.items()}
    written |= {"num-examples": int(measures["num_examples"]), "seconds": float(measures["seconds"])}
    return {**written, "experts": list(experts)}


def read_update(
    weights: Mapping[str, Array], said: Mapping[str, Any], *, asked: Report, num_experts: int
) -> tuple[PartialUpdate, Report]:
    """Read a client's update: whether it has the right form; whether it may be merged is another question.

    Parameters
    ----------
    weights, said
        What came back.
    asked
        What the client was asked for, and what sending it took.
    num_experts
        Of the whole model.

    Returns
    -------
    tuple
        The update, and what the aligner learns from it if it is merged.

    Raises
    ------
    ValueError
        Saying what is wrong with it.
    """
    num_examples, seconds, experts, mass = (
        said.get(name) for name in ("num-examples", "seconds", "experts", "router-mass")
    )
    if type(num_examples) is not int:
        raise ExchangeError(f"claims {num_examples!r} examples")
    if not isinstance(seconds, int | float):
        raise ExchangeError(f"claims {seconds!r} seconds")
    if not isinstance(experts, list):
        raise ExchangeError(f"claims experts {experts!r}")
    if mass is not None and np.shape(mass) != (num_experts,):
        raise ExchangeError(f"router-mass has shape {np.shape(mass)}, expected {(num_experts,)}")
    report = Report(
        asked.client,
        asked.experts,
        usage=said.get("usage"),
        loss=said.get("loss"),
        accuracy=said.get("accuracy"),
        num_examples=num_examples,
        seconds=seconds,
        router_mass=mass,
        bytes_down=asked.bytes_down,
        bytes_up=asked.bytes_up,
    )
    return PartialUpdate(asked.client, tuple(experts), weights, num_examples, report.usage), report
