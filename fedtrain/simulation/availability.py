"""Availability: a client is present if it has joined, is within its time windows, and can be reached."""

from bisect import bisect_right

import numpy as np

from alignsolve.numerics import BoolArray
from fedtrain.randomness import Purpose, generator
from fedtrain.simulation.devices import Fleet
from fedtrain.simulation.trace import Windows

ROUNDING = 1e-6
"""Seconds by which a sum of simulated times may be wrong through rounding."""


def opening(fleet: Fleet, number: int, clock: float) -> float:
    """Return the earliest time, from ``clock`` on, at which a client that has joined by a round is in a window."""
    if not fleet.windows:
        return clock
    return min(_next_start(fleet, client, clock) for client in range(fleet.num_joined(number)))


def present(fleet: Fleet, seed: int, number: int, clock: float) -> BoolArray:
    """Draw the clients that are present in a round, (num_clients,); at least one.

    A client is present if it has joined, is within its windows and can be reached. If the draws reach no client, the
    client whose draw was nearest to success is present.

    Parameters
    ----------
    fleet
        The clients' devices.
    seed, number
        The run's seed, and the round, counted from 0.
    clock
        Simulated seconds since the run began. At least one client must be within its windows (:func:`opening`).
    """
    count = len(fleet.joins)
    within = np.arange(count) < fleet.num_joined(number)
    if fleet.windows:
        within &= [_next_start(fleet, client, clock) == clock for client in range(count)]
    draws = generator(seed, Purpose.AVAILABILITY, number).random(count)
    reached = within & (draws < fleet.availability)
    if not reached.any():
        reached[np.where(within, draws / fleet.availability, np.inf).argmin()] = True
    return reached


def time_left(fleet: Fleet, client: int, clock: float) -> float:
    """Seconds until a client that is present leaves; inf if it stays."""
    windows = fleet.windows[client] if fleet.windows else None
    if windows is None or windows == ((0.0, fleet.period),):
        return np.inf
    now = _time_of_period(fleet, clock)
    end = windows[_current(windows, now)][1]
    if end == fleet.period and windows[0][0] == 0.0:
        return end - now + windows[0][1]  # the window continues at the start of the next period
    return end - now


def _next_start(fleet: Fleet, client: int, clock: float) -> float:
    """The first time, from ``clock`` on, at which the client is within its windows; ``clock`` itself if it is now."""
    windows = fleet.windows[client]
    if windows is None:
        return clock
    now = _time_of_period(fleet, clock)
    start, end = windows[_current(windows, now)]
    if start <= now < end:
        return clock
    later = [start for start, _ in windows if start > now]
    return clock + (later[0] if later else fleet.period + windows[0][0]) - now + ROUNDING


def _time_of_period(fleet: Fleet, clock: float) -> float:
    """Seconds since the period began, plus a tiny amount: a client that waited for a window's start must be in it."""
    return (clock + ROUNDING) % fleet.period


def _current(windows: Windows, now: float) -> int:
    """Index of the last window that has begun, or 0."""
    return max(bisect_right([start for start, _ in windows], now) - 1, 0)
