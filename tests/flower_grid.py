"""A grid that runs ClientApps in this process; nodes may be silent, fail, lie, and answer in any order."""

from collections.abc import Callable, Iterable
from typing import Any
from uuid import uuid4

import numpy as np
from flwr.app import Context, Error, Message, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.task_identity import TaskIdentity

Tamper = Callable[[Message, Message], list[Message]]
"""Given a request and the honest reply, what the grid delivers instead."""


class FakeGrid(Grid):
    """Delivers messages at once, and replies in an order drawn from ``seed``.

    ``nodes`` are node configurations by node id; ``tamper`` are what becomes of replies, by partition.
    """

    def __init__(self, app: ClientApp, nodes: dict[int, dict[str, Any]], *, run_config=None, seed=0) -> None:
        self.app = app
        self.nodes = nodes
        self.run_config = run_config or {}
        self.tamper: dict[int, Tamper] = {}
        self.silent: set[int] = set()  # nodes that are listed, and get nothing done
        self.sent: list[Message] = []
        self.rng = np.random.default_rng(seed)
        self._replies: dict[str, list[Message]] = {}
        TaskIdentity.task_id = TaskIdentity.run_id = TaskIdentity.node_id = 1  # without one, Flower makes no messages

    def set_run(self, run):
        """Not needed."""

    @property
    def run(self):
        """Not needed."""
        raise NotImplementedError

    def create_message(self, content, message_type, dst_node_id, group_id, ttl=None):
        """Create a message as Flower's grid does."""
        return Message(content, dst_node_id, message_type, ttl=ttl, group_id=group_id)

    def get_node_ids(self) -> Iterable[int]:
        """Return all node ids, in some order."""
        return self.rng.permutation(np.array(list(self.nodes), dtype=object)).tolist()

    def push_messages(self, messages: Iterable[Message]) -> Iterable[str]:
        """Deliver each message, and store its reply."""
        ids = []
        for message in messages:
            message.metadata.__dict__["_message_id"] = str(uuid4())
            ids.append(message.metadata.message_id)
            self.sent.append(message)
            self._replies[ids[-1]] = self._answer(message)
        return ids

    def pull_messages(self, message_ids: Iterable[str]) -> Iterable[Message]:
        """Return the replies."""
        replies = [reply for sent in message_ids for reply in self._replies.pop(sent, [])]
        return [replies[k] for k in self.rng.permutation(len(replies))]

    def send_and_receive(self, messages: Iterable[Message], *, timeout=None) -> Iterable[Message]:
        """Push messages and pull replies; a silent node counts as timed out."""
        return self.pull_messages(self.push_messages(messages))

    def trained(self) -> list[Message]:
        """Return all requests to train so far."""
        return [message for message in self.sent if message.metadata.message_type == "train"]

    def _answer(self, message: Message) -> list[Message]:
        node = message.metadata.dst_node_id
        if node in self.silent:
            return []
        context = Context(0, node, self.nodes[node], RecordDict(), self.run_config)
        try:
            reply = self.app(message, context)
        except (ValueError, RuntimeError) as error:
            reply = Message(Error(code=2, reason=f"{type(error).__name__}: {error}"), reply_to=message)
        reply = delivered(reply, node)
        tamper = self.tamper.get(self.nodes[node].get("partition-id"))
        if tamper is None or message.metadata.message_type != "train":
            return [reply]
        return [delivered(changed, node) for changed in tamper(message, reply)]


def delivered(reply: Message, node: int) -> Message:
    """Add to a reply the metadata that Flower adds in transit."""
    if not reply.metadata.message_id:
        reply.metadata.__dict__["_message_id"] = str(uuid4())
    reply.metadata.__dict__["_src_node_id"] = node
    return reply


def bytes_on_the_wire(message: Message) -> int:
    """Return the bytes that Flower sends for a message: values, names, types and references."""
    return sum(len(part.deflate()) for part in get_all_nested_objects(message).values())
