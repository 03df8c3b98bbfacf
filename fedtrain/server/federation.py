"""The constant parts of a run of fedtrain's own loop, and the evaluation of its model."""

import hashlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from alignsolve import Aligner, AlignerState
from alignsolve.numerics import BoolArray, IntArray
from fedtrain.aggregate import Score
from fedtrain.config import ConfigError, RunConfig, functions
from fedtrain.data import DATASETS, DataError, Examples, Federated
from fedtrain.data.federated import hold_back
from fedtrain.layouts import Layout, detect
from fedtrain.local.client import EVALUATED_AT_ONCE, LocalData
from fedtrain.models import MODELS, Model, ModelSpec, Tensors, initial_tensors, layer_sizes, skeleton
from fedtrain.randomness import Purpose, generator
from fedtrain.server.alignment import make_aligner
from fedtrain.server.step import Server, ServerState
from fedtrain.simulation import devices
from fedtrain.simulation.attacks import draw_attackers
from fedtrain.simulation.devices import Fleet, Footprint


@dataclass(frozen=True, eq=False)
class Federation:
    """Everything that stays the same during a run.

    Attributes
    ----------
    config
        The run's configuration.
    spec
        The model's specification.
    data
        Every client's examples, and the test examples that each client is evaluated on.
    clients
        Each client's training examples, as tensors.
    test
        The examples for evaluation, as tensors.
    held_back
        The examples that the server keeps for itself (``data.held_back``); None: there are none.
    label_counts
        (num_clients, num_classes) training examples per client and class.
    fleet
        The clients' devices.
    footprint
        The memory that training takes.
    attackers
        (num_clients,) True for clients that send harmful updates.
    server
        The aligner, the layout of the model, and the settings for inspecting and merging updates.
    aligner_start
        The aligner's state before the first round, for the clients that have joined by then.
    """

    config: RunConfig
    spec: ModelSpec
    data: Federated
    clients: tuple[LocalData, ...]
    test: LocalData
    held_back: Examples | None
    label_counts: IntArray
    fleet: Fleet
    footprint: Footprint
    attackers: BoolArray
    server: Server
    aligner_start: AlignerState

    @property
    def aligner(self) -> Aligner:
        """The aligner, which decides which client trains which expert."""
        aligner: Any = self.server.aligner
        return aligner


def prepare(config: RunConfig) -> Federation:
    """Load the data, divide it among the clients, and assign devices to them.

    This also makes torch deterministic and sets its number of threads as configured.

    Raises
    ------
    ConfigError
        If the data cannot be loaded, are too few for the clients, or do not fit the model; if a tier is too small or a
        trace of devices cannot be used; or if an estimator does not fit the model.
    """
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    data = _data(config)
    held_back: Examples | None = None
    if config.data.held_back:
        data, held_back = hold_back(generator(config.seed, Purpose.HELD_BACK), data, config.data.held_back)
    spec, tensors, layout = _model(config, data)
    footprint = devices.footprint(tensors, config.training)
    fleet = devices.make_fleet(config, footprint.holding(len(layer_sizes(spec))))
    num_examples = np.array([len(examples) for examples in data.clients])
    aligner = make_aligner(config, spec, fleet, footprint, num_examples, data.mixture)
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
        held_back=held_back,
        label_counts=data.label_counts(),
        fleet=fleet,
        footprint=footprint,
        attackers=draw_attackers(config),
        server=Server(
            *(aligner, layout, "all", "held", config.aggregation, config.validation),
            score=None if held_back is None else _score(spec, _as_tensors(held_back)),
        ),
        aligner_start=aligner_start,
    )


def _data(config: RunConfig) -> Federated:
    """Load the data, and check that a function of the user's own gave as many clients as are configured, and its types.

    :func:`fedtrain.data.from_arrays` makes the right types.
    """
    name, wanted = config.data.name, config.clients.num_clients
    data: Federated = functions.call("data.name", name, DATASETS, Federated, config.data, wanted, config.seed)
    if len(data.clients) != wanted:
        raise DataError(f"data.name is {name!r}, which returned {len(data.clients)} clients; there must be {wanted}")
    kinds = {f"{part.inputs.dtype} and {part.labels.dtype}" for part in (*data.clients, data.test)}
    if wrong := sorted(kinds - {"float32 and int64", "int64 and int64"}):
        raise DataError(f"data.name is {name!r}: inputs and labels are {wrong[0]}; fedtrain.data.from_arrays converts")
    return data


def _model(config: RunConfig, data: Federated) -> tuple[ModelSpec, Tensors, Layout]:
    """Return the model's specification, its tensors without values, and their layout."""
    kind = config.model.kind
    spec: ModelSpec = functions.call("model.kind", kind, MODELS, ModelSpec, config.model, data.test)
    with functions.Naming({"model.kind": kind}):
        tensors = skeleton(spec)
        layout = detect(tensors)
    if layout.num_experts != spec.num_experts:
        raise ConfigError(f"model.kind is {kind!r}: {spec.num_experts} experts, its tensors have {layout.num_experts}")
    if spec.num_classes < data.test.num_classes:
        classes = f"{spec.num_classes} classes, the data have {data.test.num_classes}"
        raise ConfigError(f"model.kind is {kind!r}: {classes}")
    return spec, tensors, layout


def initial_state(federation: Federation) -> ServerState:
    """Return the state before the first round: random model weights, and an aligner that has seen no round."""
    seed = int(generator(federation.config.seed, Purpose.MODEL).integers(2**63))
    tensors = initial_tensors(federation.spec, torch.Generator().manual_seed(seed))
    return ServerState(round=0, tensors=tensors, aligner=federation.aligner_start)


def fingerprint(federation: Federation) -> str:
    """Return a digest of the run's inputs beside its configuration: examples, owners, devices, and own functions.

    Data files may change between a run and its resumption. The digest makes sure that all rounds use the same inputs.
    """
    digest, data, fleet = hashlib.blake2b(digest_size=16), federation.data, federation.fleet
    own = () if federation.held_back is None else (federation.held_back,)
    for examples in (*data.clients, data.test, *own):
        digest.update(examples.inputs.tobytes())
        digest.update(examples.labels.tobytes())
    owners = (data.test_group, data.mixture, fleet.availability, fleet.joins)
    known = (getattr(which, field.name) for which in (fleet.actual, fleet.declared) for field in fields(which))
    for values in (*owners, *known):
        digest.update(values.tobytes())
    digest.update(repr((fleet.windows, fleet.period)).encode())
    digest.update(functions.source_digest(federation.config).encode())
    return digest.hexdigest()


def evaluate(federation: Federation, tensors: Tensors) -> tuple[float, float]:
    """Return the whole model's accuracy and mean loss on the test set."""
    spec = federation.spec
    return _measure(spec.build(range(spec.num_experts)).load(tensors), federation.test)


def _measure(model: Model, data: LocalData) -> tuple[float, float]:
    """Return a model's accuracy and mean loss."""
    labels = data.labels.flatten()
    logits = predict(model, data.inputs)
    accuracy = (logits.argmax(dim=1) == labels).double().mean()
    return float(accuracy), float(functional.cross_entropy(logits.double(), labels))


def _score(spec: ModelSpec, data: LocalData) -> Score:
    """Return the score of a model on the server's own examples: minus its mean loss. The model is built once."""
    model = spec.build(range(spec.num_experts))
    return lambda tensors: -_measure(model.load(dict(tensors)), data)[1]


def predict(model: Model, inputs: Tensor) -> Tensor:
    """Return the logits of all inputs, (num_predictions, num_classes). They are computed in batches to save memory."""
    with torch.no_grad():
        return torch.cat([model(part).logits for part in torch.split(inputs, EVALUATED_AT_ONCE)])


def _as_tensors(examples: Examples) -> LocalData:
    return LocalData(torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels))
