"""The aligner of a run: its policy and its estimators, as the configuration names them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from alignsolve import (
    POLICIES,
    Aligner,
    CapacityProfiler,
    ClusterFitness,
    GatedFitness,
    LoadMonitor,
    LossFitness,
    LowRankFitness,
    NeededFitness,
    OortFitness,
    OptimisticFitness,
    Parts,
    RouterFitness,
    SumFitness,
)
from fedtrain.config import AlignmentConfig
from fedtrain.devices import Fleet
from fedtrain.models import ModelSpec, layer_sizes

Fitness = Callable[[float], Any]

FITNESS: Mapping[str, Fitness] = MappingProxyType(
    {
        "loss": lambda beta: LossFitness(beta=beta),
        "router": lambda beta: RouterFitness(beta=beta),
        "needed-router": lambda beta: NeededFitness(RouterFitness(beta=beta)),
        "gated-router": lambda beta: GatedFitness(RouterFitness(beta=beta)),
        "router-and-loss": lambda beta: SumFitness(((0.5, RouterFitness(beta=beta)), (0.5, LossFitness(beta=beta)))),
        "clusters": lambda beta: ClusterFitness(beta=beta),
        "low-rank": lambda _: LowRankFitness(),
        "ucb": lambda beta: OptimisticFitness("ucb", discount=1.0 - beta),
        "thompson": lambda beta: OptimisticFitness("thompson", discount=1.0 - beta),
        "oort": lambda _: OortFitness(),
    }
)
"""Fitness estimators by name, each made from the weight of the newest round."""


def make_aligner(
    config: AlignmentConfig, spec: ModelSpec, fleet: Fleet, shared_bytes: int, expert_bytes: int
) -> Aligner:
    """Return the configured policy; devices are what they declare to be.

    Parameters
    ----------
    config
        The ``alignment`` section.
    spec
        The model: where it has several layers, every client needs an expert in each.
    fleet
        The clients' devices.
    shared_bytes, expert_bytes
        Memory that training takes: of the shared part, and of each expert.
    """
    layers = layer_sizes(spec)
    parts = Parts(
        fitness=FITNESS[config.fitness](config.newest_weight),
        load=LoadMonitor(tolerance=config.tolerance, catch_up=config.catch_up),
        capacity=declared_capacity(fleet, shared_bytes, expert_bytes),
        layers=layers if len(layers) > 1 else None,
        solver=config.solver,
    )
    return POLICIES[config.policy](parts)


def declared_capacity(fleet: Fleet, shared_bytes: int, expert_bytes: int) -> CapacityProfiler:
    """Return how many experts each client can hold by what its device declares."""
    return CapacityProfiler(memory=fleet.declared.memory_bytes, expert_bytes=expert_bytes, shared_bytes=shared_bytes)
