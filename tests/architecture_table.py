"""Makes docs/architectures.md: what becomes of every architecture with experts of the installed transformers.

    python -m tests.architecture_table

Each is tried with a tiny model with random weights. Its client's model is compared with the whole model with its router
masked, before and after a step of training, for several sets of experts. Or it is refused, before anything is sent.
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import transformers

from fedtrain.adapters.huggingface import FineTuning, Training, load_model, windows
from fedtrain.layouts import LayoutError
from tests.masked_models import compare
from tests.tiny_architectures import VOCABULARY, kinds, tiny

PAGE = Path(__file__).parents[1] / "docs" / "architectures.md"
SGD = Training(optimizer="sgd", learning_rate=0.1, batch_size=4)
HEAD = """# Architectures of Hugging Face

This page lists all architectures with experts in transformers {version}. `python -m tests.architecture_table` writes
it, and a test compares it with what the script finds. Each architecture is tried with tiny random weights.

- **equal**: the model of a client has its own experts only. It matches the whole model with its router masked to these
  experts. Loss and weights after a training step agree to 1e-5, for several sets of experts. If experts are missing,
  groups of experts are joined into one. The number says how many experts a client needs in each layer.
- **refused**: `FineTuning.of` or `load_model` raises a `LayoutError` with this reason. Nothing is sent.

| architecture | a client's model | fewest experts per layer | reason |
|---|---|--:|---|
"""


REASON = re.compile(r"\w[\w-]*: (.*?)(?: \(\w+\.\w.*| Looked for.*|$)", re.DOTALL)
"""What an error tells after the architecture's name, without the list of what was looked for."""


class Row(NamedTuple):
    """What becomes of an architecture: the fewest experts of a layer, or the reason why it is refused."""

    kind: str
    fewest: int | None
    reason: str

    def __str__(self) -> str:
        """Write the row as a line of the table."""
        outcome = "refused" if self.fewest is None else "equal"
        return f"| {self.kind} | {outcome} | {'' if self.fewest is None else self.fewest} | {self.reason} |"


def rows():
    """Try every architecture."""
    for kind in sorted(kinds()):
        yield row(kind)


def row(kind):
    """Try an architecture: it is refused by a LayoutError, or what follows holds; everything else is raised."""
    try:
        tuning = FineTuning.of(load_model(tiny(kind)))
    except LayoutError as error:
        return Row(kind, None, REASON.match(str(error))[1])
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    for name, part in tuning.layout.parts.items():
        if part.router:  # some are zero at first, so that all experts would be equally good
            tuning.initial[name].normal_(0.0, 0.3, generator=generator)
    tokens = windows([rng.integers(0, VOCABULARY, 48)], 12)
    for experts in sets(tuning):
        assert compare(tuning, dict(tuning.initial), experts, tokens, SGD) > len(experts) // 2
    return Row(kind, tuning.fewest_experts, "")


def sets(tuning):
    """Return sets of experts: the fewest, as many in each layer, and different numbers in the layers."""
    firsts, sizes, fewest = tuning.layout.first_experts, tuning.layout.layer_sizes, tuning.fewest_experts

    rng = np.random.default_rng(1)

    def some(numbers):
        drawn = zip(firsts, sizes, numbers, strict=True)
        return tuple(first + e for first, size, count in drawn for e in sorted(rng.permutation(size)[:count].tolist()))

    few, half = [fewest] * len(sizes), [max(fewest, size // 2) for size in sizes]
    mixed = [max(fewest, min(size, 2 + 2 * (layer % 2))) for layer, size in enumerate(sizes)]
    return [some(numbers) for numbers in (few, half, mixed)]


def text(found):
    """Return the page."""
    return HEAD.format(version=transformers.__version__) + "".join(f"{each}\n" for each in found)


if __name__ == "__main__":
    torch.set_num_threads(1)
    PAGE.write_text(text(list(rows())), encoding="utf-8")
