"""The arcs of the experts' graph: one set of operations, for the two ways in which arcs are kept.

A large core keeps all its moves in heaps (:mod:`.heaps`); a small one keeps only the cheapest move of each arc
(:mod:`.table`). Either way the search reads one small matrix of losses, ``arcs.loss``. Python decides by the arcs'
type when an operation runs. Compiled code decides when it is compiled, so that its first use compiles only one of the
two ways.
"""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy.typing as npt
from numba.extending import overload

from alignsolve.runtime.jit import INNER, kernel
from alignsolve.solvers.price import heaps, table
from alignsolve.solvers.price.core import Core
from alignsolve.solvers.price.heaps import Heaps
from alignsolve.solvers.price.table import Table

Array = npt.NDArray[Any]
Arcs: TypeAlias = Heaps | Table
Operation: TypeAlias = Callable[..., Any]


def _either(name: str) -> Operation:
    """Return the operation of this name in the module that belongs to the type of the arcs."""
    ways: dict[type, Operation] = {Heaps: getattr(heaps, name), Table: getattr(table, name)}

    def operation(core: Core, arcs: Arcs, *others: Any) -> Any:
        return ways[type(arcs)](core, arcs, *others)

    @overload(operation, strict=False, jit_options=INNER)
    def compiled(core: Any, arcs: Any, *others: Any) -> Operation:
        return ways[arcs.instance_class]

    return operation


admit = _either("admit")
"""``admit(core, arcs, i)``: enter client i, before it offers anything."""
offer = _either("offer")
"""``offer(core, arcs, windows, i) -> bool``: offer every move that client i could make; False if there is no room."""
withdraw = _either("withdraw")
"""``withdraw(core, arcs, i)``: withdraw all moves that client i has offered."""
make_move = _either("make_move")
"""``make_move(core, arcs, give, take)``: a client leaves one candidate for another; NONE stands for the ground.

The two ways number the candidates differently."""
freshen = _either("freshen")
"""``freshen(core, arcs, j, k)``: find the cheapest move on the arc j → k, if it is not known."""
freshen_row = _either("freshen_row")
"""``freshen_row(core, arcs, j, price, distance, passed)``: freshen all arcs from j that could shorten a path."""
read_move = _either("read_move")
"""``read_move(core, arcs, j, k) -> client, give, take``: the cheapest move on the arc j → k."""


@kernel
def offer_all(core: Core, arcs: Arcs, windows: Array) -> None:
    """Enter the core's clients, and offer every move that they could make now."""
    for i in range(len(core.stamp)):
        admit(core, arcs, i)
        offer(core, arcs, windows, i)
