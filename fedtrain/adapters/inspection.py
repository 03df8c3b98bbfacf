"""What became of a round's clients: answers sorted by client, each read and looked at before anything is merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from alignsolve import Outcome, Report
from fedtrain.adapters.exchange import OUT_OF_MEMORY, read_update
from fedtrain.aggregate.arrays import Array
from fedtrain.partial import PartialUpdate
from fedtrain.partial.reasons import printable


@dataclass(frozen=True, eq=False)
class Answer:
    """An answer as a client's framework delivered it; nothing of it is believed yet.

    Attributes
    ----------
    weights, measures
        Of the update in it.
    num_bytes
        What it took to send.
    fault
        Why there is no update in it, or none that can be read.
    outcome
        What its fault makes of the client.
    """

    weights: Mapping[str, Array] = field(default_factory=dict)
    measures: Mapping[str, Any] = field(default_factory=dict)
    num_bytes: int = 0
    fault: str | None = None
    outcome: Outcome = Outcome.REJECTED


def failure(outcome: object, reason: object) -> Answer:
    """Make the answer of a client that says itself that it failed."""
    said = Outcome.OUT_OF_MEMORY if outcome == OUT_OF_MEMORY else Outcome.DROPPED
    return Answer(fault=f"failed: {outcome!r}, {reason!r}", outcome=said)


@dataclass(frozen=True)
class Inspected:
    """A round's answers, whatever their order of arrival was.

    Attributes
    ----------
    updates
        Those of the right form, ascending by client.
    reports
        One for every client that was asked, ascending.
    faults
        What was wrong with the others, by client; printable.
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
        known = {client: printable(fault) for client, fault in faults.items()}
        return replace(self, updates=updates, reports=reports, faults={**self.faults, **known})


def inspect(
    answers: Mapping[int, Sequence[Answer]],
    assigned: Mapping[int, Sequence[int]],
    bytes_down: Mapping[int, int],
    num_experts: int,
) -> Inspected:
    """Read a round's answers.

    Parameters
    ----------
    answers
        By client; those of clients that were not asked are not looked at.
    assigned, bytes_down
        What each of those who were asked was given.
    num_experts
        Of the whole model.
    """
    inspected = Inspected([], [], {}, [])
    for client in sorted(assigned):
        asked = Report(client, assigned[client], bytes_down=bytes_down[client], outcome=Outcome.DROPPED)
        inspected.reports.append(_inspect_client(inspected, asked, answers.get(client, ()), num_experts))
    return inspected


def _inspect_client(inspected: Inspected, asked: Report, answers: Sequence[Answer], num_experts: int) -> Report:
    """Read what a client sent; returns what to report of it."""
    client = asked.client
    if not answers:
        inspected.silent.append(client)
        inspected.faults[client] = "nothing came back in time"
        return asked
    if len(answers) > 1:
        inspected.faults[client] = f"sent {len(answers)} updates"
        return replace(asked, outcome=Outcome.REJECTED)
    answer = answers[0]
    asked = replace(asked, bytes_up=answer.num_bytes)
    if answer.fault is not None:
        inspected.faults[client] = printable(answer.fault)
        return replace(asked, outcome=answer.outcome)
    try:
        update, report = read_update(answer.weights, answer.measures, asked=asked, num_experts=num_experts)
    except ValueError as error:  # what is wrong with it, from wherever it was found
        inspected.faults[client] = printable(str(error))
        return replace(asked, outcome=Outcome.REJECTED)
    inspected.updates.append(update)
    return report


def _refused(report: Report) -> Report:
    return Report(
        report.client,
        report.experts,
        seconds=report.seconds,
        bytes_down=report.bytes_down,
        bytes_up=report.bytes_up,
        outcome=Outcome.REJECTED,
    )
