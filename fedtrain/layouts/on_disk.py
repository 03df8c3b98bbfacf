"""Layout of a transformer's checkpoint on disk: one key per expert and matrix.

``model.layers.0.mlp.experts.3.gate_proj.weight`` (Mixtral: ``block_sparse_moe.experts.3.w1.weight``) beside the router
``…mlp.gate.weight`` (E, H). Transformers fuses them while it loads (:mod:`fedtrain.layouts.fused`): do not mix weights
from a file with weights from memory.
"""

import re

from fedtrain.layouts.layout import Layout, Weights
from fedtrain.layouts.modules import read_modules

LOOKS_FOR = "a checkpoint's keys, '….layers.0.….experts.3.gate_proj.weight' or '….experts.3.w1.weight'"
EXPERT = re.compile(
    r"(?P<layer>(?:.*\.)?layers\.\d+\.(?:.*\.)?)experts\.(?P<expert>\d+)\."
    r"(?:gate_proj|up_proj|down_proj|w1|w2|w3)\.\w+"
)


def read(weights: Weights, num_experts: int | None = None) -> Layout | None:
    """Read the layout of a whole checkpoint; None if it is another one.

    Raises
    ------
    LayoutError
        If a layer lacks an expert, as a client's slice does.
    """
    return read_modules("on-disk", weights, EXPERT)
