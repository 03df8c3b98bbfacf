"""Federated fine-tuning of transformers' Mixture-of-Experts language models, whole or by LoRA.

A model comes by name or path, or from a config (:func:`load_model`). :class:`FineTuning` says what is trained, cuts out
a client's part, and builds the client's model, in which no other experts exist. :func:`train` trains it, and
:func:`run_rounds` is the whole loop.

Users import it; it needs the extra ``[hf]``. It imports the rooms below, most of all :mod:`fedtrain.server`.
"""

from fedtrain.adapters.extras import require

require("hf", "torch", "transformers", "peft", "safetensors")

from fedtrain.adapters.huggingface.local import Training, evaluate, train, windows  # noqa: E402
from fedtrain.adapters.huggingface.lora import Lora  # noqa: E402
from fedtrain.adapters.huggingface.models import load_model, weights_of  # noqa: E402
from fedtrain.adapters.huggingface.rounds import Round, run_rounds  # noqa: E402
from fedtrain.adapters.huggingface.submodel import fewest_experts, sub_model  # noqa: E402
from fedtrain.adapters.huggingface.tuning import Download, FineTuning  # noqa: E402

__all__ = [
    "Download",
    "FineTuning",
    "Lora",
    "Round",
    "Training",
    "evaluate",
    "fewest_experts",
    "load_model",
    "run_rounds",
    "sub_model",
    "train",
    "weights_of",
    "windows",
]
