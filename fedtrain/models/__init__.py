"""Mixture-of-Experts models, whole or as a client's part; ``MODELS`` lists the values of ``model.kind``.

A model is a spec (:class:`~fedtrain.models.model.ModelSpec`) that builds modules. To add a kind of model, write a file
with such a spec and with a function that fits the spec to data. Then add a line to MODELS, and add the name to
:data:`fedtrain.config.model.MODEL_KINDS`. A user's own model is such a function that the configuration names.

The rooms above call it. It imports config and data.
"""

from collections.abc import Callable

from fedtrain.config.model import ModelConfig
from fedtrain.data.examples import Examples
from fedtrain.models.conv import conv_spec
from fedtrain.models.mlp import MLPSpec, mlp_expert, mlp_spec
from fedtrain.models.model import Model, ModelSpec, OneLayer, Routed, initial_tensors, layer_sizes, num_active, skeleton
from fedtrain.models.tensors import Tensors, expert_of, num_bytes, part_to_download, part_to_upload
from fedtrain.models.transformer import transformer_spec

__all__ = [
    "MODELS",
    "MLPSpec",
    "Model",
    "ModelSpec",
    "OneLayer",
    "Routed",
    "Tensors",
    "expert_of",
    "initial_tensors",
    "layer_sizes",
    "mlp_expert",
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
"""Every kind of model by name: a function that makes its spec from the ``model`` section and any of the examples."""
