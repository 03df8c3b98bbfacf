"""Flower's messages between server and clients: all records and fields are written and read in this module.

The server sends the part of the ``weights``, the ``task`` and the strategy's ``config``. The client returns the trained
``weights`` and its ``measures``, or a ``failure`` alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from flwr.app import ConfigRecord, MetricRecord, RecordDict

from fedtrain.adapters.exchange import ExchangeError, Sent, read_answer, read_failure
from fedtrain.adapters.flower.records import RecordError, pack, unpack
from fedtrain.partial.update import ROUNDING
from fedtrain.server.inspection import Answer

WHO = "client"
"""Name of the query that asks a node which client it is."""
MASS = "mass"
"""Name of the query that asks a client for the router masses of the current model."""
WEIGHTS, TASK, CONFIG, MEASURES, FAILURE = "weights", "task", "config", "measures", "failure"


def write_task(number: int, experts: Sequence[int], pull: bool) -> ConfigRecord:
    """Write a task: the rounds done before it, the experts to train, ascending, and the advice on auxiliary losses."""
    return ConfigRecord({"round": number, "experts": list(experts), "pull": pull})


def read_task(content: RecordDict) -> tuple[int, tuple[int, ...], bool]:
    """Read a task. The client trusts the server.

    Raises
    ------
    ExchangeError
        If the message comes from another strategy.
    """
    if TASK not in content.config_records or WEIGHTS not in content.array_records:
        raise ExchangeError("the message holds no task: the server must run AlignedStrategy")
    task: Mapping[str, Any] = content.config_records[TASK]
    return int(task["round"]), tuple(task["experts"]), bool(task["pull"])


def write_sent(sent: Sent) -> RecordDict:
    """Write a client's answer to a task."""
    if "outcome" in sent.said:
        return RecordDict({FAILURE: ConfigRecord(sent.said)})
    return RecordDict({WEIGHTS: pack(sent.weights), MEASURES: MetricRecord(sent.said)})


def read_who(content: RecordDict) -> tuple[Any, Any, Any]:
    """Return a node's claims, not checked yet: the client's index, its number of examples, and its memory in bytes."""
    said: Mapping[str, Any] = content.metric_records.get(MEASURES, MetricRecord())
    return said.get("client"), said.get("num-examples"), said.get("memory-bytes")


def read_mass(content: RecordDict, num_experts: int) -> list[float] | None:
    """Return a client's fresh router masses; None if they are missing or impossible. Nothing in them is trusted."""
    said: Mapping[str, Any] = content.metric_records.get(MEASURES, MetricRecord())
    mass = said.get("router-mass")
    if not isinstance(mass, list) or len(mass) != num_experts:
        return None
    return mass if all(isinstance(one, int | float) and 0.0 <= one <= 1.0 + ROUNDING for one in mass) else None


def read_sent(client: int, content: RecordDict) -> Answer:
    """Read a client's answer to a task. Nothing in it is trusted."""
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
