"""The pricing pass compiled: each row is read once, and no array of the block's size is made."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from alignsolve.data.blocks import ClientBlock
from alignsolve.numerics import MAX_FLOAT, RealArray, fixed
from alignsolve.runtime.jit import absent, inner, kernel, part, present, within
from alignsolve.solvers.common.sample import MIX
from alignsolve.solvers.price.core import CoreRows
from alignsolve.solvers.price.pricing import Priced, Windows
from alignsolve.solvers.price.row_moves import (
    HELD,
    OPEN,
    REQUIRED,
    grouped_losses,
    list_flat_rows,
    list_grouped_rows,
    read_row,
)
from alignsolve.solvers.price.slopes import LARGEST
from alignsolve.subproblem.reduced_compiled import subtract_price
from alignsolve.subproblem.simd_topk import BATCH, LANES, Desk, best_of, desk, lane_tops, listed, mark

Array = npt.NDArray[Any]
SMALL = 1 << 20
"""Candidates up to which there is room for all that are possible."""
FAR = {"i": np.int64(2**62), "f": np.float64(np.inf)}
"""Larger than every difference of reduced fitness."""
LOWEST = {"i": np.int64(1 - 2**62), "f": np.float64(-np.finfo(np.float64).max)}
"""No larger than any difference of reduced fitness."""
WIDEST = {"i": LARGEST, "f": MAX_FLOAT}
"""A window that takes in every move."""


@dataclass(frozen=True)
class NumbaEngine:
    """The compiled engine: compiled on first use, then cached on disk."""

    def price(self, block: ClientBlock, prices: RealArray, grain: float) -> Priced:
        """Find every client's best choice."""
        n, num_experts = block.num_clients, block.num_experts
        capacity = fixed(np.minimum(block.capacity, num_experts))
        count = np.empty(n, dtype=np.int32)
        margin, ground = np.empty(n, dtype=prices.dtype), np.empty(n, dtype=prices.dtype)
        expert = np.empty(int(capacity.sum()) + 1, dtype=np.int32)
        loads = np.zeros(num_experts, dtype=np.int64)
        far, lowest = FAR[prices.dtype.kind], LOWEST[prices.dtype.kind]
        rows = (block.value, *_masks(block), capacity, fixed(block.demand))
        asked, told = (prices, grain, far), (count, expert, margin, ground, loads)
        if block.group is None:
            room = desk(num_experts, prices.dtype, -far)
            used, dual, magnitude = _price_flat(*rows, *asked, lowest, room, block.start, *told)
        else:
            used, dual, magnitude = _price_grouped(*rows, *_groups(block), *asked, block.start, *told)
        return Priced(count, expert[:used], margin, ground, loads, dual, magnitude)

    def core_rows(
        self, block: ClientBlock, prices: RealArray, grain: float, priced: Priced, windows: Windows
    ) -> CoreRows:
        """List the clients with another choice within the window, and the experts between which they waver."""
        far = FAR[prices.dtype.kind]  # windows may be whole numbers beyond 64 bits
        near = (priced.margin <= windows.swap) | (priced.ground_margin <= windows.ground)
        grouped = block.group is not None
        client = np.flatnonzero(near)
        if not len(client):
            return _no_rows(prices.dtype, block.group_capacity.shape[1] if block.group_capacity is not None else 0)
        first = np.concatenate([[0], np.cumsum(priced.number, dtype=np.int64)])
        m, num_groups = len(client), 1 if block.group_capacity is None else block.group_capacity.shape[1]
        rows = (block.value, *_masks(block), fixed(block.capacity), fixed(block.demand))
        asked = (
            *(prices, grain, far, client, first, priced.expert),
            *(prices.dtype.type(min(window, far)) for window in windows),
            min(windows) >= WIDEST[prices.dtype.kind],
        )
        size, room, spare = (np.empty(m, dtype=np.int64) for _ in range(3))
        group_room, group_spare = (np.empty((m, num_groups), dtype=np.int64) for _ in range(2))
        ground, most = np.empty(m, dtype=prices.dtype), m * block.num_experts
        length = most if most <= SMALL else 4 * m + block.num_experts
        while True:
            expert, held = np.empty(length, dtype=np.int32), np.empty(length, dtype=np.bool_)
            worth = np.empty(length, dtype=prices.dtype)
            told = size, expert, held, worth, ground, room, spare
            if grouped:
                used = list_grouped_rows(*rows, *_groups(block), *asked, *told, group_room, group_spare)
            else:
                used = list_flat_rows(*rows, *asked, *told)
            if used >= 0:
                break
            length *= 4
        expert, held, worth = expert[:used], held[:used], worth[:used]
        empty = np.zeros((len(client), 0), dtype=np.int64)
        start = np.concatenate([[0], np.cumsum(size)])
        return CoreRows(
            client, start, expert, held, worth, ground, room, spare,
            group_room if grouped else empty, group_spare if grouped else empty,
        )  # fmt: skip


def _masks(block: ClientBlock) -> tuple[Array, Array]:
    """Return eligible and required pairs."""
    nothing = fixed(absent(np.bool_))
    allowed = nothing if block.allowed is None else fixed(block.allowed)
    required = nothing if block.required is None else fixed(block.required)
    return allowed, required


def _groups(block: ClientBlock) -> tuple[Array, Array, Array]:
    """Return the groups with their bounds."""
    parts = block.group, block.group_capacity, block.group_demand
    group, capacity, demand = (fixed(part) for part in parts if part is not None)
    return group, capacity, demand


def _no_rows(kind: npt.DTypeLike, num_groups: int) -> CoreRows:
    none, groups = np.zeros(0, dtype=np.int64), np.zeros((0, num_groups), dtype=np.int64)
    worth = np.zeros(0, dtype=kind)
    return CoreRows(
        none, np.zeros(1, dtype=np.int64), none.astype(np.int32), none.astype(np.bool_), worth, worth, none, none,
        groups, groups,
    )  # fmt: skip


@kernel
def _price_flat(
    value: Array, allowed: Array, required: Array, capacity: Array, demand: Array, prices: Array, grain: float,
    far: Any, lowest: Any, desk: Desk, first: int, count: Array, expert: Array, margin: Array, ground: Array,
    loads: Array,
) -> tuple[int, float, float]:  # fmt: skip
    """Price clients without groups: a batch of rows is marked for likely experts, then each row's best are taken."""
    n, num_experts = value.shape
    rows, marks, enough, likely, best, _ = desk
    gap = 0.0
    used, dual, magnitude = 0, 0.0, 0.0
    for i in range(n):
        # Phase 1, once for a batch of rows: reduced fitness, and the experts that may be among the best.
        if i % BATCH == 0:
            _mark_rows(value, allowed, required, capacity, prices, grain, far, lowest, gap, i, desk)
        reduced = rows[i % BATCH]
        begin = used
        # Phase 2: required experts are taken first.
        if present(required):
            for j in range(num_experts):
                if required[i, j]:
                    expert[used] = j
                    dual += _rounded(subtract_price(value[i, j], prices[j], 1), grain)
                    magnitude += abs(value[i, j])
                    loads[j] += 1
                    used += 1
        room, need = capacity[i] - (used - begin), max(demand[i] - (used - begin), 0)
        # Phase 3: list the likely experts and sort the best room + 1 of them. Listing begins at a different expert
        # for every client, which spreads ties evenly; a division is slow, a mask is not.
        mixed = (first + i) * MIX >> 8
        first_expert = mixed & (num_experts - 1) if num_experts & (num_experts - 1) == 0 else mixed % num_experts
        number = listed(marks[i % BATCH], num_experts, first_expert, enough[i % BATCH], likely)
        kept = best_of(reduced, likely, number, room + 1, -far, best)
        if kept > room:
            # The gap within which the best of the next rows probably lie: a little more than this row's.
            gap = max(0.95 * gap, 1.5 * (best[0] - best[room]))
        # Phase 4: take the best while there is room and they gain, or while the client's demand asks for more.
        taken = min(kept, room)
        while taken > need and not best[taken - 1] > 0:
            taken -= 1
        worst, rival = far, -far
        if taken < kept:
            rival = best[taken]
        if taken > 0:
            worst = best[taken - 1]
            ties = number
            if worst == rival:
                ties = 0
                for t in range(taken):
                    ties += best[t] == worst
            # Phase 5: write down the experts at or above the worst one taken; of those that tie with it only as many
            # as fit.
            end, t = used + taken, 0
            while used < end:
                j = likely[t]
                worth, size = reduced[j], abs(value[i, j])
                equal = worth == worst
                take = (worth > worst) | (equal & (ties > 0))
                ties -= equal
                expert[used] = j
                used += take
                loads[j] += take
                dual += worth if take else 0.0
                magnitude += size if take else 0.0
                t += 1
        # Phase 6: margins. A swap exchanges the worst one taken for the best one left; the ground margin is a drop or
        # an addition.
        count[i] = used - begin
        margin[i] = worst - rival if (taken > 0) & (rival > -far) else far
        loss = worst if taken > need else far
        if taken < kept and taken < room:
            loss = min(loss, -rival)
        ground[i] = loss
    return used, dual, magnitude


@part
def _mark_rows(
    value: Array,
    allowed: Array,
    required: Array,
    capacity: Array,
    prices: Array,
    grain: float,
    far: Any,
    lowest: Any,
    gap: float,
    start: int,
    desk: Desk,
) -> None:
    """Compute the reduced fitness of a batch of clients; mark for each some experts that include the best room + 1."""
    rows, marks, enough, _, _, tops = desk
    for i in range(start, min(start + BATCH, len(value))):
        reduced, room = rows[i - start], capacity[i]
        for j in range(len(prices)):
            reduced[j] = subtract_price(value[i, j], prices[j], 1)
        if grain > 0:
            for j in range(len(prices)):
                reduced[j] = _rounded(reduced[j], grain)
        if present(allowed):
            for j in range(len(prices)):
                reduced[j] = reduced[j] if allowed[i, j] else -far
        if present(required):
            for j in range(len(prices)):
                reduced[j] = -far if required[i, j] else reduced[j]
                room -= required[i, j]
        # The best of each lane give a threshold that at least room + 1 experts reach. Where there are too few lanes
        # the gap of the last rows is tried, and at last no threshold.
        lane_tops(reduced, tops)
        certain = 0 <= room < LANES
        least = max(tops[room] if certain else tops[0] - prices.dtype.type(gap), lowest)
        while mark(reduced, least, marks[i - start]) <= room and not certain and least > lowest:
            least = lowest
        # Where the best tie, any of them will do.
        enough[i - start] = len(prices) if tops[0] > least else room + 1


@within
def _rounded(worth: Any, grain: float) -> Any:
    """Round to a multiple of the grain, a power of two; the grain of whole numbers is 0."""
    return np.rint(worth * (1 / grain)) * grain if grain > 0 else worth


@kernel
def _price_grouped(
    value: Array,
    allowed: Array,
    required: Array,
    capacity: Array,
    demand: Array,
    group: Array,
    group_capacity: Array,
    group_demand: Array,
    prices: Array,
    grain: float,
    far: Any,
    first: int,
    count: Array,
    expert: Array,
    margin: Array,
    ground: Array,
    loads: Array,
) -> tuple[int, float, float]:
    """Price clients with groups: meet each group's demand with its best, then take the best of the rest."""
    n, num_experts = value.shape
    num_groups = group_capacity.shape[1]
    reduced = np.empty(num_experts, dtype=prices.dtype)
    order = np.empty(num_experts, dtype=np.int32)
    state = np.empty(num_experts, dtype=np.int8)
    number = np.empty(num_groups, dtype=np.int64)
    swap, fall = np.empty(num_experts, dtype=prices.dtype), np.empty(num_experts, dtype=prices.dtype)
    used, dual, magnitude = 0, 0.0, 0.0
    for i in range(n):
        # Phase 1: sort the open experts by reduced fitness, ties in an order of the client's own.
        read_row(value, allowed, required, prices, grain, i, reduced, state)
        candidates = _sorted_row(reduced, state, ((first + i) * MIX >> 8) % num_experts, order)
        # Phase 2: required experts, then each group's demand.
        number[:] = 0
        total = 0
        for j in range(num_experts):
            if state[j] == REQUIRED:
                number[group[j]] += 1
                total += 1
        # Each group's best experts, up to its demand.
        for t in range(candidates):
            j = order[t]
            if number[group[j]] < group_demand[i, group[j]]:
                state[j] = HELD
                number[group[j]] += 1
                total += 1
        # Phase 3: the best of the rest, within the capacities of groups and client.
        for t in range(candidates):
            j = order[t]
            if total >= capacity[i] or (total >= demand[i] and not reduced[j] > 0):
                break
            if state[j] == OPEN and number[group[j]] < group_capacity[i, group[j]]:
                state[j] = HELD
                number[group[j]] += 1
                total += 1
        # Phase 4: write down the choice, and the losses of its moves.
        count[i] = total
        for j in range(num_experts):
            if state[j] >= HELD:
                expert[used] = j
                used += 1
                loads[j] += 1
                dual += reduced[j]
                magnitude += abs(value[i, j])
        grouped_losses(
            reduced, state, number, group, group_capacity[i], group_demand[i],
            capacity[i] - total, total - demand[i], swap, fall, far,
        )  # fmt: skip
        margin[i], ground[i] = swap.min(), fall.min()
    return used, dual, magnitude


@inner
def _sorted_row(reduced: Array, state: Array, at: int, order: Array) -> int:
    """Sort the open experts by falling reduced fitness, ties in the order met from ``at`` on; return their number."""
    kept = 0
    for _ in range(len(reduced)):
        if state[at] == OPEN:
            rank = kept
            while rank > 0 and reduced[at] > reduced[order[rank - 1]]:
                order[rank] = order[rank - 1]
                rank -= 1
            order[rank] = at
            kept += 1
        at = at + 1 if at + 1 < len(reduced) else 0
    return kept
