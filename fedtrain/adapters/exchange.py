"""The content of the messages between server and clients in every framework: a task, and the measures of an update.

The server sends a part of the weights with the round and the experts. The client returns the trained part and its
measures. :func:`write_measures` writes them on the client; :func:`read_answer` reads them on the server, which trusts
nothing in them.
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
"""The measures that a training function returns; see :func:`write_measures`."""


class ExchangeError(ValueError):
    """A message does not have the expected content."""


class Sent(NamedTuple):
    """The answer of a client to a task.

    Attributes
    ----------
    weights
        The weights of the trained part; empty if the training failed.
    said
        The measures, as :func:`write_measures` wrote them. If the training failed: its ``outcome`` and ``reason``.
    """

    weights: Mapping[str, Array]
    said: dict[str, Any]


def train_and_measure(train: Callable[[], tuple[Mapping[str, Array], Measures]], experts: Sequence[int]) -> Sent:
    """Run a client's training function and measure its time.

    A lack of memory becomes an answer with an outcome. All other errors of the training function are raised, and its
    framework handles them.

    Raises
    ------
    ExchangeError
        If :func:`write_measures` does not accept the measures.
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
    """Write a client's measures as numbers and lists of numbers by name.

    Raises
    ------
    ExchangeError
        If the training function returned measures with a missing or unknown name, or not one number per expert.
    """
    # Check the names.
    known = {"num_examples", "seconds", "router_mass", *_LISTS}
    wrong = sorted((known - {"router_mass"} - measures.keys()) | (measures.keys() - known))
    if wrong:
        raise ExchangeError(f"the training function's measures lack, or should not hold, {', '.join(wrong)}")
    # Check the measures that have one number per expert.
    given = [name for name in (*_LISTS, "router_mass") if name in _LISTS or measures.get(name) is not None]
    lists = {name: np.asarray(measures[name], dtype=np.float64) for name in given}
    for name in _LISTS:
        if lists[name].shape != (len(experts),):
            raise ExchangeError(
                f"measure {name} has shape {lists[name].shape}; it must be one number for each of {tuple(experts)}"
            )
    # Write all of them as plain numbers.
    written: dict[str, Any] = {name.replace("_", "-"): values.tolist() for name, values in lists.items()}
    written |= {"num-examples": int(measures["num_examples"]), "seconds": float(measures["seconds"])}
    return {**written, "experts": list(experts)}


def read_answer(client: int, weights: Mapping[str, Array], said: Mapping[str, Any], num_bytes: int) -> Answer:
    """Read a client's update, without deciding whether it may be merged.

    Parameters
    ----------
    client
        The client whose connection delivered the update.
    weights, said
        The weights and the measures that the client returned. Nothing in them is trusted.
    num_bytes
        Size of the answer.
    """
    told = {**dict.fromkeys(("num-examples", "seconds", "experts", *_LISTS, "router-mass")), **said}
    if not isinstance(told["seconds"], int | float):
        return Answer(bytes_up=num_bytes, fault=f"claims {told['seconds']!r} seconds")
    measures = [told[name] for name in (*_LISTS, "router-mass")]
    update = PartialUpdate(client, told["experts"], weights, told["num-examples"], *measures)
    return Answer(update, seconds=told["seconds"], bytes_up=num_bytes)


def read_failure(said: Mapping[str, Any]) -> Answer:
    """Read the answer of a client that reports a failure."""
    outcome, reason = said.get("outcome"), said.get("reason")
    ended = Outcome.OUT_OF_MEMORY if outcome == Outcome.OUT_OF_MEMORY else Outcome.DROPPED
    return Answer(fault=f"failed: {outcome!r}, {reason!r}", outcome=ended)
