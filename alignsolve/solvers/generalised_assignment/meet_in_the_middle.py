"""The best alignment of the clients of a few experts, all others staying where they are: meet in the middle.

Under the prices every client has a home, its expert of least reduced cost. An alignment is then a set of deviations
from home, each with its extra cost and its change of two loads. Good alignments have only cheap deviations and leave
next to no capacity unused. There are too many such sets to list, but not too many halves of them:

1. Sort the deviations by cost. Share the clients out between two halves, and list the cheap sets of deviations of
   each half.
2. Hash the second list by its loads.
3. For each set of the first list, look up the loads that would use up the capacities, and keep the cheapest pair of
   sets that fits.

So two lists of 2^14 sets stand for 2^28 sets, where shifts, swaps and chains see a handful.

Capacities are met up to a cell of the hash. Whole loads are met exactly where time is short. Otherwise a cell is as
wide as the unused capacity that an improvement could pay for; then two neighbouring cells have to be looked up for
each expert.

Source: E. Horowitz and S. Sahni, Computing partitions with applications to the knapsack problem, J. ACM 21 (1974);
here with several capacities at once.
"""

from typing import Any, NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.generalised_assignment.path_relinking import below

SETS = 1 << 14
"""Most sets that are listed of each half."""
LOOKUPS = 200_000
"""Most cells that are looked up."""
FEW_SETS = 500
"""Sets in a list up to which a cell may be as wide as any improvement could pay for: then all pairs are compared
soon."""
DEVIATIONS = 62
"""Most deviations of a half: each is one bit of a set."""
MOST_EXPERTS = 12
"""Most experts at a time."""
SHARE = 0.7
"""Most that the sets of one half may cost, as a share of what an improvement may cost."""
CELL = 0.1
"""Width of a cell where not all cells can be looked up: unused capacity that costs this share of the limit."""
FREE = 1e-9
"""Share of all prices below which a price counts as 0."""


class Halves(NamedTuple):
    """Room for the two lists, and the result of the last search.

    Attributes
    ----------
    extra, chosen, change
        (2, SETS), (2, SETS) and (2, SETS, MOST_EXPERTS): each set's cost, its deviations as bits, its change of
        loads.
    size, deviations, known
        (2,), (2, DEVIATIONS) and (2,): length of the lists; the deviations in them, and their number.
    head, after, key
        (4 * SETS,), (SETS,) and (SETS,): the second list hashed by its loads.
    """

    extra: FloatArray
    chosen: IntArray
    change: FloatArray
    size: IntArray
    deviations: IntArray
    known: IntArray
    head: IntArray
    after: IntArray
    key: IntArray


def empty_halves() -> Halves:
    """Make room for two lists."""
    whole = [(2,), (2, DEVIATIONS), (2,), (4 * SETS,), (SETS,), (SETS,)]
    size, deviations, known, head, after, key = (np.zeros(shape, dtype=np.int64) for shape in whole)
    chosen = np.zeros((2, SETS), dtype=np.int64)
    return Halves(
        np.zeros((2, SETS)), chosen, np.zeros((2, SETS, MOST_EXPERTS)), size, deviations, known, head, after, key
    )


@kernel
def meet(
    terms: Any, prices: Any, halves: Any, expert: Any, few: Any, spare: float, banned: int, whole: bool, random: Any
) -> bool:
    """Re-align the clients of a few experts as cheaply as this search can; False if nothing is cheap enough.

    Parameters
    ----------
    terms
        The instance.
    prices
        (num_experts,) behind ``terms.reduced``.
    halves
        Room for the lists.
    expert
        (num_clients,) feasible, changed in place.
    few
        (some,) experts, at most ``MOST_EXPERTS``.
    spare
        The cost may rise by less than this; if it is below 0, the cost must fall by more than its size.
    banned
        A client that must leave its expert; −1 for none.
    whole
        Whether loads are whole.
    random
        State of the random numbers.
    """
    reduced, load = terms.reduced, terms.load
    halves.size[:] = 1
    clients, home, room, now = _go_home(terms, prices, expert, few, banned)
    limit = now + spare
    if limit <= 0.0 or len(clients) == 0:
        return False
    who, to, extra = _deviations(reduced, few, clients, home, expert, SHARE * limit, banned)
    _list_halves(halves, load, few, home, who, to, extra, SHARE * limit)
    first, second = _join(halves, room, prices[few], limit, whole, random)
    if first < 0:
        return False
    # Write the cheapest pair of sets: all clients go home, then the deviations are made.
    for z in range(len(clients)):
        expert[clients[z]] = few[home[clients[z]]]
    for half in range(2):
        bits = halves.chosen[half, first if half == 0 else second]
        for z in range(halves.known[half]):
            if (bits >> z) & 1:
                o = halves.deviations[half, z]
                expert[who[o]] = few[to[o]]
    return True


@inner
def _go_home(terms: Any, prices: Any, expert: Any, few: Any, banned: int) -> Any:
    """Send the clients of the few experts home.

    Returns
    -------
    clients, home, room, now
        The clients, each one's home as a place among the few, the capacity left, and the present cost above home.
    """
    reduced, load, capacity = terms.reduced, terms.load, terms.capacity
    place = np.full(len(capacity), -1, dtype=np.int64)
    room, now = np.empty(len(few)), 0.0
    for a in range(len(few)):
        place[few[a]] = a
        room[a] = capacity[few[a]]
        now += prices[few[a]] * capacity[few[a]]
    home = np.full(len(expert), -1, dtype=np.int64)
    clients = np.empty(len(expert), dtype=np.int64)
    count = 0
    # Each client's home among the few; a client without one ends the search.
    for i in range(len(expert)):
        j = expert[i]
        if place[j] < 0:
            continue
        best, least = -1, np.inf
        for a in range(len(few)):
            if reduced[i, few[a]] < least and not (i == banned and few[a] == j):
                best, least = a, reduced[i, few[a]]
        if best < 0:
            return clients[:0], home, room, now
        home[i] = best
        room[best] -= load[i, few[best]]
        clients[count] = i
        count += 1
        now += reduced[i, j] - least - prices[j] * load[i, j]
    return clients[:count], home, room, now


@inner
def _deviations(reduced: Any, few: Any, clients: Any, home: Any, expert: Any, limit: float, banned: int) -> Any:
    """List the deviations below the limit, cheapest first: client, place among the few, extra cost."""
    most = len(clients) * (len(few) - 1)
    who, to, extra = np.empty(most, dtype=np.int64), np.empty(most, dtype=np.int64), np.empty(most)
    count = 0
    for z in range(len(clients)):
        i = clients[z]
        least = reduced[i, few[home[i]]]
        for a in range(len(few)):
            more = reduced[i, few[a]] - least
            if a != home[i] and more < limit and not (i == banned and few[a] == expert[i]):
                who[count], to[count], extra[count] = i, a, more
                count += 1
    order = np.argsort(extra[:count])
    return who[:count][order], to[:count][order], extra[:count][order]


@inner
def _list_halves(halves: Any, load: Any, few: Any, home: Any, who: Any, to: Any, extra: Any, limit: float) -> None:
    """Step 1: list the sets of each half below the limit, from ever dearer deviations until there is no room."""
    size, known, deviations = halves.size, halves.known, halves.deviations
    half_of = np.full(len(home), -1, dtype=np.int64)
    full = np.zeros(2, dtype=np.bool_)
    size[:], known[:] = 1, 0
    halves.extra[:, 0], halves.chosen[:, 0], halves.change[:, 0] = 0.0, 0, 0.0
    for o in range(len(who)):
        i = who[o]
        # All deviations of a client are in one half: the shorter one that is not full.
        half = half_of[i]
        if half < 0:
            half = 1 if full[0] or (size[1] < size[0] and not full[1]) else 0
        if full[half]:
            if full[1 - half]:
                break
            continue
        half_of[i] = half
        # A set must not hold two deviations of one client.
        others = 0
        for z in range(known[half]):
            if who[deviations[half, z]] == i:
                others |= 1 << z
        lists = halves.extra[half], halves.chosen[half], halves.change[half]
        heavy, light = load[i, few[to[o]]], load[i, few[home[i]]]
        grown = _extend(lists, size[half], len(few), known[half], others, extra[o], limit, to[o], heavy, home[i], light)
        deviations[half, known[half]] = o
        known[half] += 1
        size[half] = min(grown, SETS)
        full[half] = grown > SETS or known[half] == DEVIATIONS


@inner
def _extend(
    lists: Any, size: int, width: int, bit: int, others: int, more: float, limit: float, to: int, heavy: float,
    home: int, light: float,
) -> int:  # fmt: skip
    """Append each set with one more deviation; return the new length, above SETS if there was no room."""
    extra, chosen, change = lists
    grown = size
    for e in range(size):
        if extra[e] + more < limit and (chosen[e] & others) == 0:
            if grown == SETS:
                return SETS + 1
            extra[grown] = extra[e] + more
            chosen[grown] = chosen[e] | (1 << bit)
            for a in range(width):
                change[grown, a] = change[e, a]
            change[grown, to] += heavy
            change[grown, home] -= light
            grown += 1
    return grown


@inner
def _join(halves: Any, room: Any, price: Any, limit: float, whole: bool, random: Any) -> Any:
    """Steps 2 and 3: find the cheapest pair of sets, one of each list, whose loads fit; −1 if there is none."""
    extra, change, size = halves.extra, halves.change, halves.size
    head, after, key = halves.head, halves.after, halves.key
    width = len(room)
    cell, wide = _cells(price, room, size[0], limit, whole, random)
    # Random odd multipliers make the hash of a vector of cells.
    odd = np.empty(width, dtype=np.int64)
    for a in range(width):
        odd[a] = below(random, 1 << 52) * 2 + 1
    buckets = 256
    while buckets < 2 * size[1]:
        buckets *= 2
    head[:buckets] = -1
    # Step 2: hash the second list.
    for f in range(size[1]):
        code = 0
        for a in range(width):
            code += np.int64(np.floor(change[1, f, a] / cell[a])) * odd[a]
        at = (code ^ (code >> 29)) & (buckets - 1)
        key[f], after[f], head[at] = code, head[at], f
    first, second, best = -1, -1, limit
    # Step 3: for each set of the first list, look up the cells that complete it.
    for e in range(size[0]):
        if extra[0, e] >= best:
            continue
        corner = 0
        for a in range(width):
            corner += np.int64(np.floor((room[a] - change[0, e, a]) / cell[a])) * odd[a]
        for neighbour in range(1 << len(wide)):
            code = corner
            for z in range(len(wide)):
                if (neighbour >> z) & 1:
                    code -= odd[wide[z]]
            f = head[(code ^ (code >> 29)) & (buckets - 1)]
            while f >= 0:
                if key[f] == code and extra[0, e] + extra[1, f] < best:
                    value = extra[0, e] + extra[1, f]
                    for a in range(width):
                        unused = room[a] - change[0, e, a] - change[1, f, a]
                        value += price[a] * unused if unused >= 0.0 else np.inf
                    if value < best:
                        first, second, best = e, f, value
                f = after[f]
    return first, second


@inner
def _cells(price: Any, room: Any, size: int, limit: float, whole: bool, random: Any) -> Any:
    """The width of each expert's cells, and the experts with two cells to look up; drawn where not all can have two."""
    width = len(price)
    cell, wide = np.ones(width), np.empty(width, dtype=np.int64)
    everything = size <= FEW_SETS and size * (1 << width) <= LOOKUPS
    order = np.arange(width)
    for z in range(width - 1, 0, -1):
        y = below(random, z + 1)
        order[z], order[y] = order[y], order[z]
    count, free = 0, 0.0
    for a in range(width):
        free += FREE * price[a]
    for z in range(width):
        a = order[z]
        if whole and size * (2 << count) > LOOKUPS:
            break
        worth = limit if everything else CELL * limit
        if price[a] <= free:
            cell[a] = 1.0 + 2.0 * abs(room[a])
        else:
            cell[a] = np.floor(worth / price[a]) + 1.0 if whole else worth / price[a]
        if cell[a] > 1.0 or not whole:
            wide[count] = a
            count += 1
    return cell, wide[:count]
