"""The experts' side of a problem: hard and soft load bounds, their penalties, and the box that they set for prices."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from alignsolve.numerics import BoolArray, FloatArray, slack, whole_ceil, whole_floor


@dataclass(frozen=True)
class ExpertBounds:
    """Load bounds of all experts.

    Attributes
    ----------
    capacity, demand
        (num_experts,) float64, in units of load; an unbounded capacity is inf.
    overload, shortfall
        (num_experts,) float64, fitness per unit of load; inf makes the bound hard.
    unit_loads
        Whether loads count clients. Then hard bounds are whole numbers (a capacity of 2.5 is 2), and a soft bound that
        is not whole bends the penalty at the whole numbers beside it.
    optional
        (num_experts,) float64, in units of load: a load is 0 or at least this much; None: any load is allowed. Prices
        know nothing of it: the conjugate is that of all loads between the bounds.
    """

    capacity: FloatArray
    demand: FloatArray
    overload: FloatArray
    shortfall: FloatArray
    unit_loads: bool
    optional: FloatArray | None = None

    @cached_property
    def hard_capacity(self) -> BoolArray:
        """Experts whose finite capacity may not be exceeded."""
        return np.isinf(self.overload) & np.isfinite(self.capacity)

    @cached_property
    def hard_demand(self) -> BoolArray:
        """Experts whose positive demand must be met."""
        return np.isinf(self.shortfall) & (self.demand > 0)

    @cached_property
    def any_soft(self) -> bool:
        """Whether any penalty is finite."""
        return bool(np.isfinite(self.overload).any() or np.isfinite(self.shortfall).any())

    @cached_property
    def most(self) -> FloatArray:
        """The largest load that no hard bound forbids; inf where there is none."""
        hard = np.where(self.hard_capacity, self.capacity, np.inf)
        return whole_floor(hard) if self.unit_loads else hard

    @cached_property
    def least(self) -> FloatArray:
        """The smallest load that no hard bound forbids; 0 where there is none."""
        hard = np.where(self.hard_demand, self.demand, 0.0)
        return whole_ceil(hard) if self.unit_loads else hard

    @cached_property
    def opening(self) -> FloatArray:
        """The smallest load above 0 that an optional demand allows; 0 where it asks nothing that bounds do not ask."""
        if self.optional is None:
            return np.zeros(len(self.capacity))
        fewest = whole_ceil(self.optional) if self.unit_loads else self.optional
        asked = (fewest > self.least) & (fewest > 1.0 if self.unit_loads else fewest > 0.0)
        return np.where(asked, fewest, 0.0)

    def penalty(self, loads: FloatArray) -> FloatArray:
        """Fitness lost by soft bounds at the given loads, (…, num_experts); hard bounds add nothing here."""
        if not self.any_soft:
            return np.zeros(np.broadcast_shapes(np.shape(loads), self.capacity.shape))
        over = np.maximum(loads - self.capacity, 0.0)
        short = np.maximum(self.demand - loads, 0.0)
        soft_overload = np.where(np.isfinite(self.overload), self.overload, 0.0)
        soft_shortfall = np.where(np.isfinite(self.shortfall), self.shortfall, 0.0)
        return soft_overload * over + soft_shortfall * short

    def marginal(self, loads: FloatArray) -> FloatArray:
        """Penalty of one more unit at whole loads, (num_experts,): penalty(loads + 1) − penalty(loads), uncancelled."""
        over = np.clip(loads + 1.0 - self.capacity, 0.0, 1.0)
        short = np.clip(self.demand - loads, 0.0, 1.0)
        soft_overload = np.where(np.isfinite(self.overload), self.overload, 0.0)
        soft_shortfall = np.where(np.isfinite(self.shortfall), self.shortfall, 0.0)
        return soft_overload * over - soft_shortfall * short

    def whole_penalty(self, loads: FloatArray) -> int:
        """The sum of all penalties where loads, bounds and penalties are whole: exact, however large."""
        if not self.any_soft:
            return 0
        with np.errstate(invalid="ignore"):
            over, short = loads - self.capacity, self.demand - loads
        pairs = [*zip(over, self.overload, strict=True), *zip(short, self.shortfall, strict=True)]
        return sum(int(units) * int(cost) for units, cost in pairs if units > 0 and np.isfinite(cost))

    def overloads(self, loads: FloatArray) -> FloatArray:
        """Load above the hard capacities beyond tolerance, (num_experts,): 0 where they hold."""
        excess = loads - self.most
        return np.where(excess > slack(self.most, loads), excess, 0.0)

    def shortfalls(self, loads: FloatArray) -> FloatArray:
        """Load missing to the hard demands beyond tolerance, (num_experts,): 0 where they hold."""
        missing = self.least - loads
        return np.where(missing > slack(self.least, loads), missing, 0.0)

    def half_open(self, loads: FloatArray) -> FloatArray:
        """Load missing to the optional demand of experts that have some load, beyond tolerance; else 0."""
        missing = self.opening - loads
        return np.where((loads > 0.0) & (missing > slack(self.opening, loads)), missing, 0.0)

    def project(self, prices: FloatArray) -> FloatArray:
        """Clip prices to their box: −shortfall ≤ p ≤ overload, and p ≤ 0 where the capacity is unbounded."""
        upper = np.where(np.isfinite(self.capacity), self.overload, 0.0)
        return np.minimum(np.maximum(prices, -self.shortfall), upper)

    @cached_property
    def breakpoints(self) -> FloatArray:
        """Loads at which the penalty bends, (num_bends, num_experts); NaN where there is none or it is forbidden."""
        if not self.any_soft:
            return self._ends
        bends = [self.capacity, self.demand, self.most, self.least]
        whole = (np.floor(self.capacity) == self.capacity) & (np.floor(self.demand) == self.demand)
        if self.unit_loads and not whole.all():
            bends += [np.floor(self.capacity), np.ceil(self.capacity), np.floor(self.demand), np.ceil(self.demand)]
        points = np.stack(bends)
        if self.unit_loads:
            points[points != np.floor(points)] = np.nan
        points[~np.isfinite(points)] = np.nan
        with np.errstate(invalid="ignore"):
            forbidden = points - self.most > slack(self.most, points)
            forbidden |= self.least - points > slack(self.least, points)
        points[forbidden] = np.nan
        return points

    @property
    def _ends(self) -> FloatArray:
        """The largest and the smallest load that the hard bounds allow; NaN where it is infinite, or they cross."""
        points = np.stack([self.most, self.least])
        points[0, np.isinf(self.most)] = np.nan
        if (self.least > self.most).any():
            points[:, self.least - self.most > slack(self.most, self.least)] = np.nan
        return points

    def conjugate(self, prices: FloatArray) -> FloatArray:
        """Max over the loads L that the hard bounds allow of price·L − penalty(L), (num_experts,).

        For projected prices the maximum lies at a bend of the penalty, so that this is the expert's term of the bound:
        p⁺·capacity − p⁻·demand wherever demand ≤ capacity. It is −inf where hard bounds cross.
        """
        return self.conjugate_and_size(prices)[0]

    def conjugate_and_size(self, prices: FloatArray) -> tuple[FloatArray, FloatArray]:
        """The conjugate, and the size of the two numbers whose difference it is: the scale of its rounding."""
        points, columns = self.breakpoints, np.arange(len(prices))
        if not self.any_soft:
            paid = prices * points
            best = np.where(np.isnan(paid), -np.inf, paid)
            row = best.argmax(axis=0)
            return best[row, columns], np.abs(paid[row, columns])
        with np.errstate(invalid="ignore"):
            paid, penalty = prices * points, self.penalty(points)
            worth = np.where(np.isnan(points), -np.inf, paid - penalty)
        best = worth.argmax(axis=0)
        return worth[best, columns], np.abs(paid[best, columns]) + penalty[best, columns]
