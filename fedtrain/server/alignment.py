"""The aligner of a run: its policy and its estimators, as the configuration names them."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from alignsolve import (
    POLICIES,
    Aligner,
    CapacityProfiler,
    ClusterFitness,
    CoverageLoad,
    GatedFitness,
    LoadMonitor,
    LossFitness,
    LowRankFitness,
    MemoryLearner,
    NeededFitness,
    OortFitness,
    OptimisticFitness,
    Parts,
    Privacy,
    RouterFitness,
    SumFitness,
    SwitchingCost,
    TimeBudget,
)
from alignsolve.numerics import IntArray
from fedtrain.config import AlignmentConfig, RunConfig
from fedtrain.models import ModelSpec, layer_sizes, num_bytes, part_to_download, part_to_upload, skeleton
from fedtrain.simulation.devices import FORWARD_AND_BACKWARD, Fleet, Footprint

Fitness = Callable[[float], Any]


def _router_and_loss(beta: float) -> SumFitness:
    return SumFitness(((0.5, RouterFitness(beta=beta)), (0.5, LossFitness(beta=beta))))


FITNESS: Mapping[str, Fitness] = MappingProxyType(
    {
        "loss": lambda beta: LossFitness(beta=beta),
        "router": lambda beta: RouterFitness(beta=beta),
        "needed-router": lambda beta: NeededFitness(RouterFitness(beta=beta)),
        "gated-router": lambda beta: GatedFitness(RouterFitness(beta=beta)),
        "router-and-loss": _router_and_loss,
        "needed-router-and-loss": lambda beta: NeededFitness(_router_and_loss(beta)),
        "clusters": lambda beta: ClusterFitness(beta=beta),
        "low-rank": lambda _: LowRankFitness(),
        "ucb": lambda beta: OptimisticFitness("ucb", discount=1.0 - beta),
        "thompson": lambda beta: OptimisticFitness("thompson", discount=1.0 - beta),
        "oort": lambda _: OortFitness(),
    }
)
"""Fitness estimators by name, each made from the weight of the newest round."""


def make_aligner(
    config: RunConfig, spec: ModelSpec, fleet: Fleet, footprint: Footprint, num_examples: IntArray
) -> Aligner:
    """Return the configured policy, made of the configured estimators.

    Parameters
    ----------
    config
        Of the run; its ``alignment`` section names policy and estimators.
    spec
        The model: where it has several layers, every client needs an expert in each.
    fleet
        The clients' devices, of which the server knows what they declare.
    footprint
        Memory that training takes.
    num_examples
        (num_clients,) training examples, from which rounds are foretold if there is a time budget.
    """
    chosen, layers = config.alignment, layer_sizes(spec)
    parts = Parts(
        fitness=FITNESS[chosen.fitness](chosen.newest_weight),
        load=_load(chosen),
        capacity=_capacity(chosen, declared_capacity(fleet, footprint), spec.num_experts),
        budget=_time_budget(config, spec, fleet, num_examples) if chosen.time_budget else None,
        switching=SwitchingCost(1.0, price=chosen.switching_cost) if chosen.switching_cost else None,
        layers=layers if len(layers) > 1 else None,
        privacy=Privacy(chosen.epsilon) if np.isfinite(chosen.epsilon) else None,
        solver=chosen.solver,
    )
    return POLICIES[chosen.policy](parts)


def declared_capacity(fleet: Fleet, footprint: Footprint) -> CapacityProfiler:
    """Return how many experts each client can hold by what its device declares."""
    return CapacityProfiler(memory=fleet.declared.memory_bytes, **footprint._asdict())


def _load(config: AlignmentConfig) -> LoadMonitor | CoverageLoad:
    if config.load == "coverage":
        return CoverageLoad(LoadMonitor(tolerance=config.tolerance, catch_up=config.catch_up))
    measure: Any = config.load
    return LoadMonitor(tolerance=config.tolerance, catch_up=config.catch_up, measure=measure)


def _capacity(
    config: AlignmentConfig, declared: CapacityProfiler, num_experts: int
) -> CapacityProfiler | MemoryLearner:
    if config.capacity == "learned":
        return MemoryLearner(declared)
    if config.capacity == "uniform":
        clients = np.arange(len(declared.memory))
        known, _ = declared.capacity(declared.init(len(clients), num_experts), clients)
        return CapacityProfiler(client_capacity=max(1, round(float(np.minimum(known, num_experts).mean()))))
    return declared


def _time_budget(config: RunConfig, spec: ModelSpec, fleet: Fleet, num_examples: IntArray) -> TimeBudget:
    """Foretell what an expert costs each client by its device's declared speed."""
    tensors, device = skeleton(spec), fleet.declared
    shared, one = (
        num_bytes(part_to_download(tensors, held)) + num_bytes(part_to_upload(tensors, held)) for held in ((), (0,))
    )
    return TimeBudget(
        deadline=config.clients.deadline,
        expert_seconds=FORWARD_AND_BACKWARD * config.training.epochs * num_examples * device.ms_per_example / 1000.0,
        bytes_per_second=2e6 / 8.0 / (1.0 / device.down_mbps + 1.0 / device.up_mbps),
        expert_bytes=one - shared,
        shared_bytes=shared,
    )
