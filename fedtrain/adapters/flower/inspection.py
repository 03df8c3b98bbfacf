"""What became of a round's clients: replies sorted by client, each read and looked at before anything is merged."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from flwr.app import Message, RecordDict

from alignsolve import Outcome, Report
from fedtrain.adapters.flower import wire
from fedtrain.partial import PartialUpdate


@dataclass(frozen=True)
class Inspected:
    """A round's replies, whatever their order of arrival was.

    Attributes
    ----------
    updates
        Those of the right form, ascending by client.
    reports
        One for every client that was asked, ascending.
    faults
        What was wrong with the others, by client.
    silent
        Clients from which nothing came back.
    """

    updates: list[PartialUpdate]
    reports: list[Report]
    faults: dict[int, str]
    silent: list[int]

    def without(self, faults: Mapping[int, str]) -> "Inspected":
        """Return the same where these updates turned out to have faults, and were not merged."""
        reports = [_refused(report) if report.client in faults else report for report in self.reports]
        updates = [update for update in self.updates if update.client not in faults]
        return replace(self, updates=updates, reports=reports, faults={**self.faults, **faults})


def inspect(
    replies: Sequence[Message],
    clients: Mapping[int, int],
    assigned: Mapping[int, Sequence[int]],
    bytes_down: Mapping[int, int],
    num_experts: int,
) -> Inspected:
    """Read a round's replies.

    Parameters
    ----------
    replies
        As they came.
    clients
        Which client a node is, of those that were asked.
    assigned, bytes_down
        What each of them was given.
    num_experts
        Of the whole model.
    """
    # By the message's id: one that was delivered twice is one.
    arrived: defaultdict[int, dict[str, Message]] = defaultdict(dict)
    for reply in replies:
        client = clients.get(reply.metadata.src_node_id)
        if client is not None:
            arrived[client][reply.metadata.message_id] = reply
    inspected = Inspected([], [], {}, [])
    for client in sorted(assigned):
        asked = Report(client, assigned[client], bytes_down=bytes_down[client], outcome=Outcome.DROPPED)
        _inspect_client(inspected, asked, list(arrived[client].values()), num_experts)
    return inspected


def _inspect_client(inspected: Inspected, asked: Report, replies: Sequence[Message], num_experts: int) -> None:
    client = asked.client
    if not replies:
        inspected.silent.append(client)
        inspected.faults[client] = "nothing came back in time"
    elif len(replies) > 1:
        inspected.faults[client] = f"sent {len(replies)} updates"
        asked = replace(asked, outcome=Outcome.REJECTED)
    elif replies[0].has_error():
        inspected.faults[client] = f"failed: {replies[0].error.reason}"
    elif wire.FAILURE in replies[0].content.config_records:
        failure = replies[0].content.config_records[wire.FAILURE]
        inspected.faults[client] = f"failed: {failure.get('outcome')!r}, {failure.get('reason')!r}"
        if failure.get("outcome") == wire.OUT_OF_MEMORY:
            asked = replace(asked, outcome=Outcome.OUT_OF_MEMORY)
    else:
        asked = _read(inspected, asked, replies[0].content, num_experts)
    inspected.reports.append(asked)


def _read(inspected: Inspected, asked: Report, content: RecordDict, num_experts: int) -> Report:
    """Read an update; returns what to report of it."""
    bytes_up = sum(record.count_bytes() for record in content.array_records.values())
    asked = replace(asked, bytes_up=bytes_up, outcome=Outcome.REJECTED)
    try:
        reply = wire.read_reply(content, client=asked.client, assigned=asked.experts.tolist(), num_experts=num_experts)
    except ValueError as error:  # what is wrong with it, from wherever it was found
        inspected.faults[asked.client] = str(error)
        return asked
    report = reply.report
    inspected.updates.append(
        PartialUpdate(asked.client, reply.experts, reply.weights, report.num_examples, report.usage)
    )
    return replace(report, bytes_down=asked.bytes_down, bytes_up=bytes_up)


def _refused(report: Report) -> Report:
    return Report(
        report.client,
        report.experts,
        seconds=report.seconds,
        bytes_down=report.bytes_down,
        bytes_up=report.bytes_up,
        outcome=Outcome.REJECTED,
    )
