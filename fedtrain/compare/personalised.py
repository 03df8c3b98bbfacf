"""How well every client is served: the model as the client holds it, on the test examples that are like its own."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from alignsolve.numerics import FloatArray
from fedtrain.models import Tensors, part_to_download
from fedtrain.server.federation import Federation, predict


def personalised_accuracy(federation: Federation, tensors: Tensors, held: Mapping[int, Sequence[int]]) -> FloatArray:
    """Evaluate each client's part of the model on its personalised view of the test set.

    Parameters
    ----------
    federation
        Whose clients.
    tensors
        The whole model.
    held
        The experts of every client that is to be judged, ascending, at least one in every layer. With all experts it
        is the whole model that is judged, with each client's eyes.

    Returns
    -------
    array
        (len(held),) share of right predictions, weighted by the client's mixture of test groups; in the order of
        ``held``.
    """
    return np.array([_accuracy(federation, tensors, client, tuple(experts)) for client, experts in held.items()])


def _accuracy(federation: Federation, tensors: Tensors, client: int, experts: tuple[int, ...]) -> float:
    weights = federation.data.test_weights(client)
    met = torch.from_numpy(np.flatnonzero(weights))
    model = federation.spec.build(experts).load(part_to_download(tensors, experts))
    labels = federation.test.labels[met]
    right = predict(model, federation.test.inputs[met]).argmax(dim=1).view_as(labels) == labels
    share = right.double().flatten(1).mean(dim=1).numpy() if right.ndim > 1 else right.double().numpy()
    return float(weights[met.numpy()] @ share)
