"""The window of a round: how far prices may drift, and so which clients are in the core.

A client whose choice beats every other one by more than the window keeps its choice, as long as no two prices drift
apart by more than the window. So a narrow window makes a small core, and a window that is too narrow makes the round
end early. If the solver knows how far prices should drift, it asks for that window. If not, the window takes in
enough clients to make up for the load that is out of place: some tens of clients for each unit.
"""

import math
from typing import Any

import numpy as np

from alignsolve.numerics import RealArray
from alignsolve.solvers.common.sample import Sample
from alignsolve.solvers.price.core import CoreRows, moves_of, thinned
from alignsolve.solvers.price.precision import Precision
from alignsolve.solvers.price.pricing import Pass, Windows
from alignsolve.solvers.price.stop import Stop

SMALLEST_CORE = 64
"""Clients of a core, at least, where the window is chosen by their number."""
AFFORDABLE_CORE = 1 << 18
"""A core of this number of clients is never too large for memory."""
MOVES_TO_PAIRS = 8
"""A table is at least as fast as heaps if there are at most this number of pairs for each move."""
SAMPLED = 64
"""Sampling stride of the values that are looked at first, where one of a certain rank is sought."""
TIED_SHARE = 8
"""Where clients only tie, the core may offer fewer moves, by this factor."""


class CoreWindow:
    """The clients that are in the core of one round.

    Attributes
    ----------
    misplaced
        Units of load that are out of place under the pass's prices.
    width
        The window: no two experts' prices may drift further apart.
    windows
        This window, and the window for drops and additions.
    rows
        The core's clients and candidates.
    in_table
        Whether the core is small enough for its moves to be kept in a table.
    thinned
        Whether candidates were left out because there were too many: then only prices that have not drifted at all
        are final.
    """

    def __init__(
        self,
        priced: Pass,
        misplaced: int,
        precision: Precision,
        *,
        wanted: Any,
        core_per_unit: float,
        table_pairs: int,
        most_moves: int,
        most_share: float,
    ) -> None:
        self._priced, self._precision, self._core_per_unit = priced, precision, core_per_unit
        self.misplaced = misplaced
        self.thinned = False
        few = is_small(priced.sample, table_pairs) and not precision.finest
        self.in_table = few and wanted is None and self._clients_wanted >= len(priced.margins) // 2
        if not self.in_table:
            self.rows = self._take(self._choose(wanted, most_share))
            self.in_table = few and moves_of(self.rows) * MOVES_TO_PAIRS > len(priced.margins) * len(priced.prices)
        if self.in_table:
            self.rows = self._take(max(precision.widest_sharp(), wanted or 0))
        else:
            # Exact ties carry no price information: a few of their moves will do.
            tied = not precision.finest and self.width <= (0 if precision.whole else precision.resolution)
            self.rows, self.thinned = thinned(self.rows, most_moves // TIED_SHARE if tied else most_moves)

    def _take(self, width: Any) -> CoreRows:
        """List the clients within a window; none where no load is out of place."""
        self.width = width
        self.windows = Windows(width, self._ground_window()) if self.misplaced else Windows(-1, -1)
        return self._priced.core_rows(self.windows)

    @property
    def _clients_wanted(self) -> int:
        """Clients that make up for the load out of place."""
        return SMALLEST_CORE + int(self._core_per_unit * self.misplaced)

    @property
    def _clients_expected(self) -> int:
        """The clients of a core whose window nothing else decides; never more than half of all."""
        return min(self._clients_wanted, len(self._priced.margins) // 2)

    def _choose(self, wanted: Any, most_share: float) -> Any:
        """Return the window that is wanted, or one that takes in clients enough for the load that is out of place."""
        margins, precision = self._priced.margins, self._precision
        if wanted is None:
            wanted = smallest(margins, self._clients_expected) if self.misplaced else 0
        elif self.misplaced:
            most = max(int(most_share * len(margins)), AFFORDABLE_CORE)
            wanted = min(wanted, smallest(margins, most)) if most < len(margins) else wanted
        least = 0 if precision.whole or precision.finest else precision.resolution
        width = min(max(wanted, least), precision.widest)
        return int(width) if precision.whole else width

    def _ground_window(self) -> Any:
        """Return a window at least as wide for drops and additions, as far as it costs few more clients."""
        margins, widest = self._priced.ground_margins, self._precision.widest
        few = SMALLEST_CORE + int(np.count_nonzero(self._priced.margins <= self.width)) // 8
        if self.width >= widest or few >= len(margins):
            return widest
        nearest = smallest(margins, few)
        return min(max(self.width, type(self.width)(nearest)), widest)

    def wider(self, stop: Stop, left: int, blur: Any) -> Any:
        """Return the window for another try; a thinned core keeps its window, as it has only its prices to give.

        Parameters
        ----------
        stop
            Why the round ended.
        left
            Units of load that are still out of place.
        blur
            Smallest window that makes good the rounding of the quanta: below it nothing would move, however often the
            window is widened.
        """
        if self.thinned and stop is Stop.DONE:
            return self.width
        factor = 3.0
        if stop is Stop.DRIFTED:
            # The load that is left has less far to go: the drift shrinks as the root of its share.
            factor *= min(1.0, math.sqrt(left / self.misplaced))
        width = max(factor * self.width, blur)
        if stop in (Stop.DRIFTED, Stop.STUCK) and left == self.misplaced:  # nothing moved: far too narrow
            width = max(width, smallest(self._priced.margins, self._clients_expected))
        return int(width) if self._precision.whole else width


def smallest(values: RealArray, rank: int) -> Any:
    """Return the value with ``rank`` values below it; among many values, a sample narrows the search."""
    enough = 2 * (rank // SAMPLED + 8)
    if 2 * enough < len(values) // SAMPLED:
        near = values[values <= np.partition(values[::SAMPLED], enough)[enough]]
        values = near if len(near) > rank else values
    return np.partition(values, rank)[rank]


def is_small(sample: Sample, table_pairs: int) -> bool:
    """Whether all clients of a sample fit into a table."""
    return sample.num_clients * sample.problem.num_experts <= table_pairs
