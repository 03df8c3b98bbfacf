"""A client's local training: next-token prediction on its windows of text, with measures for each expert."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from fedtrain.config.checks import at_least, check_fields, one_of
from fedtrain.layouts import Layout, LayoutError
from fedtrain.local.client import batches
from fedtrain.partial import Measured


@dataclass(frozen=True)
class Training:
    """The settings of local training.

    Attributes
    ----------
    optimizer
        ``adamw`` or ``sgd``. Its state is not kept after the round.
    learning_rate
        Learning rate of every step.
    weight_decay
        Weight decay of the optimiser. It also changes an expert without tokens, but such an expert has usage 0 and is
        not merged.
    epochs
        Passes over the client's windows.
    batch_size
        Windows per step.
    device
        Torch's name of the device that the client trains on. The returned weights are on the CPU.
    """

    optimizer: str = one_of("adamw", ("adamw", "sgd"))
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    epochs: int = at_least(1, 1, unit="passes")
    batch_size: int = at_least(1, 8, unit="windows")
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self, "")

    @property
    def copies(self) -> int:
        """How often a trained parameter is in memory: itself, its gradient, and AdamW's two moments."""
        return 4 if self.optimizer == "adamw" else 2


def windows(texts: Iterable[npt.ArrayLike], length: int) -> Tensor:
    """Join a client's texts, one after the other, and cut them into windows. An incomplete last window is dropped.

    Parameters
    ----------
    texts
        Token numbers of each of the client's texts, such as the lines of a speaker or the files in a folder.
    length
        Tokens per window, 2 or more.

    Returns
    -------
    Tensor
        (num_windows, length) int64.

    Raises
    ------
    ValueError
        If the tokens do not fill one window, or are not integers.

    Examples
    --------
    >>> windows([[1, 2, 3], [4, 5], [6, 7]], 3)
    tensor([[1, 2, 3],
            [4, 5, 6]])
    """
    arrays = [np.asarray(text) for text in texts]
    for array in arrays:
        if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
            raise ValueError(f"a text must be a list of token numbers, not {array.dtype} of shape {array.shape}")
    tokens = np.concatenate([np.zeros(0, dtype=np.int64), *arrays]).astype(np.int64)
    if length < 2 or len(tokens) < length:
        raise ValueError(f"{len(tokens)} tokens do not fill a window of {length}; a window takes 2 or more")
    number = len(tokens) // length
    return torch.from_numpy(tokens[: number * length].reshape(number, length))


def train(
    model: Any, layout: Layout, experts: Sequence[int], tokens: Tensor, training: Training, rng: np.random.Generator
) -> Measured:
    """Train a client's model in place, and return its measures.

    Parameters
    ----------
    model
        The client's model, from :meth:`fedtrain.adapters.huggingface.FineTuning.build`.
    layout, experts
        The whole model's layout, and the client's experts.
    tokens
        (num_windows, length) token numbers; at least one window.
    training
        The settings of the training.
    rng
        Generator that shuffles the windows.
    """
    if not len(tokens):
        raise ValueError("a client without a window of text cannot train")
    model.train()
    optimizer = _optimizer(model, training)
    gauge = Gauge(layout, experts)
    with gauge.watching(model):
        for batch in batches(rng, len(tokens), epochs=training.epochs, batch_size=training.batch_size):
            losses, right = predict(model, tokens[batch])
            gauge.add(tokens[batch], losses, right)
            optimizer.zero_grad()
            losses.mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return gauge.read()


def evaluate(model: Any, tokens: Tensor, *, batch_size: int = 8) -> tuple[float, float]:
    """Return a model's mean loss and accuracy in predicting the next token."""
    model.eval()
    with torch.no_grad():
        parts = [predict(model, batch) for batch in torch.split(tokens, batch_size)]
    losses, right = (torch.cat(part).double().mean() for part in zip(*parts, strict=True))
    return float(losses), float(right)


def predict(model: Any, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the loss of every predicted token, and whether the prediction was right.

    Both have shape (num_windows·(length − 1),). The first token of a window is not predicted.
    """
    tokens = tokens.to(model.device)
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
    wanted = tokens[:, 1:].flatten()
    losses = functional.cross_entropy(logits.float(), wanted, reduction="none")
    return losses, logits.detach().argmax(dim=1) == wanted


def _optimizer(model: Any, training: Training) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.SGD
    # Fused: a step makes no copies of all weights, which would count in the peak of memory.
    return kind(trained, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)


class Gauge:
    """Sums up the measures of each expert, step by step. It observes the experts by hooks; the model is not changed."""

    def __init__(self, layout: Layout, experts: Sequence[int]) -> None:
        self.held = np.bincount(layout.expert_group[list(experts)], minlength=len(layout.layers)).tolist()
        self.layers = [f"{layer}.experts" for layer in layout.layers]
        self.chosen: dict[int, Tensor] = {}
        self.sums = np.zeros((3, len(experts)))
        self.num_tokens = 0

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Record which experts each token of the last forward pass went through."""
        modules = dict(model.named_modules())
        with ExitStack() as hooks:
            for layer, experts in enumerate(self.layers):
                name = next(name for name in modules if name == experts or name.endswith(f".{experts}"))
                remember = partial(self._remember, layer)
                hooks.enter_context(modules[name].register_forward_pre_hook(remember, with_kwargs=True))
            yield

    def add(self, tokens: Tensor, losses: Tensor, right: Tensor) -> None:
        """Add a step, after its forward pass. The last token of a window predicts nothing and is not counted."""
        # Three values per predicted token: a count of 1, its loss, and whether it was right.
        values = torch.stack([torch.ones_like(losses), losses.detach(), right.to(losses.dtype)]).double()
        # Sum them up over the tokens that went through each expert, layer by layer.
        start = 0
        for layer, count in enumerate(self.held):
            if layer not in self.chosen:
                raise LayoutError(f"{self.layers[layer]} is not told which experts a token goes through")
            used = functional.one_hot(self.chosen[layer], count).amax(dim=1).reshape(*tokens.shape, count)
            self.sums[:, start : start + count] += (values @ used[:, :-1].flatten(0, 1).double()).cpu().numpy()
            start += count
        self.num_tokens += len(losses)

    def read(self) -> Measured:
        """Return the measures of all steps so far."""
        number, loss, right = self.sums
        with np.errstate(divide="ignore", invalid="ignore"):  # an expert without tokens has no mean loss
            return Measured(number / self.num_tokens, loss / number, right / number)

    def _remember(self, layer: int, module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        # Experts are given the tokens, and for each token the numbers of its experts and their weights.
        for value in (*inputs, *named.values()):
            if isinstance(value, Tensor) and not value.is_floating_point():
                self.chosen[layer] = value.detach().long()
                return
