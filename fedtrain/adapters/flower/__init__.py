"""Alignment for Flower: a strategy that sends each client its experts only, and a client app that trains them.

::

    app = client_app(train)                                                         # on the clients

    strategy = AlignedStrategy(Aligner(capacity=...), num_clients=100)              # on the server
    result = strategy.start(grid, pack(weights), num_rounds=50, timeout=600)

Users import it; it needs the extra ``[flower]``. It imports the rooms below and :mod:`fedtrain.adapters.exchange`.
"""

from fedtrain.config.extras import require

require("flower", "flwr", "safetensors")

from fedtrain.adapters.flower.client import Task, client_app  # noqa: E402
from fedtrain.adapters.flower.records import RecordError, pack, unpack  # noqa: E402
from fedtrain.adapters.flower.strategy import AlignedStrategy  # noqa: E402
from fedtrain.server.checkpoint import SavedStateError, load_weights  # noqa: E402
from fedtrain.server.session import TooFewClientsError  # noqa: E402

__all__ = [
    "AlignedStrategy",
    "RecordError",
    "SavedStateError",
    "Task",
    "TooFewClientsError",
    "client_app",
    "load_weights",
    "pack",
    "unpack",
]
