"""Finds out which node is which client. Flower gives a node a new id whenever it connects, so nodes are asked.

A new node is asked once, by a query. A node that did not reply in a round is asked again, and takes part in no round
before it has answered. The reason: Flower lists a dead node for up to a minute, and every round would wait for it in
vain. The answers are collected when the next round begins.
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
"""Seconds between two checks for new answers."""


@dataclass
class Roster:
    """The nodes that have reported which client they are.

    Attributes
    ----------
    num_clients
        Number of clients; their indices are 0 .. num_clients - 1.
    max_examples
        The maximum number of examples that a client may report.
    least_memory
        The bytes of memory that a client needs. None: memory need not be reported.
    examples
        By client: the number of examples that it reported, or ``max_examples`` if it reported none.
    memory
        By client: the bytes of memory that it reported; 0 if it reported none.
    """

    num_clients: int
    max_examples: int
    least_memory: float | None = None
    memory: dict[int, int] = field(default_factory=dict)
    examples: dict[int, int] = field(default_factory=dict)
    _node_of: dict[int, int] = field(default_factory=dict)
    _asked: dict[str, int] = field(default_factory=dict)  # nodes that have not answered yet, by the id of the query
    _refused: set[int] = field(default_factory=set)  # nodes that were refused in this round

    def refresh(self, grid: Grid, *, enough: int, patience: float) -> dict[int, int]:
        """Find the connected clients, and wait until there are enough of them.

        Parameters
        ----------
        grid
            Flower's grid.
        enough
            Number of clients to wait for.
        patience
            Maximum number of seconds to wait.

        Returns
        -------
        dict
            The node id of each connected client, ascending by client; possibly fewer than ``enough``.
        """
        deadline = time.monotonic() + patience
        self._refused.clear()
        self._look(grid)
        while len(self._node_of) < enough and (left := deadline - time.monotonic()) > 0.0:
            time.sleep(min(PAUSE, left))
            self._look(grid)
        return dict(sorted(self._node_of.items()))

    def lost(self, clients: Iterable[int]) -> None:
        """Forget the nodes of clients that did not answer. They are asked again."""
        for client in clients:
            self._node_of.pop(client, None)

    def _look(self, grid: Grid) -> None:
        """Ask new nodes, and collect the answers that have arrived."""
        # Forget nodes that have disconnected.
        online = set(grid.get_node_ids())
        self._node_of = {client: node for client, node in self._node_of.items() if node in online}
        self._asked = {query: node for query, node in self._asked.items() if node in online}
        self._refused &= online
        # Ask the nodes that are new.
        known = {*self._node_of.values(), *self._asked.values(), *self._refused}
        self._ask(grid, sorted(online - known))
        # Collect the answers, in the order of the nodes.
        if self._asked:
            for reply in sorted(grid.pull_messages(list(self._asked)), key=lambda reply: reply.metadata.src_node_id):
                self._hear(reply)

    def _ask(self, grid: Grid, nodes: list[int]) -> None:
        """Send each of these nodes the query for its client index."""
        for node in nodes:  # one at a time, because a grid may return no id for a message that it could not send
            query = Message(RecordDict(), node, f"query.{wire.WHO}", group_id=wire.WHO)
            self._asked |= {sent: node for sent in grid.push_messages([query]) if sent}

    def _hear(self, reply: Message) -> None:
        """Read a node's answer; add the node to the roster, or refuse it for this round."""
        node = self._asked.pop(reply.metadata.reply_to_message_id, None)
        if node is None:
            return
        fault = f"has no answer: {reply.error.reason}" if reply.has_error() else self._admit(node, reply.content)
        if fault is not None:
            self._refused.add(node)
            LOG.warning("node %s takes no part: it %s", node, fault)

    def _admit(self, node: int, said: RecordDict) -> str | None:
        """Add a node to the roster; return the reason if it is refused, else None."""
        client, num_examples, memory = wire.read_who(said)
        if type(client) is not int or type(num_examples) not in (int, type(None)):
            return f"says that it is client {client!r} with {num_examples!r} examples"
        if not 0 <= client < self.num_clients:
            return f"says that it is client {client}; there are 0..{self.num_clients - 1}"
        if num_examples is not None and not 0 < num_examples <= self.max_examples:
            return f"says that it has {num_examples} examples; it must be more than 0 and at most {self.max_examples}"
        if self.least_memory is not None and not (type(memory) is int and memory >= self.least_memory):
            missing = f": {self.least_memory - memory:,.0f} are missing" if type(memory) is int else ""
            return f"says that it has {memory!r} bytes of memory; training takes {self.least_memory:,.0f}{missing}"
        if client in self._node_of:
            return f"says that it is client {client}, as node {self._node_of[client]} did, which is still there"
        self._node_of[client] = node
        self.examples[client] = self.max_examples if num_examples is None else num_examples
        self.memory[client] = memory if type(memory) is int else 0
        LOG.info("node %s is client %s", node, client)
        return None
