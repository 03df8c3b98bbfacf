"""Alignment for NVFlare: a controller that sends each client its experts only, and an executor that trains them.

::

    class Train(AlignedExecutor):                                                  # on the clients
        def train(self, weights, experts, task): ...

    class Server(AlignedController):                                               # on the server
        def make_aligner(self): ...
        def initial_weights(self): ...

    job.to_server(Server(clients=["site-1", "site-2"], num_rounds=50, timeout=600))
    job.to_clients(Train(), tasks=["train"])

Users import it; it needs the extra ``[nvflare]``. It imports the rooms below and :mod:`fedtrain.adapters.exchange`.
"""

from fedtrain.config.extras import require

require("nvflare", "nvflare", "torch", "safetensors")

from fedtrain.adapters.nvflare.controller import AlignedController  # noqa: E402
from fedtrain.adapters.nvflare.executor import AlignedExecutor, Task  # noqa: E402
from fedtrain.server.checkpoint import SavedStateError, load_weights  # noqa: E402
from fedtrain.server.session import TooFewClientsError  # noqa: E402

__all__ = [
    "AlignedController",
    "AlignedExecutor",
    "SavedStateError",
    "Task",
    "TooFewClientsError",
    "load_weights",
]
