"""Layout of a transformer's checkpoint on disk: one key per expert and matrix.

An expert's key is ``model.layers.0.mlp.experts.3.gate_proj.weight`` (Mixtral:
``block_sparse_moe.experts.3.w1.weight``). The router is ``…mlp.gate.weight`` (E, H). The transformers library fuses the
experts while it loads them (:mod:`fedtrain.layouts.fused`). So weights from a file and weights from memory have
different layouts and must not be mixed.
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
    """Read the layout of a whole checkpoint; return None if it is of another kind.

    Raises
    ------
    LayoutError
        If a layer lacks an expert, as in a client's slice.
    """
    return read_modules("on-disk", weights, EXPERT)
