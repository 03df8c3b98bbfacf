"""Whole models, loaded from disk or made from a config, and their weights by name."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from fedtrain.layouts import detect

AUTO: Any = AutoModelForCausalLM


def load_model(
    source: str | Path | PreTrainedConfig, *, seed: int = 0, dtype: str | None = None, local_files_only: bool = True
) -> Any:
    """Return a causal language model with experts.

    Parameters
    ----------
    source
        A model's name or the path of its folder; or a config, for a model with random weights.
    seed
        Seed of the random weights. The state of torch's global generator is not changed.
    dtype
        Type of the parameters, such as ``"bfloat16"``; None: the type in the file.
    local_files_only
        False allows transformers to download a model that is not on this machine.

    Raises
    ------
    FileNotFoundError
        If the model cannot be loaded.
    LayoutError
        If the model has no experts, or its experts cannot be detected.
    """
    if isinstance(source, PreTrainedConfig):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = AUTO.from_config(source, dtype=dtype)
    else:
        model = _from_disk(source, {} if dtype is None else {"dtype": dtype}, local_files_only)
    detect(weights_of(model))
    return model


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's parameters and persistent buffers by name. They share memory with the model.

    Tied embeddings are one tensor with two names. Such a tensor is returned under its first name only, so it is sent
    once.
    """
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tied = names - {name for name, _ in model.named_parameters()}
    return {name: value.detach() for name, value in model.state_dict().items() if name not in tied}


def _from_disk(source: str | Path, options: dict[str, Any], local_files_only: bool) -> Any:
    """Load a model by name or path; raise FileNotFoundError if it cannot be loaded."""
    try:
        return AUTO.from_pretrained(str(source), local_files_only=local_files_only, **options)
    except OSError as error:
        hint = "; nothing is downloaded unless local_files_only=False" if local_files_only else ""
        raise FileNotFoundError(f"there is no model {str(source)!r} to load{hint}: {error}") from error
