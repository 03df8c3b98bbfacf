"""What clients do with a question: they choose, remember their choice, and say what the terms let them tell.

One client and a simulation of many do the same, each with its own rows.
"""

from collections.abc import Mapping

import numpy as np

from alignsolve.federated.answers import Answers, near_of
from alignsolve.federated.messages import Ask, Kind
from alignsolve.federated.rows import Look, Rows, cheapest, look, moves_within
from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray, IntArray


class Clients:
    """Some clients of an auction, with what they remember of it.

    Attributes
    ----------
    held
        (n, num_experts) the experts of each, by its last answer.
    """

    def __init__(self, terms: Terms, rows: Rows) -> None:
        self.terms, self.rows = terms, rows
        self.held: BoolArray = np.zeros(rows.fitness.shape, dtype=np.bool_)
        self._seen: Look | None = None
        self._near: BoolArray = np.zeros(rows.fitness.shape, dtype=np.bool_)

    def respond(self, ask: Ask, given: Mapping[int, IntArray]) -> Answers:
        """Answer a question; ``given``: the experts that it gives to some clients.

        Raises
        ------
        ValueError
            If the experts given are not eligible or too few or too many, or if nothing was asked before that could be
            settled; the client is named.
        """
        seen = look(self.rows, ask.prices)
        if ask.kind is Kind.SETTLE:
            seen = seen._replace(held=self._settled(ask, given))
            seen = seen._replace(value=np.where(seen.held, self.rows.fitness, 0.0).sum(axis=1))
        else:
            self._seen = seen
            self._near[:] = near_of(seen, float(ask.edges[0])) if ask.kind is Kind.CORE else False
        self.held = seen.held
        number = seen.held.sum(axis=1)
        room, spare = self.rows.capacity - number, number - self.rows.demand
        return Answers.of(self.terms, ask, self.rows.clients, seen, room, spare)

    def _settled(self, ask: Ask, given: Mapping[int, IntArray]) -> BoolArray:
        """The last choice, with the moves of a rule, or with the experts given in place of those told as near."""
        seen = self._seen
        if seen is None:
            raise ValueError(f"client {self.rows.clients[0]}: exchange {ask.exchange} settles what was never asked")
        held = seen.held.copy()
        if len(ask.rule):
            levels = np.zeros((held.shape[1] + 1,) * 2, dtype=np.int64)
            levels[ask.rule[:, 0], ask.rule[:, 1]] = ask.rule[:, 2]
            first = cheapest(moves_within(seen, float(ask.edges[-1])))
            moves = np.searchsorted(ask.edges, first.loss, side="left") < levels[first.leaves, first.enters]
            for expert, now in ((first.leaves, False), (first.enters, True)):
                inner = moves & (expert < held.shape[1])
                held[first.row[inner], expert[inner]] = now
        for client, experts in given.items():
            i = int(np.searchsorted(self.rows.clients, client))
            held[i] = held[i] & ~self._near[i] if self.terms.tells == "core" else False
            held[i, experts] = True
            self._check(i, held[i])
        return held

    def _check(self, i: int, held: BoolArray) -> None:
        rows, number = self.rows, int(held.sum())
        if not rows.demand[i] <= number <= rows.capacity[i] or np.isneginf(rows.fitness[i, held]).any():
            told = f"client {rows.clients[i]}: the server gives it the experts {np.flatnonzero(held).tolist()}"
            raise ValueError(f"{told}; it can hold {rows.demand[i]} to {rows.capacity[i]}, and eligible ones only")
