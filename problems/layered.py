"""All MoE layers of a public language model: far more experts than clients, and one memory of a client for all layers.

A client must have one expert of each layer, or it cannot run a forward pass. Its memory decides how many experts it has
in all layers together. Clients are mixtures of domains of text, and each domain prefers some experts of each layer.

The skew is fitted to real routing. The share of a domain's tokens that an expert receives is drawn as a lognormal. Its
logarithm is a part that all domains share plus a part of the domain's own. In real counts the two parts have these
standard deviations, by the variances within and between the experts of a layer. The real tails are somewhat heavier.

===============================  =================  =================  =================
model                            layer 0            layer 7            layer 15
===============================  =================  =================  =================
OLMoE-1B-7B (6 domains)          0.15 and 0.51      0.34 and 0.84      0.44 and 1.20
Mixtral-8x7B (5 domains)         0.09 and 0.08      0.02 and 0.09      0.22 and 0.14
===============================  =================  =================  =================

They were computed from the expert counts of allenai/OLMoE (Apache-2.0), commit 357454f4, in
``scripts/routing_output/{olmoe,mistral}/expert_counts``. No file is read here. Models without such counts are drawn
with the skew of OLMoE.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from problems.fitness import spread_out
from problems.moe_models import MODELS
from problems.phones import Phones, draw_phones
from problems.planted import around_mean, deal, loads

DOMAINS = 6
CONCENTRATION = 0.5
"""Of the Dirichlet distribution of a client's domains; chosen so that most clients have one or two main domains."""
NOISE = 0.1
"""Standard deviation of the logarithm of a client's own deviation from its mixture; chosen."""
SLACK = 1.25
"""A client has at most this many times the memory and the seconds that its planted experts take; chosen."""
EIGHTHS = (4, 8)
"""Least and largest width of a layer's experts in eighths of the model's, where layers differ; chosen."""


@dataclass(frozen=True)
class Skew:
    """Standard deviations of the logarithms of shares, in the first and in the last layer; linear between them.

    Attributes
    ----------
    shared
        Of the part that all domains share.
    own
        Of the part of each domain's own.
    """

    shared: tuple[float, float]
    own: tuple[float, float]


OLMOE = Skew((0.15, 0.44), (0.51, 1.20))
SKEWS = {"mixtral-8x7b": Skew((0.14, 0.14), (0.11, 0.11))}
"""Skews of models other than OLMoE; that of Mixtral is the root mean square of its three layers."""


def layered(
    rng: np.random.Generator,
    *,
    num_clients: int,
    num_experts: int | None = None,
    num_layers: int | None = None,
    model: str = "qwen3-30b-a3b",
    totals: Literal["experts", "bytes"] = "experts",
    mixed: bool = False,
    seconds: bool = False,
    expert_demands: bool = False,
    span: bool = False,
) -> AlignmentProblem:
    """One expert of each layer for every client, and one total over all layers, by the memory of phones.

    A phone holds one expert of every layer for each GB that it has, and up to a quarter more.

    Parameters
    ----------
    rng
        Source of randomness.
    num_clients
        Number of clients.
    num_experts
        Number of experts of all layers together; None: as many as the model has.
    num_layers
        Number of layers; None: the model's, or fewer where ``num_experts`` is smaller than the model's. Then layers and
        experts per layer shrink in the same proportion.
    model
        A name in ``problems.moe_models.MODELS``.
    totals
        "experts": a client's memory is a number of experts, ``client_capacity``. "bytes": it is ``client_budget`` in
        bytes, and experts have costs in bytes. With experts of one size both are the same problem.
    mixed
        Whether layers have experts of different widths, half the model's up to all of it, as after pruning by layer.
        It needs ``totals="bytes"``.
    seconds
        Whether there is a budget of seconds too, for moving an expert over the client's link and training it. Training
        takes time in proportion to the expert's share of the client's tokens.
    expert_demands
        Whether experts have demands, 15 % below their layer's mean load. Capacities are 15 % above it, always.
    span
        Whether the fitness is stretched over twelve decades, 1e-6 to 1e6.

    Raises
    ------
    ValueError
        If the model is unknown, or experts of different sizes are to be counted.
    """
    if model not in MODELS:
        raise ValueError(f"there is no model {model!r}; there are: {', '.join(MODELS)}")
    if mixed and totals != "bytes":
        raise ValueError('experts of different sizes cannot be counted; mixed=True needs totals="bytes"')
    layer = _layer_of_each_expert(model, num_experts, num_layers)
    sizes = np.bincount(layer)
    fitness = _fitness(rng, num_clients, layer, SKEWS.get(model, OLMOE))
    phones = draw_phones(rng, num_clients)
    planted = _plant(rng, phones, sizes)
    demand, most = _bounds(planted, sizes)
    expert_bytes = MODELS[model].expert_bytes * (_eighths(rng, len(sizes)) / 8.0 if mixed else np.ones(len(sizes)))
    memory = phones.gigabytes * expert_bytes.sum() * rng.uniform(1.0, SLACK, size=num_clients)
    resources = [(np.floor(memory), expert_bytes[layer])] if totals == "bytes" else []
    if seconds:
        resources.append(_seconds(rng, phones, expert_bytes[layer], fitness, planted))
    budget, expert_cost = _stacked(resources, fitness.shape)
    return AlignmentProblem(
        spread_out(fitness) if span else fitness,
        client_capacity=len(layer) if totals == "bytes" else np.floor(memory / expert_bytes[0]).astype(np.int64),
        expert_capacity=most,
        expert_demand=demand if expert_demands else 0,
        expert_group=layer,
        group_capacity=sizes,
        group_demand=1,
        client_budget=budget,
        expert_cost=expert_cost,
    )


def layered_bytes(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Draw ``layered`` with totals in bytes and demands of experts; all experts are of one size."""
    return layered(rng, num_clients=num_clients, num_experts=num_experts, totals="bytes", expert_demands=True)


def layered_mixed(rng: np.random.Generator, *, num_clients: int, num_experts: int) -> AlignmentProblem:
    """Draw ``layered`` with sizes that differ by layer, budgets of bytes and seconds, and demands of experts."""
    return layered(
        rng,
        num_clients=num_clients,
        num_experts=num_experts,
        totals="bytes",
        mixed=True,
        seconds=True,
        expert_demands=True,
    )


def _layer_of_each_expert(model: str, num_experts: int | None, num_layers: int | None) -> IntArray:
    """Return the layer of each expert, (num_experts,); the sizes of two layers differ by at most one."""
    shape = MODELS[model]
    if num_experts is None:
        num_experts = shape.num_experts * (shape.num_layers if num_layers is None else num_layers)
    if num_layers is None:
        num_layers = round((num_experts * shape.num_layers / shape.num_experts) ** 0.5)
    num_layers = min(max(num_layers, 1), num_experts)
    return np.arange(num_experts) * num_layers // num_experts


def _fitness(rng: np.random.Generator, num_clients: int, layer: IntArray, skew: Skew) -> FloatArray:
    """Return the clients' expected tokens per expert, relative to the layer's mean, (num_clients, num_experts)."""
    sizes = np.bincount(layer)
    starts = np.cumsum(sizes) - sizes
    depth = layer / max(len(sizes) - 1, 1)
    shared, own = (first + (last - first) * depth for first, last in (skew.shared, skew.own))
    share = np.exp(shared * rng.normal(size=len(layer)) + own * rng.normal(size=(DOMAINS, len(layer))))
    share *= (sizes / np.add.reduceat(share, starts, axis=1))[:, layer]
    mixture = rng.dirichlet(np.full(DOMAINS, CONCENTRATION), size=num_clients)
    fitness: FloatArray = rng.lognormal(0.0, NOISE, size=(num_clients, len(layer)))
    fitness *= mixture @ share
    return fitness


def _eighths(rng: np.random.Generator, num_layers: int) -> FloatArray:
    """Draw the widths of the layers' experts in eighths of the model's."""
    least, most = EIGHTHS
    return rng.integers(least, most + 1, size=num_layers).astype(np.float64)


def _plant(rng: np.random.Generator, phones: Phones, sizes: IntArray) -> Alignment:
    """Deal the experts of each layer: one for each whole GB of a client."""
    number = np.floor(phones.gigabytes).astype(np.int64)
    clients, experts = [], []
    for size, start in zip(sizes, np.cumsum(sizes) - sizes, strict=True):
        dealt = deal(rng, np.minimum(number, size), size)
        clients.append(dealt.clients())
        experts.append(dealt.experts + start)
    return Alignment.from_pairs(np.concatenate(clients), np.concatenate(experts), len(number))


def _bounds(planted: Alignment, sizes: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return demands and capacities of all experts, around the mean load of their layers."""
    by_layer = np.split(loads(planted, sizes.sum()), np.cumsum(sizes)[:-1])
    demand, most = zip(*map(around_mean, by_layer), strict=True)
    return np.concatenate(demand), np.concatenate(most)


def _seconds(
    rng: np.random.Generator, phones: Phones, expert_bytes: FloatArray, fitness: FloatArray, planted: Alignment
) -> tuple[FloatArray, FloatArray]:
    """Return each client's budget of seconds, and the seconds that an expert takes, (num_clients, num_experts).

    On a typical phone and link, a mean expert takes as long to train as to move; this ratio is chosen.
    """
    moving = np.multiply.outer(phones.seconds_per_byte, expert_bytes)
    typical = np.median(phones.seconds_per_byte) * expert_bytes
    training = fitness * typical * phones.slowness[:, None]
    cost: FloatArray = training + moving
    spent = np.add.reduceat(cost[planted.clients(), planted.experts], planted.indptr[:-1])
    return spent * rng.uniform(1.0, SLACK, size=len(spent)), cost


def _stacked(
    resources: list[tuple[FloatArray, FloatArray]], shape: tuple[int, ...]
) -> tuple[FloatArray | None, FloatArray | None]:
    """Return ``client_budget`` and ``expert_cost`` of any number of resources; costs are copied only for several."""
    if not resources:
        return None, None
    if len(resources) == 1:
        return resources[0]
    budgets, costs = zip(*resources, strict=True)
    return np.stack(budgets, axis=1), np.stack([np.broadcast_to(cost, shape) for cost in costs], axis=2)
