"""Local training of several clients in one round, one by one or together, each with its own generator."""

from collections.abc import Mapping

from fedtrain.local import client as local
from fedtrain.local.batched import Job, train_together
from fedtrain.local.update import Update
from fedtrain.models import MLPSpec, Tensors, part_to_download
from fedtrain.randomness import Purpose, generator
from fedtrain.server.federation import Federation


def train_clients(
    federation: Federation, tensors: Tensors, number: int, held: Mapping[int, tuple[int, ...]]
) -> dict[int, Update]:
    """Let clients train, as ``training.together`` says.

    Parameters
    ----------
    federation
        Whose clients.
    tensors
        The whole model that they start from; not changed.
    number
        The round, counted from 0; it decides the learning rate and how examples are shuffled.
    held
        The experts of every client that trains, ascending.

    Returns
    -------
    dict
        Every client's update, in the order of ``held``.
    """
    config, clients = federation.config, federation.clients
    training = config.training.in_round(number)
    rngs = {client: generator(config.seed, Purpose.TRAINING, number, client) for client in held}
    if training.together and isinstance(federation.spec, MLPSpec):
        jobs = [Job(client, experts, clients[client], rngs[client]) for client, experts in held.items()]
        return {update.client: update for update in train_together(federation.spec, tensors, jobs, training)}
    return {
        client: local.train(
            client,
            federation.spec,
            part_to_download(tensors, experts),
            experts,
            clients[client],
            training,
            rngs[client],
        )
        for client, experts in held.items()
    }
