"""The state of a search, as compiled code changes it in place."""

from typing import NamedTuple

from alignsolve.numerics import BoolArray, FloatArray, IntArray

LEVEL, NODES, WRITTEN, ROWS, ROW, UNDECIDED, KIND = range(7)
"""Places in ``State.at``."""
BEST, GAP, SCALE, ASKED, TOLERANCE, UNIT = range(6)
"""Places in ``State.size``."""


class State(NamedTuple):
    """A tree under way, changed in place; levels come first.

    Attributes
    ----------
    first, experts, value, load
        As in :class:`.choices.Choices`.
    points, penalties
        (num_bends, num_experts) loads at which the experts' penalties bend, and the penalties there; NaN: none.
    lowest, highest
        (num_experts,) the box of the prices.
    limits
        (2, num_experts) the least and the most load that hard bounds allow, with their tolerance.
    soft
        (4, num_experts) demand, capacity and the penalties of missing and of exceeding them; 0 where hard.
    has, lacks
        (levels, num_clients) bits of the experts that a client has, and must not have.
    prices
        (levels, num_experts).
    branch
        (levels, 3) client, expert, and two bits: 1 once the second side is under way, 2 if the first has the pair.
    shares
        (num_clients, num_experts) how often the clients chose a pair lately.
    choice
        (num_clients,) the choice under the last prices; that of settled clients.
    solution
        (num_clients,) the best alignment found, as choices.
    undecided, alive, begin
        (num_clients,), (num_choices,), (num_clients + 1,) the undecided clients of a node, and their choices.
    table
        Room for sums of prices.
    base, spare
        (2, num_experts): load of the settled clients and of all; room.
    client, expert, taken, row
        What was written of the proof: nodes of the tree, and (rows, num_experts) prices.
    at, size
        Counters and sizes: the level, the nodes so far, the nodes and rows written, the row of this look (−1: none
        yet), the undecided clients, the kind of leaves; the worth of the best alignment, the root's gap, the size of
        prices, the decayed number of steps that ``shares`` counts, and by how much a bound may exceed the best worth:
        a share of it, or the unit of whole numbers.
    """

    first: IntArray
    experts: IntArray
    value: FloatArray
    load: FloatArray
    points: FloatArray
    penalties: FloatArray
    lowest: FloatArray
    highest: FloatArray
    limits: FloatArray
    soft: FloatArray
    has: IntArray
    lacks: IntArray
    prices: FloatArray
    branch: IntArray
    shares: FloatArray
    choice: IntArray
    solution: IntArray
    undecided: IntArray
    alive: IntArray
    begin: IntArray
    table: FloatArray
    base: FloatArray
    client: IntArray
    expert: IntArray
    taken: BoolArray
    row: FloatArray
    at: IntArray
    size: FloatArray
