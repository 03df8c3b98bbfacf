"""Flower's messages between server and clients: the names of records and fields, written and read in one place.

Down goes the part of the weights, ``task`` and the strategy's ``config``. Up come the trained part and ``measures``; or
``failure`` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedtrain.adapters.exchange import ExchangeError, Sent, read_answer, read_failure
from fedtrain.adapters.flower.records import RecordError, pack, unpack
from fedtrain.server.inspection import Answer

WHO = "client"
"""The query by which a node says which client it is."""
WEIGHTS, TASK, CONFIG, MEASURES, FAILURE = "weights", "task", "config", "measures", "failure"


def write_task(number: int, experts: Sequence[int]) -> ConfigRecord:
    """Write a task: the rounds done before it, and the experts to train in it, ascending."""
    return ConfigRecord({"round": number, "experts": list(experts)})


def read_task(content: RecordDict) -> tuple[int, tuple[int, ...]]:
    """Read a task; the server is believed.

    Raises
    ------
    ExchangeError
        If the message is another strategy's.
    """
    if TASK not in content.config_records or WEIGHTS not in content.array_records:
        raise ExchangeError("the message holds no task: the server must run AlignedStrategy")
    task: Mapping[str, Any] = content.config_records[TASK]
    return int(task["round"]), tuple(task["experts"])


def write_sent(sent: Sent) -> RecordDict:
    """Write what came of a task."""
    if "outcome" in sent.said:
        return RecordDict({FAILURE: ConfigRecord(sent.said)})
    return RecordDict({WEIGHTS: pack(sent.weights), MEASURES: MetricRecord(sent.said)})


def read_who(content: RecordDict) -> tuple[Any, Any]:
    """Read a node's answer to who it is: the client's index, and how many examples it has; neither is believed yet."""
    said: Mapping[str, Any] = content.metric_records.get(MEASURES, MetricRecord())
    return said.get("client"), said.get("num-examples")


def read_sent(client: int, content: RecordDict) -> Answer:
    """Read what a client says came of its task; nothing of it is believed."""
    if FAILURE in content.config_records:
        return read_failure(content.config_records[FAILURE])
    num_bytes = sum(record.count_bytes() for record in content.array_records.values())
    if WEIGHTS not in content.array_records or MEASURES not in content.metric_records:
        return Answer(bytes_up=num_bytes, fault=f"returned {sorted(content)}, expected {WEIGHTS} and {MEASURES}")
    try:
        weights = unpack(content.array_records[WEIGHTS])
    except RecordError as error:
        return Answer(bytes_up=num_bytes, fault=str(error))
    return read_answer(client, weights, content.metric_records[MEASURES], num_bytes)
