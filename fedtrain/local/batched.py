"""Many clients' local training in one batched computation, for the plain Mixture-of-Experts.

Small models spend their time in function calls, not in arithmetic. So clients with the same number of experts are
trained side by side. Their parameters are stacked, and step s of all of them is one batched computation. The experts
of a client form one wide hidden layer, and the units of each expert are weighted by its gate. So a step needs only a
few batched matrix products. Experts to which an example is not routed are computed too. That is wasted work, but it is
cheaper than one call per expert.

The result is that of :func:`.client.train` for each client, up to rounding:

- Each client shuffles its own batches with its own generator.
- A batch that is shorter than the others is padded, and the padding has weight 0.
- An expert that no example of a batch reaches keeps its parameters and its optimiser state.

Clients are sorted by their number of steps. So the clients that are still training are always the first ones.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from fedtrain.config import TrainingConfig
from fedtrain.local.client import LocalData, batches
from fedtrain.models import MLPSpec, Tensors
from fedtrain.models.model import top_gates
from fedtrain.partial import Measured, PartialUpdate

AT_ONCE = 64
"""Clients trained side by side: enough to save calls, few enough for their parameters to stay in the cache."""


class Job(NamedTuple):
    """One client's local training; see :func:`fedtrain.local.client.train`.

    Attributes
    ----------
    client
        Index of the client.
    experts
        The assigned experts, ascending.
    data
        The client's examples.
    rng
        Generator that shuffles the examples.
    """

    client: int
    experts: tuple[int, ...]
    data: LocalData
    rng: np.random.Generator


def train_together(
    spec: MLPSpec, tensors: Tensors, jobs: Sequence[Job], training: TrainingConfig
) -> list[PartialUpdate]:
    """Train all clients, each from the same whole model; the updates are in the order of the jobs.

    Parameters
    ----------
    spec
        The model.
    tensors
        All tensors of the whole model; they are not changed.
    jobs
        The clients' trainings; each client occurs once.
    training
        Optimiser, epochs, batch size, auxiliary loss.
    """
    groups = _groups(jobs, training)
    updates = {one.client: one for group in groups for one in _train_group(spec, tensors, group, training)}
    return [updates[job.client] for job in jobs]


def _groups(jobs: Sequence[Job], training: TrainingConfig) -> Iterator[list[Job]]:
    """Group clients by their number of experts, those with the most steps first; a group has at most AT_ONCE."""
    ordered = sorted(jobs, key=lambda job: (len(job.experts), -_num_steps(job, training)))
    for _, group in groupby(ordered, key=lambda job: len(job.experts)):
        alike = list(group)
        yield from (alike[start : start + AT_ONCE] for start in range(0, len(alike), AT_ONCE))


def _num_steps(job: Job, training: TrainingConfig) -> int:
    return training.epochs * -(-len(job.data) // training.batch_size)


def _train_group(
    spec: MLPSpec, tensors: Tensors, jobs: Sequence[Job], training: TrainingConfig
) -> Iterator[PartialUpdate]:
    # Stack the parameters, and measure the router before training changes it.
    held = torch.tensor([job.experts for job in jobs])
    stacks = _stack(spec, tensors, held)
    optimizer = _make_optimizer(stacks, training)
    tally = _Tally(len(jobs), held.shape[1])
    mass = _router_mass(spec, tensors, jobs)
    # Train step by step. Each batch has only the clients that are still training.
    for batch in _steps(jobs, training):
        _step(spec, stacks, optimizer, tally, held[: len(batch.labels)], batch, training)
    # Take each client's parameters out of the stacks.
    measured = tally.read(mass)
    for row, job in enumerate(jobs):
        own = _unstack(stacks, row, job.experts)
        yield PartialUpdate(job.client, job.experts, own, len(job.data), *measured[row])


class _Batch(NamedTuple):
    """The batches of one step: inputs (clients, size, …), labels, and weights that sum to 1 per client (padding: 0)."""

    inputs: Tensor
    labels: Tensor
    weights: Tensor


def _steps(jobs: Sequence[Job], training: TrainingConfig) -> Iterator[_Batch]:
    """Yield step after step; clients without further steps, always the last ones, are left out."""
    # All examples in one tensor, and a plan for each client: its batches as indices into this tensor.
    inputs = torch.cat([job.data.inputs for job in jobs]).flatten(1)
    labels = torch.cat([job.data.labels for job in jobs])
    starts = np.cumsum([0, *(len(job.data) for job in jobs)])
    passes = {"epochs": training.epochs, "batch_size": training.batch_size}
    plans = [
        [start + batch for batch in batches(job.rng, len(job.data), **passes)]
        for job, start in zip(jobs, starts.tolist(), strict=False)
    ]
    # The first client has the most steps. Short batches are padded with weight 0.
    for step in range(len(plans[0])):
        rows = [plan[step] for plan in plans if step < len(plan)]
        sizes = torch.tensor([len(row) for row in rows])[:, None]
        indices = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True)
        weights = (torch.arange(indices.shape[1]) < sizes).to(inputs.dtype) / sizes
        yield _Batch(inputs[indices], labels[indices], weights)


_Stacks = dict[str, Tensor]
"""Parameters of all clients: shared ones and the router are (clients, …), those of experts are (clients, held, …)."""


def _stack(spec: MLPSpec, tensors: Tensors, held: Tensor) -> _Stacks:
    """Copy each client's part of the model; matrices are transposed, so that a layer is inputs @ weight."""

    def experts(name: str) -> Tensor:
        return torch.stack([_turned(tensors[f"experts.{j}.{name}"]) for j in range(spec.num_experts)])[held]

    def shared(value: Tensor) -> Tensor:
        return value.expand(len(held), *value.shape).clone()

    return {
        "extractor.0.weight": shared(_turned(tensors["extractor.0.weight"])),
        "extractor.0.bias": shared(tensors["extractor.0.bias"]),
        "router": shared(torch.stack([tensors[f"router.{j}"] for j in range(spec.num_experts)], dim=1)),
        "classifier.weight": shared(_turned(tensors["classifier.weight"])),
        "classifier.bias": shared(tensors["classifier.bias"]),
        **{f"experts.{name}": experts(name) for name in ("0.weight", "0.bias", "2.weight", "2.bias")},
    }


def _unstack(stacks: _Stacks, row: int, experts: tuple[int, ...]) -> Tensors:
    """Return the tensors that a client uploads, with the names and shapes of the model."""
    tensors: Tensors = {}
    for name, stack in stacks.items():
        own = stack[row]
        if name == "router":
            tensors |= {f"router.{j}": own[:, j].contiguous() for j in experts}
        elif name.startswith("experts."):
            rest = name.removeprefix("experts.")
            tensors |= {f"experts.{j}.{rest}": _turned(own[k]).contiguous() for k, j in enumerate(experts)}
        else:
            tensors[name] = _turned(own).contiguous()
    return tensors


def _turned(value: Tensor) -> Tensor:
    return value.T if value.ndim == 2 else value


def _step(
    spec: MLPSpec,
    stacks: _Stacks,
    optimizer: "_SGD | _Adam",
    tally: "_Tally",
    held: Tensor,
    batch: _Batch,
    training: TrainingConfig,
) -> None:
    """Take one step for the clients of the batch, which are the first ones of the stacks."""
    # Forward pass, and the loss of every prediction.
    parameters = {name: stack[: len(held)].detach().requires_grad_() for name, stack in stacks.items()}
    logits, gates, probabilities = _forward(spec, parameters, held, batch.inputs)
    losses = functional.cross_entropy(logits.flatten(0, 1), batch.labels.flatten(), reduction="none")
    losses = losses.view_as(batch.weights)
    objective = (losses * batch.weights).sum()  # a sum over clients, whose parameters are independent
    if training.auxiliary_loss > 0.0:
        mass = _of_held(probabilities, held).sum(dim=2)
        auxiliary = -mass.clamp_min(torch.finfo(mass.dtype).tiny).log()
        objective = objective + training.auxiliary_loss * (auxiliary * batch.weights).sum()
    # Gradients, then the optimiser's step. An expert takes the step only if an example of the batch was routed to it.
    gradients = torch.autograd.grad(objective, list(parameters.values()))
    counted = batch.weights > 0.0
    with torch.no_grad():
        used = gates * counted[:, :, None]
        optimizer.step(dict(zip(parameters, gradients, strict=True)), reached=used.sum(dim=1) > 0.0)
        tally.add(used, losses, logits.argmax(dim=2) == batch.labels)


def _forward(spec: MLPSpec, parameters: _Stacks, held: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return a batch's logits (clients, size, classes), gates (clients, size, held) and router probabilities."""

    def linear(x: Tensor, name: str) -> Tensor:
        return torch.baddbmm(parameters[f"{name}.bias"][:, None], x, parameters[f"{name}.weight"])

    features = functional.relu(linear(inputs, "extractor.0"))
    router_logits = features @ parameters["router"]
    gates = top_gates(_of_held(router_logits, held), spec.top_k)
    # All held experts as one layer: (clients, features, held · hidden).
    wide = parameters["experts.0.weight"].transpose(1, 2).flatten(2)
    hidden = functional.relu(torch.baddbmm(parameters["experts.0.bias"].flatten(1)[:, None], features, wide))
    weighted = hidden.view(*gates.shape, -1) * gates[:, :, :, None]
    mixed = features + weighted.flatten(2) @ parameters["experts.2.weight"].flatten(1, 2)
    mixed = torch.baddbmm(mixed, gates, parameters["experts.2.bias"])
    return linear(mixed, "classifier"), gates, functional.softmax(router_logits, dim=2)


def _of_held(by_expert: Tensor, held: Tensor) -> Tensor:
    """Pick each client's held experts from (clients, size, experts)."""
    return by_expert.gather(2, held[:, None, :].expand(-1, by_expert.shape[1], -1))


def _router_mass(spec: MLPSpec, tensors: Tensors, jobs: Sequence[Job]) -> Tensor:
    """Return the mean router probabilities of each client before training, (clients, experts)."""
    router = torch.stack([tensors[f"router.{j}"] for j in range(spec.num_experts)])
    inputs = torch.cat([job.data.inputs for job in jobs]).flatten(1)
    features = functional.relu(functional.linear(inputs, tensors["extractor.0.weight"], tensors["extractor.0.bias"]))
    probabilities = functional.softmax(features @ router.T, dim=1).double()
    return torch.stack([part.mean(dim=0) for part in torch.split(probabilities, [len(job.data) for job in jobs])])


class _Tally:
    """Sums per client, from which the means in :class:`Measured` are computed."""

    def __init__(self, num_clients: int, num_held: int) -> None:
        self.used, self.loss, self.right = (torch.zeros(num_clients, num_held, dtype=torch.float64) for _ in range(3))

    def add(self, used: Tensor, losses: Tensor, right: Tensor) -> None:
        """Add a step of the first clients; ``used`` are the gates, 0 in the padding."""
        rows = slice(len(used))
        gates = used.double()
        self.used[rows] += gates.sum(dim=1)
        self.loss[rows] += (gates * losses.double()[:, :, None]).sum(dim=1)
        self.right[rows] += (gates * right[:, :, None]).sum(dim=1)

    def read(self, router_mass: Tensor) -> list[Measured]:
        """Return the means of each client; an expert without examples has no mean loss (NaN)."""
        usage = self.used / self.used.sum(dim=1, keepdim=True)
        means = usage, self.loss / self.used, self.right / self.used, router_mass
        return [Measured(*(mean[row].numpy() for mean in means)) for row in range(len(self.used))]


# SGD and Adam over the stacked parameters. Each step does what torch's optimisers do for one client. There is one
# difference: the clients and experts that take a step change from step to step. A parameter that takes no step keeps
# its value and its optimiser state. (In torch this happens because an expert without examples has no gradient.)
# ``step`` takes the gradients by name, for the first clients of the stacks, and a mask of the experts that take the
# step, (clients, held).


def _make_optimizer(stacks: Mapping[str, Tensor], training: TrainingConfig) -> "_SGD | _Adam":
    """Make the configured optimiser for the stacked parameters."""
    return _Adam(stacks, training) if training.optimizer == "adam" else _SGD(stacks, training)


class _SGD:
    def __init__(self, stacks: Mapping[str, Tensor], training: TrainingConfig) -> None:
        self.stacks, self.rate, self.momentum = stacks, training.learning_rate, training.momentum
        self.velocities = {name: torch.zeros_like(stack) for name, stack in stacks.items()}

    def step(self, gradients: Mapping[str, Tensor], reached: Tensor) -> None:
        for name, gradient in gradients.items():
            rows = slice(len(gradient))
            moved, velocity = self.stacks[name][rows], self.velocities[name][rows]
            if name.startswith("experts."):
                step = _like(reached, gradient)
                # The gradient of an expert without a step is 0.
                velocity.copy_(torch.where(step, self.momentum * velocity, velocity)).add_(gradient)
                moved.addcmul_(velocity, step.to(moved.dtype), value=-self.rate)
            else:
                velocity.mul_(self.momentum).add_(gradient)
                moved.add_(velocity, alpha=-self.rate)


class _Adam:
    """Adam with torch's defaults: decays 0.9 and 0.999, epsilon 1e-8."""

    def __init__(self, stacks: Mapping[str, Tensor], training: TrainingConfig) -> None:
        self.stacks, self.rate = stacks, training.learning_rate
        self.means = {name: torch.zeros_like(stack) for name, stack in stacks.items()}
        self.squares = {name: torch.zeros_like(stack) for name, stack in stacks.items()}
        self.counts = {
            name: torch.zeros(stack.shape[: _leading(name)], dtype=torch.float64) for name, stack in stacks.items()
        }

    def step(self, gradients: Mapping[str, Tensor], reached: Tensor) -> None:
        for name, gradient in gradients.items():
            rows = slice(len(gradient))
            taken = reached if name.startswith("experts.") else torch.ones(len(gradient), dtype=torch.bool)
            self.counts[name][rows] += taken
            step, count = _like(taken, gradient), self.counts[name][rows].clamp_min(1.0)
            rate = _like(self.rate / (1.0 - 0.9**count), gradient).to(gradient.dtype)
            shrunk = _like((1.0 - 0.999**count).sqrt(), gradient).to(gradient.dtype)
            mean, square = self.means[name][rows], self.squares[name][rows]
            mean.copy_(torch.where(step, mean.lerp(gradient, 0.1), mean))
            square.copy_(torch.where(step, 0.999 * square + 0.001 * gradient * gradient, square))
            self.stacks[name][rows].sub_(torch.where(step, rate * mean / (square.sqrt() / shrunk + 1e-8), 0.0))


def _leading(name: str) -> int:
    return 2 if name.startswith("experts.") else 1


def _like(flags: Tensor, value: Tensor) -> Tensor:
    """Append axes of length 1 to the flags, until they have as many axes as the value."""
    return flags.reshape(*flags.shape, *[1] * (value.ndim - flags.ndim))
