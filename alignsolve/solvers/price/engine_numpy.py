"""The pricing pass in plain NumPy: slow and short, it defines what faster engines compute."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import BoolArray, IntArray, RealArray
from alignsolve.solvers.price.core import CoreRows
from alignsolve.solvers.price.pricing import Priced, Windows
from alignsolve.subproblem.dispatch import best_rows
from alignsolve.subproblem.reduced_fitness import subtract_prices


@dataclass(frozen=True)
class NumpyEngine:
    """The reference engine: dense arithmetic over the whole chunk."""

    def price(self, block: ClientBlock, prices: RealArray, grain: float) -> Priced:
        """Find every client's best choice."""
        reduced = _reduced(block, prices, grain)
        optima = best_rows(block.valued(reduced), np.zeros(len(prices)), choose=True)
        chosen = optima.chosen
        assert chosen is not None
        moves = _Moves(block, reduced, chosen)
        return Priced(
            number=chosen.sum(axis=1).astype(np.int32),
            expert=np.nonzero(chosen)[1].astype(np.int32),
            margin=moves.swap.min(axis=1, initial=moves.far),
            ground_margin=moves.ground.min(axis=1, initial=moves.far),
            loads=chosen.sum(axis=0),
            dual=float(optima.value.sum(dtype=np.float64)),
            magnitude=float(np.abs(block.value, where=chosen, out=np.zeros(chosen.shape)).sum()),
        )

    def core_rows(
        self, block: ClientBlock, prices: RealArray, grain: float, priced: Priced, windows: Windows
    ) -> CoreRows:
        """List the clients with another choice within the window, and the experts between which they waver."""
        reduced = _reduced(block, prices, grain)
        chosen = np.zeros(reduced.shape, dtype=np.bool_)
        chosen[np.repeat(np.arange(len(priced.number)), priced.number), priced.expert] = True
        moves = _Moves(block, reduced, chosen)
        near = (moves.swap <= windows.swap) | (moves.ground <= windows.ground)
        client = np.flatnonzero(near.any(axis=1))
        rows, expert = np.nonzero(near[client])
        start = np.concatenate([[0], np.cumsum(near[client].sum(axis=1))]).astype(np.int64)
        reference = reduced[client[rows[start[:-1]]], expert[start[:-1]]]
        grouped = block.group is not None
        return CoreRows(
            client=client,
            start=start,
            expert=expert.astype(np.int32),
            held=chosen[client[rows], expert],
            worth=reduced[client[rows], expert] - reference[rows],
            ground=-reference,
            room=moves.room[client],
            spare=moves.spare[client],
            group_room=moves.group_room[client] if grouped else np.zeros((len(client), 0), dtype=np.int64),
            group_spare=moves.group_spare[client] if grouped else np.zeros((len(client), 0), dtype=np.int64),
        )


def _reduced(block: ClientBlock, prices: RealArray, grain: float) -> RealArray:
    reduced = subtract_prices(block.value, prices, dtype=np.int64 if prices.dtype.kind == "i" else np.float64)
    return np.rint(reduced / grain) * grain if grain > 0 else reduced


class _Moves:
    """For every pair, the loss of the cheapest swap and of the drop or addition that it takes part in."""

    def __init__(self, block: ClientBlock, reduced: RealArray, chosen: BoolArray) -> None:
        n, e = reduced.shape
        self.far = 2**62 if reduced.dtype.kind == "i" else np.inf
        open_ = np.ones((n, e), dtype=np.bool_) if block.allowed is None else block.allowed.copy()
        free = chosen if block.required is None else chosen & ~block.required
        self.room = block.capacity - chosen.sum(axis=1)
        self.spare = chosen.sum(axis=1) - block.demand
        group = np.zeros(e, dtype=np.int64) if block.group is None else block.group
        self._count_groups(block, chosen, group)
        # The worst expert held and the best one left, of each group.
        held = np.where(free, reduced, self.far)
        left = np.where(open_ & ~chosen, reduced, -self.far)
        worst, best = (
            self._by_group(held, group, np.minimum, self.far),
            self._by_group(left, group, np.maximum, -self.far),
        )
        # Across groups: only where a group may lose one, and another may take one.
        may_leave, may_enter = self.group_spare > 0, self.group_room > 0
        victim = np.where(may_leave, worst, self.far).min(axis=1, initial=self.far)
        rival = np.where(may_enter, best, -self.far).max(axis=1, initial=-self.far)
        out = np.maximum(best, np.where(may_leave, rival[:, None], -self.far))[:, group]
        into = np.minimum(worst, np.where(may_enter, victim[:, None], self.far))[:, group]
        # Losses of swaps, for the expert that leaves and for the one that enters.
        gives, takes = free & (out > -self.far), open_ & ~chosen & (into < self.far)
        losing = np.where(gives, reduced, 0) - np.where(gives, out, 0)
        gaining = np.where(takes, into, 0) - np.where(takes, reduced, 0)
        self.swap = np.where(gives, losing, np.where(takes, gaining, self.far))
        # Losses of drops and additions.
        drops = free & (may_leave & (self.spare > 0)[:, None])[:, group]
        adds = open_ & ~chosen & (may_enter & (self.room > 0)[:, None])[:, group]
        self.ground = np.where(drops, reduced, np.where(adds, -reduced, self.far))

    def _count_groups(self, block: ClientBlock, chosen: BoolArray, group: IntArray) -> None:
        """Count how many experts each client could still take and could drop, in each group."""
        if block.group is None or block.group_capacity is None or block.group_demand is None:
            number = chosen.sum(axis=1)[:, None]
            self.group_room, self.group_spare = len(group) + 1 - number, number + 1
            return
        number = np.stack([chosen[:, group == g].sum(axis=1) for g in range(block.group_capacity.shape[1])], axis=1)
        self.group_room, self.group_spare = block.group_capacity - number, number - block.group_demand

    def _by_group(self, values: RealArray, group: IntArray, pick: Any, empty: Any) -> RealArray:
        """Reduce the columns of each group, (clients, num_groups)."""
        columns = [pick.reduce(values[:, group == g], axis=1, initial=empty) for g in range(self.group_room.shape[1])]
        return np.stack(columns, axis=1)
