"""Mixture-of-Experts models, whole or as a client's part; ``MODELS`` has what ``model.kind`` may be.

A model is a spec (:class:`~fedtrain.models.model.ModelSpec`) that builds modules. A new one is a file with such a spec
and a function that fits it to data, a line in MODELS, and its name in :data:`fedtrain.config.model.MODEL_KINDS`.

The rooms above call it. It imports config and data.
"""

from collections.abc import Callable

from fedtrain.config.model import ModelConfig
from fedtrain.data.examples import Examples
from fedtrain.models.conv import conv_spec
from fedtrain.models.mlp import MLPSpec, mlp_spec
from fedtrain.models.model import Model, ModelSpec, Routed, initial_tensors, layer_sizes, num_active, skeleton
from fedtrain.models.tensors import Tensors, expert_of, num_bytes, part_to_download, part_to_upload
from fedtrain.models.transformer import transformer_spec

__all__ = [
    "MODELS",
    "MLPSpec",
    "Model",
    "ModelSpec",
    "Routed",
    "Tensors",
    "expert_of",
    "initial_tensors",
    "layer_sizes",
    "num_active",
    "num_bytes",
    "part_to_download",
    "part_to_upload",
    "skeleton",
]

MODELS: dict[str, Callable[[ModelConfig, Examples], ModelSpec]] = {
    "mlp": mlp_spec,
    "conv": conv_spec,
    "transformer": transformer_spec,
}
"""Every kind of model by name: its spec, from the ``model`` section and the data (any examples of them)."""
