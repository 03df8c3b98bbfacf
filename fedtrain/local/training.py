"""Local training of several clients in one round: one by one, or in one batched computation."""

from collections.abc import Sequence

from fedtrain.config import TrainingConfig
from fedtrain.local import client as local
from fedtrain.local.batched import Job, train_together
from fedtrain.models import MLPSpec, ModelSpec, Tensors, part_to_download
from fedtrain.partial import PartialUpdate


def train_clients(
    spec: ModelSpec, tensors: Tensors, jobs: Sequence[Job], training: TrainingConfig
) -> list[PartialUpdate]:
    """Let clients train, as ``training.together`` says; the updates are in the order of the jobs.

    Parameters
    ----------
    spec
        The model.
    tensors
        The whole model that they start from; not changed.
    jobs
        The clients, each once.
    training
        Optimiser, epochs, batches; its learning rate is that of the round.
    """
    if training.together and isinstance(spec, MLPSpec):
        return train_together(spec, tensors, jobs, training)
    return [
        local.train(job.client, spec, part_to_download(tensors, job.experts), job.experts, job.data, training, job.rng)
        for job in jobs
    ]
