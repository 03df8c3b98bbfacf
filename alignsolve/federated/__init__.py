"""Rounds of prices: clients keep their fitness, and a server finds the alignment from their answers.

``Auction`` is the server without any transport, ``Bidder`` is one client, ``Population`` is many simulated clients.
The room may import numerics, data, subproblem, the problem, ``solvers/common`` and the front.
"""

from alignsolve.federated.auction import Auction
from alignsolve.federated.bidder import Bidder
from alignsolve.federated.masks import PairMasks, ring
from alignsolve.federated.outcome import Look, Outcome, Start
from alignsolve.federated.population import Population, hold_auction
from alignsolve.federated.terms import Terms

__all__ = [
    "Auction",
    "Bidder",
    "Look",
    "Outcome",
    "PairMasks",
    "Population",
    "Start",
    "Terms",
    "hold_auction",
    "ring",
]
