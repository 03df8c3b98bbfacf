"""A federated Mixture-of-Experts whose clients keep their fitness: an auction by masked votes aligns each round."""

import secrets

import numpy as np
import torch
from torch.nn import functional

from alignsolve.federated import Auction, Bidder, PairMasks, Terms, ring
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, merge, slice_weights

CLIENTS, EXPERTS, CAPACITY = 8, 4, [2, 3] * 4


class Client:
    """Someone with data of its own. The server calls ``answer`` and, after the auction, ``train``."""

    def __init__(self, number, inputs, labels, shared):
        self.number, self.inputs, self.labels = number, inputs, labels
        self.masks = PairMasks(number, shared)

    def begin(self, terms, router):
        """Score the experts: the share of the own examples that the router sends to each."""
        fitness = functional.softmax(self.inputs @ router.T, dim=1).mean(dim=0).detach().numpy()
        capacity = CAPACITY[self.number]
        self.bidder = Bidder(terms, self.number, fitness, capacity=capacity, demand=1, masks=self.masks)

    def answer(self, message):
        """Vote at the prices of the message."""
        return self.bidder.answer(message)

    def train(self, part):
        """Train the own experts; returns the trained tensors, and the share of the examples that each got."""
        part = {name: value.requires_grad_() for name, value in part.items()}
        optimizer = torch.optim.SGD(part.values(), lr=0.05)
        for _ in range(10):
            scores, shares = forward(part, self.bidder.experts.tolist(), self.inputs)
            optimizer.zero_grad()
            functional.cross_entropy(scores, self.labels).backward()
            optimizer.step()
        return part, shares.detach().mean(dim=0)


def forward(part, experts, x):
    """Class scores, and every held expert's share of each example."""
    shares = functional.softmax(x @ part["router.weight"].T, dim=1)
    return sum(s[:, None] * (x @ part[f"experts.{j}.weight"].T) for s, j in zip(shares.T, experts, strict=True)), shares


torch.manual_seed(0)
centres, truth = 3 * torch.randn(EXPERTS, 5), torch.randn(EXPERTS, 3, 5)  # kinds of examples, each with own classes
kinds = [(torch.arange(60) + client) % 2 + client // 2 % 3 for client in range(CLIENTS)]  # a client has two of them
inputs = [centres[kind] + torch.randn(60, 5) for kind in kinds]
labels = [torch.einsum("bci,bi->bc", truth[kind], x).argmax(dim=1) for kind, x in zip(kinds, inputs, strict=True)]

near = ring(range(CLIENTS), 4, rng=np.random.default_rng(0))
pairs = {
    frozenset((i, j)): secrets.token_bytes(32) for i in near for j in near[i]
}  # in life, agreed by the two clients
shared = [{j: pairs[frozenset((i, j))] for j in near[i]} for i in range(CLIENTS)]
clients = [Client(i, inputs[i], labels[i], shared[i]) for i in range(CLIENTS)]

weights = {f"experts.{j}.weight": torch.randn(3, 5) / 10 for j in range(EXPERTS)}
weights |= {"router.weight": torch.randn(EXPERTS, 5) / 10}
layout, start, exchanges = detect(weights), None, []
for turn in range(15):
    terms = Terms(CLIENTS, EXPERTS, "loads", auction=turn)  # the server gets sums of votes
    for client in clients:
        client.begin(terms, weights["router.weight"])
    limits = {"expert_capacity": 5, "expert_demand": 4, "gap": 0.01, "overload": 0.0}
    auction = Auction(terms, range(CLIENTS), masked=True, start=start, **limits)
    while not auction.finished:
        for client in auction.missing.tolist():
            auction.receive(client, clients[client].answer(auction.message(client)))
        auction.next()
    start, updates = auction.outcome.start, []
    exchanges.append(auction.outcome.exchanges)
    assigned = {
        client.number: tuple(client.bidder.experts.tolist()) for client in clients
    }  # now each one asks for them
    for client in clients:
        part, usage = client.train(slice_weights(weights, layout, assigned[client.number]))
        updates.append(PartialUpdate(client.number, assigned[client.number], part, 60, usage=usage.tolist()))
    weights, faults = merge(weights, updates, layout, assigned=assigned, cap=60)

scores, _ = forward(weights, range(EXPERTS), torch.cat(inputs))
print(f"accuracy {(scores.argmax(dim=1) == torch.cat(labels)).float().mean():.3f}, loads {auction.outcome.loads},")
print(f"exchanges {exchanges[0]} in the first round, {np.mean(exchanges[1:]):.1f} in the others")
