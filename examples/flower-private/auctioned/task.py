"""The task: four kinds of examples with own classes; each client has two of them. Model, data, and one training."""

import torch
from torch import Tensor
from torch.nn import functional

NUM_EXPERTS, NUM_CLASSES, WIDTH, EXAMPLES = 4, 3, 5, 60
NEIGHBOURS = 4
"""Other clients that each one shares a secret with."""
CAPACITY = (2, 3)
"""Experts that a client with an even and with an odd number can hold; each must hold one."""
BOUNDS = {"expert_capacity": 5, "expert_demand": 4}
LIMITS = {"gap": 0.02, "overload": 0.0}


def initial() -> dict[str, Tensor]:
    """Return the weights of the whole model before training."""
    draw = torch.Generator().manual_seed(1)
    weights = {f"experts.{j}.weight": torch.randn(NUM_CLASSES, WIDTH, generator=draw) / 10 for j in range(NUM_EXPERTS)}
    return weights | {"router.weight": torch.randn(NUM_EXPERTS, WIDTH, generator=draw) / 10}


def data(client: int) -> tuple[Tensor, Tensor]:
    """Make a client's examples: inputs and classes."""
    common = torch.Generator().manual_seed(0)
    centres = 3 * torch.randn(NUM_EXPERTS, WIDTH, generator=common)
    truth = torch.randn(NUM_EXPERTS, NUM_CLASSES, WIDTH, generator=common)
    own = torch.Generator().manual_seed(100 + client)
    kind = (torch.arange(EXAMPLES) + client) % 2 + client // 2 % 3
    inputs = centres[kind] + torch.randn(EXAMPLES, WIDTH, generator=own)
    return inputs, torch.einsum("bci,bi->bc", truth[kind], inputs).argmax(dim=1)


def fitness(client: int, router: Tensor) -> list[float]:
    """Score the experts: the share of the client's examples that the router sends to each."""
    return functional.softmax(data(client)[0] @ router.T, dim=1).mean(dim=0).detach().double().tolist()


def forward(part: dict[str, Tensor], experts: list[int], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return class scores, and every held expert's share of each example."""
    shares = functional.softmax(inputs @ part["router.weight"].T, dim=1)
    scores = [s[:, None] * (inputs @ part[f"experts.{j}.weight"].T) for s, j in zip(shares.T, experts, strict=True)]
    return torch.stack(scores).sum(dim=0), shares


def train(client: int, part: dict[str, Tensor], experts: list[int]) -> tuple[dict[str, Tensor], list[float]]:
    """Train the part, and return it with the share of the examples that each expert got."""
    inputs, labels = data(client)
    part = {name: value.requires_grad_() for name, value in part.items()}
    optimizer = torch.optim.SGD(part.values(), lr=0.05)
    for _ in range(20):
        scores, shares = forward(part, experts, inputs)
        optimizer.zero_grad()
        functional.cross_entropy(scores, labels).backward()
        optimizer.step()
    return {name: value.detach() for name, value in part.items()}, shares.detach().mean(dim=0).tolist()


def accuracy(weights: dict[str, Tensor], num_clients: int) -> float:
    """Return the accuracy of the whole model on the examples of all clients."""
    inputs, labels = (torch.cat(each) for each in zip(*map(data, range(num_clients)), strict=True))
    scores, _ = forward(weights, list(range(NUM_EXPERTS)), inputs)
    return float((scores.argmax(dim=1) == labels).float().mean())
