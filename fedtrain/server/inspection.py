"""Inspects answers before they are merged. A bad answer is not merged, and its reason is kept.

An answer is refused for one of four reasons: its client was not asked; its form is wrong;
:func:`fedtrain.partial.find_fault` finds a fault in its update; or the update is too far from the model that was sent
out. A message that is delivered twice counts as one answer. A client that sends several different answers in a round is
refused: none of them can be preferred, and the order of arrival must not decide.

The limit on norms applies to an update's shared part, and to each of its experts with its rows of the router. A part
may move by at most ``norm_limit`` times the round's median. The median is taken over the updates that passed all other
checks, for shared parts and experts separately. All experts are compared with each other, because few clients hold the
same one. With ``norm_reference`` set to ``absolute``, ``norm_limit`` itself is the limit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alignsolve import Outcome, Report
from fedtrain.aggregate import arrays
from fedtrain.config import ValidationConfig
from fedtrain.layouts import Layout, RouterRows, Weights
from fedtrain.partial import PartialUpdate, find_fault, geometry_of

LONGEST = 200
"""Maximum length of a reason in characters."""


@dataclass(frozen=True, eq=False)
class Answer:
    """The answer of one client. Nothing in it is trusted before the inspection.

    Attributes
    ----------
    update
        The client's update; None if the answer has none.
    seconds
        Time from the start of the client's download to the end of its upload.
    bytes_up
        Size of the answer.
    fault
        The reason why the answer has no readable update; None if it has one.
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
    """The result of inspecting a round's answers. It does not depend on their order of arrival.

    Attributes
    ----------
    updates
        The updates that may be merged, ascending by client.
    reports
        One report for every client that was asked, in the order in which they were asked.
    faults
        By client, ascending: the reason why its answer is not merged, as printable text.
    silent
        The clients that sent no answer.
    """

    updates: list[PartialUpdate]
    reports: list[Report]
    faults: dict[int, str]
    silent: list[int]

    def told(self) -> dict[int, str]:
        """Return the text to log for every client whose update is not merged, ascending by client."""
        return dict(sorted({**self.faults, **dict.fromkeys(self.silent, "nothing came back in time")}.items()))


@dataclass(frozen=True, eq=False)
class Inspector:
    """Inspects the answers of one round.

    Attributes
    ----------
    weights, layout
        The whole model's tensors as they were sent out, and its layout.
    router_rows
        The rows of the router that the clients must return.
    caps
        The maximum number of examples of each client.
    limits
        The limits on the norms of updates.
    geometry
        Whether reports get the geometry of the updates.
    """

    weights: Weights
    layout: Layout
    router_rows: RouterRows
    caps: Mapping[int, float]
    limits: ValidationConfig
    geometry: bool = False

    def inspect(self, answers: Mapping[int, Sequence[Answer]], asked: Mapping[int, Report]) -> Inspected:
        """Inspect a round's answers.

        Parameters
        ----------
        answers
            The answers by client. The client is the one whose connection delivered them.
        asked
            By client that was asked: its report for the case that it sends no answer.
        """
        # Inspect each client's answer by itself.
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
        # Compare the updates without a fault with each other.
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
        """Return the report of an answer, and its fault; None if it has no fault."""
        refused, update = replace(asked, bytes_up=answer.bytes_up, outcome=answer.outcome), answer.update
        if update is None:
            return refused, answer.fault
        fault = self._fault(update, asked)
        try:
            refused = replace(refused, seconds=answer.seconds)
            if fault is None:
                measures = {"num_examples": update.num_examples, **update.measured._asdict()}
                if self.geometry:
                    measures["geometry"] = geometry_of(update, self.weights, self.layout)
                return replace(refused, **measures, outcome=Outcome.COMPLETED), None
        except ValueError as error:  # a measure has an impossible value; the message names it
            fault = fault or str(error)
        return refused, fault

    def _fault(self, update: PartialUpdate, asked: Report) -> str | None:
        """Return the fault of an update; None if it has none."""
        if update.client != asked.client:
            return f"claims to be client {update.client}, not {asked.client}"
        if type(update.num_examples) is not int:
            return f"claims {update.num_examples!r} examples, which is no whole number"
        given, cap = tuple(asked.experts.tolist()), self.caps.get(asked.client, 0.0)
        return find_fault(update, self.weights, self.layout, assigned=given, cap=cap, router_rows=self.router_rows)

    def _too_far(self, updates: Sequence[PartialUpdate]) -> dict[int, str]:
        """Return, by client, the faults of updates that move a part too far."""
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
        """Return how far the update moves each part: the shared part (None), and each expert with examples."""
        squares: dict[int | None, float] = {}
        pieces = self.layout.pieces(self.weights, update.experts, self.router_rows)
        for piece in sorted(pieces, key=lambda piece: piece.name):
            old = self.weights[piece.name][piece.whole]
            if update.weight(piece.expert) > 0.0 and arrays.is_real(old):  # only these pieces are merged
                moved = arrays.widen(update.weights[piece.name][piece.sliced], old) - arrays.widen(old, old)
                squares[piece.expert] = squares.get(piece.expert, 0.0) + float((moved * moved).sum())
        return {expert: math.sqrt(square) for expert, square in squares.items()}


def _refused(report: Report) -> Report:
    """Return the report of a refused client: it keeps the server's own observations and drops the client's claims."""
    return Report(
        report.client,
        report.experts,
        seconds=report.seconds,
        bytes_down=report.bytes_down,
        bytes_up=report.bytes_up,
        outcome=Outcome.REJECTED,
    )


def printable(reason: str) -> str:
    r"""Make a reason safe to print, since it may quote a client's text: escape control characters and cut long text.

    Examples
    --------
    >>> print(printable("tensor a\nb is missing"))
    tensor a\nb is missing
    """
    plain = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in reason)
    return plain if len(plain) <= LONGEST else plain[: LONGEST - 1] + "…"
