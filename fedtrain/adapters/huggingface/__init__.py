"""Federated fine-tuning of Mixture-of-Experts language models of transformers: of all weights, or of LoRA adapters.

:func:`load_model` loads a model by name or path, or makes one from a config. :class:`FineTuning` defines the trained
weights, copies a client's part of them, and builds the client's model, which has the client's experts only.
:func:`train` trains this model. :func:`run_rounds` is the whole loop.

Users import it; it needs the extra ``[hf]``. It imports the rooms below, most of all :mod:`fedtrain.server`.
"""

from fedtrain.config.extras import require

require("hf", "torch", "transformers", "peft", "safetensors")

from fedtrain.adapters.huggingface.architecture import fewest_experts, layout_of  # noqa: E402
from fedtrain.adapters.huggingface.from_dense import experts_from_dense  # noqa: E402
from fedtrain.adapters.huggingface.local import Training, evaluate, train, windows  # noqa: E402
from fedtrain.adapters.huggingface.lora import Lora  # noqa: E402
from fedtrain.adapters.huggingface.models import load_model, weights_of  # noqa: E402
from fedtrain.adapters.huggingface.rounds import Round, run_rounds  # noqa: E402
from fedtrain.adapters.huggingface.submodel import sub_model  # noqa: E402
from fedtrain.adapters.huggingface.tuning import Download, FineTuning  # noqa: E402

__all__ = [
    "Download",
    "FineTuning",
    "Lora",
    "Round",
    "Training",
    "evaluate",
    "experts_from_dense",
    "fewest_experts",
    "layout_of",
    "load_model",
    "run_rounds",
    "sub_model",
    "train",
    "weights_of",
    "windows",
]
