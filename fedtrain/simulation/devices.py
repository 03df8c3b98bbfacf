"""The clients' devices: what each can do, what it declares, and when it is available.

Devices come from tiers or from a trace file (:mod:`.trace`). The members of a tier may differ by lognormal factors.
Everything is drawn once, before the first round. :mod:`fedtrain.simulation.timing` computes from it how a round goes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from alignsolve.numerics import FloatArray, IntArray
from fedtrain import partial
from fedtrain.config import ConfigError, RunConfig, TierConfig, TrainingConfig
from fedtrain.layouts import detect
from fedtrain.models import Tensors
from fedtrain.randomness import Purpose, generator
from fedtrain.simulation.trace import TraceRow, Windows, read_trace

FORWARD_AND_BACKWARD = 3.0
"""Cost of one training step per example, counted in forward passes."""


@dataclass(frozen=True, eq=False)
class Devices:
    """The abilities of each client's device; every attribute has shape (num_clients,).

    Attributes
    ----------
    memory_bytes
        Memory for training.
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
        The true abilities of the devices, and the abilities that they declare to the server.
    tier, tier_names
        (num_clients,) index of each client's tier, and the names of the tiers.
    availability
        (num_clients,) probability that the client can be reached in a round.
    joins
        (num_clients,) round of arrival, counted from 0, ascending: clients that join late have high indices.
    windows
        Times at which each client is present, as (start, end) in seconds of simulated time. None: the client is always
        present. An empty tuple: all clients are always present.
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
        """Return the number of clients that have joined by a round."""
        return int(np.searchsorted(self.joins, number, side="right"))


class Footprint(NamedTuple):
    """Bytes of memory that training takes: for the shared part, and for each expert."""

    shared_bytes: int
    expert_bytes: int

    def holding(self, num_experts: int) -> int:
        """Return the bytes that training takes on a client with this number of experts."""
        return self.shared_bytes + num_experts * self.expert_bytes


def make_fleet(config: RunConfig, least_bytes: int) -> Fleet:
    """Draw every client's device and its round of arrival.

    Parameters
    ----------
    config
        The run; its ``clients`` section and its seed are read.
    least_bytes
        Memory that training takes on a client with one expert of every layer.

    Raises
    ------
    ConfigError
        If a tier, or every device of the trace, is too small for the shared part and one expert of every layer. If the
        trace has too few clients, or cannot be read as a trace.
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
    """Draw every client's tier, (num_clients,); the number of clients per tier follows the shares, rounded."""
    ends = np.cumsum([tier.share for tier in tiers])
    counts = np.diff(np.round(ends / ends[-1] * num_clients).astype(np.int64), prepend=0)
    return rng.permutation(np.repeat(np.arange(len(tiers)), counts))


def footprint(tensors: Tensors, training: TrainingConfig) -> Footprint:
    """Return the memory that training takes: for the shared part with the whole router, and for one expert.

    Every parameter counts with its gradient and its optimiser state. Activations are not counted. All experts of these
    models have one size, in all layers; so a budget of bytes is a number of experts of all layers together.
    """
    slots = 2 if training.optimizer == "adam" else int(training.momentum > 0.0)
    found = partial.footprint(tensors, detect(tensors), copies=2 + slots, router_rows="all")
    return Footprint(found.shared_bytes, int(found.expert_bytes.max()))


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
    """Draw rounds of arrival, ascending; at least one client is present from the start."""
    clients = config.clients
    late = min(round(clients.late_joiners * clients.num_clients), clients.num_clients - 1)
    joins = np.zeros(clients.num_clients, dtype=np.int64)
    rng = generator(config.seed, Purpose.JOINING)
    joins[clients.num_clients - late :] = np.sort(rng.integers(1, clients.joined_by, size=late, endpoint=True))
    return joins


def _from_trace(config: RunConfig) -> Fleet:
    """Draw clients from a trace without replacement; rounds of arrival come from the trace if it has any."""
    clients = config.clients
    path = Path(clients.trace)
    rows = read_trace(path, period=clients.trace_period)
    if len(rows) < clients.num_clients:
        raise ConfigError(
            f"clients.trace: {path} has {len(rows)} clients, clients.num_clients is {clients.num_clients}"
        )
    # The rows of the clients.
    chosen = generator(config.seed, Purpose.DEVICES).choice(len(rows), size=clients.num_clients, replace=False)
    members = [rows[k] for k in sorted(chosen.tolist())]
    # Rounds of arrival: from the trace, or drawn.
    if any(row.joins is not None for row in members):
        members.sort(key=lambda row: row.joins or 0)
        joins = np.array([row.joins or 0 for row in members], dtype=np.int64)
    else:
        joins = _draw_joins(config)
    if joins[0] > 0:
        raise ConfigError(f"clients.trace: nobody in {path} joins at round 0, so there is no first round")
    # Tiers and time windows.
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
    """Build the fleet from each client's figures, ``members``, multiplied by ``factors``, (4, num_clients)."""
    kib, ms, down, up = np.array(
        [[one.memory_kib, one.ms_per_example, one.down_mbps, one.up_mbps] for one in members], dtype=np.float64
    ).T
    memory = (kib * 1024 * factors[0]).astype(np.int64)
    devices = Devices(memory, ms * factors[1], down * factors[2], up * factors[3])
    return Fleet(devices, devices, tier, tier_names, availability, joins, windows, config.clients.trace_period)
