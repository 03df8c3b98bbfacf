"""A model's tensors by name; the name says which expert a tensor belongs to, and so which tensors a client gets.

Experts are numbered across all layers. ``router.3`` and ``experts.3.*`` belong to expert 3, in whichever layer it is.
All other tensors are shared. A client's router keeps a row for every expert: the auxiliary loss and the alignment's
statistics compare held experts with the others.
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
    """Copy the tensors that a client needs to train these experts: the shared part, the whole router, the experts."""
    held = set(experts)
    return {
        name: value.clone()
        for name, value in tensors.items()
        if not name.startswith("experts.") or expert_of(name) in held
    }


def part_to_upload(tensors: Mapping[str, Tensor], experts: Iterable[int]) -> Tensors:
    """Pick the tensors that a client returns: the shared part, its experts, and their rows of the router."""
    held = set(experts)
    return {name: value for name, value in tensors.items() if expert_of(name) is None or expert_of(name) in held}


def num_bytes(tensors: Mapping[str, Tensor]) -> int:
    """Return the bytes of the tensors' values, which is the size of a transfer."""
    return sum(value.nelement() * value.element_size() for value in tensors.values())
