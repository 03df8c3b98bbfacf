"""The core as a table: every client's fitness for every expert, and of each arc only its cheapest move.

A small core is read faster than it is sorted. Of all moves on an arc only the cheapest is kept, found in one pass over
the table. When the client that offers it moves, the arc is stale: what it lost is still a lower bound on what the next
one loses, and most stale arcs are never asked for again. One that is asked for is found anew among the clients that
hold its tail, and the first that loses no more than the bound ends the search: so ties cost next to nothing.
"""

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from alignsolve.solvers.price.compiled import inner
from alignsolve.solvers.price.core import NONE, Core
from alignsolve.solvers.price.graph import FAR

Array = npt.NDArray[Any]

SHUT = -(2**61)
"""The worth of an expert that a client cannot take: a move there loses more than any path may."""


class Table(NamedTuple):
    """The cheapest moves of a tabulated core; the experts and the ground are the nodes.

    Attributes
    ----------
    root
        (nodes, nodes) int32: the client that offers each arc's cheapest move, NONE where nobody does, −2 − client
        where that one has moved since.
    loss
        (nodes, nodes) int64: what the move loses, FAR where there is none.
    enter
        (clients · num_experts,) int64: the core's worths, SHUT where the expert cannot be taken or is held.
    holder, number, place
        The clients by expert: holder[j, :number[j]] hold j, and client i stands at place[i · num_experts + j].
    """

    root: Array
    loss: Array
    enter: Array
    holder: Array
    number: Array
    place: Array


def tabulated(core: Core, num_experts: int) -> Core:
    """Return the core with a candidate for every expert: that of client i for expert j is i·num_experts + j.

    So nobody asks a table where a client's candidates start or which expert one stands for; it does not tell.
    """
    clients = len(core.stamp)
    if len(core.expert) == clients * num_experts:
        return core
    place = _places(core, num_experts)
    worth = np.full(clients * num_experts, SHUT, dtype=np.int64)
    held = np.zeros(clients * num_experts, dtype=np.bool_)
    worth[place], held[place] = core.worth, core.held
    return core._replace(start=core.start[:0], expert=core.expert[:0], held=held, worth=worth)


def untabulated(core: Core, table: Core, num_experts: int) -> Core:
    """Return the core with what its table holds."""
    return core if table is core else core._replace(held=table.held[_places(core, num_experts)])


def _places(core: Core, num_experts: int) -> Array:
    """Return where the candidates of a core stand in its table."""
    return np.repeat(np.arange(len(core.stamp)) * num_experts, np.diff(core.start)) + core.expert


def empty_table(core: Core, nodes: int) -> Table:
    """Return a table with room for a tabulated core's clients, without any of them."""
    return Table(
        root=np.full((nodes, nodes), NONE, dtype=np.int32),
        loss=np.full((nodes, nodes), FAR, dtype=np.int64),
        enter=np.empty(len(core.held), dtype=np.int64),
        holder=np.empty((nodes, len(core.stamp)), dtype=np.int32),
        number=np.zeros(nodes, dtype=np.int64),
        place=np.empty(len(core.held), dtype=np.int32),
    )


def admit(core: Core, table: Table, i: int) -> None:
    """Enter client i."""
    held, worth, enter, width = core.held, core.worth, table.enter, len(table.root) - 1
    for a in range(i * width, (i + 1) * width):
        enter[a] = worth[a]
        if held[a]:
            _join(table, i, a - i * width)


@inner
def _join(table: Table, i: int, j: int) -> None:
    """Client i holds expert j from now on."""
    number = table.number
    a = i * (len(number) - 1) + j
    table.enter[a] = SHUT
    table.place[a] = number[j]
    table.holder[j, number[j]] = i
    number[j] += 1


def make_move(core: Core, table: Table, give: int, take: int) -> None:
    """A client leaves one candidate for another, as in the core."""
    number, holder, place, width = table.number, table.holder, table.place, len(table.root) - 1
    if give != NONE:
        j = give % width
        table.enter[give] = core.worth[give]
        number[j] -= 1
        last = holder[j, number[j]]
        holder[j, place[give]] = last
        place[last * width + j] = place[give]
    if take != NONE:
        _join(table, take // width, take % width)


def offer(core: Core, table: Table, windows: Array, i: int) -> bool:
    """Offer every move that client i could make now, whatever the windows; there is always room."""
    # What a loop uses is taken out of its tuple before: inside, each access would count a reference.
    held, worths, loss, root = core.held, core.worth, table.loss, table.root
    group, group_spare, group_room = core.group, core.group_spare, core.group_room
    ground = len(root) - 1
    begin = i * ground
    enter = table.enter[begin : begin + ground]
    grouped, spare, nothing = len(group) > 0, core.spare[i] > 0, core.ground[i]
    for j in range(ground):
        if not held[begin + j]:
            continue
        worth = worths[begin + j]
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
    """Client i offers to leave something of this worth for each expert."""
    for k in range(len(enter)):
        cheaper = worth - enter[k]
        root[k] = i if cheaper < loss[k] else root[k]
        loss[k] = min(cheaper, loss[k])


def withdraw(core: Core, table: Table, i: int) -> None:
    """Mark the arcs stale whose cheapest move is client i's."""
    held, root = core.held, table.root
    ground = len(root) - 1
    for j in range(ground + 1):
        if j == ground or held[i * ground + j]:
            _mark_stale(root[j], i)


@inner
def _mark_stale(root: Array, i: int) -> None:
    for k in range(len(root)):
        root[k] = -2 - i if root[k] == i else root[k]


def freshen_row(core: Core, table: Table, j: int, price: Array, distance: Array, passed: int) -> None:
    """Find the cheapest moves on those stale arcs from j that could shorten a way."""
    root, loss = table.root[j], table.loss[j]
    worth, enter, nothing, holder = core.worth, table.enter, core.ground, table.holder[j, : table.number[j]]
    room, spare, group, group_room, group_spare = core.room, core.spare, core.group, core.group_room, core.group_spare
    for k in range(len(price)):
        if root[k] < NONE and passed + loss[k] + price[k] < distance[k]:
            loss[k], root[k] = _cheapest(
                j, k, loss[k], root[k], worth, enter, nothing, holder, room, spare, group, group_room, group_spare
            )


def freshen(core: Core, table: Table, j: int, k: int) -> None:
    """Find the cheapest move on the arc j → k anew if it is stale."""
    loss, root, holder = table.loss, table.root, table.holder[j, : table.number[j]]
    if root[j, k] < NONE:
        loss[j, k], root[j, k] = _cheapest(
            j, k, loss[j, k], root[j, k], core.worth, table.enter, core.ground, holder,
            core.room, core.spare, core.group, core.group_room, core.group_spare,
        )  # fmt: skip


def read_move(core: Core, table: Table, j: int, k: int) -> tuple[int, int, int]:
    """Return the client of the cheapest move on the arc j → k, and its candidates left and taken."""
    i, width = int(table.root[j, k]), len(table.root) - 1
    return i, i * width + j if j < width else NONE, i * width + k if k < width else NONE


@inner
def _cheapest(
    j: int, k: int, least: int, stale: int, worth: Array, enter: Array, nothing: Array, holder: Array,
    room: Array, spare: Array, group: Array, group_room: Array, group_spare: Array,
) -> tuple[int, int]:  # fmt: skip
    """Return the least loss on the arc j → k, known to be at least so much, and the client that offers it."""
    clients, free = len(nothing), len(group) == 0
    ground = len(worth) // clients
    best, who = FAR, NONE
    if j == ground:
        # From where the last one was found: those before it have been asked already.
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
    within = free or (k < ground and group[j] == group[k])
    for t in range(len(holder)):
        i = int(holder[t])
        if k == ground:
            loss = worth[i * ground + j] - nothing[i]
            may = spare[i] > 0 and (free or group_spare[i, group[j]] > 0)
        else:
            loss = worth[i * ground + j] - enter[i * ground + k]
            may = within or (group_spare[i, group[j]] > 0 and group_room[i, group[k]] > 0)
        if loss < best and may:
            best, who = loss, i
            if best <= least:
                break
    return best, who
