"""A model's tensors by name: the name says which expert a tensor belongs to, and so what travels.

Experts are numbered through all layers: ``router.3`` and ``experts.3.*`` belong to expert 3, whichever layer that is
in, and everything else is shared. A client's router keeps a row for every expert, because the auxiliary loss and the
statistics that alignment learns from compare held experts with those not held.
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from torch import Tensor

Tensors: TypeAlias = dict[str, Tensor]


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
