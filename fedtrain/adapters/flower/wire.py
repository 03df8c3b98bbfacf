"""What server and clients say to each other: the names of records and fields, written and read in one place.

Down goes the part of the weights, ``task`` and the strategy's ``config``. Up come the trained part and ``measures``; or
``failure`` alone.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from alignsolve import Outcome
from fedtrain.adapters.exchange import OUT_OF_MEMORY, ExchangeError, OutOfMemory, Trained
from fedtrain.adapters.flower.records import RecordError, pack, unpack
from fedtrain.adapters.inspection import Answer, failure

WHO = "client"
"""The query by which a node says which client it is."""
WEIGHTS, TASK, CONFIG, MEASURES, FAILURE = "weights", "task", "config", "measures", "failure"


class AskedTask(NamedTuple):
    """A round, and the experts to train in it, ascending."""

    round: int
    experts: tuple[int, ...]


def write_task(task: AskedTask) -> ConfigRecord:
    """Write a task."""
    return ConfigRecord({"round": task.round, "experts": list(task.experts)})


def read_task(content: RecordDict) -> AskedTask:
    """Read a task; the server is believed.

    Raises
    ------
    ExchangeError
        If the message is another strategy's.
    """
    if TASK not in content.config_records or WEIGHTS not in content.array_records:
        raise ExchangeError("the message holds no task: the server must run AlignedStrategy")
    task: Mapping[str, Any] = content.config_records[TASK]
    return AskedTask(int(task["round"]), tuple(task["experts"]))


def write_result(result: Trained | OutOfMemory) -> RecordDict:
    """Write what came of a task."""
    if isinstance(result, OutOfMemory):
        return RecordDict({FAILURE: ConfigRecord({"outcome": OUT_OF_MEMORY, "reason": result.reason})})
    return RecordDict({WEIGHTS: pack(result.weights), MEASURES: MetricRecord(result.measures)})


def read_who(content: RecordDict) -> tuple[int, int | None]:
    """Read a node's answer to who it is: the client's index, and how many examples it has; neither is believed yet.

    Raises
    ------
    ExchangeError
        If these are not whole numbers.
    """
    said: Mapping[str, Any] = content.metric_records.get(MEASURES, MetricRecord())
    client, num_examples = said.get("client"), said.get("num-examples")
    if type(client) is not int or type(num_examples) not in (int, type(None)):
        raise ExchangeError(f"says that it is client {client!r} with {num_examples!r} examples")
    return client, num_examples


def read_result(content: RecordDict) -> Answer:
    """Read what a client says came of its task; nothing of it is believed."""
    if FAILURE in content.config_records:
        said = content.config_records[FAILURE]
        return failure(said.get("outcome"), said.get("reason"))
    num_bytes = sum(record.count_bytes() for record in content.array_records.values())
    if WEIGHTS not in content.array_records or MEASURES not in content.metric_records:
        return Answer(num_bytes=num_bytes, fault=f"returned {sorted(content)}, expected {WEIGHTS} and {MEASURES}")
    try:
        weights = unpack(content.array_records[WEIGHTS])
    except RecordError as error:
        return Answer(num_bytes=num_bytes, fault=str(error), outcome=Outcome.REJECTED)
    return Answer(weights, content.metric_records[MEASURES], num_bytes)
