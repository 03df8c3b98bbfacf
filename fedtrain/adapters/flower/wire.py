"""What server and clients say to each other: the names of records and fields, written and read in one place.

Down goes the part of the weights, ``task`` and the strategy's ``config``. Up come the trained part and ``measures``; or
``failure`` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from flwr.app import ConfigRecord, MetricRecord, RecordDict

from alignsolve import Outcome, Report
from fedtrain.adapters.flower.records import unpack
from fedtrain.arrays import Array

WHO = "client"
"""The query by which a node says which client it is."""
WEIGHTS, TASK, CONFIG, MEASURES, FAILURE = "weights", "task", "config", "measures", "failure"
OUT_OF_MEMORY = Outcome.OUT_OF_MEMORY.value
_LISTS = ("usage", "loss", "accuracy")


class WireError(ValueError):
    """A message that is not what the other side writes."""


class AskedTask(NamedTuple):
    """A round, and the experts to train in it, ascending."""

    round: int
    experts: tuple[int, ...]


class Reply(NamedTuple):
    """A client's reply, read and found to be of the right form; whether it may be merged is another question.

    Attributes
    ----------
    experts
        That it says it trained.
    weights
        Of the trained part.
    report
        What the aligner learns from it if it is merged.
    """

    experts: tuple[int, ...]
    weights: dict[str, Array]
    report: Report


def write_task(task: AskedTask) -> ConfigRecord:
    """Write a task."""
    return ConfigRecord({"round": task.round, "experts": list(task.experts)})


def read_task(content: RecordDict) -> AskedTask:
    """Read a task; the server is believed.

    Raises
    ------
    WireError
        If the message is another strategy's.
    """
    if TASK not in content.config_records or WEIGHTS not in content.array_records:
        raise WireError("the message holds no task: the server must run AlignedStrategy")
    task: Mapping[str, Any] = content.config_records[TASK]
    return AskedTask(int(task["round"]), tuple(task["experts"]))


def write_measures(measures: Mapping[str, Any], experts: Sequence[int]) -> MetricRecord:
    """Write what a client measured.

    Raises
    ------
    WireError
        If a measure is missing, unknown or not one number per expert: the fault of the training function.
    """
    known = {"num_examples", "seconds", "router_mass", *_LISTS}
    wrong = sorted((known - {"router_mass"} - measures.keys()) | (measures.keys() - known))
    if wrong:
        raise WireError(f"the training function's measures lack, or should not hold, {', '.join(wrong)}")
    lists = {name: np.asarray(measures[name], dtype=np.float64) for name in _LISTS}
    for name, values in lists.items():
        if values.shape != (len(experts),):
            raise WireError(f"measure {name} has shape {values.shape}; it must be one number for each of {experts}")
    if measures.get("router_mass") is not None:
        lists["router_mass"] = np.asarray(measures["router_mass"], dtype=np.float64)
    written: dict[str, Any] = {name.replace("_", "-"): values.tolist() for name, values in lists.items()}
    written |= {"num-examples": int(measures["num_examples"]), "seconds": float(measures["seconds"])}
    return MetricRecord({**written, "experts": list(experts)})


def read_who(content: RecordDict) -> tuple[int, int | None]:
    """Read a node's answer to who it is: the client's index, and how many examples it has; neither is believed yet.

    Raises
    ------
    WireError
        If these are not whole numbers.
    """
    said: Mapping[str, Any] = content.metric_records.get(MEASURES, MetricRecord())
    client, num_examples = said.get("client"), said.get("num-examples")
    if type(client) is not int or type(num_examples) not in (int, type(None)):
        raise WireError(f"says that it is client {client!r} with {num_examples!r} examples")
    return client, num_examples


def read_reply(content: RecordDict, *, client: int, assigned: Sequence[int], num_experts: int) -> Reply:
    """Read a client's reply; nothing of it is believed.

    Raises
    ------
    WireError, RecordError, ValueError
        Saying what is wrong with it.
    """
    if WEIGHTS not in content.array_records or MEASURES not in content.metric_records:
        raise WireError(f"returned {sorted(content)}, expected {WEIGHTS} and {MEASURES}")
    said: Mapping[str, Any] = content.metric_records[MEASURES]
    num_examples, seconds, experts, mass = (
        said.get(name) for name in ("num-examples", "seconds", "experts", "router-mass")
    )
    if type(num_examples) is not int:
        raise WireError(f"claims {num_examples!r} examples")
    if not isinstance(seconds, int | float):
        raise WireError(f"claims {seconds!r} seconds")
    if not isinstance(experts, list):
        raise WireError(f"claims experts {experts!r}")
    if mass is not None and np.shape(mass) != (num_experts,):
        raise WireError(f"router-mass has shape {np.shape(mass)}, expected {(num_experts,)}")
    report = Report(
        client,
        assigned,
        usage=said.get("usage"),
        loss=said.get("loss"),
        accuracy=said.get("accuracy"),
        num_examples=num_examples,
        seconds=seconds,
        router_mass=mass,
    )
    return Reply(tuple(experts), unpack(content.array_records[WEIGHTS]), report)
