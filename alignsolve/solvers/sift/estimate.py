"""Nearly right prices before any flow is known: clients and experts answer each other by turns.

Given the experts' prices, a client's own problem says what one more expert must bring it: its threshold. Given the
clients' thresholds, an expert's price is where its best clients end. Each turn is one pass over all pairs.

By turns alone this is slow: all prices could rise and all thresholds fall by the same amount, and hardly anyone would
notice. So in each turn that common amount is settled at once: those who together can take less, clients or experts,
take all that they can.

The same passes tell, for each client and each expert, between which values a pair is uncertain: a few places above and
below the threshold. All other pairs are as good as decided.
"""

from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray
from alignsolve.runtime.jit import absent
from alignsolve.solvers.sift.ask_clients import ask_clients
from alignsolve.solvers.sift.ask_experts import ask_experts
from alignsolve.solvers.sift.network import Terms
from alignsolve.solvers.sift.places import Band, Near


class Estimate(NamedTuple):
    """The bands of both sides: thresholds of clients by group, and prices of experts.

    Attributes
    ----------
    clients, experts
        Those of clients say where value − ``asked`` changes, those of experts where value − threshold does.
    total
        (num_clients,) what one more expert in all must bring: the threshold in groups whose own bounds do not bind.
    asked
        (num_experts,) the prices that clients answered last.
    """

    clients: Band
    experts: Band
    total: FloatArray
    asked: FloatArray


def by_turns(terms: Terms, prices: FloatArray, turns: int, reward: float) -> Estimate:
    """Estimate thresholds and prices.

    Parameters
    ----------
    terms
        The problem's.
    prices
        (num_experts,) to begin from.
    turns
        How often both sides answer.
    reward
        For a unit of a hard demand of an expert.
    """
    n, e = terms.value.shape
    num_groups = terms.group_demand.shape[1]
    allowed = absent(np.bool_) if terms.allowed is None else terms.allowed
    order = np.argsort(terms.group, kind="stable")
    first = np.concatenate([[0], np.cumsum(np.bincount(terms.group, minlength=num_groups))])
    least = np.maximum(terms.group_demand - terms.fixed_inside, 0)
    most = np.maximum(terms.group_capacity - terms.fixed_inside, 0)
    room = np.maximum(terms.client_capacity - terms.fixed_inside.sum(axis=1), 0)
    pieces = terms.expert_pieces(reward)
    ends = np.clip(np.cumsum(pieces.width, axis=0) - terms.fixed_loads, 0, n)
    clients, experts = Band(*np.zeros((3, n, num_groups))), Band(*np.zeros((3, e)))
    near_clients, near_experts = (
        Near(np.full(m, np.nan), np.full(m, -np.inf), np.full(m, np.inf), np.full(1, np.inf)) for m in (n, e)
    )
    experts.middle[:] = prices
    asked = experts.middle
    for turn in range(turns):
        final = turn == turns - 1
        asked = experts.middle.copy()
        ask_clients(
            terms.value, allowed, order, first, least, most, room, int(ends[-1].sum()), asked, clients, near_clients,
            final,
        )  # fmt: skip
        ask_experts(
            terms.value, allowed, terms.group, ends, pieces.cost, int(np.minimum(room, e).sum()), clients, near_clients,
            experts, near_experts, final,
        )  # fmt: skip
    return Estimate(clients, experts, near_clients.middle, asked)
