"""MoE-Align: alignments of measured routing with measured phones, or with their drawn stand-ins.

Clients are mixtures of domains of text. A client's fitness for an expert is the number of its tokens that are routed
there, relative to the mean of the layer. Half of a phone's memory holds experts. Phones that cannot hold one expert of
each layer are not in the cohort. Experts have demands and capacities 15 % around the mean load of their layer.

A model comes in two forms. "measured": the three layers whose routing was counted, as they are. "whole": all layers.
A layer that was not counted, or that belongs to another model, draws its experts from those of the nearest counted
layer, all domains of an expert together. So the tails of the shares and their correlation are kept.

The devices decide the kind of the problem:

==========  ==========================================================================================
devices     what limits a client
==========  ==========================================================================================
count       memory, as a number of experts
cached      the same; experts that it had in the last round are cheaper, and bounds of experts are soft
bytes       memory in bytes; some layers have half or twice as many bits per weight as the others
memory      memory in bytes: weights, and activations of the tokens that the client sends to the expert
seconds     memory in bytes as in ``bytes``, and seconds to move experts and train them before the deadline
work        memory as a number; the load of an expert is the number of batches that its clients can train
==========  ==========================================================================================

The first two are of the cardinality class, the others of the general class. All numbers are rounded, fitness to 1e-6,
memory to bytes and seconds to milliseconds: equal instances are then equal to the last bit on every machine.
"""

from collections.abc import Callable, Collection
from typing import Any, Literal, get_args

import numpy as np

from alignsolve import Alignment, AlignmentProblem
from alignsolve.numerics import FloatArray, IntArray
from problems.moe_models import MODELS, MoeModel
from problems.phones import Phones
from problems.planted import around_mean, deal, loads
from problems.real_inputs import LAYERS, MEASURED, Inputs

Devices = Literal["count", "cached", "bytes", "memory", "seconds", "work"]
Form = Literal["measured", "whole"]
ROUTED_LIKE = "olmoe-1b-7b"
"""The model whose counts stand for those of models without counts."""
BITS = {"mixtral-8x7b": 4, "gpt-oss-120b": 4, "deepseek-v3": 4, "kimi-k2": 4}
"""Bits of a weight on a phone, for models whose experts are too large for phones in the usual 16."""
MEMORY = 0.5
"""Share of a phone's memory that holds experts; chosen."""
GIGABYTE = 2.0**30
WIDTHS = (0.5, 1.0, 1.0, 2.0)
"""Bits of a layer's weights, relative to the model's on a phone, where layers differ; chosen."""
TOKENS = 2048
"""Tokens of a batch, whose activations are in memory; chosen."""
EXPERTS_IN_TIME = 6
"""A typical phone with a typical link moves and trains so many experts of each layer before the deadline; chosen."""
PLANTED = 0.9
"""Share of the mean expert's cost that an alignment may take from a budget, when one is planted; chosen."""
NOISE = 0.1
"""Standard deviation of the logarithm of a client's own deviation from its mixture; chosen."""
BATCHES = 10
"""Batches that a typical phone trains in a round; chosen."""
PENALTY = 0.5
"""What a missing or an additional client costs a soft bound; the mean fitness is 1; chosen."""


def _single(rng: np.random.Generator, num_clients: int, num_domains: int) -> FloatArray:
    """Give each client one domain."""
    mixture: FloatArray = np.eye(num_domains)[rng.integers(num_domains, size=num_clients)]
    return mixture


COHORTS: dict[str, Callable[[np.random.Generator, int, int], FloatArray]] = {
    "single": _single,
    "mixture": lambda rng, number, domains: rng.dirichlet(np.full(domains, 0.5), size=number),
    "alike": lambda rng, number, domains: rng.dirichlet(np.full(domains, 10.0), size=number),
}
"""How clients mix domains: one domain each, one or two main ones, or nearly the same mixture for all."""


def real(
    rng: np.random.Generator,
    *,
    num_clients: int,
    num_experts: int | None = None,
    inputs: Inputs,
    model: str = "olmoe-1b-7b",
    form: Form = "measured",
    cohort: str = "mixture",
    devices: Devices = "count",
) -> AlignmentProblem:
    """Make an instance of MoE-Align.

    Parameters
    ----------
    rng
        Source of randomness.
    num_clients
        Number of clients in the cohort.
    num_experts
        Number of experts of all layers together; None: as many as the form has. With fewer, layers and experts per
        layer shrink.
    inputs
        Measured or drawn inputs, of :func:`problems.real_inputs.read_inputs`.
    model
        A name in ``problems.moe_models.MODELS``; for the form "measured" one in ``problems.real_inputs.MEASURED``.
    form
        "measured" or "whole".
    cohort
        A name in ``COHORTS``.
    devices
        "count", "cached", "bytes", "memory", "seconds" or "work".

    Raises
    ------
    ValueError
        If a name is unknown, or the model was not measured.
    """
    known: dict[str, Collection[str]] = {"model": MEASURED if form == "measured" else MODELS, "cohort": COHORTS}
    known |= {"devices": get_args(Devices), "form": get_args(Form)}
    for name, value in (("form", form), ("model", model), ("cohort", cohort), ("devices", devices)):
        if value not in known[name]:
            raise ValueError(f"there is no {name} {value!r}; there are: {', '.join(known[name])}")
    shape, group = MODELS[model], layer_of_each_expert(model, form, num_experts)
    share = _shares(rng, inputs, model, form, np.bincount(group))
    mixture = COHORTS[cohort](rng, num_clients, len(share))
    noise = rng.lognormal(0.0, NOISE, size=(num_clients, len(group)))
    fitness = np.round(mixture @ share * noise, 6)
    return _Cohort(rng, inputs, shape, BITS.get(model, 16), group, fitness).problem(devices)


def layer_of_each_expert(model: str, form: Form, num_experts: int | None = None) -> IntArray:
    """Return the layer of each expert, (num_experts,); the sizes of two layers differ by at most one."""
    shape = MODELS[model]
    layers = len(LAYERS) if form == "measured" else shape.num_layers
    whole = layers * shape.num_experts
    if num_experts is None:
        num_experts = whole
    if num_experts < whole:
        layers = min(layers, max(1, round(layers * (num_experts / whole) ** 0.5)), num_experts)
    group: IntArray = np.arange(num_experts) * layers // num_experts
    return group


def _shares(rng: np.random.Generator, inputs: Inputs, model: str, form: Form, sizes: IntArray) -> FloatArray:
    """Return each domain's tokens per expert, (num_domains, num_experts), relative to the mean of the layer."""
    counted = inputs.shares[model if model in inputs.shares else ROUTED_LIKE]
    depth = MODELS[model if model in inputs.shares else ROUTED_LIKE].num_layers
    parts = []
    for k, size in enumerate(sizes.tolist()):
        place = LAYERS[min(k, len(LAYERS) - 1)] if form == "measured" else k * (depth - 1) / max(len(sizes) - 1, 1)
        nearest = int(np.abs(np.array(LAYERS) - place).argmin())
        layer = counted[:, nearest]
        same = LAYERS[nearest] == place and size == layer.shape[1] and model in inputs.shares
        part = layer if same else layer[:, rng.integers(layer.shape[1], size=size)]
        parts.append(part / part.mean(axis=1, keepdims=True))
    return np.concatenate(parts, axis=1)


class _Cohort:
    """A cohort with its phones: what experts cost its clients, and an alignment that they can afford."""

    def __init__(
        self,
        rng: np.random.Generator,
        inputs: Inputs,
        shape: MoeModel,
        bits: int,
        group: IntArray,
        fitness: FloatArray,
    ) -> None:
        self.rng, self.group, self.fitness = rng, group, fitness
        self.sizes = np.bincount(group)
        self.weights = float(shape.expert_bytes * bits // 16)
        # A cohort that trains some layers only has the memory that these layers would have of the whole model's.
        part = MEMORY * min(len(self.sizes) / shape.num_layers, 1.0) * GIGABYTE
        per_token = 2.0 * (shape.hidden + 3 * shape.inner)
        self.activations = per_token * TOKENS * shape.active / shape.num_experts
        one_of_each = len(self.sizes) * (self.weights + self.activations)
        self.phones: Phones = inputs.draw_phones(rng, len(fitness), one_of_each / part)
        self.memory = np.floor(part * self.phones.gigabytes)

    def problem(self, devices: Devices) -> AlignmentProblem:
        """Return the problem of these devices."""
        given: dict[str, Any] = {"expert_group": self.group, "group_capacity": self.sizes, "group_demand": 1}
        held = np.floor(self.memory / self.weights).astype(np.int64)
        given["client_capacity"] = np.minimum(held, len(self.group))
        if devices in ("bytes", "memory", "seconds"):
            given["client_capacity"] = len(self.group)
            planted = self._add_budgets(given, devices)
        else:
            planted = self._plant(held / len(self.sizes))
        if devices == "work":
            given["client_load"] = np.maximum(1, np.round(BATCHES / self.phones.slowness)).astype(np.int64)
        if devices == "cached":
            self._add_cache(given, held)
        given["expert_demand"], given["expert_capacity"] = self._bounds(planted, given.get("client_load"))
        return AlignmentProblem(self.fitness, **given)

    def _add_budgets(self, given: dict[str, Any], devices: Devices) -> Alignment:
        """Write costs and budgets; return an alignment that the budgets pay for."""
        layers = len(self.sizes)
        if devices == "memory":
            # (num_clients, num_experts): what a client's tokens take depends on how many go to the expert.
            costs = [np.ceil(self.weights + self.activations * self.fitness)]
            each = self.weights + self.activations
        else:
            weights = np.floor(self.weights * self.rng.choice(WIDTHS, size=layers))
            costs = [np.broadcast_to(weights[self.group], self.fitness.shape)]
            each = float(weights.mean())
        budgets, number = [self.memory], self.memory / (layers * each)
        if devices == "seconds":
            moving = self.phones.seconds_per_byte[:, None] * costs[0]
            typical = float(np.median(moving))
            costs.append(np.round(moving + typical * self.phones.slowness[:, None] * self.fitness, 3))
            deadline = np.round(2.0 * typical * EXPERTS_IN_TIME * layers, 3)
            budgets.append(np.full(len(self.fitness), deadline))
            number = np.minimum(number, deadline / (layers * costs[1].mean(axis=1)))
        planted = self._plant(PLANTED * number)
        # A client whose dealt experts cost more than it has gets what they cost: there is always an alignment.
        spent = [np.add.reduceat(cost[planted.clients(), planted.experts], planted.indptr[:-1]) for cost in costs]
        paid = [np.maximum(budget, np.ceil(1e3 * cost) / 1e3) for budget, cost in zip(budgets, spent, strict=True)]
        if devices == "bytes":
            given["client_budget"], given["expert_cost"] = paid[0], costs[0][0]
        else:
            given["client_budget"], given["expert_cost"] = np.stack(paid, axis=1), np.stack(costs, axis=2)
        return planted

    def _add_cache(self, given: dict[str, Any], held: IntArray) -> None:
        """Write the experts of the last round, what it costs to download others, and penalties of soft bounds."""
        last = self._plant(held / len(self.sizes))
        previous = np.zeros(self.fitness.shape, dtype=np.bool_)
        previous[last.clients(), last.experts] = True
        slow = self.phones.seconds_per_byte / np.median(self.phones.seconds_per_byte)
        cost = np.broadcast_to(np.round(0.1 * slow, 6)[:, None], self.fitness.shape)
        given |= {"previous": previous, "switching_cost": cost}
        given |= {"overload_penalty": PENALTY, "shortfall_penalty": PENALTY}

    def _plant(self, per_layer: FloatArray) -> Alignment:
        """Deal so many experts of each layer, in whole numbers, and at least one."""
        number = np.floor(per_layer).astype(np.int64)
        clients, experts = [], []
        for size, start in zip(self.sizes, np.cumsum(self.sizes) - self.sizes, strict=True):
            dealt = deal(self.rng, np.clip(number, 1, size), size)
            clients.append(dealt.clients())
            experts.append(dealt.experts + start)
        return Alignment.from_pairs(np.concatenate(clients), np.concatenate(experts), len(per_layer))

    def _bounds(self, planted: Alignment, load: IntArray | None) -> tuple[FloatArray, FloatArray]:
        """Return demands and capacities of all experts, around the mean load of their layers."""
        by_layer = np.split(loads(planted, len(self.group), load), np.cumsum(self.sizes)[:-1])
        demand, most = zip(*map(around_mean, by_layer), strict=True)
        return np.concatenate(demand), np.concatenate(most)


__all__ = ["BITS", "COHORTS", "Devices", "Form", "layer_of_each_expert", "real"]
