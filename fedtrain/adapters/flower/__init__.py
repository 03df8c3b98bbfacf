"""Alignment for Flower: a strategy that sends each client its experts only, and a client app that trains them.

::

    app = client_app(train)                                                         # what the clients run

    strategy = AlignedStrategy(Aligner(capacity=...), num_clients=100)              # what the server runs
    result = strategy.start(grid, pack(weights), num_rounds=50, timeout=600)
"""

try:
    import flwr  # noqa: F401
except ModuleNotFoundError as error:
    if error.name != "flwr":
        raise
    raise ModuleNotFoundError(
        "fedtrain.adapters.flower needs Flower: pip install 'alignsolve[flower]'", name="flwr"
    ) from error

from fedtrain.adapters.flower.client import Task, client_app
from fedtrain.adapters.flower.records import RecordError, pack, unpack
from fedtrain.adapters.flower.saved import SavedStateError, load_weights
from fedtrain.adapters.flower.strategy import AlignedStrategy, TooFewClientsError

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
