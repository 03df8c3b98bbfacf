"""How long a client's part in a round takes on its device, and how it ends: in time, late, or not at all.

Time is simulated, by FedScale's formula: three times a forward pass per example trained, plus traffic over bandwidth
(Lai et al., ICML 2022). So a run is the same on any machine.
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
    """What a client is asked to do in a round.

    Attributes
    ----------
    num_examples
        Examples that it trains on, counted in every epoch.
    num_active
        Experts that an example goes through.
    memory_bytes
        What training takes.
    bytes_down, bytes_up
        Its traffic.
    """

    num_examples: int
    num_active: int
    memory_bytes: int
    bytes_down: int
    bytes_up: int


@dataclass(frozen=True)
class Forecast:
    """How a client's part in a round goes.

    Attributes
    ----------
    outcome
        COMPLETED if an update arrives in time; whether it is merged is decided by what is in it.
    seconds
        From the start of its download until it ended or was lost.
    bytes_down, bytes_up
        What was sent until then.
    """

    outcome: Outcome
    seconds: float
    bytes_down: int
    bytes_up: int


def foresee(
    clients: ClientsConfig, fleet: Fleet, work: Work, *, seed: int, number: int, client: int, clock: float
) -> Forecast:
    """Foresee how a client's part in a round will go: it hangs on its device and on draws, not on what it learns.

    Parameters
    ----------
    clients, fleet
        Dropouts, stragglers, deadline; devices.
    work
        What is asked of it.
    seed, number, client
        The run's seed, the round, counted from 0, and who it is: each draw has a generator of its own.
    clock
        Simulated time at which the round begins.
    """
    devices = fleet.actual
    seconds = undisturbed_seconds(devices, client, work)
    down, up = (traffic / seconds for traffic in _traffic_seconds(devices, client, work))
    seconds *= _slowdown(clients, seed, number, client)
    share, outcome = 1.0, Outcome.COMPLETED if seconds <= clients.deadline else Outcome.LATE
    if generator(seed, Purpose.DROPOUT, number, client).random() < clients.dropout:
        anywhere = generator(seed, Purpose.DROPOUT_MOMENT, number, client).random()
        share, outcome = (anywhere if clients.dropout_moment == "any" else down), Outcome.DROPPED
    left = time_left(fleet, client, clock)
    if left < share * seconds:
        share, outcome = left / seconds, Outcome.DROPPED
    if outcome is Outcome.DROPPED and share * seconds > clients.deadline:
        outcome = Outcome.LATE  # it had been given up before it was lost
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
    """How long a round lasts whose clients took so long: until the last one ended, or until the deadline."""
    return min(max(seconds, default=0.0), deadline)


def _traffic_seconds(devices: Devices, client: int, work: Work) -> tuple[float, float]:
    """Seconds of the download, and of the upload."""
    return 8e-6 * work.bytes_down / devices.down_mbps[client], 8e-6 * work.bytes_up / devices.up_mbps[client]


def _slowdown(clients: ClientsConfig, seed: int, number: int, client: int) -> float:
    rng = generator(seed, Purpose.STRAGGLING, number, client)
    return float(rng.uniform(1.0, clients.slowdown)) if rng.random() < clients.stragglers else 1.0
