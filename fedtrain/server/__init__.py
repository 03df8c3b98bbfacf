"""The server: the federated round that all loops share, inspection of answers, checkpoints, and fedtrain's own loop.

The run, the comparisons and the adapters call it. It imports config, data, layouts, models, aggregate, partial,
simulation, local and results. The names of this package load torch when they are first used. Its modules for rounds of
numpy arrays work without torch.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fedtrain.server.federation import Federation, evaluate, initial_state, predict, prepare
    from fedtrain.server.step import ServerState

__all__ = ["Federation", "ServerState", "evaluate", "initial_state", "predict", "prepare"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fedtrain.server import federation  # noqa: PLC0415

    return getattr(federation, name)
