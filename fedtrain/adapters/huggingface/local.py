"""A client's training: next-token prediction on its windows of text, and what each expert did meanwhile."""

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
from fedtrain.layouts import Layout
from fedtrain.local.client import batches
from fedtrain.partial import Measured


@dataclass(frozen=True)
class Training:
    """Local training.

    Attributes
    ----------
    optimizer
        ``adamw`` or ``sgd``; its state does not outlive the round.
    learning_rate
        Of every step.
    weight_decay
        Of the optimiser. It also moves an expert that no token went through; such an expert has usage 0 and is not
        merged.
    epochs
        Passes over the client's windows.
    batch_size
        Windows per step.
    device
        Where the client trains, as torch names it; what it returns is on the CPU.
    """

    optimizer: str = one_of("adamw", ("adamw", "sgd"))
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    epochs: int = at_least(1, 1)
    batch_size: int = at_least(1, 8)
    device: str = "cpu"

    def __post_init__(self) -> None:
        """Check the values."""
        check_fields(self, "")


def windows(texts: Iterable[npt.ArrayLike], length: int) -> Tensor:
    """Join a client's texts, one after the other, and cut them into windows; what is left at the end is dropped.

    Parameters
    ----------
    texts
        Token numbers of each of the client's texts: of what a speaker says, of the files in a folder.
    length
        Tokens per window, 2 or more.

    Returns
    -------
    Tensor
        (num_windows, length) int64.

    Raises
    ------
    ValueError
        If the tokens do not fill one window, or are no whole numbers.

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
    """Train a client's model in place.

    Parameters
    ----------
    model
        Of :meth:`fedtrain.adapters.huggingface.FineTuning.build`.
    layout, experts
        The whole model's layout, and the experts that are held.
    tokens
        (num_windows, length), at least one.
    training
        Optimiser and its steps.
    rng
        Shuffles the windows.
    """
    if not len(tokens):
        raise ValueError("a client without a window of text cannot train")
    model.train()
    optimizer = _optimizer(model, training)
    gauge = _Gauge(layout, experts)
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
    """Loss of every predicted token, and whether it was right: two of (num_windows·(length − 1),)."""
    tokens = tokens.to(model.device)
    logits = model(input_ids=tokens, use_cache=False).logits[:, :-1].flatten(0, 1)
    wanted = tokens[:, 1:].flatten()
    losses = functional.cross_entropy(logits.float(), wanted, reduction="none")
    return losses, logits.detach().argmax(dim=1) == wanted


def _optimizer(model: Any, training: Training) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    kind = torch.optim.AdamW if training.optimizer == "adamw" else torch.optim.SGD
    return kind(trained, lr=training.learning_rate, weight_decay=training.weight_decay)


class _Gauge:
    """Adds up, step by step, what went through each expert: routers are watched, the model is not changed."""

    def __init__(self, layout: Layout, experts: Sequence[int]) -> None:
        self.held = np.bincount(layout.expert_group[list(experts)], minlength=len(layout.layers)).tolist()
        routers = {name.rpartition(".")[0]: part.first for name, part in layout.parts.items() if part.router}
        self.layer_of = {router: int(layout.expert_group[first]) for router, first in routers.items()}
        self.chosen: dict[int, Tensor] = {}
        self.sums = np.zeros((3, len(experts)))
        self.num_tokens = 0

    @contextmanager
    def watching(self, model: Any) -> Iterator[None]:
        """Remember which experts each token of the last forward pass went through."""
        modules = dict(model.named_modules())
        with ExitStack() as hooks:
            for router, layer in self.layer_of.items():
                name = next(name for name in modules if name == router or name.endswith(f".{router}"))
                hooks.enter_context(modules[name].register_forward_hook(partial(self._remember, layer)))
            yield

    def add(self, tokens: Tensor, losses: Tensor, right: Tensor) -> None:
        """Add a step, after its forward pass; what a window's last token went through predicts nothing."""
        values = torch.stack([torch.ones_like(losses), losses.detach(), right.to(losses.dtype)]).double()
        start = 0
        for layer, count in enumerate(self.held):
            used = functional.one_hot(self.chosen[layer], count).amax(dim=1).reshape(*tokens.shape, count)
            self.sums[:, start : start + count] += (values @ used[:, :-1].flatten(0, 1).double()).cpu().numpy()
            start += count
        self.num_tokens += len(losses)

    def read(self) -> Measured:
        number, loss, right = self.sums
        with np.errstate(divide="ignore", invalid="ignore"):  # an expert without tokens has no mean loss
            return Measured(number / self.num_tokens, loss / number, right / number)

    def _remember(self, layer: int, module: Any, inputs: Any, outputs: Any) -> None:
        self.chosen[layer] = outputs[2].detach()  # (logits, weights, chosen experts)
