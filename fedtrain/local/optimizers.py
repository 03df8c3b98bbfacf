"""SGD and Adam over the stacked parameters of many clients, step by step what torch's optimisers do for one.

They differ from torch's in one thing only: which clients take a step, and which of their experts, changes from step to
step, and whatever takes none is left as it is, with the optimiser's memory of it. (With torch that is so because an
expert that no example went through has no gradient.)
"""

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor

from fedtrain.config import TrainingConfig


class Optimizer(Protocol):
    """Changes the stacked parameters that it was made for."""

    def step(self, gradients: Mapping[str, Tensor], reached: Tensor) -> None:
        """Take one step.

        Parameters
        ----------
        gradients
            By name, of the first clients of the stacks, all others take no step.
        reached
            (clients, held) which experts take the step.
        """
        ...


def make_optimizer(stacks: Mapping[str, Tensor], training: TrainingConfig) -> Optimizer:
    """Make the configured optimiser of parameters (clients, …), or (clients, held, …) where the name is an expert's."""
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
                velocity.copy_(torch.where(step, self.momentum * velocity, velocity)).add_(gradient)  # else it is 0
                moved.addcmul_(velocity, step.to(moved.dtype), value=-self.rate)
            else:
                velocity.mul_(self.momentum).add_(gradient)
                moved.add_(velocity, alpha=-self.rate)


class _Adam:
    """With torch's defaults: decays 0.9 and 0.999, epsilon 1e-8."""

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
    """Give flags of the leading axes as many axes as the value has."""
    return flags.reshape(*flags.shape, *[1] * (value.ndim - flags.ndim))
