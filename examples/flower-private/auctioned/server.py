"""The server's app: an auction aligns the clients, then each one trains what it has won.

The server relays public keys, so one that exchanges them for its own can read votes. Against such a server, clients
have to compare their keys by another way.
"""

import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from alignsolve.federated import Auction, Start, Terms, ring
from auctioned import task
from fedtrain.adapters.flower import pack, unpack
from fedtrain.layouts import detect
from fedtrain.partial import PartialUpdate, merge, slice_weights

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Train for the configured rounds."""
    run, weights = context.run_config, task.initial()
    office = Office(grid, int(run["num-clients"]), float(run["timeout"]), str(run["trace"]))
    office.gather(float(run["patience"]))
    start: Start | None = None
    for turn in range(int(run["rounds"])):
        office.turn = turn
        assigned, start = align(office, turn, weights, start)
        weights = trained(office, weights, assigned)
        print(f"round {turn}: accuracy {task.accuracy(weights, office.num_clients):.3f}, experts {assigned}")


class Office:
    """The only way to and from the clients: it keeps who is where, and a trace of everything that arrives."""

    def __init__(self, grid: Grid, num_clients: int, timeout: float, trace: str) -> None:
        self.grid, self.num_clients, self.timeout, self.trace = grid, num_clients, timeout, trace
        self.turn = -1
        self.nodes: dict[int, int] = {}
        self.keys: dict[int, bytes] = {}

    def gather(self, patience: float) -> None:
        """Wait until all clients are there, and take their public keys."""
        deadline = time.monotonic() + patience
        while len(found := list(self.grid.get_node_ids())) < self.num_clients:
            if time.monotonic() > deadline:
                raise TimeoutError(f"{len(found)} of {self.num_clients} clients came within {patience} s")
            time.sleep(0.2)
        replies = self._exchange("query.hello", {node: RecordDict() for node in found})
        for node, content in replies.items():
            client = int(content["hello"]["client"])
            self.nodes[client], self.keys[client] = node, content["hello"]["key"]
        if sorted(self.nodes) != list(range(self.num_clients)):
            raise ValueError(f"clients {sorted(self.nodes)} came; expected 0..{self.num_clients - 1}")

    def tell(self, what: str, contents: Mapping[int, RecordDict]) -> dict[int, RecordDict]:
        """Send each client its content; returns the replies that came in time."""
        replies = self._exchange(what, {self.nodes[client]: content for client, content in contents.items()})
        return {client: replies[self.nodes[client]] for client in contents if self.nodes[client] in replies}

    def _exchange(self, what: str, contents: Mapping[int, RecordDict]) -> dict[int, RecordDict]:
        messages = [Message(content, node, what, group_id=str(self.turn)) for node, content in contents.items()]
        replies: dict[int, RecordDict] = {}
        for reply in self.grid.send_and_receive(messages, timeout=self.timeout):
            node = reply.metadata.src_node_id
            if reply.has_error():
                print(f"{what}: node {node} failed: {reply.error.reason}")
            else:
                replies[node] = reply.content
                self._note(what, node, reply.content)
        return replies

    def _note(self, what: str, node: int, content: RecordDict) -> None:
        """Write a reply to the trace, whole."""
        if not self.trace:
            return
        fields: dict[str, Any] = {
            f"{record}/{key}": value.hex() if isinstance(value, bytes) else value
            for record, values in content.config_records.items()
            for key, value in values.items()
        }
        fields |= {f"{record}/": sorted(values) for record, values in content.array_records.items()}
        fields |= {
            f"{record}/{key}": v for record, values in content.metric_records.items() for key, v in values.items()
        }
        with Path(self.trace).open("a", encoding="utf-8") as file:
            file.write(json.dumps({"turn": self.turn, "what": what, "node": str(node), "fields": fields}) + "\n")


def align(
    office: Office, turn: int, weights: dict[str, Any], start: Start | None
) -> tuple[dict[int, tuple[int, ...]], Start]:
    """Hold the auction of a round, and then ask each client what it has won."""
    clients = range(office.num_clients)
    terms = Terms(office.num_clients, task.NUM_EXPERTS, "loads", auction=turn)
    near = ring(clients, task.NEIGHBOURS, rng=np.random.default_rng(turn))
    router = pack({"router.weight": weights["router.weight"]})
    office.tell(
        "query.begin",
        {
            client: RecordDict(
                {
                    "terms": ConfigRecord(
                        {
                            "num-clients": office.num_clients,
                            "auction": turn,
                            "neighbours": list(near[client]),
                            "keys": [office.keys[each] for each in near[client]],
                        }
                    ),
                    "router": router,
                }
            )
            for client in clients
        },
    )
    auction = Auction(terms, clients, masked=True, start=start, **task.BOUNDS, **task.LIMITS)
    while not auction.finished:
        missing = auction.missing.tolist()
        asks = {i: RecordDict({"ask": ConfigRecord({"message": auction.message(i)})}) for i in missing}
        for client, content in office.tell("query.ask", asks).items():
            auction.receive(client, content["answer"]["answer"])
        auction.without(auction.missing.tolist())  # they had their time
        auction.next()
    outcome = auction.outcome
    print(
        f"round {turn}: {outcome.exchanges} exchanges, gap {outcome.gap:.4f}, loads {outcome.loads}, {outcome.faults}"
    )
    told = office.tell("query.won", {int(client): RecordDict() for client in outcome.clients})
    return {client: tuple(content["won"]["experts"]) for client, content in told.items()}, outcome.start


def trained(office: Office, weights: dict[str, Any], assigned: dict[int, tuple[int, ...]]) -> dict[str, Any]:
    """Send each client its experts, and merge what comes back."""
    layout = detect(weights)
    tasks = {
        client: RecordDict(
            {
                "weights": pack(slice_weights(weights, layout, experts)),
                "task": ConfigRecord({"experts": list(experts)}),
            }
        )
        for client, experts in assigned.items()
    }
    updates = [
        PartialUpdate(
            client,
            assigned[client],
            unpack(content["weights"]),
            int(content["measures"]["num-examples"]),
            usage=list(content["measures"]["usage"]),
        )
        for client, content in office.tell("train", tasks).items()
    ]
    merged = merge(weights, updates, layout, assigned=assigned, cap=task.EXAMPLES)
    print(f"{len(updates)} updates, refused: {merged.faults}")
    return merged.weights
