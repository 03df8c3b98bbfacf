"""The server of fedtrain's own loop: the federation, its rounds, its door for replies and its checkpoints.

The run and the comparisons call it. It imports the rooms below: config, data, models, partial, aggregate, simulation,
local and results.
"""

from fedtrain.server.federation import Federation, ServerState, evaluate, initial_state, predict, prepare

__all__ = ["Federation", "ServerState", "evaluate", "initial_state", "predict", "prepare"]
