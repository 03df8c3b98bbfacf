"""The server: what stays the same all through a run, and the state that a round turns into the next one."""

from dataclasses import dataclass

import torch
from torch.nn import functional

from alignsolve import Aligner, AlignerState, CapacityProfiler, LoadMonitor, LossFitness, RouterFitness
from alignsolve.numerics import BoolArray, IntArray
from fedtrain import data, devices
from fedtrain.attacks import draw_attackers
from fedtrain.client import LocalData
from fedtrain.config import AlignmentConfig, ConfigError, RunConfig
from fedtrain.devices import Fleet
from fedtrain.moe import ModelSpec, MoE, Tensors, initial_tensors, skeleton
from fedtrain.randomness import Purpose, generator


@dataclass(frozen=True, eq=False)
class Federation:
    """All that stays the same during a run.

    Attributes
    ----------
    config
        The run's configuration.
    spec
        Sizes of the model.
    clients
        Each client's training examples.
    test
        The examples for evaluation.
    label_counts
        (num_clients, num_classes) training examples per client and class.
    fleet
        The clients' devices.
    shared_bytes, expert_bytes
        Memory that training takes: of the shared part, and of each expert.
    attackers
        (num_clients,) which clients mean harm.
    aligner
        Decides who trains what.
    """

    config: RunConfig
    spec: ModelSpec
    clients: tuple[LocalData, ...]
    test: LocalData
    label_counts: IntArray
    fleet: Fleet
    shared_bytes: int
    expert_bytes: int
    attackers: BoolArray
    aligner: Aligner

    @property
    def tier(self) -> IntArray:
        """(num_clients,) each client's place in ``fleet.tier_names``."""
        return self.fleet.tier


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
        If there is too little data for the clients, a tier too small for the model, or a trace of devices that cannot
        be used.
    """
    torch.set_num_threads(config.threads)
    torch.use_deterministic_algorithms(True)
    train, test = data.split(generator(config.seed, Purpose.SPLIT), data.load_digits(), config.data.test_fraction)
    parts = _partition(config, train)
    model = config.model
    spec = ModelSpec(
        num_inputs=train.inputs.shape[1],
        num_classes=train.num_classes,
        num_features=model.num_features,
        num_hidden=model.num_hidden,
        num_experts=model.num_experts,
        top_k=model.top_k,
    )
    shared_bytes, expert_bytes = devices.footprint(skeleton(spec), config.training)
    fleet = devices.make_fleet(config, shared_bytes, expert_bytes)
    return Federation(
        config=config,
        spec=spec,
        clients=tuple(_as_tensors(train.select(part)) for part in parts),
        test=_as_tensors(test),
        label_counts=data.label_counts(train.labels, parts, train.num_classes),
        fleet=fleet,
        shared_bytes=shared_bytes,
        expert_bytes=expert_bytes,
        attackers=draw_attackers(config),
        aligner=_aligner(config.alignment, fleet, shared_bytes, expert_bytes),
    )


def initial_state(federation: Federation) -> ServerState:
    """Draw the model; nothing is known yet about anyone's fitness."""
    config = federation.config
    seed = int(generator(config.seed, Purpose.MODEL).integers(2**63))
    tensors = initial_tensors(federation.spec, torch.Generator().manual_seed(seed))
    aligner = federation.aligner.init(federation.fleet.num_joined(0), config.model.num_experts, seed=config.seed)
    return ServerState(round=0, tensors=tensors, aligner=aligner)


def evaluate(federation: Federation, tensors: Tensors) -> tuple[float, float]:
    """Return the whole model's accuracy and mean loss on the test set."""
    test = federation.test
    with torch.no_grad():
        logits = MoE(federation.spec, range(federation.spec.num_experts)).load(tensors)(test.inputs).logits
        accuracy = (logits.argmax(dim=1) == test.labels).double().mean()
        loss = functional.cross_entropy(logits.double(), test.labels)
    return float(accuracy), float(loss)


def _partition(config: RunConfig, train: data.Examples) -> list[IntArray]:
    partition = data.PARTITIONS[config.data.partition]
    rng = generator(config.seed, Purpose.PARTITION)
    wanted = {"alpha": config.data.alpha, "min_examples": config.data.min_examples}
    try:
        return partition(rng, train.labels, config.clients.num_clients, **wanted)
    except ValueError as error:
        raise ConfigError(f"clients.num_clients, data.min_examples: {error}") from error


def _as_tensors(examples: data.Examples) -> LocalData:
    return LocalData(torch.from_numpy(examples.inputs), torch.from_numpy(examples.labels))


def _aligner(alignment: AlignmentConfig, fleet: Fleet, shared_bytes: int, expert_bytes: int) -> Aligner:
    memory = fleet.declared.memory_bytes
    return Aligner(
        fitness=_fitness(alignment),
        load=LoadMonitor(tolerance=alignment.tolerance, catch_up=alignment.catch_up),
        capacity=CapacityProfiler(memory=memory, expert_bytes=expert_bytes, shared_bytes=shared_bytes),
        solver=alignment.solver,
    )


def _fitness(alignment: AlignmentConfig) -> LossFitness | RouterFitness:
    if alignment.fitness == "router":
        return RouterFitness(beta=alignment.newest_weight)
    return LossFitness(beta=alignment.newest_weight)
