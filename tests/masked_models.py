"""The oracle of partial models: the whole model with its router masked to the client's experts, and its groups joined.

It uses nothing of what builds a client's model. The mask is added to the logits where the router's weight makes them,
and to the router's biases.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from fedtrain.adapters.huggingface import Training
from fedtrain.adapters.huggingface.local import predict
from fedtrain.partial import merge

OUT = -1e4
"""Added to the logits of experts that the client lacks. Minus infinity would make NaN of some gradients."""
GROUPS = ("num_group", "n_group", "topk_group")


PRODUCTS = (torch.nn.functional.linear, torch.matmul, Tensor.matmul)
"""Functions by which a router makes its logits."""


class _Masking(TorchFunctionMode):
    """Adds a mask to what router weights, or copies of them in another type, make of their inputs."""

    def __init__(self, masks):
        super().__init__()
        self.masks = masks  # by the address of the weight
        self.seen = set()
        self.copies = {}

    def __torch_function__(self, func, types, args=(), kwargs=None):
        """Run the function, and mask its result if it is a router's logits."""
        out = func(*args, **(kwargs or {}))
        for value in args:
            mask = self._mask_of(value)
            if mask is None or not isinstance(out, Tensor):
                continue
            if func in PRODUCTS and out.shape[-1:] == mask.shape:
                self.seen.add(id(mask))
                return out + mask
            if func not in PRODUCTS and out.shape == value.shape and out.data_ptr() != value.data_ptr():
                self.copies[id(out)] = out, mask  # kept alive, so that its number is not given to another
        return out

    def _mask_of(self, value):
        if type(value) not in (Tensor, torch.nn.Parameter) or value.dim() != 2:
            return None
        copied = self.copies.get(id(value))
        return copied[1] if copied else self.masks.get(value.data_ptr())


@contextmanager
def masked(tuning, model, experts) -> Iterator[None]:
    """Mask the routers of a whole model, which is changed."""
    layout, tensors, masks = tuning.layout, dict(tuning_tensors(model)), {}
    for name, part in layout.parts.items():
        if not part.router:
            continue
        mask = torch.full((part.count,), OUT)
        mask[part.held(experts)] = 0.0
        tensor = next(value for key, value in tensors.items() if key == name or key.endswith(f".{name}"))
        if tensor.dim() == 2 and part.axis == 0:
            masks[tensor.data_ptr()] = mask
        elif "bias" in name.rpartition(".")[2]:
            tensor.data += mask
    mode = _Masking(masks)
    for module in model.modules() if len(experts) < layout.num_experts else ():
        for name in GROUPS:
            if isinstance(getattr(module, name, None), int):
                setattr(module, name, 1)
    with mode:
        yield
    assert mode.seen == {id(mask) for mask in masks.values()}, "a router's logits were not found"


def tuning_tensors(model):
    """Yield the parameters and buffers of a model by name."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def reference(tuning, weights, experts, tokens, learning_rate):
    """Return the loss of the masked whole model, and its weights after one step of gradient descent."""
    model = tuning.whole(weights)
    with masked(tuning, model, experts):
        losses, _ = predict(model, tokens)
        losses.mean().backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter.sub_(learning_rate * parameter.grad)
    return float(losses.mean().detach()), {name: value.detach() for name, value in tuning.collect(model).items()}


def compare(tuning, weights, experts, tokens, training: Training, tolerance=1e-5):
    """Assert that a client's model has the loss of the masked whole model, and that its training merges to the same.

    Returns
    -------
    int
        The number of experts' pieces that the training moved.
    """
    loss, expected = reference(tuning, weights, experts, tokens, training.learning_rate)
    own = float(predict(tuning.build(tuning.send(weights, experts)), tokens)[0].mean().detach())
    assert abs(own - loss) <= tolerance, f"the loss is {own}, not {loss}"

    update, _ = tuning.train(0, tuning.send(weights, experts), tokens, training, np.random.default_rng(0))
    update = type(update)(0, experts, update.weights, update.num_examples)  # every expert counts, used or not
    merged = merge(weights, [update], tuning.trained_layout, assigned={0: experts}, cap=len(tokens))
    assert not merged.faults, merged.faults
    moved = 0
    for name, value in weights.items():
        part, after = tuning.trained_layout.parts.get(name), merged.weights[name]
        if part is None:
            torch.testing.assert_close(after, expected[name], rtol=0.0, atol=tolerance)
            continue
        held, width = part.held(experts), part.width(value.shape)
        for position in range(part.count):
            place = part.place(position, part.count, width)
            if position in held:
                torch.testing.assert_close(after[place], expected[name][place], rtol=0.0, atol=tolerance)
                moved += not torch.equal(after[place], value[place])
            else:
                assert torch.equal(after[place], value[place]), f"{name}: {part.first + position} was not assigned"
    return moved
