"""Auctions for tests: a problem's clients one by one, with masks, behind a transport that shuffles their answers."""

from dataclasses import replace

import numpy as np

from alignsolve import solve
from alignsolve.federated import Auction, Bidder, PairMasks, Population, Terms, hold_auction, ring
from alignsolve.solver import Answer


def bounds_of(problem):
    """The experts' side of a problem, as an auction takes it."""
    fields = ("expert_capacity", "expert_demand", "overload_penalty", "shortfall_penalty")
    return {field: getattr(problem, field) for field in fields}


def held_auction(problem, tells, **more):
    """The auction and the alignment of a simulated population; ``terms``: more of them."""
    terms = Terms(problem.num_clients, problem.num_experts, tells, **more.pop("terms", {}))
    auction = Auction(terms, range(problem.num_clients), **bounds_of(problem), **more)
    return auction, hold_auction(auction, Population(terms, problem))


def judged(problem, x, prices):
    """The library's own judgement of an alignment and prices, on the full fitness."""

    def claim(*_, **__):
        return Answer(x, prices)

    return solve(problem, claim, presolve=False, throw=False)


def bidders_of(terms, problem, *, degree=4, seed=0):
    """One bidder for each client, masked with some neighbours; ``degree`` 0: not masked."""
    rng = np.random.default_rng(seed)
    block = problem.block(0, problem.num_clients)
    clients = range(problem.num_clients)
    near = ring(clients, degree, rng=rng) if degree else {}
    secret = {pair: rng.bytes(32) for pair in sorted({tuple(sorted((i, j))) for i in near for j in near[i]})}
    return {
        i: Bidder(
            terms,
            i,
            block.value[i],
            capacity=block.capacity[i],
            demand=block.demand[i],
            eligible=None if block.allowed is None else block.allowed[i],
            masks=PairMasks(i, {j: secret[tuple(sorted((i, j)))] for j in near[i]}) if degree else None,
        )
        for i in clients
    }


def ask_all(auction, bidders, *, rng=None, silent=()):
    """One exchange: everybody that is missing answers, in any order, but for those that are silent."""
    missing = [int(client) for client in auction.missing if client not in silent]
    for client in missing if rng is None else rng.permutation(missing).tolist():
        auction.receive(client, bidders[client].answer(auction.message(client)))


def finish(auction, bidders, *, rng=None):
    """All exchanges that are left."""
    while not auction.finished:
        ask_all(auction, bidders, rng=rng)
        auction.next()
    return np.array(
        [np.isin(np.arange(auction.terms.num_experts), bidders[i].experts) for i in auction.clients.tolist()]
    )


def changed(problem, rng, share=0.1):
    """The problem of the next round: some clients have other fitness, that of others and a little more."""
    fitness = problem.fitness.copy()
    rows = np.flatnonzero(rng.random(len(fitness)) < share)
    fitness[rows] = fitness[rng.integers(len(fitness), size=len(rows))] + rng.normal(
        scale=0.1, size=(len(rows), fitness.shape[1])
    )
    return replace(problem, fitness=fitness)
