"""The client's side: turns a function that trains experts into a ClientApp of Flower."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from flwr.app import Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from fedtrain.adapters.exchange import Measures, train_and_measure
from fedtrain.adapters.flower import wire
from fedtrain.adapters.flower.records import unpack
from fedtrain.aggregate.arrays import Array


@dataclass(frozen=True)
class Task:
    """The task of a client, without the weights and the experts.

    Attributes
    ----------
    client
        Index of the client: its node's ``partition-id``.
    round
        Number of rounds done before this one.
    config
        The ``train_config`` of the strategy.
    context
        Flower's context: the configuration of the run and of the node, and the node's state.
    pull
        Whether the aligner advises an auxiliary loss that pulls the router to the experts held. A training without such
        a loss need not look at it.
    """

    client: int
    round: int
    config: Mapping[str, Any]
    context: Context
    pull: bool = True


Train: TypeAlias = Callable[[dict[str, Array], tuple[int, ...], Task], tuple[Mapping[str, Array], Measures]]


def client_app(
    train: Train,
    *,
    num_examples: Callable[[Context], int] | None = None,
    memory: Callable[[Context], int] | None = None,
    router_mass: Callable[[dict[str, Array], Context], Sequence[float]] | None = None,
    mods: Sequence[Any] = (),
) -> ClientApp:
    """Make a ClientApp that reports its client's index to the server and trains the experts that it is sent.

    Parameters
    ----------
    train
        The training function. Its arguments and results are described in the notes.
    num_examples
        Returns the client's number of examples. The server then refuses an update that claims more. None: the number is
        not reported.
    memory
        Returns the bytes that the client's device can spend on training, without activations. A strategy with
        ``memory="reported"`` needs it. None: the memory is not reported.
    router_mass
        Returns the mean probabilities of the client's router on its examples, one number per expert of the whole model,
        given the shared part and the whole router. An aligner with ``fresh_masses`` needs it: it is called before each
        round is aligned. None: the client sends none, and its last report counts.
    mods
        Flower's modifiers of the app.

    Notes
    -----
    ``train`` is called with three arguments:

    - the weights of the shared part and of the client's experts, as numpy arrays or torch tensors, like the server's;
      they may be changed in place;
    - these experts, ascending;
    - the :class:`Task`.

    It returns the trained weights and the measures by name. The weights hold the rows of the router that the strategy's
    ``router_up`` asks for. The measures are ``num_examples``, the number of examples trained on, and ``usage``,
    ``loss`` and ``accuracy``, each with one number per expert (:class:`alignsolve.Report`). Two measures are optional:
    ``router_mass``, with one number per expert of the whole model, and ``seconds``.

    If ``train`` raises an error, the client drops out of the round. A ``MemoryError``, or torch's ``OutOfMemoryError``,
    tells the server that the experts did not fit.

    Every node needs ``partition-id``, the client's index, in its ``--node-config``. Simulated nodes have it.
    """
    app = ClientApp(mods=list(mods))

    @app.query(wire.WHO)
    def who(message: Message, context: Context) -> Message:
        said: dict[str, Any] = {"client": _client(context)}
        if num_examples is not None:
            said["num-examples"] = num_examples(context)
        if memory is not None:
            said["memory-bytes"] = int(memory(context))
        return Message(RecordDict({wire.MEASURES: MetricRecord(said)}), reply_to=message)

    @app.query(wire.MASS)
    def mass(message: Message, context: Context) -> Message:
        if router_mass is None:
            return Message(RecordDict(), reply_to=message)
        told = router_mass(unpack(message.content.array_records[wire.WEIGHTS]), context)
        said = MetricRecord({"router-mass": [float(one) for one in told]})
        return Message(RecordDict({wire.MEASURES: said}), reply_to=message)

    @app.train()
    def train_experts(message: Message, context: Context) -> Message:
        return Message(_trained(train, message.content, context), reply_to=message)

    return app


def _client(context: Context) -> int:
    """Return the client's index, the node's ``partition-id``."""
    if "partition-id" not in context.node_config:
        raise ValueError(
            "the node has no partition-id: start it with --node-config 'partition-id=0', the client's index"
        )
    return int(context.node_config["partition-id"])


def _trained(train: Train, content: RecordDict, context: Context) -> RecordDict:
    """Read a task, train, and return the answer."""
    number, experts, pull = wire.read_task(content)
    task = Task(_client(context), number, dict(content.config_records[wire.CONFIG]), context, pull)
    weights = unpack(content.array_records[wire.WEIGHTS])
    return wire.write_sent(train_and_measure(lambda: train(weights, experts, task), experts))
