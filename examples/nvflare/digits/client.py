"""The clients' executor: fedtrain's local training, on the site's share of the digits."""

from typing import Any

from digits.task import federation
from fedtrain import client as local
from fedtrain.adapters.nvflare import AlignedExecutor, Task
from fedtrain.randomness import Purpose, generator


class DigitsExecutor(AlignedExecutor):
    """Trains its experts for some local epochs."""

    def train(
        self, weights: dict[str, Any], experts: tuple[int, ...], task: Task
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """Train on the client's examples."""
        ours = federation(tuple(task.config["overrides"]))
        config = ours.config
        rng = generator(config.seed, Purpose.TRAINING, task.round, task.client)
        data, training = ours.clients[task.client], config.training.in_round(task.round)
        update = local.train(task.client, ours.spec, weights, experts, data, training, rng)
        return update.tensors, {"num_examples": update.num_examples, **update.measured._asdict()}
