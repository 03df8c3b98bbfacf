"""Duration and end of a client's round on its device: in time, late, or lost.

Time is simulated by FedScale's formula (Lai et al., ICML 2022): three forward passes per trained example, plus traffic
divided by bandwidth. So a run gives the same result on any machine.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from alignsolve import Outcome
from fedtrain.config import ClientsConfig
from fedtrain.randomness import Purpose, generator
from fedtrain.simulation.availability import time_left
from fedtrain.simulation.devices import FORWARD_AND_BACKWARD, Devices, Fleet


@dataclass(frozen=True)
class Work:
    """The work that a client is asked to do in a round.

    Attributes
    ----------
    num_examples
        Examples that the client trains on, counted once per epoch.
    num_active
        Experts that an example passes through.
    memory_bytes
        Memory that the training takes.
    bytes_down, bytes_up
        Size of the download and of the upload.
    """

    num_examples: int
    num_active: int
    memory_bytes: int
    bytes_down: int
    bytes_up: int


@dataclass(frozen=True)
class Forecast:
    """The course of a client's round, known in advance.

    Attributes
    ----------
    outcome
        COMPLETED if an update arrives in time. The inspection of its content decides later whether it is merged.
    seconds
        Time from the start of the download until the client finished or was lost.
    bytes_down, bytes_up
        Bytes that were sent until then.
    """

    outcome: Outcome
    seconds: float
    bytes_down: int
    bytes_up: int


def foresee(
    clients: ClientsConfig, fleet: Fleet, work: Work, *, seed: int, number: int, client: int, clock: float
) -> Forecast:
    """Forecast a client's round; it depends on the device and on random draws, not on the training itself.

    Parameters
    ----------
    clients, fleet
        The rules for dropouts, stragglers and the deadline; the devices.
    work
        The work that the client is asked to do.
    seed, number, client
        The run's seed, the round, counted from 0, and the client's index. Each draw has a generator of its own.
    clock
        Simulated time at which the round begins.
    """
    devices = fleet.actual
    # The duration. ``down`` and ``up`` are the shares of it that the download and the upload take.
    seconds = undisturbed_seconds(devices, client, work)
    down, up = (traffic / seconds for traffic in _traffic_seconds(devices, client, work))
    seconds *= _slowdown(clients, seed, number, client)
    # The outcome, and the share of the duration after which it happens. Each later cause may replace an earlier one.
    share, outcome = 1.0, Outcome.COMPLETED if seconds <= clients.deadline else Outcome.LATE
    if generator(seed, Purpose.DROPOUT, number, client).random() < clients.dropout:
        anywhere = generator(seed, Purpose.DROPOUT_MOMENT, number, client).random()
        share, outcome = (anywhere if clients.dropout_moment == "any" else down), Outcome.DROPPED
    left = time_left(fleet, client, clock)
    if left < share * seconds:
        share, outcome = left / seconds, Outcome.DROPPED
    if outcome is Outcome.DROPPED and share * seconds > clients.deadline:
        outcome = Outcome.LATE  # the server stopped waiting before the client was lost
    if work.memory_bytes > devices.memory_bytes[client] and down <= share:
        share, outcome = down, Outcome.OUT_OF_MEMORY
    return Forecast(
        outcome,
        seconds=float(share * seconds),
        bytes_down=work.bytes_down if share >= down else int(work.bytes_down * share / down),
        bytes_up=work.bytes_up if share >= 1.0 else int(work.bytes_up * max(0.0, share + up - 1.0) / up),
    )


def undisturbed_seconds(devices: Devices, client: int, work: Work) -> float:
    """Seconds from the start of a client's download to the end of its upload, if nothing slows it down."""
    compute = FORWARD_AND_BACKWARD * work.num_examples * work.num_active * devices.ms_per_example[client] / 1000.0
    traffic = work.bytes_down / devices.down_mbps[client] + work.bytes_up / devices.up_mbps[client]
    return float(compute + 8e-6 * traffic)


def simulated_seconds(seconds: Iterable[float], deadline: float) -> float:
    """Return a round's duration: until the last client has finished, at most until the deadline."""
    return min(max(seconds, default=0.0), deadline)


def _traffic_seconds(devices: Devices, client: int, work: Work) -> tuple[float, float]:
    """Return the seconds of the download and of the upload."""
    return 8e-6 * work.bytes_down / devices.down_mbps[client], 8e-6 * work.bytes_up / devices.up_mbps[client]


def _slowdown(clients: ClientsConfig, seed: int, number: int, client: int) -> float:
    rng = generator(seed, Purpose.STRAGGLING, number, client)
    return float(rng.uniform(1.0, clients.slowdown)) if rng.random() < clients.stragglers else 1.0
