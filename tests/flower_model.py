"""The model of tests/adding.py in Flower: a grid of nodes that run it, and a strategy that aligns its experts."""

import numpy as np

from fedtrain.adapters.flower import AlignedStrategy, client_app
from tests.adding import NUM_CLIENTS, NUM_EXPERTS, add, make_aligner
from tests.flower_grid import FakeGrid


def nodes(num_clients=NUM_CLIENTS, seed=0):
    ids = np.random.default_rng(seed).choice(2**62, size=num_clients, replace=False)
    return {int(node): {"partition-id": k, "num-partitions": num_clients} for k, node in enumerate(ids)}


def make_grid(**options):
    return FakeGrid(client_app(add, num_examples=lambda _: 1000), nodes(), **options)


def make_strategy(**options):
    options = {"num_clients": NUM_CLIENTS, "patience": 0.1, "router_down": "all", **options}
    return AlignedStrategy(make_aligner(options["num_clients"]), **options)


def assigned_in(grid, last=None):
    """Return which client was sent which experts, read from the messages."""
    sent = grid.trained()[-last:] if last else grid.trained()
    held = {}
    for message in sent:
        names = message.content.array_records["weights"]
        held[partition(grid, message)] = [j for j in range(NUM_EXPERTS) if f"experts.{j}.weight" in names]
    return held


def partition(grid, message):
    return grid.nodes[message.metadata.dst_node_id]["partition-id"]


def node_of(grid, client):
    return next(node for node, config in grid.nodes.items() if config["partition-id"] == client)
