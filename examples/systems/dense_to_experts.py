"""A dense language model is trained for a minute, then becomes one with experts: what that costs, and what comes back.

The domains are four kinds of text that come with Python and scikit-learn: code, prose, tables, and tables of codes.
Prints the test loss in each domain, of

- the dense model, and the same trained for some steps more;
- the model with one expert for each domain, at once (``experts_from_dense``, as in Read-ME, arXiv 2410.19123);
- the same with routers drawn at random, which shows what the fitted router is worth;
- the model with experts after the same further steps.

Run: python examples/systems/dense_to_experts.py [--steps 1200] [--more 100] [--seed 0]
"""

import argparse
import copy
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sklearn
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, LlamaConfig, logging

from fedtrain.adapters.huggingface import evaluate, experts_from_dense, windows
from fedtrain.data.text import VOCABULARY, encode

LENGTH, BATCH, LONGEST = 64, 32, 150_000
LIBRARY, DATA = Path(sysconfig.get_path("stdlib")), Path(sklearn.__file__).parent / "datasets" / "data"
DOMAINS = {
    "code": sorted((LIBRARY / "asyncio").glob("*.py")),
    "prose": [LIBRARY / "pydoc_data" / "topics.py"],
    "tables": [DATA / "breast_cancer.csv", DATA / "wine_data.csv"],
    "codes": sorted((LIBRARY / "encodings").glob("cp*.py")),
}
CONFIG = LlamaConfig(
    vocab_size=len(VOCABULARY) + 1,
    hidden_size=64,
    intermediate_size=256,
    num_hidden_layers=2,
    num_attention_heads=4,
    max_position_embeddings=LENGTH,
    pad_token_id=None,
    bos_token_id=None,
    eos_token_id=None,
)


def domain(files: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Return a domain's windows for training, and every fifth window for the test."""
    text = "".join(file.read_text(encoding="utf-8") for file in files)[:LONGEST]
    cut = windows([encode(text)], LENGTH)
    tested = torch.arange(len(cut)) % 5 == 4
    return cut[~tested], cut[tested]


def train(model: Any, tokens: Tensor, steps: int, seed: int) -> Any:
    """Train a copy of a model, and return it."""
    trained, rng = copy.deepcopy(model).train(), np.random.default_rng(seed)
    optimizer = torch.optim.AdamW(trained.parameters(), lr=3e-3, weight_decay=0.01)
    for _ in range(steps):
        batch = tokens[rng.choice(len(tokens), BATCH)]
        optimizer.zero_grad()
        trained(input_ids=batch, labels=batch, use_cache=False).loss.backward()
        optimizer.step()
    return trained


def with_random_routers(model: Any, seed: int) -> Any:
    """Return a copy of a model whose routers know nothing."""
    blind, rng = copy.deepcopy(model), torch.Generator().manual_seed(seed)
    for layer in blind.model.layers:
        torch.nn.init.normal_(layer.mlp.gate.weight, generator=rng)
    return blind


def main(arguments: Sequence[str] | None = None) -> dict[str, list[float]]:
    """Train, divide, train again; print and return the losses by model, one for each domain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--more", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args(arguments)
    logging.set_verbosity_error()
    torch.manual_seed(chosen.seed)
    parts, tests = zip(*map(domain, DOMAINS.values()), strict=True)
    # Every domain counts alike, however much text it has.
    tokens = torch.cat([part[np.arange(max(map(len, parts))) % len(part)] for part in parts])
    dense = train(AutoModelForCausalLM.from_config(CONFIG), tokens, chosen.steps, chosen.seed)
    looked_at = [part[: 4 * BATCH] for part in parts]
    models = {"dense": dense, "dense, trained on": train(dense, tokens, chosen.more, chosen.seed + 1)}
    for count in (1, 2):
        experts, name = (
            experts_from_dense(dense, looked_at, experts_per_token=count),
            f"{count} of {len(parts)} experts",
        )
        models[name] = experts
        models[f"{name}, random routers"] = with_random_routers(experts, chosen.seed)
        models[f"{name}, trained on"] = train(experts, tokens, chosen.more, chosen.seed + 1)
    print(f"{'test loss':32}" + "".join(f"{name:>9}" for name in (*DOMAINS, "mean", "active")))
    losses = {}
    for name, model in models.items():
        losses[name] = [evaluate(model, test)[0] for test in tests]
        figures = [*losses[name], float(np.mean(losses[name])), features(model)]
        print(f"{name:32}" + "".join(f"{figure:9.3f}" for figure in figures), flush=True)
    return losses


def features(model: Any) -> float:
    """Return the share of the dense layers' features that a token passes."""
    config = model.config
    if config.model_type == "llama":
        return 1.0
    used = config.shared_expert_intermediate_size + config.num_experts_per_tok * config.moe_intermediate_size
    return used / CONFIG.intermediate_size


if __name__ == "__main__":
    main()
