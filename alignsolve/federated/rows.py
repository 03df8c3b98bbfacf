"""Clients at given prices: what each one chooses, and by what margin over the choices that are one move away.

A move is a swap of an expert for another, a drop, or an addition; dropping swaps for the *ground*, adding swaps the
ground for an expert. Every client does this with its own row; a simulation does it with all rows at once.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.federated.terms import Terms
from alignsolve.numerics import BoolArray, FloatArray, IntArray
from alignsolve.subproblem.reduced_fitness import subtract_prices


@dataclass(frozen=True, eq=False)
class Rows:
    """The rows of some clients.

    Attributes
    ----------
    clients
        (n,) their numbers.
    fitness
        (n, num_experts) float64; −inf where a pair is not eligible.
    capacity, demand
        (n,) experts per client.
    noise
        (n, num_experts) what the terms add to break ties; None: nothing.
    """

    clients: IntArray
    fitness: FloatArray
    capacity: IntArray
    demand: IntArray
    noise: FloatArray | None

    @classmethod
    def checked(
        cls,
        terms: Terms,
        clients: IntArray,
        fitness: npt.ArrayLike,
        capacity: npt.ArrayLike,
        demand: npt.ArrayLike,
        eligible: BoolArray | None,
    ) -> "Rows":
        """Check and take the rows.

        Raises
        ------
        ValueError
            If a fitness, a capacity or a demand cannot be; client and field are named.
        """
        given = np.array(fitness, dtype=np.float64)
        n = len(clients)
        if given.shape != (n, terms.num_experts):
            raise ValueError(f"fitness has shape {given.shape}, expected {(n, terms.num_experts)}")
        allowed = np.ones(given.shape, dtype=np.bool_) if eligible is None else np.asarray(eligible, dtype=np.bool_)
        if allowed.shape != given.shape:
            raise ValueError(f"eligible has shape {allowed.shape}, expected {given.shape}")
        wrong = allowed & ~(np.abs(given) <= terms.largest)
        if wrong.any():
            i, j = np.argwhere(wrong)[0]
            told = f"client {clients[i]}: fitness of expert {j} is {given[i, j]}"
            raise ValueError(f"{told}; it must be finite and at most {terms.largest} in size, as the terms say")
        most = np.broadcast_to(np.asarray(capacity, dtype=np.int64), (n,))
        least = np.broadcast_to(np.asarray(demand, dtype=np.int64), (n,))
        for i in np.flatnonzero((least < 0) | (most < least) | (allowed.sum(axis=1) < least))[:1]:
            told = f"client {clients[i]}: demand {least[i]}, capacity {most[i]} and {allowed[i].sum()} eligible experts"
            raise ValueError(f"{told} leave it no choice")
        return cls(clients, np.where(allowed, given, -np.inf), most, least, terms.noise_of(clients))


class Look(NamedTuple):
    """The clients' choices at given prices.

    Attributes
    ----------
    held
        (n, num_experts) the choice.
    best
        (n,) the optimum of each client alone, Σ (fitness − price). With noise it is higher, by this noise at most.
    value
        (n,) Σ fitness of the choice; the noise does not count.
    reduced
        (n, num_experts) fitness − price, with the noise; −inf where not eligible.
    leave_loss, leave_to
        (n, num_experts) what the cheapest move loses that takes away a held expert, inf if there is none; (n,) the
        expert that replaces it, or the ground.
    enter_loss, enter_from
        (n, num_experts) what the cheapest move loses that brings an expert; (n,) the expert that it replaces.
    """

    held: BoolArray
    best: FloatArray
    value: FloatArray
    reduced: FloatArray
    leave_loss: FloatArray
    leave_to: IntArray
    enter_loss: FloatArray
    enter_from: IntArray


class Moves(NamedTuple):
    """Moves of some clients: (m,) the row, the expert given up and the one taken, and the loss, not below 0."""

    row: IntArray
    leaves: IntArray
    enters: IntArray
    loss: FloatArray


def look(rows: Rows, prices: FloatArray) -> Look:
    """Find each client's best choice at the prices, (num_experts,), and the moves away from it."""
    reduced = subtract_prices(rows.fitness, prices)
    if rows.noise is not None:
        reduced += rows.noise
    held = _chosen(rows, reduced)
    leave_loss, leave_to, enter_loss, enter_from = _losses(rows, reduced, held)
    return Look(
        held,
        np.where(held, reduced, 0.0).sum(axis=1),
        np.where(held, rows.fitness, 0.0).sum(axis=1),
        reduced,
        leave_loss,
        leave_to,
        enter_loss,
        enter_from,
    )


def _chosen(rows: Rows, reduced: FloatArray) -> BoolArray:
    """Take the best experts: the demand in any case, more up to the capacity while they are worth something."""
    order = np.argsort(-reduced, axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(order.shape[1]), order.shape), axis=1)
    wanted = (reduced > 0.0) | (rank < rows.demand[:, None])
    return (rank < rows.capacity[:, None]) & wanted & (reduced > -np.inf)


def _losses(rows: Rows, reduced: FloatArray, held: BoolArray) -> tuple[FloatArray, IntArray, FloatArray, IntArray]:
    """For every pair, the loss of the cheapest move that it takes part in, and the other end of that move."""
    ground, number = reduced.shape[1], held.sum(axis=1)
    spare, room = number > rows.demand, number < rows.capacity
    left, mine = np.where(held, -np.inf, reduced), np.where(held, reduced, np.inf)
    rival, victim = left.argmax(axis=1), mine.argmin(axis=1)
    best_left, worst_held = left.max(axis=1), mine.min(axis=1)
    # A held expert is replaced by the best one left, or dropped.
    drops = spare & (best_left < 0.0)
    instead = np.where(drops, 0.0, best_left)
    with np.errstate(invalid="ignore"):
        leave = np.where(held & (instead > -np.inf)[:, None], reduced - instead[:, None], np.inf)
        # Another expert replaces the worst one held, or is added.
        adds = room & (worst_held > 0.0)
        against = np.where(adds, 0.0, worst_held)
        enter = np.where(held | ~(reduced > -np.inf) | np.isinf(against)[:, None], np.inf, against[:, None] - reduced)
    return leave, np.where(drops, ground, rival), enter, np.where(adds, ground, victim)


def moves_within(seen: Look, width: float) -> Moves:
    """List the moves that lose at most ``width``, row by row; within a row, first those by the expert that leaves."""
    num_experts = seen.held.shape[1]
    leave, enter = seen.leave_loss <= width, seen.enter_loss <= width
    # The swap of the worst expert held for the best one left is listed once.
    row, column = np.nonzero(enter)
    swapped = (seen.leave_to[row] == column) & (seen.enter_from[row] < num_experts)
    enter[row[swapped], column[swapped]] = False
    out_row, out = np.nonzero(leave)
    in_row, into = np.nonzero(enter)
    found = Moves(
        np.concatenate([out_row, in_row]),
        np.concatenate([out, seen.enter_from[in_row]]),
        np.concatenate([seen.leave_to[out_row], into]),
        np.maximum(np.concatenate([seen.leave_loss[out_row, out], seen.enter_loss[in_row, into]]), 0.0),
    )
    order = np.argsort(found.row, kind="stable")
    return _picked(found, order)


def cheapest(moves: Moves) -> Moves:
    """Return the cheapest move of each row that has any; the first one where several are."""
    order = np.lexsort((np.arange(len(moves.row)), moves.loss, moves.row))
    first = np.ones(len(order), dtype=np.bool_)
    first[1:] = np.diff(moves.row[order]) > 0
    return _picked(moves, order[first])


def _picked(moves: Moves, places: IntArray) -> Moves:
    return Moves(moves.row[places], moves.leaves[places], moves.enters[places], moves.loss[places])
