"""One round: from a pricing pass to its core in fixed point, augmented; what came of it, and how exact it is."""

import math
import time
from enum import Enum
from functools import cached_property
from typing import Any

import numpy as np

from alignsolve.numerics import EPSILON, MAX_FLOAT, BoolArray, IntArray, RealArray
from alignsolve.solution import SolveError
from alignsolve.solvers.common.sample import Sample
from alignsolve.solvers.price import augment as ssp
from alignsolve.solvers.price import graph
from alignsolve.solvers.price.arcs import Arcs, offer_all
from alignsolve.solvers.price.core import CoreRows, moves_of, quantised, thinned
from alignsolve.solvers.price.heaps import empty_heaps
from alignsolve.solvers.price.pricing import Pass, Windows
from alignsolve.solvers.price.slopes import LARGEST, Slopes, contented, relative_slopes, settle
from alignsolve.solvers.price.table import Table, empty_table, hand_back

STEPS = 2000
"""Searches between two looks at the clock."""
SMALLEST_CORE = 64
AFFORDABLE_CORE = 1 << 18
"""A core of so many clients is never too large for memory."""
MOVES_TO_PAIRS = 8
"""A table is no slower than heaps from so many pairs for each move."""
EVERY = 64
"""One value of so many is looked at first, where one of a certain rank is sought."""
FEW = 8
"""Where clients only tie, the core offers so many times fewer moves."""
RESOLUTION = 2.0**-38
"""What may be lost per pair, relative to the mean |value| chosen: the bound moves by a hundredth of its tolerance."""
FINER = 8
"""Binary digits by which prices are finer than that."""


class Stop(Enum):
    """Why a round ended."""

    DONE = "nothing is left to move"
    DRIFTED = "prices left the window"
    STUCK = "no way to where load is lacking"
    LATE = "the deadline has passed"


class Round:
    """A round of augmentation on the core of a pricing pass.

    Attributes
    ----------
    prices
        What the prices are now; before it runs, those of the pass.
    stop, exact
        Why it ended, and whether its quanta were fine enough for the result to be final.
    thinned
        Whether clients were left out of the core because there were too many: then only prices that have not drifted
        at all are final.
    blur
        A window wide enough to make good what too coarse quanta have missed.
    reached
        (num_experts + 1,) bool: what the search that got stuck could reach, the ground last.
    """

    def __init__(
        self,
        priced: Pass,
        slopes: Slopes,
        *,
        window: Any = None,
        core_per_unit: float,
        table_pairs: int,
        most_moves: int,
        most_share: float,
        polish: bool,
    ) -> None:
        self.priced, self.slopes, self.polish = priced, slopes, polish
        self.core_per_unit = core_per_unit
        self.prices = priced.prices
        self.whole = priced.prices.dtype.kind == "i"
        self.stop = Stop.LATE
        self.searches = 0
        self.reached: BoolArray = np.zeros(len(self.prices) + 1, dtype=np.bool_)
        self.misplaced = misplaced(priced, slopes)
        self.step = int(graph.step_of(len(self.prices) + 1))
        self.thinned = False
        few = is_small(priced.sample, table_pairs) and not polish
        self.in_table = few and window is None and self._clients_wanted >= len(priced.margins) // 2
        if not self.in_table:
            self.rows = self._take(self._choose_window(window, most_share))
            self.in_table = few and moves_of(self.rows) * MOVES_TO_PAIRS > len(priced.margins) * len(self.prices)
        if self.in_table:
            self.rows = self._take(max(self._widest_sharp(), window or 0))
        else:
            # What ties to the last digit has no prices to tell: a few moves will do.
            tied = not polish and self.window <= (0 if self.whole else self.resolution)
            self.rows, self.thinned = thinned(self.rows, most_moves // FEW if tied else most_moves)
        self.exponent = self._choose_exponent()
        self.core = quantised(self.rows, self.exponent, self.step, priced.sample.problem.expert_group)

    @property
    def widest(self) -> Any:
        """The window that takes in every client and every expert."""
        return LARGEST if self.whole else MAX_FLOAT

    def _take(self, window: Any) -> CoreRows:
        self.window = window
        self.windows = Windows(window, self._ground_window()) if self.misplaced else Windows(-1, -1)
        return self.priced.core_rows(self.windows)

    @property
    def _clients_wanted(self) -> int:
        return SMALLEST_CORE + int(self.core_per_unit * self.misplaced)

    @property
    def _clients_expected(self) -> int:
        """How many clients a core has whose window nothing else tells; it is never more than half of them."""
        return min(self._clients_wanted, len(self.priced.margins) // 2)

    def _choose_window(self, wanted: Any, most_share: float) -> Any:
        """Return the window wanted, or a margin within which are clients enough to make up for what is misplaced."""
        margins = self.priced.margins
        if wanted is None:
            wanted = smallest(margins, self._clients_expected) if self.misplaced else 0
        elif self.misplaced:
            most = max(int(most_share * len(margins)), AFFORDABLE_CORE)
            wanted = min(wanted, smallest(margins, most)) if most < len(margins) else wanted
        window = min(max(wanted, 0 if self.whole or self.polish else self.resolution), self.widest)
        return int(window) if self.whole else window

    def _widest_sharp(self) -> Any:
        """Return the widest window within which quanta can be fine enough; a larger loss would blur all others."""
        most = self._room if self.whole else self._room * self.resolution / 4
        return min(most, self.widest) if most else self.widest

    @property
    def _room(self) -> int:
        """How many quanta a worth may have so that no path overflows."""
        return LARGEST // self.step // (len(self.prices) + 2)

    def _ground_window(self) -> Any:
        """Return a window at least as wide for drops and additions, as far as it costs few more clients."""
        margins = self.priced.ground_margins
        few = SMALLEST_CORE + int(np.count_nonzero(self.priced.margins <= self.window)) // 8
        if self.window >= self.widest or few >= len(margins):
            return self.widest
        nearest = smallest(margins, few)
        return min(max(self.window, type(self.window)(nearest)), self.widest)

    def _choose_exponent(self) -> int:
        """Return the finest quanta in which no path can overflow, but not much finer than what tells in the sum."""
        largest = max(float(np.abs(part).max(initial=0)) for part in (self.rows.worth, self.rows.ground))
        if largest == 0.0:
            slopes = self.slopes.slope[np.isfinite(self.slopes.slope)]
            largest = float(np.abs(slopes).max(initial=0.0)) or 1.0
        finest = math.floor(math.log2(self._room)) - math.ceil(math.log2(largest))
        if self.whole:
            return min(0, finest)
        if self.polish or self.resolution == 0.0:
            return finest
        return min(finest, FINER - math.floor(math.log2(self.resolution)))

    @cached_property
    def resolution(self) -> float:
        """What may be lost per pair without telling in the sum."""
        return self.priced.magnitude / max(int(self.priced.loads.sum()), 1) * RESOLUTION

    @property
    def exact(self) -> bool:
        """Whether quanta are fine enough."""
        if self.searches == 0:
            return True
        if self.whole:
            return self.exponent == 0
        rows = self.rows
        moved = np.flatnonzero(self.core.held != rows.held)
        sign = np.where(rows.held[moved], -1, 1)
        nothing = rows.ground[np.searchsorted(rows.start, moved, side="right") - 1]
        value = rows.worth[moved] - nothing + self.priced.prices[rows.expert[moved]]
        pairs = int(self.priced.loads.sum() + sign.sum())
        magnitude = self.priced.magnitude + float((np.abs(value) * sign).sum())
        return self._quantum * max(pairs, 1) <= RESOLUTION * magnitude or self._lossless

    @property
    def _lossless(self) -> bool:
        """Whether all worths are whole quanta."""
        scaled = (np.ldexp(part, self.exponent) for part in (self.rows.ground, self.rows.worth))
        return all(np.array_equal(part, np.rint(part)) for part in scaled)

    @property
    def valid(self) -> bool:
        """Whether nobody outside the core can have come to want a change."""
        if not self.thinned:
            return True
        price = self.graph.price
        swaps = int(np.ptp(price[:-1])) // self.step * self._quantum
        falls = int(np.abs(price[:-1] - price[-1]).max()) // self.step * self._quantum
        still = 0 if self.whole else self.resolution
        return bool(swaps <= still and falls <= max(still, self.priced.ground_margins.min()))

    @property
    def wider(self) -> Any:
        """The window for another try: a thinned core has its prices to give first.

        It is never below a quantum, where nothing moves however often the window is widened.
        """
        if self.thinned and self.stop is Stop.DONE:
            return self.window
        factor = 3.0
        if self.stop is Stop.DRIFTED:
            # What is left to move has less far to go, as the root of its share.
            factor *= min(1.0, math.sqrt(self._left / self.misplaced))
        window = max(factor * self.window, self.blur)
        if self.stop in (Stop.DRIFTED, Stop.STUCK) and self._left == self.misplaced:  # nothing moved: far too narrow
            window = max(window, smallest(self.priced.margins, self._clients_expected))
        return int(window) if self.whole else window

    @property
    def _left(self) -> int:
        """Units of load that are still out of place."""
        return int(np.abs(self.graph.excess[:-1]).sum())

    @property
    def _quantum(self) -> float:
        return math.ldexp(1.0, -self.exponent)

    @property
    def blur(self) -> Any:
        """The window for another round: no price can be off by more than a quantum for each arc of a path."""
        window = 2 * (len(self.prices) + 2) * self._quantum
        return int(window) if self.whole else window + 4 * EPSILON * float(np.abs(self.prices).max())

    def run(self, deadline: float, *, forgiving: bool) -> None:
        """Augment until done or stopped; a forgiving round lets excess go that has nowhere to go."""
        relative = relative_slopes(self.slopes, self.prices, self.exponent, self.step)
        self.content = settle(self.slopes, relative, self.priced.loads)
        excess = self.priced.loads - self.content
        self.graph = graph.graph_of(
            np.append(excess, -excess.sum()), self.content.copy(), self.slopes.least, self.slopes.end, relative
        )
        windows = np.array([self._in_quanta(window) for window in self.windows])
        arcs = self._arcs(windows)
        while True:
            units = self.graph.counter[graph.UNITS]
            code = ssp.augment(self.core, arcs, self.graph, windows, STEPS)
            if code == ssp.PAUSED and self.graph.counter[graph.UNITS] == units:
                raise SolveError("price: searches no longer move anything; please report this problem")
            if code == ssp.FULL:
                arcs = self._arcs(windows)
            elif code == ssp.STUCK:
                self.reached = self.graph.settled > 0
                self.graph.distance[:], self.graph.settled[:] = graph.UNREACHED, 0
                if not forgiving:
                    break
                self.graph.excess[self.graph.counter[graph.CURSOR]] = 0
            elif code != ssp.PAUSED or time.monotonic() > deadline:
                break
        self.stop = {ssp.DONE: Stop.DONE, ssp.DRIFTED: Stop.DRIFTED, ssp.STUCK: Stop.STUCK}.get(code, Stop.LATE)
        self.searches = int(self.graph.counter[graph.SEARCHES])
        if isinstance(arcs, Table):
            hand_back(self.core.start, self.core.expert, arcs.place, len(self.prices), self.core.held)
        self._move_prices(relative, windows)

    def _arcs(self, windows: IntArray) -> Arcs:
        nodes = len(self.prices) + 1
        arcs = empty_table(self.core, nodes) if self.in_table else empty_heaps(self.core, nodes)
        offer_all(self.core, arcs, windows)
        return arcs

    def _in_quanta(self, window: Any) -> int:
        if window >= self.widest:
            return 2 * LARGEST
        scaled = int(window) >> -self.exponent if self.whole else math.floor(math.ldexp(window, self.exponent))
        return min(max(scaled, 0) * self.step, 2 * LARGEST)

    def _move_prices(self, relative: IntArray, windows: IntArray) -> None:
        """Add the drift to the prices; where a price has come to a slope of the penalty, it is exactly that."""
        price = self.graph.price.copy()
        if self.stop is Stop.STUCK:
            price[self.reached] += min(windows[0], LARGEST)
        # Beyond the windows the drift is only a guess, for moves are missing from the core.
        drift = np.minimum(price[:-1] - price[:-1].min(), min(windows[0], LARGEST)) + price[:-1].min() - price[-1]
        drift = np.clip(drift, -min(windows[1], LARGEST), min(windows[1], LARGEST)) // self.step * self.step
        if self.whole:
            moved: RealArray = self.prices + ((drift // self.step) << -self.exponent)
        else:
            moved = self.prices + np.ldexp(drift / self.step, -self.exponent)
        at_slope = relative == drift[:, None]
        where = at_slope.argmax(axis=1)
        slope = self.slopes.slope[np.arange(len(where)), where]
        slope = np.where(np.isfinite(slope), slope, 0.0)
        self.prices = np.where(at_slope.any(axis=1), slope.astype(self.prices.dtype), moved)

    @property
    def feasible(self) -> bool:
        """Whether the loads as they are keep all hard bounds."""
        loads = self.graph.load + self.graph.excess[:-1]
        return bool(((loads >= self.slopes.least) & (loads <= self.slopes.end[:, -1])).all())


def smallest(values: RealArray, rank: int) -> Any:
    """Return the value with so many below it; of many values first only those that a sample lets expect near it."""
    enough = 2 * (rank // EVERY + 8)
    if 2 * enough < len(values) // EVERY:
        near = values[values <= np.partition(values[::EVERY], enough)[enough]]
        values = near if len(near) > rank else values
    return np.partition(values, rank)[rank]


def is_small(sample: Sample, table_pairs: int) -> bool:
    """Whether all clients of a sample fit into a table."""
    return sample.num_clients * sample.problem.num_experts <= table_pairs


def misplaced(priced: Pass, slopes: Slopes) -> int:
    """Return the units of load that are out of place: by so many the experts are content with other loads."""
    return int(np.abs(priced.loads - contented(slopes, priced.prices, priced.loads)).sum())


def grain_of(resolution: float) -> float:
    """Return the power of two below a resolution: rounding to its multiples is exact arithmetic; 0 for no rounding."""
    return math.ldexp(0.5, math.frexp(resolution)[1]) if resolution > 1e-290 else 0.0
