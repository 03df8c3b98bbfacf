"""The server of an auction, without any transport: questions come out, answers go in."""

from collections.abc import Collection, Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from alignsolve.data.alignment import Alignment
from alignsolve.federated.answers import Answers
from alignsolve.federated.consistency import Consistency
from alignsolve.federated.messages import Ask
from alignsolve.federated.outcome import Outcome, Start
from alignsolve.federated.reading import added, decode, exchange_of
from alignsolve.federated.search import Goal, Search
from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray, IntArray
from alignsolve.problem import AlignmentProblem


class Auction:
    """The server of an auction: it finds prices at which the clients' own choices are nearly the best alignment.

    Send ``message(client)`` to every client that is ``missing``, give what comes back to ``receive``, then call
    ``next``; until ``finished``. Clients that do not answer in time are left out by ``without``.

    Parameters
    ----------
    terms
        What all agreed on.
    clients
        The numbers of the clients. Whoever joins later waits for the next auction: the difference of two exchanges
        would tell its vote.
    expert_capacity, expert_demand, overload_penalty, shortfall_penalty
        As in :class:`~alignsolve.AlignmentProblem`, with unit loads.
    start
        The ``start`` of an earlier outcome; None: prices of 0.
    masked
        Whether clients mask their answers. Then an exchange is repeated when a client is left out.
    gap, overload
        Limits for the terms "loads" and "choices": relative distance of bound and objective, and units beyond hard
        bounds as a share of all. The terms "core" end with a proof.
    most_exchanges
        The auction ends after so many at the latest.
    spread
        How far fitness differs between experts, roughly; where clients tie but for the noise, the size of the noise.
    overload_price
        What a unit beyond a hard bound is charged in the objective; None: twice the largest price.
    most_votes
        With the terms "core", reduced losses are asked for after so many votes at the latest, one less with a start.
        More votes take more bytes, and fewer clients have to tell their losses.
    client_capacity, client_demand
        (len(clients),) or one number, where the server knows them: with the terms "choices" they let it find more of
        the answers that no fitness explains.

    Raises
    ------
    ValueError
        If a number cannot be; it is named.
    """

    def __init__(
        self,
        terms: Terms,
        clients: Iterable[int],
        *,
        expert_capacity: npt.ArrayLike | None = None,
        expert_demand: npt.ArrayLike = 0,
        overload_penalty: npt.ArrayLike | None = None,
        shortfall_penalty: npt.ArrayLike | None = None,
        start: Start | None = None,
        masked: bool = False,
        gap: float = 1e-3,
        overload: float = 1e-3,
        most_exchanges: int = 30,
        spread: float = 1.0,
        overload_price: float | None = None,
        most_votes: int = 4,
        client_capacity: npt.ArrayLike | None = None,
        client_demand: npt.ArrayLike | None = None,
    ) -> None:
        self.terms, self.masked = terms, masked
        self.clients: IntArray = np.unique(np.array(list(clients), dtype=np.int64))
        if not len(self.clients) or len(self.clients) > terms.num_clients or self.clients[0] < 0:
            raise ValueError(
                f"clients are {len(self.clients)} different numbers; the terms allow 1..{terms.num_clients}"
            )
        bounds = AlignmentProblem(
            np.zeros((0, terms.num_experts)),
            expert_capacity=expert_capacity,
            expert_demand=expert_demand,
            overload_penalty=overload_penalty,
            shortfall_penalty=shortfall_penalty,
        ).experts
        for j in np.flatnonzero(bounds.least > bounds.most)[:1]:
            raise ValueError(f"expert {j}: its demand, {bounds.least[j]:g}, is above its capacity, {bounds.most[j]:g}")
        goal = Goal(gap, overload, most_exchanges, spread, overload_price, most_votes)
        _check(goal, start, terms)
        self._search = Search.begin(terms, bounds, goal, len(self.clients), start)
        self._consistency = Consistency(terms, self.clients, client_capacity, client_demand)
        self._ask = self._search.first()
        self._given: dict[int, IntArray] = {}
        self._answers: dict[int, Answers] = {}
        self._raw: dict[int, bytes] = {}
        self._absent: list[int] = []
        self._void = False
        self._held: BoolArray | None = None
        self.faults: dict[int, str] = {}
        self.late: list[int] = []
        self.finished = False

    @property
    def ask(self) -> Ask:
        """The present question, but for what it gives to single clients."""
        return self._ask

    @property
    def given(self) -> dict[int, IntArray]:
        """The experts that the present question gives to single clients."""
        return self._given

    @property
    def missing(self) -> IntArray:
        """The clients that have not answered the present question, ascending."""
        if self.finished:
            return np.zeros(0, dtype=np.int64)
        return np.setdiff1d(self.clients, np.array(sorted(self._answers), dtype=np.int64))

    def message(self, client: int) -> bytes:
        """Return the present question as it is sent to a client."""
        self._check_known(client)
        return replace(self._ask, experts=self._given.get(client)).encode(self.terms)

    def receive(self, client: int, answer: bytes) -> None:
        """Take a client's answer. One to an earlier question is dropped; one that cannot be is a fault of its client.

        Raises
        ------
        ValueError
            If the client is not in this auction.
        """
        if self.finished or client in self._absent or -1 < exchange_of(answer) < self._ask.exchange:
            self.late.append(client)
            return
        self._check_known(client)
        if self._raw.get(client) == answer:
            return  # sent twice
        try:
            read = decode(answer, self._ask, self.terms, client)
            if read.exchange != self._ask.exchange:
                raise ValueError(f"client {client}: it answers exchange {read.exchange}, which was not asked yet")
            if client in self._answers:
                raise ValueError(f"client {client}: it gives two different answers to exchange {read.exchange}")
            if not self.masked and (read.counts > 1).any():
                raise ValueError(f"client {client}: its counts are {read.counts.max()} at most; one client counts once")
        except ValueError as error:
            self._leave_out(client, str(error))
            return
        self._answers[client], self._raw[client] = read, answer

    def receive_sum(self, answers: Answers) -> None:
        """Take the sum of the answers of all clients, as a framework's own secure aggregation or a simulation has it.

        Raises
        ------
        ValueError
            If it is not that of all clients of this auction, or of another exchange.
        """
        if not np.array_equal(answers.clients, self.clients):
            raise ValueError(
                f"the sum is that of {len(answers.clients)} clients; it must be that of all {len(self.clients)}"
            )
        if answers.exchange != self._ask.exchange:
            raise ValueError(f"the sum is that of exchange {answers.exchange}; asked is exchange {self._ask.exchange}")
        self._answers = {int(client): answers for client in self.clients}

    def without(self, clients: Collection[int]) -> None:
        """Leave clients out from now on: they did not answer in time.

        Raises
        ------
        ValueError
            If one of them is not in this auction, or nobody would be left.
        """
        for client in clients:
            self._check_known(client)
        for client in clients:
            self._leave_out(int(client), "it did not answer in time")

    def next(self) -> Ask | None:
        """Go on to the next question, or repeat the present one where a client was left out; None: finished.

        Raises
        ------
        ValueError
            If answers are missing.
        """
        if self.finished:
            return None
        if self._void:
            return self._repeat()
        if len(self.missing):
            raise ValueError(
                f"the answers of {len(self.missing)} clients are missing, client {self.missing[0]} the first"
            )
        whole = self._sum()
        liars = self._consistency.after(self._ask, whole)
        if liars:
            for client, why in liars.items():
                self._leave_out(client, why)
            return self._repeat()
        self._held = whole.held
        down = sum(len(replace(self._ask, experts=each).encode(self.terms)) for each in self._given.values())
        down += (len(self.clients) - len(self._given)) * len(self._ask.encode(self.terms))
        following = self._search.after(self._ask, whole, down)
        if following is None:
            self.finished = True
            return None
        self._ask, self._given, self._answers, self._raw = following, self._search.take_given(), {}, {}
        return self._ask

    @property
    def outcome(self) -> Outcome:
        """The result; before the end, how things stand.

        Raises
        ------
        ValueError
            If no exchange is complete.
        """
        return self._search.outcome(self._alignment(), self.clients, self.faults)

    def _alignment(self) -> Alignment | None:
        if self.terms.tells != "choices" or self._held is None:
            return None
        return Alignment.from_dense(self._held)

    def _sum(self) -> Answers:
        """The sum of all answers."""
        first = next(iter(self._answers.values()))
        return first if len(first.clients) == len(self.clients) else added(list(self._answers.values()))

    def _repeat(self) -> Ask:
        """Ask again, under a new number, those who are left."""
        self._ask = replace(self._ask, exchange=self._ask.exchange + 1, absent=np.array(sorted(self._absent)))
        self._answers, self._raw, self._void = {}, {}, False
        return self._ask

    def _leave_out(self, client: int, why: str) -> None:
        if len(self.clients) == 1:
            raise ValueError(f"client {client} was the last one: {why}")
        self.clients = self.clients[self.clients != client]
        self._absent.append(client)
        self.faults[client] = why
        self._answers.pop(client, None)
        self._given.pop(client, None)
        self._consistency.drop(client)
        self._search.num_clients = len(self.clients)
        self._void |= self.masked

    def _check_known(self, client: int) -> None:
        if client in self._absent:
            raise ValueError(f"client {client} was left out: {self.faults[client]}")
        if client not in self.clients:
            raise ValueError(f"client {client} is not in this auction; it can take part in the next one")


def _check(goal: Goal, start: Start | None, terms: Terms) -> None:
    """Check the limits and the start."""
    for field, value in (("gap", goal.gap), ("overload", goal.overload)):
        if not value >= 0:
            raise ValueError(f"{field} is {value}; it must be 0 or above")
    if goal.most_exchanges < 1:
        raise ValueError(f"most_exchanges is {goal.most_exchanges}; it must be 1 or above")
    if not (goal.spread > 0 and np.isfinite(goal.spread)):
        raise ValueError(f"spread is {goal.spread}; it must be above 0 and finite")
    if goal.unit is not None and not (goal.unit >= 0 and np.isfinite(goal.unit)):
        raise ValueError(f"overload_price is {goal.unit}; it must be 0 or above, and finite")
    if start is None:
        return
    e = terms.num_experts
    if start.prices.shape != (e,) or start.slopes.shape != (e + 1, e + 1):
        raise ValueError(f"start has prices of shape {start.prices.shape}; expected {(e,)}")
    if not (np.isfinite(start.prices).all() and np.isfinite(start.slopes).all()):
        raise ValueError("start has prices or slopes that are not finite")
