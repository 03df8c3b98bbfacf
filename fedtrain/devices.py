"""The clients' devices: tiers that differ in memory, compute and bandwidth, and what they make of a round.

Time is simulated, by FedScale's formula: three times a forward pass per example trained, plus traffic over bandwidth
(Lai et al., ICML 2022). So a run is the same on any machine.
"""

from collections.abc import Sequence

import numpy as np

from alignsolve.numerics import IntArray
from fedtrain.config import ConfigError, TierConfig, TrainingConfig
from fedtrain.models import Tensors, expert_of, num_bytes

FORWARD_AND_BACKWARD = 3.0
"""Training on an example costs this many forward passes."""


def assign_tiers(rng: np.random.Generator, num_clients: int, tiers: Sequence[TierConfig]) -> IntArray:
    """Draw every client's tier, (num_clients,); the numbers per tier are as near to the shares as can be."""
    ends = np.cumsum([tier.share for tier in tiers])
    counts = np.diff(np.round(ends / ends[-1] * num_clients).astype(np.int64), prepend=0)
    return rng.permutation(np.repeat(np.arange(len(tiers)), counts))


def footprint(tensors: Tensors, training: TrainingConfig) -> tuple[int, int]:
    """Bytes that training takes: of the shared part with the whole router, and of one expert.

    Every parameter is held with its gradient and what the optimiser remembers of it; activations are not counted.
    """
    slots = 2 if training.optimizer == "adam" else int(training.momentum > 0.0)
    copies = 2 + slots
    one_expert = {
        name: value for name, value in tensors.items() if name.startswith("experts.") and expert_of(name) == 0
    }
    shared = {name: value for name, value in tensors.items() if not name.startswith("experts.")}
    return copies * num_bytes(shared), copies * num_bytes(one_expert)


def memory_bytes(tiers: Sequence[TierConfig], shared_bytes: int, expert_bytes: int) -> IntArray:
    """Return every tier's memory in bytes, (num_tiers,).

    Raises
    ------
    ConfigError
        If a tier cannot hold the shared part and one expert: its clients could never train.
    """
    for tier in tiers:
        if tier.memory_kib * 1024 < shared_bytes + expert_bytes:
            need = (shared_bytes + expert_bytes) / 1024
            raise ConfigError(
                f"clients.tiers: {tier.name!r} has memory_kib = {tier.memory_kib:g}, and training one expert beside "
                f"the shared part takes {need:.1f}; raise it, or make the model smaller"
            )
    return np.array([int(tier.memory_kib * 1024) for tier in tiers], dtype=np.int64)


def simulated_seconds(
    tier: TierConfig, *, num_examples: int, num_experts: int, top_k: int, bytes_down: int, bytes_up: int
) -> float:
    """Seconds from the start of a client's download to the end of its upload.

    Parameters
    ----------
    tier
        Its device.
    num_examples
        Examples that it trains on, counted in every epoch.
    num_experts, top_k
        Experts that it holds, and through how many of them an example goes.
    bytes_down, bytes_up
        Its traffic.
    """
    active = min(num_experts, top_k)
    compute = FORWARD_AND_BACKWARD * num_examples * active * tier.ms_per_example / 1000.0
    return compute + 8e-6 * (bytes_down / tier.down_mbps + bytes_up / tier.up_mbps)
