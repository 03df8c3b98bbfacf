"""The client's side: turns a function that trains experts into Flower's ClientApp."""

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
    """What a client is asked to do, beside the weights and the experts.

    Attributes
    ----------
    client
        Index of the client: its node's ``partition-id``.
    round
        Rounds done before this one.
    config
        The strategy's ``train_config``.
    context
        Flower's: configuration of the run and of the node, and what the node remembers.
    """

    client: int
    round: int
    config: Mapping[str, Any]
    context: Context


Train: TypeAlias = Callable[[dict[str, Array], tuple[int, ...], Task], tuple[Mapping[str, Array], Measures]]


def client_app(
    train: Train, *, num_examples: Callable[[Context], int] | None = None, mods: Sequence[Any] = ()
) -> ClientApp:
    """Make a ClientApp that tells the server who it is, and trains what it is sent.

    Parameters
    ----------
    train
        Called with the weights of the shared part and of its experts (numpy arrays or torch tensors, as the server has
        them; they may be changed in place), these experts ascending, and the :class:`Task`. Returns the trained
        weights, of the router those rows that the strategy wants, and the measures by name: ``num_examples`` that it
        trained on; ``usage``, ``loss`` and ``accuracy``, one number per expert (:class:`alignsolve.Report`); if it has
        them, ``router_mass``, one number per expert of the whole model, and ``seconds``. What it raises makes it a
        dropout of the round; a ``MemoryError``, torch's too, tells the server that the experts did not fit.
    num_examples
        How many examples the client has; the server refuses a client that claims more. None: it does not tell.
    mods
        Flower's modifiers of the app.

    Notes
    -----
    Every node needs ``partition-id`` in its ``--node-config``: the client's index. Simulated nodes have it.
    """
    app = ClientApp(mods=list(mods))

    @app.query(wire.WHO)
    def who(message: Message, context: Context) -> Message:
        said: dict[str, Any] = {"client": _client(context)}
        if num_examples is not None:
            said["num-examples"] = num_examples(context)
        return Message(RecordDict({wire.MEASURES: MetricRecord(said)}), reply_to=message)

    @app.train()
    def train_experts(message: Message, context: Context) -> Message:
        return Message(_trained(train, message.content, context), reply_to=message)

    return app


def _client(context: Context) -> int:
    if "partition-id" not in context.node_config:
        raise ValueError(
            "the node has no partition-id: start it with --node-config 'partition-id=0', the client's index"
        )
    return int(context.node_config["partition-id"])


def _trained(train: Train, content: RecordDict, context: Context) -> RecordDict:
    number, experts = wire.read_task(content)
    task = Task(_client(context), number, dict(content.config_records[wire.CONFIG]), context)
    weights = unpack(content.array_records[wire.WEIGHTS])
    return wire.write_sent(train_and_measure(lambda: train(weights, experts, task), experts))
