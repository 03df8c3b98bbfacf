"""One client's own problem, solved exactly for a whole block of clients: the inner maximum of every price bound.

Given prices, a client wants the experts with the highest reduced fitness (fitness − price·load): at least ``demand``
and at most ``capacity`` of them, within each group's own bounds, the required ones among them. Groups lie within the
total (a laminar family), so greed is exact:

1. take the required experts;
2. fill each group's demand with its best experts;
3. take the best of the others, while they are worth something or the client's demand is not met.

Budgets make it a small knapsack (:mod:`.knapsack`).
"""

from dataclasses import dataclass

import numpy as np

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import BoolArray, FloatArray, IntArray, RealArray
from alignsolve.subproblem.reduced_fitness import reduced_fitness


@dataclass(frozen=True)
class RowOptima:
    """The optimum of every client of a block.

    Attributes
    ----------
    value
        (n,) the optimum: int64 where everything is integral, else float64. Meaningless where not feasible.
    feasible
        (n,) whether the client has any choice at all.
    magnitude
        (n,) sum of the sizes of the numbers that made ``value``, the scale of its rounding error; zeros for integers.
    chosen
        (n, num_experts) an optimal choice, or None where it was not asked for.
    """

    value: RealArray
    feasible: BoolArray
    magnitude: FloatArray
    chosen: BoolArray | None


def greedy_rows(block: ClientBlock, prices: FloatArray, *, choose: bool = False) -> RowOptima:
    """Solve every client's own problem under the given prices; the clients have no budgets.

    Arguments as in :func:`.dispatch.best_rows`.
    """
    return _Greedy(block, reduced_fitness(block, prices)).solve(prices, choose=choose)


class _Greedy:
    """Exact greed over a block without budgets: the three steps of the module, vectorised over clients.

    It overwrites the reduced fitness: making a second matrix of that size would take longer than filling it.
    """

    def __init__(self, block: ClientBlock, reduced: RealArray) -> None:
        self.block = block
        self.reduced = reduced
        self.shut = np.iinfo(np.int64).min // 2 if reduced.dtype.kind == "i" else -np.inf
        self.feasible = np.ones(block.num_clients, dtype=np.bool_)
        self.taken = np.zeros(block.num_clients, dtype=np.int64)
        self.value = np.zeros(block.num_clients, dtype=reduced.dtype)
        self.size = np.zeros(block.num_clients)

    def solve(self, prices: FloatArray, *, choose: bool) -> RowOptima:
        open_ = self.block.allowed
        chosen = np.zeros(self.reduced.shape, dtype=np.bool_) if choose else None
        if self.block.required is not None:
            open_ = self._take_required(open_, chosen)
        candidates = self.reduced
        if open_ is not None:
            np.putmask(candidates, ~open_, self.shut)
        if self.block.group is not None:
            candidates = self._fill_groups(candidates, chosen)
        need = np.maximum(self.block.demand - self.taken, 0)
        room = self.block.capacity - self.taken
        self.feasible &= room >= 0
        self._take(candidates, need, room, chosen)
        return RowOptima(self.value, self.feasible, self._total_size(prices), chosen)

    def _take_required(self, open_: BoolArray | None, chosen: BoolArray | None) -> BoolArray:
        """Step 1: take the required pairs; returns which pairs are still open."""
        required = self.block.required
        assert required is not None
        if open_ is not None:
            self.feasible &= ~(required & ~open_).any(axis=1)
        picked = np.where(required, self.reduced, 0)
        self._count(picked, required.sum(axis=1))
        if chosen is not None:
            chosen |= required
        return ~required if open_ is None else open_ & ~required

    def _fill_groups(self, candidates: RealArray, chosen: BoolArray | None) -> RealArray:
        """Step 2: meet every group's demand; returns the candidates for which the groups' capacities leave room."""
        block = self.block
        assert block.group is not None
        assert block.group_capacity is not None
        assert block.group_demand is not None
        left = np.full_like(candidates, self.shut)
        for g in range(block.group_capacity.shape[1]):
            members, inside = self._members(g)
            own = candidates[:, members]
            if inside is not None:
                own = np.where(inside, own, self.shut)
            already: IntArray = np.zeros(block.num_clients, dtype=np.int64)
            if block.required is not None:
                held = block.required[:, members]
                already = (held if inside is None else held & inside).sum(axis=1)
            need = np.maximum(block.group_demand[:, g] - already, 0)
            room = block.group_capacity[:, g] - already
            self.feasible &= (room >= need) & (room >= 0)
            order = np.argsort(-own, axis=1, kind="stable")
            best = np.take_along_axis(own, order, axis=1)
            rank = np.arange(own.shape[1])
            must = rank < need[:, None]
            self.feasible &= (best > self.shut).sum(axis=1) >= need
            self._count(np.where(must & (best > self.shut), best, 0), need)
            may = np.where(~must & (rank < room[:, None]), best, self.shut)
            left[:, members] = np.maximum(left[:, members], _unsorted(may, order))
            if chosen is not None:
                chosen[:, members] |= _unsorted(must & (best > self.shut), order)
        return left

    def _members(self, g: int) -> tuple[slice | IntArray, BoolArray | None]:
        """The columns of a group; where rows differ, all columns, and (n, width) which of them are in the group."""
        assert self.block.group is not None
        if self.block.experts is None:
            return np.flatnonzero(self.block.group == g), None
        return slice(None), self.block.by_column(self.block.group) == g

    def _take(self, candidates: RealArray, need: IntArray, room: IntArray, chosen: BoolArray | None) -> None:
        """Step 3: take the best candidates: ``need`` of them in any case, more while they are worth something."""
        most = min(int(room.max(initial=0)), candidates.shape[1])
        if chosen is None:
            best = _largest(candidates, most)
        else:
            order = np.argsort(-candidates, axis=1, kind="stable")[:, :most]
            best = np.take_along_axis(candidates, order, axis=1)
        rank = np.arange(most)
        picked = (best > self.shut) & (rank < room[:, None]) & ((rank < need[:, None]) | (best > 0))
        taken = picked.sum(axis=1)
        self.feasible &= taken >= need
        self._count(np.where(picked, best, 0), taken)
        if chosen is not None:
            mask = np.zeros_like(chosen)
            np.put_along_axis(mask, order, picked, axis=1)
            chosen |= mask

    def _count(self, picked: RealArray, number: IntArray) -> None:
        self.value = self.value + picked.sum(axis=1)
        if self.value.dtype.kind == "f":
            self.size = self.size + np.abs(picked).sum(axis=1)
        self.taken = self.taken + number

    def _total_size(self, prices: FloatArray) -> FloatArray:
        """Σ|reduced| plus twice the most that the chosen could have paid: at least |fitness| + |price·load|."""
        if self.value.dtype.kind != "f":
            return self.size
        paid = float(np.abs(prices).max(initial=0.0))
        if self.block.load is not None:
            return self.size + 2.0 * self.taken * (np.abs(prices) * self.block.load).max(axis=1, initial=0.0)
        return self.size + 2.0 * self.taken * paid


def _largest(candidates: RealArray, number: int) -> RealArray:
    """Return the ``number`` largest entries of each row, descending; the rows are sorted in place."""
    if number == 0:
        return candidates[:, :0]
    if number == 1:
        return candidates.max(axis=1, keepdims=True)
    # For rows of a hundred this is faster than a partition, and much faster where many entries tie.
    candidates.sort(axis=1)
    return candidates[:, ::-1][:, :number]


def _unsorted(ranked: RealArray, order: IntArray) -> RealArray:
    """Undo a sort: put the ranked entries back into the columns that they came from."""
    back = np.empty_like(ranked)
    np.put_along_axis(back, order, ranked, axis=1)
    return back
