"""The core as a table: every client's fitness for every expert, and only the cheapest move of each arc.

A small core is read faster than it is sorted. Of all moves on an arc only the cheapest is kept, found in one pass
over the table. When the client that offers it moves, the arc is *stale*. Its old loss is still a lower bound on the
loss of the next cheapest move, and most stale arcs are never asked for again. If one is, the search for its cheapest
move goes through the clients that hold its tail. The first that loses no more than the lower bound ends the search,
so that ties cost next to nothing.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.runtime.jit import inner, kernel
from alignsolve.solvers.price.core import NONE, Core
from alignsolve.solvers.price.graph import FAR

Array = npt.NDArray[Any]

SHUT = -(2**61)
"""The worth of an expert that a client cannot take: a move there loses more than any path may."""


class Table(NamedTuple):
    """The cheapest moves of a core; the experts and the ground are the nodes.

    There is a candidate for every pair: that of client i for expert j is i·num_experts + j.

    Attributes
    ----------
    root
        (nodes, nodes) int32: the client that offers each arc's cheapest move, NONE where no client does, −2 − client
        where that client has moved since.
    loss
        (nodes, nodes) int64: what the move loses, FAR where there is none.
    enter
        (clients · num_experts,) int64: the core's worths, SHUT where the expert cannot be taken or is held.
    holder, leave, number, place
        Each expert's holders: holder[j, :number[j]] hold j, which is worth leave[j, :number[j]] to them, and client i
        stands at place[i · num_experts + j]; that is NONE where it does not hold j.
    """

    root: Array
    loss: Array
    enter: Array
    holder: Array
    leave: Array
    number: Array
    place: Array


def empty_table(core: Core, nodes: int) -> Table:
    """Return a table with room for the core's clients, without any of them."""
    clients = len(core.stamp)
    pairs, places = clients * (nodes - 1), clients * nodes
    # One piece of memory: separate pieces would go back to the system and be fetched anew, page by page, for every
    # table.
    wide = np.empty(pairs + places + (pairs + places + 1) // 2, dtype=np.int64)
    narrow = wide[pairs + places :].view(np.int32)
    return Table(
        root=np.full((nodes, nodes), NONE, dtype=np.int32),
        loss=np.full((nodes, nodes), FAR, dtype=np.int64),
        enter=wide[:pairs],
        holder=narrow[pairs : pairs + places].reshape(nodes, clients),
        leave=wide[pairs : pairs + places].reshape(nodes, clients),
        number=np.zeros(nodes, dtype=np.int64),
        place=narrow[:pairs],
    )


def admit(core: Core, table: Table, i: int) -> None:
    """Enter client i with the experts that it holds and those that it could take."""
    expert, held, worth, enter, place = core.expert, core.held, core.worth, table.enter, table.place
    width = len(table.root) - 1
    begin = i * width
    enter[begin : begin + width] = SHUT
    place[begin : begin + width] = NONE
    for a in range(core.start[i], core.start[i + 1]):
        enter[begin + expert[a]] = worth[a]
        if held[a]:
            _join(table, i, expert[a])


@inner
def _join(table: Table, i: int, j: int) -> None:
    """Make client i a holder of expert j."""
    enter, number = table.enter, table.number
    a = i * (len(number) - 1) + j
    table.holder[j, number[j]] = i
    table.leave[j, number[j]] = enter[a]
    table.place[a] = number[j]
    enter[a] = SHUT
    number[j] += 1


def make_move(core: Core, table: Table, give: int, take: int) -> None:
    """A client leaves one candidate for another; NONE stands for the ground."""
    number, holder, leave, place, width = table.number, table.holder, table.leave, table.place, len(table.root) - 1
    # Leave: the last holder of j takes the place of the one that goes.
    if give != NONE:
        j, at = give % width, place[give]
        table.enter[give] = leave[j, at]
        place[give] = NONE
        number[j] -= 1
        last = number[j]
        if at != last:
            holder[j, at], leave[j, at] = holder[j, last], leave[j, last]
            place[holder[j, at] * width + j] = at
    if take != NONE:
        _join(table, take // width, take % width)


@kernel
def hand_back(start: Array, expert: Array, place: Array, num_experts: int, held: Array) -> None:
    """Tell the core which of its candidates are held, by the table's places."""
    for i in range(len(start) - 1):
        for a in range(start[i], start[i + 1]):
            held[a] = place[i * num_experts + expert[a]] != NONE


def offer(core: Core, table: Table, windows: Array, i: int) -> bool:
    """Offer every move that client i could make now, whatever the windows; there is always room."""
    # Arrays that a loop uses are taken out of their tuple first: inside the loop each access would count a reference.
    place, leave, loss, root = table.place, table.leave, table.loss, table.root
    group, group_spare, group_room = core.group, core.group_spare, core.group_room
    ground = len(root) - 1
    begin = i * ground
    enter = table.enter[begin : begin + ground]
    grouped, spare, nothing = len(group) > 0, core.spare[i] > 0, core.ground[i]
    for j in range(ground):
        at = place[begin + j]
        if at == NONE:
            continue
        # Moves from an expert held: a drop, and swaps.
        worth = leave[j, at]
        leaves = not grouped or group_spare[i, group[j]] > 0
        if spare and leaves and worth - nothing < loss[j, ground]:
            loss[j, ground] = worth - nothing
            root[j, ground] = i
        if grouped:
            for k in range(ground):
                swaps = group[j] == group[k] or (leaves and group_room[i, group[k]] > 0)
                if swaps and worth - enter[k] < loss[j, k]:
                    loss[j, k] = worth - enter[k]
                    root[j, k] = i
        else:
            _keep_cheaper(worth, enter, loss[j], root[j], i)
    # Additions: ground → k.
    if core.room[i] > 0:
        if grouped:
            for k in range(ground):
                if group_room[i, group[k]] > 0 and nothing - enter[k] < loss[ground, k]:
                    loss[ground, k] = nothing - enter[k]
                    root[ground, k] = i
        else:
            _keep_cheaper(nothing, enter, loss[ground], root[ground], i)
    return True


@inner
def _keep_cheaper(worth: int, enter: Array, loss: Array, root: Array, i: int) -> None:
    """Offer, for client i, to leave something of this worth for each expert."""
    for k in range(len(enter)):
        cheaper = worth - enter[k]
        root[k] = i if cheaper < loss[k] else root[k]
        loss[k] = min(cheaper, loss[k])


def withdraw(core: Core, table: Table, i: int) -> None:
    """Mark the arcs stale whose cheapest move is client i's."""
    place, root = table.place, table.root
    ground = len(root) - 1
    for j in range(ground + 1):
        if j == ground or place[i * ground + j] != NONE:
            _mark_stale(root[j], i)


@inner
def _mark_stale(root: Array, i: int) -> None:
    """Mark client i's arcs of one row stale."""
    for k in range(len(root)):
        root[k] = -2 - i if root[k] == i else root[k]


def freshen_row(core: Core, table: Table, j: int, price: Array, distance: Array, passed: int) -> None:
    """Find the cheapest moves on those stale arcs from j that could shorten a path."""
    root, loss = table.root[j], table.loss[j]
    enter, nothing, number = table.enter, core.ground, table.number[j]
    holder, leave = table.holder[j, :number], table.leave[j, :number]
    room, spare, group, group_room, group_spare = core.room, core.spare, core.group, core.group_room, core.group_spare
    for k in range(len(root)):
        if root[k] < NONE and passed + loss[k] + price[k] < distance[k]:
            loss[k], root[k] = _cheapest(
                j, k, loss[k], root[k], enter, nothing, holder, leave, room, spare, group, group_room, group_spare
            )


def freshen(core: Core, table: Table, j: int, k: int) -> None:
    """Find the cheapest move on the arc j → k anew if it is stale."""
    loss, root, number = table.loss, table.root, table.number[j]
    if root[j, k] < NONE:
        loss[j, k], root[j, k] = _cheapest(
            j, k, loss[j, k], root[j, k], table.enter, core.ground, table.holder[j, :number], table.leave[j, :number],
            core.room, core.spare, core.group, core.group_room, core.group_spare,
        )  # fmt: skip


def read_move(core: Core, table: Table, j: int, k: int) -> tuple[int, int, int]:
    """Return the client of the cheapest move on the arc j → k, and its candidates left and taken."""
    i, width = int(table.root[j, k]), len(table.root) - 1
    return i, i * width + j if j < width else NONE, i * width + k if k < width else NONE


@inner
def _cheapest(
    j: int, k: int, least: int, stale: int, enter: Array, nothing: Array, holder: Array, leave: Array,
    room: Array, spare: Array, group: Array, group_room: Array, group_spare: Array,
) -> tuple[int, int]:  # fmt: skip
    """Find the cheapest move on the arc j → k, whose loss is ``least`` or more; return the loss and the client."""
    clients, free = len(nothing), len(group) == 0
    ground = len(enter) // clients
    best, who = FAR, NONE
    if j == ground:
        # Additions. Begin at the last client found: those before it have been asked already.
        i = -2 - stale
        for _ in range(clients):
            if room[i] > 0 and (free or group_room[i, group[k]] > 0):
                loss = nothing[i] - enter[i * ground + k]
                if loss < best:
                    best, who = loss, i
                    if best <= least:
                        break
            i = i + 1 if i + 1 < clients else 0
        return best, who
    # Drops and swaps of the holders of j.
    within = free or (k < ground and group[j] == group[k])
    for t in range(len(holder)):
        i = int(holder[t])
        if k == ground:
            loss = leave[t] - nothing[i]
            may = spare[i] > 0 and (free or group_spare[i, group[j]] > 0)
        else:
            loss = leave[t] - enter[i * ground + k]
            may = within or (group_spare[i, group[j]] > 0 and group_room[i, group[k]] > 0)
        if loss < best and may:
            best, who = loss, i
            if best <= least:
                break
    return best, who
