"""The clients' app: fedtrain's local training, on the client's share of the digits."""

from typing import Any

from flwr.app import Context

from digits.task import federation
from fedtrain import client as local
from fedtrain.adapters.flower import Task, client_app
from fedtrain.randomness import Purpose, generator


def train(weights: dict[str, Any], experts: tuple[int, ...], task: Task) -> tuple[dict[str, Any], dict[str, Any]]:
    """Train these experts for some local epochs."""
    ours = federation(task.context)
    config = ours.config
    rng = generator(config.seed, Purpose.TRAINING, task.round, task.client)
    data, training = ours.clients[task.client], config.training.in_round(task.round)
    update = local.train(task.client, ours.spec, weights, experts, data, training, rng)
    return update.tensors, {"num_examples": update.num_examples, **update.measured._asdict()}


def num_examples(context: Context) -> int:
    """Return the number of the client's digits."""
    return len(federation(context).clients[int(context.node_config["partition-id"])])


app = client_app(train, num_examples=num_examples)
