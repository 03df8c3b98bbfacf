"""Layout of a list of expert modules: ``….experts.3.…`` belongs to expert 3. fedtrain's own models have this layout.

Beside ``experts`` stands the router, called ``router`` or ``gate``. It is a module with one row per expert
(``router.weight``, ``router.bias``), or a list with one tensor per expert (``router.3``).
"""

import re
from collections.abc import Iterable

from fedtrain.layouts.layout import Layout, LayoutError, Part, Weights, divided, natural, stacked

LOOKS_FOR = "one set of tensors per expert, '….experts.3.…', beside '….router.3' or '….router.weight'"
EXPERT = re.compile(r"(?P<layer>(?:.*\.)?)experts\.(?P<expert>\d+)(?:\..+)?")
ROUTER_ROW = re.compile(r"(?P<layer>(?:.*\.)?)(?:router|gate)\.(?P<expert>\d+)")
ROUTER = re.compile(r"(?P<layer>(?:.*\.)?)(?:router|gate)\.[^.]+")


def read(weights: Weights, num_experts: int | None = None) -> Layout | None:
    """Read the layout of a whole model's weights; return None if it is of another kind.

    Raises
    ------
    LayoutError
        If a layer lacks an expert, as in a client's slice.
    """
    return read_modules("modules", weights, EXPERT)


def read_modules(name: str, weights: Weights, expert: re.Pattern[str]) -> Layout | None:
    """Read a layout with one set of tensors per expert; the pattern for names has groups ``layer`` and ``expert``."""
    found = {key: match for key in weights if (match := expert.fullmatch(key))}
    if not found:
        return None
    sizes = _layer_sizes((match["layer"], int(match["expert"])) for match in found.values())
    first = stacked(sizes)
    parts = {key: Part(first[match["layer"]] + int(match["expert"])) for key, match in found.items()}
    for key in weights.keys() - found.keys():
        part = _router_part(weights, key, sizes, first)
        if part is not None:
            parts[key] = part
    return Layout.of(name, sizes, parts)


def _layer_sizes(found: Iterable[tuple[str, int]]) -> dict[str, int]:
    numbers: dict[str, set[int]] = {}
    for layer, expert in found:
        numbers.setdefault(layer, set()).add(expert)
    for layer, experts in numbers.items():
        if experts != set(range(len(experts))):
            raise LayoutError(
                f"{layer}experts has experts {sorted(experts)}, not all from 0 on: read a layout from the whole "
                "model's weights, not from a client's slice"
            )
    return {layer: len(numbers[layer]) for layer in sorted(numbers, key=natural)}


def _router_part(weights: Weights, key: str, sizes: dict[str, int], first: dict[str, int]) -> Part | None:
    row, whole = ROUTER_ROW.fullmatch(key), ROUTER.fullmatch(key)
    if row and int(row["expert"]) < sizes.get(row["layer"], 0):
        return Part(first[row["layer"]] + int(row["expert"]), router=True)
    if whole and not row and whole["layer"] in sizes:
        return divided(weights, key, first[whole["layer"]], sizes[whole["layer"]], router=True)
    return None
