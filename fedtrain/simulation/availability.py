"""Which clients are there: those that have joined, are within their hours, and can be reached."""

from bisect import bisect_right

import numpy as np

from alignsolve.numerics import BoolArray
from fedtrain.randomness import Purpose, generator
from fedtrain.simulation.devices import Fleet
from fedtrain.simulation.trace import Windows

ROUNDING = 1e-6
"""Seconds by which a sum of simulated times may be off."""


def opening(fleet: Fleet, number: int, clock: float) -> float:
    """Return the earliest time from ``clock`` on at which one of those who joined by a round is within its windows."""
    if not fleet.windows:
        return clock
    return min(_next_start(fleet, client, clock) for client in range(fleet.num_joined(number)))


def present(fleet: Fleet, seed: int, number: int, clock: float) -> BoolArray:
    """Which clients have joined, are within their windows and can be reached, (num_clients,); at least one.

    If no draw reaches anybody, the client that came nearest to it is waited for.

    Parameters
    ----------
    fleet
        The clients' devices.
    seed, number
        The run's seed, and the round, counted from 0.
    clock
        Simulated seconds since the run began, at which somebody is there (:func:`opening`).
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
    """Seconds until a client that is there leaves; inf if it stays."""
    windows = fleet.windows[client] if fleet.windows else None
    if windows is None or windows == ((0.0, fleet.period),):
        return np.inf
    now = _time_of_period(fleet, clock)
    end = windows[_current(windows, now)][1]
    if end == fleet.period and windows[0][0] == 0.0:
        return end - now + windows[0][1]  # what ends with the period goes on in the next one
    return end - now


def _next_start(fleet: Fleet, client: int, clock: float) -> float:
    """When the client is there, from ``clock`` on: ``clock`` itself if it is there now."""
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
    """Seconds since the period began; a moment later, so that who waited until a start, but for rounding, is there."""
    return (clock + ROUNDING) % fleet.period


def _current(windows: Windows, now: float) -> int:
    """Index of the last window that has begun, or 0."""
    return max(bisect_right([start for start, _ in windows], now) - 1, 0)
