"""The clients' devices: what each can do, what it declares, and when it is available.

Devices come in tiers, whose members may differ by lognormal factors, or from a trace file (:mod:`.trace`).
Everything is drawn once, before the first round; :mod:`fedtrain.simulation.timing` tells what it makes of a round.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain.config import ConfigError, RunConfig, TierConfig, TrainingConfig
from fedtrain.models import Tensors, expert_of, num_bytes
from fedtrain.randomness import Purpose, generator
from fedtrain.simulation.trace import TraceRow, Windows, read_trace

FORWARD_AND_BACKWARD = 3.0
"""Training on an example costs this many forward passes."""


@dataclass(frozen=True, eq=False)
class Devices:
    """What each client's device can do; every attribute has shape (num_clients,).

    Attributes
    ----------
    memory_bytes
        For training.
    ms_per_example
        Milliseconds of a forward pass of one example through one expert.
    down_mbps, up_mbps
        Bandwidth in megabits per second.
    """

    memory_bytes: IntArray
    ms_per_example: FloatArray
    down_mbps: FloatArray
    up_mbps: FloatArray

    def times(self, factor: FloatArray) -> "Devices":
        """Return devices better by a factor per client in every respect."""
        return Devices(
            (self.memory_bytes * factor).astype(np.int64),
            self.ms_per_example / factor,
            self.down_mbps * factor,
            self.up_mbps * factor,
        )


@dataclass(frozen=True, eq=False)
class Fleet:
    """All clients' devices.

    Attributes
    ----------
    actual, declared
        What the devices can do, and what the server is told.
    tier, tier_names
        (num_clients,) each client's place in the names.
    availability
        (num_clients,) probability that the client can be reached in a round.
    joins
        (num_clients,) round of arrival, counted from 0, ascending: who joins late has a high index.
    windows
        Per client the times at which it is there, as (start, end) in seconds of simulated time; None: always. Empty if
        everybody always is.
    period
        Seconds after which the windows repeat.
    """

    actual: Devices
    declared: Devices
    tier: IntArray
    tier_names: tuple[str, ...]
    availability: FloatArray
    joins: IntArray
    windows: tuple[Windows | None, ...]
    period: float

    def num_joined(self, number: int) -> int:
        """How many clients have joined by a round."""
        return int(np.searchsorted(self.joins, number, side="right"))


class Footprint(NamedTuple):
    """Bytes of memory that training takes: of the shared part, and of each expert."""

    shared_bytes: int
    expert_bytes: int

    def holding(self, num_experts: int) -> int:
        """Return the bytes that training takes of a client that holds so many experts."""
        return self.shared_bytes + num_experts * self.expert_bytes


def make_fleet(config: RunConfig, least_bytes: int) -> Fleet:
    """Draw every client's device, and when it joins.

    Parameters
    ----------
    config
        Its ``clients`` section counts, and the seed.
    least_bytes
        Memory that training takes of a client with one expert of every layer.

    Raises
    ------
    ConfigError
        If a tier, or every device of the trace, is too small for the shared part and one expert, if the trace has too
        few clients, or is not what a trace is.
    """
    clients = config.clients
    fleet = _from_trace(config) if clients.trace else _from_tiers(config, least_bytes)
    if not (fleet.actual.memory_bytes >= least_bytes).any():
        raise ConfigError(
            "clients: no device has memory for one expert of every layer beside the shared part, "
            f"{least_bytes / 1024:.1f} KiB; give them more, or make the model smaller"
        )
    rng = generator(config.seed, Purpose.MISREPORT)
    liars = rng.permutation(clients.num_clients) < round(clients.misreporting * clients.num_clients)
    return replace(fleet, declared=fleet.actual.times(np.where(liars, clients.exaggeration, 1.0)))


def assign_tiers(rng: np.random.Generator, num_clients: int, tiers: Sequence[TierConfig]) -> IntArray:
    """Draw every client's tier, (num_clients,); the numbers per tier are as near to the shares as can be."""
    ends = np.cumsum([tier.share for tier in tiers])
    counts = np.diff(np.round(ends / ends[-1] * num_clients).astype(np.int64), prepend=0)
    return rng.permutation(np.repeat(np.arange(len(tiers)), counts))


def footprint(tensors: Tensors, training: TrainingConfig) -> Footprint:
    """Tell what training takes: of the shared part with the whole router, and of one expert.

    Every parameter is held with its gradient and what the optimiser remembers of it; activations are not counted.
    """
    slots = 2 if training.optimizer == "adam" else int(training.momentum > 0.0)
    copies = 2 + slots
    one_expert = {
        name: value for name, value in tensors.items() if name.startswith("experts.") and expert_of(name) == 0
    }
    shared = {name: value for name, value in tensors.items() if not name.startswith("experts.")}
    return Footprint(copies * num_bytes(shared), copies * num_bytes(one_expert))


def _from_tiers(config: RunConfig, least_bytes: int) -> Fleet:
    clients = config.clients
    for tier in clients.tiers:
        if tier.memory_kib * 1024 < least_bytes:
            raise ConfigError(
                f"clients.tiers: {tier.name!r} has memory_kib = {tier.memory_kib:g}, and training one expert beside "
                f"the shared part takes {least_bytes / 1024:.1f}; raise it, or make the model smaller"
            )
    place = assign_tiers(generator(config.seed, Purpose.DEVICES), clients.num_clients, clients.tiers)
    members = [clients.tiers[k] for k in place]
    draws = generator(config.seed, Purpose.SPREAD).standard_normal((4, clients.num_clients))
    factors = np.exp(np.array([tier.spread for tier in members]) * draws)
    availability = np.array([tier.availability for tier in members])
    names = tuple(tier.name for tier in clients.tiers)
    return _fleet(config, members, factors, place, names, availability, _draw_joins(config), ())


def _draw_joins(config: RunConfig) -> IntArray:
    """Rounds of arrival, ascending; at least one client is there from the start."""
    clients = config.clients
    late = min(round(clients.late_joiners * clients.num_clients), clients.num_clients - 1)
    joins = np.zeros(clients.num_clients, dtype=np.int64)
    rng = generator(config.seed, Purpose.JOINING)
    joins[clients.num_clients - late :] = np.sort(rng.integers(1, clients.joined_by, size=late, endpoint=True))
    return joins


def _from_trace(config: RunConfig) -> Fleet:
    """Draw clients from a trace without replacement; its rounds of arrival, if it has any, replace those drawn."""
    clients = config.clients
    path = Path(clients.trace)
    rows = read_trace(path, period=clients.trace_period)
    if len(rows) < clients.num_clients:
        raise ConfigError(
            f"clients.trace: {path} has {len(rows)} clients, clients.num_clients is {clients.num_clients}"
        )
    chosen = generator(config.seed, Purpose.DEVICES).choice(len(rows), size=clients.num_clients, replace=False)
    members = [rows[k] for k in sorted(chosen.tolist())]
    if any(row.joins is not None for row in members):
        members.sort(key=lambda row: row.joins or 0)
        joins = np.array([row.joins or 0 for row in members], dtype=np.int64)
    else:
        joins = _draw_joins(config)
    if joins[0] > 0:
        raise ConfigError(f"clients.trace: nobody in {path} joins at round 0, so there is no first round")
    names = tuple(sorted({row.tier for row in members}))
    tier = np.array([names.index(row.tier) for row in members], dtype=np.int64)
    windows = tuple(row.windows for row in members) if any(row.windows for row in members) else ()
    always = np.ones(len(members))
    return _fleet(config, members, np.ones((4, len(members))), tier, names, always, joins, windows)


def _fleet(
    config: RunConfig,
    members: Sequence[TierConfig | TraceRow],
    factors: FloatArray,
    tier: IntArray,
    tier_names: tuple[str, ...],
    availability: FloatArray,
    joins: IntArray,
    windows: tuple[Windows | None, ...],
) -> Fleet:
    """Put a fleet together; ``members`` are each client's figures, and ``factors`` multiply them, (4, num_clients)."""
    kib, ms, down, up = np.array(
        [[one.memory_kib, one.ms_per_example, one.down_mbps, one.up_mbps] for one in members], dtype=np.float64
    ).T
    memory = (kib * 1024 * factors[0]).astype(np.int64)
    devices = Devices(memory, ms * factors[1], down * factors[2], up * factors[3])
    return Fleet(devices, devices, tier, tier_names, availability, joins, windows, config.clients.trace_period)
