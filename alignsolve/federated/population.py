"""Many simulated clients in one process, with the answers and the bytes of as many single clients."""

import numpy as np

from alignsolve.federated.answers import Answers
from alignsolve.federated.auction import Auction
from alignsolve.federated.clients import Clients
from alignsolve.federated.rows import Rows
from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray
from alignsolve.problem import AlignmentProblem


class Population:
    """All clients of a problem, numbered by its rows: for benchmarks and tests of an auction.

    Parameters
    ----------
    terms
        What all agreed on.
    problem
        Only its clients' side is read: fitness with switching costs, capacity, demand, eligible pairs.

    Raises
    ------
    ValueError
        If the clients have more to decide than how many and which experts: groups, required pairs, loads or budgets.
    """

    def __init__(self, terms: Terms, problem: AlignmentProblem) -> None:
        block = problem.block(0, problem.num_clients)
        for field in ("required", "load", "group", "budget", "experts"):
            if getattr(block, field) is not None:
                told = {"experts": "sparse fitness"}.get(field, field)
                raise ValueError(f"an auction's clients have capacity and demand only; this problem has {told}")
        clients = np.arange(problem.num_clients)
        rows = Rows.checked(terms, clients, block.value, block.capacity, block.demand, block.allowed)
        self.terms, self._clients = terms, Clients(terms, rows)

    @property
    def held(self) -> BoolArray:
        """(num_clients, num_experts) the experts of each client, by its last answer."""
        return self._clients.held

    def answer(self, auction: Auction) -> Answers:
        """Answer the present question: the sum that the server would have of all clients' answers."""
        return self._clients.respond(auction.ask, auction.given)


def hold_auction(auction: Auction, population: Population) -> BoolArray:
    """Hold a whole auction with simulated clients, and return the alignment, (num_clients, num_experts) bools.

    Examples
    --------
    >>> problem = AlignmentProblem([[0.7, 0.2], [0.6, 0.5]], client_demand=1, expert_capacity=1)
    >>> terms = Terms(num_clients=2, num_experts=2, tells="core")
    >>> auction = Auction(terms, range(2), expert_capacity=1)
    >>> hold_auction(auction, Population(terms, problem)).tolist()
    [[True, False], [False, True]]
    """
    while not auction.finished:
        auction.receive_sum(population.answer(auction))
        auction.next()
    return population.held
