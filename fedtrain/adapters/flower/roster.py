"""Finds out which node is which client: nodes are asked, because Flower gives them new ids whenever they connect.

A node that has joined is asked once, by a query. One that let a round pass without a reply is asked again, and is no
part of a round before it has answered: Flower lists a node that died for up to a minute, and every round would wait for
it in vain. Nobody waits for such answers; they are collected when the next round begins.
"""

import logging
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from flwr.app import Message, RecordDict
from flwr.serverapp import Grid

from fedtrain.adapters.flower import wire

LOG = logging.getLogger("flwr")
PAUSE = 0.5
"""Seconds between two looks for what has arrived."""


@dataclass
class Roster:
    """The nodes that have said which client they are.

    Attributes
    ----------
    num_clients
        Clients are 0 .. num_clients - 1.
    max_examples
        The most that a client may say it has.
    examples
        By client, how many examples it said it has; ``max_examples`` where it said nothing.
    """

    num_clients: int
    max_examples: int
    examples: dict[int, int] = field(default_factory=dict)
    _node_of: dict[int, int] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)  # nodes that have not answered yet, by the query's id
    _refused: set[int] = field(default_factory=set)  # in this round

    def refresh(self, grid: Grid, *, enough: int, patience: float) -> dict[int, int]:
        """Find out who is there.

        Parameters
        ----------
        grid
            Flower's.
        enough
            How many clients to wait for, if they are not there already.
        patience
            Seconds to wait at most.

        Returns
        -------
        dict
            Node id by client, ascending; possibly fewer than ``enough``.
        """
        deadline = time.monotonic() + patience
        self._refused.clear()
        self._look(grid)
        while len(self._node_of) < enough and (left := deadline - time.monotonic()) > 0.0:
            time.sleep(min(PAUSE, left))
            self._look(grid)
        return dict(sorted(self._node_of.items()))

    def lost(self, clients: Iterable[int]) -> None:
        """Forget the nodes of clients from which nothing came back; they will be asked anew."""
        for client in clients:
            self._node_of.pop(client, None)

    def _look(self, grid: Grid) -> None:
        online = set(grid.get_node_ids())
        self._node_of = {client: node for client, node in self._node_of.items() if node in online}
        self._asked = {query: node for query, node in self._asked.items() if node in online}
        self._refused &= online
        known = {*self._node_of.values(), *self._asked.values(), *self._refused}
        self._ask(grid, sorted(online - known))
        if self._asked:
            for reply in sorted(grid.pull_messages(list(self._asked)), key=lambda reply: reply.metadata.src_node_id):
                self._hear(reply)

    def _ask(self, grid: Grid, nodes: list[int]) -> None:
        for node in nodes:  # one at a time: a grid may leave out the ids of those that it could not send
            query = Message(RecordDict(), node, f"query.{wire.WHO}", group_id=wire.WHO)
            self._asked |= {sent: node for sent in grid.push_messages([query]) if sent}

    def _hear(self, reply: Message) -> None:
        node = self._asked.pop(reply.metadata.reply_to_message_id, None)
        if node is None:
            return
        fault = f"has no answer: {reply.error.reason}" if reply.has_error() else self._admit(node, reply.content)
        if fault is not None:
            self._refused.add(node)
            LOG.warning("node %s takes no part: it %s", node, fault)

    def _admit(self, node: int, said: RecordDict) -> str | None:
        """Take a node in, or say why not."""
        client, num_examples = wire.read_who(said)
        if type(client) is not int or type(num_examples) not in (int, type(None)):
            return f"says that it is client {client!r} with {num_examples!r} examples"
        if not 0 <= client < self.num_clients:
            return f"says that it is client {client}; there are 0..{self.num_clients - 1}"
        if num_examples is not None and not 0 < num_examples <= self.max_examples:
            return f"says that it has {num_examples} examples; it must be more than 0 and at most {self.max_examples}"
        if client in self._node_of:
            return f"says that it is client {client}, as node {self._node_of[client]} did, which is still there"
        self._node_of[client] = node
        self.examples[client] = self.max_examples if num_examples is None else num_examples
        LOG.info("node %s is client %s", node, client)
        return None
