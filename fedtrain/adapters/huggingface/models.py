"""Whole models, loaded from disk or made from a config, and their weights by name."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, PreTrainedConfig

from fedtrain.layouts import Layout, LayoutError, detect

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
        If the model has no experts, its experts cannot be detected, or it is no causal language model.
    """
    with _no_causal_model_is_told(source):
        if isinstance(source, PreTrainedConfig):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                model = AUTO.from_config(source, dtype=dtype)
        else:
            model = _from_disk(source, {} if dtype is None else {"dtype": dtype}, local_files_only)
    named_layout(model)
    return model


def named_layout(model: Any) -> Layout:
    """Return the layout that the names of a whole model's tensors tell.

    Raises
    ------
    LayoutError
        If they tell none. The message names the architecture.
    """
    try:
        return detect(weights_of(model))
    except LayoutError as error:
        raise LayoutError(f"{model.config.model_type}: {error}") from error


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a model's parameters and persistent buffers by name. They share memory with the model.

    Tied embeddings are one tensor with two names. Such a tensor is returned under its first name only, so it is sent
    once.
    """
    names = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    tied = names - {name for name, _ in model.named_parameters()}
    return {name: value.detach() for name, value in model.state_dict().items() if name not in tied}


@contextmanager
def _no_causal_model_is_told(source: str | Path | PreTrainedConfig) -> Iterator[None]:
    """Say in one line that transformers has no causal language model of this kind; its own message lists all others."""
    try:
        yield
    except ValueError as error:
        if "Unrecognized configuration class" not in str(error):
            raise
        kind = source.model_type if isinstance(source, PreTrainedConfig) else source
        raise LayoutError(f"{kind}: transformers has no causal language model of this architecture") from error


def _from_disk(source: str | Path, options: dict[str, Any], local_files_only: bool) -> Any:
    """Load a model by name or path; raise FileNotFoundError if it cannot be loaded."""
    try:
        return AUTO.from_pretrained(str(source), local_files_only=local_files_only, **options)
    except OSError as error:
        hint = "; nothing is downloaded unless local_files_only=False" if local_files_only else ""
        raise FileNotFoundError(f"there is no model {str(source)!r} to load{hint}: {error}") from error
