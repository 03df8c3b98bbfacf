"""One round of ``price``: the core of a pricing pass is shared out by shortest paths, and the prices move.

The steps, with the files that take them:

1. :mod:`.window` decides which clients are in the core.
2. :mod:`.precision` decides the quanta in which the core is written.
3. :mod:`.augment` sends units of load from experts with too much to experts with too little.
4. The drift of the prices in quanta becomes new prices; the clients' moves become the core's choices.

The round is final if it is *exact* (quanta were fine enough) and *valid* (no client outside the core wants a change).
"""

from typing import Any

import numpy as np

from alignsolve.numerics import BoolArray, IntArray, RealArray
from alignsolve.runtime.interruptible import late
from alignsolve.solution import SolveError
from alignsolve.solvers.price import augment as ssp
from alignsolve.solvers.price import graph
from alignsolve.solvers.price.arcs import Arcs, offer_all
from alignsolve.solvers.price.core import quantised
from alignsolve.solvers.price.heaps import empty_heaps
from alignsolve.solvers.price.precision import Precision
from alignsolve.solvers.price.side import Side
from alignsolve.solvers.price.slopes import LARGEST, relative_slopes
from alignsolve.solvers.price.stop import Stop
from alignsolve.solvers.price.table import Table, empty_table, hand_back
from alignsolve.solvers.price.window import CoreWindow

STEPS = 2000
"""Searches between two looks at the clock."""


class Round:
    """A round of augmentation on the core of a pricing pass.

    Attributes
    ----------
    precision, core_window
        The precision and the core that it was set up with.
    prices
        The present prices; before it runs, those of the pass.
    stop
        Why it ended.
    searches
        Number of shortest paths searched.
    beyond
        Whether a price moved by the largest number of quanta, so that it may have to move on.
    potentials
        (num_sets,) the present potentials of sets of experts (:mod:`.side`).
    reached
        (nodes,) bool: the nodes that the search that got stuck could reach: the experts, the ground, the sets.
    """

    def __init__(self, precision: Precision, core_window: CoreWindow, side: Side, potentials: RealArray) -> None:
        self.precision, self.core_window, self.side = precision, core_window, side
        self.priced, self.rows = precision.priced, core_window.rows
        self.prices, self.potentials = self.priced.prices, potentials
        self.stop = Stop.LATE
        self.searches = 0
        self.beyond = False
        self.reached: BoolArray = np.zeros(side.nodes, dtype=np.bool_)
        self.quanta = precision.quanta(self.rows, side.slopes)
        group = self.priced.sample.problem.expert_group
        self.core = quantised(self.rows, self.quanta.exponent, precision.step, group)

    def run(self, deadline: float, *, forgiving: bool) -> None:
        """Augment until done or stopped; a forgiving round lets excess go that has nowhere to go."""
        own = self.side.own(self.prices, self.potentials)
        relative = relative_slopes(self.side.slopes, own, self.quanta.exponent, self.precision.step)
        self.graph = self._excess_graph(relative)
        windows = np.array([self.quanta.window(window) for window in self.core_window.windows])
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
            elif code != ssp.PAUSED or late(deadline):
                break
        self.stop = {ssp.DONE: Stop.DONE, ssp.DRIFTED: Stop.DRIFTED, ssp.STUCK: Stop.STUCK}.get(code, Stop.LATE)
        self.searches = int(self.graph.counter[graph.SEARCHES])
        if isinstance(arcs, Table):
            hand_back(self.core.start, self.core.expert, arcs.place, len(self.prices), self.core.held)
        self._move_prices(relative, windows)

    def _excess_graph(self, relative: IntArray) -> graph.Graph:
        """Build the graph: every node's excess over the nearest load with which it is content at its price."""
        side, loads = self.side, self.priced.loads
        content = side.content(relative, loads)
        return graph.graph_of(
            side.excess(content, loads), side.up, content, side.slopes.least, side.slopes.end, relative
        )

    def _arcs(self, windows: IntArray) -> Arcs:
        nodes = len(self.prices) + 1
        arcs = empty_table(self.core, nodes) if self.core_window.in_table else empty_heaps(self.core, nodes)
        offer_all(self.core, arcs, windows)
        return arcs

    def _move_prices(self, relative: IntArray, windows: IntArray) -> None:
        """Add the drift to the prices; where a price has come to a slope of the penalty, it is exactly that."""
        price, step, e = self.graph.price.copy(), self.precision.step, len(self.prices)
        if self.stop is Stop.STUCK:
            price[self.reached] += min(windows[0], LARGEST)
        # Beyond the windows the drift is only a guess, for moves are missing from the core.
        experts, ground = price[:e], price[e]
        drift = np.minimum(experts - experts.min(), min(windows[0], LARGEST)) + experts.min() - ground
        drift = np.clip(drift, -min(windows[1], LARGEST), min(windows[1], LARGEST)) // step * step
        of_sets = (price[e + 1 :] - ground) // step * step
        own, slopes = self.side.own(drift, of_sets), self.side.slopes.slope
        # Beyond the largest number of quanta all slopes look alike: the nearest one counts, and another round follows.
        most = LARGEST // step * step
        far: BoolArray = np.abs(own) >= most
        farthest = max(int(np.abs(experts - ground).max()), int(experts.max() - experts.min()))
        self.beyond = bool(far.any()) or farthest >= most
        at_slope = (relative == own[:, None]) & np.isfinite(slopes)
        first, last = at_slope.argmax(axis=1), at_slope.shape[1] - 1 - at_slope[:, ::-1].argmax(axis=1)
        slope = slopes[np.arange(len(first)), np.where(own < 0, last, first)]
        slope = np.where(np.isfinite(slope), slope, 0.0).astype(self.prices.dtype)
        moved, potentials = self._drifted(self.prices, drift), self._drifted(self.potentials, of_sets)
        if len(potentials):
            self.prices, self.potentials = self.side.moved(
                slope, moved, potentials, at_slope.any(axis=1), far, price - ground
            )
        else:
            self.prices = np.where(at_slope.any(axis=1), slope, moved)

    def _drifted(self, prices: RealArray, drift: IntArray) -> RealArray:
        """Add a drift in quanta to prices."""
        step, exponent = self.precision.step, self.quanta.exponent
        if self.precision.whole:
            moved: RealArray = prices + ((drift // step) << -exponent)
        else:
            moved = prices + np.ldexp(drift / step, -exponent)
        return moved

    @property
    def exact(self) -> bool:
        """Whether quanta were fine enough for the result to be final, and there were enough of them."""
        return self.searches == 0 or (not self.beyond and self.quanta.are_fine_enough(self.rows, self.core))

    @property
    def valid(self) -> bool:
        """Whether no client outside the core can want a change by now."""
        if not self.core_window.thinned:
            return True
        step, quantum, e = self.precision.step, self.quanta.quantum, len(self.prices)
        price, ground = self.graph.price[:e], self.graph.price[e]
        swaps = int(np.ptp(price)) // step * quantum
        falls = int(np.abs(price - ground).max()) // step * quantum
        still = 0 if self.precision.whole else self.precision.resolution
        return bool(swaps <= still and falls <= max(still, self.priced.ground_margins.min()))

    @property
    def feasible(self) -> bool:
        """Whether the loads as they are keep all hard bounds."""
        e = len(self.prices)
        loads = self.side.loads(self.graph.load[:e] + self.graph.excess[:e])
        return bool(((loads >= self.side.slopes.least) & (loads <= self.side.slopes.end[:, -1])).all())

    @property
    def window(self) -> Any:
        """The window that the core was taken by."""
        return self.core_window.width

    @property
    def blur(self) -> Any:
        """A window wide enough to make good what too coarse quanta have missed."""
        return self.quanta.blur(self.prices)

    @property
    def wider(self) -> Any:
        """The window for another try."""
        excess = self.graph.excess
        left = int(np.abs(excess).sum()) - abs(int(excess[len(self.prices)]))
        return self.core_window.wider(self.stop, left, self.blur)

    @property
    def took_everything(self) -> bool:
        """Whether every client and every candidate was in the core: then a wider window has nothing to add."""
        return bool(self.window >= self.precision.widest and not self.core_window.thinned)
