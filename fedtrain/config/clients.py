"""The ``clients`` section of a configuration: their number, their devices, and their failures."""

import math
from dataclasses import dataclass, field

from fedtrain.config.checks import at_least, check, check_fields, checked, one_of, positive, share


@dataclass(frozen=True)
class TierConfig:
    """A kind of device.

    Attributes
    ----------
    name
        Name of the tier in the report.
    share
        Share of the clients, relative to the other tiers' shares.
    memory_kib
        Memory for training: parameters, gradients and the optimiser's state. The shared part takes some of it. The
        rest decides how many experts fit.
    ms_per_example
        Milliseconds of a forward pass of one example through one expert.
    down_mbps, up_mbps
        Bandwidth in megabits per second.
    spread
        Differences between the devices of a tier. Each of a device's four figures is multiplied by a random factor. The
        factor is lognormal with median 1, and ``spread`` is the standard deviation of its logarithm. 0: no differences.
    availability
        Probability that a device can be reached in a round.
    """

    name: str
    share: float = positive(unit="share")
    memory_kib: float = positive(unit="KiB")
    ms_per_example: float = positive(unit="ms")
    down_mbps: float = positive(unit="Mbit/s")
    up_mbps: float = positive(unit="Mbit/s")
    spread: float = checked(
        0.0, lambda spread: 0.0 <= spread < math.inf, "0 or more, and finite", unit="standard deviation"
    )
    availability: float = checked(1.0, lambda chance: 0.0 < chance <= 1.0, "above 0 and at most 1", unit="probability")

    def __post_init__(self) -> None:
        check_fields(self, "clients.tiers.")


@dataclass(frozen=True)
class ClientsConfig:
    """The clients and their devices.

    Attributes
    ----------
    num_clients
        Number of clients, including those that join late.
    cohort_fraction
        Share of the available clients that is sampled for a round; at least one client is sampled.
    dropout
        Probability that a sampled client's update does not arrive.
    dropout_moment
        Time at which such a client is lost. ``downloaded``: as soon as it has its part of the model. ``any``: at a time
        drawn uniformly from the duration of its round. Bytes sent until then count as traffic.
    deadline
        Seconds of simulated time after which an update is late and is not merged; ``inf``: the server waits for all.
    stragglers
        Probability that a client is slow in a round.
    slowdown
        A slow client takes longer by a factor drawn uniformly between 1 and this number.
    late_joiners
        Share of the clients that join after the first round.
    joined_by
        Late clients join at rounds drawn uniformly from 1 to this number (the first round is 0).
    misreporting
        Share of the clients that declare better devices than they have.
    exaggeration
        Factor by which these clients exaggerate: memory and bandwidth are multiplied by it, compute time is divided by
        it. Such a client runs out of memory if it is assigned more experts than its true memory holds.
    tiers
        Kinds of devices.
    trace
        CSV file of devices (:mod:`fedtrain.simulation.trace`), used instead of the tiers; empty: no trace.
    trace_period
        Seconds after which the times of availability in the trace repeat.
    """

    num_clients: int = at_least(1, 40, unit="clients")
    cohort_fraction: float = checked(1.0, lambda fraction: 0.0 < fraction <= 1.0, "above 0 and at most 1", unit="share")
    dropout: float = checked(0.02, lambda chance: 0.0 <= chance < 1.0, "at least 0 and below 1", unit="probability")
    dropout_moment: str = one_of("downloaded", ("downloaded", "any"))
    deadline: float = checked(math.inf, lambda deadline: deadline > 0.0, "above 0 (inf: none)", unit="s")
    stragglers: float = share(0.0, unit="probability")
    slowdown: float = checked(4.0, lambda factor: 1.0 <= factor < math.inf, "1 or more, and finite", unit="factor")
    late_joiners: float = checked(0.0, lambda late: 0.0 <= late < 1.0, "at least 0 and below 1", unit="share")
    joined_by: int = at_least(1, 10, unit="rounds")
    misreporting: float = share(0.0, unit="share")
    exaggeration: float = checked(2.0, lambda factor: 1.0 <= factor < math.inf, "1 or more, and finite", unit="factor")
    tiers: tuple[TierConfig, ...] = (
        TierConfig("phone", 2.0, 350.0, 2.0, 20.0, 5.0),
        TierConfig("tablet", 2.0, 550.0, 1.0, 50.0, 20.0),
        TierConfig("workstation", 1.0, 950.0, 0.2, 500.0, 200.0),
    )
    trace: str = field(default="", metadata={"unit": "path"})
    trace_period: float = positive(86400.0, unit="s")

    def __post_init__(self) -> None:
        check_fields(self, "clients.")
        check("clients.tiers", [tier.name for tier in self.tiers], len(self.tiers) >= 1, "at least one tier")
