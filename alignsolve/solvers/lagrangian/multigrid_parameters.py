"""The parameters of the multigrid search of prices: sizes of its samples, limits of its passes, shares of its time."""

from dataclasses import dataclass


@dataclass(frozen=True)
class MultigridParameters:
    """Parameters of :func:`~alignsolve.solvers.lagrangian.multigrid.prices_by_multigrid`.

    Times are given in passes over all clients, measured as the search goes on.

    Attributes
    ----------
    first_entries
        Pairs of the first sample. A problem of up to twice as many pairs has no smaller sample.
    sample_entries, direct
        Pairs of the sample that stands for all clients. A problem of up to ``direct`` times as many pairs is its own
        sample.
    curve_entries
        Pairs of the sample that shows the curvature: the largest of these that time allows.
    curve_shares, least_curve_shares
        Share of the time for measuring the curvature, for each of ``curve_entries``: of the time that the later passes
        leave, and the least share of all time left. Without a curvature the level method goes on, and portions of
        clients do not make up for one another.
    passes, first_passes, more_passes
        Most passes over a problem that is its own sample, over the first sample, and after a correction.
    rough, settled
        Prices are settled where the bound is expected to fall by no more than this share: in the first sample, and
        later.
    turns
        Most passes over all clients.
    near, nearer
        Share by which the bound is expected to fall: from a smaller sample's prices, and after Newton steps.
    share, least_share
        Share of the time for samples: of the time that the later passes leave, and the least share of all time left.
    reserve
        Time kept for the pass itself and for the repair after it.
    first_reserve
        Time kept before there is any alignment. Choosing in portions takes longer on a busy machine, and an alignment
        that comes too late is worth nothing.
    enough
        No further pass is made for less than this share of the gap asked for, nor for less than ``settled``.
    """

    first_entries: int = 1 << 15
    sample_entries: int = 1 << 18
    direct: int = 4
    curve_entries: tuple[int, ...] = (1 << 17, 1 << 16, 1 << 15, 1 << 14)
    curve_shares: tuple[float, ...] = (0.15, 0.2, 0.4, 0.4)
    least_curve_shares: tuple[float, ...] = (0.0, 0.0, 0.1, 0.2)
    passes: int = 100
    first_passes: int = 60
    more_passes: int = 15
    rough: float = 1e-4
    settled: float = 1e-6
    turns: int = 4
    near: float = 0.002
    nearer: float = 1e-5
    share: float = 0.4
    least_share: float = 0.1
    reserve: float = 3.0
    first_reserve: float = 5.0
    enough: float = 0.1


DEFAULTS = MultigridParameters()
"""The parameters that are used unless others are given."""
