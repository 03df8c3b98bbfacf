"""One client of an auction: it keeps its fitness, and answers the server's prices with what the terms let it tell."""

import numpy as np
import numpy.typing as npt

from alignsolve.federated.clients import Clients
from alignsolve.federated.masks import PairMasks
from alignsolve.federated.messages import Ask
from alignsolve.federated.rows import Rows
from alignsolve.federated.terms import Terms
from alignsolve.numerics import IntArray


class Bidder:
    """One client.

    Parameters
    ----------
    terms
        What all agreed on.
    client
        Its number, 0 or above.
    fitness
        (num_experts,) its own fitness, which it never sends.
    capacity, demand
        How many experts it can hold, and how many it must.
    eligible
        (num_experts,) bools; None: all experts are.
    masks
        The secrets that it shares with other clients; None: its answers are sent as they are.

    Raises
    ------
    ValueError
        If a number cannot be; client and field are named.

    Examples
    --------
    >>> from alignsolve.federated.messages import Ask, Kind
    >>> terms = Terms(num_clients=1, num_experts=2)
    >>> bidder = Bidder(terms, client=0, fitness=[0.7, 0.2])
    >>> ask = Ask(Kind.VOTE, 1, np.array([0.6, 0.0]))
    >>> vote = bidder.answer(ask.encode(terms))
    >>> bidder.experts.tolist()
    [1]
    """

    def __init__(
        self,
        terms: Terms,
        client: int,
        fitness: npt.ArrayLike,
        *,
        capacity: int = 1,
        demand: int = 0,
        eligible: npt.ArrayLike | None = None,
        masks: PairMasks | None = None,
    ) -> None:
        self.terms, self.client, self.masks = terms, client, masks
        row = np.asarray(fitness, dtype=np.float64)
        if row.shape != (terms.num_experts,):
            raise ValueError(f"client {client}: fitness has shape {row.shape}, expected {(terms.num_experts,)}")
        if masks is not None and masks.client != client:
            raise ValueError(f"client {client}: its masks are those of client {masks.client}")
        open_ = None if eligible is None else np.atleast_2d(np.asarray(eligible, dtype=np.bool_))
        rows = Rows.checked(terms, np.array([client]), row[None, :], capacity, demand, open_)
        self._clients = Clients(terms, rows)
        self._absent: set[int] = set()
        self._last = 0
        self._question = self._reply = b""

    @property
    def experts(self) -> IntArray:
        """The experts that it holds by its last answer, ascending."""
        return np.flatnonzero(self._clients.held[0])

    def answer(self, message: bytes) -> bytes:
        """Answer the server's message.

        Raises
        ------
        ValueError
            If it is not a message under the terms, if it is older than the last one that was answered, or if the
            experts given in it are not eligible or not as many as this client can hold.
        """
        if message == self._question:
            return self._reply  # sent twice
        ask = Ask.decode(message, self.terms)
        if ask.exchange <= self._last:
            told = f"client {self.client}: exchange {ask.exchange} was asked after exchange {self._last}"
            raise ValueError(f"{told}; a second answer to one exchange would tell more than one")
        self._absent |= set(ask.absent.tolist())
        given = {} if ask.experts is None else {self.client: ask.experts}
        answer = self._clients.respond(ask, given)
        if self.masks is not None:
            answer = self.masks.masked(answer, self._absent, self.terms.auction)
        self._last, self._question, self._reply = ask.exchange, message, answer.encode(self.terms)
        return self._reply
