"""AlignedStrategy: Flower's rounds with alignment.

Each client is sent its own experts only, and each expert is merged over the clients that hold it.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Result, Strategy

from alignsolve import Outcome
from alignsolve.numerics import IntArray
from fedtrain.adapters.flower import wire
from fedtrain.adapters.flower.records import is_plain, pack, unpack
from fedtrain.adapters.flower.roster import Roster
from fedtrain.partial import slice_weights
from fedtrain.server.inspection import Answer
from fedtrain.server.session import Session
from fedtrain.server.step import Pending

LOG = logging.getLogger("flwr")

Evaluate = Callable[[int, ArrayRecord], MetricRecord | None]


@dataclass(frozen=True)
class _Sent:
    """A round that waits for its replies."""

    plain: bool  # whether the records are in the plain format
    pending: Pending
    clients: dict[int, int]  # client by node id


@dataclass(eq=False)
class AlignedStrategy(Session, Strategy):
    """Federated training of a Mixture-of-Experts model whose alignment is solved and certified in every round.

    Parameters
    ----------
    aligner
        The aligner, which decides which client trains which expert. A client's index is its node's ``partition-id``.
    num_clients
        Number of clients; their partition ids are 0 .. num_clients - 1.
    seed
        Seed of all random choices: the cohorts, and the breaking of ties.
    sample
        A function of the number of rounds done and the indices of the connected clients, ascending. It returns the
        clients that take part, ascending. If it is None or returns None, ``cohort_fraction`` is drawn from the seed.
    cohort_fraction
        Share of all clients that takes part in a round; at least one client does.
    min_clients
        The smallest number of clients that a round needs.
    patience
        Seconds that a round waits for ``min_clients`` clients to connect. The first round after :meth:`start` waits for
        all clients.
    max_examples
        The maximum number of examples that a client may claim; the number is its weight in the mean.
    router_down, router_up
        The rows of the router that a client is sent, and those that it returns: the rows of its experts (``held``) or
        ``all``. If all clients return the whole router, it is averaged like the shared part.
    memory
        Scalar or (num_clients,): bytes that each client's device can spend on training, without activations. A client
        gets as many experts of all layers together as fit into it. ``"reported"``: each device reports its memory
        (``client_app(memory=...)``), and a node with too little takes no part. None: the aligner's own capacity and
        budget are the only limits.
    copies
        How often each parameter is in a client's memory: itself, its gradient, and the optimiser's moments. 4 for Adam,
        3 for SGD with momentum, 2 without.
    layout
        The mapping from tensors to experts; None: it is detected from names and shapes.
    rule, bad_share
        The rule for merging updates, a name in ``fedtrain.config.server.RULES``; and the share of bad updates among an
        expert's holders that ``trimmed-mean`` and ``multi-krum`` must tolerate. The rule can also be a
        :class:`fedtrain.config.AggregationConfig`, with all its settings.
    score
        A function of a whole model's tensors, for the rule ``learned``: its score on the server's own examples.
    state_dir
        A folder in which the state is saved after every round, and from which :meth:`start` resumes. None: no state is
        saved.
    also
        Further settings that must be equal in a run that resumes a saved state, in values that JSON can hold.

    Notes
    -----
    The server evaluates the model: pass ``evaluate_fn`` to :meth:`start`. Clients are not asked to evaluate, because no
    client has the whole model.
    """

    exchanges_masses: ClassVar[bool] = True
    patience: float = 60.0
    max_examples: int = 10_000_000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.roster = Roster(self.num_clients, self.max_examples)
        self._timeout: float | None = None
        self._first = True
        self._sent: _Sent | None = None

    def summary(self) -> None:
        """Log a summary of this strategy."""
        LOG.info("\t├──> Alignment of %s clients; experts per client as the aligner's capacity says", self.num_clients)
        LOG.info("\t└──> State: %s", "not saved" if self.state_dir is None else self.state_dir)

    def start(
        self,
        grid: Grid,
        initial_arrays: ArrayRecord,
        num_rounds: int = 3,
        timeout: float = 3600,
        train_config: ConfigRecord | None = None,
        evaluate_config: ConfigRecord | None = None,
        evaluate_fn: Evaluate | None = None,
    ) -> Result:
        """Run ``num_rounds`` rounds; after a resumption, only the rest of them.

        The parameters are those of Flower. Clients that do not reply within ``timeout`` seconds drop out of the round.
        ``initial_arrays`` is the whole model, made by :func:`pack` or by Flower's own ``ArrayRecord(state_dict)``.

        Raises
        ------
        LayoutError
            If the model has no experts, or its experts cannot be detected.
        SavedStateError
            If the folder holds another run's state, or the state cannot be read.
        TooFewClientsError
            If fewer than ``min_clients`` are connected in time. The rounds before are saved.
        """
        self._timeout = timeout
        arrays = self._resume(initial_arrays)
        done = self.rounds_done
        evaluated = None if evaluate_fn is None else lambda number, arrays: evaluate_fn(done + number, arrays)
        left = max(num_rounds - done, 0)
        if done and not left:
            LOG.warning(
                "\t──> nothing is trained: %s holds the state after round %s, and num_rounds is %s; raise num_rounds "
                "to go on, or name another state_dir to start anew",
                *(self.state_dir, done, num_rounds),
            )
        result = super().start(grid, arrays, left, timeout, train_config, evaluate_config, evaluated)
        if not result.arrays:  # no round was left
            result.arrays = arrays
        return result

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Align the connected clients, and write a message for each of them."""
        node_of, done = self._gather(grid), self.rounds_done
        if self.reports_memory:
            self.declare(self.roster.memory)
        whole = unpack(arrays)
        fresh = self.aligner.fresh_masses
        probe = pack(slice_weights(whole, self.server.layout, (), router_rows="all")) if fresh else ArrayRecord()

        def ask(cohort: IntArray) -> dict[int, list[float]]:
            return self._ask_masses(grid, {int(client): node_of[client] for client in cohort}, probe)

        pending = self.begin(whole, list(node_of), patience=self.patience, ask=ask)
        messages = []
        for client, experts in pending.assigned.items():
            part = pack(self.server.part(pending, client))
            pending.note(client, bytes_down=part.count_bytes() + probe.count_bytes())
            task = wire.write_task(done, experts, pending.pull)
            content = RecordDict({wire.WEIGHTS: part, wire.TASK: task, wire.CONFIG: ConfigRecord(dict(config))})
            group = str(done + 1)
            messages.append(Message(content, node_of[client], MessageType.TRAIN, ttl=self._lifetime(), group_id=group))
        self._sent = _Sent(is_plain(arrays), pending, {node_of[client]: client for client in pending.assigned})
        return messages

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Inspect the replies, merge their updates expert by expert, let the aligner learn, and save the state."""
        sent, self._sent = self._sent, None
        if sent is None:
            raise RuntimeError("aggregate_train without configure_train before it")
        cap = {client: float(self.roster.examples[client]) for client in sent.pending.assigned}
        done, figures = self.finish(sent.pending, _answers(replies, sent.clients), cap)
        for client, fault in done.inspected.told().items():
            LOG.warning("client %s: %s", client, fault)
        self.roster.lost(done.inspected.silent)
        return pack(done.state.tensors, plain=sent.plain), MetricRecord(dict(figures))

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Return no message: the server evaluates the model."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Return no figures, because no client was asked to evaluate."""
        return None

    def _resume(self, initial: ArrayRecord) -> ArrayRecord:
        """Return the saved model if there is one, else the initial model."""
        self._first = True
        weights = self.resume(unpack(initial))
        self.roster.least_memory = self.least_memory
        if not self.rounds_done:
            return initial
        LOG.info("\t──> going on after round %s, saved in %s", self.rounds_done, self.state_dir)
        return pack(weights, plain=is_plain(initial))

    def _gather(self, grid: Grid) -> dict[int, int]:
        """Return the node of each connected client."""
        enough = self.num_clients if self._first else self.min_clients
        self._first = False
        return self.roster.refresh(grid, enough=enough, patience=self.patience)

    def _ask_masses(self, grid: Grid, node_of: dict[int, int], probe: ArrayRecord) -> dict[int, list[float]]:
        """Ask clients for the router masses of the current model; those without a sound answer are left out."""
        content, group = RecordDict({wire.WEIGHTS: probe}), str(self.rounds_done + 1)
        queries = [
            Message(content, node, f"query.{wire.MASS}", ttl=self._lifetime(), group_id=group)
            for node in node_of.values()
        ]
        client_of, masses = {node: client for client, node in node_of.items()}, {}
        for reply in grid.send_and_receive(queries, timeout=self._timeout):
            client = client_of.get(reply.metadata.src_node_id)
            told = None if reply.has_error() else wire.read_mass(reply.content, self.server.layout.num_experts)
            if client is not None and told is not None:
                masses[client] = told
        for client in sorted(node_of.keys() - masses.keys()):
            LOG.warning("client %s: sent no fresh router masses; those of its last report count", client)
        return masses

    def _lifetime(self) -> float | None:
        """Return the lifetime of a message in seconds. It is longer than the timeout, because clocks may differ."""
        return None if self._timeout is None else 2.0 * self._timeout + 60.0


def _answers(replies: Iterable[Message], clients: dict[int, int]) -> dict[int, list[Answer]]:
    """Read the replies and group them by client. A message that was delivered twice counts as one."""
    arrived: defaultdict[int, dict[str, Message]] = defaultdict(dict)
    for reply in replies:
        client = clients.get(reply.metadata.src_node_id)
        if client is not None:
            arrived[client][reply.metadata.message_id] = reply
    return {client: [_answer(client, reply) for reply in sent.values()] for client, sent in arrived.items()}


def _answer(client: int, reply: Message) -> Answer:
    if reply.has_error():
        return Answer(fault=f"failed: {reply.error.reason}", outcome=Outcome.DROPPED)
    return wire.read_sent(client, reply.content)
