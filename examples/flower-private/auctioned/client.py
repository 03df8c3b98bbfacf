"""The clients' app: it keeps its fitness and its key, votes at the server's prices, and trains what it has won.

Flower starts a client anew for each message. So the context keeps the key and the questions of the present auction. The
bidder is made again, and is asked the earlier questions again: it gives the same answers.
"""

import hashlib

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from flwr.app import ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp

from alignsolve.federated import Bidder, PairMasks, Terms
from auctioned import task
from fedtrain.adapters.flower import pack, unpack

app = ClientApp()


@app.query("hello")
def hello(message: Message, context: Context) -> Message:
    """Make a key for this run, and send its public half."""
    key = X25519PrivateKey.generate()
    context.state["own"] = ConfigRecord({"key": key.private_bytes_raw()})
    said = {"client": _client(context), "key": key.public_key().public_bytes_raw()}
    return Message(RecordDict({"hello": ConfigRecord(said)}), reply_to=message)


@app.query("begin")
def begin(message: Message, context: Context) -> Message:
    """Keep the terms, the neighbours' keys and the router; nothing was asked yet."""
    context.state["terms"] = message.content["terms"]
    context.state["router"] = message.content["router"]
    context.state["asked"] = ConfigRecord({"messages": []})
    return Message(RecordDict(), reply_to=message)


@app.query("ask")
def ask(message: Message, context: Context) -> Message:
    """Vote at the server's prices."""
    asked = [*context.state["asked"]["messages"], message.content["ask"]["message"]]
    context.state["asked"] = ConfigRecord({"messages": asked})
    _, answer = _bidder(context)
    return Message(RecordDict({"answer": ConfigRecord({"answer": answer})}), reply_to=message)


@app.query("won")
def won(message: Message, context: Context) -> Message:
    """After the auction, say which experts to send."""
    bidder, _ = _bidder(context)
    return Message(RecordDict({"won": ConfigRecord({"experts": bidder.experts.tolist()})}), reply_to=message)


@app.train()
def train(message: Message, context: Context) -> Message:
    """Train the experts won."""
    experts = list(message.content["task"]["experts"])
    trained, usage = task.train(_client(context), unpack(message.content["weights"]), experts)
    measures = MetricRecord({"num-examples": task.EXAMPLES, "usage": usage})
    return Message(RecordDict({"weights": pack(trained), "measures": measures}), reply_to=message)


def _bidder(context: Context) -> tuple[Bidder, bytes]:
    """Make the bidder of the present auction, and return it with its last answer."""
    said, client = context.state["terms"], _client(context)
    terms = Terms(said["num-clients"], task.NUM_EXPERTS, "loads", auction=said["auction"])
    key = X25519PrivateKey.from_private_bytes(context.state["own"]["key"])
    secrets = {
        neighbour: hashlib.sha256(key.exchange(X25519PublicKey.from_public_bytes(public))).digest()
        for neighbour, public in zip(said["neighbours"], said["keys"], strict=True)
    }
    fitness = task.fitness(client, unpack(context.state["router"])["router.weight"])
    capacity = task.CAPACITY[client % 2]
    bidder = Bidder(terms, client, fitness, capacity=capacity, demand=1, masks=PairMasks(client, secrets))
    answer = b""
    for message in context.state["asked"]["messages"]:
        answer = bidder.answer(message)
    return bidder, answer


def _client(context: Context) -> int:
    return int(context.node_config["partition-id"])
