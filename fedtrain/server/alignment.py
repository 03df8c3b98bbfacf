"""Makes the aligner of a run from the policy and the estimators that the configuration names."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from alignsolve import POLICIES, Aligner, Parts, estimate
from alignsolve.numerics import FloatArray, IntArray
from fedtrain.config import AlignmentConfig, ConfigError, RunConfig, functions
from fedtrain.models import ModelSpec, layer_sizes, num_bytes, part_to_download, part_to_upload, skeleton
from fedtrain.simulation.devices import FORWARD_AND_BACKWARD, Fleet, Footprint

Fitness = Callable[[float], Any]


def _router_and_loss(beta: float) -> estimate.SumFitness:
    """Return the mean of the fitness by router and the fitness by loss."""
    return estimate.SumFitness(((0.5, estimate.RouterFitness(beta=beta)), (0.5, estimate.LossFitness(beta=beta))))


FITNESS: dict[str, Fitness] = {
    "loss": lambda beta: estimate.LossFitness(beta=beta),
    "router": lambda beta: estimate.RouterFitness(beta=beta),
    "needed-router": lambda beta: estimate.NeededFitness(estimate.RouterFitness(beta=beta)),
    "gated-router": lambda beta: estimate.GatedFitness(estimate.RouterFitness(beta=beta)),
    "router-and-loss": _router_and_loss,
    "needed-router-and-loss": lambda beta: estimate.NeededFitness(_router_and_loss(beta)),
    "clusters": lambda beta: estimate.ClusterFitness(beta=beta),
    "low-rank": lambda _: estimate.LowRankFitness(),
    "embedding": lambda beta: estimate.EmbeddingFitness(beta=beta),
    "ucb": lambda beta: estimate.OptimisticFitness("ucb", discount=1.0 - beta),
    "thompson": lambda beta: estimate.OptimisticFitness("thompson", discount=1.0 - beta),
    "oort": lambda _: estimate.OortFitness(),
    "updates": lambda beta: estimate.UpdateFitness(beta=beta),
    "revealed": lambda beta: estimate.RevealedFitness(beta=beta),
    "conflict-router": lambda beta: estimate.ConflictFitness(estimate.RouterFitness(beta=beta)),
    "importance": lambda _: estimate.ImportanceFitness(),
}
"""Makers of fitness estimators by name. Each takes ``beta``, the weight of the newest round."""


def make_aligner(
    config: RunConfig,
    spec: ModelSpec,
    fleet: Fleet,
    footprint: Footprint,
    num_examples: IntArray,
    mixture: FloatArray | None = None,
) -> Aligner:
    """Return the configured policy with the configured estimators.

    Parameters
    ----------
    config
        The run's configuration; its ``alignment`` section names the policy and the estimators.
    spec
        The model. If it has several layers, every client needs an expert in each of them.
    fleet
        The clients' devices. The server knows only the values that they declare.
    footprint
        The memory that training takes.
    num_examples
        (num_clients,) training examples. A time budget predicts the duration of a round from them.
    mixture
        (num_clients, num_groups) true shares of each client's examples, for the policy ``oracle`` alone.
    """
    chosen, layers = config.alignment, layer_sizes(spec)
    parts = Parts(
        fitness=FITNESS[chosen.fitness](chosen.newest_weight),
        load=_load(chosen),
        capacity=_capacity(chosen, declared_capacity(fleet, footprint), spec.num_experts),
        budget=_time_budget(config, spec, fleet, num_examples) if chosen.time_budget else None,
        switching=estimate.SwitchingCost(1.0, price=chosen.switching_cost) if chosen.switching_cost else None,
        layers=layers if len(layers) > 1 else None,
        privacy=estimate.Privacy(chosen.epsilon) if np.isfinite(chosen.epsilon) else None,
        domains=mixture,
        solver=chosen.solver,
    )
    policies = POLICIES
    if chosen.goal != "none":
        how: Any = {"goal": chosen.goal, "sees": chosen.sees, "fresh": chosen.fresh_masses}
        policies = {"ours": partial(POLICIES["ours"], **how)}
    aligner: Aligner = functions.call("alignment.policy", chosen.policy, policies, Aligner, parts)
    if aligner.fresh_masses and len(layers) > 1:
        raise ConfigError(
            f"alignment.policy is {chosen.policy!r} with fresh router masses, which a client can compute only where "
            f"the experts have one layer; the model has {len(layers)}"
        )
    return aligner


def declared_capacity(fleet: Fleet, footprint: Footprint) -> estimate.CapacityProfiler:
    """Return the profiler that computes each client's capacity from the memory that its device declares."""
    return estimate.CapacityProfiler(memory=fleet.declared.memory_bytes, **footprint._asdict())


def _load(config: AlignmentConfig) -> estimate.LoadMonitor | estimate.CoverageLoad:
    """Return the configured estimator of load bounds."""
    if config.load == "coverage":
        return estimate.CoverageLoad(estimate.LoadMonitor(tolerance=config.tolerance, catch_up=config.catch_up))
    measure: Any = config.load
    return estimate.LoadMonitor(tolerance=config.tolerance, catch_up=config.catch_up, measure=measure)


def _capacity(
    config: AlignmentConfig, declared: estimate.CapacityProfiler, num_experts: int
) -> estimate.CapacityProfiler | estimate.MemoryLearner:
    """Return the configured estimator of capacity. ``uniform`` gives every client the mean declared capacity."""
    if config.capacity == "learned":
        return estimate.MemoryLearner(declared)
    if config.capacity == "uniform":
        clients = np.arange(len(declared.memory))
        known, _ = declared.capacity(declared.init(len(clients), num_experts), clients)
        return estimate.CapacityProfiler(client_capacity=max(1, round(float(np.minimum(known, num_experts).mean()))))
    return declared


def _time_budget(config: RunConfig, spec: ModelSpec, fleet: Fleet, num_examples: IntArray) -> estimate.TimeBudget:
    """Predict each client's time per expert from the speeds that its device declares."""
    tensors, device = skeleton(spec), fleet.declared
    # The traffic of no expert is the shared traffic; an expert's own traffic is the difference to that of one expert.
    shared, one = (
        num_bytes(part_to_download(tensors, held)) + num_bytes(part_to_upload(tensors, held)) for held in ((), (0,))
    )
    return estimate.TimeBudget(
        deadline=config.clients.deadline,
        expert_seconds=FORWARD_AND_BACKWARD * config.training.epochs * num_examples * device.ms_per_example / 1000.0,
        # The same number of bytes goes down and up: the harmonic mean of both speeds, in bytes per second.
        bytes_per_second=2e6 / 8.0 / (1.0 / device.down_mbps + 1.0 / device.up_mbps),
        expert_bytes=one - shared,
        shared_bytes=shared,
    )
