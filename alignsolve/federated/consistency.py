"""Answers that no fitness explains: with the terms "choices" a client's answers are checked against each other.

A client that holds j and not k at some prices says that fitness_j − fitness_k is at least the difference of their
prices. The ground counts as an expert of fitness and price 0, where the client could have dropped or added one. All its
answers together are a system of differences. It has a solution if and only if no circle of these bounds adds up to
more than 0. So a client is found if there is *no* fitness at all that explains what it chose, and only then.

With two answers only, this is the weak axiom of revealed preference; with more, cyclical monotonicity.

Source: J.-C. Rochet, A necessary and sufficient condition for rationalizability in a quasi-linear context, Journal of
Mathematical Economics 16 (1987).
"""

import numpy as np
import numpy.typing as npt

from alignsolve.federated.answers import Answers
from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray, FloatArray, IntArray

TOLERANCE = 1e-9
"""A circle that adds up to no more than this share of the prices is rounding."""


class Consistency:
    """What the answers so far say of each client's fitness.

    Parameters
    ----------
    terms
        What all agreed on; nothing is checked unless clients tell their choices.
    clients
        Their numbers, ascending.
    capacity, demand
        One number or one for each client; None: unknown.

    Attributes
    ----------
    least
        (num_clients, num_experts + 1, num_experts + 1): fitness_j − fitness_k is at least this; the last is the ground.
    """

    def __init__(
        self, terms: Terms, clients: IntArray, capacity: npt.ArrayLike | None, demand: npt.ArrayLike | None
    ) -> None:
        self.terms, self.clients = terms, clients
        self._capacity, self._demand = _each(capacity, clients), _each(demand, clients)
        size = terms.num_experts + 1
        count = len(clients) if terms.tells == "choices" else 0
        self.least: FloatArray = np.full((count, size, size), -np.inf)
        self._scale = 0.0

    def drop(self, client: int) -> None:
        """Forget a client."""
        kept = self.clients != client
        if len(self.least):
            self.least = self.least[kept]
        self.clients = self.clients[kept]
        self._capacity = None if self._capacity is None else self._capacity[kept]
        self._demand = None if self._demand is None else self._demand[kept]

    def after(self, ask: Ask, answers: Answers) -> dict[int, str]:
        """Add the choices of one exchange; return the clients that no fitness explains any more, and why."""
        if answers.held is None or ask.kind is Kind.SETTLE:
            return {}
        wrong = self._wrong_numbers(answers.held)
        if wrong:
            return wrong
        self._scale = max(self._scale, float(np.abs(ask.prices).max(initial=0.0)))
        self._add(ask, answers.held)
        size = self.least.shape[1]
        for via in range(size):
            np.maximum(self.least, self.least[:, :, via, None] + self.least[:, None, via, :], out=self.least)
        worst = self.least[:, np.arange(size), np.arange(size)].max(axis=1)
        found = np.flatnonzero(worst > TOLERANCE * self._scale)
        told = "no fitness explains its choices: a circle of exchanges would gain"
        return {int(self.clients[i]): f"{told} {worst[i]:.3g}" for i in found}

    def _add(self, ask: Ask, held: BoolArray) -> None:
        prices, e = np.append(ask.prices, 0.0), self.terms.num_experts
        bound = prices[:, None] - prices[None, :]
        number = held.sum(axis=1)
        inside, outside = np.zeros((len(held), e + 1), np.bool_), np.zeros((len(held), e + 1), np.bool_)
        inside[:, :e], outside[:, :e] = held, ~held
        for who, limit, side in ((number, self._capacity, inside), (number, self._demand, outside)):
            if limit is not None:
                side[:, e] = who < limit if side is inside else who > limit
        told = inside[:, :, None] & outside[:, None, :]
        np.maximum(self.least, np.where(told, bound, -np.inf), out=self.least)

    def _wrong_numbers(self, held: BoolArray) -> dict[int, str]:
        number = held.sum(axis=1)
        found = {}
        for limit, sign, told in ((self._capacity, 1, "its capacity is"), (self._demand, -1, "its demand is")):
            if limit is not None:
                for i in np.flatnonzero(sign * (number - limit) > 0):
                    found[int(self.clients[i])] = f"it chooses {number[i]} experts; {told} {limit[i]}"
        return found


def _each(given: npt.ArrayLike | None, clients: IntArray) -> IntArray | None:
    return None if given is None else np.broadcast_to(np.asarray(given, dtype=np.int64), clients.shape).copy()
