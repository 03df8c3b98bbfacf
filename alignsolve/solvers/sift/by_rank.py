"""Where fitness is nearly a sum or a product of a client's and an expert's number: the strong beside the strong.

Such problems settle only through long chains of moves, so the search begins near the end of them. Clients and experts
are put in the order of their mean values, and seated side by side. For an exact product this is the best alignment (the
rearrangement inequality), and prices prove it that keep neighbours from changing places.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.solvers.sift.network import Terms

BESIDE = 3
"""Experts on either side of a client's place."""


class Seating(NamedTuple):
    """An alignment of clients and experts by rank.

    Attributes
    ----------
    seat
        (num_clients,) each client's expert, −1 without.
    prices, surplus
        (num_experts,) prices, and (num_clients,) what a client's expert is worth to it after its price.
    """

    seat: IntArray
    prices: FloatArray
    surplus: FloatArray


def bands(terms: Terms, wanted: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Pairs of like rank: clients and experts in the order of their mean values, side by side.

    The experts fill up either one after the other, the best first, or all in the same proportion: there is a band of
    pairs for both.

    Parameters
    ----------
    terms
        The problem's.
    wanted
        (num_clients,) pairs that each client can take.

    Yields
    ------
    clients, experts
        Pairs, each once in a band.
    """
    _, clients, experts = _ranked(terms)
    room = np.minimum(terms.expert_room, len(clients))[experts]
    begin = np.cumsum(wanted[clients]) - wanted[clients]
    total = max(int(wanted.sum()), 1)
    for scale in (1.0, total / max(int(room.sum()), 1)):
        ends = np.cumsum(room) * scale
        first = np.searchsorted(ends, begin, side="right") - BESIDE
        last = np.searchsorted(ends, begin + wanted[clients], side="left") + BESIDE
        first, last = np.clip(first, 0, len(experts)), np.clip(last + 1, 0, len(experts))
        width = np.maximum(last - first, 0)
        who = np.repeat(np.arange(len(clients)), width)
        place = np.arange(len(who)) - np.repeat(np.cumsum(width) - width, width) + first[who]
        yield clients[who], experts[place]


def seat_by_rank(terms: Terms, wanted: IntArray) -> Seating | None:
    """Seat clients that take one expert each by rank; None where some take more, or there are groups or no seats.

    Let x be the last client at expert a, and y the first at the next expert, b. Neither wants to change if
    worth_ya − worth_yb ≤ price_a − price_b ≤ worth_xa − worth_xb. The difference of the prices is put in the middle.
    The last expert's price lies between what it is worth to its last client and to the first client without a seat.
    """
    if terms.group_capacity.shape[1] > 1 or (wanted > 1).any():
        return None
    worth, clients, experts = _ranked(terms)
    clients = clients[wanted[clients] > 0]
    # A product with a negative number seats the strong beside the weak.
    ways = [_seats(terms, order, len(clients)) for order in (experts, experts[::-1])]
    seats = max(ways, key=lambda seats: float(worth[clients[: len(seats)], seats].sum()))
    if not len(seats):
        return None
    seated, left_out = clients[: len(seats)], clients[len(seats) :]
    ends = np.flatnonzero(seats[1:] != seats[:-1])
    x, y, a, b = seated[ends], seated[ends + 1], seats[ends], seats[ends + 1]
    steps = (worth[y, a] - worth[y, b] + worth[x, a] - worth[x, b]) / 2.0
    last = seats[-1]
    lowest = (worth[seated[-1], last] + worth[left_out[0], last]) / 2.0 if len(left_out) else 0.0
    prices, surplus = np.zeros(len(experts)), np.zeros(len(wanted))
    prices[np.append(a, last)] = max(lowest, 0.0) + np.append(np.cumsum(steps[::-1])[::-1], 0.0)
    surplus[seated] = worth[seated, seats] - prices[seats]
    seat = np.full(len(wanted), -1)
    seat[seated] = seats
    return Seating(seat, prices, surplus)


def _ranked(terms: Terms) -> tuple[FloatArray, IntArray, IntArray]:
    """The values, 0 for pairs that may not be chosen, and clients and experts in the order of their means."""
    value = terms.value if terms.allowed is None else np.where(terms.allowed, terms.value, 0.0)
    return value, np.argsort(-value.mean(axis=1), kind="stable"), np.argsort(-value.mean(axis=0), kind="stable")


def _seats(terms: Terms, experts: IntArray, number: int) -> IntArray:
    """The expert of each seat, in an order of the experts; as many seats as there are, and no more than a number."""
    room = np.clip(terms.expert_room - terms.fixed_loads, 0, number)
    return np.repeat(experts, room[experts])[:number]
