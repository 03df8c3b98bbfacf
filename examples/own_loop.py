"""A federated Mixture-of-Experts with its own loop and its own model: align, slice, train, merge, learn."""

import torch
from torch.nn import functional

from alignsolve import Aligner, CapacityProfiler, Report
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, assignments, merge, slice_weights, traffic


def forward(part, experts, x):
    """Class scores, and every held expert's share of each example."""
    shares = functional.softmax(x @ part["router.weight"].T, dim=1)
    return sum(s[:, None] * (x @ part[f"experts.{j}.weight"].T) for s, j in zip(shares.T, experts, strict=True)), shares


torch.manual_seed(0)
centres, truth = 3 * torch.randn(4, 5), torch.randn(4, 3, 5)  # four kinds of examples, each with its own classes
kinds = [(torch.arange(60) + client) % 2 + client // 2 % 3 for client in range(8)]  # a client has two of them
inputs = [centres[kind] + torch.randn(60, 5) for kind in kinds]
labels = [torch.einsum("bci,bi->bc", truth[kind], x).argmax(dim=1) for kind, x in zip(kinds, inputs, strict=True)]

weights = {f"experts.{j}.weight": torch.randn(3, 5) / 10 for j in range(4)} | {"router.weight": torch.randn(4, 5) / 10}
layout = detect(weights)
aligner = Aligner(capacity=CapacityProfiler(client_capacity=[2, 3] * 4))
state = aligner.init(num_clients=8, num_experts=layout.num_experts)
for _ in range(30):
    solution, state = aligner.align(state, cohort=range(8))
    assigned = assignments(solution, cohort=range(8))
    updates, reports = [], []
    for client, experts in assigned.items():
        part = {name: value.requires_grad_() for name, value in slice_weights(weights, layout, experts).items()}
        optimizer = torch.optim.SGD(part.values(), lr=0.05)
        for _ in range(10):
            scores, shares = forward(part, experts, inputs[client])
            losses = functional.cross_entropy(scores, labels[client], reduction="none")
            optimizer.zero_grad()
            losses.mean().backward()
            optimizer.step()
        usage, right = shares.detach().mean(dim=0), (scores.argmax(dim=1) == labels[client]).float()
        loss, accuracy = torch.stack([losses, right]).detach() @ shares.detach() / (60 * usage)
        updates.append(PartialUpdate(client, experts, part, num_examples=60, usage=usage.tolist()))
        reports.append(Report(client, experts, usage, loss, accuracy, num_examples=60))
    weights, faults = merge(weights, updates, layout, assigned=assigned, cap=60)
    state = aligner.observe(state, reports)

scores, _ = forward(weights, range(4), torch.cat(inputs))
print(f"accuracy {(scores.argmax(dim=1) == torch.cat(labels)).float().mean():.3f}, updates refused {len(faults)},")
print(f"client 0 was sent {traffic(weights, layout, assigned[0]).total} bytes for experts {assigned[0]}")
