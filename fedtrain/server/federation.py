"""The server: what stays the same all through a run, and the state that a round turns into the next one."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alignsolve import Aligner, AlignerState
from alignsolve.numerics import BoolArray, IntArray
from fedtrain.config import ConfigError, RunConfig
from fedtrain.data import DATASETS, Examples, Federated
from fedtrain.local.client import EVALUATED_AT_ONCE, LocalData
from fedtrain.models import MODELS, Model, ModelSpec, Tensors, initial_tensors, layer_sizes, skeleton
from fedtrain.randomness import Purpose, generator
from fedtrain.server.alignment import make_aligner
from fedtrain.simulation import devices
from fedtrain.simulation.attacks import draw_attackers
from fedtrain.simulation.devices import Fleet, Footprint


@dataclass(frozen=True, eq=False)
class Federation:
    """All that stays the same during a run.

    Attributes
    ----------
    config
        The run's configuration.
    spec
        The model.
    data
        Who owns what, and what each client is to be judged by.
    clients
        Each client's training examples, as tensors.
    test
        The examples for evaluation, as tensors.
    label_counts
        (num_clients, num_classes) training examples per client and class.
    fleet
        The clients' devices.
    footprint
        Memory that training takes.
    attackers
        (num_clients,) which clients mean harm.
    aligner
        Decides who trains what.
    aligner_start
        What the aligner knows before the first round, of the clients that are there from the start.
    """

    config: RunConfig
    spec: ModelSpec
    data: Federated
    clients: tuple[LocalData, ...]
    test: LocalData
    label_counts: IntArray
    fleet: Fleet
    footprint: Footprint
    attackers: BoolArray
    aligner: Aligner
    aligner_start: AlignerState


@dataclass(frozen=True, eq=False)
class ServerState:
    """All that changes from round to round; never changed, only replaced.

    Attributes
    ----------
    round
        Rounds done.
    tensors
        The whole model.
    aligner
        What the aligner knows.
    clock
        Simulated seconds since the run began.
    """

    round: int
    tensors: Tensors
    aligner: AlignerState
    clock: float = 0.0


def prepare(config: RunConfig) -> Federation:
    """Load the data, share it out, hand out devices; set torch to the configured threads and to determinism.

    Raises
    ------
    ConfigError
        If the data cannot be loaded, are too little for the clients or not for the model, a tier is too small, a trace
        of devices cannot be used, or an estimator does not fit the model.
    """
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    data = DATASETS[config.data.name](config.data, config.clients.num_clients, config.seed)
    spec = MODELS[config.model.kind](config.model, data.test)
    footprint = devices.footprint(skeleton(spec), config.training)
    fleet = devices.make_fleet(config, footprint.holding(len(layer_sizes(spec))))
    num_examples = np.array([len(examples) for examples in data.clients])
    aligner = make_aligner(config, spec, fleet, footprint, num_examples)
    try:
        aligner_start = aligner.init(fleet.num_joined(0), spec.num_experts, seed=config.seed)
    except ValueError as error:
        raise ConfigError(f"alignment: {error}") from error
    return Federation(
        config=config,
        spec=spec,
        data=data,
        clients=tuple(map(_as_tensors, data.clients)),
        test=_as_tensors(data.test),
        label_counts=data.label_counts(),
        fleet=fleet,
        footprint=footprint,
        attackers=draw_attackers(config),
        aligner=aligner,
        aligner_start=aligner_start,
    )


def initial_state(federation: Federation) -> ServerState:
    """Draw the model; nothing is known yet about anyone's fitness."""
    seed = int(generator(federation.config.seed, Purpose.MODEL).integers(2**63))
    tensors = initial_tensors(federation.spec, torch.Generator().manual_seed(seed))
    return ServerState(round=0, tensors=tensors, aligner=federation.aligner_start)


def evaluate(federation: Federation, tensors: Tensors) -> tuple[float, float]:
    """Return the whole model's accuracy and mean loss on the test set."""
    spec, labels = federation.spec, federation.test.labels.flatten()
    logits = predict(spec.build(range(spec.num_experts)).load(tensors), federation.test.inputs)
    accuracy = (logits.argmax(dim=1) == labels).double().mean()
    return float(accuracy), float(functional.cross_entropy(logits.double(), labels))


def predict(model: Model, inputs: Tensor) -> Tensor:
    """Return the logits of all inputs, (num_predictions, num_classes), some thousands at a time."""
    with torch.no_grad():
        return torch.cat([model(part).logits for part in torch.split(inputs, EVALUATED_AT_ONCE)])


def _as_tensors(examples: Examples) -> LocalData:
    return LocalData(torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels))
