"""The Mixture-of-Experts: a shared extractor, a router, experts, a shared classifier; whole, or as a client's part.

A client's model holds only the experts that it was assigned: the others do not exist in it. Its router keeps a row for
every expert, because the auxiliary loss and the statistics that alignment learns from compare held experts with those
not held; but it routes to held experts only. The names of the tensors say whose they are: ``router.3`` and
``experts.3.*`` belong to expert 3, everything else is shared.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

Tensors: TypeAlias = dict[str, Tensor]


@dataclass(frozen=True)
class ModelSpec:
    """The sizes of a model.

    Attributes
    ----------
    num_inputs, num_classes
        Of the data.
    num_features
        Width of the shared extractor's output, on which router, experts and classifier work.
    num_hidden
        Width within an expert.
    num_experts
        Of the whole model.
    top_k
        Experts that an example is routed to, or as many as are held if those are fewer.
    """

    num_inputs: int
    num_classes: int
    num_features: int = 128
    num_hidden: int = 64
    num_experts: int = 8
    top_k: int = 2


class Routed(NamedTuple):
    """What the model says of a batch.

    Attributes
    ----------
    logits
        (batch, num_classes).
    gates
        (batch, num_held) weights of the held experts, zero where not routed to; each row sums to 1.
    router_probabilities
        (batch, num_experts) the router's softmax over all experts, held or not.
    """

    logits: Tensor
    gates: Tensor
    router_probabilities: Tensor


class MoE(nn.Module):
    """A Mixture-of-Experts classifier that holds all experts or some; its parameters come with :meth:`load`.

    Parameters
    ----------
    spec
        Sizes.
    experts
        Which experts are held, ascending; at least one.
    """

    def __init__(self, spec: ModelSpec, experts: Sequence[int]) -> None:
        super().__init__()
        if not experts:
            raise ValueError("a model needs at least one expert to route to")
        self.spec = spec
        self.held = tuple(experts)
        with torch.device("meta"):  # no memory, and no draw from torch's global generator
            self.extractor = nn.Sequential(nn.Linear(spec.num_inputs, spec.num_features), nn.ReLU())
            rows = [nn.Parameter(torch.empty(spec.num_features)) for _ in range(spec.num_experts)]
            self.router = nn.ParameterList(rows)
            self.experts = nn.ModuleDict({str(j): _expert(spec) for j in self.held})
            self.classifier = nn.Linear(spec.num_features, spec.num_classes)

    def load(self, tensors: Tensors) -> "MoE":
        """Take these tensors, themselves and not copies, as the parameters; the names must be this model's."""
        self.load_state_dict(tensors, strict=True, assign=True)
        return self

    def forward(self, inputs: Tensor) -> Routed:
        """Route every example to the best held experts, and add what they say to its features."""
        features = self.extractor(inputs)
        router_logits = features @ torch.stack(list(self.router)).T
        gates = _top_gates(router_logits[:, list(self.held)], self.spec.top_k)
        mixed = features
        for position, expert in enumerate(self.experts.values()):
            rows = gates[:, position].detach().nonzero().squeeze(1)
            if len(rows):
                weighted = expert(features[rows]) * gates[rows, position].unsqueeze(1)
                mixed = mixed.index_add(0, rows, weighted)
        return Routed(self.classifier(mixed), gates, functional.softmax(router_logits, dim=1))

    def tensors(self) -> Tensors:
        """Return the parameters by name, detached; they share memory with the model."""
        return {name: value.detach() for name, value in self.state_dict().items()}


def initial_tensors(spec: ModelSpec, generator: torch.Generator) -> Tensors:
    """Draw the parameters of a whole model: Kaiming-uniform weights, zero biases, a router near indifference.

    The last layer of each expert starts small, so that the untrained model is nearly its shared part.
    """
    tensors = {}
    for name, like in skeleton(spec).items():
        shape = like.shape
        if name.endswith("bias"):
            tensors[name] = torch.zeros(shape)
            continue
        bound = (6.0 / shape[-1]) ** 0.5 * _relative_size(name)
        tensors[name] = (torch.rand(shape, generator=generator) * 2.0 - 1.0) * bound
    return tensors


def skeleton(spec: ModelSpec) -> Tensors:
    """Name, shape and type of every tensor of a whole model, without values (on torch's meta device)."""
    return MoE(spec, range(spec.num_experts)).tensors()


def expert_of(name: str) -> int | None:
    """Return the expert that a tensor belongs to, by its name; None for the shared part.

    Examples
    --------
    >>> expert_of("experts.3.0.weight"), expert_of("router.5"), expert_of("classifier.bias")
    (3, 5, None)
    """
    part, _, rest = name.partition(".")
    return int(rest.partition(".")[0]) if part in ("experts", "router") else None


def part_to_download(tensors: Mapping[str, Tensor], experts: Iterable[int]) -> Tensors:
    """Copy what a client needs to train these experts: the shared part, the router, and the experts themselves."""
    held = set(experts)
    return {
        name: value.clone()
        for name, value in tensors.items()
        if not name.startswith("experts.") or expert_of(name) in held
    }


def part_to_upload(tensors: Mapping[str, Tensor], experts: Iterable[int]) -> Tensors:
    """Pick what a client returns: the shared part, its experts, and their rows of the router."""
    held = set(experts)
    return {name: value for name, value in tensors.items() if expert_of(name) is None or expert_of(name) in held}


def num_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Bytes of the tensors' values: what it takes to send them."""
    return sum(value.nelement() * value.element_size() for value in tensors.values())


def _expert(spec: ModelSpec) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(spec.num_features, spec.num_hidden), nn.ReLU(), nn.Linear(spec.num_hidden, spec.num_features)
    )


def _top_gates(logits: Tensor, top_k: int) -> Tensor:
    """Softmax over each row's ``top_k`` highest entries, exactly zero elsewhere."""
    if top_k < logits.shape[1]:
        kept = logits.topk(top_k, dim=1).indices
        mask = torch.ones_like(logits, dtype=torch.bool).scatter(1, kept, False)
        logits = logits.masked_fill(mask, -torch.inf)
    return functional.softmax(logits, dim=1)


def _relative_size(name: str) -> float:
    if name.startswith("router."):
        return 0.1
    return 0.1 if name.startswith("experts.") and ".2." in name else 1.0
