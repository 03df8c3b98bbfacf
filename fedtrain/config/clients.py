"""The ``clients`` section of a configuration: how many there are, their devices, and all that may befall them."""

import math
from dataclasses import dataclass

from fedtrain.config.checks import check, one_of, positive, share


@dataclass(frozen=True)
class TierConfig:
    """A kind of device.

    Attributes
    ----------
    name
        What the report calls it.
    share
        Share of the clients, relative to the other tiers' shares.
    memory_kib
        Memory for training: parameters, gradients and the optimiser's state. What the shared part leaves of it
        decides how many experts fit.
    ms_per_example
        Milliseconds of a forward pass of one example through one expert.
    down_mbps, up_mbps
        Bandwidth in megabits per second.
    spread
        Devices of a tier differ: each of its four figures is multiplied by a factor of its own, lognormal with median 1
        and this standard deviation of the logarithm. 0: all alike.
    availability
        Probability that a device can be reached in a round.
    """

    name: str
    share: float
    memory_kib: float
    ms_per_example: float
    down_mbps: float
    up_mbps: float
    spread: float = 0.0
    availability: float = 1.0

    def __post_init__(self) -> None:
        for field in ("share", "memory_kib", "ms_per_example", "down_mbps", "up_mbps"):
            positive(f"clients.tiers.{field}", getattr(self, field))
        check("clients.tiers.spread", self.spread, 0.0 <= self.spread < math.inf, "0 or more, and finite")
        check("clients.tiers.availability", self.availability, 0.0 < self.availability <= 1.0, "above 0 and at most 1")


@dataclass(frozen=True)
class ClientsConfig:
    """The clients and their devices.

    Attributes
    ----------
    num_clients
        How many there are, those who join late included.
    cohort_fraction
        Share of those who can be reached that is sampled for a round, at least one.
    dropout
        Probability that a sampled client's update does not arrive.
    dropout_moment
        When such a client is lost: ``downloaded``, as soon as it has its part of the model; ``any``, at a moment drawn
        evenly from the time that its round would take. What was sent until then counts as traffic.
    deadline
        Seconds of simulated time after which an update is late and not merged; ``inf``: the server waits for all.
    stragglers
        Probability that a client is slow in a round.
    slowdown
        A slow client takes longer by a factor drawn evenly between 1 and this.
    late_joiners
        Share of the clients that are not there from the start.
    joined_by
        They join at rounds drawn evenly from 1 to this (the first round is 0).
    misreporting
        Share of the clients that claim better devices than they have.
    exaggeration
        By this factor: memory and bandwidth times it, compute time divided by it. Given more experts than its true
        memory holds, such a client fails, out of memory.
    tiers
        Kinds of devices.
    trace
        A CSV file of devices (:mod:`fedtrain.simulation.trace`), instead of the tiers; empty: none.
    trace_period
        Seconds after which the trace's times of availability repeat.
    """

    num_clients: int = 40
    cohort_fraction: float = 1.0
    dropout: float = 0.02
    dropout_moment: str = "downloaded"
    deadline: float = math.inf
    stragglers: float = 0.0
    slowdown: float = 4.0
    late_joiners: float = 0.0
    joined_by: int = 10
    misreporting: float = 0.0
    exaggeration: float = 2.0
    tiers: tuple[TierConfig, ...] = (
        TierConfig("phone", 2.0, 350.0, 2.0, 20.0, 5.0),
        TierConfig("tablet", 2.0, 550.0, 1.0, 50.0, 20.0),
        TierConfig("workstation", 1.0, 950.0, 0.2, 500.0, 200.0),
    )
    trace: str = ""
    trace_period: float = 86400.0

    def __post_init__(self) -> None:
        check("clients.num_clients", self.num_clients, self.num_clients >= 1, "1 or more")
        fraction = self.cohort_fraction
        check("clients.cohort_fraction", fraction, 0.0 < fraction <= 1.0, "above 0 and at most 1")
        check("clients.dropout", self.dropout, 0.0 <= self.dropout < 1.0, "at least 0 and below 1")
        one_of("clients.dropout_moment", self.dropout_moment, ("downloaded", "any"))
        check("clients.deadline", self.deadline, self.deadline > 0.0, "above 0 (inf: none)")
        share("clients.stragglers", self.stragglers)
        check("clients.slowdown", self.slowdown, 1.0 <= self.slowdown < math.inf, "1 or more, and finite")
        check("clients.late_joiners", self.late_joiners, 0.0 <= self.late_joiners < 1.0, "at least 0 and below 1")
        check("clients.joined_by", self.joined_by, self.joined_by >= 1, "1 or more")
        share("clients.misreporting", self.misreporting)
        factor = self.exaggeration
        check("clients.exaggeration", factor, 1.0 <= factor < math.inf, "1 or more, and finite")
        check("clients.tiers", [tier.name for tier in self.tiers], len(self.tiers) >= 1, "at least one tier")
        positive("clients.trace_period", self.trace_period)
