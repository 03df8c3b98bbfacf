"""Inspection of answers: each is checked before it is merged, and a bad one is put aside with its reason.

An answer is put aside if its client was not asked, if its form is wrong, if :func:`fedtrain.partial.find_fault` refuses
its update, or if the update is too far from the model that was sent out. A message that is delivered twice is one
answer. A client that sends several different answers in a round is refused, for nothing tells which one it means, and
the order of arrival must not decide.

The limit on norms: an update's shared part, and each of its experts with its rows of the router, may move by at most
``norm_limit`` times the median of the round's shared parts, or experts, that passed everything else. Experts are
compared with all experts, since few clients hold the same one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve import Outcome, Report
from fedtrain.aggregate import arrays
from fedtrain.config import ValidationConfig
from fedtrain.layouts import Layout, RouterRows, Weights
from fedtrain.partial import PartialUpdate, find_fault

LONGEST = 200
"""Characters of a reason at most."""


@dataclass(frozen=True, eq=False)
class Answer:
    """What one client sent back; nothing of it is believed yet.

    Attributes
    ----------
    update
        What may be merged; None if there is none in it.
    seconds
        From the start of its download to the end of its upload.
    bytes_up
        What it took to send.
    fault
        Why there is no update in it, or none that can be read.
    outcome
        How the client's round ended, if there is a fault.
    """

    update: PartialUpdate | None = None
    seconds: float = 0.0
    bytes_up: int = 0
    fault: str | None = None
    outcome: Outcome = Outcome.REJECTED


@dataclass(frozen=True)
class Inspected:
    """A round's answers, whatever their order of arrival was.

    Attributes
    ----------
    updates
        Those that may be merged, ascending by client.
    reports
        One for every client that was asked, in that order.
    faults
        Why answers are not merged, by client, ascending; printable.
    silent
        Clients from which nothing came back.
    """

    updates: list[PartialUpdate]
    reports: list[Report]
    faults: dict[int, str]
    silent: list[int]

    def told(self) -> dict[int, str]:
        """Return for every client whose update is not merged what to log of it, ascending."""
        return dict(sorted({**self.faults, **dict.fromkeys(self.silent, "nothing came back in time")}.items()))


@dataclass(frozen=True, eq=False)
class Inspector:
    """What the answers of a round are held against.

    Attributes
    ----------
    weights, layout
        The whole model's, as they were sent out.
    router_rows
        Which of the router's rows the clients are to return.
    caps
        The most examples that each client can have.
    limits
        On the norms of updates.
    """

    weights: Weights
    layout: Layout
    router_rows: RouterRows
    caps: Mapping[int, float]
    limits: ValidationConfig

    def inspect(self, answers: Mapping[int, Sequence[Answer]], asked: Mapping[int, Report]) -> Inspected:
        """Inspect a round's answers.

        Parameters
        ----------
        answers
            By the client whose connection they came by.
        asked
            What is to be reported of each client that was asked, if nothing comes back from it.
        """
        sound: dict[int, PartialUpdate] = {}
        reports, faults = dict(asked), {}
        for client, sent in sorted(answers.items()):
            if client not in asked:
                faults[client] = "was not asked in this round"
            elif sent:
                answer = sent[0] if len(sent) == 1 else Answer(fault=f"sent {len(sent)} updates")
                report, fault = self._judge(answer, asked[client])
                reports[client] = report
                if fault is not None:
                    faults[client] = fault
                elif answer.update is not None:
                    sound[client] = replace(answer.update, experts=tuple(report.experts.tolist()))
        for client, fault in self._too_far(list(sound.values())).items():
            faults[client], reports[client] = fault, _refused(reports[client])
            del sound[client]
        return Inspected(
            list(sound.values()),
            list(reports.values()),
            {client: printable(fault) for client, fault in sorted(faults.items())},
            [client for client in asked if not answers.get(client)],
        )

    def _judge(self, answer: Answer, asked: Report) -> tuple[Report, str | None]:
        """Return what to report of an answer, and what is wrong with it."""
        refused, update = replace(asked, bytes_up=answer.bytes_up, outcome=answer.outcome), answer.update
        if update is None:
            return refused, answer.fault
        fault = self._fault(update, asked)
        try:
            refused = replace(refused, seconds=answer.seconds)
            if fault is None:
                measures = {"num_examples": update.num_examples, **update.measured._asdict()}
                return replace(refused, **measures, outcome=Outcome.COMPLETED), None
        except ValueError as error:  # a measure that cannot be; the message names it
            fault = fault or str(error)
        return refused, fault

    def _fault(self, update: PartialUpdate, asked: Report) -> str | None:
        if update.client != asked.client:
            return f"claims to be client {update.client}, not {asked.client}"
        if type(update.num_examples) is not int:
            return f"claims {update.num_examples!r} examples, which is no whole number"
        given, cap = tuple(asked.experts.tolist()), self.caps.get(asked.client, 0.0)
        return find_fault(update, self.weights, self.layout, assigned=given, cap=cap, router_rows=self.router_rows)

    def _too_far(self, updates: Sequence[PartialUpdate]) -> dict[int, str]:
        """Say which updates move a part too far, by client."""
        if math.isinf(self.limits.norm_limit):
            return {}
        norms = [(update.client, *part) for update in updates for part in self._norms(update).items()]
        faults: dict[int, str] = {}
        for is_expert in (False, True):
            parts = [part for part in norms if (part[1] is not None) == is_expert]
            median = float(np.median([norm for _, _, norm in parts])) if parts else 0.0
            limit = self.limits.norm_limit * (median if self.limits.norm_reference == "median" else 1.0)
            for client, expert, norm in parts:
                if not norm <= limit:
                    what = "the shared part" if expert is None else f"expert {expert}"
                    faults.setdefault(client, f"moves {what} by {norm:.4g}, the limit is {limit:.4g}")
        return faults

    def _norms(self, update: PartialUpdate) -> dict[int | None, float]:
        """How far each part was moved: the shared part (None), and each expert that examples went through."""
        squares: dict[int | None, float] = {}
        pieces = self.layout.pieces(self.weights, update.experts, self.router_rows)
        for piece in sorted(pieces, key=lambda piece: piece.name):
            old = self.weights[piece.name][piece.whole]
            if update.weight(piece.expert) > 0.0 and arrays.is_real(old):  # else it is not merged
                moved = arrays.widen(update.weights[piece.name][piece.sliced], old) - arrays.widen(old, old)
                squares[piece.expert] = squares.get(piece.expert, 0.0) + float((moved * moved).sum())
        return {expert: math.sqrt(square) for expert, square in squares.items()}


def _refused(report: Report) -> Report:
    """Keep what the server saw itself, and nothing that the client said."""
    return Report(
        report.client,
        report.experts,
        seconds=report.seconds,
        bytes_down=report.bytes_down,
        bytes_up=report.bytes_up,
        outcome=Outcome.REJECTED,
    )


def printable(reason: str) -> str:
    r"""Make a reason, which may quote what a client sent, fit to be shown: control characters as escapes, and cut.

    Examples
    --------
    >>> print(printable("tensor a\nb is missing"))
    tensor a\nb is missing
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in reason)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
