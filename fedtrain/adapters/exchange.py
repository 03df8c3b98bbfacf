"""The messages of server and clients in every framework: a task, and the measures of an update.

Down goes a part of the weights with the round and the experts. Up come the trained part and the measures, written by
:func:`write_measures` on the client and read by :func:`read_answer` on the server, which believes nothing of them.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from alignsolve import Outcome
from fedtrain.aggregate.arrays import Array
from fedtrain.partial import PartialUpdate
from fedtrain.server.inspection import Answer

_LISTS = ("usage", "loss", "accuracy")

Measures: TypeAlias = Mapping[str, Any]
"""What a training function says of its training: see :func:`write_measures`."""


class ExchangeError(ValueError):
    """A message that is not what the other side writes."""


class Sent(NamedTuple):
    """What a client sends back.

    Attributes
    ----------
    weights
        Of the trained part; empty if there is none.
    said
        As :func:`write_measures` wrote them; or ``outcome`` and ``reason``, why the experts were not trained.
    """

    weights: Mapping[str, Array]
    said: dict[str, Any]


def train_and_measure(train: Callable[[], tuple[Mapping[str, Array], Measures]], experts: Sequence[int]) -> Sent:
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
        return Sent({}, {"outcome": Outcome.OUT_OF_MEMORY.value, "reason": str(error)})
    seconds = time.perf_counter() - started
    return Sent(weights, write_measures({"seconds": seconds, **measures}, experts))


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
    given = [name for name in (*_LISTS, "router_mass") if name in _LISTS or measures.get(name) is not None]
    lists = {name: np.asarray(measures[name], dtype=np.float64) for name in given}
    for name in _LISTS:
        if lists[name].shape != (len(experts),):
            raise ExchangeError(
                f"measure {name} has shape {lists[name].shape}; it must be one number for each of {tuple(experts)}"
            )
    written: dict[str, Any] = {name.replace("_", "-"): values.tolist() for name, values in lists.items()}
    written |= {"num-examples": int(measures["num_examples"]), "seconds": float(measures["seconds"])}
    return {**written, "experts": list(experts)}


def read_answer(client: int, weights: Mapping[str, Array], said: Mapping[str, Any], num_bytes: int) -> Answer:
    """Read a client's update; whether it may be merged is another question.

    Parameters
    ----------
    client
        By whose connection it came.
    weights, said
        What came back; nothing of it is believed.
    num_bytes
        What it took to send.
    """
    told = {**dict.fromkeys(("num-examples", "seconds", "experts", *_LISTS, "router-mass")), **said}
    if not isinstance(told["seconds"], int | float):
        return Answer(bytes_up=num_bytes, fault=f"claims {told['seconds']!r} seconds")
    measures = [told[name] for name in (*_LISTS, "router-mass")]
    update = PartialUpdate(client, told["experts"], weights, told["num-examples"], *measures)
    return Answer(update, seconds=told["seconds"], bytes_up=num_bytes)


def read_failure(said: Mapping[str, Any]) -> Answer:
    """Read the answer of a client that says itself that it failed."""
    outcome, reason = said.get("outcome"), said.get("reason")
    ended = Outcome.OUT_OF_MEMORY if outcome == Outcome.OUT_OF_MEMORY else Outcome.DROPPED
    return Answer(fault=f"failed: {outcome!r}, {reason!r}", outcome=ended)
